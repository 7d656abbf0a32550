"""The three recurrent cells in plain NumPy, forward and backward, written to be read.

Nothing here is fast. It is what the fast kernels are tested against, and the place to look up what a cell computes.
``simple_rnn``, ``lstm`` and ``gru`` take the arguments of the kernel contract (:mod:`kseq.kernels`), with or without
the leading members axis on the weights; ``gradients`` goes back through time for any of them. Arrays keep their type:
pass float64 for a reference that is good to the last digits.

The time steps of the cells stand in :mod:`kseq.kernels.reference_steps`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kseq.kernels import Output, Spec, has_members, is_shared
from kseq.kernels.reference_steps import STEPS, STEPS_BACK, Array, Weights, require_known_activations


class Gradients(NamedTuple):
    """Gradients of a loss with the shapes of the arguments that they belong to; ``bias`` is None without a bias."""

    sequences: Array
    initial_state: list[Array]
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None


# From one step to a sequence

#: Names of the gates of each cell, in the order of :attr:`Trace.gates`.
GATES: dict[str, tuple[str, ...]] = {
    "simple_rnn": (),
    "lstm": ("input", "forget", "output"),
    "gru": ("update", "reset"),
}
#: Where the gates stand in what one step stores.
_GATES_KEPT = {"simple_rnn": (), "lstm": (3, 4, 6), "gru": (2, 3)}


@dataclass
class _Run:
    """One net's way through a sequence; the lists follow the order of reading."""

    outputs: list[Array]
    states: list[Array]
    kept: list[Any]


def _reading_order(time: int, spec: Spec) -> list[int]:
    return list(range(time))[:: -1 if spec.go_backwards else 1]


def _run(sequences: Array, states: list[Array], mask: Array | None, weights: Weights, spec: Spec) -> _Run:
    """Read a sequence; a masked step repeats the last output (zeros before the first) and leaves the states."""
    run = _Run([], states, [])
    output = np.zeros_like(states[0])
    for t in _reading_order(sequences.shape[1], spec):
        new_states, kept = STEPS[spec.cell](sequences[:, t], run.states, weights, spec)
        if mask is None:
            output, run.states = new_states[0], new_states
        else:
            here = mask[:, t, None]
            output = np.where(here, new_states[0], output)
            run.states = [np.where(here, new, old) for new, old in zip(new_states, run.states, strict=True)]
        run.outputs.append(output)
        run.kept.append(kept)
    return run


def _run_back(
    run: _Run,
    sequences: Array,
    mask: Array | None,
    weights: Weights,
    spec: Spec,
    d_outputs: Array,
    d_states: list[Array],
) -> Gradients:
    """Go back through a run, given the gradients of every output and of the final states."""
    d_sequences = np.zeros_like(sequences)
    d_weights = Weights(*(None if w is None else np.zeros_like(w) for w in weights))  # type: ignore[arg-type]
    d_repeated = np.zeros_like(d_states[0])  # of the output that masked steps have repeated so far
    for step, t in reversed(list(enumerate(_reading_order(sequences.shape[1], spec)))):
        d_output = d_outputs[:, step] + d_repeated
        here = np.ones((len(sequences), 1), bool) if mask is None else mask[:, t, None]
        d_new = [np.where(here, d, 0) for d in d_states]
        d_new[0] = d_new[0] + np.where(here, d_output, 0)
        d_repeated = np.where(here, 0, d_output)
        d_x, d_old = STEPS_BACK[spec.cell](d_new, run.kept[step], weights, spec, d_weights)
        d_sequences[:, t] = d_x
        d_states = [d + np.where(here, 0, kept) for d, kept in zip(d_old, d_states, strict=True)]
    return Gradients(d_sequences, d_states, *d_weights)


class Trace:
    """A forward pass of one network that shows every step, and the backward pass through it.

    Args:
        sequences: Array of shape ``(batch, time, features)``.
        weights: The weights of the layer, in Keras's layouts.
        spec: The layer's settings; ``return_sequences`` is ignored.
        initial_state: List of arrays of shape ``(batch, units)``, zeros by default.

    Attributes:
        outputs: Array of shape ``(batch, time, units)`` in the order of reading.
        states: The states after each step, a list of ``time`` lists of ``(batch, units)`` arrays, output first.
        gates: Dictionary of arrays of shape ``(batch, time, units)`` with values from 0 to 1, by the names of
            :data:`GATES`.

    Raises:
        Unsupported: The layer has an activation that this module does not know.

    Example:
        >>> spec = Spec("gru", recurrent_activation="sigmoid")
        >>> net = Weights(np.ones((1, 6)), np.ones((2, 6)), None)
        >>> trace = Trace(np.ones((4, 3, 1)), net, spec)
        >>> trace.outputs.shape, sorted(trace.gates)
        ((4, 3, 2), ['reset', 'update'])
    """

    def __init__(self, sequences: Array, weights: Weights, spec: Spec, initial_state: Sequence[Array] | None = None):
        require_known_activations(spec)
        units = weights.recurrent_kernel.shape[0]
        if initial_state is None:
            count = 2 if spec.cell == "lstm" else 1
            initial_state = [np.zeros((len(sequences), units), sequences.dtype) for _ in range(count)]
        self._sequences, self._weights, self._spec = sequences, weights, spec
        self.states: list[list[Array]] = []
        self._kept: list[Any] = []
        states = list(initial_state)
        for t in _reading_order(sequences.shape[1], spec):
            states, kept = STEPS[spec.cell](sequences[:, t], states, weights, spec)
            self.states.append(states)
            self._kept.append(kept)
        self.outputs = np.stack([states[0] for states in self.states], axis=1)
        self.gates = {
            name: np.stack([kept[place] for kept in self._kept], axis=1)
            for name, place in zip(GATES[spec.cell], _GATES_KEPT[spec.cell], strict=True)
        }

    def back(self, d_outputs: Array) -> tuple[Array, list[list[Array]]]:
        """Propagate the gradients of a scalar with respect to the outputs back through time.

        Args:
            d_outputs: Array of shape ``(batch, time, units)``, the direct gradient of every step's output, in the order
                of reading.

        Returns:
            The gradient of the sequences, ``(batch, time, features)``, and the total gradients of the states after each
            step, as :attr:`states` holds these: what the states of a step contribute to the scalar through everything
            that follows.
        """
        d_weights = Weights(*(None if w is None else np.zeros_like(w) for w in self._weights))  # type: ignore[arg-type]
        d_sequences = np.zeros_like(self._sequences)
        d_states = [np.zeros_like(state) for state in self.states[-1]]
        totals: list[list[Array]] = []
        for step, t in reversed(list(enumerate(_reading_order(self._sequences.shape[1], self._spec)))):
            d_states = [d_states[0] + d_outputs[:, step], *d_states[1:]]
            totals.append(d_states)
            d_sequences[:, t], d_states = STEPS_BACK[self._spec.cell](
                d_states, self._kept[step], self._weights, self._spec, d_weights
            )
        return d_sequences, totals[::-1]


# The members axis: one net after another


def _members(
    sequences: Array, initial_state: Sequence[Array], kernel: Array, recurrent_kernel: Array, bias: Array | None
) -> list[tuple[Array, list[Array], Weights]]:
    """Split the arguments into one ``(sequences, states, weights)`` for each net."""
    if not has_members(kernel):
        return [(sequences, list(initial_state), Weights(kernel, recurrent_kernel, bias))]
    return [
        (
            sequences if is_shared(sequences, kernel) else sequences[:, s],
            [state[:, s] for state in initial_state],
            Weights(kernel[s], recurrent_kernel[s], None if bias is None else bias[s]),
        )
        for s in range(len(kernel))
    ]


def _forward(
    sequences: Array,
    initial_state: Sequence[Array],
    mask: Array | None,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    spec: Spec,
) -> Output:
    require_known_activations(spec)
    nets = _members(sequences, initial_state, kernel, recurrent_kernel, bias)
    runs = [_run(x, states, mask, weights, spec) for x, states, weights in nets]
    outputs = [np.stack(run.outputs, axis=1) for run in runs]
    states = [run.states for run in runs]
    if not has_members(kernel):
        all_outputs, all_states = outputs[0], states[0]
    else:
        all_outputs = np.stack(outputs, axis=1)
        all_states = [np.stack(parts, axis=1) for parts in zip(*states, strict=True)]
    last = all_outputs[..., -1, :]
    return Output(last, all_outputs if spec.return_sequences else all_outputs[..., -1:, :], all_states, "reference")


def gradients(
    sequences: Array,
    initial_state: Sequence[Array],
    mask: Array | None,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    spec: Spec,
    *,
    d_last: Array | None = None,
    d_outputs: Array | None = None,
    d_states: Sequence[Array] | None = None,
) -> Gradients:
    """Backpropagation through time for any of the three cells.

    Args:
        sequences: The input sequences; like the arguments up to ``spec`` as for the forward function.
        initial_state: List of the initial states.
        mask: ``(batch, time)`` or None.
        kernel: Input weights.
        recurrent_kernel: Recurrent weights.
        bias: Bias or None.
        spec: The layer's settings.
        d_last: Gradient of ``last_output``, None for zeros.
        d_outputs: Gradient of the outputs of every step, in the order of reading, ``(batch, [S,] time, units)``.
        d_states: Gradients of the final states.
    """
    require_known_activations(spec)
    nets = _members(sequences, initial_state, kernel, recurrent_kernel, bias)
    grads = []
    for s, (x, states, weights) in enumerate(nets):

        def of_member(array: Array, s: int = s) -> Array:
            return array[:, s] if has_members(kernel) else array

        d_out = np.zeros((*x.shape[:2], states[0].shape[1]), x.dtype)
        if d_outputs is not None:
            d_out += of_member(d_outputs)
        if d_last is not None:
            d_out[:, -1] += of_member(d_last)
        d_final = [np.zeros_like(state) for state in states]
        if d_states is not None:
            d_final = [of_member(d) for d in d_states]
        run = _run(x, states, mask, weights, spec)
        grads.append(_run_back(run, x, mask, weights, spec, d_out, d_final))
    if not has_members(kernel):
        return grads[0]
    d_sequences = [grad.sequences for grad in grads]
    return Gradients(
        np.sum(d_sequences, axis=0) if is_shared(sequences, kernel) else np.stack(d_sequences, axis=1),
        [np.stack(parts, axis=1) for parts in zip(*(grad.initial_state for grad in grads), strict=True)],
        np.stack([grad.kernel for grad in grads]),
        np.stack([grad.recurrent_kernel for grad in grads]),
        None if bias is None else np.stack([grad.bias for grad in grads if grad.bias is not None]),
    )


# The contract's three functions


def simple_rnn(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec) -> Output:
    """Elman's network: the output is fed back as the only state.

    ::

        h = activation(x @ W + h_prev @ U + b)

    ``kernel`` is ``W``, ``recurrent_kernel`` is ``U``.

    J. L. Elman, "Finding Structure in Time", Cognitive Science 14, 1990.
    """
    return _forward(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec)


def lstm(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec) -> Output:
    """Long short-term memory: a cell state ``c`` beside the output ``h``, and three gates around it.

    ::

        i = sigmoid(x @ W_i + h_prev @ U_i + b_i)      input gate: how much of the candidate enters
        f = sigmoid(x @ W_f + h_prev @ U_f + b_f)      forget gate: how much of the cell state stays
        g = tanh(x @ W_c + h_prev @ U_c + b_c)         candidate
        o = sigmoid(x @ W_o + h_prev @ U_o + b_o)      output gate: how much of the cell state shows
        c = f * c_prev + i * g                         cell state
        h = o * tanh(c)                                output

    The kernels hold ``i, f, c, o`` side by side: ``(features, 4 * units)`` and ``(units, 4 * units)``. The states are
    ``h, c``.

    S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997; the forget gate is from
    F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to Forget", Neural Computation 12, 2000.
    """
    return _forward(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec)


def gru(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec) -> Output:
    """Gated recurrent unit: two gates and no state besides the output.

    ::

        z = sigmoid(x @ W_z + h_prev @ U_z + b_z)      update gate: how much of the old output stays
        r = sigmoid(x @ W_r + h_prev @ U_r + b_r)      reset gate: how much of it the candidate sees
        n = tanh(x @ W_h + b_h + r * (h_prev @ U_h + b'_h))        candidate with reset_after=True
        n = tanh(x @ W_h + b_h + (r * h_prev) @ U_h)               candidate with reset_after=False
        h = z * h_prev + (1 - z) * n                   output

    The kernels hold ``z, r, h`` side by side: ``(features, 3 * units)`` and ``(units, 3 * units)``. With
    ``reset_after=True`` the bias is ``(2, 3 * units)``: that of the input product, then that of the recurrent one.

    K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014, has the reset gate before
    the product; after it is the variant that cuDNN computes.
    """
    return _forward(sequences, initial_state, mask, kernel, recurrent_kernel, bias, spec)
