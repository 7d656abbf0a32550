"""How well a trained model does on rows of its series, beside baselines that need no training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kseq import baselines
from kseq.comparison.result import Comparison
from kseq.errors import DataError
from kseq.forecasting import known_rows, transform_like, windows_like
from kseq.forecasts import require_numbers
from kseq.evaluation.intervals import Interval
from kseq.modelcard import ModelCard
from kseq.modelfile import TrainedModel, TrainedPanel
from kseq.panels.scoring import score_panel
from kseq.evaluation.model_result import ModelResult
from kseq.data import Panel, Series
from kseq.data.dates import placing
from kseq.settings import Settings
from kseq.windows import window_starts


@dataclass(frozen=True, eq=False)
class Score:
    """A trained model beside baselines, on the same windows of a series.

    Args:
        comparison: its table, forecasts and verdict.
        seen: how many of the rows that were forecast the model was trained on.
        coverage: percent of true values that lie within the intervals, by level.
        notes: sentences on which rows these are, and on what is missing.
    """

    comparison: Comparison
    seen: int
    coverage: dict[float, float]
    notes: tuple[str, ...]


def evaluate(
    model: TrainedModel | TrainedPanel,
    series: Series | Panel,
    *,
    all_rows: bool = False,
    ids: Sequence[object] | None = None,
) -> Score:
    """Score a model on what comes after the rows that it was trained on, or on all rows where there are no others.

    Args:
        model: from :func:`kseq.fitting.fit_model` or :func:`kseq.modelfile.load`.
        series: rows of the same kind. Those just before them, as far as the model keeps them, are put before them.
            Of a model of many series a panel, which may hold others too, see :mod:`kseq.panels.scoring`.
        all_rows: score all rows, those that it was trained on too.
        ids: of a panel, the series to score; all by default.

    Returns:
        Score: persistence and, where there is a season, seasonal naive forecast the same windows.

    Raises:
        ConfigError: the panel has no series of an id.
        DataError: the rows do not fit the model, or are too few.

    Example:
        >>> print(evaluate(model, read_csv("newer.csv")).comparison.table)  # doctest: +SKIP
    """
    if isinstance(model, TrainedPanel):
        if isinstance(series, Series):
            raise DataError(f"received the series {series.name} for a model of many series, expected a panel.")
        return Score(*score_panel(model, series, all_rows, ids))
    if isinstance(series, Panel) or ids is not None:
        raise DataError("received many series for a model that was trained on one, expected one series.")
    card = model.card
    known = known_rows(card, series)
    own = len(known) - len(series)
    trained = _trained_on(card, known, own)
    start = own if all_rows or len(known) - trained.stop < card.horizon else max(own, trained.stop)
    if 3 * card.season <= len(known):
        # A seasonal naive forecast takes two seasons.
        start = max(start, 2 * card.season)
    segments = [
        window_starts(max(start, first), stop, card.reach, card.horizon, border=first)
        for first, stop in known.stretches.tolist()
    ]
    segments = [segment for segment in segments if len(segment)]
    if not segments:
        raise DataError(
            f"{series.name}: received {len(series)} rows, in which no window fits, expected at least "
            f"{card.reach + card.horizon} without missing dates or values: {card.reach} to read and "
            f"{card.horizon} to forecast."
        )
    from kseq.callbacks import predict

    with np.errstate(over="ignore", invalid="ignore"):
        data = windows_like(card, known, segments, transform_like(card, known))
    settings = Settings(cells=tuple(card.settings["cells"]), levels=(), season=card.season if card.season > 1 else 0)
    comparison = Comparison(data, settings)
    # What overflows is told.
    with np.errstate(over="ignore", invalid="ignore"):
        forecasts = predict(model.network, data, data.test)
    require_numbers(forecasts, card.name, series.name)
    kind, name = ("cell", card.name) if len(card.seeds) == 1 else ("ensemble", f"{card.name} x{len(card.seeds)} mean")
    weights = model.network.count_params()
    comparison.add(ModelResult(name, forecasts, kind=kind, seeds=card.seeds, parameters=weights))
    rows = np.unique(data.test.target_rows)
    seen = int(np.isin(rows, trained).sum())
    notes = [_which(card, known, rows, seen, len(data.test)), *_add_baselines(comparison, card)]
    return Score(comparison, seen, _coverage(card, forecasts[0], data.test_y), tuple(notes))


def _trained_on(card: ModelCard, known: Series, own: int) -> range:
    """Numbers of the rows that the model was trained on; none where it is another series."""
    kept, values = card.context.frame, known.frame
    if not known.has_dates:
        # Rows are numbered as in the training, if they hold its last ones, and else begin after it.
        return range(max(0, -int(values.index[0])), max(0, int(card.last) + 1 - int(values.index[0])))
    shared = values.index[own:].intersection(kept.index)
    if len(shared) and np.isclose(values.loc[shared], kept.loc[shared], equal_nan=True).mean() < 0.5:
        return range(0)
    ends = [pd.Timestamp(card.first), kept.index[-1]]
    first, stop = (int(values.index.searchsorted(end, side)) for end, side in zip(ends, ("left", "right"), strict=True))
    return range(first, stop)


def _which(card: ModelCard, known: Series, rows: np.ndarray, seen: int, windows: int) -> str:
    """Say which rows were forecast, and whether the model knows them."""
    place = placing(known.index)
    several = f" of {card.horizon} steps" * (card.horizon > 1)
    where = f"{windows} window{'s' * (windows > 1)}{several}, {place(int(rows[0]))} to {place(int(rows[-1]))}"
    if not seen:
        return f"Scored on {where}: rows that the model was not trained on."
    which = "all" if seen == len(rows) else f"{seen} of {len(rows)}"
    return f"Scored on {where}: {which} of these rows were in its training, and scores on them are too good."


def _add_baselines(comparison: Comparison, card: ModelCard) -> list[str]:
    """Set baselines beside the model that need nothing but past values; say which cannot be."""
    data, season = comparison.data, card.season
    names, notes = ["persistence"], []
    if 2 * season > data.split.test:
        notes = [f"No seasonal naive forecast: the {data.split.test} rows before the first window hold no two seasons."]
    elif season > 1:
        names.append("seasonal-naive")
    for label, forecasts, _ in baselines.forecasts(data, names, season if len(names) > 1 else 1):
        comparison.add(ModelResult(label, forecasts[None], kind="baseline"))
    return notes


def _coverage(card: ModelCard, forecasts: np.ndarray, y: np.ndarray) -> dict[float, float]:
    """Percent of true values within the model's intervals, by level."""
    covered = {}
    for level in card.settings["levels"]:
        if card.half_widths.reason(level) is None:
            half = card.half_widths.at(level, card.horizon)
            covered[level] = Interval(level, forecasts - half, forecasts + half).coverage(y)
    return covered
