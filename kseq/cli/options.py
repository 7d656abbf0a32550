"""Options that several commands share, and what is made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kseq import signals
from kseq.cli import completion
from kseq.cli.types import FROM_ZERO, CommaList
from kseq.errors import ConfigError

#: Under which a command's context keeps the path of its file of options.
CONFIG_FILE = "kseq.config"


def options(*decorators: Callable) -> Callable:
    """Several click options as one decorator, in the order of ``--help``."""

    def decorate(command: Callable) -> Callable:
        for option in reversed(decorators):
            command = option(command)
        return command

    return decorate


series_options = options(
    click.option(
        "--data",
        metavar="NAME",
        shell_complete=completion.built_ins,
        help="Built-in series (see `kseq data`).  [default: nino12]",
    ),
    click.option("--csv", type=click.Path(path_type=Path), metavar="FILE", help="A CSV file instead of a built-in."),
    click.option("--parquet", type=click.Path(path_type=Path), metavar="FILE", help="A Parquet file instead."),
    click.option("--time", type=CommaList(), metavar="COLUMN[,...]", help="Its dates: a column, or parts of a date."),
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
    click.option("--header", type=FROM_ZERO, default=0, show_default=True, help="Line of column names."),
    click.option(
        "--id", metavar="COLUMN", help="Column that tells series apart.  [default: unique_id, if there is one]"
    ),
    click.option(
        "--series",
        metavar="ID",
        help="Of a file of many series, the one to take.  [default: all, where a command reads many]",
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
    click.option("--unit", metavar="TEXT", default="", help="Unit of the target, for tables and axes."),
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


def take_series(given: dict[str, Any]) -> Any:
    """Take the series' options out of ``given`` and load the series.

    Of a file of several series, of which none is named, all are read as a panel.

    Args:
        given: what was typed.
    """
    from kseq import series

    named = {name: given.pop(name) for name in ("data", "csv", "parquet")}
    sources = [f"--{name}" for name, value in named.items() if value is not None]
    if len(sources) > 1:
        raise ConfigError(f"received both {' and '.join(sources)}, expected one of them.")
    reading = {
        name: given.pop(name)
        for name in (
            "time", "target", "features", "future", "static", "header", "id", "series", "freq", "fill", "unit",
        )
    }  # fmt: skip
    if named["csv"] is None and named["parquet"] is None:
        alone = [f"--{name}" for name, value in reading.items() if value]
        if alone:
            raise ConfigError(
                f"received {', '.join(alone)} without --csv or --parquet, expected them with a file of your own."
            )
        return series.load_series(named["data"] or "nino12")
    reading |= {name: reading[name] or () for name in ("features", "future", "static")}
    reading["season"] = given.get("season") or None
    path = named["csv"] or named["parquet"]
    if named["parquet"] is not None and reading.pop("header"):
        raise ConfigError("received --header with --parquet, which has no lines; expected it with --csv.")
    return series.read_file(path, **reading)


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
    click.echo(f"kseq: {' '.join(text.split())}", err=True)


class Progress:
    """A bar on the terminal's error stream that says which cell, seeds and epoch; silent where nobody watches."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self.bar = progress.Progress(
            TextColumn("{task.description}"), BarColumn(),
            TextColumn("{task.fields[unit]} {task.completed:.0f}/{task.total:.0f}"), TimeElapsedColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self.task: Any = None

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self.bar.stop()
        if kind is None:
            signals.check()

    def __call__(self, what: str, epoch: int, epochs: int) -> None:
        """Show that ``what`` ("LSTM, seeds 0-4") has trained ``epoch`` of ``epochs``."""
        # An exception that a signal has raised may have got lost on its way.
        signals.check()
        # Exponential smoothing, which is fitted series by series, tells how many series are done.
        unit = "series" if what.startswith("ETS") else "epoch"
        if self.task is None:
            self.task = self.bar.add_task(what, total=epochs, unit=unit)
        self.bar.update(self.task, description=what, completed=epoch, total=epochs, unit=unit)
