"""The trials of a tuning: those that are done, those that run next, and the key of those that are kept."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from kseq import storage
from kseq.experiments._space import Plan
from kseq.experiments._study import Draw, Journal, Outcome, Study
from kseq.jobs import Job, Runner, place
from kseq.jobs.runner import Outcome as JobOutcome
from kseq.models import name_of
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.training.budget import Training
from kseq.training.progress import Block, Progress, block_done

#: Trials that are handed out at once where nobody says how many workers there are.
FEW = 64


class Trials:
    """The trials of all cells: which are done, and which can run next.

    Args:
        data: Windows of all trials.
        budget: Settings of all trials.
        plan: Plan of the trials.
        journal: Journal in which finished trials are kept.
        progress: As in :func:`tune`.
        measure: Metric by which trials are scored.
    """

    def __init__(
        self,
        data: WindowedPanel,
        budget: Settings,
        plan: Plan,
        journal: Journal,
        progress: Progress | None,
        measure: str,
    ):
        self.data, self.budget, self.plan, self.progress = data, budget, plan, progress
        self.measure = measure
        self._running: dict[str, tuple[str, Draw]] = {}
        # Keras and its backend are loaded here and no earlier: wrong settings are told by now.
        from kseq.experiments._trial import trial_job

        self._run = trial_job
        epochs = Training(**budget.training).plan(len(data.train)).epochs
        key = _key(data, budget, plan)
        self.studies = {
            cell: Study(
                journal, f"{cell}-{key}", plan.space, budget.seeds[0], plan.at_once, plan.pruner, epochs
            )
            for cell in budget.cells
        }  # fmt: skip

    @property
    def kept(self) -> int:
        """How many were kept from an earlier run."""
        return sum(min(study.kept, self.plan.trials) for study in self.studies.values())

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of the frame of all trials that are done, cell by cell."""
        return [
            {"model": name_of(cell), **row}
            for cell, study in self.studies.items()
            for row in study.rows(self.plan.trials)
        ]

    def run(self, executor: Any, done: Callable[[list[dict[str, Any]]], None]) -> None:
        """Run all that are missing.

        Args:
            executor: Executor as in :func:`kseq.compare`.
            done: Called with all rows after each trial.

        Raises:
            Exception: The error of a trial, where all trials of a cell have failed.
        """
        with Runner(None, executor, self.progress, place.environment(), place.facts()) as runner:

            def finish(outcome: JobOutcome) -> list[Job]:
                cell, draw = self._running.pop(outcome.job.name)
                study = self.studies[cell]
                if outcome.error is None:
                    study.finish(draw, outcome.value)
                    if runner.workers is not None:
                        epochs = round(outcome.value.row["epochs"])
                        seeds = len(self.budget.seeds)
                        block_done(self.progress, Block(outcome.job.name, seeds, (epochs,) * seeds, outcome.seconds))
                else:
                    self._failed(cell, draw, outcome.error)
                done(self.rows)
                return self._next(runner)

            runner.run(self._next(runner), finish)

    def _next(self, runner: Runner) -> list[Job]:
        """Draw as many trials as can be run now: without workers one, cell by cell."""
        slots = 1 if runner.workers is None else runner.workers.slots or FEW
        jobs = []
        for cell, study in self.studies.items():
            for number in range(1, self.plan.trials + 1):
                if len(self._running) >= slots or not study.can_draw(number):
                    break
                if number in study.finished or study.running(number) is not None:
                    continue
                draw = study.draw(number)
                of = f"trial {number} of {self.plan.trials}"
                name = f"{name_of(cell)}, {of}"
                self._running[name] = cell, draw
                settings = replace(self.budget, by_cell={cell: draw.own})
                arguments = {"cell": cell, "settings": settings, "pruning": study.pruning(number), "of": of}
                facts = {"study": study.study.study_name, "trial": number}
                jobs.append(Job(name, self._run, facts, self.data, arguments, len(self.budget.seeds)))
        return jobs

    def _failed(self, cell: str, draw: Draw, error: Exception) -> None:
        """Go on without a trial, as long as there are others; it is not kept, and runs again the next time."""
        study = self.studies[cell]
        row = {
            self.measure: float("nan"), f"{self.measure}_std": float("nan"), "parameters": 0, "epochs": 0.0,
            "seconds": 0.0, **({"pruned": False} if self.plan.pruner != "none" else {}),
        }  # fmt: skip
        study.finish(draw, Outcome(row, float("nan")), keep=False)
        if all(number in study.lost for number in range(1, self.plan.trials + 1)):
            raise error


def _key(data: WindowedPanel, budget: Settings, plan: Plan) -> str:
    """What decides the trials of a cell, as a short text: series, settings, space, backend and versions."""
    settings = {name: value for name, value in budget.record.items() if name not in ("cells", "baselines", "rivals")}
    decides = {
        "series": data.series.fingerprint, "settings": settings, "space": asdict(plan.space), "pruner": plan.pruner,
        "at_once": plan.at_once, **place.facts(),
    }  # fmt: skip
    return hashlib.sha256(storage.to_json(decides).encode()).hexdigest()[:16]
