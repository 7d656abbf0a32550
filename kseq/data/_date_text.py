"""Dates out of text, in the ways in which files write them.

Every reading is one format for all rows, and of two that fit all rows the one with even steps; where both have even
steps, or none, nothing is guessed. A date has a year, and stands in the same order in every row.
"""

import functools
import itertools
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kseq.data._mending import Mendable
from kseq.errors import Given, Parameter

#: How the text of a date and time ends where it names its distance from UTC.
OFFSET = r":\d{2}(?:\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})$"

#: Rows on which a format is tried before it is tried on all.
SAMPLE = 1000

#: Rows that are read at once.
PIECE = 2**17

#: Names of the months in English, German, French, Spanish, Italian, Portuguese and Dutch; three letters may do.
_MONTHS = (
    "january januar jänner janvier enero gennaio janeiro januari", "february februar février fevrier febrero febbraio "
    "fevereiro februari", "march märz mrz mars marzo março maart mrt", "april avril abril aprile",
    "may mai mayo maggio maio mei", "june juni juin junio giugno junho", "july juli juillet julio luglio julho",
    "august août aout agosto augustus", "september septembre septiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro", "november novembre noviembre novembro",
    "december dezember décembre decembre diciembre dicembre dezembro",
)  # fmt: skip
_ENGLISH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WORD = r"[^\W\d_]+"

#: Texts of years (``Y``) with months, quarters (``q``), ISO weeks (``w``) and the days of a week (``u``).
_YEAR, _QUARTER, _WEEK = r"(?P<Y>\d{4})", r"[QKTqkt](?P<q>[1-4])", r"(?:[Ww]|KW)[- ]?(?P<w>\d{1,2})"
_EITHER = r"(?P<Y>\d{4}|\d{2})"
_SPECIAL = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_YEAR}[- ]?[Mm](?P<m>\d{{1,2}})",
        rf"{_YEAR}年\s*(?P<m>\d{{1,2}})月(?:\s*(?P<d>\d{{1,2}})日)?",
        rf"{_EITHER}[- /]?{_QUARTER}",
        rf"{_QUARTER}[- /']*{_EITHER}",
        rf"(?P<q>[1-4])\.?[QKTqkt][- /']*{_EITHER}",
        rf"{_YEAR}[- /]?{_WEEK}",
        rf"{_WEEK}[- /]{_YEAR}",
        rf"{_YEAR}-?[Ww](?P<w>\d{{2}})-?(?P<u>[1-7])",
    )
)

#: Years that begin in one and end in the next: 2001/02.
_FISCAL = r"^(\d{4})[-/](\d{2})$"

_MIDNIGHT = r"(.*\d[T ]\s*)24(:?00(?::00(?:\.0+)?)?)$"
_INTERVAL = r"(.*\d)\s*(?:/|\s[-–]\s|\bto\b)\s*(\d.*\d.*)"

#: Parts of a text, and what a number of so many digits may be.
_PARTS = rf"(?<=\d)\s*[+-]\d\d:?\d\d$|\d{{1,2}}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?[AaPp][Mm]\b)?|\d+|{_WORD}|[\W_]+"
_NUMBERS = {
    1: ("%m", "%d", "%H"), 2: ("%m", "%d", "%y", "%H"), 4: ("%Y", "%H%M"), 6: ("%H%M%S",), 8: ("%Y%m%d",),
    12: ("%Y%m%d%H%M",), 14: ("%Y%m%d%H%M%S",),
}  # fmt: skip
#: Orders in which the parts of a date stand, hours last.
_ORDERS = {
    order + hour for order in ("Ymd", "dmY", "mdY", "ymd", "dmy", "mdy") for hour in ("", "H", "HM", "HMS")
} | {"Ym", "mY", "Yb", "bY", "by"}  # fmt: skip


@dataclass
class Reading:
    """Dates read from text.

    Args:
        dates: NaT where a text is no date.
        told: What was guessed, for the user.
        dayfirst: Which way dates of two readings were read; None where there were none.
    """

    dates: pd.Series
    told: str = ""
    dayfirst: bool | None = None


def month_of(word: str) -> int | None:
    """Number of the month that a word names, in any of some languages; None of another word.

    Example:
        >>> month_of("Dezember"), month_of("avr."), month_of("Market")
        (12, 4, None)
    """
    word = word.strip(" .").lower()
    if len(word) < 3:
        return None
    found = [number for number, names in enumerate(_MONTHS, 1) if f" {word}" in f" {names}"]
    return found[0] if len(found) == 1 else None


def read(
    text: pd.Series, columns: Sequence[str], name: str, date_format: str | None = None, dayfirst: bool | None = None
) -> Reading:
    """Read a column of text.

    Args:
        text: The values, none of them missing.
        columns: Its name, for messages; or the names of the columns that it was joined of.
        name: Name of the data, for messages.
        date_format: How they are written; None to find it.
        dayfirst: Whether the day comes before the month; None to find it.

    Raises:
        DataError: The texts are no dates, or dates in two ways.
    """
    text = text.astype(str)
    sample = text.iloc[np.unique(np.linspace(0, len(text) - 1, SAMPLE, dtype="int64"))]
    if not sample.equals(sample.str.strip()):
        text = text.str.strip()
        sample = text.loc[sample.index]
    if date_format is not None:
        dates, told = _by_format(text, date_format, columns, name), ""
        return Reading(*(_none_ahead(dates) if "%y" in date_format else (dates, told)))
    first = text.iloc[0]
    interval = _interval(first)
    if interval:
        found = read(text.str.extract(_INTERVAL)[0].fillna(""), columns, name, None, dayfirst)
        found.told = "; ".join(filter(None, ["intervals by their beginning", found.told]))
        return found
    fiscal = sample.str.extract(_FISCAL)
    if len(text) > 1 and (pd.to_numeric(fiscal[1]) == (pd.to_numeric(fiscal[0]) + 1) % 100).all():
        return Reading(_by_format(text.str[:4], "%Y", columns, name), "years that begin in the first of two")
    for pattern in _SPECIAL:
        if pattern.fullmatch(first):
            return _special(text, pattern)
    readings: dict[str, pd.Series] = {}
    forms = _forms(first)
    for form in forms:
        # Most formats that are not the right one fail within some rows.
        if _parsed(sample, form, columns, name).isna().any():
            continue
        dates = _parsed(text, form, columns, name)
        if not dates.isna().any():
            readings[form] = _none_ahead(dates)[0] if "%y" in form else dates
            if not _ambiguous(form):
                break
    if readings:
        found = _one_of(readings, text, columns, name, dayfirst)
        if all("%y" in form for form in readings):
            found.told = _none_ahead(found.dates)[1]
        return found
    if re.search(_WORD, first) and not sample.map(_in_english).equals(sample):
        return read(text.map(_in_english), columns, name, None, dayfirst)
    if not re.search(r"(?<![\d:])\d{4}(?![\d:])", first):
        begun = next((row for row, value in enumerate(text.iloc[:20]) if is_date(value)), 0)
        # What stands above a table stands in its first rows.
        remedies = [{"skip_rows": lines} for lines in range(begun, begun + 5)] if begun else []
        raise no_dates(columns, name, f"{first!r} in row 0 has no year of four digits", remedies)
    # The one that reads the most, for the message on the rest.
    tried = [_parsed(text, form, columns, name) for form in forms or ["ISO8601"]]
    return Reading(min(tried, key=lambda dates: int(dates.isna().sum())))


def no_dates(
    columns: Sequence[str], name: str, reason: str, remedies: Sequence[Mapping[str, Any]] = (),
    otherwise: Sequence[str] = (),
) -> Mendable:  # fmt: skip
    """Say that columns do not read as dates, why not, and what would do."""
    usual = "expected dates such as 2001-02-03, or columns year,month,day; say how they are written with "
    return Mendable(
        f"{name}: column {','.join(columns)} does not read as dates ({reason})",
        remedies=remedies,
        otherwise=otherwise
        or (
            usual,
            Parameter("date_format"),
            ", such as %d.%m.%Y, or give ",
            Given("time", "none"),
            " for rows that are equally spaced",
        ),
    )


@functools.lru_cache(2**14)
def is_date(text: str) -> bool:
    """Whether a text is a date with its year, or an interval between two."""
    text = text.strip()
    interval = _interval(text)
    text = interval[1].strip() if interval else text
    special = any(pattern.fullmatch(text) for pattern in _SPECIAL)
    return special or (not text.isdigit() and len(text) <= 40 and bool(_forms(_in_english(text))))


def _interval(text: str) -> re.Match | None:
    """The two ends of an interval, of which the first is a date; None where a text is none."""
    found = re.fullmatch(_INTERVAL, text)
    if found is None or not _forms(found[1]):
        return None
    return found if ":" in found[2] or _forms(found[2]) else None


def _in_english(text: str) -> str:
    """A text with the names of months in English, and without the words between them and a year."""

    def word(found: re.Match) -> str:
        number = month_of(found[0])
        return found[0] if number is None else _ENGLISH[number - 1]

    return re.sub(r"\s+(?:de|del|of)\s+", " ", re.sub(rf"{_WORD}\.?", word, text))


def _forms(text: str) -> list[str]:
    """Formats that may read a text: each number may be a year, a month, a day or an hour."""
    plain = re.sub(_MIDNIGHT, r"\g<1>00\2", text)
    choices: list[Sequence[str]] = []
    for part in re.findall(_PARTS, plain):
        bare = part.strip()
        if part[:1].isdigit() and ":" in part:
            ending = re.search(r"(\s?)[AaPp][Mm]$", part)
            clock = ("%I:%M:%S" if ending else "%H:%M:%S")[: 3 * part.count(":") + 2]
            choices.append([clock + ".%f" * ("." in part) + (f"{ending[1]}%p" if ending else "")])
        elif part.isdigit():
            choices.append(_NUMBERS.get(len(part), ()))
        elif re.fullmatch(r"\s*[+-]\d\d:?\d\d", part):
            choices.append([part[: len(part) - len(bare)] + "%z"] if ":" in plain[: -len(bare)] else [part])
        elif bare[:3].title() in _ENGLISH and bare.isalpha():
            choices.append(["%b" if len(part) == 3 else "%B"])
        elif bare.isalpha() and len(bare) > 1 and bare not in ("UTC", "GMT"):
            choices.append(["%a" if len(part) == 3 else "%A"])
        else:
            choices.append([part.replace("%", "%%")])
    forms = ["ISO8601"] if re.match(r"\d{4}-\d{2}(-\d{2}|$)", plain) else []
    if sum(len(own) > 1 for own in choices) > 6:
        return forms
    made = map("".join, itertools.product(*choices))
    return list(dict.fromkeys([*forms, *(form for form in made if _is_sound(form) and pd.notna(_try(plain, form)))]))


def _is_sound(form: str) -> bool:
    """Whether a format has each part once and in an order in which dates are written, and its clock at one place."""
    parts = re.findall("%([A-Za-z])", form.replace("%B", "%b"))
    date = "".join(part for part in parts if part in ("Yymdb" if ":" in form else "YymdbHMS"))
    if len(set(parts)) < len(parts) or re.search("%[Yymd]:%[Yymd]|%H(?!:).*:|:.*%H(?!:)", form):
        return False
    return (date.replace("b", "m") if len(date) > 2 else date) in _ORDERS


def _try(text: str, form: str) -> pd.Timestamp:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pd.to_datetime(text, format=form, errors="coerce")
        except ValueError:
            return pd.NaT


def _ambiguous(form: str) -> bool:
    """Whether day and month are both numbers, and come before the year."""
    return re.search(r"%[dm]\W%[dm]\W%[Yy]", form) is not None


def _parsed(text: pd.Series, form: str, columns: Sequence[str], name: str) -> pd.Series:
    dates = _by_format(text, form, columns, name)
    bad = dates.isna()
    if bad.any():
        midnight = text[bad].str.extract(_MIDNIGHT)
        hits = midnight[0].notna()
        if hits.any():
            begun = midnight.loc[hits, 0] + "00" + midnight.loc[hits, 1]
            later = _by_format(begun, form, columns, name) + pd.Timedelta(days=1)
            dates = dates.fillna(later.reindex(dates.index).astype(dates.dtype))
    return dates


def _by_format(text: pd.Series, form: str, columns: Sequence[str], name: str) -> pd.Series:
    try:
        return _in_pieces(text, form)
    except ValueError as error:
        offsets = text.str.extract(OFFSET, expand=False)
        if offsets.notna().all():
            # Instants, whatever the clock showed.
            return pd.to_datetime(text, format=form, errors="coerce", utc=True)
        if offsets.notna().any():
            return pd.Series(pd.NaT, index=text.index)
        raise no_dates(columns, name, str(error).strip().splitlines()[0].split(". ")[0]) from error


def _in_pieces(text: pd.Series, form: str) -> pd.Series:
    """Read a column some rows at a time: pandas makes a Python object of each text, several times the file's size.

    Raises:
        ValueError: Pandas does not know the format, or dates have several offsets from UTC.
    """
    pieces = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for first in range(0, max(1, len(text)), PIECE):
            pieces.append(pd.to_datetime(text.iloc[first : first + PIECE], format=form, errors="coerce"))
    if len({str(getattr(piece.dtype, "tz", None)) for piece in pieces}) > 1:
        raise ValueError("several offsets from UTC")
    return pd.concat(pieces)


def _special(text: pd.Series, pattern: re.Pattern) -> Reading:
    """Dates of years with months, quarters or ISO weeks."""
    parts = text.where(text.str.fullmatch(pattern.pattern)).str.extract(pattern.pattern)
    short = parts["Y"].str.len() == 2
    year = pd.to_numeric(parts["Y"].where(~short, "20" + parts["Y"]), errors="coerce")
    if "w" in parts:
        days = parts.get("u", "1")
        written = parts["Y"] + "-" + parts["w"].str.zfill(2) + "-" + days
        told = "" if "u" in parts else "ISO weeks, from their Mondays"
        return Reading(pd.to_datetime(written, format="%G-%V-%u", errors="coerce"), told)
    month = pd.to_numeric(parts["q"]) * 3 - 2 if "q" in parts else pd.to_numeric(parts["m"])
    day = pd.to_numeric(parts["d"]).fillna(1) if "d" in parts else 1
    dates = pd.to_datetime(pd.DataFrame({"year": year, "month": month, "day": day}), errors="coerce")
    return Reading(*_none_ahead(dates)) if short.any() else Reading(dates)


def _none_ahead(dates: pd.Series) -> tuple[pd.Series, str]:
    """Put dates of two-digit years that lie ahead a century back; and say which years they are taken as."""
    ahead = dates.dt.tz_localize(None) > pd.Timestamp.now()
    if ahead.any():
        dates = dates.where(~ahead, dates - pd.DateOffset(years=100))
    return dates, f"years of two digits taken as {dates.min():%Y} to {dates.max():%Y}" if dates.notna().any() else ""


def _one_of(
    readings: dict[str, pd.Series], text: pd.Series, columns: Sequence[str], name: str, dayfirst: bool | None
) -> Reading:
    """Of dates in several readings take the one that the user names, or the one that is even."""
    different: dict[str, pd.Series] = {}
    for form, dates in readings.items():
        if not any(dates.equals(other) for other in different.values()):
            different[form] = dates
    if dayfirst is not None:
        fitting = [form for form in different if _ambiguous(form) and (form.index("%d") < form.index("%m")) == dayfirst]
        if fitting:
            return Reading(different[fitting[0]], "", dayfirst)
    form = next(iter(different))
    if len(different) > 1:
        breaks = {form: _breaks(dates) for form, dates in different.items()}
        form = min(breaks, key=lambda form: breaks[form])
        # Even steps in one order alone; or a few gaps in one order, and far more in the other.
        least = breaks[form]
        if least > 0.1 * len(text) or any(other <= 5 * least for key, other in breaks.items() if key != form):
            shown = list(different.values())
            row = int(np.flatnonzero((shown[0] != shown[1]).to_numpy())[0])
            forms = list(different)
            reason = f"{text.iloc[row]!r} is {shown[0].iloc[row].date()} or {shown[1].iloc[row].date()}"
            raise no_dates(columns, name, reason, otherwise=(
                "say which with ", Parameter("date_format"), f" '{forms[0]}' or '{forms[1]}'",
                *((" (", Parameter("dayfirst"), " for the day first)") if all(map(_ambiguous, different)) else ()),
            ))  # fmt: skip
    if not _ambiguous(form):
        return Reading(different[form])
    first = form.index("%d") < form.index("%m")
    return Reading(
        different[form], f"dates with the {'day' if first else 'month'} first" if len(readings) > 1 else "", first
    )


def _breaks(dates: pd.Series) -> float:
    """How many steps between neighbouring dates are not the usual one, of days or of months; inf out of order."""
    unique = dates.drop_duplicates()
    if len(unique) == len(dates) and not unique.is_monotonic_increasing:
        return np.inf
    unique = unique.sort_values()
    counted = [unique.diff().dropna()]
    if (unique.dt.day == unique.dt.day.iloc[0]).all():
        counted.append((unique.dt.year * 12 + unique.dt.month).diff().dropna())
    return min(int(len(steps) - steps.value_counts().max()) if len(steps) else 0 for steps in counted)
