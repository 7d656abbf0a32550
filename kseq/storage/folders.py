"""Folders of results, written whole or not at all, and never over files of the user.

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
import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kseq.errors import ConfigError, OutputError
from kseq.storage import _disk
from kseq.storage._journal import complete, discard, fill, hidden_name, settle_locked, sweep
from kseq.storage._json import to_json
from kseq.storage._kinds import DRAFT, JOURNAL, Kind
from kseq.storage._locks import Busy, Lock
from kseq.storage._places import (
    holds_current_folder,
    make_numbered,
    make_parents,
    reason_of,
    remove_empty,
    require_other,
    rescue_places,
    resolve_folder,
    shortened,
)


class Folder:
    """A folder into which one run writes its results, see :func:`folder`.

    Args:
        path: The folder, as the user named it.
        kind: The kind of the results.
        new: Whether the first :meth:`write` makes the folder, with a number in its name if ``path`` exists.
            Defaults to False: the folder exists.

    Attributes:
        path: The folder; another one once the results could not be written into the first.
        written: Names of the files in it that this run has written.
        made: Folders that this run has made, the deepest first.
    """

    def __init__(self, path: Path, kind: Kind, *, new: bool = False):
        self.path, self.kind, self._new = path, kind, new
        self.written: tuple[str, ...] = ()
        self.made: list[Path] = []
        self._real = path.resolve()
        self._stack = contextlib.ExitStack()

    def lock(self) -> None:
        """Keep other processes out until :meth:`close`.

        Raises:
            ConfigError: Another process writes into the folder.
        """
        try:
            self._stack.callback(Lock(self._real).release)
        except Busy as error:
            raise ConfigError(
                f"{self.path} is being written by another run of kseq; wait until it has ended, or name another folder."
            ) from error

    def make(self) -> None:
        """Make the folder if it does not exist, with a number in its name if a new one is to be made; lock it.

        Raises:
            OSError: It cannot be made.
            ConfigError: Another process writes into it.
        """
        make_parents(self._real.parent, self.made)
        if self._new:
            self._real, self._new = make_numbered(self._real), False
            self.path = self.path.with_name(self._real.name)
            self.made.insert(0, self._real)
        elif not self._real.is_dir():
            with contextlib.suppress(FileExistsError):
                # Another run may have made it at this moment; the lock then tells.
                _disk.disk.mkdir(self._real)
                self.made.insert(0, self._real)
        self.lock()
        self.settle()

    def close(self) -> None:
        """Let other processes write into the folder."""
        self._stack.close()

    def settle(self) -> None:
        """Complete or undo what a process that was killed has begun here, and remove what it left beside."""
        settle_locked(self._real)
        sweep(self._real)

    def require_free(self, inputs: Iterable[Path] = ()) -> None:
        """Refuse a folder in which a file would be overwritten that kseq did not write, or that is read.

        Args:
            inputs: The files that are read. Defaults to none.

        Raises:
            ConfigError: There is such a file.
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
        return self.kind.read(self._real) if self.listed else {}

    @property
    def listed(self) -> tuple[str, ...]:
        """Names of the files that kseq has written into the folder, in this run and before."""
        # A new folder is made by another name where another one has this.
        return () if self._new else self.kind.listed(self._real)

    @property
    def files(self) -> list[Path]:
        """The files of this run."""
        return [self.path / name for name in self.written]

    def write(self, contents: Mapping[str, bytes], keep: Iterable[str] = ()) -> None:
        """Write files into the folder in one step; they replace all files of an earlier run.

        Args:
            contents: The content of each file by its name, the record among them.
            keep: Names of files in the record that stay as they are. Defaults to none.

        Raises:
            OSError: The files cannot be written.
        """
        if self._new:
            self.make()
        own = self.listed
        keep = [name for name in own if name in keep and name not in contents]
        taken = self._taken(contents)
        if taken:
            raise FileExistsError(None, f"another program has put {', '.join(taken)} there", str(self.path))
        new = self.kind.in_order([*contents, *keep])
        others = set(os.listdir(self._real)) - set(own)
        if others or not self._exchanged(contents, keep, new):
            self._moved(contents, [name for name in own if name not in new], new)

    def write_or_rescue(self, contents: Mapping[str, bytes]) -> OutputError | None:
        """Write files as :meth:`write` does; if that fails, into a new folder beside it or among temporary files.

        Args:
            contents: The content of each file by its name, the record among them.

        Returns:
            OutputError | None: The error to raise at the end of the work, if the files are elsewhere.

        Raises:
            OutputError: The files cannot be written anywhere.
        """
        try:
            self.write(contents)
            return None
        except OSError as error:
            asked = self.path
            for place in rescue_places(self.path, self._real):
                if self._rescued(place, contents):
                    return not_written(asked, error, self.files)
            raise not_written(self.path, error) from error

    def _rescued(self, place: Path, contents: Mapping[str, bytes]) -> bool:
        """Write into a new folder, and go on with that one."""
        try:
            other = Folder(make_numbered(place), self.kind)
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
        if os.name != "posix" or os.path.ismount(self._real) or holds_current_folder(self._real):
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
            fill(stage, contents)
            for name in keep:
                _disk.disk.copy(self._real / name, stage / name)
            _disk.disk.sync(stage)
            try:
                _disk.disk.exchange(stage, self._real)
            except (OSError, NotImplementedError):
                return False
            _disk.disk.sync(self._real.parent)
            return True
        finally:
            if os.path.lexists(self._real) and os.path.samestat(os.stat(self._real), fresh):
                self.written = new
            # What was in the folder before, or what does not come into it; the next run removes what stays.
            with contextlib.suppress(OSError):
                discard(stage, self._real)

    def _stage(self) -> Path | None:
        """Make a hidden folder beside, locked; None where the folder above is not ours to write.

        Raises:
            OSError: There is no room, or the folder above is gone.
        """
        while True:
            stage = hidden_name(self._real)
            try:
                _disk.disk.mkdir(stage)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                    return None
                raise
            try:
                # In the folder's place it must be found locked.
                self._stack.callback(Lock(stage).release)
                return stage
            except (Busy, FileNotFoundError):
                # Another run has found it before it was locked, and removes it.
                continue

    def _moved(self, contents: Mapping[str, bytes], remove: Sequence[str], new: tuple[str, ...]) -> None:
        """Write everything into a hidden folder inside, then move file by file under a journal."""
        stage = hidden_name(self._real, inside=True)
        counts = False
        try:
            _disk.disk.mkdir(stage)
            fill(stage, contents)
            free = [name for name in contents if not os.path.lexists(self._real / name)]
            journal = {"write": list(contents), "free": free, "remove": list(remove)}
            _disk.disk.write(stage / DRAFT, to_json(journal).encode())
            # From this step on the new run is the one that counts.
            _disk.disk.rename(stage / DRAFT, stage / JOURNAL)
            counts = True
            _disk.disk.sync(stage)
            complete(stage, self._real)
        except BaseException as error:
            unfinished = (stage / JOURNAL).exists()
            counts = counts or unfinished
            # Where somebody wants to end, what is left takes no time; where a file cannot be moved, it does not help.
            with contextlib.suppress(OSError):
                if not unfinished:
                    discard(stage, None)
                elif not isinstance(error, Exception):
                    complete(stage, self._real)
            raise
        finally:
            if counts:
                self.written = new


def not_written(folder: Path, error: OSError, files: Sequence[Path] = ()) -> OutputError:
    """Make the error that says that results cannot be written into their folder.

    Args:
        folder: The folder.
        error: The reason.
        files: Where the files are instead. Defaults to nowhere.
    """
    where = f"the result is in {files[0].parent}" if files else "expected a folder of your own on a disk with room"
    return OutputError(f"{folder}: files cannot be written ({reason_of(error)}); {where}.", files)


@contextlib.contextmanager
def folder(path: Path, kind: Kind, inputs: Iterable[Path] = (), *, new: bool = False) -> Iterator[Folder]:
    """Make and lock a folder that results can be written into, before any work is done.

    If the work fails, what was made is removed as far as it is empty.

    Args:
        path: The folder.
        kind: The kind of the results.
        inputs: Files that are read, and must not be overwritten. Defaults to none.
        new: Whether to make a new folder, at the first :meth:`Folder.write`: if ``path`` exists, a number is
            added to its name. A process that is killed before leaves nothing. Defaults to False.

    Raises:
        ConfigError: The folder cannot be made, written or locked, is the root or the home folder, or holds a file that
            kseq would overwrite and did not write.

    Example:
        >>> with folder(Path("run"), Kind("run.json", ("table.csv", "run.json"))) as opened:  # doctest: +SKIP
        ...     opened.write({"table.csv": b"cell,loss", "run.json": record})
    """
    place = resolve_folder(path)
    opened = Folder(path, kind, new=new)
    try:
        if new:
            place = next(parent for parent in place.parents if parent.exists())
        else:
            opened.make()
            opened.require_free(list(inputs))
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"0")
    except BaseException as error:
        opened.close()
        remove_empty(opened.made)
        if isinstance(error, OSError | ValueError):
            raise ConfigError(
                f"{shortened(path)} cannot be written ({reason_of(error)}); expected a folder of your own."
            ) from error
        raise
    try:
        yield opened
    except KeyboardInterrupt as error:
        error.add_note(_told(opened))
        raise
    finally:
        # None is removed that holds something. On Windows that is so for a lock.
        if os.name == "posix":
            remove_empty(opened.made)
        opened.close()
        remove_empty(opened.made if os.name != "posix" else ())


def _told(opened: Folder) -> str:
    if opened.written:
        return f"{opened.path} has {', '.join(opened.written)}"
    return f"nothing was written into {opened.path}"
