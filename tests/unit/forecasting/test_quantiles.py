"""A saved model of quantiles bounds its forecasts by them, moved by what covers enough of the validation part."""

import math

import numpy as np
import pandas as pd
import pytest
from keras import ops

from kseq import from_frame, panel_from_frame
from kseq.cli import main
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import forecast
from kseq.forecasting.model_file import load, save
from kseq.forecasting.score import evaluate

pytestmark = pytest.mark.above_backends

QUICK = {
    "transform": "none", "units": 3, "lookback": 4, "horizon": 2, "levels": (80, 50), "validation": 0.4,
    "training": {"epochs": 3, "learning_rate": 0.02, "loss": "quantile"},
}  # fmt: skip


def monthly(rows=60, scale=1.0):
    noise = np.random.default_rng(3).normal(size=rows)
    y = scale * (10 + 3 * np.sin(np.arange(rows) * np.pi / 6) + noise)
    return pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=rows, freq="MS"), "y": y})


@pytest.fixture(scope="module")
def model():
    return fit_model(from_frame(monthly()), refit=False, **QUICK)


def quantiles_by_hand(model, y):
    """``(steps, quantile)`` in the unit of the series: 10, 25, 50, 75 and 90 %."""
    scaler = model.card.target_scaler
    window = ((y[-4:] - scaler.center[0]) / scaler.scale[0]).astype("float32").reshape(1, 4, 1)
    output = ops.convert_to_numpy(model.network(window)).astype("float64").reshape(5, 2)
    return np.sort(output, axis=0).T * scaler.scale[0] + scaler.center[0]


def test_bounds_are_quantiles_moved_by_what_covers_the_validation_part(model):
    y = monthly()["y"].to_numpy()
    made = forecast(model)
    now = quantiles_by_hand(model, y)
    assert made.values[0, :, 0] == pytest.approx(now[:, 2], rel=1e-5)
    seen = [(quantiles_by_hand(model, y[:origin]), y[origin : origin + 2]) for origin in range(36, 59)]
    for level, lo, hi in ((80, 0, 4), (50, 1, 3)):
        for step in range(2):
            missed = sorted(max(q[step, lo] - truth[step], truth[step] - q[step, hi]) for q, truth in seen)
            move = missed[math.ceil((len(missed) + 1) * level / 100) - 1]
            band = made.intervals[level]
            assert band.lo[0, step, 0] == pytest.approx(min(now[step, lo] - move, now[step, [lo, hi]].mean()), rel=1e-4)
            assert band.hi[0, step, 0] == pytest.approx(max(now[step, hi] + move, now[step, [lo, hi]].mean()), rel=1e-4)


def test_other_levels_are_half_widths_around_the_median(model):
    made = forecast(model, levels=(60,))
    half = model.card.half_widths.at(60, 2) * model.card.unit[0]
    np.testing.assert_allclose(made.intervals[60].hi[0], made.values[0] + half)
    np.testing.assert_allclose(made.intervals[60].lo[0], made.values[0] - half)


def test_more_steps_read_medians_and_have_bounds(model):
    y = monthly()["y"].to_numpy()
    made = forecast(model, 4)
    known = np.concatenate([y, made.values[0, :2, 0]])
    later = quantiles_by_hand(model, known)
    assert made.values[0, 2:, 0] == pytest.approx(later[:, 2], rel=1e-5)
    band = made.intervals[80]
    assert (band.lo < made.values).all()
    assert (band.hi > made.values).all()
    move = model.card.moves.at(80, 4)[2:, 0] * model.card.unit[0, 0]
    assert band.hi[0, 2:, 0] == pytest.approx(later[:, 4] + move, rel=1e-4)


@pytest.mark.parametrize("transform", ["none", "log,anomaly,change"])
def test_of_a_panel_and_of_several_seeds_saved_and_read_again(tmp_path, transform):
    frame = pd.concat([monthly(60, scale).assign(unique_id=id) for id, scale in (("a", 1.0), ("b", 100.0))])
    made = fit_model(panel_from_frame(frame), **{**QUICK, "transform": transform, "seeds": (0, 1)})
    path = save(made, tmp_path / "model.keras")
    again = load(path)
    pd.testing.assert_frame_equal(forecast(again, 3).frame, forecast(made, 3).frame)
    frames = forecast(again, 3).frame
    assert list(frames.columns) == ["unique_id", "ds", "GRU", "GRU-lo-80", "GRU-hi-80", "GRU-lo-50", "GRU-hi-50"]
    widths = (frames["GRU-hi-80"] - frames["GRU-lo-80"]).groupby(frames["unique_id"]).mean()
    assert 20 < widths["b"] / widths["a"] < 500
    score = evaluate(again, panel_from_frame(frame))
    assert score.coverage[80] > score.coverage[50] > 20


def test_without_a_validation_part_there_are_no_bounds(tmp_path):
    made = fit_model(from_frame(monthly()), **{**QUICK, "validation": 0.0})
    again = load(save(made, tmp_path / "model.keras"))
    found = forecast(again)
    assert found.intervals == {}
    assert any("No 80 % interval: the model was trained without a validation part" in note for note in found.notes)
    np.testing.assert_array_equal(found.values, forecast(made).values)


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monthly().to_csv("sst.csv", index=False)
    options = ["--loss", "quantile", "--level", "80", "--epochs", "2", "--units", "2", "--lookback", "4"]
    options += ["--validation-share", "0.3", "--out", "m.keras"]
    assert main(["fit", "--csv", "sst.csv", "--cell", "gru", *options]) == 0
    assert "Bounds are the network's quantiles, moved outwards, one step ahead: 80 % by " in capsys.readouterr().out
    (page,) = tmp_path.glob("*MODEL.md")
    assert "Bounds are quantiles that the model forecasts" in page.read_text(encoding="utf-8")
    assert main(["forecast", "--model", "m.keras", "--steps", "2", "--out", "next"]) == 0
    made = pd.read_csv("next/forecast.csv")
    assert (made["GRU-lo-80"] < made["GRU"]).all()
    assert (made["GRU"] < made["GRU-hi-80"]).all()
