"""Several training steps of ``fit`` in one call, on the backends where each call costs more than a small network."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kseq import kernels
from kseq.layers.feeding import hooked

_ATTRIBUTE = "_kseq_many_steps"


@contextlib.contextmanager
def many_steps(model: keras.Model, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Let ``fit`` run several steps in one call, unless a callback is told of each step or the user chose a number.

    Validation, ``evaluate``, ``predict`` and ``train_on_batch`` keep their single steps.

    Args:
        model: The model; it is as before afterwards.
        arguments: All arguments of ``fit`` by name.

    Yields:
        dict: The arguments to call ``fit`` with.
    """
    steps = getattr(kernels.load(keras.config.backend()), "STEPS_AT_ONCE", 1)
    if steps == 1 or not _may_run_many(model, arguments):
        yield arguments
        return
    single = model.train_function
    model.train_function = _function(model, steps)
    model.steps_per_execution = steps
    try:
        yield {**arguments, "callbacks": [_SingleSteps(), *keras.tree.flatten(arguments["callbacks"] or [])]}
    finally:
        model.train_function, model.steps_per_execution = single, 1


class _SingleSteps(keras.callbacks.Callback):
    """Sets single steps for all that ``fit`` calls besides its training function, which is made by then."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.model.steps_per_execution = 1


class _View:
    """A model as Keras sees it while it makes a function of several steps."""

    def __init__(self, model: keras.Model, steps: int):
        self._model, self.steps_per_execution = model, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _may_run_many(model: keras.Model, arguments: dict[str, Any]) -> bool:
    x, callbacks = arguments["x"], arguments["callbacks"]
    if not (hasattr(x, "pieces") or isinstance(x, np.ndarray)) or arguments["verbose"] != 0:
        return False
    if (
        isinstance(callbacks, keras.callbacks.CallbackList)
        or not model.compiled
        or not hasattr(model, "_make_function")
    ):
        return False
    if model.steps_per_execution != 1 or model.run_eagerly or model.jit_compile:
        return False
    limited = arguments["steps_per_epoch"] or keras.config.max_epochs() or keras.config.max_steps_per_epoch()
    return not limited and not any(
        hooked(keras.tree.flatten(callbacks or []), hook, alias)
        for hook, alias in (("on_train_batch_begin", "on_batch_begin"), ("on_train_batch_end", "on_batch_end"))
    )


def _function(model: keras.Model, steps: int) -> Any:
    """The training function, which is made once for each compilation."""
    tracker, function = vars(model).get(_ATTRIBUTE, (None, None))
    if tracker is not model._loss_tracker:
        tracker, function = model._loss_tracker, type(model)._make_function(_View(model, steps), model.train_step)
        # Not set as an attribute, because Keras would track it as a part of the model.
        vars(model)[_ATTRIBUTE] = tracker, function
    return function
