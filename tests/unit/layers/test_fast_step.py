"""The fast step gives the loss curve and the weights of Keras's own step."""

import os

import keras
import numpy as np
import pytest

from kseq import Batches, build_model, kernels, layers, load_series, make_windows
from kseq.layers import step_used
from kseq.layers.fast_step import step_of
from kseq.training.fit import Training, fit

if os.environ["KERAS_BACKEND"] != "torch":
    pytest.skip("the fast step is for PyTorch", allow_module_level=True)

import torch

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def data():
    return make_windows(load_series("nino12"))


@pytest.fixture
def float64(monkeypatch):
    """On PyTorch Keras computes parts of float64 in float32 otherwise."""
    monkeypatch.setitem(keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def parts_of(model):
    """The calls that make up the forward pass of the model's fast step."""
    return [type(call).__name__ for call in step_of(model).forward.calls]


def with_and_without(data, seeds, training, **options):
    """Train with the fast step and with Keras's, both with the same kernels."""
    results = []
    for fast in (True, False):
        model = build_model(seed=seeds[0], members=seeds if len(seeds) > 1 else None, **options)
        if not fast:
            del model.train_step
        fitted = fit(model, data, training, seeds)
        results.append((fitted.history["loss"], model.get_weights(), model.optimizer.variables))
        assert step_used(model).startswith(("fast", "compiled epoch") if fast else "keras")
    return results


@pytest.mark.parametrize(
    ("seeds", "weight_decay"),
    [
        pytest.param([3], 0.0, marks=pytest.mark.thorough, id="single"),
        pytest.param([3], 0.01, id="single, decay"),
        pytest.param([3, 5], 0.0, id="members"),
        pytest.param([3, 5], 0.01, marks=pytest.mark.thorough, id="members, decay"),
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {"cell": "rnn", "units": 32},
        {"cell": "rnn", "units": 7, "activation": "relu"},
        {"cell": "gru", "units": 5, "skip": "linear"},
        {"cell": "lstm", "units": 4, "num_layers": 2, "dropout": 0.2, "skip": "linear"},
        {"cell": "lstm", "units": 32, "num_layers": 2, "dropout": 0.2},
        {"cell": "gru", "units": 9, "bidirectional": True},
        {"cell": "gru", "units": 8, "recurrent_dropout": 0.1},
    ],
    ids=str,
)
def test_same_curve_weights_and_optimizer(data, seeds, weight_decay, options):
    training = Training(epochs=2, patience=0, weight_decay=weight_decay)
    (loss, weights, state), (stock_loss, stock_weights, stock_state) = with_and_without(
        data, seeds, training, **options
    )
    np.testing.assert_allclose(loss, stock_loss, rtol=2e-5)
    for one, other in zip(weights, stock_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    for one, other in zip(state, stock_state, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=2e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_validation_is_that_of_keras(data, dropout, bidirectional):
    losses = []
    for fast in (True, False):
        model = build_model(
            "lstm", units=6, num_layers=2, dropout=dropout, bidirectional=bidirectional, seed=1, members=[1, 2]
        )
        if not fast:
            del model.test_step
        fitted = fit(model, data, Training(epochs=3, patience=3), [1, 2])
        losses.append(fitted.history["val_loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_policy_off_runs_keras_own_step():
    model = build_model("gru", units=4)
    model.compile("adam", "mse")
    with layers.kernel_policy("off"):
        model.fit(*arrays(), epochs=1, verbose=0)
        assert step_used(model) == 'keras (kernel_policy("off"))'
    model.fit(*arrays(), epochs=1, verbose=0)
    assert step_used(model) == "compiled epoch"


def test_a_frozen_model_runs_keras_own_step(data):
    model = build_model("gru", units=4)
    model.trainable = False
    model.compile("adam", "mse")
    before = model.get_weights()
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        model.fit(Batches(data.train, 64, seed=0), epochs=1, verbose=0, shuffle=False)
    assert step_used(model) == "keras (no weights to train)"
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_new_compilation_is_noticed(data):
    model = build_model("gru", units=4)
    for rate in (1e-3, 1e-12):
        model.compile(keras.optimizers.Adam(rate), "mse")
        before = model.get_weights()
        model.fit(Batches(data.train, 64, seed=0), epochs=1, verbose=0, shuffle=False)
        moved = max(np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True))
        assert (moved > 1e-4) == (rate == 1e-3)


def test_learning_rate_may_change_between_steps(data):
    model = build_model("gru", units=4)
    model.compile("adam", "mse")
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 if epoch == 0 else 0.0)
    model.fit(Batches(data.train, 64), epochs=3, verbose=0, shuffle=False, callbacks=[schedule])
    losses = model.history.history["loss"]
    assert losses[1] == pytest.approx(losses[2], rel=1e-6)


#: Options, and the calls that make up a forward pass with them.
STACKS = [
    ({"units": 5, "num_layers": 3}, ["_Stack", "_Product"]),
    ({"units": 5, "bidirectional": True}, ["_Stack", "_Product"]),
    ({"units": 5, "num_layers": 2, "bidirectional": True, "use_bias": False}, ["_Stack", "_Product"]),
    ({"units": 5}, ["_Kernel", "_Product"]),
    ({"units": (5, 5, 4)}, ["_Stack", "_Kernel", "_Product"]),
    ({"units": 5, "num_layers": 2, "dropout": 0.2}, ["_Kernel", "_Call", "_Kernel", "_Product"]),
    ({"units": 5, "num_layers": 2, "recurrent_dropout": 0.2}, ["_Call", "_Call", "_Product"]),
]
CELLS = ["rnn", "lstm", "gru"]


@pytest.mark.parametrize(
    ("cell", "options", "calls"),
    [
        pytest.param(cell, options, calls, id=f"{cell}-{options}",
                     marks=[] if number % 3 == CELLS.index(cell) else pytest.mark.thorough)
        for number, (options, calls) in enumerate(STACKS) for cell in CELLS
    ],
)  # fmt: skip
def test_a_stack_and_a_pair_are_one_call_of_the_native_loop(monkeypatch, float64, cell, options, calls):
    """As on a GPU, where cuDNN takes them together; validation and training are Keras's but for rounding."""
    monkeypatch.setattr(kernels.load("torch"), "_compiled", lambda: None)
    data = make_windows(load_series("nino12"), lookback=5, dtype="float64")
    results = []
    for fast in (True, False):
        model = build_model(cell, lookback=5, seed=2, **options)
        if not fast:
            del model.train_step, model.test_step
        fitted = fit(model, data, Training(epochs=2), [2])
        if fast:
            assert parts_of(model) == calls
        results.append([*fitted.history.values(), *model.get_weights()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_the_name_of_the_kernel_is_kept_of_every_layer_of_a_stack(monkeypatch, data):
    monkeypatch.setattr(kernels.load("torch"), "_compiled", lambda: None)
    model = build_model("gru", units=4, num_layers=2, bidirectional=True)
    fit(model, data, Training(epochs=1), [0])
    pairs = [layer for layer in model.layers if isinstance(layer, keras.layers.Bidirectional)]
    used = {part.kernel_used for pair in pairs for part in (pair.forward_layer, pair.backward_layer)}
    assert len(pairs) == 2
    assert used == {"torch-cudnn" if torch.cuda.is_available() else "torch-native"}


def stock_and_fast(train, **options):
    """What a training gives with the fast step, and with Keras's."""
    results = []
    for fast in (True, False):
        model = build_model("gru", units=4, seed=1, **options)
        if not fast:
            del model.train_step, model.test_step
        results.append(np.hstack([np.ravel(part) for part in (train(model), *model.get_weights())]))
    return results


def arrays(count=64):
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, 12, 1)).astype("float32"), generator.normal(size=(count, 1)).astype("float32")


def fitted(model, x, y):
    return model.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"]


@pytest.mark.parametrize("shape", [(64,), (64, 1), (64, 1, 1)], ids=str)
def test_targets_of_any_shape_that_keras_takes(shape):
    def train(model):
        model.compile("adam", "mse")
        x, y = arrays()
        return [*fitted(model, x, y.reshape(shape)), model.evaluate(x, y.reshape(shape), verbose=0)]

    np.testing.assert_allclose(*stock_and_fast(train), rtol=1e-5, atol=1e-6)


def test_windows_without_an_axis_of_features():
    def train(model):
        model.compile("adam", "mse")
        x, y = arrays()
        return fitted(model, x[:, :, 0], y)

    np.testing.assert_allclose(*stock_and_fast(train), rtol=1e-5, atol=1e-6)


def test_compiled_again_with_the_same_optimizer_and_loss():
    def train(model):
        optimizer, (x, y) = keras.optimizers.Adam(), arrays()
        model.compile(optimizer, "mse")
        first = fitted(model, x, y)
        model.compile(optimizer, "mse")
        second = fitted(model, x, y)
        model.compile(optimizer, "mse", metrics=["mae"])
        history = model.fit(x, y, epochs=1, verbose=0, shuffle=False).history
        return [*first, *second, *history["loss"], *history["mae"]]

    np.testing.assert_allclose(*stock_and_fast(train), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("again", [True, False])
def test_a_layer_frozen_after_an_epoch_stays_as_it_is(again):
    def train(model):
        x, y = arrays()
        model.compile("adam", "mse")
        fitted(model, x, y)
        model.layers[1].trainable = False
        if again:
            model.compile(model.optimizer, "mse")
        before = model.layers[1].get_weights()
        losses = fitted(model, x, y)
        for one, other in zip(before, model.layers[1].get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        return losses

    np.testing.assert_allclose(*stock_and_fast(train), rtol=1e-5, atol=1e-6)


def without_decay_of_biases():
    optimizer = keras.optimizers.AdamW(weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "recurrent"])
    return {"optimizer": optimizer, "loss": "mse"}


@pytest.mark.parametrize(
    ("compiled", "options"),
    [
        (lambda: {"optimizer": "adam", "loss": "mse", "loss_weights": [0.1]}, {}),
        (without_decay_of_biases, {}),
        (
            lambda: {"optimizer": "adam", "loss": "mse"},
            {"bidirectional": True, "activity_regularizer": keras.regularizers.L2(1.0)},
        ),
    ],
    ids=["loss_weights", "exclude_from_weight_decay", "activity_regularizer"],
)
def test_options_that_change_the_loss_or_the_update(compiled, options):
    def train(model):
        model.compile(**compiled())
        return fitted(model, *arrays())

    np.testing.assert_allclose(*stock_and_fast(train, **options), rtol=1e-5, atol=1e-6)


def test_an_optimizer_that_is_changed_between_epochs():
    def train(model):
        model.compile("adam", "mse")
        first = fitted(model, *arrays())
        model.optimizer.clipnorm = 1e-3
        return [*first, *fitted(model, *arrays())]

    np.testing.assert_allclose(*stock_and_fast(train), rtol=1e-5, atol=1e-6)


def test_an_optimizer_of_another_model_is_refused_as_keras_does():
    optimizer = keras.optimizers.Adam()
    for number in range(2):
        model = build_model("gru", units=4)
        model.compile(optimizer, "mse")
        if number == 0:
            fitted(model, *arrays())
        else:
            with pytest.raises(ValueError, match="Unknown variable"):
                fitted(model, *arrays())


def test_a_model_that_keras_compiles_runs_its_own_step(monkeypatch):
    """PyTorch's compiler cannot follow the kernels."""
    model = build_model("gru", units=4)
    batch = [keras.ops.convert_to_tensor(part) for part in arrays()]
    model.compile("adam", "mse")
    assert step_of(model).takes(batch)
    model.compile("adam", "mse", jit_compile=True)
    assert not step_of(model).takes(batch)
    model.compile("adam", "mse")
    assert step_of(model).takes(batch)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not step_of(model).takes(batch)
