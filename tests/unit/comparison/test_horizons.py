import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, Settings, compare, panel_from_frame
from kseq.experiments.audit import audit

pytestmark = pytest.mark.above_backends

HORIZONS = {"s0": 6, "s1": 2, "s2": 4}
QUICK = {"seeds": (0,), "units": 3, "lookback": 5, "cells": ("gru",), "training": {"epochs": 2}, "n_windows": 1,
         "baselines": ("persistence", "ar"), "refit_on_validation": False}  # fmt: skip


def panel_of(dates=True, seed=0):
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(3):
        frame = pd.DataFrame({"unique_id": f"s{number}", "y": 20 + rng.normal(size=50 + number).cumsum()})
        if dates:
            frame["ds"] = pd.date_range("2001-01-01", periods=len(frame), freq="MS")
        parts.append(frame)
    return panel_from_frame(pd.concat(parts))


@pytest.fixture(scope="module", params=[True, False])
def run(request):
    panel = panel_of(request.param)
    # With dates, all baselines that there are.
    own = {"transform": "anomaly", "baselines": None} if request.param else {"transform": "last"}
    return panel, compare(panel, Settings(**QUICK | own, horizons=HORIZONS))


def test_each_series_is_forecast_as_far_as_it_is_asked_for(run):
    panel, comparison = run
    assert comparison.data.horizon == 6
    frame = comparison.predictions
    assert frame.groupby("unique_id").size().to_dict() == HORIZONS
    for id, steps in HORIZONS.items():
        assert frame.loc[frame["unique_id"] == id, "y"].tolist() == panel.one(id).y[-steps:, 0].tolist()
    assert np.isfinite(frame.select_dtypes("number")).all(axis=None)
    persistence = frame.loc[frame["unique_id"] == "s1", "Persistence"]
    assert (persistence == panel.one("s1").y[-3, 0]).all()


def test_scores_are_those_of_the_steps_asked_for(run):
    _, comparison = run
    frame = comparison.predictions
    for row, column in ((comparison.rows[0], "Persistence"), (comparison.rows[-1], "GRU")):
        missed = frame[column] - frame["y"]
        own = missed.abs().groupby(frame["unique_id"]).mean()
        assert comparison.scores(row, "mae", by="series")[0] == pytest.approx(own.to_numpy())
        assert comparison.scores(row, "mae")[0] == pytest.approx(own.mean())
        squared = (missed**2).groupby(frame["unique_id"]).mean()
        assert comparison.scores(row, "rmse")[0] == pytest.approx(np.sqrt(squared).mean())
        bias = missed.groupby(frame["unique_id"]).mean().mean()
        assert comparison.scores(row, "bias")[0] == pytest.approx(bias)
        # The fifth step is asked of one series alone.
        fifth = missed[frame["unique_id"] == "s0"].iloc[4]
        assert comparison.scores(row, "mae", by="step")[0, 4] == pytest.approx(abs(fifth))
    assert comparison.verdict
    assert np.isfinite(comparison.table["mase"]).all()


def test_one_horizon_for_all_is_that_horizon():
    settings = {**QUICK, "transform": "change"}
    same = compare(panel_of(), Settings(**settings, horizons=dict.fromkeys(HORIZONS, 4)))
    plain = compare(panel_of(), Settings(**settings, horizon=4))
    for one, other in zip(same.rows, plain.rows, strict=True):
        np.testing.assert_array_equal(one.predictions, other.predictions)
        assert same.scores(one, "mase") == pytest.approx(plain.scores(other, "mase"))


@pytest.mark.parametrize("options", [{"transform": "auto"}, {"strategy": "recursive", "transform": "last"}])
def test_nothing_leaks(options):
    found = audit(panel_of(), Settings(**QUICK, horizons=HORIZONS, **options))
    assert found.clean, found.verdict


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"horizons": {"s9": 3}}, "received horizons of series 's9'"),
        ({"horizons": {"s1": 3}, "n_windows": 0}, "expected them with n_windows"),
        ({"horizons": {"s1": 3}, "horizon": 2}, "expected a horizon as long as the longest"),
        ({"horizons": {"s1": 0}}, "received horizon 0"),
        ({"horizons": {"s1": 3}, "refit": True}, "received horizons with refit"),
    ],
)
def test_what_horizons_do_not_go_with(options, expected):
    with pytest.raises(ConfigError, match=expected):
        compare(panel_of(), Settings(**{**QUICK, **options}))
