"""What is said of the windows of a panel, and what is refused: parts too short, windows left out."""

from collections.abc import Sequence

import numpy as np

from kseq.data import Panel
from kseq.errors import DataError, Parameter
from kseq.preprocessing.splits import Split


def too_short(panel: Panel, split: Split, lookback: int, horizon: int, lost: int) -> DataError:
    """What to say where no series has room for its windows."""
    rows = max(0, int((split.validation - split.start).max()))
    if lost:
        return DataError(
            f"received {rows} training rows, expected at least {lost + lookback + horizon} for lookback {lookback}, "
            f"horizon {horizon} and differences; shorten ",
            Parameter("lookback"),
            ", or give ",
            Parameter("transform"),
            " none.",
        )
    expected = "longer ones"
    if rows < lookback + horizon:
        expected = f"at least {lookback + horizon}"
    return DataError(
        f"{panel.name}: received {len(panel.ids)} series of {panel.lengths.max()} rows at most, {rows} of them before "
        f"the validation part, expected {expected} for lookback {lookback} and horizon {horizon}; shorten ",
        Parameter("lookback"),
        " or ",
        Parameter("horizon"),
        ", lower ",
        Parameter("n_windows"),
        ", or raise ",
        Parameter("train_size"),
        ".",
    )


def require_each_origin(panel: Panel, first: np.ndarray, n_windows: int, step: int, segments: Sequence[range]) -> None:
    """Refuse a backtest of which an origin has no window in any series.

    Args:
        panel: The series.
        first: Row of the first origin's first target of each series, ``(series,)``.
        n_windows: How many origins there are.
        step: Rows from one to the next.
        segments: Rows of the first targets of the test windows.
    """
    begins = np.concatenate([np.asarray(segment) for segment in segments])
    numbers = (begins - first[panel.series_of(begins)]) // step
    empty = np.setdiff1d(np.arange(n_windows), numbers)
    if len(empty):
        raise _across_missing(f"{panel.name}: {len(empty)} of {n_windows} test windows", "none")


def _across_missing(which: str, expected: str) -> DataError:
    """Say that windows lie across missing rows, and what helps."""
    return DataError(
        f"{which} lie across missing dates or values, expected {expected}; fill missing values with ",
        Parameter("fill"),
        " ffill or ",
        Parameter("fill"),
        " seasonal, shorten ",
        Parameter("lookback"),
        ", or bring the missing dates.",
    )


def short_note(panel: Panel, kept: np.ndarray, lookback: int, horizon: int) -> str | None:
    short = np.flatnonzero(~kept)
    if not len(short):
        return None
    first = short[0]
    return (
        f"{len(short)} of {len(kept)} series are too short for lookback {lookback} and horizon {horizon}, and are left "
        f"out (first: '{panel.ids[first]}', {panel.lengths[first]} rows)."
    )


def overlap_note(panel: Panel, kept: np.ndarray, split: Split) -> str | None:
    """Say where one series is learnt from at dates that are still to come in another."""
    if not panel.has_dates or (split.test >= split.end).all():
        return None
    dates = panel.index
    latest = dates[split.validation[kept] - 1].max()
    first = dates[split.test[kept]]
    early = int((first <= latest).sum())
    if not early:
        return None
    return (
        f"Test parts of {early} of {int(kept.sum())} series begin before the training part of another one ends ("
        f"{str(latest).removesuffix(' 00:00:00')}): a model may know from one series what is to come in another."
    )


def validation_note(split: Split, kept: np.ndarray, horizon: int) -> str | None:
    """Say which validation windows share target rows with training windows."""
    length = (split.stop - split.validation)[kept]
    short = int(((length > 0) & (length < horizon)).sum())
    if not short:
        return None
    of_series = f" of {short} of {len(length)} series" if len(length) > 1 else ""
    return (
        f"The validation part{of_series} is shorter than the horizon of {horizon}: its window begins in the training "
        "part, so that errors on it, and intervals, come out a little small."
    )


def left_out(name: str, possible: dict[str, int], placed: dict[str, tuple]) -> str | None:
    """Say how many windows are left out for what is missing; refuse a part of which none is left."""
    shown = []
    for part, count in possible.items():
        have = sum(map(len, placed[part][0]))
        if count and not have:
            raise _across_missing(f"{name}: all {count} {part} windows", "some that do not")
        if have < count:
            shown.append(f"{count - have} of {count} {part}")
    return f"Windows across missing dates or values are left out: {', '.join(shown)} windows." if shown else None
