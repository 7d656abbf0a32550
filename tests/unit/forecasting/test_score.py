import numpy as np
import pandas as pd
import pytest

from kseq import DataError, from_frame
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import forecast
from kseq.forecasting.score import evaluate

pytestmark = pytest.mark.above_backends

QUICK = {"transform": "none", "units": 3, "lookback": 4, "training": {"epochs": 3}}


def monthly(rows=72, seed=0, **columns):
    noise = np.random.default_rng(seed).normal(size=rows)
    y = 10 + 3 * np.sin(np.arange(rows) * np.pi / 6) + noise
    return pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=rows, freq="MS"), "y": y, **columns})


@pytest.fixture(scope="module")
def model():
    return fit_model(from_frame(monthly(60)), **QUICK)


def test_the_rows_after_those_it_was_trained_on(model):
    y = monthly()["y"].to_numpy()
    score = evaluate(model, from_frame(monthly()))
    table = score.comparison.table.set_index("model")
    made = [forecast(model, rows=from_frame(monthly()[:origin])).values[0, 0, 0] for origin in range(60, 72)]
    assert list(table.index) == ["GRU", "Persistence", "Seasonal naive (12)"]
    assert table["mae"]["GRU"] == pytest.approx(np.abs(y[60:] - made).mean(), rel=1e-5)
    assert table["mae"]["Persistence"] == pytest.approx(np.abs(y[60:] - y[59:-1]).mean())
    assert table["mae"]["Seasonal naive (12)"] == pytest.approx(np.abs(y[60:] - y[48:60]).mean())
    assert score.seen == 0
    assert score.notes == ("Scored on 12 windows, 2005-01-01 to 2005-12-01: rows that the model was not trained on.",)
    half = model.card.half_widths.at(80, 1)[0, 0] * model.card.unit[0, 0]
    assert score.coverage[80] == pytest.approx(100 * (np.abs(y[60:] - made) <= half).mean())
    assert list(score.coverage) == [80]


def test_newer_rows_alone_are_scored_on_the_same_windows(model):
    whole = evaluate(model, from_frame(monthly())).comparison
    alone = evaluate(model, from_frame(monthly()[60:])).comparison
    assert alone.predictions.equals(whole.predictions)
    assert alone.table[["model", "mae", "rmse"]].equals(whole.table[["model", "mae", "rmse"]])


def test_rows_that_it_was_trained_on_are_told(model):
    score = evaluate(model, from_frame(monthly(60)))
    assert score.seen == 36
    assert "all of these rows were in its training, and scores on them are too good" in score.notes[0]
    both = evaluate(model, from_frame(monthly()), all_rows=True)
    assert both.seen == 36
    assert "36 of 48 of these rows were in its training" in both.notes[0]
    assert [row.name for row in both.comparison.rows] == ["GRU", "Persistence", "Seasonal naive (12)"]


def test_rows_too_few_for_a_season(model):
    early = monthly(20).assign(ds=pd.date_range("1990-01-01", periods=20, freq="MS"))
    score = evaluate(model, from_frame(early))
    assert len(score.comparison.data.test) == 16
    assert score.seen == 0
    assert score.notes[1] == "No seasonal naive forecast: the 4 rows before the first window hold no two seasons."


def test_another_series_of_the_same_dates_was_not_trained_on(model):
    score = evaluate(model, from_frame(monthly(60, seed=1)))
    assert score.seen == 0
    assert "rows that the model was not trained on" in score.notes[0]


def test_rows_without_dates_are_known_by_their_values():
    frame = monthly()[["y"]]
    model = fit_model(from_frame(frame[:60]), **QUICK)
    score = evaluate(model, from_frame(frame[20:]))
    assert score.notes[0] == "Scored on 12 windows, row 40 to row 51: rows that the model was not trained on."
    assert evaluate(model, from_frame(frame[:60])).seen == 56
    assert evaluate(model, from_frame(monthly(seed=1)[["y"]])).seen == 0


def test_several_steps_and_seeds():
    model = fit_model(from_frame(monthly(60)), horizon=3, seeds=(0, 1), **QUICK)
    score = evaluate(model, from_frame(monthly()))
    assert score.comparison.rows[0].name == "GRU x2 mean"
    assert score.comparison.rows[0].predictions.shape == (1, 10, 3, 1)
    assert score.notes[0].startswith("Scored on 10 windows of 3 steps, 2005-01-01 to 2005-12-01")


def test_windows_across_a_gap_are_left_out(model):
    late = monthly().drop(index=[66])
    score = evaluate(model, from_frame(late))
    assert len(score.comparison.data.test) == 6 + 1


def test_too_few_rows(model):
    late = monthly(4).assign(ds=pd.date_range("2010-01-01", periods=4, freq="MS"))
    with pytest.raises(
        DataError, match="received 4 rows, in which no window fits, expected at least 5 without missing"
    ):
        evaluate(model, from_frame(late))
