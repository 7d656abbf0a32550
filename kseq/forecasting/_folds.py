"""Rolling-origin cross-validation of a model of one or more series.

Series may end on different dates: an origin is so many rows before the end of each.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import Panel
from kseq.data.columns import ID_NAME
from kseq.data.frequency import counts_steps
from kseq.data.slices import before, chosen, places_in
from kseq.errors import DataError
from kseq.forecasting.forecast import Forecast, forecast


def folds(
    panel: Panel,
    fit: Callable[[Panel], Any],
    horizon: int,
    h: int,
    n_windows: int,
    step_size: int,
    refit: bool,
    level: float | Sequence[float] | None,
) -> pd.DataFrame:
    """Forecast the last origins of each series, see :meth:`kseq.Forecaster.cross_validation`.

    Args:
        panel: The series; those that a model does not know, because they are too short, are left out.
        fit: Function that trains on a panel and gives a :class:`kseq.forecasting.model_file.TrainedModel`.
        horizon: Rows that it forecasts at once.
        h: Steps to forecast from each origin.
        n_windows: Origins of each series.
        step_size: Rows from one to the next.
        refit: Train anew before each.
        level: Percents that intervals are to cover; None for those of the model.

    Returns:
        ``unique_id, ds, cutoff, y``, then forecasts and bounds, origin after origin.

    Raises:
        DataError: All series are too short.
    """
    first = panel.lengths - h - (n_windows - 1) * step_size
    if (first < 1).all():
        longest = int(panel.lengths.max())
        what = "a series of {} rows" if len(panel.ids) == 1 else "series of {} rows at most"
        raise DataError(
            f"received {what.format(longest)}, expected more than {longest - int(first.max())}, which "
            f"n_windows {n_windows}, step_size {step_size} and h {h} leave nothing of; lower them, or bring more rows."
        )
    panel = chosen(panel, np.flatnonzero(first > 0))
    model, frames = None, []
    for window in range(n_windows):
        stop = panel.ends - h - (n_windows - 1 - window) * step_size
        known = before(panel, stop).causal(stop)
        if model is None or refit:
            model = fit(known)
        rows = chosen(known, np.flatnonzero(places_in(known.ids, model.card.context.ids) >= 0))
        # Past covariates of the steps to come count as known, as they must be known to forecast so many.
        ahead = _covariates(panel, stop) if h > horizon and panel.features else None
        frames.append(_fold(panel, stop, forecast(model, h, rows=rows, future=ahead, levels=level)))
    return pd.concat(frames, ignore_index=True)


def _fold(panel: Panel, stop: np.ndarray, made: Forecast) -> pd.DataFrame:
    """Forecasts of one origin of each series, beside the true values."""
    at = panel.ids.get_indexer(made.history.ids)
    h, targets = made.values.shape[1:]
    truth = panel.y[stop[at][:, None] + np.arange(h)]
    frame = made.frame
    frame.insert(2, "cutoff", panel.index[stop[at] - 1].repeat(h * targets))
    frame.insert(3, "y", np.moveaxis(truth, 2, 1).ravel())
    return frame


def _covariates(panel: Panel, stop: np.ndarray) -> pd.DataFrame:
    """Covariates of the rows from ``stop`` on, as :func:`kseq.forecasting.forecast.covariates_ahead` gives them."""
    owners = np.repeat(np.arange(len(panel.ids)), np.diff(panel.borders))
    rows = np.flatnonzero(np.arange(len(panel)) >= stop[owners])
    dated = panel.has_dates or counts_steps(panel.index)
    steps = panel.index[rows] if dated else pd.Index(rows - stop[owners[rows]])
    index = pd.MultiIndex.from_arrays([panel.ids[owners[rows]], steps], names=[ID_NAME, "ds" if dated else "step"])
    columns = list(dict.fromkeys([*panel.features, *panel.future]))
    return pd.DataFrame(panel.values_of(columns)[rows], index, columns)
