"""The comparison in pictures: every model over the test part, and the learning curves of the cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kseq.errors import ConfigError
from kseq.evaluation.intervals import Interval
from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.rows import best_baseline
from kseq.report.lettering import label, legend, plain, shortened

if TYPE_CHECKING:
    from kseq.comparison.tables import Tables

#: A colour and a line style.
Style = tuple[str, Any]

# Okabe and Ito's palette: told apart by colour-blind eyes. Line styles tell the same again in black-and-white print.
CELL_STYLES: dict[str, Style] = {
    "SimpleRNN": ("#D55E00", "-"),
    "LSTM": ("#0072B2", "--"),
    "GRU": ("#009E73", "-."),
}
OTHER_STYLES: list[Style] = [
    ("#CC79A7", (0, (1, 1))),
    ("#E69F00", (0, (7, 2))),
    ("#56B4E9", (0, (5, 1, 1, 1, 1, 1))),
    ("#000000", "-"),
    ("#8C510A", (0, (1, 2))),
    ("#332288", (0, (3, 1, 1, 1))),
    ("#882255", (0, (4, 1))),
    ("#999933", (0, (8, 1, 2, 1))),
]
#: Wide and light, so that lines upon it stay visible.
ACTUAL = "#b8b8b8"

#: Curves of a training, as they are called in a record and in a legend.
CURVES = {"loss": "training", "val_loss": "validation"}
CURVE_STYLES: list[Style] = [("#0072B2", "--"), ("#D55E00", "-")]

#: Test steps beyond which single steps cannot be told apart, and a second panel shows the last of them.
READABLE = 200


@dataclass(frozen=True)
class _Panel:
    """One set of axes: which test points it shows, of which rows, under which title."""

    part: slice
    rows: Sequence[ModelResult]
    title: str


#: Series of a panel that are drawn, from the one that is forecast best to the one that is forecast worst.
DRAWN = 4


def plot_predictions(comparison: "Tables", ids: Sequence[Any] | None = None) -> Figure:
    """Draw all models over the test part in one picture.

    Cells stand together with the best baseline, the other baselines on axes of their own. A cell's line is the mean
    over its seeds, so that ensembles are not drawn again. Forecasts of several steps are drawn at their first step; in
    a backtest whose folds do not overlap, at all steps, each fold a line of its own. Of a long test part the whole is
    shown once, and its last steps, where single steps can be read. The best cell has a band around its line for each
    level of its intervals.

    Of a panel some series are drawn, each on axes of its own: its last steps, cells and the best baseline.

    Args:
        comparison: The result.
        ids: Series of a panel to draw; by default a few, evenly spaced from the one that the best row forecasts
            best, by MASE, to the one that it forecasts worst.

    Returns:
        Figure: Not attached to any screen; ``figure.savefig(path)`` writes it.
    """
    series, track = comparison.data.series, _Track.of(comparison)
    panels = _of_series(comparison, ids) if comparison.several else _panels(comparison, track)
    styles = styles_of(comparison.rows)
    bands = _bands(comparison)
    figure = Figure(figsize=(12, 0.6 + 3.3 * len(panels)), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(len(panels), 1))
    for axes, panel in zip(all_axes, panels, strict=True):
        dates, past = series.index[track.rows[panel.part]], track.past(panel.part)
        axes.plot(series.index[past], series.y[past, 0], color=ACTUAL, linewidth=4.5, label="actual")
        for row in panel.rows:
            color, style = styles[row.name]
            line = track.along(row.predictions[row.sound].mean(axis=0)[..., 0])[panel.part]
            axes.plot(
                dates, line, color=color, linestyle=style, linewidth=1.3, marker=track.marker, label=label(row.name)
            )
            if row.name in bands:
                bounds = {
                    level: [track.along(bound[0, ..., 0])[panel.part] for bound in (band.lo, band.hi)]
                    for level, band in bands[row.name].items()
                }
                _draw_bands(axes, dates, bounds, color, row.name)
        dress(axes, panel.title, _label(comparison))
        legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    all_axes[-1].set_xlabel("date" if series.has_dates else "row")
    return figure


@dataclass(frozen=True)
class _Track:
    """Which of all forecasts are drawn, and where.

    Args:
        rows: Rows of the points in the order of time. Where each window is a line of its own, its last row stands
            twice: at the second the line is broken.
        broken: Whether each window is a line of its own, with all its steps; otherwise its first step is a point.
        marker: Marker of single points, which a line of few would hide; empty for none.
        before: Rows of the past that are drawn before the first point.
    """

    rows: np.ndarray
    broken: bool
    marker: str
    before: int

    @classmethod
    def of(cls, comparison: "Tables") -> "_Track":
        rows, horizon = comparison.data.test.target_rows, comparison.data.horizon
        step = comparison.evidence.step_size
        if comparison.several:
            # Each series has axes of its own, with a point a window; rows before its first may be another's.
            return cls(rows[:, 0], False, "." if comparison.folds else "", 0)
        before = horizon if comparison.folds else 0
        if comparison.folds and 1 < horizon <= step:
            return cls(np.pad(rows, ((0, 0), (0, 1)), mode="edge").ravel(), True, "", before)
        return cls(rows[:, 0], False, "." if comparison.folds and (step > 1 or len(rows) == 1) else "", before)

    def along(self, values: np.ndarray) -> np.ndarray:
        """Values of all points, of ``(windows, horizon)``; NaN where the line is broken."""
        return np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan).ravel() if self.broken else values[:, 0]

    def past(self, part: slice) -> np.ndarray:
        """All rows from the first of some points to the last, and those before."""
        rows = self.rows[part]
        return np.arange(max(0, rows[0] - self.before), rows[-1] + 1)


def _panels(comparison: "Tables", track: _Track) -> list[_Panel]:
    """What is drawn where."""
    drawn = [row for row in comparison.rows if row.sound.any()]
    baselines = [row for row in drawn if row.kind == "baseline"]
    cells = [row for row in drawn if row.kind in ("cell", "model")] or [row for row in drawn if row.kind == "ensemble"]
    best = best_baseline(comparison.evidence.rows)
    if cells and best is not None:
        cells += [row for row in baselines if row.name == best.name]
    data = comparison.data
    points = len(track.rows)
    step = "one step ahead" if data.horizon == 1 else f"first of {data.horizon} steps ahead"
    whole = f"{data.series.name}: {points} test point{'s' * (points > 1)}, {step}"
    if track.broken:
        whole = f"{data.series.name}: {len(data.test)} fold{'s' * (len(data.test) > 1)} of {data.horizon} steps"
    # One baseline is already drawn among the cells.
    groups = [cells, baselines] if cells and len(baselines) > 1 else [cells or baselines]
    if points <= READABLE:
        return [_Panel(slice(None), rows, title) for rows, title in zip(groups, (whole, "baselines"), strict=False)]
    last, shown = slice(-READABLE // 2, None), f"the last {READABLE // 2} points"
    close = [_Panel(last, rows, title) for rows, title in zip(groups, (shown, f"{shown}, baselines"), strict=False)]
    return [_Panel(slice(None), groups[0], whole), *close]


def _of_series(comparison: "Tables", ids: Sequence[Any] | None) -> list[_Panel]:
    """Which series of a panel are drawn."""
    drawn, best = [row for row in comparison.rows if row.sound.any()], comparison.best
    forecast, windows = np.unique(comparison.data.test.series, return_counts=True)
    names = comparison.data.series.ids[forecast]
    errors = comparison.scores(best, "mase", by="series").mean(axis=0)
    ranking = np.argsort(np.nan_to_num(errors, nan=np.inf), kind="stable")[: np.isfinite(errors).sum()]
    chosen = ranking[np.unique(np.linspace(0, len(ranking) - 1, DRAWN).astype(int))]
    if ids is not None:
        chosen = names.get_indexer(list(ids))
        if (chosen < 0).any():
            unknown = list(ids)[int((chosen < 0).argmax())]
            raise ConfigError(f"received series {unknown!r}, expected one of the {len(names)} that are forecast.")
    baseline = best_baseline(comparison.evidence.rows)
    cells = [row for row in drawn if row.kind in ("cell", "model")] or [row for row in drawn if row.kind == "ensemble"]
    rows = [*cells, *(row for row in drawn if baseline is not None and row.name == baseline.name)]
    stops = np.cumsum(windows)
    horizon = comparison.data.horizon
    step = f"; first of {horizon} steps ahead" if horizon > 1 else ""
    return [
        _Panel(
            slice(max(stops[number] - windows[number], stops[number] - READABLE // 2), stops[number]),
            rows,
            f"{names[number]}: MASE {errors[number]:.3g} of {best.name} (mean over {len(names)} series "
            f"{np.nanmean(errors):.3g}){step}",
        )
        for number in chosen
    ]


def _bands(comparison: "Tables") -> dict[str, dict[float, Interval]]:
    """Intervals of the best cell's mean forecast, by the cell's name."""
    cells = comparison.evidence.cells
    if not cells:
        return {}
    row = next(row for row in comparison.rows if row.name == cells[0].name)
    # Of one member that did not diverge there is no mean: its own intervals are the cell's.
    return {row.name: comparison.intervals(row.mean_of_members() or row)}


def _draw_bands(axes: Axes, dates: pd.Index, bounds: dict[float, list[np.ndarray]], color: str, name: str) -> None:
    """Draw one band upon the other, the widest first, named together."""
    levels = sorted(bounds, reverse=True)
    shown = f"{' and '.join(f'{level:g}' for level in reversed(levels))} % intervals, {name}"
    for level in levels:
        lo, hi = bounds[level]
        axes.fill_between(
            dates, lo, hi, color=color, alpha=0.15, linewidth=0, zorder=0.5,
            label=shown if level == levels[0] else None,
        )  # fmt: skip


def styles_of(rows: Sequence[ModelResult]) -> dict[str, Style]:
    """A style of its own for each row; cells have theirs in every picture."""
    others = [row.name for row in rows if row.name not in CELL_STYLES]
    return CELL_STYLES | {name: OTHER_STYLES[number % len(OTHER_STYLES)] for number, name in enumerate(others)}


def dress(axes: Axes, title: str, unit: str) -> None:
    """Give axes a title, a unit and the look of all pictures."""
    plain(axes.set_title(title, loc="left", fontsize=11))
    plain(axes.set_ylabel(unit))
    axes.margins(x=0.01)
    axes.set_axisbelow(True)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _label(comparison: "Tables") -> str:
    series = comparison.data.series
    return f"{series.targets[0]}, {series.unit}" if series.unit else series.targets[0]


def plot_history(comparison: "Tables") -> Figure:
    """Draw the learning curves of each cell: a faint line a training, their mean and the band from smallest to largest.

    Mean and band end where fewer than half of them are still training.

    Returns:
        Figure: Not attached to any screen.
    """
    rows = [row for row in comparison.rows if row.history]
    figure = Figure(figsize=(1 + 3.8 * len(rows), 4), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(1, len(rows), sharey=True))
    for axes, row in zip(all_axes, rows, strict=True):
        for (curve, shown), (color, style) in zip(CURVES.items(), CURVE_STYLES, strict=True):
            if curve in row.history:
                _draw_curves(axes, row.history[curve], color, style, shown)
        folds = f", {len(comparison.trainings)} folds" if len(comparison.trainings) > 1 else ""
        dress(axes, f"{shortened(row.name, 40)}, {len(row.seeds)} seed{'s' * (len(row.seeds) > 1)}{folds}", "")
        axes.set_xlabel("epoch")
    # Matplotlib refuses a logarithmic axis on which nothing can be drawn.
    if any((np.isfinite(curve) & (curve > 0)).any() for row in rows for curve in row.history.values()):
        all_axes[0].set_yscale("log")
    all_axes[0].set_ylabel("mean squared error, scaled")
    several = max(len(row.epochs) for row in rows) > 1
    over = "trainings" if len(comparison.trainings) > 1 else "seeds"
    legend(all_axes[0], title=f"mean and range of {over}" if several else None, frameon=False, fontsize=9)
    return figure


def _draw_curves(axes: Axes, curves: np.ndarray, color: str, style: Any, shown: str) -> None:
    """Draw ``(member, epoch)`` losses, NaN where a member no longer trains."""
    epochs = np.arange(1, curves.shape[1] + 1)
    axes.plot(epochs, curves.T, color=color, linewidth=0.5, alpha=0.35)
    training = np.isfinite(curves).sum(axis=0)
    shared = training >= max(1, len(curves) / 2)
    kept = np.where(np.isfinite(curves), curves, np.nan)[:, shared]
    axes.plot(epochs[shared], np.nanmean(kept, axis=0), color=color, linestyle=style, linewidth=1.8, label=shown)
    axes.fill_between(
        epochs[shared], np.nanmin(kept, axis=0), np.nanmax(kept, axis=0), color=color, alpha=0.15, linewidth=0
    )
