"""Forecasts that cost nothing: what a network must beat to be worth its training.

Each sees the values up to an origin, as the networks do, and forecasts the same windows.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from kseq.errors import ConfigError
from kseq.windows import WindowedSeries, Windows

BASELINES = ("persistence", "seasonal-naive")


def forecasts(
    data: WindowedSeries, names: Iterable[str], season: int = 0
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Forecast test and validation windows with each baseline.

    Args:
        data: the windowed series.
        names: of :data:`BASELINES`.
        season: steps in a season; 0 to find it from the dates.

    Yields:
        The row's name, and forecasts of the test and the validation part, ``(window, step, target)``. A seasonal
        forecast is left out where the series has no season that its dates show.

    Raises:
        ConfigError: an unknown name, or a season that does not fit the series.
    """
    names = list(names)
    for name in names:
        if name not in BASELINES:
            raise ConfigError(f"received baseline {name!r}, expected one of {', '.join(BASELINES)}.")
    steps = season or season_of(data.series.index)
    if season and season > data.split.test:
        raise ConfigError(
            f"received season {season}, expected at most {data.split.test}: the rows before the test part."
        )
    for name in names:
        if name == "persistence":
            label, lag = "Persistence", 1
        elif steps > 1:
            label, lag = f"Seasonal naive ({steps})", steps
        else:
            continue
        parts = [_repeat_season(data, part, lag) for part in (data.test, data.validation)]
        yield label, parts[0], parts[1] if len(data.validation) else None


def _repeat_season(data: WindowedSeries, windows: Windows, lag: int) -> np.ndarray:
    """The last known value in the same phase; with a lag of 1 the last value.

    A window near the start of the series, without a whole season before it, takes the earliest value.
    """
    last_known = windows.target_rows[:, :1] - 1
    ahead = windows.target_rows - last_known
    return data.series.y[np.maximum(last_known + (ahead - 1) % lag + 1 - lag, 0)]


def season_of(index: pd.Index) -> int:
    """Find how many steps a year has (a day, for hourly data and faster), from the dates.

    Args:
        index: the dates; anything else has no season.

    Returns:
        int: 12 for months, 4 for quarters, 52 for weeks, 7 for days, 24 for hours; for other steps of days the
        number that a year holds on average (72 for six a month); 1 where no season shows.

    Example:
        >>> season_of(pd.date_range("2000-01-01", periods=36, freq="MS"))
        12
    """
    if not isinstance(index, pd.DatetimeIndex) or len(index) < 3:
        return 1
    step = np.median(np.diff(index.to_numpy()) / np.timedelta64(1, "h"))
    if step < 24:
        return max(1, round(24 / step))
    if step == 24:
        return 7
    years = (index[-1] - index[0]) / pd.Timedelta(days=365.2425)
    per_year = round((len(index) - 1) / years)
    return per_year if per_year >= 2 else 1
