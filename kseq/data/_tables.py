"""Where rows come from: a DataFrame or a file of some format, each behind the same few names.

:func:`open_table` chooses among :data:`FORMATS` by a file's name and first bytes. A further format is a function in a
module of its own that makes a :class:`Table` of a :class:`kseq.data._source.Source`, and a line in :data:`FORMATS`;
nothing after it knows formats.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import pandas as pd

from kseq.data._mending import Mendable
from kseq.data._options import Names
from kseq.data._parquet import ParquetTable
from kseq.data._source import Source
from kseq.data._text import read_text
from kseq.data.columns import ID_NAME
from kseq.data.formats import archives, compressed, excel, feather, gridded, json_lines, stations
from kseq.data.formats.found import Found

__all__ = ["FORMATS", "Format", "FrameTable", "ParquetTable", "Table", "found_table", "open_table", "plain"]


class Table(Protocol):
    """Rows in named columns.

    Args:
        schema: A frame with the table's columns and their types; it may have no rows.
        read: Phrases on how the rows were read, for the user.
        hint: What the file itself says: its columns ``time``, ``id`` and ``target``, and ``freq``. It counts where the
            user names none.
    """

    schema: pd.DataFrame
    read: tuple[str, ...]
    hint: Mapping[str, Any]

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
        frame: The rows; ids in its index become a column, periods the dates at which they begin.
        id: Column that tells series apart; None for ``unique_id``.
        read: Phrases on how the rows were read.
        doubts: Reasons by column why its values may be other ones; raised where the column is used.
        hint: What the file itself says, see :class:`Table`.
    """

    def __init__(
        self, frame: pd.DataFrame, id: str | None = None, read: Sequence[str] = (),
        doubts: Mapping[str, Mendable] | None = None, hint: Mapping[str, Any] | None = None,
    ):  # fmt: skip
        names = frame.index.names
        if len(names) > 1 or names[0] in (id or ID_NAME, ID_NAME):
            frame = frame.reset_index()
        elif isinstance(frame.index, pd.PeriodIndex):
            frame = frame.set_axis(frame.index.to_timestamp())
        if id is not None and id not in frame and set(id.split(",")) <= set(frame.columns):
            first, *more = (frame[column].astype(str) for column in id.split(","))
            frame = frame.assign(**{id: first.str.cat(more, sep="/")})
        self.schema = frame
        self.read = tuple(read)
        self.doubts = doubts or {}
        self.hint = hint or {}

    def __len__(self) -> int:
        return len(self.schema)

    def time(self, time: Names) -> Names:
        """Return the column of dates that the user names; dates in the index are found without a name."""
        return time

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield the frame.

        Raises:
            Mendable: It is not sure how a column is to be read.
        """
        for column in columns:
            if column in self.doubts:
                raise self.doubts[column]
        yield self.schema


class Format(NamedTuple):
    """A kind of files.

    Args:
        name: Name of the kind, for messages.
        recognises: Whether a source is of this kind.
        open: Makes a table of a source and the column that tells series apart (None for ``unique_id``), whose values
            stay text.
    """

    name: str
    recognises: Callable[[Source], bool]
    open: Callable[[Source, str | None], Table]


def found_table(found: Found, id: str | None = None, read: Sequence[str] = ()) -> FrameTable:
    """What a format has found, as a table."""
    return FrameTable(found.frame, id, (*read, *found.read), hint=found.hint)


def _frames(read: Callable[[Source], Found]) -> Callable[[Source, str | None], Table]:
    """Open what a format reads as a frame."""
    return lambda source, id: found_table(read(source), id, source.read)


def _open_parquet(source: Source, id: str | None) -> Table:
    table = ParquetTable(source)
    if id is None or id in table.schema or "," not in id:
        return table
    # Two columns of ids are joined in memory.
    return FrameTable(pd.concat(list(table.batches(list(table.schema)))), id, table.read)


def _open_text(source: Source, id: str | None) -> FrameTable:
    table = read_text(source, text=id or ID_NAME)
    return FrameTable(table.frame, id, (*source.read, *table.read), table.doubts)


#: Kinds of files, in the order in which they are tried; text is what is none of the others.
FORMATS: tuple[Format, ...] = (
    Format("Parquet", Source.is_parquet, _open_parquet),
    Format("Feather", feather.recognises, lambda source, id: feather.FeatherTable(source)),
    Format("NetCDF", gridded.recognises, lambda source, id: gridded.GridTable(source, id)),
    Format("Monash or sktime", archives.recognises, _frames(archives.read)),
    Format("station", stations.recognises, _frames(stations.read)),
    Format("JSON", json_lines.recognises, _frames(json_lines.read)),
    Format("CSV", lambda source: True, _open_text),
)


def plain(source: Source) -> Source:
    """Unpack a source that is compressed, and write a spreadsheet as the text that it would be saved as.

    Raises:
        DataError: It is damaged or encrypted, or it is not clear which of its parts is meant.
    """
    source = compressed.unpacked(source)
    return excel.as_text(source) if excel.recognises(source) else source


def open_table(source: Source, id: str | None = None) -> Table:
    """Open a source; once, however often it is asked for.

    Args:
        source: The file or pipe, and how it is written, from :func:`plain`.
        id: Column that tells series apart, whose values stay text; None for ``unique_id``.

    Returns:
        Table: Its rows; those of a Parquet file stay in the file until they are asked for.

    Raises:
        DataError: The file is missing, empty, damaged or of another kind.
    """
    if id not in source.tables:
        kind = next(kind for kind in FORMATS if kind.recognises(source))
        source.tables[id] = kind.open(source, id)
    return source.tables[id]
