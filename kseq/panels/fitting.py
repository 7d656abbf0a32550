"""One cell trained on all series of a panel, ready to forecast what comes after each.

It goes as :mod:`kseq.fitting` says of one series. Windows, scales and transforms are those of a comparison of the same
panel: each series has its own, and a validation part at its end. What the model misses there is counted in a unit of
each series, so that all series share the half-widths of intervals.
"""

from dataclasses import asdict, replace
from typing import cast

import keras
import numpy as np

from kseq import backends
from kseq.evaluation.intervals import half_width
from kseq.modelcard import HalfWidths
from kseq.modelfile import TrainedPanel
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
from kseq.panels.backtest import cut_panel
from kseq.panels.baselines import baseline_row
from kseq.panels.card import PanelCard
from kseq.panels.forecasting import as_values, go_on
from kseq.panels.grid import season_of_panel
from kseq.panels.parts import PanelScaler, PanelSplit
from kseq.data.slices import chosen, last_rows
from kseq.panels.scores import PanelScores, of_validation
from kseq.panels.transforms import PanelTrend
from kseq.panels.windows import WindowedPanel
from kseq.parts import Scaler
from kseq.seasons import Cycle
from kseq.data import Panel
from kseq.settings import CELL_NAMES, Settings
from kseq.training import Training
from kseq.transforms import Anomaly, FittedTransform, Step

#: Rows of each series that a model keeps at least: for a picture, and for the days of the months that follow.
KEPT = 36


def fit_panel(panel: Panel, settings: Settings, refit: bool, progress: Told | None) -> TrainedPanel:
    """Train a cell on all series of a panel, see :func:`kseq.fitting.fit_model`.

    Args:
        panel: the series; those that are too short for a window are left out.
        settings: of one cell.
        refit: train again on all rows once the validation parts have done their work.
        progress: as there.

    Raises:
        ConfigError: a setting is wrong, or all trainings diverged.
        DataError: all series are too short.
    """
    require_rows(int(panel.lengths.max()), settings)
    training = Training(**settings.training)
    data = cut_panel(panel, settings, PanelSplit.without_test(panel, settings.validation))
    network, seeds, epochs = train(data, settings, training, progress, "")
    season = _season(data, settings)
    widths, scores = _calibrate(network, data, settings, season)
    refit = refit and len(data.validation) > 0
    if refit:
        transform = cast("FittedTransform | None", data.transform)
        data = cut_panel(panel, as_chosen(settings, transform), PanelSplit.without_test(panel, 0.0))
        budget = replace(training, epochs=epochs, patience=0)
        network, seeds, _ = train(data, replace(settings, seeds=seeds), budget, progress, " on all rows")
    members = data.members
    trained = chosen(panel, members)
    transform = cast("FittedTransform | None", data.transform)
    lost = transform.lost if transform else 0
    context = last_rows(trained, max(KEPT, settings.lookback + lost + 1, 2 * season + 1))
    card = PanelCard(
        name=CELL_NAMES[settings.cells[0]],
        settings=asdict(settings),
        seeds=seeds,
        epochs=epochs,
        refitted=refit,
        rows=int(trained.lengths.sum()),
        first=str(trained.index[trained.borders[:-1]].min()),
        sha256=panel.fingerprint,
        freq=panel.calendar.alias,
        step=panel.step,
        season=season,
        reading=reading_of(panel),
        input_columns=data.input_columns,
        input_scaler=_of_members(data.input_scaler, members),
        target_scaler=_of_members(data.target_scaler, members),
        static_scaler=cast(Scaler, data.static_scaler),
        transform=_at_the_end(data, context),
        half_widths=widths,
        scores=scores,
        backend=keras.config.backend(),
        versions=backends.versions(),
        context=replace(context, fill="mask", filled=None, notes=data.notes, origin=None),
        lengths=trained.lengths,
        unit=data.unit[members],
    )
    return TrainedPanel(network, card)


def _season(data: WindowedPanel, settings: Settings) -> int:
    """Steps in a season; 1 where there is none, or fewer than two before the validation part of the longest series."""
    split, members = data.split, data.members
    season = settings.season or season_of_panel(data.series, split, members)
    return season if 2 * season <= (split.validation - split.start)[members].max() else 1


def _of_members(scaler: PanelScaler, members: np.ndarray) -> PanelScaler:
    return PanelScaler(scaler.center[members], scaler.scale[members])


def _calibrate(
    network: keras.Model, data: WindowedPanel, settings: Settings, season: int
) -> tuple[HalfWidths, dict[str, float]]:
    """Half-widths of intervals for every whole percent, and scores beside baselines, both on the validation parts."""
    levels = levels_of(settings)
    if not len(data.validation):
        return HalfWidths(levels, np.empty((len(levels), 0, data.targets)), 0), {}
    longest = max(map(len, data.validation.segments))
    first, *later = _errors(network, data, max(1, min(CALIBRATED, longest) // data.horizon))
    errors, forecasts = first
    parts = [errors, *(errors for errors, _ in later)]
    widths = [np.stack([half_width(part, level) for level in levels]) for part in parts]
    return (
        HalfWidths(levels, np.concatenate(widths, axis=1), len(errors)),
        _scores(CELL_NAMES[settings.cells[0]], data, forecasts, season),
    )


def _scores(name: str, data: WindowedPanel, forecasts: np.ndarray, season: int) -> dict[str, float]:
    """Mean over series of errors in units of what repeating the last season misses before the validation part."""
    known = of_validation(data)
    scores = PanelScores(known, season)
    found = {name: float(scores.overall(forecasts[None], "mase")[0])}
    for rival in RIVALS if season > 1 else RIVALS[:1]:
        row, _ = baseline_row(rival, known, season)
        found[row.name] = float(scores.overall(row.predictions, "mase")[0])
    return found


def _errors(network: keras.Model, data: WindowedPanel, blocks: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Errors on the validation parts and forecasts, ``(windows, horizon, targets)``, for each block of steps.

    Errors are in the unit of each series. The first block is forecast from what is known; each further one from the
    forecasts before it.
    """
    horizon, panel = data.horizon, data.series
    starts = data.validation.all_starts().astype("int64")
    # One after the last row that follows each window without a gap.
    ends = panel.stretches[np.searchsorted(panel.stretches[:, 0], starts, side="right") - 1, 1]
    errors: list[tuple[np.ndarray, np.ndarray]] = []
    made = np.empty((len(starts), 0, data.targets))
    for block in range(blocks):
        fits = starts + (block + 1) * horizon <= ends
        if block == 1:
            fits[np.arange(len(fits)) % -(-len(fits) // ORIGINS) > 0] = False
        if not fits.any():
            break
        starts, ends = starts[fits], ends[fits]
        made = go_on(network, data, starts, made[fits])
        rows = starts[:, None] + np.arange(made.shape[1])
        forecasts = as_values(data, made, rows)[:, -horizon:]
        unit = data.unit[panel.series_of(starts), None]
        errors.append(((forecasts - panel.y[rows[:, -horizon:]]) / unit, forecasts))
    return errors


def _at_the_end(data: WindowedPanel, context: Panel) -> FittedTransform | None:
    """The transform of a panel for the last rows of its members alone."""
    transform = cast("FittedTransform | None", data.transform)
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
        elif isinstance(step, PanelTrend):
            steps.append(PanelTrend(context.index, context.borders, step.start[members], step.slope[members]))
        else:
            steps.append(step)
    return replace(transform, steps=tuple(steps))
