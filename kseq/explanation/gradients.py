"""How far back gradients reach: their norm by lag, and what each input row contributes to a forecast."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kseq.explanation.networks import Network

#: Points on the path of integrated gradients.
PATH = 32


@dataclass(frozen=True, eq=False)
class LagCurve:
    """A norm by lag, relative to lag 0.

    Args:
        values: Array of shape ``(seed, lag)``; lag counts the steps before the last one that is read.
    """

    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Geometric mean over seeds, ``(lag,)``."""
        with np.errstate(divide="ignore"):
            return np.exp(np.log(self.values).mean(axis=0))

    def falls_to(self, share: float) -> np.ndarray:
        """Return the first lag of each seed at which the norm is at most ``share`` of that at lag 0, ``(seed,)``.

        NaN where it is not within the steps that are read.
        """
        below = self.values <= share
        return np.where(below.any(axis=1), below.argmax(axis=1), np.nan)

    @property
    def grows_to(self) -> float:
        """Median over seeds of the largest norm at any lag, in multiples of that at lag 0."""
        return float(np.median(self.values.max(axis=1)))


def loss_gradient(networks: Sequence[Network], x: np.ndarray, y: np.ndarray) -> LagCurve:
    """Measure the gradient of the mean squared error with respect to the states, by lag.

    It is the total derivative: what a small change of a state changes through all later steps. Norms are over units,
    states (``h`` and ``c`` of an LSTM) and layers; the mean over windows is taken.

    Args:
        networks: One a seed.
        x: Array of shape ``(windows, time, features)``, scaled.
        y: Array of shape ``(windows, outputs)``, scaled targets.

    Returns:
        LagCurve: Relative to lag 0.
    """
    curves = []
    for network in networks:
        run = network.run(x)
        curves.append(network.back(run, 2 * (run.output - y) / y.shape[1])[1].mean(axis=0))
    return _relative(curves)


def state_gradient(networks: Sequence[Network], x: np.ndarray, seed: int = 0) -> LagCurve:
    """Measure the gradient of the last output with respect to earlier states, by lag.

    The root mean square over windows of the gradient of ``v . h`` with random normal ``v`` estimates the Frobenius norm
    of the Jacobian (Hutchinson 1990).
    """
    generator, curves = np.random.default_rng(seed), []
    for network in networks:
        run = network.run(x)
        direction = generator.standard_normal((len(x), network.kernel.shape[0]))
        curves.append(np.sqrt((network.back_from_state(run, direction) ** 2).mean(axis=0)))
    return _relative(curves)


def _relative(curves: list[np.ndarray]) -> LagCurve:
    values = np.stack(curves)
    first = values[:, :1]
    return LagCurve(np.divide(values, first, out=np.zeros_like(values), where=first > 0))


def integrated_gradients(network: Network, x: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Attribute the first step's forecast to the input rows (Sundararajan, Taly and Yan 2017).

    Args:
        network: One network.
        x: Array of shape ``(windows, time, features)``, scaled.
        base: Array of shape ``(features,)``: the input that stands for "nothing known", such as the training mean.

    Returns:
        Array of the shape of ``x``. Attributions of a window sum to its forecast minus that of ``base``, up to the
        error of a midpoint rule of 32 points.
    """
    total = np.zeros(x.shape)
    for point in (np.arange(PATH) + 0.5) / PATH:
        run = network.run(base + point * (x - base))
        d_output = np.zeros_like(run.output)
        d_output[:, 0] = 1
        total += network.back(run, d_output)[0]
    return (x - base) * total / PATH
