"""The rows of a panel while it is read: taken in batch by batch, then sorted, checked and filled.

A batch is parsed as a single series is, and goes into arrays that were made for all rows beforehand: what a panel takes
in memory is 4 bytes a value, 8 a date and, while it is read, 4 an id.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from kseq.errors import DataError
from kseq.data import frequency, files, mixtures
from kseq.data.dates import clock_hint, placing, read_dates
from kseq.data.missing import fill_values, mask_note, require_none_missing
from kseq.data.panel import Panel
from kseq.data.columns import Roles, unit_of


class Rows:
    """All rows of a panel to be: filled batch by batch, then sorted and checked.

    Args:
        roles: the columns.
        rows: how many rows there will be.
        name: of the panel.
    """

    def __init__(self, roles: Roles, rows: int, name: str):
        self.roles = roles
        self.name = name
        self.values = np.empty((rows, len(roles.numbers)), dtype="float32")
        self.codes = np.empty(rows, dtype="int32")
        self.dates: np.ndarray | None = None
        self.zone: Any = None
        #: Number of each id, in the order in which they come.
        self.known: dict[Any, int] = {}
        self.static: dict[str, list[Any]] = {column: [] for column in roles.static}
        self.filled = 0

    def add(self, frame: pd.DataFrame) -> None:
        """Take in the next rows."""
        rows = slice(self.filled, self.filled + len(frame))
        self._add_dates(frame, rows)
        for at, column in enumerate(self.roles.numbers):
            with np.errstate(over="ignore"):
                self.values[rows, at] = files.numbers(frame[column], self.name, rows.start)
        codes, ids = pd.factorize(frame[self.roles.id])
        if (codes < 0).any():
            row = rows.start + int((codes < 0).argmax())
            raise DataError(f"{self.name}: no id in row {row} of column {self.roles.id!r}; expected one in each row.")
        before = len(self.known)
        numbers = np.array([self.known.setdefault(id, len(self.known)) for id in ids], dtype="int32")
        self.codes[rows] = numbers[codes]
        self._add_static(frame, self.codes[rows], before)
        self.filled = rows.stop

    def _add_dates(self, frame: pd.DataFrame, rows: slice) -> None:
        if self.roles.time:
            dates: pd.Index = read_dates(frame, self.roles.time, self.name, rows.start)
        else:
            dates = frame.index
        if not isinstance(dates, pd.DatetimeIndex):
            return
        if self.dates is None:
            self.zone = dates.tz
            self.dates = np.empty(len(self.codes), dtype=f"datetime64[{dates.unit}]")
        if str(dates.tz) != str(self.zone):
            raise DataError(
                f"{self.name}: dates are of several time zones ({self.zone} at first, {dates.tz} from row {rows.start} "
                "on), expected one; write all of them in UTC."
            )
        self.dates[rows] = dates.tz_localize(None) if dates.tz is None else dates.tz_convert("UTC").tz_localize(None)

    def _add_static(self, frame: pd.DataFrame, codes: np.ndarray, before: int) -> None:
        """Keep the first value of each new series, and refuse another one later on."""
        if not self.static:
            return
        firsts = np.unique(codes, return_index=True)[1]
        new = firsts[codes[firsts] >= before]
        for column, kept in self.static.items():
            values = frame[column]
            kept.extend(values.iloc[new].tolist())
            expected = pd.Series(kept).to_numpy()[codes]
            other = np.flatnonzero((values.to_numpy() != expected) | values.isna().to_numpy())
            if len(other):
                id = list(self.known)[codes[other[0]]]
                raise DataError(
                    f"{self.name}: static covariate {column!r} is not the same in all rows of series '{id}' "
                    f"({expected[other[0]]}, then {values.iloc[other[0]]}), expected one value a series."
                )

    def panel(
        self,
        fill: str | None,
        unit: str,
        source: str,
        freq: str | None = None,
        season: int | None = None,
        constant: bool = False,
    ) -> Panel:
        """Sort the rows by series, check them and fill what is missing; ``constant`` allows targets that never vary."""
        roles, name = self.roles, self.name
        if not len(self.values):
            raise DataError(f"{name}: received no rows, expected one a time step.")
        ids, borders = self._sort()
        values, index = self.values, self._index(borders)
        place = _placing(ids, borders, index)
        self._require_order(borders, index, place)
        self._require_finite(place)
        ends = self._ends(borders, place)

        calendar = frequency.read(index, borders, freq)
        _mixtures.check(calendar, index, borders, name, place, given=freq is not None)
        beyond = calendar.gaps[calendar.gaps >= ends[np.searchsorted(borders, calendar.gaps, side="right") - 1]]
        if len(beyond):
            raise DataError(
                f"{name}: dates are missing among the rows that are known ahead (first before {place(int(beyond[0]))})"
                ", expected one for each step after the last target."
            )
        missing = np.isnan(values)
        if roles.future:
            missing[np.arange(len(values)) >= np.repeat(ends, np.diff(borders))] = False
        notes, filled = [calendar.gap_note(place), calendar.remark], None
        if fill is None:
            require_none_missing(missing, roles.numbers, name, place, "ffill or seasonal")
        elif fill == "mask":
            notes.append(mask_note(np.flatnonzero(missing.any(axis=1)), place))
        elif missing.any():
            filled = missing
            notes.append(fill_values(values, missing, fill, roles.numbers, borders, calendar, name, place, season))
        if not constant:
            notes.append(self._constant_note(borders, place))
        return Panel(
            name, ids, borders, index, values, roles.targets, roles.features, roles.future, self._static(ids), ends,
            calendar, fill, filled, unit or unit_of(str(roles.targets[0])), source,
            tuple(note for note in notes if note),
        )  # fmt: skip

    def _sort(self) -> tuple[pd.Index, np.ndarray]:
        """Bring series into the order of their ids; give ids and borders."""
        ids = list(self.known)
        try:
            order = sorted(range(len(ids)), key=ids.__getitem__)
        except TypeError as error:
            raise DataError(
                f"{self.name}: column {self.roles.id!r} holds ids of several kinds, which have no order; expected text "
                "or numbers."
            ) from error
        # Numbers of 16 bits are sorted in linear time.
        rank = np.empty(len(ids), dtype="uint16" if len(ids) <= 2**16 else "int32")
        rank[order] = np.arange(len(ids))
        codes = rank[self.codes]
        if (codes[1:] < codes[:-1]).any():
            by = np.argsort(codes, kind="stable")
            self.values = self.values[by]
            if self.dates is not None:
                self.dates = self.dates[by]
        self.static = {column: [kept[at] for at in order] for column, kept in self.static.items()}
        return pd.Index([ids[at] for at in order]), np.append(0, np.cumsum(np.bincount(codes)))

    def _index(self, borders: np.ndarray) -> pd.Index:
        """Dates of the rows, or their numbers within each series."""
        if self.dates is None:
            return pd.Index(np.arange(len(self.values)) - np.repeat(borders[:-1], np.diff(borders)))
        index = pd.DatetimeIndex(self.dates, name="ds", copy=False)
        return index if self.zone is None else index.tz_localize("UTC").tz_convert(self.zone)

    def _require_order(self, borders: np.ndarray, index: pd.Index, place: Callable[[int], str]) -> None:
        """Refuse dates that are repeated or run backwards within a series."""
        if self.dates is None:
            return
        at = np.flatnonzero(self.dates[1:] <= self.dates[:-1])
        at = at[~np.isin(at, borders[1:-1] - 1)]
        backwards = at[self.dates[at + 1] < self.dates[at]]
        key = f"{self.roles.id} and {','.join(self.roles.time) or 'date'}"
        if len(backwards):
            row, series = int(backwards[0]), np.unique(np.searchsorted(borders, backwards, side="right"))
            raise DataError(
                f"{self.name}: dates run backwards in {len(series)} of {len(borders) - 1} series (first: "
                f"{place(row + 1)} stands after {placing(index)(row)}); sort the rows by {key}."
            )
        if len(at):
            raise DataError(
                f"{self.name}: {len(at)} rows repeat the date of another row of their series (first: "
                f"{place(int(at[0]))}), expected one row for each {key}; remove or average the repeats"
                f"{clock_hint(index[: borders[1]])}."
            )

    def _require_finite(self, place: Callable[[int], str]) -> None:
        infinite = np.isinf(self.values)
        if infinite.any():
            row = int(infinite.any(axis=1).argmax())
            column = self.roles.numbers[int(infinite[row].argmax())]
            raise DataError(
                f"{self.name}: {int(infinite.sum())} infinite values (first in column {column!r}, {place(row)}), "
                "expected finite numbers that fit in 32 bits; mend the file or its reading."
            )

    def _ends(self, borders: np.ndarray, place: Callable[[int], str]) -> np.ndarray:
        """One after the last target of each series; rows after it hold nothing but what is known ahead."""
        future = len(self.roles.numbers) - len(self.roles.future)
        if not self.roles.future:
            return borders[1:]
        missing = np.isnan(self.values)
        known = np.where(missing[:, :future].all(axis=1), 0, np.arange(1, len(missing) + 1))
        ends = np.maximum.reduceat(known, borders[:-1])
        empty = np.flatnonzero(ends == 0)
        if len(empty):
            raise DataError(
                f"{self.name}: {len(empty)} of {len(ends)} series hold no target (first: "
                f"{place(int(borders[empty[0]]))}), expected values; leave such series out."
            )
        lacking = np.any(missing[:, future:], axis=1)
        short = np.flatnonzero(lacking[ends - 1])
        if len(short):
            raise DataError(
                f"{self.name}: future covariates end before the target in {len(short)} of {len(ends)} series (first: "
                f"{place(int(ends[short[0]]) - 1)}), expected a value in each row, and in one more for each step to "
                "forecast."
            )
        ahead = np.flatnonzero(lacking & (np.arange(len(lacking)) >= np.repeat(ends, np.diff(borders))))
        if len(ahead):
            raise DataError(
                f"{self.name}: future covariates are missing in {len(ahead)} rows after the last target (first: "
                f"{place(int(ahead[0]))}), expected a value in each."
            )
        return ends

    def _constant_note(self, borders: np.ndarray, place: Callable[[int], str]) -> str | None:
        """Say how many series never vary; refuse a panel of nothing else."""
        y = self.values[:, : len(self.roles.targets)]
        low, high = np.fmin.reduceat(y, borders[:-1]), np.fmax.reduceat(y, borders[:-1])
        constant = np.flatnonzero((low == high).any(axis=1))
        if not len(constant):
            return None
        if len(constant) == len(low):
            raise DataError(
                f"{self.name}: a target is constant in every series (first: {place(int(borders[0]))}), expected values "
                "that vary; choose another column."
            )
        return f"{len(constant)} of {len(low)} series never vary (first: {place(int(borders[constant[0]]))})."

    def _static(self, ids: pd.Index) -> pd.DataFrame:
        columns = {column: pd.Series(kept, ids) for column, kept in self.static.items()}
        return pd.DataFrame(
            {
                column: values.astype("float64" if pd.api.types.is_numeric_dtype(values) else "category")
                for column, values in columns.items()
            },
            index=ids,
        )


def _placing(ids: pd.Index, borders: np.ndarray, index: pd.Index) -> Callable[[int], str]:
    """Give a function that names a row in messages: by its series and date."""
    within = placing(index)

    def place(row: int) -> str:
        return f"series '{ids[np.searchsorted(borders, row, side='right') - 1]}', {within(row)}"

    return place
