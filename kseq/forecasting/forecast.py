"""What a trained model says of the steps after each series."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import Panel, Series, series_of
from kseq.data._options import Cells
from kseq.data.columns import ID_NAME, TIME_NAMES, numbers, require_columns
from kseq.data.dates import placing, read_dates
from kseq.data.frequency import counts_steps
from kseq.data.slices import extended
from kseq.errors import ConfigError, DataError, Parameter
from kseq.forecasting.bands import bands_around
from kseq.forecasting.card import ModelCard
from kseq.forecasting.history import History, history_of, panel_like, rows_at_end, unit_like
from kseq.forecasting.model_file import TrainedModel
from kseq.forecasting.result import Forecast
from kseq.naming import checked
from kseq.preprocessing.windows import WindowedPanel
from kseq.validation import require_whole


@checked("kseq.forecast")
def forecast(
    model: TrainedModel,
    steps: int | None = None,
    *,
    rows: Any = None,
    future: pd.DataFrame | None = None,
    levels: float | Sequence[float] | None = None,
    ids: Sequence[object] | None = None,
) -> Forecast:
    """Forecast the steps after each series.

    Steps beyond the model's horizon are forecast from the forecasts before them.

    Args:
        model: A model from :func:`kseq.forecasting.fit.fit_model` or :func:`kseq.forecasting.model_file.load`.
        steps: Number of steps, at least 1; the model's horizon by default.
        rows: Newer rows to forecast from, as :func:`kseq.compare` takes a series; they may follow those that the model
            keeps, or overlap with them. By default it forecasts from the last rows that it was trained on. They may be
            of series that it has not seen, if their past is long enough.
        future: Covariates at the steps to come, one row a series and step, from :func:`covariates_ahead`: future
            covariates of all steps, and past ones of those that later blocks of ``horizon`` steps read.
        levels: Percents that intervals are to cover; by default those named when the model was fitted, as far as
            they are known.
        ids: Series to forecast; by default all that it was trained on, or all of ``rows``.

    Returns:
        Forecast: The forecasts, with ``.frame``, ``.plot()`` and ``.write(folder)``.

    Raises:
        ConfigError: A number of steps below 1, a level of which nothing is known, or an id of no series.
        DataError: The rows do not fit the model, too little is known of a series, covariates of steps to come are
            missing, or a forecast is not finite.

    Example:
        >>> forecast(model, 12).frame  # doctest: +SKIP
    """
    if not isinstance(model, TrainedModel):
        raise ConfigError(
            f"received a model of type {type(model).__name__}, expected one from kseq.fit or kseq.load_model; a "
            "Forecaster forecasts by its predict."
        )
    card = model.card
    steps = card.horizon if steps is None else steps
    require_whole("steps", steps)
    if rows is not None:
        rows = series_of(rows)
    history, ahead, notes = rows_to_forecast(card, steps, rows, future, ids)
    blocks = -(-steps // card.horizon)
    ends = ahead.ends
    segments = [range(end, end + 1) for end in ends.tolist()]
    # Keras is loaded with it.
    from kseq.training.rollout import roll_out_quantiles

    target_rows = ends[:, None] + np.arange(blocks * card.horizon)
    # What overflows is told below.
    with np.errstate(over="ignore", invalid="ignore"):
        data = panel_like(card, replace(history, panel=ahead), ends, segments, np.arange(len(ends)))
        nothing = np.empty((1, len(ends), 0, data.targets))
        made, every = (part[0] for part in roll_out_quantiles(model.network, data, ends, nothing, blocks))
        values = as_values(data, made, target_rows)[:, :steps]
        quantiles = quantiles_as_values(data, every, target_rows)[:, :steps]
    require_numbers(values, card.name, history.panel.name)
    bands, missing = bands_around(card, values, quantiles, levels, unit_like(card, history, data)[:, None])
    if blocks > 1:
        what = "1 step" if card.horizon == 1 else f"{card.horizon} steps"
        notes.append(f"The model forecasts {what} at once: from step {card.horizon + 1} on it reads its own forecasts.")
    dates = ahead.index[target_rows[:, :steps].ravel()]
    return Forecast(card.name, dates, values, bands, (*notes, *missing), history.panel)


def rows_to_forecast(
    card: ModelCard,
    steps: int,
    rows: Series | Panel | None,
    future: pd.DataFrame | None,
    ids: Sequence[object] | None,
) -> tuple[History, Panel, list[str]]:
    """Gather the rows that forecasts start from, and lay those of the steps to come behind them.

    Args:
        card: Card of the model.
        steps: Number of steps to forecast.
        rows: Newer rows, as in :func:`forecast`.
        future: Covariates of the steps to come, as there.
        ids: Series to forecast, as there.

    Returns:
        What is known of each series; the same with rows for the steps to come, as many as whole blocks of ``horizon``
        steps take; and sentences on what was left out.

    Raises:
        ConfigError, DataError: As :func:`forecast`.
    """
    history, notes = _long_enough(card, history_of(card, rows, ids), named=ids is not None)
    blocks = -(-steps // card.horizon)
    ahead = _with_covariates(card, extended(history.panel, blocks * card.horizon, card.freq), blocks, future)
    return history, ahead, notes


def _long_enough(card: ModelCard, history: History, named: bool) -> tuple[History, list[str]]:
    """Leave out series whose last rows are broken; refuse such as were named, and unseen ones that are too short."""
    whole, notes = rows_at_end(history), []
    new = history.place < 0
    absent = len(card.context.ids) - len(np.unique(history.place[~new]))
    need = card.reach + card.horizon
    if (new & (whole < need)).any():
        first = int((new & (whole < need)).argmax())
        raise DataError(
            f"{history.panel.name}: series '{history.panel.ids[first]}' was not in the training, and its last "
            f"{whole[first]} rows without missing dates or values are too few, expected at least {need}: "
            f"{card.reach} to read, and {card.horizon} more for a scale; bring more rows, or leave it out with ",
            Parameter("series"),
            f" ({history.ids(new & (whole < need))} are such).",
        )
    short = whole < card.reach
    if short.any():
        first = int(short.argmax())
        reason = (
            f"{whole[first]} rows without missing dates or values before the first step to forecast, expected at "
            f"least {card.reach}: as many as the model reads"
        )
        if named or short.all():
            raise DataError(
                f"series '{history.panel.ids[first]}': received {reason}; bring more rows, or fill missing values."
            )
        notes.append(f"{history.ids(short)} are left out: received {reason}.")
        history, new = history.of(np.flatnonzero(~short)), new[~short]
    if new.any():
        notes.append(f"{history.ids(new)} were not in the training, and are scaled by their own past.")
    if history.given:
        notes.append(_start_note(history.panel, int((history.panel.ends - history.own).sum())))
        if absent and not named:
            notes.append(
                f"{absent} of the {len(card.context.ids)} series that the model was trained on have no rows here, and "
                "are not forecast."
            )
    return history, notes


def _start_note(panel: Panel, given: int) -> str:
    """Say after which rows forecasts start; ``given`` rows came with the call."""
    last, source = panel.index[panel.ends - 1], panel.source or panel.name
    if len(panel.ids) == 1:
        where = placing(panel.index)(int(panel.ends[0]) - 1)
        return f"Forecasts start after {where}, the last of {given} rows of {source}."
    place = placing(pd.Index([last.min(), last.max()]))
    where = place(0) if last.min() == last.max() else f"{place(0)} to {place(1)}"
    if not panel.has_dates:
        where = "the last row of each series"
    return f"Forecasts start after {where}, the last rows of {len(panel.ids)} series of {source}."


def as_values(data: WindowedPanel, made: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Forecasts in the targets' unit; ``rows`` of the panel are those that they are of, ``(windows, steps)``."""
    return made if data.transform is None else data.transform.undo(made, data.series, rows)


def quantiles_as_values(data: WindowedPanel, every: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Quantiles in the targets' unit, ``(windows, steps, targets, quantile)``; ``rows`` as of :func:`as_values`."""
    return np.stack([as_values(data, one, rows) for one in np.moveaxis(every, -1, 0)], axis=-1)


def covariates_ahead(card: ModelCard, frame: pd.DataFrame, name: str, cells: Cells | None = None) -> pd.DataFrame:
    """Take a model's covariates at the steps to come out of a table.

    Args:
        card: Card of the model.
        frame: One row a series and step, with ids and dates in columns as in the model's own file, or in such as are
            named ``unique_id`` and ``ds``; dates may be its index. For a model of one series ids may be left out.
            Without dates the rows of a series are its steps in order.
        name: Name of the table, for messages.
        cells: How the cells of the file are read; by default as those of the model's own file.

    Returns:
        The covariates that it holds, indexed by id, as text, and by date (``ds``), or by the number of the step from 0
        (``step``).

    Raises:
        DataError: No covariate, id or date is among the columns; one holds no numbers; a date stands twice.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"received {name} of type {type(frame).__name__}, expected a DataFrame.")
    kept = card.context
    frame = frame.reset_index() if frame.index.name == ID_NAME else frame
    cells = cells or Cells.of({key: card.reading[key] for key in ("missing", "date_format") if key in card.reading})
    columns = [column for column in dict.fromkeys([*kept.features, *kept.future]) if column in frame.columns]
    if not columns:
        require_columns(frame, [*kept.future, *kept.features][:1], name)
    id = str(card.reading.get("id") or ID_NAME)
    id = id if id in frame.columns else ID_NAME
    if len(kept.ids) == 1:
        ids = pd.Index([kept.ids[0]]).repeat(len(frame))
    else:
        require_columns(frame, [id], name)
        ids = pd.Index(frame[id]).astype(str)
    dates = _dates_ahead(card, frame, cells, name)
    numbered = pd.Index(pd.Series(0, index=ids).groupby(level=0, sort=False).cumcount())
    levels, called = [ids, numbered if dates is None else dates], "step" if dates is None else "ds"
    index = pd.MultiIndex.from_arrays(levels, names=[ID_NAME, called])
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise DataError(f"{name}: series '{twice[0]}' has two rows of {twice[1]}, expected one a step.")
    return pd.DataFrame({column: numbers(frame[column], name, missing=cells.numbers) for column in columns}).set_axis(
        index
    )


def _dates_ahead(card: ModelCard, frame: pd.DataFrame, cells: Cells, name: str) -> pd.Index | None:
    """Dates of a table's rows in the time zone and precision of those that a model keeps; None where it has none."""
    kept = card.context
    if not isinstance(kept.index, pd.DatetimeIndex) and not counts_steps(kept.index):
        return None
    if isinstance(frame.index, pd.DatetimeIndex):
        step = frame.index
    else:
        given = card.reading.get("time") or ()
        times: list[str] = [given] if isinstance(given, str) else list(given)
        if not times or not set(times) <= set(frame.columns):
            times = [column for column in frame.columns if str(column).lower() in TIME_NAMES][:1]
        if not isinstance(kept.index, pd.DatetimeIndex):
            # Without a column of numbers the rows of a series are its steps in order.
            return read_dates(frame, times, name, cells=cells) if times else None
        if not times:
            raise DataError(f"{name}: found no column of dates, expected one of {', '.join(TIME_NAMES)}; rename it.")
        step = pd.DatetimeIndex(read_dates(frame, times, name, cells=cells))
    if not isinstance(kept.index, pd.DatetimeIndex):
        raise DataError(f"{name}: received dates, expected whole numbers, as the model was trained on.")
    if (step.tz is None) != (kept.index.tz is None):
        raise DataError(f"{name}: received dates with time zone {step.tz}, expected {kept.index.tz}.")
    return (step if step.tz is None else step.tz_convert(kept.index.tz)).as_unit(kept.index.unit)


def _with_covariates(card: ModelCard, panel: Panel, blocks: int, given: pd.DataFrame | None) -> Panel:
    """Write covariates into the rows of the steps to come; refuse what is missing, or given and not needed."""
    needed = dict.fromkeys(panel.features, (blocks - 1) * card.horizon)
    needed |= dict.fromkeys(panel.future, blocks * card.horizon)
    if given is not None and not any(needed.values()):
        raise ConfigError("received covariates of steps to come, and the model reads none for them; leave them out.")
    steps = blocks * card.horizon
    rows = panel.ends[:, None] + np.arange(steps)
    values = panel.values.copy()
    if given is not None:
        ids = panel.ids.astype(str).repeat(steps)
        dated = given.index.names[1] == "ds"
        step = panel.index[rows.ravel()] if dated else pd.Index(np.tile(np.arange(steps), len(panel.ids)))
        at = given.index.get_indexer(pd.MultiIndex.from_arrays([ids, step], names=given.index.names))
        for column in given.columns:
            found = given[column].to_numpy()[at[at >= 0]]
            values[rows.ravel()[at >= 0], panel.columns.index(column)] = found
    for column, count in needed.items():
        missing = np.isnan(values[rows[:, :count], panel.columns.index(column)])
        if missing.any():
            series, step = np.argwhere(missing)[0]
            several = len(panel.ids) > 1
            whose = f"series '{panel.ids[series]}', " if several else ""
            raise DataError(
                f"{column!r} is missing at {int(missing.sum())} of {missing.size} steps to come (first: {whose}"
                f"{placing(panel.index)(int(rows[series, step]))}), expected it at the first {count}"
                f"{' of each series' if several else ''}: the model reads it to forecast {steps}; give it with ",
                Parameter("future"),
                ", or forecast fewer ",
                Parameter("steps"),
                ".",
            )
    return replace(panel, values=values)


def require_numbers(values: np.ndarray, name: str, source: str) -> None:
    """Refuse forecasts that are not finite.

    Args:
        values: Forecasts of any shape.
        name: Name of the model, for the message.
        source: Name of the series that it read.

    Raises:
        DataError: One of them is NaN or infinite.

    Example:
        >>> require_numbers(np.array([1.0, 2.0]), "GRU", "sst")
    """
    lacking = int(values.size - np.isfinite(values).sum())
    if lacking:
        raise DataError(
            f"{source}: {lacking} of {values.size} forecasts of {name} are not finite, expected numbers; the rows are "
            "far beyond those that the model was trained on, or the model has diverged: check the rows, or fit it "
            "again."
        )
