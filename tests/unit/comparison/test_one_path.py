"""One path for one and many series: a panel of one gives what the series gives, and series do not touch each other."""

import numpy as np
import pandas as pd
import pytest

from kseq import Comparison, compare, from_frame, make_windows, panel_from_frame
from kseq.comparison.backtest import make_backtest
from kseq.evaluation import metrics
from kseq.settings import Settings

pytestmark = pytest.mark.above_backends

ROLES = {"target": "y", "features": ["wind"], "future": ["price"]}
PLANS = (
    {},
    {"horizon": 3, "calendar": True},
    {"n_windows": 3, "horizon": 2, "refit": True, "gap": 1},
    {"n_windows": 4, "step_size": 1, "train_size": 60},
    {"transform": "anomaly,trend,change", "season": 7},
)


def days(rows, seed=0, level=20.0):
    """Days of a weekly season and noise, with covariates; two dates and a value are missing."""
    rng = np.random.default_rng(seed)
    at = np.arange(rows)
    frame = pd.DataFrame({
        "unique_id": f"s{seed}", "ds": pd.date_range("2001-01-01", periods=rows, freq="D"),
        "y": level + 3 * np.sin(at * 2 * np.pi / 7) + rng.normal(size=rows).cumsum() * 0.2,
        "wind": rng.normal(size=rows),
        "price": np.cos(at / 5),
    })  # fmt: skip
    frame.loc[30, "y"] = np.nan
    return frame.drop(index=[50, 51])


def both_doors(frame):
    """The same rows as a series and as a panel of one."""
    series = from_frame(frame.drop(columns="unique_id"), name="s0", fill="mask", freq="D", **ROLES)
    return series, panel_from_frame(frame, fill="mask", freq="D", **ROLES)


@pytest.mark.parametrize("plan", PLANS)
def test_a_panel_of_one_gives_what_the_series_gives(plan):
    given = {"cells": (), "baselines": ("persistence", "seasonal-naive", "climatology-ar"), "lookback": 5, **plan}
    one, other = (compare(data, **given) for data in both_doors(days(140)))
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.predictions, other.predictions)
    pd.testing.assert_frame_equal(one.by_fold, other.by_fold)
    # A reader of many series names the series of a date.
    assert one.cautions == [text.replace("series 's0', ", "") for text in other.cautions]
    for name in ("split", "windows", "folds"):
        assert one.record[name] == other.record[name], name
    for ours, theirs in zip(one.trainings, other.trainings, strict=True):
        for part in ("train", "validation", "test"):
            windows = getattr(ours, part)
            for a, b in zip(
                windows.gather(np.arange(len(windows))),
                getattr(theirs, part).gather(np.arange(len(windows))),
                strict=True,
            ):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("plan", PLANS[:4])
def test_what_is_learnt_of_a_series_does_not_hang_on_the_others(plan):
    frame = pd.concat([days(140), days(150, 1, 900.0)])
    changed = pd.concat([days(140), days(150, 2, -5.0).assign(unique_id="s1")])
    settings = Settings(lookback=5, transform="anomaly,change", season=7, **{"n_windows": 2, **plan})
    before, after = (
        make_backtest(panel_from_frame(rows, fill="mask", freq="D", **ROLES), settings) for rows in (frame, changed)
    )
    for ours, theirs in zip(before.trainings, after.trainings, strict=True):
        for scaler in ("input_scaler", "target_scaler"):
            np.testing.assert_array_equal(getattr(ours, scaler).center[0], getattr(theirs, scaler).center[0])
        for part in ("train", "validation", "test"):
            windows, others = getattr(ours, part), getattr(theirs, part)
            which = np.flatnonzero(windows.series == 0)
            assert len(which)
            for a, b in zip(windows.gather(which), others.gather(which), strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_meter_far_from_zero_keeps_its_digits():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"unique_id": "meter", "y": 1.2e9 + np.cumsum(rng.normal(0, 40, 400)).round(1)})
    steps = np.diff(frame["y"])[-80:]
    for data in (from_frame(frame[["y"]]), panel_from_frame(frame), panel_from_frame(pd.concat([
        frame, frame.assign(unique_id="other")
    ]))):  # fmt: skip
        result = compare(data, cells=(), baselines=("persistence",), lookback=4)
        assert result.table["rmse"][0] == pytest.approx(np.sqrt(np.mean(steps**2)), rel=1e-9)


@pytest.mark.parametrize("metric", list(metrics.METRICS))
def test_scores_can_be_kept_apart_by_window_and_by_series(metric):
    panel = panel_from_frame(pd.concat([days(120), days(150, 1, 90.0)]), fill="mask", freq="D", **ROLES)
    comparison = Comparison(make_windows(panel, lookback=5, horizon=2))
    comparison.add_baselines(["climatology"])
    (row,) = comparison.rows
    by_window = comparison.scores(row, metric, by="window")
    assert by_window.shape == (1, len(comparison.data.test))
    by_series = comparison.scores(row, metric, by="series")
    assert comparison.scores(row, metric) == pytest.approx(by_series.mean())
    if metric in ("mae", "bias", "mase", "mape"):
        owners = comparison.data.test.series
        for series in range(2):
            assert by_window[0, owners == series].mean() == pytest.approx(by_series[0, series])


def test_coverage_of_intervals_is_the_mean_over_series_of_their_own_shares():
    panel = panel_from_frame(pd.concat([days(90), days(400, 1, 90.0)]), fill="mask", freq="D", **ROLES)
    result = compare(panel, cells=(), baselines=("persistence",), lookback=5)
    (row,) = result.rows
    band = result.intervals(row)[80]
    inside = (band.lo <= result.data.test_y) & (result.data.test_y <= band.hi)
    shares = pd.Series(inside[0, :, 0, 0]).groupby(result.data.test.series).mean()
    assert result.table["coverage_80"][0] == pytest.approx(100 * shares.mean())
