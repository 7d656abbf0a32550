"""A run's folder: what is in it, and how it gets there without ever being half-written."""

import contextlib
import io
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kseq.errors import ConfigError
from kseq.report.bench import plot_bench
from kseq.report.forecast import plot_forecast
from kseq.report.plot import plot_history, plot_predictions
from kseq.report.table import render

if TYPE_CHECKING:
    from kseq.bench import Bench
    from kseq.comparison.result import Comparison
    from kseq.databench import DataBench
    from kseq.forecasting.forecast import Forecast

#: Files that a run may leave, in the order in which they are named to the user.
FILES = (
    "table.csv", "table.md", "horizon.csv", "folds.csv", "series.csv", "predictions.csv", "comparison.png",
    "history.csv", "history.png", "tuning.csv", "run.json",
)  # fmt: skip


def default_folder(series: str, backend: str, now: datetime | None = None) -> Path:
    """Name a folder for a run that its user gave none: ``kseq-runs/20260131-093000-nino12-torch``.

    Of a series' name, which may be any text, letters, digits and ``.``, ``_``, ``-`` stay, 60 at most.
    """
    stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
    plain = re.sub(r"[^\w.-]+", "-", series).strip("-.")[:60]
    return Path("kseq-runs") / f"{stamp}-{plain or 'series'}-{backend}"


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
    """Write all that a comparison has to say into a folder that exists.

    Everything is made before the first file is touched. What an earlier run left in the folder is replaced, or removed
    where this run has nothing of the kind.

    Returns:
        list[Path]: the files written.

    Raises:
        ConfigError: a file cannot be written.
    """
    return _write_all(_contents(comparison), path, FILES)


def write_trials(frame: pd.DataFrame, path: Path) -> Path:
    """Write the trials that a tuning has finished so far into a folder that exists; return the file.

    Raises:
        ConfigError: the file cannot be written.
    """
    return _write_all({"tuning.csv": _csv(frame).encode()}, path, ("tuning.csv",))[0]


def write_bench(bench: "Bench", path: Path) -> list[Path]:
    """Write a bench's table, measurements and picture into a folder that exists, all or none; return the files.

    Raises:
        ConfigError: a file cannot be written.
    """
    contents = {
        "bench.csv": _csv(bench.table).encode(),
        "bench.json": _json(bench.record).encode(),
        "bench.png": _png(plot_bench(bench)),
    }
    return _write_all(contents, path, tuple(contents))


def write_data_bench(bench: "DataBench", path: Path) -> list[Path]:
    """Write a bench of data as a table and as JSON into a folder that exists, both or none; return the files.

    Raises:
        ConfigError: a file cannot be written.
    """
    contents = {"data.csv": _csv(bench.table).encode(), "data.json": _json(bench.record).encode()}
    return _write_all(contents, path, tuple(contents))


def write_forecast(forecast: "Forecast", path: Path) -> list[Path]:
    """Write a forecast as CSV and as a picture into a folder that exists, both or none; return the files.

    Raises:
        ConfigError: a file cannot be written.
    """
    contents = {"forecast.csv": _csv(forecast.frame).encode(), "forecast.png": _png(plot_forecast(forecast))}
    return _write_all(contents, path, tuple(contents))


def _write_all(contents: Mapping[str, bytes], path: Path, names: Sequence[str]) -> list[Path]:
    """Write files into a folder, none in its place before all are written; remove those that are named and not given.

    Returns:
        list[Path]: the files written, in the order of ``names``.
    """
    try:
        with contextlib.ExitStack() as stack:
            for name, content in contents.items():
                stack.enter_context(replacing(path / name)).write_bytes(content)
        for name in names:
            if name not in contents:
                (path / name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"received --out {path}, where files cannot be written ({error.strerror}); expected a folder of your own "
            "on a disk with room."
        ) from error
    return [path / name for name in names if name in contents]


def _contents(comparison: "Comparison") -> dict[str, bytes]:
    """What each file is to hold."""
    texts = {
        "table.csv": render(comparison, "csv") + "\n",
        "table.md": render(comparison, "markdown") + "\n",
        "predictions.csv": _csv(comparison.predictions),
        "run.json": _json(comparison.record),
    }
    if comparison.data.horizon > 1:
        texts["horizon.csv"] = _csv(comparison.by_step)
    if len(comparison.folds) > 1:
        texts["folds.csv"] = _csv(comparison.by_fold)
    if len(comparison.tuning):
        texts["tuning.csv"] = _csv(comparison.tuning)
    if comparison.panel is not None:
        texts["series.csv"] = _csv(comparison.by_series)
    pictures = {"comparison.png": plot_predictions(comparison)}
    if len(comparison.history):
        texts["history.csv"] = _csv(comparison.history)
        pictures["history.png"] = plot_history(comparison)
    return {name: text.encode() for name, text in texts.items()} | {
        name: _png(figure) for name, figure in pictures.items()
    }


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _json(record: Mapping[str, Any]) -> str:
    return json.dumps(plain(record), indent=2, allow_nan=False) + "\n"


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, dpi=150)
    return file.getvalue()


def plain(value: Any) -> Any:
    """Make a value what JSON can hold: NumPy's numbers and arrays, tuples, and null for a number that is not finite."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
