"""A panel: many series in the same columns, held in a few arrays."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from kseq.errors import DataError
from kseq.data import frequency
from kseq.data.frequency import Calendar
from kseq.data.series import Series
from kseq.data._origin import Origin

#: Rows that are read at once for the fingerprint.
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Panel:
    """Many series with the same columns and the same time step, checked.

    All rows stand in one array, those of a series next to one another and in order of time. Series ``s`` is rows
    ``borders[s]`` to ``borders[s + 1]``; its targets are known up to row ``ends[s]``, and its future covariates in all
    rows. :func:`kseq.read_panel` and :func:`kseq.panel_from_frame` make panels.

    Args:
        name: how the panel is called in files.
        ids: names of the series, sorted, ``(series,)``.
        borders: rows at which a series begins, and the number of rows, ``(series + 1,)``.
        index: date of each row, ``(rows,)``; its number within its series where no dates are known.
        values: ``(rows, columns)``, float32: targets, past and future covariates, each once; NaN where ``fill`` is
            ``"mask"`` and a value is missing, and for targets of rows from ``ends`` on.
        targets: the columns to forecast.
        features: past covariates, see :class:`kseq.Series`.
        future: future covariates.
        static: static covariates, one row a series, in the order of ``ids``; text as categories.
        ends: one after the last row of each series that holds a target, ``(series,)``.
        calendar: frequency and gaps of the dates.
        fill: how missing values were filled.
        filled: which values were filled, ``(rows, columns)``; None for none.
        unit: of the targets.
        source: where the values come from.
        notes: sentences on what was found or done while reading.
        origin: the call that read it; None where a script made it.

    Raises:
        DataError: the parts do not fit one another.
    """

    name: str
    ids: pd.Index
    borders: np.ndarray
    index: pd.Index
    values: np.ndarray
    targets: tuple[str, ...]
    features: tuple[str, ...]
    future: tuple[str, ...]
    static: pd.DataFrame
    ends: np.ndarray
    calendar: Calendar
    fill: str | None = None
    filled: np.ndarray | None = None
    unit: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        rows, series = len(self.values), len(self.ids)
        shapes = (len(self.index), len(self.borders), len(self.ends), len(self.static), self.values.shape[1])
        if shapes != (rows, series + 1, series, series, len(self.columns)):
            raise DataError(
                f"{self.name}: received {shapes[0]} dates, {shapes[1]} borders, {shapes[2]} ends, {shapes[3]} rows of "
                f"static covariates and {shapes[4]} columns, expected {rows}, {series + 1}, {series}, {series} and "
                f"{len(self.columns)} for {series} series of {rows} rows."
            )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def columns(self) -> list[str]:
        """Names of the columns of ``values``."""
        return list(dict.fromkeys([*self.targets, *self.features, *self.future]))

    @property
    def has_dates(self) -> bool:
        """Whether the index holds dates."""
        return isinstance(self.index, pd.DatetimeIndex)

    @property
    def step(self) -> str:
        """The time step in words: ``"monthly"``."""
        return self.calendar.words

    @property
    def gaps(self) -> np.ndarray:
        """Numbers of the rows before which dates are missing."""
        return self.calendar.gaps

    @property
    def lengths(self) -> np.ndarray:
        """How many rows with a target each series has, ``(series,)``."""
        return self.ends - self.borders[:-1]

    @property
    def y(self) -> np.ndarray:
        """Target values in their own unit, ``(rows, targets)``, float32: a view."""
        return self.values[:, : len(self.targets)]

    def values_of(self, columns: Sequence[str]) -> np.ndarray:
        """Values of columns in their own unit, ``(rows, columns)``, float32; a view where they stand in a row."""
        have = self.columns
        at = [have.index(column) for column in columns]
        if at == list(range(at[0], at[0] + len(at))):
            return self.values[:, at[0] : at[0] + len(at)]
        return self.values[:, at]

    @cached_property
    def missing(self) -> np.ndarray:
        """Numbers of the rows with a missing value, those after the last target left out; sorted."""
        rows = np.flatnonzero(np.isnan(self.values).any(axis=1))
        return rows[rows < self.ends[self.series_of(rows)]]

    @cached_property
    def stretches(self) -> np.ndarray:
        """Runs of rows without border, gap or missing value, ``(stretches, 2)``: first row, and one after the last.

        A window that lies in one stretch reads values of one series that follow one another.
        """
        return frequency.stretches(self.borders, self.ends, self.calendar.breaks, self.missing)

    def series_of(self, rows: np.ndarray) -> np.ndarray:
        """Say to which series rows belong.

        Args:
            rows: row numbers, of any shape.

        Returns:
            Places in ``ids``, of the same shape.
        """
        return np.searchsorted(self.borders, rows, side="right") - 1

    def one(self, id: object) -> Series:
        """Take one series out, for what reads a series at a time.

        Args:
            id: one of ``ids``.

        Returns:
            Series: in float64, with the values that the panel holds in float32.

        Raises:
            DataError: there is none of that name, or its targets do not vary.
        """
        if id not in self.ids:
            raise DataError(f"{self.name}: received series {id!r}, expected one of its {len(self.ids)} series.")
        at = self.ids.get_loc(id)
        first, end, last = self.borders[at], self.ends[at], self.borders[at + 1]
        frame = pd.DataFrame(self.values[first:last].astype("float64"), self.index[first:last], self.columns)
        return Series(
            str(id),
            frame.iloc[: end - first],
            self.targets,
            self.features,
            self.unit,
            self.source,
            future=self.future,
            static=self.static.iloc[at : at + 1],
            ahead=frame.iloc[end - first :][list(self.future)],
            fill=self.fill,
            filled=None if self.filled is None else self.filled[first:end],
            freq=self.calendar.alias or None,
        )

    def known_ahead(self, horizon: int) -> np.ndarray:
        """Future covariates of the steps after each series' last target.

        Args:
            horizon: how many steps.

        Returns:
            ``(series, horizon, future)``, float32.

        Raises:
            DataError: a series has fewer rows after its last target.
        """
        ahead = self.borders[1:] - self.ends
        if self.future and (ahead < horizon).any():
            short = int((ahead < horizon).argmax())
            raise DataError(
                f"{self.name}: received {ahead[short]} rows of {', '.join(self.future)} after the last target of series"
                f" '{self.ids[short]}', expected {horizon}, one for each step to forecast "
                f"({int((ahead < horizon).sum())} of {len(self.ids)} series are too short); bring more rows or shorten "
                "the horizon."
            )
        if not self.future:
            return np.empty((len(self.ids), horizon, 0), dtype=self.values.dtype)
        return self.values_of(self.future)[self.ends[:, None] + np.arange(horizon)]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, dates, column names and values: equal for equal data, on every machine."""
        digest = hashlib.sha256()
        digest.update(repr((self.targets, self.features, self.future)).encode())
        digest.update("\n".join(map(str, self.ids)).encode())
        digest.update(np.ascontiguousarray(self.borders, dtype="<i8").tobytes())
        for first in range(0, len(self), _CHUNK):
            chunk = slice(first, first + _CHUNK)
            index = self.index[chunk]
            # pandas keeps dates in units that differ between its versions.
            numbers = index.as_unit("us").asi8 if isinstance(index, pd.DatetimeIndex) else index.to_numpy()
            digest.update(np.ascontiguousarray(numbers, dtype="<i8").tobytes())
            digest.update(np.ascontiguousarray(self.values[chunk], dtype="<f4").tobytes())
        digest.update(self.static.to_csv().encode())
        return digest.hexdigest()
