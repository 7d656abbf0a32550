"""Text for people: names that cannot harm a terminal, and numbers with as many digits as they need.

Names come from files. A name may hold an escape sequence that clears the screen, a carriage return that hides what
stands before it, or a mark that turns the direction of reading; :func:`visible` writes such characters out.
"""

import math
import unicodedata
from collections.abc import Sequence

#: Categories of Unicode that a terminal obeys instead of showing: control and format characters, surrogates, and
#: separators of lines and paragraphs.
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}

#: Format characters that scripts and emoji are spelled with: the zero-width joiner and non-joiner.
_SPELLING = "\u200c\u200d"

#: What stands where there is no value.
DASH = "–"

#: Characters of a value that a message shows.
SHOWN = 80

#: Means below the first and from the second on are written with a power of ten.
SMALL, LARGE = 1e-4, 1e6


def visible(text: object, keep: str = "") -> str:
    r"""Write out the characters that a terminal would obey.

    Args:
        text: Any text; other values are turned into it.
        keep: Characters that stay as they are, such as ``"\n"`` for a text of several lines.

    Example:
        >>> print(visible("sales\x1b[2J\u202e"))
        sales\x1b[2J\u202e
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character
        if character in keep or character in _SPELLING or unicodedata.category(character) not in _OBEYED
        else _written_out(character)
        for character in text
    )


def is_text(value: str) -> bool:
    r"""Whether all characters are some of Unicode: bytes of an argument that are none come as lone surrogates.

    Example:
        >>> is_text("é"), is_text("\udc80")
        (True, False)
    """
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _written_out(character: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    return short or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def shown(value: object) -> str:
    """A value as a message shows it: written as in Python, in one line, shortened where it is long.

    Example:
        >>> shown("a" * 1000)
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...' (1,000 characters)"
    """
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 10_000:
        # Python refuses to write out so many digits.
        return f"a number of about {int(value.bit_length() * math.log10(2)):,} digits"
    text = visible(repr(value))
    if len(text) <= SHOWN:
        return text
    half = SHOWN // 2
    if isinstance(value, str):
        return f"{text[:half]}...' ({len(value):,} characters)"
    return f"{text[:half]}...{text[-10:]}"


def shortened(text: str, most: int = 1000) -> str:
    """A text of at most about ``most`` characters: of a longer one the beginning and the end."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} [...] {text[-most // 3 :]}"


def listed(values: Sequence[object], most: int = 6) -> str:
    """Names in a row, the first few of many: ``"a, b, c and 97 more"``."""
    first = ", ".join(visible(value) for value in values[:most])
    return first if len(values) <= most else f"{first} and {len(values) - most:,} more"


def in_words(texts: Sequence[str]) -> str:
    """Texts as a sentence has them: ``"GRU"``, ``"GRU and LSTM"``, ``"GRU, LSTM and SimpleRNN"``."""
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def decimals_for(values: Sequence[float], decimals: int = 3) -> int | None:
    """Decimals with which all values of a column can be read; None where it takes powers of ten.

    Args:
        values: Values of the column, which may be NaN.
        decimals: Number of decimals for values of ordinary size.

    Example:
        >>> decimals_for([0.984, 1.055]), decimals_for([0.0123, 0.9]), decimals_for([1e-9, 2e-9]), decimals_for([1e150])
        (3, 4, None, None)
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    if not sizes:
        return decimals
    if min(sizes) < SMALL or max(sizes) >= LARGE:
        return None
    return max(decimals, decimals - 1 - math.floor(math.log10(min(sizes))))


def figure(value: float, decimals: int | None = 3, sign: bool = False) -> str:
    """A number with so many decimals, or with a power of ten where ``decimals`` is None.

    Example:
        >>> figure(0.98412), figure(1.2345e-9, None), figure(-0.5, sign=True)
        ('0.984', '1.23e-09', '-0.500')
    """
    plus = "+" if sign else ""
    if decimals is None:
        return f"{value:{plus}.2e}" if value else "0"
    return f"{value:{plus}.{decimals}f}"


def count(value: float) -> str:
    """A large number as people read it: ``"12,345"``, or ``"1.2e+30"``."""
    return f"{value:,.0f}" if abs(value) < LARGE else f"{value:.1e}"
