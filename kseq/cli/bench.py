"""``kseq bench``."""

import contextlib
from pathlib import Path

import click

from kseq import backends
from kseq.cli import completion
from kseq.cli.options import backend_options
from kseq.cli.types import POSITIVE, CommaList, Folder, Wholes


@click.command()
@backend_options
@click.option("--cells", type=CommaList(), default="rnn,lstm,gru", show_default=True, shell_complete=completion.cells,
              help="Cells to time.")  # fmt: skip
@click.option("--workloads", type=CommaList(), default="short,daily,long,stacked,bidirectional", show_default=True,
              help="Jobs of fixed sizes.")  # fmt: skip
@click.option("--rounds", type=POSITIVE, default=5, show_default=True, help="Epochs that count, all in turn.")
@click.option("--members", type=Wholes(), default="1", show_default=True, metavar="N[,...]",
              help="Seeds that kseq trains at once.")  # fmt: skip
@click.option("--out", type=Folder(), metavar="DIR", help="Folder for table, JSON and picture.")
def bench(
    backend: str | None,
    device: str | None,
    cells: tuple[str, ...],
    workloads: tuple[str, ...],
    rounds: int,
    members: tuple[int, ...],
    out: Path | None,
) -> None:
    """Time training against stock Keras and a hand-written loop, in one run.

    All contenders must forecast the same before any is timed. Close other programs: only ratios inside one run count.
    """
    backends.choose(backend, device)
    from kseq import bench as benchmark
    from kseq import runs
    from kseq.report.bench import bench_table

    with runs.folder(out) if out else contextlib.nullcontext() as folder:
        result = benchmark.run(cells, workloads, rounds, members, lambda text: click.echo(text, err=True))
        if folder is not None:
            runs.write_bench(result, folder)
    click.echo(bench_table(result))
