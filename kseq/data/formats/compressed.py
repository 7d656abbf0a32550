"""Compressed files, which are unpacked in memory: gzip, bzip2, xz and zip.

A small file can hold terabytes of nothing: no more is unpacked than data of measurements may hold.
"""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, Any

from kseq.data._source import STORE, Source
from kseq.data.formats.found import reason, some
from kseq.errors import DataError, Parameter

#: A file may unpack to so many bytes, and to so many times its size where that is more. Measurements as text shrink to
#: a third or a twentieth; deflated zeros shrink to a thousandth.
LEAST, RATIO = 2**26, 100

#: Files within files: a .csv.gz in a .zip.
DEPTH = 3

#: How files begin that one stream is compressed in.
_STREAMS: dict[bytes, tuple[str, Callable[..., Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}

_SUFFIXES = (".gz", ".gzip", ".z", ".bz2", ".xz", ".lzma")

#: How files begin that cannot be unpacked here.
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "rar", b"\x1f\x9d": "compress"}

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")

#: Members of a zip that hold no data beside one that does.
_BESIDE = {".md", ".pdf", ".html", ".htm", ".rtf", ".doc", ".docx", ".png", ".jpg", ".xml", ".bib"}
_BESIDE_STEMS = ("readme", "license", "licence", "copying", "citation")

_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


def unpacked(source: Source) -> Source:
    """Unpack a source that is compressed; give back one that is not.

    Args:
        source: Any. Its option ``member`` names the file of a zip that holds several.

    Returns:
        Source: Source with the bytes that were packed, the name that they have there, and a phrase on where they were.

    Raises:
        DataError: It is damaged, encrypted, of a kind that is not unpacked, larger than measurements may be, or a zip
            of several files of which none is named.
    """
    for _ in range(DEPTH):
        inner = _once(source)
        if inner is source:
            break
        source = inner
    return source


def zip_names(source: Source) -> list[str] | None:
    """Names of the members of a zip; None of what is none."""
    if not source.head.startswith(_ZIP):
        return None
    try:
        with zipfile.ZipFile(source.opened()) as archive:
            return archive.namelist()
    except _DAMAGE as error:
        raise _damaged(source, "zip", error) from error


def require_size(source: Source, members: Any) -> None:
    """Refuse a zip whose members say that they unpack to more than measurements may hold."""
    packed = max(1, sum(member.compress_size for member in members))
    if sum(member.file_size for member in members) > _allowed(packed):
        raise _too_large(source, packed)


def _once(source: Source) -> Source:
    for begin, (kind, opened) in _STREAMS.items():
        if source.head.startswith(begin):
            return _stream(source, kind, opened)
    for begin, kind in _OTHERS.items():
        if source.head.startswith(begin):
            raise DataError(f"{source} is compressed by {kind}; expected gzip, bzip2, xz or zip: unpack it first.")
    if source.head[257:262] == b"ustar":
        raise DataError(f"{source} is a tar archive; expected one file: unpack it first, tar -xf {source.path.name}.")
    names = zip_names(source)
    if names is None or is_document(names):
        return source
    return _zip(source)


def is_document(names: list[str]) -> bool:
    """Whether a zip is a file of its own kind: a spreadsheet, or a Zarr store."""
    return any(name in ("[Content_Types].xml", "mimetype", *STORE) or name.startswith("xl/") for name in names)


def _stream(source: Source, kind: str, opened: Callable[..., IO[bytes]]) -> Source:
    size = len(source.content) if source.content is not None else source.path.stat().st_size
    try:
        with opened(source.opened(), "rb") as file:
            content = _limited(file, source, size)
    except _DAMAGE as error:
        raise _damaged(source, kind, error) from error
    packed = source.path.suffix.lower() in _SUFFIXES
    return source.within(source.path.stem if packed else source.path.name, content, f"unpacked ({kind})")


def _zip(source: Source) -> Source:
    wanted = source.options["member"]
    try:
        with zipfile.ZipFile(source.opened()) as archive:
            member = _member(source, archive.infolist(), wanted)
            if member.flag_bits & 1:
                raise DataError(f"{source} is encrypted; expected a zip without a password: unpack it first.")
            with archive.open(member) as file:
                content = _limited(file, source, max(1, member.compress_size))
    except _DAMAGE as error:
        raise _damaged(source, "zip", error) from error
    return source.within(PurePosixPath(member.filename).name, content, f"{member.filename} in {source.path.name}")


def _member(source: Source, members: list[zipfile.ZipInfo], wanted: str | None) -> zipfile.ZipInfo:
    """The file of a zip that is meant."""
    files = [member for member in members if not member.is_dir() and not _is_hidden(member.filename)]
    if wanted is not None:
        named = [m for m in files if wanted in (m.filename, PurePosixPath(m.filename).name)]
        if len(named) != 1:
            raise DataError(
                f"{source}: received ", Parameter("member"), f" {wanted!r}, expected one of its files: "
                f"{some(m.filename for m in files)}.",
            )  # fmt: skip
        return named[0]
    data = [member for member in files if not _is_beside(member.filename)] or files
    if not data:
        raise DataError(f"{source} is a zip without files; expected one of data.")
    if len(data) > 1:
        raise DataError(
            f"{source} holds {len(data)} files ({some(m.filename for m in data)}), expected one: name it with ",
            Parameter("member"),
            ".",
        )
    return data[0]


def _is_hidden(name: str) -> bool:
    path = PurePosixPath(name)
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith(".")


def _is_beside(name: str) -> bool:
    path = PurePosixPath(name.lower())
    return path.suffix in _BESIDE or path.stem.startswith(_BESIDE_STEMS)


def _limited(file: IO[bytes], source: Source, packed: int) -> bytes:
    """Read a file that is unpacked while it is read, up to what is allowed."""
    allowed, content = _allowed(packed), io.BytesIO()
    while part := file.read(2**20):
        content.write(part)
        if content.tell() > allowed:
            raise _too_large(source, packed)
    return content.getvalue()


def _allowed(packed: int) -> int:
    return max(LEAST, RATIO * packed)


def _too_large(source: Source, packed: int) -> DataError:
    return DataError(
        f"{source} unpacks to more than {_allowed(packed):,} bytes, {_allowed(packed) // packed:,} times its "
        f"{packed:,}; no data of measurements shrink so far. Unpack it yourself if you trust it, and give the file."
    )


def _damaged(source: Source, kind: str, error: BaseException) -> DataError:
    return DataError(
        f"{source} cannot be unpacked ({kind}: {reason(error)}); it is cut off or damaged: copy or download it again."
    )
