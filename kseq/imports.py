"""What is to go on around the first import of a package, whoever asks for it and whenever that is."""

import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Around(MetaPathFinder):
    """Finds one package, and has its first import run within a context.

    Whoever only asks where the package is, as ``importlib.util.find_spec`` does, may ask as often as they like.
    """

    def __init__(self, name: str, context: Callable[[], AbstractContextManager[Any]]):
        self.name = name
        self.context = context
        self._asks = False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Take over the import of that package, and of nothing else."""
        if fullname != self.name or self._asks:
            return None
        self._asks = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asks = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Within(spec.loader, self)
        return spec


class _Within(Loader):
    """Runs a package by its own loader, within the context of its finder."""

    def __init__(self, inner: Loader, finder: _Around):
        self.inner = inner
        self.finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the package's own loader."""
        return self.inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the package."""
        # From here on the package is as if nothing had stood between.
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        module.__loader__ = self.inner
        if module.__spec__ is not None:
            module.__spec__.loader = self.inner
        with self.finder.context():
            self.inner.exec_module(module)


def wrap_import(name: str, context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Have the first import of a package run within a context; nothing is done where it has been imported.

    Args:
        name: Name of a package at the top, such as ``"keras"``. A second call for the same name is ignored.
        context: Returns the context, and is called as the import begins.
    """
    waiting = (finder for finder in sys.meta_path if isinstance(finder, _Around))
    if name not in sys.modules and all(finder.name != name for finder in waiting):
        sys.meta_path.insert(0, _Around(name, context))
