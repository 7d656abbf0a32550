"""How ``auto`` counts errors: MAE of one series, OWA of several, MASE where values are negative; and on which rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kseq import panel_from_frame
from kseq.data import Panel
from kseq.preprocessing.auto_transform import Trial
from kseq.preprocessing.splits import Split

pytestmark = pytest.mark.above_backends

DATES = pd.date_range("2000-01-01", periods=96, freq="MS")
PHASE = np.arange(96) % 12


def trial(*series, horizon=3):
    frame = pd.concat(pd.DataFrame({"unique_id": str(n), "ds": DATES[: len(y)], "y": y}) for n, y in enumerate(series))
    panel = Panel.of(panel_from_frame(frame))
    split = Split.by_fraction(panel)
    return Trial.of(panel, split, np.arange(len(series)), lookback=12, horizon=horizon)


def wave(level, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return level * (1.5 + np.sin(PHASE / 12 * 2 * np.pi)) * np.exp(noise * rng.normal(size=96).cumsum())


def test_repeating_the_last_season_is_the_unit():
    assert trial(wave(5, 0.05), wave(900, 0.05, 1)).simple["seasonal naive"] == pytest.approx(1)


def test_owa_is_the_mean_of_two_relative_errors():
    it = trial(wave(5, 0.05), wave(900, 0.05, 1))
    starts, owners = it.judged
    y = it.panel.y[starts[:, None] + np.arange(3)]
    season = it.panel.y[starts[:, None] + np.arange(3) - 12]
    forecasts = 1.3 * y

    def measures(made):
        mase = [np.abs(made - y)[owners == n].mean() / it.unit[n, 0] for n in (0, 1)]
        smape = [(2 * np.abs(made - y) / (np.abs(made) + np.abs(y)))[owners == n].mean() for n in (0, 1)]
        return np.array([np.mean(mase), np.mean(smape)])

    expected = np.mean(measures(forecasts) / measures(season))
    assert it.measure == "OWA"
    assert it.error(forecasts, starts, owners) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("series", "measure"),
    [
        ((wave(5, 0.05),), "MAE"),
        ((wave(5, 0.05), wave(9, 0.05, 1)), "OWA"),
        ((wave(5, 0.05), wave(9, 0.05, 1) - 20), "MASE"),
        # What repeats itself leaves nothing to count in.
        ((wave(5), wave(9)), "MASE"),
    ],
)
def test_what_errors_are_counted_in(series, measure):
    assert trial(*series).measure == measure


def test_series_whose_validation_part_is_shorter_than_the_horizon_are_judged_where_they_have_room():
    it = trial(wave(5, 0.05), wave(9, 0.05, 1)[:60], wave(7, 0.05, 2)[:40], horizon=12)
    starts, owners = it.judged
    assert owners.tolist() == [0, 1]
    stop = it.split.stop
    assert starts.tolist() == (stop[:2] - 12).tolist()
    # What is learnt from ends before what is judged; the third series keeps its part.
    assert it.split.validation.tolist() == [*(stop[:2] - 12), stop[2] - 5]


def test_parts_weigh_by_the_windows_that_they_leave_to_learn_from():
    it = trial(wave(5, 0.05), wave(9, 0.05, 1))
    length = it.split.stop - it.split.validation
    logs, windows = [], []
    for number in range(3):
        stop = it.split.stop - number * length
        part = replace(it, split=Split(it.split.start, stop - length, stop, stop, stop))
        logs.append(np.log(part.errors["log,last"] / min(part.errors.values())))
        # Twelve rows are read, three are forecast.
        windows.append(int((stop - length - it.split.start - 12 - 3 + 1).sum()))
    assert windows[0] > windows[1] > windows[2] > 0
    assert it.regrets["log,last"] == pytest.approx(np.average(logs, weights=windows) + 2 * 0.002)
