import numpy as np
import pandas as pd
import pytest

from kseq import DataError, from_frame, load_series, read_csv
from kseq.data import BUILT_INS

pytestmark = pytest.mark.above_backends


def write(tmp_path, text, name="file.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


GOOD = "date,sst,wind\n" + "".join(f"2001-01-{day:02},{day % 7}.5,{day}\n" for day in range(1, 29))


def test_built_ins_have_their_known_lengths():
    assert {name: len(load_series(name)) for name in BUILT_INS} == {"nino12": 732, "co2": 526, "sunspots": 309}


def test_nino12_reads_row_by_row():
    series = load_series("nino12")
    assert series.y[:3, 0].tolist() == [23.11, 24.20, 25.37]
    assert str(series.index[12]) == "1951-01-01 00:00:00"
    assert series.step == "monthly"


def test_fingerprint_changes_with_a_value_and_only_then():
    series = load_series("nino12")
    frame = series.frame.copy()
    again = from_frame(frame, target="sst", name="other")
    frame.iloc[100, 0] += 1e-9
    assert again.fingerprint == series.fingerprint
    assert from_frame(frame, target="sst").fingerprint != series.fingerprint


def test_time_column_is_found_and_the_only_number_is_the_target(tmp_path):
    series = read_csv(write(tmp_path, GOOD), target="sst", features=["wind"])
    assert series.has_dates
    assert series.step == "daily"
    assert series.targets == ("sst",)
    assert series.features == ("wind",)


def test_date_of_several_columns(tmp_path):
    text = "one\ntwo\nyear,month,day,temp deg C\n" + "".join(f"2001,{m},3,{m}\n" for m in range(1, 13))
    series = read_csv(write(tmp_path, text), time=["year", "month", "day"], target="temp deg C", features=["year"],
                      header=2)  # fmt: skip
    assert str(series.index[1].date()) == "2001-02-03"
    assert series.unit == "°C"


def test_rows_without_dates_are_numbered(tmp_path):
    series = read_csv(write(tmp_path, "y\n1\n2\n4\n"))
    assert series.index.tolist() == [0, 1, 2]
    assert series.step == "rows"


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", {}, "is empty"),
        ("a,b\n", {"target": "a"}, "no rows"),
        ("1,2\n3,4\n", {}, "numbers where its column names"),
        (GOOD, {"target": "salt"}, "'salt', expected one of: date, sst, wind"),
        (GOOD, {"target": "sst", "time": "day"}, "received column 'day'"),
        (GOOD, {}, "2 numeric columns"),
        (GOOD.replace("3.5,3", "warm,3"), {"target": "sst"}, "text ('warm' in row 2"),
        (GOOD.replace("3.5,3", "inf,3"), {"target": "sst"}, "infinite"),
        (GOOD.replace("3.5,3", ",3"), {"target": "sst"}, "1 missing value in column 'sst' (at 2001-01-03)"),
        (GOOD.replace("2001-01-05", "2001-01-04"), {"target": "sst"}, "stand twice"),
        (
            GOOD.replace("2001-01-05", "2000-01-05"),
            {"target": "sst"},
            "dates are not in order (first: 2000-01-05 stands after 2001-01-04)",
        ),
        (GOOD.replace("2001-01-05", "soon"), {"target": "sst"}, "does not read as dates ('soon' in row 4, 1 in all;"),
        (GOOD.replace("2001-01-01", "soon"), {"target": "sst"}, "does not read as dates ('soon' in row 0 has no year"),
        (
            GOOD.replace("2001-01-05", "5/1/2001"),
            {"target": "sst"},
            "'5/1/2001' in row 4, 1 in all; the first row holds",
        ),
        (GOOD.replace("2001-01-05,", ","), {"target": "sst"}, "no date in row 4 of column date"),
        (GOOD, {"target": "wind", "time": "sst"}, "does not read as dates ('sst' holds numbers such as 1.5)"),
        (
            GOOD,
            {"target": "sst", "features": ["sst", "wind"], "static": ["wind"]},
            "received 'wind' as static covariate",
        ),
        ("month,day,y\n1,2,3\n", {"time": ["month", "day"], "target": "y"}, "no year among the columns"),
        (
            "year,month,y\n2001,1,3\n2001,13,4\n",
            {"time": ["year", "month"], "target": "y"},
            "('2001 13' in row 1, 1 in all",
        ),
        (GOOD, {"target": "sst", "header": 99}, "no table under line 99"),
        (GOOD, {"target": "sst", "fill": "mean"}, "received fill 'mean'"),
        ("y\n1\n1\n1\n", {}, "constant"),
    ],
)
def test_bad_files_are_told_apart(tmp_path, text, options, expected):
    with pytest.raises(DataError) as error:
        read_csv(write(tmp_path, text), **options)
    assert expected in str(error.value)


def test_missing_folder_and_binary_files(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_csv(tmp_path)
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\x00\x01\x02")
    with pytest.raises(DataError, match="binary"):
        read_csv(path)
    path.write_bytes("a,b\n1,é\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read_csv(path)


def test_fill_linear_and_ffill(tmp_path):
    path = write(tmp_path, "y,z\n1,0\n,0\n3,0\n,0\n")
    assert read_csv(path, target="y", fill="linear").y[:, 0].tolist() == [1, 2, 3, 3]
    assert read_csv(path, target="y", fill="ffill").y[:, 0].tolist() == [1, 1, 3, 3]
    begun = read_csv(write(tmp_path, "y,z\n,0\n2,0\n3,0\n"), target="y", fill="ffill")
    assert begun.y[:, 0].tolist() == [2, 3]
    assert begun.notes == ("1 row before the first value of the target left out.",)
    with pytest.raises(DataError, match="column 'z' starts with missing"):
        read_csv(write(tmp_path, "y,z\n1,\n2,0\n3,0\n"), target="y", features=["z"], fill="ffill")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("2001-01-01T00:00+01:00", "2001-01-02T00:00", "(+01:00 at first, no zone in row 1)"),
        (
            pd.Timestamp("2001-01-01"),
            pd.Timestamp("2001-01-02", tz="Asia/Tokyo"),
            "(no zone at first, +09:00 in row 1)",
        ),
    ],
)
def test_dates_of_several_time_zones(first, second, expected):
    with pytest.raises(DataError, match="holds dates of several time zones") as error:
        from_frame(pd.DataFrame({"date": [first, second], "y": [1.0, 2.0]}))
    assert expected in str(error.value)
    assert "write all of them in UTC" in str(error.value)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("2001-01-01T00:00+01:00", "2001-01-02T00:00+02:00", "2001-01-01 22:00"),
        ("2001-01-01T00:00:00.5Z", "2001-01-02T00:00:00.5-0330", "2001-01-02 03:30:00.5"),
        (pd.Timestamp("2001-01-01", tz="UTC"), pd.Timestamp("2001-01-02", tz="Asia/Tokyo"), "2001-01-01 15:00"),
    ],
)
def test_changing_offsets_are_instants(first, second, expected):
    series = from_frame(pd.DataFrame({"date": [first, second], "y": [1.0, 2.0]}))
    assert series.index[1] == pd.Timestamp(expected, tz="UTC")
    assert str(series.index.tz) == "UTC"


def test_time_zones_by_name():
    with pytest.raises(DataError, match="'2001-01-02 00:00 EST' in row 1"):
        from_frame(pd.DataFrame({"date": ["2001-01-01 00:00 UTC", "2001-01-02 00:00 EST"], "y": [1.0, 2.0]}))


def test_a_value_that_is_no_date_among_dates_with_a_zone():
    with pytest.raises(DataError, match="'soon' in row 1"):
        from_frame(pd.DataFrame({"date": ["2001-01-01T00:00Z", "soon"], "y": [1.0, 2.0]}))


def test_things_that_are_no_dates():
    with pytest.raises(DataError, match="column date does not read as dates"):
        from_frame(pd.DataFrame({"date": [[2001], [2002]], "y": [1.0, 2.0]}))
    with pytest.raises(DataError, match="'date' holds durations"):
        from_frame(pd.DataFrame({"date": pd.to_timedelta([1, 2], unit="D"), "y": [1.0, 2.0]}))


def test_dates_and_times_in_columns_of_their_own():
    frame = pd.DataFrame({"day": ["2001-01-02"] * 3, "clock": ["01:00", "02:00", "03:00"], "y": [1.0, 2.0, 4.0]})
    assert from_frame(frame, time=["day", "clock"], target="y").step == "hourly"


def test_periods_begin_at_their_dates():
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0]}, index=pd.period_range("2001-01", periods=3, freq="M"))
    assert str(from_frame(frame).index[1].date()) == "2001-02-01"


def test_a_frame_whose_index_lacks_a_date():
    frame = pd.DataFrame({"y": [1.0, 2.0]}, index=pd.DatetimeIndex(["2001-01-01", None]))
    with pytest.raises(DataError, match="no date in row 1 of the index"):
        from_frame(frame)


def test_no_rows():
    with pytest.raises(DataError, match="received no rows"):
        from_frame(pd.DataFrame({"y": np.empty(0)}))


def test_covariates_by_their_roles():
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0], "past": 1.0, "price": [5, 6, 7], "size": 3, "kind": "big"})
    series = from_frame(frame, target="y", features=["past"], future=["price"], static=["size", "kind"])
    assert (series.targets, series.features, series.future) == (("y",), ("past",), ("price",))
    assert list(series.frame) == ["y", "past", "price"]
    assert series.values_of(("price",))[:, 0].tolist() == [5, 6, 7]
    assert series.static.to_dict("list") == {"size": [3.0], "kind": ["big"]}
    assert series.static["kind"].dtype == "category"
    with pytest.raises(DataError, match=r"static covariate 'price' is not the same in all rows \(5, then 6\)"):
        from_frame(frame, target="y", static=["price"])
    other = from_frame(frame.assign(size=4), target="y", features=["past"], future=["price"], static=["size", "kind"])
    assert other.fingerprint != series.fingerprint
    # Covariates that are named need not be told from the target.
    numbers = frame.drop(columns="kind").rename(columns={"y": "sales"})
    assert from_frame(numbers, features=["past"], future=["price"], static=["size"]).targets == ("sales",)


def test_one_series_has_the_borders_of_a_panel():
    series = load_series("sunspots")
    assert series.ids.tolist() == ["sunspots"]
    assert series.borders.tolist() == [0, 309]
    assert series.stretches.tolist() == [[0, 309]]
    assert not len(series.missing)


def test_a_parquet_file_is_told_from_text(tmp_path):
    with pytest.raises(DataError, match="is a Parquet file; give it with read_parquet"):
        read_csv(write(tmp_path, "PAR1"))


def test_unknown_built_in():
    with pytest.raises(DataError, match="received series 'nino', expected one of nino12"):
        load_series("nino")


def test_frame_with_date_index_needs_no_time():
    index = pd.date_range("2001-01-01", periods=5, freq="h")
    series = from_frame(pd.DataFrame({"y": np.arange(5.0)}, index=index))
    assert series.step == "hourly"


VALUES = [f"{10 + number % 7}.5" for number in range(40)]


@pytest.mark.parametrize("sep", [";", "\t", "|", " "])
@pytest.mark.parametrize("decimal", [",", "."])
def test_separators_and_decimal_marks_are_found(tmp_path, sep, decimal):
    rows = [f"2000-01-{day:02}{sep}1{day}{decimal}5{sep}2\n" for day in range(1, 29)]
    series = read_csv(write(tmp_path, f"date{sep}y{sep}z\n" + "".join(rows)))
    assert series.y[:3, 0].tolist() == [11.5, 12.5, 13.5]
    assert series.has_dates


def test_decimal_commas_between_commas_are_refused(tmp_path):
    text = "date,y\n" + "".join(f"2000-01-{day:02},1{day},5\n" for day in range(1, 29))
    with pytest.raises(DataError, match="rows of 3 fields under a header of 2"):
        read_csv(write(tmp_path, text))


def test_rows_that_end_in_a_comma(tmp_path):
    text = "date,x,y\n" + "".join(f"2000-01-{day:02},{day},1{day}.5,\n" for day in range(1, 29))
    series = read_csv(write(tmp_path, text), target="y")
    assert series.has_dates
    assert series.y[:2, 0].tolist() == [11.5, 12.5]


@pytest.mark.parametrize(
    ("pattern", "first"),
    [("{day:02}/{month:02}/{year}", "day"), ("{day:02}.{month:02}.{year}", "day"), ("{month}/{day}/{year}", "month")],
)
@pytest.mark.parametrize("step", [1, 3, 12])
def test_days_and_months_in_either_order(tmp_path, pattern, first, step):
    months = [12 * 1960 + step * number for number in range(40)]
    dates = [pattern.format(year=month // 12, month=month % 12 + 1, day=1) for month in months]
    text = "date,y\n" + "".join(f"{date},{value}\n" for date, value in zip(dates, VALUES, strict=True))
    series = read_csv(write(tmp_path, text))
    assert series.index[1] == pd.Timestamp(year=months[1] // 12, month=months[1] % 12 + 1, day=1)
    assert series.index[-1] == pd.Timestamp(year=months[-1] // 12, month=months[-1] % 12 + 1, day=1)


def test_days_first_of_every_day(tmp_path):
    dates = pd.date_range("2000-01-01", periods=40).strftime("%d/%m/%Y")
    text = "date,y\n" + "".join(f"{date},{value}\n" for date, value in zip(dates, VALUES, strict=True))
    assert read_csv(write(tmp_path, text)).index[31] == pd.Timestamp("2000-02-01")


def test_dates_of_two_readings_are_refused(tmp_path):
    dates = ["01/02/2000", "02/05/2000", "07/08/2000", "09/10/2000"]
    text = "date,y\n" + "".join(f"{date},{number}\n" for number, date in enumerate(dates))
    with pytest.raises(DataError, match="'01/02/2000' is 2000-01-02 or 2000-02-01"):
        read_csv(write(tmp_path, text))


@pytest.mark.parametrize("name", ["Month", "week", "observed at"])
def test_a_column_of_dates_is_found_under_any_name(tmp_path, name):
    dates = pd.date_range("1949-01-01", periods=40, freq="MS").strftime("%Y-%m")
    text = f"{name},passengers\n" + "".join(f"{date},{value}\n" for date, value in zip(dates, VALUES, strict=True))
    series = read_csv(write(tmp_path, text))
    assert series.step == "monthly"
    assert series.targets == ("passengers",)


def test_text_that_is_the_same_in_every_row_is_no_time(tmp_path):
    text = "made,y\n" + "".join(f"2020-01-01,{value}\n" for value in VALUES)
    assert not read_csv(write(tmp_path, text)).has_dates
