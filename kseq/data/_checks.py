"""What is refused or told of rows that are sorted by series: infinite values, constant targets, what is known ahead."""

from collections.abc import Callable, Sequence

import numpy as np

from kseq.data.columns import Roles
from kseq.data.frequency import Calendar
from kseq.errors import DataError

#: A gap of so many times the rows of the data is none.
LONGEST_GAP = 100


def require_finite(values: np.ndarray, columns: Sequence[str], name: str, place: Callable[[int], str]) -> None:
    """Refuse infinite values."""
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.any(axis=1).argmax())
        column = columns[int(infinite[row].argmax())]
        raise DataError(
            f"{name}: {int(infinite.sum())} infinite values (first in column {column!r}, {place(row)}), "
            "expected finite numbers; mend the data or its reading."
        )


def require_no_reset(calendar: Calendar, borders: np.ndarray, name: str, place: Callable[[int], str]) -> None:
    """Refuse a gap that is far longer than all that stands around it: a clock was reset."""
    rows = int(borders[-1])
    if not len(calendar.sizes) or calendar.sizes.max() < LONGEST_GAP * rows + 10**5:
        return
    at = int(calendar.sizes.argmax())
    row = int(calendar.gaps[at])
    series = int(np.searchsorted(borders, row, side="right") - 1)
    before, after = row - int(borders[series]), int(borders[series + 1]) - row
    raise DataError(
        f"{name}: {int(calendar.sizes[at]):,} dates are missing between {place(row - 1)} and {place(row)} "
        f"(time step: {calendar.words}), expected a gap of no more than {LONGEST_GAP} times the rows: was a clock "
        f"reset? Leave out the {before} rows before it, or the {after} after it."
    )


def ends_of(
    values: np.ndarray, roles: Roles, borders: np.ndarray, name: str, place: Callable[[int], str]
) -> np.ndarray:
    """One after the last target of each series; rows after it hold nothing but what is known ahead."""
    future = len(roles.numbers) - len(roles.future)
    if not roles.future:
        return borders[1:]
    missing = np.isnan(values)
    known = np.where(missing[:, :future].all(axis=1), 0, np.arange(1, len(missing) + 1))
    ends = np.maximum.reduceat(known, borders[:-1])
    several = len(ends) > 1
    empty = np.flatnonzero(ends == 0)
    if len(empty):
        raise DataError(
            f"{name}: {len(empty)} of {len(ends)} series hold no target (first: "
            f"{place(int(borders[empty[0]]))}), expected values; leave such series out."
        )
    after = np.arange(len(missing)) >= np.repeat(ends, np.diff(borders))
    for at, column in enumerate(roles.future, future):
        there = np.where(missing[:, at], 0, np.arange(1, len(missing) + 1))
        last = np.maximum(np.maximum.reduceat(there, borders[:-1]), borders[:-1])
        short = np.flatnonzero(last < ends)
        if len(short):
            first, where = short[0], f" in {len(short)} of {len(ends)} series" if several else ""
            raise DataError(
                f"{name}: future covariate {column!r} ends {ends[first] - last[first]} rows before the target "
                f"does{where} (first: {place(int(last[first]))}), expected a value in each row, and in one more "
                "for each step to forecast."
            )
        lacking = np.flatnonzero(missing[:, at] & after)
        if len(lacking):
            raise DataError(
                f"{name}: future covariate {column!r} is missing in {len(lacking)} of the {int(after.sum())} "
                f"rows after the last target (first: {place(int(lacking[0]))}), expected a value in each."
            )
    return ends


def constant_note(
    values: np.ndarray, targets: Sequence[str], borders: np.ndarray, name: str, place: Callable[[int], str]
) -> str | None:
    """Say how many series never vary; refuse rows of nothing else."""
    y = values[:, : len(targets)]
    low, high = np.fmin.reduceat(y, borders[:-1]), np.fmax.reduceat(y, borders[:-1])
    never = ~(low < high)
    constant = np.flatnonzero(never.any(axis=1))
    if not len(constant):
        return None
    if len(constant) == len(low):
        column, first = int(never[0].argmax()), int(borders[0])
        where = " in every series" if len(low) > 1 else ""
        raise DataError(
            f"{name}: target {targets[column]!r} is constant{where} ({low[0, column]:g} in all "
            f"{borders[1]} rows from {place(first)} on), expected values that vary; choose another column."
        )
    return f"{len(constant)} of {len(low)} series never vary (first: {place(int(borders[constant[0]]))})."
