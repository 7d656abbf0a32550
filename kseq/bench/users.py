"""Models of a bench as users write them: of the same layers, compiled and fitted by Keras's methods."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kseq.training.batches import Batches
from kseq.training.callbacks import EpochTimer

#: Users' contenders by their short names, and their names in the table.
USERS = {
    "builder": "builder",
    "sequential": "Sequential",
    "functional": "functional model",
    "metrics": "two metrics",
    "arrays": "plain arrays",
}


def model_of(name: str, built: keras.Model) -> keras.Model:
    """Make a contender's model, compiled: the builder's own, or one of copies of its layers with the same weights.

    Args:
        name: One of :data:`USERS`.
        built: A model by :func:`kseq.build_model`, whose layers are a chain.
    """
    model = built
    if name in ("sequential", "functional"):
        first, *chain = [type(layer).from_config(layer.get_config()) for layer in built.layers]
        model = keras.Sequential([first, *chain])
        if name == "functional":
            model = keras.Model(
                first.output, functools.reduce(lambda hidden, layer: layer(hidden), chain, first.output)
            )
        model.set_weights(built.get_weights())
    model.compile("adam", "mse", metrics=["mae", "mse"] if name == "metrics" else None)
    return model


def training_of(
    name: str, model: keras.Model, batches: Batches, x: np.ndarray, y: np.ndarray
) -> Callable[[EpochTimer], Any]:
    """A training of two epochs: on batches of windows, or on plain arrays."""
    options: dict[str, Any] = {"epochs": 2, "verbose": 0}
    if name == "arrays":
        return lambda timer: model.fit(x, y, batch_size=batches.batch_size, callbacks=[timer], **options)
    return lambda timer: model.fit(batches, shuffle=False, callbacks=[timer], **options)
