"""Rows of one's own in a comparison: a cell written in Keras, a convolutional network, and a regressor.

    python examples/own_rows.py [epochs]

The same on the command line, from the folder of this file:

    kseq compare --cell minGRU=own_rows:build_min_gru,TCN=own_rows:build_tcn --rival Ridge=own_rows:ridge

``minGRU`` is the cell of Feng et al. 2024 ("Were RNNs all we needed?"): one gate, and a candidate that does not read
the last state. A builder is called with what it takes of ``lookback``, ``features``, ``horizon``, ``outputs``,
``units``, ``dropout``, ``seed`` and others, and returns any Keras model. A rival reads a window as one row of numbers.
"""

import sys
from typing import Any

import keras

import kseq


@keras.saving.register_keras_serializable("own_rows")
class MinGRUCell(keras.layers.Layer):
    """``h' = (1 - z) h + z c``, where gate ``z`` and candidate ``c`` read the input alone."""

    def __init__(self, units: int, **options: Any):
        super().__init__(**options)
        self.units = self.state_size = self.output_size = units
        self.gate = keras.layers.Dense(units, "sigmoid")
        self.candidate = keras.layers.Dense(units)

    def build(self, shape: tuple[int, ...]) -> None:
        """Make the weights."""
        self.gate.build(shape)
        self.candidate.build(shape)
        self.built = True

    def call(self, x: Any, states: list[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Take one time step."""
        z = self.gate(x)
        h = (1 - z) * states[0] + z * self.candidate(x)
        return h, [h]


def build_min_gru(lookback: int, features: int, outputs: int, units: int) -> keras.Model:
    """A recurrent network of minGRU cells with a Dense head."""
    window = keras.Input((lookback, features))
    return keras.Model(window, keras.layers.Dense(outputs)(keras.layers.RNN(MinGRUCell(units))(window)))


def build_tcn(outputs: int, units: int) -> keras.Model:
    """A temporal convolutional network (Bai et al. 2018): causal convolutions whose reach doubles layer by layer."""
    layers = [
        keras.layers.Conv1D(units, 3, padding="causal", dilation_rate=rate, activation="relu") for rate in (1, 2, 4)
    ]
    return keras.Sequential([*layers, keras.layers.Lambda(lambda x: x[:, -1]), keras.layers.Dense(outputs)])


def ridge() -> Any:
    """A linear model of the window, by scikit-learn."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV()


if __name__ == "__main__":
    comparison = kseq.compare(
        "nino12",
        cells={"gru": ..., "minGRU": build_min_gru, "TCN": build_tcn},
        rivals={"Ridge": ridge()},
        seeds=2,
        epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 50,
        horizon=3,
    )
    print(comparison.table[["model", "mae", "mae_std", "group", "parameters"]])
    print(*comparison.verdict, sep="\n")
