"""Feather files, which are files of Arrow, and streams of Arrow; read in the batches in which they were written.

They are read, not mapped into memory: a file that is mapped cannot be written anew.
"""

from collections.abc import Iterator
from typing import Any

from kseq.data._parquet import ParquetTable
from kseq.data._source import Source

_BEGIN, _STREAM = b"ARROW1", b"\xff\xff\xff\xff"


def recognises(source: Source) -> bool:
    """Whether a source is Feather or a stream of Arrow by its name or its first bytes."""
    named = source.path.suffix in (".feather", ".arrow", ".arrows")
    return named or source.head.startswith((_BEGIN, _STREAM))


class FeatherTable(ParquetTable):
    """A Feather file or a stream; arguments and errors as of :class:`~kseq.data._parquet.ParquetTable`."""

    kind, begin = "Feather", (_BEGIN, _STREAM)

    def _described(self, file: Any) -> tuple[Any, int]:
        if self._source.head.startswith(_STREAM):
            reader = self._pa.ipc.open_stream(file)
            return reader.schema, sum(batch.num_rows for batch in reader)
        schema = self._pa.ipc.open_file(file).schema
        return schema, sum(batch.num_rows for batch in self._batches(file, schema.names[:1]))

    def _batches(self, file: Any, columns: list[str]) -> Iterator[Any]:
        if self._source.head.startswith(_STREAM):
            yield from (batch.select(columns) for batch in self._pa.ipc.open_stream(file))
            return
        names = self._pa.ipc.open_file(file).schema.names
        options = self._pa.ipc.IpcReadOptions(included_fields=sorted(names.index(column) for column in columns))
        reader = self._pa.ipc.open_file(file, options=options)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
