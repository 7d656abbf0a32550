import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import utilsforecast.losses
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kseq.errors import ConfigError
from kseq.evaluation import metrics

pytestmark = pytest.mark.above_backends

WINDOWS, HORIZON, TARGETS, MEMBERS = 40, 3, 2, 4


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def one_series(rng):
    """True values, forecasts and training values of one target, all well above zero."""
    return rng.uniform(5, 9, 60), rng.uniform(5, 9, 60), rng.uniform(5, 9, 100)


@pytest.fixture
def forecasts(rng):
    """True values of two targets on different scales, and forecasts of several members."""
    y = rng.uniform(5, 9, (WINDOWS, HORIZON, TARGETS)) * [1, 100]
    return y, y + rng.normal(0, 1, (MEMBERS, WINDOWS, HORIZON, TARGETS)) * [1, 100]


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("mae", sklearn.metrics.mean_absolute_error),
        ("rmse", sklearn.metrics.root_mean_squared_error),
        ("mape", lambda y, y_hat: 100 * sklearn.metrics.mean_absolute_percentage_error(y, y_hat)),
        ("r2", sklearn.metrics.r2_score),
    ],
)
def test_one_series_as_in_scikit_learn(name, reference, one_series):
    y, y_hat, _ = one_series
    assert metrics.METRICS[name].function(y, y_hat) == pytest.approx(reference(y, y_hat), rel=1e-12)


@pytest.mark.parametrize("name", ["mae", "r2", "mape"])
def test_several_targets_as_in_scikit_learn(name, forecasts):
    y, y_hat = forecasts
    flat, flat_hat = y.reshape(-1, TARGETS), y_hat[0].reshape(-1, TARGETS)
    reference = {
        "mae": sklearn.metrics.mean_absolute_error(flat, flat_hat),
        "r2": sklearn.metrics.r2_score(flat, flat_hat),
        "mape": 100 * sklearn.metrics.mean_absolute_percentage_error(flat, flat_hat),
    }[name]
    assert metrics.METRICS[name].function(y, y_hat[0]) == pytest.approx(reference, rel=1e-12)


@pytest.mark.parametrize("season", [1, 7])
@pytest.mark.parametrize(
    ("name", "factor"),
    [("mae", 1), ("rmse", 1), ("bias", 1), ("mape", 100), ("smape", 200), ("mase", 1), ("rmsse", 1)],
)
def test_one_series_as_in_utilsforecast(name, factor, season, one_series):
    y, y_hat, insample = one_series
    frame = pd.DataFrame({"unique_id": "a", "ds": range(len(y)), "y": y, "model": y_hat})
    train = pd.DataFrame({"unique_id": "a", "ds": range(len(insample)), "y": insample})
    scaled = {"seasonality": season, "train_df": train} if name in ("mase", "rmsse") else {}
    reference = getattr(utilsforecast.losses, name)(frame, models=["model"], **scaled)["model"].item() * factor
    assert metrics.METRICS[name].function(y, y_hat, insample=insample, season=season) == pytest.approx(
        reference, rel=1e-9
    )


@pytest.mark.parametrize("name", list(metrics.METRICS))
def test_kept_axes_hold_what_slices_give(name, forecasts, rng):
    y, y_hat = forecasts
    insample = rng.uniform(5, 9, (50, TARGETS)) * [1, 100]
    function = metrics.METRICS[name].function
    result = function(y, y_hat, insample=insample, season=2, axis=(-3, -1))
    assert result.shape == (MEMBERS, HORIZON)
    for member in range(MEMBERS):
        for step in range(HORIZON):
            alone = function(y[:, [step]], y_hat[member][:, [step]], insample=insample, season=2)
            assert result[member, step] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("name", list(metrics.METRICS))
def test_everything_averaged_is_a_float(name, forecasts, rng):
    y, y_hat = forecasts
    insample = rng.uniform(5, 9, (50, TARGETS))
    assert type(metrics.METRICS[name].function(y, y_hat[0], insample=insample)) is float


def test_rmse_overall_is_one_root_and_not_a_sum_over_steps():
    y, y_hat = np.zeros((5, 2, 1)), np.broadcast_to([[3.0], [4.0]], (5, 2, 1))
    assert metrics.rmse(y, y_hat, axis=(0, 2)).tolist() == [3.0, 4.0]
    assert metrics.rmse(y, y_hat) == pytest.approx(np.sqrt(12.5))


def test_scaled_errors_scale_each_target_by_itself():
    insample = np.array([[0.0, 0.0], [1.0, 100.0], [2.0, 200.0]])
    y, y_hat = np.zeros((4, 1, 2)), np.broadcast_to([1.0, 100.0], (4, 1, 2))
    assert metrics.mase(y, y_hat, insample=insample) == 1.0
    assert metrics.rmsse(y, y_hat, insample=insample) == 1.0


def test_targets_of_different_level_do_not_flatter_r2():
    # The mean of each target is no forecast at all, though it explains the distance between the targets.
    y = np.array([[0.0, 100.0], [1.0, 101.0], [2.0, 102.0]])[:, None]
    assert metrics.r2(y, np.broadcast_to([1.0, 101.0], y.shape)) == pytest.approx(0.0)


def test_nothing_to_measure_against_is_nan():
    flat = np.ones(5)
    assert np.isnan(metrics.r2(flat, flat + 1))
    assert np.isnan(metrics.mase(flat, flat + 1, insample=flat))
    assert np.isnan(metrics.rmsse(flat, flat + 1, insample=flat))
    assert np.isnan(metrics.skill(1.0, 0.0))


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        ([1.0, 2.0, 3.0], None),
        ([-1.0, -2.0], None),
        ([273.0, 290.0], None),
        ([0.0, 2.0, 3.0], "1 of 3 targets is at or near zero"),
        ([0.001, 0.002, 5.0], "2 of 3 targets are at or near zero"),
        ([-0.5, 2.0], "targets take both signs"),
    ],
)
def test_mape_is_refused_where_zero_is_near(y, reason):
    y = np.array(y)
    assert metrics.mape_reason(y) == reason
    assert np.isnan(metrics.mape(y, y + 1)) == (reason is not None)
    assert np.isnan(metrics.mape(y[:, None], y[:, None] + 1, axis=0)).tolist() == [reason is not None]


def test_near_zero_is_judged_for_each_target_by_its_own_size():
    assert metrics.mape_reason(np.array([[0.5, 1000.0], [0.6, 2000.0]])) is None
    assert metrics.mape_reason(np.array([[0.5, 1000.0], [0.6, 2.0]])) == "1 of 4 targets is at or near zero"


def test_mape_depends_on_the_origin_of_the_unit_and_mae_does_not():
    celsius, forecast = np.array([10.0, 20.0]), np.array([11.0, 22.0])
    assert metrics.mape(celsius, forecast) > 15 * metrics.mape(celsius + 273.15, forecast + 273.15)
    assert metrics.mae(celsius, forecast) == pytest.approx(metrics.mae(celsius + 273.15, forecast + 273.15))


@given(*[arrays("float64", 8, elements=st.integers(-1000, 1000).map(lambda n: n / 8))] * 2)
def test_bounds(y, y_hat):
    assert 0 <= metrics.mae(y, y_hat) <= metrics.rmse(y, y_hat) * (1 + 1e-12)
    assert abs(metrics.bias(y, y_hat)) <= metrics.mae(y, y_hat) * (1 + 1e-12)
    assert 0 <= metrics.smape(y, y_hat) <= 200 * (1 + 1e-12)


def test_skill_is_the_share_of_error_taken_away():
    assert metrics.skill(0.75, 1.0) == 0.25
    assert metrics.skill(2.0, 1.0) == -1.0
    np.testing.assert_allclose(metrics.skill(np.array([1.0, 0.5]), 1.0), [0.0, 0.5])


@pytest.mark.parametrize("function", [metrics.mase, metrics.rmsse])
def test_scaled_errors_say_what_they_miss(function):
    y = np.ones(3)
    with pytest.raises(ConfigError, match="received no insample="):
        function(y, y)
    with pytest.raises(ConfigError, match="season 5 for a training part of 5 rows, expected 1 to 4"):
        function(y, y, insample=np.arange(5.0), season=5)


def test_registry_says_what_a_table_needs():
    assert {name for name, metric in metrics.METRICS.items() if metric.unit == "%"} == {"mape", "smape"}
    assert {name for name, metric in metrics.METRICS.items() if metric.unit == "target"} == {"mae", "rmse", "bias"}
