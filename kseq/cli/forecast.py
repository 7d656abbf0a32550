"""``kseq forecast``."""

import contextlib
from pathlib import Path
from typing import Any

import click

from kseq import backends
from kseq.cli.options import backend_options
from kseq.cli.rows import model_option, rows_options, take_ids, take_rows
from kseq.cli.types import POSITIVE, Folder, Levels


@click.command()
@model_option
@click.option("--steps", type=POSITIVE, default=None, help="Time steps to forecast.  [default: the model's horizon]")
@click.option("--future", type=click.Path(path_type=Path), metavar="FILE",
              help="CSV file of covariates at the steps to come, where the model reads them.")  # fmt: skip
@click.option("--level", type=Levels(), default=None, metavar="PERCENT[,...]",
              help="Percents that intervals are to cover, or none.  [default: the model's]")  # fmt: skip
@rows_options
@backend_options
@click.option("--out", type=Folder(), metavar="DIR", help="Folder for forecast.csv and forecast.png.")
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

    A model of many series forecasts each of them, or those of the file, or of --series. A series that it has not seen
    is scaled by its own past, if that is long enough.
    """
    from kseq import runs
    from kseq.data import read_text
    from kseq.forecasting import model_file
    from kseq.forecasting.forecast import covariates_ahead
    from kseq.forecasting.forecast import forecast as forecast_steps

    card = model_file.read_card(path)
    # A series for a model of one, a panel for a model of many.
    rows: Any = take_rows(card, options)
    # Of a model of one series this was an option of reading.
    chosen = {"ids": take_ids(options)} if "series" in options else {}
    ahead = None
    if future is not None:
        ahead = covariates_ahead(card, read_text(future, 0), future.name)
    backends.choose(backend, device)
    with runs.folder(out) if out else contextlib.nullcontext() as folder:
        model: Any = model_file.load(path)
        made = forecast_steps(model, steps, rows=rows, future=ahead, levels=level, **chosen)
        written = runs.write_forecast(made, folder) if folder is not None else []
    click.echo(made.frame.to_csv(index=False, lineterminator="\n").rstrip("\n"))
    for note in made.notes:
        click.echo(note, err=True)
    if folder is not None:
        click.echo(f"{folder}: {', '.join(file.name for file in written)}", err=True)
