"""A transform by name, and ``auto``: which steps the rows before the validation part ask for.

Of one series ``auto`` takes, of the steps of :mod:`kseq.preprocessing.transforms`:

- ``anomaly`` where the phases' means lower Akaike's information criterion (Akaike 1974).
- ``change`` after it where the test of Dickey and Fuller (1979), augmented and at 5 %, says that each target comes back
  to a level; and before that ``trend`` where this level moves: where the slope of a line is not zero at 1 %, for a
  number of rows that allows for their likeness to the row before (Santer et al. 2000). Where the first test does not
  say so, ``difference`` comes first, then ``anomaly`` if the differences have a season.

Of several series it takes for all the steps that most of the longest ones would take by themselves, but for ``trend``:
short series, of which panels are made, have none to trust.

    >>> from kseq import load_series
    >>> panel = Panel.of(load_series("co2"))
    >>> Transform("auto").fit(panel, Split.by_fraction(panel), np.array([0])).label
    'difference,anomaly (season 12)'
"""

import warnings
from dataclasses import dataclass

import numpy as np

from kseq.data import Panel
from kseq.preprocessing.grid import grids, longest, season_of_panel
from kseq.preprocessing.seasonality import Cycle
from kseq.preprocessing.splits import Split
from kseq.preprocessing.transforms import (
    Difference,
    FittedTransform,
    fit_steps,
    lines_through,
    steps_of,
    times_of,
    whole_rows,
)

#: Fewer rows than this are not tested and count as coming back to a level.
FEWEST = 20

#: Rows that are tested, the last ones: more say the same and take long.
LATEST = 1000


@dataclass(frozen=True)
class Transform:
    """A transform to be fitted, by name.

    Args:
        names: its steps with commas between them, of :data:`kseq.preprocessing.transforms.STEPS`; or ``"auto"``, or
            ``"none"``.
        season: steps in a season; 0 to find it from the dates.
        past_target: whether models read the targets' past. If not, ``auto`` leaves values as they are: a forecast that
            starts from the last value would bring that past in by another door.

    Raises:
        ConfigError: see :func:`kseq.preprocessing.transforms.steps_of`.
    """

    names: str
    season: int = 0
    past_target: bool = True

    def __post_init__(self) -> None:
        steps_of(self.names)

    def fit(self, panel: Panel, split: Split, members: np.ndarray) -> FittedTransform:
        """Fit on the training rows of each series.

        Args:
            panel: the series.
            split: their parts.
            members: series to fit, places in the panel's ``ids``; sorted.

        Raises:
            ConfigError: ``anomaly`` without a season, or with fewer than two in the training rows of every series.
            DataError: ``log`` of values that are not positive.
        """
        names = steps_of(self.names)
        season = 1
        if {"auto", "anomaly", "season"} & set(names):
            season = self.season or season_of_panel(panel, split, members)
        if names == ("auto",):
            names = choose(panel, split, members, season) if self.past_target else ()
        return fit_steps(names, panel, split, members, season)


def choose(panel: Panel, split: Split, members: np.ndarray, season: int) -> tuple[str, ...]:
    """Choose steps for a panel by the training rows of its longest series, as the head of this file says.

    Args:
        panel: the series.
        split: their parts.
        members: series to choose for, places in the panel's ``ids``; sorted.
        season: steps in a season.

    Returns:
        Names of :data:`kseq.preprocessing.transforms.STEPS`.
    """
    found = []
    for grid in (next(grids(panel, split, np.array([member]))) for member in longest(split, members)):
        known = grid.rows < split.validation[grid.members[0]]
        rows = grid.rows[known]
        y, runs = panel.y[rows], panel.stretches
        runs = np.clip(runs[(runs[:, 0] <= rows[-1]) & (runs[:, 1] > rows[0])] - rows[0], 0, len(rows))
        if np.ptp(y[whole_rows(y)], axis=0).all():
            cycle = Cycle(season, grid.phase(season)[grid.places[known]])
            found.append(_chosen(y, runs, cycle, times_of(panel.index[rows]), trend=len(members) == 1))
    return max(sorted(set(found)), key=found.count, default=("change",))


def _chosen(y: np.ndarray, runs: np.ndarray, cycle: Cycle, times: np.ndarray, trend: bool) -> tuple[str, ...]:
    """Steps for the training rows ``y`` of one series, ``(rows, targets)``.

    Args:
        y: the rows.
        runs: first row, and one after the last, of runs of consecutive rows, ``(runs, 2)``.
        cycle: the season and the phase of each row.
        times: time of each row, ``(rows,)``.
        trend: whether ``trend`` may be among the steps.
    """
    seasonal = _has_season(y, cycle)
    level = _anomalies(y, cycle) if seasonal else y
    if _comes_back(level):
        moves = trend and _has_trend(level, times)
        return (*["anomaly"] * seasonal, *["trend"] * moves, "change")
    return ("difference", *["anomaly"] * _has_season(Difference().apply(y, runs), cycle))


def _anomalies(y: np.ndarray, cycle: Cycle) -> np.ndarray:
    """Distance of each row from the mean of its phase over the rows that have values."""
    whole = whole_rows(y)
    return y - Cycle(cycle.season, cycle.phase[whole]).means_of(y[whole])[cycle.phase]


def _has_season(y: np.ndarray, cycle: Cycle) -> bool:
    """Whether the phases' means are worth their number, by Akaike's criterion summed over the targets."""
    whole = whole_rows(y)
    rows, spread = int(whole.sum()), y[whole].std(axis=0)
    if cycle.season < 2 or rows < 2 * cycle.season or not spread.all():
        return False
    left = _anomalies(y, cycle)[whole].std(axis=0)
    with np.errstate(divide="ignore"):
        # A season without any noise explains everything: minus infinity.
        return bool(np.sum(2 * rows * np.log(left / spread) + 2 * (cycle.season - 1)) < 0)


def _comes_back(y: np.ndarray) -> bool:
    """Whether each target comes back to a level, as far as the test tells."""
    y = y[whole_rows(y)][-LATEST:]
    return len(y) < FEWEST or all(_rejects_unit_root(column) for column in y.T if np.ptp(column) > 0)


def _has_trend(y: np.ndarray, times: np.ndarray) -> bool:
    """Whether the level of a target moves along a line, as far as the test tells."""
    whole = whole_rows(y)
    if whole.sum() < FEWEST:
        return False
    return any(_has_slope(times[whole], column) for column in y[whole].T if np.ptp(column) > 0)


def _has_slope(times: np.ndarray, y: np.ndarray) -> bool:
    from scipy import stats

    start, slope = (of.item() for of in lines_through(times, y[:, None], np.zeros(len(y), int), 1))
    left = y - start - slope * times
    if not np.ptp(left):
        return bool(slope)
    # Values that follow one another are alike: so many independent ones say as much as they do.
    alike = max(np.corrcoef(left[1:], left[:-1])[0, 1], 0.0)
    independent = len(y) * (1 - alike) / (1 + alike)
    if independent <= 2:
        return False
    error = np.sqrt(np.sum(left**2) / np.sum((times - times.mean()) ** 2) / (independent - 2))
    return bool(2 * stats.t.sf(abs(slope) / error, independent - 2) < 0.01)


def _rejects_unit_root(y: np.ndarray) -> bool:
    from statsmodels.tsa.stattools import adfuller

    if np.ptp(np.diff(y)) == 0:
        # A straight line, of which there is nothing to estimate.
        return False
    with warnings.catch_warnings():
        # What a later version will return, and divisions by the noise of a series without any.
        warnings.simplefilter("ignore")
        return bool(adfuller(y, regression="c", autolag="BIC")[1] < 0.05)
