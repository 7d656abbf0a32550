"""The first bytes of a file, which tell what it is."""

import os
from pathlib import Path

from kseq.errors import DataError, Parameter
from kseq.storage.regular import open_regular
from kseq.text import shortened
from kseq.validation import path_problem

#: First bytes of a Parquet file.
PARQUET = b"PAR1"

#: Where a file comes from: functions that read it, and options that name it.
READ_CSV, READ_PARQUET = Parameter("read_csv"), Parameter("read_parquet")


def head(path: Path, named: Parameter, kind: str) -> bytes:
    """Read the first bytes of a file.

    Args:
        path: the file.
        named: what its user names it by, for messages.
        kind: kind of file that is expected, for messages.

    Raises:
        DataError: there is no such file, it is a folder, a pipe or a device, or it cannot be read.
    """
    problem = path_problem(path)
    if problem is not None:
        raise DataError(f"received {shortened(str(path), 100)}, {problem}; expected a {kind} file.")
    # Unlike those of Path, these are false for names that no file can have.
    if not os.path.exists(path):
        raise DataError("received ", named, f" {path}, which does not exist; expected a {kind} file.")
    if os.path.isdir(path):
        raise DataError("received ", named, f" {path}, which is a folder; expected a {kind} file.")
    try:
        with open_regular(path) as file:
            return file.read(8192)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); expected a readable {kind} file.") from error


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet by its name or its first bytes."""
    return path.suffix in (".parquet", ".pq") or (
        os.path.isfile(path) and head(path, READ_CSV, "CSV").startswith(PARQUET)
    )
