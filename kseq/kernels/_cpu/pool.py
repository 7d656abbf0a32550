"""Threads that run compiled functions together, and memory that is used again.

Numba's own parallel loops are not used: with its default scheduler two Python threads that start one each end the
process, and a forked child cannot run any. Here a compiled function claims numbered tasks from a shared counter until
none is left; the calling thread runs it at once, helpers join when they wake up, and the call is over when the last
task is, whether or not every helper came.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np


def default_threads() -> int:
    """``KSEQ_NUM_THREADS``, else ``NUMBA_NUM_THREADS``, else as many as this process may use processors."""
    for name in ("KSEQ_NUM_THREADS", "NUMBA_NUM_THREADS"):
        value = os.environ.get(name, "").strip()
        if value.isdecimal() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Job:
    """A compiled function that several threads call with one counter of claimed tasks."""

    def __init__(self, function: Callable[..., int], arguments: tuple, tasks: int):
        self._function = function
        self._arguments = (np.zeros(1, np.int64), *arguments)
        self._left = tasks
        self._lock = threading.Lock()
        self._over = threading.Lock()
        self._over.acquire()
        self._error: BaseException | None = None

    def help(self) -> None:
        """Run tasks until none is left to claim."""
        try:
            done = self._function(*self._arguments)
        except BaseException as error:
            # The thread that waits must wake up, and raises it.
            with self._lock:
                first, self._error = self._error is None, self._error or error
            if first:
                self._over.release()
            return
        with self._lock:
            self._left -= done
            over = done > 0 and self._left == 0
        if over:
            self._over.release()

    def wait(self) -> None:
        self._over.acquire()
        if self._error is not None:
            raise self._error


class _Helpers:
    """Daemon threads that wait for jobs; started when first needed."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._started = 0
        self._lock = threading.Lock()

    def call(self, job: _Job, helpers: int) -> None:
        if self._started < helpers:
            with self._lock:
                while self._started < helpers:
                    threading.Thread(target=self._work, name=f"kseq-{self._started}", daemon=True).start()
                    self._started += 1
        for _ in range(helpers):
            self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get().help()


_helpers = _Helpers()


def _after_fork() -> None:
    """A forked child has none of its parent's threads."""
    global _helpers
    _helpers = _Helpers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run(function: Callable[..., int], arguments: tuple, tasks: int, threads: int) -> None:
    """Run ``tasks`` tasks of ``function(counter, *arguments)`` on up to ``threads`` threads, this one included."""
    threads = min(threads, tasks)
    if threads <= 1:
        function(np.zeros(1, np.int64), *arguments)
        return
    job = _Job(function, arguments, tasks)
    _helpers.call(job, threads - 1)
    job.help()
    job.wait()


# Memory. A fresh large array costs a page fault every 4 KiB, which is more than the arithmetic done in it; training
# asks for the same sizes again and again.

_ALIGNMENT = 64  # a cache line
_KEPT_BYTES = 2**28  # of one size
_KEPT_ARRAYS = 8  # of one size
_KEPT_SIZES = 32

_free: dict[tuple[Any, int], deque[np.ndarray]] = {}


def take(size: int, dtype: np.dtype) -> np.ndarray:
    """Return a flat array of ``size`` numbers with arbitrary content, which begins at a cache line."""
    try:
        return _free[dtype, size].pop()
    except (KeyError, IndexError):
        memory = np.empty(size * dtype.itemsize + _ALIGNMENT, np.uint8)
        skip = -memory.ctypes.data % _ALIGNMENT
        return memory[skip : skip + size * dtype.itemsize].view(dtype)


def give(array: np.ndarray) -> None:
    """Put an array from :func:`take` back; the caller must not touch it again.

    Called by the garbage collector too, at any moment and in any thread, hence without a lock: each step is one
    operation of a dictionary or a deque.
    """
    kept = min(_KEPT_ARRAYS, _KEPT_BYTES // max(array.nbytes, 1))
    if kept == 0:
        return
    key = (array.dtype, array.size)
    if key not in _free and len(_free) >= _KEPT_SIZES:
        _free.pop(list(_free)[0], None)  # noqa: RUF015 - a list is made in one operation, an iterator is not
    _free.setdefault(key, deque(maxlen=kept)).append(array)
