"""Several networks trained as one: layers whose weights have a leading axis of members.

One training run of a recurrent network says little, because results differ more between seeds than between cells.
``Ensemble`` wraps a layer so that S independent copies of it, each with its own weights, dropout masks and inputs, run
in one call. Members are independent: member ``s`` computes what a single layer with its weights computes. ("Member" is
the term of model ensembling. A "replica" in Keras is the copy of one network on one device.)

=====================  =====================================  ====================================================
wrapped layer          shape of the input                     shape of the output
=====================  =====================================  ====================================================
SimpleRNN, LSTM, GRU   ``(batch, S, time, features)``, or     ``(batch, S, units)``, with ``return_sequences``
                       ``(batch, time, features)``, shared    ``(batch, S, time, units)``
Bidirectional          the same                               the same, ``2 * units`` with ``merge_mode="concat"``
Dense                  ``(batch, S, ..., features)``          ``(batch, S, ..., units)``
EinsumDense            the same as SimpleRNN                  ``(batch, S, outputs)``; ``btf,tfo->bo`` alone
Dropout                ``(batch, S, ...)``                    the same; each member has its own mask
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
from kseq.layers._conversion import stock
from kseq.layers._saving import PickledByClass
from kseq.layers._stacked_layers import reseed
from kseq.layers.losses import ForecastLoss
from kseq.layers.stacked import stack
from kseq.naming import checked
from kseq.validation import require_whole


@keras.saving.register_keras_serializable(package="kseq")
class Ensemble(PickledByClass, keras.layers.Layer):
    """Wrapper that runs ``members`` independent copies of a layer in one call.

    Args:
        layer: A SimpleRNN, LSTM or GRU layer, a Bidirectional wrapper of one, or a Dense, EinsumDense or Dropout layer,
            not built.
        members: Positive integer, the number of copies, S.
        seeds: Sequence of S integers, one seed per member. Member ``s`` starts with the weights, and draws the dropout
            masks, of ``layer`` created with ``seed=seeds[s]``. Defaults to ``None``, which draws the seeds at random.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``...). ``dtype`` defaults to that of ``layer``.

    Call arguments:
        inputs: Tensor of shape ``(batch, S, time, features)``, or ``(batch, time, features)`` if all members read the
            same windows.
        mask: Boolean tensor of shape ``(batch, S, time)`` or ``(batch, time)``. Defaults to ``None``.
        training: Boolean, whether dropout applies. Defaults to ``False``.

    Input shape:
        ``(batch, S, time, features)`` or ``(batch, time, features)``; see the table of the module.

    Output shape:
        The shape of the layer's output with an axis of S members after the batch axis: ``(batch, S, units)``, or
        ``(batch, S, time, units)`` with ``return_sequences``.

    Raises:
        ConfigError: ``layer`` is of another class, is already built, has an option that would mix members or code of
            its own; or ``members`` or ``seeds`` are invalid.

    Example:
        >>> lstm = Ensemble(LSTM(8), members=10)  # doctest: +SKIP
        >>> lstm(np.zeros((32, 24, 1))).shape  # doctest: +SKIP
        (32, 10, 8)
    """

    def __init__(self, layer: keras.Layer, members: int, seeds: Sequence[int] | None = None, **kwargs: Any) -> None:
        super().__init__(**{"dtype": layer.dtype_policy, **kwargs})
        require_whole("members", members, least=1)
        if seeds is not None and len(seeds) != members:
            raise ConfigError(f"received {len(seeds)} seeds for {members} members, expected one seed a member.")
        self.members = int(members)
        self.seeds = [int(s) for s in seeds] if seeds is not None else random.sample(range(2**31), members)
        # As a string, because Keras tracks dictionaries that are set on a layer and cannot copy them afterwards.
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
        """The kernel that ran in the last call; None before the first call and for Dense and Dropout."""
        return getattr(self.stacked, "kernel_used", None)

    def member_layer(self, number: int) -> keras.Layer:
        """Return a single layer with the settings and the seed of member ``number``, not built."""
        template = keras.saving.deserialize_keras_object(json.loads(self._config_of_layer))
        return reseed(template, self.seeds[number])

    def member_weights(self, number: int) -> list[np.ndarray]:
        """Return the weights of member ``number``, in the order in which :meth:`member_layer` takes them."""
        return [np.asarray(ops.convert_to_numpy(weight))[number] for weight in self.weights]

    def take(self, which: Sequence[int]) -> "Ensemble":
        """Return an ensemble of some of the members that continues where they are.

        Args:
            which: Sequence of member numbers from 0, in the order that the new ensemble has them.

        Returns:
            Ensemble: A layer, not built, that starts with copies of the members' weights and dropout state.
        """
        settings = {"members": len(which), "seeds": [self.seeds[number] for number in which]}
        taken = type(self).from_config({**self.get_config(), **settings})
        taken.stacked.start_as(self.stacked, which)
        return taken

    def get_config(self) -> dict[str, Any]:
        """Return the layer's settings, from which :meth:`from_config` makes an equal layer."""
        return {
            **super().get_config(),
            "layer": json.loads(self._config_of_layer),
            "members": self.members,
            "seeds": self.seeds,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Ensemble":
        """Make a layer from the settings that :meth:`get_config` returned."""
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)


@keras.saving.register_keras_serializable(package="kseq")
def sum_over_members(y_true: Any, y_pred: Any) -> Any:
    """Compute the mean squared error of each member, summed over members.

    The gradient of each member's weights is that of a single model trained for mean squared error.

    Args:
        y_true: Tensor of shape ``(batch, S, outputs)``.
        y_pred: Tensor of shape ``(batch, S, outputs)``.

    Returns:
        Tensor of shape ``(batch,)``, which Keras averages.

    Example:
        >>> model.compile("adam", loss=sum_over_members)  # doctest: +SKIP
    """
    return ops.sum(ops.mean(ops.square(y_pred - y_true), axis=-1), axis=-1)


#: What :class:`MemberLoss` averages by default.
_MEAN_SQUARED = ForecastLoss(members=True)


@keras.saving.register_keras_serializable(package="kseq")
class MemberLoss(keras.metrics.Metric):
    """Metric: the loss of each member, a vector of shape ``(S,)``.

    Args:
        members: Positive integer, the number of members, S.
        loss: A :class:`ForecastLoss` with members. Defaults to ``None``, the mean squared error.
        name: String, the name of the metric. Defaults to ``"member"``.
        dtype: The dtype of the result. Defaults to ``None``, which means Keras's default float type.

    Example:
        >>> model.compile("adam", sum_over_members, metrics=[MemberLoss(10)])  # doctest: +SKIP
    """

    def __init__(self, members: int, name: str = "member", dtype: Any = None, loss: ForecastLoss | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.members, self.loss = members, loss
        self.total = self.add_weight(shape=(members,), initializer="zeros", name="total")
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the errors of a batch, of which ``y_true`` and ``y_pred`` have shape ``(batch, S, outputs)``."""
        errors = (self.loss or _MEAN_SQUARED).errors(y_true, y_pred)
        self.total.assign_add(ops.cast(ops.sum(errors, axis=0), self.total.dtype))
        self.count.assign_add(ops.cast(ops.shape(errors)[0], self.count.dtype))

    def result(self) -> Any:
        """Return the mean over all batches since the last reset, of shape ``(S,)``."""
        return self.total / self.count

    def get_config(self) -> dict[str, Any]:
        """Return the metric's settings."""
        loss = None if self.loss is None else keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "members": self.members, "loss": loss}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MemberLoss":
        """Create a metric from its settings."""
        loss = config.get("loss")
        return cls(**{**config, "loss": None if loss is None else keras.saving.deserialize_keras_object(loss)})


@checked("kseq.split_members")
def split_members(model: keras.Model) -> list[keras.Model]:
    """Split a model of S members into S single models.

    Args:
        model: A model of ``Ensemble`` layers, such as ``build_model(..., members=S)`` returns.

    Returns:
        list[keras.Model]: One model per member, made of Keras's own layers.

    Raises:
        ConfigError: The model has no members.

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
    """Make a model from some members of another; it computes, and continues training, as they would.

    Args:
        model: A model that is a sequence of ``Ensemble`` layers, such as ``build_model(..., members=S)`` returns.
        which: Sequence of member numbers from 0, in the order that the new model has them.

    Returns:
        keras.Model: A model with ``len(which)`` members, not compiled, with copies of their weights and dropout state.

    Raises:
        ConfigError: The model has no members, or has layers other than ``Ensemble``.

    Example:
        >>> best_two = take_members(build_lstm(members=10), [3, 7])  # doctest: +SKIP
    """
    _members(model)
    others = [layer.name for layer in model.layers[1:] if not isinstance(layer, Ensemble | keras.layers.Add)]
    if others:
        raise ConfigError(f"received a model with {', '.join(others)} in it, expected Ensemble layers alone.")
    return _remade(model, (len(which), *model.inputs[0].shape[2:]), lambda layer: layer.take(which))


def _members(model: keras.Model) -> int:
    if not isinstance(model, keras.Model):
        raise ConfigError(f"received a model of type {type(model).__name__}, expected a keras.Model.")
    ensembles = [layer for layer in model.layers if isinstance(layer, Ensemble)]
    if not ensembles:
        raise ConfigError(f"received model {model.name!r} without members, expected one built with members=S.")
    return ensembles[0].members


def _remade(model: keras.Model, shape: tuple, change: Callable[[keras.Layer], keras.Layer]) -> keras.Model:
    """Rebuild a model for inputs of another shape; ``change`` makes each new layer from the old one.

    The model is a sequence of layers, to whose output an EinsumDense of the window may be added in the end.
    """
    inputs = keras.Input(shape, name=model.inputs[0].name, dtype=model.inputs[0].dtype)
    layers, x, states = model.layers[1:], inputs, []
    skip = layers[-2:] if type(layers[-1]) is keras.layers.Add else []
    for layer in layers[: len(layers) - len(skip)]:
        x = change(layer)(x)
        if isinstance(x, list | tuple):
            x, *states = x
    if skip:
        x = keras.layers.Add(name=skip[1].name)([x, change(skip[0])(inputs)])
    return keras.Model(inputs, [x, *states] if states else x, name=model.name)
