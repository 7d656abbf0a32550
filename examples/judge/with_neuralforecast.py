"""Forecasts by neuralforecast for ``kseq judge``: quantiles of one network, and another with two seeds.

In an environment of its own: ``pip install neuralforecast``, then ``python examples/judge/with_neuralforecast.py``.
"""

from pathlib import Path

import pandas as pd
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import MLP, NHITS

HERE = Path(__file__).parent
HORIZON = 6

series = pd.read_csv(HERE / "nino12.csv", parse_dates=["ds"])
network = {"h": HORIZON, "input_size": 24, "max_steps": 30, "accelerator": "cpu", "enable_progress_bar": False,
           "logger": False, "enable_checkpointing": False}  # fmt: skip
models = [
    NHITS(**network, mlp_units=3 * [[32, 32]], loss=MQLoss(level=[80, 95]), random_seed=1),
    MLP(**network, hidden_size=32, random_seed=1, alias="MLP (seed 1)"),
    MLP(**network, hidden_size=32, random_seed=2, alias="MLP (seed 2)"),
]
validated = NeuralForecast(models, freq="MS").cross_validation(series, n_windows=6, step_size=HORIZON, val_size=HORIZON)
validated.to_csv(HERE / "forecasts/neuralforecast.csv", index=False)
