"""SimpleRNN, LSTM and GRU as in Keras, with fast loops over time.

Each class here is Keras's own with one method replaced, ``inner_loop``: arguments, weights, config and numbers stay
Keras's. Where no kernel takes a layer's settings (``recurrent_dropout``, masks, unusual activations...), Keras's loop
runs. ``layer.kernel_used`` tells which one ran in the last call: ``"torch-cpu"``, or
``"keras (recurrent_dropout > 0)"``. TensorFlow and JAX decide when they trace a function, and keep to it.

Saved models name Keras's classes, so that any Keras loads them, without kseq; where ``kseq.layers`` is imported they
load as the classes here. A class of one's own that is also called SimpleRNN, LSTM or GRU must then be registered with a
package (``keras.saving.register_keras_serializable``). :func:`accelerate` and :func:`to_stock` turn a model of one kind
into the other.
"""

import inspect
import os
import threading
from collections.abc import Callable
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

# ``policies`` of each thread are those of the blocks that it is in, the innermost last. (PyTorch's compiler, which
# follows this file, reads a thread's own data, and no ``contextvars``.)
_blocks = threading.local()


class kernel_policy:
    """For the block of a ``with`` statement, set what happens where a kernel declines a layer.

    It holds for the thread that is in the block; blocks may lie within one another. For a whole process set the
    environment variable ``KSEQ_KERNELS``, which is read when kseq is imported; without it the policy is ``"auto"``.

    Args:
        policy: ``"auto"``, run Keras's loop instead; ``"strict"``, raise the kernel's ``Unsupported``; ``"off"``,
            always run Keras's loop.

    Raises:
        ConfigError: the policy is none of the three.

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
    """The kernel policy in force; see :class:`kernel_policy`."""
    policies = getattr(_blocks, "policies", ())
    return policies[-1] if policies else _PROCESS_POLICY


# Names of Keras's activations, by identity: a callable that a user brings need not be hashable.
_ACTIVATIONS = {
    id(function): name for name, function in vars(keras.activations).items() if inspect.isfunction(function)
}
_CELLS = {keras.layers.SimpleRNN: "simple_rnn", keras.layers.LSTM: "lstm", keras.layers.GRU: "gru"}


def spec_of(layer: keras.Layer, training: bool = False) -> kernels.Spec:
    """Describe a SimpleRNN, LSTM or GRU layer, Keras's or one of these, to a kernel.

    Args:
        layer: the layer.
        training: whether it runs in training mode.

    Returns:
        kernels.Spec: what a kernel must know besides tensors.
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


# Keras keeps one backend for the life of a process.
_KERNELS = kernels.load(keras.config.backend()) if keras.config.backend() in kernels.BACKENDS else None


def decline(reason: str) -> str:
    """Return the reason, or raise it under the strict policy."""
    if policy() == "strict":
        raise Unsupported(reason)
    return reason


def run_kernel(
    spec: kernels.Spec,
    sequences: Any,
    initial_state: list,
    mask: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    recurrent_dropout: bool = False,
) -> kernels.Output | str:
    """Run the backend's kernel for a layer, or for members, by the contract in :mod:`kseq.kernels`.

    Args:
        spec: the layer's settings.
        sequences: input, after input dropout.
        initial_state: list of states, one tensor a state.
        mask: mask of time steps, or None.
        kernel: input weights, a tensor.
        recurrent_kernel: recurrent weights, a tensor.
        bias: bias, a tensor or None.
        recurrent_dropout: whether a dropout mask applies to the recurrent state.

    Returns:
        kernels.Output | str: the kernel's output, or the reason why none ran.

    Raises:
        Unsupported: a kernel declined and the policy is ``"strict"``.
    """
    if policy() == "off":
        return "policy off"
    if recurrent_dropout:
        return decline("recurrent_dropout > 0")
    if _KERNELS is None:
        return decline(f"no kernels for the {keras.config.backend()} backend")
    recorder = _KERNELS.recording()
    if recorder:
        # Asked here, for a compiler cannot follow an exception of ours.
        return decline(recorder)
    try:
        return getattr(_KERNELS, spec.cell)(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec)
    except Unsupported as refusal:
        return decline(refusal.reason)


class _FastLoop:
    """The replaced ``inner_loop`` and what goes with it, for a subclass of one of Keras's layers."""

    #: Which loop ran in the last call, and why it was Keras's; None before one.
    kernel_used: str | None = None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if policy() != "off" and _KERNELS is not None and not _KERNELS.supports_jit():
            # Read by Keras when it chooses whether to compile a model with XLA.
            self.supports_jit = False

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> tuple:
        """Run the loop over time; arguments and result as in Keras's layers."""
        result = self._run_kernel(sequences, initial_state, mask, training)
        if isinstance(result, kernels.Output):
            self._record(result.kernel)
            return result.last_output, result.outputs, result.states
        self._record(f"keras ({result})")
        return super().inner_loop(sequences, initial_state, mask, training=training)

    def _record(self, kernel: str) -> None:
        # Keras inspects every attribute that is set, which costs more than a comparison.
        if self.kernel_used != kernel:
            self.kernel_used = kernel

    def _run_kernel(self, sequences: Any, initial_state: Any, mask: Any, training: bool) -> kernels.Output | str:
        cell = self.cell
        if getattr(self, "use_cudnn", "auto") != "auto" and policy() != "off":
            return decline(f"use_cudnn={self.use_cudnn}")
        states = list(initial_state) if isinstance(initial_state, list | tuple) else [initial_state]
        if isinstance(mask, list | tuple):
            mask = mask[0]
        if training and cell.dropout and policy() != "off":
            # Keras draws the mask before this loop and keeps it in the cell: the same is used at every step.
            dropped = cell.get_dropout_mask(sequences[:, 0, :])
            if isinstance(dropped, list | tuple):
                return decline("a dropout mask for each gate (implementation=1)")
            if cell.dropout == 1:
                return decline("dropout = 1")
            sequences = sequences * keras.ops.expand_dims(dropped, axis=1)
        if self.stateful:
            # The layer writes its new states over these, which the backward pass still needs.
            states = [keras.ops.copy(state) for state in states]
        return run_kernel(
            spec_of(self, training),
            sequences,
            states,
            mask,
            cell.kernel.value,
            cell.recurrent_kernel.value,
            None if cell.bias is None else cell.bias.value,
            recurrent_dropout=training and cell.recurrent_dropout > 0,
        )

    def __reduce__(self) -> tuple:
        # Pickle looks a class up by its module and name, which for these are Keras's (see _drop_in).
        load, arguments = super().__reduce__()
        return getattr(keras.Layer, load.__name__), arguments


def _drop_in(layer: type) -> type:
    """Make Keras save a class as its own, and find it again where this module is imported.

    Keras writes a class's ``__module__`` and ``__name__`` into a saved model. A class that it does not know by those
    names it looks up among the custom objects first, then among its own classes: "LSTM" of "keras.layers" is the class
    here where kseq is imported, and Keras's elsewhere.
    """
    layer.__module__ = "keras.layers"
    keras.saving.get_custom_objects()[layer.__name__] = layer
    return layer


@_drop_in
class SimpleRNN(_FastLoop, keras.layers.SimpleRNN):
    """:class:`keras.layers.SimpleRNN` with a fast loop; the same arguments, weights, config and numbers.

    Example:
        >>> SimpleRNN(8, return_sequences=True)(np.zeros((32, 24, 1))).shape  # doctest: +SKIP
        (32, 24, 8)
    """

    def get_config(self) -> dict[str, Any]:
        """Settings, for saving. Keras leaves the seed out, and its copies would draw other dropout masks."""
        return {**super().get_config(), "seed": self.cell.seed}


@_drop_in
class LSTM(_FastLoop, keras.layers.LSTM):
    """:class:`keras.layers.LSTM` with a fast loop; the same arguments, weights, config and numbers.

    Example:
        >>> LSTM(8, return_sequences=True)(np.zeros((32, 24, 1))).shape  # doctest: +SKIP
        (32, 24, 8)
    """


@_drop_in
class GRU(_FastLoop, keras.layers.GRU):
    """:class:`keras.layers.GRU` with a fast loop; the same arguments, weights, config and numbers.

    Example:
        >>> GRU(8, return_sequences=True)(np.zeros((32, 24, 1))).shape  # doctest: +SKIP
        (32, 24, 8)
    """


_FAST = {"SimpleRNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU}


def _remake(layer: keras.Layer, registered_name: Callable[[str], str | None]) -> keras.Layer:
    """Make a layer anew from its config, with the SimpleRNN, LSTM and GRU in it of the kind that a name stands for."""
    changed = False

    def visit(config: Any) -> Any:
        nonlocal changed
        if isinstance(config, list | tuple):
            return type(config)(visit(value) for value in config)
        if not isinstance(config, dict):
            return config
        config = {key: visit(value) for key, value in config.items()}
        if config.get("module") == "keras.layers" and config.get("class_name") in _FAST:
            config["registered_name"] = registered_name(config["class_name"])
            changed = True
        return config

    config = visit(keras.saving.serialize_keras_object(layer))
    if not changed:
        return type(layer).from_config(layer.get_config())
    # A built layer's config says how to build it again: whoever calls the new one does that.
    config.pop("build_config", None)
    # A wrapper of the user's own need not be registered; a SimpleRNN, LSTM or GRU goes by its name alone.
    wrapper = {} if isinstance(layer, tuple(_CELLS)) else {type(layer).__name__: type(layer)}
    with keras.saving.custom_object_scope({**wrapper, **_FAST}):
        return keras.saving.deserialize_keras_object(config, safe_mode=False)


def fast(layer: keras.Layer) -> keras.Layer:
    """Make a layer anew, not built, with the SimpleRNN, LSTM and GRU in it (itself, or wrapped) of this module.

    Args:
        layer: any Keras layer.

    Returns:
        keras.Layer: a new layer of the same settings.
    """
    return _remake(layer, lambda name: name)


def stock(layer: keras.Layer) -> keras.Layer:
    """Make a layer anew, not built, with the SimpleRNN, LSTM and GRU in it (itself, or wrapped) Keras's own.

    Args:
        layer: any Keras layer.

    Returns:
        keras.Layer: a new layer of the same settings.
    """
    return _remake(layer, lambda name: None)


def _clone(model: keras.Model, convert: Callable[[keras.Layer], keras.Layer]) -> keras.Model:
    # A functional model knows its operations; a subclass with code of its own does not.
    if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
        raise ConfigError(
            f"received a {type(model).__name__}, whose layers only its own code can replace; expected a Sequential or "
            "functional model."
        )
    clone = keras.models.clone_model(model, clone_function=convert, recursive=True)
    clone.set_weights(model.get_weights())
    return clone


def accelerate(model: keras.Model) -> keras.Model:
    """Copy a model, with Keras's SimpleRNN, LSTM and GRU (also wrapped, as in Bidirectional) turned into these.

    Args:
        model: a Sequential or functional model, nested ones included.

    Returns:
        keras.Model: a model of the same settings and weights; compiled, with a fresh optimizer, if the model was.

    Raises:
        ConfigError: the model is of another class.

    Example:
        >>> model = accelerate(keras.models.load_model("forecaster.keras"))  # doctest: +SKIP
    """
    return _clone(model, fast)


def to_stock(model: keras.Model) -> keras.Model:
    """Copy a model, with the layers of this module turned into Keras's own: the reverse of :func:`accelerate`.

    Args:
        model: a Sequential or functional model, nested ones included.

    Returns:
        keras.Model: a model of the same settings and weights; compiled, with a fresh optimizer, if the model was.

    Raises:
        ConfigError: the model is of another class.
    """
    return _clone(model, stock)
