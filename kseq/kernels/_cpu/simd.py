"""Vectors of the processor as a Numba type: arithmetic, loads and stores, and what threads tell one another by.

Numba vectorises loops only where LLVM can prove that it may; here it is told instead. A :class:`Vector` holds
``lanes`` numbers (32 bytes); ``load`` and ``store`` move one between registers and a flat array, ``+ - *`` work
element by element. The operations carry the flag ``contract`` alone (a
product and a sum may become one fused instruction), so NaN and infinity go through them as IEEE 754 says.
"""

import operator
import platform
from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed, lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

VECTOR_BYTES = 32

FLAGS = ("contract",)


class Vector(types.Type):
    """``lanes(dtype)`` numbers in one register."""

    def __init__(self, dtype: types.Float):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


def lanes_of(dtype: types.Float) -> int:
    return VECTOR_BYTES * 8 // dtype.bitwidth


def vector_type(dtype: types.Float) -> ir.VectorType:
    return ir.VectorType(ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType(), lanes_of(dtype))


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, vector_type(fe_type.dtype))


def splat(value: float, dtype: types.Float) -> ir.Constant:
    vector = vector_type(dtype)
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
        vector = vector_type(sig.return_type.dtype)
        operands = [
            arg if isinstance(kind, Vector) else broadcast(builder, arg, vector)
            for arg, kind in zip(args, sig.args, strict=True)
        ]
        return getattr(builder, instruction)(*operands, flags=FLAGS)

    for left, right in ((Vector, Vector), (Vector, types.Float), (types.Float, Vector)):
        lower_builtin(symbol, left, right)(lower)


def broadcast(builder: ir.IRBuilder, scalar: ir.Value, vector: ir.VectorType) -> ir.Value:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, undefined, zeros)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define_operator(_symbol, _instruction)


# Memory


def pointer_to(context, builder: ir.IRBuilder, kind: types.Array, array: ir.Value, index: ir.Value) -> ir.Value:
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


def load_from(builder: ir.IRBuilder, pointer: ir.Value, dtype: types.Float) -> ir.Value:
    typed = builder.bitcast(pointer, vector_type(dtype).as_pointer())
    return builder.load(typed, align=dtype.bitwidth // 8)


def store_to(builder: ir.IRBuilder, vector: ir.Value, pointer: ir.Value, dtype: types.Float) -> None:
    typed = builder.bitcast(pointer, vector.type.as_pointer())
    builder.store(vector, typed, align=dtype.bitwidth // 8)


@intrinsic
def lanes(typingctx, array):
    """How many numbers of ``array``'s type a vector holds, a constant."""
    count = lanes_of(array.dtype)

    def codegen(context, builder, sig, args):
        return context.get_constant(types.intp, count)

    return types.intp(array), codegen


@intrinsic
def load(typingctx, array, index):
    """The vector that starts at ``array[index]``."""

    def codegen(context, builder, sig, args):
        return load_from(builder, pointer_to(context, builder, sig.args[0], args[0], args[1]), sig.args[0].dtype)

    return Vector(array.dtype)(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, vector):
    """``array[index : index + lanes] = vector``."""

    def codegen(context, builder, sig, args):
        pointer = pointer_to(context, builder, sig.args[0], args[0], args[1])
        store_to(builder, args[2], pointer, sig.args[0].dtype)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Ask for the cache line of ``array[index]``, which a coming load will want; any index may be given."""

    def codegen(context, builder, sig, args):
        pointer = builder.bitcast(pointer_to(context, builder, sig.args[0], *args), ir.IntType(8).as_pointer())
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
        pointer = pointer_to(context, builder, sig.args[0], args[0], context.get_constant(types.intp, 0))
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
        pointer = pointer_to(context, builder, sig.args[0], args[0], args[1])
        builder.atomic_rmw("add", pointer, args[2], "acq_rel")
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.int64), codegen


@intrinsic
def publish(typingctx, array, index, value):
    """``array[index] = value``; who observes it sees all that was written before."""

    def codegen(context, builder, sig, args):
        builder.store_atomic(args[2], pointer_to(context, builder, sig.args[0], args[0], args[1]), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), codegen


@intrinsic
def observe(typingctx, array, index):
    """``array[index]``, as another thread may have published it."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(pointer_to(context, builder, sig.args[0], args[0], args[1]), "acquire", 8)

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
