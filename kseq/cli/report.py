"""``kseq report``."""

import webbrowser
from pathlib import Path

import click

from kseq.cli.command import Command
from kseq.cli.terminal import note
from kseq.cli.types import Folder


@click.command(cls=Command)
@click.argument("folder", type=Folder(), metavar="DIR")
@click.option("--open", "show", is_flag=True, help="Show the page in a browser.")
def report(folder: Path, show: bool) -> None:
    """Make the page of a run's folder again, from the files in it.

    Every command that leaves a folder writes a page into it: report.html of a comparison or a tuning, and
    explanation.html, forecast.html, bench.html. They work offline, on a phone and in print.
    """
    from kseq.report import made_again, run_folder
    from kseq.report.html.pages import PAGES, of_folder

    pages = of_folder(folder)
    written = []
    for kind, (_, name, _) in PAGES.items():
        if name in pages:
            with run_folder.folder(folder, kind) as opened:
                written += made_again.write_pages(opened, {name: pages[name]})
    note("\n".join(str(path) for path in written), err=False)
    if show:
        webbrowser.open(written[0].resolve().as_uri())
