"""The graphs by which a model trains, is evaluated and forecasts on TensorFlow, each traced before its first call.

Keras makes functions of its own for each model, and TensorFlow traces them within their first calls. A comparison
trains many models, some of them for a few calls alone: TensorFlow takes their functions for one that is traced again
and again by mistake, and warns of it. Here a graph is asked for where a new kind of batch comes, and then called, which
is how TensorFlow wants graphs to be made that are meant. The operations are Keras's.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from tensorflow import Tensor


def make_functions(model: keras.Model) -> None:
    """Give a model the functions that it still lacks; Keras makes none where there is one.

    Models that run eagerly or on several devices, and those that make functions of their own, are left as they are.

    Args:
        model: A model. One that is not compiled gets the function of its forecasts alone.
    """
    if tf.distribute.has_strategy() or model.run_eagerly:
        return
    if model.predict_function is None and _is_keras(model, "make_predict_function"):
        model.predict_function = _forecasts(model)
    if not model.compiled:
        return
    if model.train_function is None and _is_keras(model, "make_train_function"):
        model.train_function = _steps(model, model.train_step)
    if model.test_function is None and _is_keras(model, "make_test_function"):
        model.test_function = _steps(model, model.test_step)


def _is_keras(model: keras.Model, method: str) -> bool:
    return getattr(type(model), method) is getattr(keras.Model, method)


class _Traced:
    """A function of which a graph is made for each kind of argument, before it is called with the first such one.

    Args:
        function: A function of one argument.
        jit_compile: Whether XLA compiles it.
    """

    def __init__(self, function: Callable[[Any], Any], jit_compile: bool | None = None):
        self.function = tf.function(function, reduce_retracing=True, autograph=False, jit_compile=jit_compile)
        self._known: set[Any] = set()

    def __call__(self, given: Any) -> Any:
        # What an iterator gives, or the tensors themselves.
        inside = tf.nest.flatten(getattr(given, "element_spec", given))
        kind = tuple((tuple(part.shape), part.dtype) for part in inside)
        if kind not in self._known:
            self.function.get_concrete_function(given)
            self._known.add(kind)
        return self.function(given)


def _forecasts(model: keras.Model) -> Callable[[Any], Any]:
    """What ``predict`` and ``predict_on_batch`` call with a list of batches: all their outputs, one after the other."""

    def forecasts(batches: Any) -> Any:
        made = [model.predict_step(batch) for batch in batches]
        return made[0] if len(made) == 1 else tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *made)

    return _Traced(forecasts, jit_compile=model.jit_compile or None)


def _steps(model: keras.Model, step: Callable[[Any], dict[str, Tensor]]) -> Callable[[Any], Any]:
    """What ``fit`` and ``evaluate`` call with an iterator: as many steps as the model runs at once, or what is left.

    Args:
        model: The model.
        step: Its ``train_step`` or ``test_step``, which takes a batch and returns the logs.

    Returns:
        Callable: Takes an iterator over batches, and returns the logs of the last step; raises StopIteration where no
        batch is left.
    """
    count = model.steps_per_execution
    one = tf.function(step, reduce_retracing=True, autograph=False, jit_compile=model.jit_compile or None)

    def several(iterator: Any) -> tuple[Tensor, Any]:
        logs = one.get_concrete_function(iterator.element_spec).structured_outputs
        logs = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), logs)

        def again(number: Tensor, _: Any, batch: Any) -> Tensor:
            return tf.logical_and(number < count, batch.has_value())

        def body(number: Tensor, _: Any, batch: Any) -> tuple[Tensor, Any, Any]:
            logs = one(batch.get_value())
            # A batch is taken from the iterator only if it is used.
            batch = tf.cond(number + 1 < count, iterator.get_next_as_optional, lambda: batch)
            return number + 1, logs, batch

        done, logs, _ = tf.while_loop(again, body, (tf.constant(0), logs, iterator.get_next_as_optional()))
        return done, logs

    traced = _Traced(several)

    def run(iterator: Any) -> Any:
        if not isinstance(iterator, tf.data.Iterator):
            # train_on_batch and test_on_batch bring a batch in a generator.
            return [one(batch) for batch in iterator][-1]
        done, logs = traced(iterator)
        if not done:
            raise StopIteration
        return logs

    return run
