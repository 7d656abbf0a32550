"""The equations of a cell with the shapes of a network filled in."""

from kseq.explanation.networks import Network

_EQUATIONS = {
    "rnn": ("h = tanh(x W + h' U + b)",),
    "lstm": (
        "i = sigmoid(x W_i + h' U_i + b_i)      input gate",
        "f = sigmoid(x W_f + h' U_f + b_f)      forget gate",
        "g = tanh(x W_c + h' U_c + b_c)         candidate",
        "o = sigmoid(x W_o + h' U_o + b_o)      output gate",
        "c = f * c' + i * g                     cell state",
        "h = o * tanh(c)                        output",
    ),
    "gru": (
        "z = sigmoid(x W_z + h' U_z + b_z)      update gate",
        "r = sigmoid(x W_r + h' U_r + b_r)      reset gate",
        "n = tanh(x W_h + b_h + r * (h' U_h + b'_h))   candidate",
        "h = z * h' + (1 - z) * n               output",
    ),
}
_BLOCKS = {"rnn": 1, "lstm": 4, "gru": 3}


def equations_of(cell: str, network: Network) -> tuple[str, ...]:
    """Write a cell's equations and, for each layer of a network, the shapes in them.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        network: The network.

    Returns:
        tuple[str, ...]: Lines. ``'`` marks the step before, ``*`` is the product element by element.
    """
    lines = list(_EQUATIONS[cell])
    blocks = _BLOCKS[cell]
    for number, layer in enumerate(network.layers, 1):
        weights, _ = layer.directions[0]
        features, units = weights.kernel.shape[0], weights.recurrent_kernel.shape[0]
        both = " in each of two directions" if len(layer.directions) > 1 else ""
        gates = f", {blocks} of each" if blocks > 1 else ""
        biases = 0 if weights.bias is None else weights.bias.size
        count = weights.kernel.size + weights.recurrent_kernel.size + biases
        lines.append(
            f"layer {number}: x ({features},), h ({units},), W ({features}, {units}), U ({units}, {units}), b "
            f"({units},){gates}: {count:,} weights{both}"
        )
    lines.append(
        f"forecast = h V + b: V {tuple(network.kernel.shape)}: {network.kernel.size + network.bias.size:,} weights"
    )
    if network.skip is not None:
        lines[-1] += f", and S x: a linear map of the window, {network.skip.size:,} weights"
    return tuple(lines)
