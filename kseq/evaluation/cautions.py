"""Cautions: what must not be concluded from the numbers of a comparison.

Each caution is a function that returns a sentence if the numbers call for it and None otherwise, as in
:mod:`kseq.evaluation.verdict`.
"""

import warnings

import numpy as np
import pandas as pd

from kseq.evaluation.evidence import Evidence
from kseq.evaluation.metrics import ALL_METRICS, mape_reason
from kseq.evaluation.over_time import WHITENED
from kseq.evaluation.rows import Row
from kseq.evaluation.tracking import (
    FEW_WINDOWS,
    correlation_by_lag,
    unexplained_by_own_past,
    unexplained_share,
    variance_shares,
)
from kseq.evaluation.verdict import names, texts
from kseq.text import count

#: Fewer seeds than this estimate the variation between trainings badly.
FEW_SEEDS = 5

#: Smallest correlation with an earlier value at which a forecast is said to follow it.
FOLLOWS = 0.5

#: Forecasts whose variance is below this share of the truth's are called flat.
FLAT = 0.05

#: A validation loss below this share of the training loss is worth a word.
EASIER = 0.95

#: A loss above this share of that of a forecast that needs no training says that next to nothing was learned.
LEARNED = 0.85

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


def one_origin(evidence: Evidence) -> str | None:
    """Warn of a single series that is forecast from one origin, of which no test over time can be made."""
    if evidence.series is not None or len(evidence.y) > 1 or len(evidence.rows) < 2:
        return None
    return (
        "All steps are forecast from one origin: nothing says how rows would stand from another, and no row is said to "
        "differ from another."
    )


def few_windows(evidence: Evidence) -> str | None:
    """Warn of differences that rest on so few windows that nothing is known of their memory."""
    known = [pair for pair in evidence.pairs.values() if pair.significant and not np.isnan(pair.p_time)]
    windows = evidence.rows[0].losses.shape[1] if known else WHITENED
    if windows >= WHITENED or evidence.overlap > 1:
        return None
    return (
        f"The test over time has {windows} {evidence.step_words}, and takes them to be independent: where a bad one "
        f"tends to follow another, it finds differences that are not there. {WHITENED} or more tell."
    )


def copies_last_value(evidence: Evidence) -> str | None:
    """Warn of first steps that correlate more with an earlier value than with the value to be forecast.

    The correlation is taken over the windows of a series, of at least :data:`FEW_WINDOWS`, and averaged over series,
    members and targets; the lag with the largest one must reach :data:`FOLLOWS`. Lags beyond the last known value are
    looked at where windows are one row apart. Windows that are whole seasons apart are left out: there the last value
    predicts as well as the truth.

    The best forecast of a series without other memory follows the last value too: that of a first-order autoregression
    is a share of it. Nothing is said of forecasts whose errors vary hardly more than those of a line fitted to the
    truth's own last values, see :data:`kseq.evaluation.tracking.LATE`.
    """
    if evidence.step_size > 1 and evidence.season > 1 and evidence.step_size % evidence.season == 0:
        return None
    found: list[str] = []
    left, slack, least = float("nan"), 1.0, float("inf")
    for row in evidence.trained:
        of_lag = correlation_by_lag(evidence, evidence.y[:, 0] + row.finite[:, :, 0])
        lag = max(range(len(of_lag)), key=of_lag.__getitem__) if of_lag else 0
        if lag and of_lag[lag] > FOLLOWS:
            if not np.isfinite(left):
                left, slack = unexplained_by_own_past(evidence)
            errors = unexplained_share(evidence, row.finite[:, :, 0])
            if errors <= slack * left:
                continue
            least = min(least, errors)
            found.append(f"{row.name} ({of_lag[lag]:.3f} with y(t-{lag}), {of_lag[0]:.3f} with y(t))")
    if not found:
        return None
    late = "one step" if all("y(t-1)" in text for text in found) else "some steps"
    return (
        f"Forecasts that follow the last value: {', '.join(found)}. Their errors have {least:.2g} of the truth's "
        f"variance or more, those of a line through its own last values {left:.2g}. Such a curve looks right and is "
        f"the truth {late} late."
    )


def flat(evidence: Evidence) -> str | None:
    """Warn of forecasts that hardly vary, or that converge to a mean over the horizon.

    At each step the variance of forecasts over the windows of a series is compared with that of the true values, and
    the ratio averaged over series, members and targets: below :data:`FLAT` the forecast is flat at that step. Series
    need :data:`FEW_WINDOWS` windows; where none has as many, values vary over the steps of a window instead, of which
    there must be as many.
    """
    owners = evidence.windows_of
    enough = np.bincount(owners)[owners] >= FEW_WINDOWS
    over_windows, found = bool(enough.any()), []
    if not over_windows and evidence.y.shape[1] < FEW_WINDOWS:
        return None
    for row in evidence.trained:
        forecast = evidence.y + row.finite
        if not over_windows:
            share = variance_shares(
                forecast.swapaxes(1, 2), evidence.y.swapaxes(0, 1), np.zeros(evidence.y.shape[1], int)
            ).mean()
            if share < FLAT:
                found.append(f"{row.name} (over the steps of a window, {share:.2g})")
            continue
        shares = variance_shares(forecast[:, enough], evidence.y[enough], owners[enough])
        low = np.flatnonzero(shares < FLAT)
        if len(low) and low[-1] == len(shares) - 1:
            first = 1 + len(shares) - int(np.cumprod(shares[::-1] < FLAT).sum())
            at = "" if first == 1 else f" from step {first} on"
            fall = "" if first == 1 else f" after {shares[0]:.2g} at step 1"
            found.append(f"{row.name} ({shares[-1]:.2g}{at}{fall})")
    if not found:
        return None
    return (
        "Forecasts that are flat or converge to a mean, by their variance as a share of the truth's: "
        f"{', '.join(found)}. A mean is the best forecast of what the inputs say nothing of; it tells no turn."
    )


def validation_below_training(evidence: Evidence) -> str | None:
    """Explain a validation loss below :data:`EASIER` times the training loss, at the epoch whose weights are kept.

    Beside them stands the loss of a forecast that needs no training on both parts: the parts' own difficulty.
    """
    found = []
    for row in evidence.cells:
        trained, seen = row.kept_losses
        if seen < EASIER * trained:
            found.append(f"{row.name} ({evidence.in_unit(seen, '')} and {evidence.in_unit(trained, '')})")
    if not found:
        return None
    trained, seen = evidence.null_losses
    why = "a loss in training is a mean over an epoch, with dropout if there is any"
    if np.isfinite(seen):
        shown = f"repeating {evidence.null_words} has {evidence.in_unit(seen, '')} and {evidence.in_unit(trained, '')}"
        if evidence.null_words == "no change":
            shown = shown.replace("repeating", "forecasting")
        easier = seen < EASIER * trained
        why = f"the validation part is the easier one: {shown}" if easier else f"{why}; the part is no easier: {shown}"
    return f"A validation loss below the training loss, {', '.join(found)}, is no mistake: {why}."


def learned_nothing(evidence: Evidence) -> str | None:
    """Warn of networks whose losses exceed :data:`LEARNED` times those of a forecast that needs no training.

    Both losses must, where there is a validation part: dropout raises a training loss. The forecast is no change or
    what windows are measured from, in transformed and scaled values: what the transform had done is no merit of the
    network.
    """
    null, null_seen = evidence.null_losses
    found = []
    for row in evidence.cells:
        trained, seen = row.kept_losses
        if trained > LEARNED * null and not seen <= LEARNED * null_seen:
            found.append(f"{row.name} (training loss {evidence.in_unit(trained, '')})")
    if not found:
        return None
    verb = "forecasting" if evidence.null_words == "no change" else "repeating"
    return (
        f"Networks that learned little: {', '.join(found)}, where {verb} {evidence.null_words} has "
        f"{evidence.in_unit(null, '')}. Their place in the table is mostly the merit of that, and of the transform."
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
    metric = ALL_METRICS.get(evidence.metric)
    if evidence.series is not None or len(evidence.targets) < 2 or (metric is not None and metric.unit != "target"):
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
    no_baseline, one_origin, few_windows, few_seeds, diverged, blown_up, at_epoch_limit, learned_nothing,
    validation_below_training, copies_last_value, flat, unlike_targets, outside_training_range, irregular_steps,
    mape_origin, mape_missing,
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
