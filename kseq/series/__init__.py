"""Data: one :class:`Series` or a :class:`Panel` of many, read and checked.

``load_series`` brings a built-in series, ``read_csv`` and ``read_parquet`` a user's file, ``from_frame`` a DataFrame.
``read_panel`` and ``panel_from_frame`` do the same for many series at once. All end in an object that has been checked,
so that everything after it can rely on sorted dates and finite numbers. A file a task:

- ``core``, ``panel``: the two objects
- ``builtin``: series that need no file
- ``readers``: from a frame or a file to a series or a panel
- ``rows``: rows while they are read, then sorted, checked and filled
- ``tables``, ``text``, ``parquet``, ``heads``: frames, CSV text and Parquet behind the same few names
- ``roles``: which column is what
- ``dates``: dates out of columns
- ``rules``, ``calendars``, ``mixtures``: how dates follow one another, gaps, and mixed frequencies
- ``filling``: missing values
- ``origin``: how a series was read, so that it can be read again
"""

from kseq.series.builtin import BUILT_INS, BuiltIn, load_series
from kseq.series.calendars import Calendar
from kseq.series.core import Series
from kseq.series.filling import FILLS
from kseq.series.panel import Panel
from kseq.series.readers import from_frame, panel_from_frame, read_csv, read_file, read_panel, read_parquet

__all__ = [
    "BUILT_INS",
    "FILLS",
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
]
