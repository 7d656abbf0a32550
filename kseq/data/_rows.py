"""Rows of one or more series while they are read: taken in batch by batch, then sorted, checked and filled.

Values go into arrays that are made for all rows beforehand, as float64. In memory a row takes 8 bytes a value, 8 a date
and, while it is read, 4 for the number of its series.
"""

import difflib
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import _mixtures, frequency
from kseq.data._checks import constant_note, ends_of, require_finite, require_no_reset
from kseq.data._description import description
from kseq.data._fill_codes import require_no_fill_codes
from kseq.data._mending import Mendable
from kseq.data._options import Request
from kseq.data.columns import Roles, numbers, require_hashable, unit_of
from kseq.data.dates import clock_hint, placing, read_dates, serial_remedies
from kseq.data.missing import fill_values, mask_note, require_none_missing
from kseq.data.panel import Panel
from kseq.errors import DataError, Parameter

#: Ids that are numbers and are sorted as such.
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


class Rows:
    """Rows of a panel to be: taken in batch by batch, then sorted and checked.

    Args:
        roles: The columns.
        rows: How many rows there will be at most.
        request: What is to be read of them.
        read: Phrases on how the rows were read; more are added.
    """

    def __init__(self, roles: Roles, rows: int, request: Request, read: Sequence[str] = ()):
        self.roles = roles
        self.request, self.name, self.only, self.cells = request, request.name, request.series, request.cells
        self.read_as = list(read)
        #: Finds options that would tell series apart, where each date stands in several rows.
        self.id_remedies: Callable[[], list[dict[str, Any]]] = list
        # Pages that are never written take no memory, where one series of many is kept.
        self.values = np.empty((rows, len(roles.numbers)), dtype="float64")
        self.codes = np.empty(rows, dtype="int32")
        self.dates: np.ndarray | None = None
        self.zone: Any = None
        #: Whether what stands for dates are numbers of steps.
        self.counted = False
        #: Number of each id that is kept, in the order in which they come.
        self.known: dict[str, int] = {}
        #: Ids that have been met and are not kept.
        self.others: dict[str, None] = {}
        self.static: dict[str, list[Any]] = {column: [] for column in roles.static}
        self.read = 0
        self.filled = 0

    def add(self, frame: pd.DataFrame) -> None:
        """Take in the next rows."""
        before = len(self.known)
        codes = self._codes(frame)
        source = np.arange(self.read, self.read + len(frame))
        self.read += len(frame)
        kept = codes >= 0
        if not kept.all():
            frame, codes, source = frame[kept], codes[kept], source[kept]
            if not len(frame):
                return
        rows = slice(self.filled, self.filled + len(frame))
        frame = self.cells.without_missing(frame, [*self.roles.time, str(self.roles.id), *self.roles.static])
        self._add_dates(frame, rows, source)
        for at, column in enumerate(self.roles.numbers):
            self.values[rows, at] = numbers(frame[column], self.name, source, self.cells.numbers)
        self.codes[rows] = codes
        self._add_static(frame, codes, before)
        self.filled = rows.stop

    def _codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Number of the series of each row; -1 where it is not kept."""
        if self.roles.id is None:
            self.known.setdefault(self.name, 0)
            return np.zeros(len(frame), dtype="int32")
        require_hashable(frame[self.roles.id], self.name)
        codes, ids = pd.factorize(frame[self.roles.id])
        texts = list(pd.Index(ids).astype(str))
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            raise DataError(
                f"{self.name}: column {self.roles.id!r} holds ids that are alike as text ({twice!r}, once as "
                "a number and once as text), expected ids that differ; write all of them as text."
            )
        if self.only is not None:
            self.others |= dict.fromkeys(text for text in texts if text != self.only)
            place = {self.only: self.known.setdefault(self.only, 0)} if self.only in texts else {}
        else:
            # A blank is no id.
            place = {text: self.known.setdefault(text, len(self.known)) for text in texts if text}
        series = np.array([*(place.get(text, -1) for text in texts), -1], dtype="int32")[codes]
        if self.only is None and (series < 0).any():
            row = self.read + int((series < 0).argmax())
            raise DataError(f"{self.name}: no id in row {row} of column {self.roles.id!r}; expected one in each row.")
        return series

    def _add_dates(self, frame: pd.DataFrame, rows: slice, source: np.ndarray) -> None:
        told: list[str] = []
        if self.roles.time:
            dates = read_dates(frame, self.roles.time, self.name, source, self.cells, told)
        else:
            dates = frame.index
        self.read_as += [phrase for phrase in told if phrase not in self.read_as]
        if self.cells.dayfirst is None and any(phrase.startswith("dates with the") for phrase in told):
            # Further batches are read as the first one.
            self.cells = replace(self.cells, dayfirst="dates with the day first" in told)
        if not isinstance(dates, pd.DatetimeIndex):
            if self.roles.time:
                self.counted = True
                self.dates = np.empty(len(self.codes), dtype="int64") if self.dates is None else self.dates
                self.dates[rows] = dates
            return
        if dates.hasnans:
            row = source[int(dates.isna().argmax())]
            raise DataError(f"{self.name}: no date in row {row} of the index; expected one in each row.")
        if self.dates is None:
            self.zone = dates.tz
            self.dates = np.empty(len(self.codes), dtype=f"datetime64[{dates.unit}]")
        if str(dates.tz) != str(self.zone):
            raise DataError(
                f"{self.name}: dates are of several time zones ({self.zone} at first, {dates.tz} from row {source[0]} "
                "on), expected one; write all of them in UTC."
            )
        own = dates.tz_localize(None) if dates.tz is None else dates.tz_convert("UTC").tz_localize(None)
        # A later batch may know fractions of a second.
        self.dates = self.dates.astype(np.promote_types(self.dates.dtype, own.dtype), copy=False)
        self.dates[rows] = own

    def _add_static(self, frame: pd.DataFrame, codes: np.ndarray, before: int) -> None:
        """Keep the first value of each new series, and refuse another one later on."""
        if not self.static:
            return
        firsts = np.unique(codes, return_index=True)[1]
        new = firsts[codes[firsts] >= before]
        for column, kept in self.static.items():
            values = frame[column]
            kept.extend(values.iloc[new].tolist())
            expected = pd.Series(kept).to_numpy()[codes]
            other = np.flatnonzero((values.to_numpy() != expected) | values.isna().to_numpy())
            if len(other):
                whose = "" if self.roles.id is None else f" of series '{list(self.known)[codes[other[0]]]}'"
                raise DataError(
                    f"{self.name}: static covariate {column!r} is not the same in all rows{whose} "
                    f"({expected[other[0]]}, then {values.iloc[other[0]]}), expected one value a series."
                )

    def require_one(self) -> None:
        """Refuse rows of several series, or of none where one was asked for.

        Raises:
            DataError: The message names the series that there are.
        """
        if self.only is not None and not self.known and self.others:
            texts = sorted(self.others)
            close = difflib.get_close_matches(self.only, texts, n=1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise DataError(
                f"received series {self.only!r}, expected one of the {len(texts)} in column {self.roles.id!r}: "
                f"{_some(texts)}{hint}"
            )
        if len(self.known) > 1:
            raise DataError(
                f"{self.name}: column {self.roles.id!r} holds {len(self.known)} series ({_some(self.known)}), expected "
                "one: choose it with ",
                Parameter("series"),
                ".",
            )

    def panel(self) -> Panel:
        """Sort the rows by series, check them and fill what is missing.

        Raises:
            DataError: A value or a date cannot be used.
        """
        fill, freq = self.request.fill, self.request.freq
        roles, name = self.roles, self.name
        if not self.filled:
            raise DataError(f"{name}: received no rows, expected one a time step.")
        ids, borders = self._sort()
        if self.counted:
            self._require_even(ids, borders)
        if not self.cells.keep:
            require_no_fill_codes(self.values, roles.numbers, borders, name)
        borders, begun = self._begun(fill, borders)
        values, index = self.values, self._index(borders)
        place = _placing(ids, borders, index)
        self._require_order(borders, index, place)
        require_finite(values, roles.numbers, name, place)
        ends = ends_of(values, roles, borders, name, place)

        calendar = frequency.read(index, borders, freq)
        _mixtures.check(calendar, index, borders, name, place, given=freq is not None)
        beyond = calendar.gaps[calendar.gaps >= ends[np.searchsorted(borders, calendar.gaps, side="right") - 1]]
        if len(beyond):
            raise DataError(
                f"{name}: dates are missing among the rows that are known ahead (first before {place(int(beyond[0]))})"
                ", expected one for each step after the last target."
            )
        require_no_reset(calendar, borders, name, place)
        missing = np.isnan(values)
        if roles.future:
            missing[np.arange(len(values)) >= np.repeat(ends, np.diff(borders))] = False
        notes, filled = [begun, calendar.gap_note(place), calendar.remark], None
        told = description(roles.targets, roles.time, calendar, index, len(ids), int(missing.sum()), self.read_as)
        if fill is None:
            require_none_missing(missing, roles.numbers, name, place)
        elif fill == "mask":
            notes.append(mask_note(np.flatnonzero(missing.any(axis=1)), place))
        elif missing.any():
            filled = missing
            notes.append(
                fill_values(values, missing, fill, roles.numbers, borders, calendar, name, place, self.request.season)
            )
        if not self.request.constant:
            notes.append(constant_note(values, roles.targets, borders, name, place))
        return Panel(
            name, ids, borders, index, values, roles.targets, roles.features, roles.future, self._static(ids), ends,
            calendar, fill, filled, self.request.unit or unit_of(str(roles.targets[0])), self.request.source,
            tuple(note for note in notes if note), read=told,
        )  # fmt: skip

    def _begun(self, fill: str | None, borders: np.ndarray) -> tuple[np.ndarray, str | None]:
        """Leave out the rows before the first target of each series; say how many."""
        targets = np.asarray(np.isnan(self.values[:, : len(self.roles.targets)]).any(axis=1))
        if fill == "mask" or not targets[borders[:-1]].any():
            return borders, None
        known = np.where(targets, len(targets), np.arange(len(targets)))
        first = np.minimum(np.minimum.reduceat(known, borders[:-1]), borders[1:])
        # A series without any target is told of where its values are checked.
        first = np.where(first == borders[1:], borders[:-1], first)
        keep = np.arange(len(targets)) >= np.repeat(first, np.diff(borders))
        lost, several = int((~keep).sum()), len(borders) > 2
        if not lost:
            return borders, None
        self.values = self.values[keep]
        self.dates = None if self.dates is None else self.dates[keep]
        lengths = borders[1:] - first
        rows = "1 row" if lost == 1 else f"{lost:,} rows"
        where = f" of {int((first > borders[:-1]).sum())} series" if several else ""
        return np.append(0, np.cumsum(lengths)), f"{rows} before the first value of the target{where} left out."

    def _require_even(self, ids: pd.Index, borders: np.ndarray) -> None:
        """Refuse numbers of steps that are not even."""
        assert self.dates is not None
        if self.cells.sort:
            self._by_date(borders)
        steps = np.diff(self.dates)
        steps[borders[1:-1] - 1] = steps[0] if len(steps) else 1
        uneven = np.flatnonzero((steps != steps[:1]) | (steps < 1))
        if len(uneven):
            row = int(uneven[0])
            owner = int(np.searchsorted(borders, row, side="right") - 1)
            where = f" of series '{ids[owner]}'" if len(ids) > 1 else ""
            raise Mendable(
                f"{self.name}: column {','.join(self.roles.time)} counts steps, and {self.dates[row + 1]} stands after "
                f"{self.dates[row]}{where}, expected even steps",
                remedies=[{"sort": True}, *serial_remedies(self.dates)],
                otherwise=("say with ", Parameter("date_format"), " how dates are written, if they are dates"),
            )

    def _by_date(self, borders: np.ndarray) -> None:
        """Sort the rows of each series by date."""
        if self.dates is None:
            return
        owners = np.repeat(np.arange(len(borders) - 1), np.diff(borders))
        order = np.lexsort((self.dates, owners))
        self.values, self.dates = self.values[order], self.dates[order]

    def _sort(self) -> tuple[pd.Index, np.ndarray]:
        """Bring series into the order of their ids; give ids and borders."""
        ids = list(self.known)
        if self.filled < len(self.codes):
            self.values, self.codes = self.values[: self.filled].copy(), self.codes[: self.filled].copy()
            self.dates = None if self.dates is None else self.dates[: self.filled].copy()
        as_number = all(map(_NUMBER.fullmatch, ids))
        order = sorted(range(len(ids)), key=lambda at: (Decimal(ids[at]) if as_number else 0, ids[at]))
        # Numbers of 16 bits are sorted in linear time.
        rank = np.empty(len(ids), dtype="uint16" if len(ids) <= 2**16 else "int32")
        rank[order] = np.arange(len(ids))
        codes = rank[self.codes]
        if (codes[1:] < codes[:-1]).any():
            by = np.argsort(codes, kind="stable")
            self.values = self.values[by]
            if self.dates is not None:
                self.dates = self.dates[by]
        self.static = {column: [kept[at] for at in order] for column, kept in self.static.items()}
        borders = np.append(0, np.cumsum(np.bincount(codes)))
        if self.cells.sort and not self.counted:
            self._by_date(borders)
        return pd.Index([ids[at] for at in order]), borders

    def _index(self, borders: np.ndarray) -> pd.Index:
        """Dates of the rows, the whole numbers that stand for them, or the rows' numbers within each series."""
        if self.dates is None:
            return pd.Index(np.arange(len(self.values)) - np.repeat(borders[:-1], np.diff(borders)))
        if self.counted:
            return pd.Index(self.dates, name="ds")
        index = pd.DatetimeIndex(self.dates, name="ds", copy=False)
        return index if self.zone is None else index.tz_localize("UTC").tz_convert(self.zone)

    def _require_order(self, borders: np.ndarray, index: pd.Index, place: Callable[[int], str]) -> None:
        """Refuse dates that are repeated or run backwards within a series."""
        if self.dates is None:
            return
        at = np.flatnonzero(self.dates[1:] <= self.dates[:-1])
        at = at[~np.isin(at, borders[1:-1] - 1)]
        if not len(at):
            return
        date, series = ",".join(self.roles.time) or "date", len(borders) - 1
        owners = np.repeat(np.arange(series), np.diff(borders))
        repeated = np.flatnonzero(pd.DataFrame({"series": owners, "date": self.dates}).duplicated())
        if len(repeated):
            key = date if series == 1 else f"{self.roles.id} and {date}"
            raise Mendable(
                f"{self.name}: {len(repeated)} dates stand twice{' in their series' * (series > 1)} (first: "
                f"{place(int(repeated[0]))}), expected one row for each {key}",
                remedies=self.id_remedies(),
                otherwise=(f"remove or average the repeats{clock_hint(index[: borders[1]])}",),
            )
        where = f" in {len(np.unique(owners[at]))} of {series} series" if series > 1 else ""
        by = date if series == 1 else f"{self.roles.id} and {date}"
        row = int(at[0])
        raise Mendable(
            f"{self.name}: dates are not in order{where} (first: {place(row + 1)} stands after {placing(index)(row)})",
            remedies=[{"sort": True}],
            otherwise=(f"sort the rows by {by}",),
            also=(f" to have the rows sorted by {by}",),
        )

    def _static(self, ids: pd.Index) -> pd.DataFrame:
        columns = {column: pd.Series(kept, ids) for column, kept in self.static.items()}
        return pd.DataFrame(
            {
                column: values.astype("float64" if pd.api.types.is_numeric_dtype(values) else "category")
                for column, values in columns.items()
            },
            index=ids,
        )


def _placing(ids: pd.Index, borders: np.ndarray, index: pd.Index) -> Callable[[int], str]:
    """Give a function that names a row in messages: by its date, and by its series where there are several."""
    within = placing(index)
    if len(ids) == 1:
        return within

    def place(row: int) -> str:
        return f"series '{ids[np.searchsorted(borders, row, side='right') - 1]}', {within(row)}"

    return place


def _some(values: Collection[str]) -> str:
    return ", ".join(list(values)[:3]) + ", ..." * (len(values) > 3)
