"""A forecaster of kseq for sktime: ``KseqForecaster`` in its pipelines, tuning and benchmarks.

sktime comes with the extra ``sktime``; nothing else in kseq imports this module. It is an adapter of
:class:`kseq.Forecaster`, of one series and target: sktime itself fits one for each of many. Columns of ``X`` are future
covariates.
"""

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sktime.forecasting.base import BaseForecaster

from kseq.data.slices import extended
from kseq.errors import ConfigError
from kseq.evaluation.intervals import too_few
from kseq.forecasting.forecaster import Forecaster

#: What the target is called inside.
_TARGET = "y"


class KseqForecaster(BaseForecaster):
    """A recurrent network as an sktime forecaster, with prediction intervals.

    Intervals are bounded by errors on the validation part. Where these are too few for a coverage, as 8 are for 90 %,
    both bounds are infinite: split conformal prediction knows no narrower interval that is sure to cover enough. Give a
    larger ``validation``, or ask for less. Coverages are whole percents, and those of ``options={"level": ...}``.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        lookback: Rows that the network reads; None to let kseq choose.
        horizon: Rows that it forecasts at once; further steps are forecast from its own forecasts.
        units: Number of units of each recurrent layer; a tuple gives one number for each layer.
        transform: What the model reads and forecasts instead of the values, see :class:`kseq.Forecaster`.
        epochs: Maximum number of epochs.
        learning_rate: Learning rate of Adam.
        season: Steps in a season; 0 to find it.
        validation: Share of the rows that stop the training and bound the intervals.
        seed: Seed of the initial weights and the batches.
        n_seeds: Networks whose mean forecast is taken.
        options: Further parameters of :class:`kseq.Forecaster`, by name; None for none.

    Example:
        >>> forecaster = KseqForecaster("gru", lookback=24)  # doctest: +SKIP
        >>> forecaster.fit(y, fh=range(1, 13)).predict()  # doctest: +SKIP
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": ["kseq"],
        "maintainers": ["kseq"],
        "y_inner_mtype": "pd.Series",
        "X_inner_mtype": "pd.DataFrame",
        "capability:exogenous": True,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": False,
        "capability:random_state": False,
        "capability:categorical_in_X": False,
        "capability:non_contiguous_X": False,
        "requires-fh-in-fit": False,
        "X-y-must-have-same-index": True,
        "enforce_index_type": None,
    }

    def __init__(
        self,
        cell: str = "gru",
        lookback: int | None = None,
        horizon: int = 1,
        units: int | tuple[int, ...] = 32,
        transform: str = "auto",
        epochs: int = 200,
        learning_rate: float = 1e-3,
        season: int = 0,
        validation: float = 0.15,
        seed: int = 0,
        n_seeds: int = 1,
        options: dict[str, Any] | None = None,
    ):
        self.cell = cell
        self.lookback = lookback
        self.horizon = horizon
        self.units = units
        self.transform = transform
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.season = season
        self.validation = validation
        self.seed = seed
        self.n_seeds = n_seeds
        self.options = options
        super().__init__()

    def _fit(self, y: pd.Series, X: pd.DataFrame | None, fh: Any) -> "KseqForecaster":
        own = {name: value for name, value in self.get_params(deep=False).items() if name != "options"}
        frame = pd.DataFrame({_TARGET: y.to_numpy()}, index=y.index)
        self._name = y.name
        self._columns = {} if X is None else {column: f"x{place}" for place, column in enumerate(X.columns)}
        if X is not None:
            frame = frame.join(X.rename(columns=self._columns))
        self.forecaster_ = Forecaster(**own, **(self.options or {}), future=tuple(self._columns.values()))
        self.forecaster_.fit(_with_dates(frame))
        return self

    def _forecast(self, fh: Any, X: pd.DataFrame | None, level: tuple[float, ...]) -> pd.DataFrame:
        """Forecasts of the steps of ``fh``, a row each."""
        ahead = fh.to_relative(self.cutoff).to_numpy().astype(int)
        steps = int(ahead.max())
        covariates = None
        if X is not None and self._columns:
            # A call of the network reads covariates of all its steps: what is not asked for is not known, and does not
            # matter, so that the last row stands for it.
            needed = -(-steps // self.horizon) * self.horizon
            rows = X.rename(columns=self._columns).iloc[np.minimum(np.arange(needed), len(X) - 1)]
            dates = self._dates(needed)
            covariates = rows.reset_index(drop=True) if dates is None else rows.reset_index(drop=True).assign(ds=dates)
        made = self.forecaster_.predict(steps, covariates, level=level)
        return made.drop(columns=["unique_id", "ds"]).iloc[ahead - 1]

    def _dates(self, steps: int) -> pd.DatetimeIndex | None:
        """Dates of the steps to come; None where rows have none."""
        card = self.forecaster_.fitted.card
        panel = extended(card.context, steps, card.freq)
        return panel.index[panel.ends[0] : panel.ends[0] + steps] if panel.has_dates else None

    def _predict(self, fh: Any, X: pd.DataFrame | None = None) -> pd.Series:
        made = self._forecast(fh, X, ())
        return pd.Series(made.iloc[:, 0].to_numpy(), index=self._index(fh), name=self._name)

    def _predict_interval(self, fh: Any, X: pd.DataFrame | None, coverage: list[float]) -> pd.DataFrame:
        levels = [round(100 * share, 6) for share in coverage]
        errors = self.forecaster_.fitted.card.half_widths.errors
        # Without a validation part nothing is known of any level, which is refused below.
        wide = {level for level in levels if errors and level > 0 and too_few(errors, level) is not None}
        known = tuple(dict.fromkeys(level for level in levels if level > 0 and level not in wide))
        made, found = self._forecast(fh, X, known), {}
        columns = pd.MultiIndex.from_product([[self._get_varnames()[0]], coverage, ["lower", "upper"]])
        for share, level in zip(coverage, levels, strict=True):
            for side, name, end in (("lower", "lo", -np.inf), ("upper", "hi", np.inf)):
                # An interval that is to cover nothing is the forecast itself.
                at = made.columns[0] if level == 0 else f"{made.columns[0]}-{name}-{level:g}"
                bound = np.full(len(made), np.nan) if level in wide else made[at].to_numpy()
                # Of a step of which too few errors are known only the whole line is sure to cover enough.
                found[share, side] = np.where(np.isnan(bound), end, bound)
        values = np.column_stack([found[share, side] for _, share, side in columns])
        return pd.DataFrame(values, index=self._index(fh), columns=columns)

    def _index(self, fh: Any) -> pd.Index:
        return fh.to_absolute_index(self.cutoff)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Small networks, for sktime's checks."""
        small = {"lookback": 3, "units": 2, "epochs": 1, "transform": "none"}
        return [small, {**small, "cell": "lstm", "horizon": 2, "transform": "last", "validation": 0.2}]


def _with_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame as kseq reads it: with a column of dates, or in order of its rows where it has none."""
    index = frame.index
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    frame = frame.reset_index(drop=True)
    if isinstance(index, pd.DatetimeIndex):
        return frame.assign(ds=index)
    if not pd.api.types.is_integer_dtype(index):
        raise ConfigError(f"received an index of {index.dtype}, expected dates, periods or whole numbers.")
    return frame
