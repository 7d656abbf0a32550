"""Weights from PyTorch and back: ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` with ``nn.Linear``, as a Keras model here.

A state dict is read as what it is, names and arrays: PyTorch need not be installed, and any Keras backend serves.
:func:`from_torch` builds the model from the shapes, :func:`load_torch` fills one that exists, :func:`to_torch` writes
the weights of a model here under PyTorch's names, as NumPy arrays.

What differs between the two libraries:

=======================  ===========================================  ============================================
                         PyTorch                                      Keras
=======================  ===========================================  ============================================
``nn.RNN``, ``nn.LSTM``  ``weight_ih_l0`` ``(G * units, features)``   ``kernel`` ``(features, G * units)``
gates of an LSTM         i, f, g, o                                   i, f, c, o: the same
gates of a GRU           r, z, n                                      z, r, h; ``reset_after=True`` alone
biases, RNN and LSTM     ``bias_ih_l0`` and ``bias_hh_l0``            one, their sum
biases, GRU              the same two                                 the two rows of ``bias``
a layer of a stack       ``_l0``, ``_l1``, ... of one module          a layer of its own
backward direction       ``_l0_reverse``                              ``Bidirectional.backward_layer``
=======================  ===========================================  ============================================

Bidirectional models: Keras takes each direction's *final* state as the last output, in PyTorch
``torch.cat([h_n[-2], h_n[-1]], dim=1)``. PyTorch's ``out[:, -1]`` is something else: its backward half has read the
last time step alone. A model trained on ``out[:, -1]`` loads, and forecasts differently here.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kseq import layers
from kseq.errors import ConfigError
from kseq.interop._layers import (
    MODULES,
    dense_weights,
    directions_of,
    from_keras,
    skip_of,
    skip_weights,
    to_keras,
    weighted_layers,
)
from kseq.interop._state_dict import CELLS, Array, activation_of, read, state_of
from kseq.models.builders import build_model
from kseq.naming import checked

#: What differs where windows are read in both directions.
BOTH_DIRECTIONS = (
    "received a bidirectional module: Keras takes each direction's final state, in PyTorch torch.cat([h_n[-2], "
    "h_n[-1]], dim=1). A module that forecasts from out[:, -1], whose backward half has read the last time step alone, "
    "gives other forecasts here; train it again, or let it read h_n."
)


@checked("kseq.interop.load_torch")
def load_torch(model: keras.Model, state: Any) -> None:
    """Load a PyTorch state dict into a model of recurrent layers and a Dense head.

    Modules are told by the names and shapes of their weights, whatever attribute they stand under, and are matched
    with the model's layers in order: ``nn.LSTM(..., num_layers=2)``, or two ``nn.LSTM`` modules, fill two layers;
    every ``nn.Linear`` fills a Dense layer. A bias that only the model has becomes zero. The linear map of a model with
    ``skip="linear"`` is the ``nn.Linear`` under the attribute ``skip``, see :func:`to_torch`, or zero without one.

    Args:
        model: A model that a builder here makes, or any Sequential or functional model whose weights are those of
            SimpleRNN, LSTM, GRU (alone or in Bidirectional) and Dense layers.
        state: A PyTorch module, or its ``state_dict()``: tensors, or NumPy arrays, by name; also a checkpoint that
            holds one as ``model_state_dict`` or ``state_dict``.

    Raises:
        ConfigError: Names, shapes or settings do not fit the model, which then keeps the weights it had.

    Example:
        >>> model = build_lstm(features=3, units=64, num_layers=2)  # doctest: +SKIP
        >>> load_torch(model, torch.load("lstm.pt"))  # doctest: +SKIP
    """
    recurrent, linear = read(state_of(state))
    stack, heads = weighted_layers(model)
    skip = skip_of(model)
    maps = [one for one in linear if skip is not None and one.module == "skip"]
    linear = [one for one in linear if one not in maps]
    if (len(recurrent), len(linear)) != (len(stack), len(heads)):
        raise ConfigError(
            f"received a state dict of {len(recurrent)} recurrent layers and {len(linear)} nn.Linear for model "
            f"{model.name!r} of {len(stack)} recurrent and {len(heads)} Dense layers; expected as many of each."
        )
    # All weights are made before any is set: an error leaves the model as it was.
    weights: list[tuple[keras.Layer, list[Array]]] = []
    for theirs, ours in zip(recurrent, stack, strict=True):
        directions = directions_of(ours)
        if len(theirs) != len(directions):
            raise ConfigError(
                f"received {theirs[0].name('weight_ih')} with {len(theirs)} direction(s) for layer {ours.name!r} with "
                f"{len(directions)}; expected bidirectional={len(theirs) == 2} in the model."
            )
        weights += [(layer, to_keras(one, layer)) for one, layer in zip(theirs, directions, strict=True)]
    weights += [(layer, dense_weights(one, layer)) for one, layer in zip(linear, heads, strict=True)]
    if skip is not None:
        weights.append((skip, [skip_weights(maps, skip)]))
    for layer, arrays in weights:
        layer.set_weights(arrays)


@checked("kseq.interop.from_torch")
def from_torch(
    state: Any,
    *,
    lookback: int | None = None,
    activation: str | None = None,
    dropout: float = 0.0,
    return_states: bool = False,
) -> keras.Model:
    """Build the model that a PyTorch module or its state dict belongs to, with its weights.

    Cell, features, units, layers, directions and outputs follow from the shapes. ``model(x)`` is then what PyTorch's
    ``out, _ = lstm(x); fc(out[:, -1])`` gives with ``batch_first=True``; of a bidirectional one what ``fc(torch.cat([
    h_n[-2], h_n[-1]], dim=1))`` gives, which a warning says.

    Args:
        state: A module of recurrent layers of one kind and one ``nn.Linear``, in that order; or its ``state_dict()``,
            or a checkpoint that holds one as ``model_state_dict`` or ``state_dict``.
        lookback: Time steps of an input window; None for any number.
        activation: ``"relu"`` for ``nn.RNN(nonlinearity="relu")``, which no name or shape tells; of a module it is
            found. ``"tanh"`` otherwise.
        dropout: Share of outputs dropped between layers in further training, as ``nn.LSTM(dropout=)``.
        return_states: Also return the last layer's final states, as :func:`kseq.models.builders.build_model` does.

    Returns:
        keras.Model: ``(batch, time, features)`` to ``(batch, outputs of the nn.Linear)``.

    Raises:
        ConfigError: The state dict holds something else.

    Example:
        >>> model = from_torch(module, lookback=24)  # doctest: +SKIP
        >>> model.predict(windows)  # doctest: +SKIP
    """
    names = state_of(state)
    recurrent, linear = read(names)
    if not recurrent or len(linear) != 1:
        raise ConfigError(
            f"received a state dict of {len(recurrent)} recurrent layers and {len(linear)} nn.Linear; expected at "
            "least one and exactly one. Build another model by hand and fill it with load_torch."
        )
    kinds = {(CELLS[direction.gates], len(layer)) for layer in recurrent for direction in layer}
    if len(kinds) > 1:
        found = ", ".join(f"{cell} in {count} direction(s)" for cell, count in sorted(kinds))
        raise ConfigError(
            f"received a state dict that mixes {found}; expected layers of one kind. Build the model by hand and fill "
            "it with load_torch."
        )
    ((cell, directions),) = kinds
    if directions == 2:
        warnings.warn(BOTH_DIRECTIONS, UserWarning, stacklevel=2)
    model = build_model(
        cell,
        lookback=lookback,
        features=recurrent[0][0].weight_ih.shape[1],
        horizon=linear[0].weight.shape[0],
        units=[layer[0].units for layer in recurrent],
        dropout=dropout,
        bidirectional=directions == 2,
        return_states=return_states,
        activation=activation or activation_of(state),
        use_bias=any(direction.bias_ih is not None for layer in recurrent for direction in layer),
    )
    load_torch(model, names)
    return model


@checked("kseq.interop.to_torch")
def to_torch(
    model: keras.Model, recurrent: str | Sequence[str] | None = None, linear: str | Sequence[str] = "fc"
) -> dict[str, Array]:
    """Write a model's weights under the names of a PyTorch state dict.

    The one bias of a SimpleRNN or LSTM goes into ``bias_ih``, zeros into ``bias_hh``. Layers without a bias write
    none, as ``nn.LSTM(bias=False)`` has none. The linear map of a model with ``skip="linear"`` is written as
    ``skip.weight``, of an ``nn.Linear(lookback * features, outputs, bias=False)``: the module forecasts
    ``fc(h) + skip(x.flatten(1))``. A SimpleRNN with relu is an ``nn.RNN(nonlinearity="relu")``, which the
    arrays do not tell.

    Args:
        model: The Keras model, as for :func:`load_torch`.
        recurrent: The attribute of the PyTorch module, for a stack of equal layers (``num_layers``); or one name a
            layer, for modules of their own. By default ``"rnn"``, ``"lstm"`` or ``"gru"``. ``""`` writes the names of
            a bare module.
        linear: The attribute of the ``nn.Linear``, or one name for each Dense layer.

    Returns:
        dict[str, numpy.ndarray]: Arrays by name, in the model's number type.

    Raises:
        ConfigError: PyTorch has no such model, or the names are too few or too many.

    Example:
        >>> state = {name: torch.from_numpy(array) for name, array in to_torch(model).items()}  # doctest: +SKIP
        >>> lstm_model.load_state_dict(state)  # doctest: +SKIP
    """
    stack, heads = weighted_layers(model)
    state: dict[str, Array] = {}
    for layer, (module, number) in zip(stack, _places(stack, recurrent), strict=True):
        for direction, suffix in zip(directions_of(layer), ("", "_reverse"), strict=False):
            for kind, array in from_keras(direction).items():
                _put(state, module, f"{kind}_l{number}{suffix}", array)
    names = [linear] * min(len(heads), 1) if isinstance(linear, str) else list(linear)
    if len(names) != len(heads):
        raise ConfigError(f"received linear {linear!r} for {len(heads)} Dense layers, expected one name for each.")
    for head, name in zip(heads, names, strict=True):
        kernel, *bias = map(keras.ops.convert_to_numpy, head.weights)
        _put(state, name, "weight", np.ascontiguousarray(kernel.T))
        if bias:
            _put(state, name, "bias", bias[0].copy())
    skip = skip_of(model)
    if skip is not None:
        kernel = keras.ops.convert_to_numpy(skip.kernel)
        _put(state, "skip", "weight", np.ascontiguousarray(kernel.reshape(-1, kernel.shape[-1]).T))
    return state


def _places(stack: list[keras.Layer], recurrent: str | Sequence[str] | None) -> list[tuple[str, int]]:
    """Module and number of every recurrent layer in a state dict that is to be written."""
    if not isinstance(recurrent, str | None):
        if len(recurrent) != len(stack):
            raise ConfigError(
                f"received {len(recurrent)} names for {len(stack)} recurrent layers, expected one for each."
            )
        return [(module, 0) for module in recurrent]
    # What has to be the same for all directions of all layers of one module.
    kinds = set()
    for layer in stack:
        directions = directions_of(layer)
        for one in directions:
            spec = layers.spec_of(one)
            kinds.add((spec.cell, spec.activation, one.units, one.use_bias, len(directions)))
    if len(kinds) > 1:
        raise ConfigError(
            f"received a model of different recurrent layers, {[layer.name for layer in stack]}, which no single "
            "PyTorch module holds; give recurrent= one name for each."
        )
    modules = [MODULES[cell] if recurrent is None else recurrent for cell, *_ in kinds]
    return [(module, number) for module in modules for number in range(len(stack))]


def _put(state: dict[str, Array], module: str, kind: str, array: Array) -> None:
    name = f"{module}.{kind}" if module else kind
    if name in state:
        raise ConfigError(f"received module name {module!r} twice, expected another name for each module.")
    state[name] = array
