"""Windows in batches, as Keras takes them: on every backend, without TensorFlow, in an order that the seed fixes."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np

from kseq.errors import ConfigError
from kseq.windows import Windows

#: Bytes of inputs that are gathered at once, of small batches many: a call of NumPy takes as long as copying some KiB.
AT_ONCE = 2**20

#: Number, inputs and targets of the batches that are held, before there are any.
_NOTHING = (-1, np.empty(0), np.empty(0))


class Batches(keras.utils.PyDataset):
    """Batches of windows for ``model.fit``, ``evaluate`` and ``predict``.

    The order of an epoch depends on the seed and the epoch's number alone. With ``seeds`` each member of an ensemble
    reads the windows in the order that a single model with that seed reads them.

    Args:
        windows: one part of a :class:`kseq.windows.WindowedSeries`.
        batch_size: windows in a batch; the last batch takes what is left. None for all in one.
        seed: shuffles each epoch anew; None keeps the order of time.
        seeds: one seed a member, instead of ``seed``.
        members: repeat each window for so many members, in the order of time (for validation and test).

    Yields:
        ``(batch, lookback, features)`` and ``(batch, horizon * targets)``; with ``seeds`` or ``members``
        ``(batch, members, lookback, features)`` and ``(batch, members, horizon * targets)``.

    Example:
        >>> model.fit(Batches(data.train, 32, seed=0), epochs=5)  # doctest: +SKIP
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int | None = 32,
        *,
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
        members: int | None = None,
    ):
        super().__init__()
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"received batch size {batch_size}, expected a whole number from 1.")
        if sum(option is not None for option in (seed, seeds, members)) > 1:
            raise ConfigError("received more than one of seed, seeds and members, expected one of them.")
        self.windows = windows
        self.batch_size = batch_size or len(windows)
        self.seed = seed
        self.seeds = None if seeds is None else tuple(seeds)
        self.members = members
        self.epoch = 0
        self._rows = self._draw()
        window = windows.lookback * windows.inputs.shape[1] * windows.inputs.itemsize
        self._at_once = max(1, AT_ONCE // max(1, self.batch_size * window * (members or len(self.seeds or (0,)))))
        self._held = _NOTHING

    def __len__(self) -> int:
        return -(-len(self.windows) // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        number, place = divmod(batch, self._at_once)
        # Looked at once: another thread may put other batches there.
        held, x, y = self._held
        if held != number:
            x, y = self._gather(number)
            self._held = number, x, y
        rows = slice(place * self.batch_size, (place + 1) * self.batch_size)
        return x[rows], y[rows]

    def gathered(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All batches of this epoch in order, in pieces of many (some :data:`AT_ONCE` bytes) instead of one by one."""
        for number in range(-(-len(self) // self._at_once)):
            yield self._gather(number)

    def _gather(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Gather some neighbouring batches at once."""
        size = self._at_once * self.batch_size
        x, y = self.windows.gather_at(self._rows[number * size : (number + 1) * size])
        y = y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])
        if self.members is not None:
            x, y = (np.repeat(part[:, None], self.members, axis=1) for part in (x, y))
        return x, y

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch; Keras calls this after each."""
        self.epoch += 1
        self._rows = self._draw()
        self._held = _NOTHING

    def _draw(self) -> np.ndarray:
        """First target rows of the windows in the order of this epoch, ``(windows,)`` or ``(windows, members)``."""
        rows = self.windows.all_starts()
        if self.seeds is not None:
            return np.stack([shuffled(rows, seed, self.epoch) for seed in self.seeds], axis=1)
        return rows if self.seed is None else shuffled(rows, self.seed, self.epoch)


def shuffled(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return a copy in the order of one epoch of one seed, which hangs on the number of rows and on nothing else."""
    order = rows.copy()
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order
