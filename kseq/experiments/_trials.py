"""The trials of a tuning: which are done, which run next, and what decides whether a kept one is still good."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from kseq import backends, storage
from kseq._version import __version__
from kseq.experiments._space import Plan
from kseq.experiments._study import Journal, Study
from kseq.models import name_of
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.training.budget import Training
from kseq.training.progress import Progress, Within


class Trials:
    """The trials of all cells: which are done, and which can run next.

    Args:
        data: windows of all trials.
        budget: settings of all trials.
        plan: Plan of the trials.
        journal: Journal in which finished trials are kept.
        progress: As in :func:`tune`.
    """

    def __init__(self, data: WindowedPanel, budget: Settings, plan: Plan, journal: Journal, progress: Progress | None):
        self.data, self.budget, self.plan, self.progress = data, budget, plan, progress
        # Keras and its backend are loaded here and no earlier: wrong settings are told by now.
        from kseq.experiments._trial import run_trial

        self._run = run_trial
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

    def run(self) -> Iterator[list[dict[str, Any]]]:
        """Run all that are missing; give all rows after each."""
        from kseq.experiments._trial import Trial

        for cell, study in self.studies.items():
            for number in range(1, self.plan.trials + 1):
                if number in study.finished:
                    continue
                draw = study.draw(number)
                settings = replace(self.budget, by_cell={cell: draw.own})
                trial = Trial(cell, self.data, settings, study.pruning(number))
                outcome = self._run(trial, _told(self.progress, f"trial {number} of {self.plan.trials}"))
                study.finish(draw, outcome)
                yield self.rows


def _key(data: WindowedPanel, budget: Settings, plan: Plan) -> str:
    """What decides the trials of a cell, as a short text: series, settings, space, backend and versions."""
    settings = {name: value for name, value in budget.record.items() if name not in ("cells", "baselines", "rivals")}
    backend = backends.running()
    decides = {
        "series": data.series.fingerprint, "settings": settings, "space": asdict(plan.space), "pruner": plan.pruner,
        "at_once": plan.at_once, "backend": backend, "device": backends.device_in_use(backend) if backend else "",
        "versions": backends.versions(), "kseq": __version__,
    }  # fmt: skip
    return hashlib.sha256(storage.to_json(decides).encode()).hexdigest()[:16]


def _told(progress: Progress | None, trial: str) -> Progress | None:
    if progress is None:
        return None
    return Within(progress, trial)
