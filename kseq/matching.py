"""How many weights a network has, and units that give several cells equally many.

At the same number of units an LSTM has four times the weights of a SimpleRNN, so that a difference between them may be
one of size. ``match="params"`` takes the largest of the compared cells as it is and gives every other one as many units
as bring it nearest to that number of weights. The largest sets the number because counts lie closer together at more
units: the others come nearer to it than it would come to them.

Counts are exact and need no framework: a layer of ``u`` units that reads ``d`` columns has ``u * (d + u + 1)`` weights
for each gate; a GRU has a second bias (Keras's ``reset_after``), as PyTorch's and cuDNN's.
"""

import bisect
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kseq.errors import ConfigError, Parameter
from kseq.text import shown
from kseq.validation import require_choice, require_whole

if TYPE_CHECKING:
    from kseq.settings import Settings

#: What may be equal among the cells of a comparison.
MATCHES = ("units", "params")

#: Gates of a cell, its candidate state among them, and biases of each.
_GATES = {"rnn": (1, 1), "lstm": (4, 1), "gru": (3, 2)}

#: Of every layer, or one number a layer.
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
) -> int:
    """Count the trainable weights of a model without building it.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        features: columns of an input window.
        horizon: steps to forecast.
        targets: columns to forecast.
        units: of each recurrent layer, or one number a layer.
        num_layers: recurrent layers; 1 by default, or as many as ``units`` has numbers.
        bidirectional: whether windows are read in both directions.

    Returns:
        int: what ``kseq.build_model(...).count_params()`` gives for the same arguments, of one member.

    Raises:
        ConfigError: an unknown cell, or units that are not positive whole numbers.

    Example:
        >>> [parameter_count(cell, units=32) for cell in ("rnn", "lstm", "gru")]
        [1121, 4385, 3393]
    """
    require_choice("cell", cell, _GATES)
    gates, biases = _GATES[cell]
    directions = 2 if bidirectional else 1
    total, width = 0, features
    for own in layer_widths(units, num_layers):
        total += directions * gates * own * (width + own + biases)
        width = directions * own
    return total + (width + 1) * horizon * targets


def matched_units(cells: Iterable[str], units: Units, **model: Any) -> dict[str, Units]:
    """Find units for each cell that bring its weights nearest to those of the largest cell.

    Args:
        cells: of ``rnn``, ``lstm`` and ``gru``.
        units: of the largest cell, an int, or one a layer. Several layers keep their proportions, as nearly as whole
            numbers can: all take the same factor.
        **model: the other arguments of :func:`parameter_count`.

    Returns:
        dict: units of each cell, an int, or one a layer.

    Raises:
        ConfigError: an unknown cell, or units that are not positive whole numbers.

    Example:
        >>> matched_units(["rnn", "lstm", "gru"], 32)
        {'rnn': 65, 'lstm': 32, 'gru': 37}
        >>> [parameter_count("rnn", units=65), parameter_count("lstm", units=32), parameter_count("gru", units=37)]
        [4421, 4385, 4478]
    """
    cells = list(cells)
    budget = max(parameter_count(cell, units=units, **model) for cell in cells)
    return {cell: _nearest(cell, units, budget, model) for cell in cells}


def units_of(cell: str, settings: "Settings", *, features: int, targets: int) -> Units:
    """Say which units a cell has in a comparison.

    Args:
        cell: one of the compared ones.
        settings: of the comparison.
        features: columns that a model reads.
        targets: columns that it forecasts.

    Returns:
        Those of the settings; under ``match="params"`` those that :func:`matched_units` finds.
    """
    if settings.match == "units":
        return settings.units
    return matched_units(
        settings.cells,
        settings.units,
        features=features,
        # A recursive model has the head of one step.
        horizon=1 if settings.strategy == "recursive" else settings.horizon,
        targets=targets,
        num_layers=settings.num_layers,
        bidirectional=settings.bidirectional,
    )[cell]


def _nearest(cell: str, units: Units, budget: int, model: dict[str, Any]) -> Units:
    """The multiple of ``units`` whose count of weights is nearest to ``budget``; of two as near, the smaller."""

    def count(widest: int) -> int:
        return parameter_count(cell, units=_scaled(units, widest), **model)

    # A layer of n units has more than n weights, so that no answer lies beyond the budget.
    above = bisect.bisect_left(range(1, budget + 1), budget, key=count) + 1
    widest = min((max(above - 1, 1), above), key=lambda widest: abs(count(widest) - budget))
    return _scaled(units, widest)


def _scaled(units: Units, widest: int) -> Units:
    """All units times one factor, that which makes ``widest`` of the largest; none below 1."""
    if isinstance(units, int | np.integer):
        return widest
    largest = max(units)
    # Rounds to the nearest whole number, halves up.
    return tuple(max(1, (2 * own * widest + largest) // (2 * largest)) for own in units)


def layer_widths(units: int | Sequence[int], num_layers: int | None = None) -> list[int]:
    """List the units of each recurrent layer.

    Args:
        units: of every layer, or one number a layer.
        num_layers: recurrent layers; 1 by default, or as many as ``units`` has numbers.

    Raises:
        ConfigError: a number is not positive and whole, or there is not one a layer.

    Example:
        >>> layer_widths(32, 2), layer_widths((64, 32))
        ([32, 32], [64, 32])
    """
    if num_layers is not None:
        require_whole("num_layers", num_layers)
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
