import json
import os

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, backends
from kseq.bench import delivery
from kseq.bench.delivery import DataBench, DataMeasurement, DataWorkload
from kseq.cli import main
from kseq.report.databench import data_table

pytestmark = pytest.mark.above_backends

BACKEND = os.environ["KERAS_BACKEND"]
ONE = DataWorkload(series=1, rows=60, features=2, lookback=4, horizon=1, batch=8)
SEVERAL = DataWorkload(series=5, rows=20, features=1, lookback=4, horizon=3, batch=8)


@pytest.fixture
def quick(monkeypatch):
    """Tiny workloads, and no processes that measure memory."""
    monkeypatch.setattr(delivery, "WORKLOADS", {"one": ONE, "several": SEVERAL})
    monkeypatch.setattr(delivery, "_peak_in_a_process", lambda workload, contender: 1.5)


def contenders(workload):
    expected = ["kseq", "NumPy loop", "NumPy views", *["DataLoader"] * (BACKEND == "torch")]
    return expected + ["Keras dataset"] * ("tensorflow" in backends.installed() and workload is ONE)


@pytest.mark.parametrize("workload", [ONE, SEVERAL])
def test_all_contenders_deliver_every_window_once_in_batches_of_one_size(workload):
    windows = workload.windows()
    made = delivery._contenders(workload)
    assert list(made) == contenders(workload)
    x, y = windows.gather(np.arange(len(windows)))
    expected = np.sort(np.concatenate([x.reshape(len(x), -1), y.reshape(len(y), -1)], axis=1), axis=0)
    for make in made.values():
        epoch = make(windows, workload)
        batches = list(epoch())
        assert [len(x) for x, _ in batches] == [8] * (len(windows) // 8) + [len(windows) % 8] * (len(windows) % 8 > 0)
        for x, y in batches:
            assert x.shape[1:] == (workload.lookback, workload.features)
            assert x.flags.c_contiguous
            assert y.size == len(x) * workload.horizon
        rows = [np.concatenate([x.reshape(len(x), -1), y.reshape(len(y), -1)], axis=1) for x, y in batches]
        first = np.concatenate(rows)
        assert (np.sort(first, axis=0) == expected).all()
        again = np.concatenate([x.reshape(len(x), -1) for x, _ in epoch()])
        assert not (again == first[:, : again.shape[1]]).all()


def test_a_run_measures_every_contender(quick):
    told = []
    bench = delivery.run(["one", "several"], rounds=3, tell=told.append)
    assert told == ["one", "several"]
    table = bench.table
    assert table["contender"].tolist() == contenders(ONE) + contenders(SEVERAL)
    assert all(measured.equal and len(measured.seconds) == 3 for measured in bench.measurements)
    assert (table["lowest"] <= table["windows_per_second"]).all()
    assert (table["windows_per_second"] <= table["highest"]).all()
    assert table["ratio"][table["contender"] == "kseq"].tolist() == [1.0, 1.0]
    assert table["peak_mb"].tolist() == [1.5] * len(table)


def test_a_contender_with_other_windows_has_no_ratio(quick, monkeypatch):
    def twice(windows, workload):
        return lambda: iter([windows.gather(np.zeros(len(windows), int))])

    monkeypatch.setattr(delivery, "_numpy_loop", twice)
    bench = delivery.run(["one"], rounds=1)
    (loop,) = (line for line in bench.table.itertuples() if line.contender == "NumPy loop")
    assert np.isnan(loop.ratio)
    (shown,) = (line for line in data_table(bench).splitlines() if "NumPy loop" in line)
    assert "not equal" in shown


def test_a_table_of_known_times():
    measured = [
        DataMeasurement("one", "kseq", 1000, [0.001, 0.002, 0.004], 0.25),
        DataMeasurement("one", "DataLoader", 1000, [0.02, 0.02, 0.03]),
    ]
    bench = DataBench(measured, {"processor": "P", "cores": 2, "backend": "torch", "device": "cpu"})
    assert bench.table["ratio"].tolist() == [1, 10]
    lines = data_table(bench).splitlines()
    assert lines[2].split() == ["one", "kseq", "500,000", "250,000-1,000,000", "0.2"]
    assert lines[3].split() == ["one", "DataLoader", "50,000", "33,333-50,000", "10.00x", "–"]
    assert lines[-1] == "P, 2 cores; torch on cpu"


def test_memory_is_measured_in_a_process_of_its_own():
    workload = DataWorkload(series=1, rows=2000, features=1, lookback=4, horizon=1, batch=100)
    megabytes = delivery._peak_in_a_process(workload, "kseq")
    assert 0 <= megabytes < 500


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"workloads": ["short", "magic"]}, "received workload 'magic'"),
        ({"rounds": 0}, "received rounds 0, expected a whole number from 1."),
    ],
)
def test_bad_requests(arguments, expected):
    with pytest.raises(ConfigError, match=expected):
        delivery.run(**arguments)


def test_the_command_prints_and_writes(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--data", "--workloads", "one", "--rounds", "1", "--out", "run"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "one\n"
    table = pd.read_csv("run/data.csv")
    assert table["contender"].tolist() == contenders(ONE)
    assert all(line in captured.out for line in table["contender"])
    record = json.loads((tmp_path / "run/data.json").read_text(), parse_constant=pytest.fail)
    assert [measured["windows"] for measured in record["measurements"]] == [56] * len(table)
    assert record["machine"]["backend"] == BACKEND
    assert sorted(os.listdir("run")) == ["data.csv", "data.html", "data.json"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--cells", "gru"], "received --cells with --data, which trains nothing; leave out one of them."),
        (["--members", "2", "--cells", "gru"], "received --cells, --members with --data"),
        (["--workloads", "daily"], "received workload 'daily', expected one of short, long, wide, panel"),
    ],
)
def test_options_of_trainings_do_not_go_with_data(tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--data", *arguments, "--out", "run"]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert not os.listdir()
