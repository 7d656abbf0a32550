"""The settings that a tuning chooses among, and the number of trials."""

from dataclasses import dataclass, fields
from itertools import product
from math import prod
from typing import Any

from kseq.errors import ConfigError
from kseq.naming import checked_class
from kseq.preprocessing.transforms import steps_of
from kseq.validation import PRUNERS, require_choice, require_each_once, require_number, require_whole

#: Settings that a space may hold at most.
GRID = 100_000


@checked_class("kseq.Space")
@dataclass(frozen=True)
class Space:
    """Values to choose among, of each setting in ascending order; one value alone is fixed.

    Args:
        units: Numbers of units of each recurrent layer to choose from.
        num_layers: Numbers of recurrent layers.
        lookback: Numbers of rows that a model reads.
        learning_rate: Learning rates of Adam.
        dropout: Shares that are dropped between layers; a single layer has no dropout, and none is drawn for it.
        weight_decay: Decoupled weight decays, as in AdamW.
        transform: Transforms of the targets, as ``Settings.transform``, in any order; none for that of the settings.

    Raises:
        ConfigError: A setting has no value, one twice, or one that it cannot have.

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
            numbers = tuple(require_number(name, value) for value in self.values[name])
            object.__setattr__(self, name, numbers)
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
        distinct = [own if between(own) else {**own, "dropout": 0.0} for own in combinations]
        return list({tuple(own.items()): own for own in distinct}.values())


def between(own: dict[str, Any]) -> bool:
    """Whether there are several layers, between which dropout applies."""
    return own["num_layers"] > 1


@dataclass(frozen=True)
class Plan:
    """The trials of a tuning.

    Args:
        space: Values to choose among.
        trials: Number of trials for each cell.
        trial_seeds: Trainings of each trial.
        pruner: One of :data:`kseq.validation.PRUNERS`.
        at_once: Trials of a cell that may run at the same time.

    Raises:
        ConfigError: A number that means nothing, or an unknown pruner.
    """

    space: Space
    trials: int = 20
    trial_seeds: int = 3
    pruner: str = "none"
    at_once: int = 1

    def __post_init__(self) -> None:
        require_whole("trials", self.trials)
        require_whole("trial_seeds", self.trial_seeds)
        require_whole("trials_at_once", self.at_once)
        require_choice("pruner", self.pruner, PRUNERS)
