"""The compiled CPU kernel against the reference: outputs, states, every gradient, and what it promises besides."""

import gc
import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kseq.errors import Unsupported
from kseq.kernels import Spec, cpu, reference
from kseq.kernels._cpu import code, pool

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
#: Largest error allowed, relative to the largest value of an array.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def spec_of(cell: str, activation: str = "tanh", **options) -> Spec:
    return Spec(cell, activation, None if cell == "simple_rnn" else "sigmoid", training=True, **options)


CELLS = [
    spec_of("simple_rnn", return_sequences=True),
    spec_of("lstm", return_sequences=True),
    spec_of("gru", reset_after=True, return_sequences=True),
    spec_of("gru", reset_after=False, return_sequences=True),
]


def name_of(spec: Spec) -> str:
    return f"{spec.cell}-{spec.reset_after=}" if spec.cell == "gru" else spec.cell


every_cell = pytest.mark.parametrize("spec", CELLS, ids=name_of)


def draw(spec, batch=5, time=4, features=2, units=3, members=None, shared=False, use_bias=True, seed=0):
    """Arguments of :func:`cpu.forward` after the spec, in float64."""
    rng = np.random.default_rng(seed)
    axis = () if members is None else (members,)
    columns = GATES[spec.cell] * units
    bias_shape = (*axis, 2, columns) if spec.cell == "gru" and spec.reset_after else (*axis, columns)
    return (
        rng.normal(size=(batch, *(() if shared else axis), time, features)),
        rng.normal(size=(*axis, features, columns)) / np.sqrt(features),
        rng.normal(size=(*axis, units, columns)) / np.sqrt(units),
        rng.normal(size=bias_shape) if use_bias else None,
        [rng.normal(size=(batch, *axis, units)) for _ in range(2 if spec.cell == "lstm" else 1)],
    )


def cast(arguments, dtype):
    """The same arguments in another number type."""
    if isinstance(arguments, list | tuple):
        return type(arguments)(cast(argument, dtype) for argument in arguments)
    return None if arguments is None else arguments.astype(dtype)


def flatten(results) -> list:
    """The arrays of a result or of gradients, without what was not asked for."""
    flat = []
    for result in results:
        if isinstance(result, np.ndarray):
            flat.append(result)
        elif isinstance(result, list):
            flat += result
    return flat


def run(spec, arguments, threads=None, needs_sequences=True):
    """Forward and backward; the arrays of both. The gradients that go in are those of a sum of squares."""
    result = cpu.forward(spec, *arguments, threads=threads)
    grads = cpu.backward(result.saved, result.last, result.outputs, result.states, needs_sequences)
    return flatten(result) + flatten(grads)


def assert_close(ours: list, expected: list, dtype: str) -> None:
    for mine, right in zip(ours, expected, strict=True):
        assert mine.shape == right.shape
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine, right, rtol=0, atol=TOLERANCE[dtype] * max(1, np.abs(right).max()))


def assert_same_bits(ours: list, expected: list) -> None:
    for mine, right in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(mine, right)


@st.composite
def layers(draw_from):
    cell = draw_from(st.sampled_from(list(GATES)))
    spec = spec_of(
        cell,
        draw_from(st.sampled_from(["tanh", "relu", "linear"])) if cell == "simple_rnn" else "tanh",
        reset_after=draw_from(st.booleans()),
        return_sequences=draw_from(st.booleans()),
        go_backwards=draw_from(st.booleans()),
    )
    members = draw_from(st.sampled_from([None, 1, 3]))
    arguments = draw(
        spec,
        batch=draw_from(st.integers(1, 40)),
        time=draw_from(st.integers(1, 9)),
        features=draw_from(st.integers(1, 12)),
        units=draw_from(st.integers(1, 40)),
        members=members,
        shared=members is not None and draw_from(st.booleans()),
        use_bias=draw_from(st.booleans()),
        seed=draw_from(st.integers(0, 2**32 - 1)),
    )
    return spec, arguments, draw_from(st.tuples(*[st.booleans()] * 4))


@pytest.mark.no_cover
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=60, deadline=None)
@given(layer=layers())
def test_everything_is_the_reference(dtype, layer):
    spec, arguments, (with_last, with_outputs, with_states, needs_sequences) = layer
    arguments = cast(arguments, dtype)
    exact = cast(arguments, "float64")
    x, kernel, recurrent_kernel, bias, state = exact
    expected = getattr(reference, spec.cell)(x, state, None, kernel, recurrent_kernel, bias, spec)
    result = cpu.forward(spec, *arguments)
    assert (result.outputs is not None) == spec.return_sequences
    outputs = [expected.outputs] if spec.return_sequences else []
    assert_close(flatten(result), [expected.last_output, *outputs, *expected.states], dtype)

    rng = np.random.default_rng(0)
    d_last = rng.normal(size=result.last.shape).astype(dtype) if with_last else None
    d_outputs = rng.normal(size=result.outputs.shape).astype(dtype) if with_outputs and outputs else None
    d_states = [rng.normal(size=s.shape).astype(dtype) for s in result.states] if with_states else None
    grads = cpu.backward(result.saved, d_last, d_outputs, d_states, needs_sequences)
    right = reference.gradients(
        x,
        state,
        None,
        kernel,
        recurrent_kernel,
        bias,
        spec,
        d_last=cast(d_last, "float64"),
        d_outputs=cast(d_outputs, "float64"),
        d_states=cast(d_states, "float64"),
    )
    assert (grads.sequences is not None) == needs_sequences
    assert (grads.bias is None) == (bias is None)
    assert_close(flatten(grads), flatten(right[not needs_sequences :]), dtype)


@pytest.mark.no_cover
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("batch", "time", "features", "units"),
    [(1, 1, 1, 1), (1, 300, 1, 7), (3, 5, 130, 33), (2, 3, 1, 200), (700, 3, 2, 8), (61, 2, 9, 64)],
)
@every_cell
def test_sizes(spec, batch, time, features, units, dtype):
    arguments = cast(draw(spec, batch, time, features, units), dtype)
    x, kernel, recurrent_kernel, bias, state = cast(arguments, "float64")
    last, outputs, states, _ = getattr(reference, spec.cell)(x, state, None, kernel, recurrent_kernel, bias, spec)
    grads = reference.gradients(
        x, state, None, kernel, recurrent_kernel, bias, spec, d_last=last, d_outputs=outputs, d_states=states
    )
    assert_close(run(spec, arguments), [last, outputs, *states, *flatten(grads)], dtype)


@every_cell
def test_float32_is_right_to_a_millionth(spec):
    arguments = cast(draw(spec, batch=32, time=60, features=1, units=32), "float32")
    x, kernel, recurrent_kernel, bias, state = cast(arguments, "float64")
    right = getattr(reference, spec.cell)(x, state, None, kernel, recurrent_kernel, bias, spec).outputs
    assert np.abs(cpu.forward(spec, *arguments).outputs - right).max() < 1e-6 * max(1, np.abs(right).max())


def activation_of(cell, values, **options):
    """Values through a cell's tanh (SimpleRNN) or sigmoid (a GRU's update gate before an output of 1), and no more."""
    dtype = values.dtype
    kernel = np.zeros((1, GATES[cell]), dtype)
    kernel[0, 0] = 1
    state = np.full((len(values), 1), 1 if cell == "gru" else 0, dtype)
    zeros = np.zeros((1, GATES[cell]), dtype)
    return cpu.forward(spec_of(cell), values[:, None, None], kernel, zeros, None, [state], **options).last[:, 0]


EXACT = {
    "simple_rnn": np.tanh,
    "gru": lambda x: np.where(x >= 0, 1 / (1 + np.exp(-abs(x))), np.exp(-abs(x)) / (1 + np.exp(-abs(x)))),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", list(EXACT))
def test_activations_are_right_to_the_last_digits(cell, dtype):
    rng = np.random.default_rng(0)
    spread = np.concatenate([10 ** rng.uniform(-8, 8, 500_000), rng.uniform(0, 20, 500_000)]).astype(dtype)
    # Where one formula goes over into another, and where results become exactly 1 or 0.
    steps = np.array([k * np.log(2) / 4 for k in range(1, 60)] + [8, 9.0108, 9.0110, 16.6355, 19.0615, 36.7368], dtype)
    edges = np.concatenate([steps, np.nextafter(steps, 0, dtype=dtype), np.nextafter(steps, 99, dtype=dtype)])
    values = np.concatenate([spread, edges])
    values = np.concatenate([values, -values])
    found = activation_of(cell, values)
    exact = EXACT[cell](values.astype(np.longdouble))
    normal = abs(exact) > 2 * np.finfo(dtype).tiny
    error = abs(found - exact)[normal] / np.spacing(abs(exact[normal]).astype(dtype))
    assert error.max() < 2.7
    assert abs(found[~normal]).max(initial=0) <= 3 * np.finfo(dtype).tiny


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_activations_of_the_numbers_at_the_ends(dtype):
    info = np.finfo(dtype)
    values = np.array(
        [0, -0.0, info.smallest_subnormal, -info.tiny, info.max, -info.max, np.inf, -np.inf, np.nan], dtype
    )
    found = activation_of("simple_rnn", values)
    np.testing.assert_array_equal(found, [0, 0, info.smallest_subnormal, -info.tiny, 1, -1, 1, -1, np.nan])
    found = activation_of("gru", values[[0, 1, 2, 3, 4, 5, 8]])
    np.testing.assert_array_equal(found, [0.5, 0.5, 0.5, 0.5, 1, 0, np.nan])


@pytest.mark.parametrize(
    ("dtype", "saturation"), [("float32", 9.0109), ("float32", 7.9), ("float64", 19.06), ("float64", 17.7)]
)
def test_tanh_is_1_from_the_saturation_on_and_not_before(dtype, saturation):
    """A gradient that a framework has as zero must be zero here: Adam makes whole steps out of the smallest number."""
    bound = np.dtype(dtype).type(saturation)
    below = np.nextafter(bound, 0, dtype=dtype) - np.linspace(0, 1, 10_000).astype(dtype)
    above = bound + np.linspace(0, 30, 10_000).astype(dtype)
    assert (activation_of("simple_rnn", above, saturation=saturation) == 1).all()
    assert (activation_of("simple_rnn", -above, saturation=saturation) == -1).all()
    assert (activation_of("simple_rnn", below, saturation=saturation) < 1).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@every_cell
def test_saturated_cells_have_no_gradient(spec, dtype):
    x, kernel, recurrent_kernel, bias, state = cast(draw(spec), dtype)
    kernel, x = np.ones_like(kernel), 20_000 + 5_000 * abs(x)
    result = cpu.forward(spec, x, kernel, recurrent_kernel, bias, state)
    gradients = cpu.backward(result.saved, np.ones_like(result.last))
    assert (gradients.kernel == 0).all()
    assert (gradients.sequences == 0).all()


def test_a_saturation_is_found_to_the_last_digit():
    def tanh(x):
        return np.where(x >= np.float32(7.9), np.float32(1), np.float32(0.9))

    assert cpu.saturation_of(tanh, np.dtype("float32")) == np.float32(7.9)


@every_cell
def test_a_row_has_the_bits_of_a_batch_of_one(spec):
    x, *weights, state = cast(draw(spec, batch=23, features=3, units=37), "float32")
    together = flatten(cpu.forward(spec, x, *weights, state))
    for row in range(23):
        only = slice(row, row + 1)
        alone = flatten(cpu.forward(spec, x[only], *weights, [part[only] for part in state]))
        assert_same_bits([array[only] for array in together], alone)


@every_cell
def test_bits_do_not_depend_on_threads(spec, monkeypatch):
    monkeypatch.setattr(cpu, "_WORTH_THREADS", 0)
    arguments = cast(draw(spec, batch=150, time=7, features=3, units=12, members=2), "float32")
    alone = run(spec, arguments, threads=1)
    for threads in (2, 3, 8):
        assert_same_bits(run(spec, arguments, threads=threads), alone)


@every_cell
def test_a_member_has_the_bits_of_a_single_layer(spec):
    x, kernel, recurrent_kernel, bias, state = cast(draw(spec, batch=40, units=9, members=3), "float32")
    together = run(spec, (x, kernel, recurrent_kernel, bias, state))
    states = len(state)
    for s in range(3):
        alone = run(spec, (x[:, s], kernel[s], recurrent_kernel[s], bias[s], [part[:, s] for part in state]))
        batch_first, weights = together[:-3], together[-3:]
        assert len(batch_first) == 2 + states + 1 + states
        assert_same_bits([array[:, s] for array in batch_first] + [array[s] for array in weights], alone)


@every_cell
def test_runs_may_wait_for_their_backward_runs(spec):
    runs = [cast(draw(spec, seed=seed), "float32") for seed in range(3)]
    expected = [run(spec, arguments) for arguments in runs]
    results = [cpu.forward(spec, *arguments) for arguments in runs]
    for i in (1, 0, 2, 1):
        grads = cpu.backward(results[i].saved, results[i].last, results[i].outputs, results[i].states)
        assert_same_bits(flatten(results[i]) + flatten(grads), expected[i])


@every_cell
def test_python_threads_at_once(spec, monkeypatch):
    monkeypatch.setattr(cpu, "_WORTH_THREADS", 0)
    runs = [cast(draw(spec, batch=70, time=9, units=8, seed=seed), "float32") for seed in range(4)]
    expected = [run(spec, arguments, threads=1) for arguments in runs]
    found: list = [None] * len(runs)

    def work(i: int) -> None:
        found[i] = [run(spec, runs[i], threads=3) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for many, right in zip(found, expected, strict=True):
        for results in many:
            assert_same_bits(results, right)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@every_cell
def test_a_bad_member_spoils_no_other(spec, bad, dtype):
    arguments = cast(draw(spec, batch=6, units=5, members=3), dtype)
    expected = run(spec, arguments)
    arguments[1][1, 0, 0] = bad
    spoilt = run(spec, arguments)
    for mine, right in zip(spoilt[:-3], expected[:-3], strict=True):
        np.testing.assert_array_equal(mine[:, ::2], right[:, ::2])
    for mine, right in zip(spoilt[-3:], expected[-3:], strict=True):
        np.testing.assert_array_equal(mine[::2], right[::2])
    if np.isnan(bad):
        assert np.isnan(spoilt[0][:, 1, 0]).all()
        assert np.isnan(spoilt[-2][1]).any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
@every_cell
def test_nan_and_infinity_in_a_sequence(spec, activation, bad, dtype):
    if spec.cell != "simple_rnn" and activation != "tanh":
        activation = "tanh"
    spec = spec_of(spec.cell, activation, reset_after=spec.reset_after, return_sequences=True)
    arguments = cast(draw(spec, batch=6, units=5), dtype)
    arguments[0][2, 1, 0] = bad
    x, kernel, recurrent_kernel, bias, state = cast(arguments, "float64")
    with np.errstate(invalid="ignore"):
        right = getattr(reference, spec.cell)(x, state, None, kernel, recurrent_kernel, bias, spec)
    ours = cpu.forward(spec, *arguments)
    np.testing.assert_allclose(ours.outputs, right.outputs, rtol=1e-4, atol=1e-5)
    for mine, theirs in zip(ours.states, right.states, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@every_cell
def test_saturated_gates_stay_finite(spec):
    x, *rest = cast(draw(spec), "float32")
    results = run(spec, (x * 1e30, *rest))
    assert all(np.isfinite(array).all() for array in results[: 2 + len(rest[-1])])
    assert np.abs(results[0]).max() <= 1 + np.abs(rest[-1][0]).max()


@every_cell
def test_inputs_in_any_memory(spec):
    arguments = cast(draw(spec, members=2), "float32")
    expected = run(spec, arguments)
    x, kernel, recurrent_kernel, bias, state = arguments

    def scattered(array):
        view = np.asfortranarray(array)[...]
        view.flags.writeable = False
        return view

    results = run(spec, (*map(scattered, (x, kernel, recurrent_kernel, bias)), [scattered(part) for part in state]))
    assert_same_bits(results, expected)
    buffer = np.empty(x.nbytes + 1, np.uint8)
    odd = buffer[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    assert not odd.flags.aligned
    assert_same_bits(run(spec, (odd, kernel, recurrent_kernel, bias, state)), expected)


@every_cell
def test_inference_keeps_nothing(spec):
    arguments = cast(draw(spec), "float32")
    kept, dropped = cpu.forward(spec, *arguments), cpu.forward(spec, *arguments, keep=False)
    assert dropped.saved is None
    assert_same_bits(flatten(dropped), flatten(kept))


def test_gradients_may_be_none():
    spec = CELLS[1]
    result = cpu.forward(spec, *cast(draw(spec), "float32"))
    grads = cpu.backward(result.saved)
    assert all((array == 0).all() for array in flatten(grads))
    only_c = cpu.backward(result.saved, None, None, [None, np.ones_like(result.states[1])])
    assert (only_c.kernel != 0).any()


def test_memory_is_used_again():
    spec = CELLS[1]
    arguments = cast(draw(spec, batch=11, time=13), "float32")
    saved = cpu.forward(spec, *arguments).saved
    address = saved.memory.ctypes.data
    assert cpu.forward(spec, *arguments).saved.memory.ctypes.data != address
    del saved
    gc.collect()
    again = [cpu.forward(spec, *arguments).saved for _ in range(3)]
    assert address in [saved.memory.ctypes.data for saved in again]


def test_memory_kept_is_bounded():
    arrays = [pool.take(1000 + i, np.dtype(np.float32)) for i in range(100)]
    for array in arrays:
        pool.give(array)
    assert len(pool._free) <= 32
    for array in [pool.take(77, np.dtype(np.float32)) for _ in range(20)]:
        pool.give(array)
    assert len(pool._free[np.dtype(np.float32), 77]) <= 8


def test_threads_by_environment(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    assert pool.default_threads() == 3
    monkeypatch.setenv("KSEQ_NUM_THREADS", "5")
    assert pool.default_threads() == 5
    monkeypatch.delenv("KSEQ_NUM_THREADS")
    monkeypatch.delenv("NUMBA_NUM_THREADS")
    assert 1 <= pool.default_threads() <= (os.cpu_count() or 1)


def test_an_error_in_a_helper_reaches_the_caller():
    here = threading.current_thread()
    called = threading.Event()

    def function(counter) -> int:
        if threading.current_thread() is here:
            called.wait(10)
            return 1
        called.set()
        raise MemoryError("no memory in a helper")

    with pytest.raises(MemoryError, match="in a helper"):
        pool.run(function, (), 2, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_can_run():
    script = """
import os, signal
import numpy as np
from kseq.kernels import Spec, cpu
cpu._WORTH_THREADS = 0
one = np.ones((64, 2, 1), np.float32)
arguments = (Spec("simple_rnn"), one, one[:1, 0], one[:1, 0], None, [one[:, 0]])
cpu.forward(*arguments, threads=2)
child = os.fork()
if child == 0:
    signal.alarm(60)
    cpu.forward(*arguments, threads=2)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=120)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (spec_of("simple_rnn", "sigmoid"), "activation sigmoid"),
        (spec_of("lstm", "relu"), "activation relu"),
        (Spec("gru", "tanh", "hard_sigmoid"), "recurrent_activation hard_sigmoid"),
    ],
)
def test_other_activations_are_declined(spec, reason):
    with pytest.raises(Unsupported, match=reason):
        cpu.forward(spec, *draw(spec))


def test_other_number_types_are_declined():
    with pytest.raises(Unsupported, match="float16"):
        cpu.forward(CELLS[0], *cast(draw(CELLS[0]), "float16"))


@pytest.mark.parametrize(("place", "name"), [(0, "sequences"), (1, "kernel"), (2, "recurrent_kernel"), (3, "bias")])
def test_shapes_that_do_not_fit(place, name):
    arguments = list(draw(CELLS[1]))
    arguments[place] = arguments[place][..., :-1]
    with pytest.raises(ValueError, match=name if place else "fits"):
        cpu.forward(CELLS[1], *arguments)


def test_states_that_do_not_fit():
    *arguments, state = draw(CELLS[1])
    with pytest.raises(ValueError, match="1 initial states for a lstm"):
        cpu.forward(CELLS[1], *arguments, state[:1])
    with pytest.raises(ValueError, match="state is float32"):
        cpu.forward(CELLS[1], *arguments, cast(state, "float32"))
    result = cpu.forward(CELLS[1], *arguments, state)
    with pytest.raises(ValueError, match="d_outputs is"):
        cpu.backward(result.saved, d_outputs=result.outputs[:, :2])


def test_machine_code_is_kept_until_a_shared_file_changes(monkeypatch, tmp_path):
    """Numba itself compiles a loop anew when the file it is in changes, not when what it calls does."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def doubled(number):
        return 2 * number

    found = []
    for sources in ("as it was", "as it was", "changed"):
        monkeypatch.setattr(code, "SOURCES", sources)
        loop = code.compiled(doubled)
        assert loop(4) == 8
        found.append((len(loop.stats.cache_hits), len(loop.stats.cache_misses)))
    assert found == [(0, 1), (1, 0), (0, 1)]
