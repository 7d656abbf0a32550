"""A forecast in a picture: the last rows that were known, the steps to come, and their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from kseq._version import __version__
from kseq.data import Panel
from kseq.evaluation.intervals import Interval
from kseq.report.lettering import label, legend, plain
from kseq.report.plot import ACTUAL, CELL_STYLES

#: Rows of the past that are drawn, at least, and how many for each step to come.
PAST, PAST_PER_STEP = 36, 3


#: Series of a panel that are drawn, evenly spaced among all.
DRAWN = 4


def plot_forecast(
    name: str, history: Panel, dates: pd.Index, values: np.ndarray, intervals: Mapping[float, Interval]
) -> Figure:
    """Draw the last known rows, the forecast from the last value on, and a band for each level.

    Each target of a single series has axes of its own; of several series the first target is drawn, of :data:`DRAWN`
    series at most.

    Args:
        name: Name of the model: ``"GRU"``.
        history: The last rows that were known of each series.
        dates: Dates of the steps, series after series, ``(series * steps,)``.
        values: Forecasts in the targets' unit, ``(series, steps, targets)``.
        intervals: Bounds by level, of the shape of the values.

    Returns:
        Figure: The picture, not attached to any screen; ``figure.savefig(path)`` writes it.
    """
    series, steps, targets = values.shape
    drawn = [(0, target) for target in range(targets)]
    if series > 1:
        drawn = [(number, 0) for number in _drawn_of(series)]
    figure, all_axes = _axes(len(drawn))
    for axes, (number, target) in zip(all_axes, drawn, strict=True):
        shown = _last_of(history, number, steps)
        ahead = dates[number * steps : (number + 1) * steps]
        bands = {level: (band.lo[number, :, target], band.hi[number, :, target]) for level, band in intervals.items()}
        past = (history.index[shown], history.y[shown, target])
        _draw(axes, name, past, (ahead, values[number, :, target]), bands)
        of = history.targets[target]
        plain(axes.set_ylabel(f"{of}, {history.unit}" if history.unit else of))
        if series > 1 or target == 0:
            title = f"{history.ids[number]}: {_ahead(steps)} by {name}"
            plain(axes.set_title(title, loc="left", fontsize=11))
    all_axes[-1].set_xlabel("date" if history.has_dates else "row")
    return figure


def record_of(name: str, history: Panel, steps: int, notes: Sequence[str]) -> dict[str, Any]:
    """Make what ``forecast.json`` holds: the model, notes, targets, and for charts the last rows that the model knew.

    Args:
        name: Name of the model.
        history: The last rows that were known of each series.
        steps: Number of steps that are forecast.
        notes: Sentences on how the forecasts were made.
    """
    known, dated = _known(history, steps), history.has_dates
    columns = {
        column: [str(value) if column == "ds" and dated else value for value in values]
        for column, values in known.to_dict("list").items()
    }
    return {
        "kseq": __version__,
        "model": name,
        "notes": list(notes),
        "targets": list(history.targets),
        "unit": history.unit,
        "known": columns,
    }


def _drawn_of(series: int) -> list[int]:
    """Places of the series that are drawn, of so many."""
    return np.unique(np.linspace(0, series - 1, DRAWN).astype(int)).tolist()


def _known(panel: Panel, steps: int) -> pd.DataFrame:
    """Return the last known values of the series that are drawn: ``unique_id, ds, y``, named as in the forecast."""
    parts = []
    for number in _drawn_of(len(panel.ids)):
        shown = _last_of(panel, number, steps)
        for target, name in enumerate(panel.targets):
            id = f"{panel.ids[number]}/{name}" if len(panel.targets) > 1 else panel.ids[number]
            parts.append(pd.DataFrame({"unique_id": id, "ds": panel.index[shown], "y": panel.y[shown, target]}))
    return pd.concat(parts, ignore_index=True)


def _last_of(panel: Panel, number: int, steps: int) -> slice:
    """The rows of a series' past that are drawn."""
    end = panel.ends[number]
    # Rows across missing dates or values would be joined by a line.
    first = panel.stretches[np.searchsorted(panel.stretches[:, 0], end) - 1, 0]
    return _last(first, end, steps)


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
