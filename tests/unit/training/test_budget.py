"""What a budget comes to in epochs, steps and windows, and what is minimised."""

import keras
import numpy as np
import pandas as pd
import pytest

from kseq import Batches, ConfigError, Settings, build_model, from_frame, load_series, make_windows
from kseq.comparison.defaults import resolved, thinned
from kseq.layers import ForecastLoss, MemberLoss, losses
from kseq.training import budget
from kseq.training.budget import Plan, Training
from kseq.training.fit import fit

pytestmark = pytest.mark.above_backends


@pytest.fixture(scope="module")
def data():
    return make_windows(from_frame(pd.DataFrame({"y": np.sin(np.arange(120.0))})), lookback=4, horizon=2)


@pytest.mark.parametrize(
    ("options", "windows", "plan"),
    [
        ({"epochs": 7}, 100, Plan(7, 4, 100)),
        ({"epochs": 7, "batch_size": 0}, 100, Plan(7, 1, 100)),
        # Steps are never more than were asked for, and an epoch is cut short rather than steps left over.
        ({"max_steps": 10}, 100, Plan(3, 3, 96)),
        ({"max_steps": 3}, 1000, Plan(1, 3, 96)),
        ({"max_steps": 1}, 1000, Plan(1, 1, 32)),
        ({"max_steps": 10_000, "epochs": 2}, 100, Plan(2, 4, 100)),
        ({"windows_per_epoch": 64, "epochs": 2}, 100, Plan(2, 2, 64)),
        ({"windows_per_epoch": 640, "epochs": 2}, 100, Plan(2, 4, 100)),
    ],
)
def test_a_budget_in_steps(options, windows, plan):
    assert Training(**options).plan(windows) == plan


def test_training_takes_no_more_steps_than_asked_for(data):
    model = build_model("rnn", lookback=4, units=2, horizon=2)
    fit(model, data, Training(max_steps=7, batch_size=16, patience=0), [0])
    assert int(model.optimizer.iterations.numpy() if hasattr(model.optimizer.iterations, "numpy")
               else np.asarray(model.optimizer.iterations)) == 6  # fmt: skip


def test_no_window_comes_again_before_all_have_come(data):
    everything, count = data.train.all_starts(), 10
    batches = Batches(data.train, 4, seed=3, per_epoch=count)
    assert len(batches) == 3
    drawn = []
    for _ in range(len(everything) // count):
        drawn += batches._order(batches.epoch).tolist()
        batches.on_epoch_end()
    assert len(set(drawn)) == len(drawn)
    for _ in range(3):
        drawn += batches._order(batches.epoch).tolist()
        batches.on_epoch_end()
    assert set(drawn) == set(everything.tolist())


def test_members_draw_what_single_models_draw(data):
    together = Batches(data.train, 4, seeds=(3, 8), per_epoch=7)
    alone = [Batches(data.train, 4, seed=seed, per_epoch=7) for seed in (3, 8)]
    for _ in range(20):
        for number, single in enumerate(alone):
            assert np.array_equal(together[1][0][:, number], single[1][0])
        for batches in (together, *alone):
            batches.on_epoch_end()


def test_a_cosine_falls_from_the_rate_to_nothing(data):
    rates = []
    model = build_model("rnn", lookback=4, units=2, horizon=2)
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
    )
    fit(model, data, Training(epochs=4, learning_rate=0.1, schedule="cosine", patience=0), [0], [told])
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.1 * (1 + np.cos(np.pi / 12)) / 2, rel=0.05)
    assert rates[-1] < 0.01


@pytest.mark.parametrize("options", [{"loss": "mean"}, {"schedule": "linear"}, {"max_steps": -1}], ids=str)
def test_a_wrong_budget_is_refused(options):
    with pytest.raises(ConfigError, match=f"received {next(iter(options))}"):
        Training(**options)


QUANTILES = (0.1, 0.5, 0.9)


def by_hand(kind, y, forecast):
    if kind == "quantile":
        made = forecast.reshape(*forecast.shape[:-1], 3, y.shape[-1])
        missed = y[..., None, :] - made
        level = np.array(QUANTILES)[:, None]
        return 2 * np.where(missed > 0, level * missed, (level - 1) * missed).mean((-2, -1))
    size = np.abs(y - forecast)
    return {"mse": size**2, "mae": size, "huber": np.where(size < 1, size**2 / 2, size - 0.5)}[kind].mean(-1)


def test_losses_have_one_list():
    assert budget.LOSSES == losses.LOSSES


@pytest.mark.parametrize("kind", budget.LOSSES)
def test_losses_by_hand(kind):
    draw = np.random.default_rng(0).normal(size=(5, 2, 24)).astype("float32") * 2
    y, forecast = draw[..., :4], draw[..., 4 : 16 if kind == "quantile" else 8]
    expected = by_hand(kind, y, forecast)
    loss = ForecastLoss(kind, QUANTILES if kind == "quantile" else (), members=True)
    assert keras.ops.convert_to_numpy(loss.errors(y, forecast)) == pytest.approx(expected, rel=1e-5)
    assert float(keras.ops.convert_to_numpy(loss(y, forecast))) == pytest.approx(expected.sum(1).mean(), rel=1e-5)
    metric = MemberLoss(2, loss=loss)
    metric.update_state(y, forecast)
    assert keras.ops.convert_to_numpy(metric.result()) == pytest.approx(expected.mean(0), rel=1e-5)
    again = ForecastLoss.from_config(loss.get_config())
    assert (again.kind, again.quantiles, again.members) == (loss.kind, loss.quantiles, loss.members)


@pytest.mark.parametrize("kind", ["mae", "huber", "quantile"])
def test_members_train_for_a_loss_as_if_alone(kind, data):
    quantiles = QUANTILES if kind == "quantile" else ()
    budget = Training(epochs=3, batch_size=16, loss=kind, schedule="cosine", learning_rate=0.01, max_steps=11)
    size = {"lookback": 4, "units": 3, "horizon": 2, "targets": max(1, len(quantiles))}
    together = build_model("gru", members=[2, 7], **size)
    fitted = fit(together, data, budget, [2, 7], quantiles=quantiles)
    for number, seed in enumerate((2, 7)):
        alone = build_model("gru", seed=seed, **size)
        found = fit(alone, data, budget, [seed], quantiles=quantiles)
        assert found.history["val_loss"][0] == pytest.approx(fitted.history["val_loss"][number], rel=1e-4)
        for one, other in zip(together.get_weights(), alone.get_weights(), strict=True):
            assert np.abs(one[number] - other).max() < 1e-5
        made = alone.predict(data.validation.gather(np.arange(len(data.validation)))[0], verbose=0)
        y = data.validation.gather(np.arange(len(data.validation)))[1].reshape(len(made), -1)
        best = int(np.nanargmin(found.history["val_loss"][0]))
        assert by_hand(kind, y, made).mean() == pytest.approx(found.history["val_loss"][0, best], rel=1e-3)


@pytest.mark.parametrize("name", ["nino12"])
def test_defaults_are_chosen_by_horizon_and_season(name):
    series = load_series(name)
    assert resolved(Settings(), series).lookback == 12
    long = resolved(Settings(horizon=40, n_windows=1), series)
    assert (long.lookback, long.training["windows_per_epoch"]) == (50, 0)
    assert resolved(Settings(lookback=7, training={"max_steps": 0}), series).training["max_steps"] == 0
    windows = make_windows(series).train
    few = thinned(windows, 50)
    assert 40 <= len(few) <= 50
    assert few.all_starts()[-1] == windows.all_starts()[-1]
