"""Options for rows that a saved model is to read, and what is made of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kseq.cli.options import options
from kseq.cli.types import FROM_ZERO, CommaList
from kseq.errors import ConfigError

if TYPE_CHECKING:
    from kseq.data import Panel, Series
    from kseq.forecasting.card import ModelCard

model_option = click.option(
    "--model",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="A .keras file of `kseq fit`.",
)

rows_options = options(
    click.option("--csv", type=click.Path(path_type=Path), metavar="FILE", help="Rows in a CSV file."),
    click.option("--parquet", type=click.Path(path_type=Path), metavar="FILE", help="Rows in a Parquet file."),
    click.option(
        "--time",
        type=CommaList(),
        metavar="COLUMN[,...]",
        help="Its dates.  [default: as in the model's own file, for this option and the next four]",
    ),
    click.option("--header", type=FROM_ZERO, default=None, help="Line of column names."),
    click.option("--id", metavar="COLUMN", help="Column that tells series apart."),
    click.option(
        "--series",
        metavar="ID[,...]",
        help="Of a file of many series, the one to take.  [default: all, of a model that was trained on many]",
    ),
    click.option("--fill", type=click.Choice(["ffill", "seasonal"]), help="Missing values."),
)


def take_rows(card: "ModelCard", given: dict[str, Any]) -> "Series | Panel | None":
    """Take the rows' options out of ``given`` and read the file, as the model's own file was read.

    Of a model that was trained on many series ``--series`` stays where it is: see :func:`take_ids`.

    Returns:
        The rows; None where no file is named.
    """
    from kseq import data

    files = {name: given.pop(name) for name in ("csv", "parquet")}
    named = [name for name, path in files.items() if path is not None]
    if len(named) > 1:
        raise ConfigError("received both --csv and --parquet, expected one of them.")
    many = len(card.context.ids) > 1
    typed = {name: given.pop(name) for name in ("time", "header", "id", "fill", *(() if many else ("series",)))}
    typed = {name: value for name, value in typed.items() if value is not None}
    if not named:
        if typed:
            shown = ", ".join(f"--{name}" for name in typed)
            raise ConfigError(f"received {shown} without --csv or --parquet, expected them with a file.")
        return None
    kept = card.context
    reading = {
        **card.reading, **typed, "target": list(kept.targets), "features": list(kept.features),
        "future": list(kept.future), "static": list(kept.static),
    }  # fmt: skip
    if card.season > 1 and reading.get("fill") == "seasonal":
        reading["season"] = card.season
    if named == ["parquet"]:
        _require_lines(typed)
    if many:
        return _take_panel(card, files, reading)
    if named == ["csv"]:
        return data.read_csv(files["csv"], **reading)
    reading.pop("header", None)
    return data.read_parquet(files["parquet"], **reading)


def _require_lines(typed: dict[str, Any]) -> None:
    if typed.get("header"):
        raise ConfigError("received --header with --parquet, which has no lines; expected it with --csv.")


def _take_panel(card: "ModelCard", files: dict[str, Any], reading: dict[str, Any]) -> "Panel":
    """Read all series of a file."""
    from kseq.data import read_panel

    reading.pop("series", None)
    # Of few rows a series no frequency can be found: it is that of the training.
    reading["freq"] = reading.get("freq") or card.freq or None
    # A row a series that follows those of the training is enough.
    return read_panel(files["csv"] or files["parquet"], constant=True, **reading)


def take_ids(given: dict[str, Any]) -> tuple[str, ...] | None:
    """Take the ids of ``--series`` out of ``given``; None for all."""
    text = given.pop("series")
    if text is None:
        return None
    ids = tuple(part.strip() for part in text.split(","))
    if not all(ids):
        raise ConfigError(f"received --series {text}, expected ids with commas between them.")
    return ids
