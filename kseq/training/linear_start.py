"""Least squares as the start of a network with a linear skip.

The network is the sum of a recurrent part and of a linear map of the window, see :func:`kseq.build_model`. Least
squares with a ridge penalty give the map (DLinear, :mod:`kseq.preprocessing.linear`), and the head of the recurrent
part is made small, so that training begins near the best linear forecast, and a cell learns what is not linear. Every
member starts with the same map; its recurrent weights are drawn from its seed.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.preprocessing.linear import linear_map
from kseq.preprocessing.windows import Windows

#: Numbers of a window that least squares take in a second or two; of larger ones the map starts at zero.
MOST_INPUTS = 1_500

#: Share of the head's drawn weights that is kept. Without any, whole batches would have no gradient but what rounding
#: makes, which Adam enlarges.
HEAD = 0.1

#: Windows whose errors tell where quantiles lie.
JUDGED = 10_000


def start_linear(
    model: keras.Model,
    train: Windows,
    validation: Windows | None = None,
    quantiles: Sequence[float] = (),
    penalty: float | None = None,
) -> float | None:
    """Start the linear skip of a model that has not been trained; a model without one stays as it is.

    Args:
        model: An ordinary model, or an ensemble.
        train: Windows to fit the map to.
        validation: Windows by which the ridge penalty is chosen; None, the default, for cross-validation.
        quantiles: Quantiles that the model forecasts, all outputs of the first one first.
        penalty: Ridge penalty that an earlier training has found; None, the default, to choose one.

    Returns:
        float: The penalty; None where nothing was set, because there is no skip, the skip is no longer zero, or windows
        are too large for least squares.
    """
    skip = next((layer for layer in model.layers if layer.name in ("skip", "members_skip")), None)
    if skip is None:
        return None
    kernel = skip.trainable_weights[0]
    inputs = kernel.shape[-3] * kernel.shape[-2]
    if inputs > MOST_INPUTS or not len(train) or np.any(ops.convert_to_numpy(kernel.value)):
        return None
    found = linear_map(train, validation, penalty)
    levels = _levels(train, found, quantiles)
    coefficients = np.tile(found.coefficients, (1, max(1, len(quantiles)))).reshape(kernel.shape[-3:])
    _set(kernel, coefficients)
    head = next(layer for layer in model.layers if layer.name in ("forecast", "members_forecast"))
    for weight in head.trainable_weights:
        # The head of a decoder is one for all steps.
        of_head = levels.reshape(-1, weight.shape[-1]).mean(axis=0)
        _set(weight, of_head if weight.name == "bias" else HEAD * ops.convert_to_numpy(weight.value))
    return found.penalty


def _set(weight: Any, value: np.ndarray) -> None:
    weight.assign(np.broadcast_to(value, weight.shape))


def _levels(train: Windows, found: Any, quantiles: Sequence[float]) -> np.ndarray:
    """The map's intercepts; of quantiles those of the errors on training windows besides."""
    if not len(quantiles):
        return found.intercepts
    some = train.thinned(JUDGED)
    errors = some.y - some.x.reshape(len(some), -1) @ found.coefficients
    return np.quantile(errors, quantiles, axis=0).ravel()
