"""The reference cells: their gradients against finite differences, their outputs against Keras's own layers."""

import keras
import numpy as np
import pytest

from kseq.errors import Unsupported
from kseq.kernels import Spec, reference

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
KERAS = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}

SPECS = [
    Spec("simple_rnn", "tanh", None, return_sequences=True),
    Spec("simple_rnn", "linear", None, return_sequences=True, go_backwards=True),
    Spec("lstm", "tanh", "sigmoid", return_sequences=True),
    Spec("lstm", "tanh", "sigmoid", return_sequences=True, go_backwards=True),
    Spec("gru", "tanh", "sigmoid", reset_after=True, return_sequences=True, go_backwards=True),
    Spec("gru", "tanh", "sigmoid", reset_after=False, return_sequences=True),
]


def name_of(spec: Spec) -> str:
    return f"{spec.cell}-{spec.activation}-{spec.reset_after=}-{spec.go_backwards=}"


def draw(spec: Spec, members=None, use_bias=True) -> dict:
    """Arguments of a cell, with masked steps at the beginning, in the middle and at the end."""
    batch, time, features, units = 3, 4, 2, 3
    rng = np.random.default_rng(0)
    axis = () if members is None else (members,)
    columns = GATES[spec.cell] * units
    bias_shape = (*axis, 2, columns) if spec.cell == "gru" and spec.reset_after else (*axis, columns)
    mask = np.ones((batch, time), bool)
    mask[1, 1] = mask[1, 2] = False
    # Where the first step read is masked, Keras gives zeros, as here, but on JAX the initial state.
    mask[0, 0] = mask[2, -1] = keras.config.backend() == "jax"
    return {
        "sequences": rng.normal(size=(batch, *axis, time, features)),
        "initial_state": [rng.normal(size=(batch, *axis, units)) for _ in range(2 if spec.cell == "lstm" else 1)],
        "mask": mask,
        "kernel": rng.normal(size=(*axis, features, columns)),
        "recurrent_kernel": rng.normal(size=(*axis, units, columns)),
        "bias": rng.normal(size=bias_shape) if use_bias else None,
    }


def forward(spec: Spec, arguments: dict):
    return getattr(reference, spec.cell)(**arguments, spec=spec)


@pytest.mark.above_backends
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_gradients_are_finite_differences(spec, masked):
    arguments = draw(spec)
    if not masked:
        arguments["mask"] = None
    rng = np.random.default_rng(1)
    out = forward(spec, arguments)
    d_last, d_outputs = rng.normal(size=out.last_output.shape), rng.normal(size=out.outputs.shape)
    d_states = [rng.normal(size=state.shape) for state in out.states]

    def loss() -> float:
        last, outputs, states, _ = forward(spec, arguments)
        pairs = zip([last, outputs, *states], [d_last, d_outputs, *d_states], strict=True)
        return float(sum((value * weight).sum() for value, weight in pairs))

    grads = reference.gradients(**arguments, spec=spec, d_last=d_last, d_outputs=d_outputs, d_states=d_states)
    pairs = [(arguments[name], getattr(grads, name)) for name in ("sequences", "kernel", "recurrent_kernel", "bias")]
    pairs += list(zip(arguments["initial_state"], grads.initial_state, strict=True))
    for array, gradient in pairs:
        assert gradient.shape == array.shape
        differences = np.empty_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + 1e-6
            above = loss()
            array[place] = kept - 1e-6
            differences[place] = (above - loss()) / 2e-6
            array[place] = kept
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_outputs_are_those_of_keras(spec, use_bias, masked):
    arguments = draw(spec, use_bias=use_bias)
    if not masked:
        arguments["mask"] = None
    options = {"reset_after": spec.reset_after} if spec.cell == "gru" else {}
    layer = KERAS[spec.cell](
        units=3,
        activation=spec.activation,
        use_bias=use_bias,
        return_sequences=True,
        return_state=True,
        go_backwards=spec.go_backwards,
        **options,
    )
    layer.build(arguments["sequences"].shape)
    weights = [arguments["kernel"], arguments["recurrent_kernel"]]
    layer.set_weights([*weights, arguments["bias"]] if use_bias else weights)
    states = [keras.ops.convert_to_tensor(s.astype("float32")) for s in arguments["initial_state"]]
    mask = None if arguments["mask"] is None else keras.ops.convert_to_tensor(arguments["mask"])
    sequences = keras.ops.convert_to_tensor(arguments["sequences"].astype("float32"))
    outputs, *states = layer(sequences, mask=mask, initial_state=states)

    ours = forward(spec, arguments)
    np.testing.assert_allclose(ours.outputs, keras.ops.convert_to_numpy(outputs), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.last_output, ours.outputs[:, -1])
    for mine, theirs in zip(ours.states, states, strict=True):
        np.testing.assert_allclose(mine, keras.ops.convert_to_numpy(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.above_backends
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_members_are_nets_side_by_side(spec, shared):
    arguments = draw(spec, members=2)
    if shared:
        arguments["sequences"] = arguments["sequences"][:, 0]
    out = forward(spec, arguments)
    d_last = np.random.default_rng(2).normal(size=out.last_output.shape)
    grads = reference.gradients(**arguments, spec=spec, d_last=d_last)
    d_sequences = []
    for s in range(2):
        alone = {
            "sequences": arguments["sequences"] if shared else arguments["sequences"][:, s],
            "initial_state": [state[:, s] for state in arguments["initial_state"]],
            "mask": arguments["mask"],
            **{name: arguments[name][s] for name in ("kernel", "recurrent_kernel", "bias")},
        }
        one = forward(spec, alone)
        np.testing.assert_array_equal(out.outputs[:, s], one.outputs)
        for together, single in zip(out.states, one.states, strict=True):
            np.testing.assert_array_equal(together[:, s], single)
        one_grads = reference.gradients(**alone, spec=spec, d_last=d_last[:, s])
        d_sequences.append(one_grads.sequences)
        for name in ("kernel", "recurrent_kernel", "bias"):
            np.testing.assert_array_equal(getattr(grads, name)[s], getattr(one_grads, name))
    expected = np.sum(d_sequences, axis=0) if shared else np.stack(d_sequences, axis=1)
    np.testing.assert_array_equal(grads.sequences, expected)


def test_without_return_sequences_the_last_step_is_returned():
    arguments = draw(SPECS[2])
    whole = forward(SPECS[2], arguments).outputs
    last, outputs, _, kernel = forward(Spec("lstm", "tanh", "sigmoid"), arguments)
    assert kernel == "reference"
    np.testing.assert_array_equal(outputs, whole[:, -1:])
    np.testing.assert_array_equal(last, whole[:, -1])


def test_relu_has_no_slope_where_it_is_zero():
    spec = Spec("simple_rnn", "relu", None)
    arguments = draw(spec)
    arguments["sequences"] = arguments["sequences"][:, :1]
    arguments["mask"] = None
    arguments["bias"] = np.array([100.0, -100.0, 100.0])
    grads = reference.gradients(**arguments, spec=spec, d_last=np.ones((3, 3)))
    np.testing.assert_array_equal(grads.bias, [3.0, 0.0, 3.0])


def test_an_unknown_activation_is_declined():
    with pytest.raises(Unsupported, match="activation 'other'"):
        forward(Spec("lstm", "other", "sigmoid"), draw(SPECS[2]))
