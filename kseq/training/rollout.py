"""Forecast more steps than a model gives at once: its own forecasts stand where it reads what has been.

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
        model: takes ``(batch, lookback, features)``, or ``(batch, members, lookback, features)``.
        data: windows of the horizon that the model forecasts at once, with the scales to undo; the rows of all steps
            are in its panel.
        starts: row of the first step of each forecast, ``(windows,)``; sorted.
        made: forecasts of the steps so far, ``(member, window, step, target)``: transformed and not scaled, as the
            model forecasts them. One member for an ordinary model.
        blocks: how many times the model is called on what it has forecast.

    Returns:
        ``(member, window, step + blocks * horizon, target)``; :meth:`FittedTransform.undo
        <kseq.preprocessing.transforms.FittedTransform.undo>` brings them back to the targets' unit.
    """
    levels = None
    if data.transform is not None and data.transform.changes:
        # The model forecasts changes, and reads levels.
        levels = data.transform.apply(data.series)[0][starts - 1][:, None]
    for _ in range(blocks):
        made = _with_next_block(model, data, starts, made, levels)
    return made


def _with_next_block(
    model: keras.Model, data: WindowedPanel, starts: np.ndarray, made: np.ndarray, levels: np.ndarray | None
) -> np.ndarray:
    panel, steps, members = data.series, made.shape[2], members_of(model)
    owners = panel.series_of(starts)
    # Targets whose past the model reads, and where among its inputs.
    read = [number for number, target in enumerate(panel.targets) if target in data.input_columns]
    places = [data.input_columns.index(panel.targets[number]) for number in read]
    past = None
    if steps and places:
        past = made if levels is None else levels + np.cumsum(made, axis=2)
        past = past[:, :, -data.lookback :, read]
    size = memory.windows_at_once(model, data.lookback)
    outputs = []
    for first in range(0, len(starts), size):
        some = slice(first, first + size)
        x = np.repeat(data.test.gather_inputs(starts[some] + steps, owners[some])[:, None], members or 1, axis=1)
        if past is not None:
            scale = data.input_scaler.of(owners[some])
            center, width = (of[:, None, None, places] for of in (scale.center, scale.scale))
            # (window, member, step, target), as the windows are.
            x[..., -past.shape[2] :, places] = (np.moveaxis(past[:, some], 0, 1) - center) / width
        outputs.append(_of_one_shape(model, x if members else x[:, 0], min(size, len(starts))))
    scaled = np.concatenate(outputs).astype("float64").reshape(len(starts), members or 1, data.horizon, data.targets)
    return np.concatenate([made, data.target_scaler.inverse_of(np.moveaxis(scaled, 1, 0), owners)], axis=2)


def _of_one_shape(model: keras.Model, x: np.ndarray, size: int) -> np.ndarray:
    """What a model gives for a batch, filled up to ``size``: what compiles for each shape does so once."""
    padded = np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])
    return np.asarray(forecast_batch(model, padded))[: len(x)]
