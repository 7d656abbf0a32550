"""Encoder-decoder networks (sequence to sequence).

The encoder reads the window. The decoder has the same number of layers, of the same cell and size; each starts from the
final states of the encoder layer at its level and reads the encoder's last output at every step of the horizon. A Dense
layer shared by all steps turns the decoder's outputs into forecasts. This is the design of Cho et al. (2014), where a
summary of the input is given to every decoder step. A decoder that reads its own previous forecast (Sutskever et al.
2014) is trained on true values that it does not have when it forecasts, and cannot run its steps in one kernel call.
"""

from collections.abc import Sequence
from typing import Any

import keras

from kseq.models.builders import LAYERS, layer_seed, linear_map, require_cell, require_skip
from kseq.models.initializers import draw_weights
from kseq.models.parameter_counts import layer_widths
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
    skip: str = "none",
    **layer_options: Any,
) -> keras.Model:
    """Build a recurrent forecaster of an encoder and a decoder (Cho et al. 2014).

    Args:
        cell: The recurrent cell, ``"rnn"``, ``"lstm"`` or ``"gru"``.
        lookback: Time steps of an input window, 12 by default; None for any number.
        features: Number of input features, 1 by default.
        horizon: Number of steps to forecast, 1 by default.
        targets: Number of target columns, 1 by default.
        units: Units of each recurrent layer, 32 by default, in encoder and decoder alike; a sequence gives one number
            a layer.
        num_layers: Number of stacked recurrent layers in the encoder, and in the decoder; 1 by default.
        dropout: Fraction of outputs dropped between recurrent layers in training, 0 by default.
        seed: Seed of the initial weights and of dropout, 0 by default.
        start: Whose initial distributions to use, as in :func:`kseq.build_model`.
        skip: ``"linear"`` to add a linear map of the window, as there; ``"none"`` by default.
        **layer_options: Options passed to every recurrent layer.

    Returns:
        keras.Model: Maps ``(batch, lookback, features)`` to ``(batch, horizon * targets)``.

    Raises:
        ConfigError: An argument is invalid, as in :func:`kseq.build_model`.

    Example:
        >>> build_seq2seq("gru", horizon=12, units=32).output_shape  # doctest: +SKIP
        (None, 12)
    """
    require_cell(cell, dropout)
    require_skip(skip, lookback)
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
        # Dropout masks differ from the encoder's.
        own_seed = layer_seed(seed, len(widths) + number)
        x = layer("decoder", number, own_seed, True)(x, initial_state=states[number])
        if dropout and number < len(widths) - 1:
            x = keras.layers.Dropout(dropout, seed=own_seed, name=f"decoder_dropout_{number}")(x)
    x = keras.layers.Dense(targets, name="forecast")(x)
    outputs = keras.layers.Reshape((horizon * targets,), name="steps")(x)
    if skip == "linear":
        outputs = keras.layers.Add(name="sum")([outputs, linear_map(horizon * targets)(inputs)])
    model = keras.Model(inputs, outputs, name=cell)
    draw_weights(model, [seed], stacked=False, start=start, options=layer_options)
    return model
