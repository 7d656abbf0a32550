"""One cell trained on a whole series, ready to forecast what comes after it.

The rows at the end of the series are the validation part: they stop the training, and what the model misses on them is
how wide its intervals are. It is then trained again on all rows, from fresh weights and a scale of all rows, for as
many epochs as were best the first time.

A model that is asked for more steps than its horizon reads its own forecasts for the later ones. So that these have
intervals too, it forecasts the validation part in the same way, from every origin on.
"""

from dataclasses import asdict, replace
from typing import Any, cast, overload

import keras
import numpy as np

from kseq import backends, baselines
from kseq.comparison.backtest import cut_windows
from kseq.errors import ConfigError
from kseq.forecasting import last_rows
from kseq.evaluation.intervals import half_width
from kseq.evaluation.metrics import mae
from kseq.modelcard import HalfWidths, ModelCard
from kseq.modelfile import TrainedModel, TrainedPanel
from kseq.one_network import (
    CALIBRATED,
    ORIGINS,
    RIVALS,
    Told,
    as_chosen,
    levels_of,
    reading_of,
    require_rows,
    train,
)
from kseq.panels.fitting import fit_panel
from kseq.parts import Split
from kseq.seasons import Cycle
from kseq.data import Panel, Series
from kseq.settings import CELL_NAMES, Settings
from kseq.training import Training
from kseq.transforms import Anomaly, FittedTransform, Step, Trend
from kseq.windows import WindowedSeries

#: Windows that are forecast at once.
BATCH = 1024

#: Rows of the series that a model keeps at least: for the picture, and for what tells a calendar from another.
KEPT = 100


@overload
def fit_model(
    series: Series,
    settings: Settings | None = None,
    *,
    refit: bool = True,
    progress: Told | None = None,
    **options: Any,
) -> TrainedModel: ...


@overload
def fit_model(
    series: Panel,
    settings: Settings | None = None,
    *,
    refit: bool = True,
    progress: Told | None = None,
    **options: Any,
) -> TrainedPanel: ...


def fit_model(
    series: Series | Panel,
    settings: Settings | None = None,
    *,
    refit: bool = True,
    progress: Told | None = None,
    **options: Any,
) -> TrainedModel | TrainedPanel:
    """Train a cell on a series, with intervals, for forecasts of what comes after it.

    Args:
        series: the series; or a panel, of all whose series one model is made, see :mod:`kseq.panels.fitting`.
        settings: with one cell; of several seeds the mean of the forecasts is taken. What they say of a test part, of
            baselines and of a backtest is not read.
        refit: train again on all rows once the validation part has done its work.
        progress: called with what is trained, the epoch and the epoch limit, after each epoch.
        **options: single settings by name, instead of ``settings``.

    Returns:
        TrainedModel: or TrainedPanel; see :func:`kseq.modelfile.save` and :func:`kseq.forecasting.forecast`.

    Raises:
        ConfigError: a setting is wrong, or all trainings diverged.
        DataError: the series is too short.

    Example:
        >>> model = fit_model(load_series("nino12"), cells=("gru",), seeds=(0,))  # doctest: +SKIP
    """
    if settings is not None and options:
        raise ConfigError(f"received settings and also {', '.join(options)}, expected one or the other.")
    settings = settings or Settings(**{"cells": ("gru",), "seeds": (0,), **options})
    if len(settings.cells) != 1:
        raise ConfigError(f"received cells {', '.join(settings.cells)}, expected one.")
    settings = settings.of(settings.cells[0])
    if settings.strategy != "direct":
        raise ConfigError(
            f"received strategy {settings.strategy} for a model that is saved, expected direct: it forecasts all steps "
            "at once."
        )
    if settings.scaler == "minmax-leaks-test":
        raise ConfigError(
            "received scaler minmax-leaks-test, expected standard or minmax: what is to be forecast is not known yet."
        )
    if isinstance(series, Panel):
        return fit_panel(series, settings, refit, progress)
    n = len(series)
    require_rows(n, settings)
    training = Training(**settings.training)
    data = cut_windows(series, settings, Split.at(n, n, settings.validation))
    network, seeds, epochs = train(data, settings, training, progress, "")
    season = _season(data, settings)
    widths, scores = _calibrate(network, data, settings, season)
    refit = refit and len(data.validation) > 0
    if refit:
        data = cut_windows(series, as_chosen(settings, _transform_of(data)), Split(n, n, n))
        budget = replace(training, epochs=epochs, patience=0)
        network, seeds, _ = train(data, replace(settings, seeds=seeds), budget, progress, " on all rows")
    context = _context(data, season)
    card = ModelCard(
        name=CELL_NAMES[settings.cells[0]],
        settings=asdict(settings),
        seeds=seeds,
        epochs=epochs,
        refitted=refit,
        rows=n,
        first=str(series.index[0]),
        sha256=series.fingerprint,
        freq=series.calendar.alias,
        step=series.step,
        season=season,
        reading=reading_of(series),
        input_columns=data.input_columns,
        input_scaler=data.input_scaler,
        target_scaler=data.target_scaler,
        transform=_at_the_end(_transform_of(data), len(context)),
        half_widths=widths,
        scores=scores,
        backend=keras.config.backend(),
        versions=backends.versions(),
        context=context,
    )
    return TrainedModel(network, card)


def _season(data: WindowedSeries, settings: Settings) -> int:
    """Steps in a season; 1 where there is none, or fewer than two before the validation part."""
    season = settings.season or baselines.season_known(data)
    return season if 2 * season <= data.split.validation else 1


def _transform_of(data: WindowedSeries) -> FittedTransform | None:
    return cast("FittedTransform | None", data.transform)


def _calibrate(
    network: keras.Model, data: WindowedSeries, settings: Settings, season: int
) -> tuple[HalfWidths, dict[str, float]]:
    """Half-widths of intervals for every whole percent, and scores beside baselines, both on the validation part."""
    levels = levels_of(settings)
    if not len(data.validation):
        return HalfWidths(levels, np.empty((len(levels), 0, data.targets)), 0), {}
    blocks = max(1, min(CALIBRATED, len(data.validation)) // data.horizon)
    errors = _errors(network, data, blocks)
    widths = [np.stack([half_width(part, level) for level in levels]) for part in errors]
    truth = data.series.y[data.validation.target_rows]
    scores = {CELL_NAMES[settings.cells[0]]: float(np.mean(np.abs(errors[0])))} | {
        label: float(mae(truth, forecasts))
        for label, _, forecasts in baselines.forecasts(data, RIVALS, season)
        if forecasts is not None
    }
    return HalfWidths(levels, np.concatenate(widths, axis=1), len(errors[0])), scores


def _errors(network: keras.Model, data: WindowedSeries, blocks: int) -> list[np.ndarray]:
    """Errors on the validation part, ``(windows, horizon, targets)`` for each block of steps.

    The first block is forecast from what is known; each further one from the forecasts before it.
    """
    horizon, lookback, series = data.horizon, data.lookback, data.series
    # Targets whose past the model reads, and where among its inputs.
    read = [number for number, target in enumerate(series.targets) if target in data.input_columns]
    places = [data.input_columns.index(series.targets[number]) for number in read]
    center, scale = data.input_scaler.center[places], data.input_scaler.scale[places]
    starts = data.validation.target_rows[:, 0]
    # One after the last row that follows each window without a gap.
    ends = series.stretches[np.searchsorted(series.stretches[:, 0], starts, side="right") - 1, 1]
    errors: list[np.ndarray] = []
    made = np.empty((len(starts), 0, data.targets))
    for block in range(blocks):
        firsts = starts + block * horizon
        fits = firsts + horizon <= ends
        if block == 1:
            fits[np.arange(len(fits)) % -(-len(fits) // ORIGINS) > 0] = False
        if not fits.any():
            break
        starts, ends, firsts, made = starts[fits], ends[fits], firsts[fits], made[fits]
        x = data.validation.inputs.take(firsts[:, None] + np.arange(-lookback, 0), axis=0)
        if places and block:
            # Earlier forecasts stand where the model reads what has been.
            past = _as_read(data, made, starts)[:, -lookback:, read]
            x[:, -past.shape[1] :, places] = (past - center) / scale
        outputs = _outputs(network, x, min(BATCH, len(data.validation))).reshape(-1, horizon, data.targets)
        made = np.concatenate([made, data.target_scaler.inverse(outputs)], axis=1)
        rows = starts[:, None] + np.arange(made.shape[1])
        forecasts = made if data.transform is None else data.transform.undo(made, series, rows)
        errors.append((forecasts - series.y[rows])[:, -horizon:])
    return errors


def _outputs(network: keras.Model, x: np.ndarray, size: int) -> np.ndarray:
    """What a network gives for windows, in batches of one shape: what compiles for each shape does so once."""
    padded = np.concatenate([x, np.repeat(x[-1:], -len(x) % size, axis=0)])
    parts = [network.predict_on_batch(padded[first : first + size]) for first in range(0, len(padded), size)]
    return np.concatenate(parts)[: len(x)].astype("float64")


def _as_read(data: WindowedSeries, made: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """What a model reads of its own forecasts, ``(windows, steps, targets)``, not scaled."""
    transform = _transform_of(data)
    if transform is None or not transform.changes:
        return made
    # It forecasts changes, and reads levels.
    levels, _ = transform.apply(data.series)
    return levels[starts - 1][:, None] + np.cumsum(made, axis=1)


def _at_the_end(transform: FittedTransform | None, rows: int) -> FittedTransform | None:
    """A transform that knows the phases and times of the last rows alone."""
    if transform is None:
        return None
    steps: list[Step] = []
    for step in transform.steps:
        if isinstance(step, Anomaly):
            steps.append(replace(step, cycle=Cycle(step.cycle.season, step.cycle.phase[-rows:])))
        elif isinstance(step, Trend):
            steps.append(replace(step, times=step.times[-rows:]))
        else:
            steps.append(step)
    return replace(transform, steps=tuple(steps))


def _context(data: WindowedSeries, season: int) -> Series:
    """The rows that a model keeps: what it reads, two seasons, and a year of dates that go on as in the year before."""
    series, index = data.series, data.series.index
    least = max(KEPT, data.lookback + 1, 2 * season + 1)
    if series.has_dates and not series.calendar.alias:
        least = max(least, int((index >= index[-1] - np.timedelta64(400, "D")).sum()))
    return last_rows(series, min(least, len(series)))
