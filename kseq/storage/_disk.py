"""Every change that kseq makes on a disk."""

import ctypes
import os
import shutil
from pathlib import Path


class Disk:
    """Changes on a disk, one method for each; every change of this package goes through :data:`disk`."""

    def mkdir(self, path: Path) -> None:
        """Make a folder that does not exist."""
        os.mkdir(path)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file, and flush it to the disk."""
        path.write_bytes(content)
        self.sync(path)

    def sync(self, path: Path) -> None:
        """Flush a file, or the names in a folder, to the disk."""
        if path.is_dir() and os.name != "posix":
            return
        handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
        try:
            os.fsync(handle)
        except OSError:
            # Some network file systems do not sync folders; only a power failure can lose names there.
            if not path.is_dir():
                raise
        finally:
            os.close(handle)

    def copy(self, source: Path, target: Path) -> None:
        """Give a file a second name, or copy it where the file system has no hard links."""
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
            OSError: The system or the file system cannot.
        """
        _exchange(one, other)

    def unlink(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder."""
        os.rmdir(path)


#: The object that makes all changes on a disk. Modules read it as ``_disk.disk``, so that tests can replace it there.
disk = Disk()


#: ``RENAME_EXCHANGE`` of ``linux/fs.h``, equal to ``RENAME_SWAP`` of macOS, and ``AT_FDCWD``.
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
