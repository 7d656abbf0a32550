"""One cell trained on a whole series, ready to forecast what comes after it.

The rows at the end of the series are the validation part: they stop the training, and what the model misses on them is
how wide its intervals are. It is then trained again on all rows, from fresh weights and a scale of all rows, for as
many epochs as were best the first time.

A model that is asked for more steps than its horizon reads its own forecasts for the later ones. So that these have
intervals too, it forecasts the validation part in the same way, from every origin on.
"""

from dataclasses import asdict, replace
from typing import Any, overload

import keras
import numpy as np

from kseq import backends
from kseq.comparison.backtest import cut_windows
from kseq.data import Panel, Series
from kseq.errors import ConfigError
from kseq.forecasting import last_rows
from kseq.modelcard import ModelCard
from kseq.modelfile import TrainedModel, TrainedPanel
from kseq.one_network import Told, as_chosen, reading_of, require_rows, train
from kseq.panels.fitting import calibrate, fit_panel, season_in
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.seasonality import Cycle
from kseq.preprocessing.splits import Split
from kseq.preprocessing.transforms import Anomaly, FittedTransform, Step, Trend
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import CELL_NAMES, Settings
from kseq.training import Training

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
    n, panel = len(series), Panel.of(series)
    require_rows(n, settings)
    training = Training(**settings.training)
    data = cut_windows(panel, settings, Split.without_test(panel, settings.validation))
    network, seeds, epochs = train(data, settings, training, progress, "")
    season = season_in(data, settings)
    widths, scores = calibrate(network, data, settings, season)
    # Of one series half-widths are kept in its own unit.
    widths = replace(widths, values=widths.values * data.unit[0])
    refit = refit and len(data.validation) > 0
    if refit:
        data = cut_windows(panel, as_chosen(settings, data.transform), Split.without_test(panel, 0.0))
        budget = replace(training, epochs=epochs, patience=0)
        network, seeds, _ = train(data, replace(settings, seeds=seeds), budget, progress, " on all rows")
    context = _context(series, data.lookback, season)
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
        input_scaler=_of_all_inputs(data),
        target_scaler=data.target_scaler.of(np.array(0)),
        transform=_at_the_end(data.transform, n, context),
        half_widths=widths,
        scores=scores,
        backend=keras.config.backend(),
        versions=backends.versions(),
        context=context,
    )
    return TrainedModel(network, card)


def _of_all_inputs(data: WindowedPanel) -> Scaler:
    """The scale of all that models read of one series, static covariates included, ``(columns,)``."""
    of_inputs, of_static = data.input_scaler.of(np.array(0)), data.static_scaler
    assert of_static is not None
    return Scaler(
        np.concatenate([of_inputs.center, of_static.center]), np.concatenate([of_inputs.scale, of_static.scale])
    )


def _at_the_end(transform: FittedTransform | None, n: int, context: Series) -> FittedTransform | None:
    """A transform of ``n`` rows that knows the phases and times of the last ones alone."""
    if transform is None:
        return None
    steps: list[Step] = []
    for step in transform.steps:
        if isinstance(step, Anomaly):
            steps.append(replace(step, cycle=Cycle(step.cycle.season, step.cycle.phase[n - len(context) : n])))
        elif isinstance(step, Trend):
            steps.append(replace(step, index=context.index, borders=context.borders))
        else:
            steps.append(step)
    return replace(transform, steps=tuple(steps))


def _context(series: Series, lookback: int, season: int) -> Series:
    """The rows that a model keeps: what it reads, two seasons, and a year of dates that go on as in the year before."""
    index = series.index
    least = max(KEPT, lookback + 1, 2 * season + 1)
    if series.has_dates and not series.calendar.alias:
        least = max(least, int((index >= index[-1] - np.timedelta64(400, "D")).sum()))
    return last_rows(series, min(least, len(series)))
