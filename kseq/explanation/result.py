"""The result of an explanation: what was measured of each cell, as tables, sentences, pictures and a record."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kseq._version import __version__
from kseq.explanation.gates import Gates
from kseq.explanation.gradients import LagCurve
from kseq.explanation.memory import MemoryUsed
from kseq.explanation.tasks import Tasks
from kseq.report import run_folder
from kseq.storage.csv_text import csv_text

#: Plural of the unit of one step, by what a calendar calls it.
_UNITS = {
    "hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months", "quarterly": "quarters",
    "yearly": "years", "business days": "business days", "working days": "working days",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Speed:
    """What training took.

    Args:
        step_ms: Milliseconds of a training step of one seed (forward, backward, update).
        forward_ms: Milliseconds to forecast a batch of 32 windows, of one seed.
        steps: Gradient steps until the validation loss falls to the target of all cells, ``(seed,)``; NaN where it
            never does.
        curves: Validation loss by epoch, ``(seed, epoch)``.
        steps_per_epoch: Gradient steps in an epoch.
    """

    step_ms: float
    forward_ms: float
    steps: np.ndarray
    curves: np.ndarray
    steps_per_epoch: int

    @property
    def seconds(self) -> np.ndarray:
        """Seconds of one seed until the target, ``(seed,)``."""
        return self.steps * self.step_ms / 1000


@dataclass(frozen=True, eq=False)
class CellExplanation:
    """What was measured of one cell.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        name: As tables show it.
        seeds: Random seeds of the networks.
        parameters: Trainable weights of one network.
        gates: Number of gates.
        states: Names of the states that it carries from step to step.
        products: Multiply-adds of a forward pass over one window.
        equations: Lines of text, with the shapes of this network.
        loss_gradient: Gradient of the loss by lag, before (None for a saved model) and after training.
        state_gradient: Gradient of the last output by lag, before (None for a saved model) and after training.
        memory: Errors without a part of the past.
        at_work: The gates over the test part.
        agreement: How far the states of two pasts are apart by step, ``(seed, step)``; None for networks that read in
            two directions.
        speed: What training took; None for a saved model.
    """

    cell: str
    name: str
    seeds: tuple[int, ...]
    parameters: int
    gates: int
    states: tuple[str, ...]
    products: int
    equations: tuple[str, ...]
    loss_gradient: tuple[LagCurve | None, LagCurve]
    state_gradient: tuple[LagCurve | None, LagCurve]
    memory: MemoryUsed
    at_work: Gates
    agreement: np.ndarray | None
    speed: Speed | None


@dataclass(frozen=True, eq=False)
class Subject:
    """What the cells were explained on.

    Args:
        name: Of the series.
        step: Its time step in words.
        lookback: Rows that a window holds.
        windows: Test windows that were looked at.
        inputs: Names of the columns that are read.
        dates: Of the test windows, for pictures.
        values: True values at these dates, of the first target.
        measure: What errors are counted in: ``"mae"`` of one series, ``"mase"`` of several.
        unit: Unit of the target.
        target_loss: Validation loss that trainings are timed to; NaN without a validation part.
        source: Sentence on what was explained.
        transform: What models read and forecast instead of the values; ``"none"`` for the values.
    """

    name: str
    step: str
    lookback: int
    windows: int
    inputs: tuple[str, ...]
    dates: pd.Index
    values: np.ndarray
    measure: str
    unit: str
    target_loss: float
    source: str
    transform: str

    @property
    def steps(self) -> str:
        """The unit of a lag, in the plural."""
        return _UNITS.get(self.step, "steps")


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why cells do as they do on a series, or what they can do without one.

    Args:
        subject: The series; None where cells were explained without data.
        cells: One entry a cell; empty without data.
        tasks: Outcome of the memory problems; None where they were left out.
        variants: Frame with a row for each variant of a cell: ``model``, ``variant``, ``error``, ``error_std``,
            ``change`` (of the error, as a share of the cell's own).
        seeds: Random seeds.

    Example:
        >>> explanation = kseq.explain(kseq.load_series("nino12"), problems=False)  # doctest: +SKIP
        >>> print(explanation)  # doctest: +SKIP
        >>> explanation.lesson  # doctest: +SKIP
    """

    subject: Subject | None
    cells: tuple[CellExplanation, ...]
    tasks: Tasks | None
    variants: pd.DataFrame
    seeds: tuple[int, ...]

    @cached_property
    def lesson(self) -> pd.DataFrame:
        """The textbook's table with what was measured: ``property, model, lesson, measured, holds``."""
        from kseq.explanation.lesson import lesson_table

        return lesson_table(self)

    @cached_property
    def sentences(self) -> list[str]:
        """What was measured, a sentence each."""
        from kseq.explanation.lesson import sentences_of

        return sentences_of(self)

    @cached_property
    def advice(self) -> list[str]:
        """When to use each cell, for this series."""
        from kseq.explanation.lesson import advice_of

        return advice_of(self)

    @cached_property
    def table(self) -> pd.DataFrame:
        """All figures: ``model``, ``measure``, ``mean``, ``std`` (over seeds), ``unit``."""
        from kseq.explanation.figures import figures_of

        return figures_of(self)

    def __str__(self) -> str:
        from kseq.explanation.lesson import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        """The lesson's table and the advice, as a notebook shows them."""
        from kseq.report.table import as_html

        return as_html(self.lesson, self.advice)

    def figures(self) -> dict[str, Figure]:
        """Return the pictures by file name; not attached to any screen."""
        from kseq.explanation.pictures import pictures_of

        return {name: draw() for name, draw in pictures_of(self).items()}

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return all measurements as frames, by file name."""
        from kseq.explanation.figures import frames_of

        return frames_of(self)

    @property
    def record(self) -> dict[str, Any]:
        """What ``explanation.json`` holds."""
        subject = self.subject
        return {
            "kseq": __version__,
            "series": None if subject is None else subject.name,
            "explained": None if subject is None else subject.source,
            "windows": None if subject is None else subject.windows,
            "lookback": None if subject is None else subject.lookback,
            "transform": None if subject is None else subject.transform,
            "seeds": self.seeds,
            "figures": self.table.to_dict("records"),
            "lesson": self.lesson.to_dict("records"),
            "sentences": self.sentences,
            "advice": self.advice,
        }

    def write(self, path: str | Path, inputs: Sequence[Path] = ()) -> list[Path]:
        """Write tables, text, pictures and record into a folder.

        Args:
            path: Of the folder, which is made if it is missing.
            inputs: Files that are not to be overwritten.

        Returns:
            list[Path]: The files.

        Raises:
            ConfigError: The folder holds other files by these names, or cannot be written.
        """
        with run_folder.folder(Path(path), "explanation", inputs=inputs) as folder:
            return write(self, folder)


def write(explanation: Explanation, folder: run_folder.Folder, tell: run_folder.Tell | None = None) -> list[Path]:
    """Write an explanation into a folder that is open; see :func:`kseq.report.run_folder.write_all`."""
    from kseq.explanation.pictures import pictures_of

    contents = {"explanation.txt": f"{explanation}\n".encode()}
    frames = explanation.frames()
    contents |= {name: csv_text(frame).encode() for name, frame in frames.items()}
    return run_folder.write_all(folder, contents, explanation.record, pictures_of(explanation), tell, frames)
