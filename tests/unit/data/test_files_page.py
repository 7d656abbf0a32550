"""Every entry of the table of ``docs/files.md``: what the page says is read, is read, with these values."""

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kseq.data import Panel, read_file

pytestmark = pytest.mark.above_backends

PAGE = Path(__file__).parents[3] / "docs/files.md"
ROWS = 72
Y = np.round(20 + 5 * np.sin(np.arange(ROWS) * np.pi / 6) + np.random.default_rng(0).normal(0, 0.3, ROWS), 2)
MONTHS = pd.date_range("2001-01-01", periods=ROWS, freq="MS")
DAYS = pd.date_range("2001-02-03", periods=ROWS)
WEEKS = pd.date_range("2001-01-29", periods=ROWS, freq="7D")
QUARTERS = pd.date_range("2001-01-01", periods=ROWS, freq="QS")
HOURS = pd.date_range("2001-02-03 01:00", periods=ROWS, freq="h")
ISO = MONTHS.strftime("%Y-%m-%d")
COMMAS = [str(value).replace(".", ",") for value in Y]
THOUSANDS = [f"{1000 * value:,.0f}".replace(",", "'") for value in Y]
HOUR = pd.Timedelta(1, "h")


def table(dates=ISO, values=Y, sep=",", head="when,level", above="", below=""):
    rows = "".join(f"{date}{sep}{value}\n" for date, value in zip(dates, values, strict=True))
    return above + (f"{head}\n" if head else "") + rows + below


def zipped():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.csv", table())
        archive.writestr("b.csv", "no\ntable\n")
    return content.getvalue()


def spoilt():
    values = [str(value) for value in Y]
    values[5], values[9] = "-9999", "."
    return values


def across():
    years = "".join(f"{2001 + at},{','.join(map(str, Y[12 * at : 12 * at + 12]))}\n" for at in range(6))
    return "Year,Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec\n" + years


def monash():
    head = (
        "@relation x\n@attribute series_name string\n@attribute start_timestamp date\n@frequency monthly\n@horizon 6\n"
    )
    return f"{head}@missing false\n@equallength true\n@data\nT1:2001-01-01 00-00-00:{','.join(map(str, Y))}\n"


def psl():
    years = (f"{2001 + at} " + " ".join(f"{value:7.2f}" for value in Y[12 * at : 12 * at + 12]) for at in range(6))
    return " 2001 2006\n" + "\n".join(years) + "\n  -99.99\n  nino\n"


#: Those in which the days lie.
GERMAN = ("Februar", "März", "April")

DATES = {
    "2001-02-03 04:05": (DAYS.strftime("%Y-%m-%d 04:05"), DAYS + pd.Timedelta("4h5min")),
    "3.2.2001": ([f"{date.day}.{date.month}.{date.year}" for date in DAYS], DAYS),
    "Feb-01": (MONTHS.strftime("%b-%y"), MONTHS),
    "3. März 2001": ([f"{date.day}. {GERMAN[date.month - 2]} 2001" for date in DAYS], DAYS),
    "2001年2月": ([f"{date.year}年{date.month}月" for date in MONTHS], MONTHS),
    "20010203": (DAYS.strftime("%Y%m%d"), DAYS),
    "200102": (MONTHS.strftime("%Y%m"), MONTHS),
    "2001M02": ([f"{date.year}M{date.month:02}" for date in MONTHS], MONTHS),
    "2001Q1": ([f"{date.year}Q{date.quarter}" for date in QUARTERS], QUARTERS),
    "Q1 2001": ([f"Q{date.quarter} {date.year}" for date in QUARTERS], QUARTERS),
    "2001-W05": (WEEKS.strftime("%G-W%V"), WEEKS),
    "decimal years": ([f"{date.year + (date.month - 0.5) / 12:.4f}" for date in MONTHS], MONTHS),
    "intervals": ([f"{date:%Y-%m-%d %H:%M} - {date + HOUR:%Y-%m-%d %H:%M}" for date in HOURS], HOURS),
    "seconds": ([int(date.timestamp()) for date in HOURS], HOURS),
    "milliseconds": ([int(date.timestamp() * 1000) for date in HOURS], HOURS),
    "24:00": ([f"{date - HOUR:%Y-%m-%d} 24:00" if not date.hour else f"{date:%Y-%m-%d %H:%M}" for date in HOURS],
              HOURS),
}  # fmt: skip

#: Words of the table, the file's name and content, options, and the dates that are read.
CASES = [
    ("--csv gzip", "a.csv.gz", gzip.compress(table().encode()), {}, MONTHS),
    ("bzip2", "a.csv.bz2", bz2.compress(table().encode()), {}, MONTHS),
    ("xz", "a.csv.xz", lzma.compress(table().encode()), {}, MONTHS),
    ("zip --member", "a.zip", zipped(), {"member": "a.csv"}, MONTHS),
    ("separator, decimal comma", "a.csv", table(values=COMMAS, sep=";", head="when;level"), {}, MONTHS),
    ("UTF-16", "a.csv", table().encode("utf-16"), {}, MONTHS),
    ("sep=;", "a.csv", table(sep=";", head="sep=;\nwhen;level"), {}, MONTHS),
    ("a row of units", "a.csv", table(head="when,level\nUTC,m"), {}, MONTHS),
    ("lines of #", "a.csv", table(above="# a\n# b\n"), {}, MONTHS),
    ("--sep", "a.csv", table(sep="~", head="when~level"), {"sep": "~"}, MONTHS),
    ("--decimal", "a.csv", table(values=COMMAS, sep=";", head="when;level"), {"decimal": ","}, MONTHS),
    ("--thousands", "a.csv", table(values=THOUSANDS), {"thousands": "'"}, MONTHS),
    ("--encoding", "a.csv", table(head="when,Höhe").encode("latin-1"), {"encoding": "latin-1"}, MONTHS),
    ("--comment", "a.csv", table(above="% a\n"), {"comment": "%"}, MONTHS),
    ("--header", "a.csv", table(above="A title\nmore,title\n"), {"header": 2}, MONTHS),
    ("--no-header", "a.csv", table(head=""), {"no_header": True}, MONTHS),
    ("--skip-rows", "a.csv", table(above="Station: x\n\n"), {"skip_rows": 2}, MONTHS),
    ("--skip-footer", "a.csv", table(below="Total,999\nsource: x\n"), {"skip_footer": 2}, MONTHS),
    *((words, "a.csv", table(dates, head="date,level"), {"time": "date"}, read)
      for words, (dates, read) in DATES.items()),
    ("--time year,month,day", "a.csv", table(DAYS.strftime("%Y,%m,%d"), head="year,month,day,level"),
     {"time": ("year", "month", "day")}, DAYS),
    ("--time Date,Hour", "a.csv", table([f"{date:%Y-%m-%d},{date.hour}" for date in HOURS], head="Date,Hour,level"),
     {"time": ("Date", "Hour")}, HOURS),
    ("--time none", "a.csv", table([f"row {at}" for at in range(ROWS)]), {"time": ("none",)}, None),
    ("--date-format excel", "a.csv", table((DAYS - pd.Timestamp("1899-12-30")).days), {"date_format": "excel",
     "time": "when", "target": "level"}, DAYS),
    ("--date-format", "a.csv", table(DAYS.strftime("%d|%m|%Y")), {"date_format": "%d|%m|%Y", "time": "when"}, DAYS),
    ("--dayfirst", "a.csv", table(DAYS.strftime("%d/%m/%Y")), {"dayfirst": True}, DAYS),
    ("--freq", "a.csv", table(), {"freq": "MS"}, MONTHS),
    ("--wide months", "a.csv", across(), {"wide": "months"}, MONTHS),
    ("--sort", "a.csv", table(ISO[::-1], Y[::-1]), {"sort": True}, MONTHS),
    ("--missing -9999,.", "a.csv", table(values=spoilt()), {"missing": ("-9999", "."), "fill": "mask"}, MONTHS),
    ("JSON lines", "a.jsonl", "\n".join(json.dumps({"when": date, "level": value})
                                        for date, value in zip(ISO, Y.tolist(), strict=True)), {}, MONTHS),
    ("Monash .tsf", "a.tsf", monash(), {}, MONTHS),
    ("sktime .ts", "a.ts", "@problemName x\n@timeStamps false\n@missing false\n@univariate true\n@equalLength true\n"
     f"@classLabel false\n@data\n{','.join(map(str, Y))}\n", {}, None),
    ("PSL .data --preset", "a.data", psl(), {"preset": "psl"}, MONTHS),
]  # fmt: skip

#: Entries that have tests of their own, with their libraries or over further files.
ELSEWHERE = (
    "-", "--id", "--id store,item", "--wide series", "none", "--sheet", ".xlsx", ".xls", ".xlsb", ".ods",
    "--select lat=39,lon=3", "lat=30:40,lon=-10:0", "--parquet", ".rdb", "--sql", "--query", "$NAME", "kseq data",
)  # fmt: skip


@pytest.mark.parametrize(("content", "name", "options", "dates"),
                         [pytest.param(case[2], case[1], *case[3:], id=case[0]) for case in CASES])  # fmt: skip
def test_what_the_page_names_is_read(tmp_path, content, name, options, dates):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    panel = Panel.of(read_file(path, **options))
    if dates is not None:
        given = panel.index.tz_localize(None) if panel.index.tz is not None else panel.index
        assert (given == dates).all()
    known = np.isfinite(panel.y[:, 0])
    assert known.sum() == ROWS - 2 * ("missing" in options)
    thousand = 1000 if "thousands" in options else 1
    np.testing.assert_allclose(panel.y[known, 0], thousand * Y[known])


def test_every_entry_of_the_table_is_tried():
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")][2:]
    named = {code for line in lines for code in re.findall(r"`([^`]+)`", " ".join(line.split("|")[1:3]))}
    tried = " ".join(case[0] for case in CASES)
    assert {code for code in named if code not in ELSEWHERE and code not in tried} == set()
    assert all(code in named for code in ELSEWHERE)
