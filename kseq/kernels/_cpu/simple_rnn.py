"""The SimpleRNN's loops: see :mod:`kseq.kernels._cpu.products` for the layout and :mod:`kseq.kernels.reference` for the
equation.

Nothing is kept for the backward pass but ``a``, whose next row holds the output: the slopes follow from it.
"""

import numpy as np

from kseq.kernels._cpu.code import compiled, part
from kseq.kernels._cpu.functions import tanh, where_positive
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
from kseq.kernels._cpu.simd import claim, lanes, load, store

#: Numbers of the activations, as the compiled functions take them.
TANH, RELU, LINEAR = 0, 1, 2


@part
def _step(sums, activation, a, h, a_row, rows, padded, saturation):
    """Write the outputs."""
    size = lanes(sums)
    for r in range(rows):
        for u in range(0, padded, size):
            value = load(sums, r * padded + u)
            if activation == TANH:
                value = tanh(value, saturation)
            elif activation == RELU:
                value = where_positive(value, value)
            store(a, h + r * a_row + u, value)


@part
def _step_back(d_sums, d, d_row, d_h, a, h, a_row, activation, rows, padded):
    """Write the gradients of the sums."""
    size = lanes(d_sums)
    for r in range(rows):
        for u in range(0, padded, size):
            output, gradient = load(a, h + r * a_row + u), load(d_h, r * padded + u)
            if activation == TANH:
                gradient = gradient * (1.0 - output * output)
            elif activation == RELU:
                gradient = where_positive(output, gradient)
            store(d_sums, d + r * d_row + u, gradient)


@compiled
def forward(claims, shape, keep, reverse, saturation, activation, x, x_row, x_member, weights, h0, a, outputs, h_last):
    """Claim blocks and run them until none is left; return how many this call ran."""
    members, batch, time, features, units, block_rows, _, _ = shape
    size = lanes(a)
    padded, lead = round_up(units, size), round_up(features + 1, size) - features - 1
    a_row, depth = lead + features + 1 + padded, features + 1 + units
    panels, sums = np.empty(depth * padded, a.dtype), np.empty(block_rows * padded, a.dtype)
    blocks = (batch + block_rows - 1) // block_rows
    packed, done = -1, 0
    while True:
        task = claim(claims)
        if task >= members * blocks:
            return done
        member, row = task // blocks, task % blocks * block_rows
        rows = block_rows if batch - row > block_rows else batch - row
        if member != packed:
            pack(panels, 0, weights, member * depth * padded, padded, depth, padded // size)
            packed = member
        net_row, state = member * batch + row, (row * members + member) * units
        at_a = net_row * (time + 1 if keep else 1) * a_row + lead
        fill_rows(a, at_a, a_row, rows, features + 1, a_row - lead, 0)
        copy_rows(a, at_a + features + 1, a_row, h0, state, members * units, rows, units)
        for step in range(time):
            t = time - 1 - step if reverse else step
            copy_rows(a, at_a, a_row, x, row * x_row + member * x_member + t * features, x_row, rows, features)
            fill_rows(a, at_a, a_row, rows, features, features + 1, 1)
            product(False, sums, 0, padded, a, at_a, a_row, rows, panels, 0, depth, 0, depth, padded // size)
            if keep:
                at_a += rows * a_row
            _step(sums, activation, a, at_a + features + 1, a_row, rows, padded, saturation)
            if outputs.size:
                to = ((row * members + member) * time + step) * units
                copy_rows(outputs, to, members * time * units, a, at_a + features + 1, a_row, rows, units)
        copy_rows(h_last, state, members * units, a, at_a + features + 1, a_row, rows, units)
        done += 1


@compiled
def backward(claims, shape, reverse, saturation, activation, weights, a, d_last, d_outputs, d_weights, d_x, d_h0):
    """Claim groups of blocks and go back through them until none is left; return how many this call did.

    Every group has its own sums of weight gradients in ``d_weights``, so that the order of additions does not depend
    on which thread takes which group.
    """
    members, batch, time, features, units, block_rows, groups, chunk = shape
    size = lanes(a)
    padded, lead = round_up(units, size), round_up(features + 1, size) - features - 1
    a_row, depth = lead + features + 1 + padded, features + 1 + units
    d_row, x_padded = padded + size, round_up(features, size)
    panels, x_panels = np.empty(padded * padded, a.dtype), np.empty(padded * x_padded, a.dtype)
    d_sums = np.empty(chunk * block_rows * d_row, a.dtype)
    d_h, d_inputs = np.empty(block_rows * padded, a.dtype), np.empty(block_rows * x_padded, a.dtype)
    blocks = (batch + block_rows - 1) // block_rows
    packed, done = -1, 0
    while True:
        task = claim(claims)
        if task >= members * groups:
            return done
        member, group = task // groups, task % groups
        first = member * depth * padded
        if member != packed:
            pack_transposed(panels, 0, weights, first + (features + 1) * padded, padded, units, padded)
            if d_x.size:
                pack_transposed(x_panels, 0, weights, first, padded, features, padded)
            packed = member
        sums = task * depth * padded
        fill_rows(d_weights, sums, 0, 1, 0, depth * padded, 0)
        for block in range(group * blocks // groups, (group + 1) * blocks // groups):
            row = block * block_rows
            rows = block_rows if batch - row > block_rows else batch - row
            net_row, state = member * batch + row, (row * members + member) * units
            at_a = net_row * (time + 1) * a_row + lead
            fill_rows(d_h, 0, padded, rows, 0, padded, 0)
            copy_rows(d_h, 0, padded, d_last, state, members * units, rows, units)
            slot = chunk
            for step in range(time - 1, -1, -1):
                slot -= 1
                if d_outputs.size:
                    of = ((row * members + member) * time + step) * units
                    add_rows(d_h, 0, padded, d_outputs, of, members * time * units, rows, units)
                d = slot * rows * d_row
                h = at_a + (step + 1) * rows * a_row + features + 1
                _step_back(d_sums, d, d_row, d_h, a, h, a_row, activation, rows, padded)
                fill_rows(d_sums, d, d_row, rows, units, padded, 0)
                product(False, d_h, 0, padded, d_sums, d, d_row, rows, panels, 0, padded, 0, units, padded // size)
                if d_x.size:
                    product(
                        False, d_inputs, 0, x_padded, d_sums, d, d_row, rows, x_panels, 0, padded, 0, units,
                        x_padded // size,
                    )  # fmt: skip
                    t = time - 1 - step if reverse else step
                    to = ((row * members + member) * time + t) * features
                    copy_rows(d_x, to, members * time * features, d_inputs, 0, x_padded, rows, features)
                if slot == 0 or step == 0:
                    add_transposed_product(
                        d_weights, sums, padded, a, at_a + step * rows * a_row, a_row, depth, d_sums, d, d_row,
                        padded // size, (chunk - slot) * rows,
                    )  # fmt: skip
                    slot = chunk
            copy_rows(d_h0, state, members * units, d_h, 0, padded, rows, units)
        done += 1
