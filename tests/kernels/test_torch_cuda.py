"""PyTorch's kernels on a GPU against stock Keras and the reference; left out where there is none."""

import os

import pytest

if os.environ["KERAS_BACKEND"] != "torch":
    pytest.skip("needs KERAS_BACKEND=torch", allow_module_level=True)

import torch

import kseq.kernels.torch as kernels
from kseq import layers
from kseq.kernels import Spec

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)


#: Of float32. cuDNN, which stock Keras runs too, is up to 2e-5 off where all digits are asked for; its functions are
#: approximate.
TOLERANCE = 5e-5


@pytest.fixture(autouse=True)
def all_digits():
    with kernels.full_precision():
        yield


def run(layer, x, states, factors):
    x, *states = (torch.tensor(array, requires_grad=True, device="cuda") for array in (x, *states))
    outputs = layer(x, initial_state=states)
    loss = sum(
        (torch.tensor(factor, device="cuda") * output).sum() for factor, output in zip(factors, outputs, strict=True)
    )
    wanted = [x, *states, *(weight.value for weight in layer.trainable_weights)]
    gradients = torch.autograd.grad(loss, wanted)
    return [output.detach().cpu().numpy() for output in outputs], [gradient.cpu().numpy() for gradient in gradients]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("go_backwards", [True, False])
def test_outputs_states_and_gradients(parity, floatx, cell_options, use_bias, return_sequences, go_backwards):
    cell, options = cell_options
    if options.get("reset_after") is False and floatx == "float64":
        pytest.skip("cuDNN's GRU applies the reset gate after the product, and the kernel in Triton is for float32")
    parity(
        run,
        cell,
        dtype=floatx,
        use_bias=use_bias,
        return_sequences=return_sequences,
        go_backwards=go_backwards,
        tolerance=TOLERANCE,
        **options,
    )


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("units", [1, 32, 200])
def test_numbers_of_units(parity, cell, units):
    parity(run, cell, shape=(19, 9, 3), units=units, return_sequences=True, tolerance=TOLERANCE)


@pytest.mark.parametrize("units", [1, 16, 33, 64, 100, 128])
def test_numbers_of_units_of_members(member_cell, units):
    """The kernel in Triton against the loop of batched products, in float64."""
    spec = Spec(**member_cell, training=True)
    gates = {"simple_rnn": 1, "lstm": 4, "gru": 3}[spec.cell]
    generator = torch.Generator("cuda").manual_seed(0)

    def draw(*size):
        return torch.randn(*size, device="cuda", dtype=torch.float64, generator=generator)

    x = draw(19, 3, 9, 2)
    states = [draw(19, 3, units) for _ in range(2 if spec.cell == "lstm" else 1)]
    bias = draw(3, 2, 3 * units) if spec.cell == "gru" and spec.reset_after else draw(3, gates * units)
    arguments = [x, *states, draw(3, 2, gates * units), draw(3, units, gates * units) * units**-0.5, bias]
    factor = draw(19, 3, units)
    results = []
    for run_members, dtype in ((kernels.run_triton, torch.float32), (kernels.run_members, torch.float64)):
        given = [argument.to(dtype).requires_grad_() for argument in arguments]
        output = run_members(given[0], given[1 : 1 + len(states)], *given[1 + len(states) :], spec)
        gradients = torch.autograd.grad((output.last_output * factor).sum(), given)
        results.append([tensor.detach().double() for tensor in (output.last_output, *output.states, *gradients)])
    for found, expected in zip(*results, strict=True):
        assert float((found - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("go_backwards", [True, False])
def test_members(members_problem, member_cell, dtype, shared, use_bias, return_sequences, go_backwards):
    spec = Spec(**member_cell, return_sequences=return_sequences, go_backwards=go_backwards, training=True)
    problem = members_problem(spec, shared=shared, bias=use_bias, dtype=dtype)
    given_tensors = [
        torch.tensor(array, requires_grad=True, device="cuda")
        for array in (problem.sequences, *problem.states, *problem.weights)
        if array is not None
    ]
    x, *rest = given_tensors
    states, weights = rest[: len(problem.states)], rest[len(problem.states) :]
    weights = [*weights, None][:3]
    output = kernels.run(x, states, None, *weights, spec)
    assert output.kernel == ("torch-triton" if dtype == "float32" else "torch-members")
    loss = sum(
        (torch.tensor(d, device="cuda") * result).sum()
        for d, result in zip([problem.d_outputs, *problem.d_states], [output.outputs, *output.states], strict=True)
    )
    gradients = torch.autograd.grad(loss, given_tensors)
    results = [output.last_output, output.outputs, *output.states]
    found = [tensor.detach().cpu().numpy() for tensor in (*results, *gradients)]
    problem.assert_close(found, problem.expected, 1e-10 if dtype == "float64" else 1e-5)


def test_layers_say_what_ran():
    layer = layers.LSTM(8)
    layer(torch.zeros(2, 3, 1, device="cuda"))
    assert layer.kernel_used in ("torch-cudnn", "torch-triton")
