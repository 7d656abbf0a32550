"""Text of known archives that no separator and header describe: PSL, USGS, NDBC and SILSO.

- ``psl``: NOAA's Physical Sciences Laboratory, ``.data``: the first and the last year, a line of twelve months a year,
  then the mark of a missing value.
- ``rdb``: the U.S. Geological Survey, tabs, lines of ``#``, a line of formats (``5s 15s 20d``) under the header.
- ``ndbc``: buoys of the National Data Buoy Center: columns of blanks, ``#YY MM DD hh mm``, nines for what is missing.
- ``silso``: sunspot numbers of the Royal Observatory of Belgium: no header, a decimal year, -1 for what is missing.

Each knows its own by its shape, and is read without being named.
"""

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from kseq.data._source import Source
from kseq.data.formats.found import Found, reason, some
from kseq.errors import ConfigError, DataError

#: Distance from UTC in hours of the time zones that USGS writes.
_ZONES = {
    "UTC": 0, "GMT": 0, "AST": -4, "ADT": -3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6,
    "PST": -8,    "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10, "HDT": -9, "SST": -11, "ChST": 10,
}  # fmt: skip

#: What NDBC writes for no measurement (https://www.ndbc.noaa.gov/faq/measdes.shtml): nines, as wide as the column.
_NINES = {
    **dict.fromkeys(("WDIR", "WD", "MWD", "ATMP", "WTMP", "DEWP", "GDR"), 999.0),
    **dict.fromkeys(("WSPD", "GST", "WVHT", "DPD", "APD", "VIS", "TIDE", "PTDY", "GSP"), 99.0),
    **dict.fromkeys(("PRES", "BAR", "GTIME", "GMN"), 9999.0),
}

_YEARS = re.compile(r"\s*(\d{4})\s*,?\s+(\d{4})\s*")
_FORMATS = re.compile(r"\d+[sdn](?:\t\d+[sdn])*")
_NDBC = re.compile(r"#?\s*YY(?:YY)?\s+MM\s+DD\s+hh(?:\s+mm)?\s+\w")


def recognises(source: Source) -> bool:
    """Whether a source has the shape of an archive, or its user says so."""
    return preset_of(source) is not None


def preset_of(source: Source) -> str | None:
    """Name of the archive whose shape a source has; None of others.

    Raises:
        ConfigError: The user names an archive that is not known.
    """
    named = source.options["preset"]
    if named is not None and named not in PRESETS:
        raise ConfigError(f"received preset {named!r}, expected one of {', '.join(PRESETS)}.")
    if named is not None:
        return str(named)
    lines = _text(source.head).splitlines()[:200]
    # The last line of a head may be cut off.
    return next((name for name, (shape, _) in PRESETS.items() if lines and shape(lines)), None)


def read(source: Source) -> Found:
    """Read text of an archive.

    Args:
        source: The text. Its option ``preset`` is one of :data:`PRESETS`; None where its shape tells.

    Raises:
        DataError: It does not have the archive's shape.
    """
    preset, text = str(preset_of(source)), _text(source.whole())
    shape, parse = PRESETS[preset]
    lines = text.splitlines()
    if not lines or not shape(lines[:200]):
        raise DataError(f"{source} does not have the shape of {preset} ({_SHAPES[preset]}); leave the preset out.")
    try:
        found = parse(source, lines)
    except (ValueError, IndexError, pd.errors.ParserError) as error:
        raise DataError(
            f"{source} cannot be read as {preset} ({reason(error)}); expected {_SHAPES[preset]}."
        ) from error
    if found.frame.empty:
        raise DataError(f"{source} holds no value; expected {_SHAPES[preset]}.")
    return Found(found.frame, (f"by the preset {preset}", *found.read), found.hint)


def _text(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")


def _is_psl(lines: list[str]) -> bool:
    years = _YEARS.fullmatch(lines[0])
    if years is None or len(lines) < 2:
        return False
    first = lines[1].split()
    return len(first) == 13 and first[0] == years.group(1)


def _psl(source: Source, lines: list[str]) -> Found:
    first, last = (int(year) for year in re.findall(r"\d{4}", lines[0]))
    table = [line.split() for line in lines[1 : last - first + 2]]
    at = next((n for n, row in enumerate(table) if len(row) != 13 or row[0] != str(first + n)), len(table))
    if at < len(table):
        raise DataError(
            f"{source}: line {at + 1} is {lines[at + 1][:40]!r}, expected the twelve months of {first + at}."
        )
    if first + at - 1 < last:
        raise DataError(f"{source} ends in {first + at - 1}, expected years to {last}: it is cut off.")
    y = np.array(table, dtype="float64")[:, 1:].ravel()
    dates = pd.date_range(f"{first}-01-01", periods=len(y), freq="MS")
    phrases = []
    mark = lines[at + 1].split() if at + 1 < len(lines) else []
    if len(mark) == 1:
        none = np.isclose(y, float(mark[0]), rtol=1e-6)
        if none.any():
            phrases.append(f"{mark[0]} is missing, as the file says ({int(none.sum())})")
        y[none] = np.nan
    known = np.flatnonzero(~np.isnan(y))
    rows = slice(known[0], known[-1] + 1) if len(known) else slice(0)
    frame = pd.DataFrame({"ds": dates[rows], "y": y[rows]})
    return Found(frame, tuple(phrases), {"target": "y"})


def _is_rdb(lines: list[str]) -> bool:
    table = [line for line in lines if not line.startswith("#")]
    return (
        len(table) >= 2
        and "\t" in table[0]
        and _FORMATS.fullmatch(table[1]) is not None
        and table[0].count("\t") == table[1].count("\t")
    )


def _rdb(source: Source, lines: list[str]) -> Found:
    table = [line for line in lines if line and not line.startswith("#")]
    names = table[0].split("\t")
    numeric = [name for name, kind in zip(names, table[1].split("\t"), strict=True) if kind.endswith("n")]
    frame = pd.read_csv(
        io.StringIO("\n".join(table[2:])), sep="\t", header=None, names=names, dtype=str, na_values=[""],
        keep_default_na=False, quoting=3, index_col=False,
    )  # fmt: skip
    for name in numeric:
        values = pd.to_numeric(frame[name], errors="coerce")
        # Text such as "Ice" among the values stays, and is told where the column is a target.
        if values.notna().sum() == frame[name].notna().sum():
            frame[name] = values.astype("float64")
    hint: dict[str, Any] = {"target": numeric[0]} if len(numeric) == 1 else {}
    phrases = []
    dates = [name for name in ("datetime", "dateTime", "lev_dt", "sample_dt") if name in names]
    if dates:
        hint["time"] = dates[0]
        zones = frame["tz_cd"].dropna().unique() if "tz_cd" in names else []
        if len(zones) > 1:
            unknown = [zone for zone in zones if zone not in _ZONES]
            if unknown or frame["tz_cd"].isna().any():
                raise DataError(
                    f"{source}: column 'tz_cd' holds {some(unknown) or 'blanks'}, expected {some(_ZONES, 99)}."
                )
            hours = pd.to_timedelta(frame["tz_cd"].map(_ZONES), unit="h")
            frame[dates[0]] = (pd.to_datetime(frame[dates[0]]) - hours).dt.tz_localize("UTC")
            phrases.append(f"times of {some(zones)} in UTC")
        elif len(zones):
            phrases.append(f"times in {zones[0]}")
    if "site_no" in names and len(frame["site_no"].unique()) > 1:
        hint["id"] = "site_no"
    elif "site_no" in names:
        phrases.append(f"site {frame['site_no'].iloc[0]}")
    return Found(frame, tuple(phrases), hint)


def _is_ndbc(lines: list[str]) -> bool:
    return _NDBC.match(lines[0]) is not None


def _ndbc(source: Source, lines: list[str]) -> Found:
    names = lines[0].lstrip("#").split()
    skipped = 2 if len(lines) > 1 and not lines[1].strip()[:1].isdigit() else 1
    body = [line for line in lines[skipped:] if line.strip() and not line.startswith("#")]
    frame = pd.read_csv(
        io.StringIO("\n".join(body)), sep=r"\s+", header=None, names=names, na_values=["MM"], index_col=False
    )
    times = frame.iloc[:, : 5 if names[4] == "mm" else 4]
    year = times.iloc[:, 0]
    # Years of two digits were written until 1998.
    year = year.where(year >= 100, year + 1900)
    parts = {"year": year, "month": times.iloc[:, 1], "day": times.iloc[:, 2], "hour": times.iloc[:, 3]}
    if times.shape[1] == 5:
        parts["minute"] = times.iloc[:, 4]
    values = frame.iloc[:, times.shape[1] :].copy()
    values.insert(0, "ds", pd.to_datetime(pd.DataFrame(parts)))
    told = []
    for name, nines in _NINES.items():
        if name in values:
            none = values[name] == nines
            told += [f"{name} {nines:g} ({int(none.sum())})"] if none.any() else []
            values[name] = values[name].astype("float64").mask(none)
    phrases = [f"nines are missing, as NDBC says: {some(told, 20)}"] if told else []
    if len(values) > 1 and values["ds"].is_monotonic_decreasing:
        values = values.iloc[::-1].reset_index(drop=True)
        phrases.append("newest rows first, turned round")
    # Ships report a column of nothing but nines where they have no such sensor.
    empty = [name for name in values.columns if values[name].isna().all()]
    return Found(values.drop(columns=empty), tuple(phrases), {"time": "ds"})


#: Columns of SILSO's files by their step; those of days and months have dates beside decimal years.
_SILSO_NAMES = {
    step: [*dates, "decimal_year", "sunspots", "std", "observations"]
    for step, dates in (("day", ["year", "month", "day"]), ("month", ["year", "month"]), ("year", []))
}


def _silso_step(lines: list[str]) -> str | None:
    """Step of a file of SILSO: its decimal year must fit its dates."""
    try:
        rows = [[float(field) for field in _fields(line)[:5]] for line in lines if line.strip()][:20]
    except ValueError:
        return None
    if len(rows) < 2 or any(len(row) < 5 for row in rows):
        return None
    first, second, third, fourth, _ = np.array(rows).T
    whole = bool((first % 1 == 0).all() and ((second % 1 == 0) & (second >= 1) & (second <= 12)).all())
    if whole and (np.abs(fourth - first - (30.44 * (second - 1) + third - 0.5) / 365.25) < 0.01).all():
        return "day"
    if whole and (np.abs(third - first - (second - 0.5) / 12) < 0.01).all():
        return "month"
    years = (first % 1 == 0.5) & (first > 1600) & (first < 2200) & (second >= -1) & (fourth % 1 == 0)
    return "year" if years.all() else None


def _fields(line: str) -> list[str]:
    line = line.replace("*", " ")
    return [field.strip() for field in line.split(";")] if ";" in line else line.split()


def _is_silso(lines: list[str]) -> bool:
    # The last of many lines may be cut off.
    return _silso_step(lines[:-1] if len(lines) > 2 else lines) is not None


def _silso(source: Source, lines: list[str]) -> Found:
    step = str(_silso_step(lines))
    names, rows = _SILSO_NAMES[step], [_fields(line) for line in lines if line.strip()]
    short = next((number for number, row in enumerate(rows) if len(row) < len(names)), None)
    if short is not None:
        raise DataError(
            f"{source}: line {short} holds {len(rows[short])} fields, expected {len(names)}: it is cut off."
        )
    frame = pd.DataFrame([row[: len(names)] for row in rows], columns=names).astype("float64")
    year = np.floor(frame["decimal_year"])
    dates = pd.DataFrame({"year": frame.get("year", year), "month": frame.get("month", 1), "day": frame.get("day", 1)})
    values = frame[["sunspots", "std", "observations"]].copy()
    none = values == -1
    values = values.mask(none)
    values.insert(0, "ds", pd.to_datetime(dates.astype(int)))
    phrases = (f"-1 is missing ({int(none['sunspots'].sum())})",) if none["sunspots"].any() else ()
    first = values["sunspots"].first_valid_index()
    values = values.iloc[0 if first is None else first :].reset_index(drop=True)
    return Found(values, phrases, {"time": "ds", "target": "sunspots"})


#: Archives: what tells their first lines, and what reads them.
PRESETS: dict[str, tuple[Callable[[list[str]], bool], Callable[[Source, list[str]], Found]]] = {
    "psl": (_is_psl, _psl),
    "rdb": (_is_rdb, _rdb),
    "ndbc": (_is_ndbc, _ndbc),
    "silso": (_is_silso, _silso),
}

_SHAPES = {
    "psl": "the first and the last year, then a line of twelve months a year",
    "rdb": "tabs, comments of #, and a line such as 5s 15s 20d under the header",
    "ndbc": "a header #YY MM DD hh mm and columns of blanks",
    "silso": "year, month, day, decimal year and sunspot number without a header",
}
