import json
import os
import re
import sys

import numpy as np
import pytest

from kseq import BackendError, ConfigError, backends, layers
from kseq.bench import delivery, measured, timings
from kseq.cli.bench import bench as command

BACKEND = os.environ["KERAS_BACKEND"]
#: Contenders that train one seed at a time.
USERS = ["builder", "Sequential", "functional model", "two metrics", "plain arrays"]
ONE_BY_ONE = ["stock Keras", *["native loop"] * (BACKEND == "torch"), *USERS]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Workloads that take no time, and no measuring of the machine."""
    workloads = {
        "plain": timings.Workload(windows=10, time=3, features=2, units=2, batch=4),
        "stacked": timings.Workload(windows=10, time=3, features=1, units=2, batch=4, num_layers=2),
        "bidirectional": timings.Workload(windows=10, time=3, features=2, units=3, batch=4, bidirectional=True),
    }
    for module in (timings, measured):
        monkeypatch.setattr(module, "WORKLOADS", workloads)
    monkeypatch.setattr(timings, "peak_flops", lambda: 1e9)
    return workloads


@pytest.fixture
def untrained(monkeypatch):
    """Keras's epochs take nine seconds at first and two later, and train nothing."""
    monkeypatch.setattr(timings, "_stock_epochs", lambda *job: lambda: (9.0, [2.0]))
    monkeypatch.setattr(timings, "_own_epochs", lambda *job: lambda: (9.0, [2.0]))
    monkeypatch.setattr(timings, "_timed", lambda train: lambda: (9.0, [2.0]))


@pytest.mark.parametrize(
    ("cell", "workload"),
    [
        pytest.param("rnn", "stacked", marks=pytest.mark.above_backends),
        pytest.param("lstm", "bidirectional", marks=pytest.mark.above_backends),
        ("gru", "plain"),
    ],
)
def test_contenders_forecast_the_same_before_they_are_timed(tiny, cell, workload):
    told = []
    table = timings.run([cell], [workload], rounds=2, tell=told.append).table.set_index("contender")
    assert told == [f"{workload}, {timings.CELLS[cell]}"]
    assert list(table.index) == [*ONE_BY_ONE, "kseq"]
    assert (table["difference"] <= measured.TOLERANCE).all()
    assert (table["ms"] > 0).all()
    assert ((table["ms_low"] <= table["ms"]) & (table["ms"] <= table["ms_high"])).all()
    assert (table["first_s"] > 0).all()
    np.testing.assert_allclose(table["ratio"], table["ms"] / table["ms"]["kseq"])
    operations = tiny[workload].operations(cell)
    np.testing.assert_allclose(table["share_of_peak"], operations / (table["ms"] / 1e3) / 1e9)
    assert table["kernel"]["stock Keras"] == "keras"
    np.testing.assert_allclose(table["to_builder"], table["ms"] / table["ms"]["builder"])
    expected = "compiled epoch" if BACKEND == "torch" and workload != "bidirectional" else "fast"
    for contender in ("kseq", *USERS):
        assert BACKEND in table["kernel"][contender]
        assert table["step"][contender] == (expected if BACKEND == "torch" else "keras")


@pytest.mark.above_backends
@pytest.mark.parametrize("chosen", [(), ("arrays", "builder"), ("stock", "sequential")], ids=str)
def test_contenders_are_chosen(untrained, chosen):
    table = timings.run(["rnn"], ["bidirectional"], rounds=1, contenders=chosen).table
    assert table["contender"].tolist() == [
        *[name for short, name in timings.CONTENDERS.items() if short in chosen], "kseq",
    ]  # fmt: skip
    assert table["to_builder"].notna().all() == ("builder" in chosen)


@pytest.mark.above_backends
@pytest.mark.parametrize("name", timings.USERS)
def test_a_users_model_that_forecasts_otherwise_has_no_ratio(monkeypatch, untrained, name):
    model_of = timings.model_of

    def astray(short, built):
        model = model_of(short, built)
        if short == name:
            model.set_weights([weight + 0.1 for weight in model.get_weights()])
        return model

    monkeypatch.setattr(timings, "model_of", astray)
    table = timings.run(["gru"], ["plain"], rounds=1).table.set_index("contender")
    assert np.isnan(table["ratio"][timings.USERS[name]])
    assert table["ratio"].drop(timings.USERS[name]).notna().all()


def test_members_stand_beside_what_trains_one_seed_at_a_time(monkeypatch):
    pair = timings.Measurement("plain", "gru", "two processes", seconds=[0.5], kernel="keras")
    monkeypatch.setattr(timings, "_two_processes", lambda name, cell: pair)
    result = timings.run(["gru"], ["plain"], rounds=1, members=(1, 3))
    found = [(m.members, m.contender) for m in result.measurements]
    assert found == [(1, name) for name in (*ONE_BY_ONE, "kseq")] + [
        (3, name) for name in (*ONE_BY_ONE, "two processes", "kseq")
    ]
    # One seed at a time costs the same a seed, however many there are.
    one, three = (next(m for m in result.measurements if (m.members, m.contender) == (count, "stock Keras"))
                  for count in (1, 3))  # fmt: skip
    assert one.seconds == three.seconds
    assert result.table["ratio"].notna().all()
    assert all(m.kernel for m in result.measurements if m.contender == "kseq")


@pytest.mark.above_backends
def test_rounds_are_epochs_that_count(monkeypatch, untrained):
    pair = timings.Measurement("plain", "rnn", "two processes", seconds=[1.0])
    monkeypatch.setattr(timings, "_two_processes", lambda name, cell: pair)
    result = timings.run(["rnn"], ["plain"], rounds=3, members=(1, 4))
    own = {m.members: m for m in result.measurements if m.contender == "kseq"}
    assert own[1].seconds == [2.0, 2.0, 2.0]
    # Four seeds share an epoch.
    assert own[4].seconds == [0.5, 0.5, 0.5]
    assert (own[1].first, own[4].first) == (9.0, 9.0)


@pytest.mark.above_backends
@pytest.mark.parametrize("broken", [lambda w: w + 0.1, lambda w: w * np.nan], ids=["others", "no numbers"])
def test_no_speed_up_where_forecasts_differ(monkeypatch, untrained, broken):
    to_stock = layers.to_stock

    def astray(model):
        stock = to_stock(model)
        stock.set_weights([broken(weight) for weight in stock.get_weights()])
        return stock

    monkeypatch.setattr(layers, "to_stock", astray)
    table = timings.run(["gru"], ["plain"], rounds=1).table
    assert table["ratio"].isna().all()
    assert (table["ms"] > 0).all()


@pytest.mark.above_backends
def test_a_contender_that_differs_alone_has_no_ratio():
    measurements = [
        timings.Measurement("plain", "gru", "stock Keras", seconds=[3.0]),
        timings.Measurement("plain", "gru", "native loop", seconds=[2.0], difference=2 * measured.TOLERANCE),
        timings.Measurement("plain", "gru", "kseq", seconds=[1.0], difference=measured.TOLERANCE / 2),
    ]
    ratio = timings.Bench(measurements, 1e9, {}).table.set_index("contender")["ratio"]
    assert (ratio["stock Keras"], ratio["kseq"]) == (3.0, 1.0)
    assert np.isnan(ratio["native loop"])


def test_a_process_of_its_own_prints_seconds_of_each_epoch_but_the_first(tiny, capsys):
    timings.child(tiny["plain"], "rnn", epochs=3)
    seconds = json.loads(capsys.readouterr().out)
    assert len(seconds) == 2
    assert min(seconds) > 0


@pytest.mark.above_backends
def test_a_process_that_fails_is_told(monkeypatch, untrained):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(BackendError, match=r"trains stock Keras failed \(status 1\)"):
        timings.run(["gru"], ["plain"], rounds=1, members=(2,))


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((["elman"], ["plain"]), "received cell 'elman', expected one of rnn, lstm, gru."),
        ((["gru"], ["tiny"]), "received workload 'tiny', expected one of plain, stacked, bidirectional."),
        ((["gru"], ["plain"], 1, (1,), ["arrays", "magic"]), "received contender 'magic', expected one of stock, "),
        ((["gru"], ["plain"], 0), "received rounds 0, expected a whole number from 1."),
        ((["gru"], ["plain"], 1, (2, 0)), "received members 0, expected a whole number from 1."),
    ],
)
def test_bad_arguments(arguments, expected):
    with pytest.raises(ConfigError, match=re.escape(expected)):
        timings.run(*arguments)


@pytest.mark.above_backends
def test_operations_are_those_of_the_products():
    # An LSTM's four gates, each (features + units) x units products and as many sums, forward and twice that backward.
    job = timings.Workload(windows=10, time=3, features=5, units=2, batch=4)
    assert job.operations("lstm") == 3 * 10 * 3 * 4 * 2 * 2 * (5 + 2)
    assert job.operations("gru") == 0.75 * job.operations("lstm")
    # A second layer reads the units of the first; both directions read the features.
    two = timings.Workload(windows=10, time=3, features=5, units=2, batch=4, num_layers=2)
    assert two.operations("rnn") - job.operations("rnn") == 3 * 10 * 3 * 2 * 2 * (2 + 2)
    both = timings.Workload(windows=10, time=3, features=5, units=2, batch=4, bidirectional=True)
    assert both.operations("rnn") == 2 * job.operations("rnn")


def test_the_real_workloads(monkeypatch):
    monkeypatch.undo()
    shown = next(p for p in command.params if p.name == "workloads").help
    usual = ",".join(name for name in timings.WORKLOADS if name not in timings.FOR_GPUS)
    assert f"default: {usual}, on a GPU {','.join(timings.FOR_GPUS)} too; " in shown
    assert f"with --data {','.join(delivery.WORKLOADS)}]" in shown
    on_gpu = backends.device_in_use(BACKEND) != "cpu"
    assert timings.usual_workloads() == tuple(timings.WORKLOADS if on_gpu else usual.split(","))
    for workload in timings.WORKLOADS.values():
        data = timings.make_data(workload)
        assert len(data.train) == workload.windows
        assert (data.lookback, data.features) == (workload.time, workload.features)
    assert timings.peak_flops(size=8, seconds=0.01) > 0


@pytest.mark.above_backends
def test_what_was_measured_is_plain_data(untrained):
    result = timings.run(["rnn"], ["plain"], rounds=1)
    record = json.loads(json.dumps(result.record))
    assert record["machine"]["backend"] == BACKEND
    assert record["machine"]["versions"]["keras"]
    assert record["machine"]["threads"].get("OMP_NUM_THREADS") == os.environ.get("OMP_NUM_THREADS")
    assert [m["contender"] for m in record["measurements"]] == [*ONE_BY_ONE, "kseq"]
