"""Records as JSON text."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Convert a value to what JSON can hold.

    Args:
        value: The value. NumPy scalars and arrays, tuples and mappings inside it are converted too.

    Returns:
        Any: Dictionaries, lists, text, numbers, booleans and ``None``; ``None`` for a number that is not finite.

    Example:
        >>> plain({"loss": np.float32(0.5), "shape": (2, 3), "best": float("nan")})
        {'loss': 0.5, 'shape': [2, 3], 'best': None}
    """
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(record: Mapping[str, Any]) -> str:
    """Convert a record to JSON text.

    Args:
        record: The record; :func:`plain` converts its values.

    Returns:
        str: Indented JSON that ends in a newline.

    Raises:
        TypeError: A value is of a type that JSON cannot hold.
    """
    return json.dumps(plain(record), indent=2, allow_nan=False) + "\n"
