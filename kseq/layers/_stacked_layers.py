"""Layers of S members in one, without time: the base class, Dense, the linear map of a window, and Dropout."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.errors import ConfigError


def reseed(layer: keras.Layer, seed: int) -> keras.Layer:
    """Copy a layer, without weights, with ``seed`` for its dropout and its initializers."""

    def visit(config: Any) -> Any:
        if isinstance(config, dict):
            return {key: seed if key == "seed" else visit(value) for key, value in config.items()}
        return [visit(value) for value in config] if isinstance(config, list) else config

    return type(layer).from_config(visit(layer.get_config()))


class Stacked(keras.layers.Layer):
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

    def parts(self) -> tuple["Stacked", ...]:
        """Return the layers that have weights and dropout: this layer, or the two inside a Bidirectional."""
        return (self,)

    def start_as(self, other: "Stacked", which: Sequence[int]) -> None:
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


class StackedDense(Stacked):
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


class StackedLinear(Stacked):
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


class Masks:
    """Dropout masks. Each member has its own generator and draws what a single layer with its seed draws."""

    def __init__(self, seeds: list[int]):
        self.generators = [keras.random.SeedGenerator(seed) for seed in seeds]

    def draw(self, ones: Any, rate: float, count: int = 1) -> list:
        """Return ``count`` masks of shape ``(batch, S, ...)``, drawn from ones of shape ``(batch, ...)``."""
        drawn = [[keras.random.dropout(ones, rate, seed=generator) for _ in range(count)]
                 for generator in self.generators]  # fmt: skip
        return [ops.stack(masks, axis=1) for masks in zip(*drawn, strict=True)]


class StackedDropout(Stacked):
    def __init__(self, layer: keras.Layer, members: int, seeds: list[int], **kwargs: Any):
        super().__init__(layer, members, seeds, **kwargs)
        if layer.noise_shape is not None:
            raise ConfigError(
                "received Dropout with noise_shape, expected none: each member draws its own mask of all inputs."
            )
        self._masks = Masks(seeds)
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
