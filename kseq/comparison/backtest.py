"""Rolling-origin backtests: the last origins of a series, each forecast from what came before it.

A fold is one origin (Tashman 2000). The last fold's targets end at the last row, and folds are ``step_size`` rows
apart::

    rows     0 .............................................. n
    fold 1   | training | validation | gap | targets |
    fold 2   | training      | validation | gap | targets |
    fold 3   | training           | validation | gap | targets |

Models are trained once, on what the first fold knows, and forecast all folds; or with ``refit`` anew in each. A
training is given a series that begins with its first row and ends with its last target: what comes later is not there
to leak. The gap's rows are kept from training and validation; a window reads them, as every row before its targets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kseq import baselines
from kseq.choosing import Transform
from kseq.errors import DataError, Parameter
from kseq.evaluation.intervals import Interval, intervals
from kseq.parts import Split, fewest_rows
from kseq.evaluation.model_result import ModelResult, stack_curves
from kseq.data import Series
from kseq.settings import Settings
from kseq.windows import WindowedSeries, make_windows


@dataclass(frozen=True)
class Fold:
    """One origin and what its forecast is learnt from, in row numbers of the series.

    Args:
        start: first row that is learnt from.
        validation: first row of the validation part.
        stop: one after the last row that is learnt from.
        first: first target row; the row before it is the cutoff.
        end: one after the last target row.
    """

    start: int
    validation: int
    stop: int
    first: int
    end: int


@dataclass(frozen=True)
class Backtest:
    """What is forecast, and what it is learnt from.

    Args:
        data: the whole series with the windows of all folds as its test part; training and validation part are those of
            the first fold.
        folds: in the order of time, one a window.
        trainings: the rows of each training with the windows that it forecasts, in the order of time: one for all folds
            or, with ``refit``, one a fold.
    """

    data: WindowedSeries
    folds: tuple[Fold, ...]
    trainings: tuple[WindowedSeries, ...]


def cut_windows(
    series: Series, settings: Settings, split: Split | None = None, test_starts: range | None = None
) -> WindowedSeries:
    """Cut a series as settings say; ``split`` and ``test_starts`` as in :func:`kseq.make_windows`."""
    return make_windows(
        series,
        settings.lookback,
        settings.horizon,
        transform=_transform(settings),
        calendar=settings.calendar,
        scaler=settings.scaler,
        past_target=settings.past_target,
        test=settings.test,
        validation=settings.validation,
        split=split,
        test_starts=test_starts,
    )


def _transform(settings: Settings) -> Transform | None:
    if settings.transform == "none":
        return None
    return Transform(settings.transform, settings.season, settings.past_target)


def make_backtest(series: Series, settings: Settings) -> Backtest:
    """Lay the folds of a backtest over a series.

    Args:
        series: the series.
        settings: with ``n_windows`` from 1.

    Raises:
        DataError: the series, or ``train_size``, is too short for the first fold; the message says how many rows are
            needed.

    Example:
        >>> from kseq import load_series
        >>> backtest = make_backtest(load_series("nino12"), Settings(horizon=12, n_windows=3))
        >>> backtest.data.test_cutoffs.strftime("%Y-%m").tolist(), len(backtest.trainings)
        (['2007-12', '2008-12', '2009-12'], 1)
    """
    folds = lay_folds(len(series), settings)
    step = settings.step_size or settings.horizon
    if settings.refit:
        trainings = tuple(_training(series, settings, fold, range(fold.first, fold.first + 1)) for fold in folds)
    else:
        trainings = (_training(series, settings, folds[0], range(folds[0].first, folds[-1].first + 1, step)),)
    if len(trainings) == 1 and folds[0].start == 0:
        return Backtest(trainings[0], folds, trainings)
    split = Split(folds[0].validation, folds[0].stop, len(series))
    data = cut_windows(series, settings, split, range(folds[0].first, folds[-1].first + 1, step))
    return Backtest(data, folds, trainings)


def lay_folds(n: int, settings: Settings) -> tuple[Fold, ...]:
    """Find the rows of each fold.

    The last rows that are learnt from are the validation part, in the share that the settings give. They begin with the
    first row, or ``train_size`` rows before the gap. Without ``refit`` they are those of the first fold in all folds.

    Args:
        n: rows of the series.
        settings: with ``n_windows`` from 1; what is not a matter of rows is not read.

    Returns:
        The folds in the order of time.

    Raises:
        DataError: as :func:`make_backtest`.

    Example:
        >>> for fold in lay_folds(100, Settings(lookback=6, horizon=5, n_windows=2, gap=3, refit=True)):
        ...     print(fold)
        Fold(start=0, validation=74, stop=87, first=90, end=95)
        Fold(start=0, validation=78, stop=92, first=95, end=100)
    """
    horizon, gap = settings.horizon, settings.gap
    step = settings.step_size or horizon
    _require_rows(n, settings, step)
    firsts = range(n - horizon - (settings.n_windows - 1) * step, n - horizon + 1, step)
    folds = []
    for first in firsts:
        stop = (first if settings.refit else firsts.start) - gap
        start = stop - settings.train_size if settings.train_size else 0
        validation = start + Split.at(stop - start, n, settings.validation).validation
        folds.append(Fold(start, validation, stop, first, first + horizon))
    return tuple(folds)


def _require_rows(n: int, settings: Settings, step: int) -> None:
    """Refuse a series or a training size that leaves the first fold without a window to learn from."""
    lookback, horizon, share = settings.lookback, settings.horizon, settings.validation

    def enough(known: int) -> bool:
        training = Split.at(known, n, share).validation
        return training >= lookback + horizon and (known - training >= horizon or not share)

    least = fewest_rows(enough, lookback + horizon)
    if settings.train_size is not None and settings.train_size < least:
        raise DataError(
            f"received a train size of {settings.train_size} rows, expected at least {least} for lookback {lookback}, "
            f"horizon {horizon} and a validation share of {share:g}; raise ",
            Parameter("train_size"),
            ".",
        )
    known = settings.train_size or least
    needed = known + settings.gap + (settings.n_windows - 1) * step + horizon
    if n < needed:
        raise DataError(
            f"received a series of {n} rows, expected at least {needed} for {settings.n_windows} windows of horizon "
            f"{horizon}, {step} row{'s' * (step > 1)} apart, and {known + settings.gap} rows before the first; lower ",
            Parameter("n_windows"),
            " or ",
            Parameter("step_size"),
            ", or bring more rows.",
        )


def _training(series: Series, settings: Settings, fold: Fold, firsts: range) -> WindowedSeries:
    """The rows of one training, from the fold's first to the last target, with the windows that it forecasts."""
    start, end = fold.start, firsts[-1] + settings.horizon
    own = series if (start, end) == (0, len(series)) else _rows(series, start, end)
    split = Split(fold.validation - start, fold.stop - start, end - start)
    return cut_windows(own, settings, split, range(firsts.start - start, firsts.stop - start, firsts.step))


def _rows(series: Series, start: int, stop: int) -> Series:
    """The series as it was known at one of its rows: from ``start`` to before ``stop``."""
    return replace(
        series,
        frame=series.frame.iloc[start:stop],
        filled=None if series.filled is None else series.filled[start:stop],
        # What was known ahead of it are the rows that followed.
        ahead=pd.concat([series.frame.iloc[stop:], series.ahead])[list(series.future)],
    )


def baseline_row(name: str, trainings: Sequence[WindowedSeries], season: int = 0) -> ModelResult:
    """Fit a baseline in each training and join its forecasts.

    Args:
        name: of ``kseq.baselines.BASELINES``.
        trainings: in the order of time.
        season: steps in a season; 0 to find it from the dates.

    Raises:
        ConfigError: an unknown name, or a season of which a training holds fewer than two.
        DataError: a training does not allow this baseline; the message begins with the reason.
    """
    rows = []
    for data in trainings:
        made = list(baselines.forecasts(data, [name], season))
        if not made:
            raise DataError(
                f"{baselines.reason_against(name, data, season)}; leave {name} out of ", Parameter("baselines"), "."
            )
        for label, forecast, validation in made:
            seen = None if validation is None else validation[None]
            rows.append(ModelResult(label, forecast[None], kind="baseline", validation=seen))
    return join_folds(rows)


def join_folds(rows: Sequence[ModelResult], order: np.ndarray | None = None) -> ModelResult:
    """Make one row of what a model's trainings have given, in the order of time.

    Forecasts are joined along their windows, those of the validation parts too. Epochs and learning curves stand fold
    after fold, in each member after member. A seed that diverged in one fold has diverged.

    Args:
        rows: of the same members, one a training.
        order: of the test windows, as :attr:`kseq.panels.backtest.PanelBacktest.order`; fold after fold by default.

    Returns:
        ModelResult: named as all of them, or with all that trainings have chosen: ``"ETS(A,N,A or A,N,M)"``.
    """
    first = rows[0]
    if len(rows) == 1:
        return first
    validation = [row.validation for row in rows if row.validation is not None]
    predictions = np.concatenate([row.predictions for row in rows], axis=1)
    return replace(
        first,
        name=_joint_name([row.name for row in rows]),
        predictions=predictions if order is None else predictions[:, order],
        validation=np.concatenate(validation, axis=1) if validation else None,
        epochs=sum((row.epochs for row in rows), ()),
        diverged=tuple(seed for seed in first.seeds if any(seed in row.diverged for row in rows)),
        seconds_per_epoch=float(np.median([row.seconds_per_epoch for row in rows])),
        seconds=sum(row.seconds for row in rows),
        history=stack_curves([row.history for row in rows]),
    )


def _joint_name(names: Sequence[str]) -> str:
    """``"AR(1 or 2)"`` of ``"AR(1)"`` and ``"AR(2)"``."""
    distinct = sorted(set(names), key=lambda name: (len(name), name))
    if len(distinct) == 1:
        return distinct[0]
    # A baseline of several targets that chose differently for each has no brackets.
    chosen = [name.partition("(")[2].removesuffix(")") or "mixed" for name in distinct]
    return f"{distinct[0].partition('(')[0]}({' or '.join(chosen)})"


def joint_intervals(
    row: ModelResult, trainings: Sequence[WindowedSeries], levels: Iterable[float]
) -> dict[float, Interval]:
    """Put intervals around a row's forecasts, those of each training by what it missed on its own validation part.

    Args:
        row: its members that diverged are left out.
        trainings: of which it was joined.
        levels: percents to cover.

    Returns:
        An interval by level, bounds ``(member, window, step, target)``; none where the row has no forecasts of the
        validation parts, or where one of them is too short for a level.
    """
    if row.validation is None or not row.sound.any():
        return {}
    forecasts = apart(row.predictions[row.sound], [len(data.test) for data in trainings])
    seen = apart(row.validation[row.sound], [len(data.validation) for data in trainings])
    bands = [
        intervals(forecast, known - data.series.y[data.validation.target_rows], levels)
        for data, forecast, known in zip(trainings, forecasts, seen, strict=True)
    ]
    joint = {}
    for level in bands[0]:
        parts = [band[level] for band in bands]
        if all(part.reason is None for part in parts):
            lo, hi = (np.concatenate([getattr(part, side) for part in parts], axis=1) for side in ("lo", "hi"))
            joint[level] = Interval(level, lo, hi)
    return joint


def apart(forecasts: np.ndarray, windows: Sequence[int]) -> list[np.ndarray]:
    """Cut forecasts, ``(member, window, ...)``, along their windows, so many to each training."""
    return np.split(forecasts, np.cumsum(windows)[:-1], axis=1)
