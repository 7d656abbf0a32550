"""The GRU's loops: see :mod:`kseq.kernels._cpu.products` for the layout and :mod:`kseq.kernels.reference` for the
equations.

The columns of ``weights`` are ``inner, update, reset, candidate``: the candidate's recurrent part (and its recurrent
bias) is apart from its input part, because the reset gate stands between them. In ``gates`` the first of the four
holds, for the backward pass, what the reset gate was multiplied with: ``h_prev @ U_h`` and its bias, or with
``reset_after=False`` the product ``r * h_prev`` itself.
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
from kseq.kernels._cpu.simd import claim, lanes, load, store


@part
def _step_after(sums, gates, g, a, h_prev, h, a_row, rows, padded, saturation):
    """Turn ``sums`` into gates and write the output, with the reset gate after the product."""
    size = lanes(gates)
    for r in range(rows):
        for u in range(0, padded, size):
            of, at = 4 * r * padded + u, g + 4 * r * padded + u
            store(gates, at, load(sums, of))
            store(gates, at + padded, sigmoid(load(sums, of + padded)))
            store(gates, at + 2 * padded, sigmoid(load(sums, of + 2 * padded)))
    # Apart, because a processor looks ahead no further than a few vectors, and the candidate waits for the reset gate.
    for r in range(rows):
        for u in range(0, padded, size):
            at = g + 4 * r * padded + u
            inner, update, reset = load(gates, at), load(gates, at + padded), load(gates, at + 2 * padded)
            candidate = tanh(load(sums, (4 * r + 3) * padded + u) + reset * inner, saturation)
            store(gates, at + 3 * padded, candidate)
            store(a, h + r * a_row + u, update * load(a, h_prev + r * a_row + u) + (1.0 - update) * candidate)


@part
def _reset_before(sums, gates, g, a, h_prev, a_row, rows, padded):
    """Turn two sums into the update and reset gates, and write what the candidate's product takes."""
    size = lanes(gates)
    for r in range(rows):
        for u in range(0, padded, size):
            of, at = 4 * r * padded + u, g + 4 * r * padded + u
            reset = sigmoid(load(sums, of + 2 * padded))
            store(gates, at, reset * load(a, h_prev + r * a_row + u))
            store(gates, at + padded, sigmoid(load(sums, of + padded)))
            store(gates, at + 2 * padded, reset)


@part
def _candidate_before(sums, gates, g, a, h_prev, h, a_row, rows, padded, saturation):
    """Turn the third sum into the candidate and write the output."""
    size = lanes(gates)
    for r in range(rows):
        for u in range(0, padded, size):
            at = g + 4 * r * padded + u
            candidate = tanh(load(sums, (4 * r + 3) * padded + u), saturation)
            store(gates, at + 3 * padded, candidate)
            update = load(gates, at + padded)
            store(a, h + r * a_row + u, update * load(a, h_prev + r * a_row + u) + (1.0 - update) * candidate)


@part
def _step_back(d_gates, d, d_row, d_h, gates, g, a, h_prev, a_row, rows, padded, reset_after):
    """Write the gradients of the sums (with ``reset_after=False`` of the update and the candidate alone).

    In place, leave in ``d_h`` the part of the output's gradient that goes straight to the output before.
    """
    size = lanes(gates)
    for r in range(rows):
        for u in range(0, padded, size):
            at, to = g + 4 * r * padded + u, d + r * d_row + u
            update, candidate = load(gates, at + padded), load(gates, at + 3 * padded)
            gradient = load(d_h, r * padded + u)
            d_candidate = gradient * (1.0 - update) * (1.0 - candidate * candidate)
            gap = load(a, h_prev + r * a_row + u) - candidate
            store(d_gates, to + padded, gradient * gap * (update * (1.0 - update)))
            store(d_gates, to + 3 * padded, d_candidate)
            store(d_h, r * padded + u, gradient * update)
            if reset_after:
                reset = load(gates, at + 2 * padded)
                store(d_gates, to, d_candidate * reset)
                store(d_gates, to + 2 * padded, d_candidate * load(gates, at) * (reset * (1.0 - reset)))


@part
def _reset_before_back(d_gates, d, d_row, d_h, gates, g, a, h_prev, a_row, rows, padded):
    """From the gradient of ``r * h_prev``, write that of the reset gate's sum and add to that of ``h_prev``."""
    size = lanes(gates)
    for r in range(rows):
        for u in range(0, padded, size):
            at, to = g + 4 * r * padded + u, d + r * d_row + u
            d_inner, reset = load(d_gates, to), load(gates, at + 2 * padded)
            h = load(a, h_prev + r * a_row + u)
            store(d_gates, to + 2 * padded, d_inner * h * (reset * (1.0 - reset)))
            store(d_h, r * padded + u, load(d_h, r * padded + u) + d_inner * reset)


@compiled
def forward(
    claims, shape, keep, reverse, saturation, reset_after, x, x_row, x_member, weights, h0, a, gates, outputs, h_last
):
    """Claim blocks and run them until none is left; return how many this call ran."""
    members, batch, time, features, units, block_rows, _, _ = shape
    size = lanes(a)
    padded, lead = round_up(units, size), round_up(features + 1, size) - features - 1
    a_row, depth, columns = lead + features + 1 + padded, features + 1 + units, 4 * padded
    vectors = padded // size
    panels, sums = np.empty(depth * columns, a.dtype), np.empty(block_rows * columns, a.dtype)
    of_gates, of_candidate = depth * padded, depth * 3 * padded  # where their panels begin; the inner ones at 0
    blocks = (batch + block_rows - 1) // block_rows
    packed, done = -1, 0
    while True:
        task = claim(claims)
        if task >= members * blocks:
            return done
        member, row = task // blocks, task % blocks * block_rows
        rows = block_rows if batch - row > block_rows else batch - row
        if member != packed:
            p = member * depth * columns
            pack(panels, 0, weights, p, columns, depth, vectors)
            pack(panels, of_gates, weights, p + padded, columns, depth, 2 * vectors)
            pack(panels, of_candidate, weights, p + 3 * padded, columns, depth, vectors)
            packed = member
        net_row, state = member * batch + row, (row * members + member) * units
        at_a = net_row * (time + 1 if keep else 1) * a_row + lead
        g = net_row * (time if keep else 1) * columns
        fill_rows(a, at_a, a_row, rows, features + 1, a_row - lead, 0)
        copy_rows(a, at_a + features + 1, a_row, h0, state, members * units, rows, units)
        for step in range(time):
            t = time - 1 - step if reverse else step
            next_a = at_a + rows * a_row if keep else at_a
            h_prev, h = at_a + features + 1, next_a + features + 1
            copy_rows(a, at_a, a_row, x, row * x_row + member * x_member + t * features, x_row, rows, features)
            fill_rows(a, at_a, a_row, rows, features, features + 1, 1)
            product(False, sums, padded, columns, a, at_a, a_row, rows, panels, of_gates, depth, 0, depth, 2 * vectors)
            product(
                False, sums, 3 * padded, columns, a, at_a, a_row, rows, panels, of_candidate, depth, 0, features + 1,
                vectors,
            )  # fmt: skip
            if reset_after:
                product(False, sums, 0, columns, a, at_a, a_row, rows, panels, 0, depth, features, depth, vectors)
                _step_after(sums, gates, g, a, h_prev, h, a_row, rows, padded, saturation)
            else:
                _reset_before(sums, gates, g, a, h_prev, a_row, rows, padded)
                product(
                    True, sums, 3 * padded, columns, gates, g - features - 1, columns, rows, panels, 0, depth,
                    features + 1, depth, vectors,
                )  # fmt: skip
                _candidate_before(sums, gates, g, a, h_prev, h, a_row, rows, padded, saturation)
            at_a = next_a
            if keep:
                g += rows * columns
            if outputs.size:
                to = ((row * members + member) * time + step) * units
                copy_rows(outputs, to, members * time * units, a, h, a_row, rows, units)
        copy_rows(h_last, state, members * units, a, at_a + features + 1, a_row, rows, units)
        done += 1


@compiled
def backward(
    claims, shape, reverse, saturation, reset_after, weights, a, gates, d_last, d_outputs, d_weights, d_x, d_h0
):
    """Claim groups of blocks and go back through them until none is left; return how many this call did.

    Every group has its own sums of weight gradients in ``d_weights``, so that the order of additions does not depend
    on which thread takes which group.
    """
    members, batch, time, features, units, block_rows, groups, chunk = shape
    size = lanes(a)
    padded, lead = round_up(units, size), round_up(features + 1, size) - features - 1
    a_row, depth, columns = lead + features + 1 + padded, features + 1 + units, 4 * padded
    vectors = padded // size
    d_row, x_padded = columns + size, round_up(features, size)
    panels, x_panels = np.empty(columns * padded, a.dtype), np.empty(columns * x_padded, a.dtype)
    d_gates = np.empty(chunk * block_rows * d_row, a.dtype)
    d_h, d_inputs = np.empty(block_rows * padded, a.dtype), np.empty(block_rows * x_padded, a.dtype)
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
            at_a, at_g = net_row * (time + 1) * a_row + lead, net_row * time * columns
            fill_rows(d_h, 0, padded, rows, 0, padded, 0)
            copy_rows(d_h, 0, padded, d_last, state, members * units, rows, units)
            slot = chunk
            for step in range(time - 1, -1, -1):
                slot -= 1
                if d_outputs.size:
                    of = ((row * members + member) * time + step) * units
                    add_rows(d_h, 0, padded, d_outputs, of, members * time * units, rows, units)
                d, g, now = slot * rows * d_row, at_g + step * rows * columns, at_a + step * rows * a_row
                h_prev = now + features + 1
                _step_back(d_gates, d, d_row, d_h, gates, g, a, h_prev, a_row, rows, padded, reset_after)
                if not reset_after:
                    fill_rows(d_gates, d + 3 * padded, d_row, rows, units, padded, 0)
                    product(
                        False, d_gates, d, d_row, d_gates, d + 3 * padded, d_row, rows, panels, 0, columns, 0, padded,
                        vectors,
                    )  # fmt: skip
                    _reset_before_back(d_gates, d, d_row, d_h, gates, g, a, h_prev, a_row, rows, padded)
                for gate in range(4):
                    fill_rows(d_gates, d + gate * padded, d_row, rows, units, padded, 0)
                product(
                    True, d_h, 0, padded, d_gates, d, d_row, rows, panels, 0, columns, 0 if reset_after else padded,
                    3 * padded, vectors,
                )  # fmt: skip
                if d_x.size:
                    product(
                        False, d_inputs, 0, x_padded, d_gates, d, d_row, rows, x_panels, 0, columns, padded, columns,
                        x_padded // size,
                    )  # fmt: skip
                    t = time - 1 - step if reverse else step
                    to = ((row * members + member) * time + t) * features
                    copy_rows(d_x, to, members * time * features, d_inputs, 0, x_padded, rows, features)
                if slot == 0 or step == 0:
                    terms = (chunk - slot) * rows
                    add_transposed_product(
                        d_weights, sums + padded, columns, a, now, a_row, depth, d_gates, d + padded, d_row,
                        2 * vectors, terms,
                    )  # fmt: skip
                    add_transposed_product(
                        d_weights, sums + 3 * padded, columns, a, now, a_row, features + 1, d_gates, d + 3 * padded,
                        d_row, vectors, terms,
                    )  # fmt: skip
                    if reset_after:
                        add_transposed_product(
                            d_weights, sums + features * columns, columns, a, now + features, a_row, units + 1,
                            d_gates, d, d_row, vectors, terms,
                        )  # fmt: skip
                    else:
                        add_transposed_product(
                            d_weights, sums + (features + 1) * columns, columns, gates, g, columns, units, d_gates,
                            d + 3 * padded, d_row, vectors, terms,
                        )  # fmt: skip
                    slot = chunk
            copy_rows(d_h0, state, members * units, d_h, 0, padded, rows, units)
        done += 1
