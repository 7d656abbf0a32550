"""What a model of many series says of the steps after each of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kseq.errors import ConfigError, DataError, Parameter
from kseq.forecasts import Forecasts, require_numbers
from kseq.modelcard import bands_around
from kseq.modelfile import TrainedPanel
from kseq.panels.card import PanelCard
from kseq.panels.history import History, history_of, panel_like, rows_at_end, unit_like
from kseq.data.slices import extended
from kseq.panels.windows import WindowedPanel
from kseq.data import Panel
from kseq.data.dates import placing, read_dates
from kseq.data.files import numbers
from kseq.data.columns import ID_NAME, TIME_NAMES, require_columns
from kseq.transforms import FittedTransform
from kseq.validation import require_whole

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False, kw_only=True)
class PanelForecast(Forecasts):
    """Forecasts of the steps after each series of a panel: values ``(series, steps, targets)``.

    Dates are those of the steps, series after series, ``(series * steps,)``.

    Args:
        history: the last rows that were known of each series.
    """

    history: Panel

    @property
    def frame(self) -> pd.DataFrame:
        """Long form, as :attr:`kseq.forecasting.Forecast.frame`."""
        return self._frame(self.history.ids.astype(str).tolist(), self.history.targets)


def forecast_panel(
    model: TrainedPanel,
    steps: int | None = None,
    *,
    rows: Panel | None = None,
    future: pd.DataFrame | None = None,
    levels: Sequence[float] | None = None,
    ids: Sequence[object] | None = None,
) -> PanelForecast:
    """Forecast the steps after each series, see :func:`kseq.forecasting.forecast`.

    Raises:
        ConfigError: as there; or there is no series of an id.
        DataError: as there; or too little is known of a series.
    """
    card = model.card
    steps = card.horizon if steps is None else steps
    require_whole("steps", steps)
    history, notes = _long_enough(card, history_of(card, rows, ids), named=ids is not None)
    blocks = -(-steps // card.horizon)
    ahead = _with_covariates(card, extended(history.panel, blocks * card.horizon, card.freq), blocks, future)
    ends = ahead.ends
    data = panel_like(
        card, replace(history, panel=ahead), ends, [range(end, end + 1) for end in ends.tolist()], np.arange(len(ends))
    )
    made = np.empty((len(ends), 0, data.targets))
    for _ in range(blocks):
        made = go_on(model.network, data, ends, made)
    target_rows = ends[:, None] + np.arange(blocks * card.horizon)
    values = as_values(data, made, target_rows)[:, :steps]
    require_numbers(values, card.name, history.panel.name)
    bands, missing = bands_around(card, values, levels, unit_like(card, history, data)[:, None])
    if blocks > 1:
        what = "1 step" if card.horizon == 1 else f"{card.horizon} steps"
        notes.append(f"The model forecasts {what} at once: from step {card.horizon + 1} on it reads its own forecasts.")
    dates = ahead.index[target_rows[:, :steps].ravel()]
    return PanelForecast(card.name, dates, values, bands, (*notes, *missing), history=history.panel)


def _long_enough(card: PanelCard, history: History, named: bool) -> tuple[History, list[str]]:
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
        notes.append(_start_note(history.panel))
        if absent and not named:
            notes.append(
                f"{absent} of the {len(card.context.ids)} series that the model was trained on have no rows here, and "
                "are not forecast."
            )
    return history, notes


def _start_note(panel: Panel) -> str:
    """Say after which rows forecasts start."""
    last = panel.index[panel.ends - 1]
    place = placing(pd.Index([last.min(), last.max()]))
    where = place(0) if last.min() == last.max() else f"{place(0)} to {place(1)}"
    if not panel.has_dates:
        where = "the last row of each series"
    return f"Forecasts start after {where}, the last rows of {len(panel.ids)} series of {panel.source or panel.name}."


def go_on(network: "keras.Model", data: WindowedPanel, starts: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Forecast the next ``horizon`` steps after those that are made.

    Args:
        network: the model.
        data: windows, whose series they are.
        starts: row of the first step of each forecast, ``(windows,)``; sorted.
        made: forecasts of the steps so far, ``(windows, steps, targets)``, transformed and not scaled.

    Returns:
        ``(windows, steps + horizon, targets)``; they are what the model forecasts, see :func:`as_values`.
    """
    # Keras is loaded with it.
    from kseq import memory

    panel, steps = data.series, made.shape[1]
    owners = panel.series_of(starts)
    part = data.test if len(data.test) else data.validation
    size = memory.windows_at_once(network, data.lookback)
    read = [number for number, target in enumerate(panel.targets) if target in data.input_columns]
    places = [data.input_columns.index(panel.targets[number]) for number in read]
    past = _as_read(data, made, starts)[:, -data.lookback :, read] if steps and places else None
    outputs = []
    for first in range(0, len(starts), size):
        some = slice(first, first + size)
        x, _ = part.gather_at(starts[some] + steps)
        if past is not None:
            # Earlier forecasts stand where the model reads what has been.
            center, scale = (of[owners[some]][:, None, places] for of in _columns(data))
            x[:, -past.shape[1] :, places] = (past[some] - center) / scale
        outputs.append(_of_one_shape(network, x, min(size, len(starts))))
    scaled = np.concatenate(outputs).astype("float64").reshape(len(starts), data.horizon, data.targets)
    return np.concatenate([made, data.target_scaler.inverse_of(scaled, owners)], axis=1)


def _columns(data: WindowedPanel) -> tuple[np.ndarray, np.ndarray]:
    return data.input_scaler.center, data.input_scaler.scale


def _of_one_shape(network: "keras.Model", x: np.ndarray, size: int) -> np.ndarray:
    """What a network gives for a batch, filled up to ``size``: what compiles for each shape does so once."""
    padded = np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])
    return np.asarray(network.predict_on_batch(padded))[: len(x)]


def _as_read(data: WindowedPanel, made: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """What a model reads of its own forecasts, ``(windows, steps, targets)``, not scaled."""
    transform = data.transform
    if not isinstance(transform, FittedTransform) or not transform.changes:
        return made
    # It forecasts changes, and reads levels.
    levels, _ = transform.apply(data.series)
    return levels[starts - 1][:, None] + np.cumsum(made, axis=1)


def as_values(data: WindowedPanel, made: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Forecasts in the targets' unit; ``rows`` of the panel are those that they are of, ``(windows, steps)``."""
    return made if data.transform is None else data.transform.undo(made, data.series, rows)


def panel_covariates_ahead(card: PanelCard, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Take a model's covariates at the steps to come out of a table of many series.

    Args:
        card: of the model.
        frame: one row a series and step, with ids and dates in columns as in the model's own file, or in such as are
            named ``unique_id`` and ``ds``. Without dates the rows of a series are its steps in order.
        name: of the table, for messages.

    Returns:
        The covariates that it holds, indexed by id, as text, and date, or number of the step.

    Raises:
        DataError: no covariate, id or date is among the columns; one holds no numbers; a date stands twice.
    """
    kept = card.context
    frame = frame.reset_index() if frame.index.name == ID_NAME else frame
    columns = [column for column in dict.fromkeys([*kept.features, *kept.future]) if column in frame.columns]
    if not columns:
        require_columns(frame, [*kept.future, *kept.features][:1], name)
    id = str(card.reading.get("id") or ID_NAME)
    id = id if id in frame.columns else ID_NAME
    require_columns(frame, [id], name)
    ids = pd.Index(frame[id]).astype(str)
    step: pd.Index = pd.Index(frame.groupby(id, sort=False).cumcount())
    if kept.has_dates:
        given = card.reading.get("time") or ()
        times: list[str] = [given] if isinstance(given, str) else list(given)
        if not times or not set(times) <= set(frame.columns):
            times = [column for column in frame.columns if str(column).lower() in TIME_NAMES][:1]
        if not times:
            raise DataError(f"{name}: found no column of dates, expected one of {', '.join(TIME_NAMES)}; rename it.")
        step = pd.DatetimeIndex(read_dates(frame, times, name))
        if (step.tz is None) != (kept.index.tz is None):
            raise DataError(f"{name}: received dates with time zone {step.tz}, expected {kept.index.tz}.")
        step = (step if step.tz is None else step.tz_convert(kept.index.tz)).as_unit(kept.index.unit)
    index = pd.MultiIndex.from_arrays([ids, step], names=[ID_NAME, "ds"])
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise DataError(f"{name}: series '{twice[0]}' has two rows of {twice[1]}, expected one a step.")
    return pd.DataFrame({column: numbers(frame[column], name) for column in columns}).set_axis(index)


def _with_covariates(card: PanelCard, panel: Panel, blocks: int, given: pd.DataFrame | None) -> Panel:
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
        step = panel.index[rows.ravel()] if panel.has_dates else pd.Index(np.tile(np.arange(steps), len(panel.ids)))
        at = given.index.get_indexer(pd.MultiIndex.from_arrays([ids, step], names=given.index.names))
        for column in given.columns:
            found = given[column].to_numpy()[at[at >= 0]]
            values[rows.ravel()[at >= 0], panel.columns.index(column)] = found
    for column, count in needed.items():
        missing = np.isnan(values[rows[:, :count], panel.columns.index(column)])
        if missing.any():
            series, step = np.argwhere(missing)[0]
            raise DataError(
                f"{column!r} is missing at {int(missing.sum())} of {missing.size} steps to come (first: series "
                f"'{panel.ids[series]}', {placing(panel.index)(int(rows[series, step]))}), expected it at the first "
                f"{count} of each series: the model reads it to forecast {steps}; give it with ",
                Parameter("future"),
                ", or forecast fewer ",
                Parameter("steps"),
                ".",
            )
    return replace(panel, values=values)
