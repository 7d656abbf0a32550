"""Model builders: a stack of recurrent layers and a Dense head, as a ``keras.Model``.

Initial weights are drawn with NumPy from the seed, by Keras's own default rules (Glorot uniform, orthogonal, zeros with
forget bias 1), so that a seed means the same network on every backend.

For readers who come from PyTorch:

===========================  ==========================================  ==========================================
here (Keras)                 ``torch.nn.LSTM``                           note
===========================  ==========================================  ==========================================
``features``                 ``input_size``
``units``                    ``hidden_size``                             an int, or one a layer
``num_layers``               ``num_layers``
``dropout``                  ``dropout``                                 between layers, not after the last
``bidirectional``            ``bidirectional``                           outputs of both directions side by side
``return_states=True``       ``h_n``, ``c_n``                            of the last layer, as further outputs
``(batch, time, features)``  ``batch_first=True``
===========================  ==========================================  ==========================================
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kseq import layers, lean
from kseq.errors import ConfigError
from kseq.layers import Ensemble
from kseq.matching import layer_widths
from kseq.settings import CELL_NAMES
from kseq.starts import draw_weights
from kseq.validation import require_choice, require_number, require_whole

#: Cells by the name that a user gives, and the name that a table shows.
CELLS = CELL_NAMES

LAYERS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def build_model(
    cell: str,
    *,
    lookback: int | None = 12,
    features: int = 1,
    horizon: int = 1,
    targets: int = 1,
    units: int | Sequence[int] = 32,
    num_layers: int | None = None,
    dropout: float = 0.0,
    bidirectional: bool = False,
    return_states: bool = False,
    seed: int = 0,
    members: Sequence[int] | int | None = None,
    start: str = "keras",
    **layer_options: Any,
) -> keras.Model:
    """Build a recurrent forecaster.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        lookback: time steps of an input window; None for any number.
        features: columns of an input window (PyTorch: ``input_size``).
        horizon: steps to forecast.
        targets: columns to forecast.
        units: of each recurrent layer (PyTorch: ``hidden_size``); a sequence gives one number a layer.
        num_layers: recurrent layers on top of one another; 1 by default, or as many as ``units`` has numbers.
        dropout: share of outputs dropped between recurrent layers while training.
        bidirectional: read every window in both directions; a layer then gives ``2 * units`` outputs.
        return_states: also return the last layer's final states: ``h`` (and ``c`` of an LSTM), of each direction.
        seed: of the initial weights and of dropout.
        members: train several networks as one: a number S (seeds ``seed .. seed + S - 1``) or their seeds. Inputs and
            outputs then have a members axis after the batch axis.
        start: whose initial weights to draw, ``"keras"`` or ``"pytorch"``; see :mod:`kseq.starts`.
        **layer_options: passed to every recurrent layer (``activation=``, ``use_bias=``, ``reset_after=``...).

    Returns:
        keras.Model: ``(batch, lookback, features)`` to ``(batch, horizon * targets)``; with ``members``
        ``(batch, S, lookback, features)`` to ``(batch, S, horizon * targets)``.

    Raises:
        ConfigError: an unknown cell or start, or a size that is not a positive whole number.

    Example:
        >>> model = build_model("gru", lookback=24, units=[32, 16])  # doctest: +SKIP
        >>> model.compile("adam", "mse")  # doctest: +SKIP
    """
    require_cell(cell, dropout)
    widths = [require_whole("units", width) for width in layer_widths(units, num_layers)]
    for name, value in (("features", features), ("horizon", horizon), ("targets", targets)):
        require_whole(name, value)
    if lookback is not None:
        require_whole("lookback", lookback)
    require_whole("seed", seed)
    seeds = _member_seeds(members, seed)

    def wrap(layer: keras.Layer, layer_seeds: list[int]) -> keras.Layer:
        if seeds is None:
            return layer
        return Ensemble(layer, members=len(seeds), seeds=layer_seeds, name=f"members_{layer.name}")

    inputs = keras.Input((lookback, features) if seeds is None else (len(seeds), lookback, features), name="window")
    x, states = inputs, []
    for number, width in enumerate(widths):
        last = number == len(widths) - 1
        layer_seeds = [layer_seed(s, number) for s in (seeds or [seed])]
        layer: keras.Layer = LAYERS[cell](
            width,
            return_sequences=not last,
            return_state=last and return_states,
            seed=layer_seeds[0],
            name=f"{cell}_{number}",
            **layer_options,
        )
        if bidirectional:
            layer = keras.layers.Bidirectional(layer, name=f"both_{layer.name}")
        x = wrap(layer, layer_seeds)(x)
        if last and return_states:
            x, *states = x
        if dropout and not last:
            x = wrap(keras.layers.Dropout(dropout, seed=layer_seeds[0], name=f"dropout_{number}"), layer_seeds)(x)
    forecast = wrap(keras.layers.Dense(horizon * targets, name="forecast"), seeds or [seed])(x)
    model = keras.Model(inputs, [forecast, *states] if return_states else forecast, name=cell)
    draw_weights(
        model, seeds if seeds is not None else [seed], stacked=seeds is not None, start=start, options=layer_options
    )
    return lean.attach(model)


def build_simple_rnn(**options: Any) -> keras.Model:
    """Build a SimpleRNN forecaster (Elman 1990); arguments as in :func:`build_model`.

    Example:
        >>> build_simple_rnn(lookback=12, units=32).output_shape  # doctest: +SKIP
        (None, 1)
    """
    return build_model("rnn", **options)


def build_lstm(**options: Any) -> keras.Model:
    """Build an LSTM forecaster (Hochreiter and Schmidhuber 1997); arguments as in :func:`build_model`.

    Example:
        >>> build_lstm(lookback=12, units=32, return_states=True).output_shape  # doctest: +SKIP
        [(None, 1), (None, 32), (None, 32)]
    """
    return build_model("lstm", **options)


def build_gru(**options: Any) -> keras.Model:
    """Build a GRU forecaster (Cho et al. 2014); arguments as in :func:`build_model`.

    Example:
        >>> build_gru(lookback=12, units=[64, 32], horizon=3).output_shape  # doctest: +SKIP
        (None, 3)
    """
    return build_model("gru", **options)


def require_cell(cell: str, dropout: float) -> None:
    """Refuse an unknown cell, and a share to drop that is none."""
    require_choice("cell", cell, CELLS)
    require_number("dropout", dropout)


def _member_seeds(members: Sequence[int] | int | None, seed: int) -> list[int] | None:
    if members is None:
        return None
    if isinstance(members, int | np.integer):
        require_whole("members", members, least=1)
        return [seed + number for number in range(members)]
    if not len(members):
        raise ConfigError("received no member seeds, expected at least one.")
    return [require_whole("seed", own) for own in members]


def layer_seed(seed: int, number: int) -> int:
    """A seed for one layer's dropout, far from its neighbours', that fits every backend's 32 bits."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
