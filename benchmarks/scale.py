"""What jobs cost besides their work: measured on this machine with jobs that sleep, and extrapolated to many.

    python benchmarks/scale.py                    # some three minutes; prints what docs/scale.md quotes
    python benchmarks/scale.py --jobs 300 --only store

A job here sleeps and returns forecasts of the size that a training's are. What it costs more than the sleep is what the
runner, the executor and the store take. Nothing of Keras is loaded.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kseq.jobs import Job, Runner, Store

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
            walk = seconds_of(store.size)
            found[size] = {
                "put_ms": 1e3 * put, "get_ms": 1e3 * get, "miss_ms": 1e3 * miss, "walk_s": walk,
                "bytes": store.size() / (made + 50),
            }  # fmt: skip
    return found


@contextmanager
def executors(kind: str, workers: int):
    """An executor of a kind, as :class:`kseq.jobs.Runner` takes it."""
    if kind == "here":
        yield None
    elif kind == "threads":
        with ThreadPoolExecutor(workers) as pool:
            yield pool
    elif kind == "processes":
        yield f"local:{workers}"
    else:
        import logging

        import distributed

        logging.getLogger("distributed").setLevel(logging.ERROR)
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=max(1, workers // 2), processes=True, dashboard_address=None,
            silence_logs=logging.ERROR,
        ) as cluster:  # fmt: skip
            yield cluster.scheduler_address.replace("tcp://", "dask://")


def measure_overhead(kind: str, count: int, workers: int, seconds: float) -> dict:
    """Milliseconds a job beyond its sleep, with everything kept in a store.

    Workers sleep at the same time, so that the sleep takes ``count * seconds / workers``; what is more is overhead of
    the one process that hands out, receives and keeps.
    """
    data = np.zeros(10_000)
    with tempfile.TemporaryDirectory() as folder, executors(kind, workers) as executor:
        with Runner(Store(Path(folder) / "store"), executor) as runner:
            # Workers start, and receive the data, with the first jobs.
            runner.run(jobs_of(2 * workers, 0.0, data=data, first=10**6))
            taken = seconds_of(lambda: runner.run(jobs_of(count, seconds, data=data)))
        with Runner(Store(Path(folder) / "store"), None) as runner:
            again = seconds_of(lambda: runner.run(jobs_of(count, seconds, data=data)))
    at_once = workers if kind != "here" else 1
    return {
        "jobs": count, "workers": at_once, "sleep_s": seconds, "seconds": taken,
        "overhead_ms": 1e3 * (taken - count * seconds / at_once) / count, "again_ms": 1e3 * again / count,
    }  # fmt: skip


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--only", choices=["store", "here", "threads", "processes", "dask"])
    chosen = parser.parse_args()
    found: dict = {"machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"}
    kinds = {
        "here": (chosen.jobs, 1, 0.0), "processes": (chosen.jobs, 2, 0.0), "threads": (chosen.jobs, 32, 0.05),
        "dask": (chosen.jobs, 2, 0.0),
    }  # fmt: skip
    if chosen.only in (None, "store"):
        found["store"] = measure_store(chosen.jobs)
        print(json.dumps(found["store"], indent=1))
    for kind, (count, workers, seconds) in kinds.items():
        if chosen.only in (None, kind):
            found[kind] = measure_overhead(kind, count, workers, seconds)
            print(kind, json.dumps(found[kind]))
    if chosen.only is None and "dask" in found:
        # With sleeping threads a scheduler sees many workers' worth of jobs at a time.
        found["dask, 32 threads"] = measure_overhead("dask", chosen.jobs, 32, 0.2)
        print("dask, 32 threads", json.dumps(found["dask, 32 threads"]))
    print(json.dumps(found["machine"]))


if __name__ == "__main__":
    main()
