from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.exponential_smoothing import ets as statsmodels_ets

from kseq import from_frame, load_series, make_windows, read_csv
from kseq.evaluation import metrics
from kseq.baselines import (
    AR,
    BASELINES,
    ETS,
    Climatology,
    ClimatologyAR,
    Persistence,
    SeasonalNaive,
    TrainingPart,
    available,
    forecasts,
)
from kseq.errors import ConfigError, DataError
from kseq.seasons import cycle_of, season_of

BALEARIC = Path(__file__).parents[3] / "shared" / "data" / "sst_balearic_5day_1980_2025.csv"

#: MAE, RMSE, MAPE one step ahead on the last fifth of the rows.
NINO12 = {
    "persistence": ("Persistence", 0.984, 1.164, 4.22),
    "seasonal-naive": ("Seasonal naive (12)", 1.055, 1.438, 4.69),
    "climatology": ("Climatology + last anomaly", 0.380, 0.481, 1.64),
    "ar": ("AR(12)", 0.423, 0.531, 1.85),
    "climatology-ar": ("Climatology + AR(2)", 0.359, 0.452, 1.56),
}
BALEARIC_5DAY = {
    "persistence": ("Persistence", 0.411, 0.532, 1.99),
    "seasonal-naive": ("Seasonal naive (72)", 0.853, 1.066, 4.24),
    "climatology": ("Climatology + last anomaly", 0.249, 0.338, 1.21),
    "ar": ("AR(12)", 0.265, 0.349, 1.29),
}


def six_a_month(years=10, start=1990):
    days = (3, 8, 13, 18, 23, 28)
    return pd.DatetimeIndex(
        [
            f"{year}-{month:02}-{day:02}"
            for year in range(start, start + years)
            for month in range(1, 13)
            for day in days
        ]
    )


def scores(data, name):
    ((label, forecast, _),) = forecasts(data, [name])
    mae, rmse, mape = (function(data.test_y, forecast) for function in (metrics.mae, metrics.rmse, metrics.mape))
    return label, round(mae, 3), round(rmse, 3), round(mape, 2)


@pytest.fixture(scope="module")
def nino12():
    return make_windows(load_series("nino12"))


@pytest.fixture(scope="module")
def seasonal_part():
    """A training part of two targets with a season of 12, a trend and noise; and the series it is cut from."""
    rng = np.random.default_rng(3)
    rows = np.arange(240)
    wave = 10 + 3 * np.sin(2 * np.pi * rows / 12) + 0.01 * rows
    noise = np.zeros((240, 2))
    for row in range(1, 240):
        noise[row] = 0.6 * noise[row - 1] + rng.normal(0, 0.3, 2)
    y = wave[:, None] * [1, 5] + noise
    index = pd.date_range("1990-01-01", periods=240, freq="MS")
    return TrainingPart(y[:180], cycle_of(index, 12), lookback=6, validation=24), y


@pytest.mark.parametrize("name", NINO12)
def test_reference_values_on_nino12(name, nino12):
    assert scores(nino12, name) == NINO12[name]


@pytest.mark.skipif(not BALEARIC.exists(), reason="the file lies outside the repository")
@pytest.mark.parametrize("name", BALEARIC_5DAY)
def test_reference_values_on_six_dates_a_month(name):
    series = read_csv(BALEARIC, time=["year", "month", "day"], target="mean temperature deg C", header=2)
    assert scores(make_windows(series), name) == BALEARIC_5DAY[name]


@pytest.mark.parametrize(("order", "mae"), [(1, 0.369), (2, 0.359), (12, 0.367)])
def test_reference_values_of_anomaly_orders(order, mae, nino12):
    y = nino12.series.y
    part = TrainingPart(y[:585], cycle_of(nino12.series.index, 12), validation=88)
    forecast = ClimatologyAR(order).fit(part).predict(y, np.arange(584, 731))
    assert round(metrics.mae(nino12.test_y, forecast), 3) == mae


@pytest.mark.parametrize("horizon", [1, 15])
@pytest.mark.parametrize("name", BASELINES)
def test_nothing_after_an_origin_is_read(name, horizon, seasonal_part):
    training, y = seasonal_part
    origins = np.array([179, 190, 200])
    fitted = BASELINES[name]().fit(training)
    together = fitted.predict(y, origins, horizon)
    assert together.shape == (3, horizon, 2)
    for number, origin in enumerate(origins):
        changed = y.copy()
        changed[origin + 1 :] += 100.0
        np.testing.assert_array_equal(fitted.predict(changed, origins[[number]], horizon)[0], together[number])


@pytest.mark.parametrize("name", BASELINES)
def test_fit_sees_the_training_part_alone(name, seasonal_part):
    training, y = seasonal_part
    origins = np.array([190, 210])
    # Two seasons and a bit: statsmodels' start values would reach beyond, were they taken from the whole series.
    short = TrainingPart(y[:30], training.cycle, lookback=3, validation=3)
    fitted = BASELINES[name]().fit(short)
    alone = np.concatenate([fitted.predict(y[: origin + 1], np.array([origin])) for origin in origins])
    np.testing.assert_array_equal(fitted.predict(y, origins), alone)


@pytest.mark.parametrize("name", BASELINES)
def test_one_target_is_forecast_as_it_is_among_others(name, seasonal_part):
    training, y = seasonal_part
    origins = np.array([180, 200])
    both = BASELINES[name]().fit(training).predict(y, origins, 3)
    # Refitted, because one order, chosen once, serves all targets.
    second = TrainingPart(training.y[:, 1], training.cycle, training.lookback, training.validation)
    single = BASELINES[name]().fit(training).refit(second)
    np.testing.assert_allclose(single.predict(y[:, 1], origins, 3)[..., 0], both[..., 1], rtol=1e-9)


def test_persistence_repeats_the_origin():
    y = np.arange(10.0)
    assert Persistence().predict(y, np.array([3, 8]), 2)[..., 0].tolist() == [[3, 3], [8, 8]]


def test_seasonal_naive_repeats_the_last_known_season():
    y = np.arange(20.0)
    naive = SeasonalNaive().fit(TrainingPart(y[:12], cycle_of(pd.RangeIndex(20), 4)))
    assert naive.label == "Seasonal naive (4)"
    assert naive.predict(y, np.array([11]), 6)[0, :, 0].tolist() == [8, 9, 10, 11, 8, 9]
    with pytest.raises(ConfigError, match="an origin with 3 rows up to it, expected at least 4"):
        naive.predict(y, np.array([2]))


def test_climatology_adds_the_last_anomaly_to_the_mean_of_the_phase():
    y = np.array([1.0, 10.0, 3.0, 20.0, 2.0, 16.0, 2.5])
    fitted = Climatology().fit(TrainingPart(y[:4], cycle_of(pd.RangeIndex(7), 2)))
    # Means of the two phases: 2 and 15; anomaly at row 5: 1. Rows 7 and 8 lie after the last date.
    assert fitted.predict(y, np.array([5]), 3)[0, :, 0].tolist() == [3.0, 16.0, 3.0]


def test_a_phase_that_never_occurs_takes_the_mean_of_all_rows():
    index = pd.DatetimeIndex([f"2000-{month:02}-01" for month in range(1, 13) if month != 7] * 1).append(
        pd.date_range("2001-01-01", periods=12, freq="MS")
    )
    y = np.arange(23.0)
    fitted = Climatology().fit(TrainingPart(y[:11], cycle_of(index, 12)))
    assert fitted.means[6, 0] == y[:11].mean()


@pytest.mark.parametrize("order", [1, 3])
def test_ar_equals_statsmodels(order, seasonal_part):
    training, y = seasonal_part
    fitted = AR(order).fit(training)
    for target in range(2):
        reference = AutoReg(training.y[:, target], order, trend="c").fit()
        np.testing.assert_allclose(fitted.coefficients[:, target], reference.params, rtol=1e-6)
        np.testing.assert_allclose(
            fitted.predict(y, np.array([179]), 8)[0, :, target], reference.predict(180, 187), rtol=1e-6
        )


def test_ar_takes_the_lookback_and_needs_as_many_rows():
    y = np.sin(np.arange(50.0)) + np.arange(50) % 7
    part = TrainingPart(y[:40], cycle_of(pd.RangeIndex(50), 1), lookback=5)
    fitted = AR().fit(part)
    assert fitted.label == "AR(5)"
    with pytest.raises(ConfigError, match="an origin with 4 rows up to it, expected at least 5"):
        fitted.predict(y, np.array([3]))


def test_order_is_chosen_on_the_validation_rows_and_kept_when_refitted(nino12):
    y, index = nino12.series.y, nino12.series.index
    part = TrainingPart(y[:585], cycle_of(index, 12), validation=88)
    before = TrainingPart(y[:497], part.cycle)
    errors = {}
    for order in (1, 2, 3, 12):
        forecast = ClimatologyAR(order).fit(before).predict(y, np.arange(496, 584))
        errors[order] = metrics.mae(y[497:585], forecast[:, 0])
    fitted = ClimatologyAR().fit(part)
    assert fitted.order == min(errors, key=errors.get)
    again = fitted.refit(before)
    assert again.order == fitted.order
    np.testing.assert_array_equal(
        again.predict(y, np.array([600])), ClimatologyAR(fitted.order).fit(before).predict(y, np.array([600]))
    )
    assert (fitted.climatology.means != again.climatology.means).any()


def test_order_is_chosen_without_a_validation_part(nino12):
    y = nino12.series.y
    part = TrainingPart(y[:585], cycle_of(nino12.series.index, 12))
    assert len(part.before_choice()) == 497
    assert ClimatologyAR().fit(part).label == "Climatology + AR(2)"


@pytest.mark.parametrize(("season", "form"), [(12, "A,N,A"), (1, None)])
def test_ets_forecasts_as_statsmodels_from_the_end_of_the_training_part(season, form, seasonal_part):
    training, y = seasonal_part
    fitted = ETS().fit(TrainingPart(training.y[:, 0], cycle_of(pd.RangeIndex(240), season)))
    if form is not None:
        assert fitted.label == f"ETS({form})"
    np.testing.assert_allclose(fitted.predict(y[:, 0], np.array([179]), 30)[0, :, 0], fitted.fitted[0].forecast(30))


def test_ets_chooses_trend_and_multiplicative_season():
    rows = np.arange(120)
    rng = np.random.default_rng(0)
    growing = (50 + rows) * (1 + 0.3 * np.sin(2 * np.pi * rows / 12)) * (1 + 0.01 * rng.normal(size=120))
    fitted = ETS().fit(TrainingPart(growing[:96], cycle_of(pd.RangeIndex(120), 12)))
    assert fitted.label == "ETS(A,Ad,M)"
    forecast = fitted.predict(growing, np.array([95]), 24)[0, :, 0]
    np.testing.assert_allclose(forecast, fitted.fitted[0].forecast(24))
    assert metrics.mape(growing[96:], forecast) < 10


def test_ets_of_targets_with_different_forms_has_a_plain_label():
    rows = np.arange(120)
    rng = np.random.default_rng(0)
    y = np.stack([rng.normal(0, 0.1, 120) + np.cumsum(3 * 0.98**rows), rng.normal(size=120).cumsum()], axis=1)
    assert ETS().fit(TrainingPart(y, cycle_of(pd.RangeIndex(120), 1))).label == "ETS"


def test_ets_that_fails_is_an_error_with_advice(monkeypatch, seasonal_part):
    training, y = seasonal_part
    fitted = ETS().fit(training)
    with pytest.raises(DataError, match="not finite, expected numbers; leave ets out of baselines"):
        fitted.predict(np.where(np.arange(240)[:, None] == 185, np.inf, y), np.array([190]))

    def fail(*args, **kwargs):
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr(statsmodels_ets.ETSModel, "fit", fail)
    with pytest.raises(DataError, match=r"180 rows that exponential smoothing cannot be fitted to \(singular\)"):
        ETS().fit(training)


def test_available_gives_reasons():
    y = np.arange(300.0)
    yearly = cycle_of(pd.date_range("1700-01-01", periods=300, freq="YS"), 1)
    assert available(BASELINES, TrainingPart(y, yearly)) == {
        "persistence": None,
        "seasonal-naive": "its dates show no season",
        "climatology": "its dates show no season",
        "ar": None,
        "climatology-ar": "its dates show no season",
        "ets": None,
    }
    short = available(BASELINES, TrainingPart(y[:20], cycle_of(pd.RangeIndex(300), 12)))
    assert short["climatology"] == "20 training rows hold fewer than two seasons of 12"
    assert short["ar"] == "20 training rows, expected at least 25 for AR(12)"
    assert short["ets"] is None
    assert available(["ets"], TrainingPart(y[:9], yearly))["ets"].startswith("9 training rows")
    # Two seasons, but not before the rows on which the order is chosen.
    tight = TrainingPart(y[:26], cycle_of(pd.RangeIndex(300), 12))
    assert available(["climatology", "climatology-ar"], tight) == {
        "climatology": None,
        "climatology-ar": "22 training rows hold fewer than two seasons of 12",
    }
    long = TrainingPart(np.zeros(100_000), cycle_of(pd.RangeIndex(100_000), 1440))
    assert "too long for ETS" in available(["ets"], long)["ets"]


def test_unknown_names_are_refused(nino12):
    with pytest.raises(ConfigError, match="received baseline 'prophet', expected one of persistence, seasonal-naive"):
        list(forecasts(nino12, ["persistence", "prophet"]))
    with pytest.raises(ConfigError, match="received season 300, expected at most 248"):
        list(forecasts(nino12, ["seasonal-naive"], season=300))


def test_validation_forecasts_come_from_rows_before_the_validation_part(nino12):
    y, index = nino12.series.y, nino12.series.index
    before = TrainingPart(y[:497], cycle_of(index, 12))
    for name, kind in (("climatology", Climatology), ("ar", AR)):
        ((_, _, validation),) = forecasts(nino12, [name])
        np.testing.assert_array_equal(validation, kind().fit(before).predict(y, np.arange(496, 584)))


def test_no_validation_part_no_validation_forecasts():
    data = make_windows(load_series("nino12"), validation=0)
    rows = list(forecasts(data, BASELINES))
    assert [row[0] for row in rows][:2] == ["Persistence", "Seasonal naive (12)"]
    assert all(validation is None and test.shape == (147, 1, 1) for _, test, validation in rows)


def test_the_test_part_decides_nothing():
    frame = load_series("nino12").frame
    changed = frame.where(np.arange(732)[:, None] < 585, frame + 9.0)

    def first_forecasts(values):
        data = make_windows(from_frame(values, target="sst"))
        return {label: forecast[0] for label, forecast, _ in forecasts(data, BASELINES)}

    expected, received = first_forecasts(frame), first_forecasts(changed)
    assert expected.keys() == received.keys()
    for label in expected:
        np.testing.assert_array_equal(expected[label], received[label])


@pytest.mark.parametrize(
    ("frequency", "season"),
    [
        ("YS", 1), ("QE", 4), ("MS", 12), ("ME", 12), ("SMS", 24), ("W", 52), ("8D", 46), ("2D", 183), ("D", 7),
        ("B", 5), ("h", 24), ("3h", 8), ("10min", 144),
    ],
)  # fmt: skip
def test_season_and_phase_of_dates(frequency, season):
    index = pd.date_range("1990-01-01", periods=250 if frequency == "YS" else 1500, freq=frequency)
    assert season_of(index) == season
    phase = cycle_of(index, season).phase
    assert np.unique(phase).tolist() == list(range(season))


def test_season_of_irregular_months_and_of_no_dates():
    index = six_a_month()
    assert season_of(index) == 72
    assert season_of(pd.RangeIndex(100)) == season_of(index[:2]) == 1
    # A gap does not turn months into something else.
    months = pd.date_range("1990-01-01", periods=120, freq="MS").delete([30, 31, 32, 33, 70])
    assert season_of(months) == 12
    assert (cycle_of(months, 12).phase == months.month - 1).all()


@pytest.mark.parametrize("cut", [0, 2])
def test_six_dates_a_month_keep_their_place_in_the_year(cut):
    index = six_a_month()[cut:]
    phase = cycle_of(index, 72).phase
    place = {3: 0, 8: 1, 13: 2, 18: 3, 23: 4, 28: 5}
    assert phase.tolist() == [(date.month - 1) * 6 + place[date.day] for date in index]


@pytest.mark.parametrize(
    ("frequency", "period", "season"), [("D", 365.2425, 365), ("D", 7, 7), ("h", 24, 24), ("h", 168, 168)]
)
def test_values_choose_between_seasons_of_the_calendar(frequency, period, season):
    index = pd.date_range("1990-01-01", periods=2000, freq=frequency)
    rng = np.random.default_rng(0)
    y = np.sin(2 * np.pi * np.arange(2000) / period) + rng.normal(0, 0.3, 2000)
    assert season_of(index, y) == season
    assert season_of(index[:500], y[:500]) == (season if season != 365 else 7)


def test_leap_days_do_not_shift_the_year():
    index = pd.date_range("1999-01-01", "2004-12-31", freq="D")
    phase = cycle_of(index, 365).phase
    by_date = pd.Series(phase, index=index)
    assert by_date["2000-02-28"] == by_date["2000-02-29"] == by_date["1999-02-28"] == 58
    assert by_date["2000-12-31"] == by_date["1999-12-31"] == 364
    assert by_date["2000-03-01"] == by_date["1999-03-01"] == 59


def test_time_of_day_survives_a_missing_hour():
    index = pd.date_range("2000-01-01", periods=500, freq="h").delete([100, 200])
    assert (cycle_of(index, 24).phase == index.hour).all()
    assert (cycle_of(index, 168).phase == index.day_of_week * 24 + index.hour).all()


def test_a_season_unknown_to_the_calendar_counts_rows():
    index = pd.date_range("1700-01-01", periods=30, freq="YS")
    assert cycle_of(index, 11).phase.tolist() == (np.arange(30) % 11).tolist()
    cycle = cycle_of(pd.RangeIndex(10), 4)
    assert cycle.at(np.arange(8, 18)).tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
