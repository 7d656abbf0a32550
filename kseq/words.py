"""Words that sentences on numbers share."""

from collections.abc import Sequence

from kseq.evaluation.significance import Row


def names(rows: Sequence[Row]) -> str:
    """``"GRU"``, ``"GRU and LSTM"``, ``"GRU, LSTM and SimpleRNN"``."""
    *first, last = [row.name for row in rows]
    return f"{', '.join(first)} and {last}" if first else last


def verb(rows: Sequence[Row], one: str, many: str) -> str:
    """The verb's form for one row or for many."""
    return one if len(rows) == 1 else many


def p_value(p: float) -> str:
    """``"p = 0.052"``, ``"p = 0.31"``, ``"p < 0.001"``."""
    # Two digits below 0.1: 0.052 must not look like 0.05.
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def seconds(count: float) -> str:
    """``"12 s"``, ``"0.35 s"``."""
    return f"{count:.0f} s" if count >= 10 else f"{count:.2g} s"
