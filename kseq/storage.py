"""Files that kseq writes: JSON, single files and folders of results, whole or not at all, and never over a user's.

The rules, the same for every command and function that writes:

- A folder of results holds a record, a JSON file such as ``run.json``, whose ``files`` name what kseq wrote there.
  Those names are replaced or removed by the next run, and nothing else in the folder is touched. A folder in which
  another file has a name that kseq would write is refused before any work, as is a file that the work reads.
- All files of a run appear in one step. A process that is killed leaves the earlier run or the new one; hidden files
  and folders that it leaves (:data:`HIDDEN`) are removed by the next run that writes beside them.
- One process at a time writes into a folder. Its lock is the operating system's, which ends with the process.
- What cannot be written where it belongs goes to a folder beside, or to that for temporary files; the error says so.

Where a folder holds nothing else it is exchanged as a whole for one that was written beside (``renameat2`` on Linux,
``renamex_np`` on macOS). Otherwise, and on file systems and mount points that do not exchange, files are written into a
hidden folder inside and moved one by one under a journal, which the next run or reader completes.
"""

import contextlib
import ctypes
import errno
import json
import math
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kseq.errors import ConfigError, OutputError

#: Names of what is written beside its place, before it is moved there: ``.run-kseq-0123456789abcdef``.
HIDDEN = re.compile(r"\.(?P<name>.*)-kseq-[0-9a-f]{16}(\.\w+)?", re.DOTALL)

#: Characters of a name that a hidden one repeats: names are bounded in bytes, of which a character may take four.
_REPEATED = 40

#: In a hidden folder inside a user's: which of its files are to be moved, and which old ones to be removed.
JOURNAL, _DRAFT = "journal.json", "draft.json"

#: Names of all files that kinds of results may have; what a process that was killed has left is removed by them.
_KNOWN = {_DRAFT}


def plain(value: Any) -> Any:
    """Make a value what JSON can hold: NumPy's numbers and arrays, tuples, and null for a number that is not finite."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(record: Mapping[str, Any]) -> str:
    """Write a record as JSON text, as :func:`plain` makes it; a newline at the end."""
    return json.dumps(plain(record), indent=2, allow_nan=False) + "\n"


class Disk:
    """Every change that kseq makes on a disk, one method a change; all of this module's go through :data:`disk`."""

    def mkdir(self, path: Path) -> None:
        """Make a folder that does not exist."""
        os.mkdir(path)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file, and have the disk keep it."""
        path.write_bytes(content)
        self.sync(path)

    def sync(self, path: Path) -> None:
        """Have the disk keep a file, or the names in a folder."""
        if path.is_dir() and os.name != "posix":
            return
        handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
        try:
            os.fsync(handle)
        except OSError:
            # Some network file systems do not sync folders; what they lack is lost in a power failure alone.
            if not path.is_dir():
                raise
        finally:
            os.close(handle)

    def copy(self, source: Path, target: Path) -> None:
        """Give a file a second name, or copy it where the file system has one name a file."""
        try:
            os.link(source, target, follow_symlinks=False)
        except (OSError, NotImplementedError):
            shutil.copy2(source, target, follow_symlinks=False)

    def rename(self, source: Path, target: Path) -> None:
        """Move a file over another, or a folder to a free name, in one step."""
        os.replace(source, target)

    def exchange(self, one: Path, other: Path) -> None:
        """Exchange the names of two folders in one step.

        Raises:
            OSError: the system or the file system cannot.
        """
        _exchange(one, other)

    def unlink(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder."""
        os.rmdir(path)


#: Through which all changes on a disk are made.
disk = Disk()

#: What asks for an exchange, in ``linux/fs.h`` and in ``sys/stdio.h`` of macOS, and the folder that paths start from.
_EXCHANGE, _FROM_HERE = 2, -100


def _exchange(one: Path, other: Path) -> None:
    if os.name != "posix":
        raise NotImplementedError
    first, second = os.fsencode(one), os.fsencode(other)
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        status = library.renameat2(_FROM_HERE, first, _FROM_HERE, second, ctypes.c_uint(_EXCHANGE))
    elif hasattr(library, "renamex_np"):
        status = library.renamex_np(first, second, ctypes.c_uint(_EXCHANGE))
    else:
        raise NotImplementedError
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))


class _Busy(Exception):
    """Another process holds a lock."""


class _Lock:
    """A lock on a folder or file that the operating system releases when the process ends.

    Where the file system has no such locks there is none. Of the libraries for it, filelock keeps a file of its own in
    the folder, by whose path it knows the lock, and which an exchange of folders would carry away.

    Args:
        path: a folder, or the name of a file, which is made.

    Raises:
        _Busy: another process holds it.
    """

    def __init__(self, path: Path):
        self.path, self.handle = path, -1
        try:
            import fcntl
        except ImportError:
            self._take_file(path / ".kseq-lock" if path.is_dir() else path)
            return
        for _ in range(10):
            handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(handle)
                raise _Busy from error
            except OSError:
                # The file system has no locks.
                os.close(handle)
                return
            try:
                same = os.path.samestat(os.fstat(handle), os.stat(path))
            except FileNotFoundError:
                same = False
            if same:
                self.handle = handle
                return
            # Between opening and locking it was exchanged or removed by its holder.
            os.close(handle)
        raise _Busy

    def _take_file(self, path: Path) -> None:
        """Hold a file that Windows removes when its last handle is closed, as it does when the process ends."""
        try:
            self.handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_TEMPORARY", 0))
        except FileExistsError as error:
            raise _Busy from error

    def release(self) -> None:
        """Let others have it."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


@dataclass(frozen=True)
class Kind:
    """Which files a kind of result may have, and which of them tells that they are kseq's.

    Args:
        record: name of the JSON file whose ``files`` lists the others.
        names: of all files that this kind may have, the record among them.
        earlier: returns the names that a record without a list stands for, written before kseq 0.2; None for a record
            that is none of kseq's.
    """

    record: str
    names: tuple[str, ...]
    earlier: Callable[[Mapping[str, Any]], Sequence[str] | None] = field(default=lambda record: None)

    def __post_init__(self) -> None:
        _KNOWN.update(self.names)

    def read(self, folder: Path) -> dict[str, Any]:
        """The record in a folder; empty where there is none that is JSON."""
        try:
            record = json.loads((folder / self.record).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}

    def listed(self, folder: Path) -> tuple[str, ...]:
        """Names of the files that stand in a folder because kseq wrote them, as its record says."""
        record = self.read(folder)
        files, written_by = record.get("files"), record.get("written_by")
        if not (isinstance(written_by, str) and written_by.startswith("kseq ") and isinstance(files, list)):
            files = self.earlier(record) or []
        if not files:
            return ()
        # Whatever a record says, nothing but a file of a name that kseq writes can be kseq's.
        return tuple(name for name in self.names if name in (*files, self.record) and _is_file(folder / name))


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


class Folder:
    """A folder that one run writes its results into, see :func:`folder`.

    Args:
        path: the folder, as its user calls it.
        kind: of the results.

    Attributes:
        path: as given; another folder once the results had to go there.
        written: names of the files of this run that stand there.
    """

    def __init__(self, path: Path, kind: Kind):
        self.path, self.kind = path, kind
        self.written: tuple[str, ...] = ()
        self._real = path.resolve()
        self._stack = contextlib.ExitStack()

    def lock(self) -> None:
        """Keep other processes out until :meth:`close`.

        Raises:
            ConfigError: another process writes into the folder.
        """
        try:
            self._stack.callback(_Lock(self._real).release)
        except _Busy as error:
            raise ConfigError(
                f"{self.path} is being written by another run of kseq; wait until it has ended, or name another folder."
            ) from error

    def close(self) -> None:
        """Let other processes write into the folder."""
        self._stack.close()

    def settle(self) -> None:
        """Complete or undo what a process that was killed has begun here, and remove what it left beside."""
        _settle(self._real)
        _sweep(self._real)

    def require_free(self, inputs: Iterable[Path] = ()) -> None:
        """Refuse files of the user's by names that kseq writes, and files that are read.

        Raises:
            ConfigError: there is one.
        """
        for name in self.kind.names:
            require_other(self.path / name, inputs)
        taken = self._taken(self.kind.names)
        if taken:
            raise ConfigError(
                f"{self.path} holds {', '.join(taken)}, which no record ({self.kind.record}) there lists as written by "
                "kseq; expected a folder without files of these names: name another, or move them."
            )

    def _taken(self, names: Iterable[str]) -> list[str]:
        own = self.kind.listed(self._real)
        return [name for name in names if os.path.lexists(self._real / name) and name not in own]

    @property
    def record(self) -> dict[str, Any]:
        """The record that stands in the folder; empty where there is none of kseq's."""
        return self.kind.read(self._real) if self.kind.listed(self._real) else {}

    @property
    def listed(self) -> tuple[str, ...]:
        """Names of the files that kseq has written into the folder, in this run and before."""
        return self.kind.listed(self._real)

    @property
    def files(self) -> list[Path]:
        """The files of this run."""
        return [self.path / name for name in self.written]

    def write(self, contents: Mapping[str, bytes], keep: Iterable[str] = ()) -> None:
        """Put files into the folder in one step, in place of all that an earlier run has left there.

        Args:
            contents: what each file is to hold, by name, the record among them.
            keep: names of files of the record that stay as they are.

        Raises:
            OSError: they cannot be written.
        """
        own = self.listed
        keep = [name for name in own if name in keep and name not in contents]
        taken = self._taken(contents)
        if taken:
            raise FileExistsError(None, f"another program has put {', '.join(taken)} there", str(self.path))
        new = tuple(name for name in self.kind.names if name in contents or name in keep)
        others = set(os.listdir(self._real)) - set(own)
        if others or not self._exchanged(contents, keep, new):
            self._moved(contents, [name for name in own if name not in new], new)

    def write_or_rescue(self, contents: Mapping[str, bytes]) -> OutputError | None:
        """Put files into the folder as :meth:`write` does; where that fails, into one beside or a temporary one.

        Returns:
            OutputError: what to raise once all is done, where they are elsewhere; None otherwise.

        Raises:
            OutputError: they cannot be written anywhere.
        """
        try:
            self.write(contents)
            return None
        except OSError as error:
            asked = self.path
            for place in _rescue_places(self.path, self._real):
                if self._rescued(place, contents):
                    return not_written(asked, error, self.files)
            raise not_written(self.path, error) from error

    def _rescued(self, place: Path, contents: Mapping[str, bytes]) -> bool:
        """Write into a new folder, and go on with that one."""
        try:
            other = Folder(_make_numbered(place), self.kind)
        except OSError:
            return False
        try:
            other.lock()
            other.write(contents)
        except OSError:
            other.close()
            remove_empty([other.path])
            return False
        self._stack.callback(other.close)
        self.path, self._real, self.written = other.path, other._real, other.written
        return True

    def _exchanged(self, contents: Mapping[str, bytes], keep: Sequence[str], new: tuple[str, ...]) -> bool:
        """Write everything into a folder beside, and exchange the two; return whether that is possible here."""
        if os.name != "posix" or os.path.ismount(self._real) or _holds_us(self._real):
            return False
        stage = self._stage()
        if stage is None:
            return False
        there, fresh = os.stat(self._real), os.stat(stage)
        try:
            if (there.st_uid, there.st_gid) != (fresh.st_uid, fresh.st_gid):
                return False
            shutil.copystat(self._real, stage)
            os.utime(stage)
            _fill(stage, contents)
            for name in keep:
                disk.copy(self._real / name, stage / name)
            disk.sync(stage)
            try:
                disk.exchange(stage, self._real)
            except (OSError, NotImplementedError):
                return False
            disk.sync(self._real.parent)
            return True
        finally:
            if os.path.lexists(self._real) and os.path.samestat(os.stat(self._real), fresh):
                self.written = new
            # What was in the folder before, or what does not come into it; the next run removes what stays.
            with contextlib.suppress(OSError):
                _discard(stage, self._real)

    def _stage(self) -> Path | None:
        """Make a hidden folder beside, locked; None where the folder above is not ours to write.

        Raises:
            OSError: there is no room, or the folder above is gone.
        """
        while True:
            stage = _hidden(self._real)
            try:
                disk.mkdir(stage)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                    return None
                raise
            try:
                # In the folder's place it must be found locked.
                self._stack.callback(_Lock(stage).release)
                return stage
            except (_Busy, FileNotFoundError):
                # Another run has found it before it was locked, and removes it.
                continue

    def _moved(self, contents: Mapping[str, bytes], remove: Sequence[str], new: tuple[str, ...]) -> None:
        """Write everything into a hidden folder inside, then move file by file under a journal."""
        stage = _hidden(self._real, inside=True)
        counts = False
        try:
            disk.mkdir(stage)
            _fill(stage, contents)
            free = [name for name in contents if not os.path.lexists(self._real / name)]
            journal = {"write": list(contents), "free": free, "remove": list(remove)}
            disk.write(stage / _DRAFT, to_json(journal).encode())
            # From this step on the new run is the one that counts.
            disk.rename(stage / _DRAFT, stage / JOURNAL)
            counts = True
            disk.sync(stage)
            _complete(stage, self._real)
        except BaseException as error:
            unfinished = (stage / JOURNAL).exists()
            counts = counts or unfinished
            # Where somebody wants to end, what is left takes no time; where a file cannot be moved, it does not help.
            with contextlib.suppress(OSError):
                if not unfinished:
                    _discard(stage, None)
                elif not isinstance(error, Exception):
                    _complete(stage, self._real)
            raise
        finally:
            if counts:
                self.written = new


def not_written(folder: Path, error: OSError, files: Sequence[Path] = ()) -> OutputError:
    """What to raise where results do not go into their folder.

    Args:
        folder: where they belong.
        error: why they do not go there.
        files: where they are instead.
    """
    where = f"the result is in {files[0].parent}" if files else "expected a folder of your own on a disk with room"
    return OutputError(f"{folder}: files cannot be written ({_reason(error)}); {where}.", files)


def _fill(stage: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        disk.write(stage / name, content)


def _complete(stage: Path, folder: Path) -> None:
    """Move files as a journal says, from wherever a process that was killed had come.

    Raises:
        OSError: a file cannot be moved, or another program's is in its place.
    """
    try:
        journal = json.loads((stage / JOURNAL).read_text(encoding="utf-8"))
        write, free, remove = ([n for n in journal[key] if n in _KNOWN] for key in ("write", "free", "remove"))
    except (ValueError, TypeError, KeyError):
        # A journal appears whole: this one is not kseq's.
        return
    for name in write:
        if not _is_file(stage / name):
            continue
        if name in free and os.path.lexists(folder / name):
            raise FileExistsError(None, f"another program has put {name} there", str(folder))
        disk.rename(stage / name, folder / name)
    for name in remove:
        disk.unlink(folder / name)
    disk.sync(folder)
    disk.unlink(stage / JOURNAL)
    _discard(stage, None)


def settle(folder: Path) -> None:
    """Complete what a process that was killed while it moved files has left in a folder; for those who read it.

    Args:
        folder: of results, or a file in it.
    """
    folder = folder if os.path.isdir(folder) else folder.parent
    if not any(not name for name, _ in _hidden_in(folder)):
        return
    # Its run is at work, and completes it itself; or the reader may not write there, and reads what there is.
    with contextlib.suppress(_Busy, OSError):
        lock = _Lock(folder)
        try:
            _settle(folder)
        finally:
            lock.release()


def _settle(folder: Path) -> None:
    """Complete or undo what a process that was killed has left inside a folder that is locked."""
    for name, stage in list(_hidden_in(folder)):
        if name:
            # It belongs to another folder, beside which it stands.
            continue
        if (stage / JOURNAL).is_file():
            _complete(stage, folder)
        else:
            _discard(stage, None)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed have left beside a folder that is locked, of its own and of others."""
    for name, stage in list(_hidden_in(folder.parent)):
        if not name:
            continue
        # What others may not remove, or are at work with, stays.
        with contextlib.suppress(_Busy, OSError):
            lock = _Lock(stage)
            try:
                _discard(stage, folder if name == folder.name[:_REPEATED] else None)
            finally:
                lock.release()


def _hidden(path: Path, *, inside: bool = False) -> Path:
    """A name for what is written beside a folder or file, or inside a folder."""
    name, parent = ("", path) if inside else (path.name[:_REPEATED], path.parent)
    return parent / f".{name}-kseq-{secrets.token_hex(8)}"


def _hidden_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Hidden folders in a folder that runs of this user have made, each with the beginning of the name it is for."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return
    for entry in entries:
        match, path = HIDDEN.fullmatch(entry), folder / entry
        if match and path.is_dir() and not path.is_symlink():
            if hasattr(os, "geteuid") and path.stat().st_uid != os.geteuid():
                continue
            yield match["name"], path


def _discard(stage: Path, home: Path | None) -> None:
    """Remove a hidden folder with kseq's files in it; anything else goes home, or all stays.

    Raises:
        OSError: a file cannot be removed.
    """
    if not stage.is_dir():
        return
    entries = sorted(os.listdir(stage))
    for entry in entries:
        if entry in _KNOWN and _is_file(stage / entry):
            continue
        if home is None or os.path.lexists(home / entry):
            return
        # Somebody saved it into the folder at the moment at which that was exchanged.
        disk.rename(stage / entry, home / entry)
    for entry in entries:
        disk.unlink(stage / entry)
    disk.rmdir(stage)


def _holds_us(path: Path) -> bool:
    """Whether the current folder is in a folder: exchanged, it would be gone for the shell that called."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return False
    return here.is_relative_to(path)


def _rescue_places(path: Path, real: Path) -> Iterator[Path]:
    """Where results go that do not go into a folder."""
    yield path.with_name(f"{path.name}-rescued") if path.name else real.with_name(f"{real.name}-rescued")
    yield Path(tempfile.gettempdir()) / f"kseq-{real.name}-rescued"


def _make_numbered(path: Path) -> Path:
    """Make a folder by a name, or by that and a number where it is taken; nobody else has made it."""
    for number in range(1, 10_000):
        numbered = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            disk.mkdir(numbered)
        except FileExistsError:
            continue
        return numbered
    raise FileExistsError(None, "all names are taken", str(path))


def require_other(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse to write a file that is read, by whatever name.

    Args:
        path: of the file to write.
        inputs: files that are read.

    Raises:
        ConfigError: it is one of them.
    """
    for other in inputs:
        try:
            same = os.path.samefile(path, other)
        except (OSError, ValueError):
            # One of them does not exist.
            continue
        if same:
            raise ConfigError(f"{path} would be written over {other}, which is read; expected another place to write.")


def _place(path: Path) -> Path:
    """The folder that a path means, links followed.

    Raises:
        ConfigError: it can be none that results are written into.
    """
    expected = "expected a new folder, or one of an earlier run"
    try:
        if path.is_symlink() and not path.exists():
            raise ConfigError(f"{path} is a link to what does not exist; {expected}.")
        real = path.resolve()
        if real.exists() and not real.is_dir():
            raise ConfigError(f"{path} cannot be written into: it is a file; {expected}.")
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{_short(path)} cannot be written ({_reason(error)}); {expected}.") from error
    if real.parent == real or real == _home():
        raise ConfigError(f"{path} is {'the root' if real.parent == real else 'your home'} folder; {expected}.")
    return real


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except (OSError, RuntimeError):
        return None


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-50:]}"


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextlib.contextmanager
def folder(path: Path, kind: Kind, inputs: Iterable[Path] = (), *, new: bool = False) -> Iterator[Folder]:
    """Make and lock a folder that results can be written into, before any work is done.

    If the work fails, what was made is removed as far as it is empty.

    Args:
        path: of the folder.
        kind: of the results.
        inputs: files that are read, and must not be written.
        new: make a folder that does not exist: where it does, the name gets a number.

    Yields:
        Folder: with ``.path``, which is ``path`` where that exists or can be made.

    Raises:
        ConfigError: the folder cannot be made, written or locked, is root or home, or holds a user's file by a name
            that kseq would write.
    """
    real = _place(path)
    made: list[Path] = []
    try:
        _make_parents(real.parent, made)
        if new:
            real = _make_numbered(real)
            path = path.with_name(real.name)
            made.insert(0, real)
        elif not real.is_dir():
            with contextlib.suppress(FileExistsError):
                # Another run may have made it at this moment; the lock then tells.
                disk.mkdir(real)
                made.insert(0, real)
        opened = Folder(path, kind)
        opened.lock()
    except (OSError, ValueError) as error:
        remove_empty(made)
        raise ConfigError(
            f"{_short(path)} cannot be written ({_reason(error)}); expected a folder of your own."
        ) from error
    except BaseException:
        remove_empty(made)
        raise
    try:
        try:
            opened.settle()
            opened.require_free(list(inputs))
            with tempfile.TemporaryFile(dir=opened.path) as probe:
                probe.write(b"0")
        except OSError as error:
            raise ConfigError(
                f"{_short(path)} cannot be written ({_reason(error)}); expected a folder of your own."
            ) from error
        yield opened
    except KeyboardInterrupt as error:
        error.add_note(_told(opened))
        raise
    finally:
        # None is removed that holds something. On Windows that is so for a lock.
        if os.name == "posix":
            remove_empty(made)
        opened.close()
        remove_empty(made if os.name != "posix" else ())


def _told(opened: Folder) -> str:
    if opened.written:
        return f"{opened.path} has {', '.join(opened.written)}"
    return f"nothing was written into {opened.path}"


def _make_parents(path: Path, made: list[Path]) -> None:
    """Make a folder and those above it; name those that were made, the deepest first."""
    for missing in reversed([p for p in (path, *path.parents) if not p.exists()]):
        with contextlib.suppress(FileExistsError):
            disk.mkdir(missing)
            made.insert(0, missing)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the deepest first, until one holds something."""
    for made in folders:
        try:
            disk.rmdir(made)
        except OSError:
            # Not there, or something is in it: not ours to remove, and nothing above it is empty either.
            return


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one step: another process, or a reader after a power failure, finds the old one or the new one.

    Args:
        path: of the file; its folder exists.
        content: what it is to hold.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as temporary:
        disk.write(temporary, content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write a file by; it takes ``path``'s place in one step if all went well.

    Args:
        path: of the file; its folder exists.

    Yields:
        Path: a hidden name with the same suffix.

    Raises:
        OSError: it cannot be moved.
    """
    if path.is_symlink():
        # The file that is meant is replaced, not the link to it.
        path = path.resolve()
    hidden = _hidden(path)
    temporary = hidden.with_name(hidden.name + path.suffix)
    try:
        yield temporary
        disk.sync(temporary)
        disk.rename(temporary, path)
        disk.sync(path.parent)
    except BaseException:
        disk.unlink(temporary)
        raise


@contextlib.contextmanager
def file(path: Path, require_own: Callable[[Path], None], inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Lock the name of a file that is written after long work, in a folder that is made where it is missing.

    Args:
        path: of the file.
        require_own: raises a ConfigError where there is a file by that name that kseq has not written.
        inputs: files that are read, and must not be written.

    Yields:
        Path: as given.

    Raises:
        ConfigError: it cannot be written or locked, is read, or is a file of the user's.
    """
    made: list[Path] = []
    lock, name = None, path.parent / f".{path.name}.kseq-lock"
    try:
        require_other(path, inputs)
        require_own(path)
        _make_parents(path.parent, made)
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.write(b"0")
        lock = _Lock(name)
    except (OSError, ValueError) as error:
        remove_empty(made)
        raise ConfigError(
            f"{_short(path)} cannot be written ({_reason(error)}); expected a name in a folder of your own."
        ) from error
    except _Busy as error:
        raise ConfigError(f"{path} is being written by another run of kseq; wait, or name another file.") from error
    except BaseException:
        remove_empty(made)
        raise
    try:
        _sweep_files(path)
        yield path
    except KeyboardInterrupt as error:
        error.add_note(f"{path} was not written" if not path.exists() else f"{path} is whole, as it was or new")
        raise
    finally:
        disk.unlink(name)
        lock.release()
        remove_empty(made)


def _sweep_files(path: Path) -> None:
    """Remove what processes that were killed have left of a file whose lock is held."""
    for entry in os.listdir(path.parent):
        match = HIDDEN.fullmatch(entry)
        if match and match["name"] == path.name[:_REPEATED] and _is_file(path.parent / entry):
            disk.unlink(path.parent / entry)


def write_file(path: Path, write: Callable[[Path], None]) -> Path:
    """Write a file in one step; where it cannot be, beside it or among temporary files.

    Args:
        path: of the file.
        write: makes the file by the name that it is given.

    Returns:
        Path: as given.

    Raises:
        OutputError: it cannot be written there; the message says where it is instead, if anywhere.
    """
    try:
        with replacing(path) as temporary:
            write(temporary)
        return path
    except OSError as error:
        reason = f"{path}: no file can be written ({_reason(error)})"
        for place in (path.parent, Path(tempfile.gettempdir())):
            other = place / f"{path.stem}-rescued-{secrets.token_hex(4)}{path.suffix}"
            try:
                with replacing(other) as temporary:
                    write(temporary)
            except OSError:
                continue
            raise OutputError(f"{reason}; it is in {other}.", [other]) from error
        raise OutputError(
            f"{reason}, nor among temporary files; expected a name in a folder of your own, on a disk with room."
        ) from error
