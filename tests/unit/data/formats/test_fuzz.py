"""Tables drawn at random, written by pandas, xarray and databases, and read back: equal values, or a refusal.

``KSEQ_FORMAT_DRAWS=2000 pytest tests/unit/data/formats/test_fuzz.py`` tries more of them.
"""

import gzip
import json
import os
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kseq import KseqError
from kseq.data import Panel, read_file, read_sql

for needed in ("python_calamine", "openpyxl", "xlsxwriter", "xarray", "h5netcdf", "sqlalchemy", "pyarrow"):
    pytest.importorskip(needed)

pytestmark = pytest.mark.above_backends

DRAWS = int(os.environ.get("KSEQ_FORMAT_DRAWS", "80"))
IDS = ["001", "1", "NA", "1E3", "a b", "é", "None", "-3", "0x1", "true", "2001-01-01", "=1+1", "shop,1", 'q"u']
FREQS = ["D", "h", "MS", "QS", "YS", "W-MON", "15min", "ME", "s"]


def drawn(rng):
    """A long table of one or more series, with gaps or without, and covariates."""
    parts = []
    ids = rng.choice(IDS, rng.integers(1, 4), replace=False)
    freq = str(rng.choice(FREQS))
    for id in ids:
        rows = int(rng.integers(24, 60))
        dates = pd.date_range(rng.choice(["1990-01-31", "2003-01-01", "1961-07-01"]), periods=rows, freq=freq)
        y = rng.normal(size=rows) * 10.0 ** rng.integers(-3, 7) + rng.choice([0, 5, 1.2e9])
        y = y.round(int(rng.integers(0, 7))) if rng.random() < 0.5 else y
        if np.ptp(y) == 0:
            y = y + np.arange(rows)
        parts.append(pd.DataFrame({"unique_id": str(id), "ds": dates, "y": y, "wind": rng.integers(0, 50, rows)}))
    frame = pd.concat(parts, ignore_index=True)
    if rng.random() < 0.3:
        frame.loc[rng.integers(0, len(frame), 3), "y"] = np.nan
    return frame


def csv(rng, frame, path):
    suffix = str(rng.choice(["gz", "bz2", "xz", "zip"]))
    path = path.with_suffix(f".csv.{suffix}")
    if suffix == "zip" and rng.random() < 0.5:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("README.txt", "what it is")
            archive.writestr("folder/data.csv", frame.to_csv(index=False))
    else:
        frame.to_csv(path, index=False)
    return path


def excel(rng, frame, path):
    path, engine = path.with_suffix(".xlsx"), str(rng.choice(["openpyxl", "xlsxwriter"]))
    # Both write 16 digits.
    frame["y"] = [float(f"{y:.15g}") for y in frame["y"]]
    rows, columns = rng.integers(0, 4), rng.integers(0, 3)
    options = {"options": {"strings_to_formulas": False}} if engine == "xlsxwriter" else {}
    with pd.ExcelWriter(path, engine=engine, engine_kwargs=options) as writer:
        frame.to_excel(writer, sheet_name="Data", index=False, startrow=rows, startcol=columns)
        if rng.random() < 0.3:
            pd.DataFrame().to_excel(writer, sheet_name="empty")
    return path


def feather(rng, frame, path):
    frame.to_feather(path.with_suffix(".feather"), compression=str(rng.choice(["lz4", "zstd", "uncompressed"])))
    return path.with_suffix(".feather")


def parquet(rng, frame, path):
    frame = frame.astype({"unique_id": "category"}) if rng.random() < 0.3 else frame
    if rng.random() < 0.3:
        frame = frame.set_index(["unique_id", "ds"] if rng.random() < 0.5 else "unique_id")
    frame.to_parquet(path.with_suffix(".parquet"), row_group_size=int(rng.integers(5, 100)))
    return path.with_suffix(".parquet")


def json_lines(rng, frame, path):
    path = path.with_suffix(".jsonl")
    rows = frame.assign(ds=frame["ds"].astype(str)).to_dict("records")
    text = "\n".join(json.dumps(row) for row in rows) if rng.random() < 0.5 else json.dumps(rows, indent=2)
    path.write_bytes(text.encode() if rng.random() < 0.7 else gzip.compress(text.encode()))
    return path


WRITERS = [csv, excel, feather, parquet, json_lines]


def require_same(data, frame):
    """Each series has the values of the table on its dates, NaN where there is none."""
    panel = Panel.of(data)
    assert sorted(panel.ids) == sorted(frame["unique_id"].unique())
    for at, id in enumerate(panel.ids):
        own = frame[frame["unique_id"] == id]
        rows = slice(panel.borders[at], panel.borders[at + 1])
        expected = own.set_index("ds")["y"]
        got = pd.Series(panel.y[rows, 0], panel.index[rows])
        np.testing.assert_array_equal(got.to_numpy(), expected.reindex(got.index).to_numpy())
        assert len(got.dropna()) == expected.notna().sum()


@pytest.mark.parametrize("seed", range(DRAWS))
def test_files_written_by_pandas(tmp_path, seed):
    rng = np.random.default_rng(seed)
    frame = drawn(rng)
    path = WRITERS[seed % len(WRITERS)](rng, frame, tmp_path / "data")
    try:
        one = frame["unique_id"].unique()
        name = str(one[0]) if len(one) == 1 else None
        data = read_file(path, target="y", id="unique_id", fill="mask", name=name, missing="none")
    except KseqError as error:
        # Mixed frequencies of short series and the like.
        message = str(error)
    else:
        require_same(data, frame)
        return
    assert "\n" not in message
    assert message.endswith(".")


@pytest.mark.parametrize("seed", range(DRAWS // 4))
def test_queries(tmp_path, seed):
    rng = np.random.default_rng(seed)
    frame = drawn(rng)
    stored = frame.assign(ds=frame["ds"].astype(str))
    with sqlite3.connect(tmp_path / "a.db") as connection:
        stored.sample(frac=1, random_state=seed).to_sql("t", connection, index=False)
    connection.close()
    name = frame["unique_id"][0]
    try:
        data = read_sql(f"sqlite:///{tmp_path / 'a.db'}", "select * from t order by unique_id, ds", target="y",
                        fill="mask", missing="none", name=name)  # fmt: skip
    except KseqError as error:
        message = str(error)
    else:
        require_same(data, frame)
        return
    assert "\n" not in message
    assert message.endswith(".")


@pytest.mark.parametrize("seed", range(DRAWS // 4))
def test_grids(tmp_path, seed):
    import xarray as xr

    rng = np.random.default_rng(seed)
    rows, freq = int(rng.integers(30, 60)), str(rng.choice(FREQS))
    lat = np.sort(rng.uniform(-80, 80, int(rng.integers(2, 9))))[:: rng.choice([1, -1])]
    lon = np.linspace(*rng.choice([[0, 357], [-180, 177]]), int(rng.integers(3, 12)))
    order = list(rng.permutation(["time", "lat", "lon"]))
    sizes = {"time": rows, "lat": len(lat), "lon": len(lon)}
    kind = str(rng.choice(["float32", "float64"]))
    values = rng.normal(size=[sizes[name] for name in order]).astype(kind)
    axes = {"time": pd.date_range("1995-01-01", periods=rows, freq=freq), "lat": lat, "lon": lon}
    data = xr.Dataset({"v": (order, values)}, axes)
    path = Path(tmp_path / "a.nc")
    data.to_netcdf(path, engine=str(rng.choice(["h5netcdf", "scipy"])))
    at = {"lat": int(rng.integers(len(lat))), "lon": int(rng.integers(len(lon)))}
    select = {name: float(axes[name][place]) for name, place in at.items()}
    series = read_file(path, select=select, missing="none")
    assert series.index.tolist() == axes["time"].tolist()
    assert series.y[:, 0].tolist() == data["v"].isel(at).to_numpy().tolist()
    low, high = sorted(float(v) for v in rng.choice(lat, 2, replace=False))
    part = data["v"].astype("float64").sortby("lat").sel(lat=slice(low, high))
    expected = part.weighted(np.cos(np.deg2rad(part.lat))).mean(["lat", "lon"]).to_numpy()
    mean = read_file(path, select={"lat": (low, high), "lon": (-180, 180)}, missing="none")
    np.testing.assert_allclose(mean.y[:, 0], expected, rtol=1e-9, atol=1e-12)
