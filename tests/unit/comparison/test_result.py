import json

import numpy as np
import pandas as pd
import pytest
import utilsforecast.evaluation
import utilsforecast.losses

from kseq import (
    Comparison,
    ConfigError,
    Settings,
    compare,
    from_frame,
    load_series,
    make_windows,
)
from kseq.evaluation import metrics, significance
from kseq.evaluation.model_result import ModelResult

pytestmark = pytest.mark.above_backends


@pytest.fixture(scope="module")
def data():
    return make_windows(load_series("nino12"), lookback=6)


@pytest.fixture(scope="module")
def long_data():
    """Three steps ahead, of two targets."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        20 + generator.normal(size=(200, 2)).cumsum(axis=0) / 10,
        pd.date_range("2000-01-01", periods=200, freq="D"),
        ["a", "b"],
    )
    return make_windows(from_frame(frame, target=["a", "b"], name="pair"), lookback=5, horizon=3)


def trained(data, name, sizes=(0.5, 0.6, 0.7), seed=0, **known):
    """A cell whose members miss by so much, with forecasts of the validation part."""
    generator = np.random.default_rng(seed)

    def forecasts(y):
        return np.stack([y + size * generator.normal(size=y.shape) for size in sizes])

    return ModelResult(
        name,
        forecasts(data.test_y),
        seeds=tuple(range(len(sizes))),
        validation=forecasts(data.series.y[data.validation.target_rows]),
        **known,
    )


@pytest.fixture
def comparison(data):
    made = Comparison(data)
    made.add_baselines(["persistence", "climatology"])
    made.add(trained(data, "LSTM", parameters=100, seconds=6.0, epochs=(5, 6, 7), epoch_limit=7))
    made.add(trained(data, "GRU", (0.1, 0.12, 0.11), parameters=50, seconds=9.0, epochs=(5, 6, 6), epoch_limit=7))
    return made


def test_evidence_is_what_the_windows_and_rows_say(comparison, data):
    evidence = comparison.evidence
    assert [row.name for row in evidence.rows] == ["Persistence", "Climatology + last anomaly", "LSTM", "GRU"]
    lstm = evidence.rows[2]
    np.testing.assert_array_equal(lstm.errors, comparison.rows[2].predictions - data.test_y)
    assert (lstm.kind, lstm.seeds, lstm.parameters, lstm.seconds) == ("cell", (0, 1, 2), 100, 2.0)
    assert (lstm.epochs, lstm.epoch_limit) == ((5, 6, 7), 7)
    # The first test window is the month 585: what it knows last is the month before; networks saw the first 497.
    values = data.series.y[:, 0]
    assert evidence.last[0, 0] == values[584]
    assert (np.unique(evidence.low), np.unique(evidence.high)) == (values[:497].min(), values[:497].max())
    assert (evidence.lookback, evidence.unit) == (6, "°C")


def test_verdict_and_traps_follow_the_rows(comparison, data):
    assert comparison.verdict[0].startswith("GRU wins among the cells")
    assert comparison.verdict[-1].startswith("Use GRU: ")
    assert any(text.startswith("Stopped by the limit of epochs") for text in comparison.cautions)
    comparison.add(trained(data, "GRU", (3.0, 3.2, 3.1)))
    assert comparison.verdict[0].startswith("LSTM wins among the cells")
    # Persistence is left out of the best baseline, by which skill is counted.
    assert comparison.best.name == "Climatology + last anomaly"


def test_a_row_of_the_same_name_gives_way(comparison, data):
    comparison.add(trained(data, "LSTM", (0.2, 0.2)))
    assert [row.name for row in comparison.rows][-2:] == ["GRU", "LSTM"]
    assert len(comparison.rows) == 4
    assert comparison.table["seeds"].tolist() == [0, 0, 3, 2]


def test_groups_are_those_of_the_tests(comparison):
    table = comparison.table.set_index("model")
    rows = comparison.evidence.rows
    assert table["group"].to_dict() == significance.grouping(rows, significance.differences(rows))
    assert table.loc["GRU", "group"] == "a"
    assert table.loc["Persistence", "group"] not in table.loc["GRU", "group"]


def test_members_that_diverged_are_left_out_of_every_figure(data):
    # One member forecasts no number; another's loss was none, though the weights kept for it forecast well.
    lstm = trained(data, "LSTM", (0.5, 0.6, 0.7, 0.8))
    lstm.predictions[1, 5] = np.nan
    lstm.diverged = (3,)
    comparison = Comparison(data)
    comparison.add(lstm)
    (line,) = comparison.table.to_dict("records")
    assert comparison.intervals(comparison.rows[0])[80].lo.shape == (2, *data.test_y.shape)
    kept = [np.abs(lstm.predictions[number] - data.test_y).mean() for number in (0, 2)]
    assert line["mae"] == pytest.approx(np.mean(kept))
    assert (line["seeds"], line["diverged"]) == (2, 2)
    # Its column is empty, so that whoever reads the file knows of it.
    columns = comparison.predictions.filter(regex=r"\(seed \d\)$")
    assert list(columns) == [f"LSTM (seed {seed})" for seed in range(4)]
    assert columns.isna().all().tolist() == [False, True, False, True]
    assert comparison.evidence.rows[0].finite_seeds == (0, 2)
    assert "Diverged, and left out of tests and verdict: LSTM with 2 of 4 seeds." in comparison.cautions


def test_a_row_of_which_every_member_diverged(data, tmp_path):
    comparison = Comparison(data)
    comparison.add_baselines(["persistence"])
    lost = trained(data, "LSTM", (0.5, 0.6))
    lost.diverged = (0, 1)
    comparison.add(lost)
    line = comparison.table.iloc[1]
    assert np.isnan(line["mae"])
    assert line["group"] == ""
    assert comparison.best.name == "Persistence"
    comparison.write(tmp_path)
    assert "n/a" in (tmp_path / "table.md").read_text()


def test_record_is_strict_json(comparison, tmp_path):
    comparison.write(tmp_path)

    def refuse(constant):
        raise AssertionError(constant)

    record = json.loads((tmp_path / "run.json").read_text(), parse_constant=refuse)
    assert record["seconds"] is None
    assert record["verdict"] == comparison.verdict
    assert record["traps"] == comparison.cautions
    model = record["models"][2]
    assert model["mae"] == pytest.approx(comparison.scores(comparison.rows[2], "mae").tolist())
    assert model["group"] == comparison.table.loc[2, "group"]
    pairs = {(pair["better"], pair["worse"]): pair for pair in record["differences"]}
    assert len(pairs) == 6
    assert pairs["GRU", "LSTM"]["significant"] is True


def test_settings_refuse():
    with pytest.raises(ConfigError, match="received cell 'elman'"):
        Settings(cells=("elman",))
    assert Settings().seeds == tuple(range(10))
    with pytest.raises(ConfigError, match=r"received seeds \(1, 1\)"):
        Settings(seeds=(1, 1))
    with pytest.raises(ConfigError, match="received baseline 'magic', expected one of persistence, "):
        Settings(baselines=("magic",))
    with pytest.raises(ConfigError, match=r"received cells \('gru', 'gru'\), expected each once"):
        Settings(cells=("gru", "gru"))
    for levels in ((0,), (100,), (-5,), (float("nan"),), (80, 80)):
        with pytest.raises(ConfigError, match="expected percentages between 0 and 100, each once"):
            Settings(levels=levels)


@pytest.mark.parametrize("name", list(metrics.METRICS))
def test_metrics_are_means_over_seeds(comparison, data, name, scored_elsewhere):
    row, line = comparison.rows[2], comparison.table.iloc[2]
    # Months before the test part scale MASE and RMSSE, by their season.
    each = [scored_elsewhere(name, data.test_y, member, data.series.y[:585], 12) for member in row.predictions]
    assert line[name] == pytest.approx(np.mean(each))
    assert line[f"{name}_std"] == pytest.approx(np.std(each, ddof=1))
    assert np.isnan(comparison.table.iloc[0][f"{name}_std"])


def test_skill_is_against_the_best_baseline(comparison):
    table = comparison.table.set_index("model")
    assert table.loc["Climatology + last anomaly", "skill"] == 0
    assert table.loc["GRU", "skill"] == pytest.approx(
        1 - table.loc["GRU", "mae"] / table.loc["Climatology + last anomaly", "mae"]
    )
    assert table.loc["Persistence", "skill"] < 0


def test_without_a_baseline_there_is_no_skill(data):
    comparison = Comparison(data)
    comparison.add(trained(data, "GRU"))
    assert np.isnan(comparison.table.loc[0, "skill"])
    assert np.isnan(comparison.by_step.loc[0, "skill"])
    assert "No baseline stands beside the cells: nothing says whether training was worth it." in comparison.cautions


def test_season_scales_only_where_it_is_known(data):
    assert Comparison(data).season == 12
    assert Comparison(data, Settings(season=6)).season == 6
    asked = Comparison(data)
    asked.add_baselines(["seasonal-naive"], season=24)
    assert asked.season == 24
    # Two years and some months do not hold two seasons before the validation part.
    short = from_frame(pd.DataFrame({"y": np.arange(30.0) % 7}, pd.date_range("2000-01-01", periods=30, freq="MS")))
    assert Comparison(make_windows(short, lookback=3)).season == 1


def test_steps_of_the_horizon_apart(long_data):
    comparison = Comparison(long_data)
    comparison.add_baselines(["persistence"])
    comparison.add(trained(long_data, "GRU", (0.1, 0.2)))
    steps = comparison.by_step
    assert steps["model"].tolist() == ["Persistence"] * 3 + ["GRU"] * 3
    assert steps["step"].tolist() == [1, 2, 3, 1, 2, 3]
    second = steps.iloc[4]
    errors = comparison.rows[1].predictions[:, :, 1] - long_data.test_y[:, 1]
    each = np.sqrt(np.square(errors).mean(axis=(1, 2)))
    assert (second["rmse"], second["rmse_std"]) == (pytest.approx(each.mean()), pytest.approx(each.std(ddof=1)))
    # Several targets are ranked by MASE.
    assert second["skill"] == pytest.approx(1 - second["mase"] / steps.iloc[1]["mase"])
    # All steps have as many windows, so that the mean over steps is the mean over all.
    assert steps["mae"][3:].mean() == pytest.approx(comparison.table.loc[1, "mae"])
    # Errors of a forecast that stays where it is grow with every step.
    assert steps["mae"][:3].is_monotonic_increasing


def test_files_of_a_run(comparison, long_data, tmp_path):
    of_one_step = ["table.csv", "table.md", "predictions.csv", "comparison.png", "report.html", "run.json"]
    several = Comparison(long_data)
    several.add_baselines(["persistence"])
    of_targets = ["target-1-a.png", "target-2-b.png", "target-1-a.csv", "target-2-b.csv"]
    of_steps = [*of_one_step[:2], "horizon.csv", *of_one_step[2:]]
    assert [path.name for path in several.write(tmp_path)] == [*of_steps, *of_targets]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "horizon.csv"), several.by_step)
    # A later run in the same folder leaves nothing of the earlier one that is not its own.
    (tmp_path / "notes.txt").write_text("mine")
    with_cells = [*of_one_step[:4], "shift.png", *of_one_step[4:]]
    assert [path.name for path in comparison.write(tmp_path)] == with_cells
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*with_cells, "notes.txt"])


def test_a_failure_while_writing_leaves_what_was_there(comparison, tmp_path, monkeypatch):
    comparison.write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    comparison.seconds = 1.0

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kseq.storage.Disk.exchange", stop)
    with pytest.raises(KeyboardInterrupt):
        comparison.write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_without_a_name_is_refused(comparison, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match='received "" for a file or a folder'):
        comparison.write("")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_in_one_line(comparison, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(ConfigError, match="files cannot be written"):
        comparison.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_mean_of_members_is_a_row_of_its_own(data):
    comparison = Comparison(data)
    comparison.add_baselines(["persistence"])
    lstm = trained(data, "LSTM", (0.5, 0.6, 0.7), parameters=100, seconds=6.0, epochs=(5, 6, 7))
    lstm.diverged = (1,)
    comparison.add(lstm)
    comparison.add(trained(data, "GRU", (0.5,)))
    comparison.add_means()
    # One member has no mean.
    assert [row.name for row in comparison.rows] == ["Persistence", "LSTM", "GRU", "LSTM x2 mean"]
    mean = comparison.rows[-1]
    np.testing.assert_allclose(mean.predictions[0], lstm.predictions[[0, 2]].mean(axis=0))
    np.testing.assert_allclose(mean.validation[0], lstm.validation[[0, 2]].mean(axis=0))
    line = comparison.table.iloc[-1]
    assert (line["kind"], line["seeds"], line["diverged"], line["parameters"]) == ("ensemble", 2, 0, 200)
    assert line["mae"] == pytest.approx(np.abs(mean.predictions - data.test_y).mean())
    # Independent errors cancel.
    assert line["mae"] < comparison.table.loc[1, "mae"]
    assert np.isnan(line["mae_std"])
    assert "LSTM x2 mean" in comparison.predictions


def test_a_mean_with_a_diverged_member_is_of_numbers_alone(data):
    lstm = trained(data, "LSTM", (0.5, 0.6, 0.7))
    lstm.predictions[2] = np.nan
    lstm.validation[2] = np.nan
    mean = lstm.mean_of_members()
    assert mean.name == "LSTM x2 mean"
    assert mean.seeds == (0, 1)
    assert np.isfinite(mean.predictions).all()
    assert np.isfinite(mean.validation).all()


def test_baselines_that_a_series_does_not_allow_are_named(data):
    yearly = Comparison(make_windows(load_series("sunspots")))
    yearly.add_baselines()
    assert [row.name for row in yearly.rows] == ["Persistence", "AR(12)", "ETS(A,N,N)", "Theta", "DLinear"]
    assert (
        "Left out of the baselines: seasonal-naive, climatology, climatology-ar (its dates show no season)."
        in yearly.cautions
    )
    all_there = Comparison(data)
    all_there.add_baselines(["persistence", "climatology-ar"])
    assert not any("Left out" in text for text in all_there.cautions)


def test_a_baseline_that_cannot_be_fitted_does_not_stop_the_others(data, monkeypatch):
    def refuse(*given, **options):
        raise ValueError("no such start")

    monkeypatch.setattr("statsmodels.tsa.exponential_smoothing.ets.ETSModel.fit", refuse)
    comparison = Comparison(data)
    comparison.add_baselines(["ets", "persistence"])
    assert [row.name for row in comparison.rows] == ["Persistence"]
    assert (
        "Left out of the baselines: ets (exponential smoothing cannot be fitted to 585 training rows: no such start)."
        in comparison.cautions
    )


def test_learning_curves_of_every_member(data, tmp_path):
    loss = np.array([[3.0, 2.0, 1.0], [4.0, np.nan, np.nan], [5.0, np.nan, np.nan]])
    lstm = trained(data, "LSTM", epochs=(3, 1, 2), diverged=(2,), history={"loss": loss, "val_loss": loss + 1})
    unwatched = trained(data, "GRU", epochs=(1, 1, 1), history={"loss": loss[:, :1]})
    comparison = Comparison(data)
    comparison.add(lstm)
    comparison.add(unwatched)
    comparison.add_means()
    history = comparison.history
    assert list(history) == ["model", "seed", "epoch", "loss", "val_loss"]
    of_lstm = history[history["model"] == "LSTM"]
    # The last member's second epoch gave no number: that is where it diverged.
    assert of_lstm[["seed", "epoch"]].to_numpy().tolist() == [[0, 1], [0, 2], [0, 3], [1, 1], [2, 1], [2, 2]]
    np.testing.assert_array_equal(of_lstm["loss"], [3, 2, 1, 4, 5, np.nan])
    np.testing.assert_array_equal(of_lstm["val_loss"], [4, 3, 2, 5, 6, np.nan])
    assert history["val_loss"][history["model"] == "GRU"].isna().all()
    assert [path.name for path in comparison.write(tmp_path)][-4:] == [
        "history.csv", "history.png", "report.html", "run.json",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "history.csv"), history, check_dtype=False)


def test_intervals_are_of_what_each_member_missed_on_the_validation_part(long_data):
    comparison = Comparison(long_data, Settings(levels=(50, 80)))
    comparison.add(trained(long_data, "GRU", (0.1, 0.2)))
    row, y = comparison.rows[0], long_data.series.y
    missed = np.abs(row.validation - y[long_data.validation.target_rows])
    windows = missed.shape[1]
    rank = int(np.ceil((windows + 1) * 0.8)) - 1
    half = np.sort(missed, axis=1)[:, rank]
    band = comparison.intervals(row)[80]
    np.testing.assert_allclose(band.hi, row.predictions + half[:, None])
    np.testing.assert_allclose(band.lo, row.predictions - half[:, None])
    line = comparison.table.iloc[0]
    inside = np.abs(row.predictions - long_data.test_y) <= half[:, None]
    assert line["coverage_80"] == pytest.approx(100 * inside.mean())
    assert line["width_80"] == pytest.approx(2 * half.mean())
    assert line["width_50"] < line["width_80"]
    assert comparison.by_step.loc[2, "coverage_80"] == pytest.approx(100 * inside[:, :, 2].mean())
    assert comparison.by_step.loc[1, "width_80"] == pytest.approx(2 * half[:, 1].mean())
    # Twice the error gives twice the width, whichever the seed: the second member misses twice as much.
    assert half[1].mean() / half[0].mean() == pytest.approx(2, rel=0.3)


def test_bounds_stand_beside_each_forecast(data):
    comparison = Comparison(data)
    comparison.add_baselines(["climatology"])
    comparison.add(trained(data, "LSTM", (0.5, 0.6)))
    comparison.add(trained(data, "GRU", (0.3,)))
    comparison.add_means()

    def with_bounds(name):
        return [name, *(f"{name}-{side}-{level}" for level in (80, 95) for side in ("lo", "hi"))]

    frame = comparison.predictions
    assert list(frame)[4:] == [
        *with_bounds("Climatology + last anomaly"), "LSTM (seed 0)", "LSTM (seed 1)",
        *with_bounds("LSTM (seed 0)")[1:], *with_bounds("LSTM (seed 1)")[1:], *with_bounds("GRU"),
        *with_bounds("LSTM x2 mean"),
    ]  # fmt: skip
    band = comparison.intervals(comparison.rows[-1])[95]
    np.testing.assert_array_equal(frame["LSTM x2 mean-hi-95"], band.hi.ravel())
    covered = frame["y"].between(frame["GRU-lo-80"], frame["GRU-hi-80"]).mean()
    assert comparison.table.loc[2, "coverage_80"] == pytest.approx(100 * covered)


def test_packages_read_the_forecasts_and_their_bounds(comparison):
    comparison.add_means()
    frame = comparison.predictions
    scores = utilsforecast.evaluation.evaluate(
        frame, [utilsforecast.losses.mae, utilsforecast.losses.coverage], level=[80], models=["GRU x3 mean"]
    )
    own = comparison.table.set_index("model").loc["GRU x3 mean"]
    means = scores.groupby("metric")["GRU x3 mean"].mean()
    assert means["mae"] == pytest.approx(own["mae"])
    assert 100 * means["coverage_level80"] == pytest.approx(own["coverage_80"])
    # Bounds are not taken for models.
    every = utilsforecast.evaluation.evaluate(frame, [utilsforecast.losses.mae])
    assert not [column for column in every if "-lo-" in column or "-hi-" in column]
    assert len(every.columns) == 3 + 2 + 6 + 2


def test_no_intervals_without_a_validation_part_or_with_a_short_one(data):
    without = Comparison(make_windows(load_series("nino12"), validation=0))
    without.add_baselines(["persistence"])
    assert without.intervals(without.rows[0]) == {}
    assert np.isnan(without.table.loc[0, "coverage_95"])
    assert "No intervals: there is no validation part whose errors would bound them." in without.cautions
    # Twelve validation windows are enough for 80 %, not for 95 %.
    short = Comparison(make_windows(load_series("nino12"), validation=0.02))
    short.add_baselines(["persistence"])
    assert list(short.intervals(short.rows[0])) == [80]
    assert "Persistence-hi-80" in short.predictions
    assert "Persistence-hi-95" not in short.predictions
    assert any(text.startswith("No 95 % intervals: 12 validation errors bound at most") for text in short.cautions)
    none = Comparison(data, Settings(levels=()))
    none.add_baselines(["persistence"])
    assert list(none.predictions)[4:] == ["Persistence"]
    assert not any("intervals" in text for text in (*none.cautions, *without.table, *none.table))


def test_forecasts_of_another_validation_part_are_refused(data):
    result = trained(data, "GRU")
    result.validation = result.validation[:, :-1]
    with pytest.raises(ConfigError, match=r"received forecasts of shape \(3, 87, 1, 1\) for 'GRU', expected \(3, 88, "):
        Comparison(data).add(result)


def test_a_wrong_budget_is_told_before_any_work():
    with pytest.raises(ConfigError, match="received epochs 0, expected a whole number from 1"):
        compare(load_series("nino12"), training={"epochs": 0}, progress=lambda *told: pytest.fail("trained"))


def test_baselines_alone_need_no_network(tmp_path):
    comparison = compare(load_series("nino12"), cells=(), baselines=("persistence", "climatology"))
    assert [row.kind for row in comparison.rows] == ["baseline"] * 2
    assert comparison.verdict == []
    assert "Verdict" not in comparison.write(tmp_path)[1].read_text()


def test_settings_come_whole_or_one_by_one():
    with pytest.raises(ConfigError, match="received settings and also lookback, expected one or the other"):
        compare(load_series("nino12"), Settings(), lookback=6)
