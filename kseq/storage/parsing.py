"""JSON from a file, parsed within bounds and checked against a schema of :mod:`kseq.storage.schemas`.

msgspec is imported with this module, which is therefore imported only where a file is read.
"""

import json
import math
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


#: Largest file that is parsed, in bytes, and the most values in it: a value takes some hundred bytes once parsed.
LARGEST, VALUES = 2**26, 2**20


#: Levels of nested lists and objects. What kseq writes has less than ten.
DEPTH = 64


def parse(content: bytes, schema: type[T], values: int = VALUES) -> T:
    """Parse JSON and check it against a schema.

    Args:
        content: UTF-8 text.
        schema: One of the classes of :mod:`kseq.storage.schemas`, or another type that msgspec knows.
        values: The most values that it may hold.

    Returns:
        What the JSON holds, without the fields that the schema does not name.

    Raises:
        ValueError: It is not JSON, or does not fit the schema. The message is one line and says where: "expected
            `int`, got `str` - at `$.settings.lookback`".

    Example:
        >>> from kseq.storage.card_schemas import CardFormat
        >>> parse(b'{"format": 1, "kseq": "0.1.0", "more": 3}', CardFormat)
        {'format': 1, 'kseq': '0.1.0'}
    """
    _require_few(content, values)
    try:
        return msgspec.json.decode(content, type=schema)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except msgspec.MsgspecError as error:
        text = str(error)
        raise ValueError(text[:1].lower() * text[1:2].islower() + text[text[1:2].islower() : 300]) from error


def _require_few(content: bytes, values: int) -> None:
    if content.count(b",") + content.count(b"[") > values:
        raise ValueError(f"it holds more than {values:,} values")


def parse_any(content: bytes) -> Any:
    """Parse JSON that no schema describes, and bound its depth.

    Raises:
        ValueError: It is not JSON, or is nested more than :data:`DEPTH` levels deep.
    """
    _require_few(content, VALUES)
    try:
        parsed = json.loads(content.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    level, depth = [parsed], 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise ValueError(f"it is nested more than {DEPTH} levels deep")
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    return parsed


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text[:30])
