"""How well a model of many series does on rows of a panel, series by series and overall."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kseq.comparison.result import Comparison
from kseq.errors import DataError, Parameter
from kseq.forecasts import require_numbers
from kseq.evaluation.intervals import Interval
from kseq.modelfile import TrainedPanel
from kseq.panels.baselines import baseline_row
from kseq.panels.card import PanelCard
from kseq.panels.history import History, history_of, panel_like, unit_like
from kseq.panels.windows import WindowedPanel
from kseq.evaluation.model_result import ModelResult
from kseq.data import Panel
from kseq.data.dates import placing
from kseq.settings import Settings
from kseq.windows import window_starts

#: Share of the rows of a series that the model has not seen, at its end, that is scored.
SCORED = Settings.test


def score_panel(
    model: TrainedPanel, rows: Panel, all_rows: bool, ids: Sequence[object] | None
) -> tuple[Comparison, int, dict[float, float], tuple[str, ...]]:
    """Score a model on rows of many series, see :func:`kseq.scoring.evaluate`.

    Of a series that the model was trained on, the rows after those of the training are scored. One that it has not
    seen is scored on its last rows, by the scale of those before them.

    Returns:
        The comparison, how many scored rows the model was trained on, coverage by level, and notes.

    Raises:
        ConfigError: there is no series of an id.
        DataError: rows do not fit the model, or those of all series, or of one that it has not seen, are too few.
    """
    card = model.card
    history = history_of(card, rows, ids)
    _require_past(card, history)
    begin = _begin(card, history, all_rows)
    segments, owners = _segments(card, history, begin)
    fits = np.isin(np.arange(len(begin)), owners)
    if not fits.any():
        raise DataError(
            f"{rows.name}: received {len(rows)} rows of {len(rows.ids)} series, in which no window fits, expected at "
            f"least {card.reach + card.horizon} of a series without missing dates or values: {card.reach} to read and "
            f"{card.horizon} to forecast."
        )
    notes = [f"{history.ids(~fits)} hold no window to score, and are left out."] if not fits.all() else []
    history = history.of(np.flatnonzero(fits))
    segments, owners = _segments(card, history, _begin(card, history, all_rows))
    first = np.array([segment.start for segment in segments])[np.unique(owners, return_index=True)[1]]
    from kseq.callbacks import predict

    data = panel_like(card, history, first, segments, owners)
    settings = Settings(cells=tuple(card.settings["cells"]), levels=(), season=card.season if card.season > 1 else 0)
    comparison = Comparison(data, settings)
    forecasts = predict(model.network, data, data.test)
    require_numbers(forecasts, card.name, rows.name)
    kind, name = ("cell", card.name) if len(card.seeds) == 1 else ("ensemble", f"{card.name} x{len(card.seeds)} mean")
    weights = model.network.count_params()
    comparison.add(ModelResult(name, forecasts, kind=kind, seeds=card.seeds, parameters=weights))
    scored = np.unique(data.test.target_rows)
    seen = int((scored < _trained(card, history)[history.panel.series_of(scored)]).sum())
    notes = [_which(card, data, scored, seen), *_unseen_note(history), *notes, *_add_baselines(comparison, card)]
    return comparison, seen, _coverage(card, history, data, forecasts[0]), tuple(notes)


def _require_past(card: PanelCard, history: History) -> None:
    """Refuse series that the model has not seen and that are too short for a scale of their own."""
    need = card.reach + 2 * card.horizon
    short = (history.place < 0) & (history.panel.lengths < need)
    if short.any():
        first = int(short.argmax())
        raise DataError(
            f"{history.panel.name}: series '{history.panel.ids[first]}' was not in the training and holds "
            f"{history.panel.lengths[first]} rows, expected at least {need}: {card.reach} to read, {card.horizon} more "
            f"for a scale and {card.horizon} to score; bring more rows, or leave it out with ",
            Parameter("series"),
            f" ({history.ids(short)} are such).",
        )


def _trained(card: PanelCard, history: History) -> np.ndarray:
    """One after the last row of each series that the model was trained on; its first row where it was on none."""
    panel, kept, place = history.panel, card.context, history.place
    seen = np.flatnonzero(place >= 0)
    stop = panel.borders[:-1].copy()
    if not len(seen):
        return stop
    owners = panel.series_of(np.arange(len(panel)))
    last = kept.index[kept.ends - 1][place]
    earlier = np.asarray(panel.index <= last[owners])
    return np.where(place >= 0, stop + np.bincount(owners[earlier], minlength=len(stop)), stop)


def _begin(card: PanelCard, history: History, all_rows: bool) -> np.ndarray:
    """First row of each series that may be scored."""
    panel, own, seen = history.panel, history.own, history.place >= 0
    later = np.maximum(own, _trained(card, history))
    nothing_new = bool((panel.ends - later < card.horizon)[seen].all() and seen.all())
    begin = own if all_rows or nothing_new else later
    past = np.maximum(card.reach + card.horizon, (panel.lengths * (1 - SCORED)).astype(int))
    past = np.minimum(past, panel.lengths - card.horizon)
    begin = np.where(seen, begin, panel.borders[:-1] + past)
    # A seasonal naive forecast takes two seasons.
    enough = 3 * card.season <= panel.lengths
    return np.where(enough, np.maximum(begin, panel.borders[:-1] + 2 * card.season), begin)


def _segments(card: PanelCard, history: History, begin: np.ndarray) -> tuple[list[range], np.ndarray]:
    """Windows from the first row that may be scored on, in stretches without gaps; and the series of each run."""
    panel = history.panel
    segments, owners = [], []
    of_stretches = panel.series_of(panel.stretches[:, 0]).tolist()
    for owner, (first, stop) in zip(of_stretches, panel.stretches.tolist(), strict=True):
        windows = window_starts(max(int(begin[owner]), first), stop, card.reach, card.horizon, border=first)
        if len(windows):
            segments.append(windows)
            owners.append(owner)
    return segments, np.array(owners, dtype=int)


def _which(card: PanelCard, data: WindowedPanel, rows: np.ndarray, seen: int) -> str:
    """Say which rows were forecast, and whether the model knows them."""
    dates = data.series.index[rows]
    place = placing(pd.Index([dates.min(), dates.max()]))
    span = f", {place(0)} to {place(1)}" if data.series.has_dates else ""
    several = f" of {card.horizon} steps" * (card.horizon > 1)
    windows = len(data.test)
    where = f"{windows} window{'s' * (windows > 1)}{several} of {len(data.series.ids)} series{span}"
    if not seen:
        return f"Scored on {where}: rows that the model was not trained on."
    which = "all" if seen == len(rows) else f"{seen} of {len(rows)}"
    return f"Scored on {where}: {which} of these rows were in its training, and scores on them are too good."


def _unseen_note(history: History) -> list[str]:
    new = history.place < 0
    if not new.any():
        return []
    return [f"{history.ids(new)} were not in the training: the last rows of each are scored, by the scale of the rest."]


def _add_baselines(comparison: Comparison, card: PanelCard) -> list[str]:
    """Set baselines beside the model that need nothing but past values; say which cannot be."""
    data, season = comparison.data, card.season
    assert isinstance(data, WindowedPanel)
    longest = int((data.split.test - data.split.start).max())
    names, notes = ["persistence"], []
    if 2 * season > longest:
        notes = [f"No seasonal naive forecast: the {longest} rows before the first window hold no two seasons."]
    elif season > 1:
        names.append("seasonal-naive")
    for name in names:
        row, remark = baseline_row(name, data, season if len(names) > 1 else 1)
        comparison.add(row)
        notes += [remark] if remark else []
    return notes


def _coverage(card: PanelCard, history: History, data: WindowedPanel, forecasts: np.ndarray) -> dict[float, float]:
    """Percent of true values within the model's intervals, by level: the mean over series."""
    unit = unit_like(card, history, data)[data.test.series, None]
    covered = {}
    for level in card.settings["levels"]:
        if card.half_widths.reason(level) is None:
            half = card.half_widths.at(level, card.horizon) * unit
            band = Interval(level, forecasts - half, forecasts + half)
            inside = (band.lo <= data.test_y) & (data.test_y <= band.hi)
            shares = pd.Series(inside.mean(axis=(1, 2))).groupby(data.test.series).mean()
            covered[level] = float(100 * shares.mean())
    return covered
