"""``kseq evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kseq import backends
from kseq.cli import completion
from kseq.cli.options import backend_options
from kseq.cli.rows import model_option, rows_options, take_rows
from kseq.errors import ConfigError

if TYPE_CHECKING:
    from kseq.scoring import Score


@click.command()
@model_option
@click.option("--data", metavar="NAME", shell_complete=completion.built_ins, help="Rows of a built-in series.")
@rows_options
@click.option("--all-rows", is_flag=True, help="Score all rows, those that the model was trained on too.")
@backend_options
@click.option("--format", "style", type=click.Choice(["table", "markdown", "csv", "json"]), default="table",
              show_default=True, help="Of the printed table.")  # fmt: skip
def evaluate(
    path: Path, data: str | None, all_rows: bool, backend: str | None, device: str | None, style: str, **options: Any
) -> None:
    """Score a model that `kseq fit` has saved on rows of a file, beside persistence and seasonal naive.

    Scored are the rows after those that the model was trained on; where the file holds no such rows, all of them, and
    it is said that they were in its training.
    """
    from kseq import modelfile
    from kseq.series import load_series

    card = modelfile.read_card(path)
    rows = take_rows(card, options)
    if (rows is None) == (data is None):
        raise ConfigError("expected rows to score, from one of --csv, --parquet and --data.")
    if rows is None:
        rows = load_series(str(data))
    backends.choose(backend, device)
    from kseq.scoring import evaluate as score_model

    score = score_model(modelfile.load(path), rows, all_rows=all_rows)
    click.echo(_table(score, style))
    for note in _sentences(score):
        click.echo(note, err=style in ("csv", "json"))


def _table(score: "Score", style: str) -> str:
    from kseq.report.table import aligned, markdown, render, shown_table

    if style in ("csv", "json"):
        return render(score.comparison, style)
    shown = shown_table(score.comparison).drop(columns=["epochs", "ms/epoch/seed"])
    return f"{markdown(shown) if style == 'markdown' else aligned(shown)}\n"


def _sentences(score: "Score") -> list[str]:
    covered = [f"{share:.1f} % by {level:g} % intervals" for level, share in score.coverage.items()]
    shown = [f"True values covered: {', '.join(covered)}."] if covered else []
    # Who wins on rows that one of them has seen says nothing.
    return [*score.notes, *shown, *(() if score.seen else score.comparison.verdict)]
