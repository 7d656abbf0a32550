"""The rows of a comparison: models on the same windows, and what is scored, tested and said of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from kseq import baselines
from kseq.baselines import Skipped
from kseq.comparison.backtest import Backtest, baseline_of
from kseq.comparison.null_losses import null_losses
from kseq.comparison.others import Beside
from kseq.comparison.scores import Scores
from kseq.comparison.window_scores import WindowScores
from kseq.errors import ConfigError, DataError
from kseq.evaluation.cautions import cautions
from kseq.evaluation.evidence import Evidence
from kseq.evaluation.intervals import Interval, too_few
from kseq.evaluation.metrics import ALL_METRICS
from kseq.evaluation.model_result import ModelResult
from kseq.evaluation.quantiles import QUANTILE_METRICS
from kseq.evaluation.rows import ranked
from kseq.evaluation.verdict import verdict
from kseq.naming import checked, hint
from kseq.preprocessing.grid import season_of_panel
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import Settings
from kseq.text import listed, shown
from kseq.validation import require_choice, several


class Trials(Protocol):
    """The trials by which a tuning chose the cells' settings, see :class:`kseq.experiments.tune.Search`."""

    @property
    def trials(self) -> int:
        """Trials of each cell."""
        ...

    @property
    def frame(self) -> pd.DataFrame:
        """One row a trial."""
        ...

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` holds of the tuning."""
        ...


class Rows:
    """Models on one set of windows, with their scores; :class:`kseq.Comparison` shows and writes them.

    Args:
        data (WindowedPanel): The windows of one or many series that every row forecasts.
        settings (Settings | None): What decided the numbers, for the record; None where a script adds the rows.
        backtest (Backtest | None): In a backtest, its folds and what each training sees; None without one.

    Attributes:
        trained_anew: Windows of each fold that rows were trained anew for, where no backtest says so; empty for none.
    """

    def __init__(
        self,
        data: WindowedPanel,
        settings: Settings | None = None,
        backtest: Backtest | None = None,
    ):
        if not isinstance(data, WindowedPanel):
            raise DataError(
                f"received type {type(data).__name__}, expected windows: kseq.Comparison(kseq.make_windows(series)); "
                "kseq.compare(series) trains as well."
            )
        if not isinstance(settings, Settings | None):
            raise ConfigError(f"received settings of type {type(settings).__name__}, expected kseq.Settings.")
        self.data, self.backtest = data, backtest
        self.folds = backtest.folds if backtest else ()
        self.trainings = backtest.trainings if backtest else (data,)
        self.order = backtest.order if backtest else None
        self.settings = settings
        self.seconds = float("nan")
        self.search: Trials | None = None
        self.beside: Beside | None = None
        self.missing: list[str] = []
        self.jobs: Any = None
        self.trained_anew: Sequence[np.ndarray] = ()
        self.listeners: list[Callable[[ModelResult], None]] = []
        self._rows: tuple[ModelResult, ...] = ()
        self._evidence: Evidence | None = None
        self._skipped: list[Skipped] = []
        self._season = settings.season if settings else 0
        self._scored: tuple[int, Scores | None] = (0, None)

    def __repr__(self) -> str:
        names = ", ".join(row.name for row in self.rows[:20]) + ", ..." * (len(self.rows) > 20)
        return (
            f"{type(self).__name__}(of {self.data.series.name!r}: {names or 'no rows yet'}; "
            ".table, .verdict, .cautions, .predictions, .best, .plot(), .write(folder))"
        )

    @property
    def rows(self) -> tuple[ModelResult, ...]:
        """The rows in the order of the table; :meth:`add` takes further ones."""
        return self._rows

    def add(self, result: ModelResult) -> None:
        """Add a row; one of the same name gives way to it. All ``listeners`` are called with it.

        Raises:
            ConfigError: Its forecasts are not for these windows.
        """
        if not isinstance(result, ModelResult):
            raise ConfigError(
                f"received type {type(result).__name__}, expected a row, a kseq.evaluation.model_result.ModelResult; "
                "kseq.Evaluation adds one of a model that is fitted."
            )
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
        for listener in self.listeners:
            listener(result)

    @checked("Comparison.add_baselines")
    def add_baselines(
        self,
        names: str | Sequence[str] | None = None,
        season: int = 0,
        *,
        named: bool | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """Add a row for each baseline.

        Args:
            names: Names of ``kseq.baselines.BASELINES``, or those that tables print; by default those of the settings,
                or all.
            season: Steps in a season; 0 for that of the settings, or to find it from the dates.
            named: Whether these were asked for by their names: exponential smoothing of a panel, which takes long,
                is left out otherwise. By default where names are given, here or by the settings.
            progress: Called with what is fitted, how many series are done and how many there are, where a baseline is
                fitted to many series one after the other.
        """
        self._season = season or self._season
        asked = names if names is not None else self.settings.baselines if self.settings else None
        named = asked is not None if named is None else named
        for name in baselines.BASELINES if asked is None else several(asked):
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

    def add_others(self, beside: Beside) -> None:
        """Add the rows of others; one whose name is taken has the name of its source behind its own."""
        rows = list(beside.named([row.name for row in self.rows]))
        for row in rows:
            self.add(row)
        self.beside = replace(beside, rows=rows, notes=[*beside.notes, *beside.renamed(rows)])

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
    def _scores(self) -> Scores:
        """Scores by the season of the settings, or of the dates."""
        season, scores = self._scored
        if scores is None or season != self._season:
            data = self.data
            found = self._season or season_of_panel(data.series, data.split, data.members)
            scores = Scores(data, found, self.backtest, metric=self.settings.metric if self.settings else "",
                            asked=bool(self._season))  # fmt: skip
            self._scored = (self._season, scores)
        return scores

    @property
    def evidence(self) -> Evidence:
        """What tests and verdict read: errors of each row by seed."""
        if self._evidence is None:
            anew = self.trained_anew
            if len(self.trainings) > 1:
                anew = [fold[0] for fold in self.fold_scores() if fold]
            evidence = self._scores.evidence(self.rows, self._scored_levels, anew)
            own = self.settings is not None and bool(self.settings.by_cell)
            # Where cells have their own, there is no lookback and no loss that is that of all networks.
            if self.settings is not None:
                evidence = replace(evidence, lookback=0 if own else self.settings.lookback or 0)
            if not own and any(row.history for row in self.rows):
                loss = self.settings.training.get("loss", "mse") if self.settings else "mse"
                trained, validated, words = null_losses(self.trainings, loss)
                evidence = replace(evidence, null_losses=(trained, validated), null_words=words)
            self._evidence = evidence
        if self.search and self._evidence.trials != self.search.trials:
            self._evidence = replace(self._evidence, trials=self.search.trials)
        return self._evidence

    @property
    def verdict(self) -> list[str]:
        """Sentences on who wins, against what, at which cost, and what to use; from the numbers alone."""
        return verdict(self.evidence)

    @property
    def cautions(self) -> list[str]:
        """Sentences on what must not be read into the numbers, and on what is missing from them and why."""
        return [
            *self.missing,
            *cautions(self.evidence),
            *self._skipped_baselines(),
            *self._missing_intervals(),
            *self._second_training(),
            *(row.remark for row in self.rows if row.remark),
            *(self.beside.notes if self.beside else ()),
            *self._scores.notes,
            *self.data.notes,
            *(self.settings.notes if self.settings else []),
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
            given = {level for row in self.rows for level in row.bands}
            if self.levels and not given:
                return ["No intervals: there is no validation part whose errors would bound them."]
            return [f"No {level:g} % intervals: none came with the forecasts."
                    for level in self.levels if level not in given]  # fmt: skip
        reasons = {level: too_few(windows, level) for level in self.levels}
        return [f"No {level:g} % intervals: {reason}." for level, reason in reasons.items() if reason]

    def _second_training(self) -> list[str]:
        """Say by which training networks forecast, and by which their intervals are calibrated."""
        twice = any(row.refit_epochs for row in self.rows)
        known = " Their intervals are as wide as what the first training missed there." * bool(self.levels)
        return [
            "Networks forecast the test part once they are trained again on the validation part too, for as many steps "
            f"as early stopping found.{known}"
        ] * twice

    def row(self, name: str | ModelResult) -> ModelResult:
        """The row of a name, in any spelling; a row as it is.

        Args:
            name: Name of the row, as :attr:`table` shows it: ``"GRU"``.

        Raises:
            ConfigError: There is none of that name.
        """
        if isinstance(name, ModelResult):
            return name
        names = [row.name for row in self.rows]
        if name not in names:
            plain = {one.lower(): one for one in names}
            if not isinstance(name, str) or name.lower() not in plain:
                near = hint(name, names)
                rest = f"expected one of {listed(names)}" if names else "and there is none yet"
                raise ConfigError(f"received row {shown(name)}, {rest}{near or '.'}")
            name = plain[name.lower()]
        return self.rows[names.index(name)]

    @checked("Comparison.scores")
    def scores(self, row: ModelResult | str, metric: str, *, by: str | None = None) -> np.ndarray:
        """Score each member of a row that did not diverge.

        MASE and RMSSE scale by the rows before the test part, in a backtest by those that the first fold knows: one
        scale for all folds.

        Args:
            row: A row of this comparison, or its name.
            metric: A name of ``kseq.evaluation.metrics.ALL_METRICS``.
            by: Dimension to keep apart: ``"step"`` of the horizon, ``"window"``, ``"series"``, or None for one score,
                the mean over series of each series' own.

        Returns:
            ``(member,)``, ``(member, step)``, ``(member, window)`` or ``(member, series)``.
        """
        row = self.row(row)
        require_choice("metric", metric, (*ALL_METRICS, *QUANTILE_METRICS))
        if by is not None:
            require_choice("by", by, ("step", "window", "series"))
        forecasts = row.predictions[row.sound]
        bands = self._scores.bands(row, self._scored_levels) if metric in QUANTILE_METRICS else None
        if by == "window":
            return self._scores.by_window(forecasts, metric, bands)
        if by == "series":
            return self._scores.of_series(forecasts, metric, bands=bands)
        return self._scores.overall(forecasts, metric, by_step=by == "step", bands=bands)

    def coverage(self, band: Interval, steps: slice = slice(None)) -> float:
        """Percent of true values within intervals, averaged within each series, then over series and members.

        Args:
            band: Bounds from :meth:`intervals`.
            steps: Steps of the horizon; all by default.
        """
        return self._scores.coverage(band, steps)

    def width(self, band: Interval, steps: slice = slice(None)) -> float:
        """Mean width of intervals in the targets' unit, averaged as :meth:`coverage`."""
        return self._scores.width(band, steps)

    def fold_scores(self) -> list[tuple[np.ndarray, WindowScores] | None]:
        """Windows of each fold of the backtest, ``(windows,)``, and their scores; None for a fold without windows."""
        numbers = self.backtest.numbers if self.backtest else np.empty(0, int)
        folds = [np.flatnonzero(numbers == number) for number in range(len(self.folds))]
        return [(which, self._scores.only(which)) if len(which) else None for which in folds]

    @property
    def levels(self) -> tuple[float, ...]:
        """Percents that intervals are to cover."""
        return (self.settings or Settings()).levels

    @property
    def _scored_levels(self) -> tuple[float, ...]:
        """Levels that metrics of quantiles read, the same of all rows.

        They are those that the validation part gives the rows of this run; of rows whose intervals came with their
        forecasts all that there are.
        """
        windows = min(len(data.validation) for data in self.trainings)
        if windows and any(row.validation is not None for row in self.rows):
            found = {level for level in self.levels if not too_few(windows, level)}
        else:
            found = {level for row in self.rows for level in row.bands}
        return tuple(level for level in self.levels if level in found)

    def intervals(self, row: ModelResult | str) -> dict[float, Interval]:
        """Put prediction intervals around the forecasts of a row's members that did not diverge.

        Their half-width is what the same member missed on the validation part, see :mod:`kseq.evaluation.intervals`; a
        training of its own for each fold has a width of its own.

        Returns:
            An interval by level, bounds ``(member, window, step, target)``; none where the row has no forecasts of the
            validation part, or where that part is too short for a level.
        """
        return self._scores.intervals(self.row(row), self.levels)

    @property
    def best(self) -> ModelResult:
        """The row with the smallest error, by :attr:`measure`."""
        if not self.rows:
            raise ConfigError("this comparison has no rows yet; call add_baselines, or fit with kseq.Evaluation.")
        name = ranked(self.evidence.rows)[0].name
        return next(row for row in self.rows if row.name == name)
