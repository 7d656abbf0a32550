"""A transform by name, and ``auto``: which steps the rows before the validation part ask for.

``auto`` takes, of the steps of :mod:`kseq.transforms`:

- ``anomaly`` where the phases' means lower Akaike's information criterion (Akaike 1974).
- ``change`` after it where the test of Dickey and Fuller (1979), augmented and at 5 %, says that each target comes back
  to a level; and before that ``trend`` where this level moves: where the slope of a line is not zero at 1 %, for a
  number of rows that allows for their likeness to the row before (Santer et al. 2000). Where the first test does not
  say so, ``difference`` comes first, then ``anomaly`` if the differences have a season.

    >>> series = load_series("co2")
    >>> Transform("auto").fit(series, 355).label
    'difference,anomaly (season 12)'
"""

import warnings
from dataclasses import dataclass

import numpy as np

from kseq.baselines import Climatology
from kseq.evenly import places_of
from kseq.seasons import Cycle, cycle_of, season_of
from kseq.data import Series
from kseq.transforms import (
    Anomaly,
    Difference,
    FittedTransform,
    Log,
    Step,
    Trend,
    line_through,
    part_of,
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
        names: of its steps with commas between them, of :data:`kseq.transforms.STEPS`; or ``"auto"``, or ``"none"``.
        season: steps in a season; 0 to find it from the dates.
        past_target: whether models read the targets' past. If not, ``auto`` leaves values as they are: a forecast that
            starts from the last value would bring that past in by another door.
        trend: whether ``auto`` may choose ``trend``.

    Raises:
        ConfigError: see :func:`kseq.transforms.steps_of`.
    """

    names: str
    season: int = 0
    past_target: bool = True
    trend: bool = True

    def __post_init__(self) -> None:
        steps_of(self.names)

    def fit(self, series: Series, known: int) -> FittedTransform:
        """Fit on the first ``known`` rows of a series.

        Raises:
            ConfigError: ``anomaly`` without a season.
            DataError: ``log`` of values that are not positive.

        Example:
            >>> Transform("anomaly").fit(load_series("nino12"), 497).steps[0].means.shape
            (12, 1)
        """
        names = steps_of(self.names)
        cycle = self._cycle(series, known) if {"auto", "anomaly"} & set(names) else Cycle(1, np.zeros(len(series), int))
        if names == ("auto",):
            names = choose(series, known, cycle, self.trend) if self.past_target else ()
        steps: list[Step] = []
        y = series.y
        for name in names:
            if name == "log":
                steps.append(Log.fit(series))
            elif name == "anomaly":
                steps.append(Anomaly.fit(y, known, cycle))
            elif name == "trend":
                steps.append(Trend.fit(y, known, times_of(series.index)))
            elif name == "difference":
                steps.append(Difference())
            else:
                return FittedTransform(tuple(steps), changes=True)
            y = steps[-1].apply(y, series.stretches)
        return FittedTransform(tuple(steps), changes=False)

    def _cycle(self, series: Series, known: int) -> Cycle:
        rows = np.flatnonzero(whole_rows(series.y[:known]))
        season = self.season or season_of(series.index[rows], series.y[rows])
        return cycle_of(series.index, season, places_of(series))


def choose(series: Series, known: int, cycle: Cycle, trend: bool = True) -> tuple[str, ...]:
    """Choose steps for a series by its first ``known`` rows, as the head of this file says.

    Args:
        series: the series.
        known: rows that may be looked at.
        cycle: its season.
        trend: whether ``trend`` may be among them.

    Returns:
        Names of :data:`kseq.transforms.STEPS`.
    """
    y = series.y[:known]
    cycle = Cycle(cycle.season, cycle.phase[:known])
    seasonal = _has_season(y, cycle)
    level = Anomaly.fit(y, known, cycle).apply(y, series.stretches) if seasonal else y
    if _comes_back(level):
        moves = trend and _has_trend(level, times_of(series.index)[:known])
        return (*["anomaly"] * seasonal, *["trend"] * moves, "change")
    differences = Difference().apply(series.y, series.stretches)[:known]
    return ("difference", *["anomaly"] * _has_season(differences, cycle))


def _has_season(y: np.ndarray, cycle: Cycle) -> bool:
    """Whether the phases' means are worth their number, by Akaike's criterion summed over the targets."""
    part = part_of(y, cycle)
    spread = part.y.std(axis=0)
    if Climatology().reason(part) is not None or not spread.all():
        return False
    left = Climatology().fit(part).anomalies(part.y).std(axis=0)
    with np.errstate(divide="ignore"):
        # A season without any noise explains everything: minus infinity.
        return bool(np.sum(2 * len(part) * np.log(left / spread) + 2 * (cycle.season - 1)) < 0)


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

    start, slope = line_through(times, y)
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
