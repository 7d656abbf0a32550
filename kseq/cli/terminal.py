"""The one place where text goes to a terminal.

Names come from files, and a terminal obeys some characters: they are written out before they are printed. What is meant
for a program, CSV and JSON, goes into a file or a pipe as it is.
"""

import sys

import click

from kseq.text import visible

_QUIET, _VERBOSE, _ANNOUNCED = "kseq.quiet", "kseq.verbose", "kseq.announced"


def set_quiet(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Remember ``--quiet``, wherever on the line it stands."""
    _remember(context, _QUIET, value)


def set_verbose(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Remember ``--verbose``, wherever on the line it stands."""
    _remember(context, _VERBOSE, value)


def _remember(context: click.Context, key: str, value: bool) -> None:
    # The contexts of a group and of its command share this mapping.
    context.meta[key] = context.meta.get(key, False) or value
    if context.meta.get(_QUIET) and context.meta.get(_VERBOSE):
        raise click.UsageError("received --quiet and --verbose, expected one of them.")


def is_quiet() -> bool:
    """Whether ``--quiet`` was given."""
    return _is(_QUIET)


def is_verbose() -> bool:
    """Whether ``--verbose`` was given."""
    return _is(_VERBOSE)


def _is(key: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(key))


def say(text: str, err: bool = False) -> None:
    """Print text for people."""
    _print(visible(text, keep="\n"), err)


def note(text: str, err: bool = True) -> None:
    """Print what stands beside the result, unless ``--quiet`` was given."""
    if not is_quiet():
        say(text, err)


def announce(text: str) -> None:
    """Print what was read on standard error, before the first training or the first other output.

    An error that comes before is then one line.
    """
    context = click.get_current_context(silent=True)
    if context is None or is_quiet():
        return
    context.meta.setdefault(_ANNOUNCED, []).append(text)


def announced() -> None:
    """Print what waits to be announced."""
    context = click.get_current_context(silent=True)
    for text in context.meta.pop(_ANNOUNCED, []) if context is not None else []:
        _print(visible(text, keep="\n"), err=True)


def detail(text: str) -> None:
    """Print what only ``--verbose`` asks for."""
    if is_verbose():
        say(text, err=True)


def data(text: str) -> None:
    """Print CSV or JSON: as it is for a program, with its characters written out on a terminal."""
    _print(visible(text, keep="\n") if sys.stdout.isatty() else text, err=False)


def _print(text: str, err: bool) -> None:
    announced()
    stream = sys.stderr if err else sys.stdout
    # An encoding that lacks a character must not cost the result.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)
