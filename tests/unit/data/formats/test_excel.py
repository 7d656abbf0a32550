"""Spreadsheets: one sheet, read as the text that it would be saved as."""

import datetime

import numpy as np
import pandas as pd
import pytest

from kseq import DataError
from kseq.data import read_file

pytest.importorskip("python_calamine")
openpyxl = pytest.importorskip("openpyxl")

pytestmark = pytest.mark.above_backends

DAYS = pd.date_range("2001-05-01", periods=48)


@pytest.fixture
def frame():
    rng = np.random.default_rng(7)
    return pd.DataFrame({"day": DAYS, "flow": rng.normal(size=48).round(9), "shop": np.repeat(["001", "NA"], 24)})


def book(tmp_path, rows, name="a.xlsx"):
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    return made, tmp_path / name


def test_values_come_back_to_the_last_digit(tmp_path, frame):
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    series = read_file(tmp_path / "a.xlsx", target="flow")
    assert series.y[:, 0].tolist() == frame["flow"].tolist()
    assert series.index.tolist() == DAYS.tolist()
    assert "sheet 'Sheet1'" in series.read


def test_ids_stay_text(tmp_path, frame):
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    panel = read_file(tmp_path / "a.xlsx", target="flow", id="shop")
    assert sorted(panel.ids) == ["001", "NA"]


def test_hours_keep_their_minutes(tmp_path):
    hours = pd.date_range("2020-02-28", periods=500, freq="10min")
    frame = pd.DataFrame({"ds": hours, "y": np.arange(500.0) % 7})
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    assert read_file(tmp_path / "a.xlsx").index.tolist() == hours.tolist()


def test_which_sheet(tmp_path, frame):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as writer:
        frame.to_excel(writer, sheet_name="Flow", index=False)
        frame.assign(flow=frame["flow"] + 1).to_excel(writer, sheet_name="2", index=False)
    with pytest.raises(DataError, match=r"holds 2 sheets \(Flow, 2\), expected one: name it with sheet"):
        read_file(tmp_path / "a.xlsx", target="flow")
    first = read_file(tmp_path / "a.xlsx", target="flow", sheet="Flow")
    assert first.y[:, 0].tolist() == frame["flow"].tolist()
    assert read_file(tmp_path / "a.xlsx", target="flow", sheet=1).y[0, 0] == frame["flow"][0]
    assert read_file(tmp_path / "a.xlsx", target="flow", sheet="2").y[0, 0] == frame["flow"][0] + 1
    for wrong in ("flow", 0, 3):
        with pytest.raises(DataError, match="expected one of Flow, 2, or a number from 1 to 2"):
            read_file(tmp_path / "a.xlsx", target="flow", sheet=wrong)


def test_hidden_and_empty_sheets_are_read_only_by_name(tmp_path):
    made, path = book(tmp_path, [["ds", "y"], *([day.to_pydatetime(), float(i % 5)] for i, day in enumerate(DAYS))])
    hidden = made.create_sheet("archive")
    for row in [["ds", "y"], *([day.to_pydatetime(), float(i % 3)] for i, day in enumerate(DAYS))]:
        hidden.append(row)
    hidden.sheet_state = "hidden"
    made.create_sheet("empty")
    made.save(path)
    series = read_file(path)
    assert series.y[:5, 0].tolist() == [0, 1, 2, 3, 4]
    assert "beside 'archive', 'empty'" in series.read
    assert read_file(path, sheet="archive").y[:5, 0].tolist() == [0, 1, 2, 0, 1]
    with pytest.raises(DataError, match="sheet 'empty' is empty"):
        read_file(path, sheet="empty")


def test_a_table_that_begins_further_down_and_to_the_right(tmp_path):
    rows = [[], [], [None, None, "ds", "y"]]
    made, path = book(tmp_path, rows)
    for row, day in enumerate(DAYS):
        made.active.cell(4 + row, 3, day.to_pydatetime())
        made.active.cell(4 + row, 4, float(row % 5))
    made.save(path)
    assert read_file(path).y[:, 0].tolist() == [float(row % 5) for row in range(48)]


def test_merged_cells_count_in_each_of_their_rows(tmp_path):
    made, path = book(tmp_path, [["year", "month", "y"]])
    for row in range(36):
        made.active.append([2001 + row // 12 if row % 12 == 0 else None, row % 12 + 1, float(row**2 % 17)])
    for year in range(3):
        made.active.merge_cells(start_row=2 + 12 * year, end_row=13 + 12 * year, start_column=1, end_column=1)
    made.save(path)
    series = read_file(path, time=["year", "month"], target="y")
    assert series.index.tolist() == pd.date_range("2001-01-01", periods=36, freq="MS").tolist()
    assert "merged cells count in each of their rows" in series.read


def test_formulas_without_values_are_not_read_as_blanks(tmp_path):
    made, path = book(tmp_path, [["ds", "y"], *([day.to_pydatetime(), float(i % 5)] for i, day in enumerate(DAYS))])
    made.active["B10"] = "=B9*2"
    made.save(path)
    with pytest.raises(DataError, match="holds 1 formulas without values"):
        read_file(path)


def test_formulas_with_values_are_their_values(tmp_path):
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["ds", "y"])
        for row, day in enumerate(DAYS, 1):
            sheet.write(row, 0, str(day.date()))
            sheet.write_formula(row, 1, f"=ROW()*{row % 5}", None, float(row * (row % 5)))
    assert read_file(tmp_path / "a.xlsx").y[:4, 0].tolist() == [1.0, 4.0, 9.0, 16.0]


def test_errors_of_cells_are_missing_and_never_numbers(tmp_path):
    made, path = book(tmp_path, [["ds", "y"], *([day.to_pydatetime(), float(i % 5)] for i, day in enumerate(DAYS))])
    made.active["B10"] = "#DIV/0!"
    made.active["B10"].data_type = "e"
    made.save(path)
    with pytest.raises(DataError, match="missing"):
        read_file(path)
    assert read_file(path, fill="ffill").y[8, 0] == read_file(path, fill="ffill").y[7, 0]


def test_durations_are_no_numbers(tmp_path):
    rows = [[day.to_pydatetime(), datetime.timedelta(hours=26 + i)] for i, day in enumerate(DAYS)]
    made, path = book(tmp_path, [["ds", "y"], *rows])
    made.save(path)
    with pytest.raises(DataError, match="hours"):
        read_file(path, target="y")


def test_files_that_are_locked_or_damaged(tmp_path, frame):
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    whole = (tmp_path / "a.xlsx").read_bytes()
    (tmp_path / "cut.xlsx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut off or damaged"):
        read_file(tmp_path / "cut.xlsx")
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000
    (tmp_path / "locked.xlsx").write_bytes(ole + "EncryptedPackage".encode("utf-16-le") + b"\0" * 500)
    with pytest.raises(DataError, match="is protected by a password; save it without one, or as CSV"):
        read_file(tmp_path / "locked.xlsx")
    (tmp_path / "odd.xls").write_bytes(ole)
    with pytest.raises(DataError, match="cannot be read as a spreadsheet"):
        read_file(tmp_path / "odd.xls")
