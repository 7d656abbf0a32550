"""How long the season of a series is, and where in it each row stands, from its dates and training rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Cycle:
    """The season of a series and where in it each row stands.

    Args:
        season: Steps in a season; 1 for none.
        phase: Phase of each row, from 0 to ``season - 1``.
    """

    season: int
    phase: np.ndarray

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Phase of rows by number; rows after the last date continue the cycle."""
        beyond = np.maximum(rows - len(self.phase) + 1, 0)
        return self.phase[rows - -(-beyond // self.season) * self.season]

    def means_of(self, y: np.ndarray) -> np.ndarray:
        """Mean of each phase, ``(season, targets)``; a phase that never occurs takes the mean of all rows.

        Args:
            y: Values of the first rows, ``(rows, targets)``.
        """
        phase = self.at(np.arange(len(y)))
        counts = np.bincount(phase, minlength=self.season)[:, None]
        sums = np.zeros((self.season, y.shape[1]))
        np.add.at(sums, phase, y)
        return np.where(counts > 0, sums / np.maximum(counts, 1), y.mean(axis=0))


def season_of(index: pd.Index, y: np.ndarray | None = None) -> int:
    """Find how many steps a season has, from the dates.

    A season is one of the calendar: a year, or for daily data a week, or for faster data a day. A cycle that the
    calendar does not know, such as the eleven years of sunspots, must be given by the user.

    Args:
        index: The dates; anything else has no season.
        y: Values of the training part, ``(rows,)`` or ``(rows, targets)``. With them daily data get the week or the
            year, and faster data the day or the week, whichever explains more of their variance; without them the
            shorter one.

    Returns:
        12 for months, 4 for quarters, 52 for weeks, 7 for days (5 without weekends), 24 for hours; for other steps of
        days the number that a year holds on average (72 for six a month); 1 where there is no season.

    Example:
        >>> season_of(pd.date_range("2000-01-01", periods=36, freq="MS"))
        12
    """
    candidates = calendar_seasons(index)
    if y is None or len(candidates) == 1:
        return candidates[0]
    y = as_columns(y)
    long_enough = [season for season in candidates if len(y) >= 2 * season]
    return max(long_enough, key=lambda season: _explained(y, cycle_of(index[: len(y)], season)), default=candidates[0])


def cycle_of(index: pd.Index, season: int, places: np.ndarray | None = None) -> Cycle:
    """Find where in the season each row stands.

    A season of the calendar is read from the dates, so that dates which are not quite evenly spaced, such as six a
    month, stay in phase: the month, the place within the month, the day of the year (29 February counts as the 28th),
    the day of the week or the time of day. Any other season is counted in rows, or in ``places``, where each row stands
    when missing dates are counted.

    Example:
        >>> cycle_of(pd.date_range("2000-11-01", periods=3, freq="MS"), 12).phase
        array([10, 11,  0])
    """
    by_row = (np.arange(len(index)) if places is None else places) % season
    if getattr(index, "tz", None):
        # A day on which clocks change keeps 24 phases: its times are those of the wall.
        index = index.tz_localize(None)
    if season < 2 or season not in calendar_seasons(index):
        return Cycle(season, by_row)
    hours = _step_hours(index)
    month, day = index.month.to_numpy() - 1, index.day_of_year.to_numpy() - 1
    if hours < 24:
        per_day = round(24 / hours)
        seconds = ((index - index.normalize()) / pd.Timedelta(seconds=1)).to_numpy()
        slot = np.floor(seconds * per_day / 86400).astype(int)
        return Cycle(season, slot if season == per_day else index.day_of_week.to_numpy() * per_day + slot)
    if season in (5, 7) and hours < 48:
        return Cycle(season, index.day_of_week.to_numpy())
    if season == 365:
        after_february = index.is_leap_year & (day >= 59)
        return Cycle(season, day - after_february)
    if season in (4, 12):
        return Cycle(season, month * season // 12)
    per_month = _rows_per_month(index)
    if per_month * 12 == season:
        order = pd.Series(0, index=index).groupby([index.year, index.month]).cumcount().to_numpy()
        # The first month may lack its first dates.
        in_first = (index.year == index[0].year) & (index.month == index[0].month)
        return Cycle(season, month * per_month + order + in_first * (per_month - int(in_first.sum())))
    return Cycle(season, day * season // 366)


def calendar_seasons(index: pd.Index) -> list[int]:
    """Seasons that the dates may have, the likeliest first; ``[1]`` for none."""
    if not isinstance(index, pd.DatetimeIndex) or len(index) < 3:
        return [1]
    hours = _step_hours(index)
    if hours <= 12:
        per_day = round(24 / hours)
        return [per_day, 7 * per_day]
    if 20 <= hours < 48:
        return [7, 365] if (index.day_of_week >= 5).any() else [5]
    days = hours / 24
    for low, high, season in ((7, 7, 52), (28, 31, 12), (89, 92, 4)):
        if low <= days <= high:
            return [season]
    years = (index[-1] - index[0]) / pd.Timedelta(days=365.2425)
    per_year = round((len(index) - 1) / years)
    return [per_year if per_year >= 2 else 1]


def _step_hours(index: pd.DatetimeIndex) -> float:
    return float(np.median(np.diff(index.to_numpy()) / np.timedelta64(1, "h")))


def _rows_per_month(index: pd.DatetimeIndex) -> int:
    """How many dates every whole month has; 0 where months differ."""
    counts = pd.Series(1, index=index).groupby([index.year, index.month]).sum().to_numpy()[1:-1]
    return int(counts[0]) if len(counts) and (counts == counts[0]).all() else 0


def _explained(y: np.ndarray, cycle: Cycle) -> float:
    """Share of variance that the phases' means explain, less what as many means of noise would explain."""
    rows = len(y)
    anomalies = y - cycle.means_of(y)[cycle.at(np.arange(rows))]
    return float(np.mean(1 - anomalies.var(axis=0) / y.var(axis=0) * (rows - 1) / (rows - cycle.season)))


#: Widths, in phases, over which a climatology may be smoothed; up to a quarter of a season of :data:`SMOOTHED` or more.
WIDTHS, SMOOTHED = (1, 3, 5, 7, 11, 15, 21, 31, 45, 61, 91), 24


def climatology(
    y: np.ndarray, owners: np.ndarray, phase: np.ndarray, places: np.ndarray, series: int, season: int
) -> np.ndarray:
    """Mean of each phase of each series, over neighbouring phases where those of single ones are noise.

    Means of single days of the year are of some tens of values: Hobday et al. (2016) average over 11 days and smooth
    over 31. The width is that which forecasts best each season, by the others, of all series together.

    Args:
        y: Values without NaN, ``(rows, targets)``.
        owners: Series of each row, ``(rows,)``; sorted.
        phase: Phase of each row, from 0 to ``season - 1``.
        places: Place of each row within its series.
        series: How many there are.
        season: Steps in a season.

    Returns:
        ``(series, season, targets)``; where no value is near, the mean of the series, and 0 of one without values.
    """
    cells = owners * season + phase
    count = np.bincount(cells, minlength=series * season).reshape(series, season, 1)
    total = np.stack([np.bincount(cells, of, series * season) for of in y.T], axis=-1).reshape(series, season, -1)
    whole = total.sum(axis=1, keepdims=True) / np.maximum(count.sum(axis=1, keepdims=True), 1)
    width = _width(y, owners, phase, places, count, total)
    count, total = _around(count, width), _around(total, width)
    return np.where(count > 0, total / np.maximum(count, 1), whole)


def _width(
    y: np.ndarray, owners: np.ndarray, phase: np.ndarray, places: np.ndarray, count: np.ndarray, total: np.ndarray
) -> int:
    """Width of which the mean forecasts each season best, by the other seasons; errors in units of each series."""
    series, season, targets = total.shape
    widths = [width for width in WIDTHS if width <= season // 4] if season >= SMOOTHED else [1]
    if len(widths) == 1 or not len(y):
        return 1
    # Blocks of a season's length, one after the other, each of which is forecast by the others of its series.
    key = owners * (places.max() // season + 1) + places // season
    blocks, block = np.unique(key, return_inverse=True)
    cells = block * season + phase
    own_count = np.bincount(cells, minlength=len(blocks) * season).reshape(-1, season, 1)
    own = np.stack([np.bincount(cells, of, len(blocks) * season) for of in y.T], axis=-1).reshape(
        (*own_count.shape[:2], targets)
    )
    # A phase of one season alone cannot be forecast without its neighbours.
    judged = (count[owners, phase] - own_count[block, phase])[:, 0] > 0
    if not judged.any():
        return 1
    means = total.sum(axis=1) / np.maximum(count.sum(axis=1), 1)
    spread = np.stack([np.bincount(owners, of, series) for of in np.square(y - means[owners]).T], axis=-1)
    spread = np.where(spread > 0, spread, 1.0)[owners[judged]]
    errors = []
    for width in widths:
        others = (_around(total, width)[owners, phase] - _around(own, width)[block, phase])[judged]
        of = (_around(count, width)[owners, phase] - _around(own_count, width)[block, phase])[judged]
        errors.append(float(np.sum(np.square(y[judged] - others / of) / spread)))
    return widths[int(np.argmin(errors))]


def _around(values: np.ndarray, width: int) -> np.ndarray:
    """Sums over ``width`` phases around each, ``(series, season, targets)``; the first phase follows the last."""
    if width == 1:
        return values
    half = width // 2
    padded = np.concatenate([values[:, -half:], values, values[:, :half]], axis=1)
    sums = np.cumsum(np.concatenate([np.zeros_like(padded[:, :1]), padded], axis=1), axis=1)
    return sums[:, width:] - sums[:, :-width]


def as_columns(y: np.ndarray) -> np.ndarray:
    """Values of one target, ``(rows,)``, or of several, as ``(rows, targets)``, float64."""
    y = np.asarray(y, dtype="float64")
    return y[:, None] if y.ndim == 1 else y
