"""Results as bytes: JSON and NumPy arrays behind a checksum.

Pickle would hold any object, and run any code: a store may come from somebody else. safetensors holds arrays by name
alone and no float64 scalars or nesting, HDF5 does not write the same bytes twice. NumPy's own array format is safe and
exact, so that a result that is read back is the same bit for bit.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

_MAGIC = b"kseq-job 1\n"
_ARRAY, _TUPLE = "__array__", "__tuple__"


class Damaged(Exception):
    """Bytes that are not what was written."""


def encoded(value: Any) -> bytes:
    """Write a value as bytes.

    Args:
        value: Dictionaries with text for keys, lists, tuples, text, numbers, booleans, None and arrays of numbers,
            nested as they like.

    Returns:
        bytes: A line that names the format, the SHA-256 of what follows, and the content.

    Raises:
        TypeError: The value holds something else.

    Example:
        >>> decoded(encoded({"epochs": (3, 4), "loss": np.array([0.5])}))
        {'epochs': (3, 4), 'loss': array([0.5])}
    """
    arrays: list[np.ndarray] = []
    header = json.dumps(_plain(value, arrays)).encode()
    body = io.BytesIO()
    body.write(len(header).to_bytes(8, "little"))
    body.write(header)
    for array in arrays:
        np.lib.format.write_array(body, array, allow_pickle=False)
    content = body.getvalue()
    return _MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def decoded(content: bytes) -> Any:
    """Read what :func:`encoded` has written.

    Raises:
        Damaged: The bytes are not those that were written, or of another format.
    """
    start = len(_MAGIC) + 65
    if not content.startswith(_MAGIC) or len(content) < start + 8:
        raise Damaged("it does not begin as a kept job does")
    if hashlib.sha256(content[start:]).hexdigest().encode() != content[len(_MAGIC) : start - 1]:
        raise Damaged("its checksum is another")
    try:
        length = int.from_bytes(content[start : start + 8], "little")
        header = json.loads(content[start + 8 : start + 8 + length])
        body = io.BytesIO(content[start + 8 + length :])
        arrays = []
        while body.tell() < len(content) - start - 8 - length:
            arrays.append(np.lib.format.read_array(body, allow_pickle=False))
        return _whole(header, arrays)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Damaged(f"its content cannot be read ({error})") from error


def _plain(value: Any, arrays: list[np.ndarray]) -> Any:
    """What JSON can hold of a value; arrays are put aside, and their numbers stand for them."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        if any(not isinstance(key, str) for key in value):
            raise TypeError(f"received keys {list(value)[:3]}, expected text.")
        return {key: _plain(inner, arrays) for key, inner in value.items()}
    if isinstance(value, tuple):
        return {_TUPLE: [_plain(inner, arrays) for inner in value]}
    if isinstance(value, list):
        return [_plain(inner, arrays) for inner in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"received a result of type {type(value).__name__}, expected numbers, text and arrays.")


def _whole(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_whole(inner, arrays) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_ARRAY}:
        return arrays[value[_ARRAY]]
    if value.keys() == {_TUPLE}:
        return tuple(_whole(inner, arrays) for inner in value[_TUPLE])
    return {key: _whole(inner, arrays) for key, inner in value.items()}
