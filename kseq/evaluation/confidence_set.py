"""The model confidence set: which rows may be the best (Hansen, Lunde and Nason 2011).

The set holds the best row with a probability of 90 % or more: rows are taken out one by one, the worst first, as long
as those that are left cannot all be equally good. A set of many rows says that the test part is too short to choose.
It assumes that losses have one mean throughout and that blocks are longer than their memory; nothing is assumed of
their distribution, which is read off by a block bootstrap.

``arch.bootstrap.MCS`` gives the same set of single forecasts (the tests compare). Here seeds are drawn with the blocks,
so that a row whose place hangs on its seeds is not taken out for them, and blocks are summed once for all draws.
"""

from collections.abc import Sequence

import numpy as np

#: A row is in the set if its p-value is above this.
SIZE = 0.1

#: Draws of the bootstrap.
DRAWS = 1000

#: Numbers that are gathered at once.
_CHUNK = 2**22


def confidence_set(losses: Sequence[np.ndarray], *, block: int = 0, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """P-values of the model confidence set by the maximum statistic; rows above 0.1 are in the set at 90 %.

    Args:
        losses: Losses of each row, ``(members, times)``, of the same times; members may differ in number.
        block: Length of a block; by default the root of the number of times. 1 where the times are independent, such
            as series.
        draws: Draws of the bootstrap.
        seed: Seed of its random numbers.

    Returns:
        np.ndarray: ``(rows,)``; the best row has 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> good, bad = rng.random((1, 200)), 1 + rng.random((1, 200))
        >>> confidence_set([good, bad]).tolist()
        [1.0, 0.0]
    """
    rng = np.random.default_rng(seed)
    times = losses[0].shape[1]
    size = min(block or max(1, int(np.sqrt(times))), times)
    blocks = -(-times // size)
    starts = rng.integers(times, size=(draws, blocks))
    scale = max(float(np.abs(loss).max(initial=0.0)) for loss in losses) or 1.0
    means = np.array([loss.mean() / scale for loss in losses])
    drawn = np.stack([_drawn_means(loss / scale, starts, size, rng) for loss in losses], axis=1)
    return eliminate(means, drawn)


def _drawn_means(loss: np.ndarray, starts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Mean loss in each draw of blocks and members, ``(draws,)``."""
    members, times = loss.shape
    draws, blocks = starts.shape
    # The last block is cut, so that a draw holds as many times as there are.
    last = times - (blocks - 1) * size
    total = np.concatenate([np.zeros((members, 1)), np.cumsum(np.tile(loss, 2)[:, : times + size], axis=1)], axis=1)
    whole, cut = (total[:, n : n + times] - total[:, :times] for n in (size, last))
    by_member = np.empty((members, draws))
    for first in range(0, draws, rows := max(1, _CHUNK // (members * blocks))):
        some = starts[first : first + rows]
        by_member[:, first : first + rows] = whole[:, some[:, :-1]].sum(axis=2) + cut[:, some[:, -1]]
    if members == 1:
        return by_member[0] / times
    chosen = rng.integers(members, size=(draws, members))
    return np.take_along_axis(by_member.T, chosen, axis=1).mean(axis=1) / times


def eliminate(means: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Take out one row after the other, the worst first; see :func:`confidence_set`.

    Args:
        means: Mean loss of each row, ``(rows,)``.
        drawn: Mean losses in each draw of a bootstrap, ``(draws, rows)``.

    Returns:
        np.ndarray: P-values, ``(rows,)``.
    """
    p, left, largest = np.ones(len(means)), np.arange(len(means)), 0.0
    errors = drawn - means
    while len(left) > 1:
        apart = errors[:, left] - errors[:, left].mean(axis=1, keepdims=True)
        noise = np.sqrt((apart**2).mean(axis=0))
        gap = means[left] - means[left].mean()
        # Rows that never differ have no noise and no gap.
        gap[np.abs(gap) <= 1e-12] = 0.0
        noise = np.where(noise > 1e-12, noise, np.where(gap == 0, np.inf, 1e-12))
        statistics = gap / noise
        worst = int(statistics.argmax())
        largest = max(largest, float((statistics[worst] < (apart / noise).max(axis=1)).mean()))
        if not statistics.any():
            break
        p[left[worst]] = largest
        left = np.delete(left, worst)
    return p
