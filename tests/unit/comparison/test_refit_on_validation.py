"""The second training, on training and validation rows, by which networks know what baselines know."""

import numpy as np
import pandas as pd
import pytest

from kseq import Settings, build_model, compare, from_frame, make_windows, panel_from_frame, predict
from kseq.comparison.backtest import cut_windows
from kseq.data import Panel
from kseq.experiments.audit import audit
from kseq.preprocessing.linear import linear_map
from kseq.preprocessing.splits import Split
from kseq.training.fit import Training, fit

QUICK = {
    "baselines": ("persistence",), "seeds": (0, 1, 2), "lookback": 4, "units": 3, "transform": "none",
    "training": {"epochs": 6, "patience": 1, "batch_size": 8},
}  # fmt: skip


def wave(rows=80, start=0):
    t = np.arange(start, start + rows)
    return 10 + np.sin(t / 3) + 0.3 * np.sin(1.7 * t) + 0.02 * t


def one():
    return from_frame(pd.DataFrame({"y": wave()}))


def several():
    dates = pd.date_range("2020-01-01", periods=60)
    parts = [pd.DataFrame({"unique_id": name, "ds": dates, "y": wave(60, 7 * k) * (k + 1)})
             for k, name in enumerate("abc")]  # fmt: skip
    return panel_from_frame(pd.concat(parts))


def test_forecasts_are_those_of_the_same_start_trained_on_all_rows_before_the_test_part():
    row = compare(one(), cells=("gru",), **QUICK).rows[-2]
    found = compare(one(), cells=("gru",), refit_on_validation=False, **QUICK).rows[-2]
    assert row.epochs == found.epochs
    assert np.array_equal(row.validation, found.validation)
    settings = Settings(cells=("gru",), **QUICK)
    data = cut_windows(one(), settings)
    whole = make_windows(one(), 4, validation=0.0)
    assert len(whole.train) == len(data.train) + len(data.validation)
    assert not np.array_equal(whole.target_scaler.center, data.target_scaler.center)
    penalty = linear_map(data.train, data.validation).penalty
    steps = [-(-len(part.train) // 8) for part in (data, whole)]
    for number, seed in enumerate(row.seeds):
        best = int(np.nanargmin(found.history["val_loss"][number])) + 1
        epochs = max(1, round(best * steps[0] / steps[1]))
        assert row.refit_epochs[number] == epochs
        alone = build_model("gru", lookback=4, units=3, seed=seed, skip="linear")
        fit(alone, whole, Training(epochs=epochs, batch_size=8, patience=0), [seed], penalty=penalty)
        assert row.predictions[number] == pytest.approx(predict(alone, whole, whole.test)[0], rel=1e-4)


@pytest.mark.above_backends
def test_intervals_are_as_wide_as_what_the_first_training_missed():
    plain, again = (
        compare(one(), cells=("rnn",), refit_on_validation=refit, **QUICK | {"seeds": (0,), "levels": (80,)})
        for refit in (False, True)
    )
    widths = [run.table.set_index("model").loc["SimpleRNN", "width_80"] for run in (plain, again)]
    assert widths[0] == pytest.approx(widths[1])
    assert plain.record["models"][-1]["refit_epochs"] == ()
    assert len(again.record["models"][-1]["refit_epochs"]) == 1
    assert again.record["settings"]["refit_on_validation"]


@pytest.mark.above_backends
@pytest.mark.parametrize(
    "options",
    [
        {"horizon": 3, "strategy": "recursive"},
        {"n_windows": 3, "horizon": 2, "gap": 1},
        {"n_windows": 2, "horizon": 2, "refit": True},
        {"by_cell": {"gru": {"transform": "difference", "lookback": 3}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("series", [one, several])
def test_every_way_to_forecast_is_trained_again(series, options):
    runs = [
        compare(series(), cells=("gru",), refit_on_validation=refit, **QUICK | {"seeds": (0,)} | options)
        for refit in (False, True)
    ]
    plain, again = (run.rows[-1] for run in runs)
    assert plain.predictions.shape == again.predictions.shape
    assert not np.array_equal(plain.predictions, again.predictions)
    assert np.array_equal(plain.validation, again.validation)
    assert runs[0].predictions["y"].equals(runs[1].predictions["y"])


@pytest.mark.above_backends
@pytest.mark.parametrize("series", [one, several])
def test_the_second_training_sees_nothing_of_the_test_part(series):
    options = QUICK | {"seeds": (0, 1), "transform": "auto", "training": {"epochs": 2}}
    result = audit(series(), Settings(cells=("lstm",), **options))
    assert result.clean
    assert "LSTM: weights" in set(result.table["name"])


def test_without_a_validation_part_there_is_one_training():
    row = compare(one(), cells=("rnn",), **QUICK | {"validation": 0.0, "seeds": (0,)}).rows[-1]
    assert (row.refit_epochs, row.epochs) == ((), (6,))
    assert Split.by_fraction(Panel.of(one())).test.tolist() == [64]
