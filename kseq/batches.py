"""Windows in batches, as Keras takes them: on every backend, without TensorFlow, in an order that the seed fixes."""

from collections.abc import Sequence

import keras
import numpy as np

from kseq.errors import ConfigError
from kseq.preprocessing.windows import Windows

#: Bytes of inputs that are gathered at once, of small batches many: a call of NumPy takes as long as copying some KiB.
AT_ONCE = 2**20

#: Number, inputs and targets of the batches that are held, before there are any.
_NOTHING = (-1, np.empty(0), np.empty(0))


class Batches(keras.utils.PyDataset):
    """Batches of windows for ``model.fit``, ``evaluate`` and ``predict``.

    The order of an epoch depends on the seed and the epoch's number alone. With ``seeds`` each member of an ensemble
    reads the windows in the order that a single model with that seed reads them.

    Args:
        windows: one part of a :class:`kseq.preprocessing.windows.WindowedPanel`.
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
        self._orders: dict[int, np.ndarray] = {}
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
            x, y = self.piece(number)
            self._held = number, x, y
        rows = slice(place * self.batch_size, (place + 1) * self.batch_size)
        return x[rows], y[rows]

    @property
    def pieces(self) -> int:
        """In how many pieces of many batches (some :data:`AT_ONCE` bytes) :meth:`piece` gives an epoch."""
        return -(-len(self) // self._at_once)

    @property
    def shuffles(self) -> bool:
        """Whether epochs differ in their order."""
        return self.seed is not None or self.seeds is not None

    def piece(self, number: int, epoch: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Gather some neighbouring batches at once, of this epoch or of another."""
        size = self._at_once * self.batch_size
        rows = self._order(self.epoch if epoch is None else epoch)
        x, y = self.windows.gather_at(rows[number * size : (number + 1) * size])
        y = y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])
        if self.members is not None:
            x, y = (np.repeat(part[:, None], self.members, axis=1) for part in (x, y))
        return x, y

    def on_epoch_end(self) -> None:
        """Go on to the next epoch and its order; Keras calls this after each."""
        self.epoch += 1
        self._held = _NOTHING

    def _order(self, epoch: int) -> np.ndarray:
        """First target rows of the windows in the order of an epoch, ``(windows,)`` or ``(windows, members)``."""
        if epoch not in self._orders:
            # Of two, this epoch's and the next one's.
            for past in [known for known in self._orders if known < self.epoch]:
                del self._orders[past]
            self._orders[epoch] = self._drawn(epoch)
        return self._orders[epoch]

    def _drawn(self, epoch: int) -> np.ndarray:
        rows = self.windows.all_starts()
        if self.seeds is not None:
            return np.stack([shuffled(rows, seed, epoch) for seed in self.seeds], axis=1)
        return rows if self.seed is None else shuffled(rows, self.seed, epoch)


def shuffled(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return a copy in the order of one epoch of one seed, which hangs on the number of rows and on nothing else."""
    order = rows.copy()
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order
