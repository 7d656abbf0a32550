"""Data: one :class:`Series` or a :class:`Panel` of many, read and checked.

``load_series`` brings a built-in series, ``read_csv`` and ``read_parquet`` a user's file, ``from_frame`` a DataFrame.
``read_panel`` and ``panel_from_frame`` do the same for many series at once. All end in an object that has been checked,
so that everything after it can rely on sorted dates and finite numbers. A file a task:

- ``core``, ``panel``: the two objects
- ``builtin``: series that need no file
- ``reading``: from a frame or a file to a series
- ``panels``, ``rows``: from a frame or a file to a panel
- ``files``: CSV text and Parquet, as frames or in batches
- ``roles``: which column is what
- ``dates``: dates out of columns
- ``rules``, ``calendars``, ``mixtures``: how dates follow one another, gaps, and mixed frequencies
- ``filling``: missing values
- ``origin``: how a series was read, so that it can be read again
"""

from kseq.data.builtin import BUILT_INS, BuiltIn, load_series
from kseq.data.frequency import Calendar
from kseq.data.series import Series
from kseq.data.missing import FILLS
from kseq.data.panel import Panel
from kseq.data.panels import panel_from_frame, read_file, read_panel
from kseq.data.reading import from_frame, read_csv, read_parquet

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
