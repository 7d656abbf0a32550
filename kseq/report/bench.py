"""A bench as text and as a picture of bars."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kseq.report.lettering import legend, plain
from kseq.report.table import aligned

if TYPE_CHECKING:
    from kseq.bench.measured import Bench

COLORS = {
    "kseq": "#0072B2", "builder": "#56B4E9", "Sequential": "#009E73", "functional model": "#004D40",
    "two metrics": "#D55E00", "plain arrays": "#F0E442", "native loop": "#E69F00", "stock Keras": "#999999",
    "two processes": "#CC79A7",
}  # fmt: skip


def bench_table(bench: "Bench") -> str:
    """Milliseconds an epoch and seed (median, lowest to highest), how many times kseq is faster, share of the peak.

    Where a builder's model was timed too, how many times its time each row takes, and which training step ran.
    """
    table = bench.table
    builder = bool(table["to_builder"].notna().any())
    several = bool(table["members"].max() > 1)
    rows = []
    for line in table.itertuples():
        ratio = "" if line.contender == "kseq" else f"{line.ratio:.2f}x" if line.ratio == line.ratio else "not equal"
        rows.append((
            line.workload, line.cell, *([str(line.members)] * several), line.contender, f"{line.ms:.2f}",
            f"{line.ms_low:.2f}-{line.ms_high:.2f}", f"{line.first_s:.2f}" if line.first_s == line.first_s else "–",
            ratio, *([f"{line.to_builder:.2f}x", line.step or "–"] * builder), f"{100 * line.share_of_peak:.1f} %",
        ))  # fmt: skip
    machine = bench.machine
    threads = ", ".join(f"{name}={value}" for name, value in machine["threads"].items())
    foot = (
        f"{machine['processor']}, {machine['cores']} cores, {bench.peak / 1e9:.0f} GFLOP/s measured peak; "
        f"{machine['backend']} on {machine['device']}{', ' + threads if threads else ''}"
    )
    heads = ["workload", "cell", *(["seeds"] * several), "contender", "ms/epoch/seed", "lowest-highest", "first, s",
             "kseq is faster", *(["builder's time", "step"] * builder), "of peak"]  # fmt: skip
    return f"{aligned(pd.DataFrame(rows, columns=heads))}\n\n{foot}"


def plot_bench(bench: "Bench") -> Figure:
    """Draw one group of bars a workload and cell: how many times longer each contender takes than kseq.

    Where forecasts differ there is no bar, and where those of kseq do, words in its place.
    """
    table = bench.table
    groups = list(dict.fromkeys(zip(table["workload"], table["cell"], table["members"], strict=True)))
    contenders = [name for name in COLORS if name in set(table["contender"])]
    figure = Figure(figsize=(max(6.0, max(0.7, 0.2 * len(contenders)) * len(groups) + 2), 4.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(contenders)
    for number, contender in enumerate(contenders):
        part = table[table["contender"] == contender].set_index(["workload", "cell", "members"])["ratio"]
        heights = np.array([part.get(group, np.nan) for group in groups], float)
        at = np.arange(len(groups)) + (number - (len(contenders) - 1) / 2) * width
        bars = axes.bar(at, heights, width, color=COLORS[contender], label=contender)
        axes.bar_label(bars, [f"{h:.1f}" if h == h and contender != "kseq" else "" for h in heights], fontsize=7)
    several = bool(table["members"].max() > 1)
    names = [f"{cell}\n{workload}" + (f"\n{members} seeds" if several else "") for workload, cell, members in groups]
    axes.set_xticks(np.arange(len(groups)), names, fontsize=8, parse_math=False)
    axes.set_yscale("log")
    if not table["ratio"].notna().any():
        # Nothing tells a logarithmic axis where to begin.
        axes.set_ylim(0.5, 2.0)
    own = table[table["contender"] == "kseq"].set_index(["workload", "cell", "members"])["ratio"]
    for number, group in enumerate(groups):
        if np.isnan(own[group]):
            axes.annotate("not equal", (number, 1.0), ha="center", va="center", rotation="vertical", fontsize=8)
    axes.set_ylabel("time per epoch and seed, kseq = 1")
    title = f"{bench.machine['backend']} on {bench.machine['device']}, {bench.machine['processor']}"
    plain(axes.set_title(title, loc="left", fontsize=10))
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend(figure, loc="outside lower center", ncols=min(3, len(contenders)), frameon=False)
    return figure
