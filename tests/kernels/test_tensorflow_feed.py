"""TensorFlow reads the batches that Keras would give it, in the same order."""

import os

import keras
import numpy as np
import pytest

if os.environ["KERAS_BACKEND"] != "tensorflow":
    pytest.skip("needs KERAS_BACKEND=tensorflow", allow_module_level=True)

import tensorflow as tf
from tensorflow.python.eager import context

from kseq import Batches, layers, load_series, make_windows
from kseq.kernels import tensorflow_feed
from kseq.kernels.tensorflow_feed import array_dataset, dataset

# What TensorFlow makes of a graph may leave out or join calls that are not its own.
pytestmark = pytest.mark.usefixtures("optimized")

STOCK_FIT = keras.Model.fit.__wrapped__


@pytest.fixture
def no_seed():
    """TensorFlow without a global seed, as a user has it who sets none."""
    before = context.global_seed()
    tf.random.set_seed(None)
    yield
    tf.random.set_seed(before)


def arrays(count=45):
    generator = np.random.default_rng(7)
    x = generator.normal(size=(count, 6, 2)).astype("float32")
    return x, x[:, -1, :1] + 1, generator.uniform(size=count).astype("float32")


def read(source):
    return [[part.numpy() for part in batch] for batch in source]


def made(kind, **options):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((6, 2)), kind.GRU(3), keras.layers.Dense(1)])
    model.compile("adam", "mse", **{"metrics": ["mae"], **options})
    return model


@pytest.mark.parametrize("size", [47, 1000])
@pytest.mark.parametrize("options", [{"seed": 3}, {"seeds": [4, 9]}, {"members": 2}, {}], ids=str)
def test_epochs_are_those_of_the_batches(size, options):
    windows = make_windows(load_series("nino12")).train
    fed, plain = Batches(windows, size, **options), Batches(windows, size, **options)
    source = dataset(fed)
    assert len(source) == len(plain)
    for _ in range(3):
        for batch, expected in zip(read(source), [plain[number] for number in range(len(plain))], strict=True):
            for part, expected_part in zip(batch, expected, strict=True):
                np.testing.assert_array_equal(part, expected_part)
        for batches in (fed, plain):
            batches.on_epoch_end()


def keras_batches(parts, size, shuffle, seed, epochs):
    """The batches that ``fit`` of stock Keras trains on."""
    seen = []

    class Noting(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Dense(1)

        def call(self, x):
            return self.head(x[:, -1])

        def train_step(self, data):
            tf.numpy_function(lambda *parts: seen.append(parts) or np.float32(0), list(data), tf.float32)
            return super().train_step(data)

    keras.utils.set_random_seed(seed)
    model = Noting()
    model.compile("sgd", "mse")
    x, y, *weight = parts
    STOCK_FIT(model, x, y, sample_weight=weight[0] if weight else None, batch_size=size, epochs=epochs, verbose=0,
              shuffle=shuffle)  # fmt: skip
    return seen


@pytest.mark.parametrize(
    ("count", "size", "shuffle", "weighted"),
    [(45, 8, True, True), (40, 8, True, False), (5, 8, True, False), (9, 1, True, True), (45, 8, False, True)],
)
def test_arrays_come_in_the_order_of_keras(count, size, shuffle, weighted):
    parts = arrays(count)[: 2 + weighted]
    expected = keras_batches(parts, size, shuffle, seed=11, epochs=2)
    keras.utils.set_random_seed(11)
    source = array_dataset(parts, size, shuffle)
    assert 2 * len(source) == len(expected)
    for batch, other in zip([*read(source), *read(source)], expected, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


def test_without_a_seed_each_epoch_has_an_order_of_its_own(no_seed):
    source = array_dataset(arrays(300), 300, True)
    epochs = []
    for _ in range(3):
        # Keras asks twice an epoch.
        epochs.append(read(source)[0])
        assert read(source)[0][2].tolist() == epochs[-1][2].tolist()
        source.on_epoch_end()
    orders = [epoch[2].tolist() for epoch in epochs]
    assert orders[0] != orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    # Windows, targets and weights stay together.
    for x, y, _ in epochs:
        np.testing.assert_array_equal(y, x[:, -1, :1] + 1)


class Losses(keras.callbacks.Callback):
    """Collects the mean loss of each epoch's first batch."""

    def __init__(self):
        super().__init__()
        self.first = []

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self.first.append(logs["loss"])


def test_fit_reads_another_order_in_each_epoch(no_seed):
    x, y, _ = arrays()
    model = keras.Sequential([keras.Input((6, 2)), layers.GRU(3), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    losses = Losses()
    model.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[losses])
    assert len(set(losses.first)) == 4


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": "batch", "verbose": 1},
        {"validation_split": 0.3, "validation_batch_size": 4, "validation_freq": 2, "initial_epoch": 1},
        {"sample_weight": arrays()[2], "validation_split": 0.3},
        {"class_weight": {1: 0.5, 0: 2.0}},
        {"validation_data": arrays(), "batch_size": 64},
        {"steps_per_epoch": 3},
    ],
    ids=["shuffle a batch", "split", "weights", "classes", "validation", "steps"],
)
def test_any_fit_of_arrays_is_that_of_keras(options):
    results = []
    for train in (STOCK_FIT, keras.Model.fit):
        model = made(layers)
        x, y, _ = arrays()
        if "class_weight" in options:
            y = (y > 1).astype("float32")
        history = train(model, x, y, **{"batch_size": 8, "epochs": 3, "verbose": 0, **options}).history
        results.append(np.hstack([*history.values(), *(np.ravel(weight) for weight in model.get_weights())]))
    np.testing.assert_allclose(*results, rtol=2e-5, atol=1e-6)


def test_what_else_is_drawn_stays_as_it_is():
    """Numbers drawn after a training are those that come after Keras's own."""
    drawn = []
    for train in (STOCK_FIT, keras.Model.fit):
        model = made(layers)
        tf.random.set_seed(3)
        x, y, _ = arrays()
        train(model, x, y, batch_size=8, epochs=2, verbose=0)
        drawn.append([tf.random.uniform(()).numpy(), np.random.random()])  # noqa: NPY002
    assert drawn[0] == drawn[1]


def test_large_arrays_are_left_to_keras(monkeypatch):
    monkeypatch.setattr(tensorflow_feed, "MOST_COPIED", 1000)
    assert array_dataset(arrays(), 8, True) is None
    x, y, _ = arrays()
    results = []
    for train in (STOCK_FIT, keras.Model.fit):
        history = train(made(layers), x, y, batch_size=8, epochs=2, verbose=0).history
        results.append(np.ravel(list(history.values())))
    np.testing.assert_allclose(*results, rtol=1e-6)
