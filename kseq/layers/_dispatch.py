"""From a layer to a kernel: a layer's settings as a :class:`kseq.kernels.Spec`, the kernel policy, and the call itself.

``KSEQ_KERNELS`` sets the policy of a process, and :class:`kernel_policy` that of a block of code.
"""

import inspect
import os
import threading
from typing import Any

import keras

from kseq import kernels
from kseq.errors import ConfigError, Unsupported

POLICIES = ("auto", "strict", "off")


def _check_policy(policy: str, where: str) -> str:
    if policy not in POLICIES:
        raise ConfigError(f"received {where} {policy!r}, expected one of {', '.join(POLICIES)}.")
    return policy


_PROCESS_POLICY = _check_policy(os.environ.get("KSEQ_KERNELS", "auto"), "KSEQ_KERNELS")

# Per thread, ``policies`` holds the policies of the enclosing ``with`` blocks, innermost last. A thread-local object
# rather than ``contextvars``, because PyTorch's compiler traces this file and supports only the former.
_blocks = threading.local()


class kernel_policy:
    """Context manager that sets what happens when no kernel supports a layer.

    The policy holds for the current thread inside the ``with`` block; blocks may be nested. The environment variable
    ``KSEQ_KERNELS``, read when kseq is imported, sets it for the whole process; the default is ``"auto"``.

    Args:
        policy: A string. ``"auto"`` runs Keras's loop where a kernel declines, ``"strict"`` raises the kernel's
            :class:`kseq.errors.Unsupported` instead, and ``"off"`` always runs Keras's loop.

    Raises:
        ConfigError: The policy is none of the three.

    Example:
        >>> with kernel_policy("strict"):  # doctest: +SKIP
        ...     model.fit(windows)
    """

    def __init__(self, policy: str):
        self._policy = _check_policy(policy, "kernel policy")

    def __enter__(self) -> "kernel_policy":
        _blocks.policies = (*getattr(_blocks, "policies", ()), self._policy)
        return self

    def __exit__(self, *exception: object) -> None:
        _blocks.policies = _blocks.policies[:-1]


def policy() -> str:
    """Return the current kernel policy: ``"auto"``, ``"strict"`` or ``"off"``; see :class:`kernel_policy`."""
    policies = getattr(_blocks, "policies", ())
    return policies[-1] if policies else _PROCESS_POLICY


# Keyed by identity, because a user's activation need not be hashable.
_ACTIVATIONS = {
    id(function): name for name, function in vars(keras.activations).items() if inspect.isfunction(function)
}
_CELLS = {keras.layers.SimpleRNN: "simple_rnn", keras.layers.LSTM: "lstm", keras.layers.GRU: "gru"}


def spec_of(layer: keras.Layer, training: bool = False) -> kernels.Spec:
    """Describe a recurrent layer to a kernel.

    Args:
        layer: A SimpleRNN, LSTM or GRU layer of Keras or of kseq.
        training: Whether the layer runs in training mode. Defaults to ``False``.

    Returns:
        kernels.Spec: The layer's settings, which with its tensors are all that a kernel needs.
    """
    cell = next(name for kind, name in _CELLS.items() if isinstance(layer, kind))
    gate = getattr(layer, "recurrent_activation", None)
    return kernels.Spec(
        cell,
        activation=_ACTIVATIONS.get(id(layer.activation), "other"),
        recurrent_activation=None if cell == "simple_rnn" else _ACTIVATIONS.get(id(gate), "other"),
        reset_after=getattr(layer, "reset_after", True),
        return_sequences=layer.return_sequences,
        go_backwards=layer.go_backwards,
        training=bool(training),
    )


#: Kernels of the backend, which Keras fixes for the life of a process; None where kseq has none for it.
KERNELS = kernels.load(keras.config.backend()) if keras.config.backend() in kernels.BACKENDS else None


def decline(reason: str) -> str:
    """Return the reason why no kernel runs.

    Raises:
        Unsupported: The policy is ``"strict"``.
    """
    if policy() == "strict":
        raise Unsupported(reason)
    return reason


def run_kernel(
    spec: kernels.Spec,
    sequences: Any,
    initial_state: list[Any],
    mask: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    recurrent_dropout: bool = False,
) -> kernels.Output | str:
    """Run the backend's kernel for a layer, or for the members of an ensemble.

    The shapes are those of the contract in :mod:`kseq.kernels`; those of one layer are given here.

    Args:
        spec: The layer's settings.
        sequences: Tensor of shape ``(batch, time, features)``, the input after input dropout.
        initial_state: List of tensors of shape ``(batch, units)``, one per state.
        mask: Boolean tensor of shape ``(batch, time)``, or None.
        kernel: Tensor of shape ``(features, gates * units)``, the input weights.
        recurrent_kernel: Tensor of shape ``(units, gates * units)``, the recurrent weights.
        bias: Tensor of shape ``(gates * units,)``, or ``(2, 3 * units)`` for a GRU with ``reset_after``, or None.
        recurrent_dropout: Whether a dropout mask applies to the recurrent state, which no kernel supports. Defaults to
            ``False``.

    Returns:
        kernels.Output | str: The kernel's output, or the reason why no kernel ran.

    Raises:
        Unsupported: The kernel declined and the policy is ``"strict"``.
    """
    if policy() == "off":
        return "policy off"
    if recurrent_dropout:
        return decline("recurrent_dropout > 0")
    if KERNELS is None:
        return decline(f"no kernels for the {keras.config.backend()} backend")
    recorder = KERNELS.recording()
    if recorder:
        # Checked before the kernel is called, because a tracing compiler cannot follow the exception.
        return decline(recorder)
    try:
        return KERNELS.run(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec)
    except Unsupported as refusal:
        return decline(refusal.reason)
