"""PyTorch without its compiler, a third of what Keras imports on it, until something is compiled.

Keras and PyTorch mark functions by ``torch._dynamo.disable``: not to be compiled. For that mark alone the compiler is
imported with Keras, and again as a model computes its shapes. :func:`defer_compiler` has a module stand in its place
that marks functions, and that imports the compiler when another of its names is asked for, by ``torch.compile`` say.
"""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"


def defer_compiler() -> None:
    """Import PyTorch, and have its compiler wait; nothing is done where that has been imported."""
    importlib.import_module("torch")
    if _NAME not in sys.modules:
        sys.modules[_NAME] = _Later()


class _Later(ModuleType):
    """Stands for the compiler in ``sys.modules``, and wherever it was imported from there."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self.__spec__ = importlib.util.find_spec(_NAME)

    def disable(self, fn: Callable | None = None, *arguments: Any, **named: Any) -> Callable:
        """Mark a function, as PyTorch's own does; called with none, return what marks one."""
        if fn is None:
            return functools.partial(self.disable, **named)
        return _marked(fn, arguments, named)

    def __getattr__(self, name: str) -> Any:
        # The import system asks any module for much, and for its path where a part of it is imported.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        return getattr(_compiler(), name)


def _is_deferred() -> bool:
    return isinstance(sys.modules.get(_NAME), _Later)


def _compiler() -> ModuleType:
    """Import PyTorch's compiler, or return it."""
    if _is_deferred():
        sys.modules.pop(_NAME, None)
    return importlib.import_module(_NAME)


def _marked(fn: Callable, arguments: tuple, named: dict[str, Any]) -> Callable:
    """Mark a function once there is a compiler to mark it for: before, nothing can be compiling it."""
    marked: list[Callable] = []

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _is_deferred():
            return fn(*args, **kwargs)
        if not marked:
            marked.append(_compiler().disable(fn, *arguments, **named))
        return marked[0](*args, **kwargs)

    # By this the compiler knows a function that it is to leave alone.
    call._torchdynamo_disable = True  # type: ignore[attr-defined]
    return call
