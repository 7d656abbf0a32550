"""Frames of other libraries: polars, Arrow, DuckDB and whatever else speaks Arrow's C stream; xarray's arrays too."""

from typing import Any

import pandas as pd

from kseq.data.formats.found import library
from kseq.errors import DataError


def as_pandas(frame: Any) -> pd.DataFrame:
    """Make a DataFrame of pandas of a frame of another library.

    Args:
        frame: a DataFrame or Series of pandas; a frame with ``__arrow_c_stream__`` (polars, pyarrow, DuckDB, Ibis),
            for which pyarrow is needed, ``pip install 'kseq[parquet]'``; a lazy frame of polars, which is collected; an
            array or dataset of xarray whose only dimension is time.

    Returns:
        pd.DataFrame: the same object where it is one.

    Raises:
        DataError: it is nothing of the kind.
    """
    if isinstance(frame, pd.DataFrame):
        return frame
    if isinstance(frame, pd.Series):
        return frame.to_frame("y" if frame.name is None else frame.name)
    kind = type(frame).__module__.partition(".")[0]
    if kind == "polars" and hasattr(frame, "collect"):
        frame = frame.collect()
    if kind == "xarray" and hasattr(frame, "dims"):
        return _of_xarray(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return _of_arrow(frame, kind)
    if hasattr(frame, "to_pandas"):
        made = frame.to_pandas()
        if isinstance(made, pd.DataFrame):
            return made
    raise DataError(
        f"received {type(frame).__module__}.{type(frame).__qualname__}, expected a DataFrame of pandas, polars or "
        "pyarrow."
    )


def _of_arrow(frame: Any, kind: str) -> pd.DataFrame:
    pyarrow = library("pyarrow", "parquet", f"a frame of {kind}")
    table = pyarrow.table(frame)
    # Polars writes categories of text with its own metadata, and dates are dates here too.
    return table.to_pandas(date_as_object=False, strings_to_categorical=False)


def _of_xarray(data: Any) -> pd.DataFrame:
    if len(data.dims) != 1:
        raise DataError(
            f"received an array of xarray over {', '.join(map(str, data.dims)) or 'nothing'}, expected time alone; "
            "choose a point, such as .sel(lat=39, lon=3, method='nearest'), or take a mean."
        )
    named = data.to_dataset(name="y" if data.name is None else str(data.name)) if hasattr(data, "name") else data
    kept = named.drop_vars([name for name in named.coords if name not in named.dims])
    return kept.to_dataframe()
