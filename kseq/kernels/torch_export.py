"""A computation over windows as a program of ``torch.export``, which PyTorch alone loads and runs.

TorchScript was weighed and is deprecated. Recurrent layers are PyTorch's own operators, of which Keras's weights are
rearranged; the methods of :class:`_Program` are those of :class:`kseq.exporting.recipe.Ops`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Keras's gates in PyTorch's order; of a GRU r, z, n.
_GATES = {"rnn": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}


class _Program(torch.nn.Module):
    """The computation as a module of positional inputs."""

    def __init__(self, compute: Callable[..., Mapping[str, Any]], names: Sequence[str], networks: Sequence[Any]):
        super().__init__()
        self._compute, self._names, self._nets = compute, tuple(names), tuple(networks)
        for number, network in enumerate(networks):
            for layer, directions in enumerate(network.layers):
                arrays = [array for way in directions for array in _weights(network.cell, way)]
                for place, array in enumerate(arrays):
                    self.register_buffer(f"net{number}_{layer}_{place}", _tensor(array))
            self.register_buffer(f"net{number}_kernel", _tensor(network.kernel))
            self.register_buffer(f"net{number}_bias", _tensor(network.bias))
            if network.skip is not None:
                self.register_buffer(f"net{number}_skip", _tensor(network.skip.reshape(-1, network.skip.shape[-1])))

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Compute the outputs by name."""
        return dict(self._compute(self, dict(zip(self._names, inputs, strict=True))))

    def constant(self, values: np.ndarray) -> Tensor:
        return _tensor(values)

    def rows(self, x: Tensor, first: int, stop: int) -> Tensor:
        return x[:, first:stop]

    def columns(self, x: Tensor, first: int, stop: int) -> Tensor:
        return x[:, :, first:stop]

    def pick(self, x: Tensor, rows: Sequence[int]) -> Tensor:
        return torch.cat([x[:, row : row + 1] for row in rows], dim=1)

    def join(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return torch.cat(list(parts), dim=axis)

    def table(self, values: np.ndarray, series: Tensor | None) -> Tensor:
        return _tensor(values[:1, None]) if series is None else _tensor(values[:, None])[series]

    def phases(self, means: np.ndarray, series: Tensor | None, phase: Tensor) -> Tensor:
        if series is not None:
            phase = phase + (series * means.shape[1])[:, None]
        return _tensor(means.reshape(-1, means.shape[-1]))[phase]

    def column(self, x: Tensor) -> Tensor:
        return x[..., None]

    def repeat(self, x: Tensor, rows: int) -> Tensor:
        return x.repeat(1, rows, 1)

    def blocks(self, x: Tensor, rows: int, columns: int) -> Tensor:
        return x.reshape(-1, rows, columns)

    def ascending(self, x: Tensor, rows: int) -> Tensor:
        return torch.sort(x, dim=1).values

    def exp(self, x: Tensor) -> Tensor:
        return torch.exp(x)

    def log(self, x: Tensor) -> Tensor:
        return torch.log(x)

    def sqrt(self, x: Tensor) -> Tensor:
        return torch.sqrt(x)

    def mean(self, x: Tensor) -> Tensor:
        return x.mean(dim=1, keepdim=True)

    def cumsum(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, dim=1)

    def maximum(self, x: Tensor, least: float) -> Tensor:
        return torch.clamp(x, min=least)

    def single(self, x: Tensor) -> Tensor:
        return x.to(torch.float32)

    def double(self, x: Tensor) -> Tensor:
        return x.to(torch.float64)

    def network(self, x: Tensor) -> Tensor:
        outputs = [self._stack(x, number, network) for number, network in enumerate(self._nets)]
        return outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(dim=0)

    def _stack(self, x: Tensor, number: int, network: Any) -> Tensor:
        window = x
        for layer, directions in enumerate(network.layers):
            weights = [self.get_buffer(f"net{number}_{layer}_{place}") for place in range(4 * len(directions))]
            state = x.new_zeros(len(directions), x.shape[0], directions[0].units)
            both = len(directions) == 2
            if network.cell == "lstm":
                x, last, _ = torch.lstm(x, (state, state), weights, True, 1, 0.0, False, both, True)
            else:
                run = torch.gru if network.cell == "gru" else torch.rnn_tanh
                x, last = run(x, state, weights, True, 1, 0.0, False, both, True)
        # Keras takes each direction's final state.
        x = torch.cat(list(last), dim=-1)
        outputs = x @ self.get_buffer(f"net{number}_kernel") + self.get_buffer(f"net{number}_bias")
        return outputs if network.skip is None else outputs + window.flatten(1) @ self.get_buffer(f"net{number}_skip")


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values, order="C"))


def _weights(cell: str, way: Any) -> list[np.ndarray]:
    """Weights of inputs and states, and both biases, of one direction of ``torch.nn.RNN``, ``LSTM`` or ``GRU``."""

    def sorted_gates(array: np.ndarray) -> np.ndarray:
        gates = np.split(array, len(_GATES[cell]), axis=-1)
        return np.concatenate([gates[gate] for gate in _GATES[cell]], axis=-1)

    return [sorted_gates(way.kernel).T, sorted_gates(way.recurrent).T, *sorted_gates(way.biases)]


def save(
    path: Path,
    compute: Callable[..., Mapping[str, Any]],
    networks: Sequence[Any],
    example: Mapping[str, np.ndarray],
    notes: Mapping[str, str],
) -> None:
    """Write a program into a file.

    Args:
        path: The file, whose name ends in ``.pt2``.
        compute: Takes the operators and inputs by name; see :class:`kseq.exporting.recipe.Recipe`.
        networks: See :class:`kseq.exporting.networks.Network`.
        example: Inputs by name, in their order, of any batch.
        notes: Texts that the file carries, by name.
    """
    # A batch of one would be taken for one that is always one.
    arguments = tuple(_tensor(np.concatenate([value, value])) for value in example.values())
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        program = torch.export.export(
            _Program(compute, list(example), networks).eval(),
            arguments,
            dynamic_shapes=(tuple({0: batch} for _ in arguments),),
        )
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files=dict(notes))


def run(path: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a program that :func:`save` has written; inputs in their order."""
    program = torch.export.load(str(path)).module()
    with torch.no_grad():
        return {name: value.numpy() for name, value in program(*map(_tensor, inputs.values())).items()}
