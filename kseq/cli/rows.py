"""Options for rows that a saved model is to read, and what is made of them."""

from typing import TYPE_CHECKING, Any

import click

from kseq.cli import reading
from kseq.cli.options import options
from kseq.cli.terminal import announce
from kseq.cli.types import CommaList, DataFile, File, Whole
from kseq.errors import ConfigError

if TYPE_CHECKING:
    from kseq.data import Panel, Series
    from kseq.forecasting.card import ModelCard

model_option = click.option(
    "--model",
    "path",
    type=File(),
    metavar="FILE",
    required=True,
    help="A .keras file of `kseq fit`.",
)

rows_options = options(
    click.option("--csv", type=DataFile(), metavar="FILE", help="Rows in a text file, or - for what is piped in."),
    click.option("--parquet", type=File(), metavar="FILE", help="Rows in a Parquet file."),
    *reading.database_options(),
    click.option(
        "--time",
        type=CommaList(),
        metavar="COLUMN[,...]",
        help="Its dates.  [default: as in the model's own file, for this option and those below]",
    ),
    *reading.file_options(click.option("--header", type=Whole("header"), default=None, help="Line of column names.")),
    *reading.cells_options(),
    click.option("--id", metavar="COLUMN", help="Column that tells series apart."),
    click.option(
        "--series",
        metavar="ID[,...]",
        help="Name of the series to take from a file of many.  [default: all, if the model was trained on many]",
    ),
    click.option("--fill", type=click.Choice(["ffill", "seasonal"]), help="Missing values."),
)


def take_rows(card: "ModelCard", given: dict[str, Any], further: bool = False) -> "Series | Panel | None":
    """Take the rows' options out of ``given`` and read the file, as the model's own file was read.

    For a model that was trained on many series, ``--series`` is left in place: see :func:`take_ids`.

    Args:
        card: Card of the model.
        given: The text that was typed.
        further: Whether another file is read with the same options.

    Returns:
        The rows; None where no file is named.
    """
    files, query = {name: given.pop(name) for name in ("csv", "parquet", "sql")}, given.pop("query")
    named = [name for name, path in files.items() if path is not None]
    if len(named) > 1:
        raise ConfigError(f"received both {' and '.join(f'--{name}' for name in named)}, expected one of them.")
    reading.require_database(files["sql"], query)
    many = len(card.context.ids) > 1
    typed = {name: given.pop(name) for name in ("time", "id", "fill", *(() if many else ("series",)))}
    typed = {name: value for name, value in typed.items() if value is not None} | reading.taken(given)
    if not named:
        if typed and not further:
            shown = ", ".join(f"--{name.replace('_', '-')}" for name in typed)
            raise ConfigError(f"received {shown} without --csv, --parquet or --sql, expected them with rows.")
        return None
    kept = card.context
    options = {
        **card.reading, **typed, "target": list(kept.targets), "features": list(kept.features),
        "future": list(kept.future), "static": list(kept.static),
    }  # fmt: skip
    if card.season > 1 and options.get("fill") == "seasonal":
        options["season"] = card.season
    if named != ["csv"]:
        reading.require_lines(typed, named[0])
        options = {name: value for name, value in options.items() if name not in reading.FILE}
    if files["sql"] is not None:
        options["query"] = query
    rows = _take(card, named[0], files[named[0]], options, many)
    announce(f"{rows.name}: {rows.read}")
    return rows


def _take(card: "ModelCard", kind: str, path: Any, options: dict[str, Any], many: bool) -> "Series | Panel":
    """Read the one series of a file, or all."""
    from kseq import data

    if not many:
        return getattr(data, f"read_{kind}")(path, **options)
    options.pop("series", None)
    # Of few rows a series no frequency can be found: it is that of the training.
    options["freq"] = options.get("freq") or card.freq or None
    # A row a series that follows those of the training is enough.
    return (data.read_sql if kind == "sql" else data.read_panel)(path, constant=True, **options)


def take_ids(given: dict[str, Any]) -> tuple[str, ...] | None:
    """Take the ids of ``--series`` out of ``given``; None for all."""
    text = given.pop("series")
    if text is None:
        return None
    ids = tuple(part.strip() for part in text.split(","))
    if not all(ids):
        raise ConfigError(f"received --series {text}, expected ids with commas between them.")
    return ids
