"""What the values of a window are measured from: a reference that the window's own inputs give.

A reference is taken off inputs and targets as a window is cut, and put back on its forecasts. It follows a level that
wanders, which scales and means fitted to the training rows cannot:

==========  ====================================  =====================================================================
name        models read                           models forecast, at each step of the horizon
==========  ====================================  =====================================================================
``change``  the values as they are                the distance from the window's last value
``last``    the distance from its last value      the same
``mean``    the distance from its mean            the same
``season``  the distance from its last value      the distance from the value one season earlier, or as many seasons
                                                  as it takes to reach a known one
==========  ====================================  =====================================================================

With ``spread`` after any of them, both are divided by the standard deviation of the window's inputs as well (reversible
instance normalisation, Kim et al. 2022). Forecasts are distances from known values, each step by itself: no error of an
early step is carried into a later one.

Scales of what remains are fitted on the training windows of each series; they have no centre, so that a forecast of
zero is the reference itself.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kseq.preprocessing.scalers import Scaler

if TYPE_CHECKING:
    from kseq.preprocessing.windows import Windows

#: References by name, and the name of what divides by the window's spread.
REFERENCES = ("change", "last", "mean", "season")
SPREAD = "spread"

#: A window's spread counts as at least this share of the usual one in its series: a constant window has none.
LEAST_SPREAD = 0.1

#: Numbers that scales are fitted on at most, of windows evenly drawn; and numbers held at once.
FITTED, AT_ONCE = 2**24, 2**21


@dataclass(frozen=True)
class Reference:
    """What a window's values are measured from.

    Args:
        kind: one of :data:`REFERENCES`; or ``"increments"``, by which models of earlier versions forecast the distance
            from the step before, added up over the horizon.
        season: steps in a season, for ``season``.
        spread: whether what remains is divided by the spread of the window's inputs.
    """

    kind: str
    season: int = 1
    spread: bool = False

    @property
    def name(self) -> str:
        """The steps of a transform that ask for it."""
        return ("change" if self.kind == "increments" else self.kind) + f",{SPREAD}" * self.spread

    def reach(self, lookback: int) -> int:
        """Rows before a window's first target that it takes."""
        return max(lookback, self.season if self.kind == "season" else 1)

    def of_inputs(self, past: np.ndarray) -> np.ndarray | None:
        """What is taken off inputs ``past``, ``(..., lookback, targets)``; None for nothing."""
        if self.kind in ("none", "change", "increments"):
            return None
        return past.mean(axis=-2, keepdims=True) if self.kind == "mean" else past[..., -1:, :]

    def of_targets(self, past: np.ndarray, lookback: int, steps: int) -> np.ndarray:
        """What is taken off the targets that follow.

        Args:
            past: the :meth:`reach` rows before them or more, ``(..., rows, targets)``.
            lookback: rows that a model reads.
            steps: rows that it forecasts.

        Returns:
            ``(..., steps, targets)``, or ``(..., 1, targets)`` where it is the same for all.

        Example:
            >>> past = np.array([1.0, 2.0, 3.0])[:, None]
            >>> Reference("season", season=2).of_targets(past, lookback=2, steps=3)[:, 0]
            array([2., 3., 2.])
        """
        if self.kind == "season":
            return past[..., past.shape[-2] - self.season + np.arange(steps) % self.season, :]
        return past[..., -lookback:, :].mean(axis=-2, keepdims=True) if self.kind == "mean" else past[..., -1:, :]

    def width(self, inputs: np.ndarray) -> np.ndarray:
        """By what a window is divided.

        Args:
            inputs: the targets' past, less its reference, in scale, ``(..., lookback, targets)``.

        Returns:
            ``(..., 1, targets)``.
        """
        return np.maximum(inputs.std(axis=-2, keepdims=True), LEAST_SPREAD)

    def put_back(
        self, forecasts: np.ndarray, past: np.ndarray, lookback: int, scale: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Make values of forecasts.

        Args:
            forecasts: what models forecast, without its scale, ``(..., horizon, targets)``.
            past: the :meth:`reach` rows before, ``(..., rows, targets)``.
            lookback: rows that the model reads.
            scale: scale of the model's inputs, which broadcasts against ``past``; for ``spread``.
        """
        if self.spread:
            inputs = past[..., -lookback:, :]
            level = self.of_inputs(inputs)
            forecasts = forecasts * self.width((inputs if level is None else inputs - level) / scale)
        if self.kind == "increments":
            return past[..., -1:, :] + np.cumsum(forecasts, axis=-2)
        return self.of_targets(past, lookback, forecasts.shape[-2]) + forecasts


def fit_scales(kind: str, windows: "Windows", inputs: Scaler, targets: Scaler) -> tuple[Scaler, Scaler, Scaler]:
    """Fit scales of what remains when the reference is taken off, on windows of each series.

    Args:
        kind: ``"standard"`` for the root of the mean square, ``"minmax"`` for the range.
        windows: training windows of values in the scales that are given, with their reference.
        inputs: scale of the inputs.
        targets: scale of the targets.

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
