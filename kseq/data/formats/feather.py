"""Feather files, which are files of Arrow; read in the batches in which they were written.

They are read, not mapped into memory: a file that is mapped cannot be written anew.
"""

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

    def _described(self, file: Any) -> tuple[Any, int]:
        schema = self._pa.ipc.open_file(file).schema
        return schema, sum(batch.num_rows for batch in self._batches(file, schema.names[:1]))

    def _batches(self, file: Any, columns: list[str]) -> Iterator[Any]:
        names = self._pa.ipc.open_file(file).schema.names
        options = self._pa.ipc.IpcReadOptions(included_fields=sorted(names.index(column) for column in columns))
        reader = self._pa.ipc.open_file(file, options=options)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
