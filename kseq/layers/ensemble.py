"""Several networks trained as one: layers whose weights carry a leading axis of members.

A single training of a recurrent network says little, since seeds differ by more than cells do. ``Ensemble`` wraps a
layer so that S copies of it, each with weights, dropout and inputs of its own, run in one call. Members never mix: what
member ``s`` computes is what a single layer with its weights computes. ("Members" as in model ensembling; a "replica"
is something else in Keras: a device's copy of one network.)

=====================  =====================================  ====================================================
wrapped layer          input                                  output
=====================  =====================================  ====================================================
SimpleRNN, LSTM, GRU   ``(batch, S, time, features)``, or     ``(batch, S, units)``, with ``return_sequences``
                       ``(batch, time, features)`` for all    ``(batch, S, time, units)``
Bidirectional          the same                               the same, ``2 * units`` with ``merge_mode="concat"``
Dense                  ``(batch, S, ..., features)``          ``(batch, S, ..., units)``
Dropout                ``(batch, S, ...)``                    the same, a mask of its own for each member
=====================  =====================================  ====================================================
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.errors import ConfigError
from kseq.layers.cells import stock
from kseq.layers.stacked import reseed, stack
from kseq.validation import require_whole


@keras.saving.register_keras_serializable(package="kseq")
class Ensemble(keras.layers.Layer):
    """Run ``members`` copies of a layer side by side, in the idiom of ``Bidirectional`` and ``TimeDistributed``.

    Args:
        layer: a SimpleRNN, LSTM, GRU, Bidirectional of one, Dense or Dropout layer that is not built yet.
        members: how many copies, S.
        seeds: one seed a member: copy ``s`` starts with the weights and draws the dropout masks of ``layer`` made
            with ``seed=seeds[s]``. Drawn at random by default.
        **kwargs: of every Keras layer (``name``...); ``dtype`` is the layer's own by default.

    Input shape:
        ``(batch, S, time, features)``, or ``(batch, time, features)`` read by all members; see the module's table.

    Raises:
        ConfigError: the layer is of another kind, or has an option that would mix members.

    Example:
        >>> lstm = Ensemble(keras.layers.LSTM(8), members=10)
        >>> lstm(np.zeros((32, 24, 1))).shape[1:]  # doctest: +SKIP
        (10, 8)
    """

    def __init__(self, layer: keras.Layer, members: int, seeds: Sequence[int] | None = None, **kwargs: Any):
        super().__init__(**{"dtype": layer.dtype_policy, **kwargs})
        require_whole("members", members, least=1)
        if seeds is not None and len(seeds) != members:
            raise ConfigError(f"received {len(seeds)} seeds for {members} members, expected one seed a member.")
        self.members = int(members)
        self.seeds = [int(s) for s in seeds] if seeds is not None else random.sample(range(2**31), members)
        # As text: Keras tracks dictionaries that are set on a layer, and cannot copy them afterwards.
        self._config_of_layer = json.dumps(keras.saving.serialize_keras_object(layer))
        self.stacked = stack(layer, self.members, self.seeds)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        """Create the stacked weights."""
        if len(input_shape) > 3 and input_shape[1] != self.members:
            raise ConfigError(
                f"received input of shape {tuple(input_shape)}, expected (batch, {self.members}, time, features) for "
                f"{self.members} members, or (batch, time, features) read by all."
            )
        self.stacked.build(input_shape)
        self.built = True

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        """Run all members."""
        return self.stacked(inputs, mask=mask, training=training)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """No mask leaves an ensemble."""
        return None

    def compute_output_shape(self, input_shape: tuple) -> Any:
        """Shape of the output; see the module's table."""
        return self.stacked.compute_output_shape(input_shape)

    @property
    def kernel_used(self) -> str | None:
        """Which kernel ran in the last call, None before one and for Dense and Dropout."""
        return getattr(self.stacked, "kernel_used", None)

    def member_layer(self, number: int) -> keras.Layer:
        """Return member ``number`` as an ordinary Keras layer, not built: same settings, its own seed."""
        template = keras.saving.deserialize_keras_object(json.loads(self._config_of_layer))
        return reseed(template, self.seeds[number])

    def member_weights(self, number: int) -> list[np.ndarray]:
        """Weights of member ``number`` in the order of :meth:`member_layer`'s ``set_weights``."""
        return [np.asarray(ops.convert_to_numpy(weight))[number] for weight in self.weights]

    def take(self, which: Sequence[int]) -> "Ensemble":
        """Make an ensemble of some of the members, which goes on where they are: same weights, state of dropout copied.

        Args:
            which: numbers of members, in the order that they are to have.
        """
        settings = {"members": len(which), "seeds": [self.seeds[number] for number in which]}
        taken = type(self).from_config({**self.get_config(), **settings})
        taken.stacked.start_as(self.stacked, which)
        return taken

    def get_config(self) -> dict[str, Any]:
        """Settings, for saving."""
        return {
            **super().get_config(),
            "layer": json.loads(self._config_of_layer),
            "members": self.members,
            "seeds": self.seeds,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Ensemble":
        """Make a layer of saved settings."""
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)


def sum_over_members(y_true: Any, y_pred: Any) -> Any:
    """Mean squared error of each member, summed over members: each one's gradient is that of a single model.

    Args:
        y_true: ``(batch, S, outputs)``.
        y_pred: the same shape.

    Returns:
        ``(batch,)``, which Keras averages.
    """
    return ops.sum(ops.mean(ops.square(y_pred - y_true), axis=-1), axis=-1)


class MemberLoss(keras.metrics.Metric):
    """Mean squared error of each member by itself; its result is a vector ``(S,)``."""

    def __init__(self, members: int, name: str = "member"):
        super().__init__(name=name)
        self.total = self.add_weight(shape=(members,), initializer="zeros", name="total")
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        errors = ops.mean(ops.square(y_pred - ops.cast(y_true, y_pred.dtype)), axis=-1)
        self.total.assign_add(ops.cast(ops.sum(errors, axis=0), self.total.dtype))
        self.count.assign_add(ops.cast(ops.shape(errors)[0], self.count.dtype))

    def result(self) -> Any:
        """Mean over all batches since the last reset, ``(S,)``."""
        return self.total / self.count


def split_members(model: keras.Model) -> list[keras.Model]:
    """Take a model of S members apart into S ordinary Keras models.

    Args:
        model: a chain of ``Ensemble`` layers, as ``build_model(..., members=S)`` returns it.

    Returns:
        list[keras.Model]: one model a member, of stock Keras layers: each can be saved, and loaded without kseq.

    Raises:
        ConfigError: the model has no members.

    Example:
        >>> first, *others = split_members(build_lstm(members=3))  # doctest: +SKIP
    """
    singles = []
    for number in range(_members(model)):

        def single(layer: keras.Layer, number: int = number) -> keras.Layer:
            return stock(layer.member_layer(number) if isinstance(layer, Ensemble) else layer)

        made = _remade(model, model.inputs[0].shape[2:], single)
        for layer, source in zip(made.layers[1:], model.layers[1:], strict=True):
            layer.set_weights(source.member_weights(number) if isinstance(source, Ensemble) else source.get_weights())
        singles.append(made)
    return singles


def take_members(model: keras.Model, which: Sequence[int]) -> keras.Model:
    """Make a model of some members of another, which computes what they compute and goes on training as they would.

    Args:
        model: a chain of ``Ensemble`` layers, as ``build_model(..., members=S)`` returns it.
        which: numbers of members, in the order that they are to have.

    Returns:
        keras.Model: of ``len(which)`` members, not compiled; weights and the state of dropout are copies.

    Raises:
        ConfigError: the model has no members, or other layers than ``Ensemble``.

    Example:
        >>> best_two = take_members(build_lstm(members=10), [3, 7])  # doctest: +SKIP
    """
    _members(model)
    others = [layer.name for layer in model.layers[1:] if not isinstance(layer, Ensemble)]
    if others:
        raise ConfigError(
            f"received a model with {', '.join(others)} in it, expected a chain of Ensemble layers alone."
        )
    return _remade(model, (len(which), *model.inputs[0].shape[2:]), lambda layer: layer.take(which))


def _members(model: keras.Model) -> int:
    ensembles = [layer for layer in model.layers if isinstance(layer, Ensemble)]
    if not ensembles:
        raise ConfigError(f"received model {model.name!r} without members, expected one built with members=S.")
    return ensembles[0].members


def _remade(model: keras.Model, shape: tuple, change: Callable[[keras.Layer], keras.Layer]) -> keras.Model:
    """Make a chain of layers anew, for windows of another shape, each layer by ``change``."""
    inputs = keras.Input(shape, name=model.inputs[0].name, dtype=model.inputs[0].dtype)
    x, states = inputs, []
    for layer in model.layers[1:]:
        x = change(layer)(x)
        if isinstance(x, list | tuple):
            x, *states = x
    return keras.Model(inputs, [x, *states] if states else x, name=model.name)
