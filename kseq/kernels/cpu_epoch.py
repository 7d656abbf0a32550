"""Many training steps of one small network in one call, compiled for the CPU; see :mod:`kseq.kernels._cpu.epoch`.

A network is a stack of recurrent layers of one cell, of which the last one's final output goes through a Dense layer; a
linear map of the window may be added to what that gives.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba.np.numpy_support import from_dtype

from kseq.kernels import Spec, cpu
from kseq.kernels._cpu import epoch as loops
from kseq.kernels._cpu import losses, updates
from kseq.kernels._cpu.pool import run
from kseq.kernels._cpu.simd import VECTOR_BYTES

Array = np.ndarray
_ALIGNED = 16  # numbers: where an array begins in the working memory


class Layer(NamedTuple):
    """A recurrent layer: its settings, sizes, and the places of its weights in the list of all weights."""

    spec: Spec
    features: int
    units: int
    kernel: int
    recurrent_kernel: int
    bias: int | None


class Network(NamedTuple):
    """A stack of recurrent layers and a Dense layer, and perhaps a linear map of the window.

    Args:
        layers: The recurrent layers, from the one that reads the windows.
        head: Place of the Dense layer's kernel in the list of all weights.
        head_bias: Place of its bias, or None.
        outputs: Number of forecasts of a window.
        skip: Place of the kernel of the linear map, ``(time, features, outputs)``, or None.
    """

    layers: tuple[Layer, ...]
    head: int
    head_bias: int | None
    outputs: int
    skip: int | None = None


class Optimizer(NamedTuple):
    """An optimizer's settings, as its update reads them.

    Args:
        kind: ``"adam"``, ``"sgd"`` or ``"rmsprop"``.
        rates: Learning rate of each step, ``(steps,)``.
        step: Number of steps that were taken before.
        beta_1: Adam's decay of the first moment.
        beta_2: Adam's decay of the second moment; RMSprop's rho.
        epsilon: Number that is added to the root of the second moment (RMSprop: below the root).
        decay: Weight decay, 0 for none.
        clipping: Limits of each weight's norm, of the common norm, and of each number; 0 for none.
        momentum: Momentum of SGD and RMSprop.
        nesterov: Whether SGD's momentum is Nesterov's.
    """

    kind: str
    rates: Array
    step: int
    beta_1: float = 0.0
    beta_2: float = 0.0
    epsilon: float = 0.0
    decay: float = 0.0
    clipping: Sequence[float] = (0.0, 0.0, 0.0)
    momentum: float = 0.0
    nesterov: bool = False


def require(network: Network, dtype: np.dtype) -> None:
    """Raise Unsupported for a network whose cell, activations or number type are not compiled."""
    for layer in network.layers:
        cpu._check_settings(layer.spec, dtype)


class Epochs:
    """Trains one network, as many batches at a time as it is given.

    Args:
        network: The network.
        saturation: From where on tanh is exactly 1, see :func:`kseq.kernels.cpu.saturation_of`.
    """

    def __init__(self, network: Network, saturation: float):
        self.network, self.saturation = network, saturation
        self._cell = ("simple_rnn", "lstm", "gru").index(network.layers[0].spec.cell)
        self._layouts: dict[tuple, tuple] = {}
        self._found: dict[np.dtype, tuple[int, int]] = {}

    def _addresses(self, dtype: np.dtype) -> tuple[int, int]:
        """Where the compiled loops of the cell begin."""
        if dtype not in self._found:
            number = from_dtype(dtype)
            forward, backward = (loops.address_of(self._cell, way, number) for way in ("forward", "backward"))
            self._found[dtype] = forward, backward
        return self._found[dtype]

    def train(
        self,
        data: Sequence[Array],
        batch: int,
        weights: Sequence[Array],
        moments: tuple[Sequence[Array], Sequence[Array]],
        decayed: Sequence[bool],
        optimizer: Optimizer,
        forms: Sequence[tuple[str, Sequence[float]]],
    ) -> Array:
        """Train on all windows once, batch after batch in their order; weights and moments change in place.

        Args:
            data: Windows ``(count, time, features)``, targets ``(count, outputs)`` and perhaps weights ``(count,)``.
            batch: Number of windows in a batch; the last batch holds the rest.
            weights: All weights, in Keras's layouts.
            moments: First and second moments of each weight; empty lists for those that the optimizer has not.
            decayed: Whether weight decay applies to each weight.
            optimizer: The optimizer's settings.
            forms: Name and numbers of the loss, and of each metric; see :data:`kseq.kernels._cpu.losses.KINDS`.

        Returns:
            np.ndarray: Sum over windows of the loss, and of each metric, ``(1 + metrics,)``.
        """
        dtype = weights[0].dtype
        x, y, *given = (np.ascontiguousarray(part, dtype) for part in data)
        count, time = x.shape[:2]
        layers, shapes, common, work, borders, threads = self._layout(batch, time, y.shape[1], weights)
        steps = -(-count // batch)
        rest = (count - 1) % batch + 1
        sizes = np.array([[cpu._cut(1, rows, *layer)[5:] for layer in shapes] for rows in (batch, rest)])
        phases = 2 * len(layers) * steps * loops.APART
        first, second = (_joined(part, weights) for part in moments)
        params = _joined(weights, weights)
        sums = np.zeros(len(forms))
        weight = _read_only(given[0] if given else np.empty(0, dtype))
        kinds = np.array([losses.KINDS[kind] for kind, _ in forms])
        arguments = (
            threads, self._cell, *self._addresses(dtype), np.full(1, -2), np.zeros(phases, np.int64),
            np.zeros(phases, np.int64), layers, sizes, common, dtype.type(self.saturation), _read_only(x),
            _read_only(y), weight, work, params, first, second, np.zeros_like(params), borders, np.array(decayed, bool),
            _rates(optimizer, dtype), _numbers(optimizer, dtype), kinds, _options(forms), sums,
        )  # fmt: skip
        run(loops.epoch, arguments, threads, threads)
        for arrays, flat in ((weights, params), (moments[0], first), (moments[1], second)):
            for array, start, end in zip(arrays, borders, borders[1:], strict=False):
                array[...] = flat[start:end].reshape(array.shape)
        return sums

    def _layout(self, batch: int, time: int, targets: int, weights: Sequence[Array]) -> tuple:
        """Where everything lies, for windows of one length and batches of one size; the last two are kept."""
        key = batch, time, targets
        if key not in self._layouts:
            if len(self._layouts) > 1:
                self._layouts.pop(next(iter(self._layouts)))
            self._layouts[key] = self._laid_out(batch, time, targets, weights)
        return self._layouts[key]

    def _laid_out(self, batch: int, time: int, targets: int, weights: Sequence[Array]) -> tuple:
        network, dtype = self.network, weights[0].dtype
        borders = np.cumsum([0, *(weight.size for weight in weights)])
        places = _Places()
        rows, common = [], np.zeros(13, np.int64)
        widest = max(layer.units for layer in network.layers)
        for name in (loops.ZEROS, loops.LAST, loops.LAST_CELLS, loops.D_LAST):
            common[name] = places.take(batch * widest)
        common[loops.FORECAST] = places.take(batch * network.outputs)
        common[[loops.BATCH, loops.TIME, loops.OUTPUT_SIZE, loops.TARGETS]] = batch, time, network.outputs, targets
        common[loops.HEAD] = borders[network.head]
        common[loops.HEAD_BIAS] = -1 if network.head_bias is None else borders[network.head_bias]
        common[loops.SKIP] = -1 if network.skip is None else borders[network.skip]
        shapes, largest = [], 0
        for layer in network.layers:
            cell, features, units = layer.spec.cell, layer.features, layer.units
            shape = cpu._cut(1, batch, time, features, units)
            padded = -(-units // (lanes := VECTOR_BYTES // dtype.itemsize)) * lanes
            joined = (features + 1 + units) * cpu._JOINED_GATES[cell] * padded
            saved = [*cpu._saved_sizes(cell, shape, dtype, True), 0, 0][:3]
            sizes = (joined, *saved, batch * time * units, batch * time * features, joined * cpu._MAX_GROUPS)
            option = {"simple_rnn": cpu._ACTIVATIONS.get(layer.spec.activation, 0), "gru": int(layer.spec.reset_after)}
            own = [borders[layer.kernel], borders[layer.recurrent_kernel]]
            own.append(-1 if layer.bias is None else borders[layer.bias])
            settings = [units, features, int(layer.spec.go_backwards), padded, option.get(cell, 0)]
            rows.append([*settings, *(places.take(size) for size in sizes), *own])
            shapes.append((time, features, units))
            largest = max(largest, batch * time * joined)
        work = np.zeros(places.size, dtype)
        return (
            np.array(rows, np.int64), shapes, common, work, borders,
            1 if largest < cpu._WORTH_THREADS else cpu.default_threads(),
        )  # fmt: skip


class _Places:
    """Places in one flat array, handed out one after the other."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, size: int) -> int:
        """Return where an array of a size begins."""
        place = self.size
        self.size += -(-size // _ALIGNED) * _ALIGNED
        return place


def _joined(arrays: Sequence[Array], like: Sequence[Array]) -> Array:
    """All arrays as one flat copy; empty for an optimizer without these moments."""
    return np.concatenate([array.reshape(-1) for array in arrays]) if arrays else np.empty(0, like[0].dtype)


def _read_only(array: Array) -> Array:
    flat = array.reshape(-1).view()
    flat.flags.writeable = False
    return flat


def _rates(optimizer: Optimizer, dtype: np.dtype) -> Array:
    """Each step's learning rate, and the one with Adam's corrections."""
    step = optimizer.step + 1.0 + np.arange(len(optimizer.rates))
    corrected = optimizer.rates * np.sqrt(1 - optimizer.beta_2**step) / (1 - optimizer.beta_1**step)
    return np.ascontiguousarray(np.stack([optimizer.rates, corrected], axis=1).astype(dtype))


def _numbers(optimizer: Optimizer, dtype: np.dtype) -> Array:
    """The settings in the order of :mod:`kseq.kernels._cpu.updates`."""
    kind = {"adam": updates.ADAM, "sgd": updates.SGD, "rmsprop": updates.RMSPROP}[optimizer.kind]
    rest = 1 - optimizer.beta_1, 1 - optimizer.beta_2
    return np.array(
        [kind, optimizer.beta_1, optimizer.beta_2, *rest, optimizer.epsilon, optimizer.decay, *optimizer.clipping,
         optimizer.momentum, optimizer.nesterov], dtype,
    )  # fmt: skip


def _options(forms: Sequence[tuple[str, Sequence[float]]]) -> Any:
    """The numbers of loss and metrics, one row each."""
    width = max(1, *[len(numbers) for _, numbers in forms])
    return np.array([[*numbers, *[0.0] * (width - len(numbers))] for _, numbers in forms])
