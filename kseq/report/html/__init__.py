"""A result as one self-contained web page, made from a folder's record and tables alone.

``pages`` turns the record and the tables of a kind of result into sections; ``charts`` draws; ``page`` puts both into
the template. Whatever is written here can be made again from the files, by :func:`kseq.report.html.pages.of_folder`.
"""

import os
from pathlib import Path


def _bring_bokeh() -> None:
    """Import Bokeh's settings, which ask for the user's home, where there is none: in a container of a bare user."""
    try:
        Path.home()
    except RuntimeError:
        # No file is there, so that none of someone else's is read.
        os.environ["HOME"] = "/nonexistent"
        try:
            import bokeh.settings  # noqa: F401
        finally:
            del os.environ["HOME"]


_bring_bokeh()
