"""The directive ``public``: the docstring of a name, read from the sources without importing them.

``.. public:: kseq.compare`` writes signature and docstring; of a class, those of its public methods and properties too.
griffe finds the name through the package's lazy imports. sphinx-autoapi was tried: it fails on those, on overloads and
on context managers, and takes half a minute.
"""

from pathlib import Path
from typing import Any, ClassVar

import griffe
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
_PACKAGE: list[Any] = []


def _package() -> Any:
    if not _PACKAGE:
        _PACKAGE.append(griffe.load("kseq", search_paths=[ROOT], allow_inspection=False))
    return _PACKAGE[0]


class Public(SphinxDirective):
    """``.. public:: kseq.NAME``."""

    required_arguments = 1
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        """Read a name and parse what is written of it."""
        name = self.arguments[0]
        try:
            found = _package()[name.removeprefix("kseq.")]
            found = found.final_target if found.is_alias else found
        except (KeyError, griffe.AliasResolutionError) as error:
            raise self.error(f"received {name}; expected a public name of kseq: {error}") from None
        if found.is_attribute and isinstance(found.value, griffe.ExprName):
            # A second name of a function, such as ``fit = fit_model``.
            found = found.parent[found.value.name]
        if found.docstring is None:
            raise self.error(f"received {name}, which has no docstring; write one.")
        lines = _lines(name, found, self.config)
        return self.parse_text_to_nodes("\n".join(lines), offset=self.content_offset)


def _lines(name: str, found: Any, config: Any, indent: str = "") -> list[str]:
    kind = "class" if found.is_class else "function" if not found.parent.is_class else "method"
    if "property" in found.labels:
        kind = "property"
    parameters = "" if kind == "property" else f"({_parameters(found)})"
    returns = f" -> {found.returns}" if kind in ("function", "method") and found.returns is not None else ""
    lines = [f"{indent}.. py:{kind}:: {name}{parameters}{returns}", ""]
    docstring = GoogleDocstring(
        found.docstring.value, config, what="class" if kind == "class" else "function", name=name
    )
    # Some of napoleon's lines hold several.
    lines += [f"{indent}   {line}" for line in "\n".join(docstring.lines()).split("\n")] + [""]
    if found.is_class:
        for member in found.members.values():
            shown = not member.is_alias and (member.is_function or "property" in member.labels)
            if shown and not member.name.startswith("_") and member.docstring is not None:
                lines += _lines(member.name, member, config, indent + "   ")
    return lines


def _parameters(found: Any) -> str:
    """Write parameters as in the source; ``self`` is left out."""
    parts, star = [], False
    for parameter in found.parameters:
        if parameter.name == "self":
            continue
        kind = parameter.kind
        if kind is griffe.ParameterKind.keyword_only and not star:
            parts.append("*")
            star = True
        prefix = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(kind, "")
        star = star or prefix == "*"
        text = prefix + parameter.name
        if parameter.annotation is not None:
            text += f": {parameter.annotation}"
        if parameter.default is not None and not prefix:
            text += f" = {parameter.default}"
        parts.append(text)
    return ", ".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("public", Public)
    return {"parallel_read_safe": True}
