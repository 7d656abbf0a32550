"""What models read besides the past: covariates that are known ahead, and such as do not change with time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kseq.errors import ConfigError
from kseq.series import Series


def encoded(static: pd.DataFrame) -> pd.DataFrame:
    """Static covariates as numbers, ``(series, columns)``: of text a column a category, called ``column=category``."""
    text = list(static.select_dtypes("category").columns)
    return pd.get_dummies(static, columns=text, prefix_sep="=", dtype="float64") if text else static


def require_inputs(columns: Sequence[str], future: Sequence[str], lookback: int, horizon: int) -> None:
    """Refuse windows in which there is nothing to read, or no room for what is known ahead."""
    if not columns:
        raise ConfigError("received past_target=False and no features, expected something for the models to read.")
    if future and horizon > lookback:
        raise ConfigError(
            f"received lookback {lookback}, horizon {horizon} and future covariates ({', '.join(future)}), expected a "
            "lookback from the horizon on: input rows hold what is known of the steps to forecast; raise --lookback."
        )


def from_ahead(series: Series, horizon: int) -> np.ndarray:
    """Future covariates of the row ``horizon`` steps later, ``(time, future)``; NaN where they are not known."""
    future = list(series.future)
    known = pd.concat([series.frame, series.ahead])[future].to_numpy()[horizon : horizon + len(series)]
    return np.pad(known, ((0, len(series) - len(known)), (0, 0)), constant_values=np.nan)
