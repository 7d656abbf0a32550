"""The pages of forecasts, benches and audits, from their records and tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kseq.report.html.charts import bars, lines
from kseq.report.html.forecasts import BOUND, DRAWN, dates_of, unit_of
from kseq.report.html.page import Chart, Page, Section, Table, facts_of

Frames = Mapping[str, pd.DataFrame]


def charts_of_forecast(record: Mapping[str, Any], frame: pd.DataFrame) -> list[Chart]:
    """Draw the series of a forecast that its record holds the last known values of.

    Args:
        record: What ``forecast.json`` holds.
        frame: The forecasts in long form.
    """
    ids = list(dict.fromkeys(frame["unique_id"]))
    known = pd.DataFrame(record.get("known") or {"unique_id": [], "ds": [], "y": []})
    drawn = list(dict.fromkeys(known["unique_id"])) or ids[:DRAWN]
    unit = unit_of({"series": record}) if record.get("targets") else ""
    return [_forecast(own, frame[frame["unique_id"] == own], known[known["unique_id"] == own], unit) for own in drawn]


def page_of_forecast(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of a forecast."""
    frame = frames["forecast.csv"]
    ids = list(dict.fromkeys(frame["unique_id"]))
    charts = charts_of_forecast(record, frame)
    steps = int(frame.groupby("unique_id").size().max())
    lead = f"{steps} step{'s' * (steps > 1)} of {len(ids):,} series." if len(ids) > 1 else f"{steps} steps of {ids[0]}."
    sections = [Section("Forecast", points=list(record.get("notes") or ()), charts=charts),
                Section("Values", tables=[Table.of("All forecasts", frame, digits=6)])]  # fmt: skip
    return Page(f"Forecast by {record['model']}", lead, sections, facts_of(record)).render()


def _forecast(name: str, part: pd.DataFrame, known: pd.DataFrame, unit: str) -> Chart:
    """Draw the last known values of a series and its forecasts with their intervals."""
    before, empty = len(known), np.full(len(known), np.nan)
    bounds: dict[float, dict[str, np.ndarray]] = {}
    points: dict[str, np.ndarray] = {}
    for column in part.columns.drop(["unique_id", "ds"]):
        bound = BOUND.match(column)
        if bound is None and not pd.api.types.is_numeric_dtype(part[column]):
            continue
        values = np.concatenate([empty, part[column].to_numpy(float)])
        # Lines and bands begin at the last known value.
        values[before - 1 : before] = known["y"].to_numpy()[-1:]
        if bound is not None:
            bounds.setdefault(float(bound["level"]), {})[bound["side"]] = values
        else:
            points[str(column)] = values
    levels = [level for level, own in sorted(bounds.items()) if len(own) == 2]
    shown = " and ".join(f"{level:g}" for level in levels)
    dates = pd.concat([known["ds"], part["ds"]], ignore_index=True)
    dated = not pd.api.types.is_numeric_dtype(part["ds"])
    if dated:
        # Those of a file, of a record and of a frame are read alike.
        dates = dates.astype(str)
    return lines(
        str(name),
        pd.Index(dates_of(dates)),
        points,
        "" if dated else "ds",
        unit,
        bands={next(iter(points)): [(bounds[level]["lo"], bounds[level]["hi"]) for level in levels]},
        actual=np.concatenate([known["y"].to_numpy(float), np.full(len(part), np.nan)]) if before else None,
        note=f"Shaded: {shown} % intervals." if levels else "",
    )


#: Columns of a bench and their heads.
_TIMINGS = {
    "workload": "workload", "cell": "cell", "members": "seeds", "contender": "contender", "ms": "ms an epoch",
    "ms_low": "lowest", "ms_high": "highest", "ratio": "times kseq's", "to_builder": "times the builder's",
    "first_s": "first epoch, s", "share_of_peak": "share of the machine's peak", "step": "training step",
    "windows_per_second": "windows a second", "peak_mb": "peak memory, MB",
}  # fmt: skip


def page_of_bench(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of a bench of trainings, or of the delivery of windows."""
    of_data = "bench.csv" not in frames
    frame = frames["data.csv" if of_data else "bench.csv"].dropna(axis="columns", how="all")
    table = Table.of("Median, lowest and highest of all rounds", frame.rename(columns=_TIMINGS))
    what = "kseq delivers so many times as many windows" if of_data else "time of an epoch, kseq = 1"
    groups = [name for name in ("cell", "members") if name in frame and len(frame[name].unique()) > 1]
    charts = []
    for workload, rows in frame[frame["ratio"].notna()].groupby("workload", sort=False):
        keys = rows[groups].astype(str).agg(", ".join, axis=1) if groups else pd.Series("", rows.index)
        values = {(key, str(name)): float(ratio)
                  for key, name, ratio in zip(keys, rows["contender"], rows["ratio"], strict=True)}  # fmt: skip
        charts.append(bars(f"{workload}: {what}", values, ""))
    machine = record.get("machine") or {}
    where = ", ".join(str(machine[name]) for name in ("processor", "backend", "device") if machine.get(name))
    lead = f"Measured on {where}; only ratios inside one run count." if where else "Measured on this machine."
    title = "How fast are windows delivered here?" if of_data else "How fast is training here?"
    sections = [Section("Ratios", charts=charts), Section("Measurements", tables=[table])]
    return Page(title, lead, sections, facts_of(record)).render()


def page_of_audit(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of an audit."""
    checks = frames["audit.csv"].copy()
    heads = {"name": "check", "rows": "rows changed", "values": "values compared", "differing": "differ",
             "largest": "by at most"}  # fmt: skip
    if "fold" in checks and checks["fold"].isna().all():
        checks = checks.drop(columns="fold")
    checks["identical"] = checks["identical"].map({True: "yes", False: "NO", "True": "yes", "False": "NO"})
    how = (
        "Everything after each cutoff was replaced by other values and made anew. What belongs to the time before the "
        "cutoff has to come out the same, bit for bit."
    )
    sections = [
        Section("Verdict", points=[str(record["verdict"])], texts=[how]),
        Section("Checks", tables=[Table.of("What was made twice", checks.rename(columns=heads))]),
    ]
    return Page(f"{record['series']}: does anything know the future?", str(record["verdict"]), sections,
                facts_of(record)).render()  # fmt: skip
