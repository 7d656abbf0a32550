"""Reports of a run on its jobs: progress, a record beside the store for ``kseq runs``, and notes at its end."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kseq import backends
from kseq._version import __version__
from kseq.jobs import FOLDER, Job, Outcome, Runner, Store, opening
from kseq.jobs.job import key_of
from kseq.text import shortened
from kseq.training.progress import Block, block_done
from kseq.validation import require_path


@dataclass(frozen=True)
class JobCounts:
    """How many of a run's trainings were kept from before.

    Args:
        kept: Number of trainings that were in the store.
        trainings: Number of all trainings.
        notes: Sentences on the store: damaged entries, results that could not be kept, results that were removed.
    """

    kept: int = 0
    trainings: int = 0
    notes: tuple[str, ...] = ()


def store_in(keep: str | Path | None, out: Path | None, *, fresh: bool = False) -> Store | None:
    """Open the store of finished jobs: the one that is named, or the one in a run's folder; None without both."""
    if keep is None and out is None:
        return None
    return Store(require_path(keep) if keep is not None else Path(str(out)) / FOLDER, fresh=fresh)


def workers_for(executor: Any) -> AbstractContextManager[Any]:
    """Open the executor for the time of a ``with`` block; its processes load Keras while this one prepares.

    Args:
        executor: Executor as in :func:`kseq.compare`.
    """
    return opening(executor, "kseq.comparison.cell_jobs")


def heard(runner: Runner, progress: Any, outcome: Outcome) -> None:
    """Report a block that a worker has trained."""
    if runner.workers is None or outcome.kept or outcome.error is not None or not outcome.job.trainings:
        return
    epochs, kernel = outcome.value["epochs"], outcome.value["kernel"]
    block_done(progress, Block(outcome.job.name, outcome.job.trainings, epochs, outcome.seconds, kernel))


def at_work() -> dict[str, Any]:
    """Entries of a record: start, backend, process and machine of a run.

    Returns:
        dict[str, Any]: ``started``, the local time to the second in ISO 8601; ``backend``, the name of the framework;
        None before Keras is imported; ``process``, its id; and ``machine``, the network name of the computer.

    Example:
        >>> sorted(at_work())  # doctest: +SKIP
        ['backend', 'machine', 'process', 'started']
    """
    return {
        "started": datetime.now().isoformat(timespec="seconds"),
        "backend": backends.running(),
        "process": os.getpid(),
        "machine": platform.node(),
    }


def begun(store: Store, series: str, about: Mapping[str, Any], jobs: Sequence[Job]) -> Callable[[], None]:
    """Write a record of a run beside its jobs, for ``kseq runs``.

    Args:
        store: Store of the run.
        series: Name of the series.
        about: Further entries of the record.
        jobs: All jobs of the run.

    Returns:
        Function to call when the run has ended, which marks the record as ended.
    """
    record = {
        "written_by": f"kseq {__version__}",
        "series": series,
        **at_work(),
        **about,
        "jobs": {job.key: job.trainings for job in jobs},
    }
    name = key_of({"jobs": sorted(record["jobs"])})[:16]
    store.defer(lambda: store.note(name, record))
    return lambda: store.note(name, {**record, "finished": True})


def tidied(store: Store) -> tuple[str, ...]:
    """Remove results beyond the size of the store; return notes on it."""
    store.sweep()
    said = []
    if store.damaged:
        many = len(store.damaged) > 1
        said.append(f"{len(store.damaged)} kept job{'s were' if many else ' was'} damaged, and made again.")
    if store.failed:
        said.append(f"Not all jobs could be kept in {store.path} ({store.failed}).")
    if store.removed:
        said.append(f"{store.removed} kept jobs that were used longest ago were removed from {store.path}.")
    return tuple(said)


def missing_text(name: str, outcome: Outcome) -> str:
    """Say that a row is missing, and why."""
    text = shortened(" ".join(str(outcome.error).split()), 300)
    return f"{name} is missing: {outcome.job.name} failed ({type(outcome.error).__name__.lstrip('_')}: {text})."
