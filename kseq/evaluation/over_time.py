"""Tests over time: would another test period put two forecasts in the same order?

Both tests read the difference of two forecasts' losses, window by window. :func:`cosine_test` is the one that decides:
losses of successive windows resemble one another, and it keeps its level under such correlation. The verdict reads it
with ``whitened=True``: a memory of one step is taken out first, and what is left is nearly without correlation. How
strong that memory is nobody knows, so the standard error is a mean over what it may be.
:func:`diebold_mariano` gives the numbers of R's ``dm.test``, which takes the losses of one-step forecasts to be
independent and so rejects too often.
"""

from typing import NamedTuple

import numpy as np
import scipy

from kseq.errors import ConfigError
from kseq.evaluation.metrics import power_of_two
from kseq.validation import require_choice, require_whole

ALTERNATIVES = ("two-sided", "less", "greater")

#: Fewer windows than this say nothing of the memory of one step that whitening takes out.
WHITENED = 8

#: What that memory may be: coefficients of a first-order autoregression.
MEMORIES = np.linspace(-0.97, 0.97, 389)


class CosineTest(NamedTuple):
    """Statistic (negative if the first forecast has the smaller loss), p-value, and what they are made of.

    ``error`` is the standard error of the mean difference, ``df`` the degrees of freedom of Student's t.
    """

    statistic: float
    p: float
    error: float
    df: int


def cosine_test(
    errors_a: np.ndarray,
    errors_b: np.ndarray,
    *,
    horizon: int = 1,
    power: float = 1,
    alternative: str = "two-sided",
    whitened: bool = False,
) -> CosineTest:
    """Test whether two forecasts of the same windows have equal expected loss, whatever the losses' correlation.

    The equal-weighted cosine test with Student's t distribution of Lazarus, Lewis, Stock and Watson (2018), for
    forecasts by Coroneo and Iacone (2020). The variance of the mean difference is read off the first ``df`` cosine
    waves through the differences, the slowest ones, in which correlation of any sign shows. It assumes that the
    difference has one mean throughout, and a memory that is short beside the test part.

    Args:
        errors_a: Errors of the first forecast, ``(windows,)`` or ``(members, windows, ...)``; losses are averaged over
            all axes but the windows.
        errors_b: Errors of the second forecast, for the same windows; the number of members may differ.
        horizon: Number of windows over which forecasts overlap, 1 by default: ``ceil(steps / step)``. Waves that are
            not slow beside it are left out.
        power: Power of the loss: 1, the default, for absolute errors, 2 for squared errors.
        alternative: ``"two-sided"``, the default, ``"less"`` (the first has the smaller loss) or ``"greater"``.
        whitened: Whether the variance is read off what a first-order autoregression leaves of the differences, and
            counted up by its memory (Andrews and Monahan 1992), as the verdict does. The standard error is the mean
            over the posterior distribution of that memory, all from -0.97 to 0.97 being equally likely beforehand.
            Defaults to False. It has no effect with overlapping forecasts or fewer than eight windows.

    Returns:
        CosineTest: NaN and 1 if there are fewer than two windows, or no more than the horizon.

    Raises:
        ConfigError: The windows differ in number, the horizon is below 1, or the alternative is unknown.

    Example:
        >>> test = cosine_test(np.array([0.0, 1, 2, 3, 4, 5]), np.array([0.0, 2, 3, 3, 5, 6]), power=2)
        >>> round(test.statistic, 4), round(test.p, 4), test.df
        (-2.3782, 0.0761, 4)
    """
    require_choice("alternative", alternative, ALTERNATIVES)
    require_whole("horizon", horizon)
    difference, scale = _differences(errors_a, errors_b, power)
    n = len(difference)
    if n <= max(1, horizon):
        return CosineTest(float("nan"), 1.0, float("nan"), 0)
    mean = float(difference.mean())
    error, df = error_of_mean(difference - mean, horizon, whitened=whitened)
    if is_constant(difference, 1.0):
        statistic, error = (0.0 if abs(mean) <= tiny(1.0) else float(np.copysign(np.inf, mean))), 0.0
    else:
        statistic = mean / error if error else float(np.copysign(np.inf, mean))
    return CosineTest(statistic, _p(statistic, df, alternative), error * scale, df)


def error_of_mean(centred: np.ndarray, horizon: int, *, whitened: bool) -> tuple[float, int]:
    """Standard error of the mean of differences, and its degrees of freedom; see :func:`cosine_test`.

    Args:
        centred: Differences less their mean, ``(n,)``.
        horizon: Number of windows over which forecasts overlap.
        whitened: Whether a memory of one step is taken out, where that can be done.
    """
    n = len(centred)
    df = waves(n, horizon)
    if whitened and horizon == 1 and n >= WHITENED:
        return _error_by_memory(centred, df), df
    return float(np.sqrt(2 / n * np.square(_waves_of(centred, df)).mean() / n)), df


def _waves_of(centred: np.ndarray, count: int) -> np.ndarray:
    """Sums of differences times cosines, of the slowest wave first, ``(count,)``."""
    return scipy.fft.dct(centred, type=2)[1 : count + 1] / 2


def _error_by_memory(centred: np.ndarray, df: int) -> float:
    """Standard error of the mean: that for each of :data:`MEMORIES`, weighted by how likely it is.

    Args:
        centred: Differences less their mean, ``(n,)``.
        df: Number of waves.
    """
    n = len(centred)
    now, before = _waves_of(centred[1:], df), _waves_of(centred[:-1], df)
    left = now - MEMORIES[:, None] * before
    errors = np.sqrt(2 / (n - 1) * np.square(left).mean(axis=1) / n) / (1 - MEMORIES)
    likelihood = _log_likelihood(centred)
    weights = np.exp(likelihood - likelihood.max())
    return float(weights @ errors / weights.sum())


def _log_likelihood(centred: np.ndarray) -> np.ndarray:
    """Log-likelihood of each of :data:`MEMORIES`, mean and variance integrated out (both unknown, as for Student's t).

    That of a stationary Gaussian autoregression ``x[t] = memory x[t - 1] + noise`` about an unknown mean, by sums that
    are the same for all memories.
    """
    n, memory = len(centred), MEMORIES
    ends = centred[[0, -1]]
    squares, products = centred @ centred, centred[1:] @ centred[:-1]
    about_zero = squares - 2 * memory * products + memory**2 * (squares - ends @ ends)
    # Values times the inverse of their covariances, summed; that of ones likewise.
    total = (1 - memory) * memory * ends.sum()
    ones = (1 - memory) * (2 + (n - 2) * (1 - memory))
    about_mean = np.maximum(about_zero - total**2 / ones, np.finfo(float).tiny)
    return np.log((1 - memory**2) / ones) / 2 - (n - 1) / 2 * np.log(about_mean)


def waves(n: int, horizon: int = 1) -> int:
    """How many cosine waves are read of ``n`` differences.

    They are ``max(4, int(0.4 n^(2/3)))``, as Lazarus et al. propose; no more than the differences determine, and where
    forecasts overlap none that is faster than two horizons.

    Example:
        >>> waves(147), waves(3), waves(50, horizon=12)
        (11, 2, 2)
    """
    df = min(max(4, int(0.4 * n ** (2 / 3))), n - 1)
    return df if horizon == 1 else min(df, max(1, n // (2 * horizon)))


class DieboldMariano(NamedTuple):
    """The test statistic, negative if the first forecast has the smaller loss, and its p-value."""

    statistic: float
    p: float


def diebold_mariano(
    errors_a: np.ndarray,
    errors_b: np.ndarray,
    *,
    horizon: int = 1,
    power: float = 1,
    alternative: str = "two-sided",
) -> DieboldMariano:
    """Test whether two forecasts of the same windows have equal expected loss.

    The test of Diebold and Mariano (1995) with the small-sample correction of Harvey, Leybourne and Newbold (1997) and
    Student's t distribution. It gives the numbers of ``dm.test`` in R's package ``forecast``, with one exception: for
    horizons above 1 the estimated variance may be negative; R then uses horizon 1, whereas here the autocovariances get
    Bartlett weights, with which the estimate cannot be negative.

    Args:
        errors_a: Errors of the first forecast, ``(windows,)`` or ``(members, windows, ...)``; losses are averaged over
            all axes but the windows.
        errors_b: Errors of the second forecast, for the same windows; the number of members may differ.
        horizon: Number of steps ahead, 1 by default; losses are assumed to be correlated over ``horizon - 1`` windows.
            For windows whose origins are ``step`` rows apart, pass ``ceil(horizon / step)``.
        power: Power of the loss: 1, the default, for absolute errors, 2 for squared errors.
        alternative: ``"two-sided"``, the default, ``"less"`` (the first has the smaller loss) or ``"greater"``.

    Returns:
        DieboldMariano: The statistic and the p-value; NaN and 1 if there are no more windows than steps.

    Raises:
        ConfigError: The windows differ in number, the horizon is below 1, or the alternative is unknown.

    Example:
        >>> test = diebold_mariano(np.array([0.0, 1, 2, 3, 4, 5]), np.array([0.0, 2, 3, 3, 5, 6]), power=2)
        >>> round(test.statistic, 4), round(test.p, 5)
        (-2.4905, 0.05513)
    """
    require_choice("alternative", alternative, ALTERNATIVES)
    require_whole("horizon", horizon)
    difference, _ = _differences(errors_a, errors_b, power)
    n = len(difference)
    if n <= horizon:
        return DieboldMariano(float("nan"), 1.0)
    mean = difference.mean()
    if is_constant(difference, 1.0):
        statistic = 0.0 if abs(mean) <= tiny(1.0) else np.copysign(np.inf, mean)
    else:
        small_sample = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
        statistic = mean / np.sqrt(_variance_of_mean(difference - mean, horizon)) * np.sqrt(small_sample)
    return DieboldMariano(float(statistic), _p(float(statistic), n - 1, alternative))


def _p(statistic: float, df: int, alternative: str) -> float:
    """P-value by Student's t."""
    if alternative == "two-sided":
        return float(2 * scipy.stats.t.sf(abs(statistic), df))
    return float(scipy.stats.t.cdf(statistic if alternative == "less" else -statistic, df))


def _differences(errors_a: np.ndarray, errors_b: np.ndarray, power: float) -> tuple[np.ndarray, float]:
    """Differences of the windows' mean losses in units of about the largest loss, ``(windows,)``; and that unit.

    In these units squares neither vanish nor overflow, however small or large the errors are.
    """
    a, b = (np.abs(np.asarray(errors, dtype="float64")) for errors in (errors_a, errors_b))
    largest = max(power_of_two(a), power_of_two(b))
    loss_a, loss_b = (_by_window((errors / largest) ** power) for errors in (a, b))
    if loss_a.shape != loss_b.shape:
        raise ConfigError(f"received errors of {len(loss_a)} and {len(loss_b)} windows, expected the same windows.")
    top = max(power_of_two(loss_a), power_of_two(loss_b))
    return (loss_a - loss_b) / top, float(top * largest**power)


def _by_window(loss: np.ndarray) -> np.ndarray:
    """Mean loss of each window, ``(windows,)``."""
    return loss if loss.ndim == 1 else loss.mean(axis=(0, *range(2, loss.ndim)))


def _variance_of_mean(centred: np.ndarray, horizon: int) -> float:
    """Variance of the mean of a centred series with autocorrelation up to lag ``horizon - 1``."""
    n = len(centred)
    covariances = np.array([centred[lag:] @ centred[: n - lag] for lag in range(horizon)]) / n
    variance = covariances[0] + 2 * covariances[1:].sum()
    if variance <= 0:
        weights = 1 - np.arange(1, horizon) / horizon
        variance = covariances[0] + 2 * weights @ covariances[1:]
    return variance / n


def tiny(scale: float) -> float:
    """The largest difference that counts as rounding, for values of this size."""
    return 1e-12 * scale


def is_constant(values: np.ndarray, scale: float) -> bool:
    """Whether values differ by rounding alone."""
    return bool(np.ptp(values) <= tiny(scale))
