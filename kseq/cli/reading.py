"""Options that say how a file is written and how its cells are to be taken; the same for every command that reads."""

from typing import Any

import click

from kseq.cli.types import CommaList, Mark, Text, Whole
from kseq.errors import ConfigError

#: Names of the parameters that say how a file is written.
FILE = ("header", "no_header", "sep", "decimal", "thousands", "encoding", "skip_rows", "skip_footer", "comment")

#: Names of those that say how cells are to be taken.
CELLS = ("missing", "date_format", "dayfirst", "sort", "wide")


def file_options(header: Any) -> list[Any]:
    """Options that say how a file is written.

    Args:
        header: the option of the line of column names, whose default differs between commands.
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
    ]


def cells_options() -> list[Any]:
    """Options that say how cells are to be taken."""
    return [
        click.option("--missing", type=CommaList(), metavar="VALUE[,...]",
                     help="What stands for a missing value: -9999, a dot; none keeps what looks like one."),
        click.option("--date-format", type=Text(), metavar="FORMAT",
                     help="How dates are written: %d.%m.%Y.  [default: found]"),
        click.option("--dayfirst/--monthfirst", default=None, help="What 01/04/1960 means.  [default: found]"),
        click.option("--sort", is_flag=True, help="Sort the rows by date."),
        click.option("--wide", type=click.Choice(["months", "series"]),
                     help="A row a year and a column a month, or a row or a column a series."),
    ]  # fmt: skip


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


def require_lines(reading: dict[str, Any]) -> None:
    """Refuse options of text files for a Parquet file."""
    lines = [f"--{name.replace('_', '-')}" for name in FILE if reading.get(name)]
    if lines:
        raise ConfigError(f"received {lines[0]} with --parquet, which has no lines; expected it with --csv.")
