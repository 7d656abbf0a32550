"""Give the fast step, and batches in the backend's fastest form, to every ``fit`` of a model with layers of kseq.

``keras.Model.fit`` is wrapped when :mod:`kseq.layers` is imported. Models without a layer of kseq, and data that are
neither arrays, windows nor :class:`kseq.Batches`, go to Keras unchanged. Arrays are shuffled by the same draws as in
Keras.
"""

import functools
import inspect
import math
from typing import Any

import keras
import numpy as np

from kseq import kernels
from kseq.layers import fast_step
from kseq.layers._dispatch import policy
from kseq.layers._many_steps import many_steps
from kseq.layers._windows import in_batches, reads_windows
from kseq.layers.cells import GRU, LSTM, SimpleRNN
from kseq.layers.ensemble import Ensemble
from kseq.layers.feeding import Listeners, NextEpoch, fed

_KEYWORDS = inspect.Parameter.VAR_KEYWORD
_PARTS = ("x", "y", "sample_weight")


def install() -> None:
    """Wrap ``keras.Model.fit``, once."""
    plain = keras.Model.fit
    if hasattr(plain, "__wrapped_by_kseq__"):
        return
    signature = inspect.signature(plain)

    @functools.wraps(plain)
    def fit(model: keras.Model, *args: Any, **options: Any) -> Any:
        arguments = _bound(signature, model, args, options)
        if reads_windows(arguments):
            arguments = in_batches(model, "fit", arguments)
        if not _is_ours(model) or policy() == "off":
            return plain(model, **arguments)
        fast_step.attach(model)
        with many_steps(model, arguments) as prepared:
            return plain(model, **_fed(model, prepared))

    fit.__wrapped_by_kseq__ = True  # type: ignore[attr-defined]
    keras.Model.fit = fit
    for method in ("evaluate", "predict"):
        setattr(keras.Model, method, _with_windows(method))


def _with_windows(method: str) -> Any:
    """A method of ``keras.Model`` that reads windows as well."""
    plain = getattr(keras.Model, method)
    signature = inspect.signature(plain)

    @functools.wraps(plain)
    def wrapped(model: keras.Model, *args: Any, **options: Any) -> Any:
        if not reads_windows({"x": args[0] if args else options.get("x")}):
            return plain(model, *args, **options)
        extra = {name: options.pop(name) for name in list(options) if name not in signature.parameters}
        return plain(model, **in_batches(model, method, _bound(signature, model, args, options)), **extra)

    return wrapped


def _bound(signature: inspect.Signature, model: keras.Model, args: Any, options: dict[str, Any]) -> dict[str, Any]:
    """All arguments of a call by name, defaults too, without the model."""
    given = signature.bind(model, *args, **options)
    given.apply_defaults()
    names = list(signature.parameters)[1:]
    return {name: given.arguments[name] for name in names if signature.parameters[name].kind is not _KEYWORDS}


def _is_ours(model: keras.Model) -> bool:
    """Whether Keras would train a model with layers of kseq by its own step."""
    own = type(model).train_step is keras.Model.train_step
    own = own and type(model).make_train_function is keras.Model.make_train_function
    return own and any(isinstance(layer, SimpleRNN | LSTM | GRU | Ensemble) for layer in model._flatten_layers())


def _fed(model: keras.Model, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``fit`` with data in the backend's fastest form, where they can have it."""
    limited = arguments["steps_per_epoch"] or arguments["class_weight"] is not None
    limited = limited or keras.config.max_epochs() or keras.config.max_steps_per_epoch()
    limited = limited or getattr(model, "_distribute_strategy", None) is not None
    if limited or isinstance(arguments["callbacks"], keras.callbacks.CallbackList):
        return arguments
    changed = _split(arguments)
    source, feeding = _source([changed[part] for part in _PARTS], changed["batch_size"], changed["shuffle"])
    if source is None:
        return arguments
    validation = changed["validation_data"]
    # What Keras reads of it comes in batches of this size, which it would take from ``batch_size``.
    changed = {**changed, "validation_batch_size": changed["validation_batch_size"] or changed["batch_size"]}
    if validation is not None and not changed["validation_steps"]:
        parts = list(validation) if isinstance(validation, tuple | list) else [validation]
        size = changed["validation_batch_size"]
        found, _ = _source([*parts, None, None][: max(3, len(parts))], size, False)
        if found is not None:
            changed |= {"validation_data": found, "validation_batch_size": None}
    listeners = Listeners(
        changed["callbacks"],
        feeding=feeding,
        add_history=True,
        add_progbar=changed["verbose"] != 0,
        verbose=changed["verbose"],
        epochs=changed["epochs"],
        steps=len(source),
        model=model,
    )
    listeners.give_whole(source)
    nothing = {"y": None, "sample_weight": None, "batch_size": None, "shuffle": False, "validation_split": 0.0}
    return {**changed, **nothing, "x": source, "callbacks": listeners}


def _split(arguments: dict[str, Any]) -> dict[str, Any]:
    """Cut the validation part off arrays, as Keras does."""
    share, parts = arguments["validation_split"], [arguments[name] for name in _PARTS]
    if not share or arguments["validation_data"] is not None or not _are_arrays(parts):
        return arguments
    border = math.floor(len(parts[0]) * (1.0 - share))
    if not 0 < border < len(parts[0]):
        return arguments
    ahead = {name: None if part is None else part[:border] for name, part in zip(_PARTS, parts, strict=True)}
    behind = tuple(None if part is None else part[border:] for part in parts)
    return {**arguments, **ahead, "validation_data": behind, "validation_split": 0.0}


def _source(parts: list[Any], batch_size: int | None, shuffle: Any) -> tuple[Any, list[Any]]:
    """What ``fit`` reads fastest, with the callbacks that advance it; None if Keras reads the data as they are."""
    backend = kernels.load(keras.config.backend())
    if hasattr(parts[0], "pieces") and all(part is None for part in parts[1:]) and hasattr(backend, "dataset"):
        return fed(parts[0])
    if not _are_arrays(parts) or shuffle not in (True, False) or not hasattr(backend, "array_dataset"):
        return None, []
    kind = keras.config.floatx()
    arrays = [part.astype(kind, copy=False) for part in parts if part is not None]
    source = backend.array_dataset(arrays, batch_size or 32, shuffle)
    return source, [NextEpoch(source, source)] if getattr(source, "is_told", False) else []


def _are_arrays(parts: list[Any]) -> bool:
    """Whether these are windows, targets and perhaps weights, as arrays of real numbers with equal lengths."""
    x, y, *weights = parts
    given = [x, y, *(weight for weight in weights if weight is not None)]
    if len(parts) > 3 or not all(isinstance(part, np.ndarray) and part.dtype.kind == "f" for part in given):
        return False
    return all(part.ndim and len(part) == len(x) > 0 for part in given)
