"""How far forecasts are from what happened. NumPy only.

Every metric is called in the same way::

    rmse(y, y_hat, insample=train_y, season=12, axis=None)

``y`` and ``y_hat`` broadcast against each other: one set of true values ``(windows, horizon, targets)`` serves the
forecasts of all members, ``(members, windows, horizon, targets)``. Of arrays with more than one axis the last one holds
the targets. ``axis`` names the axes that are averaged: None for all of them (a plain float comes back), ``(-3, -1)``
for one value a member and horizon step. ``insample`` and ``season`` are read by MASE and RMSSE alone.

A root is taken once, over everything that is averaged: the RMSE of a forecast of six steps is not the sum of six RMSEs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kseq.errors import ConfigError

#: A target nearer to zero than this share of the mean absolute target makes percentage errors meaningless.
NEAR_ZERO = 0.01

#: Axes to average over: None for all.
Axis = int | tuple[int, ...] | None

#: What a metric returns: a float, or an array where some axes are kept.
Score = float | np.ndarray


def mae(
    y: np.ndarray, y_hat: np.ndarray, *, insample: np.ndarray | None = None, season: int = 1, axis: Axis = None
) -> Score:
    """Mean absolute error, in the target's unit.

    Example:
        >>> mae(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
        0.5
    """
    return _score(np.mean(np.abs(_errors(y, y_hat)), axis=axis))


def rmse(
    y: np.ndarray, y_hat: np.ndarray, *, insample: np.ndarray | None = None, season: int = 1, axis: Axis = None
) -> Score:
    """Root of the mean squared error, in the target's unit.

    Example:
        >>> rmse(np.array([0.0, 0.0]), np.array([3.0, 3.0]))
        3.0
    """
    return _score(_root_mean_square(_errors(y, y_hat), axis))


def bias(
    y: np.ndarray, y_hat: np.ndarray, *, insample: np.ndarray | None = None, season: int = 1, axis: Axis = None
) -> Score:
    """Mean error, forecast minus truth, in the target's unit: positive where forecasts are too high.

    Example:
        >>> bias(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
        0.5
    """
    return _score(np.mean(_errors(y, y_hat), axis=axis))


def mape(
    y: np.ndarray, y_hat: np.ndarray, *, insample: np.ndarray | None = None, season: int = 1, axis: Axis = None
) -> Score:
    """Mean absolute percentage error, percent; NaN where :func:`mape_reason` gives a reason.

    It depends on where the unit has its zero: the same errors give another value in kelvin than in °C.

    Example:
        >>> mape(np.array([10.0, 20.0]), np.array([11.0, 18.0]))
        10.0
    """
    errors = np.abs(_errors(y, y_hat))
    if mape_reason(y) is not None:
        return _score(np.full_like(np.mean(errors, axis=axis), np.nan))
    return _score(100 * np.mean(errors / np.abs(y), axis=axis))


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


def smape(
    y: np.ndarray, y_hat: np.ndarray, *, insample: np.ndarray | None = None, season: int = 1, axis: Axis = None
) -> Score:
    """Symmetric mean absolute percentage error, 0 to 200 percent: the error over the mean size of truth and forecast.

    A forecast of zero for a truth of zero counts as no error.

    Example:
        >>> smape(np.array([1.0, 0.0]), np.array([3.0, 0.0]))
        50.0
    """
    errors = np.abs(_errors(y, y_hat))
    size = (np.abs(y) + np.abs(y_hat)) / 2
    return _score(100 * np.mean(np.divide(errors, size, out=np.zeros_like(errors), where=size > 0), axis=axis))


def mase(
    y: np.ndarray, y_hat: np.ndarray, *, insample: np.ndarray | None = None, season: int = 1, axis: Axis = None
) -> Score:
    """Mean absolute scaled error: in units of what repeating the last season misses on the training part.

    Args:
        y: True values.
        y_hat: Forecasts.
        insample: The training part, ``(time,)`` or ``(time, targets)``.
        season: Steps in a season; 1 scales by the last value.
        axis: Axes that are averaged over; all by default.

    Returns:
        Below 1 where the forecast misses less; NaN where the training part repeats itself exactly.

    Example:
        >>> mase(np.array([4.0]), np.array([5.0]), insample=np.array([1.0, 3.0, 5.0]))
        0.5
    """
    steps = np.abs(_seasonal_steps(insample, season))
    return _score(np.mean(np.abs(_errors(y, y_hat)) / _positive(steps.mean(axis=0)), axis=axis))


def rmsse(
    y: np.ndarray, y_hat: np.ndarray, *, insample: np.ndarray | None = None, season: int = 1, axis: Axis = None
) -> Score:
    """Root mean squared scaled error: as :func:`mase`, with squares.

    Example:
        >>> rmsse(np.array([4.0]), np.array([5.0]), insample=np.array([1.0, 3.0, 5.0]))
        0.5
    """
    steps = _root_mean_square(_seasonal_steps(insample, season), 0)
    return _score(_root_mean_square(_errors(y, y_hat) / _positive(steps), axis))


def r2(
    y: np.ndarray, y_hat: np.ndarray, *, insample: np.ndarray | None = None, season: int = 1, axis: Axis = None
) -> Score:
    """Coefficient of determination: 1 is perfect, 0 is no better than the mean of ``y``, below 0 is worse.

    Each target is set against its own mean; where the targets' axis is averaged, all targets weigh the same. NaN where
    ``y`` does not vary.

    Example:
        >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
        0.5
    """
    errors = _errors(y, y_hat)
    unit = power_of_two(np.asarray(y))
    errors, y = errors / unit, np.broadcast_to(np.asarray(y) / unit, errors.shape)
    last = errors.ndim - 1
    axes = tuple(range(errors.ndim)) if axis is None else tuple(np.arange(errors.ndim)[np.atleast_1d(axis)])
    over_targets = last > 0 and last in axes
    inner = tuple(number for number in axes if number != last) if over_targets else axes
    residual = np.square(errors).sum(axis=inner, keepdims=True)
    total = np.square(y - y.mean(axis=inner, keepdims=True)).sum(axis=inner, keepdims=True)
    explained = 1 - residual / _positive(total)
    return _score(explained.mean(axis=axes))


def skill(error: Score, baseline_error: Score) -> Score:
    """How much smaller an error is than a baseline's, as a share: 0.1 is a tenth less, 0 no better, below 0 worse.

    Args:
        error: Error of the forecast, by a metric of which less is better.
        baseline_error: Error of the baseline, by the same metric.

    Returns:
        1 where the forecast makes no error; NaN where the baseline makes none.

    Example:
        >>> skill(0.75, 1.0)
        0.25
    """
    return _score(1 - np.asarray(error) / _positive(np.asarray(baseline_error, dtype="float64")))


@dataclass(frozen=True)
class Metric:
    """A metric and how a table heads it.

    Args:
        function: See the top of this module; of quantiles, see :mod:`kseq.evaluation.quantiles`, the mean of losses.
        label: Name in a table's head.
        unit: ``"target"`` for the target's unit, ``"%"``, or empty for a plain number.
        ranks: Whether less is better, so that rows can be ranked by it.
    """

    function: Callable[..., Score]
    label: str
    unit: str = "target"
    ranks: bool = True


#: What forecasts are scored by.
METRICS = {
    "mae": Metric(mae, "MAE"),
    "rmse": Metric(rmse, "RMSE"),
    "mape": Metric(mape, "MAPE", unit="%"),
    "smape": Metric(smape, "sMAPE", unit="%"),
    "mase": Metric(mase, "MASE", unit=""),
    "rmsse": Metric(rmsse, "RMSSE", unit=""),
    "r2": Metric(r2, "R2", unit="", ranks=False),
    "bias": Metric(bias, "Bias", ranks=False),
}

#: Metrics of quantiles and all others, in the order of the table.
ALL_METRICS = METRICS | {
    "pinball": Metric(np.mean, "Pinball"),
    "wql": Metric(np.mean, "WQL", unit=""),
    "crps": Metric(np.mean, "CRPS"),
}

#: Metrics that rows can be ranked by.
RANKING = tuple(name for name, metric in ALL_METRICS.items() if metric.ranks)


def _errors(y: np.ndarray, y_hat: np.ndarray) -> np.ndarray:
    """Forecast minus truth, float64."""
    return np.subtract(y_hat, y, dtype="float64")


def power_of_two(values: np.ndarray, axis: Axis = None) -> np.ndarray:
    """The power of two that is nearest above the largest value: divided by it, values keep all digits.

    Their squares are then neither infinite nor zero, however large or small they are. 1 where all are zero.

    Example:
        >>> float(power_of_two(np.array([3.0, -5.0])))
        8.0
    """
    peak = np.max(np.abs(values), axis=axis, initial=0.0, where=np.isfinite(values))
    return np.where(peak > 0, np.ldexp(1.0, np.clip(np.frexp(peak)[1], -1000, 1023)), 1.0)


def _root_mean_square(values: np.ndarray, axis: Axis) -> np.ndarray:
    unit = power_of_two(values)
    return unit * np.sqrt(np.mean(np.square(values / unit), axis=axis))


def _score(value: np.ndarray) -> Score:
    return float(value) if np.ndim(value) == 0 else value


def _positive(scale: np.ndarray) -> np.ndarray:
    """A divisor with NaN in place of zero: nothing can be measured against it, and nothing warns."""
    return np.where(scale > 0, scale, np.nan)


def _seasonal_steps(insample: np.ndarray | None, season: int) -> np.ndarray:
    """Training values minus those one season before; pairs of which one is missing are left out."""
    if insample is None:
        raise ConfigError("received no insample=, expected the training part's targets: MASE and RMSSE scale by them.")
    insample = np.asarray(insample, dtype="float64")
    if not 1 <= season < len(insample):
        raise ConfigError(
            f"received season {season} for a training part of {len(insample)} rows, expected 1 to {len(insample) - 1}."
        )
    steps = insample[season:] - insample[:-season]
    missing = np.isnan(steps).reshape(len(steps), -1).any(axis=1)
    return steps if missing.all() else steps[~missing]
