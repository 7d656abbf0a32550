"""A quicker start of processes that are kseq's own: of the command line, and of those that train for it.

A user's process is left as it is: what is done here holds for all that runs in it.

====================  =================================================================================================
while it imports      what is done
====================  =================================================================================================
Keras                 Python searches for no garbage in between, and never again in what was imported. scikit-learn and
                      Matplotlib, which Keras imports where they are installed for its wrappers and galleries, are as if
                      they were not; what needs them imports them later. The compiler of PyTorch waits until something
                      is compiled (:mod:`kseq.kernels.torch_import`).
JAX                   The programs that it compiles are kept on disk, as Numba's are; ``JAX_COMPILATION_CACHE_DIR``
                      names another folder for them.
====================  =================================================================================================
"""

import contextlib
import gc
import hashlib
import importlib
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kseq.imports import wrap_import

#: Packages that Keras imports for what kseq does not use of it.
_OPTIONAL = ("matplotlib", "sklearn")

#: Bytes of compiled programs that are kept, the latest ones: those of some 300 runs with other shapes.
_KEPT = 256 * 2**20

_everything = False


def lighten_imports(*, user_code: bool = False) -> None:
    """Prepare this process for the imports of Keras and JAX, which have not begun.

    Args:
        user_code: Whether functions of a user run in it, which may use all of Keras.
    """
    wrap_import("keras", _keras)
    wrap_import("jax", _jax)
    if user_code:
        import_everything()


def import_everything() -> None:
    """Let Keras import whatever it imports elsewhere: a user's own functions are to run in this process."""
    global _everything
    _everything = True


def command(code: str) -> list[str]:
    """Command line of another process of kseq's own, which runs some code with light imports.

    Args:
        code: Python statements on one line.
    """
    return [sys.executable, "-c", f"from kseq import startup; startup.lighten_imports(); {code}"]


@contextlib.contextmanager
def _keras() -> Iterator[None]:
    """Import Keras without what takes time and serves nothing here."""
    with _no_collections(), _absent(() if _everything else _OPTIONAL):
        if os.environ.get("KERAS_BACKEND") == "torch" and not _everything:
            importlib.import_module("kseq.kernels.torch_import").defer_compiler()
        yield


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Search for no garbage for a while, and leave what is there by then out of later searches."""
    were_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if were_on:
            gc.enable()


@contextlib.contextmanager
def _absent(names: Sequence[str]) -> Iterator[None]:
    """Have packages that were not imported yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        # What Python's own documentation names to have an import raise ModuleNotFoundError.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]


@contextlib.contextmanager
def _jax() -> Iterator[None]:
    """Import JAX with a folder for compiled programs, if one can be written."""
    from kseq.kernels._cpu import folders

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = folders.first_writable(place / f"jax-{_processor()}" for place in folders.candidates())
        if folder is not None:
            _tidy(folder)
            os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
            # All programs: a run compiles some eighty, most of them in less than the second that JAX asks for.
            os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
            os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    yield


def _processor() -> str:
    """Name what programs are compiled for: machines with other instructions may share a user's folder."""
    told = set(platform.uname()[4:])
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        told.update(line for line in lines if line.startswith(("model name", "flags", "Features")))
    return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()[:12]


def _tidy(folder: Path) -> None:
    """Remove the oldest programs beyond what is kept; another process may do the same."""
    with contextlib.suppress(OSError):
        files = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in folder.iterdir())
        kept = 0
        for _, size, file in reversed(files):
            kept += size
            if kept > _KEPT:
                file.unlink(missing_ok=True)
