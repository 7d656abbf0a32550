"""A forecast in a picture: the last rows that were known, the steps to come, and their intervals."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from kseq.report.plot import ACTUAL, CELL_STYLES

if TYPE_CHECKING:
    from kseq.forecasting import Forecast

#: Rows of the past that are drawn, at least, and how many for each step to come.
PAST, PAST_PER_STEP = 36, 3


def plot_forecast(forecast: "Forecast") -> Figure:
    """Draw each target on axes of its own: history, forecast from its last value on, a band for each level.

    Returns:
        Figure: not attached to any screen; ``figure.savefig(path)`` writes it.
    """
    history, steps = forecast.history, len(forecast.dates)
    figure = Figure(figsize=(10, 0.6 + 3.4 * len(history.targets)), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(len(history.targets), 1))
    color, style = CELL_STYLES[forecast.name]
    # Rows across missing dates or values would be joined by a line.
    shown = slice(max(history.stretches[-1, 0], len(history) - max(PAST, PAST_PER_STEP * steps)), None)
    dates = history.index[-1:].append(forecast.dates)
    for number, (axes, target) in enumerate(zip(all_axes, history.targets, strict=True)):
        past = history.y[:, number]
        axes.plot(history.index[shown], past[shown], color=ACTUAL, linewidth=3, label="known")
        # The line starts where the known one ends; a marker shows a single step.
        line = np.append(past[-1], forecast.values[:, number])
        axes.plot(dates, line, color=color, linestyle=style, linewidth=1.6, label=forecast.name)
        axes.plot(forecast.dates, forecast.values[:, number], ".", color=color, markersize=4 if steps > 1 else 9)
        for rank, level in enumerate(sorted(forecast.intervals, reverse=True)):
            bounds = [getattr(forecast.intervals[level], side)[:, number] for side in ("lo", "hi")]
            low, high = (np.append(past[-1], bound) for bound in bounds)
            axes.fill_between(
                dates, low, high, color=color, alpha=0.15 + 0.1 * rank, linewidth=0, label=f"{level:g} % interval"
            )
        axes.set_ylabel(f"{target}, {history.unit}" if history.unit else target)
        axes.margins(x=0.01)
        axes.set_axisbelow(True)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    ahead = "1 step" if steps == 1 else f"{steps} steps"
    all_axes[0].set_title(f"{history.name}: {ahead} ahead by {forecast.name}", loc="left", fontsize=11)
    all_axes[-1].set_xlabel("date" if history.has_dates else "row")
    return figure
