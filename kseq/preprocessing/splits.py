"""Training, validation and test part of each series, in the order of time.

::

    rows      start ................. validation ...... stop . gap . test ............ end
    part      | training              | validation      |          | test              |
"""

import bisect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kseq.data import Panel
from kseq.errors import DataError, Parameter
from kseq.validation import require_number

#: Of a part: its first row in each series, one after its last, the rows between windows, and those that one forecasts.
Part = tuple[np.ndarray, np.ndarray, int, "int | np.ndarray"]
Parts = dict[str, Part]


@dataclass(frozen=True, eq=False)
class Split:
    """Parts of each series, in rows of the panel: arrays of ``(series,)``.

    Nothing is learnt from a row of the test part, whether or not it is one to forecast.

    Args:
        start: First row that is learnt from.
        validation: First row of the validation part; training ends before it.
        stop: One after the last row that is learnt from.
        test: First target row of the test part.
        end: One after the last row with a target; or after the last row that is forecast, where that is a later one.
        ahead: Rows of each series that are forecast from an origin of the test part; None, the default, for the whole
            horizon of all.
    """

    start: np.ndarray
    validation: np.ndarray
    stop: np.ndarray
    test: np.ndarray
    end: np.ndarray
    ahead: np.ndarray | None = None

    @classmethod
    def by_fraction(cls, panel: Panel, test: float = 0.2, validation: float = 0.15) -> "Split":
        """Split each series by time.

        Args:
            panel: The series.
            test: Share of all rows, cut from the end.
            validation: Share of the rows before the test part, cut from their end; 0 for none.

        Returns:
            Split: Row numbers.

        Example:
            >>> from kseq import load_series
            >>> split = Split.by_fraction(Panel.of(load_series("nino12")))
            >>> split.validation.tolist(), split.test.tolist(), split.end.tolist()
            ([497], [585], [732])
        """
        require_number("test", test)
        start, end = panel.borders[:-1], panel.ends
        first = start + ((end - start) * (1 - test)).astype(int)
        return cls(start, first_of_validation(start, first, validation), first, first, end)

    @classmethod
    def without_test(cls, panel: Panel, validation: float) -> "Split":
        """Learn from all rows with a target, of which the last share is the validation part."""
        start, end = panel.borders[:-1], panel.ends
        return cls(start, first_of_validation(start, end, validation), end, end, end)

    @classmethod
    def by_origins(
        cls,
        panel: Panel,
        horizon: int,
        validation: float,
        n_windows: int,
        step: int,
        gap: int,
        train_size: int | None,
        ahead: np.ndarray | None = None,
    ) -> "Split":
        """Keep the last origins of each series for the test part, as a backtest that trains once does."""
        beyond = 0 if ahead is None else horizon - ahead
        end = panel.ends + beyond
        first = end - horizon - (n_windows - 1) * step
        stop = first - gap
        start = panel.borders[:-1] if train_size is None else np.maximum(panel.borders[:-1], stop - train_size)
        return cls(start, first_of_validation(start, stop, validation), stop, first, end, ahead)


def first_of_validation(start: np.ndarray, stop: np.ndarray, share: float) -> np.ndarray:
    """First row of the validation part: the last ``share`` of the rows from ``start`` to before ``stop``."""
    require_validation_share(share)
    return stop - np.rint((stop - start) * share).astype(int)


def require_validation_share(share: float) -> None:
    """Refuse a share of the validation part that leaves nothing to train on, or is none."""
    require_number("validation", share)


def parts_of(split: Split, lookback: int, horizon: int, step: int, lost: int) -> Parts:
    """Find the parts of each series by name.

    A validation part that is shorter than the horizon has one window, whose targets begin in the training part.
    """
    reach = split.start + lost + lookback
    overlapping = np.minimum(split.validation, np.maximum(split.stop - horizon, reach))
    return {
        # Nothing before the first row that is learnt from is read either.
        "training": (reach, split.validation, 1, horizon),
        "validation": (np.where(split.validation < split.stop, overlapping, split.stop), split.stop, 1, horizon),
        "test": (split.test, split.end, step, horizon)
        if split.ahead is None
        else (split.test, split.end - horizon + split.ahead, step, split.ahead),
    }


def long_enough(panel: Panel, split: Split, lookback: int, horizon: int, step: int = 1, lost: int = 0) -> np.ndarray:
    """Say which series have room for a training and a test window, if nothing is missing.

    Args:
        panel: The series.
        split: Their parts.
        lookback: Rows that a model reads.
        horizon: Rows that it forecasts.
        step: Rows from one test window to the next.
        lost: Rows at the beginning of each series that a transform has no values for.

    Returns:
        ``(series,)``.
    """
    parts = parts_of(split, lookback, horizon, step, lost)
    training, test = (room_in(panel, *parts[name], lost + lookback) for name in ("training", "test"))
    # Where all is learnt from there is no test part to have room in.
    return (training > 0) & ((test > 0) | (split.test >= split.end))


def room_in(
    panel: Panel, start: np.ndarray, stop: np.ndarray, step: int, horizon: int | np.ndarray, lookback: int
) -> np.ndarray:
    """How many windows fit into a part of each series if nothing is missing, ``(series,)``."""
    low = first_target(start, panel.borders[:-1], step, lookback)
    return np.maximum(-(-(stop - horizon + 1 - low) // step), 0)


def first_target(start: np.ndarray, border: np.ndarray, step: int, lookback: int) -> np.ndarray:
    """First target row of the first window; windows some rows apart count from the first row of their part."""
    low = np.maximum(start, border + lookback)
    return low + (start - low) % step


def placed_windows(
    panel: Panel,
    kept: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    step: int,
    horizon: int | np.ndarray,
    lookback: int,
) -> tuple[tuple[range, ...], np.ndarray]:
    """Segments of one part of all series that are kept, and the series of each."""
    runs = panel.stretches
    owners = panel.series_of(runs[:, 0])
    low = first_target(start[owners], runs[:, 0], step, lookback)
    high = np.minimum(stop[owners], runs[:, 1]) - np.broadcast_to(horizon, len(start))[owners] + 1
    there = (low < high) & kept[owners]
    spans = zip(low[there].tolist(), high[there].tolist(), strict=True)
    return tuple(range(a, b, step) for a, b in spans), owners[there]


def require_length(n: int, lookback: int, horizon: int, test: float, validation: float) -> None:
    """Refuse a series of ``n`` rows that leaves a part without a single window; say how many rows it takes."""

    def enough(rows: int) -> bool:
        known = int(rows * (1 - test))
        return min(known - round(known * validation) - lookback, rows - known) >= horizon

    if not enough(n):
        minimum = fewest_rows(enough, n + 1)
        raise DataError(
            f"received a series of {n} rows, expected at least {minimum} for lookback {lookback}, horizon {horizon} "
            "and its training and test parts; shorten ",
            Parameter("lookback"),
            " or ",
            Parameter("horizon"),
            ", or bring more rows.",
        )


def fewest_rows(enough: Callable[[int], bool], start: int) -> int:
    """Find the smallest number of rows from ``start`` on that is enough, where every larger one is enough too.

    Example:
        >>> fewest_rows(lambda rows: rows >= 100, start=3)
        100
    """
    above = 2 * start
    while not enough(above):
        above *= 2
    return start + bisect.bisect_left(range(start, above), True, key=enough)
