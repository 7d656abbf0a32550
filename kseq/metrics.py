"""How far forecasts are from what happened. NumPy only; every function takes ``(y, y_hat)`` of equal shape.

Errors are taken over everything that the arrays hold: a root mean square over windows *and* steps, never a sum over
steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: A target this near to zero, as a share of the mean absolute target, makes percentage errors meaningless.
NEAR_ZERO = 1e-3


def mae(y: np.ndarray, y_hat: np.ndarray) -> float:
    """Mean absolute error, in the target's unit.

    Example:
        >>> mae(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
        0.5
    """
    return float(np.mean(np.abs(y - y_hat)))


def rmse(y: np.ndarray, y_hat: np.ndarray) -> float:
    """Root of the mean squared error, in the target's unit.

    Example:
        >>> rmse(np.array([0.0, 0.0]), np.array([3.0, 3.0]))
        3.0
    """
    return float(np.sqrt(np.mean(np.square(y - y_hat))))


def mape(y: np.ndarray, y_hat: np.ndarray) -> float:
    """Mean absolute percentage error, percent; NaN where :func:`mape_reason` gives a reason.

    It depends on where the unit has its zero: the same errors give another value in kelvin than in °C.

    Example:
        >>> mape(np.array([10.0, 20.0]), np.array([11.0, 18.0]))
        10.0
    """
    if mape_reason(y) is not None:
        return float("nan")
    return float(100 * np.mean(np.abs((y - y_hat) / y)))


def mape_reason(y: np.ndarray) -> str | None:
    """Say why percentage errors mean nothing for these targets; None where they do.

    A target counts as near zero below 0.1 % of the mean absolute target.
    """
    small = np.abs(y) <= NEAR_ZERO * np.mean(np.abs(y))
    return f"{int(small.sum())} of {y.size} targets are at or near zero" if small.any() else None


@dataclass(frozen=True)
class Metric:
    """A metric and how a table heads it."""

    function: Callable[[np.ndarray, np.ndarray], float]
    label: str
    percent: bool = False


METRICS = {"mae": Metric(mae, "MAE"), "rmse": Metric(rmse, "RMSE"), "mape": Metric(mape, "MAPE", percent=True)}
