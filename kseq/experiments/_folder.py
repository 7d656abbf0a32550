"""The folder of a run that was asked for from Python."""

import contextlib
from collections.abc import Iterator

from kseq.report import run_folder
from kseq.storage import Folder
from kseq.storage.csv_text import escaping
from kseq.vocabulary import Asked


@contextlib.contextmanager
def folder_of(asked: Asked, kind: str = "run") -> Iterator[Folder | None]:
    """Lock the folder of a run before any work is done.

    Args:
        asked: The call, with ``out``, the path of the folder.
        kind: Kind of the result, one of :data:`kseq.report.run_folder.KINDS`.

    Yields:
        The folder; None where the call names none.
    """
    if asked.out is None:
        yield None
        return
    origin = None if asked.series is None else asked.series.origin
    inputs = origin.files if origin is not None else []
    with contextlib.ExitStack() as stack:
        if asked.escape_formulas:
            stack.enter_context(escaping())
        yield stack.enter_context(run_folder.folder(asked.out, kind, inputs=inputs))
