"""Convert layers and models between Keras's SimpleRNN, LSTM and GRU and those of kseq."""

from collections.abc import Callable
from typing import Any

import keras

from kseq.errors import ConfigError
from kseq.layers._saving import SAVED_MODULE
from kseq.layers.cells import GRU, LSTM, SimpleRNN

_FAST = {"SimpleRNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU}
_MODULES = ("keras.layers", SAVED_MODULE)


def _convert(layer: keras.Layer, module: str) -> keras.Layer:
    """Make a layer anew from its config, in which every SimpleRNN, LSTM and GRU is taken from ``module``."""
    changed = False

    def visit(config: Any) -> Any:
        nonlocal changed
        if isinstance(config, list | tuple):
            return type(config)(visit(value) for value in config)
        if not isinstance(config, dict):
            return config
        config = {key: visit(value) for key, value in config.items()}
        if config.get("module") in _MODULES and config.get("class_name") in _FAST:
            config |= {"module": module, "registered_name": None}
            changed = True
        return config

    config = visit(keras.saving.serialize_keras_object(layer))
    if not changed:
        return type(layer).from_config(layer.get_config())
    # A built layer's config would build the new layer too. Callers expect a layer without weights.
    config.pop("build_config", None)
    known = {}
    if config["module"] not in _MODULES or config["class_name"] not in _FAST:
        # A wrapper class that the user has not registered can be converted all the same.
        config["registered_name"] = "kseq>wrapper"
        known["kseq>wrapper"] = type(layer)
    return keras.saving.deserialize_keras_object(config, custom_objects=known, safe_mode=False)


def fast(layer: keras.Layer) -> keras.Layer:
    """Copy a layer, without weights, with SimpleRNN, LSTM and GRU layers of kseq.

    Args:
        layer: Any Keras layer. The layer itself and layers inside wrappers such as ``Bidirectional`` are converted;
            subclasses that a user has written are not.

    Returns:
        keras.Layer: A new layer with the same settings, not built.
    """
    return _convert(layer, SAVED_MODULE)


def stock(layer: keras.Layer) -> keras.Layer:
    """Copy a layer, without weights, with Keras's own SimpleRNN, LSTM and GRU layers: the reverse of :func:`fast`."""
    return _convert(layer, "keras.layers")


def _clone(model: keras.Model, convert: Callable[[keras.Layer], keras.Layer]) -> keras.Model:
    # Only functional models list their operations. A model with a ``call`` of its own cannot be rebuilt from layers.
    if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
        raise ConfigError(
            f"received a {type(model).__name__}, whose layers only its own code can replace; expected a Sequential or "
            "functional model."
        )
    clone = keras.models.clone_model(model, clone_function=convert, recursive=True)
    clone.set_weights(model.get_weights())
    return clone


def accelerate(model: keras.Model) -> keras.Model:
    """Copy a model and replace Keras's SimpleRNN, LSTM and GRU layers by those of kseq.

    Args:
        model: A Sequential or functional model; nested models and wrappers such as ``Bidirectional`` are converted
            too. Subclasses of the three layers that a user has written are kept.

    Returns:
        keras.Model: A model with the same settings and weights. If ``model`` was compiled, so is the copy, with a new
        optimizer.

    Raises:
        ConfigError: The model is neither Sequential nor functional.

    Example:
        >>> model = accelerate(keras.models.load_model("forecaster.keras"))  # doctest: +SKIP
    """
    return _clone(model, fast)


def to_stock(model: keras.Model) -> keras.Model:
    """Copy a model and replace the layers of kseq by Keras's own: the reverse of :func:`accelerate`.

    Arguments, result and errors are as there.

    Example:
        >>> to_stock(model).save("forecaster.keras")  # doctest: +SKIP
    """
    return _clone(model, stock)
