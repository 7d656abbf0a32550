"""The verdict in words: what the numbers of a comparison say, and what must not be read into them.

Each sentence is a function of the :class:`Evidence` that returns its text, or None where its condition does not hold.
:func:`verdict` gives the sentences that answer "which one?", :func:`traps` those that say what to beware of. Nothing
but the numbers decides.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from kseq.metrics import mape_reason
from kseq.statistics import LEVEL, LEVEL_TRAINED, Difference, Row, best_baseline, differences, ranked, spread

#: Fewer seeds than this say little of the noise between trainings.
FEW_SEEDS = 5

#: Fewer test windows than this have no correlation worth a word.
FEW_WINDOWS = 10

#: Units whose zero is a convention, in small letters.
ARBITRARY_ZERO = (
    "°c", "°f", "deg c", "deg f", "degc", "degf", "celsius", "fahrenheit", "degrees c", "degrees f", "degrees celsius",
    "degrees fahrenheit", "degree_celsius", "degree_fahrenheit", "degrees_celsius", "degrees_fahrenheit",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that a verdict is drawn from.

    Args:
        rows: of the comparison.
        y: true values of the test windows, ``(windows, horizon, targets)``.
        last: the last value that each window knows, ``(windows, targets)``.
        low: smallest value of each target in the part that the networks are trained on, ``(targets,)``; where they are
            trained anew in each fold, of each window's own training, ``(windows, 1, targets)``.
        high: the largest.
        lookback: rows that the networks read; 0 where unknown.
        unit: of the targets ("°C").
        index: dates of the series.
        step_size: rows between the origins of neighbouring windows.
        series: how many series a panel has; None for a series by itself. Rows of a panel hold losses by origin date,
            and their mean absolute error is the MASE, see :mod:`kseq.panels.scores`.
        trials: by which settings of each cell were chosen; 0 where they were not.
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

    @cached_property
    def cells(self) -> list[Row]:
        """Cells, the best first; without those of which every seed diverged."""
        return ranked(row for row in self.rows if row.kind == "cell")

    @cached_property
    def trained(self) -> list[Row]:
        """Cells and ensembles, the best first."""
        return ranked(row for row in self.rows if row.kind != "baseline")

    @cached_property
    def baseline(self) -> Row | None:
        """The best baseline."""
        return best_baseline(self.rows)

    @cached_property
    def pairs(self) -> dict[frozenset[str], Difference]:
        """Differences by the names of the pair."""
        # Windows share test points, and so errors, as far as their horizons overlap.
        horizon = math.ceil(self.y.shape[1] / self.step_size)
        return {frozenset((pair.better, pair.worse)): pair for pair in differences(self.rows, horizon=horizon)}

    def pair(self, a: Row, b: Row) -> Difference:
        """The difference between two rows."""
        return self.pairs[frozenset((a.name, b.name))]

    def beats(self, a: Row, b: Row) -> bool:
        """Whether the first row is better than the second, beyond noise."""
        pair = self.pair(a, b)
        return pair.significant and pair.better == a.name

    def against(self, baseline: Row) -> dict[str, list[Row]]:
        """Cells by how they stand to a baseline: ``"beat"``, ``"par"`` or ``"lose"``."""
        standing: dict[str, list[Row]] = {"beat": [], "par": [], "lose": []}
        for cell in self.cells:
            key = "beat" if self.beats(cell, baseline) else "lose" if self.beats(baseline, cell) else "par"
            standing[key].append(cell)
        return standing

    @property
    def leaders(self) -> list[Row]:
        """The best cell and those that cannot be told from it."""
        best = self.cells[0]
        return [best, *(cell for cell in self.cells[1:] if not self.beats(best, cell))]

    @cached_property
    def worth_training(self) -> list[Row]:
        """Leading cells that beat the best baseline; where there is none, other cells that do; else ensembles."""
        if self.baseline is None:
            return []
        cells = self.against(self.baseline)["beat"]
        leading = [cell for cell in cells if cell in self.leaders]
        ensembles = [row for row in self.trained if row.kind == "ensemble" and self.beats(row, self.baseline)]
        return leading or cells or ensembles

    @property
    def measure(self) -> str:
        """What rows are ranked by, in words."""
        return "mean absolute error" if self.series is None else "MASE"

    def amount(self, value: float) -> str:
        """A number of three digits with the target's unit."""
        digits = f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")
        return f"{digits} {self.unit}".rstrip()


def verdict(evidence: Evidence) -> list[str]:
    """Sentences on who wins, against what, at which cost, and what to use; empty without a cell that can be scored."""
    if not evidence.cells:
        return []
    return _texts(SENTENCES, evidence)


def traps(evidence: Evidence) -> list[str]:
    """Sentences on what must not be read into the numbers."""
    return _texts(TRAPS, evidence) + [f"{row.name}: {flag}" for row in evidence.rows for flag in row.flags]


def _texts(sentences: Iterable[Callable[[Evidence], str | None]], evidence: Evidence) -> list[str]:
    texts = (sentence(evidence) for sentence in sentences)
    return [text for text in texts if text is not None]


# --------------------------------------------------------------------------------------------------------------------
# Which one?


def winner(evidence: Evidence) -> str | None:
    """One cell is better than every other, beyond the noise of seeds and of the test period."""
    leaders, others = evidence.leaders, evidence.cells[1:]
    if len(leaders) > 1 or not others:
        return None
    best, second = leaders[0], others[0]
    p = max(evidence.pair(best, other).p_adjusted for other in others)
    return (
        f"{best.name} wins among the cells: its {evidence.measure}, {evidence.amount(best.score)}, is "
        f"{1 - best.score / second.score:.1%} below that of {second.name} ({_p(p)})."
    )


def tie(evidence: Evidence) -> str | None:
    """The best cell cannot be told from at least one other."""
    leaders = evidence.leaders
    if len(leaders) == 1:
        return None
    pairs = [evidence.pair(leaders[0], other) for other in leaders[1:]]
    shown = f"{evidence.amount(leaders[0].score)} to {evidence.amount(leaders[-1].score)}"
    errors = f"{evidence.measure if evidence.series else 'mean absolute errors'} of {shown}"
    if any(np.isnan(pair.p_seeds) for pair in pairs):
        return f"{_names(leaders)} cannot be told apart without several seeds of each: {errors}."
    p = min(pair.p_adjusted for pair in pairs)
    noise = f"{_p(p)} or more" if len(pairs) > 1 else _p(p)
    # A reader knows 0.05 as the level.
    strict = f"; between cells a difference takes p <= {LEVEL_TRAINED:g}" if p <= LEVEL else ""
    return f"{_names(leaders)} tie ({noise}{strict}): {errors}."


def behind(evidence: Evidence) -> str | None:
    """Some cells tie at the top and others are behind."""
    leaders = evidence.leaders
    others = [cell for cell in evidence.cells if cell not in leaders]
    if len(leaders) == 1 or not others:
        return None
    p = max(evidence.pair(leaders[0], other).p_adjusted for other in others)
    return f"{_names(others)} {_verb(others, 'is', 'are')} behind {leaders[0].name} ({_p(p)})."


def seed_noise(evidence: Evidence) -> str | None:
    """The two best cells tie, seeds do not tell them apart, and one alone varies more than the two differ."""
    if len(evidence.leaders) < 2 or min(len(cell.scores) for cell in evidence.leaders[:2]) < 2:
        return None
    best, second = evidence.leaders[:2]
    pair = evidence.pair(best, second)
    if pair.p_seeds <= pair.level:
        return None
    gap, noise = second.score - best.score, max(spread(cell.scores).std for cell in (best, second))
    if gap >= noise:
        return None
    return (
        f"The gap between {best.name} and {second.name}, {evidence.amount(gap)}, is within the noise of seeds: one "
        f"cell alone varies by {evidence.amount(noise)} (standard deviation)."
    )


def time_noise(evidence: Evidence) -> str | None:
    """The two best cells tie although seeds tell them apart: the test part does not."""
    if len(evidence.leaders) < 2:
        return None
    best, second = evidence.leaders[:2]
    pair = evidence.pair(best, second)
    if np.isnan(pair.p_seeds) or pair.p_seeds > pair.level or pair.p_time <= pair.level:
        return None
    windows = "test windows" if evidence.series is None else "origin dates"
    return (
        f"{best.name} is ahead of {second.name} in the mean of its seeds ({_p(pair.p_seeds)}), but the "
        f"{len(best.errors[0])} {windows} are too few to say that it would be elsewhere ({_p(pair.p_time)})."
    )


def against_best_baseline(evidence: Evidence) -> str | None:
    """There is a baseline: which cells beat it, are on a par with it, lose to it."""
    baseline = evidence.baseline
    if baseline is None:
        return None
    verbs = {
        "beat": ("beats", "beat"),
        "par": ("is on a par with", "are on a par with"),
        "lose": ("loses to", "lose to"),
    }
    parts: list[str] = []
    for standing, cells in evidence.against(baseline).items():
        if not cells:
            continue
        p = [evidence.pair(cell, baseline).p_adjusted for cell in cells]
        # The least convincing of the p-values, whichever way they are read.
        shown = _p(min(p)) + (" or more" if len(p) > 1 else "") if standing == "par" else _p(max(p))
        amount = f"{evidence.amount(baseline.score)}; "
        every = {1: "", 2: " both"}.get(len(cells), " all") if len(cells) == len(evidence.cells) else ""
        target = f"{baseline.name}, the best baseline ({amount}{shown})" if not parts else f"it ({shown})"
        parts.append(f"{_names(cells)}{every} {_verb(cells, *verbs[standing])} {target}")
    return f"{'; '.join(parts)}."


def beaten_baseline(evidence: Evidence) -> str | None:
    """No cell beats the best baseline, but some beat a lesser one: the hardest of those."""
    if evidence.baseline is None or evidence.against(evidence.baseline)["beat"]:
        return None
    for baseline in ranked(row for row in evidence.rows if row.kind == "baseline"):
        cells = evidence.against(baseline)["beat"]
        if cells:
            p = max(evidence.pair(cell, baseline).p_adjusted for cell in cells)
            amount = evidence.amount(baseline.score)
            return f"{_names(cells)} {_verb(cells, 'beats', 'beat')} {baseline.name} ({amount}; {_p(p)})."
    return None


def reach(evidence: Evidence) -> str | None:
    """Of several steps ahead, a cell is below the best baseline at the first ones, and then no longer."""
    baseline, steps = evidence.baseline, evidence.y.shape[1]
    # Rows of a panel hold losses that several series share.
    if baseline is None or evidence.series is not None:
        return None
    to_beat = np.abs(baseline.finite).mean(axis=(0, 1, 3))
    reached: dict[int, list[Row]] = {}
    for cell in evidence.cells:
        missed = np.flatnonzero(np.abs(cell.finite).mean(axis=(0, 1, 3)) >= to_beat)
        reached.setdefault(int(missed[0]) if len(missed) else steps, []).append(cell)
    if not any(0 < step < steps for step in reached):
        return None
    shown = {0: "not at step 1", steps: f"at all {steps} steps"}
    parts = [
        f"{_names(cells)} {shown.get(step, f'up to step {step} of {steps}, not at step {step + 1}')}"
        for step, cells in sorted(reached.items(), reverse=True)
    ]
    return f"Step by step, below {baseline.name} in mean absolute error: {'; '.join(parts)}."


def cost(evidence: Evidence) -> str | None:
    """What a lone cell costs; of several, which has fewest parameters and which is trained fastest, if they differ."""
    cells = evidence.cells
    parts = []
    smallest, largest = (choose(cells, key=lambda cell: cell.parameters) for choose in (min, max))
    if len(cells) == 1 and smallest.parameters:
        parts.append(f"{smallest.name} has {smallest.parameters:,} parameters")
    elif 0 < smallest.parameters < largest.parameters:
        parts.append(f"{smallest.name} has {smallest.parameters:,} parameters, {largest.name} {largest.parameters:,}")
    timed = [cell for cell in cells if np.isfinite(cell.seconds)]
    if timed:
        fastest, slowest = (choose(timed, key=lambda cell: cell.seconds) for choose in (min, max))
        if len(cells) == 1:
            parts.append(f"{fastest.name} trains in {_seconds(fastest.seconds)} a seed")
        # Less than a tenth is the machine's own noise.
        elif fastest.seconds < 0.9 * slowest.seconds:
            parts.append(
                f"{fastest.name} trains in {_seconds(fastest.seconds)} a seed, "
                f"{slowest.name} in {_seconds(slowest.seconds)}"
            )
    return f"{'; '.join(parts)}." if parts else None


def tuned(evidence: Evidence) -> str | None:
    """Settings of the cells were chosen by trials."""
    if not evidence.trials:
        return None
    baselines = "" if evidence.baseline is None else "; baselines have no such settings"
    return (
        f"Settings were tuned with {evidence.trials} trial{'s' * (evidence.trials > 1)} for each cell, of one budget, "
        f"by errors on the validation part; no test row took part{baselines}."
    )


def use_a_network(evidence: Evidence) -> str | None:
    """Something trained beats the best baseline: the smallest of the cells worth training, or an ensemble."""
    good = evidence.worth_training
    if evidence.baseline is None or not good:
        return None
    # Of equal size, the first: rows come with the best first.
    choice = min(good, key=lambda row: row.parameters)
    smaller = choice.parameters < max(row.parameters for row in good)
    reason = " the smallest of those that tie," if smaller and choice.kind == "cell" else ""
    return f"Use {choice.name}:{reason} {1 - choice.score / evidence.baseline.score:.1%} below the best baseline."


def use_the_baseline(evidence: Evidence) -> str | None:
    """Nothing trained beats the best baseline, but a cell is on a par with it."""
    if evidence.baseline is None or evidence.worth_training or not evidence.against(evidence.baseline)["par"]:
        return None
    return f"Use {evidence.baseline.name}: no cell is better, and it needs no training."


def use_no_network(evidence: Evidence) -> str | None:
    """Nothing trained beats the best baseline, and every cell loses to it."""
    if evidence.baseline is None or evidence.worth_training:
        return None
    if len(evidence.against(evidence.baseline)["lose"]) < len(evidence.cells):
        return None
    window = f" at this lookback ({evidence.lookback})" if evidence.lookback else ""
    return f"Use {evidence.baseline.name}: do not use a recurrent net for this series{window}."


#: In the order in which they are read.
SENTENCES = (
    winner, tie, behind, seed_noise, time_noise, against_best_baseline, beaten_baseline, reach, cost, tuned,
    use_a_network, use_the_baseline, use_no_network,
)  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Traps.


def no_baseline(evidence: Evidence) -> str | None:
    """Cells stand alone."""
    if evidence.baseline is not None or not evidence.trained:
        return None
    return "No baseline stands beside the cells: nothing says whether training was worth it."


def copies_last_value(evidence: Evidence) -> str | None:
    """One step ahead, forecasts correlate better with the last known value than with the value to be forecast.

    That is asked of windows that follow one another row by row, and are enough for a correlation to mean something:
    the folds of a backtest may be a season apart, where the last value says as much as the truth.
    """
    if evidence.step_size > 1 or len(evidence.y) < FEW_WINDOWS or evidence.series is not None:
        return None
    found = []
    for row in evidence.trained:
        forecast = evidence.y[:, 0] + row.finite[:, :, 0]
        with_last = _correlation(forecast, evidence.last)
        with_truth = _correlation(forecast, evidence.y[:, 0])
        if with_last > with_truth:
            found.append(f"{row.name} ({with_last:.3f} with y(t-1), {with_truth:.3f} with y(t))")
    if not found:
        return None
    return (
        f"Forecasts that follow the last value: {', '.join(found)}. Such a curve looks right and is the truth one step "
        "late."
    )


def at_epoch_limit(evidence: Evidence) -> str | None:
    """A cell was still training when its epochs ran out."""
    found = []
    for row in evidence.cells:
        reached = sum(epochs >= row.epoch_limit for epochs in row.epochs)
        if row.epoch_limit and reached:
            # A seed that is trained anew in each fold counts once a fold.
            what = "seeds" if len(row.epochs) == len(row.errors) else "trainings"
            found.append(f"{row.name} with {reached} of {len(row.epochs)} {what} (limit {row.epoch_limit})")
    if not found:
        return None
    return f"Stopped by the limit of epochs, not by the validation error: {', '.join(found)}; raise --epochs."


def outside_training_range(evidence: Evidence) -> str | None:
    """Test values that the networks have never seen the like of."""
    outside = int(((evidence.y < evidence.low) | (evidence.y > evidence.high)).any(axis=(1, 2)).sum())
    if not outside:
        return None
    if evidence.low.ndim > 1:
        return (
            f"{outside} of {len(evidence.y)} test windows hold values outside the training range of their "
            f"{'fold' if evidence.series is None else 'series'}: networks extrapolate badly."
        )
    ranges = ", ".join(
        f"{evidence.amount(low)} to {evidence.amount(high)}"
        for low, high in zip(evidence.low, evidence.high, strict=True)
    )
    return (
        f"{outside} of {len(evidence.y)} test windows hold values outside the training range ({ranges}): networks "
        "extrapolate badly."
    )


def few_seeds(evidence: Evidence) -> str | None:
    """A cell with fewer than five seeds."""
    few = [cell for cell in evidence.cells if len(cell.scores) < FEW_SEEDS]
    if not few:
        return None
    fewest, most = (choose(len(cell.scores) for cell in few) for choose in (min, max))
    if most == 1:
        return f"{_names(few)}: one seed says nothing of the noise between trainings; use --seeds {FEW_SEEDS}."
    shown = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return f"{_names(few)}: {shown} seeds say little of the noise between trainings; use --seeds {FEW_SEEDS}."


def diverged(evidence: Evidence) -> str | None:
    """Members whose forecasts are not numbers."""
    found = [f"{row.name} with {row.diverged} of {len(row.errors)} seeds" for row in evidence.rows if row.diverged]
    return f"Diverged, and left out of tests and verdict: {', '.join(found)}." if found else None


def irregular_steps(evidence: Evidence) -> str | None:
    """Dates that are not evenly spaced: networks and lags count rows, not days."""
    index = evidence.index
    if not isinstance(index, pd.DatetimeIndex) or len(index) < 3 or _is_even(index):
        return None
    days = np.diff(index.to_numpy()) / np.timedelta64(1, "D")
    return (
        f"Time steps are irregular, {days.min():.3g} to {days.max():.3g} days (median {np.median(days):.3g}): models "
        "count rows, not days."
    )


def mape_origin(evidence: Evidence) -> str | None:
    """MAPE is shown for a unit whose zero is a convention."""
    if evidence.unit.lower() not in ARBITRARY_ZERO or mape_reason(evidence.y) is not None:
        return None
    return f"MAPE depends on where {evidence.unit} has its zero: in kelvin the same errors give another percentage."


def mape_missing(evidence: Evidence) -> str | None:
    """MAPE is not shown; of a panel it is told series by series elsewhere."""
    reason = mape_reason(evidence.y) if evidence.series is None else None
    return f"MAPE is n/a: {reason}." if reason else None


#: In the order in which they are read.
TRAPS = (
    no_baseline, few_seeds, diverged, at_epoch_limit, copies_last_value, outside_training_range, irregular_steps,
    mape_origin, mape_missing,
)  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Words.


def _names(rows: Sequence[Row]) -> str:
    """``"GRU"``, ``"GRU and LSTM"``, ``"GRU, LSTM and SimpleRNN"``."""
    *first, last = [row.name for row in rows]
    return f"{', '.join(first)} and {last}" if first else last


def _verb(rows: Sequence[Row], one: str, many: str) -> str:
    return one if len(rows) == 1 else many


def _p(p: float) -> str:
    # Two digits below 0.1: 0.052 must not look like 0.05.
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _is_even(index: pd.DatetimeIndex) -> bool:
    """Whether dates follow a calendar: every so many days or hours, working days, or once in so many months."""
    months = np.diff(12 * index.year + index.month)
    # Middles and ends of months move by as much as the lengths of months.
    if months[0] > 0 and np.ptp(months) == 0 and np.ptp(index.day) <= 3:
        return True
    with warnings.catch_warnings():
        # pandas 3 warns that pandas 4 returns another type; only None is asked for.
        warnings.simplefilter("ignore")
        return pd.infer_freq(index) is not None


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation over windows, averaged over members and targets.

    Args:
        a: ``(members, windows, targets)``.
        b: ``(windows, targets)``.

    Returns:
        0 where one of them does not vary.
    """
    a, b = a - a.mean(axis=-2, keepdims=True), b - b.mean(axis=-2, keepdims=True)
    product = (a * b).sum(axis=-2)
    size = np.sqrt((a**2).sum(axis=-2) * (b**2).sum(axis=-2))
    return float(np.mean(np.divide(product, size, out=np.zeros_like(product), where=size > 0)))
