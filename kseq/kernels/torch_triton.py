"""The recurrent loop on CUDA, all members and all steps in one launch, in Triton.

A GPU runs a small recurrent network far below its speed: each step is a handful of operations, and launching one costs
more than computing it. Here a program walks through all steps of one member and 16 windows of its batch, with the
states in registers; the programs of all members and windows run side by side. What is large and needs no order in time
stays outside, as one batched product of PyTorch's: the input product before the loop, and the weights' gradients after.

The backward pass needs the gates, which are written over the input products, and the states: the arrays that
:mod:`kseq.kernels.reference` names, ``(S, time, batch, ...)`` each.

The programs are those of :mod:`kseq.kernels._triton_programs`.
"""

from typing import Any

import torch
import triton
from torch import Tensor

from kseq.kernels import Spec
from kseq.kernels import _triton_programs as programs
from kseq.kernels.torch_loop import asks_for_more, differentiate, input_products, run_steps

#: Most units that a program's registers hold states and weights of.
MOST_UNITS = 128
#: Up to so many units (a power of two) a program keeps the recurrent weights; beyond, it reads them at every step.
_KEPT_UNITS = 64
#: Windows of a program: the least that a product on the matrix units takes.
_ROWS = 16


def adam(
    value: Tensor, gradient: Tensor, momentum: Tensor, velocity: Tensor, rate: Tensor,
    beta_1: float, beta_2: float, epsilon: float,
) -> None:  # fmt: skip
    """Move one weight, and its moments, as Keras's Adam does; ``rate`` is one number and holds the corrections."""
    block = 1024
    grid = (triton.cdiv(value.numel(), block),)
    programs.adam[grid](
        value, gradient.contiguous(), momentum, velocity, rate, value.numel(), beta_1, beta_2, epsilon, block=block
    )


# --- One node of PyTorch's graph --------------------------------------------------------------------------------------


def run(
    spec: Spec,
    inputs: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    states: list[Tensor],
    origin: tuple[Tensor, Tensor, Tensor | None],
) -> list[Tensor]:
    """Run the loop over time.

    Args:
        spec: The layer's settings; ``go_backwards`` is the caller's to heed.
        inputs: Input products with their bias, ``(S, time, batch, G * units)``, float32; overwritten.
        recurrent: Recurrent weights, ``(S, units, G * units)``.
        bias: Bias of the candidate's recurrent product, ``(S, units)``, or None: GRU with ``reset_after`` alone.
        states: The states, ``(S, batch, units)`` each.
        origin: Sequences, kernel and bias that the products were made of, for derivatives of the gradients.

    Returns:
        list[Tensor]: All outputs, ``(S, time, batch, units)``, empty in time unless ``spec.return_sequences``; then the
        last states, ``(S, batch, units)`` each.
    """
    return list(_Loop.apply(spec, torch.is_grad_enabled(), inputs, recurrent, bias, *origin, *states))


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        spec: Spec,
        recorded: bool,
        inputs: Tensor,
        recurrent: Tensor,
        bias,
        sequences,
        kernel,
        input_bias,
        *states,
    ):
        record = recorded and any(ctx.needs_input_grad)
        members, time, batch, _ = inputs.shape
        units = recurrent.shape[1]
        gates = inputs.detach()
        recurrent = recurrent.contiguous()
        # States before and after each step; where nobody asks for them, one place that each step writes over.
        slots = time + 1 if record or spec.return_sequences else 1
        stride = batch * units if slots > 1 else 0
        h_all, *c_all = [_room(state, slots) for state in states]
        inner = None
        sizes = _sizes(units)
        grid = (members, triton.cdiv(batch, _ROWS))
        if spec.cell == "simple_rnn":
            programs.simple_rnn_ahead[grid](
                gates, recurrent, h_all, time, batch, slots, stride, **sizes, relu=spec.activation == "relu"
            )
        elif spec.cell == "lstm":
            programs.lstm_ahead[grid](
                gates, recurrent, h_all, c_all[0], time, batch, slots, stride, **sizes, record=record
            )
        else:
            if record and spec.reset_after:
                inner = gates.new_empty(members, time, batch, units)
            programs.gru_ahead[grid](
                gates, recurrent, bias, h_all, inner, time, batch, slots, stride, **sizes, record=record,
                reset_after=spec.reset_after, biased=bias is not None,
            )  # fmt: skip
        if record:
            ctx.set_materialize_grads(False)
            ctx.spec = spec
            ctx.save_for_backward(gates, recurrent, h_all, *c_all, inner, bias, sequences, kernel, input_bias, *states)
            ctx.has_bias = bias is not None
        outputs = h_all[:, 1:] if spec.return_sequences else h_all[:, :0]
        return outputs, h_all[:, -1], *(c[:, -1] for c in c_all)

    @staticmethod
    def backward(ctx: Any, d_outputs: Tensor | None, *d_states: Tensor | None):
        spec, count = ctx.spec, len(d_states)
        gates, recurrent, h_all, *rest = ctx.saved_tensors
        c_all, inner, origin, states = rest[: count - 1], rest[count - 1], rest[count : count + 4], rest[count + 4 :]
        if asks_for_more(d_outputs, *d_states):
            return _gradients_again(ctx, recurrent, origin, states, [d_outputs, *d_states])
        members, time, batch, width = gates.shape
        units = recurrent.shape[1]
        # The gradients of the first states take the place of those of the last.
        shape = (members, batch, units)
        d_first = [gates.new_zeros(shape) if d is None else d.clone(memory_format=torch.contiguous_format)
                   for d in d_states]  # fmt: skip
        every = spec.return_sequences and d_outputs is not None
        if d_outputs is not None:
            d_outputs = d_outputs.contiguous()
        gradients = torch.empty_like(gates)
        d_inner = None
        sizes = _sizes(units)
        grid = (members, triton.cdiv(batch, _ROWS))
        before = h_all.view(members, -1, units)[:, : time * batch].transpose(1, 2)
        flat = gradients.view(members, time * batch, width)
        if spec.cell == "simple_rnn":
            programs.simple_rnn_back[grid](
                gradients, recurrent, h_all, d_outputs, d_first[0], time, batch, **sizes,
                relu=spec.activation == "relu", every=every,
            )  # fmt: skip
            d_recurrent = torch.bmm(before, flat)
        elif spec.cell == "lstm":
            programs.lstm_back[grid](
                gates, gradients, recurrent, c_all[0], d_outputs, *d_first, time, batch, **sizes, every=every
            )
            d_recurrent = torch.bmm(before, flat)
        else:
            d_inner = torch.empty_like(inner) if spec.reset_after else None
            programs.gru_back[grid](
                gates, gradients, recurrent, h_all, inner, d_inner, d_outputs, d_first[0], time, batch, **sizes,
                reset_after=spec.reset_after, every=every,
            )  # fmt: skip
            d_zr, d_candidate = flat[..., : 2 * units], flat[..., 2 * units :]
            if spec.reset_after:
                assert d_inner is not None
                d_h = torch.bmm(before, d_inner.view(members, time * batch, units))
            else:
                r = gates[..., units : 2 * units].reshape(members, time * batch, units)
                d_h = torch.bmm(before * r.transpose(1, 2), d_candidate)
            d_recurrent = torch.cat([torch.bmm(before, d_zr), d_h], dim=-1)
        d_bias = d_inner.sum((1, 2)) if d_inner is not None and ctx.has_bias else None
        return None, None, gradients, d_recurrent, d_bias, None, None, None, *d_first


def _gradients_again(ctx: Any, recurrent, origin, states, d_results) -> tuple:
    """The same gradients by PyTorch's own operations, from the input on: they may be differentiated once more."""
    spec, record = ctx.spec, torch.is_grad_enabled()
    bias, sequences, kernel, input_bias = origin
    needed = ctx.needs_input_grad[2:5] + ctx.needs_input_grad[8:]
    with torch.enable_grad():
        # Views, so that no gradient is added to that of what an argument was computed from.
        products = input_products(sequences, kernel, input_bias, spec)
        views = [products, *(part if part is None else part.view_as(part) for part in (recurrent, bias, *states))]
        inside = None
        if views[2] is not None:
            inside = torch.nn.functional.pad(views[2], (2 * recurrent.shape[1], 0)).unsqueeze(1)
        outputs, *ends = run_steps(views[0], views[3:], views[1], inside, spec)
        wanted = [view for view, needs in zip(views, needed, strict=True) if needs]
        every = d_results[0] if spec.return_sequences else None
        found = iter(differentiate([outputs, *ends], wanted, [every, *d_results[1:]], record))
    first, second, third, *d_first = (next(found) if needs else None for needs in needed)
    return None, None, first, second, third, None, None, None, *d_first


def _room(state: Tensor, slots: int) -> Tensor:
    """Room for the states of so many moments, ``(S, slots, batch, units)``, the first of which is given."""
    room = state.new_empty(state.shape[0], slots, *state.shape[1:])
    room[:, 0] = state
    return room


def _sizes(units: int) -> dict[str, Any]:
    width = max(16, triton.next_power_of_2(units))
    return {
        "units": units,
        "width": width,
        "rows": _ROWS,
        "kept": width <= _KEPT_UNITS,
        "num_warps": 4 if width <= 32 else 8,
        # Weights that are read at every step fill the memory that reading ahead would want.
        "num_stages": 3 if width <= _KEPT_UNITS else 1,
    }
