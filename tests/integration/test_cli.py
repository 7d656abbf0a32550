import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error, root_mean_squared_error

from kseq import load_series
from kseq.baselines import BASELINES
from kseq.cli import main

BACKEND = os.environ["KERAS_BACKEND"]
QUICK = ["compare", "--epochs", "2", "--seeds", "2", "--units", "4", "--baselines", "persistence,seasonal-naive"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compare_writes_what_it_says(here, capsys):
    assert main([*QUICK, "--out", "run"]) == 0
    printed = capsys.readouterr().out
    assert f"{BACKEND} " in printed.splitlines()[-1]
    assert "0.984" in printed
    assert sorted(path.name for path in (here / "run").iterdir()) == [
        "comparison.png", "history.csv", "history.png", "predictions.csv", "run.json", "table.csv", "table.md",
    ]  # fmt: skip
    table = pd.read_csv(here / "run/table.csv").set_index("model")
    cells = ["SimpleRNN", "LSTM", "GRU"]
    assert list(table.index) == [
        "Persistence", "Seasonal naive (12)", *cells, *(f"{cell} x2 mean" for cell in cells),
    ]  # fmt: skip
    forecasts = pd.read_csv(here / "run/predictions.csv")
    assert len(forecasts) == 147
    for model, line in table.iterrows():
        columns = [column for column in forecasts if column == model or column.startswith(f"{model} (seed")]
        assert len(columns) == (2 if line["kind"] == "cell" else 1)
        for name, score, factor in (
            ("mae", mean_absolute_error, 1),
            ("rmse", root_mean_squared_error, 1),
            ("mape", mean_absolute_percentage_error, 100),
        ):
            scores = [factor * score(forecasts["y"], forecasts[column]) for column in columns]
            assert np.mean(scores) == pytest.approx(line[name], rel=1e-9)
    history = pd.read_csv(here / "run/history.csv")
    assert history.groupby(["model", "seed"], sort=False)["epoch"].max().to_dict() == {
        (cell, seed): 2 for cell in cells for seed in (0, 1)
    }
    assert np.isfinite(history[["loss", "val_loss"]]).all(axis=None)
    record = json.loads((here / "run/run.json").read_text())
    assert record["backend"] == BACKEND
    assert record["device"] == "cpu" or record["device"]
    assert record["series"]["sha256"] == load_series("nino12").fingerprint
    assert record["settings"]["seeds"] == [0, 1]
    # What is said under the table stands in the files as well.
    text = " ".join(printed.split())
    written = (here / "run/table.md").read_text()
    assert record["verdict"]
    assert any("2 seeds say little" in trap for trap in record["traps"])
    for sentence in (*record["verdict"], *record["traps"]):
        assert sentence in text
        assert f"\n- {sentence}\n" in written


def test_same_seed_same_table(here):
    for out in ("one", "two"):
        assert main([*QUICK, "--cells", "gru,lstm", "--out", out]) == 0
    one, two = ((here / out / "predictions.csv").read_bytes() for out in ("one", "two"))
    assert one == two


def test_options_reach_the_model(here):
    arguments = [*QUICK, "--cells", "gru", "--members", "1", "--units", "6,3", "--bidirectional", "--dropout", "0.1",
                 "--horizon", "3", "--lookback", "8", "--out", "run", "--data", "co2"]  # fmt: skip
    assert main(arguments) == 0
    record = json.loads((here / "run/run.json").read_text())
    gru = next(model for model in record["models"] if model["name"] == "GRU")
    first = 2 * 3 * (1 * 6 + 6 * 6 + 2 * 6)
    second = 2 * 3 * (12 * 3 + 3 * 3 + 2 * 3)
    assert gru["parameters"] == first + second + 6 * 3 + 3
    assert gru["members_at_once"] == 1
    assert len(pd.read_csv(here / "run/predictions.csv")) == (106 - 2) * 3


def test_baselines_by_default_and_those_that_a_series_does_not_allow(here, capsys):
    arguments = ["compare", "--epochs", "2", "--seeds", "2", "--cells", "rnn", "--data", "sunspots", "--out", "run"]
    assert main(arguments) == 0
    text = "Left out of the baselines: seasonal-naive, climatology, climatology-ar (its dates show no season)."
    assert text in " ".join(capsys.readouterr().out.split())
    table = pd.read_csv(here / "run/table.csv")
    assert table["model"][table["kind"] == "baseline"].tolist() == ["Persistence", "AR(12)", "ETS(A,N,N)"]
    record = json.loads((here / "run/run.json").read_text())
    assert record["settings"]["baselines"] == list(BASELINES)


@pytest.mark.parametrize(("level", "bounds"), [("none", 0), ("90", 2), ("50,80,99", 4)])
def test_levels_of_intervals(here, level, bounds):
    # 88 validation months bound 80 %, and no 99 %.
    assert main([*QUICK, "--cells", "rnn", "--level", level, "--out", "run"]) == 0
    columns = pd.read_csv(here / "run/predictions.csv").columns
    assert sum(column.startswith("Persistence-") for column in columns) == bounds
    intervals = json.loads((here / "run/run.json").read_text())["models"][0]["intervals"]
    assert list(intervals) == [part for part in level.split(",") if part != "none"]


def test_help_names_every_baseline(capsys):
    assert main(["compare", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"of {', '.join(BASELINES)}" in text


def test_a_file_of_the_users_with_dates_in_columns(here):
    rows = "".join(f"{2000 + i // 12},{i % 12 + 1},{np.sin(i):.4f},{i % 5}\n" for i in range(120))
    (here / "mine.csv").write_text("a comment\nyear,month,temp deg C,other\n" + rows)
    arguments = [*QUICK, "--cells", "rnn", "--csv", "mine.csv", "--header", "1", "--time", "year,month",
                 "--target", "temp deg C", "--features", "other", "--no-past-target", "--out", "run"]  # fmt: skip
    assert main(arguments) == 0
    assert json.loads((here / "run/run.json").read_text())["series"]["inputs"] == ["other"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--backend", "theano"], "received backend 'theano'"),
        (["--device", "tpu"], "received device 'tpu'"),
        (["--cells", "rnn,elman"], "received cell 'elman'"),
        (["--data", "enso"], "received series 'enso'"),
        (["--csv", "none.csv"], "does not exist"),
        (["--data", "co2", "--csv", "none.csv"], "both --data and --csv"),
        (["--target", "sst"], "--target without --csv"),
        (["--units", "0"], "expected a whole number from 1"),
        (["--units", "2.5"], "expected a whole number from 1"),
        (["--seeds", "0"], "--seeds"),
        (["--lookback", "900"], "expected at least"),
        (["--learning-rate", "-1"], "received learning rate"),
        (["--baselines", "magic"], "received baseline 'magic'"),
        (["--baselines", "ar,ar"], "received baselines ar, ar, expected each once"),
        (["--cells", "gru,gru"], "received cells gru, gru, expected each once"),
        (["--scaler", "robust"], "received scaler 'robust'"),
        (["--level", "80,high"], "received 'high', expected percentages between 0 and 100"),
        (["--level", "80,100"], "expected percentages between 0 and 100"),
        (["--cells", "rnn,,gru"], "with commas between them"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(here, capsys, arguments, expected):
    assert main(["compare", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert list(here.iterdir()) == []


def test_a_folder_that_cannot_be_written(here, capsys):
    (here / "file").write_text("")
    assert main(["compare", "--out", "file/run"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_ctrl_c_leaves_nothing(here, monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kseq.training.fit", interrupt)
    assert main([*QUICK, "--out", "deep/run"]) == 130
    assert list(here.iterdir()) == []


def test_data_and_info(capsys):
    assert main(["data"]) == 0
    assert "1950-01 to 2010-12, monthly, n = 732" in capsys.readouterr().out
    assert main(["data", "--format", "json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["nino12", "co2", "sunspots"]
    assert main(["info"]) == 0
    assert f"{BACKEND} " in capsys.readouterr().out


@pytest.mark.parametrize("style", ["csv", "json"])
def test_formats_for_programs_print_the_table_alone(here, capsys, style):
    assert main([*QUICK, "--cells", "rnn", "--format", style, "--out", "run"]) == 0
    captured = capsys.readouterr()
    if style == "json":
        assert json.loads(captured.out)[0]["model"] == "Persistence"
    else:
        assert captured.out == (here / "run/table.csv").read_text()
    assert "Verdict\n  - " in captured.err


def test_markdown_is_what_the_file_holds(here, capsys):
    assert main([*QUICK, "--cells", "rnn", "--format", "markdown", "--out", "run"]) == 0
    captured = capsys.readouterr()
    assert captured.out == (here / "run/table.md").read_text()
    assert "**Verdict**" in captured.out
    assert "Verdict" not in captured.err


def test_importing_kseq_loads_no_framework():
    code = (
        "import sys, kseq, kseq.cli; "
        "sys.exit(bool({'keras', 'torch', 'tensorflow', 'jax', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_module_help():
    done = subprocess.run([sys.executable, "-m", "kseq.cli", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "compare" in done.stdout
