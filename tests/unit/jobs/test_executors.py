"""Executors of other packages run jobs as Python's own do; each is skipped where its package is not installed."""

import os
import sys
from pathlib import Path

import job_functions as functions
import numpy as np
import pytest

from kseq.jobs import Job, Runner, Store

pytestmark = [
    pytest.mark.above_backends,
    # Of these packages themselves, as their processes end.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def loky(monkeypatch):
    executor = pytest.importorskip("joblib.externals.loky").get_reusable_executor
    return executor(max_workers=1, timeout=60, kill_workers=True)


def executorlib(monkeypatch):
    package = pytest.importorskip("executorlib")
    # Its processes know modules by this path alone.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
    return package.SingleNodeExecutor(max_workers=1)


def mpi(monkeypatch):
    try:
        from mpi4py.futures import MPIPoolExecutor
    except (ImportError, RuntimeError):
        pytest.skip("mpi4py, or the MPI library that it needs, is not installed")
    return MPIPoolExecutor(1, path=[str(Path(__file__).parent)])


@pytest.mark.parametrize("opened", [loky, executorlib, mpi])
def test_an_executor_of_another_package_runs_jobs(tmp_path, monkeypatch, opened):
    data = np.arange(5.0)
    jobs = [Job(f"times {n}", functions.total, {"times": n}, data, {"times": n}) for n in (1, 2)]
    with opened(monkeypatch) as pool:
        with Runner(Store(tmp_path / "store"), pool) as runner:
            *done, bad = runner.run([*jobs, Job("bad", functions.refused, {})])
        assert [outcome.value["total"] for outcome in done] == [10, 20]
        assert os.getpid() not in {outcome.value["process"] for outcome in done}
        assert isinstance(bad.error, ZeroDivisionError)
        with Runner(Store(tmp_path / "store"), pool) as runner:
            assert [outcome.kept for outcome in runner.run(jobs)] == [True, True]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
def test_a_worker_of_loky_that_is_lost_costs_no_job(tmp_path, monkeypatch):
    """Its executor is broken by then; a function of the caller's gives another."""
    mark = {"mark": str(tmp_path / "mark")}
    with Runner(executor=lambda: loky(monkeypatch)) as runner:
        assert runner.run([Job("killed once", functions.killed_once, {}, arguments=mark)])[0].value == "done"
