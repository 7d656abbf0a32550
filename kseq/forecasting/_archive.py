"""A zip archive from anywhere, inspected before anything in it is unpacked.

What a member may hold is bounded by what its reader asks for, so that neither a member that unpacks to gigabytes nor
an archive of a million names takes more memory than a good file.
"""

import hashlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from kseq.storage.regular import open_regular

#: The most members of an archive, and the most bytes of its directory.
MEMBERS, DIRECTORY = 32, 2**16

#: How many times smaller a member may be packed than it is, from how many bytes on.
RATIO, RATIO_FROM = 100, 2**20

#: The record at the end of an archive: signature, ..., entries, bytes of the directory, its place, bytes of a remark.
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _ZIP64_SIGNATURE = b"PK\x05\x06", b"PK\x06\x07"

#: What reading a damaged archive raises.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError,
    OverflowError, MemoryError,
)  # fmt: skip


class Refused(ValueError):
    """An archive, or a part of it, is damaged or none that kseq has written; the message says why, in one clause."""


class NoArchive(Refused):
    """A file is no zip archive, or ends too early."""


class Archive:
    """A zip archive of a few members, which are read whole.

    Args:
        path: A regular file.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be opened; ``strerror`` says why.
        ValueError: Its name holds a zero byte.
        NoArchive: It is no zip archive, or is cut off.
        Refused: It holds names, links or kinds of members that kseq does not write.

    Example:
        >>> with Archive(Path("model.keras")) as archive:  # doctest: +SKIP
        ...     config = archive.read("config.json", 2**20)
    """

    def __init__(self, path: Path):
        self._raw = open_regular(path)
        try:
            self._bytes = os.fstat(self._raw.fileno()).st_size
            self._require_short_directory()
            with _refusing(None):
                self._file = zipfile.ZipFile(self._raw)
            self._require_plain_members()
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._raw.close()

    def __contains__(self, name: object) -> bool:
        return name in self._file.namelist()

    def size(self, name: str) -> int:
        """Bytes of a member, unpacked.

        Raises:
            Refused: There is no such member.
        """
        if name not in self:
            raise Refused(f"it has no {name}")
        return self._file.getinfo(name).file_size

    def read(self, name: str, largest: int) -> bytes:
        """A member's content.

        Raises:
            Refused: There is none, it is larger than ``largest`` bytes, packed too tightly, or damaged.
        """
        self._require_size(name, largest)
        with _refusing(name):
            return self._file.read(name)

    def sha256(self, name: str, largest: int) -> str:
        """SHA-256 of a member's content, which is not kept in memory; errors as of :meth:`read`."""
        self._require_size(name, largest)
        digest = hashlib.sha256()
        with _refusing(name), self._file.open(name) as member:
            while block := member.read(2**20):
                digest.update(block)
        return digest.hexdigest()

    def _require_size(self, name: str, largest: int) -> None:
        size = self.size(name)
        if size > largest:
            raise Refused(f"{name} holds {size:,} bytes, at most {largest:,} are read")
        packed = self._file.getinfo(name).compress_size
        if packed > self._bytes or (size > RATIO_FROM and size > RATIO * packed):
            raise Refused(f"{name} holds {size:,} bytes in {packed:,}")

    def _require_short_directory(self) -> None:
        """Refuse a directory of many names before zipfile reads it into memory."""
        self._raw.seek(max(0, self._bytes - 2**16 - _END.size - 20))
        tail = self._raw.read()
        place = tail.rfind(_END_SIGNATURE)
        if tail[-_END.size :][:4] == _END_SIGNATURE:
            place = len(tail) - _END.size
        if not 0 <= place <= len(tail) - _END.size:
            raise NoArchive("File is not a zip file")
        *_, entries, size, _, _ = _END.unpack_from(tail, place)
        if entries > MEMBERS or size > DIRECTORY or tail[max(0, place - 20) : place].startswith(_ZIP64_SIGNATURE):
            raise Refused(f"its directory lists more than {MEMBERS} members")

    def _require_plain_members(self) -> None:
        """Refuse members that are encrypted, links, named twice, or named by a path out of the archive."""
        members = self._file.infolist()
        if len(members) > MEMBERS:
            raise Refused(f"it holds {len(members)} members, expected at most {MEMBERS}")
        names = [member.filename for member in members]
        for member in members:
            name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
            if names.count(name) > 1:
                raise Refused(f"it holds {name!r} twice")
            parts = name.replace("\\", "/").split("/")
            if not name or ".." in parts or not parts[0] or ":" in parts[0]:
                raise Refused(f"it holds {name!r}, a path out of the archive")
            if kind not in (0, stat.S_IFREG):
                raise Refused(f"its {name!r} is a link, a folder or a device")
            if member.flag_bits & 0x1:
                raise Refused(f"its {name!r} is encrypted")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Refused(f"its {name!r} is packed by method {member.compress_type}, expected deflate or none")


@contextmanager
def _refusing(member: str | None) -> Iterator[None]:
    """Turn what a damaged member raises into :class:`Refused`, or, of none, a damaged archive into NoArchive."""
    try:
        yield
    except Refused:
        raise
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise NoArchive(reason) if member is None else Refused(f"{member}: {reason}") from error
