"""What an option may hold: the kinds of values that click does not know."""

from pathlib import Path
from typing import Any

import click


class Whole(click.ParamType):
    """A whole number from ``least``."""

    name = "number"

    def __init__(self, least: int):
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return an int."""
        try:
            number = int(value)
        except ValueError:
            number = self.least - 1
        if number < self.least:
            self.fail(f"received {value}, expected a whole number from {self.least}.", param, ctx)
        return number


class Folder(click.Path):
    """A folder to write into; it need not be there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path; an empty name, which a shell makes of an unset variable, would be the current folder."""
        if not str(value).strip():
            self.fail(f"received {value!r}, expected the name of a folder; . is the current one.", param, ctx)
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
            self.fail(f"received {value}, expected each once.", param, ctx)
        return parts

    def split(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split at commas; blanks around a value are left out."""
        parts = tuple(part.strip() for part in value.split(","))
        if not all(parts):
            self.fail(f"received {value!r}, expected values with commas between them.", param, ctx)
        return parts


class Wholes(CommaList):
    """Whole numbers from 1: ``1,5,10``."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of ints."""
        if not isinstance(value, str):
            return value
        return tuple(Whole(1).convert(part, param, ctx) for part in self.split(value, param, ctx))


class Numbers(CommaList):
    """Numbers: ``0.001,0.01``."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of floats."""
        if not isinstance(value, str):
            return value
        try:
            return tuple(float(part) for part in self.split(value, param, ctx))
        except ValueError:
            self.fail(f"received {value!r}, expected numbers with commas between them.", param, ctx)


class Units(Wholes):
    """One whole number, or one a layer: ``32`` or ``64,32``."""

    name = "units"

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
        try:
            return tuple(float(part) for part in self.split(value, param, ctx))
        except ValueError:
            self.fail(f"received {value!r}, expected percentages between 0 and 100, or none.", param, ctx)


class Transforms(click.ParamType):
    """Transforms, whose steps have commas between them: ``none/anomaly,change``."""

    name = "transforms"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of strings."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split("/"))


POSITIVE, FROM_ZERO = Whole(1), Whole(0)
