"""An encoder and a decoder: states of the one are where the other begins.

The encoder reads the window. The decoder, of as many layers of the same cell and size, starts each layer from the final
states of the encoder's, reads the encoder's last output at every step of the horizon, and a Dense layer that all steps
share makes a forecast of each of its outputs. So Cho et al. (2014) hand a sentence's summary to every step of the
decoder; a decoder that reads its own forecast of the step before instead (Sutskever et al. 2014) would have to learn
from true values that it does not have when it forecasts, and could not run its steps in one call of a kernel.
"""

from collections.abc import Sequence
from typing import Any

import keras

from kseq.matching import layer_widths
from kseq.models import LAYERS, layer_seed, require_cell
from kseq.starts import draw_weights
from kseq.validation import require_whole


def build_seq2seq(
    cell: str,
    *,
    lookback: int | None = 12,
    features: int = 1,
    horizon: int = 1,
    targets: int = 1,
    units: int | Sequence[int] = 32,
    num_layers: int | None = None,
    dropout: float = 0.0,
    seed: int = 0,
    start: str = "keras",
    **layer_options: Any,
) -> keras.Model:
    """Build a recurrent forecaster of an encoder and a decoder (Cho et al. 2014).

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        lookback: time steps of an input window; None for any number.
        features: columns of an input window.
        horizon: steps to forecast.
        targets: columns to forecast.
        units: of each recurrent layer, encoder and decoder alike; a sequence gives one number a layer.
        num_layers: recurrent layers on top of one another, in each of the two.
        dropout: share of outputs dropped between recurrent layers while training, in each of the two.
        seed: of the initial weights and of dropout.
        start: as in :func:`kseq.build_model`.
        **layer_options: passed to every recurrent layer.

    Returns:
        keras.Model: ``(batch, lookback, features)`` to ``(batch, horizon * targets)``.

    Raises:
        ConfigError: as :func:`kseq.build_model`.

    Example:
        >>> build_seq2seq("gru", horizon=12, units=32).output_shape  # doctest: +SKIP
        (None, 12)
    """
    require_cell(cell, dropout)
    widths = [require_whole("units", width) for width in layer_widths(units, num_layers)]
    for name, value in (("features", features), ("horizon", horizon), ("targets", targets)):
        require_whole(name, value)
    if lookback is not None:
        require_whole("lookback", lookback)

    def layer(part: str, number: int, own_seed: int, sequences: bool) -> keras.Layer:
        return LAYERS[cell](
            widths[number],
            return_sequences=sequences,
            return_state=part == "encoder",
            seed=own_seed,
            name=f"{part}_{number}",
            **layer_options,
        )

    inputs = keras.Input((lookback, features), name="window")
    x, states = inputs, []
    for number in range(len(widths)):
        last = number == len(widths) - 1
        x, *final = layer("encoder", number, layer_seed(seed, number), not last)(x)
        states.append(final)
        if dropout and not last:
            x = keras.layers.Dropout(dropout, seed=layer_seed(seed, number), name=f"encoder_dropout_{number}")(x)
    x = keras.layers.RepeatVector(horizon, name="summary")(x)
    for number in range(len(widths)):
        # Masks of dropout are others than those of the encoder.
        own_seed = layer_seed(seed, len(widths) + number)
        x = layer("decoder", number, own_seed, True)(x, initial_state=states[number])
        if dropout and number < len(widths) - 1:
            x = keras.layers.Dropout(dropout, seed=own_seed, name=f"decoder_dropout_{number}")(x)
    x = keras.layers.Dense(targets, name="forecast")(x)
    outputs = keras.layers.Reshape((horizon * targets,), name="steps")(x)
    model = keras.Model(inputs, outputs, name=cell)
    draw_weights(model, [seed], stacked=False, start=start, options=layer_options)
    return model
