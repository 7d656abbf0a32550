"""Let ``fit``, ``evaluate`` and ``predict`` of every Keras model read windows, such as ``data.train``, as they are.

Windows are known by their method ``batches``, so that nothing of them is imported here. ``fit`` orders those that it
trains on by the model's seeds, epoch by epoch, as :func:`kseq.compare` does, and none by Keras's own random state.
"""

from typing import Any

import keras

from kseq.errors import ConfigError


def in_batches(model: keras.Model, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a method of a model with batches in the place of windows.

    Args:
        model: An ordinary model or an ensemble.
        method: ``"fit"``, ``"evaluate"`` or ``"predict"``.
        arguments: All arguments of the call by name, defaults too.

    Raises:
        ConfigError: Windows, which hold their targets, stand beside targets, or are to be split; or all parts of
            windowed data are given in place of one.
    """
    x: Any = arguments["x"]
    validation: Any = arguments.get("validation_data")
    for given, part in ((x, "train" if method == "fit" else "test"), (validation, "validation")):
        if _holds_parts(given):
            raise ConfigError(
                f"received all parts of windowed data for {method}, expected one of them, such as data.{part}."
            )
    size = arguments["batch_size"] or 32
    changed = dict(arguments)
    if hasattr(validation, "batches"):
        own = arguments["validation_batch_size"] or size
        changed["validation_data"] = validation.batches(own, members=_members(model)) if len(validation) else None
        changed["validation_batch_size"] = None
    if not hasattr(x, "batches"):
        return changed
    if any(arguments.get(name) is not None for name in ("y", "sample_weight")) or arguments.get("validation_split"):
        raise ConfigError(
            f"received windows and also y, sample_weight or validation_split in {method}; expected windows alone, "
            "which hold their targets, and validation_data=data.validation."
        )
    changed["batch_size"] = None
    if method == "fit" and arguments["shuffle"]:
        changed["x"], changed["shuffle"] = x.batches(size, **_order(model)), False
        changed["x"].epoch = arguments["initial_epoch"]
    else:
        changed["x"] = x.batches(size, members=_members(model))
    return changed


def reads_windows(arguments: dict[str, Any]) -> bool:
    """Whether windows are among the arguments of a call."""
    given = [arguments.get(name) for name in ("x", "validation_data")]
    return any(hasattr(one, "batches") or _holds_parts(one) for one in given)


def _holds_parts(given: Any) -> bool:
    """Whether something is windowed data in parts, of which a model reads one."""
    return hasattr(getattr(given, "train", None), "batches")


def _members(model: keras.Model) -> int | None:
    """Number of members of an ensemble; None for an ordinary model."""
    inputs: Any = getattr(model, "inputs", None) or ()
    return int(inputs[0].shape[1]) if len(inputs) == 1 and len(inputs[0].shape) == 4 else None


def _order(model: keras.Model) -> dict[str, Any]:
    """What orders the batches of a model: its seeds, by which a builder has drawn its weights, or 0."""
    members, seeds = _members(model), getattr(model, "kseq_seeds", None)
    if members is None:
        return {"seed": seeds[0] if seeds else 0}
    return {"seeds": seeds if seeds and len(seeds) == members else range(members)}
