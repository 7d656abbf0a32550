"""Parts and scales of a panel: each series split by time, and scaled by its own training rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kseq.errors import ConfigError
from kseq.parts import SCALERS, Scaler, Split
from kseq.data import Panel

#: Rows that are scaled at once.
CHUNK = 2**18

#: Of each part by name: its first row in each series, one after its last, and the rows between windows.
Parts = dict[str, tuple[np.ndarray, np.ndarray, int]]


@dataclass(frozen=True, eq=False)
class PanelSplit:
    """Parts of each series, in rows of the panel: arrays of ``(series,)``.

    Args:
        start: first row that is learnt from.
        validation: first row of the validation part; training ends before it.
        stop: one after the last row that is learnt from.
        test: first target row of the test part.
        end: one after the last row with a target.
    """

    start: np.ndarray
    validation: np.ndarray
    stop: np.ndarray
    test: np.ndarray
    end: np.ndarray

    @classmethod
    def by_fraction(cls, panel: Panel, test: float, validation: float) -> "PanelSplit":
        """Split each series as :meth:`kseq.parts.Split.by_fraction` does."""
        # The checks of the shares, and their words, are those of a single series.
        Split.by_fraction(100, test, validation)
        start, end = panel.borders[:-1], panel.ends
        first = start + ((end - start) * (1 - test)).astype(int)
        return cls(start, _validation(start, first, validation), first, first, end)

    @classmethod
    def without_test(cls, panel: Panel, validation: float) -> "PanelSplit":
        """Learn from all rows with a target, of which the last share is the validation part."""
        Split.at(100, 100, validation)
        start, end = panel.borders[:-1], panel.ends
        return cls(start, _validation(start, end, validation), end, end, end)

    @classmethod
    def by_origins(
        cls, panel: Panel, horizon: int, validation: float, n_windows: int, step: int, gap: int, train_size: int | None
    ) -> "PanelSplit":
        """Keep the last origins of each series for the test part, as a backtest that trains once does."""
        Split.at(100, 100, validation)
        end = panel.ends
        first = end - horizon - (n_windows - 1) * step
        stop = first - gap
        start = panel.borders[:-1] if train_size is None else np.maximum(panel.borders[:-1], stop - train_size)
        return cls(start, _validation(start, stop, validation), stop, first, end)


def _validation(start: np.ndarray, stop: np.ndarray, share: float) -> np.ndarray:
    return stop - np.rint((stop - start) * share).astype(int)


def parts_of(split: PanelSplit, lookback: int, step: int, lost: int) -> Parts:
    """Parts of each series by name: the first row of each, one after its last, and the rows between windows."""
    return {
        # Nothing before the first row that is learnt from is read either.
        "training": (split.start + lost + lookback, split.validation, 1),
        "validation": (split.validation, split.stop, 1),
        "test": (split.test, split.end, step),
    }


def long_enough(
    panel: Panel, split: PanelSplit, lookback: int, horizon: int, step: int = 1, lost: int = 0
) -> np.ndarray:
    """Say which series have room for a training and a test window, if nothing is missing.

    Args:
        panel: the series.
        split: of each.
        lookback: rows that a model reads.
        horizon: rows that it forecasts.
        step: rows from one test window to the next.
        lost: rows at the beginning of each series that a transform has no values for.

    Returns:
        ``(series,)``.
    """
    parts = parts_of(split, lookback, step, lost)
    training, test = (room_in(panel, *parts[name], lost + lookback, horizon) for name in ("training", "test"))
    # Where all is learnt from there is no test part to have room in.
    return (training > 0) & ((test > 0) | (split.test >= split.end))


def room_in(panel: Panel, start: np.ndarray, stop: np.ndarray, step: int, lookback: int, horizon: int) -> np.ndarray:
    """How many windows fit into a part of each series if nothing is missing, ``(series,)``."""
    low = first_target(start, panel.borders[:-1], step, lookback)
    return np.maximum(-(-(stop - horizon + 1 - low) // step), 0)


def first_target(start: np.ndarray, border: np.ndarray, step: int, lookback: int) -> np.ndarray:
    """First target row of the first window; windows some rows apart count from the first row of their part."""
    low = np.maximum(start, border + lookback)
    return low + (start - low) % step


@dataclass(frozen=True, eq=False)
class PanelScaler(Scaler):
    """A linear scale for each series and column.

    Args:
        center: subtracted, ``(series, columns)``.
        scale: divided by, ``(series, columns)``; 1 where training rows do not vary.
    """

    @classmethod
    def fit_parts(
        cls, kind: str, columns: Sequence[np.ndarray], start: np.ndarray, stop: np.ndarray, values: np.ndarray
    ) -> "PanelScaler":
        """Fit on the rows from ``start`` to before ``stop`` of each series; those with a missing value are left out.

        Args:
            kind: ``"standard"`` or ``"minmax"``.
            columns: what is to be scaled, each ``(rows,)``.
            start: ``(series,)``.
            stop: ``(series,)``, above ``start``.
            values: of the panel, ``(rows, columns)``: a row with anything missing here is left out, too.
        """
        if kind not in ("standard", "minmax"):
            raise ConfigError(f"received scaler {kind!r}, expected one of {', '.join(SCALERS)}.")
        center, scale = (np.empty((len(start), len(columns))) for _ in range(2))
        for group in groups(stop - start):
            first, last = start[group][0], stop[group][-1]
            block = np.stack([column[first:last] for column in columns], axis=1, dtype="float64")
            block[np.isnan(values[first:last]).any(axis=1)] = np.nan
            center[group], scale[group] = _statistics(kind, block, start[group] - first, stop[group] - first)
        # What float32 makes of a constant column is no variation.
        flat = ~(scale > 1e-12 * np.abs(center))
        return cls(np.nan_to_num(center), np.where(flat, 1.0, scale))

    def inverse_of(self, values: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Undo the scale of ``(..., windows, horizon, columns)`` in float64; ``series`` of each window."""
        return values * self.scale[series, None] + self.center[series, None]


def groups(lengths: np.ndarray, limit: int = CHUNK) -> list[slice]:
    """Part series into groups of at most ``limit`` rows together, or of one.

    Example:
        >>> groups(np.array([3, 3, 9, 2]), limit=6)
        [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    bounds, total = [0], 0
    for number, length in enumerate(lengths.tolist()):
        if total and total + length > limit:
            bounds.append(number)
            total = 0
        total += length
    return [slice(low, high) for low, high in zip(bounds, [*bounds[1:], len(lengths)], strict=True) if low < high]


def _statistics(kind: str, block: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each part of a block; the first begins with it, they are in order and apart."""
    missing = np.isnan(block).any(axis=1)
    if kind == "minmax":
        block[missing] = np.nan
        low, high = reduce_parts(np.fmin, block, start, stop), reduce_parts(np.fmax, block, start, stop)
        return low, high - low
    block[missing] = 0.0
    count = np.maximum(reduce_parts(np.add, (~missing).astype(float), start, stop), 1)[:, None]
    center = reduce_parts(np.add, block, start, stop) / count
    block -= np.repeat(center, np.diff(start, append=len(block)), axis=0)
    block[missing] = 0.0
    return center, np.sqrt(reduce_parts(np.add, np.square(block), start, stop) / count)


def reduce_parts(ufunc: np.ufunc, rows: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Reduce rows from ``start`` to before ``stop`` of each part.

    Args:
        ufunc: such as ``np.add``.
        rows: ``(rows, ...)``.
        start: ``(parts,)``, in order.
        stop: ``(parts,)``, above ``start`` and not beyond the next one.

    Returns:
        ``(parts, ...)``.

    Example:
        >>> reduce_parts(np.add, np.arange(6.0), np.array([0, 3]), np.array([2, 6]))
        array([ 1., 12.])
    """
    # Every second one is what lies between two parts; a cut after the last row is none.
    cuts = np.stack([start, stop], axis=1).ravel()
    return ufunc.reduceat(rows, cuts[cuts < len(rows)], axis=0)[::2]
