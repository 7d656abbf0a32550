import numpy as np
import pandas as pd
import pytest
from keras import ops

from kseq import ConfigError, DataError, from_frame
from kseq.evaluation.intervals import half_width
from kseq.forecasting import _train
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import forecast
from kseq.preprocessing.scalers import Scaler
from kseq.training.fit import Training

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

QUICK = {"transform": "none", "units": 3, "lookback": 4, "training": {"epochs": 3, "learning_rate": 0.01}}


def monthly(rows=60, seed=0, **columns):
    noise = np.random.default_rng(seed).normal(size=rows)
    y = 10 + 3 * np.sin(np.arange(rows) * np.pi / 6) + noise
    dates = pd.date_range("2000-01-01", periods=rows, freq="MS")
    return pd.DataFrame({"ds": dates, "y": y, **columns})


def fitted(frame=None, *, refit=True, features=(), future=(), target=None, **options):
    series = from_frame(monthly() if frame is None else frame, features=features, future=future, target=target)
    return fit_model(series, refit=refit, **{**QUICK, **options})


@pytest.fixture(scope="module")
def model():
    return fitted(refit=False)


def numbers(scaler):
    return [*scaler.center.tolist(), *scaler.scale.tolist()]


def test_a_forecast_is_what_the_network_says_of_the_last_rows(model):
    y = monthly()["y"].to_numpy()
    scaler = Scaler.fit("standard", y[:51, None])
    assert model.card.target_scaler.center[0] == pytest.approx(scaler.center)
    assert model.card.target_scaler.scale[0] == pytest.approx(scaler.scale)
    window = scaler.transform(y[-4:, None])[None].astype("float32")
    output = ops.convert_to_numpy(model.network(window))
    made = forecast(model)
    assert made.values[0] == pytest.approx(scaler.inverse(output.astype("float64")), rel=1e-6)
    assert made.dates.tolist() == [pd.Timestamp("2005-01-01")]


def test_intervals_beyond_the_horizon_are_those_of_forecasts_from_every_origin(model):
    frame = monthly()
    errors = []
    for origin in range(51, 60):
        steps = min(3, 60 - origin)
        made = forecast(model, steps, rows=from_frame(frame[:origin]), levels=())
        errors.append(made.values[0, :, 0] - frame["y"].to_numpy()[origin : origin + steps])
    assert model.card.half_widths.errors == 9
    for level in (50.0, 80.0):
        for step in range(3):
            known = np.array([error[step] for error in errors if len(error) > step])
            expected = half_width(known[:, None, None], level)[0, 0]
            assert model.card.half_widths.at(level, 3)[step, 0] * model.card.unit[0, 0] == pytest.approx(
                expected, rel=1e-4
            )


def test_scores_on_the_validation_part(model):
    y = monthly()["y"].to_numpy()
    assert model.card.scores["Persistence"] == pytest.approx(np.abs(y[51:] - y[50:-1]).mean())
    assert model.card.scores["Seasonal naive (12)"] == pytest.approx(np.abs(y[51:] - y[39:48]).mean())
    made = [forecast(model, rows=from_frame(monthly()[:origin]), levels=()).values[0, 0, 0] for origin in range(51, 60)]
    assert model.card.scores["GRU"] == pytest.approx(np.abs(y[51:] - made).mean(), rel=1e-5)


def test_training_again_on_all_rows(model, monkeypatch):
    trainings = []

    def fit(model, data, training, seeds, told, until, quantiles, penalty):
        assert quantiles == ()
        result = training_fit(model, data, training, seeds, told, until, quantiles, penalty=penalty)
        trainings.append((training, len(data.train), len(data.validation), until, result))
        return result

    training_fit = _train.fit
    monkeypatch.setattr(_train, "fit", fit)
    again = fitted().card
    first, second = trainings
    assert (again.refitted, model.card.refitted) == (True, False)
    assert again.epochs == model.card.epochs == np.argmin(first[4].history["val_loss"][0]) + 1
    assert first[:4] == (Training(**QUICK["training"], max_steps=first[0].max_steps), 47, 9, None)
    # As many gradient steps of 32 windows: two an epoch before and after.
    assert second[:4] == (Training(**QUICK["training"], max_steps=first[0].max_steps), 56, 0, [again.epochs])
    assert second[4].epochs == (again.epochs,)
    assert again.target_scaler.center.item() == pytest.approx(monthly()["y"].mean())
    assert again.scores == model.card.scores
    # Errors are counted as they were on the validation part.
    assert np.array_equal(again.unit, model.card.unit)
    assert np.array_equal(again.half_widths.values, model.card.half_widths.values)


def test_nothing_of_the_validation_part_is_learnt():
    frame = monthly()
    other = frame.copy()
    other.loc[51:, "y"] = 50.0 + np.arange(9)
    options = {"refit": False, "training": {"epochs": 1, "patience": 0}}
    networks = [fitted(given, **options) for given in (frame, other)]
    assert np.array_equal(*(model.card.target_scaler.center for model in networks))
    for one, two in zip(*(model.network.get_weights() for model in networks), strict=True):
        assert np.array_equal(one, two)


def test_seeds_are_averaged(model):
    several = fitted(seeds=(0, 1), refit=False)
    alone = [forecast(one, levels=()).values for one in (model, fitted(seeds=(1,), refit=False))]
    assert several.card.seeds == (0, 1)
    assert several.card.name == "GRU"
    assert forecast(several, levels=()).values == pytest.approx(np.mean(alone, axis=0), rel=1e-5)


def test_the_same_seed_gives_the_same_forecast(model):
    assert np.array_equal(forecast(fitted(refit=False), 3).values, forecast(model, 3).values)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_other_cells_and_stacks(cell):
    model = fitted(cells=(cell,), units=(3, 2), bidirectional=True, dropout=0.1, horizon=3, refit=False)
    made = forecast(model, 5)
    assert made.name == {"rnn": "SimpleRNN", "lstm": "LSTM"}[cell]
    assert np.isfinite(made.values).all()
    assert made.notes[0] == "The model forecasts 3 steps at once: from step 4 on it reads its own forecasts."


def test_several_targets():
    frame = monthly().assign(z=monthly(seed=1)["y"])
    model = fitted(frame, target=["y", "z"], horizon=2, refit=False)
    made = forecast(model, 3)
    assert made.values.shape == (1, 3, 2)
    assert made.frame["unique_id"].tolist() == ["series/y"] * 3 + ["series/z"] * 3
    assert made.frame["GRU"].tolist() == made.values[0].T.ravel().tolist()


def test_without_a_validation_part():
    model = fitted(validation=0.0)
    assert (model.card.refitted, model.card.epochs, model.card.scores) == (False, 3, {})
    made = forecast(model)
    assert made.intervals == {}
    reason = "the model was trained without a validation part, whose errors would bound it"
    assert made.notes == (f"No 80 % interval: {reason}.", f"No 95 % interval: {reason}.")
    with pytest.raises(ConfigError, match=f"received level 80, and {reason}"):
        forecast(model, levels=(80,))


def test_masked_values_and_gaps_are_left_out_of_the_windows():
    frame = monthly(80)
    frame.loc[20, "y"] = np.nan
    frame = frame.drop(index=70)
    model = fit_model(from_frame(frame, fill="mask"), refit=False, **QUICK)
    # Of the twelve validation rows, from 67 on, those remain that follow four others.
    assert model.card.half_widths.errors == 3 + 5
    assert np.isfinite(forecast(model, 2).values).all()


def test_a_series_without_dates():
    model = fitted(monthly()[["y"]], refit=False)
    assert forecast(model, 2).frame["ds"].tolist() == [60, 61]


def test_a_series_that_stands_still_at_its_end():
    frame = monthly(200)
    frame.loc[60:, "y"] = 7.0
    model = fitted(frame, refit=False)
    assert len(model.card.context) == 100
    assert np.isfinite(forecast(model).values).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": ("gru", "rnn")}, "received cells gru, rnn, expected one"),
        ({"scaler": "minmax-leaks-test"}, "received scaler minmax-leaks-test, expected standard or minmax"),
        ({"training": {"epochs": 3, "learning_rate": 1e30}}, "the training of GRU diverged"),
    ],
)
def test_settings_that_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        fitted(**options)


def test_the_fewest_rows():
    with pytest.raises(DataError, match="received a series of 5 rows, expected at least 6 for lookback 4, horizon 1"):
        fitted(monthly(5))
    assert fitted(monthly(6), refit=False).card.half_widths.errors == 1
