"""The Theta method (Assimakopoulos and Nikolopoulos 2000), which won the M3 competition, in plain NumPy and SciPy.

It is simple exponential smoothing with a drift of half the slope of the linear trend (Hyndman and Billah 2003). A
season that the autocorrelation shows (at 90 percent, as in the M competitions) is taken out before by classical
decomposition, multiplicative where all training values are positive, and put back after.

statsmodels has a ThetaModel, too. It forecasts from the end of its series alone, while here forecasts are wanted from
every origin of the test part with parameters of the training part; and its fit takes some hundred times as long.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from kseq.baselines._group import Forecast, Group

#: Training rows by which the smoothing parameter is chosen at most, the last ones.
CHOSEN_ON = 10_000

#: The smallest and the largest smoothing parameter.
LEAST, MOST = 1e-4, 1.0


@dataclass(frozen=True, eq=False)
class Theta:
    """A fitted Theta model of one column of one series.

    Args:
        alpha: Smoothing parameter.
        slope: Slope of the linear trend for each row.
        index: Seasonal index of each phase, counted from the first training row; None for no season.
        multiplicative: Whether the index is a factor.
    """

    alpha: float
    slope: float
    index: np.ndarray | None
    multiplicative: bool

    @classmethod
    def fit(cls, y: np.ndarray, season: int) -> "Theta":
        """Fit to training rows.

        Args:
            y: Values, ``(rows,)``.
            season: Steps in a season; 1 for none.
        """
        multiplicative = bool(y.min() > 0)
        index = _index(y, season, multiplicative) if season > 1 and _is_seasonal(y, season) else None
        model = cls(0.5, 0.0, index, multiplicative)
        adjusted = model._adjusted(y)
        slope = float(np.polyfit(np.arange(len(y)), adjusted - adjusted.mean(), 1)[0])
        last = adjusted[-CHOSEN_ON:]

        def missed(alpha: float) -> float:
            return float(np.square(last[1:] - _levels(last, alpha)[:-1]).sum())

        found = scipy.optimize.minimize_scalar(missed, bounds=(LEAST, MOST), method="bounded", options={"xatol": 1e-4})
        alpha = min((float(found.x), LEAST, MOST), key=missed)
        return cls(alpha, slope, index, multiplicative)

    def forecast(self, y: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
        """Forecast from origins, rows of the series whose values are the last known ones.

        Args:
            y: The series from its first training row on, ``(rows,)``.
            origins: ``(windows,)``.
            horizon: Rows to forecast.

        Returns:
            ``(windows, horizon)``.
        """
        levels = _levels(self._adjusted(y[: origins.max() + 1]), self.alpha)[origins]
        steps = np.arange(1, horizon + 1)
        # What the smoothed level lags behind a trend: (1 - (1 - alpha)^n) / alpha rows after n of them.
        behind = (1 - (1 - self.alpha) ** (origins + 1.0)) / self.alpha
        made = levels[:, None] + self.slope / 2 * (steps - 1 + behind[:, None])
        if self.index is None:
            return made
        index = self.index[(origins[:, None] + steps) % len(self.index)]
        return made * index if self.multiplicative else made + index

    def _adjusted(self, y: np.ndarray) -> np.ndarray:
        """Values without the season."""
        if self.index is None:
            return y
        index = self.index[np.arange(len(y)) % len(self.index)]
        return y / index if self.multiplicative else y - index


def _levels(y: np.ndarray, alpha: float) -> np.ndarray:
    """Simple exponential smoothing from the first value on, ``(rows,)``."""
    return scipy.signal.lfilter([alpha], [1.0, alpha - 1.0], y, zi=[(1.0 - alpha) * y[0]])[0]


def _is_seasonal(y: np.ndarray, season: int) -> bool:
    """Whether the autocorrelation at the season differs from zero (two-sided at 90 percent, Bartlett's formula)."""
    if len(y) < 2 * season:
        return False
    z = y - y.mean()
    total = float(z @ z)
    if not total > 0:
        return False
    r = np.array([z[lag:] @ z[:-lag] for lag in range(1, season + 1)]) / total
    return bool(abs(r[-1]) > 1.645 * np.sqrt((1 + 2 * np.square(r[:-1]).sum()) / len(y)))


def _index(y: np.ndarray, season: int, multiplicative: bool) -> np.ndarray:
    """Seasonal index of each phase by classical decomposition: means of what a centred moving average leaves."""
    weights = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    trend = np.convolve(y, weights / season, "valid")
    first = len(weights) // 2
    inner = y[first : first + len(trend)]
    left = inner / trend if multiplicative else inner - trend
    phase = (first + np.arange(len(left))) % season
    neutral = 1.0 if multiplicative else 0.0
    count = np.bincount(phase, minlength=season)
    index = np.where(count > 0, np.bincount(phase, left, season) / np.maximum(count, 1), neutral)
    return index / index.mean() if multiplicative else index - index.mean()


def theta(group: Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    def fit(known: np.ndarray, told: Callable[[], None]) -> Forecast:
        models: dict[int, list[Theta]] = {}
        for number in np.flatnonzero(group.fitted).tolist():
            rows = group.y[group.begin[number] : known[number]]
            models[number] = [Theta.fit(column, group.season) for column in rows.T]
            told()

        def forecast(origins: np.ndarray) -> np.ndarray:
            owners = group.grid.owners[origins]
            made = np.empty((len(origins), group.horizon, group.y.shape[1]))
            for number in np.unique(owners).tolist():
                begin, end = group.grid.borders[number : number + 2]
                mine = owners == number
                for target, model in enumerate(models[number]):
                    y = group.y[begin:end, target]
                    made[mine, :, target] = model.forecast(y, origins[mine] - begin, group.horizon)
            return made

        return forecast

    return "Theta", fit(whole, group.told), fit(before, lambda: None)
