"""Single files, written in one step."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kseq.errors import ConfigError, OutputError
from kseq.storage import _disk
from kseq.storage._journal import HIDDEN, REPEATED, hidden_name
from kseq.storage._kinds import is_file
from kseq.storage._locks import Busy, Lock
from kseq.storage._places import make_parents, reason_of, remove_empty, require_other, shortened


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one step: another process, or a reader after a power failure, finds the old one or the new one.

    Args:
        path: The file. Its folder must exist.
        content: The content of the file.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as temporary:
        _disk.disk.write(temporary, content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file in one step at the end of the context; leave it as it was if the context raises.

    Args:
        path: The file. Its folder must exist.

    Yields:
        Path: A hidden name beside ``path`` with the same suffix. Write the new file there.

    Raises:
        OSError: The new file cannot be moved to ``path``.

    Example:
        >>> with replacing(Path("table.csv")) as temporary:  # doctest: +SKIP
        ...     temporary.write_text("cell,loss")
    """
    if path.is_symlink():
        # The file that is meant is replaced, not the link to it.
        path = path.resolve()
    hidden = hidden_name(path)
    temporary = hidden.with_name(hidden.name + path.suffix)
    try:
        yield temporary
        _disk.disk.sync(temporary)
        _disk.disk.rename(temporary, path)
        _disk.disk.sync(path.parent)
    except BaseException:
        _disk.disk.unlink(temporary)
        raise


@contextlib.contextmanager
def file(path: Path, require_own: Callable[[Path], None], inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Lock a file before the work that ends in writing it, and make its folder where that is missing.

    Args:
        path: The file.
        require_own: Called with ``path``; raises a ConfigError where a file stands there that
            kseq did not write.
        inputs: Files that are read, and must not be overwritten. Defaults to none.

    Raises:
        ConfigError: The file cannot be written or locked, is one of ``inputs``, or was not written by kseq.
    """
    made: list[Path] = []
    lock, name = None, path.parent / f".{path.name}.kseq-lock"
    try:
        require_other(path, inputs)
        require_own(path)
        make_parents(path.parent, made)
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.write(b"0")
        lock = Lock(name)
    except (OSError, ValueError) as error:
        remove_empty(made)
        raise ConfigError(
            f"{shortened(path)} cannot be written ({reason_of(error)}); expected a name in a folder of your own."
        ) from error
    except Busy as error:
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
        _disk.disk.unlink(name)
        lock.release()
        remove_empty(made)


def _sweep_files(path: Path) -> None:
    """Remove what processes that were killed have left of a file whose lock is held."""
    for entry in os.listdir(path.parent):
        match = HIDDEN.fullmatch(entry)
        if match and match["name"] == path.name[:REPEATED] and is_file(path.parent / entry):
            _disk.disk.unlink(path.parent / entry)


def write_file(path: Path, write: Callable[[Path], None]) -> Path:
    """Write a file in one step; if that fails, write it under another name beside it or among temporary files.

    Args:
        path: The file.
        write: Writes the content to the path that it is called with.

    Raises:
        OutputError: The file cannot be written to ``path``. The message says where it is instead, if anywhere.
    """
    try:
        with replacing(path) as temporary:
            write(temporary)
        return path
    except OSError as error:
        reason = f"{path}: no file can be written ({reason_of(error)})"
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
