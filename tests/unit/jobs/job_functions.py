"""Functions of jobs for tests, in a module that other processes can import."""

import os
import signal
import sys
from pathlib import Path

import numpy as np


def total(data, context, times=1):
    """Sum the data."""
    return {"total": float(np.sum(data)) * times, "process": os.getpid()}


def loaded(data, context, module):
    """Tell whether the process has imported a module, and which one it is."""
    return {"loaded": module in sys.modules, "process": os.getpid()}


def refused(data, context):
    """Fail."""
    raise ZeroDivisionError("by nothing")


def killed_once(data, context, mark):
    """End the process at the first call."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def killed(data, context):
    """End the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def stepwise(data, context):
    """Keep a state, and end the process at the first call."""
    state = context.state.load("steps")
    if state is None:
        context.state.save("steps", {"done": 3}, now=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return state
