"""A recipe run with NumPy, by the equations of :mod:`kseq.kernels.reference`: what an exported file must give."""

from collections.abc import Mapping, Sequence

import numpy as np

from kseq.exporting.networks import Network
from kseq.exporting.recipe import Recipe
from kseq.kernels import Spec
from kseq.kernels.reference import Trace
from kseq.kernels.reference_steps import Weights

Array = np.ndarray


class _Ops:
    """Operators of :class:`kseq.exporting.recipe.Ops` on arrays."""

    def __init__(self, networks: Sequence[Network]):
        self._networks = networks

    def constant(self, values: Array) -> Array:
        return values

    def rows(self, x: Array, first: int, stop: int) -> Array:
        return x[:, first:stop]

    def columns(self, x: Array, first: int, stop: int) -> Array:
        return x[:, :, first:stop]

    def pick(self, x: Array, rows: Sequence[int]) -> Array:
        return x[:, list(rows)]

    def join(self, parts: Sequence[Array], axis: int) -> Array:
        return np.concatenate(parts, axis)

    def table(self, values: Array, series: Array | None) -> Array:
        return values[:1, None] if series is None else values[series, None]

    def phases(self, means: Array, series: Array | None, phase: Array) -> Array:
        return means[0][phase] if series is None else means[series[:, None], phase]

    def column(self, x: Array) -> Array:
        return x[..., None]

    def repeat(self, x: Array, rows: int) -> Array:
        return np.repeat(x, rows, axis=1)

    def blocks(self, x: Array, rows: int, columns: int) -> Array:
        return x.reshape(-1, rows, columns)

    def ascending(self, x: Array, rows: int) -> Array:
        return np.sort(x, axis=1)

    def exp(self, x: Array) -> Array:
        return np.exp(x)

    def log(self, x: Array) -> Array:
        return np.log(x)

    def sqrt(self, x: Array) -> Array:
        return np.sqrt(x)

    def mean(self, x: Array) -> Array:
        return x.mean(axis=1, keepdims=True)

    def cumsum(self, x: Array) -> Array:
        return np.cumsum(x, axis=1)

    def maximum(self, x: Array, least: float) -> Array:
        return np.maximum(x, np.asarray(least, x.dtype))

    def single(self, x: Array) -> Array:
        return x.astype("float32")

    def double(self, x: Array) -> Array:
        return x.astype("float64")

    def network(self, x: Array) -> Array:
        return np.mean([_outputs(x, network) for network in self._networks], axis=0, dtype="float32")


def _outputs(x: Array, network: Network) -> Array:
    """What one network gives for windows, ``(batch, outputs)``."""
    window = x
    for directions in network.layers:
        read = []
        for place, way in enumerate(directions):
            cell = "simple_rnn" if network.cell == "rnn" else network.cell
            gates = None if network.cell == "rnn" else "sigmoid"
            spec = Spec(cell, recurrent_activation=gates, go_backwards=place == 1)
            read.append(Trace(x, Weights(way.kernel, way.recurrent, way.bias), spec).outputs)
        last = np.concatenate([outputs[:, -1] for outputs in read], axis=-1)
        x = np.concatenate([outputs[:, ::-1] if place else outputs for place, outputs in enumerate(read)], axis=-1)
    outputs = last @ network.kernel + network.bias
    return outputs if network.skip is None else outputs + np.einsum("btf,tfo->bo", window, network.skip)


def run(recipe: Recipe, networks: Sequence[Network], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Compute the outputs of a recipe by name."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return dict(recipe(_Ops(networks), inputs))
