"""A forecaster by scikit-learn's conventions, on data frames as Nixtla's packages use them.

Parameters are set when it is made and nothing else happens there; what is learnt ends in an underscore. scikit-learn's
``clone`` and ``get_params`` work, and scikit-learn need not be installed.
"""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from kseq import backends
from kseq.data import Panel, Series, reads, series_of
from kseq.data.columns import listed
from kseq.errors import ConfigError, Given
from kseq.forecasting._folds import folds
from kseq.forecasting._parameters import Parameters, renamed
from kseq.forecasting.forecast import covariates_ahead, forecast
from kseq.naming import checked, names_near
from kseq.settings import Settings
from kseq.training.budget import Training
from kseq.validation import WHOLE, require_whole

if TYPE_CHECKING:
    from kseq.forecasting.model_file import TrainedModel

#: Parameters that belong to the training's budget.
_BUDGET = tuple(field.name for field in fields(Training))

#: Options of reading that are parameters.
_ROLES = ("features", "future", "static", "freq", "season")

#: Parameters that are settings of a comparison too, by the same name.
_SETTINGS = (
    "lookback", "horizon", "units", "num_layers", "dropout", "bidirectional", "start", "skip", "transform", "calendar",
    "scaler", "past_target", "validation", "season", "refit_on_validation",
)  # fmt: skip


@names_near(
    {
        "forecast": ".predict", "evaluate": ".score", "backtest": ".cross_validation",
        "plot": "kseq.compare(...).plot()", "model": ".save, and kseq.load_model",
        "fit_predict": ".fit(df).predict(h)", "update": ".fit",
    }
)  # fmt: skip
class Forecaster(Parameters):
    """A recurrent network that forecasts one series, or each of many, with prediction intervals.

    ``fit`` takes a frame ``unique_id, ds, y``, with further columns for covariates; of one series ``unique_id`` may be
    left out, and ``ds`` may be where rows are evenly spaced. It also takes a :class:`kseq.Series` or
    :class:`kseq.Panel`. Of several series one network learns from all, each in its own scale.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        lookback: Rows that the network reads; by default chosen by horizon, season and size, see
            :mod:`kseq.comparison.defaults`, as ``batch_size``, ``max_steps`` and ``windows_per_epoch`` are.
        horizon: Rows that it forecasts at once; further steps are forecast from its own forecasts.
        units: Number of units of each recurrent layer; a tuple gives one number for each layer.
        num_layers: Recurrent layers; 1 by default, or as many as ``units`` has numbers.
        dropout: Share of outputs dropped between layers.
        bidirectional: Read windows in both directions.
        start: Rules of the initial weights, ``"keras"`` or ``"pytorch"``; see :mod:`kseq.models.initializers`.
        skip: ``"linear"`` to add a linear map of the window to the network's forecast, started by least squares;
            ``"none"`` for the recurrent network alone.
        transform: What the model reads and forecasts instead of the values, see :mod:`kseq.preprocessing.transforms`:
            ``"none"``, steps such as ``"anomaly,last"``, or ``"auto"``, which chooses by the validation part.
        calendar: Read where in the day, the week or the year each row stands.
        scaler: ``"standard"`` or ``"minmax"``, fitted on the rows that are trained on.
        past_target: Read the target's own past.
        features: Past covariates: further columns to read. Steps beyond the horizon need them ahead, as ``X_df``.
        future: Future covariates: columns to read at the steps to forecast, in ``X_df``.
        static: Static covariates: columns that hold one value a series.
        validation: Share of the rows, at the end, that stop the training and bound the intervals; 0 for none.
        epochs: The most.
        batch_size: Windows in a batch; 0 for all at once.
        learning_rate: Learning rate of Adam.
        patience: Epochs without a better validation loss; 0 to train them all.
        weight_decay: Decoupled, as in AdamW.
        clip_norm: Largest norm of the gradient; 0 for no clipping.
        loss: The loss that is minimised, ``"mse"``, ``"mae"``, ``"huber"`` or ``"quantile"``.
        schedule: ``"constant"`` or ``"cosine"``, how the learning rate goes over the steps of the budget.
        max_steps: The most gradient steps; 0 for what ``epochs`` says alone.
        windows_per_epoch: The most windows of an epoch; 0 for all.
        season: Steps in a season, which a model file keeps for seasonal naive forecasts; 0 to find it.
        refit_on_validation: Train again on all rows, once the validation part has told for how many epochs.
        seed: Seed of the initial weights, the batches and dropout.
        n_seeds: Number of networks that are trained, with seeds from ``seed`` on; their mean is the forecast.
        level: Percents that intervals are to cover; ``()`` for none.
        freq: Frequency of the dates; by default it is found.
        refit: Former name of ``refit_on_validation``, in whose place it stands where it is given.
        **others: Parameters by the names of the command's options: ``layers``, ``validation_share``, ``first_seed``,
            ``seeds``, ``no_past_target``, ``no_refit_on_validation``.

    Attributes:
        model_: The trained network and its card, a :class:`kseq.forecasting.model_file.TrainedModel`.

    Example:
        >>> forecaster = Forecaster("gru", lookback=24).fit(df)  # doctest: +SKIP
        >>> forecaster.predict(12).columns.tolist()  # doctest: +SKIP
        ['unique_id', 'ds', 'GRU', 'GRU-lo-80', 'GRU-hi-80', 'GRU-lo-95', 'GRU-hi-95']
    """

    @checked("kseq.Forecaster", values=False)
    def __init__(
        self,
        cell: str = "gru",
        lookback: int | None = None,
        horizon: int = 1,
        units: int | tuple[int, ...] = 32,
        num_layers: int | None = None,
        dropout: float = 0.0,
        bidirectional: bool = False,
        start: str = "keras",
        skip: str = Settings.skip,
        transform: str = Settings.transform,
        calendar: bool = Settings.calendar,
        scaler: str = "standard",
        past_target: bool = True,
        features: Sequence[str] = (),
        future: Sequence[str] = (),
        static: Sequence[str] = (),
        validation: float = 0.15,
        epochs: int = 200,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        patience: int = 25,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        loss: str = "mse",
        schedule: str = "constant",
        max_steps: int | None = None,
        windows_per_epoch: int | None = None,
        season: int = 0,
        refit_on_validation: bool = True,
        seed: int = 0,
        n_seeds: int = 1,
        level: float | Sequence[float] = (80, 95),
        freq: str | None = None,
        refit: bool | None = None,
        **others: Any,
    ):
        given = renamed(others, type(self)._defaults())
        self.cell = cell
        self.lookback = lookback
        self.horizon = horizon
        self.units = units
        self.num_layers = num_layers
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.start = start
        self.skip = skip
        self.transform = transform
        self.calendar = calendar
        self.scaler = scaler
        self.past_target = past_target
        self.features = features
        self.future = future
        self.static = static
        self.validation = validation
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.loss = loss
        self.schedule = schedule
        self.max_steps = max_steps
        self.windows_per_epoch = windows_per_epoch
        self.season = season
        self.refit_on_validation = refit_on_validation
        self.seed = seed
        self.n_seeds = n_seeds
        self.level = level
        self.freq = freq
        self.refit = refit
        for name, value in given.items():
            setattr(self, name, value)

    @reads("Forecaster.fit", without=_ROLES)
    def fit(self, df: Any, y: Any = None, **reading: Any) -> Self:
        """Train on a series, or on all of many.

        Args:
            df: Columns ``unique_id, ds, y`` and covariates; or anything else that :func:`kseq.data.series_of` takes.
            y: The target, ``(rows,)``, where it is no column of ``df``; scikit-learn's tools pass it on.
            **reading: How a frame is read, as :func:`kseq.from_frame` describes it: ``target``, ``time``, ``id``,
                ``series``, ``fill``, ``sort`` and others.

        Returns:
            Itself, with ``model_``.

        Raises:
            ConfigError: A parameter is wrong.
            DataError: The frame is too short or cannot be used as it is.
        """
        self.model_ = self._fit(self._data(_with_target(df, y), reading))
        self.reading_ = reading
        return self

    @reads("Forecaster.score", without=_ROLES)
    def score(self, df: Any, y: Any = None, **reading: Any) -> float:
        """Score forecasts of the rows after those of :meth:`fit`, as ``GridSearchCV`` asks with ``TimeSeriesSplit``.

        Args:
            df: The rows, as in :meth:`fit`; at least ``horizon`` of them.
            y: The series, as in :meth:`fit`.
            **reading: As in :meth:`fit`, whose own hold where nothing else is said.

        Returns:
            Minus the mean absolute error of one series and target, or minus the mean absolute scaled error of several:
            the higher, the better.

        Raises:
            ConfigError: It is not fitted yet.
            DataError: The rows do not fit the model, or no window fits into them.

        Example:
            >>> search = GridSearchCV(Forecaster(), {"units": [8, 16]}, cv=TimeSeriesSplit(3))  # doctest: +SKIP
            >>> search.fit(df).best_params_  # doctest: +SKIP
            {'units': 16}
        """
        from kseq.forecasting.score import evaluate

        comparison = evaluate(self.fitted, self._data(_with_target(df, y), self._reading(reading))).comparison
        row = next(row for row in comparison.rows if row.kind in ("cell", "ensemble"))
        return -float(comparison.scores(row, comparison.measure)[0])

    @checked("Forecaster.predict")
    def predict(
        self, h: int | None = None, X_df: pd.DataFrame | None = None, level: float | Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Forecast the steps after the series, or after each.

        Args:
            h: Number of steps; ``horizon`` by default.
            X_df: ``ds`` and covariates of the steps to come: ``future``, and ``features`` where ``h`` is beyond the
                horizon; for a panel ``unique_id`` too.
            level: Percents that intervals are to cover; by default those that it was fitted with.

        Returns:
            ``unique_id, ds, GRU, GRU-lo-80, GRU-hi-80...``; remarks on them stand in ``.attrs["notes"]``.

        Raises:
            ConfigError: It is not fitted yet, or there is no interval of a level.
            DataError: Covariates of the steps to come are missing.
        """
        model = self.fitted
        h = h if h is None else require_whole("h", h, *WHOLE["steps"])
        ahead = None if X_df is None else covariates_ahead(model.card, X_df, "X_df")
        made = forecast(model, h, future=ahead, levels=level)
        frame = made.frame
        frame.attrs["notes"] = list(made.notes)
        return frame

    @reads("Forecaster.cross_validation", without=_ROLES)
    def cross_validation(
        self,
        df: Any,
        h: int | None = None,
        n_windows: int = 1,
        step_size: int | None = None,
        refit: bool = False,
        level: float | Sequence[float] | None = None,
        **reading: Any,
    ) -> pd.DataFrame:
        """Forecast the last origins of a series, or of each of many, each from what came before it.

        What has been fitted before is not touched, and each training starts from fresh weights.

        Args:
            df: The series, as in :meth:`fit`.
            h: Steps to forecast from each origin; ``horizon`` by default.
            n_windows: Origins; the last one's forecasts end with the series.
            step_size: Rows from one origin to the next; ``h`` by default.
            refit: Train anew before each origin, instead of once before the first.
            level: Levels of the intervals, as in :meth:`predict`.
            **reading: As in :meth:`score`.

        Returns:
            ``unique_id, ds, cutoff, y``, then as of :meth:`predict`: what ``utilsforecast.evaluation.evaluate`` takes.

        Raises:
            ConfigError: A parameter or a number is wrong.
            DataError: The series is too short.
        """
        series = self._data(df, self._reading(reading))
        h = self.horizon if h is None else h
        step_size = h if step_size is None else step_size
        for name, value in (("h", h), ("n_windows", n_windows), ("step_size", step_size)):
            require_whole(name, value, least=1)
        return folds(Panel.of(series), self._fit, self.horizon, h, n_windows, step_size, refit, level)

    def save(self, path: str | Path) -> Path:
        """Write the fitted model into one ``.keras`` file, as ``kseq fit`` does; return the file.

        Raises:
            ConfigError: It is not fitted yet, or the file cannot be written.
        """
        from kseq.forecasting import model_file

        return model_file.save(self.fitted, path)

    @classmethod
    @checked("Forecaster.load")
    def load(cls, path: str | Path) -> "Forecaster":
        """Make a fitted forecaster of a file that :meth:`save` or ``kseq fit`` has written.

        Raises:
            DataError: The file is missing, damaged or none of kseq's.
        """
        from kseq.forecasting import model_file

        card = model_file.read_card(path)
        _choose_backend()
        settings = {name: _tuples(value) for name, value in card.settings.items()}
        made = cls(
            cell=settings["cells"][0],
            **(
                # Cards of before the skip say nothing of it.
                {"skip": "none"}
                | {name: settings[name] for name in _SETTINGS if name in settings}
                | {"refit_on_validation": card.refitted}
            ),
            **{name: settings["training"][name] for name in _BUDGET if name in settings["training"]},
            features=card.context.features,
            future=card.context.future,
            seed=settings["seeds"][0],
            n_seeds=len(settings["seeds"]),
            level=settings["levels"],
            static=tuple(card.context.static),
            freq=card.reading.get("freq"),
        )
        made.model_ = model_file.load(path)
        return made

    @property
    def fitted(self) -> "TrainedModel":
        """The trained network and its card.

        Raises:
            ConfigError: It is not fitted yet.
        """
        model = getattr(self, "model_", None)
        if model is None:
            raise ConfigError("this Forecaster is not fitted yet; call fit with a series first.")
        return model

    def _fit(self, series: Series | Panel) -> "TrainedModel":
        require_whole("n_seeds", self.n_seeds)
        require_whole("seed", self.seed)
        settings = Settings(
            cells=(self.cell,),
            seeds=tuple(range(self.seed, self.seed + self.n_seeds)),
            levels=tuple(self.level) if isinstance(self.level, Iterable) else (self.level,),
            training={name: getattr(self, name) for name in _BUDGET if getattr(self, name) is not None},
            **{name: getattr(self, name) for name in _SETTINGS},
        )
        _choose_backend()
        # Keras is loaded here and no earlier.
        from kseq.forecasting.fit import fit_model

        model = fit_model(series, settings, refit=self.refit)
        if self.freq is None:
            return model
        return replace(model, card=replace(model.card, reading={**model.card.reading, "freq": self.freq}))

    def _reading(self, given: dict[str, Any]) -> dict[str, Any]:
        """How a frame is read: as it is said, else as in the last fit."""
        return {**getattr(self, "reading_", {}), **given}

    def _data(self, df: Any, reading: dict[str, Any]) -> Series | Panel:
        """The one series of a frame, or the panel of several."""
        if isinstance(df, Series | Panel):
            # What was said of a frame in fit says nothing of these.
            return df
        roles: dict[str, Any] = {name: tuple(listed(getattr(self, name))) for name in ("features", "future", "static")}
        return series_of(df, freq=self.freq, **roles, **reading)


# Editors and scikit-learn see the parameters alone.
_shown = inspect.signature(Forecaster.__init__)
_shown = _shown.replace(parameters=[one for one in _shown.parameters.values() if one.kind is not one.VAR_KEYWORD])
Forecaster.__init__.__dict__["__signature__"] = _shown


def _with_target(df: Any, y: Any) -> Any:
    """A frame with the target as its column ``y``."""
    if isinstance(y, str):
        raise ConfigError(
            "received ", Given("y", y), ", expected values; name the column with ", Given("target", y), "."
        )
    return df if y is None else pd.DataFrame(df).assign(y=np.asarray(y))


def _choose_backend() -> None:
    if backends.running() is None:
        backends.choose()


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
