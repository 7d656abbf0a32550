"""What jobs cost besides their work: measured on this machine with jobs that sleep, and extrapolated to many.

    python benchmarks/scale.py                    # some three minutes; prints what docs/scale.md quotes
    python benchmarks/scale.py --jobs 300 --only store

A job here sleeps and returns forecasts of the size that a training's are. What it costs more than the sleep is what the
runner, the executor and the store take. Nothing of Keras is loaded.
"""

import argparse
import heapq
import itertools
import json
import os
import pickle
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kseq.jobs import Job, Runner, Store
from kseq.jobs._worker import Done

#: Seeds, windows, steps and targets of a default comparison: 147 months of test part and some 88 of validation part.
SHAPE = (10, 147 + 88, 1, 1)


def work(data, context, seconds=0.0, shape=SHAPE, number=0):
    """Sleep, and return what a training returns: forecasts, learning curves, a few numbers."""
    time.sleep(seconds)
    forecasts = np.random.default_rng(number).normal(size=shape)
    curves = np.random.default_rng(number).normal(size=(shape[0], 120))
    return {"predictions": forecasts, "history": {"loss": curves, "val_loss": curves}, "epochs": (120,) * shape[0]}


def jobs_of(count, seconds=0.0, shape=SHAPE, data=None, first=0):
    """Jobs that differ in their number."""
    return [
        Job(f"job {n}", work, {"number": n, "shape": shape}, data, {"seconds": seconds, "shape": shape, "number": n})
        for n in range(first, first + count)
    ]


def seconds_of(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure_store(count: int) -> dict:
    """Milliseconds to keep, find and read a result, and its bytes, with more and more in the store."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        store, made = Store(Path(folder) / "store", limit=10**12), 0
        values = [work(None, None, number=n) for n in range(20)]
        for size in (count // 10, count, 10 * count):
            for number in range(made, size):
                store.put({"number": number}, values[number % 20])
            made = size
            sample = jobs_of(50, first=10**9)
            put = seconds_of(lambda s=store, j=sample: [s.put(job.facts, values[0]) for job in j]) / 50
            get = seconds_of(lambda s=store, j=sample: [s.get(job.key) for job in j]) / 50
            miss = seconds_of(lambda s=store: [s.get(job.key) for job in jobs_of(50, first=2 * 10**9)]) / 50
            walk = seconds_of(lambda s=store: s.size)
            found[size] = {
                "put_ms": 1e3 * put, "get_ms": 1e3 * get, "miss_ms": 1e3 * miss, "walk_s": walk,
                "bytes": store.size / (made + 1),
            }  # fmt: skip
    return found


class Simulated(Executor):
    """So many workers that take a while for each job and nothing of this machine: what is left is the main process.

    Args:
        workers: how many.
        seconds: that a job takes.
    """

    def __init__(self, workers, seconds):
        self._max_workers, self.seconds = workers, seconds
        self.result = pickle.dumps(Done(work(None, None), seconds))
        self.free, self.due, self.ready = [0.0] * workers, [], threading.Condition()
        self.count = itertools.count()
        threading.Thread(target=self._finish, daemon=True).start()

    def submit(self, function, call):
        """Let the worker that is free first take the job."""
        future: Future = Future()
        future.set_running_or_notify_cancel()
        # What a worker is sent is made into bytes, as it would be.
        pickle.dumps(call)
        with self.ready:
            at = max(time.perf_counter(), heapq.heappop(self.free)) + self.seconds
            heapq.heappush(self.free, at)
            heapq.heappush(self.due, (at, next(self.count), future))
            self.ready.notify()
        return future

    def _finish(self):
        while True:
            with self.ready:
                while not self.due or self.due[0][0] > time.perf_counter():
                    self.ready.wait(max(0.001, self.due[0][0] - time.perf_counter()) if self.due else None)
                _, _, future = heapq.heappop(self.due)
            future.set_result(pickle.loads(self.result))


@contextmanager
def executors(kind: str, workers: int, seconds: float = 0.0):
    """An executor of a kind, as :class:`kseq.jobs.Runner` takes it."""
    if kind == "here":
        yield None
    elif kind == "simulated":
        yield Simulated(workers, seconds)
    elif kind == "processes":
        yield f"local:{workers}"
    else:
        import logging

        import distributed

        logging.getLogger("distributed").setLevel(logging.ERROR)
        with distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None,
            silence_logs=logging.ERROR,
        ) as cluster:  # fmt: skip
            yield cluster.scheduler_address.replace("tcp://", "dask://")


def measure_overhead(kind: str, count: int, workers: int, seconds: float = 0.0, kept: bool = True) -> dict:
    """Milliseconds a job beyond its sleep.

    Workers sleep at the same time, so that the sleep takes ``count * seconds / workers``; what is more is overhead of
    the one process that hands out, receives and keeps.
    """
    data = np.zeros(10_000)
    with tempfile.TemporaryDirectory() as folder, executors(kind, workers, seconds) as executor:
        store = Store(Path(folder) / "store", limit=10**12) if kept else None
        slept = seconds if kind != "simulated" else 0.0
        with Runner(store, executor) as runner:
            # Workers start, and receive the data, with the first jobs.
            runner.run(jobs_of(2 * min(workers, 8), 0.0, data=data, first=10**6))
            taken = seconds_of(lambda: runner.run(jobs_of(count, slept, data=data)))
        with Runner(store, None) as runner:
            again = seconds_of(lambda: runner.run(jobs_of(count, slept, data=data))) if kept else float("nan")
    return {
        "jobs": count, "workers": workers, "job_s": seconds, "kept": kept, "seconds": taken,
        "overhead_ms": 1e3 * (taken - count * seconds / workers) / count, "again_ms": 1e3 * again / count,
    }  # fmt: skip


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--only", choices=["store", "here", "processes", "dask", "simulated"])
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    if chosen.only in (None, "store"):
        for size, of_it in measure_store(chosen.jobs).items():
            print("store", size, json.dumps(of_it))
    plans = [("here", 1, 0.0), ("processes", 2, 0.0), ("dask", 2, 0.0)]
    plans += [("simulated", workers, 1.0) for workers in (10, 100, 1000)]
    for kind, workers, seconds in plans:
        if chosen.only in (None, kind):
            for kept in (True, False):
                count = max(chosen.jobs, 2 * workers)
                print(kind, json.dumps(measure_overhead(kind, count, workers, seconds, kept)), flush=True)


if __name__ == "__main__":
    main()
