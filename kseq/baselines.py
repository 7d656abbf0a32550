"""Forecasts that cost next to nothing: what a network must beat to be worth its training.

A baseline is fitted on the training part alone and then forecasts ``horizon`` rows from every origin it is given. An
origin is the number of the last row that is known: values up to it, the origin included, are read; none after it.

    >>> y = np.arange(48.0) % 12
    >>> training = TrainingPart(y[:36], cycle_of(pd.RangeIndex(48), 12))
    >>> SeasonalNaive().fit(training).predict(y, origins=np.array([35, 36]), horizon=2)[..., 0]
    array([[0., 1.],
           [1., 2.]])

Several targets are forecast each on its own. Seasons are those of :mod:`kseq.seasons`.
"""

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from kseq.errors import ConfigError, DataError, Parameter
from kseq.evenly import Evenly, lay_evenly, places_of
from kseq.evaluation.metrics import mae
from kseq.seasons import Cycle, as_columns, cycle_of, season_of
from kseq.windows import WindowedSeries

#: Share of the training part, cut from its end, on which an order is chosen where there is no validation part.
CHOICE_SHARE = 0.15

#: Exponential smoothing keeps a season of states a row: beyond this many numbers it is left out.
ETS_STATES = 20_000_000


@dataclass(frozen=True)
class TrainingPart:
    """What a baseline may learn from.

    Args:
        y: targets, ``(rows,)`` or ``(rows, targets)``.
        cycle: the season; it may know more rows than ``y`` has.
        lookback: rows that the networks read: the order of ``ar``.
        validation: rows at the end of ``y`` on which an order may be chosen; 0 for the last 15 %.
    """

    y: np.ndarray
    cycle: Cycle
    lookback: int = 12
    validation: int = 0

    def __len__(self) -> int:
        return len(self.y)

    def before_choice(self) -> "TrainingPart":
        """The part without the rows on which an order is chosen."""
        rows = self.validation or max(1, round(CHOICE_SHARE * len(self)))
        return TrainingPart(self.y[: len(self) - rows], self.cycle, self.lookback)


class Baseline(ABC):
    """One way to forecast without a network; ``name`` is how a user asks for it."""

    name: ClassVar[str]
    #: The table's row, once fitted: "AR(12)".
    label: str

    def reason(self, training: TrainingPart) -> str | None:
        """Say why this baseline cannot be fitted on a training part; None where it can."""
        return None

    @abstractmethod
    def fit(self, training: TrainingPart) -> Self:
        """Learn from the training part."""

    @abstractmethod
    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int = 1) -> np.ndarray:
        """Forecast the ``horizon`` rows after each origin.

        Args:
            y: targets of the whole series, ``(rows,)`` or ``(rows, targets)``.
            origins: numbers of the last known rows, ``(windows,)``.
            horizon: rows to forecast.

        Returns:
            ``(windows, horizon, targets)``.
        """

    def refit(self, training: TrainingPart) -> Self:
        """Return one of the same kind, with the order that this one has chosen, fitted on another training part."""
        return copy.copy(self).fit(training)


class Persistence(Baseline):
    """The last value, repeated."""

    name = "persistence"
    label = "Persistence"

    def fit(self, training: TrainingPart) -> Self:
        """There is nothing to learn."""
        return self

    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int = 1) -> np.ndarray:
        """Repeat the value of each origin."""
        return np.repeat(as_columns(y)[origins][:, None], horizon, axis=1)


class Seasonal(Baseline):
    """What baselines with a season share: two whole seasons to learn from."""

    def reason(self, training: TrainingPart) -> str | None:
        """No season, or fewer than two."""
        season = training.cycle.season
        if season < 2:
            return "its dates show no season"
        if len(training) < 2 * season:
            return f"{len(training)} training rows hold fewer than two seasons of {season}"
        return None


class SeasonalNaive(Seasonal):
    """The value one season before; for steps beyond a season, the last known one of the same phase."""

    name = "seasonal-naive"

    def fit(self, training: TrainingPart) -> Self:
        """Learn the season."""
        self.season = training.cycle.season
        self.label = f"Seasonal naive ({self.season})"
        return self

    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int = 1) -> np.ndarray:
        """Repeat the season before each origin."""
        _require_history(origins, self.season)
        steps = np.arange(horizon) % self.season + 1
        return as_columns(y)[origins[:, None] + steps - self.season]


class Climatology(Seasonal):
    """The training part's mean of the phase, plus the last value's distance from the mean of its own phase."""

    name = "climatology"
    label = "Climatology + last anomaly"

    def fit(self, training: TrainingPart) -> Self:
        """Learn the mean of each phase; a phase that never occurs takes the mean of all rows."""
        self.cycle = training.cycle
        self.means = self.cycle.means_of(as_columns(training.y))
        return self

    def mean_at(self, rows: np.ndarray) -> np.ndarray:
        """The mean of each row's phase, ``(*rows.shape, targets)``."""
        return self.means[self.cycle.at(rows)]

    def anomalies(self, y: np.ndarray) -> np.ndarray:
        """Distance of each row from the mean of its phase, ``(rows, targets)``."""
        return as_columns(y) - self.mean_at(np.arange(len(y)))

    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int = 1) -> np.ndarray:
        """Carry the last anomaly forward."""
        anomaly = as_columns(y)[origins] - self.mean_at(origins)
        return self.mean_at(_ahead(origins, horizon)) + anomaly[:, None]


class AR(Baseline):
    """Autoregression with intercept, by least squares; further steps ahead by feeding forecasts back.

    Args:
        order: how many past values it reads; None for the lookback of the networks.
    """

    name = "ar"

    def __init__(self, order: int | None = None):
        self.order = order

    def reason(self, training: TrainingPart) -> str | None:
        """Fewer equations than coefficients."""
        order = self.order or training.lookback
        if len(training) < 2 * order + 1:
            return f"{len(training)} training rows, expected at least {2 * order + 1} for AR({order})"
        return None

    def fit(self, training: TrainingPart) -> Self:
        """Solve for intercept and coefficients, ``(1 + order, targets)``, that of the last value first."""
        self.order = self.order or training.lookback
        self.label = f"AR({self.order})"
        self.coefficients = np.stack(
            [_least_squares(column, self.order) for column in as_columns(training.y).T], axis=1
        )
        return self

    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int = 1) -> np.ndarray:
        """Iterate the equation from each origin."""
        order = len(self.coefficients) - 1
        _require_history(origins, order)
        # The last value first, as the coefficients are: (windows, order, targets).
        past = as_columns(y)[origins[:, None] - np.arange(order)]
        steps = []
        for _ in range(horizon):
            step = self.coefficients[0] + np.sum(self.coefficients[1:] * past, axis=1)
            steps.append(step)
            past = np.concatenate([step[:, None], past[:, :-1]], axis=1)
        return np.stack(steps, axis=1)


class ClimatologyAR(Seasonal):
    """The training part's mean of the phase, plus an autoregression of the anomalies.

    Its order is the one of 1, 2, 3 and the lookback with the smallest mean absolute error, one step ahead, on the
    validation rows when fitted on the rows before them. All of the training part is used once it is chosen.

    Args:
        order: of the autoregression; None to choose it.
    """

    name = "climatology-ar"

    def __init__(self, order: int | None = None):
        self.order = order

    def reason(self, training: TrainingPart) -> str | None:
        """No season, or too few rows to fit on."""
        part = training if self.order else training.before_choice()
        return super().reason(part) or AR(self.order or 1).reason(part)

    def fit(self, training: TrainingPart) -> Self:
        """Choose the order where none is given, then fit."""
        self.order = self.order or self._choose(training)
        self.label = f"Climatology + AR({self.order})"
        self.climatology = Climatology().fit(training)
        anomalies = self.climatology.anomalies(training.y)
        self.ar = AR(self.order).fit(TrainingPart(anomalies, training.cycle))
        return self

    def _choose(self, training: TrainingPart) -> int:
        before = training.before_choice()
        rows = np.arange(len(before), len(training))
        y = as_columns(training.y)
        orders = [order for order in sorted({1, 2, 3, training.lookback}) if AR(order).reason(before) is None]
        return min(orders, key=lambda order: mae(y[rows], ClimatologyAR(order).fit(before).predict(y, rows - 1)[:, 0]))

    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int = 1) -> np.ndarray:
        """Forecast the anomaly and set it on the mean of the phase."""
        anomalies = self.ar.predict(self.climatology.anomalies(y), origins, horizon)
        return self.climatology.mean_at(_ahead(origins, horizon)) + anomalies


class ETS(Baseline):
    """Exponential smoothing by statsmodels, with parameters of the training part.

    Additive errors; of no trend and a damped one, and of an additive season and, for positive values, a multiplicative
    one, the pair with the smallest AIC. A training part of fewer than two seasons is smoothed without one.
    """

    name = "ets"

    def reason(self, training: TrainingPart) -> str | None:
        """Too few rows to start from, or a season too long to keep."""
        if len(training) < 10:
            return f"{len(training)} training rows, expected at least 10 for exponential smoothing"
        if len(training) * self._season(training) > ETS_STATES:
            return f"a season of {training.cycle.season} over {len(training)} rows is too long for ETS"
        return None

    @staticmethod
    def _season(training: TrainingPart) -> int:
        season = training.cycle.season
        # The start values come from a moving average of one season, which needs ten rows of its own.
        return season if season > 1 and len(training) >= max(2 * season, 10 + season) else 1

    def fit(self, training: TrainingPart) -> Self:
        """Choose the form and its parameters for each target."""
        self.season = self._season(training)
        self.fitted = [self._fit_column(column) for column in as_columns(training.y).T]
        forms = {fitted.model.short_name for fitted in self.fitted}
        self.label = f"ETS({_form(forms.pop())})" if len(forms) == 1 else "ETS"
        return self

    def _fit_column(self, y: np.ndarray) -> Any:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        seasons = [None] if self.season == 1 else ["add", "mul"] if y.min() > 0 else ["add"]
        try:
            # Trial parameters may overflow and the search may stop early: what counts is what is forecast.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return min(
                    (
                        ETSModel(
                            y,
                            trend="add" if damped else None,
                            damped_trend=damped,
                            seasonal=seasonal,
                            seasonal_periods=self.season if seasonal else None,
                            initialization_method="heuristic",
                        ).fit(disp=False)
                        for damped in (False, True)
                        for seasonal in seasons
                    ),
                    key=lambda fitted: fitted.aic if np.isfinite(fitted.aic) else np.inf,
                )
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            raise DataError(
                f"received a training part of {len(y)} rows that exponential smoothing cannot be fitted to ({error}), "
                "expected one that it can; leave ets out of ",
                Parameter("baselines"),
                ".",
            ) from error

    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int = 1) -> np.ndarray:
        """Smooth up to each origin with fixed parameters and extend level, trend and season from there."""
        columns = [
            self._predict_column(fitted, column, np.asarray(origins), horizon)
            for fitted, column in zip(self.fitted, as_columns(y).T, strict=True)
        ]
        forecast = np.stack(columns, axis=-1)
        if not np.isfinite(forecast).all():
            raise DataError(
                f"received forecasts by {self.label} that are not finite, expected numbers; leave ets out of ",
                Parameter("baselines"),
                ".",
            )
        return forecast

    def _predict_column(self, fitted: Any, y: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
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


#: Baselines by the name that a user asks for, in the order of the table.
BASELINES: dict[str, type[Baseline]] = {
    kind.name: kind for kind in (Persistence, SeasonalNaive, Climatology, AR, ClimatologyAR, ETS)
}


def available(names: Iterable[str], training: TrainingPart) -> dict[str, str | None]:
    """Say which baselines a training part allows.

    Args:
        names: of :data:`BASELINES`.
        training: what they would be fitted on.

    Returns:
        For each name None, or the reason why that baseline is left out.

    Raises:
        ConfigError: an unknown name.

    Example:
        >>> yearly = TrainingPart(np.arange(30.0), cycle_of(pd.RangeIndex(30), 1))
        >>> available(["persistence", "climatology"], yearly)
        {'persistence': None, 'climatology': 'its dates show no season'}
    """
    names = list(names)
    for name in names:
        if name not in BASELINES:
            raise ConfigError(f"received baseline {name!r}, expected one of {', '.join(BASELINES)}.")
    return {name: BASELINES[name]().reason(training) for name in names}


def forecasts(
    data: WindowedSeries, names: Iterable[str], season: int = 0
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Forecast the test and validation windows of a series with each baseline.

    Missing dates and values are read as :mod:`kseq.evenly` fills them; the windows are those of the networks. Test
    forecasts come from a fit on all rows before the test part. Validation forecasts come from a fit on the rows before
    the validation part, so that their errors are those of rows not seen.

    Args:
        data: the windowed series.
        names: of :data:`BASELINES`.
        season: steps in a season; 0 to find it from the dates.

    Yields:
        The row's label, and forecasts of the test and the validation part, ``(window, step, target)``, the latter None
        where there is none. A baseline that the training rows do not allow is left out; :func:`available` says why.

    Raises:
        ConfigError: an unknown name, or a season of which the training part holds fewer than two.
    """
    split = data.split
    if season and 2 * season > split.validation:
        raise ConfigError(
            f"received season {season}, expected at most {split.validation // 2}: half of the {split.validation} rows "
            "before the validation part."
        )
    even, before = _laid_out(data, season)
    known = even.places[split.test]
    whole = TrainingPart(even.y[:known], before.cycle, data.lookback, known - len(before))
    test_origins, seen_origins = (even.places[part.target_rows[:, 0] - 1] for part in (data.test, data.validation))
    for name, reason in available(names, before).items():
        if reason is not None:
            continue
        fitted = BASELINES[name]().fit(whole)
        test = fitted.predict(even.y, test_origins, data.horizon)
        validation = None
        if len(data.validation):
            validation = fitted.refit(before).predict(even.y, seen_origins, data.horizon)
        yield fitted.label, test, validation


def reason_against(name: str, data: WindowedSeries, season: int = 0) -> str | None:
    """Say why the rows before the validation part do not allow a baseline; None where they do."""
    return available([name], _laid_out(data, season)[1])[name]


def _laid_out(data: WindowedSeries, season: int) -> tuple[Evenly, TrainingPart]:
    """The series on its grid, and the part of it before the validation part."""
    series = data.series
    season = season or season_known(data)
    cycle = cycle_of(series.index, season, places_of(series))
    even = lay_evenly(series, season, cycle.phase)
    cycle = Cycle(season, even.phase)
    return even, TrainingPart(even.y[: even.places[data.split.validation]], cycle, data.lookback)


def season_known(data: WindowedSeries) -> int:
    """Find the season as the rows before the validation part show it, see :func:`season_of`."""
    series, known = data.series, np.arange(data.split.validation)
    known = known[~np.isnan(series.y[known]).any(axis=1)]
    return season_of(series.index[known], series.y[known])


def _form(short_name: str) -> str:
    """``"A,Ad,M"`` for statsmodels' ``"AAdM"``."""
    return ",".join(short_name.replace("Ad", "D")).replace("D", "Ad")


def _least_squares(y: np.ndarray, order: int) -> np.ndarray:
    """Intercept, then the coefficients of the last value, the one before it and so on."""
    past = np.lib.stride_tricks.sliding_window_view(y[:-1], order)[:, ::-1]
    return np.linalg.lstsq(np.column_stack([np.ones(len(past)), past]), y[order:], rcond=None)[0]


def _ahead(origins: np.ndarray, horizon: int) -> np.ndarray:
    """Numbers of the rows after each origin, ``(windows, horizon)``."""
    return origins[:, None] + np.arange(1, horizon + 1)


def _require_history(origins: np.ndarray, rows: int) -> None:
    """Refuse an origin with too few rows up to it."""
    if len(origins) and min(origins) < rows - 1:
        raise ConfigError(
            f"received an origin with {min(origins) + 1} rows up to it, expected at least {rows}: this baseline reads "
            "as many."
        )
