"""A series on an even grid: a row for each date of its calendar, the missing ones too.

Windows leave out what is missing. A baseline cannot: a lag of twelve months is twelve rows only where no month is
missing. It reads the grid, in which a missing value is the one that stands a season earlier, or the last one where that
is missing too. Nothing looks ahead, but that values before the first known one repeat it.
"""

from dataclasses import dataclass

import numpy as np

from kseq.data import Calendar, Series
from kseq.data.missing import fill_values


@dataclass(frozen=True)
class Evenly:
    """Targets and phases of a series on its grid.

    Args:
        y: ``(places, targets)``, float64, filled.
        phase: of the season, ``(places,)``.
        places: where each row of the series stands, and one after the last, ``(rows + 1,)``.
    """

    y: np.ndarray
    phase: np.ndarray
    places: np.ndarray


def places_of(series: Series) -> np.ndarray:
    """Where each row stands when missing dates are counted, ``(rows,)``; across holidays rows are counted alone."""
    if not len(series.calendar.breaks):
        return np.arange(len(series))
    return series.calendar.positions(len(series))


def on_grid(series: Series) -> np.ndarray:
    """Targets on the grid, NaN where missing, ``(places, targets)``."""
    places = places_of(series)
    y = np.full((places[-1] + 1, series.y.shape[1]), np.nan)
    y[places] = series.y
    return y


def lay_evenly(series: Series, season: int, phase: np.ndarray) -> Evenly:
    """Lay a series on its grid and fill what is missing.

    Args:
        series: the series.
        season: steps in a season; 1 for none.
        phase: of each row, ``(rows,)``, from 0 to ``season - 1``.

    Returns:
        Evenly: of a series without gaps and missing values its own rows.
    """
    places = places_of(series)
    y = on_grid(series)
    firsts = np.isnan(y).argmin(axis=0)
    for column, first in zip(y.T, firsts, strict=True):
        column[:first] = column[first]
    missing = np.isnan(y)
    if missing.any():
        fill = "seasonal" if season > 1 else "ffill"
        names = list(map(str, series.targets))
        fill_values(y, missing, fill, names, np.array([0, len(y)]), Calendar("rows"), series.name, str, season)
    all_places = np.arange(len(y))
    # A date that is missing continues the season from the row before it.
    before = np.searchsorted(places, all_places, side="right") - 1
    return Evenly(y, (phase[before] + all_places - places[before]) % season, np.append(places, len(y)))
