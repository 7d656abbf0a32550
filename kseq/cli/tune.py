"""``kseq tune``."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kseq import backends
from kseq.cli.command import Command
from kseq.cli.compare import compare, kept_in, settings_of, write_and_show
from kseq.cli.live import Progress
from kseq.cli.options import inputs, refuse_ignored, take_series, tell, trainings_of
from kseq.cli.types import Each, Number, Transforms, Whole
from kseq.validation import PRUNERS, require_predictions


@click.command(cls=Command)
@click.option("--trials", type=Whole("trials"), default=20, show_default=True, help="Settings that each cell tries.")
@click.option("--trial-seeds", type=Whole("trial_seeds"), default=3, show_default=True, help="Trainings of each trial.")
@click.option("--pruner", type=click.Choice(PRUNERS), default="none", show_default=True,
              help="End trials early that are behind earlier ones of their cell on the validation part: behind their "
                   "median after as many epochs, or by successive halving.")  # fmt: skip
@click.option("--trials-at-once", type=Whole("trials_at_once"), default=1, show_default=True,
              help="Trials of a cell that may run at the same time, without knowing each other's results.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Forget the trials and trainings that are kept.")
@click.option("--units", type=Each(Whole("units")), default="8,16,32,64", show_default=True, help="Units of a layer.")
@click.option(
    "--layers", type=Each(Whole("num_layers")), default="1,2", show_default=True, help="Numbers of recurrent layers."
)
@click.option(
    "--lookback",
    type=Each(Whole("lookback")),
    default="6,12,24",
    show_default=True,
    help="Time steps that a model reads.",
)
@click.option(
    "--learning-rate",
    type=Each(Number("learning_rate")),
    default="0.0003,0.001,0.003,0.01",
    show_default=True,
    help="Learning rates of the Adam optimizer.",
)
@click.option("--transform", type=Transforms(), default="auto", show_default=True, metavar="STEP[,...][/...]",
              help="What models read and forecast, as of kseq compare; of several, with / between them, each cell has "
                   "its own: none/anomaly,change.")  # fmt: skip
@click.option("--dropout", type=Each(Number("dropout")), default="0,0.2", show_default=True, help="Between layers.")
@click.option(
    "--weight-decay",
    type=Each(Number("weight_decay")),
    default="0,0.0001,0.001",
    show_default=True,
    help="As in AdamW.",
)
def tune(
    backend: str | None,
    device: str | None,
    style: str,
    out: Path | None,
    trials: int,
    trial_seeds: int,
    pruner: str,
    trials_at_once: int,
    fresh: bool,
    executor: str | None,
    keep: Path | None,
    log: tuple[str, ...] | None,
    **options: Any,
) -> None:
    """Choose each cell's settings on the validation part, then compare the chosen ones.

    Each cell tries as many settings as the others, with the same epochs and seeds. The test part is read once, in the
    comparison at the end, whose seeds are others. Of units, layers, lookback, learning rate, transform, dropout and
    weight decay give the values to choose from; one value alone is fixed. Takes all other options of `kseq compare`.

    If the file holds many series, each trial is one model for all of them, scored by its mean MASE over series.

    Every trial is kept in the run's folder as soon as it is done: the same command with the same --out goes on where
    one was stopped, and comes to the same result; with more --trials it adds some. tuning.csv shows them
    (tuning-unfinished.csv where the folder holds an earlier run, which stays until this one has ended).
    """
    from kseq.comparison.kept import workers_for
    from kseq.experiments._space import Plan, Space
    from kseq.experiments.tune import tuned as run
    from kseq.report import run_folder

    refuse_ignored(options)
    predictions = require_predictions(options.pop("predictions"))
    series = take_series(options)
    transforms = options.pop("transform")
    space = Space(
        units=options.pop("units"),
        num_layers=options.pop("layers"),
        lookback=options.pop("lookback"),
        learning_rate=options.pop("learning_rate"),
        dropout=options.pop("dropout"),
        weight_decay=options.pop("weight_decay"),
        transform=transforms if len(transforms) > 1 else (),
    )
    fixed = {"transform": transforms[0]} if len(transforms) == 1 else {}
    settings = settings_of(_chosen | fixed | options)
    budget = {name: value for name, value in settings.training.items() if name not in _chosen}
    settings = replace(settings, training=budget)
    chosen = backends.choose(backend, device)
    plan = Plan(space, trials, trial_seeds, pruner, trials_at_once)
    total = trials * trial_seeds * len(settings.cells) + trainings_of(settings)
    usual = run_folder.default_folder(series.name, chosen)
    with run_folder.folder(out, inputs=inputs(), otherwise=usual) as folder, workers_for(executor) as workers:
        with Progress(total) as progress:
            comparison = run(
                series, settings, plan, folder, fresh=fresh, executor=workers, keep=keep or kept_in(out),
                progress=progress, tell=tell, log=log,
            )  # fmt: skip
        write_and_show(comparison, style, folder, chosen, predictions)


# All other options are those of `kseq compare`, those that come later too. What is chosen is at its default until then,
# and equal sizes are no matter of a tuning.
_chosen = {
    "units": 32, "layers": None, "lookback": None, "learning_rate": 1e-3, "transform": "auto", "dropout": 0.0,
    "match": "units",
}  # fmt: skip
_own = {option.name for option in tune.params} | {"with_forecasts"} | set(_chosen)
tune.params = [*(option for option in compare.params if option.name not in _own), *tune.params]
