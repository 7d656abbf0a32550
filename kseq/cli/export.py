"""``kseq export``."""

from pathlib import Path

import click

from kseq.cli.command import Command
from kseq.cli.rows import model_option
from kseq.cli.terminal import note
from kseq.cli.types import File, Levels, Whole


@click.command(cls=Command)
@model_option
@click.option("--to", type=click.Choice(["onnx", "savedmodel", "torch"]), default="onnx", show_default=True,
              help="ONNX, TensorFlow's SavedModel, or a program of torch.export.")  # fmt: skip
@click.option(
    "--steps", type=Whole("steps"), default=None, help="Time steps to forecast.  [default: the model's horizon]"
)
@click.option("--level", type=Levels(), default=None, metavar="PERCENT[,...]",
              help="Percents that intervals are to cover, or none.  [default: the model's]")  # fmt: skip
@click.option("--out", type=File(), metavar="FILE",
              help="File to write, of a SavedModel the folder.  [default: beside the model]")  # fmt: skip
def export(path: Path, to: str, steps: int | None, level: tuple[float, ...] | None, out: Path | None) -> None:
    """Export a model of `kseq fit` for another runtime, which then needs neither kseq nor Keras.

    The exported graph takes rows in the unit of the data and gives forecasts and intervals in the unit of the data:
    transforms, scales and the mean over seeds are part of it. FILE.json beside it says what its inputs are, how phases
    of a season and a calendar are made from dates, and holds an example. A batch may have any size; the rows of a
    window and the steps are fixed.
    """
    from kseq.exporting.export import export as write

    made = write(path, to, out, steps=steps, level=level)
    if made.checked is not None:
        note(f"Checked: its forecasts are {made.checked:.1g} of the series' spread from kseq's at most.")
    for remark in made.notes:
        note(remark)
    note(f"{made.path}; what it takes: {made.description}", err=False)
