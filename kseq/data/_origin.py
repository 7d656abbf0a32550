"""Where a series or a panel came from, so that a run can be repeated: which function read it, with which arguments."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np

from kseq.data._source import FILE_OPTIONS
from kseq.naming import checked


class _Read(Protocol):
    """A series or a panel."""

    @property
    def fingerprint(self) -> str: ...


P = ParamSpec("P")
Data = TypeVar("Data", bound=_Read)


#: Options of reading that all readers of files take besides their own.
_MORE = (
    *FILE_OPTIONS, "id", "future", "static", "freq", "season", "missing", "date_format", "dayfirst", "sort", "wide",
)  # fmt: skip

#: Those of them that are True or False.
FLAGS = ("no_header", "dayfirst", "sort")


def shows_options(reader: Callable[P, Data]) -> Callable[P, Data]:
    """Let a reader's signature name all options, and refuse others."""
    named = inspect.signature(reader)
    parameters = {name: one for name, one in named.parameters.items() if one.kind is not one.VAR_KEYWORD}
    for name in (*_MORE, *["constant"] * (reader.__name__ == "read_panel")):
        kind = "bool | None" if name in FLAGS else inspect.Parameter.empty
        by_name = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=FILE_OPTIONS.get(name), annotation=kind
        )
        parameters.setdefault(name, by_name)
    in_view = named.replace(parameters=list(parameters.values()))
    return checked(f"kseq.{reader.__name__}", in_view=in_view)(reader)


@dataclass(frozen=True)
class Origin:
    """A call that brings a series.

    Args:
        reader: function of :mod:`kseq.data`.
        arguments: of the call, by name; a path as text, as it was given.
        sha256: fingerprint of the series as it was read.
    """

    reader: str
    arguments: dict[str, Any]
    sha256: str


def remembered(reader: Callable[P, Data]) -> Callable[P, Data]:
    """Let a function that reads a series or a panel leave its name and arguments in their ``origin``."""

    @functools.wraps(reader)
    def read(*arguments: P.args, **options: P.kwargs) -> Data:
        return remember(
            reader(*arguments, **options), reader, inspect.signature(inspect.unwrap(reader)).bind(*arguments, **options)
        )

    return read


def remember(data: Data, reader: Callable, call: inspect.BoundArguments | dict[str, Any]) -> Data:
    """Leave in new data which function read them, and with which arguments.

    Args:
        data: a series or a panel that nobody else has seen yet.
        reader: the function.
        call: its arguments.
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
