"""How batches come to the device on PyTorch: in pieces of many, the next epoch's first while a GPU is at work."""

import functools
from collections.abc import Iterator
from typing import Any

import keras
import torch
from torch import Tensor


class _Feed(torch.utils.data.DataLoader):
    """Batches as tensors, many of them brought to the device at once: each call costs more than the bytes."""

    def __init__(self, batches: Any):
        super().__init__(batches, batch_size=None)
        self._batches = batches
        #: An epoch's number and its first piece, which is there already.
        self._ready: tuple[int, list[Tensor]] = (-1, [])

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        batches = self._batches
        # All epochs are one where the order never changes.
        epoch = batches.epoch if batches.shuffles else 0
        for number in range(batches.pieces):
            parts = self._ready[1] if (epoch, number) == (self._ready[0], 0) else self._piece(number, epoch)
            if batches.pieces == 1 and not batches.shuffles:
                # What never changes, as a validation part, stays where it is.
                self._ready = epoch, parts
            for start in range(0, len(parts[0]), batches.batch_size):
                yield tuple(part[start : start + batches.batch_size] for part in parts)

    def look_ahead(self) -> None:
        """Gather the first piece of the next epoch now, while a GPU is at work on this one's last steps."""
        following = self._batches.epoch + 1
        self._ready = following, self._piece(0, following)

    def _piece(self, number: int, epoch: int) -> list[Tensor]:
        return [_brought(part) for part in self._batches.piece(number, epoch)]


def _brought(array: Any) -> Tensor:
    """An array on the device; a GPU copies it from memory that stays in place, while this process goes on."""
    tensor = torch.from_numpy(array)
    if _device().type == "cuda":
        return tensor.pin_memory().to(_device(), non_blocking=True)
    return tensor.to(_device())


@functools.cache
def _device() -> torch.device:
    """Where Keras puts its tensors."""
    return keras.ops.zeros(()).device


def dataset(batches: Any) -> torch.utils.data.DataLoader:
    """The batches of :class:`kseq.training.batches.Batches` as Keras reads them with least overhead, on PyTorch.

    Keras itself wraps a ``PyDataset`` in a generator, a loader and a conversion of every part, each of which costs its
    time a batch. Whoever trains on this calls ``batches.on_epoch_end()`` after each epoch: here nothing is counted.
    """
    return _Feed(batches)
