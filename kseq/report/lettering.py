"""Text in pictures: names are shown as they are, whatever signs they hold and whatever fonts there are."""

import io
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib import font_manager, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.legend import Legend
from matplotlib.text import Text

from kseq import storage
from kseq.errors import ConfigError

#: What stands for a character that no font has.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

#: Characters of a line that are drawn; a longer one would leave no room for the axes.
LONGEST = 120

#: Before a label that begins with an underscore, which matplotlib would leave out of a legend.
_SHOWN = "\N{ZERO WIDTH SPACE}"


def plain(artist: Text) -> Text:
    """Have a text drawn as it stands: ``$`` and ``_`` mean themselves, and what no font has is drawn as a sign.

    Args:
        artist: The text that ``set_title``, ``set_ylabel``, ``annotate`` and the like return.
    """
    text, families = _drawable(artist.get_text().removeprefix(_SHOWN))
    artist.set_usetex(False)
    artist.set_parse_math(False)
    artist.set_text(text)
    if families:
        artist.set_fontfamily([*rcParams["font.family"], *families])
    return artist


def label(name: str) -> str:
    """A name as the label of a line, which a legend shows even where it begins with an underscore."""
    return f"{_SHOWN}{name}" if name.startswith("_") else name


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text with dots in place of what is too much."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def legend(owner: Axes | Figure, **options: Any) -> Legend:
    """Add a legend with labels as :func:`plain` draws them.

    Args:
        owner: The axes or the figure.
        **options: Options of ``owner.legend``.
    """
    made = owner.legend(**options)
    for text in (*made.get_texts(), made.get_title()):
        plain(text)
    return made


def _drawable(text: str) -> tuple[str, tuple[str, ...]]:
    """A text with signs in place of characters that no font has, and the families to look for others in."""
    text = "\n".join(shortened(line) for line in text.split("\n"))
    families: list[str] = []
    signs = {}
    for sign in {*text} - {"\n"}:
        # Control characters have no shape, and halves of a pair no meaning.
        family = None if unicodedata.category(sign) in ("Cc", "Cs") else _family(ord(sign))
        if family is None:
            signs[ord(sign)] = REPLACEMENT
        elif family and family not in families:
            families.append(family)
    return text.translate(signs), tuple(families)


@cache
def _family(code: int) -> str | None:
    """A family that has a character: "" for those that are drawn with anyway, None for no family at all."""
    if code in _usual(tuple(rcParams["font.family"])):
        return ""
    return next((family for family, codes in _others() if code in codes), None)


@cache
def _usual(families: tuple[str, ...]) -> frozenset[int]:
    """Characters of the fonts that text is drawn with."""
    properties = [font_manager.FontProperties(family=[family]) for family in families]
    return frozenset(code for each in properties for code in FT2Font(font_manager.findfont(each)).get_charmap())


def _others() -> Iterator[tuple[str, frozenset[int]]]:
    """Families of all fonts that are installed, and their characters, one after the other."""
    for font in font_manager.fontManager.ttflist:
        if font.style == "normal" and (codes := _codes(font.fname)):
            yield font.name, codes


@cache
def _codes(path: str) -> frozenset[int]:
    """Characters of a font; none where matplotlib cannot draw with it, as of colour pictures."""
    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()


def save(figure: Figure, path: str | Path | None) -> Figure:
    """Write a picture into a file, where one is named; return it.

    Args:
        figure: The picture.
        path: Of the file, whose suffix says the format; ``.png`` where it has none. None writes nothing.
    """
    if path is not None:
        path = Path(path) if Path(path).suffix else Path(f"{path}.png")
        known = figure.canvas.get_supported_filetypes()
        if path.suffix[1:].lower() not in known:
            raise ConfigError(f"received {path}, expected a name that ends in one of .{', .'.join(sorted(known))}.")
        content = io.BytesIO()
        figure.savefig(content, format=path.suffix[1:], dpi=150)
        storage.write_bytes(path, content.getvalue())
    return figure
