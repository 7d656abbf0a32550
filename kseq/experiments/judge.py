"""Anyone's forecasts judged as a comparison's: the same table, tests, verdict, cautions, pictures and record.

Forecasts become the rows of a :class:`kseq.Comparison` whose test windows are the points that they forecast and whose
training rows are those before each series' first cutoff.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.comparison.others import bands_of, kind_of, read_file_of_forecasts, record_beside, seeds_of
from kseq.data import Panel, frequency
from kseq.errors import ConfigError, DataError, Parameter
from kseq.evaluation.forecasts import Forecasts, read_forecasts, shared_points
from kseq.evaluation.intervals import LEVELS
from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.quantiles import QUANTILE_METRICS
from kseq.experiments._judged_frames import (
    by_target,
    column_of,
    frame_of_arrays,
    of_same_clock,
    of_same_series,
    read_training,
    training_rows,
    with_cutoffs,
    with_truth,
)
from kseq.naming import checked, hint
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.splits import Split
from kseq.preprocessing.windows import WindowedPanel, Windows
from kseq.report.comparison import Comparison
from kseq.settings import Settings
from kseq.text import listed
from kseq.validation import require_whole, several

#: Metrics that scale errors by the rows before the forecasts.
SCALED = ("mase", "rmsse")


@checked("kseq.judge")
def judge(
    forecasts: Any,
    train: Any = None,
    *,
    season: int = 0,
    metric: str = "",
    horizon: int = 0,
    baselines: Sequence[str] | None = None,
    truth: Any = None,
) -> Comparison:
    """Judge forecasts, whoever made them.

    Args:
        forecasts: A frame, see :mod:`kseq.evaluation.forecasts`; a file of one (CSV or Parquet); ``{name: frame}``; or
            ``{name: array}`` of the true values ``truth``, one step after the other.
        train: The series before the forecasts: a frame ``unique_id, ds, y``, a series, an array, or a file. Rows after
            a series' first cutoff may be among them: they serve as true values where forecasts come without. None for
            none; there is no MASE then.
        season: Steps in a season, by which MASE scales; 0, the default, for that of the run whose forecasts they are,
            where its ``run.json`` stands beside the file, or to find it from the training rows.
        metric: Metric that ranks rows and is tested, see :class:`kseq.Settings`; by default that of such a run too.
        horizon: Steps from one origin where forecasts come without cutoffs; by default 1 for one series, all steps for
            several.
        baselines: Rows that are baselines; by default those with names such as ``SeasonalNaive`` or ``persistence``.
        truth: True values of forecasts that are arrays, ``(points,)``.

    Returns:
        Comparison: The result, with ``.table``, ``.verdict``, ``.cautions``, ``.plot()`` and ``.write(folder)``.

    Raises:
        DataError: There are no dates, no forecasts, or no true values.
        ConfigError: A baseline or a metric that is not there.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.normal(size=60)
        >>> judged = judge({"good": y + 0.1, "Naive": np.zeros(60)}, truth=y)
        >>> judged.best.name
        'good'
    """
    record = record_beside(Path(forecasts) if isinstance(forecasts, str | Path) else None)
    planned = record.get("settings", {})
    metric = metric or planned.get("metric", "")
    season = season or record.get("series", {}).get("season", 0)
    # A wrong metric is told before anything is read.
    require_whole("horizon", horizon, least=0)
    of_intervals = metric in QUANTILE_METRICS
    settings = Settings(cells=(), baselines=(), levels=LEVELS * of_intervals, season=season, metric=metric)
    if isinstance(forecasts, str | Path):
        forecasts = read_file_of_forecasts(Path(forecasts))
    baselines = several(baselines)
    if truth is not None:
        forecasts = frame_of_arrays(forecasts, truth)
    found = read_forecasts(forecasts)
    if isinstance(train, str | Path):
        train = read_training(Path(train), record, list(found.frame["unique_id"].unique()))
    targets = tuple(map(str, record.get("series", {}).get("targets", getattr(train, "targets", ()))))
    known = of_same_series(training_rows(train, set(found.frame["unique_id"])), found, targets)
    known = of_same_clock(known, found)
    found.frame = with_truth(found.frame, known)
    found = shared_points(found)
    split = by_target(found.frame, known, targets)
    if split is None:
        targets = ("y",)
    else:
        found.frame, known = split
    frame, step = with_cutoffs(found, horizon)
    data, order, notes = _windows(frame, known, step, settings, targets)
    if not (data.split.validation - data.split.start > 1).any():
        # Without training rows there is no season to find.
        settings = replace(settings, season=1)
        if metric in SCALED:
            raise DataError(
                f"received metric {metric} and no rows before the forecasts, by which it scales; expected them in ",
                Parameter("train"), ", or another metric.",
            )  # fmt: skip
    levels = tuple(sorted({level for by_level in found.bounds.values() for level in by_level}))
    if of_intervals and not levels:
        raise DataError(
            f"received metric {metric} and forecasts without intervals, expected bounds such as MODEL-lo-95 and "
            "MODEL-hi-95."
        )
    # Levels that the run asked for stand in its table, whether or not its validation part gave them.
    levels = tuple(sorted({*levels, *planned.get("levels", ())}))
    lookback = None if planned.get("by_cell") else planned.get("lookback")
    settings = replace(settings, levels=levels, lookback=lookback, horizon=data.horizon)  # type: ignore[arg-type]
    if single := [model for model, columns in found.seeds.items() if len(columns) == 1 and min(columns) >= 0]:
        notes.append(f"One seed of {listed(single)} says nothing of the noise between trainings.")
    comparison = Comparison(replace(data, notes=(*found.notes, *notes)), settings)
    if planned.get("refit"):
        comparison.trained_anew = _folds(data, planned.get("n_windows", 0))
    for row in _rows(found, frame, order, data, baselines, record, comparison.measure):
        comparison.add(row)
    return comparison


def _folds(data: WindowedPanel, count: int) -> list[np.ndarray]:
    """Windows of each fold of a backtest, which are those of each series in their order; none where some are missing.

    Args:
        data: Windows of all folds.
        count: Number of folds.
    """
    _, firsts, counts = np.unique(data.test.series, return_index=True, return_counts=True)
    if (counts != count).any():
        return []
    return [firsts + number for number in range(count)]


def _windows(
    frame: pd.DataFrame, known: pd.DataFrame, ragged: bool, settings: Settings, targets: tuple[str, ...] = ("y",)
) -> tuple[WindowedPanel, np.ndarray, list[str]]:
    """Windows at the points that are forecast, and the place of each point among them."""
    notes = []
    names = [column_of("y", number) for number in range(len(targets))]
    points = frame[["unique_id", "ds", *names]].drop_duplicates(["unique_id", "ds"])
    first = frame.groupby("unique_id")["ds"].min()
    if known.empty:
        known = points.iloc[:0]
    elif known["ds"].dtype.kind != frame["ds"].dtype.kind:
        raise DataError(
            f"received training rows with ds {known['ds'].iloc[0]!r} and forecasts with ds {frame['ds'].iloc[0]!r}, "
            "expected dates, or numbers, in both."
        )
    opening = first.reindex(known["unique_id"]).to_numpy() if len(known) else first.iloc[:0].to_numpy()
    before = known[known["ds"].to_numpy() < opening]
    if before.empty:
        notes.append("No training rows: there is no MASE, and nothing says what a series was before its forecasts.")
    # A row before each series, so that every window has a row that it knows: a usual step before the first one.
    bare = first.index.difference(before["unique_id"].unique())
    step = points.sort_values("ds").groupby("unique_id")["ds"].agg(lambda dates: dates.diff().median())
    step = step.where(step.notna(), 1 if frame["ds"].dtype.kind != "M" else pd.Timedelta(1, "D"))
    lead = pd.DataFrame({"unique_id": bare, "ds": (first - step)[bare].to_numpy()} | dict.fromkeys(names, np.nan))
    later = known[known["ds"].to_numpy() >= opening]
    rows = pd.concat([part for part in (points, before, lead, later) if len(part)], ignore_index=True)
    rows = rows.drop_duplicates(["unique_id", "ds"]).sort_values(["unique_id", "ds"], ignore_index=True)
    ids, firsts = np.unique(rows["unique_id"].to_numpy(str), return_index=True)
    borders = np.append(firsts, len(rows))
    index = pd.DatetimeIndex(rows["ds"]) if pd.api.types.is_datetime64_any_dtype(rows["ds"]) else pd.Index(rows["ds"])
    calendar = frequency.Calendar("rows")
    if isinstance(index, pd.DatetimeIndex):
        real = np.repeat(~np.isin(ids, bare), np.diff(borders))
        real[np.delete(np.arange(len(rows)), borders[:-1])] = True
        counts = np.add.reduceat(real, borders[:-1])
        calendar = frequency.read(index[real], np.append(0, np.cumsum(counts)))
        if len(lead):
            # Numbers of rows would be those without these.
            calendar = frequency.Calendar(calendar.words, calendar.alias, calendar.season)
    values = rows[names].to_numpy(float)
    panel = Panel(
        "forecasts", pd.Index(ids), borders, index, values, targets, (), (), pd.DataFrame(index=ids), borders[1:],
        calendar,
    )  # fmt: skip
    place = pd.MultiIndex.from_frame(rows[["unique_id", "ds"]])
    at = place.get_indexer(pd.MultiIndex.from_frame(frame[["unique_id", "ds"]]))
    origin = frame["origin"].to_numpy()
    horizon = 1 if ragged else int(np.bincount(origin).max())
    begins = at.reshape(-1, horizon)
    if horizon > 1 and (np.diff(begins, axis=1) != 1).any():
        notes.append("Steps are missing between those that are forecast: each point is judged by itself.")
        horizon, begins = 1, at[:, None]
    # Windows stand in the order of their rows.
    order = np.argsort(begins[:, 0], kind="stable")
    starts = begins[order, 0]
    owners = panel.series_of(starts)
    within = np.diff(starts)[np.diff(owners) == 0]
    apart = int(within[within > 0].min()) if (within > 0).any() else horizon
    empty = np.empty((len(rows), 0)), np.empty((len(rows), len(names)))
    none = Windows(*empty, (), 1, horizon, np.empty(0, int))
    test = replace(none, segments=tuple(range(s, s + 1, apart) for s in starts.tolist()), owners=owners)
    opens = np.full(len(ids), len(rows))
    np.minimum.at(opens, owners, starts)
    scaler = Scaler(np.zeros((len(ids), len(names))), np.ones((len(ids), len(names))))
    split = Split(borders[:-1], opens, opens, opens, borders[1:])
    data = WindowedPanel(panel, split, 1, horizon, targets, scaler, scaler, none, none, test)
    return data, np.arange(len(frame)).reshape(-1, horizon)[order], notes


def _rows(
    found: Forecasts,
    frame: pd.DataFrame,
    order: np.ndarray,
    data: WindowedPanel,
    baselines: Sequence[str] | None,
    record: Mapping[str, Any],
    measure: str,
) -> list[ModelResult]:
    """A row a model; its score on the validation part is that of the record where the same metric ranks."""
    unknown = set(baselines or ()) - set(found.seeds)
    if unknown:
        near = hint(next(iter(sorted(unknown))), found.seeds)
        raise ConfigError(
            f"received baselines {', '.join(sorted(unknown))}, expected some of {', '.join(found.seeds)}{near or '.'}"
        )
    kinds = {model["name"]: model for model in record.get("models", ())}

    def values(columns: Sequence[str]) -> np.ndarray:
        return np.stack([
            np.stack([frame[column_of(name, number)].to_numpy(float)[order] for number in range(data.targets)], axis=-1)
            for name in columns
        ])  # fmt: skip

    rows = []
    for model, columns in found.seeds.items():
        known = kinds.get(model, {})
        bands = bands_of(model, found, values)
        seeds = tuple(seed for seed in columns if seed >= 0) or tuple(known.get("seeds", ()))
        validated = known.get("validation") if record.get("metric") == measure else None
        rows.append(
            ModelResult(
                model, values(list(columns.values())), known.get("kind") or kind_of(model, found.seeds, baselines),
                seeds=seeds or seeds_of(model, found.seeds), parameters=known.get("parameters", 0), bands=bands,
                validation_score=float("nan") if validated is None else float(validated),
            )
        )  # fmt: skip
    return rows
