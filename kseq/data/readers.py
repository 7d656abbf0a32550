"""From a DataFrame or a file to a series or a panel.

All readers take one path: a table, the roles of its columns, its rows (:mod:`kseq.data._rows`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.data._origin import remembered
from kseq.data._rows import Rows
from kseq.data._tables import (
    FrameTable,
    ParquetTable,
    Table,
    columns_of,
    is_parquet,
    open_table,
    text_table,
)
from kseq.data.columns import ID_NAME, Names, Roles, numbers
from kseq.data.dates import read_dates
from kseq.data.missing import require_fill
from kseq.data.panel import Panel
from kseq.data.series import Series
from kseq.errors import DataError, Parameter


@remembered
def read_csv(
    path: str | Path,
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
        path: the file.
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
        **options: ``id``, ``future``, ``static``, ``freq`` and ``season``, see :func:`from_frame`.

    Returns:
        Series: checked, sorted dates, finite numbers.

    Raises:
        DataError: the file or a column cannot be used; the message says what to do.

    Example:
        >>> series = read_csv("sst.csv", time=["year", "month", "day"], target="sst")  # doctest: +SKIP
    """
    require_fill(fill)
    path = Path(path)
    table, name = text_table(path, header, options.get("id")), name or _name(series, path.stem)
    return _one(table, name, path.name, time, target, fill, unit, series, features=features, **options)


@remembered
def read_parquet(
    path: str | Path,
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
    require_fill(fill)
    path = Path(path)
    table, name = ParquetTable(path), name or _name(series, path.stem)
    named: dict[str, Any] = {"id": id, "features": features, "future": future, "static": static}
    return _one(table, name, path.name, time, target, fill, unit, series, **named, **options)


def from_frame(
    frame: pd.DataFrame,
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
) -> Series:
    """Make a series of a DataFrame; errors as in :func:`read_csv`.

    Args:
        frame: wide, one column a target or covariate; or long, the rows of several series in one column. One that is
            already indexed by dates needs no ``time``.
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

    Example:
        >>> frame = pd.DataFrame({"unique_id": list("aabb"), "y": [1.0, 2.0, 3.0, 5.0]})
        >>> from_frame(frame, series="b").y[:, 0].tolist()
        [3.0, 5.0]
    """
    require_fill(fill)
    named: dict[str, Any] = {"id": id, "features": features, "future": future, "static": static}
    name = name or _name(series, "series")
    return _one(FrameTable(frame, id), name, source, time, target, fill, unit, series, freq, season, **named)


def read_file(
    path: str | Path, *, id: str | None = None, series: object = None, header: int = 0, **options: Any
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
    path = Path(path)
    if series is None and (id is not None or ID_NAME in columns_of(path, header)):
        panel = read_panel(path, id=id, header=header, **options)
        if len(panel.ids) > 1:
            return panel
    if is_parquet(path):
        return read_parquet(path, id=id, series=series, **options)
    return read_csv(path, id=id, series=series, header=header, **options)


@remembered
def read_panel(
    path: str | Path,
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
    path = Path(path)
    require_fill(fill)
    table = open_table(path, header, options.get("id"))
    return _many(table, name or path.stem, path.name, time, target, fill, unit, features=features, **options)


def panel_from_frame(
    frame: pd.DataFrame,
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
    require_fill(fill)
    named: dict[str, Any] = {"id": id, "features": features, "future": future, "static": static}
    how: dict[str, Any] = {"freq": freq, "season": season, "constant": constant}
    return _many(FrameTable(frame, id), name, source, time, target, fill, unit, **named, **how)


def _one(
    table: Table,
    name: str,
    source: str,
    time: Names,
    target: Names,
    fill: str | None,
    unit: str,
    series: object,
    freq: str | None = None,
    season: int | None = None,
    **roles: Any,
) -> Series:
    """Read one series of a table."""
    found = Roles.find(table.schema, name, time=table.time(time), target=target, **roles)
    if found.id is None and series is not None:
        raise DataError(
            f"{name}: received series {str(series)!r} and no column that tells series apart; name it with ",
            Parameter("id"),
            ".",
        )
    rows = Rows(found, len(table), name, None if series is None else str(series))
    for batch in table.batches(found.columns):
        rows.add(batch)
    rows.require_one()
    panel = rows.panel(fill, unit, source, freq, season)
    end = int(panel.ends[0])
    index = panel.index if panel.has_dates else pd.RangeIndex(len(panel))
    frame = pd.DataFrame(panel.values, index, panel.columns)
    return Series(
        name,
        frame.iloc[:end],
        panel.targets,
        panel.features,
        panel.unit,
        source,
        future=panel.future,
        static=panel.static.set_axis([name]),
        ahead=frame.iloc[end:][list(panel.future)],
        fill=fill,
        filled=None if panel.filled is None else panel.filled[:end],
        freq=freq,
        notes=panel.notes,
    )


def _many(
    table: Table,
    name: str,
    source: str,
    time: Names,
    target: Names,
    fill: str | None,
    unit: str,
    freq: str | None = None,
    season: int | None = None,
    constant: bool = False,
    **roles: Any,
) -> Panel:
    """Read all series of a table."""
    # Every column of numbers is a series where no column tells series apart.
    wide = roles.get("id") is None and ID_NAME not in table.schema
    found = Roles.find(table.schema, name, time=table.time(time), target=target, every_number=wide, **roles)
    if found.id is None:
        table, found = _long(table, found, name)
    rows = Rows(found, len(table), name)
    for batch in table.batches(found.columns):
        rows.add(batch)
    return rows.panel(fill, unit, source, freq, season, constant)


def _name(series: object, otherwise: str) -> str:
    return otherwise if series is None else str(series)


def _long(table: Table, roles: Roles, name: str) -> tuple[Table, Roles]:
    """Put the series of a wide table below one another, from their first value to their last."""
    frame = pd.concat(list(table.batches(roles.columns)))
    if roles.time:
        frame = frame.set_axis(read_dates(frame, roles.time, name))
    shared = list(dict.fromkeys([*roles.features, *roles.future]))
    if roles.static or "y" in shared:
        reason = "static covariates" if roles.static else "a covariate of the name y"
        raise DataError(f"{name}: received a wide frame with {reason}, expected a long one, or another name.")
    parts = []
    for column in roles.targets:
        y = numbers(frame[column], name)
        known = np.flatnonzero(~np.isnan(y))
        if not len(known):
            raise DataError(
                f"{name}: column {column!r} holds no value, expected a series; leave it out of the targets."
            )
        # What is known ahead stands below the last target.
        rows = slice(known[0], len(frame) if roles.future else known[-1] + 1)
        parts.append(frame[shared].iloc[rows].assign(**{ID_NAME: column, "y": y[rows]}))
    return FrameTable(pd.concat(parts)), Roles((), ID_NAME, ("y",), roles.features, roles.future, ())
