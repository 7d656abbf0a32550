"""The rows that a model forecasts from, in the scales and with the transform that it was trained with.

A series that the model was trained on keeps its scale, the means of its seasons and its trend. One that it has not seen
gets them from its own past, by the same rules: :class:`kseq.preprocessing.scalers.Scaler` and
:func:`kseq.preprocessing.transforms.fit_steps` are fitted on that past, and what the model knows takes their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kseq.data import Panel, Series, frequency
from kseq.data.columns import require_columns
from kseq.data.slices import chosen, common_rows, joined, places_in
from kseq.errors import ConfigError, DataError, Parameter
from kseq.forecasting.card import ModelCard
from kseq.preprocessing.autoregression import Autoregression
from kseq.preprocessing.columns import encoded
from kseq.preprocessing.seasonality import Cycle, calendar_seasons
from kseq.preprocessing.splits import Split, placed_windows
from kseq.preprocessing.steps import Anomaly, Step, Trend
from kseq.preprocessing.transforms import FittedTransform, fit_steps, steps_of
from kseq.preprocessing.windows import Frame, WindowedPanel, calendar_of


@dataclass(frozen=True, eq=False)
class History:
    """Rows of a panel up to which all is known.

    Args:
        panel: The series, with what is known ahead in the rows after the last target.
        place: Place of each series among those that the model was trained on; -1 for one that it has not seen.
        own: First row of each series that is not among those that the model keeps.
        given: Number of series that came with rows of their own; 0 where all rows are the model's.
    """

    panel: Panel
    place: np.ndarray
    own: np.ndarray
    given: int

    def of(self, places: np.ndarray) -> "History":
        """Some of its series, by their places; sorted."""
        shift = self.own[places] - self.panel.borders[places]
        panel = chosen(self.panel, places)
        return replace(self, panel=panel, place=self.place[places], own=panel.borders[:-1] + shift)

    def ids(self, which: np.ndarray) -> str:
        """Name some of its series, for messages: how many, and the first."""
        places = np.flatnonzero(which)
        return f"{len(places)} of {len(which)} series (first: '{self.panel.ids[places[0]]}')"


def history_of(card: ModelCard, rows: Series | Panel | None = None, ids: Sequence[object] | None = None) -> History:
    """Gather what is known of the series that are to be forecast.

    Args:
        card: Card of the model.
        rows: Newer rows, of series that the model knows or of others; they count where both have one of the same date.
            None for the rows that the model keeps of all of its series. Where the model knows one series and the rows
            are those of one, they are taken for the same, whatever they are called.
        ids: Series to take; all by default.

    Raises:
        ConfigError: There is none of an id.
        DataError: Columns, dates or frequency of the rows differ from those that the model was trained on.
    """
    kept = card.context
    if rows is None:
        at = np.arange(len(kept.ids))
        found = History(kept, at, kept.ends, 0)
    else:
        rows = _alike(card, Panel.of(rows))
        at = places_in(rows.ids, kept.ids)
        if rows.has_dates or _both_count(kept, rows):
            panel, own = joined(kept, rows, at, card.freq)
        else:
            panel, own = replace(rows, index=_numbered(card, rows, at), fill="mask"), rows.borders[:-1]
        found = History(panel, at, own, len(rows.ids))
    return found if ids is None else found.of(_places_of(found.panel, ids))


def _places_of(panel: Panel, ids: Sequence[object]) -> np.ndarray:
    places = places_in(pd.Index([str(id) for id in ids]), panel.ids)
    if (places < 0).any():
        unknown = list(ids)[int((places < 0).argmax())]
        shown = ", ".join(map(str, panel.ids[:3])) + " and more" * (len(panel.ids) > 3)
        raise ConfigError(f"received series {str(unknown)!r}, expected one of the {len(panel.ids)} there are: {shown}.")
    return np.unique(places)


def _alike(card: ModelCard, rows: Panel) -> Panel:
    """Rows with the columns, dates and static covariates that the model was trained on.

    Raises:
        DataError: They cannot be had.
    """
    kept = card.context
    require_columns(pd.DataFrame(columns=rows.columns), kept.columns, rows.name)
    if rows.targets != kept.targets:
        raise DataError(
            f"{rows.name}: received target {', '.join(rows.targets)}, expected {', '.join(kept.targets)}: what the "
            "model was trained on."
        )
    zones = [_zone(panel) for panel in (rows, kept)]
    if zones[0] != zones[1] and not all(zone.startswith("dates in") for zone in zones):
        raise DataError(
            f"{rows.name}: received rows with {zones[0]}, expected {zones[1]}, as those that the model was trained on; "
            "name the column of dates with ",
            Parameter("time"),
            ", or write dates in a time zone as the training had them.",
        )
    if rows.has_dates and _other_step(card, rows):
        raise DataError(
            f"{rows.name}: received dates that are {rows.step}, expected {card.step}, as those that the model was "
            "trained on; resample the file, or fit a model on it."
        )
    if _both_count(kept, rows):
        step, known = _step(rows), _step(kept)
        if step != known and len(rows) > len(rows.ids):
            raise DataError(
                f"{rows.name}: received steps that are {step} apart, expected {known}, as those that the model was "
                "trained on; resample the file, or fit a model on it."
            )
    ids = kept.ids if len(kept.ids) == len(rows.ids) == 1 else rows.ids
    filled = rows.filled
    if filled is not None and rows.columns != kept.columns:
        filled = filled[:, [rows.columns.index(column) for column in kept.columns]]
    return replace(
        rows,
        ids=ids,
        index=_as_kept(rows.index, kept.index),
        values=rows.values_of(kept.columns),
        features=kept.features,
        future=kept.future,
        static=_static_like(card, rows, ids),
        filled=filled,
    )


def _both_count(kept: Panel, rows: Panel) -> bool:
    """Whether whole numbers say where the rows stand, in a training and in newer rows."""
    return frequency.counts_steps(kept.index) and frequency.counts_steps(rows.index)


def _step(panel: Panel) -> int:
    return frequency.step_of_numbers(panel.index.to_numpy(), panel.borders[1:-1] - 1)


def _zone(panel: Panel) -> str:
    if not isinstance(panel.index, pd.DatetimeIndex):
        return "no dates"
    return "dates without a time zone" if panel.index.tz is None else f"dates in {panel.index.tz}"


def _other_step(card: ModelCard, rows: Panel) -> bool:
    if card.freq:
        return len(frequency.read(rows.index, rows.borders, card.freq).off) > 0
    steps = []
    for panel in (rows, card.context):
        inside = np.ones(len(panel) - 1, bool)
        inside[panel.borders[1:-1] - 1] = False
        steps.append(np.diff(panel.index.as_unit("ns").asi8)[inside])
    if not min(map(len, steps)):
        return False
    return not 2 / 3 < np.median(steps[0]) / np.median(steps[1]) < 3 / 2


def _as_kept(index: pd.Index, kept: pd.Index) -> pd.Index:
    """Dates in the time zone and precision of those that a model keeps."""
    if not isinstance(index, pd.DatetimeIndex) or not isinstance(kept, pd.DatetimeIndex):
        return index
    index = index.as_unit(kept.unit)
    return index if index.tz is None else index.tz_convert(kept.tz)


def _static_like(card: ModelCard, rows: Panel, ids: pd.Index) -> pd.DataFrame:
    """Static covariates with the categories that the model knows; those of series that it knows may be left out."""
    static, at = {}, places_in(ids, card.context.ids)
    for column, known in card.context.static.items():
        if column not in rows.static and (at >= 0).all():
            static[column] = known.iloc[at].set_axis(ids)
            continue
        require_columns(pd.DataFrame(columns=[*rows.columns, *rows.static]), [str(column)], rows.name)
        values = rows.static[column].set_axis(ids)
        if isinstance(known.dtype, pd.CategoricalDtype):
            codes = known.cat.categories.get_indexer(values.astype(str))
            if (codes < 0).any():
                raise DataError(
                    f"{rows.name}: received '{values.iloc[int((codes < 0).argmax())]}' in the static covariate "
                    f"{column!r}, expected one of {', '.join(known.cat.categories)}: what the model was trained on."
                )
            values = pd.Series(pd.Categorical.from_codes(codes, dtype=known.dtype), ids)
        static[column] = values
    return pd.DataFrame(static, index=ids)


def _numbered(card: ModelCard, rows: Panel, at: np.ndarray) -> pd.Index:
    """Numbers of rows without dates: as in the training where these rows hold its last ones, else after them.

    Raises:
        DataError: They do not, and the model has to know where in the season they stand.
    """
    kept, numbers = card.context, rows.index.to_numpy() - rows.index.to_numpy()[rows.borders[:-1]][_series(rows)]
    shifts = np.zeros(len(rows.ids), dtype="int64")
    for number in np.flatnonzero(at >= 0):
        own, there = rows.values[rows.borders[number] : rows.ends[number]], at[number]
        stop = _end_of_training(own, kept.values[kept.borders[there] : kept.ends[there]], card.reach)
        if not stop and (card.anomaly or card.trend):
            raise DataError(
                f"{rows.name}: received rows without dates of series '{rows.ids[number]}', expected among them the "
                f"last {card.reach} that the model was trained on: without these it cannot be told where in the season "
                "and on the trend they stand."
            )
        shifts[number] = card.lengths[there] - stop
    return pd.Index(numbers + shifts[_series(rows)])


def _end_of_training(rows: np.ndarray, last: np.ndarray, reach: int) -> int:
    """One after the row that is the last one of a training, told by values; 0 where there is none.

    Args:
        rows: Rows of the series, ``(rows, columns)``.
        last: The last rows of the training, ``(rows, columns)``.
        reach: Number of rows that must be there.
    """
    for stop in np.flatnonzero(np.isclose(rows, last[-1], equal_nan=True).all(axis=1)) + 1:
        count = min(int(stop), len(last))
        if (
            count >= min(reach, len(last))
            and np.isclose(rows[stop - count : stop], last[-count:], equal_nan=True).all()
        ):
            return int(stop)
    return 0


def _series(panel: Panel) -> np.ndarray:
    return np.repeat(np.arange(len(panel.ids)), np.diff(panel.borders))


def panel_like(
    card: ModelCard, history: History, stop: np.ndarray, segments: Sequence[range], owners: np.ndarray
) -> WindowedPanel:
    """Cut rows into windows with the scales of a trained model.

    Args:
        card: Card of the model.
        history: The rows; those of steps to come too, where these are forecast.
        stop: One after the last row of each series that its scale may be learnt from, if the model has not seen it.
        segments: First target rows of the windows, in the order of the series.
        owners: Series of each segment, by its place.

    Returns:
        WindowedPanel: All of its windows are in its test part.

    Raises:
        DataError: A value has no logarithm, or it cannot be told where in the season the rows stand.
    """
    panel, settings = history.panel, card.settings
    split = Split(panel.borders[:-1], stop, stop, stop, panel.borders[1:])
    fitted = _transform_like(card, history, split)
    dates = calendar_of(panel, card.cycles) if card.cycles else {}
    static = card.static_scaler.transform(encoded(panel.static).to_numpy(dtype="float64")).astype("float32")
    frame = Frame(card.lookback, card.horizon, bool(settings["past_target"]), settings["scaler"], dates, fitted, static)
    training = placed_windows(panel, history.place < 0, split.start, stop, 1, card.horizon, card.reach)
    known = history.place, card.input_scaler, card.target_scaler
    windows, input_scaler, target_scaler = frame.of(panel, split.start, stop, *training, known)
    none = replace(windows, segments=(), owners=np.empty(0, int))
    windows = replace(windows, segments=tuple(segments), owners=owners)
    return WindowedPanel(
        panel, replace(split, end=panel.ends), card.lookback, card.horizon, card.input_columns, input_scaler,
        target_scaler, none, none, windows, transform=fitted, static_scaler=card.static_scaler,
    )  # fmt: skip


def _transform_like(card: ModelCard, history: History, split: Split) -> FittedTransform | None:
    """The model's transform for these rows; series that it has not seen are fitted by the rows before ``stop``."""
    if card.transform is None:
        return None
    known, line = card.anomaly, card.trend
    season = card.transform.season
    every = np.arange(len(history.panel.ids))
    # Rows may be too few for what a training takes: what the model knows stands in their place.
    names, lookback = steps_of(card.transform.name), card.lookback
    fitted = fit_steps(names, history.panel, split, every, season, seasons=0, lookback=lookback)
    steps: list[Step] = []
    for step in fitted.steps:
        if known is not None and isinstance(step, Anomaly):
            steps.append(_anomaly_like(card, known, step, history))
        elif line is not None and isinstance(step, Trend):
            steps.append(_trend_like(line, step, history))
        else:
            steps.append(step)
    reference = card.transform.reference
    if isinstance(reference, Autoregression) and isinstance(fitted.reference, Autoregression):
        reference = _autoregression_like(reference, fitted.reference, history)
    return replace(card.transform, steps=tuple(steps), reference=reference)


def _autoregression_like(known: Autoregression, own: Autoregression, history: History) -> Autoregression:
    """Autoregressions of the training for the series that were in it."""
    seen, mean = history.place >= 0, own.mean.copy()
    coefficients = np.zeros((len(seen), max(known.order, own.order), mean.shape[1]))
    coefficients[~seen, : own.order] = own.coefficients[~seen]
    coefficients[seen, : known.order] = known.coefficients[history.place[seen]]
    mean[seen] = known.mean[history.place[seen]]
    return replace(known, coefficients=coefficients, mean=mean)


def _trend_like(known: Trend, own: Trend, history: History) -> Trend:
    """Lines of the training for the series that were in it."""
    seen, start, slope = history.place >= 0, own.start.copy(), own.slope.copy()
    start[seen], slope[seen] = known.start[history.place[seen]], known.slope[history.place[seen]]
    return replace(own, start=start, slope=slope)


def _anomaly_like(card: ModelCard, known: Anomaly, own: Anomaly, history: History) -> Anomaly:
    """Means and phases of the training for the series that were in it."""
    panel, at, season = history.panel, history.place, known.cycle.season
    seen = at >= 0
    here, there = common_rows(panel, card.context, at)
    met = here >= 0
    longest = int(panel.lengths.argmax())
    index = panel.index[panel.borders[longest] : panel.ends[longest]]
    if (seen & ~met).any() and season not in calendar_seasons(index):
        first = panel.ids[int((seen & ~met).argmax())]
        raise DataError(
            f"{panel.name}: cannot tell where in the season of {season} the rows of series '{first}' stand, expected "
            f"rows that follow those that the model was trained on, to {card.last}."
        )
    # A season that the calendar does not know is counted from the first row, which is another one here.
    shift = np.zeros(len(at), dtype="int64")
    shift[met] = (known.cycle.phase[there[met]] - own.cycle.phase[here[met]]) % season
    owners = _series(panel)
    phase = owners * season + (own.cycle.phase + shift[owners]) % season
    targets = own.means.shape[1]
    means = own.means.reshape(-1, season, targets).copy()
    means[seen] = known.means.reshape(-1, season, targets)[at[seen]]
    return Anomaly(Cycle(season, phase), means.reshape(-1, targets))


def unit_like(card: ModelCard, history: History, data: WindowedPanel) -> np.ndarray:
    """Unit of the errors of each series, that of the training or by its own past, ``(series, targets)``."""
    seen = history.place >= 0
    unit = data.unit.copy()
    unit[seen] = card.unit[history.place[seen]]
    return unit


def rows_at_end(history: History) -> np.ndarray:
    """How many rows follow one another without gap or missing value up to the last one of each series."""
    panel = history.panel
    last = np.searchsorted(panel.stretches[:, 0], panel.ends, side="left") - 1
    if not len(panel.stretches):
        return np.zeros(len(panel.ids), dtype="int64")
    first, stop = panel.stretches[last].T
    return np.where((stop == panel.ends) & (first >= panel.borders[:-1]), stop - first, 0)
