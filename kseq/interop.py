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

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq import layers
from kseq.errors import ConfigError
from kseq.layers import Ensemble
from kseq.models.builders import build_model
from kseq.naming import checked

Array = np.ndarray

#: Under what checkpoints keep a state dict, the usual name first.
_HOLDERS = ("model_state_dict", "state_dict", "model_state", "model", "net", "network", "weights")

#: What differs where windows are read in both directions.
BOTH_DIRECTIONS = (
    "received a bidirectional module: Keras takes each direction's final state, in PyTorch torch.cat([h_n[-2], "
    "h_n[-1]], dim=1). A module that forecasts from out[:, -1], whose backward half has read the last time step alone, "
    "gives other forecasts here; train it again, or let it read h_n."
)

_NAME = re.compile(r"(?:(?P<module>.+)\.)?(?P<kind>(?:weight|bias)_(?:ih|hh))_l(?P<number>\d+)(?P<reverse>_reverse)?")
_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

#: Where each of Keras's gates lies among PyTorch's, by cell. Each order is its own reverse.
_GATES = {"simple_rnn": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}
_CELLS = {1: "rnn", 4: "lstm", 3: "gru"}
_MODULES = {"simple_rnn": "rnn", "lstm": "lstm", "gru": "gru"}


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
        ConfigError: names, shapes or settings do not fit the model, which then keeps the weights it had.

    Example:
        >>> model = build_lstm(features=3, units=64, num_layers=2)  # doctest: +SKIP
        >>> load_torch(model, torch.load("lstm.pt"))  # doctest: +SKIP
    """
    recurrent, linear = _read(_state_of(state))
    stack, heads = _weighted_layers(model)
    skip = _skip_of(model)
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
        directions = _directions(ours)
        if len(theirs) != len(directions):
            raise ConfigError(
                f"received {theirs[0].name('weight_ih')} with {len(theirs)} direction(s) for layer {ours.name!r} with "
                f"{len(directions)}; expected bidirectional={len(theirs) == 2} in the model."
            )
        weights += [(layer, _to_keras(one, layer)) for one, layer in zip(theirs, directions, strict=True)]
    weights += [(layer, _dense_weights(one, layer)) for one, layer in zip(linear, heads, strict=True)]
    if skip is not None:
        weights.append((skip, [_skip_weights(maps, skip)]))
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
        lookback: time steps of an input window; None for any number.
        activation: ``"relu"`` for ``nn.RNN(nonlinearity="relu")``, which no name or shape tells; of a module it is
            found. ``"tanh"`` otherwise.
        dropout: share of outputs dropped between layers in further training, as ``nn.LSTM(dropout=)``.
        return_states: also return the last layer's final states, as :func:`kseq.models.builders.build_model` does.

    Returns:
        keras.Model: ``(batch, time, features)`` to ``(batch, outputs of the nn.Linear)``.

    Raises:
        ConfigError: the state dict holds something else.

    Example:
        >>> model = from_torch(module, lookback=24)  # doctest: +SKIP
        >>> model.predict(windows)  # doctest: +SKIP
    """
    names = _state_of(state)
    recurrent, linear = _read(names)
    if not recurrent or len(linear) != 1:
        raise ConfigError(
            f"received a state dict of {len(recurrent)} recurrent layers and {len(linear)} nn.Linear; expected at "
            "least one and exactly one. Build another model by hand and fill it with load_torch."
        )
    kinds = {(_CELLS[direction.gates], len(layer)) for layer in recurrent for direction in layer}
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
        activation=activation or _activation_of(state),
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
        recurrent: the attribute of the PyTorch module, for a stack of equal layers (``num_layers``); or one name a
            layer, for modules of their own. By default ``"rnn"``, ``"lstm"`` or ``"gru"``. ``""`` writes the names of
            a bare module.
        linear: the attribute of the ``nn.Linear``, or one name for each Dense layer.

    Returns:
        dict[str, numpy.ndarray]: arrays by name, in the model's number type.

    Raises:
        ConfigError: PyTorch has no such model, or the names are too few or too many.

    Example:
        >>> state = {name: torch.from_numpy(array) for name, array in to_torch(model).items()}  # doctest: +SKIP
        >>> lstm_model.load_state_dict(state)  # doctest: +SKIP
    """
    stack, heads = _weighted_layers(model)
    state: dict[str, Array] = {}
    for layer, (module, number) in zip(stack, _places(stack, recurrent), strict=True):
        for direction, suffix in zip(_directions(layer), ("", "_reverse"), strict=False):
            for kind, array in _from_keras(direction).items():
                _put(state, module, f"{kind}_l{number}{suffix}", array)
    names = [linear] * min(len(heads), 1) if isinstance(linear, str) else list(linear)
    if len(names) != len(heads):
        raise ConfigError(f"received linear {linear!r} for {len(heads)} Dense layers, expected one name for each.")
    for head, name in zip(heads, names, strict=True):
        kernel, *bias = map(keras.ops.convert_to_numpy, head.weights)
        _put(state, name, "weight", np.ascontiguousarray(kernel.T))
        if bias:
            _put(state, name, "bias", bias[0].copy())
    skip = _skip_of(model)
    if skip is not None:
        kernel = keras.ops.convert_to_numpy(skip.kernel)
        _put(state, "skip", "weight", np.ascontiguousarray(kernel.reshape(-1, kernel.shape[-1]).T))
    return state


# PyTorch's side


@dataclass
class _Direction:
    """One direction of one recurrent layer, in PyTorch's layouts; ``place`` is ``"lstm.{}_l0"``."""

    place: str
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None
    bias_hh: Array | None

    def name(self, kind: str) -> str:
        return self.place.format(kind)

    @property
    def units(self) -> int:
        return self.weight_hh.shape[1]

    @property
    def gates(self) -> int:
        return self.weight_hh.shape[0] // self.units


@dataclass
class _Linear:
    """An ``nn.Linear``."""

    module: str
    weight: Array
    bias: Array | None


def _state_of(given: Any) -> Mapping[str, Any]:
    """The state dict of a module, of a checkpoint that holds one, or as it is given."""
    if hasattr(given, "state_dict"):
        return given.state_dict()
    if not isinstance(given, Mapping):
        hint = "torch.load of it" if isinstance(given, str | os.PathLike) else "module.state_dict()"
        raise ConfigError(
            f"received type {type(given).__name__}, expected a PyTorch module, its state dict, or a checkpoint that "
            f"holds one; give {hint}."
        )
    inside = [
        name for name in _HOLDERS if isinstance(given.get(name), Mapping) or hasattr(given.get(name), "state_dict")
    ]
    return _state_of(given[inside[0]]) if inside else given


def _activation_of(given: Any) -> str:
    """The activation of a module's ``nn.RNN``; of names and arrays alone, tanh."""
    modules = given.modules() if hasattr(given, "modules") else ()
    return next((module.nonlinearity for module in modules if hasattr(module, "nonlinearity")), "tanh")


def _read(state: Mapping[str, Any]) -> tuple[list[list[_Direction]], list[_Linear]]:
    """Sort a state dict into recurrent layers, each one or two directions, and ``nn.Linear`` modules."""
    recurrent: dict[str, dict[tuple[int, bool], dict[str, Array]]] = {}
    linear: dict[str, dict[str, Array]] = {}
    for name, value in state.items():
        array = _numpy(name, value)
        match = _NAME.fullmatch(name)
        module, _, kind = name.rpartition(".")
        if match:
            places = recurrent.setdefault(match["module"] or "", {})
            places.setdefault((int(match["number"]), bool(match["reverse"])), {})[match["kind"]] = array
        elif (kind, array.ndim) in (("weight", 2), ("bias", 1)):
            linear.setdefault(module, {})[kind] = array
        else:
            raise ConfigError(
                f"received {name!r} of shape {array.shape} in the state dict; expected weights of nn.RNN, nn.LSTM or "
                "nn.GRU (without proj_size) and of nn.Linear alone. Pass the entries of those modules."
            )
    for module, parts in linear.items():
        if "weight" not in parts:
            raise ConfigError(f"received {module}.bias without {module}.weight; expected an nn.Linear with both.")
    return (
        [layer for module, places in recurrent.items() for layer in _module_layers(module, places)],
        [_Linear(module, parts["weight"], parts.get("bias")) for module, parts in linear.items()],
    )


def _numpy(name: str, value: Any) -> Array:
    """Turn a tensor of PyTorch, on any device, or what NumPy can read into an array of real numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # A type that NumPy lacks.
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise ConfigError(f"received {name!r} of type {array.dtype} in the state dict, expected floating numbers.")
    return array


def _module_layers(module: str, places: dict[tuple[int, bool], dict[str, Array]]) -> list[list[_Direction]]:
    """Check the weights of one nn.RNN, nn.LSTM or nn.GRU and put its layers in order."""
    both = any(reverse for _, reverse in places)
    result = []
    for number in range(max(number for number, _ in places) + 1):
        directions = []
        for reverse in (False, True) if both else (False,):
            place = f"{module}.{{}}_l{number}" if module else f"{{}}_l{number}"
            place += "_reverse" if reverse else ""
            parts = places.get((number, reverse), {})
            # A module has both biases or none.
            needed = _KINDS if parts.keys() & {"bias_ih", "bias_hh"} else _KINDS[:2]
            missing = [kind for kind in needed if kind not in parts]
            if missing:
                names = ", ".join(place.format(kind) for kind in missing)
                raise ConfigError(f"received a state dict without {names}; expected all weights of a module.")
            direction = _Direction(place, *(parts.get(kind) for kind in _KINDS))  # type: ignore[arg-type]
            _check_shapes(direction)
            directions.append(direction)
        result.append(directions)
    return result


def _check_shapes(direction: _Direction) -> None:
    weight_hh = direction.weight_hh
    fits = weight_hh.ndim == 2 and weight_hh.shape[0] in [gates * weight_hh.shape[1] for gates in _CELLS]
    if not fits or not weight_hh.size:
        raise ConfigError(
            f"received {direction.name('weight_hh')} of shape {weight_hh.shape}; expected (G * units, units) with G = "
            "1 (nn.RNN), 3 (nn.GRU) or 4 (nn.LSTM)."
        )
    rows = len(weight_hh)
    if direction.weight_ih.ndim != 2 or direction.weight_ih.shape[0] != rows:
        raise ConfigError(
            f"received {direction.name('weight_ih')} of shape {direction.weight_ih.shape}, expected ({rows}, features)."
        )
    for kind, bias in (("bias_ih", direction.bias_ih), ("bias_hh", direction.bias_hh)):
        if bias is not None and bias.shape != (rows,):
            raise ConfigError(f"received {direction.name(kind)} of shape {bias.shape}, expected ({rows},).")


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
        directions = _directions(layer)
        for one in directions:
            spec = layers.spec_of(one)
            kinds.add((spec.cell, spec.activation, one.units, one.use_bias, len(directions)))
    if len(kinds) > 1:
        raise ConfigError(
            f"received a model of different recurrent layers, {[layer.name for layer in stack]}, which no single "
            "PyTorch module holds; give recurrent= one name for each."
        )
    modules = [_MODULES[cell] if recurrent is None else recurrent for cell, *_ in kinds]
    return [(module, number) for module in modules for number in range(len(stack))]


def _put(state: dict[str, Array], module: str, kind: str, array: Array) -> None:
    name = f"{module}.{kind}" if module else kind
    if name in state:
        raise ConfigError(f"received module name {module!r} twice, expected another name for each module.")
    state[name] = array


# Keras's side


def _weighted_layers(model: keras.Model) -> tuple[list[keras.Layer], list[keras.Layer]]:
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
        elif layer.weights and layer is not _skip_of(model):
            raise ConfigError(
                f"received layer {layer.name!r}, a {type(layer).__name__} with weights; expected SimpleRNN, LSTM, GRU, "
                "Bidirectional and Dense layers."
            )
    return stack, heads


def _skip_of(model: keras.Model) -> keras.Layer | None:
    """The linear map of the window in a model with ``skip="linear"``, or None."""
    kind = keras.layers.EinsumDense
    return next((one for one in model.layers if isinstance(one, kind) and one.name == "skip"), None)


def _skip_weights(maps: list["_Linear"], skip: keras.layers.EinsumDense) -> Array:
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


def _directions(layer: keras.Layer) -> list[keras.Layer]:
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


def _to_keras(theirs: _Direction, layer: keras.Layer) -> list[Array]:
    """Weights for a Keras layer, from one direction of a PyTorch layer."""
    cell = layers.spec_of(layer).cell
    expected = [tuple(weight.shape) for weight in layer.weights]
    for kind, array, shape in zip(_KINDS, (theirs.weight_ih, theirs.weight_hh), expected, strict=False):
        if theirs.gates != len(_GATES[cell]) or array.shape != shape[::-1]:
            raise ConfigError(
                f"received {theirs.name(kind)} of shape {array.shape}, of nn.{_CELLS[theirs.gates].upper()} by its "
                f"gates; expected {shape[::-1]} of nn.{_MODULES[cell].upper()} for layer {layer.name!r}."
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


def _from_keras(layer: keras.Layer) -> dict[str, Array]:
    """One direction's weights in PyTorch's layouts, by kind."""
    cell = layers.spec_of(layer).cell
    kernel, recurrent_kernel, *bias = map(keras.ops.convert_to_numpy, layer.weights)
    arrays = [_regate(kernel.T, cell), _regate(recurrent_kernel.T, cell)]
    if bias:
        rows = bias[0] if cell == "gru" else (bias[0], np.zeros_like(bias[0]))
        arrays += [_regate(row, cell) for row in rows]
    return {kind: np.ascontiguousarray(array) for kind, array in zip(_KINDS, arrays, strict=False)}


def _dense_weights(theirs: _Linear, layer: keras.Layer) -> list[Array]:
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
