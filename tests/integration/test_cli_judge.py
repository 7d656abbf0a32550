"""``kseq judge``: files of forecasts in, the table, verdict and record of a comparison out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.cli import main

DATES = pd.date_range("2001-01-31", periods=96, freq="ME")

#: Columns that forecasts alone decide.
SCORES = (
    "mae", "mae_std", "rmse", "rmse_std", "mape", "smape", "mase", "mase_std", "rmsse", "r2", "bias", "skill", "group",
    "may_be_best", "coverage_80", "coverage_95", "width_80", "width_95", "wql",
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sales(ids=("a", "b")):
    """Long frames: rows before the forecasts, and forecasts of twelve months from four origins."""
    rng = np.random.default_rng(3)
    known, made = [], []
    for number, name in enumerate(ids):
        y = 50 * (number + 1) + 9 * np.sin(np.arange(96) * np.pi / 6) + rng.normal(0, 2, 96)
        known.append(pd.DataFrame({"unique_id": name, "ds": DATES, "y": y}))
        for start in range(48, 96, 12):
            rows = slice(start, start + 12)
            net = y[rows] + rng.normal(0, 1.5, 12)
            made.append(pd.DataFrame({"unique_id": name, "ds": DATES[rows], "cutoff": DATES[start - 1], "y": y[rows],
                                      "NHITS": net, "NHITS-lo-90": net - 3, "NHITS-hi-90": net + 3,
                                      "SeasonalNaive": y[start - 12 : start]}))  # fmt: skip
    return pd.concat(known), pd.concat(made)


def judged(*arguments):
    """Run the command and read back what it wrote."""
    assert main(["judge", *arguments, "--out", "out"]) == 0
    return pd.read_csv("out/table.csv").set_index("model"), json.loads(Path("out/run.json").read_text())


@pytest.mark.above_backends
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_of_forecasts_and_training_rows(ending, capsys):
    known, made = sales()
    for frame, name in ((known, "known"), (made, "made")):
        frame.to_csv(f"{name}.csv", index=False) if ending == "csv" else frame.to_parquet(f"{name}.parquet")
    table, record = judged(f"made.{ending}", "--train", f"known.{ending}")
    shown = capsys.readouterr().out
    assert (record["settings"]["horizon"], record["metric"]) == (12, "mase")
    assert "Each cell" not in shown
    assert "NHITS is on a par with SeasonalNaive" in shown
    assert "over 2 series and over 4 origin dates" in " ".join(shown.split())
    assert table["kind"].to_dict() == {"NHITS": "model", "SeasonalNaive": "baseline"}
    assert {"comparison.png", "predictions.csv", "series.csv", "table.md", "report.html"} <= set(record["files"])
    expected = kseq.judge(made, known).table.set_index("model")
    np.testing.assert_allclose(table["mase"], expected["mase"], rtol=1e-9)
    errors = (made["NHITS"] - made["y"]).abs().groupby(made["unique_id"]).mean().mean()
    assert table.loc["NHITS", "mae"] == pytest.approx(errors)
    inside = ((made["NHITS"] - made["y"]).abs() <= 3).groupby(made["unique_id"]).mean().mean()
    assert table.loc["NHITS", "coverage_90"] == pytest.approx(100 * inside)


@pytest.mark.above_backends
def test_season_and_metric_decide_scale_and_order():
    known, made = sales(("a",))
    # The bolder model misses less in most months, and by far in a few.
    made["bold"] = made["y"] + np.where(np.arange(len(made)) % 12 == 0, 12.0, 0.2)
    known.to_csv("known.csv", index=False)
    made.to_csv("made.csv", index=False)
    by_mae, _ = judged("made.csv", "--train", "known.csv", "--season", "12")
    by_rmse, record = judged("made.csv", "--train", "known.csv", "--season", "1", "--metric", "rmse")
    assert (by_mae["mae"].idxmin(), by_rmse["rmse"].idxmin()) == ("bold", "NHITS")
    assert record["settings"]["metric"] == "rmse"
    assert any("root mean squared error" in text.lower() or "rmse" in text.lower() for text in record["verdict"])
    y = known["y"].to_numpy()[:48]
    for table, season in ((by_mae, 12), (by_rmse, 1)):
        scale = np.abs(y[season:] - y[:-season]).mean()
        assert table.loc["NHITS", "mase"] == pytest.approx(table.loc["NHITS", "mae"] / scale)


@pytest.mark.above_backends
def test_baselines_are_those_that_are_named():
    _, made = sales(("a",))
    made.to_csv("made.csv", index=False)
    table, _ = judged("made.csv", "--baselines", "NHITS")
    assert table["kind"].to_dict() == {"NHITS": "baseline", "SeasonalNaive": "model"}


@pytest.mark.above_backends
@pytest.mark.parametrize("style", ["csv", "json"])
def test_the_table_alone_goes_to_standard_output(style, capsys):
    _, made = sales(("a",))
    made.to_csv("made.csv", index=False)
    assert main(["judge", "made.csv", "--format", style]) == 0
    shown = capsys.readouterr()
    assert "NHITS" in shown.out
    assert "NHITS beats SeasonalNaive" not in shown.out
    assert "NHITS beats SeasonalNaive" in shown.err


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        ("ds,y,Net\n2001-01-31,1,2\n", ["--metric", "mea"], "received --metric 'mea'"),
        ("ds,y,Net\n2001-01-31,1,2\n", ["--baselines", "ETS"], "received baselines ETS, expected some of Net"),
        ("ds,y,Net\n2001-01-31,1,2\n", ["--season", "-1"], "--season"),
        ("ds,y,Net\n2001-01-31,1,2\n2001-01-31,1,2\n", [], "points twice"),
        ("ds,Net\n2001-01-31,2\n", [], "without y and no training rows"),
        ("ds,y\n2001-01-31,2\n", [], "no column of forecasts"),
        ("y,Net\n1,2\n", [], "expected one of dates, ds"),
        ("ds,y,Net\nsoon,1,2\n", [], "soon"),
        ("", [], "made.csv"),
        (None, [], "made.csv"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_sentence(content, more, said, capsys, folder):
    if content is not None:
        (folder / "made.csv").write_text(content)
    assert main(["judge", "made.csv", *more]) != 0
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (folder / "out").exists()


@pytest.mark.above_backends
def test_its_folder_has_a_page_and_says_how_it_is_made_again(capsys):
    _, made = sales(("a",))
    made.to_csv("made.csv", index=False)
    judged("made.csv")
    assert main(["report", "out"]) == 0
    assert main(["reproduce", "out"]) != 0
    assert "forecasts that others made are judged again by kseq judge" in " ".join(capsys.readouterr().err.split())


@pytest.mark.above_backends
def test_its_own_inputs_are_not_overwritten(capsys, folder):
    _, made = sales(("a",))
    (folder / "out").mkdir()
    made.to_csv("out/predictions.csv", index=False)
    assert main(["judge", "out/predictions.csv", "--out", "out"]) != 0
    assert "predictions.csv" in capsys.readouterr().err
    assert pd.read_csv("out/predictions.csv")["NHITS"].tolist() == pytest.approx(made["NHITS"].tolist())


@pytest.mark.above_backends
@pytest.mark.parametrize("horizon", ["1", "3"])
def test_a_run_with_cells_judged_from_its_forecasts_equals_its_table(horizon, folder):
    rows = np.random.default_rng(1).normal(size=180).cumsum() + 5 * np.sin(np.arange(180) * np.pi / 6)
    pd.DataFrame({"date": pd.date_range("2001-01-01", periods=180, freq="MS"), "level": rows}).to_csv(
        "level.csv", index=False
    )
    plan = ["--csv", "level.csv", "--cells", "rnn,gru", "--units", "4", "--lookback", "6", "--epochs", "2",
            "--seeds", "2", "--season", "12", "--horizon", horizon, "--transform", "change",
            "--no-refit-on-validation", "--baselines", "persistence,seasonal-naive,ar"]  # fmt: skip
    assert main(["compare", *plan, "--out", "run"]) == 0
    table, record = judged("run/predictions.csv", "--train", "level.csv", "--season", "12")
    run = pd.read_csv("run/table.csv").set_index("model")
    first = json.loads((folder / "run/run.json").read_text())
    assert list(table.index) == list(run.index)
    assert table["kind"].tolist() == run["kind"].tolist()
    for column in SCORES:
        if column not in run:
            continue
        if pd.api.types.is_numeric_dtype(run[column]) and run[column].dtype != bool:
            np.testing.assert_allclose(table[column], run[column], rtol=1e-6, err_msg=column)
        else:
            assert table[column].tolist() == run[column].tolist(), column
    # What tests say is the same; what trainings took is not in a file of forecasts.
    said = [text for text in first["verdict"] if "p = " in text or "p < " in text or text.startswith("Use ")]
    assert [text for text in said if "validation part" not in text] == [
        text for text in record["verdict"] if text in said
    ]
    assert not any("No intervals" in text for text in record["traps"])


def test_compare_takes_a_file_of_forecasts_and_reproduce_makes_the_run_again(capsys, folder):
    rows = np.random.default_rng(1).normal(size=120).cumsum() + 5 * np.sin(np.arange(120) * np.pi / 6)
    pd.DataFrame({"date": pd.date_range("2001-01-01", periods=120, freq="MS"), "level": rows}).to_csv(
        "level.csv", index=False
    )
    plan = ["compare", "--csv", "level.csv", "--cells", "rnn", "--units", "2", "--epochs", "1", "--seeds", "1",
            "--baselines", "persistence", "--season", "12", "--transform", "none", "--lookback", "6"]  # fmt: skip
    assert main([*plan, "--out", "first"]) == 0
    made = pd.read_csv("first/predictions.csv")
    made = made[["unique_id", "ds", "cutoff", "y"]].assign(NHITS=made["y"] + 0.25)
    made.to_csv("theirs.csv", index=False)
    Path("plan.toml").write_text('[compare]\nwith = "theirs.csv"\n')
    assert main([*plan, "--config", "plan.toml", "--out", "run"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "NHITS wins among the models" in shown
    assert "Forecasts of others, from theirs.csv: NHITS." in shown
    record = json.loads(Path("run/run.json").read_text())
    assert record["with_forecasts"]["path"] == "theirs.csv"
    assert pd.read_csv("run/table.csv").set_index("model").loc["NHITS", "mae"] == pytest.approx(0.25)
    assert "NHITS" in pd.read_csv("run/predictions.csv")
    assert "NHITS" in Path("run/report.html").read_text()
    assert main(["reproduce", "run"]) == 0
    assert "Identical: all " in capsys.readouterr().out
    (folder / "theirs.csv").rename("moved.csv")
    for more, said in (
        ([], "theirs.csv, which does not exist here; bring it, or say where it is with --with"),
        (["--with", "level.csv"], "have changed since run/run.json was made: received SHA-256"),
    ):
        assert main(["reproduce", "run", *more]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert main(["reproduce", "run", "--with", "moved.csv"]) == 0
    assert main(["reproduce", "first", "--with", "moved.csv"]) == 2
    assert "received --with moved.csv for a run without forecasts of others" in capsys.readouterr().err
    made.assign(y=made["y"] + 1).to_csv("wrong.csv", index=False)
    assert main([*plan, "--with", "wrong.csv", "--out", "other"]) == 2
    assert "true values: received y" in capsys.readouterr().err
    assert not (folder / "other").exists()
