"""What ``fit`` reads and whom it tells: batches in their fastest form, and callbacks without what nobody listens to."""

from collections.abc import Sequence
from typing import Any

import keras

from kseq import kernels
from kseq.batches import Batches


class NextEpoch(keras.callbacks.Callback):
    """Shuffles batches anew after each epoch, where what ``fit`` reads does not do so by itself.

    Args:
        batches: in the order of one epoch after the other.
        source: what ``fit`` reads of them.
    """

    def __init__(self, batches: Batches, source: Any):
        super().__init__()
        self.batches, self.source = batches, source
        self._last = len(batches) - 1 if hasattr(source, "look_ahead") else None

    def after_step(self, batch: int) -> None:
        """After the last step of an epoch, before anything waits for a GPU to do it, gather for the next one."""
        if batch == self._last:
            self.source.look_ahead()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Shuffle."""
        self.batches.on_epoch_end()


def fed(batches: Batches) -> tuple[Any, list[NextEpoch]]:
    """Give what ``fit`` reads fastest on this backend, the same batches in the same order, and what to feed it by.

    The second is for :class:`Listeners`, or a list of callbacks.
    """
    backend = kernels.load(keras.config.backend())
    if not hasattr(backend, "dataset"):
        return batches, []
    # Keras shuffles what it reads itself before the first epoch too: the same order, then, on every backend.
    batches.on_epoch_end()
    source = backend.dataset(batches)
    return source, [NextEpoch(batches, source)]


class Listeners(keras.callbacks.CallbackList):
    """Keras's list of callbacks, which tells of batches only where somebody listens.

    Keras hands the end of each batch to another thread, also where no callback does anything with it: waking that
    thread takes processor time that the steps of small networks need.

    Args:
        *callbacks: as Keras's list takes them, with all options that it takes.
        feeding: from :func:`fed`, told of steps at once and of epochs before all others.
    """

    def __init__(self, *callbacks: Any, feeding: Sequence[NextEpoch] = (), **options: Any):
        super().__init__(*callbacks, **options)
        self.feeding = feeding

    def _heard(self, hook: str, alias: str) -> bool:
        """Whether a callback has something to do at a moment, under either of its names."""
        return any(
            name in vars(callback) or getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name)
            for callback in self.callbacks
            for name in (hook, alias)
        )

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Find who listens."""
        self._look()
        super().on_train_begin(logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Find who listens."""
        self._look()
        super().on_test_begin(logs)

    def _look(self) -> None:
        self._at_begin = self._heard("on_train_batch_begin", "on_batch_begin")
        self._at_end = self._heard("on_train_batch_end", "on_batch_end")
        self._at_test_begin = self._heard("on_test_batch_begin", "on_test_batch_begin")
        self._at_test_end = self._heard("on_test_batch_end", "on_test_batch_end")

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """A step begins."""
        if self._at_begin:
            super().on_train_batch_begin(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """An epoch has ended."""
        for feeder in self.feeding:
            feeder.on_epoch_end(epoch)
        super().on_epoch_end(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """A step has ended."""
        for feeder in self.feeding:
            feeder.after_step(batch)
        if self._at_end:
            super().on_train_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """A step of an evaluation begins."""
        if self._at_test_begin:
            super().on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """A step of an evaluation has ended."""
        if self._at_test_end:
            super().on_test_batch_end(batch, logs)
