"""The page of an explanation, and its sections for the page of a run of the same cells."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from kseq.report.html.charts import lines
from kseq.report.html.forecasts import dates_of
from kseq.report.html.page import Chart, Page, Section, Table, facts_of

Frames = Mapping[str, pd.DataFrame]


def sections_of(record: Mapping[str, Any], frames: Frames) -> list[Section]:
    """Make the sections of an explanation from its record and tables.

    Args:
        record: What ``explanation.json`` holds.
        frames: Tables by the names of their files, ``lesson.csv`` and ``figures.csv`` at least.

    Returns:
        list[Section]: The lesson's table, advice, charts, sentences and all figures.
    """
    sections = []
    lesson = frames["lesson.csv"].copy()
    lesson["holds"] = lesson["holds"].map({True: "yes", False: "NO", "True": "yes", "False": "NO"}).fillna("–")
    heads = {"model": "cell", "lesson": "the lesson says", "measured": "measured here", "holds": "holds here"}
    sections.append(
        Section(
            "The lesson's table",
            tables=[
                replace(Table.of("What lessons say, and what was measured", lesson.rename(columns=heads)), wraps=True)
            ],
        )
    )
    sections.append(Section("When to use each", points=list(record["advice"])))
    charts = charts_of(frames)
    if charts:
        sections.append(Section("Measured", charts=charts))
    sections.append(Section("In sentences", points=list(record["sentences"])))
    sections.append(Section("All figures", tables=[Table.of("Mean and spread over seeds", frames["figures.csv"])]))
    return sections


def charts_of(frames: Frames) -> list[Chart]:
    """Draw gradients and errors by lag, gates, and problems by length, as far as tables hold them."""
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
    return charts


def page_of_explanation(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of an explanation; arguments as of :func:`sections_of`."""
    what = record.get("series") or "two problems that ask for memory"
    return Page(
        f"{what}: why a cell does as it does",
        record.get("explained") or "What cells can carry over time, on two problems made for that.",
        sections_of(record, frames),
        facts_of(record),
    ).render()
