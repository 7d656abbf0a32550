"""``kseq fit``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kseq import backends
from kseq.cli import completion
from kseq.cli.command import Command
from kseq.cli.compare import compare, settings_of
from kseq.cli.live import Progress
from kseq.cli.options import JOB_OPTIONS, inputs, refuse_ignored, take_series, trainings_of
from kseq.cli.terminal import note, say
from kseq.cli.types import File, Text, Whole

if TYPE_CHECKING:
    from kseq.forecasting.card import ModelCard


@click.command(cls=Command)
@click.option(
    "--cell", type=Text(), default="gru", show_default=True, shell_complete=completion.cells, help="rnn, lstm or gru."
)
@click.option(
    "--seeds", type=Whole("n_seeds"), default=1, show_default=True, help="Networks whose mean forecast is taken."
)
@click.option("--out", type=File(), default="model.keras", show_default=True, metavar="FILE",
              help="File of the model, a name that ends in .keras.")  # fmt: skip
def fit(backend: str | None, device: str | None, cell: str, out: Path, **options: Any) -> None:
    """Train one cell on a whole series, and save it with all that forecasts take.

    If the file holds many series, it is one model for all of them, which forecasts each in its own scale.

    The end of the series stops the training and bounds the intervals. The model is then trained again on all rows, for
    as many epochs as were best. `kseq forecast` forecasts with it, `kseq evaluate` scores it on newer rows, and Keras
    alone loads it, on any backend.
    """
    from kseq import storage
    from kseq.forecasting import model_file, model_page

    refuse_ignored(options)
    model_file.require_name(out)
    series = take_series(options)
    settings = settings_of(_comparing | options | {"cells": (cell,)})
    chosen = backends.choose(backend, device)
    with storage.file(out, model_file.require_own, inputs()):
        from kseq.forecasting.fit import fit_model

        with Progress(trainings_of(settings)) as progress:
            model = fit_model(series, settings, progress=progress)
        model_file.save(model, out)
        page = model_page.write(model.card, model.network.count_params(), out)
    lost = len(settings.seeds) - len(model.card.seeds)
    if lost:
        note(f"{lost} of {len(settings.seeds)} seeds diverged and are left out.")
    say(_summary(model.card))
    note(f"\n{out}; to forecast with it: kseq forecast --model {out} --steps 12", err=False)
    if page is None:
        note(f"{model_page.place_of(out)} was not written by kseq, and is left as it is.")
    else:
        note(f"{page}: its data, errors, intervals and limits", err=False)
    note(f"{chosen} {backends.installed()[chosen]} on {backends.device_in_use(chosen)}", err=False)


# What decides the numbers of one training decides them here: options of `kseq compare`, those that come later too.
# These compare: cells with one another, with baselines, or over test windows.
_comparing: dict[str, Any] = {
    "horizons": {},
    "cells": (), "baselines": None, "match": "units", "test_share": None, "n_windows": 0, "step_size": None,
    "refit": False, "gap": 0, "train_size": None, "strategy": "direct", "rival": None,
}  # fmt: skip
_own = JOB_OPTIONS | {option.name for option in fit.params} | set(_comparing)
_own |= {"style", "escape_formulas", "predictions", "log", "with_forecasts"}
fit.params = [*(option for option in compare.params if option.name not in _own), *fit.params]


def _summary(card: "ModelCard") -> str:
    """What was trained, on what, and how good it was on the validation part."""
    # NumPy comes with it, which `kseq --help` does without.
    from kseq.evaluation.metrics import ALL_METRICS

    series, many = card.context, len(card.context.ids) > 1
    # Errors of a panel are scaled for each series.
    unit = f" {series.unit}" * (bool(series.unit) and not many)
    several = f", the mean of {len(card.seeds)} networks" * (len(card.seeds) > 1)
    span = f"{card.first} to {card.last}".replace(" 00:00:00", "")
    what = f"{card.rows} rows ({card.step})"
    what = f"{len(series.ids)} series, {what}" if many else what
    lines = [f"{card.name}{several}, on {series.name}: {what}, {span}"]
    lines += series.notes if many else ()
    lines.append(f"Transform: {card.transform.label if card.transform else 'none'}")
    epochs = f"{card.epochs} epoch{'s' * (card.epochs > 1)}"
    if not card.scores:
        return "\n".join([*lines, f"Trained {epochs} on all rows; no validation part, so no errors and no intervals."])
    again = ", then again on all rows" * card.refitted
    metric = ALL_METRICS[card.settings.get("metric") or ("mase" if many else "mae")]
    errors = {"MAE": "Mean absolute errors", "MASE": "Mean absolute scaled errors (MASE)"}.get(
        metric.label, metric.label
    )
    errors += ", averaged over series," * many
    unit = "" if metric.unit == "" else " %" if metric.unit == "%" else unit
    lines.append(f"Trained {epochs}, by the validation part{again}. {errors} there:")
    lines.append("  " + ", ".join(f"{name} {score:.4g}{unit}" for name, score in card.scores.items()))
    rivals = [name for name, score in card.scores.items() if score < card.scores[card.name]]
    if rivals:
        lines.append(f"  {' and '.join(rivals)} did better: `kseq compare` says whether a network is worth while here.")
    widths_of = card.half_widths if card.moves is None else card.moves
    first = {
        level: widths_of.at(level, 1)[0] * (1 if many else card.unit[0])
        for level in card.settings["levels"]
        if card.half_widths.reason(level) is None
    }
    sign = "±" if card.moves is None else "by"
    widths = [f"{level:g} % {sign} {' and '.join(f'{w:.4g}{unit}' for w in half)}" for level, half in first.items()]
    if widths:
        what = "Intervals" if card.moves is None else "Bounds are the network's quantiles, moved outwards"
        scaled = ", in the scale of each series" * many
        lines.append(f"{what}, one step ahead{scaled}: {', '.join(widths)}")
    return "\n".join(lines)
