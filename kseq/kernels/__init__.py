"""Fast recurrent loops, one file a backend, behind one contract.

A backend's file (``torch.py``, ``tensorflow.py``, ``jax.py``) defines a function ``run``, which is called as::

    run(sequences, states, mask, kernel, recurrent_kernel, bias, spec) -> Output

with Keras's weight layouts (gates along the last axis: LSTM ``i, f, c, o``; GRU ``z, r, h``):

==================  ====================================  =================================================
argument            one layer                             S members (a leading axis on every weight)
==================  ====================================  =================================================
sequences           ``(batch, time, features)``           ``(batch, S, time, features)``, or
                                                          ``(batch, time, features)`` shared by all members
states              list of ``(batch, units)``            list of ``(batch, S, units)``
mask                ``(batch, time)`` or None             the same
kernel              ``(features, G * units)``             ``(S, features, G * units)``
recurrent_kernel    ``(units, G * units)``                ``(S, units, G * units)``
bias                ``(G * units,)`` or None; GRU with    ``(S, G * units)`` or None; GRU with
                    ``reset_after``: ``(2, 3 * units)``   ``reset_after``: ``(S, 2, 3 * units)``
last_output         ``(batch, units)``                    ``(batch, S, units)``
outputs             ``(batch, time, units)``              ``(batch, S, time, units)``
==================  ====================================  =================================================

``outputs`` has one time step, the last, where ``spec.return_sequences`` is False. With ``go_backwards`` the sequence is
read from its end and ``outputs`` are in the order of reading, as in Keras.

A kernel declines with :class:`kseq.errors.Unsupported` and with nothing else: any other error is a bug and reaches the
user. A framework is imported only in its own file, and only when that backend runs.
"""

import functools
import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

#: Backends that have a file here.
BACKENDS = ("torch", "tensorflow", "jax")


@dataclass(frozen=True)
class Spec:
    """What a kernel must know of a layer besides its tensors.

    Args:
        cell: ``"simple_rnn"``, ``"lstm"`` or ``"gru"``.
        activation: Keras name of the activation (``"tanh"``, ``"relu"``, ``"linear"``), ``"other"`` for a callable
            without one.
        recurrent_activation: The same for the gates; None for a SimpleRNN.
        reset_after: GRU only: reset gate applied after the recurrent product.
        return_sequences: Whether all outputs are wanted, or the last alone.
        go_backwards: Read the sequence from its end.
        training: Whether gradients will be asked for (a hint: a kernel may keep less when False).
    """

    cell: str
    activation: str = "tanh"
    recurrent_activation: str | None = None
    reset_after: bool = True
    return_sequences: bool = False
    go_backwards: bool = False
    training: bool = False


class Output(NamedTuple):
    """What a kernel returns; ``kernel`` names the one that ran (``"torch-cpu"``, ``"torch-cudnn"``...)."""

    last_output: Any
    outputs: Any
    states: list
    kernel: str


def has_members(kernel: Any) -> bool:
    """Whether weights are those of several members, by the table above: a kernel then has a leading axis for them."""
    return len(kernel.shape) == 3


def is_shared(sequences: Any, kernel: Any) -> bool:
    """Whether all members read the same sequences, by the table above; False for one layer."""
    return has_members(kernel) and len(sequences.shape) == 3


class Piece(list):
    """Many batches that a training step gets at once: windows, targets and perhaps weights, like one large batch.

    Args:
        parts: The arrays or tensors, of equal lengths.
        batch_size: Number of windows in a batch.
    """

    def __init__(self, parts: Iterable[Any], batch_size: int):
        super().__init__(parts)
        self.batch_size = batch_size

    def batches(self) -> Iterator[tuple]:
        """The batches, one after the other; the last holds the rest."""
        for start in range(0, len(self[0]), self.batch_size):
            yield tuple(part[start : start + self.batch_size] for part in self)


@functools.cache
def compiled_kernel() -> ModuleType | None:
    """Return the compiled CPU kernel; None where Numba is missing or ``NUMBA_DISABLE_JIT`` is set."""
    try:
        from numba import config

        if config.DISABLE_JIT:
            return None
        from kseq.kernels import cpu
    except ModuleNotFoundError as missing:
        if missing.name not in ("numba", "llvmlite"):
            raise
        return None
    return cpu


def load(backend: str) -> ModuleType:
    """Import and return the kernel file of a backend."""
    return importlib.import_module(f"kseq.kernels.{backend}")
