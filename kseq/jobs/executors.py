"""Executors behind one interface: processes of this machine, a Dask cluster, or any ``concurrent.futures.Executor``.

Scheduling is theirs: there is no queue, lease or scheduler here. Dask covers Slurm, PBS, Kubernetes and clouds through
dask-jobqueue, dask-kubernetes and Coiled; Ray, MPI, Parsl, submitit and executorlib have executors of Python's own
interface. Of processes on one machine, loky would renew its pool by itself after a worker is lost, which is a dozen
lines here and a dependency there; its executor can be given, too.
"""

import contextlib
import importlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from kseq import startup
from kseq.backends import THREADS
from kseq.errors import BackendError, ConfigError, Parameter
from kseq.jobs import _worker
from kseq.jobs._worker import Call, DataFile, Done

#: Seconds for which a Dask scheduler that is gone is waited for.
RECONNECT = 120.0

#: Share of the machine's memory below which no further job is begun while others run.
_LOW = 0.05


class Workers(Protocol):
    """What runs jobs.

    Attributes:
        slots: How many jobs to hand out at once; None for all.
        words: What it is, for people.
        alone: Whether a job can be run by itself in a fresh process, which tells who it is that kills one.
    """

    slots: int | None
    words: str
    alone: bool

    def submit(self, call: Call) -> "Future[Done]":
        """Run a job."""
        ...

    def bring(self, data: Any, key: str) -> Any:
        """Bring data to where workers read them; returns what :class:`Call` holds."""
        ...

    def renew(self) -> None:
        """Go on after workers were lost.

        Raises:
            BackendError: There are none any more.
        """
        ...

    def close(self, *, at_once: bool = False) -> None:
        """End; ``at_once`` lets running jobs go."""
        ...


def opened(given: Any) -> Workers | None:
    """Open an executor.

    Args:
        given: ``"local:2"`` for two processes of this machine, ``"dask://host:port"`` for a Dask cluster, an object
            with the interface of ``concurrent.futures.Executor``, or a function that returns one, which is called
            again where its workers are lost; None for this process. What this function has returned is returned again.

    Raises:
        ConfigError: It is none of these.
        BackendError: Dask is not installed, or its scheduler does not answer.
    """
    if given is None or given == "":
        return None
    if isinstance(given, LocalWorkers | GivenWorkers | DaskWorkers):
        return given
    if isinstance(given, str):
        kind, _, rest = given.partition(":")
        if kind == "local" and rest.isdecimal() and 1 <= int(rest) <= 1024:
            return LocalWorkers(int(rest))
        if kind == "dask" and rest.startswith("//") and len(rest) > 2:
            return DaskWorkers(rest[2:])
    elif callable(given):
        return GivenWorkers(given(), given)
    elif hasattr(given, "submit") and hasattr(given, "shutdown"):
        return GivenWorkers(given)
    raise ConfigError(
        "received ", Parameter("executor"), f" {given!r}, expected local:N for N processes of this machine, "
        "dask://HOST:PORT for a Dask cluster or, from Python, a concurrent.futures.Executor.",
    )  # fmt: skip


@contextlib.contextmanager
def opening(given: Any, module: str = "") -> Iterator[Workers | None]:
    """Open an executor for the time of a block; its processes are begun at once, to import while others prepare.

    Args:
        given: As of :func:`opened`; what it has returned stays open for who opened it.
        module: What each process of this machine imports at its start, such as the module of the jobs; nothing by
            default.

    Raises:
        ConfigError: ``given`` is no executor.
        BackendError: Dask is not installed, or its scheduler does not answer.

    Example:
        >>> with opening("local:2", "math") as workers:  # doctest: +SKIP
        ...     Runner(executor=workers).run(jobs)
    """
    workers = opened(given)
    if workers is None or workers is given:
        yield workers
        return
    if isinstance(workers, LocalWorkers):
        workers.begin(module)
    try:
        yield workers
    except BaseException:
        workers.close(at_once=True)
        raise
    workers.close()


class _Files:
    """A folder of data that workers read; removed at the end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kseq-jobs-"))
        self.files: dict[str, DataFile] = {}

    def bring(self, data: Any, key: str) -> DataFile:
        """Write data once."""
        if key not in self.files:
            self.files[key] = DataFile.write(data, self.folder)
        return self.files[key]

    def close(self) -> None:
        """Remove the folder; where a system keeps open files, as far as it goes."""
        shutil.rmtree(self.folder, ignore_errors=True)


class LocalWorkers:
    """Processes of this machine, which share its cores and read the same data in memory.

    Args:
        count: How many.
    """

    alone = True

    def __init__(self, count: int):
        self.slots: int | None = count
        self.words = f"{count} process{'es' * (count > 1)}"
        self._files = _Files()
        self._pool: ProcessPoolExecutor | None = None
        self._module = ""

    def begin(self, module: str = "") -> None:
        """Start processes, as many as have a core, and have them import a module, before there is a job for them."""
        self._module = module
        for _ in range(min(self.slots or 1, _cores())):
            self._submit(_nothing)

    def submit(self, call: Call) -> "Future[Done]":
        """Run a job in one of the processes."""
        return self._submit(_worker.run_with_file, call)

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self.slots, mp_context=context, initializer=_begin, initargs=(os.getpid(), self._module)
            )
        threads = max(1, _cores() // (self.slots or 1))
        # NumPy and the frameworks read them as they are loaded, which a process does before it runs anything of ours.
        with _variables({name: str(threads) for name in THREADS}):
            return self._pool.submit(function, *arguments)

    def bring(self, data: Any, key: str) -> DataFile:
        """Write data into a file that the processes map into their memory."""
        return self._files.bring(data, key)

    def renew(self) -> None:
        """Replace the processes; one that ends lets the others end, too."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None

    def close(self, *, at_once: bool = False) -> None:
        """End the processes, whatever they are at; when a run has ended, nobody waits for what they do."""
        if self._pool is not None:
            running = list((getattr(self._pool, "_processes", None) or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.terminate()
            self._pool = None
        self._files.close()


class GivenWorkers:
    """An executor of the caller's, which stays open, or one that a function of the caller's returns.

    Args:
        executor: With the interface of ``concurrent.futures.Executor``.
        again: Function that returns another where the workers are lost; None, the default, to wait whether the executor
            replaces them by itself.
    """

    def __init__(self, executor: Executor, again: Callable[[], Executor] | None = None):
        self.executor, self.again = executor, again
        self.alone = again is not None
        self.words = type(executor).__name__
        count = getattr(executor, "_max_workers", None)
        self.slots: int | None = count if isinstance(count, int) and count > 0 else None
        self._threads = isinstance(executor, ThreadPoolExecutor)
        self._files: _Files | None = None
        self._lost = 0

    def submit(self, call: Call) -> "Future[Done]":
        """Hand a job to the executor."""
        own = isinstance(call.data, DataFile)
        return self.executor.submit(_worker.run_with_file if own else _worker.run, call)

    def bring(self, data: Any, key: str) -> Any:
        """Write data into a file; threads have them already."""
        if self._threads:
            return data
        if self._files is None:
            self._files = _Files()
        return self._files.bring(data, key)

    def renew(self) -> None:
        """Take another executor, or try again a few times: some replace workers by themselves, others do not."""
        if self.again is not None:
            with contextlib.suppress(Exception):
                self.executor.shutdown(wait=True, cancel_futures=True)
            self.executor = self.again()
            return
        self._lost += 1
        if self._lost > 3:
            raise BackendError(
                f"{self.words} has lost its workers again and again; start the run again with others, or "
                "give a function that returns an executor."
            )
        time.sleep(0.1 * self._lost)

    def close(self, *, at_once: bool = False) -> None:
        """Remove the data; an executor that was given is the caller's, one that a function has returned is ended."""
        if self.again is not None:
            with contextlib.suppress(Exception):
                self.executor.shutdown(wait=not at_once, cancel_futures=True)
        if self._files is not None:
            self._files.close()


class DaskWorkers:
    """A Dask cluster; its scheduler runs a lost worker's jobs again, and keeps data that were sent once.

    Args:
        address: ``"host:port"`` of the scheduler.
    """

    alone = False
    slots: int | None = None

    def __init__(self, address: str):
        try:
            import distributed
        except ModuleNotFoundError as error:
            raise BackendError("an executor dask:// needs distributed; pip install 'kseq[dask]'.") from error
        self._distributed, self.address = distributed, address
        self.words = f"Dask at {address}"
        self._sent: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._connect(10.0)

    def _connect(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                self.client = self._distributed.Client(self.address, timeout=min(seconds, 10), set_as_default=False)
                break
            except (OSError, TimeoutError) as error:
                if time.monotonic() >= until:
                    raise BackendError(
                        f"no Dask scheduler answers at {self.address} ({error}); start one with dask scheduler."
                    ) from error
                time.sleep(0.5)
        link = self.client.dashboard_link
        self.words = f"Dask at {self.address}" + (f", dashboard {link}" if link else "")
        self._executor = self.client.get_executor(pure=False)

    def submit(self, call: Call) -> "Future[Done]":
        """Hand a job to the scheduler, with the data that workers have."""
        key = call.data_key
        if key not in self._sent:
            self._sent[key] = self.client.scatter(self._kept[key], hash=False)
        return self._executor.submit(_worker.run, replace(call, data=None), self._sent[key])

    def bring(self, data: Any, key: str) -> None:
        """Remember data, which are sent with the first job that reads them."""
        self._kept[key] = data

    def renew(self) -> None:
        """Wait for a scheduler at the same address, and send it everything anew."""
        self.close(at_once=True)
        self._connect(RECONNECT)

    def close(self, *, at_once: bool = False) -> None:
        """Disconnect; the cluster goes on."""
        self._sent.clear()
        with contextlib.suppress(Exception):
            self._executor.shutdown(wait=False)
        with contextlib.suppress(Exception):
            self.client.close(timeout=2)


def lost(error: BaseException) -> bool:
    """Whether an error says that workers are gone, and nothing of the job."""
    from concurrent.futures import BrokenExecutor, CancelledError

    gone = ("CommClosedError", "TerminatedWorkerError", "BrokenProcessPool", "FutureCancelledError")
    return isinstance(error, BrokenExecutor | BrokenProcessPool | CancelledError) or type(error).__name__ in gone


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def low_memory() -> bool:
    """Whether the machine has little memory left; False where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            found = {line.split(":")[0]: int(line.split()[1]) for line in file}
    except (OSError, ValueError, IndexError):
        return False
    return found.get("MemAvailable", 1) < _LOW * found.get("MemTotal", 1)


@contextlib.contextmanager
def _variables(given: Mapping[str, str]) -> Iterator[None]:
    """Set variables that nobody has set, for the time of a block."""
    own = {name: value for name, value in given.items() if name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)


def _nothing() -> None:
    """A first job, for which a pool starts its processes."""


def _begin(parent: int, module: str) -> None:
    """Let a process end with the one that started it, leave Ctrl-C to that one, and import what jobs will need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    startup.lighten_imports(user_code=True)
    if module:
        # What cannot be imported is told by the job that needs it.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
