"""JSON: one object a line (.jsonl, .ndjson), or one list of objects (.json)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd

from kseq.data._source import Source
from kseq.data.formats.found import Found, reason
from kseq.errors import DataError

#: Lines that are objects of Python at once.
_LINES = 2**16

_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[?\s*\{")
_SUFFIXES = (".jsonl", ".ndjson", ".json")


def recognises(source: Source) -> bool:
    """Whether a source is JSON by its name or its first bytes."""
    return source.path.suffix.lower() in _SUFFIXES or _OBJECT.match(source.head) is not None


def read(source: Source) -> Found:
    """Read objects as rows; numbers stay numbers, text stays text.

    Raises:
        DataError: It is no JSON, or holds anything but objects.
    """
    content = source.whole().removeprefix(b"\xef\xbb\xbf").strip()
    if not content:
        raise DataError(f"{source} is empty; expected one JSON object a line.")
    whole = content[:1] == b"["
    parts = [pd.DataFrame(rows) for rows in (_list(source, content) if whole else _lines(source, content))]
    # A column without values so far is of objects until numbers come.
    frame = pd.concat(parts, ignore_index=True).infer_objects()
    nested = [name for name in frame if frame[name].map(type).isin([dict, list]).any()]
    if nested:
        raise DataError(
            f"{source} holds lists or objects under {str(nested[0])!r}, expected one plain value a column: one JSON "
            "object a row, as DataFrame.to_json(orient='records') writes them."
        )
    return Found(frame, ("a JSON list" if whole else "JSON lines",))


def _list(source: Source, content: bytes) -> Iterator[list[dict[str, Any]]]:
    rows = _parsed(source, content, "")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{source} is JSON, but no list of objects; expected [{{...}}, ...] or one object a line.")
    yield rows


def _lines(source: Source, content: bytes) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(content.splitlines()):
        if not line.strip():
            continue
        row = _parsed(source, line, f" in line {number}")
        if not isinstance(row, dict):
            raise DataError(f"{source} holds {str(row)[:40]!r} in line {number}; expected one JSON object a line.")
        rows.append(row)
        if len(rows) == _LINES:
            yield rows
            rows = []
    if rows:
        yield rows


def _parsed(source: Source, text: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass
    # Python and pandas write NaN and Infinity, which are no JSON.
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{source} is not JSON{where} ({reason(error)}); expected one JSON object a line, or a list of objects."
        ) from error
