"""Options that say how a file is written and how its cells are to be taken; the same for every command that reads."""

from typing import Any

import click

from kseq.cli.types import CommaList, Mark, Text, Whole
from kseq.errors import ConfigError

#: Names of the parameters that say how a file is written.
FILE = ("header", "no_header", "sep", "decimal", "thousands", "encoding", "skip_rows", "skip_footer", "comment",
        "member", "sheet", "select", "preset")  # fmt: skip

#: Names of those that say how cells are to be taken.
CELLS = ("missing", "date_format", "dayfirst", "sort", "wide")


def file_options(header: Any) -> list[Any]:
    """Options that say how a file is written.

    Args:
        header: The option of the line of column names, whose default differs between commands.
    """
    return [
        header,
        click.option("--no-header", is_flag=True, help="No line of column names: they are called 1, 2, ..."),
        click.option("--sep", type=Mark(), metavar="TEXT", help="Between columns: ; tab blank ...  [default: found]"),
        click.option("--decimal", type=Mark(), metavar="MARK", help="Decimal mark.  [default: found]"),
        click.option("--thousands", type=Mark(), metavar="MARK", help="Mark between groups of three digits."),
        click.option("--encoding", type=Text(), metavar="NAME", help="Such as cp1252.  [default: UTF-8, or as marked]"),
        click.option("--skip-rows", type=Whole("skip_rows"), default=None, metavar="N", help="Lines above the table."),
        click.option("--skip-footer", type=Whole("skip_footer"), default=None, metavar="N", help="Lines below it."),
        click.option("--comment", type=Mark(), metavar="MARK", help="Begins what is to be left out of a line."),
        click.option("--member", type=Text(200), metavar="NAME", help="File of a zip that holds several."),
        click.option("--sheet", type=Text(), metavar="NAME", help="Of a spreadsheet: name, or number from 1."),
        click.option("--select", type=Text(300), metavar="NAME=VALUE[,...]",
                     help="Of NetCDF or Zarr: lat=39,lon=3 for the nearest point, lat=30:40,lon=-10:0 for a mean."),
        click.option("--preset", type=Text(), metavar="NAME",
                     help="Text of an archive: psl, rdb (USGS), ndbc or silso.  [default: found by its shape]"),
    ]  # fmt: skip


def cells_options() -> list[Any]:
    """Options that say how cells are to be taken."""
    return [
        click.option("--missing", type=CommaList(), metavar="VALUE[,...]",
                     help="What stands for a missing value: -9999, a dot; none keeps what looks like one."),
        click.option("--date-format", type=Text(), metavar="FORMAT",
                     help="How dates are written: %d.%m.%Y, or excel.  [default: found]"),
        click.option("--dayfirst/--monthfirst", default=None, help="What 01/04/1960 means.  [default: found]"),
        click.option("--sort", is_flag=True, help="Sort the rows by date."),
        click.option("--wide", type=click.Choice(["months", "series"]),
                     help="A row a year and a column a month, or a row or a column a series."),
    ]  # fmt: skip


def database_options() -> list[Any]:
    """Options for rows of a database."""
    return [
        click.option("--sql", type=Text(1000), metavar="URL",
                     help="A database instead: sqlite:///FILE, duckdb:///FILE, postgresql://me:$PASSWORD@host/name."),
        click.option("--query", type=Text(10_000), metavar="SQL", help="Its rows: select day, sold from sales."),
    ]  # fmt: skip


def require_database(address: str | None, query: str | None) -> None:
    """Refuse a query without a database."""
    if query is not None and address is None:
        raise ConfigError("received --query without --sql, expected it with the address of a database.")


def taken(given: dict[str, Any]) -> dict[str, Any]:
    """Take these options out of ``given``, as far as they were given."""
    found = said(given)
    for name in (*FILE, *CELLS):
        given.pop(name)
    return found


def said(given: dict[str, Any]) -> dict[str, Any]:
    """These options, as far as they were given."""
    found = {name: given[name] for name in (*FILE, *CELLS)}
    # Of two ways to read dates each is said; flags that are off say nothing.
    return {name: value for name, value in found.items() if value is not None and (value or name == "dayfirst")}


def require_lines(reading: dict[str, Any], source: str) -> None:
    """Refuse options of text files for a Parquet file or a database."""
    lines = [f"--{name.replace('_', '-')}" for name in FILE if reading.get(name)]
    if lines:
        raise ConfigError(f"received {lines[0]} with --{source}, which has no lines; expected it with --csv.")
