"""Transforms of a panel: the steps of :mod:`kseq.transforms`, with climatologies of each series.

Steps without numbers of their own work on a panel as they do on a series. The anomaly of a row is its distance from the
mean of its phase over the training rows of its own series; of a series that holds fewer than two seasons, from the mean
of them all. ``auto`` takes for all series the steps that most of the longest ones would take by themselves.
"""

from dataclasses import dataclass

import numpy as np

from kseq.baselines import Cycle
from kseq.errors import ConfigError
from kseq.global_grid import grids, longest, season_of_panel
from kseq.global_parts import PanelSplit
from kseq.series import Panel
from kseq.transforms import Anomaly, Difference, FittedTransform, Log, Step, Transform, steps_of


@dataclass(frozen=True)
class PanelTransform:
    """A transform to be fitted to a panel.

    Args:
        names: of its steps, see :class:`kseq.transforms.Transform`.
        season: steps in a season; 0 to find it from the dates.
        past_target: as for a single series.
    """

    names: str
    season: int = 0
    past_target: bool = True

    def fit(self, panel: Panel, split: PanelSplit, members: np.ndarray) -> FittedTransform:
        """Fit on the training rows of each series.

        Args:
            panel: the series.
            split: their parts.
            members: series to fit, places in the panel's ``ids``.

        Raises:
            ConfigError: ``anomaly`` without a season.
            DataError: ``log`` of values that are not positive.
        """
        names = steps_of(self.names)
        season = self.season or season_of_panel(panel, split, members)
        if names == ("auto",):
            names = steps_of(self._chosen(panel, split, members, season))
        steps: list[Step] = []
        y = panel.y
        for name in names:
            if name == "log":
                steps.append(Log.fit(panel))
            elif name == "anomaly":
                steps.append(_anomaly(panel, y, split, members, season))
            elif name == "difference":
                steps.append(Difference())
            else:
                return FittedTransform(tuple(steps), changes=True)
            y = steps[-1].apply(y, panel.stretches)
        return FittedTransform(tuple(steps), changes=False)

    def _chosen(self, panel: Panel, split: PanelSplit, members: np.ndarray, season: int) -> str:
        transform = Transform("auto", season, self.past_target)
        found = []
        for member in longest(split, members):
            known = slice(panel.borders[member], split.validation[member])
            if np.ptp(panel.y[known], axis=0).all():
                found.append(transform.fit(panel.one(panel.ids[member]), known.stop - known.start).name)
        return max(sorted(set(found)), key=found.count, default="none")


def _anomaly(panel: Panel, y: np.ndarray, split: PanelSplit, members: np.ndarray, season: int) -> Anomaly:
    if season < 2:
        raise ConfigError(
            "received transform anomaly for a panel whose dates show no season, expected one; name it with --season, "
            "or choose another --transform."
        )
    # Each series has phases of its own, one series after the other.
    phase = np.zeros(len(panel), "int32")
    total, count = np.zeros((len(panel.ids) * season, y.shape[1])), np.zeros(len(panel.ids) * season)
    for grid in grids(panel, split, members):
        owners = grid.members[grid.owners[grid.places]]
        phase[grid.rows] = owners * season + grid.phase(season)[grid.places]
        known = grid.rows[(grid.rows < split.validation[owners]) & ~np.isnan(y[grid.rows]).any(axis=1)]
        cells, inverse = np.unique(phase[known], return_inverse=True)
        count[cells] = np.bincount(inverse)
        for column in range(y.shape[1]):
            total[cells, column] = np.bincount(inverse, y[known, column])
    by_series = count.reshape(-1, season, 1)
    totals = total.reshape(-1, season, y.shape[1])
    rows = by_series.sum(axis=1, keepdims=True)
    whole = totals.sum(axis=1, keepdims=True) / np.maximum(rows, 1)
    means = np.where((by_series > 0) & (rows >= 2 * season), totals / np.maximum(by_series, 1), whole)
    return Anomaly(Cycle(season, phase), means.reshape(-1, y.shape[1]))
