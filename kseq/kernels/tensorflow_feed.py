"""How batches come to ``fit`` on TensorFlow: an epoch as arrays where it is small, else batch by batch.

For each epoch ``tf.data`` instantiates every function of a dataset anew, which takes milliseconds each, as long as a
small network computes. A dataset that slices arrays has no function.
"""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor
from tensorflow.python.eager import context

#: Bytes of arrays that are copied into the order of an epoch; larger ones Keras gathers batch by batch.
MOST_COPIED = 2**26


class _Epochs(tf.data.Dataset):
    """Batches of arrays that :meth:`gathered` gives once an epoch, when Keras asks for the epoch.

    Args:
        batch_size: Number of windows in a batch; the last batch holds the rest.
    """

    def __init__(self, batch_size: int):
        self._size = batch_size
        self._parts = self.gathered()
        self._sliced = _sliced(self._parts, batch_size)
        super().__init__(self._sliced._variant_tensor)

    @abc.abstractmethod
    def gathered(self) -> Sequence[np.ndarray]:
        """Windows, targets and perhaps weights of the epoch that begins; the same object while they are the same."""

    @property
    def element_spec(self) -> Any:
        """Shapes and types of a batch."""
        return self._sliced.element_spec

    def _inputs(self) -> list[Any]:
        return []

    def __iter__(self) -> Any:
        parts = self.gathered()
        if parts is not self._parts:
            self._parts, self._sliced = parts, _sliced(parts, self._size)
        return iter(self._sliced)


class _BatchesFeed(_Epochs):
    """The batches of a :class:`kseq.training.batches.Batches` that gathers its whole epoch at once."""

    def __init__(self, batches: Any):
        self._batches = batches
        self._ready: tuple[int, Sequence[np.ndarray]] = (-1, ())
        super().__init__(batches.batch_size)

    def gathered(self) -> Sequence[np.ndarray]:
        # All epochs are one where the order never changes.
        epoch = self._batches.epoch if self._batches.shuffles else 0
        if self._ready[0] != epoch:
            self._ready = epoch, self._batches.piece(0, epoch)
        return self._ready[1]


class _ArrayFeed(_Epochs):
    """Batches of arrays in the order that Keras's own dataset of arrays draws.

    Where TensorFlow's global seed is set, Keras's dataset draws the same order in each epoch of a ``fit``; elsewhere
    each epoch has one of its own.

    Args:
        arrays: Arrays of equal lengths: windows, targets and perhaps weights.
        batch_size: Number of windows in a batch.
        shuffle: Whether the windows are shuffled.
    """

    def __init__(self, arrays: Sequence[np.ndarray], batch_size: int, shuffle: bool):
        self._arrays = arrays
        #: What draws each epoch's order; None where all epochs are one.
        self._generator: np.random.Generator | None = None
        self._drawn: Sequence[np.ndarray] | None = None
        if shuffle and context.global_seed() is None:
            # Nobody can tell these draws from Keras's, which are other ones in each process.
            self._generator = np.random.default_rng()
        elif shuffle:
            order = _order(len(arrays[0]))
            self._arrays = [array[order] for array in arrays]
        super().__init__(batch_size)

    @property
    def is_told(self) -> bool:
        """Whether the end of each epoch has to be told by :meth:`on_epoch_end`."""
        return self._generator is not None

    def on_epoch_end(self) -> None:
        """Draw another order for the next epoch: Keras asks for two iterators an epoch, and drops the second."""
        self._drawn = None

    def gathered(self) -> Sequence[np.ndarray]:
        if self._generator is None:
            return self._arrays
        if self._drawn is None:
            order = self._generator.permutation(len(self._arrays[0]))
            self._drawn = [array[order] for array in self._arrays]
        return self._drawn


def _order(count: int) -> np.ndarray:
    """The order of all windows that Keras's ``ArrayDataAdapter`` draws under the global seed, by its own operations.

    The draws of ``tf.random.shuffle`` depend on its place in the function, besides the seed.
    """

    def permutation(_: Tensor) -> Tensor:
        indices = tf.range(count, dtype=tf.int64)
        return tf.random.shuffle(indices)

    (order,) = tf.data.Dataset.range(1).map(permutation).as_numpy_iterator()
    return order


def _sliced(parts: Sequence[np.ndarray], size: int) -> tf.data.Dataset:
    """Batches of arrays, one after the other."""
    count = len(parts[0])
    full = count - count % size
    datasets = []
    if full:
        whole = tuple(part[:full].reshape(full // size, size, *part.shape[1:]) for part in parts)
        datasets.append(tf.data.Dataset.from_tensor_slices(whole))
    if full < count:
        datasets.append(tf.data.Dataset.from_tensors(tuple(part[full:] for part in parts)))
    first, *rest = datasets
    return first.concatenate(rest[0]) if rest else first


def array_dataset(arrays: Sequence[np.ndarray], batch_size: int, shuffle: bool) -> tf.data.Dataset | None:
    """Arrays as Keras reads them with least overhead, in batches; arguments as of :class:`_ArrayFeed`.

    Returns:
        tf.data.Dataset: The batches; None for arrays of which no copy is made, and in distributed training.
    """
    if tf.distribute.has_strategy() or sum(array.nbytes for array in arrays) > MOST_COPIED:
        return None
    return _ArrayFeed(arrays, batch_size, shuffle)


def dataset(batches: Any) -> tf.data.Dataset:
    """The batches of a ``keras.utils.PyDataset`` as TensorFlow reads them with least overhead, one after the other.

    Keras itself wraps a ``PyDataset`` in a queue, a generator and ``tf.data``, each of which costs its time a batch.
    Whoever trains on this calls ``batches.on_epoch_end()`` after each epoch: here nothing is counted.

    Args:
        batches: The :class:`kseq.training.batches.Batches`.
    """
    if batches.pieces == 1:
        return _BatchesFeed(batches)
    like = batches[0]

    def load(number: Tensor) -> tuple[Tensor, ...]:
        parts = tf.numpy_function(lambda number: batches[int(number)], [number], [part.dtype for part in like])
        for part, first in zip(parts, like, strict=True):
            part.set_shape((None, *first.shape[1:]))
        return tuple(parts)

    # Two batches in advance, so that the next one is gathered while one is trained on.
    return tf.data.Dataset.range(len(batches)).map(load).prefetch(2)
