"""Forecasts that others made, as rows of a comparison: what they are read from, what each row is, and where it stands.

Forecasts are matched to the test windows by series, date and cutoff. Whatever does not match is told before anything
is trained: rows on other points, or against another truth, cannot be compared.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.comparison._matching import Matching
from kseq.errors import DataError
from kseq.evaluation.forecasts import Forecasts, read_forecasts
from kseq.evaluation.intervals import Interval
from kseq.evaluation.model_result import ModelResult
from kseq.models import CELL_NAMES
from kseq.preprocessing.windows import WindowedPanel
from kseq.text import listed, visible

#: Rows that are baselines unless others are named, in lower case and without what stands in brackets.
BASELINES = (
    "persistence", "seasonal naive", "climatology", "climatology + ar", "ar", "ets", "naive", "seasonalnaive",
    "historicaverage", "windowaverage", "seasonalwindowaverage", "seasonal_naive", "randomwalkwithdrift",
    "naiveseasonal", "naivemean", "naivedrift", "naivemovingaverage", "forecasterequivalentdate",
)  # fmt: skip


_MEAN = re.compile(r"(?P<model>.+) x(?P<seeds>\d+) mean")


@dataclass(frozen=True, eq=False)
class Others:
    """Forecasts that others made, before they are matched.

    Args:
        given: A frame, ``{name: frame}`` or ``{name: array}``, see :func:`read_others`.
        path: The file that they were read from; None for none.
        sha256: SHA-256 of the file, or of the values.
    """

    given: Any
    path: Path | None = None
    sha256: str = ""

    @property
    def label(self) -> str:
        """What tells their rows from rows of the same name."""
        return self.path.stem if self.path is not None else "given"


def read_others(given: Any) -> Others:
    """Take forecasts as a caller gives them.

    Args:
        given: The name of a CSV or Parquet file; a frame ``unique_id, ds, [cutoff], [y], MODEL...``; or
            ``{name: forecasts}``, each a frame or an array.

    Raises:
        DataError: The file cannot be read.
    """
    if not isinstance(given, str | Path):
        return Others(given, sha256=hashlib.sha256(_content(given)).hexdigest())
    path = Path(given)
    frame = read_file_of_forecasts(path)
    return Others(frame, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _content(given: Any) -> bytes:
    """Values as bytes, for a record that says whether forecasts are the same."""
    if isinstance(given, Mapping):
        return b"".join(str(name).encode() + _content(value) for name, value in given.items())
    if hasattr(given, "to_csv"):
        return str(given.to_csv()).encode()
    return np.asarray(given).tobytes() if isinstance(given, np.ndarray) else repr(given).encode()


def read_file_of_forecasts(path: Path) -> pd.DataFrame:
    """Read forecasts from CSV or Parquet; ids stay text.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        if path.suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype={"unique_id": str})
    except (OSError, ValueError) as error:
        raise DataError(
            f"received {path}, which cannot be read ({error}); expected forecasts as CSV or Parquet."
        ) from error


def record_beside(path: Path | None) -> dict[str, Any]:
    """The record of the run that wrote a file of forecasts; empty where there is none."""
    record = path.parent / "run.json" if path is not None else None
    if path is None or record is None or not record.is_file():
        return {}
    try:
        found = json.loads(record.read_text())
    except ValueError:
        return {}
    return found if isinstance(found, dict) and path.name in found.get("files", ()) else {}


def kind_of(model: str, models: Collection[str], baselines: Sequence[str] | None = None) -> str:
    """What a row is, by its name.

    Args:
        model: The name.
        models: Names of all rows of the same source.
        baselines: Names of those that are baselines; None for names that are known, :data:`BASELINES`.

    Example:
        >>> [kind_of(name, ["GRU", "GRU x3 mean"]) for name in ("GRU", "GRU x3 mean", "SeasonalNaive", "NHITS")]
        ['cell', 'ensemble', 'baseline', 'model']
    """
    plain = model.partition("(")[0].strip().lower()
    if model in baselines if baselines is not None else plain in BASELINES:
        return "baseline"
    mean = _MEAN.fullmatch(model)
    if mean and mean["model"] in models:
        return "ensemble"
    return "cell" if model in CELL_NAMES.values() else "model"


def seeds_of(model: str, seeds: Mapping[str, Mapping[int, str]]) -> tuple[int, ...]:
    """Seeds of a row: those of its columns or, of a mean over seeds, of the row that it is the mean of."""
    own = tuple(seed for seed in seeds[model] if seed >= 0)
    mean = _MEAN.fullmatch(model)
    if own or mean is None or mean["model"] not in seeds:
        return own
    theirs = seeds_of(mean["model"], seeds)
    return theirs if len(theirs) == int(mean["seeds"]) else tuple(range(int(mean["seeds"])))


def bands_of(
    model: str, found: Forecasts, values: Any, levels: Collection[float] | None = None
) -> dict[float, Interval]:
    """Intervals that came with a row's forecasts, of the levels for which every seed has bounds.

    A seed whose column is empty has diverged, and needs none.

    Args:
        model: The row.
        found: All forecasts.
        values: Called with names of columns, one a seed; returns ``(member, window, step, target)``.
        levels: Levels to keep; all by default.
    """
    columns = found.seeds[model]
    bounds = {seed: found.bounds.get(f"{model} (seed {seed})" if seed >= 0 else model, {}) for seed in columns}
    sound = [seed for seed, column in columns.items() if found.frame[column].notna().any()]
    shared = set.intersection(*(set(bounds[seed]) for seed in sound)) if sound else set()
    return {
        level: Interval(
            level,
            *(values([bounds[seed][level][side] if seed in sound else column for seed, column in columns.items()])
              for side in ("lo", "hi")),
        )
        for level in sorted(shared)
        if levels is None or level in levels
    }  # fmt: skip


def points_of(data: WindowedPanel) -> pd.DataFrame:
    """All test points, as a file of forecasts names them: ``unique_id, ds, cutoff, y``, target after target.

    Steps that are not to forecast are left out. Ids of several targets end with the target's name.
    """
    there = data.forecast_steps
    frames = []
    for target, column in enumerate(data.series.targets):
        ids = data.series.ids.astype(str)[data.test.series].repeat(data.horizon)
        frame = pd.DataFrame({
            "unique_id": ids if data.targets == 1 else ids + f"/{column}",
            "ds": data.test_dates,
            "cutoff": data.test_cutoffs.repeat(data.horizon),
            "y": data.test_y[..., target].ravel(),
        })  # fmt: skip
        frames.append(frame if there is None else frame[there.ravel()])
    return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True, eq=False)
class Beside:
    """Rows of others, matched to the test windows of a comparison.

    Args:
        rows: The rows, by the names that they have in their source.
        others: The forecasts before they were matched, which say where they come from.
        notes: Sentences on what was left out.
    """

    rows: list[ModelResult]
    others: Others
    notes: list[str] = field(default_factory=list)

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` holds of them."""
        path = self.others.path
        return {"path": str(path) if path is not None else None, "sha256": self.others.sha256,
                "models": [row.name for row in self.rows]}  # fmt: skip

    def renamed(self, rows: Sequence[ModelResult]) -> list[str]:
        """Sentences on these rows, as they are called beside others."""
        changed = [f"{old.name} is {new.name}" for old, new in zip(self.rows, rows, strict=True)
                   if old.name != new.name]  # fmt: skip
        source = self.others.path.name if self.others.path is not None else "the caller"
        said = [f"Forecasts of others, from {source}: {listed([row.name for row in rows])}. Nothing here says what "
                "they were fitted to; they may have seen the test part."]  # fmt: skip
        return said + [f"Rows of {source} whose names are taken: {', '.join(changed)}."] * bool(changed)

    def named(self, taken: Collection[str]) -> Iterator[ModelResult]:
        """The rows, those whose names are taken with the name of their source behind their own."""
        used = set(taken)
        for row in self.rows:
            name = row.name if row.name not in used else f"{row.name} ({self.others.label})"
            number = 2
            while name in used:
                name, number = f"{row.name} ({self.others.label} {number})", number + 1
            used.add(name)
            yield replace(row, name=name)


def beside(data: WindowedPanel, others: Others, levels: Sequence[float] = ()) -> Beside:
    """Match forecasts of others to the test windows of a comparison.

    Args:
        data: The windows.
        others: The forecasts.
        levels: Percents of the intervals that the comparison shows; bounds of others are left out.

    Raises:
        DataError: They are not forecasts of these points; the message has a sentence for each mismatch.
    """
    if isinstance(others.given, Mapping) and not any(hasattr(value, "columns") for value in others.given.values()):
        return _of_arrays(data, others)
    found, wanted = read_forecasts(others.given), points_of(data)
    if "y" not in found.frame:
        found.frame = found.frame.assign(y=np.nan)
    frame, place, notes = Matching(data, found, wanted).matched()
    shape = data.targets, len(data.test), data.horizon
    there = data.forecast_steps
    every = np.arange(np.prod(shape)).reshape(shape)
    spots = every.ravel() if there is None else every[:, there].ravel()

    def values(columns: Sequence[str]) -> np.ndarray:
        whole = np.zeros((len(columns), int(np.prod(shape))))
        whole[:, spots] = frame[list(columns)].to_numpy(float)[place].T
        return whole.reshape(-1, *shape).transpose(0, 2, 3, 1)

    rows = []
    for model, columns in found.seeds.items():
        forecasts = values(list(columns.values()))
        sound = np.isfinite(forecasts).all(axis=(1, 2, 3))
        bands = {level: band for level, band in bands_of(model, found, values, levels).items()
                 if np.isfinite(band.lo[sound]).all() and np.isfinite(band.hi[sound]).all()}  # fmt: skip
        if missing := [f"{level:g}" for level in levels if bands and level not in bands]:
            shown = " and ".join(missing)
            notes.append(f"{model} came without {shown} % intervals; where other rows have them, metrics of quantiles "
                         "leave it out.")  # fmt: skip
        kind = kind_of(model, found.seeds)
        rows.append(
            ModelResult(
                model, forecasts, "model" if kind == "cell" else kind,
                seeds=seeds_of(model, found.seeds), bands=bands,
            )
        )  # fmt: skip
    return Beside(rows, others, notes)


def _of_arrays(data: WindowedPanel, others: Others) -> Beside:
    """Rows of arrays, whose values stand in the order of the test windows."""
    shape = (len(data.test), data.horizon, data.targets)
    rows, wrong = [], []
    for name, given in others.given.items():
        try:
            values = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            wrong.append(f"{visible(name)}: received {type(given).__name__}, expected numbers")
            continue
        size = int(np.prod(shape))
        members = 1 if values.size == size else len(values) if values.ndim > 1 and values[0].size == size else 0
        if not members:
            wrong.append(
                f"{visible(name)}: received an array of shape {values.shape}, expected {shape}, windows, steps and "
                "targets, with an axis of seeds in front where there are several"
            )
        elif not np.isfinite(values).all():
            wrong.append(f"{visible(name)}: received {int((~np.isfinite(values)).sum())} values of NaN or infinity, "
                         "expected a forecast of each test point")  # fmt: skip
        else:
            kind = kind_of(str(name), list(map(str, others.given)))
            rows.append(
                ModelResult(str(name), values.reshape(members, *shape), "model" if kind == "cell" else kind,
                            seeds=tuple(range(members)) if members > 1 else ())
            )  # fmt: skip
    if wrong:
        raise DataError("forecasts to stand beside the rows do not match: " + "; ".join(wrong) + ".")
    if not rows:
        raise DataError("received no forecasts to stand beside the rows, expected {name: forecasts}.")
    return Beside(rows, others)
