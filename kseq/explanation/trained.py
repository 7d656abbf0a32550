"""Cells trained on a series for an explanation: their networks before and after, their curves, and their variants."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq.comparison.jobs import blocks_of
from kseq.comparison.networks import build_cell
from kseq.errors import ConfigError
from kseq.explanation.networks import Network, networks_of
from kseq.explanation.timing import Times, times_of
from kseq.layers import Ensemble
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import CELL_NAMES, Settings
from kseq.training import memory
from kseq.training.callbacks import Progress as EpochProgress
from kseq.training.callbacks import forecast_batch, members_of, predict
from kseq.training.early_stopping import Fitted
from kseq.training.fit import Training, fit
from kseq.training.progress import Progress, seeds_text

#: A forget gate with this bias is 1 to the last digit of float32, and has no gradient.
ALWAYS_OPEN = 100.0


@dataclass(frozen=True)
class Variant:
    """A cell with one thing changed.

    Args:
        cell: ``"lstm"`` or ``"gru"``.
        name: What is changed, as tables show it.
        options: Arguments of the layers.
        open_forget: Whether the forget gate is held open.
    """

    cell: str
    name: str
    options: dict[str, Any]
    open_forget: bool = False


#: What is changed in turn. The first is Gers, Schmidhuber and Cummins's (2000) question, the second that of Jozefowicz,
#: Zaremba and Sutskever (2015), the third the difference between Cho et al. (2014) and cuDNN.
VARIANTS = (
    Variant("lstm", "forget gate held open", {}, open_forget=True),
    Variant("lstm", "forget bias 0 at the start", {"unit_forget_bias": False}),
    Variant("gru", "reset gate before the product", {"reset_after": False}),
)


@dataclass(frozen=True, eq=False)
class TrainedCell:
    """A cell, trained with every seed.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        name: As tables show it.
        before: Networks with initial weights, one a seed.
        after: Networks with the best weights by the validation part, one a seed; those that diverged are left out.
        seeds: Their seeds.
        models: The trained Keras models, blocks of seeds.
        parameters: Trainable weights of one network.
        products: Multiply-adds of one forward pass over one window.
        history: ``loss`` and ``val_loss``, ``(seed, epoch)``, NaN after a seed has stopped.
        steps_per_epoch: Gradient steps in an epoch.
    """

    cell: str
    name: str
    before: tuple[Network, ...]
    after: tuple[Network, ...]
    seeds: tuple[int, ...]
    models: tuple[keras.Model, ...]
    parameters: int
    products: int
    history: dict[str, np.ndarray]
    steps_per_epoch: int

    def forecasts(self, x: np.ndarray) -> np.ndarray:
        """Forecast scaled windows ``(windows, time, features)``; return ``(seed, windows, outputs)``, scaled."""
        parts = []
        for model in self.models:
            members = members_of(model)
            shown = x.astype("float32")
            if members is not None:
                shown = np.broadcast_to(shown[:, None], (len(x), members, *x.shape[1:]))
            output = np.asarray(forecast_batch(model, np.ascontiguousarray(shown)))
            parts.append(output[None] if members is None else np.moveaxis(output, 1, 0))
        return np.concatenate(parts)[self._sound]

    @property
    def _sound(self) -> np.ndarray:
        return np.isin(np.concatenate([_seeds_of(model) for model in self.models]), self.seeds)


def _seeds_of(model: keras.Model) -> list[int]:
    return list(model.kseq_seeds)


def train(cell: str, data: WindowedPanel, settings: Settings, progress: Progress | None = None) -> TrainedCell:
    """Train a cell with all its seeds on the training part, stopped by the validation part.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        data: The windows.
        settings: Settings of a comparison; the strategy is ``"direct"``.
        progress: Called with what is trained, the epoch and the epoch limit, after each epoch.

    Raises:
        ConfigError: All seeds diverged.
    """
    before: list[Network] = []
    after: list[Network] = []
    models: list[keras.Model] = []
    fits: list[Fitted] = []
    for seeds in blocks_of(cell, data, settings):
        model = build_cell(cell, data, settings, seeds)
        before += networks_of(model)
        fits.append(_fit(model, data, settings, seeds, CELL_NAMES[cell], progress))
        after += networks_of(model)
        model.kseq_seeds = seeds
        models.append(model)
    diverged = np.concatenate([np.array(fitted.diverged) for fitted in fits])
    if diverged.all():
        raise ConfigError(
            f"received settings with which every seed of {CELL_NAMES[cell]} diverged, expected a finite loss; lower "
            "the learning rate, or look for outliers in the series."
        )
    at_once = len(models[0].kseq_seeds)
    sound = np.flatnonzero(~diverged)
    return TrainedCell(
        cell,
        CELL_NAMES[cell],
        tuple(before[number] for number in sound),
        tuple(after[number] for number in sound),
        tuple(np.array(settings.seeds)[sound].tolist()),
        tuple(models),
        sum(int(np.prod(weight.shape)) for weight in models[0].trainable_weights) // at_once,
        memory.cost_of(models[0], data.lookback).products,
        {name: values[sound] for name, values in stack([fitted.history for fitted in fits]).items()},
        Training(**settings.training).plan(len(data.train)).steps,
    )


def times_of_cells(cells: Sequence[str], data: WindowedPanel, settings: Settings) -> dict[str, Times]:
    """Time a training step and a forecast of each cell, in turn, with as many seeds at once as it is trained with.

    Args:
        cells: Of ``"rnn"``, ``"lstm"`` and ``"gru"``.
        data: The windows.
        settings: Settings of a comparison.
    """
    blocks = {cell: next(iter(blocks_of(cell, data, settings))) for cell in cells}
    models = {cell: build_cell(cell, data, settings, seeds) for cell, seeds in blocks.items()}
    return times_of(models, data, Training(**settings.training))


def stack(histories: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Join the curves of blocks; shorter ones end in NaN."""
    longest = max(values.shape[1] for history in histories for values in history.values())

    def long(values: np.ndarray) -> np.ndarray:
        return np.pad(values, ((0, 0), (0, longest - values.shape[1])), constant_values=np.nan)

    return {name: np.concatenate([long(history[name]) for history in histories]) for name in histories[0]}


def variant_errors(
    variant: Variant,
    data: WindowedPanel,
    settings: Settings,
    errors: Callable[[np.ndarray], np.ndarray],
    progress: Progress | None = None,
) -> np.ndarray:
    """Train a variant of a cell as :func:`train` does; return its test errors.

    Args:
        variant: What is changed.
        data: The windows.
        settings: Settings of a comparison.
        errors: Function that scores forecasts of the test part in their unit, ``(seed, windows, step, target)``.
        progress: As in :func:`train`.

    Returns:
        np.ndarray: Errors of the seeds that did not diverge, ``(seed,)``.
    """
    found = []
    for seeds in blocks_of(variant.cell, data, settings):
        model = build_cell(variant.cell, data, settings, seeds, **variant.options)
        if variant.open_forget:
            hold_forget_gate_open(model)
        fitted = _fit(model, data, settings, seeds, f"{CELL_NAMES[variant.cell]}, {variant.name}", progress)
        found.append(errors(predict(model, data, data.test))[~np.array(fitted.diverged)])
    return np.concatenate(found)


def hold_forget_gate_open(model: keras.Model) -> None:
    """Set the forget gates' biases so high that the gates are 1, and stay so in training: their gradient is 0."""
    for layer in model.layers:
        single = layer.stacked.template if isinstance(layer, Ensemble) else layer
        if isinstance(single, keras.layers.LSTM):
            weights = [np.array(value) for value in layer.get_weights()]
            weights[2][..., single.units : 2 * single.units] = ALWAYS_OPEN
            layer.set_weights(weights)


def _fit(
    model: keras.Model, data: WindowedPanel, settings: Settings, seeds: Sequence[int], name: str, progress: Any
) -> Fitted:
    training = Training(**settings.training)
    callbacks: list[keras.callbacks.Callback] = []
    if progress is not None:
        callbacks.append(EpochProgress(progress, f"{name}, {seeds_text(tuple(seeds))}", training.epochs))
    return fit(model, data, training, seeds, callbacks)
