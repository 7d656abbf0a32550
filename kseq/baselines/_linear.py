"""DLinear (Zeng et al. 2023, "Are Transformers effective for time series forecasting?") by least squares.

DLinear splits a window into a moving average and the rest and maps each to the horizon by a linear layer. Both parts
are linear in the window, so that their sum is one linear map of it, which least squares finds without training (Toner
and Darlow 2024, "An analysis of linear time series forecasting models"). It reads the windows of the networks, in their
scale and with their covariates, and is one model of all series; see :mod:`kseq.preprocessing.linear`.
"""

import numpy as np

from kseq.preprocessing.linear import PENALTIES, Equations, missed, pieces
from kseq.preprocessing.windows import WindowedPanel, Windows


def dlinear(data: WindowedPanel) -> tuple[np.ndarray, np.ndarray]:
    """Fit to the training windows, and for the test part to those of the validation part too; forecast both.

    Args:
        data: The windowed series.

    Returns:
        Forecasts of the test and the validation windows in the targets' unit, ``(windows, horizon, targets)`` each.
    """
    equations = Equations(data.train)
    if len(data.validation):
        penalty = min(PENALTIES, key=lambda one: missed(data.validation, *equations.solved(one)))
        seen = _forecast(data, data.validation, *equations.solved(penalty))
        equations = equations + Equations(data.validation)
    else:
        penalty = min(PENALTIES, key=equations.cross_validated)
        seen = np.empty((0, data.horizon, data.targets))
    return _forecast(data, data.test, *equations.solved(penalty)), seen


def _forecast(data: WindowedPanel, windows: Windows, coefficients: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
    scaled = [x @ coefficients + intercepts for x, _ in pieces(windows)]
    if not scaled:
        return np.empty((0, data.horizon, data.targets))
    return data.to_units(np.concatenate(scaled), windows)
