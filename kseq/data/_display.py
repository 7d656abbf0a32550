"""A series or a panel as a notebook shows it: what it holds in a sentence, and its first and last rows."""

import html
from collections.abc import Sequence

import pandas as pd

from kseq.text import visible

#: Rows that are shown, the first and the last ones.
ROWS = 10


def as_html(read: str, notes: Sequence[str], frame: pd.DataFrame) -> str:
    """Write a sentence, notes and a frame as HTML; names are text.

    Args:
        read: What is held, in a sentence.
        notes: Sentences on what was found while reading.
        frame: Its rows.
    """
    points = "".join(f"<li>{html.escape(visible(note))}</li>" for note in notes)
    table = frame.to_html(max_rows=ROWS, border=0, show_dimensions=False)
    return f"<p>{html.escape(visible(read))}</p>{table}" + (f"<ul>{points}</ul>" if points else "")
