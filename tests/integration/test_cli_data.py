"""``kseq compare`` on files of its user's: Parquet, many series, frequencies, gaps and missing values."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from kseq import read_parquet
from kseq.cli import main

pytestmark = pytest.mark.above_backends

QUICK = ["compare", "--cells", "rnn", "--epochs", "1", "--seeds", "1", "--units", "2", "--baselines", "persistence",
         "--transform", "none", "--no-refit-on-validation"]  # fmt: skip
DAYS = pd.date_range("2001-01-01", periods=70)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shops(index=DAYS):
    """Two shops, one after the other."""
    parts = [
        pd.DataFrame({"shop": shop, "ds": index, "sales": np.arange(len(index)) % 7 + 10.0 * i, "rain": 1.0})
        for i, shop in enumerate(("north", "south"))
    ]
    return pd.concat(parts, ignore_index=True)


def write(frame, name):
    getattr(frame, {"csv": "to_csv", "parquet": "to_parquet"}[name])(f"shops.{name}", index=False)


def record():
    with open("run/run.json") as file:
        return json.load(file)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_one_series_of_a_file_of_many(here, kind):
    write(shops(), kind)
    arguments = [f"--{kind}", f"shops.{kind}", "--id", "shop", "--series", "south", "--target", "sales", "--freq", "D"]
    assert main([*QUICK, *arguments, "--out", "run"]) == 0
    series = record()["series"]
    assert (series["name"], series["rows"], series["step"]) == ("south", 70, "daily")
    write(shops(), "parquet")
    assert series["sha256"] == read_parquet("shops.parquet", id="shop", series="south", target="sales").fingerprint
    forecasts = pd.read_csv("run/predictions.csv")
    assert set(forecasts["unique_id"]) == {"south"}
    assert forecasts["y"].between(10, 16).all()


def test_a_parquet_file_of_one_series_needs_no_options(here):
    shops()[:70].drop(columns=["shop", "rain"]).to_parquet("north.parquet", index=False)
    assert main([*QUICK, "--parquet", "north.parquet", "--out", "run"]) == 0
    assert record()["series"]["targets"] == ["sales"]


def test_seasonal_fill_takes_the_calendar_or_the_season_that_is_given(here):
    frame = shops()[:70]
    # In the test part, four days after a Monday of 5.
    frame.loc[63, "sales"] = np.nan
    write(frame, "csv")
    arguments = ["--csv", "shops.csv", "--target", "sales", "--fill", "seasonal", "--out", "run"]
    filled = {}
    for season in ("0", "3"):
        assert main([*QUICK, *arguments, "--season", season]) == 0
        filled[season] = pd.read_csv("run/predictions.csv").set_index("ds")["y"][str(DAYS[63].date())]
    assert filled == {"0": (63 - 7) % 7, "3": (63 - 3) % 7}


def test_hours_of_a_time_zone_across_the_end_of_summer_time(here):
    hours = pd.date_range("2001-10-20", periods=24 * 14, freq="h", tz="Europe/Paris")
    pd.DataFrame({"ds": hours, "y": np.arange(len(hours)) % 24}).to_parquet("local.parquet")
    arguments = ["--parquet", "local.parquet", "--freq", "h", "--lookback", "6", "--season", "5", "--out", "run"]
    assert main([*QUICK, *arguments]) == 0
    series = record()["series"]
    assert (series["step"], series["first"]) == ("hourly", "2001-10-20 00:00:00+02:00")
    assert not any("irregular" in trap for trap in record()["traps"])


MONTHS = pd.date_range("2001-01-01", periods=30, freq="MS")


@pytest.mark.parametrize(
    ("frame", "arguments", "expected"),
    [
        (shops(), ["--series", "sout"], "expected one of the 2 in column 'shop': north, south; did you mean south?"),
        (shops(), ["--id", "town"], "received column 'town', expected one of: shop, ds, sales, rain"),
        (shops(), ["--series", "south", "--freq", "MS"], "south: 69 of 70 dates do not fit --freq MS (first: 2001"),
        (shops(), ["--series", "south", "--freq", "often"], "received --freq 'often', expected a frequency as pandas"),
        (shops(), ["--series", "south", "--fill", "seasonal", "--target", "rain"], "target 'rain' is constant"),
        (shops(MONTHS.append(DAYS + pd.Timedelta(days=2000))), ["--series", "north"],
         "north: dates mix frequencies (monthly, and daily from 2006-06-24 on), expected one"),
        (shops(DAYS.repeat(2)), ["--series", "north"], "north: 70 dates stand twice (first: 2001-01-01"),
        (shops(DAYS[::-1]), ["--series", "north"], "north: dates are not in order (first: 2001-03-10"),
        (shops().replace(11.0, np.inf), ["--series", "south"], "south: 10 infinite values (first in column 'sales', 2"),
        (shops().replace(11.0, np.nan), ["--series", "south"], "10 missing values in column 'sales' (at 2001-01-02"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_bad_data_are_one_line_and_leave_nothing(here, capsys, kind, frame, arguments, expected):
    write(frame, kind)
    identity = [] if "--id" in arguments else ["--id", "shop"]
    target = [] if "--target" in arguments else ["--target", "sales"]
    assert main(["compare", f"--{kind}", f"shops.{kind}", *identity, *target, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert os.listdir() == [f"shops.{kind}"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "received --parquet file.parquet, which does not exist; expected a Parquet file"),
        (b"", "file.parquet is empty; expected a Parquet file"),
        (b"\x89PNG\r\n\0\0", "file.parquet is not a Parquet file"),
        (b"PAR1" + bytes(100), "file.parquet cannot be read as Parquet"),
    ],
)
def test_a_bad_parquet_file_is_one_line(here, capsys, content, expected):
    if content is not None:
        (here / "file.parquet").write_bytes(content)
    assert main(["compare", "--parquet", "file.parquet"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert expected in captured.err


def test_a_nested_column_is_one_line(here, capsys):
    pd.DataFrame({"y": [[1.0], [2.0]]}).to_parquet("nested.parquet")
    assert main(["compare", "--parquet", "nested.parquet", "--target", "y"]) == 2
    assert "column 'y' is nested (list<element: double>), expected one value a row" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--csv", "a.csv", "--parquet", "a.parquet"], "received both --csv and --parquet, expected one of them"),
        (["--data", "co2", "--parquet", "a.parquet"], "received both --data and --parquet, expected one of them"),
        (["--parquet", "a.parquet", "--header", "2"], "received --header with --parquet"),
        (["--series", "a"], "received --series without --csv, --parquet or --sql"),
        (["--freq", "D", "--id", "shop"], "received --id, --freq without --csv, --parquet or --sql"),
        (["--data", "co2", "--fill", "seasonal"], "received --fill without --csv, --parquet or --sql"),
    ],
)
def test_options_that_do_not_go_together(here, capsys, arguments, expected):
    assert main(["compare", *arguments]) == 2
    assert expected in capsys.readouterr().err
