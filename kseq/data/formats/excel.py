"""Spreadsheets, read by python-calamine: a sheet becomes the text that it would be saved as.

What holds for text (lines above the header, a row of units, marks of missing values) then holds for sheets too. Numbers
are written with all their digits and dates as ISO dates.
"""

import csv
import datetime
import io
import re
import zipfile
from typing import Any

from kseq.data._source import Source
from kseq.data.formats.compressed import require_size, zip_names
from kseq.data.formats.found import library, reason, some
from kseq.errors import DataError, Parameter

#: How a file of Excel 97 begins, and one that is encrypted.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")

#: A cell with a formula: its attributes, and what follows the formula. A computed text may be empty.
_FORMULA = re.compile(rb"<c\s([^>]*)>\s*<f(?:\s[^>]*)?(?:/>|>[^<]*</f>)(.*?)</c>", re.S)
_VALUE = re.compile(rb"<v[^>/]*>[^<]+</v>")

#: What Excel shows in place of a value that cannot be computed.
_ERRORS = ("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#GETTING_DATA")


def recognises(source: Source) -> bool:
    """Whether a source is a spreadsheet by its first bytes and members."""
    if source.head.startswith(_OLE):
        return True
    names = zip_names(source)
    return names is not None and any(name.startswith("xl/") or name == "content.xml" for name in names)


def as_text(source: Source) -> Source:
    """Choose a sheet and write it as CSV text.

    Args:
        source: .xlsx, .xlsm, .xlsb, .xls or .ods. Its option ``sheet`` is a name or a number from 1; by default the
            only one that is shown and holds cells.

    Returns:
        Source: Text in UTF-8 with commas.

    Raises:
        DataError: Python-calamine is missing; the file is encrypted or damaged; no sheet, or more than one, can be
            meant; or a formula has no value.
    """
    calamine = library("python_calamine", "excel", source)
    if source.head.startswith(_OLE) and _ENCRYPTED in source.whole():
        raise _locked(source)
    if source.head.startswith(b"PK"):
        with zipfile.ZipFile(source.opened()) as archive:
            require_size(source, archive.infolist())
    try:
        with calamine.CalamineWorkbook.from_object(source.opened()) as book:
            name, others = _chosen(source, book, calamine)
            sheet = book.get_sheet_by_name(name)
            rows = sheet.to_python(skip_empty_area=False)
            merged = [] if source.path.suffix == ".xlsb" else _merged(sheet)
    except calamine.PasswordError as error:
        raise _locked(source) from error
    except (calamine.CalamineError, OSError) as error:
        raise DataError(
            f"{source} cannot be read as a spreadsheet ({reason(error)}); it is damaged: save or copy it again."
        ) from error
    _require_values(source)
    phrases = [f"sheet {name!r}" + (f" (beside {some(repr(other) for other in others)})" if others else "")]
    if _fill_down(rows, merged):
        phrases.append("merged cells count in each of their rows")
    text = _written(rows)
    if not text.strip():
        raise DataError(f"{source}: sheet {name!r} is empty; expected a header and one row a time step.")
    inner = source.within(source.path.name, text.encode(), *phrases)
    return inner.with_options({"sep": ",", "decimal": ".", "encoding": "utf-8"})


def _chosen(source: Source, book: Any, calamine: Any) -> tuple[str, list[str]]:
    """Name of the sheet that is meant, and of the others."""
    sheets = [s for s in book.sheets_metadata if s.typ == calamine.SheetTypeEnum.WorkSheet]
    names, wanted = [sheet.name for sheet in sheets], source.options["sheet"]
    if wanted is not None:
        if str(wanted) in names:
            return str(wanted), []
        if str(wanted).isdecimal() and 1 <= int(wanted) <= len(names):
            return names[int(wanted) - 1], []
        raise DataError(
            f"{source}: received ", Parameter("sheet"), f" {str(wanted)!r}, expected one of {some(names)}, or a number "
            f"from 1 to {len(names)}.",
        )  # fmt: skip
    visible = calamine.SheetVisibleEnum.Visible
    shown = [s.name for s in sheets if s.visible == visible and book.get_sheet_by_name(s.name).total_height > 0]
    if not shown:
        hidden = [s.name for s in sheets if s.visible != visible]
        told = f"its sheets {some(hidden)} are hidden: name one with " if hidden else "its sheets are empty"
        raise DataError(f"{source} shows no sheet with cells; {told}", *([Parameter("sheet")] if hidden else []), ".")
    if len(shown) > 1:
        raise DataError(
            f"{source} holds {len(shown)} sheets ({some(shown)}), expected one: name it with ", Parameter("sheet"), "."
        )
    return shown[0], [name for name in names if name != shown[0]]


def _merged(sheet: Any) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """First and last cell of each merged range; none where the format has no such thing."""
    return list(sheet.merged_cell_ranges or [])


def _fill_down(rows: list[list[Any]], merged: list[tuple[tuple[int, int], tuple[int, int]]]) -> bool:
    """Let the value of a merged cell stand in each row that it covers; say whether there was one."""
    done = False
    for (top, column), (bottom, _) in merged:
        for row in range(top + 1, min(bottom, len(rows) - 1) + 1):
            if column < len(rows[row]) and rows[row][column] == "":
                rows[row][column] = rows[top][column]
                done = True
    return done


def _written(rows: list[list[Any]]) -> str:
    """Rows as CSV text, without cells that are empty at the sides; a title above the table is a short line."""
    cells = [[_cell(value) for value in row] for row in rows]
    used = [[column for column, text in enumerate(row) if text] for row in cells]
    first = min((min(own) for own in used if own), default=0)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        row[first : own[-1] + 1] if own else [] for row, own in zip(cells, used, strict=True)
    )
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ")
    if isinstance(value, datetime.timedelta):
        return f"{value / datetime.timedelta(hours=1):g} hours"
    text = str(value).strip()
    return "" if text in _ERRORS else text


def _require_values(source: Source) -> None:
    """Refuse formulas that no spreadsheet program has computed: their cells would be read as empty."""
    if not source.head.startswith(b"PK"):
        return
    with zipfile.ZipFile(source.opened()) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        cells = (cell for name in sheets for cell in _FORMULA.finditer(archive.read(name)))
        lacking = sum(b't="str"' not in cell.group(1) and not _VALUE.search(cell.group(2)) for cell in cells)
    if lacking:
        raise DataError(
            f"{source} holds {lacking} formulas without values, which a program wrote and none has computed; open and "
            "save it in a spreadsheet program, or write values."
        )


def _locked(source: Source) -> DataError:
    return DataError(f"{source} is protected by a password; save it without one, or as CSV.")
