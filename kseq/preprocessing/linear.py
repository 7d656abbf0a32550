"""Linear maps of windows to what follows them, by least squares with a ridge penalty (Hoerl and Kennard 1970).

The penalty has the smallest error on validation windows; without any it is chosen by generalised cross-validation
(Golub, Heath and Wahba 1979). They are the baseline DLinear and the start of a network's skip.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kseq.preprocessing.windows import Windows

#: Ridge penalties to choose among, as shares of the mean variance of an input.
PENALTIES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)

#: Numbers that a model reads at most: beyond, its equations take minutes.
MOST_INPUTS = 4_000

#: Products of two inputs that a network's start takes at most, some seconds.
PRODUCTS = 2 * 10**10

#: Numbers of inputs that are gathered at once.
CHUNK = 2**22

#: Directions of inputs that vary less than this share of the most varying one tell rounding alone.
RANK = 1e-10


class LinearMap(NamedTuple):
    """A linear map of windows to what follows them, both scaled.

    Args:
        coefficients: ``(inputs, outputs)``, of windows as rows of numbers.
        intercepts: ``(outputs,)``.
        penalty: Ridge penalty, one of :data:`PENALTIES`.
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
    penalty: float


def linear_map(train: Windows, validation: Windows | None = None, penalty: float | None = None) -> LinearMap:
    """Fit DLinear to training windows by least squares.

    Args:
        train: Windows to fit; of very many, evenly drawn ones.
        validation: Windows by which the penalty is chosen; None, the default, for generalised cross-validation.
        penalty: Ridge penalty; None, the default, to choose it.
    """
    inputs = train.lookback * (train.inputs.shape[1] + train.static.shape[1])
    equations = Equations(train.thinned(max(4 * inputs, PRODUCTS // inputs**2)))
    if penalty is None and validation is not None:
        penalty = min(PENALTIES, key=lambda one: missed(validation, *equations.solved(one)))
    elif penalty is None:
        penalty = min(PENALTIES, key=equations.cross_validated)
    return LinearMap(*equations.solved(penalty), penalty)


class Equations:
    """Sums of products of windows, from which least squares with any penalty follow."""

    def __init__(self, windows: Windows | None):
        if windows is None:
            return
        self.count, first = 0, True
        for x, y in pieces(windows):
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

    def __add__(self, other: "Equations") -> "Equations":
        made = Equations(None)
        made.shift, made.count = self.shift, self.count + other.count
        dx, dy = other.shift[0] - self.shift[0], other.shift[1] - self.shift[1]
        n = other.count
        made.xx = self.xx + other.xx + np.outer(other.x, dx) + np.outer(dx, other.x) + n * np.outer(dx, dx)
        made.xy = self.xy + other.xy + np.outer(other.x, dy) + np.outer(dx, other.y) + n * np.outer(dx, dy)
        made.x, made.y = self.x + other.x + n * dx, self.y + other.y + n * dy
        made.yy = self.yy + other.yy + 2 * float(other.y @ dy) + n * float(dy @ dy)
        return made

    @cached_property
    def _centred(self) -> tuple[np.ndarray, np.ndarray, float]:
        xx = self.xx - np.outer(self.x, self.x) / self.count
        xy = self.xy - np.outer(self.x, self.y) / self.count
        return xx, xy, self.yy - float(self.y @ self.y) / self.count

    @cached_property
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors of the inputs' products."""
        found = np.linalg.eigh(self._centred[0])
        return found[0], found[1]

    def solved(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients ``(inputs, outputs)`` and intercepts ``(outputs,)``."""
        xx, xy, _ = self._centred
        sizes, directions = self._spectrum
        kept = sizes > RANK * max(sizes[-1], 0.0)
        damped = np.where(kept, 1 / np.where(kept, sizes + penalty * max(np.trace(xx) / len(xx), 0.0), 1.0), 0.0)
        coefficients = directions @ (damped[:, None] * (directions.T @ xy))
        x, y = self.shift[0] + self.x / self.count, self.shift[1] + self.y / self.count
        return coefficients, y - x @ coefficients

    def cross_validated(self, penalty: float) -> float:
        """Generalised cross-validation: mean squared error of the fit, over the share of free observations squared."""
        xx, xy, yy = self._centred
        coefficients, _ = self.solved(penalty)
        missed = yy - 2 * float((coefficients * xy).sum()) + float((coefficients * (xx @ coefficients)).sum())
        sizes = np.maximum(self._spectrum[0], 0.0)
        kept = sizes > RANK * max(sizes[-1], 0.0)
        used = 1 + float((sizes[kept] / (sizes[kept] + penalty * np.trace(xx) / len(xx))).sum())
        free = 1 - used / self.count
        return missed / self.count / free**2 if free > 0 else np.inf


def pieces(windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets of windows as rows of numbers, float64, some at a time."""
    size = max(1, CHUNK // (windows.lookback * (windows.inputs.shape[1] + windows.static.shape[1])))
    for first in range(0, len(windows), size):
        x, y = windows.gather(np.arange(first, min(first + size, len(windows))))
        yield x.reshape(len(x), -1).astype("float64"), y.reshape(len(y), -1).astype("float64")


def missed(windows: Windows, coefficients: np.ndarray, intercepts: np.ndarray) -> float:
    """Sum of squared errors, scaled."""
    return sum(float(np.square(x @ coefficients + intercepts - y).sum()) for x, y in pieces(windows))
