"""What the layers do around the kernels, on every backend: models of one kind into the other, policies, masks."""

import threading

import keras
import numpy as np
import pytest

from kseq import layers
from kseq.layers import Ensemble, kernel_policy, policy

CELLS = ["SimpleRNN", "LSTM", "GRU"]
X = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("wrap", [lambda layer: layer, keras.layers.Bidirectional], ids=["plain", "bidirectional"])
@pytest.mark.parametrize("cell", CELLS)
def test_accelerate_turns_keras_layers_into_fast_ones_and_to_stock_back(cell, wrap):
    stock = keras.Sequential([keras.Input((6, 2)), wrap(getattr(keras.layers, cell)(4)), keras.layers.Dense(1)])
    fast = layers.accelerate(stock)
    again = layers.to_stock(fast)

    def kind(model):
        layer = model.layers[0]
        return type(getattr(layer, "forward_layer", layer))

    assert kind(fast) is getattr(layers, cell)
    assert kind(again) is getattr(keras.layers, cell)
    expected = stock.predict_on_batch(X)
    for model in (fast, again):
        np.testing.assert_allclose(model.predict_on_batch(X), expected, atol=1e-6)


def test_a_policy_holds_for_its_blocks_and_its_thread():
    off, seen = kernel_policy("off"), []
    for _ in range(2):
        with off, kernel_policy("strict"):
            assert policy() == "strict"
        with off:
            thread = threading.Thread(target=lambda: seen.append(policy()))
            thread.start()
            thread.join()
            assert policy() == "off"
    assert policy() == "auto"
    assert seen == ["auto", "auto"]


def test_blocks_of_two_threads_may_overlap():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with kernel_policy("off"):
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with kernel_policy("strict"):
        thread.start()
        inside.wait()
    leave.set()
    thread.join()
    assert policy() == "auto"


ALL, ZEROS = {"return_sequences": True}, {"return_sequences": True, "zero_output_for_mask": True}


MASKED = {
    "zeros": (lambda layer: layer, ZEROS),
    "zeros backwards": (lambda layer: layer, {**ZEROS, "go_backwards": True}),
    "all": (lambda layer: layer, ALL),
    "last": (lambda layer: layer, {}),
    "bidirectional all": (keras.layers.Bidirectional, ALL),
    "bidirectional last": (keras.layers.Bidirectional, {}),
}


@pytest.mark.parametrize(
    ("own", "wrap", "options", "cell"),
    [
        # Each two of the three on every backend: a cell takes a second to compile.
        pytest.param(own, *MASKED[name], cell, marks=[] if (at + number + own) % 3 == 0 else pytest.mark.above_backends,
                     id=f"{'own' if own else 'shared'} windows-{name}-{cell}")
        for own in (True, False) for at, name in enumerate(MASKED) for number, cell in enumerate(CELLS)
    ],
)  # fmt: skip
def test_a_member_reads_a_mask_as_the_layer_alone(cell, options, own, wrap):
    """Bidirectional in Keras always asks its layers for zeros at masked steps."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=(3, 2, 6, 2) if own else (3, 6, 2)).astype("float32")
    mask = generator.random((3, 2, 6) if own else (3, 6)) > 0.4
    ensemble = Ensemble(wrap(getattr(layers, cell)(4, **options)), members=2, seeds=[1, 2])
    found = numpy(ensemble(x, mask=keras.ops.convert_to_tensor(mask)))
    for number in range(2):
        alone = ensemble.member_layer(number)
        windows, steps = (x[:, number], mask[:, number]) if own else (x, mask)
        alone.build(windows.shape)
        alone.set_weights(ensemble.member_weights(number))
        expected = numpy(alone(windows, mask=keras.ops.convert_to_tensor(steps)))
        np.testing.assert_allclose(found[:, number], expected, atol=1e-6)


@pytest.mark.parametrize("layer", [keras.layers.LSTM(4, trainable=False), keras.layers.Dense(4, trainable=False)])
def test_members_of_a_frozen_layer(layer):
    ensemble = Ensemble(layer, members=2, seeds=[1, 2])
    assert ensemble(np.ones((3, 2, 6, 2), "float32")).shape[-1] == 4
    assert ensemble.weights
    assert ensemble.trainable_weights == []


@pytest.mark.skipif(keras.config.backend() == "jax", reason="there Keras's loop refuses states that change their shape")
@pytest.mark.parametrize("cell", CELLS)
def test_one_initial_state_for_all_windows(cell):
    layer = getattr(layers, cell)(4)
    layer.build(X.shape)
    one, every = (
        [keras.ops.convert_to_tensor(np.full((rows, 4), 0.5, "float32")) for _ in layer.state_size]
        for rows in (1, len(X))
    )
    np.testing.assert_allclose(numpy(layer(X, initial_state=one)), numpy(layer(X, initial_state=every)), atol=1e-6)
