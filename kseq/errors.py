"""Every error that kseq raises on purpose.

A message says what was received, what was expected and what to do. The command line prints it as one line and
exits with status 2; a script catches :class:`KseqError` for all of them.
"""

from collections.abc import Callable, Iterable
from pathlib import Path


class Parameter(str):
    """The name of a parameter inside a message.

    A Python caller reads the name itself, a user of the command line the option that sets it, so that a message says
    ``batch_size`` to the one and ``--batch-size`` to the other.
    """


class Given(Parameter):
    """A parameter with a value, as it is to be given: ``fill="ffill"`` to a Python caller, ``--fill ffill`` to others.

    Args:
        name: The parameter.
        value: Its value; True is a flag of the command line.
        typed: The value as it is typed on the command line; by default its text.

    Example:
        >>> error = DataError("3 missing values; give ", Given("fill", "ffill"), ".")
        >>> str(error), error.told(lambda name: "--" + name)
        ("3 missing values; give fill='ffill'.", '3 missing values; give --fill ffill.')
    """

    value: object
    typed: str

    def __new__(cls, name: str, value: object = None, typed: str | None = None) -> "Given":
        """Make the name, with the value at its side."""
        made = super().__new__(cls, name)
        made.value = value
        made.typed = ("" if value is True else str(value)) if typed is None else typed
        return made


class FileOption(Parameter):
    """An option that names what is read: a user of the command line reads it, a Python caller the path alone.

    Example:
        >>> error = DataError("received ", FileOption("read_csv"), "sst.csv, which does not exist.")
        >>> str(error), error.told(lambda name: "--csv")
        ('received sst.csv, which does not exist.', 'received --csv sst.csv, which does not exist.')
    """


def joined(names: Iterable[str]) -> list[str]:
    """Names of parameters as pieces of a message, with commas between them."""
    pieces = [piece for name in names for piece in (", ", Parameter(name))]
    return pieces[1:]


class KseqError(Exception):
    """Base of the errors that a user can mend.

    Args:
        *parts: The message, in pieces that are joined without anything between them. A piece that names a parameter is
            a :class:`Parameter`; everything else is plain text.

    Example:
        >>> error = KseqError("received ", Parameter("batch_size"), " -1, expected a whole number from 0.")
        >>> str(error)
        'received batch_size -1, expected a whole number from 0.'
        >>> error.told(lambda name: "--" + name.replace("_", "-"))
        'received --batch-size -1, expected a whole number from 0.'
    """

    def __init__(self, *parts: str):
        super().__init__(*parts)

    def __str__(self) -> str:
        return "".join(_in_python(part) for part in self.args)

    def told(self, name: Callable[[Parameter], str]) -> str:
        """The message on the command line, with each parameter as ``name`` calls it."""
        return "".join(_typed(part, name) if isinstance(part, Parameter) else str(part) for part in self.args)


class DataError(KseqError):
    """A series, a file or a column cannot be used as it is."""


class ConfigError(KseqError):
    """A setting is out of range or contradicts another one."""


class OutputError(ConfigError):
    """Results cannot be written where they belong.

    Args:
        message: Says why, and where they are instead.
        files: Paths of the files that hold them now; empty where there are none.
    """

    def __init__(self, message: str, files: Iterable[Path] = ()):
        super().__init__(message)
        self.files = list(files)


class BackendError(KseqError):
    """A Keras backend or a device is asked for that this machine does not have."""


class Unsupported(KseqError):
    """A kernel declines a layer's settings; the layer then runs Keras's own path.

    Args:
        reason: One short phrase, recorded with the result ("recurrent_dropout > 0").
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def _in_python(part: object) -> str:
    """A piece of a message in the words of Python."""
    if isinstance(part, Given):
        return f"{part!s}={part.value!r}"
    return "" if isinstance(part, FileOption) else str(part)


def _typed(part: Parameter, name: Callable[[Parameter], str]) -> str:
    """A parameter in the words of the command line."""
    called = name(part)
    if isinstance(part, Given):
        return f"{called} {part.typed}".rstrip()
    if isinstance(part, FileOption):
        # Of a command that takes the path without an option.
        return "" if called == str(part) else f"{called} "
    return called
