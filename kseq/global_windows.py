"""From a panel to windows: each series split by time and scaled by its own training rows, one model for all.

A global model reads windows of every series, and forecasts any of them (Montero-Manso and Hyndman 2021, "Principles and
algorithms for forecasting groups of time series"). What :func:`kseq.make_windows` promises holds for each series by
itself: rows are split first, a scale knows the training rows of its series alone, and a window lies in one part of one
series, in rows that follow one another.

Values are scaled once, some hundred thousand rows at a time, into one array of the panel's size; windows are cut out of
it when they are asked for. Static covariates are kept once a series and joined to a window as it is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from kseq.errors import ConfigError, DataError
from kseq.inputs import encoded, input_columns, past_columns, require_inputs, require_sizes
from kseq.series import Panel
from kseq.windows import SCALERS, Scaler, Split, WindowedSeries, Windows, require_length

#: Rows that are scaled at once.
CHUNK = 2**18


@dataclass(frozen=True, eq=False)
class PanelSplit:
    """Parts of each series, in rows of the panel: arrays of ``(series,)``.

    Args:
        start: first row that is learnt from.
        validation: first row of the validation part; training ends before it.
        stop: one after the last row that is learnt from.
        test: first target row of the test part.
        end: one after the last row with a target.
    """

    start: np.ndarray
    validation: np.ndarray
    stop: np.ndarray
    test: np.ndarray
    end: np.ndarray

    @classmethod
    def by_fraction(cls, panel: Panel, test: float, validation: float) -> "PanelSplit":
        """Split each series as :meth:`kseq.windows.Split.by_fraction` does."""
        # The checks of the shares, and their words, are those of a single series.
        Split.by_fraction(100, test, validation)
        start, end = panel.borders[:-1], panel.ends
        first = start + ((end - start) * (1 - test)).astype(int)
        return cls(start, _validation(start, first, validation), first, first, end)

    @classmethod
    def by_origins(
        cls, panel: Panel, horizon: int, validation: float, n_windows: int, step: int, gap: int, train_size: int | None
    ) -> "PanelSplit":
        """Keep the last origins of each series for the test part, as a backtest that trains once does."""
        Split.at(100, 100, validation)
        end = panel.ends
        first = end - horizon - (n_windows - 1) * step
        stop = first - gap
        start = panel.borders[:-1] if train_size is None else np.maximum(panel.borders[:-1], stop - train_size)
        return cls(start, _validation(start, stop, validation), stop, first, end)


def _validation(start: np.ndarray, stop: np.ndarray, share: float) -> np.ndarray:
    return stop - np.rint((stop - start) * share).astype(int)


@dataclass(frozen=True, eq=False)
class PanelScaler(Scaler):
    """A linear scale for each series and column.

    Args:
        center: subtracted, ``(series, columns)``.
        scale: divided by, ``(series, columns)``; 1 where training rows do not vary.
    """

    @classmethod
    def fit_parts(cls, kind: str, values: np.ndarray, start: np.ndarray, stop: np.ndarray) -> "PanelScaler":
        """Fit on the rows from ``start`` to before ``stop`` of each series; those with a missing value are left out.

        Args:
            kind: ``"standard"`` or ``"minmax"``.
            values: of the panel, ``(rows, columns)``.
            start: ``(series,)``.
            stop: ``(series,)``, above ``start``.
        """
        if kind not in ("standard", "minmax"):
            raise ConfigError(f"received scaler {kind!r}, expected one of {', '.join(SCALERS)}.")
        center, scale = (np.empty((len(start), values.shape[1])) for _ in range(2))
        for group in groups(stop - start):
            first, last = start[group][0], stop[group][-1]
            block = values[first:last].astype("float64")
            center[group], scale[group] = _statistics(kind, block, start[group] - first, stop[group] - first)
        # What float32 makes of a constant column is no variation.
        flat = ~(scale > 1e-12 * np.abs(center))
        return cls(np.nan_to_num(center), np.where(flat, 1.0, scale))

    def inverse_of(self, values: np.ndarray, series: np.ndarray) -> np.ndarray:
        """Undo the scale of ``(..., windows, horizon, columns)`` in float64; ``series`` of each window."""
        return values * self.scale[series, None] + self.center[series, None]


def groups(lengths: np.ndarray, limit: int = CHUNK) -> list[slice]:
    """Part series into groups of at most ``limit`` rows together, or of one.

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


def _statistics(kind: str, block: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each part of a block; the first begins with it, they are in order and apart."""
    missing = np.isnan(block).any(axis=1)
    if kind == "minmax":
        block[missing] = np.nan
        low, high = reduce_parts(np.fmin, block, start, stop), reduce_parts(np.fmax, block, start, stop)
        return low, high - low
    block[missing] = 0.0
    count = np.maximum(reduce_parts(np.add, (~missing).astype(float), start, stop), 1)[:, None]
    center = reduce_parts(np.add, block, start, stop) / count
    block -= np.repeat(center, np.diff(start, append=len(block)), axis=0)
    block[missing] = 0.0
    return center, np.sqrt(reduce_parts(np.add, np.square(block), start, stop) / count)


def reduce_parts(ufunc: np.ufunc, rows: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Reduce rows from ``start`` to before ``stop`` of each part.

    Args:
        ufunc: such as ``np.add``.
        rows: ``(rows, ...)``.
        start: ``(parts,)``, in order.
        stop: ``(parts,)``, above ``start`` and not beyond the next one.

    Returns:
        ``(parts, ...)``.

    Example:
        >>> reduce_parts(np.add, np.arange(6.0), np.array([0, 3]), np.array([2, 6]))
        array([ 1., 12.])
    """
    # Every second one is what lies between two parts; a cut after the last row is none.
    cuts = np.stack([start, stop], axis=1).ravel()
    return ufunc.reduceat(rows, cuts[cuts < len(rows)], axis=0)[::2]


@dataclass(frozen=True, eq=False)
class PanelWindows(Windows):
    """Windows of many series.

    Args:
        owners: series of each segment, its place in the panel's ``ids``, ``(segments,)``.
        static: static covariates of each series, scaled, ``(series, static)``.
    """

    owners: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    static: np.ndarray = field(default_factory=lambda: np.empty((0, 0), "float32"))

    def gather(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Copy out windows as :meth:`kseq.windows.Windows.gather` does, static covariates after the others."""
        x, y = super().gather(which)
        if not self.static.shape[1]:
            return x, y
        static = self.static[self.series_of(which)][..., None, :]
        return np.concatenate([x, np.broadcast_to(static, (*x.shape[:-1], static.shape[-1]))], axis=-1), y

    def series_of(self, which: np.ndarray) -> np.ndarray:
        """Say to which series the windows numbered ``which`` belong, places in the panel's ``ids``."""
        return self.owners[np.searchsorted(self._stops, which, side="right")]

    @cached_property
    def series(self) -> np.ndarray:
        """Series of every window, ``(windows,)``."""
        return np.repeat(self.owners, [len(segment) for segment in self.segments])


@dataclass(frozen=True, eq=False)
class WindowedPanel(WindowedSeries):
    """A panel cut into training, validation and test windows of all its series.

    It is read as a :class:`kseq.windows.WindowedSeries` is. Windows stand series by series, in the order of the panel.

    Args:
        series: the panel.
        split: parts of each series.
        input_scaler: scale of what changes with time, of each series.
        target_scaler: scale of the targets, of each series.
    """

    series: Panel  # type: ignore[assignment]
    split: PanelSplit  # type: ignore[assignment]
    input_scaler: PanelScaler
    target_scaler: PanelScaler
    train: PanelWindows
    validation: PanelWindows
    test: PanelWindows

    @cached_property
    def members(self) -> np.ndarray:
        """Series that have windows, places in the panel's ``ids``; sorted."""
        return np.unique(np.concatenate([part.owners for part in (self.train, self.validation, self.test)]))

    @property
    def test_ids(self) -> pd.Index:
        """Series of each test window, by its id."""
        return self.series.ids[self.test.series]

    def to_units(self, scaled: np.ndarray, windows: Windows | None = None) -> np.ndarray:
        """Bring forecasts back to the targets' unit, those of each window by the scale of its series.

        Args:
            scaled: ``(..., windows, horizon * targets)`` or ``(..., windows, horizon, targets)``.
            windows: what is forecast, such as ``data.test``, all of it in order.

        Returns:
            float64, ``(..., windows, horizon, targets)``.
        """
        if not isinstance(windows, PanelWindows):
            raise ConfigError("received forecasts of a panel without their windows, expected them: to_units(y, part).")
        wide = np.asarray(scaled, dtype="float64")
        if wide.shape[-2:] != (self.horizon, self.targets):
            wide = wide.reshape(*wide.shape[:-1], self.horizon, self.targets)
        return self.target_scaler.inverse_of(wide, windows.series)


def make_panel_windows(
    panel: Panel,
    lookback: int = 12,
    horizon: int = 1,
    *,
    scaler: str = "standard",
    past_target: bool = True,
    test: float = 0.2,
    validation: float = 0.15,
    n_windows: int = 0,
    step_size: int | None = None,
    gap: int = 0,
    train_size: int | None = None,
    dtype: str = "float32",
) -> WindowedPanel:
    """Cut all series of a panel into scaled windows, each series in three chronological parts.

    Windows lie across no border of two series, no missing dates and no missing value. A series that is too short for a
    training and a test window is left out of everything; ``.notes`` say how many are.

    Args:
        panel: the series.
        lookback: rows that a model reads before each forecast.
        horizon: rows that a model forecasts.
        scaler: as in :func:`kseq.make_windows`, fitted for each series on its own training rows. Numbers among the
            static covariates are scaled over series.
        past_target: whether the models read the target's own past.
        test: share of each series, cut from its end.
        validation: share of the rows before the test part, cut from their end; 0 for none.
        n_windows: instead of ``test``, forecast so many origins of each series, its last ones.
        step_size: rows from one of them to the next; the horizon by default.
        gap: rows before the first of them from which nothing is learnt.
        train_size: rows that are learnt from, validation included; by default all before it.
        dtype: of inputs and targets.

    Returns:
        WindowedPanel: ``.train``, ``.validation`` and ``.test`` windows, and the scales.

    Raises:
        ConfigError: as :func:`kseq.make_windows`.
        DataError: all series are too short, or no window of a part is free of missing dates and values.

    Example:
        >>> from kseq import panel_from_frame
        >>> days = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 50), "y": np.arange(100.0) % 7})
        >>> data = make_panel_windows(panel_from_frame(days), lookback=7)
        >>> len(data.train), len(data.validation), len(data.test)
        (54, 12, 20)
    """
    require_sizes(lookback, horizon)
    past, columns = past_columns(panel, past_target), input_columns(panel, horizon, past_target)
    require_inputs(columns, panel.future, lookback, horizon)
    if n_windows:
        step = step_size or horizon
        split = PanelSplit.by_origins(panel, horizon, validation, n_windows, step, gap, train_size)
    else:
        step = 1
        split = PanelSplit.by_fraction(panel, test, validation)
        require_length(int(panel.lengths.max()), lookback, horizon, test, validation)

    parts = {
        # Nothing before the first row that is learnt from is read either.
        "training": (split.start + lookback, split.validation, 1),
        "validation": (split.validation, split.stop, 1),
        "test": (split.test, split.end, step),
    }
    room = {name: _room(panel, *part, lookback, horizon) for name, part in parts.items()}
    kept = (room["training"] > 0) & (room["test"] > 0)
    if not kept.any():
        raise DataError(
            f"{panel.name}: received {len(kept)} series of {panel.lengths.max()} rows at most, expected longer ones "
            f"for lookback {lookback}, horizon {horizon} and the parts of each; shorten --lookback or --horizon, or "
            "lower --n-windows."
        )
    placed = {name: _place(panel, kept, *part, lookback, horizon) for name, part in parts.items()}
    notes = [_short_note(panel, kept, lookback, horizon), _overlap_note(panel, kept, split)]
    notes.append(_left_out(panel.name, {name: int(counts[kept].sum()) for name, counts in room.items()}, placed))

    kind, known = scaler, split.validation
    if scaler == "minmax-leaks-test":
        kind, known = "minmax", split.end
    read = [*past, *panel.future]
    # A series that is left out may have no training row: its scale is read by no window.
    fitted = PanelScaler.fit_parts(kind, panel.values, split.start, np.maximum(known, split.start + 1))
    have = panel.columns
    input_scaler, target_scaler = (
        PanelScaler(fitted.center[:, at], fitted.scale[:, at])
        for at in ([have.index(column) for column in names] for names in (read, panel.targets))
    )
    x = _scaled(panel, past, panel.future, input_scaler, horizon, dtype)
    # What is both read and forecast is held once.
    y = x if read == list(panel.targets) else _scaled(panel, panel.targets, (), target_scaler, horizon, dtype)
    constant = _scaled_static(encoded(panel.static), kept).astype(dtype)
    train, valid, held_out = (
        PanelWindows(x, y, segments, lookback, horizon, owners, constant) for segments, owners in placed.values()
    )
    return WindowedPanel(
        panel, split, lookback, horizon, columns, input_scaler, target_scaler, train, valid, held_out,
        (*panel.notes, *(note for note in notes if note)),
    )  # fmt: skip


def _room(panel: Panel, start: np.ndarray, stop: np.ndarray, step: int, lookback: int, horizon: int) -> np.ndarray:
    """How many windows fit into a part of each series if nothing is missing, ``(series,)``."""
    low = _first(start, panel.borders[:-1], step, lookback)
    return np.maximum(-(-(stop - horizon + 1 - low) // step), 0)


def _first(start: np.ndarray, border: np.ndarray, step: int, lookback: int) -> np.ndarray:
    """First target row of the first window; windows some rows apart count from the first row of their part."""
    low = np.maximum(start, border + lookback)
    return low + (start - low) % step


def _place(
    panel: Panel, kept: np.ndarray, start: np.ndarray, stop: np.ndarray, step: int, lookback: int, horizon: int
) -> tuple[tuple[range, ...], np.ndarray]:
    """Segments of one part of all series that are kept, and the series of each."""
    runs = panel.stretches
    owners = panel.series_of(runs[:, 0])
    low = _first(start[owners], runs[:, 0], step, lookback)
    high = np.minimum(stop[owners], runs[:, 1]) - horizon + 1
    there = (low < high) & kept[owners]
    spans = zip(low[there].tolist(), high[there].tolist(), strict=True)
    return tuple(range(a, b, step) for a, b in spans), owners[there]


def _scaled(
    panel: Panel, past: Sequence[str], future: Sequence[str], scaler: PanelScaler, horizon: int, dtype: str
) -> np.ndarray:
    """Columns of the panel in the scale of each series, those of the future ``horizon`` rows earlier."""
    scaled = np.full((len(panel), len(past) + len(future)), np.nan, dtype)
    have = panel.columns
    for at, column in enumerate([*past, *future]):
        ahead = horizon if at >= len(past) else 0
        source = panel.values[ahead:, have.index(column)]
        for first in range(0, len(source), CHUNK):
            rows = slice(first, min(first + CHUNK, len(source)))
            series = panel.series_of(np.arange(rows.start, rows.stop))
            scaled[rows, at] = (source[rows] - scaler.center[series, at]) / scaler.scale[series, at]
    return scaled


def _scaled_static(static: pd.DataFrame, kept: np.ndarray) -> np.ndarray:
    """Static covariates, numbers with mean 0 and deviation 1 over the series that are kept, ``(series, columns)``."""
    values = static.to_numpy(dtype="float64")
    if not values.shape[1]:
        return values
    return Scaler.fit("standard", values[kept]).transform(values)


def _short_note(panel: Panel, kept: np.ndarray, lookback: int, horizon: int) -> str | None:
    short = np.flatnonzero(~kept)
    if not len(short):
        return None
    first = short[0]
    return (
        f"{len(short)} of {len(kept)} series are too short for lookback {lookback} and horizon {horizon}, and are left "
        f"out (first: '{panel.ids[first]}', {panel.lengths[first]} rows)."
    )


def _overlap_note(panel: Panel, kept: np.ndarray, split: PanelSplit) -> str | None:
    """Say where one series is learnt from at dates that are still to come in another."""
    if not panel.has_dates:
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


def _left_out(name: str, possible: dict[str, int], placed: dict[str, tuple]) -> str | None:
    """Say how many windows are left out for what is missing; refuse a part of which none is left."""
    shown = []
    for part, count in possible.items():
        have = sum(map(len, placed[part][0]))
        if count and not have:
            raise DataError(
                f"{name}: all {count} {part} windows lie across missing dates or values, expected some that do not; "
                "fill missing values with --fill ffill or --fill seasonal, shorten --lookback, or bring the missing "
                "dates."
            )
        if have < count:
            shown.append(f"{count - have} of {count} {part}")
    return f"Windows across missing dates or values are left out: {', '.join(shown)} windows." if shown else None
