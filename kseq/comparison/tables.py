"""A comparison as data frames, see :mod:`kseq.comparison.frames` for how each is made."""

from typing import Any

import pandas as pd

from kseq.comparison import frames
from kseq.comparison.backtest import Backtest
from kseq.comparison.rows import Rows
from kseq.comparison.targets import by_target
from kseq.naming import checked_class, names_near
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings

#: Options of the windows.
_INSTEAD = dict.fromkeys(
    ("lookback", "horizon", "test", "validation", "test_share", "validation_share", "scaler", "transform"),
    "kseq.make_windows has it, as in kseq.Comparison(kseq.make_windows(series, lookback=12))",
)


#: What people look for in a result.
_LOOKED_FOR = {
    **dict.fromkeys(("summary", "results", "result", "scores_", "metrics", "frame", "df", "leaderboard"), ".table"),
    "to_csv": ".table.to_csv(path), or .write(folder)", "save": ".write(folder)", "winner": ".best",
    "ranking": ".table", "forecasts": ".predictions", "add_baseline": ".add_baselines", "report": ".write(folder)",
    "show": ".plot()", "test": ".verdict", "warnings": ".cautions",
}  # fmt: skip


@names_near(_LOOKED_FOR)
@checked_class("kseq.Comparison", _INSTEAD)
class Tables(Rows):
    """Rows of a comparison with the frames and the record that reports are made from; arguments as of ``Rows``."""

    def __init__(self, data: WindowedPanel, settings: Settings | None = None, backtest: Backtest | None = None):
        super().__init__(data, settings, backtest)
        self._by_target: tuple[Any, list[Tables]] = (None, [])
        self._table: tuple[Any, Any, pd.DataFrame] = (None, None, pd.DataFrame())

    @property
    def table(self) -> pd.DataFrame:
        """One row a model: errors as mean and standard deviation over seeds, size and time, in plain numbers.

        Errors are taken over all windows, steps and targets: ``mae``, ``rmse`` and ``bias`` in the target's unit,
        ``mape`` and ``smape`` in percent, ``mase``, ``rmsse`` and ``r2`` as plain numbers. ``skill`` is the share by
        which the mean absolute error is below that of the best baseline. Rows that share a letter of ``group`` do not
        differ beyond the noise of seeds and of the test period. ``coverage_95`` is the percentage of true values that
        lie within the intervals that are to cover 95, ``width_95`` their mean width. Members that diverged are counted
        in ``diverged`` and left out of everything else. ``seconds_per_epoch_and_seed`` leaves out the first epoch and,
        where seeds are trained at once, shares the time among them.
        """
        # Text, files and record read it many times; of thousands of series it takes seconds to make.
        rows, search, table = self._table
        if rows is not self._rows or search is not self.search:
            table = frames.table(self)
            self._table = (self._rows, self.search, table)
        return table.copy()

    @property
    def by_step(self) -> pd.DataFrame:
        """One row a model and step of the horizon: errors and coverage as in :attr:`table`, of that step alone."""
        return frames.by_step(self)

    @property
    def by_fold(self) -> pd.DataFrame:
        """One row a model and fold of a backtest: errors as in :attr:`table`, of that window alone.

        ``cutoff`` is the date of the last value known to the forecast. Of a panel a fold is a window of each series,
        ``windows`` says of how many, and ``cutoff`` and ``last_cutoff`` are the first and the last of their cutoffs.
        Empty without a backtest.
        """
        return frames.by_fold(self)

    @property
    def by_series(self) -> pd.DataFrame:
        """One row a series and model of a panel: errors as in :attr:`table`, of that series alone.

        ``windows`` is the number of its test windows. The table is the mean over series. Empty for a single series.
        """
        return frames.by_series(self) if self.several else pd.DataFrame()

    @property
    def predictions(self) -> pd.DataFrame:
        """Every forecast in long form: ``unique_id, ds, cutoff, y``, then one column a model.

        A model that was trained with several seeds has one column a seed, ``LSTM (seed 0)``, which is empty where that
        seed diverged. Columns are followed by the bounds of their intervals, ``GRU-lo-95`` and ``GRU-hi-95``, or
        ``GRU (seed 0)-lo-95``. ``cutoff`` is the date of the last value known to the forecast.
        ``utilsforecast.evaluation.evaluate`` reads this frame, and :func:`kseq.judge` makes the same table of it.
        """
        return frames.predictions(self)

    @property
    def by_target(self) -> list["Tables"]:
        """Of several targets a comparison of each, with its own table, letters and picture; empty for one target.

        All are ranked by the metric of the whole.
        """
        rows, found = self._by_target
        if rows is not self._rows:
            found = by_target(self, Tables)
            self._by_target = (self._rows, found)
        return found

    @property
    def history(self) -> pd.DataFrame:
        """Learning curves: ``model, seed, epoch, loss, val_loss``, members that diverged included.

        Losses are mean squared errors of scaled targets; ``val_loss`` is NaN where there is no validation part. Models
        that are trained anew in each fold have a column ``fold`` after ``model``. Empty for rows that came by a
        callback: their curves are what ``fit`` returns.
        """
        return frames.history(self)

    @property
    def tuning(self) -> pd.DataFrame:
        """Every trial of a tuning, see :attr:`kseq.experiments.tune.Search.frame`; empty where nothing was tuned."""
        return self.search.frame if self.search else pd.DataFrame()

    @property
    def record(self) -> dict[str, Any]:
        """Everything needed to judge and repeat the comparison, as ``run.json`` holds it."""
        return frames.record(self, self.table)
