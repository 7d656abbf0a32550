"""Forecasts by darts for ``kseq judge``: one step ahead, and quantiles of a year.

In an environment of its own: ``pip install darts``, then ``python examples/judge/with_darts.py``.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from darts import TimeSeries
from darts.models import ExponentialSmoothing, LinearRegressionModel

HERE = Path(__file__).parent

frame = pd.read_csv(HERE / "nino12.csv", parse_dates=["ds"]).rename(columns={"y": "sst"})
series = TimeSeries.from_dataframe(frame, "ds", "sst", freq="MS")

one_step = LinearRegressionModel(lags=24).historical_forecasts(series, start=series.time_index[-36], forecast_horizon=1)
one_step.to_csv(HERE / "forecasts/darts_one_step.csv")

np.random.seed(0)  # noqa: NPY002  darts draws by it
smoothing = ExponentialSmoothing()
smoothing.fit(series[:-12])
smoothing.predict(12, num_samples=200).quantile([0.1, 0.5, 0.9]).to_csv(HERE / "forecasts/darts_quantiles.csv")
