"""Tests over series: would other series of this kind put the rows in the same order?

With one origin there is no time to test over; series are what there is. Series that are forecast from one date share
what happened after it, so that they are not independent: what holds of other series in the same period need not hold in
another. Where there are several origin dates the test over these, in which a date counts once whatever the number of
its series, is made as well, and the larger p-value decides.
"""

from typing import NamedTuple

import numpy as np
import scipy

from kseq.evaluation.over_time import is_constant, tiny

#: Fewer series than this are told apart by a t-test: Wilcoxon's smallest p-value of five is 0.0625.
FEW_SERIES = 10

#: From so many series on ranks are averaged and Friedman's test is made.
RANKED_SERIES = 20


def series_test(scores_a: np.ndarray, scores_b: np.ndarray) -> float:
    """Two-sided p-value of a paired test over series: Wilcoxon's signed-rank test, of fewer than ten series a t-test.

    It assumes that series are drawn independently from those that are meant; Wilcoxon's test that differences are
    distributed symmetrically, the t-test that they are about normal.

    Args:
        scores_a: Score of the first row in each series, ``(series,)``; NaN where a metric means nothing.
        scores_b: Score of the second row in the same series.

    Returns:
        float: The p-value; NaN with fewer than two series.

    Example:
        >>> series_test(np.arange(10.0), np.arange(10.0) + 1 + 0.1 * np.arange(10))
        0.001953125
    """
    both = np.isfinite(scores_a) & np.isfinite(scores_b)
    a, b = scores_a[both], scores_b[both]
    if len(a) < 2:
        return float("nan")
    difference, scale = a - b, float(max(np.abs(a).max(), np.abs(b).max()))
    difference = np.where(np.abs(difference) <= tiny(scale), 0.0, difference) / (scale or 1.0)
    if not difference.any():
        return 1.0
    if len(a) >= FEW_SERIES:
        return float(scipy.stats.wilcoxon(difference).pvalue)
    if is_constant(difference, 1.0):
        return 0.0
    return float(scipy.stats.ttest_1samp(difference, 0.0).pvalue)


class Friedman(NamedTuple):
    """Friedman's test: statistic, p-value, the average rank of each row (1 is best), and the number of series."""

    statistic: float
    p: float
    ranks: np.ndarray
    series: int


def friedman(scores: np.ndarray) -> Friedman | None:
    """Test whether several rows are alike in all series, by their ranks within each (Friedman 1937).

    Args:
        scores: ``(rows, series)``; series in which a row has no score are left out.

    Returns:
        Friedman | None: None with fewer than three rows or twenty series.

    Example:
        >>> test = friedman(np.arange(3.0)[:, None] + np.zeros(20))
        >>> test.ranks.tolist(), round(test.statistic, 1)
        ([1.0, 2.0, 3.0], 40.0)
    """
    scores = scores[:, np.isfinite(scores).all(axis=0)]
    rows, series = scores.shape
    if rows < 3 or series < RANKED_SERIES:
        return None
    average = scipy.stats.rankdata(scores, axis=0).mean(axis=1)
    if (scores == scores[0]).all():
        return Friedman(0.0, 1.0, average, series)
    found = scipy.stats.friedmanchisquare(*scores)
    return Friedman(float(found.statistic), float(found.pvalue), average, series)
