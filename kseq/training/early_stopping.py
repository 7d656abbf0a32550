"""Early stopping for ensembles: each member stops at its own epoch and gets its own best weights back."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kseq.training.callbacks import members_of


@dataclass
class Fitted:
    """The outcome of one training, besides the model's weights.

    Args:
        epochs: Number of epochs that each member trained, one int a member.
        best: Epoch, counted from 1, whose weights each member has now; 0 for a member that diverged in the first.
        diverged: For each member, whether its loss became NaN or infinite.
        history: Learning curves, ``{"loss": array, "val_loss": array}`` with arrays of shape ``(member, epoch)``; NaN
            in the epochs after a member has stopped.
        penalty: Ridge penalty of the least squares that a linear skip started with; None where there were none.
    """

    epochs: tuple[int, ...]
    best: tuple[int, ...]
    diverged: tuple[bool, ...]
    history: dict[str, np.ndarray]
    penalty: float | None = None

    def of(self, member: int) -> "Fitted":
        """The outcome of one member alone."""
        one = slice(member, member + 1)
        curves = {name: curve[one] for name, curve in self.history.items()}
        return Fitted(self.epochs[one], self.best[one], self.diverged[one], curves, self.penalty)


class MemberStopping(keras.callbacks.Callback):
    """Keras's ``EarlyStopping(restore_best_weights=True)``, applied to each member separately.

    A member stops when its validation loss has not improved for ``patience`` epochs, or when its own loss is not
    finite; ``fit`` ends when all members have stopped. At the end each member holds its best weights or, without
    ``patience``, its last finite ones.

    Members that have stopped still cost computing time until the model is rebuilt without them, and rebuilding costs
    time too. The decision is the ski-rental rule (at most twice the optimal cost): rebuild once the time wasted on
    stopped members equals the cost of rebuilding.

    Args:
        members: Number of members, S; 1 for an ordinary model.
        patience: Number of epochs without improvement before a member stops; 0 never stops by validation loss.
        worth_leaving: Cost of rebuilding the model without stopped members, in member epochs; infinite by default,
            which never rebuilds.
        until: Number of epochs after which each member stops with the weights that it then has, one a member, instead
            of stopping by its validation loss; None, the default, for no such number.
    """

    def __init__(self, members: int, patience: int, worth_leaving: float = np.inf, until: Sequence[int] | None = None):
        super().__init__()
        self.patience = patience
        self.until = None if until is None else np.asarray(until)
        self.worth_leaving = worth_leaving
        self.running = np.ones(members, bool)
        self.diverged = np.zeros(members, bool)
        self.epochs = np.zeros(members, int)
        self.best = np.full(members, np.inf)
        self.best_epochs = np.zeros(members, int)
        self.wait = np.zeros(members, int)
        self.in_vain = 0
        #: Numbers of the members that the model in training still holds, in its order.
        self.held = np.arange(members)
        self.kept: list[np.ndarray] | None = None
        self.curves: dict[str, list[np.ndarray]] = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Record each running member's losses and keep its weights if they are the best so far."""
        logs = logs or {}
        loss = {}
        # An ordinary model logs one loss; an ensemble also logs one a member.
        for name, of_members in (("loss", "member"), ("val_loss", "val_member")):
            found = logs.get(of_members, logs.get(name))
            if found is not None:
                loss[name] = self._of_all(ops.convert_to_numpy(found))
        for name, values in loss.items():
            self.curves.setdefault(name, []).append(values)
        self.in_vain += int(np.count_nonzero(~self.running[self.held]))
        self.epochs[self.running] += 1

        lost = self.running & ~np.logical_and.reduce([np.isfinite(values) for values in loss.values()])
        self.diverged |= lost
        self.running &= ~lost
        watched = loss.get("val_loss") if self.patience else None
        if self.until is not None:
            done = self.running & (self.epochs >= self.until)
            # The first call keeps the weights of all members, and must come before the model is rebuilt without some.
            self._keep(done | lost)
            self.running &= ~done
        elif watched is None:
            # Without a validation loss the last weights count, as long as they are finite.
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
        """Restore the weights that were kept for each member."""
        if self.kept is not None:
            single = members_of(self.model) is None
            self.model.set_weights([weight[0] if single else weight for weight in self.kept])

    @property
    def epoch(self) -> int:
        """Number of epochs done so far."""
        return int(self.epochs.max())

    @property
    def leaves_out(self) -> bool:
        """Whether the model should now be rebuilt without the members that have stopped."""
        stopped = ~self.running[self.held]
        return bool(self.running.any() and stopped.any() and self.in_vain >= self.worth_leaving)

    def hold(self, places: np.ndarray) -> None:
        """Continue with a smaller model.

        Args:
            places: Positions in the previous model of the members that the new one holds.
        """
        self.held = self.held[places]
        self.in_vain = 0

    def _of_all(self, held: np.ndarray) -> np.ndarray:
        """Spread values of the held members over all members, with NaN for those that have stopped."""
        values = np.full(len(self.running), np.nan)
        values[self.held] = np.ravel(held)
        return np.where(self.running, values, np.nan)

    def _keep(self, which: np.ndarray) -> None:
        """Keep the current weights of the members selected by the mask ``which``."""
        self.best_epochs[which] = self.epochs[which]
        if self.kept is not None and not which.any():
            return
        weights = self.model.get_weights()
        if members_of(self.model) is None:
            weights = [weight[None] for weight in weights]
        if self.kept is None:
            self.kept = [weight.copy() for weight in weights]
            return
        for kept, weight in zip(self.kept, weights, strict=True):
            kept[which] = weight[which[self.held]]

    @property
    def fitted(self) -> Fitted:
        """The outcome so far, as a :class:`Fitted`."""
        curves = {name: np.stack(values, axis=1) for name, values in self.curves.items()}
        epochs, best, diverged = (tuple(of.tolist()) for of in (self.epochs, self.best_epochs, self.diverged))
        return Fitted(epochs, best, diverged, curves)
