"""Trained networks as NumPy arrays: every state and gate of a forward pass, and gradients by step.

The equations are those of :mod:`kseq.kernels.reference`, in float64, on every backend: kernels hand out a layer's
outputs and weights' gradients, but neither its gates nor the gradients of the states between two steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq.errors import ConfigError
from kseq.kernels import Spec
from kseq.kernels.reference import Trace
from kseq.kernels.reference_steps import Weights
from kseq.layers import Ensemble

_CELLS = {keras.layers.SimpleRNN: "simple_rnn", keras.layers.LSTM: "lstm", keras.layers.GRU: "gru"}


@dataclass(frozen=True, eq=False)
class Layer:
    """One recurrent layer: its directions, one or two, each with weights and settings."""

    directions: tuple[tuple[Weights, Spec], ...]


@dataclass(frozen=True, eq=False)
class Pass:
    """A forward pass of a network.

    Args:
        traces: For each layer the traces of its directions.
        output: Array of shape ``(batch, outputs)``, the scaled forecasts.
    """

    traces: tuple[tuple[Trace, ...], ...]
    output: np.ndarray

    @property
    def final_states(self) -> list[list[np.ndarray]]:
        """The states of each layer's first direction after the last step."""
        return [traces[0].states[-1] for traces in self.traces]


@dataclass(frozen=True, eq=False)
class Network:
    """A stack of recurrent layers and a Dense head, in float64.

    Args:
        layers: From the input on.
        kernel: Array of shape ``(units, outputs)`` of the head.
        bias: Array of shape ``(outputs,)`` of the head.
        skip: Array of shape ``(time, features, outputs)``, the linear map of the window that is added; None, the
            default, for none. Of windows of another length it maps the last steps.
    """

    layers: tuple[Layer, ...]
    kernel: np.ndarray
    bias: np.ndarray
    skip: np.ndarray | None = None

    @property
    def bidirectional(self) -> bool:
        """Whether windows are read from both ends."""
        return len(self.layers[0].directions) == 2

    def run(self, x: np.ndarray, states: Sequence[list[np.ndarray]] | None = None) -> Pass:
        """Read windows.

        Args:
            x: Array of shape ``(batch, time, features)``, scaled; any number of time steps.
            states: Initial states of each layer, zeros by default; for networks that read in one direction.

        Returns:
            Pass: Every step of every layer, and the forecasts.
        """
        sequences, traces = np.asarray(x, "float64"), []
        for number, layer in enumerate(self.layers):
            own = tuple(
                Trace(sequences, weights, spec, None if states is None else states[number])
                for weights, spec in layer.directions
            )
            traces.append(own)
            # Keras turns the outputs of the second direction back into the order of time.
            sequences = np.concatenate([own[0].outputs, *(one.outputs[:, ::-1] for one in own[1:])], axis=-1)
        last = np.concatenate([one.outputs[:, -1] for one in traces[-1]], axis=-1)
        output = last @ self.kernel + self.bias
        if self.skip is not None:
            steps = min(len(self.skip), np.shape(x)[1])
            output = output + np.einsum("btf,tfo->bo", np.asarray(x)[:, -steps:], self.skip[-steps:])
        return Pass(tuple(traces), output)

    def back(self, run: Pass, d_output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Propagate the gradient of a scalar back through a pass.

        Args:
            run: From :meth:`run`.
            d_output: Array of shape ``(batch, outputs)``, the gradient with respect to the forecasts.

        Returns:
            The gradient with respect to the windows, ``(batch, time, features)``, and the norm of that with respect to
            the states of all layers by lag, ``(batch, time)``: steps before the last one that was read, 0 first.
        """
        d_window, norms = self._back(run, np.split(d_output @ self.kernel.T, len(run.traces[-1]), axis=-1))
        if self.skip is not None:
            steps = min(len(self.skip), d_window.shape[1])
            d_window[:, -steps:] += np.einsum("bo,tfo->btf", d_output, self.skip[-steps:])
        return d_window, norms

    def back_from_state(self, run: Pass, d_last: np.ndarray) -> np.ndarray:
        """Return the norms of :meth:`back` for a gradient of the last layer's last output, ``(batch, units)``."""
        return self._back(run, np.split(d_last, len(run.traces[-1]), axis=-1))[1]

    def _back(self, run: Pass, d_last: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        squares = np.zeros(1)
        d_sequences: np.ndarray | None = None
        for traces in reversed(run.traces):
            parts = []
            for number, trace in enumerate(traces):
                d_outputs = np.zeros_like(trace.outputs)
                if d_sequences is None:
                    d_outputs[:, -1] = d_last[number]
                else:
                    units = trace.outputs.shape[-1]
                    own = d_sequences[..., number * units : (number + 1) * units]
                    d_outputs += own[:, ::-1] if number else own
                d_x, d_states = trace.back(d_outputs)
                parts.append(d_x)
                norms = [sum(np.sum(d**2, axis=-1) for d in step) for step in d_states[::-1]]
                squares = squares + np.stack(norms, axis=1)
            d_sequences = np.sum(parts, axis=0)
        assert d_sequences is not None
        return d_sequences, np.sqrt(squares)


def networks_of(model: keras.Model) -> list[Network]:
    """Copy the networks out of a model: one for each member of an ensemble, or for each network whose mean it is.

    Args:
        model: A model of :func:`kseq.build_model`, one that ``kseq fit`` has saved, or another stack of recurrent
            layers with a Dense head.

    Returns:
        list[Network]: At least one.

    Raises:
        ConfigError: The model has other layers than these.
    """
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if nested:
        return [network for part in nested for network in networks_of(part)]
    ensembles = [layer for layer in model.layers if isinstance(layer, Ensemble)]
    members = ensembles[0].members if ensembles else 1
    return [_network(model, number) for number in range(members)]


def _network(model: keras.Model, number: int) -> Network:
    recurrent: list[Layer] = []
    head: list[np.ndarray] = []
    skip: np.ndarray | None = None
    for layer in model.layers:
        if isinstance(layer, Ensemble):
            single, values = layer.member_layer(number), layer.member_weights(number)
        else:
            single, values = layer, layer.get_weights()
        values = [np.asarray(value, "float64") for value in values]
        if isinstance(single, keras.layers.Bidirectional):
            half = len(values) // 2
            both = zip((single.forward_layer, single.backward_layer), (values[:half], values[half:]), strict=True)
            recurrent.append(Layer(tuple(_direction(one, own) for one, own in both)))
        elif isinstance(single, tuple(_CELLS)):
            recurrent.append(Layer((_direction(single, values),)))
        elif isinstance(single, keras.layers.Dense) and not head and recurrent:
            head = values
        elif isinstance(single, keras.layers.EinsumDense) and single.name == "skip":
            skip = values[0]
        elif not isinstance(single, keras.layers.InputLayer | keras.layers.Dropout | keras.layers.Add):
            raise ConfigError(
                f"received a model with a layer {type(single).__name__}, expected SimpleRNN, LSTM or GRU layers and a "
                "Dense head, such as kseq.build_model returns."
            )
    if not recurrent or not head:
        raise ConfigError("received a model without a recurrent layer or a Dense head, expected both.")
    return Network(tuple(recurrent), head[0], head[1] if len(head) > 1 else np.zeros(head[0].shape[1]), skip)


def _direction(layer: Any, values: list[np.ndarray]) -> tuple[Weights, Spec]:
    config = layer.get_config()
    cell = next(name for kind, name in _CELLS.items() if isinstance(layer, kind))
    spec = Spec(
        cell,
        activation=config["activation"],
        recurrent_activation=config.get("recurrent_activation"),
        reset_after=config.get("reset_after", False),
        go_backwards=config.get("go_backwards", False),
    )
    return Weights(values[0], values[1], values[2] if len(values) > 2 else None), spec
