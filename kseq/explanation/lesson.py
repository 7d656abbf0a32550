"""The textbook's table of RNN, LSTM and GRU, filled with what was measured, and what follows from it."""

import textwrap

import numpy as np
import pandas as pd

from kseq.explanation.figures import HALF, HUNDREDTH, first_below
from kseq.explanation.gradients import LagCurve
from kseq.explanation.result import CellExplanation, Measured
from kseq.report.table import WIDTH, aligned
from kseq.text import DASH, visible

#: What lessons say, in the order of the cells.
SAYS = {
    "long-term memory": {"SimpleRNN": "no", "LSTM": "yes (cell state)", "GRU": "yes (update gate)"},
    "gates": {"SimpleRNN": "0", "LSTM": "3", "GRU": "2"},
    "parameters": {"SimpleRNN": "few", "LSTM": "many", "GRU": "intermediate"},
    "training speed": {"SimpleRNN": "fast", "LSTM": "slow", "GRU": "intermediate"},
    "vanishing gradient": {"SimpleRNN": "yes", "LSTM": "no", "GRU": "no"},
}
#: Order that "few, intermediate, many" and "fast, intermediate, slow" stand for.
_ORDER = ("SimpleRNN", "GRU", "LSTM")
#: Level below which two cells are told apart by their seeds.
LEVEL = 0.05


def lesson_table(explanation: Measured) -> pd.DataFrame:
    """Return ``property``, ``model``, ``lesson``, ``measured`` and ``holds`` (True, False, or None if not measured)."""
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


Figures = list[tuple[str, str, bool | None]]


def _long_memory(explanation: Measured) -> Figures:
    """Lengths that are solved, and rows that are used here; gates are to reach further than a SimpleRNN."""
    tasks, found = explanation.tasks, []
    cells = {cell.name: cell for cell in explanation.cells}
    plain = None if tasks is None else tasks.reach("SimpleRNN", "adding")
    for model in _models(explanation):
        texts = []
        holds: bool | None = None
        if tasks is not None:
            reach = {problem: tasks.reach(model, problem) for problem in ("adding", "copy")}
            longest = int(tasks.frame["length"].max())
            texts.append(f"adds over {reach['adding']} steps, copies over {reach['copy']}")
            if model == "SimpleRNN":
                holds = reach["adding"] < longest
            elif "SimpleRNN" in set(tasks.frame["model"]):
                holds = reach["adding"] > (plain or 0)
        if model in cells:
            texts.append(f"uses {cells[model].memory.needed()} rows here")
        found.append((model, "; ".join(texts), holds))
    return found


def _gate_count(explanation: Measured) -> Figures:
    if not explanation.cells:
        return [(model, DASH, None) for model in _models(explanation)]
    return [(c.name, str(c.gates), str(c.gates) == SAYS["gates"][c.name]) for c in explanation.cells]


def _parameter_count(explanation: Measured) -> Figures:
    if not explanation.cells:
        return [(model, DASH, None) for model in _models(explanation)]
    counts = {cell.name: float(cell.parameters) for cell in explanation.cells}
    holds = _in_order(counts)
    return [(name, f"{count:,.0f}", holds[name]) for name, count in counts.items()]


def _training_speed(explanation: Measured) -> Figures:
    speeds = {cell.name: cell.speed for cell in explanation.cells if cell.speed is not None}
    if not speeds:
        return [(model, DASH, None) for model in _models(explanation)]
    seconds = {name: _mean(speed.seconds) for name, speed in speeds.items()}
    # Where some cell never reaches the loss of all, the time of a step is what can be compared.
    known = all(np.isfinite(value) for value in seconds.values())
    holds = _in_order(seconds if known else {name: speed.step_ms for name, speed in speeds.items()})
    return [
        (
            name,
            f"{speed.step_ms:.2f} ms a step"
            + (f", {_mean(speed.steps):.0f} steps, {seconds[name]:.2g} s" if np.isfinite(seconds[name]) else ""),
            holds[name],
        )
        for name, speed in speeds.items()
    ]


def _vanishing(explanation: Measured) -> Figures:
    """Whether the gradient of the trained networks' loss falls to 1 % within the steps that are read."""
    curves: dict[str, tuple[LagCurve, str]] = {}
    if explanation.tasks is not None:
        for model, (_, after) in explanation.tasks.gradients.items():
            curves[model] = (after, f" of {after.values.shape[1]} steps (adding problem)")
    for cell in explanation.cells:
        if cell.name not in curves:
            curve = cell.loss_gradient[1]
            curves[cell.name] = (curve, f" of {curve.values.shape[1]} rows")
    found: Figures = []
    for model in _models(explanation):
        curve, where = curves[model]
        lags = curve.falls_to(HUNDREDTH)
        vanishes = bool(np.isfinite(lags).mean() > 0.5)
        if vanishes:
            text = f"1 % at lag {np.nanmedian(lags):.0f}{where}"
        else:
            text = f"{100 * curve.mean[-1]:.2g} % at the oldest{where}"
        found.append((model, text, vanishes == (SAYS["vanishing gradient"][model] == "yes")))
    return found


_MEASURED = {
    "long-term memory": _long_memory,
    "gates": _gate_count,
    "parameters": _parameter_count,
    "training speed": _training_speed,
    "vanishing gradient": _vanishing,
}


def _in_order(values: dict[str, float]) -> dict[str, bool | None]:
    """Whether each cell stands where "few, intermediate, many" puts it among those that were measured."""
    names = [name for name in _ORDER if name in values]
    if len(names) < 2:
        return dict.fromkeys(values)
    ranked = sorted(names, key=lambda name: values[name])
    return {name: ranked.index(name) == names.index(name) for name in names}


def _mean(values: np.ndarray) -> float:
    there = values[np.isfinite(values)]
    # Of fewer than half of the seeds no mean is told.
    return float(there.mean()) if 2 * len(there) >= len(values) and len(there) else float("nan")


def sentences_of(explanation: Measured) -> list[str]:
    """Say each measurement of each cell in one sentence."""
    found = [sentence for cell in explanation.cells for sentence in _of_cell(cell, explanation)]
    found += _of_tasks(explanation) + _of_variants(explanation)
    return found + _where_it_fails(explanation)


def _of_cell(cell: CellExplanation, explanation: Measured) -> list[str]:
    subject = explanation.subject
    assert subject is not None
    name, unit, rows = cell.name, subject.steps, subject.lookback
    states = {1: "one state", 2: "two states"}[len(cell.states)]
    gates = {0: "no gate", 2: "two gates", 3: "three gates"}[cell.gates]
    said = [
        f"{name} has {cell.parameters:,} weights, {gates} and {states} ({', '.join(cell.states)}); a window takes "
        f"{cell.products:,} multiply-adds."
    ]
    before, after = cell.loss_gradient
    was = (
        "" if before is None else f" (before training: {_falls(before, HALF, unit)}, {_falls(before, HUNDREDTH, unit)})"
    )
    said.append(
        f"{name}: the gradient of its loss falls to a half {_falls(after, HALF, unit)} and to 1 % "
        f"{_falls(after, HUNDREDTH, unit)}{was}{_grows(after)}."
    )
    memory, error = cell.memory, subject.measure.upper()
    needed = memory.needed()
    gained = "it gains by all of them" if needed >= rows else f"nothing is gained by rows older than {needed} {unit}"
    if needed == 0:
        gained = "it would do as well without any of them"
    strongest = memory.strongest()
    lags = f"; the lags that count most are {_list(strongest)}" if strongest else ""
    said.append(
        f"{name}: of the {rows} rows that it reads, {gained} ({error} {memory.error.mean():.3g}, with older rows of "
        f"another window {memory.without_older['shuffled'].mean(axis=0)[_at(memory.kept, needed)]:.3g}){lags}."
    )
    if len(subject.inputs) > 1:
        growth = memory.by_input.mean(axis=0) / memory.error.mean() - 1
        order = np.argsort(-growth, kind="stable")[:3]
        shown = [f"{subject.inputs[place]} ({100 * growth[place]:+.0f} %)" for place in order]
        said.append(f"{name}: inputs without which its error changes most: {', '.join(shown)}.")
    if cell.at_work.names:
        shown = [
            f"{gate} {cell.at_work.means[gate].mean():.2f} (shut {100 * cell.at_work.shut[gate].mean():.0f} %, open "
            f"{100 * cell.at_work.open[gate].mean():.0f} %)"
            for gate in cell.at_work.names
        ]
        said.append(f"{name}: its gates are in the mean {', '.join(shown)}.")
    if cell.agreement is not None:
        lag = _mean(first_below(cell.agreement, HALF))
        left = 100 * float(cell.agreement.mean(axis=0)[-1])
        half = f"halved after {lag:.0f} {unit}" if np.isfinite(lag) else f"not halved within {rows} {unit}"
        said.append(
            f"{name}: what two different pasts leave in its state is {half} of the same input, and {left:.0f} % is "
            f"left after {rows}."
        )
    if cell.speed is not None:
        steps = _mean(cell.speed.steps)
        reach = (
            f"it reaches the validation loss that all cells reach in {steps:.0f} steps, "
            f"{_mean(cell.speed.seconds):.2g} s"
            if np.isfinite(steps)
            else "most of its seeds do not reach the validation loss that all cells are timed to"
        )
        said.append(
            f"{name}: a training step takes {cell.speed.step_ms:.2f} ms a seed, a forecast of 32 windows "
            f"{cell.speed.forward_ms:.2f} ms; {reach}."
        )
    return said


def _at(kept: np.ndarray, needed: int) -> int:
    return int(np.flatnonzero(kept == needed)[0])


def _falls(curve: LagCurve, share: float, unit: str) -> str:
    lags = curve.falls_to(share)
    if np.isfinite(lags).mean() <= 0.5:
        return f"not within {curve.values.shape[1]} {unit}"
    return f"at lag {np.nanmedian(lags):.0f} ({unit})"


def _grows(curve: LagCurve) -> str:
    return f"; it grows to {curve.grows_to:.1f} times that of the last step first" if curve.grows_to > 2 else ""


def _list(values: list[int]) -> str:
    texts = [str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _of_tasks(explanation: Measured) -> list[str]:
    tasks = explanation.tasks
    if tasks is None:
        return []
    said = []
    for problem in dict.fromkeys(tasks.frame["problem"]):
        for model in dict.fromkeys(tasks.frame["model"]):
            rows = tasks.frame[(tasks.frame["problem"] == problem) & (tasks.frame["model"] == model)]
            shares = [
                f"{100 * row.solved:.0f} % at {row.length}"
                + (f" ({row.steps:.0f} steps)" if row.steps == row.steps else "")
                for row in rows.itertuples()
            ]
            said.append(f"{model} solves the {problem} problem in {', '.join(shares)} of its seeds.")
    return said


def _of_variants(explanation: Measured) -> list[str]:
    said = []
    for row in explanation.variants.itertuples():
        differ = "differs" if row.p < LEVEL else "does not differ beyond its seeds"
        said.append(
            f"{row.model}, {row.variant}: {row.measure.upper()} {row.error:.3g} ({100 * row.change:+.1f} %); it "
            f"{differ} (p = {row.p:.2g})."
        )
    return said


def _where_it_fails(explanation: Measured) -> list[str]:
    table = lesson_table(explanation)
    wrong = table[table["holds"].map(lambda holds: holds is False)]
    if not len(table[table["holds"].map(lambda holds: holds is not None)]):
        return []
    if not len(wrong):
        return ["Every line of the lesson's table that was measured holds here."]
    return [
        f'The lesson says of {row.model}, {row.property}: "{row.lesson}". Measured here: {row.measured}.'
        for row in wrong.itertuples()
    ]


def advice_of(explanation: Measured) -> list[str]:
    """Say when to use each cell, by what was measured."""
    if not explanation.cells:
        return _advice_of_tasks(explanation)
    from scipy import stats

    subject = explanation.subject
    assert subject is not None
    cells = explanation.cells
    best = min(cells, key=lambda cell: cell.memory.error.mean())
    smallest = min(cells, key=lambda cell: cell.parameters)
    said = []
    on_par = []
    for cell in cells:
        if cell is best:
            on_par.append(cell)
        elif min(len(cell.memory.error), len(best.memory.error)) > 1:
            p = stats.ttest_ind(cell.memory.error, best.memory.error, equal_var=False).pvalue
            if not p < LEVEL:
                on_par.append(cell)
    cheapest = min(on_par, key=_cost)
    for cell in cells:
        error, rows = float(cell.memory.error.mean()), cell.memory.needed()
        lowest = f"{subject.measure.upper()} {error:.3g}"
        cost = f"{cell.parameters / smallest.parameters:.1f} times the weights of the smallest"
        if cell not in on_par:
            worse = 100 * (error / float(best.memory.error.mean()) - 1)
            text = f"not on this series: {lowest}, {worse:.1f} % above {best.name}"
        elif cell is cheapest:
            text = f"the one to use here: {lowest}, " + (
                "the lowest" if len(on_par) == 1 else "no worse than the best beyond its seeds, at the lowest cost"
            )
        else:
            text = f"no reason to pay for it here: {lowest}, on a par with {cheapest.name}, at {cost}"
        text += f"; it uses {rows} of {subject.lookback} rows"
        if explanation.tasks is not None:
            reach = explanation.tasks.reach(cell.name, "adding")
            text += f", and can carry a value over {reach} steps"
        said.append(f"{cell.name}: {text}.")
    if len(cells) > 1:
        said.append(
            "This goes by seeds alone; `kseq compare` tests over the test period too, and against baselines that need "
            "no training."
        )
    return said


def _cost(cell: CellExplanation) -> tuple[float, int]:
    return (cell.speed.step_ms if cell.speed is not None else 0.0, cell.parameters)


def _advice_of_tasks(explanation: Measured) -> list[str]:
    tasks = explanation.tasks
    if tasks is None:
        return []
    said = []
    for model in dict.fromkeys(tasks.frame["model"]):
        reach = {problem: tasks.reach(model, problem) for problem in ("adding", "copy")}
        said.append(
            f"{model}: where what counts lies at most {max(reach.values())} steps back, by these problems "
            f"({reach['adding']} among values that distract, {reach['copy']} over silence)."
        )
    return [*said, "Give a series (--data, --csv) to see what it asks for."]


def as_text(explanation: Measured) -> str:
    """Write the table, the sentences, the equations and the advice for a terminal."""
    subject = explanation.subject
    parts = []
    if subject is not None:
        parts.append("\n".join(_filled(f"{subject.name} ({subject.step}): {subject.explained}", "", "")))
    parts.append("What the lesson says, and what was measured\n" + aligned(_shown(lesson_table(explanation))))
    blocks = {"What was measured": sentences_of(explanation), "When to use each": advice_of(explanation)}
    for head, texts in blocks.items():
        if texts:
            parts.append("\n".join([head, *(line for text in texts for line in _filled(text, "  - ", "    "))]))
    for cell in explanation.cells:
        parts.append("\n".join([f"{cell.name}, step by step", *(f"  {line}" for line in cell.equations)]))
    return "\n\n".join(parts)


def _filled(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(visible(text), WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.copy()
    shown["property"] = [
        name if before != name else ""
        for name, before in zip(table["property"], ["", *table["property"][:-1]], strict=True)
    ]
    shown["holds"] = [DASH if holds is None else "yes" if holds else "NO" for holds in table["holds"]]
    return shown.rename(columns={"model": "cell", "lesson": "lesson says", "holds": "holds here"})
