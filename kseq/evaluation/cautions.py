"""Cautions: what must not be concluded from the numbers of a comparison.

Each caution is a function that returns a sentence if the numbers call for it and None otherwise, as in
:mod:`kseq.evaluation.verdict`.
"""

import warnings

import numpy as np
import pandas as pd

from kseq.evaluation.metrics import mape_reason
from kseq.evaluation.rows import Row
from kseq.evaluation.verdict import Evidence, names, texts
from kseq.text import count

#: Fewer seeds than this estimate the variation between trainings badly.
FEW_SEEDS = 5

#: Fewer test windows than this are too few for a correlation.
FEW_WINDOWS = 10

#: Smallest correlation with the last known value at which a forecast is said to follow it.
FOLLOWS = 0.5

#: Errors above this multiple of the training range mean that the training failed.
BLOWN_UP = 10

#: If target ranges differ by more than this factor, the mean error is that of the largest target.
UNLIKE = 10

#: Units whose zero is a convention, in lower case.
ARBITRARY_ZERO = (
    "°c", "°f", "deg c", "deg f", "degc", "degf", "celsius", "fahrenheit", "degrees c", "degrees f", "degrees celsius",
    "degrees fahrenheit", "degree_celsius", "degree_fahrenheit", "degrees_celsius", "degrees_fahrenheit",
)  # fmt: skip


def cautions(evidence: Evidence) -> list[str]:
    """List the cautions that apply.

    Args:
        evidence: Rows, true values and facts of the comparison.

    Returns:
        list[str]: One sentence each, in the order in which they are read.
    """
    return texts(CAUTIONS, evidence) + [f"{row.name}: {flag}" for row in evidence.rows for flag in row.flags]


def no_baseline(evidence: Evidence) -> str | None:
    """Warn that there is no baseline to compare with."""
    if evidence.baseline is not None or not evidence.trained:
        return None
    worth = "training was worth it" if evidence.noun == "cell" else "any of them is worth its while"
    return f"No baseline stands beside the {evidence.noun}s: nothing says whether {worth}."


def copies_last_value(evidence: Evidence) -> str | None:
    """Warn of one-step forecasts that correlate more with the last known value than with the value to be forecast.

    It applies to windows one row apart, and only to enough of them for a correlation: folds of a backtest may be a
    season apart, where the last value predicts as well as the truth.
    """
    if evidence.step_size > 1 or len(evidence.y) < FEW_WINDOWS or evidence.series is not None:
        return None
    found = []
    for row in evidence.trained:
        forecast = evidence.y[:, 0] + row.finite[:, :, 0]
        with_last = _correlation(forecast, evidence.last)
        with_truth = _correlation(forecast, evidence.y[:, 0])
        if with_last > max(with_truth, FOLLOWS):
            found.append(f"{row.name} ({with_last:.3f} with y(t-1), {with_truth:.3f} with y(t))")
    if not found:
        return None
    return (
        f"Forecasts that follow the last value: {', '.join(found)}. Such a curve looks right and is the truth one step "
        "late."
    )


def blown_up(evidence: Evidence) -> str | None:
    """Warn of forecasts that are finite but far outside the range of the series."""
    found = [f"{row.name} (by {count(_misses(evidence, row))} times)" for row in _blown(evidence)]
    if not found:
        return None
    return (
        f"Errors far beyond the range of the training part: {', '.join(found)}. Such a training failed: lower the "
        "learning rate."
    )


def _blown(evidence: Evidence) -> list[Row]:
    return [row for row in evidence.trained if _misses(evidence, row) > BLOWN_UP]


def _misses(evidence: Evidence, row: Row) -> float:
    """Mean absolute error divided by the training range, over the targets whose range is not zero."""
    ranges = np.broadcast_to(evidence.high - evidence.low, evidence.y.shape)
    errors = np.abs(row.finite).mean(axis=0)
    return float((errors[ranges > 0] / ranges[ranges > 0]).mean()) if (ranges > 0).any() else 0.0


def unlike_targets(evidence: Evidence) -> str | None:
    """Warn that the mean error over several targets is dominated by the largest one."""
    if evidence.series is not None or len(evidence.targets) < 2 or evidence.amount(1.0) != evidence.in_unit(1.0):
        return None
    ranges = np.broadcast_to(evidence.high - evidence.low, evidence.y.shape).mean(axis=(0, 1))
    largest, smallest = int(ranges.argmax()), int(ranges.argmin())
    if ranges[largest] <= UNLIKE * ranges[smallest]:
        return None
    return (
        f"Errors are means over {', '.join(evidence.targets)}, whose ranges differ from {ranges[smallest]:,.3g} to "
        f"{ranges[largest]:,.3g}: order and verdict are those of {evidence.targets[largest]}. MASE weighs targets "
        "alike; or compare them one by one."
    )


def at_epoch_limit(evidence: Evidence) -> str | None:
    """Warn of cells whose training was ended by the limit of epochs."""
    found = []
    blown = [row.name for row in _blown(evidence)]
    for row in evidence.cells:
        if row.name in blown:
            continue
        reached = sum(epochs >= row.epoch_limit for epochs in row.epochs)
        if row.epoch_limit and reached:
            # A seed that is trained in every fold counts once for each fold.
            what = "seeds" if len(row.epochs) == len(row.errors) else "trainings"
            found.append(f"{row.name} with {reached} of {len(row.epochs)} {what} (limit {row.epoch_limit})")
    if not found:
        return None
    return f"Stopped by the limit of epochs, not by the validation error: {', '.join(found)}; raise the limit."


def outside_training_range(evidence: Evidence) -> str | None:
    """Warn of test values outside the range of the training part."""
    outside = int(((evidence.y < evidence.low) | (evidence.y > evidence.high)).any(axis=(1, 2)).sum())
    if not outside:
        return None
    lows, highs = (np.broadcast_to(bound, evidence.y.shape) for bound in (evidence.low, evidence.high))
    if evidence.series is not None or np.ptp(lows, axis=0).any() or np.ptp(highs, axis=0).any():
        return (
            f"{outside} of {len(evidence.y)} test windows hold values outside the training range of their "
            f"{'fold' if evidence.series is None else 'series'}: networks extrapolate badly."
        )
    ranges = ", ".join(
        f"{evidence.amount(low)} to {evidence.amount(high)}" for low, high in zip(lows[0, 0], highs[0, 0], strict=True)
    )
    return (
        f"{outside} of {len(evidence.y)} test windows hold values outside the training range ({ranges}): networks "
        "extrapolate badly."
    )


def few_seeds(evidence: Evidence) -> str | None:
    """Warn of cells with fewer than five seeds."""
    few = [cell for cell in evidence.cells if cell.trained and len(cell.scores) < FEW_SEEDS]
    if not few:
        return None
    fewest, most = (choose(len(cell.scores) for cell in few) for choose in (min, max))
    if most == 1:
        return f"{names(few)}: one seed says nothing of the noise between trainings; use {FEW_SEEDS} seeds."
    shown = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return f"{names(few)}: {shown} seeds say little of the noise between trainings; use {FEW_SEEDS} seeds."


def diverged(evidence: Evidence) -> str | None:
    """Name the rows with members that diverged."""
    found = [f"{row.name} with {row.diverged} of {len(row.errors)} seeds" for row in evidence.rows if row.diverged]
    return f"Diverged, and left out of tests and verdict: {', '.join(found)}." if found else None


def irregular_steps(evidence: Evidence) -> str | None:
    """Warn of dates that are not evenly spaced: networks and lags count rows, not days."""
    index = evidence.index
    if not isinstance(index, pd.DatetimeIndex) or len(index) < 3 or _is_even(index):
        return None
    days = np.diff(index.to_numpy()) / np.timedelta64(1, "D")
    return (
        f"Time steps are irregular, {days.min():.3g} to {days.max():.3g} days (median {np.median(days):.3g}): models "
        "count rows, not days."
    )


def mape_origin(evidence: Evidence) -> str | None:
    """Warn that MAPE depends on the zero of the unit, where that zero is a convention."""
    if evidence.unit.lower() not in ARBITRARY_ZERO or mape_reason(evidence.y) is not None:
        return None
    return f"MAPE depends on where {evidence.unit} has its zero: in kelvin the same errors give another percentage."


def mape_missing(evidence: Evidence) -> str | None:
    """Say why MAPE is not shown."""
    reason = mape_reason(evidence.y) if evidence.series is None else None
    return f"MAPE is n/a: {reason}." if reason else None


#: In the order in which they are read.
CAUTIONS = (
    no_baseline, few_seeds, diverged, blown_up, at_epoch_limit, copies_last_value, unlike_targets,
    outside_training_range, irregular_steps, mape_origin, mape_missing,
)  # fmt: skip


def _is_even(index: pd.DatetimeIndex) -> bool:
    """Whether dates follow a calendar: a fixed number of days or hours, business days, or a fixed number of months."""
    months = np.diff(12 * index.year + index.month)
    # The middle and the end of a month shift with the length of the month.
    if months[0] > 0 and np.ptp(months) == 0 and np.ptp(index.day) <= 3:
        return True
    with warnings.catch_warnings():
        # pandas 3 warns that pandas 4 will return another type; only None matters here.
        warnings.simplefilter("ignore")
        return pd.infer_freq(index) is not None


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation over windows, averaged over members and targets.

    Args:
        a: Values of each member, ``(members, windows, targets)``.
        b: Values to correlate with, ``(windows, targets)``.

    Returns:
        float: The mean correlation; 0 for a pair of which one does not vary.
    """
    a, b = (_near_one(part - part.mean(axis=-2, keepdims=True)) for part in (a, b))
    product = (a * b).sum(axis=-2)
    size = np.sqrt((a**2).sum(axis=-2) * (b**2).sum(axis=-2))
    return float(np.mean(np.divide(product, size, out=np.zeros_like(product), where=size > 0)))


def _near_one(values: np.ndarray) -> np.ndarray:
    """The same values times a power of two, which changes no digit: their squares are neither infinite nor zero."""
    _, exponent = np.frexp(np.abs(values).max(initial=0.0))
    return np.ldexp(values, -int(exponent))
