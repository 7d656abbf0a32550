"""NetCDF and Zarr, read by xarray: one point of a grid, or a mean over an area, is a series.

Nothing but the chosen part is loaded, and of an area so many steps at a time as fit into some megabytes.
"""

import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kseq.data._source import STORE, Source
from kseq.data.columns import Names
from kseq.data.formats import _selection, _times
from kseq.data.formats._selection_2d import Curved
from kseq.data.formats.compressed import zip_names
from kseq.data.formats.found import library, reason, some
from kseq.errors import DataError, Parameter

#: Values of an area that are in memory at once.
BLOCK = 2**22

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
        source: the file or folder. Its option ``select`` says which part of the grid is meant.
        id: a dimension along which the series lie: stations, members.

    Raises:
        DataError: a library is missing, the file is damaged, or nothing in it runs over time.
        ConfigError: ``select`` cannot be read.
    """

    def __init__(self, source: Source, id: str | None = None):
        self.source, self.id = source, id
        self.set = _opened(source)
        self.spans = _selection.parsed(source.options["select"])
        self.axis, self.dates, phrases = _times.axis_of(self.set, source)
        self.rows = slice(0, len(self.dates))
        self.read: tuple[str, ...] = (*source.read, *phrases)
        self.hint: Mapping[str, Any] = {}
        self.variables = self._over_time()
        coordinates = [str(name) for name in dict.fromkeys([*self.set.dims, *self.set.variables]) if name in self.set]
        self.kinds = {name: _selection.kind_of(name, self.set[name].attrs) for name in coordinates}
        self.mask: Any = None
        self.parts = self._parts()
        self.schema = pd.DataFrame(self.dates[:0], columns=[self.axis])
        if id in self.set.dims:
            self.schema[id] = pd.Series([], dtype=object)
        self.schema[self.variables] = np.empty((0, len(self.variables)))

    def __len__(self) -> int:
        series = self.set.sizes[self.id] if self.id in self.set.dims else 1
        return (self.rows.stop - self.rows.start) * series

    def time(self, time: Names) -> Names:
        """Return the axis of time, unless the user names a column."""
        return self.axis if time is None else time

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Load these variables, and yield them as one frame."""
        own = [name for name in columns if name in self.variables]
        dates = self.dates[self.rows]
        values = {name: self._reduced(name) for name in own}
        if self.id not in self.set.dims:
            yield pd.DataFrame({self.axis: dates, **{name: part[:, 0] for name, part in values.items()}})
            return
        ids = _texts(self.set[self.id].to_numpy() if self.id in self.set else np.arange(self.set.sizes[self.id]))
        frame = pd.DataFrame({name: part.T.ravel() for name, part in values.items()})
        frame[self.axis] = np.tile(dates, len(ids))
        frame[self.id] = np.repeat(np.array(ids, dtype=object), len(dates))
        yield frame

    def _over_time(self) -> list[str]:
        """Variables of numbers that run over time, without the bounds of cells."""
        bounds = {str(v.attrs.get("bounds", v.encoding.get("bounds"))) for v in self.set.variables.values()}
        names = [
            str(name)
            for name, variable in self.set.data_vars.items()
            if self.axis in variable.dims and variable.dtype.kind in "iuf" and str(name) not in bounds
        ]
        if not names:
            raise DataError(
                f"{self.source} holds no variable of numbers over {self.axis} "
                f"({some(self.set.data_vars) or 'none at all'}); expected a NetCDF or Zarr file of series or grids."
            )
        return names

    def _parts(self) -> dict[str, list[slice]]:
        """Runs of each dimension that ``select`` names."""
        parts: dict[str, list[slice]] = {}
        used, told = set(), []
        for dimension in map(str, self.set.dims):
            typed = _selection.wanted_by(dimension, self.kinds.get(dimension, dimension), self.spans)
            if typed is None:
                continue
            used.add(typed)
            if dimension == self.axis:
                if not isinstance(self.dates, pd.DatetimeIndex):
                    raise DataError(f"{self.source}: {self.axis} holds no dates to choose from.")
                self.rows = _selection.rows_between(dimension, self.dates, self.spans[typed])
                told.append(f"{dimension} {self.spans[typed]}")
                continue
            values = self.set[dimension].to_numpy() if dimension in self.set else np.arange(self.set.sizes[dimension])
            runs, words = _selection.places(dimension, self.kinds.get(dimension, dimension), values, self.spans[typed])
            parts[dimension] = runs
            told.append(words)
        curved = self._curved()
        if curved is not None and any(name in self.spans for name in curved.typed):
            used |= set(curved.typed)
            cells, self.mask, words = curved.chosen(self.spans)
            parts |= cells
            told.append(words)
        unknown = [name for name in self.spans if name not in used]
        if unknown:
            dims = [str(d) for d in self.set.dims]
            raise DataError(
                "received ", Parameter("select"), f" {unknown[0]}, expected dimensions of {self.source}: {some(dims)}."
            )
        if told:
            points = all(span.high is None for typed, span in self.spans.items() if typed != self.axis)
            self.read = (*self.read, f"{'the point' if points else 'the mean over'} {', '.join(told)}")
        return parts

    def _curved(self) -> Curved | None:
        """Latitudes and longitudes that are given for each cell, as on curvilinear grids."""
        found: dict[str, str] = {}
        for name, kind in self.kinds.items():
            if kind in ("latitude", "longitude") and self.set[name].ndim == 2:
                found.setdefault(kind, name)
        if len(found) < 2:
            return None
        return Curved(self.set[found["latitude"]], self.set[found["longitude"]], self.spans)

    def _reduced(self, name: str) -> np.ndarray:
        """Values of a variable over time, ``(rows, series)``."""
        variable = self.set[name]
        others = [str(dim) for dim in variable.dims if dim not in (self.axis, self.id)]
        for dim in others:
            if dim not in self.parts and variable.sizes[dim] > 1:
                raise self._too_wide(name, variable)
        weights = self._weights(others)
        runs = [self.parts.get(dim, [slice(0, variable.sizes[dim])]) for dim in others]
        cells = int(np.prod([sum(run.stop - run.start for run in own) for own in runs])) if runs else 1
        block = _block(variable, self.axis, cells * (variable.sizes[self.id] if self.id in variable.dims else 1))
        order = [self.axis, *(str(dim) for dim in variable.dims if dim == self.id), *others]
        pieces, made = _product(runs, others), []
        for begin in range(self.rows.start, self.rows.stop, block):
            rows = slice(begin, min(begin + block, self.rows.stop))
            parts = ((self._loaded(variable, order, rows, piece), _of_cells(weights, piece)) for piece in pieces)
            made.append(next(parts)[0][..., 0] if cells == 1 else _mean(parts))
        values = np.concatenate(made)
        if not np.isfinite(values).any():
            raise self._empty(name, variable)
        return values.reshape(len(values), -1)

    def _loaded(self, variable: Any, order: list[str], rows: slice, piece: dict[str, slice]) -> np.ndarray:
        """Values of a part, ``(rows[, series], cells)``."""
        try:
            part = variable.isel({self.axis: rows, **piece}).transpose(*order).to_numpy()
        except (OSError, ValueError, RuntimeError) as error:
            raise _damaged(self.source, error) from error
        return part.astype("float64").reshape(*part.shape[: 2 if self.id in variable.dims else 1], -1)

    def _weights(self, others: Sequence[str]) -> Any:
        """Weights over latitude and longitude, which go by the cosine of latitude; None where all are the same."""
        if self.mask is not None:
            return self.mask if set(self.mask.dims) <= set(others) else None
        latitude = next((dim for dim in others if self.kinds.get(dim) == "latitude"), None)
        return None if latitude is None else np.cos(np.deg2rad(self.set[latitude].astype("float64"))).clip(0)

    def _too_wide(self, name: str, variable: Any) -> DataError:
        dims = [
            str(dim)
            for dim in variable.dims
            if dim not in (self.axis, self.id, *self.parts) and variable.sizes[dim] > 1
        ]
        shown, example = [], []
        for dim in dims:
            values = self.set[dim].to_numpy() if dim in self.set else np.arange(variable.sizes[dim])
            first, last = _texts(values[[0, -1]])
            shown.append(f"{dim} ({len(values)} from {first} to {last})")
            example.append(f"{dim}={_texts(values[[len(values) // 2]])[0]}")
        return DataError(
            f"{self.source}: {name!r} has {some(shown)} beside {self.axis}; expected one series: choose a point with ",
            Parameter("select"),
            f" {','.join(example)}, or the mean over an area, {example[0].partition('=')[0]}=FROM:TO.",
        )

    def _empty(self, name: str, variable: Any) -> DataError:
        where = ", ".join(self.read)
        return DataError(
            f"{self.source}: {name!r} holds no value at {where or 'any date'}; expected a place with values (of an "
            "ocean, no land): choose another one with ",
            Parameter("select"),
            self._nearby(variable) + ".",
        )

    def _nearby(self, variable: Any) -> str:
        """The nearest cell that holds a value on the last date, as a wish; empty where none is near."""
        point = {dim: runs[0] for dim, runs in self.parts.items() if dim in variable.dims and len(runs) == 1}
        space = [
            dim
            for dim in point
            if self.kinds.get(dim) in ("latitude", "longitude") and point[dim].stop - point[dim].start == 1
        ]
        if len(space) != 2 or self.id in variable.dims or self.mask is not None:
            return ""
        reach = {dim: slice(max(0, point[dim].start - 10), point[dim].stop + 10) for dim in space}
        field = variable.isel({self.axis: self.rows.stop - 1, **point, **reach}).transpose(..., *space).to_numpy()
        known = np.argwhere(np.isfinite(field.reshape(field.shape[-2:])))
        if not len(known):
            return ""
        here = np.array([point[dim].start - reach[dim].start for dim in space])
        near = known[np.abs(known - here).sum(axis=1).argmin()]
        cells = [self.set[dim].to_numpy()[reach[dim].start + at] for dim, at in zip(space, near, strict=True)]
        return f", such as {','.join(f'{dim}={value:g}' for dim, value in zip(space, cells, strict=True))}"


def _product(runs: list[list[slice]], names: list[str]) -> list[dict[str, slice]]:
    """All combinations of runs: an area across the date line is two pieces."""
    pieces: list[dict[str, slice]] = [{}]
    for name, own in zip(names, runs, strict=True):
        pieces = [{**piece, name: run} for piece in pieces for run in own]
    return pieces


def _of_cells(weights: Any, piece: dict[str, slice]) -> np.ndarray:
    """Weights of the cells of a piece, ``(cells,)``."""
    shape = [run.stop - run.start for run in piece.values()]
    if weights is None:
        return np.ones(int(np.prod(shape)))
    own = weights.isel({dim: piece[dim] for dim in weights.dims}).transpose(*(d for d in piece if d in weights.dims))
    sized = own.to_numpy().reshape([n if d in weights.dims else 1 for n, d in zip(shape, piece, strict=True)])
    return np.broadcast_to(sized, shape).ravel()


def _mean(parts: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Weighted mean over cells, leaving out those without a value.

    Args:
        parts: values, ``(rows[, series], cells)``, and the weights of their cells, ``(cells,)``.
    """
    total: Any = 0.0
    weight: Any = 0.0
    for values, own in parts:
        known = np.isfinite(values)
        total = total + np.where(known, values, 0.0) @ own
        weight = weight + known @ own
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / weight)


def _block(variable: Any, axis: str, cells: int) -> int:
    """Steps to load at once: as many as fit, in whole chunks of the file."""
    chunks = variable.encoding.get("chunksizes") or variable.encoding.get("chunks")
    chunk = int(chunks[variable.dims.index(axis)]) if chunks else 1
    steps = max(1, BLOCK // max(1, cells))
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


def _opened(source: Source) -> Any:
    """Open a dataset without loading it."""
    head = source.head
    if head.startswith(b"GRIB"):
        raise DataError(f"{source} is GRIB; expected NetCDF: convert it, cdo -f nc copy {source.path.name} FILE.nc.")
    if head.startswith(b"CDF") and not head.startswith(_CLASSIC):
        raise DataError(
            f"{source} is NetCDF of the CDF-5 kind; expected NetCDF 3 or 4: nccopy -k nc4 {source.path.name} FILE.nc."
        )
    zarr = not head.startswith((_HDF5, b"CDF"))
    xarray = library("xarray", "zarr" if zarr else "netcdf", source)
    store: Any = source.opened()
    if zarr:
        library("zarr", "zarr", source)
        if source.head:
            store = _zip_store(source)
        keywords: dict[str, Any] = {"engine": "zarr", "chunks": None}
    elif head.startswith(_HDF5):
        library("h5netcdf", "netcdf", source)
        keywords = {"engine": "h5netcdf"}
    else:
        keywords = {"engine": "scipy"}
    try:
        with warnings.catch_warnings():
            # xarray warns of metadata that are not gathered, and of encodings that nobody writes here.
            warnings.simplefilter("ignore")
            return xarray.open_dataset(store, decode_times=False, cache=False, **keywords)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        raise _damaged(source, error) from error


def _zip_store(source: Source) -> Any:
    if source.content is not None:
        raise DataError(f"{source} is a Zarr store in a zip in another file; unpack the outer one first.")
    return library("zarr.storage", "zarr", source).ZipStore(source.path, mode="r")


def _damaged(source: Source, error: BaseException) -> DataError:
    return DataError(f"{source} cannot be read as NetCDF or Zarr ({reason(error)}); it is damaged, or of another kind.")
