"""Forecasts and training rows that are judged, brought into frames ``unique_id, ds, y`` that belong together."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq import data as data_readers
from kseq.data import Panel, Series, read_file
from kseq.errors import ConfigError, DataError
from kseq.evaluation.forecasts import Forecasts, as_dates
from kseq.text import listed, shown

#: Functions of :mod:`kseq.data` that read a file.
FILE_READERS = ("read_csv", "read_parquet", "read_panel")


def frame_of_arrays(forecasts: Any, truth: Any) -> pd.DataFrame:
    """A frame of arrays, one point after the other."""
    if not isinstance(forecasts, Mapping | pd.DataFrame):
        raise DataError(
            f"received forecasts of type {type(forecasts).__name__} with truth, expected arrays by names of models: "
            '{"mine": forecasts}.'
        )
    columns = {str(name): np.asarray(values, dtype=float).ravel() for name, values in dict(forecasts).items()}
    try:
        y = np.asarray(truth, dtype=float).ravel()
    except (TypeError, ValueError) as error:
        raise DataError(f"received truth {shown(truth)}, expected an array of true values.") from error
    wrong = {name: len(values) for name, values in columns.items() if len(values) != len(y)}
    if wrong:
        name, length = next(iter(wrong.items()))
        raise DataError(f"received {length} forecasts of {name!r} and {len(y)} true values, expected as many of each.")
    return pd.DataFrame({"unique_id": "series", "ds": np.arange(len(y)), "y": y, **columns})


def training_rows(train: Any, asked: set[str]) -> pd.DataFrame:
    """Training rows as ``unique_id, ds, y``; those of several targets have its name behind their id.

    Args:
        train: Training rows as :func:`kseq.judge` takes them.
        asked: Names of the series that are forecast, which may be columns of a frame.
    """
    if train is None:
        return pd.DataFrame({"unique_id": pd.Series(dtype=str), "ds": [], "y": pd.Series(dtype=float)})
    if isinstance(train, Series | Panel):
        panel = Panel.of(train)
        rows = np.arange(len(panel))
        rows = rows[rows < panel.ends[panel.series_of(rows)]]
        ids = np.asarray(panel.ids.astype(str))[panel.series_of(rows)].astype(object)
        several = len(panel.targets) > 1
        return pd.concat([
            pd.DataFrame({"unique_id": ids + f"/{target}" if several else ids, "ds": panel.index[rows],
                          "y": panel.y[rows, number]})
            for number, target in enumerate(panel.targets)
        ], ignore_index=True)  # fmt: skip
    if hasattr(train, "to_dataframe"):
        train = train.to_dataframe()
    if isinstance(train, pd.Series) or (isinstance(train, pd.DataFrame) and train.shape[1] == 1):
        values = np.asarray(train, dtype=float).ravel()
        return pd.DataFrame({"unique_id": "series", "ds": pd.Index(train.index), "y": values})
    if not isinstance(train, pd.DataFrame):
        values = np.asarray(train, dtype=float).ravel()
        # Forecasts of arrays are numbered from 0.
        return pd.DataFrame({"unique_id": "series", "ds": np.arange(-len(values), 0), "y": values})
    frame = train if "ds" in train else train.reset_index(names="ds")
    if "y" not in frame and asked <= set(map(str, frame.columns)):
        frame = frame.rename(columns=str).melt("ds", sorted(asked), var_name="unique_id", value_name="y").dropna()
    if "y" not in frame:
        raise DataError(f"received training columns {list(map(str, frame))}, expected unique_id, ds and y.")
    ids = frame["unique_id"].astype(str) if "unique_id" in frame else "series"
    dates = frame["ds"] if pd.api.types.is_numeric_dtype(frame["ds"]) else as_dates(frame["ds"])
    return pd.DataFrame({"unique_id": ids, "ds": dates, "y": frame["y"].astype(float)})


def read_training(path: Path, record: Mapping[str, Any], ids: Sequence[str]) -> Series | Panel:
    """Read a file as the run did whose forecasts are judged; as any other file where there is none, or it is another's.

    Args:
        path: File to read.
        record: Record of the run, ``run.json``; empty for none.
        ids: Names of the series that are forecast. Where there are several, they may be columns of the file.
    """
    origin = record.get("series", {}).get("origin") or {}
    reader, options = origin.get("reader"), dict(origin.get("arguments") or {})
    if reader in FILE_READERS and "path" in options:
        with contextlib.suppress(DataError, ConfigError, TypeError):
            return getattr(data_readers, reader)(**options | {"path": str(path)})
    try:
        return read_file(path, fill="mask")
    except DataError:
        if len(ids) > 1:
            with contextlib.suppress(DataError, ConfigError):
                wide = read_file(path, fill="mask", wide="series")
                if set(ids) <= set(Panel.of(wide).ids.astype(str)):
                    return wide
        raise


def column_of(column: str, number: int) -> str:
    """What a column of a further target is called in a frame of all targets."""
    return f"{column}\0{number}" if number else column


def by_target(
    frame: pd.DataFrame, known: pd.DataFrame, targets: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Frames in which the targets of a series stand side by side; None where ids do not end with their names.

    Args:
        frame: Forecasts, whose ids are ``SERIES/TARGET``.
        known: Training rows.
        targets: Names of the targets of the run that made the forecasts.
    """
    ends = [f"/{target}" for target in targets]
    # A name may be the end of another one.
    by_length = sorted(ends, key=len, reverse=True)
    if len(ends) < 2 or not frame["unique_id"].str.endswith(tuple(ends)).all():
        return None
    wide = []
    for part in (frame, known):
        keys = [name for name in ("unique_id", "ds", "cutoff", "fold") if name in part]
        end = part["unique_id"].map(lambda id: next((one for one in by_length if id.endswith(one)), ""))
        whole = None
        for number, one in enumerate(ends):
            own = part[end == one].assign(unique_id=lambda rows, one=one: rows["unique_id"].str.removesuffix(one))
            own = own.rename(columns={name: column_of(name, number) for name in own if name not in keys})
            whole = own if whole is None else whole.merge(own, on=keys)
        assert whole is not None
        wide.append(whole)
    if len(wide[0]) * len(ends) != len(frame):
        return None
    return wide[0], wide[1]


def of_same_series(known: pd.DataFrame, found: Forecasts, targets: Sequence[str]) -> pd.DataFrame:
    """Training rows whose series are called as in the forecasts: one series is the same, whatever it is called.

    Args:
        known: Training rows.
        found: The forecasts.
        targets: Targets of the run that made the forecasts, whose names stand behind those of the series.

    Raises:
        DataError: No series of the forecasts is among those of the training rows.
    """
    ours, theirs = (list(part["unique_id"].unique()) for part in (found.frame, known))
    if not theirs or set(ours) & set(theirs):
        missing = sorted(set(ours) - set(theirs))
        if theirs and missing:
            found.notes.append(f"Training rows lack {len(missing)} of {len(ours)} series: {listed(missing, 3)}.")
        return known
    ends = [f"/{target}" for target in targets] if len(targets) > 1 else [""]
    paired = {id: [other for other in ours if other.endswith(end)] for end in ends for id in theirs if id.endswith(end)}
    if len(ours) == len(theirs) == len(ends) and all(len(found) == 1 for found in paired.values()):
        return known.assign(unique_id=known["unique_id"].map({id: other[0] for id, other in paired.items()}))
    raise DataError(
        f"received training rows of {listed(theirs, 3)} ({len(theirs)}) and forecasts of {listed(ours, 3)} "
        f"({len(ours)}), expected the same series in both."
    )


def of_same_clock(known: pd.DataFrame, found: Forecasts) -> pd.DataFrame:
    """Training rows whose dates have the time zone of the forecasts; where one of the two has none, neither has then.

    Args:
        known: Training rows.
        found: The forecasts; their zone goes where training rows have none.
    """
    if known.empty or {known["ds"].dtype.kind, found.frame["ds"].dtype.kind} != {"M"}:
        return known
    zones = known["ds"].dt.tz, found.frame["ds"].dt.tz
    if zones[0] is not None and zones[1] is not None:
        return known.assign(ds=known["ds"].dt.tz_convert(zones[1]))
    names = [name for name in ("ds", "cutoff") if name in found.frame and found.frame[name].dtype.kind == "M"]
    found.frame = found.frame.assign(**{name: found.frame[name].dt.tz_localize(None) for name in names})
    return known.assign(ds=known["ds"].dt.tz_localize(None))


def with_truth(frame: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Forecasts with true values, from the training rows where they have none."""
    if "y" in frame:
        return frame
    if known.empty:
        raise DataError("received forecasts without y and no training rows, expected true values in one of them.")
    return frame.merge(known, on=["unique_id", "ds"], how="left")


def with_cutoffs(found: Forecasts, horizon: int) -> tuple[pd.DataFrame, bool]:
    """Points with the number of their origin in ``origin``; and whether each is an origin of its own."""
    frame = found.frame.reset_index(drop=True).copy()
    if "cutoff" in frame or "fold" in frame:
        key = "cutoff" if "cutoff" in frame else "fold"
        frame = frame.sort_values(["unique_id", key, "ds"], ignore_index=True)
        frame = frame.assign(origin=frame.groupby(["unique_id", key], sort=False).ngroup())
    else:
        frame = frame.sort_values(["unique_id", "ds"], ignore_index=True)
        several = len(frame["unique_id"].unique()) > 1
        steps = horizon or (len(frame) if several else 1)
        place = frame.groupby("unique_id", sort=False).cumcount() // steps
        frame["origin"] = frame.assign(place=place).groupby(["unique_id", "place"], sort=False).ngroup()
        found.notes.append(
            "Forecasts have no cutoffs: " + ("all steps of a series are taken as forecast from one origin."
            if steps == len(frame) else f"every {steps} steps are taken as forecast from one origin.")
        )  # fmt: skip
    counts = frame.groupby("origin").size()
    ragged = bool(counts.min() < counts.max())
    if ragged:
        found.notes.append("Origins have different numbers of steps: each point is judged by itself.")
        frame["origin"] = np.arange(len(frame))
    return frame, ragged
