"""How batches come to the device on PyTorch: in pieces of many, the next epoch's first while a GPU is at work."""

import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor

from kseq.kernels import Piece

#: Bytes of windows that are gathered in one call, for a call costs as much as copying some KiB.
AT_ONCE = 2**20


class _Feed(torch.utils.data.DataLoader):
    """Batches as tensors, many of them brought to the device at once: each call costs more than the bytes."""

    def __init__(self, batches: Any):
        super().__init__(batches, batch_size=None)
        self._batches = batches
        #: Whether pieces are given as they are, for a step that takes many batches at once.
        self.whole = False
        #: An epoch's number and its first piece, which is there already.
        self._ready: tuple[int, list[Tensor]] = (-1, [])

    def __len__(self) -> int:
        return self._batches.pieces if self.whole else len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        batches = self._batches
        # All epochs are one where the order never changes.
        epoch = batches.epoch if batches.shuffles else 0
        for number in range(batches.pieces):
            parts = self._ready[1] if (epoch, number) == (self._ready[0], 0) else self._piece(number, epoch)
            if batches.pieces == 1 and not batches.shuffles:
                # What never changes, as a validation part, stays where it is.
                self._ready = epoch, parts
            piece = Piece(parts, batches.batch_size)
            if self.whole:
                yield piece
            else:
                yield from piece.batches()

    def look_ahead(self) -> None:
        """Gather the first piece of the next epoch now, while a GPU is at work on this one's last steps."""
        following = self._batches.epoch + 1
        self._ready = following, self._piece(0, following)

    def _piece(self, number: int, epoch: int) -> list[Tensor]:
        return [_brought(part) for part in self._batches.piece(number, epoch)]


class _ArrayFeed(torch.utils.data.DataLoader):
    """Batches of arrays, many gathered at once, in the order that Keras's own loader of arrays draws.

    Args:
        arrays: Arrays of equal lengths: windows, targets and perhaps weights.
        batch_size: Number of windows in a batch.
        shuffle: Whether each epoch has an order of its own, drawn from PyTorch's global generator.
    """

    def __init__(self, arrays: list[Any], batch_size: int, shuffle: bool):
        super().__init__(arrays[0], batch_size=None)
        self._arrays, self._size, self._count = arrays, batch_size, len(arrays[0])
        self._shuffles, self.whole = shuffle, False
        self._at_once = batch_size * max(1, AT_ONCE // max(1, batch_size * arrays[0][0].nbytes))
        indices = range(self._count)
        sampler = torch.utils.data.RandomSampler(indices)
        # Keras's loader draws a whole epoch's order, whatever the size of its batches.
        epoch = torch.utils.data.BatchSampler(sampler, self._count, drop_last=False)
        self._orders = torch.utils.data.DataLoader(_Indices(indices), batch_sampler=epoch, collate_fn=np.array)
        #: What never changes stays on the device.
        self._there: list[Tensor] | None = None

    def __len__(self) -> int:
        return -(-self._count // (self._at_once if self.whole else self._size))

    def __iter__(self) -> Iterator[Any]:
        # Keras's loader draws a number when its iteration is asked for, shuffled or not, and the order at the first
        # batch.
        orders = iter(self._orders)
        return self._batches(orders if self._shuffles else None)

    def _batches(self, orders: Iterator[Any] | None) -> Iterator[Any]:
        for parts in self._pieces(None if orders is None else next(orders)):
            piece = Piece(parts, self._size)
            if self.whole:
                yield piece
            else:
                yield from piece.batches()

    def _pieces(self, order: Any) -> Iterator[list[Tensor]]:
        starts = range(0, self._count, self._at_once)
        if order is not None:
            for start in starts:
                rows = order[start : start + self._at_once]
                yield [_brought(array[rows]) for array in self._arrays]
            return
        if self._there is None:
            self._there = [_brought(np.ascontiguousarray(array)) for array in self._arrays]
        for start in starts:
            yield [part[start : start + self._at_once] for part in self._there]


class _Indices(torch.utils.data.Dataset):
    """The numbers of windows, as themselves."""

    def __init__(self, indices: range):
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitems__(self, indices: list[int]) -> list[int]:
        return indices


def array_dataset(arrays: list[Any], batch_size: int, shuffle: bool) -> torch.utils.data.DataLoader:
    """Arrays as Keras reads them with least overhead, in batches; arguments as of :class:`_ArrayFeed`."""
    return _ArrayFeed(arrays, batch_size, shuffle)


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
