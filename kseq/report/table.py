"""The comparison as text: aligned for a terminal, Markdown, CSV or JSON."""

import json
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from kseq.comparison import Comparison

FORMATS = ("table", "markdown", "csv", "json")


def render(comparison: "Comparison", style: str = "table") -> str:
    """Write the table out.

    Args:
        comparison: the result.
        style: ``"table"`` (aligned, for a terminal), ``"markdown"``, ``"csv"`` or ``"json"`` (numbers in full).

    Returns:
        str: without a newline at the end.
    """
    if style == "csv":
        return comparison.table.to_csv(index=False, lineterminator="\n").rstrip("\n")
    if style == "json":
        return json.dumps(json.loads(comparison.table.to_json(orient="records", double_precision=15)), indent=2)
    shown = shown_table(comparison)
    return _markdown(shown) if style == "markdown" else _aligned(shown)


def shown_table(comparison: "Comparison") -> pd.DataFrame:
    """The table as a reader wants it: rounded text, mean ± standard deviation over seeds."""
    table = comparison.table
    unit = f", {comparison.data.series.unit}" if comparison.data.series.unit else ""
    heads = {"mae": f"MAE{unit}", "rmse": f"RMSE{unit}", "mape": "MAPE, %"}
    shown = pd.DataFrame({"model": table["model"]})
    shown["parameters"] = [f"{p:,}" if p else "–" for p in table["parameters"]]
    for metric, head in heads.items():
        decimals = 2 if metric == "mape" else 3
        shown[head] = [
            _mean_and_spread(mean, spread, seeds, decimals)
            for mean, spread, seeds in zip(table[metric], table[f"{metric}_std"], table["seeds"], strict=True)
        ]
    shown["epochs"] = [f"{e:.0f}" if e == e else "–" for e in table["epochs"]]
    shown["ms/epoch/seed"] = [f"{1000 * s:.1f}" if s == s else "–" for s in table["seconds_per_epoch_and_seed"]]
    return shown


def _mean_and_spread(mean: float, spread: float, seeds: int, decimals: int) -> str:
    if mean != mean:
        return "n/a"
    text = f"{mean:.{decimals}f}"
    return f"{text} ± {spread:.{decimals}f}" if seeds > 1 else text


def _markdown(shown: pd.DataFrame) -> str:
    lines = [list(shown.columns), ["---", *["---:"] * (shown.shape[1] - 1)], *shown.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _aligned(shown: pd.DataFrame) -> str:
    rows = [list(shown.columns), *shown.to_numpy().tolist()]
    widths = [max(len(row[column]) for row in rows) for column in range(shown.shape[1])]

    def line(row: list[str]) -> str:
        first, *rest = row
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(rows[0]), "  ".join("─" * width for width in widths), *map(line, rows[1:])])
