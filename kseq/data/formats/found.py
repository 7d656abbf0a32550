"""What a format gives: a frame, how it was read, and what the file itself says of its columns."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kseq.errors import DataError


@dataclass(frozen=True, eq=False)
class Found:
    """A table out of a file or a database.

    Args:
        frame: The rows; ids are text, and the file's own mark of a missing value is NaN.
        read: Short phrases on how it was read, to be told to the user ("the point lat 39, lon 3").
        hint: ``time``, ``id``, ``target`` and ``freq`` as the file gives them; what the user names counts instead.
    """

    frame: pd.DataFrame
    read: tuple[str, ...] = ()
    hint: Mapping[str, Any] = field(default_factory=dict)


def library(name: str, extra: str, what: object) -> Any:
    """Import a library that a format needs.

    Args:
        name: Name of the module.
        extra: Extra of kseq that brings it.
        what: The file or address, for messages.

    Raises:
        DataError: It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0].replace("_", "-")
        raise DataError(f"{what} needs {package} to be read: pip install 'kseq[{extra}]'.") from error


def reason(error: BaseException) -> str:
    """First line of a library's message, without its full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def some(names: Any, most: int = 8) -> str:
    """Names with commas between them; the first of many."""
    texts = [str(name) for name in names]
    return ", ".join(texts[:most]) + (f", ... ({len(texts)} in all)" if len(texts) > most else "")
