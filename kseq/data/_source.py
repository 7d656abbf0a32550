"""What is read: a file, or what comes through a pipe, and what its user says of how it is written."""

import io
import os
import re
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kseq.errors import ConfigError, DataError, FileOption, Parameter
from kseq.storage.regular import open_regular
from kseq.text import is_text, shortened, visible
from kseq.validation import path_problem, require_path, require_whole

#: First bytes of a Parquet file.
PARQUET = b"PAR1"

#: How names of Parquet files end.
PARQUET_ENDINGS = (".parquet", ".pq")

#: Functions that read files, as messages name them: by the option that names the file.
READ_CSV, READ_PARQUET = Parameter("read_csv"), Parameter("read_parquet")

#: What may be said of how a file is written, and what holds where nothing is said.
FILE_OPTIONS: dict[str, Any] = {
    "header": 0, "no_header": False, "sep": None, "decimal": None, "thousands": None, "encoding": None,
    "skip_rows": 0, "skip_footer": 0, "comment": None, "member": None, "sheet": None, "select": None, "preset": None,
}  # fmt: skip

#: Files that make a folder a Zarr store.
STORE = ("zarr.json", ".zgroup", ".zmetadata")

#: What a file holds; inside the class this name is another one's.
Content = bytes

#: Bytes at the beginning that tell what a file is.
_HEAD = 2**16

#: Names of what a shell or another program hands over, already opened: nobody has to wait for its writer.
_HANDED = re.compile(r"-|/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+")


@dataclass(eq=False)
class Source:
    """A file or the content of a pipe, and how it is written.

    Args:
        path: The file; ``-`` for standard input.
        options: :data:`FILE_OPTIONS` by name.
        content: What came through a pipe, read once and wholly, or what another file held; None for a file.
        head: Its first bytes; none of a folder.
        named: What the user names it by, for messages.
        read: Phrases on where its bytes were found, for the user.
    """

    path: Path
    options: dict[str, Any]
    content: bytes | None
    head: bytes
    named: Parameter = READ_CSV
    read: tuple[str, ...] = ()
    #: Tables that it was opened as, by the column that tells series apart.
    tables: dict[str | None, Any] = field(default_factory=dict, init=False)

    @classmethod
    def of(
        cls,
        path: "str | Path | Source",
        options: Mapping[str, Any] | None = None,
        named: Parameter = READ_CSV,
        kind: str = "CSV",
    ) -> "Source":
        """Open what a path names.

        Args:
            path: A file; ``-``, ``/dev/stdin`` or ``/dev/fd/N`` for what is piped in. A source is given back.
            options: Those of :data:`FILE_OPTIONS` that the user gives.
            named: What the user names the file by, for messages.
            kind: Kind of file that is expected, for messages.

        Raises:
            DataError: There is no such file, it is a folder, a device or a pipe with a name, or it cannot be read.
            ConfigError: An option is out of range.
        """
        if isinstance(path, Source):
            return path
        given = FILE_OPTIONS | {name: value for name, value in (options or {}).items() if name in FILE_OPTIONS}
        for name in ("header", "skip_rows", "skip_footer"):
            require_whole(name, given[name])
        for name, value in given.items():
            if isinstance(value, str) and not is_text(value):
                raise ConfigError(
                    "received ",
                    Parameter(name),
                    f" {visible(value)}, which is no text, expected characters of Unicode.",
                )
        path = require_path(path)
        content = _piped(path)
        head = content[:_HEAD] if content is not None else _head(path, named, kind)
        return cls(path, given, content, head, named)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def stem(self) -> str:
        """How the data are called where their user says nothing."""
        return "piped" if _HANDED.fullmatch(str(self.path)) else self.path.stem

    def with_options(self, changed: Mapping[str, Any]) -> "Source":
        """The same bytes, said to be written otherwise."""
        return replace(self, options={**self.options, **changed})

    def within(self, name: str, content: "Content", *read: str) -> "Source":
        """What this source holds, under its own name."""
        path = self.path.with_name(name)
        return replace(self, path=path, content=content, head=content[:_HEAD], read=(*self.read, *read))

    def is_store(self) -> bool:
        """Whether it is a folder that Zarr has made."""
        return not self.head and is_store(self.path)

    def opened(self) -> Any:
        """What pandas reads: the path, or the content as a file in memory."""
        return self.path if self.content is None else io.BytesIO(self.content)

    def whole(self) -> bytes:
        """All of it."""
        if self.content is not None:
            return self.content
        with open_regular(self.path) as file:
            return file.read()

    def tail(self, size: int = 4096) -> bytes:
        """The last bytes."""
        if self.content is not None:
            return self.content[-size:]
        with open_regular(self.path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read()

    def is_parquet(self) -> bool:
        """Whether it is Parquet by its name or its first bytes."""
        return self.path.suffix in PARQUET_ENDINGS or self.head.startswith(PARQUET)


def is_store(path: Path) -> bool:
    """Whether a path is a folder that Zarr has made."""
    return any(os.path.isfile(path / name) for name in STORE)


def _piped(path: Path) -> bytes | None:
    """Read a pipe that is already open to its end; None for what is none."""
    name = str(path)
    if not _HANDED.fullmatch(name):
        return None
    standard = name in ("-", "/dev/stdin")
    number = 0 if standard else int(name.rpartition("/")[2])
    try:
        mode = os.fstat(number).st_mode
    except OSError as error:
        raise DataError(f"received {name}, which is not open; expected a file, or a pipe into kseq.") from error
    if stat.S_ISREG(mode) and name != "-":
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISREG(mode)):
        kind = "a terminal" if os.isatty(number) else "a device"
        raise DataError(f"received {name}, which is {kind}; expected a file, or a pipe: program | kseq ... {name}.")
    if standard and not hasattr(sys.stdin, "fileno"):
        return sys.stdin.read().encode()
    with os.fdopen(os.dup(number), "rb") as file:
        return file.read()


def _head(path: Path, named: Parameter, kind: str) -> bytes:
    problem = path_problem(path)
    if problem is not None:
        raise DataError(f"received {shortened(str(path), 100)}, {problem}; expected a {kind} file.")
    # Unlike those of Path, these are false for names that no file can have.
    if not os.path.exists(path):
        raise DataError("received ", FileOption(named), f"{path}, which does not exist; expected a {kind} file.")
    if is_store(path):
        return b""
    if os.path.isdir(path):
        raise DataError("received ", FileOption(named), f"{path}, which is a folder; expected a {kind} file.")
    try:
        with open_regular(path) as file:
            return file.read(_HEAD)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); expected a readable {kind} file.") from error
