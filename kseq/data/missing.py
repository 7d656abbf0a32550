"""Missing values: refused, filled from what came before, or marked.

``"ffill"`` repeats the last value, ``"seasonal"`` takes the value one season earlier. ``"linear"`` draws a line to the
next value, and so looks ahead; :meth:`kseq.Panel.causal` takes that back where a forecast could profit. ``"mask"``
changes nothing and marks the rows.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from kseq.data._mending import Mendable
from kseq.data.frequency import Calendar
from kseq.errors import DataError, Given, Parameter

#: What is said of the values that each of them filled.
_HOW = {
    "linear": "on the line between their neighbours, which looks ahead to the next value",
    "ffill": "with the last value before them",
    "seasonal": "with the value one season ({season} steps) earlier, or the last one where that is missing too",
}


def fill_values(
    values: np.ndarray,
    missing: np.ndarray,
    fill: str,
    columns: Sequence[str],
    borders: np.ndarray,
    calendar: Calendar,
    name: str,
    place: Callable[[int], str],
    season: int | None = None,
) -> str:
    """Fill missing values in place.

    Args:
        values: ``(rows, columns)``.
        missing: Which of them to fill, ``(rows, columns)``.
        fill: How to fill, one of :data:`FILLS`, ``"mask"`` apart.
        columns: Names of the columns, for messages.
        borders: Rows at which a series begins, and the number of rows.
        calendar: Calendar of the dates; it says where one season earlier is.
        name: Name of the data, for messages.
        place: Names a row, for messages.
        season: Steps in a season; None for the calendar's.

    Returns:
        A sentence that says how many were filled.

    Raises:
        DataError: A series starts with missing values, which have nothing before them; or ``"seasonal"`` without a
            season.
    """
    season = season or calendar.season
    if fill == "seasonal" and season < 2:
        raise DataError(
            f"{name}: ",
            Parameter("fill"),
            f" seasonal needs a season, and {calendar.words} dates have none of the calendar; give its steps with ",
            Parameter("season"),
            ", or take another fill.",
        )
    positions = calendar.positions(len(values)) if fill == "seasonal" else None
    for at, column in enumerate(columns):
        rows = np.flatnonzero(missing[:, at])
        if not len(rows):
            continue
        starting = rows[np.isin(rows, borders)]
        if len(starting):
            raise DataError(
                f"{name}: column {column!r} starts with missing values, which ",
                Parameter("fill"),
                f" {fill} cannot fill (first at {place(int(starting[0]))}); remove the first rows.",
            )
        if positions is not None:
            _fill_by_season(values[:, at], rows, borders, positions, season)
        else:
            if fill == "linear":
                _fill_lines(values[:, at], rows, borders)
                rows = rows[np.isnan(values[rows, at])]
            _fill_forward(values[:, at], rows)
    parts = [f"{column!r} {count}" for column, count in zip(columns, missing.sum(axis=0), strict=True) if count]
    total = int(missing.sum())
    were = "1 missing value was" if total == 1 else f"{total} missing values were"
    return f"{were} filled {_HOW[fill].format(season=season)} (column {', '.join(parts)})."


def mask_note(rows: np.ndarray, place: Callable[[int], str]) -> str | None:
    """Say how many rows are marked as missing; None for none."""
    if not len(rows):
        return None
    are = "1 row with missing values is" if len(rows) == 1 else f"{len(rows)} rows with missing values are"
    return f"{are} marked as such (first: {place(int(rows[0]))})."


def require_none_missing(missing: np.ndarray, columns: Sequence[str], name: str, place: Callable[[int], str]) -> None:
    """Refuse missing values, with the first places and what to do.

    Args:
        missing: Which values are, ``(rows, columns)``.
        columns: Names of the columns.
        name: Name of the data, for messages.
        place: Names a row.
    """
    if not missing.any():
        return
    at = int(missing.any(axis=0).argmax())
    rows = np.flatnonzero(missing[:, at])
    where = ", ".join(place(int(row)) for row in rows[:3])
    raise Mendable(
        f"{name}: {len(rows)} missing value{'s' * (len(rows) > 1)} in column {columns[at]!r} (at {where}"
        f"{', ...' * (len(rows) > 3)}), expected none",
        remedies=[{"fill": fill} for fill in ("ffill", "seasonal", "linear", "mask")],
        otherwise=("give ", Given("fill", "ffill"), ", seasonal or linear, or mend the data"),
        also=(" (or seasonal, linear, or mask to leave their windows out)",),
    )


def _fill_lines(column: np.ndarray, rows: np.ndarray, borders: np.ndarray) -> None:
    """Give each of these rows that has a value before and after it in its series what lies between the two."""
    for series in np.unique(np.searchsorted(borders, rows, side="right") - 1):
        own = slice(borders[series], borders[series + 1])
        column[own] = pd.Series(column[own]).interpolate("linear", limit_area="inside")


def _fill_forward(column: np.ndarray, rows: np.ndarray) -> None:
    """Give each of these rows the last value before them; none of them starts a series."""
    firsts = np.flatnonzero(np.diff(rows, prepend=-2) > 1)
    lengths = np.diff(firsts, append=len(rows))
    column[rows] = np.repeat(column[rows[firsts] - 1], lengths)


def _fill_by_season(
    column: np.ndarray, rows: np.ndarray, borders: np.ndarray, positions: np.ndarray, season: int
) -> None:
    """Give each of these rows the value one season earlier, or the last value where no row stands there.

    Earlier rows are filled first, so that the value one season earlier may itself be a filled one.
    """
    wanted = positions[rows] - season
    sources = np.searchsorted(positions, wanted)
    starts = borders[np.searchsorted(borders, rows, side="right") - 1]
    there = (sources >= starts) & (positions[sources] == wanted)
    for row, source in zip(rows, np.where(there, sources, rows - 1), strict=True):
        column[row] = column[source]
