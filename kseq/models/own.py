"""Rows of a user's own: a builder of a Keras network, or a regressor by scikit-learn's conventions.

A record names them by ``module:function``, with the hash of the file that holds them. Nothing named in a record is ever
imported: whoever makes a run again names its functions again.
"""

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from kseq.errors import ConfigError, Parameter
from kseq.models import CELL_NAMES, _pickling, cell_of
from kseq.text import shortened, shown

#: What makes a row, by the option that names it.
KINDS = {"cell": "a function that returns a Keras model", "rival": "a regressor, or a function that returns one"}


#: Where rows are named that kseq has.
_OURS = {
    "cell": ("rnn, lstm and gru are among the ", Parameter("cells")),
    "rival": ("rows such as theta are among the ", Parameter("baselines")),
}

#: Characters of a regressor that a record shows.
_SHOWN = 500


@dataclass(frozen=True, eq=False)
class Own:
    """What makes a row of a user's own.

    Args:
        name: Name of the row.
        kind: ``"cell"``, trained as the cells are, or ``"rival"``, fitted to the same windows.
        make: A function; of a rival a regressor too, of which copies are fitted.
        function: Place of the function, ``"module:function"``; empty where only a script has it.
        sha256: Checksum of the file that holds it; empty where there is none.
        about: The text by which a regressor shows itself, with its parameters.
    """

    name: str
    kind: str
    make: Any = field(repr=False)
    function: str = ""
    sha256: str = ""
    about: str = ""

    @classmethod
    def of(cls, name: str, kind: str, given: Any) -> "Own":
        """Take a function, a regressor, or the place of one, ``"module:function"``.

        Raises:
            ConfigError: It is none of these, or cannot be imported.
        """
        if not isinstance(name, str) or not name.strip() or cell_of(name) in CELL_NAMES:
            raise ConfigError(
                f"received {shown(name)} for the name of {kind} {shown(given)}, expected a name of its own, none of "
                f"{', '.join(CELL_NAMES)}."
            )
        if isinstance(given, str):
            given = imported(given)
        fits = hasattr(given, "fit") and hasattr(given, "predict")
        if not callable(given) and not (kind == "rival" and fits):
            raise ConfigError(f"received {shown(given)} for {kind} {name!r}, expected {KINDS[kind]}.")
        code = given if inspect.isroutine(given) or inspect.isclass(given) else type(given)
        about = shortened(" ".join(repr(given).split()), _SHOWN) if fits and not inspect.isclass(given) else ""
        return cls(name, kind, given, _place(code), _hash(code), about)

    def __deepcopy__(self, memo: Any) -> "Own":
        # Records copy settings; a function is what it is.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        code = self.make if inspect.isroutine(self.make) or inspect.isclass(self.make) else None
        how, sent = _pickling.packed(self.make, self.name, _file(code) if code is not None else None)
        return _again, (self.name, self.kind, how, sent, self.function, self.sha256, self.about)

    @property
    def told_by_record(self) -> bool:
        """Whether the record says which function it is: not so of closures, partials, bound methods, and notebooks."""
        if not self.function or not self.sha256 or inspect.ismethod(self.make):
            return False
        return inspect.isroutine(self.make) or inspect.isclass(self.make) or 0 < len(self.about) < _SHOWN

    @property
    def record(self) -> dict[str, str]:
        """What ``run.json`` holds of it."""
        return {"kind": self.kind, "function": self.function, "sha256": self.sha256, "about": self.about}

    def called(self, offered: Mapping[str, Any]) -> Any:
        """Call the function with those of some arguments that it takes.

        Raises:
            ConfigError: It takes others, or fails.
        """
        given, missing = _taken(self.make, offered)
        if missing:
            raise ConfigError(
                f"{self.kind} {self.name!r} takes {', '.join(missing)}, which nobody knows here; expected arguments "
                f"among {', '.join(offered)}, or defaults."
            )
        try:
            return self.make(**given)
        except Exception as error:
            said = ", ".join(f"{key}={value}" for key, value in given.items())
            raise ConfigError(
                f"{self.kind} {self.name!r} failed when it was called with {said or 'nothing'}: {_said(error)}"
            ) from error


def _again(name: str, kind: str, how: str, sent: Any, function: str, sha256: str, about: str) -> Own:
    """The same row in another process."""
    return Own(name, kind, _pickling.unpacked(how, sent, _of_file), function, sha256, about)


def _taken(function: Callable, offered: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Arguments that a function takes of those that are offered, and those that it needs besides."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return {}, []
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return dict(offered), []
    needed = [one for one in parameters if one.kind is not one.VAR_POSITIONAL]
    given = {one.name: offered[one.name] for one in needed if one.name in offered}
    return given, [one.name for one in needed if one.name not in offered and one.default is one.empty]


def own_rows(given: Any, kind: str) -> dict[str, Own]:
    """Rows by their names, of a mapping, or of texts ``"NAME=module:function"``.

    Raises:
        ConfigError: A text has no name or no function, or as :meth:`Own.of`.

    Example:
        >>> own_rows({"flat": lambda horizon: None}, "cell")["flat"].kind
        'cell'
    """
    if isinstance(given, str):
        given = given.split(",")
    if not isinstance(given, Mapping):
        pairs: dict[str, str] = {}
        for text in given if isinstance(given, Iterable) else [given]:
            name, equals, place = text.partition("=") if isinstance(text, str) else ("", "", "")
            if not equals and kind == "cell" and cell_of(name) in CELL_NAMES:
                raise ConfigError(
                    "received ", Parameter("cell"), f" {shown(text)}, which kseq has; expected it among the ",
                    Parameter("cells"), ", or NAME=module:function, a cell of your own.",
                )  # fmt: skip
            if not equals or not name.strip() or name.strip() in pairs:
                raise ConfigError(
                    f"received {kind} {shown(text)}, expected NAME=module:function, each name once: the name of its "
                    "row and where the function is; ",
                    *_OURS[kind],
                    ".",
                )
            pairs[name.strip()] = place.strip()
        given = pairs
    return {name: one if isinstance(one, Own) else Own.of(name, kind, one) for name, one in given.items()}


def imported(place: str) -> Any:
    """Import what a user names, ``"module:function"`` or ``"file.py:function"``; modules of the current folder too.

    Raises:
        ConfigError: There is no such module or function, or the module cannot be imported.
    """
    module, colon, function = place.rpartition(":")
    if not colon or not module or not function:
        raise ConfigError(f"received {shown(place)}, expected module:function, or file.py:function.")
    try:
        found: Any = _of_file(Path(module)) if module.endswith(".py") else _of_name(module)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"received {place}, and {module} cannot be imported: {_said(error)}") from error
    for part in function.split("."):
        if not hasattr(found, part):
            have = [name for name in vars(found) if callable(getattr(found, name)) and not name.startswith("_")]
            raise ConfigError(
                f"received {place}, and there is no {part} in {module}; expected one of {', '.join(have[:8])}."
            )
        found = getattr(found, part)
    return found


def _of_name(module: str) -> ModuleType:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(here)


def _of_file(path: Path) -> ModuleType:
    """The module of a file, by the name of the file, so that what it imports beside it is found."""
    if not path.is_file():
        raise ConfigError(f"received {path}, which is no file; expected file.py:function.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def _place(code: Any) -> str:
    """``"module:function"`` of a function or a class; empty where it can be found by no name."""
    module, name = getattr(code, "__module__", None), getattr(code, "__qualname__", "")
    if not module or "<" in name:
        return ""
    if module == "__main__":
        file = _file(code)
        return f"{file.stem}:{name}" if file else ""
    return f"{module}:{name}"


def _hash(code: Any) -> str:
    """SHA-256 of the file that holds a function or a class, whose helpers count as well; empty without one."""
    file = _file(code)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else ""


def _file(code: Any) -> Path | None:
    try:
        path = inspect.getsourcefile(code)
    except TypeError:
        return None
    return Path(path) if path and Path(path).is_file() else None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {shortened(' '.join(str(error).split()), 300)}"
