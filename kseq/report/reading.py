"""What was read, in a picture: the series with its gaps and missing values, and its season."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kseq.data import Panel, Series
from kseq.report.lettering import plain

#: Of lines.
DARK = "#303030"

#: Series of a panel that are drawn, evenly spaced among all; points of a line; gaps that are shaded, the longest ones.
DRAWN, POINTS, SHADED = 4, 4000, 100


def plot_reading(data: Series | Panel, season: int) -> Figure:
    """Draw what was read.

    Args:
        data: A series, or a panel, of which up to :data:`DRAWN` series are drawn.
        season: Steps in a season; below 2 for none.

    Returns:
        Figure: Not attached to any screen.
    """
    panel = Panel.of(data)
    numbers = np.unique(np.linspace(0, len(panel.ids) - 1, DRAWN).astype(int)).tolist()
    wide = season > 1
    figure = Figure(figsize=(11, 1 + 2.6 * len(numbers)), layout="constrained")
    grid = figure.subplots(len(numbers), 2 if wide else 1, squeeze=False, width_ratios=[3, 1] if wide else [1])
    for row, number in zip(grid, numbers, strict=True):
        first, end = int(panel.borders[number]), int(panel.ends[number])
        index, y = panel.index[first:end], panel.y[first:end, 0]
        _line(row[0], panel, first, end)
        name = str(panel.targets[0])
        plain(row[0].set_ylabel(f"{name}, {panel.unit}" if panel.unit else name))
        plain(row[0].set_title(f"{panel.ids[number]}: {len(y):,} rows, {panel.step}", loc="left", fontsize=10))
        if wide:
            _season(row[1], index, y, panel, first, end, season)
    return figure


def _line(axes: Axes, panel: Panel, first: int, end: int) -> None:
    """The values, with a break at each gap, which is shaded."""
    index, y = panel.index[first:end], panel.y[first:end, 0]
    every = max(1, len(y) // POINTS)
    breaks = panel.gaps[(panel.gaps > first) & (panel.gaps < end)] - first
    values = pd.Series(y, index=index)[::every].to_numpy()
    x = index[::every]
    for part in np.split(np.arange(len(values)), np.unique(-(-breaks // every))):
        if len(part):
            axes.plot(x[part], values[part], color=DARK, lw=0.9, marker="." if len(part) == 1 else None)
    steps = np.asarray(index[breaks] - index[breaks - 1]) if len(breaks) else np.empty(0)
    for at in breaks[np.argsort(steps)[::-1][:SHADED]]:
        axes.axvspan(index[at - 1], index[at], color="tab:red", alpha=0.2, lw=0)
    lacking = np.flatnonzero(np.isnan(y))
    if len(lacking):
        axes.plot(index[lacking[:POINTS]], np.full(len(lacking[:POINTS]), np.nanmin(y)), "|", color="tab:red", ms=8)
    if panel.has_dates:
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    else:
        axes.set_xlabel("row")


def _season(axes: Axes, index: pd.Index, y: np.ndarray, panel: Panel, first: int, end: int, season: int) -> None:
    """Mean and middle half of the values at each place of the season."""
    place = panel.calendar.positions(len(panel))[first:end] % season
    if season == 12 and isinstance(index, pd.DatetimeIndex):
        place = index.month - 1
    groups = pd.Series(y).groupby(np.asarray(place))
    quarter, middle, three = groups.quantile(0.25), groups.mean(), groups.quantile(0.75)
    axes.fill_between(middle.index + 1, quarter, three, color=DARK, alpha=0.2, lw=0)
    axes.plot(middle.index + 1, middle, color=DARK, marker="o" if season <= 24 else None, ms=3, lw=1)
    axes.set_title(f"season of {season}: mean, middle half", loc="left", fontsize=10)
    axes.set_xlabel("month" if season == 12 and panel.has_dates else "step of the season")
    if season == 12:
        axes.set_xticks(range(1, 13))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
