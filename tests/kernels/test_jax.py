"""JAX's kernels against stock Keras and the reference."""

import os

import pytest

if os.environ["KERAS_BACKEND"] != "jax":
    pytest.skip("needs KERAS_BACKEND=jax", allow_module_level=True)

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import kseq.kernels.jax as kernels
from kseq import layers
from kseq.errors import Unsupported
from kseq.kernels import Spec


def seeds_of(layer):
    """State of a layer's dropout generators: its only variables besides its weights."""
    return [variable.value for variable in layer.non_trainable_variables]


def run(layer, x, states, factors):
    def loss(x, states, weights):
        outputs, _ = layer.stateless_call(weights, seeds_of(layer), x, initial_state=states)
        return sum((factor * output).sum() for factor, output in zip(factors, outputs, strict=True)), outputs

    weights = [weight.value for weight in layer.trainable_weights]
    differentiate = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))
    (d_x, d_states, d_weights), outputs = differentiate(jnp.asarray(x), [jnp.asarray(s) for s in states], weights)
    return [np.asarray(output) for output in outputs], [np.asarray(d) for d in (d_x, *d_states, *d_weights)]


@pytest.fixture(autouse=True)
def double_precision():
    """Let arrays be float64 where a test asks for it."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(params=[False, True], ids=["step-by-step", "late"])
def late(request, monkeypatch):
    """The order of work on the CPU, and that on other devices, which runs on the CPU as well."""
    monkeypatch.setattr(kernels, "_run", functools.partial(kernels._run, late=request.param))
    return request.param


#: An orthogonal array: each two of five settings in each of their four ways. JAX compiles for a second per setting; all
#: 32 are run on the other backends.
WAYS = [
    (late, floatx, use_bias, late != (floatx == "float64"), late != use_bias)
    for late in (False, True)
    for floatx in ("float32", "float64")
    for use_bias in (False, True)
]


@pytest.mark.parametrize(
    ("late", "floatx", "use_bias", "return_sequences", "go_backwards"), WAYS, indirect=["late", "floatx"]
)
def test_outputs_states_and_gradients(parity, late, floatx, cell_options, use_bias, return_sequences, go_backwards):
    cell, options = cell_options
    layer = parity(
        run,
        cell,
        dtype=floatx,
        # Keras's loops are slow to compile: one setting in two is compared with them, all with the reference.
        stock=use_bias and not late,
        use_bias=use_bias,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
        **options,
    )
    assert layer.kernel_used == ("jax-scan-late" if late else "jax-scan")


@pytest.mark.parametrize(
    ("late", "shape"),
    [(False, (1, 1, 1)), pytest.param(True, (1, 5, 3), marks=pytest.mark.thorough), (True, (4, 1, 2))],
    indirect=["late"],
)
def test_smallest_shapes(parity, late, cell_options, shape):
    cell, options = cell_options
    parity(run, cell, shape=shape, units=1 if shape == (1, 1, 1) else 9, stock=False, return_sequences=True, **options)


@pytest.mark.usefixtures("optimized")
@settings(max_examples=4, deadline=None)
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


@pytest.mark.parametrize(
    ("return_sequences", "go_backwards", "late", "shared", "use_bias"),
    [
        (True, False, False, False, False), (True, False, True, True, True), (True, True, False, True, True),
        (True, True, True, False, False), (False, True, False, False, True), (False, True, True, True, False),
    ],
    indirect=["late"],
)  # fmt: skip
def test_members(members_problem, late, member_cell, shared, use_bias, return_sequences, go_backwards):
    spec = Spec(**member_cell, return_sequences=return_sequences, go_backwards=go_backwards, training=True)
    problem = members_problem(spec, shared=shared, bias=use_bias)

    def loss(x, states, weights):
        output = kernels.run(x, states, None, *[*weights, None][:3], spec)
        results = [output.outputs, *output.states]
        factors = [problem.d_outputs, *problem.d_states]
        total = sum((factor * result).sum() for factor, result in zip(factors, results, strict=True))
        return total, [output.last_output, *results]

    weights = [jnp.asarray(w) for w in problem.weights if w is not None]
    arguments = (jnp.asarray(problem.sequences), [jnp.asarray(s) for s in problem.states], weights)
    gradients, results = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(*arguments)
    problem.assert_close([np.asarray(a) for a in jax.tree.leaves((results, gradients))], problem.expected, 1e-10)


def call(layer, **changes):
    """Call a kernel with a layer's weights, some arguments changed."""
    weights = [w.value for w in layer.trainable_weights]
    arguments = {
        "sequences": jnp.zeros((2, 3, 1), "float32"),
        "states": [jnp.zeros((2, 4), "float32") for _ in layer.state_size],
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
        ("LSTM", {}, {"sequences": np.zeros((2, 3, 1), "int32")}, "int32 of input to float32 weights"),
        ("GRU", {"dtype": "bfloat16", "recurrent_initializer": "zeros"}, {}, "bfloat16 weights"),
        (
            "GRU",
            {},
            {"states": [np.zeros((2, 4), "float16")]},
            "float16 of an initial state to float32 weights",
        ),
    ],
)
def test_declines(cell, options, changes, reason):
    with pytest.raises(Unsupported) as refusal:
        call(built(cell, **options), **changes)
    assert refusal.value.reason == reason


def test_leaves_an_lstm_on_a_gpu_to_cudnn(monkeypatch):
    layer = built("LSTM")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(Unsupported, match="cuDNN"):
        call(layer)
    assert call(built("GRU")).kernel == "jax-scan-late"


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_second_derivatives_in_reverse(cell):
    # In float32: Keras's own loop refuses float64 here.
    keras.utils.set_random_seed(0)
    plain, layer = getattr(keras.layers, cell)(3), getattr(layers, cell)(3)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 1)), "float32")
    for one in (plain, layer):
        one.build(x.shape)
    layer.set_weights(plain.get_weights())

    def steepness(x, one):
        slope = jax.grad(lambda x: (one.stateless_call(one.trainable_variables, seeds_of(one), x)[0] ** 2).sum())(x)
        return (slope**2).sum()

    found, expected = jax.grad(steepness)(x, layer), jax.grad(steepness)(x, plain)
    assert layer.kernel_used == "jax-scan"
    assert float(jnp.abs(expected).max()) > 1e-4
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_derivatives_ahead(cell):
    # In float32: Keras's own loop refuses float64 here.
    keras.utils.set_random_seed(0)
    plain, layer = getattr(keras.layers, cell)(3), getattr(layers, cell)(3)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 1)), "float32")
    for one in (plain, layer):
        one.build(x.shape)
    layer.set_weights(plain.get_weights())

    def derivatives(one):
        def call(x):
            return one.stateless_call(one.trainable_variables, seeds_of(one), x)[0].sum(0)

        return [
            jax.jvp(call, (x,), (x,))[1],
            jax.linearize(call, x)[1](x),
            jax.jit(jax.jacfwd(call))(x),
            jax.hessian(lambda x: call(x).sum())(x),
        ]

    for found, expected in zip(derivatives(layer), derivatives(plain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert layer.kernel_used == "jax-scan"


def test_maps_over_a_batch_of_batches():
    layer = built("GRU", return_sequences=True)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2, 3, 1)), "float32")
    found = jax.vmap(lambda x: layer.stateless_call(layer.trainable_variables, seeds_of(layer), x)[0])(x)
    np.testing.assert_allclose(found, np.stack([layer(one) for one in x]), atol=1e-6)
