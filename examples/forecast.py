"""Forecast what comes after a series, by a model that is saved in one file and loaded again.

    python examples/forecast.py [epochs]

The command line does the same: kseq fit --data co2 --horizon 12, then kseq forecast --steps 24.
"""

import sys

import kseq
from kseq import backends

backends.choose()

series = kseq.load_series("co2")
forecaster = kseq.Forecaster("gru", lookback=24, horizon=12, epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 100)

# How good were its forecasts of the last three years, each made in the month before?
folds = forecaster.cross_validation(series, n_windows=3)
errors = (folds["y"] - folds["GRU"]).abs()
covered = folds["y"].between(folds["GRU-lo-80"], folds["GRU-hi-80"]).mean()
print(
    f"three forecasts of a year: mean absolute error {errors.mean():.3f} {series.unit}, {covered:.0%} in 80 % intervals"
)

# The two years to come: the second one is forecast from the first.
forecaster.fit(series).save("co2.keras")
print(kseq.Forecaster.load("co2.keras").predict(24, level=[80]))
