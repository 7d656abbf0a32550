"""Calls of layers that Keras would refuse, refused in kseq's words: without units, or with a name that nobody knows."""

import functools
import inspect
from typing import Any, TypeVar

from kseq.errors import ConfigError
from kseq.naming import nearest

Layer = TypeVar("Layer", bound=type)


class ArgumentError(ConfigError, TypeError, ValueError):
    """A layer was called with arguments that it does not have, or without one that it needs.

    It is also what Keras raises for them.
    """


def named_arguments(kind: Layer) -> Layer:
    """Let a layer's class say which argument is missing, or which one was meant.

    Whatever Keras takes is taken; only what it refuses is told in other words.
    """
    plain: Any = getattr(kind, "__init__")  # noqa: B009
    signature = inspect.signature(plain)
    known = [name for name in signature.parameters if name not in ("self", "kwargs")]

    @functools.wraps(plain)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if not args and "units" not in kwargs:
            near = next((name for name in kwargs if nearest(name, known) == "units"), None)
            received = "received no units" if near is None else f"received {near}"
            raise ArgumentError(f"{received}, expected kseq.layers.{kind.__name__}(units=32, ...).")
        try:
            plain(self, *args, **kwargs)
        except ValueError as error:
            meant = {name: nearest(name, known) for name in kwargs if name not in known}
            near = next((name for name in meant if meant[name]), None)
            if near is None:
                raise
            raise ArgumentError(
                f"received {near}, expected an argument of kseq.layers.{kind.__name__}: did you mean {meant[near]}?"
            ) from error

    # Keras reads the names of arguments, and does not look behind a wrapper.
    init.__dict__["__signature__"] = signature
    setattr(kind, "__init__", init)  # noqa: B010
    return kind
