"""``kseq explain``."""

from pathlib import Path
from typing import Any

import click

from kseq import backends
from kseq.cli.command import Command
from kseq.cli.compare import compare, settings_of
from kseq.cli.live import Progress
from kseq.cli.options import JOB_OPTIONS, escape_option, inputs, refuse_ignored, take_series, tell, typed_options
from kseq.cli.terminal import data, note, say
from kseq.cli.types import File, Folder, Text
from kseq.errors import ConfigError
from kseq.models import SKIPS

#: Options of the series, which a saved model may do without.
_SERIES = ("data", "csv", "parquet", "sql")


@click.command(cls=Command)
@click.option("--model", type=File(), metavar="FILE", help="Explain a model of `kseq fit` instead of training cells.")
@click.option("--transform", type=Text(), default="none", show_default=True,
              help="What cells read instead of the values; auto: what `kseq compare` chooses.")  # fmt: skip
@click.option("--skip", type=click.Choice(SKIPS), default="none", show_default=True,
              help="linear: a linear map of the window beside each cell, as `kseq compare` has it.")  # fmt: skip
@click.option("--problems-only", is_flag=True, help="No series: only what cells can remember, by two problems.")
@click.option("--no-problems", is_flag=True, help="Leave the two problems out, which take some minutes.")
@click.option("--long", is_flag=True, help="Problems of 1,000 steps too.")
@click.option("--no-variants", is_flag=True, help="Do not train LSTM and GRU with one thing changed.")
@click.option("--out", type=Folder(), metavar="DIR", help="Folder of the files.  [default: a new one in kseq-runs]")
@click.option("--format", "style", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True,
              help="Format of the output: all of it as text, or the lesson's table.")  # fmt: skip
@escape_option
def explain(
    backend: str | None,
    device: str | None,
    model: Path | None,
    problems_only: bool,
    no_problems: bool,
    long: bool,
    no_variants: bool,
    out: Path | None,
    style: str,
    **options: Any,
) -> None:
    """Show why a cell does well: gradients, memory, gates and training, measured.

    Trains the cells on a series and measures how far back gradients reach, which rows the forecasts use, what the gates
    do and what training takes; then how many steps the cells can carry a value over, on two problems made for that.
    The textbook's table of RNN, LSTM and GRU is printed with these figures in it, and what follows for this series.
    """
    from kseq.report import made_again, run_folder

    _refuse(model, problems_only, no_problems, long, no_variants)
    refuse_ignored(options)
    asked = bool(typed_options() & set(_SERIES))
    series = None
    if not problems_only and (model is None or asked):
        series = take_series(options)
        settings = settings_of(options)
    else:
        settings = settings_of(_of_settings(options))
    chosen = backends.choose(backend, device)
    name = model.stem if model is not None else "problems" if series is None else series.name
    otherwise = run_folder.default_folder(f"explain-{name}", chosen)
    with run_folder.folder(out, "explanation", inputs=inputs(), otherwise=otherwise) as folder:
        from kseq.explanation.explain import explain as run
        from kseq.explanation.explanation import write

        with Progress() as progress:
            explanation = run(
                series, settings, model=model, problems=not no_problems, long=long, variants=not no_variants,
                progress=progress,
            )  # fmt: skip
        try:
            write(explanation, folder, tell)
        finally:
            _show(explanation, style)
    made_again.refresh(folder.path, tell)
    if folder.files:
        note(f"\n{folder.files[0].parent}: {', '.join(file.name for file in folder.files)}", err=style != "table")
    note(f"{chosen} {backends.installed()[chosen]} on {backends.device_in_use(chosen)}", err=style != "table")


def _refuse(model: Path | None, problems_only: bool, no_problems: bool, long: bool, no_variants: bool) -> None:
    """Refuse options that contradict one another."""
    flags = {"--no-problems": no_problems, "--no-variants": no_variants}
    if problems_only:
        asked = [f"--{name}" for name in _SERIES if name in typed_options()]
        wrong = [*asked, *(["--model"] if model is not None else []), *(name for name, given in flags.items() if given)]
        if wrong:
            raise ConfigError(f"received --problems-only and {', '.join(wrong)}, expected one of them.")
    if long and (no_problems or model is not None):
        other = "--no-problems" if no_problems else "--model, which is explained without problems"
        raise ConfigError(f"received --long and {other}, expected one of them.")


def _of_settings(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are settings; refuse those of a series, where there is none."""
    from kseq.vocabulary import defaults

    reading = [name for name in options if name not in defaults()]
    typed = [f"--{name.replace('_', '-')}" for name in reading if name in typed_options()]
    if typed:
        raise ConfigError(f"received {', '.join(typed)} without a series, expected --data or --csv with it.")
    return {name: value for name, value in options.items() if name not in reading}


def _show(explanation: Any, style: str) -> None:
    """Print the explanation, or the lesson's table."""
    if style == "table":
        say(str(explanation))
    elif style == "csv":
        from kseq.storage.csv_text import csv_text

        data(csv_text(explanation.lesson).rstrip("\n"))
    else:
        from kseq.storage import plain, to_json

        data(to_json(plain(explanation.record)))


# Options of `kseq compare` that decide how a cell is trained, those that come later too; not those of comparing.
_compared = {
    "baselines", "strategy", "n_windows", "step_size", "refit", "gap", "train_size", "level", "metric",
    "no_refit_on_validation", "predictions", "cell", "rival", "with_forecasts", "horizons", "log",
}  # fmt: skip
_own = JOB_OPTIONS | {option.name for option in explain.params} | _compared
explain.params = [*(option for option in compare.params if option.name not in _own), *explain.params]
