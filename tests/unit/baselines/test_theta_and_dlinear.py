"""Theta and DLinear as baselines: their numbers, several steps, panels and backtests."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.forecasting.theta import ThetaModel

import kseq
from kseq.baselines import MOST_SERIES_THETA, baseline_row
from kseq.baselines._theta import Theta
from kseq.preprocessing.windows import make_windows

pytestmark = [pytest.mark.above_backends, pytest.mark.long]


@pytest.mark.parametrize(("name", "rows"), [("co2", 400), ("nino12", 300), ("sunspots", 200)])
@pytest.mark.parametrize("shift", [0.0, -1000.0])
def test_theta_is_that_of_statsmodels(name, rows, shift):
    y = kseq.load_series(name).y[:rows, 0] + shift
    ours = Theta.fit(y[:-12], 12)
    theirs = ThetaModel(pd.Series(y[:-12]), period=12, method="auto").fit()
    made = ours.forecast(y, np.array([rows - 13]), 12)[0]
    assert ours.alpha == pytest.approx(theirs.params["alpha"], abs=1e-3)
    np.testing.assert_allclose(made, theirs.forecast(12).to_numpy(), atol=2e-3 * y.std())


def test_theta_forecasts_each_origin_from_what_is_known_there():
    y = kseq.load_series("co2").y[:200, 0]
    model = Theta.fit(y[:150], 12)
    made = model.forecast(y, np.array([150, 160, 170]), 3)
    changed = y.copy()
    changed[161:] += 50
    again = model.forecast(changed, np.array([150, 160, 170]), 3)
    np.testing.assert_array_equal(made[:2], again[:2])
    assert (made[2] != again[2]).all()


def linear(count=200, noise=0.0, seed=0):
    """A series that is a linear function of its own past."""
    generator = np.random.default_rng(seed)
    y = list(generator.normal(0, 1, 4))
    while len(y) < count:
        y.append(0.6 * y[-1] - 0.5 * y[-2] + 0.3 * y[-4] + noise * generator.normal())
    return np.array(y) + 5


def test_dlinear_is_least_squares_on_the_windows():
    data = make_windows(linear(noise=0.2), lookback=4, horizon=3, validation=0.0)
    row = baseline_row("dlinear", data)
    x = data.train.x.reshape(len(data.train), -1).astype("float64")
    both = np.column_stack([x, np.ones(len(x))])
    found = np.linalg.lstsq(both, data.train.y.astype("float64"), rcond=None)[0]
    test = np.column_stack([data.test.x.reshape(len(data.test), -1), np.ones(len(data.test))]) @ found
    plain = data.to_units(test[..., None], data.test)
    # The penalty that cross-validation finds is small, and may be none.
    np.testing.assert_allclose(row.predictions[0], plain, atol=0.05)
    assert row.validation is None


def test_dlinear_finds_a_linear_law_and_reads_covariates():
    generator = np.random.default_rng(3)
    wind = generator.normal(0, 1, 300)
    y = np.r_[0.0, 2 * wind[:-1]] + 0.01 * generator.normal(0, 1, 300)
    frame = pd.DataFrame({"y": y, "wind": wind})
    seen = kseq.compare(frame, features=["wind"], cells=(), baselines=("persistence", "dlinear"), lookback=3)
    alone = kseq.compare(frame, cells=(), baselines="linear", lookback=3, transform="none")
    mae = seen.table.set_index("model")["mae"]
    assert mae["DLinear"] < 0.05 < 0.5 < mae["Persistence"]
    assert alone.table["mae"].iloc[0] > 0.5


@pytest.mark.parametrize("options", [{}, {"n_windows": 3}, {"n_windows": 2, "refit": True}, {"validation_share": 0}])
def test_on_panels_of_several_targets_and_in_backtests(options):
    rows = np.arange(90)
    frames = [
        pd.DataFrame(
            {"unique_id": id, "ds": pd.date_range("2000-01-01", periods=90, freq="MS"),
             "y": scale * (10 + np.sin(rows * np.pi / 6) + rows / 50 + np.random.default_rng(scale).normal(0, 0.1, 90))}
        )
        for id, scale in (("a", 1), ("b", 100), ("c", 3))
    ]  # fmt: skip
    made = kseq.compare(
        pd.concat(frames), cells=(), baselines=("seasonal-naive", "theta", "dlinear"), horizon=4, **options
    )
    assert [row.name for row in made.rows[1:]] == ["Theta", "DLinear"]
    for row in made.rows[1:]:
        assert row.predictions.shape[2:] == (4, 1)
        assert np.isfinite(row.predictions).all()
    mase = made.table.set_index("model")["mase"]
    assert (mase[["Theta", "DLinear"]] < 1.2 * mase.iloc[0]).all()
    wide = pd.concat([frame.set_index("ds")["y"].rename(frame["unique_id"].iloc[0]) for frame in frames], axis=1)
    several = kseq.compare(wide, target=["a", "b"], cells=(), baselines=("theta", "dlinear"), horizon=4, **options)
    assert [row.predictions.shape[3] for row in several.rows] == [2, 2]


def test_theta_of_thousands_of_series_is_fitted_where_it_is_named():
    count = MOST_SERIES_THETA + 1
    y = np.random.default_rng(0).normal(10, 1, (40, count)).cumsum(axis=0)
    wide = pd.DataFrame(y, columns=[f"s{number:04d}" for number in range(count)])
    data = make_windows(wide, lookback=3)
    assert "only where baselines names theta" in baseline_row("theta", data, named=False).reason
    assert baseline_row("theta", data).name == "Theta"


def test_too_few_rows_and_a_constant_series_are_no_failure():
    frame = pd.DataFrame({"unique_id": ["a"] * 60 + ["b"] * 60, "y": [3.0] * 60 + list(linear(60, 0.1))})
    made = kseq.compare(frame, cells=(), baselines=("theta", "dlinear"), lookback=3)
    for row, far in zip(made.rows, (1e-9, 0.1), strict=True):
        assert np.isfinite(row.predictions).all()
        np.testing.assert_allclose(row.predictions[0, made.data.test.series == 0], 3, atol=far)
