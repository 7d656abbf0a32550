"""Settings of each cell chosen by trials on the validation part, with an equal budget, and the chosen ones compared.

A comparison at one setting may favour the cell that this setting suits. Here every cell has its settings chosen in the
same way: as many trials, each with the same epochs, patience, batches and seeds, from the same space, beginning with
the same draws. A trial trains on the training part and is scored on the validation part by the metric that ranks, as
the comparison is: by default the mean absolute error, or of a panel the MASE, errors of each series in units of what
repeating the last season misses in its training part, averaged over series, whose units may have nothing in common. The
test part is opened once, when the chosen cells are compared, with other seeds than those of the trials.

Lookbacks differ among settings, target rows do not: windows stand where the longest lookback of the space has room, and
a shorter one reads fewer rows before the same targets. So errors of any two trials are over the same values. Where
transforms are chosen among, and one of them takes differences, there is room for one row more, which those read.

Trials are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna. It serves better than
KerasTuner here: trials are asked for and told, so that training stays that of a comparison (several seeds at once, each
with its own early stopping), where KerasTuner's tuners own the model, the ``fit`` and a folder of checkpoints; a
setting that stands for nothing, as dropout between the layers of one layer, is left out of a trial and of what is
learnt from it; and a seeded sampler repeats itself. No trial is cut short by what others gave: budgets are equal. A
pruner may be asked for, the same for every cell, which measures a trial by those of its own cell.

Finished trials are kept in a journal in the run's folder, see :mod:`kseq.experiments._study`: a tuning that is started
again does the trials that are missing, and comes to the same result.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kseq import vocabulary
from kseq.comparison.backtest import cut_windows
from kseq.comparison.defaults import resolved
from kseq.comparison.kept import at_work, workers_for
from kseq.comparison.scores import scores_of_validation
from kseq.data import Panel, Series
from kseq.errors import ConfigError, OutputError, Parameter
from kseq.experiments._folder import folder_of
from kseq.experiments._space import Plan, Space
from kseq.experiments._study import Journal, require_optuna
from kseq.experiments._trials import Trials
from kseq.experiments.compare import compare
from kseq.jobs import FOLDER
from kseq.models import cell_of, name_of
from kseq.preprocessing.transforms import steps_of
from kseq.preprocessing.windows import WindowedPanel
from kseq.report import run_folder
from kseq.report.comparison import Comparison
from kseq.settings import OWN_DATA, OWN_NETWORK, Settings
from kseq.training.progress import Progress, work_kept
from kseq.validation import numbers_in

if TYPE_CHECKING:
    from kseq.storage import Folder


@dataclass(frozen=True, eq=False)
class Search:
    """All trials of a tuning.

    Args:
        space: Values to choose among.
        trials: Number of trials for each cell.
        seeds: Seeds of the trainings of each trial.
        metric: Metric that scores trials on the validation part: ``"mae"``, in the target's unit, or of a panel
            ``"mase"``, the mean over its series.
        frame: One row a trial: ``model``, ``trial`` from 1, a column a setting, the score under the metric's name,
            mean over seeds, and ``mae_std`` or ``mase_std`` over them, ``parameters``, ``epochs`` in the mean,
            ``seconds`` and ``chosen``. A trial of which a seed diverged has no score. With a pruner there is a column
            ``pruned``: a trial that was ended early has no score either.
        pruner: As in :class:`Plan`.
        at_once: As in :class:`Plan`.
    """

    space: Space
    trials: int
    seeds: tuple[int, ...]
    metric: str
    frame: pd.DataFrame
    pruner: str = "none"
    at_once: int = 1

    @property
    def chosen(self) -> dict[str, dict[str, Any]]:
        """Settings chosen for each cell, as ``Settings.by_cell`` takes them."""
        # As objects, numbers are Python's own.
        best = self.frame[self.frame["chosen"]].set_index("model")[list(self.space.values)].astype(object)
        return {cell_of(name): best.loc[name].to_dict() for name in best.index}

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` holds of the tuning."""
        return {
            "trials": self.trials,
            "seeds": self.seeds,
            "metric": self.metric,
            "pruner": self.pruner,
            "trials_at_once": self.at_once,
            "space": asdict(self.space),
            "chosen": self.chosen,
            "seconds": float(self.frame["seconds"].sum()),
            "all": self.frame.to_dict("records"),
        }


@vocabulary.shows_options
def tune(
    given: Any = None,
    /,
    settings: Settings | None = None,
    *,
    trials: int = 20,
    space: Space | Mapping[str, Sequence[Any]] | None = None,
    trial_seeds: int = 3,
    pruner: str = "none",
    trials_at_once: int = 1,
    fresh: bool = False,
    executor: Any = None,
    keep: str | Path | None = None,
    progress: Progress | None = None,
    told: Callable[[pd.DataFrame], None] | None = None,
    log: Any = (),
    **options: Any,
) -> Comparison:
    """Choose settings for each cell on the validation part, and compare the chosen ones on the test part.

    In a backtest, trials see what the first fold knows, and nothing later. Of a panel each trial is one model for all
    series, scored on the validation parts of all of them.

    Args:
        given: The series, or several, as in :func:`kseq.compare`.
        settings: Settings of the comparison; what the space holds is chosen, and is not to be set.
        trials: Number of trials for each cell, all of different settings.
        space: Values to choose among; a mapping of :class:`Space`'s arguments too.
        trial_seeds: Trainings of each trial, with seeds that follow those of the comparison.
        pruner: Ends trials early whose errors on the validation part are behind those of earlier trials of the same
            cell after as many epochs: ``"median"``, or ``"halving"`` for asynchronous successive halving; ``"none"``,
            the default, trains all alike. The same for every cell.
        trials_at_once: Trials of a cell that may run at the same time, each of which is drawn without knowing the
            results of the others; 1 by default. It decides which trials are drawn.
        fresh: Whether trials that the folder ``out`` holds are forgotten; by default a tuning that was stopped goes on
            there, with the same result.
        executor: The executor that trains, as in :func:`kseq.compare`: trials of different cells, and
            ``trials_at_once`` of each, run at the same time. The result is the same.
        keep: Folder in which finished trainings of the comparison of the chosen settings are kept, as in
            :func:`kseq.compare`; by default one inside ``out``.
        progress: Called with what is trained, the epoch and the epoch limit, after each epoch.
        told: Called after each trial with all trials so far, as :attr:`Search.frame`; none is chosen yet.
        log: Logger of the comparison of the chosen settings, as in :func:`kseq.compare`.
        **options: Those of ``kseq tune`` by the same names, instead of ``settings`` and ``space``: ``units=(8, 16)``
            gives the values to choose among; see :func:`kseq.compare` for the others. Finished trials are kept in the
            folder ``out``.

    Returns:
        Comparison: The rows of the chosen settings, with all trials as ``.tuning``. AR, among the baselines, reads as
        many rows as the longest lookback of the space, and one more where transforms are chosen among that take
        differences.

    Raises:
        ConfigError: A setting is wrong or belongs to the space, there is no validation part, the space holds fewer
            settings than there are trials, all trials of a cell diverged, or Optuna is not installed.
        DataError: The series is too short for the longest lookback of the space; or no series of a panel has a
            validation window, or a MASE there.

    Example:
        >>> tuned = tune(load_series("nino12"), trials=10, cells=("gru",))  # doctest: +SKIP
        >>> tuned.tuning.sort_values("mae").head()  # doctest: +SKIP
    """
    chosen = {} if settings is not None else _of_space(options)
    if space is not None and chosen:
        raise ConfigError(f"received a space and also {', '.join(chosen)}, expected one or the other.")
    if not isinstance(space, Space | Mapping | None):
        raise ConfigError(f"received a space of type {type(space).__name__}, expected kseq.Space, or options.")
    among = space if isinstance(space, Space) else Space(**(chosen if space is None else dict(space)))
    plan = Plan(among, trials, trial_seeds, pruner, trials_at_once)
    asked = vocabulary.asked(given, settings, options)
    require_tunable(asked.settings, plan)
    with folder_of(asked) as folder, workers_for(executor) as workers:
        comparison = tuned(
            asked.series,
            asked.settings,
            plan,
            folder,
            fresh=fresh,
            executor=workers,
            keep=keep if keep is not None or asked.out is None else asked.out / FOLDER,
            progress=progress,
            told=told,
            log=log,
        )
        if folder is not None:
            run_folder.write(comparison, folder, predictions=asked.predictions)
    return comparison


def _of_space(options: dict[str, Any]) -> dict[str, tuple]:
    """Take what is to be chosen among out of ``options``: each value alone is fixed, a transform alone is a setting."""
    chosen: dict[str, tuple] = {}
    for name in [name for name in options if vocabulary.ALIASES.get(name, name) in Space.__dataclass_fields__]:
        values = options[name]
        if name == "transform":
            values = values.split("/") if isinstance(values, str) else values
            if len(values) == 1:
                options[name] = values[0]
                continue
        values = numbers_in(values) if name != "transform" else values
        values = values if isinstance(values, Iterable) and not isinstance(values, str) else (values,)
        chosen[vocabulary.ALIASES.get(name, name)] = tuple(values)
        del options[name]
    return chosen


def tuned(
    series: Series | Panel,
    settings: Settings,
    plan: Plan,
    folder: "Folder | None" = None,
    *,
    fresh: bool = False,
    executor: Any = None,
    keep: str | Path | None = None,
    progress: Progress | None = None,
    told: Callable[[pd.DataFrame], None] | None = None,
    tell: Callable[[str], None] | None = None,
    log: Any = (),
) -> Comparison:
    """Run the trials that a folder does not hold yet, and compare what all have chosen.

    Args:
        series: The series to forecast.
        settings: Settings of the comparison.
        plan: Plan of the trials.
        folder: Folder in which trials are kept; None to keep none.
        fresh: Whether trials that it holds are forgotten.
        executor: As in :func:`tune`.
        keep: As in :func:`tune`.
        progress: As in :func:`tune`.
        told: As in :func:`tune`.
        tell: Called with a sentence on what cannot be written; nothing by default.
        log: As in :func:`tune`.
    """
    require_tunable(settings, plan)
    shared = resolved(_with_room(settings, plan.space), series)
    for transform in plan.space.transform:
        # What the series does not allow is told before anything is trained.
        _cut(series, replace(shared, transform=transform))
    data = _cut(series, shared)
    measure = scores_of_validation(data, settings.season, settings.metric).measure
    first = max(settings.seeds) + 1
    seeds = tuple(range(first, first + plan.trial_seeds))
    # Trials are scored on the validation part, which nothing may learn from.
    budget = replace(shared, seeds=seeds, refit_on_validation=False)
    tell = tell or _silent
    if log:
        from kseq.report import loggers

        # What is not installed is told before any trial.
        log = loggers.opened(log, *loggers.place_of(folder, series.name))
    journal = None if folder is None else _journal(folder, series, plan, settings, fresh, tell)
    trials = Trials(data, budget, plan, Journal(journal), progress, measure)
    work_kept(progress, trials.kept, plan.trials * len(settings.cells), "trial")
    failed: list[str] = []

    def done(rows: list[dict[str, Any]]) -> None:
        frame = _frame(rows)
        if told is not None:
            told(frame)
        if folder is not None:
            _write(frame, folder, tell, failed)

    trials.run(executor, done)
    frame = _with_best(_frame(trials.rows), measure)
    search = Search(plan.space, plan.trials, seeds, measure, frame, plan.pruner, plan.at_once)
    chosen = replace(shared, by_cell=search.chosen)
    comparison = compare(series, chosen, progress=progress, log=log, executor=executor, keep=keep, fresh=fresh)
    comparison.search = search
    return comparison


def _silent(text: str) -> None:
    """Report nothing."""


def _journal(
    folder: "Folder", series: Series | Panel, plan: Plan, settings: Settings, fresh: bool, tell: Callable[[str], None]
) -> Path | None:
    """The journal in a folder, made where it is missing; None, with a message, where it cannot be made."""
    about = {
        "command": "tune", "series": {"name": series.name}, "trials": plan.trials * len(settings.cells),
        "cells": [name_of(cell) for cell in settings.cells], "trial_seeds": plan.trial_seeds, **at_work(),
    }  # fmt: skip
    try:
        return run_folder.begin_trials(folder, about, fresh=fresh)
    except OutputError as error:
        tell(f"{error} The tuning goes on.")
        return None


def _write(frame: pd.DataFrame, folder: "Folder", tell: Callable[[str], None], failed: list[str]) -> None:
    """Write the trials so far; where that fails, say so once, since there may be room when the tuning is done."""
    try:
        run_folder.write_trials(frame, folder)
    except OutputError as error:
        if not failed:
            tell(f"{error} The tuning goes on.")
        failed.append(str(error))


def _with_room(settings: Settings, space: Space) -> Settings:
    """Settings whose windows stand where every lookback and every transform of the space has room."""
    lookback = space.lookback[-1]
    if not space.transform:
        return replace(settings, lookback=lookback)
    differences = any({"auto", "difference"} & set(steps_of(transform)) for transform in space.transform)
    return replace(settings, lookback=lookback + differences, transform=space.transform[0])


def _cut(series: Series | Panel, settings: Settings) -> WindowedPanel:
    """Windows of what the comparison learns from, in a backtest those of its first training."""
    return cut_windows(series, settings)


def require_tunable(settings: Settings, plan: Plan) -> None:
    """Refuse settings that leave nothing to tune, or that say what is to be chosen.

    Raises:
        ConfigError: There is nothing to tune, a setting is given twice, or Optuna is not installed.
    """
    space, trials = plan.space, plan.trials
    if not settings.cells:
        raise ConfigError("received no cells, expected at least one to tune.")
    if not settings.validation:
        raise ConfigError("received a validation share of 0, expected one above 0: trials are scored on that part.")
    if settings.scaler == "minmax-leaks-test":
        raise ConfigError("received scaler minmax-leaks-test, expected another: it shows the test part to trials.")
    default = Settings()
    own = [name for name in OWN_NETWORK + OWN_DATA if name in space.values]
    given = [name for name in own if getattr(settings, name) != getattr(default, name)]
    given += [name for name in space.values if name in settings.training]
    given += ["by_cell"] * bool(settings.by_cell) + ["match"] * (settings.match != default.match)
    if given:
        raise ConfigError(
            f"received {', '.join(given)} among the settings of a tuning, which chooses {', '.join(space.values)} for "
            "each cell; expected them in the space alone."
        )
    if trials > len(space.grid):
        raise ConfigError(
            "received ",
            Parameter("trials"),
            f" {trials}, expected at most {len(space.grid)}, the settings that the "
            "space holds; give fewer, or more values to choose among.",
        )
    require_optuna()


def _frame(done: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(done).assign(chosen=False)


def _with_best(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mark of each cell's trials the one with the smallest error; of two as good, that with fewer parameters."""
    for name, of_cell in frame.groupby("model", sort=False):
        if of_cell[metric].isna().all():
            raise ConfigError(
                f"all {len(of_cell)} trials of {name} diverged: a loss ceased to be a number; lower ",
                Parameter("learning_rate"),
                ".",
            )
        frame.loc[of_cell.sort_values([metric, "parameters", "trial"]).index[0], "chosen"] = True
    return frame
