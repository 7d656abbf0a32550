"""A panel on an even grid: a place for each date of each series, the missing ones too.

Windows leave out what is missing. A baseline cannot: a lag of twelve months is twelve rows only where no month is
missing. It reads the grid, in which a missing value is the one that stands a season earlier, or the last one where that
is missing too. Nothing looks ahead, but that values before the first known one repeat it. MASE and RMSSE scale by it,
too. Series are laid out a group at a time, so that a long panel is never held twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from kseq.data import Calendar, Panel
from kseq.data.missing import fill_values
from kseq.preprocessing import seasonality
from kseq.preprocessing._runs import groups, reduce_runs
from kseq.preprocessing.splits import Split

#: Of so many series, the longest ones, the commonest season is that of the panel.
ASKED = 10


@dataclass(frozen=True, eq=False)
class Grid:
    """A group of neighbouring series, without those that are left out of everything.

    Args:
        panel: Panel of the series.
        members: The series, places in its ``ids``, ``(series,)``.
        borders: Places at which a series begins, and the number of places, ``(series + 1,)``.
        rows: Rows of the panel, those that a series is learnt from first, ``(rows,)``.
        places: Where each of them stands, ``(rows,)``.
    """

    panel: Panel
    members: np.ndarray
    borders: np.ndarray
    rows: np.ndarray
    places: np.ndarray

    @cached_property
    def known(self) -> np.ndarray:
        """Targets, float64, NaN where missing, ``(places, targets)``."""
        y = np.full((self.borders[-1], len(self.panel.targets)), np.nan)
        y[self.places] = self.panel.y[self.rows]
        return y

    @cached_property
    def owners(self) -> np.ndarray:
        """Series of each place, counted within the group, ``(places,)``."""
        return np.repeat(np.arange(len(self.members)), np.diff(self.borders))

    def filled(self, season: int) -> np.ndarray:
        """Targets in which what is missing is the value a season earlier or the last one, ``(places, targets)``."""
        y, panel = self.known.copy(), self.panel
        missing = np.isnan(y)
        if not missing.any():
            return y
        # Before its first known value a series repeats it.
        for column in range(y.shape[1]):
            numbers = np.where(missing[:, column], len(y), np.arange(len(y)))
            firsts = np.minimum(np.minimum.reduceat(numbers, self.borders[:-1]), self.borders[1:] - 1)
            early = np.arange(len(y)) < firsts[self.owners]
            y[early, column] = y[firsts[self.owners[early]], column]
        fill, names = "seasonal" if season > 1 else "ffill", list(map(str, panel.targets))
        fill_values(y, np.isnan(y), fill, names, self.borders, Calendar("rows"), panel.name, str, season)
        return y

    def phase(self, season: int) -> np.ndarray:
        """Phase of the season of each place, ``(places,)``."""
        counted = np.arange(self.borders[-1]) - self.borders[self.owners]
        if not self._of_calendar(season):
            return counted % season
        # A phase of the calendar hangs on the date alone, and series share dates.
        which, dates = pd.factorize(self.panel.index[self.rows], sort=True)
        of_rows = seasonality.cycle_of(dates, season).phase[which]
        before = np.searchsorted(self.places, np.arange(self.borders[-1]), side="right") - 1
        return (of_rows[before] + counted - counted[self.places[before]]) % season

    def _of_calendar(self, season: int) -> bool:
        panel = self.panel
        longest = int(panel.lengths.argmax())
        index = panel.index[panel.borders[longest] : panel.ends[longest]]
        return season > 1 and season in seasonality.calendar_seasons(index)

    def place_of(self, bounds: np.ndarray) -> np.ndarray:
        """Place of a row of each series of the panel, such as ``split.test``, for those of the group, ``(series,)``."""
        at = np.searchsorted(self.rows, bounds[self.members])
        return np.append(self.places, self.borders[-1])[at]

    def places_of(self, rows: np.ndarray) -> np.ndarray:
        """Places of some rows of the panel."""
        return self.places[np.searchsorted(self.rows, rows)]


def grids(panel: Panel, split: Split, members: np.ndarray) -> Iterator[Grid]:
    """Lay out series, a group at a time.

    Args:
        panel: Panel of the series.
        split: Parts of each series.
        members: Series to lay out, places in the panel's ``ids``; sorted.
    """
    start, end = split.start[members], split.end[members]
    for group in groups(end - start):
        first, last = start[group], end[group]
        lengths = last - first
        rows = np.repeat(first - np.append(0, np.cumsum(lengths)[:-1]), lengths) + np.arange(lengths.sum())
        steps = np.ones(len(rows), dtype="int64")
        low, high = np.searchsorted(panel.calendar.breaks, [rows[0], rows[-1] + 1])
        gaps = panel.calendar.breaks[low:high]
        at = np.searchsorted(rows, gaps)
        there = rows[np.minimum(at, len(rows) - 1)] == gaps
        steps[at[there]] += panel.calendar.sizes[low:high][there]
        # The first row of a series stands right after the last one of the series before, whatever their dates.
        begins = np.append(0, np.cumsum(lengths)[:-1])
        steps[begins] = 1
        places = np.cumsum(steps) - 1
        yield Grid(panel, members[group], np.append(places[begins], places[-1] + 1), rows, places)


def longest(split: Split, members: np.ndarray) -> np.ndarray:
    """Of some series those with the most training rows, :data:`ASKED` at most."""
    lengths = split.validation[members] - split.start[members]
    return members[np.argsort(-lengths, kind="stable")[:ASKED]]


def season_of_panel(panel: Panel, split: Split, members: np.ndarray) -> int:
    """Find the season as the training rows of the longest series show it: the commonest of theirs."""
    found = []
    for member in longest(split, members):
        rows = np.arange(split.start[member], split.validation[member])
        y = panel.y[rows]
        known = ~np.isnan(y).any(axis=1)
        if np.ptp(y[known], axis=0).all():
            found.append(seasonality.season_of(panel.index[rows[known]], y[known]))
    return max(sorted(set(found)), key=found.count, default=1)


def seasonal_scales(panel: Panel, split: Split, members: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """What repeating the last season misses in the rows that are learnt from, by which MASE and RMSSE scale.

    Args:
        panel: The series.
        split: Their parts.
        members: Series to scale, places in the panel's ``ids``; sorted.
        season: Steps in a season.

    Returns:
        Mean absolute and root mean squared difference of values one season apart, ``(series, targets)``; NaN for a
        series that has no such pair, that repeats itself exactly, or that is left out.
    """
    absolute, root = (np.full((len(panel.ids), len(panel.targets)), np.nan) for _ in range(2))
    for grid in grids(panel, split, members):
        low, high = grid.borders[:-1] + season, grid.place_of(split.stop)
        enough = low < high
        if not enough.any():
            continue
        steps = np.full_like(grid.known, np.nan)
        steps[season:] = np.abs(grid.known[season:] - grid.known[:-season])
        there = ~np.isnan(steps).any(axis=1, keepdims=True)
        bounds, who = (low[enough], high[enough]), grid.members[enough]
        count = reduce_runs(np.add, there.astype(float), *bounds)
        steps = np.where(there, steps, 0.0)
        peak = reduce_runs(np.maximum, steps, *bounds)
        # In units of the largest, squares of small differences are not zero.
        unit = np.ones((len(grid.members), steps.shape[1]))
        unit[enough] = np.where(peak > 0, peak, 1.0)
        shares = steps / unit[grid.owners]
        for scale, power in ((absolute, 1), (root, 2)):
            mean = reduce_runs(np.add, shares**power, *bounds) / np.maximum(count, 1)
            scale[who] = np.where((count > 0) & (peak > 0), mean ** (1 / power) * unit[enough], np.nan)
    return absolute, root
