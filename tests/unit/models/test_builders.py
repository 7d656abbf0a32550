import keras
import numpy as np
import pytest

from kseq import ConfigError, build_gru, build_lstm, build_model, build_simple_rnn, layers, split_members
from kseq.layers import Ensemble, take_members
from kseq.models.builders import CELLS

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_of_one_layer_and_a_head(cell):
    model = build_model(cell, lookback=12, features=3, horizon=2, targets=2, units=8)
    bias = 2 if cell == "gru" else 1
    assert model.count_params() == GATES[cell] * (3 * 8 + 8 * 8 + bias * 8) + 8 * 4 + 4
    assert model.output_shape == (None, 4)


def test_stack_bidirectional_and_states():
    model = build_lstm(units=[8, 4], bidirectional=True, dropout=0.1, return_states=True)
    forecast, *states = model(np.zeros((5, 12, 1), "float32"))
    assert tuple(forecast.shape) == (5, 1)
    assert [tuple(state.shape) for state in states] == [(5, 4)] * 4
    assert len(build_gru(num_layers=3).layers) == len(build_gru().layers) + 2


def test_a_seed_is_a_network():
    one, same, other = (build_simple_rnn(seed=seed).get_weights() for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert not (one[0] == other[0]).all()


def test_start_follows_keras_rules():
    kernel, recurrent, bias, head, _ = build_lstm(units=16).get_weights()
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(16), atol=1e-5)
    assert np.abs(kernel).max() <= np.sqrt(6 / 65)
    assert np.abs(head).max() <= np.sqrt(6 / 17)
    assert bias.tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 32
    assert build_lstm(units=4, unit_forget_bias=False).get_weights()[2].tolist() == [0.0] * 16


def test_an_initializer_of_the_users_is_kept():
    kernel, *_ = build_gru(units=4, kernel_initializer="ones").get_weights()
    assert (kernel == 1).all()


def test_a_linear_skip_adds_a_map_of_the_window_that_starts_at_zero():
    plain, skips = (build_gru(5, features=2, horizon=3, units=4, seed=2, skip=skip) for skip in ("none", "linear"))
    x = np.random.default_rng(0).normal(size=(6, 5, 2)).astype("float32")
    np.testing.assert_array_equal(skips.predict_on_batch(x), plain.predict_on_batch(x))
    kernel = np.random.default_rng(1).normal(size=(5, 2, 3)).astype("float32")
    skips.get_layer("skip").set_weights([kernel])
    added = skips.predict_on_batch(x) - plain.predict_on_batch(x)
    np.testing.assert_allclose(added, np.einsum("btf,tfo->bo", x, kernel), rtol=1e-4, atol=1e-5)


def test_members_with_a_linear_skip_are_networks_of_their_own():
    together = build_lstm(5, features=2, horizon=3, units=4, members=[4, 7, 9], skip="linear")
    kernel = np.random.default_rng(1).normal(size=(3, 5, 2, 3)).astype("float32")
    together.get_layer("members_skip").set_weights([kernel])
    x = np.random.default_rng(0).normal(size=(6, 5, 2)).astype("float32")
    found = np.asarray(together.predict_on_batch(np.repeat(x[:, None], 3, axis=1)))
    alone = build_lstm(5, features=2, horizon=3, units=4, seed=7, skip="linear")
    alone.get_layer("skip").set_weights([kernel[1]])
    for single in (alone, split_members(together)[1]):
        np.testing.assert_allclose(single.predict_on_batch(x), found[:, 1], rtol=1e-4, atol=1e-5)
    some = take_members(together, [2, 1])
    some = np.asarray(some.predict_on_batch(np.repeat(x[:, None], 2, axis=1)))
    np.testing.assert_allclose(some, found[:, [2, 1]], rtol=1e-4, atol=1e-5)


def test_a_linear_skip_that_is_not_of_windows_has_no_members():
    with pytest.raises(ConfigError, match="received EinsumDense 'ab,bc->ac', expected 'btf,tfo->bo'"):
        Ensemble(keras.layers.EinsumDense("ab,bc->ac", 3), members=2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"cell": "gru", "skip": "some"}, "received skip 'some', expected one of none, linear"),
        ({"cell": "gru", "skip": "linear", "lookback": None}, "lookback None, expected a number of time steps"),
        ({"cell": "transformer"}, "received cell 'transformer'"),
        ({"cell": "gru", "units": 0}, "units 0"),
        ({"cell": "gru", "units": [8, 4], "num_layers": 3}, "for 3 layers"),
        ({"cell": "gru", "horizon": 1.5}, "horizon 1.5"),
        ({"cell": "gru", "lookback": -3}, "lookback -3"),
        ({"cell": "gru", "dropout": 1}, "dropout 1"),
        ({"cell": "gru", "members": 0}, "members 0"),
        ({"cell": "gru", "members": []}, "no member seeds"),
    ],
)
def test_bad_sizes(options, expected):
    with pytest.raises(ConfigError, match=expected):
        build_model(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "rnn"},
        {"cell": "lstm", "num_layers": 2, "dropout": 0.2},
        {"cell": "gru", "bidirectional": True},
        {"cell": "gru", "reset_after": False, "use_bias": False},
        {"cell": "gru", "recurrent_dropout": 0.1},
        {"cell": "lstm", "return_states": True, "bidirectional": True, "num_layers": 2},
    ],
    ids=str,
)
def test_members_are_single_models_side_by_side(options):
    together = build_model(**options, units=5, members=[3, 8])
    x = np.random.default_rng(0).normal(size=(4, 2, 12, 1)).astype("float32")
    outputs = together.predict_on_batch(x)
    for number, (seed, part) in enumerate(zip((3, 8), split_members(together), strict=True)):
        alone = build_model(**options, units=5, seed=seed)
        for model in (alone, part):
            expected = model.predict_on_batch(x[:, number])
            for one, other in zip(_list(outputs), _list(expected), strict=True):
                np.testing.assert_allclose(one[:, number], other, atol=2e-6)


def _list(outputs):
    return outputs if isinstance(outputs, list | tuple) else [outputs]


def test_a_split_member_is_stock_keras_and_loads(tmp_path):
    member = split_members(build_gru(members=2, units=4))[1]
    assert type(member.layers[1]) is keras.layers.GRU
    member.save(tmp_path / "member.keras")
    loaded = keras.models.load_model(tmp_path / "member.keras")
    x = np.ones((3, 12, 1), "float32")
    np.testing.assert_allclose(loaded.predict_on_batch(x), member.predict_on_batch(x), rtol=1e-6)


def test_an_ensemble_loads_again(tmp_path):
    model = build_lstm(members=2, units=4, bidirectional=True)
    model.save(tmp_path / "members.keras")
    loaded = keras.models.load_model(tmp_path / "members.keras")
    x = np.ones((3, 2, 12, 1), "float32")
    np.testing.assert_allclose(loaded.predict_on_batch(x), model.predict_on_batch(x), rtol=1e-6)


def test_members_may_share_their_input():
    layer = Ensemble(keras.layers.GRU(4, return_sequences=True), members=3, seeds=[0, 1, 2])
    x = np.random.default_rng(0).normal(size=(2, 6, 1)).astype("float32")
    shared = keras.ops.convert_to_numpy(layer(x))
    repeated = keras.ops.convert_to_numpy(layer(np.repeat(x[:, None], 3, axis=1)))
    assert shared.shape == (2, 3, 6, 4)
    np.testing.assert_allclose(shared, repeated, atol=1e-6)


@pytest.mark.parametrize("merge_mode", ["sum", "mul", "ave"])
def test_merge_modes(merge_mode):
    single = keras.layers.Bidirectional(keras.layers.GRU(3), merge_mode=merge_mode)
    layer = Ensemble(single, members=2, seeds=[1, 2])
    x = np.random.default_rng(0).normal(size=(2, 6, 1)).astype("float32")
    out = keras.ops.convert_to_numpy(layer(x))
    alone = layer.member_layer(1)
    alone.build(x.shape)
    alone.set_weights(layer.member_weights(1))
    np.testing.assert_allclose(out[:, 1], keras.ops.convert_to_numpy(alone(x)), atol=1e-6)


def test_masked_steps_are_passed_over():
    layer = Ensemble(keras.layers.LSTM(3), members=2, seeds=[1, 2])
    x = np.random.default_rng(0).normal(size=(2, 6, 1)).astype("float32")
    mask = np.array([[True] * 4 + [False] * 2] * 2)
    masked = keras.ops.convert_to_numpy(layer(x, mask=keras.ops.convert_to_tensor(mask)))
    np.testing.assert_allclose(masked, keras.ops.convert_to_numpy(layer(x[:, :4])), atol=1e-6)


@keras.saving.register_keras_serializable("tests")
class Halved(layers.GRU):
    """A layer whose own computation the members would leave out."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return super().call(sequences, initial_state, mask, training) / 2


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (lambda: keras.layers.Conv1D(2, 3), "a Conv1D"),
        (lambda: keras.layers.GRU(2, stateful=True), "stateful"),
        (lambda: keras.layers.GRU(2, kernel_constraint="unit_norm"), "kernel_constraint"),
        (lambda: keras.layers.Dense(2, lora_rank=1), "lora_rank"),
        (lambda: keras.layers.Dropout(0.1, noise_shape=(1, 2)), "noise_shape"),
        (lambda: keras.layers.SpatialDropout1D(0.1), r"a SpatialDropout1D with a call\(\) of its own"),
        (lambda: Halved(2), r"a Halved with a call\(\) of its own"),
        (lambda: keras.layers.Bidirectional(Halved(2)), r"a Halved with a call\(\) of its own"),
    ],
)
def test_layers_that_would_mix_members(layer, expected):
    with pytest.raises(ConfigError, match=expected):
        Ensemble(layer(), members=2)


def test_bad_members():
    with pytest.raises(ConfigError, match="members 0"):
        Ensemble(keras.layers.GRU(2), members=0)
    with pytest.raises(ConfigError, match="3 seeds for 2 members"):
        Ensemble(keras.layers.GRU(2), members=2, seeds=[1, 2, 3])
    with pytest.raises(ConfigError, match="expected \\(batch, 2, time"):
        Ensemble(keras.layers.GRU(2), members=2)(np.zeros((1, 3, 4, 1), "float32"))
    with pytest.raises(ConfigError, match="without members"):
        split_members(build_gru())
