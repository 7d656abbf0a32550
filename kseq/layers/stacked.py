"""The layers inside an ``Ensemble``: the computation of a wrapped layer on S stacked sets of weights.

Each member computes what the wrapped layer, created with the member's seed, computes: it has the same initial weights,
the same dropout masks, and the same operations on its slice of every array.
"""

from typing import Any

import keras
from keras import ops

from kseq.errors import ConfigError
from kseq.layers._stacked_layers import Stacked, StackedDense, StackedDropout, StackedLinear
from kseq.layers._stacked_recurrent import StackedRecurrent
from kseq.layers.cells import GRU, LSTM, SimpleRNN

#: The layers that :class:`StackedRecurrent` computes, the most derived first.
_RECURRENT = (SimpleRNN, LSTM, GRU, keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU)


def stack(layer: keras.Layer, members: int, seeds: list[int]) -> keras.Layer:
    """Return the layer that runs ``members`` copies of ``layer``.

    Raises:
        ConfigError: The layer is of no class that can be stacked, is built, or has code of its own.
    """
    kinds: dict[type, type[Stacked]] = {
        keras.layers.Bidirectional: _Bidirectional,
        **dict.fromkeys(_RECURRENT, StackedRecurrent),
        keras.layers.Dense: StackedDense,
        keras.layers.EinsumDense: StackedLinear,
        keras.layers.Dropout: StackedDropout,
    }
    expected = "expected SimpleRNN, LSTM, GRU, Bidirectional, Dense, EinsumDense of windows or Dropout."
    kind = next((kind for kind in type(layer).__mro__ if kind in kinds), None)
    if kind is None:
        raise ConfigError(f"received a {type(layer).__name__} to run in members, {expected}")
    own = _own_method(type(layer), kind)
    if own is not None:
        raise ConfigError(
            f"received {layer.name!r}, a {type(layer).__name__} with a {own}() of its own that members would not run; "
            f"{expected}"
        )
    if layer.built and layer.weights:
        raise ConfigError(f"received {layer.name!r} with weights already made, expected a layer not built yet.")
    return kinds[kind](layer, members, seeds, dtype=layer.dtype_policy, name=f"stacked_{layer.name}")


def _own_method(kind: type, known: type) -> str | None:
    """Name a method of computation that a class, or one between it and its base ``known``, defines; None without."""
    between = kind.__mro__[: kind.__mro__.index(known)]
    return next((name for part in between for name in ("build", "call", "inner_loop") if name in vars(part)), None)


class _Bidirectional(Stacked):
    """Two stacked layers, forward and backward in time, merged as in Keras's Bidirectional."""

    def __init__(self, layer: keras.Layer, members: int, seeds: list[int], **kwargs: Any):
        super().__init__(layer, members, seeds, **kwargs)
        self.ahead = stack(layer.forward_layer, members, seeds)
        self.behind = stack(layer.backward_layer, members, seeds)

    def parts(self) -> tuple[Stacked, ...]:
        return (self.ahead, self.behind)

    def build(self, input_shape: tuple) -> None:
        self.ahead.build(input_shape)
        self.behind.build(input_shape)
        self.built = True

    @property
    def kernel_used(self) -> str | None:
        return self.ahead.kernel_used

    def compute_output_shape(self, input_shape: tuple) -> Any:
        forward = self.ahead.compute_output_shape(input_shape)
        backward = self.behind.compute_output_shape(input_shape)
        states: tuple = ()
        if self.template.return_state:
            (forward, *ahead), (_, *back) = forward, backward
            states = (*ahead, *back)
        if self.template.merge_mode == "concat":
            merged: Any = (*forward[:-1], 2 * forward[-1])
        elif self.template.merge_mode is None:
            merged = (forward, forward)
        else:
            merged = forward
        if not states:
            return merged
        return (*merged, *states) if self.template.merge_mode is None else (merged, *states)

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        forward = self.ahead(inputs, mask=mask, training=training)
        backward = self.behind(inputs, mask=mask, training=training)
        states: tuple = ()
        if self.template.return_state:
            (forward, *ahead), (backward, *back) = forward, backward
            states = (*ahead, *back)
        if self.template.return_sequences:
            backward = ops.flip(backward, axis=2)
        mode = self.template.merge_mode
        if mode == "concat":
            merged: tuple = (ops.concatenate([forward, backward], axis=-1),)
        elif mode is None:
            merged = (forward, backward)
        else:
            merged = ({"sum": ops.add, "mul": ops.multiply, "ave": ops.add}[mode](forward, backward),)
            merged = (merged[0] / 2,) if mode == "ave" else merged
        return (*merged, *states) if len(merged) + len(states) > 1 else merged[0]
