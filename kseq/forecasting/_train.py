"""One cell trained with all its seeds into one network that forecasts, on the windows of one series or of many."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kseq.comparison.jobs import blocks_of
from kseq.comparison.networks import build_cell
from kseq.data import FILE_OPTIONS, Panel, Series
from kseq.errors import ConfigError, DataError, Parameter
from kseq.layers import accelerate, split_members
from kseq.models.builders import average
from kseq.preprocessing.splits import fewest_rows
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import CELL_NAMES, Settings
from kseq.training.budget import Training
from kseq.training.callbacks import Progress, kernel_of
from kseq.training.early_stopping import Fitted
from kseq.training.fit import fit
from kseq.training.progress import Block, block_done, seeds_text

#: Options of reading that say how a file looks, and so hold for a file with newer rows.
READING = ("time", "id", "series", "fill", "freq", "missing", "date_format", "dayfirst", "sort", "wide", *FILE_OPTIONS)

#: Steps ahead up to which intervals are calibrated, where the horizon is shorter: two days of hours, four years.
CALIBRATED = 48

#: Origins in the validation part from which more steps than the horizon are forecast; of more, some are skipped evenly.
ORIGINS = 500

#: Baselines that stand beside the model's error.
RIVALS = ("persistence", "seasonal-naive")

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Trained:
    """A network that averages all seeds that did not diverge.

    Args:
        network: The network.
        fitted: The outcome of the training by seed, of those that did not diverge.
    """

    network: keras.Model
    fitted: dict[int, Fitted]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that did not diverge."""
        return tuple(self.fitted)

    @property
    def epochs(self) -> int:
        """Median over seeds of the epochs after which their weights were the best."""
        return max(1, round(float(np.median([fitted.best for fitted in self.fitted.values()]))))


def train(
    data: WindowedPanel,
    settings: Settings,
    training: Training,
    progress: Told | None,
    what: str,
    until: dict[int, int] | None = None,
    penalty: float | None = None,
) -> Trained:
    """Train all seeds of a cell.

    Args:
        data: The windowed series.
        settings: Settings with one cell.
        training: The training budget.
        progress: As in :func:`kseq.forecasting.fit.fit_model`.
        what: Words after the name of the training.
        until: Epochs of each seed, as in :func:`kseq.training.fit.fit`; None for those of the budget.
        penalty: Ridge penalty by which a linear skip starts, as there.

    Raises:
        ConfigError: All seeds diverged.
    """
    cell = settings.cells[0]
    networks: list[keras.Model] = []
    kept: dict[int, Fitted] = {}
    for seeds in blocks_of(cell, data, settings):
        model = build_cell(cell, data, settings, seeds)
        which = f"{CELL_NAMES[cell]}, {seeds_text(seeds)}{what}"
        own = None if until is None else [until[seed] for seed in seeds]
        told = [] if progress is None else [Progress(progress, which, training.epochs if own is None else max(own))]
        started = time.perf_counter()
        fitted = fit(model, data, training, seeds, told, own, settings.quantiles, penalty=penalty)
        seconds = time.perf_counter() - started
        block_done(progress, Block(which, len(seeds), fitted.epochs, seconds, kernel_of(model)))
        for number, single in enumerate(split_members(model) if len(seeds) > 1 else [model]):
            # The last step of a training may be the one that goes astray: no loss tells of it.
            sound = all(np.isfinite(weight).all() for weight in single.get_weights())
            if sound and not fitted.diverged[number]:
                networks.append(single)
                kept[seeds[number]] = fitted.of(number)
    if not networks:
        raise ConfigError(
            f"the training of {CELL_NAMES[cell]} diverged: its loss ceased to be a number; lower ",
            Parameter("learning_rate"),
            ", or look for outliers in the series.",
        )
    return Trained(average([accelerate(network) for network in networks], CELL_NAMES[cell]), kept)


def require_rows(n: int, settings: Settings) -> None:
    """Refuse a series of ``n`` rows that leaves the training or the validation part without a window."""
    share = settings.validation

    if not 0 <= share < 1:
        raise ConfigError(f"received a validation share of {share:g}, expected a number from 0 to below 1.")

    def enough(rows: int) -> bool:
        training = rows - round(rows * share)
        return training >= settings.lookback + settings.horizon

    if not enough(n):
        least = fewest_rows(enough, n + 1)
        raise DataError(
            f"received a series of {n} rows, expected at least {least} for lookback {settings.lookback}, horizon "
            f"{settings.horizon} and a validation share of {share:g}; shorten ",
            Parameter("lookback"),
            " or ",
            Parameter("horizon"),
            ", or bring more rows.",
        )


def reading_of(series: Series | Panel) -> dict[str, Any]:
    """How the series' file was read, as far as it holds for a file with newer rows."""
    given = series.origin.arguments if series.origin else {}
    kept = {name: given[name] for name in READING if given.get(name) is not None}
    return {name: value for name, value in kept.items() if value != FILE_OPTIONS.get(name) and value is not False}


def levels_of(settings: Settings) -> tuple[float, ...]:
    """Percents of which a model keeps half-widths: every whole one, and those that were asked for."""
    return tuple(sorted({*map(float, range(1, 100)), *map(float, settings.levels)}))
