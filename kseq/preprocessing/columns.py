"""Which columns models read, in which order, and what they are called."""

from collections.abc import Sequence

import pandas as pd

from kseq.data import Panel
from kseq.errors import ConfigError, Parameter
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
            f" {horizon} and future covariates ({', '.join(future)}), expected a lookback from the horizon on: input "
            "rows hold what is known of the steps to forecast; raise ",
            Parameter("lookback"),
            ".",
        )


def input_columns(panel: Panel, horizon: int, past_target: bool) -> tuple[str, ...]:
    """Names of what models read, in order; a future covariate is called by the row that it is of: ``price[t+3]``."""
    ahead = (f"{column}[t+{horizon}]" for column in panel.future)
    return (*past_columns(panel, past_target), *ahead, *encoded(panel.static))


def past_columns(panel: Panel, past_target: bool) -> list[str]:
    """Columns of which models read the past: targets and past covariates, each once."""
    return list(dict.fromkeys([*(panel.targets if past_target else ()), *panel.features]))
