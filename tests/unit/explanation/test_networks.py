"""Networks as NumPy arrays: outputs equal those of Keras, gradients equal finite differences."""

import numpy as np
import pytest

import kseq
from kseq.errors import ConfigError
from kseq.explanation.gradients import integrated_gradients, loss_gradient, state_gradient
from kseq.explanation.networks import networks_of

CELLS = ("rnn", "lstm", "gru")


def model_of(cell, **options):
    return kseq.build_model(cell, **{"lookback": 5, "features": 2, "units": 4, "horizon": 2, "seed": 3, **options})


def drawn_skip(model):
    """Set a linear skip, which starts at zero, to random numbers."""
    for layer in model.layers:
        if layer.name == "skip":
            layer.set_weights([np.random.default_rng(2).normal(size=layer.kernel.shape)])
    return model


@pytest.mark.parametrize(
    "options",
    [{}, {"units": [4, 3]}, {"bidirectional": True}, {"units": [3, 4], "bidirectional": True}, {"skip": "linear"}],
)
@pytest.mark.parametrize("cell", CELLS)
def test_forecasts_equal_those_of_the_model(cell, options):
    x = np.random.default_rng(0).normal(size=(6, 5, 2)).astype("float32")
    model = model_of(cell, **options)
    drawn_skip(model)
    (network,) = networks_of(model)
    np.testing.assert_allclose(network.run(x).output, model.predict_on_batch(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_each_member_of_an_ensemble_is_a_network(cell):
    x = np.random.default_rng(0).normal(size=(6, 5, 2)).astype("float32")
    model = model_of(cell, members=3)
    together = np.asarray(model.predict_on_batch(np.repeat(x[:, None], 3, axis=1)))
    for number, network in enumerate(networks_of(model)):
        np.testing.assert_allclose(network.run(x).output, together[:, number], rtol=1e-4, atol=1e-5)


def test_a_gru_with_its_reset_gate_before_the_product():
    x = np.random.default_rng(0).normal(size=(6, 5, 2)).astype("float32")
    model = model_of("gru", reset_after=False)
    np.testing.assert_allclose(networks_of(model)[0].run(x).output, model.predict_on_batch(x), rtol=1e-4, atol=1e-5)


@pytest.mark.above_backends
@pytest.mark.parametrize(
    "options", [{}, {"units": [4, 3]}, {"units": [3, 4], "bidirectional": True}, {"skip": "linear"}]
)
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_inputs_equal_finite_differences(cell, options):
    generator = np.random.default_rng(1)
    (network,) = networks_of(drawn_skip(model_of(cell, **options)))
    x, d_output = generator.normal(size=(3, 5, 2)), generator.normal(size=(3, 2))
    gradient, _ = network.back(network.run(x), d_output)
    for place in [(0, 0, 0), (1, 2, 1), (2, 4, 0)]:
        moved = [x.copy() for _ in range(2)]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        up, down = (np.sum(network.run(one).output * d_output) for one in moved)
        assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-9)


@pytest.mark.above_backends
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_lag_equal_finite_differences_of_the_states(cell):
    generator = np.random.default_rng(2)
    (network,) = networks_of(model_of(cell))
    x, y = generator.normal(size=(1, 5, 2)), generator.normal(size=(1, 2))
    absolute = network.back(network.run(x), 2 * (network.run(x).output - y) / 2)[1][0]

    def loss_after(states, steps):
        return np.mean((network.run(x[:, steps:], [states]).output - y) ** 2)

    for lag in (1, 2, 4):
        steps = 5 - lag
        states = network.run(x[:, :steps]).final_states[0]
        squares = 0.0
        for number, state in enumerate(states):
            for unit in range(state.shape[1]):
                losses = []
                for sign in (1, -1):
                    moved = [own.copy() for own in states]
                    moved[number][0, unit] += sign * 1e-5
                    losses.append(loss_after(moved, steps))
                squares += ((losses[0] - losses[1]) / 2e-5) ** 2
        assert absolute[lag] == pytest.approx(np.sqrt(squares), rel=1e-5)
    curve = loss_gradient([network], x, y)
    np.testing.assert_allclose(curve.values[0], absolute / absolute[0])


@pytest.mark.above_backends
def test_a_linear_cell_forgets_by_its_recurrent_weight():
    model = kseq.build_model("rnn", lookback=8, units=1, activation="linear", seed=0)
    model.set_weights([np.ones((1, 1)), np.full((1, 1), 0.5), np.zeros(1), np.ones((1, 1)), np.zeros(1)])
    curve = state_gradient(networks_of(model), np.random.default_rng(0).normal(size=(10, 8, 1)))
    np.testing.assert_allclose(curve.values[0], 0.5 ** np.arange(8), rtol=1e-6)
    assert curve.falls_to(0.5).tolist() == [1]
    assert curve.falls_to(0.01).tolist() == [7]
    assert np.isnan(curve.falls_to(1e-3)).all()


@pytest.mark.above_backends
@pytest.mark.parametrize("cell", CELLS)
def test_attributions_add_up_to_the_difference_of_the_forecasts(cell):
    x = np.random.default_rng(3).normal(size=(4, 5, 2))
    (network,) = networks_of(model_of(cell))
    base = np.array([0.1, -0.2])
    parts = integrated_gradients(network, x, base)
    nothing = network.run(np.broadcast_to(base, x.shape)).output[:, 0]
    np.testing.assert_allclose(parts.sum(axis=(1, 2)), network.run(x).output[:, 0] - nothing, rtol=1e-3, atol=1e-4)


@pytest.mark.above_backends
def test_other_layers_are_refused():
    import keras

    model = keras.Sequential(
        [keras.Input((5, 1)), keras.layers.LSTM(3), keras.layers.LayerNormalization(), keras.layers.Dense(1)]
    )
    with pytest.raises(ConfigError, match="received a model with a layer LayerNormalization"):
        networks_of(model)


def test_a_linear_map_of_the_window_reads_the_last_steps_of_shorter_and_longer_ones():
    x = np.random.default_rng(0).normal(size=(6, 8, 2))
    with_skip = networks_of(drawn_skip(model_of("gru", skip="linear")))[0]
    without = networks_of(model_of("gru"))[0]
    for rows in (3, 5, 8):
        added = with_skip.run(x[:, -rows:]).output - without.run(x[:, -rows:]).output
        steps = min(rows, 5)
        expected = np.einsum("btf,tfo->bo", x[:, -steps:], with_skip.skip[-steps:])
        np.testing.assert_allclose(added, expected, rtol=1e-6, atol=1e-9)
