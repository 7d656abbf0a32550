"""Dates out of text, in the ways in which files write them.

Every reading is one format for all rows, and of two that fit all rows the one with even steps; where both have even
steps, or none, nothing is guessed. Free text is not parsed word by word: a date without a year, or in another order in
every row, is no date.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from kseq.data._mending import Mendable
from kseq.errors import DataError, Parameter

#: How the text of a date and time ends where it names its distance from UTC.
OFFSET = r":\d{2}(?:\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})$"

#: Texts that pandas does not read, what to make of them, and how they are called.
_SPECIAL = (
    (r"(\d{4})[- ]?[Mm](\d{1,2})", r"\1-\2", "%Y-%m", ""),
    (r"(\d{4})[- /]?[Qq]([1-4])", r"\1Q\2", "quarter", ""),
    (r"[Qq]([1-4])[- /]?(\d{4})", r"\2Q\1", "quarter", ""),
    (r"([1-4])[Qq][- /]?(\d{4})", r"\2Q\1", "quarter", ""),
    (r"(\d{4})-?[Ww](\d{2})", r"\1-W\2-1", "%G-W%V-%u", "ISO weeks, from their Mondays"),
    (r"(\d{4})-?[Ww](\d{2})-?([1-7])", r"\1-W\2-\3", "%G-W%V-%u", ""),
)

#: Formats that pandas does not tell from the first value.
_FURTHER = (
    "%b-%Y", "%B-%Y", "%Y-%b", "%Y %b", "%Y %B", "%b %Y", "%B %Y", "%d-%b-%Y", "%d %b %Y", "%d%b%Y", "%b/%Y", "%Y/%b",
    "%Y/%m", "%m/%Y", "%m-%Y", "%m.%Y", "%Y.%m", "%Y.%m.%d", "%b %d %Y", "%b %d, %Y", "%B %d, %Y", "%Y%m%d %H%M",
    "%Y%m%d%H%M", "%Y-%m-%d %H", "%Y-%m-%d %I:%M %p", "%Y-%m-%d %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p", "%d/%m/%Y %H", "%m/%d/%Y %H", "%d-%b-%Y %H:%M", "%d-%b-%Y %H:%M:%S",
    "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%H:%M %d/%m/%Y", "%H:%M %m/%d/%Y", "%H:%M:%S %d/%m/%Y", "%H:%M:%S %m/%d/%Y",
)  # fmt: skip

#: Those with years of two digits.
_SHORT = (
    "%b-%y", "%b %y", "%y-%b", "%d-%b-%y", "%d %b %y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%m.%d.%y", "%d-%m-%y",
    "%m-%d-%y", "%y-%m-%d", "%y/%m/%d", "%d/%m/%y %H:%M", "%m/%d/%y %H:%M", "%d.%m.%y %H:%M", "%d/%m/%y %H:%M:%S",
    "%m/%d/%y %H:%M:%S",
)  # fmt: skip

#: Rows on which a format is tried before it is tried on all.
SAMPLE = 1000

_MIDNIGHT = r"(.*\d[T ]\s*)24(:?00(?::00(?:\.0+)?)?)$"
_INTERVAL = r"(.*\d)\s*(?:/|\s[-–]\s|\bto\b)\s*(\d.*\d.*)"


@dataclass
class Reading:
    """Dates read from text.

    Args:
        dates: NaT where a text is no date.
        told: what was guessed, for the user.
        dayfirst: which way dates of two readings were read; None where there were none.
    """

    dates: pd.Series
    told: str = ""
    dayfirst: bool | None = None


def read(
    text: pd.Series, columns: Sequence[str], name: str, date_format: str | None = None, dayfirst: bool | None = None
) -> Reading:
    """Read a column of text.

    Args:
        text: the values, none of them missing.
        columns: its name, for messages; or the names of the columns that it was joined of.
        name: of the data, for messages.
        date_format: how they are written; None to find it.
        dayfirst: whether the day comes before the month; None to find it.

    Raises:
        DataError: the texts are no dates, or dates in two ways.
    """
    text = text.astype(str)
    sample = text.iloc[np.unique(np.linspace(0, len(text) - 1, SAMPLE, dtype="int64"))]
    if not sample.equals(sample.str.strip()):
        text = text.str.strip()
        sample = text.loc[sample.index]
    if date_format is not None:
        dates, told = _by_format(text, date_format), ""
        if "%y" in date_format:
            dates, told = _none_ahead(dates)
        return Reading(dates, told)
    first = text.iloc[0]
    interval = re.fullmatch(_INTERVAL, first)
    if interval and _has_year(interval[1]) and (_has_year(interval[2]) or ":" in interval[2]):
        parts = text.str.extract(_INTERVAL)
        found = read(parts[0].fillna(""), columns, name, None, dayfirst)
        return Reading(
            found.dates, "; ".join(filter(None, ["intervals by their beginning", found.told])), found.dayfirst
        )
    for pattern, plain, form, told in _SPECIAL:
        if re.fullmatch(pattern, first):
            return Reading(_special(text, pattern, plain, form), told)
    if not _has_year(first):
        return _of_short_years(text, columns, name, dayfirst)
    forms = _forms(first)
    readings = {}
    for form in forms:
        # Most formats that are not the right one fail within some rows.
        if _parsed(sample, form, columns, name).isna().any():
            continue
        dates = _parsed(text, form, columns, name)
        if not dates.isna().any():
            readings[form] = dates
            if not _ambiguous(form):
                break
    if not readings:
        # The one that reads the most, for the message on the rest.
        tried = [_parsed(text, form, columns, name) for form in forms or ["ISO8601"]]
        return Reading(min(tried, key=lambda dates: int(dates.isna().sum())))
    return _one_of(readings, text, columns, name, dayfirst)


def _has_year(text: str) -> bool:
    return bool(re.search(r"(?<![\d:])(1[5-9]|2[0-2])\d\d(?![\d:])|^(1[5-9]|2[0-2])\d{6}(?!\d{3,3}$)", text))


def _forms(first: str) -> list[str]:
    """Formats that may read a text, those of years first."""
    plain = re.sub(_MIDNIGHT, r"\g<1>00\2", first)
    forms: list[str] = []
    if re.match(r"\d{4}-\d{2}(-\d{2}|$)", plain):
        forms.append("ISO8601")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        guessed = [guess_datetime_format(plain, dayfirst=first_day) for first_day in (False, True)]
    if forms:
        # Nobody writes the day between year and month.
        guessed = guessed[:1]
    forms += [form for form in guessed if form is not None]
    for form in _FURTHER:
        if pd.notna(pd.to_datetime(plain, format=form, errors="coerce")):
            forms.append(form)
    return list(dict.fromkeys(forms))


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


def _by_format(text: pd.Series, form: str, columns: Sequence[str] = (), name: str = "") -> pd.Series:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pd.to_datetime(text, format=form, errors="coerce")
    except ValueError as error:
        offsets = text.str.extract(OFFSET, expand=False)
        if offsets.notna().all():
            # Instants, whatever the clock showed.
            return pd.to_datetime(text, format=form, errors="coerce", utc=True)
        if offsets.notna().any():
            return pd.Series(pd.NaT, index=text.index)
        raise DataError(
            f"{name}: column {','.join(columns)} does not read as dates "
            f"({str(error).strip().splitlines()[0].split('. ')[0]}); expected dates such as 2001-02-03."
        ) from error


def _special(text: pd.Series, pattern: str, plain: str, form: str) -> pd.Series:
    fits = text.str.fullmatch(pattern)
    written = text.str.replace(f"^{pattern}$", plain, regex=True).where(fits)
    if form != "quarter":
        return pd.to_datetime(written, format=form, errors="coerce")
    year = pd.to_numeric(written.str[:4], errors="coerce")
    quarter = pd.to_numeric(written.str[-1:], errors="coerce")
    return pd.to_datetime(pd.DataFrame({"year": year, "month": quarter * 3 - 2, "day": 1}), errors="coerce")


def _of_short_years(text: pd.Series, columns: Sequence[str], name: str, dayfirst: bool | None) -> Reading:
    """Dates with years of two digits, none of which lies ahead."""
    readings = {}
    for form in _SHORT:
        if pd.isna(pd.to_datetime(text.iloc[0], format=form, errors="coerce")):
            continue
        dates = _by_format(text, form, columns, name)
        if dates.isna().any():
            continue
        readings[form] = _none_ahead(dates)[0]
    if not readings:
        raise Mendable(
            f"{name}: column {','.join(columns)} does not read as dates ({text.iloc[0]!r} in row 0 has no year of four "
            "digits)",
            remedies=[],
            otherwise=(
                "expected dates such as 2001-02-03; say how they are written with ", Parameter("date_format"),
                ", such as %d.%m.%Y, or leave such a column out",
            ),
        )  # fmt: skip
    found = _one_of(readings, text, columns, name, dayfirst)
    found.told = _none_ahead(found.dates)[1]
    return found


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
    if len(different) > 1:
        breaks = {form: _breaks(dates) for form, dates in different.items()}
        form = min(breaks, key=lambda form: breaks[form])
        # Even steps in one order alone; or a few gaps in one order, and far more in the other.
        least = breaks[form]
        if least > 0.1 * len(text) or any(other <= 5 * least for key, other in breaks.items() if key != form):
            shown = list(different.values())
            row = int(np.flatnonzero((shown[0] != shown[1]).to_numpy())[0])
            choice = [{"dayfirst": True}] if all(map(_ambiguous, different)) else []
            forms = list(different)
            raise Mendable(
                f"{name}: column {','.join(columns)} does not read as dates ({text.iloc[row]!r} is "
                f"{shown[0].iloc[row].date()} or {shown[1].iloc[row].date()})",
                remedies=[],
                otherwise=(
                    "say which with ", Parameter("date_format"), f" '{forms[0]}' or '{forms[1]}'",
                    *((" (", Parameter("dayfirst"), " for the day first)") if choice else ()),
                ),
            )  # fmt: skip
    else:
        form = next(iter(different))
    told, first = "", None
    if _ambiguous(form):
        first = form.index("%d") < form.index("%m")
        told = f"dates with the {'day' if first else 'month'} first" if len(readings) > 1 else ""
    return Reading(different[form], told, first)


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
