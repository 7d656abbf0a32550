"""One cell trained on all rows of one or more series, ready to forecast what comes after each.

The rows at the end of each series are its validation part: they stop the training, and what the model misses on them is
how wide its intervals are. It is counted in a unit of each series, so that all series share the half-widths of
intervals. Each network is then trained again on all rows, from the same start and with scales of all rows, for as many
gradient steps as were best the first time.

A model that is asked for more steps than its horizon reads its own forecasts for the later ones. So that these have
intervals too, it forecasts the validation part in the same way, from every origin on.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import keras
import numpy as np

from kseq import backends, vocabulary
from kseq.baselines import Skipped, baseline_row
from kseq.comparison.backtest import as_chosen, cut_windows
from kseq.comparison.defaults import resolved
from kseq.comparison.scores import Scores, of_validation
from kseq.data import Panel, Series
from kseq.data.slices import chosen, last_rows
from kseq.errors import ConfigError
from kseq.evaluation.intervals import half_width, move_of
from kseq.evaluation.quantiles import QUANTILE_METRICS, bounds_at
from kseq.forecasting import model_file, model_page
from kseq.forecasting._train import (
    CALIBRATED,
    ORIGINS,
    RIVALS,
    Told,
    levels_of,
    reading_of,
    require_rows,
    train,
)
from kseq.forecasting.card import HalfWidths, ModelCard
from kseq.forecasting.forecast import as_values, quantiles_as_values
from kseq.forecasting.model_file import TrainedModel
from kseq.preprocessing.grid import season_of_panel
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.seasonality import Cycle
from kseq.preprocessing.splits import Split
from kseq.preprocessing.steps import Anomaly, Step, Trend
from kseq.preprocessing.transforms import FittedTransform
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import CELL_NAMES, Settings
from kseq.training.budget import Training
from kseq.training.fit import as_many_steps
from kseq.training.rollout import roll_out_quantiles

#: Rows of each series that a model keeps at least, for a picture and for the days of the months that follow; rows of
#: each of a few series, which also tell another series of the same dates; and rows of all series together up to which
#: there are a few.
KEPT, KEPT_OF_FEW, KEPT_IN_ALL = 36, 100, 10_000


@vocabulary.shows_options
def fit_model(
    given: Any = None,
    /,
    settings: Settings | None = None,
    *,
    refit: bool | None = None,
    progress: Told | None = None,
    **options: Any,
) -> TrainedModel:
    """Train a cell on one or more series, with intervals, for forecasts of what comes after them.

    Args:
        given: The series, one or several, that one model is fitted to, as in :func:`kseq.compare`; those that are too
            short for a window are left out.
        settings: Settings with one cell; of several seeds the mean of the forecasts is taken. What they say of a test
            part, of baselines and of a backtest is not read.
        refit: Former name of the setting ``refit_on_validation``, in whose place it stands where it is given.
        progress: Called with what is trained, the epoch and the epoch limit, after each epoch.
        **options: Those of ``kseq fit`` by the same names, ``cell="lstm", epochs=50``, instead of ``settings``; ``out``
            names a ``.keras`` file to save the model in, with a page about it beside. See :func:`kseq.compare`.

    Returns:
        TrainedModel: ``kseq.forecast(model, 12)`` forecasts with it, ``model.save("gru.keras")`` saves it and
        ``kseq.load_model("gru.keras")`` reads it.

    Raises:
        ConfigError: A setting is wrong, or all trainings diverged.
        DataError: All series are too short.

    Example:
        >>> model = fit_model(load_series("nino12"), cells=("gru",), seeds=(0,))  # doctest: +SKIP
    """
    if options.get("cell") is not None:
        if options.get("cells") is not None:
            raise ConfigError("received cell and cells, expected one of them.")
        options["cells"] = (options.pop("cell"),)
    asked = vocabulary.asked(given, settings, options, {"cells": ("gru",), "seeds": (0,)})
    model = _fitted(asked.series, asked.settings, refit, progress)
    if asked.out is not None:
        path = model_file.save(model, asked.out)
        model_page.write(model.card, model.network.count_params(), path)
    return model


#: What the command is called.
fit = fit_model


def _fitted(series: Series | Panel, settings: Settings, refit: bool | None, progress: Told | None) -> TrainedModel:
    """Train the one cell of the settings, calibrate its intervals, and train it again on all rows."""
    if len(settings.cells) != 1:
        raise ConfigError(f"received cells {', '.join(settings.cells)}, expected one.")
    settings = settings.of(settings.cells[0])
    if refit is not None:
        settings = replace(settings, refit_on_validation=refit)
    if settings.strategy != "direct":
        raise ConfigError(
            f"received strategy {settings.strategy} for a model that is saved, expected direct: it forecasts all steps "
            "at once."
        )
    if settings.scaler == "minmax-leaks-test":
        raise ConfigError(
            "received scaler minmax-leaks-test, expected standard or minmax: what is to be forecast is not known yet."
        )
    panel = Panel.of(series)
    # The card holds the budget that was asked for: the same comes of it again.
    budget = settings.training
    settings = resolved(settings, panel, Split.without_test(panel, settings.validation))
    require_rows(int(panel.lengths.max()), settings)
    training = Training(**settings.training)
    data = cut_windows(panel, settings, Split.without_test(panel, settings.validation))
    trained = train(data, settings, training, progress, "")
    season, epochs = _season(data, settings), trained.epochs
    widths, moves, scores = _calibrate(trained.network, data, settings, season)
    refit = settings.refit_on_validation and len(data.validation) > 0
    counted, unit = data.members, data.unit[data.members]
    if refit:
        first = data
        data = cut_windows(panel, as_chosen(settings, data.transform), Split.without_test(panel, 0.0))
        if first.choice is not None:
            data = replace(data, notes=(*data.notes, first.choice.sentence))
        until = {seed: as_many_steps(one, training, first, data)[0] for seed, one in trained.fitted.items()}
        penalty = next(one.penalty for one in trained.fitted.values())
        settings = replace(settings, seeds=trained.seeds)
        trained = train(data, settings, training, progress, " on all rows", until, penalty)
    members = data.members
    # Errors stay in the unit in which they were counted; series that were too short then have that of now.
    units = data.unit.copy()
    units[counted] = unit
    learnt = chosen(panel, members)
    transform = data.transform
    lost = transform.lost(settings.lookback) if transform else 0
    context = last_rows(learnt, max(_kept(len(members)), settings.lookback + lost + 1, 2 * season + 1))
    card = ModelCard(
        name=CELL_NAMES[settings.cells[0]],
        settings=asdict(replace(settings, training=budget)),
        seeds=trained.seeds,
        epochs=epochs,
        refitted=refit,
        rows=int(learnt.lengths.sum()),
        first=str(learnt.index[learnt.borders[:-1]].min()),
        sha256=panel.fingerprint,
        freq=panel.calendar.alias,
        step=panel.step,
        season=season,
        reading=reading_of(panel),
        input_columns=data.input_columns,
        input_scaler=data.input_scaler.of(members),
        target_scaler=data.target_scaler.of(members),
        static_scaler=cast(Scaler, data.static_scaler),
        transform=_at_the_end(data, context),
        half_widths=widths,
        scores=scores,
        backend=keras.config.backend(),
        versions=backends.versions(),
        context=replace(context, fill="mask", filled=None, notes=data.notes, origin=None),
        lengths=learnt.lengths,
        unit=units[members],
        moves=moves,
    )
    return TrainedModel(trained.network, card)


def _kept(series: int) -> int:
    """Rows of each of so many series that a model keeps at least."""
    return max(KEPT, min(KEPT_OF_FEW, KEPT_IN_ALL // series))


def _season(data: WindowedPanel, settings: Settings) -> int:
    """Steps in a season; 1 where there is none, or fewer than two before the validation part of the longest series."""
    split, members = data.split, data.members
    season = settings.season or season_of_panel(data.series, split, members)
    return season if 2 * season <= (split.validation - split.start)[members].max() else 1


def _calibrate(
    network: keras.Model, data: WindowedPanel, settings: Settings, season: int
) -> tuple[HalfWidths, HalfWidths | None, dict[str, float]]:
    """What the validation parts tell: half-widths for every whole percent, how far quantiles move, and scores.

    Quantiles move for the levels that were asked for; None where the model forecasts none.
    """
    levels, asked = levels_of(settings), tuple(map(float, settings.levels))
    if not len(data.validation):
        return HalfWidths(levels, np.empty((len(levels), 0, data.targets)), 0), None, {}
    longest = max(segment[-1] - segment[0] + 1 for segment in data.validation.segments)
    parts = _validated(network, data, max(1, min(CALIBRATED, longest) // data.horizon))
    first = parts[0]
    widths = [np.stack([half_width(part.missed, level) for level in levels]) for part in parts]
    moves = None
    if settings.quantiles and asked:
        found = [np.stack([move_of(part.beyond(level, asked), level) for level in asked]) for part in parts]
        moves = HalfWidths(asked, np.concatenate(found, axis=1), len(first.missed))
    return (
        HalfWidths(levels, np.concatenate(widths, axis=1), len(first.missed)),
        moves,
        _scores(CELL_NAMES[settings.cells[0]], data, first.forecasts, season, settings.metric),
    )


def _scores(name: str, data: WindowedPanel, forecasts: np.ndarray, season: int, metric: str) -> dict[str, float]:
    """Errors on the validation part, by what rows are ranked by, of the model and of baselines."""
    known = of_validation(data)
    scores = Scores(known, season, metric="" if metric in QUANTILE_METRICS else metric)
    found = {name: float(scores.overall(forecasts[None], scores.measure)[0])}
    for rival in RIVALS if season > 1 else RIVALS[:1]:
        row = baseline_row(rival, known, season)
        if isinstance(row, Skipped):
            continue
        found[row.name] = float(scores.overall(row.predictions, scores.measure)[0])
    return found


@dataclass(frozen=True)
class _Validated:
    """A block of steps, forecast from origins of the validation parts.

    Args:
        forecasts: ``(windows, horizon, targets)``.
        quantiles: ``(windows, horizon, targets, quantile)``; one where the model forecasts values.
        y: True values, ``(windows, horizon, targets)``.
        unit: Unit of the series of each window, ``(windows, 1, targets)``.
    """

    forecasts: np.ndarray
    quantiles: np.ndarray
    y: np.ndarray
    unit: np.ndarray

    @property
    def missed(self) -> np.ndarray:
        """Errors, in the unit of each series."""
        return (self.forecasts - self.y) / self.unit

    def beyond(self, level: float, levels: Sequence[float]) -> np.ndarray:
        """How far true values lie beyond the bounds of one of the levels, in the unit of each series."""
        lo, hi = bounds_at(self.quantiles, level, levels)
        return np.maximum(lo - self.y, self.y - hi) / self.unit


def _validated(network: keras.Model, data: WindowedPanel, blocks: int) -> list[_Validated]:
    """Forecast the validation parts, block of steps by block.

    The first block is forecast from what is known; each further one from the forecasts before it.
    """
    horizon, panel = data.horizon, data.series
    starts = data.validation.all_starts().astype("int64")
    # One after the last row that follows each window without a gap.
    ends = panel.stretches[np.searchsorted(panel.stretches[:, 0], starts, side="right") - 1, 1]
    found: list[_Validated] = []
    made, every = np.empty((len(starts), 0, data.targets)), None
    for block in range(blocks):
        fits = starts + (block + 1) * horizon <= ends
        if block == 1:
            fits[np.arange(len(fits)) % -(-len(fits) // ORIGINS) > 0] = False
        if not fits.any():
            break
        starts, ends = starts[fits], ends[fits]
        medians, quantiles = (part[0] for part in roll_out_quantiles(network, data, starts, made[None, fits]))
        made, every = medians, quantiles if every is None else np.concatenate([every[fits], quantiles], axis=1)
        rows = starts[:, None] + np.arange(made.shape[1])
        unit = data.unit[panel.series_of(starts), None]
        found.append(
            _Validated(
                as_values(data, made, rows)[:, -horizon:],
                quantiles_as_values(data, every, rows)[:, -horizon:],
                panel.y[rows[:, -horizon:]],
                unit,
            )
        )
    return found


def _at_the_end(data: WindowedPanel, context: Panel) -> FittedTransform | None:
    """The transform of a panel for the last rows of its members alone."""
    transform = data.transform
    if transform is None:
        return None
    members, lengths = data.members, np.diff(context.borders)
    # The rows that are kept of a series are its last ones.
    firsts = data.series.borders[1:][members] - lengths
    rows = np.repeat(firsts - context.borders[:-1], lengths) + np.arange(len(context))
    steps: list[Step] = []
    for step in transform.steps:
        if isinstance(step, Anomaly):
            season = step.cycle.season
            begin = season * np.repeat(np.arange(len(members)), lengths)
            means = step.means.reshape(-1, season, step.means.shape[1])[members]
            phase = step.cycle.phase[rows] % season + begin
            steps.append(Anomaly(Cycle(season, phase), means.reshape(-1, means.shape[-1])))
        elif isinstance(step, Trend):
            steps.append(Trend(context.index, context.borders, step.start[members], step.slope[members]))
        else:
            steps.append(step)
    reference = transform.reference and transform.reference.of_series(members)
    return replace(transform, steps=tuple(steps), reference=reference)
