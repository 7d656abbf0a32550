"""The recurrent loop on CUDA, all members and all steps in one launch, in Triton.

A GPU runs a small recurrent network far below its speed: each step is a handful of operations, and launching one costs
more than computing it. Here a program walks through all steps of one member and 16 windows of its batch, with the
states in registers; the programs of all members and windows run side by side. What is large and needs no order in time
stays outside, as one batched product of PyTorch's: the input product before the loop, and the weights' gradients after.

A program reads the input products of a step while it computes the one before: memory answers after a time in which a
whole step could be done. (At the last step it reads that one's again.)

The backward pass needs the gates, which are written over the input products, and the states: the arrays that
:mod:`kseq.kernels.reference` names, ``(S, time, batch, ...)`` each.

Products of float32 run on the matrix units in three parts ("3xTF32", NVIDIA CUTLASS), which keeps float32's digits.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kseq.kernels import Spec
from kseq.kernels.torch_loop import asks_for_more, differentiate, input_products, run_steps

#: Most units that a program's registers hold states and weights of.
MOST_UNITS = 128
#: Up to so many units (a power of two) a program keeps the recurrent weights; beyond, it reads them at every step.
_KEPT_UNITS = 64
#: Windows of a program: the least that a product on the matrix units takes.
_ROWS = 16
_GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


# --- Pieces of the programs -------------------------------------------------------------------------------------------


@triton.jit
def _sigmoid(x):
    return 1 / (1 + tl.exp(-x))


@triton.jit
def _relu(x):
    # NaN is not below zero, and stays.
    return tl.where(x <= 0, 0.0, x)


@triton.jit
def _tanh(x):
    # Near zero a polynomial, which keeps the digits; elsewhere the exponential function, which reaches exactly 1.
    size = tl.abs(x)
    s = x * x
    near = -0.0075873 * s + 0.0213946
    near = near * s - 0.0539262
    near = near * s + 0.13333193
    near = near * s - 0.33333333
    far = 1 - 2 / (1 + tl.exp(2 * size))
    return tl.where(size < 0.5, x + x * s * near, tl.where(x < 0, -far, far))


@triton.jit
def _weights(recurrent, member, gate: tl.constexpr, units: tl.constexpr, width: tl.constexpr, gates: tl.constexpr):
    """Recurrent weights of one gate, ``(units before, units after)``, filled up with zeros."""
    before, after = tl.arange(0, width)[:, None], tl.arange(0, width)[None, :]
    place = recurrent + (member * units + before) * (gates * units) + gate * units + after
    return tl.load(place, mask=(before < units) & (after < units), other=0.0)


@triton.jit
def _weights_back(recurrent, member, gate: tl.constexpr, units: tl.constexpr, width: tl.constexpr, gates: tl.constexpr):
    """The same transposed, ``(units after, units before)``."""
    after, before = tl.arange(0, width)[:, None], tl.arange(0, width)[None, :]
    place = recurrent + (member * units + before) * (gates * units) + gate * units + after
    return tl.load(place, mask=(before < units) & (after < units), other=0.0)


@triton.jit
def _dot(left, right):
    return tl.dot(left, right, input_precision="tf32x3")


@triton.jit
def _here(rows: tl.constexpr, units: tl.constexpr, width: tl.constexpr, batch):
    """Of this program: its member, its windows and units, and which of them exist."""
    member = tl.program_id(0).to(tl.int64)
    window = (tl.program_id(1) * rows + tl.arange(0, rows))[:, None]
    unit = tl.arange(0, width)[None, :]
    return member, window, unit, (window < batch) & (unit < units)


# --- SimpleRNN --------------------------------------------------------------------------------------------------------


@triton.jit
def _simple_rnn_ahead(
    inputs, recurrent, h_all, time, batch, slots, stride,
    units: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, kept: tl.constexpr, relu: tl.constexpr,
):  # fmt: skip
    member, window, unit, there = _here(rows, units, width, batch)
    state = (member * slots * batch + window) * units + unit
    place = inputs + (member * time * batch + window) * units + unit
    h = tl.load(h_all + state, mask=there, other=0.0)
    x = tl.load(place, mask=there, other=0.0)
    if kept:
        weights = _weights(recurrent, member, 0, units, width, 1)
    for step in range(time):
        if not kept:
            weights = _weights(recurrent, member, 0, units, width, 1)
        place += tl.where(step + 1 < time, batch * units, 0)
        following = tl.load(place, mask=there, other=0.0)
        h = x + _dot(h, weights)
        h = _relu(h) if relu else _tanh(h)
        state += stride
        tl.store(h_all + state, h, mask=there)
        x = following


@triton.jit
def _simple_rnn_back(
    gradients, recurrent, h_all, d_outputs, d_h, time, batch,
    units: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, kept: tl.constexpr, relu: tl.constexpr,
    every: tl.constexpr,
):  # fmt: skip
    member, window, unit, there = _here(rows, units, width, batch)
    first = (member * batch + window) * units + unit
    dh = tl.load(d_h + first, mask=there, other=0.0)
    if kept:
        weights = _weights_back(recurrent, member, 0, units, width, 1)
    for back in range(time):
        if not kept:
            weights = _weights_back(recurrent, member, 0, units, width, 1)
        step = time - 1 - back
        now = ((member * time + step) * batch + window) * units + unit
        h = tl.load(h_all + ((member * (time + 1) + step + 1) * batch + window) * units + unit, mask=there, other=0.0)
        if every:
            dh += tl.load(d_outputs + now, mask=there, other=0.0)
        d = tl.where(h <= 0, 0.0, dh) if relu else dh * (1 - h * h)
        tl.store(gradients + now, d, mask=there)
        dh = _dot(d, weights)
    tl.store(d_h + first, dh, mask=there)


# --- LSTM -------------------------------------------------------------------------------------------------------------


@triton.jit
def _lstm_ahead(
    inputs, recurrent, h_all, c_all, time, batch, slots, stride,
    units: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, kept: tl.constexpr, record: tl.constexpr,
):  # fmt: skip
    member, window, unit, there = _here(rows, units, width, batch)
    state = (member * slots * batch + window) * units + unit
    place = inputs + (member * time * batch + window) * (4 * units) + unit
    h = tl.load(h_all + state, mask=there, other=0.0)
    c = tl.load(c_all + state, mask=there, other=0.0)
    if kept:
        to_i = _weights(recurrent, member, 0, units, width, 4)
        to_f = _weights(recurrent, member, 1, units, width, 4)
        to_g = _weights(recurrent, member, 2, units, width, 4)
        to_o = _weights(recurrent, member, 3, units, width, 4)
    xi = tl.load(place, mask=there, other=0.0)
    xf = tl.load(place + units, mask=there, other=0.0)
    xg = tl.load(place + 2 * units, mask=there, other=0.0)
    xo = tl.load(place + 3 * units, mask=there, other=0.0)
    for step in range(time):
        following = place + tl.where(step + 1 < time, batch * (4 * units), 0)
        next_xi = tl.load(following, mask=there, other=0.0)
        next_xf = tl.load(following + units, mask=there, other=0.0)
        next_xg = tl.load(following + 2 * units, mask=there, other=0.0)
        next_xo = tl.load(following + 3 * units, mask=there, other=0.0)
        if not kept:
            to_i = _weights(recurrent, member, 0, units, width, 4)
        i = _sigmoid(xi + _dot(h, to_i))
        if not kept:
            to_f = _weights(recurrent, member, 1, units, width, 4)
        f = _sigmoid(xf + _dot(h, to_f))
        if not kept:
            to_g = _weights(recurrent, member, 2, units, width, 4)
        g = _tanh(xg + _dot(h, to_g))
        if not kept:
            to_o = _weights(recurrent, member, 3, units, width, 4)
        o = _sigmoid(xo + _dot(h, to_o))
        c = f * c + i * g
        h = o * _tanh(c)
        if record:
            tl.store(place, i, mask=there)
            tl.store(place + units, f, mask=there)
            tl.store(place + 2 * units, g, mask=there)
            tl.store(place + 3 * units, o, mask=there)
        state += stride
        tl.store(h_all + state, h, mask=there)
        tl.store(c_all + state, c, mask=there)
        place = following
        xi, xf, xg, xo = next_xi, next_xf, next_xg, next_xo


@triton.jit
def _lstm_back(
    gates, gradients, recurrent, c_all, d_outputs, d_h, d_c, time, batch,
    units: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, kept: tl.constexpr, every: tl.constexpr,
):  # fmt: skip
    member, window, unit, there = _here(rows, units, width, batch)
    first = (member * batch + window) * units + unit
    dh = tl.load(d_h + first, mask=there, other=0.0)
    dc = tl.load(d_c + first, mask=there, other=0.0)
    c = tl.load(c_all + ((member * (time + 1) + time) * batch + window) * units + unit, mask=there, other=0.0)
    if kept:
        of_i = _weights_back(recurrent, member, 0, units, width, 4)
        of_f = _weights_back(recurrent, member, 1, units, width, 4)
        of_g = _weights_back(recurrent, member, 2, units, width, 4)
        of_o = _weights_back(recurrent, member, 3, units, width, 4)
    for back in range(time):
        step = time - 1 - back
        row = (member * time + step) * batch + window
        place = row * (4 * units) + unit
        i = tl.load(gates + place, mask=there, other=0.0)
        f = tl.load(gates + place + units, mask=there, other=0.0)
        g = tl.load(gates + place + 2 * units, mask=there, other=0.0)
        o = tl.load(gates + place + 3 * units, mask=there, other=0.0)
        before = tl.load(c_all + ((member * (time + 1) + step) * batch + window) * units + unit, mask=there, other=0.0)
        if every:
            dh += tl.load(d_outputs + row * units + unit, mask=there, other=0.0)
        squashed = _tanh(c)
        dc += dh * o * (1 - squashed * squashed)
        di = dc * g * i * (1 - i)
        df = dc * before * f * (1 - f)
        dg = dc * i * (1 - g * g)
        do = dh * squashed * o * (1 - o)
        tl.store(gradients + place, di, mask=there)
        tl.store(gradients + place + units, df, mask=there)
        tl.store(gradients + place + 2 * units, dg, mask=there)
        tl.store(gradients + place + 3 * units, do, mask=there)
        if not kept:
            of_i = _weights_back(recurrent, member, 0, units, width, 4)
        dh = _dot(di, of_i)
        if not kept:
            of_f = _weights_back(recurrent, member, 1, units, width, 4)
        dh += _dot(df, of_f)
        if not kept:
            of_g = _weights_back(recurrent, member, 2, units, width, 4)
        dh += _dot(dg, of_g)
        if not kept:
            of_o = _weights_back(recurrent, member, 3, units, width, 4)
        dh += _dot(do, of_o)
        dc *= f
        c = before
    tl.store(d_h + first, dh, mask=there)
    tl.store(d_c + first, dc, mask=there)


# --- GRU --------------------------------------------------------------------------------------------------------------


@triton.jit
def _gru_ahead(
    inputs, recurrent, bias, h_all, inner_all, time, batch, slots, stride,
    units: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, kept: tl.constexpr, record: tl.constexpr,
    reset_after: tl.constexpr, biased: tl.constexpr,
):  # fmt: skip
    member, window, unit, there = _here(rows, units, width, batch)
    state = (member * slots * batch + window) * units + unit
    row = member * time * batch + window
    h = tl.load(h_all + state, mask=there, other=0.0)
    if biased:
        added = tl.load(bias + member * units + unit, mask=unit < units, other=0.0)
    if kept:
        to_z = _weights(recurrent, member, 0, units, width, 3)
        to_r = _weights(recurrent, member, 1, units, width, 3)
        to_h = _weights(recurrent, member, 2, units, width, 3)
    place = inputs + row * (3 * units) + unit
    xz = tl.load(place, mask=there, other=0.0)
    xr = tl.load(place + units, mask=there, other=0.0)
    xh = tl.load(place + 2 * units, mask=there, other=0.0)
    for step in range(time):
        following = place + tl.where(step + 1 < time, batch * (3 * units), 0)
        next_xz = tl.load(following, mask=there, other=0.0)
        next_xr = tl.load(following + units, mask=there, other=0.0)
        next_xh = tl.load(following + 2 * units, mask=there, other=0.0)
        if not kept:
            to_z = _weights(recurrent, member, 0, units, width, 3)
        z = _sigmoid(xz + _dot(h, to_z))
        if not kept:
            to_r = _weights(recurrent, member, 1, units, width, 3)
        r = _sigmoid(xr + _dot(h, to_r))
        if not kept:
            to_h = _weights(recurrent, member, 2, units, width, 3)
        if reset_after:
            inner = _dot(h, to_h)
            if biased:
                inner += added
            candidate = _tanh(xh + r * inner)
            if record:
                tl.store(inner_all + row * units + unit, inner, mask=there)
        else:
            candidate = _tanh(xh + _dot(r * h, to_h))
        h = z * h + (1 - z) * candidate
        if record:
            tl.store(place, z, mask=there)
            tl.store(place + units, r, mask=there)
            tl.store(place + 2 * units, candidate, mask=there)
        state += stride
        tl.store(h_all + state, h, mask=there)
        row += batch
        place = following
        xz, xr, xh = next_xz, next_xr, next_xh


@triton.jit
def _gru_back(
    gates, gradients, recurrent, h_all, inner_all, d_inner, d_outputs, d_h, time, batch,
    units: tl.constexpr, width: tl.constexpr, rows: tl.constexpr, kept: tl.constexpr, reset_after: tl.constexpr,
    every: tl.constexpr,
):  # fmt: skip
    member, window, unit, there = _here(rows, units, width, batch)
    first = (member * batch + window) * units + unit
    dh = tl.load(d_h + first, mask=there, other=0.0)
    if kept:
        of_z = _weights_back(recurrent, member, 0, units, width, 3)
        of_r = _weights_back(recurrent, member, 1, units, width, 3)
        of_h = _weights_back(recurrent, member, 2, units, width, 3)
    for back in range(time):
        step = time - 1 - back
        row = (member * time + step) * batch + window
        place = row * (3 * units) + unit
        z = tl.load(gates + place, mask=there, other=0.0)
        r = tl.load(gates + place + units, mask=there, other=0.0)
        candidate = tl.load(gates + place + 2 * units, mask=there, other=0.0)
        h = tl.load(h_all + ((member * (time + 1) + step) * batch + window) * units + unit, mask=there, other=0.0)
        if every:
            dh += tl.load(d_outputs + row * units + unit, mask=there, other=0.0)
        dn = dh * (1 - z) * (1 - candidate * candidate)
        dz = dh * (h - candidate) * z * (1 - z)
        if not kept:
            of_h = _weights_back(recurrent, member, 2, units, width, 3)
        if reset_after:
            inner = tl.load(inner_all + row * units + unit, mask=there, other=0.0)
            dr = dn * inner * r * (1 - r)
            tl.store(d_inner + row * units + unit, dn * r, mask=there)
            dh = dh * z + _dot(dn * r, of_h)
        else:
            d_reset = _dot(dn, of_h)
            dr = d_reset * h * r * (1 - r)
            dh = dh * z + d_reset * r
        tl.store(gradients + place, dz, mask=there)
        tl.store(gradients + place + units, dr, mask=there)
        tl.store(gradients + place + 2 * units, dn, mask=there)
        if not kept:
            of_z = _weights_back(recurrent, member, 0, units, width, 3)
        dh += _dot(dz, of_z)
        if not kept:
            of_r = _weights_back(recurrent, member, 1, units, width, 3)
        dh += _dot(dr, of_r)
    tl.store(d_h + first, dh, mask=there)


# --- Adam -------------------------------------------------------------------------------------------------------------


@triton.jit
def _adam(
    values, gradients, momenta, velocities, rate, size, beta_1, beta_2, epsilon, block: tl.constexpr
):  # fmt: skip
    number = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    there = number < size
    gradient = tl.load(gradients + number, mask=there)
    momentum = tl.load(momenta + number, mask=there)
    velocity = tl.load(velocities + number, mask=there)
    momentum += (gradient - momentum) * (1 - beta_1)
    velocity += (gradient * gradient - velocity) * (1 - beta_2)
    value = tl.load(values + number, mask=there)
    value -= momentum * tl.load(rate) / (tl.sqrt(velocity) + epsilon)
    tl.store(momenta + number, momentum, mask=there)
    tl.store(velocities + number, velocity, mask=there)
    tl.store(values + number, value, mask=there)


def adam(
    value: Tensor, gradient: Tensor, momentum: Tensor, velocity: Tensor, rate: Tensor,
    beta_1: float, beta_2: float, epsilon: float,
) -> None:  # fmt: skip
    """Move one weight, and its moments, as Keras's Adam does; ``rate`` is one number and holds the corrections."""
    block = 1024
    grid = (triton.cdiv(value.numel(), block),)
    _adam[grid](
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
        spec: the layer's settings; ``go_backwards`` is the caller's to heed.
        inputs: input products with their bias, ``(S, time, batch, G * units)``, float32; overwritten.
        recurrent: recurrent weights, ``(S, units, G * units)``.
        bias: Bias of the candidate's recurrent product, ``(S, units)``, or None: GRU with ``reset_after`` alone.
        states: The states, ``(S, batch, units)`` each.
        origin: Sequences, kernel and bias that the products were made of, for derivatives of the gradients.

    Returns:
        list[Tensor]: all outputs, ``(S, time, batch, units)``, empty in time unless ``spec.return_sequences``; then the
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
            _simple_rnn_ahead[grid](
                gates, recurrent, h_all, time, batch, slots, stride, **sizes, relu=spec.activation == "relu"
            )
        elif spec.cell == "lstm":
            _lstm_ahead[grid](gates, recurrent, h_all, c_all[0], time, batch, slots, stride, **sizes, record=record)
        else:
            if record and spec.reset_after:
                inner = gates.new_empty(members, time, batch, units)
            _gru_ahead[grid](
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
            _simple_rnn_back[grid](
                gradients, recurrent, h_all, d_outputs, d_first[0], time, batch, **sizes,
                relu=spec.activation == "relu", every=every,
            )  # fmt: skip
            d_recurrent = torch.bmm(before, flat)
        elif spec.cell == "lstm":
            _lstm_back[grid](
                gates, gradients, recurrent, c_all[0], d_outputs, *d_first, time, batch, **sizes, every=every
            )
            d_recurrent = torch.bmm(before, flat)
        else:
            d_inner = torch.empty_like(inner) if spec.reset_after else None
            _gru_back[grid](
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
