"""Parameter counts, and numbers of units that give several cells about the same count.

With the same number of units an LSTM has four times the weights of a SimpleRNN, so a difference between them may be a
difference of size. ``match="params"`` keeps the largest of the compared cells and gives every other cell the number of
units that brings its parameter count nearest to the largest one's. The largest is the reference because the relative
steps between counts are smaller at more units, which makes the match closer.

Counts are exact and need no framework: a layer of ``u`` units with ``d`` input features has ``u * (d + u + 1)`` weights
for each gate; a GRU has a second bias (Keras's ``reset_after``), as in PyTorch and cuDNN.
"""

import bisect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kseq.errors import ConfigError, Parameter
from kseq.models import SKIPS
from kseq.text import shown
from kseq.validation import require_choice, require_whole

#: What the cells of a comparison have in common: the number of units, or of parameters.
MATCHES = ("units", "params")

#: Gates of each cell, the candidate state included, and bias vectors of each gate.
_GATES = {"rnn": (1, 1), "lstm": (4, 1), "gru": (3, 2)}

#: Units of every layer, or one number for each layer.
Units = int | tuple[int, ...]


def parameter_count(
    cell: str,
    *,
    features: int = 1,
    horizon: int = 1,
    targets: int = 1,
    units: int | Sequence[int] = 32,
    num_layers: int | None = None,
    bidirectional: bool = False,
    lookback: int = 12,
    skip: str = "none",
) -> int:
    """Count the trainable weights of a model without building it.

    Args:
        cell: The recurrent cell, ``"rnn"``, ``"lstm"`` or ``"gru"``.
        features: Number of input features, 1 by default.
        horizon: Number of steps to forecast, 1 by default.
        targets: Number of target columns, 1 by default.
        units: Units of each recurrent layer, 32 by default, or a sequence of one number a layer.
        num_layers: Number of recurrent layers; by default 1, or the length of ``units``.
        bidirectional: Whether windows are read in both directions; False by default.
        lookback: Time steps of an input window, 12 by default, which count where there is a skip.
        skip: ``"linear"`` for a linear map of the window besides; ``"none"`` by default.

    Returns:
        int: The value of ``kseq.build_model(...).count_params()`` for the same arguments and one member.

    Raises:
        ConfigError: The cell is unknown, or units are not positive whole numbers.

    Example:
        >>> [parameter_count(cell, units=32) for cell in ("rnn", "lstm", "gru")]
        [1121, 4385, 3393]
    """
    require_choice("cell", cell, _GATES)
    require_choice("skip", skip, SKIPS)
    gates, biases = _GATES[cell]
    directions = 2 if bidirectional else 1
    total, width = 0, features
    for own in layer_widths(units, num_layers):
        total += directions * gates * own * (width + own + biases)
        width = directions * own
    linear = lookback * features if skip == "linear" else 0
    return total + (width + 1 + linear) * horizon * targets


def matched_units(cells: Iterable[str], units: Units, **model: Any) -> dict[str, Units]:
    """Find the units of each cell that bring its parameter count nearest to that of the largest cell.

    Args:
        cells: Some of ``"rnn"``, ``"lstm"`` and ``"gru"``.
        units: Units of the largest cell, an int or one number a layer. Several layers are scaled by the same factor,
            so that they keep their proportions up to rounding.
        **model: The other arguments of :func:`parameter_count`.

    Returns:
        dict: Units of each cell, an int or one number a layer.

    Raises:
        ConfigError: A cell is unknown, or units are not positive whole numbers.

    Example:
        >>> matched_units(["rnn", "lstm", "gru"], 32)
        {'rnn': 65, 'lstm': 32, 'gru': 37}
        >>> [parameter_count("rnn", units=65), parameter_count("lstm", units=32), parameter_count("gru", units=37)]
        [4421, 4385, 4478]
    """
    cells = list(cells)
    budget = max(parameter_count(cell, units=units, **model) for cell in cells)
    return {cell: _nearest(cell, units, budget, model) for cell in cells}


def _nearest(cell: str, units: Units, budget: int, model: dict[str, Any]) -> Units:
    """The multiple of ``units`` whose parameter count is nearest to ``budget``; the smaller one of a tie."""

    def count(widest: int) -> int:
        return parameter_count(cell, units=_scaled(units, widest), **model)

    # A layer of n units has more than n weights, so the answer is at most the budget.
    above = bisect.bisect_left(range(1, budget + 1), budget, key=count) + 1
    widest = min((max(above - 1, 1), above), key=lambda widest: abs(count(widest) - budget))
    return _scaled(units, widest)


def _scaled(units: Units, widest: int) -> Units:
    """Scale all units by the factor that makes the largest one ``widest``; none below 1."""
    if isinstance(units, int | np.integer):
        return widest
    largest = max(units)
    # Rounds to the nearest whole number, halves up.
    return tuple(max(1, (2 * own * widest + largest) // (2 * largest)) for own in units)


def layer_widths(units: int | Sequence[int], num_layers: int | None = None) -> list[int]:
    """List the units of each recurrent layer.

    Args:
        units: Units of every layer, or a sequence of one number a layer.
        num_layers: Number of recurrent layers; by default 1, or the length of ``units``.

    Returns:
        list[int]: One number a layer.

    Raises:
        ConfigError: A number is not a positive whole number, or there is not one a layer.

    Example:
        >>> layer_widths(32, 2), layer_widths((64, 32))
        ([32, 32], [64, 32])
    """
    if num_layers is not None:
        require_whole("num_layers", num_layers)
    units = units.tolist() if isinstance(units, np.ndarray) else units
    several = isinstance(units, Sequence) and not isinstance(units, str)
    widths: list[int] = list(units) if several else [units] * (num_layers or 1)  # type: ignore[arg-type, list-item]
    if not widths or (num_layers is not None and len(widths) != num_layers):
        raise ConfigError(
            "received ", Parameter("units"), f" {shown(units)} for {num_layers or 'no'} layers, expected one number a "
            "layer.",
        )  # fmt: skip
    require_whole("num_layers", len(widths))
    for width in widths:
        # While units are looked for that match, they may be more than a network may have.
        require_whole("units", width, most=2**62)
    return widths
