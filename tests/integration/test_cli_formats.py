"""Every door takes every format: compare, fit, forecast, evaluate, a file of options, reproduce."""

import json
import sqlite3

import numpy as np
import pandas as pd
import pytest

from kseq.cli import main

for needed in ("python_calamine", "xarray", "h5netcdf", "sqlalchemy", "openpyxl"):
    pytest.importorskip(needed)

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

FIT = ["fit", "--epochs", "1", "--units", "3", "--lookback", "4", "--transform", "none", "--no-refit-on-validation"]
COMPARE = ["compare", *FIT[1:], "--seeds", "1", "--cells", "rnn", "--baselines", "persistence"]


def monthly(rows=60):
    rng = np.random.default_rng(0)
    y = (10 + rng.normal(size=rows).cumsum()).round(6)
    return pd.DataFrame(
        {"when": pd.date_range("2000-01-01", periods=rows, freq="MS"), "sst": y, "rain": rng.normal(size=rows).round(6)}
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def book(path, frame):
    with pd.ExcelWriter(path) as writer:
        frame.to_excel(writer, sheet_name="Data", index=False)
        pd.DataFrame({"on": ["it"]}).to_excel(writer, sheet_name="Notes", index=False)


def grid(path, frame):
    import xarray as xr

    values = frame["sst"].to_numpy()[:, None, None] + np.arange(6).reshape(2, 3)
    axes = {"time": frame["when"].to_numpy(), "lat": [38.0, 40.0], "lon": [0.0, 2.0, 4.0]}
    xr.Dataset({"sst": (tuple(axes), values)}, axes).to_netcdf(path, engine="h5netcdf")


def database(path, frame):
    with sqlite3.connect(path) as connection:
        frame.assign(when=frame["when"].astype(str)).to_sql("sea", connection, index=False)
    connection.close()


def persistence(run):
    record = json.loads((run / "run.json").read_text())
    return next(model for model in record["models"] if model["name"] == "Persistence"), record["series"]


def test_a_comparison_and_its_repetition_from_each_format(here, capsys):
    frame = monthly()
    frame.to_csv("sea.csv.gz", index=False)
    book("sea.xlsx", frame)
    grid("sea.nc", frame)
    database("sea.db", frame)
    frame.to_feather("sea.feather")
    frame.assign(when=frame["when"].astype(str)).to_json("sea.jsonl", orient="records", lines=True)
    forms = {
        "csv.gz": ["--csv", "sea.csv.gz", "--target", "sst"],
        "xlsx": ["--csv", "sea.xlsx", "--sheet", "Data", "--target", "sst"],
        "nc": ["--csv", "sea.nc", "--select", "lat=38,lon=0"],
        "feather": ["--csv", "sea.feather", "--target", "sst"],
        "jsonl": ["--csv", "sea.jsonl", "--target", "sst"],
        "sql": ["--sql", "sqlite:///sea.db", "--query", "select [when], sst from sea order by 1"],
    }
    errors = {}
    for name, options in forms.items():
        assert main([*COMPARE, *options, "--out", f"run-{name}"]) == 0
        told = capsys.readouterr()
        assert "monthly 2000-01-01 to 2004-12-01, 60 rows" in told.out + told.err
        errors[name], series = persistence(here / f"run-{name}")
        assert "60 rows" in series["read"]
        assert main(["reproduce", f"run-{name}"]) == 0
        assert "Identical: all" in capsys.readouterr().out
    first = errors["csv.gz"]["mae"]
    assert all(error["mae"] == first for error in errors.values())


def test_what_is_read_has_changed(here, capsys):
    frame = monthly()
    grid("sea.nc", frame)
    assert main([*COMPARE, "--csv", "sea.nc", "--select", "lat=38,lon=0", "--out", "run"]) == 0
    grid("sea.nc", frame.assign(sst=frame["sst"] + 1))
    assert main(["reproduce", "run"]) == 2
    assert "the data have changed since" in capsys.readouterr().err


def test_a_password_is_neither_shown_nor_written(here, capsys, monkeypatch):
    assert (
        main([*COMPARE, "--sql", "postgresql://me:hunter2@localhost:1/sea", "--query", "select 1", "--out", "run"]) == 2
    )
    told = capsys.readouterr()
    assert "hunter2" not in told.out + told.err
    assert "***" in told.err
    database("hunter2.db", monthly())
    monkeypatch.setenv("SEA", "hunter2")
    query = "select [when], sst from sea order by 1"
    assert main([*COMPARE, "--sql", "sqlite:///$SEA.db", "--query", query, "--out", "run", "--verbose"]) == 0
    told = capsys.readouterr()
    written = [path for path in (here / "run").rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert "hunter2" not in told.out + told.err
    assert not written
    assert main(["reproduce", "run"]) == 0


def test_a_model_fitted_and_used_on_spreadsheets(here, capsys):
    frame = monthly(66)
    book("known.xlsx", frame[:60])
    book("newer.xlsx", frame[60:64])
    frame[64:].drop(columns="sst").to_excel("ahead.xlsx", index=False, sheet_name="Data")
    read = ["--sheet", "Data", "--time", "when", "--target", "sst"]
    assert main([*FIT, "--csv", "known.xlsx", *read, "--out", "a.keras"]) == 0
    # The sheet is that of the model's own file.
    assert main(["forecast", "--model", "a.keras", "--csv", "newer.xlsx", "--steps", "2"]) == 0
    assert "2005-05-01" in capsys.readouterr().out
    assert main(["evaluate", "--model", "a.keras", "--csv", "newer.xlsx"]) == 0
    assert main([*FIT, "--csv", "known.xlsx", *read, "--future", "rain", "--out", "b.keras"]) == 0
    assert (
        main(["forecast", "--model", "b.keras", "--csv", "newer.xlsx", "--future", "ahead.xlsx", "--steps", "1"]) == 0
    )
    assert "2005-05-01" in capsys.readouterr().out


def test_what_is_read_of_a_database_is_shown(here, capsys):
    database("known.db", monthly(60))
    query = ["--query", "select [when], sst from sea order by 1"]
    assert main(["data", "--sql", "sqlite:///known.db", *query, "--out", "shown"]) == 0
    shown = capsys.readouterr().out
    assert "target sst, dates when, monthly 2000-01-01" in shown
    assert "kseq compare --sql sqlite:///known.db --query 'select [when], sst from sea order by 1'" in shown
    for wrong, said in ((query, "--query without --sql"), (["known.db", "--sql", "x", *query], "both FILE and --sql")):
        assert main(["data", *wrong]) == 2
        assert said in capsys.readouterr().err


def test_newer_rows_of_a_database(here, capsys):
    database("known.db", monthly(66)[:60])
    database("newer.db", monthly(66)[60:])
    query = ["--query", "select [when], sst from sea order by 1"]
    assert main([*FIT, "--sql", "sqlite:///known.db", *query, "--out", "a.keras"]) == 0
    assert main(["forecast", "--model", "a.keras", "--sql", "sqlite:///newer.db", *query, "--steps", "1"]) == 0
    assert "2005-07-01" in capsys.readouterr().out
    assert main(["forecast", "--model", "a.keras", "--sql", "sqlite:///newer.db"]) == 2
    assert "--query" in capsys.readouterr().err


def test_a_file_of_options(here, capsys):
    (here / "project").mkdir()
    grid("project/sea.nc", monthly())
    (here / "project/kseq.toml").write_text(
        'csv = "sea.nc"\nselect = "lat=38:40,lon=0:4"\nunits = 3\nepochs = 1\nlookback = 4\ntransform = "none"\n'
    )
    assert (
        main(
            ["compare", "--config", "project/kseq.toml", "--seeds", "1", "--cells", "rnn", "--baselines", "persistence"]
        )
        == 0
    )
    told = capsys.readouterr()
    assert "the mean over lat 38 to 40 (2 of 2), lon 0 to 4 (3 of 3)" in told.out + told.err


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--csv", "sea.xlsx"], "name it with --sheet"), (["--csv", "sea.nc"], "--select lat=40,lon=2"),
     (["--csv", "sea.nc", "--select", "lat"], "received --select lat, expected coordinates by name"),
     (["--sql", "sqlite:///sea.db"], "give one with --query"), (["--query", "select 1"], "--sql"),
     (["--sql", "sqlite:///sea.db", "--query", "x", "--csv", "sea.nc"], "expected one of them"),
     (["--csv", "."], "is a folder")],
)  # fmt: skip
def test_messages_name_options(here, capsys, options, message):
    book("sea.xlsx", monthly())
    grid("sea.nc", monthly())
    database("sea.db", monthly())
    assert main([*COMPARE, *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
