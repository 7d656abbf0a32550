"""``kseq data``: the built-in series, or what is read of a file."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kseq.cli import reading
from kseq.cli.command import Command
from kseq.cli.options import inputs, reading_options, take_file, take_rows_of, tell
from kseq.cli.terminal import data as as_data
from kseq.cli.terminal import note, say
from kseq.cli.types import DataFile, Folder
from kseq.errors import ConfigError


def _with_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for rows of a database."""
    for option in reversed(reading.database_options()):
        command = option(command)
    return command


@click.command(cls=Command)
@click.argument("file", type=DataFile(), required=False, metavar="[FILE]")
@reading_options
@_with_database
@click.option("--out", type=Folder(), metavar="DIR", help="Folder for the picture.  [default: a new one in kseq-runs]")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def data(file: Path | None, style: str, out: Path | None, sql: str | None, query: str | None, **options: Any) -> None:
    """List the built-in series; or show what is read of FILE, or of a database, without training.

    Says target, dates, step, rows, missing values and series; draws the series, its gaps and its season; and gives the
    command that would compare on it. FILE may be - for what is piped in.
    """
    reading.require_database(sql, query)
    if file is not None and sql is not None:
        raise ConfigError("received both FILE and --sql, expected one of them.")
    if file is None and sql is None:
        if out is not None or any(value for value in options.values()):
            raise ConfigError("received options of reading without FILE, expected them with a file of your own.")
        _built_ins(style)
        return
    from kseq.data import Panel
    from kseq.report import run_folder

    series = take_file(file, options) if file is not None else take_rows_of(str(sql), query, options)
    panel = Panel.of(series)
    season = panel.calendar.season
    command = _command(file)
    y = panel.y
    record = {
        "name": series.name, "read": series.read, "targets": list(panel.targets), "rows": len(panel),
        "series": len(panel.ids), "step": panel.step, "freq": panel.calendar.alias, "season": season,
        "first": str(panel.index.min()), "last": str(panel.index.max()), "notes": list(series.notes),
        "lowest": float(y[y == y].min()), "highest": float(y[y == y].max()), "command": command,
    }  # fmt: skip
    otherwise = run_folder.default_folder(series.name, "data")
    with run_folder.folder(out, "reading", inputs=inputs(), otherwise=otherwise) as folder:
        written = run_folder.write_reading(series, season, record, folder, tell)
    if style == "json":
        as_data(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        say(f"{series.name}: {series.read}")
        for sentence in series.notes:
            say(sentence)
        say(f"values {record['lowest']:g} to {record['highest']:g}; season {season if season > 1 else 'none'}")
        say(f"to compare on it: {command}")
    note(f"{written[0].parent}: {', '.join(path.name for path in written)}")


def _command(file: Path | None) -> str:
    """The command that would compare on the same file, with the options of reading that were typed."""
    from kseq.data._source import PARQUET_ENDINGS
    from kseq.data.formats.sql import without_password

    context = click.get_current_context()
    words = ["kseq", "compare"]
    if file is not None:
        words += ["--parquet" if str(file).endswith(PARQUET_ENDINGS) else "--csv", str(file)]
    for option in context.command.params:
        name = str(option.name)
        typed = context.get_parameter_source(name) != click.core.ParameterSource.DEFAULT
        if (
            not isinstance(option, click.Option)
            or name in ("out", "style", "config")
            or not typed
            or not option.expose_value
        ):
            continue
        value = context.params[name] if name != "sql" else without_password(context.params[name])
        if option.is_flag:
            words.append(option.opts[0] if value else option.secondary_opts[0])
        else:
            words += [option.opts[0], ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(words)


def _built_ins(style: str) -> None:
    from kseq.data import BUILT_INS, load_series

    rows: list[dict[str, Any]] = []
    for name, built_in in BUILT_INS.items():
        series = load_series(name)
        rows.append({
            "name": name, "title": built_in.title, "from": f"{series.index[0]:%Y-%m}",
            "to": f"{series.index[-1]:%Y-%m}",
            "step": series.step, "n": len(series), "unit": built_in.unit, "licence": built_in.licence,
            "source": built_in.source,
        })  # fmt: skip
    if style == "json":
        as_data(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        say(
            f"{row['name']:<10} {row['title']}{', ' + row['unit'] if row['unit'] else ''}\n"
            f"{'':<10} {row['from']} to {row['to']}, {row['step']}, n = {row['n']}, {row['licence']}\n"
            f"{'':<10} {row['source']}"
        )
