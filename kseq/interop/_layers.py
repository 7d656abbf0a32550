"""Keras's side: the layers that PyTorch has too, and their weights in either library's layout."""

import keras
import numpy as np

from kseq import layers
from kseq.errors import ConfigError
from kseq.interop._state_dict import CELLS, KINDS, Array, Direction, Linear
from kseq.layers import Ensemble

#: Where each of Keras's gates lies among PyTorch's, by cell. Each order is its own reverse.
_GATES = {"simple_rnn": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}
MODULES = {"simple_rnn": "rnn", "lstm": "lstm", "gru": "gru"}


def weighted_layers(model: keras.Model) -> tuple[list[keras.Layer], list[keras.Layer]]:
    """Recurrent and Dense layers of a model, each in order; it may hold no other weights."""
    if not isinstance(model, keras.Model):
        raise ConfigError(f"received a model of type {type(model).__name__}, expected a keras.Model.")
    stack, heads = [], []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            heads.append(layer)
        elif isinstance(layer, Ensemble):
            raise ConfigError(
                f"received model {model.name!r} of several members; expected a single one, as split_members gives."
            )
        elif isinstance(layer, keras.layers.Bidirectional) or _is_recurrent(layer):
            stack.append(layer)
        elif layer.weights and layer is not skip_of(model):
            raise ConfigError(
                f"received layer {layer.name!r}, a {type(layer).__name__} with weights; expected SimpleRNN, LSTM, GRU, "
                "Bidirectional and Dense layers."
            )
    return stack, heads


def skip_of(model: keras.Model) -> keras.Layer | None:
    """The linear map of the window in a model with ``skip="linear"``, or None."""
    kind = keras.layers.EinsumDense
    return next((one for one in model.layers if isinstance(one, kind) and one.name == "skip"), None)


def skip_weights(maps: list[Linear], skip: keras.layers.EinsumDense) -> Array:
    """The kernel of a linear map out of an ``nn.Linear`` of flat windows, zeros out of none."""
    shape = tuple(skip.kernel.shape)
    if not maps:
        return np.zeros(shape)
    weight, flat = maps[0].weight, (shape[2], shape[0] * shape[1])
    if weight.shape != flat or maps[0].bias is not None:
        raise ConfigError(
            f"received skip.weight of shape {weight.shape}, expected {flat} without a bias: "
            f"nn.Linear({flat[1]}, {flat[0]}, bias=False) of the flat window."
        )
    return weight.T.reshape(shape)


def _is_recurrent(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.SimpleRNN | keras.layers.LSTM | keras.layers.GRU)


def directions_of(layer: keras.Layer) -> list[keras.Layer]:
    """Forward layer and, of a Bidirectional, backward layer: both such as PyTorch has."""
    both = isinstance(layer, keras.layers.Bidirectional)
    if both and layer.merge_mode != "concat":
        raise ConfigError(f"received layer {layer.name!r} with merge_mode={layer.merge_mode!r}, expected 'concat'.")
    directions = [layer.forward_layer, layer.backward_layer] if both else [layer]
    for one, backwards in zip(directions, (False, True), strict=False):
        if not _is_recurrent(one):
            raise ConfigError(f"received a {type(one).__name__} in {layer.name!r}, expected SimpleRNN, LSTM or GRU.")
        spec = layers.spec_of(one)
        wanted = {
            "activation": ("tanh", "relu") if spec.cell == "simple_rnn" else ("tanh",),
            "recurrent_activation": (None,) if spec.cell == "simple_rnn" else ("sigmoid",),
            "reset_after": (True,),
            "go_backwards": (backwards,),
        }
        for setting, values in wanted.items():
            found = getattr(spec, setting)
            if found not in values:
                expected = " or ".join(map(repr, values))
                raise ConfigError(
                    f"received layer {one.name!r} with {setting}={found!r}, expected {expected} as in PyTorch."
                )
    return directions


def _regate(array: Array, cell: str) -> Array:
    """Take the gates, along the first axis, from one library's order to the other's."""
    gates = np.split(array, len(_GATES[cell]))
    return np.concatenate([gates[number] for number in _GATES[cell]])


def to_keras(theirs: Direction, layer: keras.Layer) -> list[Array]:
    """Weights for a Keras layer, from one direction of a PyTorch layer."""
    cell = layers.spec_of(layer).cell
    expected = [tuple(weight.shape) for weight in layer.weights]
    for kind, array, shape in zip(KINDS, (theirs.weight_ih, theirs.weight_hh), expected, strict=False):
        if theirs.gates != len(_GATES[cell]) or array.shape != shape[::-1]:
            raise ConfigError(
                f"received {theirs.name(kind)} of shape {array.shape}, of nn.{CELLS[theirs.gates].upper()} by its "
                f"gates; expected {shape[::-1]} of nn.{MODULES[cell].upper()} for layer {layer.name!r}."
            )
    weights = [_regate(theirs.weight_ih, cell).T, _regate(theirs.weight_hh, cell).T]
    if not layer.use_bias:
        if theirs.bias_ih is not None:
            raise ConfigError(
                f"received {theirs.name('bias_ih')} for layer {layer.name!r} of use_bias=False, expected use_bias=True."
            )
        return weights
    if theirs.bias_ih is None or theirs.bias_hh is None:
        return [*weights, np.zeros(expected[2])]
    biases = np.stack([_regate(theirs.bias_ih, cell), _regate(theirs.bias_hh, cell)])
    return [*weights, biases if cell == "gru" else biases.sum(0)]


def from_keras(layer: keras.Layer) -> dict[str, Array]:
    """One direction's weights in PyTorch's layouts, by kind."""
    cell = layers.spec_of(layer).cell
    kernel, recurrent_kernel, *bias = map(keras.ops.convert_to_numpy, layer.weights)
    arrays = [_regate(kernel.T, cell), _regate(recurrent_kernel.T, cell)]
    if bias:
        rows = bias[0] if cell == "gru" else (bias[0], np.zeros_like(bias[0]))
        arrays += [_regate(row, cell) for row in rows]
    return {kind: np.ascontiguousarray(array) for kind, array in zip(KINDS, arrays, strict=False)}


def dense_weights(theirs: Linear, layer: keras.Layer) -> list[Array]:
    """Weights for a Dense layer."""
    kernel, *bias = (tuple(weight.shape) for weight in layer.weights)
    name = f"{theirs.module}." if theirs.module else ""
    if theirs.weight.shape != kernel[::-1]:
        raise ConfigError(
            f"received {name}weight of shape {theirs.weight.shape}, expected {kernel[::-1]} for layer {layer.name!r}."
        )
    if not bias:
        if theirs.bias is not None:
            raise ConfigError(
                f"received {name}bias for layer {layer.name!r} with use_bias=False; expected use_bias=True."
            )
        return [theirs.weight.T]
    if theirs.bias is None:
        return [theirs.weight.T, np.zeros(bias[0])]
    if theirs.bias.shape != bias[0]:
        raise ConfigError(f"received {name}bias of shape {theirs.bias.shape}, expected {bias[0]}.")
    return [theirs.weight.T, theirs.bias]
