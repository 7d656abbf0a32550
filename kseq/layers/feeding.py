"""Feed ``fit``: batches in the backend's fastest form, and a callback list that skips hooks nobody implements."""

from collections.abc import Sequence
from typing import Any

import keras

from kseq import kernels
from kseq.layers.fast_step import takes_pieces


class NextEpoch(keras.callbacks.Callback):
    """Advance :class:`kseq.training.batches.Batches` to the next epoch's order, where the data source does not.

    Args:
        batches: The batches.
        source: The backend's data source that ``fit`` reads and that takes its batches from ``batches``.
    """

    def __init__(self, batches: Any, source: Any):
        super().__init__()
        self.batches, self.source = batches, source
        self._looks_ahead = hasattr(source, "look_ahead")

    def after_step(self, batch: int) -> None:
        """After the last step of an epoch, gather the next epoch's first batches while the GPU still computes."""
        if self._looks_ahead and batch == len(self.source) - 1:
            self.source.look_ahead()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Advance to the next epoch's order."""
        self.batches.on_epoch_end()


def fed(batches: Any) -> tuple[Any, list[NextEpoch]]:
    """Turn batches into the data source that ``fit`` reads fastest on this backend.

    Args:
        batches: The :class:`kseq.training.batches.Batches`; the source gives the same ones in the same order.

    Returns:
        tuple: The source, and the callbacks that advance it, for :class:`Listeners` or a list of callbacks.
    """
    backend = kernels.load(keras.config.backend())
    if not hasattr(backend, "dataset"):
        return batches, []
    # Keras advances a PyDataset before the first epoch too; doing the same gives the same order on every backend.
    batches.on_epoch_end()
    source = backend.dataset(batches)
    return source, [NextEpoch(batches, source)]


def hooked(callbacks: Sequence[keras.callbacks.Callback], hook: str, alias: str) -> bool:
    """Whether any callback implements a hook, under either of its two names."""
    return any(
        name in vars(callback) or getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name)
        for callback in callbacks
        # Keras's own ask at each batch whether to save, and never do.
        if not (type(callback) is keras.callbacks.ModelCheckpoint and callback.save_freq == "epoch")
        for name in (hook, alias)
    )


class Listeners(keras.callbacks.CallbackList):
    """Keras's ``CallbackList``, without batch hooks that no callback implements.

    Keras passes the end of each batch to another thread even if no callback uses it; waking that thread takes processor
    time that the steps of small networks need.

    Args:
        *callbacks: Positional arguments of Keras's ``CallbackList``.
        feeding: Callbacks from :func:`fed`; they run right after each step, and before all others after an epoch.
        **options: Keyword arguments of Keras's ``CallbackList``.
    """

    def __init__(self, *callbacks: Any, feeding: Sequence[NextEpoch] = (), **options: Any):
        super().__init__(*callbacks, **options)
        self.feeding = feeding

    @property
    def feeding(self) -> Sequence[NextEpoch]:
        """The callbacks that advance the data; where nothing happens between batches, the step gets many at once."""
        return self._feeding

    @feeding.setter
    def feeding(self, feeding: Sequence[NextEpoch]) -> None:
        self._feeding = feeding
        for feeder in feeding:
            self.give_whole(feeder.source)

    def give_whole(self, source: Any) -> None:
        """Let a data source give many batches at once, if no callback would notice."""
        self._find_hooks()
        model = getattr(self, "_model", None)
        if hasattr(source, "whole") and not (self._at_begin or self._at_end) and takes_pieces(model):
            source.whole = _built(model, source)

    def _implements(self, hook: str, alias: str) -> bool:
        return hooked(self.callbacks, hook, alias)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Find which batch hooks are implemented."""
        self._find_hooks()
        super().on_train_begin(logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Find which batch hooks are implemented."""
        self._find_hooks()
        super().on_test_begin(logs)

    def _find_hooks(self) -> None:
        self._at_begin = self._implements("on_train_batch_begin", "on_batch_begin")
        self._at_end = self._implements("on_train_batch_end", "on_batch_end")
        self._at_test_begin = self._implements("on_test_batch_begin", "on_test_batch_begin")
        self._at_test_end = self._implements("on_test_batch_end", "on_test_batch_end")

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Call the hook if any callback implements it."""
        if self._at_begin:
            super().on_train_batch_begin(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Advance the data source, then call all callbacks."""
        for feeder in self.feeding:
            feeder.on_epoch_end(epoch)
        super().on_epoch_end(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Let the data source look ahead, then call the hook if any callback implements it."""
        for feeder in self.feeding:
            feeder.after_step(batch)
        if self._at_end:
            super().on_train_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Call the hook if any callback implements it."""
        if self._at_test_begin:
            super().on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Call the hook if any callback implements it."""
        if self._at_test_end:
            super().on_test_batch_end(batch, logs)


def _built(model: keras.Model, source: Any) -> bool:
    """Build what ``fit`` would build by the first batch, with the same draws; whether nothing is left to build."""

    def is_built() -> bool:
        compiled = [part for part in (model._compile_metrics, model._compile_loss) if part is not None]
        return all(part.built for part in [*compiled, *model._flatten_layers()])

    if not is_built():
        model._symbolic_build(data_batch=next(iter(source)))
    return is_built()
