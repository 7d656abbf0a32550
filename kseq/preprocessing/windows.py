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

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from kseq.data import Panel, reads, series_of
from kseq.errors import ConfigError
from kseq.naming import names_near
from kseq.preprocessing._cut import Windows as Windows
from kseq.preprocessing._cut import window_starts as window_starts
from kseq.preprocessing._window_notes import (
    left_out,
    overlap_note,
    require_each_origin,
    short_note,
    too_short,
    validation_note,
)
from kseq.preprocessing.auto_transform import Transform
from kseq.preprocessing.columns import encoded, require_inputs, require_sizes
from kseq.preprocessing.frame import Frame as Frame
from kseq.preprocessing.frame import calendar_of as calendar_of
from kseq.preprocessing.frame import panel_columns as panel_columns
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.splits import Parts, Split, long_enough, parts_of, placed_windows, require_length, room_in
from kseq.preprocessing.transforms import FittedTransform
from kseq.text import shown
from kseq.validation import NUMBER, require_number, require_whole

#: Where the arrays are that scripts keep by these names.
_ARRAYS = {
    **{f"{name}_{part}": f".{part}.{name.lower()}" for name in "xyX" for part in ("train", "validation", "test")},
    **{f"{name}_val": f".validation.{name.lower()}" for name in "xyX"},
    **dict.fromkeys(("val", "valid"), ".validation"), **{name: f".train.{name.lower()}" for name in ("x", "y", "X")},
    "scaler": ".target_scaler", "inverse_transform": ".to_units",
}  # fmt: skip


@names_near(_ARRAYS)
@dataclass(frozen=True, eq=False)
class WindowedPanel:
    """A panel cut into training, validation and test windows of all its series, with the scales to undo.

    Windows stand series by series, in the order of the panel.

    Args:
        series: The panel.
        split: Parts of each series.
        lookback: Rows that a model reads.
        horizon: Rows that a model forecasts.
        input_columns: Names of the columns that a model reads, static ones last.
        input_scaler: Scale of the columns that change with time, of each series.
        target_scaler: Scale of the targets, of each series.
        train: Windows whose targets lie in the training parts.
        validation: The same for the validation parts; of length 0 where there are none.
        test: The same for the test parts.
        notes: Sentences on what was found or done on the way: gaps, values filled, windows and series left out.
        transform: Transform of the targets, before the scale; None where models read and forecast the values.
        static_scaler: Scale of static covariates, those of text as columns of zeros and ones.
        choice: How the transform was chosen, a :class:`kseq.comparison.auto.Choice`; None where nobody asked for it.
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

    def to_units(self, scaled: np.ndarray, windows: Windows | None = None) -> np.ndarray:
        """Bring forecasts back to the targets' unit, those of each window by the scale of its series.

        Args:
            scaled: ``(..., windows, horizon * targets)`` or ``(..., windows, horizon, targets)``, as a model returns
                them.
            windows: Windows that are forecast, such as ``data.test``, all of them in order. Without a transform all
                windows of one series have one scale, and they need not be given.

        Returns:
            float64, ``(..., windows, horizon, targets)``.

        Raises:
            ConfigError: The windows are missing, and it takes them.
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


def _share(name: str, given: float | None, other: float | None, default: float) -> float:
    """A share by either of its names."""
    if given is not None and other is not None:
        raise ConfigError(f"received {name} and {name}_share, expected one of them: they are the same.")
    if other is not None:
        return require_number(f"{name}_share", other, NUMBER[name])
    return default if given is None else require_number(name, given)


#: NumPy types that inputs may have.
_DTYPES = ("float16", "float32", "float64")


def _type_name(dtype: Any) -> str:
    """The name of a NumPy type that inputs may have."""
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in _DTYPES:
        raise ConfigError(f"received dtype {shown(dtype)}, expected one of {', '.join(_DTYPES)}.")
    return name


#: What there is in place of options that windows do not have.
_INSTEAD = {
    **dict.fromkeys(("batch_size", "batch", "shuffle"), "kseq.Batches(data.train, batch_size=32, seed=0) has it"),
    **dict.fromkeys(("seed", "seeds", "random_state"), "windows are cut without chance; kseq.Batches has a seed"),
}


@reads("kseq.make_windows", _INSTEAD)
def make_windows(
    series: Any,
    lookback: int = 12,
    horizon: int = 1,
    *,
    transform: Transform | str | None = None,
    calendar: bool = False,
    scaler: str = "standard",
    past_target: bool = True,
    test: float | None = None,
    validation: float | None = None,
    test_share: float | None = None,
    validation_share: float | None = None,
    n_windows: int = 0,
    step_size: int | None = None,
    gap: int = 0,
    train_size: int | None = None,
    split: Split | None = None,
    like: WindowedPanel | None = None,
    only: np.ndarray | None = None,
    ahead: np.ndarray | None = None,
    dtype: str = "float32",
    **reading: Any,
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
        series: A series or a panel, or anything of which :func:`kseq.data.series_of` makes one: a DataFrame, an array.
        lookback: Rows that a model reads before each forecast (PyTorch users: the sequence length).
        horizon: Rows that a model forecasts.
        transform: Transform of the targets, which models read and forecast instead of the values: steps by their names,
            ``"anomaly,change"``, or a :class:`kseq.preprocessing.auto_transform.Transform`; fitted for each series on
            its own training rows. None, the default, for the values themselves.
        calendar: Whether models read where in the day, the week or the year each input row stands, see
            :mod:`kseq.preprocessing.time_features`.
        scaler: ``"standard"`` (mean 0, deviation 1) or ``"minmax"`` (0 to 1), both fitted for each series on its own
            training rows, validation and test left out; ``"minmax-leaks-test"`` is fitted on the whole series, as
            published experiments do, and makes a score too good. Numbers among the static covariates are scaled over
            series.
        past_target: Whether the models read the target's own past besides the series' features.
        test: Share of each series, cut from its end; 0.2 by default.
        validation: Share of the rows before the test part, cut from their end; 0 for none, 0.15 by default.
        test_share: ``test`` by the name of the command's option.
        validation_share: ``validation`` by the name of the command's option.
        n_windows: Instead of ``test``, forecast so many origins of each series, its last ones.
        step_size: Rows from one of them to the next; the horizon by default.
        gap: Rows before the first of them from which nothing is learnt.
        train_size: Rows that are learnt from, validation included; by default all before it.
        split: The parts themselves, instead of all that says how to make them; they may leave no test part.
        like: Windows of the same series, of another lookback or of a longer horizon: its parts, series and fitted
            transform are taken, instead of what says how to find them.
        only: Whether a series may have windows at all, ``(series,)``; by default all may that are long enough.
        ahead: With ``n_windows``, rows of each series that are forecast from an origin, ``(series,)``, where these are
            fewer than the horizon; the panel has rows of the steps to come, see :func:`kseq.data.slices.extended`.
        dtype: NumPy type of inputs and targets.
        **reading: How a frame is read, as :func:`kseq.from_frame` describes it: ``target``, ``time``, ``id``,
            ``features``, ``future``, ``fill``, ``sort`` and others.

    Returns:
        WindowedPanel: ``.train``, ``.validation`` and ``.test`` windows, and the scales.

    Raises:
        ConfigError: A size is not a positive whole number, nothing is left for the models to read, or there are future
            covariates and the horizon is longer than the lookback.
        DataError: All series are too short, the message says how many rows are needed; or no window of a part, or of
            one of ``n_windows`` origins, is free of missing dates and values.

    Example:
        >>> from kseq import load_series
        >>> data = make_windows(load_series("nino12"), lookback=12)
        >>> len(data.train), len(data.validation), len(data.test)
        (485, 88, 147)
    """
    test, validation = _share("test", test, test_share, 0.2), _share("validation", validation, validation_share, 0.15)
    if isinstance(transform, str):
        transform = Transform(transform, past_target=past_target)
    if not isinstance(transform, Transform | None):
        raise ConfigError(f"received transform {shown(transform)}, expected steps by their names, or a Transform.")
    dtype = _type_name(dtype)
    require_whole("n_windows", n_windows)
    for name, value in (("step_size", step_size), ("gap", gap), ("train_size", train_size)):
        if value is not None:
            require_whole(name, value)
        if value and not n_windows and split is None and like is None:
            raise ConfigError(f"received {name} without n_windows, expected it with a backtest.")
    for what, given, kind in (("split", split, Split), ("like", like, WindowedPanel)):
        if not isinstance(given, kind | None):
            raise ConfigError(f"received {what} of type {type(given).__name__}, expected a {kind.__name__}.")
    panel = Panel.of(series_of(series, **reading))
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
    if only is not None and np.shape(only) != (len(panel.ids),):
        raise ConfigError(f"received only {shown(only)}, expected True or False for each of {len(panel.ids)} series.")
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
        raise too_short(panel, parted, lookback, horizon, lost)
    placed = {name: placed_windows(panel, kept, *part, lost + lookback) for name, part in parts.items()}
    notes = [
        short_note(panel, kept, lookback, horizon),
        overlap_note(panel, kept, parted),
        validation_note(parted, kept, horizon),
    ]
    notes.append(left_out(panel.name, {name: int(counts[kept].sum()) for name, counts in room.items()}, placed))
    if n_windows:
        require_each_origin(panel, parted.test, n_windows, step, placed["test"][0])

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
