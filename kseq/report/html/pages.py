"""Which page belongs to which kind of result, and how it is made again from a folder."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from kseq.errors import ConfigError
from kseq.report.html.explained import page_of_explanation, sections_of
from kseq.report.html.others import page_of_audit, page_of_bench, page_of_forecast
from kseq.report.html.page import Section
from kseq.report.html.run import page_of_run

Frames = Mapping[str, pd.DataFrame]


#: Kinds of results: their record, the page's file, and what makes the page.
PAGES: dict[str, tuple[str, str, Callable[[Mapping[str, Any], Frames], str]]] = {
    "run": ("run.json", "report.html", page_of_run),
    "explanation": ("explanation.json", "explanation.html", page_of_explanation),
    "forecast": ("forecast.json", "forecast.html", page_of_forecast),
    "bench": ("bench.json", "bench.html", page_of_bench),
    "audit": ("audit.json", "audit.html", page_of_audit),
    "data": ("data.json", "data.html", page_of_bench),
}


def page_of(kind: str, record: Mapping[str, Any], frames: Frames, folder: Path) -> str:
    """Make the page of a result that is written into a folder.

    Args:
        kind: Of the result, one of :data:`PAGES`.
        record: What its record holds.
        frames: Tables by the names of their files.
        folder: Path of the folder. The page of a run shows the explanation of its series that stands there.
    """
    if kind == "run":
        return page_of_run(record, frames, _why(record, folder))
    _, _, make = PAGES[kind]
    return make(record, frames)


def _why(run: Mapping[str, Any], folder: Path) -> list[Section]:
    """Sections of the explanation in a run's folder; none where there is none, or one of another series."""
    name, _, _ = PAGES["explanation"]
    if not (folder / name).is_file():
        return []
    record, frames = _read(folder, name)
    if record.get("series") not in (None, run["series"]["name"]):
        return []
    return [replace(section, title=f"Why: {section.title[0].lower()}{section.title[1:]}")
            for section in sections_of(record, frames)]  # fmt: skip


def of_folder(path: Path) -> dict[str, str]:
    """Make the pages of a folder again, from its files.

    Args:
        path: Of a folder that ``kseq`` has written.

    Returns:
        dict[str, str]: HTML by the name of the page's file.

    Raises:
        ConfigError: The folder holds no result, or one that cannot be read.
    """
    found = {}
    for kind, (record_name, page_name, _) in PAGES.items():
        if not (path / record_name).is_file():
            continue
        try:
            found[page_name] = page_of(kind, *_read(path, record_name), path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"received {path}, whose {record_name} does not go with its tables ({type(error).__name__}: {error}); "
                "expected a folder as kseq has written it."
            ) from error
    if not found:
        raise ConfigError(
            f"received {path}, which holds none of {', '.join(r for r, _, _ in PAGES.values())}; expected the folder "
            "of a run."
        )
    return found


def _read(path: Path, record_name: str) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Read a record and the tables that it lists."""
    record = json.loads((path / record_name).read_text("utf-8"))
    listed = [name for name in record.get("files", ()) if (path / name).is_file()]
    frames = {name: _frame(path / name) for name in listed if name.endswith(".csv")}
    kept = path / "predictions.parquet"
    if "predictions.csv" not in frames and kept.name in listed:
        frames["predictions.csv"] = pd.read_parquet(kept)
    return record, frames


def _frame(path: Path) -> pd.DataFrame:
    """Read one of kseq's own tables; ids stay text."""
    return pd.read_csv(path, dtype={"unique_id": str}, keep_default_na=False, na_values=[""])
