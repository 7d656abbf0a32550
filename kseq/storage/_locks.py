"""Locks that end with the process that holds them."""

import os
from pathlib import Path


class Busy(Exception):
    """Another process holds a lock."""


class Lock:
    """A lock on a folder or file that the operating system releases when the process ends.

    Where the file system has no such locks there is none. Of the libraries for it, filelock keeps a file of its own in
    the folder, by whose path it knows the lock, and which an exchange of folders would carry away.

    Args:
        path: A folder, or a file, which is created where it is missing.

    Raises:
        Busy: Another process holds the lock.
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
                raise Busy from error
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
        raise Busy

    def _take_file(self, path: Path) -> None:
        """Hold a file that Windows removes when its last handle is closed, as it does when the process ends."""
        try:
            self.handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_TEMPORARY", 0))
        except FileExistsError as error:
            raise Busy from error

    def release(self) -> None:
        """Release the lock."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1
