"""What is seen of a run while it works: a live table on a terminal, plain lines elsewhere.

The table is rich's ``Live``, which redraws in place and leaves room for lines that are printed meanwhile; rich's own
``Progress`` has a bar a task and no place for counts of jobs that wait or run elsewhere.
"""

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from kseq import signals
from kseq.cli.terminal import announced, is_quiet, is_verbose, say
from kseq.text import visible
from kseq.training.progress import Block

#: Running jobs that have a line of the table; of more, it is said how many they are.
SHOWN = 8

#: Times in a second at which the table is drawn anew.
RATE = 4


@dataclass
class _Row:
    """A line of the table.

    Args:
        name: Name of what runs.
        done: Epochs, or series, that are done; None where that is not known, as of a job on a worker.
        of: Maximum number of units.
        unit: Name of what is counted.
        started: When it began.
    """

    name: str
    done: int | None = None
    of: int = 0
    unit: str = "epoch"
    started: float = field(default_factory=time.monotonic)


class Progress:
    """Shows how far a run is, on standard error; ``--quiet`` silences it, ``--verbose`` adds lines to the table.

    It listens to every event of :mod:`kseq.training.progress`.

    Args:
        trainings: Number of trainings in all, a seed of a cell in each fold counting as one; 0 where that is not known.
    """

    def __init__(self, trainings: int = 0) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        self.table = not is_quiet() and console.is_terminal
        self.lines = not is_quiet() and (is_verbose() or not console.is_terminal)
        self.trainings = trainings
        self.done = self.kept = self.failed = 0
        self._jobs: dict[str, _Row] = {}
        self._here: _Row | None = None
        self._workers = ""
        self._began: float | None = None
        self._last = 0.0
        self._live = Live(
            get_renderable=self._drawn, console=console, transient=True, refresh_per_second=RATE, auto_refresh=True
        )

    def __enter__(self) -> "Progress":
        if self.table:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.table:
            self._live.refresh()
            self._live.stop()
        if kind is None:
            signals.check()

    def __call__(self, what: str, epoch: int, epochs: int) -> None:
        """Show that ``what`` ("LSTM, seeds 0-4") has trained ``epoch`` of ``epochs`` in this process."""
        announced()
        # An exception that a signal has raised may have got lost on its way.
        signals.check()
        self._begin()
        if self._here is None or self._here.name != what:
            # Exponential smoothing, which is fitted series by series, tells how many series are done.
            self._here = _Row(what, unit="series" if what.startswith(("ETS", "Theta")) else "epoch")
        self._here.done, self._here.of = epoch, epochs
        if self.table and epoch == epochs:
            self._live.refresh()

    def block_done(self, block: Block) -> None:
        """Say that a block of seeds is done, and how many trainings are."""
        self._begin()
        self._here = None
        self.done += block.seeds
        self._last = time.monotonic()
        shortest, longest = min(block.epochs), max(block.epochs)
        epochs = f"{longest}" if shortest == longest else f"{shortest}-{longest}"
        kernel = f", kernel {block.kernel}" if block.kernel and is_verbose() else ""
        self._line(f"{block.what}: {epochs} epoch{'s' * (longest > 1)}, {block.seconds:.1f} s{kernel}; {self._count}")

    def jobs_planned(self, jobs: int, trainings: int, kept: int) -> None:
        """Say how many jobs there are, and how many of their trainings are kept from an earlier run."""
        self.trainings = max(self.trainings, self.done + trainings)
        self.done += kept
        self.kept += kept
        self.work_kept(kept, trainings, "training")

    def work_kept(self, kept: int, of: int, unit: str) -> None:
        """Say how much of the work is kept from an earlier run, in words alone."""
        if kept and not is_quiet():
            self._say(f"{kept} of {of} {unit}{'s' * (of > 1)} kept")

    def job_started(self, name: str) -> None:
        """Show that a job runs, here or on a worker."""
        announced()
        signals.check()
        self._begin()
        self._here = None
        self._jobs[name] = _Row(name)

    def job_done(self, name: str, seconds: float, kept: bool, error: Exception | None) -> None:
        """Take a job that has ended out of the table; its trainings are counted as their blocks are told."""
        signals.check()
        self._jobs.pop(name, None)
        self._here = None
        if error is not None:
            self.failed += 1
            if not is_quiet():
                self._say(f"{name} failed: {type(error).__name__}: {error}")

    def workers(self, words: str) -> None:
        """Say where jobs run, with the address of a dashboard where there is one."""
        self._workers = words
        self._line(f"jobs run on {words}")

    def _begin(self) -> None:
        if self._began is None:
            self._began = time.monotonic()

    @property
    def _count(self) -> str:
        of_all = f" of {self.trainings}" if self.trainings else ""
        return f"{self.done}{of_all} training{'s' * (max(self.done, self.trainings) > 1)} done"

    def _line(self, text: str) -> None:
        if self.lines:
            self._say(text)

    def _say(self, text: str) -> None:
        if self.table:
            self._live.console.print(visible(text), markup=False, highlight=False)
        else:
            say(text, err=True)

    def seconds_left(self) -> float | None:
        """Seconds that the trainings that are left take at the pace of those that are done; None before the first."""
        made = self.done - self.kept
        if self._began is None or made <= 0 or self.trainings <= self.done:
            return None
        whole = (self._last - self._began) / made * (self.trainings - self.done)
        return max(0.0, whole - (time.monotonic() - self._last))

    def summary(self) -> str:
        """The last line of the table: jobs done, running and left, and the time that is left."""
        running = len(self._jobs) or int(self._here is not None)
        parts = [self._count + (f" ({self.kept} kept)" if self.kept else "")]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if running:
            parts.append(f"{running} running")
        left = self.seconds_left()
        if left is not None:
            parts.append(f"about {_clock(left)} left")
        return ", ".join(parts)

    def _drawn(self) -> Any:
        """The table as it is now; called by rich, from a thread of its own."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        here, jobs = self._here, list(self._jobs.values())
        rows = [here] if here is not None else jobs[:SHOWN]
        table = Table.grid(padding=(0, 2))
        for row in rows:
            counted = row.done is not None
            table.add_row(
                # Names are no markup: "[red]" is part of a name.
                Text(visible(row.name)),
                ProgressBar(total=row.of, completed=row.done or 0, width=30) if counted else Text("running"),
                Text(f"{row.unit} {row.done}/{row.of}" if counted else ""),
                Text(_clock(time.monotonic() - row.started)),
            )
        more = len(jobs) - SHOWN
        parts: list[Any] = [table] if rows else []
        if here is None and more > 0:
            parts.append(Text(f"and {more} more"))
        if self._began is not None:
            parts.append(Text(self.summary() + (f"; {visible(self._workers)}" if self._workers else ""), style="dim"))
        return Group(*parts)


def _clock(seconds: float) -> str:
    """``"0:03"``, ``"12:40"``, ``"1:02:03"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
