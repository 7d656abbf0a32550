"""From a trained model to forecasts in the series' own unit, scored.

:class:`Evaluation` is a Keras callback that any script can pass to ``model.fit``; ``kseq compare`` uses the same one.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from kseq import memory
from kseq.batches import Batches
from kseq.evaluation.model_result import ModelResult
from kseq.preprocessing.windows import WindowedPanel, Windows


class _Comparison(Protocol):
    """What the callback needs of a comparison: the windows, and a place to add a row."""

    data: WindowedPanel

    def add(self, result: ModelResult) -> None:
        """Take one row."""


def predict(model: keras.Model, data: WindowedPanel, windows: Windows, batch_size: int | None = None) -> np.ndarray:
    """Forecast every window of a part, in the targets' unit.

    Args:
        model: takes ``(batch, lookback, features)``, or ``(batch, S, lookback, features)`` if it has members.
        data: the windowed series, for the way back to its unit.
        windows: the part, such as ``data.test``.
        batch_size: windows at once; None for as many as memory allows.

    Returns:
        ``(member, window, step, target)``, one member for an ordinary model.
    """
    members = members_of(model)
    seedless = Batches(windows, batch_size or memory.windows_at_once(model, data.lookback), members=members)
    # By number: the datasets of older Keras have a length and no iterator, and would be read past their end for ever.
    parts = [np.asarray(forecast_batch(model, seedless[number][0])) for number in range(len(seedless))]
    scaled = np.concatenate(parts)
    scaled = scaled[None] if members is None else np.moveaxis(scaled, 1, 0)
    return data.to_units(scaled.reshape(*scaled.shape[:2], data.horizon, data.targets), windows)


def forecast_batch(model: keras.Model, x: np.ndarray) -> Any:
    """What a model gives for some windows, as the framework's array; of several outputs the forecast."""
    output = model.predict_on_batch(x)
    # Models built with return_states give the forecast first.
    return output[0] if isinstance(output, list | tuple) else output


def members_of(model: keras.Model) -> int | None:
    """How many members a model trains at once; None for an ordinary model."""
    return int(model.inputs[0].shape[1]) if len(model.inputs[0].shape) == 4 else None


def kernel_of(model: keras.Model) -> str:
    """Name the kernels that ran in a model's recurrent layers, each once."""
    used: list[str] = []
    for layer in model.layers:
        for part in (layer, getattr(layer, "forward_layer", None)):
            name = getattr(part, "kernel_used", None)
            if name and name not in used:
                used.append(name)
    return ", ".join(used) or "keras"


class EpochTimer(keras.callbacks.Callback):
    """Times each epoch, validation included: ``seconds``, and for how many ``members``, the first epoch first."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.members: list[int] = []
        self._start = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop the clock."""
        self.seconds.append(time.perf_counter() - self._start)
        self.members.append(members_of(self.model) or 1)

    @property
    def steady(self) -> float:
        """Median seconds an epoch without the first, of as many members as at the start; NaN after fewer than two.

        Members that have stopped may have been left out of later epochs: each epoch counts by its time a member.
        """
        if len(self.seconds) < 2:
            return float("nan")
        return self.members[0] * float(np.median(np.divide(self.seconds, self.members)[1:]))


class Progress(keras.callbacks.Callback):
    """Tells a function after each epoch what is trained and how far it is.

    Args:
        tell: called with ``what``, the number of epochs done, and ``epochs``.
        what: such as ``"LSTM, seeds 0-9"``.
        epochs: the most that there will be.
    """

    def __init__(self, tell: Callable[[str, int, int], None], what: str, epochs: int):
        super().__init__()
        self.tell, self.what, self.epochs = tell, what, epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Tell."""
        self.tell(self.what, epoch + 1, self.epochs)


class Evaluation(EpochTimer):
    """Adds the trained model to a comparison when ``fit`` ends.

    It forecasts the test windows, brings them to the series' unit, and adds a row with MAE, RMSE and MAPE to the
    comparison, which writes table and plot. Put it last among the callbacks: one that restores the best weights must
    have done so before.

    Args:
        comparison: where the row goes, a :class:`kseq.Comparison`.
        name: of the row; by default the model's name.
        seeds: of the model's members, one a member; ``(0,)`` by default for an ordinary model.
        forecast: what forecasts a part's windows, called as :func:`predict`, which it is by default.

    Example:
        >>> comparison = Comparison(data)  # doctest: +SKIP
        >>> model.fit(Batches(data.train, 32, seed=0), callbacks=[Evaluation(comparison, "LSTM")])  # doctest: +SKIP
        >>> comparison.table  # doctest: +SKIP
    """

    def __init__(
        self,
        comparison: _Comparison,
        name: str | None = None,
        seeds: tuple[int, ...] | None = None,
        forecast: Callable[[keras.Model, WindowedPanel, Windows], np.ndarray] = predict,
    ):
        super().__init__()
        self.forecast = forecast
        self.comparison = comparison
        self.name = name
        self.seeds = seeds
        self.result: ModelResult | None = None

    def on_train_end(self, logs: dict | None = None) -> None:
        """Forecast, score, add the row."""
        model, data = self.model, self.comparison.data
        members = members_of(model) or 1
        weights = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        epochs = (len(self.seconds),) * members
        self.result = ModelResult(
            name=self.name or model.name,
            predictions=self.forecast(model, data, data.test),
            seeds=tuple(self.seeds) if self.seeds is not None else tuple(range(members)),
            parameters=weights // members,
            epochs=epochs,
            epoch_limit=int(self.params.get("epochs", 0)),
            seconds_per_epoch=self.steady,
            first_epoch_seconds=self.seconds[0] if self.seconds else float("nan"),
            members_at_once=members,
            seconds=float(sum(self.seconds)) if self.seconds else float("nan"),
            kernel=kernel_of(model),
            validation=self.forecast(model, data, data.validation) if len(data.validation) else None,
        )
        self.comparison.add(self.result)
