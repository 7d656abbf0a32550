"""Dates that are written as numbers: 20010203, 200102, 2001, 2001.0411, seconds since 1970; and plain step numbers."""

import numpy as np
import pandas as pd

#: Years that a number may stand for.
FIRST_YEAR, LAST_YEAR = 1500, 2300

#: Days since 1899-12-30 by which spreadsheets count, from 1954 to 2119.
SERIALS = (20_000, 80_000)

#: Counts since 1970 by their number of digits, from 1973 to 2286.
_EPOCHS = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

#: Whole numbers whose digits are those of a date, by how many there are.
_DIGITS = {
    4: ("%Y", "years"), 6: ("%Y%m", "YYYYMM"), 7: ("%Y%j", "years and days of the year"), 8: ("%Y%m%d", "YYYYMMDD"),
    10: ("%Y%m%d%H", "YYYYMMDDHH"), 12: ("%Y%m%d%H%M", "YYYYMMDDHHMM"), 14: ("%Y%m%d%H%M%S", "YYYYMMDDHHMMSS"),
}  # fmt: skip


def dates_of_numbers(values: np.ndarray, dated: bool = False) -> tuple[pd.Index | None, str]:
    """Read numbers as dates.

    Args:
        values: Finite numbers, ``(rows,)``.
        dated: Whether the name of their column says that they are dates.

    Returns:
        Dates, or the numbers themselves where they count steps; None where they are neither. And how they were read,
        for the user.

    Example:
        >>> dates_of_numbers(np.array([20010203, 20010204]))[0].strftime("%Y-%m-%d").tolist()
        ['2001-02-03', '2001-02-04']
    """
    if dated and SERIALS[0] <= values.min() and values.max() <= SERIALS[1]:
        return of_serials(values), "days since 1899-12-30, as spreadsheets count them"
    if not (values == np.floor(values)).all():
        return _of_years(values)
    whole = values.astype("int64")
    sizes = {len(str(number)) for number in (whole.min(), whole.max())} if (whole >= 0).all() else {0}
    form, words = _DIGITS.get(max(sizes), ("", "")) if len(sizes) == 1 else ("", "")
    if form:
        text = pd.Series(whole).astype(str)
        dates = pd.to_datetime(text, format=form, errors="coerce")
        # Parsers take 2001112 as the second of November too.
        if dates.notna().all() and dates.dt.year.between(FIRST_YEAR, LAST_YEAR).all():
            return pd.DatetimeIndex(dates), f"numbers taken as {words}"
    units = {_EPOCHS.get(size) for size in sizes}
    unit = units.pop() if len(units) == 1 else None
    if unit is not None:
        return pd.DatetimeIndex(whole.astype(f"datetime64[{unit}]")), f"{_UNITS[unit]} since 1970, in UTC"
    # They count no steps where their digits are nearly those of a date, or may be seconds around 1970.
    instants = np.abs(whole).max() >= 10**6 and not (np.diff(whole) % 60).any()
    return (None, "") if (form and form != "%Y%j") or instants else (pd.Index(whole), "numbers of steps")


def of_serials(values: np.ndarray) -> pd.DatetimeIndex:
    """Dates of days as spreadsheets count them."""
    return pd.DatetimeIndex(pd.to_datetime(values, unit="D", origin="1899-12-30")).round("s")


def _of_years(values: np.ndarray) -> tuple[pd.Index | None, str]:
    """Years with decimals: at even parts of a year, months, or days."""
    if values.min() < FIRST_YEAR or values.max() > LAST_YEAR:
        return None, ""
    years = np.floor(values)
    part = values - years
    begin = (years.astype("int64") - 1970).astype("datetime64[Y]")
    hundredths = np.rint(part * 100)
    coarse = np.allclose(part * 100, hundredths, atol=1e-6)
    # The smallest step tells what a year is divided into; numbers have three decimals, or four.
    steps = np.diff(np.unique(values))
    usual = float(np.median(steps)) if len(steps) else 1.0
    if coarse and hundredths.min() >= 1 and hundredths.max() <= 12:
        # 1958.10 has lost its zero and is October.
        months, words = hundredths - 1, "numbers taken as YYYY.MM"
    elif abs(usual * 4 - 1) < 0.05:
        months, words = np.floor(part * 4 + 0.02) * 3, "decimal years taken as quarters"
    elif abs(usual * 12 - 1) < 0.05:
        # Months begin, or are at their middle: which of them, not where in it.
        months, words = np.floor(part * 12 + 0.02), "decimal years taken as months"
    elif usual >= 0.9 / 366 and not coarse:
        length = ((begin + 1).astype("datetime64[D]") - begin.astype("datetime64[D]")).astype("int64")
        # A day is told by its beginning or its middle.
        days = begin.astype("datetime64[D]") + np.floor(part * length + 0.02).astype("int64")
        return pd.DatetimeIndex(days.astype("datetime64[s]")), "decimal years taken as days"
    else:
        return None, ""
    dates = begin.astype("datetime64[M]") + months.astype("int64")
    return pd.DatetimeIndex(dates.astype("datetime64[s]")), words
