"""A computation over windows as a TensorFlow SavedModel, which TensorFlow alone loads and serves.

Keras's ``ExportArchive`` was weighed: it needs a process in which Keras runs on TensorFlow. Cells are written out here
as loops over rows, so that any process that has TensorFlow can export. The methods of :class:`_Ops` are those of
:class:`kseq.exporting.recipe.Ops`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class _Ops:
    """Operators of TensorFlow."""

    def __init__(self, networks: Sequence[Any]):
        self._networks = networks

    def constant(self, values: np.ndarray) -> Any:
        return tf.constant(values)

    def rows(self, x: Any, first: int, stop: int) -> Any:
        return x[:, first:stop]

    def columns(self, x: Any, first: int, stop: int) -> Any:
        return x[:, :, first:stop]

    def pick(self, x: Any, rows: Sequence[int]) -> Any:
        return tf.gather(x, list(rows), axis=1)

    def join(self, parts: Sequence[Any], axis: int) -> Any:
        return tf.concat(list(parts), axis)

    def table(self, values: np.ndarray, series: Any | None) -> Any:
        return tf.constant(values[:1, None]) if series is None else tf.gather(tf.constant(values[:, None]), series)

    def phases(self, means: np.ndarray, series: Any | None, phase: Any) -> Any:
        if series is not None:
            phase = phase + (series * means.shape[1])[:, None]
        return tf.gather(tf.constant(means.reshape(-1, means.shape[-1])), phase)

    def column(self, x: Any) -> Any:
        return x[..., None]

    def repeat(self, x: Any, rows: int) -> Any:
        return tf.tile(x, [1, rows, 1])

    def blocks(self, x: Any, rows: int, columns: int) -> Any:
        return tf.reshape(x, [-1, rows, columns])

    def ascending(self, x: Any, rows: int) -> Any:
        return tf.sort(x, axis=1)

    def exp(self, x: Any) -> Any:
        return tf.exp(x)

    def log(self, x: Any) -> Any:
        return tf.math.log(x)

    def sqrt(self, x: Any) -> Any:
        return tf.sqrt(x)

    def mean(self, x: Any) -> Any:
        return tf.reduce_mean(x, axis=1, keepdims=True)

    def cumsum(self, x: Any) -> Any:
        return tf.cumsum(x, axis=1)

    def maximum(self, x: Any, least: float) -> Any:
        return tf.maximum(x, tf.cast(least, x.dtype))

    def single(self, x: Any) -> Any:
        return tf.cast(x, tf.float32)

    def double(self, x: Any) -> Any:
        return tf.cast(x, tf.float64)

    def network(self, x: Any) -> Any:
        outputs = [self._stack(x, network) for network in self._networks]
        return outputs[0] if len(outputs) == 1 else tf.reduce_mean(tf.stack(outputs), axis=0)

    def _stack(self, x: Any, network: Any) -> Any:
        window = x
        for number, directions in enumerate(network.layers):
            last = number == len(network.layers) - 1
            read = []
            for place, way in enumerate(directions):
                # (rows, batch, units), in the order in which rows are read.
                states = _states(x, network.cell, way, backwards=place == 1)
                read.append(states[-1] if last else tf.transpose(states[::-1] if place else states, [1, 0, 2]))
            x = read[0] if len(read) == 1 else tf.concat(read, -1)
        outputs = x @ tf.constant(network.kernel) + tf.constant(network.bias)
        return outputs if network.skip is None else outputs + tf.einsum("btf,tfo->bo", window, network.skip)


def _states(x: Any, cell: str, way: Any, backwards: bool) -> Any:
    """States of one direction after each row; gates in Keras's order."""
    kernel, recurrent, bias, units = tf.constant(way.kernel), tf.constant(way.recurrent), way.biases, way.units
    inputs = tf.transpose(tf.tensordot(x, kernel, 1) + bias[0], [1, 0, 2])
    inputs = inputs[::-1] if backwards else inputs
    start = tf.zeros([tf.shape(x)[0], units], tf.float32)

    def step(state: Any, row: Any) -> Any:
        h = state[0]
        moved = tf.matmul(h, recurrent) + bias[1]
        if cell == "rnn":
            return (tf.tanh(row + moved),)
        if cell == "lstm":
            i, f, c, o = tf.split(row + moved, 4, axis=-1)
            carry = tf.sigmoid(f) * state[1] + tf.sigmoid(i) * tf.tanh(c)
            return tf.sigmoid(o) * tf.tanh(carry), carry
        (z, r, n), (z_of, r_of, n_of) = tf.split(row, 3, axis=-1), tf.split(moved, 3, axis=-1)
        z, r = tf.sigmoid(z + z_of), tf.sigmoid(r + r_of)
        return (z * h + (1.0 - z) * tf.tanh(n + r * n_of),)

    return tf.scan(step, inputs, (start,) * (1 + (cell == "lstm")))[0]


def save(
    path: Path,
    compute: Callable[..., Mapping[str, Any]],
    networks: Sequence[Any],
    example: Mapping[str, np.ndarray],
) -> None:
    """Write a SavedModel into a folder that does not exist yet.

    Args:
        path: The folder.
        compute: Function of the operators and of inputs by name; see :class:`kseq.exporting.recipe.Recipe`.
        networks: See :class:`kseq.exporting.networks.Network`.
        example: Inputs by name, of any batch.
    """
    signature = {
        name: tf.TensorSpec([None, *value.shape[1:]], value.dtype, name=name) for name, value in example.items()
    }

    def serve(**inputs: Any) -> dict[str, Any]:
        # A function that was loaded does not hold its signature's shapes: of too many rows some would be left out.
        inputs = {name: tf.ensure_shape(value, signature[name].shape) for name, value in inputs.items()}
        return dict(compute(_Ops(networks), inputs))

    module = tf.Module()
    module.serve = tf.function(serve, autograph=False)
    tf.saved_model.save(module, str(path), module.serve.get_concrete_function(**signature))


def run(path: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a SavedModel that :func:`save` has written."""
    model = tf.saved_model.load(str(path))
    found = model.signatures["serving_default"](**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in found.items()}
