"""Forecasts that cost next to nothing: what a network must beat to be worth its training.

Each series is forecast from its own training rows, all series of a group at once. Test forecasts come from a fit on
what stands before the test part, those of the validation part from a fit on what stands before that, so that their
errors are those of rows not seen. A baseline reads values up to an origin, the last known row, the origin included, and
none after it. Missing dates and values are read as :mod:`kseq.preprocessing.grid` fills them. Several targets are
forecast each on its own.

A series whose training rows do not allow a baseline, such as fewer than two seasons, is forecast by persistence in its
place, and it is said how many are; where no series allows it, it is skipped. Exponential smoothing and Theta are fitted
series by series, and so to few series, or to as many as whoever names them has time for. DLinear reads windows.

A baseline here is a function that fits on the places before ``known`` of each series and returns another one, which
forecasts from origins: places of the last known values, ``(windows,)``, to ``(windows, horizon, targets)``.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kseq.baselines._linear import MOST_INPUTS, dlinear
from kseq.baselines._theta import Theta
from kseq.evaluation.model_result import ModelResult
from kseq.preprocessing._runs import reduce_runs
from kseq.preprocessing.grid import Grid, grids, season_of_panel
from kseq.preprocessing.seasonality import climatology
from kseq.preprocessing.windows import WindowedPanel
from kseq.validation import require_choice

#: Share of the training part, cut from its end, on which an order is chosen where there is no validation part.
CHOICE_SHARE = 0.15

#: Exponential smoothing keeps a season of states a row: beyond this many numbers it is left out.
ETS_STATES = 20_000_000

#: Exponential smoothing takes 0.1 to 0.2 s a series of 100 to 2,000 rows, and is left out of larger panels unless it is
#: named.
MOST_SERIES_ETS = 20

#: Theta takes a thousandth of a second a series of some hundred rows.
MOST_SERIES_THETA = 1_000

#: Directions of past values that vary less than this share of the most varying one tell rounding, not dynamics.
RANK = 1e-12

Forecast = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Skipped:
    """A baseline that a panel does not allow.

    Args:
        name: by which a user asks for it, one of :data:`BASELINES`.
        reason: why it is left out, as the end of a sentence.
    """

    name: str
    reason: str


class _CannotFit(Exception):
    """Exponential smoothing cannot be fitted to a series, or gives no numbers; the text says why."""


@dataclass(frozen=True, eq=False)
class _Group:
    """A group of series as baselines read it.

    Args:
        grid: its places.
        season: steps in a season.
        lookback: rows that the networks read.
        horizon: rows to forecast.
        fitted: series that allow the baseline, ``(series,)``.
        told: called after each series of a baseline that is fitted series by series.
    """

    grid: Grid
    season: int
    lookback: int
    horizon: int
    fitted: np.ndarray
    told: Callable[[], None] = lambda: None

    @cached_property
    def y(self) -> np.ndarray:
        """Targets, filled, ``(places, targets)``."""
        return self.grid.filled(self.season)

    @cached_property
    def phase(self) -> np.ndarray:
        """Phase of each place."""
        return self.grid.phase(self.season)

    @property
    def begin(self) -> np.ndarray:
        """First place of each series."""
        return self.grid.borders[:-1]

    def ahead(self, origins: np.ndarray) -> np.ndarray:
        """Places after each origin, ``(windows, horizon)``."""
        return origins[:, None] + np.arange(1, self.horizon + 1)

    def before(self, known: np.ndarray) -> np.ndarray:
        """Whether each place stands before that which is known of its series."""
        return np.arange(len(self.grid.owners)) < known[self.grid.owners]


def baseline_row(
    name: str,
    data: WindowedPanel,
    season: int = 0,
    *,
    named: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> ModelResult | Skipped:
    """Fit a baseline to each series and forecast the test and validation windows of all.

    Args:
        name: one of :data:`BASELINES`.
        data: the windowed panel.
        season: steps in a season; 0 to find it from the dates.
        named: whether somebody has named this baseline. Exponential smoothing is fitted one series after the other, and
            where nobody has, to :data:`MOST_SERIES_ETS` at most.
        progress: called with what is fitted, how many series are done and how many there are, after each series of
            exponential smoothing.

    Returns:
        The row, whose remark tells of series that do not allow this baseline; or why there is none.

    Raises:
        ConfigError: an unknown name.
    """
    require_choice("baseline", name, BASELINES)
    if name == "dlinear":
        return _dlinear(data)
    split, members = data.split, data.members
    lengths = np.stack([split.validation - split.start, split.stop - split.start], axis=1)[members]
    season = season or season_of_panel(data.series, split, members)
    reasons = _reasons(name, lengths, season, data.lookback)
    if name == "ets" and len(members) > MOST_SERIES_ETS and not named:
        return Skipped(
            name,
            f"exponential smoothing is fitted one series after the other, and to more than {MOST_SERIES_ETS} only "
            "where baselines names ets",
        )
    if name == "theta" and len(members) > MOST_SERIES_THETA and not named:
        return Skipped(
            name,
            f"Theta is fitted one series after the other, and to more than {MOST_SERIES_THETA:,} only where baselines "
            "names theta",
        )
    bad = [number for number, reason in enumerate(reasons) if reason]
    if len(bad) == len(members):
        return Skipped(name, str(reasons[0]))
    allowed = np.ones(len(data.series.ids), bool)
    allowed[members[bad]] = False

    test, seen = (np.empty((len(part), data.horizon, data.targets)) for part in (data.test, data.validation))
    labels: list[str] = []
    told = _Told(progress, f"{'ETS' if name == 'ets' else 'Theta'}, series by series", int(allowed[members].sum()))
    for grid in grids(data.series, split, members):
        group = _Group(grid, season, data.lookback, data.horizon, allowed[grid.members], told)
        try:
            label, whole, before = BASELINES[name](group, grid.place_of(split.stop), grid.place_of(split.validation))
            labels.append(label)
            for forecast, part, forecasts in ((whole, data.test, test), (before, data.validation, seen)):
                first, last = np.searchsorted(part.series, [grid.members[0], grid.members[-1] + 1])
                # The last rows that the windows of this group know.
                origins = grid.places_of(part.starts(np.arange(first, last)) - 1)
                made = _persistence(group)(origins)
                mine = group.fitted[grid.owners[origins]]
                if mine.any():
                    made[mine] = forecast(origins[mine])
                forecasts[first:last] = made
        except _CannotFit as error:
            return Skipped(name, str(error))
    return ModelResult(
        _common_label(labels),
        test[None],
        kind="baseline",
        validation=seen[None] if len(data.validation) else None,
        remark=_remark(_common_label(labels), data, members, bad, reasons),
    )


def _common_label(labels: list[str]) -> str:
    """The label of all groups of series; without what differs among them."""
    return labels[0] if len(set(labels)) == 1 else labels[0].partition("(")[0].strip()


def _remark(
    label: str, data: WindowedPanel, members: np.ndarray, bad: list[int], reasons: list[str | None]
) -> str | None:
    """Say how many series persistence is given for; None for none."""
    if not bad:
        return None
    return (
        f"{label}: persistence in its place for {len(bad)} of {len(members)} series (first: "
        f"'{data.series.ids[members[bad[0]]]}', {reasons[bad[0]]})."
    )


class _Told:
    """Counts series that are done, and says so to whoever watches."""

    def __init__(self, progress: Callable[[str, int, int], None] | None, what: str, series: int):
        self.progress, self.what, self.series, self.done = progress, what, series, 0

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.what, self.done, self.series)


def _reasons(name: str, lengths: np.ndarray, season: int, lookback: int) -> list[str | None]:
    """Say for each series why its rows do not allow a baseline; ``lengths`` before the validation and the test part."""
    found: dict[tuple[int, int], str | None] = {}
    for before, whole in np.unique(lengths, axis=0).tolist():
        # Rows that are learnt from, and those at their end on which an order may be chosen.
        parts = ((before, 0), (whole, whole - before))
        given = (_reason(name, rows, held, season, lookback) for rows, held in parts)
        found[before, whole] = next((reason for reason in given if reason), None)
    return [found[before, whole] for before, whole in lengths.tolist()]


def _reason(name: str, rows: int, held: int, season: int, lookback: int) -> str | None:
    """Say why a baseline cannot be fitted on so many rows; None where it can."""
    if name in ("seasonal-naive", "climatology"):
        return _season_reason(rows, season)
    if name == "ar":
        return _order_reason(rows, lookback)
    if name == "climatology-ar":
        rows -= held or max(1, round(CHOICE_SHARE * rows))
        return _season_reason(rows, season) or _order_reason(rows, 1)
    if name == "theta" and rows < 4:
        return f"{rows} training rows, expected at least 4 for Theta"
    if name == "ets" and rows < 10:
        return f"{rows} training rows, expected at least 10 for exponential smoothing"
    if name == "ets" and rows * _smoothed_season(rows, season) > ETS_STATES:
        return f"a season of {season} over {rows} rows is too long for ETS"
    return None


def _season_reason(rows: int, season: int) -> str | None:
    """Two whole seasons are learnt from."""
    if season < 2:
        return "its dates show no season"
    return f"{rows} training rows hold fewer than two seasons of {season}" if rows < 2 * season else None


def _order_reason(rows: int, order: int) -> str | None:
    """There are as many equations as coefficients."""
    least = 2 * order + 1
    return f"{rows} training rows, expected at least {least} for AR({order})" if rows < least else None


def _persistence(group: _Group) -> Forecast:
    return lambda origins: np.repeat(group.y[origins][:, None], group.horizon, axis=1)


def _repeat_last(group: _Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    forecast = _persistence(group)
    return "Persistence", forecast, forecast


def _repeat_season(group: _Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    steps = np.arange(group.horizon) % group.season + 1 - group.season

    def forecast(origins: np.ndarray) -> np.ndarray:
        return group.y[origins[:, None] + steps]

    return f"Seasonal naive ({group.season})", forecast, forecast


class _Climate:
    """The mean of each phase of each series over the places before ``known``, as the ``anomaly`` of a transform."""

    def __init__(self, group: _Group, known: np.ndarray):
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


def _climatology(group: _Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    def fit(known: np.ndarray) -> Forecast:
        climate = _Climate(group, known)
        return lambda origins: climate.at(group.ahead(origins)) + climate.anomalies[origins][:, None]

    return "Climatology + last anomaly", fit(whole), fit(before)


def _autoregression(group: _Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    orders = np.full(len(whole), group.lookback)
    return f"AR({group.lookback})", _fit_ar(group, group.y, whole, orders), _fit_ar(group, group.y, before, orders)


def _climatology_ar(group: _Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    orders = _choose_orders(group, whole, before)

    def fit(known: np.ndarray) -> Forecast:
        climate = _Climate(group, known)
        forecast = _fit_ar(group, climate.anomalies, known, orders)
        return lambda origins: climate.at(group.ahead(origins)) + forecast(origins)

    chosen = set(orders[group.fitted].tolist())
    # The order is that of one series; several have one each.
    label = f"Climatology + AR({chosen.pop()})" if len(orders) == 1 else "Climatology + AR"
    return label, fit(whole), fit(before)


def _choose_orders(group: _Group, whole: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The order of each series with the smallest error, one step ahead, on what its choice is kept from."""
    length = whole - group.begin
    # Without a validation part the end of what is known is kept back.
    held = np.where(whole > before, whole - before, np.maximum(1, np.rint(CHOICE_SHARE * length).astype(int)))
    first = whole - held
    climate = _Climate(group, first)
    places = np.arange(len(group.y))
    judged = places[group.before(whole) & ~group.before(first)]
    owners = group.grid.owners[judged]
    one_step = _Group(group.grid, group.season, group.lookback, 1, group.fitted)
    best = np.full(len(whole), np.inf)
    orders = np.ones(len(whole), int)
    for order in sorted({1, 2, 3, group.lookback}):
        fits = group.fitted & (first - group.begin >= 2 * order + 1)
        if not fits.any():
            continue
        forecast = _fit_ar(one_step, climate.anomalies, np.where(fits, first, 0), np.full(len(whole), order))
        mine = fits[owners]
        missed = climate.anomalies[judged[mine]] - forecast(judged[mine] - 1)[:, 0]
        error = np.bincount(owners[mine], np.abs(missed).mean(axis=1), len(whole)) / held
        better = fits & (error < best)
        best[better], orders[better] = error[better], order
    return orders


def _fit_ar(group: _Group, y: np.ndarray, known: np.ndarray, orders: np.ndarray) -> Forecast:
    """Fit an autoregression with intercept to each series by least squares; further steps by feeding forecasts back.

    Args:
        group: group of series to fit.
        y: what is forecast, ``(places, targets)``.
        known: place after the last one to learn from, ``(series,)``; series of which too few are known are left out.
        orders: order of each series, ``(series,)``.
    """
    longest = int(orders.max())
    series, targets = len(known), y.shape[1]
    coefficients, intercept = np.zeros((series, longest, targets)), np.zeros((series, targets))
    for order in np.unique(orders).tolist():
        chosen = np.flatnonzero((orders == order) & group.fitted & (known - group.begin >= 2 * order + 1))
        if len(chosen):
            begin, end = group.begin[chosen], known[chosen]
            for target in range(targets):
                found, constant = _least_squares(y[:, target], begin, end, order)
                coefficients[chosen, :order, target], intercept[chosen, target] = found, constant

    def forecast(origins: np.ndarray) -> np.ndarray:
        owners = group.grid.owners[origins]
        # Of a series with a lower order the first of these may be another's, and count zero times.
        past = y[np.maximum(origins[:, None] - np.arange(longest), 0)]
        steps = []
        for _ in range(group.horizon):
            step = intercept[owners] + np.sum(coefficients[owners] * past, axis=1)
            steps.append(step)
            past = np.concatenate([step[:, None], past[:, :-1]], axis=1)
        return np.stack(steps, axis=1)

    return forecast


def _least_squares(y: np.ndarray, begin: np.ndarray, end: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the last value, the one before it and so on, ``(series, order)``, and intercepts ``(series,)``.

    The equations of all series are solved from sums of products of values some steps apart. Such a sum over values one
    step earlier differs from that over the later ones by its two ends, so that ``order + 1`` sums make them all.
    """
    lengths = end - begin
    mean = reduce_runs(np.add, y, begin, end) / lengths
    # Sums of squares lose digits to a mean far from zero.
    z = np.zeros_like(y)
    for_rows = np.repeat(mean, lengths)
    rows = np.repeat(begin - np.append(0, np.cumsum(lengths)[:-1]), lengths) + np.arange(lengths.sum())
    z[rows] = y[rows] - for_rows
    first, count = begin + order, lengths - order
    products = np.empty((order + 1, order + 1, len(begin)))
    sums = np.empty((order + 1, len(begin)))
    sums[0] = reduce_runs(np.add, z, first, end)
    for lag in range(order + 1):
        product = z.copy()
        product[lag:] *= z[: len(z) - lag]
        products[0, lag] = products[lag, 0] = reduce_runs(np.add, product, first, end)
    for i in range(order):
        sums[i + 1] = sums[i] + z[first - 1 - i] - z[end - 1 - i]
        for j in range(i, order):
            products[i + 1, j + 1] = products[j + 1, i + 1] = (
                products[i, j] + z[first - 1 - i] * z[first - 1 - j] - z[end - 1 - i] * z[end - 1 - j]
            )
    covariance = np.moveaxis(products - sums[:, None] * sums / count, -1, 0)
    inverse = np.linalg.pinv(covariance[:, 1:, 1:], rcond=RANK, hermitian=True)
    coefficients = np.einsum("sij,sj->si", inverse, covariance[:, 1:, 0])
    intercept = (sums[0] - np.sum(coefficients.T * sums[1:], axis=0)) / count
    return coefficients, intercept + mean * (1 - coefficients.sum(axis=1))


def _theta(group: _Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    def fit(known: np.ndarray) -> Forecast:
        models: dict[int, list[Theta]] = {}
        for number in np.flatnonzero(group.fitted).tolist():
            rows = group.y[group.begin[number] : known[number]]
            models[number] = [Theta.fit(column, group.season) for column in rows.T]

        def forecast(origins: np.ndarray) -> np.ndarray:
            owners = group.grid.owners[origins]
            made = np.empty((len(origins), group.horizon, group.y.shape[1]))
            for number in np.unique(owners).tolist():
                begin, end = group.grid.borders[number : number + 2]
                mine = owners == number
                for target, model in enumerate(models[number]):
                    y = group.y[begin:end, target]
                    made[mine, :, target] = model.forecast(y, origins[mine] - begin, group.horizon)
            return made

        return forecast

    return "Theta", fit(whole), fit(before)


def _dlinear(data: WindowedPanel) -> ModelResult | Skipped:
    """A row of :mod:`kseq.baselines._linear`, which reads the windows of the networks."""
    inputs = data.lookback * data.features
    if inputs > MOST_INPUTS:
        return Skipped("dlinear", f"{inputs:,} numbers a window, expected at most {MOST_INPUTS:,} for least squares")
    test, seen = dlinear(data)
    return ModelResult("DLinear", test[None], kind="baseline", validation=seen[None] if len(seen) else None)


def _ets(group: _Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    labels = set()
    models: list[tuple[_Ets, _Ets] | None] = []
    for number, begin in enumerate(group.begin):
        if not group.fitted[number]:
            models.append(None)
            continue
        fitted, earlier = (_Ets(group.y[begin:known], group.season) for known in (whole[number], before[number]))
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


class _Ets:
    """Exponential smoothing of one series by statsmodels, with parameters of its training rows.

    Additive errors; of no trend and a damped one, and of an additive season and, for positive values, a multiplicative
    one, the pair with the smallest AIC. Fewer than two seasons of rows are smoothed without one.

    Args:
        y: training rows, ``(rows, targets)``.
        season: steps in a season.

    Raises:
        _CannotFit: it cannot be fitted to these rows.
    """

    def __init__(self, y: np.ndarray, season: int):
        self.season = _smoothed_season(len(y), season)
        self.fitted = [self._fit_column(column) for column in y.T]
        forms = {fitted.model.short_name for fitted in self.fitted}
        self.label = f"ETS({_form(forms.pop())})" if len(forms) == 1 else "ETS"

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
            raise _CannotFit(f"exponential smoothing cannot be fitted to {len(y)} training rows: {error}") from error

    def predict(self, y: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
        """Smooth up to each origin with fixed parameters and extend level, trend and season from there."""
        columns = [
            self._predict_column(fitted, column, origins, horizon)
            for fitted, column in zip(self.fitted, y.T, strict=True)
        ]
        forecast = np.stack(columns, axis=-1)
        if not np.isfinite(forecast).all():
            raise _CannotFit(f"forecasts by {self.label} are not finite")
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


def _smoothed_season(rows: int, season: int) -> int:
    """Steps in the season that so many rows are smoothed with; 1 for none."""
    # The start values come from a moving average of one season, which needs ten rows of its own.
    return season if season > 1 and rows >= max(2 * season, 10 + season) else 1


def _form(short_name: str) -> str:
    """``"A,Ad,M"`` for statsmodels' ``"AAdM"``."""
    return ",".join(short_name.replace("Ad", "D")).replace("D", "Ad")


#: Baselines by the name that a user asks for, in the order of the table; DLinear is not fitted to a group of series.
BASELINES: dict[str, Callable[..., Any]] = {
    "persistence": _repeat_last,
    "seasonal-naive": _repeat_season,
    "climatology": _climatology,
    "ar": _autoregression,
    "climatology-ar": _climatology_ar,
    "ets": _ets,
    "theta": _theta,
    "dlinear": _dlinear,
}
