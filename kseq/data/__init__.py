"""Data: one :class:`Series` or a :class:`Panel` of many, read and checked.

``load_series`` brings a built-in series; ``read_csv``, ``read_parquet`` and ``from_frame`` read one series,
``read_panel`` and ``panel_from_frame`` many. All end in an object with sorted dates and finite numbers, which
everything after it relies on. A file goes through these modules in turn:

- ``_tables``: a frame, CSV text (``_text``) or a Parquet file (``_parquet``), behind the same few names
- ``columns``: which column is what
- ``_rows``: the rows as they come in, sorted, checked and filled
- ``dates``, ``frequency``: dates out of columns; how they follow one another, and gaps
- ``missing``: missing values
- ``slices``: panels cut and put together; ``future_dates``: the dates after the last one
- ``inputs``: frames of other libraries, arrays and names of files, whatever a user has in hand
- ``readers``: the functions above, and ``_origin``: how data were read, so that they can be read again
"""

from kseq.data._text import read_text
from kseq.data.builtin import BUILT_INS, BuiltIn, load_series
from kseq.data.frequency import Calendar
from kseq.data.inputs import TAKEN, series_of
from kseq.data.missing import FILLS
from kseq.data.panel import Panel
from kseq.data.readers import from_frame, panel_from_frame, read_csv, read_file, read_panel, read_parquet
from kseq.data.series import Series

__all__ = [
    "BUILT_INS",
    "FILLS",
    "TAKEN",
    "BuiltIn",
    "Calendar",
    "Panel",
    "Series",
    "from_frame",
    "load_series",
    "panel_from_frame",
    "read_csv",
    "read_file",
    "read_panel",
    "read_parquet",
    "read_text",
    "series_of",
]
