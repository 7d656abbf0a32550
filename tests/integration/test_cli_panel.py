"""``kseq compare`` on files of many series: one model for all, scored series by series."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from kseq.cli import main

# No line is run here alone, and coverage takes half as long again.
pytestmark = [pytest.mark.above_backends, pytest.mark.no_cover, pytest.mark.long]

QUICK = ["compare", "--cells", "rnn", "--epochs", "1", "--seeds", "2", "--units", "2", "--lookback", "7",
         "--baselines", "persistence,seasonal-naive", "--transform", "none", "--out", "run"]  # fmt: skip
DAYS = pd.date_range("2001-01-01", periods=70)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shops(count=3, days=DAYS, **columns):
    """Shops one after the other; the price is known for two days more than the sales."""
    rng = np.random.default_rng(0)
    week = np.arange(len(days)) % 7 + 9.0
    parts = [
        pd.DataFrame({
            "shop": f"shop {i}", "ds": days, "sales": (week + rng.normal(size=len(days))) * 10**i,
            "rain": rng.normal(size=len(days)), "price": np.arange(len(days)) % 5 * 1.0, "kind": "ab"[i % 2],
            "size": i * 10.0,
        })
        for i in range(count)
    ]  # fmt: skip
    frame = pd.concat(parts, ignore_index=True)
    last = frame["ds"] > days[-3]
    return frame.assign(**{"sales": frame["sales"].mask(last), "rain": frame["rain"].mask(last), **columns})


def write(frame, kind):
    getattr(frame, {"csv": "to_csv", "parquet": "to_parquet"}[kind])(f"shops.{kind}", index=False)


def record():
    with open("run/run.json") as file:
        return json.load(file)


ROLES = ["--id", "shop", "--target", "sales", "--features", "rain", "--future", "price", "--static", "kind,size"]


@pytest.mark.pictures
@pytest.mark.parametrize("kind", ["csv", pytest.param("parquet", marks=pytest.mark.thorough)])
def test_all_series_of_a_file_share_a_model(here, capsys, kind):
    write(shops(), kind)
    assert main([*QUICK, f"--{kind}", f"shops.{kind}", *ROLES, "--horizon", "2"]) == 0
    printed = capsys.readouterr().out
    assert "one model for all 3 series" in " ".join(printed.split())
    run = record()
    assert run["series"]["series"] == 3
    assert run["series"]["rows"] == 210
    assert run["series"]["inputs"] == ["sales", "rain", "price[t+2]", "size", "kind=a", "kind=b"]
    assert (run["series"]["future"], run["series"]["static"]) == (["price"], ["kind", "size"])
    by_series = pd.read_csv("run/series.csv")
    assert by_series.groupby("unique_id")["model"].count().to_dict() == {f"shop {i}": 4 for i in range(3)}
    table = pd.read_csv("run/table.csv").set_index("model")
    means = by_series.groupby("model")[["mae", "rmse", "mase", "rmsse"]].mean()
    for name in means:
        np.testing.assert_allclose(means[name].reindex(table.index), table[name], rtol=1e-9)
    forecasts = pd.read_csv("run/predictions.csv")
    for id, part in forecasts.groupby("unique_id"):
        score = (part["y"] - part["SimpleRNN x2 mean"]).abs().mean()
        expected = by_series.set_index(["unique_id", "model"])["mae"][id, "SimpleRNN x2 mean"]
        assert score == pytest.approx(expected, rel=1e-6)
    # What is known ahead is no row to score.
    assert forecasts["ds"].max() == str(DAYS[-3].date())
    assert sorted(os.listdir("run")) == [
        ".jobs", "comparison.png", "history.csv", "history.png", "horizon.csv", "horizon.png",
        "predictions.csv", "report.html", "run.json", "series.csv", "shift.png", "table.csv", "table.md",
    ]  # fmt: skip


def test_a_run_on_a_panel_can_be_made_again(here, capsys):
    write(shops(), "parquet")
    assert main([*QUICK, "--parquet", "shops.parquet", *ROLES, "--transform", "auto"]) == 0
    assert main(["reproduce", "run"]) == 0
    assert "Identical" in capsys.readouterr().out


def test_a_column_of_ids_is_found_by_its_name(here):
    write(shops().rename(columns={"shop": "unique_id"}), "csv")
    assert main([*QUICK, "--csv", "shops.csv", "--target", "sales", "--features", "rain", "--future", "price"]) == 0
    assert record()["series"]["series"] == 3


def test_a_file_of_one_series_is_a_series(here):
    write(shops(1), "csv")
    assert main([*QUICK, "--csv", "shops.csv", *ROLES]) == 0
    run = record()
    assert run["series"]["name"] == "shops"
    assert not os.path.exists("run/series.csv")
    assert run["series"]["inputs"] == ["sales", "rain", "price[t+1]", "size", "kind=a"]


def test_covariates_of_one_chosen_series(here):
    write(shops(), "csv")
    assert main([*QUICK, "--csv", "shops.csv", *ROLES, "--series", "shop 1"]) == 0
    run = record()
    assert (run["series"]["name"], run["series"]["series"]) == ("shop 1", 1)
    assert run["series"]["inputs"] == ["sales", "rain", "price[t+1]", "size", "kind=b"]


def test_last_origins_of_each_series(here):
    write(shops(), "csv")
    assert main([*QUICK, "--csv", "shops.csv", *ROLES, "--horizon", "2", "--n-windows", "3"]) == 0
    forecasts = pd.read_csv("run/predictions.csv")
    cutoffs = [str(DAYS[day].date()) for day in (61, 63, 65)]
    assert forecasts.groupby("unique_id")["cutoff"].unique().map(list).tolist() == [cutoffs] * 3


def test_everything_is_trained_anew_for_each_origin(here, capsys):
    write(shops(), "csv")
    given = ["--csv", "shops.csv", *ROLES, "--horizon", "2", "--n-windows", "3", "--refit"]
    assert main([*QUICK, *given]) == 0
    assert "all models were trained anew for each" in " ".join(capsys.readouterr().out.split())
    run, folds, forecasts = record(), pd.read_csv("run/folds.csv"), pd.read_csv("run/predictions.csv")
    assert [fold["series"] for fold in run["folds"]] == [3, 3, 3]
    assert [fold["cutoff"]["last"][:10] for fold in run["folds"]] == [str(DAYS[day].date()) for day in (61, 63, 65)]
    assert folds[folds["model"] == "SimpleRNN"]["fold"].tolist() == [1, 2, 3]
    assert forecasts.groupby("unique_id")["cutoff"].nunique().tolist() == [3, 3, 3]
    assert set(pd.read_csv("run/history.csv")["fold"]) == {1, 2, 3}
    assert pd.read_csv("run/series.csv")["windows"].unique().tolist() == [3]
    assert main(["reproduce", "run"]) == 0


def test_gaps_and_masked_rows_are_told(here, capsys):
    frame = shops().drop(columns=["rain", "price"]).dropna()
    frame = frame.drop(index=frame.index[20]).reset_index(drop=True)
    frame.loc[90, "sales"] = np.nan
    write(frame, "csv")
    arguments = ["--csv", "shops.csv", "--id", "shop", "--target", "sales"]
    assert main([*QUICK, *arguments]) == 2
    assert "1 missing value in column 'sales' (at series 'shop 1'" in capsys.readouterr().err
    assert main([*QUICK, *arguments, "--fill", "mask"]) == 0
    notes = record()["series"]["notes"]
    assert "1 date is missing before series 'shop 0'" in notes[0]
    assert "1 row with missing values is marked as such (first: series 'shop 1'" in notes[1]
    assert "Windows across missing dates or values are left out:" in notes[2]
    assert set(notes) <= set(record()["traps"])


@pytest.mark.parametrize(
    ("frame", "arguments", "expected"),
    [
        (shops(), ["--n-windows", "70"], "0 of them before the validation part, expected at least 8 for lookback 7"),
        (shops(), ["--horizon", "9"], "received --lookback 7, --horizon 9 and future covariates (price), expected"),
        (shops(), ["--lookback", "60"], "received a series of 68 rows, expected at least 90 for lookback 60"),
        (shops(), ["--static", "rain"], "received 'rain' as static covariate and as column that changes with time"),
        (shops(), ["--static", "ds"], "static covariate 'ds' is not the same in all rows of series 'shop 0'"),
        (shops(price=[None] * 209 + [1.0]), [], "'price' ends 68 rows before the target does in 2 of 3 series"),
        (shops(days=DAYS[::-1]), [], "dates are not in order in 3 of 3 series"),
        (pd.concat([shops(), shops()]), [], "210 dates stand twice in their series"),
        (shops(shop=None), [], "no id in row 0 of column 'shop'"),
        (shops(sales=1.0, rain=1.0), [], "target 'sales' is constant in every series"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_bad_panels_are_one_line_and_leave_nothing(here, capsys, kind, frame, arguments, expected):
    write(frame, kind)
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    roles = [part for name, value in zip(ROLES[::2], ROLES[1::2], strict=True) if name not in given
             for part in (name, value)]  # fmt: skip
    assert main([*QUICK, f"--{kind}", f"shops.{kind}", *roles, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert os.listdir() == [f"shops.{kind}"]


def test_a_panel_is_audited(here, capsys):
    write(shops(), "csv")
    quick = ["audit", "--cells", "rnn", "--epochs", "1", "--seeds", "1", "--units", "2", "--lookback", "7",
             "--transform", "none"]  # fmt: skip
    given = ["--csv", "shops.csv", *ROLES, "--baselines", "persistence"]
    assert main([*quick, *given]) == 0
    assert "\nClean: " in capsys.readouterr().out
    assert main([*quick, *given, "--scaler", "minmax-leaks-test"]) == 1
    assert "\nLeak: values after the cutoff move scaler" in capsys.readouterr().out
    assert main([*quick, *given, "--refit", "--n-windows", "2"]) == 0
    assert "\nClean: " in capsys.readouterr().out


@pytest.mark.parametrize("strategy", ["recursive", "seq2seq"])
def test_a_strategy_serves_all_series(here, capsys, strategy):
    write(shops(), "csv")
    roles = [*ROLES[:4], *ROLES[6:]]
    assert main([*QUICK, "--csv", "shops.csv", *roles, "--horizon", "3", "--strategy", strategy]) == 0
    assert record()["settings"]["strategy"] == strategy
    assert set(pd.read_csv("run/horizon.csv")["step"]) == {1, 2, 3}
    assert set(pd.read_csv("run/series.csv")["unique_id"]) == {"shop 0", "shop 1", "shop 2"}
    assert main(["reproduce", "run"]) == 0
    # Rain is not known for the steps to come.
    refused = main([*QUICK[:-1], "other", "--csv", "shops.csv", *ROLES, "--horizon", "3", "--strategy", strategy])
    assert refused == (2 if strategy == "recursive" else 0)
    assert ("recursive and past covariates (rain)" in capsys.readouterr().err) == bool(refused)


def test_all_series_are_tuned_as_one(here, capsys):
    write(shops(), "csv")
    tune = ["tune", "--trials", "2", "--trial-seeds", "1", "--units", "2,3", "--layers", "1", "--lookback", "3,7",
            "--learning-rate", "0.01", "--dropout", "0", "--weight-decay", "0", "--epochs", "1", "--seeds", "2",
            "--cells", "rnn", "--baselines", "persistence", "--transform", "none", "--out", "run"]  # fmt: skip
    assert main([*tune, "--csv", "shops.csv", *ROLES, "--horizon", "2"]) == 0
    assert "tuned with 2 trials for each cell" in " ".join(capsys.readouterr().out.split())
    trials, run = pd.read_csv("run/tuning.csv"), record()
    assert trials.columns[trials.columns.str.startswith("ma")].tolist() == ["mase", "mase_std"]
    assert run["tuning"]["metric"] == "mase"
    assert run["series"]["series"] == 3
    assert run["settings"]["by_cell"]["rnn"]["units"] == trials.set_index("chosen")["units"][True]
    assert set(pd.read_csv("run/series.csv")["unique_id"]) == {"shop 0", "shop 1", "shop 2"}
    assert main(["reproduce", "run"]) == 0
