"""Vectors of the processor as a Numba type, and the one matrix-product tile that all else is built from.

Numba vectorises loops only where LLVM can prove that it may; here it is told instead. A :class:`Vector` holds
``lanes`` numbers (32 bytes); ``load`` and ``store`` move one between registers and a flat array, ``+ - *`` work
element by element, ``tanh`` and ``sigmoid`` are branch-free. The operations carry the flag ``contract`` alone (a
product and a sum may become one fused instruction), so NaN and infinity go through them as IEEE 754 says.
"""

import math
import operator
import platform
from collections.abc import Callable, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed, lower_builtin
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

# tanh and sigmoid rest on exp(z) = 2^n exp(r) with |r| <= log(2) / 2. Adding 1.5 * 2^bits and the exponent's bias to a
# small number leaves no digits behind the point, and in the lowest bits n plus the bias: shifted to the exponent's
# place they are 2^n. Coefficients stand lowest power first.


class _Constants(NamedTuple):
    """What depends on the number type: ``bits`` of the fraction, and the polynomials."""

    bits: int
    bias: int
    #: (exp(2 r) - 1 - 2 r) / r^2 for |r| <= log(2) / 4.
    expm1: tuple[float, ...]
    #: 2 exp(r) for |r| <= log(2) / 2.
    exp: tuple[float, ...]
    #: log(2) in parts, the first of which has so few digits that its product with n is exact.
    log_2: tuple[float, float]
    #: Beyond these exp(z) is infinity, or nothing beside 1, whatever is added to z.
    lowest: float
    highest: float

    @property
    def round(self) -> float:
        return 1.5 * 2.0**self.bits


_CONSTANTS = {
    32: _Constants(
        bits=23,
        bias=127,
        # Minimax polynomials: (exp(2 r) - 1) / r and exp(r) to a fifth of a unit in the last place or less.
        expm1=(2.0, 1.3333238970, 0.66666966750, 0.26771328835, 0.088948625851),
        exp=(2.0, 2.0, 0.99999986893, 0.33333041264, 0.083336776562, 0.016737433446, 0.0027629175503),
        log_2=(0.693359375, -2.12194440054690583e-4),
        lowest=-80.0,
        highest=89.0,
    ),
    64: _Constants(
        bits=52,
        bias=1023,
        # Taylor polynomials.
        expm1=tuple(2.0**k / math.factorial(k) for k in range(2, 14)),
        exp=tuple(2.0 / math.factorial(k) for k in range(14)),
        log_2=(float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")),
        lowest=-600.0,
        highest=710.0,
    ),
}


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


@intrinsic
def section(typingctx, array, start, size):
    """``array[start : start + size]`` of a flat array, without checks: compiled in a tenth of a slice's time."""

    def codegen(context, builder, sig, args):
        whole = context.make_array(sig.args[0])(context, builder, args[0])
        found = context.make_array(sig.return_type)(context, builder)
        cgutils.copy_struct(found, whole)
        found.data = builder.gep(whole.data, [args[1]])
        found.nitems = args[2]
        found.shape = cgutils.pack_array(builder, [args[2]])
        return impl_ret_borrowed(context, builder, sig.return_type, found._getvalue())

    return array(array, types.intp, types.intp), codegen


@intrinsic
def add_atomic(typingctx, counters, index, value):
    """``counters[index] += value``, in one step that no other thread can split; others see what was written before."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        builder.atomic_rmw("add", pointer, args[2], "acq_rel")
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.int64), codegen


@intrinsic
def publish(typingctx, array, index, value):
    """``array[index] = value``; who observes it sees all that was written before."""

    def codegen(context, builder, sig, args):
        builder.store_atomic(args[2], _pointer(context, builder, sig.args[0], args[0], args[1]), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), codegen


@intrinsic
def observe(typingctx, array, index):
    """``array[index]``, as another thread may have published it."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(_pointer(context, builder, sig.args[0], args[0], args[1]), "acquire", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def pause(typingctx):
    """Wait for some tens of cycles, where the processor can, in a loop that waits for another thread."""

    def codegen(context, builder, sig, args):
        if platform.machine().lower() in ("x86_64", "amd64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen


# Functions


def _fma(builder: ir.IRBuilder, first: ir.Value, second: ir.Value, third: ir.Value) -> ir.Value:
    return builder.fadd(builder.fmul(first, second, flags=_FLAGS), third, flags=_FLAGS)


def _polynomial(
    builder: ir.IRBuilder, x: ir.Value, square: ir.Value, coefficients: Sequence[float], dtype: types.Float
) -> ir.Value:
    """Two coefficients at a time, in Horner's scheme for the square: half as many operations wait for one another."""
    pairs = []
    for k in range(0, len(coefficients), 2):
        value = _splat(coefficients[k], dtype)
        if k + 1 < len(coefficients):
            value = _fma(builder, x, _splat(coefficients[k + 1], dtype), value)
        pairs.append(value)
    value = pairs[-1]
    for pair in pairs[-2::-1]:
        value = _fma(builder, value, square, pair)
    return value


def _power_of_two(builder: ir.IRBuilder, shifted: ir.Value, constants: _Constants, dtype: types.Float) -> ir.Value:
    integers = ir.VectorType(ir.IntType(dtype.bitwidth), _lanes(dtype))
    exponent = builder.shl(builder.bitcast(shifted, integers), ir.Constant(integers, [constants.bits] * integers.count))
    return builder.bitcast(exponent, shifted.type)


def _of_vectors(builder: ir.IRBuilder, name: str, *vectors: ir.Value) -> ir.Value:
    """One of LLVM's own functions of vectors."""
    kind = vectors[0].type
    bits = 32 if isinstance(kind.element, ir.FloatType) else 64
    signature_ = ir.FunctionType(kind, [kind] * len(vectors))
    function = cgutils.get_or_insert_function(builder.module, signature_, f"{name}.v{kind.count}f{bits}")
    return builder.call(function, vectors)


@intrinsic
def tanh(typingctx, vector, saturation):
    """Hyperbolic tangent, exactly 1 or -1 where ``|x| >= saturation``.

    ``e / (e + 2)`` with ``e = exp(2 |x|) - 1``, which keeps its digits near zero, and the sign of ``x``.
    """

    def codegen(context, builder, sig, args):
        dtype = sig.args[0].dtype
        constants = _CONSTANTS[dtype.bitwidth]
        x, bound = args[0], _broadcast(builder, args[1], args[0].type)
        size = _of_vectors(builder, "llvm.fabs", x)
        start = _splat(constants.round + constants.bias, dtype)
        shifted = _fma(builder, size, _splat(2 / math.log(2), dtype), start)
        n = builder.fsub(shifted, start)
        # Float32 needs no second part of log(2): the error of the first is a tenth of a unit, and for large n, where e
        # is large, an error of e no longer shows.
        parts = constants.log_2 if dtype.bitwidth == 64 else (math.log(2),)
        r = size
        for part in parts:
            r = _fma(builder, n, _splat(-part / 2, dtype), r)
        square = builder.fmul(r, r)
        rest = _polynomial(builder, r, square, constants.expm1, dtype)
        less_one = _fma(builder, square, rest, builder.fadd(r, r))
        power = _power_of_two(builder, shifted, constants, dtype)
        e = _fma(builder, power, less_one, builder.fsub(power, _splat(1.0, dtype)))
        quotient = builder.fdiv(e, builder.fadd(e, _splat(2.0, dtype)))
        # Ordered comparisons are false for NaN, which therefore stays. Beyond the saturation the quotient is anything.
        one, below_one = _splat(1.0, dtype), _splat(1 - 2.0 ** -(constants.bits + 1), dtype)
        quotient = builder.select(builder.fcmp_ordered(">", quotient, below_one), below_one, quotient)
        quotient = builder.select(builder.fcmp_ordered(">=", size, bound), one, quotient)
        return _of_vectors(builder, "llvm.copysign", quotient, x)

    return vector(vector, vector.dtype), codegen


@intrinsic
def sigmoid(typingctx, vector):
    """``1 / (1 + exp(-x))``, as it stands: small results keep their digits, too."""

    def codegen(context, builder, sig, args):
        dtype = sig.args[0].dtype
        constants = _CONSTANTS[dtype.bitwidth]
        x = args[0]
        # exp(-x) is computed as 2 exp(r) * 2^(n - 1), which overflows where it shall, and to infinity.
        for order, limit in (("<", -constants.highest), (">", -constants.lowest)):
            beyond = builder.fcmp_ordered(order, x, _splat(limit, dtype))
            x = builder.select(beyond, _splat(limit, dtype), x)
        start = _splat(constants.round + constants.bias - 1, dtype)
        shifted = _fma(builder, x, _splat(-1 / math.log(2), dtype), start)
        n = builder.fsub(shifted, start)
        r = x  # in what follows with the other sign
        for part in constants.log_2:
            r = _fma(builder, n, _splat(part, dtype), r)
        signed = [(-1) ** k * value for k, value in enumerate(constants.exp)]
        # The last two steps, which decide the rounding, one at a time.
        twice = _polynomial(builder, r, builder.fmul(r, r), signed[2:], dtype)
        for coefficient in signed[1::-1]:
            twice = _fma(builder, twice, r, _splat(coefficient, dtype))
        one = _splat(1.0, dtype)
        return builder.fdiv(one, _fma(builder, twice, _power_of_two(builder, shifted, constants, dtype), one))

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
