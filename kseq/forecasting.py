"""What a trained model says of the steps after a series."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import pandas as pd

from kseq.data.future_dates import dates_after
from kseq.errors import ConfigError, DataError, Parameter
from kseq.evenly import places_of
from kseq.forecasts import Forecasts, require_numbers
from kseq.modelcard import ModelCard, bands_around
from kseq.modelfile import TrainedModel, TrainedPanel
from kseq.panels.card import PanelCard
from kseq.panels.forecasting import PanelForecast, forecast_panel, panel_covariates_ahead
from kseq.parts import Split
from kseq.seasons import Cycle, calendar_seasons, cycle_of
from kseq.data import Panel, Series, frequency
from kseq.data.dates import placing, read_dates
from kseq.data.files import numbers
from kseq.data.columns import TIME_NAMES, require_columns
from kseq.transforms import Anomaly, FittedTransform, Log, Step, Trend, times_of
from kseq.validation import require_whole
from kseq.windows import WindowedSeries, Windows, model_rows


@dataclass(frozen=True, eq=False, kw_only=True)
class Forecast(Forecasts):
    """Forecasts of the steps after a series: ``dates`` of the steps, and values ``(steps, targets)``.

    Args:
        history: the last rows that were known.
    """

    history: Series

    @property
    def frame(self) -> pd.DataFrame:
        """Long form: ``unique_id, ds``, forecasts under the model's name, and bounds as ``GRU-lo-80``, ``GRU-hi-80``.

        Several targets are several series, ``name/target``.
        """
        return self._frame([self.history.name], self.history.targets)


@overload
def forecast(
    model: TrainedModel,
    steps: int | None = None,
    *,
    rows: Series | None = None,
    future: pd.DataFrame | None = None,
    levels: Sequence[float] | None = None,
) -> Forecast: ...


@overload
def forecast(
    model: TrainedPanel,
    steps: int | None = None,
    *,
    rows: Panel | None = None,
    future: pd.DataFrame | None = None,
    levels: Sequence[float] | None = None,
    ids: Sequence[object] | None = None,
) -> PanelForecast: ...


def forecast(
    model: TrainedModel | TrainedPanel,
    steps: int | None = None,
    *,
    rows: Series | Panel | None = None,
    future: pd.DataFrame | None = None,
    levels: Sequence[float] | None = None,
    ids: Sequence[object] | None = None,
) -> Forecast | PanelForecast:
    """Forecast the steps after a series.

    Steps beyond the model's horizon are forecast from the forecasts before them.

    Args:
        model: from :func:`kseq.fitting.fit_model` or :func:`kseq.modelfile.load`.
        steps: how many; the model's horizon by default.
        rows: newer rows to forecast from; they may follow those that the model keeps, or overlap with them. By default
            it forecasts from the last row that it was trained on.
        future: covariates at the steps to come, one row a step, from :func:`covariates_ahead`: future covariates of
            all steps, and past ones of those that later blocks of ``horizon`` steps read.
        levels: percents that intervals are to cover; by default those named when the model was fitted, as far as
            they are known.
        ids: of a model of many series, those to forecast; by default all that it was trained on, or all of ``rows``,
            which may be others if their past is long enough.

    Returns:
        Forecast: with ``.frame``; of a model of many series a :class:`kseq.panels.forecasting.PanelForecast`.

    Raises:
        ConfigError: a number of steps below 1, or a level of which nothing is known.
        DataError: the rows do not fit the model, features of steps to come are missing, or a forecast is not finite.

    Example:
        >>> forecast(model, 12).frame  # doctest: +SKIP
    """
    if isinstance(model, TrainedPanel):
        if isinstance(rows, Series):
            raise DataError(f"received the series {rows.name} for a model of many series, expected a panel.")
        return forecast_panel(model, steps, rows=rows, future=future, levels=levels, ids=ids)
    if isinstance(rows, Panel) or ids is not None:
        raise DataError("received many series for a model that was trained on one, expected one series.")
    card = model.card
    steps = card.horizon if steps is None else steps
    require_whole("steps", steps)
    history, notes = card.context, []
    if rows is not None:
        history = known_rows(card, rows)
        last = placing(history.index)(len(history) - 1)
        notes.append(f"Forecasts start after {last}, the last of {len(rows)} rows of {rows.source or rows.name}.")
    _require_stretch(card, history)
    blocks = -(-steps // card.horizon)
    dates = dates_after(history.index, blocks * card.horizon, card.freq)
    known = _covariates(card, history.ahead if future is None else future, blocks, dates, given=future is not None)
    from kseq.callbacks import predict

    frame = pd.concat([history.frame, known.reindex(index=dates, columns=history.frame.columns)])
    targets = list(history.targets)
    transform = None
    for first in range(len(history), len(frame), card.horizon):
        series = replace(history, frame=frame, ahead=pd.DataFrame(), fill="mask")
        transform = transform or transform_like(card, series)
        # What overflows is told below.
        with np.errstate(over="ignore", invalid="ignore"):
            data = windows_like(card, series, [range(first, first + 1)], transform)
            made = predict(model.network, data, data.test)[0, 0]
        require_numbers(made, card.name, history.name)
        frame.loc[frame.index[first : first + card.horizon], targets] = made
    values = frame[targets].to_numpy()[len(history) :][:steps]
    bands, missing = bands_around(card, values, levels)
    if blocks > 1:
        what = "1 step" if card.horizon == 1 else f"{card.horizon} steps"
        notes.append(f"The model forecasts {what} at once: from step {card.horizon + 1} on it reads its own forecasts.")
    return Forecast(card.name, dates[:steps], values, bands, (*notes, *missing), history=history)


def last_rows(series: Series, least: int) -> Series:
    """The end of a series: at least so many rows, and as many as it takes for each target to vary."""
    frame, targets = series.frame, list(series.targets)
    while least < len(series) and (frame[-least:][targets].nunique() < 2).any():
        least *= 2
    missing = frame[-least:].isna().any(axis=None)
    return replace(series, frame=frame[-least:], filled=None, fill="mask" if missing else None)


def windows_like(
    card: ModelCard, series: Series, segments: Sequence[range], transform: FittedTransform | None
) -> WindowedSeries:
    """Cut a series into windows with the scales of a trained model.

    Args:
        card: of the model.
        series: has the columns that the model reads and forecasts.
        segments: first target rows of the windows, as of :class:`kseq.windows.Windows`; at least one.
        transform: from :func:`transform_like`.

    Returns:
        WindowedSeries: all of its windows are in its test part.
    """
    settings = card.settings
    columns, _, inputs, targets = model_rows(
        series, card.horizon, bool(settings["past_target"]), bool(settings["calendar"]), transform
    )
    x = card.input_scaler.transform(inputs).astype("float32")
    y = card.target_scaler.transform(targets).astype("float32")
    none = Windows(x, y, (), card.lookback, card.horizon)
    split = Split(segments[0].start, segments[0].start, len(series))
    return WindowedSeries(
        series, split, card.lookback, card.horizon, columns, card.input_scaler, card.target_scaler,
        none, none, replace(none, segments=tuple(segments)), transform=transform,
    )  # fmt: skip


def transform_like(card: ModelCard, series: Series) -> FittedTransform | None:
    """A trained model's transform for the rows of another series, or of its own as it has gone on.

    Raises:
        DataError: a value has no logarithm, or it cannot be told where in the season the rows stand.
    """
    if card.transform is None:
        return None
    steps: list[Step] = []
    for step in card.transform.steps:
        if isinstance(step, Log):
            Log.fit(series)
        if isinstance(step, Anomaly):
            steps.append(replace(step, cycle=_cycle_like(card, step.cycle, series)))
        elif isinstance(step, Trend):
            steps.append(replace(step, times=times_of(series.index)))
        else:
            steps.append(step)
    return replace(card.transform, steps=tuple(steps))


def _cycle_like(card: ModelCard, cycle: Cycle, series: Series) -> Cycle:
    """Where in a model's season the rows of a series stand."""
    kept = card.context
    if not series.has_dates:
        # Rows are numbered as in the training, from 0 on.
        return Cycle(cycle.season, series.index.to_numpy() % cycle.season)
    found = cycle_of(series.index, cycle.season, places_of(series)).phase
    at = series.index.get_indexer(kept.index)
    # A season that the calendar does not know is counted from the first row, which is another one here.
    shifts = np.unique((cycle.phase - found[at])[at >= 0] % cycle.season)
    if len(shifts) != 1 and (len(shifts) or cycle.season not in calendar_seasons(series.index)):
        raise DataError(
            f"{series.name}: cannot tell where in the season of {cycle.season} these rows stand, expected rows that "
            f"follow those that the model was trained on, to {card.last}."
        )
    return Cycle(cycle.season, (found + shifts.sum()) % cycle.season)


def known_rows(card: ModelCard, rows: Series) -> Series:
    """Put newer rows behind those that a model keeps.

    Args:
        card: of the model.
        rows: newer rows, which count where both have one of the same date. Without dates they stand alone; they are
            numbered as in the training where they hold its last rows.

    Returns:
        The rows, and before them those of the model that are older.

    Raises:
        DataError: columns, dates or frequency differ.
    """
    _require_alike(card, rows)
    kept = card.context
    frame, ahead = (_as_kept(part, kept) for part in (rows.frame[list(kept.frame)], rows.ahead))
    if rows.has_dates:
        frame = pd.concat([kept.frame[kept.index < frame.index[0]], frame])
    else:
        first = int(card.last) + 1 - end_of_training(card, frame)
        frame = frame.set_axis(pd.RangeIndex(first, first + len(frame)))
    return replace(kept, frame=frame, ahead=ahead, fill="mask" if frame.isna().any(axis=None) else None)


def end_of_training(card: ModelCard, frame: pd.DataFrame) -> int:
    """In rows without dates, the place after the last one of the training, told by values.

    Raises:
        DataError: they do not hold its last rows, and the model has to know where in the season they stand.
    """
    kept = card.context.frame
    for stop in np.flatnonzero(np.isclose(frame, kept.iloc[-1], equal_nan=True).all(axis=1)) + 1:
        rows = min(int(stop), len(kept))
        if rows >= card.reach and np.isclose(frame[stop - rows : stop], kept[-rows:], equal_nan=True).all():
            return int(stop)
    if card.transform is not None and any(isinstance(step, Anomaly | Trend) for step in card.transform.steps):
        raise DataError(
            f"received {len(frame)} rows without dates, expected among them the last {card.reach} that the model was "
            "trained on: without these it cannot be told where in the season and on the trend they stand."
        )
    return 0


def _as_kept(rows: pd.DataFrame, kept: Series) -> pd.DataFrame:
    """Rows with dates in the time zone and precision of those that a model keeps."""
    if not isinstance(rows.index, pd.DatetimeIndex):
        return rows
    index = rows.index.as_unit(kept.index.unit)
    return rows.set_axis(index if None in (index.tz, kept.index.tz) else index.tz_convert(kept.index.tz))


def _require_alike(card: ModelCard, rows: Series) -> None:
    """Refuse rows of another kind than the model was trained on."""
    kept = card.context
    require_columns(rows.frame, list(kept.frame), rows.name)
    if rows.targets != kept.targets:
        raise DataError(
            f"{rows.name}: received target {', '.join(rows.targets)}, expected {', '.join(kept.targets)}: what the "
            "model was trained on."
        )
    kinds = ["dates" if series.has_dates else "no dates" for series in (rows, kept)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"{rows.name}: received rows with {kinds[0]}, expected {kinds[1]}, as those that the model was trained on; "
            "name the column of dates with ",
            Parameter("time"),
            ".",
        )
    if not rows.has_dates:
        return
    zones = [str(series.index.tz) if series.index.tz is not None else "no time zone" for series in (rows, kept)]
    if "no time zone" in zones and zones[0] != zones[1]:
        raise DataError(
            f"{rows.name}: received dates with {zones[0]}, expected {zones[1]}, as those that the model was trained on."
        )
    _require_step(card, rows)


def _require_step(card: ModelCard, rows: Series) -> None:
    """Refuse dates of another frequency."""
    if len(rows) < 2:
        return
    if card.freq:
        other = len(frequency.read(rows.index, freq=card.freq).off) > 0
    else:
        steps = [float(np.median(np.diff(index.asi8) / 1e9)) for index in _in_seconds(rows, card.context)]
        other = not 2 / 3 < steps[0] / steps[1] < 3 / 2
    if other:
        raise DataError(
            f"{rows.name}: received dates that are {rows.step}, expected {card.step}, as those that the model was "
            "trained on; resample the file, or fit a model on it."
        )


def _in_seconds(*several: Series) -> list[pd.DatetimeIndex]:
    return [series.index.as_unit("ns") for series in several]


def _require_stretch(card: ModelCard, series: Series) -> None:
    """Refuse rows of which too few at the end follow one another."""
    first, stop = series.stretches[-1].tolist() if len(series.stretches) else (0, 0)
    whole = stop - first if stop == len(series) else 0
    if whole < card.reach:
        raise DataError(
            f"{series.name}: received {whole} rows without missing dates or values before the first step to forecast, "
            f"expected at least {card.reach}: as many as the model reads; bring more rows, or fill missing values."
        )


def covariates_ahead(card: ModelCard | PanelCard, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Take a model's covariates at the steps to come out of a table.

    Args:
        card: of the model.
        frame: one row a step, in order, with dates as in the model's own file, or in a column that is named as such.
        name: of the table, for messages.

    Returns:
        The covariates that it holds, indexed by dates, or by row numbers where the model's rows have no dates; of a
        model of many series see :func:`kseq.panels.forecasting.panel_covariates_ahead`.

    Raises:
        DataError: no covariate or no date is among the columns, or one holds no numbers.
    """
    if isinstance(card, PanelCard):
        return panel_covariates_ahead(card, frame, name)
    kept = card.context
    columns = [column for column in (*kept.features, *kept.future) if column in frame.columns]
    if not columns:
        require_columns(frame, [*kept.future, *kept.features][:1], name)
    known = pd.DataFrame({column: numbers(frame[column], name) for column in columns}, index=frame.index)
    if not kept.has_dates or isinstance(frame.index, pd.DatetimeIndex):
        return _as_kept(known, kept)
    times = card.reading.get("time") or [column for column in frame.columns if str(column).lower() in TIME_NAMES][:1]
    times = [times] if isinstance(times, str) else list(times)
    if not times:
        raise DataError(f"{name}: found no column of dates, expected one of {', '.join(TIME_NAMES)}; rename it.")
    require_columns(frame, times, name)
    return _as_kept(known.set_axis(read_dates(frame, times, name)), kept)


def _covariates(card: ModelCard, ahead: pd.DataFrame, blocks: int, dates: pd.Index, given: bool) -> pd.DataFrame:
    """Covariates at the steps to come, indexed by their dates; refuse what is missing, or given and not needed."""
    kept, horizon = card.context, card.horizon
    needed = dict.fromkeys(kept.features, (blocks - 1) * horizon) | dict.fromkeys(kept.future, blocks * horizon)
    if given and not any(needed.values()):
        raise ConfigError("received covariates of steps to come, and the model reads none for them; leave them out.")
    ahead = ahead[: len(dates)]
    if isinstance(dates, pd.DatetimeIndex) and isinstance(ahead.index, pd.DatetimeIndex):
        alike = (ahead.index.tz is None) == (dates.tz is None)
        wrong = np.flatnonzero(ahead.index != dates[: len(ahead)]) if alike else np.arange(1)
        if len(ahead) and len(wrong):
            raise DataError(
                f"received covariates of {ahead.index[wrong[0]]}, expected {dates[wrong[0]]} as step {wrong[0] + 1}; "
                "bring one row a step to come, in order."
            )
    for column, steps in needed.items():
        have = int(ahead[column][:steps].notna().sum()) if column in ahead.columns else 0
        if have < steps:
            raise DataError(
                f"received {column!r} at {have} steps to come, expected it at the first {steps}: the model reads it to "
                f"forecast {blocks * horizon}; give it with ",
                Parameter("future"),
                ", or forecast fewer ",
                Parameter("steps"),
                ".",
            )
    return ahead.set_axis(dates[: len(ahead)])
