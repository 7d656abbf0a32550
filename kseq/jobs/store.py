"""Finished results on disk, each in a file of its own by the key of what decides it.

A file appears whole (written beside, flushed, renamed) and holds a checksum; a file that is damaged is told and made
again. Processes may share a store: whoever finishes the same job twice writes the same bytes. What was used longest ago
is removed once the store is larger than its limit.

joblib.Memory and diskcache keep pickles, which run code when they are read; Keras's BackupAndRestore keeps weights
alone, without what early stopping and kseq's ensembles know.
"""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kseq import storage
from kseq.jobs._codec import Damaged, decoded, encoded
from kseq.jobs.job import canonical, key_of
from kseq.storage import HIDDEN

#: Name of a store in the folder of a run, or in the folder that new runs are made in.
FOLDER = ".jobs"

#: Bytes that a store holds at most; less on a disk with little room.
LIMIT = 2 * 10**9

#: Seconds from one kept state of a long job to the next.
STATE_SECONDS = 60.0

#: Stands for what is not in the store.
MISSING = object()

#: Seconds after which what a killed process has left is removed.
_STALE = 24 * 3600


class Store:
    """Results of finished jobs, by key.

    Args:
        path: Folder of the store; made with the first result.
        fresh: Whether to read nothing of what is there; what is made replaces it. Defaults to False.
        limit: Bytes that the store holds at most, 2 GB by default.

    Attributes:
        damaged: Files that were not what was written.
        failed: Why results could not be kept; empty where all were.
        removed: Number of results that were removed to make room.

    Example:
        >>> store = Store(Path("kseq-runs/.jobs"))  # doctest: +SKIP
        >>> store.put({"cell": "gru", "seeds": [0]}, {"epochs": (3,)})  # doctest: +SKIP
    """

    def __init__(self, path: Path, *, fresh: bool = False, limit: int = LIMIT):
        self.path, self.fresh, self.limit = Path(path), fresh, limit
        self.damaged: list[Path] = []
        self.failed = ""
        self.removed = 0
        self._used: set[str] = set()
        self._held: int | None = None
        self._full = False
        self._deferred: list[Callable[[], object]] = []

    def file(self, key: str) -> Path:
        """Where the result of a key is, or will be."""
        return self.path / key[:2] / f"{key}.job"

    def has(self, key: str) -> bool:
        """Whether there is a file for a key; it may be damaged."""
        return not self.fresh and self.file(key).is_file()

    def get(self, key: str) -> Any:
        """Read a result; :data:`MISSING` where there is none, or where it is damaged."""
        if self.fresh and key not in self._used:
            return MISSING
        file = self.file(key)
        try:
            content = file.read_bytes()
        except OSError:
            return MISSING
        try:
            whole = decoded(content)
            if key_of(whole["facts"]) != key:
                raise Damaged("it is the result of another job")
        except (Damaged, KeyError, TypeError):
            self.damaged.append(file)
            return MISSING
        self._used.add(key)
        with contextlib.suppress(OSError):
            # The longest unused go first where there is no room.
            os.utime(file)
        return whole["result"]

    def defer(self, action: Callable[[], object]) -> None:
        """Do something before the first result is kept, or at the end: work that is refused leaves nothing behind."""
        self._deferred.append(action)

    def flush(self) -> None:
        """Do what was deferred."""
        while self._deferred:
            self._deferred.pop(0)()

    def make(self) -> None:
        """Make the folder, as far as that is possible."""
        with contextlib.suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True)
        self.flush()

    def put(self, facts: Mapping[str, Any], result: Any) -> bool:
        """Keep a result; where that is not possible, :attr:`failed` says why and the work goes on.

        Returns:
            bool: Whether it is kept.
        """
        self.flush()
        key = key_of(facts)
        try:
            content = encoded({"facts": canonical(facts), "result": result})
            if not self._has_room(len(content)):
                return False
            file = self.file(key)
            file.parent.mkdir(parents=True, exist_ok=True)
            storage.write_bytes(file, content)
        except OSError as error:
            self.failed = error.strerror or str(error)
            return False
        self._used.add(key)
        shutil.rmtree(self._states(key), ignore_errors=True)
        return True

    def _has_room(self, size: int) -> bool:
        """Whether a result of so many bytes may be kept, for which older ones are removed; else say why not."""
        room = self._room()
        if size > room:
            self.failed = f"a result of {size / 1e6:,.0f} MB is larger than the room for them"
            return False
        if self._held is None or (self._held + size > room and not self._full):
            self._held = self._sweep(size)
            # What this run has read or made itself stays: nothing would be won by another look.
            self._full = self._held + size > room
        if self._held + size > room:
            self.failed = f"they would take more than {room / 1e9:,.1f} GB"
            return False
        self._held += size
        return True

    def _states(self, key: str) -> Path:
        return self.path / "states" / key

    def state(self, key: str, seconds: float | None = None) -> "FileState":
        """Where a long job keeps what it has done so far; removed with its result.

        Args:
            key: Of the job.
            seconds: From one kept state to the next, :data:`STATE_SECONDS` by default.
        """
        if self.fresh:
            shutil.rmtree(self._states(key), ignore_errors=True)
        return FileState(self._states(key), STATE_SECONDS if seconds is None else seconds)

    def _room(self) -> int:
        """Bytes that the store may hold: its limit, and no more than half of what is free on its disk."""
        place = self.path.absolute()
        while not place.exists():
            place = place.parent
        return min(self.limit, shutil.disk_usage(place).free // 2)

    @property
    def size(self) -> int:
        """Bytes that the store holds."""
        return sum(size for _, size, _ in self._files())

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Time of the last use, size and path of each result."""
        for folder in self.path.glob("[0-9a-f][0-9a-f]"):
            with contextlib.suppress(OSError):
                for entry in os.scandir(folder):
                    with contextlib.suppress(OSError):
                        found = entry.stat()
                        yield found.st_mtime, found.st_size, Path(entry.path)

    def sweep(self) -> None:
        """Remove what was used longest ago until the store is within its limit, and what killed processes have left.

        What this object has read or written stays; :attr:`removed` counts the results that do not.
        """
        self.flush()
        self._held = self._sweep()

    def _sweep(self, needed: int = 0) -> int:
        """Make room for so many bytes; return how many the store still holds."""
        if not self.path.is_dir():
            return 0
        now = time.time()
        files = sorted(self._files())
        held = sum(size for _, size, _ in files)
        surplus = held + needed - self._room()
        for used, size, path in files:
            if HIDDEN.fullmatch(path.name):
                if now - used > _STALE:
                    _remove(path)
            elif surplus > 0 and path.stem not in self._used:
                _remove(path)
                surplus, held, self.removed = surplus - size, held - size, self.removed + 1
        for folder in (self.path / "states").glob("*"):
            with contextlib.suppress(OSError):
                # Of jobs that nobody has gone on with for a month.
                if self.file(folder.name).exists() or now - folder.stat().st_mtime > 30 * _STALE:
                    shutil.rmtree(folder, ignore_errors=True)
        return held

    def note(self, name: str, record: Mapping[str, Any]) -> None:
        """Keep a record of a run beside the results, for ``kseq runs``."""
        with contextlib.suppress(OSError):
            folder = self.path / "runs"
            folder.mkdir(parents=True, exist_ok=True)
            storage.write_bytes(folder / f"{name}.json", storage.to_json(record).encode())

    @property
    def notes(self) -> dict[str, dict[str, Any]]:
        """Records of runs, by name."""
        found = {}
        for file in sorted((self.path / "runs").glob("[!.]*.json")):
            with contextlib.suppress(OSError, ValueError):
                record = json.loads(file.read_text(encoding="utf-8"))
                if isinstance(record, dict):
                    found[file.stem] = record
        return found


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


class FileState:
    """State of a long job in a folder of its own, a file a part; see :class:`kseq.jobs.job.State`.

    Args:
        path: The folder; made with the first state.
        seconds: From one kept state to the next.
    """

    def __init__(self, path: Path, seconds: float = STATE_SECONDS):
        self.path, self.seconds = path, seconds
        self._last = time.monotonic()

    def load(self, part: str) -> Any:
        """What was saved under a name; None where nothing is, or where it is damaged."""
        try:
            return decoded((self.path / f"{part}.state").read_bytes())
        except (OSError, Damaged):
            return None

    def due(self) -> bool:
        """Whether enough time has gone by since the last state."""
        return time.monotonic() - self._last >= self.seconds

    def save(self, part: str, value: Any, *, now: bool = False) -> None:
        """Keep a value under a name: at once, or if the last one is old enough; where there is no room, go on."""
        if not (now or self.due()):
            return
        with contextlib.suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True)
            storage.write_bytes(self.path / f"{part}.state", encoded(value))
        self._last = time.monotonic()
