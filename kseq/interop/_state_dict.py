"""PyTorch's side: a state dict is read into recurrent layers and ``nn.Linear`` modules, by names and shapes."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kseq.errors import ConfigError

Array = np.ndarray

#: Under what checkpoints keep a state dict, the usual name first.
_HOLDERS = ("model_state_dict", "state_dict", "model_state", "model", "net", "network", "weights")

_NAME = re.compile(r"(?:(?P<module>.+)\.)?(?P<kind>(?:weight|bias)_(?:ih|hh))_l(?P<number>\d+)(?P<reverse>_reverse)?")
KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
#: Cells by the number of their gates.
CELLS = {1: "rnn", 4: "lstm", 3: "gru"}


@dataclass
class Direction:
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
class Linear:
    """An ``nn.Linear``."""

    module: str
    weight: Array
    bias: Array | None


def state_of(given: Any) -> Mapping[str, Any]:
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
    return state_of(given[inside[0]]) if inside else given


def activation_of(given: Any) -> str:
    """The activation of a module's ``nn.RNN``; of names and arrays alone, tanh."""
    modules = given.modules() if hasattr(given, "modules") else ()
    return next((module.nonlinearity for module in modules if hasattr(module, "nonlinearity")), "tanh")


def read(state: Mapping[str, Any]) -> tuple[list[list[Direction]], list[Linear]]:
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
        [Linear(module, parts["weight"], parts.get("bias")) for module, parts in linear.items()],
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


def _module_layers(module: str, places: dict[tuple[int, bool], dict[str, Array]]) -> list[list[Direction]]:
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
            needed = KINDS if parts.keys() & {"bias_ih", "bias_hh"} else KINDS[:2]
            missing = [kind for kind in needed if kind not in parts]
            if missing:
                names = ", ".join(place.format(kind) for kind in missing)
                raise ConfigError(f"received a state dict without {names}; expected all weights of a module.")
            direction = Direction(place, *(parts.get(kind) for kind in KINDS))  # type: ignore[arg-type]
            _check_shapes(direction)
            directions.append(direction)
        result.append(directions)
    return result


def _check_shapes(direction: Direction) -> None:
    weight_hh = direction.weight_hh
    fits = weight_hh.ndim == 2 and weight_hh.shape[0] in [gates * weight_hh.shape[1] for gates in CELLS]
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
