"""The layers inside an ``Ensemble``: the computation of a wrapped layer on S stacked sets of weights.

Each member computes what the wrapped layer, created with the member's seed, computes: it has the same initial weights,
the same dropout masks, and the same operations on its slice of every array.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq import kernels
from kseq.errors import ConfigError
from kseq.layers._dispatch import decline, run_kernel, spec_of
from kseq.layers.cells import GRU, LSTM, SimpleRNN


def stack(layer: keras.Layer, members: int, seeds: list[int]) -> keras.Layer:
    """Return the layer that runs ``members`` copies of ``layer``.

    Raises:
        ConfigError: The layer is of no class that can be stacked, is built, or has code of its own.
    """
    kinds: dict[type, type[_Stacked]] = {
        keras.layers.Bidirectional: _Bidirectional,
        **dict.fromkeys(_RECURRENT, _Recurrent),
        keras.layers.Dense: _Dense,
        keras.layers.EinsumDense: _Linear,
        keras.layers.Dropout: _Dropout,
    }
    expected = "expected SimpleRNN, LSTM, GRU, Bidirectional, Dense, EinsumDense of windows or Dropout."
    kind = next((kind for kind in type(layer).__mro__ if kind in kinds), None)
    if kind is None:
        raise ConfigError(f"received a {type(layer).__name__} to run in members, {expected}")
    own = _own_method(type(layer), kind)
    if own is not None:
        raise ConfigError(
            f"received {layer.name!r}, a {type(layer).__name__} with a {own}() of its own that members would not run; "
            f"{expected}"
        )
    if layer.built and layer.weights:
        raise ConfigError(f"received {layer.name!r} with weights already made, expected a layer not built yet.")
    return kinds[kind](layer, members, seeds, dtype=layer.dtype_policy, name=f"stacked_{layer.name}")


#: The layers that :class:`_Recurrent` computes, the most derived first.
_RECURRENT = (SimpleRNN, LSTM, GRU, keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU)


def _own_method(kind: type, known: type) -> str | None:
    """Name a method of computation that a class, or one between it and its base ``known``, defines; None without."""
    between = kind.__mro__[: kind.__mro__.index(known)]
    return next((name for part in between for name in ("build", "call", "inner_loop") if name in vars(part)), None)


def reseed(layer: keras.Layer, seed: int) -> keras.Layer:
    """Copy a layer, without weights, with ``seed`` for its dropout and its initializers."""

    def visit(config: Any) -> Any:
        if isinstance(config, dict):
            return {key: seed if key == "seed" else visit(value) for key, value in config.items()}
        return [visit(value) for value in config] if isinstance(config, list) else config

    return type(layer).from_config(visit(layer.get_config()))


class _Stacked(keras.layers.Layer):
    """Base class of stacked layers: S sets of weights, initialized as those of S single layers.

    The wrapped layer provides the settings and has no weights. It is held in a closure, so that Keras does not track
    it.
    """

    #: Generators of dropout masks, one per member; empty without dropout.
    generators: Sequence[keras.random.SeedGenerator] = ()

    def __init__(self, layer: keras.Layer, members: int, seeds: list[int], **kwargs: Any):
        super().__init__(**kwargs)
        self._template = lambda: layer
        self._start: Callable[[], dict[str, np.ndarray]] | None = None
        self.members = members
        self.seeds = seeds
        self.supports_masking = True
        settings = layer.get_config()
        for option in ("activity_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint"):
            if settings.get(option) is not None:
                raise ConfigError(f"received {option} on {layer.name!r}, which would mix members; expected none.")
        if getattr(layer, "lora_rank", None):
            raise ConfigError(
                f"received lora_rank on {layer.name!r}, expected a layer whose weights are trained whole."
            )

    @property
    def template(self) -> keras.Layer:
        """The wrapped layer, which has settings and no weights."""
        return self._template()

    def parts(self) -> tuple["_Stacked", ...]:
        """Return the layers that have weights and dropout: this layer, or the two inside a Bidirectional."""
        return (self,)

    def start_as(self, other: "_Stacked", which: Sequence[int]) -> None:
        """Before the layer is built, take the current weights and dropout state of another layer's members.

        Args:
            other: A stacked layer whose wrapped layer has the same settings.
            which: Numbers of its members, in the order that this layer has them.
        """
        for mine, theirs in zip(self.parts(), other.parts(), strict=True):
            mine._start = lambda theirs=theirs: {
                weight.name: ops.convert_to_numpy(weight)[list(which)] for weight in theirs.weights
            }
            if theirs.generators:
                for generator, number in zip(mine.generators, which, strict=True):
                    # A copy, because JAX donates the buffers of a model in training to its next step.
                    generator.state.assign(np.array(ops.convert_to_numpy(theirs.generators[number].state)))

    def _draw_start(self, single_input_shape: tuple) -> dict[str, np.ndarray]:
        """Return the initial weights of all members, stacked, by name: each member is built once by itself."""
        singles = []
        for seed in self.seeds:
            single = reseed(self.template, seed)
            single.build(single_input_shape)
            singles.append(single)
        return {
            weight.name: np.stack([ops.convert_to_numpy(single.weights[number]) for single in singles])
            for number, weight in enumerate(singles[0].weights)
        }

    def _add_member_weights(self, single_input_shape: tuple) -> None:
        start = self._start() if self._start is not None else self._draw_start(single_input_shape)
        self._start = None
        for name, values in start.items():
            regularizer = f"{name.replace('recurrent_kernel', 'recurrent')}_regularizer"
            stacked = self.add_weight(
                shape=values.shape,
                initializer=lambda shape, dtype, values=values: ops.convert_to_tensor(values, dtype=dtype),
                regularizer=getattr(self.template, regularizer, None),
                trainable=self.template.trainable,
                name=name,
            )
            setattr(self, name, stacked)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


class _Dense(_Stacked):
    def build(self, input_shape: tuple) -> None:
        self.bias = None
        self._add_member_weights((None, input_shape[-1]))
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.template.units)

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        x = ops.einsum("bs...f,sfu->bs...u", inputs, self.kernel)
        if self.bias is not None:
            middle = (1,) * (len(x.shape) - 3)
            x = x + ops.reshape(self.bias, (self.members, *middle, self.template.units))
        return self.template.activation(x)


class _Linear(_Stacked):
    """A linear map of whole windows, an EinsumDense ``btf,tfo->bo`` without a bias."""

    def __init__(self, layer: keras.Layer, members: int, seeds: list[int], **kwargs: Any):
        super().__init__(layer, members, seeds, **kwargs)
        if layer.equation != "btf,tfo->bo" or layer.bias_axes or layer.activation is not keras.activations.linear:
            raise ConfigError(
                f"received EinsumDense {layer.equation!r}, expected 'btf,tfo->bo' without bias and activation: a "
                "linear map of windows."
            )

    def build(self, input_shape: tuple) -> None:
        self._add_member_weights((None, *input_shape[-2:]))
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.members, self.template.partial_output_shape[-1])

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        return ops.einsum("bstf,stfo->bso" if len(inputs.shape) == 4 else "btf,stfo->bso", inputs, self.kernel)


class _Masks:
    """Dropout masks. Each member has its own generator and draws what a single layer with its seed draws."""

    def __init__(self, seeds: list[int]):
        self.generators = [keras.random.SeedGenerator(seed) for seed in seeds]

    def draw(self, ones: Any, rate: float, count: int = 1) -> list:
        """Return ``count`` masks of shape ``(batch, S, ...)``, drawn from ones of shape ``(batch, ...)``."""
        drawn = [[keras.random.dropout(ones, rate, seed=generator) for _ in range(count)]
                 for generator in self.generators]  # fmt: skip
        return [ops.stack(masks, axis=1) for masks in zip(*drawn, strict=True)]


class _Dropout(_Stacked):
    def __init__(self, layer: keras.Layer, members: int, seeds: list[int], **kwargs: Any):
        super().__init__(layer, members, seeds, **kwargs)
        if layer.noise_shape is not None:
            raise ConfigError(
                "received Dropout with noise_shape, expected none: each member draws its own mask of all inputs."
            )
        self._masks = _Masks(seeds)
        self.generators = self._masks.generators

    def build(self, input_shape: tuple) -> None:
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        if not training or not self.template.rate:
            return inputs
        (mask,) = self._masks.draw(ops.ones_like(inputs[:, 0]), self.template.rate)
        return inputs * mask


class _Recurrent(_Stacked):
    """SimpleRNN, LSTM or GRU with S members: a kernel if one supports it, otherwise a loop of batched products."""

    def __init__(self, layer: keras.Layer, members: int, seeds: list[int], **kwargs: Any):
        super().__init__(layer, members, seeds, **kwargs)
        if layer.stateful:
            raise ConfigError("received a stateful layer, expected stateful=False.")
        self.kernel_used: str | None = None
        self._masks = _Masks(seeds if layer.dropout or layer.recurrent_dropout else [])
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


class _Bidirectional(_Stacked):
    """Two stacked layers, forward and backward in time, merged as in Keras's Bidirectional."""

    def __init__(self, layer: keras.Layer, members: int, seeds: list[int], **kwargs: Any):
        super().__init__(layer, members, seeds, **kwargs)
        self.ahead = stack(layer.forward_layer, members, seeds)
        self.behind = stack(layer.backward_layer, members, seeds)

    def parts(self) -> tuple[_Stacked, ...]:
        return (self.ahead, self.behind)

    def build(self, input_shape: tuple) -> None:
        self.ahead.build(input_shape)
        self.behind.build(input_shape)
        self.built = True

    @property
    def kernel_used(self) -> str | None:
        return self.ahead.kernel_used

    def compute_output_shape(self, input_shape: tuple) -> Any:
        forward = self.ahead.compute_output_shape(input_shape)
        backward = self.behind.compute_output_shape(input_shape)
        states: tuple = ()
        if self.template.return_state:
            (forward, *ahead), (_, *back) = forward, backward
            states = (*ahead, *back)
        if self.template.merge_mode == "concat":
            merged: Any = (*forward[:-1], 2 * forward[-1])
        elif self.template.merge_mode is None:
            merged = (forward, forward)
        else:
            merged = forward
        if not states:
            return merged
        return (*merged, *states) if self.template.merge_mode is None else (merged, *states)

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        forward = self.ahead(inputs, mask=mask, training=training)
        backward = self.behind(inputs, mask=mask, training=training)
        states: tuple = ()
        if self.template.return_state:
            (forward, *ahead), (backward, *back) = forward, backward
            states = (*ahead, *back)
        if self.template.return_sequences:
            backward = ops.flip(backward, axis=2)
        mode = self.template.merge_mode
        if mode == "concat":
            merged: tuple = (ops.concatenate([forward, backward], axis=-1),)
        elif mode is None:
            merged = (forward, backward)
        else:
            merged = ({"sum": ops.add, "mul": ops.multiply, "ave": ops.add}[mode](forward, backward),)
            merged = (merged[0] / 2,) if mode == "ave" else merged
        return (*merged, *states) if len(merged) + len(states) > 1 else merged[0]
