"""How well models forecast: each series scored by itself, then averaged.

**Every overall number is the mean over series of that series' own number**, so that each weighs the same, whatever its
length. Rows are ranked, tested and told apart by one metric, the one that was asked for. By default one series is
ranked by its mean absolute error. Units of several series or targets may have nothing in common, so that these are
ranked by MASE: absolute errors in units of what repeating the last season misses in the same series and target, before
the test part. :func:`measure_of` alone decides which.

The test over time reads of one series the loss of each window, of several that of each origin date: the losses of the
series that are forecast from that date. Series are not independent of one another, and it is dates that are counted
here, not windows. Where series are forecast from different dates, the loss of a date is the sum over its series of what
each adds to the overall score, so that the mean over dates is that score again. Of metrics that take a root, it is
squared errors that are averaged over time, in units of each series' own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from kseq.comparison.backtest import Backtest, apart
from kseq.data import Panel
from kseq.errors import DataError, Parameter
from kseq.evaluation.intervals import Interval, conformalised, intervals
from kseq.evaluation.metrics import NEAR_ZERO, power_of_two
from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.quantiles import QUANTILE_METRICS, bounds_at, pinball, quantiles_of
from kseq.evaluation.rows import Row
from kseq.evaluation.verdict import Evidence
from kseq.preprocessing._runs import reduce_runs
from kseq.preprocessing.grid import season_of_panel, seasonal_scales
from kseq.preprocessing.windows import WindowedPanel

#: Intervals by level.
Bands = Mapping[float, Interval]

#: Metrics of which the mean of squares is rooted.
ROOTED = ("rmse", "rmsse")


def measure_of(series: int, targets: int = 1) -> str:
    """The metric that ranks unless another is asked for: ``"mae"`` of one series and target, ``"mase"`` of several."""
    return "mae" if series * targets == 1 else "mase"


def of_validation(data: WindowedPanel) -> WindowedPanel:
    """The same windows with the validation parts in the place of the test parts: what scores a choice made before them.

    Nothing of the test parts is left in it, and MASE scales by the training rows of each series.

    Args:
        data: with validation parts.

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


class Scores:
    """Scores of forecasts of the test windows of one or many series.

    Args:
        data: the windowed panel.
        season: steps in a season, by which MASE and RMSSE scale; where no training part holds two of it, or no series
            differs from itself a season earlier, they scale by the last value.
        backtest: where the windows are the folds of one, what each training sees; by default all is learnt from the
            training parts of ``data``.
        percentless: whether percentages mean nothing for a series, ``(series of the panel,)``; found by default.
        scales: scales of each series from :func:`kseq.preprocessing.grid.seasonal_scales`; found by default.
        metric: that ranks, of ``kseq.evaluation.metrics.RANKING``; empty for that of :func:`measure_of`.
        asked: whether somebody asked for this season: it then holds for every series that is longer than it, and
            shorter ones scale by the last value.

    Attributes:
        series: the series that have test windows, places in the panel's ``ids``.
    """

    def __init__(
        self,
        data: WindowedPanel,
        season: int,
        backtest: Backtest | None = None,
        scales: tuple[np.ndarray, np.ndarray] | None = None,
        percentless: np.ndarray | None = None,
        metric: str = "",
        asked: bool = False,
    ):
        self.data = data
        self._trainings = backtest.trainings if backtest else (data,)
        self._order = backtest.order if backtest else np.arange(len(data.test))
        self.series, self._firsts, self.windows = np.unique(data.test.series, return_index=True, return_counts=True)
        if scales is None:
            parts, split = (data.series, data.split, data.members), data.split
            longest = int((split.validation - split.start)[data.members].max())
            season = season if asked or 2 * season <= longest else 1
            scales = seasonal_scales(*parts, season)
            if season > 1 and np.isnan(scales[0][self.series]).all():
                season, scales = 1, seasonal_scales(*parts, 1)
            short = (split.stop - split.start <= season)[:, None]
            if season > 1 and short[self.series].any():
                absolute, root = (
                    np.where(short, last, of) for of, last in zip(scales, seasonal_scales(*parts, 1), strict=True)
                )
                scales = absolute, root
        self.season, self._scales, self._asked = season, scales, asked
        self._percentless = percentless
        self._absolute, self._root = (scale[self.series] for scale in scales)
        self._metric = metric

    @property
    def measure(self) -> str:
        """The metric by which rows are ranked, see :func:`measure_of`; MAE where no series has a scale for MASE."""
        measure = self._metric or measure_of(len(self.series), self.data.targets)
        return "mae" if not self._metric and measure == "mase" and not self._scaled.any() else measure

    @property
    def _scaled(self) -> np.ndarray:
        """Whether each series has a scale for MASE, ``(series,)``."""
        return ~np.isnan(self._absolute).any(axis=1)

    def only(self, which: np.ndarray) -> "Scores":
        """The scores of some test windows, such as those of a fold, by the same scales.

        Args:
            which: numbers of the windows; sorted.
        """
        test, starts = self.data.test, self.data.test.starts(which)
        segments = tuple(range(start, start + 1) for start in starts.tolist())
        part = replace(self.data, test=replace(test, segments=segments, owners=test.series[which]))
        everywhere = np.zeros(len(self.data.series.ids), bool)
        everywhere[self.series] = self.percentless
        return Scores(part, self.season, scales=self._scales, percentless=everywhere, metric=self._metric)

    @cached_property
    def y(self) -> np.ndarray:
        """True values of the test windows, ``(windows, horizon, targets)``; the first one where none is to forecast."""
        y, there = self.data.test_y, self.data.forecast_steps
        return y if there is None else np.where(there[..., None], y, y[:, :1])

    @cached_property
    def _weights(self) -> np.ndarray | None:
        """Weights of steps by which means over the horizon are those of the steps to forecast; None where all are."""
        there = self.data.forecast_steps
        if there is None:
            return None
        return (there * (there.shape[1] / there.sum(axis=1, keepdims=True)))[..., None]

    def _of_steps(self, values: np.ndarray, by_step: bool = False, root: bool = False) -> np.ndarray:
        """Values whose means over the horizon, or of single steps, are those of the steps to forecast.

        Args:
            values: ``(..., windows, horizon, targets)``.
            by_step: whether steps are kept apart: those that are not to forecast are NaN.
            root: whether it is squares of the values that are averaged.
        """
        if self._weights is None:
            return values
        if by_step:
            return np.where(self._weights > 0, values, np.nan)
        return np.where(self._weights > 0, values, 0.0) * (np.sqrt(self._weights) if root else self._weights)

    @cached_property
    def _number(self) -> np.ndarray:
        """Of each test window the place of its series in :attr:`series`."""
        return np.repeat(np.arange(len(self.series)), self.windows)

    def of_series(
        self, forecasts: np.ndarray, metric: str, by_step: bool = False, bands: Bands | None = None
    ) -> np.ndarray:
        """Score forecasts series by series, as ``kseq.evaluation.metrics.METRICS`` does.

        Args:
            forecasts: ``(members, windows, horizon, targets)``.
            metric: a name of ``kseq.evaluation.metrics.ALL_METRICS``.
            by_step: whether to keep the steps of the horizon apart.
            bands: intervals around the forecasts, which metrics of quantiles read.

        Returns:
            ``(members, series)``, or ``(members, series, step)``; NaN where a metric means nothing for a series.
        """
        if metric == "r2":
            return self._r2(forecasts, by_step)
        losses = self._losses(forecasts, metric, bands, by_step)
        axes = (-1,) if by_step else (-2, -1)
        if metric not in ROOTED:
            return self._mean(losses.mean(axis=axes))
        unit = power_of_two(losses)
        return unit * np.sqrt(self._mean(np.square(losses / unit).mean(axis=axes)))

    def overall(
        self, forecasts: np.ndarray, metric: str, by_step: bool = False, bands: Bands | None = None
    ) -> np.ndarray:
        """Average over the series for which the metric means something, ``(members,)`` or ``(members, step)``."""
        scores = self.of_series(forecasts, metric, by_step, bands)
        there = ~np.isnan(scores)
        count = there.sum(axis=1)
        return np.where(count > 0, np.where(there, scores, 0).sum(axis=1) / np.maximum(count, 1), np.nan)

    def by_window(self, forecasts: np.ndarray, metric: str, bands: Bands | None = None) -> np.ndarray:
        """Score each window by itself, ``(members, windows)``; NaN where a metric means nothing for its series."""
        if metric == "r2":
            unit = power_of_two(self.y)
            errors, y = (forecasts - self.y) / unit, self.y[None] / unit
            total = np.square(y - y.mean(axis=2, keepdims=True)).mean(axis=2)
            return (1 - np.square(errors).mean(axis=2) / np.where(total > 0, total, np.nan)).mean(axis=-1)
        losses = self._losses(forecasts, metric, bands)
        if metric not in ROOTED:
            return losses.mean(axis=(-2, -1))
        unit = power_of_two(losses)
        return unit * np.sqrt(np.square(losses / unit).mean(axis=(-2, -1)))

    def coverage(self, band: Interval, steps: slice = slice(None)) -> float:
        """Percent of true values within intervals: the mean over members and series of each series' own share.

        Args:
            band: bounds ``(members, windows, horizon, targets)``.
            steps: steps of the horizon; all by default.
        """
        inside = self._of_steps((band.lo <= self.y) & (self.y <= band.hi), steps != slice(None))[:, :, steps]
        return float(100 * np.nanmean(self._mean(inside.mean(axis=(-2, -1)))))

    def width(self, band: Interval, steps: slice = slice(None)) -> float:
        """Mean width of intervals, averaged as :meth:`coverage` is, in the targets' unit."""
        wide = self._of_steps(band.hi - band.lo, steps != slice(None))[:, :, steps]
        return float(np.nanmean(self._mean(wide.mean(axis=(-2, -1)))))

    def _losses(
        self, forecasts: np.ndarray, metric: str, bands: Bands | None = None, by_step: bool = False
    ) -> np.ndarray:
        """What a metric averages, of each forecast; the squares of what it averages where it takes a root."""
        return self._of_steps(self._all_losses(forecasts, metric, bands), by_step, root=metric in ROOTED)

    def _all_losses(self, forecasts: np.ndarray, metric: str, bands: Bands | None) -> np.ndarray:
        """The same of all steps, whether or not they are to forecast."""
        if metric in QUANTILE_METRICS:
            if not bands:
                return np.full(forecasts.shape, np.nan)
            losses = QUANTILE_METRICS[metric] * pinball(self.y, quantiles_of(forecasts, bands))
            return losses / self._size[self._number, None] if metric == "wql" else losses
        errors = forecasts - self.y
        if metric in ("bias", "rmse"):
            return errors
        if metric == "rmsse":
            return errors / self._root[self._number, None]
        errors = np.abs(errors)
        if metric == "mase":
            return errors / self._absolute[self._number, None]
        if metric == "mape":
            return 100 * errors / np.where(self.percentless[self._number, None, None], np.nan, np.abs(self.y))
        if metric == "smape":
            # A truth and a forecast of zero are no error.
            size = (np.abs(self.y) + np.abs(forecasts)) / 2
            return 100 * np.divide(errors, size, out=np.zeros_like(errors), where=size > 0)
        return errors

    @cached_property
    def _size(self) -> np.ndarray:
        """Mean absolute true value of each series, ``(series, targets)``; NaN where all are zero."""
        size = self._mean(self._of_steps(np.abs(self.y)[None]))[0].mean(axis=1)
        return np.where(size > 0, size, np.nan)

    def _mean(self, losses: np.ndarray) -> np.ndarray:
        """Mean over the windows of each series, of ``(members, windows, ...)``."""
        return np.add.reduceat(losses, self._firsts, axis=1) / self.windows.reshape(-1, *[1] * (losses.ndim - 2))

    def _r2(self, forecasts: np.ndarray, by_step: bool) -> np.ndarray:
        unit = power_of_two(self.y)
        y, errors = self.y[None] / unit, (forecasts - self.y) / unit
        axes = () if by_step else (2,)
        middle = self._mean(self._of_steps(y, by_step)).mean(axis=axes, keepdims=True)
        away = np.square(y - middle[:, self._number])
        total = self._mean(self._of_steps(away, by_step)).mean(axis=axes)
        residual = self._mean(self._of_steps(np.square(errors), by_step)).mean(axis=axes)
        return (1 - residual / np.where(total > 0, total, np.nan)).mean(axis=-1)

    @cached_property
    def percentless(self) -> np.ndarray:
        """Whether percentages mean nothing, see :func:`kseq.evaluation.metrics.mape_reason`, ``(series,)``."""
        if self._percentless is not None:
            return self._percentless[self.series]
        low, high = (reduce(self.y, self._firsts, axis=0) for reduce in (np.minimum.reduceat, np.maximum.reduceat))
        size = np.abs(self.y)
        usual = self._mean(size[None])[0].mean(axis=1)
        near = np.minimum.reduceat(size, self._firsts, axis=0).min(axis=1) <= NEAR_ZERO * usual
        both = (low.min(axis=1) < 0) & (high.max(axis=1) > 0)
        return (near | both).any(axis=-1)

    @property
    def notes(self) -> list[str]:
        """Sentences on series of several for which a metric means nothing."""
        if self.measure == "mae" and not self._metric and measure_of(len(self.series), self.data.targets) == "mase":
            return ["No MASE: nothing before the test part says what repeating the last value misses; ranked by MAE."]
        if len(self.series) == 1:
            return []
        counts = {"MAPE": (int(self.percentless.sum()), "have values near zero or of both signs in the test part"),
                  "MASE and RMSSE": (int(np.isnan(self._absolute).any(axis=1).sum()),
                                     "repeat themselves exactly before the test part, or are too short")}  # fmt: skip
        total = len(self.series)
        return [
            f"{metric} {'leave' if ' and ' in metric else 'leaves'} out {count} of {total} series, which {reason}."
            for metric, (count, reason) in counts.items()
            if count
        ]

    @cached_property
    def _origins(self) -> tuple[np.ndarray, np.ndarray]:
        """Test windows in the order of their origins' dates, and where each date begins among them."""
        starts = self.data.test.starts(np.arange(len(self.data.test)))
        index = self.data.series.index[starts - 1]
        # Rows without dates are numbered within their series.
        _, which = np.unique(getattr(index, "asi8", index), return_inverse=True)
        order = np.argsort(which, kind="stable")
        return order, np.flatnonzero(np.diff(which[order], prepend=-1))

    def losses(
        self, forecasts: np.ndarray, metric: str = "mase", bands: Bands | None = None, unit: np.ndarray | None = None
    ) -> np.ndarray:
        """Losses over time, ``(members, times)``: of each window or, of several series, of each origin date.

        Args:
            forecasts: ``(members, windows, horizon, targets)``.
            metric: of which their mean is the overall score, or its square where the metric takes a root.
            bands: as in :meth:`of_series`.
            unit: of several series, in which unit squared errors of each are counted where a root is taken,
                ``(series,)``.
        """
        size = power_of_two(self.y) if unit is None else unit[self._number, None, None]

        def of_member(at: int) -> np.ndarray:
            losses = self._losses(forecasts[at : at + 1], metric, _member(bands, at))[0]
            return (np.square(losses / size) if metric in ROOTED else losses).mean(axis=(-2, -1))

        losses = np.stack([of_member(at) for at in range(len(forecasts))])
        if len(self.series) == 1:
            return losses
        order, firsts = self._origins
        scored = ~np.isnan(self._mean(losses)).any(axis=0)
        share = np.where(scored, 1 / self.windows, 0.0) / max(1, scored.sum())
        weights = (len(firsts) * share)[self._number]
        return np.add.reduceat((np.where(weights > 0, losses, 0.0) * weights)[:, order], firsts, axis=1)

    def evidence(
        self,
        results: Iterable[ModelResult],
        levels: Sequence[float] = (),
        folds: Sequence[np.ndarray] = (),
    ) -> Evidence:
        """Gather what a verdict is drawn from: of each row its errors, losses over time, and scores.

        Args:
            results: rows of the comparison.
            levels: percents of the intervals that metrics of quantiles read.
            folds: windows of each fold of a backtest that rows were trained anew for, by their numbers; empty for none.
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
            here, there = (training.unit[part.series, None] for part in (training.test, training.validation))
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
        ahead: quantiles of the test part, ``(member, window, step, target, quantile)``.
        seen: quantiles of the validation part.
        y: true values of the validation part, ``(window, step, target)``.
        level: percent to cover.
        levels: all levels, whose bounds and the median the quantiles are.
    """
    return conformalised(bounds_at(ahead, level, levels), bounds_at(seen, level, levels), y, level)


def _member(bands: Bands | None, at: int) -> Bands | None:
    """Intervals of one member."""
    return bands and {level: replace(band, lo=band.lo[at : at + 1], hi=band.hi[at : at + 1])
                      for level, band in bands.items()}  # fmt: skip


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
        data: the windowed panel.
        season: steps in a season; 0 to find it from the training rows.
        metric: that ranks; of those of quantiles, whose intervals the validation part gives, the default in its place.

    Raises:
        DataError: there is no such window, or no series can be measured by what rows are ranked by.
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
