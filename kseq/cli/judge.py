"""``kseq judge``."""

from pathlib import Path

import click

from kseq.cli.command import Command
from kseq.cli.options import escape_option, inputs, tell
from kseq.cli.terminal import data, note, say
from kseq.cli.types import CommaList, File, Folder, Text, Whole


@click.command(cls=Command)
@click.argument("forecasts", type=File())
@click.option("--train", type=File(), metavar="FILE",
              help="The series before the forecasts; it may hold the true values too.")  # fmt: skip
@click.option("--season", type=Whole("season"), default=0, help="Steps in a season.  [default: from the dates]")
@click.option("--metric", type=Text(), default="", metavar="NAME",
              help="Ranks rows and is tested, as of kseq compare.")  # fmt: skip
@click.option("--horizon", type=Whole("horizon"), default=None,
              help="Steps from one origin, where there are no cutoffs.")  # fmt: skip
@click.option("--baselines", type=CommaList(), default=None, metavar="NAME[,...]",
              help="Rows that are baselines.  [default: by their names]")  # fmt: skip
@click.option("--out", type=Folder(), metavar="DIR", help="Folder for table, pictures and record.")
@click.option("--format", "style", type=click.Choice(["table", "markdown", "csv", "json"]), default="table",
              show_default=True, help="Of the printed table.")  # fmt: skip
@escape_option
def judge(
    forecasts: Path,
    train: Path | None,
    season: int,
    metric: str,
    horizon: int | None,
    baselines: tuple[str, ...] | None,
    out: Path | None,
    style: str,
) -> None:
    """Judge forecasts that anyone made: table, tests, verdict and cautions, as of kseq compare.

    FORECASTS is CSV or Parquet with columns unique_id, ds, cutoff, y and one a model. Seeds are columns MODEL (seed 3)
    or a column seed, bounds columns MODEL-lo-95 and MODEL-hi-95.
    """
    import contextlib

    from kseq.experiments.judge import judge as run
    from kseq.report import run_folder
    from kseq.report.table import render, words

    with run_folder.folder(out, inputs=inputs()) if out else contextlib.nullcontext() as folder:
        judged = run(forecasts, train, season=season, metric=metric, horizon=horizon or 0, baselines=baselines)
        try:
            written = run_folder.write(judged, folder, tell) if folder is not None else []
        finally:
            (data if style in ("csv", "json") else say)(render(judged, style))
            if style in ("csv", "json"):
                say(words(judged), err=True)
    if written:
        note(f"\n{out}: {', '.join(file.name for file in written)}", err=style != "table")
