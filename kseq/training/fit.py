"""Train one cell on windows, with all its seeds, with early stopping and best weights for each seed.

An ordinary model is one member. An ensemble of S members trains them in one model, and each must give what it would
give alone: the loss is summed over members, so that an elementwise optimizer updates each as if alone; gradients are
clipped member by member; each member stops at its own epoch and keeps its own best weights.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from kseq import kernels
from kseq.errors import ConfigError
from kseq.layers import Ensemble, ForecastLoss, MemberLoss, fast_step, sum_over_members, take_members
from kseq.layers.feeding import Listeners, fed
from kseq.preprocessing.windows import WindowedPanel, Windows
from kseq.training import _state, memory
from kseq.training.batches import Batches
from kseq.training.budget import Plan, Training
from kseq.training.callbacks import EpochTimer, LearningRate, make_functions, members_of
from kseq.training.early_stopping import Fitted, MemberStopping
from kseq.training.linear_start import start_linear


class Keeper(Protocol):
    """Where the state of a training between two epochs is kept."""

    def load(self) -> Any:
        """The last state; None where there is none."""
        ...

    def due(self) -> bool:
        """Whether a state is to be kept now."""
        ...

    def save(self, state: Any) -> None:
        """Keep a state."""
        ...


def compile_model(model: keras.Model, training: Training, quantiles: Sequence[float] = ()) -> None:
    """Compile for the budget's loss with Adam, or AdamW with weight decay; members train as if alone.

    Args:
        model: An ordinary model, or an ensemble.
        training: The training budget.
        quantiles: Quantiles that a model forecasts which is trained for the loss ``"quantile"``.
    """
    options: dict[str, Any] = {"learning_rate": training.learning_rate}
    if training.weight_decay:
        options["weight_decay"] = training.weight_decay
    kind = keras.optimizers.AdamW if training.weight_decay else keras.optimizers.Adam
    # Backends with a high cost for each call run several steps in one.
    steps = getattr(kernels.load(keras.config.backend()), "STEPS_AT_ONCE", 1)
    members = members_of(model)
    loss = ForecastLoss(training.loss, quantiles if training.loss == "quantile" else (), members is not None)
    if members is None:
        if training.clip_norm:
            options["global_clipnorm"] = training.clip_norm
        plain = "mse" if training.loss == "mse" else loss
        model.compile(optimizer=kind(**options), loss=plain, steps_per_execution=steps)
    else:
        if training.clip_norm:
            kind = MemberAdamW if training.weight_decay else MemberAdam
        optimizer = kind(**options)
        if training.clip_norm:
            optimizer.clip_norm = training.clip_norm
        mean_squared = training.loss == "mse"
        model.compile(
            optimizer=optimizer,
            loss=sum_over_members if mean_squared else loss,
            metrics=[MemberLoss(members, name="member", loss=None if mean_squared else loss)],
            steps_per_execution=steps,
        )
    make_functions(model)


class Parts(Protocol):
    """What a training reads of windowed data; :class:`kseq.preprocessing.windows.WindowedPanel` has it."""

    @property
    def train(self) -> Windows:
        """Windows to learn from."""

    @property
    def validation(self) -> Windows:
        """Windows by which members stop; of length 0 for none."""

    @property
    def lookback(self) -> int:
        """Rows that a model reads."""


def fit(
    model: keras.Model,
    data: Parts,
    training: Training,
    seeds: Sequence[int],
    callbacks: Sequence[keras.callbacks.Callback] = (),
    until: Sequence[int] | None = None,
    quantiles: Sequence[float] = (),
    steps: int | None = None,
    keep: Keeper | None = None,
    penalty: float | None = None,
) -> Fitted:
    """Train a model from ``build_model`` on the training windows.

    Members that have stopped are dropped as soon as that saves time: the others continue in a smaller model, with the
    same weights, optimizer moments, dropout state and order of batches.

    Args:
        model: An ordinary model, or an ensemble of S members.
        data: The windowed series, or parts of one's own; without validation windows no member stops early.
        training: The training budget.
        seeds: Seeds that order the batches, one for each member.
        callbacks: Further Keras callbacks, called after the one that stops members and restores their weights. Their
            ``model`` is the one in training, which may hold fewer members; at the end of training it is the whole one.
        until: Number of epochs of each member, instead of what the budget says of epochs and patience; see
            :func:`as_many_steps`. None by default.
        quantiles: Quantiles that the model forecasts, for the loss ``"quantile"``.
        steps: Gradient steps over which the schedule of the learning rate is laid; by default those of the budget.
        keep: Where the state between two epochs is kept and read, so that a training that was killed goes on with the
            same numbers; None, the default, keeps none.
        penalty: Ridge penalty by which a linear skip starts, of an earlier training's :class:`Fitted`; None, the
            default, to choose it on the validation windows, see :mod:`kseq.training.linear_start`.

    Returns:
        Fitted: Epochs and learning curves of each member. The model holds each member's best weights.

    Raises:
        ConfigError: The number of seeds is not that of the members.
    """
    members = members_of(model)
    if len(seeds) != (members or 1):
        raise ConfigError(f"received {len(seeds)} seeds for {members or 1} members, expected one seed a member.")
    # Where nothing stops by the validation part, nothing is learnt of it.
    judged = data.validation if training.patience and len(data.validation) else None
    penalty = start_linear(model, data.train, judged, quantiles, penalty)
    compile_model(model, training, quantiles)
    plan = training.plan(len(data.train))
    patience = training.patience if len(data.validation) else 0
    watch = MemberStopping(members or 1, patience, _cost_of_rebuilding(model, data, plan), until)
    epochs = plan.epochs if until is None else max(until)
    if training.schedule != "constant":
        callbacks = [LearningRate(training, plan.steps, steps or plan.all_steps), *callbacks]
    timers = [one for one in callbacks if isinstance(one, EpochTimer)]
    part, state = model, None if keep is None else keep.load()
    if state is not None and _state.fits(state, members or 1):
        _state.restore_watch(state, watch, timers)
        if len(watch.held) < (members or 1):
            part = _of_members(model, watch.held, training, quantiles)
        _state.restore_model(state, part)
    listeners = _TrainingCallbacks(watch, callbacks, model, epochs, keep)
    listeners.set_model(part)
    listeners.begin()
    while watch.epoch < epochs and watch.running.any():
        batches, validation = _batches(
            data, training, plan, [seeds[number] for number in watch.held.tolist()], watch.epoch, part
        )
        source, listeners.feeding = fed(batches)
        part.fit(
            source,
            validation_data=None if validation is None else fed(validation)[0],
            initial_epoch=watch.epoch,
            epochs=epochs,
            callbacks=listeners,
            verbose=0,
            # The batches are already shuffled by seed; Keras would shuffle them again from its own random state.
            shuffle=False,
        )
        if listeners.over:
            break
        if watch.leaves_out:
            part = _without_stopped(part, watch, training, quantiles)
            listeners.set_model(part)
        if keep is not None and keep.due():
            keep.save(_state.snapshot(part, watch, timers))
    listeners.set_model(model)
    listeners.end()
    return replace(watch.fitted, penalty=penalty)


def as_many_steps(fitted: Fitted, training: Training, before: WindowedPanel, now: WindowedPanel) -> list[int]:
    """Turn the epochs that early stopping found into those of as many gradient steps on more windows.

    Args:
        fitted: The training that stopped early.
        training: The budget of both trainings.
        before: The windowed series that it read.
        now: The windowed series to train on for as many steps.

    Returns:
        list[int]: Epochs of each member, at least one.
    """
    then, later = (training.plan(len(data.train)).steps for data in (before, now))
    return [max(1, round(best * then / later)) for best in fitted.best]


def _batches(
    data: Parts, training: Training, plan: Plan, seeds: Sequence[int], epoch: int, model: keras.Model
) -> tuple[Batches, Batches | None]:
    """Training batches that start at an epoch's order, and validation batches or None."""
    members = members_of(model)
    order: dict[str, Any] = {"seed": seeds[0]} if members is None else {"seeds": seeds}
    batches = Batches(data.train, training.batch_size or None, per_epoch=plan.windows, **order)
    batches.epoch = epoch
    if not len(data.validation):
        return batches, None
    return batches, Batches(data.validation, memory.windows_at_once(model, data.lookback), members=members)


def _cost_of_rebuilding(model: keras.Model, data: Parts, plan: Plan) -> float:
    """Cost of rebuilding the model without its stopped members, in epochs of one member.

    It is counted in operations rather than seconds, so that a training takes the same course on every machine.
    """
    if members_of(model) is None or not all(
        isinstance(layer, Ensemble | keras.layers.Add) for layer in model.layers[1:]
    ):
        return np.inf
    an_epoch = plan.windows * memory.cost_of(model, data.lookback).products
    return kernels.load(keras.config.backend()).REBUILD / an_epoch


def _without_stopped(
    model: keras.Model, watch: "MemberStopping", training: Training, quantiles: Sequence[float]
) -> keras.Model:
    """Build a smaller model of the members that still train, with their weights and optimizer state."""
    places = np.flatnonzero(watch.running[watch.held])
    smaller = _of_members(model, places, training, quantiles)
    smaller.optimizer.build(smaller.trainable_variables)
    for mine, theirs in zip(smaller.optimizer.variables, model.optimizer.variables, strict=True):
        values = np.array(ops.convert_to_numpy(theirs))
        # Moments have a members axis; the iteration count and the learning rate are shared.
        mine.assign(values[places] if values.ndim else values)
    watch.hold(places)
    return smaller


def _of_members(model: keras.Model, places: np.ndarray, training: Training, quantiles: Sequence[float]) -> keras.Model:
    """Build and compile a model of some members."""
    smaller = fast_step.attach(take_members(model, places.tolist()))
    compile_model(smaller, training, quantiles)
    return smaller


class _TrainingCallbacks(Listeners):
    """The callbacks of one training, which begins and ends once even if it takes several calls of ``fit``."""

    def __init__(
        self,
        watch: "MemberStopping",
        callbacks: Sequence[keras.callbacks.Callback],
        model: keras.Model,
        epochs: int,
        keep: Keeper | None = None,
    ):
        super().__init__([watch, *callbacks], add_history=True, model=model, epochs=epochs, verbose=0)
        self.watch, self.keep = watch, keep
        self.over = False

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Call all callbacks; end this ``fit`` if training is over or continues with fewer members."""
        super().on_epoch_end(epoch, logs)
        self.over = self.model.stop_training or epoch + 1 == self.params["epochs"]
        # The state is taken between two calls of ``fit``, where all of it stands in the model.
        if self.watch.leaves_out or (self.keep is not None and self.keep.due()):
            self.model.stop_training = True

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Ignore the start of a ``fit``, which may not be the first; see :meth:`begin`."""

    def on_train_end(self, logs: dict | None = None) -> None:
        """Ignore the end of a ``fit``, which may not be the last; see :meth:`end`."""

    def begin(self) -> None:
        """Tell the callbacks that training begins."""
        super().on_train_begin()

    def end(self) -> None:
        """Tell the callbacks that training ends."""
        super().on_train_end()


class _PerMemberClipping:
    """Optimizer mixin that clips each member's gradient by its own norm over all weights before the update.

    Every gradient must have a leading axis of members.
    """

    clip_norm = 0.0

    def apply(self, grads: list, trainable_variables: list | None = None) -> Any:
        """Clip, then update as the optimizer does."""
        squares: Any = sum(ops.sum(ops.square(g), axis=tuple(range(1, len(g.shape)))) for g in grads)
        # The formula of Keras's global_clipnorm: gradient * clip_norm / max(clip_norm, norm of the gradient).
        scale = self.clip_norm / ops.maximum(ops.sqrt(squares), self.clip_norm)
        clipped = [g * ops.reshape(scale, (-1, *[1] * (len(g.shape) - 1))) for g in grads]
        return super().apply(clipped, trainable_variables)  # type: ignore[misc]


class MemberAdam(_PerMemberClipping, keras.optimizers.Adam):
    """Adam with clipping for each member; set ``clip_norm`` after construction."""


class MemberAdamW(_PerMemberClipping, keras.optimizers.AdamW):
    """AdamW with clipping for each member; set ``clip_norm`` after construction."""
