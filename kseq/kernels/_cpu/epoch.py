"""Many training steps of one small network in one call: recurrent layers of one cell, a Dense layer, loss and update.

A step of a small network takes less time than the Python around it. Here a call gathers nothing and returns after the
last of its batches: forward pass, loss and metrics, backward pass and update of the weights, batch after batch.

Everything lies in one flat array, ``work``, at places that :mod:`kseq.kernels.cpu_epoch` lays out. ``params``,
``first`` and ``second`` hold the weights and the optimizer's moments in Keras's layouts, one after the other.

Several threads may run the function. The first is the leader; the others take part in the cells' loops, in *phases*:
the leader publishes the number of a phase, all claim tasks of it, and the leader goes on when all tasks are done,
whether or not others came. A phase has its own counters, so that one who comes late finds nothing to claim.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kseq.kernels._cpu import gru, lstm, simple_rnn
from kseq.kernels._cpu.code import compiled, part
from kseq.kernels._cpu.losses import loss_and_slope
from kseq.kernels._cpu.products import copy_rows, fill_rows
from kseq.kernels._cpu.shape import Shape
from kseq.kernels._cpu.simd import add_atomic, claim, observe, pause, publish, section
from kseq.kernels._cpu.updates import update

#: Columns of ``layers``, one row a layer: sizes and where its arrays begin in ``work`` and in ``params``.
UNITS, FEATURES, REVERSE, PADDED, OPTION, WEIGHTS, A, GATES, CELLS, OUTPUTS, D_INPUTS, D_WEIGHTS = range(12)
KERNEL, RECURRENT, BIAS = 12, 13, 14
#: Entries of ``common``.
BATCH, TIME, OUTPUT_SIZE, ZEROS, LAST, LAST_CELLS, D_LAST, TARGETS, FORECAST, HEAD, HEAD_BIAS, FORM, SKIP = range(13)
#: Distance between two counters, so that no two are in one cache line.
APART = 8
#: How often a helper looks for the next phase before it leaves.
PATIENCE = 50_000


#: The cells, and how many gates each has in Keras's layouts.
SIMPLE_RNN, LSTM, GRU = range(3)
GATE_COUNTS = (1, 4, 3)
#: What the leader publishes after the last phase; before the first it is another number below zero.
OVER = -1

_LOOPS = (simple_rnn, lstm, gru)


def signature_of(cell, direction, number):
    """The types of the arguments of a cell's loop for a number type, as Python calls it."""
    array, frozen = types.Array(number, 1, "C"), types.Array(number, 1, "C", readonly=True)
    counter, shape = types.Array(types.int64, 1, "C"), types.NamedUniTuple(types.int64, 8, Shape)
    options = ((types.int64,), (), (types.boolean,))[cell]
    kept, states = (array,) * (1, 3, 2)[cell], (1, 2, 1)[cell]
    if direction == "forward":
        return (
            counter, shape, types.boolean, types.boolean, number, *options, frozen, types.int64, types.int64, array,
            *[frozen] * states, *kept, array, *[array] * states,
        )  # fmt: skip
    return (
        counter, shape, types.boolean, number, *options, array, *kept, *[frozen] * states, frozen, array, array,
        *[array] * states,
    )  # fmt: skip


def address_of(cell, direction, number):
    """The address of a cell's compiled loop, which is compiled, or read from disk, if it has not been."""
    loop, types_ = getattr(_LOOPS[cell], direction), signature_of(cell, direction, number)
    loop.compile(types_)
    made = loop.overloads[types_]
    return made.library.get_pointer_to_function(made.fndesc.llvm_func_name)


def _caller(cell, direction):
    """Make a function that calls a cell's loop at an address.

    Called by name, the loops would be compiled anew into each function that calls them, which takes ten times as long
    as all the rest.
    """

    @intrinsic
    def call(typingctx, address, arguments):
        number = arguments[-1].dtype
        expected = signature_of(cell, direction, number)

        def codegen(context, builder, sig, args):
            values = cgutils.unpack_tuple(builder, args[1])
            values = [
                context.cast(builder, value, given, wanted)
                for value, given, wanted in zip(values, sig.args[1].types, expected, strict=True)
            ]
            kind = context.call_conv.get_function_type(types.int64, expected)
            function = builder.inttoptr(args[0], kind.as_pointer())
            status, result = context.call_conv.call_function(builder, function, types.int64, expected, values)
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return result

        return types.int64(types.int64, arguments), codegen

    return call


call_rnn_forward, call_lstm_forward, call_gru_forward = (_caller(cell, "forward") for cell in range(3))
call_rnn_backward, call_lstm_backward, call_gru_backward = (_caller(cell, "backward") for cell in range(3))


@part
def _shape(layer, rows, time, sizes):
    """The sizes of a layer's run on ``rows`` windows; ``sizes`` are block rows, groups and chunk."""
    return Shape(1, rows, time, layer[FEATURES], layer[UNITS], sizes[0], sizes[1], sizes[2])


@part
def _join(weights, params, layer, gates, is_gru):
    """Write a layer's weights, from Keras's layout, as the one padded matrix that its loops read."""
    units, features, padded = layer[UNITS], layer[FEATURES], layer[PADDED]
    columns = (4 if is_gru else gates) * padded
    two = is_gru and layer[OPTION] != 0
    for g in range(gates):
        to = (g + 1 if is_gru else g) * padded
        for f in range(features):
            of = layer[KERNEL] + (f * gates + g) * units
            for u in range(units):
                weights[f * columns + to + u] = params[of + u]
        if layer[BIAS] >= 0:
            of, row = layer[BIAS] + g * units, features * columns
            for u in range(units):
                weights[row + to + u] = params[of + u]
            if two:
                of += gates * units
                for u in range(units):
                    if g == 2:
                        weights[row + u] = params[of + u]
                    else:
                        weights[row + to + u] += params[of + u]
        # The candidate's recurrent part stands apart in a GRU.
        to = 0 if is_gru and g == 2 else to
        for k in range(units):
            of, row = layer[RECURRENT] + (k * gates + g) * units, (features + 1 + k) * columns
            for u in range(units):
                weights[row + to + u] = params[of + u]


@part
def _split(gradients, sums, groups, layer, gates, is_gru):
    """Add up the groups' gradients of the joined matrix and write them in Keras's layout; the inverse of ``_join``."""
    units, features, padded = layer[UNITS], layer[FEATURES], layer[PADDED]
    columns = (4 if is_gru else gates) * padded
    size = (features + 1 + units) * columns
    for group in range(1, groups):
        for k in range(size):
            sums[k] += sums[group * size + k]
    two = is_gru and layer[OPTION] != 0
    for g in range(gates):
        of = (g + 1 if is_gru else g) * padded
        for f in range(features):
            copy_rows(gradients, layer[KERNEL] + (f * gates + g) * units, 0, sums, f * columns + of, 0, 1, units)
        of_state = 0 if is_gru and g == 2 else of
        if layer[BIAS] >= 0:
            row = features * columns
            copy_rows(gradients, layer[BIAS] + g * units, 0, sums, row + of, 0, 1, units)
            if two:
                copy_rows(gradients, layer[BIAS] + (gates + g) * units, 0, sums, row + of_state, 0, 1, units)
        for k in range(units):
            row = (features + 1 + k) * columns
            copy_rows(gradients, layer[RECURRENT] + (k * gates + g) * units, 0, sums, row + of_state, 0, 1, units)


@part
def _head(work, params, common, rows, units):
    """Forecast from the last outputs by the Dense layer."""
    last, out, size = common[LAST], common[FORECAST], common[OUTPUT_SIZE]
    for r in range(rows):
        at = out + r * size
        for o in range(size):
            work[at + o] = params[common[HEAD_BIAS] + o] if common[HEAD_BIAS] >= 0 else 0
        for u in range(units):
            value, of = work[last + r * units + u], common[HEAD] + u * size
            for o in range(size):
                work[at + o] += value * params[of + o]


@part
def _head_back(work, gradients, params, common, rows, units):
    """From the slopes in place of the forecasts, write the gradients of the Dense layer and of the last outputs."""
    last, out, size, d_last = common[LAST], common[FORECAST], common[OUTPUT_SIZE], common[D_LAST]
    fill_rows(gradients, common[HEAD], 0, 1, 0, units * size, 0)
    if common[HEAD_BIAS] >= 0:
        fill_rows(gradients, common[HEAD_BIAS], 0, 1, 0, size, 0)
    for r in range(rows):
        at = out + r * size
        if common[HEAD_BIAS] >= 0:
            for o in range(size):
                gradients[common[HEAD_BIAS] + o] += work[at + o]
        for u in range(units):
            value, of = work[last + r * units + u], common[HEAD] + u * size
            total = value * 0
            for o in range(size):
                gradients[of + o] += value * work[at + o]
                total += work[at + o] * params[of + o]
            work[d_last + r * units + u] = total


@part
def _skip(work, params, common, rows, width, x, start):
    """Add a linear map of each window, ``width`` numbers of ``x`` from ``start`` on, to the forecasts."""
    out, size = common[FORECAST], common[OUTPUT_SIZE]
    for r in range(rows):
        at = out + r * size
        for k in range(width):
            value, of = x[start + r * width + k], common[SKIP] + k * size
            for o in range(size):
                work[at + o] += value * params[of + o]


@part
def _skip_back(work, gradients, common, rows, width, x, start):
    """From the slopes in place of the forecasts, write the gradients of the linear map."""
    out, size = common[FORECAST], common[OUTPUT_SIZE]
    fill_rows(gradients, common[SKIP], 0, 1, 0, width * size, 0)
    for r in range(rows):
        at = out + r * size
        for k in range(width):
            value, of = x[start + r * width + k], common[SKIP] + k * size
            for o in range(size):
                gradients[of + o] += value * work[at + o]


@part
def _forward(cell, address, counter, layers, sizes, k, rows, common, saturation, x, work):
    """Run a layer's loop forward; return how many tasks this thread ran."""
    layer, time = layers[k], common[TIME]
    shape, units, option = _shape(layer, rows, time, sizes[k]), layer[UNITS], layer[OPTION]
    below, width = 0 if k == 0 else layers[k - 1, OUTPUTS], time * layer[FEATURES]
    read = x if k == 0 else section(work, below, rows * width)
    outputs = section(work, layer[OUTPUTS], rows * time * units if k < len(layers) - 1 else 0)
    reverse, weights, zeros, a = (
        layer[REVERSE] != 0,
        section(work, layer[WEIGHTS], 1),
        section(work, common[ZEROS], 1),
        section(work, layer[A], 1),
    )
    gates, cells, last, last_cells = (
        section(work, layer[GATES], 1),
        section(work, layer[CELLS], 1),
        section(work, common[LAST], 1),
        section(work, common[LAST_CELLS], 1),
    )
    if cell == SIMPLE_RNN:
        return call_rnn_forward(
            address,
            (counter, shape, True, reverse, saturation, option, read, width, 0, weights, zeros, a, outputs, last),
        )
    if cell == LSTM:
        return call_lstm_forward(
            address,
            (counter, shape, True, reverse, saturation, read, width, 0, weights, zeros, zeros, a, gates, cells, outputs,
             last, last_cells),
        )  # fmt: skip
    return call_gru_forward(
        address,
        (
            counter,
            shape,
            True,
            reverse,
            saturation,
            option != 0,
            read,
            width,
            0,
            weights,
            zeros,
            a,
            gates,
            outputs,
            last,
        ),
    )


@part
def _backward(cell, address, counter, layers, sizes, k, rows, common, saturation, work):
    """Go back through a layer's loop; return how many tasks this thread ran."""
    layer, time, is_top = layers[k], common[TIME], k == len(layers) - 1
    shape, option, reverse = _shape(layer, rows, time, sizes[k]), layer[OPTION], layer[REVERSE] != 0
    d_last = section(work, common[D_LAST] if is_top else common[ZEROS], 1)
    above = 0 if is_top else layers[k + 1, D_INPUTS]
    d_outputs = section(work, above, 0 if is_top else rows * time * layer[UNITS])
    d_inputs = section(work, layer[D_INPUTS], rows * time * layer[FEATURES] if k else 0)
    weights, a, gates, cells = (
        section(work, layer[WEIGHTS], 1),
        section(work, layer[A], 1),
        section(work, layer[GATES], 1),
        section(work, layer[CELLS], 1),
    )
    zeros, d_weights, unread = (
        section(work, common[ZEROS], 1),
        section(work, layer[D_WEIGHTS], 1),
        section(work, common[LAST_CELLS], 1),
    )
    if cell == SIMPLE_RNN:
        return call_rnn_backward(
            address,
            (counter, shape, reverse, saturation, option, weights, a, d_last, d_outputs, d_weights, d_inputs, unread),
        )
    if cell == LSTM:
        return call_lstm_backward(
            address,
            (counter, shape, reverse, saturation, weights, a, gates, cells, d_last, zeros, d_outputs, d_weights,
             d_inputs, unread, unread),
        )  # fmt: skip
    return call_gru_backward(
        address,
        (counter, shape, reverse, saturation, option != 0, weights, a, gates, d_last, d_outputs, d_weights, d_inputs,
         unread),
    )  # fmt: skip


@part
def _run_phase(now, cell, forward, backward, claims, layers, shapes, common, saturation, x, windows, work):
    """Run tasks of a phase until none is left to claim; return how many this thread ran."""
    count, batch, window = len(layers), common[BATCH], common[TIME] * layers[0, FEATURES]
    start, k = now // (2 * count) * batch, now % (2 * count)
    rows = min(batch, windows - start)
    counter, sizes = section(claims, APART * now, 1), shapes[0 if rows == batch else 1]
    if k < count:
        x_now = section(x, start * window, rows * window)
        return _forward(cell, forward, counter, layers, sizes, k, rows, common, saturation, x_now, work)
    return _backward(cell, backward, counter, layers, sizes, 2 * count - 1 - k, rows, common, saturation, work)


@compiled
def epoch(
    roles, threads, cell, forward, backward, phase, claims, done, layers, shapes, common, saturation, x, y,
    sample_weight, work, params, first, second, gradients, borders, decayed, rates, optimizer, forms, options, sums,
):  # fmt: skip
    """Train on the batches of ``x`` and ``y``; return ``threads`` in the thread that leads, 0 in the others."""
    count, batch, size, targets = len(layers), common[BATCH], common[OUTPUT_SIZE], common[TARGETS]
    windows, gates, is_gru = len(y) // targets, GATE_COUNTS[cell], cell == GRU
    width = common[TIME] * layers[0, FEATURES]
    phases, leads, now, looks = (windows + batch - 1) // batch * 2 * count, claim(roles) == 0, 0, 0
    while True:
        if not leads:
            # Take part in what the leader publishes, until the last phase, or until nothing has come for long.
            published = observe(phase, 0)
            if published == OVER or looks > PATIENCE:
                return 0
            if published < now:
                looks += 1
                pause()
                continue
            now, looks = published, 0
        elif now == phases:
            publish(phase, 0, OVER)
            return threads
        step, k = now // (2 * count), now % (2 * count)
        rows = min(batch, windows - step * batch)
        if leads:
            if k == 0:
                for number in range(count):
                    _join(section(work, layers[number, WEIGHTS], 1), params, layers[number], gates, is_gru)
            elif k == count:
                _head(work, params, common, rows, layers[count - 1, UNITS])
                if common[SKIP] >= 0:
                    _skip(work, params, common, rows, width, x, step * batch * width)
                loss_and_slope(
                    work, common[FORECAST], y, step * batch * targets, sample_weight, step * batch, rows, size, targets,
                    forms, options, sums,
                )  # fmt: skip
                _head_back(work, gradients, params, common, rows, layers[count - 1, UNITS])
                if common[SKIP] >= 0:
                    _skip_back(work, gradients, common, rows, width, x, step * batch * width)
            publish(phase, 0, now)
        ran = _run_phase(now, cell, forward, backward, claims, layers, shapes, common, saturation, x, windows, work)
        now += 1
        if not leads:
            if ran:
                add_atomic(done, APART * (now - 1), ran)
            continue
        sizes = shapes[0 if rows == batch else 1]
        number = k if k < count else 2 * count - 1 - k
        tasks = (rows + sizes[k, 0] - 1) // sizes[k, 0] if k < count else sizes[number, 1]
        while ran < tasks and ran + observe(done, APART * (now - 1)) < tasks:
            pause()
        if k >= count:
            sums_of_groups = section(work, layers[number, D_WEIGHTS], 1)
            _split(gradients, sums_of_groups, sizes[number, 1], layers[number], gates, is_gru)
        if k == 2 * count - 1:
            update(params, first, second, gradients, borders, decayed, rates[step], optimizer)
