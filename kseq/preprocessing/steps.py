"""Steps of a transform that know their numbers: how each is applied to a target's values, and how it is undone."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from kseq.data import Panel
from kseq.errors import DataError, Parameter
from kseq.preprocessing.seasonality import Cycle


class Step(ABC):
    """One step of a fitted transform."""

    name: ClassVar[str]
    #: Rows at the beginning of each stretch for which it has no value.
    lost: ClassVar[int] = 0

    @abstractmethod
    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Change values, ``(time, targets)``; NaN where there is none. ``stretches`` are runs of
        rows that follow one another, ``(runs, 2)``.
        """

    @abstractmethod
    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Bring forecasts back to the values that the step was applied to.

        Args:
            forecasts: ``(..., windows, horizon, targets)``.
            y: Those values, ``(time, targets)``; only rows before a window's first target are read.
            rows: Row numbers of the targets, ``(windows, horizon)``.
        """

    def within(self, rows: slice) -> "Step":
        """The same step for some rows of the panel, counted from the first of them."""
        return self


@dataclass(frozen=True)
class Log(Step):
    """The natural logarithm."""

    name = "log"

    @classmethod
    def fit(cls, panel: Panel) -> "Log":
        """Refuse values that have no logarithm, wherever in their series they stand."""
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero(cls._refused(panel.y).any(axis=1))
        if len(wrong):
            first = str(panel.index[wrong[0]]).removesuffix(" 00:00:00")
            where, which = ("zero or below", "above zero") if cls.name == "log" else ("below zero", "from zero on")
            raise DataError(
                f"{panel.name}: {len(wrong)} rows with a target of {where} (first at {first}), expected values "
                f"{which}, which alone have a logarithm; leave {cls.name} out of ",
                Parameter("transform"),
                *(", or give log1p" * (cls.name == "log" and not (panel.y < 0).any()),),
                ".",
            )
        return cls()

    @staticmethod
    def _refused(y: np.ndarray) -> np.ndarray:
        return y <= 0

    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Take the logarithm."""
        return np.log(y)

    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Take the exponential; a forecast of a training that went astray may be infinite."""
        with np.errstate(over="ignore"):
            return np.exp(forecasts)


@dataclass(frozen=True)
class Log1p(Log):
    """The logarithm of one more than the value."""

    name = "log1p"

    @staticmethod
    def _refused(y: np.ndarray) -> np.ndarray:
        return y < 0

    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Take the logarithm of one more."""
        return np.log1p(y)

    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Take the exponential, less one; a forecast of a training that went astray may be infinite."""
        with np.errstate(over="ignore"):
            return np.expm1(forecasts)


@dataclass(frozen=True, eq=False)
class Anomaly(Step):
    """Distance from the training part's mean of the phase.

    Args:
        cycle: The season and the phase of each row; phases count on from series to series.
        means: Mean of each phase of each series, ``(series * season, targets)``.
    """

    name = "anomaly"
    cycle: Cycle
    means: np.ndarray

    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Take the mean off."""
        return y - self.means[self.cycle.phase]

    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Add the mean."""
        return forecasts + self.means[self.cycle.at(rows)]

    def within(self, rows: slice) -> "Anomaly":
        """The same means for some rows of the panel, counted from the first of them."""
        return Anomaly(Cycle(self.cycle.season, self.cycle.phase[rows]), self.means)


@dataclass(frozen=True, eq=False)
class Trend(Step):
    """Distance from a straight line through the training rows of each series.

    Times are made of dates when they are asked for, some series at a time.

    Args:
        index: Dates of the rows, or their numbers within their series, ``(rows,)``.
        borders: Rows at which a series begins, and the number of rows, as of a panel, ``(series + 1,)``.
        start: The line of each series at time zero, see :func:`times_of`, ``(series, targets)``.
        slope: Slope of each line, in units a unit of time, ``(series, targets)``.
        first: Number of the first row of ``index``, as ``borders`` count them.
    """

    name = "trend"
    index: pd.Index
    borders: np.ndarray
    start: np.ndarray
    slope: np.ndarray
    first: int = 0

    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Take the line of its series off each row."""
        return y - self._lines(np.arange(len(y)))

    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Add the line; ``rows`` are there, those of steps to come as well, see :func:`kseq.data.slices.extended`."""
        return forecasts + self._lines(rows)

    def within(self, rows: slice) -> "Trend":
        """The same lines for some rows of the panel, counted from the first of them."""
        return replace(self, index=self.index[rows], first=self.first + rows.start)

    def _lines(self, rows: np.ndarray) -> np.ndarray:
        """The lines at rows by number, ``(..., targets)``."""
        series = np.searchsorted(self.borders, rows + self.first, side="right") - 1
        times = times_of(self.index[rows.ravel()]).reshape(rows.shape)
        return self.start[series] + times[..., None] * self.slope[series]


@dataclass(frozen=True)
class Difference(Step):
    """Distance from the row before."""

    name = "difference"
    lost = 1

    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Take the row before off; the first row of a stretch has none."""
        changed = np.diff(y, axis=0, prepend=np.nan)
        changed[stretches[:, 0]] = np.nan
        return changed

    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Add forecasts up, from the last known value on."""
        return y[rows[:, :1] - 1] + np.cumsum(forecasts, axis=-2)


def times_of(index: pd.Index) -> np.ndarray:
    """Time of each row, ``(rows,)``: years since 1970, or the row's number where there are no dates."""
    if not isinstance(index, pd.DatetimeIndex):
        return index.to_numpy().astype("float64")
    dates = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    return ((dates - pd.Timestamp(0)) / pd.Timedelta(days=365.25)).to_numpy()
