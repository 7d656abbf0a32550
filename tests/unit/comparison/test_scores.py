import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from utilsforecast.evaluation import evaluate
from utilsforecast.losses import mae

from kseq import (
    Comparison,
    ConfigError,
    baselines,
    compare,
    from_frame,
    load_series,
    make_windows,
    panel_from_frame,
)  # fmt: skip
from kseq.baselines import Skipped, baseline_row
from kseq.comparison.scores import Scores
from kseq.evaluation import metrics
from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.significance import cosine_test, differences
from kseq.preprocessing._runs import groups as global_groups
from kseq.preprocessing.auto_transform import Transform, Trial
from kseq.preprocessing.grid import season_of_panel, seasonal_scales
from kseq.preprocessing.transforms import lines_through
from kseq.report.plot import plot_predictions
from kseq.report.table import render

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

LENGTHS = (90, 100, 84, 96)


def monthly(lengths=LENGTHS, seed=0, **columns):
    """Monthly series of several lengths, scales and first months, with a season and two targets."""
    rng = np.random.default_rng(seed)
    parts = []
    for i, n in enumerate(lengths):
        months = pd.date_range(f"199{i % 9}-0{1 + i % 9}-01", periods=n, freq="MS")
        season = np.sin(months.month.to_numpy() * np.pi / 6) * (i + 1)
        y = season + rng.normal(size=n).cumsum() * 0.2 + 100 * i + 50
        parts.append(pd.DataFrame({"unique_id": f"s{i}", "ds": months, "y": y, "z": rng.normal(size=n)}))
    return pd.concat(parts, ignore_index=True).assign(**columns)


#: Dates and a value are missing.
GAPPED = monthly().drop(index=[30, 120, 121]).assign(y=lambda frame: frame["y"].where(frame.index != 230))


def scored(frame=None, horizon=2, **options):
    frame = monthly() if frame is None else frame
    data = make_windows(panel_from_frame(frame, target="y"), lookback=6, horizon=horizon, **options)
    return data, Scores(data, 12)


@pytest.mark.parametrize(("horizon", "validation"), [(1, 0.15), (3, 0.0)])
# DLinear is one model of all series.
@pytest.mark.parametrize("name", [name for name in baselines.BASELINES if name != "dlinear"])
def test_a_baseline_forecasts_each_series_as_it_does_alone(name, horizon, validation):
    panel = panel_from_frame(GAPPED, target=["y", "z"], fill="mask")
    options = {"lookback": 6, "horizon": horizon, "validation": validation}
    data = make_windows(panel, **options)
    row = baseline_row(name, data)
    assert row.remark is None
    assert row.kind == "baseline"
    for number, id in enumerate(panel.ids):
        alone = make_windows(panel.one(id), **options)
        own = baseline_row(name, alone, 12)
        test, seen = own.predictions[0], own.validation
        np.testing.assert_allclose(row.predictions[0, data.test.series == number], test, rtol=1e-7, atol=1e-7)
        if validation:
            np.testing.assert_allclose(
                row.validation[0, data.validation.series == number], seen[0], rtol=1e-7, atol=1e-7
            )
        else:
            assert row.validation is None


def test_a_series_that_does_not_allow_a_baseline_gets_persistence_and_it_is_said():
    panel = panel_from_frame(monthly((90, 24, 96)), target="y")
    data = make_windows(panel, lookback=3)
    short = data.test.series == 1
    persistence = baseline_row("persistence", data)
    for name, label in (("seasonal-naive", "Seasonal naive (12)"), ("climatology-ar", "Climatology + AR")):
        row = baseline_row(name, data)
        assert (row.predictions[0, short] == persistence.predictions[0, short]).all()
        assert not np.isclose(row.predictions[0, ~short], persistence.predictions[0, ~short]).all()
        assert row.remark.startswith(f"{label}: persistence in its place for 1 of 3 series (first: 's1', 1")
        assert row.remark.endswith("training rows hold fewer than two seasons of 12).")
    skipped = baseline_row("climatology", make_windows(panel_from_frame(monthly((24, 24)), target="y"), 3))
    assert skipped == Skipped("climatology", "16 training rows hold fewer than two seasons of 12")
    # Where dates show a season that no series holds twice, a comparison does without it.
    result = compare(panel_from_frame(monthly((24, 24)), target="y"), cells=(), lookback=3)
    assert [row.name for row in result.rows] == ["Persistence", "AR(3)", "ETS", "Theta", "DLinear"]


def test_exponential_smoothing_of_many_series_is_for_those_who_name_it(monkeypatch):
    monkeypatch.setattr("kseq.baselines.MOST_SERIES_ETS", 2)
    panel = panel_from_frame(monthly((40, 44, 48)), target="y")
    left_out = compare(panel, cells=(), lookback=3)
    assert "ETS" not in " ".join(row.name for row in left_out.rows)
    assert any(
        trap == "Left out of the baselines: ets (exponential smoothing is fitted one series after the other, and to "
        "more than 2 only where baselines names ets)."
        for trap in left_out.cautions
    )
    told = []
    named = compare(panel, cells=(), lookback=3, baselines=("ets",), progress=lambda *what: told.append(what))
    assert [row.name[:3] for row in named.rows] == ["ETS"]
    assert told == [("ETS, series by series", done, 3) for done in (1, 2, 3)]
    by_hand = baseline_row("ets", named.data)
    assert (by_hand.predictions == named.rows[0].predictions).all()


def test_an_unknown_baseline_and_too_long_a_season_are_told():
    data, _ = scored()
    with pytest.raises(ConfigError, match="received baseline 'magic'"):
        baseline_row("magic", data)
    skipped = baseline_row("climatology", data, season=40)
    assert skipped.reason.endswith("training rows hold fewer than two seasons of 40")


def test_nothing_after_its_origin_moves_a_baseline():
    frame = monthly()
    data, _ = scored(frame)
    middle = data.test.target_rows[len(data.test) // 2 + 3, 0]
    owner = int(data.series.series_of(np.array([middle]))[0])
    row = np.arange(len(frame))
    later = (row >= middle) & (row < data.series.borders[owner + 1])
    changed, _ = scored(frame.assign(y=frame["y"].where(~later, 1e4 + row % 7)))
    before = data.test.target_rows[:, 0] <= middle
    for name in ("persistence", "seasonal-naive", "climatology", "ar", "climatology-ar"):
        one, other = (baseline_row(name, windows).predictions[0] for windows in (data, changed))
        assert (one[before] == other[before]).all()
        assert (one != other).any()


def test_scales_are_those_of_each_series_alone():
    panel = panel_from_frame(GAPPED, target=["y", "z"], fill="mask")
    data = make_windows(panel, lookback=6)
    absolute, root = seasonal_scales(panel, data.split, data.members, 12)
    for number, id in enumerate(panel.ids):
        alone = panel.one(id).frame.asfreq("MS")[: panel.index[data.split.test[number] - 1]]
        y = alone[["y", "z"]].to_numpy()
        steps = y[12:] - y[:-12]
        steps = steps[~np.isnan(steps).any(axis=1)]
        np.testing.assert_allclose(absolute[number], np.abs(steps).mean(axis=0))
        np.testing.assert_allclose(root[number], np.sqrt(np.square(steps).mean(axis=0)))


def test_a_panel_has_the_season_of_most_of_its_series():
    data, _ = scored()
    assert season_of_panel(data.series, data.split, data.members) == 12
    numbered = make_windows(panel_from_frame(monthly()[["unique_id", "y"]]), lookback=6)
    assert season_of_panel(numbered.series, numbered.split, numbered.members) == 1


@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("metric", list(metrics.METRICS))
def test_scores_of_each_series_are_those_of_other_libraries(metric, by_step, scored_elsewhere):
    panel = panel_from_frame(monthly().assign(z=lambda frame: frame["z"] + 9), target=["y", "z"])
    data = make_windows(panel, lookback=6, horizon=3)
    scores = Scores(data, 12)
    rng = np.random.default_rng(1)
    forecasts = data.test_y + rng.normal(size=(2, *data.test_y.shape))
    found = scores.of_series(forecasts, metric, by_step)
    for number in range(len(LENGTHS)):
        which = data.test.series == number
        known = panel.y[panel.borders[number] : data.split.test[number]], 12
        for member, own in enumerate(forecasts[:, which]):
            if by_step:
                expected = [
                    scored_elsewhere(metric, data.test_y[which][:, [step]], own[:, [step]], *known) for step in range(3)
                ]
            else:
                expected = scored_elsewhere(metric, data.test_y[which], own, *known)
            np.testing.assert_allclose(found[member, number], expected, rtol=1e-9)
    np.testing.assert_allclose(scores.overall(forecasts, metric, by_step), found.mean(axis=1))


@pytest.fixture(scope="module")
def positive():
    """The last 60 of 160 values as windows of one step, all well above zero."""
    values = np.random.default_rng(11).uniform(5, 9, 160)
    return make_windows(from_frame(pd.DataFrame({"y": values})), lookback=6, test=60 / 160)


@pytest.mark.parametrize("season", [1, 7])
@pytest.mark.parametrize("metric", list(metrics.METRICS))
def test_scores_of_one_series_are_those_of_other_libraries(metric, season, positive, scored_elsewhere):
    forecasts = np.random.default_rng(12).uniform(5, 9, (3, 60, 1, 1))
    found = Scores(positive, season, asked=True).overall(forecasts, metric)
    expected = [scored_elsewhere(metric, positive.test_y, own, positive.series.y[:100], season) for own in forecasts]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(arrays("float64", 60, elements=st.integers(-1000, 1000).map(lambda number: number / 8)))
def test_bounds_of_metrics(positive, values):
    scores, forecasts = Scores(positive, 1), values.reshape(1, 60, 1, 1)
    mae, rmse, bias, smape = (scores.overall(forecasts, name)[0] for name in ("mae", "rmse", "bias", "smape"))
    assert 0 <= mae <= rmse * (1 + 1e-12)
    assert abs(bias) <= mae * (1 + 1e-12)
    assert 0 <= smape <= 200 * (1 + 1e-12)


def test_percentages_depend_on_the_origin_of_the_unit_and_absolute_errors_do_not():
    celsius = from_frame(pd.DataFrame({"y": 15 + 5 * np.sin(np.arange(100.0))}))
    kelvin = from_frame(pd.DataFrame({"y": celsius.frame["y"] + 273.15}))
    warm, cold = (make_windows(series, lookback=6) for series in (celsius, kelvin))
    found = [
        Scores(data, 1).overall(data.test_y[None] + 1, name)[0] for name in ("mape", "mae") for data in (warm, cold)
    ]
    assert found[0] > 15 * found[1]
    assert found[2] == pytest.approx(found[3])


def test_series_for_which_a_metric_means_nothing_are_left_out_of_it_and_counted():
    flat = monthly((60, 60, 60))
    flat["y"] = flat["y"].where(flat["unique_id"] != "s1", np.arange(len(flat)) % 12 - 5.0)
    data, scores = scored(flat)
    forecasts = data.test_y[None] + 1.0
    assert np.isnan(scores.of_series(forecasts, "mase")[0]).tolist() == [False, True, False]
    assert np.isnan(scores.of_series(forecasts, "mape")[0]).tolist() == [False, True, False]
    assert scores.overall(forecasts, "mase")[0] == pytest.approx(np.nanmean(scores.of_series(forecasts, "mase")))
    assert scores.notes == [
        "MAPE leaves out 1 of 3 series, which have values near zero or of both signs in the test part.",
        "MASE and RMSSE leave out 1 of 3 series, which repeat themselves exactly before the test part, or are too "
        "short.",
    ]
    (row,) = scores.evidence([ModelResult("x", forecasts, kind="baseline")]).rows
    assert row.score == pytest.approx(scores.overall(forecasts, "mase")[0])


def test_series_that_all_repeat_their_season_are_scaled_by_the_last_value():
    frame = monthly((60, 60)).assign(y=np.arange(120) % 12 + 1.0)
    _, scores = scored(frame)
    assert scores.season == 1


def test_the_loss_of_a_date_is_that_of_the_series_forecast_from_it():
    same = monthly((60, 60, 60))
    same["ds"] = np.tile(pd.date_range("2001-01-01", periods=60, freq="MS"), 3)
    data, scores = scored(same)
    forecasts = data.test_y + np.random.default_rng(2).normal(size=(2, *data.test_y.shape))
    losses = scores.losses(forecasts)
    scale = seasonal_scales(data.series, data.split, data.members, 12)[0][:, None]
    by_hand = np.abs(forecasts - data.test_y).reshape(2, 3, -1, 2, 1) / scale[:, None]
    np.testing.assert_allclose(losses, by_hand.mean(axis=(1, 3, 4)))
    # The test over time counts dates, not windows.
    other = scores.losses(forecasts + 1)
    assert losses.shape[1] == len(data.test) / 3
    row, worse = scores.evidence([ModelResult(name, made, seeds=(0, 1)) for name, made in
                                  (("a", forecasts), ("b", forecasts + 1))]).rows  # fmt: skip
    (pair,) = differences([row, worse], horizon=2)
    assert pair.p_time == pytest.approx(cosine_test(by_hand.mean(axis=1), other, horizon=2).p)


def test_losses_of_dates_average_to_the_overall_mase_whatever_the_dates():
    data, scores = scored()
    forecasts = data.test_y + np.random.default_rng(2).normal(size=(2, *data.test_y.shape))
    losses = scores.losses(forecasts)
    assert losses.shape[1] == len(data.test_cutoffs.unique())
    np.testing.assert_allclose(losses.mean(axis=1), scores.overall(forecasts, "mase"))


@pytest.mark.parametrize("transform", ["none", "anomaly", "log"])
def test_bounds_of_one_series_are_forecasts_and_an_error_to_the_last_digit(transform):
    series = load_series("nino12")
    steps = None if transform == "none" else Transform(transform)
    comparison = Comparison(make_windows(series, lookback=12, transform=steps))
    comparison.add_baselines(["persistence"])
    (row,) = comparison.rows
    for level, band in comparison.intervals(row).items():
        missed = np.sort(np.abs(row.validation[0] - series.y[comparison.data.validation.target_rows]).ravel())
        half = missed[int(np.ceil((len(missed) + 1) * level / 100)) - 1]
        assert (band.hi == row.predictions + half).all()
        assert (band.lo == row.predictions - half).all()


@pytest.mark.parametrize("name", ["table", "by_step"])
def test_intervals_of_a_row_are_made_once_however_many_metrics_and_steps_read_them(name, monkeypatch):
    comparison = Comparison(make_windows(panel_from_frame(monthly(), target=["y", "z"]), lookback=6, horizon=4))
    comparison.add_baselines(["persistence", "climatology"])
    made, make = [], Scores._intervals_of

    def counted(self, row, levels):
        made.append(row.name)
        return make(self, row, levels)

    monkeypatch.setattr(Scores, "_intervals_of", counted)
    assert getattr(comparison, name).filter(regex="coverage|width").notna().all(axis=None)
    # Once for the losses that rank the rows at most, and once for all columns.
    assert all(made.count(row.name) <= 2 for row in comparison.rows), made
    first, second = (comparison.intervals(row) for row in comparison.rows)
    assert (first[80].lo != second[80].lo).any()
    assert {*comparison.intervals("persistence")} == {80, 95}


def test_intervals_have_one_width_in_the_scale_of_each_series():
    data, scores = scored(horizon=1)
    row = baseline_row("persistence", data)
    (band,) = scores.intervals(row, [80]).values()
    widths = (band.hi - band.lo)[0, :, 0, 0]
    ratio = widths / data.target_scaler.scale[data.test.series, 0]
    np.testing.assert_allclose(ratio, ratio[0])
    missed = np.abs(row.validation[0] - data.series.y[data.validation.target_rows])[:, 0, 0]
    missed /= data.target_scaler.scale[data.validation.series, 0]
    assert ratio[0] / 2 == pytest.approx(np.sort(missed)[int(np.ceil((len(missed) + 1) * 0.8)) - 1])
    assert scores.intervals(ModelResult("x", row.predictions), [80]) == {}


@pytest.fixture(scope="module")
def result():
    panel = panel_from_frame(monthly(kind=np.repeat(list("abab"), LENGTHS)), target="y", static=["kind"], unit="°C")
    return compare(
        panel, cells=("rnn", "gru"), seeds=(0, 1), units=3, lookback=6, horizon=2, training={"epochs": 2},
        baselines=("persistence", "climatology"),
    )  # fmt: skip


def test_the_table_is_the_mean_over_series(result):
    by_series = result.by_series
    assert by_series["unique_id"].tolist() == [id for id in result.data.series.ids for _ in result.rows]
    means = by_series.groupby("model").mean(numeric_only=True)
    table = result.table.set_index("model")
    for metric in metrics.METRICS:
        np.testing.assert_allclose(means[metric].reindex(table.index), table[metric], rtol=1e-9)
    assert by_series["windows"].sum() == len(result.data.test) * len(result.rows)
    best = min(table["mase"][table["kind"] == "baseline"])
    np.testing.assert_allclose(table["skill"], 1 - table["mase"] / best)
    by_step = result.by_step.set_index(["model", "step"])
    gru = table["mase"]["GRU"]
    assert by_step["mase"]["GRU"].mean() == pytest.approx(gru)


def test_predictions_name_their_series_and_can_be_evaluated(result):
    forecasts = result.predictions
    assert forecasts["unique_id"].unique().tolist() == ["s0", "s1", "s2", "s3"]
    assert len(forecasts) == len(result.data.test) * 2
    found = evaluate(forecasts.drop(columns="cutoff"), metrics=[mae], models=["Persistence", "GRU (seed 1)"])
    by_series = result.by_series.set_index(["unique_id", "model"])["mae"]
    for _, line in found.iterrows():
        assert line["Persistence"] == pytest.approx(by_series[line["unique_id"], "Persistence"])
    first = forecasts[forecasts["unique_id"] == "s2"].iloc[0]
    panel = result.data.series
    border, test = panel.borders[2], result.data.split.test[2]
    assert first["ds"] == panel.index[test]
    assert first["cutoff"] == panel.index[test - 1]
    assert first["y"] == panel.y[test, 0]
    assert border < test


def test_a_verdict_on_a_panel_speaks_of_mase(result):
    table = result.table.set_index("model")
    words = render(result)
    assert "Each cell is one model for all 4 series" in words
    assert list(itertools.islice(words.split(), 6)) == ["model", "parameters", "MASE", "RMSSE", "MAE,", "°C"]
    assert "MASE of" in result.verdict[0] or "its MASE" in result.verdict[0]
    best = table["mase"][table["kind"] == "baseline"].min()
    assert f"{result.evidence.baseline.name}, the best baseline ({best:.3g}" in " ".join(result.verdict)
    assert result.record["series"]["series"] == 4
    assert result.record["windows"]["test"] == len(result.data.test)


def test_the_same_seed_gives_the_same_table(result):
    again = compare(result.data.series, result.settings)
    kept = [name for name in result.table if "seconds" not in name]
    pd.testing.assert_frame_equal(result.table[kept], again.table[kept])
    pd.testing.assert_frame_equal(result.predictions, again.predictions)


def test_a_picture_shows_a_few_series_or_those_that_are_chosen(result):
    titles = [axes.get_title(loc="left") for axes in plot_predictions(result).axes]
    assert len(titles) == 4
    errors = [float(title.split("MASE ")[1].split()[0]) for title in titles]
    assert errors == sorted(errors)
    (axes,) = result.plot(ids=["s2"]).axes
    assert axes.get_title(loc="left").startswith("s2: MASE")
    with pytest.raises(ConfigError, match="received series 'x', expected one of the 4 that are forecast"):
        result.plot(ids=["x"])


def test_a_single_series_has_no_table_by_series():
    series = panel_from_frame(monthly(), target="y").one("s0")
    assert compare(series, cells=(), baselines=("persistence",)).by_series.empty


def test_how_many_series_are_taken_at_a_time_changes_nothing(monkeypatch):
    panel = panel_from_frame(GAPPED, target=["y", "z"], fill="mask")

    def made():
        transform = Transform("trend,anomaly,change")
        data = make_windows(panel, lookback=6, horizon=2, transform=transform, calendar=True)
        which = np.arange(len(data.train))
        ones = np.ones((1, len(data.test), 2, 2))
        rows = [baseline_row(name, data).predictions for name in ("climatology", "ar", "climatology-ar")]
        return [
            *data.train.gather(which),
            data.to_units(ones, data.test),
            *seasonal_scales(panel, data.split, data.members, 12),
            *rows,
        ]

    together = made()
    for module in ("scalers", "grid", "transforms"):
        monkeypatch.setattr(f"kseq.preprocessing.{module}.groups", lambda lengths: global_groups(lengths, limit=100))
    monkeypatch.setattr("kseq.preprocessing.frame.CHUNK", 7)
    for one, other in zip(made(), together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_a_table_is_made_once_and_cannot_be_spoiled(result):
    table = result.table
    table.loc[0, "mase"] = -1.0
    assert result.table.loc[0, "mase"] > 0


def test_auto_takes_no_trend_off_a_panel():
    frame = monthly((240, 240), z=0.0)
    frame["y"] = np.random.default_rng(3).normal(size=480) + 0.01 * np.arange(480)
    panel = panel_from_frame(frame, target="y")
    for part, tried in ((panel.one("s1"), True), (panel, False)):
        data = make_windows(part)
        names = Trial.of(data.series, data.split, data.members, 12, 1).names
        assert any("trend" in name for name in names) == tried


def test_a_line_through_few_rows_is_flat():
    times, y = np.array([1.0, 2.0, 5.0, 6.0, 8.0, 7.0]), np.array([[3.0], [4.0], [1.0], [2.0], [4.0], [9.0]])
    start, slope = lines_through(times, y, np.array([0, 0, 1, 1, 1, 3]), 4)
    expected = np.polyfit(times[2:5], y[2:5, 0], 1)
    np.testing.assert_allclose(slope[:, 0], [0.0, expected[0], 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(start[:, 0], [3.5, expected[1], 0.0, 9.0])


def test_rows_of_one_time_have_no_slope():
    _, slope = lines_through(np.full(4, 2.0), np.arange(4.0)[:, None], np.zeros(4, int), 1)
    assert slope.item() == 0.0
