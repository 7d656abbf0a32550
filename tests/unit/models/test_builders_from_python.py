"""Builders as a newcomer calls them: positionally, by any spelling, with NumPy's numbers, and with wrong names."""

import inspect

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq import ConfigError

pytestmark = pytest.mark.above_backends

BUILDERS = (kseq.build_simple_rnn, kseq.build_lstm, kseq.build_gru)


@pytest.mark.parametrize("build", BUILDERS)
def test_arguments_are_in_view(build):
    parameters = inspect.signature(build).parameters
    model = inspect.signature(kseq.build_model).parameters
    assert list(parameters) == list(model)[1:]
    assert (parameters["lookback"].default, parameters["units"].default, parameters["horizon"].default) == (12, 32, 1)
    assert all(one.kind is not one.VAR_POSITIONAL for one in parameters.values())
    assert "forecaster" in build.__doc__
    assert build.__name__ in dir(kseq)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_lookback_may_come_first(build):
    assert build(7).input_shape == (None, 7, 1)
    assert build(np.int64(7), units=np.int32(3), features=np.int64(2), horizon=np.int8(4)).output_shape == (None, 4)


@pytest.mark.parametrize(
    ("name", "same"), [("GRU", "gru"), ("SimpleRNN", "rnn"), ("simple_rnn", "rnn"), ("Lstm", "lstm")]
)
def test_cells_by_any_spelling(name, same):
    one, other = (kseq.build_model(cell, 5, units=3) for cell in (name, same))
    assert one.name == other.name
    for weight, alike in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, alike)


def test_no_seed_is_another_network_each_time():
    one, other = (kseq.build_gru(5, units=3, seed=None).get_weights()[0] for _ in range(2))
    assert (one != other).any()
    one, other = (kseq.build_gru(5, units=[np.int64(3), 2], seed=np.int64(4)).get_weights()[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert kseq.build_gru(5, units=np.array([4, 2])).layers[2].units == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (12, 1)}, "did you mean lookback and features"),
        ({"hidden_size": 3}, "did you mean units"),
        ({"input_size": 3}, "did you mean features"),
        ({"unit": 3}, "did you mean units"),
        ({"activaton": "relu"}, "did you mean activation"),
        ({"batch_first": True}, r"arrays are \(batch, time, features\)"),
        ({"nothing_alike_at_all": 3}, "none of that name is near"),
        ({"units": 0}, "received units 0"),
        ({"lookback": 2.5}, "received lookback 2.5"),
    ],
)
@pytest.mark.parametrize("build", BUILDERS)
def test_wrong_names_are_told_with_the_right_one(build, options, message):
    with pytest.raises(ConfigError, match=message):
        build(**options)


def test_layer_options_go_through():
    model = kseq.build_gru(5, units=3, reset_after=False, activation="relu", use_bias=False)
    assert model.layers[1].reset_after is False
    assert model.layers[1].use_bias is False


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: kseq.build_lstm(12, 3), "expected at most 1 of kseq.build_lstm: lookback; give others by their"),
        (lambda: kseq.build_gru(12, lookback=12), "received lookback twice"),
        (lambda: kseq.build_model(), "received no cell"),
        (lambda: kseq.build_model("gruu"), "did you mean gru?"),
        (lambda: kseq.build_gru(optimizer="adam"), "model.compile takes it"),
        (lambda: kseq.build_gru(epochs=3), "model.fit takes it"),
        (lambda: kseq.build_gru(hidden=3), "did you mean units?"),
        (lambda: kseq.build_gru(foo=3), "help(kseq.build_gru) lists them"),
        (lambda: kseq.Evaluation(frame(), "GRU"), "expected a comparison"),
        (lambda: kseq.Evaluation(kseq.make_windows(frame()), "GRU"), "expected a comparison"),
        (lambda: kseq.Evaluation(kseq.Comparison(kseq.make_windows(frame())), 12), "received name 12"),
        (lambda: kseq.Evaluation(kseq.Comparison(kseq.make_windows(frame())), "GRU", "runs"), "folder="),
        (lambda: kseq.Evaluation(kseq.Comparison(kseq.make_windows(frame())), out="x"), "did you mean folder?"),
        (lambda: kseq.Batches(kseq.make_windows(frame()).train, batch=3), "did you mean batch_size?"),
        (lambda: kseq.predict(12, frame(), frame()), "expected a keras.Model"),
        (lambda: kseq.predict(kseq.build_gru(12), frame(), frame()), "kseq.predict(model, data, data.test)"),
        (lambda: kseq.split_members(12), "expected a keras.Model"),
        (lambda: kseq.interop.to_torch(12), "expected a keras.Model"),
    ],
)
def test_calls_that_do_not_fit(call, said):
    with pytest.raises(kseq.KseqError) as error:
        call()
    assert said in str(error.value)


def frame():
    return pd.DataFrame({"y": np.sin(np.arange(100.0))})
