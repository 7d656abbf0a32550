"""What the verdict and the cautions are drawn from: rows, true values, facts of the series, and the tests of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from kseq.evaluation.confidence_set import SIZE, confidence_set
from kseq.evaluation.metrics import ALL_METRICS
from kseq.evaluation.noise import Source, sources
from kseq.evaluation.over_series import Friedman, friedman
from kseq.evaluation.rows import Row, best_baseline, ranked
from kseq.evaluation.significance import Difference, differences
from kseq.text import LARGE


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that the verdict and the cautions are drawn from.

    Args:
        rows: Rows of the comparison.
        y: True values of the test windows, ``(windows, horizon, targets)``.
        last: Last known value of each window, ``(windows, targets)``.
        low: Smallest training value of each target, for the series and the training of each window,
            ``(windows, 1, targets)``; ``(targets,)`` if all windows have the same.
        high: Largest training value, shaped like ``low``.
        lookback: Number of rows that the networks read; 0 if unknown.
        unit: Unit of the targets, such as ``"°C"``.
        index: Dates of the series.
        step_size: Rows between the origins of consecutive windows.
        series: Number of series; None for one.
        trials: Number of trials that chose the settings of each cell; 0 without tuning.
        targets: Names of the targets; empty if they do not matter.
        metric: Name of the metric that ranks; by default ``"mae"`` of one series, ``"mase"`` of several.
        owners: Series of each window, counted from 0, ``(windows,)``; None for one series.
        step_words: What the test over time counts: ``"months"``.
        dates: Number of origin dates of several series; 0 if it does not matter.
        season: Steps in a season; 1 for none.
        null_losses: Training and validation loss of a forecast that needs no training, in what networks learn, see
            :mod:`kseq.comparison.null_losses`; NaN where it is not known.
        null_words: What such a forecast repeats.
    """

    rows: Sequence[Row]
    y: np.ndarray
    last: np.ndarray
    low: np.ndarray
    high: np.ndarray
    lookback: int = 0
    unit: str = ""
    index: pd.Index | None = None
    step_size: int = 1
    series: int | None = None
    trials: int = 0
    targets: Sequence[str] = ()
    metric: str = ""
    owners: np.ndarray | None = None
    step_words: str = "test windows"
    dates: int = 0
    season: int = 1
    null_losses: tuple[float, float] = (float("nan"), float("nan"))
    null_words: str = "no change"

    @cached_property
    def cells(self) -> list[Row]:
        """Cells and models of others, the best first, without those whose seeds have all diverged."""
        return ranked(row for row in self.rows if row.kind in ("cell", "model"))

    @property
    def noun(self) -> str:
        """What :attr:`cells` are called."""
        return "cell" if all(row.kind == "cell" for row in self.cells) else "model"

    @cached_property
    def trained(self) -> list[Row]:
        """Cells and ensembles, the best first."""
        return ranked(row for row in self.rows if row.kind != "baseline")

    @cached_property
    def baseline(self) -> Row | None:
        """The best baseline, on the validation part where there is one."""
        return best_baseline(self.rows)

    @cached_property
    def hindsight(self) -> Row | None:
        """The baseline that is better on the test part than the one chosen on the validation part, if any."""
        best = best_baseline(self.rows, hindsight=True)
        return None if best is None or best is self.baseline else best

    @property
    def windows_of(self) -> np.ndarray:
        """Series of each window, counted from 0, ``(windows,)``; in ascending order."""
        return np.zeros(len(self.y), int) if self.owners is None else self.owners

    @property
    def overlap(self) -> int:
        """Number of windows over which forecasts overlap: errors of windows are correlated as far as that."""
        return math.ceil(self.y.shape[1] / self.step_size)

    @cached_property
    def confidence(self) -> dict[str, float]:
        """P-values of the model confidence set, by row: those above 0.1 may be the best, at 90 %.

        Of several series the set is found over origin dates and over series, and a row is out of it if it is out of
        both.
        """
        rows = ranked(self.rows)
        if not rows:
            return {}
        kept = [row.of_seeds(row.finite_seeds) for row in rows]
        parts = []
        if rows[0].losses.shape[1] > 1:
            losses = [row.losses[seeds] for row, seeds in zip(rows, kept, strict=True)]
            parts.append(confidence_set(losses, horizon=self.overlap))
        if all(row.by_series is not None for row in rows):
            scores = np.stack([row.by_series[seeds].mean(axis=0) for row, seeds in zip(rows, kept, strict=True)])  # type: ignore[index]
            scores = scores[:, np.isfinite(scores).all(axis=0)]
            if scores.shape[1] > 1:
                parts.append(confidence_set(list(scores[:, None]), independent=True))
        p = np.max(parts, axis=0) if parts else np.ones(len(rows))
        return {row.name: float(value) for row, value in zip(rows, p, strict=True)}

    def may_be_best(self, name: str) -> bool:
        """Whether a row is in the model confidence set at 90 %."""
        return self.confidence.get(name, 0.0) > SIZE

    @cached_property
    def ranks(self) -> Friedman | None:
        """Friedman's test over series of all rows, the best first; None with fewer than twenty series."""
        rows = ranked(self.rows)
        scores = [row.by_series[row.of_seeds(row.finite_seeds)].mean(axis=0) for row in rows
                  if row.by_series is not None]  # fmt: skip
        return friedman(np.stack(scores)) if scores and len(scores) == len(rows) else None

    def noise(self, a: Row, b: Row) -> list[Source]:
        """Sources of noise in the difference of two rows."""
        return sources(a, b, self.overlap)

    @cached_property
    def pairs(self) -> dict[frozenset[str], Difference]:
        """Differences by the names of the pair."""
        return {frozenset((pair.better, pair.worse)): pair for pair in differences(self.rows, horizon=self.overlap)}

    def pair(self, a: Row, b: Row) -> Difference:
        """The difference between two rows."""
        return self.pairs[frozenset((a.name, b.name))]

    def beats(self, a: Row, b: Row) -> bool:
        """Whether the first row is significantly better than the second."""
        pair = self.pair(a, b)
        return pair.significant and pair.better == a.name

    def against(self, baseline: Row) -> dict[str, list[Row]]:
        """Group the cells into those that ``"beat"`` a baseline, are on ``"par"`` with it, or ``"lose"`` to it."""
        standing: dict[str, list[Row]] = {"beat": [], "par": [], "lose": []}
        for cell in self.cells:
            key = "beat" if self.beats(cell, baseline) else "lose" if self.beats(baseline, cell) else "par"
            standing[key].append(cell)
        return standing

    @property
    def leaders(self) -> list[Row]:
        """The best cell and those that do not differ from it significantly."""
        best = self.cells[0]
        return [best, *(cell for cell in self.cells[1:] if not self.beats(best, cell))]

    @cached_property
    def worth_training(self) -> list[Row]:
        """Leading cells that beat the best baseline; if there is none, other cells that do, else ensembles.

        None if the baseline that is better on the test part beats them all.
        """
        if self.baseline is None:
            return []
        found = self._beating
        return [row for row in found if self.hindsight is None or not self.beats(self.hindsight, row)]

    @property
    def _beating(self) -> list[Row]:
        assert self.baseline is not None
        cells = self.against(self.baseline)["beat"]
        leading = [cell for cell in cells if cell in self.leaders]
        ensembles = [row for row in self.trained if row.kind == "ensemble" and self.beats(row, self.baseline)]
        return leading or cells or ensembles

    @property
    def measure(self) -> str:
        """Name of the metric that ranks the rows, in words."""
        return "mean absolute error" if self._metric == "mae" else ALL_METRICS[self._metric].label

    @property
    def _metric(self) -> str:
        return self.metric or ("mae" if self.series is None else "mase")

    def amount(self, value: float) -> str:
        """Format a score with three digits and its unit."""
        unit = ALL_METRICS[self._metric].unit
        return self.in_unit(value, self.unit if unit == "target" else unit)

    def in_unit(self, value: float, unit: str | None = None) -> str:
        """Format a number with three digits and a unit, the target's by default."""
        unit = self.unit if unit is None else unit
        size = abs(value)
        digits = f"{value:.2e}" if size >= LARGE else f"{value:.0f}" if size >= 100 else f"{value:#.3g}".rstrip(".")
        return f"{digits} {unit}".rstrip()
