"""Initial weights: Keras's or PyTorch's ranges, by seed."""

import numpy as np
import pytest

from kseq import ConfigError, Settings, build_model
from kseq.models.seq2seq import build_seq2seq

pytestmark = pytest.mark.above_backends

UNITS = 64


def weights_of(cell, **options):
    model = build_model(cell, features=3, units=UNITS, start="pytorch", **options)
    return {variable.path: np.array(value) for variable, value in zip(model.weights, model.get_weights(), strict=True)}


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2}], ids=str)
def test_pytorch_draws_within_one_by_the_root_of_the_units(cell, options):
    """The ranges that PyTorch's documentation gives for nn.RNN, nn.LSTM, nn.GRU and nn.Linear."""
    for path, weight in weights_of(cell, seed=1, **options).items():
        rows = UNITS * (2 if options.get("bidirectional") else 1) if "forecast" in path else UNITS
        # Biases of an input and of a recurrent product are added, where Keras has one for both.
        added = path.endswith("bias") and "forecast" not in path and weight.ndim == 1
        limit, spread = rows**-0.5, (rows / 2 if added else rows) ** -0.5 / 3**0.5
        assert np.abs(weight).max() <= limit * (2 if added else 1)
        if weight.size > 100:
            assert weight.std() == pytest.approx(spread, rel=0.15)
            assert abs(weight.mean()) < spread


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_member_starts_as_a_single_model_of_its_seed(cell):
    together = weights_of(cell, members=[4, 9])
    for number, seed in enumerate((4, 9)):
        for one, all_members in zip(weights_of(cell, seed=seed).values(), together.values(), strict=True):
            np.testing.assert_array_equal(one, all_members[number])


def test_starts_differ_and_keras_is_the_default():
    given = ({"start": "keras"}, {}, {"start": "pytorch"})
    keras, default, pytorch = (build_model("lstm", seed=3, **options).get_weights() for options in given)
    assert all((one == other).all() for one, other in zip(keras, default, strict=True))
    assert not any((one == other).all() for one, other in zip(keras, pytorch, strict=True))


@pytest.mark.parametrize("start", ["keras", "pytorch"])
@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("chosen", ["kernel", "recurrent", "bias"])
def test_an_initializer_of_ones_own_is_left_alone(start, members, chosen):
    model = build_model("gru", units=4, start=start, members=members, **{f"{chosen}_initializer": "ones"})
    ones = {variable.name for variable in model.layers[1].weights if np.all(np.array(variable) == 1)}
    assert ones == {"recurrent_kernel" if chosen == "recurrent" else chosen}


def test_an_encoder_and_a_decoder_start_so_too():
    keras, pytorch = (
        np.concatenate([weight.ravel() for weight in build_seq2seq("gru", units=8, seed=3, start=start).get_weights()])
        for start in ("keras", "pytorch")
    )
    assert np.abs(pytorch).max() <= 8**-0.5 < np.abs(keras).max()


@pytest.mark.parametrize("make", [Settings, lambda start: build_model("gru", start=start)], ids=["settings", "model"])
def test_an_unknown_start_is_refused(make):
    with pytest.raises(ConfigError, match="received start 'jax', expected one of keras, pytorch"):
        make(start="jax")


@pytest.mark.parametrize("members", [None, [3, 4]])
def test_frozen_weights_are_drawn_by_seed_too(members):
    options = {"units": 4, "seed": 3, "members": members}
    frozen, free = build_model("gru", **options, trainable=False), build_model("gru", **options)
    for one, other in zip(frozen.get_weights(), free.get_weights(), strict=True):
        np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
