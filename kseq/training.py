"""Train one cell with its seeds on windows: one ``fit``, one early stopping and one set of best weights a member.

With one member a model is an ordinary one and stops by Keras's ``EarlyStopping``. With S members one ``fit`` trains
them all, and each must give what it would give alone: the loss is summed over members, so that an optimizer that works
weight by weight moves each as if alone; clipping is done member by member; and each member stops at its own epoch with
its own best weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq import kernels
from kseq.batches import Batches
from kseq.errors import ConfigError
from kseq.evaluation import members_of
from kseq.layers import MemberLoss, sum_over_members
from kseq.windows import WindowedSeries


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


@dataclass
class Fitted:
    """What a training leaves besides the model's weights.

    Args:
        epochs: trained by each member.
        diverged: whether each member's loss ceased to be a number.
        history: ``{"loss": (member, epoch), "val_loss": ...}``, NaN after a member has stopped.
    """

    epochs: tuple[int, ...]
    diverged: tuple[bool, ...]
    history: dict[str, np.ndarray]


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


class NextEpoch(keras.callbacks.Callback):
    """Shuffles batches anew after each epoch, where what ``fit`` reads does not do so by itself."""

    def __init__(self, batches: Batches):
        super().__init__()
        self.batches = batches

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Shuffle."""
        self.batches.on_epoch_end()


def fed(batches: Batches) -> tuple[Any, list[keras.callbacks.Callback]]:
    """What ``fit`` reads fastest on this backend, the same batches in the same order, and the callbacks it takes."""
    backend = kernels.load(keras.config.backend())
    if not hasattr(backend, "dataset"):
        return batches, []
    return backend.dataset(batches), [NextEpoch(batches)]


def fit(
    model: keras.Model,
    data: WindowedSeries,
    training: Training,
    seeds: Sequence[int],
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Fitted:
    """Train a model from ``build_model`` on the training windows.

    Args:
        model: ordinary (then ``seeds`` has one), or of S members (then one seed a member).
        data: the windowed series; without validation windows nothing stops early.
        training: the budget.
        seeds: order the batches, one a member.
        callbacks: run after those that stop members and restore their weights.

    Returns:
        Fitted: epochs and learning curves of each member. The model holds each member's best weights.
    """
    members = members_of(model)
    if len(seeds) != (members or 1):
        raise ConfigError(f"received {len(seeds)} seeds for {members or 1} members, expected one seed a member.")
    compile_model(model, training)
    size = training.batch_size or None
    watched = len(data.validation) > 0
    stopping: MemberStopping | None = None
    if members is None:
        batches = Batches(data.train, size, seed=seeds[0])
        validation = Batches(data.validation, 1024) if watched else None
        first: list[keras.callbacks.Callback] = [keras.callbacks.TerminateOnNaN()]
        if watched and training.patience:
            first.append(
                keras.callbacks.EarlyStopping("val_loss", patience=training.patience, restore_best_weights=True)
            )
    else:
        batches = Batches(data.train, size, seeds=seeds)
        validation = Batches(data.validation, 1024, members=members) if watched else None
        stopping = MemberStopping(members, training.patience if watched else 0)
        first = [stopping]
    source, also = fed(batches)
    record = model.fit(
        source,
        validation_data=None if validation is None else fed(validation)[0],
        epochs=training.epochs,
        callbacks=[*also, *first, *callbacks],
        verbose=0,
        # The batches are shuffled already, by seed; Keras would shuffle them again, by a state of its own.
        shuffle=False,
    )
    if stopping is not None:
        return stopping.fitted
    curves = {
        name: np.asarray([record.history[name]], dtype="float64")
        for name in ("loss", "val_loss")
        if name in record.history
    }
    return Fitted((len(record.epoch),), (not np.isfinite(curves["loss"]).all(),), curves)


class MemberStopping(keras.callbacks.Callback):
    """``EarlyStopping(restore_best_weights=True)`` for each member by itself.

    A member stops when its validation loss has not been better for ``patience`` epochs, or when a loss of its own is
    not a number; ``fit`` ends when all have stopped. At the end each member holds its best weights, or, without
    ``patience``, its last finite ones.

    Args:
        members: S.
        patience: epochs; 0 for no stopping by validation.
    """

    def __init__(self, members: int, patience: int):
        super().__init__()
        self.patience = patience
        self.running = np.ones(members, bool)
        self.diverged = np.zeros(members, bool)
        self.epochs = np.zeros(members, int)
        self.best = np.full(members, np.inf)
        self.wait = np.zeros(members, int)
        self._kept: list[np.ndarray] | None = None
        self._curves: dict[str, list[np.ndarray]] = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at each running member's losses; keep its weights where they are the best."""
        logs = logs or {}
        loss = {name: np.asarray(ops.convert_to_numpy(logs[key]), "float64")
                for name, key in (("loss", "member"), ("val_loss", "val_member")) if key in logs}  # fmt: skip
        for name, values in loss.items():
            self._curves.setdefault(name, []).append(np.where(self.running, values, np.nan))
        self.epochs[self.running] += 1

        lost = self.running & ~np.isfinite(loss["loss"])
        self.diverged |= lost
        self.running &= ~lost
        watched = loss.get("val_loss") if self.patience else None
        if watched is None:
            # Nothing to choose by: the last weights count, for as long as they are finite.
            self._keep(self.running)
        else:
            better = self.running & (watched < self.best)
            self.best[better] = watched[better]
            self.wait[better] = 0
            self.wait[self.running & ~better] += 1
            self._keep(better)
            self.running &= self.wait < self.patience
        if not self.running.any():
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Give each member the weights that were kept for it."""
        if self._kept is not None:
            self.model.set_weights(self._kept)

    def _keep(self, which: np.ndarray) -> None:
        """Remember the present weights of some members."""
        weights = self.model.get_weights()
        if self._kept is None:
            self._kept = [weight.copy() for weight in weights]
        elif which.all():
            self._kept = weights
        elif which.any():
            for kept, weight in zip(self._kept, weights, strict=True):
                kept[which] = weight[which]

    @property
    def fitted(self) -> Fitted:
        """Epochs and curves of each member."""
        curves = {name: np.stack(values, axis=1) for name, values in self._curves.items()}
        return Fitted(tuple(int(e) for e in self.epochs), tuple(bool(d) for d in self.diverged), curves)


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
