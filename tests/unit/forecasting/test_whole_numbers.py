"""Whole numbers in the place of dates, as in the M4 files and in Nixtla's frames, stay what they are."""

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq import DataError
from kseq.data import from_frame, panel_from_frame, series_of
from kseq.forecasting import model_file
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import covariates_ahead, forecast

pytestmark = pytest.mark.above_backends

STEP, FIRST, ROWS = 10, 100, 60


def frame(rows=ROWS, first=FIRST, step=STEP, seed=0):
    y = np.random.default_rng(seed).normal(size=rows).cumsum()
    return pd.DataFrame({"ds": first + step * np.arange(rows), "y": y, "price": np.arange(rows) % 5})


def two():
    """Two series that begin at different numbers."""
    parts = [frame().assign(unique_id="a"), frame(first=FIRST + 50, seed=1).assign(unique_id="b")]
    return pd.concat(parts, ignore_index=True)


def fitted(data, **options):
    return fit_model(data, horizon=2, units=3, epochs=1, lookback=4, **options)


def test_they_are_read():
    series = from_frame(frame(), target="y")
    assert series.index.tolist() == frame()["ds"].tolist()
    assert "steps counted by ds, 100 to 690" in series.read
    panel = panel_from_frame(two(), target="y")
    assert panel.index.tolist() == two()["ds"].tolist()
    indexed = series_of(frame().set_index("ds")["y"])
    assert indexed.index.tolist() == frame()["ds"].tolist()
    assert from_frame(frame()[["y"]]).index.tolist() == list(range(ROWS))


def test_a_comparison_shows_them():
    made = kseq.compare(
        from_frame(frame(), target="y"),
        cells=["rnn"],
        baselines=["persistence"],
        units=3,
        epochs=1,
        seeds=1,
        lookback=4,
    )
    predictions = made.predictions
    assert set(predictions["ds"]) <= set(frame()["ds"])
    assert predictions["ds"].max() == frame()["ds"].max()


def test_a_forecast_goes_on_by_their_step(tmp_path):
    last = frame()["ds"].max()
    model = fitted(from_frame(frame(), target="y"))
    assert forecast(model, 3).frame["ds"].tolist() == [last + STEP, last + 2 * STEP, last + 3 * STEP]
    model_file.save(model, tmp_path / "a.keras")
    kept = model_file.load(tmp_path / "a.keras")
    assert forecast(kept, 3).frame["ds"].tolist() == [last + STEP, last + 2 * STEP, last + 3 * STEP]
    newer = from_frame(frame(rows=2, first=last + STEP), target="y")
    assert forecast(kept, 1, rows=newer).frame["ds"].tolist() == [last + 3 * STEP]
    with pytest.raises(DataError, match="received steps that are 5 apart, expected 10"):
        forecast(kept, 1, rows=from_frame(frame(rows=3, first=last + 5, step=5), target="y"))


def test_a_forecast_of_each_series_goes_on_from_its_own():
    made = forecast(fitted(panel_from_frame(two(), target="y")), 2).frame
    last = two().groupby("unique_id")["ds"].max()
    for id, own in made.groupby("unique_id"):
        assert own["ds"].tolist() == [last[id] + STEP, last[id] + 2 * STEP]


def test_covariates_are_found_by_them():
    model = fitted(from_frame(frame(), target="y", future=["price"]))
    ahead = frame(rows=4, first=frame()["ds"].max() + STEP)[["ds", "price"]]
    expected = forecast(model, 2, future=covariates_ahead(model.card, ahead[:2], "ahead")).values
    shuffled = forecast(model, 2, future=covariates_ahead(model.card, ahead[::-1], "ahead")).values
    assert shuffled.tolist() == expected.tolist()
    with pytest.raises(DataError, match="is missing at 2 of 2 steps to come"):
        forecast(model, 2, future=covariates_ahead(model.card, ahead.assign(ds=ahead["ds"] + 1), "ahead"))
