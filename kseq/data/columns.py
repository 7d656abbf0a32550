"""Which column is what: dates, series, targets, and covariates of the past, of the future and of no time at all."""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import dates
from kseq.data._date_numbers import dates_of_numbers
from kseq.data._date_text import is_date
from kseq.data._mending import Mendable
from kseq.data._options import Names
from kseq.errors import DataError, Parameter

#: Names under which a file's time column is found when the user names none.
TIME_NAMES = ("ds", "datetime", "timestamp", "date", "time")

#: What a user says of rows without dates.
NO_TIME = "none"

#: Further names of columns of dates: where such a column holds text that is no date, that is told.
DATE_WORDS = (
    "month", "quarter", "datum", "monat", "mois", "fecha", "mes", "mese", "maand", "дата", "месяц", "日期", "日付",
)  # fmt: skip

#: Share of steps that are the usual one from which on numbers that may be dates are taken for some.
EVEN = 0.7

#: Share of steps that must go up: one down stands between two series.
RISING = 0.8

#: Whole numbers whose digits a comma groups by three.
_GROUPED = r"[+-]?\d{1,3}(,\d{3})+"

#: Name under which the column that tells series apart is found when the user names none.
ID_NAME = "unique_id"


@dataclass(frozen=True)
class Roles:
    """Columns of a frame by what they are; :attr:`time` is empty where rows are only numbered."""

    time: tuple[str, ...]
    id: str | None
    targets: tuple[str, ...]
    features: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]

    @classmethod
    def find(
        cls,
        frame: pd.DataFrame,
        name: str,
        *,
        time: Names = None,
        id: str | None = None,
        target: Names = None,
        features: Names = (),
        future: Names = (),
        static: Names = (),
        every_number: bool = False,
    ) -> "Roles":
        """Find the columns that are named, and those that need no naming.

        Args:
            frame: Frame that holds the columns; of its rows the first and the last are looked at, for dates.
            name: Name of the data, for messages.
            time: Columns of dates; None for one of :data:`TIME_NAMES`, or the first column that holds dates, if there
                is one.
            id: Column that tells series apart; None for ``unique_id``, if there is one.
            target: Columns to forecast; None for ``y``, or the only column of numbers.
            features: Past covariates.
            future: Future covariates.
            static: Static covariates.
            every_number: Whether, where no target is named, all columns of numbers are targets.

        Returns:
            Roles: All of them columns of the frame.

        Raises:
            DataError: A column is not there, has two roles that exclude each other, or no target can be found.
        """
        repeated = frame.columns[frame.columns.duplicated()]
        if len(repeated):
            raise DataError(f"{name}: received several columns {repeated[0]!r}, expected names that differ.")
        times = [] if listed(time) == [NO_TIME] and NO_TIME not in frame.columns else listed(time)
        features, future, static = listed(features), listed(future), listed(static)
        if time is None:
            named = {id or ID_NAME, *listed(target), *features, *future, *static}
            times = time_columns(frame, named)
        require_columns(frame, times, name)
        if id is None and ID_NAME in frame.columns:
            id = ID_NAME
        elif id is not None:
            require_columns(frame, [id], name)
        taken = [*times, *([id, *id.split(",")] if id is not None else []), *features, *future, *static]
        targets = _targets(frame, target, taken, every_number, name, () if id else times)
        require_columns(frame, [*targets, *features, *future, *static], name)
        roles = cls(tuple(times), id, tuple(targets), tuple(features), tuple(future), tuple(static))
        roles._require_apart(name)
        return roles

    @property
    def numbers(self) -> list[str]:
        """Columns that change with time: targets, features and future covariates, each once."""
        return list(dict.fromkeys([*self.targets, *self.features, *self.future]))

    @property
    def columns(self) -> list[str]:
        """All columns, each once."""
        parts = [*self.time, *([] if self.id is None else [self.id]), *self.numbers, *self.static]
        return list(dict.fromkeys(parts))

    def _require_apart(self, name: str) -> None:
        """Refuse a column of two roles: what is forecast is not known ahead, and what is static does not change."""
        for role in (self.time, self.targets, self.features, self.future, self.static):
            twice = [column for at, column in enumerate(role) if column in role[:at]]
            if twice:
                raise DataError(f"{name}: received column {twice[0]!r} twice, expected each once.")
        exclusive = (
            ("target", self.targets, "future covariate", self.future),
            ("past covariate", self.features, "future covariate", self.future),
            ("static covariate", self.static, "column that changes with time", self.numbers),
        )
        for one, columns, other, others in exclusive:
            both = [column for column in columns if column in others]
            if both:
                raise DataError(f"{name}: received {both[0]!r} as {one} and as {other}, expected one of the two.")


def time_columns(frame: pd.DataFrame, named: set[str]) -> list[str]:
    """Columns of dates that their user does not name: by their names, or by what they hold."""
    names = {str(column).strip().lower(): column for column in reversed(frame.columns)}
    found = [names[name] for name in TIME_NAMES if name in names][:1]
    others = [column for column in frame.columns if column not in named]
    if not found:
        parts = dates.parts_of([column for column in others if dates.part_of(str(column))])
        if "month" in parts and _are_whole(frame, list(parts.values())):
            return list(parts.values())
    # Of columns under other names the one that holds dates, unless the frame's index does.
    if not found and not isinstance(frame.index, pd.DatetimeIndex):
        found = [column for column in others if _holds_dates(frame[column])][:1]
    if not found:
        year = [column for column in others if dates.part_of(str(column)) == "year"]
        if year and _are_whole(frame, year[:1]) and frame[year[0]].min() >= 1500:
            return year[:1]
        found = [column for column in others if _counts_time(frame, column)][:1]
        if found and sum(map(pd.api.types.is_numeric_dtype, frame[others].dtypes)) > 1:
            return found
        # Text that is told where it is no date: under a name of dates, or with other digits in each row.
        texts = [column for column in others if _is_text(frame[column])]
        words = [column for column in texts if str(column).strip().lower() in DATE_WORDS]
        return [*words, *(column for column in texts if _differs_by_digits(frame[column]))][:1]
    days = frame[found[0]]
    if len(days) > 1 and days.iloc[0] == days.iloc[1]:
        # A day in several rows: the time of the day stands beside it.
        clock = [column for column in others if str(column).strip().lower() in dates.TIMES and column != found[0]]
        return [*found, *clock[:1]]
    return found


def _counts_time(frame: pd.DataFrame, column: str) -> bool:
    """Whether a column's numbers are those of dates: they rise in even steps, and read as 200102 or seconds since 1970.

    Where one series stands below the other they begin again, a few times.

    Decimal years look like many other numbers, and are known by a name with "year" in it.
    """
    values = frame[column]
    if not pd.api.types.is_numeric_dtype(values) or getattr(values.dtype, "kind", "") in "bc" or len(values) < 4:
        return False
    numbers = values.to_numpy(dtype="float64", na_value=np.nan)
    if not np.isfinite(numbers).all():
        return False
    rises = np.diff(numbers) > 0
    if np.mean(rises) < RISING:
        return False
    whole = bool((numbers == np.floor(numbers)).all())
    if numbers.min() < 10**5 if whole else "year" not in str(column).lower():
        return False
    read, words = dates_of_numbers(numbers)
    if not isinstance(read, pd.DatetimeIndex) or not words:
        return False
    steps = np.diff(read.to_numpy()).astype("float64")[rises]
    return bool(np.mean(np.abs(steps / np.median(steps) - 1) < 0.15) >= EVEN)


def _differs_by_digits(column: pd.Series) -> bool:
    """Whether text holds digits in nearly each row, and no row is like another, as those of dates are."""
    rows = column.iloc[:1000]
    if not len(rows) or not isinstance(rows.iloc[0], str):
        return False
    digits = rows.astype(str).str.contains(r"\d")
    return len(rows) > 3 and rows.is_unique and digits.mean() > 0.9 and not _mostly_numbers(rows)


def _is_text(column: pd.Series) -> bool:
    return pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)


def _are_whole(frame: pd.DataFrame, columns: Sequence[str]) -> bool:
    return len(frame) > 0 and all(pd.api.types.is_integer_dtype(frame[column]) for column in columns)


def _holds_dates(column: pd.Series) -> bool:
    """Whether a column is of dates, or of text that begins and ends with one."""
    if pd.api.types.is_datetime64_any_dtype(column) or isinstance(column.dtype, pd.PeriodDtype):
        return True
    if len(column) < 2 or pd.api.types.is_numeric_dtype(column):
        return False
    first, second, last = column.iloc[0], column.iloc[1], column.iloc[-1]
    # The last row may be a footnote.
    ends = [first, last if isinstance(last, str) and is_date(last) else second]
    return ends[0] != ends[1] and all(isinstance(text, str) and is_date(text) for text in ends)


def require_hashable(column: pd.Series, name: str) -> None:
    """Refuse ids that are lists or the like."""
    if len(column) and isinstance(column.iloc[0], list | dict | set | np.ndarray):
        raise DataError(
            f"{name}: column {column.name!r} holds values of type {type(column.iloc[0]).__name__}, expected text or "
            "numbers as ids."
        )


def require_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Refuse a column that the frame does not have."""
    for column in columns:
        if column not in frame.columns:
            have = ", ".join(map(str, frame.columns))
            raise DataError(f"{name}: received column {column!r}, expected one of: {have}.")


def numbers(
    column: pd.Series,
    name: str,
    rows: Sequence[int] | np.ndarray | None = None,
    missing: Sequence[float] | np.ndarray = (),
) -> np.ndarray:
    """Return a column's values as floats; blanks become NaN, text is refused.

    Args:
        column: The values.
        name: Name of the data, for messages.
        rows: Number of each value's row in its file, for messages; None to count from 0.
        missing: Numbers that stand for missing values.

    Raises:
        DataError: A value is text, or the column holds dates or durations.
    """
    times = isinstance(column.dtype, pd.DatetimeTZDtype | pd.PeriodDtype | pd.IntervalDtype)
    if times or getattr(column.dtype, "kind", "") in "mM":
        raise DataError(
            f"{name}: column {column.name!r} holds {'durations' if column.dtype.kind == 'm' else 'dates'}, expected "
            "numbers; convert them, such as to hours, or choose another column."
        )
    if pd.api.types.is_complex_dtype(column):
        raise DataError(f"{name}: column {column.name!r} holds complex numbers, expected real ones; take one part.")
    values = pd.to_numeric(column, errors="coerce")
    text = values.isna() & column.notna()
    if text.any():
        raise _text_among(column, text.to_numpy(), name, rows)
    result = values.to_numpy(dtype="float64", na_value=np.nan)
    if len(missing):
        result = np.where(np.isin(result, missing), np.nan, result)
    return result


def _text_among(column: pd.Series, text: np.ndarray, name: str, rows: Sequence[int] | np.ndarray | None) -> DataError:
    """Say which text stands among numbers, and which option makes numbers or missing values of it."""
    places = np.flatnonzero(text)
    values = [str(column.iloc[int(place)]).strip() for place in places[:1000]]
    kinds = list(dict.fromkeys(values))
    remedies: list[dict[str, Any]] = []
    if any("," in value for value in kinds):
        remedies += [{"decimal": ","}, {"thousands": ","}]
        if all(re.fullmatch(_GROUPED, value) for value in kinds):
            remedies.reverse()
    remedies += [{"thousands": mark} for mark in (".", " ", "'") if any(mark in value for value in kinds)]
    # A footnote stands in the last rows.
    after = len(column) - int(places[0])
    if after <= 20:
        remedies += [{"skip_footer": lines} for lines in range(after, after + 4)]
    # What stands above a table stands in the first rows, its names in the last of them.
    above = int(places[-1]) + 1
    letters = any(map(re.compile(r"[^\W\d_]").search, kinds))
    if letters and above <= 20 and not pd.to_numeric(column.iloc[:above], errors="coerce").notna().any():
        remedies += [{"skip_rows": lines} for lines in range(above, above + 5)]
    elif len(kinds) <= 5 and not any(map(re.compile(r"\d").search, kinds)):
        remedies.append({"missing": tuple(kinds)})
    number = int(places[0])
    return Mendable(
        f"{name}: column {column.name!r} holds text ({values[0]!r} in row {number if rows is None else rows[number]}, "
        f"{len(places)} in all), expected numbers",
        remedies=remedies,
        otherwise=("mend the data or choose another column",),
    )


def unit_of(column: str) -> str:
    """Read the unit off a column's name where it ends in one."""
    for ending, unit in (("deg C", "°C"), ("degC", "°C"), ("°C", "°C"), ("celsius", "°C"), ("kelvin", "K")):
        if column.lower().endswith(ending.lower()):
            return unit
    return ""


def listed(names: Names) -> list[str]:
    """Names as a list, of one alone too."""
    if names is None:
        return []
    return [str(names)] if isinstance(names, str) or not isinstance(names, Iterable) else list(names)


def id_remedies(frame: pd.DataFrame, times: Sequence[str]) -> list[dict[str, Any]]:
    """Options that name the column of ids, or two, or the parts of a year, where dates stand in several rows."""
    if not times or not len(frame) or not frame.duplicated(subset=list(times)).any():
        return []
    others = [column for column in frame.columns if column not in times]
    texts = [column for column in others if isinstance(next(iter(frame[column].dropna()), None), str)]
    texts = [column for column in texts if not _mostly_numbers(frame[column])]
    whole = [column for column in others if pd.api.types.is_integer_dtype(frame[column])]
    pairs = [",".join(pair) for pair in itertools.combinations([*texts, *whole][:4], 2)]
    known = [column for column in [*texts, *whole, *pairs] if not _apart(frame, times, column)]
    yearly = len(times) == 1 and dates.part_of(times[0]) == "year"
    parts = [{"time": [times[0], column]} for column in [*texts, *whole]] if yearly else []
    return [*parts, *({"id": column} for column in known if dates.part_of(column) is None)]


def _apart(frame: pd.DataFrame, times: Sequence[str], ids: str) -> bool:
    """Whether a date still stands in several rows of one id, or each id in a row or two."""
    columns = [ids] if ids in frame.columns else ids.split(",")
    groups = len(frame[columns].drop_duplicates())
    return frame.duplicated(subset=[*times, *columns]).any() or len(frame) < 4 * groups


def _targets(
    frame: pd.DataFrame, target: Names, taken: Sequence[str], every_number: bool, name: str, times: Sequence[str]
) -> list[str]:
    if target is not None:
        return listed(target)
    rest = [column for column in frame.columns if column not in taken and not _counts_rows(frame, column)]
    if "y" in rest and not every_number:
        return ["y"]
    numeric = [column for column in rest if pd.api.types.is_numeric_dtype(frame[column])]
    # A column without a value is none, unless there is nothing else.
    if not every_number:
        numeric = [column for column in numeric if not len(frame) or frame[column].notna().any()] or numeric
    # Text among numbers is told where it is met; another column is no target in its place.
    spoilt = [column for column in rest if column not in numeric and _mostly_numbers(frame[column])]
    if len(numeric) + len(spoilt) == 1:
        return numeric + spoilt
    if every_number and numeric:
        return numeric
    listed_columns = f": {', '.join(map(str, (numeric or rest)[:12])) or 'none found'}"
    further = [] if numeric else ["; where a table begins further down its file, give ", Parameter("skip_rows")]
    raise Mendable(
        f"{name}: no target named and {len(numeric)} numeric columns to choose from",
        remedies=id_remedies(frame, times),
        otherwise=("name one with ", Parameter("target"), listed_columns, *further),
    )


def _counts_rows(frame: pd.DataFrame, column: str) -> bool:
    """Whether a column without a name of its own counts the rows, as the index of a DataFrame that was written."""
    if str(column) not in ("", "index", "Unnamed: 0") or not pd.api.types.is_integer_dtype(frame[column]):
        return False
    values = frame[column].to_numpy()
    return len(values) > 0 and bool((np.diff(values) == 1).all()) and values[0] in (0, 1)


def _mostly_numbers(column: pd.Series) -> bool:
    """Whether most values of a column of text are numbers."""
    if pd.api.types.is_numeric_dtype(column) or getattr(column.dtype, "kind", "") in "mM" or not len(column):
        return False
    if not _is_text(column):
        return False
    known = column.dropna().astype(str).str.strip()
    plain = known.str.replace(r"(?<=\d)[., '](?=\d)|^[$€£¥]\s*|\s*[%€]$", "", regex=True)
    return len(known) > 0 and pd.to_numeric(plain, errors="coerce").notna().mean() > 0.5
