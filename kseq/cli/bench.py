"""``kseq bench``."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kseq import backends
from kseq.cli import completion
from kseq.cli.command import Command
from kseq.cli.options import backend_options, inputs, tell
from kseq.cli.terminal import note, say
from kseq.cli.types import CommaList, Each, Folder, Whole
from kseq.errors import ConfigError


@click.command(cls=Command)
@backend_options
@click.option("--cells", type=CommaList(), default="rnn,lstm,gru", show_default=True, shell_complete=completion.cells,
              help="Cells to time.")  # fmt: skip
@click.option("--data", is_flag=True, help="Time the delivery of windows alone, and measure its memory.")
@click.option("--workloads", type=CommaList(), default=None,
              help="Jobs of fixed sizes.  [default: short,daily,long,stacked,bidirectional, on a GPU wide too; "
                   "with --data short,long,wide,panel]")  # fmt: skip
@click.option("--rounds", type=Whole("rounds"), default=5, show_default=True, help="Epochs that count, all in turn.")
@click.option("--members", type=Each(Whole("members", least=1)), default="1", show_default=True, metavar="N[,...]",
              help="Seeds that kseq trains at once.")  # fmt: skip
@click.option("--contenders", type=CommaList(), default=None, metavar="NAME[,...]",
              help="Rows beside kseq's own, of stock, native, builder, sequential, functional, metrics, arrays.  "
                   "[default: all]")  # fmt: skip
@click.option("--out", type=Folder(), metavar="DIR", help="Folder for table, JSON and picture.")
@click.pass_context
def bench(
    context: click.Context,
    backend: str | None,
    device: str | None,
    cells: tuple[str, ...],
    data: bool,
    workloads: tuple[str, ...] | None,
    rounds: int,
    members: tuple[int, ...],
    contenders: tuple[str, ...] | None,
    out: Path | None,
) -> None:
    """Time training against stock Keras and a hand-written loop, in one run; or, with --data, the delivery of windows.

    Models that a user makes of the same layers, and fit on plain arrays, are timed beside kseq's own training.

    All contenders must forecast the same, or deliver the same windows, before any is timed. Close other programs: only
    ratios inside one run count.
    """
    default = click.core.ParameterSource.DEFAULT
    given = [
        f"--{name}" for name in ("cells", "members", "contenders") if context.get_parameter_source(name) is not default
    ]
    if data and given:
        raise ConfigError(f"received {', '.join(given)} with --data, which trains nothing; leave out one of them.")
    backends.choose(backend, device)

    from kseq import signals
    from kseq.report import run_folder

    kind = "data" if data else "bench"
    with run_folder.folder(out, kind, inputs=inputs()) if out else contextlib.nullcontext() as folder:
        result, table = (
            _data(workloads, rounds, note) if data else _training(cells, workloads, rounds, members, contenders, note)
        )
        signals.check()
        # Printed first: measurements of minutes are not to be lost to a disk without room.
        say(table)
        if folder is not None:
            (run_folder.write_data_bench if data else run_folder.write_bench)(result, folder, tell)


def _training(
    cells: tuple[str, ...],
    workloads: tuple[str, ...] | None,
    rounds: int,
    members: tuple[int, ...],
    contenders: tuple[str, ...] | None,
    say: Callable[[str], None],
) -> tuple[Any, str]:
    from kseq.bench import timings
    from kseq.report.bench import bench_table

    result = timings.run(cells, workloads, rounds, members, contenders, say)
    return result, bench_table(result)


def _data(workloads: tuple[str, ...] | None, rounds: int, say: Callable[[str], None]) -> tuple[Any, str]:
    from kseq.bench import delivery
    from kseq.report.databench import data_table

    result = delivery.run(workloads or tuple(delivery.WORKLOADS), rounds, say)
    return result, data_table(result)
