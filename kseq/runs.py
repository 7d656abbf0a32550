"""A run's folder: what is in it, and how it gets there without ever being half-written."""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kseq.errors import ConfigError
from kseq.report.plot import plot_predictions
from kseq.report.table import render

if TYPE_CHECKING:
    from kseq.comparison import Comparison

#: Files that a run leaves, in the order in which they are written.
FILES = ("table.csv", "table.md", "predictions.csv", "comparison.png", "run.json")


def default_folder(series: str, backend: str, now: datetime | None = None) -> Path:
    """Name a folder for a run that its user gave none: ``kseq-runs/20260131-093000-nino12-torch``."""
    stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
    return Path("kseq-runs") / f"{stamp}-{series}-{backend}"


@contextlib.contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Make a folder that can be written, before any work is done; leave nothing behind if the work fails.

    Raises:
        ConfigError: the folder cannot be made or written.
    """
    missing = [p for p in (path, *path.parents) if not p.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        _remove_empty(missing)
        raise ConfigError(
            f"received --out {path}, which cannot be written ({error.strerror}); expected a folder of your own."
        ) from error
    try:
        yield path
    except BaseException:
        _remove_empty(missing)
        raise


def _remove_empty(folders: list[Path]) -> None:
    for made in folders:
        try:
            made.rmdir()
        except OSError:
            # Not there, or something is in it: not ours to remove, and nothing above it is empty either.
            return


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside ``path`` to write; it takes ``path``'s place in one step if all went well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files for their owner alone; a result is for whoever may read the folder.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(comparison: "Comparison", path: Path) -> list[Path]:
    """Write a comparison's table, forecasts, picture and record into a folder that exists.

    Returns:
        list[Path]: the files written.
    """
    texts = {
        "table.csv": lambda: render(comparison, "csv") + "\n",
        "table.md": lambda: render(comparison, "markdown") + "\n",
        "predictions.csv": lambda: comparison.predictions.to_csv(index=False, lineterminator="\n"),
        "run.json": lambda: json.dumps(_plain(comparison.record), indent=2, allow_nan=False) + "\n",
    }
    written = []
    for name in FILES:
        with replacing(path / name) as temporary:
            if name == "comparison.png":
                plot_predictions(comparison).savefig(temporary, dpi=150)
            else:
                temporary.write_text(texts[name](), encoding="utf-8")
        written.append(path / name)
    return written


def _plain(value: Any) -> Any:
    """Make a value what JSON can hold: NumPy's numbers and arrays, tuples, and null for a number that is not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
