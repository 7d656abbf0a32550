"""What models read and forecast instead of a target's values: logarithms, anomalies, trends, differences, changes.

A transform is fitted on the rows before the validation part, comes before the scale, and is undone before anything is
scored. Its steps are applied in the order in which they are named, ``"difference,anomaly"``:

==============  =====================================  ==============================================================
step            what models read and forecast          how it is undone
==============  =====================================  ==============================================================
``log``         the natural logarithm                  the exponential of it: a median rather than a mean
``anomaly``     the distance from the training part's  that mean is added for the phase of the forecast row
                mean of the season's phase
``trend``       the distance from the training part's  the line is added for the time of the forecast row
                straight line over time
``difference``  the distance from the row before       forecasts are added up from the last known value on
``change``      read: the values as they are;          the same
                forecast: the difference
==============  =====================================  ==============================================================

With ``change`` models forecast what persistence misses, and read what differences have lost: the level to which values
come back. Where they come back to none, as in a series with a trend, a level outside the training range means nothing
to a model, and ``difference`` serves better. :mod:`kseq.choosing` decides by that.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from kseq.baselines import Climatology, TrainingPart
from kseq.errors import ConfigError, DataError, Parameter
from kseq.seasons import Cycle
from kseq.data import Panel, Series
from kseq.windows import Targets

#: Steps by name; ``none`` and ``auto`` stand alone.
STEPS = ("log", "anomaly", "trend", "difference", "change")
NAMES = ("auto", "none", *STEPS)


def steps_of(names: str) -> tuple[str, ...]:
    """Read the names of a transform's steps, with commas between them.

    Returns:
        The steps in order; none for ``"none"``, and ``("auto",)`` for ``"auto"``.

    Raises:
        ConfigError: an unknown name, or an order that makes no sense.

    Example:
        >>> steps_of("anomaly, change")
        ('anomaly', 'change')
    """
    steps = tuple(name.strip() for name in names.split(","))
    for step in steps:
        if step not in NAMES:
            raise ConfigError(f"received transform {step!r}, expected one of {', '.join(NAMES)}, or several steps.")
    if len(steps) > 1 and not set(steps) <= set(STEPS):
        raise ConfigError(f"received transform {names}, expected auto and none each on its own.")
    if len(set(steps)) != len(steps):
        raise ConfigError(f"received transform {names}, expected each step once.")
    if "log" in steps[1:] or "change" in steps[:-1]:
        raise ConfigError(f"received transform {names}, expected log as the first step and change as the last.")
    return () if steps == ("none",) else steps


class Step(ABC):
    """One step of a fitted transform."""

    name: ClassVar[str]
    #: Rows at the beginning of each stretch for which it has no value.
    lost: ClassVar[int] = 0

    @abstractmethod
    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Change values, ``(time, targets)``; NaN where there is none. ``stretches`` are those of the series."""

    @abstractmethod
    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Bring forecasts back to the values that the step was applied to.

        Args:
            forecasts: ``(..., windows, horizon, targets)``.
            y: those values, ``(time, targets)``; only rows before a window's first target are read.
            rows: of the targets, ``(windows, horizon)``; they may lie beyond the last row.
        """


@dataclass(frozen=True)
class Log(Step):
    """The natural logarithm."""

    name = "log"

    @classmethod
    def fit(cls, series: Series | Panel) -> "Log":
        """Refuse values that have no logarithm, wherever in the series they stand."""
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero((series.y <= 0).any(axis=1))
        if len(wrong):
            first = str(series.index[wrong[0]]).removesuffix(" 00:00:00")
            raise DataError(
                f"{series.name}: {len(wrong)} rows with a target of zero or below (first at {first}), expected values "
                "above zero, which alone have a logarithm; leave log out of ",
                Parameter("transform"),
                ".",
            )
        return cls()

    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Take the logarithm."""
        # A panel holds 32 bits, which leave little of the small differences of logarithms.
        return np.log(y, dtype="float64")

    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Take the exponential; a forecast of a training that went astray may be infinite."""
        with np.errstate(over="ignore"):
            return np.exp(forecasts)


@dataclass(frozen=True, eq=False)
class Anomaly(Step):
    """Distance from the training part's mean of the phase.

    Args:
        cycle: the season and the phase of each row.
        means: of each phase, ``(season, targets)``.
    """

    name = "anomaly"
    cycle: Cycle
    means: np.ndarray

    @classmethod
    def fit(cls, y: np.ndarray, known: int, cycle: Cycle) -> "Anomaly":
        """Learn the means from the first ``known`` rows, as far as they have values."""
        part = part_of(y[:known], cycle)
        reason = Climatology().reason(part)
        if reason is not None:
            raise ConfigError(
                f"received transform anomaly for a series that does not allow it ({reason}), expected a season and two "
                "of it to learn from; name it with ",
                Parameter("season"),
                ", or choose another ",
                Parameter("transform"),
                ".",
            )
        return cls(cycle, Climatology().fit(part).means)

    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Take the mean off."""
        return y - self.means[self.cycle.phase]

    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Add the mean."""
        return forecasts + self.means[self.cycle.at(rows)]


@dataclass(frozen=True, eq=False)
class Trend(Step):
    """Distance from a straight line through the training part.

    Args:
        times: of the rows, see :func:`times_of`, ``(rows,)``.
        start: the line at time zero, ``(targets,)``.
        slope: of the line, in units a unit of time, ``(targets,)``.
    """

    name = "trend"
    times: np.ndarray
    start: np.ndarray
    slope: np.ndarray

    @classmethod
    def fit(cls, y: np.ndarray, known: int, times: np.ndarray) -> "Trend":
        """Learn the line from the first ``known`` rows by least squares, as far as they have values."""
        whole = whole_rows(y[:known])
        if whole.sum() < 2:
            raise ConfigError(
                f"received transform trend for {whole.sum()} training rows with values, expected at least two."
            )
        return cls(times, *line_through(times[:known][whole], y[:known][whole]))

    def apply(self, y: np.ndarray, stretches: np.ndarray) -> np.ndarray:
        """Take the line off."""
        return y - self._line(np.arange(len(y)))

    def undo(self, forecasts: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Add the line."""
        return forecasts + self._line(rows)

    def _line(self, rows: np.ndarray) -> np.ndarray:
        """The line at rows by number, ``(..., targets)``; rows after the last date follow in the usual steps."""
        beyond = np.maximum(rows - len(self.times) + 1, 0)
        step = np.median(np.diff(self.times)) if len(self.times) > 1 else 0.0
        times = self.times[rows - beyond] + beyond * step
        return self.start + times[..., None] * self.slope


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


@dataclass(frozen=True, eq=False)
class FittedTransform:
    """A transform that knows its numbers.

    Args:
        steps: in order, without ``change``.
        changes: whether ``change`` is the last step.
    """

    steps: tuple[Step, ...]
    changes: bool

    @property
    def name(self) -> str:
        """Its steps, as :func:`steps_of` reads them."""
        return ",".join([step.name for step in self.steps] + ["change"] * self.changes) or "none"

    @property
    def label(self) -> str:
        """Its steps and the season, for people."""
        seasons = [f" (season {step.cycle.season})" for step in self.steps if isinstance(step, Anomaly)]
        return self.name + "".join(seasons)

    @property
    def lost(self) -> int:
        """Rows at the beginning of each stretch that models cannot read."""
        return sum(step.lost for step in self.steps)

    def apply(self, series: Targets) -> tuple[np.ndarray, np.ndarray]:
        """Change the targets of a series.

        Returns:
            What models read of them, and what they forecast, ``(time, targets)`` both, NaN where there is no value.
        """
        read = self._levels(series)[-1]
        return read, Difference().apply(read, series.stretches) if self.changes else read

    def undo(self, forecasts: np.ndarray, series: Targets, rows: np.ndarray) -> np.ndarray:
        """Bring forecasts back to the targets' unit.

        Args:
            forecasts: of what :meth:`apply` says that models forecast, ``(..., windows, horizon, targets)``.
            series: that they follow; only rows before a window's first target are read.
            rows: of the targets, ``(windows, horizon)``.
        """
        levels = self._levels(series)
        if self.changes:
            forecasts = Difference().undo(forecasts, levels[-1], rows)
        for step, y in zip(reversed(self.steps), reversed(levels[:-1]), strict=True):
            forecasts = step.undo(forecasts, y, rows)
        return forecasts

    def _levels(self, series: Targets) -> list[np.ndarray]:
        """The targets, and what each step makes of them."""
        levels = [series.y]
        for step in self.steps:
            levels.append(step.apply(levels[-1], series.stretches))
        return levels


def times_of(index: pd.Index) -> np.ndarray:
    """Time of each row, ``(rows,)``: years since 1970, or the row's number where there are no dates."""
    if not isinstance(index, pd.DatetimeIndex):
        return index.to_numpy().astype("float64")
    dates = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    return ((dates - pd.Timestamp(0)) / pd.Timedelta(days=365.25)).to_numpy()


def line_through(times: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a straight line by least squares.

    Args:
        times: at least two, ``(rows,)``.
        y: values, ``(rows,)`` or ``(rows, columns)``.

    Returns:
        The line at time zero, and its slope, ``()`` or ``(columns,)`` both.

    Example:
        >>> start, slope = line_through(np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 9.0]))
        >>> start.item(), slope.item()
        (3.0, 2.0)
    """
    middle = times.mean()
    slope = (times - middle) @ y / np.sum((times - middle) ** 2)
    return y.mean(axis=0) - slope * middle, slope


def part_of(y: np.ndarray, cycle: Cycle) -> TrainingPart:
    """Rows that have values, with their phases."""
    whole = whole_rows(y)
    return TrainingPart(y[whole], Cycle(cycle.season, cycle.phase[: len(y)][whole]))


def whole_rows(y: np.ndarray) -> np.ndarray:
    """Whether each row has values of all targets, ``(rows,)``."""
    return ~np.isnan(y).any(axis=1)
