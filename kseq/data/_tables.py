"""Where rows come from: a DataFrame, a CSV file or a Parquet file, each behind the same few names.

:func:`open_table` chooses the class by a file's name and first bytes. A further format is a further class here or in a
file of its own, with the members of :class:`Table`, and a line in :func:`open_table`; nothing after it knows formats.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd

from kseq.data._heads import is_parquet
from kseq.data._parquet import ParquetTable
from kseq.data._text import read_text
from kseq.data.columns import ID_NAME, Names

__all__ = ["FrameTable", "ParquetTable", "Table", "columns_of", "is_parquet", "open_table", "text_table"]


class Table(Protocol):
    """Rows in named columns.

    Args:
        schema: a frame with the table's columns and their types; it may have no rows.
    """

    schema: pd.DataFrame

    def __len__(self) -> int:
        """Count the rows."""
        ...

    def time(self, time: Names) -> Names:
        """Return the column of dates; the table's own where the user names none and it knows one."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield the rows in order, in frames that have at least these columns."""
        ...


class FrameTable:
    """A DataFrame, which is read all at once.

    Args:
        frame: the rows; ids in its index become a column, periods the dates at which they begin.
        id: column that tells series apart; None for ``unique_id``.
    """

    def __init__(self, frame: pd.DataFrame, id: str | None = None):
        names = frame.index.names
        if len(names) > 1 or names[0] in (id or ID_NAME, ID_NAME):
            frame = frame.reset_index()
        elif isinstance(frame.index, pd.PeriodIndex):
            frame = frame.set_axis(frame.index.to_timestamp())
        self.schema = frame

    def __len__(self) -> int:
        return len(self.schema)

    def time(self, time: Names) -> Names:
        """Return the column of dates that the user names; dates in the index are found without a name."""
        return time

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield the frame."""
        yield self.schema


def open_table(path: Path, header: int = 0, id: str | None = None) -> Table:
    """Open a file.

    Args:
        path: a CSV or Parquet file.
        header: number of the line of a CSV file, from 0, that holds the column names.
        id: column that tells series apart, whose values stay text; None for ``unique_id``.

    Returns:
        Table: its rows; those of a Parquet file stay in the file until they are asked for.

    Raises:
        DataError: the file is missing, empty, damaged or of another kind.
    """
    if is_parquet(path):
        return ParquetTable(path)
    return text_table(path, header, id)


def text_table(path: Path, header: int = 0, id: str | None = None) -> FrameTable:
    """Open a CSV file; arguments and errors as in :func:`open_table`."""
    return FrameTable(read_text(path, header, text=id or ID_NAME), id)


def columns_of(path: Path, header: int = 0) -> list[str]:
    """Names of a file's columns."""
    return list(ParquetTable(path).schema if is_parquet(path) else read_text(path, header, rows=1))
