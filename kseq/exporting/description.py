"""What an exported file takes and gives, as JSON for whoever calls it without kseq."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kseq._version import __version__
from kseq.data import Panel
from kseq.exporting.recipe import Recipe
from kseq.forecasting.card import ModelCard
from kseq.preprocessing.seasonality import calendar_seasons

#: Goes up when a program that reads the JSON would misread a newer one.
FORMAT = 1

_CYCLES = {
    "hour of day": "share of the day that has passed, from 0 to below 1",
    "day of week": "(day of the week, Monday 0, + share of the day that has passed) / 7",
    "day of year": "(day of the year - 1 + share of the day that has passed) / days of the year, 365 or 366",
    "month of year": "(month - 1) / 12",
}


def description(
    recipe: Recipe, file: str, example: Mapping[str, np.ndarray] | None, outputs: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Describe an exported file.

    Args:
        recipe: The recipe that it computes.
        file: Its name.
        example: Inputs of one window; None for none.
        outputs: The outputs for them.

    Returns:
        What JSON can hold.
    """
    card = recipe.card
    context, calls = card.context, recipe.calls
    how = "The graph forecasts all steps at once."
    if calls > 1:
        how = (
            f"The networks forecast {card.horizon} at once; the graph runs them {calls} times, each time on its own "
            "forecasts."
        )
    found: dict[str, Any] = {
        "format": FORMAT,
        "exported_by": f"kseq {__version__}",
        "file": file,
        "model": {
            "cell": card.name,
            "networks": len(card.seeds),
            "transform": card.transform.name if card.transform else "none",
            "data": context.name,
            "data_sha256": card.sha256,
            "last_training_row": str(card.last),
            "step": card.step,
        },
        "recipe": [
            "Give one window a row of the batch; all inputs in the order below, values in the unit of the data.",
            "Rows stand in order of time, the last one of `past` right before the first step to forecast; none may be "
            "missing.",
            "Read `forecast`, (batch, steps, targets), in the unit of the data; transforms and scales are in the "
            "graph. A step's interval is lo_* to hi_*.",
            how,
        ],
        "inputs": [
            {
                "name": one.name,
                "dtype": one.dtype,
                "shape": ["batch", *one.shape],
                **({"columns": list(one.columns)} if one.columns else {}),
                "meaning": one.meaning,
            }
            for one in recipe.inputs
        ],
        "outputs": list(recipe.outputs),
        "targets": list(context.targets),
        "lookback": card.lookback,
        "horizon": card.horizon,
        "steps": recipe.steps,
    }
    if card.cycles:
        found["calendar"] = {
            "rule": "Of each cycle the columns are sin(2 pi share) and cos(2 pi share), of the local date.",
            "shares": {cycle: _CYCLES[cycle] for cycle in card.cycles},
        }
    if card.anomaly is not None:
        found["phase"] = {"season": card.anomaly.cycle.season, "rule": phase_rule(card)}
    if card.trend is not None:
        found["time"] = {
            "rule": "Years of 365.25 days since 1970-01-01 00:00 UTC."
            if context.has_dates
            else "Number of the row in the training data, from 0."
        }
    found["series"] = _series(card)
    if example is not None:
        found["example"] = {"inputs": dict(example), "outputs": dict(outputs)}
    return found


def _series(card: ModelCard) -> list[dict[str, Any]]:
    """Of each series its id, its last training row, and the phase of that row."""
    context, anomaly = card.context, card.anomaly
    lasts = context.ends - 1
    found = []
    for number, last in enumerate(lasts.tolist()):
        one: dict[str, Any] = {"id": str(context.ids[number]), "rows": int(card.lengths[number])}
        if context.has_dates:
            one["last"] = str(context.index[last])
        if anomaly is not None:
            one["phase_of_last"] = int(anomaly.cycle.phase[last] % anomaly.cycle.season)
        found.append(one)
    return found


def phase_rule(card: ModelCard) -> str:
    """How the phase of a row follows from its date, or from its place after the training."""
    anomaly = card.anomaly
    assert anomaly is not None
    season, step = anomaly.cycle.season, card.step
    counted = f"(phase_of_last of the series + number of {step} steps since its last training row) modulo {season}"
    return _of_calendar(card.context, season) or counted


def _of_calendar(panel: Panel, season: int) -> str | None:
    """The rule of a season that hangs on the date alone; None for one that is counted."""
    longest = int(panel.lengths.argmax())
    index = panel.index[panel.borders[longest] : panel.ends[longest]]
    seasons = calendar_seasons(index)
    if season not in seasons:
        return None
    hours = float(np.median(np.diff(index.to_numpy()) / np.timedelta64(1, "h")))
    if hours < 20:
        per_day = round(24 / hours)
        slot = f"floor(seconds since local midnight * {per_day} / 86400)"
        return slot if season == per_day else f"day of the week (Monday 0) * {per_day} + {slot}"
    if hours < 48:
        if season == 365:
            return "day of the year - 1, of leap years less 1 from 29 February on"
        return "day of the week (Monday 0)"
    if season in (4, 12):
        return "month - 1" if season == 12 else "floor((month - 1) / 3)"
    return None
