"""Data: one :class:`Series` or a :class:`Panel` of many, read and checked.

``load_series`` brings a built-in series; ``read_csv``, ``read_parquet`` and ``from_frame`` read one series,
``read_panel`` and ``panel_from_frame`` many. All end in an object with sorted dates and finite numbers, which
everything after it relies on. A file goes through these modules in turn:

- ``_options``: the options of reading; ``_source``: a file or a pipe
- ``_tables``: a frame or a file behind the same few names; text (``_text``, ``_dialect``), Parquet (``_parquet``), and
  the other ``formats``
- ``columns``: which column is what; ``_wide``: tables that lie across
- ``dates`` (``_date_text``, ``_date_numbers``): dates out of columns
- ``_rows``: the rows as they come in, sorted, checked (``_checks``, ``_fill_codes``) and filled (``missing``)
- ``frequency`` (``_rules``): how dates follow one another, and gaps; ``_mixtures``: dates that mix several
- ``_mending``: errors that an option mends; ``_description``: what was read, in a sentence
- ``slices``: panels cut and put together; ``future_dates``: the dates after the last one
- ``inputs``: frames of other libraries, arrays and names of files, whatever a user has in hand
- ``readers`` (``_reading``): the functions above; ``_origin``: how data were read, so that they can be read again
"""

from kseq.data._options import FILLS, FileOptions, FrameOptions, PanelFileOptions, PanelOptions, SeriesOptions
from kseq.data._source import FILE_OPTIONS
from kseq.data.builtin import BUILT_INS, BuiltIn, load_series
from kseq.data.frequency import Calendar
from kseq.data.inputs import TAKEN, reads, series_of
from kseq.data.panel import Panel
from kseq.data.readers import (
    READING_OPTIONS,
    from_frame,
    panel_from_frame,
    read_csv,
    read_file,
    read_panel,
    read_parquet,
    read_sql,
    read_table,
)
from kseq.data.series import Series

__all__ = [
    "BUILT_INS",
    "FILE_OPTIONS",
    "FILLS",
    "READING_OPTIONS",
    "TAKEN",
    "BuiltIn",
    "Calendar",
    "FileOptions",
    "FrameOptions",
    "Panel",
    "PanelFileOptions",
    "PanelOptions",
    "Series",
    "SeriesOptions",
    "from_frame",
    "load_series",
    "panel_from_frame",
    "read_csv",
    "read_file",
    "read_panel",
    "read_parquet",
    "read_sql",
    "read_table",
    "reads",
    "series_of",
]
