"""The last rows of a series as an exported model takes them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kseq.data.slices import extended
from kseq.errors import ConfigError
from kseq.exporting.recipe import Recipe
from kseq.forecasting.history import History, history_of, panel_like
from kseq.preprocessing.steps import Anomaly, times_of
from kseq.preprocessing.windows import calendar_of


def at(recipe: Recipe, history: History, first: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs of windows whose first step to forecast stands at rows of a panel.

    Args:
        recipe: The recipe that is exported.
        history: Rows of the windows and of all steps, of series that the model knows.
        first: Row of the first step of each series, ``(series,)``.
    """
    card, panel = recipe.card, history.panel
    if (history.place < 0).any():
        raise ConfigError(
            f"received series '{panel.ids[int((history.place < 0).argmax())]}', expected one that the model was "
            "trained on: an exported model has no scale of others; forecast it with `kseq forecast`."
        )

    def values(columns: Sequence[str], begin: int, end: int) -> np.ndarray:
        return panel.values_of(columns)[first[:, None] + np.arange(begin, end)]

    every = first[:, None] + np.arange(-card.reach, recipe.made)
    names = [one.name for one in recipe.inputs]
    found: dict[str, np.ndarray] = {}
    targets = tuple(card.context.targets) if recipe.needs_targets else ()
    if "past" in names:
        found["past"] = values((*targets, *recipe.covariates), -card.reach, 0)
    if "ahead" in names:
        found["ahead"] = values(recipe.covariates, 0, recipe.ahead)
    if "future" in names:
        found["future"] = values(card.context.future, card.horizon - card.lookback, recipe.made)
    if "calendar" in names:
        columns = np.stack(list(calendar_of(panel, card.cycles).values()), axis=1).astype("float64")
        found["calendar"] = columns[first[:, None] + np.arange(-card.lookback, recipe.ahead)]
    if "phase" in names:
        segments = [range(row, row + 1) for row in first.tolist()]
        transform = panel_like(card, history, first, segments, np.arange(len(first))).transform
        assert transform is not None
        cycle = next(step.cycle for step in transform.steps if isinstance(step, Anomaly))
        found["phase"] = cycle.at(every).astype("int64") % cycle.season
    if "time" in names:
        found["time"] = times_of(panel.index[every.ravel()]).reshape(every.shape)
    if "series" in names:
        found["series"] = history.place.astype("int64")
    return {name: np.ascontiguousarray(found[name]) for name in names}


def example_of(recipe: Recipe) -> dict[str, np.ndarray] | None:
    """Inputs of one window out of the rows that the model keeps; None where they do not hold one without gaps.

    It is the last one, or, where covariates of steps to come are needed, the last one whose steps are known.
    """
    card = recipe.card
    history = history_of(card)
    if card.context.future or recipe.covariates:
        first = history.panel.ends - recipe.made
        ahead = history.panel
    else:
        ahead = extended(history.panel, recipe.made, card.freq)
        first = ahead.ends
    room = first - ahead.borders[:-1] >= card.reach
    if not room.any():
        return None
    first = np.where(room, first, ahead.ends)
    try:
        found = at(recipe, replace(history, panel=ahead), first)
    except IndexError:
        return None
    whole = room & np.all([np.isfinite(value.reshape(len(value), -1)).all(axis=1) for value in found.values()], axis=0)
    if not whole.any():
        return None
    one = int(whole.argmax())
    return {name: value[one : one + 1] for name, value in found.items()}
