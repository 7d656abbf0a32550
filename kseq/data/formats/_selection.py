"""Parts of a grid by name: ``lat=39,lon=3`` is the nearest point, ``lat=30:40,lon=-10:0`` an area."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kseq.data.formats.found import some
from kseq.errors import ConfigError, DataError, Parameter

#: Names that a user may write for a coordinate that a file calls otherwise, by CF's standard name.
_CALLED = {
    "latitude": ("lat", "latitude", "nav_lat"),
    "longitude": ("lon", "lng", "long", "longitude", "nav_lon"),
    "depth": ("depth", "deptht", "lev", "level", "z"),
}
_UNITS = {
    "latitude": ("degrees_north", "degree_north", "degrees_n", "degree_n"),
    "longitude": ("degrees_east", "degree_east", "degrees_e", "degree_e"),
}


@dataclass(frozen=True)
class Span:
    """A wish for one coordinate: a value, or values from one to another.

    Args:
        low: The value, as it was typed.
        high: The end; None for a single value.
    """

    low: str
    high: str | None = None

    def __str__(self) -> str:
        return self.low if self.high is None else f"{self.low}:{self.high}"


def parsed(select: str | Mapping[str, Any] | None) -> dict[str, Span]:
    """Read ``"lat=39,lon=3"``, or the same as a dictionary, ``{"lat": 39, "lon": (-10, 0)}``.

    Raises:
        ConfigError: It is neither.
    """
    if select is None:
        return {}
    pairs = list(select.items()) if isinstance(select, Mapping) else [_pair(part) for part in str(select).split(",")]
    spans: dict[str, Span] = {}
    for name, value in pairs:
        parts = [str(part) for part in value] if isinstance(value, list | tuple) else _ends(str(value))
        if len(parts) not in (1, 2) or not all(part.strip() for part in parts) or name in spans:
            raise _unreadable(select)
        spans[str(name)] = Span(*(part.strip() for part in parts))
    return spans


def _pair(part: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise _unreadable(part)
    return name.strip(), value.strip()


def _ends(value: str) -> list[str]:
    """Both ends of a range. Times of day hold colons too: the one in the middle parts them."""
    parts = value.split(":")
    half = len(parts) // 2
    if len(parts) > 2 and len(parts) % 2:
        return [value]
    return [":".join(parts[:half]), ":".join(parts[half:])] if len(parts) > 1 else parts


def _unreadable(select: Any) -> ConfigError:
    return ConfigError(
        "received ", Parameter("select"), f" {select}, expected coordinates by name, such as lat=39,lon=3 (the nearest "
        "point) or lat=30:40,lon=-10:0 (the mean over an area).",
    )  # fmt: skip


def kind_of(name: str, attributes: Mapping[str, Any]) -> str:
    """What a coordinate is: latitude, longitude, depth, or its own name."""
    standard = str(attributes.get("standard_name", "")).lower()
    units = str(attributes.get("units", "")).lower()
    for kind, names in _CALLED.items():
        if standard == kind or units in _UNITS.get(kind, ()) or name.lower() in names:
            return kind
    return name


def wanted_by(name: str, kind: str, spans: Mapping[str, Span]) -> str | None:
    """Name under which the user asks for a coordinate."""
    names = (name, kind, *_CALLED.get(kind, ()))
    return next((typed for typed in spans if typed in names or typed.lower() in names), None)


def places(name: str, kind: str, values: np.ndarray, span: Span) -> tuple[slice | np.ndarray, str]:
    """Rows of a coordinate that a wish means.

    Args:
        name: Name of the coordinate, for messages.
        kind: What it is; longitudes go round.
        values: The coordinate, ``(n,)``.
        span: The wish.

    Returns:
        The rows, as a slice where they follow one another; and what they are in words.

    Raises:
        DataError: Nothing is there.
        ConfigError: The wish is no number where the coordinate is of numbers.
    """
    if values.dtype.kind not in "iuf":
        return _named(name, values, span)
    if span.high is None:
        away = distance(values, number(name, span.low), kind)
        at = int(np.nanargmin(away))
        step = float(np.max(np.abs(np.diff(values)))) if len(values) > 1 else math.inf
        if away[at] > step:
            raise outside(name, span, values)
        return slice(at, at + 1), f"{name} {values[at]:g}"
    rows = np.flatnonzero(inside(name, kind, values, span))
    if not len(rows):
        raise outside(name, span, values)
    words = f"{name} {span.low} to {span.high} ({len(rows)} of {len(values)})"
    return window(rows) if len(rows) == rows[-1] - rows[0] + 1 else rows, words


def window(rows: np.ndarray) -> slice:
    """From the first row to the last."""
    return slice(int(rows[0]), int(rows[-1]) + 1)


def inside(name: str, kind: str, values: np.ndarray, span: Span) -> np.ndarray:
    """Which values lie between the ends of a wish; longitudes go round."""
    low, high = number(name, span.low), number(name, str(span.high))
    if kind != "longitude":
        return (values >= min(low, high)) & (values <= max(low, high))
    return (values - low) % 360 <= (high - low if high - low >= 360 else (high - low) % 360)


def distance(values: np.ndarray, wanted: float, kind: str) -> np.ndarray:
    """How far values lie from one; longitudes the shorter way round."""
    difference = values.astype("float64") - wanted
    return np.abs((difference + 180) % 360 - 180) if kind == "longitude" else np.abs(difference)


def rows_between(name: str, dates: pd.DatetimeIndex, span: Span) -> slice:
    """Rows of a time axis between two dates, both included; "2001" is the whole year."""
    try:
        series = pd.Series(np.arange(len(dates)), dates)
        rows = series.loc[span.low : span.low if span.high is None else span.high]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "received ", Parameter("select"), f" {name}={span}, expected dates in order, such as {name}=2001:2010-06."
        ) from error
    if not len(rows):
        raise DataError(f"received {name}={span}, expected dates between {dates[0]} and {dates[-1]}.")
    return slice(int(rows.iloc[0]), int(rows.iloc[-1]) + 1)


def _named(name: str, values: np.ndarray, span: Span) -> tuple[slice, str]:
    texts = [text.decode() if isinstance(text, bytes) else str(text) for text in values]
    if span.high is not None or span.low not in texts:
        raise DataError("received ", Parameter("select"), f" {name}={span}, expected one of: {some(texts)}.")
    at = texts.index(span.low)
    return slice(at, at + 1), f"{name} {span.low}"


def number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError("received ", Parameter("select"), f" {name}={text}, expected a number, such as {name}=39.")
    return value


def outside(name: str, span: Span, values: np.ndarray) -> DataError:
    return DataError(
        "received ", Parameter("select"), f" {name}={span}, expected values of the grid, from {np.nanmin(values):g} to "
        f"{np.nanmax(values):g}.",
    )  # fmt: skip
