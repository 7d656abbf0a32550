"""Windows of one part, cut out of shared arrays when they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from kseq.errors import ConfigError
from kseq.naming import names_near
from kseq.preprocessing.references import Reference


def window_starts(start: int, stop: int, lookback: int, horizon: int, *, step: int = 1, border: int = 0) -> range:
    """Say where windows can stand: the rows of their first targets.

    Args:
        start: First row that may be a target row.
        stop: One after the last row that may be a target row.
        lookback: Rows that a model reads.
        horizon: Rows that a model forecasts.
        step: Rows from one window to the next.
        border: First row that may be read: what stands before it belongs to another series or lies behind a gap.

    Returns:
        range: at least ``lookback`` rows lie between the border and each, and ``horizon`` rows fit before ``stop``.

    Example:
        >>> list(window_starts(0, 10, lookback=3, horizon=2, step=2))
        [3, 5, 7]
    """
    return range(max(start, border + lookback), stop - horizon + 1, step)


@names_near({"X": ".x", "shape": ".x.shape", "dtype": ".x.dtype"})
@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one part, cut out of shared arrays when they are asked for.

    A window is ``lookback`` rows of ``inputs`` and the ``horizon`` rows of ``targets`` that follow. Where windows stand
    is given in segments: runs of windows that are evenly spaced. A part of one series is one segment; gaps, or the
    borders of several series in the same arrays, part it into more. Nothing is copied before :meth:`gather`: memory
    grows with the series and the number of segments, not with the number of windows or with series x lookback.

    Args:
        inputs: ``(time, features)``, scaled.
        targets: ``(time, targets)``, scaled.
        segments: Rows of the windows' first targets, a range a segment, see :func:`window_starts`. Windows are numbered
            from 0 in this order.
        lookback: Rows that a model reads.
        horizon: Rows that a model forecasts.
        owners: Series of each segment, its place in the panel's ``ids``, ``(segments,)``; the first one by default.
        static: Static covariates of each series, scaled, ``(series, static)``; they are joined to each row of a window,
            after its other columns. None by default.
        reference: The value that is subtracted from each window as it is cut; None, the default, for zero.
        columns: Columns of the inputs that are the past of all targets, in their order; none by default.

    Raises:
        ConfigError: A window does not lie within the arrays, or a segment runs backwards.
    """

    inputs: np.ndarray
    targets: np.ndarray
    segments: tuple[range, ...]
    lookback: int
    horizon: int
    owners: np.ndarray = None  # type: ignore[assignment]
    static: np.ndarray = field(default_factory=lambda: np.empty((1, 0), "float32"))
    reference: Reference | None = None
    columns: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        there = [number for number, segment in enumerate(self.segments) if len(segment)]
        owners = np.zeros(len(self.segments), int) if self.owners is None else self.owners
        segments = tuple(self.segments[number] for number in there)
        object.__setattr__(self, "segments", segments)
        object.__setattr__(self, "owners", owners[there])
        rows = len(self.targets)
        reach = self.reference.reach(self.lookback) if self.reference else self.lookback
        for segment in segments:
            # A negative row would count from the end of the arrays: a window of the future.
            if segment.step < 1 or segment[0] < reach or segment[-1] + self.horizon > rows:
                raise ConfigError(
                    f"received windows at {segment}, expected first target rows in order of time, from {reach} "
                    f"to {rows - self.horizon}: lookback {self.lookback} and horizon {self.horizon} within {rows} rows."
                )

    def __len__(self) -> int:
        return int(self._stops[-1]) if self.segments else 0

    def __repr__(self) -> str:
        columns = self.inputs.shape[1] + self.static.shape[1]
        return (
            f"Windows({len(self):,} windows, {self.lookback} rows of {columns} columns to {self.horizon} of "
            f"{self.targets.shape[1]}; .x and .y are arrays)"
        )

    @property
    def x(self) -> np.ndarray:
        """What models read in every window, in order, ``(windows, lookback, features)``; made anew at each use."""
        return self.gather(np.arange(len(self)))[0]

    @property
    def y(self) -> np.ndarray:
        """What they are to forecast, scaled, ``(windows, horizon * targets)`` as they give it; made at each use."""
        y = self.gather(np.arange(len(self)))[1]
        return y.reshape(len(self), -1)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Both arrays, for ``x, y = data.train``."""
        x, y = self.gather(np.arange(len(self)))
        return iter((x, y.reshape(len(self), -1)))

    def batches(self, batch_size: int | None = 32, **order: Any) -> Any:
        """These windows as :class:`kseq.Batches`, whose further arguments ``order`` takes.

        Example:
            >>> model.fit(data.train.batches(64, seed=0))  # doctest: +SKIP
        """
        import kseq

        return kseq.Batches(self, batch_size, **order)

    @cached_property
    def _stops(self) -> np.ndarray:
        """One after the number of each segment's last window."""
        return np.cumsum([len(segment) for segment in self.segments], dtype=int)

    @cached_property
    def _lines(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each segment the step, and the row at which window 0 would start if the segment reached back to it."""
        lines = [(segment.start, segment.step, len(segment)) for segment in self.segments]
        starts, steps, lengths = np.array(lines, dtype=int).reshape(-1, 3).T
        return steps, starts - steps * (self._stops - lengths)

    def starts(self, which: np.ndarray) -> np.ndarray:
        """Row of the first target of the windows numbered ``which``, of its shape.

        Example:
            >>> values = np.zeros((20, 1))
            >>> windows = Windows(values, values, (range(2, 5), range(10, 20, 5)), lookback=2, horizon=1)
            >>> windows.starts(np.arange(len(windows))).tolist()
            [2, 3, 4, 10, 15]
        """
        if len(self.segments) == 1:
            only = self.segments[0]
            return which * only.step + only.start
        steps, origins = self._lines
        segment = np.searchsorted(self._stops, which, side="right")
        return steps[segment] * which + origins[segment]

    def thinned(self, most: int) -> "Windows":
        """The same windows, evenly drawn if there are more than ``most``; the first of each segment is among them."""
        every = max(1, -(-len(self) // most))
        segments = tuple(range(segment.start, segment.stop, segment.step * every) for segment in self.segments)
        return self if every == 1 else replace(self, segments=segments)

    def all_starts(self) -> np.ndarray:
        """Row of the first target of every window, ``(windows,)``; in 32 bits where they suffice."""
        kind = "int32" if len(self.targets) < 2**31 else "int64"
        rows = np.arange(len(self), dtype=kind)
        steps, origins = (line.astype(kind) for line in self._lines)
        lengths = np.diff(self._stops, prepend=0)
        if (steps > 1).any():
            rows *= np.repeat(steps, lengths)
        rows += np.repeat(origins, lengths)
        return rows

    @cached_property
    def target_rows(self) -> np.ndarray:
        """Row numbers of every window's targets, ``(windows, horizon)``."""
        return self.all_starts()[:, None] + np.arange(self.horizon)

    def gather(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Copy out the windows numbered ``which``.

        Args:
            which: Window numbers, of any shape: ``(batch,)``, or ``(batch, members)`` where each member of an
                ensemble reads windows of its own.

        Returns:
            ``(*which.shape, lookback, features)`` and ``(*which.shape, horizon, targets)``.

        Example:
            >>> values = np.arange(6.0)[:, None]
            >>> x, y = Windows(values, values, (range(2, 6),), lookback=2, horizon=1).gather(np.array([0, 3]))
            >>> x[..., 0].tolist(), y[..., 0].tolist()
            ([[0.0, 1.0], [3.0, 4.0]], [[2.0], [5.0]])
        """
        return self.gather_at(self.starts(which))

    def gather_at(self, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Copy out windows as :meth:`gather` does, by the rows of their first targets."""
        # NumPy copies by indices of its own type several times as fast as by others.
        first = first.astype(np.intp, copy=False)
        owners = None
        if self.static.shape[1]:
            owners = self._owners_at(first)
        y = self._blocks[1][first].view(self.targets.dtype)
        y = y.reshape(*first.shape, self.horizon, self.targets.shape[1])
        x, width = self.refer(self.gather_inputs(first, owners))
        if self.reference is not None:
            reach = self.reference.reach(self.lookback)
            past = self._blocks[2][first - reach].view(self.targets.dtype)
            past = past.reshape(*first.shape, reach, self.targets.shape[1])
            series = self._owners_at(first) if owners is None else owners
            y -= self.reference.of_targets(past, self.lookback, self.horizon, series)
            y /= width
        return x, y

    def refer(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """Take the reference off inputs, in place.

        Args:
            x: Inputs as :meth:`gather_inputs` returns them.

        Returns:
            The inputs; and by what they are divided, ``(..., 1, targets)``, 1 for nothing.
        """
        if self.reference is None or not self.columns:
            return x, 1.0
        columns = list(self.columns)
        past = x[..., columns]
        level = self.reference.of_inputs(past)
        if level is not None:
            past = past - level
        width = self.reference.width(past) if self.reference.spread else 1.0
        x[..., columns] = past / width
        return x, width

    def gather_inputs(self, first: np.ndarray, owners: np.ndarray | None = None) -> np.ndarray:
        """Copy out the rows before windows that may stand anywhere, not only in this part; see :meth:`refer`.

        Args:
            first: Rows of their first targets, of any shape.
            owners: Series of each, of the same shape; None where there are no static covariates.

        Returns:
            ``(*first.shape, lookback, features)``.
        """
        first = first.astype(np.intp, copy=False)
        x = self._blocks[0][first - self.lookback].view(self.inputs.dtype)
        x = x.reshape(*first.shape, self.lookback, self.inputs.shape[1])
        if owners is None or not self.static.shape[1]:
            return x
        static = self.static[owners][..., None, :]
        return np.concatenate([x, np.broadcast_to(static, (*x.shape[:-1], static.shape[-1]))], axis=-1)

    def series_of(self, which: np.ndarray) -> np.ndarray:
        """Say to which series the windows numbered ``which`` belong, places in the panel's ``ids``."""
        return self.owners[np.searchsorted(self._stops, which, side="right")]

    def _owners_at(self, first: np.ndarray) -> np.ndarray:
        """Series of the windows whose first targets are these rows."""
        return self.owners[np.searchsorted(self._firsts, first, side="right") - 1]

    @cached_property
    def _firsts(self) -> np.ndarray:
        """Row of the first target of each segment's first window."""
        return np.array([segment.start for segment in self.segments], dtype=int)

    @cached_property
    def series(self) -> np.ndarray:
        """Series of every window, ``(windows,)``."""
        return np.repeat(self.owners, [len(segment) for segment in self.segments])

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, ...]:
        """For each row the inputs, the targets and the targets before them that begin there, as one element of bytes.

        Elements overlap, and are views: to take some of them copies each in one piece, several times as fast as to take
        its rows.
        """
        reach = self.reference.reach(self.lookback) if self.reference else 1
        return (
            _overlapping(self.inputs, self.lookback),
            _overlapping(self.targets, self.horizon),
            _overlapping(self.targets, reach),
        )


def _overlapping(rows: np.ndarray, length: int) -> np.ndarray:
    rows, width = np.ascontiguousarray(rows), rows.itemsize * rows.shape[1]
    block = np.dtype((np.void, length * width))
    if len(rows) < length:
        return np.empty(0, block)
    return np.ndarray(len(rows) - length + 1, block, rows, strides=(width,))
