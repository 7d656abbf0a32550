"""Autoregressions with intercept by least squares, of the values or of their distance from the climatology."""

import numpy as np

from kseq.baselines._group import Forecast, Group
from kseq.baselines._simple import Climate
from kseq.preprocessing._runs import reduce_runs
from kseq.preprocessing.autoregression import iterate

#: Share of the training part, cut from its end, on which an order is chosen where there is no validation part.
CHOICE_SHARE = 0.15


#: Directions of past values that vary less than this share of the most varying one tell rounding, not dynamics.
RANK = 1e-12


def autoregression(group: Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    orders = np.full(len(whole), group.lookback)
    return f"AR({group.lookback})", _fit_ar(group, group.y, whole, orders), _fit_ar(group, group.y, before, orders)


def climatology_ar(group: Group, whole: np.ndarray, before: np.ndarray) -> tuple[str, Forecast, Forecast]:
    orders = _choose_orders(group, whole, before)

    def fit(known: np.ndarray) -> Forecast:
        climate = Climate(group, known)
        forecast = _fit_ar(group, climate.anomalies, known, orders)
        return lambda origins: climate.at(group.ahead(origins)) + forecast(origins)

    chosen = set(orders[group.fitted].tolist())
    # The order is that of one series; several have one each.
    label = f"Climatology + AR({chosen.pop()})" if len(orders) == 1 else "Climatology + AR"
    return label, fit(whole), fit(before)


def _choose_orders(group: Group, whole: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The order of each series with the smallest error, one step ahead, on what its choice is kept from."""
    length = whole - group.begin
    # Without a validation part the end of what is known is kept back.
    held = np.where(whole > before, whole - before, np.maximum(1, np.rint(CHOICE_SHARE * length).astype(int)))
    first = whole - held
    climate = Climate(group, first)
    places = np.arange(len(group.y))
    judged = places[group.before(whole) & ~group.before(first)]
    owners = group.grid.owners[judged]
    one_step = Group(group.grid, group.season, group.lookback, 1, group.fitted)
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


def _fit_ar(group: Group, y: np.ndarray, known: np.ndarray, orders: np.ndarray) -> Forecast:
    """Fit an autoregression with intercept to each series by least squares; further steps by feeding forecasts back.

    Args:
        group: Group of series to fit.
        y: Values to forecast, ``(places, targets)``.
        known: Place after the last one to learn from, ``(series,)``; series of which too few are known are left out.
        orders: Order of each series, ``(series,)``.
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
        past = y[np.maximum(origins[:, None] - np.arange(longest)[::-1], 0)]
        return iterate(coefficients[owners], past, group.horizon, intercept[owners])

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
