"""Programs of the recurrent loop and of Adam in Triton: what a GPU runs, see :mod:`kseq.kernels.torch_triton`.

A program walks through all steps of one member and some windows of its batch, with the states in registers. It reads
the input products of a step while it computes the one before: memory answers after a time in which a whole step could
be done. (At the last step it reads that one's again.) The gates are written over the input products.

Products of float32 run on the matrix units in three parts ("3xTF32", NVIDIA CUTLASS), which keeps float32's digits.
"""

import triton
import triton.language as tl

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
def simple_rnn_ahead(
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
def simple_rnn_back(
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
def lstm_ahead(
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
def lstm_back(
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
def gru_ahead(
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
def gru_back(
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
def adam(
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
