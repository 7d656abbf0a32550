"""What must not be read into the numbers of a comparison.

Each caution is a sentence as in :mod:`kseq.evaluation.verdict`: it appears where the numbers show it, and nowhere else.
"""

import warnings

import numpy as np
import pandas as pd

from kseq.evaluation.metrics import mape_reason
from kseq.evaluation.significance import Row
from kseq.evaluation.verdict import Evidence, names, texts

#: Fewer seeds than this say little of the noise between trainings.
FEW_SEEDS = 5

#: Fewer test windows than this have no correlation worth a word.
FEW_WINDOWS = 10

#: A forecast that correlates less with the last value does not follow it.
FOLLOWS = 0.5

#: Errors of so many times the training range are no forecasts of the series.
BLOWN_UP = 10

#: Targets whose ranges differ by more than this have one mean error by name alone.
UNLIKE = 10

#: Units whose zero is a convention, in small letters.
ARBITRARY_ZERO = (
    "°c", "°f", "deg c", "deg f", "degc", "degf", "celsius", "fahrenheit", "degrees c", "degrees f", "degrees celsius",
    "degrees fahrenheit", "degree_celsius", "degree_fahrenheit", "degrees_celsius", "degrees_fahrenheit",
)  # fmt: skip


def cautions(evidence: Evidence) -> list[str]:
    """Sentences on what must not be read into the numbers."""
    return texts(CAUTIONS, evidence) + [f"{row.name}: {flag}" for row in evidence.rows for flag in row.flags]


def no_baseline(evidence: Evidence) -> str | None:
    """Cells stand alone."""
    if evidence.baseline is not None or not evidence.trained:
        return None
    return "No baseline stands beside the cells: nothing says whether training was worth it."


def copies_last_value(evidence: Evidence) -> str | None:
    """One step ahead, forecasts correlate better with the last known value than with the value to be forecast.

    That is asked of windows that follow one another row by row, and are enough for a correlation to mean something:
    the folds of a backtest may be a season apart, where the last value says as much as the truth.
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
    """Forecasts that are numbers, and out of all proportion to the series."""
    found = [f"{row.name} (by {_misses(evidence, row):,.0f} times)" for row in _blown(evidence)]
    if not found:
        return None
    return (
        f"Errors far beyond the range of the training part: {', '.join(found)}. Such a training failed: lower "
        "--learning-rate."
    )


def _blown(evidence: Evidence) -> list[Row]:
    # Rows of a panel hold losses, which have no range to be measured by.
    return [] if evidence.series is not None else [r for r in evidence.trained if _misses(evidence, r) > BLOWN_UP]


def _misses(evidence: Evidence, row: Row) -> float:
    """Mean absolute error in ranges of the training part, over the targets that have one."""
    ranges = np.broadcast_to(evidence.high - evidence.low, evidence.y.shape)
    errors = np.abs(row.finite).mean(axis=0)
    return float((errors[ranges > 0] / ranges[ranges > 0]).mean()) if (ranges > 0).any() else 0.0


def unlike_targets(evidence: Evidence) -> str | None:
    """The mean error over several targets is that of the largest."""
    if evidence.series is not None or len(evidence.targets) < 2:
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
    """A cell was still training when its epochs ran out."""
    found = []
    blown = [row.name for row in _blown(evidence)]
    for row in evidence.cells:
        if row.name in blown:
            continue
        reached = sum(epochs >= row.epoch_limit for epochs in row.epochs)
        if row.epoch_limit and reached:
            # A seed that is trained anew in each fold counts once a fold.
            what = "seeds" if len(row.epochs) == len(row.errors) else "trainings"
            found.append(f"{row.name} with {reached} of {len(row.epochs)} {what} (limit {row.epoch_limit})")
    if not found:
        return None
    return f"Stopped by the limit of epochs, not by the validation error: {', '.join(found)}; raise --epochs."


def outside_training_range(evidence: Evidence) -> str | None:
    """Test values that the networks have never seen the like of."""
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
    """A cell with fewer than five seeds."""
    few = [cell for cell in evidence.cells if len(cell.scores) < FEW_SEEDS]
    if not few:
        return None
    fewest, most = (choose(len(cell.scores) for cell in few) for choose in (min, max))
    if most == 1:
        return f"{names(few)}: one seed says nothing of the noise between trainings; use --seeds {FEW_SEEDS}."
    shown = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return f"{names(few)}: {shown} seeds say little of the noise between trainings; use --seeds {FEW_SEEDS}."


def diverged(evidence: Evidence) -> str | None:
    """Members whose forecasts are not numbers."""
    found = [f"{row.name} with {row.diverged} of {len(row.errors)} seeds" for row in evidence.rows if row.diverged]
    return f"Diverged, and left out of tests and verdict: {', '.join(found)}." if found else None


def irregular_steps(evidence: Evidence) -> str | None:
    """Dates that are not evenly spaced: networks and lags count rows, not days."""
    index = evidence.index
    if not isinstance(index, pd.DatetimeIndex) or len(index) < 3 or _is_even(index):
        return None
    days = np.diff(index.to_numpy()) / np.timedelta64(1, "D")
    return (
        f"Time steps are irregular, {days.min():.3g} to {days.max():.3g} days (median {np.median(days):.3g}): models "
        "count rows, not days."
    )


def mape_origin(evidence: Evidence) -> str | None:
    """MAPE is shown for a unit whose zero is a convention."""
    if evidence.unit.lower() not in ARBITRARY_ZERO or mape_reason(evidence.y) is not None:
        return None
    return f"MAPE depends on where {evidence.unit} has its zero: in kelvin the same errors give another percentage."


def mape_missing(evidence: Evidence) -> str | None:
    """MAPE is not shown; of a panel it is told series by series elsewhere."""
    reason = mape_reason(evidence.y) if evidence.series is None else None
    return f"MAPE is n/a: {reason}." if reason else None


#: In the order in which they are read.
CAUTIONS = (
    no_baseline, few_seeds, diverged, blown_up, at_epoch_limit, copies_last_value, unlike_targets,
    outside_training_range, irregular_steps, mape_origin, mape_missing,
)  # fmt: skip


def _is_even(index: pd.DatetimeIndex) -> bool:
    """Whether dates follow a calendar: every so many days or hours, working days, or once in so many months."""
    months = np.diff(12 * index.year + index.month)
    # Middles and ends of months move by as much as the lengths of months.
    if months[0] > 0 and np.ptp(months) == 0 and np.ptp(index.day) <= 3:
        return True
    with warnings.catch_warnings():
        # pandas 3 warns that pandas 4 returns another type; only None is asked for.
        warnings.simplefilter("ignore")
        return pd.infer_freq(index) is not None


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation over windows, averaged over members and targets.

    Args:
        a: ``(members, windows, targets)``.
        b: ``(windows, targets)``.

    Returns:
        0 where one of them does not vary.
    """
    a, b = a - a.mean(axis=-2, keepdims=True), b - b.mean(axis=-2, keepdims=True)
    product = (a * b).sum(axis=-2)
    size = np.sqrt((a**2).sum(axis=-2) * (b**2).sum(axis=-2))
    return float(np.mean(np.divide(product, size, out=np.zeros_like(product), where=size > 0)))
