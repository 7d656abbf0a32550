"""The budget of a training: what decides how long and how fast a model learns. No framework is imported here."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from kseq.validation import require_choice, require_number, require_whole

#: What is minimised, see :mod:`kseq.layers.losses`.
LOSSES = ("mse", "mae", "huber", "quantile")

#: How the learning rate changes over the steps of the budget.
SCHEDULES = ("constant", "cosine")


class Plan(NamedTuple):
    """A budget laid over a number of windows.

    Args:
        epochs: Maximum number of epochs.
        steps: Gradient steps of an epoch.
        windows: Windows that an epoch reads.
    """

    epochs: int
    steps: int
    windows: int

    @property
    def all_steps(self) -> int:
        """Maximum number of gradient steps."""
        return self.epochs * self.steps


@dataclass(frozen=True)
class Training:
    """The training budget, the same for all cells.

    Args:
        epochs: Maximum number of epochs, 200 by default.
        batch_size: Number of windows in a batch, 32 by default; 0 for all windows in one batch.
        learning_rate: Learning rate of Adam (Kingma and Ba 2015), 0.001 by default.
        patience: Number of epochs without a better validation loss before a member stops and its best weights are
            restored, 25 by default; 0 trains all epochs and keeps the last weights.
        weight_decay: Decoupled weight decay, as in AdamW (Loshchilov and Hutter 2019); 0, the default, for none.
        clip_norm: Maximum norm of a member's gradient over all its weights; 0, the default, for no clipping.
        loss: What is minimised, one of ``"mse"`` (the default), ``"mae"``, ``"huber"`` and ``"quantile"``; see
            :mod:`kseq.layers.losses`.
        schedule: ``"constant"`` (the default) keeps the learning rate, ``"cosine"`` lets it fall to zero over the steps
            of the budget (Loshchilov and Hutter 2017).
        max_steps: Maximum number of gradient steps; 0, the default, for what ``epochs`` says alone. An epoch is
            shortened where that makes the steps come out even.
        windows_per_epoch: Maximum number of windows that an epoch reads, after which the validation loss is looked at;
            0, the default, for all. Windows are drawn without replacement over epochs: none comes again before all have
            come.
    """

    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-3
    patience: int = 25
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    loss: str = "mse"
    schedule: str = "constant"
    max_steps: int = 0
    windows_per_epoch: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "max_steps", "windows_per_epoch"):
            require_whole(name, getattr(self, name))
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            # Optimizers take floats, and neither whole numbers nor NumPy's.
            object.__setattr__(self, name, require_number(name, getattr(self, name)))
        require_choice("loss", self.loss, LOSSES)
        require_choice("schedule", self.schedule, SCHEDULES)

    def plan(self, windows: int) -> Plan:
        """Lay the budget over a number of training windows.

        Example:
            >>> Training(max_steps=100).plan(2048)
            Plan(epochs=2, steps=50, windows=1600)
        """
        batch = min(self.batch_size or windows, windows)
        each = min(self.windows_per_epoch or windows, windows)
        epochs, steps = self.epochs, math.ceil(each / batch)
        if self.max_steps and self.max_steps < epochs * steps:
            epochs = math.ceil(self.max_steps / steps)
            steps = self.max_steps // epochs
            each = min(each, steps * batch)
        return Plan(epochs, steps, each)

    def rate(self, step: int, steps: int) -> float:
        """Learning rate at a step, counted from 0, of a training whose budget has so many steps.

        Example:
            >>> Training(schedule="cosine").rate(50, 100)
            0.0005
        """
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2
