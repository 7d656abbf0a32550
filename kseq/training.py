"""Train one cell with its seeds on windows: an early stopping and a set of best weights for each member.

An ordinary model is one member. With S members one model trains them all, and each must give what it would give alone:
the loss is summed over members, so that an optimizer that works weight by weight moves each as if alone; clipping is
done member by member; and each member stops at its own epoch with its own best weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq import kernels, lean, memory
from kseq.batches import Batches
from kseq.callbacks import members_of
from kseq.errors import ConfigError
from kseq.feeding import Listeners, fed
from kseq.layers import Ensemble, MemberLoss, sum_over_members, take_members
from kseq.preprocessing.windows import WindowedPanel
from kseq.stopping import Fitted, MemberStopping


@dataclass(frozen=True)
class Training:
    """One budget for all cells.

    Args:
        epochs: the most epochs that a member trains.
        batch_size: windows in a batch; 0 for all at once.
        learning_rate: of Adam (Kingma and Ba 2015).
        patience: epochs without a better validation loss before a member stops and takes its best weights back;
            0 to train all epochs and keep the last weights.
        weight_decay: decoupled, as in AdamW (Loshchilov and Hutter 2019); 0 for none.
        clip_norm: largest norm of a member's gradient, over all its weights; 0 for no clipping.
    """

    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-3
    patience: int = 25
    weight_decay: float = 0.0
    clip_norm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value, least = getattr(self, name), 1 if name == "epochs" else 0
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ConfigError(f"received {name.replace('_', ' ')} {value!r}, expected a whole number from {least}.")
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ConfigError(f"received learning rate {self.learning_rate!r}, expected a number above 0.")
        for name in ("weight_decay", "clip_norm"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ConfigError(f"received {name} {getattr(self, name)!r}, expected a number from 0.")


def compile_model(model: keras.Model, training: Training) -> None:
    """Compile for mean squared error with Adam (AdamW if weights decay), members each as if alone."""
    options: dict[str, Any] = {"learning_rate": training.learning_rate}
    if training.weight_decay:
        options["weight_decay"] = training.weight_decay
    kind = keras.optimizers.AdamW if training.weight_decay else keras.optimizers.Adam
    # Where a backend has a price for each call of its own, batches go to it by the dozen.
    steps = getattr(kernels.load(keras.config.backend()), "STEPS_AT_ONCE", 1)
    if members_of(model) is None:
        if training.clip_norm:
            options["global_clipnorm"] = training.clip_norm
        model.compile(optimizer=kind(**options), loss="mse", steps_per_execution=steps)
        return
    if training.clip_norm:
        kind = MemberAdamW if training.weight_decay else MemberAdam
    optimizer = kind(**options)
    if training.clip_norm:
        optimizer.clip_norm = training.clip_norm
    model.compile(
        optimizer=optimizer,
        loss=sum_over_members,
        metrics=[MemberLoss(members_of(model) or 1, name="member")],
        steps_per_execution=steps,
    )


def fit(
    model: keras.Model,
    data: WindowedPanel,
    training: Training,
    seeds: Sequence[int],
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Fitted:
    """Train a model from ``build_model`` on the training windows.

    Members that have stopped are left out as soon as that pays: the others then go on in a smaller model, from the same
    weights, moments, state of dropout and order of batches.

    Args:
        model: ordinary (then ``seeds`` has one), or of S members (then one seed a member).
        data: the windowed series; without validation windows nothing stops early.
        training: the budget.
        seeds: order the batches, one a member.
        callbacks: run after those that stop members and restore their weights. Their ``model`` is the one in training,
            which may have lost members that have stopped; when training ends, it is the whole one.

    Returns:
        Fitted: epochs and learning curves of each member. The model holds each member's best weights.

    Raises:
        ConfigError: there is not one seed a member.
    """
    members = members_of(model)
    if len(seeds) != (members or 1):
        raise ConfigError(f"received {len(seeds)} seeds for {members or 1} members, expected one seed a member.")
    compile_model(model, training)
    watch = MemberStopping(members or 1, training.patience if len(data.validation) else 0, _worth_leaving(model, data))
    course = _Course(watch, callbacks, model, training.epochs)
    course.begin()
    part = model
    while True:
        batches, validation = _batches(
            data, training, [seeds[number] for number in watch.held.tolist()], watch.epoch, part
        )
        source, course.feeding = fed(batches)
        part.fit(
            source,
            validation_data=None if validation is None else fed(validation)[0],
            initial_epoch=watch.epoch,
            epochs=training.epochs,
            callbacks=course,
            verbose=0,
            # The batches are shuffled already, by seed; Keras would shuffle them again, by a state of its own.
            shuffle=False,
        )
        if course.over or not watch.leaves_out:
            break
        part = _of_those_that_run(part, watch, training)
        course.set_model(part)
    course.set_model(model)
    course.end()
    return watch.fitted


def _batches(
    data: WindowedPanel, training: Training, seeds: Sequence[int], epoch: int, model: keras.Model
) -> tuple[Batches, Batches | None]:
    """Training batches in the order of an epoch, and those of the validation part, if there is one."""
    members = members_of(model)
    order: dict[str, Any] = {"seed": seeds[0]} if members is None else {"seeds": seeds}
    batches = Batches(data.train, training.batch_size or None, **order)
    batches.epoch = epoch
    if not len(data.validation):
        return batches, None
    return batches, Batches(data.validation, memory.windows_at_once(model, data.lookback), members=members)


def _worth_leaving(model: keras.Model, data: WindowedPanel) -> float:
    """How many epochs of stopped members take as long as it takes to go on without them.

    Counted in operations, not in seconds: the same training takes the same course anywhere.
    """
    if members_of(model) is None or not all(isinstance(layer, Ensemble) for layer in model.layers[1:]):
        return np.inf
    an_epoch = len(data.train) * memory.cost_of(model, data.lookback).products
    return kernels.load(keras.config.backend()).REBUILD / an_epoch


def _of_those_that_run(model: keras.Model, watch: "MemberStopping", training: Training) -> keras.Model:
    """A model of those members that still run, which trains on as they would have; the watch is told."""
    places = np.flatnonzero(watch.running[watch.held])
    smaller = lean.attach(take_members(model, places.tolist()))
    compile_model(smaller, training)
    smaller.optimizer.build(smaller.trainable_variables)
    for mine, theirs in zip(smaller.optimizer.variables, model.optimizer.variables, strict=True):
        values = np.array(ops.convert_to_numpy(theirs))
        # Moments have a members axis; the step's number and the learning rate are one for all.
        mine.assign(values[places] if values.ndim else values)
    watch.hold(places)
    return smaller


class _Course(Listeners):
    """The callbacks of one training, which begins and ends once, though it be several calls of ``fit`` in a row."""

    def __init__(
        self, watch: "MemberStopping", callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, epochs: int
    ):
        super().__init__([watch, *callbacks], add_history=True, model=model, epochs=epochs, verbose=0)
        self.watch = watch
        self.over = False

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Tell all; end this ``fit`` if training is over, or goes on with fewer members."""
        super().on_epoch_end(epoch, logs)
        self.over = self.model.stop_training or epoch + 1 == self.params["epochs"]
        if self.watch.leaves_out:
            self.model.stop_training = True

    def on_train_begin(self, logs: dict | None = None) -> None:
        """A ``fit`` begins, which may not be the first: see :meth:`begin`."""

    def on_train_end(self, logs: dict | None = None) -> None:
        """A ``fit`` ends, which may not be the last: see :meth:`end`."""

    def begin(self) -> None:
        """Training begins."""
        super().on_train_begin()

    def end(self) -> None:
        """Training ends."""
        super().on_train_end()


class _PerMemberClipping:
    """Mixed into an optimizer: clips each member's gradient by its own norm over all weights, before the update.

    Every gradient must have the members axis first.
    """

    clip_norm = 0.0

    def apply(self, grads: list, trainable_variables: list | None = None) -> Any:
        """Clip, then update as the optimizer does."""
        squares: Any = sum(ops.sum(ops.square(g), axis=tuple(range(1, len(g.shape)))) for g in grads)
        # As Keras's global_clipnorm: the gradient times norm / max(norm, its own norm).
        scale = self.clip_norm / ops.maximum(ops.sqrt(squares), self.clip_norm)
        clipped = [g * ops.reshape(scale, (-1, *[1] * (len(g.shape) - 1))) for g in grads]
        return super().apply(clipped, trainable_variables)  # type: ignore[misc]


class MemberAdam(_PerMemberClipping, keras.optimizers.Adam):
    """Adam that clips members one by one; ``clip_norm`` is set after it is made."""


class MemberAdamW(_PerMemberClipping, keras.optimizers.AdamW):
    """AdamW that clips members one by one; ``clip_norm`` is set after it is made."""
