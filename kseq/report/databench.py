"""A bench of data as text."""

from typing import TYPE_CHECKING

import pandas as pd

from kseq.report.table import aligned
from kseq.text import DASH

if TYPE_CHECKING:
    from kseq.bench.delivery import DataBench


def data_table(bench: "DataBench") -> str:
    """Windows a second (median, lowest to highest), how many times kseq is faster, and peaks of memory."""
    rows = []
    for line in bench.table.itertuples():
        ratio = "" if line.contender == "kseq" else f"{line.ratio:.2f}x" if line.ratio == line.ratio else "not equal"
        rows.append((
            line.workload, line.contender, f"{line.windows_per_second:,.0f}", f"{line.lowest:,.0f}-{line.highest:,.0f}",
            ratio, f"{line.peak_mb:.1f}" if line.peak_mb == line.peak_mb else DASH,
        ))  # fmt: skip
    machine = bench.machine
    heads = ["workload", "contender", "windows/s", "lowest-highest", "kseq is faster", "peak, MB"]
    foot = f"{machine['processor']}, {machine['cores']} cores; {machine['backend']} on {machine['device']}"
    return f"{aligned(pd.DataFrame(rows, columns=heads))}\n\n{foot}"
