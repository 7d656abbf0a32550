"""Where a series or a panel came from, so that a run can be repeated: which function read it, with which arguments."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np

from kseq.data._options import DEFAULTS, DESCRIBED
from kseq.naming import checked


class _Read(Protocol):
    """A series or a panel."""

    @property
    def fingerprint(self) -> str: ...


P = ParamSpec("P")
Data = TypeVar("Data", bound=_Read)


def takes(options: Any) -> Callable[[Callable[P, Data]], Callable[P, Data]]:
    """Let a reader's signature and description name all options that it takes, and refuse others.

    Args:
        options: ``TypedDict`` of :mod:`kseq.data._options`, which types the reader's ``**options``.
    """

    def decorate(reader: Callable[P, Data]) -> Callable[P, Data]:
        named = inspect.signature(reader)
        own = [one for one in named.parameters.values() if one.kind is not one.VAR_KEYWORD]
        by_name = inspect.Parameter.KEYWORD_ONLY
        more = [
            inspect.Parameter(name, by_name, default=DEFAULTS.get(name), annotation=kind)
            for name, kind in options.__annotations__.items()
        ]
        described = "\n".join(_described(options))
        reader.__doc__ = re.sub(r" *\*\*options:[^\n]*", lambda _: described, reader.__doc__ or "")
        return checked(f"kseq.{reader.__name__}", in_view=named.replace(parameters=[*own, *more]))(reader)

    return decorate


def _described(options: Any) -> list[str]:
    """Lines that describe options, out of the classes that do."""
    texts = [(kind.__doc__ or "").partition("Args:\n")[2] for kind in DESCRIBED]
    found = re.finditer(r"^ {8}(\w+): .*(?:\n {12}.*)*", "\n".join(texts), re.MULTILINE)
    return [match[0] for match in found if match[1] in options.__annotations__]


@dataclass(frozen=True)
class Origin:
    """A call that brings a series.

    Args:
        reader: Function of :mod:`kseq.data`.
        arguments: Those of the call, by name; a path as text, as it was given.
        sha256: Fingerprint of the series as it was read.
    """

    reader: str
    arguments: dict[str, Any]
    sha256: str

    @property
    def files(self) -> list[Path]:
        """The file that was read, if any."""
        return [Path(self.arguments["path"])] if "path" in self.arguments else []


def remembered(reader: Callable[P, Data]) -> Callable[P, Data]:
    """Let a function that reads a series or a panel leave its name and arguments in their ``origin``."""

    @functools.wraps(reader)
    def read(*arguments: P.args, **options: P.kwargs) -> Data:
        # First, for it says what is wrong with a call.
        data = reader(*arguments, **options)
        return remember(data, reader, inspect.signature(inspect.unwrap(reader)).bind(*arguments, **options))

    return read


def remember(data: Data, reader: Callable, call: inspect.BoundArguments | dict[str, Any]) -> Data:
    """Leave in new data which function read them, and with which arguments.

    Args:
        data: A series or a panel that nobody else has seen yet.
        reader: The function.
        call: Its arguments.
    """
    signature = inspect.signature(inspect.unwrap(reader))
    bound = signature.bind(**call) if isinstance(call, dict) else call
    # Defaults too: they may be others in the next version.
    bound.apply_defaults()
    given = bound.arguments
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            given |= given.pop(parameter.name)
    plain = {name: _plain(value) for name, value in given.items()}
    # To copy it would check it twice.
    object.__setattr__(data, "origin", Origin(reader.__name__, plain, data.fingerprint))
    return data


def _plain(value: Any) -> Any:
    """Make an argument what JSON can hold: names and lists of names, numbers, and anything else by its text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, Iterable) else str(value)
