"""Autoregressions of each series: Burg's coefficients, and what they are worth as a reference of windows."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.linear_model import burg as burg_of_statsmodels
from statsmodels.tsa.stattools import pacf_burg

from kseq import make_windows, panel_from_frame
from kseq.preprocessing.auto_transform import Transform
from kseq.preprocessing.autoregression import burg

pytestmark = pytest.mark.above_backends


def simulated(weights, rows, rng, level=0.0):
    """An autoregression around a level."""
    y = np.zeros(rows + 100)
    noise = rng.normal(size=len(y))
    for row in range(len(weights), len(y)):
        y[row] = weights @ y[row - len(weights) : row][::-1] + noise[row]
    return y[100:] + level


def fitted(parts, longest):
    """Burg's coefficients of series that follow one another, each of one run."""
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    begins = np.diff(owners, prepend=-1) > 0
    return burg(np.concatenate(parts), owners, begins, len(parts), longest)


def panel_of(series, freq="D"):
    frames = [
        pd.DataFrame({"unique_id": name, "ds": pd.date_range("2001-01-01", periods=len(y), freq=freq), "y": y})
        for name, y in series.items()
    ]
    return panel_from_frame(pd.concat(frames))


def test_coefficients_of_many_series_are_those_of_statsmodels_at_the_order_of_the_smallest_criterion():
    rng = np.random.default_rng(0)
    parts = [
        simulated(np.array([0.9]), 300, rng, 5.0), simulated(np.array([1.2, -0.5]), 80, rng),
        simulated(np.array([0.1, 0, 0, 0.7]), 500, rng, -1e6), rng.normal(size=40),
    ]  # fmt: skip
    coefficients, means = fitted(parts, 8)
    orders = []
    for part, found, mean in zip(parts, coefficients, means, strict=True):
        variances = part.var() * np.cumprod(1 - np.square(np.append(0, pacf_burg(part, 8)[0][1:])))
        count, tried = len(part), np.arange(9)
        criteria = count * np.log(variances) + 2 * (tried + 1) * count / (count - tried - 3)
        orders.append(int(np.argmin(criteria)))
        expected = np.zeros(8)
        if orders[-1]:
            expected[: orders[-1]] = burg_of_statsmodels(part, orders[-1])[0]
        np.testing.assert_allclose(found, expected, atol=1e-8)
        assert mean == pytest.approx(part.mean())
    assert orders[0] >= 1
    assert orders[2] >= 4


def test_runs_of_rows_are_not_joined():
    rng = np.random.default_rng(1)
    y = simulated(np.array([0.8]), 400, rng)
    whole = fitted([y], 1)[0][0, 0]
    # The same rows with a break after each second one: half the products of neighbours are left.
    begins = np.arange(400) % 2 == 0
    parted = burg(y, np.zeros(400, int), begins, 1, 3)[0][0]
    pairs = y.reshape(-1, 2) - y.mean()
    expected = 2 * (pairs[:, 0] * pairs[:, 1]).sum() / np.square(pairs).sum()
    np.testing.assert_allclose(parted, [expected, 0, 0], atol=1e-12)
    assert whole != pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "y", [np.full(30, 7.0), np.full(30, 1e9 + 0.1), np.array([3.0]), np.array([1.0, 2.0])], ids=str
)
def test_series_that_tell_nothing_are_forecast_by_their_mean(y):
    coefficients, means = fitted([y], 3)
    assert not coefficients.any()
    assert means[0] == pytest.approx(y.mean())


@pytest.mark.parametrize("rows", [8, 20, 60])
def test_forecasts_never_explode(rows):
    # Least squares would find roots beyond one in most of these.
    rng = np.random.default_rng(2)
    parts = [np.exp(np.linspace(0, 3, rows)) + 0.01 * rng.normal(size=rows) for _ in range(50)]
    coefficients, _ = fitted(parts, 6)
    for found in coefficients:
        roots = np.roots([1.0, *-found])
        assert np.abs(roots).max(initial=0) <= 1 + 1e-9


def test_a_series_has_the_same_reference_alone_and_beside_others_of_another_size():
    rng = np.random.default_rng(3)
    one, other = simulated(np.array([0.7]), 120, rng, 3.0), 1e6 * simulated(np.array([-0.6]), 90, rng)
    alone = make_windows(panel_of({"a": one}), 6, 4, transform="ar", dtype="float64")
    both = make_windows(panel_of({"b": other, "a": one}), 6, 4, transform="ar", dtype="float64")
    rows = both.test.series == list(both.series.ids).index("a")
    zeros = np.zeros((len(both.test), 4))
    of_both = both.to_units(zeros, both.test)[rows]
    np.testing.assert_allclose(of_both, alone.to_units(zeros[: len(alone.test)], alone.test), rtol=1e-6)
    np.testing.assert_allclose(both.test.y[rows], alone.test.y, rtol=1e-6, atol=1e-9)


def test_windows_and_forecasts_are_each_others_inverse():
    rng = np.random.default_rng(4)
    panel = panel_of({"a": simulated(np.array([0.7]), 120, rng, 300.0), "b": simulated(np.array([0.2, 0.6]), 90, rng)})
    for names in ("ar", "ar,spread", "trend,ar", "difference,ar"):
        data = make_windows(panel, 6, 4, transform=names, dtype="float64")
        for part in (data.train, data.validation, data.test):
            expected = data.series.y[part.target_rows]
            np.testing.assert_allclose(data.to_units(part.y, part), expected, rtol=1e-9, atol=1e-9)


def test_auto_takes_it_where_series_differ_in_their_dynamics():
    rng = np.random.default_rng(5)
    weights = [0.95, -0.9, 0.5, -0.5, 0.9, 0.0]
    panel = panel_of({str(n): simulated(np.array([w]), 400, rng, 50.0) for n, w in enumerate(weights)})
    data = make_windows(panel, 8, 3, transform=Transform("auto"))
    assert data.transform.name.endswith("ar")
