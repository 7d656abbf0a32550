"""What a trained model is, besides its weights: scales, columns, dates, half-widths of intervals, its last rows.

A :class:`ModelCard` turns rows of a series into what the network reads, and its outputs into forecasts. It is plain
data, kept as JSON, in which every number comes back as it was. What it has in common with the card of a model of many
series, :class:`kseq.panels.card.PanelCard`, is a :class:`Card`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kseq._version import __version__
from kseq.calendars import calendar_columns
from kseq.data.future_dates import dates_after
from kseq.errors import ConfigError, DataError, Parameter
from kseq.inputs import input_columns as columns_read
from kseq.evaluation.intervals import Interval, too_few
from kseq.parts import Scaler
from kseq.seasons import Cycle
from kseq.data import Series
from kseq.storage import plain
from kseq.transforms import Anomaly, Difference, FittedTransform, Log, Step, Trend, times_of

#: Goes up when an older kseq could not read a card.
FORMAT = 1


@dataclass(frozen=True, eq=False)
class HalfWidths:
    """Half-widths of prediction intervals, for each level and step ahead.

    Args:
        levels: percents that they are to cover.
        values: ``(levels, steps, targets)``, in the targets' unit; infinite where there were too few errors.
        errors: on how many errors the first step's are based.
    """

    levels: tuple[float, ...]
    values: np.ndarray
    errors: int

    def reason(self, level: float) -> str | None:
        """Say why there is no interval of a level; None where there is one."""
        if not self.errors:
            return "the model was trained without a validation part, whose errors would bound it"
        if level not in self.levels:
            return "half-widths are kept of whole percents from 1 to 99, and of levels named when the model was fitted"
        return too_few(self.errors, level)

    def at(self, level: float, steps: int) -> np.ndarray:
        """Half-widths of one of the levels.

        Args:
            level: percent.
            steps: how many.

        Returns:
            ``(steps, targets)``, NaN where none is known.
        """
        known = self.values[self.levels.index(level), :steps]
        known = np.where(np.isfinite(known), known, np.nan)
        return np.pad(known, ((0, steps - len(known)), (0, 0)), constant_values=np.nan)


@dataclass(frozen=True, eq=False)
class Card:
    """What a trained model is, besides its weights, whether it was trained on one series or on many.

    Args:
        name: of the cell, by which its forecasts are called: ``"GRU"``.
        settings: those of :class:`kseq.Settings`, by name.
        seeds: of the members that it averages.
        epochs: that it was trained.
        refitted: whether it was trained again on all rows, once the validation part had told for how long.
        rows: that it was trained on.
        first: date of the first of them, as text.
        sha256: fingerprint of the series.
        freq: frequency of the dates as pandas calls it; empty where they have none.
        step: the same in words.
        season: steps in a season; 1 for none.
        reading: options with which the file was read, by name.
        input_columns: columns that the model reads.
        input_scaler: their scale.
        target_scaler: scale of the targets.
        transform: of the targets, before the scale; its season knows the phases of the ``context``. None for none.
        half_widths: of the intervals.
        scores: errors on the validation part, before it was trained again, of the model and of baselines.
        backend: that trained it.
        versions: of the packages at that time.
    """

    name: str
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    epochs: int
    refitted: bool
    rows: int
    first: str
    sha256: str
    freq: str
    step: str
    season: int
    reading: Mapping[str, Any]
    input_columns: tuple[str, ...]
    input_scaler: Scaler
    target_scaler: Scaler
    transform: FittedTransform | None
    half_widths: HalfWidths
    scores: Mapping[str, float]
    backend: str
    versions: Mapping[str, str]

    @property
    def lookback(self) -> int:
        """Rows that the model reads."""
        return int(self.settings["lookback"])

    @property
    def horizon(self) -> int:
        """Rows that it forecasts at once."""
        return int(self.settings["horizon"])

    @property
    def reach(self) -> int:
        """Rows before a forecast that it takes: those that the model reads, and what differences take besides."""
        return self.lookback + (self.transform.lost if self.transform else 0)


@dataclass(frozen=True, eq=False)
class ModelCard(Card):
    """What a model of one series is, and what turns rows of it into forecasts; scores are mean absolute errors.

    Args:
        context: the last rows of the series: what the first forecast reads, and some more.
    """

    context: Series

    @property
    def last(self) -> Any:
        """Date of the last row that it was trained on, or its number where there are no dates."""
        return self.context.index[-1]

    def to_json(self) -> dict[str, Any]:
        """The card as JSON can hold it."""
        series = self.context
        return plain({
            **common_to_json(self),
            "inputs": _scale(self.input_columns, self.input_scaler),
            "targets": _scale(series.targets, self.target_scaler),
            "transform": _transform_to_json(self.transform),
            "series": {
                **{name: getattr(series, name) for name in _SERIES},
                "static": {column: values.iloc[0] for column, values in series.static.items()},
                "columns": list(series.frame),
                "ahead": _rows_to_json(series.ahead),
                **_rows_to_json(series.frame),
            },
        })  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "ModelCard":
        """Make a card of JSON.

        Args:
            content: fits :class:`kseq._schemas.ModelCardRecord`, so that its types are known; the rest is checked here.

        Raises:
            KeyError, TypeError, ValueError, KseqError: the content is no card.
        """
        series = content["series"]
        frame = _rows_from_json(series, names(series["columns"]))
        static = {
            column: pd.Series([value], [series["name"]]).astype("category" if isinstance(value, str) else "float64")
            for column, value in series["static"].items()
        }
        context = Series(
            frame=frame,
            ahead=_rows_from_json(series["ahead"], names(series["future"])),
            static=pd.DataFrame(static, index=[series["name"]]),
            fill="mask" if frame.isna().any(axis=None) else None,
            **{name: kind(series[name]) for name, kind in _SERIES.items()},
        )
        input_columns = names(content["inputs"]["columns"])
        card = cls(
            **common_from_json(content, len(context.targets)),
            input_columns=input_columns,
            input_scaler=_scaler(content["inputs"], len(input_columns)),
            target_scaler=_scaler(content["targets"], len(context.targets)),
            transform=_transform_from_json(content["transform"], context),
            context=context,
        )
        expected = columns_read(context, card.horizon, bool(card.settings["past_target"]))
        if card.settings["calendar"]:
            expected = (*expected, *calendar_columns(context))
        if input_columns != expected or min(card.lookback, card.horizon, card.season) < 1 or len(context) < 2:
            raise ValueError("its parts do not belong together")
        require_going_on(card.freq, context.index)
        return card


def bands_around(
    card: Card, values: np.ndarray, levels: Sequence[float] | None, unit: np.ndarray | float = 1.0
) -> tuple[dict[float, Interval], list[str]]:
    """Put intervals around forecasts.

    Args:
        card: of the model.
        values: forecasts, ``(..., steps, targets)``.
        levels: percents to cover, each of which must be known; None for those named when the model was fitted, as far
            as they are known.
        unit: of the half-widths, which ``values`` broadcast against: the scale of each series of a panel.

    Returns:
        Bounds by level; and sentences on what is missing of them.

    Raises:
        ConfigError: a level of which nothing is known.
    """
    bands, notes, steps = {}, [], values.shape[-2]
    for level in card.settings["levels"] if levels is None else levels:
        reason = card.half_widths.reason(level)
        if reason is None:
            half = card.half_widths.at(level, steps) * unit
            bands[level] = Interval(level, values - half, values + half)
        elif levels is None:
            notes.append(f"No {level:g} % interval: {reason}.")
        else:
            raise ConfigError(f"received level {level:g}, and {reason}; give another ", Parameter("level"), ".")
    ends = [int(np.isfinite(card.half_widths.at(level, steps)).all(axis=1).sum()) for level in bands]
    known = min(ends, default=steps)
    if known < steps:
        notes.append(f"Intervals end at step {known}: too few errors are known of later ones.")
    return bands, notes


#: Fields that are in JSON what they are here.
_PLAIN: dict[str, type] = {
    "name": str, "settings": dict, "seeds": list, "epochs": int, "refitted": bool, "rows": int, "first": str,
    "sha256": str, "freq": str, "step": str, "season": int, "reading": dict, "scores": dict, "backend": str,
    "versions": dict,
}  # fmt: skip


def common_to_json(card: Card) -> dict[str, Any]:
    """What all cards hold in JSON, besides scales, transform and rows."""
    widths = card.half_widths
    return {
        "format": FORMAT,
        "kseq": __version__,
        **{name: getattr(card, name) for name in _PLAIN},
        "half_widths": {"levels": widths.levels, "values": widths.values, "errors": widths.errors},
    }


def common_from_json(content: Mapping[str, Any], targets: int) -> dict[str, Any]:
    """Fields of a card of so many targets, from what :func:`common_to_json` has made of them.

    Raises:
        KeyError, TypeError, ValueError, KseqError: the content is none of a card.
    """
    widths = content["half_widths"]
    levels = tuple(_numbers(widths["levels"], (None,)).tolist())
    # No half-width is infinite in JSON: it is null.
    known = np.array(widths["values"], dtype="float64").reshape(len(levels), -1, targets)
    return {
        **{name: typed(content[name], kind) for name, kind in _PLAIN.items() if name != "seeds"},
        "seeds": tuple(typed(seed, int) for seed in content["seeds"]),
        "half_widths": HalfWidths(levels, np.where(np.isnan(known), np.inf, known), typed(widths["errors"], int)),
    }


def require_going_on(freq: str, index: pd.Index) -> None:
    """Refuse a frequency by which dates do not go on.

    Raises:
        ValueError, ArithmeticError, TypeError: they do not.
    """
    following = dates_after(index, 1, freq)
    if not following[0] > index[-1]:
        raise ValueError(f"dates do not go on by {freq!r}")


def typed(value: Any, kind: type) -> Any:
    """A value of JSON that must be of a kind."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} where {kind.__name__} should be")
    return value


def _text(value: Any) -> str:
    return typed(value, str)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def names(values: Any) -> tuple[str, ...]:
    """A list of texts of JSON."""
    return tuple(_text(value) for value in typed(values, list))


#: Fields of the context, and what reads them.
_SERIES: dict[str, Callable[[Any], Any]] = {
    "name": _text, "targets": names, "features": names, "future": names, "unit": _text, "source": _text,
    "freq": _text_or_none,
}  # fmt: skip


def _scale(columns: tuple[str, ...], scaler: Scaler) -> dict[str, Any]:
    return {"columns": columns, "center": scaler.center, "scale": scaler.scale}


def _scaler(content: Mapping[str, Any], columns: int) -> Scaler:
    center, scale = (_numbers(content[name], (columns,)) for name in ("center", "scale"))
    if not scale.all():
        raise ValueError("a scale is zero")
    return Scaler(center, scale)


def _transform_to_json(transform: FittedTransform | None) -> dict[str, Any] | None:
    if transform is None:
        return None
    steps: list[dict[str, Any]] = []
    for step in transform.steps:
        numbers: dict[str, Any] = {}
        if isinstance(step, Anomaly):
            numbers = {"season": step.cycle.season, "phase": step.cycle.phase, "means": step.means}
        elif isinstance(step, Trend):
            numbers = {"start": step.start, "slope": step.slope}
        steps.append({"name": step.name, **numbers})
    return {"steps": steps, "changes": transform.changes}


def _transform_from_json(content: Mapping[str, Any] | None, context: Series) -> FittedTransform | None:
    if content is None:
        return None
    steps: list[Step] = []
    for step in content["steps"]:
        if step["name"] == Anomaly.name:
            season = typed(step["season"], int)
            phase = _numbers(step["phase"], (len(context),)).astype(int)
            means = _numbers(step["means"], (season, len(context.targets)))
            if not ((phase >= 0) & (phase < season)).all():
                raise ValueError("a phase beyond the season")
            steps.append(Anomaly(Cycle(season, phase), means))
        elif step["name"] == Trend.name:
            start, slope = (_numbers(step[name], (len(context.targets),)) for name in ("start", "slope"))
            steps.append(Trend(times_of(context.index), start, slope))
        else:
            steps.append({Log.name: Log, Difference.name: Difference}[step["name"]]())
    return FittedTransform(tuple(steps), typed(content["changes"], bool))


def _rows_to_json(frame: pd.DataFrame) -> dict[str, Any]:
    """Values of a frame, null where missing, and its index."""
    values, index = frame.to_numpy(), frame.index
    if not isinstance(index, pd.DatetimeIndex):
        return {"values": values, "first_row": int(index[0]) if len(index) else 0}
    zone = named_zone(index)
    utc = index if zone is None else index.tz_convert("UTC").tz_localize(None)
    dates = [date.isoformat() for date in utc]
    return {"values": values, "ds": dates, "time_zone": zone, "precision": index.unit}


def named_zone(index: pd.DatetimeIndex) -> str | None:
    """Name of the time zone of dates; None for none.

    Raises:
        DataError: the time zone has no name by which it is found again.
    """
    zone = None if index.tz is None else str(index.tz)
    try:
        pd.Timestamp(0, tz=zone)
    except (ValueError, KeyError) as error:
        raise DataError(
            f"received dates in the time zone {zone}, which has no name to be kept by; bring them into a named one "
            "such as Europe/Berlin."
        ) from error
    return zone


def _rows_from_json(rows: Mapping[str, Any], columns: tuple[str, ...]) -> pd.DataFrame:
    values = np.array(typed(rows["values"], list), dtype="float64").reshape(len(rows["values"]), len(columns))
    if "first_row" in rows:
        first = typed(rows["first_row"], int)
        return pd.DataFrame(values, pd.RangeIndex(first, first + len(values)), columns)
    index = pd.DatetimeIndex(names(rows["ds"]), name="ds").as_unit(rows["precision"])
    if rows["time_zone"] is not None:
        index = index.tz_localize("UTC").tz_convert(rows["time_zone"])
    return pd.DataFrame(values, index, columns)


def _numbers(values: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    array = np.array(typed(values, list), dtype="float64")
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or not np.isfinite(array).all():
        raise ValueError(f"numbers of shape {array.shape}, expected {shape}")
    return array
