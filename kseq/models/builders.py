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

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec

import keras
import numpy as np

from kseq import layers
from kseq.errors import ConfigError, Parameter
from kseq.layers import Ensemble, fast_step
from kseq.models import CELL_NAMES, SKIPS, cell_of
from kseq.models.initializers import draw_weights
from kseq.models.parameter_counts import layer_widths
from kseq.naming import checked, unknown
from kseq.text import shown
from kseq.validation import require_choice, require_number, require_whole

#: Cells by the name that a user gives, and the name that a table shows.
CELLS = CELL_NAMES

#: Arguments of layers that the builders set themselves.
_SET_HERE = {"units", "return_sequences", "return_state", "seed", "name", "kwargs"}

#: What there is in place of arguments that a builder does not have.
_INSTEAD = {
    **dict.fromkeys(
        ("input_shape", "batch_input_shape", "batch_shape"),
        "did you mean lookback and features, as in build_gru(lookback=12, features=1)?",
    ),
    # PyTorch's word; elsewhere it is the lookback.
    "input_size": "did you mean features?",
    "batch_first": "arrays are (batch, time, features) always",
    **dict.fromkeys(("optimizer", "loss", "metrics", "learning_rate", "lr"), "model.compile takes it"),
    **dict.fromkeys(("epochs", "batch_size", "callbacks", "shuffle"), "model.fit takes it"),
}

Options = ParamSpec("Options")

LAYERS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


@checked("kseq.build_model")
def build_model(
    cell: str,
    lookback: int | None = 12,
    *,
    features: int = 1,
    horizon: int = 1,
    targets: int = 1,
    units: int | Sequence[int] = 32,
    num_layers: int | None = None,
    dropout: float = 0.0,
    bidirectional: bool = False,
    return_states: bool = False,
    seed: int | None = 0,
    members: Sequence[int] | int | None = None,
    start: str = "keras",
    skip: str = "none",
    **layer_options: Any,
) -> keras.Model:
    """Build a recurrent forecaster.

    Args:
        cell: String, ``"rnn"``, ``"lstm"`` or ``"gru"``, or the name that a table shows, such as ``"SimpleRNN"``.
        lookback: Positive integer, the time steps of an input window, or None for any number. Defaults to 12.
        features: Positive integer, the columns of an input window (PyTorch: ``input_size``). Defaults to 1.
        horizon: Positive integer, the number of steps to forecast. Defaults to 1.
        targets: Positive integer, the number of columns to forecast. Defaults to 1.
        units: Positive integer, the units of each recurrent layer (PyTorch: ``hidden_size``), or a sequence with one
            number per layer. Defaults to 32.
        num_layers: Positive integer, the number of recurrent layers on top of one another. Defaults to the length of
            ``units``, or to 1.
        dropout: Float from 0 to below 1, the fraction of outputs that is dropped between recurrent layers in training.
            Defaults to 0.
        bidirectional: Boolean, whether windows are read in both directions, in which case a layer has ``2 * units``
            outputs. Defaults to ``False``.
        return_states: Boolean, whether to also return the final states of the last layer: ``h`` (and ``c`` for an
            LSTM), for each direction. Defaults to ``False``.
        seed: Integer, the random seed of the initial weights and of dropout, or None for another network at each call.
            Defaults to 0.
        members: Train several networks as one model: their number S (with the seeds ``seed .. seed + S - 1``) or the
            sequence of their seeds. Inputs and outputs then have a members axis after the batch axis. Defaults to
            ``None``, a single network.
        start: String, ``"keras"`` or ``"pytorch"``: the framework whose rules the initial weights follow; see
            :mod:`kseq.models.initializers`. Defaults to ``"keras"``.
        skip: String, ``"linear"`` to add a linear map of the whole window to the forecast: a skip connection from the
            input to the output, which starts at zero; :func:`kseq.training.fit.fit` starts it by least squares.
            Defaults to ``"none"``.
        **layer_options: Further arguments of every recurrent layer (``activation=``, ``use_bias=``,
            ``reset_after=``...); see :class:`kseq.layers.LSTM`.

    Returns:
        keras.Model: ``(batch, lookback, features)`` to ``(batch, horizon * targets)``; with ``members``
        ``(batch, S, lookback, features)`` to ``(batch, S, horizon * targets)``.

    Raises:
        ConfigError: The cell, ``start``, ``skip`` or an argument is unknown, a size is not a positive whole number, or
            a window of any number of time steps has a skip.

    Example:
        >>> model = build_model("gru", lookback=24, units=[32, 16])  # doctest: +SKIP
        >>> model.compile("adam", "mse")  # doctest: +SKIP
    """
    cell = cell_of(cell)
    _require_options(cell, layer_options)
    seed = int(np.random.SeedSequence().generate_state(1)[0] >> 1) if seed is None else require_whole("seed", seed)
    seeds = _member_seeds(members, seed)
    try:
        model = undrawn_model(
            cell, lookback=lookback, features=features, horizon=horizon, targets=targets, units=units,
            num_layers=num_layers, dropout=dropout, bidirectional=bidirectional, return_states=return_states,
            seed=seed, members=seeds, skip=skip, **layer_options,
        )  # fmt: skip
        draw_weights(
            model, seeds if seeds is not None else [seed], stacked=seeds is not None, start=start, options=layer_options
        )
    except (TypeError, ValueError) as error:
        if not layer_options:
            raise
        given = ", ".join(f"{name}={shown(value)}" for name, value in layer_options.items())
        raise ConfigError(f"received {given}, which Keras refuses: {error}") from error
    # By these ``fit`` orders windows.
    model.kseq_seeds = tuple(seeds) if seeds is not None else (seed,)
    return fast_step.attach(model)


def undrawn_model(
    cell: str,
    *,
    lookback: int | None,
    features: int,
    horizon: int,
    units: int | Sequence[int],
    targets: int = 1,
    num_layers: int | None = None,
    dropout: float = 0.0,
    bidirectional: bool = False,
    return_states: bool = False,
    seed: int = 0,
    members: Sequence[int] | None = None,
    skip: str = "none",
    **layer_options: Any,
) -> keras.Model:
    """Build the network of :func:`build_model`, whose weights are still to be set; arguments and errors as there."""
    require_cell(cell, dropout)
    require_skip(skip, lookback)
    widths = [require_whole("units", width) for width in layer_widths(units, num_layers)]
    features, horizon = require_whole("features", features), require_whole("horizon", horizon)
    targets = require_whole("targets", targets)
    if lookback is not None:
        lookback = require_whole("lookback", lookback)
    seeds = None if members is None else list(members)

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
    if skip == "linear":
        linear = wrap(linear_map(horizon * targets), seeds or [seed])
        forecast = keras.layers.Add(name="sum")([forecast, linear(inputs)])
    return keras.Model(inputs, [forecast, *states] if return_states else forecast, name=cell)


def linear_map(outputs: int) -> keras.Layer:
    """The layer of a skip: windows ``(batch, time, features)`` to ``(batch, outputs)``, zero at the start."""
    return keras.layers.EinsumDense("btf,tfo->bo", outputs, kernel_initializer="zeros", name="skip")


def average(networks: Sequence[keras.Model], name: str) -> keras.Model:
    """Make one model of several of the same input, which gives the mean of their forecasts.

    Args:
        networks: Networks from ``(batch, lookback, features)`` to ``(batch, outputs)``; at least one, which alone is
            that model.
        name: Name of the model.

    Example:
        >>> average([build_gru(seed=0), build_gru(seed=1)], "GRU").output_shape  # doctest: +SKIP
        (None, 1)
    """
    if len(networks) == 1:
        return _named(networks[0], name)
    window = keras.Input(networks[0].input_shape[1:], name="window")
    parts = [_named(network, f"{name}_{number}") for number, network in enumerate(networks)]
    return keras.Model(window, keras.layers.Average(name="mean")([part(window) for part in parts]), name=name)


def _named(network: keras.Model, name: str) -> keras.Model:
    """The same layers under another name; of one input and one output, which a copy may hold as lists of one."""
    return keras.Model(network.inputs[0], network.outputs[0], name=name)


def _builder_of(
    cell: str, build: Callable[Concatenate[str, Options], keras.Model], paper: str, outputs: str
) -> Callable[Options, keras.Model]:
    """:func:`build_model` of one cell, with its arguments in view of editors and type checkers."""

    def builder(*args: Options.args, **options: Options.kwargs) -> keras.Model:
        return build(cell, *args, **options)

    name = _called(cell)
    builder.__name__ = builder.__qualname__ = name
    builder.__doc__ = f"""Build a {CELL_NAMES[cell]} forecaster ({paper}); arguments as in :func:`build_model`.

    Example:
        >>> {name}(12, units=32).output_shape  # doctest: +SKIP
        {outputs}
    """
    signature = inspect.signature(build)
    parameters = list(signature.parameters.values())[1:]
    builder.__dict__["__signature__"] = signature.replace(parameters=parameters)
    return checked(f"kseq.{name}")(builder)


def _called(cell: str) -> str:
    """Name of the builder of a cell."""
    return f"build_{'simple_rnn' if cell == 'rnn' else cell}"


build_simple_rnn = _builder_of("rnn", build_model, "Elman 1990", "(None, 1)")
build_lstm = _builder_of("lstm", build_model, "Hochreiter and Schmidhuber 1997", "(None, 1)")
build_gru = _builder_of("gru", build_model, "Cho et al. 2014", "(None, 1)")


def _require_options(cell: str, options: dict[str, Any]) -> None:
    """Refuse arguments that neither a builder nor its layers have, and name the one that was meant."""
    if cell not in LAYERS:
        return
    known = {*inspect.signature(LAYERS[cell]).parameters, "dtype", "trainable"} - _SET_HERE
    own = list(inspect.signature(build_model).parameters)[1:-1]
    for name in options:
        if name in known:
            continue
        raise unknown([name], [*own, *sorted(known)], f"kseq.{_called(cell)}", _INSTEAD)


def require_cell(cell: str, dropout: float) -> None:
    """Refuse an unknown cell, and a share to drop that is none."""
    require_choice("cell", cell, CELLS)
    require_number("dropout", dropout)


def require_skip(skip: str, lookback: int | None) -> None:
    """Refuse an unknown skip, and one of windows whose length is not known."""
    require_choice("skip", skip, SKIPS)
    if skip != "none" and lookback is None:
        raise ConfigError(
            "received ", Parameter("skip"), f" {skip} and ", Parameter("lookback"), " None, expected a number of time "
            "steps: a linear map has a weight for each.",
        )  # fmt: skip


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
