"""The LSTM's loops: see :mod:`kseq.kernels._cpu.products` for the layout and :mod:`kseq.kernels.reference` for the
equations.

Gates lie in the order input, forget, candidate, output. ``cells`` holds the cell state before each step and after the
last. Where nothing is kept for the backward pass, ``a``, ``gates`` and ``cells`` have one step, written over and over.
"""

import numpy as np

from kseq.kernels._cpu.code import compiled, part
from kseq.kernels._cpu.functions import sigmoid, tanh
from kseq.kernels._cpu.products import (
    add_rows,
    add_transposed_product,
    copy_rows,
    fill_rows,
    pack,
    pack_transposed,
    product,
    round_up,
)
from kseq.kernels._cpu.simd import claim, lanes, load, prefetch, store


@part
def _step(sums, gates, g, cells, c_prev, c, a, h, a_row, rows, padded, saturation):
    """Turn ``sums`` into gates; write the cell state and the output."""
    size = lanes(gates)
    for r in range(rows):
        for u in range(0, padded, size):
            of, at = 4 * r * padded + u, g + 4 * r * padded + u
            i_gate, f_gate = sigmoid(load(sums, of)), sigmoid(load(sums, of + padded))
            candidate, o_gate = tanh(load(sums, of + 2 * padded), saturation), sigmoid(load(sums, of + 3 * padded))
            state = f_gate * load(cells, c_prev + r * padded + u) + i_gate * candidate
            store(gates, at, i_gate)
            store(gates, at + padded, f_gate)
            store(gates, at + 2 * padded, candidate)
            store(gates, at + 3 * padded, o_gate)
            store(cells, c + r * padded + u, state)
    # Apart, because a processor looks ahead no further than a few vectors, and this tanh would have to wait for all
    # of the above.
    for r in range(rows):
        for u in range(0, padded, size):
            o_gate = load(gates, g + (4 * r + 3) * padded + u)
            store(a, h + r * a_row + u, o_gate * tanh(load(cells, c + r * padded + u), saturation))


@part
def _step_back(d_gates, d, d_row, d_h, d_c, gates, g, cells, c_prev, c, rows, padded, saturation):
    """Write the gradients of the sums and, in place, that of the cell state before the step."""
    size = lanes(gates)
    for r in range(rows):
        # What the step before this one will want, asked for bit by bit: memory is slower than all of this.
        for k in range(0, 4 * padded, 2 * size):
            prefetch(gates, g + 4 * (r - rows) * padded + k)
        for k in range(0, padded, 2 * size):
            prefetch(cells, c_prev + (r - rows) * padded + k)
        for u in range(0, padded, size):
            at = g + 4 * r * padded + u
            i_gate, f_gate = load(gates, at), load(gates, at + padded)
            candidate, o_gate = load(gates, at + 2 * padded), load(gates, at + 3 * padded)
            squashed = tanh(load(cells, c + r * padded + u), saturation)
            d_output, d_state = load(d_h, r * padded + u), load(d_c, r * padded + u)
            d_state = d_state + d_output * o_gate * (1.0 - squashed * squashed)
            to = d + r * d_row + u
            store(d_gates, to, d_state * candidate * (i_gate * (1.0 - i_gate)))
            store(d_gates, to + padded, d_state * load(cells, c_prev + r * padded + u) * (f_gate * (1.0 - f_gate)))
            store(d_gates, to + 2 * padded, d_state * i_gate * (1.0 - candidate * candidate))
            store(d_gates, to + 3 * padded, d_output * squashed * (o_gate * (1.0 - o_gate)))
            store(d_c, r * padded + u, d_state * f_gate)


@compiled
def forward(
    claims,
    shape,
    keep,
    reverse,
    saturation,
    x,
    x_row,
    x_member,
    weights,
    h0,
    c0,
    a,
    gates,
    cells,
    outputs,
    h_last,
    c_last,
):
    """Claim blocks and run them until none is left; return how many this call ran."""
    members, batch, time, features, units, block_rows, _, _ = shape
    size = lanes(a)
    padded, lead = round_up(units, size), round_up(features + 1, size) - features - 1
    first_h = lead + features + 1
    a_row, depth, columns = first_h + padded, features + 1 + units, 4 * padded
    panels, sums = np.empty(depth * columns, a.dtype), np.empty(block_rows * columns, a.dtype)
    blocks = (batch + block_rows - 1) // block_rows
    packed, done = -1, 0
    while True:
        task = claim(claims)
        if task >= members * blocks:
            return done
        member, row = task // blocks, task % blocks * block_rows
        rows = block_rows if batch - row > block_rows else batch - row
        if member != packed:
            pack(panels, 0, weights, member * depth * columns, columns, depth, 4 * padded // size)
            packed = member
        net_row, state = member * batch + row, (row * members + member) * units
        at_a = net_row * (time + 1 if keep else 1) * a_row + lead
        at_c = net_row * (time + 1 if keep else 1) * padded
        at_g = net_row * (time if keep else 1) * columns
        fill_rows(a, at_a, a_row, rows, features + 1, a_row - lead, 0)
        fill_rows(cells, at_c, padded, rows, 0, padded, 0)
        copy_rows(a, at_a + features + 1, a_row, h0, state, members * units, rows, units)
        copy_rows(cells, at_c, padded, c0, state, members * units, rows, units)
        for step in range(time):
            t = time - 1 - step if reverse else step
            next_a, next_c = (at_a + rows * a_row, at_c + rows * padded) if keep else (at_a, at_c)
            copy_rows(a, at_a, a_row, x, row * x_row + member * x_member + t * features, x_row, rows, features)
            fill_rows(a, at_a, a_row, rows, features, features + 1, 1)
            product(False, sums, 0, columns, a, at_a, a_row, rows, panels, 0, depth, 0, depth, 4 * padded // size)
            _step(sums, gates, at_g, cells, at_c, next_c, a, next_a + features + 1, a_row, rows, padded, saturation)
            at_a, at_c = next_a, next_c
            if keep:
                at_g += rows * columns
            if outputs.size:
                to = ((row * members + member) * time + step) * units
                copy_rows(outputs, to, members * time * units, a, at_a + features + 1, a_row, rows, units)
        copy_rows(h_last, state, members * units, a, at_a + features + 1, a_row, rows, units)
        copy_rows(c_last, state, members * units, cells, at_c, padded, rows, units)
        done += 1


@compiled
def backward(
    claims, shape, reverse, saturation, weights, a, gates, cells, d_last, d_cell, d_outputs, d_weights, d_x, d_h0, d_c0
):
    """Claim groups of blocks and go back through them until none is left; return how many this call did.

    Every group has its own sums of weight gradients in ``d_weights``, so that the order of additions does not depend
    on which thread takes which group.
    """
    members, batch, time, features, units, block_rows, groups, chunk = shape
    size = lanes(a)
    padded, lead = round_up(units, size), round_up(features + 1, size) - features - 1
    a_row, depth, columns = lead + features + 1 + padded, features + 1 + units, 4 * padded
    d_row, x_padded = columns + size, round_up(features, size)
    panels, x_panels = np.empty(columns * padded, a.dtype), np.empty(columns * x_padded, a.dtype)
    d_gates = np.empty(chunk * block_rows * d_row, a.dtype)
    d_h, d_c = np.empty(block_rows * padded, a.dtype), np.empty(block_rows * padded, a.dtype)
    d_inputs = np.empty(block_rows * x_padded, a.dtype)
    blocks = (batch + block_rows - 1) // block_rows
    packed, done = -1, 0
    while True:
        task = claim(claims)
        if task >= members * groups:
            return done
        member, group = task // groups, task % groups
        first = member * depth * columns
        if member != packed:
            pack_transposed(panels, 0, weights, first + (features + 1) * columns, columns, units, columns)
            if d_x.size:
                pack_transposed(x_panels, 0, weights, first, columns, features, columns)
            packed = member
        sums = task * depth * columns
        fill_rows(d_weights, sums, 0, 1, 0, depth * columns, 0)
        for block in range(group * blocks // groups, (group + 1) * blocks // groups):
            row = block * block_rows
            rows = block_rows if batch - row > block_rows else batch - row
            net_row, state = member * batch + row, (row * members + member) * units
            at_a = net_row * (time + 1) * a_row + lead
            at_c, at_g = net_row * (time + 1) * padded, net_row * time * columns
            fill_rows(d_h, 0, padded, rows, 0, padded, 0)
            fill_rows(d_c, 0, padded, rows, 0, padded, 0)
            copy_rows(d_h, 0, padded, d_last, state, members * units, rows, units)
            copy_rows(d_c, 0, padded, d_cell, state, members * units, rows, units)
            slot = chunk
            for step in range(time - 1, -1, -1):
                slot -= 1
                if d_outputs.size:
                    of = ((row * members + member) * time + step) * units
                    add_rows(d_h, 0, padded, d_outputs, of, members * time * units, rows, units)
                d = slot * rows * d_row
                c_prev = at_c + step * rows * padded
                c = c_prev + rows * padded
                _step_back(
                    d_gates, d, d_row, d_h, d_c, gates, at_g + step * rows * columns, cells, c_prev, c, rows, padded,
                    saturation,
                )  # fmt: skip
                for gate in range(4):
                    fill_rows(d_gates, d + gate * padded, d_row, rows, units, padded, 0)
                product(False, d_h, 0, padded, d_gates, d, d_row, rows, panels, 0, columns, 0, columns, padded // size)
                if d_x.size:
                    product(
                        False, d_inputs, 0, x_padded, d_gates, d, d_row, rows, x_panels, 0, columns, 0, columns,
                        x_padded // size,
                    )  # fmt: skip
                    t = time - 1 - step if reverse else step
                    to = ((row * members + member) * time + t) * features
                    copy_rows(d_x, to, members * time * features, d_inputs, 0, x_padded, rows, features)
                if slot == 0 or step == 0:
                    add_transposed_product(
                        d_weights, sums, columns, a, at_a + step * rows * a_row, a_row, depth, d_gates, d, d_row,
                        columns // size, (chunk - slot) * rows,
                    )  # fmt: skip
                    slot = chunk
            copy_rows(d_h0, state, members * units, d_h, 0, padded, rows, units)
            copy_rows(d_c0, state, members * units, d_c, 0, padded, rows, units)
        done += 1
