"""A run's folder: what is in it, and how it gets there without ever being half-written."""

import io
import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kseq import storage
from kseq._version import __version__
from kseq.report.table import render
from kseq.storage import Folder, Kind
from kseq.storage.csv_text import csv_text
from kseq.validation import require_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kseq.bench.delivery import DataBench
    from kseq.bench.measured import Bench
    from kseq.comparison.tables import Tables
    from kseq.data import Panel, Series

#: Files that a run may leave, in the order in which they are named to the user.
FILES = (
    "table.csv", "table.md", "horizon.csv", "folds.csv", "series.csv", "predictions.csv", "predictions.parquet",
    "comparison.png", "horizon.png", "shift.png", "ranks.png", "history.csv", "history.png", "tuning.csv",
    "tuning-unfinished.csv", "tuning.journal", "report.html", "run.json",
)  # fmt: skip

#: Trials of a tuning, see :mod:`kseq.experiments._study`.
JOURNAL = "tuning.journal"

#: What is told to whoever watches, a sentence at a time.
Tell = Callable[[str], None]


def _earlier_run(record: Mapping[str, Any]) -> list[str] | None:
    """Files of a run by kseq 0.1.0, whose record does not list them: those that its contents stand for."""
    if not {"kseq", "settings", "series", "models"} <= record.keys():
        return None
    settings, series, models, folds = (record.get(key) for key in ("settings", "series", "models", "folds"))

    def more(part: Any, key: str) -> bool:
        return isinstance(part, dict) and isinstance(part.get(key), int) and part[key] > 1

    cells = isinstance(models, list) and any(isinstance(m, dict) and m.get("kind") == "cell" for m in models)
    optional = {
        "horizon.csv": more(settings, "horizon"),
        "folds.csv": isinstance(folds, list) and len(folds) > 1,
        "series.csv": more(series, "series"),
        "history.csv": cells,
        "history.png": cells,
        "tuning.csv": bool(record.get("tuning")),
    }
    always = ["table.csv", "table.md", "predictions.csv", "comparison.png", "run.json"]
    return always + [name for name, written in optional.items() if written]


def _earlier_bench(*names: str) -> Callable[[Mapping[str, Any]], list[str] | None]:
    """Files of a bench by kseq 0.1.0."""
    return lambda record: list(names) if {"machine", "measurements"} <= record.keys() else None


#: Kinds of results, by what they are called in :func:`folder`. One folder may hold one of each.
KINDS = {
    "run": Kind("run.json", FILES, _earlier_run, re.compile(r"target-[0-9]+(-[A-Za-z0-9-]+)?\.(csv|png)")),
    "forecast": Kind("forecast.json", ("forecast.csv", "forecast.png", "forecast.html", "forecast.json")),
    "bench": Kind("bench.json", ("bench.csv", "bench.png", "bench.html", "bench.json"),
                  _earlier_bench("bench.csv", "bench.json", "bench.png")),
    "explanation": Kind("explanation.json", (
        "explanation.txt", "lesson.csv", "figures.csv", "lags.csv", "inputs.csv", "gates.csv", "variants.csv",
        "problems.csv", "gradients.png", "memory.png", "gates.png", "training.png", "problems.png", "explanation.html",
        "explanation.json",
    )),
    "audit": Kind("audit.json", ("audit.csv", "audit.html", "audit.json")),
    "reading": Kind("reading.json", ("reading.png", "reading.json")),
    "data": Kind("data.json", ("data.csv", "data.html", "data.json"), _earlier_bench("data.csv", "data.json")),
}  # fmt: skip


#: Where runs go that are given no folder.
RUNS = Path("kseq-runs")


def default_folder(series: str, backend: str, now: datetime | None = None) -> Path:
    """Name a folder for a run that its user gave none: ``kseq-runs/20260131-093000-nino12-torch``.

    Of a series' name, which may be any text, letters, digits and ``.``, ``_``, ``-`` stay, 60 at most.
    """
    stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
    plain = re.sub(r"[^\w.-]+", "-", series).strip("-.")[:60]
    return RUNS / f"{stamp}-{plain or 'series'}-{backend}"


def folder(
    path: Path | None, kind: str = "run", *, inputs: Iterable[Path] = (), otherwise: Path | None = None
) -> AbstractContextManager[Folder]:
    """Make and lock a folder that can be written, before any work is done; leave nothing behind if the work fails.

    Args:
        path: Path of the folder; None for a new one by the name ``otherwise``, with a number where that is taken.
        kind: Kind of what is written, one of :data:`KINDS`.
        inputs: Files that the work reads.
        otherwise: Name of a new folder, see :func:`default_folder`.

    Raises:
        ConfigError: The folder cannot be made, written or locked, or holds other files by the names of results.
    """
    if path is None:
        assert otherwise is not None
        return storage.folder(otherwise, KINDS[kind], inputs, new=True)
    return storage.folder(path, KINDS[kind], inputs)


def write(comparison: "Tables", folder: Folder, tell: Tell | None = None, predictions: str = "csv") -> list[Path]:
    """Write all that a comparison has to say, in place of what an earlier run has left in the folder.

    Tables, forecasts and record are written before a picture is drawn, and stay where one cannot be.

    Args:
        comparison: The result.
        folder: The folder, from :func:`folder`.
        tell: Called with a sentence for each picture that cannot be drawn or written; a warning by default.
        predictions: File of the forecasts, one of :data:`kseq.validation.PREDICTIONS`.

    Raises:
        ConfigError: ``predictions`` is none of them, see :func:`kseq.validation.require_predictions`.
        OutputError: They cannot be written there; the error has the paths of those that were written elsewhere.
    """
    # Matplotlib is loaded with it, here and below, once there is something to draw.
    from kseq.report.by_lag import plot_horizon, plot_shift
    from kseq.report.plot import plot_history, plot_predictions
    from kseq.report.ranks import plot_ranks

    require_predictions(predictions)
    pictures: dict[str, Callable[[], Figure | None]] = {
        "comparison.png": lambda: plot_predictions(comparison),
        "horizon.png": lambda: plot_horizon(comparison),
        "shift.png": lambda: plot_shift(comparison),
    }
    if len(comparison.history):
        pictures["history.png"] = lambda: plot_history(comparison)
    if comparison.evidence.ranks is not None:
        pictures["ranks.png"] = lambda: plot_ranks(comparison)
    frames = _frames(comparison)
    for number, one in enumerate(comparison.by_target, start=1):
        name = file_of_target(number, one.data.series.targets[0])
        frames[f"{name}.csv"] = one.table
        pictures[f"{name}.png"] = partial(plot_predictions, one)
    contents = csvs_of({name: frame for name, frame in frames.items() if name != "predictions.csv"})
    if predictions == "csv":
        contents |= csvs_of({"predictions.csv": frames["predictions.csv"]})
    elif predictions == "parquet":
        contents["predictions.parquet"] = frames["predictions.csv"].to_parquet(index=False)
    if len(comparison.tuning) and JOURNAL in folder.listed:
        # More trials may be asked for later.
        contents[JOURNAL] = (folder.path / JOURNAL).read_bytes()
    contents["table.md"] = f"{render(comparison, 'markdown')}\n".encode()
    return write_all(folder, contents, comparison.record, pictures, tell, frames)


def file_of_target(number: int, target: object) -> str:
    """How files of a target are called, without their ending: its number, from 1, and what letters and digits it has.

    Example:
        >>> file_of_target(2, "Öl/Gas 3"), file_of_target(1, "..")
        ('target-2-l-Gas-3', 'target-1')
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", str(target)).strip("-")[:40].strip("-")
    return f"target-{number}-{plain}" if plain else f"target-{number}"


def begin_trials(folder: Folder, about: Mapping[str, Any], *, fresh: bool = False) -> Path:
    """Say in the record of a folder that a tuning is at work there; return the journal that its trials go into.

    Args:
        folder: The folder, from :func:`folder`.
        about: Entries of the record until the tuning is done.
        fresh: Whether trials of an earlier tuning are forgotten.

    Raises:
        OutputError: The folder cannot be written.
    """
    kept = b""
    if not fresh and JOURNAL in folder.listed:
        kept = (folder.path / JOURNAL).read_bytes()
    _write_unfinished({JOURNAL: kept}, folder, about)
    return folder.path / JOURNAL


def write_trials(frame: pd.DataFrame, folder: Folder) -> Path:
    """Write the trials that a tuning has finished so far; return the file.

    They stand in ``tuning.csv``, or, as long as a finished run of before stands in the folder, in a file beside it.

    Raises:
        OutputError: The file cannot be written.
    """
    name = "tuning-unfinished.csv" if "models" in folder.record else "tuning.csv"
    _write_unfinished({name: _csv(frame)}, folder, {})
    return folder.path / name


def _write_unfinished(contents: Mapping[str, bytes], folder: Folder, about: Mapping[str, Any]) -> None:
    """Put files beside what stands in a folder, and list them in its record."""
    record = folder.record
    keep = [name for name in folder.listed if name != "run.json"]
    if "models" not in record:
        # What stands there is an unfinished run too: of it only the trials are kept.
        keep = [name for name in keep if name in (JOURNAL, "tuning.csv")]
        record = {**record, **about, "finished": False}
    record = {**record, "files": [n for n in FILES if n in (*keep, *contents, "run.json")], "written_by": _written_by()}
    try:
        folder.write({**contents, "run.json": storage.to_json(record).encode()}, keep)
    except OSError as error:
        raise storage.not_written(folder.path, error) from error


def write_bench(bench: "Bench", folder: Folder, tell: Tell | None = None) -> list[Path]:
    """Write a bench's table, measurements and picture, as :func:`write` does."""
    from kseq.report.bench import plot_bench

    frames = {"bench.csv": bench.table}
    pictures = {"bench.png": lambda: plot_bench(bench)}
    return write_all(folder, csvs_of(frames), bench.record, pictures, tell, frames)


def write_data_bench(bench: "DataBench", folder: Folder, tell: Tell | None = None) -> list[Path]:
    """Write a bench of data as a table and as JSON, as :func:`write` does."""
    frames = {"data.csv": bench.table}
    return write_all(folder, csvs_of(frames), bench.record, {}, tell, frames)


def write_reading(
    data: "Series | Panel", season: int, record: Mapping[str, Any], folder: Folder, tell: Tell | None = None
) -> list[Path]:
    """Write what was read of a file, and its picture, as :func:`write` does."""
    from kseq.report.reading import plot_reading

    return write_all(folder, {}, record, {"reading.png": lambda: plot_reading(data, season)}, tell, {})


def _written_by() -> str:
    return f"kseq {__version__}"


def write_all(
    folder: Folder,
    contents: Mapping[str, bytes],
    record: Mapping[str, Any],
    pictures: Mapping[str, Callable[[], "Figure | None"]],
    tell: Tell | None,
    frames: Mapping[str, pd.DataFrame],
) -> list[Path]:
    """Write files and the record that lists them, then pictures and the page of the result.

    Args:
        folder: Of :func:`folder`.
        contents: What each file is to hold, by name.
        record: What the record holds; the files are added to it.
        pictures: Functions that draw, by file name; None of one is no picture. What goes wrong in one is told, and
            loses no file.
        tell: Called with a sentence for each picture that cannot be drawn or written; a warning by default.
        frames: Tables by the names of their files, for the page.

    Raises:
        OutputError: They cannot be written there; the error has the paths of those that were written elsewhere.
    """
    tell = tell or _warn
    kind = folder.kind

    def with_record(more: Mapping[str, bytes], names: Sequence[str]) -> dict[str, bytes]:
        listed = list(kind.in_order([*names, *more, kind.record]))
        whole = {**record, "written_by": _written_by(), "files": listed}
        return {**more, kind.record: storage.to_json(whole).encode()}

    elsewhere = folder.write_or_rescue(with_record(contents, ()))
    drawn = {}
    name_of_kind = next(name for name, own in KINDS.items() if own is kind)
    page = next((name for name in kind.names if name.endswith(".html")), None)
    makers: dict[str, Callable[[], bytes | None]] = {name: partial(_png, draw) for name, draw in pictures.items()}
    if page is not None:
        makers[page] = lambda: _page(name_of_kind, record, frames, folder.path)
    for name, make in makers.items():
        # Whatever goes wrong in a picture, nobody is to lose a training for it.
        try:
            made = make()
            if made is not None:
                drawn[name] = made
        except Exception as error:
            tell(f"{name} cannot be drawn ({type(error).__name__}: {error}); all other files are written.")
    if drawn:
        try:
            folder.write(with_record(drawn, list(contents)), keep=contents)
        except OSError as error:
            tell(f"{', '.join(drawn)} cannot be written ({error.strerror or error}); all other files are.")
    if elsewhere is not None:
        elsewhere.files = folder.files
        raise elsewhere
    return folder.files


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=5)


def _frames(comparison: "Tables") -> dict[str, pd.DataFrame]:
    """What each table holds, by the name of its file."""
    frames = {"table.csv": comparison.table, "predictions.csv": comparison.predictions}
    if comparison.data.horizon > 1:
        frames["horizon.csv"] = comparison.by_step
    if len(comparison.folds) > 1:
        frames["folds.csv"] = comparison.by_fold
    if len(comparison.tuning):
        frames["tuning.csv"] = comparison.tuning
    if comparison.several:
        frames["series.csv"] = comparison.by_series
    if len(comparison.history):
        frames["history.csv"] = comparison.history
    return frames


def _page(kind: str, record: Mapping[str, Any], frames: Mapping[str, pd.DataFrame], path: Path) -> bytes:
    """The page of a result; Bokeh is loaded with it and no earlier."""
    from kseq.report.html.pages import page_of

    return page_of(kind, json.loads(storage.to_json(record)), frames, path).encode()


def csvs_of(frames: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Contents of CSV files from their frames, by file name."""
    return {name: _csv(frame) for name, frame in frames.items()}


def _csv(frame: pd.DataFrame) -> bytes:
    return csv_text(frame).encode()


def _png(draw: Callable[[], "Figure | None"]) -> bytes | None:
    figure = draw()
    if figure is None:
        return None
    file = io.BytesIO()
    figure.savefig(file, dpi=150)
    return file.getvalue()
