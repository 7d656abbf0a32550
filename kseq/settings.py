"""What a comparison is asked for: everything that decides its numbers, besides the series, backend and versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from kseq import baselines
from kseq.errors import ConfigError
from kseq.intervals import LEVELS
from kseq.matching import MATCHES

#: Cells in the order of the table.
CELL_NAMES = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


@dataclass(frozen=True)
class Settings:
    """Everything that decides a comparison's numbers, besides the series, the backend and the versions.

    Args:
        cells: which to train, of ``rnn``, ``lstm``, ``gru``.
        baselines: which to set beside them, of ``kseq.baselines.BASELINES``; one that the series does not allow is
            left out, with a remark.
        seeds: one training a seed.
        lookback: rows that a model reads.
        horizon: rows that a model forecasts.
        units: of each recurrent layer.
        match: what is equal among the cells: ``"units"``, or ``"params"`` for their numbers of weights, which are then,
            as nearly as can be, that of the largest cell at ``units``; see :mod:`kseq.matching`.
        num_layers: recurrent layers.
        dropout: between layers.
        bidirectional: read windows in both directions.
        scaler: see :func:`kseq.make_windows`.
        past_target: whether models read the target's past.
        test: share of rows.
        validation: share of the training rows.
        n_windows: forecast so many origins, the last ones of the series, as the folds of a backtest, see
            :mod:`kseq.backtest`; 0 for all windows of one test part.
        step_size: rows from one fold to the next; the horizon by default.
        refit: train everything anew in each fold, instead of once before the first.
        gap: rows before a fold's first target from which nothing is learnt.
        train_size: rows that a fold learns from, validation part included; by default all before it.
        season: steps in a season; 0 to find it from the index.
        members: seeds trained at once; 0 to choose.
        levels: percents of future values that intervals are to cover; empty for no intervals.
        training: the budget, as a mapping of :class:`kseq.training.Training`'s arguments.
    """

    cells: tuple[str, ...] = ("rnn", "lstm", "gru")
    baselines: tuple[str, ...] = tuple(baselines.BASELINES)
    seeds: tuple[int, ...] = tuple(range(10))
    lookback: int = 12
    horizon: int = 1
    units: int | tuple[int, ...] = 32
    match: str = "units"
    num_layers: int | None = None
    dropout: float = 0.0
    bidirectional: bool = False
    scaler: str = "standard"
    past_target: bool = True
    test: float = 0.2
    validation: float = 0.15
    n_windows: int = 0
    step_size: int | None = None
    refit: bool = False
    gap: int = 0
    train_size: int | None = None
    season: int = 0
    members: int = 0
    levels: tuple[float, ...] = LEVELS
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for cell in self.cells:
            if cell not in CELL_NAMES:
                raise ConfigError(f"received cell {cell!r}, expected one of {', '.join(CELL_NAMES)}.")
        for name in self.baselines:
            if name not in baselines.BASELINES:
                raise ConfigError(f"received baseline {name!r}, expected one of {', '.join(baselines.BASELINES)}.")
        for what, names in (("cells", self.cells), ("baselines", self.baselines)):
            if len(set(names)) != len(names):
                raise ConfigError(f"received {what} {', '.join(names)}, expected each once.")
        if self.match not in MATCHES:
            raise ConfigError(f"received match {self.match!r}, expected {' or '.join(MATCHES)}.")
        if len(set(self.levels)) != len(self.levels) or not all(0 < level < 100 for level in self.levels):
            raise ConfigError(f"received levels {self.levels!r}, expected percentages between 0 and 100, each once.")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"received seeds {self.seeds!r}, expected at least one, each once.")
        self._require_backtest()

    def _require_backtest(self) -> None:
        """Refuse numbers of a backtest that mean nothing, and such without a backtest."""
        numbers = {"n_windows": 0, "step_size": 1, "gap": 0, "train_size": 1}
        for name, least in numbers.items():
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < least):
                shown = name.replace("_", " ")
                raise ConfigError(f"received {shown} {value!r}, expected a whole number from {least}.")
        given = [name for name in ("step_size", "refit", "gap", "train_size") if getattr(self, name)]
        if given and not self.n_windows:
            raise ConfigError(
                f"received {', '.join(given)} without n_windows, expected them with a backtest; give --n-windows."
            )
        if self.n_windows and self.test != type(self).test:
            raise ConfigError(
                f"received a test share of {self.test:g} and n_windows {self.n_windows}, expected one of them: the "
                "windows of a backtest are its test part."
            )
