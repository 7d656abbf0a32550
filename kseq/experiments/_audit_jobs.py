"""Trainings of an audit: jobs on the original and on the changed series, whose results are compared bit for bit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kseq import backends
from kseq.comparison.kept import begun, heard
from kseq.data import Panel
from kseq.errors import BackendError, Parameter
from kseq.evaluation.model_result import ModelResult
from kseq.experiments._audit_run import AuditedRun
from kseq.jobs import Context, Job, Runner, Store, digest, place
from kseq.jobs.job import State
from kseq.models import name_of
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.training.progress import seeds_text, within

#: Called with what is trained, the epoch and the epoch limit.
Progress = Callable[[str, int, int], None]


def train_audited(
    data: WindowedPanel, context: Context, *, cell: str, settings: Settings, seeds: tuple[int, ...], fold: str
) -> dict[str, Any]:
    """Train a block of seeds of a cell, and hand over its weights: the function of an audit's job.

    Arguments are those of :func:`kseq.comparison.cell_jobs.train_block`.

    Returns:
        dict[str, Any]: Fields of the row as there, and ``weights`` of each training.
    """
    import keras

    from kseq.comparison.cell_jobs import prepared
    from kseq.comparison.jobs import packed

    weights: list[np.ndarray] = []
    keeper: Any = keras.callbacks.LambdaCallback(on_train_end=lambda logs: weights.extend(keeper.model.get_weights()))
    ready = prepared(data, context, cell, settings, fold)
    row = ready.train(seeds, within(context.progress, fold), [keeper], _WithWeights(context.state, weights))
    return {**packed(row), "weights": weights}


@dataclass(frozen=True)
class _WithWeights:
    """The state of a long job, with the weights of its first training.

    Args:
        state: State in which it is kept.
        weights: Weights of all trainings so far.
    """

    state: State
    weights: list[np.ndarray]

    def load(self, part: str) -> Any:
        """What was saved under a name; None where nothing is."""
        value = self.state.load(part)
        if part == "found" and value is not None:
            self.weights.extend(value["weights"])
        return value

    def save(self, part: str, value: Any, *, now: bool = False) -> None:
        """Keep a value under a name: at once, or only if the last one is old enough."""
        self.state.save(part, {**value, "weights": list(self.weights)} if part == "found" else value, now=now)

    def due(self) -> bool:
        """Whether a value that is saved now would be kept."""
        return self.state.due()


#: What came of a cell's training: its weights, what its stopping went by, and its forecasts before the test part.
Made = dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class _Trainings:
    """A cell's trainings in a fold: of the series as it is or of the changed one, a job a block of seeds."""

    cell: str
    run: AuditedRun
    jobs: tuple[Job, ...]

    def made(self, values: Sequence[dict[str, Any]]) -> Made:
        """Join the results of the jobs."""
        from kseq.comparison.jobs import join_blocks

        rows = [ModelResult(**{name: one for name, one in value.items() if name != "weights"}) for value in values]
        row = join_blocks(rows)
        return {
            "weights": [weight for value in values for weight in value["weights"]],
            "early stopping": [np.array(row.epochs), *row.history.values()],
            "forecasts": self.run.forecasts(row, self.run.data.split.test),
        }

    def here(self, progress: Progress | None) -> Made:
        """Train in this process, without the store."""
        return self.made([job.function(job.data, Context(progress), **job.arguments) for job in self.jobs])


def _both(
    cell: str, run: AuditedRun, changed: AuditedRun, store: Store | None, here: dict[str, Any]
) -> tuple[_Trainings, _Trainings]:
    """Lay out a cell's trainings in a fold, of the series as it is and of the changed one."""
    from kseq.comparison.cell_jobs import WORDS, facts_of, parted

    count = len(run.comparison.trainings)
    fold = f"fold {run.number + 1} of {count}" if count > 1 else ""
    twice = 1 + bool(run.settings.refit_on_validation and len(run.data.validation))
    found, blocks = [], None
    for one, what in ((run, "as it is"), (changed, "changed")):
        facts = {} if store is None else facts_of(cell, "audit", digest(one.data, WORDS), one.data, one.settings, here)
        # How many seeds train at once moves the last digits: both have the same blocks.
        blocks = blocks or parted(cell, run.data, run.settings, facts, store)
        jobs = [
            Job(
                ", ".join(filter(None, (name_of(cell), seeds_text(seeds), fold, what))), train_audited,
                {**facts, "seeds": seeds}, one.data,
                {"cell": cell, "settings": one.settings, "seeds": seeds, "fold": fold}, twice * len(seeds),
            )
            for seeds in blocks
        ]  # fmt: skip
        found.append(_Trainings(cell, one, tuple(jobs)))
    return found[0], found[1]


def trained_twice(
    panel: Panel, runs: Sequence[AuditedRun], store: Store | None, executor: Any, progress: Progress | None
) -> list[dict[str, tuple[Made, Made]]]:
    """Train all cells in all folds, with the series as it is and with other values from each test part on.

    Args:
        panel: The series, as they are.
        runs: All trainings of the comparison.
        store: Store of finished jobs; None for none.
        executor: As in :func:`audit`.
        progress: As there.

    Returns:
        list[dict[str, tuple[Made, Made]]]: One dictionary a fold, by cell.
    """
    made: list[dict[str, tuple[Made, Made]]] = [{} for _ in runs]
    if not runs[0].settings.cells:
        return made
    here = {} if store is None else place.facts()
    changed = [run.changed(panel, run.data.split.test) for run in runs]
    both = [
        _both(cell, run, other, store, here)
        for run, other in zip(runs, changed, strict=True)
        for cell in run.settings.cells
    ]
    jobs = [job for pair in both for one in pair for job in one.jobs]
    ended = None
    with Runner(store, executor, progress, place.environment(), place.facts()) as runner:
        if store is not None:
            about = {"command": "audit", "cells": runs[0].settings.cells, "folds": len(runs)}
            ended = begun(store, panel.name, about, jobs)
        outcomes = {id(outcome.job): outcome for outcome in runner.run(jobs, partial(heard, runner, progress))}
    failed = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
    if failed:
        raise failed[0]
    if ended is not None:
        ended()
    elsewhere = store is not None or runner.workers is not None
    for pair in both:
        ours, theirs = (one.made([outcomes[id(job)].value for job in one.jobs]) for one in pair)
        if elsewhere and _differ(ours, theirs):
            # One may have been trained by another machine, or on another day.
            ours, theirs = (one.here(progress) for one in pair)
        if _differ(ours, theirs):
            _require_repeatable(name_of(pair[0].cell), ours["weights"], pair[0].here(progress)["weights"])
        made[pair[0].run.number][pair[0].cell] = ours, theirs
    return made


def _differ(ours: Made, theirs: Made) -> bool:
    return any(difference(ours[name], theirs[name])[1] for name in ours)


def _require_repeatable(name: str, once: list[np.ndarray], again: list[np.ndarray]) -> None:
    """Raise BackendError where two trainings on the same values give different weights."""
    _, differing, largest = difference(once, again)
    if differing:
        import keras

        backend = keras.config.backend()
        raise BackendError(
            f"received {name} trainings on {backend} ({backends.device_in_use(backend)}) that differ by up to "
            f"{largest:.1e} on the very same values, expected a device that repeats itself; use ",
            Parameter("device"),
            " cpu.",
        )


def difference(before: list[np.ndarray], after: list[np.ndarray]) -> tuple[int, int, float]:
    """Compare two lists of arrays bit for bit.

    Returns:
        How many numbers there are, how many are not the same, and the largest difference: Infinite where arrays have
        other shapes or one side is not a finite number.
    """
    shapes = [[array.shape for array in arrays] for arrays in (before, after)]
    one, other = (np.concatenate([np.zeros(0), *(array.ravel() for array in arrays)]) for arrays in (before, after))
    if shapes[0] != shapes[1]:
        count = max(len(one), len(other))
        return count, count, float("inf")
    differs = one.view(np.int64) != other.view(np.int64)
    sizes = np.abs(one[differs] - other[differs])
    largest = sizes.max(initial=0.0)
    return len(one), int(differs.sum()), float(largest) if np.isfinite(largest) else float("inf")
