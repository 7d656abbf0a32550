import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.linear_model import burg as burg_of_statsmodels
from statsmodels.tsa.stattools import pacf_burg

from kseq import ConfigError, DataError, from_frame, load_series, make_windows, panel_from_frame
from kseq.baselines import baseline_row
from kseq.data import Panel
from kseq.data.slices import extended
from kseq.evaluation import metrics
from kseq.preprocessing.auto_transform import Transform, Trial
from kseq.preprocessing.splits import Split
from kseq.preprocessing.transforms import steps_of

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

CHAINS = [
    "none", "log", "anomaly", "difference", "change", "log,anomaly", "anomaly,difference", "difference,anomaly",
    "anomaly,change", "log,difference,anomaly", "log,anomaly,difference,change", "trend", "log,anomaly,trend,change",
    "last", "mean", "season", "log,last", "log1p,season", "anomaly,mean", "log,difference,mean", "anomaly,trend,last",
    "ar", "anomaly,ar", "log,difference,ar",
]  # fmt: skip

#: Chains that divide by what models read of the targets.
SPREAD = [
    "last,spread", "log1p,anomaly,mean,spread", "season,spread", "change,spread", "log1p,anomaly,ar,spread",
]  # fmt: skip


def monthly(rows=200, targets=2, seed=0):
    """Positive series with a season and a drift."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None]
    season = np.sin(2 * np.pi * (t / 12 + np.arange(targets) / 5))
    values = 30 + 0.05 * t + 3 * season + np.cumsum(rng.normal(0, 0.3, (rows, targets)), axis=0)
    frame = pd.DataFrame(values, pd.date_range("1990-03-01", periods=rows, freq="MS"), list("abcd")[:targets])
    frame["f"] = rng.normal(size=rows)
    return frame


def fitted_to(names, series, known, season=0, **options):
    """A transform fitted on the first rows of a series."""
    panel = Panel.of(series)
    start, stop = np.array([0]), np.array([known])
    split = Split(start, stop, stop, stop, panel.borders[1:])
    return Transform(names, season, **options).fit(panel, split, np.array([0]))


def series_of(frame, **options):
    return from_frame(frame, target=[c for c in frame if c != "f"], features=["f"], **options)


@pytest.mark.parametrize(
    ("names", "past_target", "horizon"),
    [
        *((names, *case) for names in CHAINS for case in [(True, 1), (True, 5), (False, 3)]),
        *((names, True, horizon) for names in SPREAD for horizon in (1, 14)),
    ],
)
def test_true_values_come_back_from_what_models_forecast(names, past_target, horizon):
    series = series_of(monthly())
    data = make_windows(series, 7, horizon, transform=Transform(names), past_target=past_target, dtype="float64")
    for part in (data.train, data.validation, data.test):
        x, y = part.gather(np.arange(len(part)))
        assert np.isfinite(x).all()
        # Flat, as a model returns them; and a members axis before the windows.
        forecasts = np.stack([y, y]).reshape(2, len(part), -1)
        back = data.to_units(forecasts, part)
        np.testing.assert_allclose(back, np.stack([series.y[part.target_rows]] * 2), rtol=1e-9)


@pytest.mark.parametrize("names", [*CHAINS, *SPREAD])
def test_an_error_of_a_forecast_stays_with_its_window(names):
    data = make_windows(series_of(monthly()), 7, 2, transform=Transform(names), dtype="float64")
    _, y = data.test.gather(np.arange(len(data.test)))
    y[3] += 0.1
    moved = data.to_units(y, data.test) != data.to_units(
        y * 0 + data.test.gather(np.arange(len(data.test)))[1], data.test
    )
    assert moved[3].all()
    assert not np.delete(moved, 3, axis=0).any()


def test_each_step_is_what_it_says():
    series = load_series("co2")
    y, known = series.y, 300
    phase = series.index.month.to_numpy() - 1
    means = np.array([y[:known][phase[:known] == month].mean() for month in range(12)])
    changes = np.diff(y[:, 0], prepend=np.nan)[:, None]
    anomalies = y - means[phase][:, None]

    def applied(names):
        return fitted_to(names, series, known).apply(Panel.of(series))

    for names, expected in (
        ("none", y), ("log", np.log(y)), ("log1p", np.log1p(y)), ("difference", changes), ("anomaly", anomalies),
    ):  # fmt: skip
        np.testing.assert_allclose(applied(names), expected, rtol=1e-12, atol=1e-12)


def iterated(y, split, past, horizon):
    """What the autoregressions of statsmodels forecast, each of the order that their corrected criterion asks for."""
    known, forecasts = y[: split.validation[0]], []
    for column, of_past in zip(known.T, past.T, strict=True):
        count, mean, tried = len(column), column.mean(), np.arange(1, len(past) + 1)
        variances = np.cumprod(1 - np.square(pacf_burg(column, len(past))[0][1:]))
        criteria = count * np.log(variances) + 2 * (tried + 1) * count / (count - tried - 3)
        weights = burg_of_statsmodels(column, tried[np.argmin(criteria)])[0]
        rows = list(of_past - mean)
        for _ in range(horizon):
            rows.append(weights @ rows[: -len(weights) - 1 : -1])
        forecasts.append(np.array(rows[len(past) :]) + mean)
    return np.stack(forecasts, axis=1)


@pytest.mark.parametrize("names", ["change", "last", "mean", "season", "ar"])
@pytest.mark.parametrize("spread", [False, True])
def test_what_windows_are_measured_from(names, spread):
    # Of two targets, and a covariate that stays as it is.
    series, lookback, horizon, season = series_of(monthly()), 7, 15, 12
    transform = Transform(f"{names},spread" if spread else names)
    data = make_windows(series, lookback, horizon, transform=transform, dtype="float64")
    plain = make_windows(series, lookback, horizon, dtype="float64")
    y, first = series.y, data.test.target_rows[5, 0]
    past, ahead = y[first - lookback : first], y[first : first + horizon]
    as_they_are = names in ("change", "ar")
    level = 0 * y[0] if as_they_are else past.mean(axis=0) if names == "mean" else past[-1]
    repeated = y[first - season :][np.arange(horizon) % season]
    reference = {"mean": past.mean(axis=0), "season": repeated, "ar": iterated(y, data.split, past, horizon)}.get(
        names, past[-1]
    )
    scaled, targets = data.test.gather(np.array([5]))
    read = scaled[0, :, :2] * data.input_scaler.scale[0, :2]
    forecast = targets[0] * data.target_scaler.scale[0]
    if as_they_are:
        level = data.input_scaler.center[0, :2]
    if spread:
        width = np.maximum((past - level).std(axis=0) / data.input_scaler.scale[0, :2], 0.1)
        read, forecast = read * width, forecast * width
    np.testing.assert_allclose(read, past - level, atol=1e-9)
    np.testing.assert_allclose(forecast, ahead - reference, atol=1e-9)
    np.testing.assert_array_equal(scaled[0, :, 2], plain.test.gather(np.array([5]))[0][0, :, 2])
    # What remains is about as large as one in the training windows.
    _, targets = data.train.gather(np.arange(len(data.train)))
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(targets), axis=(0, 1))), 1, rtol=1e-6)


def test_anomalies_are_distances_from_the_mean_of_the_month():
    series = load_series("nino12")
    read = fitted_to("anomaly", series, 497).apply(Panel.of(series))
    means = series.frame[:497].groupby(series.index[:497].month)["sst"].mean()
    np.testing.assert_allclose(read[:, 0], series.y[:, 0] - means[series.index.month].to_numpy(), atol=1e-12)


def test_no_change_of_the_anomaly_is_the_baseline():
    # A model that forecasts no change at all gives climatology + last anomaly, or persistence, whatever the horizon.
    series = series_of(monthly(targets=1))
    for names, baseline in (
        ("anomaly,change", "climatology"), ("anomaly,last", "climatology"), ("anomaly,difference", "climatology"),
        ("difference", "persistence"), ("last", "persistence"), ("season", "seasonal-naive"),
    ):  # fmt: skip
        data = make_windows(series, 7, 4, transform=Transform(names), dtype="float64")
        nothing = (0 - data.target_scaler.center) / data.target_scaler.scale
        # Of the validation part, whose baseline learns from the training rows as the transform does.
        forecast = data.to_units(np.broadcast_to(nothing, (len(data.validation), 4, 1)), data.validation)
        expected = baseline_row(baseline, data).validation[0]
        np.testing.assert_allclose(forecast, expected)


@pytest.mark.parametrize("names", ["auto", *CHAINS, *SPREAD])
def test_nothing_after_a_cutoff_moves_what_is_learnt_or_read_before_it(names):
    frame = monthly()
    split = make_windows(series_of(frame)).split
    made = []
    for cutoff in (split.validation.item(), split.test.item()):
        changed = frame.copy()
        changed.iloc[cutoff:] = changed.iloc[cutoff:].to_numpy() * 7 + 100
        made.append([make_windows(series_of(f), transform=Transform(names), calendar=True) for f in (frame, changed)])
    (before, after), (known, with_test) = made
    assert before.transform.label == after.transform.label
    for scale in ("input_scaler", "target_scaler"):
        for number in ("center", "scale"):
            np.testing.assert_array_equal(
                getattr(getattr(before, scale), number), getattr(getattr(after, scale), number)
            )
    for one, other in zip(before.train.gather(np.arange(len(before.train))),
                          after.train.gather(np.arange(len(after.train))), strict=True):  # fmt: skip
        np.testing.assert_array_equal(one, other)
    # The test part moves nothing in the validation part, nor the first test forecast.
    seen = np.arange(len(known.validation))
    forecast = np.full((len(known.test), 1, 2), 0.1)
    for one, other in (
        (known.validation.gather(seen), with_test.validation.gather(seen)),
        (known.test.gather(np.array([0]))[:1], with_test.test.gather(np.array([0]))[:1]),
        ([known.to_units(forecast, known.test)[0]], [with_test.to_units(forecast, with_test.test)[0]]),
    ):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)


def test_steps_across_missing_dates_and_values_are_left_out():
    frame = monthly(rows=240)
    frame = frame.drop(frame.index[60:63])
    frame.iloc[100, 0] = np.nan
    series = series_of(frame, fill="mask", freq="MS")
    data = make_windows(series, 4, transform=Transform("difference"), dtype="float64")
    plain = make_windows(series, 4)
    starts = set(data.train.target_rows[:, 0])
    # The first row after a gap has no difference: one window less after each, and at the beginning.
    assert set(plain.train.target_rows[:, 0]) - starts == {4, 64, 105}
    assert 5 in starts
    x, y = data.train.gather(np.arange(len(data.train)))
    assert np.isfinite(x).all()
    assert np.isfinite(y).all()
    # The month of a row counts, not its number.
    anomalies = make_windows(series, 4, transform=Transform("anomaly"), dtype="float64")
    _, y = anomalies.test.gather(np.arange(len(anomalies.test)))
    np.testing.assert_allclose(anomalies.to_units(y, anomalies.test), anomalies.test_y)
    known = frame.iloc[: anomalies.split.validation.item()].dropna()
    np.testing.assert_allclose(
        anomalies.transform.steps[0].means, known.groupby(known.index.month)[["a", "b"]].mean().to_numpy()
    )


def test_a_target_that_is_named_as_a_feature_is_read_transformed():
    frame = monthly(targets=1)
    series = from_frame(frame, target="a", features=["f", "a"])
    data = make_windows(series, 3, transform=Transform("difference"), past_target=False, dtype="float64")
    x, _ = data.test.gather(np.arange(len(data.test)))
    rows = data.test.target_rows[:, :1] + np.arange(-3, 0)
    read = data.input_scaler.inverse(x)
    np.testing.assert_allclose(read[..., data.input_columns.index("a")], np.diff(frame["a"], prepend=0)[rows])
    np.testing.assert_allclose(read[..., data.input_columns.index("f")], frame["f"].to_numpy()[rows])


@pytest.mark.parametrize("step", ["5D-of-month", "h", "rows"])
def test_unusual_seasons(step):
    rng = np.random.default_rng(1)
    if step == "5D-of-month":
        days = pd.date_range("1990-01-01", "2001-12-31", freq="D")
        index, season = days[days.day.isin([1, 6, 11, 16, 21, 26])], 0
        phase, expected = (np.arange(len(index)) % 72), 72
    elif step == "h":
        index, season = pd.date_range("2020-01-01", periods=800, freq="h"), 24
        phase, expected = index.hour.to_numpy(), 24
    else:
        index, season = pd.RangeIndex(300), 11
        phase, expected = np.arange(300) % 11, 11
    y = 10 + 5 * np.sin(2 * np.pi * phase / expected) + rng.normal(0, 0.1, len(index))
    series = from_frame(pd.DataFrame({"y": y}, index))
    fitted = fitted_to("anomaly", series, 2 * len(y) // 3, season)
    assert fitted.label == f"anomaly (season {expected})"
    assert np.abs(fitted.apply(Panel.of(series))).std() < 0.2
    assert "season" in fitted_to("auto", series, 2 * len(y) // 3, season).label


def ar(rng, rows, coefficient):
    y = rng.normal(size=rows)
    for row in range(1, rows):
        y[row] += coefficient * y[row - 1]
    return y


def monthly_of(y, season=12):
    """A season that the dates show, and values."""
    t = np.arange(len(y))
    frame = pd.DataFrame({"y": y}, pd.date_range("1990-01-01", periods=len(y), freq="MS"))
    return from_frame(frame), np.sin(2 * np.pi * t / season)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        # A level that wanders is none to measure from; of a season that stays, distances from it are.
        (lambda rng, t: np.cumsum(rng.normal(size=len(t))), {"change", "last", "mean", "difference", "season"}),
        (lambda rng, t: 10 * np.sin(np.pi * t / 6) + ar(rng, len(t), 0.8), {"anomaly"}),
        # A season that grows with the level.
        (lambda rng, t: np.exp(0.02 * t + 0.5 * np.sin(np.pi * t / 6) + 0.02 * rng.normal(size=len(t))), {"log"}),
        (lambda rng, t: np.arange(float(len(t))), {"change", "last", "mean", "difference", "trend"}),
    ],
)
def test_auto(values, parts):
    series, _ = monthly_of(values(np.random.default_rng(3), np.arange(240)))
    data = make_windows(series, transform=Transform("auto"))
    assert parts & set(data.transform.name.split(","))


@pytest.mark.parametrize(
    ("name", "horizon"),
    [
        pytest.param(name, horizon, marks=[] if (at + number) % 3 == 0 else pytest.mark.thorough)
        for at, name in enumerate(["co2", "nino12", "walk", "zeros", "noise"])
        for number, horizon in enumerate([1, 6, 18])
    ],
)
def test_auto_is_about_as_good_as_what_it_was_chosen_among(name, horizon):
    rng = np.random.default_rng(0)
    made = {"walk": rng.normal(size=300).cumsum(), "zeros": rng.poisson(2.0, 300).astype(float),
            "noise": rng.normal(size=300)}  # fmt: skip
    series = monthly_of(made[name])[0] if name in made else load_series(name)
    data = make_windows(series, 12, horizon)
    trial = Trial.of(data.series, data.split, data.members, 12, horizon)
    best = trial.ranked[0]
    assert trial.errors[best] <= 1.1 * min([*trial.errors.values(), *trial.simple.values()])
    assert {"none", "change", "last", "mean"} <= set(trial.names)
    # One step ahead nothing is added up.
    assert any("difference" in tried for tried in trial.names) == (horizon == 1)
    assert any("log1p" in tried for tried in trial.names) == (name == "zeros")
    chosen = make_windows(series, 12, horizon, transform=Transform("auto")).transform
    assert (chosen.name if chosen else "none") == best


def test_auto_without_a_validation_part_goes_by_the_last_training_rows():
    series = load_series("co2")
    data = make_windows(series, transform=Transform("auto"), validation=0.0)
    changed = series.frame.copy()
    changed.iloc[data.split.stop.item() :] *= 3
    other = make_windows(from_frame(changed), transform=Transform("auto"), validation=0.0)
    assert data.transform.label == other.transform.label
    assert "difference" in data.transform.name


def test_auto_of_a_logarithm_that_a_later_row_does_not_allow():
    y = np.exp(np.random.default_rng(0).normal(size=300).cumsum() / 10)
    y[290] = -1
    data = make_windows(monthly_of(y)[0], transform=Transform("auto"))
    assert "log" not in data.transform.name


def test_auto_leaves_out_no_series_that_values_keep():
    # A short series has no room for a season before its windows.
    rng = np.random.default_rng(0)
    t = np.append(np.arange(120), np.arange(27))
    y = 9 + np.sin(t * np.pi / 6) + rng.normal(size=147) / 9
    panel = panel_from_frame(pd.DataFrame({"unique_id": np.repeat(["a", "b"], [120, 27]), "y": y}))
    plain = make_windows(panel, 12, 6, n_windows=1)
    data = make_windows(panel, 12, 6, n_windows=1, transform=Transform("auto", season=12))
    assert data.members.tolist() == plain.members.tolist() == [0, 1]


def test_single_days_of_a_climatology_are_smoothed():
    rng = np.random.default_rng(0)
    days = pd.date_range("1990-01-01", periods=365 * 8, freq="D")
    truth = 10 * np.sin(2 * np.pi * days.day_of_year.to_numpy() / 365.25)
    series = from_frame(pd.DataFrame({"y": truth + rng.normal(size=len(days))}, days))
    fitted = fitted_to("anomaly", series, 365 * 6, 365)
    phase = fitted.steps[0].cycle.phase
    missed = fitted.steps[0].means[phase[:365], 0] - truth[:365]
    # Means of six values miss by 0.4.
    assert np.sqrt(np.mean(missed**2)) < 0.2
    # The baseline is the same.
    data = make_windows(series, 5, 3, transform=Transform("anomaly,change", 365))
    zero = data.to_units(np.zeros((len(data.validation), 3, 1)), data.validation)
    np.testing.assert_allclose(zero, baseline_row("climatology", data, 365).validation[0])


def test_a_climatology_with_edges_is_not_smoothed():
    # Hours of a week with a peak at noon of each day: neighbouring hours differ.
    hours = pd.date_range("2020-01-01", periods=24 * 7 * 8, freq="h")
    y = 100.0 * (hours.hour == 12) + np.random.default_rng(0).normal(size=len(hours))
    fitted = fitted_to("anomaly", from_frame(pd.DataFrame({"y": y}, hours)), 24 * 7 * 6, 168)
    assert fitted.steps[0].means.max() > 95


def test_a_trend_is_the_line_of_the_training_part_and_goes_on():
    index = pd.date_range("1990-01-01", periods=100, freq="D")
    y = 3 + 2 * np.arange(100.0)
    y[80:] = 1000
    series = from_frame(pd.DataFrame({"y": y}, index))
    longer = extended(Panel.of(series), 3, "D")
    fitted = fitted_to("trend", longer, 80)
    read = fitted.apply(longer)
    np.testing.assert_allclose(read[:80], 0, atol=1e-8)
    np.testing.assert_allclose(read[80:100, 0], 1000 - (3 + 2 * np.arange(80, 100)))
    # Rows of steps to come lie on it too; rows without dates are counted.
    beyond = fitted.undo(np.zeros((1, 3, 1)), longer, np.array([[99, 100, 101]]))
    np.testing.assert_allclose(beyond[0, :, 0], [201, 203, 205])
    plain = fitted_to("trend", from_frame(pd.DataFrame({"y": y})), 80)
    np.testing.assert_allclose(plain.steps[0].slope, 2)


def test_auto_leaves_values_alone_where_their_past_is_not_to_be_read():
    series = series_of(monthly())
    assert fitted_to("auto", series, 150, past_target=False).name == "none"
    assert fitted_to("difference", series, 150, past_target=False).name == "difference"


def test_a_straight_line_is_forecast_by_its_mean_difference():
    series = from_frame(pd.DataFrame({"y": np.arange(100.0)}))
    data = make_windows(series, 5, 3, transform=Transform("difference"))
    np.testing.assert_allclose(data.to_units(np.zeros((len(data.test), 3)), data.test), data.test_y)


def test_skill_of_a_linear_model_rises_with_the_transform():
    # What a transform is for: least squares on 12 values, as a stand-in for a network.
    series = load_series("co2")
    errors = {}
    for names in ("none", "difference,anomaly"):
        data = make_windows(series, 12, transform=Transform(names), dtype="float64")
        x, y = data.train.gather(np.arange(len(data.train)))
        weights = np.linalg.lstsq(np.c_[x[..., 0], np.ones(len(x))], y[:, 0], rcond=None)[0]
        x, _ = data.validation.gather(np.arange(len(data.validation)))
        forecast = data.to_units(np.c_[x[..., 0], np.ones(len(x))] @ weights, data.validation)
        errors[names] = metrics.mae(series.y[data.validation.target_rows], forecast)
    assert errors["difference,anomaly"] < 0.8 * errors["none"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            "root",
            "received transform 'root', expected one of auto, none, log, anomaly, trend, difference, change",
        ),
        ("", "received transform '', expected one of"),
        ("none,log", "expected auto and none each on its own"),
        ("auto,log", "expected auto and none each on its own"),
        ("log,log", "expected each step once"),
        ("anomaly,log", "expected log as the first step"),
        ("log,log1p", "expected log as the first step"),
        ("change,anomaly", "and change as the last"),
        ("change,last", "and change as the last"),
        ("log,spread", "spread alone comes after that"),
        ("spread,last", "spread alone comes after that"),
    ],
)
def test_wrong_names(names, expected):
    with pytest.raises(ConfigError, match=expected):
        Transform(names)


def test_names():
    assert steps_of("none") == ()
    assert steps_of("log, difference") == ("log", "difference")
    assert fitted_to("none", load_series("nino12"), 100).label == "none"


def test_logarithms_of_what_has_none():
    frame = monthly(targets=1)
    frame.iloc[[20, 190], 0] = 0, -1
    with pytest.raises(DataError, match=r"2 rows with a target of zero or below \(first at 1991-11-01\)"):
        make_windows(series_of(frame), transform=Transform("log"))
    frame.iloc[[20, 190], 0] = np.nan
    assert make_windows(series_of(frame, fill="mask"), transform=Transform("log")).transform.name == "log"


def test_logarithms_where_there_are_zeros():
    frame = monthly(targets=1)
    frame.iloc[[20, 190], 0] = 0
    data = make_windows(series_of(frame), transform=Transform("log1p,last"), dtype="float64")
    _, y = data.test.gather(np.arange(len(data.test)))
    np.testing.assert_allclose(data.to_units(y, data.test), data.test_y, atol=1e-9)
    with pytest.raises(DataError, match=r"zero or below .* leave log out of transform, or give log1p"):
        make_windows(series_of(frame), transform=Transform("log"))
    frame.iloc[20, 0] = -1
    with pytest.raises(DataError, match="1 rows with a target of below zero"):
        make_windows(series_of(frame), transform=Transform("log1p"))


def test_a_spread_of_values_that_models_do_not_read():
    with pytest.raises(ConfigError, match="spread of windows whose past models do not read"):
        make_windows(series_of(monthly()), transform=Transform("last,spread"), past_target=False)


def test_a_season_that_is_longer_than_the_lookback():
    # It takes the rows of a season before a window, though models read fewer.
    series = series_of(monthly(rows=100, targets=1))
    data = make_windows(series, 4, 3, transform=Transform("season"))
    assert data.train.all_starts()[0] == 12
    assert make_windows(series, 14, 3, transform=Transform("season")).train.all_starts()[0] == 14


@pytest.mark.parametrize(
    ("series", "season", "expected"),
    [
        ("sunspots", 0, "its dates show no season"),
        ("nino12", 300, "497 training rows hold fewer than two seasons of 300"),
    ],
)
def test_anomalies_without_a_season(series, season, expected):
    with pytest.raises(ConfigError, match=expected):
        make_windows(load_series(series), transform=Transform("anomaly", season))


def test_a_season_of_the_users():
    assert fitted_to("anomaly", load_series("sunspots"), 200, 11).label == "anomaly (season 11)"


def test_too_short_for_differences():
    series = series_of(monthly(rows=100))
    assert len(make_windows(series, 66, 2).train) == 1
    with pytest.raises(DataError, match="received 68 training rows, expected at least 69 for lookback 66"):
        make_windows(series, 66, 2, transform=Transform("difference"))
    assert len(make_windows(series, 65, 2, transform=Transform("difference")).train) == 1


def test_forecasts_need_their_windows():
    data = make_windows(load_series("co2"), transform=Transform("difference"))
    with pytest.raises(ConfigError, match="without their windows"):
        data.to_units(np.zeros((len(data.test), 1)))


def test_forecasts_of_steps_to_come():
    series = series_of(monthly(targets=1))
    rows = len(series) + np.arange(3)[None]
    ahead = extended(Panel.of(series), 3, "MS")
    longer = Panel.of(series_of(pd.concat([series.frame, monthly(rows=210, targets=1).iloc[200:]])))
    one, other = (
        fitted_to("difference,anomaly", panel, 150).undo(np.ones((1, 3, 1)), panel, rows) for panel in (ahead, longer)
    )
    np.testing.assert_allclose(one, other)
