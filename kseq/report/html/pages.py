"""Which sections a page has, by the kind of result: from the record and the tables of a folder."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.errors import ConfigError
from kseq.evaluation.metrics import ALL_METRICS
from kseq.report.html.charts import lines
from kseq.report.html.forecasts import BOUND, DRAWN, Forecasts, best_rows, dates_of
from kseq.report.html.page import Cell, Chart, Page, Picture, Section, Table, cell_of
from kseq.report.ranks import draw_ranks

#: Columns of a run's table that the page shows, and their heads.
_COLUMNS = {
    "model": "model", "parameters": "parameters", "mase": "MASE", "mae": "MAE", "rmse": "RMSE", "mape": "MAPE, %",
    "wql": "WQL", "skill": "skill", "group": "group", "may_be_best": "may be best", "coverage_80": "80 % covers",
    "coverage_95": "95 % covers", "epochs": "epochs",
}  # fmt: skip

Frames = Mapping[str, pd.DataFrame]


def page_of_run(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of a comparison, a tuning or a judgement.

    Args:
        record: What ``run.json`` holds.
        frames: Tables by the names of their files, ``table.csv`` at least.

    Returns:
        str: HTML.
    """
    series = record["series"]
    table = frames["table.csv"]
    forecasts = Forecasts.of(frames.get("predictions.csv"))
    many = int(series.get("series") or 1) > 1
    name = str(series["name"])
    sections = [
        Section("Verdict", points=list(record["verdict"])),
        Section("Table", tables=[_table(_caption(record), table, many)]),
    ]
    targets = _of_targets(frames, series["targets"])
    if targets:
        sections.append(Section("Each target", tables=targets))
    ranks = _ranks(table, frames.get("series.csv"), str(record.get("metric") or "mase"))
    if ranks is not None:
        sections.append(Section("Ranks over series", pictures=[ranks]))
    if forecasts is not None:
        sections.append(Section("Forecasts", charts=forecasts.charts(record, table, frames.get("series.csv"))))
    errors = [
        *_errors_by(frames.get("horizon.csv"), "step", "steps ahead", record),
        *_errors_by(frames.get("folds.csv"), "fold", "fold", record),
        *(_of_series(frames["series.csv"], record) if "series.csv" in frames else ()),
        *(forecasts.by_season(record) if forecasts is not None else ()),
    ]
    if errors:
        sections.append(Section("Where the errors are", charts=errors))
    if "history.csv" in frames and len(frames["history.csv"]):
        sections.append(Section("Training", charts=_history(frames["history.csv"])))
    if forecasts is not None:
        sections.append(Section("Is a forecast one step late?", charts=forecasts.shifts()))
    if record.get("traps"):
        sections.append(Section("Beware", points=list(record["traps"])))
    if "tuning.csv" in frames:
        sections.append(Section("Trials", tables=[Table.of("All trials of the tuning", frames["tuning.csv"])]))
    notes = list(series.get("notes") or ())
    read = series.get("read") or _read(series)
    sections.append(Section("What was read", texts=[read], points=notes))
    if record.get("settings"):
        again = "Everything that decides these numbers is in run.json beside this page."
        sections.append(Section("Make it again", texts=[again], code="kseq reproduce run.json"))
    return Page(
        f"{name}: which recurrent cell serves it?",
        f"{read} Ranked by {str(record.get('metric') or 'mae').upper()}.",
        sections,
        _facts(record),
    ).render()


def _of_targets(frames: Frames, targets: Sequence[Any]) -> list[Table]:
    """A table of each target of several."""
    found = {int(name.split("-")[1].removesuffix(".csv")): name for name in frames if name.startswith("target-")}
    return [_table(f"Target {targets[number - 1]}", frames[found[number]], many=True)
            for number in sorted(found) if number <= len(targets)]  # fmt: skip


def _ranks(table: pd.DataFrame, by_series: pd.DataFrame | None, metric: str) -> Picture | None:
    """The picture of average ranks, where there are such."""
    if by_series is None or "rank" not in table or table["rank"].isna().all():
        return None
    ranks = table.dropna(subset=["rank"]).set_index("model")["rank"].to_dict()
    scores = by_series[by_series["model"].isin(ranks)].pivot_table(index="unique_id", columns="model", values=metric)
    series = int(scores.notna().all(axis=1).sum())
    measure = ALL_METRICS[metric].label if metric in ALL_METRICS else metric.upper()
    file = io.BytesIO()
    draw_ranks(ranks, series, measure).savefig(file, dpi=120)
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


def _table(caption: str, table: pd.DataFrame, many: bool) -> Table:
    """The columns that a reader wants, with the spread over seeds in the cell of the mean."""
    columns = {
        name: head for name, head in _COLUMNS.items()
        if name in table and (name != "mase" or many) and table[name].notna().any()
    }  # fmt: skip
    rows = []
    for _, row in table.iterrows():
        cells = []
        for name in columns:
            cell, spread = cell_of(row[name]), row.get(f"{name}_std")
            if cell.number and spread is not None and spread == spread:
                cell = Cell(f"{cell.text} ± {spread:.2g}", cell.value)
            cells.append(cell)
        rows.append(tuple(cells))
    return Table(caption, tuple(columns.values()), tuple(rows))


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of settings, versions and the machine, one level deep."""
    found = [(name, str(record[name])) for name in ("kseq", "backend", "device", "seconds") if name in record]
    for part in ("versions", "machine", "settings"):
        for name, value in (record.get(part) or {}).items():
            shown = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)
            found.append((name, shown))
    return found


def _errors_by(frame: pd.DataFrame | None, by: str, label: str, record: Mapping[str, Any]) -> list[Chart]:
    """Draw the ranking error by a column, a line a row."""
    if frame is None or by not in frame or frame[by].nunique() < 2:
        return []
    measure = str(record.get("metric") or "mae")
    measure = measure if measure in frame else "mae"
    wide = frame.pivot_table(index=by, columns="model", values=measure, sort=False).sort_index()
    curves = {str(model): wide[model].to_numpy() for model in wide}
    return [
        lines(f"{measure.upper()} by {label}", wide.index.to_numpy(), curves, label, measure.upper(),
              on=best_rows(wide.mean()))
    ]  # fmt: skip


def _of_series(frame: pd.DataFrame, record: Mapping[str, Any]) -> list[Chart]:
    """Draw the errors of all series of each row, from the smallest to the largest."""
    measure = str(record.get("metric") or "mase")
    measure = measure if measure in frame else "mase"
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
    means = pd.Series({model: values.mean() for model, values in curves.items()})
    return [
        lines(f"{measure.upper()} of {longest} series, from the best forecast to the worst", np.arange(101), curves,
              "share of the series, %", measure.upper(), on=best_rows(means))
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


def page_of_explanation(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of an explanation from its record and tables."""
    sections = []
    lesson = frames["lesson.csv"].copy()
    lesson["holds"] = lesson["holds"].map({True: "yes", False: "NO", "True": "yes", "False": "NO"}).fillna("–")
    heads = {"model": "cell", "lesson": "the lesson says", "measured": "measured here", "holds": "holds here"}
    sections.append(
        Section(
            "The lesson's table",
            tables=[Table.of("What lessons say, and what was measured", lesson.rename(columns=heads))],
        )
    )
    sections.append(Section("When to use each", points=list(record["advice"])))
    charts: list[Chart] = []
    if "lags.csv" in frames:
        lags = frames["lags.csv"]
        for column, title in (
            ("loss_gradient_before", "Gradient of the loss before training, lag 0 = 1"),
            ("loss_gradient_after", "Gradient of the loss after training, lag 0 = 1"),
            ("error_with_older_shuffled", "Error with all older rows from another window"),
            ("error_with_lag_shuffled", "Error with one lag shuffled"),
        ):
            wide = lags.pivot_table(index="lag", columns="model", values=column, sort=False).sort_index()
            if len(wide) > 1:
                label = "rows before the last that are left" if "older" in column else "lag"
                curves = {str(model): wide[model].to_numpy() for model in wide}
                charts.append(lines(title, wide.index.to_numpy(), curves, label, "", log="gradient" in column))
    if "gates.csv" in frames:
        gates = frames["gates.csv"]
        names = gates["model"] + ", " + gates["gate"]
        wide = gates.assign(row=names).pivot_table(index="ds", columns="row", values="mean", sort=False).sort_index()
        curves = {str(name): wide[name].to_numpy() for name in wide}
        charts.append(
            lines("Gates at the last row read: 0 shut, 1 open", dates_of(pd.Series(wide.index)), curves, "", "")
        )
    if "problems.csv" in frames:
        for problem, own in frames["problems.csv"].groupby("problem", sort=False):
            wide = own.pivot_table(index="length", columns="model", values="solved", sort=False).sort_index()
            curves = {str(model): 100 * wide[model].to_numpy() for model in wide}
            charts.append(lines(f"Seeds that solve the {problem} problem", wide.index.to_numpy(), curves, "steps", "%"))
    if charts:
        sections.append(Section("Measured", charts=charts))
    sections.append(Section("In sentences", points=list(record["sentences"])))
    sections.append(Section("All figures", tables=[Table.of("Mean and spread over seeds", frames["figures.csv"])]))
    what = record.get("series") or "two problems that ask for memory"
    return Page(
        f"{what}: why a cell does as it does",
        record.get("explained") or "What cells can carry over time, on two problems made for that.",
        sections,
        _facts(record),
    ).render()


def page_of_forecast(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of a forecast."""
    frame = frames["forecast.csv"]
    name = str(record["model"])
    charts = []
    ids = list(dict.fromkeys(frame["unique_id"])) if "unique_id" in frame else [None]
    for own in ids[:DRAWN]:
        part = frame if own is None else frame[frame["unique_id"] == own]
        bounds: dict[float, dict[str, np.ndarray]] = {}
        points = {}
        for column in part.columns.drop([c for c in ("unique_id", "ds") if c in part]):
            bound = BOUND.match(column)
            if bound is not None:
                bounds.setdefault(float(bound["level"]), {})[bound["side"]] = part[column].to_numpy(float)
            elif pd.api.types.is_numeric_dtype(part[column]):
                points[str(column)] = part[column].to_numpy(float)
        first = next(iter(points))
        pairs = [(own_["lo"], own_["hi"]) for own_ in bounds.values() if len(own_) == 2]
        charts.append(
            lines(
                str(own or name),
                pd.Index(dates_of(part["ds"])),
                points,
                "",
                "",
                bands={first: pairs},
                note="Shaded: intervals.",
            )
        )
    sections = [Section("Forecast", points=list(record.get("notes") or ()), charts=charts),
                Section("Values", tables=[Table.of("All forecasts", frame, digits=6)])]  # fmt: skip
    return Page(f"Forecast by {name}", f"{len(frame):,} values.", sections, _facts(record)).render()


def page_of_bench(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of a bench."""
    name = "bench.csv" if "bench.csv" in frames else "data.csv"
    sections = [Section("Measurements", tables=[Table.of("Timings", frames[name])])]
    return Page("How fast is it here?", "Measured on this machine.", sections, _facts(record)).render()


#: Kinds of results: their record, the page's file, and what makes the page.
PAGES: dict[str, tuple[str, str, Callable[[Mapping[str, Any], Frames], str]]] = {
    "run": ("run.json", "report.html", page_of_run),
    "explanation": ("explanation.json", "explanation.html", page_of_explanation),
    "forecast": ("forecast.json", "forecast.html", page_of_forecast),
    "bench": ("bench.json", "bench.html", page_of_bench),
    "data": ("data.json", "data.html", page_of_bench),
}


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
    for record_name, page_name, make in PAGES.values():
        if not (path / record_name).is_file():
            continue
        try:
            record = json.loads((path / record_name).read_text("utf-8"))
            listed = [name for name in record.get("files", ()) if (path / name).is_file()]
            frames = {name: _frame(path / name) for name in listed if name.endswith(".csv")}
            kept = path / "predictions.parquet"
            if "predictions.csv" not in frames and kept.name in listed:
                frames["predictions.csv"] = pd.read_parquet(kept)
            found[page_name] = make(record, frames)
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


def _frame(path: Path) -> pd.DataFrame:
    """Read one of kseq's own tables; ids stay text."""
    return pd.read_csv(path, dtype={"unique_id": str}, keep_default_na=False, na_values=[""])
