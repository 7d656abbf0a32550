"""The network of a cell, or of a user's function, built as the settings of a comparison say.

This is the one place where settings become layers. A network of any Keras layers, built by a user's function, is
trained as the cells are: the same windows, seeds, budget and early stopping, one seed after the other.
"""

import random
from collections.abc import Sequence
from math import prod
from typing import Any

import keras
import numpy as np

from kseq.errors import ConfigError, Parameter
from kseq.models import name_of
from kseq.models.builders import build_model
from kseq.models.own import Own
from kseq.models.parameter_counts import layer_widths, parameter_count
from kseq.models.seq2seq import build_seq2seq
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.training import memory
from kseq.training.budget import Training


def build_cell(
    cell: str, data: WindowedPanel, settings: Settings, seeds: Sequence[int], **layer_options: Any
) -> keras.Model:
    """Build a cell's model as the settings say, with a member for each seed; of one seed an ordinary model.

    Args:
        cell: String, ``"rnn"``, ``"lstm"``, ``"gru"``, or the name of a network of the user's own.
        data: The windowed series.
        settings: Settings of the comparison, those of the cell.
        seeds: Integers, the seeds of the members.
        **layer_options: Further arguments of every recurrent layer, see :func:`kseq.models.builders.build_model`.
    """
    if cell in settings.own:
        return build_own(settings.own[cell], data, settings, seeds[0])
    require_room(cell, data, settings)
    network: dict[str, Any] = {
        "lookback": settings.lookback,
        "features": data.features,
        "horizon": data.horizon,
        "targets": data.targets * max(1, len(settings.quantiles)),
        "units": settings.units_of(cell, features=data.features, targets=data.targets),
        "num_layers": settings.num_layers,
        "dropout": settings.dropout,
        "seed": seeds[0],
        "start": settings.start,
        "skip": settings.skip,
    }
    if settings.strategy == "seq2seq":
        return build_seq2seq(cell, **network)
    members = seeds if len(seeds) > 1 else None
    return build_model(cell, bidirectional=settings.bidirectional, members=members, **network, **layer_options)


def require_room(cell: str, data: WindowedPanel, settings: Settings) -> None:
    """Refuse a network, or forecasts, that do not fit into the free memory.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        data: The windowed series.
        settings: Settings of the comparison.

    Raises:
        ConfigError: One member's weights and a batch of its windows, or the forecasts of all seeds, are larger.
    """
    windows = len(data.test) + len(data.validation)
    memory.require_room(
        8 * len(settings.seeds) * windows * data.horizon * data.targets,
        f"{len(settings.seeds):,} forecasts of {data.horizon:,} steps in {windows:,} windows", "lower ",
        Parameter("horizon"), " or ", Parameter("seeds"),
    )  # fmt: skip
    if cell in settings.own:
        return
    units = settings.units_of(cell, features=data.features, targets=data.targets)
    weights = parameter_count(
        cell, features=data.features, horizon=data.horizon, units=units,
        targets=data.targets * max(1, len(settings.quantiles)), num_layers=settings.num_layers,
        bidirectional=settings.bidirectional, lookback=settings.lookback, skip=settings.skip,
    )  # fmt: skip
    batch = min(Training(**settings.training).batch_size or len(data.train), len(data.train))
    # A state and its gradient a step, unit, layer and direction: what any recurrent layer keeps at least.
    states = 2 * (1 + settings.bidirectional) * sum(layer_widths(units, settings.num_layers))
    memory.require_room(
        # Values, gradients and Adam's two moments.
        4 * (4 * weights + batch * settings.lookback * states),
        f"one {name_of(cell)} of {weights:,} weights", "lower ", Parameter("units"), ", ", Parameter("lookback"),
        " or ", Parameter("batch_size"),
    )  # fmt: skip


def build_own(own: Own, data: WindowedPanel, settings: Settings, seed: int) -> keras.Model:
    """Build the network of a user's function, whose weights and dropout are drawn from the seed.

    The function is called with those of these arguments that it takes: ``lookback``, ``features``, ``horizon``,
    ``targets``, ``outputs`` (``horizon * targets``), ``units``, ``num_layers``, ``dropout``, ``bidirectional`` and
    ``seed``.

    Args:
        own: The function.
        data: Windows that the network is to read.
        settings: Settings of this row.
        seed: Random seed of Keras, NumPy and Python while the function runs.

    Raises:
        ConfigError: It fails, or returns no model that reads these windows and forecasts all steps.
    """
    # Of a loss of quantiles each is a target more.
    targets = data.targets * max(1, len(settings.quantiles))
    outputs = data.horizon * targets
    offered = {
        "lookback": data.lookback, "features": data.features, "horizon": data.horizon, "targets": targets,
        "outputs": outputs, "units": settings.units, "num_layers": settings.num_layers, "dropout": settings.dropout,
        "bidirectional": settings.bidirectional, "seed": seed,
    }  # fmt: skip
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    keras.utils.set_random_seed(seed)
    try:
        model = own.called(offered)
        if not isinstance(model, keras.Model):
            raise ConfigError(f"cell {own.name!r} returned type {type(model).__name__}, expected a keras.Model.")
        return _as_network(own.name, model, data, outputs)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def _as_network(name: str, model: keras.Model, data: WindowedPanel, outputs: int) -> keras.Model:
    """The model itself where it maps windows to ``outputs`` numbers; wrapped where it gives them in another shape."""
    window = keras.Input((data.lookback, data.features), name="window")
    reads = f"windows of {data.lookback} rows and {data.features} features"
    try:
        made = model(window)
    except Exception as error:
        raise ConfigError(
            f"cell {name!r} returned a model that cannot read {reads}: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error
    shape = getattr(made, "shape", (None, None))
    if None in shape[1:] or prod(shape[1:]) != outputs:
        raise ConfigError(
            f"cell {name!r} returned a model whose forecasts have shape {tuple(shape)}, expected (batch, {outputs}): "
            f"{data.horizon} steps of {outputs // data.horizon} numbers; the builder is called with outputs={outputs}."
        )
    # Keras's own names for what a functional model has and others have not.
    if len(shape) == 2 and len(getattr(model, "inputs", None) or ()) == 1:
        return model
    if len(shape) != 2:
        made = keras.layers.Reshape((outputs,), name="steps")(made)
    return keras.Model(window, made, name=f"own_{len(name)}")
