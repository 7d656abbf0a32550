"""The functions by which TensorFlow trains, evaluates and forecasts: what they compute, and when they are traced."""

import logging
import os

import keras
import numpy as np
import pytest

if os.environ["KERAS_BACKEND"] != "tensorflow":
    pytest.skip("needs KERAS_BACKEND=tensorflow", allow_module_level=True)

import tensorflow as tf

from kseq.kernels.tensorflow_functions import make_functions
from kseq.layers import GRU
from kseq.training.callbacks import forecast_batch

# What TensorFlow makes of a graph may leave out or join calls that are not its own.
pytestmark = pytest.mark.usefixtures("optimized")

X = np.random.default_rng(7).normal(size=(45, 6, 2)).astype("float32")
Y = X[:, -1, :1] + 1


def built(*, own, **options):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((6, 2)), GRU(3), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], **options)
    if own:
        make_functions(model)
    return model


def batches(x=X, y=Y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)


@pytest.mark.parametrize("steps", [1, 4, 32])
def test_training_evaluation_and_forecasts_are_those_of_keras(steps):
    models = [built(own=own, steps_per_execution=steps) for own in (True, False)]
    histories = [
        model.fit(batches(), validation_data=batches(X[:20], Y[:20]), epochs=3, verbose=0, shuffle=False).history
        for model in models
    ]
    assert histories[0] == histories[1]
    # Six batches: the last execution of several steps is not a full one.
    assert [int(model.optimizer.iterations) for model in models] == [18, 18]
    for made, expected in zip(*[
        (model.evaluate(batches(), verbose=0), model.predict(X, batch_size=8, verbose=0), model.predict_on_batch(X[:5]),
         model.train_on_batch(X, Y), model.test_on_batch(X, Y)) for model in models
    ], strict=True):  # fmt: skip
        np.testing.assert_array_equal(made, expected)


def test_data_that_end_before_the_first_step_are_told_as_by_keras():
    for own in (True, False):
        model = built(own=own, steps_per_execution=4)
        with pytest.warns(UserWarning, match="ran out of data"):
            model.fit(batches().take(0), epochs=1, verbose=0, shuffle=False)
        assert int(model.optimizer.iterations) == 0


def test_several_outputs_are_forecast_batch_by_batch():
    inputs = keras.Input((6, 2))
    model = keras.Model(inputs, [keras.layers.Dense(1)(GRU(3)(inputs)), GRU(2)(inputs)])
    expected = model.predict_on_batch(X)
    model = keras.models.clone_model(model)
    make_functions(model)
    assert [part.shape for part in model.predict(X, batch_size=8, verbose=0)] == [part.shape for part in expected]


def test_many_models_of_few_calls_bring_no_warning(caplog):
    """TensorFlow warns from the fifth graph on that is made within ten calls of what it takes for one function."""
    forecasts = []
    with caplog.at_level(logging.WARNING, "tensorflow"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("tensorflow"), "propagate", True)
        for _ in range(7):
            model = built(own=True, steps_per_execution=32)
            model.fit(batches(), validation_data=batches(), epochs=1, verbose=0, shuffle=False)
            # Batches of three sizes.
            forecasts += [forecast_batch(model, X[:size]) for size in (45, 10, 9)]
    assert len(forecasts) == 21
    assert caplog.messages == []


def test_models_that_make_functions_of_their_own_keep_them():
    class Own(keras.Model):
        def make_predict_function(self, force=False):
            self.predict_function = lambda batches: tf.zeros(len(batches[0][0]))
            return self.predict_function

    inputs = keras.Input((6, 2))
    own = Own(inputs, keras.layers.Dense(1)(GRU(3)(inputs)))
    own.compile("adam", "mse", run_eagerly=True)
    make_functions(own)
    assert own.train_function is own.predict_function is None
    own.compile("adam", "mse")
    assert not forecast_batch(own, X).any()
    assert own.train_function is not None
