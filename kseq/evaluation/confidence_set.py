"""The model confidence set: which rows may be the best (Hansen, Lunde and Nason 2011).

The set holds the best row with a probability of 90 % or more: rows are taken out one by one, the worst first, as long
as those that are left cannot all be equally good. A set of many rows says that the test part is too short to choose.
It assumes that losses have one mean throughout and that blocks are longer than their memory; nothing is assumed of
their distribution, which is read off a block bootstrap.

Each draw is counted in units of its own noise, the variance between its blocks (Goetze and Kuensch 1996). The usual
bootstrap, which counts all draws in one unit, takes that unit to be known: over 100 times it then keeps all of three
equal rows in 83 of 100 cases where 90 are promised (``python benchmarks/sizes.py --arch``).

:func:`eliminate` without those units gives the set of ``arch.bootstrap.MCS`` (the tests compare). Seeds are drawn with
the blocks, so that a row whose place hangs on its seeds is not taken out for them.
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
        block: Length of a block; by default that of :func:`block_length`. 1 where the times are independent, such as
            series.
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
    size = min(block or block_length(times), times)
    starts = rng.integers(times, size=(draws, -(-times // size)))
    scale = max(float(np.abs(loss).max(initial=0.0)) for loss in losses) or 1.0
    # What all rows miss together says nothing of them, and would round their differences off.
    shared = np.mean([loss.mean(axis=0) / scale for loss in losses], axis=0)
    scaled = [loss / scale - shared for loss in losses]
    means = np.array([loss.mean() for loss in scaled])
    drawn = np.stack([_drawn_means(loss, starts, size, rng) for loss in scaled], axis=1)
    noise, drawn_noise = _between_blocks(np.stack([loss.mean(axis=0) for loss in scaled]), starts, size)
    # The mean of a row's seeds varies too, each row's by itself.
    of_seeds = np.diag([loss.mean(axis=1).var(ddof=1) / len(loss) if len(loss) > 1 else 0.0 for loss in scaled])
    return eliminate(means, drawn, noise + of_seeds, drawn_noise + of_seeds)


def block_length(times: int) -> int:
    """Length of a block: 1.5 times the root of the number of times, of which there are at least five.

    Example:
        >>> block_length(100), block_length(20)
        (15, 4)
    """
    return max(1, min(int(1.5 * np.sqrt(times)), times // 5))


def _between_blocks(loss: np.ndarray, starts: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of rows' mean losses by the variation between blocks, of the losses and of each draw.

    Args:
        loss: ``(rows, times)``.
        starts: First times of the blocks of each draw, ``(draws, blocks)``.
        size: Length of a block.

    Returns:
        ``(rows, rows)`` and ``(draws, rows, rows)``.
    """
    rows, times = loss.shape
    total = np.cumsum(np.concatenate([np.zeros((rows, 1)), loss, loss[:, :size]], axis=1), axis=1)
    means = (total[:, size : size + times] - total[:, :times]) / size - loss.mean(axis=1, keepdims=True)
    count = times / size
    # Blocks vary about the mean of all times, which they make up.
    noise = means @ means.T / times / max(count - 1, 1 / 2)
    blocks = starts.shape[1]
    drawn = np.empty((len(starts), rows, rows))
    for first in range(0, len(starts), step := max(1, _CHUNK // (rows * blocks))):
        part = means[:, starts[first : first + step]].transpose(1, 0, 2)
        part = part - part.mean(axis=2, keepdims=True)
        drawn[first : first + step] = part @ part.transpose(0, 2, 1) / max(blocks - 1, 1) / count
    return noise, drawn


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


def eliminate(
    means: np.ndarray, drawn: np.ndarray, noise: np.ndarray | None = None, drawn_noise: np.ndarray | None = None
) -> np.ndarray:
    """Take out one row after the other, the worst first; see :func:`confidence_set`.

    Args:
        means: Mean loss of each row, ``(rows,)``.
        drawn: Mean losses in each draw of a bootstrap, ``(draws, rows)``.
        noise: Covariances of the mean losses, ``(rows, rows)``; by default those of the draws.
        drawn_noise: The same in each draw, ``(draws, rows, rows)``; by default ``noise`` in all.

    Returns:
        np.ndarray: P-values, ``(rows,)``.
    """
    p, left, largest = np.ones(len(means)), np.arange(len(means)), 0.0
    errors = drawn - means
    if noise is None:
        noise = errors.T @ errors / len(errors)
    while len(left) > 1:
        apart = errors[:, left] - errors[:, left].mean(axis=1, keepdims=True)
        gap = means[left] - means[left].mean()
        # Rows that never differ have no noise and no gap.
        gap[np.abs(gap) <= 1e-12] = 0.0
        error = _errors_of_gaps(noise[np.ix_(left, left)])
        statistics = gap / np.where(error > 1e-12, error, np.where(gap == 0, np.inf, 1e-12))
        if drawn_noise is not None:
            error = _errors_of_gaps(drawn_noise[:, left[:, None], left])
        apart = np.where(np.abs(apart) <= 1e-12, 0.0, apart) / np.maximum(error, 1e-12)
        worst = int(statistics.argmax())
        largest = max(largest, float((statistics[worst] < apart.max(axis=1)).mean()))
        if not statistics.any():
            break
        p[left[worst]] = largest
        left = np.delete(left, worst)
    return p


def _errors_of_gaps(noise: np.ndarray) -> np.ndarray:
    """Standard errors of each row's gap to the mean of all, from covariances ``(..., rows, rows)``."""
    with_all = noise.mean(axis=-1)
    own = np.diagonal(noise, axis1=-2, axis2=-1)
    return np.sqrt(np.maximum(own - 2 * with_all + with_all.mean(axis=-1, keepdims=True), 0.0))
