"""How the layers of kseq are named in saved models, and how they are pickled.

Keras resolves a saved class in three steps: by ``registered_name`` among the custom objects, by ``module.class_name``
among the names that Keras exports, and, if ``module`` is a module of Keras, by importing it. Keras's own layers are
saved as ``keras.layers.LSTM`` without a registered name.

The layers of kseq are saved as ``keras.src.layers.LSTM``, also without a registered name. Where ``kseq.layers`` is
imported, the second step finds kseq's class under that name. Elsewhere the third step finds Keras's class, so that the
file loads without kseq. No bare name is registered: ``custom_objects={"LSTM": MyLSTM}`` and configs of older formats,
which hold nothing but ``"LSTM"``, mean what they mean without kseq.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import keras
from keras.src import api_export

#: The module that saved configs give for a layer of kseq. All versions of Keras 3 have their layers in it.
SAVED_MODULE = "keras.src.layers"

Kind = TypeVar("Kind", bound=type)


def saved_as_keras(layer: Kind) -> Kind:
    """Register a class whose saved form loads as Keras's class of the same name where kseq is not imported.

    Subclasses are not registered with it: they are saved under their own module and name.
    """
    # Keras has no public function for this.
    api_export.register_internal_serializable(f"{SAVED_MODULE}.{layer.__name__}", layer)
    return layer


class PickledByClass(keras.layers.Layer):
    """Base class of layers that are pickled and copied as Keras does it, and loaded as the very class.

    Keras pickles a layer in its saved form, and by itself finds the class of a user only if that is registered.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        load, arguments = super().__reduce__()
        return _load, (load, type(self), *arguments)


def _load(load: Callable[..., keras.Layer], kind: type, *arguments: Any) -> keras.Layer:
    """Load a pickled layer by ``load``, a function of Keras, with ``kind`` for the class that its saved name gives."""
    name = keras.saving.get_registered_name(kind)
    if api_export.get_name_from_symbol(kind) or keras.saving.get_registered_object(name) is kind:
        return load(*arguments)
    with keras.saving.custom_object_scope({name: kind}):
        return load(*arguments)
