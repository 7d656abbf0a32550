"""Options for rows that a saved model is to read, and what is made of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kseq.cli.options import options
from kseq.cli.types import FROM_ZERO, CommaList
from kseq.errors import ConfigError

if TYPE_CHECKING:
    from kseq.modelcard import ModelCard
    from kseq.series import Series

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
    click.option("--series", metavar="ID", help="Of a file of many series, the one to take."),
    click.option("--fill", type=click.Choice(["ffill", "seasonal"]), help="Missing values."),
)


def take_rows(card: "ModelCard", given: dict[str, Any]) -> "Series | None":
    """Take the rows' options out of ``given`` and read the file, as the model's own file was read.

    Returns:
        The rows; None where no file is named.
    """
    from kseq import series

    files = {name: given.pop(name) for name in ("csv", "parquet")}
    named = [name for name, path in files.items() if path is not None]
    if len(named) > 1:
        raise ConfigError("received both --csv and --parquet, expected one of them.")
    typed = {name: given.pop(name) for name in ("time", "header", "id", "series", "fill")}
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
    if named == ["csv"]:
        return series.read_csv(files["csv"], **reading)
    if typed.get("header"):
        raise ConfigError("received --header with --parquet, which has no lines; expected it with --csv.")
    reading.pop("header", None)
    return series.read_parquet(files["parquet"], **reading)
