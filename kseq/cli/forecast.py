"""``kseq forecast``."""

import contextlib
from pathlib import Path
from typing import Any

import click

from kseq import backends
from kseq.cli import reading
from kseq.cli.command import Command
from kseq.cli.options import backend_options, escape_option, inputs, tell
from kseq.cli.rows import model_option, rows_options, take_ids, take_rows
from kseq.cli.terminal import data, note
from kseq.cli.types import DataFile, Folder, Levels, Whole


@click.command(cls=Command)
@model_option
@click.option(
    "--steps", type=Whole("steps"), default=None, help="Time steps to forecast.  [default: the model's horizon]"
)
@click.option("--future", type=DataFile(), metavar="FILE",
              help="File of covariates at the steps to come, where the model reads them.")  # fmt: skip
@click.option("--level", type=Levels(), default=None, metavar="PERCENT[,...]",
              help="Percents that intervals are to cover, or none.  [default: the model's]")  # fmt: skip
@rows_options
@backend_options
@click.option("--out", type=Folder(), metavar="DIR", help="Folder for forecast.csv and forecast.png.")
@escape_option
def forecast(
    path: Path,
    steps: int | None,
    future: Path | None,
    level: tuple[float, ...] | None,
    backend: str | None,
    device: str | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Forecast the steps after a series with a model that `kseq fit` has saved.

    Starts after the last row that the model was trained on, or after the last one of --csv or --parquet, which may hold
    newer rows alone. Prints the forecasts as CSV: unique_id, ds, the forecast and the bounds of its intervals.

    A model of a panel forecasts each of its series, or those of the file, or of --series. A series that it has not seen
    is scaled by its own past, if that is long enough.
    """
    from kseq import signals
    from kseq.data import read_table
    from kseq.errors import Parameter
    from kseq.forecasting import model_file
    from kseq.forecasting.forecast import covariates_ahead
    from kseq.forecasting.forecast import forecast as forecast_steps
    from kseq.report import run_folder
    from kseq.storage.csv_text import csv_text

    card = model_file.read_card(path)
    written_so = {**card.reading, **reading.said(options)}
    # A series for a model of one, a panel for a model of many.
    rows: Any = take_rows(card, options, further=future is not None)
    # Of a model of one series this was an option of reading.
    chosen = {"ids": take_ids(options)} if "series" in options else {}
    ahead = None
    if future is not None:
        frame, cells = read_table(future, Parameter("future"), written_so)
        ahead = covariates_ahead(card, frame, future.name, cells)
    backends.choose(backend, device)
    with run_folder.folder(out, "forecast", inputs=inputs()) if out else contextlib.nullcontext() as folder:
        model: Any = model_file.load(path)
        made = forecast_steps(model, steps, rows=rows, future=ahead, levels=level, **chosen)
        signals.check()
        try:
            written = made.write(folder, tell) if folder is not None else []
        finally:
            # Printed too where there is no room for files.
            data(csv_text(made.frame).rstrip("\n"))
            for remark in made.notes:
                note(remark)
    if written:
        note(f"{out}: {', '.join(file.name for file in written)}")
