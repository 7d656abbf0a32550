"""What a user sees who evaluates an object in a notebook: a line that says what it is and how to go on."""

import numpy as np
import pandas as pd
import pytest

import kseq

pytestmark = pytest.mark.above_backends


@pytest.fixture(scope="module")
def frame():
    dates = pd.date_range("2001-01-01", periods=120, freq="MS")
    return pd.DataFrame({"ds": dates, "y": 10 + np.sin(np.arange(120) / 5)})


def test_data_say_what_they_are(frame):
    windows = kseq.make_windows(frame, lookback=4, horizon=2)
    assert repr(windows).startswith("WindowedPanel('series', 4 rows of 1 columns to 2 of 1; windows: .train ")
    assert repr(windows.series) == "Panel('series', 1 series, 120 rows of y; .values is an array)"
    assert repr(kseq.load_series("nino12")) == "Series('nino12', 732 rows of sst; .frame is a DataFrame)"
    assert repr(kseq.Batches(windows.train, 10)).startswith("Batches(8 of 10 windows each; Windows(")


def test_results_say_what_they_hold(frame):
    assert "no rows yet" in repr(kseq.Comparison(kseq.make_windows(frame)))
    made = kseq.compare(frame, cells=(), baselines="persistence,dlinear")
    assert repr(made).startswith("Comparison(of 'series': Persistence, DLinear; .table, .verdict")
    assert repr(made.rows[0]) == "ModelResult('Persistence', baseline; .predictions of shape (1, 24, 1, 1))"


def test_a_model_says_what_it_reads_and_how_to_go_on(frame, tmp_path):
    model = kseq.fit(frame, cell="gru", epochs=1, units=2, lookback=4, horizon=2, transform="none")
    assert repr(model) == (
        "TrainedModel(ModelCard('GRU', 120 rows learnt from; 4 rows of 1 columns to 2); kseq.forecast(model, steps), "
        ".save(path))"
    )
    again = kseq.load_model(model.save(tmp_path / "mine.keras"))
    pd.testing.assert_frame_equal(kseq.forecast(again, 3).frame, kseq.forecast(model, 3).frame)
