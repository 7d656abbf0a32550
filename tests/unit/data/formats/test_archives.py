"""Series of known archives: Monash, sktime, PSL, USGS, NDBC and SILSO."""

import numpy as np
import pandas as pd
import pytest

from kseq import DataError
from kseq.data import read_file
from kseq.errors import ConfigError

pytestmark = pytest.mark.above_backends

Y = [round(10 + (k * k) % 7 + k / 10, 2) for k in range(40)]


def write(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def tsf(frequency="monthly", lines=(("T1", "1990-01-01 00-00-00", Y),), tail=""):
    series = "\n".join(
        f"{id}:{start}:{','.join('?' if y is None else str(y) for y in values)}" for id, start, values in lines
    )
    return (
        "# A header\n# of comments\n@relation shops\n@attribute series_name string\n@attribute start_timestamp date\n"
        f"@frequency {frequency}\n@horizon 8\n@missing false\n@equallength false\n@data\n{series}\n{tail}"
    )


@pytest.mark.parametrize(
    ("frequency", "start", "alias"),
    [("monthly", "1990-01-01", "MS"), ("monthly", "1990-01-31", "ME"), ("quarterly", "1990-04-01", "QS"),
     ("yearly", "1800-01-01", "YS"), ("weekly", "2016-01-06", "W-WED"), ("daily", "2016-02-25", "D"),
     ("hourly", "2016-02-28", "h"), ("half_hourly", "2016-02-28", "30min"), ("10_minutes", "2016-02-28", "10min"),
     ("4_seconds", "2016-02-28", "4s"), ("minutely", "2016-02-28", "min")],
)  # fmt: skip
def test_dates_of_a_monash_file_follow_its_frequency(tmp_path, frequency, start, alias):
    series = read_file(write(tmp_path, "a.tsf", tsf(frequency, [("T1", f"{start} 00-00-00", Y)])))
    assert series.index.tolist() == pd.date_range(start, periods=40, freq=alias).tolist()
    assert series.y[:, 0].tolist() == Y
    assert f"frequency {frequency}" in series.read
    assert "horizon 8" in series.read


def test_series_of_a_monash_file_begin_and_end_where_they_do(tmp_path):
    lines = [
        ("a", "1990-01-01 00-00-00", Y),
        ("001", "1991-06-01 00-00-00", Y[:25]),
        ("NA", "1990-01-01 00-00-00", Y[::-1]),
    ]
    panel = read_file(write(tmp_path, "m.tsf", tsf(lines=lines)))
    lengths = dict(zip(panel.ids, panel.lengths, strict=True))
    assert lengths == {"a": 40, "001": 25, "NA": 40}
    at = list(panel.ids).index("001")
    assert panel.index[panel.borders[at]] == pd.Timestamp("1991-06-01")


def test_a_monash_file_without_dates(tmp_path):
    text = (
        "@relation x\n@attribute series_name string\n@data\na:"
        + ",".join(map(str, Y))
        + "\nb:"
        + ",".join(map(str, Y[5:]))
    )
    panel = read_file(write(tmp_path, "m.tsf", text))
    assert panel.ids.tolist() == ["a", "b"]
    assert panel.lengths.tolist() == [40, 35]


def test_question_marks_are_missing(tmp_path):
    path = write(tmp_path, "m.tsf", tsf(lines=[("T1", "1990-01-01 00-00-00", [*Y[:9], None, *Y[10:]])]))
    with pytest.raises(DataError, match="missing"):
        read_file(path)
    assert read_file(path, fill="ffill").y[9, 0] == Y[8]


@pytest.mark.parametrize(
    ("text", "message"),
    [(tsf().replace("@data", "data"), "expected @data before the first series"),
     (tsf().partition("@data")[0], "no line @data"),
     (tsf().replace("monthly", "moonly"), "received @frequency moonly, expected one such as monthly"),
     (tsf(tail="T2:1,2\n"), "received 1 attributes in line 12, expected 2"),
     (tsf(tail="T2:1990-13-01 00-00-00:1,2\n"), "received start '1990-13-01 00-00-00', expected a date"),
     (tsf(tail="T2:1990-01-01 00-00-00:1,x\n"), "line 12 holds what is no number"),
     (tsf(tail="T1:1990-01-01 00-00-00:1,2\n"), "received series 'T1' more than once"),
     (tsf(lines=[]), "holds no series")],
)  # fmt: skip
def test_what_is_no_monash_file(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_file(write(tmp_path, "m.tsf", text))


def test_cases_of_sktime(tmp_path):
    header = "@problemName x\n@timeStamps false\n@univariate true\n@classLabel true 1 2\n@data\n"
    lines = [",".join(map(str, Y)) + ":1", ",".join(map(str, Y[::-1])) + ":2"]
    panel = read_file(write(tmp_path, "x.ts", header + "\n".join(lines)))
    assert panel.ids.tolist() == ["1", "2"]
    assert panel.y[:40, 0].tolist() == Y
    two = header.replace("@univariate true", "@univariate false\n@dimensions 2")
    lines = [f"{','.join(map(str, Y))}:{','.join(map(str, Y[::-1]))}:1"]
    series = read_file(write(tmp_path, "y.ts", two + "\n".join(lines)))
    assert series.y.T.tolist() == [Y, Y[::-1]]


def test_cases_of_sktime_with_dates(tmp_path):
    pairs = ",".join(
        f"({day.date()} 00:00:00,{y})" for day, y in zip(pd.date_range("2001-01-01", periods=40), Y, strict=True)
    )
    text = f"@problemName x\n@timeStamps true\n@classLabel false\n@data\n{pairs}\n"
    series = read_file(write(tmp_path, "x.ts", text))
    assert series.index[39] == pd.Timestamp("2001-02-09")
    assert series.y[:, 0].tolist() == Y


def psl(first=1950, years=4, mark="-99.99", values=None):
    values = np.round(np.random.default_rng(1).normal(26, 1, years * 12), 2) if values is None else values
    rows = [f" {first + k} " + "  ".join(f"{v:7.2f}" for v in values[12 * k : 12 * k + 12]) for k in range(years)]
    return f"  {first}        {first + years - 1}\n" + "\n".join(
        rows
    ) + f"\n  {mark}\n Nino 3.4\n  https://psl.noaa.gov\n", values


def test_months_of_psl(tmp_path):
    text, values = psl()
    for preset in ({}, {"preset": "psl"}):
        series = read_file(write(tmp_path, "nino34.data", text), **preset)
        assert series.y[:, 0].tolist() == values.tolist()
        assert series.index.tolist() == pd.date_range("1950-01-01", periods=48, freq="MS").tolist()
        assert "preset psl" in series.read


def test_months_to_come_of_psl_are_left_out_and_those_within_are_missing(tmp_path):
    values = np.arange(48.0) % 11
    values[[0, 1, 45, 46, 47]] = -99.99
    series = read_file(write(tmp_path, "a.data", psl(values=values)[0]))
    assert len(series) == 43
    assert series.index[0] == pd.Timestamp("1950-03-01")
    values[20] = -99.99
    with pytest.raises(DataError, match="missing"):
        read_file(write(tmp_path, "a.data", psl(values=values)[0]))


def test_a_file_of_psl_that_is_cut_off(tmp_path):
    lines = psl(years=6)[0].splitlines()
    with pytest.raises(DataError, match=r"ends in 1952, expected years to 1955: it is cut off"):
        read_file(write(tmp_path, "a.data", "\n".join(lines[:4])))
    with pytest.raises(DataError, match=r"expected the twelve months of 1953"):
        read_file(write(tmp_path, "a.data", "\n".join([*lines[:4], lines[4][:30], *lines[5:]])))


def rdb(values, zones=None, site="01646500", start="2020-03-07 20:00"):
    zones = zones or ["EST"] * len(values)
    times = pd.date_range(start, periods=len(values), freq="h") if isinstance(start, str) else start
    rows = "\n".join(
        f"USGS\t{site}\t{t:%Y-%m-%d %H:%M}\t{z}\t{v}\tA" for t, z, v in zip(times, zones, values, strict=True)
    )
    return (
        f"# USGS\n#\nagency_cd\tsite_no\tdatetime\ttz_cd\t69_00060\t69_00060_cd\n5s\t15s\t20d\t6s\t14n\t10s\n{rows}\n"
    )


def test_rows_of_usgs(tmp_path):
    series = read_file(write(tmp_path, "flow.rdb", rdb(Y)))
    assert series.y[:, 0].tolist() == Y
    assert series.targets == ("69_00060",)
    assert series.index[0] == pd.Timestamp("2020-03-07 20:00")
    assert "site 01646500" in series.read


def test_clocks_of_usgs_that_change_are_one_axis_in_utc(tmp_path):
    utc = pd.date_range("2020-03-08 01:00", periods=40, freq="h", tz="UTC")
    local = utc.tz_convert("America/New_York")
    text = rdb(Y, [t.tzname() for t in local], start=local.tz_localize(None))
    series = read_file(write(tmp_path, "flow.txt", text))
    assert series.index.tz_convert("UTC").tolist() == utc.tolist()


def test_ice_on_a_river_is_told(tmp_path):
    path = write(tmp_path, "flow.rdb", rdb([*Y[:7], "Ice", *Y[8:]]))
    with pytest.raises(DataError, match=r"69_00060.*Ice"):
        read_file(path)
    assert read_file(path, missing="Ice", fill="ffill").y[7, 0] == Y[6]


def ndbc(rows=40, newest_first=False):
    hours = pd.date_range("2020-01-01", periods=rows, freq="h")
    lines = [
        f"{t:%Y %m %d %H %M} 140 {y:4.1f} 99.0 {999.0 if k == 9 else y + 2:5.1f}"
        for k, (t, y) in enumerate(zip(hours, Y, strict=False))
    ]
    return (
        "#YY  MM DD hh mm WDIR WSPD GST WTMP\n#yr mo dy hr mn degT m/s m/s degC\n"
        + "\n".join(lines[::-1] if newest_first else lines)
        + "\n"
    )


def test_hours_of_ndbc(tmp_path):
    path = write(tmp_path, "buoy.txt", ndbc())
    series = read_file(path, target="WSPD")
    assert series.y[:, 0].tolist() == [round(y, 1) for y in Y]
    assert series.index[-1] == pd.Timestamp("2020-01-02 15:00")
    assert "WTMP 999 (1)" in series.read
    with pytest.raises(DataError, match="missing"):
        read_file(path, target="WTMP")
    turned = read_file(write(tmp_path, "now.txt", ndbc(newest_first=True)), target="WSPD")
    assert turned.y.tolist() == series.y.tolist()


def test_buoys_of_the_last_century(tmp_path):
    text = "YY MM DD hh WD   WSPD\n" + "".join(
        f"{t:%y %m %d %H} 140 {y:4.1f}\n"
        for t, y in zip(pd.date_range("1997-12-31", periods=40, freq="h"), Y, strict=True)
    )
    series = read_file(write(tmp_path, "old.txt", text), target="WSPD")
    assert series.index[[0, -1]].tolist() == [pd.Timestamp("1997-12-31"), pd.Timestamp("1998-01-01 15:00")]


def test_sunspots_of_silso(tmp_path):
    months = pd.date_range("1749-01-01", periods=36, freq="MS")
    text = "".join(
        f"{t.year};{t.month:02d};{t.year + (t.month - 0.5) / 12:.3f};{y:6.1f};{-1.0:5.1f};{-1:4d};1\n"
        for t, y in zip(months, Y, strict=False)
    )
    series = read_file(write(tmp_path, "SN_m_tot_V2.0.csv", text))
    assert series.y[:, 0].tolist() == [round(y, 1) for y in Y[:36]]
    assert series.index.tolist() == months.tolist()
    days = pd.date_range("1818-01-08", periods=40)
    spots = [-1, -1, *map(round, Y[2:])]
    text = "".join(
        f"{t:%Y %m %d} {t.year + (t.day_of_year - 0.5) / 365:.3f} {y:5d} {10.2:5.1f} {1:4d} *\n"
        for t, y in zip(days, spots, strict=True)
    )
    series = read_file(write(tmp_path, "SN_d_tot_V2.0.txt", text), preset="silso")
    assert series.index[0] == pd.Timestamp("1818-01-10")
    assert series.y[:, 0].tolist() == [round(y) for y in Y[2:]]


def test_presets_that_do_not_fit(tmp_path):
    path = write(tmp_path, "a.csv", "ds,y\n" + "".join(f"2001-01-{k + 1:02d},{y}\n" for k, y in enumerate(Y[:28])))
    with pytest.raises(DataError, match="does not have the shape of psl"):
        read_file(path, preset="psl")
    with pytest.raises(ConfigError, match="received preset 'nasa', expected one of psl, rdb, ndbc, silso"):
        read_file(path, preset="nasa")


def test_a_table_of_numbers_without_header_is_no_silso(tmp_path):
    text = "".join(f"{2001 + k};{k % 12 + 1};{3.5 + k};{y};1\n" for k, y in enumerate(Y))
    with pytest.raises(DataError, match="header"):
        read_file(write(tmp_path, "a.csv", text))
