"""Feather files, which are files of Arrow; read in the batches in which they were written, and mapped, not loaded."""

from collections.abc import Iterator
from typing import Any

from kseq.data._parquet import ParquetTable
from kseq.data._source import Source

_BEGIN = b"ARROW1"


def recognises(source: Source) -> bool:
    """Whether a source is Feather by its name or its first bytes."""
    return source.path.suffix in (".feather", ".arrow") or source.head.startswith(_BEGIN)


class FeatherTable(ParquetTable):
    """A Feather file; arguments and errors as of :class:`~kseq.data._parquet.ParquetTable`."""

    kind, begin = "Feather", _BEGIN

    def _open(self, source: Source) -> Any:
        pa = self._pa
        self._bytes = pa.memory_map(str(source.path)) if source.content is None else pa.BufferReader(source.content)
        self._names = self._reader().schema.names
        return self._reader().schema

    def _reader(self, columns: list[str] | None = None) -> Any:
        fields = None if columns is None else sorted(self._names.index(column) for column in columns)
        options = self._pa.ipc.IpcReadOptions(included_fields=fields)
        return self._pa.ipc.open_file(self._bytes, options=options)

    def _batches(self, columns: list[str]) -> Iterator[Any]:
        reader = self._reader(columns)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)

    def __len__(self) -> int:
        return sum(batch.num_rows for batch in self._batches(self._names[:1]))
