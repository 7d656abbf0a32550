"""``compare``: from a series to a table, a verdict and a folder of files.

The way of the data, a package a step: the series is read (:mod:`kseq.data`), windows are cut (:mod:`kseq.comparison`,
by :mod:`kseq.preprocessing`), baselines and cells become rows (:mod:`kseq.baselines`, :mod:`kseq.training`), rows are
scored and judged (:mod:`kseq.evaluation`), and the result is written (:mod:`kseq.report`).
"""

import time
from collections.abc import Callable
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
from kseq.data import Panel, Series
from kseq.experiments._folder import folder_of
from kseq.jobs import Runner, Store, place
from kseq.report import run_folder
from kseq.report.comparison import Comparison
from kseq.settings import Settings
from kseq.training.progress import within


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
        given: The series: a DataFrame, a Series, an array, the name of a file or of a built-in series, or what the
            readers of kseq give; see :func:`kseq.data.series_of`. None where ``csv``, ``parquet`` or ``data`` name it.
        settings: All settings; None, the default, for those that ``options`` name.
        progress: Called with what is trained, the epoch and the epoch limit, after each epoch; with series in place of
            epochs where exponential smoothing is fitted to the series of a panel, one after the other.
        with_forecasts: Forecasts that others made of the same test points, which become rows too: the name of a CSV or
            Parquet file, a frame ``unique_id, ds, [cutoff], [y], MODEL...``, or ``{name: array}`` of shape ``(windows,
            horizon, targets)``, an axis of seeds in front where there are several; None, the default, for none. They
            are matched by series, date and cutoff, before anything is trained; see :mod:`kseq.comparison.others`.
        log: Loggers that get learning curves and the table: ``"tensorboard"``, ``"mlflow"``, or an object of
            one's own with the methods of :class:`kseq.report.loggers.Logger`; one or several.
        executor: The executor that trains: None, the default, for this process; ``"local:2"`` for two processes of this
            machine, ``"dask://host:port"`` for a Dask cluster, any ``concurrent.futures.Executor``, or a function that
            returns one, which is called again where its workers are lost. Tables are the same.
        keep: Folder in which finished trainings are kept, so that a run that is started again does what is missing;
            by default a hidden one in ``out``, and none without ``out``.
        fresh: Whether to train everything anew, whatever is kept.
        **options: Those of ``kseq compare`` by the same names, ``epochs=50, seeds=5, test_share=0.2``, and the fields
            of :class:`kseq.Settings`; see :mod:`kseq.vocabulary`. ``target``, ``time``, ``id`` and others say how a
            frame is read, ``series`` which of several is taken; ``backend`` and ``device`` where to train; ``out``
            names a folder for the run's files. ``cells={"minGRU": build, "lstm": ...}`` and ``rivals={"LightGBM":
            LGBMRegressor()}`` set rows of one's own beside them, see :mod:`kseq.models.own`.

    Returns:
        Comparison: The result, with ``.table``, ``.predictions``, ``.best``, ``.plot()`` and ``.write(folder)``.

    Raises:
        ConfigError: An option that kseq does not know, or a value that it cannot have.
        DataError: The series cannot be used as it is; or forecasts of others are not of its test points.

    Example:
        >>> result = compare(df, cells="gru", epochs=50, seeds=3)  # doctest: +SKIP
        >>> print(result.table)  # doctest: +SKIP
    """
    started = time.perf_counter()
    asked = vocabulary.asked(given, settings, options)
    others = read_others(with_forecasts) if with_forecasts is not None else None
    store = store_in(keep, asked.out, fresh=fresh)
    with workers_for(executor) as workers, folder_of(asked) as folder:
        comparison = laid_out(asked.series, asked.settings)
        # What does not match is told before anything is trained.
        rows_of_others = beside(comparison.data, others, comparison.levels) if others is not None else None
        with _logged(comparison, log, folder):
            _add_rows(comparison, progress, store, workers)
            if rows_of_others is not None:
                comparison.add_others(rows_of_others)
        comparison.seconds = time.perf_counter() - started
        if folder is not None:
            run_folder.write(comparison, folder, predictions=asked.predictions)
    return comparison


def laid_out(series: Series | Panel, settings: Settings) -> Comparison:
    """Cut the windows of a comparison, which has no rows yet.

    Args:
        series: A series or a panel.
        settings: Settings of the comparison; what is not given is chosen, see :mod:`kseq.comparison.defaults`.
    """
    settings = resolved(settings, series)
    backtest = make_backtest(series, settings) if settings.n_windows else None
    return Comparison(backtest.data if backtest else cut_windows(series, settings), settings, backtest)


def _logged(comparison: Comparison, log: Any, folder: Any) -> AbstractContextManager[None]:
    """Report a comparison to loggers, which are loaded where there are any."""
    if not log:
        return nullcontext()
    from kseq.report import loggers

    place, name = loggers.place_of(folder, comparison.data.series.name)
    return loggers.logging(comparison, loggers.opened(log, place, name))


def _add_rows(
    comparison: Comparison, progress: Callable[[str, int, int], None] | None, store: Store | None, executor: Any
) -> Comparison:
    """Add all rows that the settings ask for: baselines, then cells and rivals, then means over seeds."""
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
            count = len(comparison.trainings)
            fitted = [
                rival_row(
                    settings.own[name], data, settings,
                    within(progress, f"fold {number} of {count}" if count > 1 else ""),
                )
                for number, data in enumerate(comparison.trainings, 1)
            ]  # fmt: skip
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
