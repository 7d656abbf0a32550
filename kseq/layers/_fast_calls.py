"""How the fast step of :mod:`kseq.layers.fast_step` calls layers: their computation without what Keras does around it.

A stack of recurrent layers of one cell and size, or the two directions of a bidirectional layer, is one call where the
backend's loop supports it (cuDNN does). Layers with dropout between them are called separately, because Keras draws the
masks.
"""

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import keras

from kseq.errors import Unsupported
from kseq.layers._dispatch import spec_of
from kseq.layers.cells import GRU, LSTM, SimpleRNN
from kseq.layers.ensemble import Ensemble


class Forward:
    """The forward pass of a model, as calls of its layers.

    Args:
        model: A model; one that is no chain of layers is called as a whole.
        backend: The backend's kernel module, which has a ``step``.
        whole: Whether to call any model as a whole.
    """

    def __init__(self, model: keras.Model, backend: ModuleType, *, whole: bool = False):
        chain, skip = (None, None) if whole else _parts(model)
        # Keras does not tell a model whose ``call`` takes no ``training``, whose layers then drop nothing.
        model_told = model._call_has_training_arg
        self.calls: list[_Call] = [_Call(model, told=model_told)] if chain is None else _calls_of(chain, backend)
        #: A linear map of the window that is added to what the other layers give; None for none.
        self.skip = None if skip is None else _Skip(skip, backend)
        #: Whether any layer is called through Keras.
        self.by_keras = any(type(call) is _Call for call in self.calls)
        #: Whether the forecasts of the last batch have a mask of Keras.
        self.masked = False

    def __call__(self, x: Any, training: bool) -> Any:
        """Forecast a batch."""
        window = x
        if not self.by_keras:
            for call in self.calls:
                x = call(x, training)
            return x if self.skip is None else x + self.skip(window)
        masked = False
        for call in self.calls:
            # Layers that are called through Keras read and pass on masks.
            x = call.through_keras(x, training) if masked else call(x, training)
            masked = getattr(x, "_keras_mask", None) is not None
        self.masked = masked
        return x if self.skip is None else x + self.skip(window)

    def network(self) -> tuple[list, tuple, Any] | None:
        """Settings and weights of a stack of recurrent layers of one cell, and of the Dense layer on its last output.

        Third, the kernel of the linear map of the window that is added, or None. None for any other model.
        """
        *calls, head = self.calls
        kernels = [call for call in calls if type(call) is _Kernel]
        if (
            not kernels
            or len(kernels) < len(calls)
            or type(head) is not _Product
            or head.activation is not None
            or head.kernel.dim() != 2
        ):
            return None
        if any(call.spec.cell != kernels[0].spec.cell for call in kernels):
            return None
        sequences = [call.spec.return_sequences for call in kernels]
        if not all(sequences[:-1]) or sequences[-1] or any(len(call.shape) > 1 for call in kernels):
            return None
        skip = None if self.skip is None else self.skip.kernel
        return [(call.spec, call.weights) for call in kernels], (head.kernel, head.bias), skip

    def note(self, kernel: str) -> None:
        """Record the kernel that ran in all recurrent layers."""
        for call in self.calls:
            for direction in call.directions:
                direction.note(kernel)

    @property
    def replayable(self) -> bool:
        """Whether a CUDA graph can replay all calls."""
        return all(call.replayable for call in self.calls)


def _parts(model: keras.Model) -> tuple[list[Any] | None, Any]:
    """The layers of a model that is a chain, and the linear map of its input that is added to their output, or None.

    None and None for a model that is neither.
    """
    if type(model).call is not _FUNCTIONAL.call or type(model.layers[-1]) is not keras.layers.Add:
        return _chain(model), None
    skip, added = model.layers[-2], model.layers[-1]
    nodes = skip._inbound_nodes, added._inbound_nodes
    if any(len(node) != 1 for node in nodes) or not _is_skip(skip):
        return None, None
    (of_skip,), (of_sum,) = nodes
    parts = of_sum.input_tensors
    if of_skip.input_tensors[0] is not model.inputs[0] or len(parts) != 2 or parts[1] is not of_skip.output_tensors[0]:
        return None, None
    chain = _chain(keras.Model(model.inputs, parts[0]))
    return chain, None if chain is None else skip


def _is_skip(layer: Any) -> bool:
    """Whether a layer maps whole windows linearly, alone or as members."""
    single = layer.stacked.template if isinstance(layer, Ensemble) else layer
    changed = getattr(single, "lora_enabled", False) or getattr(single, "quantization_mode", None)
    plain = type(single) is keras.layers.EinsumDense and not changed
    return plain and single.equation == "btf,tfo->bo" and not single.bias_axes and (
        single.activation is keras.activations.linear
    )  # fmt: skip


def _chain(model: keras.Model) -> list[Any] | None:
    """The layers and operations of a functional or sequential model, in order; None for a model that is no chain."""
    graph = model
    if type(model).call is keras.Sequential.call:
        graph = model._functional
    if type(graph).call is not _FUNCTIONAL.call:
        return None
    nodes = graph._nodes_by_depth
    chain: list[Any] = []
    tensor = None
    for depth in sorted(nodes, reverse=True):
        if len(nodes[depth]) != 1:
            return None
        (node,) = nodes[depth]
        if not node.is_input:
            arguments = node.arguments
            if len(arguments.args) != 1 or arguments.args[0] is not tensor or len(node.output_tensors) != 1:
                return None
            # Keras sets ``training`` anew at each call, and keeps other arguments.
            if any(value is not None for name, value in arguments.kwargs.items() if name != "training"):
                return None
            chain.append(node.operation)
        tensor = node.output_tensors[0]
    return chain if chain and tensor is graph.outputs[0] else None


_FUNCTIONAL: Any = type(keras.Model(_input := keras.Input((1,)), _input))


def _calls_of(chain: Sequence[Any], backend: ModuleType) -> "list[_Call]":
    """Translate a chain of layers into calls, in the order of the layers."""
    single = [_call_of(layer, backend) for layer in chain]
    calls: list[_Call] = []
    for kind, alike in itertools.groupby(single, key=lambda call: call.kind):
        found = list(alike)
        if kind is None or (len(found) == 1 and isinstance(found[0], _Kernel)):
            calls += found
        else:
            calls.append(_Stack(found, backend))
    return calls


def _call_of(layer: Any, backend: ModuleType) -> "_Call":
    """The layer's computation, without Keras's wrapping where the result is the same."""
    inner = layer.stacked if isinstance(layer, Ensemble) else layer
    settings = inner.template if isinstance(layer, Ensemble) else layer
    if type(settings) is keras.layers.Dense and _is_plain(settings):
        return _Product(layer, inner, settings, backend)
    if isinstance(settings, keras.layers.SimpleRNN | keras.layers.LSTM | keras.layers.GRU):
        return _kernel_of(layer, inner, settings, backend) or _Call(layer)
    if type(settings) is keras.layers.Bidirectional and settings.merge_mode is not None:
        pair = (
            (inner.ahead, inner.behind) if isinstance(layer, Ensemble) else (inner.forward_layer, inner.backward_layer)
        )
        found = [_kernel_of(part, part, getattr(part, "template", part), backend) for part in pair]
        both = [kernel for kernel in found if kernel is not None]
        if not settings.return_state and len(both) == 2:
            return _Both(layer, settings, both, backend)
    return _Call(layer)


def _kernel_of(layer: keras.Layer, inner: keras.Layer, settings: keras.Layer, backend: ModuleType) -> "_Kernel | None":
    """A recurrent layer's kernel, if the layer computes nothing besides it."""
    # A subclass may have code of its own.
    fast = hasattr(inner, "members") or type(inner) in (SimpleRNN, LSTM, GRU)
    dropped = settings.dropout or settings.recurrent_dropout
    if not fast or dropped or settings.stateful or settings.return_state or _chooses_path(settings):
        return None
    return _Kernel(layer, inner, settings, backend)


def _is_plain(dense: keras.layers.Dense) -> bool:
    """Whether the layer computes only a matrix product, a bias and one of Keras's activations."""
    changed = getattr(dense, "lora_enabled", False) or getattr(dense, "quantization_mode", None)
    return getattr(dense.activation, "__module__", "").startswith("keras.") and not changed


def _chooses_path(layer: keras.Layer) -> bool:
    """Whether the user has chosen one of Keras's own implementations for the layer."""
    return getattr(layer, "use_cudnn", "auto") != "auto"


class _Call:
    """A layer, an operation or a whole model that is called through Keras."""

    #: Whether a CUDA graph can replay the call.
    replayable = False
    #: Key shared by neighbouring layers that can run in one call; None for a layer that is called separately.
    kind: Hashable = None
    #: Kernels of a recurrent layer, one for each direction.
    directions: "Sequence[_Kernel]" = ()

    def __init__(self, *layers_: Any, told: bool = True):
        #: The layers, called one after the other.
        self.layers = layers_
        #: Whether they are told if this is training.
        self.told = told

    def __call__(self, x: Any, training: bool) -> Any:
        return self.through_keras(x, training)

    def through_keras(self, x: Any, training: bool) -> Any:
        """Call the layers as Keras does, with masks and all that belongs to a layer."""
        for layer in self.layers:
            told = self.told and isinstance(layer, keras.Layer)
            x = layer(x, training=training) if told else layer(x)
        return x


class _Product(_Call):
    """A Dense layer of an ordinary model or of an ensemble."""

    def __init__(self, layer: keras.Layer, inner: keras.Layer, settings: keras.Layer, backend: ModuleType):
        super().__init__(layer)
        self.replayable = settings.activation is keras.activations.linear
        self.activation = None if self.replayable else settings.activation
        self.kernel, self.bias = inner.kernel.value, None if inner.bias is None else inner.bias.value
        self.backend = backend

    def __call__(self, x: Any, training: bool) -> Any:
        product = self.backend.step.dense(x, self.kernel, self.bias)
        return product if self.activation is None else self.activation(product)


class _Skip:
    """A linear map of windows, of an ordinary model or of an ensemble."""

    def __init__(self, layer: Any, backend: ModuleType):
        self.kernel, self.backend = (layer.stacked if isinstance(layer, Ensemble) else layer).kernel.value, backend

    def __call__(self, x: Any) -> Any:
        kernel = self.kernel.reshape(*self.kernel.shape[:-3], -1, self.kernel.shape[-1])
        return self.backend.step.dense(x.reshape(*x.shape[:-2], -1), kernel, None)


class _Kernel(_Call):
    """The kernel of a recurrent layer, from zero states; falls back to the whole layer if the kernel declines."""

    def __init__(self, layer: keras.Layer, inner: keras.Layer, settings: keras.Layer, backend: ModuleType):
        super().__init__(layer)
        self.layer, self.backend = inner, backend
        self.spec = spec_of(settings, training=True)
        self.run = backend.run
        members = getattr(inner, "members", None)
        holder = inner.cell if members is None else inner
        self.weights = [None if w is None else w.value for w in (holder.kernel, holder.recurrent_kernel, holder.bias)]
        self.shape = (settings.units,) if members is None else (members, settings.units)
        self.states = len(settings.state_size)
        self.directions = [self]
        #: What the two directions, and neighbours in a stack, must have in common to run in one call.
        alike = replace(self.spec, go_backwards=False, return_sequences=False)
        self.alike: Hashable = alike, self.shape, holder.bias is None, holder.kernel.value.dtype
        if not self.spec.go_backwards and backend.stacks(self.spec, self.weights[0]):
            self.kind = (1, self.alike)

    def note(self, kernel: str) -> None:
        """Record the name of the kernel that ran."""
        # Keras inspects every attribute that is set, which costs more than this comparison.
        if self.layer.kernel_used != kernel:
            self.layer.kernel_used = kernel

    def __call__(self, x: Any, training: bool) -> Any:
        zeros = self.backend.step.zeros(x, (x.shape[0], *self.shape))
        try:
            output = self.run(x, [zeros] * self.states, None, *self.weights, self.spec)
        except Unsupported:
            # The layer records why, or raises it.
            return self.through_keras(x, training)
        self.note(output.kernel)
        return output.outputs if self.spec.return_sequences else output.last_output

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        return self.layer.kernel_used in self.backend.step.REPLAYED


class _Both(_Call):
    """A Bidirectional layer: two kernels, and the merge of their outputs."""

    def __init__(self, layer: keras.Layer, settings: keras.Layer, both: "list[_Kernel]", backend: ModuleType):
        super().__init__(layer)
        self.directions, self.backend = both, backend
        self.mode, self.every = settings.merge_mode, settings.return_sequences
        ahead, behind = both
        together = ahead.kind is not None and ahead.alike == behind.alike and behind.spec.go_backwards
        if together and self.mode == "concat":
            self.kind = (2, ahead.alike)

    def __call__(self, x: Any, training: bool) -> Any:
        ahead, behind = (call(x, training) for call in self.directions)
        return self.backend.step.merge(ahead, self.backend.step.reverse(behind) if self.every else behind, self.mode)

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        return all(call.replayable for call in self.directions)


class _Stack(_Call):
    """Stacked recurrent layers, in one or two directions, in one call of the backend's loop.

    Args:
        found: The separate calls of these layers, in order.
        backend: The backend's kernel module.
    """

    def __init__(self, found: "Sequence[_Call]", backend: ModuleType):
        super().__init__(*(layer for call in found for layer in call.layers))
        self.kernels = [call.directions for call in found]
        self.spec, self.backend = self.kernels[-1][0].spec, backend
        self.weights = [[kernel.weights for kernel in directions] for directions in self.kernels]

    def __call__(self, x: Any, training: bool) -> Any:
        outputs, kernel = self.backend.stack(x, self.weights, self.spec)
        for directions in self.kernels:
            for direction in directions:
                direction.note(kernel)
        return outputs

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        return all(direction.replayable for directions in self.kernels for direction in directions)
