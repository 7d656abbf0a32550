"""Batches reach the device in the order of each epoch, the next one's before this process waits for anything."""

import os

import keras
import numpy as np
import pytest

if os.environ["KERAS_BACKEND"] != "torch":
    pytest.skip("needs KERAS_BACKEND=torch", allow_module_level=True)

from kseq import Batches, build_model, load_series, make_windows
from kseq.kernels.torch_feed import dataset
from kseq.training.fit import Training, fit


@pytest.fixture(scope="module")
def windows():
    return make_windows(load_series("nino12")).train


def epochs_of(source, batches, number):
    """All tensors of some epochs, as ``fit`` reads them."""
    read = []
    for _ in range(number):
        read.append([tuple(part.cpu().numpy() for part in batch) for batch in source])
        batches.on_epoch_end()
    return read


@pytest.mark.parametrize("at_once", [1, 20_000, 2**20], ids=["batch by batch", "in pieces", "whole"])
@pytest.mark.parametrize("options", [{"seed": 3}, {"seeds": [4, 9]}, {"members": 2}, {}], ids=str)
def test_epochs_are_those_of_the_batches(monkeypatch, windows, options, at_once):
    monkeypatch.setattr("kseq.training.batches.AT_ONCE", at_once)
    fed, plain = Batches(windows, 50, **options), Batches(windows, 50, **options)
    for epoch in epochs_of(dataset(fed), fed, 3):
        expected = [plain[number] for number in range(len(plain))]
        for one, other in zip(epoch, expected, strict=True):
            for part, expected_part in zip(one, other, strict=True):
                np.testing.assert_array_equal(part, expected_part)
        plain.on_epoch_end()


def test_what_never_changes_is_gathered_once(windows):
    batches, asked = Batches(windows, 50, members=2), []
    piece = batches.piece
    batches.piece = lambda number, epoch: asked.append(number) or piece(number, epoch)
    epochs_of(dataset(batches), batches, 3)
    assert asked == [0]


def test_training_gathers_the_next_epoch_at_the_end_of_each(monkeypatch):
    """Epoch numbers as they are asked for, by what; a callback is told of an epoch after that."""
    told, piece = [], Batches.piece

    def noted(self, number, epoch=None):
        if self.shuffles:
            told.append(epoch)
        return piece(self, number, epoch)

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            told.append("end")

    monkeypatch.setattr(Batches, "piece", noted)
    fit(build_model("gru", units=2), make_windows(load_series("nino12")), Training(epochs=3), [5], [Watch()])
    # Keras looks at a batch before it begins.
    assert told == [1, 1, 2, "end", 3, "end", 4, "end"]
