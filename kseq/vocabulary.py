"""One vocabulary: the names of settings in Python, on the command line, in files of options and in ``run.json``.

A name is that of a field of :class:`kseq.Settings` or :class:`kseq.training.budget.Training`, or that of the command's
option (``--test-share`` is ``test_share``). :func:`settings_from` takes any mix of them.
"""

import contextlib
import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from kseq import backends
from kseq import data as readers
from kseq.data._source import FILE_OPTIONS
from kseq.errors import ConfigError, Parameter, joined
from kseq.models import CELL_NAMES, cell_of
from kseq.models.own import Own, own_rows
from kseq.settings import Settings, several
from kseq.storage.csv_text import escaping
from kseq.training.budget import Training
from kseq.validation import WHOLE, require_predictions, require_whole

if TYPE_CHECKING:
    from kseq.storage import Folder

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

#: Options of the command that are about its screen, and what Python has instead.
SCREEN = {
    "format": "print(comparison.table), or kseq.report.table.render(comparison, style)",
    "style": "print(comparison.table), or kseq.report.table.render(comparison, style)",
    "quiet": "nothing: kseq prints nothing from Python",
    "verbose": "progress=, a function that is called after each epoch",
    "config": "kseq.compare(series, **tomllib.load(file))",
    "debug": "nothing: errors have their traceback",
}

#: What other packages call a setting.
ELSEWHERE = {
    "hidden_size": "units", "hidden_units": "units", "n_units": "units", "hidden": "units", "input_size": "lookback",
    "n_lags": "lookback", "lags": "lookback", "seq_len": "lookback", "sequence_length": "lookback",
    "timesteps": "lookback", "window": "lookback", "window_size": "lookback", "input_chunk_length": "lookback",
    "h": "horizon", "steps": "horizon", "fh": "horizon", "output_chunk_length": "horizon", "lr": "learning_rate",
    "n_epochs": "epochs", "max_epochs": "epochs", "num_epochs": "epochs", "test_size": "test_share",
    "test_split": "test_share", "val_size": "validation_share", "validation_split": "validation_share",
    "val_split": "validation_share", "n_seeds": "seeds", "seed": "seeds", "random_state": "seeds",
    "n_layers": "layers", "models": "cells", "model": "cells", "batchsize": "batch_size",
    "frequency": "freq", "seasonality": "season", "season_length": "season", "sp": "season", "clipnorm": "clip_norm",
    "early_stopping": "patience", "confidence": "level", "alpha": "level", "exog": "features", "covariates": "features",
    "hist_exog_list": "features", "futr_exog_list": "future", "stat_exog_list": "static", "folds": "n_windows",
    "n_splits": "n_windows", "folder": "out", "path": "out", "output": "out", "date": "time", "ds": "time",
    "y": "target", "unique_id": "id",
}  # fmt: skip


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


def unknown(names: Iterable[str], known: Iterable[str], whose: str) -> ConfigError:
    """The error for names that nobody knows, with the nearest one that somebody does.

    Example:
        >>> str(unknown(["epoch"], ["epochs", "units"], "kseq.compare"))
        'received epoch, expected an option of kseq.compare: did you mean epochs?'
    """
    names, known = list(names), list(known)
    first = names[0]
    close = difflib.get_close_matches(first, known, n=1)
    if ELSEWHERE.get(first.lower()) in known:
        close = [ELSEWHERE[first.lower()]]
    hint = f"did you mean {close[0]}?" if close else f"they are {', '.join(known)}."
    return ConfigError(f"received {', '.join(names)}, expected an option of {whose}: {hint}")


def settings_from(options: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> Settings:
    """Make settings of options by any of their names; None stands for the default.

    Args:
        options: Options by name: those of the command (``test_share``, ``seeds=5``), of :class:`kseq.Settings` and of
            :class:`kseq.training.budget.Training`.
        base: defaults that differ from those of :class:`kseq.Settings`, by the names of its fields.

    Raises:
        ConfigError: an unknown name, one given twice under two names, or a value that the setting cannot have.

    Example:
        >>> settings_from({"epochs": 50, "seeds": 3, "test_share": 0.3, "cells": "GRU"}).seeds
        (0, 1, 2)
    """
    known = defaults()
    wrong = [name for name in options if name not in known and name != "training"]
    if wrong:
        raise unknown(wrong, known, "kseq.compare")
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
    training = dict(given.pop("training", {}))
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
    found: dict[str, Own] = {**given.pop("own", {})}
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
    first = 0 if first is None else require_whole("seed", first)
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
        series: the series or panel that is forecast; None only where a call may be without one.
        settings: everything that decides the numbers.
        out: folder for the files of the run; None for none.
        escape_formulas: whether text that a spreadsheet would run is marked in CSV.
        predictions: file of the forecasts in that folder, one of :data:`kseq.validation.PREDICTIONS`.
    """

    series: Any
    settings: Settings
    out: Path | None = None
    escape_formulas: bool = False
    predictions: str = "csv"

    @contextlib.contextmanager
    def folder(self, kind: str = "run") -> "Iterator[Folder | None]":
        """Lock the folder for the run's files before any work is done; None where none is asked for."""
        if self.out is None:
            yield None
            return
        # It draws pictures, which a run without files does not.
        from kseq.report import run_folder

        origin = None if self.series is None else self.series.origin
        inputs = [Path(origin.arguments["path"])] if origin is not None and "path" in origin.arguments else []
        with contextlib.ExitStack() as stack:
            if self.escape_formulas:
                stack.enter_context(escaping())
            yield stack.enter_context(run_folder.folder(self.out, kind, inputs=inputs))


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
        series: anything that :func:`kseq.data.series_of` takes; None where ``options`` name a source.
        settings: all settings at once; None to make them of options.
        options: Options by name, see :func:`settings_from`; besides those of reading, :data:`READING` and
            :data:`SOURCES`, and of the place, :data:`PLACE`.
        base: As in :func:`settings_from`.
        needs_series: whether a call without a series is refused.

    Raises:
        BackendError: the backend is not there, or another one is at work.
        ConfigError: names that nobody knows, or settings given twice.
        DataError: the series cannot be read.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise ConfigError(f"received settings of type {type(settings).__name__}, expected kseq.Settings, or options.")
    own = {name: value for name, value in options.items() if name not in (*READING, *SOURCES, *PLACE)}
    if settings is not None and own:
        raise ConfigError(f"received settings and also {', '.join(own)}, expected one or the other.")
    _require_known(own)
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
    out = Path(given["out"]) if "out" in given else None
    predictions = require_predictions(given.get("predictions", "csv"))
    return Asked(data, made, out, bool(given.get("escape_formulas")), predictions)


def _require_known(own: Mapping[str, Any]) -> None:
    """Refuse names that are none of a setting, and say which one was meant."""
    for name, instead in SCREEN.items():
        if name in own:
            raise ConfigError(f"received {name}, which is about the command's screen; from Python there is {instead}.")
    known = [*defaults(), "training"]
    wrong = [name for name in own if name not in known]
    if wrong:
        raise unknown(wrong, [*known, *READING, *SOURCES, *PLACE], "kseq")


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
    """Let a function's signature name every option that it takes as a keyword, for editors and ``help``."""
    signature = inspect.signature(function)
    shown = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = dict.fromkeys((*SOURCES, *READING, *PLACE)) | defaults()
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in names.items()
        if name not in signature.parameters
    ]
    function.__dict__["__signature__"] = signature.replace(parameters=[*shown, *more])
    return function
