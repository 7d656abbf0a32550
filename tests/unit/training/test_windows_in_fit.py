"""``fit``, ``evaluate`` and ``predict`` read windows as they stand; the callback keeps the comparison in a folder."""

import keras
import numpy as np
import pytest

import kseq
from kseq import Batches, ConfigError


@pytest.fixture(scope="module")
def data():
    return kseq.make_windows(kseq.load_series("nino12").y[:200, 0], lookback=4, horizon=2)


def compiled(model):
    model.compile("adam", "mse", metrics=["mae"])
    return model


def stock(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((4, 1)), keras.layers.GRU(3), keras.layers.Dense(2)])


def ours(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((4, 1)), kseq.layers.LSTM(3), keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("build", "order"),
    [
        (lambda: kseq.build_gru(4, units=3, horizon=2, seed=5), {"seed": 5}),
        pytest.param(
            lambda: kseq.build_simple_rnn(4, units=3, horizon=2), {"seed": 0}, marks=pytest.mark.above_backends
        ),
        (lambda: kseq.build_lstm(4, units=3, horizon=2, members=(2, 9)), {"seeds": (2, 9)}),
        (lambda: ours(1), {"seed": 0}),
        (lambda: stock(1), {"seed": 0}),
    ],
)
def test_windows_train_as_their_batches_do(data, build, order):
    members = len(order["seeds"]) if "seeds" in order else None
    one, other = compiled(build()), compiled(build())
    made = one.fit(data.train, validation_data=data.validation, epochs=3, batch_size=16, verbose=0)
    expected = other.fit(
        Batches(data.train, 16, **order), validation_data=Batches(data.validation, 16, members=members), epochs=3,
        shuffle=False, verbose=0,
    )  # fmt: skip
    for name, curve in expected.history.items():
        np.testing.assert_allclose(made.history[name], curve, rtol=1e-6)
    for weight, same in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-5, atol=1e-7)


def test_evaluate_and_predict_keep_the_order_of_time(data):
    model = compiled(kseq.build_gru(4, units=3, horizon=2))
    model.fit(data.train, epochs=1, verbose=0)
    np.testing.assert_allclose(
        model.predict(data.test, verbose=0), model.predict(data.test.x, verbose=0), rtol=1e-4, atol=1e-6
    )
    scores = model.evaluate(data.test, verbose=0)
    assert scores == pytest.approx(model.evaluate(data.test.x, data.test.y, verbose=0), rel=1e-4)


def test_arrays_are_a_loop_of_ones_own(data):
    model = compiled(stock(0))
    history = model.fit(data.train.x, data.train.y, validation_data=(data.validation.x, data.validation.y), verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()


def test_no_validation_part_is_none_and_targets_beside_windows_are_refused(data):
    without = kseq.make_windows(np.sin(np.arange(99.0)), lookback=4, horizon=2, validation=0)
    model = compiled(kseq.build_gru(4, units=2, horizon=2))
    history = model.fit(without.train, validation_data=without.validation, verbose=0)
    assert "val_loss" not in history.history
    for wrong in ({"y": data.train.y}, {"validation_split": 0.1}):
        with pytest.raises(ConfigError, match="which hold their targets"):
            model.fit(data.train, verbose=0, **wrong)


@pytest.mark.above_backends
@pytest.mark.pictures
def test_the_callback_keeps_all_rows_so_far_in_a_folder(data, tmp_path):
    comparison = kseq.Comparison(data)
    comparison.add_baselines(["persistence"])
    folder = tmp_path / "first-run"
    for name, build in (("GRU", kseq.build_gru), ("mine", kseq.build_lstm)):
        model = compiled(build(4, units=2, horizon=2))
        keep = kseq.Evaluation(comparison, name, folder=folder)
        model.fit(data.train, validation_data=data.validation, epochs=2, verbose=0, callbacks=[keep])
        table = (folder / "table.csv").read_text()
        assert f"\n{name}," in table
        assert (folder / "comparison.png").stat().st_size > 1000
    assert "\nGRU," in table
    assert "\nPersistence," in table
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/table.csv").write_text("a user's own")
    model = compiled(kseq.build_gru(4, units=2, horizon=2))
    with pytest.raises(ConfigError, match=r"table\.csv"):
        model.fit(data.train, verbose=0, callbacks=[kseq.Evaluation(comparison, folder=tmp_path / "theirs")])
    assert (tmp_path / "theirs/table.csv").read_text() == "a user's own"
