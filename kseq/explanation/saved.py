"""A saved model, explained on the rows that it keeps or on newer ones."""

from pathlib import Path
from typing import Any

import numpy as np

from kseq.data import Panel, Series
from kseq.explanation.networks import networks_of
from kseq.explanation.result import CellExplanation, Subject
from kseq.explanation.shown import Shown
from kseq.forecasting import model_file
from kseq.forecasting.score import evaluate
from kseq.training import memory
from kseq.training.callbacks import forecast_batch


def explain_saved(
    path: Path, series: Series | Panel | None
) -> tuple[Subject, tuple[CellExplanation, ...], tuple[int, ...]]:
    """Explain a model that ``kseq fit`` has saved.

    Its forecast is the mean over its networks, so errors are those of the mean; gradients and gates are of each.

    Args:
        path: The file.
        series: Rows to explain it on; None for those that the model keeps, which it has been trained on.

    Returns:
        What it was explained on, the one cell, and the seeds of its networks.

    Raises:
        DataError: The file is none, or the rows do not fit the model or are too few.
    """
    model = model_file.load(path)
    card = model.card
    score = evaluate(model, series if series is not None else card.context, all_rows=series is None)
    data, networks = score.comparison.data, networks_of(model.network)

    def forecasts(x: np.ndarray) -> np.ndarray:
        return np.asarray(forecast_batch(model.network, x.astype("float32")))[None]

    shown = Shown(data, card.season)
    cell = card.settings["cells"][0]
    products = memory.cost_of(_first(model.network), data.lookback).products
    parameters = model.network.count_params() // len(networks)
    explained = shown.explain(cell, card.seeds, parameters, products, [], networks, forecasts, None)
    source = f"{card.name} of {path.name}, {len(networks)} network{'s' * (len(networks) > 1)}. {score.notes[0]}"
    return shown.subject(float("nan"), source), (explained,), card.seeds


def _first(network: Any) -> Any:
    """The first of the networks whose mean a model is, or the model itself."""
    import keras

    return next((layer for layer in network.layers if isinstance(layer, keras.Model)), network)
