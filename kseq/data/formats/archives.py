"""Time series archives: Monash's ``.tsf`` (Godahewa et al. 2021) and ``.ts`` of sktime and aeon (UCR, UEA, TSER).

Both begin with lines such as ``@frequency monthly``; after ``@data`` each line is a series. A ``.tsf`` line holds
attributes and values between colons; a ``.ts`` line holds dimensions between colons, and a label at its end. Series end
where they end: none is filled up to the longest.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from kseq.data._source import Source
from kseq.data.formats.found import Found, some
from kseq.errors import DataError

#: Frequencies of ``.tsf`` files, as pandas calls them; months are laid out by :func:`_dates`.
_UNITS = {
    "secondly": "s", "seconds": "s", "minutely": "min", "minutes": "min", "hourly": "h", "hours": "h", "daily": "D",
    "days": "D", "weekly": "W", "weeks": "W", "monthly": "M", "months": "M", "quarterly": "Q", "quarters": "Q",
    "yearly": "Y", "annually": "Y", "years": "Y",
}  # fmt: skip
_MONTHS = {"M": 1, "Q": 3, "Y": 12}

_FREQUENCY = re.compile(r"(?:(\d+|half|quarter)_)?([a-z]+)")
_TAG = re.compile(rb"^\s*@(relation|problemname|attribute|frequency|timestamps|data)\b", re.I | re.M)


def recognises(source: Source) -> bool:
    """Whether a source is an archive by its name or its first lines."""
    return source.path.suffix.lower() == ".tsf" or _TAG.match(_without_comments(source.head)) is not None


def read(source: Source) -> Found:
    """Read an archive as a long frame: ``unique_id``, ``ds`` where it has dates, ``y``, and attributes of each series.

    Raises:
        DataError: The header or a line is not as the format says.
    """
    text = source.whole().decode("utf-8-sig", errors="replace")
    header: dict[str, str] = {}
    attributes: list[tuple[str, str]] = []
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if not line.startswith("@"):
            raise DataError(
                f"{source}: received {line[:40]!r} in line {number}, expected @data before the first series."
            )
        tag, _, value = line[1:].partition(" ")
        if tag.lower() == "data":
            break
        if tag.lower() == "attribute":
            name, _, kind = value.strip().partition(" ")
            attributes.append((name, kind.strip().lower()))
        header[tag.lower()] = value.strip()
    else:
        raise DataError(f"{source} holds no line @data; expected the series after it.")
    rows = ((number, line.strip()) for number, line in lines if line.strip() and not line.startswith("#"))
    if attributes or "frequency" in header or source.path.suffix.lower() == ".tsf":
        return _monash(source, header, attributes, rows)
    return _sktime(source, header, rows)


def _monash(
    source: Source, header: dict[str, str], attributes: list[tuple[str, str]], rows: Iterator[tuple[int, str]]
) -> Found:
    names = [name for name, _ in attributes]
    ids: list[str] = []
    values: list[np.ndarray] = []
    given: dict[str, list[str]] = {name: [] for name in names}
    for number, line in rows:
        parts = line.split(":")
        if len(parts) != len(names) + 1:
            raise DataError(
                f"{source}: received {len(parts) - 1} attributes in line {number}, expected {len(names)} "
                f"({some(names)}) and the values after them."
            )
        values.append(_numbers(source, parts[-1].split(","), number))
        for name, part in zip(names, parts, strict=False):
            given[name].append(part)
    if not values:
        raise DataError(f"{source} holds no series after @data; expected one a line.")
    id_name = "series_name" if "series_name" in names else next((n for n, k in attributes if k == "string"), None)
    ids = given[id_name] if id_name else [f"T{number}" for number in range(1, len(values) + 1)]
    if len(set(ids)) < len(ids):
        # Some archives name what a series is of, several times: all names together tell them apart.
        text_names = [name for name, kind in attributes if kind == "string"]
        ids = ["/".join(parts) for parts in zip(*(given[name] for name in text_names), strict=True)]
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise DataError(f"{source}: received series {twice!r} more than once, expected names that differ.")
    lengths = [len(own) for own in values]
    columns: dict[str, Any] = {"unique_id": np.repeat(np.array(ids, dtype=object), lengths)}
    date = next((name for name, kind in attributes if kind == "date"), None)
    freq, phrases = "", []
    if "frequency" in header:
        count, unit = _frequency(source, header["frequency"])
        phrases.append(f"frequency {header['frequency']}")
        if date is not None:
            first = _starts(source, given[date])
            columns["ds"] = np.concatenate([_dates(s, n, count, unit) for s, n in zip(first, lengths, strict=True)])
            freq = "" if unit in _MONTHS or unit == "W" else f"{count if count > 1 else ''}{unit}"
    columns["y"] = np.concatenate(values)
    for name, kind in attributes:
        if name not in (id_name, date) and name not in columns:
            column = np.array(given[name], dtype=object)
            columns[name] = np.repeat(column if kind == "string" else pd.to_numeric(pd.Series(column)), lengths)
    if "horizon" in header:
        phrases.append(f"the file's horizon {header['horizon']}")
    hint = {"target": "y"} | ({"freq": freq} if freq else {})
    return Found(pd.DataFrame(columns), tuple(phrases), hint)


def _sktime(source: Source, header: dict[str, str], rows: Iterator[tuple[int, str]]) -> Found:
    labelled = any(header.get(tag, "false").lower().startswith("true") for tag in ("classlabel", "targetlabel"))
    dated = header.get("timestamps", "false").lower() == "true"
    parts: list[pd.DataFrame] = []
    for number, line in rows:
        dimensions = _dimensions(line, dated)
        if labelled:
            dimensions = dimensions[:-1]
        parts.append(_case(source, dimensions, dated, number).assign(unique_id=f"{len(parts) + 1}"))
    if not parts:
        raise DataError(f"{source} holds no series after @data; expected one a line.")
    frame = pd.concat(parts, ignore_index=True)
    targets = [column for column in frame.columns if column not in ("unique_id", "ds")]
    return Found(frame, ("labels left out",) if labelled else (), {"target": targets})


def _dimensions(line: str, dated: bool) -> list[str]:
    """Dimensions of a case; those with dates hold colons between brackets."""
    return re.split(r":(?![^(]*\))", line) if dated else line.split(":")


def _case(source: Source, dimensions: list[str], dated: bool, number: int) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for at, text in enumerate(dimensions, 1):
        name = "y" if len(dimensions) == 1 else f"y{at}"
        if dated:
            pairs = [pair.rpartition(",") for pair in re.findall(r"\(([^()]*)\)", text)]
            dates = [date.strip() for date, _, _ in pairs]
            if columns.setdefault("ds", dates) != dates:
                raise DataError(f"{source}: dimensions of line {number} differ in their dates, expected the same ones.")
            columns[name] = _numbers(source, [value for _, _, value in pairs], number)
        else:
            columns[name] = _numbers(source, text.split(","), number)
    if len({len(values) for values in columns.values()}) > 1:
        raise DataError(f"{source}: dimensions of line {number} differ in length, expected as many values in each.")
    return pd.DataFrame(columns)


def _numbers(source: Source, texts: list[str], number: int) -> np.ndarray:
    texts = [text.strip() for text in texts]
    try:
        values = np.array(["nan" if text in ("?", "NaN", "") else text for text in texts], dtype="float64")
    except ValueError as error:
        raise DataError(f"{source}: line {number} holds what is no number ({error}); expected values or ?.") from error
    return values


def _frequency(source: Source, text: str) -> tuple[int, str]:
    found = _FREQUENCY.fullmatch(text.strip().lower())
    if found is None or found.group(2) not in _UNITS:
        raise DataError(
            f"{source}: received @frequency {text}, expected one such as monthly, daily, hourly, 10_minutes."
        )
    unit, count = _UNITS[found.group(2)], found.group(1)
    if count in ("half", "quarter"):
        return {"half": 30, "quarter": 15}[count], "min"
    return int(count or 1), unit


def _starts(source: Source, texts: list[str]) -> np.ndarray:
    """First date of each series; times are written 00-00-00, since colons part attributes."""
    plain = pd.Series(texts).str.strip().str.replace(r" (\d{1,2})-(\d{1,2})-(\d{1,2})$", r" \1:\2:\3", regex=True)
    starts = pd.to_datetime(plain, errors="coerce", format="mixed")
    if starts.isna().any():
        bad = texts[int(np.flatnonzero(starts.isna())[0])]
        raise DataError(f"{source}: received start {bad!r}, expected a date such as 1990-01-01 00-00-00.")
    return starts.to_numpy("datetime64[s]")


def _dates(start: np.datetime64, rows: int, count: int, unit: str) -> np.ndarray:
    """Dates of a series: so many months on, on its first day or at ends of months; or steps of one length."""
    steps = count * np.arange(rows)
    if unit in _MONTHS:
        month = start.astype("datetime64[M]") + _MONTHS[unit] * steps
        ends = (month + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
        day = start.astype("datetime64[D]")
        offset, clock = day - start.astype("datetime64[M]"), start - day
        is_end = day + np.timedelta64(1, "D") == (start.astype("datetime64[M]") + 1).astype("datetime64[D]")
        days = ends if is_end else np.minimum(month.astype("datetime64[D]") + offset, ends)
        return days.astype("datetime64[s]") + clock
    seconds = {"s": 1, "min": 60, "h": 3600, "D": 86400, "W": 7 * 86400}[unit]
    return start + (seconds * steps).astype("timedelta64[s]")


def _without_comments(head: bytes) -> bytes:
    lines = head.lstrip(b"\xef\xbb\xbf").splitlines()
    return b"\n".join(line for line in lines if line.strip() and not line.lstrip().startswith(b"#"))[:1000]
