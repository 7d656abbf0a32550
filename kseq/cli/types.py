"""What an option may hold: the kinds of values that click does not know."""

import re
import stat
from pathlib import Path
from typing import Any

import click

from kseq.errors import ConfigError
from kseq.text import shortened, visible
from kseq.validation import LISTED, NUMBER, WHOLE, expected, path_problem, require_levels

#: A whole number and a number as they are typed. Python reads more than these: digits of other scripts, underscores.
_WHOLE, _NUMBER = re.compile(r"[+-]?[0-9]+"), re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.I)

#: Names of what a shell or another program hands over, already opened.
HANDED = re.compile(r"-|/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+")

#: Digits that no setting has more of.
_DIGITS = 30


def typed(value: object) -> str:
    """What was typed, as a message shows it."""
    text = str(value)
    if len(text) > 60:
        return f"{visible(text[:40])}... ({len(text):,} characters)"
    return visible(text) if text.strip() == text and text else visible(repr(text))


class Whole(click.ParamType):
    """A whole number within the bounds of a setting.

    Args:
        setting: Name of the setting in :data:`kseq.validation.WHOLE`.
        least: The smallest number, where it is not that of the setting.
    """

    name = "number"

    def __init__(self, setting: str, least: int | None = None):
        bounds = WHOLE[setting]
        self.least, self.most = bounds.least if least is None else least, bounds.most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return an int."""
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        text = str(value).strip()
        whole = _WHOLE.fullmatch(text) is not None
        if whole and not text.startswith("-") and len(text.lstrip("+0")) > _DIGITS:
            self.fail(f"received {typed(value)}, expected at most {self.most}.", param, ctx)
        if not whole or text.startswith("-") or int(text[-_DIGITS:]) < self.least:
            self.fail(f"received {typed(value)}, expected a whole number from {self.least}.", param, ctx)
        number = int(text[-_DIGITS:])
        if number > self.most:
            self.fail(f"received {typed(value)}, expected at most {self.most}.", param, ctx)
        return number


class Number(click.ParamType):
    """A number within the bounds of a setting.

    Args:
        setting: Name of the setting in :data:`kseq.validation.NUMBER`.
    """

    name = "float"

    def __init__(self, setting: str):
        self.span = NUMBER[setting]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return a float."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        number = float(text) if _NUMBER.fullmatch(text) and len(text) <= 100 else float("nan")
        if not ((self.span.zero and number == 0) or self.span.least <= number <= self.span.most):
            self.fail(f"received {typed(value)}, expected {expected(self.span, number)}.", param, ctx)
        return number


class Text(click.ParamType):
    """A short text that can be shown in a line.

    Args:
        most: Characters that it may have.
    """

    name = "text"

    def __init__(self, most: int = 100):
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        text = str(value)
        if len(text) > self.most:
            self.fail(f"received {typed(text)}, expected at most {self.most} characters.", param, ctx)
        if visible(text) != text:
            self.fail(f"received {visible(text)}, expected text without control characters.", param, ctx)
        return text


class File(click.Path):
    """A file to read or to write, or a folder where a command says so; it need not be there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path that a file can have; devices and pipes are no files."""
        problem = path_problem(value)
        if problem is not None:
            self.fail(f"received {typed(value)}, {problem}.", param, ctx)
        path = Path(value)
        try:
            mode = path.stat().st_mode
        except OSError:
            # Missing, or not to be reached: the reader says which.
            return path
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            self.fail(f"received {typed(value)}, a device or a pipe, expected a file.", param, ctx)
        return path


class DataFile(File):
    """A file to read, or what is piped in: ``-``, ``/dev/stdin`` or ``/dev/fd/N``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path; whether a pipe can be read is for its reader to say."""
        return Path(value) if HANDED.fullmatch(str(value)) else super().convert(value, param, ctx)


class Mark(click.ParamType):
    """A character, which may be a blank, or a word for one."""

    name = "mark"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        text = str(value)
        if not text or len(text) > 10:
            self.fail(f"received {typed(text)}, expected a character.", param, ctx)
        return text


class Folder(click.Path):
    """A folder to write into; it need not be there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path; an empty name, which a shell makes of an unset variable, would be the current folder."""
        if not str(value).strip():
            self.fail(f"received {value!r}, expected the name of a folder; . is the current one.", param, ctx)
        problem = path_problem(value)
        if problem is not None:
            self.fail(f"received {typed(value)}, {problem}.", param, ctx)
        return super().convert(value, param, ctx)


class CommaList(click.ParamType):
    """Comma-separated values, each once: ``rnn,lstm``."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of strings."""
        if isinstance(value, tuple):
            return value
        parts = self.split(value, param, ctx)
        if len(set(parts)) != len(parts):
            self.fail(f"received {typed(value)}, expected each once.", param, ctx)
        return parts

    def split(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split at commas; blanks around a value are left out."""
        parts = tuple(part.strip() for part in value.split(","))
        if not all(parts):
            self.fail(f"received {visible(shortened(repr(value), 100))}, expected values with commas between them.",
                      param, ctx)  # fmt: skip
        if len(parts) > LISTED:
            self.fail(f"received {len(parts):,} values, expected at most {LISTED:,}.", param, ctx)
        return parts


class Each(CommaList):
    """Values of one kind with commas between them: ``1,5,10``.

    Args:
        kind: Type of each value.
    """

    name = "numbers"

    def __init__(self, kind: click.ParamType):
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple."""
        if not isinstance(value, str):
            return value
        parts = self.split(value, param, ctx)
        return tuple(self.kind.convert(part, param, ctx) for part in parts)


class Units(Each):
    """One whole number, or one a layer: ``32`` or ``64,32``."""

    name = "units"

    def __init__(self) -> None:
        super().__init__(Whole("units"))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an int, or a tuple of them."""
        numbers = super().convert(value, param, ctx)
        return numbers[0] if isinstance(numbers, tuple) and len(numbers) == 1 else numbers


class Levels(CommaList):
    """Percentages: ``80,95``, or ``none``."""

    name = "levels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of floats; of nothing for ``none``."""
        if not isinstance(value, str):
            return value
        if value == "none":
            return ()
        parts = self.split(value, param, ctx)
        if not all(_NUMBER.fullmatch(part) and len(part) <= 100 for part in parts):
            self.fail(f"received {visible(shortened(repr(value), 100))}, expected percentages between 0 and 100, or "
                      "none.", param, ctx)  # fmt: skip
        try:
            return require_levels("level", tuple(float(part) for part in parts))
        except ConfigError as error:
            self.fail(error.told(str), param, ctx)


class Transforms(click.ParamType):
    """Transforms, whose steps have commas between them: ``none/anomaly,change``."""

    name = "transforms"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of strings."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split("/"))


class Horizons(File):
    """A file of two columns, ids and steps: read to a mapping."""

    name = "horizons"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return steps by id."""
        if isinstance(value, dict):
            return value
        import pandas as pd

        from kseq.storage.regular import open_regular

        path = super().convert(value, param, ctx)
        try:
            with open_regular(path) as file:
                frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            # Not there, a folder, empty, torn lines, or no text.
            told = shortened(" ".join(str(getattr(error, "strerror", None) or error).split()), 100)
            self.fail(f"received {visible(str(path))}, which cannot be read ({told}); expected a CSV file with a "
                      "header and two columns, ids and steps.", param, ctx)  # fmt: skip
        steps = frame.iloc[:, -1].str.fullmatch("[0-9]{1,9}") if frame.shape[1] == 2 else pd.Series([False])
        if not steps.all() or frame.iloc[:, 0].duplicated().any():
            self.fail(f"received {visible(str(path))}, expected a header and two columns: each id once, and whole "
                      "numbers of steps.", param, ctx)  # fmt: skip
        return dict(zip(frame.iloc[:, 0], frame.iloc[:, 1].astype(int), strict=True))
