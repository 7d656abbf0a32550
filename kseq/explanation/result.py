"""What is measured of each cell."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kseq.explanation.gates import Gates
from kseq.explanation.gradients import LagCurve
from kseq.explanation.memory import MemoryUsed
from kseq.explanation.tasks import Tasks
from kseq.explanation.timing import Times

#: Plural of the unit of one step, by what a calendar calls it.
_UNITS = {
    "hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months", "quarterly": "quarters",
    "yearly": "years", "business days": "business days", "working days": "working days",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Speed:
    """What training took.

    Args:
        times: Milliseconds of a training step and of a forecast, several times over.
        steps: Gradient steps until the validation loss falls to the target of all cells, ``(seed,)``; NaN where it
            never does.
        curves: Validation loss by epoch, ``(seed, epoch)``.
        steps_per_epoch: Gradient steps in an epoch.
    """

    times: Times
    steps: np.ndarray
    curves: np.ndarray
    steps_per_epoch: int

    @property
    def step_ms(self) -> float:
        """Mean milliseconds of a training step of one seed."""
        return float(self.times.step_ms.mean())

    @property
    def seconds(self) -> np.ndarray:
        """Seconds of one seed until the target, ``(seed,)``: each with the step of another timing, for its spread."""
        return self.steps * np.resize(self.times.step_ms, len(self.steps)) / 1000


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
    def explained(self) -> str:
        """What was explained, and what models read in place of the values."""
        if self.transform == "none":
            return f"{self.source} They read and forecast its values; another transform may make errors smaller."
        return f"{self.source} They read and forecast it after: {self.transform}."

    @property
    def steps(self) -> str:
        """The unit of a lag, in the plural."""
        return _UNITS.get(self.step, "steps")


@dataclass(frozen=True, eq=False)
class Measured:
    """All that was measured.

    Args:
        subject: The series; None where cells were explained without data.
        cells: One entry a cell; empty without data.
        tasks: Outcome of the memory problems; None where they were left out.
        variants: Frame with a row for each variant of a cell: ``model``, ``variant``, ``error``, ``error_std``,
            ``change`` (of the error, as a share of the cell's own), ``p`` (of the difference, over seeds).
        seeds: Random seeds.
    """

    subject: Subject | None
    cells: tuple[CellExplanation, ...]
    tasks: Tasks | None
    variants: pd.DataFrame
    seeds: tuple[int, ...]
