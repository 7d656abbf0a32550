"""From a table to a series or a panel: the roles of its columns, then its rows (:mod:`kseq.data._rows`)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import _wide
from kseq.data._mending import mended
from kseq.data._options import Request, require_fill
from kseq.data._rows import Rows
from kseq.data._source import FILE_OPTIONS, PARQUET_ENDINGS, READ_CSV, READ_PARQUET, Source
from kseq.data._tables import FrameTable, ParquetTable, Table, open_table, plain
from kseq.data.columns import ID_NAME, Roles, id_remedies, listed, numbers
from kseq.data.dates import read_dates
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
    source = plain(Source.of(path, given, named, kind))
    if refused is not None and source.head.startswith(refused):
        raise DataError(f"{source.path} is a Parquet file; give it with ", READ_PARQUET, ".")
    if named == READ_PARQUET and not source.is_parquet():
        # What is no Parquet file is told by its reader.
        ParquetTable(source)
    return mended(lambda options: make(*opened(source, options)), given)


def opened(source: Source, options: dict[str, Any]) -> tuple[Table, Request]:
    """Open a source as the options say; give the table, and what is to be read of it."""
    said = {name: options[name] for name in FILE_OPTIONS if name in options}
    changed = {name: value for name, value in said.items() if value not in (source.options[name], FILE_OPTIONS[name])}
    table = open_table(source.with_options(changed) if changed else source, options.get("id"))
    return table, Request.of(options, source.stem, source.path.name, table.hint)


def one_series(table: Table, request: Request) -> Series:
    """Read one series of a table."""
    name = request.name
    table, roles = _roles(table, request)
    if roles.id is None and request.series is not None:
        raise DataError(
            f"{name}: received series {request.series!r} and no column that tells series apart; name it with ",
            Parameter("id"),
            ".",
        )
    rows = Rows(roles, len(table), request, table.read)
    if roles.id is None:
        rows.id_remedies = lambda: id_remedies(table.schema, roles.time)
    for batch in table.batches(roles.columns):
        rows.add(batch)
    rows.require_one()
    panel = rows.panel()
    return panel.one(panel.ids[0], name=name, freq=request.freq, notes=panel.notes, read=panel.read)


def all_series(table: Table, request: Request) -> Panel:
    """Read all series of a table."""
    # Every column of numbers is a series where no column tells series apart.
    across = "id" not in request.roles and ID_NAME not in table.schema
    table, roles = _roles(table, request, every_number=across)
    if roles.id is None:
        table, roles = _long(table, roles, request)
    rows = Rows(roles, len(table), replace(request, series=None), table.read)
    for batch in table.batches(roles.columns):
        rows.add(batch)
    return rows.panel()


def one_or_many(table: Table, request: Request) -> Series | Panel:
    """Read a panel where a table holds several series, of which none is named; else a series."""
    several = request.cells.wide == "series" or "id" in request.roles or ID_NAME in table.schema
    if request.series is None and several:
        panel = all_series(table, request)
        if len(panel.ids) > 1:
            return panel
    return one_series(table, request)


def _roles(table: Table, request: Request, every_number: bool = False) -> tuple[Table, Roles]:
    """Find the roles of a table's columns; one that lies across is unfolded first."""
    name, cells = request.name, request.cells
    named = [column for role in request.roles.values() for column in listed(role)]
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
    roles = {**request.roles, "time": table.time(request.roles.get("time"))}
    return table, Roles.find(table.schema, name, every_number=every_number, **roles)


def _long(table: Table, roles: Roles, request: Request) -> tuple[Table, Roles]:
    """Put the series of a wide table below one another, from their first value to their last."""
    name, cells = request.name, request.cells
    frame = cells.without_missing(pd.concat(list(table.batches(roles.columns))), roles.time)
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
