"""Initial weights of the builders' networks, drawn from the seed: equal on every backend, alone and as a member.

Keras and PyTorch initialize recurrent networks differently, and the same training may give a SimpleRNN a smaller error
from one than from the other:

==================  ===================================================  ==================================
weights             ``"keras"``                                          ``"pytorch"``
==================  ===================================================  ==================================
input kernel        uniform, within sqrt(6 / (rows + columns))           uniform, within sqrt(1 / units)
recurrent kernel    orthogonal rows                                      uniform, within sqrt(1 / units)
bias                zeros; ones at an LSTM's forget gate                 uniform, within sqrt(1 / units), of
                                                                         the input's and the recurrent one
Dense               kernel as an input kernel, bias zeros                uniform, within sqrt(1 / rows)
==================  ===================================================  ==================================

Keras's follow Glorot and Bengio (2010), Saxe et al. (2014) and Jozefowicz et al. (2015).
"""

from typing import Any

import keras
import numpy as np

from kseq.models import STARTS
from kseq.validation import require_choice

#: Kernel columns for each unit, by the name of the builder's model.
_GATES = {"rnn": 1, "lstm": 4, "gru": 3}

#: Layer options by which a user chooses an initializer, and the weight that each one sets.
_CHOSEN_BY = {"kernel_initializer": "kernel", "recurrent_initializer": "recurrent_kernel", "bias_initializer": "bias"}


def draw_weights(
    model: keras.Model, seeds: list[int], *, stacked: bool, start: str = "keras", options: dict[str, Any]
) -> None:
    """Draw the initial value of every weight from the seeds; weights whose initializer the user chose stay as they are.

    Args:
        model: Recurrent layers followed by a Dense layer named ``forecast``; a layer named ``skip`` keeps its zeros.
        seeds: One seed for each member.
        stacked: Whether weights have a leading axis of members.
        start: Whose initial distributions to use, one of :data:`kseq.models.STARTS`; ``"keras"`` by default.
        options: Options that the recurrent layers were made with.

    Raises:
        ConfigError: ``start`` is unknown.
    """
    require_choice("start", start, STARTS)
    chosen = {weight for option, weight in _CHOSEN_BY.items() if option in options}
    generators = [np.random.default_rng(seed) for seed in seeds]
    rows = 0
    for variable in model.weights:
        if "skip" in variable.path:
            # Whatever the seed it starts at zero.
            continue
        name, dense = variable.name, "forecast" in variable.path
        shape = tuple(variable.shape)[1:] if stacked else tuple(variable.shape)
        # A Dense layer's bias takes the row count of the kernel before it.
        rows = shape[0] if name == "kernel" else rows
        if name in chosen and not dense:
            continue
        gates = 1 if dense else _GATES[model.name]
        if start == "pytorch":
            limit = (1 / (rows if dense else shape[-1] // gates)) ** 0.5
            draws = [_draw_pytorch(name, shape, limit, dense, generator) for generator in generators]
        else:
            forget = model.name == "lstm" and name == "bias" and not dense and options.get("unit_forget_bias", True)
            draws = [_draw_keras(name, shape, forget, generator) for generator in generators]
        variable.assign(np.stack(draws) if stacked else draws[0])


def _draw_keras(name: str, shape: tuple[int, ...], forget: bool, generator: np.random.Generator) -> np.ndarray:
    if name == "kernel":
        limit = np.sqrt(6 / sum(shape))
        return generator.uniform(-limit, limit, shape)
    if name == "recurrent_kernel":
        # Orthonormal rows: the Q factor of a Gaussian matrix, with unique signs.
        q, r = np.linalg.qr(generator.standard_normal(shape[::-1]))
        return (q * np.sign(np.diag(r))).T
    bias = np.zeros(shape)
    if forget:
        # Gates are in the order i, f, c, o; the forget gate starts open.
        units = shape[-1] // 4
        bias[units : 2 * units] = 1
    return bias


def _draw_pytorch(
    name: str, shape: tuple[int, ...], limit: float, dense: bool, generator: np.random.Generator
) -> np.ndarray:
    if name == "bias" and not dense and len(shape) == 1:
        # PyTorch has two bias vectors, which are added.
        return generator.uniform(-limit, limit, (2, *shape)).sum(axis=0)
    return generator.uniform(-limit, limit, shape)
