"""CSV text as a frame, and what makes a file unreadable."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from kseq.data._heads import PARQUET, READ_CSV, READ_PARQUET, head
from kseq.errors import DataError, Parameter
from kseq.storage.csv_text import unescaped
from kseq.validation import require_whole

#: Fields that hold no value, as pandas knows them by default.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip


def read_text(
    path: Path, header: int, rows: int | None = None, text: str | None = None, named: Parameter = READ_CSV
) -> pd.DataFrame:
    """Read a CSV file.

    Args:
        path: the file.
        header: number of the line, from 0, that holds the column names.
        rows: how many rows to read; None for all.
        text: a column, if the file has it, whose values stay as they are written: "001" no number, "NA" not missing.
        named: what its user names the file by, for messages.

    Returns:
        The rows, numbered from 0; column names without surrounding blanks. Apostrophes that keep a spreadsheet from
        running text are taken off.

    Raises:
        ConfigError: ``header`` is no whole number from 0.
        DataError: the file is missing, is no CSV text, or has no table under ``header``.
    """
    require_whole("header", header)
    first = head(path, named, "CSV")
    if not first.strip():
        raise DataError(f"{path} is empty; expected a header line and one row a time step.")
    if first.startswith(PARQUET):
        raise DataError(f"{path} is a Parquet file; give it with ", READ_PARQUET, ".")
    if b"\0" in first:
        raise DataError(f"{path} is a binary file; expected text: a CSV file with a header line.")
    options: dict[str, Any] = {
        "header": header, "nrows": rows, "skip_blank_lines": False, "skipinitialspace": True, "na_values": MISSING,
        "keep_default_na": False,
    }  # fmt: skip
    try:
        if text is not None:
            top = pd.read_csv(path, **{**options, "nrows": 0})
            names, plain = list(top.columns), unescaped(top.set_axis([str(column).strip() for column in top], axis=1))
            kept = [column for column, own in zip(names, plain, strict=True) if own == text]
            options["dtype"] = dict.fromkeys(kept, str)
            options["na_values"] = {column: MISSING for column in names if column not in kept}
        frame = pd.read_csv(path, **options)
        if not isinstance(frame.index, pd.RangeIndex) and frame.iloc[:, -1].isna().all():
            # Every row ends in a comma: pandas takes what is too much for an index, at the beginning.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.ParserWarning)
                frame = pd.read_csv(path, index_col=False, **options)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(
            f"{path} has no table under line {header} ({reason}); expected the column names there: "
            "give the header's line number, from 0, with ",
            Parameter("header"),
            ".",
        ) from error
    frame.columns = [str(column).strip() for column in frame.columns]
    _require_commas(frame, path)
    if all(_is_number(column) for column in frame.columns):
        raise DataError(
            f"{path} has numbers where its column names should be (line {header}: "
            f"{', '.join(frame.columns[:4])}); expected a header line: add one, or say where it is with ",
            Parameter("header"),
            ".",
        )
    if frame.empty:
        raise DataError(f"{path} has a header and no rows; expected one row a time step.")
    return unescaped(frame)


def _require_commas(frame: pd.DataFrame, path: Path) -> None:
    """Refuse a table whose columns are not separated by commas, or whose rows have more fields than its header."""
    separator = next((mark for mark in ";\t" if mark in frame.columns[0]), None)
    if separator is not None and len(frame.columns) == 1:
        raise DataError(
            f"{path} has its columns separated by {'tabs' if separator != ';' else 'semicolons'}, expected commas "
            "between columns and points in numbers; save it so: "
            f"pandas.read_csv(FILE, sep={separator!r}, decimal=',').to_csv('FILE.csv', index=False)."
        )
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(
            f"{path} has rows of {len(frame.columns) + frame.index.nlevels} fields under a header of "
            f"{len(frame.columns)} ({', '.join(frame.columns[:4])}), expected as many; name every column, and write "
            "decimal points, not commas."
        )


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
