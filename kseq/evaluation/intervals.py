"""Prediction intervals by split-conformal calibration: forecasts plus and minus what was missed on the validation part.

The half-width at a horizon step is the smallest one that would have covered enough of the validation errors at that
step: the ``ceil((n + 1) * level / 100)``-th smallest of ``n`` absolute errors. With exchangeable errors that covers a
new value with at least the probability asked for, whatever the model (Vovk et al. 2005, Lei et al. 2018). Errors of a
series are not quite exchangeable, and a training that stops at its best validation error makes those of the validation
part a little small, so the coverage of the test part is reported beside the level.

Where ``n`` is too small for a level, no finite half-width keeps the promise: it is infinite, and :func:`too_few` says
why.

Arrays end in ``(windows, horizon, targets)``; axes before these, such as members, are kept apart.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from kseq.errors import ConfigError

#: Percent of future values to cover.
LEVELS = (80, 95)


@dataclass(frozen=True)
class Interval:
    """Lower and upper bounds around forecasts.

    Args:
        level: Percent of values that they are to cover.
        lo: Lower bounds, of the forecasts' shape.
        hi: Upper bounds.
        reason: Why bounds are infinite; None where they are finite.
    """

    level: float
    lo: np.ndarray
    hi: np.ndarray
    reason: str | None = None

    def coverage(self, y: np.ndarray) -> float:
        """Percent of true values that lie within the bounds; ``y`` broadcasts against them.

        Example:
            >>> Interval(80, np.zeros(4), np.ones(4)).coverage(np.array([0.5, 1.0, 2.0, 0.1]))
            75.0
        """
        return float(100 * np.mean((self.lo <= y) & (y <= self.hi)))

    @property
    def width(self) -> float:
        """Mean width, in the target's unit; infinite where bounds are."""
        return float(np.mean(self.hi - self.lo))


def intervals(forecasts: np.ndarray, residuals: np.ndarray, levels: Iterable[float] = LEVELS) -> dict[float, Interval]:
    """Put bounds around forecasts.

    Args:
        forecasts: ``(..., windows, horizon, targets)``.
        residuals: Errors of the same model on the validation part, ``(..., windows, horizon, targets)``: another number
            of windows, otherwise the same shape.
        levels: Percents to cover.

    Returns:
        An :class:`Interval` by level.

    Raises:
        ConfigError: A level is not between 0 and 100, or the shapes do not belong together.

    Example:
        >>> missed = np.arange(1.0, 10.0).reshape(9, 1, 1)
        >>> band = intervals(np.zeros((1, 1, 1)), missed, [80])[80]
        >>> band.lo.item(), band.hi.item()
        (-8.0, 8.0)
    """
    forecasts, residuals = np.asarray(forecasts, dtype="float64"), np.asarray(residuals, dtype="float64")
    ends = [shape[:-3] + shape[-2:] for shape in (forecasts.shape, residuals.shape)]
    if min(forecasts.ndim, residuals.ndim) < 3 or ends[0] != ends[1]:
        raise ConfigError(
            f"received forecasts of shape {forecasts.shape} and residuals of shape {residuals.shape}, expected both as "
            "(..., windows, horizon, targets), alike in all but the windows."
        )
    bands = {}
    for level in levels:
        half = half_width(residuals, level)[..., None, :, :]
        bands[level] = Interval(level, forecasts - half, forecasts + half, too_few(residuals.shape[-3], level))
    return bands


def conformalised(
    bounds: tuple[np.ndarray, np.ndarray], seen: tuple[np.ndarray, np.ndarray], y: np.ndarray, level: float
) -> Interval:
    """Move bounds that a model forecasts itself so that they cover enough of the validation part.

    Both bounds move outwards, or inwards, by the smallest distance that would have covered enough validation values
    (conformalized quantile regression, Romano, Patterson and Candès 2019).

    Args:
        bounds: Lower and upper quantile of each forecast, ``(..., windows, horizon, targets)`` each.
        seen: The same for the validation part.
        y: True values of the validation part, ``(windows, horizon, targets)``.
        level: Percent to cover.

    Example:
        >>> zeros, ones, y = np.zeros((9, 1, 1)), np.ones((9, 1, 1)), np.linspace(-0.4, 1.2, 9).reshape(9, 1, 1)
        >>> band = conformalised((zeros[:1], ones[:1]), (zeros, ones), y, 80)
        >>> band.lo.item().__round__(3), band.hi.item().__round__(3)
        (-0.2, 1.2)
    """
    missed = np.maximum(seen[0] - y, y - seen[1])
    return moved(bounds, move_of(missed, level)[..., None, :, :], level, too_few(missed.shape[-3], level))


def moved(bounds: tuple[np.ndarray, np.ndarray], move: np.ndarray, level: float, reason: str | None = None) -> Interval:
    """Move both bounds outwards by a distance; where one moves inwards by too much they meet in the middle.

    Example:
        >>> band = moved((np.zeros(2), np.ones(2)), np.array([0.1, -0.7]), 80)
        >>> band.lo.tolist(), band.hi.tolist()
        ([-0.1, 0.5], [1.1, 0.5])
    """
    middle = (bounds[0] + bounds[1]) / 2
    return Interval(level, np.minimum(bounds[0] - move, middle), np.maximum(bounds[1] + move, middle), reason)


def move_of(missed: np.ndarray, level: float) -> np.ndarray:
    """The smallest distance that covers enough of what was missed.

    Args:
        missed: How far each true value lies beyond a bound, negative within, ``(..., windows, horizon, targets)``.
        level: Percent to cover.

    Returns:
        ``(..., horizon, targets)``, infinite where there are too few windows.

    Example:
        >>> move_of(np.arange(-4.0, 5.0).reshape(9, 1, 1), 80).item()
        3.0
    """
    rank = _rank(missed.shape[-3], level)
    if rank > missed.shape[-3]:
        return np.full(missed.shape[:-3] + missed.shape[-2:], math.inf)
    return np.partition(missed, rank - 1, axis=-3)[..., rank - 1, :, :]


def half_width(residuals: np.ndarray, level: float) -> np.ndarray:
    """Half-width for each horizon step and target.

    Args:
        residuals: ``(..., windows, horizon, targets)``.
        level: Percent to cover.

    Returns:
        ``(..., horizon, targets)``, infinite where there are too few windows.
    """
    return move_of(np.abs(residuals), level)


def too_few(n: int, level: float) -> str | None:
    """Say why ``n`` validation errors cannot give a finite interval; None where they can.

    Example:
        >>> too_few(10, 95)
        '10 validation errors bound at most 90.9 %: 95 % takes 19'
        >>> too_few(19, 95) is None
        True
    """
    if _rank(n, level) <= n:
        return None
    share = _share(level)
    needed = math.ceil(share / (1 - share))
    return f"{n} validation errors bound at most {100 * n / (n + 1):.1f} %: {level:g} % takes {needed}"


def _rank(n: int, level: float) -> int:
    """Which of ``n`` sorted errors bounds the level, counted from 1; beyond ``n`` where none does."""
    return math.ceil((n + 1) * _share(level))


def _share(level: float) -> Fraction:
    """The level as an exact share: in floats, (99 + 1) * 0.07 is a hair above 7 and the rank would be 8."""
    if not 0 < level < 100:
        raise ConfigError(f"received level {level:g}, expected a percentage between 0 and 100.")
    return Fraction(str(level)) / 100
