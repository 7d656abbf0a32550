"""What trained networks use of the past: their error when a part of it is taken away, and how long states differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from kseq.evaluation.significance import holm
from kseq.explanation.networks import Network

#: How older rows are taken away.
WAYS = ("shuffled", "mean", "cut")
#: Random orders of which the mean is taken.
REPEATS = 3
#: Lags that are looked at one by one; of longer windows some, ever further apart.
SINGLE_LAGS = 64
#: Growth of the error up to which nothing is called lost.
NOTHING_LOST = 0.01
#: Pairs of pasts that are compared.
PAIRS = 64
#: Level below which the growth of an error is more than seeds make it.
LEVEL = 0.05
#: How many rows' worth the spread of all columns counts in the spread of one.
SHARED = 4

#: Scaled windows ``(windows, time, features)`` to scaled forecasts ``(seed, windows, outputs)``.
Forecasts = Callable[[np.ndarray], np.ndarray]
#: Scaled forecasts ``(seed, windows, outputs)`` to an error a seed, ``(seed,)``.
Errors = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class MemoryUsed:
    """What the error becomes without a part of what is read.

    Args:
        error: Errors with all that is read, ``(seed,)``.
        kept: Numbers of most recent rows that are left, ascending, ``(kept,)``; the last one is the lookback.
        without_older: By way of :data:`WAYS`, errors with older rows taken away, ``(seed, kept)``.
        lags: Lags that are shuffled one at a time, ``(lags,)``; 1 is the last row before the forecast.
        by_lag: Errors with one lag shuffled, ``(seed, lags)``.
        by_input: Errors with one input column shuffled, ``(seed, inputs)``.
        attributed: Share of the attributions' size by lag and input, ``(seed, lookback, inputs)``; lag 1 first.
    """

    error: np.ndarray
    kept: np.ndarray
    without_older: dict[str, np.ndarray]
    lags: np.ndarray
    by_lag: np.ndarray
    by_input: np.ndarray
    attributed: np.ndarray

    def needed(self, way: str = "shuffled") -> int:
        """Return the fewest recent rows with which the error, mean over seeds, grows by at most 1 %."""
        return self._fewest(self.without_older[way].mean(axis=0))

    def needed_by_seed(self, way: str = "shuffled") -> np.ndarray:
        """Return what :meth:`needed` says of each seed by itself, ``(seed,)``."""
        return np.array([self._fewest(errors) for errors in self.without_older[way]], float)

    def _fewest(self, errors: np.ndarray) -> int:
        """The number of rows kept from which on nothing is lost any more."""
        lost = errors > errors[-1] * (1 + NOTHING_LOST)
        return int(self.kept[int(len(lost) - lost[::-1].argmax()) if lost.any() else 0])

    def strongest(self, count: int = 3) -> list[int]:
        """Return the lags without which the error grows most, strongest first.

        Only those count without which it grows more than seeds make it, by a t-test over seeds that is adjusted for the
        number of lags by Holm's method; of one seed, all without which it grows.
        """
        growth = self.by_lag - self.error[:, None]
        return [int(self.lags[place]) for place in _beyond_spread(growth)[:count]]

    def strongest_inputs(self, count: int = 3) -> list[int]:
        """Return the places of the inputs without which the error grows most, as :meth:`strongest` does."""
        return [int(place) for place in _beyond_spread(self.by_input - self.error[:, None])[:count]]


def _beyond_spread(growth: np.ndarray) -> np.ndarray:
    """Columns whose mean is above zero by more than their spread over rows, the largest first; of one row, above zero.

    The variance of each column is that of its rows together with that of all columns, by their median, which counts as
    much as :data:`SHARED` rows: few rows alone may look alike by chance (the moderated t-test of Smyth 2004, with a
    fixed number of prior degrees of freedom).

    Args:
        growth: ``(seed, columns)``.
    """
    seeds, mean = len(growth), growth.mean(axis=0)
    grows = mean > 0
    if seeds > 1:
        own, free = growth.var(axis=0, ddof=1), seeds - 1
        # Half of all variances that are drawn lie below this share of the true one.
        shared = np.median(own) / (stats.chi2.ppf(0.5, free) / free)
        variance = (free * own + SHARED * shared) / (free + SHARED)
        error = np.maximum(np.sqrt(variance / seeds), np.finfo(float).tiny)
        grows &= holm(2 * stats.t.sf(np.abs(mean / error), free + SHARED)) < LEVEL
    order = np.argsort(-mean, kind="stable")
    return order[grows[order]]


def lags_of(lookback: int) -> np.ndarray:
    """Return the lags to look at: all, or of a long window all up to 32 and then ever fewer.

    Example:
        >>> lags_of(5).tolist()
        [1, 2, 3, 4, 5]
    """
    if lookback <= SINGLE_LAGS:
        return np.arange(1, lookback + 1)
    close, far = np.arange(1, SINGLE_LAGS // 2 + 1), np.geomspace(SINGLE_LAGS // 2, lookback, SINGLE_LAGS // 2)
    return np.unique(np.concatenate([close, far.round().astype(int)]))


def memory_used(
    forecasts: Forecasts,
    networks: Sequence[Network],
    x: np.ndarray,
    errors: Errors,
    base: np.ndarray,
    attributed: np.ndarray,
    seed: int = 0,
) -> MemoryUsed:
    """Measure what the error becomes without older rows, without single lags and without single inputs.

    Shuffled rows come from another window, drawn at random, so that each row is one that occurs; rows at their mean do
    not occur, and "cut" reads a shorter window from the initial state.

    Args:
        forecasts: Function that forecasts windows.
        networks: The same networks, which can read windows of any length.
        x: Array of shape ``(windows, time, features)``, scaled.
        errors: Function that scores scaled forecasts.
        base: Array of shape ``(features,)``, the means of the training inputs.
        attributed: As :class:`MemoryUsed` has it.
        seed: Random seed of the shuffles.
    """
    generator, lookback = np.random.default_rng(seed), x.shape[1]
    lags = lags_of(lookback)
    kept = np.concatenate([[0], lags])
    orders = [generator.permutation(len(x)) for _ in range(REPEATS)]

    def shuffled(change: Callable[[np.ndarray, np.ndarray], None]) -> np.ndarray:
        """Mean error over the random orders, in each of which ``change`` puts rows of others into a copy."""
        scores = []
        for order in orders:
            changed = x.copy()
            change(changed, x[order])
            scores.append(errors(forecasts(changed)))
        return np.mean(scores, axis=0)

    def older(rows: int) -> dict[str, np.ndarray]:
        at_mean, first = x.copy(), lookback - rows
        at_mean[:, :first] = base

        def put(changed: np.ndarray, others: np.ndarray) -> None:
            changed[:, :first] = others[:, :first]

        # Without any row a network gives its head's bias.
        short = [
            network.run(x[:, first:]).output if rows else np.tile(network.bias, (len(x), 1)) for network in networks
        ]
        cut = np.mean(short, axis=0)[None] if len(networks) != len(full_forecasts) else np.stack(short)
        return {"shuffled": shuffled(put), "mean": errors(forecasts(at_mean)), "cut": errors(cut)}

    def at(lag: int) -> Callable[[np.ndarray, np.ndarray], None]:
        def put(changed: np.ndarray, others: np.ndarray) -> None:
            changed[:, lookback - lag] = others[:, lookback - lag]

        return put

    def column(number: int) -> Callable[[np.ndarray, np.ndarray], None]:
        def put(changed: np.ndarray, others: np.ndarray) -> None:
            changed[..., number] = others[..., number]

        return put

    full_forecasts = forecasts(x)
    full = errors(full_forecasts)
    without = [older(int(rows)) for rows in kept[:-1]]
    return MemoryUsed(
        full,
        kept,
        {way: np.stack([*(one[way] for one in without), full], axis=1) for way in WAYS},
        lags,
        np.stack([shuffled(at(int(lag))) for lag in lags], axis=1),
        np.stack([shuffled(column(number)) for number in range(x.shape[2])], axis=1),
        attributed,
    )


def agreement(networks: Sequence[Network], x: np.ndarray, seed: int = 0) -> np.ndarray:
    """Measure how long two different pasts leave different states.

    States after two windows, drawn at random, are the start of two passes over a third window; the distance between
    them is taken after each step, over all states and layers.

    Args:
        networks: One a seed; they read in one direction.
        x: Array of shape ``(windows, time, features)``, scaled.
        seed: Random seed of the draws.

    Returns:
        Array of shape ``(seed, time + 1)``: median over pairs of the distance, relative to that before the first step.
    """
    generator = np.random.default_rng(seed)
    one, other, follow = (generator.integers(len(x), size=PAIRS) for _ in range(3))
    curves = []
    for network in networks:
        starts = [network.run(x[which]).final_states for which in (one, other)]
        runs = [network.run(x[follow], start) for start in starts]
        squares = np.zeros((PAIRS, x.shape[1] + 1))
        for number in range(len(network.layers)):
            after = [[start[number], *run.traces[number][0].states] for start, run in zip(starts, runs, strict=True)]
            for step, (states, others) in enumerate(zip(*after, strict=True)):
                squares[:, step] += sum(np.sum((a - b) ** 2, axis=-1) for a, b in zip(states, others, strict=True))
        distance = np.sqrt(squares)
        there = distance[:, 0] > 0
        curves.append(
            np.median(distance[there] / distance[there, :1], axis=0) if there.any() else np.zeros(x.shape[1] + 1)
        )
    return np.stack(curves)
