"""How long work reports its progress.

A progress function is called with the name of the training, the epoch and the epoch limit. An object may have further
methods:

- ``block_done(block)``: a :class:`Block` of seeds was trained in this process;
- ``work_kept(kept, of, unit)``: so many trials, or trainings, are kept from an earlier run;
- ``jobs_planned(jobs, trainings, kept)``, ``job_started(name)``, ``job_done(name, seconds, kept, error)``:
  of jobs, which run here or on workers; ``workers(words)`` says what these are.

Worker processes report no epochs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

#: Called with what is trained, the epoch and the epoch limit, after each epoch.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Block:
    """A block of seeds of one cell whose training is done.

    Args:
        what: Name of the block, with the cell, the seeds and, of several trainings, its fold:
            ``"LSTM, seeds 0-9, fold 2 of 3"``.
        seeds: Number of seeds in the block.
        epochs: Number of epochs that each seed was trained.
        seconds: Time of the training in seconds, forecasts included.
        kernel: Name of the kernel that ran in the recurrent layers.
    """

    what: str
    seeds: int
    epochs: tuple[int, ...]
    seconds: float
    kernel: str = ""


class Within:
    """A progress function that adds the name of one of several trainings to every message.

    Args:
        progress: The progress function to call.
        which: Name of the training, such as ``"fold 2 of 3"``.
    """

    def __init__(self, progress: Progress, which: str):
        self.progress, self.which = progress, which

    def __call__(self, what: str, epoch: int, epochs: int) -> None:
        """Tell of an epoch."""
        self.progress(f"{what}, {self.which}", epoch, epochs)

    def block_done(self, block: Block) -> None:
        """Tell of a block."""
        block_done(self.progress, replace(block, what=f"{block.what}, {self.which}"))


def within(progress: Any, which: str) -> Any:
    """Make the progress function of one of several trainings.

    Args:
        progress: The progress function of all of them; None for none.
        which: Name of the training, such as ``"fold 2 of 3"``; empty for the only one.

    Returns:
        A :class:`Within`; ``progress`` itself where there is nothing to add.
    """
    return Within(progress, which) if progress is not None and which else progress


def block_done(progress: Any, block: Block) -> None:
    """Report a finished block to a progress function that has the method ``block_done``."""
    listener = getattr(progress, "block_done", None)
    if listener is not None:
        listener(block)


def work_kept(progress: Any, kept: int, of: int, unit: str) -> None:
    """Report how much is kept from an earlier run to a progress function that has the method ``work_kept``."""
    listener = getattr(progress, "work_kept", None)
    if listener is not None:
        listener(kept, of, unit)


def seeds_text(seeds: tuple[int, ...]) -> str:
    """``"seeds 0-9"``, or ``"seed 3"`` where there is one."""
    return f"seeds {seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
