"""How well a trained model does on rows of one or more series, beside baselines that need no training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kseq.baselines import Skipped, baseline_row
from kseq.data import Panel, Series
from kseq.data.dates import placing
from kseq.data.frequency import counts_steps
from kseq.data.slices import shared_rows
from kseq.errors import DataError, Parameter
from kseq.evaluation.model_result import ModelResult
from kseq.forecasting.bands import band_of
from kseq.forecasting.card import ModelCard
from kseq.forecasting.forecast import require_numbers
from kseq.forecasting.history import History, history_of, panel_like, unit_like
from kseq.forecasting.model_file import TrainedModel
from kseq.preprocessing.windows import WindowedPanel, window_starts
from kseq.report.comparison import Comparison
from kseq.settings import Settings

#: Share of the rows of a series that the model has not seen, at its end, that is scored.
SCORED = Settings.test


@dataclass(frozen=True, eq=False)
class Score:
    """A trained model beside baselines, on the same windows.

    Args:
        comparison: Their table, forecasts and verdict.
        seen: Number of rows that were forecast and that the model was trained on.
        coverage: Percent of true values that lie within the intervals, by level; the mean over series.
        notes: Sentences on which rows these are, and on what is missing.
    """

    comparison: Comparison
    seen: int
    coverage: dict[float, float]
    notes: tuple[str, ...]


def evaluate(
    model: TrainedModel,
    series: Series | Panel,
    *,
    all_rows: bool = False,
    ids: Sequence[object] | None = None,
) -> Score:
    """Score a model on what comes after the rows that it was trained on, or on all rows where there are no others.

    A series that the model has not seen is scored on its last rows, by the scale of those before them.

    Args:
        model: A model from :func:`kseq.forecasting.fit.fit_model` or :func:`kseq.forecasting.model_file.load`.
        series: Rows of the same kind. Those just before them, as far as the model keeps them, are put before them.
        all_rows: Score all rows, those that it was trained on too.
        ids: Series to score; all by default.

    Returns:
        Score: Persistence and, where there is a season, seasonal naive forecast the same windows.

    Raises:
        ConfigError: There is no series of an id.
        DataError: Rows do not fit the model, or those of all series, or of one that it has not seen, are too few.

    Example:
        >>> print(evaluate(model, read_csv("newer.csv")).comparison.table)  # doctest: +SKIP
    """
    card, rows = model.card, Panel.of(series)
    history = history_of(card, rows, ids)
    _require_past(card, history)
    segments, owners = _segments(card, history, _begin(card, history, all_rows))
    fits = np.isin(np.arange(len(history.panel.ids)), owners)
    if not fits.any():
        several, each = (f" of {len(rows.ids)} series", " of a series") if len(rows.ids) > 1 else ("", "")
        raise DataError(
            f"{rows.name}: received {rows.lengths.sum()} rows{several}, in which no window fits, expected at least "
            f"{card.reach + card.horizon}{each} without missing dates or values: {card.reach} to read and "
            f"{card.horizon} to forecast."
        )
    notes = [f"{history.ids(~fits)} hold no window to score, and are left out."] if not fits.all() else []
    history = history.of(np.flatnonzero(fits))
    segments, owners = _segments(card, history, _begin(card, history, all_rows))
    first = np.array([segment.start for segment in segments])[np.unique(owners, return_index=True)[1]]
    # Keras is loaded with it.
    from kseq.training.callbacks import predict_quantiles

    # What overflows is told below.
    with np.errstate(over="ignore", invalid="ignore"):
        data = panel_like(card, history, first, segments, owners)
    settings = Settings(cells=tuple(card.settings["cells"]), levels=(), season=card.season if card.season > 1 else 0)
    comparison = Comparison(data, settings)
    with np.errstate(over="ignore", invalid="ignore"):
        quantiles = predict_quantiles(model.network, data, data.test)
    forecasts = quantiles[..., quantiles.shape[-1] // 2]
    require_numbers(forecasts, card.name, rows.name)
    kind, name = ("cell", card.name) if len(card.seeds) == 1 else ("ensemble", f"{card.name} x{len(card.seeds)} mean")
    weights = model.network.count_params()
    comparison.add(ModelResult(name, forecasts, kind=kind, seeds=card.seeds, parameters=weights))
    scored = np.unique(data.test.target_rows)
    begin, stop = (bound[history.panel.series_of(scored)] for bound in _trained(card, history))
    seen = int(((begin <= scored) & (scored < stop)).sum())
    notes = [_which(card, data, scored, seen), *_unseen_note(history), *notes, *_add_baselines(comparison, card)]
    return Score(comparison, seen, _coverage(card, history, data, quantiles[0]), tuple(notes))


def _require_past(card: ModelCard, history: History) -> None:
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


def _trained(card: ModelCard, history: History) -> tuple[np.ndarray, np.ndarray]:
    """First row of each series that the model was trained on, and one after the last; equal where it was on none."""
    panel, kept, place = history.panel, card.context, history.place
    begin, seen = panel.borders[:-1], (place >= 0) & ~_others(history, kept)
    if not seen.any():
        return begin, begin
    owners = panel.series_of(np.arange(len(panel)))
    first = pd.Timestamp(card.first) if panel.has_dates else int(card.first) if counts_steps(panel.index) else 0
    last = kept.index[kept.ends - 1][place]
    before, until = (
        np.bincount(owners[np.asarray(which)], minlength=len(begin))
        for which in (panel.index < first, panel.index <= last[owners])
    )
    return begin + np.where(seen, before, 0), begin + np.where(seen, until, 0)


def _others(history: History, kept: Panel) -> np.ndarray:
    """Whether rows with the dates of the training hold other values than it did, mostly, ``(series,)``."""
    panel = history.panel
    rows, known = shared_rows(panel, kept, history.place)
    own = rows >= history.own[panel.series_of(rows)]
    rows, known = rows[own], known[own]
    alike = np.isclose(panel.values[rows], kept.values[known], equal_nan=True).mean(axis=1)
    counts = np.bincount(panel.series_of(rows), minlength=len(panel.ids))
    total = np.bincount(panel.series_of(rows), alike, minlength=len(panel.ids))
    return (counts > 0) & (total < 0.5 * counts)


def _begin(card: ModelCard, history: History, all_rows: bool) -> np.ndarray:
    """First row of each series that may be scored."""
    panel, own, seen = history.panel, history.own, history.place >= 0
    later = np.maximum(own, _trained(card, history)[1])
    nothing_new = bool((panel.ends - later < card.horizon)[seen].all() and seen.all())
    begin = own if all_rows or nothing_new else later
    past = np.maximum(card.reach + card.horizon, (panel.lengths * (1 - SCORED)).astype(int))
    past = np.minimum(past, panel.lengths - card.horizon)
    begin = np.where(seen, begin, panel.borders[:-1] + past)
    # A seasonal naive forecast takes two seasons.
    enough = 3 * card.season <= panel.lengths
    return np.where(enough, np.maximum(begin, panel.borders[:-1] + 2 * card.season), begin)


def _segments(card: ModelCard, history: History, begin: np.ndarray) -> tuple[list[range], np.ndarray]:
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


def _which(card: ModelCard, data: WindowedPanel, rows: np.ndarray, seen: int) -> str:
    """Say which rows were forecast, and whether the model knows them."""
    panel, windows = data.series, len(data.test)
    several = f" of {card.horizon} steps" * (card.horizon > 1) + f" of {len(panel.ids)} series" * (len(panel.ids) > 1)
    place, ends = placing(panel.index), [int(rows[0]), int(rows[-1])]
    if panel.has_dates or counts_steps(panel.index):
        dates = panel.index[rows]
        ends = [int(rows[at]) for at in (dates.argmin(), dates.argmax())]
    # Rows of several series that are only numbered have no common numbers.
    common = panel.has_dates or counts_steps(panel.index) or len(panel.ids) == 1
    span = f", {place(ends[0])} to {place(ends[1])}" if common else ""
    where = f"{windows} window{'s' * (windows > 1)}{several}{span}"
    if not seen:
        return f"Scored on {where}: rows that the model was not trained on."
    which = "all" if seen == len(rows) else f"{seen} of {len(rows)}"
    return f"Scored on {where}: {which} of these rows were in its training, and scores on them are too good."


def _unseen_note(history: History) -> list[str]:
    new = history.place < 0
    if not new.any():
        return []
    return [f"{history.ids(new)} were not in the training: the last rows of each are scored, by the scale of the rest."]


def _add_baselines(comparison: Comparison, card: ModelCard) -> list[str]:
    """Set baselines beside the model that need nothing but past values; say which cannot be."""
    data, season = comparison.data, card.season
    longest = int((data.split.test - data.split.start).max())
    names, notes = ["persistence"], []
    if 2 * season > longest:
        notes = [f"No seasonal naive forecast: the {longest} rows before the first window hold no two seasons."]
    elif season > 1:
        names.append("seasonal-naive")
    for name in names:
        row = baseline_row(name, data, season if len(names) > 1 else 1)
        if isinstance(row, Skipped):
            notes.append(f"No {name} forecast: {row.reason}.")
            continue
        comparison.add(row)
    return notes


def _coverage(card: ModelCard, history: History, data: WindowedPanel, quantiles: np.ndarray) -> dict[float, float]:
    """Percent of true values within the model's intervals, by level: the mean over series."""
    unit = unit_like(card, history, data)[data.test.series, None]
    covered = {}
    for level in card.settings["levels"]:
        if card.half_widths.reason(level) is None:
            band = band_of(card, level, quantiles[..., quantiles.shape[-1] // 2], quantiles, unit)
            inside = (band.lo <= data.test_y) & (data.test_y <= band.hi)
            shares = pd.Series(inside.mean(axis=(1, 2))).groupby(data.test.series).mean()
            covered[level] = float(100 * shares.mean())
    return covered
