"""The verdict in words: which one, by how much, at which cost, and what to use.

Each sentence is a function of the :class:`Evidence` that returns its text, or None where its condition does not hold.
Nothing but the numbers decides. What must not be read into them stands in :mod:`kseq.evaluation.cautions`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from kseq.evaluation.significance import (
    LEVEL,
    LEVEL_TRAINED,
    Difference,
    Row,
    best_baseline,
    differences,
    ranked,
    spread,
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that a verdict is drawn from.

    Args:
        rows: rows of the comparison.
        y: true values of the test windows, ``(windows, horizon, targets)``.
        last: the last value that each window knows, ``(windows, targets)``.
        low: smallest value of each target in the rows that the networks are trained on, of the series and the training
            of each window, ``(windows, 1, targets)``; ``(targets,)`` where all windows have the same.
        high: the largest.
        lookback: rows that the networks read; 0 where unknown.
        unit: unit of the targets ("°C").
        index: dates of the series.
        step_size: rows between the origins of neighbouring windows.
        series: how many series there are; None for one. Rows of several hold losses by origin date, and their mean
            absolute error is the MASE, see :mod:`kseq.comparison.scores`.
        trials: by which settings of each cell were chosen; 0 where they were not.
        targets: names of the targets; empty where they do not matter.
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
    return texts(SENTENCES, evidence)


def texts(sentences: Iterable[Callable[[Evidence], str | None]], evidence: Evidence) -> list[str]:
    """Give the sentences whose conditions hold, in their order."""
    found = (sentence(evidence) for sentence in sentences)
    return [text for text in found if text is not None]


def winner(evidence: Evidence) -> str | None:
    """One cell is better than every other, beyond the noise of seeds and of the test period."""
    leaders, others = evidence.leaders, evidence.cells[1:]
    if len(leaders) > 1 or not others:
        return None
    best, second = leaders[0], others[0]
    p = max(evidence.pair(best, other).p_adjusted for other in others)
    return (
        f"{best.name} wins among the cells: its {evidence.measure}, {evidence.amount(best.score)}, is "
        f"{1 - best.score / second.score:.1%} below that of {second.name} ({p_value(p)})."
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
        return f"{names(leaders)} cannot be told apart without several seeds of each: {errors}."
    p = min(pair.p_adjusted for pair in pairs)
    noise = f"{p_value(p)} or more" if len(pairs) > 1 else p_value(p)
    # A reader knows 0.05 as the level.
    strict = f"; between cells a difference takes p <= {LEVEL_TRAINED:g}" if p <= LEVEL else ""
    return f"{names(leaders)} tie ({noise}{strict}): {errors}."


def behind(evidence: Evidence) -> str | None:
    """Some cells tie at the top and others are behind."""
    leaders = evidence.leaders
    others = [cell for cell in evidence.cells if cell not in leaders]
    if len(leaders) == 1 or not others:
        return None
    p = max(evidence.pair(leaders[0], other).p_adjusted for other in others)
    return f"{names(others)} {verb(others, 'is', 'are')} behind {leaders[0].name} ({p_value(p)})."


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
        f"{best.name} is ahead of {second.name} in the mean of its seeds ({p_value(pair.p_seeds)}), but the "
        f"{len(best.errors[0])} {windows} are too few to say that it would be elsewhere ({p_value(pair.p_time)})."
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
        shown = p_value(min(p)) + (" or more" if len(p) > 1 else "") if standing == "par" else p_value(max(p))
        amount = f"{evidence.amount(baseline.score)}; "
        every = {1: "", 2: " both"}.get(len(cells), " all") if len(cells) == len(evidence.cells) else ""
        target = f"{baseline.name}, the best baseline ({amount}{shown})" if not parts else f"it ({shown})"
        parts.append(f"{names(cells)}{every} {verb(cells, *verbs[standing])} {target}")
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
            return f"{names(cells)} {verb(cells, 'beats', 'beat')} {baseline.name} ({amount}; {p_value(p)})."
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
        f"{names(cells)} {shown.get(step, f'up to step {step} of {steps}, not at step {step + 1}')}"
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
            parts.append(f"{fastest.name} trains in {seconds(fastest.seconds)} a seed")
        # Less than a tenth is the machine's own noise.
        elif fastest.seconds < 0.9 * slowest.seconds:
            parts.append(
                f"{fastest.name} trains in {seconds(fastest.seconds)} a seed, "
                f"{slowest.name} in {seconds(slowest.seconds)}"
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


def names(rows: Sequence[Row]) -> str:
    """``"GRU"``, ``"GRU and LSTM"``, ``"GRU, LSTM and SimpleRNN"``."""
    *first, last = [row.name for row in rows]
    return f"{', '.join(first)} and {last}" if first else last


def verb(rows: Sequence[Row], one: str, many: str) -> str:
    """The verb's form for one row or for many."""
    return one if len(rows) == 1 else many


def p_value(p: float) -> str:
    """``"p = 0.052"``, ``"p = 0.31"``, ``"p < 0.001"``."""
    # Two digits below 0.1: 0.052 must not look like 0.05.
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def seconds(count: float) -> str:
    """``"12 s"``, ``"0.35 s"``."""
    return f"{count:.0f} s" if count >= 10 else f"{count:.2g} s"
