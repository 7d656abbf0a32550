"""Functions of vectors, free of branches: ``tanh``, ``sigmoid`` and the slope of a relu."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kseq.kernels._cpu.simd import FLAGS, broadcast, lanes_of, splat

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


def _fma(builder: ir.IRBuilder, first: ir.Value, second: ir.Value, third: ir.Value) -> ir.Value:
    return builder.fadd(builder.fmul(first, second, flags=FLAGS), third, flags=FLAGS)


def _polynomial(
    builder: ir.IRBuilder, x: ir.Value, square: ir.Value, coefficients: Sequence[float], dtype: types.Float
) -> ir.Value:
    """Two coefficients at a time, in Horner's scheme for the square: half as many operations wait for one another."""
    pairs = []
    for k in range(0, len(coefficients), 2):
        value = splat(coefficients[k], dtype)
        if k + 1 < len(coefficients):
            value = _fma(builder, x, splat(coefficients[k + 1], dtype), value)
        pairs.append(value)
    value = pairs[-1]
    for pair in pairs[-2::-1]:
        value = _fma(builder, value, square, pair)
    return value


def _power_of_two(builder: ir.IRBuilder, shifted: ir.Value, constants: _Constants, dtype: types.Float) -> ir.Value:
    integers = ir.VectorType(ir.IntType(dtype.bitwidth), lanes_of(dtype))
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
        x, bound = args[0], broadcast(builder, args[1], args[0].type)
        size = _of_vectors(builder, "llvm.fabs", x)
        start = splat(constants.round + constants.bias, dtype)
        shifted = _fma(builder, size, splat(2 / math.log(2), dtype), start)
        n = builder.fsub(shifted, start)
        # Float32 needs no second part of log(2): the error of the first is a tenth of a unit, and for large n, where e
        # is large, an error of e no longer shows.
        parts = constants.log_2 if dtype.bitwidth == 64 else (math.log(2),)
        r = size
        for part in parts:
            r = _fma(builder, n, splat(-part / 2, dtype), r)
        square = builder.fmul(r, r)
        rest = _polynomial(builder, r, square, constants.expm1, dtype)
        less_one = _fma(builder, square, rest, builder.fadd(r, r))
        power = _power_of_two(builder, shifted, constants, dtype)
        e = _fma(builder, power, less_one, builder.fsub(power, splat(1.0, dtype)))
        quotient = builder.fdiv(e, builder.fadd(e, splat(2.0, dtype)))
        # Ordered comparisons are false for NaN, which therefore stays. Beyond the saturation the quotient is anything.
        one, below_one = splat(1.0, dtype), splat(1 - 2.0 ** -(constants.bits + 1), dtype)
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
            beyond = builder.fcmp_ordered(order, x, splat(limit, dtype))
            x = builder.select(beyond, splat(limit, dtype), x)
        start = splat(constants.round + constants.bias - 1, dtype)
        shifted = _fma(builder, x, splat(-1 / math.log(2), dtype), start)
        n = builder.fsub(shifted, start)
        r = x  # in what follows with the other sign
        for part in constants.log_2:
            r = _fma(builder, n, splat(part, dtype), r)
        signed = [(-1) ** k * value for k, value in enumerate(constants.exp)]
        # The last two steps, which decide the rounding, one at a time.
        twice = _polynomial(builder, r, builder.fmul(r, r), signed[2:], dtype)
        for coefficient in signed[1::-1]:
            twice = _fma(builder, twice, r, splat(coefficient, dtype))
        one = splat(1.0, dtype)
        return builder.fdiv(one, _fma(builder, twice, _power_of_two(builder, shifted, constants, dtype), one))

    return vector(vector), codegen


@intrinsic
def where_positive(typingctx, condition, vector):
    """``vector`` where ``condition`` is above zero or NaN, zero elsewhere."""

    def codegen(context, builder, sig, args):
        zero = splat(0.0, sig.args[0].dtype)
        return builder.select(builder.fcmp_ordered("<=", args[0], zero), zero, args[1])

    return vector(condition, vector), codegen
