"""How dates follow one another: their frequency, and gaps in it.

Dates follow the first rule that fits all of them and of which nine steps in ten are single. Dates that follow none,
such as six a month, may still be nearly even; then a step of one and a half or more is a gap.

Steps of less than a day are counted in UTC, so that they stay even when clocks change; longer ones are counted in local
time, in which a day begins at midnight.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from kseq.data._rules import DAY, WEEKDAYS, Rule, business, fixed, monthly, open_days, parse, weekmask_of

#: Share of steps that must be single for dates to have a frequency with gaps, rather than no frequency.
MOST = 0.9

#: Of more dates than this, the usual step is that of samples.
MANY = 50_000

#: Units of uneven steps, in days.
_UNITS = (("days", 1.0), ("hours", 1 / 24), ("minutes", 1 / 1440))

_NONE = np.empty(0, dtype="int64")


@dataclass(frozen=True, eq=False)
class Calendar:
    """How the dates of one series, or of all series of a panel, follow one another.

    Args:
        words: The step in words: ``"monthly"``, ``"5 days (4 to 6)"``, ``"rows"`` without dates.
        alias: Its frequency as pandas calls it; empty where dates follow none.
        season: Steps in a season of the calendar; 1 for none.
        gaps: Numbers of the rows before which dates are missing.
        sizes: How many dates are missing before each of them.
        off: Numbers of the rows whose date does not fit a frequency that the user named.
        remark: A sentence on dates that have a frequency but for too many gaps; empty for none.
    """

    words: str
    alias: str = ""
    season: int = 1
    gaps: np.ndarray = field(default_factory=lambda: _NONE)
    sizes: np.ndarray = field(default_factory=lambda: _NONE)
    off: np.ndarray = field(default_factory=lambda: _NONE)
    remark: str = ""

    @property
    def breaks(self) -> np.ndarray:
        """The gaps across which no window may lie; none of open days, where missing ones are taken as holidays."""
        return self.gaps if weekmask_of(self.alias) is None else _NONE

    def positions(self, rows: int) -> np.ndarray:
        """Where each of the rows stands if missing dates are counted too."""
        steps = np.ones(rows, dtype="int64")
        steps[self.gaps] += self.sizes
        return np.cumsum(steps) - 1

    def gap_note(self, place: Callable[[int], str]) -> str | None:
        """Say how many dates are missing and where, None if none are; ``place`` names a row."""
        if not len(self.gaps):
            return None
        largest = int(self.sizes.argmax())
        first = f"before {place(int(self.gaps[0]))}"
        taken = "; taken as holidays" * (not len(self.breaks))
        if len(self.gaps) == 1:
            return f"{_dates(self.sizes[0])} missing {first} (time step: {self.words}{taken})."
        return (
            f"{_dates(self.sizes.sum())} missing in {len(self.gaps)} places (time step: {self.words}{taken}): first "
            f"{first}; most, {self.sizes[largest]}, before {place(int(self.gaps[largest]))}."
        )


def read(index: pd.Index, borders: np.ndarray | None = None, freq: str | None = None) -> Calendar:
    """Find frequency and gaps of dates.

    Args:
        index: Dates in order, or whole numbers that count steps (:func:`counts_steps`); anything else has no calendar.
        borders: Rows at which a series begins, and the number of rows; None for one series.
        freq: The frequency that the user names; None to find it.

    Returns:
        Calendar: Calendar with the rows that do not fit ``freq`` in ``off``, if there are any.

    Raises:
        ConfigError: ``freq`` is none that is known.

    Example:
        >>> dates = pd.DatetimeIndex(["2001-01-01", "2001-02-01", "2001-03-01", "2001-05-01"])
        >>> read(dates, freq="MS").gaps
        array([3])
    """
    rule, anchored = (None, None) if freq is None else parse(freq)
    outside = _NONE if borders is None else borders[1:-1] - 1
    if not isinstance(index, pd.DatetimeIndex):
        return _of_numbers(index.to_numpy(), outside) if counts_steps(index) else Calendar("rows")
    local, utc = clocks(index)
    if len(index) - len(outside) < 2:
        return Calendar("one date")
    if rule is not None:
        counted = [_count(variant, local, utc, outside) for variant in _variants(rule, local, utc)]
        steps = next((steps for steps in counted if steps.all()), counted[0])
        off = np.flatnonzero(steps == 0) + 1
        if not len(off) and np.bincount(np.minimum(steps, 1000)).argmax() != 1:
            # A frequency that is finer than the dates: each step would be a gap.
            off = np.flatnonzero(steps != 1) + 1
        if anchored is not None and not len(off):
            firsts = np.array([0]) if borders is None else borders[:-1]
            off = firsts[[not anchored.is_on_offset(date) for date in pd.DatetimeIndex(local[firsts])]]
        return _calendar(rule, steps, off)
    remark = ""
    for rule in _candidates(local, utc, outside):
        steps = _count(rule, local, utc, outside)
        if not steps.all():
            continue
        single = float(np.mean(steps == 1))
        if single >= MOST:
            return _calendar(rule, steps)
        remark = (
            f"{1 - single:.0%} of the steps are longer than the usual one, {rule.words}: dates are taken as irregular; "
            f"name the frequency, {rule.alias}, and long steps count as gaps."
        )
    return _uneven(even_clock(local, utc, outside), outside, remark)


def counts_steps(index: pd.Index) -> bool:
    """Whether an index holds whole numbers that its user gave in the place of dates, which bears a name then.

    Numbers of rows, for data of which nothing is known, bear none.

    Example:
        >>> counts_steps(pd.Index([10, 20, 30], name="ds")), counts_steps(pd.RangeIndex(3))
        (True, False)
    """
    return not isinstance(index, pd.DatetimeIndex) and index.name is not None


def step_of_numbers(numbers: np.ndarray, outside: np.ndarray = _NONE) -> int:
    """The commonest difference of whole numbers that count steps; 1 where there is only one number."""
    return int(_usual_step(numbers, outside)) if len(numbers) - len(outside) > 1 else 1


def stretches(borders: np.ndarray, ends: np.ndarray, gaps: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Runs of rows that follow one another without border, gap or missing value.

    Args:
        borders: Rows at which a series begins, and the number of rows, ``(series + 1,)``.
        ends: One after the last row of each series that holds a target, ``(series,)``.
        gaps: Rows before which dates are missing.
        missing: Rows with a missing value.

    Returns:
        First row and one after the last, ``(stretches, 2)``.

    Example:
        >>> none = np.array([], dtype=int)
        >>> stretches(np.array([0, 5, 9]), np.array([5, 9]), np.array([7]), np.array([1])).tolist()
        [[0, 1], [2, 5], [5, 7], [7, 9]]
    """
    firsts = np.unique(np.concatenate([borders[:-1], gaps, missing + 1]))
    firsts = firsts[firsts < borders[-1]]
    firsts = firsts[firsts < ends[np.searchsorted(borders, firsts, side="right") - 1]]
    # A stretch stops at the next gap or end, or at the next missing row, which may be its own first one.
    stops = np.unique(np.concatenate([ends, gaps]))
    lasts = stops[np.searchsorted(stops, firsts, side="right")]
    if len(missing):
        next_missing = np.append(missing, borders[-1])[np.searchsorted(missing, firsts)]
        lasts = np.minimum(lasts, next_missing)
    return np.column_stack([firsts, lasts])[lasts > firsts]


def _candidates(local: np.ndarray, utc: np.ndarray, outside: np.ndarray) -> list[Rule]:
    """Rules that the dates may follow, the most special first."""
    step = _usual_step(even_clock(local, utc, outside), outside)
    rules = [fixed(step)]
    if step >= 28 * DAY:
        rules.insert(0, monthly(round(step / DAY / 30.4369), first=local[0]))
    if DAY <= step < 7 * DAY:
        mask = open_days(local)
        # A weekday is closed where it is missing for weeks; without one between two dates nothing tells.
        long = local[-1] - local[0] >= (7 if mask == WEEKDAYS else 28) * DAY or len(outside)
        if mask.count("1") > 1 and "0" in mask and long:
            opened, all_days = (_count(rule, local, utc, outside) for rule in (business(mask), fixed(DAY)))
            if (opened < all_days).any():
                rules.insert(0, business(mask))
    return [variant for rule in rules for variant in _variants(rule, local, utc)]


def _variants(rule: Rule, local: np.ndarray, utc: np.ndarray) -> list[Rule]:
    """The rule; and, for days that begin at midnight in UTC but are given in local time, the rule in UTC."""
    return [rule, replace(rule, local=False)] if rule.local and local is not utc else [rule]


# --------------------------------------------------------------------------------------------------------------------
# Steps. `outside` numbers those that lead from one series to the next.


def clocks(index: pd.DatetimeIndex) -> tuple[np.ndarray, np.ndarray]:
    """Dates in local time and in UTC."""
    if index.tz is None:
        dates = index.to_numpy()
        return dates, dates
    return index.tz_localize(None).to_numpy(), index.tz_convert("UTC").tz_localize(None).to_numpy()


def even_clock(local: np.ndarray, utc: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The clock in which steps are even: UTC where they are shorter than a day, which has 23 to 25 hours."""
    if local is utc:
        return local
    return utc if _usual_step(utc, outside) < np.timedelta64(20, "h") else local


def _count(rule: Rule, local: np.ndarray, utc: np.ndarray, outside: np.ndarray) -> np.ndarray:
    steps = rule.count(local if rule.local else utc)
    steps[outside] = 1
    return steps


def _usual_step(dates: np.ndarray, outside: np.ndarray) -> np.timedelta64:
    """The commonest step; of many dates, that of some thousands throughout."""
    rows = len(dates) - 1
    if rows > MANY:
        sample = (np.linspace(0, rows - 1000, 20, dtype="int64")[:, None] + np.arange(1000)).ravel()
    else:
        sample = np.arange(rows)
    inside = sample[~np.isin(sample, outside)]
    if not len(inside):
        inside = np.setdiff1d(np.arange(rows), outside)
    values, counts = np.unique(dates[inside + 1] - dates[inside], return_counts=True)
    return values[counts.argmax()]


def _of_numbers(numbers: np.ndarray, outside: np.ndarray) -> Calendar:
    """A calendar of whole numbers that count steps; some are missing where they grow by several steps."""
    steps = np.diff(numbers) // step_of_numbers(numbers, outside)
    steps[outside] = 1
    gaps = np.flatnonzero(steps > 1)
    return Calendar("rows", gaps=gaps + 1, sizes=steps[gaps] - 1)


def _calendar(rule: Rule, steps: np.ndarray, off: np.ndarray = _NONE) -> Calendar:
    gaps = np.flatnonzero(steps > 1)
    return Calendar(rule.words, rule.alias, rule.season, gaps + 1, steps[gaps] - 1, off)


def _uneven(dates: np.ndarray, outside: np.ndarray, remark: str) -> Calendar:
    """A calendar of dates that follow no rule, with gaps where they are nearly even."""
    steps = np.diff(dates) / DAY
    inside = np.delete(steps, outside)
    low, middle, high = float(inside.min()), float(np.median(inside)), float(inside.max())
    unit, days = next(((unit, days) for unit, days in _UNITS if middle >= days), _UNITS[-1])
    words = f"{middle / days:g} {unit} ({low / days:g} to {high / days:g})"
    steps[outside] = middle
    if np.mean(np.abs(steps / middle - 1) < 0.5) < MOST:
        return Calendar(words, remark=remark)
    gaps = np.flatnonzero(steps >= 1.5 * middle)
    return Calendar(words, "", 1, gaps + 1, np.rint(steps[gaps] / middle).astype("int64") - 1, remark=remark)


def _dates(count: int) -> str:
    return "1 date is" if count == 1 else f"{count} dates are"
