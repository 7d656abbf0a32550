"""A user's script, which ``tox -e typing`` checks by ``mypy --strict``: the layers' arguments are known to it."""

import functools
from typing import Any

import kseq
from kseq.layers import GRU, LSTM, Ensemble, SimpleRNN, kernel_policy


class Mine(kseq.layers.LSTM):
    def __init__(self, units: int, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(units, "tanh", **kwargs)
        self.scale = scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


layers = [
    kseq.layers.LSTM(32, return_sequences=True),
    SimpleRNN(8, "relu", dropout=0.1, name="first"),
    GRU(8, reset_after=False, kernel_initializer="he_normal", seed=1),
    Mine(4, scale=2.0),
]
used: str | None = layers[0].kernel_used
make = functools.partial(LSTM, 5)
made: LSTM = make(return_state=True)
with kernel_policy("off"):
    members: list[int] = Ensemble(made, members=3).seeds

LSTM("32")  # type: ignore[arg-type]
GRU(8, return_sequences="all")  # type: ignore[arg-type]
SimpleRNN()  # type: ignore[call-arg]
