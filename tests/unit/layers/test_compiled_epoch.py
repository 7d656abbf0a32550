"""The compiled epoch on several threads, and the losses of forecasters in it and in the fast step."""

import os

import keras
import numpy as np
import pytest

from kseq import build_model, layers
from kseq.kernels import cpu, cpu_epoch
from kseq.layers import step_used
from kseq.layers.ensemble import MemberLoss
from kseq.layers.losses import ForecastLoss

if os.environ["KERAS_BACKEND"] != "torch":
    pytest.skip("the fast step is for PyTorch", allow_module_level=True)

LEVELS = (0.1, 0.5, 0.9)
LOSSES = ["mse", "mae", "huber", "quantile"]


def arrays(count, members=None):
    generator = np.random.default_rng(3)
    shape = (count,) if members is None else (count, members)
    x = generator.normal(size=(*shape, 5, 2)).astype("float32")
    return x, (3 * x[..., -1, :1] + generator.normal(size=(*shape, 1))).astype("float32")


class Idle(keras.callbacks.Callback):
    """A callback that is told of each batch."""

    def on_train_batch_end(self, batch, logs=None):
        assert logs["loss"] == logs["loss"]


def trained(cell, **options):
    model = build_model(cell, lookback=5, features=2, units=9, num_layers=2, **options)
    model.compile("adam", "mse", metrics=["mae"])
    # Several blocks of rows in a batch, and a rest that is cut into fewer.
    history = model.fit(*arrays(530), batch_size=120, epochs=4, shuffle=False, verbose=0).history
    assert step_used(model) == "compiled epoch"
    return model.get_weights(), history


@pytest.mark.parametrize(("cell", "options"), [
    ("rnn", {"activation": "relu"}), ("lstm", {}), ("gru", {}), ("gru", {"reset_after": False}),
], ids=str)  # fmt: skip
def test_bits_do_not_depend_on_threads(monkeypatch, cell, options):
    used = []

    def run(function, arguments, tasks, threads):
        used.append(threads)
        plain(function, arguments, tasks, threads)

    plain = cpu_epoch.run
    monkeypatch.setattr(cpu_epoch, "run", run)
    monkeypatch.setattr(cpu, "_WORTH_THREADS", 0)
    results = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setenv("KSEQ_NUM_THREADS", str(threads))
        results.append(trained(cell, **options))
        assert used == [threads] * 4
        used.clear()
    (weights, history), *others = results
    for found, told in others:
        assert told == history
        for one, other in zip(found, weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_large_jobs_take_all_threads_and_small_ones_take_one(monkeypatch):
    monkeypatch.setenv("KSEQ_NUM_THREADS", "2")
    used = []
    monkeypatch.setattr(cpu_epoch, "run", lambda function, arguments, tasks, threads: used.append(threads))
    for time, units in ((24, 4), (60, 32)):
        model = build_model("lstm", lookback=time, units=units)
        model.compile("adam", "mse")
        model.fit(np.zeros((64, time, 1), "float32"), np.zeros((64, 1), "float32"), batch_size=64, verbose=0)
    assert used == [1, 2]


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("by_batch", [False, True], ids=["many batches at once", "batch by batch"])
def test_losses_of_a_forecaster_are_those_of_keras(kind, by_batch):
    levels = LEVELS if kind == "quantile" else ()
    own = build_model("gru", lookback=5, features=2, units=4, horizon=max(1, len(levels)))
    stock = layers.to_stock(own)
    # Keras has no loss of quantiles: there its step calls this one.
    named = ForecastLoss(kind, levels) if levels else kind
    results = []
    for model, loss in ((own, ForecastLoss(kind, levels)), (stock, named)):
        model.compile(keras.optimizers.Adam(0.01), loss)
        x, y = arrays(45)
        history = model.fit(
            x, y, batch_size=8, epochs=3, verbose=0, validation_data=(x[:11], y[:11]), shuffle=False,
            callbacks=[Idle()] * by_batch,
        ).history  # fmt: skip
        results.append([*np.ravel(list(history.values())), *np.concatenate(list(map(np.ravel, model.get_weights())))])
    assert step_used(own) == ("fast" if by_batch else "compiled epoch")
    np.testing.assert_allclose(*results, rtol=1e-4, atol=3e-5)


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_of_members_are_those_of_keras(kind):
    levels = LEVELS if kind == "quantile" else ()
    results = []
    for fast in (True, False):
        model = build_model("lstm", lookback=5, features=2, units=4, horizon=max(1, len(levels)), members=[1, 2])
        if not fast:
            del model.train_step, model.test_step
        loss = ForecastLoss(kind, levels, members=True)
        model.compile(keras.optimizers.Adam(0.01), loss, metrics=[MemberLoss(2, loss=loss)])
        history = model.fit(*arrays(45, 2), batch_size=8, epochs=3, verbose=0, shuffle=False).history
        assert step_used(model) == ("fast" if fast else "keras")
        # The loss is the sum over members.
        np.testing.assert_allclose(np.sum(history["member"], axis=-1), history["loss"], rtol=1e-5)
        results.append([*history["loss"], *np.concatenate(list(map(np.ravel, model.get_weights())))])
    np.testing.assert_allclose(*results, rtol=1e-4, atol=3e-5)
