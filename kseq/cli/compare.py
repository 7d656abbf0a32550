"""``kseq compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kseq import backends
from kseq.cli import completion
from kseq.cli.command import Command
from kseq.cli.live import Progress
from kseq.cli.options import (
    backend_options,
    escape_option,
    inputs,
    job_options,
    own_options,
    refuse_ignored,
    series_options,
    take_series,
    tell,
    trainings_of,
)
from kseq.cli.terminal import data, detail, note, say
from kseq.cli.types import CommaList, File, Folder, Horizons, Levels, Number, Text, Units, Whole
from kseq.errors import OutputError
from kseq.models import SKIPS
from kseq.training.budget import LOSSES, SCHEDULES, Training
from kseq.validation import PREDICTIONS, require_predictions

if TYPE_CHECKING:
    from kseq.report.comparison import Comparison
    from kseq.settings import Settings
    from kseq.storage import Folder as RunFolder


@click.command(cls=Command)
@backend_options
@series_options
@click.option("--cells", type=CommaList(), default="rnn,lstm,gru", show_default=True, shell_complete=completion.cells,
              help="Cells to train.")  # fmt: skip
@own_options
@click.option("--baselines", type=CommaList(), default=None, metavar="NAME[,...]", shell_complete=completion.baselines,
              help="Baselines beside them, of persistence, seasonal-naive, climatology, ar, climatology-ar, ets, "
                   "theta, dlinear.  [default: all that the series allows; ets for 20 series at most]")  # fmt: skip
@click.option("--with", "with_forecasts", type=File(), metavar="FILE",
              help="Forecasts that others made of the same test points, as rows beside them: CSV or Parquet with "
                   "unique_id, ds, cutoff, y and a column a model, as `kseq judge` reads.")  # fmt: skip
@click.option("--season", type=Whole("season"), default=0, help="Steps in a season.  [default: from the dates]")
@click.option("--metric", type=Text(), default="", metavar="NAME",
              help="Ranks rows and is tested: mae, mase, rmse, rmsse, smape, mape, wql, pinball or crps.  [default: "
                   "mae; mase for a panel or several targets]")  # fmt: skip
@click.option("--lookback", type=Whole("lookback"), default=None,
              help="Time steps that a model reads.  [default: 1.25 times the horizon, at least 12]")  # fmt: skip
@click.option("--horizon", type=Whole("horizon"), default=1, show_default=True, help="Time steps to forecast.")
@click.option("--horizons", type=Horizons(), default={}, metavar="FILE",
              help="CSV file of series, by id, with the steps to forecast of each, where these differ.")  # fmt: skip
@click.option("--strategy", type=click.Choice(["direct", "recursive", "seq2seq"]), default="direct", show_default=True,
              help="Forecast several steps at once, each from those before it, or by a decoder.")  # fmt: skip
@click.option("--no-past-target", is_flag=True, help="Give the models their features alone, not the target's past.")
@click.option("--transform", type=Text(), default="auto", show_default=True, metavar="STEP[,...]",
              help="What models read and forecast: none (the values), log, log1p, anomaly, trend, difference, or "
                   "several in order, then change, last, mean, season or ar, from which windows are measured, and "
                   "spread; auto chooses by the validation part, per-cell for each cell.")  # fmt: skip
@click.option("--calendar", is_flag=True, help="Let models read the hour, the day or the month of each row.")
@click.option(
    "--scaler", type=Text(), default="standard", show_default=True, help="standard, minmax or minmax-leaks-test."
)
@click.option(
    "--test-share", type=Number("test"), default=None, help="Share of all rows, the last ones.  [default: 0.2]"
)
@click.option(
    "--validation-share",
    type=Number("validation"),
    default=0.15,
    show_default=True,
    help="Share of the training rows; 0 for none.",
)
@click.option("--n-windows", type=Whole("n_windows"), default=0, metavar="N",
              help="Backtest on the last N origins instead of a test share.")  # fmt: skip
@click.option("--step-size", type=Whole("step_size"), default=None, metavar="ROWS",
              help="From one of them to the next.  [default: the horizon]")  # fmt: skip
@click.option("--refit", is_flag=True, help="Train everything anew before each of them, not once before the first.")
@click.option("--gap", type=Whole("gap"), default=0, metavar="ROWS",
              help="Rows before its targets that nothing is learnt from.")  # fmt: skip
@click.option("--train-size", type=Whole("train_size"), default=None, metavar="ROWS",
              help="Learn from so many rows before it, validation included.  [default: all]")  # fmt: skip
@click.option("--units", type=Units(), default="32", show_default=True, help="Units of a layer, or 64,32: one a layer.")
@click.option("--match", type=click.Choice(["units", "params"]), default="units", show_default=True,
              help="Equal among cells: units, or parameters: those of the largest cell at --units.")  # fmt: skip
@click.option(
    "--layers", type=Whole("num_layers"), default=None, help="Recurrent layers.  [default: 1, or as --units says]"
)
@click.option("--dropout", type=Number("dropout"), default=0.0, show_default=True,
              help="Dropped between layers.")  # fmt: skip
@click.option("--bidirectional", is_flag=True, help="Read windows in both directions.")
@click.option(
    "--start", type=Text(), default="keras", show_default=True, help="Whose initial weights: keras or pytorch."
)
@click.option("--skip", type=click.Choice(SKIPS), default="linear", show_default=True,
              help="Added to each network: a linear map of the window, from least squares on.")  # fmt: skip
@click.option("--epochs", type=Whole("epochs"), default=200, show_default=True, help="The most epochs of a training.")
@click.option("--max-steps", type=Whole("max_steps"), default=None,
              help="The most gradient steps of a training; 0 for any.  [default: by lookback and batch]")  # fmt: skip
@click.option("--windows-per-epoch", type=Whole("windows_per_epoch"), default=None,
              help="The most windows of an epoch, none again before all; 0 for all.  [default: 4,096]")  # fmt: skip
@click.option("--batch-size", type=Whole("batch_size"), default=None, help="0 for all at once.  [default: 32]")
@click.option("--loss", type=click.Choice(LOSSES), default="mse", show_default=True,
              help="What is minimised; quantile forecasts the intervals' bounds too.")  # fmt: skip
@click.option(
    "--learning-rate",
    type=Number("learning_rate"),
    default=1e-3,
    show_default=True,
    help="Learning rate of the Adam optimizer.",
)
@click.option("--schedule", type=click.Choice(SCHEDULES), default="constant", show_default=True,
              help="Keep the learning rate, or let it fall to zero over the steps of the budget.")  # fmt: skip
@click.option("--weight-decay", type=Number("weight_decay"), default=0.0, show_default=True, help="As in AdamW.")
@click.option(
    "--clip-norm",
    type=Number("clip_norm"),
    default=0.0,
    show_default=True,
    help="Largest norm of a gradient; 0 for any.",
)
@click.option("--patience", type=Whole("patience"), default=25, show_default=True,
              help="Epochs without a better validation loss; 0 to train them all.")  # fmt: skip
@click.option("--no-refit-on-validation", "--no-refit", is_flag=True,
              help="Keep networks as early stopping leaves them, not trained again on all rows.")  # fmt: skip
@click.option("--seeds", type=Whole("n_seeds"), default=10, show_default=True, help="Trainings of each cell.")
@click.option("--first-seed", type=Whole("seed"), default=0, show_default=True, help="Seeds count from here.")
@click.option("--members", type=Whole("members"), default=0,
              help="Seeds trained at once, each as if alone.  [default: what memory and speed allow]")  # fmt: skip
@click.option("--level", type=Levels(), default="80,95", show_default=True, metavar="PERCENT[,...]",
              help="Percents of future values that intervals are to cover, or none.")  # fmt: skip
@click.option("--out", type=Folder(), metavar="DIR",
              help="Folder of the run's files. Those of an earlier run in it are replaced, others never.  [default: a "
                   "new one in kseq-runs]")  # fmt: skip
@click.option("--predictions", type=click.Choice(PREDICTIONS), default="csv", show_default=True,
              help="File of all forecasts in it.")  # fmt: skip
@click.option("--log", type=CommaList(), default=None, metavar="NAME[,...]",
              help="Learning curves and the table for tensorboard or mlflow, beside the run's folder.")  # fmt: skip
@click.option("--format", "style", type=click.Choice(["table", "markdown", "latex", "csv", "json"]), default="table",
              show_default=True, help="Format of the printed table.")  # fmt: skip
@job_options
@escape_option
def compare(
    backend: str | None,
    device: str | None,
    style: str,
    out: Path | None,
    log: tuple[str, ...] | None,
    with_forecasts: Path | None,
    executor: str | None,
    keep: Path | None,
    fresh: bool,
    **options: Any,
) -> None:
    """Train the cells on a series and compare them with baselines.

    If the file holds many series, each cell is one model for all of them, and baselines are fitted series by series.

    Prints the table with a verdict; writes table, predictions, picture and record into the run's folder. With --format
    csv or json the table alone goes to standard output, and the verdict to standard error.
    """
    from kseq.comparison.kept import workers_for
    from kseq.report import run_folder

    refuse_ignored(options)
    predictions = require_predictions(options.pop("predictions"))
    series = take_series(options)
    settings = settings_of(options)
    chosen = backends.choose(backend, device)
    usual = run_folder.default_folder(series.name, chosen)
    with run_folder.folder(out, inputs=inputs(), otherwise=usual) as folder, workers_for(executor) as workers:
        from kseq.experiments.compare import compare as run

        with Progress(trainings_of(settings)) as progress:
            comparison = run(
                series, settings, progress=progress, log=loggers_of(log, folder, series.name), executor=workers,
                keep=keep or kept_in(out), fresh=fresh, with_forecasts=with_forecasts,
            )  # fmt: skip
        write_and_show(comparison, style, folder, chosen, predictions)


def kept_in(out: Path | None) -> Path:
    """Folder of finished trainings: in that of the run or, where each run makes a new one, in that of all."""
    from kseq.jobs import FOLDER
    from kseq.report import run_folder

    return (out if out is not None else run_folder.RUNS) / FOLDER


def loggers_of(names: tuple[str, ...] | None, folder: "RunFolder", series: str) -> list[Any]:
    """Open the loggers that were named, beside the folder of the run."""
    if not names:
        return []
    from kseq.report import loggers

    return list(loggers.opened(names, *loggers.place_of(folder, series)))


def write_and_show(comparison: "Comparison", style: str, folder: "RunFolder", backend: str, predictions: str) -> None:
    """Write the files of a run and print its table, which is printed too where there is no room for files."""
    from kseq.report import run_folder

    try:
        run_folder.write(comparison, folder, tell, predictions)
    except OutputError as error:
        show(comparison, style, error.files, backend)
        raise
    show(comparison, style, folder.files, backend)


def show(comparison: "Comparison", style: str, written: list[Path], backend: str) -> None:
    """Print the table of a run, and where its files are."""
    from kseq.report.table import render, words

    if style in ("csv", "json", "latex"):
        data(render(comparison, style))
        say(words(comparison), err=True)
    else:
        say(render(comparison, style))
    if comparison.jobs is not None and comparison.jobs.notes:
        note("\n".join(comparison.jobs.notes))
    if written:
        note(f"\n{written[0].parent}: {', '.join(file.name for file in written)}", err=style != "table")
    record = comparison.record
    made_on = f"{backend} {backends.installed()[backend]} on {record['device']}"
    settings = record["settings"]
    own = settings["transform"] == "per-cell" or any("transform" in cell for cell in settings["by_cell"].values())
    transform = "each cell's own" if own else record["series"]["transform"]
    if comparison.settings is not None and comparison.settings.cells:
        note(described(comparison.settings, len(comparison.trainings[0].train)), err=style != "table")
    note(f"{made_on}; transform: {transform}", err=style != "table")
    for row in comparison.rows:
        if row.kind == "cell":
            detail(f"{row.name}: kernel {row.kernel}, {row.members_at_once} seeds at once, epochs "
                   f"{', '.join(map(str, row.epochs))}, {row.seconds:.1f} s")  # fmt: skip


def described(settings: "Settings", windows: int) -> str:
    """Say in a line how much networks read and how long they may train."""
    training = Training(**settings.training)
    plan = training.plan(windows)
    part = f"{plan.windows:,} of {windows:,}" if plan.windows < windows else f"{windows:,}"
    batch = f"in batches of {training.batch_size:,}" if training.batch_size else "at once"
    return (
        f"lookback {settings.lookback}; loss {training.loss}; at most {plan.epochs:,} epochs of {part} windows "
        f"{batch}, {plan.all_steps:,} steps"
    )


def settings_of(options: dict[str, Any]) -> "Settings":
    """Make a comparison's settings of what was typed, as far as it is no matter of the series, the backend or files."""
    from kseq.vocabulary import settings_from

    return settings_from(options)
