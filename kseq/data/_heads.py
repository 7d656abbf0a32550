"""The first bytes of a file, which tell what it is."""

from pathlib import Path

from kseq.errors import DataError

#: First bytes of a Parquet file.
PARQUET = b"PAR1"


def head(path: Path, option: str, kind: str) -> bytes:
    """Read the first bytes of a file.

    Args:
        path: the file.
        option: option of the command line that names such a file, for messages.
        kind: kind of file that is expected, for messages.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    if not path.exists():
        raise DataError(f"received --{option} {path}, which does not exist; expected a {kind} file.")
    if path.is_dir():
        raise DataError(f"received --{option} {path}, which is a folder; expected a {kind} file.")
    try:
        with path.open("rb") as file:
            return file.read(8192)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); expected a readable {kind} file.") from error


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet by its name or its first bytes."""
    return path.suffix in (".parquet", ".pq") or (path.is_file() and head(path, "csv", "CSV").startswith(PARQUET))
