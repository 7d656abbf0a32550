"""Where the noise of a difference comes from, and what it would take to see through it.

The score of a trained network varies with its seed, with the test period, with the series and, where it is trained anew
in each fold of a backtest, with the split (Bouthillier et al. 2021). Each source has a standard error of its own; it
falls with the root of the number of seeds, of windows, of series or of folds, and of no other number.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy

from kseq.evaluation.over_time import cosine_test
from kseq.evaluation.rows import Row, spread

#: Chance with which a difference is to be found.
POWER = 0.8

#: Numbers above this are of no use to anyone.
FAR = 1_000_000


@dataclass(frozen=True)
class Source:
    """One source of noise in the difference of two scores.

    Args:
        name: ``"seeds"``, ``"time"``, ``"series"`` or ``"split"``.
        error: Standard error of the difference from this source.
        count: Number of seeds, times, series or folds.
    """

    name: str
    error: float
    count: int

    def needed(self, gap: float, level: float) -> int:
        """How many it would take to find a difference in four of five cases.

        Args:
            gap: The difference.
            level: Significance level of the test.

        Example:
            >>> Source("seeds", error=0.1, count=10).needed(gap=0.1, level=0.05)
            79
        """
        quantiles = scipy.stats.norm.isf(level / 2) + scipy.stats.norm.ppf(POWER)
        return math.ceil(min(self.count * (quantiles * self.error / gap) ** 2, 1e15))


def sources(a: Row, b: Row, horizon: int = 1) -> list[Source]:
    """Sources of noise in the difference of two rows' scores, as far as they can be told.

    Args:
        a: A row.
        b: Another.
        horizon: As in :func:`kseq.evaluation.over_time.cosine_test`.

    Returns:
        list[Source]: Of seeds where a trained row has several; of time where there are several windows or origin dates;
        of series where there are several; of the split where both were trained anew in each fold.
    """
    found = []
    shared = [seed for seed in a.finite_seeds if seed in b.finite_seeds]
    paired = a.trained and b.trained and len(shared) > 1
    of_a, of_b = (row.of_seeds(shared if paired else row.finite_seeds) for row in (a, b))
    if paired:
        error = spread(a.member_scores[of_a] - b.member_scores[of_b]).std / math.sqrt(len(shared))
        found.append(Source("seeds", error, len(shared)))
    else:
        several = [row for row in (a, b) if row.trained and len(row.scores) > 1]
        if several and len(several) == len([row for row in (a, b) if row.trained]):
            errors = [spread(row.scores).std / math.sqrt(len(row.scores)) for row in several]
            found.append(Source("seeds", math.hypot(*errors), min(len(row.scores) for row in several)))
    if a.losses.shape[1] > 1:
        test = cosine_test(a.losses[of_a], b.losses[of_b], horizon=horizon, whitened=True)
        mean = abs(float(a.losses[of_a].mean() - b.losses[of_b].mean()))
        gap = abs(float(a.member_scores[of_a].mean() - b.member_scores[of_b].mean()))
        # Of metrics that take a root losses are squares: their noise is brought to the unit of the scores.
        error = test.error * (gap / mean if mean else 1.0)
        found.append(Source("time", error, a.losses.shape[1]))
    if a.by_series is not None and b.by_series is not None:
        difference = a.by_series[of_a].mean(axis=0) - b.by_series[of_b].mean(axis=0)
        difference = difference[np.isfinite(difference)]
        if len(difference) > 1:
            found.append(Source("series", spread(difference).std / math.sqrt(len(difference)), len(difference)))
    if paired and a.by_fold is not None and b.by_fold is not None:
        between = fold_variance(a.by_fold[of_a] - b.by_fold[of_b])
        found.append(Source("split", math.sqrt(between / a.by_fold.shape[1]), a.by_fold.shape[1]))
    return [source for source in found if np.isfinite(source.error)]


def fold_variance(differences: np.ndarray) -> float:
    """Variance between folds beyond that between seeds within them, by a two-way analysis of variance.

    Args:
        differences: ``(seeds, folds)``.

    Returns:
        float: 0 where folds differ by no more than seeds make them.

    Example:
        >>> round(fold_variance(np.array([[1.0, 3.0], [1.1, 2.9]])), 3)
        1.8
    """
    seeds, folds = differences.shape
    residual = differences - differences.mean(axis=0) - differences.mean(axis=1, keepdims=True) + differences.mean()
    within = float((residual**2).sum() / max(1, (seeds - 1) * (folds - 1)))
    between = float(seeds * differences.mean(axis=0).var(ddof=1))
    return max(0.0, (between - within) / seeds)
