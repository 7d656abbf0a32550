"""How loops are compiled, and how their machine code is kept on disk: until a file of this folder changes.

Numba's own cache ends a training where no folder can be written, where a file is damaged or where the disk is full, and
looks at a loop's own file alone, so that it goes on with old code of what the loop calls. Here a file holds the code of
one loop and signature, under a name made of all that decides it, behind a checksum. Whatever is wrong with it, the loop
is compiled again.
"""

import contextlib
import functools
import hashlib
import logging
import os
import pickle
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.extending import register_jitable

from kseq.kernels._cpu.folders import candidates, first_writable

_log = logging.getLogger("kseq")

#: Fingerprint of all that loops are made of.
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()

_SUFFIX = ".kseq-code"
_DIGEST_BYTES = hashlib.sha256().digest_size

#: For what loops call. Unlike ``njit``, it compiles one version for ``f(0)`` and ``f(n)``. Only whole loops are kept on
#: disk: a part kept by itself would outlive changes of what it calls.
part = register_jitable(nogil=True, error_model="numpy", no_cfunc_wrapper=True, no_cpython_wrapper=True)


def compiled(loop: Callable) -> Any:
    """Compile a loop when it is called: without the interpreter's lock, and kept on disk where a folder is writable."""
    made = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(loop)
    if not numba.config.DISABLE_JIT:
        made._cache = _Kept(loop)
    return made


@functools.cache
def _folder(chosen: str) -> Path | None:
    """Return the folder in which machine code is kept; None, and a word once, where none is writable."""
    found = first_writable(candidates(chosen))
    if found is None:
        _log.warning(
            "No folder for compiled loops is writable: each process compiles them anew, which takes seconds. "
            "Set NUMBA_CACHE_DIR to a writable folder."
        )
    return found


class _Kept(NullCache):
    """The machine code of one loop on disk, in the place of Numba's own cache."""

    def __init__(self, loop: Callable):
        self._name = f"{loop.__module__.rpartition('.')[2]}.{loop.__qualname__}-{sys.implementation.cache_tag}"

    @property
    def cache_path(self) -> str | None:
        found = _folder(numba.config.CACHE_DIR)
        return None if found is None else str(found)

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Return the code for a signature; None where there is none, or none that is whole."""
        target_context.refresh()
        name = self._file_name(sig, target_context.codegen())
        for place in candidates(numba.config.CACHE_DIR):
            content = _read(place / name)
            if content is not None:
                return CompileResult._rebuild(target_context, *pickle.loads(content))
        return None

    def save_overload(self, sig: Any, data: CompileResult) -> None:
        """Keep the code for a signature, if it can be kept."""
        place = _folder(numba.config.CACHE_DIR)
        if place is None or data.library.has_dynamic_globals:
            return
        if _write(place / self._file_name(sig, data.codegen), dumps(data._reduce())):
            self._clean(place)

    def _clean(self, place: Path) -> None:
        """Remove the code of earlier sources, and what a process that was killed left unfinished."""
        for path in place.glob(f"{self._name}-*{_SUFFIX}*"):
            try:
                unfinished = path.suffix != _SUFFIX
                if path.stat().st_mtime < time.time() - 3600 if unfinished else SOURCES[:12] not in path.name:
                    path.unlink(missing_ok=True)
            except OSError as error:
                _log.info("%s was not removed: %s", path, error)

    def _file_name(self, sig: Any, codegen: Any) -> str:
        """Name of all that the code depends on: sources, signature, processor, Python, Numba and LLVM."""
        decides = (SOURCES, sig, codegen.magic_tuple(), sys.version, numba.__version__, llvmlite.__version__)
        return f"{self._name}-{SOURCES[:12]}-{hashlib.sha256(repr(decides).encode()).hexdigest()[:32]}{_SUFFIX}"


def _read(path: Path) -> bytes | None:
    """Return a file's content without its checksum; None where the file is missing, unreadable or damaged."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    digest, content = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    return content if hashlib.sha256(path.name.encode() + content).digest() == digest else None


def _write(path: Path, content: bytes) -> bool:
    """Write a file whole or not at all: after a full disk, later processes compile again."""
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}")
    try:
        unfinished.write_bytes(hashlib.sha256(path.name.encode() + content).digest() + content)
        os.replace(unfinished, path)
    except OSError as error:
        _log.info("%s was not written: %s", path, error)
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        return False
    return True
