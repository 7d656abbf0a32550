"""From a table to a series or a panel: the roles of its columns, then its rows (:mod:`kseq.data._rows`)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import _wide
from kseq.data._cells import Cells
from kseq.data._mending import mended
from kseq.data._rows import Rows
from kseq.data._source import FILE_OPTIONS, PARQUET_ENDINGS, READ_CSV, READ_PARQUET, Source
from kseq.data._tables import FrameTable, ParquetTable, Table, open_table, plain
from kseq.data.columns import ID_NAME, Names, Roles, listed, numbers, require_name, require_unit
from kseq.data.dates import read_dates
from kseq.data.frequency import counts_steps
from kseq.data.missing import require_fill
from kseq.data.panel import Panel
from kseq.data.series import Series
from kseq.errors import DataError, Parameter


def from_source(
    path: str | Path | Source, make: Callable[..., Any], given: dict[str, Any], named: Parameter = READ_CSV,
    kind: str = "", refused: bytes | None = None,
) -> Any:  # fmt: skip
    """Read a file or a pipe, which is opened once whatever is tried of it."""
    # A fill of another name is refused before a file is looked for.
    require_fill(given.get("fill"))
    kind = kind or ("Parquet" if str(path).endswith(PARQUET_ENDINGS) and refused is None else "CSV")
    source = plain(Source.of(path, {name: given[name] for name in FILE_OPTIONS if name in given}, named, kind))
    if refused is not None and source.head.startswith(refused):
        raise DataError(f"{source.path} is a Parquet file; give it with ", READ_PARQUET, ".")
    if named == READ_PARQUET and not source.is_parquet():
        # What is no Parquet file is told by its reader.
        return make(ParquetTable(source), source=source.path.name, **given)

    def read(options: dict[str, Any]) -> Any:
        table, rest = opened(source, options)
        return make(table, **rest)

    return mended(read, given)


def opened(source: Source, options: dict[str, Any]) -> tuple[Table, dict[str, Any]]:
    """Open a source as the options say; give the table, and the options that are no matter of the file."""
    said = {name: options[name] for name in FILE_OPTIONS if name in options}
    changed = {name: value for name, value in said.items() if value not in (source.options[name], FILE_OPTIONS[name])}
    table = open_table(source.with_options(changed) if changed else source, options.get("id"))
    rest = {name: value for name, value in options.items() if name not in FILE_OPTIONS}
    rest["name"] = rest.get("name") or name_or(rest.get("series"), source.stem)
    if rest.get("wide") is None:
        # What the file itself says counts where its user says nothing.
        rest |= {name: value for name, value in table.hint.items() if rest.get(name) is None}
    return table, {"source": source.path.name, **rest}


def one_series(
    table: Table,
    source: str,
    *,
    name: str,
    time: Names = None,
    target: Names = None,
    fill: str | None = None,
    unit: str = "",
    series: object = None,
    freq: str | None = None,
    season: int | None = None,
    missing: Any = None,
    date_format: str | None = None,
    dayfirst: bool | None = None,
    sort: bool = False,
    wide: str | None = None,
    **roles: Any,
) -> Series:
    """Read one series of a table."""
    require_fill(fill)
    require_unit(unit)
    require_name(name)
    cells, freq = Cells.of(missing, date_format, dayfirst, sort, wide), table.hint.get("freq") if freq is None else freq
    table, found = _roles(table, name, cells, time, target, roles)
    if found.id is None and series is not None:
        raise DataError(
            f"{name}: received series {str(series)!r} and no column that tells series apart; name it with ",
            Parameter("id"),
            ".",
        )
    rows = Rows(found, len(table), name, None if series is None else str(series), cells, table.read)
    for batch in table.batches(found.columns):
        rows.add(batch)
    rows.require_one()
    panel = rows.panel(fill, unit, source, freq, season)
    end = int(panel.ends[0])
    index = panel.index if panel.has_dates or counts_steps(panel.index) else pd.RangeIndex(len(panel))
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
        read=panel.read,
    )


def all_series(
    table: Table,
    source: str,
    *,
    name: str,
    time: Names = None,
    target: Names = None,
    fill: str | None = None,
    unit: str = "",
    freq: str | None = None,
    season: int | None = None,
    constant: bool = False,
    missing: Any = None,
    date_format: str | None = None,
    dayfirst: bool | None = None,
    sort: bool = False,
    wide: str | None = None,
    **roles: Any,
) -> Panel:
    """Read all series of a table."""
    require_fill(fill)
    require_unit(unit)
    require_name(name)
    cells, freq = Cells.of(missing, date_format, dayfirst, sort, wide), table.hint.get("freq") if freq is None else freq
    # Every column of numbers is a series where no column tells series apart.
    across = roles.get("id") is None and ID_NAME not in table.schema and "id" not in table.hint
    table, found = _roles(table, name, cells, time, target, roles, every_number=across)
    if found.id is None:
        table, found = _long(table, found, name, cells)
    rows = Rows(found, len(table), name, cells=cells, read=table.read)
    for batch in table.batches(found.columns):
        rows.add(batch)
    return rows.panel(fill, unit, source, freq, season, constant)


def _roles(
    table: Table, name: str, cells: Cells, time: Names, target: Names, roles: dict[str, Any], every_number: bool = False
) -> tuple[Table, Roles]:
    """Find the roles of a table's columns; one that lies across is unfolded first."""
    named_by_file = table.hint if cells.wide is None else {}
    time, target = time or named_by_file.get("time"), target or named_by_file.get("target")
    roles = {**roles, "id": roles.get("id") or named_by_file.get("id")}
    given = [time, target, *(roles.get(role) for role in ("id", "features", "future", "static"))]
    named = [column for role in given for column in listed(role)]
    doubts = getattr(table, "doubts", {})
    for column in named:
        if column in doubts and column not in table.schema:
            raise doubts[column]
    if cells.wide is not None and named:
        raise DataError(
            "received ", Parameter("wide"), f" {cells.wide} and columns by name, expected one of the two: a table that "
            "lies across is read whole."
        )  # fmt: skip
    if cells.wide is None and not named and isinstance(table, FrameTable) and _wide.is_of_months(table.schema):
        cells = replace(cells, wide="months")
    if cells.wide is not None:
        across = pd.concat(list(table.batches(list(table.schema))))
        told = "a row a year and a column a month" if cells.wide == "months" else "series that lie across"
        table = FrameTable(_wide.unfolded(across, cells, name), read=(*table.read, told))
        every_number = False
    advice = None if named or ID_NAME in table.schema else _wide.advice(table.schema, name)
    if advice is not None and not every_number and "y" not in table.schema:
        raise advice
    return table, Roles.find(
        table.schema, name, time=table.time(time), target=target, every_number=every_number, **roles
    )


def name_or(series: object, otherwise: str) -> str:
    return otherwise if series is None else str(series)


def _long(table: Table, roles: Roles, name: str, cells: Cells) -> tuple[Table, Roles]:
    """Put the series of a wide table below one another, from their first value to their last."""
    frame = pd.concat(list(table.batches(roles.columns)))
    if roles.time:
        frame = frame.set_axis(read_dates(frame, roles.time, name, cells=cells))
    shared = list(dict.fromkeys([*roles.features, *roles.future]))
    if roles.static or "y" in shared:
        reason = "static covariates" if roles.static else "a covariate of the name y"
        raise DataError(f"{name}: received a wide frame with {reason}, expected a long one, or another name.")
    parts = []
    for column in roles.targets:
        y = numbers(frame[column], name, missing=cells.numbers)
        known = np.flatnonzero(~np.isnan(y))
        if not len(known):
            raise DataError(
                f"{name}: column {column!r} holds no value, expected a series; leave it out of the targets."
            )
        # What is known ahead stands below the last target.
        rows = slice(known[0], len(frame) if roles.future else known[-1] + 1)
        parts.append(frame[shared].iloc[rows].assign(**{ID_NAME: column, "y": y[rows]}))
    return FrameTable(pd.concat(parts), read=table.read), Roles((), ID_NAME, ("y",), roles.features, roles.future, ())


def one_or_many(table: Table, options: dict[str, Any]) -> Series | Panel:
    """Read a panel where a table holds several series, of which none is named; else a series."""
    several = options.get("wide") == "series" or options.get("id") is not None or ID_NAME in table.schema
    if options.get("series") is None and several:
        panel = all_series(table, **{key: value for key, value in options.items() if key != "series"})
        if len(panel.ids) > 1:
            return panel
    return one_series(table, **options)
