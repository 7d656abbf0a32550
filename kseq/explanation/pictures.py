"""An explanation in pictures: gradients by lag, memory, gates at work, learning, and problems by length."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kseq.explanation.result import Measured
from kseq.report.lettering import label, legend, plain
from kseq.report.plot import ACTUAL, CELL_STYLES, OTHER_STYLES

#: Test windows of which gates are drawn: more cannot be told apart.
DRAWN = 120
#: Marker of each cell and its size: where all are at the same place, all are seen.
MARKERS = {"SimpleRNN": ("o", 11), "LSTM": ("s", 7), "GRU": ("^", 4)}


def pictures_of(explanation: Measured) -> dict[str, Callable[[], Figure]]:
    """Return the functions that draw the pictures, by file name; those for which there is something to draw."""
    pictures: dict[str, Callable[[], Figure]] = {}
    if explanation.cells:
        pictures["gradients.png"] = lambda: plot_gradients(explanation)
        pictures["memory.png"] = lambda: plot_memory(explanation)
        if any(cell.at_work.names for cell in explanation.cells):
            pictures["gates.png"] = lambda: plot_gates(explanation)
        if any(cell.speed is not None for cell in explanation.cells):
            pictures["training.png"] = lambda: plot_training(explanation)
    if explanation.tasks is not None:
        pictures["problems.png"] = lambda: plot_problems(explanation)
    return pictures


def _line(axes: Axes, x: np.ndarray, curves: np.ndarray, name: str, line: np.ndarray | None = None) -> None:
    """Draw the mean over seeds, or another line, in the cell's style, and the range of seeds as a band."""
    color, style = CELL_STYLES[name]
    there = ~np.isnan(curves).all(axis=0)
    mean = np.nanmean(curves[:, there], axis=0) if line is None else line
    axes.plot(x[there], mean, color=color, linestyle=style, label=label(name))
    if len(curves) > 1:
        low, high = np.nanmin(curves[:, there], axis=0), np.nanmax(curves[:, there], axis=0)
        axes.fill_between(x[there], low, high, color=color, alpha=0.15, linewidth=0)


def _new(width: float, height: float, rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns, squeeze=False))


def _legend_below(figure: Figure, axes: Axes) -> None:
    """Name the cells once for all axes, where no line can lie under it."""
    handles, _ = axes.get_legend_handles_labels()
    legend(figure, handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)


def plot_gradients(explanation: Measured) -> Figure:
    """Draw the norm of the gradient by lag, before and after training, of the loss and of the last output."""
    subject = explanation.subject
    assert subject is not None
    trained = explanation.cells[0].loss_gradient[0] is not None
    figure, axes = _new(11, 6.5, 2, 1 + trained)
    heads = ["before training", "after training"][not trained :]
    for column, head in enumerate(heads):
        for row, what in enumerate(("loss", "last output")):
            own = axes[row, column]
            for cell in explanation.cells:
                curve = (cell.loss_gradient, cell.state_gradient)[row][column + (not trained)]
                if curve is not None:
                    values = np.maximum(curve.values, 1e-12)
                    _line(own, np.arange(values.shape[1]), values, cell.name, np.exp(np.log(values).mean(axis=0)))
            own.axhline(0.01, color=ACTUAL, linewidth=1, zorder=0)
            own.set_yscale("log")
            at_right = own.get_yaxis_transform()
            own.text(0.995, 0.01, "1 %", transform=at_right, ha="right", va="bottom", fontsize=8, color="#555555")
            own.set_title(f"Gradient of the {what}, {head}", fontsize=10)
            own.set_xlabel(f"lag before the last row read, {subject.steps}")
            own.set_ylabel("norm, lag 0 = 1")
    _legend_below(figure, axes[0, 0])
    return figure


def plot_memory(explanation: Measured) -> Figure:
    """Draw the error by the number of rows that are left, the importance of each lag, and how states forget."""
    subject = explanation.subject
    assert subject is not None
    figure, axes = _new(12, 7, 2, 2)
    left, middle, right, last = axes.ravel()
    unit = f", {subject.unit}" if subject.unit and subject.measure == "mae" else ""
    error = f"test {subject.measure.upper()}{unit}"
    for cell in explanation.cells:
        memory = cell.memory
        _line(left, memory.kept, memory.without_older["shuffled"], cell.name)
        _line(middle, memory.lags, memory.by_lag - memory.error[:, None], cell.name)
        _line(right, np.arange(1, subject.lookback + 1), 100 * memory.attributed.sum(axis=2), cell.name)
        if cell.agreement is not None:
            _line(last, np.arange(cell.agreement.shape[1]), 100 * cell.agreement, cell.name)
    left.set_title("Error with older rows of another window", fontsize=10)
    left.set_xlabel("most recent rows left as they are")
    plain(left.set_ylabel(error))
    middle.set_title("Error without one lag (its rows shuffled)", fontsize=10)
    middle.set_xlabel(f"lag, {subject.steps}")
    plain(middle.set_ylabel(f"{error}, growth"))
    right.set_title("Integrated gradients: share of each lag", fontsize=10)
    right.set_xlabel(f"lag, {subject.steps}")
    right.set_ylabel("share of the attributions, %")
    last.set_title("States after two different pasts and the same rows since", fontsize=10)
    last.set_xlabel("rows read since")
    last.set_ylabel("distance left, %")
    _legend_below(figure, left)
    return figure


def plot_gates(explanation: Measured) -> Figure:
    """Draw the gates under the series: means over units and seeds at the last step of each test window."""
    subject = explanation.subject
    assert subject is not None
    gated = [cell for cell in explanation.cells if cell.at_work.names]
    figure = Figure(figsize=(12, 2.2 + 2.2 * len(gated)), layout="constrained")
    axes = figure.subplots(1 + len(gated), 1, sharex=True, squeeze=False)[:, 0]
    part = slice(max(0, len(subject.values) - DRAWN), None)
    dates = subject.dates[part]
    axes[0].plot(dates, subject.values[part], color="#555555", linewidth=1.3)
    plain(axes[0].set_title(subject.name, fontsize=10))
    plain(axes[0].set_ylabel(subject.unit or "value"))
    for own, cell in zip(axes[1:], gated, strict=True):
        for number, name in enumerate(cell.at_work.names):
            color, _ = OTHER_STYLES[(0, 5, 2)[number]]
            values = cell.at_work.along[name][:, part]
            own.plot(dates, values.mean(axis=0), color=color, linestyle=("-", "--", "-.")[number], label=f"{name} gate")
            if len(values) > 1:
                own.fill_between(dates, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)
        own.set_ylim(0, 1)
        own.set_ylabel("mean over units")
        own.set_title(f"{cell.name}: gates at the last row read (0 shut, 1 open)", fontsize=10)
        legend(own, frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[-1].set_xlabel("date" if hasattr(dates, "tz") else "row")
    return figure


def plot_training(explanation: Measured) -> Figure:
    """Draw the validation loss by gradient steps and by seconds, with the loss that cells are timed to."""
    subject = explanation.subject
    assert subject is not None
    figure, axes = _new(12, 4, 1, 2)
    largest, smallest = 0.0, np.inf
    for cell in explanation.cells:
        if cell.speed is None:
            continue
        # As long as half of the seeds train: the mean of the others would not be that of the cell.
        together = np.isfinite(cell.speed.curves).mean(axis=0) >= 0.5
        curves = cell.speed.curves[:, together]
        steps = (1 + np.arange(curves.shape[1])) * cell.speed.steps_per_epoch
        _line(axes[0, 0], steps, curves, cell.name)
        _line(axes[0, 1], steps * cell.speed.step_ms / 1000, curves, cell.name)
        largest, smallest = max(largest, np.nanmax(curves)), min(smallest, np.nanmin(curves))
    for own, what in zip(axes[0], ("gradient steps", "seconds of one seed"), strict=True):
        if np.isfinite(subject.target_loss):
            limit = "loss that all cells are timed to"
            own.axhline(subject.target_loss, color=ACTUAL, linewidth=1.5, zorder=0, label=limit)
        own.set_title(f"Validation loss by {what}", fontsize=10)
        own.set_xlabel(what)
        own.set_ylabel("validation loss, scaled")
        if largest > 10 * smallest > 0:
            own.set_yscale("log")
    _legend_below(figure, axes[0, 0])
    return figure


def plot_problems(explanation: Measured) -> Figure:
    """Draw the share of seeds that solve each memory problem by its length."""
    tasks = explanation.tasks
    assert tasks is not None
    problems = list(dict.fromkeys(tasks.frame["problem"]))
    figure, axes = _new(11, 4, 1, len(problems))
    for own, problem in zip(axes[0], problems, strict=True):
        for model, rows in tasks.frame[tasks.frame["problem"] == problem].groupby("model", sort=False):
            color, style = CELL_STYLES[str(model)]
            marker, size = MARKERS[str(model)]
            tried = rows[rows["tried"]]
            own.plot(
                tried["length"], 100 * tried["solved"], color=color, linestyle=style, marker=marker, markersize=size,
                label=str(model),
            )  # fmt: skip
        own.set_xscale("log")
        lengths = sorted(set(tasks.frame["length"]))
        own.set_xticks(lengths, [str(length) for length in lengths])
        own.minorticks_off()
        # The same in both, also where no cell was tried at the longest.
        own.set_xlim(lengths[0] / 1.2, lengths[-1] * 1.2)
        own.set_ylim(-5, 105)
        own.set_title(f"The {problem} problem", fontsize=10)
        own.set_xlabel("steps to remember")
        own.set_ylabel("seeds that solve it, %")
    _legend_below(figure, axes[0, 0])
    return figure
