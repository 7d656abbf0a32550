"""Networks with a linear skip begin where least squares end."""

import numpy as np
import pytest

from kseq import Settings, build_model, compare, load_series, make_windows, predict
from kseq.baselines import baseline_row
from kseq.comparison.jobs import train_cell
from kseq.preprocessing.linear import linear_map
from kseq.training.budget import Training
from kseq.training.fit import fit
from kseq.training.linear_start import start_linear


@pytest.fixture(scope="module")
def data():
    return make_windows(load_series("nino12"), lookback=6, horizon=2)


def model_of(**options):
    return build_model("gru", **{"lookback": 6, "horizon": 2, "units": 4, "skip": "linear", **options})


def test_the_start_is_about_the_forecast_of_dlinear(data):
    model = model_of()
    penalty = start_linear(model, data.train, data.validation)
    linear = baseline_row("dlinear", data).validation[0]
    mine = predict(model, data, data.validation)[0]
    y = data.series.y[data.validation.target_rows]
    assert np.abs(mine - linear).mean() < 0.1 * np.abs(y - linear).mean()
    assert penalty == linear_map(data.train, data.validation).penalty


def test_members_start_with_the_same_map_and_recurrent_weights_of_their_own(data):
    together, alone = model_of(members=[3, 5]), model_of(seed=5)
    for model in (together, alone):
        start_linear(model, data.train, data.validation)
    for members, single in zip(together.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(members[1], single, rtol=1e-6)
    kernels = together.get_layer("members_skip").get_weights()[0]
    np.testing.assert_array_equal(kernels[0], kernels[1])


def test_a_penalty_that_is_given_is_taken(data):
    one, two = model_of(), model_of()
    assert start_linear(one, data.train, data.validation, penalty=100.0) == 100.0
    start_linear(two, data.train, data.validation)
    sizes = [np.square(model.get_layer("skip").get_weights()[0]).sum() for model in (one, two)]
    assert sizes[0] < sizes[1]


def test_quantiles_start_where_they_lie_on_the_training_part(data):
    model = model_of(targets=3)
    start_linear(model, data.train, data.validation, quantiles=(0.1, 0.5, 0.9))
    made = np.asarray(model.predict_on_batch(data.train.x)).reshape(len(data.train), 3, 2)
    below = (data.train.y[:, None] < made).mean(axis=(0, 2))
    assert below == pytest.approx([0.1, 0.5, 0.9], abs=0.05)


@pytest.mark.parametrize("options", [{"skip": "none"}, {"lookback": 1600}])
def test_nothing_is_set_without_a_skip_or_for_very_long_windows(options):
    lookback = options.get("lookback", 6)
    series = np.sin(np.arange(1.2 * lookback + 40))
    data = make_windows(series, lookback=lookback, horizon=2, validation=0.0, test=0.1)
    model = model_of(**options)
    before = model.get_weights()
    assert start_linear(model, data.train) is None
    for mine, weight in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, weight)


def test_a_map_that_was_trained_is_not_set_again(data):
    model = model_of()
    training = Training(epochs=1, patience=0)
    assert fit(model, data, training, [0]).penalty is not None
    trained = model.get_layer("skip").get_weights()[0]
    assert fit(model, data, training, [0]).penalty is None
    assert np.abs(model.get_layer("skip").get_weights()[0] - trained).max() < 0.1


def test_without_patience_nothing_of_the_validation_part_is_learnt(data):
    series = load_series("nino12")
    frame = series.frame.copy()
    frame.iloc[data.split.validation[0] : data.split.test[0]] += 3.0
    other = make_windows(frame, lookback=6, horizon=2)
    found = []
    for windows in (data, other):
        model = model_of()
        fit(model, windows, Training(epochs=1, patience=0), [0])
        found.append(model.get_weights())
    for mine, others in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, others)


@pytest.mark.parametrize(
    "strategy", [*(pytest.param(name, marks=pytest.mark.above_backends) for name in ("direct", "recursive")), "seq2seq"]
)
def test_every_strategy_begins_so(strategy):
    settings = Settings(
        cells=("gru",), seeds=(0,), lookback=6, horizon=3, units=4, strategy=strategy, transform="none", levels=(),
        training={"epochs": 1, "learning_rate": 1e-7},
    )  # fmt: skip
    data = make_windows(load_series("nino12"), lookback=6, horizon=3)
    row = train_cell("gru", data, settings)
    linear = compare(load_series("nino12"), cells=(), baselines=("dlinear", "persistence"), lookback=6, horizon=3,
                     transform="none").rows  # fmt: skip
    errors = [np.abs(one.predictions - data.test_y).mean() for one in (row, *linear)]
    assert errors[0] < 1.2 * errors[1] < errors[2]
