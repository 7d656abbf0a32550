import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import utilsforecast.losses


@pytest.fixture(scope="session")
def scored_elsewhere():
    """Metrics as utilsforecast and scikit-learn have them, in the units of kseq's tables."""

    def score(metric, y, forecasts, insample, season):
        """Score forecasts ``(windows, horizon, targets)`` of one series whose rows before are ``(rows, targets)``."""
        targets = y.shape[-1]
        y, forecasts = y.reshape(-1, targets), forecasts.reshape(-1, targets)
        if metric == "r2":
            return sklearn.metrics.r2_score(y, forecasts)

        def long(values, **more):
            rows, ids = len(values), np.repeat(range(targets), len(values))
            return pd.DataFrame({"unique_id": ids, "ds": np.tile(range(rows), targets), "y": values.T.ravel(), **more})

        known = {"seasonality": season, "train_df": long(insample)} if metric in ("mase", "rmsse") else {}
        frame = long(y, model=forecasts.T.ravel())
        found = getattr(utilsforecast.losses, metric)(frame, models=["model"], **known)["model"].to_numpy()
        if metric in ("rmse", "rmsse"):
            return np.sqrt(np.mean(found**2))
        return found.mean() * {"mape": 100, "smape": 200}.get(metric, 1)

    return score
