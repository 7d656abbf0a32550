"""Builders as a newcomer calls them: positionally, by any spelling, with NumPy's numbers, and with wrong names."""

import inspect

import numpy as np
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
        ({"nothing_alike_at_all": 3}, "they are lookback"),
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
