"""Where in the day, the week and the year each row stands, as columns for models to read.

A cycle is read as the sine and the cosine of its angle, so that its end lies beside its beginning: December beside
January, Sunday beside Monday. Which cycles there are depends on the time step:

======================  ================================
time step               cycles
======================  ================================
below a day             hour of the day, day of the week
a day                   day of the week, day of the year
two days to four weeks  day of the year
a month to half a year  month of the year
======================  ================================

A row holds its own place. That of the rows to forecast needs no column of its own: it is as many steps further on as
they are. So a window reads the same whether or not the dates after the last row are known.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kseq.data import Panel, Series
from kseq.errors import ConfigError, Parameter

#: Cycles by the longest time step that has them, in days.
_CYCLES = (
    (0.8, ("hour of day", "day of week")),
    (1.5, ("day of week", "day of year")),
    (28, ("day of year",)),
    (190, ("month of year",)),
)


def calendar_columns(series: Series | Panel) -> pd.DataFrame:
    """Make columns of a series' dates.

    Args:
        series: Series with dates; of those in a time zone the local ones count.

    Returns:
        Sine and cosine of each cycle, from -1 to 1, indexed as the series is.

    Raises:
        ConfigError: There are no dates, or steps are so long that no cycle is left.

    Example:
        >>> from kseq import load_series
        >>> calendar_columns(load_series("nino12")).round(2).head(3).to_numpy().tolist()
        [[0.0, 1.0], [0.5, 0.87], [0.87, 0.5]]
    """
    return columns_of_dates(series.index, series.name, series.step)


def columns_of_dates(index: pd.Index, name: str, step: str, cycles: Sequence[str] = ()) -> pd.DataFrame:
    """As :func:`calendar_columns`, of dates in order, the name of what has them and its time step in words.

    Cycles that are named are taken whatever the time step; :func:`cycles_in` finds them among columns.
    """
    if not isinstance(index, pd.DatetimeIndex):
        raise ConfigError(
            f"received a calendar for {name}, whose rows have no dates, expected dates; name their column with ",
            Parameter("time"),
            ", or leave out ",
            Parameter("calendar"),
            ".",
        )
    days = float(np.median(np.diff(index.to_numpy()) / np.timedelta64(1, "D"))) if len(index) > 1 else np.inf
    cycles = cycles or next((cycles for longest, cycles in _CYCLES if days <= longest), ())
    if not cycles:
        raise ConfigError(
            f"received a calendar for {name}, whose step is {step}, expected half a year or less: "
            "longer steps have no cycle for models to read; leave out ",
            Parameter("calendar"),
            ".",
        )
    dates = index
    if index.tz is not None:
        index = index.tz_localize(None)
    columns: dict[str, np.ndarray] = {}
    for cycle in cycles:
        angle = 2 * np.pi * _share(index, cycle)
        columns |= {f"{cycle} (sin)": np.sin(angle), f"{cycle} (cos)": np.cos(angle)}
    return pd.DataFrame(columns, index=dates)


def cycles_in(columns: Sequence[str]) -> tuple[str, ...]:
    """Cycles of which sine and cosine are among some columns, in order.

    Example:
        >>> cycles_in(["y", "day of week (sin)", "day of week (cos)"])
        ('day of week',)
    """
    known = {cycle for _, cycles in _CYCLES for cycle in cycles}
    named = [column.removesuffix(" (sin)") for column in columns if column.endswith(" (sin)")]
    return tuple(cycle for cycle in named if cycle in known)


def _share(index: pd.DatetimeIndex, cycle: str) -> np.ndarray:
    """How much of the cycle each date has behind it, from 0 to below 1."""
    if cycle == "month of year":
        return (index.month.to_numpy() - 1) / 12
    day = ((index - index.normalize()) / pd.Timedelta(days=1)).to_numpy()
    if cycle == "hour of day":
        return day
    if cycle == "day of week":
        return (index.day_of_week.to_numpy() + day) / 7
    return (index.day_of_year.to_numpy() - 1 + day) / np.where(index.is_leap_year, 366, 365)
