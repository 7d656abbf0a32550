"""How Sphinx makes the site: ``tox -e docs``, or ``sphinx-build -W docs build/docs``."""

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs/extensions"))

project = "kseq"
copyright = "the kseq authors"
version = release = re.search(r'"(.+)"', (ROOT / "kseq/_version.py").read_text(encoding="utf-8").split("=")[1])[1]
extensions = ["myst_parser", "sphinx.ext.napoleon", "reference"]

html_theme = "furo"
html_title = f"kseq {release}"
html_static_path = ["style"]
html_css_files = ["kseq.css"]
html_show_sphinx = False
toc_object_entries_show_parents = "hide"
pygments_style = "friendly"

# Markdown as GitHub shows it too: headings have the same anchors there.
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"

# The reference is read from the sources: neither kseq nor a framework is installed where the site is made.
napoleon_use_rtype = False
napoleon_custom_sections = [("Call arguments", "params_style"), "Input shape", "Output shape"]


def inline_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula as MathML, which browsers show without a script or a font from elsewhere."""
    self.body.append(_mathml(node.astext(), block=False))
    raise nodes.SkipNode


def display_math(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write equations as a block of MathML."""
    self.body.append(f'<div class="equations">{_mathml(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(source: str, block: bool) -> str:
    try:
        return tex2mathml(source, as_block=block)
    except MathError as error:
        raise ValueError(f"received the formula {source!r}: {error}") from None


def setup(app: Sphinx) -> None:
    """Register the renderer of formulas."""
    app.add_html_math_renderer("mathml", (inline_math, None), (display_math, None))
