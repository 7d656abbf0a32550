"""From a comparison's rows to what tests and verdict read: errors by seed, beside the windows that they belong to."""

from collections.abc import Iterable

import numpy as np

from kseq.results import ModelResult
from kseq.statistics import Row
from kseq.verdict import Evidence
from kseq.windows import WindowedSeries


def evidence_of(data: WindowedSeries, results: Iterable[ModelResult]) -> Evidence:
    """Gather what a verdict is drawn from.

    Args:
        data: the windowed series that every row forecasts.
        results: the rows.

    Returns:
        Evidence: a member that diverged has errors that are not numbers, so that nothing is read into it.
    """
    known, y = data.split.validation, data.series.y
    return Evidence(
        rows=[_row(result, data.test_y) for result in results],
        y=data.test_y,
        last=y[data.test.target_rows[:, 0] - 1],
        low=y[:known].min(axis=0),
        high=y[:known].max(axis=0),
        lookback=data.lookback,
        unit=data.series.unit,
        index=data.series.index,
    )


def _row(result: ModelResult, y: np.ndarray) -> Row:
    errors = np.where(result.sound[:, None, None, None], result.predictions - y, np.nan)
    return Row(
        result.name,
        errors,
        result.kind,
        # An ensemble has the seeds of many members and the forecasts of one.
        seeds=result.seeds if result.kind == "cell" else (),
        parameters=result.parameters,
        seconds=result.seconds / max(1, len(errors)),
        epochs=result.epochs,
        epoch_limit=result.epoch_limit,
    )
