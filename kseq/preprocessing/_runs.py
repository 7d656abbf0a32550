"""Reductions over runs of consecutive rows, such as the training rows of each series."""

import numpy as np

#: Rows that are worked on at once, so that a long panel is never copied as a whole.
CHUNK = 2**18


def groups(lengths: np.ndarray, limit: int = CHUNK) -> list[slice]:
    """Part series into groups of at most ``limit`` rows together, or of one series.

    Example:
        >>> groups(np.array([3, 3, 9, 2]), limit=6)
        [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    bounds, total = [0], 0
    for number, length in enumerate(lengths.tolist()):
        if total and total + length > limit:
            bounds.append(number)
            total = 0
        total += length
    return [slice(low, high) for low, high in zip(bounds, [*bounds[1:], len(lengths)], strict=True) if low < high]


def reduce_runs(ufunc: np.ufunc, rows: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Reduce the rows from ``start`` to before ``stop`` of each run.

    Args:
        ufunc: Such as ``np.add``.
        rows: Values, ``(rows, ...)``.
        start: First row of each run, ``(runs,)``, in order.
        stop: One after the last row, ``(runs,)``, above ``start`` and not beyond the start of the next run.

    Returns:
        ``(runs, ...)``.

    Example:
        >>> reduce_runs(np.add, np.arange(6.0), np.array([0, 3]), np.array([2, 6]))
        array([ 1., 12.])
    """
    # Every second one is what lies between two runs; a cut after the last row is none.
    cuts = np.stack([start, stop], axis=1).ravel()
    return ufunc.reduceat(rows, cuts[cuts < len(rows)], axis=0)[::2]
