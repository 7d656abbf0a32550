"""One target of several: the same rows, windows and tests, of that target alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from kseq.comparison.rows import Rows
from kseq.evaluation.intervals import Interval
from kseq.evaluation.model_result import ModelResult
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.windows import WindowedPanel

#: What holds the rows of one target.
One = TypeVar("One", bound=Rows)


def by_target(comparison: Rows, make: Callable[..., One]) -> list[One]:
    """A comparison of each target, ranked by the same metric; none where there is one target.

    Rows have the forecasts and intervals of the whole comparison, and no learning curves: a network learns all targets
    at once.

    Args:
        comparison: A comparison of one or several targets.
        make: Class of the result, which takes windows, settings and backtest.
    """
    targets = comparison.data.targets
    return [_of_target(comparison, make, target) for target in range(targets)] if targets > 1 else []


def _of_target(comparison: Rows, make: Callable[..., One], target: int) -> One:
    settings, backtest = comparison.settings, comparison.backtest
    if settings is not None:
        settings = replace(settings, metric=comparison.measure, season=comparison.season)
    data = _data_of(comparison.data, target)
    if backtest is not None:
        backtest = replace(backtest, data=data, trainings=tuple(_data_of(one, target) for one in backtest.trainings))
    alone = make(data, settings, backtest)
    for row in comparison.rows:
        if row.sound.any():
            alone.add(_row_of(comparison, row, target))
    return alone


def _data_of(data: WindowedPanel, target: int) -> WindowedPanel:
    """The same windows of a panel that has one target and no other column."""
    panel, name = data.series, data.series.targets[target]
    panel = replace(
        panel, name=f"{panel.name}, {name}", values=panel.values[:, [target]], targets=(name,), features=(), future=(),
        filled=None,
    )  # fmt: skip
    scaler = Scaler(*(part[..., [target]] for part in (data.target_scaler.center, data.target_scaler.scale)))
    return replace(data, series=panel, target_scaler=scaler, transform=None, notes=())


def _row_of(comparison: Rows, row: ModelResult, target: int) -> ModelResult:
    """Forecasts and intervals of the members that did not diverge."""
    only: Sequence[int] = [target]
    seeds = row.seeds
    if len(seeds) == len(row.predictions):
        seeds = tuple(np.array(seeds)[row.sound].tolist())
    return replace(
        row,
        predictions=row.predictions[row.sound][..., only],
        validation=None if row.validation is None else row.validation[row.sound][..., only],
        quantiles=None,
        validation_quantiles=None,
        seeds=seeds,
        diverged=(),
        history={},
        bands={level: Interval(level, band.lo[..., only], band.hi[..., only])
               for level, band in comparison.intervals(row).items()},
    )  # fmt: skip
