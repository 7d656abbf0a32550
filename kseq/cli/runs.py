"""``kseq runs``."""

from pathlib import Path

import click

from kseq.cli.command import Command
from kseq.cli.terminal import data, note, say
from kseq.cli.types import Folder
from kseq.text import DASH


@click.command(cls=Command)
@click.argument("folder", type=Folder(), default=None, required=False)
@click.option("--format", "style", type=click.Choice(["table", "csv"]), default="table", show_default=True,
              help="Of the printed list.")  # fmt: skip
def runs(folder: Path | None, style: str) -> None:
    """List runs: finished ones with their best row, and those that the same command goes on with.

    FOLDER holds runs, or is one.  [default: kseq-runs]
    """
    import pandas as pd

    from kseq.jobs import FOLDER, Store
    from kseq.report import run_folder
    from kseq.report.runs import runs as listed
    from kseq.report.table import aligned
    from kseq.storage.csv_text import csv_text

    folder = run_folder.RUNS if folder is None else folder
    found = listed(folder)
    if style == "csv":
        data(csv_text(found))
        return
    if not len(found):
        say(f"no runs in {folder}.")
        return
    shown = pd.DataFrame({
        "run": found["run"],
        "state": found["state"],
        "date": found["date"].str.replace("T", " "),
        "series": found["series"].fillna(DASH),
        "backend": found["backend"].fillna(DASH),
        "trainings kept": [
            f"{kept:.0f} of {count:.0f}" if count == count else DASH
            for kept, count in zip(found["kept"].astype(float), found["trainings"].astype(float), strict=True)
        ],
        "best": [
            f"{best} ({metric} {score:.4g})" if isinstance(best, str) else DASH
            for best, metric, score in zip(found["best"], found["metric"], found["score"], strict=True)
        ],
    })  # fmt: skip
    say(aligned(shown))
    size = sum(Store(place / FOLDER).size for place in (folder, *folder.glob("*")) if place.is_dir())
    if size:
        note(f"\nkept trainings take {size / 1e6:,.1f} MB in {folder}; folders named {FOLDER} may be removed.")
