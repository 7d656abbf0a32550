"""From a panel to windows: each series split by time and scaled by its own training rows, one model for all.

A global model reads windows of every series, and forecasts any of them (Montero-Manso and Hyndman 2021, "Principles and
algorithms for forecasting groups of time series"). What :func:`kseq.make_windows` promises holds for each series by
itself: rows are split first, a scale knows the training rows of its series alone, and a window lies in one part of one
series, in rows that follow one another.

Values are scaled once, some hundred thousand rows at a time, into one array of the panel's size; windows are cut out of
it when they are asked for. Static covariates are kept once a series and joined to a window as it is cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, cast

import numpy as np
import pandas as pd

from kseq.calendars import columns_of_dates
from kseq.errors import ConfigError, DataError, Parameter
from kseq.inputs import encoded, input_columns, past_columns, require_inputs, require_sizes
from kseq.panels.parts import (
    CHUNK,
    PanelScaler,
    PanelSplit,
    Parts,
    first_target,
    long_enough,
    parts_of,
    room_in,
)
from kseq.parts import Scaler, require_length
from kseq.data import Panel
from kseq.windows import FittedTransform, WindowedSeries, Windows


@dataclass(frozen=True, eq=False)
class PanelWindows(Windows):
    """Windows of many series.

    Args:
        owners: series of each segment, its place in the panel's ``ids``, ``(segments,)``.
        static: static covariates of each series, scaled, ``(series, static)``.
    """

    owners: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    static: np.ndarray = field(default_factory=lambda: np.empty((0, 0), "float32"))

    def gather_at(self, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Copy out windows as :meth:`kseq.windows.Windows.gather_at` does, static covariates after the others."""
        x, y = super().gather_at(first)
        if not self.static.shape[1]:
            return x, y
        static = self.static[self.owners[np.searchsorted(self._firsts, first, side="right") - 1]][..., None, :]
        return np.concatenate([x, np.broadcast_to(static, (*x.shape[:-1], static.shape[-1]))], axis=-1), y

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


@dataclass(frozen=True, eq=False)
class WindowedPanel(WindowedSeries):
    """A panel cut into training, validation and test windows of all its series.

    It is read as a :class:`kseq.windows.WindowedSeries` is. Windows stand series by series, in the order of the panel.

    Args:
        series: the panel.
        split: parts of each series.
        input_scaler: scale of what changes with time, of each series.
        target_scaler: scale of the targets, of each series.
        static_scaler: scale of static covariates, those of text as columns of zeros and ones.
    """

    series: Panel  # type: ignore[assignment]
    split: PanelSplit  # type: ignore[assignment]
    input_scaler: PanelScaler
    target_scaler: PanelScaler
    train: PanelWindows
    validation: PanelWindows
    test: PanelWindows
    static_scaler: Scaler | None = None

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
        return PanelScaler.fit_parts("standard", list(self.series.y.T), start, stop, self.series.values).scale

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
        wide = self.target_scaler.inverse_of(wide, windows.series)
        return wide if self.transform is None else self.transform.undo(wide, self.series, windows.target_rows)


class PanelTransform(Protocol):
    """What fits a transform to a panel, see :mod:`kseq.panels.transforms`."""

    def fit(self, panel: Panel, split: PanelSplit, members: np.ndarray) -> FittedTransform:
        """Fit on the training rows of some series."""


def make_panel_windows(
    panel: Panel,
    lookback: int = 12,
    horizon: int = 1,
    *,
    transform: PanelTransform | None = None,
    calendar: bool = False,
    scaler: str = "standard",
    past_target: bool = True,
    test: float = 0.2,
    validation: float = 0.15,
    n_windows: int = 0,
    step_size: int | None = None,
    gap: int = 0,
    train_size: int | None = None,
    split: PanelSplit | None = None,
    like: WindowedPanel | None = None,
    only: np.ndarray | None = None,
    dtype: str = "float32",
) -> WindowedPanel:
    """Cut all series of a panel into scaled windows, each series in three chronological parts.

    Windows lie across no border of two series, no missing dates and no missing value. A series that is too short for a
    training and a test window is left out of everything; ``.notes`` say how many are.

    Args:
        panel: the series.
        lookback: rows that a model reads before each forecast.
        horizon: rows that a model forecasts.
        transform: as in :func:`kseq.make_windows`, a :class:`kseq.panels.transforms.PanelTransform`; fitted for each
            series on its own training rows.
        calendar: as in :func:`kseq.make_windows`.
        scaler: as in :func:`kseq.make_windows`, fitted for each series on its own training rows. Numbers among the
            static covariates are scaled over series.
        past_target: whether the models read the target's own past.
        test: share of each series, cut from its end.
        validation: share of the rows before the test part, cut from their end; 0 for none.
        n_windows: instead of ``test``, forecast so many origins of each series, its last ones.
        step_size: rows from one of them to the next; the horizon by default.
        gap: rows before the first of them from which nothing is learnt.
        train_size: rows that are learnt from, validation included; by default all before it.
        split: the parts themselves, instead of all that says how to make them; they may leave no test part.
        like: windows of the same panel, of another lookback or of a longer horizon: its parts, series and fitted
            transform are taken, instead of what says how to find them.
        only: whether a series may have windows at all, ``(series,)``; by default all may that are long enough.
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
    dates = calendar_of(panel) if calendar else {}
    columns = panel_columns(panel, horizon, past_target, tuple(dates))
    require_inputs(columns, panel.future, lookback, horizon)
    step = (step_size or horizon) if n_windows else 1
    if like is not None:
        parted = like.split
    elif split is not None:
        parted = split
    elif n_windows:
        parted = PanelSplit.by_origins(panel, horizon, validation, n_windows, step, gap, train_size)
    else:
        parted = PanelSplit.by_fraction(panel, test, validation)
        require_length(int(panel.lengths.max()), lookback, horizon, test, validation)

    def laid(lost: int) -> tuple[Parts, dict[str, np.ndarray], np.ndarray]:
        parts = parts_of(parted, lookback, step, lost)
        room = {name: room_in(panel, *part, lost + lookback, horizon) for name, part in parts.items()}
        enough = long_enough(panel, parted, lookback, horizon, step, lost)
        if like is not None:
            enough &= np.isin(np.arange(len(panel.ids)), like.members)
        return parts, room, enough if only is None else enough & only

    parts, room, kept = laid(0)
    fitted = None if like is None else like.transform
    if like is None and transform is not None and kept.any():
        fitted = transform.fit(panel, parted, np.flatnonzero(kept))
    if fitted is not None:
        parts, room, kept = laid(fitted.lost)
    lost = 0 if fitted is None else fitted.lost
    if not kept.any():
        raise DataError(
            f"{panel.name}: received {len(kept)} series of {panel.lengths.max()} rows at most, expected longer ones "
            f"for lookback {lookback}, horizon {horizon} and the parts of each; shorten ",
            Parameter("lookback"),
            " or ",
            Parameter("horizon"),
            ", lower ",
            Parameter("n_windows"),
            ", or raise ",
            Parameter("train_size"),
            ".",
        )
    placed = {name: _place(panel, kept, *part, lost + lookback, horizon) for name, part in parts.items()}
    notes = [_short_note(panel, kept, lookback, horizon), _overlap_note(panel, kept, parted)]
    notes.append(_left_out(panel.name, {name: int(counts[kept].sum()) for name, counts in room.items()}, placed))

    kind, known = scaler, parted.validation
    if scaler == "minmax-leaks-test":
        kind, known = "minmax", parted.end
    # A series that is left out may have no training row: its scale is read by no window.
    learnt = (parted.start, np.maximum(known, parted.start + 1), panel.values)
    sources, ahead, forecast = panel_sources(panel, horizon, past_target, dates, fitted)
    input_scaler = PanelScaler.fit_parts(kind, sources, *learnt)
    target_scaler = PanelScaler.fit_parts(kind, forecast, *learnt)
    x = scaled_rows(panel, sources, ahead, input_scaler, dtype)
    # What is both read and forecast is held once.
    same = all(one is other for one, other in zip(sources, forecast, strict=False)) and len(sources) == len(forecast)
    y = x if same else scaled_rows(panel, forecast, [0] * len(panel.targets), target_scaler, dtype)
    static = encoded(panel.static).to_numpy(dtype="float64")
    static_scaler = Scaler.fit("standard", static[kept]) if like is None else cast(Scaler, like.static_scaler)
    constant = static_scaler.transform(static)
    train, valid, held_out = (
        PanelWindows(x, y, segments, lookback, horizon, owners, constant.astype(dtype))
        for segments, owners in placed.values()
    )
    return WindowedPanel(
        panel, parted, lookback, horizon, columns, input_scaler, target_scaler, train, valid, held_out,
        (*panel.notes, *(note for note in notes if note)), fitted, static_scaler,
    )  # fmt: skip


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
        transform: of the targets, fitted.

    Returns:
        Columns that are read and change with time, ``(rows,)`` each; how many rows ahead each of them is read; and the
        columns that are forecast.
    """
    read = forecast = panel.y
    if transform is not None:
        read, forecast = transform.apply(panel)
    of_targets = dict(zip(panel.targets, read.T, strict=True))
    past = past_columns(panel, past_target)
    sources = [of_targets[c] if c in of_targets else panel.values_of([c])[:, 0] for c in [*past, *panel.future]]
    ahead = [0] * len(past) + [horizon] * len(panel.future) + [0] * len(dates)
    same = read is forecast
    return [*sources, *dates.values()], ahead, list(of_targets.values()) if same else list(forecast.T)


def _place(
    panel: Panel, kept: np.ndarray, start: np.ndarray, stop: np.ndarray, step: int, lookback: int, horizon: int
) -> tuple[tuple[range, ...], np.ndarray]:
    """Segments of one part of all series that are kept, and the series of each."""
    runs = panel.stretches
    owners = panel.series_of(runs[:, 0])
    low = first_target(start[owners], runs[:, 0], step, lookback)
    high = np.minimum(stop[owners], runs[:, 1]) - horizon + 1
    there = (low < high) & kept[owners]
    spans = zip(low[there].tolist(), high[there].tolist(), strict=True)
    return tuple(range(a, b, step) for a, b in spans), owners[there]


def calendar_of(panel: Panel, cycles: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Columns of :mod:`kseq.calendars`, made once for each date that series share; ``cycles`` where they are named."""
    which, dates = pd.factorize(panel.index, sort=True)
    columns = columns_of_dates(dates, panel.name, panel.step, cycles)
    return {name: columns[name].to_numpy("float32")[which] for name in columns}


def scaled_rows(
    panel: Panel, columns: Sequence[np.ndarray], ahead: Sequence[int], scaler: PanelScaler, dtype: str
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


def _overlap_note(panel: Panel, kept: np.ndarray, split: PanelSplit) -> str | None:
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
