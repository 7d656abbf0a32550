"""How forecasts follow the truth: what their errors leave of its variance, at which lag they correlate, how they vary.

Each number is taken over the windows of a series and averaged over series; the cautions are drawn from them.
"""

import numpy as np

from kseq.evaluation.evidence import Evidence
from kseq.evaluation.metrics import power_of_two

#: Fewer test windows than this are too few for a correlation.
FEW_WINDOWS = 10

#: The earliest lag at which a forecast is correlated with the truth.
LAGS = 3

#: Errors that vary by this factor more than those of a line through the truth's last values are late; and the most
#: series to which such lines are fitted.
LATE, FITTED = 1.1, 100


def unexplained_share(evidence: Evidence, errors: np.ndarray) -> float:
    """Variance of first steps' errors as a share of the truth's, the mean over members, series and targets.

    Args:
        evidence: Facts of the comparison.
        errors: Errors of first steps, ``(members, windows, targets)``.
    """
    owners, y = evidence.windows_of, evidence.y[:, 0]
    enough = np.bincount(owners)[owners] >= FEW_WINDOWS
    shares = variance_shares(errors[:, enough, None], y[enough, None], owners[enough])
    return float(shares[0])


def unexplained_by_own_past(evidence: Evidence) -> tuple[float, float]:
    """Share of the truth's variance that a line through its own last values leaves, and the factor allowed on it.

    The line is fitted by least squares in each series and target to the last :data:`LAGS` values and to that of one
    season earlier; the share is corrected for the number of coefficients. At most :data:`FITTED` series are taken,
    evenly spaced.
    """
    owners, y, last = evidence.windows_of, evidence.y[:, 0], evidence.last
    counts = np.bincount(owners)
    series = np.flatnonzero(counts >= FEW_WINDOWS)
    series = series[np.unique(np.linspace(0, len(series) - 1, FITTED).astype(int))]
    shares, slacks = [], []
    for one in series:
        rows = np.flatnonzero(owners == one)
        lags = [0]
        if evidence.step_size == 1:
            lags = list(range(LAGS))
            # A season needs as many windows before it as are fitted.
            lags += [evidence.season - 1] * (LAGS < evidence.season <= len(rows) // 2)
        first = max(lags)
        for target in range(y.shape[1]):
            own, known = y[rows[first:], target], last[rows, target]
            past = np.stack([known[first - lag : len(known) - lag] for lag in lags], axis=1)
            unit = power_of_two(own) or 1.0
            own, past = (own - own.mean()) / unit, (past - past.mean(axis=0)) / unit
            total, n = float(own @ own), len(own)
            if total <= 0 or n <= len(lags) + 1:
                continue
            missed = own - past @ np.linalg.lstsq(past, own, rcond=None)[0]
            shares.append(float(missed @ missed) / total * (n - 1) / (n - len(lags) - 1))
            slacks.append(LATE + 2 * len(lags) / n)
    return (float(np.mean(shares)), float(np.mean(slacks))) if shares else (1.0, LATE)


def correlation_by_lag(evidence: Evidence, forecast: np.ndarray) -> list[float]:
    """Correlation of first steps with the value to be forecast and with earlier ones, by lag; empty without windows.

    Args:
        evidence: Facts of the comparison.
        forecast: First steps, ``(members, windows, targets)``.
    """
    owners, y = evidence.windows_of, evidence.y[:, 0]
    enough = np.bincount(owners)[owners] >= FEW_WINDOWS
    if not enough.any():
        return []
    forecast, y, last, owners = forecast[:, enough], y[enough], evidence.last[enough], owners[enough]
    found = [_correlation(forecast, y, owners), _correlation(forecast, last, owners)]
    if evidence.step_size == 1:
        for lag in range(2, LAGS + 1):
            # The last value of the window before is the value two steps before this one's target.
            there = np.flatnonzero(owners[lag - 1 :] == owners[: 1 - lag]) + lag - 1
            found.append(_correlation(forecast[:, there], last[there - lag + 1], owners[there]))
    return found


def variance_shares(forecast: np.ndarray, y: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Variance of forecasts over that of true values, the mean over series, members and targets, by step.

    Args:
        forecast: ``(members, windows, horizon, targets)``.
        y: ``(windows, horizon, targets)``.
        owners: Series of each window, in ascending order, ``(windows,)``.

    Returns:
        np.ndarray: ``(horizon,)``; 1 where no true value varies.
    """
    with np.errstate(over="ignore"):
        # Forecasts far beyond everything are not flat; their squares must not be infinite.
        forecast, y = (np.clip(part / power_of_two(y), -1e100, 1e100) for part in (forecast, y[None]))
    ours, theirs = (_sums(_from_mean(part, owners) ** 2, owners, -3) for part in (forecast, y))
    varies = np.broadcast_to(theirs > 0, ours.shape)
    shares = np.divide(ours, theirs, out=np.zeros(ours.shape), where=varies).sum(axis=(0, 1, 3))
    count = varies.sum(axis=(0, 1, 3))
    return np.divide(shares, count, out=np.ones(len(count)), where=count > 0)


def _correlation(a: np.ndarray, b: np.ndarray, owners: np.ndarray) -> float:
    """Pearson's correlation over the windows of each series, averaged over members, series and targets.

    Args:
        a: Values of each member, ``(members, windows, targets)``.
        b: Values to correlate with, ``(windows, targets)``.
        owners: Series of each window, in ascending order, ``(windows,)``.

    Returns:
        float: The mean correlation; 0 for a pair of which one does not vary.
    """
    if not len(owners):
        return 0.0
    a, b = (part / power_of_two(part) for part in (_from_mean(a, owners, -2), _from_mean(b, owners, -2)))
    product = _sums(a * b, owners, -2)
    size = np.sqrt(_sums(a**2, owners, -2) * _sums(b**2, owners, -2))
    return float(np.mean(np.divide(product, size, out=np.zeros_like(product), where=size > 0)))


def _sums(values: np.ndarray, owners: np.ndarray, axis: int) -> np.ndarray:
    """Sums over the windows of each series."""
    return np.add.reduceat(values, np.flatnonzero(np.diff(owners, prepend=-1)), axis=axis)


def _from_mean(values: np.ndarray, owners: np.ndarray, axis: int = -3) -> np.ndarray:
    """Values less the mean of their series over windows."""
    _, number, counts = np.unique(owners, return_inverse=True, return_counts=True)
    counts = counts.reshape(-1, *(1,) * (-1 - axis))
    return values - np.take(_sums(values, owners, axis) / counts, number, axis=axis)
