import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.exponential_smoothing import ets as statsmodels_ets

from kseq import compare, from_frame, load_series, make_windows, read_csv
from kseq.baselines import BASELINES, Skipped, baseline_row
from kseq.errors import ConfigError
from kseq.evaluation import metrics
from kseq.preprocessing.seasonality import cycle_of, season_of

pytestmark = pytest.mark.above_backends

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
    # Means of single dates give 0.249, 0.338, 1.21; smoothed over neighbouring ones they are less noisy.
    "climatology": ("Climatology + last anomaly", 0.246, 0.337, 1.19),
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
    row = baseline_row(name, data)
    mae, rmse, mape = (
        function(data.test_y, row.predictions[0]) for function in (metrics.mae, metrics.rmse, metrics.mape)
    )
    return row.name, round(mae, 3), round(rmse, 3), round(mape, 2)


@pytest.fixture(scope="module")
def nino12():
    return make_windows(load_series("nino12"))


def two_targets():
    """Two targets with a season of 12, a trend and noise."""
    rng = np.random.default_rng(3)
    rows = np.arange(240)
    wave = 10 + 3 * np.sin(2 * np.pi * rows / 12) + 0.01 * rows
    noise = np.zeros((240, 2))
    for row in range(1, 240):
        noise[row] = 0.6 * noise[row - 1] + rng.normal(0, 0.3, 2)
    return pd.DataFrame(wave[:, None] * [1, 5] + noise, pd.date_range("1990-01-01", periods=240, freq="MS"), ["a", "b"])


def cut(values, **options):
    """Windows of the columns of a frame, or of monthly values."""
    if not isinstance(values, pd.DataFrame):
        values = pd.DataFrame({"y": values}, pd.date_range("1990-01-01", periods=len(values), freq="MS"))
    return make_windows(from_frame(values, target=list(values)), **options)


@pytest.mark.parametrize("name", NINO12)
def test_reference_values_on_nino12(name, nino12):
    assert scores(nino12, name) == NINO12[name]


@pytest.mark.skipif(not BALEARIC.exists(), reason="the file lies outside the repository")
@pytest.mark.parametrize("name", BALEARIC_5DAY)
def test_reference_values_on_six_dates_a_month(name):
    series = read_csv(BALEARIC, time=["year", "month", "day"], target="mean temperature deg C", header=2)
    assert scores(make_windows(series), name) == BALEARIC_5DAY[name]


@pytest.mark.parametrize("horizon", [1, 15])
@pytest.mark.parametrize("name", BASELINES)
def test_nothing_after_an_origin_is_read(name, horizon):
    frame = two_targets()
    data = cut(frame, lookback=6, horizon=horizon, test=0.25)
    before = baseline_row(name, data).predictions[0]
    for window in (0, len(data.test) // 2):
        changed = frame.copy()
        changed.iloc[data.test.target_rows[window, 0] :] += 100.0
        after = baseline_row(name, cut(changed, lookback=6, horizon=horizon, test=0.25)).predictions[0]
        np.testing.assert_array_equal(after[: window + 1], before[: window + 1])


# DLinear reads all targets.
@pytest.mark.parametrize("name", [name for name in BASELINES if name != "dlinear"])
def test_one_target_is_forecast_as_it_is_among_others(name):
    frame = two_targets()
    both = baseline_row(name, cut(frame, lookback=2, horizon=3)).predictions
    single = baseline_row(name, cut(frame[["b"]], lookback=2, horizon=3)).predictions
    if name == "climatology-ar":
        # One order, chosen once, serves all targets.
        assert np.abs(single[..., 0] - both[..., 1]).mean() < 0.1
        return
    np.testing.assert_allclose(single[..., 0], both[..., 1], rtol=1e-9)


def test_persistence_repeats_the_origin():
    data = cut(np.arange(30.0) ** 2, lookback=3, horizon=2)
    row = baseline_row("persistence", data)
    assert row.name == "Persistence"
    last = data.test.target_rows[:, 0] - 1
    assert row.predictions[0, :, :, 0].tolist() == [[float(at) ** 2] * 2 for at in last]


def test_seasonal_naive_repeats_the_last_known_season():
    data = cut(np.arange(60.0) + np.arange(60) % 4, lookback=3, horizon=6)
    row = baseline_row("seasonal-naive", data, 4)
    assert row.name == "Seasonal naive (4)"
    first = data.test.target_rows[0, 0]
    y = data.series.y[:, 0]
    assert row.predictions[0, 0, :, 0].tolist() == [*y[first - 4 : first], *y[first - 4 : first - 2]]


def test_climatology_adds_the_last_anomaly_to_the_mean_of_the_phase():
    rng = np.random.default_rng(0)
    y = 10.0 + 5 * (np.arange(60) % 2) + rng.normal(size=60)
    data = cut(y, lookback=3, horizon=3)
    row = baseline_row("climatology", data, 2)
    known = data.split.test.item()
    means = np.array([y[:known][phase::2].mean() for phase in range(2)])
    for made, rows in zip(row.predictions[0, :, :, 0], data.test.target_rows, strict=True):
        last = rows[0] - 1
        np.testing.assert_allclose(made, means[rows % 2] + y[last] - means[last % 2])


def test_a_phase_that_never_occurs_takes_the_mean_of_all_rows():
    index = pd.date_range("2000-01-01", periods=60, freq="MS")
    y = pd.Series(np.random.default_rng(0).normal(size=60), index)
    y[(index.month == 7) & (index.year < 2004)] = np.nan
    data = make_windows(from_frame(y.to_frame("y"), fill="mask", freq="MS"), lookback=2)
    row = baseline_row("climatology", data)
    assert np.isfinite(row.predictions).all()


@pytest.mark.parametrize("order", [1, 3])
def test_ar_equals_statsmodels(order):
    frame = two_targets()
    data = cut(frame, lookback=order, horizon=8)
    row = baseline_row("ar", data)
    assert row.name == f"AR({order})"
    known = data.split.test.item()
    for target, column in enumerate(frame):
        reference = AutoReg(frame[column].to_numpy()[:known], order, trend="c").fit()
        np.testing.assert_allclose(row.predictions[0, 0, :, target], reference.predict(known, known + 7), rtol=1e-6)


def test_ar_of_values_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(0)
    y = np.cumsum(rng.normal(size=200)) * 50
    near, far = (baseline_row("ar", cut(y + level, lookback=4)).predictions - level for level in (0, 1.2e9))
    np.testing.assert_allclose(far, near, atol=1e-3)


def test_order_is_chosen_on_the_validation_rows(nino12):
    row = baseline_row("climatology-ar", nino12)
    # Of the orders 1, 2, 3 and 12, fitted before the validation part, the second has the smallest error there.
    assert row.name == "Climatology + AR(2)"
    without = baseline_row("climatology-ar", make_windows(load_series("nino12"), validation=0))
    assert without.name == "Climatology + AR(2)"


def test_forecasts_of_the_validation_part_keep_the_order_and_learn_less(nino12):
    y = nino12.series.y[:, 0]
    row = baseline_row("climatology-ar", nino12)
    phase = nino12.series.index.month.to_numpy() - 1
    means = np.array([y[:497][phase[:497] == month].mean() for month in range(12)])
    anomalies = y - means[phase]
    reference = AutoReg(anomalies[:497], 2, trend="c").fit().params
    expected = means[phase[497]] + reference @ [1, anomalies[496], anomalies[495]]
    assert row.validation[0, 0, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(("season", "label"), [(12, "ETS(A,N,A)"), (1, "ETS(")])
def test_ets_forecasts_as_statsmodels_from_the_end_of_the_training_part(season, label):
    y = two_targets()["a"]
    frame = y.to_frame() if season == 12 else y.reset_index(drop=True).to_frame()
    data = cut(frame, lookback=6, horizon=30, test=0.25, validation=0)
    row = baseline_row("ets", data)
    assert row.name.startswith(label)
    known = data.split.test.item()
    options = {"seasonal": "add", "seasonal_periods": 12} if season == 12 else {}
    found = [
        statsmodels_ets.ETSModel(
            y.to_numpy()[:known], trend=trend, damped_trend=trend is not None, initialization_method="heuristic",
            **options,
        ).fit(disp=False)
        for trend in (None, "add")
    ]  # fmt: skip
    best = min(found, key=lambda fitted: fitted.aic)
    np.testing.assert_allclose(row.predictions[0, 0, :, 0], best.forecast(30), rtol=1e-6)


def test_ets_chooses_trend_and_multiplicative_season():
    rows = np.arange(120)
    rng = np.random.default_rng(0)
    growing = (50 + rows) * (1 + 0.3 * np.sin(2 * np.pi * rows / 12)) * (1 + 0.01 * rng.normal(size=120))
    data = cut(growing, lookback=6, horizon=24, validation=0)
    row = baseline_row("ets", data)
    assert row.name == "ETS(A,Ad,M)"
    assert metrics.mape(data.test_y, row.predictions[0]) < 10


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_ets_with_a_multiplicative_season_goes_on_with_an_additive_one_after_a_value_that_is_not_positive(value):
    rows = np.arange(240)
    rng = np.random.default_rng(0)
    growing = (50 + rows) * (1 + 0.3 * np.sin(2 * np.pi * rows / 12)) * (1 + 0.01 * rng.normal(size=240))
    closed = growing.copy()
    closed[215] = value
    whole, row = (baseline_row("ets", cut(y, lookback=6, validation=0)) for y in (growing, closed))
    assert row.name == whole.name == "ETS(A,Ad,M)"
    before = 215 - 192
    # Up to this value, with it as what is forecast, nothing changes.
    np.testing.assert_array_equal(row.predictions[0, : before + 1], whole.predictions[0, : before + 1])
    known = growing[:192]
    best = min(
        (
            statsmodels_ets.ETSModel(
                known, trend=trend, damped_trend=trend is not None, seasonal="add", seasonal_periods=12,
                initialization_method="heuristic",
            ).fit(disp=False)
            for trend in (None, "add")
        ),
        key=lambda fitted: fitted.aic,
    )  # fmt: skip
    model = best.model
    states = statsmodels_ets.ETSModel(
        closed, trend=model.trend, damped_trend=model.damped_trend, seasonal="add", seasonal_periods=12,
        initialization_method="known", initial_level=model.initial_level, initial_trend=model.initial_trend,
        initial_seasonal=model.initial_seasonal,
    ).smooth(best.params)  # fmt: skip
    np.testing.assert_allclose(row.predictions[0, before + 1 :, 0, 0], states.fittedvalues[216:], rtol=1e-9)


def test_ets_of_targets_with_different_forms_has_a_plain_label():
    rows = np.arange(120)
    rng = np.random.default_rng(0)
    y = np.stack([rng.normal(0, 0.1, 120) + np.cumsum(3 * 0.98**rows), rng.normal(size=120).cumsum()], axis=1)
    assert baseline_row("ets", cut(pd.DataFrame(y, columns=["a", "b"]), lookback=3)).name == "ETS"


def test_ets_that_fails_is_left_out_and_it_is_said(monkeypatch):
    def fail(*args, **kwargs):
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr(statsmodels_ets.ETSModel, "fit", fail)
    series = from_frame(two_targets(), target="a")
    result = compare(series, cells=(), baselines=("persistence", "ets"), lookback=6)
    assert [row.name for row in result.rows] == ["Persistence"]
    reason = "exponential smoothing cannot be fitted to 192 training rows: singular"
    assert f"Left out of the baselines: ets ({reason})." in result.cautions


def test_ets_whose_forecasts_are_not_finite_is_left_out_and_it_is_said(monkeypatch):
    smooth = statsmodels_ets.ETSModel.smooth

    def overflow(model, *args, **kwargs):
        states = smooth(model, *args, **kwargs)
        if model.initialization_method == "known":
            states.level = states.level * np.inf
        return states

    monkeypatch.setattr(statsmodels_ets.ETSModel, "smooth", overflow)
    series = from_frame(two_targets(), target="a")
    result = compare(series, cells=(), baselines=("persistence", "ets"), lookback=6)
    assert [row.name for row in result.rows] == ["Persistence"]
    assert any(re.search(r"ets \(forecasts by ETS\S* are not finite\)", caution) for caution in result.cautions)


def skipped(rows, season=1, lookback=12, **options):
    """Reasons by baseline for a series of so many rows, yearly or monthly."""
    index = pd.date_range("1700-01-01", periods=rows, freq="MS" if season > 1 else "YS")
    y = np.random.default_rng(0).normal(size=rows)
    data = make_windows(from_frame(pd.DataFrame({"y": y}, index)), lookback, **options)
    made = {name: baseline_row(name, data) for name in BASELINES}
    return {name: row.reason for name, row in made.items() if isinstance(row, Skipped)}


def test_what_rows_do_not_allow_is_skipped_with_a_reason():
    none = "its dates show no season"
    assert skipped(300) == {"seasonal-naive": none, "climatology": none, "climatology-ar": none}
    assert skipped(24, lookback=12, validation=0) == dict.fromkeys(
        ("seasonal-naive", "climatology", "climatology-ar"), none
    ) | {"ar": "19 training rows, expected at least 25 for AR(12)"}
    assert skipped(11, lookback=3, validation=0)["ets"].startswith("8 training rows, expected at least 10")
    short = skipped(28, season=12, lookback=4)
    assert short["climatology"] == "19 training rows hold fewer than two seasons of 12"
    # Two seasons, but not before the rows on which the order is chosen.
    assert skipped(33, season=12, lookback=4, validation=0) == {
        "climatology-ar": "22 training rows hold fewer than two seasons of 12"
    }


def test_a_season_too_long_for_ets():
    y = np.random.default_rng(0).normal(size=60_000)
    data = make_windows(from_frame(pd.DataFrame({"y": y}, pd.date_range("2000-01-01", periods=60_000, freq="min"))))
    assert "too long for ETS" in baseline_row("ets", data).reason


def test_unknown_names_are_refused(nino12):
    with pytest.raises(ConfigError, match="received baseline 'prophet', expected one of persistence, seasonal-naive"):
        baseline_row("prophet", nino12)


def test_a_season_of_which_rows_hold_no_two_leaves_out_what_needs_them(nino12):
    reason = "497 training rows hold fewer than two seasons of 300"
    assert baseline_row("seasonal-naive", nino12, season=300) == Skipped("seasonal-naive", reason)
    assert baseline_row("ar", nino12, season=300).name == "AR(12)"


def test_no_validation_part_no_validation_forecasts():
    data = make_windows(load_series("nino12"), validation=0)
    rows = [baseline_row(name, data) for name in BASELINES]
    assert [row.name for row in rows][:2] == ["Persistence", "Seasonal naive (12)"]
    assert all(row.validation is None and row.predictions.shape == (1, 147, 1, 1) for row in rows)


def test_the_test_part_decides_nothing():
    frame = load_series("nino12").frame
    changed = frame.where(np.arange(732)[:, None] < 585, frame + 9.0)

    def first_forecasts(values):
        data = make_windows(from_frame(values, target="sst"))
        return {row.name: row.predictions[0, 0] for row in (baseline_row(name, data) for name in BASELINES)}

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
