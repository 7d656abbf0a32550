"""Gates at work: how open they are over a part of a series, and how often they are as good as open or shut."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kseq.explanation.networks import Network

#: Below and above these a gate is called shut and open (Karpathy, Johnson and Li 2015).
SHUT, OPEN = 0.1, 0.9


@dataclass(frozen=True, eq=False)
class Gates:
    """The gates of a cell.

    Args:
        means: By gate, the mean over all windows, steps, units and layers, ``(seed,)``.
        shut: By gate, the share of values below 0.1, ``(seed,)``.
        open: By gate, the share of values above 0.9, ``(seed,)``.
        along: By gate, the mean over units and layers at the last step of each window, ``(seed, windows)``.
    """

    means: dict[str, np.ndarray]
    shut: dict[str, np.ndarray]
    open: dict[str, np.ndarray]
    along: dict[str, np.ndarray]

    @property
    def names(self) -> list[str]:
        """Names of the gates; none of a SimpleRNN."""
        return list(self.means)


def gates_of(networks: Sequence[Network], x: np.ndarray) -> Gates:
    """Read windows and note what the gates do.

    Args:
        networks: One a seed.
        x: Array of shape ``(windows, time, features)``, scaled.

    Returns:
        Gates: Of the forward directions and, where there are, the backward ones.
    """
    names: list[str] = []
    found: dict[str, list[list[np.ndarray]]] = {}
    for network in networks:
        traces = [trace for own in network.run(x).traces for trace in own]
        names = list(traces[0].gates)
        for name in names:
            found.setdefault(name, []).append([trace.gates[name] for trace in traces])

    def over(of: object) -> dict[str, np.ndarray]:
        return {name: np.array([of(values) for values in found[name]]) for name in names}  # type: ignore[operator]

    def share(test: object) -> object:
        return lambda values: np.mean([np.mean(test(value)) for value in values])  # type: ignore[operator]

    return Gates(
        over(share(lambda value: value)),
        over(share(lambda value: value < SHUT)),
        over(share(lambda value: value > OPEN)),
        over(lambda values: np.mean([value[:, -1].mean(axis=-1) for value in values], axis=0)),
    )
