"""NetCDF and Zarr, read by xarray: one point of a grid, or a mean over an area, is a series.

Nothing but the chosen part is loaded, and of an area so many steps at a time as fit into some megabytes. A file is open
only while it is described or its values are loaded, so that it can be written anew while its series live.
"""

import gc
import traceback
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pandas as pd

from kseq.data._options import Names
from kseq.data._source import STORE, Source
from kseq.data.formats import _selection, _times
from kseq.data.formats.compressed import zip_names
from kseq.data.formats.found import library, reason, some
from kseq.errors import ConfigError, DataError, Parameter

#: Values of an area that are in memory at once.
BLOCK = 2**22

_DAMAGE = (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile)

_HDF5, _CLASSIC = b"\x89HDF\r\n\x1a\n", (b"CDF\x01", b"CDF\x02")


def recognises(source: Source) -> bool:
    """Whether a source is NetCDF or Zarr by its first bytes or its members."""
    if source.head.startswith((_HDF5, b"CDF", b"GRIB")):
        return True
    names = zip_names(source)
    return source.is_store() or (names is not None and any(name in STORE for name in names))


class GridTable:
    """Variables of a grid over time, each reduced to one column, or to one a place of the dimension of ids.

    Args:
        source: The file or folder. Its option ``select`` says which part of the grid is meant.
        id: A dimension along which the series lie: stations, members.

    Raises:
        DataError: A library is missing, the file is damaged, or nothing in it runs over time.
        ConfigError: ``select`` cannot be read.
    """

    def __init__(self, source: Source, id: str | None = None):
        self.source, self.id = source, id
        self.spans = _selection.parsed(source.options["select"])
        self.hint: Mapping[str, Any] = {}
        with _opened(source) as data:
            self._describe(data)

    def _describe(self, data: Any) -> None:
        """Find the axis of time, the variables and the parts that are meant, without loading values."""
        self.axis, self.dates, phrases = _times.axis_of(data, self.source)
        self.rows = slice(0, len(self.dates))
        self.read: tuple[str, ...] = (*self.source.read, *phrases)
        self.variables = self._over_time(data)
        coordinates = [str(name) for name in dict.fromkeys([*data.dims, *data.variables]) if name in data]
        self.kinds = {name: _selection.kind_of(name, data[name].attrs) for name in coordinates}
        #: Weights of the cells of a curvilinear grid; None elsewhere.
        self.weights: Any = None
        self.parts = self._parts(data)
        self.series: int | None = data.sizes[self.id] if self.id in data.dims else None
        self.schema = pd.DataFrame(self.dates[:0], columns=[self.axis])
        if self.series is not None:
            self.schema[self.id] = pd.Series([], dtype=object)
        self.schema[self.variables] = np.empty((0, len(self.variables)))

    def __len__(self) -> int:
        return (self.rows.stop - self.rows.start) * (1 if self.series is None else self.series)

    def time(self, time: Names) -> Names:
        """Return the axis of time, unless the user names a column."""
        return self.axis if time is None else time

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Load these variables, and yield them as one frame."""
        own = [name for name in columns if name in self.variables]
        dates = self.dates[self.rows]
        with _opened(self.source) as data:
            values = {name: self._reduced(data, name) for name in own}
            ids = [] if self.series is None else _texts(_along(data, self.id))
        if self.series is None:
            yield pd.DataFrame({self.axis: dates, **{name: part[:, 0] for name, part in values.items()}})
            return
        frame = pd.DataFrame({name: part.T.ravel() for name, part in values.items()})
        frame[self.axis] = np.tile(dates, len(ids))
        frame[self.id] = np.repeat(np.array(ids, dtype=object), len(dates))
        yield frame

    def _over_time(self, data: Any) -> list[str]:
        """Variables of numbers that run over time, without the bounds of cells."""
        bounds = {str(v.attrs.get("bounds", v.encoding.get("bounds"))) for v in data.variables.values()}
        names = [
            str(name)
            for name, variable in data.data_vars.items()
            if self.axis in variable.dims and variable.dtype.kind in "iuf" and str(name) not in bounds
        ]
        if not names:
            raise DataError(
                f"{self.source} holds no variable of numbers over {self.axis} "
                f"({some(data.data_vars) or 'none at all'}); expected a NetCDF or Zarr file of series or grids."
            )
        return names

    def _parts(self, data: Any) -> dict[str, slice | np.ndarray]:
        """Rows of each dimension that ``select`` names."""
        parts: dict[str, slice | np.ndarray] = {}
        used, told = set(), []
        for dimension in map(str, data.dims):
            kind = self.kinds.get(dimension, dimension)
            typed = _selection.wanted_by(dimension, kind, self.spans)
            if typed is None:
                continue
            used.add(typed)
            if dimension == self.axis:
                if not isinstance(self.dates, pd.DatetimeIndex):
                    raise DataError(f"{self.source}: {self.axis} holds no dates to choose from.")
                self.rows = _selection.rows_between(dimension, self.dates, self.spans[typed])
                told.append(f"{dimension} {self.spans[typed]}")
                continue
            parts[dimension], words = _selection.places(dimension, kind, _along(data, dimension), self.spans[typed])
            told.append(words)
        curved = self._curved(data)
        if len(curved) == 2 and any(curved):
            used |= {str(typed) for typed in curved}
            cells, words = self._cells(data, curved)
            parts |= cells
            told.append(words)
        unknown = [name for name in self.spans if name not in used]
        if unknown:
            dims = [str(d) for d in data.dims]
            raise DataError(
                "received ", Parameter("select"), f" {unknown[0]}, expected dimensions of {self.source}: {some(dims)}."
            )
        if told:
            points = all(span.high is None for typed, span in self.spans.items() if typed != self.axis)
            self.read = (*self.read, f"{'the point' if points else 'the mean over'} {', '.join(told)}")
        return parts

    def _curved(self, data: Any) -> dict[str | None, str]:
        """Names of latitudes and longitudes that are given for each cell, by how the user asks for them."""
        found: dict[str, str] = {}
        for name, kind in self.kinds.items():
            if kind in ("latitude", "longitude") and data[name].ndim == 2:
                found.setdefault(kind, name)
        if len(found) < 2:
            return {}
        typed = {_selection.wanted_by(found[kind], kind, self.spans): found[kind] for kind in ("latitude", "longitude")}
        if len(typed) == 2 and None in typed:
            one = next(name for name in typed if name is not None)
            raise ConfigError("received ", Parameter("select"), f" {one} alone, expected lat=...,lon=... together.")
        return typed

    def _cells(self, data: Any, curved: Mapping[str | None, str]) -> tuple[dict[str, slice | np.ndarray], str]:
        """The nearest cell of a curvilinear grid, or a window around those within an area, which get weights."""
        (lat_span, lat), (lon_span, lon) = ((self.spans[str(typed)], data[name]) for typed, name in curved.items())
        dims = [str(dim) for dim in lat.dims]
        y, x = lat.to_numpy().astype("float64"), lon.transpose(*dims).to_numpy().astype("float64")
        if (lat_span.high is None) != (lon_span.high is None):
            wish = f" {lat_span} and {lon_span}, expected two points or two ranges."
            raise ConfigError("received ", Parameter("select"), wish)
        if lat_span.high is not None:
            within = _selection.inside("lat", "latitude", y, lat_span) & _selection.inside(
                "lon", "longitude", x, lon_span
            )
            if not within.any():
                raise _selection.outside("lat", lat_span, y)
            # A variable alone: coordinates of the array would be loaded from the file later on.
            self.weights = lat.variable.copy(data=np.where(within, np.cos(np.deg2rad(y)), 0.0))
            rows = {dim: np.flatnonzero(within.any(axis=1 - axis)) for axis, dim in enumerate(dims)}
            words = (
                f"lat {lat_span.low} to {lat_span.high}, lon {lon_span.low} to {lon_span.high} ({within.sum()} cells)"
            )
            return {dim: _selection.window(own) for dim, own in rows.items()}, words
        wanted = _selection.number("lat", lat_span.low), _selection.number("lon", lon_span.low)
        away = _angle(y, x, *wanted)
        at = np.unravel_index(int(np.nanargmin(away)), away.shape)
        around = tuple(slice(max(0, int(i) - 1), int(i) + 2) for i in at)
        if away[at] > np.nanmax(_angle(y[around], x[around], y[at], x[at])):
            raise DataError(
                "received ", Parameter("select"), f" lat={lat_span},lon={lon_span}, expected a point of the grid: the "
                f"nearest cell is lat={y[at]:g},lon={x[at]:g}.",
            )  # fmt: skip
        return {
            dim: slice(int(i), int(i) + 1) for dim, i in zip(dims, at, strict=True)
        }, f"lat {y[at]:g}, lon {x[at]:g}"

    def _reduced(self, data: Any, name: str) -> np.ndarray:
        """Values of a variable over time, ``(rows, series)``; of an area the mean by the sizes of its cells."""
        variable = data[name]
        others = [str(dim) for dim in variable.dims if dim not in (self.axis, self.id)]
        for dim in others:
            if dim not in self.parts and variable.sizes[dim] > 1:
                raise self._too_wide(data, name, variable)
        own = {dim: self.parts[dim] for dim in others if dim in self.parts}
        block = _block(variable, self.axis, own)
        variable = variable.isel(own)
        latitude = next((dim for dim in others if self.kinds.get(dim) == "latitude"), None)
        weights = self.weights if self.weights is not None and set(self.weights.dims) <= set(others) else None
        if weights is None and latitude is not None:
            weights = np.cos(np.deg2rad(data[latitude].astype("float64"))).clip(0).variable
        weights = None if weights is None else weights.isel({dim: own[dim] for dim in weights.dims if dim in own})
        made = []
        for begin in range(self.rows.start, self.rows.stop, block):
            rows = slice(begin, min(begin + block, self.rows.stop))
            try:
                part = variable.variable.isel({self.axis: rows}).load()
            except _DAMAGE as error:
                raise _damaged(self.source, error) from error
            made.append(_mean(part.transpose(self.axis, ..., *others).astype("float64"), others, weights))
        values = np.concatenate(made)
        if not np.isfinite(values).any():
            raise self._empty(data, name, variable)
        return values.reshape(len(values), -1)

    def _too_wide(self, data: Any, name: str, variable: Any) -> DataError:
        dims = [
            str(dim)
            for dim in variable.dims
            if dim not in (self.axis, self.id, *self.parts) and variable.sizes[dim] > 1
        ]
        shown, example = [], []
        for dim in dims:
            values = _along(data, dim)
            first, last = _texts(values[[0, -1]])
            shown.append(f"{dim} ({len(values)} from {first} to {last})")
            example.append(f"{dim}={_texts(values[[len(values) // 2]])[0]}")
        return DataError(
            f"{self.source}: {name!r} has {some(shown)} beside {self.axis}; expected one series: choose a point with ",
            Parameter("select"),
            f" {','.join(example)}, or the mean over an area, {example[0].partition('=')[0]}=FROM:TO.",
        )

    def _empty(self, data: Any, name: str, variable: Any) -> DataError:
        where = ", ".join(self.read)
        return DataError(
            f"{self.source}: {name!r} holds no value at {where or 'any date'}; expected a place with values (of an "
            "ocean, no land): choose another one with ",
            Parameter("select"),
            self._nearby(data, variable) + ".",
        )

    def _nearby(self, data: Any, variable: Any) -> str:
        """The nearest cell that holds a value on the last date, as a wish; empty where none is near."""
        space = [dim for dim in self.parts if self.kinds.get(dim) in ("latitude", "longitude")]
        if len(space) != 2 or any(variable.sizes[dim] > 1 for dim in variable.dims if dim != self.axis):
            return ""
        here = [int(np.arange(data.sizes[dim])[self.parts[dim]][0]) for dim in space]
        reach = {dim: slice(max(0, at - 10), at + 11) for dim, at in zip(space, here, strict=True)}
        others = {dim: own for dim, own in self.parts.items() if dim in variable.dims and dim not in space}
        field = data[variable.name].isel({self.axis: self.rows.stop - 1, **others, **reach})
        known = np.argwhere(
            np.isfinite(field.transpose(..., *space).to_numpy().reshape([field.sizes[d] for d in space]))
        )
        if not len(known):
            return ""
        begin = [reach[dim].start for dim in space]
        near = begin + known[np.abs(begin + known - here).sum(axis=1).argmin()]
        cells = [f"{dim}={data[dim].to_numpy()[at]:g}" for dim, at in zip(space, near, strict=True)]
        return f", such as {','.join(cells)}"


def _along(data: Any, dimension: Any) -> np.ndarray:
    """Coordinates along a dimension; numbers of its places where it has none."""
    return data[dimension].to_numpy() if dimension in data else np.arange(data.sizes[dimension])


def _mean(part: Any, dims: Sequence[str], weights: Any) -> np.ndarray:
    """Weighted mean of a variable over dimensions, leaving out cells without a value."""
    if all(part.sizes[dim] == 1 for dim in dims):
        return part.to_numpy().reshape(part.shape[: part.ndim - len(dims)])
    values = part.to_numpy().reshape(*part.shape[: part.ndim - len(dims)], -1)
    sizes = {dim: part.sizes[dim] for dim in dims}
    own = np.ones(values.shape[-1]) if weights is None else weights.set_dims(sizes).transpose(*dims).to_numpy().ravel()
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((np.where(known, values, 0.0) @ own) / (known @ own))


def _angle(y: np.ndarray, x: np.ndarray, lat: float, lon: float) -> np.ndarray:
    """Great-circle distance in degrees, by the haversine formula."""
    dy, dx = np.deg2rad(y - lat), np.deg2rad(_selection.distance(x, lon, "longitude"))
    half = np.sin(dy / 2) ** 2 + np.cos(np.deg2rad(y)) * np.cos(np.deg2rad(lat)) * np.sin(dx / 2) ** 2
    return np.rad2deg(2 * np.arcsin(np.sqrt(np.clip(half, 0, 1))))


def _block(variable: Any, axis: str, own: Mapping[str, slice | np.ndarray]) -> int:
    """Steps to load at once: as many as fit, in whole chunks of the file."""
    chunks = variable.encoding.get("chunksizes") or variable.encoding.get("chunks")
    chunk = int(chunks[variable.dims.index(axis)]) if chunks else 1
    steps = max(1, BLOCK // max(1, variable.isel({axis: 0, **own}).size))
    return max(chunk, steps // chunk * chunk)


def _texts(values: np.ndarray) -> list[str]:
    return [
        value.decode()
        if isinstance(value, bytes)
        else f"{value:g}"
        if isinstance(value, float | np.floating)
        else str(value)
        for value in values
    ]


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    """Open a dataset without loading it, and close it."""
    head = source.head
    if head.startswith(b"GRIB"):
        raise DataError(f"{source} is GRIB; expected NetCDF: convert it, cdo -f nc copy {source.path.name} FILE.nc.")
    if head.startswith(b"CDF") and not head.startswith(_CLASSIC):
        raise DataError(
            f"{source} is NetCDF of the CDF-5 kind; expected NetCDF 3 or 4: nccopy -k nc4 {source.path.name} FILE.nc."
        )
    zarr = not head.startswith((_HDF5, b"CDF"))
    xarray = library("xarray", "zarr" if zarr else "netcdf", source)
    if zarr:
        library("zarr", "zarr", source)
        keywords: dict[str, Any] = {"engine": "zarr", "chunks": None}
    elif head.startswith(_HDF5):
        library("h5netcdf", "netcdf", source)
        keywords = {"engine": "h5netcdf"}
    else:
        keywords = {"engine": "scipy"}
    with ExitStack() as stack:
        try:
            store = stack.enter_context(_zip_store(source)) if zarr and head else source.opened()
            if head.startswith(_HDF5):
                # h5netcdf fails half-way where these are damaged, and then leaves the file open.
                with library("h5py", "netcdf", source).File(source.opened()) as file:
                    dict(file.attrs)
            with warnings.catch_warnings():
                # xarray warns of metadata that are not gathered, and of encodings that nobody writes here.
                warnings.simplefilter("ignore")
                data = xarray.open_dataset(store, decode_times=False, cache=False, **keywords)
        except _DAMAGE as error:
            _let_go(error)
            raise _damaged(source, error) from error
        stack.callback(data.close)
        yield data


def _let_go(error: BaseException) -> None:
    """Close what libraries had opened when they failed: it lives in frames of the error and in reference cycles."""
    with warnings.catch_warnings():
        # SciPy warns of variables that are still mapped, and Python of files that nobody has closed.
        warnings.simplefilter("ignore")
        traceback.clear_frames(error.__traceback__)
        gc.collect()


def _zip_store(source: Source) -> Any:
    if source.content is not None:
        raise DataError(f"{source} is a Zarr store in a zip in another file; unpack the outer one first.")
    return library("zarr.storage", "zarr", source).ZipStore(source.path, mode="r")


def _damaged(source: Source, error: BaseException) -> DataError:
    return DataError(f"{source} cannot be read as NetCDF or Zarr ({reason(error)}); it is damaged, or of another kind.")
