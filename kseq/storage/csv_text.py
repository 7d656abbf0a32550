"""Frames as CSV text, and cells that a spreadsheet would run as formulas.

A spreadsheet that opens a CSV file takes a cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return
for a formula, which may call programs or send data away. Names of series and columns come from files of others. Inside
:func:`escaping` an apostrophe is put before such text, which tells a spreadsheet that it is text;
:func:`unescaped` takes it off again. Numbers are never changed.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pandas as pd

#: Whether CSV text is escaped now.
_ESCAPING: ContextVar[bool] = ContextVar("escaping", default=False)

#: Values of a column that are looked at at once.
_CHUNK = 2**16

#: Text that is run, behind any number of apostrophes: with one more it can be told from text that had them before.
_FORMULA, _ESCAPED = re.compile(r"'*[=+\-@\t\r]"), re.compile(r"'+[=+\-@\t\r]")

#: Text that begins with a sign and is a number.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@contextlib.contextmanager
def escaping() -> Iterator[None]:
    """Escape formulas in all CSV text that is made inside this context."""
    token = _ESCAPING.set(True)
    try:
        yield
    finally:
        _ESCAPING.reset(token)


def csv_text(frame: pd.DataFrame) -> str:
    """Write a frame as CSV, without its index.

    Args:
        frame: The table.

    Returns:
        str: CSV text that ends in a newline. Formulas are escaped inside :func:`escaping`.

    Example:
        >>> with escaping():
        ...     print(csv_text(pd.DataFrame({"unique_id": ["=1+1", "shop"], "y": [-1.5, 2.0]})), end="")
        unique_id,y
        '=1+1,-1.5
        shop,2.0
    """
    return (escaped(frame) if _ESCAPING.get() else frame).to_csv(index=False, lineterminator="\n")


def escaped(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with an apostrophe before every text and column name that a spreadsheet would run."""
    return _mapped(frame, _escape)


def unescaped(frame: pd.DataFrame) -> pd.DataFrame:
    """Undo :func:`escaped`."""
    return _mapped(frame, _unescape)


def _mapped(frame: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    names = [change(name) for name in frame.columns]
    columns = [_changed(frame.iloc[:, number], change) for number in range(frame.shape[1])]
    if names == list(frame.columns) and all(column is None for column in columns):
        return frame
    parts = [frame.iloc[:, number] if column is None else column for number, column in enumerate(columns)]
    return pd.concat(parts, axis=1).set_axis(names, axis=1)


def _changed(column: pd.Series, change: Callable[[Any], Any]) -> pd.Series | None:
    """A column of text with its values changed; None where no value changes."""
    if _is_plain(column.dtype):
        return None
    # A list of all values takes more memory than the column.
    chunks = (column.iloc[first : first + _CHUNK].tolist() for first in range(0, len(column), _CHUNK))
    if all(change(value) is value for chunk in chunks for value in chunk):
        return None
    return pd.Series([change(value) for value in column.tolist()], index=column.index, name=column.name)


def _is_plain(kind: Any) -> bool:
    """Whether a column holds no text."""
    types = pd.api.types
    return types.is_numeric_dtype(kind) or types.is_bool_dtype(kind) or types.is_datetime64_any_dtype(kind)


def _escape(value: Any) -> Any:
    if not isinstance(value, str) or _FORMULA.match(value) is None or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def _unescape(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and _ESCAPED.match(value) else value
