"""What the backends' parity tests share: a layer, its inputs, and the answers of stock Keras and of the reference."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from kseq import layers
from kseq.kernels import reference

#: Settings that the kernels take, each as ``(cell, options)``.
CELLS = [
    ("SimpleRNN", {}),
    ("SimpleRNN", {"activation": "relu"}),
    ("LSTM", {"unit_forget_bias": False}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
]

#: The same for kernels that are called by themselves, with members.
MEMBER_CELLS = [
    {"cell": "simple_rnn"},
    {"cell": "simple_rnn", "activation": "relu"},
    {"cell": "lstm", "recurrent_activation": "sigmoid"},
    {"cell": "gru", "recurrent_activation": "sigmoid"},
    {"cell": "gru", "recurrent_activation": "sigmoid", "reset_after": False},
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``cell_options``, or ``member_cell``, with every setting."""
    if "cell_options" in metafunc.fixturenames:
        names = [" ".join([cell, *map(str, options.values())]).replace(" ", "-") for cell, options in CELLS]
        metafunc.parametrize("cell_options", CELLS, ids=names)
    if "member_cell" in metafunc.fixturenames:
        names = ["-".join(map(str, settings.values())) for settings in MEMBER_CELLS]
        metafunc.parametrize("member_cell", MEMBER_CELLS, ids=names)


@pytest.fixture(params=["float32", "float64"])
def floatx(request: pytest.FixtureRequest) -> Iterator[str]:
    """Keras's default number type; its operations compute float64 only where that is the default."""
    before = keras.config.floatx()
    keras.config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx(before)


@pytest.fixture(scope="session")
def parity() -> Callable[..., Any]:
    """Check a layer of kseq against stock Keras and the reference: outputs, states and every gradient."""
    return check_parity


def check_parity(
    run: Callable[..., tuple[list, list]],
    cell: str,
    *,
    dtype: str = "float32",
    shape: tuple[int, int, int] = (3, 7, 2),
    units: int = 5,
    stock: bool = True,
    seed: int = 0,
    tolerance: float = 1e-5,
    **options: Any,
) -> keras.Layer:
    """Compare a layer with stock Keras (unless ``stock`` is False) and with the reference; return it.

    ``run(layer, x, states, factors)`` calls the layer with ``initial_state`` and returns its outputs and the gradients
    of ``sum(factor * output)`` over all outputs: of ``x``, of the states and of the weights, as NumPy arrays.
    ``tolerance`` is that of float32.
    """
    rng = np.random.default_rng(seed)
    batch, time, _ = shape
    options = {"dtype": dtype, "return_state": True, **options}
    layer = getattr(layers, cell)(units, **options)
    layer.build(shape)
    layer.set_weights([rng.normal(size=w.shape, scale=len(w) ** -0.5).astype(dtype) for w in layer.get_weights()])
    x = rng.normal(size=shape).astype(dtype)
    states = [rng.normal(size=(batch, units), scale=0.5).astype(dtype) for _ in layer.state_size]
    output = (batch, time, units) if layer.return_sequences else (batch, units)
    factors = [rng.normal(size=size).astype(dtype) for size in (output, *(state.shape for state in states))]

    with layers.kernel_policy("strict"):
        outputs, gradients = run(layer, x, states, factors)
    assert not layer.kernel_used.startswith("keras"), layer.kernel_used
    found = [*outputs, *gradients]
    assert all(array.dtype == dtype for array in found)

    expected = _by_reference(layer, x, states, factors)
    assert_close(found, expected, 1e-10 if dtype == "float64" else tolerance)
    # On JAX, Keras's own loops compute parts of float64 in float32 and then refuse their result.
    if stock and not (dtype == "float64" and keras.config.backend() == "jax"):
        plain = getattr(keras.layers, cell)(units, **options)
        plain.build(shape)
        plain.set_weights(layer.get_weights())
        outputs, gradients = run(plain, x, states, factors)
        # On PyTorch they compute parts of float64 in float32.
        exact = dtype == "float64" and keras.config.backend() == "tensorflow"
        assert_close(found, [*outputs, *gradients], 1e-10 if exact else tolerance)
    return layer


def _by_reference(layer: keras.Layer, x: np.ndarray, states: list, factors: list) -> list[np.ndarray]:
    """Outputs, states and gradients by :mod:`kseq.kernels.reference`, in float64."""
    spec = layers.spec_of(layer)
    weights = [w.astype("float64") for w in layer.get_weights()]
    kernel, recurrent_kernel, bias = weights if layer.use_bias else (*weights, None)
    arguments = (x.astype("float64"), [s.astype("float64") for s in states], None, kernel, recurrent_kernel, bias, spec)
    last, outputs, ends, _ = getattr(reference, spec.cell)(*arguments)
    name = "d_outputs" if layer.return_sequences else "d_last"
    gradients = reference.gradients(*arguments, **{name: factors[0]}, d_states=factors[1:])
    d_weights = [g for g in (gradients.kernel, gradients.recurrent_kernel, gradients.bias) if g is not None]
    first = outputs if layer.return_sequences else last
    return [first, *ends, gradients.sequences, *gradients.initial_state, *d_weights]


def assert_close(found: list, expected: list, tolerance: float) -> None:
    """All arrays are equal to a part of their largest number, or of 1."""
    assert len(found) == len(expected)
    for number, (have, want) in enumerate(zip(found, expected, strict=True)):
        assert have.shape == want.shape, number
        difference = np.abs(have - want).max() / max(1.0, np.abs(want).max())
        assert difference <= tolerance, f"array {number} of {len(found)} differs by {difference}"


@pytest.fixture(scope="session")
def members_problem() -> Callable[..., SimpleNamespace]:
    """Make random arguments of a kernel for S members, with their outputs, states and gradients by the reference."""
    return make_members_problem


def make_members_problem(spec: Any, *, shared: bool, bias: bool = True, dtype: str = "float64") -> SimpleNamespace:
    """See :func:`members_problem`; S = 3, batch 4, 6 steps, 2 features, 5 units."""
    rng = np.random.default_rng(1)
    members, batch, time, features, units = 3, 4, 6, 2, 5
    gates, count = {"simple_rnn": (1, 1), "lstm": (4, 2), "gru": (3, 1)}[spec.cell]

    def draw(*size: int) -> np.ndarray:
        return rng.normal(size=size, scale=0.5).astype(dtype)

    bias_shape = (members, 2, 3 * units) if spec.cell == "gru" and spec.reset_after else (members, gates * units)
    sequences = draw(batch, time, features) if shared else draw(batch, members, time, features)
    states = [draw(batch, members, units) for _ in range(count)]
    weights = [
        draw(members, features, gates * units),
        draw(members, units, gates * units),
        draw(*bias_shape) if bias else None,
    ]
    d_outputs = draw(batch, members, time if spec.return_sequences else 1, units)
    d_states = [draw(batch, members, units) for _ in range(count)]
    last, outputs, ends, _ = getattr(reference, spec.cell)(sequences, states, None, *weights, spec)
    d_all = d_outputs if spec.return_sequences else None
    d_last = None if spec.return_sequences else d_outputs[:, :, 0]
    gradients = reference.gradients(
        sequences, states, None, *weights, spec, d_last=d_last, d_outputs=d_all, d_states=d_states
    )
    d_weights = [g for g in (gradients.kernel, gradients.recurrent_kernel, gradients.bias) if g is not None]
    return SimpleNamespace(
        sequences=sequences,
        states=states,
        weights=weights,
        d_outputs=d_outputs,
        d_states=d_states,
        expected=[last, outputs, *ends, gradients.sequences, *gradients.initial_state, *d_weights],
        assert_close=assert_close,
    )
