"""``kseq fit``, ``kseq forecast`` and ``kseq evaluate`` on files of many series."""

import errno
import importlib.util
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from kseq.cli import main
from kseq.report import run_folder

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

BACKEND = os.environ["KERAS_BACKEND"]
QUICK = ["fit", "--epochs", "2", "--units", "3", "--lookback", "7", "--learning-rate", "0.01"]
ROLES = ["--id", "shop", "--target", "sales"]
COVARIATES = ["--features", "rain", "--future", "price", "--static", "kind"]


def shops(count=3, rows=70, first=0):
    parts = []
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        days = pd.date_range("2001-01-01", periods=rows)
        sales = (np.arange(rows) % 7 + 9.0 + rng.normal(size=rows)) * 10**number
        rain, price = rng.normal(size=rows), np.arange(rows) % 5 * 1.0
        columns = {"ds": days, "sales": sales, "rain": rain, "price": price, "kind": "ab"[number % 2]}
        parts.append(pd.DataFrame({"shop": f"shop {number}", **columns}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with files of shops, and models that were fitted on the first 70 days of them."""
    folder = tmp_path_factory.mktemp("fitted")
    frame = shops(rows=76)
    day = frame.groupby("shop").cumcount()
    frame[day < 70].to_csv(folder / "known.csv", index=False)
    frame[day < 70].to_parquet(folder / "known.parquet", index=False)
    frame[day >= 70].to_csv(folder / "newer.csv", index=False)
    frame[day == 70].to_csv(folder / "one day.csv", index=False)
    frame[day >= 70].drop(columns="sales").to_csv(folder / "ahead.csv", index=False)
    shops(1, 40, first=4).to_csv(folder / "new.csv", index=False)
    pd.concat([shops(1, 40, first=4), shops(1, 5, first=3)]).to_csv(folder / "short.csv", index=False)
    given = ["--csv", str(folder / "known.csv"), *ROLES]
    assert main([*QUICK, *given, "--out", str(folder / "model.keras")]) == 0
    assert main([*QUICK, *given, *COVARIATES, "--horizon", "2", "--out", str(folder / "rain.keras")]) == 0
    return folder


@pytest.fixture
def files(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def printed_frame(capsys, *arguments):
    assert main(list(arguments)) == 0
    captured = capsys.readouterr()
    return pd.read_csv(pd.io.common.StringIO(captured.out)), captured.err


def test_fit_says_what_it_did(files, capsys):
    assert main([*QUICK, "--parquet", "known.parquet", *ROLES, "--cell", "lstm", "--out", "new/lstm.keras"]) == 0
    printed = capsys.readouterr().out
    assert "LSTM, on known: 3 series, 210 rows (daily), 2001-01-01 to 2001-03-11" in printed
    assert "Mean absolute scaled errors (MASE), averaged over series, there:" in printed
    assert "Intervals, one step ahead, in the scale of each series: 80 % ±" in printed
    assert sorted(path.name for path in (files / "new").iterdir()) == ["lstm-MODEL.md", "lstm.keras"]
    frame, _ = printed_frame(capsys, "forecast", "--model", "new/lstm.keras", "--csv", "newer.csv")
    assert frame["ds"].tolist() == ["2001-03-18"] * 3


def test_every_series_is_forecast(files, capsys):
    frame, notes = printed_frame(capsys, "forecast", "--model", "model.keras", "--steps", "3", "--out", "out")
    assert frame.columns.tolist() == ["unique_id", "ds", "GRU", "GRU-lo-80", "GRU-hi-80", "GRU-lo-95", "GRU-hi-95"]
    assert frame["unique_id"].tolist() == [f"shop {number}" for number in range(3) for _ in range(3)]
    assert frame["ds"].tolist() == ["2001-03-12", "2001-03-13", "2001-03-14"] * 3
    assert (frame["GRU-lo-80"] < frame["GRU"]).all()
    assert "from step 2 on it reads its own forecasts" in notes
    written = pd.read_csv("out/forecast.csv")
    pd.testing.assert_frame_equal(written, frame)
    assert sorted(os.listdir("out")) == ["forecast.csv", "forecast.html", "forecast.json", "forecast.png"]


def test_some_series_are_forecast(files, capsys):
    frame, _ = printed_frame(capsys, "forecast", "--model", "model.keras", "--series", "shop 2, shop 0")
    assert frame["unique_id"].tolist() == ["shop 0", "shop 2"]


def test_one_newer_row_of_each_series_is_enough(files, capsys):
    frame, notes = printed_frame(capsys, "forecast", "--model", "model.keras", "--csv", "one day.csv")
    assert frame["ds"].tolist() == ["2001-03-13"] * 3
    assert "Forecasts start after 2001-03-12, the last rows of 3 series of one day.csv." in notes


def test_a_series_that_the_model_has_not_seen(files, capsys):
    frame, notes = printed_frame(capsys, "forecast", "--model", "model.keras", "--csv", "new.csv")
    assert frame["unique_id"].tolist() == ["shop 4"]
    assert 50_000 < frame["GRU"][0] < 200_000
    assert "1 of 1 series (first: 'shop 4') were not in the training, and are scaled by their own past." in notes
    assert "3 of the 3 series that the model was trained on have no rows here, and are not forecast." in notes


def test_covariates_of_the_steps_to_come(files, capsys):
    frame, _ = printed_frame(capsys, "forecast", "--model", "rain.keras", "--steps", "4", "--future", "ahead.csv")
    assert len(frame) == 12


def test_scores_overall_and_series_by_series(files, capsys):
    assert main(["evaluate", "--model", "model.keras", "--csv", "newer.csv"]) == 0
    printed = capsys.readouterr().out
    assert (
        "Scored on 18 windows of 3 series, 2001-03-12 to 2001-03-17: rows that the model was not trained on." in printed
    )
    assert "True values covered:" in printed
    frame, _ = printed_frame(capsys, "evaluate", "--model", "model.keras", "--csv", "newer.csv", "--by-series",
                             "--format", "csv")  # fmt: skip
    overall, _ = printed_frame(capsys, "evaluate", "--model", "model.keras", "--csv", "newer.csv", "--format", "csv")
    assert frame["unique_id"].unique().tolist() == ["shop 0", "shop 1", "shop 2"]
    means = frame.groupby("model")["mase"].mean()
    np.testing.assert_allclose(overall.set_index("model")["mase"][means.index], means, rtol=1e-9)
    assert main(["evaluate", "--model", "model.keras", "--csv", "newer.csv", "--by-series", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 9
    assert main(["evaluate", "--model", "model.keras", "--csv", "newer.csv", "--by-series", "--series", "shop 1"]) == 0
    printed = capsys.readouterr().out
    assert "shop 1" in printed
    assert "shop 0" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast", "--model", "model.keras", "--series", "shop 9"], "received series 'shop 9', expected one of"),
        (["forecast", "--model", "model.keras", "--series", "shop 1,"], "received --series shop 1,, expected ids with"),
        (["forecast", "--model", "model.keras", "--csv", "short.csv"], "series 'shop 3' was not in the training"),
        (["evaluate", "--model", "model.keras", "--csv", "short.csv"], "series 'shop 3' was not in the training"),
        (["forecast", "--model", "rain.keras"], "'price' is missing at 6 of 6 steps to come"),
        (["forecast", "--model", "rain.keras", "--future", "newer.csv", "--steps", "9"], "is missing at"),
        (["forecast", "--model", "model.keras", "--future", "ahead.csv"], "the model reads none for them"),
        (["forecast", "--model", "model.keras", "--id", "shop"], "received --id without --csv, --parquet or --sql"),
        (["forecast", "--model", "model.keras", "--parquet", "known.parquet", "--header", "1"], "received --header"),
        (["forecast", "--model", "model.keras", "--level", "99.5"], "received level 99.5"),
        (["forecast", "--model", "model.keras", "--csv", "ahead.csv"], "received column 'sales'"),
        (["evaluate", "--model", "model.keras", "--data", "nino12"], "received column 'sales', expected"),
        (["fit", "--csv", "known.csv", *ROLES, "--strategy", "recursive"], "No such option"),
        (["fit", "--csv", "short.csv", *ROLES, "--lookback", "60"], "received a series of 40 rows, expected at least"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_line(files, capsys, arguments, message):
    before = sorted(files.iterdir())
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert sorted(files.iterdir()) == before


def test_by_series_takes_a_model_of_many(files, capsys):
    assert main([*QUICK, "--csv", "known.csv", *ROLES, "--series", "shop 1", "--out", "one.keras"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--model", "one.keras", "--csv", "newer.csv", "--series", "shop 1", "--by-series"]) == 2
    assert "received --by-series for a model of one series, expected it with one of many" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing_half_written(files, capsys, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(files))
    monkeypatch.setattr(run_folder.Path, "write_bytes", full)
    assert main(["forecast", "--model", "model.keras", "--out", "out"]) == 2
    assert "files cannot be written (No space left on device)" in capsys.readouterr().err
    assert not (files / "out").exists()
    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    assert main([*QUICK, "--csv", "known.csv", *ROLES, "--out", "more/model.keras"]) == 2
    assert "no file can be written (No space left on device)" in capsys.readouterr().err
    assert not (files / "more").exists()


OTHERS = [name for name in ("torch", "tensorflow", "jax") if name != BACKEND]


@pytest.mark.parametrize("backend", OTHERS)
def test_forecasts_are_the_same_on_another_backend(files, capsys, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    arguments = ["forecast", "--model", "rain.keras", "--steps", "4", "--future", "ahead.csv"]
    frame, _ = printed_frame(capsys, *arguments)
    done = subprocess.run(
        [sys.executable, "-m", "kseq", *arguments, "--backend", backend],
        capture_output=True, text=True, check=False, env={**os.environ, "KERAS_BACKEND": backend},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    other = pd.read_csv(pd.io.common.StringIO(done.stdout))
    assert other[["unique_id", "ds"]].equals(frame[["unique_id", "ds"]])
    np.testing.assert_allclose(other["GRU"], frame["GRU"], rtol=1e-5)
