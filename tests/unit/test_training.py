import numpy as np
import pytest

from kseq import (
    Batches,
    Comparison,
    ConfigError,
    Evaluation,
    build_model,
    from_frame,
    load_series,
    make_windows,
    predict,
)
from kseq.training import MemberStopping, Training, fit


@pytest.fixture(scope="module")
def data():
    return make_windows(load_series("sunspots"), lookback=6)


def train(data, cell, training, seeds, **options):
    model = build_model(cell, lookback=6, units=4, seed=seeds[0], members=seeds if len(seeds) > 1 else None, **options)
    return model, fit(model, data, training, seeds)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.3}], ids=str)
def test_members_train_as_if_alone(data, cell, options):
    training = Training(epochs=2, patience=0)
    model, fitted = train(data, cell, training, [2, 7], **options)
    together = predict(model, data, data.test)
    for number, seed in enumerate((2, 7)):
        alone, alone_fitted = train(data, cell, training, [seed], **options)
        np.testing.assert_allclose(together[number], predict(alone, data, data.test)[0], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(fitted.history["val_loss"][number], alone_fitted.history["val_loss"][0], rtol=1e-4)


@pytest.mark.parametrize(
    "extra", [{"clip_norm": 0.05}, {"weight_decay": 0.1}, {"clip_norm": 0.05, "weight_decay": 0.1}]
)
def test_clipping_and_decay_act_on_each_member(data, extra):
    training = Training(epochs=2, patience=0, **extra)
    model, _ = train(data, "gru", training, [2, 7])
    plain, _ = train(data, "gru", Training(epochs=2, patience=0), [2, 7])
    alone, _ = train(data, "gru", training, [7])
    together = predict(model, data, data.test)[1]
    np.testing.assert_allclose(together, predict(alone, data, data.test)[0], rtol=1e-4, atol=1e-3)
    assert np.abs(together - predict(plain, data, data.test)[1]).max() > 1e-2


class _Model:
    """Stands for a model in training: one weight a member, set by the test."""

    stop_training = False

    def __init__(self):
        self.inputs = [np.zeros((0, 2, 1, 1))]
        self.weights = [np.zeros((2, 1))]

    def get_weights(self):
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights):
        self.weights = weights


def run_epochs(stopping, losses):
    model = _Model()
    stopping.set_model(model)
    for epoch, val_loss in enumerate(losses):
        model.weights = [np.full((2, 1), float(epoch))]
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


def test_a_diverging_member_stops_alone():
    stopping = MemberStopping(2, patience=5)
    model = run_epochs(stopping, [[3, 3], [np.nan, 2], [np.nan, 1]])
    assert stopping.fitted.diverged == (True, False)
    assert stopping.fitted.epochs == (2, 3)
    assert model.weights[0][:, 0].tolist() == [0, 2]


def test_a_member_that_diverges_in_training_leaves_the_others_alone(data):
    model = build_model("gru", lookback=6, units=4, members=[2, 7])
    broken = [weight.copy() for weight in model.get_weights()]
    for weight in broken:
        weight[0] = np.nan
    model.set_weights(broken)
    fitted = fit(model, data, Training(epochs=2, patience=0), [2, 7])
    alone, _ = train(data, "gru", Training(epochs=2, patience=0), [7])
    assert fitted.diverged == (True, False)
    np.testing.assert_allclose(
        predict(model, data, data.test)[1], predict(alone, data, data.test)[0], rtol=1e-4, atol=1e-3
    )


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
    split = make_windows(series, lookback=6).split
    frame.iloc[split.test :] = 1000 + 7 * frame.iloc[split.test :]
    weights = []
    for source in (series, from_frame(frame, target="sunspots")):
        cut = make_windows(source, lookback=6)
        model = build_model("gru", lookback=6, units=4, members=[1, 2])
        fit(model, cut, Training(epochs=3, patience=2), [1, 2])
        weights.append(model.get_weights())
    assert all((one == other).all() for one, other in zip(*weights, strict=True))
