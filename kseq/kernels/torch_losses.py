"""Losses and metrics on PyTorch as formulas, element by element; equal to Keras's of the same names."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus


def elements(kind: str, forecast: Tensor, y: Tensor, options: Sequence[float] = ()) -> Tensor:
    """Loss of every forecast number, of the shape of ``forecast``.

    Args:
        kind: ``"mse"``, ``"mae"``, ``"mape"``, ``"msle"``, ``"huber"`` or ``"log_cosh"``.
        forecast: Forecast values, of any shape.
        y: Actual values, of the same shape and number type.
        options: Huber's delta; the epsilon of ``mape`` and ``msle``.
    """
    if kind == "mse":
        return (forecast - y).square()
    if kind == "mae":
        return (forecast - y).abs()
    if kind == "mape":
        return 100.0 * ((y - forecast) / y.abs().clamp_min(options[0])).abs()
    if kind == "msle":
        return (_log(forecast, options[0]) - _log(y, options[0])).square()
    error = forecast - y
    if kind == "log_cosh":
        return error + softplus(-2.0 * error) - math.log(2.0)
    size, delta = error.abs(), options[0]
    return torch.where(size <= delta, 0.5 * error.square(), delta * size - 0.5 * delta**2)


def _log(values: Tensor, epsilon: float) -> Tensor:
    return (values.clamp_min(epsilon) + 1.0).log()


@torch.no_grad()
def mean_so_far(total: Tensor, count: Tensor, found: Tensor, rows: int) -> Tensor:
    """Add a batch's sum, or ``(batch, S)`` errors, to a metric of Keras; return the mean of all that it holds.

    Args:
        total: The metric's sum, updated in place.
        count: The number of values in the sum, updated in place.
        found: The batch's mean as a number, or the values of each window, summed over the first axis.
        rows: Number of values in the batch.
    """
    total.add_(found.sum(0) if found.dim() else found.detach() * rows)
    count.add_(rows)
    return total / count


@torch.no_grad()
def add_sum(total: Tensor, count: Tensor, found: float, rows: int) -> Tensor:
    """Add a sum over ``rows`` values to a metric of Keras; return the mean of all that it holds."""
    total.add_(found)
    count.add_(rows)
    return total / count
