"""Tables in dialects drawn at random, written by pandas: read back they hold equal values, or they are refused.

CI takes the same sixty draws each time. For more::

    KSEQ_FUZZ=2000 pytest tests/fuzz/test_dialects.py
"""

import csv
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, DataError
from kseq.data import read_file

# No line is run here alone, and coverage takes half as long again.
pytestmark = [pytest.mark.above_backends, pytest.mark.no_cover]

DRAWS = int(os.environ.get("KSEQ_FUZZ", "60"))

#: How dates are written, by their step.
DAYS = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y%m%d", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y",
        "%d.%m.%y", "%m/%d/%y", "parts", "epoch s", "decimal days", "interval", "%Y-%m-%dT%H:%M:%SZ"]  # fmt: skip
TIMES = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M",
         "%d/%m/%y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%Y%m%d%H%M", "epoch s", "epoch ms", "date hhmm", "interval",
         "%H:%M:%S %d/%m/%Y"]  # fmt: skip
FORMS = {
    "MS": ["%Y-%m", "%Y-M%m", "%YM%m", "%Y%m", "%b-%y", "%b %Y", "%Y %b", "%m/%Y", "%Y.%m", "parts", "decimal months",
           *DAYS[:13]],
    "QS": ["%YQ", "Q %Y", "Q/%Y", "decimal quarters", *DAYS[:10]],
    "YS": ["%Y", "%Y-%m-%d", "%d/%m/%Y", "parts"],
    "W-MON": ["%G-W%V", "%GW%V", "%G-W%V-1", *DAYS[:12]],
    "D": DAYS, "B": DAYS, "h": [*TIMES, "date hour", "date 24"], "30min": TIMES,
}  # fmt: skip

#: Values of which readings could go wrong: how they are drawn, and their decimals.
VALUES = {
    "measured": lambda rng, n: np.round(rng.normal(15, 4, n), 2),
    "signed": lambda rng, n: np.round(rng.normal(0, 2, n), 1),
    "fine": lambda rng, n: np.round(rng.uniform(0.2, 30, n), 3),
    "counts": lambda rng, n: rng.integers(0, 900, n).astype(float),
    "thousands": lambda rng, n: rng.integers(200, 9000, n).astype(float),
    "millions": lambda rng, n: rng.integers(100_000, 9_000_000, n).astype(float),
    "money": lambda rng, n: np.round(rng.uniform(500, 60_000, n), 2),
    "meter": lambda rng, n: 1.2e9 + np.cumsum(rng.integers(1, 9, n)).astype(float),
    "small": lambda rng, n: rng.uniform(1, 9, n) * 1e-7,
}

#: Text for a missing value, most often none.
MISSING = ["", "NA", "NaN", ".", "-", "n/a", "?", "*", "missing", "-9999", "999"]


@dataclass
class Drawn:
    """A file, what it holds, and what is said of it."""

    seed: int
    dates: pd.DatetimeIndex
    values: np.ndarray
    content: bytes = b""
    said: dict[str, Any] = field(default_factory=dict)
    how: dict[str, Any] = field(default_factory=dict)


def pick(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def written_dates(dates, form):
    """Columns of dates in a form."""
    texts: Any
    if form == "parts":
        return {"year": dates.year, "month": dates.month, "day": dates.day}
    if form.startswith("epoch"):
        return {"when": (dates - pd.Timestamp(0)) // pd.Timedelta(1, form.split()[1])}
    if form.startswith("date "):
        clock = {
            "date hour": dates.hour, "date 24": dates.hour, "date hhmm": dates.hour * 100 + dates.minute,
        }[form]  # fmt: skip
        if form == "date 24":
            # The last hour of a day is its 24th.
            return {"when": (dates - pd.Timedelta(hours=1)).strftime("%Y-%m-%d"), "hour": (clock + 23) % 24 + 1}
        return {"when": dates.strftime("%Y-%m-%d"), "hour": clock}
    if form.startswith("decimal"):
        length = np.where(dates.is_leap_year, 366, 365)
        part = {
            "decimal months": (dates.month - 0.5) / 12, "decimal quarters": (dates.quarter - 1) / 4,
            "decimal days": (dates.day_of_year - 0.5) / length,
        }[form]  # fmt: skip
        return {"when": np.round(dates.year + part, 2 if form.endswith("quarters") else 4)}
    if form == "interval":
        later = dates + (dates[1] - dates[0])
        texts = [f"{a:%Y-%m-%dT%H:%M}/{b:%Y-%m-%dT%H:%M}" for a, b in zip(dates, later, strict=True)]
    elif "Q" in form:
        texts = [form.replace("Q", f"Q{date.quarter}").replace("%Y", str(date.year)) for date in dates]
    else:
        texts = dates.strftime(form)
    return {"when": texts}


def draw(seed):
    """A file in a dialect, and what its user says of it: nothing, or some or all of the options that fit."""
    rng = np.random.default_rng(seed)
    step = pick(rng, list(FORMS))
    form, kind = pick(rng, FORMS[step]), pick(rng, list(VALUES))
    count = int(rng.integers(30, 90))
    # Years of two digits are read as the last hundred years.
    start = pd.Timestamp(int(rng.integers(1935, 2005)), int(rng.integers(1, 13)), int(rng.integers(1, 29)))
    dates = pd.date_range(start, periods=count, freq=step)
    values = VALUES[kind](rng, count)
    sep, decimal = pick(rng, [",", ",", ";", ";", "\t", "|", " "]), pick(rng, [".", ".", ","])
    thousands = pick(rng, [None, None, None, ",", ".", " ", "'"])
    if thousands == decimal or values.max() < 1000 or kind in ("small", "meter"):
        thousands = None
    named = {option: bool(rng.random() < 0.5) for option in ("sep", "marks", "encoding", "missing", "date_format")}
    if thousands == "." and sep in ", " and not named["marks"]:
        # Nobody can tell 1.234 from 1.234 in an English table.
        thousands = None
    text = pick(rng, MISSING)
    gone = rng.random(count) < pick(rng, [0, 0, 0.08])
    gone[[0, 1, -1]] = False
    if (text == "-9999" and values.min() < 0) or (text == "999" and values.max() > 100):
        text = ""
    name = pick(rng, ["y", "level", "Höhe", "Temp (°C)", "sold, net"])
    encoding = pick(rng, ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
    head = bool(rng.random() < 0.8)

    cells = [repr(float(v)) if v != np.floor(v) or rng.random() < 0.1 else str(int(v)) for v in values]
    if kind == "money":
        cells = [f"{v:.2f}" for v in values]
    if thousands is not None:
        cells = [f"{v:,.2f}" if kind == "money" else f"{v:,.0f}" for v in values]
    swap = {",": thousands or ",", ".": decimal}
    cells = ["".join(swap.get(letter, letter) for letter in cell) for cell in cells]
    cells = [text if lost else cell for cell, lost in zip(cells, gone, strict=True)]
    columns = written_dates(dates, form)
    if form.startswith("decimal"):
        columns = {"when": [str(value).replace(".", decimal) for value in columns["when"]]}
    time = list(columns)
    columns[name] = cells
    if rng.random() < 0.3:
        columns["other"] = [str(value).replace(".", decimal) for value in np.round(rng.normal(2, 1, count), 1)]
    frame = pd.DataFrame(columns)
    quoting = pick(rng, [csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    end = pick(rng, ["\n", "\r\n"])
    above = pick(rng, [0, 0, 0, 1, 2]) if head else 0
    table = frame.to_csv(sep=sep, header=head, index=False, quoting=quoting, lineterminator=end)
    said: dict[str, Any] = {}
    if above:
        said["header"] = above
    numbers = {column: str(at) for at, column in enumerate(frame.columns, 1)}
    if not head:
        said |= {"no_header": True}
    if rng.random() < 0.75 or len(time) > 1:
        named_time = [column if head else numbers[column] for column in time]
        said |= {"time": named_time if len(time) > 1 else named_time[0], "target": name if head else numbers[name]}
    if named["sep"]:
        said["sep"] = sep
    if named["marks"]:
        said |= {"decimal": decimal} | ({"thousands": thousands} if thousands else {})
    if named["encoding"]:
        said["encoding"] = encoding
    if gone.any():
        said |= {"fill": "mask"} | ({"missing": [text]} if named["missing"] and text else {})
    if named["date_format"] and form.startswith("%") and not set("QGM") & set(form.replace("%M", "")):
        said["date_format"] = form
    how = {"step": step, "form": form, "kind": kind, "sep": sep, "decimal": decimal, "thousands": thousands,
           "missing": text if gone.any() else None, "encoding": encoding, "head": head, "quoting": quoting}  # fmt: skip
    content = ("Yearbook\n" * above + table).encode(encoding)
    return Drawn(seed, dates, np.where(gone, np.nan, values), content, said, how)


def outcome(drawn, path):
    """Whether a file is read, or why it is not; a misreading is told by what is other."""
    path.write_bytes(drawn.content)
    try:
        series = read_file(path, **drawn.said)
    except (DataError, ConfigError) as error:
        return "refused", str(error)
    y = series.y[:, 0]
    if len(y) != len(drawn.values):
        return "misread", f"{len(y)} rows, not {len(drawn.values)}: {series.read}"
    other = ~np.isclose(y, drawn.values, rtol=1e-12, atol=0, equal_nan=True)
    if other.any():
        return "misread", f"{y[other][0]}, not {drawn.values[other][0]}: {series.read}"
    if "time" in drawn.said or isinstance(series.index, pd.DatetimeIndex):
        index = series.index.tz_localize(None) if getattr(series.index, "tz", None) is not None else series.index
        if not (index == drawn.dates).all():
            return "misread", f"{index[0]}, {index[1]}, not {drawn.dates[0]}, {drawn.dates[1]}: {series.read}"
    return "read", series.read


def test_dialects_hold_equal_values_or_are_refused(tmp_path):
    outcomes = {}
    for seed in range(DRAWS):
        drawn = draw(seed)
        outcomes[seed] = (*outcome(drawn, tmp_path / "drawn.csv"), drawn)
    misread = [
        f"draw {seed}: {told}\n  {drawn.how}\n  given {drawn.said}\n  "
        + repr(drawn.content[:160])
        for seed, (result, told, drawn) in outcomes.items() if result == "misread"
    ]  # fmt: skip
    assert not misread, "\n".join(misread)
    read = sum(result == "read" for result, *_ in outcomes.values())
    # A reader that refused everything would pass above.
    assert read > 0.5 * DRAWS, f"{read} of {DRAWS} read"
