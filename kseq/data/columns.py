"""Which column is what: dates, series, targets, and covariates of the past, of the future and of no time at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kseq.errors import DataError, Parameter

#: Names under which a file's time column is found when the user names none.
TIME_NAMES = ("ds", "date", "time", "datetime", "timestamp")

#: Text that begins with a date: 1949-01, 1949/1/31, 31.1.1949.
DATE = r"\s*(?:\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(?:[T\s]|$)"

#: Name under which the column that tells series apart is found when the user names none.
ID_NAME = "unique_id"

#: How columns may be named: one by its name, or several.
Names = str | Sequence[str] | None


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
        features: Sequence[str] = (),
        future: Sequence[str] = (),
        static: Sequence[str] = (),
        every_number: bool = False,
    ) -> "Roles":
        """Find the columns that are named, and those that need no naming.

        Args:
            frame: what holds the columns; of its rows the first and the last are looked at, for dates.
            name: of the data, for messages.
            time: columns of dates; None for one of :data:`TIME_NAMES`, or the first column that holds dates, if there
                is one.
            id: column that tells series apart; None for ``unique_id``, if there is one.
            target: columns to forecast; None for ``y``, or the only column of numbers.
            features: past covariates.
            future: future covariates.
            static: static covariates.
            every_number: whether, where no target is named, all columns of numbers are targets.

        Returns:
            Roles: all of them columns of the frame.

        Raises:
            DataError: a column is not there, has two roles that exclude each other, or no target can be found.
        """
        repeated = frame.columns[frame.columns.duplicated()]
        if len(repeated):
            raise DataError(f"{name}: received several columns {repeated[0]!r}, expected names that differ.")
        times = _listed(time)
        if time is None:
            times = [column for column in frame.columns if str(column).lower() in TIME_NAMES][:1]
            named = {id or ID_NAME, *_listed(target), *features, *future, *static}
            others = [column for column in frame.columns if column not in named]
            # Of columns under other names the one that holds dates, unless the frame's index does.
            if not times and not isinstance(frame.index, pd.DatetimeIndex):
                times = [column for column in others if _holds_dates(frame[column])][:1]
        require_columns(frame, times, name)
        if id is None and ID_NAME in frame.columns:
            id = ID_NAME
        elif id is not None:
            require_columns(frame, [id], name)
        taken = [*times, *([id] if id is not None else []), *features, *future, *static]
        targets = _targets(frame, target, taken, every_number, name)
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
        exclusive = (
            ("target", self.targets, "future covariate", self.future),
            ("past covariate", self.features, "future covariate", self.future),
            ("static covariate", self.static, "column that changes with time", self.numbers),
        )
        for one, columns, other, others in exclusive:
            both = [column for column in columns if column in others]
            if both:
                raise DataError(f"{name}: received {both[0]!r} as {one} and as {other}, expected one of the two.")


def _holds_dates(column: pd.Series) -> bool:
    """Whether a column is of dates, or of text that begins and ends with one."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if len(column) < 2 or pd.api.types.is_numeric_dtype(column):
        return False
    ends = [column.iloc[0], column.iloc[-1]]
    return ends[0] != ends[1] and all(isinstance(text, str) and re.match(DATE, text) is not None for text in ends)


def require_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Refuse a column that the frame does not have."""
    for column in columns:
        if column not in frame.columns:
            have = ", ".join(map(str, frame.columns))
            raise DataError(f"{name}: received column {column!r}, expected one of: {have}.")


def numbers(column: pd.Series, name: str, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """Return a column's values as floats; blanks become NaN, text is refused.

    Args:
        column: the values.
        name: name of the data, for messages.
        rows: number of each value's row in its file, for messages; None to count from 0.

    Raises:
        DataError: a value is text, or the column holds dates or durations.
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype) or getattr(column.dtype, "kind", "") in "mM":
        raise DataError(
            f"{name}: column {column.name!r} holds {'durations' if column.dtype.kind == 'm' else 'dates'}, expected "
            "numbers; convert them, such as to hours, or choose another column."
        )
    values = pd.to_numeric(column, errors="coerce")
    text = values.isna() & column.notna()
    if text.any():
        row = int(np.flatnonzero(text)[0])
        raise DataError(
            f"{name}: column {column.name!r} holds text ({str(column.iloc[row])!r} in row "
            f"{row if rows is None else rows[row]}, {int(text.sum())} in all); expected numbers: mend the file or "
            "choose another column."
        )
    return values.to_numpy(dtype="float64", na_value=np.nan)


def unit_of(column: str) -> str:
    """Read the unit off a column's name where it ends in one."""
    for ending, unit in (("deg C", "°C"), ("degC", "°C"), ("°C", "°C"), ("celsius", "°C"), ("kelvin", "K")):
        if column.lower().endswith(ending.lower()):
            return unit
    return ""


def _listed(names: Names) -> list[str]:
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def _targets(frame: pd.DataFrame, target: Names, taken: Sequence[str], every_number: bool, name: str) -> list[str]:
    if target is not None:
        return _listed(target)
    rest = [column for column in frame.columns if column not in taken]
    if "y" in rest and not every_number:
        return ["y"]
    numeric = [column for column in rest if pd.api.types.is_numeric_dtype(frame[column])]
    if len(numeric) == 1 or (every_number and numeric):
        return numeric
    raise DataError(
        f"{name}: no target named and {len(numeric)} numeric columns to choose from; name one with ",
        Parameter("target"),
        f": {', '.join(map(str, numeric or rest)) or 'none found'}.",
    )
