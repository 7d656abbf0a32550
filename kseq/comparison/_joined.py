"""Join the results of a model's trainings into one row, and cut forecasts by trainings again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from kseq.evaluation.model_result import ModelResult, stack_curves


def join_folds(rows: Sequence[ModelResult], order: np.ndarray | None = None) -> ModelResult:
    """Join the results of a model's trainings, in the order of time, into one row.

    Forecasts are joined along their windows, those of the validation parts too. Epochs and learning curves stand fold
    after fold, in each member after member. A seed that diverged in one fold has diverged.

    Args:
        rows: Rows of the same members, one a training.
        order: Permutation of the test windows, as :attr:`Backtest.order`; fold after fold by default.

    Returns:
        ModelResult: The row, whose name holds all orders that trainings have chosen: ``"ETS(A,N,A or A,N,M)"``.
    """
    first = rows[0]
    if len(rows) == 1:
        return first

    def joined(name: str, order: np.ndarray | None = None) -> np.ndarray | None:
        parts = [part for part in (getattr(row, name) for row in rows) if part is not None]
        whole = np.concatenate(parts, axis=1) if parts else None
        return whole if whole is None or order is None else whole[:, order]

    return replace(
        first,
        name=_joint_name([row.name for row in rows]),
        predictions=cast(np.ndarray, joined("predictions", order)),
        validation=joined("validation"),
        quantiles=joined("quantiles", order),
        validation_quantiles=joined("validation_quantiles"),
        epochs=sum((row.epochs for row in rows), ()),
        refit_epochs=sum((row.refit_epochs for row in rows), ()),
        diverged=tuple(seed for seed in first.seeds if any(seed in row.diverged for row in rows)),
        seconds_per_epoch=float(np.median([row.seconds_per_epoch for row in rows])),
        seconds=sum(row.seconds for row in rows),
        history=stack_curves([row.history for row in rows]),
    )


def _joint_name(names: Sequence[str]) -> str:
    """``"AR(1 or 2)"`` of ``"AR(1)"`` and ``"AR(2)"``."""
    distinct = sorted(set(names), key=lambda name: (len(name), name))
    if len(distinct) == 1:
        return distinct[0]
    # A baseline of several targets that chose differently for each has no brackets.
    chosen = [name.partition("(")[2].removesuffix(")") or "mixed" for name in distinct]
    return f"{distinct[0].partition('(')[0]}({' or '.join(chosen)})"


def apart(forecasts: np.ndarray, windows: Sequence[int]) -> list[np.ndarray]:
    """Cut forecasts, ``(member, window, ...)``, along their windows into those of each training."""
    return np.split(forecasts, np.cumsum(windows)[:-1], axis=1)
