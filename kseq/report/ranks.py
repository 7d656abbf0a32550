"""The critical-difference picture of Demsar (2006): average ranks over many series, and which of them may be equal.

Drawn here in matplotlib, which is a dependency already; scikit-posthocs draws the same from a further package's tests.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from kseq.evaluation.rows import ranked
from kseq.report.lettering import plain, shortened

if TYPE_CHECKING:
    from kseq.comparison.tables import Tables

#: Level of Nemenyi's test.
LEVEL = 0.05


def critical_difference(rows: int, series: int) -> float:
    """The smallest difference of two average ranks that is significant at 5 % by Nemenyi's test.

    Args:
        rows: How many are ranked.
        series: Over how many.

    Example:
        >>> round(critical_difference(4, 14), 2)
        1.25
    """
    q = stats.studentized_range.isf(LEVEL, rows, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(rows * (rows + 1) / (6 * series)))


def cliques(ranks: np.ndarray, difference: float) -> list[tuple[int, int]]:
    """Longest runs of ranks that differ by less than the critical difference, as places of their first and last.

    Args:
        ranks: In ascending order.
        difference: The critical one.

    Example:
        >>> cliques(np.array([1.2, 1.9, 2.8, 4.1]), 1.25)
        [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.searchsorted(ranks, ranks[first] + difference)) - 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def plot_ranks(comparison: "Tables") -> Figure:
    """Draw the average ranks of a comparison of twenty series or more.

    Args:
        comparison: A comparison whose ``evidence.ranks`` is not None.
    """
    test = comparison.evidence.ranks
    assert test is not None
    names = [row.name for row in ranked(comparison.evidence.rows)]
    by_name = {name: float(rank) for name, rank in zip(names, test.ranks, strict=True)}
    return draw_ranks(by_name, test.series, comparison.evidence.measure, test.p)


def draw_ranks(ranks: Mapping[str, float], series: int, measure: str, p: float | None = None) -> Figure:
    """Draw average ranks on an axis, the best at the left, with a bar through those that do not differ.

    Args:
        ranks: Average rank of each row, 1 is best.
        series: Number of series.
        measure: The measure that ranks the rows, in words.
        p: P-value of Friedman's test; None where it is not known.
    """
    names = sorted(ranks, key=lambda name: ranks[name])
    values = np.array([ranks[name] for name in names])
    difference = critical_difference(len(names), series)
    groups = cliques(values, difference)
    half = (len(names) + 1) // 2
    figure = Figure(figsize=(11, 1.9 + 0.3 * half + 0.14 * len(groups)), layout="constrained")
    axes = figure.subplots()
    low, high = 1.0, float(len(names))
    margin = 0.04 * (high - low)
    axes.hlines(0, low, high, color="black", linewidth=1)
    for tick in range(1, len(names) + 1):
        axes.vlines(tick, 0, 0.12, color="black", linewidth=1)
        axes.annotate(str(tick), (tick, 0.2), ha="center", va="bottom", fontsize=9)
    # The critical difference as a ruler above the axis.
    ruler = 0.95
    axes.hlines(ruler, low, low + difference, color="black", linewidth=1.5)
    axes.vlines([low, low + difference], ruler - 0.08, ruler + 0.08, color="black", linewidth=1.5)
    axes.annotate(f"critical difference {difference:.2f}", (low + difference, ruler), xytext=(6, 0),
                  textcoords="offset points", va="center", fontsize=9)  # fmt: skip
    for number, (first, last) in enumerate(groups):
        at = -0.2 - 0.16 * number
        axes.hlines(at, values[first] - margin / 4, values[last] + margin / 4, color="#0072B2", linewidth=3.5)
    top = -0.45 - 0.16 * len(groups)
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        left = place < half
        at = top - 0.36 * (place if left else len(names) - 1 - place)
        end = low - margin if left else high + margin
        axes.plot([value, value, end], [0, at, at], color="#555555", linewidth=0.8)
        text = f"{shortened(name, 40)}  {value:.2f}" if left else f"{value:.2f}  {shortened(name, 40)}"
        plain(axes.annotate(text, (end, at), xytext=(-4 if left else 4, 0), textcoords="offset points",
                            ha="right" if left else "left", va="center", fontsize=9))  # fmt: skip
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(top - 0.36 * half, ruler + 0.25)
    axes.set_axis_off()
    told = "" if p is None else f"; Friedman's test {'p < 0.001' if p < 0.001 else f'p = {p:.3f}'}"
    plain(axes.set_title(f"Average rank by {measure} over {series} series, 1 is best{told}", loc="left", fontsize=11))
    figure.supxlabel("Rows joined by a blue bar do not differ at 5 % (Nemenyi's test).", fontsize=9, x=0.02, ha="left")
    return figure
