"""Dates out of columns, and what is refused: text that is no date, several time zones, dates out of order."""

import re
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from kseq.errors import DataError

#: Parts of a date that may stand in columns of their own, in the order in which they are shown to the user.
DATE_PARTS = ("year", "month", "day", "hour", "minute", "second")

#: Dates that begin with a day or a month, which only the others tell: 01/04/1960.
DAY_OR_MONTH_FIRST = r"\s*\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?:\D|$)"

#: How the text of a date and time ends where it names its distance from UTC.
OFFSET = r":\d{2}(?:\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})$"


def read_dates(frame: pd.DataFrame, columns: Sequence[str], name: str, first_row: int = 0) -> pd.DatetimeIndex:
    """Make dates of one column, or of several that hold parts of a date.

    Args:
        frame: what holds the columns.
        columns: one column of dates, columns of :data:`DATE_PARTS`, or several whose texts make a date together.
        name: of the data, for messages.
        first_row: number of the frame's first row in its file, for messages.

    Returns:
        pd.DatetimeIndex: in the time zone that the column names, if any.

    Raises:
        DataError: a value is no date, there is none in a row, or rows differ in their time zone.
    """
    columns = list(columns)
    present = frame[columns].notna().all(axis=1)
    if not present.all():
        row = first_row + int(np.flatnonzero(~present)[0])
        raise DataError(f"{name}: no date in row {row} of column {','.join(columns)}; expected one in each row.")
    # A column of whole dates may be called "Month".
    parts = len(columns) > 1 or pd.api.types.is_numeric_dtype(frame[columns[0]])
    if parts and {column.lower() for column in columns} <= set(DATE_PARTS):
        dates = _from_parts(frame, columns, name)
    else:
        text = frame[columns[0]]
        for column in columns[1:]:
            text = text.astype(str) + " " + frame[column].astype(str)
        dates = _from_text(text, columns, name, first_row)
    bad = np.flatnonzero(dates.isna())
    if len(bad):
        texts = [" ".join(map(str, frame[columns].iloc[row])) for row in (0, bad[0])]
        first = f"; the first row holds {texts[0]!r}" if bad[0] else ""
        raise _not_dates(columns, name, f"{texts[1]!r} in row {first_row + bad[0]}, {len(bad)} in all{first}")
    return pd.DatetimeIndex(dates, name="ds")


def require_order(index: pd.Index, name: str) -> None:
    """Refuse dates that are repeated or run backwards."""
    if index.has_duplicates:
        first = index[index.duplicated()][0]
        raise DataError(
            f"{name}: {int(index.duplicated().sum())} dates stand twice (first {first}), expected one row a date; "
            f"remove or average the repeats{clock_hint(index)}."
        )
    if not index.is_monotonic_increasing:
        row = int(np.flatnonzero(index[1:] < index[:-1])[0]) + 1
        raise DataError(
            f"{name}: dates are not in order (row {row}, {index[row]}, is before {index[row - 1]}); "
            "sort the rows by date."
        )


def clock_hint(index: pd.Index) -> str:
    """Say why times of day may stand twice: clocks go back in autumn."""
    if not isinstance(index, pd.DatetimeIndex) or index.tz is not None or (index == index.normalize()).all():
        return ""
    return " (local clocks show an hour twice when summer time ends: give such times in UTC)"


def placing(index: pd.Index) -> Callable[[int], str]:
    """Give a function that names a row in messages: by its date, or by its number where there are no dates."""
    if isinstance(index, pd.DatetimeIndex):
        return lambda row: str(index[row]).removesuffix(" 00:00:00")
    return lambda row: f"row {row}"


def _from_parts(frame: pd.DataFrame, columns: list[str], name: str) -> pd.Series:
    """Dates of columns such as year, month and day; NaT where they make none."""
    if "year" not in (column.lower() for column in columns):
        raise _not_dates(columns, name, "no year among the columns")
    parts = {column.lower(): pd.to_numeric(frame[column], errors="coerce") for column in columns}
    return pd.to_datetime(pd.DataFrame({"month": 1, "day": 1} | parts, index=frame.index), errors="coerce")


def _from_text(text: pd.Series, columns: list[str], name: str, first_row: int) -> pd.Series:
    """Dates of a column; NaT where a value is none."""
    if pd.api.types.is_datetime64_any_dtype(text):
        return text
    if pd.api.types.is_numeric_dtype(text):
        raise _not_dates(columns, name, f"{columns[0]!r} holds numbers such as {text.iloc[0]}")
    try:
        with warnings.catch_warnings():
            # pandas warns of a first value whose format it cannot tell; such a value is told by our caller.
            warnings.simplefilter("ignore", UserWarning)
            dates = pd.to_datetime(text, errors="coerce")
            if len(text) and re.match(DAY_OR_MONTH_FIRST, str(text.iloc[0])):
                dates = _day_or_month_first(text, dates, columns, name)
    except (ValueError, TypeError, OverflowError) as error:
        _require_one_zone(text, columns, name, first_row)
        raise _not_dates(columns, name, str(error).strip().splitlines()[0].split(". ")[0]) from error
    if dates.isna().any():
        _require_one_zone(text, columns, name, first_row)
    return dates


def _day_or_month_first(text: pd.Series, month_first: pd.Series, columns: list[str], name: str) -> pd.Series:
    """Read dates such as 01/04/1960 in the one of two ways in which all of them are dates, and even ones."""
    day_first = pd.to_datetime(text, errors="coerce", dayfirst=True)
    readings = [dates for dates in (month_first, day_first) if not dates.isna().any()]
    if len(readings) == 2 and not month_first.equals(day_first):
        readings = [dates for dates in readings if _keeps_step(dates)]
        if len(readings) != 1:
            row = int(np.flatnonzero((month_first != day_first).to_numpy())[0])
            raise _not_dates(
                columns, name, f"{text.iloc[row]!r} is {month_first.iloc[row].date()} or {day_first.iloc[row].date()}"
            )
    return readings[0] if readings else month_first


def _keeps_step(dates: pd.Series) -> bool:
    """Whether dates lie on one day of their months, or at one distance."""
    unique = dates.drop_duplicates().sort_values()
    return len(set(unique.dt.day)) == 1 or len(set(unique.diff().dropna())) == 1


def _require_one_zone(text: pd.Series, columns: list[str], name: str, first_row: int) -> None:
    """Refuse dates of which some are in one time zone and some in another, or in none."""
    offsets = text.astype(str).str.extract(OFFSET, expand=False).fillna("no zone")
    other = np.flatnonzero((offsets != offsets.iloc[0]).to_numpy())
    # A value that is no date at all has no zone either, and is told as such.
    if len(other) and pd.notna(pd.to_datetime(str(text.iloc[other[0]]), utc=True, errors="coerce")):
        raise DataError(
            f"{name}: column {','.join(columns)} holds dates of several time zones ({offsets.iloc[0]} at first, "
            f"{offsets.iloc[other[0]]} in row {first_row + other[0]}), expected one; write all of them in UTC."
        )


def _not_dates(columns: Sequence[str], name: str, reason: str) -> DataError:
    return DataError(
        f"{name}: column {','.join(columns)} does not read as dates ({reason}); expected dates such as 2001-02-03, or "
        "columns year,month,day."
    )
