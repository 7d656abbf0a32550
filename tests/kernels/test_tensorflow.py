"""TensorFlow's kernel against stock Keras and the reference, and the graphs that it may not go into."""

import os

import pytest

if os.environ["KERAS_BACKEND"] != "tensorflow":
    pytest.skip("needs KERAS_BACKEND=tensorflow", allow_module_level=True)

import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import kseq.kernels.tensorflow as kernels
from kseq import layers
from kseq.errors import Unsupported
from kseq.kernels import Spec

# What TensorFlow makes of a graph may leave out or join calls that are not its own.
pytestmark = pytest.mark.usefixtures("optimized")


def run(layer, x, states, factors):
    x, *states = (tf.constant(array) for array in (x, *states))
    weights = [weight.value for weight in layer.trainable_weights]
    with tf.GradientTape() as tape:
        tape.watch([x, *states])
        outputs = layer(x, initial_state=states, training=True)
        loss = tf.add_n([tf.reduce_sum(factor * output) for factor, output in zip(factors, outputs, strict=True)])
    gradients = tape.gradient(loss, [x, *states, *weights])
    return [output.numpy() for output in outputs], [gradient.numpy() for gradient in gradients]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("go_backwards", [True, False])
def test_outputs_states_and_gradients(parity, floatx, cell_options, use_bias, return_sequences, go_backwards):
    cell, options = cell_options
    layer = parity(
        run,
        cell,
        dtype=floatx,
        use_bias=use_bias,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
        **options,
    )
    assert layer.kernel_used == "tensorflow-cpu"


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (4, 1, 2)])
def test_smallest_shapes(parity, cell_options, shape):
    cell, options = cell_options
    parity(run, cell, shape=shape, units=1 if shape == (1, 1, 1) else 9, return_sequences=True, **options)


@settings(max_examples=10, deadline=None)
@given(
    batch=st.integers(1, 20),
    time=st.integers(1, 8),
    features=st.integers(1, 9),
    units=st.integers(1, 20),
    seed=st.integers(0, 2**16),
    cell=st.sampled_from(["SimpleRNN", "LSTM", "GRU"]),
    return_sequences=st.booleans(),
)
def test_random_shapes(parity, batch, time, features, units, seed, cell, return_sequences):
    shape = (batch, time, features)
    parity(run, cell, shape=shape, units=units, seed=seed, return_sequences=return_sequences)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("return_sequences", "go_backwards"), [(True, False), (True, True), (False, True)])
def test_members(members_problem, member_cell, shared, use_bias, return_sequences, go_backwards, training):
    spec = Spec(**member_cell, return_sequences=return_sequences, go_backwards=go_backwards, training=training)
    problem = members_problem(spec, shared=shared, bias=use_bias)
    x, states = tf.constant(problem.sequences), [tf.constant(state) for state in problem.states]
    weights = [tf.constant(w) for w in problem.weights if w is not None]
    with tf.GradientTape() as tape:
        tape.watch([x, *states, *weights])
        output = kernels.run(x, states, None, *[*weights, None][:3], spec)
        results = [output.outputs, *output.states]
        factors = [problem.d_outputs, *problem.d_states]
        loss = tf.add_n([tf.reduce_sum(factor * result) for factor, result in zip(factors, results, strict=True)])
    gradients = tape.gradient(loss, [x, *states, *weights])
    problem.assert_close([a.numpy() for a in (output.last_output, *results, *gradients)], problem.expected, 1e-10)


def call(layer, **changes):
    """Call a kernel with a layer's weights, some arguments changed."""
    weights = [w.value for w in layer.trainable_weights]
    arguments = {
        "sequences": tf.zeros((2, 3, 1)),
        "states": [tf.zeros((2, 4)) for _ in layer.state_size],
        "mask": None,
        "kernel": weights[0],
        "recurrent_kernel": weights[1],
        "bias": weights[2],
        "spec": layers.spec_of(layer),
    }
    return kernels.run(**{**arguments, **changes})


def built(cell, **options):
    layer = getattr(layers, cell)(4, **options)
    layer.build((2, 3, 1))
    return layer


@pytest.mark.parametrize(
    ("cell", "options", "changes", "reason"),
    [
        ("SimpleRNN", {"activation": "gelu"}, {}, "activation gelu"),
        ("LSTM", {"activation": "relu"}, {}, "activation relu"),
        ("GRU", {"recurrent_activation": "hard_sigmoid"}, {}, "recurrent_activation hard_sigmoid"),
        ("LSTM", {}, {"mask": np.ones((2, 3), bool)}, "mask"),
        ("LSTM", {}, {"sequences": tf.zeros((2, 3, 1), "int32")}, "int32 input to float32 weights"),
        ("GRU", {"dtype": "bfloat16", "recurrent_initializer": "zeros"}, {}, "bfloat16 on the CPU"),
        ("GRU", {}, {"states": [tf.zeros((1, 4))]}, "one initial state for all windows"),
    ],
)
def test_declines(cell, options, changes, reason):
    with pytest.raises(Unsupported) as refusal:
        call(built(cell, **options), **changes)
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("_on_gpu", True, "a GPU"),
        ("_compiled", None, "Numba is not installed, or NUMBA_DISABLE_JIT is set"),
    ],
)
def test_declines_where_the_compiled_loop_cannot_run(monkeypatch, name, value, reason):
    layer = built("LSTM")
    assert not layer.supports_jit
    monkeypatch.setattr(kernels, name, lambda: value)
    with pytest.raises(Unsupported) as refusal:
        call(layer)
    assert refusal.value.reason == reason
    assert layers.LSTM(4).supports_jit


@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "go_backwards": True}, {"return_state": True}])
def test_second_derivatives(cell_options, floatx, options):
    cell, own = cell_options
    keras.utils.set_random_seed(0)
    layer, plain = (getattr(kind, cell)(4, dtype=floatx, **own, **options) for kind in (layers, keras.layers))
    for one in (layer, plain):
        one.build((3, 4, 2))
    plain.set_weights(layer.get_weights())
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 4, 2)), floatx)

    def penalty(one):
        """Gradients of a penalty on a gradient, as of WGAN-GP."""
        states = [tf.fill((3, 4), tf.constant(0.3, floatx)) for _ in one.state_size]
        weights = [w.value for w in one.trainable_weights]
        with tf.GradientTape() as outer:
            outer.watch([x, *states])
            with tf.GradientTape() as inner:
                inner.watch([x, *states])
                results = tf.nest.flatten(one(x, initial_state=states))
                loss = tf.add_n([tf.reduce_sum(result**2) for result in results])
            slopes = inner.gradient(loss, [x, *states, weights[0]])
            steepness = tf.add_n([tf.reduce_sum(slope**2) for slope in slopes])
        return [*slopes, *outer.gradient(steepness, [x, *states, *weights])]

    with layers.kernel_policy("strict"):
        found = penalty(layer)
    for have, want in zip(found, penalty(plain), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


def test_derivatives_ahead():
    keras.utils.set_random_seed(0)
    layer, plain = layers.LSTM(4), keras.layers.LSTM(4)
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 4, 2)), "float32")
    for one in (layer, plain):
        one.build(x.shape)
    plain.set_weights(layer.get_weights())

    def ahead(one):
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            result = one(x)
        return accumulator.jvp(result)

    np.testing.assert_allclose(ahead(layer), ahead(plain), rtol=1e-4, atol=1e-6)


def small_model(**options):
    model = keras.Sequential([keras.Input((None, 1)), layers.LSTM(3, **options), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


X = np.random.default_rng(0).normal(size=(8, 5, 1)).astype("float32")


def test_runs_in_the_graphs_of_fit_evaluate_and_predict():
    model = small_model()
    layer = model.layers[0]
    for method in (lambda: model.fit(X, X[:, -1], verbose=0), lambda: model.evaluate(X, X[:, -1], verbose=0),
                   lambda: model.predict(X, verbose=0), lambda: model.train_on_batch(X, X[:, -1])):  # fmt: skip
        layer.kernel_used = None
        model.train_function = model.test_function = model.predict_function = None
        method()
        assert layer.kernel_used == "tensorflow-cpu"


def test_nothing_is_left_behind_by_training_and_prediction():
    model = small_model()
    before = len(kernels._kept)
    model.fit(X, X[:, -1], batch_size=2, epochs=3, verbose=0)
    model.predict(X, verbose=0)
    assert len(kernels._kept) == before


def test_what_forward_runs_without_a_way_back_keep_is_bounded():
    layer = built("GRU")
    for _ in range(2 * kernels._MOST_KEPT):
        layer(X[:2, :3], training=True)
    assert len(kernels._kept) <= kernels._MOST_KEPT


def test_they_are_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(kernels, "_kept", {})
    layer = built("GRU")
    layer(X[:2, :3], training=True)
    (one,) = kernels._kept.values()
    monkeypatch.setattr(kernels, "_MOST_BYTES", 3 * one.memory.nbytes)
    for _ in range(6):
        layer(X[:2, :3], training=True)
    assert len(kernels._kept) == 3


def test_the_way_back_of_a_run_that_was_let_go():
    layer = built("GRU")
    x = tf.constant(X)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x, training=True) ** 2)
    first = tape.gradient(loss, x)
    again = tape.gradient(loss, x)
    np.testing.assert_array_equal(first, again)


def test_stays_out_of_other_graphs():
    layer = built("LSTM")
    graph = tf.function(lambda x: layer(x), jit_compile=True)
    found = graph(X)
    assert layer.kernel_used == "keras (a graph outside fit, evaluate and predict)"
    np.testing.assert_allclose(found, layer(X), atol=1e-6)
    assert layer.kernel_used == "tensorflow-cpu"


def test_jit_compile_is_put_aside():
    model = small_model()
    with pytest.warns(UserWarning, match="jit_compile"):
        model.compile("sgd", "mse", jit_compile=True)
    model.fit(X, X[:, -1], verbose=0)
    assert model.layers[0].kernel_used == "tensorflow-cpu"


def test_jit_compile_of_a_layer_made_under_policy_off():
    with layers.kernel_policy("off"):
        model = small_model()
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(X, X[:, -1], verbose=0)
    assert model.layers[0].kernel_used == "keras (jit_compile=True)"


def test_exported_model_runs_without_this_process(tmp_path):
    model = small_model()
    model.fit(X, X[:, -1], verbose=0)
    model.export(tmp_path / "exported", verbose=False)
    np.save(tmp_path / "x.npy", X)
    code = (
        "import numpy, sys, tensorflow; folder = sys.argv[1];"
        "loaded = tensorflow.saved_model.load(folder + '/exported');"
        "numpy.save(folder + '/y.npy', loaded.serve(numpy.load(folder + '/x.npy')))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model.predict(X, verbose=0), atol=1e-6)


def test_symbolic_build_of_a_layer_that_wraps_one():
    class Wrapper(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.GRU(4, return_sequences=True)

        def call(self, x):
            return self.inner(x)

    with layers.kernel_policy("strict"):
        outputs = Wrapper()(keras.Input((7, 2)))
    assert outputs.shape == (None, 7, 4)
