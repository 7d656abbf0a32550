"""Scales of what remains of windows when their reference is taken off."""

from dataclasses import replace

import numpy as np

from kseq.preprocessing._cut import Windows
from kseq.preprocessing.scalers import Scaler

#: Numbers that scales are fitted on at most, of windows evenly drawn; and numbers held at once.
FITTED, AT_ONCE = 2**24, 2**21


def fit_scales(kind: str, windows: Windows, inputs: Scaler, targets: Scaler) -> tuple[Scaler, Scaler, Scaler]:
    """Fit scales of what remains when the reference is taken off, on windows of each series.

    Args:
        kind: ``"standard"`` for the root of the mean square, ``"minmax"`` for the range.
        windows: Training windows of values in the scales that are given, with their reference.
        inputs: Scale of the inputs.
        targets: Scale of the targets.

    Returns:
        Scale of the inputs, in which values come before their reference is taken off; the same for the targets; and the
        scale by which forecasts are multiplied, of centre zero.
    """
    reference = windows.reference
    assert reference is not None
    series = len(inputs.center)
    numbers = windows.lookback * windows.inputs.shape[1] + windows.horizon * windows.targets.shape[1]
    every = -(-len(windows) * numbers // FITTED) or 1
    which = np.arange(0, len(windows), every)
    # Each series has its first window among them.
    which = np.union1d(which, np.unique(windows.series, return_index=True)[1]) if every > 1 else which
    plain = replace(windows, reference=replace(reference, spread=False))
    parts = np.array_split(which, max(1, len(which) * numbers // AT_ONCE))
    read, places = np.ones_like(inputs.scale), list(windows.columns)
    if reference.of_inputs(np.zeros((1, 1))) is not None:
        past = _Spread(kind, series, len(places))
        for part in parts:
            past.add(plain.series_of(part), plain.gather(part)[0][..., places])
        read[:, places] = past.scale
    ahead = _Spread(kind, series, windows.targets.shape[1])
    for part in parts:
        x, y = plain.gather(part)
        owners = windows.series_of(part)
        if reference.spread:
            y = y / reference.width(x[..., places] / read[owners][:, None, places])
        ahead.add(owners, y)
    scale = targets.scale * ahead.scale
    return (
        Scaler(inputs.center, inputs.scale * read),
        Scaler(targets.center, scale),
        Scaler(np.zeros_like(scale), scale),
    )


class _Spread:
    """How far values lie from zero in each series, seen some windows at a time."""

    def __init__(self, kind: str, series: int, columns: int):
        self.kind = kind
        self.low, self.high, self.square = (np.zeros((series, columns)) for _ in range(3))
        self.count = np.zeros(series)

    def add(self, owners: np.ndarray, values: np.ndarray) -> None:
        """Take windows of values, ``(windows, rows, columns)``, in the order of their series."""
        firsts = np.flatnonzero(np.diff(owners, prepend=-1))
        here = owners[firsts]
        values = values.astype("float64")
        self.square[here] += np.add.reduceat(np.square(values).sum(axis=1), firsts, axis=0)
        self.count[here] += np.diff(firsts, append=len(owners)) * values.shape[1]
        self.low[here] = np.minimum(self.low[here], np.minimum.reduceat(values.min(axis=1), firsts, axis=0))
        self.high[here] = np.maximum(self.high[here], np.maximum.reduceat(values.max(axis=1), firsts, axis=0))

    @property
    def scale(self) -> np.ndarray:
        """Of each series, ``(series, columns)``; 1 where nothing varies."""
        found = np.sqrt(self.square / np.maximum(self.count, 1)[:, None])
        found = self.high - self.low if self.kind == "minmax" else found
        # What rounding makes of nothing is no variation.
        return np.where(found > 1e-6, found, 1.0)
