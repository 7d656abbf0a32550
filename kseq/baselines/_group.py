"""Series of a group as baselines read them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kseq.preprocessing.grid import Grid

Forecast = Callable[[np.ndarray], np.ndarray]


class CannotFit(Exception):
    """Exponential smoothing cannot be fitted to a series, or gives no numbers; the text says why."""


@dataclass(frozen=True, eq=False)
class Group:
    """A group of series as baselines read it.

    Args:
        grid: Its places.
        season: Steps in a season.
        lookback: Rows that the networks read.
        horizon: Rows to forecast.
        fitted: Series that allow the baseline, ``(series,)``.
        told: Called after each series of a baseline that is fitted series by series.
    """

    grid: Grid
    season: int
    lookback: int
    horizon: int
    fitted: np.ndarray
    told: Callable[[], None] = lambda: None

    @cached_property
    def y(self) -> np.ndarray:
        """Targets, filled, ``(places, targets)``."""
        return self.grid.filled(self.season)

    @cached_property
    def phase(self) -> np.ndarray:
        """Phase of each place."""
        return self.grid.phase(self.season)

    @property
    def begin(self) -> np.ndarray:
        """First place of each series."""
        return self.grid.borders[:-1]

    def ahead(self, origins: np.ndarray) -> np.ndarray:
        """Places after each origin, ``(windows, horizon)``."""
        return origins[:, None] + np.arange(1, self.horizon + 1)

    def before(self, known: np.ndarray) -> np.ndarray:
        """Whether each place stands before that which is known of its series."""
        return np.arange(len(self.grid.owners)) < known[self.grid.owners]
