"""Forecasts by statsforecast for ``kseq judge``: a cross-validation with intervals, and one forecast of the last year.

In an environment of its own: ``pip install statsforecast``, then ``python examples/judge/with_statsforecast.py``.
"""

from pathlib import Path

import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import AutoETS, SeasonalNaive

HERE = Path(__file__).parent
HORIZON = 6

series = pd.read_csv(HERE / "nino12.csv", parse_dates=["ds"])
models = StatsForecast([AutoETS(season_length=12), SeasonalNaive(season_length=12)], freq="MS")

validated = models.cross_validation(df=series, h=HORIZON, n_windows=6, step_size=HORIZON, level=[80, 95])
validated.to_csv(HERE / "forecasts/statsforecast_cross_validation.csv", index=False)

# A forecast has no cutoff and no true values: these come from the series.
models.forecast(df=series[:-12], h=12).to_parquet(HERE / "forecasts/statsforecast_forecast.parquet", index=False)
