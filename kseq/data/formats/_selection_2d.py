"""Parts of a curvilinear grid, where each cell has a latitude and a longitude of its own (``nav_lat``, ``nav_lon``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kseq.data.formats._selection import Span, distance, wanted_by
from kseq.errors import ConfigError, DataError, Parameter


@dataclass(frozen=True, eq=False)
class Curved:
    """Latitudes and longitudes of cells.

    Args:
        latitude: array of xarray of two dimensions.
        longitude: another of the same dimensions.
        spans: what the user asks for.
    """

    latitude: Any
    longitude: Any
    spans: Mapping[str, Span]

    @property
    def typed(self) -> tuple[str, ...]:
        """Names under which the user asks for latitude and longitude."""
        names = (("latitude", self.latitude.name), ("longitude", self.longitude.name))
        found = (wanted_by(str(name), kind, self.spans) for kind, name in names)
        return tuple(name for name in found if name is not None)

    def chosen(self, spans: Mapping[str, Span]) -> tuple[dict[str, list[slice]], Any, str]:
        """Find the nearest cell, or those within an area.

        Returns:
            Runs of each dimension; weights of cells by the cosine of latitude, None for a point; what it is in words.

        Raises:
            ConfigError: one of latitude and longitude is missing, or is no number.
            DataError: no cell is there.
        """
        if len(self.typed) < 2:
            raise ConfigError(
                "received ", Parameter("select"), f" {self.typed[0]} alone, expected lat=...,lon=... together."
            )
        lat, lon = (spans[name] for name in self.typed)
        dims = [str(dim) for dim in self.latitude.dims]
        y = self.latitude.to_numpy().astype("float64")
        x = self.longitude.transpose(*dims).to_numpy().astype("float64")
        inside = _within(y, lat, "latitude") & _within(x, lon, "longitude")
        if lat.high is None and lon.high is None:
            return self._nearest(dims, y, x, lat, lon)
        if lat.high is None or lon.high is None:
            raise ConfigError("received ", Parameter("select"), f" {lat} and {lon}, expected two points or two ranges.")
        if not inside.any():
            raise DataError("received ", Parameter("select"), f" lat={lat},lon={lon}, expected cells of the grid.")
        runs = {}
        for axis, dim in enumerate(dims):
            at = np.flatnonzero(inside.any(axis=1 - axis))
            runs[dim] = [slice(int(at[0]), int(at[-1]) + 1)]
        # A variable alone: coordinates of the array would be loaded from the file later on.
        weights = self.latitude.variable.copy(data=np.where(inside, np.cos(np.deg2rad(y)), 0.0))
        return runs, weights, f"lat {lat.low} to {lat.high}, lon {lon.low} to {lon.high} ({int(inside.sum())} cells)"

    def _nearest(
        self, dims: list[str], y: np.ndarray, x: np.ndarray, lat: Span, lon: Span
    ) -> tuple[dict[str, list[slice]], None, str]:
        away = _angle(y, x, _number(lat), _number(lon))
        at = np.unravel_index(int(np.nanargmin(away)), away.shape)
        around = tuple(slice(max(0, int(i) - 1), int(i) + 2) for i in at)
        if away[at] > np.nanmax(_angle(y[around], x[around], y[at], x[at])):
            raise DataError(
                "received ", Parameter("select"), f" lat={lat},lon={lon}, expected a point of the grid: the nearest "
                f"cell is lat={y[at]:g},lon={x[at]:g}.",
            )  # fmt: skip
        runs = {dim: [slice(int(i), int(i) + 1)] for dim, i in zip(dims, at, strict=True)}
        return runs, None, f"lat {y[at]:g}, lon {x[at]:g}"


def _number(span: Span) -> float:
    try:
        return float(span.low)
    except ValueError as error:
        raise ConfigError("received ", Parameter("select"), f" {span}, expected a number.") from error


def _within(values: np.ndarray, span: Span, kind: str) -> np.ndarray:
    if span.high is None:
        return np.ones(values.shape, bool)
    low, high = _number(span), _number(Span(span.high))
    if kind == "longitude":
        return (values - low) % 360 <= (high - low if high - low >= 360 else (high - low) % 360)
    return (values >= min(low, high)) & (values <= max(low, high))


def _angle(y: np.ndarray, x: np.ndarray, lat: float, lon: float) -> np.ndarray:
    """Great-circle distance in degrees, by the haversine formula."""
    dy, dx = np.deg2rad(y - lat), np.deg2rad(distance(x, lon, "longitude"))
    half = np.sin(dy / 2) ** 2 + np.cos(np.deg2rad(y)) * np.cos(np.deg2rad(lat)) * np.sin(dx / 2) ** 2
    return np.rad2deg(2 * np.arcsin(np.sqrt(np.clip(half, 0, 1))))
