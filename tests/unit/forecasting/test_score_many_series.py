"""A model of many series, scored on rows of a panel."""

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, DataError, from_frame, panel_from_frame
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import forecast
from kseq.forecasting.score import evaluate

pytestmark = pytest.mark.above_backends

QUICK = {"units": 3, "lookback": 4, "training": {"epochs": 2, "learning_rate": 0.01}}


def shops(count=3, rows=72, first=0):
    parts = []
    for number in range(first, first + count):
        noise = np.random.default_rng(number).normal(size=rows)
        y = (20 + 3 * np.sin(np.arange(rows) * np.pi / 6 + number) + noise) * 10**number
        dates = pd.date_range("2000-01-01", periods=rows, freq="MS")
        parts.append(pd.DataFrame({"unique_id": f"shop {number}", "ds": dates, "y": y}))
    return pd.concat(parts, ignore_index=True)


def panel(*frames):
    return panel_from_frame(pd.concat(frames))


@pytest.fixture(scope="module", params=["none", "anomaly,change"])
def model(request):
    return fit_model(panel(shops(rows=60)), transform=request.param, **QUICK)


def errors_of(model, frame, origins):
    """Absolute errors of forecasts made one origin after the other, ``(series, origins)``."""
    y = frame["y"].to_numpy().reshape(-1, len(frame) // frame["unique_id"].nunique())
    made = [
        forecast(model, 1, rows=panel(frame.groupby("unique_id").head(origin)), levels=()).values[:, 0, 0]
        for origin in origins
    ]
    return np.abs(np.stack(made, axis=1) - y[:, list(origins)])


def test_the_rows_after_those_it_was_trained_on(model):
    frame = shops()
    score = evaluate(model, panel(frame))
    errors = errors_of(model, frame, range(60, 72))
    by_series = score.comparison.by_series.set_index(["model", "unique_id"])
    assert by_series["mae"]["GRU"].to_numpy() == pytest.approx(errors.mean(axis=1), rel=1e-4)
    assert set(by_series["windows"]) == {12}
    y = frame["y"].to_numpy().reshape(3, 72)
    scale = np.abs(y[:, 12:60] - y[:, :48]).mean(axis=1)
    table = score.comparison.table.set_index("model")
    assert list(table.index) == ["GRU", "Persistence", "Seasonal naive (12)"]
    assert table["mase"]["GRU"] == pytest.approx((errors.mean(axis=1) / scale).mean(), rel=1e-4)
    naive = np.abs(y[:, 60:] - y[:, 48:60]).mean(axis=1)
    assert table["mase"]["Seasonal naive (12)"] == pytest.approx((naive / scale).mean(), rel=1e-5)
    assert table["mae"]["Persistence"] == pytest.approx(np.abs(y[:, 60:] - y[:, 59:-1]).mean(), rel=1e-5)
    assert score.seen == 0
    assert score.notes == (
        "Scored on 36 windows of 3 series, 2005-01-01 to 2005-12-01: rows that the model was not trained on.",
    )
    half = model.card.half_widths.at(80, 1)[0, 0] * model.card.unit
    assert score.coverage[80] == pytest.approx(100 * (errors <= half).mean())


def test_newer_rows_alone_are_scored_on_the_same_windows(model):
    frame = shops()
    alone = evaluate(model, panel(frame.groupby("unique_id").tail(12)))
    whole = evaluate(model, panel(frame))
    pd.testing.assert_frame_equal(alone.comparison.predictions, whole.comparison.predictions)
    assert alone.comparison.table["mae"].tolist() == pytest.approx(whole.comparison.table["mae"].tolist())


def test_rows_that_it_was_trained_on_are_told(model):
    score = evaluate(model, panel(shops(rows=60)))
    assert score.seen == 3 * 36
    assert "all of these rows were in its training, and scores on them are too good" in score.notes[0]
    both = evaluate(model, panel(shops()), all_rows=True)
    assert both.seen == 3 * 36
    assert "108 of 144 of these rows were in its training" in both.notes[0]


def test_a_new_series_is_scored_on_its_last_rows_by_the_scale_of_the_rest(model):
    new = shops(1, 50, first=5)
    score = evaluate(model, panel(new))
    assert score.seen == 0
    assert score.comparison.data.test.target_rows[:, 0].tolist() == list(range(40, 50))
    assert "1 of 1 series (first: 'shop 5') were not in the training: the last rows" in score.notes[1]
    y = new["y"].to_numpy()
    if model.card.transform is None:
        center, scale = y[:40].mean(), y[:40].std()
        x = ((np.lib.stride_tricks.sliding_window_view(y, 4)[36:46] - center) / scale)[..., None]
        expected = model.network.predict_on_batch(x.astype("float32"))[:, 0] * scale + center
        assert score.comparison.rows[0].predictions[0, :, 0, 0] == pytest.approx(expected, rel=1e-4)
    other = new.assign(y=np.where(np.arange(50) < 40, y, y + 100000.0))
    made = [evaluate(model, panel(given)).comparison.rows[0].predictions[0, 0, 0, 0] for given in (new, other)]
    assert made[0] == made[1], "nothing of the rows that are scored is known"


def test_a_new_series_that_is_too_short(model):
    need = model.card.reach + 2
    with pytest.raises(
        DataError, match=rf"'shop 5' was not in the training and holds 4 rows, expected at least {need}"
    ):
        evaluate(model, panel(shops(), shops(1, 4, first=5)))
    assert len(evaluate(model, panel(shops(), shops(1, 4, first=5)), ids=["shop 0"]).comparison.table) == 3


def test_series_without_a_window_are_left_out(model):
    frame = shops()
    later = frame.groupby("unique_id").cumcount()
    frame = frame[(frame["unique_id"] != "shop 1") | (later < 60)]
    score = evaluate(model, panel(frame))
    assert np.bincount(score.comparison.data.test.series).tolist() == [12, 12]
    assert "1 of 3 series (first: 'shop 1') hold no window to score, and are left out." in score.notes


def test_several_steps_and_seeds():
    model = fit_model(panel(shops(rows=60)), horizon=3, seeds=(0, 1), transform="none", **QUICK)
    score = evaluate(model, panel(shops()))
    assert score.comparison.rows[0].name == "GRU x2 mean"
    assert score.comparison.rows[0].predictions.shape == (1, 30, 3, 1)
    assert score.notes[0].startswith("Scored on 30 windows of 3 steps of 3 series, 2005-01-01 to 2005-12-01")


def test_windows_across_a_gap_are_left_out(model):
    frame = shops()
    score = evaluate(model, panel(frame.drop(index=[66])))
    assert np.bincount(score.comparison.data.test.series).tolist() == [6 + 5 - 4, 12, 12]


def test_too_few_rows(model):
    late = shops(rows=3).assign(ds=list(pd.date_range("2010-01-01", periods=3, freq="MS")) * 3)
    with pytest.raises(DataError, match="received 9 rows of 3 series, in which no window fits, expected at least 5"):
        evaluate(model, panel(late))


def test_one_series_for_a_model_of_many(model):
    # By its id it is known; by another it is scaled by its own past.
    known = evaluate(model, from_frame(shops(1), name="shop 0"))
    assert known.comparison.predictions.equals(evaluate(model, panel(shops()), ids=["shop 0"]).comparison.predictions)
    assert "not in the training" in evaluate(model, from_frame(shops(1))).notes[1]
    with pytest.raises(ConfigError, match="received series 'x', expected one of the 3 there are"):
        evaluate(model, panel(shops()), ids=["x"])
