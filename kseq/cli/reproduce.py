"""``kseq reproduce``."""

import contextlib
from pathlib import Path

import click

from kseq import backends
from kseq.cli.command import Command
from kseq.cli.live import Progress
from kseq.cli.options import (
    escape_option,
    executor_option,
    inputs,
    keep_option,
    own_options,
    recorded_backend_options,
    tell,
)
from kseq.cli.terminal import say
from kseq.cli.types import File, Folder, Text
from kseq.errors import ConfigError, OutputError


@click.command(cls=Command)
@click.argument("run", type=File(), metavar="RUN")
@recorded_backend_options
@click.option("--file", type=File(), metavar="FILE",
              help="Where the run's data are now.  [default: where they were]")  # fmt: skip
@click.option("--sql", type=Text(1000), metavar="URL",
              help="The run's database, with the password that the record leaves out.")  # fmt: skip
@click.option("--with", "with_forecasts", type=File(), metavar="FILE",
              help="Where the forecasts of others beside its rows are now.  [default: where they were]")  # fmt: skip
@click.option("--out", type=Folder(), metavar="DIR", help="Folder for the files of the new run.  [default: none]")
@own_options
@executor_option
@keep_option(".jobs in the folder of --out, if any")
@escape_option
def reproduce(
    run: Path,
    backend: str | None,
    device: str | None,
    file: Path | None,
    sql: str | None,
    with_forecasts: Path | None,
    out: Path | None,
    cell: tuple[str, ...] | None,
    rival: tuple[str, ...] | None,
    executor: str | None,
    keep: Path | None,
) -> int:
    """Make a run again from its record, and compare every figure.

    RUN is the run's folder or its run.json. Backend and device are those of the run unless others are named. The
    status is 0 where all figures are the same, bit for bit, and 1 where one is not. Functions of your own are not
    imported from a record: name them again with --cell and --rival.

    With --out or --keep its trainings are kept until it has ended: the same command goes on where one was stopped. What
    the run itself has kept is never read.
    """
    from kseq import storage
    from kseq.comparison.kept import workers_for
    from kseq.experiments import reproduce
    from kseq.experiments.agreement import Agreement
    from kseq.jobs import FOLDER
    from kseq.report import run_folder

    storage.settle(run)
    recorded = reproduce.Recorded.read(run, cells=cell or (), rivals=rival or ())
    if out is not None and out.resolve() == recorded.path.parent.resolve():
        raise ConfigError(f"received --out {out}, the folder of the run itself; expected another.")
    series, others = recorded.series(file, sql), recorded.forecasts(with_forecasts)
    backends.choose(backend or recorded.backend, device or recorded.device)
    read = [*inputs(), recorded.path, *recorded.files]
    lost: OutputError | None = None
    with run_folder.folder(out, inputs=read) if out else contextlib.nullcontext() as folder:
        with Progress() as progress, workers_for(executor) as workers:
            comparison = recorded.repeat(
                series, progress, workers, others, keep or (out / FOLDER if out is not None else None)
            )
        if folder is not None:
            try:
                run_folder.write(comparison, folder, tell)
            except OutputError as error:
                lost = error
    from kseq.experiments.agreement import agreement_text

    agreement = Agreement(recorded, comparison)
    say(agreement_text(agreement))
    if lost is not None:
        raise lost
    return 0 if agreement.identical else 1
