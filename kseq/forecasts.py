"""Forecasts of the steps after series, and the data frame of them that tools of the field take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kseq.errors import DataError
from kseq.evaluation.intervals import Interval


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What :class:`kseq.forecasting.Forecast` and :class:`kseq.panels.forecasting.PanelForecast` have in common.

    Args:
        name: of the model: ``"GRU"``.
        dates: of the steps; row numbers where there are no dates.
        values: in the targets' unit.
        intervals: by level, bounds of the shape of the values, NaN where none is known.
        notes: sentences on how the forecasts were made.
    """

    name: str
    dates: pd.Index
    values: np.ndarray
    intervals: dict[float, Interval]
    notes: tuple[str, ...] = ()

    def _frame(self, ids: Sequence[str], targets: Sequence[str]) -> pd.DataFrame:
        """Long form: ``unique_id, ds``, forecasts under the model's name, and bounds as ``GRU-lo-80``, ``GRU-hi-80``.

        Of several targets each is a series of its own, ``id/target``.
        """
        series, steps, count = len(ids), self.values.shape[-2], len(targets)
        of_rows = [f"{id}/{target}" for id in ids for target in targets] if count > 1 else list(ids)
        places = np.repeat(np.arange(series * steps).reshape(series, 1, steps), count, axis=1)

        def flat(values: np.ndarray) -> np.ndarray:
            return np.moveaxis(values.reshape(series, steps, count), 2, 1).ravel()

        columns: Mapping[str, np.ndarray | pd.Index] = {
            "unique_id": pd.Index(of_rows).repeat(steps),
            "ds": self.dates[places.ravel()],
            self.name: flat(self.values),
            **{
                f"{self.name}-{side}-{level:g}": flat(bound)
                for level, band in self.intervals.items()
                for side, bound in (("lo", band.lo), ("hi", band.hi))
            },
        }
        return pd.DataFrame(columns)


def require_numbers(values: np.ndarray, name: str, source: str) -> None:
    """Refuse forecasts that are not finite.

    Args:
        values: forecasts of any shape.
        name: of the model, for the message.
        source: name of the series that it read.

    Raises:
        DataError: one of them is NaN or infinite.

    Example:
        >>> require_numbers(np.array([1.0, 2.0]), "GRU", "sst")
    """
    lacking = int(values.size - np.isfinite(values).sum())
    if lacking:
        raise DataError(
            f"{source}: {lacking} of {values.size} forecasts of {name} are not finite, expected numbers; the rows are "
            "far beyond those that the model was trained on, or the model has diverged: check the rows, or fit it "
            "again."
        )
