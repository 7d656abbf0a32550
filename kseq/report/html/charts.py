"""Charts of a page, by Bokeh: forecasts to zoom into, errors by step, fold and series, learning curves, shifts."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, DatetimeTickFormatter, HoverTool, Span
from bokeh.plotting import figure

from kseq.report.html.page import Chart
from kseq.report.plot import CELL_STYLES, OTHER_STYLES

#: Readable on white and on nearly black.
GREY, GRID, ACTUAL = "#808080", "#8080804d", "#8c8c8c"
#: matplotlib's line styles in Bokeh's words, by number of the row.
_DASHES = ("solid", "dashed", "dashdot", "dotted", "dotdash")
#: Points of a line; of more, every so many are drawn.
POINTS = 2_000
#: Digits that count in a chart.
DIGITS = 6

_names = count(1)


def styles_of(models: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a dash for each row; cells and their means have those that they have in pictures."""
    found: dict[str, tuple[str, str]] = {}
    others = 0
    for model in models:
        cell = next((cell for cell in CELL_STYLES if model == cell or model.startswith(f"{cell} x")), None)
        if cell is not None:
            dash = _DASHES[list(CELL_STYLES).index(cell)] if model == cell else "dotted"
            found[model] = (CELL_STYLES[cell][0], dash)
        else:
            color = OTHER_STYLES[others % len(OTHER_STYLES)][0]
            # Black would not be seen on a dark page.
            found[model] = ("#6699CC" if color == "#000000" else color, _DASHES[others % len(_DASHES)])
            others += 1
    return found


def axes(x_label: str, y_label: str, height: int = 340, dates: bool = False, log: bool = False) -> Any:
    """Return an empty figure in the page's look."""
    shown = figure(
        height=height,
        sizing_mode="stretch_width",
        name=f"chart{next(_names)}",
        tools="pan,box_zoom,wheel_zoom,reset,save",
        active_drag="box_zoom",
        x_axis_type="datetime" if dates else "linear",
        y_axis_type="log" if log else "linear",
        x_axis_label=x_label or None,
        y_axis_label=y_label or None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        toolbar_location="above",
    )
    shown.toolbar.logo = None
    # What is switched off does not stretch the axes.
    shown.y_range.only_visible = True
    shown.grid.grid_line_color = GRID
    for axis in shown.axis:
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = GREY
        axis.major_label_text_color = axis.axis_label_text_color = GREY
        axis.axis_label_text_font_style = "normal"
    if dates:
        shown.xaxis.formatter = DatetimeTickFormatter(hours="%H:%M", days="%d %b", months="%b %Y", years="%Y")
    return shown


def lines(
    title: str,
    x: Sequence[Any] | np.ndarray,
    curves: Mapping[str, np.ndarray],
    x_label: str,
    y_label: str,
    *,
    on: Sequence[str] | None = None,
    actual: np.ndarray | None = None,
    bands: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]] | None = None,
    note: str = "",
    log: bool = False,
    zero: bool = False,
) -> Chart:
    """Draw a line a row.

    Args:
        title: Of the chart.
        x: Places of the points, dates or numbers.
        curves: Values by row.
        x_label: Under the chart.
        y_label: Beside it.
        on: Rows that are shown at first; all by default.
        actual: True values, drawn wide and grey.
        bands: Intervals by row, each a pair of bounds.
        note: A sentence below.
        log: Whether values are drawn on a logarithmic axis.
        zero: Whether a line is drawn at zero.

    Returns:
        Chart: With a switch for each row.
    """
    places = pd.Index(x)
    dates = isinstance(places, pd.DatetimeIndex)
    keep = slice(None, None, max(1, -(-len(places) // POINTS)))
    shown = axes(x_label, y_label, dates=dates, log=log)
    styles = styles_of(curves)
    at = places[keep].tz_localize(None) if dates and places.tz is not None else places[keep]
    if actual is not None:
        source = ColumnDataSource({"x": at, "y": _rounded(actual[keep])})
        shown.line("x", "y", source=source, line_color=ACTUAL, line_width=4, line_alpha=0.6, name="actual")
    for name, own in (bands or {}).items():
        for lower, upper in own:
            source = ColumnDataSource({"x": at, "lo": _rounded(lower[keep]), "hi": _rounded(upper[keep])})
            shown.varea(
                "x", "lo", "hi", source=source, fill_color=styles[name][0], fill_alpha=0.15, name=name,
                visible=on is None or name in on,
            )  # fmt: skip
    drawn = []
    for name, values in curves.items():
        color, dash = styles[name]
        source = ColumnDataSource({"x": at, "y": _rounded(values[keep]), "row": [name] * len(at)})
        visible = on is None or name in on
        look = {"source": source, "line_color": color, "name": name, "visible": visible}
        drawn.append(shown.line("x", "y", line_width=2, line_dash=dash, **look))
        if len(at) <= 40:
            shown.scatter("x", "y", size=6, fill_color=color, **look)
    x_shown = "@x{%F %H:%M}" if dates else "@x{0.[000]}"
    hover = HoverTool(
        renderers=drawn, tooltips=[("", "@row"), (x_label or "x", x_shown), (y_label or "y", "@y{0.[00000]}")],
        formatters={"@x": "datetime"} if dates else {}, mode="mouse",
    )  # fmt: skip
    shown.add_tools(hover)
    if zero:
        shown.add_layout(Span(location=0, dimension="width", line_color=GREY, line_width=1))
    switches = [(name, styles[name][0], on is None or name in on) for name in curves]
    if actual is not None:
        switches.insert(0, ("actual", ACTUAL, True))
    return Chart(title, shown, tuple(switches), note)


def _rounded(values: np.ndarray) -> list[float]:
    """Numbers with as many digits as a chart shows, which keeps the page small."""
    return [float(f"{value:.{DIGITS}g}") for value in np.asarray(values, float)]
