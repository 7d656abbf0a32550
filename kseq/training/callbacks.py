"""Forecasts of a trained model in the target's unit, and the callback that scores them.

:class:`Evaluation` is a Keras callback that any script can pass to ``model.fit``; ``kseq compare`` uses the same one.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from kseq import kernels
from kseq.errors import ConfigError, DataError
from kseq.evaluation.model_result import ModelResult
from kseq.naming import checked, checked_class
from kseq.preprocessing.windows import WindowedPanel, Windows
from kseq.text import shown
from kseq.training import memory
from kseq.training.batches import Batches
from kseq.training.budget import Training
from kseq.validation import require_path


class _Comparison(Protocol):
    """The part of a comparison that the callback uses: the windows, and a method to add a row."""

    data: WindowedPanel

    def add(self, result: ModelResult) -> None:
        """Add one row."""

    def write(self, path: str | Path) -> Any:
        """Write all rows into a folder."""


@checked("kseq.predict")
def predict(model: keras.Model, data: WindowedPanel, windows: Windows, batch_size: int | None = None) -> np.ndarray:
    """Forecast every window of a part, in the targets' unit.

    Args:
        model: A model that takes ``(batch, lookback, features)``, or ``(batch, S, lookback, features)`` if it is an
            ensemble of S members.
        data: The windowed series, whose scaler and transform are inverted.
        windows: The part to forecast, such as ``data.test``.
        batch_size: Number of windows at once; by default as many as memory allows.

    Returns:
        np.ndarray: ``(member, window, step, target)``, with one member for an ordinary model. Of a model that forecasts
        quantiles, the median.
    """
    if not isinstance(model, keras.Model):
        raise ConfigError(f"received a model of type {type(model).__name__}, expected a keras.Model.")
    if not isinstance(data, WindowedPanel) or not isinstance(windows, Windows):
        wrong = windows if isinstance(data, WindowedPanel) else data
        raise DataError(
            f"received type {type(wrong).__name__}, expected kseq.predict(model, data, data.test) with data from "
            "kseq.make_windows."
        )
    made = predict_quantiles(model, data, windows, batch_size)
    return made[..., made.shape[-1] // 2]


def predict_quantiles(
    model: keras.Model, data: WindowedPanel, windows: Windows, batch_size: int | None = None
) -> np.ndarray:
    """Forecast every quantile of every window of a part; arguments as for :func:`predict`.

    Quantiles that cross are put in order (Chernozhukov et al. 2010).

    Returns:
        np.ndarray: ``(member, window, step, target, quantile)``; one quantile where the model forecasts a value.
    """
    _require_shape(model, data)
    members = members_of(model)
    seedless = Batches(windows, batch_size or memory.windows_at_once(model, data.lookback), members=members)
    # Read by index: a PyDataset of older Keras has a length but no iterator, and a loop over it would not end.
    parts = [np.asarray(forecast_batch(model, seedless[number][0])) for number in range(len(seedless))]
    scaled = np.concatenate(parts)
    scaled = scaled[None] if members is None else np.moveaxis(scaled, 1, 0)
    scaled = np.sort(scaled.reshape(*scaled.shape[:2], -1, data.horizon, data.targets), axis=2)
    return np.stack([data.to_units(one, windows) for one in np.moveaxis(scaled, 2, 0)], axis=-1)


def _require_shape(model: keras.Model, data: WindowedPanel) -> None:
    """Refuse a model that reads windows of another size."""
    shape: Any = model.inputs[0].shape if len(model.inputs) == 1 else ()
    if len(shape) < 3:
        return
    there = (data.lookback, data.features)
    if any(one not in (None, other) for one, other in zip(shape[-2:], there, strict=True)):
        raise ConfigError(
            f"received a model that reads windows of {shape[-2]} steps and {shape[-1]} columns, expected {there[0]} "
            f"and {there[1]}: lookback={there[0]}, features={there[1]}."
        )


def forecast_batch(model: keras.Model, x: np.ndarray) -> Any:
    """Forecast a batch of windows, as the framework's array; if the model has several outputs, the first."""
    make_functions(model)
    output = model.predict_on_batch(x)
    # Models built with return_states give the forecast first.
    return output[0] if isinstance(output, list | tuple) else output


def make_functions(model: keras.Model) -> None:
    """Make the functions that a model trains and forecasts by, where the backend has better ones than Keras.

    Args:
        model: A model; compiling it drops them.
    """
    make = getattr(kernels.load(keras.config.backend()), "make_functions", None)
    if make is not None:
        make(model)


def members_of(model: keras.Model) -> int | None:
    """Number of members of an ensemble; None for an ordinary model."""
    return int(model.inputs[0].shape[1]) if len(model.inputs[0].shape) == 4 else None


def kernel_of(model: keras.Model) -> str:
    """Names of the kernels that ran in a model's recurrent layers, each once, joined by commas."""
    used: list[str] = []
    for layer in model.layers:
        for part in (layer, getattr(layer, "forward_layer", None)):
            name = getattr(part, "kernel_used", None)
            if name and name not in used:
                used.append(name)
    return ", ".join(used) or "keras"


class EpochTimer(keras.callbacks.Callback):
    """Time each epoch, validation included.

    Attributes:
        seconds: Duration of each epoch in seconds.
        members: Number of members that each epoch trained.
    """

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
        """Median seconds an epoch, for all members; NaN after fewer than two epochs.

        The first epoch, which may compile code, is left out. Later epochs may train fewer members, so the median is
        taken over seconds a member and multiplied by the initial number of members.
        """
        if len(self.seconds) < 2:
            return float("nan")
        return self.members[0] * float(np.median(np.divide(self.seconds, self.members)[1:]))


class LearningRate(keras.callbacks.Callback):
    """Set the learning rate of each epoch by the budget's schedule.

    Args:
        training: The training budget.
        steps: Gradient steps of an epoch.
        all_steps: Gradient steps over which the schedule is laid.
    """

    def __init__(self, training: Training, steps: int, all_steps: int):
        super().__init__()
        self.training, self.steps, self.all_steps = training, steps, all_steps

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the rate of the epoch's middle."""
        step = epoch * self.steps + self.steps // 2
        self.model.optimizer.learning_rate = self.training.rate(step, self.all_steps)


class Progress(keras.callbacks.Callback):
    """Call a function after each epoch, to show progress.

    Args:
        tell: Function called with ``what``, the number of epochs done, and ``epochs``.
        what: Name of the training, such as ``"LSTM, seeds 0-9"``.
        epochs: Maximum number of epochs.
    """

    def __init__(self, tell: Callable[[str, int, int], None], what: str, epochs: int):
        super().__init__()
        self.tell, self.what, self.epochs = tell, what, epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Report the epoch."""
        self.tell(self.what, epoch + 1, self.epochs)


@checked_class("kseq.Evaluation")
class Evaluation(EpochTimer):
    """Add the trained model to a comparison when ``fit`` ends.

    It forecasts the test windows in the series' unit and adds a row with MAE, RMSE and MAPE to the comparison, which
    writes table and plot. Put it last among the callbacks, after any that restores the best weights.

    Args:
        comparison: The :class:`kseq.Comparison` that gets the row.
        name: Name of the row; by default the model's name.
        seeds: Seeds of the model's members, one for each; by default counted from 0.
        forecast: Function that forecasts the windows of a part, with the arguments of :func:`predict`, the default.
        quantiles: Whether the model forecasts quantiles, which the row then holds too.
        folder: Folder in which table, picture and record of all rows so far are kept, written anew when ``fit`` ends;
            None, the default, writes nothing. Files that kseq has not written are never touched.

    Example:
        >>> comparison = Comparison(data)  # doctest: +SKIP
        >>> keep = Evaluation(comparison, "LSTM", folder="first-run")  # doctest: +SKIP
        >>> model.fit(data.train, validation_data=data.validation, callbacks=[keep])  # doctest: +SKIP
        >>> comparison.table  # doctest: +SKIP
    """

    def __init__(
        self,
        comparison: _Comparison,
        name: str | None = None,
        seeds: tuple[int, ...] | None = None,
        forecast: Callable[[keras.Model, WindowedPanel, Windows], np.ndarray] = predict,
        quantiles: bool = False,
        *,
        folder: str | Path | None = None,
    ):
        super().__init__()
        if not callable(getattr(comparison, "add", None)) or not isinstance(
            getattr(comparison, "data", None), WindowedPanel
        ):
            raise DataError(
                f"received type {type(comparison).__name__}, expected a comparison: "
                "kseq.Evaluation(kseq.Comparison(kseq.make_windows(series)), name)."
            )
        if not isinstance(name, str | None):
            raise ConfigError(f"received name {shown(name)}, expected a text, the name of the row.")
        if isinstance(seeds, str | Path):
            raise ConfigError(f"received seeds {shown(seeds)}, expected one for each member; a folder is folder=.")
        self.folder = folder if folder is None else require_path(folder)
        self.quantiles = quantiles
        self.forecast = forecast
        self.comparison = comparison
        self.name = name
        self.seeds = seeds
        self.result: ModelResult | None = None

    def on_train_end(self, logs: dict | None = None) -> None:
        """Forecast, score, add the row."""
        model, data = self.model, self.comparison.data
        members = members_of(model) or 1
        quantiles = [
            predict_quantiles(model, data, part) if self.quantiles and len(part) else None
            for part in (data.test, data.validation)
        ]
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
            quantiles=quantiles[0],
            validation_quantiles=quantiles[1],
        )
        self.comparison.add(self.result)
        if self.folder is not None:
            self.comparison.write(self.folder)
