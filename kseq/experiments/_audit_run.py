"""All that one training of a comparison computes from its series, and the same from a series with other values."""

from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd

from kseq.baselines import BASELINES
from kseq.comparison.auto import settled
from kseq.comparison.backtest import shared_season
from kseq.data import Panel, Series
from kseq.evaluation.model_result import ModelResult
from kseq.experiments.compare import laid_out
from kseq.preprocessing.windows import WindowedPanel, Windows
from kseq.report.comparison import Comparison
from kseq.settings import Settings


def perturbed(series: Series | Panel, first: int | np.ndarray) -> Panel:
    """Change every value of a series from a row on, as far as it is not known ahead.

    Each grows by two to three times the largest value of its column, by an amount of its own: the changed values lie
    outside the range of the others, finite, and positive where those are. Nothing is random.

    Args:
        series: A series, or a panel.
        first: The first row to change, of each series, ``(series,)``.

    Returns:
        A panel with other values, in which those that were filled on a line to the next one are filled anew.

    Example:
        >>> frame = pd.DataFrame({"y": [1.0, 2.0, 3.0, 4.0]})
        >>> perturbed(from_frame(frame), 2).y[:, 0].round(1).tolist()  # doctest: +SKIP
        [1.0, 2.0, 11.9, 15.4]
    """
    panel = Panel.of(series)
    past = panel.values[:, : len(panel.columns) - len(panel.future)]
    # A missing value, in a series whose windows leave it out, stays one.
    peak = np.fmax.reduceat(np.abs(past), panel.borders[:-1], axis=0)
    peak[~(peak > 0)] = 1.0
    rows = np.arange(len(panel))
    owners = panel.series_of(rows)
    later = (rows >= np.broadcast_to(first, len(panel.ids))[owners]) & (rows < panel.ends[owners])
    values = panel.values.copy()
    values[later, : past.shape[1]] += (peak[owners] * (2 + _golden_shares(past)))[later]
    if panel.fill == "linear" and panel.filled is not None:
        # As reading did: what lies before the cutoff on a line to a value after it moves with that value.
        holes = pd.DataFrame(values).mask(panel.filled)
        for begin, end in zip(panel.borders[:-1], panel.ends, strict=True):
            values[begin:end] = holes[begin:end].interpolate("linear", limit_area="inside").ffill()
    return replace(panel, values=values)


def _golden_shares(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 in which there is no season: multiples of the golden ratio without their whole part."""
    numbers = np.arange(len(values))[:, None] + len(values) * np.arange(values.shape[1])
    return numbers * (np.sqrt(5) - 1) / 2 % 1


class AuditedRun:
    """One training of a comparison, and all that it computes from its series."""

    def __init__(self, comparison: Comparison, number: int, asked: Settings):
        self.comparison, self.number, self.asked = comparison, number, asked
        #: With what was chosen for the series.
        self.settings: Settings = comparison.settings or asked
        self.data: WindowedPanel = comparison.trainings[number]

    def row_of(self, cutoff: np.ndarray) -> np.ndarray:
        """Rows of the training's own series in the whole panel, one of each series."""
        backtest = self.comparison.backtest
        return backtest.rows_of(self.number, cutoff) if backtest else cutoff

    @property
    def cutoffs(self) -> list[np.ndarray]:
        """A row of each series in turn: of its validation and its test part, of its first, middle and last window."""
        data, split = self.data, self.data.split
        found = [split.validation, split.test]
        number, firsts, counts = np.unique(data.test.series, return_index=True, return_counts=True)
        for window in (firsts, firsts + counts // 2, firsts + counts - 1):
            # Nothing is changed in a series without windows.
            rows = split.end.copy()
            rows[number] = data.test.starts(window)
            found.append(rows)
        distinct = {rows.tobytes(): rows for rows in found}
        return sorted(distinct.values(), key=lambda rows: int(rows.sum()))

    def learnt(self, cutoff: np.ndarray) -> dict[str, list[np.ndarray]]:
        """Scales, windows and seasons that must not depend on the rows from a cutoff on."""
        data, facts = self.data, {}
        if np.array_equal(cutoff, data.split.validation):
            scalers = (data.input_scaler, data.target_scaler)
            facts["scaler"] = [part for scaler in scalers for part in (scaler.center, scaler.scale)]
            facts["training windows"] = list(data.train.gather(np.arange(len(data.train))))
            if self.number == 0:
                facts["season"] = [np.array([self.comparison.season])]
        if np.array_equal(cutoff, data.split.test) and data.choice is not None:
            chosen = f"{data.choice.name} {data.choice.by_cell}"
            facts["transform chosen"] = [np.frombuffer(chosen.encode(), "uint8").astype("float64")]
        if np.array_equal(cutoff, data.split.test) and len(data.validation):
            facts["validation windows"] = list(data.validation.gather(np.arange(len(data.validation))))
        return facts

    def read(self, cutoff: np.ndarray) -> list[np.ndarray]:
        """Inputs of the windows whose forecasts begin at the cutoff or before."""
        parts = [(part, np.flatnonzero(_before(part, cutoff))) for part in (self.data.validation, self.data.test)]
        return [part.gather(which)[0] for part, which in parts if len(which)]

    def undone(self, cutoff: np.ndarray) -> list[np.ndarray]:
        """A forecast of 1 in the targets' unit, for the same windows."""
        data, made = self.data, []
        for part in (data.validation, data.test):
            ones = np.ones((len(part), data.horizon, data.targets))
            made.append(data.to_units(ones, part)[_before(part, cutoff)])
        return made

    @cached_property
    def baselines(self) -> dict[str, ModelResult]:
        """A row by the name with which a baseline is asked for; none of one that the series does not allow."""
        season, asked = self._season, self.settings.baselines
        rows: dict[str, ModelResult] = {}
        for name in BASELINES if asked is None else asked:
            own = Comparison(self.data, self.settings)
            own.add_baselines([name], season, named=asked is not None)
            if own.rows:
                rows[name] = own.rows[0]
        return rows

    @property
    def _season(self) -> int:
        """The season that the comparison shares among its trainings; 0 where each finds it by itself."""
        return shared_season(self.comparison.trainings, self.settings.season, self.comparison.season)

    def forecasts(self, row: ModelResult, cutoff: np.ndarray) -> list[np.ndarray]:
        """A row's forecasts for the windows that do not know the rows from a cutoff on."""
        seen = [] if row.validation is None else [row.validation[:, _before(self.data.validation, cutoff)]]
        return [*seen, row.predictions[:, _before(self.data.test, cutoff)]]

    def changed(self, panel: Panel, cutoff: np.ndarray) -> "AuditedRun":
        """The same training of a panel with other values from a cutoff on.

        Args:
            panel: The whole panel, as it is.
            cutoff: Rows of the training's own series, one of each.
        """
        # What the validation part chooses may change with it.
        settings = settled(self.asked, self.data.choice) if self._early(cutoff) else self.asked
        return AuditedRun(laid_out(perturbed(panel, self.row_of(cutoff)), settings), self.number, settings)

    def _early(self, cutoff: np.ndarray) -> bool:
        return bool(np.any(cutoff < self.data.split.test))


def _before(windows: Windows, cutoff: np.ndarray) -> np.ndarray:
    """Whether each window's targets begin at a row, or before it."""
    return windows.target_rows[:, 0] <= cutoff[windows.series]
