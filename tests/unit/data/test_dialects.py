"""Files as programs and archives write them: read as they are meant, or refused with the option that helps."""

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, DataError, read_csv
from kseq.data import read_file

pytestmark = pytest.mark.above_backends

Y = [round(20 + 5 * np.sin(i), 2) for i in range(60)]
MONTHS = pd.date_range("1951-01-01", periods=60, freq="MS")


def write(tmp_path, dates, values=Y, head="when,level\n", foot=""):
    path = tmp_path / "file.csv"
    path.write_text(head + "".join(f"{date},{value}\n" for date, value in zip(dates, values, strict=True)) + foot)
    return path


@pytest.mark.parametrize(
    ("dates", "first", "step"),
    [
        ([f"{d.year}-M{d.month:02}" for d in MONTHS], "1951-01-01", "monthly"),
        ([f"{d:%b-%y}" for d in MONTHS], "1951-01-01", "monthly"),
        ([f"{d:%Y%m}" for d in MONTHS], "1951-01-01", "monthly"),
        ([f"Q{i % 4 + 1} {1951 + i // 4}" for i in range(60)], "1951-01-01", "quarterly"),
        ([f"{1951 + i // 4}Q{i % 4 + 1}" for i in range(60)], "1951-01-01", "quarterly"),
        ([f"2020-01-01 {hour:02}:00" for hour in range(1, 25)], "2020-01-01 01:00", "hourly"),
        ([1577836800000 + 3600000 * i for i in range(60)], "2020-01-01", "hourly"),
    ],
)
def test_dates_in_many_ways(tmp_path, dates, first, step):
    series = read_csv(write(tmp_path, dates, Y[: len(dates)]), time="when")
    assert series.index[0] == pd.Timestamp(first)
    assert series.step == step


@pytest.mark.parametrize(
    ("values", "foot", "head", "expected"),
    [
        ([-9999, *Y[1:]], "", "when,level\n", "holds -9999 in 1 of 60 rows"),
        (Y, "\nSource: a yearbook\n", "when,level\n", "give skip_footer=1"),
        ([Y[0], ".", *Y[2:]], "", "when,level\n", "give missing='.' and fill='ffill'"),
        (Y, "", "", "give no_header=True"),
    ],
)
def test_what_is_refused_names_the_option_that_helps(tmp_path, values, foot, head, expected):
    with pytest.raises(DataError) as error:
        read_csv(write(tmp_path, MONTHS.date, values, head, foot))
    assert expected in str(error.value)


def test_closed_weekdays_are_no_gaps(tmp_path):
    days = [day for day in pd.date_range("2020-01-01", periods=80) if day.weekday() != 5][:60]
    series = read_csv(write(tmp_path, [day.date() for day in days]))
    assert series.calendar.alias == "C-1111101"
    assert not len(series.gaps)


def test_thousands_by_points_are_not_read_as_decimals(tmp_path):
    path = tmp_path / "file.csv"
    values = [945 + 12 * i for i in range(60)]
    rows = [f"{d.date()};{f'{v:,}'.replace(',', '.')}\n" for d, v in zip(MONTHS, values, strict=True)]
    path.write_text("Monat;Anzahl\n" + "".join(rows))
    with pytest.raises(DataError, match=r"give thousands='\.' for 1005"):
        read_csv(path)
    assert read_csv(path, thousands=".").y[:, 0].tolist() == values


def test_what_was_read_is_said(tmp_path):
    series = read_file(write(tmp_path, MONTHS.date))
    assert series.read == "target level, dates when, monthly 1951-01-01 to 1955-12-01, 60 rows, none missing, 1 series"


def test_decimal_commas_beside_text_for_missing_values(tmp_path):
    cells = [f"{value}".replace(".", ",") for value in Y]
    cells[7] = "k.A."
    path = tmp_path / "file.csv"
    rows = "".join(f"{date.date()};{cell}\n" for date, cell in zip(MONTHS, cells, strict=True))
    path.write_text("when;level\n" + rows)
    with pytest.raises(DataError, match=r"give missing='k\.A\.' and fill='ffill'"):
        read_csv(path, time="when")
    series = read_csv(path, time="when", missing="k.A.", fill="mask")
    np.testing.assert_equal(series.y[:, 0], [*Y[:7], np.nan, *Y[8:]])


def test_quoted_names_and_dates_between_blanks(tmp_path):
    hours = pd.date_range("1991-04-15", periods=60, freq="h")
    path = tmp_path / "file.txt"
    path.write_text('when "air temperature"\n' + "".join(f'"{h}"  {v}\n' for h, v in zip(hours, Y, strict=True)))
    series = read_csv(path, time="when", target="air temperature")
    assert series.y[:, 0].tolist() == Y
    assert list(series.index) == list(hours)


def test_an_empty_cell_between_blanks_shifts_no_others(tmp_path):
    rows = [f"{date.date()} {value} {i}.5" for i, (date, value) in enumerate(zip(MONTHS, Y, strict=True))]
    rows[5] = f"{MONTHS[5].date()}  5.5"
    path = tmp_path / "file.txt"
    path.write_text("when level other\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"1 row of fewer fields than its header \(the first is row 5\)"):
        read_csv(path, time="when", target="level", fill="mask")
    rows[5] = f"{MONTHS[5].date()} 0.25 NA"
    path.write_text("when level other\n" + "\n".join(rows) + "\n")
    assert read_csv(path, time="when", target="level").y[5, 0] == 0.25


@pytest.mark.parametrize("date_format", [None, "%d.%m.%y"])
def test_years_of_two_digits_do_not_lie_ahead(tmp_path, date_format):
    series = read_csv(write(tmp_path, MONTHS.strftime("%d.%m.%y")), time="when", date_format=date_format)
    assert series.index[0] == pd.Timestamp("1951-01-01")
    assert "years of two digits taken as 1951 to 1955" in series.read


def test_instants_before_1970_are_no_numbers_of_steps(tmp_path):
    with pytest.raises(DataError, match="holds numbers such as -77155200"):
        read_csv(write(tmp_path, [-77155200 + 1800 * i for i in range(60)]), time="when")


WEEKS = pd.date_range("1951-01-01", periods=60, freq="W-MON")
HOURS = pd.date_range("2011-03-01", periods=60, freq="h")


@pytest.mark.parametrize(
    ("dates", "expected", "told"),
    [
        ([f"{d:%G-W%V}" for d in WEEKS], WEEKS, "ISO weeks, from their Mondays"),
        ([f"{d:%G}W{d:%V}" for d in WEEKS], WEEKS, "ISO weeks, from their Mondays"),
        ([f"{d:%YM%m}" for d in MONTHS], MONTHS, "monthly"),
        ([f"{d.year + (d.month - 0.5) / 12:.4f}" for d in MONTHS], MONTHS, "decimal years taken as months"),
        ([f"{d.year + (d.quarter - 1) / 4:.2f}" for d in MONTHS[::3]], MONTHS[::3], "decimal years taken as quarters"),
        ([f"{d:%Y-%m-%dT%H:%M}/{d + pd.Timedelta('1h'):%Y-%m-%dT%H:%M}" for d in HOURS], HOURS, "intervals"),
        ([f"{d:%d.%m.%Y %H:%M} - {d + pd.Timedelta('1h'):%d.%m.%Y %H:%M}" for d in HOURS], HOURS, "intervals"),
        ([int(d.timestamp()) for d in HOURS], HOURS, "seconds since 1970, in UTC"),
    ],
)
def test_dates_of_other_calendars_and_counts(tmp_path, dates, expected, told):
    series = read_csv(write(tmp_path, dates, Y[: len(dates)]), time="when")
    assert list(series.index) == list(expected)
    assert told in series.read


@pytest.mark.parametrize("clock", ["hour", "hour 1 to 24", "HHMM"])
def test_days_and_hours_in_two_columns(tmp_path, clock):
    if clock == "hour 1 to 24":
        rows = [(d.date(), d.hour + 1) for d in HOURS]
        expected = HOURS + pd.Timedelta("1h")
    else:
        rows = [(d.date(), d.hour * (100 if clock == "HHMM" else 1)) for d in HOURS]
        expected = HOURS
    series = read_csv(
        write(tmp_path, [f"{day},{hour}" for day, hour in rows], head="Day,Time,level\n"), time=["Day", "Time"]
    )
    assert list(series.index) == list(expected)
    assert series.y[:, 0].tolist() == Y


def test_years_down_and_months_across(tmp_path):
    path = tmp_path / "file.csv"
    rows = "".join(f"{1951 + i},{','.join(map(str, Y[12 * i : 12 * i + 12]))}\n" for i in range(5))
    path.write_text("year," + ",".join(pd.date_range("2001", periods=12, freq="MS").strftime("%b")) + "\n" + rows)
    series = read_csv(path, wide="months")
    assert series.y[:, 0].tolist() == Y
    assert list(series.index) == list(MONTHS)


def test_a_column_or_a_row_a_series(tmp_path):
    frame = pd.DataFrame({"date": MONTHS.date, "north": Y, "south": Y[::-1]})
    frame.to_csv(tmp_path / "columns.csv", index=False)
    frame.set_index("date").T.rename_axis("region").to_csv(tmp_path / "rows.csv")
    for name in ("columns.csv", "rows.csv"):
        panel = read_file(tmp_path / name, wide="series")
        assert list(panel.ids) == ["north", "south"]
        assert panel.y[:, 0].tolist() == [*Y, *Y[::-1]]
        assert list(panel.index[:60]) == list(MONTHS)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "mac-roman"])
def test_encodings(tmp_path, encoding):
    path = tmp_path / "file.csv"
    pd.DataFrame({"Tag": MONTHS.date, "Größe": Y}).to_csv(path, index=False, encoding=encoding)
    assert read_csv(path, time="Tag", target="Größe", encoding=encoding).y[:, 0].tolist() == Y
    if encoding == "cp1252":
        with pytest.raises(DataError, match="give encoding='cp1252', in which it holds 'Größe'"):
            read_csv(path, time="Tag")


def test_rows_out_of_order_are_sorted_where_that_is_asked_for(tmp_path):
    path = write(tmp_path, MONTHS.date[::-1], Y[::-1])
    with pytest.raises(DataError, match="give sort"):
        read_csv(path, time="when")
    assert read_csv(path, time="when", sort=True).y[:, 0].tolist() == Y


def test_what_is_known_ahead_is_read_in_a_dialect_too(tmp_path):
    path = tmp_path / "file.csv"
    cells = [f"{value}".replace(".", ",") for value in Y[:57]] + [""] * 3
    path.write_text(
        "when;sold;price\n"
        + "".join(f"{d:%d.%m.%Y};{c};1,{i:02}\n" for i, (d, c) in enumerate(zip(MONTHS, cells, strict=True)))
    )
    series = read_csv(path, time="when", target="sold", future=["price"])
    assert series.y[:, 0].tolist() == Y[:57]
    assert series.ahead.values[:, 0].tolist() == [1.57, 1.58, 1.59]


@pytest.mark.parametrize(
    ("cells", "said", "expected"),
    [(["2 745 459", "812", "1 003"], {}, [2745459, 812, 1003]), (["2'745", "3'812.5"], {}, [2745, 3812.5]),
     (["2 745,25", "812,5"], {}, [2745.25, 812.5]), (["2\u00a0745", "812"], {}, [2745, 812]),
     (["2,944", "812"], {"decimal": "."}, [2944, 812]), (["2.944", "812"], {"decimal": ","}, [2944, 812]),
     (["2.944,5", "812"], {"decimal": ","}, [2944.5, 812])],
)  # fmt: skip
def test_thousands_that_leave_no_doubt_are_read(tmp_path, cells, said, expected):
    path = tmp_path / "a.csv"
    path.write_text("t;y\n" + "".join(f"{2000 + at};{cell}\n" for at, cell in enumerate(cells)))
    assert read_csv(path, time="t", target="y", sep=";", **said).y[:, 0].tolist() == expected


def test_thousands_in_doubt_are_refused(tmp_path):
    """Two marks, decimals of two kinds, and groups that are not of three digits tell nothing."""
    for cells in (["2'745", "3 812"], ["2 745,5", "3 812.5"], ["2 74", "3 812 1"]):
        path = tmp_path / "a.csv"
        path.write_text("t;y\n" + "".join(f"{2000 + at};{cell}\n" for at, cell in enumerate(cells)))
        with pytest.raises(DataError, match="holds text"):
            read_csv(path, time="t", target="y", sep=";")


@pytest.mark.parametrize(
    ("sep", "decimal", "comment"), [("é", ".", None), ("§", ",", None), (";", "·", None), (",", ".", "¶")]
)
def test_marks_of_more_than_one_byte(tmp_path, sep, decimal, comment):
    lines = [sep.join(("ds", "y"))]
    lines += [sep.join((f"20{n // 12 + 10}-{n % 12 + 1:02}-01", f"{n}{decimal}5")) for n in range(30)]
    file = tmp_path / "a.csv"
    file.write_text("\n".join([*lines[:9], *([f"{comment} a note"] if comment else []), *lines[9:]]), encoding="utf-8")
    marks = {"sep": sep, "decimal": decimal} | ({"comment": comment} if comment else {})
    series = read_csv(file, target="y", **marks)
    np.testing.assert_array_equal(series.y[:, 0], np.arange(30) + 0.5)


@pytest.mark.parametrize("name", ["sep", "decimal", "thousands", "comment", "encoding", "member", "select", "preset"])
def test_marks_that_are_no_text_are_told(tmp_path, name):
    file = tmp_path / "a.csv"
    file.write_text("ds,y\n2001-01-01,1\n2001-02-01,2\n")
    with pytest.raises(ConfigError, match=rf"received {name} .*ud800, which is no text"):
        read_csv(file, target="y", **{name: "\ud800"})


@pytest.mark.parametrize(
    ("written", "first", "step"),
    [
        (lambda number: 200001 + 100 * (number // 12) + number % 12, "2000-01-01", "monthly"),
        (lambda number: 20000101 + number if number < 31 else 20000201 + number - 31, "2000-01-01", "daily"),
        (lambda number: 946684800 + 3600 * number, "2000-01-01", "hourly"),
        (lambda number: 1000 * (946684800 + 86400 * number), "2000-01-01", "daily"),
    ],
)
def test_numbers_that_can_only_be_dates_are_dates_under_any_name(tmp_path, written, first, step):
    path = write(tmp_path, [written(number) for number in range(60)], head="unix,y\n")
    series = read_csv(path)
    assert (series.targets, series.index[0], series.step) == (("y",), pd.Timestamp(first), step)
    assert "dates unix" in series.read


def test_numbers_that_may_be_values_are_no_dates(tmp_path):
    # A count that grows unevenly, one that is alone, and values like years.
    total = np.cumsum(np.random.default_rng(0).integers(10**6, 10**8, 60)) + 10**9
    for head, values in (("total,y\n", total), ("price,y\n", 1990 + np.arange(60) / 12)):
        assert "no dates" in read_csv(write(tmp_path, values, head=head)).read
    path = tmp_path / "alone.csv"
    path.write_text("reading\n" + "".join(f"{200001 + number % 12 + 100 * (number // 12)}\n" for number in range(60)))
    assert read_csv(path).targets == ("reading",)


def test_numbers_that_are_dates_begin_again_with_each_series(tmp_path):
    path = tmp_path / "shops.csv"
    months = [200001 + 100 * (number // 12) + number % 12 for number in range(30)]
    rows = (f"{shop},{month},{value}\n" for shop in "ab" for month, value in zip(months, Y[:30], strict=True))
    path.write_text("shop,period,y\n" + "".join(rows))
    panel = read_file(path, id="shop")
    assert (len(panel.ids), panel.step) == (2, "monthly")
    # Series that are taken for one have each date twice.
    with pytest.raises(DataError, match="dates"):
        read_file(path)


def test_decimal_years_are_dates_by_their_name(tmp_path):
    path = write(tmp_path, [f"{1990 + (number + 0.5) / 12:.4f}" for number in range(60)], head="decimal year,co2\n")
    series = read_csv(path)
    assert (series.targets, series.index[0], series.step) == (("co2",), pd.Timestamp("1990-01-01"), "monthly")


def test_dates_in_words_that_are_not_read_are_told(tmp_path):
    months = ("styczeń", "luty", "marzec")
    dates = [f"{months[number % 3]} {1999 + number // 3}" for number in range(60)]
    path = write(tmp_path, dates, head="month,value\n")
    with pytest.raises(DataError, match=r"column month does not read as dates .'styczeń 1999' in row 0"):
        read_csv(path)


def test_a_row_of_units_has_none_for_the_date(tmp_path):
    path = write(tmp_path, MONTHS.strftime("%Y-%m"), head="when,level\n,degC\n")
    series = read_csv(path)
    assert (len(series.index), series.y[0, 0]) == (60, Y[0])
    assert "line 2 (degC) left out as units" in series.read


def test_what_stands_above_a_table_is_skipped_by_an_option(tmp_path):
    path = write(tmp_path, MONTHS.strftime("%Y-%m"), head="station,Hafen\nheight,12 m\nwhen,level\n")
    with pytest.raises(DataError, match="skip_rows"):
        read_csv(path)
    assert read_csv(path, skip_rows=2).targets == ("level",)
