"""Frames of other libraries: polars, Arrow, DuckDB and whatever else speaks Arrow's C stream; xarray's arrays too."""

from typing import Any

import pandas as pd

from kseq.data.formats.found import library
from kseq.errors import DataError


def is_frame(given: Any) -> bool:
    """Whether something is a frame, or gives one."""
    return isinstance(given, pd.DataFrame | pd.Series) or any(
        hasattr(given, name) for name in ("to_pandas", "__arrow_c_stream__", "collect", "compute", "to_dataframe")
    )


def as_pandas(frame: Any) -> pd.DataFrame:
    """Make a DataFrame of pandas of a frame of another library.

    Args:
        frame: A DataFrame or Series of pandas; a frame or series of polars, lazy or not; a frame with
            ``__arrow_c_stream__`` (pyarrow, DuckDB, Ibis), for which pyarrow is needed (``pip install
            'kseq[parquet]'``); one of dask; an array or dataset of xarray whose only dimension is time.

    Returns:
        pd.DataFrame: The same object where it is one.

    Raises:
        DataError: It is nothing of the kind.
    """
    if isinstance(frame, pd.DataFrame):
        _require_one_level(frame)
        return frame
    kind = type(frame).__module__.partition(".")[0]
    if hasattr(frame, "collect") and hasattr(frame, "lazy"):
        frame = frame.collect()
    if kind == "polars":
        return _of_polars(frame)
    if kind == "xarray":
        return _of_xarray(frame)
    if hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, pd.Series):
        pyarrow = library("pyarrow", "parquet", f"a frame of {kind}")
        return pyarrow.table(frame).to_pandas(date_as_object=False)
    made = frame.compute() if hasattr(frame, "compute") else frame
    made = made.to_pandas() if hasattr(made, "to_pandas") else made
    if isinstance(made, pd.Series):
        return made.to_frame("y" if made.name is None else made.name)
    if isinstance(made, pd.DataFrame):
        return made
    raise DataError(
        f"received {type(frame).__module__}.{type(frame).__qualname__}, expected a DataFrame of pandas, polars or "
        "pyarrow."
    )


def _require_one_level(frame: pd.DataFrame) -> None:
    """Refuse a frame whose columns have names of several levels, as downloads of prices and pivots give it."""
    if frame.columns.nlevels > 1:
        first = frame.columns[0]
        raise DataError(
            f"received columns of {frame.columns.nlevels} levels (first: {first!r}), expected one level; choose, such "
            f"as frame[{first[0]!r}], or join the names: frame.columns = frame.columns.map('_'.join)."
        )


def _of_polars(given: Any) -> pd.DataFrame:
    """A frame or a series of polars, by way of NumPy: its own way takes pyarrow."""
    frame = given.to_frame() if hasattr(given, "to_frame") else given
    columns = {}
    for name in frame.columns:
        column = frame[name]
        zone = getattr(column.dtype, "time_zone", None)
        values = pd.Series(column.to_numpy() if zone is None else column.dt.convert_time_zone("UTC").to_numpy())
        columns[name or "y"] = values if zone is None else values.dt.tz_localize("UTC").dt.tz_convert(zone)
    return pd.DataFrame(columns)


def _of_xarray(data: Any) -> pd.DataFrame:
    if len(data.dims) != 1:
        raise DataError(
            f"received an array of xarray over {', '.join(map(str, data.dims)) or 'nothing'}, expected time alone; "
            "choose a point, such as .sel(lat=39, lon=3, method='nearest'), or take a mean."
        )
    named = data.to_dataset(name="y" if data.name is None else str(data.name)) if hasattr(data, "name") else data
    kept = named.drop_vars([name for name in named.coords if name not in named.dims])
    return kept.to_dataframe()
