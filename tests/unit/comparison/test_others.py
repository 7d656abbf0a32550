import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.comparison.others import points_of
from kseq.errors import ConfigError, DataError

pytestmark = pytest.mark.above_backends

PLAN = {"cells": (), "baselines": "persistence,seasonal-naive", "season": 12, "transform": "none", "lookback": 12}


def panel(ids=("a", "b"), rows=96):
    rng, dates = np.random.default_rng(3), pd.date_range("2001-01-01", periods=rows, freq="MS")
    return pd.concat([
        pd.DataFrame({"unique_id": name, "ds": dates,
                      "y": 40.0 * (1 + n) + 9 * np.sin(np.arange(rows) * np.pi / 6) + rng.normal(0, 2, rows)})
        for n, name in enumerate(ids)
    ])  # fmt: skip


def run(frame, others=None, **options):
    return kseq.compare(frame, **PLAN | options, with_forecasts=others)


def forecasts(frame, **options):
    """Forecasts of all test points by a model with intervals, one with two seeds, and a baseline of another package."""
    points = points_of(run(frame, **options).data)
    miss = np.random.default_rng(5).normal(0, 1, len(points))
    return points.assign(**{
        "NHITS": points["y"] + miss, "NHITS-lo-80": points["y"] + miss - 2, "NHITS-hi-80": points["y"] + miss + 2,
        "NHITS-lo-95": points["y"] + miss - 3, "NHITS-hi-95": points["y"] + miss + 3,
        "Net (seed 1)": points["y"] + 1.0, "Net (seed 4)": points["y"] - 3.0, "SeasonalNaive": points["y"] + 4.0,
    })  # fmt: skip


SERIES = [
    pytest.param(("a",), {"horizon": 1}, id="one-series"),
    pytest.param(("a",), {"horizon": 3}, id="overlapping-windows"),
    pytest.param(("a", "b"), {"horizon": 6, "n_windows": 2}, id="panel-backtest"),
]


@pytest.mark.parametrize(("ids", "options"), SERIES)
def test_they_are_rows_like_all_others(ids, options):
    frame = panel(ids)
    given = forecasts(frame, **options).sample(frac=1, random_state=1)
    alone, both = run(frame, **options), run(frame, given, **options)
    table = both.table.set_index("model")
    assert table["kind"].to_dict() == {
        "Persistence": "baseline", "Seasonal naive (12)": "baseline", "NHITS": "model", "Net": "model",
        "SeasonalNaive": "baseline",
    }  # fmt: skip
    own = alone.table.set_index("model")
    for column in ("mae", "mase", "rmse", "wql", "coverage_95", "validation"):
        np.testing.assert_array_equal(table.loc[own.index, column], own[column], err_msg=column)
    of_series = (given["NHITS"] - given["y"]).abs().groupby(given["unique_id"]).mean()
    assert table.loc["NHITS", "mae"] == pytest.approx(of_series.mean())
    assert (table.loc["Net", "mae"], table.loc["Net", "mae_std"]) == (pytest.approx(2.0), pytest.approx(2**0.5))
    inside = ((given["NHITS"] - given["y"]).abs() <= 2).groupby(given["unique_id"]).mean()
    assert table.loc["NHITS", "coverage_80"] == pytest.approx(100 * inside.mean())
    assert table.loc["NHITS", "width_95"] == pytest.approx(6.0)
    assert np.isfinite(table.loc["NHITS", "wql"])
    assert np.isnan(table.loc["Net", "wql"])
    assert table["group"].map(len).gt(0).all()
    assert both.best.name == "NHITS"
    written = both.predictions
    for column in ("NHITS", "NHITS-lo-95", "Net (seed 1)", "Net (seed 4)", "SeasonalNaive"):
        keys = ["unique_id", "ds", "cutoff"]
        there = written.merge(given[[*keys, column]], on=keys, suffixes=("", "_given"))
        np.testing.assert_allclose(there[column], there[f"{column}_given"], err_msg=column)
    assert both.record["with_forecasts"]["models"] == ["NHITS", "Net", "SeasonalNaive"]
    assert any("NHITS, Net, SeasonalNaive. Nothing here says what they were fitted to" in t for t in both.cautions)


def test_without_cutoffs_dates_tell_windows_that_do_not_overlap():
    frame = panel()
    options = {"horizon": 6, "n_windows": 2}
    given = forecasts(frame, **options)
    expected = run(frame, given, **options).table
    bare = given.drop(columns=["cutoff", "y"])
    pd.testing.assert_frame_equal(run(frame, bare, **options).table, expected)
    with pytest.raises(DataError, match=r"cutoffs: received none, expected a column cutoff: a, .* several origins"):
        run(panel(("a",)), forecasts(panel(("a",)), horizon=3).drop(columns="cutoff").drop_duplicates("ds"), horizon=3)


def test_numbered_folds_begin_after_their_cutoff():
    frame = panel(("a",))
    given = forecasts(frame, horizon=3)
    folds = given.assign(fold=given.groupby("cutoff").ngroup()).set_index("ds")[["fold", "NHITS"]]
    folds = folds.rename(columns={"NHITS": "pred"})
    made = run(frame, {"NHITS": folds}, horizon=3).table.set_index("model")
    assert made.loc["NHITS", "mae"] == pytest.approx((given["NHITS"] - given["y"]).abs().mean())


def test_seeds_in_a_column_of_their_own_and_single_precision():
    frame = panel()
    wide = forecasts(frame, horizon=2)
    long = pd.concat([
        wide[["unique_id", "ds", "cutoff", "y"]].assign(seed=seed, Net=wide[f"Net (seed {seed})"])
        for seed in (1, 4)
    ])  # fmt: skip
    long = long.assign(y=long["y"].astype("float32"))
    row = run(frame, long, horizon=2).table.set_index("model").loc["Net"]
    assert (row["seeds"], row["mae"], row["mae_std"]) == (2, pytest.approx(2.0), pytest.approx(2**0.5))
    bounded = pd.concat(
        [part.assign(**{"Net-lo-80": part["Net"] - 4, "Net-hi-80": part["Net"] + 4}) for part in [long]]
    )
    row = run(frame, bounded, horizon=2, level=80).table.set_index("model").loc["Net"]
    assert (row["coverage_80"], row["width_80"]) == (pytest.approx(100.0), pytest.approx(8.0))


def test_a_seed_that_diverged_is_no_mismatch():
    frame = panel(("a",))
    given = forecasts(frame)
    given.loc[3, "Net (seed 4)"] = np.nan
    row = run(frame, given).table.set_index("model").loc["Net"]
    assert (row["diverged"], row["mae"]) == (1, pytest.approx(1.0))


def test_arrays_stand_in_the_order_of_test_windows():
    frame = panel()
    data = run(frame, horizon=2).data
    y = data.test_y
    made = run(frame, {"one": y + 0.5, "flat": (y - 1).ravel(), "two": np.stack([y + 1, y + 3])}, horizon=2)
    table = made.table.set_index("model")
    assert table.loc[["one", "flat", "two"], "mae"].tolist() == pytest.approx([0.5, 1.0, 2.0])
    assert table.loc["two", "seeds"] == 2
    with pytest.raises(DataError, match=r"one: received an array of shape \(3,\), expected \(\d+, 2, 1\)"):
        run(frame, {"one": np.zeros(3)}, horizon=2)
    with pytest.raises(DataError, match="one: received 1 values of NaN"):
        run(frame, {"one": np.where(np.arange(y.size).reshape(y.shape) == 0, np.nan, y)}, horizon=2)


def test_a_name_that_is_taken_gets_the_source_behind_it(tmp_path):
    frame = panel(("a",))
    first = run(frame)
    first.write(tmp_path / "earlier")
    both = run(frame, tmp_path / "earlier/predictions.csv")
    assert [row.name for row in both.rows] == [
        "Persistence", "Seasonal naive (12)", "Persistence (predictions)", "Seasonal naive (12) (predictions)",
    ]  # fmt: skip
    assert any("names are taken: Persistence is Persistence (predictions)" in text for text in both.cautions)
    mae = both.table.set_index("model")["mae"]
    assert mae["Persistence"] == pytest.approx(mae["Persistence (predictions)"])


def test_several_targets_by_their_names():
    frame = panel(("a",)).assign(z=lambda own: own["y"] ** 1.5).drop(columns="unique_id").set_index("ds")
    options = {"target": ("y", "z"), "horizon": 2}
    points = points_of(run(frame, **options).data)
    given = points.assign(Mine=points["y"] + 1)
    assert run(frame, given, **options).table.set_index("model").loc["Mine", "mae"] == pytest.approx(1.0)
    short = given.assign(unique_id=given["unique_id"].str.rpartition("/")[2])
    assert run(frame, short, **options).table.set_index("model").loc["Mine", "mae"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: own.iloc[4:], r"dates: received \d+ of \d+ test points, .*expected all.*the first"),
        (lambda own: own.assign(ds=own["ds"] + pd.Timedelta(days=27)), r"dates: received 0 of \d+ test points"),
        (lambda own: own.assign(ds=np.arange(len(own)), cutoff=np.arange(len(own))), "dates: received ds 0, expected"),
        (lambda own: own.assign(y=own["y"] + 0.1), r"true values: received y .* \(\d+ of \d+ differ\)"),
        (lambda own: own.assign(unique_id=own["unique_id"] + "x"), r"series: received ax, bx \(2\), expected a, b"),
        (lambda own: own[own["unique_id"] == "a"], r"series: received a \(1\), expected b among them \(1 of 2"),
        (lambda own: own.assign(NHITS=own["NHITS"].where(own.index > 2)), "NHITS: received NaN at 3 of"),
        (lambda own: own.drop(columns="ds"), "expected one of dates"),
        (lambda own: own[["unique_id", "ds", "cutoff", "y"]], "no column of forecasts"),
        (lambda own: pd.concat([own, own]), "points twice"),
    ],
)  # fmt: skip
def test_what_does_not_match_is_told_before_any_work(change, said, tmp_path):
    frame = panel()
    given = forecasts(frame, horizon=2)
    with pytest.raises(DataError, match=said):
        run(frame, change(given), horizon=2, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_mismatch_is_told():
    frame = panel()
    given = forecasts(frame, horizon=2)
    given = given.assign(y=given["y"] + 1, NHITS=given["NHITS"].where(given.index != 9)).iloc[2:]
    with pytest.raises(DataError) as told:
        run(frame, given, horizon=2)
    assert all(part in str(told.value) for part in ("dates: received", "true values: received", "NHITS: received NaN"))


def test_other_points_and_levels_are_left_out_and_told():
    frame = panel(("a",), rows=240)
    given = forecasts(frame)
    later = given.iloc[-1:].assign(ds=given["ds"].max() + pd.offsets.MonthBegin(), cutoff=given["ds"].max())
    made = run(frame, pd.concat([given, later]).drop(columns=["NHITS-lo-95", "NHITS-hi-95"]), metric="wql")
    assert any(text.startswith("1 of ") and "of no test point" in text for text in made.cautions)
    assert any(text.startswith("NHITS came without 95 % intervals") for text in made.cautions)
    table = made.table.set_index("model")
    assert np.isnan(table.loc["NHITS", "wql"])
    assert np.isfinite(table.loc["NHITS", "coverage_80"])


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        run(panel(), tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="with_forecast"):
        kseq.tune(panel(), with_forecasts=tmp_path / "none.csv")
