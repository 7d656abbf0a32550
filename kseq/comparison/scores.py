"""Scores of a comparison's rows: their errors, intervals and losses over time, as tests and verdict read them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from kseq.comparison._joined import apart
from kseq.comparison.backtest import Backtest
from kseq.comparison.window_scores import ROOTED, Bands, WindowScores, measure_of
from kseq.data import Panel
from kseq.errors import DataError, Parameter
from kseq.evaluation.evidence import Evidence
from kseq.evaluation.intervals import Interval, conformalised, intervals
from kseq.evaluation.metrics import power_of_two
from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.quantiles import QUANTILE_METRICS, bounds_at
from kseq.evaluation.rows import Row
from kseq.preprocessing._runs import reduce_runs
from kseq.preprocessing.grid import season_of_panel
from kseq.preprocessing.windows import WindowedPanel


def of_validation(data: WindowedPanel) -> WindowedPanel:
    """The same windows with the validation parts in the place of the test parts: what scores a choice made before them.

    Nothing of the test parts is left in it, and MASE scales by the training rows of each series.

    Args:
        data: The windowed panel, with validation parts.

    Example:
        >>> Scores(of_validation(data), season=7).overall(forecasts, "mase")  # doctest: +SKIP
        array([0.81])
    """
    begin = data.split.validation
    return replace(
        data,
        split=replace(data.split, stop=begin, test=begin, end=data.split.stop, ahead=None),
        validation=replace(data.validation, segments=(), owners=np.empty(0, int)),
        test=data.validation,
    )


class Scores(WindowScores):
    """Scores of rows on the test windows, and on the validation windows of each training.

    Args:
        data: The windowed panel.
        season: As in :class:`WindowScores`.
        backtest: Where the windows are the folds of one, what each training sees; by default all is learnt from the
            training parts of ``data``.
        metric: As in :class:`WindowScores`.
        asked: As in :class:`WindowScores`.
    """

    def __init__(
        self, data: WindowedPanel, season: int, backtest: Backtest | None = None, metric: str = "", asked: bool = False
    ):
        super().__init__(data, season, metric=metric, asked=asked)
        self._trainings = backtest.trainings if backtest else (data,)
        self._order = backtest.order if backtest else np.arange(len(data.test))
        #: The row and the levels whose intervals were asked for last: each metric and each step asks for them again.
        self._last: tuple[ModelResult | None, tuple[float, ...], dict[float, Interval]] = (None, (), {})

    def evidence(
        self,
        results: Iterable[ModelResult],
        levels: Sequence[float] = (),
        folds: Sequence[np.ndarray] = (),
    ) -> Evidence:
        """Gather what a verdict is drawn from: of each row its errors, losses over time, and scores.

        Args:
            results: Rows of the comparison.
            levels: Percents of the intervals that metrics of quantiles read.
            folds: Windows of each fold of a backtest that rows were trained anew for, by their numbers; empty for none.
        """
        data, panel, several = self.data, self.data.series, len(self.series) > 1
        low, high = (self._extreme(choose) for choose in (np.fmin, np.fmax))
        rows = list(results)
        unit = None
        if several and self.measure in ROOTED:
            means = [self.of_series(row.predictions[row.sound], self.measure).mean(axis=0) for row in rows
                     if row.sound.any()]  # fmt: skip
            unit = np.sqrt(np.mean(means, axis=0)) if means else None
            unit = None if unit is None else np.where(unit > 0, unit, 1.0) * np.sqrt(power_of_two(self.y))
        return Evidence(
            rows=[self._row(row, levels, folds, unit) for row in rows],
            y=self.y,
            metric=self.measure,
            owners=self._number,
            step_words=_step_words(panel, data, several),
            last=panel.y[data.test.all_starts() - 1],
            low=low,
            high=high,
            lookback=data.lookback,
            unit="" if several else panel.unit,
            dates=len(self._origins[1]),
            # Where the dates follow a frequency, a longer step is a gap, which notes and windows speak of.
            index=None if several or panel.calendar.alias else panel.index[: panel.ends[0]],
            targets=() if several else panel.targets,
            step_size=min((segment.step for segment in data.test.segments), default=1),
            series=len(self.series) if several else None,
            season=self.season,
        )

    def _row(self, result: ModelResult, levels: Sequence[float], folds: Sequence[np.ndarray], unit: Any) -> Row:
        """A row as tests and verdict read it; what members that diverged would be is NaN."""
        sound, metric = result.sound, self.measure
        forecasts = result.predictions[sound]
        bands = self.bands(result, levels) if metric in QUANTILE_METRICS and sound.any() else None

        def of_all(values: np.ndarray) -> np.ndarray:
            whole = np.full((len(sound), *values.shape[1:]), np.nan)
            whole[sound] = values
            return whole

        several, there = len(self.series) > 1, bool(sound.any())
        times = len(self._origins[1]) if several else len(self.y)
        losses = self.losses(forecasts, metric, bands, unit) if there else np.empty((0, times))
        by_fold = None
        if len(folds) > 1 and there:
            by_fold = of_all(np.stack([self.only(which).overall(forecasts[:, which], metric, bands=_only(bands, which))
                                       for which in folds], axis=1))  # fmt: skip
        return Row(
            result.name,
            np.where(sound[:, None, None, None], self._errors_of(result), np.nan),
            result.kind,
            # An ensemble has the seeds of many members and the forecasts of one.
            seeds=result.seeds if len(result.seeds) == len(sound) else (),
            parameters=result.parameters,
            seconds=_seconds(result) / max(1, len(sound)),
            epochs=result.epochs,
            epoch_limit=result.epoch_limit,
            losses=of_all(losses),
            member_scores=of_all(self.overall(forecasts, metric, bands=bands)),
            by_series=of_all(self.of_series(forecasts, metric, bands=bands)) if several else None,
            by_fold=by_fold,
            validation=self.of_validation(result) if there else float("nan"),
            curves=result.history,
        )

    def _errors_of(self, result: ModelResult) -> np.ndarray:
        """Errors of a row; none at steps that are not to forecast."""
        errors = result.predictions - self.y
        return errors if self._weights is None else np.where(self._weights > 0, errors, 0.0)

    def of_validation(self, result: ModelResult) -> float:
        """Score a row on the validation parts, the mean over members and trainings; NaN where there are none.

        Scales are those of each training's own rows. In the place of metrics of quantiles, whose intervals the
        validation part has given, stands the one that ranks by default.
        """
        if result.validation is None:
            return result.validation_score
        metric = self.measure if self.measure not in QUANTILE_METRICS else measure_of(len(self.series))
        seen = apart(result.validation[result.sound], [len(training.validation) for training in self._trainings])
        scores = [
            known.overall(forecasts, metric).mean()
            for known, forecasts in zip(self._seen, seen, strict=True)
            if known is not None
        ]
        return float(np.mean(scores)) if scores else float("nan")

    @cached_property
    def _seen(self) -> list["Scores | None"]:
        """Scores of the validation part of each training; None where there is none."""
        return [Scores(of_validation(training), self.season, asked=self._asked) if len(training.validation) else None
                for training in self._trainings]  # fmt: skip

    def _extreme(self, choose: np.ufunc) -> np.ndarray:
        """Smallest or largest value that is learnt from in the series of each window, ``(windows, 1, targets)``."""
        found = []
        for training in self._trainings:
            series, number = np.unique(training.test.series, return_inverse=True)
            start, stop = training.split.start[series], training.split.validation[series]
            learnt = start < stop
            # Where nothing is learnt from, nothing lies outside its range.
            extreme = np.full((len(series), training.targets), -np.inf if choose is np.fmin else np.inf)
            if learnt.any():
                extreme[learnt] = reduce_runs(choose, training.series.y, start[learnt], stop[learnt])
            found.append(extreme[number, None])
        return np.concatenate(found)[self._order]

    def intervals(self, row: ModelResult, levels: Sequence[float]) -> dict[float, Interval]:
        """Put intervals around a row's forecasts: one half-width for all series, each in its own unit.

        Errors of the validation part are counted in the unit of each series, so that series can be pooled. A training
        of its own for each fold has a width of its own.

        Returns:
            An interval by level; none where the row has no forecasts of the validation part, or it is too short.
        """
        if self._last[0] is not row or self._last[1] != tuple(levels):
            self._last = (row, tuple(levels), self._intervals_of(row, levels))
        return self._last[2]

    def _intervals_of(self, row: ModelResult, levels: Sequence[float]) -> dict[float, Interval]:
        if row.bands:
            return {level: replace(band, lo=band.lo[row.sound], hi=band.hi[row.sound])
                    for level, band in row.bands.items()}  # fmt: skip
        if row.validation is None or not row.sound.any():
            return {}
        forecasts = np.empty_like(row.predictions[row.sound])
        forecasts[:, self._order] = row.predictions[row.sound]
        bands = []
        seen = apart(row.validation[row.sound], [len(training.validation) for training in self._trainings])
        made = apart(forecasts, [len(training.test) for training in self._trainings])
        quantiles = self._quantiles(row)
        for number, (training, ahead, known) in enumerate(zip(self._trainings, made, seen, strict=True)):
            # Relative to that of the first series: of one series alone it is 1, and moves no digit of a bound.
            unit = training.unit / training.unit[training.members[0]]
            here, there = (unit[part.series, None] for part in (training.test, training.validation))
            missed = known - training.series.y[training.validation.target_rows]
            found = intervals(ahead / here, missed / there, levels)
            if quantiles:
                y = training.series.y[training.validation.target_rows] / there
                own, theirs = (
                    part / unit[..., None] for part, unit in zip(quantiles[number], (here, there), strict=True)
                )
                found = {level: _of_quantiles(own, theirs, y, level, levels) for level in levels}
            bands.append({level: replace(band, lo=band.lo * here, hi=band.hi * here) for level, band in found.items()})
        joint = {}
        for level in levels:
            parts = [band[level] for band in bands]
            if all(part.reason is None for part in parts):
                lo, hi = (np.concatenate([getattr(part, side) for part in parts], axis=1) for side in ("lo", "hi"))
                joint[level] = Interval(level, lo[:, self._order], hi[:, self._order])
        return joint

    def bands(self, row: ModelResult, levels: Sequence[float]) -> dict[float, Interval]:
        """Intervals that metrics of quantiles read; none where given ones are not of all levels, as those of others."""
        if row.bands and not set(levels) <= set(row.bands):
            return {}
        found = self.intervals(row, levels)
        return {level: found[level] for level in levels if level in found}

    def _quantiles(self, row: ModelResult) -> list[tuple[np.ndarray, np.ndarray]]:
        """Quantiles of the test and the validation part that a row's sound members forecast, by training."""
        if row.quantiles is None or row.validation_quantiles is None:
            return []
        ahead = np.empty_like(row.quantiles[row.sound])
        ahead[:, self._order] = row.quantiles[row.sound]
        made = apart(ahead, [len(training.test) for training in self._trainings])
        seen = apart(row.validation_quantiles[row.sound], [len(training.validation) for training in self._trainings])
        return list(zip(made, seen, strict=True))


def _of_quantiles(
    ahead: np.ndarray, seen: np.ndarray, y: np.ndarray, level: float, levels: Sequence[float]
) -> Interval:
    """Interval of a level from the quantiles that a model forecasts itself, the outermost of the widest level.

    Args:
        ahead: Quantiles of the test part, ``(member, window, step, target, quantile)``.
        seen: Quantiles of the validation part.
        y: True values of the validation part, ``(window, step, target)``.
        level: Percent to cover.
        levels: All levels, whose bounds and the median the quantiles are.
    """
    return conformalised(bounds_at(ahead, level, levels), bounds_at(seen, level, levels), y, level)


def _only(bands: Bands | None, which: np.ndarray) -> Bands | None:
    """Intervals of some windows."""
    return bands and {level: replace(band, lo=band.lo[:, which], hi=band.hi[:, which]) for level, band in bands.items()}


#: What a test part is counted in, by the first letters of pandas' names of frequencies.
_STEPS = {"M": "months", "W": "weeks", "D": "days", "B": "business days", "h": "hours", "Q": "quarters", "Y": "years"}


def _step_words(panel: Panel, data: WindowedPanel, several: bool) -> str:
    """What the test over time counts."""
    if several:
        return "origin dates"
    successive = (np.diff(data.test.all_starts()) == 1).any()
    return _STEPS.get(panel.calendar.alias[:1], "test windows") if successive else "test windows"


def scores_of_validation(data: WindowedPanel, season: int, metric: str = "") -> Scores:
    """Scores of forecasts of the validation windows, by which a tuning chooses.

    Args:
        data: The windowed panel.
        season: Steps in a season; 0 to find it from the training rows.
        metric: Metric that ranks; the default in place of one of quantiles, whose intervals the validation part gives.

    Raises:
        DataError: There is no such window, or no series can be measured by what rows are ranked by.
    """
    panel = data.series
    if not len(data.validation):
        raise DataError(
            f"{panel.name}: no series has room for a validation window of horizon {data.horizon}, expected one to "
            "score trials on; raise ",
            Parameter("validation"),
            ", or shorten ",
            Parameter("horizon"),
            ".",
        )
    metric = "" if metric in QUANTILE_METRICS else metric
    found = season or season_of_panel(panel, data.split, data.members)
    scores = Scores(of_validation(data), found, metric=metric, asked=bool(season))
    measure = metric or measure_of(len(scores.series), data.targets)
    if np.isnan(scores.overall(scores.y[None], measure)).any():
        raise DataError(
            f"{panel.name}: the training rows of all series that have validation windows repeat themselves exactly, "
            "expected some that do not: trials are scored in units of what repeating them misses."
        )
    return scores


def _seconds(result: ModelResult) -> float:
    """Seconds of a training, its first epoch at the pace of the others: whichever cell comes first compiles for all."""
    extra = result.first_epoch_seconds - result.seconds_per_epoch
    return result.seconds - max(0.0, extra) if np.isfinite(extra) else result.seconds
