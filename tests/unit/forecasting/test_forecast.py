import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, DataError, Panel, Settings, from_frame, predict
from kseq.comparison import backtest
from kseq.comparison.auto import Choice
from kseq.comparison.backtest import cut_windows
from kseq.evaluation.intervals import half_width
from kseq.forecasting import model_file
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import covariates_ahead, forecast
from kseq.forecasting.score import evaluate
from kseq.preprocessing.splits import Split

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

QUICK = {"transform": "none", "units": 3, "lookback": 4, "training": {"epochs": 3, "learning_rate": 0.01}}
ROWS = 48


def monthly(rows=ROWS, first="2000-01-01", zone=None, **columns):
    y = 10 + np.random.default_rng(0).normal(size=rows).cumsum()
    return pd.DataFrame({"ds": pd.date_range(first, periods=rows, freq="MS", tz=zone), "y": y, **columns})


@pytest.fixture(scope="module")
def model():
    return fit_model(from_frame(monthly(), name="plant"), **QUICK)


@pytest.fixture(scope="module")
def with_covariates():
    noise = np.random.default_rng(1).normal(size=(2, ROWS + 6))
    frame = monthly(ROWS + 6, rain=noise[0], price=noise[1])
    frame.loc[ROWS:, ["y", "rain"]] = np.nan
    series = from_frame(frame, target="y", features=["rain"], future=["price"])
    return frame, fit_model(series, horizon=2, **QUICK)


def test_the_frame(model):
    made = forecast(model, 3, levels=(50, 80))
    assert made.frame.columns.tolist() == ["unique_id", "ds", "GRU", "GRU-lo-50", "GRU-hi-50", "GRU-lo-80", "GRU-hi-80"]
    assert set(made.frame["unique_id"]) == {"plant"}
    assert made.frame["ds"].tolist() == pd.date_range("2004-01-01", periods=3, freq="MS").tolist()
    for level in ("50", "80"):
        middle = (made.frame[f"GRU-lo-{level}"] + made.frame[f"GRU-hi-{level}"]) / 2
        assert middle.to_numpy() == pytest.approx(made.frame["GRU"].to_numpy())
    assert (made.frame["GRU-hi-80"] > made.frame["GRU-hi-50"]).all()


def test_steps_beyond_those_of_which_errors_are_known_have_no_intervals(model):
    # Of seven validation errors, four are needed for 80 %.
    made = forecast(model, 10, levels=(80,))
    assert np.isfinite(made.intervals[80].lo[0, :, 0]).tolist() == [True] * 4 + [False] * 6
    assert made.notes[-1] == "Intervals end at step 4: too few errors are known of later ones."
    assert np.isfinite(made.values).all()


def test_levels_by_default_are_those_that_are_known(model):
    made = forecast(model)
    assert list(made.intervals) == [80]
    assert made.notes == ("No 95 % interval: 7 validation errors bound at most 87.5 %: 95 % takes 19.",)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_steps_that_are_no_number(model, steps):
    with pytest.raises(ConfigError, match="expected a whole number from 1"):
        forecast(model, steps)


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        (95, "7 validation errors bound at most 87.5 %: 95 % takes 19"),
        (80.5, "half-widths are kept of whole percents from 1 to 99, and of levels named when the model was fitted"),
    ],
)
def test_levels_that_are_not_known(model, level, reason):
    with pytest.raises(ConfigError, match=f"received level {level:g}, and {reason}; give another level"):
        forecast(model, levels=(level,))


def test_newer_rows_follow_those_that_the_model_keeps(model):
    newer = monthly(ROWS + 3).iloc[ROWS:]
    alone = forecast(model, 2, rows=from_frame(newer))
    whole = forecast(model, 2, rows=from_frame(monthly(ROWS + 3)))
    assert np.array_equal(alone.values, whole.values)
    assert alone.dates.equals(whole.dates)
    assert alone.dates[0] == pd.Timestamp("2004-04-01")
    assert alone.notes[0] == "Forecasts start after 2004-03-01, the last of 3 rows of series."
    assert alone.history.index.equals(whole.history.index)


def test_newer_rows_count_where_both_have_one(model):
    changed = monthly().iloc[-2:].assign(y=[0.0, 1.0])
    made = forecast(model, rows=from_frame(changed))
    assert made.history.y[-3:, 0].tolist() == [*monthly()["y"].iloc[-3:-2], 0.0, 1.0]
    assert not np.array_equal(made.values, forecast(model).values)


def test_newer_rows_after_a_gap_stand_alone(model):
    late = monthly(5, "2010-01-01")
    made = forecast(model, rows=from_frame(late))
    assert made.history.stretches.tolist() == [[0, ROWS], [ROWS, ROWS + 5]]
    assert made.dates[0] == pd.Timestamp("2010-06-01")
    with pytest.raises(DataError, match="received 3 rows without missing dates or values before the first step"):
        forecast(model, rows=from_frame(late.iloc[:3]))


def test_missing_values_just_before_the_forecast(model):
    newer = monthly(ROWS + 5).iloc[ROWS:]
    newer.loc[ROWS + 3, "y"] = np.nan
    with pytest.raises(DataError, match="received 1 rows without missing dates or values"):
        forecast(model, rows=from_frame(newer, fill="mask"))


@pytest.mark.parametrize(
    ("frame", "target", "message"),
    [
        (monthly().rename(columns={"y": "x"}), "x", "received column 'y', expected one of: x"),
        (monthly().assign(z=monthly()["y"]), ["y", "z"], "received target y, z, expected y"),
        (monthly()[["y"]], "y", "received rows with no dates, expected dates"),
        (monthly(zone="Europe/Berlin"), "y", "rows with dates in Europe/Berlin, expected dates without"),
        (monthly().set_axis(range(ROWS)).assign(ds=pd.date_range("2004", periods=ROWS, freq="D")), "y",
         "received dates that are daily, expected monthly"),
        (monthly().assign(ds=pd.date_range("2004", periods=ROWS, freq="YS")), "y",
         "received dates that are yearly, expected monthly"),
    ],
)  # fmt: skip
def test_rows_of_another_kind(model, frame, target, message):
    with pytest.raises(DataError, match=message):
        forecast(model, rows=from_frame(frame, target=target))


def test_uneven_dates_of_another_step():
    days = np.cumsum(np.tile([4, 5, 6], 16))
    frame = monthly().assign(ds=pd.Timestamp("2000-01-01") + pd.to_timedelta(days, "D"))
    uneven = fit_model(from_frame(frame), refit=False, **QUICK)
    assert uneven.card.freq == ""
    later = frame.assign(ds=frame["ds"] + pd.Timedelta(241, "D"))
    assert np.isfinite(forecast(uneven, rows=from_frame(later)).values).all()
    with pytest.raises(DataError, match="expected 5 days"):
        forecast(uneven, rows=from_frame(later.assign(ds=pd.date_range("2000-08-28", periods=ROWS, freq="D"))))


def test_time_zones():
    dates = pd.date_range("2023-10-20", periods=ROWS, freq="h", tz="Europe/Berlin")
    frame = monthly().assign(ds=dates)
    model = fit_model(from_frame(frame), refit=False, **QUICK)
    made = forecast(model, 3)
    assert made.dates.equals(pd.date_range("2023-10-22", periods=3, freq="h", tz="Europe/Berlin"))
    in_utc = frame.assign(ds=dates.tz_convert("UTC"))
    again = forecast(model, 3, rows=from_frame(in_utc))
    assert str(again.dates.tz) == "Europe/Berlin"
    assert again.frame.equals(made.frame)


def test_covariates_of_the_steps_to_come(with_covariates):
    frame, model = with_covariates
    assert model.card.input_columns == ("y", "rain", "price[t+2]")
    # Prices of six steps came with the series; rain of the first two is needed for the third step on.
    assert np.isfinite(forecast(model, 2).values).all()
    with pytest.raises(DataError, match=r"'rain' is missing at 2 of 2 steps to come \(first: 2004-01-01\)"):
        forecast(model, 3)
    ahead = frame.iloc[ROWS:].assign(rain=1.0)
    made = forecast(model, 4, future=covariates_ahead(model.card, ahead, "ahead"))
    assert np.array_equal(made.values[:, :2], forecast(model, 2).values)
    other = forecast(model, 4, future=covariates_ahead(model.card, ahead.assign(rain=2.0), "ahead"))
    assert np.array_equal(made.values[:, :2], other.values[:, :2])
    assert not np.array_equal(made.values[:, 2:], other.values[:, 2:])
    dearer = forecast(model, 2, future=covariates_ahead(model.card, ahead.assign(price=9.0), "ahead"))
    assert not np.array_equal(made.values[:, :2], dearer.values)


def test_a_window_reads_the_covariates_of_its_own_steps(with_covariates):
    frame, model = with_covariates
    card = model.card
    past = frame.iloc[ROWS - 4 : ROWS]
    price = frame["price"].to_numpy()[ROWS - 2 : ROWS + 2]
    window = np.column_stack([past["y"], past["rain"], price])
    output = model.network(card.input_scaler.transform(window)[None].astype("float32"))
    expected = card.target_scaler.inverse(np.asarray(output.detach() if hasattr(output, "detach") else output)[0])
    assert forecast(model, 2).values[0, :, 0] == pytest.approx(expected[0], rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns=["rain", "price"]), "received column 'price', expected one of"),
        (lambda frame: frame.drop(columns="ds"), "found no column of dates"),
        (lambda frame: frame.assign(price="dear"), "column 'price' holds text"),
        (lambda frame: frame.iloc[:1], "'rain' is missing at 1 of 2 steps to come"),
        (lambda frame: frame.iloc[1:], "'rain' is missing at 1 of 2 steps"),
        (lambda frame: frame.assign(ds=frame["ds"].dt.tz_localize("UTC")), "dates with time zone UTC, expected None"),
    ],
)
def test_covariates_that_do_not_fit(with_covariates, change, message):
    frame, model = with_covariates
    with pytest.raises(DataError, match=message):
        forecast(model, 4, future=covariates_ahead(model.card, change(frame.iloc[ROWS:].assign(rain=1.0)), "ahead"))


def test_covariates_that_nobody_reads(model):
    with pytest.raises(ConfigError, match="the model reads none for them"):
        forecast(model, future=pd.DataFrame({"rain": [1.0]}))


def test_the_picture_shows_no_line_across_a_gap(model):
    made = forecast(model, rows=from_frame(monthly(5, "2010-01-01")))
    lines = {line.get_label(): line.get_ydata() for line in made.plot().axes[0].get_lines()}
    assert len(lines["known"]) == 5


def test_the_picture_shows_history_forecast_and_bands(model):
    made = forecast(model, 3, levels=(50, 80))
    axes = made.plot().axes
    assert len(axes) == 1
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == [
        "known", "GRU", "80 % interval", "50 % interval"
    ]  # fmt: skip
    drawn = {line.get_label(): line.get_ydata() for line in axes[0].get_lines()}
    assert drawn["known"].tolist() == made.history.y[-36:, 0].tolist()
    assert drawn["GRU"].tolist() == [made.history.y[-1, 0], *made.values[0, :, 0]]


def test_several_targets_have_axes_of_their_own():
    frame = monthly().assign(z=np.arange(ROWS))
    two = fit_model(from_frame(frame, target=["y", "z"], unit="m"), refit=False, **QUICK)
    assert [axes.get_ylabel() for axes in forecast(two).plot().axes] == ["y, m", "z, m"]


TRANSFORMS = [
    "none",
    "log",
    "anomaly",
    "difference",
    "anomaly,change",
    "difference,anomaly",
    "log,trend,change",
    "log1p,mean,spread",
    "anomaly,ar",
    "log1p,ar,spread",
    "season",
    "auto",
]


def seasonal(rows):
    y = 20 + 3 * np.sin(np.arange(rows) * np.pi / 6) + np.random.default_rng(0).normal(size=rows)
    return pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=rows, freq="MS"), "y": y})


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform(transform, tmp_path):
    settings = Settings(
        cells=("gru",), seeds=(0,), horizon=2, calendar=True, **{**QUICK, "transform": transform}
    )  # fmt: skip
    model = fit_model(from_frame(seasonal(60)), settings, refit=False)
    model = model_file.load(model_file.save(model, tmp_path / "model.keras"))

    # Forecasts are those of the windows that a comparison makes of all rows.
    whole = cut_windows(
        Panel.of(from_frame(seasonal(72))), settings, Split(*(np.array([row]) for row in (0, 51, 60, 60, 72)))
    )
    expected = predict(model.network, whole, whole.test)
    for rows in (seasonal(72), seasonal(72)[60:]):
        score = evaluate(model, from_frame(rows))
        assert score.comparison.rows[0].predictions == pytest.approx(expected, rel=1e-6)
    for origin in (60, 65, 70):
        values = forecast(model, rows=from_frame(seasonal(origin))).values
        assert values[0] == pytest.approx(expected[0, origin - 60], rel=1e-5)

    # Intervals beyond the horizon are those of forecasts from every origin of the validation part.
    errors = []
    for origin in range(51, 59):
        steps = min(4, (60 - origin) // 2 * 2)
        made = forecast(model, steps, rows=from_frame(seasonal(origin)), levels=()).values[0, :, 0]
        errors.append(np.abs(made - seasonal(60)["y"].to_numpy()[origin : origin + steps]))
    for step in range(4):
        known = np.array([error[step] for error in errors if len(error) > step])
        half = half_width(known[:, None, None], 60)[0, 0]
        assert model.card.half_widths.at(60, 4)[step, 0] * model.card.unit[0, 0] == pytest.approx(half, rel=1e-4)


def test_training_again_keeps_the_transform_that_was_chosen(monkeypatch):
    rows = []

    def choose(data, settings):
        rows.append(data.split.validation.item())
        return Choice("difference", 1, sentence="Transform difference, chosen.")

    monkeypatch.setattr(backtest, "choose", choose)
    model = fit_model(from_frame(seasonal(60)), **{**QUICK, "transform": "auto"})
    assert rows == [51]
    assert model.card.transform.name == "difference"
    assert model.card.refitted
    assert "Transform difference, chosen." in model.card.context.notes


def test_a_season_without_dates_needs_the_last_rows_of_the_training():
    frame = seasonal(72)[["y"]]
    model = fit_model(from_frame(frame[:60]), season=12, refit=False, **{**QUICK, "transform": "anomaly"})
    whole = forecast(model, 2, rows=from_frame(frame))
    some = forecast(model, 2, rows=from_frame(frame[31:]))
    assert np.array_equal(whole.values, some.values)
    assert some.dates.tolist() == [72, 73]
    with pytest.raises(
        DataError, match="received rows without dates of series 'series', expected among them the last 4"
    ):
        forecast(model, rows=from_frame(frame[60:]))


def test_a_season_that_the_calendar_does_not_know_goes_on_from_the_training():
    frame = seasonal(80)
    model = fit_model(from_frame(frame[:60]), season=7, refit=False, **{**QUICK, "transform": "anomaly"})
    alone = forecast(model, 2, rows=from_frame(frame[60:]))
    assert np.array_equal(alone.values, forecast(model, 2, rows=from_frame(frame)).values)
    early = seasonal(20).assign(ds=pd.date_range("1980-01-01", periods=20, freq="MS"))
    with pytest.raises(DataError, match="cannot tell where in the season of 7 the rows of series 'series' stand"):
        forecast(model, rows=from_frame(early))


def test_newer_values_without_a_logarithm():
    model = fit_model(from_frame(seasonal(60)), refit=False, **{**QUICK, "transform": "log"})
    with pytest.raises(DataError, match="1 rows with a target of zero or below"):
        forecast(model, rows=from_frame(seasonal(62)[60:].assign(y=[1.0, -1.0])))
