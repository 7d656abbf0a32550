"""The comparison as a picture: every model over the test part, the actual series under them."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from kseq.comparison import Comparison

# Okabe and Ito's palette: told apart by colour-blind eyes. Line styles tell the same again in black-and-white print.
STYLES = {
    "SimpleRNN": ("#D55E00", "-"),
    "LSTM": ("#0072B2", "--"),
    "GRU": ("#009E73", "-."),
}
OTHER_STYLES = [("#CC79A7", ":"), ("#E69F00", (0, (1, 1))), ("#56B4E9", (0, (5, 1))), ("#999999", (0, (3, 1, 1, 1)))]
ACTUAL = "#000000"

#: Test steps beyond which single steps cannot be told apart, and a second panel shows the last of them.
READABLE = 200


def plot_predictions(comparison: "Comparison") -> Figure:
    """Draw all models over the test part in one picture.

    A cell's line is the mean over its seeds. Forecasts of several steps are drawn at their first step. A long test part
    gets a second panel with its last steps, where single steps can be read.

    Returns:
        Figure: not attached to any screen; ``figure.savefig(path)`` writes it.
    """
    data = comparison.data
    actual = data.test_y[:, 0, 0]
    dates = data.series.index[data.test.target_rows[:, 0]]
    panels = [slice(None)] if len(actual) <= READABLE else [slice(None), slice(-READABLE // 2, None)]
    figure = Figure(figsize=(11, 4.2 + 3.2 * (len(panels) - 1)), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(len(panels), 1))
    for axes, part in zip(all_axes, panels, strict=True):
        axes.plot(dates[part], actual[part], color=ACTUAL, linewidth=2.6, alpha=0.85, label="actual", zorder=1)
        others = iter(OTHER_STYLES * len(comparison.rows))
        for row in comparison.rows:
            color, style = STYLES.get(row.name) or next(others)
            line = row.predictions.mean(axis=0)[:, 0, 0]
            width = 1.0 if row.kind == "baseline" else 1.4
            axes.plot(
                dates[part], line[part], color=color, linestyle=style, linewidth=width, label=row.name,
                zorder=2 if row.kind == "baseline" else 3,
            )  # fmt: skip
        axes.set_ylabel(_label(comparison))
        axes.margins(x=0.01)
        axes.set_axisbelow(True)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    step = "one step ahead" if data.horizon == 1 else f"first of {data.horizon} steps ahead"
    all_axes[0].set_title(f"{data.series.name}: {len(actual)} test points, {step}", loc="left", fontsize=11)
    if len(panels) > 1:
        all_axes[1].set_title(f"the last {READABLE // 2} of them", loc="left", fontsize=11)
    all_axes[-1].set_xlabel("date" if data.series.has_dates else "row")
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), frameon=False)
    return figure


def _label(comparison: "Comparison") -> str:
    series = comparison.data.series
    return f"{series.targets[0]}, {series.unit}" if series.unit else series.targets[0]
