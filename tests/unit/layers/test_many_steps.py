"""Where a call costs more than a small network, ``fit`` runs several steps in one; nobody notices but by the clock."""

import os

import keras
import numpy as np
import pytest

from kseq import Batches, build_model, layers
from kseq.bench.timings import Workload, make_data
from kseq.layers.feeding import Listeners

pytestmark = [
    pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "tensorflow", reason="one step costs little elsewhere"),
    pytest.mark.usefixtures("optimized"),
]


@pytest.fixture
def calls(monkeypatch):
    """What Keras tells its list of callbacks after each call of the training function."""
    found = []
    for kind in (keras.callbacks.CallbackList, Listeners):
        monkeypatch.setattr(kind, "on_train_batch_end", lambda self, at, logs: found.append(at))
    return found


def arrays(count=45):
    generator = np.random.default_rng(7)
    x = generator.normal(size=(count, 6, 2)).astype("float32")
    return x, x[:, -1, :1]


def made(kind=layers, **options):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((6, 2)), kind.GRU(3), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], **options)
    return model


class Told(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)


def test_plain_arrays_take_one_call_an_epoch(calls):
    made().fit(*arrays(), batch_size=8, epochs=2, verbose=0)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("compiled", "fitted"),
    [
        ({}, {"steps_per_epoch": 3}),
        ({}, {"verbose": 1}),
        ({}, {"callbacks": [keras.callbacks.TerminateOnNaN()]}),
        ({"steps_per_execution": 2}, {}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_what_was_asked_for_stands(calls, compiled, fitted):
    made(**compiled).fit(*arrays(), batch_size=8, **{"verbose": 0, **fitted})
    assert len(calls) == (3 if compiled or "steps_per_epoch" in fitted else 6)


def test_a_callback_told_of_batches_is_told_of_each():
    model, told = made(), Told()
    model.fit(*arrays(), batch_size=8, verbose=0)
    model.fit(*arrays(), batch_size=8, verbose=0, callbacks=told)
    assert told.batches == [0, 1, 2, 3, 4, 5]


def test_all_else_keeps_single_steps():
    """Validation of a few steps, in ``fit`` and in a callback, and single batches after it, are Keras's."""
    results = []
    for kind in (keras.layers, layers):
        model, noted = made(kind), []
        x, y = arrays()

        def look(epoch, logs, model=model, noted=noted, x=x, y=y):
            noted.extend(model.evaluate(x, y, batch_size=8, steps=2, verbose=0))

        history = model.fit(
            x, y, batch_size=8, epochs=3, verbose=0, validation_data=(x, y), validation_steps=2, validation_freq=1,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=look)],
        ).history  # fmt: skip
        noted += model.train_on_batch(x[:8], y[:8])
        noted += model.evaluate(x, y, batch_size=8, steps=3, verbose=0)
        model.compile("sgd", "mae", metrics=["mse"])
        noted += np.ravel(list(model.fit(x, y, batch_size=8, verbose=0).history.values())).tolist()
        assert model.steps_per_execution == 1
        results.append([*np.ravel(list(history.values())), *noted])
    np.testing.assert_allclose(*results, rtol=2e-4)


def test_batches_of_windows_too(calls):
    data = make_data(Workload(windows=40, time=6, features=2, units=2, batch=8))
    model = build_model("gru", lookback=6, features=2, units=2)
    model.compile("adam", "mse")
    model.fit(Batches(data.train, 8, seed=0), epochs=2, verbose=0, shuffle=False)
    assert len(calls) == 2
