"""Folders in which machine code is kept on disk between processes."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).parent


def candidates(chosen: str = "") -> Iterator[Path]:
    """Folders that may hold machine code, the preferred one first; none is created.

    Args:
        chosen: The folder that the user chose by ``NUMBA_CACHE_DIR``; ``""`` for none. Installations of kseq that share
            it, or the user's cache folder, keep their code in a subfolder each.
    """
    own = f"kseq-{_fingerprint(_PACKAGE)}"
    if chosen:
        yield Path(chosen).absolute() / own
    yield _PACKAGE / "__pycache__"
    # Without a home folder platformdirs raises RuntimeError, in older releases it returns "~/.cache", which would be a
    # folder "~" of the working directory.
    with contextlib.suppress(RuntimeError):
        user = Path(platformdirs.user_cache_dir("kseq", appauthor=False))
        if user.is_absolute():
            yield user / own


def first_writable(folders: Iterator[Path]) -> Path | None:
    """Return the first folder in which a file can be written, created if need be; None without one."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
