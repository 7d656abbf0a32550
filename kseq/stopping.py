"""Early stopping of each member by itself: its own epoch, its own best weights."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kseq.callbacks import members_of


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


class MemberStopping(keras.callbacks.Callback):
    """``EarlyStopping(restore_best_weights=True)`` for each member by itself, or for an ordinary model.

    A member stops when its validation loss has not been better for ``patience`` epochs, or when a loss of its own is
    not a number; ``fit`` ends when all have stopped. At the end each member holds its best weights, or, without
    ``patience``, its last finite ones.

    Args:
        members: S.
        patience: epochs; 0 for no stopping by validation.
        worth_leaving: go on without members that have stopped once they have computed for so many epochs in vain,
            all together. (As who rents skis until the rent reaches their price: at most twice the least cost.)
    """

    def __init__(self, members: int, patience: int, worth_leaving: float = np.inf):
        super().__init__()
        self.patience = patience
        self.worth_leaving = worth_leaving
        self.running = np.ones(members, bool)
        self.diverged = np.zeros(members, bool)
        self.epochs = np.zeros(members, int)
        self.best = np.full(members, np.inf)
        self.wait = np.zeros(members, int)
        self.in_vain = 0
        #: Numbers of the members in the model in training, in its order.
        self.held = np.arange(members)
        self._kept: list[np.ndarray] | None = None
        self._curves: dict[str, list[np.ndarray]] = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at each running member's losses; keep its weights where they are the best."""
        logs = logs or {}
        loss = {}
        # An ordinary model has one loss, a model of members has theirs besides.
        for name, of_members in (("loss", "member"), ("val_loss", "val_member")):
            found = logs.get(of_members, logs.get(name))
            if found is not None:
                loss[name] = self._of_all(ops.convert_to_numpy(found))
        for name, values in loss.items():
            self._curves.setdefault(name, []).append(values)
        self.in_vain += int(np.count_nonzero(~self.running[self.held]))
        self.epochs[self.running] += 1

        lost = self.running & ~np.logical_and.reduce([np.isfinite(values) for values in loss.values()])
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
            single = members_of(self.model) is None
            self.model.set_weights([weight[0] if single else weight for weight in self._kept])

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return int(self.epochs.max())

    @property
    def leaves_out(self) -> bool:
        """Whether to go on without the members that have stopped."""
        stopped = ~self.running[self.held]
        return bool(self.running.any() and stopped.any() and self.in_vain >= self.worth_leaving)

    def hold(self, places: np.ndarray) -> None:
        """Training goes on with a model of those members that had these places in the one before."""
        self.held = self.held[places]
        self.in_vain = 0

    def _of_all(self, held: np.ndarray) -> np.ndarray:
        """A number of each member, NaN for those that have stopped, of one for each that is held."""
        values = np.full(len(self.running), np.nan)
        values[self.held] = np.ravel(held)
        return np.where(self.running, values, np.nan)

    def _keep(self, which: np.ndarray) -> None:
        """Remember the present weights of some members."""
        if self._kept is not None and not which.any():
            return
        weights = self.model.get_weights()
        if members_of(self.model) is None:
            weights = [weight[None] for weight in weights]
        if self._kept is None:
            self._kept = [weight.copy() for weight in weights]
            return
        for kept, weight in zip(self._kept, weights, strict=True):
            kept[which] = weight[which[self.held]]

    @property
    def fitted(self) -> Fitted:
        """Epochs and curves of each member."""
        curves = {name: np.stack(values, axis=1) for name, values in self._curves.items()}
        return Fitted(tuple(int(e) for e in self.epochs), tuple(bool(d) for d in self.diverged), curves)
