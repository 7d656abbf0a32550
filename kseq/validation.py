"""What a value of a setting may be, said in one place for Python callers and for the command line.

Every function returns the value that it was given, or raises :class:`kseq.errors.ConfigError` with a message that names
the parameter, what was received and what is expected.
"""

import importlib.util
import os
import re
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

from kseq.errors import ConfigError, DataError, Parameter
from kseq.naming import hint
from kseq.text import shown


class Bounds(NamedTuple):
    """The whole numbers that a setting may be, both ends among them."""

    least: int
    most: int


#: Bounds of every setting that is a whole number. The lower ones are what the setting means; the upper ones lie far
#: above anything that is of use, and keep typing errors from running for years or filling the memory.
WHOLE = {
    "lookback": Bounds(1, 1_000_000),
    "horizon": Bounds(1, 1_000_000),
    "steps": Bounds(1, 100_000),
    "season": Bounds(0, 1_000_000),
    "units": Bounds(1, 65_536),
    "num_layers": Bounds(1, 100),
    "members": Bounds(0, 10_000),
    "epochs": Bounds(1, 1_000_000),
    "patience": Bounds(0, 1_000_000),
    "batch_size": Bounds(0, 1_000_000),
    "max_steps": Bounds(0, 1_000_000_000),
    "windows_per_epoch": Bounds(0, 1_000_000_000),
    "n_windows": Bounds(0, 1_000_000),
    "step_size": Bounds(1, 1_000_000),
    "gap": Bounds(0, 1_000_000),
    "train_size": Bounds(1, 1_000_000_000),
    "n_seeds": Bounds(1, 10_000),
    "seed": Bounds(0, 2**32 - 1),
    "trials": Bounds(1, 100_000),
    "trial_seeds": Bounds(1, 10_000),
    "trials_at_once": Bounds(1, 10_000),
    "h": Bounds(1, 1_000_000),
    "rounds": Bounds(1, 10_000),
    "header": Bounds(0, 1_000_000),
    "skip_rows": Bounds(0, 1_000_000_000),
    "skip_footer": Bounds(0, 1_000_000),
    "features": Bounds(1, 1_000_000),
    "targets": Bounds(1, 1_000_000),
}  # fmt: skip


class Span(NamedTuple):
    """The numbers that a setting may be, both ends among them; ``zero`` says whether 0 is one of them besides."""

    least: float
    most: float
    zero: bool = False


#: Bounds of every setting that is a number. Single precision, in which networks are trained, has no smaller and no
#: larger ones than 1e-37 and 1e38; shares beyond a millionth leave a part without rows in any series.
NUMBER = {
    "learning_rate": Span(1e-37, 1e38),
    "weight_decay": Span(1e-37, 1e38, zero=True),
    "clip_norm": Span(1e-37, 1e38, zero=True),
    "dropout": Span(1e-6, 0.999, zero=True),
    "test": Span(1e-6, 0.999999),
    "validation": Span(1e-6, 0.999999, zero=True),
    "level": Span(1, 99.999),
}

#: Kinds of files for the forecasts of a run; none of them for ``"none"``.
PREDICTIONS = ("csv", "parquet", "none")

#: How trials of a tuning may be ended early, see :class:`kseq.experiments._study.Pruning`.
PRUNERS = ("none", "median", "halving")

#: The largest number of values in a list.
LISTED = 1000

#: The longest path, and the longest name in one, that file systems know.
_PATH, _NAME = 4096, 255


def require_whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Refuse what is not a whole number within bounds.

    Args:
        name: Name of the parameter.
        value: The value that was received; NumPy's integers count as whole numbers, True and 1.0 do not.
        least: The smallest number allowed; by default that of :data:`WHOLE`.
        most: The largest number allowed; by default that of :data:`WHOLE`.

    Raises:
        ConfigError: It is none.

    Example:
        >>> require_whole("horizon", 12)
        12
    """
    bounds = WHOLE.get(name, Bounds(0, 2**63 - 1))
    least, most = bounds.least if least is None else least, bounds.most if most is None else most
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise ConfigError("received ", Parameter(name), f" {shown(value)}, expected a whole number from {least}.")
    if value > most:
        raise ConfigError("received ", Parameter(name), f" {shown(value)}, expected at most {most}.")
    return int(value)


def require_number(name: str, value: Any, span: Span | None = None) -> float:
    """Refuse what is not a finite number within bounds.

    Args:
        name: Name of the parameter.
        value: The value that was received.
        span: The numbers allowed; by default that of :data:`NUMBER`.

    Raises:
        ConfigError: It is none.

    Example:
        >>> require_number("dropout", 0.2)
        0.2
    """
    span = span or NUMBER[name]
    number = isinstance(value, Real) and not isinstance(value, bool)
    # A comparison with NaN is False. A whole number may be too large for a float.
    if number and ((span.zero and value == 0) or span.least <= value <= span.most):
        return float(value)
    raise ConfigError("received ", Parameter(name), f" {shown(value)}, expected {expected(span, value)}.")


def expected(span: Span, value: Any = None) -> str:
    """Say which numbers a setting may be.

    Args:
        span: The numbers.
        value: What was received: of a share its ends where it lies close to one, what is meant where it is in percent.

    Example:
        >>> expected(NUMBER["dropout"], 20), expected(NUMBER["dropout"], 1e-9)
        ('0 or a number between 0 and 1 (20 % is 0.2)', '0 or a number from 1e-06 to 0.999')
    """
    number = float(value) if isinstance(value, int | float) and -1 <= value <= 100 else float("nan")
    share = span.least < 1e-3 and 0.99 < span.most < 1
    if share and not 0 < number < 1:
        percent = f" ({number:g} % is {number / 100:g})" * (1 < number < 100)
        return f"{'0 or ' * span.zero}a number between 0 and 1{percent}"
    return f"{'0 or ' * span.zero}a number from {span.least:g} to {span.most:.10g}"


def require_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Refuse a word that is not one of those known.

    Args:
        name: Name of the parameter.
        value: The value that was received.
        choices: Words to choose from.

    Raises:
        ConfigError: It is none of them.

    Example:
        >>> require_choice("match", "params", ("units", "params"))
        'params'
    """
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        near = hint(value, known)
        raise ConfigError(
            "received ", Parameter(name), f" {shown(value)}, expected one of {', '.join(known)}{near or '.'}"
        )  # fmt: skip
    return value


def require_each_once(name: str, values: Any, *, empty: bool = False) -> None:
    """Refuse values of which one stands twice, values that are no list, and by default a list without any.

    Args:
        name: Name of the parameter.
        values: A tuple or another sequence, no text.
        empty: Whether there may be none.

    Raises:
        ConfigError: They are such.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | range):
        raise ConfigError("received ", Parameter(name), f" {shown(values)}, expected a tuple of values.")
    if not len(values) and not empty:
        raise ConfigError("received ", Parameter(name), f" {shown(values)}, expected at least one.")
    if len(values) > max(LISTED, WHOLE["n_seeds"].most):
        raise ConfigError("received ", f"{len(values):,} ", Parameter(name), f", expected at most {LISTED}.")
    if len(set(values)) != len(values):
        raise ConfigError("received ", Parameter(name), f" {shown(values)}, expected each once.")


def require_levels(name: str, values: Any) -> tuple[float, ...]:
    """Refuse percentages that intervals cannot cover, and two that columns would call alike.

    Args:
        name: Name of the parameter.
        values: Percentages; none of them for no intervals.

    Raises:
        ConfigError: One is not a percentage from 1 to 99.999, or two are the same in six digits.

    Example:
        >>> require_levels("level", (80, 95))
        (80, 95)
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigError("received ", Parameter(name), f" {shown(values)}, expected a tuple of percentages.")
    values, span = tuple(values), NUMBER["level"]
    for value in values:
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not span.least <= value <= span.most:
            share = f" ({value:g} is {100 * value:g} %)" if number and 0.5 <= value < 1 else ""
            raise ConfigError(
                "received ", Parameter(name), f" {shown(value)}, expected percentages between 0 and 100, each "
                f"once, from {span.least:g} to {span.most:g}{share}.",
            )  # fmt: skip
    if len({f"{value:g}" for value in values}) != len(values):
        raise ConfigError(
            "received ", Parameter(name), f" {shown(values)}, expected percentages between 0 and 100, each once: some "
            "are the same in six digits.",
        )  # fmt: skip
    return values


def require_predictions(value: Any) -> str:
    """Refuse what is no kind of file for a run's forecasts, and Parquet without pyarrow.

    Args:
        value: One of :data:`PREDICTIONS`.

    Raises:
        ConfigError: It is none of them, or pyarrow is not installed.
    """
    require_choice("predictions", value, PREDICTIONS)
    if value == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(
            "received ", Parameter("predictions"), " parquet, which needs pyarrow; run pip install 'kseq[parquet]'."
        )  # fmt: skip
    return value


def require_path(path: Any) -> Path:
    """Refuse what is no name of a file.

    Args:
        path: Name or path.

    Raises:
        DataError: It is neither.
        ConfigError: It is empty.

    Example:
        >>> require_path("sst.csv").suffix
        '.csv'
    """
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"received type {type(path).__name__}, expected a path, the name of a file or a folder.")
    if not os.fspath(path):
        raise ConfigError('received "" for a file or a folder, expected its name ("." for this folder).')
    return Path(path)


def path_problem(path: str | os.PathLike[str]) -> str | None:
    """Say why no file can have such a name; None where one can.

    Example:
        >>> path_problem("sst.csv") is None, path_problem("a" * 10_000)
        (True, 'a name of 10,000 bytes, expected at most 255')
    """
    text = os.fspath(path)
    if not text.strip():
        return "an empty name"
    if "\0" in text:
        return "a name with a NUL character, expected a name without"
    if any("\ud800" <= character <= "\udbff" or "\udd00" <= character <= "\udfff" for character in text):
        return "a name with characters that are no text, expected a name without"
    longest = max(_size(part) for part in text.split(os.sep))
    if longest > _NAME:
        return f"a name of {longest:,} bytes, expected at most {_NAME}"
    return f"a path of {_size(text):,} bytes, expected at most {_PATH:,}" if _size(text) > _PATH else None


def _size(text: str) -> int:
    # Names that are no text in the file system's encoding come as surrogates; others of them have no bytes at all.
    return len(text.encode("utf-8", "surrogatepass"))


def several(names: Any) -> Any:
    """Names one by one; a text may hold several, with commas between them, other than those within parentheses.

    Example:
        >>> several("AR(12), ETS(A,N,A)")
        ('AR(12)', 'ETS(A,N,A)')
    """
    if isinstance(names, str):
        return tuple(part.strip() for part in re.split(r",(?![^(]*\))", names) if part.strip())
    return tuple(names) if isinstance(names, Iterable) else names


def numbers_in(value: Any) -> Any:
    """Numbers that are written as text, ``"64,32"``, as the command takes them; other values stay as they are."""
    if not isinstance(value, str):
        return value
    try:
        numbers = tuple(float(part) if "." in part else int(part) for part in value.split(","))
    except ValueError:
        return value
    return numbers if len(numbers) > 1 else numbers[0]
