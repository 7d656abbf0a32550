"""The page of an explanation, and its sections for the page of a run of the same cells."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
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
    heads = {"model": "cell", "lesson": "the lesson says", "measured": "measured here", "holds": "holds here"}
    sections.append(
        Section(
            "The lesson's table",
            tables=[
                replace(
                    Table.of("What lessons say, and what was measured", frames["lesson.csv"].rename(columns=heads)),
                    wraps=True,
                )
            ],
            notes=list(record.get("reading") or ()),
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
        lags = frames["lags.csv"].copy()
        # With all rows left as they are, the error is that of the whole window.
        whole = lags.groupby(["model", "seed"])["error_with_older_shuffled"].transform("last")
        lags["growth"] = lags["error_with_lag_shuffled"] - whole
        for column, title, x_label, y_label in (
            ("loss_gradient_before", "Gradient of the loss before training", "lag", "norm, lag 0 = 1"),
            ("loss_gradient_after", "Gradient of the loss after training", "lag", "norm, lag 0 = 1"),
            ("error_with_older_shuffled", "Error with older rows of another window", "most recent rows left", "error"),
            ("growth", "Growth of the error without one lag (its rows shuffled)", "lag", "growth of the error"),
            ("attributed", "Integrated gradients: share of each lag", "lag", "share"),
        ):
            chart = _by_lag(lags, column, title, x_label, y_label)
            if chart is not None:
                charts.append(chart)
    if "gates.csv" in frames:
        gates = frames["gates.csv"]
        names = gates["model"] + ", " + gates["gate"]
        wide = gates.assign(row=names).pivot_table(index="ds", columns="row", values="mean", sort=False).sort_index()
        curves = {str(name): wide[name].to_numpy() for name in wide}
        charts.append(
            lines("Gates at the last row read", dates_of(pd.Series(wide.index)), curves, "", "0 shut, 1 open")
        )
    if "problems.csv" in frames:
        for problem, own in frames["problems.csv"].groupby("problem", sort=False):
            own = own[own["tried"]]
            wide = own.pivot_table(index="length", columns="model", values="solved", sort=False).sort_index()
            curves = {str(model): 100 * wide[model].to_numpy() for model in wide}
            charts.append(
                lines(f"Seeds that solve the {problem} problem", wide.index.to_numpy(), curves, "steps",
                      "seeds that solve it, %")
            )  # fmt: skip
    return charts


def _by_lag(lags: pd.DataFrame, column: str, title: str, x_label: str, y_label: str) -> Chart | None:
    """Draw the mean of a column over seeds, and their range; None where it has no two lags."""
    log = "gradient" in column
    # Gradients count lags from the last row that is read, errors from the row to be forecast.
    values = lags.assign(lag=lags["lag"] + (not log))
    if log:
        values[column] = values[column].clip(lower=1e-12)
    kinds = (lambda own: np.exp(np.log(own).mean())) if log else "mean", "min", "max"
    means, low, high = (values.pivot_table(index="lag", columns="model", values=column, aggfunc=kind) for kind in kinds)
    if len(means) < 2:
        return None
    models = [model for model in dict.fromkeys(lags["model"]) if model in means]
    curves = {str(model): means[model].to_numpy() for model in models}
    bands = {str(model): [(low[model].to_numpy(), high[model].to_numpy())] for model in models}
    note = f"{'Geometric mean' if log else 'Mean'} and range over seeds."
    return lines(title, means.index.to_numpy(), curves, x_label, y_label, bands=bands, log=log, note=note)


def page_of_explanation(record: Mapping[str, Any], frames: Frames) -> str:
    """Make the page of an explanation; arguments as of :func:`sections_of`."""
    what = record.get("series") or "two problems that ask for memory"
    return Page(
        f"{what}: why a cell does as it does",
        record.get("explained") or "What cells can carry over time, on two problems made for that.",
        sections_of(record, frames),
        facts_of(record),
    ).render()
