"""How well models forecast the series of a panel: each scored by itself, then averaged.

**Every overall number is the mean over series of that series' own number**, so that each weighs the same, whatever its
length. Units of several series may have nothing in common, so that models are ranked, tested and told apart by MASE:
absolute errors in units of what repeating the last season misses in the same series, before its test part.

Over time, the Diebold-Mariano test reads the loss of each origin date: scaled absolute errors averaged over the series
that are forecast from that date. Series are not independent of one another, and it is dates that are counted here, not
windows. Where series are forecast from different dates, the loss of a date is the sum over its series of what each adds
to the overall MASE, so that the mean over dates is that MASE again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from kseq.comparison.backtest import apart
from kseq.errors import DataError, Parameter
from kseq.evidence import row_of
from kseq.evaluation.intervals import Interval, intervals
from kseq.evaluation.metrics import NEAR_ZERO
from kseq.panels.backtest import PanelBacktest
from kseq.panels.grid import season_of_panel, seasonal_scales
from kseq.panels.parts import reduce_parts
from kseq.panels.windows import WindowedPanel
from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.verdict import Evidence

#: Metrics of which the mean of squares is rooted.
ROOTED = ("rmse", "rmsse")


def of_validation(data: WindowedPanel) -> WindowedPanel:
    """The same windows with the validation parts in the place of the test parts: what scores a choice made before them.

    Nothing of the test parts is left in it, and MASE scales by the training rows of each series.

    Args:
        data: with validation parts.

    Example:
        >>> PanelScores(of_validation(data), season=7).overall(forecasts, "mase")  # doctest: +SKIP
        array([0.81])
    """
    begin = data.split.validation
    return replace(
        data,
        split=replace(data.split, stop=begin, test=begin, end=data.split.stop),
        validation=replace(data.validation, segments=(), owners=np.empty(0, int)),
        test=data.validation,
    )


class PanelScores:
    """Scores of forecasts of a panel's test windows.

    Args:
        data: the windowed panel.
        season: steps in a season, by which MASE and RMSSE scale; where no series differs from itself a season earlier,
            they scale by the last value.
        backtest: where the windows are the folds of one, what each training sees; by default all is learnt from the
            training parts of ``data``.
        scales: of each series, as :func:`kseq.panels.grid.seasonal_scales` gives them; found by default.

    Attributes:
        series: the series that have test windows, places in the panel's ``ids``.
    """

    def __init__(
        self,
        data: WindowedPanel,
        season: int,
        backtest: PanelBacktest | None = None,
        scales: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        self.data = data
        self._trainings = backtest.trainings if backtest else (data,)
        self._order = backtest.order if backtest else np.arange(len(data.test))
        self.series, self._firsts, self.windows = np.unique(data.test.series, return_index=True, return_counts=True)
        if scales is None:
            scales = seasonal_scales(data, season)
            if np.isnan(scales[0][self.series]).all():
                season, scales = 1, seasonal_scales(data, 1)
        self.season, self._scales = season, scales
        self._absolute, self._squared = (scale[self.series] for scale in scales)

    def only(self, which: np.ndarray) -> "PanelScores":
        """The scores of some test windows, such as those of a fold, by the same scales.

        Args:
            which: numbers of the windows; sorted.
        """
        test, starts = self.data.test, self.data.test.starts(which)
        segments = tuple(range(start, start + 1) for start in starts.tolist())
        part = replace(self.data, test=replace(test, segments=segments, owners=test.series[which]))
        return PanelScores(part, self.season, scales=self._scales)

    @cached_property
    def y(self) -> np.ndarray:
        """True values of the test windows, ``(windows, horizon, targets)``."""
        return self.data.test_y.astype("float64")

    @cached_property
    def _number(self) -> np.ndarray:
        """Of each test window the place of its series in :attr:`series`."""
        return np.repeat(np.arange(len(self.series)), self.windows)

    def of_series(self, forecasts: np.ndarray, metric: str, by_step: bool = False) -> np.ndarray:
        """Score forecasts series by series, as ``kseq.evaluation.metrics.METRICS`` does.

        Args:
            forecasts: ``(members, windows, horizon, targets)``.
            metric: a name of ``kseq.evaluation.metrics.METRICS``.
            by_step: whether to keep the steps of the horizon apart.

        Returns:
            ``(members, series)``, or ``(members, series, step)``; NaN where a metric means nothing for a series.
        """
        if metric == "r2":
            return self._r2(forecasts, by_step)
        scores = self._mean(self._losses(forecasts, metric).mean(axis=(-1,) if by_step else (-2, -1)))
        return np.sqrt(scores) if metric in ROOTED else scores

    def overall(self, forecasts: np.ndarray, metric: str, by_step: bool = False) -> np.ndarray:
        """Average over the series for which the metric means something, ``(members,)`` or ``(members, step)``."""
        scores = self.of_series(forecasts, metric, by_step)
        there = ~np.isnan(scores)
        count = there.sum(axis=1)
        return np.where(count > 0, np.where(there, scores, 0).sum(axis=1) / np.maximum(count, 1), np.nan)

    def _losses(self, forecasts: np.ndarray, metric: str) -> np.ndarray:
        """What a metric averages, of each forecast."""
        errors = forecasts - self.y
        if metric == "bias":
            return errors
        if metric == "rmse":
            return np.square(errors)
        if metric == "rmsse":
            return np.square(errors) / self._squared[self._number, None]
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

    def _mean(self, losses: np.ndarray) -> np.ndarray:
        """Mean over the windows of each series, of ``(members, windows, ...)``."""
        return np.add.reduceat(losses, self._firsts, axis=1) / self.windows.reshape(-1, *[1] * (losses.ndim - 2))

    def _r2(self, forecasts: np.ndarray, by_step: bool) -> np.ndarray:
        y, errors = self.y[None], forecasts - self.y
        axes = () if by_step else (2,)
        middle = self._mean(y).mean(axis=axes, keepdims=True)
        total = self._mean(np.square(y - middle[:, self._number])).mean(axis=axes)
        residual = self._mean(np.square(errors)).mean(axis=axes)
        return (1 - residual / np.where(total > 0, total, np.nan)).mean(axis=-1)

    @cached_property
    def percentless(self) -> np.ndarray:
        """Whether percentages mean nothing for a series, as :func:`kseq.evaluation.metrics.mape_reason` says, ``(series,)``."""
        low, high = (reduce(self.y, self._firsts, axis=0) for reduce in (np.minimum.reduceat, np.maximum.reduceat))
        size = np.abs(self.y)
        usual = self._mean(size[None])[0].mean(axis=1)
        near = np.minimum.reduceat(size, self._firsts, axis=0).min(axis=1) <= NEAR_ZERO * usual
        both = (low.min(axis=1) < 0) & (high.max(axis=1) > 0)
        return (near | both).any(axis=-1)

    @property
    def notes(self) -> list[str]:
        """Sentences on series for which a metric means nothing."""
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
    def _origins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Test windows in the order of their origins' dates, where each date begins among them, and their weights.

        Windows of one date have weights such that weighted losses, summed over them, are the date's loss.
        """
        starts = self.data.test.starts(np.arange(len(self.data.test)))
        index = self.data.series.index[starts - 1]
        # Rows without dates are numbered within their series.
        _, which = np.unique(getattr(index, "asi8", index), return_inverse=True)
        order = np.argsort(which, kind="stable")
        firsts = np.flatnonzero(np.diff(which[order], prepend=-1))
        scored = ~np.isnan(self._absolute).any(axis=1)
        share = np.where(scored, 1 / self.windows, 0.0) / scored.sum()
        return order, firsts, (len(firsts) * share)[self._number[order]]

    def losses(self, forecasts: np.ndarray) -> np.ndarray:
        """Losses by origin date, ``(members, dates, horizon, targets)``; their mean is the overall MASE."""
        order, firsts, weights = self._origins
        scale = np.nan_to_num(self._absolute, nan=1.0)[self._number[order], None]
        y = self.y[order]
        by_date = [
            np.add.reduceat(np.abs(member[order] - y) / scale * weights[:, None, None], firsts, axis=0)
            for member in forecasts
        ]
        return np.stack(by_date)

    def evidence(self, results: Iterable[ModelResult]) -> Evidence:
        """Gather what a verdict is drawn from: losses by origin date, in place of errors by window."""
        data, panel = self.data, self.data.series
        starts = data.test.all_starts()
        low, high = (self._extreme(choose) for choose in (np.fmin, np.fmax))
        return Evidence(
            rows=[row_of(result, self.losses(result.predictions)) for result in results],
            y=self.y,
            last=panel.y[starts - 1],
            low=low,
            high=high,
            lookback=data.lookback,
            step_size=min((segment.step for segment in data.test.segments), default=1),
            series=len(self.series),
        )

    def _extreme(self, choose: np.ufunc) -> np.ndarray:
        """Smallest or largest value that is learnt from in the series of each window, ``(windows, 1, targets)``."""
        found = []
        for training in self._trainings:
            series, number = np.unique(training.test.series, return_inverse=True)
            learnt = (training.split.start[series], training.split.validation[series])
            found.append(reduce_parts(choose, training.series.y, *learnt)[number, None])
        return np.concatenate(found)[self._order]

    def intervals(self, row: ModelResult, levels: Sequence[float]) -> dict[float, Interval]:
        """Put intervals around a row's forecasts: one half-width for all series, each in its own unit.

        Errors of the validation part are counted in the unit of each series, so that series can be pooled. A training
        of its own for each fold has a width of its own.

        Returns:
            An interval by level; none where the row has no forecasts of the validation part, or it is too short.
        """
        if row.validation is None or not row.sound.any():
            return {}
        forecasts = np.empty_like(row.predictions[row.sound])
        forecasts[:, self._order] = row.predictions[row.sound]
        bands = []
        seen = apart(row.validation[row.sound], [len(training.validation) for training in self._trainings])
        made = apart(forecasts, [len(training.test) for training in self._trainings])
        for training, ahead, known in zip(self._trainings, made, seen, strict=True):
            here, there = (training.unit[part.series, None] for part in (training.test, training.validation))
            missed = known - training.series.y[training.validation.target_rows]
            found = intervals(ahead / here, missed / there, levels)
            bands.append({level: replace(band, lo=band.lo * here, hi=band.hi * here) for level, band in found.items()})
        joint = {}
        for level in levels:
            parts = [band[level] for band in bands]
            if all(part.reason is None for part in parts):
                lo, hi = (np.concatenate([getattr(part, side) for part in parts], axis=1) for side in ("lo", "hi"))
                joint[level] = Interval(level, lo[:, self._order], hi[:, self._order])
        return joint


def scores_of_validation(data: WindowedPanel, season: int) -> PanelScores:
    """Scores of forecasts of the validation windows, by which a tuning chooses.

    Args:
        data: the windowed panel.
        season: steps in a season; 0 to find it from the training rows.

    Raises:
        DataError: there is no such window, or no series has a MASE there.
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
    scores = PanelScores(of_validation(data), season or season_of_panel(panel, data.split, data.members))
    if np.isnan(scores.overall(scores.y[None], "mase")).any():
        raise DataError(
            f"{panel.name}: the training rows of all series that have validation windows repeat themselves exactly, "
            "expected some that do not: trials are scored in units of what repeating them misses."
        )
    return scores
