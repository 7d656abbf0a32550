"""How rows of a panel become the inputs and targets of windows: columns, dates, transform and scales."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kseq.data import Panel
from kseq.errors import ConfigError
from kseq.preprocessing._cut import Windows
from kseq.preprocessing._runs import CHUNK
from kseq.preprocessing.columns import input_columns, past_columns
from kseq.preprocessing.reference_scales import fit_scales
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.time_features import columns_of_dates
from kseq.preprocessing.transforms import FittedTransform


@dataclass(frozen=True, eq=False)
class Frame:
    """How rows of a panel become the scaled arrays that windows are cut out of.

    Args:
        lookback: Rows that a model reads.
        horizon: Rows that it forecasts.
        past_target: Whether it reads the targets' own past.
        scaler: ``"standard"`` or ``"minmax"``.
        dates: Columns of :func:`calendar_of`; none where models do not read the calendar.
        transform: Fitted transform of the targets; None for none.
        static: Static covariates of each series, scaled, ``(series, static)``.
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
            panel: The series.
            start: First row that scales are fitted on, ``(series,)``.
            stop: One after the last, ``(series,)``.
            segments: First target rows of training windows, on which scales are fitted where there is a reference.
            owners: Series of each segment.
            known: Scales that are known already: place of each series among those of the two scalers, -1 for one that
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
            measured = reference and reference.in_scale(targets.center, targets.scale)
            return Windows(x, y, tuple(segments), self.lookback, self.horizon, owners, self.static, measured, columns)

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
        panel: The series.
        horizon: Rows that a model forecasts.
        past_target: Whether models read the targets' own past.
        dates: Columns of :func:`calendar_of`; none where models do not read the calendar.
        transform: Fitted transform of the targets; None for none.

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
