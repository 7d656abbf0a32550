"""Intervals around the forecasts of a trained model.

They are half-widths, what the model missed on the validation part. A model of quantiles bounds the levels that it was
fitted for by its own quantiles, moved outwards or inwards by what covers enough of the validation part (conformalized
quantile regression, Romano, Patterson and Candès 2019), so that they are wider where more is uncertain; of other levels
it too has half-widths, around its median.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from kseq.errors import ConfigError, Parameter
from kseq.evaluation.intervals import Interval, moved
from kseq.evaluation.quantiles import bounds_at
from kseq.forecasting.card import ModelCard
from kseq.validation import require_levels


def bands_around(
    card: ModelCard, values: np.ndarray, quantiles: np.ndarray, levels: float | Sequence[float] | None, unit: np.ndarray
) -> tuple[dict[float, Interval], list[str]]:
    """Put intervals around forecasts.

    Args:
        card: Card of the model.
        values: Forecasts, ``(..., steps, targets)``.
        quantiles: Quantiles that the model forecasts, ``(..., steps, targets, quantile)``; one, which is not read,
            where it forecasts values.
        levels: Percents to cover, each of which must be known; None for those named when the model was fitted, as far
            as they are known.
        unit: Unit of the half-widths, against which ``values`` broadcast.

    Returns:
        Bounds by level; and sentences on what is missing of them.

    Raises:
        ConfigError: A level of which nothing is known.
    """
    bands, notes, steps = {}, [], values.shape[-2]
    if levels is not None:
        levels = require_levels("level", levels if isinstance(levels, Iterable) else (levels,))
    for level in card.settings["levels"] if levels is None else levels:
        reason = card.half_widths.reason(level)
        if reason is None:
            bands[level] = band_of(card, level, values, quantiles, unit)
        elif levels is None:
            notes.append(f"No {level:g} % interval: {reason}.")
        else:
            raise ConfigError(f"received level {level:g}, and {reason}; give another ", Parameter("level"), ".")
    ends = [int(np.isfinite(card.half_widths.at(level, steps)).all(axis=1).sum()) for level in bands]
    known = min(ends, default=steps)
    if known < steps:
        notes.append(f"Intervals end at step {known}: too few errors are known of later ones.")
    return bands, notes


def band_of(card: ModelCard, level: float, values: np.ndarray, quantiles: np.ndarray, unit: np.ndarray) -> Interval:
    """The interval of one level, which must be known; arguments as of :func:`bands_around`."""
    steps = values.shape[-2]
    if card.moves is not None and level in card.moves.levels:
        return moved(bounds_at(quantiles, level, card.moves.levels), card.moves.at(level, steps) * unit, level)
    half = card.half_widths.at(level, steps) * unit
    return Interval(level, values - half, values + half)
