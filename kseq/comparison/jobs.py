"""The jobs of a comparison: build a cell's model, train it with all its seeds, and hand over its row.

Every job starts from fresh weights, a fresh optimizer and fresh callbacks.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import keras
import numpy as np

from kseq.comparison.auto import settled
from kseq.comparison.backtest import as_chosen, with_validation_learnt
from kseq.comparison.networks import build_cell
from kseq.comparison.row_windows import standing_as, with_lookback, with_transform
from kseq.comparison.strategies import Recursive, one_step
from kseq.errors import ConfigError
from kseq.evaluation.model_result import ModelResult, stack_curves
from kseq.jobs.job import NoState, State
from kseq.models import name_of
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.training import memory
from kseq.training.budget import Training
from kseq.training.callbacks import Evaluation, Progress, predict
from kseq.training.early_stopping import Fitted
from kseq.training.fit import as_many_steps, fit
from kseq.training.progress import Block as BlockDone
from kseq.training.progress import block_done, seeds_text

#: Makes the callback of one training, from a function that forecasts with the model in training what that training is
#: to forecast: ``(member, window, step, target)`` in the targets' unit.
Watching = Callable[[Callable[[keras.Model], np.ndarray]], keras.callbacks.Callback]


class _Block:
    """Takes the one row that :class:`kseq.Evaluation` makes of a block of seeds."""

    row: ModelResult

    def __init__(self, data: WindowedPanel):
        self.data = data

    def add(self, result: ModelResult) -> None:
        self.row = result

    def write(self, path: Any) -> None:
        """Write nothing: a block is part of a row."""


@dataclass(frozen=True)
class _Windows:
    """Windows that a cell is trained on, and windows that it forecasts.

    Args:
        data: Windows of the whole horizon.
        near: Windows that the network is trained on: those of one step for a recursive strategy, otherwise ``data``.
    """

    data: WindowedPanel
    near: WindowedPanel

    @classmethod
    def cut(cls, data: WindowedPanel, settings: Settings, own: Settings) -> "_Windows":
        """Give a cell its own transform and lookback.

        Args:
            data: Windows of all cells.
            settings: Settings by which the windows were cut.
            own: Settings of the cell.
        """
        recursive = settings.strategy == "recursive"
        near = one_step(data, settings) if recursive else data
        if own.transform != settings.transform:
            data = with_transform(data, own)
            near = standing_as(one_step(data, replace(own, lookback=data.lookback)), near) if recursive else data
        return cls(*(with_lookback(part, own.lookback) for part in (data, near)))

    @property
    def validated(self) -> WindowedPanel:
        """The windows with those of the validation part as the ones to forecast."""
        nothing = replace(self.data.validation, segments=(), owners=np.empty(0, int))
        return replace(self.data, test=self.data.validation, validation=nothing)


def train_cell(
    cell: str,
    data: WindowedPanel,
    settings: Settings,
    progress: Callable[[str, int, int], None] | None = None,
    callbacks: "Sequence[keras.callbacks.Callback | Watching]" = (),
) -> ModelResult:
    """Train all seeds of a cell, a block of members at a time, and join their rows.

    Args:
        cell: One of the settings' cells.
        data: The windowed series.
        settings: Settings of the comparison.
        progress: Function called after each epoch with the name of the training, the epoch and the epoch limit.
        callbacks: Keras callbacks, told of every training of every block; when a training ends, each member has its
            best weights. A :data:`Watching` in the place of one makes one for each training.

    Returns:
        ModelResult: The row of the cell, named as tables show it.
    """
    ready = Prepared.of(cell, data, settings)
    blocks = blocks_of(cell, ready.first.near, ready.own)
    return join_blocks([ready.train(seeds, progress, callbacks) for seeds in blocks])


@dataclass(frozen=True)
class Prepared:
    """A cell with the windows that its trainings read.

    Args:
        cell: One of the settings' cells.
        own: Settings of the cell.
        first: Windows of the training part.
        last: Windows of the second training, on the validation part too; None where each seed trains once.
    """

    cell: str
    own: Settings
    first: _Windows
    last: _Windows | None

    @classmethod
    def of(cls, cell: str, data: WindowedPanel, settings: Settings) -> "Prepared":
        """Cut the windows of a cell, see :func:`train_cell`."""
        settings = settled(settings, data.choice)
        own = settings.of(cell)
        first = _Windows.cut(data, settings, own)
        if not (settings.refit_on_validation and len(data.validation)):
            return cls(cell, own, first, None)
        whole = with_validation_learnt(data, settings)
        last = _Windows.cut(whole, as_chosen(settings, data.transform), as_chosen(own, first.data.transform))
        return cls(cell, own, first, last)

    def train(
        self,
        seeds: tuple[int, ...],
        progress: Callable[[str, int, int], None] | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        state: State | None = None,
    ) -> ModelResult:
        """Train a block of seeds.

        Args:
            seeds: Seeds of the block, one a member.
            progress: Progress function as in :func:`train_cell`.
            callbacks: Callbacks as in :func:`train_cell`.
            state: State in which a long training is kept between epochs; None, the default, for none.
        """
        job = _Job(self.cell, self.own, Training(**self.own.training), progress, callbacks, state or NoState())
        if self.last is None:
            return job.train(seeds, self.first.near, self.first.data)[0]
        return _twice(job, seeds, self.first, self.last)


@dataclass(frozen=True)
class _Job:
    """Settings and callbacks that all trainings of a cell share; see :func:`train_cell`."""

    cell: str
    settings: Settings
    training: Training
    progress: Callable[[str, int, int], None] | None
    callbacks: "Sequence[keras.callbacks.Callback | Watching]"
    state: State

    def train(
        self,
        seeds: tuple[int, ...],
        near: WindowedPanel,
        data: WindowedPanel,
        what: str = "",
        until: Sequence[int] | None = None,
        steps: int | None = None,
        penalty: float | None = None,
    ) -> tuple[ModelResult, Fitted]:
        """Train a block of seeds on ``near``; forecast ``data``.

        Args:
            seeds: Seeds, one a member.
            near: Windows to train on.
            data: Windows to forecast.
            what: Text after the name of the training in messages.
            until: Epochs of each member, as in :func:`kseq.training.fit.fit`.
            steps: Gradient steps over which the learning rate falls, as in :func:`kseq.training.fit.fit`.
            penalty: Ridge penalty of a linear skip, as in :func:`kseq.training.fit.fit`.
        """
        forecast = Recursive(near) if self.settings.strategy == "recursive" else predict
        name, plan = name_of(self.cell), self.training.plan(len(near.train))
        limit = plan.epochs if until is None else max(until)
        model = build_cell(self.cell, near, self.settings, seeds)
        block = _Block(data)
        quantiles = self.settings.quantiles
        told: list[keras.callbacks.Callback] = [Evaluation(block, name, seeds, forecast, bool(quantiles))]
        which = f"{name}, {seeds_text(seeds)}{what}"
        if self.progress is not None:
            told.insert(0, Progress(self.progress, which, limit))
        started = time.perf_counter()
        for each in self.callbacks:
            own = isinstance(each, keras.callbacks.Callback)
            told.append(each if own else each(lambda part: forecast(part, data, data.test)))
        keep = _Part(self.state, "first" if until is None else "second")
        fitted = fit(model, near, self.training, seeds, told, until, quantiles, steps, keep, penalty)
        seconds = time.perf_counter() - started
        block_done(self.progress, BlockDone(which, len(seeds), fitted.epochs, seconds, block.row.kernel))
        row = replace(
            block.row,
            epochs=fitted.epochs,
            epoch_limit=limit,
            history=fitted.history,
            diverged=tuple(seed for seed, lost in zip(seeds, fitted.diverged, strict=True) if lost),
        )
        return row, fitted


def _twice(job: _Job, seeds: tuple[int, ...], first: _Windows, last: _Windows) -> ModelResult:
    """Train a block on the training part to find its epochs, then from the same start on the validation part too."""
    kept = job.state.load("found")
    if kept is None:
        found, fitted = job.train(seeds, first.near, first.validated)
        if job.state.due():
            job.state.save("found", {"row": packed(found), "fitted": packed(fitted)}, now=True)
    else:
        found, fitted = ModelResult(**kept["row"]), Fitted(**kept["fitted"])
    until = as_many_steps(fitted, job.training, first.near, last.near)
    steps = job.training.plan(len(first.near.train)).all_steps
    row, _ = job.train(seeds, last.near, last.data, ", with the validation rows", until, steps, fitted.penalty)
    return replace(
        found,
        predictions=row.predictions,
        validation=found.predictions,
        quantiles=row.quantiles,
        validation_quantiles=found.quantiles,
        seconds=found.seconds + row.seconds,
        diverged=tuple(seed for seed in seeds if seed in (*found.diverged, *row.diverged)),
        refit_epochs=row.epochs,
    )


def blocks_of_cell(cell: str, data: WindowedPanel, settings: Settings, seeds: Sequence[int]) -> list[tuple[int, ...]]:
    """Divide some seeds of a cell into blocks that train at once; arguments as of :func:`train_cell`."""
    settings = settled(settings, data.choice)
    own = settings.of(cell)
    return blocks_of(cell, _Windows.cut(data, settings, own).near, replace(own, seeds=tuple(seeds)))


def blocks_of(cell: str, data: WindowedPanel, settings: Settings) -> list[tuple[int, ...]]:
    """Divide the seeds into blocks that train at once: as many as the settings say, or as memory and speed allow."""
    alone = settings.strategy == "seq2seq" or cell in settings.own
    seeds, size = settings.seeds, 1 if alone else settings.members
    if not size:
        batch = min(Training(**settings.training).batch_size or len(data.train), len(data.train))
        one = build_cell(cell, data, settings, seeds[:1])
        size = memory.members_at_once(one, data.lookback, batch, len(seeds))
    return [tuple(seeds[first : first + size]) for first in range(0, len(seeds), size)]


@dataclass(frozen=True)
class _Part:
    """The state of one of a job's trainings."""

    state: State
    name: str

    def load(self) -> Any:
        """The last state; None where there is none."""
        return self.state.load(self.name)

    def due(self) -> bool:
        """Whether a state is to be kept now."""
        return self.state.due()

    def save(self, state: Any) -> None:
        """Keep a state."""
        self.state.save(self.name, state)


def packed(result: ModelResult | Fitted) -> dict[str, Any]:
    """The fields of a result, as a store keeps them and the class takes them again.

    Raises:
        ConfigError: It has intervals that came with the forecasts, which no training gives.
    """
    values = {one.name: getattr(result, one.name) for one in fields(result)}
    if values.pop("bands", None):
        raise ConfigError(f"received intervals with the forecasts of {values['name']!r}, expected none to keep.")
    return values


def join_blocks(results: Sequence[ModelResult]) -> ModelResult:
    """Make one row of the blocks of a cell's seeds."""
    if len(results) == 1:
        return results[0]
    first = results[0]

    def joined(name: str) -> Any:
        parts = [getattr(result, name) for result in results]
        return None if parts[0] is None else np.concatenate(parts)

    return replace(
        first,
        **{name: joined(name) for name in ("predictions", "validation", "quantiles", "validation_quantiles")},
        seeds=sum((result.seeds for result in results), ()),
        epochs=sum((result.epochs for result in results), ()),
        refit_epochs=sum((result.refit_epochs for result in results), ()),
        diverged=sum((result.diverged for result in results), ()),
        seconds_per_epoch=first.members_at_once
        * float(np.median([result.seconds_per_epoch / result.members_at_once for result in results])),
        seconds=sum(result.seconds for result in results),
        history=stack_curves([result.history for result in results]),
    )
