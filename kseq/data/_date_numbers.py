"""Dates that are written as numbers: 20010203, 200102, 2001, 2001.0411, seconds since 1970; and plain step numbers."""

from collections.abc import Callable

import numpy as np
import pandas as pd

#: Years that a number may stand for.
FIRST_YEAR, LAST_YEAR = 1500, 2300

#: Counts since 1970 by their number of digits, from 1973 to 2286.
_EPOCHS = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}

#: Whole numbers whose digits are those of a date, by how many there are.
_DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


def dates_of_numbers(values: np.ndarray) -> tuple[pd.Index | None, str]:
    """Read numbers as dates.

    Args:
        values: finite numbers, ``(rows,)``.

    Returns:
        Dates, or the numbers themselves where they count steps; None where they are neither. And how they were read,
        for the user.

    Example:
        >>> dates_of_numbers(np.array([20010203, 20010204]))[0].strftime("%Y-%m-%d").tolist()
        ['2001-02-03', '2001-02-04']
    """
    if not (values == np.floor(values)).all():
        return _of_years(values)
    whole = values.astype("int64")
    digits = {len(str(number)) for number in (whole.min(), whole.max())} if (whole >= 0).all() else set()
    size = digits.pop() if len(digits) == 1 else 0
    readings: list[tuple[Callable[[], pd.DatetimeIndex | None], str]] = []
    if size == 4:
        readings.append((lambda: _years(whole), "numbers taken as years"))
    if size == 6:
        readings.append((lambda: _months(whole), "numbers taken as YYYYMM"))
    if size in _DIGITS:
        readings.append((lambda: _digits(whole, size), f"numbers taken as {_named(_DIGITS[size])}"))
    low, high = len(str(abs(int(whole.min())))), len(str(abs(int(whole.max()))))
    if whole.min() > 0 and low in _EPOCHS and _EPOCHS.get(low) == _EPOCHS.get(high):
        unit = _EPOCHS[low]
        words = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
        readings.append((lambda: pd.DatetimeIndex(whole.astype(f"datetime64[{unit}]")), f"{words} since 1970, in UTC"))
    for read, words in readings:
        dates = read()
        if dates is not None:
            return dates, words
    return (pd.Index(whole), "numbers of steps") if not readings and not _may_be_instants(whole) else (None, "")


def _may_be_instants(whole: np.ndarray) -> bool:
    """Whether numbers may be seconds around 1970, by their size and by steps of whole minutes: they count no steps."""
    return bool(np.abs(whole).max() >= 10**6 and not (np.diff(whole) % 60).any())


def _named(pattern: str) -> str:
    for code, name in (("%Y", "YYYY"), ("%m", "MM"), ("%d", "DD"), ("%H", "HH"), ("%M", "MM"), ("%S", "SS")):
        pattern = pattern.replace(code, name)
    return pattern


def _years(whole: np.ndarray) -> pd.DatetimeIndex | None:
    if whole.min() < FIRST_YEAR or whole.max() > LAST_YEAR:
        return None
    return pd.DatetimeIndex((whole - 1970).astype("datetime64[Y]").astype("datetime64[s]"))


def _months(whole: np.ndarray) -> pd.DatetimeIndex | None:
    years, months = whole // 100, whole % 100
    if years.min() < FIRST_YEAR or years.max() > LAST_YEAR or months.min() < 1 or months.max() > 12:
        return None
    return pd.DatetimeIndex(((years - 1970) * 12 + months - 1).astype("datetime64[M]").astype("datetime64[s]"))


def _digits(whole: np.ndarray, size: int) -> pd.DatetimeIndex | None:
    years = whole // 10 ** (size - 4)
    if years.min() < FIRST_YEAR or years.max() > LAST_YEAR:
        return None
    rest = whole - years * 10 ** (size - 4)
    parts = {"year": years}
    for name, left in zip(("month", "day", "hour", "minute", "second"), range(size - 6, -1, -2), strict=False):
        parts[name] = rest // 10**left % 100
    dates = pd.to_datetime(pd.DataFrame(parts), errors="coerce")
    # An hour of 24 or more is none, though it could be counted on.
    over = any((parts[name] >= most).any() for name, most in (("hour", 24), ("minute", 60)) if name in parts)
    return None if dates.isna().any() or over else pd.DatetimeIndex(dates)


def _of_years(values: np.ndarray) -> tuple[pd.Index | None, str]:
    """Years with decimals: at even parts of a year, months, or days."""
    if values.min() < FIRST_YEAR or values.max() > LAST_YEAR:
        return None, ""
    years = np.floor(values)
    part = values - years
    hundredths = np.rint(part * 100)
    if np.allclose(part * 100, hundredths, atol=1e-6) and hundredths.min() >= 1 and hundredths.max() <= 12:
        # 1958.10 has lost its zero and is October.
        months = (years * 100 + hundredths).astype("int64")
        return _months(months), "numbers taken as YYYY.MM"
    # The smallest step tells what a year is divided into; numbers have three decimals, or four.
    steps = np.diff(np.unique(values))
    usual = float(np.median(steps)) if len(steps) else 1.0
    for parts, words in ((4, "quarters"), (12, "months")):
        if abs(usual * parts - 1) < 0.05:
            # Months begin, or are at their middle: which of them, not where in it.
            number = np.floor(part * parts + 0.02).astype("int64") * (12 // parts)
            months = ((years.astype("int64") - 1970) * 12 + number).astype("datetime64[M]")
            return pd.DatetimeIndex(months.astype("datetime64[s]")), f"decimal years taken as {words}"
    first = (years.astype("int64") - 1970).astype("datetime64[Y]")
    length = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype("int64")
    if usual >= 0.9 / 366:
        # A day is told by its beginning or its middle.
        days = np.floor(part * length + 0.02).astype("int64")
        return pd.DatetimeIndex((first.astype("datetime64[D]") + days).astype("datetime64[s]")), (
            "decimal years taken as days"
        )
    return None, ""
