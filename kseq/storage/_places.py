"""Places to write: which folders can be written into, how they are made and removed, and where results go otherwise."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from kseq.errors import ConfigError
from kseq.storage import _disk


def holds_current_folder(path: Path) -> bool:
    """Whether the current folder is in a folder: exchanged, it would be gone for the shell that called."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return False
    return here.is_relative_to(path)


def rescue_places(path: Path, real: Path) -> Iterator[Path]:
    """Where results go that do not go into a folder."""
    yield path.with_name(f"{path.name}-rescued") if path.name else real.with_name(f"{real.name}-rescued")
    yield Path(tempfile.gettempdir()) / f"kseq-{real.name}-rescued"


def make_numbered(path: Path) -> Path:
    """Make a folder by a name, or by that and a number where it is taken; nobody else has made it."""
    for number in range(1, 10_000):
        numbered = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            _disk.disk.mkdir(numbered)
        except FileExistsError:
            continue
        return numbered
    raise FileExistsError(None, "all names are taken", str(path))


def require_other(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse to overwrite a file that is read.

    Args:
        path: The file to write.
        inputs: The files that are read.

    Raises:
        ConfigError: ``path`` is one of ``inputs``, by this or another name.
    """
    for other in inputs:
        try:
            same = os.path.samefile(path, other)
        except (OSError, ValueError):
            # One of them does not exist.
            continue
        if same:
            raise ConfigError(f"{path} would be written over {other}, which is read; expected another place to write.")


def resolve_folder(path: Path) -> Path:
    """The folder that a path means, links followed.

    Raises:
        ConfigError: It can be none that results are written into.
    """
    expected = "expected a new folder, or one of an earlier run"
    try:
        if path.is_symlink() and not path.exists():
            raise ConfigError(f"{path} is a link to what does not exist; {expected}.")
        real = path.resolve()
        if real.exists() and not real.is_dir():
            raise ConfigError(f"{path} cannot be written into: it is a file; {expected}.")
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{shortened(path)} cannot be written ({reason_of(error)}); {expected}.") from error
    if real.parent == real or real == _home():
        raise ConfigError(f"{path} is {'the root' if real.parent == real else 'your home'} folder; {expected}.")
    return real


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except (OSError, RuntimeError):
        return None


def shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-50:]}"


def reason_of(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def make_parents(path: Path, made: list[Path]) -> None:
    """Make a folder and those above it, and put those that were made at the front of ``made``, the deepest first."""
    for missing in reversed([p for p in (path, *path.parents) if not p.exists()]):
        with contextlib.suppress(FileExistsError):
            _disk.disk.mkdir(missing)
            made.insert(0, missing)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders until one is not empty.

    Args:
        folders: The folders, the deepest first.
    """
    for made in folders:
        try:
            _disk.disk.rmdir(made)
        except OSError:
            # Not there, or something is in it: not ours to remove, and nothing above it is empty either.
            return
