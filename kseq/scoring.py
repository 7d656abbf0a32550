"""How well a trained model does on rows of its series, beside baselines that need no training."""

from dataclasses import dataclass

import numpy as np

from kseq import baselines
from kseq.comparison import Comparison
from kseq.errors import DataError
from kseq.forecasting import known_rows, windows_like
from kseq.intervals import Interval
from kseq.modelcard import ModelCard
from kseq.modelfile import TrainedModel
from kseq.results import ModelResult
from kseq.series import Series
from kseq.series.dates import placing
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


def evaluate(model: TrainedModel, series: Series, *, all_rows: bool = False) -> Score:
    """Score a model on what comes after the rows that it was trained on, or on all rows where there are no others.

    Args:
        model: from :func:`kseq.fitting.fit_model` or :func:`kseq.modelfile.load`.
        series: rows of the same kind. Those just before them, as far as the model keeps them, are put before them.
        all_rows: score all rows, those that it was trained on too.

    Returns:
        Score: persistence and, where there is a season, seasonal naive forecast the same windows.

    Raises:
        DataError: the rows do not fit the model, or are too few.

    Example:
        >>> print(evaluate(model, read_csv("newer.csv")).comparison.table)  # doctest: +SKIP
    """
    card = model.card
    known = known_rows(card, series)
    own = len(known) - len(series)
    fresh = _first_unseen(card, known, own)
    start = own if all_rows or len(known) - fresh < card.horizon else max(own, fresh)
    if 2 * card.season <= len(known):
        # A seasonal naive forecast looks back so far.
        start = max(start, card.season)
    segments = [
        window_starts(max(start, first), stop, card.lookback, card.horizon, border=first)
        for first, stop in known.stretches.tolist()
    ]
    segments = [segment for segment in segments if len(segment)]
    if not segments:
        raise DataError(
            f"{series.name}: received {len(series)} rows, in which no window fits, expected at least "
            f"{card.lookback + card.horizon} without missing dates or values: {card.lookback} to read and "
            f"{card.horizon} to forecast."
        )
    from kseq.evaluation import predict

    data = windows_like(card, known, segments)
    settings = Settings(cells=tuple(card.settings["cells"]), levels=(), season=card.season if card.season > 1 else 0)
    comparison = Comparison(data, settings)
    forecasts = predict(model.network, data, data.test)
    kind, name = ("cell", card.name) if len(card.seeds) == 1 else ("ensemble", f"{card.name} x{len(card.seeds)} mean")
    weights = model.network.count_params()
    comparison.add(ModelResult(name, forecasts, kind=kind, seeds=card.seeds, parameters=weights))
    rows = np.unique(data.test.target_rows)
    seen = int((rows < fresh).sum())
    notes = [_which(card, known, rows, seen, len(data.test)), *_add_baselines(comparison, card)]
    return Score(comparison, seen, _coverage(card, forecasts[0], data.test_y), tuple(notes))


def _first_unseen(card: ModelCard, known: Series, own: int) -> int:
    """Number of the first row that the model was not trained on; 0 where it is another series."""
    kept, values = card.context.frame, known.frame
    if known.has_dates:
        shared = values.index[own:].intersection(kept.index)
        if len(shared) and np.isclose(values.loc[shared], kept.loc[shared], equal_nan=True).mean() < 0.5:
            return 0
        return int(np.searchsorted(values.index, kept.index[-1], side="right"))
    # Without dates values tell: the last rows of the training stand among these.
    for stop in np.flatnonzero(np.isclose(values, kept.iloc[-1], equal_nan=True).all(axis=1)) + 1:
        rows = min(int(stop), len(kept))
        if rows >= card.lookback and np.isclose(values[stop - rows : stop], kept[-rows:], equal_nan=True).all():
            return int(stop)
    return 0


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
    data = comparison.data
    y, origins = data.series.y, data.test.target_rows[:, 0] - 1
    rivals: list[baselines.Baseline] = [baselines.Persistence()]
    notes = []
    rows = int(origins[0]) + 1
    if card.season > 1 and rows >= card.season:
        part = baselines.TrainingPart(y, baselines.Cycle(card.season, np.empty(0, int)))
        rivals.append(baselines.SeasonalNaive().fit(part))
    elif card.season > 1:
        notes.append(
            f"No seasonal naive forecast: the {rows} rows before the first window are no season of {card.season}."
        )
    for rival in rivals:
        comparison.add(ModelResult(rival.label, rival.predict(y, origins, data.horizon)[None], kind="baseline"))
    return notes


def _coverage(card: ModelCard, forecasts: np.ndarray, y: np.ndarray) -> dict[float, float]:
    """Percent of true values within the model's intervals, by level."""
    covered = {}
    for level in card.settings["levels"]:
        if card.half_widths.reason(level) is None:
            half = card.half_widths.at(level, card.horizon)
            covered[level] = Interval(level, forecasts - half, forecasts + half).coverage(y)
    return covered
