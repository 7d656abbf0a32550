"""The textbook's table of RNN, LSTM and GRU, filled with what was measured.

A line holds where the figures say so beyond their spread: counts are compared as they are, shares of seeds with a half
by the binomial test, orders by a rank test over seeds or over repeated timings.
"""

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from kseq.evaluation.significance import holm
from kseq.explanation.figures import HUNDREDTH
from kseq.explanation.gradients import LagCurve
from kseq.explanation.result import CellExplanation, Measured
from kseq.explanation.tasks import Tasks
from kseq.kernels.reference import GATES
from kseq.text import DASH

#: What lessons say, in the order of the cells.
SAYS = {
    "long-term memory": {"SimpleRNN": "no", "LSTM": "yes (cell state)", "GRU": "yes (update gate)"},
    "gates": {"SimpleRNN": "0", "LSTM": "3", "GRU": "2"},
    "parameters": {"SimpleRNN": "few", "LSTM": "many", "GRU": "intermediate"},
    "training speed": {"SimpleRNN": "fast", "LSTM": "slow", "GRU": "intermediate"},
    "vanishing gradient": {"SimpleRNN": "yes", "LSTM": "no", "GRU": "no"},
}
#: Whether a line holds: yes; no; cells that it tells apart are not; seeds do not agree, or are too few; not measured.
HOLDS, FAILS, ALIKE, UNDECIDED, UNKNOWN = "yes", "NO", "no difference seen", "undecided", DASH
#: Order that "few, intermediate, many" and "fast, intermediate, slow" stand for.
_ORDER = ("SimpleRNN", "GRU", "LSTM")
#: Names of the cells' kernels.
KERNELS = {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}
_DOES = {"adds": "adding", "copies": "copy"}
#: Level below which two cells are told apart, and a share of seeds from a half.
LEVEL = 0.05

#: Share of a gradient, in percent, below which it is not told.
LEAST = 0.01

Figures = list[tuple[str, str, str]]


def lesson_table(explanation: Measured) -> pd.DataFrame:
    """Return ``property``, ``model``, ``lesson``, ``measured`` and ``holds``.

    ``holds`` is ``"yes"``, ``"NO"``, ``"no difference seen"`` of cells that are not told apart, ``"undecided"`` where
    seeds disagree or are too few, or a dash where it was not measured.
    """
    rows = [
        (name, model, says[model], measured, holds)
        for name, says in SAYS.items()
        for model, measured, holds in _MEASURED[name](explanation)
    ]
    return pd.DataFrame(rows, columns=["property", "model", "lesson", "measured", "holds"])


def _models(explanation: Measured) -> list[str]:
    if explanation.cells:
        return [cell.name for cell in explanation.cells]
    return list(dict.fromkeys(explanation.tasks.frame["model"])) if explanation.tasks is not None else []


def _long_memory(explanation: Measured) -> Figures:
    """Lengths of the adding problem that are solved: gates are to reach further than a SimpleRNN, which does not."""
    tasks, found = explanation.tasks, []
    cells = {cell.name: cell for cell in explanation.cells}
    for model in _models(explanation):
        texts, holds = [], UNKNOWN
        if tasks is not None:
            texts += [f"{does} over {_reach(tasks, model, task)} steps" for does, task in _DOES.items()]
            if model == "SimpleRNN":
                holds = _of_most(tasks.reached(model, "adding") < tasks.lengths[-1])
            elif ("adding", "SimpleRNN") in tasks.solved:
                reached = {name: tasks.reached(name, "adding") for name in ("SimpleRNN", model)}
                holds = _in_order(reached, ("SimpleRNN", model))[model]
        if model in cells:
            texts.append(f"uses {_needed(cells[model])} rows here")
        found.append((model, "; ".join(texts), holds))
    return found


def _reach(tasks: Tasks, model: str, problem: str) -> str:
    """The length that half of the seeds solve, and the range over seeds."""
    reached = tasks.reached(model, problem)
    low, high = int(reached.min()), int(reached.max())
    spread = f" ({low} to {high})" if low < high else ""
    return f"{tasks.reach(model, problem)}{spread}"


def _needed(cell: CellExplanation) -> str:
    """The rows that a cell needs, and the range over seeds."""
    by_seed = cell.memory.needed_by_seed()
    low, high = int(by_seed.min()), int(by_seed.max())
    spread = f" ({low} to {high})" if low < high else ""
    return f"{cell.memory.needed()}{spread}"


def _gate_count(explanation: Measured) -> Figures:
    gates = {cell.name: cell.gates for cell in explanation.cells}
    gates = gates or {name: len(GATES[KERNELS[name]]) for name in _models(explanation)}
    return [(name, str(own), HOLDS if str(own) == SAYS["gates"][name] else FAILS) for name, own in gates.items()]


def _parameter_count(explanation: Measured) -> Figures:
    counts = {cell.name: cell.parameters for cell in explanation.cells}
    if not counts and explanation.tasks is not None:
        counts = explanation.tasks.parameters
    names = [name for name in _ORDER if name in counts]
    ranked = sorted(names, key=lambda name: counts[name])
    holds = {name: HOLDS if ranked.index(name) == names.index(name) else FAILS for name in names}
    return [(name, f"{count:,}", holds[name] if len(names) > 1 else UNKNOWN) for name, count in counts.items()]


def _training_speed(explanation: Measured) -> Figures:
    """Seconds to a validation loss that all cells reach, over seeds; or, if one does not, a step's, over rounds."""
    speeds = {cell.name: cell.speed for cell in explanation.cells if cell.speed is not None}
    times = {name: speed.times for name, speed in speeds.items()}
    if not explanation.cells and explanation.tasks is not None:
        times = explanation.tasks.times
    if not times:
        return [(model, DASH, UNKNOWN) for model in _models(explanation)]
    known = bool(speeds) and all(np.isfinite(mean_of_most(speed.seconds)) for speed in speeds.values())
    if known:
        # A seed that never reaches the loss takes longer than all that do.
        holds = _in_order({name: np.nan_to_num(speed.seconds, nan=np.inf) for name, speed in speeds.items()})
    else:
        holds = _in_order({name: own.step_ms for name, own in times.items()}, in_turn=True)
    found = []
    for name, own in times.items():
        text = f"{_mean_and_spread(own.step_ms, '.2f')} ms a step"
        if name in speeds and np.isfinite(mean_of_most(speeds[name].seconds)):
            speed = speeds[name]
            text += f"; {_mean_and_spread(speed.steps, '.0f')} steps, {_mean_and_spread(speed.seconds, '.2g')} s"
        found.append((name, text, holds[name]))
    return found


def _vanishing(explanation: Measured) -> Figures:
    """Whether the gradient of the trained networks' loss falls to 1 % within the steps that are read."""
    curves: dict[str, LagCurve] = {cell.name: cell.loss_gradient[1] for cell in explanation.cells}
    if explanation.tasks is not None:
        curves = {model: after for model, (_, after) in explanation.tasks.gradients.items()}
    found: Figures = []
    for model in _models(explanation):
        curve = curves[model]
        lags = curve.falls_to(HUNDREDTH)
        falls = np.isfinite(lags)
        text = f"below 1 % in {falls.sum()} of {len(falls)} seeds"
        if falls.any():
            text += f", at lag {_mean_and_spread(lags, '.0f')}"
        left = 100 * curve.mean[-1]
        text += f"; {f'{left:.2g}' if left >= LEAST else f'under {LEAST}'} % left at lag {curve.values.shape[1] - 1}"
        found.append((model, text, _of_most(falls == (SAYS["vanishing gradient"][model] == "yes"))))
    return found


_MEASURED: dict[str, Callable[[Measured], Figures]] = {
    "long-term memory": _long_memory,
    "gates": _gate_count,
    "parameters": _parameter_count,
    "training speed": _training_speed,
    "vanishing gradient": _vanishing,
}


def _of_most(agrees: np.ndarray) -> str:
    """Whether more than half of all seeds do as the lesson says, by those that were trained: the binomial test."""
    for holds, count in ((HOLDS, agrees.sum()), (FAILS, (~agrees).sum())):
        if stats.binomtest(int(count), len(agrees), alternative="greater").pvalue < LEVEL:
            return holds
    return UNDECIDED


def _in_order(
    values: Mapping[str, np.ndarray], order: tuple[str, ...] = _ORDER, in_turn: bool = False
) -> dict[str, str]:
    """Whether each cell stands where an order puts it among those that were measured.

    Args:
        values: Measurements by cell: over seeds, or over rounds in which the cells were measured in turn.
        order: Cells from the smallest value to the largest.
        in_turn: Whether values at the same place belong together, and are compared by Wilcoxon's signed-rank test;
            if not, by that of Mann and Whitney.

    Returns:
        dict[str, str]: By cell; p-values of all pairs are adjusted by Holm's method.
    """
    names = [name for name in order if name in values]
    if len(names) < 2:
        return dict.fromkeys(values, UNKNOWN)
    pairs = list(combinations(names, 2))
    p = holm([_p(values[low], values[high], in_turn) for low, high in pairs])
    found: dict[str, list[str]] = {name: [] for name in names}
    for (low, high), own in zip(pairs, p, strict=True):
        as_said = (
            stats.rankdata([*values[low], *values[high]])[: len(values[low])].mean()
            < (1 + len(values[low]) + len(values[high])) / 2
        )
        for name in (low, high):
            found[name].append(ALIKE if not own < LEVEL else HOLDS if as_said else FAILS)
    return {name: next(state for state in (FAILS, ALIKE, HOLDS) if state in states) for name, states in found.items()}


def _p(one: np.ndarray, other: np.ndarray, in_turn: bool) -> float:
    """P-value of the hypothesis that two cells' measurements are alike; 1 where all are the same."""
    if len(np.unique([*one, *other])) == 1:
        return 1.0
    if in_turn:
        return float(stats.wilcoxon(one, other).pvalue)
    return float(stats.mannwhitneyu(one, other, alternative="two-sided").pvalue)


def mean_of_most(values: np.ndarray) -> float:
    """Return the mean of those that are known; NaN where fewer than half of them are."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if 2 * len(there) >= len(values) and len(there) else float("nan")


def _mean_and_spread(values: np.ndarray, form: str) -> str:
    there = values[np.isfinite(values)]
    spread = f" ± {there.std(ddof=1):{form}}" if len(there) > 1 else ""
    return f"{there.mean():{form}}{spread}"
