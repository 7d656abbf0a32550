"""Hidden files and folders, in which results are written before they are moved; a journal says how far the move is."""

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from kseq.storage import _disk
from kseq.storage._kinds import JOURNAL, is_file, is_known
from kseq.storage._locks import Busy, Lock

#: Names of what is written beside its place, before it is moved there: ``.run-kseq-0123456789abcdef``.
HIDDEN = re.compile(r"\.(?P<name>.*)-kseq-[0-9a-f]{16}(\.\w+)?", re.DOTALL)

#: Characters of a name that a hidden one repeats: names are bounded in bytes, of which a character may take four.
REPEATED = 40


def fill(stage: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        _disk.disk.write(stage / name, content)


def complete(stage: Path, folder: Path) -> None:
    """Move files as a journal says, from wherever a process that was killed had come.

    Raises:
        OSError: A file cannot be moved, or another program's is in its place.
    """
    try:
        journal = json.loads((stage / JOURNAL).read_text(encoding="utf-8"))
        write, free, remove = ([n for n in journal[key] if is_known(n)] for key in ("write", "free", "remove"))
    except (ValueError, TypeError, KeyError):
        # A journal appears whole: this one is not kseq's.
        return
    for name in write:
        if not is_file(stage / name):
            continue
        if name in free and os.path.lexists(folder / name):
            raise FileExistsError(None, f"another program has put {name} there", str(folder))
        _disk.disk.rename(stage / name, folder / name)
    for name in remove:
        _disk.disk.unlink(folder / name)
    _disk.disk.sync(folder)
    _disk.disk.unlink(stage / JOURNAL)
    discard(stage, None)


def settle(folder: Path) -> None:
    """Complete the move of files that a killed process has left unfinished; call it before results are read.

    Args:
        folder: A folder of results, or a file in it.
    """
    folder = folder if os.path.isdir(folder) else folder.parent
    if not any(not name for name, _ in _hidden_in(folder)):
        return
    # Its run is at work, and completes it itself; or the reader may not write there, and reads what there is.
    with contextlib.suppress(Busy, OSError):
        lock = Lock(folder)
        try:
            settle_locked(folder)
        finally:
            lock.release()


def settle_locked(folder: Path) -> None:
    """Complete or undo what a process that was killed has left inside a folder that is locked."""
    for name, stage in list(_hidden_in(folder)):
        if name:
            # It belongs to another folder, beside which it stands.
            continue
        if (stage / JOURNAL).is_file():
            complete(stage, folder)
        else:
            discard(stage, None)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed have left beside a folder that is locked, of its own and of others."""
    for name, stage in list(_hidden_in(folder.parent)):
        if not name:
            continue
        # What others may not remove, or are at work with, stays.
        with contextlib.suppress(Busy, OSError):
            lock = Lock(stage)
            try:
                discard(stage, folder if name == folder.name[:REPEATED] else None)
            finally:
                lock.release()


def hidden_name(path: Path, *, inside: bool = False) -> Path:
    """A name for what is written beside a folder or file, or inside a folder."""
    name, parent = ("", path) if inside else (path.name[:REPEATED], path.parent)
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


def discard(stage: Path, home: Path | None) -> None:
    """Remove a hidden folder with kseq's files in it; anything else goes home, or all stays.

    Raises:
        OSError: A file cannot be removed.
    """
    if not stage.is_dir():
        return
    entries = sorted(os.listdir(stage))
    for entry in entries:
        if is_known(entry) and is_file(stage / entry):
            continue
        if home is None or os.path.lexists(home / entry):
            return
        # Somebody saved it into the folder at the moment at which that was exchanged.
        _disk.disk.rename(stage / entry, home / entry)
    for entry in entries:
        _disk.disk.unlink(stage / entry)
    _disk.disk.rmdir(stage)
