"""What one model leaves behind: the record that comparison, table and picture share.

No framework is needed to read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kseq.evaluation.intervals import Interval


@dataclass
class ModelResult:
    """What one row of the comparison knows: forecasts of the test part, and what they cost.

    Args:
        name: Name of the row: ``"LSTM"``.
        predictions: Forecasts in the targets' unit, ``(member, window, step, target)``; one member for a baseline.
        kind: ``"cell"``, ``"baseline"``, ``"ensemble"`` (the mean of a cell's members) or ``"model"`` (forecasts that
            others made).
        seeds: Seeds, one a member; of an ensemble, of the members that it averages; empty for a baseline.
        parameters: Trainable weights of one member, of an ensemble those of all that it averages; 0 for a baseline.
        epochs: Number of epochs that each member trained; where each fold of a backtest trains anew, fold after fold.
        epoch_limit: The most that it might have trained; 0 where unknown.
        seconds_per_epoch: Median over epochs without the first, of all members trained together.
        first_epoch_seconds: The first epoch, with what is built and compiled in it.
        members_at_once: Number of members that this time is for.
        seconds: Time that training all members took, in seconds.
        kernel: The kernel that ran.
        diverged: Seeds whose loss was not a number.
        history: Learning curves, ``{"loss": (member, epoch), ...}``, NaN after a member has stopped; fold after fold as
            ``epochs``.
        validation: Forecasts of the validation part, as ``predictions``; None where there is none. Windows of the
            validation parts of several folds stand one fold after the other.
        refit_epochs: Epochs of the second training of each member, on training and validation rows; empty where each is
            trained once. Forecasts of the test part are then the second training's, those of the validation part, the
            epochs and the learning curves the first one's.
        quantiles: Quantiles of the test part that the model itself forecasts, ``(member, window, step, target,
            quantile)``, in ascending order; ``predictions`` are the middle one, the median. None where it forecasts
            none.
        validation_quantiles: The same for the validation part.
        remark: Sentence on series that it was not fitted to; None where it was to all.
        bands: Intervals that came with the forecasts, by level, ``(member, window, step, target)``; empty where they
            are made of errors on the validation part.
        validation_score: Score on the validation part by the metric that ranks, for a row whose forecasts of that part
            are not known; NaN where it is not known either.
    """

    name: str
    predictions: np.ndarray
    kind: str = "cell"
    seeds: tuple[int, ...] = ()
    parameters: int = 0
    epochs: tuple[int, ...] = ()
    epoch_limit: int = 0
    seconds_per_epoch: float = float("nan")
    first_epoch_seconds: float = float("nan")
    members_at_once: int = 1
    seconds: float = float("nan")
    kernel: str = ""
    diverged: tuple[int, ...] = ()
    history: dict[str, np.ndarray] = field(default_factory=dict)
    validation: np.ndarray | None = None
    refit_epochs: tuple[int, ...] = ()
    quantiles: np.ndarray | None = None
    validation_quantiles: np.ndarray | None = None
    remark: str | None = None
    bands: Mapping[float, Interval] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"ModelResult({self.name!r}, {self.kind}; .predictions of shape {self.predictions.shape})"

    validation_score: float = float("nan")

    @property
    def sound(self) -> np.ndarray:
        """Whether each member did not diverge, ``(member,)``; those that did are left out of every figure."""
        finite = np.isfinite(self.predictions).all(axis=(1, 2, 3))
        return finite & ~np.isin(self.seeds, self.diverged) if self.diverged and self.kind == "cell" else finite

    def mean_of_members(self) -> "ModelResult | None":
        """Average the forecasts of the members that did not diverge; None of fewer than two.

        Returns:
            ModelResult: A row of kind ``"ensemble"``, named ``"LSTM x10 mean"``.
        """
        sound = self.sound
        if sound.sum() < 2:
            return None
        seeds = tuple(np.array(self.seeds)[sound].tolist())

        def mean(forecasts: np.ndarray | None) -> Any:
            return None if forecasts is None else forecasts[sound].mean(axis=0, keepdims=True)

        return ModelResult(
            name=f"{self.name} x{len(seeds)} mean",
            predictions=mean(self.predictions),
            kind="ensemble",
            seeds=seeds,
            parameters=len(seeds) * self.parameters,
            seconds=self.seconds,
            kernel=self.kernel,
            validation=mean(self.validation),
            quantiles=mean(self.quantiles),
            validation_quantiles=mean(self.validation_quantiles),
        )


def stack_curves(histories: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Put learning curves ``{"loss": (member, epoch), ...}`` below one another, the shorter ones ended by NaN.

    Example:
        >>> stack_curves([{"loss": np.array([[3.0, 2.0]])}, {"loss": np.array([[5.0]])}])["loss"]
        array([[ 3.,  2.],
               [ 5., nan]])
    """
    longest = max((curve.shape[1] for history in histories for curve in history.values()), default=0)

    def padded(curve: np.ndarray) -> np.ndarray:
        return np.pad(curve, ((0, 0), (0, longest - curve.shape[1])), constant_values=np.nan)

    return {name: np.concatenate([padded(history[name]) for history in histories]) for name in histories[0]}
