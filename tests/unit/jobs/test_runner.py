"""Jobs run here and in other processes; what is kept is not made again."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import wait

import job_functions as functions
import numpy as np
import pytest

from kseq.errors import BackendError, ConfigError
from kseq.jobs import Job, Runner, Store, opened, opening

pytestmark = pytest.mark.above_backends

DATA = np.arange(5.0)


def jobs_of(*times):
    return [Job(f"times {n}", functions.total, {"times": n}, DATA, {"times": n}) for n in times]


class Heard:
    """Hears what a runner tells."""

    def __init__(self):
        self.events = []

    def jobs_planned(self, jobs, trainings, kept):
        self.events.append(("planned", jobs, trainings, kept))

    def job_started(self, name):
        self.events.append(("started", name))

    def job_done(self, name, seconds, kept, error):
        self.events.append(("done", name, kept))


def test_only_what_is_missing_runs_and_outcomes_stand_in_order(tmp_path):
    store = Store(tmp_path)
    with Runner(store) as runner:
        runner.run(jobs_of(1, 3))
    heard = Heard()
    with Runner(store, progress=heard) as runner:
        outcomes = runner.run(jobs_of(1, 2, 3))
    assert [outcome.value["total"] for outcome in outcomes] == [10, 20, 30]
    assert [outcome.kept for outcome in outcomes] == [True, False, True]
    assert heard.events[0] == ("planned", 3, 3, 2)
    assert [event[1] for event in heard.events if event[0] == "started"] == ["times 2"]
    assert (runner.done, runner.planned, runner.kept) == (3, 3, 2)


def test_an_error_of_a_job_is_its_outcome_and_a_refusal_is_raised():
    def refusing(data, context):
        raise ConfigError("received nothing.")

    with Runner() as runner:
        failed, done = runner.run([Job("bad", functions.refused, {}), *jobs_of(1)])
        assert isinstance(failed.error, ZeroDivisionError)
        assert done.value["total"] == 10
        with pytest.raises(ConfigError, match="received nothing"):
            runner.run([Job("refused", refusing, {})])


def test_an_interrupt_says_what_is_kept(tmp_path):
    def stopped(data, context):
        raise KeyboardInterrupt

    def interrupted():
        with Runner(Store(tmp_path)) as runner:
            runner.run([*jobs_of(1, 2), Job("stopped", stopped, {})])

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    assert caught.value.__notes__ == ["2 of 3 trainings are kept: the same command goes on with the rest"]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
def test_processes_share_the_work_and_a_lost_one_costs_no_job(tmp_path):
    heard = Heard()
    jobs = [
        *jobs_of(1, 2),
        Job("killed once", functions.killed_once, {"a": 1}, arguments={"mark": str(tmp_path / "mark")}),
        Job("bad", functions.refused, {"a": 2}),
        *jobs_of(3),
    ]
    with Runner(Store(tmp_path / "store"), "local:2", progress=heard) as runner:
        outcomes = runner.run(jobs)
        [poison, fine] = runner.run([Job("poison", functions.killed, {"a": 3}), *jobs_of(4)])
    assert [outcome.value["total"] for outcome in (*outcomes[:2], outcomes[4])] == [10, 20, 30]
    assert os.getpid() not in {outcome.value["process"] for outcome in outcomes[:2]}
    assert outcomes[2].value == "done"
    assert isinstance(outcomes[3].error, ZeroDivisionError)
    assert "its worker was lost 3 times" in str(poison.error)
    assert fine.value["total"] == 40


def test_any_executor_of_python_runs_jobs():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, Runner(executor=pool) as runner:
        outcomes = runner.run(jobs_of(1, 2))
        assert {outcome.value["process"] for outcome in outcomes} == {next(iter(pool._processes))}
    with ThreadPoolExecutor(2) as pool, Runner(executor=pool) as runner:
        assert [outcome.value["total"] for outcome in runner.run(jobs_of(1, 2))] == [10, 20]


def test_processes_are_begun_before_there_are_jobs_and_shared_by_runners():
    job = Job("loaded", functions.loaded, {}, arguments={"module": "antigravity_of_nobody"})
    own = Job("loaded", functions.loaded, {"a": 1}, arguments={"module": "wave"})
    with opening("local:1", "wave") as workers:
        found = []
        for jobs in ([own, *jobs_of(1)], [job, *jobs_of(2)]):
            with Runner(executor=workers) as runner:
                found += [outcome.value for outcome in runner.run(jobs)]
    assert [one["loaded"] for one in found[::2]] == [True, False]
    assert [one["total"] for one in found[1::2]] == [10, 20]
    assert len({one["process"] for one in found}) == 1
    assert os.getpid() not in {one["process"] for one in found}


def test_data_of_another_runner_are_not_taken_for_those_that_stand_where_they_stood():
    """What stood in memory where a later runner's data stand must not be read in their place."""
    with opening("local:1") as workers:
        for n in range(1, 6):
            job = Job("total", functions.total, {}, data=np.full(1000, n))
            with Runner(executor=workers) as runner:
                assert runner.run([job])[0].value["total"] == 1000 * n
            del job


@pytest.mark.parametrize("module", ["", "a_module_that_nobody_has"])
def test_processes_without_a_job_are_ended(module):
    with opening("local:2", module) as workers:
        processes = list(workers._pool._processes.values())
        assert len(processes) == 2
    # The pool's own thread waits for them too, so that is_alive may still say yes of one that has ended.
    for process in processes:
        assert wait([process.sentinel], timeout=60)


def test_who_opened_an_executor_closes_it():
    with opening("local:1") as workers:
        with opening(workers) as same, pytest.raises(ZeroDivisionError):
            assert same is workers
            with Runner(executor=same):
                raise ZeroDivisionError
        with Runner(executor=workers) as runner:
            assert runner.run(jobs_of(1))[0].value["total"] == 10


def test_an_executor_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="expected local:N"):
        opened("local:0")
    with pytest.raises(ConfigError, match="expected local:N"):
        opened(3)


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch):
    pytest.importorskip("distributed")
    from kseq.jobs import executors

    real = executors.DaskWorkers._connect
    monkeypatch.setattr(executors.DaskWorkers, "_connect", lambda self, seconds: real(self, 0.2))
    with pytest.raises(BackendError, match="no Dask scheduler answers"):
        opened("dask://127.0.0.1:9")


@pytest.mark.parametrize("threads", [None, 2])
def test_a_job_that_is_done_may_ask_for_others(tmp_path, threads):
    """They run, or are taken from the store, and stand after those that were there."""

    def next_one(outcome):
        n = outcome.job.arguments["times"]
        return jobs_of(n + 10) if n < 30 else None

    heard = Heard()
    with ThreadPoolExecutor(threads or 1) as pool:
        executor = pool if threads else None
        for kept in (False, True):
            with Runner(Store(tmp_path / "store"), executor, progress=heard) as runner:
                outcomes = runner.run(jobs_of(1, 2), next_one)
            assert sorted(outcome.value["total"] for outcome in outcomes) == [
                10.0 * n for n in (1, 2, 11, 12, 21, 22, 31, 32)
            ]
            assert [outcome.value["total"] for outcome in outcomes[:2]] == [10, 20]
            assert {outcome.kept for outcome in outcomes} == {kept}
            assert (runner.planned, runner.done) == (8, 8)


def test_functions_of_a_users_own_are_found_in_another_process(tmp_path, monkeypatch):
    import pickle

    from kseq.models.own import Own, imported

    file = tmp_path / "mynets.py"
    file.write_text("def build(outputs):\n    return outputs * 2\n", encoding="utf-8")
    own = Own.of("mine", "cell", imported(f"{file}:build"))
    sent = pickle.dumps(own)
    monkeypatch.delitem(sys.modules, "mynets")
    again = pickle.loads(sent)
    assert again.called({"outputs": 3}) == 6
    assert again.record == own.record
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    file.unlink()
    with pytest.raises(ConfigError, match="neither that module nor"):
        pickle.loads(sent)


def test_a_function_without_a_name_is_sent_by_cloudpickle():
    import pickle

    from kseq.models.own import Own

    pytest.importorskip("cloudpickle")
    factor = 5
    own = Own.of("mine", "cell", lambda outputs: outputs * factor)
    assert pickle.loads(pickle.dumps(own)).called({"outputs": 2}) == 10


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
def test_a_long_job_whose_worker_is_lost_goes_on_at_its_state(tmp_path):
    job = Job("long", functions.stepwise, {"a": 1})
    with Runner(Store(tmp_path / "store"), "local:1") as runner:
        [outcome] = runner.run([job])
    assert outcome.value == {"done": 3}
    assert not list((tmp_path / "store/states").iterdir())
