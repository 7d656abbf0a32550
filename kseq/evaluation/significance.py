"""Significance tests between the rows of a comparison.

A network's error varies for two reasons, and a difference must be significant against both:

* **Seeds**: the same network trained again has another error. The test is a paired t-test over the seeds that diverged
  in neither row, or Welch's test for rows that share fewer than two seeds. Wilcoxon's signed-rank test is not used:
  with five seeds its smallest two-sided p-value is 0.0625, so it could never be significant.
* **Time**: another test period would give other errors. The test is Diebold and Mariano's, on the loss of each test
  window averaged over the same seeds.

The p-value of a pair is the larger of the two. Baselines have no seeds, so between baselines only the test over time
applies. A row trained with a single seed gives no estimate of its seed noise: it is never declared different from
another trained row, and against a baseline only the test over time applies. Rows are ranked by the mean over all their
seeds, as the table shows it; if the seeds that two rows share suggest the opposite order, no difference is declared.

Holm's adjustment is applied within families of pairs that answer one question: which cells differ from one another;
for each baseline, which cells differ from it; which baselines differ from one another.

The significance level of the adjusted p-value is 0.05 against a baseline and 0.02 between trained rows. The stricter
level makes three equal networks come out as a tie in at least 95 of 100 comparisons.
"""

import itertools
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import stats

from kseq.errors import ConfigError
from kseq.evaluation.metrics import skill
from kseq.validation import require_choice, require_whole

#: Significance level for a pair with a baseline, of the adjusted p-value.
LEVEL = 0.05

#: Significance level between two trained rows.
LEVEL_TRAINED = 0.02


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a comparison, as the tests and the verdict use it.

    Args:
        name: Name of the row, such as ``"LSTM"``.
        errors: Forecast minus true value in the target's unit, ``(members, windows, horizon, targets)``, with windows
            in the order of time and members in the order of their seeds. A baseline or an ensemble has one member.
        kind: ``"cell"``, ``"baseline"`` or ``"ensemble"`` (the mean forecast of a cell's members).
        seeds: Distinct seeds, one a member; counted from 0 by default.
        parameters: Number of trainable weights of one member; 0 for none.
        seconds: Training time of one member in seconds; NaN if unknown.
        epochs: Number of epochs that each member trained.
        epoch_limit: Maximum number of epochs; 0 if unknown.
        flags: Further remarks on this row, each a sentence.

    Raises:
        ConfigError: ``errors`` does not have four dimensions, or there is not one distinct seed a member.
    """

    name: str
    errors: np.ndarray
    kind: str = "cell"
    seeds: tuple[int, ...] = ()
    parameters: int = 0
    seconds: float = float("nan")
    epochs: tuple[int, ...] = ()
    epoch_limit: int = 0
    flags: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.errors.ndim != 4:
            raise ConfigError(
                f"received errors of shape {self.errors.shape} for {self.name!r}, expected (members, windows, horizon, "
                "targets)."
            )
        if not self.seeds:
            object.__setattr__(self, "seeds", tuple(range(len(self.errors))))
        if len(set(self.seeds)) != len(self.errors):
            raise ConfigError(
                f"received seeds {self.seeds} for {len(self.errors)} members of {self.name!r}, expected one a member, "
                "each once."
            )

    @cached_property
    def _sound(self) -> np.ndarray:
        """For each member, whether all its errors are finite."""
        return np.isfinite(self.errors).all(axis=(1, 2, 3))

    @cached_property
    def finite(self) -> np.ndarray:
        """Errors of the members whose errors are all finite."""
        return self.errors[self._sound]

    @property
    def finite_seeds(self) -> tuple[int, ...]:
        """Seeds of the members whose errors are all finite."""
        return tuple(seed for seed, sound in zip(self.seeds, self._sound, strict=True) if sound)

    def of_seeds(self, seeds: Sequence[int]) -> np.ndarray:
        """Errors of the members with the given seeds, in the given order."""
        return self.errors[[self.seeds.index(seed) for seed in seeds]]

    @property
    def diverged(self) -> int:
        """Number of members with forecasts that are NaN or infinite."""
        return len(self.errors) - len(self.finite)

    @cached_property
    def scores(self) -> np.ndarray:
        """Mean absolute error of each member whose errors are all finite."""
        return _scores(self.finite)

    @property
    def score(self) -> float:
        """Mean absolute error, averaged over members; NaN if all diverged."""
        return spread(self.scores).mean


class Spread(NamedTuple):
    """Mean and standard deviation over seeds; the standard deviation of a single seed is NaN."""

    mean: float
    std: float


def spread(scores: np.ndarray) -> Spread:
    """Mean and standard deviation (denominator n - 1) of scores over seeds.

    Args:
        scores: One score a seed, ``(seeds,)``.

    Returns:
        Spread: The mean, NaN without scores, and the standard deviation, NaN with fewer than two.

    Example:
        >>> spread(np.array([1.0, 2.0, 3.0]))
        Spread(mean=2.0, std=1.0)
    """
    return Spread(
        float(np.mean(scores)) if len(scores) else float("nan"),
        float(np.std(scores, ddof=1)) if len(scores) > 1 else float("nan"),
    )


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
    require_choice("alternative", alternative, ("two-sided", "less", "greater"))
    require_whole("horizon", horizon)
    loss_a, loss_b = _loss(errors_a, power), _loss(errors_b, power)
    if loss_a.shape != loss_b.shape:
        raise ConfigError(f"received errors of {len(loss_a)} and {len(loss_b)} windows, expected the same windows.")
    difference = loss_a - loss_b
    n = len(difference)
    if n <= horizon:
        return DieboldMariano(float("nan"), 1.0)
    mean = difference.mean()
    if _is_constant(difference, np.maximum(loss_a, loss_b).max()):
        statistic = 0.0 if abs(mean) <= _tiny(np.maximum(loss_a, loss_b).max()) else np.copysign(np.inf, mean)
    else:
        small_sample = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
        statistic = mean / np.sqrt(_variance_of_mean(difference - mean, horizon)) * np.sqrt(small_sample)
    if alternative == "two-sided":
        p = 2 * stats.t.sf(abs(statistic), n - 1)
    else:
        p = stats.t.cdf(statistic if alternative == "less" else -statistic, n - 1)
    return DieboldMariano(float(statistic), float(p))


def _loss(errors: np.ndarray, power: float) -> np.ndarray:
    """Mean loss of each window, ``(windows,)``."""
    loss = np.abs(np.asarray(errors, dtype="float64")) ** power
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
        if _is_constant(difference, scale):
            return float(abs(difference[0]) <= _tiny(scale))
        return float(stats.ttest_1samp(difference, 0.0).pvalue)
    if all(_is_constant(scores, np.abs(scores).max()) for scores in (a, b)):
        return float(abs(a[0] - b[0]) <= _tiny(abs(a[0])))
    return float(stats.ttest_ind(a, b, equal_var=False).pvalue)


def _tiny(scale: float) -> float:
    """The largest difference that counts as rounding, for values of this size."""
    return 1e-12 * scale


def _is_constant(values: np.ndarray, scale: float) -> bool:
    return bool(np.ptp(values) <= _tiny(scale))


@dataclass(frozen=True)
class Difference:
    """A pair of rows, and the tests of their difference.

    Args:
        better: Name of the row with the smaller mean absolute error over its seeds that did not diverge.
        worse: Name of the other row.
        gap: Difference of the two errors, in the target's unit.
        p_seeds: P-value of the test over seeds; NaN if it does not apply.
        p_time: P-value of the Diebold-Mariano test.
        p: P-value of the pair, before adjustment.
        p_adjusted: P-value adjusted by Holm's method within the family of the pair.
        level: Significance level of the adjusted p-value.
    """

    better: str
    worse: str
    gap: float
    p_seeds: float
    p_time: float
    p: float
    p_adjusted: float
    level: float = LEVEL

    @property
    def significant(self) -> bool:
        """Whether the difference is significant."""
        return self.p_adjusted <= self.level


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Rows sorted by score, the best first, without those whose members have all diverged."""
    return sorted((row for row in rows if len(row.scores)), key=lambda row: row.score)


def differences(rows: Sequence[Row], *, horizon: int = 1) -> list[Difference]:
    """Test every pair of rows.

    Args:
        rows: Rows of one comparison; those whose members have all diverged are left out.
        horizon: Number of steps ahead, see :func:`diebold_mariano`; 1 by default.

    Returns:
        list[Difference]: One a pair.
    """
    questions: dict[tuple[str, ...], list[Difference]] = {}
    for better, worse in itertools.combinations(ranked(rows), 2):
        p_seeds, p_time, p = _p_values(better, worse, horizon)
        level = LEVEL if "baseline" in (better.kind, worse.kind) else LEVEL_TRAINED
        pair = Difference(better.name, worse.name, worse.score - better.score, p_seeds, p_time, p, p, level)
        questions.setdefault(_question(better, worse), []).append(pair)
    return [
        replace(pair, p_adjusted=float(adjusted))
        for pairs in questions.values()
        for pair, adjusted in zip(pairs, holm([pair.p for pair in pairs]), strict=True)
    ]


def _p_values(better: Row, worse: Row, horizon: int) -> tuple[float, float, float]:
    """P-values of the test over seeds (NaN if it does not apply), of the test over time, and of the pair."""
    trained = [row for row in (better, worse) if row.kind != "baseline"]
    several = bool(trained) and min(len(row.scores) for row in trained) > 1
    shared = [seed for seed in better.finite_seeds if seed in worse.finite_seeds]
    paired = several and len(trained) == 2 and len(shared) > 1
    a, b = (row.of_seeds(shared) if paired else row.finite for row in (better, worse))
    p_time = diebold_mariano(a, b, horizon=horizon).p
    if not several:
        return float("nan"), p_time, 1.0 if len(trained) == 2 else p_time
    a, b = _scores(a), _scores(b)
    p_seeds = seed_test(a, b, paired=paired)
    contradicted = a.mean() > b.mean()
    return p_seeds, p_time, 1.0 if contradicted else max(p_seeds, p_time)


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


def _scores(errors: np.ndarray) -> np.ndarray:
    """Mean absolute error of each member."""
    return np.abs(errors).mean(axis=(1, 2, 3))


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

    Returns:
        dict[str, str]: The letters of each row.

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


def best_baseline(rows: Iterable[Row]) -> Row | None:
    """The baseline with the smallest mean absolute error; None if there is no baseline."""
    return next((row for row in ranked(rows) if row.kind == "baseline"), None)


def skills(rows: Sequence[Row]) -> dict[str, float]:
    """Skill of each row against the best baseline, from mean absolute errors; empty without a baseline."""
    reference = best_baseline(rows)
    return {} if reference is None else {row.name: float(skill(row.score, reference.score)) for row in rows}
