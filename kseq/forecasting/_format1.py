"""Cards of format 1, which kseq 0.1.0 wrote: a model of one series had a card of another form, all of it JSON.

It is read here into a :class:`kseq.forecasting.card.ModelCard` of one series. Its half-widths are in the targets' unit,
so that the unit of the card is 1. A network of format 1 reads static covariates before the calendar, those of today
read them last: :func:`card_of_series` says where each column stood, so that its weights can be put in order.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import Panel, frequency
from kseq.forecasting._card_parts import names, reference_of, typed
from kseq.forecasting.card import ModelCard, common_from_json
from kseq.preprocessing.columns import encoded, input_columns
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.seasonality import Cycle
from kseq.preprocessing.steps import Anomaly, Difference, Log, Step, Trend
from kseq.preprocessing.time_features import calendar_columns
from kseq.preprocessing.transforms import FittedTransform
from kseq.preprocessing.windows import panel_columns


def card_of_series(content: Mapping[str, Any]) -> tuple[ModelCard, list[int]]:
    """Make a card of the JSON of a model of one series.

    Args:
        content: JSON that fits :class:`kseq.storage.card_schemas.SeriesCardRecord`, so that its types are known.

    Returns:
        The card; and for each of its input columns the place at which the network in the file reads it.

    Raises:
        KeyError, TypeError, ValueError, KseqError: The content is no card.
    """
    context = _context(content["series"])
    read = names(content["inputs"]["columns"])
    scale = _scale(content["inputs"], len(read))
    common = common_from_json(content, len(context.targets))
    settings, static = common["settings"], encoded(context.static)
    past_target, horizon = bool(settings["past_target"]), int(settings["horizon"])
    dates = tuple(calendar_columns(context)) if settings["calendar"] else ()
    if read != (*input_columns(context, horizon, past_target), *dates):
        raise ValueError("its parts do not belong together")
    columns = panel_columns(context, horizon, past_target, dates)
    order = [read.index(column) for column in columns]
    changing = len(columns) - len(static.columns)
    center, scales = scale.center[order], scale.scale[order]
    freq = content["series"]["freq"]
    card = ModelCard(
        **common | {"reading": {**common["reading"], **({"freq": freq} if freq else {})}},
        input_columns=columns,
        input_scaler=Scaler(center[None, :changing], scales[None, :changing]),
        target_scaler=_of_one(_scale(content["targets"], len(context.targets))),
        static_scaler=Scaler(center[changing:], scales[changing:]),
        transform=_transform(content["transform"], context),
        context=context,
        lengths=np.array([common["rows"]]),
        unit=np.ones((1, len(context.targets))),
    )
    card.require_whole()
    return card, order


def _context(series: Mapping[str, Any]) -> Panel:
    """The last rows of the series, and those for which only future covariates are known."""
    name, future = typed(series["name"], str), names(series["future"])
    frame = _rows(series, names(series["columns"]))
    ahead = _rows(series["ahead"], future).reindex(columns=frame.columns)
    values = np.concatenate([frame.to_numpy(), ahead.to_numpy(dtype="float64")])
    index = frame.index.append(ahead.index) if len(ahead) else frame.index
    static = {
        column: pd.Series([value], [name]).astype("category" if isinstance(value, str) else "float64")
        for column, value in series["static"].items()
    }
    return Panel(
        name=name,
        ids=pd.Index([name]),
        borders=np.array([0, len(values)]),
        index=index,
        values=values,
        targets=names(series["targets"]),
        features=names(series["features"]),
        future=future,
        static=pd.DataFrame(static, index=[name]),
        ends=np.array([len(frame)]),
        calendar=frequency.read(index, freq=series["freq"]),
        fill="mask",
        unit=typed(series["unit"], str),
        source=typed(series["source"], str),
    )


def _transform(content: Mapping[str, Any] | None, context: Panel) -> FittedTransform | None:
    if content is None:
        return None
    steps: list[Step] = []
    for step in content["steps"]:
        if step["name"] == Anomaly.name:
            season, rows = typed(step["season"], int), int(context.ends[0])
            phase = _numbers(step["phase"], (rows,)).astype(int)
            means = _numbers(step["means"], (season, len(context.targets)))
            if not ((phase >= 0) & (phase < season)).all():
                raise ValueError("a phase beyond the season")
            ahead = (phase[-1] + 1 + np.arange(len(context) - rows)) % season
            steps.append(Anomaly(Cycle(season, np.concatenate([phase, ahead])), means))
        elif step["name"] == Trend.name:
            start, slope = (_numbers(step[name], (len(context.targets),)) for name in ("start", "slope"))
            steps.append(Trend(context.index, context.borders, start[None], slope[None]))
        else:
            steps.append({Log.name: Log, Difference.name: Difference}[step["name"]]())
    return FittedTransform(tuple(steps), reference_of(content))


def _scale(content: Mapping[str, Any], columns: int) -> Scaler:
    center, scale = (_numbers(content[name], (columns,)) for name in ("center", "scale"))
    if not scale.all():
        raise ValueError("a scale is zero")
    return Scaler(center, scale)


def _of_one(scaler: Scaler) -> Scaler:
    return Scaler(scaler.center[None], scaler.scale[None])


def _rows(rows: Mapping[str, Any], columns: tuple[str, ...]) -> pd.DataFrame:
    values = np.array(typed(rows["values"], list), dtype="float64").reshape(len(rows["values"]), len(columns))
    if "first_row" in rows:
        first = typed(rows["first_row"], int)
        return pd.DataFrame(values, pd.RangeIndex(first, first + len(values)), columns)
    index = pd.DatetimeIndex(names(rows["ds"]), name="ds").as_unit(rows["precision"])
    if rows["time_zone"] is not None:
        index = index.tz_localize("UTC").tz_convert(rows["time_zone"])
    return pd.DataFrame(values, index, columns)


def _numbers(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.array(typed(values, list), dtype="float64")
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"numbers of shape {array.shape}, expected {shape}")
    return array
