"""Baselines without parameters to fit: the last value, the value a season ago, and the mean of each phase."""

from functools import cached_property

import numpy as np

from kseq.baselines._group import Forecast, Group
from kseq.preprocessing.seasonality import climatology


def persistence(group: Group) -> Forecast:
    return lambda origins: np.repeat(group.y[origins][:, None], group.horizon, axis=1)


def repeat_last(group: Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    forecast = persistence(group)
    return "Persistence", forecast, forecast


def repeat_season(group: Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    steps = np.arange(group.horizon) % group.season + 1 - group.season

    def forecast(origins: np.ndarray) -> np.ndarray:
        return group.y[origins[:, None] + steps]

    return f"Seasonal naive ({group.season})", forecast, forecast


class Climate:
    """The mean of each phase of each series over the places before ``known``, as the ``anomaly`` of a transform."""

    def __init__(self, group: Group, known: np.ndarray):
        self.group = group
        owners, there = group.grid.owners, group.before(known)
        places = np.arange(len(owners)) - group.begin[owners]
        self.means = climatology(
            group.y[there], owners[there], group.phase[there], places[there], len(known), group.season
        )

    def at(self, places: np.ndarray) -> np.ndarray:
        """The mean of each place's phase, ``(*places.shape, targets)``."""
        return self.means[self.group.grid.owners[places], self.group.phase[places]]

    @cached_property
    def anomalies(self) -> np.ndarray:
        """Distance of each place from the mean of its phase, ``(places, targets)``."""
        return self.group.y - self.at(np.arange(len(self.group.y)))


def seasonal_means(group: Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    def fit(known: np.ndarray) -> Forecast:
        climate = Climate(group, known)
        return lambda origins: climate.at(group.ahead(origins)) + climate.anomalies[origins][:, None]

    return "Climatology + last anomaly", fit(whole), fit(before)
