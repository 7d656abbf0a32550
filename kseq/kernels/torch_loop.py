"""The three cells as a loop over time in PyTorch's own operations, members too: what PyTorch can derive again.

It runs members where no other kernel does, and stands behind the kernels that are one node of PyTorch's graph: for
double backward, and for many gradients at once, :func:`gradients` computes a node's gradients by operations which
PyTorch differentiates, or maps over, once more. Arguments are those of :mod:`kseq.kernels`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from kseq.kernels import Spec, has_members


def transformed() -> bool:
    """Whether a call stands inside a transform of ``torch.func`` (``vmap``, ``jvp``...), or in forward mode."""
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def asks_for_more(*gradients: Tensor | None) -> bool:
    """Whether a backward pass is recorded itself (``create_graph=True``) or takes many gradients at once (``vmap``)."""
    many = any(g is not None and torch._C._functorch.is_legacy_batchedtensor(g) for g in gradients)
    return torch.is_grad_enabled() or many or transformed()


def input_products(sequences: Tensor, kernel: Tensor, bias: Tensor | None, spec: Spec) -> Tensor:
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


def run_loop(
    sequences: Tensor,
    states: Sequence[Tensor],
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    spec: Spec,
) -> list[Tensor]:
    """Outputs of every step, ``(batch, [S,] time, units)``, and the last states, of members or of one layer."""
    one = not has_members(kernel)
    if one:
        kernel, recurrent_kernel = kernel.unsqueeze(0), recurrent_kernel.unsqueeze(0)
        bias = None if bias is None else bias.unsqueeze(0)
        states = [state.unsqueeze(1) for state in states]
    recurrent_bias = None
    if bias is not None and bias.dim() == 3:
        bias, recurrent_bias = bias[:, 0], bias[:, 1].unsqueeze(1)
    products = input_products(sequences, kernel, bias, spec)
    outputs, *states = run_steps(
        products, [state.transpose(0, 1) for state in states], recurrent_kernel, recurrent_bias, spec
    )
    results = [outputs.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in states)]
    return [result.squeeze(1) for result in results] if one else results


def gradients(
    spec: Spec,
    arguments: Sequence[Tensor | None],
    d_results: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients of the loop's arguments, computed such that PyTorch can differentiate them.

    Args:
        spec: The layer's settings.
        arguments: Sequences, kernel, recurrent kernel, bias or None, and the initial states.
        d_results: Gradients of the outputs of every step and of the last states; None for zeros.
        needed: Which arguments' gradients are wanted.

    Returns:
        list[Tensor | None]: One gradient an argument, None where it is not wanted.
    """
    record = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views: where one argument was computed from another, its gradient must not be added to that one's.
        views = [None if argument is None else argument.view_as(argument) for argument in arguments]
        sequences, kernel, recurrent_kernel, bias, *states = views
        results = run_loop(sequences, states, kernel, recurrent_kernel, bias, spec)
        wanted = [view for view, needs in zip(views, needed, strict=True) if needs]
        found = iter(differentiate(results, wanted, d_results, record))
    return [next(found) if needs else None for needs in needed]


def differentiate(
    results: Sequence[Tensor], wanted: Sequence[Tensor], d_results: Sequence[Tensor | None], record: bool
) -> Sequence[Tensor]:
    """Gradients of the tensors that results were computed from, zeros where they do not depend on one."""
    pairs = [(result, d) for result, d in zip(results, d_results, strict=True) if d is not None]
    if not pairs:
        return [torch.zeros_like(tensor) for tensor in wanted]
    return torch.autograd.grad(
        [result for result, _ in pairs],
        wanted,
        [d for _, d in pairs],
        create_graph=record,
        materialize_grads=True,
    )


def run_steps(
    products: Tensor,
    states: Sequence[Tensor],
    recurrent_kernel: Tensor,
    recurrent_bias: Tensor | None,
    spec: Spec,
) -> list[Tensor]:
    """Outputs of every step, ``(S, time, batch, units)``, and the last states, ``(S, batch, units)``, of members.

    Args:
        products: See :func:`input_products`.
        states: ``(S, batch, units)`` each.
        recurrent_kernel: ``(S, units, G * units)``.
        recurrent_bias: A GRU's bias inside the reset gate's product, ``(S, 1, 3 * units)``, or None.
        spec: The layer's settings.
    """
    step = {"simple_rnn": _step_simple_rnn, "lstm": _step_lstm, "gru": _step_gru}[spec.cell]
    carry, outputs = list(states), []
    for now in products.unbind(1):
        carry = step(now, carry, recurrent_kernel, recurrent_bias, spec)
        outputs.append(carry[0])
    return [torch.stack(outputs, dim=1), *carry]


def _step_simple_rnn(x, carry, recurrent_kernel, recurrent_bias, spec):
    """One step; ``x`` holds the input product and bias, all tensors are ``(S, batch, ...)``."""
    h = torch.baddbmm(x, carry[0], recurrent_kernel)
    return [h if spec.activation == "linear" else torch.tanh(h) if spec.activation == "tanh" else torch.relu(h)]


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
