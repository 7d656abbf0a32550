import errno
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from kseq.cli import main
from kseq.report import run_folder

BACKEND = os.environ["KERAS_BACKEND"]
QUICK = ["--epochs", "2", "--units", "3", "--lookback", "4", "--learning-rate", "0.01"]


def monthly(rows=60, **columns):
    y = 10 + np.random.default_rng(0).normal(size=rows).cumsum()
    return pd.DataFrame({"when": pd.date_range("2000-01-01", periods=rows, freq="MS"), "sst": y, **columns})


def fit(*arguments):
    return main(["fit", *QUICK, *arguments])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with files of a series, and models that were fitted on the first 60 rows of it."""
    folder = tmp_path_factory.mktemp("fitted")
    monthly().to_csv(folder / "known.csv", index=False)
    monthly(66)[60:].to_csv(folder / "newer.csv", index=False)
    covariate = monthly(66, rain=np.random.default_rng(1).normal(size=66))
    covariate[:60].to_csv(folder / "rain.csv", index=False)
    covariate[60:].to_csv(folder / "ahead.csv", index=False)
    series = ["--csv", str(folder / "known.csv"), "--time", "when", "--target", "sst", "--unit", "°C"]
    plain = ["--transform", "none"]
    assert fit(*series, *plain, "--out", str(folder / "model.keras")) == 0
    with_rain = ["--csv", str(folder / "rain.csv"), "--time", "when", "--target", "sst", "--features", "rain"]
    assert fit(*with_rain, *plain, "--out", str(folder / "rain.keras")) == 0
    return folder


@pytest.fixture
def files(folder, here):
    for file in folder.iterdir():
        (here / file.name).symlink_to(file)
    return here


def forecast_of(capsys, *arguments):
    assert main(["forecast", *arguments]) == 0
    captured = capsys.readouterr()
    return pd.read_csv(pd.io.common.StringIO(captured.out), parse_dates=["ds"]), captured.err


def test_fit_says_what_it_did(here, capsys):
    monthly().to_csv(here / "sst.csv", index=False)
    arguments = ["--csv", "sst.csv", "--time", "when", "--cell", "lstm", "--seeds", "2", "--out", "models/sst.keras"]
    assert fit(*arguments) == 0
    printed = capsys.readouterr().out
    assert "LSTM, the mean of 2 networks, on sst: 60 rows (monthly), 2000-01-01 to 2004-12-01" in printed
    assert "by the validation part, then again on all rows. Mean absolute errors there:" in printed
    assert "\nTransform: " in printed
    assert "Persistence" in printed
    assert "models/sst.keras; to forecast with it: kseq forecast --model models/sst.keras --steps 12" in printed
    assert printed.splitlines()[-1].startswith(f"{BACKEND} ")
    assert "models/sst-MODEL.md: its data, errors, intervals and limits" in printed
    assert sorted(path.name for path in (here / "models").iterdir()) == ["sst-MODEL.md", "sst.keras"]


@pytest.mark.above_backends
def test_fit_is_told_by_the_options_of_compare(here):
    assert fit("--layers", "2", "--bidirectional", "--horizon", "3", "--scaler", "minmax", "--no-refit",
               "--validation-share", "0.3", "--level", "60", "--skip", "none", "--data", "co2") == 0  # fmt: skip
    from kseq.forecasting.model_file import read_card

    card = read_card("model.keras")
    for name, value in {"num_layers": 2, "bidirectional": True, "horizon": 3, "scaler": "minmax", "units": 3,
                        "skip": "none", "validation": 0.3, "levels": [60.0], "seeds": [0]}.items():  # fmt: skip
        assert card.settings[name] == value
    assert card.settings["training"]["epochs"] == 2
    assert not card.refitted
    assert card.context.name == "co2"


@pytest.mark.pictures
def test_forecast_prints_csv_and_writes_csv_and_picture(files, capsys):
    frame, told = forecast_of(capsys, "--model", "model.keras", "--steps", "3", "--level", "50,60", "--out", "out")
    assert frame.columns.tolist() == ["unique_id", "ds", "GRU", "GRU-lo-50", "GRU-hi-50", "GRU-lo-60", "GRU-hi-60"]
    assert frame["unique_id"].tolist() == ["known"] * 3
    assert frame["ds"].tolist() == pd.date_range("2005-01-01", periods=3, freq="MS").tolist()
    assert pd.read_csv("out/forecast.csv", parse_dates=["ds"]).equals(frame)
    assert (files / "out/forecast.png").read_bytes().startswith(b"\x89PNG")
    assert "from step 2 on it reads its own forecasts" in told
    assert "out: forecast.csv, forecast.png" in told


def test_forecast_starts_from_newer_rows(files, capsys):
    frame, told = forecast_of(capsys, "--model", "model.keras", "--csv", "newer.csv")
    assert frame["ds"].tolist() == [pd.Timestamp("2005-07-01")]
    assert "Forecasts start after 2005-06-01, the last of 6 rows of newer.csv." in told
    assert not list(files.glob("*/"))


def test_forecast_with_covariates(files, capsys):
    frame, _ = forecast_of(capsys, "--model", "rain.keras", "--steps", "3", "--future", "ahead.csv")
    assert len(frame) == 3
    assert main(["forecast", "--model", "rain.keras", "--steps", "3"]) == 2
    assert "'rain' is missing at 2 of 2 steps to come (first" in capsys.readouterr().err


@pytest.mark.above_backends
def test_dates_keep_their_time_zone(here, capsys):
    dates = pd.date_range("2023-10-20 06:00", periods=40, freq="h", tz="UTC")
    pd.DataFrame({"ds": dates, "y": np.random.default_rng(0).normal(size=40)}).to_csv("hours.csv", index=False)
    assert fit("--csv", "hours.csv") == 0
    capsys.readouterr()
    frame, _ = forecast_of(capsys, "--model", "model.keras", "--steps", "2")
    assert frame["ds"].tolist() == [
        pd.Timestamp("2023-10-21 22:00", tz="UTC"),
        pd.Timestamp("2023-10-21 23:00", tz="UTC"),
    ]


def test_evaluate_beside_baselines(files, capsys):
    assert main(["evaluate", "--model", "model.keras", "--csv", "newer.csv"]) == 0
    printed = capsys.readouterr().out
    for row in ("GRU", "Persistence", "Seasonal naive (12)"):
        assert f"\n{row}" in printed
    assert "Scored on 6 windows, 2005-01-01 to 2005-06-01: rows that the model was not trained on." in printed
    assert main(["evaluate", "--model", "model.keras", "--csv", "known.csv", "--format", "csv"]) == 0
    captured = capsys.readouterr()
    table = pd.read_csv(pd.io.common.StringIO(captured.out)).set_index("model")
    assert table["mae"]["Persistence"] == pytest.approx(np.abs(np.diff(monthly()["sst"])[23:]).mean())
    assert "all of these rows were in its training, and scores on them are too good" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast"], "Missing option '--model'"),
        (["forecast", "--model", "none.keras"], "received none.keras, which does not exist"),
        (["forecast", "--model", "known.csv"], "known.csv is no model"),
        (["forecast", "--model", "model.keras", "--steps", "0"], "received 0, expected a whole number from 1"),
        (["forecast", "--model", "model.keras", "--level", "99.5"], "received level 99.5, and half-widths are kept of"),
        (["forecast", "--model", "model.keras", "--future", "ahead.csv"], "the model reads none for them"),
        (["forecast", "--model", "model.keras", "--csv", "none.csv"], "received --csv none.csv, which does not exist"),
        (["forecast", "--model", "model.keras", "--csv", "a.csv", "--parquet", "b"], "received both --csv and --parq"),
        (["forecast", "--model", "model.keras", "--fill", "ffill"],
         "received --fill without --csv, --parquet or --sql"),
        (["forecast", "--model", "rain.keras", "--csv", "newer.csv"], "received column 'rain', expected one of"),
        (["forecast", "--model", "rain.keras", "--steps", "9", "--future", "ahead.csv"], "'rain' is missing at 2 of 8"),
        (["evaluate", "--model", "model.keras"],
         "expected rows to score, from one of --csv, --parquet, --sql and --data"),
        (["evaluate", "--model", "model.keras", "--data", "nino12", "--csv", "newer.csv"], "expected rows to score"),
        (["evaluate", "--model", "model.keras", "--data", "co2"], "received column 'sst', expected one of: co2"),
        (["evaluate", "--model", "model.keras", "--data", "none"], "received"),
        (["fit", "--out", "model.h5"], "received model.h5 as the model's file, expected a name that ends in .keras"),
        (["fit", "--cell", "cnn"], "received cell 'cnn'"),
        (["fit", "--cells", "gru"], "No such option"),
        (["fit", "--csv", "newer.csv", "--time", "when", "--target", "sst"], "expected at least"),
    ],
)  # fmt: skip
@pytest.mark.above_backends
def test_bad_input_is_told_in_one_line(files, capsys, arguments, message):
    before = sorted(files.iterdir())
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert sorted(files.iterdir()) == before


@pytest.mark.above_backends
def test_rows_of_another_frequency_are_refused(files, capsys):
    daily = monthly(20).assign(when=pd.date_range("2005-01-01", periods=20, freq="D"))
    daily.to_csv(files / "daily.csv", index=False)
    for command in ("forecast", "evaluate"):
        assert main([command, "--model", "model.keras", "--csv", "daily.csv"]) == 2
        assert "received dates that are daily, expected monthly" in capsys.readouterr().err


@pytest.mark.above_backends
def test_a_full_disk_leaves_nothing_half_written(files, capsys, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(files))
    monkeypatch.setattr(run_folder.Path, "write_bytes", full)
    assert main(["forecast", "--model", "model.keras", "--out", "out"]) == 2
    assert "files cannot be written (No space left on device)" in capsys.readouterr().err
    assert not (files / "out").exists()


@pytest.mark.above_backends
def test_a_folder_that_cannot_be_written_is_told_before_training(here, capsys):
    (here / "file").write_text("")
    assert fit("--out", "file/model.keras") == 2
    assert "cannot be written" in capsys.readouterr().err


OTHERS = [name for name in ("torch", "tensorflow", "jax") if name != BACKEND]

#: Loads models on another backend and prints what they forecast.
ELSEWHERE = """
import json, sys
from kseq.forecasting import forecast, model_file
print(json.dumps([forecast.forecast(model_file.load(path), 6).values.tolist() for path in sys.argv[1:]]))
"""


@pytest.mark.parametrize("backend", OTHERS)
def test_forecasts_are_the_same_on_another_backend(here, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    from kseq.forecasting import forecast, model_file

    monthly().to_csv("sst.csv", index=False)
    files = []
    for cell, more in (("rnn", ["--seeds", "2"]), ("lstm", ["--bidirectional"]), ("gru", ["--units", "3,2"])):
        files.append(f"{cell}.keras")
        assert (
            fit("--csv", "sst.csv", "--time", "when", "--horizon", "2", "--cell", cell, *more, "--out", files[-1]) == 0
        )
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *files],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for path, values in zip(files, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert np.array(values) == pytest.approx(forecast.forecast(model_file.load(path), 6).values, rel=1e-5)
