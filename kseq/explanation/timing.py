"""How long a training step and a forecast take: cells in turn, round after round, so that drift meets all alike."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq.layers.feeding import Listeners, fed
from kseq.training.batches import Batches
from kseq.training.budget import Training
from kseq.training.callbacks import EpochTimer, forecast_batch, members_of
from kseq.training.fit import Parts, compile_model

#: Rounds that are kept; one before them is not, in which graphs and kernels are made.
ROUNDS = 10
#: Training steps of a round at most, and windows of the forecast.
STEPS, WINDOWS = 20, 32


@dataclass(frozen=True, eq=False)
class Times:
    """What each round took, of one seed: as part of its ensemble, divided by the seeds at once.

    Args:
        step_ms: Milliseconds of a training step (forward, backward, update), ``(round,)``.
        forward_ms: Milliseconds to forecast a batch of 32 windows, ``(round,)``.
    """

    step_ms: np.ndarray
    forward_ms: np.ndarray


def times_of(
    models: Mapping[str, keras.Model], data: Parts, training: Training, rounds: int = ROUNDS
) -> dict[str, Times]:
    """Time the training steps and forecasts of some models, in turn.

    Args:
        models: Models by name, which are compiled and trained by this.
        data: The windows.
        training: The training budget.
        rounds: How often each is timed. Defaults to 10.
    """
    steps: dict[str, list[float]] = {name: [] for name in models}
    forecasts: dict[str, list[float]] = {name: [] for name in models}
    plan = training.plan(len(data.train))
    count, size = min(plan.steps, STEPS), training.batch_size or len(data.train)
    for model in models.values():
        compile_model(model, training)
    for number in range(1 + rounds):
        for name, model in models.items():
            members = members_of(model)
            order: dict[str, Any] = {"seed": 0} if members is None else {"seeds": range(members)}
            source, feeding = fed(Batches(data.train, size, per_epoch=count * size, **order))
            timer = EpochTimer()
            told = Listeners([timer], feeding=feeding, add_history=True, model=model, epochs=2, verbose=0)
            model.fit(source, epochs=2, verbose=0, shuffle=False, callbacks=told)
            seconds = _forecast_seconds(model, data)
            if number:
                # The first of two epochs bears what every call of ``fit`` costs.
                steps[name].append(1000 * timer.seconds[-1] / count / (members or 1))
                forecasts[name].append(1000 * seconds / (members or 1))
    return {name: Times(np.array(steps[name]), np.array(forecasts[name])) for name in models}


def _forecast_seconds(model: keras.Model, data: Parts) -> float:
    """Time the forecast of some windows, the shortest of three: what disturbs it only adds to it."""
    x = data.train.gather(np.arange(min(WINDOWS, len(data.train))))[0]
    members = members_of(model)
    if members is not None:
        x = np.ascontiguousarray(np.broadcast_to(x[:, None], (len(x), members, *x.shape[1:])))
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        np.asarray(forecast_batch(model, x))
        seconds.append(time.perf_counter() - started)
    return min(seconds)
