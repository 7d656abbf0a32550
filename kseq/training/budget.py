"""The budget of a training: what decides how long and how fast a model learns. No framework is imported here."""

from dataclasses import dataclass

from kseq.validation import require_number, require_whole


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
    """

    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-3
    patience: int = 25
    weight_decay: float = 0.0
    clip_norm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            require_whole(name, getattr(self, name))
        for name in ("learning_rate", "weight_decay", "clip_norm"):
            require_number(name, getattr(self, name))
