"""State of a training between two epochs, from which it goes on in another process with the same numbers.

Keras's BackupAndRestore keeps weights and optimizer of a whole model; here early stopping knows each member's best
weights, members that have stopped are gone from the model, and dropout has a state of its own.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kseq.training.callbacks import EpochTimer
from kseq.training.early_stopping import MemberStopping

#: What early stopping knows of each member.
_OF_MEMBERS = ("running", "diverged", "epochs", "best", "best_epochs", "wait", "held")


def snapshot(model: keras.Model, watch: MemberStopping, timers: Sequence[EpochTimer]) -> dict[str, Any]:
    """Take the state of a training whose epoch has ended.

    Args:
        model: The model in training.
        watch: Early stopping.
        timers: Callbacks that time epochs.

    Returns:
        dict[str, Any]: Arrays and numbers, as :func:`restore` takes them.
    """
    return {
        "members": {name: np.array(getattr(watch, name)) for name in _OF_MEMBERS},
        "in_vain": watch.in_vain,
        "kept": watch.kept,
        "curves": {name: list(values) for name, values in watch.curves.items()},
        "seconds": [list(timer.seconds) for timer in timers],
        "timed": [list(timer.members) for timer in timers],
        "variables": [np.array(ops.convert_to_numpy(one)) for one in model.variables],
        "optimizer": [np.array(ops.convert_to_numpy(one)) for one in model.optimizer.variables],
    }


def fits(state: Any, members: int) -> bool:
    """Whether a state is one of a training of so many members."""
    return isinstance(state, dict) and len(state.get("members", {}).get("running", ())) == members


def restore_watch(state: dict[str, Any], watch: MemberStopping, timers: Sequence[EpochTimer]) -> None:
    """Restore early stopping and the timers of epochs."""
    for name in _OF_MEMBERS:
        setattr(watch, name, state["members"][name].copy())
    watch.in_vain = state["in_vain"]
    watch.kept = None if state["kept"] is None else [weight.copy() for weight in state["kept"]]
    watch.curves = {name: list(values) for name, values in state["curves"].items()}
    for timer, seconds, members in zip(timers, state["seconds"], state["timed"], strict=True):
        timer.seconds, timer.members = list(seconds), list(members)


def restore_model(state: dict[str, Any], model: keras.Model) -> None:
    """Restore weights, dropout and optimizer of a compiled model of the members that were still in training."""
    model.optimizer.build(model.trainable_variables)
    for variables, values in ((model.variables, state["variables"]), (model.optimizer.variables, state["optimizer"])):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
