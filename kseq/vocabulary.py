"""One vocabulary: the names of settings in Python, on the command line, in files of options and in ``run.json``.

A name is that of a field of :class:`kseq.Settings` or :class:`kseq.training.budget.Training`, or that of the command's
option (``--test-share`` is ``test_share``). :func:`settings_from` takes any mix of them.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from kseq import backends
from kseq import data as readers
from kseq.data._source import FILE_OPTIONS
from kseq.errors import ConfigError, Parameter, joined
from kseq.models import CELL_NAMES, cell_of
from kseq.models.own import Own, own_rows
from kseq.naming import checked, unknown
from kseq.settings import Settings
from kseq.text import shown
from kseq.training.budget import Training
from kseq.validation import WHOLE, require_path, require_predictions, require_whole, several

if TYPE_CHECKING:
    pass

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: Fields of settings by what the command's options call them.
ALIASES = {"layers": "num_layers", "test_share": "test", "validation_share": "validation", "level": "levels"}

#: Flags of the command that turn off what is on by default, by the fields that they turn off.
NEGATIONS = {f"no_{field.name}": field.name for field in fields(Settings) if field.default is True}

#: How a frame or a file is read, see :func:`kseq.data.series_of`.
READING = tuple(
    name
    for name in dict.fromkeys([*inspect.signature(readers.from_frame).parameters, *FILE_OPTIONS, "query"])
    if name not in ("frame", "source", "season")
)

#: Where the series comes from, instead of a first argument.
SOURCES = ("data", "csv", "parquet", "sql")

#: Where the work is done, and where its files go.
PLACE = ("backend", "device", "out", "predictions", "escape_formulas")

#: Options of reading and of the place that are True or False.
_FLAGS = ("no_header", "dayfirst", "sort", "escape_formulas")

#: Options of the command that are about its screen, and what Python has instead.
SCREEN = {
    "format": "print(comparison.table), or kseq.report.table.render(comparison, style)",
    "style": "print(comparison.table), or kseq.report.table.render(comparison, style)",
    "quiet": "nothing: kseq prints nothing from Python",
    "verbose": "progress=, a function that is called after each epoch",
    "config": "kseq.compare(series, **tomllib.load(file))",
    "debug": "nothing: errors have their traceback",
}

#: What there is in place of names that are no options on purpose, as the end of a sentence.
INSTEAD = {
    **{name: f"it is about the command's screen; from Python there is {instead}" for name, instead in SCREEN.items()},
    "optimizer": "it cannot be set, networks are trained with Adam; learning_rate, weight_decay, clip_norm and "
    "schedule say how",
    **dict.fromkeys(
        ("activation", "recurrent_activation", "recurrent_dropout", "use_bias", "reset_after", "stateful"),
        "it cannot be set, cells have Keras's defaults; cells={NAME: function} sets a network of your own beside them",
    ),
    **dict.fromkeys(
        ("callbacks", "callback", "sample_weight", "class_weight", "validation_data", "compile"),
        "it cannot be set; train with kseq.build_gru, model.fit and kseq.Evaluation, which adds the row",
    ),
    "shuffle": "it cannot be set, the windows of each epoch are shuffled by the seed",
    **dict.fromkeys(
        ("df", "dataframe", "data_frame", "frame", "train_df", "X", "x", "dataset"),
        "the series is the first argument, without a name",
    ),
    **dict.fromkeys(
        ("test_data", "test_df", "train_data", "y_test", "X_test"),
        "parts are cut from the series, by test_share and validation_share",
    ),
}  # fmt: skip

#: The same of what only a tuning has.
_OF_TUNING = dict.fromkeys(
    ("trials", "n_trials", "num_trials", "max_trials", "trial", "trial_seeds", "trials_at_once", "space", "pruner",
     "search_space", "param_grid"), "kseq.tune has it, which chooses settings by trials",
)  # fmt: skip


def defaults() -> dict[str, Any]:
    """Every name of a setting with its default, in the order of the fields; the command's own names among them."""
    found = {field.name: _default(field) for field in fields(Settings) if field.name != "training"}
    found |= {field.name: _default(field) for field in fields(Training)}
    return (
        found
        | {name: found[field] for name, field in ALIASES.items()}
        | dict.fromkeys(NEGATIONS, False)
        | {"first_seed": 0, "cell": None, "rival": None}
    )


def _default(field: Field) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def settings_from(options: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> Settings:
    """Make settings of options by any of their names; None stands for the default.

    Args:
        options: Options by name: those of the command (``test_share``, ``seeds=5``), of :class:`kseq.Settings` and of
            :class:`kseq.training.budget.Training`.
        base: Defaults that differ from those of :class:`kseq.Settings`, by the names of its fields.

    Raises:
        ConfigError: An unknown name, one given twice under two names, or a value that the setting cannot have.

    Example:
        >>> settings_from({"epochs": 50, "seeds": 3, "test_share": 0.3, "cells": "GRU"}).seeds
        (0, 1, 2)
    """
    called = {field: name for name, field in ALIASES.items() if options.get(name) is not None}
    try:
        return _settings(options, base)
    except ConfigError as error:
        # A message calls a setting as its user does.
        error.args = tuple(
            Parameter(called.get(part, part)) if type(part) is Parameter else part for part in error.args
        )
        raise


def _settings(options: Mapping[str, Any], base: Mapping[str, Any] | None) -> Settings:
    known = defaults()
    wrong = [name for name in options if name not in known and name != "training"]
    if wrong:
        raise unknown(wrong, known, "kseq.compare", INSTEAD)
    given = {name: value for name, value in options.items() if value is not None}
    for name, field in ALIASES.items():
        if name in given:
            if field in given:
                raise ConfigError(f"received {name} and {field}, expected one of them: they are the same.")
            given[field] = given.pop(name)
    for name, field in NEGATIONS.items():
        if given.pop(name, False):
            given[field] = False
    given |= _seeds(given.pop("first_seed", None), given.get("seeds"))
    if given.get("n_windows") and "test" in given and "test" not in (base or {}):
        raise ConfigError(
            "received ", *joined(["n_windows"]), " and ", Parameter("test"), ", expected one of them: the windows are "
            "the test part.",
        )  # fmt: skip
    given |= _own(given)
    budget = [field.name for field in fields(Training)]
    base = dict(base or {})
    shared = base.pop("training", {})
    training = given.pop("training", {})
    if not isinstance(training, Mapping):
        raise ConfigError("received ", Parameter("training"), f" {shown(training)}, expected a mapping.")
    training = dict(training)
    twice = [name for name in budget if name in given and name in training]
    if twice:
        raise ConfigError(f"received {twice[0]} and training with {twice[0]}, expected one of them.")
    wrong = [name for name in training if name not in budget]
    if wrong:
        raise unknown(wrong, budget, "training")
    training |= {name: given.pop(name) for name in budget if name in given}
    made = Settings(**{**base, **given}, training={**shared, **training})
    # A wrong budget is told before any work, too.
    Training(**made.training)
    return made


def _own(given: dict[str, Any]) -> dict[str, Any]:
    """Take rows of one's own out of what is given: mappings of names to functions, and texts of the command."""
    own = given.pop("own", {})
    if not isinstance(own, Mapping):
        raise ConfigError("received ", Parameter("own"), f" {shown(own)}, expected a mapping.")
    found: dict[str, Own] = {**own}
    cells = given.get("cells")
    if isinstance(cells, Mapping):
        named = {name: one for name, one in cells.items() if cell_of(name) not in CELL_NAMES}
        built_in = [name for name in cells if name not in named]
        wrong = [name for name in built_in if cells[name] not in (None, ..., True, name)]
        if wrong:
            raise ConfigError(
                f"received a function for the cell {wrong[0]!r}, which kseq has; expected {{{wrong[0]!r}: ...}}, or "
                "another name."
            )
        given["cells"], more = tuple(cells), own_rows(named, "cell")
    else:
        more = own_rows(given.pop("cell", ()), "cell")
        if more:
            given["cells"] = (*several(Settings.cells if cells is None else cells), *more)
    rivals = given.get("rivals")
    if rivals is not None and not isinstance(rivals, Mapping):
        wrong = [name for name in several(rivals) if name not in found] if np.iterable(rivals) else [rivals]
        if wrong:
            raise ConfigError(
                "received ", Parameter("rivals"), f" {shown(rivals)}, expected regressors by their names, such as "
                '{"Ridge": Ridge()}; kseq\'s own, such as theta, are among the ', Parameter("baselines"), ".",
            )  # fmt: skip
    fitted = own_rows(rivals if isinstance(rivals, Mapping) else given.pop("rival", ()), "rival")
    if fitted:
        given["rivals"] = tuple(fitted)
    twice = [name for name in fitted if name in more]
    if twice:
        raise ConfigError(f"received {twice[0]!r} as a cell and as a rival, expected names that differ.")
    found |= {**more, **fitted}
    return {"own": found} if found else {}


def _seeds(first: Any, seeds: Any) -> dict[str, Any]:
    """Seeds by how many they are, or as they are given."""
    if isinstance(seeds, str | bytes):
        raise ConfigError("received ", Parameter("seeds"), f" {seeds!r}, expected how many, or a tuple of seeds.")
    if seeds is not None and hasattr(seeds, "__len__"):
        if first:
            raise ConfigError("received first_seed and seeds one by one, expected first_seed with their number.")
        return {}
    if first is None and seeds is None:
        return {}
    first = 0 if first is None else require_whole("first_seed", first, *WHOLE["seed"])
    count = len(Settings.seeds) if seeds is None else require_whole("seeds", seeds, *WHOLE["n_seeds"])
    if first + count - 1 > WHOLE["seed"].most:
        raise ConfigError(
            "received ", Parameter("first_seed"), f" {first} and ", Parameter("seeds"), f" {count}, expected seeds up "
            f"to {WHOLE['seed'].most}.",
        )  # fmt: skip
    return {"seeds": tuple(range(first, first + count))}


@dataclass(frozen=True)
class Asked:
    """What a call from Python asks for.

    Args:
        series: The series or panel that is forecast; None only where a call may be without one.
        settings: Everything that decides the numbers.
        out: Folder for the files of the run; None for none.
        escape_formulas: Whether text that a spreadsheet would run is marked in CSV.
        predictions: File of the forecasts in that folder, one of :data:`kseq.validation.PREDICTIONS`.
    """

    series: Any
    settings: Settings
    out: Path | None = None
    escape_formulas: bool = False
    predictions: str = "csv"


def asked(
    series: Any,
    settings: Settings | None,
    options: Mapping[str, Any],
    base: Mapping[str, Any] | None = None,
    *,
    needs_series: bool = True,
) -> Asked:
    """Take apart what a caller from Python has given: series and how to read it, settings, and where to work.

    Where there are cells to train, the backend is chosen here: the one that is named, the one of ``KERAS_BACKEND``, or
    the first that is installed.

    Args:
        series: Anything that :func:`kseq.data.series_of` takes; None where ``options`` name a source.
        settings: All settings at once; None to make them of options.
        options: Options by name, see :func:`settings_from`; besides those of reading, :data:`READING` and
            :data:`SOURCES`, and of the place, :data:`PLACE`.
        base: As in :func:`settings_from`.
        needs_series: Whether a call without a series is refused.

    Raises:
        BackendError: The backend is not there, or another one is at work.
        ConfigError: Names that nobody knows, or settings given twice.
        DataError: The series cannot be read.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise ConfigError(
            f"received settings of type {type(settings).__name__}, expected kseq.Settings, or options by their names, "
            'such as cells="gru" and epochs=50.'
        )
    own = {name: value for name, value in options.items() if name not in (*READING, *SOURCES, *PLACE)}
    if settings is not None and own:
        raise ConfigError(f"received settings and also {', '.join(own)}, expected one or the other.")
    made = settings_from(own, base) if settings is None else settings
    Training(**made.training)
    given = {name: value for name, value in options.items() if name not in own and value is not None}
    if series is None and not isinstance(given.get("series", ""), str | int | float):
        series = given.pop("series")
    reading = {name: given[name] for name in READING if name in given}
    named = {name: given[name] for name in SOURCES if name in given}
    data = None
    if needs_series or series is not None or named or reading:
        found, query = _source(series, named), reading.pop("query", None)
        if "sql" in named:
            data = readers.read_sql(str(found), query, season=made.season or None, **reading)
        elif query is not None:
            raise ConfigError("received query without sql, expected it with the address of a database.")
        else:
            data = readers.series_of(found, season=made.season or None, **reading)
    if {"backend", "device"} & given.keys() or (made.cells and backends.running() is None):
        backends.choose(given.get("backend"), given.get("device"))
    out = require_path(given["out"]) if "out" in given else None
    predictions = require_predictions(given.get("predictions", "csv"))
    return Asked(data, made, out, bool(given.get("escape_formulas")), predictions)


def _source(series: Any, named: Mapping[str, Any]) -> Any:
    """The one series that is given, or the file or built-in series that is named."""
    if series is not None and not named:
        return series
    if series is None and len(named) == 1:
        ((name, value),) = named.items()
        return value if name in ("data", "sql") else Path(value)
    if series is not None:
        raise ConfigError(f"received a series and {', '.join(named)}, expected one of them.")
    if named:
        raise ConfigError(f"received both {' and '.join(named)}, expected one of them.")
    raise ConfigError(f"received no series, expected {readers.TAKEN}.")


def shows_options(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a function's signature name every option that it takes as a keyword, and refuse calls that do not fit it."""
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = dict.fromkeys((*SOURCES, *READING, *PLACE)) | defaults()
    more = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation="bool | None" if name in _FLAGS else inspect.Parameter.empty,
        )
        for name, default in names.items()
        if name not in signature.parameters
    ]
    more.append(inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=None))
    in_view = signature.replace(parameters=[*own, *more])
    name = function.__name__.removesuffix("_model")
    return checked(f"kseq.{name}", INSTEAD if name == "tune" else INSTEAD | _OF_TUNING, in_view)(function)
