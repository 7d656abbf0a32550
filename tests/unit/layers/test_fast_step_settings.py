"""Any ``fit`` of a model with layers of kseq gives the history and weights of the same model of Keras's layers."""

import functools
import os

import keras
import numpy as np
import pytest

from kseq import layers
from kseq.layers import step_used

pytestmark = pytest.mark.long

BACKEND = os.environ["KERAS_BACKEND"]
L2 = keras.regularizers.L2


def arrays(count=45, outputs=1):
    generator = np.random.default_rng(7)
    x = generator.normal(size=(count, 6, 2)).astype("float32")
    return x, (x[:, -1, :1] + 0.1 * generator.normal(size=(count, outputs))).astype("float32")


def sequential(kind, **options):
    return keras.Sequential([keras.Input((6, 2)), kind.GRU(5, **options), keras.layers.Dense(1)])


def unbuilt(kind, **options):
    return keras.Sequential([kind.LSTM(4, return_sequences=True, **options), kind.SimpleRNN(3), keras.layers.Dense(1)])


def functional(kind, **options):
    window = keras.Input((6, 2))
    hidden = kind.LSTM(4, return_sequences=True, **options)(window)
    return keras.Model(window, keras.layers.Dense(1)(kind.LSTM(4)(hidden)))


def activated(kind, **options):
    return keras.Sequential([keras.Input((6, 2)), kind.GRU(5, **options), keras.layers.Dense(3, "relu"),
                             keras.layers.Dense(1)])  # fmt: skip


def residual(kind, **options):
    window = keras.Input((6, 2))
    hidden = keras.layers.Dense(4)(window)
    joined = keras.layers.Add()([hidden, kind.GRU(4, return_sequences=True, **options)(hidden)])
    return keras.Model(window, keras.layers.Dense(1)(joined[:, -1]))


def bidirectional(kind, **options):
    return keras.Sequential([keras.Input((6, 2)), keras.layers.Bidirectional(kind.GRU(3, **options)),
                             keras.layers.Dense(1)])  # fmt: skip


def masked(kind, **options):
    return keras.Sequential([keras.Input((6, 2)), keras.layers.Masking(-9.0), kind.GRU(3, **options),
                             keras.layers.Dense(1)])  # fmt: skip


def sequences(kind, **options):
    return keras.Sequential([keras.Input((6, 2)), kind.GRU(3, return_sequences=True, **options),
                             keras.layers.Flatten(), keras.layers.Dense(1)])  # fmt: skip


def dropped(kind, **options):
    return keras.Sequential([keras.Input((6, 2)), kind.GRU(4, return_sequences=True, **options),
                             keras.layers.Dropout(0.3, seed=1), kind.GRU(3), keras.layers.Dense(1)])  # fmt: skip


def normalized(kind, **options):
    return keras.Sequential([keras.Input((6, 2)), kind.GRU(4, **options), keras.layers.BatchNormalization(),
                             keras.layers.Dense(1)])  # fmt: skip


class Subclassed(keras.Model):
    def __init__(self, kind, **options):
        super().__init__()
        self.recurrent, self.head = kind.SimpleRNN(4, **options), keras.layers.Dense(1)

    def call(self, x):
        return self.head(self.recurrent(x))


class Told(Subclassed):
    def call(self, x, training=False):
        return self.head(self.recurrent(x, training=training))


class WithItsOwnLoss(Subclassed):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(keras.ops.abs(y - y_pred)) + 0.1


class WithItsOwnMetrics(Subclassed):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        found = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**found, "twice": 2 * found["loss"]}


class WithItsOwnStep(Subclassed):
    def train_step(self, *data):
        return super().train_step(*data)


def root(y, forecast):
    return keras.ops.sqrt(keras.ops.mean(keras.ops.square(y - forecast)) + 1.0)


def rising(epoch, rate):
    return 1e-3 * (epoch + 1)


class Batchwise(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        if batch == 3:
            self.model.stop_training = True


def decaying():
    return keras.optimizers.schedules.ExponentialDecay(1e-2, 3, 0.7)


def excluding():
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


weights = np.linspace(0.1, 2.0, 45).astype("float32")
optimizers = keras.optimizers

#: A model, what it is compiled with, how it is fitted, and the step that should run on PyTorch.
SETTINGS = {
    "adam": (sequential, {}, {}, "fast"),
    "no shuffle": (sequential, {}, {"shuffle": False}, "fast"),
    "shuffled in batches": (sequential, {}, {"shuffle": "batch"}, "fast"),
    "functional": (functional, {}, {}, "fast"),
    "unbuilt": (unbuilt, {}, {}, "fast"),
    "subclassed": (Subclassed, {}, {}, "fast (layers, loss by Keras)"),
    "activated": (activated, {}, {}, "fast"),
    "residual": (residual, {}, {}, "fast (layers by Keras)"),
    "bidirectional": (bidirectional, {}, {}, "fast"),
    "masked": (masked, {}, {}, "fast (layers by Keras)"),
    "sequences": (sequences, {}, {}, "fast (layers by Keras)"),
    "dropout between": (dropped, {}, {}, "fast (layers by Keras)"),
    "batch normalization": (normalized, {}, {}, "fast (layers by Keras)"),
    "own loss": (WithItsOwnLoss, {}, {}, "fast (layers, loss by Keras)"),
    "own metrics": (WithItsOwnMetrics, {}, {}, "fast (layers, loss, metrics by Keras)"),
    "own step": (WithItsOwnStep, {}, {}, "keras"),
    "mae": (sequential, {"loss": "mae"}, {}, "fast"),
    "mape": (sequential, {"loss": "mape"}, {}, "fast"),
    "msle": (sequential, {"loss": "msle"}, {}, "fast"),
    "huber": (functional, {"loss": "huber"}, {}, "fast"),
    "huber of a delta": (sequential, {"loss": keras.losses.Huber(0.2)}, {}, "fast"),
    "logcosh": (sequential, {"loss": keras.losses.LogCosh()}, {}, "fast"),
    "mse as a function": (sequential, {"loss": keras.losses.mean_squared_error}, {}, "fast"),
    "summed": (sequential, {"loss": keras.losses.MeanSquaredError(reduction="sum")}, {}, "fast (loss by Keras)"),
    "own function": (sequential, {"loss": root}, {}, "fast (loss by Keras)"),
    "hinge": (sequential, {"loss": "squared_hinge"}, {}, "fast (loss by Keras)"),
    "loss weights": (sequential, {"loss_weights": [0.5]}, {}, "fast (loss by Keras)"),
    "two metrics": (sequential, {"metrics": ["mae", "mse"]}, {"validation_split": 0.3}, "fast"),
    "root metric": (sequential, {"metrics": [keras.metrics.RootMeanSquaredError()]}, {}, "fast"),
    "named metrics": (sequential, {"metrics": ["mae", keras.metrics.MeanAbsoluteError(name="b"), "mape", "msle",
                                               keras.losses.huber, keras.metrics.LogCoshError()]}, {}, "fast"),
    "the same metric twice": (sequential, {"metrics": ["mae", "mae"]}, {}, "fast"),
    "r2": (sequential, {"metrics": ["mae", "r2_score"]}, {}, "fast (metrics by Keras)"),
    "own metric": (sequential, {"metrics": [root]}, {}, "fast (metrics by Keras)"),
    "weighted metrics": (sequential, {"metrics": ["mae"], "weighted_metrics": ["mse"]},
                         {"sample_weight": weights}, "fast (metrics by Keras)"),
    "sample weights": (sequential, {"metrics": ["mae"]}, {"sample_weight": weights}, "fast"),
    "sample weights with an axis": (sequential, {}, {"sample_weight": weights[:, None]}, "fast (loss by Keras)"),
    "sample weights and a split": (functional, {"metrics": ["mae"]},
                                   {"sample_weight": weights, "validation_split": 0.3}, "fast"),
    "class weights": (sequential, {}, {"class_weight": {0: 1.0, 1: 3.0}}, "fast"),
    "sgd": (sequential, {"optimizer": "sgd"}, {}, "fast (optimizer by Keras)"),
    "momentum": (sequential, {"optimizer": lambda: optimizers.SGD(0.05, momentum=0.9)}, {},
                 "fast (optimizer by Keras)"),
    "nesterov": (sequential, {"optimizer": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=0.1)}, {},
                 "fast (optimizer by Keras)"),
    "rmsprop": (functional, {"optimizer": "rmsprop"}, {}, "fast (optimizer by Keras)"),
    "adagrad": (sequential, {"optimizer": "adagrad"}, {}, "fast (optimizer by Keras)"),
    "nadam": (sequential, {"optimizer": "nadam"}, {}, "fast (optimizer by Keras)"),
    "lion": (sequential, {"optimizer": "lion"}, {}, "fast (optimizer by Keras)"),
    "adamw": (sequential, {"optimizer": lambda: optimizers.AdamW(1e-2, weight_decay=0.1)}, {}, "fast"),
    "adam with decay": (sequential, {"optimizer": lambda: optimizers.Adam(1e-2, weight_decay=0.1)}, {}, "fast"),
    "decay but of biases": (sequential, {"optimizer": excluding}, {}, "fast"),
    "amsgrad": (sequential, {"optimizer": lambda: optimizers.Adam(amsgrad=True)}, {}, "fast (optimizer by Keras)"),
    "clipnorm": (sequential, {"optimizer": lambda: optimizers.Adam(clipnorm=0.1, epsilon=0.1)}, {}, "fast"),
    "global clipnorm": (sequential, {"optimizer": lambda: optimizers.Adam(global_clipnorm=0.1, epsilon=0.1)}, {},
                        "fast"),
    "clipvalue": (sequential, {"optimizer": lambda: optimizers.Adam(clipvalue=0.01, epsilon=0.1)}, {}, "fast"),
    "average of weights": (sequential, {"optimizer": lambda: optimizers.Adam(use_ema=True)}, {},
                           "fast (optimizer by Keras)"),
    "accumulated": (sequential, {"optimizer": lambda: optimizers.Adam(gradient_accumulation_steps=2)}, {},
                    "fast (optimizer by Keras)"),
    "loss scale": (sequential, {"optimizer": lambda: optimizers.Adam(loss_scale_factor=8.0)}, {},
                   "fast (optimizer by Keras)"),
    "schedule": (sequential, {"optimizer": lambda: optimizers.Adam(decaying())}, {}, "fast"),
    "schedule of sgd": (sequential, {"optimizer": lambda: optimizers.SGD(decaying())}, {}, "fast (optimizer by Keras)"),
    "betas": (sequential, {"optimizer": lambda: optimizers.Adam(1e-2, beta_1=0.5, beta_2=0.9, epsilon=1e-3)}, {},
              "fast"),
    "scheduler": (sequential, {}, {"callbacks": lambda: [keras.callbacks.LearningRateScheduler(rising)]}, "fast"),
    "plateau": (sequential, {}, {"callbacks": lambda: [keras.callbacks.ReduceLROnPlateau("loss", min_delta=9.0,
                                                                                         patience=0)]}, "fast"),
    "early stopping": (sequential, {}, {"validation_split": 0.3, "callbacks": lambda: [
        keras.callbacks.EarlyStopping(min_delta=9.0, patience=1, restore_best_weights=True)]}, "fast"),
    "batchwise callback": (sequential, {"metrics": ["mae"]}, {"callbacks": lambda: [Batchwise()]}, "fast"),
    "validation data": (sequential, {"metrics": ["mae"]}, {"validation_data": arrays(20), "validation_batch_size": 7},
                        "fast"),
    "weighted validation": (sequential, {"metrics": ["mae"]}, {"validation_data": (*arrays(20), weights[:20])}, "fast"),
    "validation steps": (sequential, {}, {"validation_data": arrays(20), "validation_steps": 2}, "fast"),
    "validation now and then": (sequential, {}, {"validation_data": arrays(20), "validation_freq": 2}, "fast"),
    "regularizer": (lambda kind: sequential(kind, kernel_regularizer=L2(0.1)), {}, {}, "fast (loss by Keras)"),
    "activity": (lambda kind: functional(kind, activity_regularizer=L2(0.1)), {}, {}, "fast (layers, loss by Keras)"),
    "constraint": (lambda kind: sequential(kind, kernel_constraint="max_norm"), {}, {}, "fast (optimizer by Keras)"),
    "dropout": (lambda kind: sequential(kind, dropout=0.3, seed=4), {}, {}, "fast (layers by Keras)"),
    "recurrent dropout": (
        lambda kind: sequential(kind, recurrent_dropout=0.3, seed=4), {}, {}, "fast (layers by Keras)"
    ),
    "whole": (sequential, {"metrics": ["mae"]}, {"batch_size": 45}, "fast"),
    "no bias": (lambda kind: functional(kind, use_bias=False), {}, {}, "fast"),
    "reset before": (lambda kind: sequential(kind, reset_after=False), {}, {}, "fast"),
    "backwards": (lambda kind: sequential(kind, go_backwards=True), {}, {}, "fast"),
    "steps": (sequential, {}, {"steps_per_epoch": 3}, "fast"),
    "from an epoch": (sequential, {}, {"initial_epoch": 1}, "fast"),
    "subclassed with dropout": (lambda kind: Subclassed(kind, dropout=0.3, seed=1), {}, {},
                                "fast (layers, loss by Keras)"),
    "subclassed with recurrent dropout": (lambda kind: Subclassed(kind, recurrent_dropout=0.3, seed=1), {}, {},
                                          "fast (layers, loss by Keras)"),
    "told of training": (lambda kind: Told(kind, dropout=0.3, seed=1), {}, {}, "fast (layers, loss by Keras)"),
    "dropout in a layer": (lambda kind: nested(kind), {}, {}, "fast (layers, loss by Keras)"),
}  # fmt: skip


class Idle(keras.callbacks.Callback):
    """A callback that is told of each batch."""

    def on_train_batch_end(self, batch, logs=None):
        assert logs["loss"] == logs["loss"]


def trained(make, kind, compiled, fitted, callbacks):
    keras.utils.set_random_seed(5)
    model = make(kind)
    options = {"optimizer": "adam", "loss": "mse", **compiled}
    model.compile(**{name: value() if name == "optimizer" and callable(value) else value
                     for name, value in options.items()})  # fmt: skip
    arguments = {"batch_size": 8, "epochs": 3, "verbose": 0, **fitted}
    if callable(arguments.get("callbacks")):
        arguments["callbacks"] = arguments["callbacks"]()
    arguments["callbacks"] = [*arguments.get("callbacks", []), *callbacks]
    history = model.fit(*arrays(), **arguments).history
    scores = model.evaluate(*arrays(9), batch_size=9, verbose=0, return_dict=True)
    noted = [part for callback in arguments["callbacks"] for part in getattr(callback, "losses", [])]
    return model, history, scores, noted


#: Those of which many steps run in one compiled call, where no callback is told of batches.
COMPILED = {
    "adam", "no shuffle", "functional", "mae", "mape", "msle", "huber", "huber of a delta", "logcosh",
    "mse as a function", "two metrics", "root metric", "named metrics", "the same metric twice",
    "sample weights", "sample weights and a split", "sgd", "momentum", "nesterov", "rmsprop", "adamw",
    "adam with decay", "decay but of biases", "clipnorm", "global clipnorm", "clipvalue", "schedule",
    "schedule of sgd", "betas", "scheduler", "plateau", "early stopping", "validation data",
    "weighted validation", "validation steps", "validation now and then", "whole", "no bias", "reset before",
    "backwards", "from an epoch",
}  # fmt: skip


def together(kind):
    """Two directions, two layers, dropout, and a head of two."""
    return keras.Sequential([
        keras.Input((6, 2)), keras.layers.Bidirectional(kind.LSTM(3, return_sequences=True, dropout=0.2, seed=4)),
        kind.GRU(4), keras.layers.Dropout(0.1, seed=2), keras.layers.Dense(3, "relu"), keras.layers.Dense(1),
    ])  # fmt: skip


def restrained(kind):
    """A residual, a regularizer of weights and of outputs, a constraint, a normalization."""
    window = keras.Input((6, 2))
    hidden = keras.layers.Dense(4)(window)
    options = {"kernel_regularizer": L2(0.1), "activity_regularizer": L2(0.1), "recurrent_constraint": "max_norm"}
    joined = keras.layers.Add()([hidden, kind.GRU(4, return_sequences=True, **options)(hidden)])
    joined = keras.layers.BatchNormalization()(kind.SimpleRNN(3, go_backwards=True, activation="relu")(joined))
    return keras.Model(window, keras.layers.Dense(1)(joined))


def stateful(kind):
    """States that are carried from batch to batch."""
    return keras.Sequential([keras.Input(batch_shape=(9, 6, 2)), kind.LSTM(4, stateful=True), keras.layers.Dense(1)])


def of_any_length(kind):
    """Masked windows of any length, and a forecast for each step."""
    return keras.Sequential([
        keras.Input((None, 2)), keras.layers.Masking(-9.0),
        kind.GRU(3, return_sequences=True, reset_after=False, use_bias=False),
        keras.layers.TimeDistributed(keras.layers.Dense(1)), keras.layers.GlobalAveragePooling1D(),
    ])  # fmt: skip


class Blocked(keras.layers.Layer):
    """A layer that takes no ``training`` and holds one that drops."""

    def __init__(self, kind, **options):
        super().__init__(**options)
        self.inner = kind.GRU(3, dropout=0.3, seed=1)

    def call(self, x):
        return self.inner(x)


def nested(kind):
    return keras.Sequential([keras.Input((6, 2)), Blocked(kind), keras.layers.Dense(1)])


class OfItsOwn(WithItsOwnLoss, WithItsOwnMetrics):
    """A loss and metrics of its own."""


def averaged():
    optimizer = keras.optimizers.AdamW(
        decaying(), weight_decay=0.3, global_clipnorm=0.5, use_ema=True, ema_overwrite_frequency=4
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


#: Many settings at once, of those above and some more: on TensorFlow and JAX each training is compiled for seconds.
TOGETHER = {
    "adamw, schedule, global clipnorm, average of weights, huber, metrics, sample weights, early stopping": (
        together,
        {"optimizer": averaged, "loss": "huber", "metrics": ["mae", keras.metrics.RootMeanSquaredError()],
         "weighted_metrics": ["mse"]},
        {"sample_weight": weights, "validation_split": 0.3, "callbacks": lambda: [
            keras.callbacks.EarlyStopping(min_delta=9.0, patience=1, restore_best_weights=True)]},
        None,
    ),
    "nesterov, clipnorm, accumulated, mape, class weights, masking, any length, steps": (
        of_any_length,
        {"optimizer": lambda: optimizers.SGD(
            0.05, momentum=0.9, nesterov=True, clipnorm=0.1, gradient_accumulation_steps=2), "loss": "mape"},
        {"class_weight": {0: 1.0, 1: 3.0}, "steps_per_epoch": 3, "callbacks": lambda: [Batchwise()]},
        None,
    ),
    "rmsprop, clipvalue, logcosh, regularizers, constraint, residual, normalization, scheduler": (
        restrained,
        {"optimizer": lambda: optimizers.RMSprop(clipvalue=0.1), "loss": keras.losses.LogCosh(),
         "loss_weights": [0.5], "metrics": [root, "r2_score"]},
        {"initial_epoch": 1, "validation_data": (*arrays(20), weights[:20]), "validation_freq": 2,
         "callbacks": lambda: [keras.callbacks.LearningRateScheduler(rising)]},
        None,
    ),
    "nadam, loss scale, sum, stateful, no shuffle, several steps an execution, no jit": (
        # Of these PyTorch's Keras has no several steps, and cannot train layers with states.
        sequential if BACKEND == "torch" else stateful,
        {"optimizer": lambda: optimizers.Nadam(loss_scale_factor=8.0), "metrics": ["mae", "mae"],
         "loss": keras.losses.MeanSquaredError(reduction="sum"), "jit_compile": False,
         **({} if BACKEND == "torch" else {"steps_per_execution": 2})},
        {"shuffle": False, "batch_size": 9},
        None,
    ),
    "amsgrad, own loss, own metrics, subclassed, recurrent dropout, plateau, validation steps": (
        lambda kind: OfItsOwn(kind, recurrent_dropout=0.2, seed=3),
        {"optimizer": lambda: optimizers.Adam(1e-2, amsgrad=True, beta_1=0.5), "metrics": ["mape"]},
        {"validation_data": arrays(20), "validation_steps": 2, "callbacks": lambda: [
            keras.callbacks.ReduceLROnPlateau("loss", min_delta=9.0, patience=0)]},
        None,
    ),
}  # fmt: skip

#: Those that run on TensorFlow and JAX too, where each is compiled for seconds; ``--every`` takes all.
EVERYWHERE = (
    {"unbuilt", *TOGETHER} if BACKEND == "tensorflow" else {"unbuilt", *list(TOGETHER)[1:3], *list(TOGETHER)[4:]}
)
SETTINGS |= TOGETHER


def results_of(name, kind, *callbacks):
    """History, scores and weights of a training."""
    make, compiled, fitted, _ = SETTINGS[name]
    model, history, scores, noted = trained(make, kind, compiled, fitted, callbacks)
    numbers = {**{name: np.array(values) for name, values in history.items()}, **scores, "noted": np.array(noted)}
    return model, numbers, model.get_weights()


@functools.cache
def results_of_keras(name):
    """The same with Keras's layers."""
    return results_of(name, keras.layers)[1:]


def cases():
    """All settings with many batches in one call; batch by batch those that take another step then, the others too
    where all cases are asked for."""
    for name in SETTINGS:
        yield pytest.param(name, False, marks=[] if name in EVERYWHERE else pytest.mark.above_backends,
                           id=f"{name}-many batches at once")  # fmt: skip
        other_step = name in COMPILED | set(TOGETHER)
        yield pytest.param(name, True, marks=pytest.mark.above_backends if other_step else pytest.mark.thorough,
                           id=f"{name}-batch by batch")  # fmt: skip


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize(("name", "by_batch"), list(cases()))
def test_history_and_weights_are_those_of_keras(name, by_batch):
    expected, weights_of_keras = results_of_keras(name)
    model, found, weights_found = results_of(name, layers, *[Idle()] * by_batch)
    assert list(found) == list(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=2e-4, atol=2e-6, err_msg=key)
    for one, other in zip(weights_found, weights_of_keras, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)
    if BACKEND == "torch" and name not in TOGETHER:
        assert step_used(model) == (SETTINGS[name][3] if by_batch or name not in COMPILED else "compiled epoch")


@pytest.mark.parametrize(
    "metrics", [["mae"], pytest.param([], marks=pytest.mark.above_backends)], ids=["metric", "none"]
)
def test_masks_reach_the_loss(metrics):
    x, y = arrays()[0], np.random.default_rng(1).normal(size=(45, 6, 1)).astype("float32")
    x[::3, :2] = -9.0
    results = []
    for kind in (keras.layers, layers):
        keras.utils.set_random_seed(5)
        model = keras.Sequential([keras.Input((6, 2)), keras.layers.Masking(-9.0),
                                  kind.GRU(3, return_sequences=True), keras.layers.Dense(1)])  # fmt: skip
        model.compile("adam", "mse", metrics=metrics)
        history = model.fit(x, y, epochs=2, verbose=0).history
        results.append(
            [*np.concatenate(list(history.values())), *np.concatenate(list(map(np.ravel, model.get_weights())))]
        )
    np.testing.assert_allclose(*results, rtol=1e-4, atol=2e-6)


@pytest.mark.above_backends
@pytest.mark.parametrize("shape", [(45,), (45, 1), (45, 1, 1)], ids=str)
@pytest.mark.parametrize("metrics", [["mae"], [keras.metrics.RootMeanSquaredError]], ids=["mae", "root"])
def test_targets_of_any_shape_that_keras_takes(shape, metrics):
    x, y = arrays()
    results = []
    for kind in (keras.layers, layers):
        keras.utils.set_random_seed(5)
        model = sequential(kind)
        model.compile("adam", "mse", metrics=[one if isinstance(one, str) else one() for one in metrics])
        history = model.fit(x, y.reshape(shape), epochs=2, verbose=0, validation_split=0.2).history
        results.append(np.concatenate(list(history.values())))
    np.testing.assert_allclose(*results, rtol=1e-4, atol=2e-6)
