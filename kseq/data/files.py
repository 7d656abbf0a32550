"""Files, as frames or in batches, and what makes one unreadable: CSV text and Parquet."""

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq._regular import open_regular
from kseq.csvtext import unescaped
from kseq.errors import DataError, Parameter
from kseq.data.columns import ID_NAME, TIME_NAMES, Names
from kseq.text import shortened
from kseq.validation import path_problem, require_whole

#: Rows of a Parquet file that are in memory at once.
BATCH = 2**18

#: Where a file comes from: functions that read it, and options that name it.
CSV, PARQUET = Parameter("read_csv"), Parameter("read_parquet")

#: First bytes of a Parquet file.
_PARQUET = b"PAR1"


def read_text(path: Path, header: int, rows: int | None = None, named: Parameter = CSV) -> pd.DataFrame:
    """Read a CSV file as a frame, or its first rows, or say why it is none; ``named`` is what its user names it by."""
    require_whole("header", header)
    head = _head(path, named, "CSV")
    if not head.strip():
        raise DataError(f"{path} is empty; expected a header line and one row a time step.")
    if head.startswith(_PARQUET):
        raise DataError(f"{path} is a Parquet file; give it with ", Parameter("read_parquet"), ".")
    if b"\0" in head:
        raise DataError(f"{path} is a binary file; expected text: a CSV file with a header line.")
    options: dict[str, Any] = {
        "header": header, "nrows": rows, "skip_blank_lines": False, "skipinitialspace": True
    }  # fmt: skip
    try:
        frame = pd.read_csv(path, **options)
        if not isinstance(frame.index, pd.RangeIndex) and frame.iloc[:, -1].isna().all():
            # Every row ends in a comma: pandas takes what is too much for an index, at the beginning.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.ParserWarning)
                frame = pd.read_csv(path, index_col=False, **options)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(
            f"{path} has no table under line {header} ({reason}); expected the column names there: "
            "give the header's line number, from 0, with ",
            Parameter("header"),
            ".",
        ) from error
    frame.columns = [str(column).strip() for column in frame.columns]
    _require_commas(frame, path)
    if all(_is_number(column) for column in frame.columns):
        raise DataError(
            f"{path} has numbers where its column names should be (line {header}: "
            f"{', '.join(frame.columns[:4])}); expected a header line: add one, or say where it is with ",
            Parameter("header"),
            ".",
        )
    if frame.empty:
        raise DataError(f"{path} has a header and no rows; expected one row a time step.")
    return unescaped(frame)


def _require_commas(frame: pd.DataFrame, path: Path) -> None:
    """Refuse a table whose columns are not separated by commas, or whose rows have more fields than its header."""
    separator = next((mark for mark in ";\t" if mark in frame.columns[0]), None)
    if separator is not None and len(frame.columns) == 1:
        raise DataError(
            f"{path} has its columns separated by {'tabs' if separator != ';' else 'semicolons'}, expected commas "
            "between columns and points in numbers; save it so: "
            f"pandas.read_csv(FILE, sep={separator!r}, decimal=',').to_csv('FILE.csv', index=False)."
        )
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(
            f"{path} has rows of {len(frame.columns) + frame.index.nlevels} fields under a header of "
            f"{len(frame.columns)} ({', '.join(frame.columns[:4])}), expected as many; name every column, and write "
            "decimal points, not commas."
        )


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet by its name or its first bytes."""
    return path.suffix in (".parquet", ".pq") or (os.path.isfile(path) and _head(path, CSV, "CSV").startswith(_PARQUET))


def columns_of(path: Path, header: int = 0) -> list[str]:
    """Names of a file's columns."""
    return list(ParquetTable(path).columns if is_parquet(path) else read_text(path, header, rows=1).columns)


class ParquetTable:
    """A Parquet file that is read in batches; needs pyarrow.

    Args:
        path: the file.

    Raises:
        DataError: pyarrow is not installed, or the file is missing, empty, damaged or of another kind.
    """

    def __init__(self, path: Path):
        head = _head(path, PARQUET, "Parquet")
        if not head:
            raise DataError(f"{path} is empty; expected a Parquet file.")
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise DataError(f"{path} needs pyarrow to be read: pip install 'kseq[parquet]'.") from error
        if not head.startswith(_PARQUET):
            raise DataError(
                f"{path} is not a Parquet file (it does not begin with PAR1); give a CSV file with ",
                Parameter("read_csv"),
                ".",
            )
        self.path = path
        self._pa = pa
        # Damage shows in many ways: ValueErrors are of names that are no text, or of metadata that are no JSON.
        try:
            # Checksums, where the file has them, tell a damaged page from a good one.
            self._file = pq.ParquetFile(path, buffer_size=2**20, page_checksum_verification=True)
            self._schema = self._file.schema_arrow
            self._index = _index_columns(self._schema.metadata or {}, self._schema.names)
            # Some versions of pyarrow parse what pandas says of a file though they are told to ignore it.
            self._schema = self._schema.remove_metadata()
            self.columns: pd.DataFrame = self._schema.empty_table().to_pandas(ignore_metadata=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error
        if not len(self):
            raise DataError(f"{path} has no rows; expected one row a time step.")

    def __len__(self) -> int:
        return self._file.metadata.num_rows

    def time(self, time: Names) -> Names:
        """Name the column of dates where the user names none: the index of the DataFrame that was written."""
        if time is not None or any(str(column).lower() in TIME_NAMES for column in self.columns):
            return time
        return [column for column in self._index if pd.api.types.is_datetime64_any_dtype(self.columns[column])] or None

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Read the file's rows, some hundred thousand at a time.

        Args:
            columns: what to read of them.

        Yields:
            Frames with these columns, numbered by the rows of the file.

        Raises:
            DataError: a column is nested, or the file is damaged.
        """
        for column in columns:
            kind = self._schema.field(column).type
            if self._pa.types.is_nested(kind):
                raise DataError(
                    f"{self.path}: column {column!r} is nested ({kind}), expected one value a row; flatten it, or "
                    "choose another column."
                )
        first = 0
        try:
            for batch in self._file.iter_batches(BATCH, columns=list(columns)):
                batch.validate(full=True)
                batch = self._as_text(batch.replace_schema_metadata(None))
                frame = batch.to_pandas(ignore_metadata=True, date_as_object=False)
                frame.index = pd.RangeIndex(first, first + len(frame))
                first += len(frame)
                yield frame
        except (self._pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _as_text(self, batch: Any) -> Any:
        """A batch with text in place of bytes, as which some programs write it.

        Raises:
            DataError: bytes are no UTF-8 text.
        """
        types = self._pa.types
        for number, field in enumerate(batch.schema):
            kind = field.type
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
            f"{self.path} cannot be read as Parquet ({reason}); it is cut off or damaged: write or copy it again."
        )


def _index_columns(metadata: Mapping[bytes, bytes], columns: Sequence[str]) -> list[str]:
    """Columns that were the index of the DataFrame that pandas wrote.

    Raises:
        ValueError: what pandas says of the file is not of its kind, or of another file.
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


def with_plain_index(frame: pd.DataFrame, id: str | None = None) -> pd.DataFrame:
    """Give a frame whose index holds dates or nothing: ids become a column, periods the dates at which they begin."""
    names = frame.index.names
    if len(names) > 1 or names[0] in (id or ID_NAME, ID_NAME):
        return frame.reset_index()
    if isinstance(frame.index, pd.PeriodIndex):
        return frame.set_axis(frame.index.to_timestamp())
    return frame


def numbers(column: pd.Series, name: str, first_row: int = 0) -> np.ndarray:
    """Return a column's values as floats; blanks become NaN, text is refused.

    Args:
        column: the values.
        name: of the data, for messages.
        first_row: number of the column's first row in its file, for messages.
    """
    if isinstance(column.dtype, pd.DatetimeTZDtype) or getattr(column.dtype, "kind", "") in "mM":
        raise DataError(
            f"{name}: column {column.name!r} holds {'durations' if column.dtype.kind == 'm' else 'dates'}, expected "
            "numbers; convert them, such as to hours, or choose another column."
        )
    values = pd.to_numeric(column, errors="coerce")
    text = values.isna() & column.notna()
    if text.any():
        row = int(np.flatnonzero(text)[0])
        raise DataError(
            f"{name}: column {column.name!r} holds text ({str(column.iloc[row])!r} in row {first_row + row}, "
            f"{int(text.sum())} in all); expected numbers: mend the file or choose another column."
        )
    return values.to_numpy(dtype="float64", na_value=np.nan)


def _head(path: Path, option: Parameter, kind: str) -> bytes:
    """First bytes of a file that can be read."""
    problem = path_problem(path)
    if problem is not None:
        raise DataError(f"received {shortened(str(path), 100)}, {problem}; expected a {kind} file.")
    # Unlike those of Path, these are false for names that no file can have.
    if not os.path.exists(path):
        raise DataError("received ", option, f" {path}, which does not exist; expected a {kind} file.")
    if os.path.isdir(path):
        raise DataError("received ", option, f" {path}, which is a folder; expected a {kind} file.")
    try:
        with open_regular(path) as file:
            return file.read(8192)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); expected a readable {kind} file.") from error


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
