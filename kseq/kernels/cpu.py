"""SimpleRNN, LSTM and GRU over whole sequences, forward and backward, compiled for the CPU.

Two functions, free of any framework, on NumPy arrays::

    last, outputs, states, saved = forward(spec, sequences, kernel, recurrent_kernel, bias, state, keep=True)
    gradients = backward(saved, d_last, d_outputs, d_states, needs_sequences=True)

``gradients`` is a tuple ``(sequences, initial_state, kernel, recurrent_kernel, bias)``. Arguments and results have the
layouts of :mod:`kseq.kernels`, with or without the members axis, and are all float32 or all float64; they are copied
where they are not C-contiguous. :mod:`kseq.kernels.reference` is what is computed, in words.

* A run is repeatable: its bits depend neither on the number of threads nor on how many members run beside one.
* Any thread may call at any time. What ``saved`` holds is its own until it is collected, so that several forward runs
  may wait for their backward runs, in any order, and ``backward`` may be called twice.
* NaN and infinity travel as they do in NumPy and never from one member, or one row of the batch, to another (but for
  weight gradients, to which all rows contribute).
* The first call of a cell and number type compiles it, which takes seconds, and keeps the result on disk:
  in ``NUMBA_CACHE_DIR``, ``__pycache__`` beside the loops, or the user's cache folder, whichever can be written; where
  none can, every process compiles anew.
"""

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import numpy as np

from kseq.errors import Unsupported
from kseq.kernels import Spec, has_members, is_shared
from kseq.kernels._cpu import gru, lstm, simple_rnn
from kseq.kernels._cpu.pool import default_threads, give, run, take
from kseq.kernels._cpu.shape import Shape
from kseq.kernels._cpu.simd import VECTOR_BYTES

Array = np.ndarray

_LOOPS: dict[str, ModuleType] = {"simple_rnn": simple_rnn, "lstm": lstm, "gru": gru}
_STATES = {"simple_rnn": 1, "lstm": 2, "gru": 1}
_GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
#: Gates in the joined weights: a GRU's candidate counts twice there, for its recurrent part and its input part.
_JOINED_GATES = {"simple_rnn": 1, "lstm": 4, "gru": 4}
_ACTIVATIONS = {"tanh": simple_rnn.TANH, "relu": simple_rnn.RELU, "linear": simple_rnn.LINEAR}

#: Below so many multiply-adds, a tenth of a millisecond's work, one thread does it all: a second one would be awake
#: for half of it at best, and has to be waited for where processors are busy.
_WORTH_THREADS = 4_000_000
_MAX_GROUPS = 16

#: Where tanh rounds to 1.
SATURATION = {np.dtype(np.float32): 9.010914, np.dtype(np.float64): 19.06154746539849}


class Result(NamedTuple):
    """What :func:`forward` returns: ``last`` is the array ``states[0]``.

    ``outputs`` is None unless ``spec.return_sequences``, ``saved`` is None unless kept.
    """

    last: Array
    outputs: Array | None
    states: list[Array]
    saved: "Saved | None"


class Gradients(NamedTuple):
    """What :func:`backward` returns; ``sequences`` is None unless asked for, ``bias`` None without a bias."""

    sequences: Array | None
    initial_state: list[Array]
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None


class Saved:
    """What a forward run keeps for its backward run."""

    def __init__(
        self,
        spec: Spec,
        shape: Shape,
        weights: Array,
        memory: Array,
        layout: "_Layout",
        threads: int,
        saturation: np.floating,
    ):
        self.spec, self.shape, self.weights, self.layout, self.threads = spec, shape, weights, layout, threads
        self.memory, self.saturation = memory, saturation

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        # When the interpreter ends, the names of modules may be gone; memory then needs no second use.
        if not ending():
            give(self.memory)


class _Layout(NamedTuple):
    """How the caller's arrays are shaped."""

    one_net: bool  # no members axis
    shared: bool  # one sequence for all members
    use_bias: bool


def forward(
    spec: Spec,
    sequences: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    state: Sequence[Array],
    *,
    keep: bool = True,
    threads: int | None = None,
    saturation: float | None = None,
) -> Result:
    """Run a layer over its sequences.

    Args:
        spec: The layer's settings.
        sequences: ``(batch, time, features)``, or ``(batch, S, time, features)`` for members that read their own.
        kernel: ``(features, G * units)`` or ``(S, features, G * units)``.
        recurrent_kernel: ``(units, G * units)`` or ``(S, units, G * units)``.
        bias: ``([S,] G * units)``, for a GRU with ``reset_after`` ``([S,] 2, 3 * units)``, or None.
        state: The initial states, each ``(batch, [S,] units)``: ``h``, for an LSTM ``h`` and ``c``.
        keep: Keep what :func:`backward` needs; without it nothing of the past steps is stored.
        threads: Maximum number of threads; None for :func:`kseq.kernels._cpu.pool.default_threads`.
        saturation: Size of the argument from which tanh is exactly 1 or -1, see :func:`saturation_of`; None for where
            it rounds to that.

    Raises:
        Unsupported: An activation or a number type that is not compiled here.
        ValueError: Shapes or number types that do not fit together.
    """
    _check_settings(spec, kernel.dtype)
    dtype, one_net = kernel.dtype, not has_members(kernel)
    members = 1 if one_net else kernel.shape[0]
    shared = is_shared(sequences, kernel)
    batch, time, features = sequences.shape[0], sequences.shape[-2], sequences.shape[-1]
    units = recurrent_kernel.shape[-2]
    shape = _cut(members, batch, time, features, units)
    layout = _Layout(one_net, shared, bias is not None)

    axis = () if one_net else (members,)
    x = _flat("sequences", sequences, (batch, *(() if shared else axis), time, features), dtype)
    first = [_flat("state", part, (batch, *axis, units), dtype) for part in state]
    if len(first) != _STATES[spec.cell]:
        raise ValueError(f"{len(first)} initial states for a {spec.cell}; it has {_STATES[spec.cell]}.")
    weights = _weights(spec, shape, layout, kernel, recurrent_kernel, bias)
    outputs = np.empty((batch, *axis, time, units) if spec.return_sequences else 0, dtype)
    last = [np.empty((batch, *axis, units), dtype) for _ in first]

    sizes = _saved_sizes(spec.cell, shape, dtype, keep)
    memory = take(sum(sizes), dtype)
    saved_arrays = _split(memory, sizes)
    strides = (time * features, 0) if shared else (members * time * features, time * features)
    flat_last = [part.reshape(-1) for part in last]
    bound = dtype.type(SATURATION[dtype] if saturation is None else saturation)
    arguments = (
        shape, keep, spec.go_backwards, bound, *_option(spec), x, *strides, weights, *first, *saved_arrays,
        outputs.reshape(-1), *flat_last,
    )  # fmt: skip
    threads = _threads(shape, weights, threads)
    run(_LOOPS[spec.cell].forward, arguments, members * shape.blocks, threads)

    saved = None
    if keep:
        saved = Saved(spec, shape, weights, memory, layout, threads, bound)
    else:
        give(memory)
    return Result(last[0], outputs if spec.return_sequences else None, last, saved)


def backward(
    saved: Saved,
    d_last: Array | None = None,
    d_outputs: Array | None = None,
    d_states: Sequence[Array | None] | None = None,
    needs_sequences: bool = True,
) -> Gradients:
    """Go back through a run of :func:`forward`.

    Args:
        saved: Arrays that the forward pass kept.
        d_last: Gradient of ``last``; None for zeros.
        d_outputs: Gradient of ``outputs``, None for zeros.
        d_states: Gradients of ``states``, None for zeros, also for one of them.
        needs_sequences: Whether the gradient of the sequences is wanted.

    Returns:
        The :class:`Gradients` of the arguments of :func:`forward`, in their shapes.
    """
    spec, shape, layout, dtype = saved.spec, saved.shape, saved.layout, saved.weights.dtype
    members, batch, time, features, units, *_ = shape
    axis = () if layout.one_net else (members,)
    state_shape = (batch, *axis, units)
    parts: list[Array | None] = [None] * _STATES[spec.cell] if d_states is None else list(d_states)
    if d_last is not None:
        parts[0] = d_last if parts[0] is None else parts[0] + d_last
    d_final = [
        _flat("d_states", np.zeros(state_shape, dtype) if part is None else part, state_shape, dtype) for part in parts
    ]
    nothing = np.empty(0, dtype)
    d_out = _flat("d_outputs", nothing, (0,), dtype)
    if d_outputs is not None:
        d_out = _flat("d_outputs", d_outputs, (batch, *axis, time, units), dtype)
    d_sequences = np.empty((batch, members, time, features), dtype) if needs_sequences else nothing
    d_first = [np.empty(state_shape, dtype) for _ in parts]
    d_weights = take(shape.groups * saved.weights.size, dtype)
    saved_arrays = _split(saved.memory, _saved_sizes(spec.cell, shape, dtype, True))
    flat_first = [part.reshape(-1) for part in d_first]
    arguments = (
        shape, spec.go_backwards, saved.saturation, *_option(spec), saved.weights, *saved_arrays, *d_final, d_out,
        d_weights, d_sequences.reshape(-1), *flat_first,
    )  # fmt: skip
    run(_LOOPS[spec.cell].backward, arguments, members * shape.groups, saved.threads)

    sums = d_weights.reshape(members, shape.groups, -1).sum(1)
    give(d_weights)
    d_x = None
    if needs_sequences:
        d_x = d_sequences.sum(1) if layout.shared else d_sequences.reshape(batch, *axis, time, features)
    return Gradients(d_x, d_first, *_weight_gradients(spec, shape, layout, sums))


def saturation_of(tanh: Callable[[Array], Array], dtype: np.dtype) -> float:
    """Find the least number whose hyperbolic tangent a framework rounds to 1: TensorFlow's does so from 7.9 in float32.

    A gradient that is exactly zero there must be zero here: optimizers like Adam make steps of their usual size out of
    any other.

    Args:
        tanh: The framework's function, from a flat array to one of the same size.
        dtype: Type of the array, float32 or float64.

    Returns:
        float: The least number, exact in ``dtype``.
    """
    below, above = dtype.type(1), dtype.type(32)
    while below < (middle := (below + above) / 2) < above:
        # As many as the framework's vectors hold: single numbers may be computed otherwise.
        reached = tanh(np.full(64, middle, dtype)).min() == 1
        below, above = (below, middle) if reached else (middle, above)
    return float(above)


def _check_settings(spec: Spec, dtype: np.dtype) -> None:
    if dtype not in (np.float32, np.float64):
        raise Unsupported(f"dtype {dtype}")
    if spec.cell == "simple_rnn":
        if spec.activation not in _ACTIVATIONS:
            raise Unsupported(f"activation {spec.activation}")
        return
    if spec.activation != "tanh":
        raise Unsupported(f"activation {spec.activation}")
    if spec.recurrent_activation != "sigmoid":
        raise Unsupported(f"recurrent_activation {spec.recurrent_activation}")


def _option(spec: Spec) -> tuple:
    """The argument that only this cell's loops have."""
    if spec.cell == "simple_rnn":
        return (_ACTIVATIONS[spec.activation],)
    return (spec.reset_after,) if spec.cell == "gru" else ()


@lru_cache(maxsize=256)
def _cut(members: int, batch: int, time: int, features: int, units: int) -> Shape:
    """Cut the batch; only by its size, so that results depend on neither threads nor members."""
    block_rows = 32 if batch > 512 else 16
    blocks = -(-batch // block_rows)
    chunk = max(1, min(time, 64 // max(1, min(batch, block_rows))))
    # Of an empty batch one group, whose sums are zeros.
    groups = max(1, min(blocks, _MAX_GROUPS))
    return Shape(members, batch, time, features, units, block_rows, groups, chunk)


def _threads(shape: Shape, weights: Array, threads: int | None) -> int:
    if shape.batch * shape.time * weights.size < _WORTH_THREADS:
        return 1
    return default_threads() if threads is None else threads


def _flat(name: str, array: Array, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """One flat read-only view, or a copy where the memory is not in order: the compiled functions know one type."""
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}; {dtype}{list(shape)} fits the weights.")
    if not (array.flags.c_contiguous and array.flags.aligned):
        array = array.copy(order="C")
    flat = array.reshape(-1)
    flat.flags.writeable = False
    return flat


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def _padded(shape: Shape, dtype: np.dtype) -> int:
    return _round_up(shape.units, VECTOR_BYTES // dtype.itemsize)


@lru_cache(maxsize=256)
def _saved_sizes(cell: str, shape: Shape, dtype: np.dtype, keep: bool) -> list[int]:
    """Sizes of the arrays that a cell's loops write at every step: inputs, gates, cell states."""
    lanes, padded = VECTOR_BYTES // dtype.itemsize, _padded(shape, dtype)
    nets, steps = shape.members * shape.batch, shape.time if keep else 1
    states = steps + 1 if keep else 1
    sizes = [nets * states * (_round_up(shape.features + 1, lanes) + padded)]
    if cell != "simple_rnn":
        sizes.append(nets * steps * 4 * padded)
    if cell == "lstm":
        sizes.append(nets * states * padded)
    return sizes


def _split(memory: Array, sizes: list[int]) -> list[Array]:
    parts, start = [], 0
    for size in sizes:
        parts.append(memory[start : start + size])
        start += size
    return parts


def _weights(
    spec: Spec, shape: Shape, layout: _Layout, kernel: Array, recurrent_kernel: Array, bias: Array | None
) -> Array:
    """Join kernel, bias and recurrent kernel into one flat matrix a member, with padded gates."""
    members, features, units, gates = shape.members, shape.features, shape.units, _GATES[spec.cell]
    for name, array, expected in (
        ("kernel", kernel, (features, gates * units)),
        ("recurrent_kernel", recurrent_kernel, (units, gates * units)),
        ("bias", bias, _bias_shape(spec, units)),
    ):
        expected = expected if layout.one_net else (members, *expected)
        if array is not None and (array.shape != expected or array.dtype != kernel.dtype):
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}; {kernel.dtype}{list(expected)} fits the sequences."
            )
    padded = _padded(shape, kernel.dtype)
    joined = np.zeros((members, features + 1 + units, _JOINED_GATES[spec.cell], padded), kernel.dtype)
    of_input, of_bias, of_state = _parts(joined, features, units)
    w, u = kernel.reshape(members, features, gates, units), recurrent_kernel.reshape(members, units, gates, units)
    if spec.cell != "gru":
        of_input[...] = w
        of_state[...] = u
        if bias is not None:
            of_bias[...] = bias.reshape(members, gates, units)
        return joined.reshape(-1)
    of_input[:, :, 1:] = w
    of_state[:, :, 1:3], of_state[:, :, 0] = u[:, :, :2], u[:, :, 2]
    if bias is not None:
        b = bias.reshape(members, -1, gates, units)
        of_bias[:, 1:] = b[:, 0]
        if spec.reset_after:
            of_bias[:, 1:3] += b[:, 1, :2]
            of_bias[:, 0] = b[:, 1, 2]
    return joined.reshape(-1)


def _weight_gradients(spec: Spec, shape: Shape, layout: _Layout, sums: Array) -> tuple[Array, Array, Array | None]:
    """Take the gradient of the joined matrix apart; the inverse of :func:`_weights`."""
    members, features, units = shape.members, shape.features, shape.units
    joined = sums.reshape(members, features + 1 + units, _JOINED_GATES[spec.cell], -1)
    of_input, of_bias, of_state = _parts(joined, features, units)
    if spec.cell == "gru":
        recurrent_bias = np.concatenate([of_bias[:, 1:3], of_bias[:, :1]], axis=1)
        of_bias = np.stack([of_bias[:, 1:], recurrent_bias], axis=1) if spec.reset_after else of_bias[:, 1:]
        of_state = np.concatenate([of_state[:, :, 1:3], of_state[:, :, :1]], axis=2)
        of_input = of_input[:, :, 1:]
    axis = () if layout.one_net else (members,)
    return (
        np.ascontiguousarray(of_input).reshape(*axis, features, -1),
        np.ascontiguousarray(of_state).reshape(*axis, units, -1),
        np.ascontiguousarray(of_bias).reshape(*axis, *_bias_shape(spec, units)) if layout.use_bias else None,
    )


def _bias_shape(spec: Spec, units: int) -> tuple[int, ...]:
    """Shape of one net's bias."""
    return (2, 3 * units) if spec.cell == "gru" and spec.reset_after else (_GATES[spec.cell] * units,)


def _parts(joined: Array, features: int, units: int) -> tuple[Array, Array, Array]:
    """Views of the rows of inputs, of biases and of states, without the padding."""
    return joined[:, :features, :, :units], joined[:, features, :, :units], joined[:, features + 1 :, :, :units]
