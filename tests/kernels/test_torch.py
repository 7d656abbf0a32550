"""PyTorch's kernels against stock Keras, the reference and ``torch.nn``."""

import itertools
import os

import pytest

if os.environ["KERAS_BACKEND"] != "torch":
    pytest.skip("needs KERAS_BACKEND=torch", allow_module_level=True)

import keras
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kseq.kernels.torch as kernels
from kseq import layers
from kseq.errors import Unsupported
from kseq.kernels import Spec


def run(layer, x, states, factors):
    x, *states = (torch.tensor(array, requires_grad=True) for array in (x, *states))
    outputs = layer(x, initial_state=states)
    loss = sum((torch.tensor(factor) * output).sum() for factor, output in zip(factors, outputs, strict=True))
    wanted = [x, *states, *(weight.value for weight in layer.trainable_weights)]
    gradients = torch.autograd.grad(loss, wanted)
    return [output.detach().numpy() for output in outputs], [gradient.numpy() for gradient in gradients]


@pytest.fixture(params=["compiled", "native"])
def path(request, monkeypatch):
    """The compiled loop, or PyTorch's own as where Numba is missing."""
    if request.param == "native":
        monkeypatch.setattr(kernels, "_compiled", lambda: None)
    return request.param


def skip_reset_before(path, options):
    if path == "native" and options.get("reset_after") is False:
        pytest.skip("PyTorch's own GRU applies the reset gate after the product")


# Every two of the options in each of their four pairs.
@pytest.mark.parametrize(
    ("use_bias", "return_sequences", "go_backwards"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, True)],
)
def test_outputs_states_and_gradients(parity, path, floatx, cell_options, use_bias, return_sequences, go_backwards):
    cell, options = cell_options
    skip_reset_before(path, options)
    layer = parity(
        run,
        cell,
        dtype=floatx,
        use_bias=use_bias,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
        **options,
    )
    assert layer.kernel_used == {"compiled": "torch-cpu", "native": "torch-native"}[path]


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (4, 1, 2), (9, 3, 17)])
def test_smallest_and_odd_shapes(parity, path, cell_options, shape):
    cell, options = cell_options
    skip_reset_before(path, options)
    parity(run, cell, shape=shape, units=1 if shape == (1, 1, 1) else 33, return_sequences=True, **options)


@settings(max_examples=15, deadline=None)
@given(
    batch=st.integers(1, 40),
    time=st.integers(1, 12),
    features=st.integers(1, 20),
    units=st.integers(1, 40),
    seed=st.integers(0, 2**16),
    cell=st.sampled_from(["SimpleRNN", "LSTM", "GRU"]),
    return_sequences=st.booleans(),
)
def test_random_shapes(parity, batch, time, features, units, seed, cell, return_sequences):
    parity(
        run,
        cell,
        shape=(batch, time, features),
        units=units,
        seed=seed,
        return_sequences=return_sequences,
    )


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_as_torch_nn(path, cell):
    x = torch.randn(4, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    native = getattr(torch.nn, cell.removeprefix("Simple"))(3, 5, batch_first=True, dtype=torch.float64)
    layer = getattr(layers, cell)(5, return_sequences=True, dtype="float64")
    layer.build(x.shape)

    def keras_gates(weights):
        # PyTorch has a GRU's gates in the order r, z, n and one row a gate; Keras z, r, h and one column.
        rows = weights.detach().numpy()
        if cell == "GRU":
            rows = np.concatenate([rows[5:10], rows[:5], rows[10:]])
        return rows.T

    bias = [keras_gates(native.bias_ih_l0), keras_gates(native.bias_hh_l0)]
    weights = [native.weight_ih_l0, native.weight_hh_l0]
    layer.set_weights([*map(keras_gates, weights), np.stack(bias) if cell == "GRU" else sum(bias)])

    outputs, expected = layer(x), native(x)[0]
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-10)
    factor = torch.randn(outputs.shape, dtype=torch.float64)
    found = torch.autograd.grad((factor * outputs).sum(), [w.value for w in layer.trainable_weights])
    wanted = torch.autograd.grad((factor * expected).sum(), weights)
    for have, want in zip(found[:2], wanted, strict=True):
        np.testing.assert_allclose(have.numpy(), keras_gates(want), rtol=0, atol=1e-10)


# Every three of the options in each of their eight settings.
@pytest.mark.parametrize(
    ("use_bias", "shared", "return_sequences", "go_backwards"),
    [(*three, sum(three) % 2 == 0) for three in itertools.product([True, False], repeat=3)],
)
def test_members(members_problem, path, member_cell, shared, use_bias, return_sequences, go_backwards):
    spec = Spec(**member_cell, return_sequences=return_sequences, go_backwards=go_backwards, training=True)
    problem = members_problem(spec, shared=shared, bias=use_bias)
    given_tensors = [
        torch.tensor(array, requires_grad=True)
        for array in (problem.sequences, *problem.states, *problem.weights)
        if array is not None
    ]
    x, *rest = given_tensors
    states, weights = rest[: len(problem.states)], rest[len(problem.states) :]
    weights = [*weights, None][:3]
    output = kernels.run(x, states, None, *weights, spec)
    assert output.kernel == {"compiled": "torch-cpu", "native": "torch-members"}[path]
    loss = sum(
        (torch.tensor(d) * result).sum()
        for d, result in zip([problem.d_outputs, *problem.d_states], [output.outputs, *output.states], strict=True)
    )
    gradients = torch.autograd.grad(loss, given_tensors)
    results = [output.last_output, output.outputs, *output.states]
    found = [*(result.detach().numpy() for result in results), *(gradient.numpy() for gradient in gradients)]
    problem.assert_close(found, problem.expected, 1e-10)


def call(layer, **changes):
    """Call a kernel with a layer's weights, some arguments changed."""
    weights = [w.value for w in layer.trainable_weights]
    arguments = {
        "sequences": torch.zeros(2, 3, 1),
        "states": [torch.zeros(2, 4) for _ in layer.state_size],
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
        ("LSTM", {"activation": lambda x: x}, {}, "activation other"),
        ("LSTM", {}, {"mask": torch.ones(2, 3, dtype=torch.bool)}, "mask"),
        ("LSTM", {}, {"sequences": torch.zeros(2, 3, 1, dtype=torch.int32)}, "int32 input to float32 weights"),
        (
            "GRU",
            {"dtype": "bfloat16", "recurrent_initializer": "zeros"},
            {"sequences": torch.zeros(2, 3, 1, dtype=torch.bfloat16)},
            "bfloat16 on the CPU",
        ),
        ("GRU", {}, {"states": [torch.zeros(1, 4)]}, "initial states of 1 for 2 windows"),
        ("GRU", {}, {"kernel": torch.zeros(1, 12, device="meta")}, "input on cpu, weights on meta"),
    ],
)
def test_declines(cell, options, changes, reason):
    with pytest.raises(Unsupported) as refusal:
        call(built(cell, **options), **changes)
    assert refusal.value.reason == reason


def test_declines_reset_before_the_product_without_numba(monkeypatch):
    monkeypatch.setattr(kernels, "_compiled", lambda: None)
    with pytest.raises(Unsupported, match="reset_after=False"):
        call(built("GRU", reset_after=False))


def test_declines_while_compiling():
    layer = built("LSTM")
    x = torch.randn(2, 3, 1)
    compiled = torch.compile(layer, backend="eager")
    outputs = compiled(x)
    assert layer.kernel_used == "keras (compiling or tracing)"
    torch.testing.assert_close(outputs, layer(x))
    assert layer.kernel_used == "torch-cpu"


def test_shapes_alone_on_the_meta_device():
    layer = built("LSTM", return_sequences=True, go_backwards=True)
    output = call(layer, sequences=torch.zeros(2, 3, 1, device="meta"),
                  states=[torch.zeros(2, 4, device="meta")] * 2)  # fmt: skip
    assert output.last_output.shape == (2, 4)
    assert output.outputs.shape == (2, 3, 4)
    assert [state.device.type for state in output.states] == ["meta", "meta"]


def test_symbolic_build_of_a_layer_that_wraps_one():
    class Wrapper(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.GRU(4, return_sequences=True)

        def call(self, x):
            return self.inner(x)

    outputs = Wrapper()(keras.Input((7, 2)))
    assert outputs.shape == (None, 7, 4)


def test_without_gradients_nothing_is_kept(monkeypatch):
    layer = built("LSTM")
    with torch.no_grad():
        outputs = layer(torch.zeros(2, 3, 1))
    assert not outputs.requires_grad


def test_frozen_weights():
    layer = built("GRU")
    layer.trainable = False
    x = torch.randn(2, 3, 1, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(weight.value.grad is None for weight in layer.weights)


def twin(cell, shape, **options):
    """A layer and stock Keras's, with the same weights, and their input."""
    layer, plain = getattr(layers, cell)(4, **options), getattr(keras.layers, cell)(4, **options)
    for one in (layer, plain):
        one.build(shape)
    rng = np.random.default_rng(0)
    weights = [0.5 * rng.normal(size=weight.shape) for weight in layer.get_weights()]
    for one in (layer, plain):
        one.set_weights(weights)
    x = torch.randn(shape, dtype=getattr(torch, layer.dtype), generator=torch.Generator().manual_seed(0))
    return layer, plain, x


@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "go_backwards": True}, {"return_state": True}])
def test_second_derivatives(cell_options, floatx, options):
    cell, own = cell_options
    layer, plain, x = twin(cell, (3, 4, 2), dtype=floatx, **own, **options)

    def penalty(one):
        """Gradients of a penalty on a gradient, as of WGAN-GP."""
        first = x.clone().requires_grad_()
        states = [torch.full((3, 4), 0.3, dtype=x.dtype, requires_grad=True) for _ in one.state_size]
        results = one(first, initial_state=states)
        results = results if isinstance(results, tuple | list) else [results]
        weights = [w.value for w in one.trainable_weights]
        loss = sum((result**2).sum() for result in results)
        slopes = torch.autograd.grad(loss, [first, *states, weights[0]], create_graph=True)
        return [*slopes, *torch.autograd.grad(sum((slope**2).sum() for slope in slopes), [first, *states, *weights])]

    with layers.kernel_policy("strict"):
        found = penalty(layer)
    for ours, theirs in zip(found, penalty(plain), strict=True):
        # Terms of opposite signs cancel: digits count from the largest element.
        torch.testing.assert_close(
            ours, theirs, rtol=0, atol=2e-5 * float(theirs.detach().abs().max()), check_dtype=False
        )


def test_a_layer_that_reads_its_own_output_has_second_derivatives():
    """Its weights' gradient in one call is not counted again in the other."""
    layer, plain, x = twin("GRU", (2, 3, 4), return_sequences=True)

    def slopes(one):
        first = x.clone().requires_grad_()
        return torch.autograd.grad((one(one(first)) ** 2).sum(), [w.value for w in one.weights], create_graph=True)

    torch.testing.assert_close(slopes(layer), slopes(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # raised inside PyTorch's jvp
@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_jacobians_and_hessians(cell):
    layer, plain, x = twin(cell, (2, 3, 1))
    functional = torch.autograd.functional

    def derivatives(one):
        return [
            functional.jvp(lambda x: one(x).sum(0), x, torch.ones_like(x))[1],
            functional.hessian(lambda x: one(x).sum(), x),
            functional.jacobian(lambda x: one(x).sum(0), x, vectorize=True),
            functional.hessian(lambda x: one(x).sum(), x, vectorize=True),
            torch.func.jacrev(lambda x: one(x).sum(0))(x),
            torch.func.hessian(lambda x: one(x).sum())(x),
        ]

    torch.testing.assert_close(derivatives(layer), derivatives(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # raised inside PyTorch's jvp
def test_transforms_of_functions_run_kerass_loop():
    layer = built("LSTM")
    x = torch.randn(4, 2, 3, 1)
    torch.testing.assert_close(torch.func.vmap(layer)(x), torch.stack([layer(part) for part in x]))
    _, ahead = torch.func.jvp(lambda x: layer(x).sum(), (x[0],), (torch.ones_like(x[0]),))
    first = x[0].clone().requires_grad_()
    back = torch.autograd.grad(layer(first).sum(), first)[0].sum()
    torch.testing.assert_close(ahead, back)
    torch.func.vmap(layer)(x)
    assert layer.kernel_used == "keras (a transform of torch.func, or derivatives ahead)"


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_an_empty_batch_has_gradients_of_zero(cell):
    layer = built(cell)
    layer(torch.zeros(0, 3, 1)).sum().backward()
    assert layer.kernel_used == "torch-cpu"
    for weight in layer.trainable_weights:
        assert weight.value.grad.abs().sum() == 0


def test_weights_written_over_before_the_way_back_are_noticed():
    layer = built("LSTM")
    loss = layer(torch.randn(2, 3, 1)).sum()
    layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_the_graph_can_be_kept_for_a_second_way_back():
    layer = built("GRU")
    loss = layer(torch.randn(2, 3, 1)).square().sum()
    weights = [w.value for w in layer.trainable_weights]
    first = torch.autograd.grad(loss, weights, retain_graph=True)
    second = torch.autograd.grad(loss, weights)
    for have, want in zip(second, first, strict=True):
        assert torch.equal(have, want)


def test_inputs_that_are_views(path):
    layer = built("LSTM", return_sequences=True)
    x = torch.randn(3, 2, 2)
    slanted = x.transpose(0, 1)[..., :1]
    assert not slanted.is_contiguous()
    torch.testing.assert_close(layer(slanted), layer(slanted.contiguous()))


def test_compiled_and_native_results_repeat(path):
    layer = built("LSTM")
    x = torch.randn(2, 3, 1)
    assert torch.equal(layer(x), layer(x))
