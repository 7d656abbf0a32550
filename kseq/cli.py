"""The command line: parse, call, print, exit. Keras and the frameworks are imported only once a command needs them."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kseq import backends
from kseq._version import __version__
from kseq.errors import ConfigError, KseqError


class Whole(click.ParamType):
    """A whole number from ``least``."""

    name = "number"

    def __init__(self, least: int):
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return an int."""
        try:
            number = int(value)
        except ValueError:
            number = self.least - 1
        if number < self.least:
            self.fail(f"received {value}, expected a whole number from {self.least}.", param, ctx)
        return number


class CommaList(click.ParamType):
    """Comma-separated values, each once: ``rnn,lstm``."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of strings."""
        if isinstance(value, tuple):
            return value
        parts = self.split(value, param, ctx)
        if len(set(parts)) != len(parts):
            self.fail(f"received {value}, expected each once.", param, ctx)
        return parts

    def split(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split at commas; blanks around a value are left out."""
        parts = tuple(part.strip() for part in value.split(","))
        if not all(parts):
            self.fail(f"received {value!r}, expected values with commas between them.", param, ctx)
        return parts


class Units(CommaList):
    """One whole number, or one a layer: ``32`` or ``64,32``."""

    name = "units"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an int, or a tuple of them."""
        if not isinstance(value, str):
            return value
        numbers = tuple(Whole(1).convert(part, param, ctx) for part in self.split(value, param, ctx))
        return numbers[0] if len(numbers) == 1 else numbers


class Levels(CommaList):
    """Percentages: ``80,95``, or ``none``."""

    name = "levels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of floats; of nothing for ``none``."""
        if not isinstance(value, str):
            return value
        if value == "none":
            return ()
        try:
            return tuple(float(part) for part in self.split(value, param, ctx))
        except ValueError:
            self.fail(f"received {value!r}, expected percentages between 0 and 100, or none.", param, ctx)


def _options(*options: Callable) -> Callable:
    """Several click options as one decorator, in the order of ``--help``."""

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


POSITIVE, FROM_ZERO = Whole(1), Whole(0)

series_options = _options(
    click.option("--data", metavar="NAME", help="Built-in series (see `kseq data`).  [default: nino12]"),
    click.option("--csv", type=click.Path(path_type=Path), metavar="FILE", help="A CSV file instead of a built-in."),
    click.option("--time", type=CommaList(), metavar="COLUMN[,...]", help="Its dates: a column, or parts of a date."),
    click.option("--target", type=CommaList(), metavar="COLUMN[,...]", help="The column(s) to forecast."),
    click.option("--features", type=CommaList(), metavar="COLUMN[,...]", help="Further columns for the models."),
    click.option("--header", type=FROM_ZERO, default=0, show_default=True, help="Line of column names."),
    click.option("--fill", type=click.Choice(["linear", "ffill"]), help="How to fill missing values."),
    click.option("--unit", metavar="TEXT", default="", help="Unit of the target, for tables and axes."),
)

backend_options = _options(
    click.option("--backend", metavar="NAME", help="torch, tensorflow or jax.  [default: the first installed]"),
    click.option("--device", metavar="cpu|gpu", help="Keep off the GPU, or insist on it.  [default: a GPU if any]"),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="kseq")
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
def cli(debug: bool) -> None:
    """Which recurrent cell, SimpleRNN, LSTM or GRU, serves this series, and is it better than a baseline?"""


@cli.command()
@backend_options
@series_options
@click.option("--cells", type=CommaList(), default="rnn,lstm,gru", show_default=True, help="Cells to train.")
@click.option("--baselines", type=CommaList(), default=None, metavar="NAME[,...]",
              help="Baselines beside them, of persistence, seasonal-naive, climatology, ar, climatology-ar, ets.  "
                   "[default: all that the series allows]")  # fmt: skip
@click.option("--season", type=FROM_ZERO, default=0, help="Steps in a season.  [default: from the dates]")
@click.option("--lookback", type=POSITIVE, default=12, show_default=True, help="Time steps that a model reads.")
@click.option("--horizon", type=POSITIVE, default=1, show_default=True, help="Time steps to forecast.")
@click.option("--no-past-target", is_flag=True, help="Give the models their features alone, not the target's past.")
@click.option("--scaler", default="standard", show_default=True, help="standard, minmax or minmax-leaks-test.")
@click.option("--test-share", default=0.2, show_default=True, help="Share of all rows, the last ones.")
@click.option("--validation-share", default=0.15, show_default=True, help="Share of the training rows; 0 for none.")
@click.option("--units", type=Units(), default="32", show_default=True, help="Units of a layer, or 64,32: one a layer.")
@click.option("--layers", type=POSITIVE, default=None, help="Recurrent layers.  [default: 1, or as --units says]")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
              help="Dropped between layers.")  # fmt: skip
@click.option("--bidirectional", is_flag=True, help="Read windows in both directions.")
@click.option("--epochs", type=POSITIVE, default=200, show_default=True, help="The most epochs of a training.")
@click.option("--batch-size", type=FROM_ZERO, default=32, show_default=True, help="0 for all at once.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="Of Adam.")
@click.option("--patience", type=FROM_ZERO, default=25, show_default=True,
              help="Epochs without a better validation loss; 0 to train them all.")  # fmt: skip
@click.option("--seeds", type=POSITIVE, default=10, show_default=True, help="Trainings of each cell.")
@click.option("--first-seed", type=FROM_ZERO, default=0, show_default=True, help="Seeds count from here.")
@click.option("--members", type=FROM_ZERO, default=0, help="Seeds trained at once.  [default: chosen]")
@click.option("--level", type=Levels(), default="80,95", show_default=True, metavar="PERCENT[,...]",
              help="Percents of future values that intervals are to cover, or none.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run's files.")
@click.option("--format", "style", type=click.Choice(["table", "markdown", "csv", "json"]), default="table",
              show_default=True, help="Of the printed table.")  # fmt: skip
def compare(backend: str | None, device: str | None, style: str, out: Path | None, **options: Any) -> None:
    """Train the cells on a series and compare them with baselines.

    Prints the table with a verdict; writes table, predictions, picture and record into the run's folder. With --format
    csv or json the table alone goes to standard output, and the verdict to standard error.
    """
    from kseq import runs

    series = _series(options)
    settings = _settings(options)
    chosen = backends.choose(backend, device)
    with runs.folder(out or runs.default_folder(series.name, chosen)) as folder, _progress(settings) as progress:
        from kseq.comparison import compare as run

        comparison = run(series, settings, progress=progress)
        written = runs.write(comparison, folder)
    from kseq.report.table import render, words

    click.echo(render(comparison, style))
    if style in ("csv", "json"):
        click.echo(words(comparison), err=True)
    click.echo(f"\n{folder}: {', '.join(file.name for file in written)}", err=style != "table")
    click.echo(f"{chosen} {backends.installed()[chosen]} on {comparison.record['device']}", err=style != "table")


def _series(options: dict[str, Any]) -> Any:
    """Take the series' options out of ``options`` and load the series."""
    from kseq import series

    data, csv = options.pop("data"), options.pop("csv")
    columns = {name: options.pop(name) for name in ("time", "target", "features", "header", "fill", "unit")}
    if csv is None:
        given = [f"--{name}" for name, value in columns.items() if value]
        if given:
            raise ConfigError(f"received {', '.join(given)} without --csv, expected them with a file of your own.")
        return series.load_series(data or "nino12")
    if data is not None:
        raise ConfigError("received both --data and --csv, expected one of them.")
    return series.read_csv(csv, **{**columns, "features": columns["features"] or ()})


def _settings(options: dict[str, Any]) -> Any:
    from kseq.comparison import Settings

    first, count = options["first_seed"], options["seeds"]
    chosen = {} if options["baselines"] is None else {"baselines": options["baselines"]}
    return Settings(
        cells=options["cells"],
        **chosen,
        seeds=tuple(range(first, first + count)),
        lookback=options["lookback"],
        horizon=options["horizon"],
        units=options["units"],
        num_layers=options["layers"],
        dropout=options["dropout"],
        bidirectional=options["bidirectional"],
        scaler=options["scaler"],
        past_target=not options["no_past_target"],
        test=options["test_share"],
        validation=options["validation_share"],
        season=options["season"],
        members=options["members"],
        levels=options["level"],
        training={name: options[name] for name in ("epochs", "batch_size", "learning_rate", "patience")},
    )


class _progress:
    """A bar on the terminal's error stream that says which cell, seeds and epoch; silent where nobody watches."""

    def __init__(self, settings: Any):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self.task: Any = None

    def __enter__(self) -> "_progress":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def __call__(self, what: str, epoch: int, epochs: int) -> None:
        """Show that ``what`` ("LSTM, seeds 0-4") has trained ``epoch`` of ``epochs``."""
        if self.task is None:
            self.task = self.bar.add_task(what, total=epochs)
        self.bar.update(self.task, description=what, completed=epoch, total=epochs)


@cli.command()
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def data(style: str) -> None:
    """List the built-in series."""
    import json

    from kseq.series import BUILT_INS, load_series

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
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        click.echo(
            f"{row['name']:<10} {row['title']}{', ' + row['unit'] if row['unit'] else ''}\n"
            f"{'':<10} {row['from']} to {row['to']}, {row['step']}, n = {row['n']}, {row['licence']}\n"
            f"{'':<10} {row['source']}"
        )


@cli.command()
def info() -> None:
    """Show versions, the backends installed, and the devices that each sees."""
    import platform
    from importlib import metadata

    from kseq.kernels import BACKENDS

    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("keras", "numpy", "pandas", "numba"))
    click.echo(f"kseq {__version__}, Python {platform.python_version()}, {versions}")
    click.echo(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores")
    have = backends.installed()
    for backend in BACKENDS:
        if backend not in have:
            click.echo(f"{backend:<11} not installed: pip install 'kseq[{backend}]'")
            continue
        click.echo(f"{backend:<11} {have[backend]:<12} sees {', '.join(backends.devices_elsewhere(backend))}")


@cli.command()
@backend_options
@click.option("--cells", type=CommaList(), default="rnn,lstm,gru", show_default=True, help="Cells to time.")
@click.option("--workloads", type=CommaList(), default="short,daily,long,stacked,bidirectional", show_default=True,
              help="Jobs of fixed sizes.")  # fmt: skip
@click.option("--rounds", type=POSITIVE, default=5, show_default=True, help="Epochs that count, all in turn.")
@click.option("--members", default="1", show_default=True, metavar="N[,...]", help="Seeds that kseq trains at once.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for table, JSON and picture.")
def bench(
    backend: str | None,
    device: str | None,
    cells: tuple[str, ...],
    workloads: tuple[str, ...],
    rounds: int,
    members: str,
    out: Path | None,
) -> None:
    """Time training against stock Keras and a hand-written loop, in one run.

    All contenders must forecast the same before any is timed. Close other programs: only ratios inside one run count.
    """
    try:
        counts = tuple(int(part) for part in members.split(","))
    except ValueError as error:
        raise ConfigError(f"received --members {members}, expected whole numbers with commas between them.") from error
    backends.choose(backend, device)
    from kseq import bench as benchmark
    from kseq import runs
    from kseq.report.bench import bench_table

    with runs.folder(out) if out else contextlib.nullcontext() as folder:
        result = benchmark.run(cells, workloads, rounds, counts, lambda text: click.echo(text, err=True))
        if folder is not None:
            runs.write_bench(result, folder)
    click.echo(bench_table(result))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: in place of ``sys.argv[1:]``.

    Returns:
        int: 0; 2 where the user can mend something, 1 where kseq is at fault, 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    try:
        cli.main(arguments, prog_name="kseq", standalone_mode=False)
    except (KseqError, click.ClickException) as error:
        if debug:
            traceback.print_exc()
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        return _fail(message, 2)
    except (KeyboardInterrupt, click.Abort):
        return _fail("stopped by the user; nothing was left half-written.", 130)
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone: nobody to tell, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error} (a fault of kseq; --debug shows where).", 1)
    return 0


def _fail(message: str, status: int) -> int:
    click.echo(f"kseq: {' '.join(message.split())}", err=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
