"""``kseq evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kseq import backends
from kseq.cli import completion
from kseq.cli.command import Command
from kseq.cli.options import backend_options, escape_option
from kseq.cli.rows import model_option, rows_options, take_ids, take_rows
from kseq.cli.terminal import data, note, say
from kseq.errors import ConfigError
from kseq.text import decimals_for, figure

if TYPE_CHECKING:
    from kseq.forecasting.score import Score


@click.command(cls=Command)
@model_option
@click.option(
    "--data", "builtin", metavar="NAME", shell_complete=completion.built_ins, help="Rows of a built-in series."
)
@rows_options
@click.option("--all-rows", is_flag=True, help="Score all rows, those that the model was trained on too.")
@click.option("--by-series", is_flag=True, help="One row for each series and model, for a model of a panel.")
@backend_options
@click.option("--format", "style", type=click.Choice(["table", "markdown", "csv", "json"]), default="table",
              show_default=True, help="Format of the printed table.")  # fmt: skip
@escape_option
def evaluate(
    path: Path,
    builtin: str | None,
    all_rows: bool,
    by_series: bool,
    backend: str | None,
    device: str | None,
    style: str,
    **options: Any,
) -> None:
    """Score a model that `kseq fit` has saved on rows of a file, beside persistence and seasonal naive.

    Scored are the rows after those that the model was trained on; where the file holds no such rows, all of them, and
    it is said that they were in its training.

    For a model of a panel every number is the mean over series of each series' own; --by-series shows those. A
    series that it has not seen is scored on its last rows, by the scale of those before.
    """
    from kseq.data import load_series
    from kseq.forecasting import model_file

    card = model_file.read_card(path)
    rows = take_rows(card, options)
    # Of a model of one series this was an option of reading.
    many = "series" in options
    chosen = {"ids": take_ids(options)} if many else {}
    if by_series and not many:
        raise ConfigError("received --by-series for a model of one series, expected it with one of many.")
    if (rows is None) == (builtin is None):
        raise ConfigError("expected rows to score, from one of --csv, --parquet, --sql and --data.")
    if rows is None:
        rows = load_series(str(builtin))
    backends.choose(backend, device)
    from kseq.forecasting.score import evaluate as score_model

    score = score_model(model_file.load(path), rows, all_rows=all_rows, **chosen)
    text = _by_series(score, style) if by_series else _table(score, style)
    machine = style in ("csv", "json")
    (data if machine else say)(text)
    for sentence in _sentences(score):
        note(sentence, err=machine)


def _table(score: "Score", style: str) -> str:
    from kseq.report.table import aligned, markdown, render, shown_table

    if style in ("csv", "json"):
        return render(score.comparison, style)
    shown = shown_table(score.comparison).drop(columns=["epochs", "ms/epoch/seed"])
    return f"{markdown(shown) if style == 'markdown' else aligned(shown)}\n"


def _by_series(score: "Score", style: str) -> str:
    from kseq.comparison.frames import by_series
    from kseq.report.table import aligned, as_json, markdown
    from kseq.storage.csv_text import csv_text

    frame = by_series(score.comparison)
    if style == "csv":
        return csv_text(frame).rstrip("\n")
    if style == "json":
        return as_json(frame)
    columns = ["mase", "mae", "rmse", "mape"]
    shown = frame[["unique_id", "model", "windows", *columns]].astype({"unique_id": str, "windows": str})
    for column in columns:
        decimals = decimals_for(frame[column])
        shown[column] = ["-" if value != value else figure(value, decimals) for value in frame[column]]
    shown = shown.rename(columns={column: column.upper() for column in columns})
    return f"{markdown(shown) if style == 'markdown' else aligned(shown)}\n"


def _sentences(score: "Score") -> list[str]:
    covered = [f"{share:.1f} % by {level:g} % intervals" for level, share in score.coverage.items()]
    shown = [f"True values covered: {', '.join(covered)}."] if covered else []
    # Who wins on rows that one of them has seen says nothing.
    return [*score.notes, *shown, *(() if score.seen else score.comparison.verdict)]
