"""The runs of a folder: those that have ended, with their best row, and those that can go on."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.jobs import FOLDER, Store

#: Columns of the frame that :func:`runs` returns.
COLUMNS = ("run", "state", "date", "series", "backend", "kept", "trainings", "best", "metric", "score")


def runs(folder: str | Path) -> pd.DataFrame:
    """List the runs in a folder, the latest last.

    Args:
        folder: A folder of runs, such as ``kseq-runs``, or the folder of one run.

    Returns:
        pd.DataFrame: One row a run. ``state`` is ``finished``, ``running``, or ``stopped``: the same command goes on
        with it; a tuning stands there with its trials. ``kept`` of its ``trainings`` are in the store; ``best`` is the
        row with the smallest ``score`` by ``metric``, of a finished run. Values that are not known are missing.

    Example:
        >>> runs("kseq-runs")  # doctest: +SKIP
    """
    folder = Path(folder)
    places = [folder, *sorted(place for place in folder.glob("*") if place.is_dir())] if folder.is_dir() else []
    lines = [line for place in places for line in (*_finished(place), *_tuning(place), *_begun(place))]
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.sort_values("date", kind="stable", ignore_index=True)


def _finished(place: Path) -> Iterator[dict[str, Any]]:
    """The run whose record is in a folder."""
    file = place / "run.json"
    record = _json(file)
    models = record.get("models")
    if not isinstance(models, list) or not models:
        return
    metric = record.get("metric") or "mae"
    scores = {}
    for model in models:
        values = [value for value in _values(model.get(metric)) if value is not None]
        if values:
            scores[model.get("name", "")] = float(np.mean(values))
    best = min(scores, key=lambda name: scores[name], default=None)
    yield {
        "run": str(place), "state": "finished", "date": _date(file.stat().st_mtime),
        "series": record.get("series", {}).get("name"), "backend": record.get("backend"), "best": best,
        "metric": metric, "score": scores.get(best) if best is not None else None,
    }  # fmt: skip


def _values(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _tuning(place: Path) -> Iterator[dict[str, Any]]:
    """The tuning that is at work in a folder, or was stopped there: with its trials, each of so many trainings."""
    record = _json(place / "run.json")
    again = place / "tuning-unfinished.csv"
    if record.get("models") and again.exists():
        # Beside a finished run the record is that run's.
        yield {"run": f"{place} (trials)", "state": "stopped", "date": _date(again.stat().st_mtime)}
    if record.get("command") != "tune" or record.get("finished") is not False:
        return
    trials, seeds = record.get("trials"), record.get("trial_seeds", 1)
    if not isinstance(trials, int) or not isinstance(seeds, int):
        return
    try:
        done = len((place / "tuning.csv").read_bytes().splitlines()) - 1
    except OSError:
        done = 0
    yield {
        "run": f"{place} (trials)", "state": "running" if _alive(record) else "stopped",
        "date": record.get("started") or _date((place / "run.json").stat().st_mtime),
        "series": (record.get("series") or {}).get("name"), "backend": record.get("backend"),
        "kept": seeds * min(done, trials), "trainings": seeds * trials,
    }  # fmt: skip


def _begun(place: Path) -> Iterator[dict[str, Any]]:
    """Runs that have left a record beside their jobs, and have not ended."""
    store = Store(place / FOLDER)
    for name, note in store.notes.items():
        jobs = note.get("jobs")
        if note.get("finished") or not isinstance(jobs, dict):
            continue
        kept = sum(trainings for key, trainings in jobs.items() if store.has(key))
        own = (place / "run.json").exists() and place.name != ""
        yield {
            "run": str(place) if not own else f"{place} ({name})", "state": "running" if _alive(note) else "stopped",
            "date": note.get("started"), "series": note.get("series"), "backend": note.get("backend"), "kept": kept,
            "trainings": sum(jobs.values()),
        }  # fmt: skip


def _alive(note: Mapping[str, Any]) -> bool:
    """Whether the process of a run is there; one of another machine is taken for gone."""
    process = note.get("process")
    if note.get("machine") != platform.node() or not isinstance(process, int) or os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _json(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).isoformat(timespec="seconds")
