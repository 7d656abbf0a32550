"""One trial of a tuning: a cell trained with one setting on the training part, and scored on the validation part.

A trial is a function of what is in :class:`Trial`, which can be sent to another process; all that decides whether it is
ended early is sent with it. Keras and its backend are loaded with this module.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from kseq.comparison.jobs import train_cell
from kseq.comparison.scores import Scores, scores_of_validation
from kseq.experiments._study import Outcome, Pruning
from kseq.jobs import Context
from kseq.models import name_of
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.training.callbacks import members_of
from kseq.training.progress import Block, Progress, block_done, seeds_text, within


def trial_job(
    data: WindowedPanel, context: Context, *, cell: str, settings: Settings, pruning: Any, of: str
) -> Outcome:
    """A trial as a job of :mod:`kseq.jobs`; ``of`` says which one it is."""
    return run_trial(Trial(cell, data, settings, pruning), within(context.progress, of))


@dataclass(frozen=True)
class Trial:
    """All that decides the result of a trial.

    Args:
        cell: One of the compared cells.
        data: Windows of all trials.
        settings: Settings of the trial: budget, seeds, and what was drawn for the cell.
        pruning: Rule that may end it early; None for nothing.
    """

    cell: str
    data: WindowedPanel
    settings: Settings
    pruning: Pruning | None = None


def run_trial(trial: Trial, progress: Progress | None = None) -> Outcome:
    """Train, and score on the validation part; no window of the test part is read.

    Args:
        trial: The trial to run.
        progress: Called with what is trained, the epoch and the epoch limit, after each epoch.
    """
    scores = scores_of_validation(trial.data, trial.settings.season, trial.settings.metric)
    data = replace(trial.data, test=trial.data.validation)
    if trial.pruning is None:
        return _outcome(train_cell(trial.cell, data, trial.settings, progress), scores)
    looks = _Looks(trial.pruning, scores, trial.settings.seeds)
    started = time.perf_counter()
    try:
        row = train_cell(trial.cell, data, trial.settings, progress, [looks.callback])
    except _Pruned as pruned:
        seconds, epochs = time.perf_counter() - started, (pruned.epoch,) * len(pruned.seeds)
        which = f"{name_of(trial.cell)}, {seeds_text(pruned.seeds)}, pruned"
        block_done(progress, Block(which, len(trial.settings.seeds), epochs, seconds))
        errors, notes = looks.watch.seen
        row_of_it = {
            scores.measure: float("nan"), f"{scores.measure}_std": float("nan"), "parameters": pruned.parameters,
            "epochs": float(pruned.epoch), "seconds": seconds, "pruned": True,
        }  # fmt: skip
        return Outcome(row_of_it, pruned.error, True, errors, notes)
    errors, notes = looks.watch.seen
    whole = _outcome(row, scores)
    return replace(whole, row={**whole.row, "pruned": False}, errors=errors, notes=notes)


def _outcome(row: Any, scores: Scores) -> Outcome:
    sound = bool(row.sound.all())
    errors = scores.overall(row.predictions, scores.measure) if sound else np.array([np.nan])
    error = float(errors.mean())
    made = {
        scores.measure: error,
        f"{scores.measure}_std": float(errors.std(ddof=1)) if len(errors) > 1 else float("nan"),
        "parameters": int(row.parameters),
        "epochs": float(np.mean(row.epochs)),
        "seconds": float(row.seconds),
    }
    return Outcome(made, error)


class _Pruned(Exception):
    """A training was ended early."""

    def __init__(self, epoch: int, error: float, seeds: tuple[int, ...], parameters: int):
        super().__init__()
        self.epoch, self.error, self.seeds, self.parameters = epoch, error, seeds, parameters


class _Looks:
    """Errors of a trial for the pruner, while its first block of seeds trains and none has stopped.

    Errors are those by which trials are scored, in the series' units: validation losses of cells with other transforms
    have other scales. Of each seed the smallest so far counts, whose weights are those that are kept.

    Args:
        pruning: Rule that may end the trial.
        scores: Scores on the validation part.
        seeds: Seeds of the trial.
    """

    def __init__(self, pruning: Pruning, scores: Scores, seeds: tuple[int, ...]):
        self.pruning, self.scores, self.seeds = pruning, scores, seeds
        self.watch = pruning.start()
        self._watched = False

    def callback(self, forecast: Callable[[keras.Model], np.ndarray]) -> keras.callbacks.Callback:
        """The callback of a block; of those after the first, one that does nothing."""
        if self._watched:
            return keras.callbacks.Callback()
        self._watched = True
        return _Look(self, forecast)

    def report(self, epoch: int, errors: np.ndarray, model: keras.Model) -> None:
        """Tell the pruner of each seed's error after an epoch.

        Raises:
            _Pruned: The training is to end.
        """
        error = float(errors.mean())
        if np.isfinite(error) and self.watch.report(epoch, error):
            weights = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
            raise _Pruned(epoch, error, self.seeds[: len(errors)], weights // len(errors))


class _Look(keras.callbacks.Callback):
    """Forecasts the validation part after every few epochs."""

    def __init__(self, looks: _Looks, forecast: Callable[[keras.Model], np.ndarray]):
        super().__init__()
        self.looks, self.forecast = looks, forecast
        self.members: int | None = None
        self.best: np.ndarray = np.array(np.inf)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at the errors."""
        members = members_of(self.model) or 1
        self.members = self.members or members
        if (epoch + 1) % self.looks.pruning.every or members < self.members:
            return
        scores = self.looks.scores
        self.best = np.fmin(self.best, scores.overall(self.forecast(self.model), scores.measure))
        self.looks.report(epoch + 1, self.best, self.model)
