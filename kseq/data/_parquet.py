"""Parquet files, read in batches; pyarrow is imported when one is read.

A file is open only while its schema or its rows are read, so that it can be written anew while its series live.
"""

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from kseq.data._options import Names
from kseq.data._source import PARQUET, READ_CSV, Source
from kseq.data.columns import TIME_NAMES
from kseq.errors import DataError

#: Rows of a Parquet file that are in memory at once.
BATCH = 2**18


class ParquetTable:
    """A Parquet file that is read in batches; needs pyarrow.

    Args:
        source: The file.

    Raises:
        DataError: The library pyarrow is missing, or the file is missing, empty, damaged or of another kind.
    """

    #: What the file is called in messages, and how it begins.
    kind: str = "Parquet"
    begin: tuple[bytes, ...] = (PARQUET,)
    #: What the file itself says; see :class:`kseq.data._tables.Table`.
    hint: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, source: Source):
        path, first = source.path, source.head
        if not first:
            raise DataError(f"{path} is empty; expected a {self.kind} file.")
        try:
            import pyarrow as pa
        except ImportError as error:
            raise DataError(f"{path} needs pyarrow to be read: pip install 'kseq[parquet]'.") from error
        if not first.startswith(self.begin):
            raise DataError(
                f"{path} is not a {self.kind} file (it does not begin with {self.begin[0].decode()}); give a CSV file "
                "with ",
                READ_CSV,
                ".",
            )
        self.path, self.read, self._source, self._pa = path, source.read, source, pa
        # Types of columns that pandas writes, such as periods, are known to pyarrow once this is imported.
        importlib.import_module("pandas.core.arrays.arrow.extension_types")
        # Damage shows in many ways: ValueErrors are of names that are no text, or of metadata that are no JSON.
        try:
            with self._opened() as file:
                self._types, self._rows = self._described(file)
            self._index = _index_columns(self._types.metadata or {}, self._types.names)
            # Some versions of pyarrow parse what pandas says of a file though they are told to ignore it.
            self._types = self._types.remove_metadata()
            self.schema: pd.DataFrame = self._plain(self._types.empty_table()).to_pandas(ignore_metadata=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error
        if not len(self):
            raise DataError(f"{path} has no rows; expected one row a time step.")

    def _opened(self) -> Any:
        """The file of Arrow, which whoever opens it closes; damage then leaves none open."""
        content = self._source.content
        return self._pa.OSFile(str(self.path), "rb") if content is None else self._pa.BufferReader(content)

    def _described(self, file: Any) -> tuple[Any, int]:
        """Read the schema and the number of rows."""
        with self._reader(file) as reader:
            return reader.schema_arrow, reader.metadata.num_rows

    def _batches(self, file: Any, columns: list[str]) -> Iterator[Any]:
        """Read the rows as batches of Arrow."""
        with self._reader(file) as reader:
            yield from reader.iter_batches(BATCH, columns=columns)

    def _reader(self, file: Any) -> Any:
        import pyarrow.parquet as pq

        # Checksums, where the file has them, tell a damaged page from a good one.
        return pq.ParquetFile(file, buffer_size=2**20, page_checksum_verification=True)

    def __len__(self) -> int:
        return self._rows

    def time(self, time: Names) -> Names:
        """Name the column of dates where the user names none: the index of the DataFrame that was written."""
        if time is not None or any(str(column).lower() in TIME_NAMES for column in self.schema):
            return time
        return [column for column in self._index if _is_of_dates(self.schema[column].dtype)] or None

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Read the file's rows, some hundred thousand at a time.

        Args:
            columns: Names of the columns to read.

        Yields:
            Frames with these columns, numbered by the rows of the file.

        Raises:
            DataError: A column is nested or holds bytes that are no text, or the file is damaged.
        """
        for column in columns:
            kind = self._types.field(column).type
            if self._pa.types.is_nested(kind):
                raise DataError(
                    f"{self.path}: column {column!r} is nested ({kind}), expected one value a row; flatten it, or "
                    "choose another column."
                )
        first = 0
        try:
            with self._opened() as file:
                for batch in self._batches(file, list(columns)):
                    batch.validate(full=True)
                    batch = self._plain(batch.replace_schema_metadata(None))
                    frame = batch.to_pandas(ignore_metadata=True, date_as_object=False)
                    frame.index = pd.RangeIndex(first, first + len(frame))
                    first += len(frame)
                    yield frame
        except (self._pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _plain(self, batch: Any) -> Any:
        """Rows with text in place of bytes, as which some programs write it, and floats in place of decimals.

        Raises:
            DataError: Bytes are no UTF-8 text.
        """
        types = self._pa.types
        for number, field in enumerate(batch.schema):
            kind = field.type
            if types.is_decimal(kind):
                batch = batch.set_column(number, field.name, batch.column(number).cast(self._pa.float64()))
            if not (types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)):
                continue
            try:
                text = batch.column(number).cast(self._pa.large_binary()).cast(self._pa.large_string())
            except self._pa.ArrowException as error:
                raise DataError(
                    f"{self.path}: column {field.name!r} is binary ({kind}) and no UTF-8 text, expected text, numbers "
                    "or dates; convert it, or choose another column."
                ) from error
            batch = batch.set_column(number, field.name, text)
        return batch

    def _damaged(self, error: Exception) -> DataError:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        return DataError(
            f"{self.path} cannot be read as {self.kind} ({reason}); it is cut off or damaged: write or copy it again."
        )


def _is_of_dates(kind: Any) -> bool:
    return pd.api.types.is_datetime64_any_dtype(kind) or isinstance(kind, pd.PeriodDtype)


def _index_columns(metadata: Mapping[bytes, bytes], columns: Sequence[str]) -> list[str]:
    """Columns that were the index of the DataFrame that pandas wrote.

    Raises:
        ValueError: What pandas says of the file is not of its kind, or of another file.
    """
    try:
        told = json.loads(metadata.get(b"pandas", b"{}"))
    except RecursionError as error:
        raise ValueError("its pandas metadata are nested too deeply") from error
    index = told.get("index_columns", []) if isinstance(told, dict) else None
    # An index of row numbers is not stored as a column, but as a dictionary.
    if not isinstance(index, list) or not all(isinstance(name, str | dict) for name in index):
        raise ValueError("its pandas metadata do not list the columns of an index")
    names = [name for name in index if isinstance(name, str)]
    if not set(names) <= set(columns):
        raise ValueError(f"its pandas metadata name an index of columns that it does not have: {', '.join(names)}")
    return names
