"""Errors that an option mends: what is printed was tried on the data that it is printed for."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from kseq.errors import ConfigError, DataError, Given

Data = TypeVar("Data")

#: So many options are tried together: one may bring the next error to light.
TOGETHER = 3


class Mendable(DataError):
    """An error that options may mend.

    Args:
        *parts: What is wrong, in pieces as those of :class:`kseq.errors.KseqError`, without a stop at its end.
        remedies: Options that may help, with their values, the likeliest first.
        otherwise: What to do where none of them does.
        also: Pieces that are said after the options that help.
    """

    def __init__(
        self,
        *parts: str,
        remedies: Sequence[Mapping[str, Any]],
        otherwise: Sequence[str] = ("mend the data",),
        also: Sequence[str] = (),
    ):
        super().__init__(*parts, "; ", *otherwise, ".")
        self.parts, self.remedies, self.also = parts, remedies, also


def mended(read: Callable[[dict[str, Any]], Data], options: Mapping[str, Any], untried: Collection[str] = ()) -> Data:
    """Read data; where that fails and options would mend it, name them in the error.

    Args:
        read: Takes options by name and reads.
        options: What the user gave.
        untried: Names of options that these data do not have.

    Raises:
        DataError: The data cannot be read as they are; names options with which they can be, where there are some.
    """
    try:
        return read(dict(options))
    except Mendable as error:
        helping = _search(read, dict(options), error, untried, TOGETHER)
        if helping is None:
            # A caller reads the public name.
            raise DataError(*error.args) from error
        pieces: list[str] = []
        for name, value in helping.items():
            pieces += [" and " if pieces else "", Given(name, _single(value), "" if value is True else _shown(value))]
        raise DataError(*error.parts, "; give ", *pieces, *error.also, ".") from error


def _search(
    read: Callable, options: dict[str, Any], error: Mendable, untried: Collection[str], depth: int
) -> dict[str, Any] | None:
    for remedy in error.remedies:
        if remedy.keys() & set(untried) or all(options.get(name) == value for name, value in remedy.items()):
            continue
        try:
            read(options | dict(remedy))
        except Mendable as next_error:
            if next_error.parts == error.parts:
                # It changed nothing.
                continue
            further = _search(read, options | dict(remedy), next_error, untried, depth - 1) if depth > 1 else None
            if further is not None:
                return dict(remedy) | further
        except (DataError, ConfigError):
            continue
        else:
            return dict(remedy)
    return None


def _single(value: Any) -> Any:
    """The one value of several that are one."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _shown(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if re.fullmatch(r"[\w.,:/+-]+", text) and text != "," else repr(text)
