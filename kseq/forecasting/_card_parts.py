"""Parts of a card from its JSON and the bytes of its arrays, each checked to fit the others.

What fits a schema of :mod:`kseq.storage.card_schemas` has known types; what is left to check, lengths and references
between parts, is checked here.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import Calendar, Panel
from kseq.data.future_dates import dates_after
from kseq.data.slices import dates_of
from kseq.errors import DataError
from kseq.preprocessing.autoregression import Autoregression
from kseq.preprocessing.references import Reference
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.seasonality import Cycle
from kseq.preprocessing.steps import Anomaly, Difference, Log, Log1p, Step, Trend
from kseq.preprocessing.transforms import FittedTransform

#: Arrays of a card in the order in which they are kept, and their kinds of numbers.
ARRAYS = {
    "borders": "<i8", "ends": "<i8", "dates": "<i8", "which": "<i4", "values": "<f8", "gaps": "<i8", "sizes": "<i8",
    "lengths": "<i8", "unit": "<f8", "static": "<f8", "static_center": "<f8", "static_scale": "<f8",
    "input_center": "<f8", "input_scale": "<f8", "target_center": "<f8", "target_scale": "<f8", "phase": "<i4",
    "means": "<f8", "trend_start": "<f8", "trend_slope": "<f8", "ar_coefficients": "<f8", "ar_mean": "<f8",
}  # fmt: skip

#: Arrays that cards of earlier versions do not have.
LATER = ("ar_coefficients", "ar_mean")


def kinds_of(content: Mapping[str, Any]) -> dict[str, str]:
    """Kind of each array of a card, from its JSON: format 1 kept values in 32 bits."""
    there = {name: kind for name, kind in ARRAYS.items() if name not in LATER or name in content["arrays"]}
    return there | ({"values": "<f4"} if content["format"] == 1 else {})


def arrays_in(shapes: Mapping[str, Any], data: bytes, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Arrays of ``kinds`` out of one piece of bytes, which they fill."""
    arrays, first = {}, 0
    for name, kind in kinds.items():
        shape = tuple(typed(length, int) for length in typed(shapes[name], list))
        require(min(shape, default=0) >= 0)
        size = prod(shape)
        arrays[name] = np.frombuffer(data, kind, size, first).reshape(shape) if size else np.empty(shape, kind)
        first += size * np.dtype(kind).itemsize
    require(first == len(data))
    return arrays


def require(holds: bool) -> None:
    """Refuse parts of a card that do not fit one another.

    Raises:
        ValueError: ``holds`` is false.
    """
    if not holds:
        raise ValueError("its parts do not belong together")


def index_in(panel: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> pd.Index:
    which, values, dates = arrays["which"], arrays["dates"], panel["dates"]
    require(which.shape == (len(arrays["values"]),) and bool(((which >= 0) & (which < len(values))).all()))
    if dates is None:
        return pd.Index(values[which], name=panel.get("steps"))
    return dates_of(values[which], typed(dates["precision"], str), dates["time_zone"], dates["name"])


def calendar_in(content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Calendar:
    gaps, rows = arrays["gaps"], len(arrays["values"])
    require(gaps.shape == arrays["sizes"].shape and bool(((gaps > 0) & (gaps < rows)).all()))
    words, alias = (typed(content[name], str) for name in ("words", "alias"))
    return Calendar(words, alias, typed(content["season"], int), gaps, arrays["sizes"])


def static_in(columns: Mapping[str, Any], values: np.ndarray, ids: pd.Index) -> pd.DataFrame:
    require(values.shape == (len(ids), len(columns)))
    static = {}
    for (column, categories), numbers in zip(columns.items(), values.T, strict=True):
        if categories is None:
            static[column] = pd.Series(numbers, ids)
        else:
            codes = pd.Categorical.from_codes(numbers.astype(int), names(categories))
            static[column] = pd.Series(codes, ids)
    return pd.DataFrame(static, index=ids)


def scaler_in(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> Scaler:
    center, scale = arrays[f"{name}_center"], arrays[f"{name}_scale"]
    require(center.shape == scale.shape == shape and bool(np.isfinite(center).all() and np.isfinite(scale).all()))
    if not scale.all():
        raise ValueError("a scale is zero")
    return Scaler(center, scale)


def transform_in(
    content: Mapping[str, Any] | None, context: Panel, arrays: Mapping[str, np.ndarray]
) -> FittedTransform | None:
    if content is None:
        return None
    steps: list[Step] = []
    for name in names(content["steps"]):
        if name == Anomaly.name:
            season, phase, means = typed(content["season"], int), arrays["phase"], arrays["means"]
            require(season > 1 and phase.shape == (len(context),))
            require(means.shape == (season * len(context.ids), len(context.targets)))
            require(bool((phase >= 0).all() and (phase < season).all() and np.isfinite(means).all()))
            # In a panel phases count on from series to series.
            begin = season * np.repeat(np.arange(len(context.ids)), np.diff(context.borders))
            steps.append(Anomaly(Cycle(season, phase + begin), means))
        elif name == Trend.name:
            start, slope = arrays["trend_start"], arrays["trend_slope"]
            require(start.shape == slope.shape == (len(context.ids), len(context.targets)))
            require(bool(np.isfinite(start).all() and np.isfinite(slope).all()))
            steps.append(Trend(context.index, context.borders, start, slope))
        else:
            steps.append({Log.name: Log, Log1p.name: Log1p, Difference.name: Difference}[name]())
    reference = reference_of(content, season=content["season"])
    if reference is not None and reference.kind == "ar":
        coefficients, mean = (arrays.get(name, np.empty(0)) for name in LATER)
        require(mean.shape == (len(context.ids), len(context.targets)))
        require(coefficients.ndim == 3 and coefficients[:, 0].shape == mean.shape)
        require(bool(np.isfinite(coefficients).all() and np.isfinite(mean).all()))
        reference = Autoregression("ar", 1, reference.spread, coefficients, mean)
    return FittedTransform(tuple(steps), reference)


def reference_of(content: Mapping[str, Any], season: int = 1) -> Reference | None:
    """What a transform's windows are measured from; earlier versions know changes alone, added up over the horizon."""
    known = content.get("reference")
    if known is None:
        return Reference("increments") if typed(content["changes"], bool) else None
    require(known["season"] == (season if known["kind"] == "season" else 1))
    return Reference(known["kind"], known["season"], known["spread"])


def require_going_on(freq: str, index: pd.Index) -> None:
    """Refuse a frequency by which dates do not go on.

    Raises:
        ValueError, ArithmeticError, TypeError: They do not.
    """
    following = dates_after(index, 1, freq)
    if not following[0] > index[-1]:
        raise ValueError(f"dates do not go on by {freq!r}")


def typed(value: Any, kind: type) -> Any:
    """A value of JSON that must be of a kind."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} where {kind.__name__} should be")
    return value


def names(values: Any) -> tuple[str, ...]:
    """A list of texts of JSON."""
    return tuple(typed(value, str) for value in typed(values, list))


def named_zone(index: pd.DatetimeIndex) -> str | None:
    """Name of the time zone of dates; None for none.

    Raises:
        DataError: The time zone has no name by which it is found again.
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
