"""From a panel to windows: each series split by time and scaled by its own training rows, gathered on demand.

The order of things is what keeps the future out of the past: rows are split first, transform and scaler see the
training rows of each series alone, and a window belongs to the part in which *all* of its target rows lie. It lies in
one part of one series, in rows that follow one another. The rows just before a part are its context, so that every row
of the test part is predicted::

    rows      0 ........................ v ......... s ............ n
    part      | training                 | validation | test        |
    windows     [lookback -> horizon]      targets stay inside one part

Of several series one model learns: a global model (Montero-Manso and Hyndman 2021, "Principles and algorithms for
forecasting groups of time series"). Values are scaled once, some hundred thousand rows at a time, into one array of the
panel's size; windows are cut out of it when they are asked for. Static covariates are kept once a series and joined to
a window as it is cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from kseq.data import Panel, series_of
from kseq.errors import ConfigError, DataError, Parameter
from kseq.preprocessing._runs import CHUNK
from kseq.preprocessing.auto_transform import Transform
from kseq.preprocessing.columns import encoded, input_columns, past_columns, require_inputs, require_sizes
from kseq.preprocessing.references import Reference, fit_scales
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.splits import Parts, Split, long_enough, parts_of, placed_windows, require_length, room_in
from kseq.preprocessing.time_features import columns_of_dates
from kseq.preprocessing.transforms import FittedTransform


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
        segments: rows of the windows' first targets, a range a segment, see :func:`window_starts`. Windows are numbered
            from 0 in this order.
        lookback: rows that a model reads.
        horizon: rows that a model forecasts.
        owners: series of each segment, its place in the panel's ``ids``, ``(segments,)``; the first one by default.
        static: static covariates of each series, scaled, ``(series, static)``; they are joined to each row of a window,
            after its other columns. None by default.
        reference: what windows are measured from, taken off as they are cut; None, the default, for zero.
        columns: columns of the inputs that are the past of all targets, in their order; none by default.

    Raises:
        ConfigError: a window does not lie within the arrays, or a segment runs backwards.
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
        first = first.astype(np.intp, copy=False)
        owners = None
        if self.static.shape[1]:
            owners = self.owners[np.searchsorted(self._firsts, first, side="right") - 1]
        y = self._blocks[1][first].view(self.targets.dtype)
        y = y.reshape(*first.shape, self.horizon, self.targets.shape[1])
        x, width = self.refer(self.gather_inputs(first, owners))
        if self.reference is not None:
            reach = self.reference.reach(self.lookback)
            past = self._blocks[2][first - reach].view(self.targets.dtype)
            past = past.reshape(*first.shape, reach, self.targets.shape[1])
            y -= self.reference.of_targets(past, self.lookback, self.horizon)
            y /= width
        return x, y

    def refer(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """Take the reference off inputs, in place.

        Args:
            x: as of :meth:`gather_inputs`.

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
            first: rows of their first targets, of any shape.
            owners: series of each, of the same shape; None where there are no static covariates.

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


@dataclass(frozen=True, eq=False)
class WindowedPanel:
    """A panel cut into training, validation and test windows of all its series, with the scales to undo.

    Windows stand series by series, in the order of the panel.

    Args:
        series: the panel.
        split: parts of each series.
        lookback: rows that a model reads.
        horizon: rows that a model forecasts.
        input_columns: names of the columns that a model reads, static ones last.
        input_scaler: scale of the columns that change with time, of each series.
        target_scaler: scale of the targets, of each series.
        train: windows whose targets lie in the training parts.
        validation: the same for the validation parts; of length 0 where there are none.
        test: the same for the test parts.
        notes: sentences on what was found or done on the way: gaps, values filled, windows and series left out.
        transform: Transform of the targets, before the scale; None where models read and forecast the values.
        static_scaler: scale of static covariates, those of text as columns of zeros and ones.
        choice: how the transform was chosen, a :class:`kseq.comparison.auto.Choice`; None where nobody asked for it.
    """

    series: Panel
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
    static_scaler: Scaler | None = None
    choice: Any = None

    def __repr__(self) -> str:
        parts = ", ".join(f".{part} {len(getattr(self, part)):,}" for part in ("train", "validation", "test"))
        return (
            f"WindowedPanel({self.series.name!r}, {self.lookback} rows of {self.features} columns to {self.horizon} of "
            f"{self.targets}; windows: {parts})"
        )

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
    def forecast_steps(self) -> np.ndarray | None:
        """Whether each step of the test windows is one to forecast, ``(windows, horizon)``; None where all are."""
        if self.split.ahead is None:
            return None
        return np.arange(self.horizon) < self.split.ahead[self.test.series][:, None]

    @property
    def test_dates(self) -> pd.Index:
        """Date of each test window's target steps, flattened from ``(windows, horizon)``."""
        return self.series.index[self.test.target_rows.ravel()]

    @property
    def test_cutoffs(self) -> pd.Index:
        """Date of the last row that each test window knows, one a window."""
        return self.series.index[self.test.target_rows[:, 0] - 1]

    @cached_property
    def members(self) -> np.ndarray:
        """Series that have windows, places in the panel's ``ids``; sorted."""
        return np.unique(np.concatenate([part.owners for part in (self.train, self.validation, self.test)]))

    @cached_property
    def unit(self) -> np.ndarray:
        """What errors of each series are counted in where series are pooled, ``(series, targets)``.

        It is the scale of what models forecast; of logarithms, which have no unit, that of the values themselves.
        """
        if self.transform is None or not self.transform.label.startswith("log"):
            return self.target_scaler.scale
        start, stop = self.split.start, np.maximum(self.split.validation, self.split.start + 1)
        return Scaler.fit_series("standard", list(self.series.y.T), start, stop, self.series.values).scale

    @property
    def test_ids(self) -> pd.Index:
        """Series of each test window, by its id."""
        return self.series.ids[self.test.series]

    def to_units(self, scaled: np.ndarray, windows: Windows | None = None) -> np.ndarray:
        """Bring forecasts back to the targets' unit, those of each window by the scale of its series.

        Args:
            scaled: ``(..., windows, horizon * targets)`` or ``(..., windows, horizon, targets)``, as a model returns
                them.
            windows: what is forecast, such as ``data.test``, all of it in order. Without a transform all windows of one
                series have one scale, and they need not be given.

        Returns:
            float64, ``(..., windows, horizon, targets)``.

        Raises:
            ConfigError: the windows are missing, and it takes them.
        """
        if windows is None and (self.transform is not None or len(self.series.ids) > 1):
            raise ConfigError(
                "received forecasts without their windows, expected to_units(y, part): a transform, and scales of "
                "several series, have to know them."
            )
        wide = np.asarray(scaled, dtype="float64")
        if wide.shape[-2:] != (self.horizon, self.targets):
            wide = wide.reshape(*wide.shape[:-1], self.horizon, self.targets)
        if windows is None:
            return self.target_scaler.inverse(wide)
        wide = self.target_scaler.inverse_of(wide, windows.series)
        if self.transform is None:
            return wide
        columns = list(windows.columns)
        scale = self.input_scaler.scale[windows.series][:, None, columns] if columns else 1.0
        return self.transform.put_back(wide, self.series, windows.target_rows, windows.lookback, scale)


def make_windows(
    series: Any,
    lookback: int = 12,
    horizon: int = 1,
    *,
    transform: Transform | None = None,
    calendar: bool = False,
    scaler: str = "standard",
    past_target: bool = True,
    test: float = 0.2,
    validation: float = 0.15,
    n_windows: int = 0,
    step_size: int | None = None,
    gap: int = 0,
    train_size: int | None = None,
    split: Split | None = None,
    like: WindowedPanel | None = None,
    only: np.ndarray | None = None,
    ahead: np.ndarray | None = None,
    dtype: str = "float32",
) -> WindowedPanel:
    """Cut a series, or all series of a panel, into scaled windows of three chronological parts.

    Windows lie across no border of two series, no missing dates and no missing value. A series that is too short for a
    training and a test window is left out of everything. ``.notes`` say how many windows and series are left out.

    Models read, in this order, the targets' past, past covariates, future covariates, the calendar and static
    covariates. What is known ahead is given for the rows to forecast: of a future covariate, the input row ``t`` holds
    the value of row ``t + horizon``, so that the last input row holds that of the last step and the row before it that
    of the step before. Static covariates are constant inputs, of text one column of zeros and ones a category; in a
    single series they say nothing, and stand at zero once scaled.

    Args:
        series: a series or a panel, or anything of which :func:`kseq.data.series_of` makes one: a DataFrame, an array.
        lookback: rows that a model reads before each forecast (PyTorch users: the sequence length).
        horizon: rows that a model forecasts.
        transform: what models read and forecast instead of the targets' values, a
            :class:`kseq.preprocessing.auto_transform.Transform`; fitted for each series on its own training rows.
        calendar: whether models read where in the day, the week or the year each input row stands, see
            :mod:`kseq.preprocessing.time_features`.
        scaler: ``"standard"`` (mean 0, deviation 1) or ``"minmax"`` (0 to 1), both fitted for each series on its own
            training rows, validation and test left out; ``"minmax-leaks-test"`` is fitted on the whole series, as
            published experiments do, and makes a score too good. Numbers among the static covariates are scaled over
            series.
        past_target: whether the models read the target's own past besides the series' features.
        test: share of each series, cut from its end.
        validation: share of the rows before the test part, cut from their end; 0 for none.
        n_windows: instead of ``test``, forecast so many origins of each series, its last ones.
        step_size: rows from one of them to the next; the horizon by default.
        gap: rows before the first of them from which nothing is learnt.
        train_size: rows that are learnt from, validation included; by default all before it.
        split: the parts themselves, instead of all that says how to make them; they may leave no test part.
        like: windows of the same series, of another lookback or of a longer horizon: its parts, series and fitted
            transform are taken, instead of what says how to find them.
        only: whether a series may have windows at all, ``(series,)``; by default all may that are long enough.
        ahead: with ``n_windows``, rows of each series that are forecast from an origin, ``(series,)``, where these are
            fewer than the horizon; the panel has rows of the steps to come, see :func:`kseq.data.slices.extended`.
        dtype: NumPy type of inputs and targets.

    Returns:
        WindowedPanel: ``.train``, ``.validation`` and ``.test`` windows, and the scales.

    Raises:
        ConfigError: a size is not a positive whole number, nothing is left for the models to read, or there are future
            covariates and the horizon is longer than the lookback.
        DataError: all series are too short, the message says how many rows are needed; or no window of a part, or of
            one of ``n_windows`` origins, is free of missing dates and values.

    Example:
        >>> from kseq import load_series
        >>> data = make_windows(load_series("nino12"), lookback=12)
        >>> len(data.train), len(data.validation), len(data.test)
        (485, 88, 147)
    """
    panel = Panel.of(series_of(series))
    require_sizes(lookback, horizon)
    dates = calendar_of(panel) if calendar else {}
    columns = panel_columns(panel, horizon, past_target, tuple(dates))
    require_inputs(columns, panel.future, lookback, horizon)
    step = (step_size or horizon) if n_windows else 1
    if like is not None:
        parted = like.split if horizon == like.horizon else replace(like.split, ahead=None)
    elif split is not None:
        parted = split
    elif n_windows:
        parted = Split.by_origins(panel, horizon, validation, n_windows, step, gap, train_size, ahead)
    else:
        parted = Split.by_fraction(panel, test, validation)
        require_length(int(panel.lengths.max()), lookback, horizon, test, validation)
    leaks = scaler == "minmax-leaks-test"
    if not leaks:
        panel = panel.causal(parted.validation)

    def laid(lost: int) -> tuple[Parts, dict[str, np.ndarray], np.ndarray]:
        parts = parts_of(parted, lookback, horizon, step, lost)
        room = {name: room_in(panel, *part, lost + lookback) for name, part in parts.items()}
        enough = long_enough(panel, parted, lookback, horizon, step, lost)
        if like is not None:
            enough &= np.isin(np.arange(len(panel.ids)), like.members)
        return parts, room, enough if only is None else enough & only

    parts, room, kept = laid(0)
    fitted = None if like is None else like.transform
    if like is None and transform is not None and kept.any():
        fitted = transform.fit(panel, parted, np.flatnonzero(kept), lookback, horizon)
    if fitted is not None:
        parts, room, kept = laid(fitted.lost(lookback))
    lost = 0 if fitted is None else fitted.lost(lookback)
    if not kept.any():
        raise _too_short(panel, parted, lookback, horizon, lost)
    placed = {name: placed_windows(panel, kept, *part, lost + lookback) for name, part in parts.items()}
    notes = [
        _short_note(panel, kept, lookback, horizon),
        _overlap_note(panel, kept, parted),
        _validation_note(parted, kept, horizon),
    ]
    notes.append(_left_out(panel.name, {name: int(counts[kept].sum()) for name, counts in room.items()}, placed))
    if n_windows:
        _require_each_origin(panel, parted.test, n_windows, step, placed["test"][0])

    # A series that is left out may have no training row: its scale is read by no window.
    known = np.maximum(parted.end if leaks else parted.validation, parted.start + 1)
    static = encoded(panel.static).to_numpy(dtype="float64")
    static_scaler = Scaler.fit("standard", static[kept]) if like is None else cast(Scaler, like.static_scaler)
    frame = Frame(
        lookback, horizon, past_target, "minmax" if leaks else scaler, dates, fitted,
        static_scaler.transform(static).astype(dtype), dtype,
    )  # fmt: skip
    windows, input_scaler, target_scaler = frame.of(panel, parted.start, known, *placed["training"])
    train, valid, held_out = (
        replace(windows, segments=segments, owners=owners) for segments, owners in placed.values()
    )
    return WindowedPanel(
        panel, parted, lookback, horizon, columns, input_scaler, target_scaler, train, valid, held_out,
        (*panel.notes, *(note for note in notes if note)), fitted, static_scaler,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Frame:
    """How rows of a panel become the scaled arrays that windows are cut out of.

    Args:
        lookback: rows that a model reads.
        horizon: rows that it forecasts.
        past_target: whether it reads the targets' own past.
        scaler: ``"standard"`` or ``"minmax"``.
        dates: columns of :func:`calendar_of`; none where models do not read the calendar.
        transform: fitted transform of the targets; None for none.
        static: static covariates of each series, scaled, ``(series, static)``.
        dtype: NumPy type of the arrays.
    """

    lookback: int
    horizon: int
    past_target: bool
    scaler: str
    dates: Mapping[str, np.ndarray]
    transform: FittedTransform | None
    static: np.ndarray
    dtype: str = "float32"

    def of(
        self,
        panel: Panel,
        start: np.ndarray,
        stop: np.ndarray,
        segments: Sequence[range],
        owners: np.ndarray,
        known: tuple[np.ndarray, Scaler, Scaler] | None = None,
    ) -> tuple[Windows, Scaler, Scaler]:
        """Scale the rows of a panel.

        Args:
            panel: the series.
            start: first row that scales are fitted on, ``(series,)``.
            stop: one after the last, ``(series,)``.
            segments: first target rows of training windows, on which scales are fitted where there is a reference.
            owners: series of each segment.
            known: scales that are known already: place of each series among those of the two scalers, -1 for one that
                is fitted here; scale of the inputs and of the targets.

        Returns:
            Training windows; scale of the inputs; and scale of what models forecast.
        """
        sources, ahead, forecast = panel_sources(panel, self.horizon, self.past_target, self.dates, self.transform)
        input_scaler = Scaler.fit_series(self.scaler, sources, start, stop, panel.values)
        target_scaler = output = Scaler.fit_series(self.scaler, forecast, start, stop, panel.values)
        reference = self.transform.reference if self.transform else None
        if reference is not None and reference.spread and not self.past_target:
            raise ConfigError(
                f"received transform {reference.name} and past_target=False, expected no spread of windows whose past "
                "models do not read."
            )
        columns = tuple(range(len(panel.targets))) if self.past_target and reference else ()

        def cut(inputs: Scaler, targets: Scaler) -> Windows:
            x = scaled_rows(panel, sources, ahead, inputs, self.dtype)
            # What is both read and forecast in one scale is held once.
            same = reference is None and list(map(id, sources)) == list(map(id, forecast))
            y = x if same else scaled_rows(panel, forecast, [0] * len(forecast), targets, self.dtype)
            return Windows(x, y, tuple(segments), self.lookback, self.horizon, owners, self.static, reference, columns)

        if reference is not None:
            plain = cut(input_scaler, target_scaler)
            input_scaler, target_scaler, output = fit_scales(self.scaler, plain, input_scaler, target_scaler)
        if known is not None:
            place, of_inputs, of_targets = known
            input_scaler, output = (
                own.replaced(scales, place) for own, scales in ((input_scaler, of_inputs), (output, of_targets))
            )
            target_scaler = output
        return cut(input_scaler, target_scaler), input_scaler, output


def _too_short(panel: Panel, split: Split, lookback: int, horizon: int, lost: int) -> DataError:
    """What to say where no series has room for its windows."""
    rows = max(0, int((split.validation - split.start).max()))
    if lost:
        return DataError(
            f"received {rows} training rows, expected at least {lost + lookback + horizon} for lookback {lookback}, "
            f"horizon {horizon} and differences; shorten ",
            Parameter("lookback"),
            ", or give ",
            Parameter("transform"),
            " none.",
        )
    expected = "longer ones"
    if rows < lookback + horizon:
        expected = f"at least {lookback + horizon}"
    return DataError(
        f"{panel.name}: received {len(panel.ids)} series of {panel.lengths.max()} rows at most, {rows} of them before "
        f"the validation part, expected {expected} for lookback {lookback} and horizon {horizon}; shorten ",
        Parameter("lookback"),
        " or ",
        Parameter("horizon"),
        ", lower ",
        Parameter("n_windows"),
        ", or raise ",
        Parameter("train_size"),
        ".",
    )


def _require_each_origin(panel: Panel, first: np.ndarray, n_windows: int, step: int, segments: Sequence[range]) -> None:
    """Refuse a backtest of which an origin has no window in any series.

    Args:
        panel: the series.
        first: row of the first origin's first target of each series, ``(series,)``.
        n_windows: how many origins there are.
        step: rows from one to the next.
        segments: rows of the first targets of the test windows.
    """
    begins = np.concatenate([np.asarray(segment) for segment in segments])
    numbers = (begins - first[panel.series_of(begins)]) // step
    empty = np.setdiff1d(np.arange(n_windows), numbers)
    if len(empty):
        raise DataError(
            f"{panel.name}: {len(empty)} of {n_windows} test windows lie across missing dates or values, expected "
            "none; fill missing values with ",
            Parameter("fill"),
            " ffill or ",
            Parameter("fill"),
            " seasonal, shorten ",
            Parameter("lookback"),
            ", or bring the missing dates.",
        )


def panel_columns(panel: Panel, horizon: int, past_target: bool, dates: Sequence[str]) -> tuple[str, ...]:
    """Names of what models read of a panel, in order; static covariates stand after all that changes with time."""
    changing = len(past_columns(panel, past_target)) + len(panel.future)
    columns = input_columns(panel, horizon, past_target)
    return (*columns[:changing], *dates, *columns[changing:])


def panel_sources(
    panel: Panel,
    horizon: int,
    past_target: bool,
    dates: Mapping[str, np.ndarray],
    transform: FittedTransform | None,
) -> tuple[list[np.ndarray], list[int], list[np.ndarray]]:
    """What models read of each row of a panel and forecast of it, transformed and not scaled.

    Args:
        panel: the series.
        horizon: rows that a model forecasts.
        past_target: whether models read the targets' own past.
        dates: columns of :func:`calendar_of`; none where models do not read the calendar.
        transform: fitted transform of the targets; None for none.

    Returns:
        Columns that are read and change with time, ``(rows,)`` each; how many rows ahead each of them is read; and the
        columns that are forecast.
    """
    of_targets = dict(zip(panel.targets, (panel.y if transform is None else transform.apply(panel)).T, strict=True))
    past = past_columns(panel, past_target)
    sources = [of_targets[c] if c in of_targets else panel.values_of([c])[:, 0] for c in [*past, *panel.future]]
    ahead = [0] * len(past) + [horizon] * len(panel.future) + [0] * len(dates)
    return [*sources, *dates.values()], ahead, list(of_targets.values())


def calendar_of(panel: Panel, cycles: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Columns of :mod:`kseq.preprocessing.time_features`, made once a date; only ``cycles`` where named."""
    which, dates = pd.factorize(panel.index, sort=True)
    columns = columns_of_dates(dates, panel.name, panel.step, cycles)
    return {name: columns[name].to_numpy("float32")[which] for name in columns}


def scaled_rows(
    panel: Panel, columns: Sequence[np.ndarray], ahead: Sequence[int], scaler: Scaler, dtype: str
) -> np.ndarray:
    """Columns in the scale of each series, each row holding what is so many rows ``ahead``, ``(rows, columns)``."""
    scaled = np.full((len(panel), len(columns)), np.nan, dtype)
    for at, (column, rows_ahead) in enumerate(zip(columns, ahead, strict=True)):
        source = column[rows_ahead:]
        for first in range(0, len(source), CHUNK):
            rows = slice(first, min(first + CHUNK, len(source)))
            series = panel.series_of(np.arange(rows.start, rows.stop))
            scaled[rows, at] = (source[rows] - scaler.center[series, at]) / scaler.scale[series, at]
    return scaled


def _short_note(panel: Panel, kept: np.ndarray, lookback: int, horizon: int) -> str | None:
    short = np.flatnonzero(~kept)
    if not len(short):
        return None
    first = short[0]
    return (
        f"{len(short)} of {len(kept)} series are too short for lookback {lookback} and horizon {horizon}, and are left "
        f"out (first: '{panel.ids[first]}', {panel.lengths[first]} rows)."
    )


def _overlap_note(panel: Panel, kept: np.ndarray, split: Split) -> str | None:
    """Say where one series is learnt from at dates that are still to come in another."""
    if not panel.has_dates or (split.test >= split.end).all():
        return None
    dates = panel.index
    latest = dates[split.validation[kept] - 1].max()
    first = dates[split.test[kept]]
    early = int((first <= latest).sum())
    if not early:
        return None
    return (
        f"Test parts of {early} of {int(kept.sum())} series begin before the training part of another one ends ("
        f"{str(latest).removesuffix(' 00:00:00')}): a model may know from one series what is to come in another."
    )


def _validation_note(split: Split, kept: np.ndarray, horizon: int) -> str | None:
    """Say which validation windows share target rows with training windows."""
    length = (split.stop - split.validation)[kept]
    short = int(((length > 0) & (length < horizon)).sum())
    if not short:
        return None
    of_series = f" of {short} of {len(length)} series" if len(length) > 1 else ""
    return (
        f"The validation part{of_series} is shorter than the horizon of {horizon}: its window begins in the training "
        "part, so that errors on it, and intervals, come out a little small."
    )


def _left_out(name: str, possible: dict[str, int], placed: dict[str, tuple]) -> str | None:
    """Say how many windows are left out for what is missing; refuse a part of which none is left."""
    shown = []
    for part, count in possible.items():
        have = sum(map(len, placed[part][0]))
        if count and not have:
            raise DataError(
                f"{name}: all {count} {part} windows lie across missing dates or values, expected some that do not; "
                "fill missing values with ",
                Parameter("fill"),
                " ffill or ",
                Parameter("fill"),
                " seasonal, shorten ",
                Parameter("lookback"),
                ", or bring the missing dates.",
            )
        if have < count:
            shown.append(f"{count - have} of {count} {part}")
    return f"Windows across missing dates or values are left out: {', '.join(shown)} windows." if shown else None
