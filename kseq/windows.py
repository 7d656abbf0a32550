"""From a series to windows: split by time, transform and scale by the training part, gather on demand.

The order of things is what keeps the future out of the past: rows are split first, transform and scaler see the
training rows alone, and a window belongs to the part in which *all* of its target rows lie. The rows just before a part
are its context, so that every row of the test part is predicted.

::

    rows      0 ........................ v ......... s ............ n
    part      | training                 | validation | test        |
    windows     [lookback -> horizon]      targets stay inside one part
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from kseq.calendars import calendar_columns
from kseq.errors import ConfigError, DataError, Parameter
from kseq.inputs import input_columns, input_rows, require_inputs, require_sizes
from kseq.parts import Scaler, Split, require_length
from kseq.data import Series


def window_starts(start: int, stop: int, lookback: int, horizon: int, *, step: int = 1, border: int = 0) -> range:
    """Say where windows can stand: the rows of their first targets.

    Args:
        start: first row that may be a target row.
        stop: one after the last row that may be a target row.
        lookback: rows that a model reads.
        horizon: rows that a model forecasts.
        step: rows from one window to the next.
        border: first row that may be read: what stands before it belongs to another series or lies behind a gap.

    Returns:
        range: at least ``lookback`` rows lie between the border and each, and ``horizon`` rows fit before ``stop``.

    Example:
        >>> list(window_starts(0, 10, lookback=3, horizon=2, step=2))
        [3, 5, 7]
    """
    return range(max(start, border + lookback), stop - horizon + 1, step)


@dataclass(frozen=True)
class Windows:
    """The windows of one part, cut out of shared arrays when they are asked for.

    A window is ``lookback`` rows of ``inputs`` and the ``horizon`` rows of ``targets`` that follow. Where windows stand
    is given in segments: runs of windows that are evenly spaced. A part of one series is one segment; gaps, or the
    borders of several series in the same arrays, part it into more. Nothing is copied before :meth:`gather`: memory
    grows with the series and the number of segments, not with the number of windows or with series x lookback.

    Args:
        inputs: ``(time, features)``, scaled.
        targets: ``(time, targets)``, scaled.
        segments: rows of the windows' first targets, a range a segment, see :func:`window_starts`. Windows are numbered
            from 0 in this order.
        lookback: rows that a model reads.
        horizon: rows that a model forecasts.

    Raises:
        ConfigError: a window does not lie within the arrays, or a segment runs backwards.
    """

    inputs: np.ndarray
    targets: np.ndarray
    segments: tuple[range, ...]
    lookback: int
    horizon: int

    def __post_init__(self) -> None:
        segments = tuple(segment for segment in self.segments if len(segment))
        object.__setattr__(self, "segments", segments)
        rows = len(self.targets)
        for segment in segments:
            # A negative row would count from the end of the arrays: a window of the future.
            if segment.step < 1 or segment[0] < self.lookback or segment[-1] + self.horizon > rows:
                raise ConfigError(
                    f"received windows at {segment}, expected first target rows in order of time, from {self.lookback} "
                    f"to {rows - self.horizon}: lookback {self.lookback} and horizon {self.horizon} within {rows} rows."
                )

    def __len__(self) -> int:
        return int(self._stops[-1]) if self.segments else 0

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
            which: window numbers, of any shape: ``(batch,)``, or ``(batch, members)`` where each member of an
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
        first, shape = first.astype(np.intp, copy=False), first.shape
        x, y = self._blocks
        window = x[first - self.lookback].view(self.inputs.dtype).reshape(*shape, self.lookback, self.inputs.shape[1])
        return window, y[first].view(self.targets.dtype).reshape(*shape, self.horizon, self.targets.shape[1])

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """For each row the ``lookback`` inputs and the ``horizon`` targets that begin there, as one element of bytes.

        Elements overlap, and are views: to take some of them copies each in one piece, several times as fast as to take
        its rows.
        """
        return _overlapping(self.inputs, self.lookback), _overlapping(self.targets, self.horizon)


def _overlapping(rows: np.ndarray, length: int) -> np.ndarray:
    rows, width = np.ascontiguousarray(rows), rows.itemsize * rows.shape[1]
    block = np.dtype((np.void, length * width))
    if len(rows) < length:
        return np.empty(0, block)
    return np.ndarray(len(rows) - length + 1, block, rows, strides=(width,))


class Targets(Protocol):
    """What a transform reads: a series, or some of a panel."""

    @property
    def y(self) -> np.ndarray:
        """Target values, ``(time, targets)``."""

    @property
    def stretches(self) -> np.ndarray:
        """Runs of rows that follow one another, ``(stretches, 2)``."""


class FittedTransform(Protocol):
    """What stands between values and what models read and forecast, see :mod:`kseq.transforms`."""

    @property
    def label(self) -> str:
        """Its steps, for people."""

    @property
    def lost(self) -> int:
        """Rows at the beginning of each stretch that models cannot read."""

    def apply(self, series: Any) -> tuple[np.ndarray, np.ndarray]:
        """What models read of the targets, and what they forecast, ``(time, targets)``; NaN where there is no value."""

    def undo(self, forecasts: np.ndarray, series: Any, rows: np.ndarray) -> np.ndarray:
        """Bring forecasts, ``(..., windows, horizon, targets)``, of ``rows`` back to the targets' unit."""


class Transform(Protocol):
    """What fits one."""

    def fit(self, series: Series, known: int) -> FittedTransform:
        """Fit on the first ``known`` rows of a series."""


@dataclass(frozen=True)
class WindowedSeries:
    """A series cut into training, validation and test windows, with the way back to its unit.

    Args:
        series: the series.
        split: its parts.
        lookback: rows that a model reads.
        horizon: rows that a model forecasts.
        input_columns: names of the columns that a model reads.
        input_scaler: scale of those columns.
        target_scaler: scale of the targets.
        train: windows whose targets lie in the training part.
        validation: the same for the validation part; of length 0 where there is none.
        test: the same for the test part.
        notes: sentences on what was found or done on the way: gaps, values filled, windows left out.
        transform: of the targets, before the scale; None where models read and forecast the values themselves.
    """

    series: Series
    split: Split
    lookback: int
    horizon: int
    input_columns: tuple[str, ...]
    input_scaler: Scaler
    target_scaler: Scaler
    train: Windows
    validation: Windows
    test: Windows
    notes: tuple[str, ...] = ()
    transform: FittedTransform | None = None

    @property
    def features(self) -> int:
        """How many columns a model reads."""
        return len(self.input_columns)

    @property
    def targets(self) -> int:
        """How many columns a model forecasts."""
        return len(self.series.targets)

    @property
    def test_y(self) -> np.ndarray:
        """True values of the test windows in their own unit, ``(windows, horizon, targets)``."""
        return self.series.y[self.test.target_rows]

    @property
    def test_dates(self) -> pd.Index:
        """Date of each test window's target steps, flattened from ``(windows, horizon)``."""
        return self.series.index[self.test.target_rows.ravel()]

    @property
    def test_cutoffs(self) -> pd.Index:
        """Date of the last row that each test window knows, one a window."""
        return self.series.index[self.test.target_rows[:, 0] - 1]

    def to_units(self, scaled: np.ndarray, windows: Windows | None = None) -> np.ndarray:
        """Bring forecasts back to the targets' unit.

        Args:
            scaled: ``(..., horizon * targets)`` or ``(..., horizon, targets)``, as a model returns them.
            windows: what is forecast, all of it in order. Without a transform all windows of a series have one scale,
                and they need not be given.

        Returns:
            float64, ``(..., horizon, targets)``.

        Raises:
            ConfigError: a transform has to know the windows.
        """
        wide = np.asarray(scaled, dtype="float64")
        if wide.shape[-2:] != (self.horizon, self.targets):
            wide = wide.reshape(*wide.shape[:-1], self.horizon, self.targets)
        wide = self.target_scaler.inverse(wide)
        if self.transform is None:
            return wide
        if windows is None:
            raise ConfigError("received forecasts of a transform without their windows, expected to_units(y, part).")
        return self.transform.undo(wide, self.series, windows.target_rows)


def make_windows(
    series: Series,
    lookback: int = 12,
    horizon: int = 1,
    *,
    transform: Transform | None = None,
    calendar: bool = False,
    scaler: str = "standard",
    past_target: bool = True,
    test: float = 0.2,
    validation: float = 0.15,
    split: Split | None = None,
    test_starts: range | None = None,
    dtype: str = "float32",
) -> WindowedSeries:
    """Cut a series into scaled windows of three chronological parts.

    A window that would lie across missing dates, or hold a missing value, is left out; ``.notes`` say how many are.

    Models read, in this order, the targets' past, past covariates, future covariates, static ones and the calendar.
    What is known ahead is given for the rows to forecast: of a future covariate, the input row ``t`` holds the value of
    row ``t + horizon``, so that the last input row holds that of the last step and the row before it that of the step
    before.
    Static covariates are constant inputs, of text one column of zeros and ones a category; in a single series they say
    nothing, and stand at zero once scaled.

    Args:
        series: the series.
        lookback: rows that a model reads before each forecast (PyTorch users: the sequence length).
        horizon: rows that a model forecasts.
        transform: what models read and forecast instead of the targets' values, a :class:`kseq.choosing.Transform`;
            fitted on the training rows alone.
        calendar: whether models read where in the day, the week or the year each input row stands, see
            :mod:`kseq.calendars`.
        scaler: ``"standard"`` (mean 0, deviation 1) or ``"minmax"`` (0 to 1), both fitted on the training rows alone,
            validation and test left out; ``"minmax-leaks-test"`` is fitted on the whole series, as published
            experiments do, and makes a score too good.
        past_target: whether the models read the target's own past besides the series' features.
        test: share of all rows, cut from the end.
        validation: share of the rows before the test part, cut from their end; 0 for none.
        split: the parts themselves, instead of ``test`` and ``validation``.
        test_starts: first target rows of the test windows; by default all rows of the test part at which one fits.
        dtype: of inputs and targets.

    Returns:
        WindowedSeries: ``.train``, ``.validation`` and ``.test`` windows and the scales.

    Raises:
        ConfigError: a size is not a positive whole number, nothing is left for the models to read, or there are future
            covariates and the horizon is longer than the lookback.
        DataError: the series is too short, the message says how many rows are needed; or no window of a part, or one of
            ``test_starts``, is free of missing dates and values.

    Example:
        >>> from kseq import load_series
        >>> data = make_windows(load_series("nino12"), lookback=12)
        >>> len(data.train), len(data.validation), len(data.test)
        (485, 88, 147)
    """
    require_sizes(lookback, horizon)
    read = (*input_columns(series, horizon, past_target), *(calendar_columns(series) if calendar else ()))
    require_inputs(read, series.future, lookback, horizon)
    if split is None:
        require_length(len(series), lookback, horizon, test, validation)
        split = Split.by_fraction(len(series), test, validation)

    leaks = scaler == "minmax-leaks-test"
    if not leaks:
        series = series.causal(split.validation)
    fitted = None if transform is None else transform.fit(series, split.validation)
    lost = 0 if fitted is None else fitted.lost
    parts = {
        "training": window_starts(0, split.validation, lookback, horizon, border=lost),
        "validation": window_starts(split.validation, split.test, lookback, horizon),
        "test": window_starts(split.test, split.n, lookback, horizon) if test_starts is None else test_starts,
    }
    if lost and not parts["training"]:
        raise DataError(
            f"received {split.validation} training rows, expected at least {lost + lookback + horizon} for lookback "
            f"{lookback}, horizon {horizon} and differences; shorten ",
            Parameter("lookback"),
            ", or give ",
            Parameter("transform"),
            " none.",
        )
    segments = {part: _unbroken(series, starts, lost + lookback, horizon) for part, starts in parts.items()}
    note = _left_out(series, parts, segments, chosen=test_starts is not None)

    columns, own, inputs, targets = model_rows(series, horizon, past_target, calendar, fitted)
    kind = "minmax" if leaks else scaler
    fitted_on = np.setdiff1d(np.arange(len(series) if leaks else split.validation), series.missing)
    input_scaler, target_scaler = (_fit_scaler(kind, values[fitted_on]) for values in (own, targets))
    x = input_scaler.transform(inputs).astype(dtype)
    y = target_scaler.transform(targets).astype(dtype)
    train, valid, held_out = (Windows(x, y, starts, lookback, horizon) for starts in segments.values())
    return WindowedSeries(
        series, split, lookback, horizon, columns, input_scaler, target_scaler, train, valid, held_out,
        (*series.notes, *note), fitted,
    )  # fmt: skip


def model_rows(
    series: Series, horizon: int, past_target: bool, calendar: bool = False, transform: FittedTransform | None = None
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """What models read of each row and forecast of it, transformed and not scaled.

    Args:
        series: the series.
        horizon: rows that a model forecasts.
        past_target: whether models read the target's own past.
        calendar: whether they read the calendar.
        transform: of the targets, fitted.

    Returns:
        Names of the input columns; their values, every one in its own row, which is what a scale is fitted on; the same
        as models read them, see :func:`kseq.inputs.input_rows`; and the targets, ``(time, targets)``.
    """
    columns = input_columns(series, horizon, past_target)
    dates = calendar_columns(series) if calendar else pd.DataFrame(index=series.index)
    read, targets = (series.y, series.y) if transform is None else transform.apply(series)
    own, inputs = (
        _with_targets(np.concatenate([rows, dates.to_numpy()], axis=1), read, columns, series.targets)
        for rows in input_rows(series, horizon, past_target)
    )
    return (*columns, *dates), own, inputs, targets


def _with_targets(rows: np.ndarray, read: np.ndarray, columns: tuple[str, ...], targets: tuple[str, ...]) -> np.ndarray:
    """Put what models read of the targets into the columns in which they read them."""
    for number, target in enumerate(targets):
        if target in columns:
            rows[:, columns.index(target)] = read[:, number]
    return rows


def _fit_scaler(kind: str, values: np.ndarray) -> Scaler:
    """Fit on the rows that a transform has left a value."""
    return Scaler.fit(kind, values[~np.isnan(values).any(axis=1)])


def _unbroken(series: Series, starts: range, lookback: int, horizon: int) -> tuple[range, ...]:
    """Of evenly spaced windows those that lie in one stretch of the series, without missing dates and values."""
    segments = []
    for first, stop in series.stretches.tolist():
        # Numbers of the windows that stand in this stretch.
        low = max(0, -((starts.start - first - lookback) // starts.step))
        high = max(low, (stop - horizon - starts.start) // starts.step + 1)
        segments.append(starts[low:high])
    return tuple(segment for segment in segments if len(segment))


def _left_out(
    series: Series, parts: dict[str, range], segments: dict[str, tuple[range, ...]], chosen: bool
) -> list[str]:
    """Say how many windows are left out; refuse a part of which none is left, or a test window that was asked for."""
    counts = {part: len(starts) - sum(map(len, segments[part])) for part, starts in parts.items()}
    if not any(counts.values()):
        return []
    for part, starts in parts.items():
        if counts[part] == len(starts) > 0 or (part == "test" and chosen and counts[part]):
            raise DataError(
                f"{series.name}: {counts[part]} of {len(starts)} {part} windows lie across missing dates or values, "
                f"expected {'none' if part == 'test' and chosen else 'some that do not'}; fill missing values with ",
                Parameter("fill"),
                " ffill or ",
                Parameter("fill"),
                " seasonal, shorten ",
                Parameter("lookback"),
                ", or bring the missing dates.",
            )
    shown = ", ".join(f"{count} of {len(parts[part])} {part}" for part, count in counts.items() if count)
    return [f"Windows across missing dates or values are left out: {shown} windows."]
