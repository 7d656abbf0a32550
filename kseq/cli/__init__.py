"""The command line: parse, call, print, exit. Keras and the frameworks are imported only once a command needs them.

A file a command, which is imported once it is named; :func:`main` turns errors into one line and a status.
"""

import copy
import errno
import functools
import importlib
import logging
import os
import sys
import traceback
import warnings

import click

from kseq import signals, startup
from kseq._version import __version__
from kseq.cli.command import talkative
from kseq.cli.terminal import say
from kseq.errors import KseqError
from kseq.text import shortened

#: What a script learns from the exit status.
STATUS = """Exit codes: 0, done; 1, a check that was asked for found something, or kseq is at fault; 2, something was
refused that you can mend, and nothing was written; 130, stopped by Ctrl-C. Errors are one line on standard error."""


#: Commands, each in a module of its name, with the lines of `kseq --help`: shown without an import of the module.
COMMANDS = {
    "compare": "Train the cells on a series and compare them with baselines.",
    "judge": "Judge forecasts that anyone made by the same tests.",
    "explain": "Show why a cell does well: gradients, memory and gates.",
    "tune": "Choose each cell's settings, then compare the chosen ones.",
    "fit": "Train one cell on a whole series, and save it.",
    "forecast": "Forecast the steps after a series with a saved model.",
    "evaluate": "Score a saved model on rows of a file.",
    "export": "Export a saved model to ONNX, a SavedModel or PyTorch.",
    "audit": "Look for leaks: what moves before a cutoff that changes after it.",
    "reproduce": "Make a run again from its record, and compare every figure.",
    "runs": "List runs, finished ones and those that can go on.",
    "report": "Make the page of a run's folder again.",
    "data": "List the built-in series, or show what is read of a file.",
    "info": "Show versions, installed backends and their devices.",
    "bench": "Time training against stock Keras and a hand-written loop.",
}


@functools.cache
def load(name: str) -> click.Command:
    """Import a command.

    Args:
        name: One of :data:`COMMANDS`.

    Returns:
        click.Command: The command with all its options.

    Example:
        >>> load("fit").name
        'fit'
    """
    from kseq.cli.config import configurable

    found = copy.copy(getattr(importlib.import_module(f"kseq.cli.{name}"), name))
    # Others take over the options that the module names, without those that all have.
    found.params = [*found.params]
    return configurable(talkative(found))


class _Stopped(BaseException):
    """An interrupt on its way past click, which would answer it itself."""

    def __init__(self, interrupt: KeyboardInterrupt):
        super().__init__()
        self.interrupt = interrupt


class _Commands(click.Group):
    """Commands that are imported once they are named: help and completion of their names read the lines alone."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the command that was named."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, None if found is None or found.name is None else load(found.name), rest

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Stopped(error) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=STATUS,
)
@click.version_option(__version__, prog_name="kseq")
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
def cli(debug: bool) -> None:
    """Which recurrent cell, SimpleRNN, LSTM or GRU, serves this series, and is it better than a baseline?"""


for _name, _line in COMMANDS.items():
    cli.add_command(click.Command(_name, short_help=_line))
talkative(cli)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Arguments in place of ``sys.argv[1:]``.

    Returns:
        int: 0; 1 where a check that was asked for finds something, or where kseq is at fault; 2 where the user can
        mend something; 130 after Ctrl-C, SIGTERM or SIGHUP.
    """
    with signals.listening():
        if arguments is None:
            arguments = sys.argv[1:]
            startup.lighten_imports()
            _silence()
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    # Matplotlib's words on its folder and fonts are no concern of someone who compares models; its errors are.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        # What a command returns is nothing, or the status that it exits with.
        return cli.main(arguments, prog_name="kseq", standalone_mode=False) or 0
    except (KseqError, click.ClickException) as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            say(error.format_message(), err=True)
            return 2
        return _fail(error.format_message() if isinstance(error, click.ClickException) else str(error), 2)
    except _Stopped as error:
        return _stopped(error.interrupt)
    except (KeyboardInterrupt, click.Abort) as error:
        return _stopped(error)
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone: nobody to tell, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        if signals.received():
            # What an interrupted import or a closed terminal makes of it.
            return _stopped(error)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _fail("no space is left on the disk that is written to; make room and run it again.", 2)
        return _fail(f"{type(error).__name__}: {error} (a fault of kseq; --debug shows where).", 1)


def _stopped(error: BaseException) -> int:
    """Say what stopped the work, and what stands on the disk; folders and files note that on the exception."""
    return signals.stop("; ".join(getattr(error, "__notes__", [])) or "nothing was written")


def _silence() -> None:
    """Keep warnings of libraries, which are for who writes programs, off the screen; ``python -W`` brings them back."""
    if sys.warnoptions:
        return
    for library in ("keras", "tensorflow", "torch", "jax", "numba", "statsmodels", "optuna", "matplotlib"):
        warnings.filterwarnings("ignore", module=rf"{library}(\.|$)")


def _fail(message: str, status: int) -> int:
    say(f"kseq: {shortened(' '.join(message.split()))}", err=True)
    return status
