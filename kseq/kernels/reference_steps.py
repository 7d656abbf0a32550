"""One time step of each recurrent cell in plain NumPy, forward and backward, written to be read.

Every cell is a pair of functions for one time step of one net:

``step(x, states, weights, spec) -> (states, kept)``
    the states after the step, output first, and what the backward pass needs;
``step_back(d_states, kept, weights, spec, d_weights) -> (d_x, d_states)``
    the gradients of the step's input and earlier states, adding to those of the weights.

In the equations ``*`` is the product element by element, ``@`` the matrix product, ``x`` the input ``(batch,
features)``, ``h`` the output ``(batch, units)``, ``W`` a kernel ``(features, units)``, ``U`` a recurrent kernel
``(units, units)`` and ``b`` a bias ``(units,)``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from kseq.errors import Unsupported
from kseq.kernels import Spec

Array = np.ndarray


class Weights(NamedTuple):
    """The weights of one net, or their gradients, in Keras's layouts."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None


# Activations and their derivatives, the latter written in the activation's value y.


def sigmoid(x: Array) -> Array:
    """The logistic function through tanh, which does not overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}
DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "relu": lambda y: (y > 0).astype(y.dtype),
    "linear": np.ones_like,
}


def require_known_activations(spec: Spec) -> None:
    """Raise Unsupported for an activation that is not computed here."""
    for name in (spec.activation, spec.recurrent_activation or "sigmoid"):
        if name not in ACTIVATIONS:
            raise Unsupported(f"activation {name!r}: the reference knows {', '.join(ACTIVATIONS)}")


# SimpleRNN


def _simple_rnn_step(x: Array, states: list[Array], weights: Weights, spec: Spec) -> tuple[list[Array], Any]:
    (h_prev,) = states
    z = x @ weights.kernel + h_prev @ weights.recurrent_kernel
    if weights.bias is not None:
        z = z + weights.bias
    h = ACTIVATIONS[spec.activation](z)
    return [h], (x, h_prev, h)


def _simple_rnn_step_back(d_states: list[Array], kept: Any, weights: Weights, spec: Spec, d_weights: Weights):
    (d_h,) = d_states
    x, h_prev, h = kept
    d_z = d_h * DERIVATIVES[spec.activation](h)
    _add(d_weights, x.T @ d_z, h_prev.T @ d_z, d_z.sum(0))
    return d_z @ weights.kernel.T, [d_z @ weights.recurrent_kernel.T]


# LSTM


def _lstm_step(x: Array, states: list[Array], weights: Weights, spec: Spec) -> tuple[list[Array], Any]:
    h_prev, c_prev = states
    activation, gate = ACTIVATIONS[spec.activation], ACTIVATIONS[spec.recurrent_activation or "sigmoid"]
    z = x @ weights.kernel + h_prev @ weights.recurrent_kernel
    if weights.bias is not None:
        z = z + weights.bias
    z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
    i, f, g, o = gate(z_i), gate(z_f), activation(z_g), gate(z_o)
    c = f * c_prev + i * g
    a = activation(c)
    return [o * a, c], (x, h_prev, c_prev, i, f, g, o, a)


def _lstm_step_back(d_states: list[Array], kept: Any, weights: Weights, spec: Spec, d_weights: Weights):
    d_h, d_c = d_states
    x, h_prev, c_prev, i, f, g, o, a = kept
    slope, gate_slope = DERIVATIVES[spec.activation], DERIVATIVES[spec.recurrent_activation or "sigmoid"]
    d_c = d_c + d_h * o * slope(a)
    d_z = np.concatenate(
        [
            d_c * g * gate_slope(i),
            d_c * c_prev * gate_slope(f),
            d_c * i * slope(g),
            d_h * a * gate_slope(o),
        ],
        axis=1,
    )
    _add(d_weights, x.T @ d_z, h_prev.T @ d_z, d_z.sum(0))
    return d_z @ weights.kernel.T, [d_z @ weights.recurrent_kernel.T, d_c * f]


# GRU


def _gru_step(x: Array, states: list[Array], weights: Weights, spec: Spec) -> tuple[list[Array], Any]:
    (h_prev,) = states
    units = h_prev.shape[1]
    activation, gate = ACTIVATIONS[spec.activation], ACTIVATIONS[spec.recurrent_activation or "sigmoid"]
    input_bias, recurrent_bias = _gru_biases(weights, spec)
    x_z, x_r, x_n = np.split(x @ weights.kernel + input_bias, 3, axis=1)
    gates = h_prev @ weights.recurrent_kernel[:, : 2 * units] + recurrent_bias[: 2 * units]
    u = gate(x_z + gates[:, :units])
    r = gate(x_r + gates[:, units:])
    candidate_kernel = weights.recurrent_kernel[:, 2 * units :]
    if spec.reset_after:
        inner = h_prev @ candidate_kernel + recurrent_bias[2 * units :]
        n = activation(x_n + r * inner)
    else:
        inner = r * h_prev
        n = activation(x_n + inner @ candidate_kernel)
    return [u * h_prev + (1 - u) * n], (x, h_prev, u, r, n, inner)


def _gru_step_back(d_states: list[Array], kept: Any, weights: Weights, spec: Spec, d_weights: Weights):
    (d_h,) = d_states
    x, h_prev, u, r, n, inner = kept
    units = h_prev.shape[1]
    slope, gate_slope = DERIVATIVES[spec.activation], DERIVATIVES[spec.recurrent_activation or "sigmoid"]
    gates_kernel, candidate_kernel = np.split(weights.recurrent_kernel, [2 * units], axis=1)
    d_n = d_h * (1 - u) * slope(n)
    d_u = d_h * (h_prev - n) * gate_slope(u)
    d_h_prev = d_h * u
    if spec.reset_after:
        d_inner = d_n * r
        d_r = d_n * inner * gate_slope(r)
        d_h_prev = d_h_prev + d_inner @ candidate_kernel.T
        d_candidate_kernel = h_prev.T @ d_inner
    else:
        d_inner = d_n @ candidate_kernel.T
        d_r = d_inner * h_prev * gate_slope(r)
        d_h_prev = d_h_prev + d_inner * r
        d_candidate_kernel = inner.T @ d_n
    d_gates = np.concatenate([d_u, d_r], axis=1)
    d_h_prev = d_h_prev + d_gates @ gates_kernel.T
    d_input = np.concatenate([d_gates, d_n], axis=1)
    d_bias = d_input.sum(0)
    if spec.reset_after:
        d_bias = np.stack([d_bias, np.concatenate([d_gates, d_inner], axis=1).sum(0)])
    _add(d_weights, x.T @ d_input, np.concatenate([h_prev.T @ d_gates, d_candidate_kernel], axis=1), d_bias)
    return d_input @ weights.kernel.T, [d_h_prev]


def _gru_biases(weights: Weights, spec: Spec) -> tuple[Array, Array]:
    """Return the biases of the input and of the recurrent product; the second is zero with ``reset_after=False``."""
    zero = np.zeros(weights.kernel.shape[1], weights.kernel.dtype)
    if weights.bias is None:
        return zero, zero
    if spec.reset_after:
        return weights.bias[0], weights.bias[1]
    return weights.bias, zero


def _add(d_weights: Weights, d_kernel: Array, d_recurrent_kernel: Array, d_bias: Array) -> None:
    """Add one step's gradients to the sums."""
    d_weights.kernel[...] += d_kernel
    d_weights.recurrent_kernel[...] += d_recurrent_kernel
    if d_weights.bias is not None:
        d_weights.bias[...] += d_bias


STEPS = {"simple_rnn": _simple_rnn_step, "lstm": _lstm_step, "gru": _gru_step}
STEPS_BACK = {"simple_rnn": _simple_rnn_step_back, "lstm": _lstm_step_back, "gru": _gru_step_back}
