"""The axis of time of a grid: which dimension it is, and its dates by the climate and forecast conventions (CF)."""

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from kseq.data._source import Source
from kseq.data.columns import TIME_NAMES
from kseq.data.formats.found import reason
from kseq.errors import DataError

_SINCE = re.compile(r"\s*(\w+)\s+since\s+(.+)", re.I)
_MONTHS = {"month": 1, "months": 1, "year": 12, "years": 12, "common_year": 12, "common_years": 12}

#: Calendars whose dates are those of the world.
_WORLD = ("", "standard", "gregorian", "proleptic_gregorian")


def axis_of(data: Any, source: Source) -> tuple[str, pd.Index, list[str]]:
    """Find the dimension of time and read its dates.

    Args:
        data: A dataset of xarray whose times are not decoded.
        source: Where it comes from, for messages.

    Returns:
        Name of the dimension; its dates, or row numbers where it has no coordinate; phrases on them.

    Raises:
        DataError: There is no such dimension, or its dates cannot be told.
    """
    dims = [str(dim) for dim in data.dims]
    dated = [dim for dim in dims if dim in data and _SINCE.fullmatch(str(data[dim].attrs.get("units", "")))]
    # The dates may stand in a variable along a dimension that is only numbered.
    beside = [
        (str(name), str(variable.dims[0])) for name, variable in data.variables.items()
        if variable.ndim == 1 and str(name) not in dims and _SINCE.fullmatch(str(variable.attrs.get("units", "")))
    ]  # fmt: skip
    called = [dim for dim in dims if dim.lower() in TIME_NAMES or (dim in data and data[dim].attrs.get("axis") == "T")]
    axis = next((dim for dim in called if dim in dated), None) or next(iter(dated or called), None)
    if axis is None and beside:
        axis = beside[0][1]
    if axis is None and len([dim for dim in dims if data.sizes[dim] > 1]) == 1:
        axis = next(dim for dim in dims if data.sizes[dim] > 1)
    if axis is None:
        raise DataError(
            f"{source} has no dimension of time ({', '.join(dims) or 'none at all'}); expected one such as time."
        )
    coordinate = axis if axis in data else next((name for name, dim in beside if dim == axis), None)
    if coordinate is None:
        return axis, pd.RangeIndex(data.sizes[axis]), []
    return axis, *_dates(data[coordinate], source)


def _dates(variable: Any, source: Source) -> tuple[pd.Index, list[str]]:
    units = _SINCE.fullmatch(str(variable.attrs.get("units", "")))
    calendar = str(variable.attrs.get("calendar", "")).lower()
    values = variable.to_numpy()
    if units is None:
        if values.dtype.kind in "SUO":
            texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
            return pd.Index(texts), []
        return pd.Index(values), []
    if not np.isfinite(values.astype("float64")).all():
        raise DataError(f"{source}: {variable.name} holds no date in some rows; expected one in each.")
    if units.group(1).lower() in _MONTHS:
        return _months(values.astype("float64") * _MONTHS[units.group(1).lower()], units.group(2), source), []
    dates = _decoded(variable, calendar, source)
    phrases = [] if calendar in _WORLD else [f"calendar {calendar}"]
    if dates.dtype == object:
        dates = _of_calendar(dates, calendar, source)
    return _whole_seconds(pd.DatetimeIndex(dates)), phrases


def _decoded(variable: Any, calendar: str, source: Source) -> np.ndarray:
    import xarray

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return xarray.decode_cf(variable.to_dataset(name="t").reset_coords(drop=True))["t"].to_numpy()
    except (ImportError, ModuleNotFoundError) as error:
        raise _no_cftime(source, calendar) from error
    except (ValueError, OverflowError) as error:
        if "cftime" in str(error) and calendar not in _WORLD:
            raise _no_cftime(source, calendar) from error
        raise DataError(
            f"{source}: times in {variable.attrs.get('units')!r} cannot be read ({reason(error)}); expected units "
            "such as days since 1950-01-01."
        ) from error


def _no_cftime(source: Source, calendar: str) -> DataError:
    return DataError(f"{source} has the calendar {calendar!r} and needs cftime to be read: pip install 'kseq[netcdf]'.")


def _of_calendar(dates: np.ndarray, calendar: str, source: Source) -> np.ndarray:
    """Dates of a model's calendar as those of the world."""
    texts = [date.strftime("%Y-%m-%dT%H:%M:%S") for date in dates]
    try:
        return np.array([text.strip().rjust(19, "0") for text in texts], dtype="datetime64[s]")
    except ValueError as error:
        raise DataError(
            f"{source} has the calendar {calendar!r}, with days that no other has ({reason(error)}); expected dates "
            "of the world: average it by months, or convert its calendar."
        ) from error


def _months(values: np.ndarray, since: str, source: Source) -> pd.DatetimeIndex:
    """Dates so many months after one: a half month is its middle."""
    try:
        first = pd.Timestamp(since.strip())
    except ValueError as error:
        raise DataError(f"{source}: times since {since!r} cannot be read; expected a date.") from error
    whole = np.floor(values + 1e-9).astype(int)
    month = np.datetime64(first.strftime("%Y-%m"), "M") + whole
    begin = month.astype("datetime64[D]")
    days = ((month + 1).astype("datetime64[D]") - begin).astype(int)
    shift = np.floor((values - whole) * days + 1e-6).astype(int) + first.day - 1
    return pd.DatetimeIndex((begin + shift.astype("timedelta64[D]")).astype("datetime64[s]"))


def _whole_seconds(dates: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Take off what is left of days that were counted with a fraction, less than a millisecond."""
    rounded = dates.round("s")
    near = bool((abs(dates - rounded) < pd.Timedelta("1ms")).all())
    return rounded.as_unit("s") if near else dates
