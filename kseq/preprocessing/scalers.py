"""Linear scales of columns, fitted on training rows: one for each series, or one over series for static covariates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kseq.errors import ConfigError, Parameter
from kseq.preprocessing._runs import groups, reduce_runs
from kseq.text import shown

#: Scalers by name. The last one looks at the whole series, test part included: for replays of published experiments.
SCALERS = ("standard", "minmax", "minmax-leaks-test")


@dataclass(frozen=True, eq=False)
class Scaler:
    """A column-wise linear scale, ``(x - center) / scale``, fitted once.

    Args:
        center: Subtracted, ``(series, columns)``; ``(columns,)`` where all series share one scale.
        scale: Divided by, of the same shape; 1 for a column that does not vary.
    """

    center: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, kind: str, values: np.ndarray) -> "Scaler":
        """Fit one scale on ``values`` of shape ``(rows, columns)``; ``kind`` is ``"standard"`` or ``"minmax"``."""
        _require_kind(kind)
        if kind == "standard":
            center, scale = values.mean(axis=0), values.std(axis=0)
        else:
            center, scale = values.min(axis=0), np.ptp(values, axis=0)
        return cls(center, np.where(scale == 0, 1.0, scale))

    @classmethod
    def fit_series(
        cls, kind: str, columns: Sequence[np.ndarray], start: np.ndarray, stop: np.ndarray, values: np.ndarray
    ) -> "Scaler":
        """Fit on the rows from ``start`` to before ``stop`` of each series; those with a missing value are left out.

        Args:
            kind: ``"standard"`` or ``"minmax"``.
            columns: Columns to scale, each ``(rows,)``.
            start: First row of each series, ``(series,)``.
            stop: One after the last row of each series, ``(series,)``, above ``start``.
            values: Values of the panel, ``(rows, columns)``: a row with anything missing here is left out, too.
        """
        _require_kind(kind)
        center, scale = (np.empty((len(start), len(columns))) for _ in range(2))
        for group in groups(stop - start):
            first, last = start[group][0], stop[group][-1]
            block = np.stack([column[first:last] for column in columns], axis=1, dtype="float64")
            block[np.isnan(values[first:last]).any(axis=1)] = np.nan
            center[group], scale[group] = _statistics(kind, block, start[group] - first, stop[group] - first)
        # What rounding makes of a constant column is no variation.
        flat = ~(scale > 1e-12 * np.abs(center))
        return cls(np.nan_to_num(center), np.where(flat, 1.0, scale))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Scale ``(..., columns)``; the scale of each series broadcasts against them."""
        return (values - self.center) / self.scale

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """Undo :meth:`transform`."""
        return values * self.scale + self.center

    def inverse_of(self, values: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Undo the scale of ``(..., windows, horizon, columns)`` in float64; ``series`` of each window."""
        return values * self.scale[series, None] + self.center[series, None]

    def replaced(self, known: "Scaler", place: np.ndarray) -> "Scaler":
        """The same scales, with those of ``known`` for the series that have a ``place`` there; -1 for none."""
        seen = (place >= 0)[:, None]
        center, scale = (
            np.where(seen, theirs[place], mine)
            for mine, theirs in ((self.center, known.center), (self.scale, known.scale))
        )
        return Scaler(center, scale)

    def of(self, series: np.ndarray) -> "Scaler":
        """The scales of some series, by their places; of any shape."""
        return Scaler(self.center[series], self.scale[series])


def _require_kind(kind: str) -> None:
    if kind not in ("standard", "minmax"):
        raise ConfigError("received ", Parameter("scaler"), f" {shown(kind)}, expected one of {', '.join(SCALERS)}.")


def _statistics(kind: str, block: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each run of a block; the first begins with it, they are in order and apart."""
    missing = np.isnan(block).any(axis=1)
    if kind == "minmax":
        block[missing] = np.nan
        low, high = reduce_runs(np.fmin, block, start, stop), reduce_runs(np.fmax, block, start, stop)
        return low, high - low
    block[missing] = 0.0
    count = np.maximum(reduce_runs(np.add, (~missing).astype(float), start, stop), 1)[:, None]
    center = reduce_runs(np.add, block, start, stop) / count
    block -= np.repeat(center, np.diff(start, append=len(block)), axis=0)
    block[missing] = 0.0
    return center, np.sqrt(reduce_runs(np.add, np.square(block), start, stop) / count)
