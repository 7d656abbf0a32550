"""The weights of a trained network by layer and direction, as plain arrays that every writer reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kseq.forecasting._network import Plan


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction of a recurrent layer, in Keras's layout.

    Args:
        kernel: ``(inputs, gates * units)``; gates of an LSTM are i, f, c, o, those of a GRU z, r, h.
        recurrent: ``(units, gates * units)``.
        bias: ``(gates * units,)``; of a GRU ``(2, gates * units)``, for inputs and for states (``reset_after``).
    """

    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray

    @property
    def units(self) -> int:
        """Width of its state."""
        return len(self.recurrent)

    @property
    def biases(self) -> np.ndarray:
        """Biases of inputs and of states, ``(2, gates * units)``; those of states are zero but for a GRU."""
        return self.bias if self.bias.ndim == 2 else np.stack([self.bias, np.zeros_like(self.bias)])


@dataclass(frozen=True, eq=False)
class Network:
    """A stack of recurrent layers and its dense head.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        layers: For each layer its one direction, or the forward and the backward one, whose outputs are joined.
        kernel: Kernel of the head, ``(units, outputs)``.
        bias: Bias of the head, ``(outputs,)``.
        skip: Kernel of the linear map of the window that is added, ``(lookback, features, outputs)``; None for none.
    """

    cell: str
    layers: tuple[tuple[Direction, ...], ...]
    kernel: np.ndarray
    bias: np.ndarray
    skip: np.ndarray | None = None


def networks_of(plan: Plan, weights: Sequence[np.ndarray]) -> list[Network]:
    """Sort the weights of a model file by network, layer and direction.

    Args:
        plan: The network in the file.
        weights: Its arrays, in the order of ``keras.Model.weights``.

    Returns:
        The networks whose forecasts are averaged, one a seed.
    """
    rest: Iterator[np.ndarray] = iter(weights)

    def direction() -> Direction:
        return Direction(next(rest), next(rest), next(rest))

    return [
        Network(
            plan.cell,
            tuple(tuple(direction() for _ in range(1 + plan.bidirectional)) for _ in plan.widths),
            next(rest),
            next(rest),
            next(rest) if plan.skip == "linear" else None,
        )
        for _ in range(plan.networks)
    ]
