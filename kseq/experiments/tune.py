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
learnt from it; and a seeded sampler repeats itself. No trial is cut short by what others gave: budgets are equal.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kseq import vocabulary
from kseq.comparison.backtest import cut_windows
from kseq.comparison.defaults import resolved
from kseq.comparison.result import Comparison, compare
from kseq.comparison.scores import scores_of_validation
from kseq.data import Panel, Series
from kseq.errors import ConfigError, Parameter
from kseq.models import cell_of, name_of
from kseq.preprocessing.transforms import steps_of
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import OWN_DATA, OWN_NETWORK, Settings
from kseq.training.progress import Progress, Within
from kseq.validation import require_each_once, require_number, require_whole

if TYPE_CHECKING:
    import optuna

#: Settings that a space may hold at most.
GRID = 100_000


@dataclass(frozen=True)
class Space:
    """Values to choose among, of each setting in ascending order; one value alone is fixed.

    Args:
        units: of each recurrent layer.
        num_layers: recurrent layers.
        lookback: rows that a model reads.
        learning_rate: of Adam.
        dropout: between layers; of a single layer there is none, and none is drawn.
        weight_decay: decoupled, as in AdamW.
        transform: of the targets, as ``Settings.transform``, in any order; none for that of the settings.

    Raises:
        ConfigError: a setting has no value, one twice, or one that it cannot have.

    Example:
        >>> len(Space(units=(8, 16), num_layers=(1, 2), lookback=(12,), learning_rate=(0.001,)).grid)
        18
    """

    units: tuple[int, ...] = (8, 16, 32, 64)
    num_layers: tuple[int, ...] = (1, 2)
    lookback: tuple[int, ...] = (6, 12, 24)
    learning_rate: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2)
    dropout: tuple[float, ...] = (0.0, 0.2)
    weight_decay: tuple[float, ...] = (0.0, 1e-4, 1e-3)
    transform: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values in self.values.items():
            require_each_once(name, values)
            # Transforms have no order.
            object.__setattr__(self, name, tuple(values if name == "transform" else sorted(values)))
        for transform in self.transform:
            steps_of(transform)
        for name in ("units", "num_layers", "lookback"):
            for value in self.values[name]:
                require_whole(name, value)
        for name in ("learning_rate", "dropout", "weight_decay"):
            for value in self.values[name]:
                require_number(name, value)
        combinations = prod(len(values) for values in self.values.values())
        if combinations > GRID:
            raise ConfigError(
                f"received a space of {combinations:,} settings, expected at most {GRID:,}; give fewer values."
            )

    @property
    def values(self) -> dict[str, tuple]:
        """Values by the name of the setting; without the transform where none is chosen."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: of_it for name, of_it in values.items() if of_it or name != "transform"}

    @property
    def grid(self) -> list[dict[str, Any]]:
        """All different settings that the space holds."""
        combinations = (dict(zip(self.values, chosen, strict=True)) for chosen in product(*self.values.values()))
        distinct = [own if _between(own) else {**own, "dropout": 0.0} for own in combinations]
        return list({tuple(own.items()): own for own in distinct}.values())


def _between(own: dict[str, Any]) -> bool:
    """Whether there is anything between layers, for dropout to drop."""
    return own["num_layers"] > 1


@dataclass(frozen=True, eq=False)
class Search:
    """All trials of a tuning.

    Args:
        space: values to choose among.
        trials: of each cell.
        seeds: of the trainings of each trial.
        metric: what trials are scored by on the validation part: ``"mae"``, in the target's unit, or of a panel
            ``"mase"``, the mean over its series.
        frame: one row a trial: ``model``, ``trial`` from 1, a column a setting, the score under the metric's name,
            mean over seeds, and ``mae_std`` or ``mase_std`` over them, ``parameters``, ``epochs`` in the mean,
            ``seconds`` and ``chosen``. A trial of which a seed diverged has no score.
    """

    space: Space
    trials: int
    seeds: tuple[int, ...]
    metric: str
    frame: pd.DataFrame

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
    space: Space | None = None,
    trial_seeds: int = 3,
    progress: Progress | None = None,
    told: Callable[[pd.DataFrame], None] | None = None,
    **options: Any,
) -> Comparison:
    """Choose settings for each cell on the validation part, and compare the chosen ones on the test part.

    In a backtest, trials see what the first fold knows, and nothing later. Of a panel each trial is one model for all
    series, scored on the validation parts of all of them.

    Args:
        given: the series, or several, as in :func:`kseq.compare`.
        settings: of the comparison; what the space holds is chosen, and is not to be set.
        trials: of each cell, all of different settings.
        space: values to choose among.
        trial_seeds: trainings of each trial, with seeds that follow those of the comparison.
        progress: called with what is trained, the epoch and the epoch limit, after each epoch.
        told: called after each trial with all trials so far, as :attr:`Search.frame`; none is chosen yet.
        **options: those of ``kseq tune`` by the same names, instead of ``settings`` and ``space``: ``units=(8, 16)``
            gives the values to choose among; see :func:`kseq.compare` for the others.

    Returns:
        Comparison: of the chosen settings, with all trials as ``.tuning``. AR, among the baselines, reads as many rows
        as the longest lookback of the space, and one more where transforms are chosen among that take differences.

    Raises:
        ConfigError: a setting is wrong or belongs to the space, there is no validation part, the space holds fewer
            settings than there are trials, all trials of a cell diverged, or Optuna is not installed.
        DataError: the series is too short for the longest lookback of the space; or no series of a panel has a
            validation window, or a MASE there.

    Example:
        >>> tuned = tune(load_series("nino12"), trials=10, cells=("gru",))  # doctest: +SKIP
        >>> tuned.tuning.sort_values("mae").head()  # doctest: +SKIP
    """
    for name, value in (("trials", trials), ("trial_seeds", trial_seeds)):
        require_whole(name, value)
    chosen = {} if settings is not None else _of_space(options)
    if space is not None and chosen:
        raise ConfigError(f"received a space and also {', '.join(chosen)}, expected one or the other.")
    space = space or Space(**chosen)
    asked = vocabulary.asked(given, settings, options)
    _require_tunable(asked.settings, space, trials)
    with asked.folder() as folder:
        comparison = _tuned(asked.series, asked.settings, space, trials, trial_seeds, progress, told)
        if folder is not None:
            from kseq.report import run_folder

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
        values = values if isinstance(values, Iterable) else (values,)
        chosen[vocabulary.ALIASES.get(name, name)] = tuple(values)
        del options[name]
    return chosen


def _tuned(
    series: Series | Panel,
    settings: Settings,
    space: Space,
    trials: int,
    trial_seeds: int,
    progress: Progress | None,
    told: Callable[[pd.DataFrame], None] | None,
) -> Comparison:
    """Run all trials, and compare what they have chosen."""
    shared = resolved(_with_room(settings, space), series)
    for transform in space.transform:
        # What the series does not allow is told before anything is trained.
        _cut(series, replace(shared, transform=transform))
    data = _cut(series, shared)
    score = _score_of(data, settings)
    # What trials forecast is the validation part: no window of the test part is read.
    data = replace(data, test=data.validation)
    first = max(settings.seeds) + 1
    seeds = tuple(range(first, first + trial_seeds))
    # Trials are scored on the validation part, which nothing may learn from.
    budget = replace(shared, seeds=seeds, refit_on_validation=False)
    done: list[dict[str, Any]] = []
    for cell in settings.cells:
        for trial in _trials(cell, data, budget, space, trials, score, progress):
            done.append(trial)
            if told is not None:
                told(_frame(done))
    search = Search(space, trials, seeds, score.metric, _with_best(_frame(done), score.metric))
    comparison = compare(series, replace(shared, by_cell=search.chosen), progress=progress)
    comparison.search = search
    return comparison


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


@dataclass(frozen=True)
class _Score:
    """How forecasts of the validation part are scored: ``of`` them, ``(seeds, ...)``, a number a seed."""

    metric: str
    of: Callable[[np.ndarray], np.ndarray]


def _score_of(data: WindowedPanel, settings: Settings) -> _Score:
    """Score by what the comparison ranks by: errors in the target's unit or, of a panel, in units of each series."""
    scores = scores_of_validation(data, settings.season, settings.metric)
    return _Score(scores.measure, lambda forecasts: scores.overall(forecasts, scores.measure))


def _require_tunable(settings: Settings, space: Space, trials: int) -> None:
    """Refuse settings that leave nothing to tune, or that say what is to be chosen."""
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


def _trials(
    cell: str,
    data: WindowedPanel,
    budget: Settings,
    space: Space,
    trials: int,
    score: _Score,
    progress: Progress | None,
) -> Iterator[dict[str, Any]]:
    """Train a cell with one setting after another; give a row of the frame for each."""
    # Keras and its backend are loaded here and no earlier: wrong settings are told by now.
    from kseq.comparison.jobs import train_cell

    drawn = _Draws(space, seed=budget.seeds[0])
    for number in range(1, trials + 1):
        trial, own = drawn.ask()
        row = train_cell(
            cell, data, replace(budget, by_cell={cell: own}), _told(progress, f"trial {number} of {trials}")
        )
        sound = bool(row.sound.all())
        errors = score.of(row.predictions) if sound else np.array([np.nan])
        drawn.tell(trial, float(errors.mean()))
        yield {
            "model": name_of(cell),
            "trial": number,
            **own,
            score.metric: float(errors.mean()),
            f"{score.metric}_std": float(errors.std(ddof=1)) if len(errors) > 1 else float("nan"),
            "parameters": row.parameters,
            "epochs": float(np.mean(row.epochs)),
            "seconds": row.seconds,
        }


def _told(progress: Progress | None, trial: str) -> Progress | None:
    if progress is None:
        return None
    return Within(progress, trial)


class _Draws:
    """One cell's trials as Optuna draws them, no setting twice."""

    def __init__(self, space: Space, seed: int):
        self.space = space
        self.optuna = _optuna()
        # Studies are told of on the screen otherwise, each trial on a line.
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        self.study = self.optuna.create_study(sampler=self.optuna.samplers.TPESampler(seed=seed))
        self.left = space.grid
        self.random = np.random.default_rng(seed)

    def ask(self) -> "tuple[optuna.Trial, dict[str, Any]]":
        """Draw a setting; one that has been drawn before gives way to one, at random, that has not."""
        trial = self.study.ask()
        own = self._setting(trial)
        if own not in self.left:
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            other = self.left[self.random.integers(len(self.left))]
            self.study.enqueue_trial(self._places(other))
            trial = self.study.ask()
            own = self._setting(trial)
        self.left.remove(own)
        return trial, own

    def tell(self, trial: "optuna.Trial", error: float) -> None:
        """Say how good a setting is; NaN for one that diverged, from which nothing is learnt but that it failed."""
        failed = self.optuna.trial.TrialState.FAIL if np.isnan(error) else None
        self.study.tell(trial, None if failed else error, state=failed)

    def _places(self, own: dict[str, Any]) -> dict[str, int]:
        """Where the values of a setting stand among those to choose from; only of what is drawn for it."""
        drawn = {name: values for name, values in self.space.values.items() if name != "dropout" or _between(own)}
        return {name: values.index(own[name]) for name, values in drawn.items()}

    def _setting(self, trial: "optuna.Trial") -> dict[str, Any]:
        """Values by name. Places in ascending order are drawn, so that neighbours are known to be alike."""
        own: dict[str, Any] = {}
        for name, values in self.space.values.items():
            if name == "transform":
                # Which is like which is not known.
                own[name] = values[trial.suggest_categorical(name, range(len(values)))]
            elif name != "dropout" or _between(own):
                own[name] = values[trial.suggest_int(name, 0, len(values) - 1)]
            else:
                own[name] = 0.0
        return own


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("tuning needs Optuna, which is not installed; run pip install 'kseq[tune]'.") from error
    return optuna


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
