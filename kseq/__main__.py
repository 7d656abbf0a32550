"""``kseq`` and ``python -m kseq``: the command line, which can be stopped from its first moment on."""

import sys

from kseq import signals


def main() -> int:
    """Run the command line; see :func:`kseq.cli.main` for the status."""
    try:
        with signals.listening():
            from kseq.cli import main as run

            return run()
    except (KeyboardInterrupt, ImportError):
        # The command line itself was not there yet to say so.
        if not signals.received():
            raise
        return signals.stop("nothing was written")


if __name__ == "__main__":
    sys.exit(main())
