"""Models: Keras networks of SimpleRNN, LSTM or GRU layers with a Dense head.

``builders``: one network or an ensemble. ``seq2seq``: an encoder and a decoder. ``initializers``: initial weights drawn
from the seed. ``parameter_counts``: how many weights a network has, and units that give cells about as many. ``own``:
networks and regressors of a user's own.
"""

import importlib
from typing import Any

#: Cells in the order of the table: by the name that a user gives, the name that a table shows.
CELL_NAMES = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}

#: Whose distributions initial weights are drawn from, see :mod:`kseq.models.initializers`.
STARTS = ("keras", "pytorch")

#: What is added to a network's forecast: nothing, or a linear map of the window.
SKIPS = ("none", "linear")


def cell_of(name: Any) -> Any:
    """The name by which a cell is known of any way in which people write it; what is none stays as it is.

    Example:
        >>> [cell_of(name) for name in ("GRU", "SimpleRNN", "simple_rnn", "mine")]
        ['gru', 'rnn', 'rnn', 'mine']
    """
    if not isinstance(name, str):
        return name
    short = name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")
    short = "rnn" if short == "simplernn" else short
    return short if short in CELL_NAMES else name


def name_of(cell: str) -> str:
    """What a table calls a cell; one of a user's own is called as its user calls it."""
    return CELL_NAMES.get(cell, cell)


def __getattr__(name: str) -> Any:
    """The builders, which bring Keras, on first use."""
    if not name.startswith("build_"):
        raise AttributeError(f"module 'kseq.models' has no attribute {name!r}")
    return getattr(importlib.import_module("kseq.models.builders"), name)
