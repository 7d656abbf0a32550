"""Reading of regular files only: a folder, a pipe or a device is refused at once, without waiting for a writer."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading.

    Args:
        path: A regular file, or a link to one.

    Returns:
        BinaryIO: The open file, in binary mode.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened, or is not a regular file; ``strerror`` says which.
        ValueError: Its name holds a zero byte.

    Example:
        >>> with open_regular(Path("run.json")) as file:  # doctest: +SKIP
        ...     head = file.read(8)
    """
    # Without O_NONBLOCK opening a pipe waits for its writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, "Is a directory" if stat.S_ISDIR(mode) else "Is a pipe or a device")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, largest: int) -> bytes:
    """Read a file whole.

    Args:
        path: A regular file, or a link to one.
        largest: The most bytes that the file may hold.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened, is not a regular file, or is larger than ``largest``; ``strerror`` says which.
        ValueError: Its name holds a zero byte.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise OSError(0, f"Holds {size:,} bytes, and at most {largest:,} are read")
        return file.read(largest)
