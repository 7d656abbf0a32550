"""The metrics that forecasts are scored by: what each is called, its unit, and where it means nothing.

:class:`kseq.comparison.window_scores.WindowScores` computes them, of all series and members at once.

======  ==============================================================================================================
mae     mean absolute error, in the target's unit
rmse    root of the mean squared error, in the target's unit; one root, over everything that is averaged
bias    mean error, forecast minus truth, in the target's unit: positive where forecasts are too high
mape    mean absolute percentage error, which depends on where the unit has its zero; see :func:`mape_reason`
smape   symmetric mean absolute percentage error, 0 to 200 %: the error over the mean size of truth and forecast, where
        a forecast of zero for a truth of zero counts as no error
mase    mean absolute scaled error: in units of what repeating the last season misses on the training part; below 1
        where the forecast misses less
rmsse   root mean squared scaled error: as MASE, with squares
r2      coefficient of determination: 1 is perfect, 0 is no better than the mean of the truth; the mean over targets
======  ==============================================================================================================

Those of quantiles are described in :mod:`kseq.evaluation.quantiles`.
"""

from dataclasses import dataclass

import numpy as np

#: A target nearer to zero than this share of the mean absolute target makes percentage errors meaningless.
NEAR_ZERO = 0.01


@dataclass(frozen=True)
class Metric:
    """How a table shows a metric.

    Args:
        label: Name in a table's head.
        unit: ``"target"`` for the target's unit, ``"%"``, or empty for a plain number.
        ranks: Whether less is better, so that rows can be ranked by it.
    """

    label: str
    unit: str = "target"
    ranks: bool = True


#: Metrics of forecasts.
METRICS = {
    "mae": Metric("MAE"),
    "rmse": Metric("RMSE"),
    "mape": Metric("MAPE", unit="%"),
    "smape": Metric("sMAPE", unit="%"),
    "mase": Metric("MASE", unit=""),
    "rmsse": Metric("RMSSE", unit=""),
    "r2": Metric("R2", unit="", ranks=False),
    "bias": Metric("Bias", ranks=False),
}

#: These, and metrics of quantiles, in the order of the table.
ALL_METRICS = METRICS | {
    "pinball": Metric("Pinball"),
    "wql": Metric("WQL", unit=""),
    "crps": Metric("CRPS"),
}

#: Metrics that rows can be ranked by.
RANKING = tuple(name for name, metric in ALL_METRICS.items() if metric.ranks)


def mape_reason(y: np.ndarray) -> str | None:
    """Say why percentage errors mean nothing for these targets; None where they do mean something.

    They mean nothing where a target takes both signs (zero then lies inside its range, an accident of its unit) and
    where a value is zero or nearer to it than 1 % of that target's mean absolute value (a few points then decide the
    mean).

    Example:
        >>> mape_reason(np.array([-1.0, 2.0]))
        'targets take both signs'
        >>> mape_reason(np.array([0.0, 2.0, 3.0]))
        '1 of 3 targets is at or near zero'
    """
    y = np.asarray(y, dtype="float64")
    # One column a target; an array of one axis is a single target.
    columns = y.reshape(-1, y.shape[-1]) if y.ndim > 1 else y[:, None]
    if ((columns.min(axis=0) < 0) & (columns.max(axis=0) > 0)).any():
        return "targets take both signs"
    size = np.abs(columns)
    near = int((size <= NEAR_ZERO * size.mean(axis=0)).sum())
    if near:
        return f"{near} of {y.size} targets {'is' if near == 1 else 'are'} at or near zero"
    return None


def skill(error: float, baseline_error: float) -> float:
    """How much smaller an error is than a baseline's, as a share: 0.1 is a tenth less, 0 no better, below 0 worse.

    Args:
        error: Error of the forecast, by a metric of which less is better.
        baseline_error: Error of the baseline, by the same metric.

    Returns:
        float: 1 where the forecast makes no error; NaN where the baseline makes none.

    Example:
        >>> skill(0.75, 1.0)
        0.25
    """
    return 1 - error / baseline_error if baseline_error > 0 else float("nan")


def power_of_two(values: np.ndarray) -> np.ndarray:
    """The power of two that is nearest above the largest value: divided by it, values keep all digits.

    Their squares are then neither infinite nor zero, however large or small they are. 1 where all are zero.

    Example:
        >>> float(power_of_two(np.array([3.0, -5.0])))
        8.0
    """
    peak = np.max(np.abs(values), initial=0.0, where=np.isfinite(values))
    return np.where(peak > 0, np.ldexp(1.0, np.clip(np.frexp(peak)[1], -1000, 1023)), 1.0)
