"""Charts of a page, by Bokeh: forecasts to zoom into, errors by step, fold and series, learning curves, shifts."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    ColumnDataSource,
    DatetimeTickFormatter,
    FactorRange,
    HoverTool,
    NoOverlap,
    Span,
)
from bokeh.plotting import figure

from kseq.report.html.page import Chart, Switch
from kseq.report.plot import CELL_STYLES

#: Readable on white and on nearly black; the page's script gives labels of axes the colour of its text.
GREY, GRID, ACTUAL = "#808080", "#8080804d", "#8c8c8c"
#: Colours of rows that are no cells. Unlike those of pictures, which stand on white, each has a contrast of 3 to both
#: grounds of a page; in so narrow a range colour-blind eyes tell some apart by their dashes alone.
OTHER_COLORS = ("#C05A96", "#A87400", "#2F8FC8", "#7A5FD0", "#7C7F1C", "#A0622D", "#5F7D8C", "#A65FB0")
#: matplotlib's line styles as lengths of dashes and gaps, by number of the row.
_DASHES = ((), (6, 3), (8, 3, 2, 3), (2, 3), (2, 3, 8, 3))
#: Of the mean over a cell's seeds.
_MEAN_DASH = (2, 2)
#: Points of a line; of more, every so many are drawn.
POINTS = 2_000
#: Digits that count in a chart.
DIGITS = 6

_names = count(1)


def styles_of(models: Iterable[str]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return a colour and the dashes of each row; cells and their means have the colours that they have in pictures."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    others, parts = 0, dict.fromkeys(CELL_STYLES, 0)
    for model in models:
        cell = next((own for own in CELL_STYLES if model == own or model.startswith((f"{own} x", f"{own}, "))), None)
        if cell is None:
            # Colours and dashes come round at different numbers: 40 rows are told apart.
            found[model] = (OTHER_COLORS[others % len(OTHER_COLORS)], _DASHES[others % len(_DASHES)])
            others += 1
            continue
        dashes = _DASHES[list(CELL_STYLES).index(cell)] if model == cell else _MEAN_DASH
        if model.startswith(f"{cell}, "):
            # A gate of the cell, or another part of it.
            dashes = _DASHES[parts[cell] % len(_DASHES)]
            parts[cell] += 1
        found[model] = (CELL_STYLES[cell][0], dashes)
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
    # What is switched off does not stretch the axes.
    shown.y_range.only_visible = True
    _plain(shown)
    shown.xaxis.major_label_policy = NoOverlap()
    if not log:
        # Bokeh writes powers of ten from 100,000 on.
        shown.yaxis.formatter = BasicTickFormatter(power_limit_high=8)
    if dates:
        shown.xaxis.formatter = DatetimeTickFormatter(hours="%H:%M", days="%d %b", months="%b %Y", years="%Y")
    return shown


def _plain(shown: Any) -> None:
    """Give a figure the look of the page."""
    shown.toolbar.logo = None
    shown.grid.grid_line_color = GRID
    for axis in shown.axis:
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = GREY
        axis.major_label_text_color = axis.axis_label_text_color = GREY
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "13px"


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
    if not dates and all(float(place).is_integer() for place in places):
        # Between two steps or epochs there is nothing.
        shown.xaxis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
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
        color, dashes = styles[name]
        source = ColumnDataSource({"x": at, "y": _rounded(values[keep]), "row": [name] * len(at)})
        visible = on is None or name in on
        look = {"source": source, "line_color": color, "name": name, "visible": visible}
        drawn.append(shown.line("x", "y", line_width=2, line_dash=list(dashes), **look))
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
    switches = [Switch(name, *styles[name], on is None or name in on) for name in curves]
    if actual is not None:
        switches.insert(0, Switch("actual", ACTUAL, (), True, width=5))
    return Chart(title, shown, tuple(switches), note)


def bars(title: str, values: Mapping[tuple[str, str], float], x_label: str, note: str = "") -> Chart:
    """Draw a horizontal bar a value, from 0 on.

    Args:
        title: Of the chart.
        values: Lengths of the bars by group and name, as they stand from the top.
        x_label: Under the chart.
        note: A sentence below; empty for none.

    Returns:
        Chart: Without switches: names stand beside the bars.
    """
    names = list(dict.fromkeys(name for _, name in values))
    colors = {name: OTHER_COLORS[number % len(OTHER_COLORS)] for number, name in enumerate(names)}
    shown = figure(
        y_range=FactorRange(*reversed(list(values)), group_padding=0.4), height=90 + 24 * len(values),
        sizing_mode="stretch_width", name=f"chart{next(_names)}", tools="pan,box_zoom,reset,save",
        active_drag=None, x_axis_label=x_label or None, background_fill_color=None, border_fill_color=None,
        outline_line_color=None, toolbar_location="above",
    )  # fmt: skip
    source = ColumnDataSource({
        "y": list(values), "x": _rounded(np.array(list(values.values()))), "row": [name for _, name in values],
        "color": [colors[name] for _, name in values], "text": [f"{value:,.3g}" for value in values.values()],
    })  # fmt: skip
    bar = shown.hbar(y="y", right="x", height=0.7, source=source, fill_color="color", line_color=None)
    shown.text(x="x", y="y", text="text", x_offset=4, text_baseline="middle", text_font_size="12px", source=source,
               text_color=GREY)  # fmt: skip
    shown.x_range.start = 0
    shown.x_range.range_padding = 0.3
    _plain(shown)
    shown.ygrid.grid_line_color = None
    shown.yaxis.group_text_color = shown.yaxis.subgroup_text_color = GREY
    shown.yaxis.separator_line_color = None
    shown.add_tools(HoverTool(renderers=[bar], tooltips=[("", "@row"), (x_label or title, "@x{0.[000]}")]))
    return Chart(title, shown, (), note)


def _rounded(values: np.ndarray) -> list[float]:
    """Numbers with as many digits as a chart shows, which keeps the page small."""
    return [float(f"{value:.{DIGITS}g}") for value in np.asarray(values, float)]
