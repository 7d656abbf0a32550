"""Significance tests between the rows of a comparison.

A difference must be significant against every kind of noise that there is:

* **Seeds**: the same network trained again has another error. The test is a paired t-test over the seeds that diverged
  in neither row, or Welch's test for rows that share fewer than two seeds. Wilcoxon's signed-rank test is not used:
  with five seeds its smallest two-sided p-value is 0.0625, so it could never be significant.
* **Time**: another test period would give other errors. The test is :func:`kseq.evaluation.over_time.cosine_test`, on
  the loss of each test window, or of each origin date of several series, averaged over the same seeds.
* **Series**: other series would give other errors. Of several series the test is
  :func:`kseq.evaluation.over_series.series_test`, on the score in each.

The p-value of a pair is the largest of these. Baselines have no seeds, so between baselines only the other tests apply;
with one origin date there is no test over time. A row trained with a single seed gives no estimate of its seed noise:
it is never declared different from another trained row, and against a baseline only the other tests apply. Rows are
ranked by the mean over all their seeds, as the table shows it; if the seeds that two rows share, or ranks over series,
suggest the opposite order, no difference is declared. All tests are of the metric that ranks.

Holm's adjustment is applied within families of pairs that answer one question: which cells differ from one another;
for each baseline, which cells differ from it; which baselines differ from one another.

The significance level of the adjusted p-value is 0.05 against a baseline and 0.02 between other rows. The stricter
level makes three equal networks come out as a tie in at least 95 of 100 comparisons.
"""

import itertools
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from kseq.errors import ConfigError
from kseq.evaluation.metrics import power_of_two
from kseq.evaluation.over_series import series_test
from kseq.evaluation.over_time import cosine_test, diebold_mariano, is_constant, tiny
from kseq.evaluation.rows import Row, Spread, best_baseline, ranked, skills, spread

__all__ = [
    "LEVEL", "LEVEL_TRAINED", "Difference", "Row", "Spread", "best_baseline", "cosine_test", "diebold_mariano",
    "differences", "grouping", "holm", "letters", "ranked", "seed_test", "skills", "spread",
]  # fmt: skip

#: Significance level for a pair with a baseline, of the adjusted p-value.
LEVEL = 0.05

#: Significance level between two rows that are no baselines.
LEVEL_TRAINED = 0.02


def seed_test(scores_a: np.ndarray, scores_b: np.ndarray, *, paired: bool = True) -> float:
    """Two-sided p-value of a difference in mean score, given the variation between seeds.

    A paired t-test or Welch's t-test; against a single score, such as a baseline's, a one-sample t-test.

    Args:
        scores_a: Scores of the first row, one a seed.
        scores_b: Scores of the second row; if paired, for the same seeds in the same order.
        paired: Whether both rows were trained with the same seeds; True by default.

    Returns:
        float: The p-value; NaN if both rows have a single score.

    Raises:
        ConfigError: The scores are to be paired and differ in number.

    Example:
        >>> round(seed_test(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])), 3)
        0.074
    """
    a, b = (scores_a, scores_b) if len(scores_a) >= len(scores_b) else (scores_b, scores_a)
    if len(a) == 1:
        return float("nan")
    if len(b) == 1 or paired:
        if len(b) not in (1, len(a)):
            raise ConfigError(f"received {len(scores_a)} and {len(scores_b)} scores to pair, expected as many of each.")
        difference, scale = a - b, max(np.abs(a).max(), np.abs(b).max())
        if is_constant(difference, scale):
            return float(abs(difference[0]) <= tiny(scale))
        return float(scipy.stats.ttest_1samp(difference / scale, 0.0).pvalue)
    if all(is_constant(scores, np.abs(scores).max()) for scores in (a, b)):
        return float(abs(a[0] - b[0]) <= tiny(abs(a[0])))
    unit = power_of_two(np.concatenate([a, b]))
    return float(scipy.stats.ttest_ind(a / unit, b / unit, equal_var=False).pvalue)


@dataclass(frozen=True)
class Difference:
    """A pair of rows, and the tests of their difference.

    Args:
        better: Name of the row with the smaller score over its seeds that did not diverge.
        worse: Name of the other row.
        gap: Difference of the two scores.
        p_seeds: P-value of the test over seeds; NaN if it does not apply.
        p_time: P-value of the test over time; NaN if it does not apply.
        p: P-value of the pair, before adjustment.
        p_adjusted: P-value adjusted by Holm's method within the family of the pair.
        level: Significance level of the adjusted p-value.
        p_series: P-value of the test over series; NaN for one series.
    """

    better: str
    worse: str
    gap: float
    p_seeds: float
    p_time: float
    p: float
    p_adjusted: float
    level: float = LEVEL
    p_series: float = float("nan")

    @property
    def significant(self) -> bool:
        """Whether the difference is significant."""
        return self.p_adjusted <= self.level


def differences(rows: Sequence[Row], *, horizon: int = 1) -> list[Difference]:
    """Test every pair of rows.

    Args:
        rows: Rows of one comparison; those whose members have all diverged are left out.
        horizon: Number of windows over which forecasts overlap, see
            :func:`kseq.evaluation.over_time.cosine_test`; 1 by default.
    """
    questions: dict[tuple[str, ...], list[Difference]] = {}
    for better, worse in itertools.combinations(ranked(rows), 2):
        p_seeds, p_time, p_series, p = _p_values(better, worse, horizon)
        level = LEVEL if "baseline" in (better.kind, worse.kind) else LEVEL_TRAINED
        pair = Difference(better.name, worse.name, worse.score - better.score, p_seeds, p_time, p, p, level, p_series)
        questions.setdefault(_question(better, worse), []).append(pair)
    return [
        replace(pair, p_adjusted=float(adjusted))
        for pairs in questions.values()
        for pair, adjusted in zip(pairs, holm([pair.p for pair in pairs]), strict=True)
    ]


def _p_values(better: Row, worse: Row, horizon: int) -> tuple[float, float, float, float]:
    """P-values over seeds, over time and over series (NaN where a test does not apply), and of the pair."""
    trained = [row for row in (better, worse) if row.trained]
    several = bool(trained) and min(len(row.scores) for row in trained) > 1
    shared = [seed for seed in better.finite_seeds if seed in worse.finite_seeds]
    paired = several and len(trained) == 2 and len(shared) > 1
    a, b = (row.of_seeds(shared if paired else row.finite_seeds) for row in (better, worse))
    times = better.losses.shape[1]
    p_time = p_series = p_seeds = float("nan")
    if times > 1 or better.by_series is None:
        p_time = cosine_test(better.losses[a], worse.losses[b], horizon=horizon, whitened=True).p
    contradicted = False
    if better.by_series is not None and worse.by_series is not None:
        of_a, of_b = better.by_series[a].mean(axis=0), worse.by_series[b].mean(axis=0)
        p_series = series_test(of_a, of_b)
        contradicted = bool(_lead(of_a - of_b) > 0)
    if several:
        scores_a, scores_b = better.member_scores[a], worse.member_scores[b]
        p_seeds = seed_test(scores_a, scores_b, paired=paired)
        contradicted |= bool(scores_a.mean() > scores_b.mean())
    known = [p for p in (p_seeds, p_time, p_series) if not np.isnan(p)]
    unsure = contradicted or not known or (len(trained) == 2 and not several)
    return p_seeds, p_time, p_series, 1.0 if unsure else max(known)


def _lead(difference: np.ndarray) -> float:
    """Sum of signed ranks over series: positive where the first row is worse in most, or by more."""
    difference = difference[np.isfinite(difference)]
    return float(np.sign(difference) @ scipy.stats.rankdata(np.abs(difference))) if len(difference) else 0.0


def holm(p: Sequence[float]) -> np.ndarray:
    """Adjust p-values for multiple tests by the step-down method of Holm (1979).

    It gives the numbers of statsmodels' ``multipletests``, which runs a garbage collection in every call and so takes a
    quarter of a second once a framework is loaded.

    Args:
        p: P-values, in any order.

    Returns:
        np.ndarray: Adjusted p-values in the same order.

    Example:
        >>> holm([0.01, 0.5, 0.04]).tolist()
        [0.03, 0.5, 0.08]
    """
    values = np.asarray(p)
    order = np.argsort(values)
    stepwise = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(stepwise)
    adjusted[order] = np.minimum(stepwise, 1.0)
    return adjusted


def _question(a: Row, b: Row) -> tuple[str, ...]:
    """Key of the family of a pair for Holm's adjustment: both kinds, and the baseline's name if one row is trained."""
    kinds = tuple(sorted((a.kind, b.kind)))
    baselines = [row.name for row in (a, b) if row.kind == "baseline"]
    return (*kinds, *baselines) if len(baselines) == 1 else kinds


def letters(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Compact letter display: two rows share a letter exactly if they do not differ significantly.

    The insert-and-absorb algorithm of Piepho (2004): all rows start in one column; a pair that differs splits every
    column that holds both; a column contained in another is dropped.

    Args:
        names: Names of the rows, the best first; the best gets the first letter.
        different: Pairs of names that differ significantly.

    Example:
        >>> letters(["GRU", "LSTM", "SimpleRNN"], [("GRU", "SimpleRNN")])
        {'GRU': 'a', 'LSTM': 'ab', 'SimpleRNN': 'b'}
    """
    columns = [frozenset(names)]
    for first, second in different:
        split: list[frozenset[str]] = []
        for column in columns:
            split += [column - {first}, column - {second}] if {first, second} <= column else [column]
        unique = list(dict.fromkeys(split))
        columns = [column for column in unique if not any(column < other for other in unique)]
    place = {name: number for number, name in enumerate(names)}
    columns.sort(key=lambda column: sorted(place[name] for name in column))
    return {name: "".join(_letter(number) for number, column in enumerate(columns) if name in column) for name in names}


def _letter(number: int) -> str:
    """The letter of a column: ``a`` to ``z``, then ``A`` to ``Z``, then numbers in brackets."""
    return string.ascii_letters[number] if number < len(string.ascii_letters) else f"({number})"


def grouping(rows: Sequence[Row], pairs: Iterable[Difference]) -> dict[str, str]:
    """Letters of each row; the empty string for a row whose members have all diverged.

    Args:
        rows: Rows of one comparison.
        pairs: Their differences, from :func:`differences`.

    Returns:
        dict[str, str]: Letters by the name of the row.
    """
    different = [(pair.better, pair.worse) for pair in pairs if pair.significant]
    return dict.fromkeys((row.name for row in rows), "") | letters([row.name for row in ranked(rows)], different)
