"""What models read and forecast instead of a target's values: logarithms, anomalies, trends, differences, references.

A transform is fitted for each series on its rows before the validation part, comes before the scale, and is undone
before anything is scored. Its steps are applied in the order in which they are named, ``"difference,anomaly"``:

==============  =====================================  ==============================================================
step            what models read and forecast          how it is undone
==============  =====================================  ==============================================================
``log``         the natural logarithm                  the exponential of it: a median rather than a mean
``log1p``       the logarithm of one more, which       the exponential, less one
                allows zeros
``anomaly``     the distance from the training part's  that mean is added for the phase of the forecast row
                mean of the season's phase
``trend``       the distance from the training part's  the line is added for the time of the forecast row
                straight line over time
``difference``  the distance from the row before       forecasts are added up from the last known value on
==============  =====================================  ==============================================================

After these one of ``change``, ``last``, ``mean``, ``season`` and ``ar`` says what values of a window are measured from,
see :mod:`kseq.preprocessing.references`; ``spread`` after it divides by how far the window's values lie apart.

Steps work on some neighbouring series at a time, so that a long panel is never copied as a whole. The mean of a phase
is that of its own series, over neighbouring phases where single ones are noisy, see
:func:`kseq.preprocessing.seasonality.climatology`; in a series of fewer than two seasons it is the mean of all training
rows. The trend of a series with fewer than three training rows that have values is flat, at their mean.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kseq.data import Panel
from kseq.errors import ConfigError, Parameter
from kseq.preprocessing._runs import CHUNK, groups
from kseq.preprocessing.autoregression import Autoregression, burg
from kseq.preprocessing.grid import grids
from kseq.preprocessing.references import REFERENCES, SPREAD, Reference
from kseq.preprocessing.seasonality import Cycle, climatology
from kseq.preprocessing.splits import Split
from kseq.preprocessing.steps import Anomaly, Difference, Log, Log1p, Step, Trend, times_of
from kseq.text import shown

#: Steps by name; ``none`` and ``auto`` stand alone.
STEPS = ("log", "anomaly", "trend", "difference", *REFERENCES, SPREAD, "log1p")
NAMES = ("auto", "none", *STEPS, "per-cell")

#: Through fewer rows than this a line is flat: any two rows lie on one that says nothing of what comes.
FEWEST_OF_LINE = 3


def steps_of(names: str) -> tuple[str, ...]:
    """Read the names of a transform's steps, with commas between them.

    Returns:
        The steps in order; none for ``"none"``, and ``("auto",)`` for ``"auto"`` and ``"per-cell"``.

    Raises:
        ConfigError: An unknown name, or an order that makes no sense.

    Example:
        >>> steps_of("anomaly, change")
        ('anomaly', 'change')
    """
    if not isinstance(names, str):
        raise ConfigError(f"received transform {shown(names)}, expected a text, steps with commas between them.")
    steps = tuple(name.strip() for name in names.split(","))
    for step in steps:
        if step not in NAMES:
            raise ConfigError(f"received transform {step!r}, expected one of {', '.join(NAMES)}, or several steps.")
    if len(steps) > 1 and not set(steps) <= set(STEPS):
        raise ConfigError(f"received transform {names}, expected auto and none each on its own, as per-cell.")
    if len(set(steps)) != len(steps):
        raise ConfigError(f"received transform {names}, expected each step once.")
    # Logarithms come first, what a window is measured from last, and spread after that.
    ranks = [
        0 if step in ("log", "log1p") else 2 if step in REFERENCES else 3 if step == SPREAD else 1 for step in steps
    ]
    if ranks != sorted(ranks) or any(ranks.count(rank) > 1 for rank in (0, 2)) or (3 in ranks and 2 not in ranks):
        raise ConfigError(
            f"received transform {names}, expected log as the first step and change as the last, where log1p may stand "
            f"for log and {', '.join(REFERENCES[1:])} for change; {SPREAD} alone comes after that."
        )
    if steps == ("none",):
        return ()
    return ("auto",) if steps == ("per-cell",) else steps


@dataclass(frozen=True, eq=False)
class _Rows:
    """Neighbouring series of a panel as a transform reads them.

    Args:
        first: Their first row.
        y: Their targets, ``(rows, targets)``.
        stretches: Runs of consecutive rows, counted from their first, ``(runs, 2)``.
    """

    first: int
    y: np.ndarray
    stretches: np.ndarray

    @classmethod
    def of(cls, panel: Panel, first: int, last: int) -> "_Rows":
        low, high = np.searchsorted(panel.stretches[:, 0], [first, last])
        return cls(first, panel.y[first:last], panel.stretches[low:high] - first)

    @property
    def slice(self) -> slice:
        return slice(self.first, self.first + len(self.y))


@dataclass(frozen=True, eq=False)
class FittedTransform:
    """A transform that knows its numbers.

    Args:
        steps: In order, without the reference.
        reference: Reference that is subtracted from the values of a window; None for zero.
    """

    steps: tuple[Step, ...]
    reference: Reference | None = None

    @property
    def name(self) -> str:
        """Its steps, as :func:`steps_of` reads them."""
        names = [step.name for step in self.steps]
        return ",".join([*names, self.reference.name] if self.reference else names) or "none"

    @property
    def season(self) -> int:
        """Steps in the season that it knows; 1 where it knows none."""
        known = [step.cycle.season for step in self.steps if isinstance(step, Anomaly)]
        return max([*known, self.reference.season if self.reference else 1])

    @property
    def label(self) -> str:
        """Its steps and the season, for people."""
        return self.name + f" (season {self.season})" * (self.season > 1)

    def lost(self, lookback: int) -> int:
        """Rows at the beginning of each run of rows that it takes besides those that models read."""
        further = self.reference.reach(lookback) - lookback if self.reference else 0
        return sum(step.lost for step in self.steps) + further

    def apply(self, panel: Panel) -> np.ndarray:
        """What the steps make of the targets of a panel, ``(rows, targets)``, NaN where there is no value."""
        made = np.empty_like(panel.y)
        for rows in _parts(panel):
            made[rows.slice] = self._within(rows)._levels(rows)[-1]
        return made

    def undo(self, forecasts: np.ndarray, panel: Panel, rows: np.ndarray) -> np.ndarray:
        """Bring forecasts of what :meth:`apply` gives back to the targets' unit.

        Args:
            forecasts: ``(..., windows, horizon, targets)``; the reference is in them.
            panel: The series; only rows before a window's first target are read.
            rows: Row numbers of the targets, ``(windows, horizon)``; windows in the order of their rows.
        """
        made = np.empty_like(forecasts)
        for part in _parts(panel):
            low, high = np.searchsorted(rows[:, 0], [part.slice.start, part.slice.stop])
            if low < high:
                windows = (..., slice(low, high), slice(None), slice(None))
                made[windows] = self._within(part)._undo(forecasts[windows], part, rows[low:high] - part.first)
        return made

    def put_back(
        self, forecasts: np.ndarray, panel: Panel, rows: np.ndarray, lookback: int, scale: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Bring forecasts of windows back to the targets' unit: put their reference back, then undo the steps.

        Args:
            forecasts: Distances from the reference, ``(..., windows, horizon, targets)``.
            panel: The series; only rows before a window's first target are read.
            rows: Rows as in :meth:`undo`.
            lookback: Rows that models read.
            scale: Scale of the models' inputs for each window, ``(windows, 1, targets)``.
        """
        if self.reference is not None:
            levels = self.apply(panel)
            put, reach = np.empty_like(forecasts), np.arange(-self.reference.reach(lookback), 0)
            size = max(1, CHUNK // len(reach))
            for first in range(0, len(rows), size):
                some = slice(first, first + size)
                past, owners = levels[rows[some, :1] + reach], panel.series_of(rows[some, 0])
                of_some = scale[some] if isinstance(scale, np.ndarray) else scale
                put[..., some, :, :] = self.reference.put_back(
                    forecasts[..., some, :, :], past, lookback, owners, of_some
                )
            forecasts = put
        return self.undo(forecasts, panel, rows)

    def _undo(self, forecasts: np.ndarray, part: "_Rows", rows: np.ndarray) -> np.ndarray:
        levels = self._levels(part)
        for step, y in zip(reversed(self.steps), reversed(levels[:-1]), strict=True):
            forecasts = step.undo(forecasts, y, rows)
        return forecasts

    def _levels(self, part: "_Rows") -> list[np.ndarray]:
        """The targets, and what each step makes of them."""
        levels = [part.y]
        for step in self.steps:
            levels.append(step.apply(levels[-1], part.stretches))
        return levels

    def _within(self, rows: "_Rows") -> "FittedTransform":
        """The steps for some neighbouring series, whose rows count from their first."""
        return FittedTransform(tuple(step.within(rows.slice) for step in self.steps))


def _parts(panel: Panel) -> Iterator[_Rows]:
    """Some series at a time, all of the panel."""
    for group in groups(np.diff(panel.borders)):
        yield _Rows.of(panel, panel.borders[group.start], panel.borders[group.stop])


def fit_steps(
    names: Sequence[str],
    panel: Panel,
    split: Split,
    members: np.ndarray,
    season: int,
    seasons: int = 2,
    lookback: int = 1,
) -> FittedTransform:
    """Fit steps on the training rows of each series.

    Args:
        names: Names of :data:`STEPS`, in order.
        panel: The series.
        split: Their parts.
        members: Series to fit, places in the panel's ``ids``; sorted.
        season: Steps in a season, of which anomalies are taken.
        seasons: How many seasons the longest training part must hold for anomalies.
        lookback: Rows that models read: the highest order of an autoregression.

    Returns:
        FittedTransform: what each step has learnt.

    Raises:
        ConfigError: ``anomaly`` without a season, or with too few of them.
        DataError: ``log`` of values that are not positive.
    """
    steps: list[Step] = []
    reference = None
    for name in names:
        if name in ("log", "log1p"):
            steps.append((Log if name == "log" else Log1p).fit(panel))
        elif name == "anomaly":
            steps.append(_fit_anomaly(panel, steps, split, members, season, seasons))
        elif name == "trend":
            steps.append(_fit_trend(panel, steps, split, members))
        elif name == "difference":
            steps.append(Difference())
        elif name in REFERENCES:
            if name == "season" and season < 2:
                raise _no_season("season", "its dates show no season")
            reference = Reference(name, season if name == "season" else 1, SPREAD in names)
            if name == "ar":
                reference = _fit_autoregression(reference, panel, steps, split, members, lookback)
    return FittedTransform(tuple(steps), reference)


def _fit_anomaly(
    panel: Panel, before: Sequence[Step], split: Split, members: np.ndarray, season: int, seasons: int
) -> Anomaly:
    """Learn the means of each series' phases, of what the steps before have made of the targets."""
    if season < 2:
        raise _no_season("anomaly", "its dates show no season")
    # Each series has phases of its own, one series after the other.
    phase = np.zeros(len(panel), "int32")
    means, rows_of = np.zeros((len(panel.ids), season, len(panel.targets))), np.zeros(len(panel.ids), int)
    for grid in grids(panel, split, members):
        owners = grid.owners[grid.places]
        mine = grid.members[owners]
        phases = grid.phase(season)[grid.places]
        phase[grid.rows] = mine * season + phases
        rows = _Rows.of(panel, panel.borders[grid.members[0]], panel.borders[grid.members[-1] + 1])
        y = FittedTransform(tuple(before))._within(rows)._levels(rows)[-1]
        y = y[grid.rows - rows.first]
        known = (grid.rows < split.validation[mine]) & whole_rows(y)
        owners, count = owners[known], len(grid.members)
        places = (grid.places - grid.borders[grid.owners[grid.places]])[known]
        found = climatology(y[known], owners, phases[known], places, count, season)
        rows_of[grid.members] = np.bincount(owners, minlength=count)
        # A series of fewer than two seasons has one mean.
        totals = np.stack([np.bincount(owners, of, count) for of in y[known].T], axis=-1)
        whole = (totals / np.maximum(rows_of[grid.members], 1)[:, None])[:, None]
        means[grid.members] = np.where((rows_of[grid.members] >= 2 * season)[:, None, None], found, whole)
    most = int(rows_of.max())
    if most < seasons * season:
        raise _no_season("anomaly", f"{most} training rows hold fewer than two seasons of {season}")
    return Anomaly(Cycle(season, phase), means.reshape(-1, len(panel.targets)))


def _fit_trend(panel: Panel, before: Sequence[Step], split: Split, members: np.ndarray) -> Trend:
    """Fit a line to the training rows of each series, to what the steps before have made of the targets."""
    series, targets = len(panel.ids), len(panel.targets)
    start, slope = np.zeros((series, targets)), np.zeros((series, targets))
    last = np.zeros(series, dtype="int64")
    last[members] = split.validation[members]
    for rows in _parts(panel):
        y = FittedTransform(tuple(before))._within(rows)._levels(rows)[-1]
        numbers = np.arange(rows.first, rows.first + len(y))
        owners = panel.series_of(numbers)
        known = (numbers >= split.start[owners]) & (numbers < last[owners]) & ~np.isnan(y).any(axis=1)
        # Series of these rows are counted from the first of them.
        here = slice(owners[0], owners[-1] + 1)
        y, times, owners = y[known], times_of(panel.index[numbers[known]]), owners[known] - here.start
        start[here], slope[here] = lines_through(times, y, owners, here.stop - here.start)
    return Trend(panel.index, panel.borders, start, slope)


def _fit_autoregression(
    asked: Reference, panel: Panel, before: Sequence[Step], split: Split, members: np.ndarray, lookback: int
) -> Autoregression:
    """Fit an autoregression to the training rows of each series, to what the steps before have made of the targets."""
    series, targets = len(panel.ids), len(panel.targets)
    last = np.zeros(series, dtype="int64")
    last[members] = split.validation[members]
    most = max(1, min(lookback, int(10 * np.log10(max(1, (last - split.start).max(initial=1))))))
    coefficients, mean = np.zeros((series, most, targets)), np.zeros((series, targets))
    for rows in _parts(panel):
        y = FittedTransform(tuple(before))._within(rows)._levels(rows)[-1]
        numbers = np.arange(rows.first, rows.first + len(y))
        owners = panel.series_of(numbers)
        known = np.flatnonzero((numbers >= split.start[owners]) & (numbers < last[owners]) & whole_rows(y))
        if not len(known):
            continue
        # Series of these rows are counted from the first of them.
        here = slice(owners[0], owners[-1] + 1)
        begins = np.diff(known, prepend=-2) > 1
        begins |= np.isin(known, rows.stretches[:, 0]) | (np.diff(owners[known], prepend=-1) > 0)
        for target in range(targets):
            coefficients[here, :, target], mean[here, target] = burg(
                y[known, target], owners[known] - here.start, begins, here.stop - here.start, most
            )
    used = 1 + int(np.flatnonzero(coefficients.any(axis=(0, 2))).max(initial=0))
    return Autoregression(asked.kind, 1, asked.spread, coefficients[:, :used].copy(), mean)


def lines_through(times: np.ndarray, y: np.ndarray, owners: np.ndarray, series: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit a straight line to the rows of each series at once, by least squares.

    Args:
        times: ``(rows,)``.
        y: ``(rows, targets)``.
        owners: Series of each row, ``(rows,)``.
        series: How many there are.

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


def whole_rows(y: np.ndarray) -> np.ndarray:
    """Whether each row has values of all targets, ``(rows,)``."""
    return ~np.isnan(y).any(axis=1)


def _no_season(step: str, reason: str) -> ConfigError:
    return ConfigError(
        f"received transform {step} for a series that does not allow it ({reason}), expected a season and two of it "
        "to learn from; name it with ",
        Parameter("season"),
        ", or choose another ",
        Parameter("transform"),
        ".",
    )
