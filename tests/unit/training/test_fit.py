import functools
import os

import keras
import numpy as np
import pytest

from kseq import (
    Batches,
    Comparison,
    ConfigError,
    Evaluation,
    build_model,
    from_frame,
    kernels,
    layers,
    load_series,
    make_windows,
    predict,
)
from kseq.layers.feeding import Listeners, fed
from kseq.training.early_stopping import MemberStopping
from kseq.training.fit import Training, compile_model, fit

pytestmark = pytest.mark.long

BACKEND = os.environ["KERAS_BACKEND"]
SEEDS = (2, 7)


@pytest.fixture(scope="module")
def data():
    return make_windows(load_series("sunspots"), lookback=6)


def train(data, cell, training, seeds, **options):
    model = build_model(cell, lookback=6, units=4, seed=seeds[0], members=seeds if len(seeds) > 1 else None, **options)
    return model, fit(model, data, training, seeds)


@pytest.fixture
def number(request, monkeypatch):
    """Keras's number type. On PyTorch and JAX it would compute parts of float64 in float32: here it does not."""
    number = request.param
    monkeypatch.setitem(keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(number)
    keras.config.set_dtype_policy(number)
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_enable_x64", number == "float64")
    yield number
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    if BACKEND == "jax":
        jax.config.update("jax_enable_x64", False)


def few_windows(number="float32", **options):
    """57 training windows, or 70 without a validation part."""
    frame = load_series("sunspots").frame.iloc[:90]
    return make_windows(from_frame(frame, target="sunspots"), lookback=4, dtype=number, **options)


def largest_difference(weights, others):
    return max(np.abs(one - other).max() for one, other in zip(weights, others, strict=True))


@pytest.mark.parametrize(
    ("number", "options", "budget"),
    [
        pytest.param(
            *("float64", {"cell": "rnn", "num_layers": 2, "dropout": 0.3}, {"batch_size": 16, "weight_decay": 0.1}),
            marks=pytest.mark.skipif(BACKEND == "jax", reason="half a minute; masks of members are compared below"),
        ),
        pytest.param(
            *("float32", {"cell": "rnn", "num_layers": 2, "dropout": 0.3}, {"batch_size": 16, "weight_decay": 0.1}),
            marks=pytest.mark.skipif(BACKEND == "jax", reason="half a minute, and float32 is compared below as well"),
        ),
        ("float64", {"cell": "lstm", "recurrent_dropout": 0.2}, {"batch_size": 0, "clip_norm": 0.05}),
        (
            "float64",
            {"cell": "gru", "bidirectional": True},
            {"batch_size": 35, "clip_norm": 0.05, "weight_decay": 0.1},
        ),
    ],
    ids=["rnn", "rnn, float32", "lstm", "gru"],
    indirect=["number"],
)
def test_members_train_as_if_alone(number, options, budget):
    data = few_windows(number, validation=0)
    training = Training(epochs=1, **budget)
    together = build_model(**options, lookback=4, units=4, members=[2, 7])
    fitted = fit(together, data, training, [2, 7])
    assert together.get_weights()[0].dtype == number
    for place, seed in enumerate((2, 7)):
        alone = build_model(**options, lookback=4, units=4, seed=seed)
        alone_fitted = fit(alone, data, training, [seed])
        members = [weight[place] for weight in together.get_weights()]
        assert largest_difference(members, alone.get_weights()) < (1e-12 if number == "float64" else 1e-6)
        np.testing.assert_allclose(fitted.history["loss"][place], alone_fitted.history["loss"][0], rtol=1e-5)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"] if BACKEND == "torch" else ["gru"])
@pytest.mark.parametrize("number", ["float64"], indirect=True)
def test_members_stop_and_forecast_as_if_alone(number, monkeypatch, cell):
    """Whether members that have stopped are left out at once, or never."""
    data = few_windows(number)
    training = Training(epochs=12, patience=1, learning_rate=0.1, batch_size=0)
    build = functools.partial(build_model, cell, lookback=4, units=4)
    sizes = Sizes()
    results = []
    for worth in (0.0, np.inf):
        monkeypatch.setattr(kernels.load(BACKEND), "REBUILD", worth)
        model = build(members=SEEDS)
        fitted = fit(model, data, training, SEEDS, [sizes])
        results.append((model, fitted, predict(model, data, data.test)))
    (left, fitted, forecasts), (kept, kept_fitted, kept_forecasts) = results
    assert len(set(fitted.epochs)) > 1
    assert sizes.seen == [2, 1, 2]
    assert kept_fitted.epochs == fitted.epochs
    assert largest_difference(left.get_weights(), kept.get_weights()) < 1e-12
    np.testing.assert_allclose(forecasts, kept_forecasts, rtol=0, atol=1e-9)
    for name, curves in fitted.history.items():
        np.testing.assert_allclose(curves, kept_fitted.history[name], rtol=1e-12)
    for place, seed in enumerate(SEEDS):
        alone = build(seed=seed)
        alone_fitted = fit(alone, data, training, [seed])
        assert alone_fitted.epochs == fitted.epochs[place : place + 1]
        alone_forecasts = predict(alone, data, data.test)[0]
        np.testing.assert_allclose(forecasts[place], alone_forecasts, rtol=0, atol=1e-9)
        scores = [np.abs(forecast - data.test_y).mean() for forecast in (forecasts[place], alone_forecasts)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-9)


class Sizes(keras.callbacks.Callback):
    """Members of the models that it has seen in training, each change once."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        members = self.model.inputs[0].shape[1]
        if self.seen[-1:] != [members]:
            self.seen.append(members)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Dropout", {"rate": 0.4}),
        ("SimpleRNN", {"dropout": 0.3, "recurrent_dropout": 0.2}),
        ("LSTM", {"dropout": 0.3, "return_sequences": True}),
        ("LSTM", {"dropout": 0.3, "recurrent_dropout": 0.2, "go_backwards": True}),
        ("GRU", {"recurrent_dropout": 0.2, "reset_after": False}),
    ],
    ids=str,
)
def test_members_draw_the_masks_of_their_seeds(kind, options):
    make = functools.partial(getattr(keras.layers, kind), **options, **({} if kind == "Dropout" else {"units": 3}))
    ensemble = layers.Ensemble(make(), members=2, seeds=[4, 9])
    x = np.random.default_rng(0).normal(size=(5, 2, 6, 2)).astype("float32")
    # Twice in training, and once not, in which Keras's recurrent layers draw as well.
    together = [keras.ops.convert_to_numpy(ensemble(x, training=training)) for training in (True, False, True)]
    assert np.abs(together[0] - together[1]).max() > 0.01
    assert np.abs(together[0] - together[2]).max() > 0.01
    for place, seed in enumerate((4, 9)):
        single = make(seed=seed)
        single.build((None, 6, 2))
        single.set_weights(ensemble.member_weights(place))
        for found, training in zip(together, (True, False, True), strict=True):
            expected = keras.ops.convert_to_numpy(single(x[:, place], training=training))
            np.testing.assert_allclose(found[:, place], expected, atol=1e-6)


def test_members_are_taken_with_their_weights_and_state_of_dropout():
    model = build_model("gru", lookback=4, units=4, num_layers=2, dropout=0.5, bidirectional=True, members=[4, 9, 6])
    x = np.random.default_rng(0).normal(size=(5, 3, 4, 1)).astype("float32")
    before = model(x, training=True)
    taken = layers.take_members(model, [2, 0])
    whole, part = (keras.ops.convert_to_numpy(m(v, training=True)) for m, v in ((model, x), (taken, x[:, [2, 0]])))
    np.testing.assert_allclose(part, whole[:, [2, 0]], atol=1e-6)
    assert np.abs(whole - keras.ops.convert_to_numpy(before)).max() > 0.01
    assert [layer.seeds for layer in taken.layers[1:]] == [
        [layer.seeds[2], layer.seeds[0]] for layer in model.layers[1:]
    ]
    with pytest.raises(ConfigError, match="without members"):
        layers.take_members(build_model("gru"), [0])
    flat = keras.layers.Flatten(name="flat")(model.output)
    with pytest.raises(ConfigError, match="flat in it"):
        layers.take_members(keras.Model(model.inputs, flat), [0])


def test_clipping_and_decay_are_not_left_out():
    data = few_windows(validation=0)
    weights = {}
    for name, budget in {"plain": {}, "clipped": {"clip_norm": 0.01}, "decayed": {"weight_decay": 0.5}}.items():
        model = build_model("rnn", lookback=4, units=4, members=[2, 7])
        fit(model, data, Training(epochs=2, batch_size=0, learning_rate=0.1, **budget), [2, 7])
        weights[name] = model.get_weights()
    assert largest_difference(weights["clipped"], weights["plain"]) > 1e-3
    assert largest_difference(weights["decayed"], weights["plain"]) > 1e-3


class _Model:
    """Stands for a model in training: one weight a member, set by the test."""

    stop_training = False

    def __init__(self, members):
        self.inputs = [np.zeros((0, members, 1, 1))]
        self.weights = [np.zeros((members, 1))]

    def get_weights(self):
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights):
        self.weights = weights


def run_epochs(stopping, losses):
    members = len(stopping.running)
    model = _Model(members)
    stopping.set_model(model)
    for epoch, val_loss in enumerate(losses):
        model.weights = [np.full((members, 1), float(epoch))]
        stopping.on_epoch_end(epoch, {"member": np.array(val_loss), "val_member": np.array(val_loss)})
        if model.stop_training:
            break
    stopping.on_train_end()
    return model


def test_each_member_stops_with_its_own_best_weights():
    stopping = MemberStopping(2, patience=2)
    model = run_epochs(stopping, [[3, 3], [1, 2], [2, 1], [2, 2], [0, 2], [0, 2]])
    assert stopping.epochs.tolist() == [4, 5]
    assert model.weights[0][:, 0].tolist() == [1, 2]
    assert np.isnan(stopping.fitted.history["val_loss"][0, 4])


def test_each_member_stops_after_a_number_of_epochs_of_its_own(monkeypatch):
    monkeypatch.setattr(kernels.load(BACKEND), "REBUILD", 0.0)
    data, training = few_windows(validation=0), Training(epochs=9, batch_size=16)
    together = build_model("lstm", lookback=4, units=4, members=[2, 7])
    fitted = fit(together, data, training, [2, 7], until=[1, 3])
    assert fitted.epochs == fitted.best == (1, 3)
    for number, (seed, epochs) in enumerate([(2, 1), (7, 3)]):
        alone = build_model("lstm", lookback=4, units=4, seed=seed)
        fit(alone, data, training, [seed], until=[epochs])
        assert largest_difference([weight[number] for weight in together.get_weights()], alone.get_weights()) < 1e-6


def test_a_member_that_diverges_before_its_number_of_epochs_leaves_the_others_alone():
    stopping = MemberStopping(3, patience=5, until=[2, 2, 3])
    model = run_epochs(stopping, [[np.nan, 2, 2], [1, 2, 2], [1, 2, 2], [1, 2, 2]])
    assert stopping.fitted.diverged == (True, False, False)
    assert stopping.fitted.epochs == (1, 2, 3)
    assert model.weights[0][1:, 0].tolist() == [1, 2]


def test_a_diverging_member_stops_alone():
    stopping = MemberStopping(2, patience=5)
    model = run_epochs(stopping, [[3, 3], [np.nan, 2], [np.nan, 1]])
    assert stopping.fitted.diverged == (True, False)
    assert stopping.fitted.epochs == (2, 3)
    assert model.weights[0][:, 0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("budget", "worth"),
    [({}, np.inf), ({"clip_norm": 0.05, "weight_decay": 0.1}, 0.0)],
    ids=["plain", "clipped, decayed, left out"],
)
def test_a_member_that_diverges_in_training_leaves_the_others_alone(monkeypatch, budget, worth):
    monkeypatch.setattr(kernels.load(BACKEND), "REBUILD", worth)
    data = few_windows()
    training = Training(epochs=3, patience=0, batch_size=0, **budget)
    model = build_model("gru", lookback=4, units=4, members=[2, 7])
    broken = [weight.copy() for weight in model.get_weights()]
    for weight in broken:
        weight[0] = np.nan
    model.set_weights(broken)
    fitted = fit(model, data, training, [2, 7])
    assert fitted.diverged == (True, False)
    assert fitted.epochs == (1, 3)
    alone = build_model("gru", lookback=4, units=4, seed=7)
    fit(alone, data, training, [7])
    assert largest_difference([weight[1] for weight in model.get_weights()], alone.get_weights()) < 1e-6


def test_an_ordinary_model_that_diverges_says_so_and_nothing_else(capsys):
    model = build_model("rnn", lookback=4, units=4)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    fitted = fit(model, few_windows(), Training(epochs=3), [0])
    assert fitted.diverged == (True,)
    assert fitted.epochs == (1,)
    assert capsys.readouterr().out == ""


class Diary(keras.callbacks.Callback):
    """Writes down what it is told; stops a training after some epoch."""

    def __init__(self, last=None):
        super().__init__()
        self.lines, self.last = [], last

    def on_train_begin(self, logs=None):
        self.lines.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        self.lines.append((epoch, self.model.inputs[0].shape[1]))
        self.model.stop_training = self.model.stop_training or epoch == self.last

    def on_train_end(self, logs=None):
        self.lines.append(("end", self.model.inputs[0].shape[1]))


@pytest.mark.parametrize("last", [None, 1])
def test_callbacks_see_one_training(monkeypatch, last):
    """A member that has diverged is left out after the epoch that it computes for nothing."""
    monkeypatch.setattr(kernels.load(BACKEND), "REBUILD", 1.0)
    model = build_model("rnn", lookback=4, units=4, members=[2, 7, 9])
    model.set_weights([np.concatenate([weight[:2], weight[2:] * np.nan]) for weight in model.get_weights()])
    diary = Diary(last)
    fit(model, few_windows(validation=0), Training(epochs=4, batch_size=0), [2, 7, 9], [diary])
    epochs = [(0, 3), (1, 3), (2, 2), (3, 2)]
    assert diary.lines == ["begin", *(epochs if last is None else epochs[:2]), ("end", 3)]


def test_callback_adds_a_row(data):
    comparison = Comparison(data)
    model = build_model("lstm", lookback=6, units=4)
    model.compile("adam", "mse")
    model.fit(Batches(data.train, 64, seed=0), epochs=2, verbose=0, callbacks=[Evaluation(comparison, "mine")])
    line = comparison.table.iloc[0]
    assert line["model"] == "mine"
    assert line["parameters"] == model.count_params()
    assert line["mae"] == pytest.approx(np.abs(predict(model, data, data.test)[0] - data.test_y).mean())
    with pytest.raises(ConfigError, match="received forecasts of shape"):
        comparison.rows[0].predictions = np.zeros((1, 2, 1, 1))
        comparison.add(comparison.rows[0])


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"batch_size": -1}, {"patience": 1.5}, {"learning_rate": 0}, {"clip_norm": -1}], ids=str
)
def test_bad_budget(options):
    with pytest.raises(ConfigError, match=f"received {next(iter(options)).replace('_', '.')}"):
        Training(**options)


def test_seeds_must_fit_the_members(data):
    with pytest.raises(ConfigError, match="3 seeds for 2 members"):
        fit(build_model("gru", lookback=6, members=2), data, Training(), [1, 2, 3])


def test_nothing_after_a_cutoff_moves_a_weight():
    """Other values after the training part, other weights never: what early stopping sees ends with validation."""
    series = load_series("sunspots")
    frame = series.frame.copy()
    test = make_windows(series, lookback=6).split.test.item()
    frame.iloc[test:] = 1000 + 7 * frame.iloc[test:]
    weights = []
    for source in (series, from_frame(frame, target="sunspots")):
        cut = make_windows(source, lookback=6)
        model = build_model("gru", lookback=6, units=4, members=[1, 2])
        fit(model, cut, Training(epochs=3, patience=2), [1, 2])
        weights.append(model.get_weights())
    assert all((one == other).all() for one, other in zip(*weights, strict=True))


@pytest.mark.parametrize("seeds", [(3,), (3, 4)])
def test_what_fit_reads_is_what_batches_holds(seeds, monkeypatch):
    """In the order that Keras reads it in: shuffled before the first epoch too."""
    monkeypatch.setattr("kseq.training.batches.AT_ONCE", 20_000)
    data = make_windows(load_series("sunspots"), lookback=6)

    def batches():
        return Batches(data.train, 32, **({"seed": seeds[0]} if len(seeds) == 1 else {"seeds": seeds}))

    expected, given = batches(), batches()
    read, also = fed(given)
    if read is given:
        pytest.skip(f"on {BACKEND} Keras reads batches itself")
    for epoch in range(2):
        expected.on_epoch_end()
        parts = [[keras.ops.convert_to_numpy(part) for part in batch] for batch in read]
        assert len(parts) == len(expected)
        for number, batch in enumerate(parts):
            for part, wanted in zip(batch, expected[number], strict=True):
                np.testing.assert_array_equal(part, wanted)
        for callback in also:
            callback.on_epoch_end(epoch)


def test_fit_reads_windows_in_the_order_that_keras_reads_them_in():
    data = make_windows(load_series("nino12"))
    losses = []
    for short_cut in (True, False):
        model = build_model("gru", units=3, seed=0)
        compile_model(model, Training())
        source, also = fed(Batches(data.train, 64, seed=5)) if short_cut else (Batches(data.train, 64, seed=5), [])
        losses.append(model.fit(source, epochs=3, verbose=0, shuffle=False, callbacks=also).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_who_listens_to_batches_is_told():
    told = []

    class Ear(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            told.append((batch, float(logs["loss"])))

        def on_test_batch_begin(self, batch, logs=None):
            told.append("test")

    data = make_windows(load_series("nino12"))
    model = build_model("rnn", units=2)
    compile_model(model, Training())
    batches, validation = Batches(data.train, 256, seed=0), Batches(data.validation, 256)
    of_a_function = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: told.append("lambda"))
    for callbacks in ([Ear()], [of_a_function]):
        listeners = Listeners(callbacks, add_history=True, model=model, epochs=1, verbose=0)
        model.fit(batches, validation_data=validation, epochs=1, verbose=0, shuffle=False, callbacks=listeners)
    # On TensorFlow several steps run at once, and are told once.
    steps = 1 if BACKEND == "tensorflow" else len(batches)
    assert len([one for one in told if isinstance(one, tuple)]) == steps
    assert told.count("test") == len(validation)
    assert told.count("lambda") == steps
