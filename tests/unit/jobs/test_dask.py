"""Jobs on a Dask cluster: the data go to each worker once, and a lost worker costs no job."""

import sys

import job_functions as functions
import numpy as np
import pytest

from kseq.jobs import Job, Runner, Store

distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.above_backends,
    pytest.mark.skipif(sys.platform == "win32", reason="workers are killed by a signal"),
    # Of distributed itself, as it closes.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_a_cluster_runs_jobs_and_replaces_a_worker(tmp_path):
    data = np.arange(5.0)
    jobs = [
        Job("total", functions.total, {"a": 1}, data),
        Job("killed once", functions.killed_once, {"a": 2}, data, {"mark": str(tmp_path / "mark")}),
        Job("bad", functions.refused, {"a": 3}, data),
        Job("three times", functions.total, {"a": 4}, data, {"times": 3}),
    ]
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        Runner(Store(tmp_path / "store"), f"dask://{cluster.scheduler_address.removeprefix('tcp://')}") as runner,
    ):
        total, once, bad, thrice = runner.run(jobs)
    assert total.value["total"] == 10
    assert once.value == "done"
    assert isinstance(bad.error, ZeroDivisionError)
    assert thrice.value["total"] == 30
    again = Store(tmp_path / "store")
    assert [again.has(job.key) for job in jobs] == [True, True, False, True]
