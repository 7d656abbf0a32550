"""Two pictures that a mean error hides: skill step by step, and whether forecasts are the truth some steps late."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kseq.evaluation.tracking import correlation_by_lag
from kseq.report.lettering import label, legend, plain
from kseq.report.plot import ACTUAL, CELL_STYLES, dress, styles_of

if TYPE_CHECKING:
    from kseq.comparison.tables import Tables


def plot_horizon(comparison: "Tables") -> Figure | None:
    """Draw by how much each row's error is below that of the best baseline, at each step of the horizon.

    The error is the one that ranks rows. Bands around cells are the standard deviation over seeds.

    Args:
        comparison: The result.

    Returns:
        Figure | None: Not attached to any screen; None where there is one step alone, no baseline, or no other row.
    """
    frame, best = comparison.by_step, comparison.evidence.baseline
    if best is None or frame["step"].nunique() < 2:
        return None
    measure = comparison.evidence.metric if comparison.evidence.metric in frame else "mae"
    of_best = frame[frame["model"] == best.name].set_index("step")[measure]
    others = _of_models(frame[frame["model"] != best.name])
    if not others or not (of_best > 0).all():
        return None
    figure, axes = _new(f"{comparison.data.series.name}: skill by step", f"skill against {best.name}, %")
    axes.axhline(0, color=ACTUAL, linewidth=2.5, zorder=0.6)
    spread, lowest, of_cells = f"{measure}_std", 0.0, []
    for name, rows in others:
        by_step = rows.set_index("step")
        own = 100 * (1 - by_step[measure] / of_best)
        lowest = min(lowest, own.min())
        _line(axes, comparison, name, own.index.to_numpy(), own.to_numpy())
        if name in CELL_STYLES and spread in by_step and by_step[spread].notna().all():
            width = 100 * by_step[spread] / of_best
            of_cells.append(float((own - width).min()))
            axes.fill_between(own.index, own - width, own + width, color=CELL_STYLES[name][0], alpha=0.15, linewidth=0)
    # Of baselines that are far off no more is shown than that they are.
    bottom = 1.5 * min(of_cells, default=lowest) - 10
    if lowest < bottom:
        axes.set_ylim(bottom=bottom)
    axes.set_xlabel("steps ahead")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    above = f"above the line: better than {best.name}"
    plain(axes.text(0.99, 0.97, above, transform=axes.transAxes, ha="right", va="top", fontsize=8, color="#555555"))
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    return figure


def plot_shift(comparison: "Tables") -> Figure | None:
    """Draw how well the first step of each forecast agrees with the truth, and with the truth some steps earlier.

    A forecast that repeats the last value agrees best with the truth one step earlier.

    Args:
        comparison: The result.

    Returns:
        Figure | None: Not attached to any screen; None where nothing is trained, or too few windows are forecast.
    """
    evidence = comparison.evidence
    if not evidence.trained:
        return None
    curves = {
        row.name: found
        for row in evidence.rows
        if row.kind != "ensemble" and len(row.finite)
        and (found := correlation_by_lag(evidence, evidence.y[:, 0] + row.finite[:, :, 0]))
    }  # fmt: skip
    if not curves:
        return None
    figure, axes = _new(f"{comparison.data.series.name}: do forecasts follow earlier values?", "correlation")
    for name in _ordered(comparison, curves):
        _line(axes, comparison, name, np.arange(len(curves[name])), np.array(curves[name]))
    axes.set_xlabel("steps by which the truth is earlier (0: the value to be forecast)")
    axes.set_xticks(range(max(map(len, curves.values()))))
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    return figure


def _new(title: str, unit: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots()
    dress(axes, title, unit)
    return figure, axes


def _ordered(comparison: "Tables", names: dict[str, list[float]]) -> list[str]:
    """Cells last, so that their lines lie above those of baselines."""
    kinds = {row.name: row.kind for row in comparison.evidence.rows}
    return sorted(names, key=lambda name: kinds[name] != "baseline")


def _of_models(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each model but the means over seeds, which lie upon their cells; cells last."""
    parts = {str(name): rows for name, rows in frame[frame["kind"] != "ensemble"].groupby("model", sort=False)}
    return sorted(parts.items(), key=lambda part: part[1]["kind"].iloc[0] != "baseline")


def _line(axes: Axes, comparison: "Tables", name: str, x: np.ndarray, y: np.ndarray) -> None:
    color, style = styles_of(comparison.rows)[name]
    width = 1.8 if name in CELL_STYLES else 1.1
    axes.plot(x, y, color=color, linestyle=style, linewidth=width, marker=".", markersize=5, label=label(name))
