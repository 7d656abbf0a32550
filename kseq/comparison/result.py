"""The comparison: baselines and cells on the same windows, and the object that holds what came out.

:func:`compare` runs everything; :class:`Comparison` is the one result that table, plot and files are written from. A
script may fill a comparison row by row with the callback :class:`kseq.Evaluation`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kseq import vocabulary
from kseq.comparison._joined import join_folds
from kseq.comparison.backtest import cut_windows, make_backtest
from kseq.comparison.defaults import resolved
from kseq.comparison.kept import JobCounts, begun, heard, missing_text, store_in, tidied, workers_for
from kseq.comparison.others import beside, read_others
from kseq.comparison.regressors import rival_row
from kseq.comparison.tables import Tables
from kseq.data import Panel, Series
from kseq.errors import ConfigError
from kseq.jobs import Runner, Store, place
from kseq.naming import checked
from kseq.settings import Settings
from kseq.training.progress import Within
from kseq.validation import require_path


class Comparison(Tables):
    """All rows of one comparison, on one set of windows; table, picture and files are made from it.

    Args:
        data: the windows of one or many series that every row forecasts.
        settings: Settings that decided the numbers, for the record; None where a script fills the rows.
        backtest: where the windows are the folds of one: what each training sees, see :mod:`kseq.comparison.backtest`.

    Attributes:
        backtest: The backtest, as given.
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

    @checked("Comparison.plot")
    def plot(
        self, path: str | Path | None = None, ids: Sequence[Any] | None = None, *, interactive: bool = False
    ) -> Any:
        """Draw all models over the test part; write the picture to ``path`` where one is given.

        Args:
            path: Path of the picture; its suffix says the format, ``.png`` where it has none. Of interactive charts,
                path of a page.
            ids: Series of a panel to draw; a few by default.
            interactive: Whether to draw charts to zoom into, which a notebook shows where they are made. Defaults to
                False.

        Returns:
            matplotlib.figure.Figure: the picture; :class:`kseq.report.html.interactive.Interactive` of an interactive
            one.
        """
        if interactive:
            from kseq.report.html.forecasts import interactive_of

            charts = interactive_of(self, ids)
            if path is not None:
                charts.save(path)
            return charts
        from kseq.report.lettering import save
        from kseq.report.plot import plot_predictions

        return save(plot_predictions(self, ids), path)

    def _repr_html_(self) -> str:
        """The table and the verdict, as a notebook shows them."""
        from kseq.report.table import as_html, shown_of_target, shown_table

        targets = {f"Target {one.data.series.targets[0]}": shown_of_target(one) for one in self.by_target}
        return as_html(shown_table(self), self.verdict, targets)

    @checked("Comparison.write")
    def write(self, path: str | Path, predictions: str = "csv") -> list[Path]:
        """Write table, forecasts, pictures and record into a folder, made where it is missing; return the files.

        What an earlier run has left there is replaced; other files in the folder stay. A picture that cannot be drawn
        is left out with a warning.

        Args:
            path: Path of the folder.
            predictions: ``"csv"`` or ``"parquet"``, the file of all forecasts, or ``"none"`` for no such file.

        Raises:
            ConfigError: no name of a folder; one that cannot be written or is being written by another process; a file
                there that kseq has not written, by a name such as ``table.csv``, or one that the series was read from.
            OutputError: a ConfigError too: there was no room; its ``files`` are paths where the files are instead.
        """
        from kseq.report import run_folder

        if not str(path):
            raise ConfigError('received "" for the folder to write into, expected its name ("." for this one).')
        with run_folder.folder(require_path(path), inputs=self.inputs) as folder:
            return run_folder.write(self, folder, predictions=predictions)

    @property
    def inputs(self) -> list[Path]:
        """The files that the series and forecasts of others were read from, if any."""
        origin = self.data.series.origin
        read = [Path(origin.arguments["path"])] if origin is not None and "path" in origin.arguments else []
        path = self.beside.others.path if self.beside is not None else None
        return read if path is None else [*read, path]

    @property
    def traps(self) -> list[str]:
        """Former name of :attr:`cautions`."""
        return self.cautions


@vocabulary.shows_options
def compare(
    given: Any = None,
    /,
    settings: Settings | None = None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    with_forecasts: Any = None,
    log: Any = (),
    executor: Any = None,
    keep: str | Path | None = None,
    fresh: bool = False,
    **options: Any,
) -> Comparison:
    """Train the cells on a series and set them beside baselines.

    Of a panel, each cell is one model for all its series (a global model), and baselines are fitted series by series;
    see :mod:`kseq.preprocessing.windows` and, for how scores are averaged, :mod:`kseq.comparison.scores`.

    Args:
        given: the series: a DataFrame, a Series, an array, the name of a file or of a built-in series, or what the
            readers of kseq give; see :func:`kseq.data.series_of`. None where ``csv``, ``parquet`` or ``data`` name it.
        settings: all settings; None, the default, for those that ``options`` name.
        progress: called with what is trained, the epoch and the epoch limit, after each epoch; with series in place of
            epochs where exponential smoothing is fitted to the series of a panel, one after the other.
        with_forecasts: forecasts that others made of the same test points, which become rows too: the name of a CSV or
            Parquet file, a frame ``unique_id, ds, [cutoff], [y], MODEL...``, or ``{name: array}`` of shape ``(windows,
            horizon, targets)``, an axis of seeds in front where there are several; None, the default, for none. They
            are matched by series, date and cutoff, before anything is trained; see :mod:`kseq.comparison.others`.
        log: where learning curves and the table are written besides: ``"tensorboard"``, ``"mlflow"``, or an object of
            one's own with the methods of :class:`kseq.report.loggers.Logger`; one or several.
        executor: The executor that trains: None, the default, for this process; ``"local:2"`` for two processes of this
            machine, ``"dask://host:port"`` for a Dask cluster, any ``concurrent.futures.Executor``, or a function that
            returns one, which is called again where its workers are lost. Tables are the same.
        keep: folder in which finished trainings are kept, so that a run that is started again does what is missing;
            by default a hidden one in ``out``, and none without ``out``.
        fresh: whether to train everything anew, whatever is kept.
        **options: those of ``kseq compare`` by the same names, ``epochs=50, seeds=5, test_share=0.2``, and the fields
            of :class:`kseq.Settings`; see :mod:`kseq.vocabulary`. ``target``, ``time``, ``id`` and others say how a
            frame is read, ``series`` which of several is taken; ``backend`` and ``device`` where to train; ``out``
            names a folder for the run's files. ``cells={"minGRU": build, "lstm": ...}`` and ``rivals={"LightGBM":
            LGBMRegressor()}`` set rows of one's own beside them, see :mod:`kseq.models.own`.

    Returns:
        Comparison: with ``.table``, ``.predictions``, ``.best``, ``.plot()`` and ``.write(folder)``.

    Raises:
        ConfigError: an option that kseq does not know, or a value that it cannot have.
        DataError: the series cannot be used as it is; or forecasts of others are not of its test points.

    Example:
        >>> result = compare(df, cells="gru", epochs=50, seeds=3)  # doctest: +SKIP
        >>> print(result.table)  # doctest: +SKIP
    """
    started = time.perf_counter()
    asked = vocabulary.asked(given, settings, options)
    others = read_others(with_forecasts) if with_forecasts is not None else None
    store = store_in(keep, asked.out, fresh=fresh)
    with workers_for(executor) as workers, asked.folder() as folder:
        comparison = laid_out(asked.series, asked.settings)
        # What does not match is told before anything is trained.
        rows_of_others = beside(comparison.data, others, comparison.levels) if others is not None else None
        with _logged(comparison, log, folder):
            _filled(comparison, progress, store, workers)
            if rows_of_others is not None:
                comparison.add_others(rows_of_others)
        comparison.seconds = time.perf_counter() - started
        if folder is not None:
            from kseq.report import run_folder

            run_folder.write(comparison, folder, predictions=asked.predictions)
    return comparison


def _logged(comparison: Comparison, log: Any, folder: Any) -> AbstractContextManager[None]:
    """Have loggers told of a comparison; they are loaded where there are any."""
    if not log:
        return nullcontext()
    from kseq.report import loggers

    place, name = loggers.place_of(folder, comparison.data.series.name)
    return loggers.logging(comparison, loggers.opened(log, place, name))


def _filled(
    comparison: Comparison, progress: Callable[[str, int, int], None] | None, store: Store | None, executor: Any
) -> Comparison:
    """Add all rows that the settings of a comparison ask for."""
    settings = comparison.settings or Settings()
    if settings.cells:
        # Keras and its backend are loaded here and no earlier: most wrong settings are told by now.
        from kseq.comparison.networks import require_room

        for cell in settings.cells:
            require_room(cell, comparison.trainings[0], settings.of(cell))
    if not settings.cells:
        # Regressors alone take seconds, and no backend.
        comparison.add_baselines(progress=progress)
        for name in settings.rivals:
            fitted = [
                rival_row(settings.own[name], data, settings, _told(progress, number, len(comparison.trainings)))
                for number, data in enumerate(comparison.trainings)
            ]
            comparison.add(join_folds(fitted, comparison.order))
        return comparison
    from kseq.comparison.cell_jobs import row_jobs

    with Runner(store, executor, progress, place.environment(), place.facts()) as runner:
        comparison.add_baselines(progress=progress)
        rows = row_jobs(comparison.trainings, settings, store)
        jobs = [job for row in rows for fold in row.folds for job in fold]
        if store is not None:
            about = {"cells": settings.cells, "seeds": len(settings.seeds), "folds": len(comparison.trainings)}
            ended = begun(store, comparison.data.series.name, about, jobs)
        outcomes = {id(outcome.job): outcome for outcome in runner.run(jobs, partial(heard, runner, progress))}
    missing = {}
    for row in rows:
        made = [outcomes[id(job)] for fold in row.folds for job in fold]
        failed = [outcome for outcome in made if outcome.error is not None]
        if failed:
            missing[row.name] = failed[0]
        else:
            comparison.add(row.joined(made, comparison.order))
    if len(missing) == len(rows):
        raise next(iter(missing.values())).error or RuntimeError
    comparison.missing = [missing_text(name, outcome) for name, outcome in missing.items()]
    comparison.jobs = JobCounts(runner.kept, runner.planned)
    if store is not None:
        comparison.jobs = replace(comparison.jobs, notes=tidied(store))
        ended()
    comparison.add_means()
    return comparison


def _told(
    progress: Callable[[str, int, int], None] | None, number: int, trainings: int
) -> Callable[[str, int, int], None] | None:
    """Let whoever watches know which of several trainings runs."""
    if progress is None or trainings == 1:
        return progress
    return Within(progress, f"fold {number + 1} of {trainings}")


def laid_out(series: Series | Panel, settings: Settings) -> Comparison:
    """Make the comparison that :func:`compare` fills, still without rows.

    Args:
        series: a series or a panel.
        settings: settings of the comparison; what is not given is chosen, see :mod:`kseq.comparison.defaults`.
    """
    settings = resolved(settings, series)
    backtest = make_backtest(series, settings) if settings.n_windows else None
    return Comparison(backtest.data if backtest else cut_windows(series, settings), settings, backtest)
