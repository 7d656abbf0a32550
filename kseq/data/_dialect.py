"""How a text file writes its table: separator, decimal mark, header, comments, a row of units.

Found from the first lines, and only where nothing else is possible; what remains open is refused where it matters, with
the option that decides it. ``csv.Sniffer`` looks at characters; this looks at what the cells become: the right
separator gives rows of one length whose cells are numbers and dates.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kseq.data._mending import Mendable
from kseq.errors import ConfigError, Parameter
from kseq.text import shown

#: Separators that are found, the commonest first, and what they are called.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", r"\s+": "blanks"}

#: How a user may write them.
_WRITTEN = {"\\t": "\t", "tab": "\t", "blank": r"\s+", "space": r"\s+", "whitespace": r"\s+", " ": r"\s+"}

#: Lines that are looked at.
_LINES = 300

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)*|[.,]\d+)([eE][+-]?\d+)?%?")
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([T ].*)?|\d{4}-?[MQWmqw]\d{1,2}(-\d)?|\d{1,2}:\d\d(:\d\d(\.\d+)?)?"
)
_EMPTY = re.compile(r"|#?N/?A|nan|null|none|<NA>|[-.?*]+", re.I)

#: Decimal marks and marks of thousands that are found, the commonest first, and what the latter are called.
_BOTH = ((".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_SPOKEN = {"'": "apostrophes", ",": "commas", ".": "points", " ": "blanks"}


def written(decimal: str, thousands: str | None) -> str:
    """Pattern of a number, whose groups have three digits where there is a mark between them."""
    mark = r"[ \u00a0\u202f]" if thousands == " " else re.escape(thousands or "")
    grouped = rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|" if mark else ""
    return rf"[+-]?(?:(?:{grouped}\d+)(?:{re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)(?:[eE][+-]?\d+)?"


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Args:
        sep: Separator, as pandas takes it.
        decimal: Decimal mark.
        thousands: Mark between groups of three digits; None for none.
        names: Names of the columns, as they are written.
        first: Number of the line, from 0, on which the rows begin.
        left_out: Numbers of later lines that are no rows.
        trailing: Whether every row ends in a separator.
        point_is_sure: Whether points are decimal marks without doubt.
        told: Phrases on what was found.
    """

    sep: str
    decimal: str
    thousands: str | None
    names: tuple[str, ...]
    first: int
    left_out: tuple[int, ...] = ()
    trailing: bool = False
    point_is_sure: bool = True
    told: tuple[str, ...] = ()


def separator(text: str | None) -> str | None:
    """The separator that a user names, as pandas takes it.

    Raises:
        ConfigError: It is longer than a character.
    """
    if text is None:
        return None
    sep = _WRITTEN.get(text, text)
    if len(sep) != 1 and sep != r"\s+":
        raise ConfigError("received ", Parameter("sep"), f" {shown(text)}, expected one character, tab or blank.")
    return sep


def is_value(cell: str) -> bool:
    """Whether a cell holds a number, a date or a time: what names of columns do not."""
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))


def _is_date(cell: str) -> bool:
    """Whether a cell holds a date and no number."""
    return bool(_DATE.fullmatch(cell)) and not _NUMBER.fullmatch(cell)


def find(lines: Sequence[str], options: Mapping[str, Any], whole: bool, where: str) -> Dialect:
    """Find out how a table is written.

    Args:
        lines: The first ones of the file.
        options: :data:`kseq.data._source.FILE_OPTIONS` that the user gives.
        whole: Whether these are all lines.
        where: Name of the file, for messages.

    Raises:
        Mendable: The first lines make no table.
        ConfigError: An option is no mark.
    """
    told: list[str] = []
    given, start = separator(options["sep"]), options["skip_rows"]
    first = lines[start].strip() if start < len(lines) else ""
    if re.fullmatch(r"\"?sep=.\"?", first):
        given, start = given or first.strip('"')[4], start + 1
    numbered = [(number, line) for number, line in enumerate(lines) if number >= start]
    numbered, remarks = _without_comments(numbered, options, told)
    if not whole and len(numbered) > 2:
        # The last one may be cut off.
        numbered = numbered[:-1]
    numbered = numbered[: options["header"] + _LINES]
    if not [line for _, line in numbered if line.strip()]:
        raise _no_table(where, options["header"], "no line")
    found = _split(numbered, given, options)
    sep, rows = found
    if sep != "," and options["sep"] is None:
        told.append(f"separated by {SEPARATORS.get(sep, sep)}")
    header = None
    if not options["no_header"]:
        header, rows = _header(numbered, rows, remarks, sep, options, where, told)
    if not rows:
        names = tuple(header[1]) if header else ()
        return Dialect(sep, ".", None, names, (header[0] if header else start) + 1)
    width = _width(rows)
    names, trailing = _names(header[1] if header else None, rows, width, where, sep, options)
    left_out, rows = _units(rows, told)
    _require_header(header[1] if header else None, rows, where)
    decimal, thousands, sure = _marks([row for _, row in rows], sep, options, told)
    # Blank lines above the first row are skipped by pandas.
    start_of_rows = (header[0] + 1) if header else min(rows[0][0], start if not remarks else rows[0][0])
    comments = [number for number, _ in remarks if number >= start_of_rows]
    return Dialect(
        sep, decimal, thousands, names, start_of_rows, (*left_out, *comments), trailing, sure, tuple(told)
    )  # fmt: skip


def _without_comments(
    numbered: list[tuple[int, str]], options: Mapping[str, Any], told: list[str]
) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Take lines off that the user calls comments, or that begin with # above the table."""
    if options["comment"] is not None:
        kept = [(number, line) for number, line in numbered if not line.startswith(options["comment"])]
        return kept, []
    count = 0
    if not options["header"]:
        while count < len(numbered) and (numbered[count][1].startswith("#") or not numbered[count][1].strip()):
            count += 1
        if not any(line.startswith("#") for _, line in numbered[:count]):
            count = 0
    return numbered[count:], [pair for pair in numbered[:count] if pair[1].startswith("#")]


def _split(
    numbered: list[tuple[int, str]], given: str | None, options: Mapping[str, Any]
) -> tuple[str, list[tuple[int, list[str]]]]:
    """Choose a separator: rows as long as their header, most of whose cells are numbers and dates."""
    candidates = [given] if given is not None else list(SEPARATORS)
    best: tuple[tuple[bool, float, float], str, list[tuple[int, list[str]]]] | None = None
    above = 0 if options["no_header"] else options["header"] + 1
    for number, sep in enumerate(candidates):
        rows = _fields(numbered, sep)
        # Physical lines above and on the header.
        body = [row for line, row in rows if line >= (numbered[0][0] + above)]
        sizes = Counter(map(len, body)).most_common(1)
        width, count = sizes[0] if sizes else (1, 0)
        fits = width > 1 and count >= 0.9 * len(body)
        if fits and not options["no_header"]:
            heads = [row for line, row in rows if line < numbered[0][0] + above]
            fits = bool(heads) and (len(heads[-1]) == width or (len(heads[-1]) == width - 1 and not body[0][-1]))
        cells = [cell for row in body for cell in row]
        known = sum(is_value(cell) or _EMPTY.fullmatch(cell) is not None for cell in cells) / max(len(cells), 1)
        if sep == r"\s+":
            # Blanks separate only where nothing else does.
            known -= 1
        rank = (fits, round(known, 2), -number)
        if best is None or rank > best[0]:
            best = rank, sep, rows
    assert best is not None
    if not best[0][0] and given is None:
        # A column alone, or lines that are no table under commas either.
        return ",", _fields(numbered, ",")
    return best[1], best[2]


def _fields(numbered: list[tuple[int, str]], sep: str) -> list[tuple[int, list[str]]]:
    """Fields of each line that is not blank, with the number of the line on which they begin."""
    if sep == r"\s+":
        sep, numbered = " ", [(number, re.sub(r"\s+", " ", line.strip())) for number, line in numbered if line.strip()]
    rows, before = [], 0
    reader = csv.reader([line + "\n" for _, line in numbered], delimiter=sep, skipinitialspace=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row) or len(row) > 1:
                rows.append((numbered[before][0], [cell.strip() for cell in row]))
            before = reader.line_num
    except csv.Error:
        return []
    return rows


def _header(
    numbered: list[tuple[int, str]], rows: list[tuple[int, list[str]]], remarks: list[tuple[int, str]], sep: str,
    options: Mapping[str, Any], where: str, told: list[str],
) -> tuple[tuple[int, list[str]], list[tuple[int, list[str]]]]:  # fmt: skip
    """The line of column names, and the rows under it."""
    width = _width(rows[options["header"] + 1 :] or rows)
    for number, line in remarks:
        parts = _fields([(number, line.lstrip("#").strip())], sep)
        if parts and width > 1 and len(parts[0][1]) == width and any(map(is_value, rows[0][1])):
            return (number, parts[0][1]), rows
    if remarks:
        lines = "1 line" if len(remarks) == 1 else f"{len(remarks)} lines"
        told.append(f"{lines} that begin{'s' * (len(remarks) == 1)} with # left out")
    place = (numbered[0][0] if numbered else 0) + options["header"]
    at = [row for row in rows if row[0] >= place]
    if not at or (options["header"] and at[0][0] != place):
        raise _no_table(where, options["header"], "it is blank or beyond the end")
    return at[0], at[1:]


def _no_table(where: str, header: int, reason: str) -> Mendable:
    return Mendable(
        f"{where} has no table under line {header} ({reason})",
        remedies=[{"header": line} for line in range(1, 6)],
        otherwise=("give the number of the line that holds the column names, from 0, with ", Parameter("header")),
    )


def _width(rows: list[tuple[int, list[str]]]) -> int:
    return Counter(len(row) for _, row in rows[:_LINES]).most_common(1)[0][0] if rows else 0


def _names(
    header: list[str] | None, rows: list[tuple[int, list[str]]], width: int, where: str, sep: str,
    options: Mapping[str, Any],
) -> tuple[tuple[str, ...], bool]:  # fmt: skip
    """Names of the columns, and whether every row ends in a separator."""
    if header is None:
        return tuple(str(number) for number in range(1, width + 1)), False
    if len(header) == width - 1 and all(len(row) < width or not row[-1] for _, row in rows):
        return tuple(header), True
    if len(header) >= width and (width > 1 or len(header) == 1 or sep == ","):
        return tuple(header), False
    further = [number for number, (_, row) in enumerate(rows[:6], 1) if len(row) == width]
    raise Mendable(
        f"{where} has rows of {width} fields under a header of {len(header)} ({', '.join(header[:4])}), expected as "
        "many",
        remedies=[{"header": options["header"] + number} for number in further[:3]],
        otherwise=(
            "name every column, and write decimal points, not commas, or say where the names stand with ",
            Parameter("header"), " and how columns are separated with ", Parameter("sep"),
        ),
    )  # fmt: skip


def _units(
    rows: list[tuple[int, list[str]]], told: list[str]
) -> tuple[tuple[int, ...], list[tuple[int, list[str]]]]:  # fmt: skip
    """Leave out a row of units: text without a number or date, where all rows after it hold some."""
    if len(rows) < 4 or any(map(is_value, rows[0][1])):
        return (), rows
    later = [row for _, row in rows[1:]]
    texts = {at: cell for at, cell in enumerate(rows[0][1]) if cell and not _EMPTY.fullmatch(cell)}
    # A date has no unit, and may stand without one.
    if not any(_holds_values(later, at) for at in texts) or len(texts) < len(rows[0][1]) - 1:
        return (), rows
    told.append(f"line {rows[0][0] + 1} ({', '.join(list(texts.values())[:4])}) left out as units")
    return (rows[0][0],), rows[1:]


def _require_header(header: list[str] | None, rows: list[tuple[int, list[str]]], where: str) -> None:
    """Refuse a first row in the place of the column names."""
    if header is None or not rows:
        return
    body = [row for _, row in rows]
    columns = [at for at in range(len(header)) if _holds_values(body, at)]
    heads = [header[at] for at in columns]
    # A column of dates is not called by one.
    dated = any(all(map(_is_date, (header[at], *(row[at] for row in body[:9] if len(row) > at)))) for at in columns)
    if not heads or not (dated or all(map(is_value, heads))):
        return
    first, counted = columns[0], [str(number) for number in range(len(heads))]
    if heads == counted and (
        body[0][first] != "1" if len(heads) > 1 else not any(row[first].isdigit() for row in body)
    ):
        # pandas writes an array so: its columns are called 0, 1 and so on.
        return
    years = [int(head) for head in heads if re.fullmatch(r"\d{4}", head)]
    # A table of years or of dates across its columns has them as names.
    if (
        not dated
        and len(heads) > 2
        and ((len(years) == len(heads) and min(np.diff(years)) > 0) or all(map(_DATE.fullmatch, heads)))
    ):
        return
    raise Mendable(
        f"{where} has numbers where its column names should be ({', '.join(header[:4])}), expected a header line",
        remedies=[{"no_header": True}],
        otherwise=("add one, or say where it is with ", Parameter("header")),
        also=(": columns are then called 1, 2 and so on",),
    )


def _holds_values(rows: list[list[str]], at: int) -> bool:
    """Whether all cells of a column that are not empty are numbers or dates, and some are."""
    cells = [row[at] for row in rows if len(row) > at and not _EMPTY.fullmatch(row[at])]
    return bool(cells) and all(map(is_value, cells))


def _marks(
    rows: list[list[str]], sep: str, options: Mapping[str, Any], told: list[str]
) -> tuple[str, str | None, bool]:
    """Decimal mark, mark of thousands, and whether a point is a decimal mark without doubt."""
    for name in ("decimal", "thousands"):
        if options[name] is not None and len(options[name]) != 1:
            raise ConfigError("received ", Parameter(name), f" {shown(options[name])}, expected one character.")
    decimal, thousands = options["decimal"], options["thousands"]
    if decimal is not None and decimal == thousands:
        raise ConfigError(
            "received ", Parameter("decimal"), " and ", Parameter("thousands"), f" {decimal}, expected two marks."
        )
    pairs = [(d, t) for d, t in _BOTH if decimal in (None, d) and (thousands == t or (thousands is None and d != t))]
    if thousands is not None and not pairs:
        pairs = [(decimal or ("," if thousands == "." else "."), thousands)]
    elif decimal not in (None, ".", ","):
        pairs = [(str(decimal), None)]
    patterns = {pair: re.compile(written(*pair)) for pair in pairs}
    fitting = set(pairs)
    for cell in {cell for row in rows for cell in row if not cell.isdigit()}:
        # What is a number in no way is a date, or text.
        fitting &= {pair for pair in pairs if patterns[pair].fullmatch(cell)} or fitting
    # 1,234 alone may be either: it stays text, and is told where it matters.
    unclear = {(",", None), (".", ",")} <= fitting
    found = pairs[0] if unclear else next((pair for pair in pairs if pair in fitting), pairs[0])
    told += ["decimal commas"] if found[0] == "," and decimal is None else []
    told += [f"thousands by {_SPOKEN[str(found[1])]}"] if found[1] is not None and thousands is None else []
    sure = decimal is not None or found != pairs[0] or (",", ".") not in fitting
    return *found, sure
