"""Estimates of memory, what is read as free, and the blocks and batches that follow."""

import os

import keras
import numpy as np
import pytest

from kseq import build_model, from_frame, kernels, load_series, make_windows, predict
from kseq.comparison import jobs
from kseq.settings import Settings
from kseq.training import memory

BACKEND = os.environ["KERAS_BACKEND"]


@pytest.fixture(scope="module")
def data():
    return make_windows(from_frame(load_series("sunspots").frame.iloc[:90], target="sunspots"), lookback=4)


@pytest.mark.above_backends
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.1}, {"bidirectional": True}], ids=str)
def test_cost_is_that_of_one_member(cell, options):
    single = build_model(cell, lookback=12, features=2, units=8, **options)
    cost = memory.cost_of(single, 12)
    assert cost.weights == single.count_params()
    assert cost.window == 12 * 2 + 1
    assert memory.cost_of(build_model(cell, lookback=12, features=2, units=8, members=3, **options), 12) == cost


@pytest.mark.above_backends
def test_cost_by_hand():
    """One LSTM of 8 units over 12 steps of 2 features, and a Dense layer."""
    cost = memory.cost_of(build_model("lstm", lookback=12, features=2, units=8), 12)
    lstm, dense = 4 * 8 * (2 + 8 + 1), 8 + 1
    assert cost.weights == lstm + dense
    assert cost.products == 12 * lstm + dense
    # Input, states and gates of each step; the window, the last output and the forecast with their gradients.
    assert cost.kept == 12 * (2 + 6 * 8) + 2 * (12 * 2 + 8 + 1)
    assert cost.training_bytes(32) - cost.training_bytes(31) == 4 * (cost.kept + 3 * cost.window)


@pytest.mark.above_backends
def test_open_lookback_and_other_functional_models():
    assert memory.cost_of(build_model("gru", lookback=None), 12) == memory.cost_of(build_model("gru", lookback=12), 12)
    sequential = keras.Sequential([keras.Input((12, 1)), keras.layers.GRU(4), keras.layers.Dense(1)])
    assert memory.cost_of(sequential, 12).weights == sequential.count_params()


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("free", "seeds", "expected"),
    [(None, 3, 3), (1e12, 3, 3), (2.5, 3, 2), (2.5, 6, 2), (3.5, 7, 3), (1.5, 3, 1), (0, 3, 1)],
)
def test_blocks_fit_into_memory(monkeypatch, data, free, seeds, expected):
    """Free memory is given in members."""
    model = build_model("gru", lookback=4, units=4)
    one = memory.cost_of(model, 4).training_bytes(32)
    monkeypatch.setattr(memory, "available", lambda: None if free is None else int(free * one / memory.SHARE))
    assert memory.members_at_once(model, 4, 32, seeds) == expected


def test_blocks_are_bounded_by_speed_on_a_cpu_and_even(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: None)
    model = build_model("gru", lookback=4, units=4)
    most = 10 if BACKEND == "jax" else 20
    monkeypatch.setattr(memory.backends, "device_in_use", lambda backend: "cpu")
    assert memory.members_at_once(model, 4, 32, most) == most
    assert memory.members_at_once(model, 4, 32, most + 2) == most // 2 + 1
    monkeypatch.setattr(memory.backends, "device_in_use", lambda backend: "some GPU")
    assert memory.members_at_once(model, 4, 32, 100) == 100


def test_what_is_free_comes_from_the_device(monkeypatch):
    monkeypatch.setattr(kernels.load(BACKEND), "free_memory", lambda: 12345)
    monkeypatch.setattr(memory, "_free_on_machine", lambda: 678)
    monkeypatch.setattr(memory.backends, "device_in_use", lambda backend: "cpu")
    assert memory.available() == 678
    monkeypatch.setattr(memory.backends, "device_in_use", lambda backend: "some GPU")
    assert memory.available() == 12345


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


MACHINE = {"proc/meminfo": "MemTotal: 2000 kB\nMemAvailable:    1000 kB\n"}
GROUP_2 = {
    "proc/self/cgroup": "0::/user/job\n",
    "sys/fs/cgroup/user/job/memory.max": "500000\n",
    "sys/fs/cgroup/user/job/memory.current": "300000\n",
    "sys/fs/cgroup/user/job/memory.stat": "anon 200000\ninactive_file 50000\n",
}
GROUP_1 = {
    "proc/self/cgroup": "4:cpu,memory:/outside/of/the/container\n1:pids:/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "400000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "100000\n",
}


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (MACHINE, 1024000),
        (MACHINE | GROUP_2, 250000),
        (MACHINE | GROUP_2 | {"sys/fs/cgroup/user/job/memory.max": "max\n"}, 1024000),
        (
            MACHINE
            | GROUP_2
            | {"sys/fs/cgroup/user/memory.max": "400000\n", "sys/fs/cgroup/user/memory.current": "399999\n"},
            1,
        ),
        (MACHINE | GROUP_1, 300000),
        (MACHINE | GROUP_1 | {"sys/fs/cgroup/memory/memory.usage_in_bytes": "500000\n"}, 0),
    ],
    ids=["machine", "group", "group without a limit", "group around it", "version 1", "used up"],
)
def test_what_is_free_on_a_machine(tmp_path, files, expected):
    write(tmp_path, files)
    assert memory._free_on_machine(tmp_path) == expected


@pytest.mark.above_backends
def test_without_proc_half_of_all_memory_or_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(memory.os, "sysconf", lambda name: {"SC_PHYS_PAGES": 100, "SC_PAGE_SIZE": 4096}[name])
    assert memory._free_on_machine(tmp_path) == 204800
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory._free_on_machine(tmp_path) is None


def test_this_machine_has_memory():
    free = memory._free_on_machine()
    assert free is None or free > 2**20


@pytest.mark.parametrize("members", [None, [0, 1, 2]])
def test_forecasts_in_small_batches_are_the_same(monkeypatch, data, members):
    model = build_model("lstm", lookback=4, units=4, members=members)
    whole = predict(model, data, data.train)
    one = (len(members) if members else 1) * memory.cost_of(model, 4).forecast_bytes()
    monkeypatch.setattr(memory, "available", lambda: int(5.5 * one / memory.SHARE))
    seen = []
    forecast = model.predict_on_batch
    monkeypatch.setattr(model, "predict_on_batch", lambda x: seen.append(len(x)) or forecast(x))
    np.testing.assert_allclose(predict(model, data, data.train), whole, rtol=1e-6)
    assert set(seen[:-1]) == {5}
    assert sum(seen) == len(data.train)
    monkeypatch.setattr(memory, "available", lambda: 0)
    assert memory.windows_at_once(model, 4) == 1
    monkeypatch.setattr(memory, "available", lambda: None)
    assert memory.windows_at_once(model, 4) == 1024


def test_seeds_train_in_blocks_and_give_the_same(monkeypatch, data):
    """Blocks by memory, by hand, and one: the same forecasts, epochs and learning curves."""
    settings = Settings(
        cells=("gru",), seeds=(3, 1, 4), lookback=4, units=4, training={"epochs": 3, "patience": 1, "batch_size": 0}
    )
    one = memory.cost_of(build_model("gru", lookback=4, units=4), 4).training_bytes(len(data.train))
    assert jobs.blocks_of("gru", data, settings) == [(3, 1, 4)]
    together = jobs.train_cell("gru", data, settings)
    monkeypatch.setattr(memory, "available", lambda: int(2.5 * one / memory.SHARE))
    assert jobs.blocks_of("gru", data, settings) == [(3, 1), (4,)]
    parted = jobs.train_cell("gru", data, settings)
    assert (together.members_at_once, parted.members_at_once) == (3, 2)
    assert together.seeds == parted.seeds == (3, 1, 4)
    assert together.epochs == parted.epochs
    np.testing.assert_allclose(parted.predictions, together.predictions, rtol=1e-6)
    for name, curves in together.history.items():
        np.testing.assert_allclose(parted.history[name], curves, rtol=1e-5)
    assert np.isfinite(parted.seconds_per_epoch)


def test_a_number_takes_as_many_bytes_as_keras_uses():
    model = build_model("rnn", lookback=4, units=4)
    narrow = memory.cost_of(model, 4).training_bytes(8)
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        assert memory.cost_of(model, 4).training_bytes(8) == 2 * narrow
    finally:
        keras.config.set_floatx(before)
