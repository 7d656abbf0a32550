"""What was measured in sentences, when to use each cell, and all of it as text for a terminal."""

import textwrap

import numpy as np
import pandas as pd

from kseq.explanation.figures import HALF, HUNDREDTH, first_below
from kseq.explanation.gradients import LagCurve
from kseq.explanation.lesson import ALIKE, FAILS, LEVEL, UNDECIDED, UNKNOWN, lesson_table, mean_of_most
from kseq.explanation.memory import MemoryUsed
from kseq.explanation.result import CellExplanation, Measured
from kseq.explanation.tasks import SIGNS, UNITS
from kseq.report.table import WIDTH, aligned
from kseq.text import in_words, visible

#: Share by which the error of a smaller cell may be larger for it to be used instead of the best.
ON_PAR = 0.05


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
    lags = [f"{lag} ({_growth(memory, memory.by_lag[:, list(memory.lags).index(lag)])})" for lag in memory.strongest()]
    count_most = "no single lag counts beyond its seeds"
    if lags:
        most = "the lags that count most are" if len(lags) > 1 else "the lag that counts most is"
        count_most = f"{most} {in_words(lags)}"
    said.append(
        f"{name}: of the {rows} rows that it reads, {gained} ({error} {memory.error.mean():.3g}, with older rows of "
        f"another window {memory.without_older['shuffled'].mean(axis=0)[_at(memory.kept, needed)]:.3g}); {count_most}."
    )
    if len(subject.inputs) > 1:
        places = memory.strongest_inputs()
        shown = [f"{subject.inputs[place]} ({_growth(memory, memory.by_input[:, place])})" for place in places]
        most = f"inputs without which its error grows most: {', '.join(shown)}"
        said.append(f"{name}: {most if shown else 'no single input counts beyond its seeds'}.")
    if cell.at_work.names:
        shown = [
            f"{gate} {cell.at_work.means[gate].mean():.2f} (shut {100 * cell.at_work.shut[gate].mean():.0f} %, open "
            f"{100 * cell.at_work.open[gate].mean():.0f} %)"
            for gate in cell.at_work.names
        ]
        said.append(
            f"{name}: its gates are in the mean {', '.join(shown)}; a unit's gate is shut below 0.1 and open above 0.9."
        )
    if cell.agreement is not None:
        lag = mean_of_most(first_below(cell.agreement, HALF))
        left = 100 * float(cell.agreement.mean(axis=0)[-1])
        half = f"halved after {lag:.0f} {unit}" if np.isfinite(lag) else f"not halved within {rows} {unit}"
        said.append(
            f"{name}: what two different pasts leave in its state is {half} of the same input, and {left:.0f} % is "
            f"left after {rows}."
        )
    if cell.speed is not None:
        steps = mean_of_most(cell.speed.steps)
        forward_ms = cell.speed.times.forward_ms.mean()
        reach = (
            f"it reaches the validation loss that all cells reach in {steps:.0f} steps, "
            f"{mean_of_most(cell.speed.seconds):.2g} s"
            if np.isfinite(steps)
            else "most of its seeds do not reach the validation loss that all cells are timed to"
        )
        said.append(
            f"{name}: a training step takes {cell.speed.step_ms:.2f} ms a seed, a forecast of 32 windows "
            f"{forward_ms:.2f} ms; {reach}."
        )
    return said


def _growth(memory: MemoryUsed, errors: np.ndarray) -> str:
    """``"+52 ± 3 %"``: growth of the error, mean and standard deviation over seeds."""
    growth = 100 * (errors / memory.error - 1)
    spread = f" ± {growth.std(ddof=1):.0f}" if len(growth) > 1 else ""
    return f"{growth.mean():+.0f}{spread} %"


def _at(kept: np.ndarray, needed: int) -> int:
    return int(np.flatnonzero(kept == needed)[0])


def _falls(curve: LagCurve, share: float, unit: str) -> str:
    lags = curve.falls_to(share)
    if np.isfinite(lags).mean() <= 0.5:
        return f"not within {curve.values.shape[1]} {unit}"
    return f"at lag {np.nanmedian(lags):.0f} ({unit})"


def _grows(curve: LagCurve) -> str:
    return f"; it grows to {curve.grows_to:.1f} times that of the last step first" if curve.grows_to > 2 else ""


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
                for row in rows[rows["tried"]].itertuples()
            ]
            said.append(f"{model} solves the {problem} problem in so many of its seeds: {', '.join(shares)}.")
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


def reading_of(explanation: Measured) -> list[str]:
    """Say what the figures of the lesson's table are, and when a line holds."""
    tasks, subject, said = explanation.tasks, explanation.subject, []
    if tasks is not None:
        lengths = in_words([str(length) for length in tasks.lengths.tolist()])
        said.append(
            "adds over, copies over: the most steps over which half of the seeds, and all shorter ones, solve the "
            f"adding problem (sum two marked values of a row of random ones) and the copy problem (say {SIGNS} signs "
            f"again after so many zeros); in brackets the range over seeds. {lengths} steps were tried; "
            "a cell whose seeds all fail was not tried at more. The line on long-term memory is that of the adding "
            "problem."
        )
    if subject is not None:
        said.append(
            f"uses: the fewest most recent rows with which the test error is at most 1 % larger than with all "
            f"{subject.lookback}; in brackets the range over seeds."
        )
    if tasks is not None and subject is None:
        said.append(
            f"parameters, a step: of networks of {UNITS} units for the adding problem of {tasks.compared} steps; "
            "milliseconds of forward pass, backward pass and update of one seed, mean ± standard deviation over "
            "repeated timings of the cells in turn."
        )
    if any(cell.speed is not None for cell in explanation.cells):
        said.append(
            "a step: forward pass, backward pass and update, milliseconds of one seed, mean ± standard deviation over "
            "repeated timings of the cells in turn. The steps and seconds after it lead to a validation loss that half "
            "of the seeds of every cell reach, mean ± standard deviation over seeds."
        )
    where = "this series" if tasks is None else f"the adding problem of {tasks.compared} steps"
    said.append(
        f"below 1 %: the gradient of the loss of networks trained on {where} with respect to their state, relative to "
        "that at the last step (lag 0), falls below 1 % at some lag, the number of steps before the last."
    )
    said.append(
        "holds here: yes or NO where the figures show it at a level of 5 %. Counts are taken as they are; cells are "
        "told apart by rank tests over seeds or timings (Holm), or no difference is seen; what most seeds do is told "
        "by a binomial test, or undecided."
    )
    return said


def _where_it_fails(explanation: Measured) -> list[str]:
    table = lesson_table(explanation)
    measured = table[table["holds"] != UNKNOWN]
    if not len(measured):
        return []
    said = [
        f'The lesson says of {row.model}, {row.property}: "{row.lesson}". That does not hold here: {row.measured}.'
        for row in measured[measured["holds"] == FAILS].itertuples()
    ]
    said += [
        f'The lesson says of {row.model}, {row.property}: "{row.lesson}". These seeds and timings do not tell: '
        f"{row.measured}."
        for row in measured[measured["holds"].isin([ALIKE, UNDECIDED])].itertuples()
    ]
    return said or ["Every line of the lesson's table that was measured holds here."]


def advice_of(explanation: Measured) -> list[str]:
    """Say when to use each cell, by what was measured."""
    if not explanation.cells:
        return _advice_of_tasks(explanation)
    subject = explanation.subject
    assert subject is not None
    cells = explanation.cells
    best = min(cells, key=lambda cell: cell.memory.error.mean())
    smallest = min(cells, key=lambda cell: cell.parameters)
    lowest = float(best.memory.error.mean())
    alike = [cell for cell in cells if cell is best or not _differ(cell, best)]
    # A smaller cell takes the place of the best one only where their errors are close, not where seeds are too few.
    on_par = [cell for cell in alike if cell.memory.error.mean() <= (1 + ON_PAR) * lowest]
    chosen = min(on_par, key=lambda cell: cell.parameters)
    said = []
    for cell in cells:
        errors = cell.memory.error
        worse = 100 * (float(errors.mean()) / lowest - 1)
        found = f"{subject.measure.upper()} {_mean_and_spread(errors)}"
        cost = f"{cell.parameters / smallest.parameters:.1f} times the weights of the smallest"
        if cell is chosen:
            text = f"the one to use here: {found}, " + (
                "the lowest" if cell is best else f"on a par with {best.name}, with fewer weights"
            )
        elif cell in on_par:
            text = f"no reason to pay for it here: {found}, on a par with {chosen.name}, at {cost}"
        elif cell in alike:
            text = f"these seeds do not tell it from {best.name}: {found}, {worse:.1f} % above it"
        else:
            text = f"not on this series: {found}, {worse:.1f} % above {best.name}"
        text += f"; it uses {cell.memory.needed()} of {subject.lookback} rows"
        if explanation.tasks is not None:
            reach = explanation.tasks.reach(cell.name, "adding")
            text += f", and can carry a value over {reach} steps"
        said.append(f"{cell.name}: {text}.")
    if len(cells) > 1:
        if min(len(cell.memory.error) for cell in cells) < 2:
            said.append("One seed of a cell does not tell it from another: train more (seeds) to see a difference.")
        said.append(
            "This goes by seeds alone; `kseq compare` tests over the test period too, and against baselines that need "
            "no training."
        )
    return said


def _differ(one: CellExplanation, other: CellExplanation) -> bool:
    """Whether the errors of two cells differ beyond their seeds, by Welch's t-test; of one seed nothing is known."""
    from scipy import stats

    errors = one.memory.error, other.memory.error
    return min(map(len, errors)) > 1 and bool(stats.ttest_ind(*errors, equal_var=False).pvalue < LEVEL)


def _mean_and_spread(values: np.ndarray) -> str:
    return f"{values.mean():.3g} ± {values.std(ddof=1):.2g}" if len(values) > 1 else f"{values.mean():.3g}"


def _advice_of_tasks(explanation: Measured) -> list[str]:
    tasks = explanation.tasks
    if tasks is None:
        return []
    said = []
    for model in dict.fromkeys(tasks.frame["model"]):
        reach = {problem: tasks.reach(model, problem) for problem in ("adding", "copy")}
        said.append(
            f"{model}: where what counts lies at most {max(reach.values())} steps back, by these problems "
            f"({reach['adding']} among values that distract, {reach['copy']} over zeros)."
        )
    return [*said, "Give a series (--data, --csv) to see what it asks for."]


def as_text(explanation: Measured) -> str:
    """Write the table, the sentences, the equations and the advice for a terminal."""
    subject = explanation.subject
    parts = []
    if subject is not None:
        parts.append("\n".join(_filled(f"{subject.name} ({subject.step}): {subject.explained}", "", "")))
    parts.append("What the lesson says, and what was measured\n" + aligned(_shown(lesson_table(explanation))))
    blocks = {
        "How to read the table": reading_of(explanation),
        "What was measured": sentences_of(explanation),
        "When to use each": advice_of(explanation),
    }
    for head, texts in blocks.items():
        if texts:
            parts.append("\n".join([head, *(line for text in texts for line in _filled(text, "  - ", "    "))]))
    for cell in explanation.cells:
        parts.append("\n".join([f"{cell.name}, step by step", *(f"  {line}" for line in cell.equations)]))
    return "\n\n".join(parts)


def _filled(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(visible(text), WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table for a terminal: each part of what was measured on a line of its own, each property named once."""
    rows, before = [], ""
    for row in table.itertuples(index=False):
        first, *others = str(row.measured).split("; ")
        rows.append(("" if row.property == before else row.property, row.model, row.lesson, first, row.holds))
        rows += [("", "", "", other, "") for other in others]
        before = row.property
    return pd.DataFrame(rows, columns=["property", "cell", "lesson says", "measured", "holds here"])
