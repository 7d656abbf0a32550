"""Ctrl-C, SIGTERM and SIGHUP: each ends the work as a :class:`KeyboardInterrupt`, and none is lost.

An exception that a signal raises can get lost: a module that is being imported may catch all of them, and extensions
such as NumPy's turn it into an ImportError. :func:`received` tells that there was one, and :func:`check` raises again.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

#: Signals that end the work, by the names that this system knows.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

#: Seconds after a signal in which others say the same again: a terminal that closes sends several.
_SAME = 1.0

_received: list[tuple[int, float]] = []


def _handle(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    again = bool(_received) and now - _received[-1][1] < _SAME
    if not again:
        _received.append((number, now))
        raise KeyboardInterrupt


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Raise KeyboardInterrupt at signals that end a process.

    A signal that is ignored (``nohup``) or has a handler of its own is left as it is. Outside the main thread, which
    alone can handle signals, and inside another such block nothing is changed.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
        default = (signal.SIG_DFL, signal.default_int_handler)
        before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) in default}
    if before:
        _received.clear()
    for number in before:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def received() -> str | None:
    """Name of the first signal that asked to end; None where there was none."""
    return signal.Signals(_received[0][0]).name if _received else None


def check() -> None:
    """Raise KeyboardInterrupt if a signal has asked to end.

    Raises:
        KeyboardInterrupt: it has.
    """
    if _received:
        raise KeyboardInterrupt


def say(text: str) -> None:
    """Write a line on standard error; where the terminal has been closed, nowhere.

    Python writes what is left in its streams when it ends, and must not fail then either.
    """
    try:
        print(text, file=sys.stderr, flush=True)
        sys.stdout.flush()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(nowhere, stream.fileno())
