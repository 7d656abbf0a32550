"""The comparison: baselines and cells on the same windows, and the object that holds what came out.

:func:`compare` runs everything; :class:`Comparison` is the one result that table, plot and files are written from. A
script may fill a comparison row by row with the callback :class:`kseq.Evaluation`.
"""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kseq import baselines, storage
from kseq.baselines import Skipped
from kseq.comparison import frames
from kseq.comparison.backtest import Backtest, baseline_of, cut_windows, join_folds, make_backtest
from kseq.comparison.scores import Scores
from kseq.data import Panel, Series
from kseq.errors import ConfigError
from kseq.evaluation.cautions import cautions
from kseq.evaluation.intervals import Interval, too_few
from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.quantiles import QUANTILE_METRICS
from kseq.evaluation.rows import ranked
from kseq.evaluation.verdict import Evidence, verdict
from kseq.preprocessing.grid import season_of_panel
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.training.progress import Within

if TYPE_CHECKING:
    from kseq.experiments.tune import Search


class Comparison:
    """All rows of one comparison, on one set of windows; table, picture and files are made from it.

    Args:
        data: the windows of one or many series that every row forecasts.
        settings: what decided the numbers, for the record; None where a script fills the rows.
        backtest: where the windows are the folds of one: what each training sees, see :mod:`kseq.comparison.backtest`.

    Attributes:
        backtest: as given.
        folds: parts of each series in each fold of the backtest; empty without one.
        trainings: the windowed series that models are trained on, in the order of time: ``data`` itself without a
            backtest. Joined rows hold forecasts of the validation parts of all of them.
        order: permutation from the concatenated test windows of all trainings to ``data.test``; None without a
            backtest.
        search: where the cells' settings come from a tuning: its trials, see :mod:`kseq.experiments.tune`.

    Example:
        >>> comparison = Comparison(make_windows(load_series("nino12")))  # doctest: +SKIP
        >>> comparison.add_baselines()  # doctest: +SKIP
        >>> model.fit(batches, callbacks=[Evaluation(comparison, "LSTM")])  # doctest: +SKIP
        >>> comparison.write("runs/first")  # doctest: +SKIP
    """

    def __init__(
        self,
        data: WindowedPanel,
        settings: Settings | None = None,
        backtest: Backtest | None = None,
    ):
        self.data, self.backtest = data, backtest
        self.folds = backtest.folds if backtest else ()
        self.trainings = backtest.trainings if backtest else (data,)
        self.order = backtest.order if backtest else None
        self.settings = settings
        self.seconds = float("nan")
        self.search: Search | None = None
        self._rows: tuple[ModelResult, ...] = ()
        self._evidence: Evidence | None = None
        self._skipped: list[Skipped] = []
        self._table: tuple[Any, Any, pd.DataFrame] = (None, None, pd.DataFrame())
        self._season = settings.season if settings else 0
        self._scored: tuple[int, Scores | None] = (0, None)

    @property
    def rows(self) -> tuple[ModelResult, ...]:
        """The rows in the order of the table; :meth:`add` takes further ones."""
        return self._rows

    def add(self, result: ModelResult) -> None:
        """Add a row; one of the same name gives way to it.

        Raises:
            ConfigError: its forecasts are not for these windows.
        """
        seen = sum(len(data.validation) for data in self.trainings)
        for part, given, windows in (
            ("test", result.predictions, len(self.data.test)),
            ("validation", result.validation, seen),
        ):
            expected = (len(result.predictions), windows, self.data.horizon, self.data.targets)
            if given is not None and given.shape != expected:
                raise ConfigError(
                    f"received forecasts of shape {given.shape} for {result.name!r}, expected {expected}: members, "
                    f"windows of the {part} part, steps and targets."
                )
        self._rows = (*(row for row in self._rows if row.name != result.name), result)
        self._evidence = None

    def add_baselines(
        self,
        names: Sequence[str] | None = None,
        season: int = 0,
        *,
        named: bool | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """Add a row for each baseline.

        Args:
            names: names of ``kseq.baselines.BASELINES``; by default those of the settings, or all.
            season: steps in a season; 0 for that of the settings, or to find it from the dates.
            named: whether somebody wants these by their names: exponential smoothing of many series, which takes long,
                is left out otherwise. By default where names are given, here or by the settings.
            progress: called with what is fitted, how many series are done and how many there are, where a baseline is
                fitted to many series one after the other.
        """
        self._season = season or self._season
        asked = names if names is not None else self.settings.baselines if self.settings else None
        named = asked is not None if named is None else named
        for name in baselines.BASELINES if asked is None else asked:
            row = baseline_of(
                name, self.trainings, self._season, self.season, order=self.order, named=named, progress=progress
            )
            if isinstance(row, Skipped):
                self._skipped.append(row)
            else:
                self.add(row)

    def add_means(self) -> None:
        """Add the mean forecast of each cell's members as a row of its own, where at least two did not diverge."""
        for row in [row for row in self.rows if row.kind == "cell"]:
            mean = row.mean_of_members()
            if mean is not None:
                self.add(mean)

    @property
    def season(self) -> int:
        """Steps in a season, by which MASE and RMSSE scale; 1 for none.

        It is the one that was asked for, or what the dates say.
        """
        return self._scores.season

    @property
    def measure(self) -> str:
        """The metric by which rows are ranked, tested and told apart: that of the settings.

        By default ``"mae"`` of one series with one target, ``"mase"`` of several.
        """
        return self._scores.measure

    @property
    def several(self) -> bool:
        """Whether several series are forecast: tables then count series, and records give no rows."""
        return len(self._scores.series) > 1

    @property
    def panel(self) -> Scores | None:
        """Scores of single series, where there are several; see :mod:`kseq.comparison.scores`."""
        return self._scores if self.several else None

    @property
    def _scores(self) -> Scores:
        """Scores by the season of the settings, or of the dates."""
        season, scores = self._scored
        if scores is None or season != self._season:
            data = self.data
            found = self._season or season_of_panel(data.series, data.split, data.members)
            scores = Scores(data, found, self.backtest, metric=self.settings.metric if self.settings else "")
            self._scored = (self._season, scores)
        return scores

    @property
    def evidence(self) -> Evidence:
        """What tests and verdict read: errors of each row by seed."""
        if self._evidence is None:
            folds = [fold[0] for fold in self.fold_scores() if fold]
            evidence = self._scores.evidence(self.rows, self.levels, folds, refitted=len(self.trainings) > 1)
            # Where cells have their own, there is no lookback that is that of all networks.
            own = self.settings is not None and bool(self.settings.by_cell)
            trials = self.search.trials if self.search else 0
            self._evidence = replace(evidence, lookback=0 if own else evidence.lookback, trials=trials)
        return self._evidence

    @property
    def verdict(self) -> list[str]:
        """Sentences on who wins, against what, at which cost, and what to use; from the numbers alone."""
        return verdict(self.evidence)

    @property
    def traps(self) -> list[str]:
        """Former name of :attr:`cautions`."""
        return self.cautions

    @property
    def cautions(self) -> list[str]:
        """Sentences on what must not be read into the numbers, and on what is missing from them and why."""
        return [
            *cautions(self.evidence),
            *self._skipped_baselines(),
            *self._missing_intervals(),
            *(row.remark for row in self.rows if row.remark),
            *self._scores.notes,
            *self.data.notes,
        ]

    def _skipped_baselines(self) -> list[str]:
        """Say which baselines the series do not allow, those of one reason together."""
        names: dict[str, list[str]] = {}
        for skipped in self._skipped:
            names.setdefault(skipped.reason, []).append(skipped.name)
        return [f"Left out of the baselines: {', '.join(left)} ({reason})." for reason, left in names.items()]

    def _missing_intervals(self) -> list[str]:
        """Say which intervals cannot be given, and why."""
        windows = min(len(data.validation) for data in self.trainings)
        if not windows:
            return ["No intervals: there is no validation part whose errors would bound them."] * bool(self.levels)
        reasons = {level: too_few(windows, level) for level in self.levels}
        return [f"No {level:g} % intervals: {reason}." for level, reason in reasons.items() if reason]

    def scores(self, row: ModelResult, metric: str, *, by: str | None = None) -> np.ndarray:
        """Score each member of a row that did not diverge.

        MASE and RMSSE scale by the rows before the test part, in a backtest by those that the first fold knows: one
        scale for all folds.

        Args:
            row: a row of this comparison.
            metric: a name of ``kseq.evaluation.metrics.ALL_METRICS``.
            by: what to keep apart: ``"step"`` of the horizon, ``"window"``, ``"series"``, or None for one score, the
                mean over series of each series' own.

        Returns:
            ``(member,)``, ``(member, step)``, ``(member, window)`` or ``(member, series)``.
        """
        forecasts = row.predictions[row.sound]
        bands = self.intervals(row) if metric in QUANTILE_METRICS else None
        if by == "window":
            return self._scores.by_window(forecasts, metric, bands)
        if by == "series":
            return self._scores.of_series(forecasts, metric, bands=bands)
        return self._scores.overall(forecasts, metric, by_step=by == "step", bands=bands)

    def coverage(self, band: Interval, steps: slice = slice(None)) -> float:
        """Percent of true values within intervals, averaged within each series, then over series and members.

        Args:
            band: bounds from :meth:`intervals`.
            steps: steps of the horizon; all by default.
        """
        return self._scores.coverage(band, steps)

    def width(self, band: Interval, steps: slice = slice(None)) -> float:
        """Mean width of intervals in the targets' unit, averaged as :meth:`coverage`."""
        return self._scores.width(band, steps)

    def fold_scores(self) -> list[tuple[np.ndarray, Scores] | None]:
        """Windows of each fold of the backtest, ``(windows,)``, and their scores; None for a fold without windows."""
        numbers = self.backtest.numbers if self.backtest else np.empty(0, int)
        folds = [np.flatnonzero(numbers == number) for number in range(len(self.folds))]
        return [(which, self._scores.only(which)) if len(which) else None for which in folds]

    @property
    def levels(self) -> tuple[float, ...]:
        """Percents that intervals are to cover."""
        return (self.settings or Settings()).levels

    def intervals(self, row: ModelResult) -> dict[float, Interval]:
        """Put prediction intervals around the forecasts of a row's members that did not diverge.

        Their half-width is what the same member missed on the validation part, see :mod:`kseq.evaluation.intervals`; a
        training of its own for each fold has a width of its own.

        Returns:
            An interval by level, bounds ``(member, window, step, target)``; none where the row has no forecasts of the
            validation part, or where that part is too short for a level.
        """
        return self._scores.intervals(row, self.levels)

    @property
    def best(self) -> ModelResult:
        """The row with the smallest error, by :attr:`measure`."""
        name = ranked(self.evidence.rows)[0].name
        return next(row for row in self.rows if row.name == name)

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

        A model that was trained with several seeds has one column a seed, ``LSTM (seed 0)``; a seed that diverged has
        none. A column that is its model's only one is followed by the bounds of its intervals, ``GRU-lo-95`` and
        ``GRU-hi-95``; those of a cell with several seeds stand beside their mean, ``GRU x10 mean-lo-95``. ``cutoff`` is
        the date of the last value known to the forecast. ``utilsforecast.evaluation.evaluate`` reads this frame.
        """
        return frames.predictions(self)

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
        return frames.record(self)

    def plot(self, path: str | Path | None = None, ids: Sequence[Any] | None = None) -> Any:
        """Draw all models over the test part; write the picture to ``path`` where one is given.

        Args:
            path: of the picture; its suffix says the format, ``.png`` where it has none.
            ids: of a panel, the series to draw; a few by default.

        Returns:
            matplotlib.figure.Figure: the picture.
        """
        from kseq.report.plot import plot_predictions

        figure = plot_predictions(self, ids)
        if path is not None:
            path = Path(path) if Path(path).suffix else Path(f"{path}.png")
            content = io.BytesIO()
            figure.savefig(content, format=path.suffix[1:], dpi=150)
            storage.write_bytes(path, content.getvalue())
        return figure

    def write(self, path: str | Path) -> list[Path]:
        """Write table, forecasts, pictures and record into a folder, made where it is missing; return the files.

        What an earlier run has left there is replaced; other files in the folder stay. A picture that cannot be drawn
        is left out with a warning.

        Args:
            path: of the folder.

        Raises:
            ConfigError: no name of a folder; one that cannot be written or is being written by another process; a file
                there that kseq has not written, by a name such as ``table.csv``, or one that the series was read from.
            OutputError: a ConfigError too: there was no room; its ``files`` are paths where the files are instead.
        """
        from kseq.report import run_folder

        if not str(path):
            raise ConfigError('received "" for the folder to write into, expected its name ("." for this one).')
        with run_folder.folder(Path(path), inputs=self.inputs) as folder:
            return run_folder.write(self, folder)

    @property
    def inputs(self) -> list[Path]:
        """The file that the series was read from, if any."""
        origin = self.data.series.origin
        return [Path(origin.arguments["path"])] if origin is not None and "path" in origin.arguments else []


def compare(
    series: Series | Panel,
    settings: Settings | None = None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    **options: Any,
) -> Comparison:
    """Train the cells on a series and set them beside baselines.

    Of a panel, each cell is one model for all its series (a global model), and baselines are fitted series by series;
    see :mod:`kseq.preprocessing.windows` and, for how scores are averaged, :mod:`kseq.comparison.scores`.

    Args:
        series: see :func:`kseq.load_series`, :func:`kseq.read_csv`, :func:`kseq.from_frame`; or a panel, see
            :func:`kseq.read_panel`, :func:`kseq.panel_from_frame`.
        settings: all settings; the defaults where None.
        progress: called with what is trained, the epoch and the epoch limit, after each epoch; with series in place of
            epochs where exponential smoothing is fitted to the series of a panel, one after the other.
        **options: single settings by name, instead of ``settings``.

    Returns:
        Comparison: with ``.table``, ``.predictions``, ``.best``, ``.plot()`` and ``.write(folder)``.

    Example:
        >>> result = compare(load_series("nino12"), cells=("gru",), seeds=(0, 1, 2))  # doctest: +SKIP
        >>> print(result.table)  # doctest: +SKIP
    """
    if settings is not None and options:
        raise ConfigError(f"received settings and also {', '.join(options)}, expected one or the other.")
    started = time.perf_counter()
    settings = settings or Settings(**options)
    comparison = laid_out(series, settings)
    if settings.cells:
        # Keras and its backend are loaded here and no earlier: most wrong settings are told by now.
        from kseq.comparison.jobs import require_room, train_cell
        from kseq.training.fit import Training

        Training(**settings.training)
        for cell in settings.cells:
            require_room(cell, comparison.trainings[0], settings.of(cell))
    comparison.add_baselines(progress=progress)
    for cell in settings.cells:
        trained = [
            train_cell(cell, data, settings, _told(progress, number, len(comparison.trainings)))
            for number, data in enumerate(comparison.trainings)
        ]
        comparison.add(join_folds(trained, comparison.order))
    comparison.add_means()
    comparison.seconds = time.perf_counter() - started
    return comparison


def laid_out(series: Series | Panel, settings: Settings) -> Comparison:
    """Make the comparison that :func:`compare` fills, still without rows.

    Args:
        series: a series or a panel.
        settings: settings of the comparison.
    """
    backtest = make_backtest(series, settings) if settings.n_windows else None
    return Comparison(backtest.data if backtest else cut_windows(series, settings), settings, backtest)


def _told(
    progress: Callable[[str, int, int], None] | None, number: int, trainings: int
) -> Callable[[str, int, int], None] | None:
    """Let whoever watches know which of several trainings runs."""
    if progress is None or trainings == 1:
        return progress
    return Within(progress, f"fold {number + 1} of {trainings}")
