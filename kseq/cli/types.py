"""What an option may hold: the kinds of values that click does not know."""

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


class Units(CommaList):
    """One whole number, or one a layer: ``32`` or ``64,32``."""

    name = "units"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an int, or a tuple of them."""
        if not isinstance(value, str):
            return value
        numbers = tuple(Whole(1).convert(part, param, ctx) for part in self.split(value, param, ctx))
        return numbers[0] if len(numbers) == 1 else numbers


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


POSITIVE, FROM_ZERO = Whole(1), Whole(0)
