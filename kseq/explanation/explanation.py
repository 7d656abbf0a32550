"""The result of an explanation as tables, sentences, pictures, a record and files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from kseq._version import __version__
from kseq.explanation.figures import figures_of, frames_of
from kseq.explanation.lesson import lesson_table
from kseq.explanation.pictures import pictures_of
from kseq.explanation.result import Measured
from kseq.explanation.words import advice_of, as_text, reading_of, sentences_of
from kseq.naming import names_near
from kseq.report import made_again, run_folder
from kseq.report.table import as_html
from kseq.storage.csv_text import csv_text


@names_near({"save": ".write(folder)", "show": ".plot()", "report": ".write(folder)", "table": ".frames()"})
@dataclass(frozen=True, eq=False)
class Explanation(Measured):
    """Why cells do as they do on a series, or what they can do without one.

    The arguments are those of :class:`kseq.explanation.result.Measured`.

    Example:
        >>> explanation = kseq.explain(kseq.load_series("nino12"), problems=False)  # doctest: +SKIP
        >>> print(explanation)  # doctest: +SKIP
        >>> explanation.lesson  # doctest: +SKIP
    """

    @cached_property
    def lesson(self) -> pd.DataFrame:
        """The textbook's table with what was measured: ``property, model, lesson, measured, holds``."""
        return lesson_table(self)

    @cached_property
    def sentences(self) -> list[str]:
        """What was measured, a sentence each."""
        return sentences_of(self)

    @cached_property
    def advice(self) -> list[str]:
        """When to use each cell, for this series."""
        return advice_of(self)

    @cached_property
    def table(self) -> pd.DataFrame:
        """All figures: ``model``, ``measure``, ``mean``, ``std`` (over seeds), ``unit``."""
        return figures_of(self)

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        """The lesson's table and the advice, as a notebook shows them."""
        return as_html(self.lesson, self.advice)

    def plot(self, *, interactive: bool = False) -> Any:
        """Draw what was measured.

        Args:
            interactive: Whether to draw charts to zoom into, which a notebook shows where they are made. Defaults to
                False.

        Returns:
            dict[str, Figure]: The pictures, as :meth:`figures` has them;
            :class:`kseq.report.html.interactive.Interactive` of interactive ones.
        """
        if not interactive:
            return self.figures()
        from kseq.report.html.explained import charts_of
        from kseq.report.html.interactive import Interactive

        what = "two problems that ask for memory" if self.subject is None else self.subject.name
        return Interactive(f"{what}: why a cell does as it does", charts_of(self.frames()))

    def figures(self) -> dict[str, Figure]:
        """Return the pictures by file name; not attached to any screen."""
        return {name: draw() for name, draw in pictures_of(self).items()}

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return all measurements as frames, by file name."""
        return {"figures.csv": self.table, "lesson.csv": self.lesson, **frames_of(self)}

    @property
    def record(self) -> dict[str, Any]:
        """What ``explanation.json`` holds."""
        subject = self.subject
        return {
            "kseq": __version__,
            "series": None if subject is None else subject.name,
            "explained": None if subject is None else subject.explained,
            "windows": None if subject is None else subject.windows,
            "lookback": None if subject is None else subject.lookback,
            "transform": None if subject is None else subject.transform,
            "seeds": self.seeds,
            "figures": self.table.to_dict("records"),
            "lesson": self.lesson.to_dict("records"),
            "reading": reading_of(self),
            "sentences": self.sentences,
            "advice": self.advice,
        }

    def write(self, path: str | Path, inputs: Sequence[Path] = ()) -> list[Path]:
        """Write tables, text, pictures, page and record into a folder.

        Where the folder holds a comparison of the same series, its page shows the explanation too.

        Args:
            path: Of the folder, which is made if it is missing.
            inputs: Files that are not to be overwritten.

        Returns:
            list[Path]: The files.

        Raises:
            ConfigError: The folder holds other files by these names, or cannot be written.
        """
        with run_folder.folder(Path(path), "explanation", inputs=inputs) as folder:
            written = write(self, folder)
        return written + made_again.refresh(Path(path))


def write(explanation: Explanation, folder: run_folder.Folder, tell: run_folder.Tell | None = None) -> list[Path]:
    """Write an explanation into a folder that is open; see :func:`kseq.report.run_folder.write_all`."""
    contents = {"explanation.txt": f"{explanation}\n".encode()}
    frames = explanation.frames()
    contents |= {name: csv_text(frame).encode() for name, frame in frames.items()}
    return run_folder.write_all(folder, contents, explanation.record, pictures_of(explanation), tell, frames)
