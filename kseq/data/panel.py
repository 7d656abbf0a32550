"""The container: one series or many in the same columns, held in a few arrays that know all series at once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import frequency
from kseq.data._origin import Origin
from kseq.data.frequency import Calendar
from kseq.data.series import Series, fingerprint_of
from kseq.errors import DataError
from kseq.naming import names_near

#: Rows that are read at once for the fingerprint.
_CHUNK = 2**20


@names_near({"df": ".values, .index and .ids", "unique_id": ".ids", "series": ".one(id)", "dates": ".index"})
@dataclass(frozen=True, eq=False)
class Panel:
    """One or many series with the same columns and the same time step, checked.

    All rows stand in one array, those of a series next to one another and in order of time. Series ``s`` is rows
    ``borders[s]`` to ``borders[s + 1]``; its targets are known up to row ``ends[s]``, and its future covariates in all
    rows. :func:`kseq.read_panel` and :func:`kseq.panel_from_frame` make panels, :meth:`of` makes one of a series.

    Args:
        name: How the panel is called in files.
        ids: Names of the series, sorted, ``(series,)``.
        borders: Rows at which a series begins, and the number of rows, ``(series + 1,)``.
        index: Date of each row, ``(rows,)``; its number within its series where no dates are known.
        values: ``(rows, columns)``, float64: targets, past and future covariates, each once; NaN where ``fill`` is
            ``"mask"`` and a value is missing, and for targets of rows from ``ends`` on.
        targets: The columns to forecast.
        features: Past covariates, see :class:`kseq.Series`.
        future: Future covariates.
        static: Static covariates, one row a series, in the order of ``ids``; text as categories.
        ends: One after the last row of each series that holds a target, ``(series,)``.
        calendar: Frequency and gaps of the dates.
        fill: How missing values were filled.
        filled: Whether each value was filled, ``(rows, columns)``; None for none.
        unit: Unit of the targets; empty where unknown.
        source: Where the values come from.
        notes: Sentences on what was found or done while reading.
        origin: The call that read it; None where a script made it.
        read: What was read, in a sentence: target, dates, frequency, rows, missing values, series; empty where a script
            made it.

    Raises:
        DataError: The parts do not fit one another.
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
    read: str = ""

    def __repr__(self) -> str:
        columns = f"{len(self.index):,} rows of {', '.join(map(str, self.columns))}"
        return f"Panel({self.name!r}, {len(self.ids):,} series, {columns}; .values is an array)"

    @classmethod
    def of(cls, data: "Series | Panel") -> "Panel":
        """Give the panel of a series, in which it is the only one; a panel as it is.

        Args:
            data: A series or a panel.

        Returns:
            Panel: Rows for which only future covariates are known stand after the last target.

        Example:
            >>> from kseq import load_series
            >>> Panel.of(load_series("nino12")).lengths.tolist()
            [732]
        """
        if isinstance(data, Panel):
            return data
        columns, ahead = list(data.frame.columns), data.ahead.reindex(columns=data.frame.columns)
        values = np.concatenate([data.frame.to_numpy(), ahead.to_numpy(dtype="float64")])
        filled = None
        if data.filled is not None:
            filled = np.concatenate([data.filled, np.zeros((len(ahead), len(columns)), bool)])
        return cls(
            name=data.name,
            ids=pd.Index([data.name]),
            borders=np.array([0, len(values)]),
            index=data.index.append(ahead.index) if len(ahead) else data.index,
            values=values,
            targets=data.targets,
            features=data.features,
            future=data.future,
            static=data.static if len(data.static) else pd.DataFrame(index=[data.name]),
            ends=np.array([len(data)]),
            calendar=data.calendar,
            fill=data.fill,
            filled=filled,
            unit=data.unit,
            source=data.source,
            notes=data.notes,
            origin=data.origin,
            read=data.read,
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values, dtype="float64"))
        rows, series = len(self.values), len(self.ids)
        shapes = (len(self.index), len(self.borders), len(self.ends), len(self.static), self.values.shape[1])
        if shapes != (rows, series + 1, series, series, len(self.columns)):
            raise DataError(
                f"{self.name}: received {shapes[0]} dates, {shapes[1]} borders, {shapes[2]} ends, {shapes[3]} rows of "
                f"static covariates and {shapes[4]} columns, expected {rows}, {series + 1}, {series}, {series} and "
                f"{len(self.columns)} for {series} series of {rows} rows."
            )

    def _repr_html_(self) -> str:
        """What it holds and its first and last rows, as a notebook shows them."""
        from kseq.data._display import ROWS, as_html

        span = f"{self.index.min()} to {self.index.max()}".replace(" 00:00:00", "")
        made = (
            f"{self.name}: {len(self.ids):,} series, target {', '.join(self.targets)}, {self.step}, {span}, "
            f"{len(self):,} rows."
        )
        # Of thousands of series the first and the last rows alone are made into a frame.
        rows = np.unique(np.r_[0 : min(ROWS, len(self)), max(0, len(self) - ROWS) : len(self)])
        frame = pd.DataFrame(self.values[rows], columns=self.columns)
        frame.insert(0, "unique_id", self.ids[self.series_of(rows)])
        return as_html(self.read or made, self.notes, frame.set_axis(self.index[rows]))

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
        """Target values in their own unit, ``(rows, targets)``, float64: a view."""
        return self.values[:, : len(self.targets)]

    def values_of(self, columns: Sequence[str]) -> np.ndarray:
        """Values of columns in their own unit, ``(rows, columns)``, float64; a view where they stand in a row."""
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
            rows: Row numbers, of any shape.

        Returns:
            Places in ``ids``, of the same shape.
        """
        return np.searchsorted(self.borders, rows, side="right") - 1

    def one(self, id: object, **changed: Any) -> Series:
        """Take one series out, for what reads a series at a time.

        Args:
            id: One of ``ids``.
            **changed: Arguments of :class:`Series` that are to be other ones, such as its name.

        Returns:
            Series: Series with the same values.

        Raises:
            DataError: There is none of that name, or its targets do not vary.
        """
        if str(id) not in self.ids:
            raise DataError(f"{self.name}: received series {str(id)!r}, expected one of its {len(self.ids)} series.")
        at = self.ids.get_loc(str(id))
        frame, ahead = self._frames(at)
        own = {
            "name": str(id), "frame": frame, "targets": self.targets, "features": self.features, "unit": self.unit,
            "source": self.source, "future": self.future, "static": self.static.iloc[at : at + 1], "ahead": ahead,
            "fill": self.fill, "freq": self.calendar.alias or None,
            "filled": None if self.filled is None else self.filled[self.borders[at] : self.ends[at]],
        } | changed  # fmt: skip
        return Series(**own | {"static": own["static"].set_axis([own["name"]])})

    def _frames(self, at: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows of a series up to its last target, and what is known ahead after it."""
        first, end, last = self.borders[at], self.ends[at], self.borders[at + 1]
        frame = pd.DataFrame(self.values[first:last], self.index[first:last], self.columns)
        return frame.iloc[: end - first], frame.iloc[end - first :][list(self.future)]

    def causal(self, known: np.ndarray) -> "Panel":
        """Give the panel as it may be read when the rows from ``known`` on are still to come.

        Of the fills, ``"linear"`` alone looks ahead: a value inside a run of missing ones knows the value after the
        run. That is kept where the value after the run is a row before ``known``. All later runs repeat the value
        before them, as ``"ffill"`` does.

        Args:
            known: Row of each series up to which rows may know one another, such as ``split.validation``,
                ``(series,)``.

        Returns:
            Panel: This one where nothing changes.

        Example:
            >>> frame = pd.DataFrame({"y": [1, None, 3, 4, None, 6]})
            >>> Panel.of(from_frame(frame, fill="linear")).causal(np.array([4])).y[:, 0].tolist()  # doctest: +SKIP
            [1.0, 2.0, 3.0, 4.0, 4.0, 6.0]
        """
        if self.fill != "linear" or self.filled is None or not self.filled.any():
            return self
        values, rows = self.values.copy(), np.arange(len(self))
        owners = self.series_of(rows)
        for column, filled in enumerate(self.filled.T):
            before = np.maximum.accumulate(np.where(filled, -1, rows))
            after = np.minimum.accumulate(np.where(filled, len(self), rows)[::-1])[::-1]
            knows_later = filled & (after >= known[owners]) & (before >= self.borders[owners])
            values[knows_later, column] = values[before[knows_later], column]
        if np.array_equal(values, self.values, equal_nan=True):
            return self
        note = "Where the next value is no training value, missing values were filled with the last one before them."
        return replace(self, values=values, notes=(*self.notes, note))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, dates, column names and values: equal for equal data, on every machine."""
        if len(self.ids) == 1:
            frame, ahead = self._frames(0)
            return fingerprint_of(self.targets, self.features, self.future, frame, self.static, ahead)
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
            digest.update(np.ascontiguousarray(self.values[chunk], dtype="<f8").tobytes())
        digest.update(self.static.to_csv().encode())
        return digest.hexdigest()
