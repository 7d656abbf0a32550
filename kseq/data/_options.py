"""Options of reading: their names and types, their descriptions, and what holds where nothing is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from kseq.data._source import FILE_OPTIONS
from kseq.errors import ConfigError, DataError, Given, Parameter
from kseq.text import shown

#: How columns may be named: one by its name, or several.
Names = str | Sequence[str] | None

#: Ways to deal with missing values.
FILLS = ("linear", "ffill", "seasonal", "mask")

#: What keeps values that look like fill values.
KEEP = "none"

#: Ways in which a table may lie across.
WIDE = ("months", "series")


class FrameOptions(TypedDict, total=False):
    """How columns and rows are taken, from a frame or a file.

    Args:
        fill: What is done with missing values: ``"ffill"`` repeats the last value, ``"seasonal"`` takes the value one
            season earlier, ``"mask"`` leaves them and marks their rows; ``"linear"`` interpolates between neighbours,
            and so looks ahead to the next value, which :meth:`kseq.Panel.causal` takes back. The default, None,
            refuses them.
        name: Name of the series or the panel, as text. By default that of ``series``, of the file, or "series".
        unit: Unit of the targets for axes, as text. By default it is found at the end of the target's name ("deg C").
        id: Name of the column that tells the series of a long table apart; ``"store,item"`` joins two. By default
            ``unique_id`` where there is one. Ids are text: the number 1 is the id "1".
        series: Id of the one series to read. By default there must be only one, or a panel is read.
        future: Names of columns that are known ahead. Rows at the end that hold them and no target are steps to
            forecast. By default there are none.
        static: Names of columns that hold one value a series. By default there are none.
        freq: Frequency of the dates as pandas calls it ("MS", "D", "h", "B", "W-SUN"); dates that do not fit are
            refused. By default it is found, and data that mix several are refused.
        season: Number of steps in a season, for ``fill="seasonal"``. By default that of the calendar.
        missing: Numbers and texts that stand for missing values: ``[-9999, "."]``. By default values that look like
            fill values are refused; ``"none"`` keeps them.
        date_format: How dates are written, as ``strptime`` says it ("%d.%m.%Y %H:%M"), or ``"excel"`` for days since
            1899-12-30. By default it is found.
        dayfirst: Whether 01/04/1960 is the first of April. By default it is found, or refused where both may be.
        sort: Whether rows are sorted by date. By default (False) rows that are not in order are refused.
        wide: How a table lies across: ``"months"`` for a row a year and a column a month, ``"series"`` for a row or a
            column a series. By default it does not, but for a table of months.
    """

    fill: str | None
    name: str | None
    unit: str
    id: str | None
    series: object
    future: Sequence[str]
    static: Sequence[str]
    freq: str | None
    season: int | None
    missing: str | float | Sequence[Any] | None
    date_format: str | None
    dayfirst: bool | None
    sort: bool
    wide: str | None


class SeriesOptions(FrameOptions, total=False):
    """How a series is made of a frame.

    Args:
        source: Where the values come from, as text. By default empty.
    """

    source: str


class PanelOptions(SeriesOptions, total=False):
    """How a panel is made of a frame.

    Args:
        constant: Whether a target may be constant in every series, as in rows that follow others. By default (False)
            that is refused.
    """

    constant: bool


class FileOptions(FrameOptions, total=False):
    """How a file is written; what is not said is found, or refused where it is not certain.

    Args:
        header: Number of the line that holds the column names, from 0, which is the default; lines above it are left
            out.
        no_header: Whether there is no such line: columns are then called 1, 2 and so on. False by default.
        sep: Separator of the columns, one character, ``"tab"`` or ``"blank"``. By default it is found.
        decimal: Decimal mark, one character. By default it is found, or a point.
        thousands: Mark between groups of three digits, one character. By default it is found, or there is none.
        encoding: Encoding of the text as Python calls it. By default UTF-8, or UTF-16 where it is that.
        skip_rows: Number of lines at the beginning that are left out, 0 by default.
        skip_footer: Number of lines at the end that are left out, 0 by default.
        comment: Beginning of lines that are left out. By default "#" above the table.
        member: Name of the file in a zip that holds several. By default there must be only one.
        sheet: Name of a sheet, or its number from 1. By default the only one with cells.
        select: Part of a grid: ``"lat=39,lon=3"`` or ``{"lat": 39, "lon": (-10, 0)}``. By default there is one point.
        preset: Archive whose shape a text has: psl, rdb, ndbc or silso. By default it is found.
    """

    header: int
    no_header: bool
    sep: str | None
    decimal: str | None
    thousands: str | None
    encoding: str | None
    skip_rows: int
    skip_footer: int
    comment: str | None
    member: str | None
    sheet: str | int | None
    select: str | Mapping[str, Any] | None
    preset: str | None


class PanelFileOptions(FileOptions, PanelOptions, total=False):
    """How a panel is read from a file."""


#: Those that describe options.
DESCRIBED = (FrameOptions, SeriesOptions, PanelOptions, FileOptions)

#: What holds where nothing is said, of options for which that is not None.
DEFAULTS: dict[str, Any] = {
    **FILE_OPTIONS, "unit": "", "source": "", "features": (), "future": (), "static": (), "sort": False,
    "constant": False,
}  # fmt: skip


@dataclass(frozen=True)
class Cells:
    """How cells are taken.

    Args:
        missing: Texts and numbers that stand for missing values.
        keep: Whether values that look like fill values are kept.
        date_format: How dates are written, as ``strptime`` says it; None to find it.
        dayfirst: Whether of 01/04/1960 the day comes first; None to find it.
        sort: Whether rows are sorted by date.
        wide: How the table lies across, one of :data:`WIDE`; None for not.
    """

    missing: tuple[str, ...] = ()
    keep: bool = False
    date_format: str | None = None
    dayfirst: bool | None = None
    sort: bool = False
    wide: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Cells":
        """Take what a user says from options of reading.

        Raises:
            ConfigError: ``wide`` is none that is known.
        """
        wide, missing = options.get("wide"), options.get("missing")
        if wide is not None and wide not in WIDE:
            raise ConfigError("received ", Parameter("wide"), f" {shown(wide)}, expected {' or '.join(WIDE)}.")
        listed = [missing] if isinstance(missing, str | int | float) else list(missing or ())
        texts = tuple(str(value).strip() for value in listed)
        kept = tuple(text for text in texts if text.lower() != KEEP)
        return cls(
            kept, len(kept) < len(texts), options.get("date_format"), options.get("dayfirst"),
            bool(options.get("sort")), wide,
        )  # fmt: skip

    @property
    def numbers(self) -> np.ndarray:
        """Those of ``missing`` that are numbers."""
        values = pd.to_numeric(pd.Series(self.missing, dtype=object), errors="coerce").to_numpy(dtype="float64")
        return values[~np.isnan(values)]

    def without_missing(self, frame: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
        """Turn columns of numbers between which stands text for missing values into columns of numbers.

        Args:
            frame: The rows.
            texts: Columns that stay text: ids, dates.
        """
        if not self.missing:
            return frame
        changed = {}
        for column in frame.columns:
            values = frame[column]
            if column in texts or pd.api.types.is_numeric_dtype(values) or values.dtype.kind in "mM":
                continue
            known = values.where(~values.astype(str).str.strip().isin(self.missing))
            numbers = pd.to_numeric(known, errors="coerce")
            if numbers.notna().any() and (numbers.notna() | known.isna()).all():
                changed[column] = numbers
        return frame.assign(**changed) if changed else frame


@dataclass(frozen=True)
class Request:
    """What is to be read of a table.

    Args:
        name: Name of the data, for messages and of the result.
        source: Where the values come from.
        roles: Columns by what they are: time, target, features, future, static and id; absent where nothing is said.
        cells: How cells are taken.
        series: Id of the one series to keep, as text; None for all.
        fill: How missing values are dealt with, one of :data:`FILLS`; None refuses them.
        unit: Unit of the targets; empty to find it in the first target's name.
        freq: Frequency of the dates; None to find it.
        season: Steps in a season, for ``fill="seasonal"``; None for the calendar's.
        constant: Whether all targets may be constant.
    """

    name: str
    source: str = ""
    roles: Mapping[str, Any] = field(default_factory=dict)
    cells: Cells = field(default_factory=Cells)
    series: str | None = None
    fill: str | None = None
    unit: str = ""
    freq: str | None = None
    season: int | None = None
    constant: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any], name: str, source: str = "", hint: Mapping[str, Any] = {}) -> "Request":
        """Take a request from options of reading.

        Args:
            options: By name.
            name: Name of the data where neither ``name`` nor ``series`` gives one.
            source: Where the values come from.
            hint: What the file itself says of its columns and frequency; what the user says counts instead.

        Raises:
            DataError: ``fill`` is none that is known.
            ConfigError: Another option is none that is known.
        """
        require_fill(options.get("fill"))
        require_unit(options.get("unit"))
        require_name(options.get("name"))
        said = {key: value for key, value in options.items() if value is not None}
        if said.get("wide") is None:
            said = {**hint, **said}
        series = said.get("series")
        series = None if series is None else str(series)
        roles: dict[str, Any] = {
            key: said[key] for key in ("time", "target", "features", "future", "static", "id") if key in said
        }
        return cls(
            said.get("name") or (name if series is None else series), said.get("source") or source, roles,
            Cells.of(said), series, said.get("fill"), said.get("unit", ""), said.get("freq"), said.get("season"),
            bool(said.get("constant")),
        )  # fmt: skip


def require_fill(fill: str | None) -> None:
    """Refuse a fill of another name.

    Raises:
        DataError: It is none of :data:`FILLS`.
    """
    if fill is not None and fill not in FILLS:
        raise DataError(f"received fill {fill!r}, expected {', '.join(FILLS[:-1])} or {FILLS[-1]}.")


def require_name(name: Any) -> None:
    """Refuse a name of the data that is no text.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(name, str | None):
        raise ConfigError("received ", Parameter("name"), f" {shown(name)}, expected a text, the name of the series.")


def require_unit(unit: Any) -> None:
    """Refuse a unit that is no text, and say what else may have been meant.

    Raises:
        ConfigError: It is no text.
    """
    if not isinstance(unit, str | None):
        raise ConfigError(
            "received ", Parameter("unit"), f" {shown(unit)}, expected a text, the unit of the target such as "
            "'°C'; the size of the networks is ", Given("units", unit), ".",
        )  # fmt: skip
