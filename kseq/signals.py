"""Ctrl-C, SIGTERM and SIGHUP: each ends the work as a :class:`KeyboardInterrupt`, and none is lost.

An exception that a signal raises can get lost: a module that is being imported may catch all of them, extensions such
as NumPy's turn it into an ImportError, and Python drops it where it frees an object. It is therefore raised again until
:func:`stop` is called, :func:`received` tells that there was a signal, and :func:`check` raises in its place.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

#: Signals that end the work; those that this system knows.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

#: Seconds after a signal in which another means the same: a terminal that closes sends several.
_SAME = 1.0

#: Seconds after which what a signal has raised is raised again.
_AGAIN = 1.5

_received: list[tuple[int, float]] = []


def _handle(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _received and now - _received[-1][1] < _SAME:
        return
    _received.append((number, now))
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Raise KeyboardInterrupt at signals that end a process.

    A signal that is ignored (``nohup``) or has a handler of its own is left as it is. Outside the main thread, which
    alone can handle signals, and inside another such block nothing is changed.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in (*NAMES, "SIGALRM") if hasattr(signal, name)]
        default = (signal.SIG_DFL, signal.default_int_handler)
        before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) in default}
    if before:
        _received.clear()
    for number in before:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        if before:
            _quiet()
        for number, handler in before.items():
            signal.signal(number, handler)


def _quiet() -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def received() -> str | None:
    """Name of the first signal that asked to end; None where there was none."""
    return signal.Signals(_received[0][0]).name if _received else None


def check() -> None:
    """Raise KeyboardInterrupt if a signal has asked to end.

    Raises:
        KeyboardInterrupt: It has.
    """
    if _received:
        raise KeyboardInterrupt


def stop(what: str) -> int:
    """End the work: say so in a line on standard error, or nowhere where the terminal has been closed.

    Args:
        what: What has been written to the disk so far.

    Returns:
        int: The status that the process is to end with, 130.
    """
    _quiet()
    name = received()
    by = f" by {name}" if name not in (None, "SIGINT") else ""
    try:
        print(f"kseq: stopped{by}; {what}.", file=sys.stderr, flush=True)
        sys.stdout.flush()
    except (OSError, ValueError):
        # Python writes what is left in its streams when it ends, and must not fail then either.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(nowhere, stream.fileno())
    # An interrupt inside of exec(text), of which imports have many, makes CPython end by SIGINT whatever the status is,
    # until another text has been executed.
    exec("pass")
    return 130
