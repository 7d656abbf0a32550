"""``kseq audit``."""

import contextlib
import json
from pathlib import Path
from typing import Any

import click

from kseq import backends
from kseq.cli.command import Command
from kseq.cli.compare import compare, settings_of
from kseq.cli.live import Progress
from kseq.cli.options import inputs, keep_option, refuse_ignored, take_series, tell
from kseq.cli.terminal import data, note, say
from kseq.cli.types import Folder, Whole


@click.command(cls=Command)
@click.option("--epochs", type=Whole("epochs"), default=5, show_default=True, help="The most epochs of a training.")
@click.option("--patience", type=Whole("patience"), default=2, show_default=True,
              help="Epochs without a better validation loss; 0 to train them all.")  # fmt: skip
@click.option("--seeds", type=Whole("n_seeds"), default=2, show_default=True, help="Trainings of each cell.")
@click.option("--out", type=Folder(), metavar="DIR", help="Folder for table, record and page.  [default: none]")
@keep_option(".jobs in the folder of --out, if any")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def audit(
    backend: str | None,
    device: str | None,
    out: Path | None,
    keep: Path | None,
    executor: str | None,
    fresh: bool,
    style: str,
    **options: Any,
) -> int:
    """Look for leaks: change everything after each cutoff, and see what moves before it.

    Takes the series and settings of `kseq compare`, whose windows, scaler, baselines and networks are made twice: of
    the series, and of one with other values after the cutoff. They must be the same bit for bit. The status is 0 where
    they are, and 1 where one is not. In a panel, all series are changed at once.

    With --out or --keep finished trainings are kept: the same command goes on where one was stopped.
    """
    refuse_ignored(options)
    series = take_series(options)
    settings = settings_of(options)
    backends.choose(backend, device)
    from kseq.comparison.kept import workers_for
    from kseq.jobs import FOLDER
    from kseq.report import run_folder

    with run_folder.folder(out, "audit", inputs=inputs()) if out else contextlib.nullcontext() as folder:
        with Progress() as progress, workers_for(executor) as workers:
            from kseq.experiments import audit as auditing

            result = auditing.audit(
                series, settings, progress=progress, executor=workers, fresh=fresh,
                keep=keep or (out / FOLDER if out is not None else None),
            )  # fmt: skip
        try:
            written = auditing.write(result, folder, tell) if folder is not None else []
        finally:
            _show(result, style)
    if written:
        note(f"\n{out}: {', '.join(file.name for file in written)}", err=style != "table")
    return 0 if result.clean else 1


def _show(result: Any, style: str) -> None:
    """Print the checks."""
    if style == "json":
        data(_as_json(result))
    else:
        say(_as_text(result))
    if result.notes:
        note("\n".join(result.notes))


# Whatever decides a comparison's numbers can be audited: its options, those that come later too. A short budget shows
# a leak as well as a long one; files are none of an audit's. Levels say which quantiles networks forecast.
_own = {option.name for option in audit.params}
_own |= {"out", "escape_formulas", "predictions", "rival", "log", "with_forecasts"}
audit.params = [*(option for option in compare.params if option.name not in _own), *audit.params]


def _as_text(result: Any) -> str:
    """A line a check, and what they come to."""
    import pandas as pd

    from kseq.report.table import aligned
    from kseq.text import DASH

    table = result.table
    shown = pd.DataFrame({
        "check": table["name"],
        "fold": table["fold"].map(str),
        "cutoff": table["cutoff"],
        "rows changed": table["rows"].map("{:,}".format),
        "values": table["values"].map("{:,}".format),
        "differ": table["differing"].map("{:,}".format),
        "by at most": [f"{size:.1e}" if size else DASH for size in table["largest"]],
        "identical": table["identical"].map({True: "yes", False: "NO"}),
    })  # fmt: skip
    if table["fold"].isna().all():
        shown = shown.drop(columns="fold")
    return f"{aligned(shown)}\n\n{result.verdict}"


def _as_json(result: Any) -> str:
    from kseq.storage import plain

    checks = [vars(check) | {"identical": check.identical} for check in result.checks]
    record = {"series": result.series, "clean": result.clean, "leaks": result.leaks, "checks": checks}
    return json.dumps(plain(record), indent=2, ensure_ascii=False, allow_nan=False)
