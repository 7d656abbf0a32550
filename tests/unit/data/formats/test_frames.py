"""Frames of other libraries, JSON and Feather: the same values as of pandas, ids as text, numbers as they are."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

from kseq import DataError, from_frame, panel_from_frame
from kseq.data import read_file

pytestmark = pytest.mark.above_backends


@pytest.fixture
def frame():
    rng = np.random.default_rng(5)
    parts = [
        pd.DataFrame({"id": id, "ds": pd.date_range("2003-01-01", periods=30), "y": 1.2e9 + rng.normal(size=30)})
        for id in ("001", "1", "NA", "1E3")
    ]
    return pd.concat(parts, ignore_index=True)


def same(panel, frame):
    assert sorted(panel.ids) == sorted(frame["id"].unique())
    for at, id in enumerate(panel.ids):
        assert panel.y[panel.borders[at] : panel.borders[at + 1], 0].tolist() == frame["y"][frame["id"] == id].tolist()


def test_polars_and_arrow(frame):
    polars = pytest.importorskip("polars")
    made = polars.from_pandas(frame)
    for other in (made, made.lazy(), made.to_arrow(), made.with_columns(polars.col("id").cast(polars.Categorical))):
        same(panel_from_frame(other, id="id", target="y"), frame)
    one = made.filter(polars.col("id") == "NA").select("ds", "y")
    assert from_frame(one).y[:, 0].tolist() == frame["y"][frame["id"] == "NA"].tolist()
    assert from_frame(one).index[0] == pd.Timestamp("2003-01-01")


def test_arrays_of_xarray():
    xr = pytest.importorskip("xarray")
    dates = pd.date_range("2003-01-01", periods=30)
    array = xr.DataArray(np.arange(30.0) % 7, {"time": dates, "lat": 3.0}, "time", name="sst")
    for data in (array, array.to_dataset()):
        series = from_frame(data)
        assert (series.targets, series.index.tolist()) == (("sst",), dates.tolist())
    with pytest.raises(DataError, match="over time, x, expected time alone"):
        from_frame(xr.DataArray(np.zeros((3, 2)), dims=("time", "x")))


def test_a_series_of_pandas():
    series = from_frame(pd.Series(np.arange(30.0) % 7, pd.date_range("2003-01-01", periods=30)))
    assert series.y[:3, 0].tolist() == [0, 1, 2]


def test_what_is_no_frame():
    with pytest.raises(DataError, match=r"received builtins.list, expected a DataFrame of pandas, polars or pyarrow"):
        from_frame([1, 2, 3])


def test_feather(tmp_path, frame):
    for options in ({}, {"compression": "uncompressed"}, {"compression": "zstd"}):
        frame.to_feather(tmp_path / "a.feather", **options)
        same(read_file(tmp_path / "a.feather", id="id", target="y"), frame)
    one = read_file(tmp_path / "a.feather", id="id", target="y", series="001")
    assert one.y[:, 0].tolist() == frame["y"][:30].tolist()
    whole = (tmp_path / "a.feather").read_bytes()
    (tmp_path / "a.feather").write_bytes(whole[:-300])
    with pytest.raises(DataError, match="cut off or damaged"):
        read_file(tmp_path / "a.feather", id="id", target="y")


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_types_of_arrow(tmp_path, kind):
    days = pd.date_range("2001-01-01", periods=30)
    frame = pd.DataFrame({"ds": days, "y": np.arange(30.0) % 7, "span": days - days[0], "day": days,
                          "month": days.to_period("D"), "yes": np.arange(30) % 2 == 0})  # fmt: skip
    write = {"parquet": frame.to_parquet, "feather": frame.to_feather}[kind]
    write(tmp_path / f"a.{kind}")
    path = tmp_path / f"a.{kind}"
    assert read_file(path, time="ds").targets == ("y",)
    for column, word in (("span", "durations"), ("day", "dates"), ("month", "dates|periods")):
        with pytest.raises(DataError, match=word):
            read_file(path, time="ds", target=column)
    assert read_file(path, time="month", target="y").index.tolist() == days.tolist()


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_ids_that_are_numbers(tmp_path, kind):
    days = np.tile(np.arange("2001-01-01", "2001-01-31", dtype="datetime64[D]"), 2)
    y = pa.array(np.arange(60) % 7, pa.float32())
    table = pa.table({"id": pa.array([7] * 30 + [12] * 30, pa.int64()), "ds": pa.array(days), "y": y})
    path = tmp_path / f"a.{kind}"
    (pa.parquet.write_table if kind == "parquet" else pa.feather.write_feather)(table, path)
    assert read_file(path, id="id", target="y").ids.tolist() == ["7", "12"]


def test_json_lines(tmp_path, frame):
    rows = frame.assign(ds=frame["ds"].astype(str)).to_dict("records")
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=1))
    for name in ("a.jsonl", "a.json"):
        same(read_file(tmp_path / name, id="id", target="y"), frame)


def test_json_that_lacks_values(tmp_path):
    rows = [{"ds": f"2001-01-{day + 1:02d}", "y": float(day % 7)} for day in range(30)]
    rows[4]["y"] = None
    del rows[5]["y"]
    rows[6]["y"] = float("nan")
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="3"):
        read_file(tmp_path / "a.ndjson")
    assert read_file(tmp_path / "a.ndjson", fill="ffill").y[6, 0] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"y": 1}\n{"y": 2', "not JSON in line 1"), ("[1, 2]", "no list of objects"),
     ('{"y": 1}\n3', "holds '3' in line 1"), ("[]", "no list of objects"), ("{" * 100_000, "not JSON")],
)  # fmt: skip
def test_what_is_no_table_of_json(tmp_path, text, message):
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        read_file(tmp_path / "a.jsonl")
