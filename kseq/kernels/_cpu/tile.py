"""The one tile of a matrix product that all products are built from."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kseq.kernels._cpu.simd import FLAGS, broadcast, load_from, pointer_to, splat, store_to, vector_type

#: Largest tile of a matrix product. Its 12 sums, two vectors and one number spread over a vector fill 15 of the 16
#: registers that every processor with AVX has, and 12 sums hide the time that a multiply-add takes.
TILE_ROWS, TILE_VECTORS = 6, 2
#: A tile of one row is wider, for as many sums as hide the time of a multiply-add.
_TILES = [(rows, vectors) for rows in range(1, TILE_ROWS + 1) for vectors in range(1, TILE_VECTORS + 1)]
_TILES += [(1, 2 * TILE_VECTORS), (1, 4 * TILE_VECTORS)]


@intrinsic
def tile(typingctx, height, width, add, out, o, o_row, a, i, a_row, a_step, w, j, w_step, w_panel, steps):
    """A small matrix product that stays in registers until it is done.

    ``out[r] (+)= sum over k of a[r, k] * w[k]`` for ``height`` rows ``r``, where ``out[r]`` and ``w[k]`` are ``width``
    vectors. Arrays are flat: ``o``, ``i`` and ``j`` say where each begins, ``o_row``, ``a_row``, ``a_step`` and
    ``w_step`` how far its next row or step is. A step costs ``width`` loads of ``w`` and ``height`` of ``a`` for
    ``height * width`` multiply-adds, and each sum takes its terms in the order of the steps whatever the tile.

    Args:
        typingctx: Numba's.
        height: Rows, at least 1 and at most ``TILE_ROWS``.
        width: Vectors a row, at least 1 and at most ``TILE_VECTORS``; for one row twice or four times as many, too.
        add: Keep what ``out`` holds and add to it.
        out: Array of the results.
        o: Index of the first result.
        o_row: Distance between rows of ``out``.
        a: Array of the factors that are numbers.
        i: Index of the first of them.
        a_row: Distance to the next row's.
        a_step: Distance to the next step's.
        w: Array of the factors that are vectors.
        j: Index of the first of them.
        w_step: Distance to the next step's.
        w_panel: Distance to the next ``TILE_VECTORS`` vectors of a step.
        steps: Number of terms of each sum.
    """
    index = types.intp
    two, three, four = ((index,) * count for count in (2, 3, 4))
    sig = types.void(*two, types.boolean, out, *two, a, *three, w, *four)

    def codegen(context, builder, sig, args):
        # Registers cannot be indexed: every size of tile is a loop of its own.
        height, width = args[:2]
        end = builder.append_basic_block("tile.end")
        span = 4 * TILE_VECTORS + 1
        size = builder.add(builder.mul(height, context.get_constant(types.intp, span)), width)
        switch = builder.switch(size, end)
        for rows, vectors in _TILES:
            case = builder.append_basic_block(f"tile.{rows}x{vectors}")
            switch.add_case(ir.Constant(size.type, rows * span + vectors), case)
            builder.position_at_end(case)
            _tile(context, builder, sig, args, rows, vectors)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return sig, codegen


def _tile(context, builder: ir.IRBuilder, sig, args, rows: int, vectors: int) -> None:
    add, out, o, o_row, a, i, a_row, a_step, w, j, w_step, w_panel, steps = args[2:]
    out_kind, a_kind, w_kind = sig.args[3], sig.args[6], sig.args[10]
    dtype = out_kind.dtype
    vector = vector_type(dtype)

    def constant(value: int) -> ir.Value:
        return context.get_constant(types.intp, value)

    result = pointer_to(context, builder, out_kind, out, o)
    results = {
        (r, v): builder.gep(result, [builder.add(builder.mul(constant(r), o_row), constant(v * vector.count))])
        for r in range(rows)
        for v in range(vectors)
    }
    sums = {place: cgutils.alloca_once(builder, vector) for place in results}
    with builder.if_else(add) as (then, otherwise):
        with then:
            for place, pointer in results.items():
                builder.store(load_from(builder, pointer, dtype), sums[place])
        with otherwise:
            for place in results:
                builder.store(splat(0.0, dtype), sums[place])
    first_a = pointer_to(context, builder, a_kind, a, i)
    first_w = pointer_to(context, builder, w_kind, w, j)
    with cgutils.for_range(builder, steps) as loop:
        a_now = builder.gep(first_a, [builder.mul(loop.index, a_step)])
        w_now = builder.gep(first_w, [builder.mul(loop.index, w_step)])
        factors = []
        for v in range(vectors):
            panel, within = divmod(v, TILE_VECTORS)
            offset = builder.add(builder.mul(constant(panel), w_panel), constant(within * vector.count))
            factors.append(load_from(builder, builder.gep(w_now, [offset]), dtype))
        for r in range(rows):
            number = builder.load(builder.gep(a_now, [builder.mul(constant(r), a_row)]))
            spread = broadcast(builder, number, vector)
            for v in range(vectors):
                term = builder.fmul(spread, factors[v], flags=FLAGS)
                builder.store(builder.fadd(builder.load(sums[r, v]), term, flags=FLAGS), sums[r, v])
    for place, pointer in results.items():
        store_to(builder, builder.load(sums[place]), pointer, dtype)
