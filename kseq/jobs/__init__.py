"""Jobs: pure functions whose finished results are kept on disk, and executors that run them here or on other machines.

A :class:`Job` is a function, its data and arguments, and the facts that decide its result; the SHA-256 of the facts is
its key. A :class:`Store` keeps finished results by key, :func:`opened` and :func:`opening` open an executor, and a
:class:`Runner` takes from the store what is there and lets the executor make the rest. Nothing here knows of series or
networks.
"""

from kseq.jobs.executors import opened, opening
from kseq.jobs.job import Context, Job, NoState, digest
from kseq.jobs.runner import Outcome, Runner
from kseq.jobs.store import FOLDER, Store

__all__ = ["FOLDER", "Context", "Job", "NoState", "Outcome", "Runner", "Store", "digest", "opened", "opening"]
