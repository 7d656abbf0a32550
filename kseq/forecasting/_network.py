"""The network that a card describes: its shape, without Keras; and the network itself, of weights from a file.

A ``.keras`` file says three times what its network is: in kseq's card, in Keras's ``config.json`` and by the arrays of
``model.weights.h5``. A :class:`Plan` is what the card says. The other two must say the same, and are refused otherwise.
The network is then built from the plan by kseq's own builder, and filled with the arrays that were checked: Keras is
asked to build nothing that stands in a file, and opens no file.

``model.weights.h5`` is laid out as Keras 3 does: a group a layer, called by its class, and in it arrays ``vars/0``,
``vars/1``... in the order of the layer's weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from kseq.errors import ConfigError
from kseq.forecasting._archive import Refused
from kseq.forecasting.card import quantiles_in
from kseq.models.parameter_counts import layer_widths
from kseq.settings import CELL_NAMES

if TYPE_CHECKING:
    import keras

#: Classes that a config may name, by module.
CLASSES: dict[str | None, set[str]] = {
    "keras": {"DTypePolicy"},
    "keras.src.models.functional": {"Functional"},
    "keras.layers": {
        "InputLayer",
        "SimpleRNN",
        "LSTM",
        "GRU",
        "Bidirectional",
        "Dense",
        "Dropout",
        "Average",
        "EinsumDense",
        "Add",
    },
    "keras.initializers": {"GlorotUniform", "Orthogonal", "OrthogonalInitializer", "Zeros"},
    # A tensor between two layers, by the name of the layer that it leaves.
    None: {"__keras_tensor__"},
}

#: Gates of each cell, and the class name that Keras derives names of groups from.
_GATES = {"rnn": (1, "simple_rnn"), "lstm": (4, "lstm"), "gru": (3, "gru")}

#: Bytes that an array takes in HDF5 besides its numbers: at least, and at most with the groups around it. And bytes of
#: the file besides all arrays.
_LEAST, _MOST, _REST = 100, 2**15, 2**20

#: Settings of a recurrent layer that kseq's builders leave as Keras has them, and that forecasts follow.
_RECURRENT = {
    "return_state": False, "stateful": False, "activation": "tanh", "use_bias": True,
}  # fmt: skip
_GATED = {"recurrent_activation": "sigmoid"}
#: Settings that a config holds besides, on which forecasts do not depend.
_FREE = {
    "name", "trainable", "ragged", "optional", "unroll", "zero_output_for_mask", "unit_forget_bias", "dropout",
    "recurrent_dropout", "seed", "rate", "noise_shape", "activity_regularizer", "layers", "input_layers",
    "output_layers",
    *(f"{weight}_{kind}" for weight in ("kernel", "recurrent", "bias")
      for kind in ("initializer", "regularizer", "constraint")),
}  # fmt: skip
_FLOAT32 = {"class_name": "DTypePolicy", "config": {"name": "float32"}}


@dataclass(frozen=True)
class Plan:
    """What a network is, as the settings of its card imply.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        widths: Units of each recurrent layer.
        bidirectional: Whether each layer reads windows in both directions.
        dropout: Share that is dropped between layers.
        lookback: Time steps of an input window.
        features: Columns of an input window.
        outputs: Numbers that it forecasts, ``horizon * targets``, of quantiles so many of each.
        networks: Number of networks that are averaged.
        skip: ``"linear"`` where a linear map of the window is added to each network's forecast, ``"none"`` elsewhere.
    """

    cell: str
    widths: tuple[int, ...]
    bidirectional: bool
    dropout: float
    lookback: int
    features: int
    outputs: int
    networks: int
    skip: str = "none"

    @classmethod
    def of(cls, settings: Mapping[str, Any], features: int, targets: int, networks: int) -> "Plan":
        """The plan that settings imply.

        Args:
            settings: Those of a card.
            features: Columns that the network reads.
            targets: Columns that it forecasts.
            networks: Seeds of which the mean is taken.

        Raises:
            Refused: Its units and its number of layers do not belong together.
        """
        units, layers = settings["units"], settings["num_layers"]
        try:
            widths = tuple(layer_widths(units, layers))
        except ConfigError as error:
            raise Refused(str(error)) from error
        outputs = int(settings["horizon"]) * targets * max(1, len(quantiles_in(settings)))
        return cls(
            settings["cells"][0], widths, settings["bidirectional"], float(settings["dropout"]),
            int(settings["lookback"]), features, outputs, networks, settings.get("skip", "none"),
        )  # fmt: skip

    @property
    def weights(self) -> list[tuple[str, tuple[int, ...]]]:
        """Path in the file and shape of each array, in the order of ``keras.Model.weights``."""
        if self.networks == 1:
            return [(f"layers/{path}", shape) for path, shape in self._of_one()]
        return [
            (f"layers/functional{f'_{number}' * (number > 0)}/layers/{path}", shape)
            for number in range(self.networks)
            for path, shape in self._of_one()
        ]

    def _of_one(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        gates, name = _GATES[self.cell]
        width = self.features
        for number, own in enumerate(self.widths):
            bias = (2, gates * own) if self.cell == "gru" else (gates * own,)
            shapes = (width, gates * own), (own, gates * own), bias
            after = f"_{number}" * (number > 0)
            places = [f"{name}{after}"]
            if self.bidirectional:
                places = [f"bidirectional{after}/{side}_layer" for side in ("forward", "backward")]
            for place in places:
                for variable, shape in enumerate(shapes):
                    yield f"{place}/cell/vars/{variable}", shape
            width = own * len(places)
        yield "dense/vars/0", (width, self.outputs)
        yield "dense/vars/1", (self.outputs,)
        if self.skip == "linear":
            yield "einsum_dense/vars/0", (self.lookback, self.features, self.outputs)

    def bytes(self, name: str, size: int) -> int:
        """Bytes of all weights.

        Raises:
            Refused: A file of ``size`` bytes cannot hold them, or holds far more; ``name`` is what it is called.
        """
        count = self.networks * (3 * len(self.widths) * (1 + self.bidirectional) + 2 + (self.skip == "linear"))
        least = 4 * self.networks * sum(prod(shape) for _, shape in self._of_one())
        if not least + _LEAST * count <= size <= least + _MOST * count + _REST:
            raise Refused(
                f"{name} holds {size:,} bytes, expected about {least + _LEAST * count:,} for {self._described}"
            )
        return least

    @property
    def _described(self) -> str:
        units = ", ".join(map(str, self.widths[:3])) + ", ..." * (len(self.widths) > 3)
        several = f"{self.networks} x " * (self.networks > 1)
        return f"{several}{CELL_NAMES[self.cell]} of {units} units, {self.features} inputs and {self.outputs} outputs"


def require_config(config: Any, plan: Plan) -> None:
    """Refuse a ``config.json`` that describes another network than a plan.

    Args:
        config: The parsed JSON, of bounded depth.
        plan: The network that it must describe.

    Raises:
        Refused: It does, or it names a class that kseq does not save.
    """
    for part in _parts(config):
        if part.get("compile_config"):
            raise Refused("config.json: the model is compiled, expected one that is not")
        kind, module = part.get("class_name"), part.get("module")
        if kind is None and module is None:
            continue
        known = CLASSES.get(module, set()) if module is None or isinstance(module, str) else set()
        if not isinstance(kind, str) or kind not in known or part.get("registered_name") not in (None, kind):
            raise Refused(f"config.json: {shown(module)}.{shown(kind)} is none of the layers that kseq saves")
    if plan.networks == 1:
        _require_stack(config, plan, "config.json")
        return
    inner = [_part(config, f"config.layers.{number + 1}", "config.json") for number in range(plan.networks)]
    for number, network in enumerate(inner):
        _require_stack(network, plan, f"config.json: config.layers.{number + 1}")
    mean = {"class_name": "Average", "config": {"dtype": _FLOAT32}}
    _require_layers(config, [_input(plan), *({"class_name": "Functional"} for _ in inner), mean],
                    "config.json", averaged=True)  # fmt: skip


def shown(value: Any) -> str:
    """A value of a file for a message, its first sixty letters."""
    return str(value)[:60]


def _parts(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every dictionary in a config, however deep."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _part(value: Any, path: str, where: str) -> Any:
    """What stands at a path of names and numbers."""
    for key in path.split("."):
        place: Any = int(key) if key.isdigit() else key
        there = place in value if isinstance(value, dict) else isinstance(value, list) and place in range(len(value))
        if not there:
            raise Refused(f"{where}: there is no {path}")
        value = value[place]
    return value


def _require_stack(config: Any, plan: Plan, where: str) -> None:
    """Refuse the config of a single network that is another."""
    found = _part(config, "config.layers", where)
    last = len(found) - 1 if isinstance(found, list) else 0
    shape = _part(config, "config.layers.0.config.batch_shape", where)
    if plan.skip == "linear":
        # The head, the linear map, their sum.
        last -= 2
    outputs = _part(config, f"config.layers.{last}.config.units", where)
    taken = (tuple(shape) if isinstance(shape, list) else shape), (None, outputs)
    expected = (None, plan.lookback, plan.features), (None, plan.outputs)
    if repr(taken) != repr(expected):
        raise Refused(f"{where}: its network takes and gives {shown(taken)}, expected {expected}")
    layers: list[dict[str, Any]] = [_input(plan)]
    for number, units in enumerate(plan.widths):
        top = number == len(plan.widths) - 1
        if plan.bidirectional:
            sides = {
                name: _recurrent(plan.cell, units, not top, backwards)
                for name, backwards in (("layer", False), ("backward_layer", True))
            }
            layers.append(
                {"class_name": "Bidirectional", "config": {"merge_mode": "concat", "dtype": _FLOAT32, **sides}}
            )
        else:
            layers.append(_recurrent(plan.cell, units, not top, False))
        if plan.dropout and not top:
            layers.append({"class_name": "Dropout", "config": {"dtype": _FLOAT32}})
    dense = {"units": plan.outputs, "activation": "linear", "use_bias": True, "dtype": _FLOAT32}
    layers.append({"class_name": "Dense", "config": dense})
    if plan.skip == "linear":
        shape = {"equation": "btf,tfo->bo", "output_shape": [plan.outputs], "activation": "linear", "bias_axes": None}
        layers.append({"class_name": "EinsumDense", "config": {**shape, "dtype": _FLOAT32}})
        layers.append({"class_name": "Add", "config": {"dtype": _FLOAT32}})
    _require_layers(config, layers, where, averaged=False, skips=plan.skip == "linear")


def _input(plan: Plan) -> dict[str, Any]:
    return {
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, plan.lookback, plan.features], "dtype": "float32", "sparse": False},
    }


def _recurrent(cell: str, units: int, sequences: bool, backwards: bool) -> dict[str, Any]:
    return {
        "class_name": CELL_NAMES[cell],
        "config": {
            "units": units, "return_sequences": sequences, "go_backwards": backwards, "dtype": _FLOAT32, **_RECURRENT,
            **(_GATED if cell != "rnn" else {}), **({"reset_after": True} if cell == "gru" else {}),
        },
    }  # fmt: skip


def _require_layers(
    config: Any, layers: Sequence[Mapping[str, Any]], where: str, averaged: bool, skips: bool = False
) -> None:
    """Refuse a functional model of other layers, or of these in another order."""
    found = _part(config, "config.layers", where)
    _require_same("class_name", _part(config, "class_name", where), "Functional", where)
    if not isinstance(found, list) or len(found) != len(layers):
        number = len(found) if isinstance(found, list) else "no"
        raise Refused(f"{where}: config.layers holds {number} layers, expected {len(layers)}")
    names = []
    for number, (layer, expected) in enumerate(zip(found, layers, strict=True)):
        _require_within(layer, expected, f"config.layers.{number}", where)
        _require_known(layer, expected, f"config.layers.{number}", where)
        names.append(_part(layer, "config.name", where))
        # Which layer's output it reads.
        heads = [] if not number else names[:1] if averaged and number < len(layers) - 1 else names[-2:-1]
        heads = names[1:-1] if averaged and number == len(layers) - 1 else heads
        if skips and number >= len(layers) - 2:
            # The linear map reads the window; the sum, the head and the map.
            heads = names[:1] if number == len(layers) - 2 else names[-3:-1]
        nodes = _part(layer, "inbound_nodes", where)
        read = [part["keras_history"] for part in _parts(nodes) if "keras_history" in part]
        # Parts are found last first.
        _require_same(f"config.layers.{number}.inbound_nodes", sorted(map(str, read)),
                      sorted(str([name, 0, 0]) for name in heads), where)  # fmt: skip
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise Refused(f"{where}: its layers have no names of their own")
    for key, name in (("config.input_layers", names[0]), ("config.output_layers", names[-1])):
        given = _part(config, key, where)
        # Some versions of Keras hold a list of one.
        one = given[0] if isinstance(given, list) and len(given) == 1 else given
        _require_same(key, one, [name, 0, 0], where)


def _require_within(value: Any, expected: Mapping[str, Any], path: str, where: str) -> None:
    """Refuse a value that lacks something expected, or has it otherwise; what else it holds does not matter."""
    for key, wanted in expected.items():
        given = _part(value, key, f"{where}: {path}")
        if wanted is _FLOAT32 and isinstance(given, str):
            # Keras also writes the name alone.
            _require_same(f"{path}.{key}", given, "float32", where)
        elif isinstance(wanted, Mapping):
            _require_within(given, wanted, f"{path}.{key}", where)
        else:
            _require_same(f"{path}.{key}", given, wanted, where)


def _require_known(layer: Any, expected: Mapping[str, Any], path: str, where: str) -> None:
    """Refuse a layer with an option that this version does not know, unless it is off."""
    wanted = expected.get("config", {})
    for key, value in _part(layer, "config", where).items():
        if key not in wanted and key not in _FREE and value is not None and value is not False:
            raise Refused(f"{where}: {path}.config holds {shown(key)}, which this version of kseq does not know")
        if key in wanted and isinstance(wanted[key], Mapping) and "config" in wanted[key] and wanted[key] != _FLOAT32:
            _require_known(value, wanted[key], f"{path}.config.{key}", where)


def _require_same(path: str, given: Any, wanted: Any, where: str) -> None:
    # 1 is no True, and 3.0 no 3.
    if given != wanted or repr(given) != repr(wanted):
        raise Refused(f"{where}: {path} is {shown(given)}, expected {shown(wanted)}")


def with_inputs_in_order(weights: Sequence[np.ndarray], plan: Plan, order: Sequence[int]) -> list[np.ndarray]:
    """Change the order in which a network reads the columns of its windows.

    Args:
        weights: Weights from :func:`kseq.forecasting._weights.read_weights`.
        plan: The network that they belong to.
        order: Place in the old order of each column of the new one.

    Returns:
        The weights, with the columns of windows in the new order wherever a kernel reads them.
    """
    _, name = _GATES[plan.cell]
    first = f"/{name}/" if not plan.bidirectional else "/bidirectional/"
    return [
        array[:, list(order)]
        if "einsum_dense" in path
        else array[list(order)]
        if first in f"/{path}" and path.endswith("/vars/0")
        else array
        for (path, _), array in zip(plan.weights, weights, strict=True)
    ]


def build(plan: Plan, weights: Sequence[np.ndarray], name: str) -> "keras.Model":
    """Build the network of a plan, with the fast layers of kseq.

    Args:
        plan: The network to build.
        weights: Weights from :func:`kseq.forecasting._weights.read_weights`.
        name: Name of the network.
    """
    from kseq.models.builders import average, undrawn_model

    networks = [
        undrawn_model(
            plan.cell, lookback=plan.lookback, features=plan.features, horizon=plan.outputs, units=plan.widths,
            dropout=plan.dropout, bidirectional=plan.bidirectional, skip=plan.skip,
        )
        for _ in range(plan.networks)
    ]  # fmt: skip
    network = average(networks, name)
    network.set_weights(list(weights))
    return network
