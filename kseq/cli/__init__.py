"""The command line: parse, call, print, exit. Keras and the frameworks are imported only once a command needs them.

A file a command; :func:`main` turns errors into one line and a status.
"""

import errno
import logging
import os
import sys
import traceback

import click

from kseq._version import __version__
from kseq.cli.about import data, info
from kseq.cli.audit import audit
from kseq.cli.bench import bench
from kseq.cli.compare import compare
from kseq.cli.config import configurable
from kseq.cli.evaluate import evaluate
from kseq.cli.fit import fit
from kseq.cli.forecast import forecast
from kseq.cli.reproduce import reproduce
from kseq.cli.tune import tune
from kseq.errors import KseqError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="kseq")
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
def cli(debug: bool) -> None:
    """Which recurrent cell, SimpleRNN, LSTM or GRU, serves this series, and is it better than a baseline?"""


for command in (compare, tune, fit, forecast, evaluate, audit, reproduce, data, info, bench):
    cli.add_command(configurable(command))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: in place of ``sys.argv[1:]``.

    Returns:
        int: 0; 1 where a check that was asked for finds something, or where kseq is at fault; 2 where the user can
        mend something; 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    # Matplotlib's words on its folder and fonts are no concern of someone who compares models; its errors are.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        # What a command returns is nothing, or the status that it exits with.
        return cli.main(arguments, prog_name="kseq", standalone_mode=False) or 0
    except (KseqError, click.ClickException) as error:
        if debug:
            traceback.print_exc()
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        return _fail(message, 2)
    except (KeyboardInterrupt, click.Abort):
        return _fail("stopped by the user; nothing was left half-written.", 130)
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone: nobody to tell, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _fail("no space is left on the disk that is written to; make room and run it again.", 2)
        return _fail(f"{type(error).__name__}: {error} (a fault of kseq; --debug shows where).", 1)


def _fail(message: str, status: int) -> int:
    click.echo(f"kseq: {' '.join(message.split())}", err=True)
    return status
