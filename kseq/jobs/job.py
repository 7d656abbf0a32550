"""A job: a function, what it reads, and the facts that decide its result."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd


class State(Protocol):
    """Where a long job keeps what it has done so far."""

    def load(self, part: str) -> Any:
        """What was saved under a name; None where nothing is."""
        ...

    def save(self, part: str, value: Any, *, now: bool = False) -> None:
        """Keep a value under a name: at once, or only if the last one is old enough."""
        ...

    def due(self) -> bool:
        """Whether a value that is saved now would be kept."""
        ...


class NoState:
    """Keeps nothing: for short jobs, and where there is no store."""

    def load(self, part: str) -> Any:
        """Nothing was kept."""
        return None

    def save(self, part: str, value: Any, *, now: bool = False) -> None:
        """Keep nothing."""

    def due(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class Context:
    """What a job's function may use besides what decides its result.

    Args:
        progress: Called with what is done, the step and the number of steps; None in another process.
        state: Where a long job keeps what it has done so far; keeps nothing by default.
        cache: What a job has made that the next one in this process may use, too.
    """

    progress: Any = None
    state: State = field(default_factory=NoState)
    cache: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Job:
    """A pure function of what its facts tell: the same facts give the same result, bit for bit.

    Args:
        name: What people read of it: ``"LSTM, seeds 0-9, fold 2 of 3"``.
        function: Function of a module, called as ``function(data, context, **arguments)`` with a :class:`Context`. It
            returns dictionaries, lists, tuples, text, numbers and arrays, nested as they like.
        facts: Everything that decides the result, as JSON can hold it: a digest of the data, settings, versions.
        data: What it reads. Jobs that are given the same object share it: it is sent to each worker once.
        arguments: Further arguments of the function, small.
        trainings: How many trainings the job stands for, for counts that people read.

    Example:
        >>> Job("sum", sum, {"data": [1, 2]}).key[:12]
        '481fc652f35e'
    """

    name: str
    function: Callable[..., Any]
    facts: Mapping[str, Any]
    data: Any = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    trainings: int = 1

    @cached_property
    def key(self) -> str:
        """SHA-256 of the facts as canonical JSON: keys sorted, no spaces, numbers as Python writes them."""
        return key_of(self.facts)


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of facts as canonical JSON.

    Raises:
        TypeError: They hold what JSON cannot.
    """
    text = json.dumps(canonical(facts), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Any) -> Any:
    """Facts as JSON holds them, alike for values that are alike: tuples as lists, NumPy's numbers as Python's.

    A number that is not finite, which JSON has not, becomes text.
    """
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return canonical(value.tolist())
    if isinstance(value, list | tuple):
        return [canonical(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def digest(value: Any, leave: frozenset[str] = frozenset()) -> str:
    """SHA-256 of the content of a value, whatever objects hold it.

    joblib.hash pickles what it hashes, so that two objects with the same content, of which one has read a cached
    property, differ; here fields alone count.

    Args:
        value: Dataclasses, arrays, pandas objects, containers, text, numbers and None, nested as they like.
        leave: Names of fields that do not count, at any depth.

    Raises:
        TypeError: It holds something else.

    Example:
        >>> digest((1.0, np.arange(3))) == digest((1.0, np.arange(3)))
        True
    """
    total = hashlib.sha256()
    seen: dict[int, bytes] = {}
    _feed(value, leave, total, seen)
    return total.hexdigest()


def _feed(value: Any, leave: frozenset[str], total: Any, seen: dict[int, bytes]) -> None:
    if isinstance(value, np.ndarray) and value.dtype != object:
        # Parts share their arrays, which are read once.
        if id(value) not in seen:
            own = hashlib.sha256(f"{value.dtype.str}{value.shape}".encode())
            own.update(np.ascontiguousarray(value).view("uint8").data if value.size else b"")
            seen[id(value)] = own.digest()
        total.update(seen[id(value)])
    elif value is None or isinstance(value, str | bytes | bool | int | float | np.generic):
        total.update(f"{type(value).__name__}:{value!r};".encode())
    elif isinstance(value, range):
        total.update(f"range:{value.start},{value.stop},{value.step};".encode())
    elif isinstance(value, pd.Index | pd.Series):
        total.update(f"pandas:{value.dtype};".encode())
        if isinstance(value.dtype, pd.CategoricalDtype):
            value = value.astype(value.dtype.categories.dtype)
        found = value.to_numpy()
        _feed(found.astype("int64") if found.dtype.kind in "mM" else found, leave, total, seen)
    elif isinstance(value, pd.DataFrame):
        for name in value.columns:
            _feed(str(name), leave, total, seen)
            _feed(value[name], leave, total, seen)
    elif isinstance(value, np.ndarray | list | tuple):
        total.update(f"{len(value)}[".encode())
        for inner in value:
            _feed(inner, leave, total, seen)
    elif isinstance(value, Mapping):
        total.update(f"{len(value)}{{".encode())
        for key, inner in value.items():
            _feed(str(key), leave, total, seen)
            _feed(inner, leave, total, seen)
    elif is_dataclass(value) and not isinstance(value, type):
        total.update(f"{type(value).__name__}(".encode())
        for one in fields(value):
            if one.name not in leave:
                total.update(one.name.encode())
                _feed(getattr(value, one.name), leave, total, seen)
    elif isinstance(value, pd.Timestamp | pd.Timedelta | pd.offsets.BaseOffset) or value is pd.NaT:
        total.update(str(value).encode())
    else:
        raise TypeError(f"received a value of type {type(value).__name__}, expected arrays, numbers, text and fields.")
