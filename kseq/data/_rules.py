"""Rules that dates may follow: fixed steps, months, working days.

A :class:`Rule` counts the steps between neighbouring dates: 1 from one date to the next, 2 where one is missing, 0
where the dates do not fit; and it continues dates. :func:`parse` makes one of the frequency that a user names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kseq.errors import ConfigError, Parameter
from kseq.text import shown

DAY = np.timedelta64(1, "D")

#: Monday to Friday.
WEEKDAYS = "1111100"

_DAY_NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")

#: Steps of fixed length: pandas' name, name of one, of several, and length.
_FIXED = (
    ("W", "weekly", "weeks", np.timedelta64(7, "D")),
    ("D", "daily", "days", DAY),
    ("h", "hourly", "hours", np.timedelta64(1, "h")),
    ("min", "minutely", "minutes", np.timedelta64(1, "m")),
    ("s", "every second", "seconds", np.timedelta64(1, "s")),
    ("ms", "every millisecond", "milliseconds", np.timedelta64(1, "ms")),
    ("us", "every microsecond", "microseconds", np.timedelta64(1, "us")),
    ("ns", "every nanosecond", "nanoseconds", np.timedelta64(1, "ns")),
)

#: Steps of months: pandas' letter, and in words.
_MONTHS = {1: ("M", "monthly"), 3: ("Q", "quarterly"), 12: ("Y", "yearly")}

#: Dates that tell on which day of a month the next one lies.
RECENT = 24

#: What a user may write instead of pandas' names, and the day of a month or week left open.
_NAMES = {
    "hourly": "h", "daily": "D", "business": "B", "weekly": "W", "monthly": "MS", "quarterly": "QS", "yearly": "YS",
    "H": "h", "T": "min", "S": "s", "M": "MS", "Q": "QS", "Y": "YS", "A": "YS",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One frequency.

    Args:
        alias: Name as pandas calls it.
        words: Name for readers.
        season: Steps in a season of the calendar; 1 for none.
        local: Whether steps are counted in local time.
        count: Steps between neighbouring dates, ``(dates - 1,)``; 0 where they do not fit.
        after: So many dates after the last one of others.
        is_fixed: Whether all steps have one length.
    """

    alias: str
    words: str
    season: int
    local: bool
    count: Callable[[np.ndarray], np.ndarray]
    after: Callable[[np.ndarray, int], np.ndarray]
    is_fixed: bool = False


def parse(freq: str) -> tuple[Rule, pd.DateOffset | None]:
    """Read a frequency that a user names.

    Args:
        freq: Frequency as pandas calls it, or a word such as "monthly".

    Returns:
        The rule; and the offset on which the first date must lie, None where its day of the month or week is open.

    Raises:
        ConfigError: It is none that is known.
    """
    if not isinstance(freq, str):
        raise _unknown(freq)
    text = freq.strip()
    closed = weekmask_of(text)
    if closed is not None:
        return business(closed), None
    unit, _, anchor = text.lstrip("0123456789 ").partition("-")
    if not anchor and unit in _NAMES:
        text = text.removesuffix(unit) + _NAMES[unit]
    try:
        offset = pd.tseries.frequencies.to_offset(text)
    except ValueError as error:
        raise _unknown(freq) from error
    return _rule_of(offset, freq), offset if anchor or unit in ("MS", "ME") else None


def _rule_of(offset: pd.DateOffset, freq: str) -> Rule:
    offsets = pd.offsets
    n = offset.n
    if n < 1:
        raise _unknown(freq)
    if type(offset) is offsets.BusinessDay and n == 1:
        return business()
    if isinstance(offset, offsets.Week | offsets.Day):
        return fixed(n * (7 if isinstance(offset, offsets.Week) else 1) * DAY, freq)
    for kinds, months in (
        (offsets.MonthBegin | offsets.MonthEnd, 1),
        (offsets.QuarterBegin | offsets.QuarterEnd, 3),
        (offsets.YearBegin | offsets.YearEnd, 12),
    ):
        if isinstance(offset, kinds):
            return monthly(n * months, freq)
    if isinstance(offset, offsets.Tick):
        return fixed(pd.Timedelta(offset).to_timedelta64(), freq)
    raise _unknown(freq)


def _unknown(freq: str) -> ConfigError:
    return ConfigError(
        "received ", Parameter("freq"), f" {shown(freq)}, expected a frequency as pandas calls it: h, 15min, D, B, W, "
        "5D, MS, QS or YS; or C-1111101 for"
        " days with the open ones from Monday on.",
    )  # fmt: skip


def fixed(step: np.timedelta64, alias: str = "") -> Rule:
    """Steps of one length: so many days, hours, minutes."""

    def count(dates: np.ndarray) -> np.ndarray:
        steps = np.diff(dates)
        whole = steps // step
        whole[steps != whole * step] = 0
        return whole

    def after(dates: np.ndarray, n: int) -> np.ndarray:
        return dates[-1] + step * np.arange(1, n + 1)

    words = ""
    for unit, one, several, length in _FIXED:
        if step % length == np.timedelta64(0):
            n = int(step / length)
            alias, words = alias or f"{n if n > 1 else ''}{unit}", one if n == 1 else f"{n} {several}"
            break
    days = step / DAY
    season = {1.0: 7, 7.0: 52}.get(days, round(1 / days) if days < 1 else round(365.25 / days))
    return Rule(alias, words, max(season, 1), bool(days >= 1), count, after, is_fixed=True)


def monthly(months: int, alias: str = "", first: np.datetime64 | None = None) -> Rule:
    """Steps of so many months, at about the same day: middles and ends of months move with their lengths.

    Args:
        months: Number of months in a step.
        alias: Name as the user calls it; by default pandas' name.
        first: A date that tells starts of months from ends.
    """

    def count(dates: np.ndarray) -> np.ndarray:
        month = dates.astype("datetime64[M]")
        day = (dates - month) / DAY
        far = np.abs(day - np.median(day)) > 3
        steps = np.diff(month).astype("int64")
        whole = steps // months
        whole[(steps % months != 0) | far[1:] | far[:-1]] = 0
        return whole

    def after(dates: np.ndarray, n: int) -> np.ndarray:
        # At the end of a month if all recent dates are ends, else on their commonest day.
        recent = pd.DatetimeIndex(dates[-RECENT:])
        month = dates[-1].astype("datetime64[M]") + months * np.arange(1, n + 1)
        ends = (month + 1).astype("datetime64[D]") - DAY
        hour = dates[-1] - dates[-1].astype("datetime64[D]")
        if recent.is_month_end.all():
            return ends + hour
        days, counts = np.unique(recent.day, return_counts=True)
        # Where each day is as common as the others, the latest: the 30th is the 28th in February.
        day = days[counts == counts.max()].max()
        return np.minimum(month.astype("datetime64[D]") + (day - 1) * DAY, ends) + hour

    letter, words = _MONTHS.get(months, (f"{months}M", f"{months} months"))
    place = ""
    if first is not None:
        date = pd.Timestamp(first)
        place = "S" if date.is_month_start else "E" * date.is_month_end
    return Rule(alias or letter + place, words, 12 // months if 12 % months == 0 else 1, True, count, after)


def business(weekmask: str = WEEKDAYS) -> Rule:
    """Steps from open day to open day; holidays are gaps.

    Args:
        weekmask: A 1 for each open day of the week from Monday on, a 0 for each closed one.
    """

    def count(dates: np.ndarray) -> np.ndarray:
        days = dates.astype("datetime64[D]")
        steps = np.busday_count(days[:-1], days[1:], weekmask=weekmask)
        open_, hour = np.is_busday(days, weekmask=weekmask), dates - days
        steps[~open_[1:] | ~open_[:-1] | (hour[1:] != hour[:-1])] = 0
        return steps

    def after(dates: np.ndarray, n: int) -> np.ndarray:
        day = dates[-1].astype("datetime64[D]")
        later = np.busday_offset(day, np.arange(1, n + 1), roll="backward", weekmask=weekmask)
        return later + (dates[-1] - day)

    if weekmask == WEEKDAYS:
        return Rule("B", "business days", 5, True, count, after)
    days = [name for name, is_open in zip(_DAY_NAMES, weekmask, strict=True) if is_open == "0"]
    words = f"daily without {', '.join(days[:-1])}{' and ' * (len(days) > 1)}{days[-1]}"
    return Rule(f"C-{weekmask}", words, weekmask.count("1"), True, count, after)


def weekmask_of(alias: str) -> str | None:
    """The open days of the week in a frequency's name, as :func:`business` takes them; None where all are open."""
    if alias in ("B", "business"):
        return WEEKDAYS
    return alias[2:] if re.fullmatch(r"C-(?=.*1)[01]{7}", alias) else None


def open_days(dates: np.ndarray) -> str:
    """The days of the week on which dates lie, as :func:`business` takes them."""
    # The first of January 1970 was a Thursday.
    days = np.bincount((dates.astype("datetime64[D]").astype("int64") + 3) % 7, minlength=7)
    return "".join("01"[int(count > 0)] for count in days)
