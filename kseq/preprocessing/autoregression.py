"""The autoregression of each series as what the values of a window are measured from.

A network that is one for all series cannot learn how the dynamics of one series differ from those of the next, nor can
it, in a short training, find weights that decades of rows give away. An autoregression of each series knows both, and a
network that forecasts what is left adds what is not linear and what series share: the division of labour of hybrid
methods (Zhang 2003, "Time series forecasting using a hybrid ARIMA and neural network model"; Smyl 2020, whose hybrid
of exponential smoothing and an LSTM won the M4 competition).

Coefficients are Burg's (1975), whose autoregressions never explode however far they are iterated; the order has the
smallest corrected information criterion (Hurvich and Tsai 1989), up to the lookback and to ``10 log10 n``.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from kseq.preprocessing.references import Reference

#: What a series varies by at least, as a share of the size of its values: less is rounding.
ROUNDING = 1e-12


def _none() -> np.ndarray:
    return np.zeros((1, 1, 1))


@dataclass(frozen=True, eq=False)
class Autoregression(Reference):
    """The reference ``ar``: what the autoregression of its own series forecasts from a window.

    Args:
        kind: ``"ar"``.
        season: 1.
        spread: Whether what remains is divided by the spread of the window's inputs.
        coefficients: Weights of the last value, the one before it and so on, in distances from the mean,
            ``(series, order, targets)``; zeros after the order of a series.
        mean: Mean of each series, ``(series, targets)``.
    """

    coefficients: np.ndarray = field(default_factory=_none)
    mean: np.ndarray = field(default_factory=lambda: _none()[0])

    @property
    def order(self) -> int:
        """The highest order of all series, 1 at least."""
        return self.coefficients.shape[1]

    def reach(self, lookback: int) -> int:
        """Rows before a window's first target that it takes."""
        return max(lookback, self.order)

    def of_targets(self, past: np.ndarray, lookback: int, steps: int, series: np.ndarray) -> np.ndarray:
        """Forecast the targets that follow; see :meth:`Reference.of_targets`.

        Example:
            >>> halved = Autoregression("ar", coefficients=np.full((1, 1, 1), 0.5), mean=np.full((1, 1), 2.0))
            >>> halved.of_targets(np.array([[[4.0], [6.0]]]), lookback=2, steps=3, series=np.array([0]))[0, :, 0]
            array([4. , 3. , 2.5])
        """
        mean = self.mean[series][..., None, :].astype(past.dtype)
        weights = self.coefficients[series].astype(past.dtype)
        return iterate(weights, past[..., -self.order :, :] - mean, steps) + mean

    def in_scale(self, center: np.ndarray, scale: np.ndarray) -> "Autoregression":
        """The same for values less a centre and divided by a scale, ``(series, targets)`` both."""
        return replace(self, mean=(self.mean - center) / scale)

    def of_series(self, which: np.ndarray) -> "Autoregression":
        """The same for some series, by their places."""
        return replace(self, coefficients=self.coefficients[which], mean=self.mean[which])


def iterate(coefficients: np.ndarray, past: np.ndarray, steps: int, intercept: np.ndarray | float = 0.0) -> np.ndarray:
    """Forecast by autoregressions, each forecast being the last value of the next one.

    Args:
        coefficients: Weights of the last value, the one before it and so on, ``(..., order, targets)``.
        past: The last values, ``(..., order, targets)``.
        steps: How many to forecast.
        intercept: What is added to each forecast, ``(..., targets)``; 0 by default.

    Returns:
        Forecasts, ``(..., steps, targets)``.

    Example:
        >>> iterate(np.array([[0.5]]), np.array([[8.0]]), steps=3, intercept=np.array([1.0]))[:, 0]
        array([5.  , 3.5 , 2.75])
    """
    order = coefficients.shape[-2]
    weights = coefficients[..., ::-1, :]
    rows = np.empty((*past.shape[:-2], order + steps, past.shape[-1]), past.dtype)
    rows[..., :order, :] = past
    for step in range(steps):
        rows[..., order + step, :] = np.einsum("...ot,...ot->...t", rows[..., step : order + step, :], weights)
        rows[..., order + step, :] += intercept
    return rows[..., order:, :]


def burg(
    y: np.ndarray, owners: np.ndarray, begins: np.ndarray, series: int, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit an autoregression to each series by Burg's method, of the order with the smallest corrected criterion.

    Args:
        y: Values, ``(rows,)``, of one series after the other.
        owners: Series of each row, ``(rows,)``; sorted.
        begins: Whether a row begins a run of consecutive rows, ``(rows,)``; the first of a series does.
        series: How many series there are.
        longest: The highest order to try.

    Returns:
        Coefficients, ``(series, longest)``, of the last value, the one before it and so on, zeros after a series'
        order; and means, ``(series,)``.

    Example:
        >>> y = np.cos(np.arange(200) * 2 * np.pi / 12)
        >>> coefficients, _ = burg(y, np.zeros(200, int), np.arange(200) == 0, 1, 2)
        >>> coefficients.round(2)
        array([[ 1.73, -1.  ]])
    """
    count = np.bincount(owners, minlength=series)
    mean = np.bincount(owners, y, series) / np.maximum(count, 1)
    ahead = y - mean[owners]
    firsts = np.flatnonzero(begins)
    place = np.arange(len(y)) - np.repeat(firsts, np.diff(firsts, append=len(y)))
    variance = np.bincount(owners, np.square(ahead), series) / np.maximum(count, 1)
    varies = variance > np.square(ROUNDING * np.maximum(np.abs(mean), 1e-300))
    ahead = np.where(varies[owners], ahead, 0.0)
    variance = np.where(varies, variance, 1.0)
    behind = ahead.copy()
    found, best = np.zeros((series, longest)), _criterion(variance, count, 0)
    weights = np.zeros((series, longest))
    for order in range(1, longest + 1):
        rows = np.flatnonzero(place >= order)
        if not len(rows):
            break
        later, earlier, whose = ahead[rows], behind[rows - 1], owners[rows]
        size = np.bincount(whose, np.square(later) + np.square(earlier), series)
        product = 2 * np.bincount(whose, later * earlier, series)
        reflection = np.divide(product, size, out=np.zeros(series), where=size > 0)
        behind[rows] = earlier - reflection[whose] * later
        ahead[rows] = later - reflection[whose] * earlier
        weights[:, : order - 1] -= reflection[:, None] * weights[:, : order - 1][:, ::-1]
        weights[:, order - 1] = reflection
        variance = variance * np.maximum(1 - np.square(reflection), ROUNDING)
        criterion = _criterion(variance, count, order)
        better = varies & (criterion < best)
        best[better], found[better] = criterion[better], weights[better]
    return found, mean


def _criterion(variance: np.ndarray, count: np.ndarray, order: int) -> np.ndarray:
    """The corrected criterion of Akaike; infinite where too few values are known to tell."""
    free = count - order - 3
    penalty = np.divide(2.0 * (order + 1) * count, free, out=np.full(len(count), np.inf), where=free > 0)
    return count * np.log(variance) + penalty
