"""Kernels for TensorFlow; the contract stands in :mod:`kseq.kernels`.

One kernel, ``tensorflow-cpu``: the compiled loop of :mod:`kseq.kernels.cpu`, members too, float32 and float64. In a
graph it is a call back into Python, which neither XLA nor an exported model can hold: it goes only into the graphs of
Keras's own ``fit``, ``evaluate`` and ``predict``, and runs in eager mode. On a GPU, in any other graph and without
Numba the kernels decline and Keras's layers run, on a GPU with cuDNN.
"""

import contextlib
import functools
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow import Tensor
from tensorflow.python.eager import forwardprop_util

from kseq.errors import Unsupported
from kseq.kernels import Output, Spec, has_members, is_shared
from kseq.kernels import compiled_kernel as _compiled
from kseq.kernels.tensorflow_feed import array_dataset, dataset  # noqa: F401 (what fit reads batches by)
from kseq.kernels.tensorflow_functions import make_functions  # noqa: F401 (what fit and forecasts call)

#: Building a model of fewer members, and what comes with its first step, takes as long as so many multiply-adds of a
#: training (those of the forward pass are counted, and the backward pass takes its time as well): 0.7 seconds, taken
#: four times, for few epochs may be left.
REBUILD = 2e10


def devices() -> list[str]:
    """Devices that TensorFlow sees: the CPU and each GPU by name."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    return ["cpu", *names]


def free_memory() -> None:
    """TensorFlow does not tell how much of a GPU's memory is free."""
    return None


def supports_jit() -> bool:
    """Whether Keras may compile a model with these kernels in it: XLA knows no calls back into Python."""
    return _on_gpu() or _compiled() is None


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Keep all digits of float32 for a while: on a GPU TensorFlow multiplies in TF32, which has ten bits of them."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def recording() -> str | None:
    """What records a layer's operations such that only TensorFlow's own may be among them; None if nothing does."""
    if tf.executing_eagerly():
        return None
    if tf.distribute.has_strategy():
        return "distributed training"
    if tf.compat.v1.get_default_graph().name.startswith("scratch_graph"):
        # Keras asks for shapes alone.
        return None
    # Graphs of Keras's trainer stay in this process; any other one may be exported, or compiled by XLA.
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in ("train_step", "test_step", "predict_step"):
            model = frame.f_locals.get("self")
            if isinstance(model, keras.Model):
                return "jit_compile=True" if model.jit_compile else None
        frame = frame.f_back
    return "a graph outside fit, evaluate and predict"


#: Batches that Keras hands over to TensorFlow at a time. Between batches it costs about as much Python as a small
#: network computes; more than this gains no more.
STEPS_AT_ONCE = 32


@functools.cache
def _on_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


@functools.cache
def _saturation(number: tf.DType) -> float:
    """From where on ``tf.tanh`` is 1."""
    with tf.init_scope():
        return _compiled().saturation_of(lambda x: tf.tanh(x).numpy(), np.dtype(number.as_numpy_dtype))


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise Unsupported(reason)


def run(
    sequences: Tensor,
    states: list[Tensor],
    mask: Tensor | None,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    spec: Spec,
) -> Output:
    """Run a recurrent layer, as :mod:`kseq.kernels` says of its arguments."""
    _require(mask is None, "mask")
    _require(not _on_gpu(), "a GPU")
    _require(_compiled() is not None, "Numba is not installed, or NUMBA_DISABLE_JIT is set")
    number = kernel.dtype
    _require(number in (tf.float32, tf.float64), f"{number.name} on the CPU")
    _require(sequences.dtype == number, f"{sequences.dtype.name} input to {number.name} weights")
    _require(states[0].shape[0] != 1 or sequences.shape[0] == 1, "one initial state for all windows")
    known = ("tanh", "relu", "linear") if spec.cell == "simple_rnn" else ("tanh",)
    _require(spec.activation in known, f"activation {spec.activation}")
    _require(spec.recurrent_activation in (None, "sigmoid"), f"recurrent_activation {spec.recurrent_activation}")

    # Variables are read here, so that their gradients are those of what was read.
    weights = [tf.convert_to_tensor(w) for w in (kernel, recurrent_kernel, bias) if w is not None]
    _require(not _derived_ahead([sequences, *weights, *states]), "forward-mode derivatives")
    *outputs, states = _run_compiled(sequences, weights, states, spec)
    every = outputs[0] if outputs else tf.expand_dims(states[0], -2)
    return Output(states[0], every, states, "tensorflow-cpu")


def _derived_ahead(tensors: list[Tensor]) -> bool:
    """Whether a ``tf.autodiff.ForwardAccumulator`` follows one of these, which it cannot through the compiled loop."""
    return tf.executing_eagerly() and bool(forwardprop_util.pack_tangents(tensors).tangents)


def _run_compiled(sequences, weights, states, spec):
    """Call the compiled loop from a graph, or in eager mode; return ``[outputs,] states``."""
    arguments = [sequences, *weights, *states]
    has_outputs = int(spec.return_sequences)
    time, units = sequences.shape[-2], weights[1].shape[-2]
    state_shape = (sequences.shape[0], *weights[1].shape[:-2], units)
    shapes = [(*state_shape[:-1], time, units)] * has_outputs + [state_shape] * len(states)

    saturation = _saturation(sequences.dtype)

    def take_apart(arrays):
        of_weights, of_states = arrays[1 : 1 + len(weights)], arrays[1 + len(weights) :]
        return arrays[0], *([*of_weights, None][:3]), of_states

    def ahead(*arrays):
        result = _compiled().forward(spec, *take_apart(arrays), keep=spec.training, saturation=saturation)
        every = [result.outputs] if has_outputs else []
        return [*every, *result.states, _keep(result.saved)]

    def back(token, *arrays):
        d_results, arrays = arrays[: len(shapes)], arrays[len(shapes) :]
        saved = _kept.pop(int(token), None)
        if saved is None:
            # Nobody said that it trains, or so many runs ago that it was let go: run it again.
            saved = _compiled().forward(spec, *take_apart(arrays), keep=True, saturation=saturation).saved
        d_outputs, d_states = d_results[0] if has_outputs else None, d_results[has_outputs:]
        d_x, d_first, *d_weights = _compiled().backward(saved, None, d_outputs, d_states)
        return [d_x, *d_weights[: len(weights)], *d_first]

    @tf.custom_gradient
    def loop(*arguments):
        number = sequences.dtype
        *results, token = tf.numpy_function(ahead, arguments, [number] * len(shapes) + [tf.int64])
        for result, shape in zip(results, shapes, strict=True):
            result.set_shape(shape)

        def gradient(*d_results):
            return way_back(token, *d_results, *arguments)

        return results, gradient

    @tf.custom_gradient
    def way_back(*given):
        gradients = tf.numpy_function(back, given, [sequences.dtype] * len(arguments))
        for gradient, argument in zip(gradients, arguments, strict=True):
            gradient.set_shape(argument.shape)

        def second(*d_gradients):
            d_results, values = given[1 : 1 + len(shapes)], given[1 + len(shapes) :]
            with tf.GradientTape() as outer:
                outer.watch([*d_results, *values])
                with tf.GradientTape() as inner:
                    inner.watch(values)
                    results = _loop_of_operations(spec, *take_apart(values))
                slopes = inner.gradient(results, values, d_results, unconnected_gradients="zero")
            found = outer.gradient(slopes, [*d_results, *values], d_gradients, unconnected_gradients="zero")
            return None, *found

        return gradients, second

    results = loop(*arguments)
    return [*results[:has_outputs], list(results[has_outputs:])]


def _loop_of_operations(spec, sequences, kernel, recurrent_kernel, bias, states):
    """``[outputs,] states`` by TensorFlow's own operations, of which it knows derivatives of any order."""
    members = has_members(kernel)
    equation = "btf,fg->btg"
    if members:
        equation = "btf,sfg->btsg" if is_shared(sequences, kernel) else "bstf,sfg->btsg"
    steps = tf.unstack(tf.einsum(equation, sequences, kernel), axis=1)
    two = spec.cell == "gru" and spec.reset_after
    inside = bias[..., 1, :] if two and bias is not None else None
    outside = bias[..., 0, :] if two and bias is not None else bias
    step = {"simple_rnn": _step_simple_rnn, "lstm": _step_lstm, "gru": _step_gru}[spec.cell]

    def product(h, weights):
        return tf.einsum("bsh,shg->bsg" if members else "bh,hg->bg", h, weights)

    outputs = []
    for x in steps[:: -1 if spec.go_backwards else 1]:
        states = step(x if outside is None else x + outside, states, recurrent_kernel, inside, product, spec)
        outputs.append(states[0])
    every = [tf.stack(outputs, axis=-2)] if spec.return_sequences else []
    return [*every, *states]


def _step_simple_rnn(x, states, recurrent_kernel, bias, product, spec):
    """One step; ``x`` holds the input product and bias."""
    activation = {"tanh": tf.tanh, "relu": tf.nn.relu, "linear": tf.identity}[spec.activation]
    return [activation(x + product(states[0], recurrent_kernel))]


def _step_lstm(x, states, recurrent_kernel, bias, product, spec):
    h, c = states
    i, f, g, o = tf.split(x + product(h, recurrent_kernel), 4, axis=-1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return [tf.sigmoid(o) * tf.tanh(c), c]


def _step_gru(x, states, recurrent_kernel, bias, product, spec):
    (h,) = states
    xz, xr, xh = tf.split(x, 3, axis=-1)
    uz, ur, uh = tf.split(recurrent_kernel, 3, axis=-1)
    if spec.reset_after:
        inner = product(h, recurrent_kernel)
        hz, hr, hh = tf.split(inner if bias is None else inner + bias, 3, axis=-1)
        z, r = tf.sigmoid(xz + hz), tf.sigmoid(xr + hr)
        candidate = tf.tanh(xh + r * hh)
    else:
        z, r = tf.sigmoid(xz + product(h, uz)), tf.sigmoid(xr + product(h, ur))
        candidate = tf.tanh(xh + product(r * h, uh))
    return [z * h + (1 - z) * candidate]


# What runs kept for their backward pass, by the number of the run. A graph can pass a number on, and nothing else.
_kept: dict[int, Any] = {}
_numbers = itertools.count()

#: A run in training mode need not have a backward pass, as in dropout at prediction: what is kept is let go after so
#: many others, or so many bytes, for it can be computed again.
_MOST_KEPT, _MOST_BYTES = 64, 2**29


def _keep(saved: Any) -> np.int64:
    """Keep what a run saved, for as long as not too many others are kept; return the number of the run."""
    number = next(_numbers)
    if saved is not None:
        _kept[number] = saved
        # A copy: another thread may take one out.
        sizes = {kept: run.memory.nbytes for kept, run in _kept.copy().items()}
        for oldest in list(sizes)[:-1]:
            if len(sizes) <= _MOST_KEPT and sum(sizes.values()) <= _MOST_BYTES:
                break
            _kept.pop(oldest, None)
            del sizes[oldest]
    return np.int64(number)
