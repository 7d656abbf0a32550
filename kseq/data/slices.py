"""Panels cut and put together: some series, their last rows, newer rows behind them, steps to come after them.

What models read and forecast of a panel they do in rows that are there. To forecast what comes after the last row of
each series, :func:`extended` lays rows of the steps to come, in which the targets are missing.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from kseq.data import Panel, frequency
from kseq.data._rules import RECENT
from kseq.data.future_dates import dates_after

#: Days of dates that tell how those of no frequency go on: as in the year before.
YEAR = 400


def chosen(panel: Panel, places: np.ndarray) -> Panel:
    """Some series of a panel; ``places`` are those in its ``ids``, sorted."""
    return _kept(panel, np.isin(_owners(panel), places), places)


def before(panel: Panel, stop: np.ndarray) -> Panel:
    """The panel as it was known at a row of each series: what stands there and later is still to come.

    Args:
        panel: The series.
        stop: One after the last known row of each series, ``(series,)``; above its first row.

    Returns:
        Panel: Panel with the same rows, and after ``stop`` nothing but what is known ahead.
    """
    values = panel.values.copy()
    later = np.arange(len(panel)) >= stop[_owners(panel)]
    past = len(panel.columns) - len(panel.future)
    values[later, :past] = np.nan
    filled = None if panel.filled is None else panel.filled & ~later[:, None]
    return replace(panel, values=values, ends=stop, filled=filled)


def last_rows(panel: Panel, least: int) -> Panel:
    """The end of each series: so many known rows, and what is known ahead.

    Of dates that follow no frequency it is a year at least, which tells how they go on.
    """
    owners = _owners(panel)
    keep = np.arange(len(panel)) >= panel.ends[owners] - least
    if panel.has_dates and not panel.calendar.alias:
        # Where dates are counted in time zones, so is what lies between them.
        keep |= panel.index >= panel.index[panel.ends - 1][owners] - pd.Timedelta(days=YEAR)
    return _kept(panel, keep, np.arange(len(panel.ids)))


def _kept(panel: Panel, keep: np.ndarray, places: np.ndarray) -> Panel:
    """A panel of some rows, at least one of each of some series; those of a series follow one another."""
    owners = panel.series_of(np.flatnonzero(keep))
    lengths = np.bincount(owners, minlength=len(panel.ids))[places]
    borders = np.append(0, np.cumsum(lengths))
    ahead = (panel.borders[1:] - panel.ends)[places]
    numbers = np.cumsum(keep) - 1
    # A gap before the first row that is kept of a series is none.
    there = keep[panel.calendar.gaps] & keep[panel.calendar.gaps - 1]
    calendar = replace(
        panel.calendar,
        gaps=numbers[panel.calendar.gaps[there]],
        sizes=panel.calendar.sizes[there],
        off=np.empty(0, dtype="int64"),
    )
    return replace(
        panel,
        ids=panel.ids[places],
        borders=borders,
        index=panel.index[keep],
        values=panel.values[keep],
        static=panel.static.iloc[places],
        ends=borders[1:] - ahead,
        calendar=calendar,
        filled=None if panel.filled is None else panel.filled[keep],
    )


def joined(kept: Panel, rows: Panel, at: np.ndarray, freq: str) -> tuple[Panel, np.ndarray]:
    """Put newer rows behind those that are kept of the same series, as far as these are older.

    Args:
        kept: Last rows of some series.
        rows: Newer rows, of these or others, with the same columns and the same kind of dates.
        at: Place of each series of ``rows`` among those of ``kept``; -1 where it is none of them.
        freq: Frequency of the dates; empty for none.

    Returns:
        A panel of the series of ``rows``; and the first row of each that is one of ``rows``.
    """
    first = rows.index[rows.borders[:-1]]
    owners = _owners(kept)
    place = np.full(len(kept.ids), -1)
    place[at[at >= 0]] = np.flatnonzero(at >= 0)
    older = (place[owners] >= 0) & (np.arange(len(kept)) < kept.ends[owners])
    older &= np.asarray(kept.index < first[place[owners]])
    both = np.concatenate([place[owners[older]], _owners(rows)])
    order = np.argsort(both, kind="stable")
    borders = np.append(0, np.cumsum(np.bincount(both, minlength=len(rows.ids))))
    index = kept.index[older].append(rows.index)[order]
    values = np.concatenate([kept.values[older], rows.values])[order]
    ends = borders[1:] - (rows.borders[1:] - rows.ends)
    filled = None
    if rows.filled is not None:
        filled = np.concatenate([np.zeros((int(older.sum()), values.shape[1]), bool), rows.filled])[order]
    calendar = frequency.read(index, borders, freq=freq or None)
    panel = replace(
        rows, borders=borders, index=index, values=values, ends=ends, calendar=calendar, filled=filled, fill="mask"
    )
    return panel, borders[1:] - np.diff(rows.borders)


def extended(panel: Panel, steps: int, freq: str) -> Panel:
    """Lay rows of the steps to come after the last known row of each series.

    Args:
        panel: The series, with what is known ahead in the rows after the last target.
        steps: Number of steps to come.
        freq: Frequency of the dates; empty for none.

    Returns:
        Panel: Each series ends so many rows after its last target; what is known ahead of them stands in them.
    """
    lengths, have = panel.lengths, np.minimum(panel.borders[1:] - panel.ends, steps)
    borders = np.append(0, np.cumsum(lengths + steps))
    owners = _owners(panel)
    within = np.arange(len(panel)) - panel.borders[owners]
    keep = within < (lengths + have)[owners]
    to = borders[owners[keep]] + within[keep]
    values = np.full((borders[-1], panel.values.shape[1]), np.nan, dtype=panel.values.dtype)
    values[to] = panel.values[keep]
    numbers = np.zeros(len(panel), dtype="int64")
    numbers[keep] = to
    gaps = panel.calendar.gaps
    there = gaps < panel.ends[owners[gaps]]
    ends = borders[1:] - steps
    filled = None
    if panel.filled is not None:
        filled = np.zeros(values.shape, bool)
        filled[to] = panel.filled[keep]
    return replace(
        panel,
        borders=borders,
        index=_index_with_steps(panel, steps, freq, borders),
        values=values,
        ends=ends,
        calendar=replace(panel.calendar, gaps=numbers[gaps[there]], sizes=panel.calendar.sizes[there]),
        filled=filled,
    )


def _index_with_steps(panel: Panel, steps: int, freq: str, borders: np.ndarray) -> pd.Index:
    """Dates or numbers of the known rows of each series, and of the steps after them."""
    dates = panel.index
    known = np.arange(len(panel)) < np.repeat(panel.ends, np.diff(panel.borders))
    numbers = np.empty(borders[-1], dtype="int64")
    ahead = np.zeros(borders[-1], bool)
    ahead[(borders[1:, None] - np.arange(1, steps + 1)).ravel()] = True
    source = dates.asi8 if isinstance(dates, pd.DatetimeIndex) else dates.to_numpy()
    numbers[~ahead] = source[known]
    # Dates without a frequency go on by those of a year; others hang on their last ones. Series often share them.
    recent = RECENT if freq or not panel.has_dates else len(panel)
    made: dict[bytes, np.ndarray] = {}
    parts = []
    for begin, end in zip(panel.borders[:-1].tolist(), panel.ends.tolist(), strict=True):
        tail = slice(max(begin, end - recent), end)
        key = source[tail].tobytes()
        if key not in made:
            later = dates_after(dates[tail], steps, freq)
            made[key] = later.asi8 if isinstance(later, pd.DatetimeIndex) else later.to_numpy()
        parts.append(made[key])
    numbers[ahead] = np.concatenate(parts)
    if not isinstance(dates, pd.DatetimeIndex):
        return pd.Index(numbers, name=dates.name)
    return dates_of(numbers, dates.unit, None if dates.tz is None else dates.tz, dates.name)


def dates_of(numbers: np.ndarray, unit: str, zone: object, name: object = "ds") -> pd.DatetimeIndex:
    """Dates of counts of a unit since 1970 in UTC, as ``DatetimeIndex.asi8`` gives them."""
    index = pd.DatetimeIndex(numbers.astype(f"datetime64[{unit}]"), name=name)
    return index if zone is None else index.tz_localize("UTC").tz_convert(zone)


def shared_rows(one: Panel, other: Panel, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the known rows that two panels both have, by their dates or their numbers.

    Args:
        one: The first panel.
        other: The second.
        at: Place of each series of ``one`` among those of ``other``; -1 for none.

    Returns:
        Their rows in ``one`` and in ``other``, ``(rows,)`` both, in the order of ``one``.
    """
    mine, theirs = (np.flatnonzero(np.arange(len(panel)) < panel.ends[_owners(panel)]) for panel in (one, other))
    mine = mine[at[one.series_of(mine)] >= 0]
    codes, dates = pd.factorize(np.concatenate([_numbers(one.index[mine]), _numbers(other.index[theirs])]))
    series = np.concatenate([at[one.series_of(mine)], other.series_of(theirs)])
    keys = series.astype("int64") * len(dates) + codes
    _, here, there = np.intersect1d(keys[: len(mine)], keys[len(mine) :], assume_unique=True, return_indices=True)
    order = np.argsort(mine[here])
    return mine[here][order], theirs[there][order]


def common_rows(one: Panel, other: Panel, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the last known row of each series that both panels have; arguments as in :func:`shared_rows`.

    Returns:
        Its row in ``one`` and in ``other``, ``(series,)`` of ``one`` both; -1 where there is none.
    """
    found = (np.full(len(one.ids), -1), np.full(len(one.ids), -1))
    rows, others = shared_rows(one, other, at)
    # Of several rows of a series the last one is written last.
    found[0][one.series_of(rows)], found[1][one.series_of(rows)] = rows, others
    return found


def _owners(panel: Panel) -> np.ndarray:
    """Series of each row."""
    return np.repeat(np.arange(len(panel.ids)), np.diff(panel.borders))


def _numbers(index: pd.Index) -> np.ndarray:
    return index.as_unit("ns").asi8 if isinstance(index, pd.DatetimeIndex) else index.to_numpy()


def places_in(ids: pd.Index, known: pd.Index) -> np.ndarray:
    """Place of each id among those that are known, by its text; -1 where it is none of them."""
    return known.astype(str).get_indexer(ids.astype(str))
