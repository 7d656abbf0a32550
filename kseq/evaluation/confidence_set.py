"""The model confidence set: which rows may be the best (Hansen, Lunde and Nason 2011).

The set holds the best row with a probability of 90 % or more: rows are taken out one by one, the worst first, as long
as those that are left cannot all be equally good. A set of many rows says that the test part is too short to choose.

Whether rows can all be equally good is tested by the mean loss of each against that of all that are left, with the test
that decides over time (:func:`kseq.evaluation.over_time.cosine_test`) and Bonferroni's bound. The usual test of the
set is a block bootstrap, whose blocks are too short for the memory of losses: it keeps too few of rows that are equally
good (``python benchmarks/sizes.py --arch``).
"""

from collections.abc import Sequence

import numpy as np
import scipy

from kseq.evaluation.over_time import error_of_mean

#: A row is in the set if its p-value is above this.
SIZE = 0.1

#: Gaps between losses of about one that count as rounding.
_ROUNDING = 1e-12


def confidence_set(losses: Sequence[np.ndarray], *, horizon: int = 1, independent: bool = False) -> np.ndarray:
    """P-values of the model confidence set; rows above 0.1 are in the set at 90 %.

    Args:
        losses: Losses of each row, ``(members, times)``, of the same times; members may differ in number. The noise
            between them counts, so that a row whose place hangs on its seeds is not taken out for them.
        horizon: Number of windows over which forecasts overlap, 1 by default.
        independent: Whether the second axis holds independent cases, such as series, and no times. Defaults to False.

    Returns:
        np.ndarray: ``(rows,)``; the best row has 1, and so have all where no test can be made.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> good, bad = rng.random((1, 200)), 1 + rng.random((1, 200))
        >>> best, worse = confidence_set([good, bad])
        >>> best, worse < 0.001
        (np.float64(1.0), np.True_)
    """
    rows, times = len(losses), losses[0].shape[1]
    if times <= max(1, horizon):
        return np.ones(rows)
    scale = max(float(np.abs(loss).max(initial=0.0)) for loss in losses) or 1.0
    # What all rows miss together says nothing of them, and would round their differences off.
    shared = np.mean([loss.mean(axis=0) / scale for loss in losses], axis=0)
    scaled = [loss / scale - shared for loss in losses]
    by_time = np.stack([loss.mean(axis=0) for loss in scaled])
    seeds = np.array([loss.mean(axis=1).var(ddof=1) / len(loss) if len(loss) > 1 else 0.0 for loss in scaled])
    free = np.array([max(len(loss) - 1, 1) for loss in scaled])

    p, left, largest = np.ones(rows), np.arange(rows), 0.0
    while len(left) > 1:
        known = by_time[left], seeds[left], free[left]
        of_gaps = [_p_of_gap(*known, place, horizon, independent) for place in range(len(left))]
        worst = int(np.argmin(of_gaps))
        # A row that is left when others have gone is no worse than these were.
        largest = max(largest, min(1.0, len(left) * of_gaps[worst]))
        p[left[worst]] = largest
        left = np.delete(left, worst)
    return p


def _p_of_gap(
    by_time: np.ndarray, seeds: np.ndarray, free: np.ndarray, place: int, horizon: int, independent: bool
) -> float:
    """P-value, one-sided, of one row being worse than the mean of all.

    Args:
        by_time: Losses, ``(rows, times)``.
        seeds: Variances of rows' mean losses from their seeds, ``(rows,)``.
        free: Degrees of freedom of these, ``(rows,)``.
        place: Which row.
        horizon: As in :func:`confidence_set`.
        independent: As in :func:`confidence_set`.
    """
    gaps = by_time[place] - by_time.mean(axis=0)
    gap, n = float(gaps.mean()), len(gaps)
    if abs(gap) <= _ROUNDING:
        return 1.0
    if independent:
        error, df = float(gaps.std(ddof=1)) / np.sqrt(n), n - 1
    else:
        error, df = error_of_mean(gaps - gap, horizon, whitened=True)
    shares = np.full(len(seeds), 1 / len(seeds))
    shares[place] = 1 - shares[place]
    of_seeds = shares**2 * seeds
    # The degrees of freedom of a sum of variances (Welch, Satterthwaite).
    squared = max(error, _ROUNDING) ** 2
    variance = squared + of_seeds.sum()
    df_of_sum = variance**2 / (squared**2 / df + (of_seeds**2 / free).sum())
    return float(scipy.stats.t.sf(gap / np.sqrt(variance), df_of_sum))
