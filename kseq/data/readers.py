"""From a DataFrame or a file to a series or a panel.

All readers take one path: a table, the roles of its columns, its rows (:mod:`kseq.data._rows`). The options that they
share are described once, in :mod:`kseq.data._options`; ``help`` shows them with each reader.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from kseq.data._mending import mended
from kseq.data._options import Cells, FileOptions, Names, PanelFileOptions, PanelOptions, Request, SeriesOptions
from kseq.data._origin import remember, remembered, takes
from kseq.data._reading import all_series, from_source, one_or_many, one_series, opened
from kseq.data._source import FILE_OPTIONS, PARQUET, PARQUET_ENDINGS, READ_CSV, READ_PARQUET, Source
from kseq.data._tables import FrameTable, found_table, plain
from kseq.data.formats import sql
from kseq.data.formats.frames import as_pandas
from kseq.data.panel import Panel
from kseq.data.series import Series
from kseq.errors import Parameter


@remembered
@takes(FileOptions)
def read_csv(
    path: str | Path | Source, time: Names = None, target: Names = None, features: Sequence[str] = (),
    **options: Unpack[FileOptions],
) -> Series:  # fmt: skip
    """Read a series from a CSV file, or from a file of any other format but Parquet.

    Args:
        path: Path of the file; ``-`` or ``/dev/stdin`` for what is piped in.
        time: Name of the column of dates, or several that make a date (``["year", "month", "day"]``). By default a
            column named ds, date, time, datetime or timestamp, or one that holds dates; without one, or with
            ``"none"``, rows are taken as equally spaced.
        target: Name of the column to forecast, or several. By default ``y``, or the only column of numbers.
        features: Names of further columns for the models to read; columns of ``time`` may be among them. By default
            there are none.
        **options: As :class:`kseq.data.FileOptions` describes them.

    Returns:
        Series: Checked, with sorted dates and finite numbers.

    Raises:
        DataError: The file or a column cannot be used; the message says what to do.

    Example:
        >>> series = read_csv("sst.csv", time=["year", "month", "day"], target="sst")  # doctest: +SKIP
    """
    given = {"time": time, "target": target, "features": features, **options}
    return from_source(path, one_series, given, refused=PARQUET)


@remembered
@takes(FileOptions)
def read_parquet(
    path: str | Path | Source, time: Names = None, target: Names = None, features: Sequence[str] = (),
    **options: Unpack[FileOptions],
) -> Series:  # fmt: skip
    """Read a series from a Parquet file; needs pyarrow (``pip install 'kseq[parquet]'``).

    The file is read in batches, of the columns that are named, and only the rows of the series are kept: a file of many
    series may be larger than the memory.

    Args:
        path: Path of the file.
        time: As in :func:`read_csv`; the index of a DataFrame that was written with it is found as well.
        target: As in :func:`read_csv`.
        features: As in :func:`read_csv`.
        **options: As :class:`kseq.data.FileOptions` describes them.

    Returns:
        Series: Checked, as :func:`read_csv` gives it.

    Raises:
        DataError: The file or a column cannot be used, or pyarrow is missing; the message says what to do.

    Example:
        >>> series = read_parquet("shops.parquet", id="shop", series="north", target="sales")  # doctest: +SKIP
    """
    given = {"time": time, "target": target, "features": features, **options}
    return from_source(path, one_series, given, READ_PARQUET, "Parquet")


@takes(SeriesOptions)
def from_frame(
    frame: Any, time: Names = None, target: Names = None, features: Sequence[str] = (),
    **options: Unpack[SeriesOptions],
) -> Series:  # fmt: skip
    """Make a series of a DataFrame; errors as in :func:`read_csv`.

    Args:
        frame: Frame of pandas, polars, Arrow, dask or xarray (see :func:`kseq.data.formats.frames.as_pandas`): wide,
            one column a target or covariate; or long, the rows of several series in one column. One that is already
            indexed by dates needs no ``time``.
        time: As in :func:`read_csv`.
        target: As in :func:`read_csv`.
        features: As in :func:`read_csv`.
        **options: As :class:`kseq.data.SeriesOptions` describes them.

    Returns:
        Series: Checked, as :func:`read_csv` gives it.

    Example:
        >>> frame = pd.DataFrame({"unique_id": list("aabb"), "y": [1.0, 2.0, 3.0, 5.0]})
        >>> from_frame(frame, series="b").y[:, 0].tolist()
        [3.0, 5.0]
    """
    return _from_frame(frame, one_series, "series", {"time": time, "target": target, "features": features, **options})


@takes(PanelOptions)
def panel_from_frame(
    frame: Any, time: Names = None, target: Names = None, features: Sequence[str] = (),
    **options: Unpack[PanelOptions],
) -> Panel:  # fmt: skip
    """Make a panel of a DataFrame.

    Args:
        frame: Frame as :func:`from_frame` takes it: long, with a column that tells series apart; or wide, without one:
            then each target column is a series, which may begin late or end early, and all share the covariates. The
            rows of a series must be in order of time; series may be interleaved.
        time: As in :func:`read_csv`.
        target: Names of the columns to forecast. By default, of a long frame ``y`` or the only column of numbers that
            is no covariate; of a wide one all columns of numbers.
        features: As in :func:`read_csv`.
        **options: As :class:`kseq.data.PanelOptions` describes them.

    Returns:
        Panel: Checked; series sorted by id, as numbers where all ids are numbers.

    Raises:
        DataError: A column cannot be used, a date is repeated or out of order, frequencies differ.

    Example:
        >>> frame = pd.DataFrame({"unique_id": list("aabb"), "y": [1.0, 2.0, 3.0, 5.0]})
        >>> panel = panel_from_frame(frame)
        >>> panel.ids.tolist(), panel.borders.tolist()
        (['a', 'b'], [0, 2, 4])
    """
    return _from_frame(frame, all_series, "panel", {"time": time, "target": target, "features": features, **options})


def long_frame(frame: Any, **options: Any) -> Series | Panel:
    """Make a panel of a long frame, or a series where it holds only one or one is named; as :func:`from_frame`."""
    return _from_frame(frame, one_or_many, "frame", options)


def _from_frame(frame: Any, make: Callable, name: str, given: dict[str, Any]) -> Any:
    def read(options: dict[str, Any]) -> Any:
        return make(FrameTable(as_pandas(frame), options.get("id")), Request.of(options, name))

    return mended(read, given, FILE_OPTIONS)


@takes(PanelFileOptions)
def read_file(
    path: str | Path | Source, time: Names = None, target: Names = None, features: Sequence[str] = (),
    **options: Unpack[PanelFileOptions],
) -> Series | Panel:  # fmt: skip
    """Read what a file holds: one series, or a panel of all where there are several.

    Args:
        path: Path of the file, of any format.
        time: As in :func:`read_csv`.
        target: As in :func:`read_csv`.
        features: As in :func:`read_csv`.
        **options: As :class:`kseq.data.FileOptions` describes them.

    Returns:
        A panel where the column of ids holds more than one; a series otherwise.

    Raises:
        DataError: As in :func:`kseq.read_csv` and :func:`read_panel`.
    """
    given: dict[str, Any] = {"time": time, "target": target, "features": features, **options}
    named, kind = (READ_PARQUET, "Parquet") if str(path).endswith(PARQUET_ENDINGS) else (READ_CSV, "CSV")
    source = plain(Source.of(path, given, named, kind))
    data = mended(lambda options: one_or_many(*opened(source, options)), given)
    reader: Callable = read_panel if isinstance(data, Panel) else read_parquet if source.is_parquet() else read_csv
    return remember(data, reader, {"path": path, **given})


@takes(PanelOptions)
def read_sql(
    address: str, query: str | None, time: Names = None, target: Names = None, features: Sequence[str] = (),
    **options: Unpack[PanelOptions],
) -> Series | Panel:  # fmt: skip
    """Read the rows of a query: one series, or a panel where there are several; needs ``pip install 'kseq[sql]'``.

    A file of SQLite or DuckDB is opened to be read alone, and what the query changes is never committed. The address is
    recorded without its password; ``$NAME`` in it stands for a variable of the environment, and is recorded as it is.

    Args:
        address: Address of the database, as SQLAlchemy has it: ``"sqlite:///sales.db"``, ``"duckdb:///sales.duckdb"``,
            ``"postgresql://me:$PGPASSWORD@host/sales"``.
        query: Query in SQL; the columns that it gives are those of the other arguments.
        time: As in :func:`read_csv`.
        target: As in :func:`read_csv`.
        features: As in :func:`read_csv`.
        **options: As :class:`kseq.data.PanelOptions` describes them; with ``constant`` a panel is given.

    Returns:
        A panel where the column of ids holds more than one; a series otherwise.

    Raises:
        DataError: A library is missing, the database does not answer, or a column cannot be used.

    Example:
        >>> read_sql("sqlite:///sales.db", "select day, sold from sales order by day")  # doctest: +SKIP
    """
    given: dict[str, Any] = {"time": time, "target": target, "features": features, **options}
    found, shown = sql.read(address, query), sql.without_password(address)

    def read(options: dict[str, Any]) -> Series | Panel:
        table, request = found_table(found, options.get("id")), Request.of(options, sql.name_of(address), shown)
        return all_series(table, request) if request.constant else one_or_many(table, request)

    return remember(mended(read, given, FILE_OPTIONS), read_sql, {"address": shown, "query": query, **given})


@remembered
@takes(PanelFileOptions)
def read_panel(
    path: str | Path | Source, time: Names = None, target: Names = None, features: Sequence[str] = (),
    **options: Unpack[PanelFileOptions],
) -> Panel:  # fmt: skip
    """Read many series from a CSV or Parquet file; Parquet needs pyarrow (``pip install 'kseq[parquet]'``).

    A long Parquet file is read in batches and may be larger than the memory.

    Args:
        path: Path of the file.
        time: As in :func:`read_csv`.
        target: As in :func:`panel_from_frame`.
        features: As in :func:`read_csv`.
        **options: As :class:`kseq.data.PanelFileOptions` describes them.

    Returns:
        Panel: Checked.

    Raises:
        DataError: The file or a column cannot be used; the message says what to do.

    Example:
        >>> panel = read_panel("shops.parquet", id="shop", target="sales")  # doctest: +SKIP
    """
    given = {"time": time, "target": target, "features": features, **options}
    return from_source(path, all_series, given)


def read_table(path: str | Path, named: Parameter, options: Mapping[str, Any]) -> tuple[pd.DataFrame, Cells]:
    """Read a file as a frame, whatever its columns are.

    Args:
        path: Path of the file.
        named: What its user names it by, for messages.
        options: Options of reading, by name; those that say how a file is written and how cells are taken count.

    Returns:
        All rows, with ids as text; and how its cells are to be taken.
    """
    said = {name: options[name] for name in FILE_OPTIONS if name in options}
    cells = Cells.of({name: options[name] for name in ("missing", "date_format", "dayfirst") if name in options})
    source = plain(Source.of(path, said, named))

    def read(given: dict[str, Any]) -> pd.DataFrame:
        table = opened(source, {**given, "id": options.get("id")})[0]
        return pd.concat(list(table.batches(list(table.schema))))

    return mended(read, said), cells


#: Every option of reading, by name.
READING_OPTIONS = tuple(dict.fromkeys([*FILE_OPTIONS, *inspect.signature(panel_from_frame).parameters]))
