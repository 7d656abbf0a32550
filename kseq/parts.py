"""Parts of a series in the order of time, and scales that are fitted on one of them."""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kseq.errors import ConfigError, DataError, Parameter
from kseq.text import shown
from kseq.validation import require_number

#: Scalers by name. The last one looks at the whole series, test part included: for replays of published experiments.
SCALERS = ("standard", "minmax", "minmax-leaks-test")


@dataclass(frozen=True)
class Split:
    """Chronological parts of ``n`` rows: training ``[0, validation)``, validation ``[validation, test)``, test to n.

    Nothing is learnt from a row of the test part, whether or not it is one to forecast.
    """

    validation: int
    test: int
    n: int

    @classmethod
    def by_fraction(cls, n: int, test: float = 0.2, validation: float = 0.15) -> "Split":
        """Split ``n`` rows by time.

        Args:
            n: number of rows.
            test: share of all rows, cut from the end.
            validation: share of the rows before the test part, cut from their end; 0 for none.

        Returns:
            Split: row numbers.

        Example:
            >>> Split.by_fraction(732)
            Split(validation=497, test=585, n=732)
        """
        require_number("test", test)
        return cls.at(int(n * (1 - test)), n, validation)

    @classmethod
    def at(cls, test: int, n: int, validation: float) -> "Split":
        """Split ``n`` rows at the first row of the test part; ``validation`` is the share as in :meth:`by_fraction`."""
        require_number("validation", validation)
        return cls(test - round(test * validation), test, n)


@dataclass(frozen=True)
class Scaler:
    """A column-wise linear scale, ``(x - center) / scale``, fitted once.

    Args:
        center: subtracted, ``(columns,)``.
        scale: divided by, ``(columns,)``; 1 for a constant column.
    """

    center: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, kind: str, values: np.ndarray) -> "Scaler":
        """Fit on ``values`` of shape ``(time, columns)``; ``kind`` is ``"standard"`` or ``"minmax"``."""
        if kind == "standard":
            center, scale = values.mean(axis=0), values.std(axis=0)
        elif kind == "minmax":
            center, scale = values.min(axis=0), np.ptp(values, axis=0)
        else:
            raise ConfigError(
                "received ", Parameter("scaler"), f" {shown(kind)}, expected one of {', '.join(SCALERS)}."
            )
        return cls(center, np.where(scale == 0, 1.0, scale))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Scale ``(..., columns)``."""
        return (values - self.center) / self.scale

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """Undo :meth:`transform`."""
        return values * self.scale + self.center


def require_length(n: int, lookback: int, horizon: int, test: float, validation: float) -> None:
    """Refuse a series of ``n`` rows that leaves a part without a single window; say how many rows it takes."""

    def enough(rows: int) -> bool:
        split = Split.by_fraction(rows, test, validation)
        parts: Sequence[int] = [split.validation - lookback, split.n - split.test]
        if validation:
            parts = [*parts, split.test - split.validation]
        return min(parts) >= horizon

    if not enough(n):
        minimum = fewest_rows(enough, n + 1)
        raise DataError(
            f"received a series of {n} rows, expected at least {minimum} for lookback {lookback}, horizon {horizon} "
            "and its training, validation and test parts; shorten ",
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
