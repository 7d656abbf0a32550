"""Exponential smoothing by statsmodels, one series after the other."""

import warnings
from typing import Any

import numpy as np

from kseq.baselines._group import CannotFit, Forecast, Group


def ets(group: Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    labels = set()
    models: list[tuple[Ets, Ets] | None] = []
    for number, begin in enumerate(group.begin):
        if not group.fitted[number]:
            models.append(None)
            continue
        fitted, earlier = (Ets(group.y[begin:known], group.season) for known in (whole[number], before[number]))
        labels.add(fitted.label)
        models.append((fitted, earlier))
        group.told()

    def forecasting(which: int) -> Forecast:
        def forecast(origins: np.ndarray) -> np.ndarray:
            owners, made = group.grid.owners[origins], []
            for number in np.unique(owners):
                begin, end = group.grid.borders[number : number + 2]
                model = models[number]
                assert model is not None
                made.append(model[which].predict(group.y[begin:end], origins[owners == number] - begin, group.horizon))
            return np.concatenate(made)

        return forecast

    return labels.pop() if len(labels) == 1 else "ETS", forecasting(0), forecasting(1)


class Ets:
    """Exponential smoothing of one series by statsmodels, with parameters of its training rows.

    Additive errors; of no trend and a damped one, and of an additive season and, for positive values, a multiplicative
    one, the pair with the smallest AIC. Fewer than two seasons of rows are smoothed without one. A multiplicative
    season ends with the first later value that is not positive: from there on the best pair with an additive one
    forecasts.

    Args:
        y: Training rows, ``(rows, targets)``.
        season: Steps in a season.

    Raises:
        CannotFit: It cannot be fitted to these rows.
    """

    def __init__(self, y: np.ndarray, season: int):
        self.season = smoothed_season(len(y), season)
        # Of each column the best model for positive values, and the best one for any.
        self.fitted = [self._fit_column(column) for column in y.T]
        forms = {fitted.model.short_name for fitted, _ in self.fitted}
        self.label = f"ETS({_form(forms.pop())})" if len(forms) == 1 else "ETS"

    def _fit_column(self, y: np.ndarray) -> tuple[Any, Any]:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        def best(seasonal: str | None) -> Any:
            fits = (
                ETSModel(
                    y,
                    trend="add" if damped else None,
                    damped_trend=damped,
                    seasonal=seasonal,
                    seasonal_periods=self.season if seasonal else None,
                    initialization_method="heuristic",
                ).fit(disp=False)
                for damped in (False, True)
            )
            return min(fits, key=aic)

        def aic(fitted: Any) -> float:
            return fitted.aic if np.isfinite(fitted.aic) else np.inf

        try:
            # Trial parameters may overflow and the search may stop early: what counts is what is forecast.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for_any = best(None if self.season == 1 else "add")
                for_positive = best("mul") if self.season > 1 and y.min() > 0 else for_any
                return min(for_any, for_positive, key=aic), for_any
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            raise CannotFit(f"exponential smoothing cannot be fitted to {len(y)} training rows: {error}") from error

    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
        """Smooth up to each origin with fixed parameters and extend level, trend and season from there."""
        columns = [
            self._predict_column(fitted, column, origins, horizon)
            for fitted, column in zip(self.fitted, y.T, strict=True)
        ]
        forecast = np.stack(columns, axis=-1)
        if not np.isfinite(forecast).all():
            raise CannotFit(f"forecasts by {self.label} are not finite")
        return forecast

    def _predict_column(self, fitted: tuple[Any, Any], y: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
        """Forecast a column by its best model or, after a value that this one does not allow, by the other."""
        best, for_any = fitted
        forecast = np.empty((len(origins), horizon))
        beyond = np.maximum.accumulate(y <= 0)[origins] & (best.model.seasonal == "mul")
        for model, mine in ((best, ~beyond), (for_any, beyond)):
            if mine.any():
                forecast[mine] = self._extend(model, y, origins[mine], horizon)
        return forecast

    def _extend(self, fitted: Any, y: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        model = fitted.model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The start values stay those of the training part.
            states = ETSModel(
                y[: origins.max() + 1],
                trend=model.trend,
                damped_trend=model.damped_trend,
                seasonal=model.seasonal,
                seasonal_periods=model.seasonal_periods if model.has_seasonal else None,
                initialization_method="known",
                initial_level=model.initial_level,
                initial_trend=model.initial_trend,
                initial_seasonal=model.initial_seasonal,
            ).smooth(fitted.params)
        steps = np.arange(1, horizon + 1)
        forecast = np.repeat(states.level[origins][:, None], horizon, axis=1)
        if model.has_trend:
            forecast = forecast + states.slope[origins][:, None] * np.cumsum(fitted.damping_trend**steps)
        if model.has_seasonal:
            season = states.season[origins[:, None] + (steps - 1) % self.season + 1 - self.season]
            forecast = forecast + season if model.seasonal == "add" else forecast * season
        return forecast


def smoothed_season(rows: int, season: int) -> int:
    """Steps in the season that so many rows are smoothed with; 1 for none."""
    # The start values come from a moving average of one season, which needs ten rows of its own.
    return season if season > 1 and rows >= max(2 * season, 10 + season) else 1


def _form(short_name: str) -> str:
    """``"A,Ad,M"`` for statsmodels' ``"AAdM"``."""
    return ",".join(short_name.replace("Ad", "D")).replace("D", "Ad")
