"""Kinds of files that trackers and archives show: each is read with equal values, or refused with what would do."""

import contextlib

import numpy as np
import pandas as pd
import pytest

from kseq import DataError, Panel, from_frame, panel_from_frame, read_csv
from kseq.data import _date_text, read_file, series_of

pytestmark = pytest.mark.above_backends

Y = np.round(20 + 5 * np.sin(np.arange(48) / 2) + np.arange(48) % 7, 2)
MONTHS = pd.date_range("2001-01-01", periods=48, freq="MS")
DAYS = pd.date_range("2001-01-01", periods=48)
QUARTERS = pd.date_range("2001-01-01", periods=48, freq="QS")
WEEKS = pd.date_range("2001-01-01", periods=48, freq="W-MON")
GERMAN = ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
          "Dezember"]  # fmt: skip
FRENCH = ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
          "décembre"]  # fmt: skip
SPANISH = ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
           "noviembre", "diciembre"]  # fmt: skip


def write(path, dates, values=Y, head="date,value"):
    path = path / "file.csv"
    path.write_text("\n".join([head, *(f"{date},{value}" for date, value in zip(dates, values, strict=True))]))
    return path


def panel_rows(ids, dates=DAYS):
    parts = [pd.DataFrame({**own, "date": dates, "sales": Y + number}) for number, own in enumerate(ids)]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("written", "dates"),
    [
        (lambda d: f"{GERMAN[d.month - 1]} {d.year}", MONTHS),
        (lambda d: f"{GERMAN[d.month - 1][:3]}-{d:%y}", MONTHS),
        (lambda d: f"{d.day}. {GERMAN[d.month - 1]} {d.year}", DAYS),
        (lambda d: f"{FRENCH[d.month - 1]} {d.year}", MONTHS),
        (lambda d: f"{d.day} de {SPANISH[d.month - 1]} de {d.year}", DAYS),
        (lambda d: f"{d.year}年{d.month}月", MONTHS),
        (lambda d: f"{d.year}年{d.month}月{d.day}日", DAYS),
        (lambda d: f"{d:%A %d %B %Y}", DAYS),
        (lambda d: f"{d:%d/%b/%Y:%H:%M:%S}", DAYS),
        (lambda d: f"Q{d.quarter}-{d.year}", QUARTERS),
        (lambda d: f"{d.quarter}Q{d:%y}", QUARTERS),
        (lambda d: f"Q{d.quarter}'{d:%y}", QUARTERS),
        (lambda d: f"{d.year}K{d.quarter}", QUARTERS),
        (lambda d: f"{d:%GW}{int(f'{d:%V}')}", WEEKS),
        (lambda d: f"W{d:%V-%G}", WEEKS),
        (lambda d: f"{d:%G/W%V}", WEEKS),
        (lambda d: f"{d:%Y%j}", DAYS),
        (lambda d: f"{d.year}/{(d.year + 1) % 100:02}", pd.date_range("1961", periods=48, freq="YS")),
        (lambda d: f"{d:%m/%d/%Y %I:%M %p}", pd.date_range("2001-01-01", periods=48, freq="h")),
    ],
)
def test_dates_of_many_countries(tmp_path, written, dates):
    series = read_csv(write(tmp_path, map(written, dates)))
    assert series.index.equals(dates)
    np.testing.assert_array_equal(series.y[:, 0], Y)


@pytest.mark.parametrize("written", ["2001 {}", "{}. 2001", "week {}", "2001:{}", "{:02} January"])
def test_text_that_may_be_dates_and_is_not_read_is_told(tmp_path, written):
    path = write(tmp_path, [written.format(number) for number in range(1, 49)], head="when,value")
    with pytest.raises(DataError, match=r"column when does not read as dates .*date_format.*give time='none'"):
        read_csv(path)
    series = read_csv(path, time="none", target="value")
    assert (series.has_dates, series.y[:, 0].tolist()) == (False, Y.tolist())


def serials(dates):
    return ((dates - pd.Timestamp("1899-12-30")) / pd.Timedelta(1, "D")).to_numpy()


@pytest.mark.parametrize("dates", [DAYS, MONTHS, pd.date_range("2001-01-01", periods=48, freq="h")])
def test_days_as_spreadsheets_count_them(tmp_path, dates):
    numbers = serials(dates)
    whole = (numbers == np.floor(numbers)).all()
    path = write(tmp_path, numbers.astype(int) if whole else np.round(numbers, 6))
    assert read_csv(path).index.equals(dates)
    assert "as spreadsheets count them" in read_csv(path).read
    named = write(tmp_path, numbers, head="when,value")
    assert read_csv(named, time="when", target="value", date_format="excel").index.equals(dates)


def test_uneven_steps_that_may_be_serials_are_told(tmp_path):
    path = write(tmp_path, serials(MONTHS).astype(int), head="time,value")
    with pytest.raises(DataError, match="give date_format='excel'"):
        read_csv(path)
    assert read_csv(path, date_format="excel").index.equals(MONTHS)


@pytest.mark.parametrize("ids", [["001", "002", "010"], ["NA", "DE", "FR"], [7, 8, 11], ["Chad", "Togo", "Mali"]])
@pytest.mark.parametrize("by_date", [False, True])
def test_a_column_of_ids_under_any_name_is_found_for_the_message(tmp_path, ids, by_date):
    rows = panel_rows([{"place": id} for id in ids])
    path = tmp_path / "rows.csv"
    (rows.sort_values("date", kind="stable") if by_date else rows).to_csv(path, index=False)
    with pytest.raises(DataError, match="give id='place'"):
        read_file(path)
    panel = read_file(path, id="place")
    assert set(panel.ids) == set(map(str, ids))
    for number, id in enumerate(ids):
        np.testing.assert_allclose(panel.one(id).y[:, 0], Y + number)


def test_two_columns_of_ids(tmp_path):
    path = tmp_path / "rows.csv"
    panel_rows([{"store": store, "item": item} for store in "AB" for item in (1, 2)]).to_csv(path, index=False)
    with pytest.raises(DataError, match="give id='store,item'"):
        read_file(path)
    rows = panel_rows([{"store": store, "item": item} for store in "AB" for item in ("01", "1")])
    rows.to_csv(path, index=False)
    panel = read_file(path, id="store,item")
    assert panel.ids.tolist() == ["A/01", "A/1", "B/01", "B/1"]
    np.testing.assert_allclose(panel.one("B/1").y[:, 0], Y + 3)
    assert from_frame(rows, id="store,item", series="A/1").y[0, 0] == Y[0] + 1


@pytest.mark.parametrize("rows", [3, 5])
def test_a_title_above_a_sheet(tmp_path, rows):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in [["Sales of a shop"], ["Source: the shop"], *[[]] * (rows - 2), ["date", "temp"]]:
        book.active.append(line)
    for date, value in zip(DAYS, Y, strict=True):
        book.active.append([date.to_pydatetime(), value])
    path = tmp_path / "title.xlsx"
    book.save(path)
    with pytest.raises(DataError, match=f"give header={rows}"):
        read_file(path)
    series = read_file(path, header=rows)
    assert (series.targets, series.index.equals(DAYS)) == (("temp",), True)


def test_names_that_pandas_gives_the_columns_of_an_array(tmp_path):
    path = tmp_path / "array.csv"
    pd.DataFrame(np.column_stack([Y, Y + 1])).to_csv(path, index=False)
    np.testing.assert_array_equal(read_csv(path, target="1").y[:, 0], Y + 1)
    pd.DataFrame(Y).to_csv(path, index=False)
    np.testing.assert_array_equal(read_csv(path).y[:, 0], Y)
    # The first of a column of counts may be 0.
    path.write_text("\n".join(map(str, range(40))))
    with pytest.raises(DataError, match="numbers where its column names should be"):
        read_csv(path)


def test_years_across_beside_several_names(tmp_path):
    frame = pd.DataFrame({"Country": ["Chad", "Mali"], "Code": ["TCD", "MLI"], "Indicator": "GDP"})
    years = pd.DataFrame(Y.reshape(2, 24), columns=[str(year) for year in range(1990, 2014)])
    path = tmp_path / "across.csv"
    pd.concat([frame, years], axis=1).to_csv(path, index=False)
    panel = read_file(path, wide="series")
    assert (panel.ids.tolist(), panel.step) == (["Chad", "Mali"], "yearly")
    np.testing.assert_array_equal(panel.one("Mali").y[:, 0], Y[24:])


def test_months_across_in_another_language(tmp_path):
    head = ",".join(["Jahr", *(month[:3] for month in GERMAN)])
    lines = [f"{2001 + year}," + ",".join(map(str, Y[12 * year : 12 * year + 12])) for year in range(4)]
    path = tmp_path / "months.csv"
    path.write_text("\n".join([head, *lines]))
    assert read_csv(path).index.equals(MONTHS)


def test_points_in_every_number_may_group_thousands(tmp_path):
    rows = [f"{day:%d.%m.%Y};{value:,.0f}".replace(",", ".") for day, value in zip(DAYS, Y * 1234, strict=True)]
    path = tmp_path / "points.csv"
    path.write_text("\n".join(["Datum;Wert", *rows]))
    with pytest.raises(DataError, match=r"give thousands='\.'"):
        read_csv(path)
    np.testing.assert_array_equal(read_csv(path, thousands=".").y[:, 0], np.round(Y * 1234))


@pytest.mark.parametrize("written", ["{}%", "${}", "€{}"])
def test_numbers_with_a_sign_are_shown(tmp_path, written):
    with pytest.raises(DataError, match="column 'value' holds text"):
        read_csv(write(tmp_path, DAYS.date, [written.format(value) for value in Y]))


def test_text_of_another_script_is_not_taken_for_a_western_one(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes("日付,気温\n2001/01/01,1.5\n2001/01/02,2.5\n2001/01/03,3\n".encode("shift_jis"))
    with pytest.raises(DataError, match="name its encoding with encoding"):
        read_csv(path)
    assert read_csv(path, encoding="shift_jis").targets == ("気温",)


@pytest.mark.parametrize("orient", ["columns", "split", "index", "table"])
def test_json_in_other_shapes_names_the_one_that_is_read(tmp_path, orient):
    path = tmp_path / "file.json"
    pd.DataFrame({"date": DAYS.astype(str), "y": Y}).to_json(path, orient=orient)
    with pytest.raises(DataError, match="orient='records'"):
        read_file(path)


@pytest.mark.parametrize("name", ["stream.arrow", "stream.arrows"])
def test_streams_of_arrow(tmp_path, name):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"date": pa.array(list(DAYS.date)), "y": Y})
    with pa.OSFile(str(tmp_path / name), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    series = read_file(tmp_path / name)
    assert series.index.equals(DAYS)
    np.testing.assert_array_equal(series.y[:, 0], Y)


class Lazy:
    """A frame that is computed when it is asked for, as those of dask are."""

    def __init__(self, frame):
        self.frame = frame

    def compute(self):
        return self.frame

    def __array__(self, dtype=None, copy=None):
        return self.frame.to_numpy()


def test_frames_that_are_computed_keep_their_dates():
    series = series_of(Lazy(pd.DataFrame({"y": Y}, index=DAYS)))
    assert not isinstance(series, Panel)
    assert series.index.equals(DAYS)


@pytest.mark.parametrize(("part", "form", "dates"), [("doy", "%j", DAYS), ("week", "%V", WEEKS)])
def test_years_with_days_or_weeks_in_another_column(tmp_path, part, form, dates):
    path = tmp_path / "parts.csv"
    frame = pd.DataFrame({"year": dates.strftime("%G"), part: dates.strftime(form).astype(int), "value": Y})
    frame.to_csv(path, index=False)
    assert read_csv(path, ["year", part], "value").index.equals(dates)


@pytest.mark.parametrize(
    ("column", "part", "dates"),
    [("Month", "%B", MONTHS), ("period", "M%m", MONTHS), ("Quarter", "{}", QUARTERS), ("Quarter", "Q{}", QUARTERS)],
)
def test_parts_of_a_year_in_another_column_are_named(tmp_path, column, part, dates):
    parts = [part.format(date.quarter) if "{" in part else date.strftime(part) for date in dates]
    path = tmp_path / "parts.csv"
    pd.DataFrame({"year": dates.year, column: parts, "value": Y}).to_csv(path, index=False)
    with pytest.raises(DataError, match=rf"give time=\['year', '{column}'\]"):
        read_csv(path)
    assert read_csv(path, ["year", column], "value").index.equals(dates)


def test_numbers_beside_years_that_are_no_part_of_them(tmp_path):
    path = tmp_path / "parts.csv"
    pd.DataFrame({"year": QUARTERS.year, "number": QUARTERS.quarter, "value": Y}).to_csv(path, index=False)
    with pytest.raises(DataError, match="no part of them by its name"):
        read_csv(path, ["year", "number"], "value")


def test_lines_under_the_header_that_are_no_dates_are_told(tmp_path):
    rows = [f"{day:%Y-%m-%d},{value},{value}" for day, value in zip(DAYS, Y, strict=True)]
    path = tmp_path / "quotes.csv"
    path.write_text("\n".join(["Price,Close,Volume", "Ticker,AA,AA", "Date,,", *rows]))
    with pytest.raises(DataError, match=r"column Price does not read as dates .'Date' in row 0"):
        read_csv(path, target="Close")


def test_a_column_without_a_value_is_no_target(tmp_path):
    path = tmp_path / "flags.csv"
    path.write_text("\n".join(["date;value;", *(f"{day:%Y-%m-%d};{y};" for day, y in zip(DAYS, Y, strict=True))]))
    np.testing.assert_array_equal(read_csv(path).y[:, 0], Y)


def test_text_for_missing_values_in_tables_that_lie_across(tmp_path):
    years = [str(year) for year in range(1990, 2014)]
    rows = [["DE", *Y[:24]], ["FR", *Y[24:]]]
    rows[0][4] = ":"
    path = tmp_path / "across.csv"
    pd.DataFrame(rows, columns=["geo", *years]).to_csv(path, index=False)
    with pytest.raises(DataError, match="give missing=':' and fill='ffill'"):
        read_file(path, wide="series")
    assert np.isnan(read_file(path, wide="series", missing=":", fill="mask").one("DE").y[3, 0])


def test_two_columns_of_ids_in_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    panel_rows([{"store": store, "item": item} for store in "AB" for item in ("01", "1")]).to_parquet(path)
    assert read_file(path, id="store,item").ids.tolist() == ["A/01", "A/1", "B/01", "B/1"]


def test_a_row_with_a_date_is_no_header(tmp_path):
    path = tmp_path / "ice.csv"
    path.write_text(
        "\n".join(["date,value", "2001-01-01,Ice", *(f"2001-01-{day:02},{day % 7}" for day in range(2, 31))])
    )
    with pytest.raises(DataError, match="column 'value' holds text"):
        read_csv(path)
    with pytest.raises(DataError, match="where its column names should be"):
        read_csv(path, skip_rows=1)


def test_long_rows_of_numbers_are_no_dates(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["code,value", *(f"a 1 2 3 4 5 6 7 8 9 1 2 3 4 5 {row},{row % 7}" for row in range(30))]))
    with pytest.raises(DataError, match="column code does not read as dates"):
        read_csv(path)


def test_a_column_of_years_beside_a_column_a_series(tmp_path):
    path = tmp_path / "across.csv"
    pd.DataFrame({"year": np.arange(1960, 2008), "a": Y, "b": Y + 1}).to_csv(path, index=False)
    panel = read_file(path, wide="series")
    assert (panel.ids.tolist(), panel.step) == (["a", "b"], "yearly")


def test_twelve_columns_beside_years_are_told_as_months(tmp_path):
    frame = pd.DataFrame(Y.reshape(4, 12), columns=[month[:3] for month in FRENCH[:6]] + list("abcdef"))
    frame.insert(0, "an", range(2001, 2005))
    path = tmp_path / "months.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(DataError, match="give wide='months' for a row a year"):
        read_csv(path)
    assert read_csv(path, wide="months").index.equals(MONTHS)


def test_columns_of_truth_values_with_blanks(tmp_path):
    path = tmp_path / "flags.csv"
    rows = (f"{day:%Y-%m-%d},{y},{flag}" for day, y, flag in zip(DAYS, Y, ["True", "", "False"] * 16, strict=True))
    path.write_text("\n".join(["date,value,flag", *rows]))
    np.testing.assert_array_equal(read_csv(path, target="value").y[:, 0], Y)


ODD = {
    "lists": [[row] for row in range(48)], "dicts": [{"a": row} for row in range(48)], "days": list(DAYS.date),
    "bytes": [b"a", b"b"] * 24, "flags": [True, None] * 24, "mixed": [1, "a", None, 2.5] * 12, "none": [None] * 48,
    "categories": pd.Categorical(["a", "b"] * 24), "periods": pd.period_range("2001-01", periods=48, freq="M"),
    "spans": pd.interval_range(0, 48), "waits": pd.to_timedelta(np.arange(48), "h"), "complex": np.arange(48) + 1j,
}  # fmt: skip


@pytest.mark.parametrize("role", [None, "time", "id", "target"])
@pytest.mark.parametrize("kind", ODD)
def test_columns_of_any_kind_are_read_or_refused(kind, role):
    for dates in (DAYS, DAYS[:24].append(DAYS[:24]), None):
        frame = pd.DataFrame({kind: ODD[kind], "y": Y} if dates is None else {kind: ODD[kind], "y": Y, "when": dates})
        for read in (from_frame, panel_from_frame, series_of):
            with contextlib.suppress(DataError):
                data = read(frame, **({} if role is None else {role: kind}))
                assert np.isfinite(Panel.of(data).y).all()


@pytest.mark.parametrize(
    "texts",
    [
        [f"2001-01-{day:02d}" for day in range(1, 25)],
        # A clock that is changed between two pieces.
        [f"2001-03-25 {hour:02d}:00:00+0{1 + (hour > 7)}:00" for hour in range(24) if hour != 7],
        [f"2001-01-{day:02d} 12:00:00Z" for day in range(1, 25)],
        # Fractions of a second in one piece alone.
        [f"2001-01-01 00:00:{second:02d}" + ".000" * (second > 12) for second in range(24)],
        [f"2001-01-01 {hour:02d}:00" for hour in range(1, 25)],
    ],
    ids=["days", "offsets that change", "UTC", "fractions", "24:00"],
)
def test_dates_are_the_same_read_in_pieces(texts, tmp_path, monkeypatch):
    file = tmp_path / "dates.csv"
    pd.DataFrame({"time": texts, "y": np.arange(len(texts)) ** 1.5}).to_csv(file, index=False)
    whole = read_csv(file).index
    monkeypatch.setattr(_date_text, "PIECE", 7)
    pd.testing.assert_index_equal(read_csv(file).index, whole)
