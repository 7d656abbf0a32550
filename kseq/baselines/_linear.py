"""DLinear (Zeng et al. 2023, "Are Transformers effective for time series forecasting?") by least squares.

DLinear splits a window into a moving average and the rest and maps each to the horizon by a linear layer. Both parts
are linear in the window, so that their sum is one linear map of it, which least squares finds without training (Toner
and Darlow 2024, "An analysis of linear time series forecasting models"). It reads the windows of the networks, in their
scale and with their covariates, and is one model of all series. The ridge penalty has the smallest error on the
validation part; without one it is chosen by generalised cross-validation (Golub, Heath and Wahba 1979).
"""

from collections.abc import Iterator

import numpy as np

from kseq.preprocessing.windows import WindowedPanel, Windows

#: Ridge penalties to choose among, as shares of the mean variance of an input.
PENALTIES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)

#: Numbers that a model reads at most: beyond, its equations take minutes.
MOST_INPUTS = 4_000

#: Numbers of inputs that are gathered at once.
CHUNK = 2**22

#: Directions of inputs that vary less than this share of the most varying one tell rounding alone.
RANK = 1e-10


def dlinear(data: WindowedPanel) -> tuple[np.ndarray, np.ndarray]:
    """Fit to the training windows, and for the test part to those of the validation part too; forecast both.

    Args:
        data: the windowed series.

    Returns:
        Forecasts of the test and the validation windows in the targets' unit, ``(windows, horizon, targets)`` each.
    """
    equations = _Equations(data.train)
    if len(data.validation):
        penalty = min(PENALTIES, key=lambda one: _missed(data.validation, *equations.solved(one)))
        seen = _forecast(data, data.validation, *equations.solved(penalty))
        equations = equations + _Equations(data.validation)
    else:
        penalty = min(PENALTIES, key=equations.cross_validated)
        seen = np.empty((0, data.horizon, data.targets))
    return _forecast(data, data.test, *equations.solved(penalty)), seen


class _Equations:
    """Sums of products of windows, from which least squares with any penalty follow."""

    def __init__(self, windows: Windows | None):
        if windows is None:
            return
        self.count, first = 0, True
        for x, y in _pieces(windows):
            if first:
                # Sums of squares lose digits to a mean far from zero.
                self.shift = x.mean(axis=0), y.mean(axis=0)
                size = x.shape[1]
                self.xx, self.xy = np.zeros((size, size)), np.zeros((size, y.shape[1]))
                self.x, self.y, self.yy = np.zeros(size), np.zeros(y.shape[1]), 0.0
                first = False
            self._add(x - self.shift[0], y - self.shift[1])

    def _add(self, x: np.ndarray, y: np.ndarray) -> None:
        self.count += len(x)
        self.xx += x.T @ x
        self.xy += x.T @ y
        self.x += x.sum(axis=0)
        self.y += y.sum(axis=0)
        self.yy += float(np.square(y).sum())

    def __add__(self, other: "_Equations") -> "_Equations":
        made = _Equations(None)
        made.shift, made.count = self.shift, self.count + other.count
        dx, dy = other.shift[0] - self.shift[0], other.shift[1] - self.shift[1]
        n = other.count
        made.xx = self.xx + other.xx + np.outer(other.x, dx) + np.outer(dx, other.x) + n * np.outer(dx, dx)
        made.xy = self.xy + other.xy + np.outer(other.x, dy) + np.outer(dx, other.y) + n * np.outer(dx, dy)
        made.x, made.y = self.x + other.x + n * dx, self.y + other.y + n * dy
        made.yy = self.yy + other.yy + 2 * float(other.y @ dy) + n * float(dy @ dy)
        return made

    def _centred(self) -> tuple[np.ndarray, np.ndarray, float]:
        xx = self.xx - np.outer(self.x, self.x) / self.count
        xy = self.xy - np.outer(self.x, self.y) / self.count
        return xx, xy, self.yy - float(self.y @ self.y) / self.count

    def solved(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients ``(inputs, outputs)`` and intercepts ``(outputs,)``."""
        xx, xy, _ = self._centred()
        sizes, directions = np.linalg.eigh(xx)
        kept = sizes > RANK * max(sizes[-1], 0.0)
        damped = np.where(kept, 1 / np.where(kept, sizes + penalty * max(np.trace(xx) / len(xx), 0.0), 1.0), 0.0)
        coefficients = directions @ (damped[:, None] * (directions.T @ xy))
        x, y = self.shift[0] + self.x / self.count, self.shift[1] + self.y / self.count
        return coefficients, y - x @ coefficients

    def cross_validated(self, penalty: float) -> float:
        """Generalised cross-validation: mean squared error of the fit, over the share of free observations squared."""
        xx, xy, yy = self._centred()
        coefficients, _ = self.solved(penalty)
        missed = yy - 2 * float((coefficients * xy).sum()) + float((coefficients * (xx @ coefficients)).sum())
        sizes = np.maximum(np.linalg.eigvalsh(xx), 0.0)
        kept = sizes > RANK * max(sizes[-1], 0.0)
        used = 1 + float((sizes[kept] / (sizes[kept] + penalty * np.trace(xx) / len(xx))).sum())
        free = 1 - used / self.count
        return missed / self.count / free**2 if free > 0 else np.inf


def _pieces(windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets of windows as rows of numbers, float64, some at a time."""
    size = max(1, CHUNK // (windows.lookback * (windows.inputs.shape[1] + windows.static.shape[1])))
    for first in range(0, len(windows), size):
        x, y = windows.gather(np.arange(first, min(first + size, len(windows))))
        yield x.reshape(len(x), -1).astype("float64"), y.reshape(len(y), -1).astype("float64")


def _missed(windows: Windows, coefficients: np.ndarray, intercepts: np.ndarray) -> float:
    """Sum of squared errors, scaled."""
    return sum(float(np.square(x @ coefficients + intercepts - y).sum()) for x, y in _pieces(windows))


def _forecast(data: WindowedPanel, windows: Windows, coefficients: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
    scaled = [x @ coefficients + intercepts for x, _ in _pieces(windows)]
    if not scaled:
        return np.empty((0, data.horizon, data.targets))
    return data.to_units(np.concatenate(scaled), windows)
