"""Rows of a comparison as tests, verdict and cautions read them: errors, losses by time, scores by seed and series."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kseq.errors import ConfigError
from kseq.evaluation.metrics import power_of_two, skill


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a comparison, as the tests and the verdict use it.

    Args:
        name: Name of the row, such as ``"LSTM"``.
        errors: Forecast minus true value in the target's unit, ``(members, windows, horizon, targets)``, with windows
            in the order of time and members in the order of their seeds. A baseline or an ensemble has one member.
        kind: ``"cell"``, ``"baseline"``, ``"ensemble"`` (the mean forecast of a cell's members) or ``"model"``
            (forecasts that others made; with one member they are taken as they are, without a noise of seeds).
        seeds: Distinct seeds, one a member; counted from 0 by default.
        parameters: Number of trainable weights of one member; 0 for none.
        seconds: Training time of one member in seconds; NaN if unknown.
        epochs: Number of epochs that each member trained.
        epoch_limit: Maximum number of epochs; 0 if unknown.
        flags: Further remarks on this row, each a sentence.
        losses: What the test over time reads, ``(members, times)``: the loss of each test window or, of several series,
            of each origin date; mean absolute errors of the windows by default.
        member_scores: Score of each member by the metric that ranks, ``(members,)``; the mean loss by default.
        by_series: Score of each member in each series, ``(members, series)``; None for one series.
        by_fold: Score of each member in each fold that it was trained anew for, ``(members, folds)``; None without.
        validation: Score on the validation part, the mean over members; NaN where there is none.
        curves: Learning curves, ``{"loss": (trainings, epochs)}``; empty where unknown.

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
    losses: np.ndarray = None  # type: ignore[assignment]
    member_scores: np.ndarray = None  # type: ignore[assignment]
    by_series: np.ndarray | None = None
    by_fold: np.ndarray | None = None
    validation: float = float("nan")
    curves: dict[str, np.ndarray] = field(default_factory=dict)

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
        if self.losses is None:
            object.__setattr__(self, "losses", np.abs(self.errors).mean(axis=(2, 3)))
        if self.member_scores is None:
            object.__setattr__(self, "member_scores", self.losses.mean(axis=1))

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

    def of_seeds(self, seeds: Sequence[int]) -> list[int]:
        """Places of the members with the given seeds, in the given order."""
        return [self.seeds.index(seed) for seed in seeds]

    @property
    def diverged(self) -> int:
        """Number of members with forecasts that are NaN or infinite."""
        return len(self.errors) - len(self.finite)

    @property
    def trained(self) -> bool:
        """Whether another training would give another forecast, as far as is known."""
        return self.kind in ("cell", "ensemble") or (self.kind == "model" and len(self.errors) > 1)

    @cached_property
    def kept_losses(self) -> tuple[float, float]:
        """Training and validation loss at the epoch whose weights are kept, the mean over trainings; NaN if unknown."""
        loss = np.asarray(self.curves.get("loss", np.empty((0, 0))), float)
        seen = np.asarray(self.curves.get("val_loss", np.full(loss.shape, np.nan)), float)
        sound = np.isfinite(loss).any(axis=1) if loss.size else np.zeros(len(loss), bool)
        if not sound.any():
            return float("nan"), float("nan")
        loss, seen = loss[sound], seen[sound]
        last = loss.shape[1] - 1 - np.isfinite(loss)[:, ::-1].argmax(axis=1)
        known = np.isfinite(seen)
        kept = np.where(known.any(axis=1), np.where(known, seen, np.inf).argmin(axis=1), last)
        which = np.arange(len(loss)), kept
        return float(loss[which].mean()), float(seen[which].mean())

    @cached_property
    def scores(self) -> np.ndarray:
        """Score of each member whose errors are all finite, by the metric that ranks."""
        return self.member_scores[self._sound]

    @property
    def score(self) -> float:
        """The score averaged over members; NaN if all diverged or the metric means nothing."""
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
    unit = power_of_two(scores)
    return Spread(
        float(np.mean(scores)) if len(scores) else float("nan"),
        float(np.std(scores / unit, ddof=1) * unit) if len(scores) > 1 else float("nan"),
    )


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Rows sorted by score, the best first, without those whose members have all diverged or that have no score."""
    return sorted((row for row in rows if not np.isnan(row.score)), key=lambda row: row.score)


def best_baseline(rows: Iterable[Row], *, hindsight: bool = False) -> Row | None:
    """The baseline with the smallest error on the validation part; on the test part where there is no validation part.

    A baseline that is chosen on the test part, of several, is flattered by the choice.

    Args:
        rows: Rows of one comparison.
        hindsight: Choose on the test part in any case.

    Returns:
        Row | None: None if there is no baseline.
    """
    baselines = [row for row in ranked(rows) if row.kind == "baseline"]
    known = [] if hindsight else [row for row in baselines if np.isfinite(row.validation)]
    return min(known, key=lambda row: row.validation) if known else next(iter(baselines), None)


def skills(rows: Sequence[Row]) -> dict[str, float]:
    """Skill of each row against the best baseline, by the metric that ranks; empty without a baseline."""
    reference = best_baseline(rows)
    return {} if reference is None else {row.name: float(skill(row.score, reference.score)) for row in rows}
