"""Dates that are refused: those that do not fit the frequency that their user named, and mixed frequencies."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from kseq.data._rules import fixed, monthly
from kseq.data.frequency import Calendar, clocks, even_clock, read
from kseq.errors import DataError, Parameter

#: So many steps in a row of another size are no gaps but another frequency: a year of months.
RUN = 12


def check(
    calendar: Calendar,
    index: pd.Index,
    borders: np.ndarray,
    name: str,
    place: Callable[[int], str],
    given: bool = False,
) -> None:
    """Refuse dates that do not fit the frequency that their user named, or that mix several.

    Args:
        calendar: Calendar of the dates, from :func:`read`.
        index: The dates.
        borders: Rows at which a series begins, and the number of rows.
        name: Name of the data, for messages.
        place: Names a row, for messages.
        given: Whether the user named the frequency; then any number of long steps are gaps.
    """
    if not isinstance(index, pd.DatetimeIndex):
        return
    if len(calendar.off):
        looks = read(index, borders).words
        raise DataError(
            f"{name}: {len(calendar.off)} of {len(index)} dates do not fit ",
            Parameter("freq"),
            f" {calendar.alias} (first: {place(int(calendar.off[0]))}); the dates look like: {looks}; give another ",
            Parameter("freq"),
            ", or none.",
        )
    if len(index) - len(borders) < 2:
        return
    local, utc = clocks(index)
    clock = even_clock(local, utc, borders[1:-1] - 1)
    _require_alike(clock, index, borders, name, place)
    # Of dates with a frequency many longer steps must stand in a row.
    in_a_row = _runs(calendar.gaps - np.arange(len(calendar.gaps)))[1].max(initial=0)
    if not calendar.alias or (in_a_row >= RUN and not given):
        _require_one_run(clock, borders, name, place)


def _require_alike(
    clock: np.ndarray, index: pd.DatetimeIndex, borders: np.ndarray, name: str, place: Callable[[int], str]
) -> None:
    """Refuse a panel in which an even series steps otherwise than the rest."""
    long = np.flatnonzero(np.diff(borders) >= 5)
    if len(borders) == 2 or not len(long):
        return
    steps = np.diff(clock).astype("int64")
    # Every other one of these parts is a series; the rest lie between two of them.
    parts = np.column_stack([borders[long], borders[long + 1] - 1]).ravel()
    parts = parts[parts < len(steps)]
    low, high = np.minimum.reduceat(steps, parts)[::2], np.maximum.reduceat(steps, parts)[::2]
    typical = np.median(low)
    other = (high <= 1.15 * low) & ((low > 1.5 * typical) | (1.5 * low < typical))
    if other.any():
        odd, usual = (long[at] for at in (other.argmax(), np.abs(low - typical).argmin()))
        words = [read(index[borders[s] : borders[s + 1]]).words for s in (odd, usual)]
        raise DataError(
            f"{name}: {int(other.sum())} of {len(borders) - 1} series differ in frequency from the rest (first: "
            f"{place(int(borders[odd]))}, {words[0]}, the rest {words[1]}), expected one; read them apart, or resample."
        )


def _require_one_run(clock: np.ndarray, borders: np.ndarray, name: str, place: Callable[[int], str]) -> None:
    """Refuse dates of which long runs are even, each in its own way."""
    steps, month, day = np.diff(clock), clock.astype("datetime64[M]"), clock - clock.astype("datetime64[M]")
    months = np.where(day[1:] == day[:-1], np.diff(month).astype("int64"), 0)
    steps[borders[1:-1] - 1], months[borders[1:-1] - 1] = np.timedelta64(0), 0
    found: dict[str, int] = {}
    for counted, rule in ((steps, fixed), (months, monthly)):
        firsts, lengths = _runs(counted)
        for first in firsts[(lengths >= RUN) & (counted[firsts] > counted.dtype.type(0))]:
            found.setdefault(rule(counted[first]).words, int(first))
    if len(found) > 1:
        (before, _), (after, row) = sorted(found.items(), key=lambda item: item[1])[:2]
        raise DataError(
            f"{name}: dates mix frequencies ({before}, and {after} from {place(row)} on), expected one; resample, or "
            "keep the rows of one."
        )


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of equal values begin, and how long they are."""
    if not len(values):
        return np.empty(0, int), np.empty(0, int)
    firsts = np.append(0, np.flatnonzero(values[1:] != values[:-1]) + 1)
    return firsts, np.diff(firsts, append=len(values))
