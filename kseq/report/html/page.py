"""The frame of all pages: sections of text, tables and charts in one HTML file that loads nothing from elsewhere.

The template engine is Jinja2, which escapes every name; charts are Bokeh's, whose one script is put into the page.
Bokeh was chosen over Plotly, whose script alone has 4.7 MB, and over Altair, whose offline pages need a second package
of 30 MB.
"""

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from bokeh.embed import json_item
from bokeh.model import Model
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from kseq._version import __version__

#: Rows of a table that are shown; the rest is in the CSV file beside the page.
ROWS = 500


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Args:
        text: As it is shown.
        value: What it is sorted by: a number, or text.
    """

    text: str
    value: float | str

    @property
    def number(self) -> bool:
        """Whether it is a number, which stands to the right."""
        return not isinstance(self.value, str)


@dataclass(frozen=True, eq=False)
class Table:
    """A table that can be sorted.

    Args:
        caption: What it shows.
        heads: Names of the columns.
        rows: Cells, as many as there are heads in each row.
        more: Rows that are left out.
        ranked: Number of the column by which the rows are sorted, smallest first; None for another order.
        wraps: Whether long text runs over several lines; if not, each row is one line.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: int = 0
    ranked: int | None = None
    wraps: bool = False

    @cached_property
    def numbers(self) -> tuple[bool, ...]:
        """Whether each column holds numbers, which stand to the right."""
        columns = [[row[number] for row in self.rows if row[number].value != ""] for number in range(len(self.heads))]
        return tuple(bool(there) and all(cell.number for cell in there) for there in columns)

    @classmethod
    def of(cls, caption: str, frame: pd.DataFrame, digits: int = 4) -> "Table":
        """Make a table of a frame, numbers with so many digits that count."""
        places = [decimals_of(frame.iloc[:, number], digits) for number in range(frame.shape[1])]
        rows = tuple(
            tuple(cell_of(value, digits, own) for value, own in zip(row, places, strict=True))
            for row in frame.head(ROWS).itertuples(index=False, name=None)
        )
        return cls(caption, tuple(map(str, frame.columns)), rows, max(0, len(frame) - ROWS))


def cell_of(value: Any, digits: int = 4, places: int | None = None) -> Cell:
    """Make a cell of a value of a frame: a number with so many decimals, or of None with digits that count."""
    if isinstance(value, bool):
        return Cell("yes" if value else "no", "yes" if value else "no")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell("–", "")
    if isinstance(value, int | float) or hasattr(value, "dtype"):
        number = float(value)
        if math.isnan(number):
            return Cell("–", "")
        if places is not None:
            return Cell(f"{number:,.{places}f}", number)
        whole = abs(number) < 1e15 and (number.is_integer() or abs(number) >= 10**digits)
        return Cell(f"{number:,.0f}" if whole else f"{number:,.{digits}g}", number)
    if isinstance(value, pd.Timestamp):
        text = str(value).removesuffix(" 00:00:00")
        return Cell(text, text)
    return Cell(str(value), str(value))


def decimals_of(values: pd.Series, digits: int = 4) -> int | None:
    """Return the decimals with which a column of fractions is read, so many digits of the middle one.

    None for whole numbers, for text, and for a column whose sizes are too far apart.
    """
    if not pd.api.types.is_float_dtype(values):
        return None
    sizes = values[np.isfinite(values) & (values != 0)].abs()
    if not len(sizes) or (sizes % 1 == 0).all():
        return None
    size = int(np.floor(np.log10(sizes.median())))
    # The zero before the point is one of the digits.
    places = max(0, digits - 1 - size - (size < 0))
    return places if sizes.min() >= 10.0**-places and sizes.max() < 1e9 and places <= 8 else None


@dataclass(frozen=True)
class Switch:
    """A row of a chart that can be shown and hidden, with the line by which it is known.

    Args:
        name: Of the row.
        color: Of its line, as CSS writes it.
        dashes: Lengths of its dashes and gaps in pixels; empty for a solid line.
        on: Whether it is shown at first.
        width: Of its line in pixels.
    """

    name: str
    color: str
    dashes: tuple[int, ...]
    on: bool
    width: int = 3


@dataclass(frozen=True, eq=False)
class Chart:
    """A chart with its rows to switch on and off.

    Args:
        title: Above it.
        figure: Bokeh's.
        switches: Its rows; empty for none.
        note: A sentence below it; empty for none.
    """

    title: str
    figure: Model
    switches: tuple[Switch, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture that stands still.

    Args:
        title: What it shows, for those who cannot see it.
        png: Its bytes.
    """

    title: str
    png: bytes

    @property
    def address(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a page.

    Args:
        title: Its heading.
        texts: Paragraphs.
        points: Sentences of a list.
        tables: Tables.
        notes: Sentences below the tables.
        charts: Charts.
        pictures: Pictures that stand still.
        code: Lines that a reader may type; empty for none.
    """

    title: str
    texts: Sequence[str] = ()
    points: Sequence[str] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    pictures: Sequence[Picture] = ()
    code: str = ""


@dataclass(frozen=True, eq=False)
class Page:
    """A whole page.

    Args:
        title: Of the window and the page.
        lead: What was asked, in one sentence.
        sections: In the order of reading.
        facts: Names and values at the end: versions, machine, settings.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)

    def render(self) -> str:
        """Return the page as HTML."""
        charts = [chart for section in self.sections for chart in section.charts]
        return _template().render(
            page=self,
            # Each chart is a document of its own: the page's script draws it when it comes into view.
            parts={id(chart): json_item(chart.figure) for chart in charts},
            # From Bokeh's own package: nothing is loaded when the page is opened.
            bokeh=Markup(Resources("inline", components=["bokeh"]).render_js()) if charts else "",
            style=Markup(_asset("page.css")),
            code=Markup(_asset("page.js")),
            version=__version__,
        )


def facts_of(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of a record's settings, versions and machine, one level deep."""
    found = [(name, str(record[name])) for name in ("kseq", "backend", "device", "seconds") if name in record]
    for part in ("versions", "machine", "settings"):
        for name, value in (record.get(part) or {}).items():
            shown = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)
            found.append((name, shown))
    return found


def _with_code(text: str) -> Markup:
    """Escape a sentence; what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


@cache
def _asset(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf-8")


@cache
def _template() -> Any:
    environment = Environment(loader=PackageLoader("kseq.report.html", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["key"] = id
    environment.filters["code"] = _with_code
    # Bokeh defines a part where it is met first: the order of keys matters.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":")}
    return environment.get_template("page.html")
