"""The comparison: baselines and cells on the same windows, and the object that holds what came out.

:func:`compare` runs everything; :class:`Comparison` is the one result that table, plot and files are written from. A
script may fill a comparison row by row with the callback :class:`kseq.Evaluation`.
"""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from kseq import baselines, storage
from kseq.comparison import frames
from kseq.evaluation import metrics, significance
from kseq.comparison.backtest import Backtest, baseline_row, cut_windows, join_folds, joint_intervals, make_backtest
from kseq.errors import ConfigError, DataError
from kseq.evenly import on_grid, places_of
from kseq.evidence import evidence_of
from kseq.evaluation.intervals import Interval, too_few
from kseq.panels.backtest import PanelBacktest, baseline_of, cut_panel, make_panel_backtest
from kseq.panels.grid import season_of_panel
from kseq.panels.scores import PanelScores
from kseq.panels.windows import WindowedPanel
from kseq.progress import Within
from kseq.evaluation.model_result import ModelResult
from kseq.data import Panel, Series
from kseq.settings import Settings
from kseq.evaluation.cautions import traps
from kseq.evaluation.verdict import Evidence, verdict
from kseq.windows import WindowedSeries

if TYPE_CHECKING:
    from kseq.tuning import Search


class Comparison:
    """All rows of one comparison, on one set of windows; table, picture and files are made from it.

    Args:
        data: the windowed series that every row forecasts.
        settings: what decided the numbers, for the record; None where a script fills the rows.
        backtest: where the windows are the folds of one: what each training sees, see :mod:`kseq.comparison.backtest`.

    Attributes:
        backtest: as given.
        folds: of the backtest; empty where the windows are all those of one test part.
        trainings: the windowed series that models are trained on, in the order of time: ``data`` itself without a
            backtest. Joined rows hold forecasts of the validation parts of all of them.
        order: of the windows of all trainings those that stand in ``data.test``, where they are joined otherwise than
            fold after fold.
        search: where the cells' settings come from a tuning: its trials, see :mod:`kseq.tuning`.

    Example:
        >>> comparison = Comparison(make_windows(load_series("nino12")))  # doctest: +SKIP
        >>> comparison.add_baselines()  # doctest: +SKIP
        >>> model.fit(batches, callbacks=[Evaluation(comparison, "LSTM")])  # doctest: +SKIP
        >>> comparison.write("runs/first")  # doctest: +SKIP
    """

    def __init__(
        self,
        data: WindowedSeries,
        settings: Settings | None = None,
        backtest: Backtest | PanelBacktest | None = None,
    ):
        self.data, self.backtest = data, backtest
        self.folds = backtest.folds if backtest else ()
        self.trainings = backtest.trainings if backtest else (data,)
        self.order = backtest.order if isinstance(backtest, PanelBacktest) else None
        self.settings = settings
        self.seconds = float("nan")
        self.search: Search | None = None
        self._rows: tuple[ModelResult, ...] = ()
        self._evidence: Evidence | None = None
        self._left_out: dict[str, list[str]] = {}
        self._remarks: list[str] = []
        self._table: tuple[Any, Any, pd.DataFrame] = (None, None, pd.DataFrame())
        self._season = settings.season if settings else 0

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
            names: which, of ``kseq.baselines.BASELINES``; by default those of the settings, or all.
            season: steps in a season; 0 for that of the settings, or to find it from the dates.
            named: whether somebody wants these by their names: exponential smoothing of many series, which takes long,
                is left out otherwise. By default where names are given, here or by the settings.
            progress: called with what is fitted, how many series are done and how many there are, where a baseline is
                fitted to many series one after the other.
        """
        self._season = season or self._season
        asked = names if names is not None else self.settings.baselines if self.settings else None
        named = asked is not None if named is None else named
        # One season for all trainings; where the first is too short for it, each says so itself.
        shared = self._season or (self.season if self.season > 1 else 0)
        for name in baselines.BASELINES if asked is None else asked:
            try:
                if isinstance(self.data, WindowedPanel):
                    trainings = cast("tuple[WindowedPanel, ...]", self.trainings)
                    row, remark = baseline_of(
                        name, trainings, self._season, shared, order=self.order, named=named, progress=progress
                    )
                    self._remarks += [remark] if remark else []
                else:
                    row = baseline_row(name, self.trainings, shared)
                self.add(row)
            except DataError as error:
                self._left_out.setdefault(str(error).partition("; ")[0], []).append(name)

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
        if self.panel is not None:
            return self.panel.season
        season = self._season or self._season_of_dates
        return season if 2 * season <= self.trainings[0].split.validation else 1

    @cached_property
    def panel(self) -> PanelScores | None:
        """Where the data are a panel: scores of its series, see :mod:`kseq.panels.scores`."""
        if not isinstance(self.data, WindowedPanel):
            return None
        data = self.data
        season = self._season or season_of_panel(data.series, data.split, data.members)
        return PanelScores(data, season, self.backtest if isinstance(self.backtest, PanelBacktest) else None)

    @cached_property
    def _season_of_dates(self) -> int:
        return baselines.season_known(self.trainings[0])

    @property
    def evidence(self) -> Evidence:
        """What tests and verdict read: errors of each row by seed."""
        if self._evidence is None:
            panel = self.panel
            self._evidence = panel.evidence(self.rows) if panel else evidence_of(self.data, self.trainings, self.rows)
            if self.settings is not None and self.settings.by_cell:
                # There is no lookback that is that of all networks.
                self._evidence = replace(self._evidence, lookback=0)
        return replace(self._evidence, trials=self.search.trials) if self.search else self._evidence

    @property
    def verdict(self) -> list[str]:
        """Sentences on who wins, against what, at which cost, and what to use; from the numbers alone."""
        return verdict(self.evidence)

    @property
    def traps(self) -> list[str]:
        """Sentences on what must not be read into the numbers, and on what is missing from them and why."""
        return [
            *traps(self.evidence),
            *(f"Left out of the baselines: {', '.join(names)} ({reason})." for reason, names in self._left_out.items()),
            *self._missing_intervals(),
            *self._remarks,
            *(self.panel.notes if self.panel else ()),
            *self.data.notes,
        ]

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
            row: of this comparison.
            metric: a name of ``kseq.evaluation.metrics.METRICS``.
            by: what to keep apart: ``"step"`` of the horizon, ``"window"``, or None for one score.

        Returns:
            ``(member,)``, ``(member, step)`` or ``(member, window)``.
        """
        if self.panel is not None:
            return self.panel.overall(row.predictions[row.sound], metric, by_step=by == "step")
        first = self.trainings[0]
        return np.asarray(
            metrics.METRICS[metric].function(
                self.data.test_y,
                row.predictions[row.sound],
                insample=on_grid(first.series)[: places_of(first.series)[first.split.test - 1] + 1],
                season=self.season,
                axis={"step": (-3, -1), "window": (-2, -1), None: (-3, -2, -1)}[by],
            )
        )

    @property
    def levels(self) -> tuple[float, ...]:
        """Percents that intervals are to cover."""
        return (self.settings or Settings()).levels

    def intervals(self, row: ModelResult) -> dict[float, Interval]:
        """Put prediction intervals around the forecasts of a row's members that did not diverge.

        Their half-width is what the same member missed on the validation part, see :mod:`kseq.evaluation.intervals`; a training
        of its own for each fold has a width of its own.

        Returns:
            An interval by level, bounds ``(member, window, step, target)``; none where the row has no forecasts of the
            validation part, or where that part is too short for a level.
        """
        if self.panel is not None:
            return self.panel.intervals(row, self.levels)
        return joint_intervals(row, self.trainings, self.levels)

    @property
    def best(self) -> ModelResult:
        """The row with the smallest mean absolute error."""
        name = significance.ranked(self.evidence.rows)[0].name
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
        return frames.by_series(self)

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
        """Every trial of a tuning, see :attr:`kseq.tuning.Search.frame`; empty where nothing was tuned."""
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
        from kseq import runs

        if not str(path):
            raise ConfigError('received "" for the folder to write into, expected its name ("." for this one).')
        with runs.folder(Path(path), inputs=self.inputs) as folder:
            return runs.write(self, folder)

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
    see :mod:`kseq.panels.windows` and, for how scores are averaged, :mod:`kseq.panels.scores`.

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
        from kseq.training import Training

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
        settings: of the comparison.
    """
    if isinstance(series, Panel):
        folds = make_panel_backtest(series, settings) if settings.n_windows else None
        return Comparison(folds.data if folds else cut_panel(series, settings), settings, folds)
    backtest = make_backtest(series, settings) if settings.n_windows else None
    return Comparison(backtest.data if backtest else cut_windows(series, settings), settings, backtest)


def _told(
    progress: Callable[[str, int, int], None] | None, number: int, trainings: int
) -> Callable[[str, int, int], None] | None:
    """Let whoever watches know which of several trainings runs."""
    if progress is None or trainings == 1:
        return progress
    return Within(progress, f"fold {number + 1} of {trainings}")
