"""What models read besides the past: covariates that are known ahead, and such as do not change with time."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kseq.errors import ConfigError, Parameter
from kseq.data import Panel, Series
from kseq.validation import require_whole


def require_sizes(lookback: int, horizon: int) -> None:
    """Refuse sizes of a window that are no whole numbers from 1."""
    for name, value in (("lookback", lookback), ("horizon", horizon)):
        require_whole(name, value)


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
            "received ",
            Parameter("lookback"),
            f" {lookback}, ",
            Parameter("horizon"),
            f" {horizon} and future "
            f"covariates ({', '.join(future)}), expected a lookback from the horizon on: input rows hold what is known "
            "of the steps to forecast; raise ",
            Parameter("lookback"),
            ".",
        )


def input_columns(series: Series | Panel, horizon: int, past_target: bool) -> tuple[str, ...]:
    """Names of what models read, in order; a future covariate is called by the row that it is of: ``price[t+3]``."""
    ahead = (f"{column}[t+{horizon}]" for column in series.future)
    return (*past_columns(series, past_target), *ahead, *encoded(series.static))


def input_rows(series: Series, horizon: int, past_target: bool) -> tuple[np.ndarray, np.ndarray]:
    """What models read of each row, in the columns' own units.

    Args:
        series: the series.
        horizon: rows that a model forecasts.
        past_target: whether models read the target's own past.

    Returns:
        ``(time, columns)`` twice: every value in its own row, which is what a scale is fitted on; and as a model reads
        them, future covariates in the row ``horizon`` steps earlier.
    """
    past = past_columns(series, past_target)
    constant = np.tile(encoded(series.static).to_numpy().ravel(), (len(series), 1))
    own = np.concatenate([series.frame[[*past, *series.future]].to_numpy(), constant], axis=1)
    read = own.copy()
    read[:, len(past) : len(past) + len(series.future)] = from_ahead(series, horizon)
    return own, read


def past_columns(series: Series | Panel, past_target: bool) -> list[str]:
    """Columns of which models read the past: targets and past covariates, each once."""
    return list(dict.fromkeys([*(series.targets if past_target else ()), *series.features]))


def from_ahead(series: Series, horizon: int) -> np.ndarray:
    """Future covariates of the row ``horizon`` steps later, ``(time, future)``; NaN where they are not known."""
    future = list(series.future)
    known = pd.concat([series.frame, series.ahead])[future].to_numpy()[horizon : horizon + len(series)]
    return np.pad(known, ((0, len(series) - len(known)), (0, 0)), constant_values=np.nan)
