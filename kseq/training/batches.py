"""Batches of windows for Keras, on every backend and without TensorFlow, in an order fixed by the seed."""

from collections.abc import Sequence

import keras
import numpy as np

from kseq.errors import ConfigError, DataError
from kseq.naming import checked_class
from kseq.preprocessing.windows import WindowedPanel, Windows
from kseq.validation import require_whole

#: Bytes of inputs gathered in one NumPy call. Small batches are gathered many at a time, because the fixed cost of a
#: NumPy call equals that of copying some KiB.
AT_ONCE = 2**20

#: Piece number, inputs and targets of the gathered batches, before any have been gathered.
_NOTHING = (-1, np.empty(0), np.empty(0))


@checked_class("kseq.Batches")
class Batches(keras.utils.PyDataset):
    """Batches of windows for ``model.fit``, ``evaluate`` and ``predict``.

    The order of an epoch depends only on the seed and the epoch's number. With ``seeds`` each member of an ensemble
    reads the windows in the order in which a single model with that seed reads them.

    Args:
        windows: One part of a :class:`kseq.preprocessing.windows.WindowedPanel`, such as ``data.train``.
        batch_size: Number of windows in a batch, 32 by default; the last batch holds the rest. None puts all windows
            into one batch.
        seed: Seed that shuffles each epoch anew; None, the default, keeps the order of time.
        seeds: One seed for each ensemble member, instead of ``seed``.
        per_epoch: Number of windows that an epoch reads, at most all of them, the default. Windows are drawn without
            replacement over epochs: with ``seed`` or ``seeds`` none comes again before all have come.
        members: Number of ensemble members to repeat each window for, in the order of time; for validation and test.

    Raises:
        ConfigError: The batch size is below 1, or more than one of ``seed``, ``seeds`` and ``members`` is given.

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
        per_epoch: int | None = None,
    ):
        super().__init__()
        if not isinstance(windows, Windows):
            part = isinstance(windows, WindowedPanel)
            raise DataError(
                f"received type {type(windows).__name__}, expected one part of windowed data: "
                f"{'its .train, .validation or .test' if part else 'kseq.Batches(kseq.make_windows(series).train)'}."
            )
        if batch_size is not None:
            require_whole("batch_size", batch_size, least=1)
        if per_epoch is not None:
            require_whole("per_epoch", per_epoch, least=1)
        if seed is not None:
            require_whole("seed", seed)
        if sum(option is not None for option in (seed, seeds, members)) > 1:
            raise ConfigError("received more than one of seed, seeds and members, expected one of them.")
        self.windows = windows
        self.batch_size = batch_size or len(windows)
        self.seed = seed
        self.seeds = None if seeds is None else tuple(seeds)
        self.members = members
        self.per_epoch = min(per_epoch or len(windows), len(windows))
        self.epoch = 0
        self._orders: dict[int, np.ndarray] = {}
        self._passes: dict[tuple[int, int], np.ndarray] = {}
        window = windows.lookback * windows.inputs.shape[1] * windows.inputs.itemsize
        self._at_once = max(1, AT_ONCE // max(1, self.batch_size * window * (members or len(self.seeds or (0,)))))
        self._held = _NOTHING

    def __repr__(self) -> str:
        return f"Batches({len(self):,} of {self.batch_size:,} windows each; {self.windows!r})"

    def __len__(self) -> int:
        return -(-self.per_epoch // self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        number, place = divmod(batch, self._at_once)
        # Read once: another thread may replace the tuple in between.
        held, x, y = self._held
        if held != number:
            x, y = self.piece(number)
            self._held = number, x, y
        rows = slice(place * self.batch_size, (place + 1) * self.batch_size)
        return x[rows], y[rows]

    @property
    def pieces(self) -> int:
        """Number of pieces, of about :data:`AT_ONCE` bytes each, that make up an epoch; see :meth:`piece`."""
        return -(-len(self) // self._at_once)

    @property
    def shuffles(self) -> bool:
        """Whether each epoch has an order of its own."""
        return self.seed is not None or self.seeds is not None

    def piece(self, number: int, epoch: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Gather a run of consecutive batches.

        Args:
            number: Number of the piece, from 0 to ``pieces - 1``.
            epoch: Epoch whose order is used; the current one by default.

        Returns:
            Inputs and targets of the piece, shaped as those of a batch.
        """
        size = self._at_once * self.batch_size
        rows = self._order(self.epoch if epoch is None else epoch)
        x, y = self.windows.gather_at(rows[number * size : (number + 1) * size])
        y = y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])
        if self.members is not None:
            x, y = (np.repeat(part[:, None], self.members, axis=1) for part in (x, y))
        return x, y

    def on_epoch_end(self) -> None:
        """Advance to the next epoch and its order; Keras calls this after each epoch."""
        self.epoch += 1
        self._held = _NOTHING

    def _order(self, epoch: int) -> np.ndarray:
        """First target rows of the windows in the order of an epoch, ``(windows,)`` or ``(windows, members)``."""
        if epoch not in self._orders:
            # Keep two orders, of the current epoch and of the next.
            for past in [known for known in self._orders if known < self.epoch]:
                del self._orders[past]
            self._orders[epoch] = self._drawn(epoch)
        return self._orders[epoch]

    def _drawn(self, epoch: int) -> np.ndarray:
        if self.seeds is not None:
            return np.stack([self._rows(seed, epoch) for seed in self.seeds], axis=1)
        return self._rows(self.seed, epoch)

    def _rows(self, seed: int | None, epoch: int) -> np.ndarray:
        """First target rows of one member's windows in an epoch: a part of the passes over all windows."""
        rows, count = self.windows.all_starts(), self.per_epoch
        if seed is None:
            return rows[:count]
        if count == len(rows):
            return shuffled(rows, seed, epoch)
        first, last = epoch * count // len(rows), ((epoch + 1) * count - 1) // len(rows)
        passes = np.concatenate([self._pass(rows, seed, number) for number in range(first, last + 1)])
        begin = epoch * count - first * len(rows)
        return passes[begin : begin + count]

    def _pass(self, rows: np.ndarray, seed: int, number: int) -> np.ndarray:
        """One pass over all windows, kept until the next one begins."""
        for past in [key for key in self._passes if key[1] < number - 1]:
            del self._passes[past]
        if (seed, number) not in self._passes:
            self._passes[seed, number] = shuffled(rows, seed, number)
        return self._passes[seed, number]


def shuffled(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return a shuffled copy of ``rows``; the permutation depends only on the seed, the epoch and the row count."""
    order = rows.copy()
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order
