"""From a comparison's rows to what tests and verdict read: errors by seed, beside the windows that they belong to."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.significance import Row
from kseq.evaluation.verdict import Evidence
from kseq.windows import WindowedSeries


def evidence_of(data: WindowedSeries, trainings: Sequence[WindowedSeries], results: Iterable[ModelResult]) -> Evidence:
    """Gather what a verdict is drawn from.

    Args:
        data: the windowed series that every row forecasts.
        trainings: what the networks were trained on, in the order of their test windows.
        results: the rows.

    Returns:
        Evidence: a member that diverged has errors that are not numbers, so that nothing is read into it.
    """
    return Evidence(
        rows=[row_of(result, result.predictions - data.test_y) for result in results],
        y=data.test_y,
        last=data.series.y[data.test.target_rows[:, 0] - 1],
        low=_extreme(np.nanmin, trainings),
        high=_extreme(np.nanmax, trainings),
        lookback=data.lookback,
        unit=data.series.unit,
        # Where the dates follow a frequency, a longer step is a gap, which notes and windows speak of.
        index=None if data.series.calendar.alias else data.series.index,
        targets=data.series.targets,
        step_size=min((segment.step for segment in data.test.segments), default=1),
    )


def _extreme(choose: Callable[..., np.ndarray], trainings: Sequence[WindowedSeries]) -> np.ndarray:
    """Smallest or largest value of each target in the training part; of several trainings, of each window's own."""
    found = [choose(training.series.y[: training.split.validation], axis=0) for training in trainings]
    if len(found) == 1:
        return found[0]
    return np.repeat(found, [len(training.test) for training in trainings], axis=0)[:, None]


def _seconds(result: ModelResult) -> float:
    """Seconds of a training, its first epoch at the pace of the others: whichever cell comes first compiles for all."""
    extra = result.first_epoch_seconds - result.seconds_per_epoch
    return result.seconds - max(0.0, extra) if np.isfinite(extra) else result.seconds


def row_of(result: ModelResult, errors: np.ndarray) -> Row:
    """A row as tests and verdict read it.

    Args:
        result: the row.
        errors: of each member, ``(member, window, step, target)``; those of members that diverged are not read.
    """
    return Row(
        result.name,
        np.where(result.sound[:, None, None, None], errors, np.nan),
        result.kind,
        # An ensemble has the seeds of many members and the forecasts of one.
        seeds=result.seeds if result.kind == "cell" else (),
        parameters=result.parameters,
        seconds=_seconds(result) / max(1, len(errors)),
        epochs=result.epochs,
        epoch_limit=result.epoch_limit,
    )
