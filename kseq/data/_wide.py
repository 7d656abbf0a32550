"""Tables that lie across: a row a year and a column a month; a row or a column a series."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kseq.data import dates
from kseq.data._date_text import is_date, month_of
from kseq.data._mending import Mendable
from kseq.data._options import Cells
from kseq.data.columns import ID_NAME, numbers, time_columns
from kseq.errors import DataError, Parameter


def month_columns(columns: Sequence[str]) -> list[str]:
    """The columns of the twelve months, in order; none where they are not all there."""
    names = [str(column) for column in columns]
    numbered = [re.fullmatch(r"[mM]?0?(\d\d?)", name.strip()) for name in names]
    for months in ([month_of(name) for name in names], [int(found[1]) if found else None for found in numbered]):
        if all(months.count(month) == 1 for month in range(1, 13)):
            return [names[months.index(month)] for month in range(1, 13)]
    return []


def year_column(frame: pd.DataFrame) -> str | None:
    """The column of years, if the first one or one of that name holds nothing but years in order."""
    for column in frame.columns:
        if dates.part_of(str(column)) == "year" or column == frame.columns[0]:
            years = pd.to_numeric(frame[column], errors="coerce")
            if len(years) and years.between(1500, 2300).all() and (years.diff().dropna() > 0).all():
                return column
    return None


def is_of_months(frame: pd.DataFrame) -> bool:
    """Whether a table has a row a year and a column for each of the twelve months."""
    return len(month_columns(frame.columns)) == 12 and 13 <= frame.shape[1] <= 15 and year_column(frame) is not None


def unfolded(frame: pd.DataFrame, cells: Cells, name: str) -> pd.DataFrame:
    """Give a table of months or of series as one of rows.

    Args:
        frame: The table.
        cells: Says which of the two, and which values are missing.
        name: Name of the data, for messages.

    Returns:
        Columns ``ds`` and ``y`` of months; ``unique_id``, ``y`` and, where they are known, ``ds`` of series.

    Raises:
        DataError: It is no such table.
    """
    frame = cells.without_missing(frame, frame.columns[:1])
    return _months(frame, cells, name) if cells.wide == "months" else _series(frame, cells, name)


def _months(frame: pd.DataFrame, cells: Cells, name: str) -> pd.DataFrame:
    months, year = month_columns(frame.columns), year_column(frame)
    if not months and year is not None and frame.shape[1] == 13:
        months = [column for column in frame.columns if column != year]
    if not months or year is None:
        raise DataError(
            f"{name}: received ", Parameter("wide"), " months for a table with columns "
            f"{', '.join(map(str, frame.columns[:6]))}, expected a column of years and twelve of months.",
        )  # fmt: skip
    values = np.column_stack([numbers(frame[month], name, missing=cells.numbers) for month in months])
    years = frame[year].astype("int64").to_numpy()
    counted = ((years - 1970)[:, None] * 12 + np.arange(12)).ravel()
    dated = pd.DatetimeIndex(counted.astype("datetime64[M]").astype("datetime64[s]"))
    return _trimmed(pd.DataFrame({"ds": dated, "y": values.ravel()}))


def _trimmed(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows from the first value to the last."""
    known = np.flatnonzero(rows["y"].notna())
    return rows.iloc[known[0] : known[-1] + 1].reset_index(drop=True) if len(known) else rows


def _series(frame: pd.DataFrame, cells: Cells, name: str) -> pd.DataFrame:
    """A row a series, where the first column names them; else a column a series."""
    first = frame[frame.columns[0]]
    named = not pd.api.types.is_numeric_dtype(first) and first.notna().all()
    heads = sum(map(_is_head, frame.columns))
    dated = None
    if frame.shape[1] > 2 and named and (first.is_unique or heads > 1) and not is_date(str(first.iloc[0])):
        # Further names and codes of a series may stand beside its first one.
        texts = [name for name in frame if not _is_head(name) and not pd.api.types.is_numeric_dtype(frame[name])]
        columns = [column for column in frame.columns[1:] if column not in texts or len(texts) == 1]
        ids = first.astype(str)
        if not ids.is_unique:
            ids = ids.str.cat([frame[column].astype(str) for column in texts[1:]], sep="/")
        values = np.column_stack([numbers(frame[column], name, missing=cells.numbers) for column in columns])
        if all(map(_is_head, columns)):
            dated = dates.read_dates(pd.DataFrame({"ds": list(map(str, columns))}), ["ds"], name, cells=cells)
    else:
        times = time_columns(frame, set())
        ids = frame.columns[~frame.columns.isin(times)]
        values = np.array([numbers(frame[column], name, missing=cells.numbers) for column in ids])
        dated = dates.read_dates(frame, times, name, cells=cells) if times else None
    parts = []
    for id, row in zip(ids, values, strict=True):
        part = pd.DataFrame(
            {ID_NAME: str(id), "y": row} if dated is None else {ID_NAME: str(id), "ds": dated, "y": row}
        )
        parts.append(_trimmed(part))
    return pd.concat(parts, ignore_index=True)


def _is_head(column: object) -> bool:
    """Whether a column is called by a date or a year."""
    return is_date(str(column)) or re.fullmatch(r"(1[5-9]|2[0-2])\d\d", str(column)) is not None


def advice(frame: pd.DataFrame, name: str) -> Mendable | None:
    """Tell a table that looks as if it lay across; None where it does not."""
    numeric = [column for column in frame.columns if pd.api.types.is_numeric_dtype(frame[column])]
    if len(numeric) < 8 or len(numeric) < len(frame.columns) - 1:
        return None
    # Twelve columns beside one of years are months, under whatever names.
    months = frame.shape[1] == 13 and year_column(frame) is not None
    remedies, words = (
        ({"wide": "months"}, "a row a year") if months else ({"wide": "series"}, "a row or a column a series")
    )
    return Mendable(
        f"{name}: received {len(numeric)} columns of numbers and no target",
        remedies=[remedies],
        otherwise=("name one with ", Parameter("target")),
        also=(f" for {words}, or name one column with ", Parameter("target")),
    )
