"""Which differences between rows of a comparison are real.

A network's error varies for two reasons, and a claim must stand against both:

* **seeds**: the same network trained again gives another error. A paired t-test over seeds asks whether a difference
  is larger than that. Pairs are made by seed, of the seeds that diverged in neither row; rows that share fewer than
  two get Welch's test. Not Wilcoxon's: with five seeds its smallest two-sided p-value is 0.0625, so that it could never
  find anything.
* **time**: another test period would give other errors. The Diebold-Mariano test, on the loss of each test window
  averaged over the same seeds, asks whether a difference is larger than that.

The p-value of a pair is the larger of the two. A baseline has no seeds: between baselines, time alone decides. A row
trained with one seed tells nothing of its own noise: nothing is claimed between it and another trained row, and against
a baseline time alone decides. Rows are ranked by the mean over all their seeds, as a table shows it; where the seeds
that two rows share say the opposite, nothing is claimed.

Holm's adjustment is made among the pairs that answer one question: which of the cells differ from one another; for each
baseline, which of the cells differ from it; which baselines differ from one another.

An adjusted p-value up to 0.05 is a difference from a baseline. Between trained rows it takes 0.02: three networks that
are alike must come out as a tie in 95 of 100 comparisons, and at a level of just 0.05 chance alone would break that
promise for every second reader who counts.
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

#: Adjusted p-values up to this one are a difference where a baseline is one of the pair.
LEVEL = 0.05

#: The same between two trained rows.
LEVEL_TRAINED = 0.02


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a comparison in numbers, as tests and verdict see it.

    Args:
        name: name of the row ("LSTM").
        errors: forecast minus truth in the target's unit, ``(members, windows, horizon, targets)``; the windows in the
            order of time, the members in the order of their seeds. One member for a baseline or an ensemble.
        kind: ``"cell"``, ``"baseline"`` or ``"ensemble"`` (the mean of a cell's members).
        seeds: one a member, each once; counted from 0 where none are given.
        parameters: trainable weights of one member.
        seconds: that training one member takes; NaN where unknown.
        epochs: that each member trained.
        epoch_limit: the most that it might have trained; 0 where unknown.
        flags: further remarks on this row, each a sentence.
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
        """Whether each member did not diverge."""
        return np.isfinite(self.errors).all(axis=(1, 2, 3))

    @cached_property
    def finite(self) -> np.ndarray:
        """Errors of the members that did not diverge."""
        return self.errors[self._sound]

    @property
    def finite_seeds(self) -> tuple[int, ...]:
        """Seeds of the members that did not diverge."""
        return tuple(seed for seed, sound in zip(self.seeds, self._sound, strict=True) if sound)

    def of_seeds(self, seeds: Sequence[int]) -> np.ndarray:
        """Errors of the members with these seeds, in this order."""
        return self.errors[[self.seeds.index(seed) for seed in seeds]]

    @property
    def diverged(self) -> int:
        """How many members forecast something that is not a number."""
        return len(self.errors) - len(self.finite)

    @cached_property
    def scores(self) -> np.ndarray:
        """Mean absolute error of each member that did not diverge."""
        return _scores(self.finite)

    @property
    def score(self) -> float:
        """Mean absolute error, averaged over members; NaN where all diverged."""
        return spread(self.scores).mean


class Spread(NamedTuple):
    """Mean and standard deviation over seeds; the latter NaN for a single one."""

    mean: float
    std: float


def spread(scores: np.ndarray) -> Spread:
    """Mean and standard deviation (with n - 1) of scores, one a seed.

    Example:
        >>> spread(np.array([1.0, 2.0, 3.0]))
        Spread(mean=2.0, std=1.0)
    """
    return Spread(
        float(np.mean(scores)) if len(scores) else float("nan"),
        float(np.std(scores, ddof=1)) if len(scores) > 1 else float("nan"),
    )


class DieboldMariano(NamedTuple):
    """The statistic, below 0 where the first forecast has the smaller loss, and its p-value."""

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

    The test of Diebold and Mariano (1995) with the correction for short series by Harvey, Leybourne and Newbold (1997)
    and Student's distribution: the numbers of ``dm.test`` in R's package ``forecast``, with one difference. The
    estimated variance may come out negative for horizons above 1; R then forgets the horizon, here the autocovariances
    are weighted by Bartlett's triangle, which cannot give a negative value.

    Args:
        errors_a: ``(windows,)``, or ``(members, windows, ...)``, whose losses are averaged over all but the windows.
        errors_b: the same for the other forecast; it may have another number of members.
        horizon: steps ahead; losses are taken to be correlated over ``horizon - 1`` windows. For windows whose origins
            are ``step`` rows apart, give ``ceil(horizon / step)``.
        power: power of the loss: 1 for absolute errors, 2 for squared ones.
        alternative: ``"two-sided"``, ``"less"`` (the first has the smaller loss) or ``"greater"``.

    Returns:
        DieboldMariano: with a p-value of 1 and no statistic where there are no more windows than steps.

    Example:
        >>> test = diebold_mariano(np.array([0.0, 1, 2, 3, 4, 5]), np.array([0.0, 2, 3, 3, 5, 6]), power=2)
        >>> round(test.statistic, 4), round(test.p, 5)
        (-2.4905, 0.05513)
    """
    if alternative not in ("two-sided", "less", "greater"):
        raise ConfigError(f"received alternative {alternative!r}, expected 'two-sided', 'less' or 'greater'.")
    if horizon < 1:
        raise ConfigError(f"received horizon {horizon}, expected a whole number from 1.")
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
    """Loss of each window."""
    loss = np.abs(np.asarray(errors, dtype="float64")) ** power
    return loss if loss.ndim == 1 else loss.mean(axis=(0, *range(2, loss.ndim)))


def _variance_of_mean(centred: np.ndarray, horizon: int) -> float:
    """Variance of the mean of a series that is correlated over ``horizon - 1`` steps."""
    n = len(centred)
    covariances = np.array([centred[lag:] @ centred[: n - lag] for lag in range(horizon)]) / n
    variance = covariances[0] + 2 * covariances[1:].sum()
    if variance <= 0:
        weights = 1 - np.arange(1, horizon) / horizon
        variance = covariances[0] + 2 * weights @ covariances[1:]
    return variance / n


def seed_test(scores_a: np.ndarray, scores_b: np.ndarray, *, paired: bool = True) -> float:
    """Two-sided p-value of a difference in mean score, given the noise of seeds.

    A paired t-test, or Welch's; against a single score, such as a baseline's, whether the mean differs from it.

    Args:
        scores_a: one a seed.
        scores_b: the same for the other row; for the same seeds in the same order where they are paired.
        paired: whether both rows were trained with the same seeds.

    Returns:
        The p-value; NaN for a single score against another.

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
    """Differences up to this one are rounding."""
    return 1e-12 * scale


def _is_constant(values: np.ndarray, scale: float) -> bool:
    return bool(np.ptp(values) <= _tiny(scale))


@dataclass(frozen=True)
class Difference:
    """A pair of rows and whether they differ.

    Args:
        better: name of the row with the smaller mean absolute error over all its seeds that did not diverge.
        worse: name of the other.
        gap: how much smaller, in the target's unit.
        p_seeds: p-value of the test over seeds; NaN where it says nothing.
        p_time: p-value of the Diebold-Mariano test.
        p: p-value of the pair, not adjusted.
        p_adjusted: by Holm's method, among the pairs that answer the same question.
        level: the largest adjusted p-value that is a difference.
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
        """Whether the rows differ."""
        return self.p_adjusted <= self.level


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Rows with the best first; without those whose members have all diverged."""
    return sorted((row for row in rows if len(row.scores)), key=lambda row: row.score)


def differences(rows: Sequence[Row], *, horizon: int = 1) -> list[Difference]:
    """Compare every pair of rows.

    Args:
        rows: rows of one comparison. One whose members have all diverged is left out.
        horizon: steps ahead, see :func:`diebold_mariano`.

    Returns:
        A :class:`Difference` a pair.
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
    """The p-value over seeds, NaN where it says nothing; that over time; and that of the pair."""
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
    """Adjust p-values by Holm's method (1979).

    The numbers of statsmodels' ``multipletests``, which collects garbage with every call: a quarter of a second with a
    framework loaded.

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
    """What a pair is asked for: the kinds, and the baseline's name where one of them is trained."""
    kinds = tuple(sorted((a.kind, b.kind)))
    baselines = [row.name for row in (a, b) if row.kind == "baseline"]
    return (*kinds, *baselines) if len(baselines) == 1 else kinds


def letters(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give rows letters such that two rows share one exactly where they do not differ.

    A compact letter display by the insert-and-absorb algorithm of Piepho (2004): all rows share one column; a pair that
    differs splits every column that holds both; a column that lies within another is dropped.

    Args:
        names: names of the rows, the best first: it gets the first letter.
        different: the pairs that differ.

    Returns:
        The letters of each row.

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
    """``a`` to ``z``, then ``A`` to ``Z``, then numbers in brackets."""
    return string.ascii_letters[number] if number < len(string.ascii_letters) else f"({number})"


def grouping(rows: Sequence[Row], pairs: Iterable[Difference]) -> dict[str, str]:
    """Letters of each row by name; none for a row whose members have all diverged.

    Args:
        rows: rows of one comparison.
        pairs: pairs from :func:`differences`.
    """
    different = [(pair.better, pair.worse) for pair in pairs if pair.significant]
    return dict.fromkeys((row.name for row in rows), "") | letters([row.name for row in ranked(rows)], different)


def best_baseline(rows: Iterable[Row]) -> Row | None:
    """The baseline with the smallest mean absolute error; None where there is none."""
    return next((row for row in ranked(rows) if row.kind == "baseline"), None)


def skills(rows: Sequence[Row]) -> dict[str, float]:
    """Skill of each row against the best baseline, by mean absolute error; empty where there is no baseline."""
    reference = best_baseline(rows)
    return {} if reference is None else {row.name: float(skill(row.score, reference.score)) for row in rows}
