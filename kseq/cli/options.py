"""Options that several commands share, and what is made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kseq import startup
from kseq.cli import completion, reading
from kseq.cli.terminal import announce, note, say
from kseq.cli.types import CommaList, DataFile, File, Folder, Text, Whole
from kseq.errors import ConfigError

if TYPE_CHECKING:
    from kseq.settings import Settings

#: Under which a command's context keeps the path of its file of options.
CONFIG_FILE = "kseq.config"


def options(*decorators: Callable) -> Callable:
    """Several click options as one decorator, in the order of ``--help``."""

    def decorate(command: Callable) -> Callable:
        for option in reversed(decorators):
            command = option(command)
        return command

    return decorate


reading_options = options(
    click.option(
        "--time",
        type=CommaList(),
        metavar="COLUMN[,...]",
        help="Its dates: a column, or parts of a date; none for rows without.",
    ),
    click.option("--target", type=CommaList(), metavar="COLUMN[,...]", help="The column(s) to forecast."),
    click.option("--features", type=CommaList(), metavar="COLUMN[,...]", help="Past covariates: further columns."),
    click.option(
        "--future",
        type=CommaList(),
        metavar="COLUMN[,...]",
        help="Future covariates, known ahead for the steps to forecast: prices, holidays.",
    ),
    click.option(
        "--static",
        type=CommaList(),
        metavar="COLUMN[,...]",
        help="Static covariates, one value a series: numbers or text.",
    ),
    *reading.file_options(
        click.option("--header", type=Whole("header"), default=None, help="Line of column names.  [default: 0]")
    ),
    click.option(
        "--id",
        metavar="COLUMN",
        help="Column that tells series apart, or two: store,item.  [default: unique_id, if there is one]",
    ),
    click.option(
        "--series",
        metavar="ID",
        help="Name of the series to take from a file that holds several.  [default: all, where a command reads many]",
    ),
    click.option(
        "--freq", metavar="FREQ", help="Time step that its dates must have: h, D, B, W, MS, ...  [default: found]"
    ),
    click.option(
        "--fill",
        type=click.Choice(["linear", "ffill", "seasonal", "mask"]),
        help="Missing values: on a line to the next (training rows alone), the last value, that of one season earlier, "
        "or mask: windows leave them out.",
    ),
    *reading.cells_options(),
    click.option("--unit", type=Text(), metavar="TEXT", default="", help="Unit of the target, for tables and axes."),
)

series_options = options(
    click.option(
        "--data",
        metavar="NAME",
        shell_complete=completion.built_ins,
        help="Built-in series (see `kseq data`).  [default: nino12]",
    ),
    click.option("--csv", type=DataFile(), metavar="FILE", help="A text file instead, or - for what is piped in."),
    click.option("--parquet", type=File(), metavar="FILE", help="A Parquet file instead."),
    *reading.database_options(),
    reading_options,
)


def _backend_options(backend: str, device: str) -> Any:
    """Options of backend and device, whose help says what is taken where they are not given."""
    return options(
        click.option(
            "--backend",
            metavar="NAME",
            shell_complete=completion.backends,
            help=f"torch, tensorflow or jax.  [default: {backend}]",
        ),
        click.option(
            "--device",
            metavar="cpu|gpu",
            shell_complete=completion.devices,
            help=f"Keep off the GPU, or insist on it.  [default: {device}]",
        ),
    )


backend_options = _backend_options("the first installed", "a GPU if any")

#: Of what makes a run again.
recorded_backend_options = _backend_options("the run's", "the run's")


def _reading_of(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options of reading out of ``given``."""
    roles = ("time", "target", "features", "future", "static", "id", "series", "freq", "fill", "unit")
    options = {name: given.pop(name) for name in roles} | reading.taken(given)
    return options | {name: options[name] or () for name in ("features", "future", "static")}


def take_file(path: Path, given: dict[str, Any]) -> Any:
    """Take the options of reading out of ``given`` and read a file: a series, or a panel of several."""
    from kseq import data

    return data.read_file(path, **_reading_of(given))


def take_rows_of(address: str, query: str | None, given: dict[str, Any]) -> Any:
    """Take the options of reading out of ``given`` and read rows of a database: a series, or a panel of several."""
    from kseq import data

    options = _reading_of(given)
    reading.require_lines(options, "sql")
    return data.read_sql(address, query, **options)


def take_series(given: dict[str, Any]) -> Any:
    """Take the series' options out of ``given`` and load the series.

    A file that holds several series is read as a panel if none of them is named.

    Args:
        given: The text that was typed.
    """
    from kseq import data

    typed = typed_options()
    named = {name: given.pop(name) for name in ("data", "csv", "parquet", "sql")}
    sources = [f"--{name}" for name, value in named.items() if value is not None]
    if len(sources) > 1:
        raise ConfigError(f"received both {' and '.join(sources)}, expected one of them.")
    options = _reading_of(given)
    query = given.pop("query")
    reading.require_database(named["sql"], query)
    if named["csv"] is None and named["parquet"] is None and named["sql"] is None:
        alone = [f"--{name.replace('_', '-')}" for name, value in options.items() if value or name in typed]
        if alone:
            raise ConfigError(
                f"received {', '.join(alone)} without --csv, --parquet or --sql, expected them with data of your own."
            )
        return data.load_series(named["data"] or "nino12")
    options["season"] = given.get("season") or None
    path = named["csv"] or named["parquet"]
    if named["csv"] is None:
        reading.require_lines(options, "sql" if named["sql"] else "parquet")
    if named["sql"] is not None:
        series = data.read_sql(named["sql"], query, **options)
    else:
        series = data.read_file(path, **options)
    announce(f"{series.name}: {series.read}")
    return series


def inputs() -> list[Path]:
    """Files that the command reads, as they were typed or stand in its file of options."""
    context = click.get_current_context()
    typed = [
        context.params.get(str(option.name))
        for option in context.command.params
        if isinstance(option.type, click.Path) and option.name != "out"
    ]
    return [path for path in (*typed, context.meta.get(CONFIG_FILE)) if isinstance(path, Path)]


def tell(text: str) -> None:
    """Say something on standard error, in one line."""
    say(f"kseq: {' '.join(text.split())}", err=True)


def typed_options() -> set[str]:
    """Names of the parameters that were typed or stand in a file of options, and are not at their defaults."""
    context = click.get_current_context(silent=True)
    if context is None:
        return set()
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    return {name for name, source in sources.items() if source in given}


def refuse_ignored(options: dict[str, Any]) -> None:
    """Refuse options that contradict one another; say where one changes nothing.

    Args:
        options: Values by the names of parameters.
    """
    typed = typed_options()
    if options.get("validation_share") == 0:
        reasons = {
            "patience": "stops a training by the validation part",
            "level": "takes its intervals from errors on the validation part",
            "no_refit_on_validation": "leaves out the validation part",
        }
        for name, reason in reasons.items():
            # 0, none and a flag that is off ask for what there is without a validation part.
            if name in typed and options.get(name):
                option = "--" + name.replace("_", "-")
                raise ConfigError(
                    f"received {option} and --validation-share 0, expected one of them: {option} {reason}."
                )
    units, layers, dropout = (options.get(name) for name in ("units", "layers", "dropout"))
    if isinstance(dropout, float) and dropout and not isinstance(units, tuple) and layers in (None, 1):
        note(
            f"--dropout {dropout:g} changes nothing with one recurrent layer: outputs are dropped between layers; give "
            "--layers 2 for it to act."
        )


def trainings_of(settings: "Settings") -> int:
    """How many trainings a comparison takes: one or two a seed of each cell, in each fold that is trained anew."""
    # Once to find the epochs by the validation part, and again on all rows.
    each = 2 if settings.refit_on_validation and settings.validation else 1
    return each * len(settings.cells) * len(settings.seeds) * (settings.n_windows if settings.refit else 1)


executor_option = click.option(
    "--executor", type=Text(300), metavar="WHERE",
    help="Train in N processes of this machine, local:N, or on a Dask cluster, dask://HOST:PORT.  [default: here]",
)  # fmt: skip


def keep_option(otherwise: str) -> Callable:
    """The option that names the folder of kept trainings, with the one that is taken where it is not given."""
    return click.option(
        "--keep", type=Folder(), metavar="DIR",
        help="Folder in which finished trainings are kept: a run that is started again does what is missing.  "
             f"[default: {otherwise}]",
    )  # fmt: skip


#: How trainings are run and kept; results are the same.
job_options = options(
    executor_option,
    keep_option(".jobs in the run's folder, or in kseq-runs"),
    click.option("--fresh", is_flag=True, help="Train everything anew, whatever is kept."),
)  # fmt: skip

#: Names of these, for commands that take a comparison's other options.
JOB_OPTIONS = {"executor", "keep", "fresh"}


def _escape(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from kseq.storage.csv_text import escaping

        context.with_resource(escaping())


#: Of commands that write CSV.
escape_option = click.option(
    "--escape-formulas", is_flag=True, expose_value=False, callback=_escape,
    help="In CSV, put ' before text that a spreadsheet would take for a formula.",
)  # fmt: skip


def _each(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | None:
    named = tuple(part.strip() for text in value for part in text.split(",") if part.strip())
    if named:
        startup.import_everything()
    return named or None


def own_option(kind: str, what: str) -> Callable:
    """The option that names rows of a user's own, which may be given several times."""
    return click.option(
        f"--{kind}", type=Text(1000), multiple=True, callback=_each, metavar="NAME=MODULE:FUNCTION", help=what
    )


#: Rows of a user's own, of what compares and of what makes a comparison again.
own_options = options(
    own_option("cell", "A cell of your own beside them: a function that returns a Keras model; file.py:function too."),
    own_option("rival", "A regressor of your own on the same windows: a function that returns it, as of scikit-learn."),
)
