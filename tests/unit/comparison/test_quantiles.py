"""Networks that forecast the bounds of their intervals themselves."""

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, Settings, compare, from_frame
from kseq.evaluation.intervals import conformalised

QUICK = {
    "cells": ("gru",), "baselines": ("persistence",), "lookback": 4, "units": 3, "transform": "none", "validation": 0.3,
    "training": {"epochs": 4, "loss": "quantile", "learning_rate": 0.01},
}  # fmt: skip


@pytest.fixture(scope="module")
def run():
    y = np.sin(np.arange(160) / 3) + np.random.default_rng(0).normal(size=160) / 5
    return compare(from_frame(pd.DataFrame({"y": y})), **QUICK, seeds=(0, 1), horizon=2, levels=(80, 50))


def test_bounds_are_the_networks_own_and_cover_the_validation_part(run):
    row = next(row for row in run.rows if row.name == "GRU")
    # Quantiles .1, .25, .5, .75, .9 of each step; the median is the forecast.
    assert row.quantiles.shape == (*row.predictions.shape, 5)
    assert np.array_equal(row.quantiles[..., 2], row.predictions)
    assert (np.diff(row.quantiles, axis=-1) >= 0).all()
    bands = run.intervals(row)
    for level, (low, high) in {80: (0, 4), 50: (1, 3)}.items():
        band = bands[level]
        # One move of both bounds for all windows of a member and step.
        moved = row.quantiles[..., low] - band.lo
        assert np.ptp(moved, axis=1).max() < 1e-9
        assert band.hi - row.quantiles[..., high] == pytest.approx(moved)
        y = run.data.series.y[run.data.validation.target_rows]
        move = moved[:, :1]
        inside = row.validation_quantiles[..., low] - move <= y + 1e-9
        inside &= y - 1e-9 <= row.validation_quantiles[..., high] + move
        assert (inside.mean(axis=1) >= level / 100).all()
        # Widths differ among windows, as those of one half-width for all do not.
        assert np.ptp(band.hi - band.lo, axis=1).max() > 1e-6


def test_columns_and_scores_of_quantiles(run):
    columns = run.predictions.columns
    assert {"GRU x2 mean-lo-80", "GRU x2 mean-hi-50"} <= set(columns)
    table = run.table.set_index("model")
    assert 0 < table.loc["GRU", "coverage_80"] <= 100
    assert table.loc["GRU", "wql"] > 0


def test_too_few_errors_give_no_bound():
    ones = np.ones((3, 1, 1))
    band = conformalised((ones, ones), (ones, ones), np.zeros((3, 1, 1)), 80)
    assert np.isinf(band.lo).all()
    assert "takes" in band.reason


def test_quantiles_are_not_fed_back():
    with pytest.raises(ConfigError, match="received loss quantile and strategy recursive"):
        Settings(strategy="recursive", training={"loss": "quantile"})
