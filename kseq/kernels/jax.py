"""Kernels for JAX; the contract stands in :mod:`kseq.kernels`.

The loop over time is ``jax.lax.scan``, as in Keras; its derivative is written out instead of left to JAX, which would
keep every intermediate result of every step. What a step keeps is its gates and the states before it.

=========  =================  ===============================================================================
where      kernel             the products with the input and the gradients of the weights
=========  =================  ===============================================================================
CPU        ``jax-scan``       step by step, while a step's numbers are in the cache: arrays of all steps cost
                              more to write and to read again than one large product saves
elsewhere  ``jax-scan-late``  one large product over all steps, before the loop and after it
=========  =================  ===============================================================================

Members are batched products in either case. On a GPU Keras runs an LSTM through cuDNN, so that one declines here.
Forward mode and derivatives of any order work: those are JAX's own of the plain loop.
"""

import contextlib
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from kseq.errors import Unsupported
from kseq.kernels import Output, Spec, has_members, is_shared

#: Building a model of fewer members, and what comes with its first step, takes as long as so many multiply-adds of a
#: training (those of the forward pass are counted, and the backward pass takes its time as well): 3 seconds, taken four
#: times, for few epochs may be left.
REBUILD = 6e10

#: Members that train at once on a CPU: more leave the cache (:mod:`kseq.training.memory` has the measurements).
MEMBERS_AT_ONCE = 10


def devices() -> list[str]:
    """Devices that JAX sees: the CPU and each GPU by name."""
    return ["cpu", *(device.device_kind for device in jax.devices() if device.platform != "cpu")]


def free_memory() -> int | None:
    """Bytes free on the device that JAX computes on; None where it does not say, as on a CPU."""
    memory = jax.devices()[0].memory_stats() or {}
    return memory["bytes_limit"] - memory["bytes_in_use"] if "bytes_limit" in memory else None


def supports_jit() -> bool:
    """Whether Keras may compile a model with these kernels in it."""
    return True


def full_precision() -> contextlib.AbstractContextManager:
    """Keep all digits of float32 for a while: on a GPU JAX multiplies in TF32, which has ten bits of them."""
    return jax.default_matmul_precision("highest")


def recording() -> str | None:
    """What records a layer's operations such that only JAX's own may be among them: the kernels are of JAX's own."""
    return None


def run(
    sequences: Array,
    states: list[Array],
    mask: Array | None,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    spec: Spec,
) -> Output:
    """Run a recurrent layer, as :mod:`kseq.kernels` says of its arguments."""
    if spec.cell == "lstm" and not has_members(kernel) and bias is not None and jax.default_backend() == "gpu":
        raise Unsupported("cuDNN in Keras")
    return _run(sequences, states, mask, kernel, recurrent_kernel, bias, spec)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise Unsupported(reason)


def _run(sequences, states, mask, kernel, recurrent_kernel, bias, spec, late=None):
    _require(mask is None, "mask")
    _require(kernel.dtype in (jnp.float32, jnp.float64), f"{kernel.dtype.name} weights")
    for what, array in (("input", sequences), *(("an initial state", state) for state in states)):
        _require(array.dtype == kernel.dtype, f"{array.dtype.name} of {what} to {kernel.dtype.name} weights")
    known = ("tanh", "relu", "linear") if spec.cell == "simple_rnn" else ("tanh",)
    _require(spec.activation in known, f"activation {spec.activation}")
    _require(spec.recurrent_activation in (None, "sigmoid"), f"recurrent_activation {spec.recurrent_activation}")

    late = jax.default_backend() != "cpu" if late is None else late
    members = has_members(kernel)
    # Within the loop time is the first axis, and members the second.
    x = jnp.moveaxis(sequences, -2, 0)
    if members:
        x = jnp.expand_dims(x, 1) if is_shared(sequences, kernel) else jnp.swapaxes(x, 1, 2)
        states = [jnp.swapaxes(state, 0, 1) for state in states]
    states, outputs = _loop(spec, late, x, states, kernel, recurrent_kernel, bias)
    if members:
        states = [jnp.swapaxes(state, 0, 1) for state in states]
    if outputs is None:
        every = jnp.expand_dims(states[0], -2)
    else:
        outputs = jnp.flip(outputs, 0) if spec.go_backwards else outputs
        every = jnp.transpose(outputs, (2, 1, 0, 3) if members else (1, 0, 2))
    return Output(states[0], every, states, "jax-scan-late" if late else "jax-scan")


# --- The loop and its backward pass -----------------------------------------------------------------------------------


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _loop(spec, late, x, states, kernel, recurrent_kernel, bias):
    """Run over ``x``, time first; return the last states and, for ``return_sequences``, all outputs in time's order."""
    states, outputs, _ = _ahead(spec, late, x, states, kernel, recurrent_kernel, bias, keep=False)
    return states, outputs


def _ahead(spec, late, x, states, kernel, recurrent_kernel, bias, keep):
    step = _STEPS[spec.cell][0]
    input_bias, recurrent_bias = _biases(spec, kernel, bias)

    def project(x):
        product = jnp.matmul(x, kernel)
        return product if input_bias is None else product + input_bias

    def advance(states, now):
        states, kept = step(now if late else project(now), states, recurrent_kernel, recurrent_bias, spec)
        return states, (states[0] if spec.return_sequences else None, kept if keep else None)

    states, (outputs, kept) = lax.scan(advance, list(states), project(x) if late else x, reverse=spec.go_backwards)
    return states, outputs, kept


@functools.partial(_loop.defjvp, symbolic_zeros=True)
def _loop_ahead(spec, late, primals, tangents):
    """The loop where a derivative will be asked for: results, and the derivative ahead as one linear operation."""
    x, first, kernel, recurrent_kernel, bias = primals
    states, outputs, kept = _ahead(spec, late, x, first, kernel, recurrent_kernel, bias, keep=True)
    of_primals, structure = jax.tree.flatten((primals, kept))
    of_tangents = jax.tree.leaves(tangents, is_leaf=lambda t: isinstance(t, SymbolicZero))
    moved = tuple(not isinstance(t, SymbolicZero) for t in of_tangents)
    linear = [t for t in of_tangents if not isinstance(t, SymbolicZero)]
    found = _derivative.bind(
        *of_primals, *linear, spec=spec, late=late, structure=structure, moved=moved, fixed=len(of_primals)
    )
    return (states, outputs), jax.tree.unflatten(jax.tree.structure((states, outputs)), found)


def _derivative_ahead(*arguments, spec, late, structure, moved, fixed):
    """Derivative of the loop in the direction of tangents, by JAX."""
    primals, _ = jax.tree.unflatten(structure, arguments[:fixed])
    leaves, tree = jax.tree.flatten(primals)
    given = iter(arguments[fixed:])
    tangents = [next(given) if moves else jnp.zeros_like(leaf) for leaf, moves in zip(leaves, moved, strict=True)]

    def plain(x, states, kernel, recurrent_kernel, bias):
        states, outputs, _ = _ahead(spec, late, x, states, kernel, recurrent_kernel, bias, keep=False)
        return states, outputs

    return jax.tree.leaves(jax.jvp(plain, primals, jax.tree.unflatten(tree, tangents))[1])


def _derivative_back(cotangents, *arguments, spec, late, structure, moved, fixed):
    """The transpose of the derivative ahead: the backward pass, written out, through what the loop kept."""
    (x, states, kernel, recurrent_kernel, bias), kept = jax.tree.unflatten(structure, arguments[:fixed])
    found = [None if isinstance(d, ad.Zero) else d for d in cotangents]
    results = found[: len(states)], (found[len(states)] if spec.return_sequences else None)
    saved = x, kernel if moved[0] else None, recurrent_kernel, bias, kept
    gradients = jax.tree.leaves(_loop_back(spec, late, saved, results))
    return [None] * fixed + [gradient for gradient, moves in zip(gradients, moved, strict=True) if moves]


def _derivative_of_derivative(primals, tangents, **settings):
    tangents = [jnp.zeros_like(p) if isinstance(t, ad.Zero) else t for p, t in zip(primals, tangents, strict=True)]
    return jax.jvp(functools.partial(_derivative_ahead, **settings), primals, tangents)


def _derivatives_of_many(arguments, axes, **settings):
    found = jax.vmap(functools.partial(_derivative_ahead, **settings), axes)(*arguments)
    return found, [0] * len(found)


#: The loop's derivative as one operation, so that JAX finds its transpose here, and both directions work.
_derivative = Primitive("kseq_loop_derivative")
_derivative.multiple_results = True
_derivative.def_impl(
    lambda *arguments, **settings: jax.jit(functools.partial(_derivative_ahead, **settings))(*arguments)
)
_derivative.def_abstract_eval(
    lambda *shapes, **settings: [
        jax.core.ShapedArray(found.shape, found.dtype)
        for found in jax.eval_shape(functools.partial(_derivative_ahead, **settings), *shapes)
    ]
)
ad.primitive_transposes[_derivative] = _derivative_back
ad.primitive_jvps[_derivative] = _derivative_of_derivative
batching.primitive_batchers[_derivative] = _derivatives_of_many
mlir.register_lowering(_derivative, mlir.lower_fun(_derivative_ahead, multiple_results=True))


def _loop_back(spec, late, saved, d_results):
    x, kernel, recurrent_kernel, bias, kept = saved
    step_back = _STEPS[spec.cell][1]
    d_states, d_outputs = d_results
    d_states = [jnp.zeros_like(kept[0][0]) if d is None else d for d in d_states]

    def weight_gradients(x, terms):
        """Gradients of the weights, added up over the batch, and over time where the terms have it."""
        h, *reset, d_input, d_recurrent = terms
        t = "t" if late else ""
        s = "s" if has_members(recurrent_kernel) else ""

        def product(left, right):
            one = "o" if s and left.shape[-3] == 1 else s
            return jnp.einsum(f"{t}{one}bf,{t}{s}bg->{s}fg", left, right)

        d_kernel = product(x, d_input)
        if reset:
            # The reset gate scales what the candidate's columns are multiplied by.
            units = h.shape[-1]
            parts = product(h, d_recurrent[..., : 2 * units]), product(reset[0], d_recurrent[..., 2 * units :])
            d_recurrent_kernel = jnp.concatenate(parts, -1)
        else:
            d_recurrent_kernel = product(h, d_recurrent)
        if bias is None:
            return d_kernel, d_recurrent_kernel, None
        over = (0, -2) if t else (-2,)
        if _has_two_biases(spec):
            return d_kernel, d_recurrent_kernel, jnp.stack([d_input.sum(over), d_recurrent.sum(over)], -2)
        return d_kernel, d_recurrent_kernel, d_input.sum(over)

    def retreat(carry, now):
        d_states, sums = carry
        x, kept, d_output = now
        if d_output is not None:
            d_states = [d_states[0] + d_output, *d_states[1:]]
        d_states, terms = step_back(d_states, kept, recurrent_kernel, spec)
        d_x = None if kernel is None else _product_back(terms[-2], kernel, x)
        if not late:
            sums = jax.tree.map(jnp.add, sums, weight_gradients(x, terms))
        return (d_states, sums), (d_x, terms if late else None)

    sums = None
    if not late:
        shapes = jax.eval_shape(
            lambda: weight_gradients(
                x[0], step_back(d_states, jax.tree.map(lambda k: k[0], kept), recurrent_kernel, spec)[1]
            )
        )
        sums = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    (d_states, sums), (d_x, terms) = lax.scan(
        retreat, (d_states, sums), (x, kept, d_outputs), reverse=not spec.go_backwards
    )
    d_weights = weight_gradients(x, terms) if late else sums
    return jnp.zeros_like(x) if d_x is None else d_x, d_states, *d_weights


def _product_back(d_input, kernel, x):
    """Gradient of a step's input; members that read the same one add theirs."""
    d_x = jnp.matmul(d_input, jnp.swapaxes(kernel, -1, -2))
    return d_x.sum(0, keepdims=True) if has_members(kernel) and x.shape[0] == 1 else d_x


def _has_two_biases(spec: Spec) -> bool:
    return spec.cell == "gru" and spec.reset_after


def _biases(spec: Spec, kernel: Array, bias: Array | None) -> tuple[Array | None, Array | None]:
    """Biases of the input and of the recurrent product, ready to be added to ``([S,] batch, ...)``."""
    if bias is None:
        return None, None
    if has_members(kernel):
        bias = jnp.expand_dims(bias, -2)
        return (bias[:, 0], bias[:, 1]) if _has_two_biases(spec) else (bias, None)
    return (bias[0], bias[1]) if _has_two_biases(spec) else (bias, None)


# --- One step of each cell, and back through it -----------------------------------------------------------------------
#
# ``step(x, states, recurrent_kernel, recurrent_bias, spec) -> (states, kept)``, where ``x`` holds the input product and
# bias. ``step_back(d_states, kept, recurrent_kernel, spec) -> (d_states, terms)``, where ``terms`` are the factors of
# the recurrent product (the state and, if scaled by the reset gate, that too), the gradient of the input product and
# that of the recurrent product. The equations stand in :mod:`kseq.kernels.reference`.


def _step_simple_rnn(x, states, recurrent_kernel, recurrent_bias, spec):
    activation = {"tanh": jnp.tanh, "relu": jax.nn.relu, "linear": lambda h: h}[spec.activation]
    h = activation(x + jnp.matmul(states[0], recurrent_kernel))
    return [h], (states[0], h)


def _step_back_simple_rnn(d_states, kept, recurrent_kernel, spec):
    before, h = kept
    slope = {"tanh": lambda: 1 - h * h, "relu": lambda: (h > 0).astype(h.dtype), "linear": lambda: jnp.ones_like(h)}
    d = d_states[0] * slope[spec.activation]()
    return [_transposed_product(d, recurrent_kernel)], (before, d, d)


def _step_lstm(x, states, recurrent_kernel, recurrent_bias, spec):
    h, c = states
    i, f, g, o = jnp.split(x + jnp.matmul(h, recurrent_kernel), 4, -1)
    i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
    c_next = f * c + i * g
    return [o * jnp.tanh(c_next), c_next], (h, c, i, f, g, o)


def _step_back_lstm(d_states, kept, recurrent_kernel, spec):
    h, c, i, f, g, o = kept
    d_h, d_c = d_states
    squashed = jnp.tanh(f * c + i * g)
    d_c = d_c + d_h * o * (1 - squashed * squashed)
    d = jnp.concatenate(
        [d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g * g), d_h * squashed * o * (1 - o)], -1
    )
    return [_transposed_product(d, recurrent_kernel), d_c * f], (h, d, d)


def _step_gru(x, states, recurrent_kernel, recurrent_bias, spec):
    (h,) = states
    units = h.shape[-1]
    xz, xr, xh = jnp.split(x, 3, -1)
    if spec.reset_after:
        inner = jnp.matmul(h, recurrent_kernel)
        inner = inner if recurrent_bias is None else inner + recurrent_bias
        uz, ur, uh = jnp.split(inner, 3, -1)
        z, r = jax.nn.sigmoid(xz + uz), jax.nn.sigmoid(xr + ur)
        candidate = jnp.tanh(xh + r * uh)
        kept = (h, z, r, candidate, uh)
    else:
        uz, ur = jnp.split(jnp.matmul(h, recurrent_kernel[..., : 2 * units]), 2, -1)
        z, r = jax.nn.sigmoid(xz + uz), jax.nn.sigmoid(xr + ur)
        candidate = jnp.tanh(xh + jnp.matmul(r * h, recurrent_kernel[..., 2 * units :]))
        kept = (h, z, r, candidate)
    return [z * h + (1 - z) * candidate], kept


def _step_back_gru(d_states, kept, recurrent_kernel, spec):
    h, z, r, candidate, *uh = kept
    (d_h,) = d_states
    units = h.shape[-1]
    d_candidate = d_h * (1 - z) * (1 - candidate * candidate)
    d_z = d_h * (h - candidate) * z * (1 - z)
    if spec.reset_after:
        d_r = d_candidate * uh[0] * r * (1 - r)
        d_recurrent = jnp.concatenate([d_z, d_r, d_candidate * r], -1)
        d_before = d_h * z + _transposed_product(d_recurrent, recurrent_kernel)
        return [d_before], (h, jnp.concatenate([d_z, d_r, d_candidate], -1), d_recurrent)
    d_reset = _transposed_product(d_candidate, recurrent_kernel[..., 2 * units :])
    d_gates = jnp.concatenate([d_z, d_reset * h * r * (1 - r)], -1)
    d_before = d_h * z + d_reset * r + _transposed_product(d_gates, recurrent_kernel[..., : 2 * units])
    d = jnp.concatenate([d_gates, d_candidate], -1)
    return [d_before], (h, r * h, d, d)


def _transposed_product(d: Array, recurrent_kernel: Array) -> Array:
    return jnp.matmul(d, jnp.swapaxes(recurrent_kernel, -1, -2))


_STEPS: dict[str, tuple[Any, Any]] = {
    "simple_rnn": (_step_simple_rnn, _step_back_simple_rnn),
    "lstm": (_step_lstm, _step_back_lstm),
    "gru": (_step_gru, _step_back_gru),
}
