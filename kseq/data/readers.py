"""From a DataFrame or a file to a series or a panel.

All readers take one path: a table, the roles of its columns, its rows (:mod:`kseq.data._rows`).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kseq.data._cells import Cells
from kseq.data._mending import mended
from kseq.data._origin import remember, remembered, shows_options
from kseq.data._reading import all_series, from_source, name_or, one_or_many, one_series, opened
from kseq.data._source import FILE_OPTIONS, PARQUET, PARQUET_ENDINGS, READ_CSV, READ_PARQUET, Source
from kseq.data._tables import FrameTable, found_table, plain
from kseq.data.columns import Names
from kseq.data.formats import sql
from kseq.data.formats.frames import as_pandas
from kseq.data.panel import Panel
from kseq.data.series import Series
from kseq.errors import Parameter
from kseq.naming import checked


@remembered
@shows_options
def read_csv(
    path: str | Path | Source,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    header: int = 0,
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
    *,
    series: object = None,
    **options: Any,
) -> Series:
    """Read a series from a CSV file.

    Args:
        path: the file; ``-`` or ``/dev/stdin`` for what is piped in.
        time: the column of dates, or several that make a date (``["year", "month", "day"]``). By default a column
            named ds, date, time, datetime or timestamp; without one, rows are taken as equally spaced.
        target: the column to forecast (or several). By default ``y``, or the only column of numbers.
        features: further columns for the models to read; columns of ``time`` may be among them.
        header: number of the line, from 0, that holds the column names; lines above it are left out.
        fill: what to do with missing values. None refuses them; ``"ffill"`` repeats the last value, ``"seasonal"``
            takes the value one season earlier; ``"linear"`` interpolates between neighbours, and so looks ahead to the
            next value, which :meth:`kseq.Panel.causal` takes back; ``"mask"`` leaves them and marks their rows.
        name: how to call the series; by default as ``series`` says, or the file's name.
        unit: unit of the target, for axes; found in the column's name where it ends in a known one ("deg C").
        series: the one to read from a file of several series; see :func:`from_frame`.
        **options: how the file is written: ``sep``, ``decimal``, ``thousands``, ``encoding``, ``no_header``,
            ``skip_rows``, ``skip_footer``, ``comment``; and ``id``, ``future``, ``static``, ``freq``, ``season``,
            ``missing``, ``date_format``, ``dayfirst``, ``sort`` and ``wide``, see :func:`from_frame`.

    Returns:
        Series: checked, sorted dates, finite numbers.

    Raises:
        DataError: the file or a column cannot be used; the message says what to do.

    Example:
        >>> series = read_csv("sst.csv", time=["year", "month", "day"], target="sst")  # doctest: +SKIP
    """
    given = {"time": time, "target": target, "features": features, "header": header, "fill": fill, "name": name,
             "unit": unit, "series": series, **options}  # fmt: skip
    return from_source(path, one_series, given, refused=PARQUET)


@remembered
@shows_options
def read_parquet(
    path: str | Path | Source,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
    *,
    id: str | None = None,
    series: object = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    **options: Any,
) -> Series:
    """Read a series from a Parquet file; needs pyarrow (``pip install 'kseq[parquet]'``).

    The file is read in batches, of the columns that are named, and only the rows of the series are kept: a file of many
    series may be larger than the memory.

    Args:
        path: the file.
        time: as in :func:`read_csv`; the index of a DataFrame that was written with it is found as well.
        target: as in :func:`read_csv`.
        features: as in :func:`read_csv`.
        fill: as in :func:`read_csv`.
        name: as in :func:`read_csv`.
        unit: as in :func:`read_csv`.
        id: as in :func:`from_frame`.
        series: as in :func:`from_frame`.
        future: as in :func:`from_frame`.
        static: as in :func:`from_frame`.
        **options: ``freq`` and ``season``, see :func:`from_frame`.

    Returns:
        Series: checked, as :func:`read_csv` gives it.

    Raises:
        DataError: the file or a column cannot be used, or pyarrow is missing; the message says what to do.

    Example:
        >>> series = read_parquet("shops.parquet", id="shop", series="north", target="sales")  # doctest: +SKIP
    """
    given = {"time": time, "target": target, "features": features, "fill": fill, "name": name, "unit": unit, "id": id,
             "series": series, "future": future, "static": static, **options}  # fmt: skip
    return from_source(path, one_series, given, READ_PARQUET, "Parquet")


@checked("kseq.from_frame")
def from_frame(
    frame: Any,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
    source: str = "",
    *,
    id: str | None = None,
    series: object = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    freq: str | None = None,
    season: int | None = None,
    missing: str | float | Sequence[Any] | None = None,
    date_format: str | None = None,
    dayfirst: bool | None = None,
    sort: bool = False,
    wide: str | None = None,
) -> Series:
    """Make a series of a DataFrame; errors as in :func:`read_csv`.

    Args:
        frame: of pandas, polars, Arrow or xarray (see :func:`kseq.data.formats.frames.as_pandas`): wide, one column a
            target or covariate; or long, the rows of several series in one column. One that is already indexed by dates
            needs no ``time``.
        time: as in :func:`read_csv`.
        target: as in :func:`read_csv`.
        features: as in :func:`read_csv`.
        fill: as in :func:`read_csv`.
        name: as in :func:`read_csv`.
        unit: as in :func:`read_csv`.
        source: where the values come from.
        id: column that tells the series of a long frame apart; by default ``unique_id`` where there is one. Ids are
            text: the number 1 is the id "1".
        series: which of them to take; may be left out where there is only one.
        future: columns that are known ahead. Rows at the end that hold them and no target are steps to forecast: they
            become :attr:`Series.ahead`.
        static: columns that hold the same value in all rows.
        freq: frequency of the dates ("MS", "D", "h", "B", "W-SUN"); refused where they do not fit. By default it is
            found, and a file that mixes several is refused.
        season: steps in a season, for ``fill="seasonal"``; by default that of the calendar.
        missing: numbers and texts that stand for missing values: ``[-9999, "."]``. Values that look like fill values
            are refused; ``"none"`` keeps them.
        date_format: how dates are written, as ``strptime`` says it: ``"%d.%m.%Y %H:%M"``; by default it is found.
        dayfirst: whether 01/04/1960 is the first of April; by default it is found, or refused where both may be.
        sort: sort the rows by date, instead of refusing such as are not in order.
        wide: ``"months"`` for a row a year and a column a month, ``"series"`` for a row or a column a series.

    Example:
        >>> frame = pd.DataFrame({"unique_id": list("aabb"), "y": [1.0, 2.0, 3.0, 5.0]})
        >>> from_frame(frame, series="b").y[:, 0].tolist()
        [3.0, 5.0]
    """
    given = {
        "time": time, "target": target, "features": features, "fill": fill, "name": name or name_or(series, "series"),
        "unit": unit, "id": id, "series": series, "future": future, "static": static, "freq": freq, "season": season,
        "missing": missing, "date_format": date_format, "dayfirst": dayfirst, "sort": sort, "wide": wide,
    }  # fmt: skip
    return mended(lambda options: one_series(FrameTable(as_pandas(frame), id), source, **options), given, FILE_OPTIONS)


def read_file(
    path: str | Path | Source, *, id: str | None = None, series: object = None, header: int = 0, **options: Any
) -> Series | Panel:
    """Read what a CSV or Parquet file holds: one series, or a panel of all where there are several.

    Args:
        path: the file.
        id: column that tells series apart; by default ``unique_id`` where there is one.
        series: the one to read of several; None for all.
        header: number of the line of a CSV file that holds the column names.
        **options: further arguments of :func:`kseq.read_csv`.

    Returns:
        A panel where the column of ids holds more than one; a series otherwise.

    Raises:
        DataError: as in :func:`kseq.read_csv` and :func:`read_panel`.
    """
    said = {name: options[name] for name in FILE_OPTIONS if name in options} | {"header": header}
    kind = ("Parquet", READ_PARQUET) if str(path).endswith(PARQUET_ENDINGS) else ("CSV", READ_CSV)
    source = plain(Source.of(path, said, kind[1], kind[0]))
    given = {"id": id, "series": series, "header": header, **options}
    data = mended(lambda options: one_or_many(*opened(source, options)), given)
    reader: Callable = read_panel if isinstance(data, Panel) else read_parquet if source.is_parquet() else read_csv
    if reader is not read_csv and source.is_parquet():
        given.pop("header")
    if reader is read_panel:
        given.pop("series")
    return remember(data, reader, {"path": path, **given})


def read_sql(
    address: str,
    query: str | None,
    *,
    id: str | None = None,
    series: object = None,
    constant: bool = False,
    **options: Any,
) -> Series | Panel:
    """Read the rows of a query: one series, or a panel where there are several; needs ``pip install 'kseq[sql]'``.

    A file of SQLite or DuckDB is opened to be read alone, and what the query changes is never committed. The address is
    recorded without its password; ``$NAME`` in it stands for a variable of the environment, and is recorded as it is.

    Args:
        address: of the database, as SQLAlchemy has it: ``"sqlite:///sales.db"``, ``"duckdb:///sales.duckdb"``,
            ``"postgresql://me:$PGPASSWORD@host/sales"``.
        query: in SQL; the columns that it gives are those of the other arguments.
        id: column that tells series apart; by default ``unique_id`` where there is one.
        series: the one to read of several; None for all.
        constant: whether a target may be constant in every series, as in rows that follow others; a panel is then
            given.
        **options: further arguments of :func:`kseq.from_frame`.

    Returns:
        A panel where the column of ids holds more than one; a series otherwise.

    Raises:
        DataError: a library is missing, the database does not answer, or a column cannot be used.

    Example:
        >>> read_sql("sqlite:///sales.db", "select day, sold from sales order by day")  # doctest: +SKIP
    """
    table, shown = found_table(sql.read(address, query), id), sql.without_password(address)
    given = {"id": id, "series": series, **options}
    name = options.get("name") or name_or(series, sql.name_of(address))

    def read(options: dict[str, Any]) -> Series | Panel:
        options |= {"source": shown, "name": name}
        return all_series(table, constant=True, **options) if constant else one_or_many(table, options)

    data = mended(read, given, FILE_OPTIONS)
    return remember(data, read_sql, {"address": shown, "query": query, "constant": constant, **given})


@remembered
@shows_options
def read_panel(
    path: str | Path | Source,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
    *,
    header: int = 0,
    **options: Any,
) -> Panel:
    """Read many series from a CSV or Parquet file; Parquet needs pyarrow (``pip install 'kseq[parquet]'``).

    A long Parquet file is read in batches and may be larger than the memory.

    Args:
        path: the file.
        time: as in :func:`kseq.read_csv`.
        target: as in :func:`panel_from_frame`.
        features: past covariates.
        fill: as in :func:`panel_from_frame`.
        name: how to call the panel; by default the file's name.
        unit: unit of the targets.
        header: number of the line of a CSV file that holds the column names.
        **options: ``id``, ``future``, ``static``, ``freq``, ``season`` and ``constant``, see :func:`panel_from_frame`.

    Returns:
        Panel: checked.

    Raises:
        DataError: the file or a column cannot be used; the message says what to do.

    Example:
        >>> panel = read_panel("shops.parquet", id="shop", target="sales")  # doctest: +SKIP
    """
    given = {"time": time, "target": target, "features": features, "fill": fill, "name": name, "unit": unit,
             "header": header, **options}  # fmt: skip
    return from_source(path, all_series, given)


@checked("kseq.panel_from_frame")
def panel_from_frame(
    frame: Any,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str = "panel",
    unit: str = "",
    source: str = "",
    *,
    id: str | None = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    freq: str | None = None,
    season: int | None = None,
    constant: bool = False,
    missing: str | float | Sequence[Any] | None = None,
    date_format: str | None = None,
    dayfirst: bool | None = None,
    sort: bool = False,
    wide: str | None = None,
) -> Panel:
    """Make a panel of a DataFrame.

    Args:
        frame: long, with a column that tells series apart; or wide, without one: then each target column is a series,
            and all share the covariates. The rows of a series must be in order of time; series may be interleaved.
        time: as in :func:`kseq.read_csv`.
        target: columns to forecast. By default, of a long frame ``y`` or the only column of numbers that is no
            covariate; of a wide one all columns of numbers.
        features: past covariates.
        fill: None refuses missing values, ``"ffill"`` repeats the last value, ``"seasonal"`` takes the value one season
            earlier, ``"linear"`` interpolates between neighbours, ``"mask"`` leaves them and marks their rows. Series
            of a wide frame may begin late or end early.
        name: how to call the panel.
        unit: unit of the targets.
        source: where the values come from.
        id: column that tells series apart; by default ``unique_id`` where there is one. Ids become text.
        future: columns that are known ahead; rows at the end of a series that hold them and no target are steps to
            forecast.
        static: columns that hold one value a series.
        freq: frequency of the dates, as in :func:`kseq.from_frame`.
        season: steps in a season, for ``fill="seasonal"``.
        constant: whether a target may be constant in every series, as in rows that follow others; by default that is
            refused.
        missing: as in :func:`kseq.from_frame`.
        date_format: as in :func:`kseq.from_frame`.
        dayfirst: as in :func:`kseq.from_frame`.
        sort: sort the rows of each series by date.
        wide: as in :func:`kseq.from_frame`.

    Returns:
        Panel: checked; series sorted by id, as numbers where all ids are numbers.

    Raises:
        DataError: a column cannot be used, a date is repeated or out of order, frequencies differ.

    Example:
        >>> frame = pd.DataFrame({"unique_id": list("aabb"), "y": [1.0, 2.0, 3.0, 5.0]})
        >>> panel = panel_from_frame(frame)
        >>> panel.ids.tolist(), panel.borders.tolist()
        (['a', 'b'], [0, 2, 4])
    """
    given = {
        "time": time, "target": target, "features": features, "fill": fill, "name": name, "unit": unit, "id": id,
        "future": future, "static": static, "freq": freq, "season": season, "constant": constant, "missing": missing,
        "date_format": date_format, "dayfirst": dayfirst, "sort": sort, "wide": wide,
    }  # fmt: skip
    return mended(lambda options: all_series(FrameTable(as_pandas(frame), id), source, **options), given, FILE_OPTIONS)


def read_table(path: str | Path, named: Parameter, options: Mapping[str, Any]) -> tuple[pd.DataFrame, Cells]:
    """Read a file as a frame, whatever its columns are.

    Args:
        path: the file.
        named: what its user names it by, for messages.
        options: of reading, by name; those that say how a file is written and how cells are taken count.

    Returns:
        All rows; ids as text. And how its cells are to be taken.
    """
    said = {name: options[name] for name in FILE_OPTIONS if name in options}
    cells = Cells.of(**{name: options[name] for name in ("missing", "date_format", "dayfirst") if name in options})
    source = plain(Source.of(path, said, named))

    def read(options: dict[str, Any]) -> pd.DataFrame:
        table = opened(source, {**said, **options, "id": id})[0]
        return pd.concat(list(table.batches(list(table.schema))))

    id = options.get("id")
    return mended(read, said), cells


#: Every option of reading, by name.
READING_OPTIONS = tuple(dict.fromkeys([*FILE_OPTIONS, *inspect.signature(panel_from_frame).parameters, "series"]))
