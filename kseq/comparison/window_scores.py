"""How well test windows are forecast: each series scored by itself, then averaged.

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

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from kseq.evaluation.intervals import Interval
from kseq.evaluation.metrics import NEAR_ZERO, power_of_two
from kseq.evaluation.quantiles import QUANTILE_METRICS, pinball, quantiles_of
from kseq.preprocessing.grid import seasonal_scales
from kseq.preprocessing.windows import WindowedPanel

#: Intervals by level.
Bands = Mapping[float, Interval]

#: Metrics of which the mean of squares is rooted.
ROOTED = ("rmse", "rmsse")


def measure_of(series: int, targets: int = 1) -> str:
    """The metric that ranks unless another is asked for: ``"mae"`` of one series and target, ``"mase"`` of several."""
    return "mae" if series * targets == 1 else "mase"


class WindowScores:
    """Scores of forecasts of the test windows of one or many series.

    Args:
        data: The windowed panel.
        season: Steps in a season, by which MASE and RMSSE scale; where no training part holds two of it, or no series
            differs from itself a season earlier, they scale by the last value.
        percentless: Whether percentages mean nothing for a series, ``(series of the panel,)``; found by default.
        scales: Scales of each series from :func:`kseq.preprocessing.grid.seasonal_scales`; found by default.
        metric: Metric that ranks, of ``kseq.evaluation.metrics.RANKING``; empty for that of :func:`measure_of`.
        asked: Whether this season was asked for: it then holds for every series that is longer than it, and
            shorter ones scale by the last value.

    Attributes:
        series: The series that have test windows, places in the panel's ``ids``.
    """

    def __init__(
        self,
        data: WindowedPanel,
        season: int,
        scales: tuple[np.ndarray, np.ndarray] | None = None,
        percentless: np.ndarray | None = None,
        metric: str = "",
        asked: bool = False,
    ):
        self.data = data
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

    def only(self, which: np.ndarray) -> "WindowScores":
        """The scores of some test windows, such as those of a fold, by the same scales.

        Args:
            which: Numbers of the windows; sorted.
        """
        test, starts = self.data.test, self.data.test.starts(which)
        segments = tuple(range(start, start + 1) for start in starts.tolist())
        part = replace(self.data, test=replace(test, segments=segments, owners=test.series[which]))
        everywhere = np.zeros(len(self.data.series.ids), bool)
        everywhere[self.series] = self.percentless
        return WindowScores(part, self.season, scales=self._scales, percentless=everywhere, metric=self._metric)

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
            by_step: Whether steps are kept apart: those that are not to forecast are NaN.
            root: Whether it is squares of the values that are averaged.
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
            metric: A name of ``kseq.evaluation.metrics.ALL_METRICS``.
            by_step: Whether to keep the steps of the horizon apart.
            bands: Intervals around the forecasts, which metrics of quantiles read.

        Returns:
            ``(members, series)``, or ``(members, series, step)``; NaN where a metric means nothing for a series.
        """
        if metric == "r2":
            return self._r2(forecasts, by_step)
        axes = (-1,) if by_step else (-2, -1)
        if metric == "mase":
            # Errors are divided by a series' scale once they are averaged: that is many times fewer divisions.
            errors = self._losses(forecasts, "mae", by_step=by_step)
            means = self._mean(errors if by_step else errors.mean(axis=-2))
            return (means / (self._absolute[:, None] if by_step else self._absolute)).mean(axis=-1)
        losses = self._losses(forecasts, metric, bands, by_step)
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
            band: Bounds ``(members, windows, horizon, targets)``.
            steps: Steps of the horizon; all by default.
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
            metric: Metric whose overall score is their mean, or the root of their mean where it takes a root.
            bands: Bounds of intervals as in :meth:`of_series`.
            unit: For several series, the unit in which squared errors of each are counted where a root is taken,
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


def _member(bands: Bands | None, at: int) -> Bands | None:
    """Intervals of one member."""
    return bands and {level: replace(band, lo=band.lo[at : at + 1], hi=band.hi[at : at + 1])
                      for level, band in bands.items()}  # fmt: skip
