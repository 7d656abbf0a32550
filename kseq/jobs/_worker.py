"""What runs in a worker: fetch the data, once a process, and call the job's function.

Keras and its backend keep one global state a process, so that jobs of one process run one after the other, whatever
threads ask for them.
"""

import hashlib
import importlib
import mmap
import os
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kseq.jobs.job import Context, NoState
from kseq.jobs.place import require_same
from kseq.jobs.store import FileState

#: Data of so many jobs stay in a worker: those of the folds that are being trained.
_HELD = 8

_data: "OrderedDict[str, Any]" = OrderedDict()
_one_at_a_time = threading.RLock()
_cache: dict[str, Any] = {}
_checked: set[str] = set()


@dataclass(frozen=True)
class DataFile:
    """Data in a file that workers read: pickled, with its arrays apart, which processes of a machine share in memory.

    Args:
        path: The file.
        sha256: Of its content, by which a worker knows it again.
        sizes: Bytes of the pickled object and of each array behind it.
    """

    path: str
    sha256: str
    sizes: tuple[int, ...]

    @classmethod
    def write(cls, data: Any, folder: Path) -> "DataFile":
        """Write data into a new file of a folder."""
        arrays: list[pickle.PickleBuffer] = []
        head = pickle.dumps(data, protocol=5, buffer_callback=arrays.append)
        parts = [memoryview(head), *(array.raw() for array in arrays)]
        total = hashlib.sha256()
        path = folder / f"data-{len(os.listdir(folder))}.pickle"
        with path.open("wb") as file:
            for part in parts:
                total.update(part)
                file.write(part)
                file.write(b"\0" * (-part.nbytes % 64))
        return cls(str(path), total.hexdigest(), tuple(part.nbytes for part in parts))

    def load(self) -> Any:
        """Read the data; pages of the file are copied only where they are written to."""
        with open(self.path, "rb") as file:
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        parts, start = [], 0
        for size in self.sizes:
            parts.append(whole[start : start + size])
            start += size + -size % 64
        return pickle.loads(parts[0], buffers=parts[1:])


@dataclass(frozen=True)
class Call:
    """A job as it is sent to a worker.

    Args:
        name: Of the job.
        function: The job's function, or its place, ``"module:function"``: its module may load Keras, whose backend a
            worker has to choose before.
        arguments: Its arguments.
        data: What it reads: itself, or a :class:`DataFile`.
        data_key: By which a worker knows the data again; empty where they are sent along.
        states: Folder for what a long job has done so far; None for none.
        seconds: From one such state to the next.
        place: Environment that the worker must have: the backend, and what decides numbers beside it.
        expected: What decides numbers where the run was started, see :func:`kseq.jobs.place.facts`; nothing is checked
            where it is empty.
    """

    name: str
    function: Callable[..., Any] | str
    arguments: Mapping[str, Any]
    data: Any
    data_key: str
    states: Path | None
    seconds: float
    place: Mapping[str, str]
    expected: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """A result and the seconds that it took."""

    value: Any
    seconds: float


def place_of(function: Callable[..., Any]) -> Callable[..., Any] | str:
    """Where a function is found by name; the function itself where it is found by none."""
    named = "<" not in function.__qualname__ and function.__module__ != "__main__"
    return f"{function.__module__}:{function.__qualname__}" if named else function


def _found(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def run(call: Call, data: Any = None) -> Done:
    """Run a job in this process.

    Args:
        call: The job.
        data: What it reads, where the executor brought it; by default what ``call`` holds or names.
    """
    with _one_at_a_time:
        for name, value in call.place.items():
            # Read by the backend when it is imported, if it is not yet.
            os.environ.setdefault(name, value)
        function = call.function if callable(call.function) else _found(call.function)
        expected = repr(call.expected)
        if expected not in _checked:
            require_same(call.expected)
            _checked.add(expected)
        state = NoState()
        if call.states is not None and call.states.parent.parent.is_dir():
            state = FileState(call.states, call.seconds)  # type: ignore[assignment]
        started = time.perf_counter()
        value = function(call.data if data is None else data, Context(None, state, _cache), **call.arguments)
        return Done(value, time.perf_counter() - started)


def run_with_file(call: Call) -> Done:
    """Run a job whose data are in a file, which each process reads once."""
    file: DataFile = call.data
    with _one_at_a_time:
        if file.sha256 in _data:
            _data.move_to_end(file.sha256)
        else:
            _data[file.sha256] = file.load()
            while len(_data) > _HELD:
                _data.popitem(last=False)
        return run(call, _data[file.sha256])
