"""The trials of a tuning as Optuna's studies, one a cell, kept in a journal that a later run goes on from.

A trial's settings are a function of the seed, its number and the results of earlier trials, and of nothing else: its
sampler is seeded by its number, and is shown a study that holds exactly the trials it may know. So it does not matter
in which order trials end, on how many workers, or how often the run was stopped in between.

The journal is Optuna's own, a line of JSON a finished trial, which ``optuna-dashboard`` shows and ``optuna.load_study``
reads. It serves better than SQLite here: a trial is one appended line, so that a process that is killed loses the line
at most; network file systems, on which SQLite's locks fail, are no danger; and SQLAlchemy need not be installed. Trials
are added when they are done. One that was running when its process was killed has left nothing, and runs again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kseq.errors import ConfigError
from kseq.experiments._space import Space, between

if TYPE_CHECKING:
    import optuna

#: Trials of a cell that are trained to their end before the median of what they had at an epoch ends another.
FIRST_TRIALS = 5

#: Of trials that have come to a rung of successive halving, one in so many goes on; rungs are as many times apart.
REDUCTION = 3

#: Times in a full training at which a trial's errors on the validation part are looked at.
LOOKS = 20


@dataclass(frozen=True)
class Draw:
    """The settings of a trial.

    Args:
        number: Number of the trial, from 1.
        own: Settings by name.
        places: Place of each value among those to choose from, as Optuna knows them; only of what was drawn.
        distributions: Distributions that the places were drawn from.
    """

    number: int
    own: dict[str, Any]
    places: dict[str, int]
    distributions: "dict[str, optuna.distributions.BaseDistribution]"


@dataclass(frozen=True)
class Pruning:
    """Rule that may end a trial early; it can be sent to another process.

    Both pruners are Optuna's, in a study of the trials that this one may know. ``"median"`` ends a trial whose error is
    above the median of what those had at the same epoch (Golovin et al. 2017); ``"halving"`` is asynchronous
    successive halving (Li et al. 2020).

    Args:
        pruner: ``"median"`` or ``"halving"``.
        epochs: Number of epochs of a full training.
        known: Earlier trials of the same cell.
    """

    pruner: str
    epochs: int
    known: "tuple[optuna.trial.FrozenTrial, ...]" = ()

    @property
    def every(self) -> int:
        """Epochs from one look at the errors to the next."""
        return max(1, self.epochs // LOOKS)

    def start(self) -> "Watch":
        """Begin to watch a training."""
        optuna = _optuna()
        if self.pruner == "median":
            # The first tenth of a training says little, and is left to all.
            pruner = optuna.pruners.MedianPruner(
                n_startup_trials=FIRST_TRIALS, n_warmup_steps=max(1, self.epochs // 10)
            )
        else:
            pruner = optuna.pruners.SuccessiveHalvingPruner(
                min_resource=max(1, self.epochs // REDUCTION**2), reduction_factor=REDUCTION
            )
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), pruner=pruner)
        study.add_trials(self.known)
        return Watch(study)


class Watch:
    """Watches one training for a :class:`Pruning`.

    Args:
        study: Study with the trials that this one is compared with.
    """

    def __init__(self, study: "optuna.Study"):
        self._study, self._trial = study, study.ask()

    def report(self, epoch: int, error: float) -> bool:
        """Say what the error is after an epoch, counted from 1; return whether the training is to end."""
        self._trial.report(error, epoch)
        return self._trial.should_prune()

    @property
    def seen(self) -> tuple[dict[int, float], dict[str, Any]]:
        """Errors by epoch, and what the pruner has noted of the trial for those that follow."""
        trial = self._study.get_trials(deepcopy=False)[-1]
        return dict(trial.intermediate_values), dict(trial.system_attrs)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Args:
        row: Its entries in the frame of trials besides its settings, in plain numbers.
        error: Error that the sampler learns from; NaN for a training that diverged, from which nothing is learnt but
            that it failed.
        pruned: Whether the training was ended early.
        errors: Errors by epoch, where a pruner looked at them.
        notes: Notes of the pruner, see :attr:`Watch.seen`.
    """

    row: Mapping[str, Any]
    error: float
    pruned: bool = False
    errors: Mapping[int, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """Where studies are kept: a file that one process writes at a time, or memory.

    Args:
        path: Path of the file, which is made where it is missing; None for memory. The caller holds a lock on its
            folder.
    """

    def __init__(self, path: Path | None):
        optuna = _optuna()
        # Each trial is told of on the screen otherwise, and that dropout is drawn by itself where layers differ.
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.error: OSError | None = None
        if path is None:
            self.storage = optuna.storages.InMemoryStorage()
            return
        mend(path)
        backend = optuna.storages.journal.JournalFileBackend(str(path), lock_obj=_Held())
        self.storage = optuna.storages.JournalStorage(backend)

    def add(self, study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        """Keep a finished trial. Where there is no room, keep none from here on: a line may be torn."""
        if self.error is not None:
            return
        try:
            study.add_trial(trial)
        except OSError as error:
            self.error = error


class _Held:
    """The lock of a journal whose folder is locked already; Optuna's own file outlives a process that is killed."""

    def acquire(self) -> bool:
        """Do nothing: the folder is locked."""
        return True

    def release(self) -> None:
        """Do nothing: the folder stays locked."""


def mend(path: Path) -> None:
    """Cut the journal's last line off where a process was killed, or a disk was full, in the middle of it."""
    try:
        with open(path, "r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
    except FileNotFoundError:
        return


class Study:
    """All trials of one cell.

    Args:
        journal: Journal in which they are kept.
        name: Name of the study in it: of the cell, and of all that decides its trials.
        space: Space to choose from.
        seed: Seed of all draws.
        at_once: Trials that run at the same time: a trial knows those that are at least so many before it.
        pruner: One of :data:`kseq.validation.PRUNERS`.
        epochs: Number of epochs of a full training.

    Attributes:
        kept: Number of trials that the journal already held.
    """

    def __init__(
        self, journal: Journal, name: str, space: Space, seed: int, at_once: int = 1, pruner: str = "none",
        epochs: int = 1,
    ):  # fmt: skip
        self.optuna = _optuna()
        self.journal, self.space, self.seed, self.at_once = journal, space, seed, at_once
        self.pruner, self.epochs = pruner, epochs
        self.study = self.optuna.create_study(storage=journal.storage, study_name=name, load_if_exists=True)
        self.finished: dict[int, optuna.trial.FrozenTrial] = {
            trial.user_attrs["trial"]: trial for trial in self.study.get_trials(deepcopy=False)
        }
        self.kept = len(self.finished)
        self.drawn: dict[int, dict[str, Any]] = {n: trial.user_attrs["own"] for n, trial in self.finished.items()}
        self.lost: set[int] = set()
        self._running: dict[int, Draw] = {}

    def running(self, number: int) -> Draw | None:
        """Settings drawn for a trial that is running."""
        return self._running.get(number)

    def can_draw(self, number: int) -> bool:
        """Whether the trials are done that a trial is to know."""
        return all(earlier in self.finished for earlier in self._known_to(number))

    def _known_to(self, number: int) -> range:
        return range(1, number - self.at_once + 1)

    def draw(self, number: int) -> Draw:
        """Draw the settings of a trial; such as have been drawn before give way to others, at random.

        Args:
            number: Number of the trial, from 1. All before it have been drawn.
        """
        optuna, seed = self.optuna, int(np.random.SeedSequence((self.seed, number)).generate_state(1)[0])
        shown = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        shown.add_trials([_stripped(optuna, self.finished[earlier]) for earlier in self._known_to(number)])
        for earlier in range(max(1, number - self.at_once + 1), number):
            shown.add_trial(self._at_work(earlier))
        trial = shown.ask()
        own = self._setting(trial)
        before = [self.drawn[earlier] for earlier in range(1, number)]
        if own in before:
            left = [other for other in self.space.grid if other not in before]
            own = left[np.random.default_rng((self.seed, number)).integers(len(left))]
            shown.enqueue_trial(self._places(own))
            trial = shown.ask()
            own = self._setting(trial)
        draw = Draw(number, own, dict(trial.params), dict(trial.distributions))
        self.drawn[number], self._running[number] = own, draw
        return draw

    def _at_work(self, number: int) -> "optuna.trial.FrozenTrial":
        """A trial that counts as running, whether or not its result is known."""
        trial: Any = self._running.get(number)
        params, distributions = (
            (trial.places, trial.distributions)
            if trial is not None
            else (self.finished[number].params, self.finished[number].distributions)
        )
        return self.optuna.trial.create_trial(
            state=self.optuna.trial.TrialState.RUNNING, params=params, distributions=distributions
        )

    def pruning(self, number: int) -> Pruning | None:
        """The rule that may end a trial early; None without a pruner."""
        if self.pruner == "none":
            return None
        return Pruning(self.pruner, self.epochs, tuple(self.finished[earlier] for earlier in self._known_to(number)))

    def finish(self, draw: Draw, outcome: Outcome, *, keep: bool = True) -> None:
        """Take the outcome of a trial.

        Args:
            draw: Settings that :meth:`draw` has returned.
            outcome: Outcome of the trial.
            keep: Whether it is kept for another run; False for one that has failed, and is to run again then.
        """
        states = self.optuna.trial.TrialState
        state = states.PRUNED if outcome.pruned else states.FAIL if np.isnan(outcome.error) else states.COMPLETE
        trial = self.optuna.trial.create_trial(
            state=state,
            value=None if state == states.FAIL else outcome.error,
            params=draw.places,
            distributions=draw.distributions,
            intermediate_values=dict(outcome.errors),
            system_attrs=dict(outcome.notes),
            user_attrs={"trial": draw.number, "own": draw.own, "row": dict(outcome.row)},
        )
        self.finished[draw.number] = trial
        if keep:
            self.journal.add(self.study, trial)
        else:
            self.lost.add(draw.number)

    def rows(self, last: int) -> list[dict[str, Any]]:
        """Rows of the frame of the trials that are done, up to a number."""
        attributes = [self.finished[number].user_attrs for number in sorted(self.finished) if number <= last]
        return [{"trial": of["trial"], **of["own"], **of["row"]} for of in attributes]

    def _places(self, own: dict[str, Any]) -> dict[str, int]:
        """Where the values of a setting stand among those to choose from; only of what is drawn for it."""
        drawn = {name: values for name, values in self.space.values.items() if name != "dropout" or between(own)}
        return {name: values.index(own[name]) for name, values in drawn.items()}

    def _setting(self, trial: "optuna.Trial") -> dict[str, Any]:
        """Values by name. Places in ascending order are drawn, so that neighbours are known to be alike."""
        own: dict[str, Any] = {}
        for name, values in self.space.values.items():
            if name == "transform":
                # Which is like which is not known.
                own[name] = values[trial.suggest_categorical(name, range(len(values)))]
            elif name != "dropout" or between(own):
                own[name] = values[trial.suggest_int(name, 0, len(values) - 1)]
            else:
                own[name] = 0.0
        return own


def _stripped(optuna: Any, trial: "optuna.trial.FrozenTrial") -> "optuna.trial.FrozenTrial":
    """A finished trial as samplers are to see it, whichever storage it comes from."""
    return optuna.trial.create_trial(
        state=trial.state,
        value=trial.value,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
    )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("tuning needs Optuna, which is not installed; run pip install 'kseq[tune]'.") from error
    return optuna


def require_optuna() -> None:
    """Refuse to tune without Optuna.

    Raises:
        ConfigError: It is not installed.
    """
    _optuna()
