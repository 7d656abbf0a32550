"""Transforms of a panel: the steps of :mod:`kseq.transforms`, with climatologies and lines of each series.

Steps work on a panel as they do on a series, some series at a time, so that a long panel is never held in 64 bits. The
anomaly of a row is its distance from the mean of its phase over the training rows of its own series; of a series that
holds fewer than two seasons, from the mean of them all. The trend of a series is a line through its training rows; of
one with fewer than three rows that have values it is flat, at their mean. ``auto`` takes for all series the steps that
most of the longest ones would take by themselves, but for ``trend``: short series, of which panels are made, have none
to trust.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kseq.choosing import Transform
from kseq.errors import ConfigError, Parameter
from kseq.panels.grid import grids, longest, season_of_panel
from kseq.panels.parts import PanelSplit, groups
from kseq.seasons import Cycle
from kseq.data import Panel
from kseq.transforms import Anomaly, Difference, FittedTransform, Log, Step, steps_of, times_of

#: Through fewer rows than this a line is flat: any two rows lie on one that says nothing of what comes.
FEWEST_OF_LINE = 3


@dataclass(frozen=True, eq=False)
class _Rows:
    """Neighbouring series of a panel as a transform reads them.

    Args:
        first: their first row.
        y: their targets, ``(rows, targets)``.
        stretches: of their rows, counted from their first.
    """

    first: int
    y: np.ndarray
    stretches: np.ndarray

    @classmethod
    def of(cls, panel: Panel, first: int, last: int) -> "_Rows":
        low, high = np.searchsorted(panel.stretches[:, 0], [first, last])
        return cls(first, panel.y[first:last].astype("float64"), panel.stretches[low:high] - first)

    @property
    def slice(self) -> slice:
        return slice(self.first, self.first + len(self.y))


@dataclass(frozen=True, eq=False)
class PanelTrend(Step):
    """Distance from a straight line through the training rows of each series.

    Times are made of dates when they are asked for, some series at a time.

    Args:
        index: dates of the rows, or their numbers within their series, ``(rows,)``.
        borders: rows at which a series begins, and the number of rows, as of a panel, ``(series + 1,)``.
        start: the line of each series at time zero, see :func:`kseq.transforms.times_of`, ``(series, targets)``.
        slope: of each, in units a unit of time, ``(series, targets)``.
        first: number of the first row of ``index``, as ``borders`` count them.
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

    def within(self, rows: slice) -> "PanelTrend":
        """The same lines for some rows of the panel, counted from the first of them."""
        return replace(self, index=self.index[rows], first=self.first + rows.start)

    def _lines(self, rows: np.ndarray) -> np.ndarray:
        """The lines at rows by number, ``(..., targets)``."""
        series = np.searchsorted(self.borders, rows + self.first, side="right") - 1
        times = times_of(self.index[rows.ravel()]).reshape(rows.shape)
        return self.start[series] + times[..., None] * self.slope[series]


@dataclass(frozen=True, eq=False)
class FittedPanelTransform(FittedTransform):
    """A transform of a panel that knows its numbers; phases of its anomalies count on from series to series."""

    def apply(self, series: Panel) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        """Change the targets of the panel; what models read of them and forecast, both in 32 bits."""
        read = np.empty_like(series.y)
        forecast = np.empty_like(read) if self.changes else read
        for rows in _parts(series):
            read[rows.slice], forecast[rows.slice] = self.within(rows).apply(rows)
        return read, forecast

    def undo(self, forecasts: np.ndarray, series: Panel, rows: np.ndarray) -> np.ndarray:  # type: ignore[override]
        """Bring forecasts back to the targets' unit; windows in the order of their rows."""
        made = np.empty_like(forecasts)
        for part in _parts(series):
            low, high = np.searchsorted(rows[:, 0], [part.slice.start, part.slice.stop])
            if low < high:
                windows = (..., slice(low, high), slice(None), slice(None))
                made[windows] = self.within(part).undo(forecasts[windows], part, rows[low:high] - part.first)
        return made

    def within(self, rows: _Rows) -> FittedTransform:
        """The transform for some neighbouring series, whose rows count from their first."""
        return FittedTransform(tuple(_for(step, rows) for step in self.steps), self.changes)


def _for(step: Step, rows: _Rows) -> Step:
    if isinstance(step, PanelTrend):
        return step.within(rows.slice)
    if not isinstance(step, Anomaly):
        return step
    return Anomaly(Cycle(step.cycle.season, step.cycle.phase[rows.slice]), step.means)


def _parts(panel: Panel) -> Iterator[_Rows]:
    """Some series at a time, all of the panel."""
    for group in groups(np.diff(panel.borders)):
        yield _Rows.of(panel, panel.borders[group.start], panel.borders[group.stop])


@dataclass(frozen=True)
class PanelTransform:
    """A transform to be fitted to a panel.

    Args:
        names: of its steps, see :class:`kseq.choosing.Transform`.
        season: steps in a season; 0 to find it from the dates.
        past_target: as for a single series.
    """

    names: str
    season: int = 0
    past_target: bool = True

    def fit(self, panel: Panel, split: PanelSplit, members: np.ndarray) -> FittedPanelTransform:
        """Fit on the training rows of each series.

        Args:
            panel: the series.
            split: their parts.
            members: series to fit, places in the panel's ``ids``.

        Raises:
            ConfigError: ``anomaly`` without a season.
            DataError: ``log`` of values that are not positive.
        """
        names = steps_of(self.names)
        season = self.season or season_of_panel(panel, split, members)
        if names == ("auto",):
            names = steps_of(self._chosen(panel, split, members, season))
        steps: list[Step] = []
        for name in names:
            if name == "log":
                steps.append(Log.fit(panel))
            elif name == "anomaly":
                steps.append(_anomaly(panel, steps, split, members, season))
            elif name == "trend":
                steps.append(_trend(panel, steps, split, members))
            elif name == "difference":
                steps.append(Difference())
        return FittedPanelTransform(tuple(steps), changes="change" in names)

    def _chosen(self, panel: Panel, split: PanelSplit, members: np.ndarray, season: int) -> str:
        transform = Transform("auto", season, self.past_target, trend=False)
        found = []
        for member in longest(split, members):
            first, last = split.start[member], split.validation[member]
            if np.ptp(panel.y[first:last], axis=0).all():
                one = panel.one(panel.ids[member])
                one = replace(one, frame=one.frame.iloc[first - panel.borders[member] :], filled=None)
                found.append(transform.fit(one, last - first).name)
        return max(sorted(set(found)), key=found.count, default="none")


def _anomaly(panel: Panel, before: Sequence[Step], split: PanelSplit, members: np.ndarray, season: int) -> Anomaly:
    """Learn the means of each series' phases, of what the steps before have made of the targets."""
    if season < 2:
        raise ConfigError(
            "received transform anomaly for a panel whose dates show no season, expected one; name it with ",
            Parameter("season"),
            ", or choose another ",
            Parameter("transform"),
            ".",
        )
    # Each series has phases of its own, one series after the other.
    phase = np.zeros(len(panel), "int32")
    targets = len(panel.targets)
    total, count = np.zeros((len(panel.ids) * season, targets)), np.zeros(len(panel.ids) * season)
    for grid in grids(panel, split, members):
        owners = grid.members[grid.owners[grid.places]]
        phase[grid.rows] = owners * season + grid.phase(season)[grid.places]
        rows = _Rows.of(panel, panel.borders[grid.members[0]], panel.borders[grid.members[-1] + 1])
        y, _ = FittedPanelTransform(tuple(before), changes=False).within(rows).apply(rows)
        y = y[grid.rows - rows.first]
        known = (grid.rows < split.validation[owners]) & ~np.isnan(y).any(axis=1)
        cells, inverse = np.unique(phase[grid.rows[known]], return_inverse=True)
        count[cells] = np.bincount(inverse)
        for column in range(targets):
            total[cells, column] = np.bincount(inverse, y[known, column])
    by_series = count.reshape(-1, season, 1)
    totals = total.reshape(-1, season, targets)
    rows_of = by_series.sum(axis=1, keepdims=True)
    whole = totals.sum(axis=1, keepdims=True) / np.maximum(rows_of, 1)
    means = np.where((by_series > 0) & (rows_of >= 2 * season), totals / np.maximum(by_series, 1), whole)
    return Anomaly(Cycle(season, phase), means.reshape(-1, targets))


def _trend(panel: Panel, before: Sequence[Step], split: PanelSplit, members: np.ndarray) -> PanelTrend:
    """Fit a line to the training rows of each series, to what the steps before have made of the targets."""
    series, targets = len(panel.ids), len(panel.targets)
    start, slope = np.zeros((series, targets)), np.zeros((series, targets))
    last = np.zeros(series, dtype="int64")
    last[members] = split.validation[members]
    for rows in _parts(panel):
        y, _ = FittedPanelTransform(tuple(before), changes=False).within(rows).apply(rows)
        numbers = np.arange(rows.first, rows.first + len(y))
        owners = panel.series_of(numbers)
        known = (numbers >= split.start[owners]) & (numbers < last[owners]) & ~np.isnan(y).any(axis=1)
        # Series of these rows are counted from the first of them.
        here = slice(owners[0], owners[-1] + 1)
        y, times, owners = y[known], times_of(panel.index[numbers[known]]), owners[known] - here.start
        start[here], slope[here] = lines_through(times, y, owners, here.stop - here.start)
    return PanelTrend(panel.index, panel.borders, start, slope)


def lines_through(times: np.ndarray, y: np.ndarray, owners: np.ndarray, series: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit a line to the rows of each series at once, as :func:`kseq.transforms.line_through` does to one.

    Args:
        times: ``(rows,)``.
        y: ``(rows, targets)``.
        owners: series of each row, ``(rows,)``.
        series: how many there are.

    Returns:
        The line of each at time zero, and its slope, ``(series, targets)`` both.
    """
    count = np.maximum(np.bincount(owners, minlength=series), 1)[:, None]

    def total(of: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(owners, column, series) for column in of.T], axis=1)

    middle, mean = total(times[:, None]) / count, total(y) / count
    # Distances from the mean: products of what lies far from zero lose digits.
    away = times[:, None] - middle[owners]
    spread = total(np.square(away))
    moves = (count >= FEWEST_OF_LINE) & (spread > 0)
    slope = np.where(moves, total(away * y) / np.where(moves, spread, 1.0), 0.0)
    return mean - slope * middle, slope
