"""The page of a comparison, a tuning or a judgement, from its record and tables."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from kseq.evaluation.metrics import ALL_METRICS
from kseq.report.html.charts import lines
from kseq.report.html.forecasts import Forecasts, measure_of, shown_at_first
from kseq.report.html.page import Cell, Chart, Page, Picture, Section, Table, cell_of, decimals_of, facts_of
from kseq.report.ranks import draw_ranks

#: Columns of a run's table that the page shows, and their heads. What ranks the rows stands beside their names.
_COLUMNS = {
    "model": "model", "mase": "MASE", "mae": "MAE", "skill": "skill", "group": "group", "may_be_best": "may be best",
    "rmse": "RMSE", "mape": "MAPE, %", "wql": "WQL", "coverage_80": "80 % covers", "coverage_95": "95 % covers",
    "parameters": "parameters", "epochs": "epochs",
}  # fmt: skip
#: What the columns say that their heads do not, where they are shown.
_READING = {
    "group": "Rows that share a letter of group do not differ beyond noise.",
    "skill": "Skill is the share by which the error is below that of the best baseline.",
}

#: Baselines have no weights that are trained.
_UNKNOWN = Cell("–", "")

Frames = Mapping[str, pd.DataFrame]


def page_of_run(record: Mapping[str, Any], frames: Frames, why: Sequence[Section] = ()) -> str:
    """Make the page of a comparison, a tuning or a judgement.

    Args:
        record: What ``run.json`` holds.
        frames: Tables by the names of their files, ``table.csv`` at least.
        why: Sections of an explanation of the same cells, see :func:`kseq.report.html.explained.sections_of`.
    """
    series = record["series"]
    table = frames["table.csv"]
    forecasts = Forecasts.of(frames.get("predictions.csv"))
    many = int(series.get("series") or 1) > 1
    name = str(series["name"])
    on = shown_at_first(record, table)
    sections = [
        Section("Verdict", points=list(record["verdict"])),
        Section("Table", texts=[_reading(table)], tables=[_table(record, table, many)]),
    ]
    targets = _of_targets(frames, record)
    if targets:
        sections.append(Section("Each target", tables=targets))
    ranks = _ranks(table, frames.get("series.csv"), record)
    if ranks is not None:
        sections.append(Section("Ranks over series", pictures=[ranks]))
    if forecasts is not None:
        sections.append(Section("Forecasts", charts=forecasts.charts(record, table, frames.get("series.csv"))))
    errors = [
        *_errors_by(frames.get("horizon.csv"), "step", "steps ahead", record, on),
        *_skill(frames.get("horizon.csv"), record, on),
        *_errors_by(frames.get("folds.csv"), "fold", "fold", record, on),
        *(_of_series(frames["series.csv"], record, on) if "series.csv" in frames else ()),
        *(forecasts.by_season(record, on) if forecasts is not None else ()),
    ]
    if errors:
        sections.append(Section("Where the errors are", charts=errors))
    if "history.csv" in frames and len(frames["history.csv"]):
        sections.append(Section("Training", charts=_history(frames["history.csv"])))
    if forecasts is not None and (shifts := forecasts.shifts(on)):
        sections.append(Section("Is a forecast one step late?", charts=shifts))
    sections += why
    if record.get("traps"):
        sections.append(Section("Beware", points=list(record["traps"])))
    if "tuning.csv" in frames:
        sections.append(Section("Trials", charts=_trials(frames["tuning.csv"]),
                                tables=[Table.of("All trials of the tuning", frames["tuning.csv"])]))  # fmt: skip
    # What is said under "Beware" is not said again.
    notes = [note for note in series.get("notes") or () if note not in (record.get("traps") or ())]
    read = series.get("read") or _read(series)
    sections.append(Section("What was read", texts=[read], points=notes))
    settings = record.get("settings") or {}
    # Forecasts that others made are not made again by this package.
    if settings and (settings.get("cells") or settings.get("baselines", True) != []):
        again = "Everything that decides these numbers is in run.json beside this page."
        sections.append(Section("Make it again", texts=[again], code="kseq reproduce run.json"))
    trained = "kind" in table and table["kind"].isin(["cell", "model"]).any()
    return Page(
        f"{name}: which {'recurrent cell serves it' if trained else 'forecast is the best'}?",
        f"{read.rstrip('.')}. Ranked by {str(record.get('metric') or 'mae').upper()}.",
        sections,
        facts_of(record),
    ).render()


def _reading(table: pd.DataFrame) -> str:
    """Say how to read the table."""
    shown = [text for name, text in _READING.items() if name in table and table[name].notna().any()]
    return " ".join([*shown, "Press a head to sort."])


def _of_targets(frames: Frames, record: Mapping[str, Any]) -> list[Table]:
    """A table of each target of several."""
    targets = record["series"]["targets"]
    found = {int(name.split("-")[1].removesuffix(".csv")): name for name in frames if name.startswith("target-")}
    return [replace(_table(record, frames[found[number]], many=True), caption=f"Target {targets[number - 1]}")
            for number in sorted(found) if number <= len(targets)]  # fmt: skip


def _ranks(table: pd.DataFrame, by_series: pd.DataFrame | None, record: Mapping[str, Any]) -> Picture | None:
    """The picture of average ranks, where there are such."""
    if by_series is None or "rank" not in table or table["rank"].isna().all():
        return None
    ranks = table.dropna(subset=["rank"]).set_index("model")["rank"].to_dict()
    metric = measure_of(record, by_series)
    scores = by_series[by_series["model"].isin(ranks)].pivot_table(index="unique_id", columns="model", values=metric)
    series = int(scores.notna().all(axis=1).sum())
    file = io.BytesIO()
    draw_ranks(ranks, series, ALL_METRICS[metric].label).savefig(file, dpi=120)
    return Picture(f"Critical-difference diagram of average ranks over {series} series", file.getvalue())


def _caption(record: Mapping[str, Any]) -> str:
    windows = record.get("windows") or {}
    return f"Errors over {windows.get('test', 0):,} test windows, mean ± standard deviation over seeds"


def _read(series: Mapping[str, Any]) -> str:
    """Say what was read, of a record that does not say it in words."""
    several = f", {series['series']:,} series" if int(series.get("series") or 1) > 1 else ""
    span = f"{series['first']} to {series['last']}".replace(" 00:00:00", "")
    return (
        f"Target {', '.join(map(str, series['targets']))}, {series['step']}, {span}, {series['rows']:,} rows{several}."
    )


def _table(record: Mapping[str, Any], table: pd.DataFrame, many: bool) -> Table:
    """The columns that a reader wants, ranked, with the spread over seeds in the cell of the mean."""
    measure = measure_of(record, table)
    if measure in table:
        table = table.sort_values(measure, kind="stable")
    shown = _COLUMNS if measure in _COLUMNS else {"model": "model", measure: measure.upper(), **_COLUMNS}
    columns = {
        name: head for name, head in shown.items()
        if name in table and (name != "mase" or many or measure == "mase") and table[name].notna().any()
    }  # fmt: skip
    decimals = {name: decimals_of(table[name]) for name in columns} | {"skill": 3}
    rows = []
    for _, row in table.iterrows():
        cells = []
        for name in columns:
            places, spread = decimals[name], row.get(f"{name}_std")
            cell = cell_of(row[name], places=places)
            if cell.number and spread is not None and spread == spread:
                text = f"{spread:.2g}" if places is None else f"{spread:,.{places}f}"
                cell = Cell(f"{cell.text} ± {text}", cell.value)
            cells.append(_UNKNOWN if name == "parameters" and row.get("kind") == "baseline" else cell)
        rows.append(tuple(cells))
    ranked = list(columns).index(measure) if measure in columns else None
    return Table(_caption(record), tuple(columns.values()), tuple(rows), ranked=ranked)


def _errors_by(
    frame: pd.DataFrame | None, by: str, label: str, record: Mapping[str, Any], on: list[str] | None
) -> list[Chart]:
    """Draw the ranking error by a column, a line a row."""
    if frame is None or by not in frame or frame[by].nunique() < 2:
        return []
    measure = measure_of(record, frame)
    wide = frame.pivot_table(index=by, columns="model", values=measure, sort=False).sort_index()
    curves = {str(model): wide[model].to_numpy() for model in wide}
    return [
        lines(f"{measure.upper()} by {label}", wide.index.to_numpy(), curves, label, measure.upper(), on=on)
    ]  # fmt: skip


def _skill(frame: pd.DataFrame | None, record: Mapping[str, Any], on: list[str] | None) -> list[Chart]:
    """Draw by how much each row's error is below that of the best baseline, step by step."""
    best = record.get("best_baseline")
    if frame is None or best is None or frame["step"].nunique() < 2 or best not in set(frame["model"]):
        return []
    measure = measure_of(record, frame)
    wide = frame.pivot_table(index="step", columns="model", values=measure, sort=False).sort_index()
    curves = {str(model): 100 * (1 - wide[model] / wide[best]).to_numpy() for model in wide if model != best}
    note = f"Above 0 a row is better than {best}, the best baseline, at that step."
    return [lines("Skill by steps ahead", wide.index.to_numpy(), curves, "steps ahead", f"skill against {best}, %",
                  on=on, zero=True, note=note)]  # fmt: skip


def _of_series(frame: pd.DataFrame, record: Mapping[str, Any], on: list[str] | None) -> list[Chart]:
    """Draw the errors of all series of each row, from the smallest to the largest."""
    measure = measure_of(record, frame)
    curves = {}
    longest = 0
    for model, own in frame.groupby("model", sort=False):
        values = np.sort(own[measure].dropna().to_numpy())
        if len(values) > 1:
            # On a common grid of shares, so that rows with a different number of series can be compared.
            curves[str(model)] = np.interp(np.linspace(0, 1, 101), np.linspace(0, 1, len(values)), values)
            longest = max(longest, len(values))
    if not curves:
        return []
    return [
        lines(f"{measure.upper()} of {longest} series, from the best forecast to the worst", np.arange(101), curves,
              "share of the series, %", measure.upper(), on=on)
    ]  # fmt: skip


def _history(frame: pd.DataFrame) -> list[Chart]:
    """Draw the learning curves of each cell, the mean over seeds as long as half of them train."""
    found = []
    for curve, what in (("loss", "Training loss"), ("val_loss", "Validation loss")):
        if curve not in frame or frame[curve].isna().all():
            continue
        curves, longest = {}, 0
        for model, own in frame.dropna(subset=[curve]).groupby("model", sort=False):
            by_epoch = own.groupby("epoch")[curve]
            counts = by_epoch.count()
            means = by_epoch.mean()[counts >= counts.max() / 2]
            curves[str(model)] = means.to_numpy()
            longest = max(longest, len(means))
        padded = {m: np.pad(values, (0, longest - len(values)), constant_values=np.nan) for m, values in curves.items()}
        positive = all((values > 0).all() for values in curves.values())
        found.append(lines(f"{what}, mean over seeds", np.arange(1, longest + 1), padded, "epoch", what, log=positive))
    return found


def _trials(frame: pd.DataFrame) -> list[Chart]:
    """Draw the lowest validation error of each cell after so many trials."""
    error = next((name for name in ("error", "mae", "mase") if name in frame), None)
    if error is None or "model" not in frame or len(frame) < 2:
        return []
    curves = {}
    for model, own in frame.groupby("model", sort=False):
        curves[str(model)] = np.minimum.accumulate(own[error].fillna(np.inf).to_numpy())
    longest = max(map(len, curves.values()))
    padded = {m: np.pad(values, (0, longest - len(values)), constant_values=np.nan) for m, values in curves.items()}
    return [lines("Lowest validation error so far", np.arange(1, longest + 1), padded, "trials", error.upper())]
