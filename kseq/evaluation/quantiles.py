"""How good quantile forecasts are: the pinball loss, its weighted form, and the continuous ranked probability score.

Quantiles are the bounds of intervals, ``MODEL-lo-80`` and ``MODEL-hi-80`` being those at 10 and 90 %, and the forecast
itself as the median.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from kseq.evaluation.intervals import Interval

#: Metrics of quantiles, and by what the mean pinball loss is multiplied for each.
QUANTILE_METRICS = {"pinball": 1.0, "wql": 2.0, "crps": 2.0}


def quantiles_at(levels: Sequence[float]) -> tuple[float, ...]:
    """Quantiles that bound intervals of some levels, and the median, in ascending order.

    Example:
        >>> quantiles_at([80])
        (0.1, 0.5, 0.9)
    """
    sides = {round(0.5 + sign * level / 200, 10) for level in levels for sign in (-1, 1)}
    return tuple(sorted(sides | {0.5}))


def bounds_at(quantiles: np.ndarray, level: float, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of a level among the quantiles that :func:`quantiles_at` names, along the last axis.

    Example:
        >>> low, high = bounds_at(np.array([1, 2, 3, 4, 5]), 80, [80, 95])
        >>> int(low), int(high)
        (2, 4)
    """
    place = quantile_place(level, levels)
    return quantiles[..., place], quantiles[..., -1 - place]


def quantile_place(level: float, levels: Sequence[float]) -> int:
    """Place of a level's lower bound among :func:`quantiles_at`; its upper bound is as far from the end.

    Example:
        >>> quantile_place(80, [80, 95])
        1
    """
    return sorted(levels, reverse=True).index(level)


def quantiles_of(forecasts: np.ndarray, bands: Mapping[float, Interval]) -> dict[float, np.ndarray]:
    """Quantile forecasts by probability: both bounds of every interval, and the forecasts as the median.

    Example:
        >>> band = Interval(80, np.array([1.0]), np.array([5.0]))
        >>> {p: q.tolist() for p, q in quantiles_of(np.array([2.0]), {80: band}).items()}
        {0.5: [2.0], 0.1: [1.0], 0.9: [5.0]}
    """
    found = {0.5: forecasts}
    for level, band in bands.items():
        found[round((100 - level) / 200, 6)], found[round((100 + level) / 200, 6)] = band.lo, band.hi
    return found


def pinball(y: np.ndarray, quantiles: Mapping[float, np.ndarray]) -> np.ndarray:
    """Pinball loss of each forecast, the mean over quantiles.

    Args:
        y: True values.
        quantiles: Forecasts by probability, of one shape, against which ``y`` broadcasts.

    Returns:
        np.ndarray: Of that shape. Of the median alone it is half the absolute error.

    Example:
        >>> pinball(np.array([4.0]), {0.1: np.array([1.0]), 0.9: np.array([5.0])}).round(3).tolist()
        [0.2]
    """
    total: np.ndarray | float = 0.0
    for probability, forecast in quantiles.items():
        below = y - forecast
        total = total + np.maximum(probability * below, (probability - 1) * below)
    return np.asarray(total) / len(quantiles)
