"""What a comparison is asked for: everything that decides its numbers, besides the series, backend and versions."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from kseq import baselines
from kseq.errors import ConfigError, Parameter, joined
from kseq.evaluation.intervals import LEVELS
from kseq.evaluation.metrics import RANKING
from kseq.evaluation.quantiles import QUANTILE_METRICS, quantiles_at
from kseq.models import CELL_NAMES, SKIPS, STARTS, cell_of
from kseq.models.own import Own
from kseq.models.parameter_counts import MATCHES, Units, layer_widths, matched_units
from kseq.naming import checked_class, hint, unknown
from kseq.preprocessing.scalers import SCALERS
from kseq.preprocessing.transforms import steps_of
from kseq.text import shown
from kseq.training.budget import Training
from kseq.validation import (
    numbers_in,
    require_choice,
    require_each_once,
    require_levels,
    require_number,
    require_whole,
    several,
)

#: What one cell may have otherwise than the others: of the network, of its training, and of what it reads and
#: forecasts. The budget is one for all.
OWN_NETWORK = ("units", "num_layers", "lookback", "dropout")
OWN_TRAINING = ("learning_rate", "weight_decay")
OWN_DATA = ("transform",)
#: Those that a regressor may have: it is neither a network nor trained by steps.
OWN_RIVAL = ("lookback", "transform")

#: How several steps are forecast, see :mod:`kseq.comparison.strategies`.
STRATEGIES = ("direct", "recursive", "seq2seq")


_BASELINES = tuple(baselines.BASELINES)

#: Parameters of the training budget.
_BUDGET = tuple(one.name for one in fields(Training))


def _plain(value: Any) -> Any:
    """Python's own numbers for NumPy's, tuples for lists."""
    if isinstance(value, np.ndarray | list):
        return tuple(_plain(part) for part in (value.tolist() if isinstance(value, np.ndarray) else value))
    if isinstance(value, tuple | range):
        return tuple(_plain(part) for part in value)
    return value.item() if isinstance(value, np.generic) else value


def _no_such_row(kind: str, name: Any, known: tuple[str, ...]) -> ConfigError:
    """The error for a row that there is not, with the option that has one of that name."""
    expected = f"received {kind} {shown(name)}, expected one of {', '.join(known)}" if known else (
        f"received {kind} {shown(name)}, and nothing of that name is among own"
    )  # fmt: skip
    near = hint(name, known)
    for other, names, read in (("cells", tuple(CELL_NAMES), cell_of), ("baselines", _BASELINES, baselines.name_of)):
        if not near and kind != other.removesuffix("s") and isinstance(name, str) and read(name) in names:
            return ConfigError(f"{expected}; {read(name)} is one of the ", Parameter(other), ".")
    return ConfigError(expected + (near or "."))


def _of_cell(own: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of one cell, by the names of fields."""
    return {{"layers": "num_layers"}.get(name, name): _plain(value) for name, value in own.items()}


@checked_class("kseq.Settings", dict.fromkeys(_BUDGET, "it is one of training, as in training={...}"))
@dataclass(frozen=True)
class Settings:
    """Everything that decides a comparison's numbers, besides the series, the backend and the versions.

    Args:
        cells: Cells to train, among ``rnn``, ``lstm``, ``gru`` and names among ``own``.
        baselines: Baselines to set beside them, among ``kseq.baselines.BASELINES``; one that the series does not allow
            is left out, with a remark. None for all of them, but for ``ets`` of more than 20 series and ``theta`` of
            more than 1,000: they are fitted series by series, to so many only where they are named.
        seeds: Random seeds; each cell is trained once with each.
        lookback: Rows that a model reads; None, the default, to choose them, see :mod:`kseq.comparison.defaults`.
        horizon: Rows that a model forecasts.
        horizons: Rows that are forecast of single series, by id, where they differ: ``{"T1": 6}``; models forecast the
            longest of them, and each series is scored on its own. Takes ``n_windows``.
        strategy: How several steps are forecast: ``"direct"``, all at once; ``"recursive"``, one after the other, each
            from the forecasts before it; ``"seq2seq"``, by a decoder, whose seeds train one after another. See
            :mod:`kseq.comparison.strategies`.
        units: Number of units of each recurrent layer.
        match: Size that is equal among the cells: ``"units"``, or ``"params"`` for their numbers of weights, which then
            come as near as can be to that of the largest cell at ``units``; see :mod:`kseq.models.parameter_counts`.
        num_layers: Recurrent layers.
        dropout: Fraction of outputs that is dropped between layers in training.
        bidirectional: Whether windows are read in both directions.
        start: Rules of the initial weights, ``"keras"`` or ``"pytorch"``; see :mod:`kseq.models.initializers`.
        skip: What is added to each cell's forecast: ``"linear"``, a linear map of the window that starts at the least
            squares of DLinear and is trained with the rest, see :mod:`kseq.training.linear_start`; or ``"none"``.
            Networks of a user's own have none.
        transform: What models read and forecast instead of the targets' values: ``"none"``, or steps of
            :mod:`kseq.preprocessing.transforms` with commas between them, ``"anomaly,change"``; ``"auto"`` chooses them
            by errors on the validation part, ``"per-cell"`` for each cell its own, see :mod:`kseq.comparison.auto`.
        calendar: Whether models read where in the day, the week or the year each input row stands.
        scaler: The scaler of the inputs, see :func:`kseq.make_windows`.
        past_target: Whether models read the target's past.
        test: Share of the rows in the test part.
        validation: Share of the training rows.
        n_windows: Number of origins to forecast, the last ones of the series, as the folds of a backtest, see
            :mod:`kseq.comparison.backtest`; 0 for all windows of one test part.
        step_size: Rows from one fold to the next; the horizon by default.
        refit: Train everything anew in each fold, instead of once before the first.
        gap: Rows before a fold's first target from which nothing is learnt.
        train_size: Rows that a fold learns from, validation part included; by default all before it.
        season: Steps in a season; 0 to find it from the index.
        metric: Metric that ranks rows and is tested, of ``kseq.evaluation.metrics.RANKING``: ``"mae"``, ``"mase"``,
            ``"rmse"``, ``"smape"``, ``"wql"``, ...; empty for ``"mae"`` of one series and target, ``"mase"`` of
            several.
        refit_on_validation: Once early stopping has found the epochs, train each network again from the same start on
            training and validation rows together, with scaler and transform fitted anew, for as many gradient steps.
            Intervals stay those of the first training's errors on the validation part.
        members: Seeds trained at once; 0 to choose.
        levels: Percents of future values that intervals are to cover; empty for no intervals.
        training: The budget, as a mapping of :class:`kseq.training.budget.Training`'s arguments; what is not given of
            batches and steps is chosen by the number of windows, see :mod:`kseq.comparison.defaults`.
        rivals: Names of further rows, regressors that are fitted to the same windows, each among ``own``.
        own: Rows of a user's own by their names, among ``cells`` or ``rivals``: functions that build a network or a
            regressor, see :mod:`kseq.models.own`.
        by_cell: Settings of single cells in place of those above, of ``OWN_NETWORK``, ``OWN_TRAINING`` and
            ``OWN_DATA``: ``{"lstm": {"units": 64, "lookback": 6}}``. A cell's own lookback is at most ``lookback``,
            which says how many rows stand before each part: all cells learn from, and forecast, the same target rows.
            A transform of its own that takes differences needs room for one row more. Rows of a user's own have them
            too: a network the arguments of its function, a regressor ``lookback`` and ``transform``.
    """

    cells: tuple[str, ...] = ("rnn", "lstm", "gru")
    baselines: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = tuple(range(10))
    lookback: int = None  # type: ignore[assignment]
    horizon: int = 1
    horizons: Mapping[str, int] = field(default_factory=dict)
    strategy: str = "direct"
    units: int | tuple[int, ...] = 32
    match: str = "units"
    num_layers: int | None = None
    dropout: float = 0.0
    bidirectional: bool = False
    start: str = "keras"
    skip: str = "linear"
    transform: str = "auto"
    calendar: bool = False
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
    metric: str = ""
    refit_on_validation: bool = True
    members: int = 0
    levels: tuple[float, ...] = LEVELS
    training: Mapping[str, Any] = field(default_factory=dict)
    rivals: tuple[str, ...] = ()
    own: Mapping[str, Own] = field(default_factory=dict)
    by_cell: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """All settings as ``run.json`` holds them: of rows of a user's own where their functions are."""
        return {**asdict(self), "own": {name: one.record for name, one in self.own.items()}}

    def of(self, cell: str) -> "Settings":
        """Settings that hold for one cell: its own in their place among the shared ones.

        Example:
            >>> Settings(by_cell={"gru": {"units": 8, "learning_rate": 0.01}}).of("gru").units
            8
        """
        own = dict(self.by_cell.get(cell, {}))
        training = {name: own.pop(name) for name in OWN_TRAINING if name in own}
        return replace(self, by_cell={}, training={**self.training, **training}, **own)

    def units_of(self, cell: str, *, features: int, targets: int) -> Units:
        """Return the units of a cell.

        Args:
            cell: One of the compared cells.
            features: Number of input features.
            targets: Number of target columns.

        Returns:
            int | tuple[int, ...]: ``units`` or, with ``match="params"``, those that
            :func:`kseq.models.parameter_counts.matched_units` finds.
        """
        if self.match == "units" or cell in self.own:
            return self.units
        return matched_units(
            [one for one in self.cells if one not in self.own],
            self.units,
            features=features,
            # A recursive model has a head for one step.
            horizon=1 if self.strategy == "recursive" else self.horizon,
            targets=targets * max(1, len(self.quantiles)),
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            lookback=self.lookback or 12,
            skip=self.skip,
        )[cell]

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Quantiles that networks forecast: those of the levels' bounds and the median; empty for other losses.

        Example:
            >>> Settings(levels=(80,), training={"loss": "quantile"}).quantiles
            (0.1, 0.5, 0.9)
        """
        if self.training.get("loss") != "quantile":
            return ()
        return quantiles_at(self.levels)

    @property
    def notes(self) -> list[str]:
        """Sentences on settings that change nothing."""
        layers = max((len(layer_widths(own.units, own.num_layers)) for own in map(self.of, self.cells)), default=2)
        if layers > 1 or not any(self.of(cell).dropout for cell in self.cells):
            return []
        return ["Dropout changes nothing with one recurrent layer: outputs are dropped between layers."]

    def __post_init__(self) -> None:
        for name in [one.name for one in fields(self)]:
            object.__setattr__(self, name, _plain(getattr(self, name)))
        for name in ("horizons", "training", "own", "by_cell"):
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigError("received ", Parameter(name), f" {shown(getattr(self, name))}, expected a mapping.")
        for cell, own in self.by_cell.items():
            if not isinstance(own, Mapping):
                raise ConfigError(
                    f"received by_cell {shown(own)} for {shown(cell)}, expected a mapping, such as {{'units': 8}}."
                )
        for what, known_as in (("cells", cell_of), ("baselines", baselines.name_of)):
            given = several(getattr(self, what))
            if given is not None:
                require_each_once(what, given, empty=True)
                object.__setattr__(self, what, tuple(known_as(name) for name in given))
        object.__setattr__(self, "units", numbers_in(self.units))
        levels = () if self.levels == "none" else numbers_in(self.levels)
        object.__setattr__(self, "levels", levels if isinstance(levels, tuple) else (levels,))
        by_cell = {cell_of(cell): _of_cell(own) for cell, own in self.by_cell.items()}
        object.__setattr__(self, "by_cell", by_cell)
        for what, one, names, known in (
            ("cells", "cell", self.cells, (*CELL_NAMES, *self._own("cell"))),
            ("rivals", "rival", self.rivals, self._own("rival")),
            ("baselines", "baseline", self.baselines or (), _BASELINES),
        ):
            require_each_once(what, names, empty=True)
            for name in names:
                if name not in known:
                    raise _no_such_row(one, name, known)
        wrong = [name for name in self.training if name not in _BUDGET]
        if wrong:
            raise unknown(wrong, _BUDGET, "training")
        steps_of(self.transform)
        require_choice("start", self.start, STARTS)
        require_choice("skip", self.skip, SKIPS)
        require_choice("match", self.match, MATCHES)
        require_choice("strategy", self.strategy, STRATEGIES)
        require_choice("scaler", self.scaler, SCALERS)
        require_levels("levels", self.levels)
        if self.metric:
            require_choice("metric", self.metric, RANKING)
        if self.metric in QUANTILE_METRICS and not (self.levels and self.validation):
            raise ConfigError(
                "received ", Parameter("metric"), f" {self.metric} without ", *joined(
                    [name for name in ("levels", "validation") if not getattr(self, name)]
                ), ", expected both: it scores intervals, whose widths come from the validation part.",
            )  # fmt: skip
        require_each_once("seeds", self.seeds)
        for seed in self.seeds:
            require_whole("seed", seed)
        self._take_horizons()
        self._require_network()
        self._require_backtest()
        self._require_own()
        self._require_strategy()

    def _take_horizons(self) -> None:
        """Let the horizon be the longest of the single ones; refuse what goes with none."""
        if not self.horizons:
            return
        for horizon in self.horizons.values():
            require_whole("horizon", horizon)
        object.__setattr__(self, "horizons", {str(id): int(rows) for id, rows in self.horizons.items()})
        longest = max(self.horizons.values())
        if self.horizon == type(self).horizon:
            object.__setattr__(self, "horizon", longest)
        if self.horizon < longest:
            raise ConfigError(
                "received ", Parameter("horizon"), f" {self.horizon} and ", Parameter("horizons"), f" up to {longest}, "
                "expected a horizon as long as the longest.",
            )  # fmt: skip
        if not self.n_windows or self.refit:
            raise ConfigError(
                "received ", Parameter("horizons"), " with ", Parameter("refit" if self.refit else "test"), ", "
                "expected them with ", Parameter("n_windows"), ": origins that are forecast by one training.",
            )  # fmt: skip

    def _own(self, kind: str) -> tuple[str, ...]:
        """Names of rows of a user's own of a kind."""
        return tuple(name for name, one in self.own.items() if one.kind == kind)

    def _require_network(self) -> None:
        """Refuse sizes of networks and windows that mean nothing, and dropout where there is nothing to drop."""
        for name in ("lookback", "horizon", "season", "members"):
            if name != "lookback" or self.lookback is not None:
                require_whole(name, getattr(self, name))
        require_number("dropout", self.dropout)
        require_number("test", self.test)
        require_number("validation", self.validation)
        for width in layer_widths(self.units, self.num_layers):
            require_whole("units", width)

    def _require_strategy(self) -> None:
        """Refuse what a decoder cannot have, and quantiles that would have to be fed back."""
        if self.training.get("loss") == "quantile" and self.strategy != "direct":
            raise ConfigError(
                "received ", Parameter("loss"), " quantile and ", Parameter("strategy"), f" {self.strategy}, expected "
                "the strategy direct with it: quantiles of one step say nothing of those of the next.",
            )  # fmt: skip
        if self.strategy != "seq2seq":
            return
        wrong = {
            "cells of your own": (self._own("cell"), "their decoder is not known"),
            "bidirectional": (self.bidirectional, "a decoder runs ahead in time alone"),
            "match params": (self.match != "units", "weights are not counted for a decoder"),
            f"members {self.members}": (self.members > 1, "seeds of a decoder train one after another"),
        }
        for name, (given, reason) in wrong.items():
            if given:
                raise ConfigError(f"received strategy seq2seq and {name}, expected one of them: {reason}.")

    def _require_own(self) -> None:
        """Refuse settings of single cells that they cannot have, or that make cells unequal in what must be equal."""
        for cell, own in self.by_cell.items():
            rows = (*self.cells, *self.rivals)
            if cell not in rows:
                raise ConfigError(f"received settings of cell {shown(cell)}, expected one of {', '.join(rows)}.")
            allowed = OWN_RIVAL if cell in self.rivals else (*OWN_NETWORK, *OWN_TRAINING, *OWN_DATA)
            unknown = [name for name in own if name not in allowed]
            if unknown:
                raise ConfigError(
                    f"received {', '.join(unknown)} for {cell} alone, expected settings that it may have of its own: "
                    f"{', '.join(allowed)}."
                )
            steps_of(own.get("transform", "none"))
            sizes = [name for name in ("units", "num_layers") if name in own]
            if sizes and self.match != "units":
                raise ConfigError(
                    f"received {', '.join(sizes)} of {cell} and match {self.match!r}, expected one of them."
                )
            if self.lookback is not None and own.get("lookback", 1) > self.lookback:
                raise ConfigError(
                    f"received lookback {own['lookback']} for {cell}, expected at most {self.lookback}, the lookback "
                    "that says where windows stand; raise that."
                )

    def _require_backtest(self) -> None:
        """Refuse numbers of a backtest that mean nothing, and such without a backtest."""
        for name in ("n_windows", "step_size", "gap", "train_size"):
            if getattr(self, name) is not None:
                require_whole(name, getattr(self, name))
        given = [name for name in ("step_size", "refit", "gap", "train_size") if getattr(self, name)]
        if given and not self.n_windows:
            raise ConfigError(
                "received ", *joined(given), " without ", Parameter("n_windows"), ", expected them with a backtest; "
                "give ", Parameter("n_windows"), " as well.",
            )  # fmt: skip
        if self.n_windows and self.test != type(self).test:
            raise ConfigError(
                "received ", Parameter("test"), f" {self.test:g} and ", Parameter("n_windows"), f" {self.n_windows}, "
                "expected one of them: the windows of a backtest are its test part.",
            )  # fmt: skip
