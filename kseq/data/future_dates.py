"""The dates after the last one: what a forecast's steps are called.

Dates go on as they have come: by months, working days or steps of one length where they have such a frequency; by the
pattern of the year before where a year has one (six dates a month); by their usual step otherwise. Steps of less than a
day are counted in UTC, longer ones on the local clock, as in :mod:`kseq.data.frequency`.
"""

import numpy as np
import pandas as pd

from kseq.data import frequency
from kseq.data._rules import weekmask_of

#: Dates that tell on which day of a month the next one lies.
RECENT = 24

_DAY = np.timedelta64(1, "D")

#: Months in a step, by the first letter of a frequency's name; and frequencies that are written as words.
_MONTHS = {"M": 1, "Q": 3, "Y": 12, "A": 12}
_WORDS = {"monthly": "M", "quarterly": "Q", "yearly": "Y"}


def dates_after(index: pd.Index, steps: int, freq: str = "") -> pd.Index:
    """Continue dates.

    Args:
        index: dates in order, at least two; or whole numbers, which go on by their own step.
        steps: how many dates to add.
        freq: their frequency as pandas calls it, where it is known; by default it is found.

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
    unit = _WORDS.get(alias, alias.lstrip("0123456789 ").partition("-")[0])
    local, utc = frequency.clocks(index)
    weekmask = weekmask_of(alias)
    if weekmask is not None:
        dates, clock = _open_days(local[-1], steps, weekmask), local
    elif unit[:1] in _MONTHS and unit not in ("min", "ms"):
        number = alias[: len(alias) - len(alias.lstrip("0123456789"))]
        dates, clock = _months(local, steps, _MONTHS[unit[0]] * int(number or 1)), local
    elif alias:
        # Days may begin at midnight in UTC and be given in local time: the clock on which fewer steps differ is theirs.
        likely = frequency.even_clock(local, utc, np.empty(0, dtype="int64"))
        clock = min((likely, local, utc), key=lambda times: len(np.unique(np.diff(times))))
        dates = clock[-1] + _usual_step(clock) * np.arange(1, steps + 1)
    else:
        dates, clock = _as_last_year(local, steps), local
    return _in_zone(pd.DatetimeIndex(dates), index, is_utc=clock is not local).as_unit(index.unit).rename(index.name)


def _in_zone(dates: pd.DatetimeIndex, index: pd.DatetimeIndex, is_utc: bool) -> pd.DatetimeIndex:
    if index.tz is None:
        return dates
    if is_utc:
        return dates.tz_localize("UTC").tz_convert(index.tz)
    # Of an hour that the clock shows twice the first is meant; one that it leaves out becomes the next one.
    return dates.tz_localize(index.tz, ambiguous=np.ones(len(dates), bool), nonexistent="shift_forward")


def _usual_step(dates: np.ndarray) -> np.timedelta64:
    lengths, counts = np.unique(np.diff(dates), return_counts=True)
    return lengths[counts.argmax()]


def _open_days(last: np.datetime64, steps: int, weekmask: str) -> np.ndarray:
    day = last.astype("datetime64[D]")
    return np.busday_offset(day, np.arange(1, steps + 1), roll="backward", weekmask=weekmask) + (last - day)


def _months(dates: np.ndarray, steps: int, months: int) -> np.ndarray:
    """So many months on, at the end of a month if all recent dates are ends, else on their commonest day."""
    recent = pd.DatetimeIndex(dates[-RECENT:])
    month = dates[-1].astype("datetime64[M]") + months * np.arange(1, steps + 1)
    ends = (month + 1).astype("datetime64[D]") - _DAY
    hour = dates[-1] - dates[-1].astype("datetime64[D]")
    if recent.is_month_end.all():
        return ends + hour
    days, counts = np.unique(recent.day, return_counts=True)
    # Where each day is as common as the others, the latest: the 30th is the 28th in February.
    day = days[counts == counts.max()].max()
    return np.minimum(month.astype("datetime64[D]") + (day - 1) * _DAY, ends) + hour


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
