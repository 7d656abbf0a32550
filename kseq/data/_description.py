"""What was read, in one sentence."""

from collections.abc import Sequence

import pandas as pd

from kseq.data.frequency import Calendar


def description(
    targets: Sequence[str],
    time: Sequence[str],
    calendar: Calendar,
    index: pd.Index,
    series: int,
    missing: int,
    read_as: Sequence[str] = (),
) -> str:
    """Say what was read.

    Args:
        targets: Columns to forecast.
        time: Columns of dates.
        calendar: Calendar of the dates.
        index: Index of the rows: dates, or numbers.
        series: Number of series.
        missing: How many values are missing; dates that are missing between others are added.
        read_as: Phrases on how it was read.

    Returns:
        ``"target Temp, dates Date, daily 1981-01-01 to 1990-12-31, 3,650 rows, 2 missing, 1 series"``, and after a
        semicolon what was found out about the file.
    """
    shown = ", ".join(map(str, targets[:3])) + f" and {len(targets) - 3} more" * (len(targets) > 3)
    parts = [f"target{'s' * (len(targets) > 1)} {shown}"]
    if isinstance(index, pd.DatetimeIndex):
        parts.append(f"dates {'+'.join(map(str, time)) if time else 'in the index'}")
        span = [str(date).removesuffix(" 00:00:00") for date in (index.min(), index.max())]
        parts.append(f"{calendar.words} {span[0]} to {span[1]}")
    else:
        parts.append(f"steps counted by {time[0]}, {index.min()} to {index.max()}" if time else "no dates")
    parts.append(f"{len(index):,} row{'s' * (len(index) != 1)}")
    missing += int(calendar.sizes.sum())
    parts.append(f"{missing:,} missing" if missing else "none missing")
    parts.append(f"{series:,} series")
    return ", ".join(parts) + (f"; {', '.join(dict.fromkeys(read_as))}" if read_as else "")
