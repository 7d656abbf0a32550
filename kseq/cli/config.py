"""``--config FILE``: options of a command from a TOML file.

What is typed beats the file, and the file beats the built-in defaults. Keys are the names of options, and a value means
what it means when typed, so that the same types read both. A file may serve several commands::

    epochs = 100               # of whichever command reads the file

    [compare]                  # of `kseq compare` alone
    csv = "sst.csv"            # from the folder of this file
    cells = ["lstm", "gru"]
    bidirectional = true
"""

import reprlib
import tomllib
from pathlib import Path
from typing import Any

import click

from kseq.cli.options import CONFIG_FILE
from kseq.cli.types import CommaList, File, Folder, Mark
from kseq.errors import ConfigError
from kseq.naming import nearest

#: Largest file that is read, in bytes, and largest whole number.
LARGEST, LARGEST_NUMBER = 2**20, 2**63


def configurable(command: click.Command) -> click.Command:
    """Give a command ``--config``, if it has options: those that it has, and any that it gets later."""
    if any(isinstance(parameter, click.Option) for parameter in command.params):
        command.params.append(
            click.Option(
                ["--config"],
                type=File(),
                metavar="FILE",
                # Read before all others, so that they find their defaults in it.
                is_eager=True,
                expose_value=False,
                callback=_take,
                help="TOML file of options; those typed here come first.",
            )
        )
    return command


def _take(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.meta[CONFIG_FILE] = path
        context.default_map = {**(context.default_map or {}), **_defaults(path, context)}


def _defaults(path: Path, context: click.Context) -> dict[str, Any]:
    """Read a command's values from a file, as click's ``default_map`` takes them."""
    options = _by_name(context.command)
    values: dict[str, Any] = {}
    for name, value in _entries(_read(path), path, context).items():
        if name not in options:
            near = nearest(name, options)
            hint = f"did you mean {near}?" if near else f"`{context.command_path} --help` lists them."
            raise ConfigError(f"received {name} in {path}, expected options of {context.command_path}: {hint}")
        option = options[name]
        values[str(option.name)] = _value(value, option, f"{path}, {name}", path.parent, context)
    return values


def _by_name(command: click.Command) -> dict[str, click.Option]:
    """The options that a file may hold, by their long names without dashes in front."""
    return {
        text.removeprefix("--"): parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name != "config"
        for text in parameter.opts
        if text.startswith("--")
    }


def _read(path: Path) -> dict[str, Any]:
    # NumPy comes with it.
    from kseq.storage.regular import read_regular

    try:
        # Some editors put a mark of the encoding first.
        return tomllib.loads(read_regular(path, LARGEST).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"received --config {path}, which does not exist; expected a TOML file.") from error
    except OSError as error:
        raise ConfigError(
            f"received --config {path}, which cannot be read ({error.strerror}); expected a TOML file."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"received --config {path}, which is not UTF-8 text; expected a TOML file.") from error
    except tomllib.TOMLDecodeError as error:
        record = "; a run's record is repeated by `kseq reproduce`" if path.suffix == ".json" else ""
        raise ConfigError(
            f"received --config {path}, which is not TOML ({error}); expected lines such as units = 32{record}."
        ) from error
    except RecursionError as error:
        raise ConfigError(
            f"received --config {path}, which is nested too deeply; expected lines such as units = 32."
        ) from error
    except ValueError as error:
        # A name with a zero byte; a whole number of thousands of digits.
        raise ConfigError(f"received --config {path}, which cannot be read ({error}); expected a TOML file.") from error


def _entries(content: dict[str, Any], path: Path, context: click.Context) -> dict[str, Any]:
    """What a file says to a command: its own table comes before what stands above all tables."""
    group = context.find_root().command
    commands = group.commands if isinstance(group, click.Group) else {}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    for name in tables:
        if name not in commands:
            raise ConfigError(f"received [{name}] in {path}, expected a table of {', '.join(commands)}.")
    shared = {key: value for key, value in content.items() if key not in tables}
    return _dashed(shared, path) | _dashed(tables.get(context.info_name or "", {}), path)


def _dashed(entries: dict[str, Any], path: Path) -> dict[str, Any]:
    """Entries by names as they are typed: ``batch-size`` for ``batch_size``."""
    dashed: dict[str, Any] = {}
    for key, value in entries.items():
        name = key.replace("_", "-")
        if name in dashed:
            raise ConfigError(f"received {name} twice in {path}, with dashes and with underscores; expected it once.")
        dashed[name] = value
    return dashed


def _value(value: Any, option: click.Option, where: str, folder: Path, context: click.Context) -> Any:
    """Check a value by the option's own type, and give it as it would be typed; flags are true or false."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: received {_shown(value)}, expected true or false.")
        return value
    text = _text(value, option, where)
    if isinstance(option.type, click.Path) and text and text != "-":
        # An absolute path stays as it is.
        text = str(folder / text)
    if not text.strip() and not isinstance(option.type, Folder | CommaList | Mark):
        raise ConfigError(f"{where}: received {text!r}, expected a value; leave it out, or give one.")
    given: Any = (text,) if option.multiple else text
    try:
        option.type_cast_value(context, given)
    except click.BadParameter as error:
        raise ConfigError(f"{where}: {error.message}") from error
    except ValueError as error:
        # A name of a file with a zero byte, which no shell can type.
        raise ConfigError(f"{where}: received {_shown(value)} ({error}), expected another.") from error
    return given


def _text(value: Any, option: click.Option, where: str) -> str:
    if isinstance(value, list) and (isinstance(option.type, CommaList) or option.multiple):
        parts = [_text(part, option, where) for part in value if not isinstance(part, list)]
        if len(parts) == len(value) and not any("," in part for part in parts):
            return ",".join(parts)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGEST_NUMBER:
        raise ConfigError(f"{where}: received a whole number of {value.bit_length()} bits, expected one of 63 at most.")
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    kinds = "a text, a number or a list of them" if isinstance(option.type, CommaList) else "a text or a number"
    raise ConfigError(f"{where}: received {_shown(value)}, expected {kinds}.")


def _shown(value: Any) -> str:
    """A value as a message shows it; of a whole number of thousands of digits Python shows none."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of thousands of digits"
