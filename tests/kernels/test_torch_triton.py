"""The kernel in Triton against the reference, by Triton's interpreter: without a GPU, one operation after the other."""

import importlib
import os
import sys

import pytest

if os.environ["KERAS_BACKEND"] != "torch":
    pytest.skip("needs KERAS_BACKEND=torch", allow_module_level=True)

pytest.importorskip("triton", reason="needs Triton, which PyTorch for GPUs brings along")

import torch

import kseq.kernels
import kseq.kernels.torch_members as kernels
from kseq.kernels import Spec

if torch.cuda.is_available():
    pytest.skip("compiled and run in test_torch_cuda.py", allow_module_level=True)


#: Programs, and what starts them.
MODULES = ("_triton_programs", "torch_triton")


@pytest.fixture(scope="module", autouse=True)
def interpreted():
    """The module, its programs made for the interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        for name in MODULES:
            patch.delitem(sys.modules, f"kseq.kernels.{name}", raising=False)
            patch.delattr(kseq.kernels, name, raising=False)
        module = importlib.import_module("kseq.kernels.torch_triton")
        patch.setattr(kernels, "triton", lambda: module)
        yield module
    for name in MODULES:
        sys.modules.pop(f"kseq.kernels.{name}", None)
        vars(kseq.kernels).pop(name, None)


#: Whether weights are kept, there is a bias, members share their inputs, all steps are returned, and from the end.
OPTIONS = {
    "weights kept": (True, True, True, True, False),
    "backwards": (True, True, False, False, True),
    "no bias": (True, False, True, False, False),
    "weights read": (False, True, False, True, True),
    "weights read, no bias": (False, False, True, False, False),
}
GATES = {"recurrent_activation": "sigmoid"}
#: Every cell with weights that are kept and that are read, with a bias and without one.
CASES = [
    ({"cell": "simple_rnn"}, ["weights kept", "weights read, no bias"]),
    ({"cell": "simple_rnn", "activation": "relu"}, ["no bias", "weights read"]),
    ({"cell": "lstm", **GATES}, ["backwards", "no bias", "weights read"]),
    ({"cell": "gru", **GATES}, ["weights kept", "backwards", "weights read, no bias"]),
    ({"cell": "gru", **GATES, "reset_after": False}, ["backwards", "no bias", "weights read"]),
]


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        pytest.param(cell, OPTIONS[name], id=f"{'-'.join(map(str, cell.values()))}-{name}")
        for cell, names in CASES
        for name in names
    ],
)
def test_members(interpreted, monkeypatch, members_problem, cell, options):
    kept, use_bias, shared, return_sequences, go_backwards = options
    monkeypatch.setattr(interpreted, "_KEPT_UNITS", 64 if kept else 0)
    spec = Spec(**cell, return_sequences=return_sequences, go_backwards=go_backwards, training=True)
    problem = members_problem(spec, shared=shared, bias=use_bias, dtype="float32")
    given_tensors = [
        torch.tensor(array, requires_grad=True)
        for array in (problem.sequences, *problem.states, *problem.weights)
        if array is not None
    ]
    x, *rest = given_tensors
    states, weights = rest[: len(problem.states)], rest[len(problem.states) :]
    weights = [*weights, None][:3]
    output = kernels.run_triton(x, states, *weights, spec)
    loss = sum(
        (torch.tensor(d) * result).sum()
        for d, result in zip([problem.d_outputs, *problem.d_states], [output.outputs, *output.states], strict=True)
    )
    gradients = torch.autograd.grad(loss, given_tensors)
    results = [output.last_output, output.outputs, *output.states]
    found = [tensor.detach().numpy() for tensor in (*results, *gradients)]
    problem.assert_close(found, problem.expected, 1e-5)

    with torch.no_grad():
        alone = kernels.run_triton(x, states, *weights, spec)
    # PyTorch's product before the loop may take another way where no gradient is recorded.
    torch.testing.assert_close(alone.outputs, output.outputs)
    torch.testing.assert_close(alone.states, output.states)


def test_a_loss_of_one_state_alone(members_problem):
    """The other states' gradients are None then."""
    spec = Spec("lstm", recurrent_activation="sigmoid", return_sequences=True)
    problem = members_problem(spec, shared=False, dtype="float32")
    x, *states = (torch.tensor(array) for array in (problem.sequences, *problem.states))
    weights = [torch.tensor(weight, requires_grad=True) for weight in problem.weights]
    found = torch.autograd.grad(kernels.run_triton(x, states, *weights, spec).states[1].sum(), weights)
    expected = torch.autograd.grad(kernels.run_members(x, states, *weights, spec).states[1].sum(), weights)
    torch.testing.assert_close(found, expected)


def test_second_derivatives(members_problem, member_cell):
    spec = Spec(**member_cell, return_sequences=True)
    problem = members_problem(spec, shared=True, dtype="float32")

    def penalty(run):
        tensors = [torch.tensor(a, requires_grad=True) for a in (problem.sequences, *problem.states, *problem.weights)]
        x, *rest = tensors
        count = len(problem.states)
        output = run(x, rest[:count], *rest[count:], spec)
        loss = (output.outputs**2).sum() + (output.states[-1] ** 2).sum()
        slopes = torch.autograd.grad(loss, tensors, create_graph=True)
        return [*slopes, *torch.autograd.grad(sum((slope**2).sum() for slope in slopes), tensors)]

    torch.testing.assert_close(penalty(kernels.run_triton), penalty(kernels.run_members), rtol=1e-3, atol=1e-4)


def test_tanh_keeps_its_digits_and_nan_stays(members_problem):
    spec = Spec("simple_rnn")
    values = torch.cat([torch.logspace(-8, 1.2, 200), torch.tensor([float("nan")])])
    one, zero = torch.ones(1, 1, 1), torch.zeros(1, 1, 1)
    x = values[:, None, None]
    found = kernels.run_triton(x, [torch.zeros(201, 1, 1)], one, zero, None, spec).last_output[:, 0, 0]
    torch.testing.assert_close(found, torch.tanh(values), rtol=5e-7, atol=0, equal_nan=True)
    relu = kernels.run_triton(x, [torch.zeros(201, 1, 1)], one, zero, None, Spec("simple_rnn", "relu"))
    torch.testing.assert_close(relu.last_output[:, 0, 0], values, equal_nan=True)


def test_adam_as_pytorch_computes_it(interpreted):
    generator = torch.Generator().manual_seed(0)
    value, gradient, momentum = (torch.randn(3, 700, generator=generator) for _ in range(3))
    velocity, rate = torch.rand(3, 700, generator=generator), torch.tensor(0.01)
    expected = [part.clone() for part in (value, momentum, velocity)]
    interpreted.adam(value, gradient, momentum, velocity, rate, 0.9, 0.999, 1e-7)
    # A step number without end: nothing is corrected.
    torch._fused_adam_(
        [expected[0]], [gradient], [expected[1]], [expected[2]], [], [torch.tensor(1e9)],
        lr=rate, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-7, amsgrad=False, maximize=False,
    )  # fmt: skip
    torch.testing.assert_close([value, momentum, velocity], expected)
