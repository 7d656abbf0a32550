"""SimpleRNN, LSTM and GRU of S members in one layer, by a kernel or a loop over time."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from kseq import kernels
from kseq.errors import ConfigError
from kseq.layers._dispatch import decline, run_kernel, spec_of
from kseq.layers._stacked_layers import Masks, Stacked


class StackedRecurrent(Stacked):
    """SimpleRNN, LSTM or GRU with S members: a kernel if one supports it, otherwise a loop of batched products."""

    def __init__(self, layer: keras.Layer, members: int, seeds: list[int], **kwargs: Any):
        super().__init__(layer, members, seeds, **kwargs)
        if layer.stateful:
            raise ConfigError("received a stateful layer, expected stateful=False.")
        self.kernel_used: str | None = None
        self._masks = Masks(seeds if layer.dropout or layer.recurrent_dropout else [])
        self.generators = self._masks.generators

    def build(self, input_shape: tuple) -> None:
        self.bias = None
        self._add_member_weights((None, input_shape[-2], input_shape[-1]))
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> Any:
        layer = self.template
        state = (input_shape[0], self.members, layer.units)
        time = (input_shape[-2],) if layer.return_sequences else ()
        output = (*state[:2], *time, layer.units)
        return (output, *[state] * len(layer.state_size)) if layer.return_state else output

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        layer = self.template
        one_member = inputs[:, 0] if len(inputs.shape) == 4 else inputs
        batch = ops.shape(inputs)[0]
        input_masks: list[Any] = []
        recurrent_masks: list[Any] = []
        # A single Keras layer draws masks in every call, also outside training, and its generator advances. The same is
        # done here. With implementation=1, which recurrent dropout requires, it draws one mask per gate.
        count = getattr(layer.cell, "dropout_mask_count", 1)
        if layer.dropout:
            input_masks = self._masks.draw(ops.ones_like(one_member[:, 0]), layer.dropout, count)
        if layer.recurrent_dropout:
            ones = ops.ones((batch, layer.units), dtype=self.compute_dtype)
            recurrent_masks = self._masks.draw(ones, layer.recurrent_dropout, count)
        if not training:
            input_masks, recurrent_masks = [], []

        # One input for all gates, or one per gate.
        wide = inputs if len(inputs.shape) == 4 or not input_masks else ops.expand_dims(inputs, 1)
        read = [wide * ops.expand_dims(drawn, 2) for drawn in input_masks] or [inputs]
        zeros = ops.zeros((batch, self.members, layer.units), dtype=self.compute_dtype)
        states = [zeros] * len(layer.state_size)
        kernel, recurrent = self.kernel.value, self.recurrent_kernel.value
        bias = None if self.bias is None else self.bias.value
        result: kernels.Output | str
        if len(read) > 1 and not recurrent_masks:
            result = decline("a dropout mask for each gate (implementation=1)")
        else:
            result = run_kernel(
                spec_of(layer, training), read[0], states, mask, kernel, recurrent, bias, bool(recurrent_masks)
            )
        if isinstance(result, kernels.Output):
            self.kernel_used = result.kernel
        else:
            self.kernel_used = f"members loop ({result})"
            result = self._loop(read, states, mask, kernel, recurrent, bias, recurrent_masks)
        output = result.outputs if layer.return_sequences else result.last_output
        return (output, *result.states) if layer.return_state else output

    def _loop(
        self, read: list, states: list, mask: Any, kernel: Any, recurrent: Any, bias: Any, recurrent_masks: list
    ) -> kernels.Output:
        """Scan over time with batched products, in Keras operations: supports every option on every backend."""
        layer = self.template
        equation = "btf,sfg->tbsg" if len(read[0].shape) == 3 else "bstf,sfg->tbsg"
        projected = _gate_by_gate(lambda x, w: ops.einsum(equation, x, w), read, kernel)
        input_bias, recurrent_bias = bias, None
        if bias is not None and len(bias.shape) == 3:
            input_bias, recurrent_bias = bias[:, 0], bias[:, 1]
        if input_bias is not None:
            projected = projected + input_bias
        steps: tuple[Any, ...] = (projected,)
        if mask is not None:
            # The mask has shape (batch, time), or (batch, S, time) if each member reads its own windows.
            own = ops.cast(mask if len(mask.shape) == 3 else ops.expand_dims(mask, 1), "bool")
            steps = (projected, ops.expand_dims(ops.transpose(own, (2, 0, 1)), -1))
        blank = mask is not None and layer.zero_output_for_mask
        advance = {"simple_rnn": _step_simple_rnn, "lstm": _step_lstm, "gru": _step_gru}[spec_of(layer).cell]

        def step(carry: list, now: tuple) -> tuple[list, Any]:
            dropped = [carry[0] * recurrent_mask for recurrent_mask in recurrent_masks] or carry[:1]
            new = advance(layer, now[0], dropped, carry, recurrent, recurrent_bias)
            if mask is not None:
                new = [ops.where(now[1], after, before) for after, before in zip(new, carry, strict=True)]
            # TensorFlow's scan requires as many outputs as states, with the same shapes.
            return new, [ops.where(now[1], new[0], ops.zeros_like(new[0])), *new[1:]] if blank else new

        states, (outputs, *_) = ops.scan(step, list(states), steps, reverse=layer.go_backwards)
        outputs = ops.transpose(outputs, (1, 2, 0, 3))
        if layer.go_backwards:
            outputs = ops.flip(outputs, axis=2)
        return kernels.Output(states[0], outputs, list(states), "members loop")


def _gate_by_gate(product: Callable[[Any, Any], Any], read: list, weights: Any) -> Any:
    """Multiply inputs by the weights of the gates; ``read`` holds one input for all gates, or one per gate."""
    if len(read) == 1:
        return product(read[0], weights)
    parts = ops.split(weights, len(read), axis=-1)
    return ops.concatenate([product(x, w) for x, w in zip(read, parts, strict=True)], axis=-1)


def _product(h, weights):
    return ops.einsum("bsh,shg->bsg", h, weights)


# One time step of each cell. ``x`` is the product of the inputs; ``dropped`` holds the state after recurrent dropout,
# one for all gates or one per gate.


def _step_simple_rnn(layer, x, dropped, carry, recurrent, bias):
    """``h' = tanh(W x + b + U h)``."""
    return [layer.activation(x + _product(dropped[0], recurrent))]


def _step_lstm(layer, x, dropped, carry, recurrent, bias):
    """Gates i, f, o and candidate g; ``c' = f c + i g``, ``h' = o tanh(c')``."""
    i, f, g, o = ops.split(x + _gate_by_gate(_product, dropped, recurrent), 4, axis=-1)
    gate, activation = layer.recurrent_activation, layer.activation
    c = gate(f) * carry[1] + gate(i) * activation(g)
    return [gate(o) * activation(c), c]


def _step_gru(layer, x, dropped, carry, recurrent, bias):
    """Update gate z, reset gate r and candidate; ``h' = z h + (1 - z) candidate``."""
    gate, activation = layer.recurrent_activation, layer.activation
    xz, xr, xh = ops.split(x, 3, axis=-1)
    if layer.reset_after:
        inner = _gate_by_gate(_product, dropped, recurrent)
        hz, hr, hh = ops.split(inner if bias is None else inner + bias, 3, axis=-1)
        z, r = gate(xz + hz), gate(xr + hr)
        candidate = activation(xh + r * hh)
    else:
        uz, ur, uh = ops.split(recurrent, 3, axis=-1)
        of_z, of_r, of_candidate = dropped if len(dropped) == 3 else 3 * dropped
        z, r = gate(xz + _product(of_z, uz)), gate(xr + _product(of_r, ur))
        candidate = activation(xh + _product(r * of_candidate, uh))
    return [z * carry[0] + (1 - z) * candidate]
