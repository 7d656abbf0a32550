"""Models of PyTorch and of kseq with the same weights forecast the same.

The oracle of most tests is PyTorch's documented equations, in NumPy, so that they run where PyTorch is not installed;
the last ones ask PyTorch itself.
"""

import keras
import numpy as np
import pytest

from kseq import ConfigError, build_model, layers
from kseq.interop import from_torch, load_torch, to_torch

#: What a bidirectional module warns of; one test asks for it.
pytestmark = pytest.mark.filterwarnings("ignore:received a bidirectional module:UserWarning")

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def draw_state(cell, *, features=3, units=5, num_layers=1, bidirectional=False, bias=True, outputs=2, module=None):
    """A state dict as PyTorch would have it, of random NumPy arrays."""
    rng = np.random.default_rng(0)
    module = cell if module is None else module
    rows, directions, state = GATES[cell] * units, 2 if bidirectional else 1, {}
    for number in range(num_layers):
        columns = features if number == 0 else directions * units
        for suffix in ("", "_reverse")[:directions]:
            shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, units)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            for kind, shape in shapes.items():
                state[f"{module}.{kind}_l{number}{suffix}"] = rng.normal(size=shape, scale=0.4).astype("float32")
    state["fc.weight"] = rng.normal(size=(outputs, directions * units), scale=0.4).astype("float32")
    state["fc.bias"] = rng.normal(size=outputs).astype("float32")
    return state


def read(cell, state, place, x, activation=np.tanh):
    """One direction of a layer, by the equations in PyTorch's documentation; returns the outputs of all steps."""
    w_ih, w_hh = state[place.format("weight_ih")], state[place.format("weight_hh")]
    zero = np.zeros(len(w_ih))
    b_ih, b_hh = (state.get(place.format(kind), zero) for kind in ("bias_ih", "bias_hh"))
    h = c = np.zeros((len(x), w_hh.shape[1]))
    outputs = []
    for t in range(x.shape[1]):
        left, right = x[:, t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if cell == "rnn":
            h = activation(left + right)
        elif cell == "lstm":
            i, f, g, o = np.split(left + right, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(left, 3, axis=1), np.split(right, 3, axis=1)
            r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
            h = (1 - z) * np.tanh(x_n + r * h_n) + z * h
        outputs.append(h)
    return np.stack(outputs, axis=1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forecast(cell, state, x, *, num_layers=1, bidirectional=False, module=None, activation=np.tanh):
    """The final state of the last layer (both, of two directions) through the ``nn.Linear``."""
    module = cell if module is None else module
    x = x.astype("float64")
    for number in range(num_layers):
        place = f"{module}.{{}}_l{number}"
        outputs = [read(cell, state, place, x, activation)]
        if bidirectional:
            outputs.append(read(cell, state, f"{place}_reverse", x[:, ::-1], activation))
        last = np.concatenate([output[:, -1] for output in outputs], axis=1)
        x = np.concatenate([outputs[0], *(output[:, ::-1] for output in outputs[1:])], axis=2)
    return last @ state["fc.weight"].T + state.get("fc.bias", 0)


def windows(features=3):
    return np.random.default_rng(1).normal(size=(6, 9, features)).astype("float32")


def predict(model, x):
    return keras.ops.convert_to_numpy(model(x))


ARCHITECTURES = [
    {},
    {"num_layers": 3},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "num_layers": 2},
]


def some_everywhere(architectures):
    """Each architecture with each cell; on every backend each with one or two, for what is copied is the same there."""
    return [
        pytest.param(cell, architecture, marks=[] if (at + number) % 3 == 0 else pytest.mark.above_backends,
                     id=f"{architecture}-{cell}")
        for at, architecture in enumerate(architectures) for number, cell in enumerate(GATES)
    ]  # fmt: skip


@pytest.mark.parametrize(("cell", "architecture"), some_everywhere(ARCHITECTURES))
def test_a_state_dict_gives_pytorchs_forecast_and_comes_back(cell, architecture):
    state = draw_state(cell, **architecture)
    model = from_torch(state)
    x = windows()
    options = {name: value for name, value in architecture.items() if name != "bias"}
    expected = forecast(cell, state, x, **options)
    np.testing.assert_allclose(predict(model, x), expected, atol=1e-6, rtol=1e-6)

    back = to_torch(model)
    assert {name: array.shape for name, array in back.items()} == {name: a.shape for name, a in state.items()}
    np.testing.assert_allclose(forecast(cell, back, x, **options), expected, atol=1e-6, rtol=1e-6)
    again = from_torch(back)
    assert all((one == other).all() for one, other in zip(again.get_weights(), model.get_weights(), strict=True))


@pytest.mark.above_backends
def test_biases_come_back_as_the_two_of_a_gru_and_as_one_of_the_others():
    gru = draw_state("gru")
    assert all((array == gru[name]).all() for name, array in to_torch(from_torch(gru)).items())
    lstm = draw_state("lstm")
    back = to_torch(from_torch(lstm))
    assert (back["lstm.bias_hh_l0"] == 0).all()
    np.testing.assert_allclose(back["lstm.bias_ih_l0"], lstm["lstm.bias_ih_l0"] + lstm["lstm.bias_hh_l0"], rtol=1e-6)


def test_relu():
    state = draw_state("rnn")
    x = windows()
    expected = forecast("rnn", state, x, activation=lambda z: np.maximum(z, 0))
    np.testing.assert_allclose(predict(from_torch(state, activation="relu"), x), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.above_backends
def test_options_of_the_model_that_is_built():
    model = from_torch(draw_state("lstm", num_layers=2), lookback=9, dropout=0.2, return_states=True)
    assert model.input_shape == (None, 9, 3)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.2]
    assert [shape[1] for shape in model.output_shape] == [2, 5, 5]


@pytest.mark.parametrize("cell", GATES)
def test_a_builders_model_takes_weights_and_gives_them(cell):
    source, target = (
        build_model(cell, lookback=9, features=3, units=5, num_layers=2, bidirectional=True, seed=seed)
        for seed in (1, 2)
    )
    load_torch(target, to_torch(source, recurrent="encoder.net", linear="head"))
    x = windows()
    np.testing.assert_allclose(predict(target, x), predict(source, x), atol=1e-6)


def test_a_linear_map_of_the_window_is_a_module_of_its_own():
    options = {"lookback": 6, "features": 3, "horizon": 2, "units": 4}
    model, again, without = (build_model("gru", seed=seed, skip=skip, **options)
                             for seed, skip in ((0, "linear"), (1, "linear"), (0, "none")))  # fmt: skip
    kernel = np.random.default_rng(0).normal(size=(6, 3, 2)).astype("float32")
    model.get_layer("skip").set_weights([kernel])
    state, x = to_torch(model), np.random.default_rng(1).normal(size=(5, 6, 3)).astype("float32")
    forecasts = model.predict_on_batch(x)
    flat = x.reshape(5, -1) @ state["skip.weight"].T
    np.testing.assert_allclose(without.predict_on_batch(x) + flat, forecasts, rtol=1e-4, atol=1e-5)
    load_torch(again, state)
    np.testing.assert_allclose(again.predict_on_batch(x), forecasts, rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigError, match=r"received skip.weight of shape \(2, 9\), expected \(2, 18\) without a bias"):
        load_torch(again, {**state, "skip.weight": state["skip.weight"][:, :9]})
    load_torch(again, {name: array for name, array in state.items() if name != "skip.weight"})
    np.testing.assert_allclose(again.predict_on_batch(x), without.predict_on_batch(x), rtol=1e-5, atol=1e-6)


@pytest.mark.above_backends
def test_layers_of_different_widths_are_modules_of_their_own():
    source, target = (build_model("gru", features=3, units=[6, 4], seed=seed) for seed in (1, 2))
    with pytest.raises(ConfigError, match="different recurrent layers"):
        to_torch(source)
    state = to_torch(source, recurrent=["first", "second"])
    assert state["second.weight_ih_l0"].shape == (12, 6)
    load_torch(target, state)
    assert all((one == other).all() for one, other in zip(target.get_weights(), source.get_weights(), strict=True))
    assert [layer.units for layer in from_torch(state).layers[1:3]] == [6, 4]


def test_a_model_made_by_hand_with_two_dense_layers():
    def build():
        return keras.Sequential(
            [
                keras.Input((9, 3)),
                layers.LSTM(5, return_sequences=True),
                keras.layers.GRU(4),
                keras.layers.Dense(7, activation="relu", use_bias=False),
                keras.layers.Dense(2),
            ]
        )

    source, target = build(), build()
    state = to_torch(source, recurrent=["lstm", "gru"], linear=["hidden", "out"])
    assert state["hidden.weight"].shape == (7, 4)
    assert "hidden.bias" not in state
    load_torch(target, state)
    np.testing.assert_array_equal(predict(target, windows()), predict(source, windows()))


@pytest.mark.above_backends
def test_a_bare_module_has_names_without_a_prefix():
    state = draw_state("lstm", module="net")
    bare = {name.removeprefix("net."): array for name, array in state.items()}
    model = from_torch(bare)
    np.testing.assert_allclose(predict(model, windows()), forecast("lstm", state, windows(), module="net"), atol=1e-6)
    assert set(to_torch(model, recurrent="")) == set(bare)


@pytest.mark.above_backends
def test_biases_that_the_state_dict_lacks_are_zero():
    state = draw_state("gru", bias=False)
    del state["fc.bias"]
    model = build_model("gru", lookback=9, features=3, units=5, horizon=2)
    load_torch(model, state)
    np.testing.assert_allclose(predict(model, windows()), forecast("gru", state, windows()), atol=1e-6, rtol=1e-6)


def compute_double_on_jax(on):
    if keras.config.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", on)


@pytest.fixture
def double():
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    compute_double_on_jax(True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    compute_double_on_jax(False)


@pytest.mark.usefixtures("double")
def test_double_precision():
    state = {name: array.astype("float64") / 3 for name, array in draw_state("gru").items()}
    back = to_torch(from_torch(state))
    assert all((back[name] == array).all() for name, array in state.items())


def without(state, *names):
    return {name: array for name, array in state.items() if name not in names}


STATE = draw_state("lstm")
BAD_STATES = {
    "an odd name": (STATE | {"norm.weight": np.ones(5)}, r"'norm.weight' of shape \(5,\)"),
    "a projection": (STATE | {"lstm.weight_hr_l0": np.ones((2, 5))}, "without proj_size"),
    "a missing weight": (without(STATE, "lstm.weight_hh_l0"), "without lstm.weight_hh_l0"),
    "one bias of two": (without(STATE, "lstm.bias_hh_l0"), "without lstm.bias_hh_l0"),
    "a missing layer": (
        {name.replace("_l0", "_l1"): array for name, array in STATE.items()},
        "without lstm.weight_ih_l0, lstm.weight_hh_l0",
    ),
    "one direction of two": (
        STATE | {name.replace("_l0", "_l1_reverse"): array for name, array in STATE.items() if "_l0" in name},
        "without lstm.weight_ih_l0_reverse",
    ),
    "no linear": (without(STATE, "fc.weight", "fc.bias"), "1 recurrent layers and 0 nn.Linear"),
    "a linear without weight": (without(STATE, "fc.weight"), "fc.bias without fc.weight"),
    "two linear": (STATE | {"fc2.weight": np.ones((2, 2))}, "and 2 nn.Linear"),
    "no recurrent layer": ({"fc.weight": np.ones((2, 2))}, "0 recurrent layers"),
    "two gates": (STATE | {"lstm.weight_hh_l0": np.ones((10, 5))}, r"weight_hh_l0 of shape \(10, 5\); expected"),
    "rows apart": (STATE | {"lstm.weight_ih_l0": np.ones((15, 3))}, r"of shape \(15, 3\), expected \(20, features"),
    "a short bias": (STATE | {"lstm.bias_ih_l0": np.ones(5)}, r"bias_ih_l0 of shape \(5,\), expected \(20,\)"),
    "two cells": (draw_state("gru") | STATE, "mixes gru in 1 direction.s., lstm"),
    "a linear of other width": (STATE | {"fc.weight": np.ones((2, 6))}, r"fc.weight of shape \(2, 6\), expected"),
    "a linear's short bias": (STATE | {"fc.bias": np.ones(3)}, r"fc.bias of shape \(3,\), expected \(2,\)"),
    "whole numbers": (STATE | {"fc.bias": np.ones(2, int)}, "'fc.bias' of type int64"),
}


@pytest.mark.above_backends
@pytest.mark.parametrize("case", BAD_STATES)
def test_bad_state_dicts(case):
    state, message = BAD_STATES[case]
    with pytest.raises(ConfigError, match=message):
        from_torch(state)


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "gru"}, r"weight_ih_l0 of shape \(20, 3\), of nn.LSTM by its gates; expected \(15, 3\) of nn.GRU"),
        ({"units": 6}, r"expected \(24, 3\)"),
        ({"features": 2}, r"expected \(20, 2\)"),
        ({"num_layers": 2}, "of 2 recurrent and 1 Dense"),
        ({"bidirectional": True}, "expected bidirectional=False"),
        ({"use_bias": False}, "expected use_bias=True"),
        ({"horizon": 3}, r"fc.weight of shape \(2, 5\), expected \(3, 5\)"),
        ({"activation": "relu"}, "activation='relu', expected 'tanh'"),
        ({"recurrent_activation": "hard_sigmoid"}, "recurrent_activation='hard_sigmoid', expected 'sigmoid'"),
        ({"cell": "gru", "reset_after": False}, "reset_after=False, expected True"),
        ({"go_backwards": True}, "go_backwards=True, expected False"),
        ({"members": 2}, "split_members"),
    ],
    ids=str,
)
def test_a_model_that_does_not_fit_keeps_its_weights(options, message):
    model = build_model(**{"cell": "lstm", "features": 3, "units": 5, "horizon": 2, **options})
    before = model.get_weights()
    with pytest.raises(ConfigError, match=message):
        load_torch(model, STATE)
    assert all((one == other).all() for one, other in zip(model.get_weights(), before, strict=True))


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: keras.layers.Bidirectional(layers.LSTM(5), merge_mode="sum"), "merge_mode='sum'"),
        (
            lambda: keras.layers.Bidirectional(keras.layers.RNN(keras.layers.LSTMCell(5)), name="both"),
            "a RNN in 'both'",
        ),
        (lambda: keras.layers.RNN(keras.layers.LSTMCell(5)), "a RNN with weights"),
    ],
)
def test_layers_that_pytorch_has_not(layer, message):
    with pytest.raises(ConfigError, match=message):
        load_torch(keras.Sequential([keras.Input((9, 3)), layer(), keras.layers.Dense(2)]), STATE)


@pytest.mark.above_backends
def test_a_dense_layer_without_bias_refuses_one():
    model = keras.Sequential([keras.Input((9, 3)), layers.LSTM(5), keras.layers.Dense(2, use_bias=False)])
    with pytest.raises(ConfigError, match=r"fc\.bias for layer"):
        load_torch(model, STATE)


@pytest.mark.above_backends
def test_names_for_a_written_state_dict():
    model = build_model("lstm", num_layers=2)
    with pytest.raises(ConfigError, match="3 names for 2 recurrent layers"):
        to_torch(model, recurrent=["a", "b", "c"])
    with pytest.raises(ConfigError, match="'a' twice"):
        to_torch(model, recurrent=["a", "a"])
    with pytest.raises(ConfigError, match="for 1 Dense layers"):
        to_torch(model, linear=["a", "b"])
    with pytest.raises(ConfigError, match="several members"):
        to_torch(build_model("lstm", members=2))


# PyTorch itself


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def torch_model(torch, cell, last_states=False, **options):
    """A recurrent layer and a Linear, the way that PyTorch's lessons write it: ``self.lstm`` and ``self.fc``."""

    class Forecaster(torch.nn.Module):
        def __init__(self):
            super().__init__()
            net = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
            setattr(self, cell, net(3, 5, batch_first=True, **options))
            self.fc = torch.nn.Linear(10 if options.get("bidirectional") else 5, 2)

        def forward(self, x):
            out, states = getattr(self, cell)(x)
            if not last_states:
                return self.fc(out[:, -1])
            h_n = states[0] if cell == "lstm" else states
            return self.fc(torch.cat([h_n[-2], h_n[-1]], dim=1))

    torch.manual_seed(0)
    return Forecaster().eval()


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.3}, {"bias": False}], ids=str)
def test_a_pytorch_model_forecasts_the_same_here(torch, cell, options):
    theirs, x = torch_model(torch, cell, **options), windows()
    ours = from_torch(theirs.state_dict(), lookback=9)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(predict(ours, x), expected, atol=1e-6, rtol=1e-6)

    other = torch_model(torch, cell, **options)
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    other.load_state_dict({name: torch.from_numpy(array) for name, array in to_torch(ours).items()})
    with torch.no_grad():
        np.testing.assert_allclose(other(torch.from_numpy(x)).numpy(), expected, atol=1e-6, rtol=1e-6)


def test_a_relu_model_of_pytorch(torch):
    theirs, x = torch_model(torch, "rnn", nonlinearity="relu"), windows()
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    ours = from_torch(theirs.state_dict(), activation="relu")
    np.testing.assert_allclose(predict(ours, x), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("cell", GATES)
def test_two_directions_end_in_pytorchs_final_states(torch, cell):
    options = {"bidirectional": True, "num_layers": 2}
    theirs, x = torch_model(torch, cell, last_states=True, **options), windows()
    ours = from_torch(theirs.state_dict())
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
        last_step = torch_model(torch, cell, **options)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(predict(ours, x), expected, atol=1e-6, rtol=1e-6)
    # The last time step of PyTorch's output is something else, as the module says.
    assert np.abs(last_step - expected).max() > 1e-2


def test_parameters_and_short_types_of_pytorch(torch):
    theirs = torch_model(torch, "gru").bfloat16()
    state = dict(theirs.named_parameters())
    written = to_torch(from_torch(state))
    assert (written["gru.weight_hh_l0"] == state["gru.weight_hh_l0"].detach().float().numpy()).all()


@pytest.mark.parametrize("cell", GATES)
def test_a_module_and_a_checkpoint_are_taken_as_they_are(torch, cell):
    options = {"nonlinearity": "relu"} if cell == "rnn" else {}
    theirs, x = torch_model(torch, cell, **options), windows()
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(predict(from_torch(theirs), x), expected, atol=1e-6, rtol=1e-6)
    optimizer = torch.optim.Adam(theirs.parameters())
    for key in ("model_state_dict", "state_dict"):
        kept = {"epoch": 3, key: theirs.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "loss": 0.5}
        np.testing.assert_allclose(
            predict(from_torch(kept, activation="relu" if options else None), x), expected, atol=1e-6, rtol=1e-6
        )
    model = build_model(cell, lookback=9, features=3, units=5, horizon=2, **({"activation": "relu"} if options else {}))
    load_torch(model, theirs)
    np.testing.assert_allclose(predict(model, x), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.above_backends
def test_two_directions_warn_of_what_differs():
    with pytest.warns(UserWarning, match=r"h_n\[-1\].*out\[:, -1\]"):
        from_torch(draw_state("gru", bidirectional=True))


@pytest.mark.above_backends
@pytest.mark.parametrize("given", ["gru.pt", 5, None, [1.0]])
def test_what_is_no_module_is_told(given):
    with pytest.raises(ConfigError, match="expected a PyTorch module, its state dict, or a checkpoint"):
        from_torch(given)
