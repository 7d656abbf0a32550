"""Charts that a notebook shows where they are made, and that can be kept as a page."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bokeh.model import Model

from kseq import storage
from kseq.report.html.page import Chart, Page, Section

#: Height of a chart with its switches and buttons, in pixels, until the page has said its own.
_HEIGHT = 520


@dataclass(frozen=True, eq=False)
class Interactive:
    """Charts to zoom into, with rows to switch on and off.

    A notebook shows them in a frame of their own, which holds all that they need: they work offline, in every notebook
    that shows HTML, and in one that was exported. Bokeh's own ``output_notebook`` loads its script from the network or
    through an extension, and has no switches.

    Args:
        title: Of the page.
        charts: What is drawn.

    Example:
        >>> comparison.plot(interactive=True)  # doctest: +SKIP
        >>> comparison.plot(interactive=True).save("forecasts.html")  # doctest: +SKIP
    """

    title: str
    charts: Sequence[Chart]

    @property
    def figures(self) -> list[Model]:
        """Bokeh's figures, for those who lay them out by themselves."""
        return [chart.figure for chart in self.charts]

    @property
    def page(self) -> str:
        """The charts as a page that loads nothing."""
        return Page(self.title, "", [Section("", charts=self.charts)]).render()

    def save(self, path: str | Path) -> Path:
        """Write the page into a file.

        Args:
            path: Of the file; ``.html`` is added where it has no suffix.

        Returns:
            Path: Of the file.
        """
        path = Path(path) if Path(path).suffix else Path(f"{path}.html")
        storage.write_bytes(path, self.page.encode())
        return path

    def _repr_html_(self) -> str:
        height = _HEIGHT * max(1, len(self.charts))
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" title="{html.escape(self.title)}" '
            f'style="width: 100%; height: {height}px; border: 0"></iframe>'
        )
