"""Forecast more steps than a model gives at once: it reads its own forecasts in place of past values.

This is the one loop that feeds forecasts back: recursive strategies, steps beyond the horizon of a trained model, and
the calibration of their intervals all go through it. Covariates and the calendar of the steps must be in the rows.
"""

import keras
import numpy as np

from kseq.preprocessing.windows import WindowedPanel
from kseq.training import memory
from kseq.training.callbacks import forecast_batch, members_of


def roll_out(
    model: keras.Model, data: WindowedPanel, starts: np.ndarray, made: np.ndarray, blocks: int = 1
) -> np.ndarray:
    """Forecast the next ``blocks`` times ``data.horizon`` steps after those that are made.

    Args:
        model: A model that takes ``(batch, lookback, features)``, or ``(batch, members, lookback, features)``.
        data: Windows of the horizon that the model forecasts at once, with the scales to undo; the rows of all steps
            are in its panel.
        starts: Row of the first step of each forecast, ``(windows,)``; sorted.
        made: Forecasts of the steps so far, ``(member, window, step, target)``: what the transform's steps make of
            values, not scaled. One member for an ordinary model.
        blocks: Number of times that the model is called on its own forecasts.

    Returns:
        ``(member, window, step + blocks * horizon, target)``; :meth:`FittedTransform.undo
        <kseq.preprocessing.transforms.FittedTransform.undo>` brings them back to the targets' unit.
    """
    return roll_out_quantiles(model, data, starts, made, blocks)[0]


def roll_out_quantiles(
    model: keras.Model, data: WindowedPanel, starts: np.ndarray, made: np.ndarray, blocks: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Forecast as :func:`roll_out` does, and keep every quantile of the steps that are new.

    A model of quantiles reads its own medians.

    Returns:
        What :func:`roll_out` returns; and the quantiles in ascending order, ``(member, window, blocks * horizon,
        target, quantile)``, of which there is one where the model forecasts a value.
    """
    known = data.series.y if data.transform is None else data.transform.apply(data.series)
    parts = []
    for _ in range(blocks):
        parts.append(_next_block(model, data, starts, made, known))
        made = np.concatenate([made, parts[-1][..., parts[-1].shape[-1] // 2]], axis=2)
    return made, np.concatenate(parts, axis=2)


def _next_block(
    model: keras.Model, data: WindowedPanel, starts: np.ndarray, made: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """The quantiles of the next ``data.horizon`` steps, see :func:`roll_out_quantiles`."""
    panel, steps, members, windows = data.series, made.shape[2], members_of(model), data.test
    owners, reference = panel.series_of(starts), data.transform.reference if data.transform else None
    # Targets whose past the model reads, and where among its inputs.
    read = [number for number, target in enumerate(panel.targets) if target in data.input_columns]
    places = [data.input_columns.index(panel.targets[number]) for number in read]
    size = memory.windows_at_once(model, data.lookback)
    outputs = data.horizon * data.targets
    block = np.empty((made.shape[0], len(starts), data.horizon, data.targets, model.output_shape[-1] // outputs))
    for first in range(0, len(starts), size):
        some = slice(first, first + size)
        x = np.repeat(windows.gather_inputs(starts[some] + steps, owners[some])[:, None], members or 1, axis=1)
        if steps and places:
            past = made[:, some, -data.lookback :, read]
            scale = data.input_scaler.of(owners[some])
            center, width = (of[:, None, None, places] for of in (scale.center, scale.scale))
            # (window, member, step, target), as the windows are.
            x[..., -past.shape[2] :, places] = (np.moveaxis(past, 0, 1) - center) / width
        x = windows.refer(x)[0]
        scaled = _of_one_shape(model, x if members else x[:, 0], min(size, len(starts))).astype("float64")
        scaled = np.moveaxis(scaled.reshape(-1, members or 1, block.shape[-1], data.horizon, data.targets), 1, 0)
        # Quantiles that cross are put in order.
        scaled = np.moveaxis(np.sort(scaled, axis=2), 2, 0)
        every = [data.target_scaler.inverse_of(one, owners[some]) for one in scaled]
        if reference is not None:
            # Rows before the first step are known, later ones are forecasts.
            reach = np.arange(steps - reference.reach(data.lookback), min(steps, 0))
            past = np.broadcast_to(known[starts[some, None] + reach], (len(made), len(x), len(reach), data.targets))
            past = np.concatenate([past, made[:, some, len(reach) - reference.reach(data.lookback) :]], axis=2)
            unit = data.input_scaler.scale[owners[some]][:, None, list(windows.columns)] if windows.columns else 1.0
            every = [reference.put_back(one, past, data.lookback, owners[some], unit) for one in every]
        block[:, some] = np.stack(every, axis=-1)
    return block


def _of_one_shape(model: keras.Model, x: np.ndarray, size: int) -> np.ndarray:
    """Outputs of a model for a batch that is padded to ``size``, so that frameworks compile for one shape."""
    padded = np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])
    return np.asarray(forecast_batch(model, padded))[: len(x)]
