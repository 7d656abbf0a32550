"""Take from the store what is there, and let an executor make the rest."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any

from kseq.errors import KseqError
from kseq.jobs import executors
from kseq.jobs._worker import Call, DataFile, Done, place_of
from kseq.jobs.executors import Workers
from kseq.jobs.job import Context, Job, NoState
from kseq.jobs.store import MISSING, STATE_SECONDS, Store

#: How often a job is begun whose worker is lost under it.
ATTEMPTS = 3

_runners = count()


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Args:
        job: The job.
        value: Its result; None where it failed.
        kept: Whether it was in the store.
        seconds: That it took here; 0 of a kept one.
        error: Why it failed; None where it did not.
    """

    job: Job
    value: Any = None
    kept: bool = False
    seconds: float = 0.0
    error: Exception | None = None


class Runner:
    """Runs jobs, of which finished ones are kept.

    Args:
        store: Where results are kept; None, the default, keeps none.
        executor: As :func:`kseq.jobs.opened` takes it; None, the default, for this process, one job after the other.
            What that function has returned is left open at the end.
        progress: Called with what is trained, the epoch and the number of epochs, by jobs in this process; where it has
            methods ``workers(words)``, ``jobs_planned(jobs, trainings, kept)``, ``job_started(name)`` and
            ``job_done(name, seconds, kept, error)`` they are called, too.
        place: Variables of the environment that workers must have, see :func:`kseq.jobs.place.environment`.
        expected: What a worker must have besides, see :func:`kseq.jobs.place.facts`.

    Attributes:
        done: Trainings that are finished, kept ones included.
        planned: Trainings in all.

    Example:
        >>> with Runner() as runner:
        ...     [outcome] = runner.run([Job("three", lambda data, context: 3, {})])
        >>> outcome.value
        3
    """

    def __init__(
        self,
        store: Store | None = None,
        executor: Any = None,
        progress: Any = None,
        place: Mapping[str, str] | None = None,
        expected: Mapping[str, Any] | None = None,
    ):
        self.store, self.progress = store, progress
        self.place, self.expected = dict(place or {}), dict(expected or {})
        self.workers: Workers | None = executors.opened(executor)
        self._own = self.workers is not executor
        self._number = next(_runners)
        self.done = self.planned = self.kept = 0
        self._safe = 0
        self._inline = False
        self._cache: dict[str, Any] = {}
        if self.workers is not None:
            self._tell("workers", self.workers.words)

    def __enter__(self) -> "Runner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.workers is not None and self._own:
            self.workers.close(at_once=kind is not None)
        if isinstance(error, KeyboardInterrupt) and self._safe:
            error.add_note(f"{self._safe} of {self.planned} trainings are kept: the same command goes on with the rest")

    def run(
        self, jobs: Sequence[Job], on_done: Callable[[Outcome], Iterable[Job] | None] | None = None
    ) -> list[Outcome]:
        """Run jobs; return what came of each, in their order.

        Args:
            jobs: Jobs that do not depend on one another.
            on_done: Called with each outcome as it comes, kept ones first. It may return further jobs, which are run
                too: such as depend on what came of this one.

        Raises:
            KseqError: A job refused what it was asked for. Any other error of a job is in its outcome.
        """
        found: dict[int, Outcome] = {}
        left: deque[tuple[int, Job]] = deque()
        numbers = count()
        self._take(list(jobs), numbers, found, left, on_done)
        for number, outcome in self._here(left) if self.workers is None else self._there(left, self.workers):
            if isinstance(outcome.error, KseqError):
                raise outcome.error
            if outcome.error is None:
                self.done += outcome.job.trainings
                if self.store is not None and self.store.put(outcome.job.facts, outcome.value):
                    self._safe += outcome.job.trainings
            found[number] = outcome
            self._tell("job_done", outcome.job.name, outcome.seconds, False, outcome.error)
            more = on_done(outcome) if on_done is not None else None
            self._take(list(more or ()), numbers, found, left, on_done)
        return [found[number] for number in range(len(found))]

    def _take(
        self,
        jobs: list[Job],
        numbers: Iterator[int],
        found: dict[int, Outcome],
        left: deque[tuple[int, Job]],
        on_done: Callable[[Outcome], Iterable[Job] | None] | None,
    ) -> None:
        """Look jobs up in the store; those that it has not are left to be run.

        Args:
            jobs: To be looked up.
            numbers: Of jobs, in the order in which they come.
            found: Outcomes by number, to which kept ones are added.
            left: Numbered jobs, to which the others are added.
            on_done: As of :meth:`run`.
        """
        while jobs:
            kept: list[Outcome] = []
            for job in jobs:
                number = next(numbers)
                value = MISSING if self.store is None else self.store.get(job.key)
                if value is MISSING:
                    left.append((number, job))
                else:
                    found[number] = Outcome(job, value, kept=True)
                    kept.append(found[number])
            trainings = sum(outcome.job.trainings for outcome in kept)
            self.planned += sum(job.trainings for job in jobs)
            self.done += trainings
            self.kept += trainings
            self._safe += trainings
            self._tell("jobs_planned", len(jobs), sum(job.trainings for job in jobs), trainings)
            jobs = []
            for outcome in kept:
                self._tell("job_done", outcome.job.name, 0.0, True, None)
                jobs += (on_done(outcome) or ()) if on_done is not None else ()

    def _tell(self, event: str, *values: Any) -> None:
        listener = getattr(self.progress, event, None)
        if listener is not None:
            listener(*values)

    def _here(self, jobs: deque[tuple[int, Job]]) -> Iterator[tuple[int, Outcome]]:
        """Run jobs in this process, until none is left."""
        while jobs:
            number, job = jobs.popleft()
            self._tell("job_started", job.name)
            state = NoState() if self.store is None else self.store.state(job.key)
            started = time.perf_counter()
            try:
                value = job.function(job.data, Context(self.progress, state, self._cache), **job.arguments)
            except Exception as error:
                yield number, Outcome(job, seconds=time.perf_counter() - started, error=error)
            else:
                yield number, Outcome(job, value, seconds=time.perf_counter() - started)

    def _there(self, waiting: deque[tuple[int, Job]], workers: Workers) -> Iterator[tuple[int, Outcome]]:
        """Run jobs by workers, until none is left; those whose worker is lost run again, in the end by themselves."""
        if self.store is not None:
            # Workers keep the states of long jobs in a store that is there.
            self.store.make()
        attempts: defaultdict[int, int] = defaultdict(int)
        running: dict[Future[Done], tuple[int, Job]] = {}
        ended: list[tuple[int, Outcome]] = []
        alone = False
        while waiting or running or ended:
            slots = 1 if alone else workers.slots or len(waiting) + len(running)
            while waiting and len(running) < slots and not (running and executors.low_memory()):
                number, job = waiting.popleft()
                try:
                    running[workers.submit(self._call(job, workers))] = number, job
                except Exception as lost:
                    if not executors.lost(lost):
                        raise
                    waiting.appendleft((number, job))
                    workers.renew()
                    continue
                self._tell("job_started", job.name)
            if ended:
                # They are kept, which waits for the disk, while the workers are at the next ones.
                yield from ended
                ended.clear()
                continue
            gone: list[tuple[int, Job]] = []
            finished, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in finished:
                number, job = running.pop(future)
                error = _error_of(future)
                if error is None:
                    ended.append((number, Outcome(job, future.result().value, seconds=future.result().seconds)))
                elif isinstance(error, FileNotFoundError) and not self._inline and "kseq-jobs-" in str(error.filename):
                    # Workers of another machine: data go along with each job.
                    self._inline = True
                    waiting.append((number, job))
                elif executors.lost(error):
                    gone.append((number, job))
                else:
                    ended.append((number, Outcome(job, error=error)))
            if gone:
                # Where one process of a pool ends, all its jobs are lost, and any of them may be to blame.
                gone += running.values()
                running.clear()
                for number, _ in gone:
                    attempts[number] += 1
                alone = workers.alone
                workers.renew()
                for number, job in gone:
                    if attempts[number] >= ATTEMPTS:
                        ended.append((number, Outcome(job, error=_Lost(attempts[number]))))
                    else:
                        waiting.appendleft((number, job))
            elif alone and finished and not any(attempts[number] for number, _ in waiting):
                alone = False

    def _call(self, job: Job, workers: Workers) -> Call:
        # Workers that several runners share may meet the address of data that are gone.
        key = f"{self._number}-{id(job.data)}"
        data = job.data if self._inline else workers.bring(job.data, key)
        if self._inline and isinstance(data, DataFile):
            data = job.data
        states = None if self.store is None else self.store.state(job.key).path.absolute()
        return Call(
            job.name, place_of(job.function), job.arguments, data, key, states, STATE_SECONDS, self.place, self.expected
        )  # fmt: skip


class _Lost(Exception):
    """The workers of a job were lost as often as it was begun."""

    def __init__(self, attempts: int):
        super().__init__(f"its worker was lost {attempts} times, as where memory runs out")


def _error_of(future: "Future[Done]") -> Exception | None:
    """The error of a finished job; None of one that has a result."""
    try:
        future.result()
    except Exception as error:
        return error
    return None
