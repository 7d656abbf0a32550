import datetime
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kseq import DataError, from_frame, panel_from_frame, read_csv, read_panel, read_parquet
from kseq.data import _parquet

pytestmark = pytest.mark.above_backends

DAYS = pd.date_range("2001-01-01", periods=20)


def long():
    parts = [
        pd.DataFrame({"unique_id": id, "ds": DAYS, "y": np.arange(20) % 7 + i, "wind": i + 0.5, "kind": "xy"[i % 2]})
        for i, id in enumerate("abc")
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Batches that end in the middle of series and of row groups."""
    monkeypatch.setattr(_parquet, "BATCH", 13)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "many.parquet"
    long().to_parquet(path, row_group_size=7)
    return path


def written(tmp_path, columns, name="file.parquet", **options):
    pq.write_table(pa.table(columns), tmp_path / name, **options)
    return tmp_path / name


def test_a_panel_read_in_batches_is_that_of_the_frame(path):
    options = {"target": "y", "features": ["wind"], "static": ["kind"]}
    panel, whole = read_panel(path, **options), panel_from_frame(long(), **options)
    assert panel.fingerprint == whole.fingerprint
    assert panel.index.equals(whole.index)
    pd.testing.assert_frame_equal(panel.static, whole.static)
    assert panel.source == "many.parquet"


def test_series_that_are_interleaved(tmp_path):
    path = tmp_path / "by_date.parquet"
    long().sort_values(["ds", "unique_id"]).to_parquet(path)
    assert read_panel(path, target="y").fingerprint == panel_from_frame(long(), target="y").fingerprint


def test_one_series_of_many(path):
    series = read_parquet(path, target="y", series="b")
    assert series.name == "b"
    assert series.fingerprint == from_frame(long(), target="y", series="b").fingerprint
    with pytest.raises(DataError, match="received series 'x', expected one of the 3 in column 'unique_id': a, b, c"):
        read_parquet(path, target="y", series="x")
    with pytest.raises(DataError, match=r"holds 3 series \(a, b, c\), expected one: choose it with series"):
        read_parquet(path, target="y")


def test_only_the_columns_that_are_asked_for_are_read(path, monkeypatch):
    asked = []
    read = pq.ParquetFile.iter_batches

    def watched(file, size, columns):
        asked.append(columns)
        return read(file, size, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    read_panel(path, target="y")
    assert asked == [["ds", "unique_id", "y"]]


@pytest.mark.parametrize("name", ["ds", None])
def test_the_index_of_the_frame_that_was_written(tmp_path, name):
    path = tmp_path / "sst.parquet"
    pd.DataFrame({"y": np.arange(20.0)}, index=DAYS.rename(name)).to_parquet(path)
    series = read_parquet(path)
    assert series.name == "sst"
    assert series.step == "daily"
    assert str(series.index[0].date()) == "2001-01-01"


def test_a_file_without_dates(tmp_path):
    path = tmp_path / "numbers.parquet"
    pd.DataFrame({"y": [1.0, 2.0, 4.0]}).to_parquet(path)
    assert read_parquet(path).index.tolist() == [0, 1, 2]


def test_types_that_a_csv_file_does_not_have(tmp_path):
    columns = {
        "ds": [datetime.date(2001, 1, day) for day in range(1, 5)],
        "whole": pa.array([1, 2, None, 4], pa.int32()),
        "exact": [Decimal("1.5"), Decimal("2.5"), None, Decimal("3")],
        "short": pa.array(np.arange(4), pa.float16()),
    }
    path = written(tmp_path, columns)
    series = read_parquet(path, target="whole", features=["exact", "short"], fill="ffill")
    assert series.frame.to_numpy().tolist() == [[1, 1.5, 0], [2, 2.5, 1], [2, 2.5, 2], [4, 3, 3]]
    assert series.step == "daily"


@pytest.mark.parametrize("dates", ["2001-01-{:02}", "2001-01-{:02}T00:00Z"])
def test_dates_as_text(tmp_path, dates):
    columns = {"ds": [dates.format(day) for day in range(1, 21)], "unique_id": ["a"] * 20, "y": np.arange(20.0)}
    panel = read_panel(written(tmp_path, columns))
    assert str(panel.index.tz) == ("UTC" if "Z" in dates else "None")
    assert panel.step == "daily"


def test_ids_of_other_types(tmp_path):
    ids = {"number": [3, 3, 1, 1], "category": pa.array(["b", "b", "a", "a"]).dictionary_encode()}
    path = written(tmp_path, {**ids, "y": [1.0, 2.0, 4.0, 3.0]})
    for id, expected in (("number", ["1", "3"]), ("category", ["a", "b"])):
        panel = read_panel(path, id=id, target="y")
        assert panel.ids.tolist() == expected
        assert panel.y[:, 0].tolist() == [4, 3, 1, 2]
        assert read_parquet(path, id=id, series=expected[0], target="y").y[:, 0].tolist() == [4, 3]


def test_a_wide_file(tmp_path):
    path = written(tmp_path, {"ds": DAYS, "north": np.arange(20.0), "south": np.arange(20.0) ** 2})
    assert read_panel(path).ids.tolist() == ["north", "south"]
    series = read_parquet(path, target=["north", "south"])
    assert series.y[3].tolist() == [3, 9]


def test_time_zones(tmp_path):
    path = tmp_path / "local.parquet"
    hours = pd.date_range("2001-10-27", periods=60, freq="h", tz="Europe/Paris")
    pd.DataFrame({"unique_id": "a", "ds": hours, "y": np.arange(60.0)}).to_parquet(path)
    for index in (read_panel(path).index, read_parquet(path).index):
        assert index.equals(hours)
    assert read_panel(path).step == "hourly"


def test_batches_of_several_time_zones(tmp_path):
    dates = [f"2001-01-{day:02}T00:00{'+01:00' if day < 14 else '+02:00'}" for day in range(1, 27)]
    path = written(tmp_path, {"ds": dates, "unique_id": ["a"] * 26, "y": np.arange(26.0)})
    with pytest.raises(
        DataError, match=r"dates are of several time zones \(UTC\+01:00 at first, UTC\+02:00 from row 13"
    ):
        read_panel(path)


def test_text_and_bad_dates_are_found_in_their_row(tmp_path):
    text = written(tmp_path, {"y": [*map(str, range(30)), "warm"], "unique_id": ["a"] * 31})
    with pytest.raises(DataError, match=r"column 'y' holds text \('warm' in row 30, 1 in all\)"):
        read_panel(text, target="y")
    dates = [f"2001-01-{day:02}" for day in range(1, 21)]
    bad = written(tmp_path, {"ds": [*dates, "soon"], "unique_id": ["a"] * 21, "y": np.arange(21.0)})
    with pytest.raises(DataError, match=r"column ds does not read as dates \('soon' in row 20, 1 in all"):
        read_panel(bad)
    lacking = written(tmp_path, {"ds": [*dates, None], "unique_id": ["a"] * 21, "y": np.arange(21.0)})
    with pytest.raises(DataError, match="no date in row 20 of column ds"):
        read_panel(lacking)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[1.0], [2.0]], "list<element: double>"), ([{"a": 1}, {"a": 2}], "struct<a: int64>")],
)
def test_nested_columns(tmp_path, values, kind):
    path = written(tmp_path, {"y": values, "flat": [1.0, 2.0], "unique_id": ["a", "a"]})
    for read in (read_parquet, read_panel):
        with pytest.raises(DataError) as error:
            read(path, target="y")
        assert f"column 'y' is nested ({kind}), expected one value a row; flatten it" in str(error.value)
        assert read(path, target="flat").y[:, 0].tolist() == [1, 2]


def test_a_file_that_is_cut_off_or_damaged(path, tmp_path):
    raw = path.read_bytes()
    # The file's last 8 bytes are the footer's length and PAR1.
    footer = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    bad = tmp_path / "bad.parquet"
    for content, reason in (
        (raw[: len(raw) // 2], "magic bytes not found"),
        (raw[:footer] + bytes(20) + raw[footer + 20 :], "deserialize"),
    ):
        bad.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as Parquet") as error:
            read_parquet(bad, target="y")
        assert reason in str(error.value)
        assert "cut off or damaged" in str(error.value)


def test_a_damaged_page_is_told_by_its_checksum(tmp_path):
    path = written(
        tmp_path, {"y": np.arange(100.0)}, compression="none", use_dictionary=False, write_page_checksum=True
    )
    raw = path.read_bytes()
    at = raw.index(np.arange(100.0).tobytes()) + 80
    path.write_bytes(raw[:at] + b"\xff" + raw[at + 1 :])
    with pytest.raises(DataError, match="checksum verification failed"):
        read_parquet(path)


def test_damage_anywhere_is_told_as_such_or_harmless(path, tmp_path):
    raw, random = path.read_bytes(), np.random.default_rng(0)
    bad, refused = tmp_path / "bad.parquet", 0
    for _ in range(60):
        at = random.integers(4, len(raw) - 8)
        bad.write_bytes(raw[:at] + random.bytes(4) + raw[at + 4 :])
        try:
            read_panel(bad, target="y")
        except DataError:
            refused += 1
    # What is left is damage of numbers, or of nothing that is read.
    assert refused > 20


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty; expected a Parquet file"),
        (b"date,y\n2001-01-01,2\n", "is not a Parquet file (it does not begin with PAR1); give a CSV file"),
    ],
)
def test_files_of_another_kind(tmp_path, content, expected):
    path = tmp_path / "file.parquet"
    path.write_bytes(content)
    for read in (read_parquet, read_panel):
        with pytest.raises(DataError) as error:
            read(path)
        assert expected in str(error.value)


def test_missing_files_folders_and_files_without_rows(tmp_path, path):
    with pytest.raises(DataError, match=r"none\.parquet, which does not exist; expected a Parquet file"):
        read_panel(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="is a folder; expected a Parquet file"):
        read_parquet(tmp_path)
    with pytest.raises(DataError, match="has no rows"):
        read_parquet(written(tmp_path, {"y": pa.array([], pa.float64())}))
    with pytest.raises(DataError, match="is a Parquet file; give it with read_parquet"):
        read_csv(path)


def test_columns_of_the_same_name(tmp_path):
    table = pa.Table.from_arrays([pa.array([1.0, 2.0]), pa.array([1.0, 3.0])], names=["y", "y"])
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="received several columns 'y'"):
        read_parquet(tmp_path / "twice.parquet")


def test_a_panel_is_told_by_its_first_bytes(path, tmp_path):
    other = tmp_path / "many.data"
    other.write_bytes(path.read_bytes())
    assert read_panel(other, target="y").fingerprint == read_panel(path, target="y").fingerprint


def test_pyarrow_is_asked_for(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for read in (read_parquet, read_panel):
        with pytest.raises(DataError, match=r"needs pyarrow to be read: pip install 'kseq\[parquet\]'"):
            read(path)


DS, Y = pa.array(DAYS), pa.array(np.arange(20.0) % 7)


def outcome(read, path):
    """The message with which a file is refused; none where it is read."""
    try:
        read(path)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "metadata",
    [
        b"", b"{", b"null", b"[]", b"1", b'"x"', b'{"index_columns": 1}', b'{"index_columns": null}', b"\xff",
        b'{"index_columns": ["nope"]}', b'{"index_columns": [["a"]]}', b'{"index_columns": {"a": 1}}', b"[" * 3000,
        b'{"index_columns":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [read_parquet, read_panel])
def test_odd_pandas_metadata_are_told_in_one_line(tmp_path, metadata, read):
    table = pa.table({"ds": DS, "y": Y}).replace_schema_metadata({b"pandas": metadata})
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(DataError, match=r"odd\.parquet cannot be read as Parquet") as told:
        read(tmp_path / "odd.parquet")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"\xff\xfe%d" % n for n in range(20)]), pa.array([b"\xffbcd"] * 20, pa.binary(4)),
        pa.array([{"a": n} for n in range(20)]), pa.array([[n] for n in range(20)]), pa.nulls(20),
        pa.array([datetime.timedelta(n) for n in range(20)]), pa.array([datetime.time(n) for n in range(20)]),
        pa.array([n % 2 > 0 for n in range(20)]), pa.array(range(20), pa.timestamp("ns", tz="Mars/Olympus")),
        pa.array([""] * 20), pa.array([n * 10**6 for n in range(20)], pa.int32()).cast(pa.date32()),
        pa.array(["x", "y"] * 10).dictionary_encode(),
    ],
)  # fmt: skip
def test_columns_of_odd_types_are_told_in_one_line(tmp_path, column):
    for columns in ({"ds": column, "y": Y}, {"ds": DS, "y": column}, {"unique_id": column, "ds": DS, "y": Y}):
        path = written(tmp_path, columns)
        assert all("\n" not in outcome(read, path) for read in (read_parquet, read_panel))


def test_durations_are_no_numbers(tmp_path):
    column = pa.array([datetime.timedelta(n) for n in range(20)])
    with pytest.raises(DataError, match="column 'y' holds durations, expected numbers; convert them"):
        read_parquet(written(tmp_path, {"ds": DS, "y": column}), target="y")


def test_bytes_that_are_text_are_read_as_text(tmp_path):
    dates, ids = DAYS.strftime("%Y-%m-%d").str.encode("ascii"), [b"north"] * 20
    table = {"unique_id": pa.array(ids), "ds": pa.array(list(dates)), "y": Y}
    panel = read_panel(written(tmp_path, table))
    assert panel.ids.tolist() == ["north"]
    assert panel.index.tolist() == DAYS.tolist()


@pytest.mark.parametrize(
    "table",
    [
        pa.Table.from_arrays([DS, Y, Y], names=["ds", "y", "y"]),
        pa.Table.from_arrays([DS, DS, Y], names=["ds", "ds", "y"]),
        pa.table({"ds": DS[:0], "y": Y[:0]}), pa.table({}), pa.table({"ds": DS}), pa.table({"y": Y[:1]}),
    ],
)  # fmt: skip
def test_tables_that_hold_no_series_are_told_in_one_line(tmp_path, table):
    pq.write_table(table, tmp_path / "odd.parquet")
    for read in (read_parquet, read_panel):
        with pytest.raises(DataError) as told:
            read(tmp_path / "odd.parquet")
        assert "\n" not in str(told.value)


def test_damaged_bytes_are_told_in_one_line(tmp_path):
    whole = written(tmp_path, {"ds": DS, "y": Y}).read_bytes()
    chance = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(whole)
        for place in chance.integers(0, len(whole), 3):
            damaged[place] = chance.integers(0, 256)
        (tmp_path / "odd.parquet").write_bytes(damaged)
        assert "\n" not in outcome(read_parquet, tmp_path / "odd.parquet")
