"""Pictures of skill by step and of forecasts that follow earlier values."""

import numpy as np
import pandas as pd
import pytest

from kseq import Comparison, from_frame, make_windows
from kseq.evaluation.model_result import ModelResult
from kseq.report.by_lag import plot_horizon, plot_shift

pytestmark = [pytest.mark.above_backends, pytest.mark.pictures]


@pytest.fixture
def comparison():
    y = np.random.default_rng(0).normal(size=120).cumsum()
    data = make_windows(from_frame(pd.DataFrame({"y": y})), lookback=4, horizon=3)
    made = Comparison(data)
    made.add_baselines(["persistence"])
    return made


def add(comparison, name, predictions):
    comparison.add(ModelResult(name, predictions, kind="cell", seeds=tuple(range(len(predictions)))))


def lines(figure):
    return {line.get_label(): line.get_ydata() for line in figure.axes[0].lines if not line.get_label().startswith("_")}


def test_skill_is_the_share_by_which_errors_are_smaller(comparison):
    truth, baseline = comparison.data.test_y, comparison.rows[0].predictions
    # Half of the baseline's error at every step.
    add(comparison, "LSTM", (truth[None] + baseline) / 2)
    drawn = lines(plot_horizon(comparison))
    np.testing.assert_allclose(drawn["LSTM"], 50.0)


def test_a_forecast_that_repeats_the_last_value_agrees_best_one_step_earlier(comparison):
    truth = comparison.data.test_y
    add(comparison, "GRU", truth[None] + 0.0)
    drawn = lines(plot_shift(comparison))
    assert np.argmax(drawn["Persistence"]) == 1
    assert drawn["Persistence"][1] == pytest.approx(1)
    assert np.argmax(drawn["GRU"]) == 0


def test_where_nothing_is_trained_there_is_nothing_to_draw(comparison):
    assert plot_horizon(comparison) is None
    assert plot_shift(comparison) is None
