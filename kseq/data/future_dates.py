"""The dates after the last one: what a forecast's steps are called.

Dates go on as they have come: by months, working days or steps of one length where they have such a frequency; by the
pattern of the year before where a year has one (six dates a month); by their usual step otherwise. Steps of less than a
day are counted in UTC, longer ones on the local clock, as in :mod:`kseq.data.frequency`.
"""

import numpy as np
import pandas as pd

from kseq.data import frequency
from kseq.data._rules import parse


def dates_after(index: pd.Index, steps: int, freq: str = "") -> pd.Index:
    """Continue dates.

    Args:
        index: Dates in order, at least two; or whole numbers, which go on by their own step.
        steps: Number of dates to add.
        freq: Their frequency as pandas calls it, where it is known; by default it is found.

    Returns:
        Dates of the steps after the last one, in the time zone of ``index``; whole numbers where there are no dates.

    Example:
        >>> dates_after(pd.DatetimeIndex(["2023-11-30", "2023-12-31"]), 2, "ME").strftime("%Y-%m-%d").tolist()
        ['2024-01-31', '2024-02-29']
    """
    if not isinstance(index, pd.DatetimeIndex):
        last, step = int(index[-1]), frequency.step_of_numbers(index.to_numpy())
        return pd.RangeIndex(last + step, last + step * (steps + 1), step, name=index.name)
    alias = freq or frequency.read(index).alias
    local, utc = frequency.clocks(index)
    if not alias:
        dates, clock = _as_last_year(local, steps), local
    else:
        rule = parse(alias)[0]
        if rule.is_fixed:
            # Days may begin at midnight in UTC and be given in local time: the clock on which fewer steps differ is it.
            likely = frequency.even_clock(local, utc, np.empty(0, dtype="int64"))
            clock = min((likely, local, utc), key=lambda times: len(np.unique(np.diff(times))))
        else:
            clock = local
        dates = rule.after(clock, steps)
    return _in_zone(pd.DatetimeIndex(dates), index, is_utc=clock is not local).as_unit(index.unit).rename(index.name)


def _in_zone(dates: pd.DatetimeIndex, index: pd.DatetimeIndex, is_utc: bool) -> pd.DatetimeIndex:
    if index.tz is None:
        return dates
    if is_utc:
        return dates.tz_localize("UTC").tz_convert(index.tz)
    # Of an hour that the clock shows twice the first is meant; one that it leaves out becomes the next one.
    return dates.tz_localize(index.tz, ambiguous=np.ones(len(dates), bool), nonexistent="shift_forward")


def _as_last_year(dates: np.ndarray, steps: int) -> np.ndarray:
    """Repeat the dates of the year before, a year later; go on by the usual step where that year has none like it."""
    usual = np.median(np.diff(dates).astype("int64")).astype("int64").astype(np.diff(dates).dtype)
    known = pd.DatetimeIndex(dates)
    while len(known) < len(dates) + steps:
        before = known[-1] - pd.DateOffset(years=1)
        place = int(np.abs(known - before).argmin())
        later = (known[place + 1 :] + pd.DateOffset(years=1)).unique()
        later = later[later > known[-1]]
        if abs(known[place] - before) > usual / 2 or not len(later):
            later = pd.DatetimeIndex([known[-1] + usual])
        known = known.append(later)
    return known.to_numpy()[len(dates) : len(dates) + steps]
