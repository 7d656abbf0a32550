import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error, root_mean_squared_error

from kseq import load_series
from kseq.baselines import BASELINES
from kseq.cli import main

pytestmark = pytest.mark.long

BACKEND = os.environ["KERAS_BACKEND"]
REFITTED = ["compare", "--epochs", "2", "--seeds", "2", "--units", "4", "--baselines", "persistence,seasonal-naive",
            "--transform", "none"]  # fmt: skip
QUICK = [*REFITTED, "--no-refit-on-validation"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.pictures
def test_compare_writes_what_it_says(here, capsys):
    assert main([*REFITTED, "--out", "run"]) == 0
    printed = capsys.readouterr().out
    assert f"{BACKEND} " in printed.splitlines()[-1]
    assert "0.984" in printed
    assert sorted(path.name for path in (here / "run").iterdir()) == [
        ".jobs", "comparison.png", "history.csv", "history.png", "predictions.csv", "report.html", "run.json",
        "shift.png", "table.csv", "table.md",
    ]  # fmt: skip
    table = pd.read_csv(here / "run/table.csv").set_index("model")
    cells = ["SimpleRNN", "LSTM", "GRU"]
    assert list(table.index) == [
        "Persistence", "Seasonal naive (12)", *cells, *(f"{cell} x2 mean" for cell in cells),
    ]  # fmt: skip
    forecasts = pd.read_csv(here / "run/predictions.csv")
    assert len(forecasts) == 147
    for model, line in table.iterrows():
        columns = [column for column in forecasts if column == model or re.fullmatch(rf"{model} \(seed \d+\)", column)]
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
        assert main([*REFITTED, "--cells", "gru", "--out", out]) == 0
    one, two = ((here / out / "predictions.csv").read_bytes() for out in ("one", "two"))
    assert one == two


@pytest.mark.above_backends
def test_options_reach_the_model(here):
    arguments = [*QUICK, "--cells", "gru", "--members", "1", "--units", "6,3", "--bidirectional", "--dropout", "0.1",
                 "--horizon", "3", "--lookback", "8", "--skip", "none", "--out", "run", "--data", "co2"]  # fmt: skip
    assert main(arguments) == 0
    record = json.loads((here / "run/run.json").read_text())
    gru = next(model for model in record["models"] if model["name"] == "GRU")
    first = 2 * 3 * (1 * 6 + 6 * 6 + 2 * 6)
    second = 2 * 3 * (12 * 3 + 3 * 3 + 2 * 3)
    assert gru["parameters"] == first + second + 6 * 3 + 3
    assert gru["members_at_once"] == 1
    assert len(pd.read_csv(here / "run/predictions.csv")) == (106 - 2) * 3


@pytest.mark.above_backends
def test_baselines_by_default_and_those_that_a_series_does_not_allow(here, capsys):
    arguments = ["compare", "--epochs", "1", "--seeds", "1", "--units", "2", "--cells", "rnn", "--data", "sunspots",
                 "--transform", "none", "--no-refit-on-validation", "--out", "run"]  # fmt: skip
    assert main(arguments) == 0
    text = "Left out of the baselines: seasonal-naive, climatology, climatology-ar (its dates show no season)."
    assert text in " ".join(capsys.readouterr().out.split())
    table = pd.read_csv(here / "run/table.csv")
    assert table["model"][table["kind"] == "baseline"].tolist() == [
        "Persistence",
        "AR(12)",
        "ETS(A,N,N)",
        "Theta",
        "DLinear",
    ]
    record = json.loads((here / "run/run.json").read_text())
    assert record["settings"]["baselines"] is None, "nobody has named them"


@pytest.mark.above_backends
@pytest.mark.parametrize(("level", "bounds"), [("none", 0), ("90", 2), ("50,80,99", 4)])
def test_levels_of_intervals(here, level, bounds):
    # 88 validation months bound 80 %, and no 99 %.
    assert main([*QUICK, "--cells", "rnn", "--level", level, "--out", "run"]) == 0
    columns = pd.read_csv(here / "run/predictions.csv").columns
    assert sum(column.startswith("Persistence-") for column in columns) == bounds
    intervals = json.loads((here / "run/run.json").read_text())["models"][0]["intervals"]
    assert list(intervals) == [part for part in level.split(",") if part != "none"]


@pytest.mark.above_backends
def test_help_names_every_baseline(capsys):
    assert main(["compare", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"of {', '.join(BASELINES)}" in text


@pytest.mark.above_backends
def test_a_file_of_the_users_with_dates_in_columns(here):
    rows = "".join(f"{2000 + i // 12},{i % 12 + 1},{np.sin(i):.4f},{i % 5}\n" for i in range(120))
    (here / "mine.csv").write_text("a comment\nyear,month,temp deg C,other\n" + rows)
    arguments = [*QUICK, "--cells", "rnn", "--csv", "mine.csv", "--header", "1", "--time", "year,month",
                 "--target", "temp deg C", "--features", "other", "--no-past-target", "--out", "run"]  # fmt: skip
    assert main(arguments) == 0
    assert json.loads((here / "run/run.json").read_text())["series"]["inputs"] == ["other"]


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--backend", "theano"], "received backend 'theano', expected one of torch, tensorflow, jax"),
        (["--device", "tpu"], "received device 'tpu', expected cpu or gpu"),
        (["--cells", "rnn,elman"], "received cell 'elman', expected one of rnn, lstm, gru"),
        (["--cells", "rnn,,gru"], "with commas between them"),
        (["--cells", "gru,gru"], "received gru,gru, expected each once"),
        (["--data", "enso"], "received series 'enso', expected one of nino12, co2, sunspots"),
        (["--csv", "none.csv"], "none.csv, which does not exist; expected a CSV file"),
        (["--csv", "."], "received --csv ., which is a folder; expected a CSV file"),
        (["--data", "co2", "--csv", "none.csv"], "both --data and --csv"),
        (["--target", "sst"], "--target without --csv"),
        (["--fill", "linear"], "--fill without --csv"),
        (["--units", "64,0"], "received 0, expected a whole number from 1"),
        (["--units", "64,32", "--layers", "3"], "received --units (64, 32) for 3 layers, expected one number a layer"),
        (["--lookback", "900"], "received a series of 732 rows, expected at least 1325"),
        (["--horizon", "400"], "received a series of 732 rows, expected at least"),
        (["--test-share", "1"], "'--test-share': received 1, expected a number between 0 and 1"),
        (["--test-share", "nan"], "'--test-share': received nan, expected a number between"),
        (["--validation-share", "-1"], "'--validation-share': received -1, expected 0 or a number between 0 and 1"),
        (["--dropout", "1"], "received 1, expected 0 or a number between 0 and 1."),
        (["--learning-rate", "-1"], "'--learning-rate': received -1, expected a number from 1e-37 to 1e+38"),
        (["--learning-rate", "nan"], "'--learning-rate': received nan, expected a number from"),
        (["--baselines", "magic"], "received baseline 'magic'"),
        (["--baselines", "ar,ar"], "received ar,ar, expected each once"),
        (["--scaler", "robust"], "received --scaler 'robust'"),
        (["--level", "80,high"], "received '80,high', expected percentages between 0 and 100"),
        (["--level", "80,100"], "expected percentages between 0 and 100"),
        (["--no-past-target"], "received past_target=False and no features"),
        *(
            ([f"--{name}", value], f"'--{name}': received {value}, expected a whole number from {least}.")
            for least, names in (
                (1, ("lookback", "horizon", "units", "layers", "epochs", "seeds")),
                (0, ("batch-size", "patience", "first-seed", "members", "season", "header")),
            )
            for name in names
            for value in (str(least - 1), "2.5", "many")
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(here, capsys, arguments, expected):
    assert main(["compare", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert list(here.iterdir()) == []


def test_a_backend_that_is_not_installed(here, capsys, monkeypatch):
    missing = next(name for name in ("torch", "jax") if name != BACKEND)
    monkeypatch.setattr("kseq.backends.installed", lambda: {BACKEND: "1.0"})
    assert main(["compare", "--backend", missing]) == 2
    message = capsys.readouterr().err
    assert message == (
        f"kseq: backend '{missing}' is not installed (installed: {BACKEND}); pip install 'kseq[{missing}]'.\n"
    )
    assert list(here.iterdir()) == []


def test_a_gpu_that_is_not_there(here, capsys, monkeypatch):
    monkeypatch.setattr("kseq.backends.devices", lambda backend: ["cpu"])
    assert main(["compare", "--device", "gpu"]) == 2
    assert f"{BACKEND} sees no GPU here; use --device cpu" in capsys.readouterr().err
    assert list(here.iterdir()) == []


HEAD = "date,sst,wind"
MONTHS = [f"{1990 + i // 12}-{i % 12 + 1:02}-01,{20 + np.sin(i):.3f},{i % 7}" for i in range(120)]


def lines(row=None, text="", *, head=HEAD):
    """A file of ten years, with another text in one of its rows."""
    rows = MONTHS if row is None else [*MONTHS[:row], text, *MONTHS[row + 1 :]]
    return "\n".join([head, *rows]) + "\n"


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("content", "arguments", "expected"),
    [
        ("", [], "mine.csv is empty; expected a header line and one row a time step"),
        (" \n\n", [], "mine.csv is empty"),
        (b"\x89PNG\r\n\0\0", [], "mine.csv is a binary file; expected text"),
        ("caf\u00e9,sst\n1,2\n".encode("latin-1"), [], "mine.csv is not UTF-8 text"),
        (HEAD + "\n", [], "mine.csv has a header and no rows"),
        ("1,2,3\n4,5,6\n", [], "mine.csv has numbers where its column names should be"),
        (lines(), ["--header", "900"], "mine.csv has no table under line 900"),
        (lines(), ["--header", "1"], "mine.csv has numbers where its column names should be (1990-01-01, 20.000"),
        (lines(), ["--target", "depth"], "received column 'depth', expected one of: date, sst, wind"),
        (lines(), ["--features", "depth"], "received column 'depth', expected one of: date, sst, wind"),
        (lines(), ["--time", "depth"], "received column 'depth', expected one of: date, sst, wind"),
        (lines(50, "1994-03-01,warm,1"), [], "column 'sst' holds text ('warm' in row 50, 1 in all), expected numbers"),
        (lines(50, "1994-03-01,inf,1"), [], "1 infinite values (first in column 'sst', 1994-03-01)"),
        (lines(50, "1994-03-01,,1"), [], "1 missing value in column 'sst' (at 1994-03-01), expected none; give --fill"),
        (
            lines(0, "1990-01-01,20,"),
            ["--features", "wind", "--fill", "linear"],
            "starts with missing values, which --f",
        ),
        (lines(50, "1994-03-01,,1"), ["--fill", "zero"], "'zero' is not one of 'linear', 'ffill'"),
        (lines(50, "1989-01-01,20,1"), [], "dates are not in order (first: 1989-01-01 stands after 1994-02-01)"),
        (lines(50, MONTHS[49]), [], "1 dates stand twice (first: 1994-02-01)"),
        (lines(50, "soon,20,1"), [], "column date does not read as dates"),
        (lines(50, ",20,1"), [], "no date in row 50 of column date"),
        ("\n".join([HEAD, *MONTHS[:12]]), [], "received a series of 12 rows, expected at least 19 for lookback 12"),
        (
            "\n".join([HEAD, *(f"{m[:10]},20,1" for m in MONTHS)]),
            [],
            "target 'sst' is constant (20 in all 120 rows from 1990-01-01 on)",
        ),
    ],
)
def test_a_bad_file_is_one_line_and_leaves_nothing(here, capsys, content, arguments, expected):
    (here / "mine.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    target = [] if "--target" in arguments else ["--target", "sst"]
    assert main(["compare", "--csv", "mine.csv", *target, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert [path.name for path in here.iterdir()] == ["mine.csv"]


@pytest.mark.above_backends
@pytest.mark.parametrize(("fill", "expected"), [("linear", 4.0), ("ffill", 4.0)])
def test_missing_values_are_filled_as_asked(here, fill, expected):
    rows = [f"{m[:10]},{i % 9 + 1},1" for i, m in enumerate(MONTHS)]
    # In the test part: a value between 4 and 6 is missing.
    rows[112] = "1999-05-01,,1"
    (here / "mine.csv").write_text("\n".join([HEAD, *rows]))
    arguments = ["--csv", "mine.csv", "--target", "sst", "--fill", fill, "--cells", "rnn", "--out", "run"]
    assert main([*QUICK, *arguments]) == 0
    forecasts = pd.read_csv(here / "run/predictions.csv").set_index("ds")
    assert forecasts["y"]["1999-05-01"] == expected


@pytest.mark.above_backends
def test_progress_says_cell_seeds_and_epoch(here, capsys, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda console: True))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*QUICK, "--cells", "rnn", "--out", "run"]) == 0
    shown = capsys.readouterr().err
    assert "SimpleRNN, seeds 0-1" in shown
    assert "epoch 2/2" in shown


@pytest.mark.above_backends
def test_ten_seeds_by_default(here):
    arguments = ["compare", "--cells", "rnn", "--epochs", "1", "--units", "1", "--baselines", "persistence"]
    assert main([*arguments, "--transform", "none", "--no-refit-on-validation", "--out", "run"]) == 0
    assert json.loads((here / "run/run.json").read_text())["models"][1]["seeds"] == list(range(10))


@pytest.mark.above_backends
def test_a_folder_that_cannot_be_written(here, capsys):
    (here / "file").write_text("")
    assert main(["compare", "--out", "file/run"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_ctrl_c_leaves_nothing(here, monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kseq.comparison.jobs.fit", interrupt)
    assert main([*QUICK, "--out", "deep/run"]) == 130
    assert list(here.iterdir()) == []


@pytest.mark.above_backends
def test_data_and_info(capsys, monkeypatch):
    # Each backend is asked in a process of its own.
    monkeypatch.setattr("kseq.backends.installed", lambda: {BACKEND: "1.0"})
    assert main(["data"]) == 0
    assert "1950-01 to 2010-12, monthly, n = 732" in capsys.readouterr().out
    assert main(["data", "--format", "json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["nino12", "co2", "sunspots"]
    assert main(["info"]) == 0
    assert f"{BACKEND} " in capsys.readouterr().out


@pytest.mark.above_backends
@pytest.mark.parametrize("style", ["csv", "json"])
def test_formats_for_programs_print_the_table_alone(here, capsys, style):
    assert main([*QUICK, "--cells", "rnn", "--format", style, "--out", "run"]) == 0
    captured = capsys.readouterr()
    if style == "json":
        assert json.loads(captured.out)[0]["model"] == "Persistence"
    else:
        assert captured.out == (here / "run/table.csv").read_text()
    assert "Verdict\n  - " in captured.err


@pytest.mark.above_backends
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


@pytest.mark.above_backends
def test_inputs_are_chosen_said_and_recorded(here, capsys):
    assert main([*QUICK, "--cells", "rnn", "--transform", "auto", "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert "Transform anomaly," in out
    record = json.loads((here / "run/run.json").read_text())
    assert (record["settings"]["transform"], record["settings"]["calendar"]) == ("auto", False)
    assert out.rstrip().endswith(f"; transform: {record['series']['transform']}")
    assert record["series"]["transform"].startswith("anomaly,")
    assert record["series"]["transform"].endswith(" (season 12)")
    assert record["series"]["inputs"] == ["sst"]


@pytest.mark.above_backends
def test_inputs_as_asked(here, capsys):
    arguments = ["--transform", "log, difference", "--calendar", "--weight-decay", "0.01", "--clip-norm", "1"]
    assert main([*QUICK, "--cells", "rnn", *arguments, "--out", "run"]) == 0
    record = json.loads((here / "run/run.json").read_text())
    assert record["series"]["transform"] == "log,difference"
    assert record["series"]["inputs"] == ["sst", "month of year (sin)", "month of year (cos)"]
    assert record["settings"]["training"] | {"weight_decay": 0.01, "clip_norm": 1.0} == record["settings"]["training"]
    plain = [*QUICK, "--cells", "rnn", *arguments[:3], "--out", "plain"]
    assert main(plain) == 0
    one, two = (pd.read_csv(here / name / "table.csv").set_index("model") for name in ("run", "plain"))
    # Weights that decay, and gradients that are cut, give other forecasts; baselines know of neither.
    assert one.loc["SimpleRNN", "mae"] != two.loc["SimpleRNN", "mae"]
    assert one.loc["Persistence", "mae"] == two.loc["Persistence", "mae"] == pytest.approx(0.984, abs=5e-4)


@pytest.mark.above_backends
@pytest.mark.parametrize("transform", ["auto", "difference", "log,anomaly"])
def test_baselines_do_not_know_of_transforms(here, transform):
    baselines = {"Persistence": 0.984, "Climatology + last anomaly": 0.380, "AR(12)": 0.423}
    assert main([*QUICK, "--epochs", "1", "--seeds", "1", "--cells", "rnn", "--transform", transform,
                 "--baselines", "persistence,climatology,ar", "--out", "run"]) == 0  # fmt: skip
    table = pd.read_csv(here / "run/table.csv").set_index("model")
    assert table["mae"][list(baselines)].round(3).to_dict() == baselines


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--transform", "root"],
            "received transform 'root', expected one of auto, none, log, anomaly, trend, difference",
        ),
        (["--transform", "change,log"], "expected log as the first step and change as the last"),
        (["--transform", "anomaly", "--data", "sunspots"], "its dates show no season"),
        (["--transform", "log", "--data", "sunspots"], "3 rows with a target of zero or below (first at 1711-01-01)"),
        (["--calendar", "--data", "sunspots"], "whose step is yearly, expected half a year or less"),
        (["--weight-decay", "-1"], "received -1, expected 0 or a number from 1e-37"),
        (["--clip-norm", "nan"], "received nan, expected 0 or a number from 1e-37"),
    ],
)
def test_bad_inputs_are_one_line(here, capsys, arguments, expected):
    assert main([*QUICK, "--cells", "rnn", *arguments, "--out", "run"]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert len(error.strip().splitlines()) == 1
    assert not (here / "run").exists()
