"""Names of arguments that nobody knows: which one was meant, and errors that say so.

A call from Python with a wrong name, with too many values or without one that it needs raises a
:class:`kseq.errors.ConfigError` in place of Python's ``TypeError``. A near name is told where there is one: it differs
by a typing error, or is what other packages call the same thing.
"""

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from kseq.errors import ConfigError, Parameter
from kseq.text import shown

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Class = TypeVar("Class", bound=type)

#: What other packages call an argument, by kseq's words for it: the first of these that a function has is meant.
_ELSEWHERE = {
    ("units",): "hidden hidden_size hidden_units hidden_dim n_units num_units n_hidden neurons n_neurons latent_dim "
    "encoder_hidden_size rnn_units cell_size hidden_layer_sizes hidden_channels",
    ("lookback",): "lag lags n_lags num_lags seq_len seq_length sequence_length timestep timesteps time_steps "
    "n_timesteps n_steps_in steps_in n_in window windows window_size window_length input_size input_chunk_length "
    "input_length input_width input_steps context context_length encoder_length history past sliding_window "
    "max_encoder_length in_len input_len",
    ("horizon", "h", "steps"): "h fh steps n_steps horizon forecast_horizon forecasting_horizon n_steps_out steps_out "
    "n_out n_ahead steps_ahead n_periods periods prediction_length pred_len pred_length output_size output_dim "
    "output_chunk_length output_length output_width output_steps max_prediction_length ahead "
    "forecast_length forecast_len out_len output_len n_forecasts max_horizon",
    ("features",): "exog covariates past_covariates n_features num_features input_dim exog_vars hist_exog_list",
    ("future",): "futr_exog_list future_covariates known_future",
    ("static",): "stat_exog_list static_covariates static_features",
    ("layers", "num_layers"): "n_layers num_rnn_layers hidden_layers n_hidden_layers n_rnn_layers encoder_n_layers "
    "layer_count depth layers layer stacked stack n_stacks",
    ("learning_rate",): "lr learn_rate alpha_lr step_lr initial_lr initial_learning_rate lr0 eta",
    ("epochs",): "n_epochs num_epochs max_epochs nb_epoch number_of_epochs iterations n_iter max_iter",
    ("max_steps",): "train_steps num_steps training_steps",
    ("batch_size",): "batch batchsize bs n_batch mini_batch minibatch_size train_batch_size",
    ("patience",): "early_stopping early_stop early_stop_patience early_stop_patience_steps stopping n_iter_no_change",
    ("clip_norm",): "clipnorm grad_clip gradient_clip gradient_clip_val max_grad_norm clip",
    ("weight_decay",): "l2 decay regularization wd weight_decays kernel_regularizer",
    ("dropout",): "drop drop_rate dropout_rate p_dropout encoder_dropout drop_prob",
    ("bidirectional",): "bi both bidir bidirect bi_directional",
    ("test_share", "test"): "test_size test_split test_ratio test_fraction test_frac holdout hold_out "
    "train_share train_ratio train_split train_frac train_fraction",
    ("validation_share", "validation"): "val val_size val_split val_ratio val_share validation_split validation_size "
    "validation_ratio valid valid_size",
    ("seeds", "seed"): "n_seeds num_seeds seed random_seed random_state rng runs n_runs repeats n_repeats",
    ("seed",): "random_seed random_state",
    ("cells", "cell"): "model models rnn rnn_type rnn_types cell_type cell_types network networks architecture",
    ("baselines",): "baseline naive benchmarks benchmark",
    ("rivals",): "regressor regressors estimator estimators other_models",
    ("trials",): "n_trials num_trials max_trials n_iter n_samples num_samples trial",
    ("trial_seeds",): "seeds_per_trial",
    ("trials_at_once",): "parallel_trials",
    ("space",): "search_space param_grid param_distributions grid params hyperparameters config",
    ("pruner",): "pruning scheduler_type",
    ("season",): "seasonality season_length seasonal_period seasonal_periods sp period m",
    ("freq",): "frequency",
    ("level", "levels"): "confidence conf_level confidence_level prediction_interval prediction_intervals intervals "
    "alpha coverage quantiles interval",
    ("n_windows",): "folds n_folds cv n_splits num_folds backtest splits",
    ("step_size",): "stride step_length",
    ("train_size",): "train_window train_length max_train_size",
    ("transform",): "transforms target_transform difference differences differencing detrend deseasonalize log diff",
    ("scaler",): "scale scaling scaler_type normalize normalise normalization normalizer standardize",
    ("calendar",): "time_features date_features datetime_features",
    ("metric",): "metrics score scoring objective",
    ("schedule",): "lr_schedule lr_scheduler scheduler",
    ("loss",): "criterion loss_fn loss_function",
    ("start",): "init initializer initialization weights_init kernel_initializer",
    ("executor",): "n_jobs workers num_workers jobs processes cores",
    ("progress",): "verbose callback",
    ("out", "folder", "path"): "out folder path output out_dir output_dir output_folder save_dir save_path dir",
    ("keep",): "cache cache_dir checkpoint checkpoint_dir resume",
    ("time",): "date dates datetime timestamp ds time_col time_column date_col date_column datetime_col index_col "
    "timestamps ds_col date_column_name",
    ("target",): "y y_col target_col target_column value values value_col value_cols target_name label_col",
    ("id",): "unique_id uid id_col id_column item_id series_id group groups group_col group_cols group_ids group_id",
    ("csv",): "file filename file_name csv_file csv_path filepath",
    ("fill",): "fillna fill_na impute imputer interpolate missing_values",
    ("missing",): "na_values nan_values missing_value",
    ("sep",): "delimiter separator delim",
    ("skip_rows",): "skiprows",
    ("truth",): "true y_true actual actuals target targets y test",
    ("forecasts",): "predictions preds y_pred y_hat",
    ("train",): "history train_df y_train training",
    ("rows",): "new_df new_data df data",
    ("X_df",): "X exog future future_df",
    ("device",): "accelerator gpu",
    ("backend",): "framework engine keras_backend",
    ("return_states",): "return_state",
    ("members",): "ensemble n_members ensemble_size",
    ("with_forecasts",): "forecasts other_forecasts",
    ("log",): "logger loggers",
    ("persistence",): "naive last last_value random_walk",
    ("seasonal-naive",): "snaive seasonal",
    ("climatology",): "seasonal_mean window_average",
    ("ar",): "arima auto_arima auto_reg autoregression sarima",
    ("ets",): "auto_ets holt_winters exponential_smoothing ses",
    ("theta",): "auto_theta optimized_theta dynamic_theta",
    ("dlinear",): "nlinear ltsf",
    ("mse",): "mean_squared_error l2_loss",
    ("mae",): "mean_absolute_error l1_loss",
    ("quantile",): "pinball quantile_loss mqloss",
    ("standard",): "standard_scaler zscore",
    ("minmax",): "min_max_scaler",
    ("torch",): "pytorch",
    ("tensorflow",): "tf",
    ("gpu",): "cuda cuda0 mps rocm",
    ("ffill",): "forward pad",
}  # fmt: skip

#: A name that is this near to a known one is a typing error of it; of another first letter it has to be nearer.
_NEAR, _NEARER = 0.8, 0.9

#: Annotation of an argument that is a function, or None.
_FUNCTION = re.compile(r"(collections\.abc\.)?Callable\[\[[^|]*\](, [^|]*)\]( \| None)?")

#: Letters that a name must have to be mistyped, and that a part of a name must have to be what was meant.
_LETTERS, _PART = 3, 4


def _plain(name: str) -> str:
    """A name without case and without what stands between its words."""
    return "".join(character for character in name.lower() if character.isalnum())


@functools.cache
def _meant() -> dict[str, list[str]]:
    """Words of kseq by what others call them."""
    found: dict[str, list[str]] = {}
    for words, others in _ELSEWHERE.items():
        for other in others.split():
            found.setdefault(_plain(other), []).extend(words)
    return found


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was meant by another one; None where none is near.

    Args:
        name: The name that was received.
        known: Names that there are.

    Example:
        >>> [nearest(name, ("lookback", "rivals", "time", "trials")) for name in ("look_back", "trails", "optimizer")]
        ['lookback', 'trials', None]
    """
    plain: dict[str, str] = {}
    for one in known:
        plain.setdefault(_plain(one), one)
    wanted = _plain(name)
    if wanted in plain:
        return plain[wanted]
    for word in _meant().get(wanted, ()):
        if _plain(word) in plain:
            return plain[_plain(word)]
    if len(wanted) < _LETTERS:
        return None
    turned = [one for one in plain if sorted(one) == sorted(wanted) and one[0] == wanted[0]]
    for one in turned or difflib.get_close_matches(wanted, plain, n=3, cutoff=_NEAR):
        alike = difflib.SequenceMatcher(None, wanted, one).ratio()
        if turned or alike >= _NEARER or one[0] == wanted[0]:
            return plain[one]
    parts = [part for part in name.lower().replace("-", "_").split("_") if len(part) >= _PART]
    return next((plain[part] for part in parts if part in plain), None)


def hint(name: Any, known: Iterable[str]) -> str:
    """The end of a message about a value that is none of those known: ``"; did you mean gru?"``, or nothing.

    Example:
        >>> hint("gruu", ("rnn", "lstm", "gru")), hint("elman", ("rnn", "lstm", "gru"))
        ('; did you mean gru?', '')
    """
    near = nearest(name, known) if isinstance(name, str) else None
    return f"; did you mean {near}?" if near is not None else ""


def unknown(
    names: Iterable[str], known: Collection[str], whose: str, instead: Mapping[str, str] | None = None
) -> ConfigError:
    """The error for names that nobody knows, with the nearest one that somebody does.

    Args:
        names: The names that were received.
        known: Names that there are.
        whose: Function that was called, as its user writes it.
        instead: What there is in place of names that are none on purpose, as the end of a sentence.

    Example:
        >>> str(unknown(["epoch"], ["epochs", "units"], "kseq.compare"))
        'received epoch, expected an option of kseq.compare: did you mean epochs?'
        >>> str(unknown(["foo"], ["epochs", "units"], "kseq.compare"))
        'received foo, expected an option of kseq.compare: none of that name is near; help(kseq.compare) lists them.'
    """
    names = list(names)
    first = next((name for name in names if name in (instead or {})), names[0])
    received = f"received {', '.join(names)}, expected an option of {whose}: "
    if instead and first in instead:
        said = instead[first]
        return ConfigError(f"{received}{said}{'' if said.endswith('?') else '.'}")
    near = nearest(first, known)
    if near is not None:
        return ConfigError(f"{received}did you mean {near}?")
    return ConfigError(f"{received}none of that name is near; help({whose}) lists them.")


def checked(
    whose: str,
    instead: Mapping[str, str] | None = None,
    in_view: inspect.Signature | None = None,
    *,
    values: bool = True,
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Let a function refuse a call that does not fit its signature by a ConfigError that says how it is called.

    Args:
        whose: The function, as its user writes it: ``"kseq.compare"``.
        instead: As in :func:`unknown`.
        in_view: Signature that names what the function takes as further keywords; by default the function's own.
        values: Whether flags have to be True or False, and functions such. By scikit-learn's conventions an estimator
            takes any values as it is made, and looks at them in ``fit``.

    Example:
        >>> @checked("scaled")
        ... def scaled(values, *, by=1): ...
        >>> scaled([1], buy=2)
        Traceback (most recent call last):
            ...
        kseq.errors.ConfigError: received buy, expected an option of scaled: did you mean by?
    """

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        signature = in_view or inspect.signature(function)

        kinds = _kinds(signature) if values else {}

        @functools.wraps(function)
        def called(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
            try:
                given = signature.bind(*arguments, **options).arguments
            except TypeError:
                raise _refused(signature, arguments, options, whose, instead) from None
            for name in given.keys() & kinds.keys():
                kinds[name](name, given[name])
            return function(*arguments, **options)

        if in_view is not None:
            called.__dict__["__signature__"] = in_view
        return called

    return decorate


def _kinds(signature: inspect.Signature) -> dict[str, Callable[[str, Any], None]]:
    """What looks at the values of arguments that are True or False, and of those that are functions."""
    found: dict[str, Callable[[str, Any], None]] = {}
    for one in signature.parameters.values():
        kind = one.annotation.__name__ if isinstance(one.annotation, type) else str(one.annotation)
        if isinstance(one.default, bool) or kind in ("bool", "bool | None"):
            found[one.name] = require_flag
        elif _FUNCTION.fullmatch(kind):
            found[one.name] = require_function
    return found


def require_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False; texts such as ``"no"`` would count as true. None stands for the default.

    Raises:
        ConfigError: It is another value.

    Example:
        >>> require_flag("bidirectional", "no")
        Traceback (most recent call last):
            ...
        kseq.errors.ConfigError: received bidirectional 'no', expected True or False.
    """
    # NumPy's own are no bool.
    if value is not None and type(value).__name__ not in ("bool", "bool_"):
        raise ConfigError("received ", Parameter(name), f" {shown(value)}, expected True or False.")


def require_function(name: str, value: Any) -> None:
    """Refuse what cannot be called. None stands for the default.

    Raises:
        ConfigError: It is no function.
    """
    if value is not None and not callable(value):
        raise ConfigError("received ", Parameter(name), f" {shown(value)}, expected a function.")


def checked_class(whose: str, instead: Mapping[str, str] | None = None) -> Callable[[Class], Class]:
    """Let a class refuse a call that does not fit, as :func:`checked` does for a function; arguments as there."""

    def decorate(kind: Class) -> Class:
        setattr(kind, "__init__", checked(whose, instead)(getattr(kind, "__init__")))  # noqa: B009, B010
        return kind

    return decorate


def names_near(instead: Mapping[str, str] | None = None) -> Callable[[Class], Class]:
    """Let the objects of a class answer a name that they do not have with the near one.

    Args:
        instead: What there is in place of names that people look for, as it is written after the object.

    Example:
        >>> @names_near({"result": ".table"})
        ... class Run:
        ...     table = 1
        >>> Run().result
        Traceback (most recent call last):
            ...
        AttributeError: Run has no result; did you mean .table?
    """

    def missing(self: Any, name: str) -> Any:
        if hasattr(type(self), name):
            # A property that failed of itself: what it raises is told.
            return object.__getattribute__(self, name)
        near = None
        if not name.startswith("_"):
            near = (instead or {}).get(name) or nearest(name, [one for one in dir(self) if not one.startswith("_")])
        hint = f"; did you mean {near if near.startswith('kseq.') else '.' + near.lstrip('.')}?" if near else ""
        raise AttributeError(f"{type(self).__name__} has no {name}{hint}")

    def decorate(kind: Class) -> Class:
        # Set here and not in a class, so that type checkers go on refusing names that are not there.
        setattr(kind, "__getattr__", missing)  # noqa: B010
        return kind

    return decorate


def _refused(
    signature: inspect.Signature,
    arguments: Sequence[Any],
    options: Mapping[str, Any],
    whose: str,
    instead: Mapping[str, str] | None,
) -> ConfigError:
    """Say what does not fit in a call."""
    parameters = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    given = list(arguments)[len(signature.parameters) - len(parameters) :]
    placed = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    named = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters)
    wrong = [name for name in options if name not in named]
    if wrong and not open_ended:
        return unknown(wrong, named, whose, instead)
    if len(given) > len(placed):
        more = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY][:4]
        by_name = f"; give others by their names, such as {', '.join(f'{name}=' for name in more)}" if more else ""
        return ConfigError(
            f"received {len(given)} values without names (the last: {shown(given[-1])}), expected at most "
            f"{len(placed)} of {whose}: {', '.join(one.name for one in placed)}{by_name}."
        )
    twice = [one.name for one in placed[: len(given)] if one.name in options]
    if twice:
        return ConfigError(f"received {twice[0]} twice, by its place and by its name, expected it once.")
    missing = [one.name for one in placed[len(given) :] if one.default is one.empty and one.name not in options]
    missing += [
        one.name for one in parameters
        if one.kind is one.KEYWORD_ONLY and one.default is one.empty and one.name not in options
    ]  # fmt: skip
    shape = ", ".join([*(one.name for one in placed if one.default is one.empty), "..."])
    return ConfigError(f"received no {' and no '.join(missing)}, expected {whose}({shape}).")
