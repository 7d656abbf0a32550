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
``ar``      the values as they are                the distance from the forecast of the series' own autoregression, see
                                                  :mod:`kseq.preprocessing.autoregression`
==========  ====================================  =====================================================================

With ``spread`` after any of them, both are divided by the standard deviation of the window's inputs as well (reversible
instance normalisation, Kim et al. 2022). Forecasts are distances from known values, each step by itself: no error of an
early step is carried into a later one.

Scales of what remains are fitted on the training windows of each series; they have no centre, so that a forecast of
zero is the reference itself.
"""

from dataclasses import dataclass

import numpy as np

#: References by name, and the name of what divides by the window's spread.
REFERENCES = ("change", "last", "mean", "season", "ar")
SPREAD = "spread"

#: References by which models read the values as they are.
AS_THEY_ARE = ("none", "change", "increments", "ar")

#: A window's spread counts as at least this share of the usual one in its series: a constant window has none.
LEAST_SPREAD = 0.1


@dataclass(frozen=True)
class Reference:
    """What a window's values are measured from.

    Args:
        kind: One of :data:`REFERENCES`; or ``"increments"``, by which models of earlier versions forecast the distance
            from the step before, added up over the horizon.
        season: Steps in a season, for ``season``.
        spread: Whether what remains is divided by the spread of the window's inputs.
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
        if self.kind in AS_THEY_ARE:
            return None
        return past.mean(axis=-2, keepdims=True) if self.kind == "mean" else past[..., -1:, :]

    def of_targets(self, past: np.ndarray, lookback: int, steps: int, series: np.ndarray) -> np.ndarray:
        """What is taken off the targets that follow.

        Args:
            past: The :meth:`reach` rows before them or more, ``(..., rows, targets)``.
            lookback: Rows that a model reads.
            steps: Rows that it forecasts.
            series: Series of each window, its place in the panel's ``ids``, which broadcasts against ``(...)``.

        Returns:
            ``(..., steps, targets)``, or ``(..., 1, targets)`` where it is the same for all.

        Example:
            >>> past = np.array([1.0, 2.0, 3.0])[:, None]
            >>> Reference("season", season=2).of_targets(past, lookback=2, steps=3, series=np.array(0))[:, 0]
            array([2., 3., 2.])
        """
        if self.kind == "season":
            return past[..., past.shape[-2] - self.season + np.arange(steps) % self.season, :]
        return past[..., -lookback:, :].mean(axis=-2, keepdims=True) if self.kind == "mean" else past[..., -1:, :]

    def width(self, inputs: np.ndarray) -> np.ndarray:
        """By what a window is divided.

        Args:
            inputs: The targets' past, less its reference, in scale, ``(..., lookback, targets)``.

        Returns:
            ``(..., 1, targets)``.
        """
        return np.maximum(inputs.std(axis=-2, keepdims=True), LEAST_SPREAD)

    def put_back(
        self,
        forecasts: np.ndarray,
        past: np.ndarray,
        lookback: int,
        series: np.ndarray,
        scale: np.ndarray | float = 1.0,
    ) -> np.ndarray:
        """Make values of forecasts.

        Args:
            forecasts: Forecasts of models, without their scale, ``(..., horizon, targets)``.
            past: The :meth:`reach` rows before, ``(..., rows, targets)``.
            lookback: Rows that the model reads.
            series: Series of each window as in :meth:`of_targets`.
            scale: Scale of the model's inputs, which broadcasts against ``past``; for ``spread``.
        """
        if self.spread:
            inputs = past[..., -lookback:, :]
            level = self.of_inputs(inputs)
            forecasts = forecasts * self.width((inputs if level is None else inputs - level) / scale)
        if self.kind == "increments":
            return past[..., -1:, :] + np.cumsum(forecasts, axis=-2)
        return self.of_targets(past, lookback, forecasts.shape[-2], series) + forecasts

    def to_json(self) -> dict[str, str | int | bool]:
        """What says which reference it is, without the numbers that it has learnt."""
        return {"kind": self.kind, "season": self.season, "spread": self.spread}

    def in_scale(self, center: np.ndarray, scale: np.ndarray) -> "Reference":
        """The same for values less a centre and divided by a scale, ``(series, targets)`` both."""
        return self

    def of_series(self, which: np.ndarray) -> "Reference":
        """The same for some series, by their places."""
        return self
