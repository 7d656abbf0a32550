"""Vectors of the processor as a Numba type, and the one matrix-product tile that all else is built from.

Numba vectorises loops only where LLVM can prove that it may; here it is told instead. A :class:`Vector` holds
``lanes`` numbers (32 bytes); ``load`` and ``store`` move one between registers and a flat array, ``+ - *`` work
element by element, ``tanh`` and ``sigmoid`` are branch-free. The operations carry the flag ``contract`` alone (a
product and a sum may become one fused instruction), so NaN and infinity go through them as IEEE 754 says.
"""

import math
import operator
from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

VECTOR_BYTES = 32

#: Largest tile of a matrix product. Its 12 sums, two vectors and one number spread over a vector fill 15 of the 16
#: registers that every processor with AVX has, and 12 sums hide the time that a multiply-add takes.
TILE_ROWS, TILE_VECTORS = 6, 2
#: A tile of one row is wider, for as many sums as hide the time of a multiply-add.
_TILES = [(rows, vectors) for rows in range(1, TILE_ROWS + 1) for vectors in range(1, TILE_VECTORS + 1)]
_TILES += [(1, 2 * TILE_VECTORS), (1, 4 * TILE_VECTORS)]

_FLAGS = ("contract",)

# tanh(x) = x * P(x^2) / Q(x^2) for |x| <= 8, where tanh differs from 1 by less than two units in float32's last place.
# The coefficients, of the lowest power first, minimise the largest relative error (2e-8, below float32's rounding).
TANH_BOUND = 8.0
TANH_P = (0.999999981, 0.129792208, 0.00298585918, 9.87863528e-06, -1.47041464e-08, 2.35084173e-11)
TANH_Q = (1.0, 0.463125369, 0.0240279133, 0.000237202857)

# exp(z) - 1 in float64 for |z| <= 40, beyond which tanh(z / 2) rounds to 1.
EXP_BOUND = 40.0
EXP_SHIFT = 1.5 * 2.0**52
LOG_2 = (float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33"))  # the first times n is exact


class Vector(types.Type):
    """``lanes(dtype)`` numbers in one register."""

    def __init__(self, dtype: types.Float):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


def _lanes(dtype: types.Float) -> int:
    return VECTOR_BYTES * 8 // dtype.bitwidth


def _vector_type(dtype: types.Float) -> ir.VectorType:
    return ir.VectorType(ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType(), _lanes(dtype))


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _vector_type(fe_type.dtype))


def _splat(value: float, dtype: types.Float) -> ir.Constant:
    vector = _vector_type(dtype)
    return ir.Constant(vector, [value] * vector.count)


# Arithmetic between vectors, and between a vector and a constant


def _define_operator(symbol: Callable, instruction: str) -> None:
    @infer_global(symbol)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            vectors = [arg for arg in args if isinstance(arg, Vector)]
            if len(args) == 2 and vectors and all(isinstance(arg, Vector | types.Float) for arg in args):
                return signature(vectors[0], *(a if isinstance(a, Vector) else vectors[0].dtype for a in args))
            return None

    def lower(context, builder, sig, args):
        vector = _vector_type(sig.return_type.dtype)
        operands = [
            arg if isinstance(kind, Vector) else _broadcast(builder, arg, vector)
            for arg, kind in zip(args, sig.args, strict=True)
        ]
        return getattr(builder, instruction)(*operands, flags=_FLAGS)

    for left, right in ((Vector, Vector), (Vector, types.Float), (types.Float, Vector)):
        lower_builtin(symbol, left, right)(lower)


def _broadcast(builder: ir.IRBuilder, scalar: ir.Value, vector: ir.VectorType) -> ir.Value:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, zeros)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define_operator(_symbol, _instruction)


# Memory


def _pointer(context, builder: ir.IRBuilder, kind: types.Array, array: ir.Value, index: ir.Value) -> ir.Value:
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


def _load(builder: ir.IRBuilder, pointer: ir.Value, dtype: types.Float) -> ir.Value:
    typed = builder.bitcast(pointer, _vector_type(dtype).as_pointer())
    return builder.load(typed, align=dtype.bitwidth // 8)


def _store(builder: ir.IRBuilder, vector: ir.Value, pointer: ir.Value, dtype: types.Float) -> None:
    typed = builder.bitcast(pointer, vector.type.as_pointer())
    builder.store(vector, typed, align=dtype.bitwidth // 8)


@intrinsic
def lanes(typingctx, array):
    """How many numbers of ``array``'s type a vector holds, a constant."""
    count = _lanes(array.dtype)

    def codegen(context, builder, sig, args):
        return context.get_constant(types.intp, count)

    return types.intp(array), codegen


@intrinsic
def load(typingctx, array, index):
    """The vector that starts at ``array[index]``."""

    def codegen(context, builder, sig, args):
        return _load(builder, _pointer(context, builder, sig.args[0], args[0], args[1]), sig.args[0].dtype)

    return Vector(array.dtype)(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, vector):
    """``array[index : index + lanes] = vector``."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        _store(builder, args[2], pointer, sig.args[0].dtype)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Ask for the cache line of ``array[index]``, which a coming load will want; any index may be given."""

    def codegen(context, builder, sig, args):
        pointer = builder.bitcast(_pointer(context, builder, sig.args[0], *args), ir.IntType(8).as_pointer())
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer.type], ir.FunctionType(ir.VoidType(), [pointer.type, *[ir.IntType(32)] * 3])
        )
        to_read, keep, data = (ir.Constant(ir.IntType(32), number) for number in (0, 3, 1))
        builder.call(function, [pointer, to_read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def claim(typingctx, counter):
    """Add one to ``counter[0]`` and return what it was, in one step that no other thread can split."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], context.get_constant(types.intp, 0))
        return builder.atomic_rmw("add", pointer, context.get_constant(types.int64, 1), "monotonic")

    return types.int64(counter), codegen


# Functions


def _tanh(context, builder: ir.IRBuilder, x: ir.Value, dtype: types.Float, halved: bool) -> ir.Value:
    """tanh(x), or tanh(x / 2) / 2: float32 by the rational approximation, float64 by the exponential function."""
    if dtype.bitwidth == 64:
        return _tanh_by_exp(builder, x, dtype, halved)
    scale = 0.5 if halved else 1.0
    bound = TANH_BOUND / scale
    x = _clamp(builder, x, bound, dtype)
    s = builder.fmul(x, x)
    p = _polynomial(builder, s, [scale * scale ** (2 * n + 1) * value for n, value in enumerate(TANH_P)], dtype)
    q = _polynomial(builder, s, [scale ** (2 * n) * value for n, value in enumerate(TANH_Q)], dtype)
    return builder.fdiv(builder.fmul(x, p), q)


def _polynomial(builder: ir.IRBuilder, s: ir.Value, coefficients: list[float], dtype: types.Float) -> ir.Value:
    value = _splat(coefficients[-1], dtype)
    for coefficient in coefficients[-2::-1]:
        value = builder.fadd(builder.fmul(value, s, flags=_FLAGS), _splat(coefficient, dtype), flags=_FLAGS)
    return value


def _clamp(builder: ir.IRBuilder, x: ir.Value, bound: float, dtype: types.Float) -> ir.Value:
    # An ordered comparison is false for NaN, which therefore stays.
    for order, limit in ((">", bound), ("<", -bound)):
        beyond = builder.fcmp_ordered(order, x, _splat(limit, dtype))
        x = builder.select(beyond, _splat(limit, dtype), x)
    return x


def _tanh_by_exp(builder: ir.IRBuilder, x: ir.Value, dtype: types.Float, halved: bool) -> ir.Value:
    """``e / (e + 2)`` with ``e = exp(2 x) - 1``, which keeps its digits near zero."""

    def fma(first: ir.Value, second: ir.Value, third: ir.Value) -> ir.Value:
        return builder.fadd(builder.fmul(first, second, flags=_FLAGS), third, flags=_FLAGS)

    z = _clamp(builder, x if halved else builder.fadd(x, x), EXP_BOUND, dtype)
    # z = n log(2) + r. A number as large as EXP_SHIFT has no digits behind the point, and n in its lowest bits.
    shifted = fma(z, _splat(1 / math.log(2), dtype), _splat(EXP_SHIFT, dtype))
    n = builder.fsub(shifted, _splat(EXP_SHIFT, dtype))
    r = z
    for part in LOG_2:
        r = fma(n, _splat(-part, dtype), r)
    less_one = builder.fmul(r, _polynomial(builder, r, [1 / math.factorial(k) for k in range(1, 14)], dtype))
    integers = ir.VectorType(ir.IntType(64), _lanes(dtype))
    exponent = builder.shl(builder.bitcast(shifted, integers), ir.Constant(integers, [52] * integers.count))
    one = _splat(1.0, dtype)
    power = builder.bitcast(builder.add(exponent, builder.bitcast(one, integers)), x.type)
    e = fma(power, less_one, builder.fsub(power, one))
    result = builder.fdiv(e, builder.fadd(e, _splat(2.0, dtype)))
    return builder.fmul(result, _splat(0.5, dtype)) if halved else result


@intrinsic
def tanh(typingctx, vector):
    """Hyperbolic tangent."""

    def codegen(context, builder, sig, args):
        return _tanh(context, builder, args[0], sig.args[0].dtype, halved=False)

    return vector(vector), codegen


@intrinsic
def sigmoid(typingctx, vector):
    """``1 / (1 + exp(-x))``, as ``1/2 + tanh(x / 2) / 2``."""

    def codegen(context, builder, sig, args):
        half = _splat(0.5, sig.args[0].dtype)
        return builder.fadd(_tanh(context, builder, args[0], sig.args[0].dtype, halved=True), half)

    return vector(vector), codegen


@intrinsic
def where_positive(typingctx, condition, vector):
    """``vector`` where ``condition`` is above zero or NaN, zero elsewhere."""

    def codegen(context, builder, sig, args):
        zero = _splat(0.0, sig.args[0].dtype)
        return builder.select(builder.fcmp_ordered("<=", args[0], zero), zero, args[1])

    return vector(condition, vector), codegen


# The matrix product


@intrinsic
def tile(typingctx, height, width, add, out, o, o_row, a, i, a_row, a_step, w, j, w_step, w_panel, steps):
    """A small matrix product that stays in registers until it is done.

    ``out[r] (+)= sum over k of a[r, k] * w[k]`` for ``height`` rows ``r``, where ``out[r]`` and ``w[k]`` are ``width``
    vectors. Arrays are flat: ``o``, ``i`` and ``j`` say where each begins, ``o_row``, ``a_row``, ``a_step`` and
    ``w_step`` how far its next row or step is. A step costs ``width`` loads of ``w`` and ``height`` of ``a`` for
    ``height * width`` multiply-adds, and each sum takes its terms in the order of the steps whatever the tile.

    Args:
        typingctx: Numba's.
        height: rows, at least 1 and at most ``TILE_ROWS``.
        width: vectors a row, at least 1 and at most ``TILE_VECTORS``; for one row twice or four times as many, too.
        add: keep what ``out`` holds and add to it.
        out: array of the results.
        o: index of the first result.
        o_row: distance between rows of ``out``.
        a: array of the factors that are numbers.
        i: index of the first of them.
        a_row: distance to the next row's.
        a_step: distance to the next step's.
        w: array of the factors that are vectors.
        j: index of the first of them.
        w_step: distance to the next step's.
        w_panel: distance to the next ``TILE_VECTORS`` vectors of a step.
        steps: number of terms of each sum.
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
    vector = _vector_type(dtype)

    def constant(value: int) -> ir.Value:
        return context.get_constant(types.intp, value)

    result = _pointer(context, builder, out_kind, out, o)
    results = {
        (r, v): builder.gep(result, [builder.add(builder.mul(constant(r), o_row), constant(v * vector.count))])
        for r in range(rows)
        for v in range(vectors)
    }
    sums = {place: cgutils.alloca_once(builder, vector) for place in results}
    with builder.if_else(add) as (then, otherwise):
        with then:
            for place, pointer in results.items():
                builder.store(_load(builder, pointer, dtype), sums[place])
        with otherwise:
            for place in results:
                builder.store(_splat(0.0, dtype), sums[place])
    first_a = _pointer(context, builder, a_kind, a, i)
    first_w = _pointer(context, builder, w_kind, w, j)
    with cgutils.for_range(builder, steps) as loop:
        a_now = builder.gep(first_a, [builder.mul(loop.index, a_step)])
        w_now = builder.gep(first_w, [builder.mul(loop.index, w_step)])
        factors = []
        for v in range(vectors):
            panel, within = divmod(v, TILE_VECTORS)
            offset = builder.add(builder.mul(constant(panel), w_panel), constant(within * vector.count))
            factors.append(_load(builder, builder.gep(w_now, [offset]), dtype))
        for r in range(rows):
            number = builder.load(builder.gep(a_now, [builder.mul(constant(r), a_row)]))
            spread = _broadcast(builder, number, vector)
            for v in range(vectors):
                term = builder.fmul(spread, factors[v], flags=_FLAGS)
                builder.store(builder.fadd(builder.load(sums[r, v]), term, flags=_FLAGS), sums[r, v])
    for place, pointer in results.items():
        _store(builder, builder.load(sums[place]), pointer, dtype)
