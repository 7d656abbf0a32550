"""Dates out of columns: of text, of numbers, of parts in several columns."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import _date_text
from kseq.data._date_numbers import SERIALS, dates_of_numbers, of_serials
from kseq.data._date_text import no_dates
from kseq.data._mending import Mendable
from kseq.data._options import Cells
from kseq.errors import DataError

#: Parts of a date that may stand in columns of their own, and what they may be called.
DATE_PARTS = {
    "year": ("year", "yr", "yyyy", "yy", "jahr", "annee", "año"),
    "month": ("month", "mon", "mo", "mm", "monat"),
    "day": ("day", "dy", "dd", "dom", "tag"),
    "hour": ("hour", "hr", "hh", "stunde"),
    "minute": ("minute", "min", "mn"),
    "second": ("second", "sec", "ss"),
    "quarter": ("quarter", "qtr", "quartal", "trimestre"),
    "week": ("week", "wk", "kw", "woche", "semaine", "semana"),
    "doy": ("doy", "dayofyear", "day_of_year", "yday", "jday"),
}

#: Beginnings of names of columns whose numbers are dates.
_DATED = re.compile("date|datum|fecha|dato|日付", re.IGNORECASE)

#: What a user says of days as spreadsheets count them.
EXCEL = "excel"

#: Columns of times of the day.
TIMES = ("time", "hour", "hr", "hh", "hhmm", "hh:mm", "uhrzeit", "zeit", "stunde", "heure", "hora")


def part_of(column: str) -> str | None:
    """Which part of a date a column holds, by its name; None for none."""
    name = column.strip("# ").lower()
    if column.strip("# ") == "mm":
        # Beside MM, the month.
        return "minute"
    return next((part for part, names in DATE_PARTS.items() if name in names), None)


def parts_of(columns: Sequence[str]) -> dict[str, str]:
    """Columns by the part of a date that they hold; empty unless each holds one, and a year is among them."""
    parts: dict[str, str] = {}
    for column in columns:
        part = part_of(column)
        if part == "minute" and column.strip("# ") == "mm" and "month" not in parts:
            part = "month"
        if part is None or part in parts:
            return {}
        parts[part] = column
    return parts if "year" in parts else {}


def read_dates(
    frame: pd.DataFrame, columns: Sequence[str], name: str, rows: Sequence[int] | np.ndarray | None = None,
    cells: Cells | None = None, told: list[str] | None = None,
) -> pd.Index:  # fmt: skip
    """Make dates of one column, or of several that hold parts of a date.

    Args:
        frame: Frame that holds the columns.
        columns: One column of dates; columns of the parts of a date (:data:`DATE_PARTS`); a date and the hour or the
            time of the day; or several whose texts make a date together.
        name: Name of the data, for messages.
        rows: Number of each row of the frame in its file, for messages; None to count from 0.
        cells: What the user says of dates.
        told: Takes phrases on what was found.

    Returns:
        pd.Index: Dates, in the time zone that the column names, if any; whole numbers where these count steps.

    Raises:
        DataError: A value is no date, there is none in a row, or some rows name a time zone and some do not.
    """
    cells, told = cells or Cells(), [] if told is None else told
    columns, rows = list(columns), range(len(frame)) if rows is None else rows
    for column in columns:
        if pd.api.types.is_complex_dtype(frame[column]):
            raise no_dates(columns, name, f"{column!r} holds complex numbers")
        present = frame[column].notna().to_numpy()
        if not present.all():
            lacking = int(np.flatnonzero(~present)[0])
            raise Mendable(
                f"{name}: no date in row {rows[lacking]} of column {','.join(columns)}, expected one in each row",
                remedies=_footers(frame, lacking),
                otherwise=("leave such rows out",),
            )
    parts = parts_of(columns) if len(columns) > 1 or pd.api.types.is_numeric_dtype(frame[columns[0]]) else {}
    if set(parts) == {"year"} and not _are_years(frame[columns[0]]):
        parts = {}
    if not parts and len(columns) > 1 and all(map(part_of, columns)):
        raise no_dates(columns, name, "no year among the columns")
    if parts and cells.date_format is None:
        dates: pd.Index | pd.Series = _from_parts(frame, parts, columns, name)
    elif len(columns) == 2 and cells.date_format is None and pd.api.types.is_numeric_dtype(frame[columns[1]]):
        dates = _with_hours(frame, columns, name, rows, cells, told)
    else:
        dates = _of_one(frame, columns, name, rows, cells, told)
    bad = np.flatnonzero(dates.isna())
    if len(bad):
        _require_one_zone(_joined(frame, columns), columns, name, rows)
        first, row = (" ".join(map(str, frame[columns].iloc[at])) for at in (0, int(bad[0])))
        shown = f"; the first row holds {first!r}" if bad[0] else ""
        remedies = _footers(frame, int(bad[0])) if bad[0] else []
        raise no_dates(columns, name, f"{row!r} in row {rows[bad[0]]}, {len(bad)} in all{shown}", remedies)
    if not isinstance(dates, pd.Series) and not isinstance(dates, pd.DatetimeIndex):
        return dates
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
    if isinstance(index, pd.DatetimeIndex) or index.name is not None:
        return lambda row: str(index[row]).removesuffix(" 00:00:00")
    return lambda row: f"row {row}"


def _are_years(column: pd.Series) -> bool:
    values = column.to_numpy()
    return bool((values == np.floor(values)).all() and values.min() >= 1500 and values.max() <= 2300)


def _joined(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    text = frame[columns[0]].astype(str)
    for column in columns[1:]:
        text = text + " " + frame[column].astype(str)
    return text


def _of_one(
    frame: pd.DataFrame, columns: list[str], name: str, rows: Sequence[int] | np.ndarray, cells: Cells, told: list[str]
) -> pd.Index | pd.Series:
    """Dates of one column, or of the texts of several; NaT where a value is none."""
    values = frame[columns[0]]
    if len(columns) == 1:
        if isinstance(values.dtype, pd.PeriodDtype):
            return values.dt.to_timestamp()
        if pd.api.types.is_datetime64_any_dtype(values):
            return values
        if pd.api.types.is_timedelta64_dtype(values):
            raise no_dates(columns, name, f"{columns[0]!r} holds durations such as {values.iloc[0]}")
        if pd.api.types.is_bool_dtype(values):
            raise no_dates(columns, name, f"{columns[0]!r} holds {values.iloc[0]}")
        if pd.api.types.is_numeric_dtype(values) and cells.date_format in (None, EXCEL):
            dates, how = _of_numbers(values, cells)
            if dates is None:
                raise no_dates(
                    columns, name, f"{columns[0]!r} holds numbers such as {values.iloc[0]}", serial_remedies(values)
                )
            if isinstance(dates, pd.DatetimeIndex):
                told.append(how)
            return dates
        if pd.api.types.is_object_dtype(values) and not isinstance(values.iloc[0], str):
            return _of_objects(values, columns, name, rows)
    text = _joined(frame, columns)
    if cells.date_format is None and len(columns) == 1 and text.iloc[0].strip().isdigit():
        numbers = pd.to_numeric(text, errors="coerce")
        dates, how = _of_numbers(numbers, cells) if numbers.notna().all() else (None, "")
        if dates is not None:
            told += [how] if isinstance(dates, pd.DatetimeIndex) else []
            return dates
    found = _date_text.read(text, columns, name, cells.date_format, cells.dayfirst)
    told += [found.told] if found.told else []
    if found.dates.isna().any():
        return found.dates
    if found.dates.dt.tz is not None and text.iloc[0].strip()[-1:] != "Z":
        offsets = text.str.extract(_date_text.OFFSET, expand=False)
        told += ["changing offsets, in UTC"] if (offsets != offsets.iloc[0]).any() else []
    return found.dates


def _of_numbers(values: pd.Series, cells: Cells) -> tuple[pd.Index | None, str]:
    numbers = values.to_numpy(dtype="float64")
    if cells.date_format == EXCEL:
        return of_serials(numbers), ""
    return dates_of_numbers(numbers, dated=_DATED.match(str(values.name).strip()) is not None)


def serial_remedies(numbers: Any) -> list[dict[str, Any]]:
    """The option for days as spreadsheets count them, where numbers may be some."""
    return [{"date_format": EXCEL}] if SERIALS[0] <= numbers.min() and numbers.max() <= SERIALS[1] else []


def _of_objects(
    values: pd.Series, columns: list[str], name: str, rows: Sequence[int] | np.ndarray
) -> pd.Index | pd.Series:
    """Dates of objects: of Python, of pandas, periods."""
    if isinstance(values.iloc[0], pd.Period):
        return pd.Series([value.to_timestamp() for value in values], index=values.index)
    zones = {str(getattr(value, "tzinfo", None)) for value in values}
    if len(zones) > 1:
        text = values.astype(str)
        _require_one_zone(text, columns, name, rows)
        return pd.to_datetime(values, utc=True, errors="coerce")
    try:
        return pd.to_datetime(values, errors="coerce")
    except (ValueError, TypeError, OverflowError) as error:
        raise no_dates(columns, name, str(error).strip().splitlines()[0].split(". ")[0]) from error


def _from_parts(frame: pd.DataFrame, parts: dict[str, str], columns: list[str], name: str) -> pd.Series:
    """Dates of columns such as year, month and day; NaT where they make none; hour 24 begins the next day."""
    values = {part: pd.to_numeric(frame[column], errors="coerce") for part, column in parts.items()}
    if (values["year"] < 100).any():
        raise no_dates(columns, name, f"a year of {values['year'].iloc[0]:g}")
    if "month" in values and values["month"].isna().all():
        text = frame[parts["month"]].astype(str)
        values["month"] = text.map(_date_text.month_of)
    next_day = values["hour"] == 24 if "hour" in values else None
    if next_day is not None and next_day.any():
        values["hour"] = values["hour"].where(~next_day, 0)
    days, week, quarter = (values.pop(part, None) for part in ("doy", "week", "quarter"))
    if quarter is not None:
        text = frame[parts["quarter"]].astype(str).str.strip(" Qq.")
        quarter = pd.to_numeric(text, errors="coerce")
        values["month"] = (quarter * 3 - 2).where(quarter.isin([1, 2, 3, 4]))
    if week is not None:
        written = values["year"].astype(str) + "-" + week.astype(str).str.zfill(2) + "-1"
        return pd.to_datetime(written, format="%G-%V-%u", errors="coerce")
    dates = pd.to_datetime(pd.DataFrame({"month": 1, "day": 1} | values, index=frame.index), errors="coerce")
    if days is not None:
        dates = (dates + pd.to_timedelta(days - 1, unit="D")).where(days.between(1, 366))
    return dates if next_day is None else dates.where(~next_day, dates + pd.Timedelta(days=1))


def _with_hours(
    frame: pd.DataFrame, columns: list[str], name: str, rows: Sequence[int] | np.ndarray, cells: Cells, told: list[str]
) -> pd.Series:
    """Dates in one column, hours in another: 0 to 23, 1 to 24, or as HHMM."""
    days = _of_one(frame, columns[:1], name, rows, cells, told)
    hours = frame[columns[1]].to_numpy(dtype="float64")
    if not isinstance(days, pd.Series | pd.DatetimeIndex):
        raise no_dates(columns, name, f"{columns[0]!r} holds numbers such as {days[0]}")
    if (pd.DatetimeIndex(days).day_of_year == 1).all() and days.min() != days.max():
        raise no_dates(columns, name, f"{columns[0]!r} holds years, and {columns[1]!r} no part of them by its name")
    clock = hours // 100 + hours % 100 / 60 if hours.max() > 24 else hours
    bad = (clock < 0) | (clock > 24) | ((hours.max() > 24) & (hours % 100 >= 60))
    if bad.any():
        row = int(bad.argmax())
        raise no_dates(columns, name, f"{columns[1]!r} holds {hours[row]:g} in row {rows[row]}, no hour of a day")
    told += ["hours as HHMM"] if hours.max() > 24 else []
    dates = pd.Series(days, index=frame.index) if isinstance(days, pd.DatetimeIndex) else days
    return dates + pd.to_timedelta(np.rint(clock * 3600), unit="s")


def _require_one_zone(text: pd.Series, columns: Sequence[str], name: str, rows: Sequence[int] | np.ndarray) -> None:
    """Refuse dates of which some name a time zone and some do not."""
    offsets = text.astype(str).str.extract(_date_text.OFFSET, expand=False).fillna("no zone")
    other = np.flatnonzero(((offsets == "no zone") != (offsets.iloc[0] == "no zone")).to_numpy())
    # A value that is no date at all has no zone either, and is told as such.
    if len(other) and pd.notna(pd.to_datetime(str(text.iloc[other[0]]), utc=True, errors="coerce")):
        raise DataError(
            f"{name}: column {','.join(columns)} holds dates of several time zones ({offsets.iloc[0]} at first, "
            f"{offsets.iloc[other[0]]} in row {rows[other[0]]}), expected one; write all of them in UTC."
        )


def _footers(frame: pd.DataFrame, row: int) -> list[dict[str, Any]]:
    """Options that leave out a footnote that begins at a row."""
    after = len(frame) - row
    return [{"skip_footer": lines} for lines in range(after, after + 4)] if after <= 20 else []
