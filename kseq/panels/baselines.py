"""Baselines of a panel: each series forecast from its own training rows, all series of a group at once.

They are those of :mod:`kseq.baselines`, with the same numbers but for rounding. A series whose training rows do not
allow one, such as fewer than two seasons, is forecast by persistence in its place, and it is said how many are.
Exponential smoothing is fitted series by series, and so to few series, or to as many as whoever names it has time for.

A baseline here is a function that fits on the places before ``known`` of each series and returns another one, which
forecasts from origins: places of the last known values, ``(windows,)``, to ``(windows, horizon, targets)``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kseq.baselines import CHOICE_SHARE, ETS, TrainingPart, available
from kseq.errors import ConfigError, DataError, Parameter
from kseq.panels.grid import PanelGrid, grids, season_of_panel
from kseq.panels.parts import reduce_parts
from kseq.panels.windows import WindowedPanel
from kseq.evaluation.model_result import ModelResult
from kseq.seasons import Cycle

#: Exponential smoothing takes 0.1 to 0.2 s a series of 100 to 2,000 rows, and is left out of larger panels unless it is
#: named.
MOST_SERIES_ETS = 20

#: Directions of past values that vary less than this share of the most varying one tell rounding, not dynamics.
RANK = 1e-12

Forecast = Callable[[np.ndarray], np.ndarray]


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

    grid: PanelGrid
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
) -> tuple[ModelResult, str | None]:
    """Fit a baseline to each series and forecast the test and validation windows of all.

    As in :func:`kseq.baselines.forecasts`, test forecasts come from a fit on what stands before the test part, those of
    the validation part from a fit on what stands before that.

    Args:
        name: of ``kseq.baselines.BASELINES``.
        data: the windowed panel.
        season: steps in a season; 0 to find it from the dates.
        named: whether somebody has named this baseline. Exponential smoothing is fitted one series after the other, and
            where nobody has, to :data:`MOST_SERIES_ETS` at most.
        progress: called with what is fitted, how many series are done and how many there are, after each series of
            exponential smoothing.

    Returns:
        The row; and a sentence on series that do not allow this baseline, None where all do.

    Raises:
        ConfigError: an unknown name, or a season of which no series holds two.
        DataError: no series allows this baseline, or there are too many for one that nobody has named; the message
            begins with the reason.
    """
    split, members = data.split, data.members
    lengths = np.stack([split.validation - split.start, split.stop - split.start], axis=1)[members]
    if season and 2 * season > lengths[:, 0].max():
        raise ConfigError(
            f"received season {season}, expected at most {lengths[:, 0].max() // 2}: half of the rows before the "
            "validation part of the longest series."
        )
    season = season or season_of_panel(data.series, split, members)
    reasons = _reasons(name, lengths, season, data.lookback)
    if name == ETS.name and len(members) > MOST_SERIES_ETS and not named:
        raise DataError(
            f"exponential smoothing is fitted one series after the other, and to more than {MOST_SERIES_ETS} only "
            "where ",
            Parameter("baselines"),
            " names ets; name it, or leave it out.",
        )
    bad = [number for number, reason in enumerate(reasons) if reason]
    if len(bad) == len(members):
        raise DataError(f"{reasons[0]}; leave {name} out of ", Parameter("baselines"), ".")
    allowed = np.ones(len(data.series.ids), bool)
    allowed[members[bad]] = False

    test, seen = (np.empty((len(part), data.horizon, data.targets)) for part in (data.test, data.validation))
    labels: list[str] = []
    told = _Told(progress, "ETS, series by series", int(allowed[members].sum()))
    for grid in grids(data.series, split, members):
        group = _Group(grid, season, data.lookback, data.horizon, allowed[grid.members], told)
        label, whole, before = KINDS[name](group, grid.place_of(split.stop), grid.place_of(split.validation))
        labels.append(label)
        for forecast, part, forecasts in ((whole, data.test, test), (before, data.validation, seen)):
            windows, origins = grid.origins(part)
            made = _persistence(group)(origins)
            mine = group.fitted[grid.owners[origins]]
            if mine.any():
                made[mine] = forecast(origins[mine])
            forecasts[windows] = made
    label = labels[0] if len(set(labels)) == 1 else labels[0].partition("(")[0].strip()
    note = None
    if bad:
        note = (
            f"{label}: persistence in its place for {len(bad)} of {len(members)} series (first: "
            f"'{data.series.ids[members[bad[0]]]}', {reasons[bad[0]]})."
        )
    row = ModelResult(label, test[None], kind="baseline", validation=seen[None] if len(data.validation) else None)
    return row, note


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
        cycle = Cycle(season, np.empty(0, int))
        # Reasons hang on the number of rows; their values are not looked at.
        parts = [
            TrainingPart(np.broadcast_to(0.0, rows), cycle, lookback, held)
            for rows, held in ((before, 0), (whole, whole - before))
        ]
        found[before, whole] = next((reason for part in parts if (reason := available([name], part)[name])), None)
    return [found[before, whole] for before, whole in lengths.tolist()]


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
    """The mean of each phase of each series over the places before ``known``."""

    def __init__(self, group: _Group, known: np.ndarray):
        self.group = group
        owners = group.grid.owners
        there = group.before(known)
        cells = (owners * group.season + group.phase)[there]
        size = len(known) * group.season

        def mean(of: np.ndarray, cells: np.ndarray, size: int) -> np.ndarray:
            return np.bincount(cells, of, size) / np.maximum(np.bincount(cells, minlength=size), 1)

        count = np.bincount(cells, minlength=size).reshape(len(known), group.season)
        # A phase that never occurs takes the mean of all places.
        self.means = np.stack(
            [
                np.where(
                    count > 0,
                    mean(column[there], cells, size).reshape(count.shape),
                    mean(column[there], owners[there], len(known))[:, None],
                )
                for column in group.y.T
            ],
            axis=-1,
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

    return "Climatology + AR", fit(whole), fit(before)


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
        group: whose series.
        y: what is forecast, ``(places, targets)``.
        known: place after the last one to learn from, ``(series,)``; series of which too few are known are left out.
        orders: of each series.
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
    mean = reduce_parts(np.add, y, begin, end) / lengths
    # Sums of squares lose digits to a mean far from zero.
    z = np.zeros_like(y)
    for_rows = np.repeat(mean, lengths)
    rows = np.repeat(begin - np.append(0, np.cumsum(lengths)[:-1]), lengths) + np.arange(lengths.sum())
    z[rows] = y[rows] - for_rows
    first, count = begin + order, lengths - order
    products = np.empty((order + 1, order + 1, len(begin)))
    sums = np.empty((order + 1, len(begin)))
    sums[0] = reduce_parts(np.add, z, first, end)
    for lag in range(order + 1):
        product = z.copy()
        product[lag:] *= z[: len(z) - lag]
        products[0, lag] = products[lag, 0] = reduce_parts(np.add, product, first, end)
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


def _ets(group: _Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    labels = set()
    models: list[tuple[ETS, ETS] | None] = []
    for number, begin in enumerate(group.begin):
        if not group.fitted[number]:
            models.append(None)
            continue
        parts = [
            TrainingPart(group.y[begin:known], Cycle(group.season, group.phase[begin:known]), group.lookback)
            for known in (whole[number], before[number])
        ]
        fitted = ETS().fit(parts[0])
        labels.add(fitted.label)
        models.append((fitted, fitted.refit(parts[1])))
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


#: By the name that a user asks for.
KINDS: dict[str, Callable[[_Group, np.ndarray, np.ndarray], tuple[str, Forecast, Forecast]]] = {
    "persistence": _repeat_last,
    "seasonal-naive": _repeat_season,
    "climatology": _climatology,
    "ar": _autoregression,
    "climatology-ar": _climatology_ar,
    "ets": _ets,
}
