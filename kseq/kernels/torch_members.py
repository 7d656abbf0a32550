"""Many nets at once on PyTorch: programs in Triton where a GPU runs them, and a loop over time of batched products.

Arguments are those of :mod:`kseq.kernels`, with members.
"""

import functools
from types import ModuleType

import torch
from torch import Tensor

from kseq.kernels import Output, Spec

# --- All steps in one launch -----------------------------------------------------------------------------------------


@functools.cache
def triton() -> ModuleType | None:
    """The kernel in Triton; None where PyTorch comes without it."""
    try:
        from kseq.kernels import torch_triton
    except ModuleNotFoundError as missing:
        if missing.name != "triton":
            raise
        return None
    return torch_triton


@functools.cache
def has_triton(device: torch.device) -> bool:
    """Whether programs in Triton run on a GPU: their products want matrix units for TF32."""
    return torch.cuda.get_device_capability(device) >= (8, 0) and triton() is not None


def fits_triton(sequences: Tensor, recurrent_kernel: Tensor) -> bool:
    """Whether the kernel in Triton takes these numbers, on this device."""
    return (
        sequences.dtype == torch.float32
        and has_triton(sequences.device)
        and recurrent_kernel.shape[-2] <= triton().MOST_UNITS
    )


def run_triton(sequences, states, kernel, recurrent_kernel, bias, spec):
    """The input product, then all steps of all members in one launch; of a single layer too."""
    one = kernel.dim() == 2
    if one:
        # A single layer is an ensemble of one, whose windows all members share.
        kernel, recurrent_kernel = kernel.unsqueeze(0), recurrent_kernel.unsqueeze(0)
        bias = None if bias is None else bias.unsqueeze(0)
        states = [state.unsqueeze(1) for state in states]
    recurrent_bias = None
    if bias is not None and bias.dim() == 3:
        # Those of the gates z and r are added to the input's; the candidate's lies inside the reset gate's product.
        units = recurrent_kernel.shape[1]
        outside, recurrent_bias = bias[:, 1].split([2 * units, units], dim=-1)
        bias = bias[:, 0] + torch.nn.functional.pad(outside, (0, units))
        recurrent_bias = recurrent_bias.contiguous()
    outputs, *states = triton().run(
        spec,
        _input_products(sequences, kernel, bias, spec),
        recurrent_kernel,
        recurrent_bias,
        [state.transpose(0, 1) for state in states],
    )
    states = [state.transpose(0, 1) for state in states]
    outputs = outputs.permute(2, 0, 1, 3) if spec.return_sequences else states[0].unsqueeze(2)
    if one:
        states, outputs = [state.squeeze(1) for state in states], outputs.squeeze(1)
    return Output(states[0], outputs, states, "torch-triton")


# --- Batched products ------------------------------------------------------------------------------------------------


def _input_products(sequences: Tensor, kernel: Tensor, bias: Tensor | None, spec: Spec) -> Tensor:
    """Products of all members, windows and steps with the input weights, ``(S, time, batch, G * units)``."""
    x = sequences if sequences.dim() == 4 else sequences.unsqueeze(1)
    if spec.go_backwards:
        x = x.flip(2)
    batch, _, time, _ = x.shape
    rows = x.permute(1, 2, 0, 3)
    if bias is not None:
        # The bias is one more row of the weights, to an input of 1: no other pass over what is large, nor for its
        # gradient.
        rows = torch.nn.functional.pad(rows, (0, 1), value=1.0)
        kernel = torch.cat([kernel, bias.unsqueeze(1)], dim=1)
    products = torch.matmul(rows.reshape(rows.shape[0], time * batch, -1), kernel)
    return products.view(kernel.shape[0], time, batch, -1)


def run_members(sequences, states, kernel, recurrent_kernel, bias, spec):
    """Loop over time for all members at once: the input product before it, one batched product a step."""
    recurrent_bias = None
    if bias is not None and bias.dim() == 3:
        bias, recurrent_bias = bias[:, 0], bias[:, 1].unsqueeze(1)
    steps = _input_products(sequences, kernel, bias, spec).unbind(1)

    step = {"simple_rnn": _step_simple_rnn, "lstm": _step_lstm, "gru": _step_gru}[spec.cell]
    carry = [state.transpose(0, 1) for state in states]
    outputs = []
    for now in steps:
        carry = step(now, carry, recurrent_kernel, recurrent_bias, spec)
        outputs.append(carry[0])
    states = [state.transpose(0, 1) for state in carry]
    stacked = torch.stack(outputs, dim=2).transpose(0, 1) if spec.return_sequences else states[0].unsqueeze(2)
    return Output(states[0], stacked, states, "torch-members")


def _step_simple_rnn(x, carry, recurrent_kernel, recurrent_bias, spec):
    """One step; ``x`` holds the input product and bias, all tensors are ``(S, batch, ...)``."""
    h = torch.baddbmm(x, carry[0], recurrent_kernel)
    return [torch.tanh(h) if spec.activation == "tanh" else torch.relu(h)]


def _step_lstm(x, carry, recurrent_kernel, recurrent_bias, spec):
    h, c = carry
    i, f, g, o = torch.baddbmm(x, h, recurrent_kernel).chunk(4, dim=-1)
    c = torch.addcmul(torch.sigmoid(f) * c, torch.sigmoid(i), torch.tanh(g))
    return [torch.sigmoid(o) * torch.tanh(c), c]


def _step_gru(x, carry, recurrent_kernel, recurrent_bias, spec):
    (h,) = carry
    units = h.shape[-1]
    xg, xh = x.split([2 * units, units], dim=-1)
    if spec.reset_after:
        inner = torch.bmm(h, recurrent_kernel)
        if recurrent_bias is not None:
            inner = inner + recurrent_bias
        ug, uh = inner.split([2 * units, units], dim=-1)
        z, r = torch.sigmoid(xg + ug).chunk(2, dim=-1)
        candidate = torch.tanh(torch.addcmul(xh, r, uh))
    else:
        ug, uh = recurrent_kernel.split([2 * units, units], dim=-1)
        z, r = torch.sigmoid(torch.baddbmm(xg, h, ug)).chunk(2, dim=-1)
        candidate = torch.tanh(torch.baddbmm(xh, r * h, uh))
    return [torch.lerp(candidate, h, z)]
