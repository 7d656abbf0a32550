"""The one place where text goes to a terminal.

Names come from files, and a terminal obeys some characters: they are written out before they are printed. What is meant
for a program, CSV and JSON, goes into a file or a pipe as it is.
"""

import sys
import time
from types import TracebackType
from typing import Any

import click

from kseq import signals
from kseq.text import visible
from kseq.training.progress import Block

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


class Progress:
    """Says how far a training is: a bar on a terminal; elsewhere a line a finished block of seeds, on standard error.

    ``--quiet`` silences both, ``--verbose`` prints the lines beside the bar too.

    Args:
        trainings: how many there are in all, a seed of a cell in each fold counting as one; 0 where that is not known.
    """

    def __init__(self, trainings: int = 0) -> None:
        from rich import progress
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self.bar = progress.Progress(
            # Names are no markup: "[red]" is part of a name.
            TextColumn("{task.description}", markup=False), BarColumn(),
            TextColumn("{task.fields[unit]} {task.completed:.0f}/{task.total:.0f}", markup=False), TimeElapsedColumn(),
            console=console, transient=True, disable=is_quiet() or not console.is_terminal,
        )  # fmt: skip
        self.trainings, self.done = trainings, 0
        self.lines = not is_quiet() and (is_verbose() or not console.is_terminal)
        self.task: Any = None
        self.started = time.perf_counter()

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.stop()
        if kind is None:
            signals.check()

    def __call__(self, what: str, epoch: int, epochs: int) -> None:
        """Show that ``what`` ("LSTM, seeds 0-4") has trained ``epoch`` of ``epochs``."""
        announced()
        # An exception that a signal has raised may have got lost on its way.
        signals.check()
        # Exponential smoothing, which is fitted series by series, tells how many series are done.
        unit = "series" if what.startswith("ETS") else "epoch"
        what = visible(what)
        if self.task is None:
            self.task = self.bar.add_task(what, total=epochs, unit=unit)
        self.bar.update(self.task, description=what, completed=epoch, total=epochs, unit=unit)

    def block_done(self, block: Block) -> None:
        """Say that a block of seeds is done, and how many trainings are."""
        self.done += block.seeds
        if not self.lines:
            return
        shortest, longest = min(block.epochs), max(block.epochs)
        epochs = f"{longest}" if shortest == longest else f"{shortest}-{longest}"
        of_all = f" of {self.trainings}" if self.trainings else ""
        kernel = f", kernel {block.kernel}" if block.kernel and is_verbose() else ""
        done = f"{self.done}{of_all} training{'s' * (max(self.done, self.trainings) > 1)} done"
        line = f"{block.what}: {epochs} epoch{'s' * (longest > 1)}, {block.seconds:.1f} s{kernel}; {done}"
        if self.bar.disable:
            say(line, err=True)
        else:
            self.bar.console.print(visible(line), markup=False, highlight=False)
