"""A forecast in a picture: the last rows that were known, the steps to come, and their intervals."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from kseq.report.lettering import label, legend, plain
from kseq.report.plot import ACTUAL, CELL_STYLES

if TYPE_CHECKING:
    from kseq.forecasting import Forecast
    from kseq.panels.forecasting import PanelForecast

#: Rows of the past that are drawn, at least, and how many for each step to come.
PAST, PAST_PER_STEP = 36, 3


#: Series of a panel that are drawn, evenly spaced among all.
DRAWN = 4


def plot_forecast(forecast: "Forecast") -> Figure:
    """Draw each target on axes of its own: history, forecast from its last value on, a band for each level.

    Returns:
        Figure: not attached to any screen; ``figure.savefig(path)`` writes it.
    """
    history, steps = forecast.history, len(forecast.dates)
    figure, all_axes = _axes(len(history.targets))
    # Rows across missing dates or values would be joined by a line.
    shown = _last(history.stretches[-1, 0], len(history), steps)
    for number, (axes, target) in enumerate(zip(all_axes, history.targets, strict=True)):
        bands = {level: (band.lo[:, number], band.hi[:, number]) for level, band in forecast.intervals.items()}
        past = (history.index[shown], history.y[shown, number])
        _draw(axes, forecast.name, past, (forecast.dates, forecast.values[:, number]), bands)
        plain(axes.set_ylabel(f"{target}, {history.unit}" if history.unit else target))
    plain(all_axes[0].set_title(f"{history.name}: {_ahead(steps)} by {forecast.name}", loc="left", fontsize=11))
    all_axes[-1].set_xlabel("date" if history.has_dates else "row")
    return figure


def plot_panel_forecast(forecast: "PanelForecast") -> Figure:
    """Draw the first target of some series, :data:`DRAWN` at most, each on axes of its own, as :func:`plot_forecast`.

    Returns:
        Figure: not attached to any screen.
    """
    panel, (series, steps, _) = forecast.history, forecast.values.shape
    drawn = np.unique(np.linspace(0, series - 1, DRAWN).astype(int))
    figure, all_axes = _axes(len(drawn))
    for axes, number in zip(all_axes, drawn.tolist(), strict=True):
        end = panel.ends[number]
        first = panel.stretches[np.searchsorted(panel.stretches[:, 0], end) - 1, 0]
        shown = _last(first, end, steps)
        dates = forecast.dates[number * steps : (number + 1) * steps]
        bands = {level: (band.lo[number, :, 0], band.hi[number, :, 0]) for level, band in forecast.intervals.items()}
        past = (panel.index[shown], panel.y[shown, 0])
        _draw(axes, forecast.name, past, (dates, forecast.values[number, :, 0]), bands)
        plain(axes.set_ylabel(f"{panel.targets[0]}, {panel.unit}" if panel.unit else panel.targets[0]))
        title = f"{panel.ids[number]}: {_ahead(steps)} by {forecast.name}"
        plain(axes.set_title(title, loc="left", fontsize=11))
    all_axes[-1].set_xlabel("date" if panel.has_dates else "row")
    return figure


def _axes(count: int) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(10, 0.6 + 3.4 * count), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(count, 1))


def _ahead(steps: int) -> str:
    return "1 step ahead" if steps == 1 else f"{steps} steps ahead"


def _last(first: int, end: int, steps: int) -> slice:
    """The rows of the past that are drawn, of those from ``first`` to before ``end``."""
    return slice(max(first, end - max(PAST, PAST_PER_STEP * steps)), end)


def _draw(
    axes: Axes,
    name: str,
    known: tuple[pd.Index, np.ndarray],
    made: tuple[pd.Index, np.ndarray],
    bands: Mapping[float, tuple[np.ndarray, np.ndarray]],
) -> None:
    """Draw known values and forecasts, each with their dates, and bounds by level."""
    (past_dates, past), (dates, values) = known, made
    color, style = CELL_STYLES[name]
    axes.plot(past_dates, past, color=ACTUAL, linewidth=3, label="known")
    # The line starts where the known one ends; a marker shows a single step.
    joint = past_dates[-1:].append(dates)
    axes.plot(joint, np.append(past[-1], values), color=color, linestyle=style, linewidth=1.6, label=label(name))
    axes.plot(dates, values, ".", color=color, markersize=4 if len(dates) > 1 else 9)
    for rank, level in enumerate(sorted(bands, reverse=True)):
        low, high = (np.append(past[-1], bound) for bound in bands[level])
        axes.fill_between(
            joint, low, high, color=color, alpha=0.15 + 0.1 * rank, linewidth=0, label=f"{level:g} % interval"
        )
    if isinstance(joint, pd.DatetimeIndex):
        # Dates in full would run into one another.
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.margins(x=0.01)
    axes.set_axisbelow(True)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
