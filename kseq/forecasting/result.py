"""The forecasts of a trained model, which show, draw and write themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.data import Panel
from kseq.data.columns import ID_NAME
from kseq.evaluation.intervals import Interval
from kseq.report.run_folder import Tell, csvs_of, write_all
from kseq.storage import Folder


@dataclass(frozen=True, eq=False)
class Forecast:
    """Forecasts of the steps after each series.

    Args:
        name: Name of the model: ``"GRU"``.
        dates: Dates of the steps, series after series, ``(series * steps,)``; row numbers where there are no dates.
        values: Forecasts in the targets' unit, ``(series, steps, targets)``.
        intervals: Bounds by level, of the shape of the values; NaN where none is known.
        notes: Sentences on how the forecasts were made.
        history: The last rows that were known of each series.
    """

    name: str
    dates: pd.Index
    values: np.ndarray
    intervals: Mapping[float, Interval]
    notes: tuple[str, ...]
    history: Panel

    def _repr_html_(self) -> str:
        """The forecasts and the notes, as a notebook shows them."""
        from kseq.report.table import as_html

        return as_html(self.frame, self.notes)

    def plot(self, path: str | Path | None = None, *, interactive: bool = False) -> Any:
        """Draw the last known values, the forecasts and their intervals.

        Args:
            path: File to write the picture into, a PNG where it has no suffix, a page where it is interactive. Defaults
                to None, for none.
            interactive: Whether to draw charts to zoom into, which a notebook shows where they are made. Defaults to
                False.

        Returns:
            matplotlib.figure.Figure: The picture; :class:`kseq.report.html.interactive.Interactive` of an interactive
            one.
        """
        if interactive:
            from kseq.report.html.interactive import Interactive
            from kseq.report.html.others import charts_of_forecast

            charts = Interactive(f"Forecast by {self.name}", charts_of_forecast(self.record, self.frame))
            if path is not None:
                charts.save(path)
            return charts
        from kseq.report.lettering import save

        return save(self._drawn(), path)

    def _drawn(self) -> Any:
        # Matplotlib is loaded with it.
        from kseq.report.forecast import plot_forecast

        return plot_forecast(self.name, self.history, self.dates, self.values, self.intervals)

    def write(self, folder: Folder, tell: Tell | None = None) -> list[Path]:
        """Write the forecasts as CSV and as a picture, with a record and a page.

        Args:
            folder: The folder, from :func:`kseq.report.run_folder.folder`.
            tell: Function called with a sentence for each picture that cannot be drawn; a warning by default.

        Returns:
            list[Path]: The files written.
        """
        frames = {"forecast.csv": self.frame}
        return write_all(folder, csvs_of(frames), self.record, {"forecast.png": self._drawn}, tell, frames)

    @property
    def record(self) -> dict[str, Any]:
        """What ``forecast.json`` holds."""
        from kseq.report.forecast import record_of

        return record_of(self.name, self.history, self.values.shape[1], self.notes)

    @property
    def frame(self) -> pd.DataFrame:
        """Long form: ``unique_id, ds``, forecasts under the model's name, and bounds as ``GRU-lo-80``, ``GRU-hi-80``.

        Several targets are several series, ``id/target``.
        """
        ids, targets = self.history.ids, self.history.targets
        series, steps, count = self.values.shape
        of_rows = [f"{id}/{target}" for id in ids for target in targets] if count > 1 else list(ids)
        places = np.repeat(np.arange(series * steps).reshape(series, 1, steps), count, axis=1)

        def flat(values: np.ndarray) -> np.ndarray:
            return np.moveaxis(values, 2, 1).ravel()

        columns: Mapping[str, np.ndarray | pd.Index] = {
            ID_NAME: pd.Index(of_rows).repeat(steps),
            "ds": self.dates[places.ravel()],
            self.name: flat(self.values),
            **{
                f"{self.name}-{side}-{level:g}": flat(bound)
                for level, band in self.intervals.items()
                for side, bound in (("lo", band.lo), ("hi", band.hi))
            },
        }
        return pd.DataFrame(columns)
