"""The operators by which an exported model is written once for every runtime."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Ops(Protocol):
    """Operators of a runtime. Tensors, ``(batch, rows, columns)``, know ``+ - * /`` among one another."""

    def constant(self, values: np.ndarray) -> Any:
        """A tensor of fixed values."""

    def rows(self, x: Any, first: int, stop: int) -> Any:
        """Rows from ``first`` to before ``stop``, both from 0."""

    def columns(self, x: Any, first: int, stop: int) -> Any:
        """Columns from ``first`` to before ``stop``, both from 0."""

    def pick(self, x: Any, rows: Sequence[int]) -> Any:
        """Rows by number."""

    def join(self, parts: Sequence[Any], axis: int) -> Any:
        """Tensors one after the other along an axis."""

    def table(self, values: np.ndarray, series: Any | None) -> Any:
        """Row of a table, ``(series, columns)``, that belongs to each window, as ``(batch, 1, columns)``; the first
        row as ``(1, 1, columns)`` where ``series`` is None.
        """

    def phases(self, means: np.ndarray, series: Any | None, phase: Any) -> Any:
        """Mean of each row's phase, ``(batch, rows, columns)``; ``means`` are ``(series, season, columns)``."""

    def column(self, x: Any) -> Any:
        """``(batch, rows)`` as ``(batch, rows, 1)``."""

    def repeat(self, x: Any, rows: int) -> Any:
        """``(batch, 1, columns)`` as ``(batch, rows, columns)``."""

    def blocks(self, x: Any, rows: int, columns: int) -> Any:
        """``(batch, rows * columns)`` as ``(batch, rows, columns)``."""

    def ascending(self, x: Any, rows: int) -> Any:
        """Each column's ``rows`` values in ascending order."""

    def exp(self, x: Any) -> Any:
        """The exponential."""

    def log(self, x: Any) -> Any:
        """The natural logarithm."""

    def sqrt(self, x: Any) -> Any:
        """The square root."""

    def mean(self, x: Any) -> Any:
        """Mean over rows, which stay as one."""

    def cumsum(self, x: Any) -> Any:
        """Running sum over rows."""

    def maximum(self, x: Any, least: float) -> Any:
        """The larger of each value and ``least``."""

    def single(self, x: Any) -> Any:
        """In float32."""

    def double(self, x: Any) -> Any:
        """In float64."""

    def network(self, x: Any) -> Any:
        """Mean of the networks' outputs, ``(batch, outputs)``, of windows in float32."""
