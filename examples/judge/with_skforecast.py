"""Forecasts by skforecast for ``kseq judge``: folds of one series with intervals, and of two series.

In an environment of its own: ``pip install skforecast``, then ``python examples/judge/with_skforecast.py``.
"""

from pathlib import Path

import pandas as pd
from skforecast.model_selection import (
    TimeSeriesFold,
    backtesting_forecaster,
    backtesting_forecaster_multiseries,
)
from skforecast.recursive import ForecasterRecursive, ForecasterRecursiveMultiSeries
from sklearn.linear_model import Ridge

HERE = Path(__file__).parent
HORIZON = 6

y = pd.read_csv(HERE / "nino12.csv", parse_dates=["ds"], index_col="ds")["y"].asfreq("MS")
folds = TimeSeriesFold(steps=HORIZON, initial_train_size=len(y) - 6 * HORIZON, refit=False, verbose=False)

_, predictions = backtesting_forecaster(
    ForecasterRecursive(Ridge(), lags=24), y, cv=folds, metric="mean_absolute_error", interval=[0.1, 0.9],
    show_progress=False,
)  # fmt: skip
predictions.to_csv(HERE / "forecasts/skforecast.csv")

several = pd.DataFrame({"nino12": y, "warmer": 1.1 * y + 2})
_, predictions = backtesting_forecaster_multiseries(
    ForecasterRecursiveMultiSeries(Ridge(), lags=24), several, cv=folds, metric="mean_absolute_error",
    show_progress=False,
)  # fmt: skip
predictions.to_csv(HERE / "forecasts/skforecast_series.csv")
