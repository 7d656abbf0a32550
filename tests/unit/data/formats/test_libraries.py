"""A format whose library is not installed says which extra brings it."""

import sqlite3
import sys

import numpy as np
import pandas as pd
import pytest

from kseq import DataError
from kseq.data import from_frame, read_file, read_sql

pytestmark = pytest.mark.above_backends

FRAME = pd.DataFrame({"ds": pd.date_range("2001-01-01", periods=30), "y": np.arange(30.0) % 7})


@pytest.fixture
def without(monkeypatch):
    """Hide a module, as if it were not installed."""

    def hide(name):
        for known in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
            monkeypatch.delitem(sys.modules, known)
        monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.mark.parametrize(
    ("module", "file", "begin", "extra"),
    [("python_calamine", "a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "excel"),
     ("xarray", "a.nc", b"\x89HDF\r\n\x1a\n", "netcdf"), ("h5netcdf", "a.nc", b"\x89HDF\r\n\x1a\n", "netcdf"),
     ("xarray", "a.nc", b"CDF\x01", "netcdf")],
)  # fmt: skip
def test_files(tmp_path, without, module, file, begin, extra):
    (tmp_path / file).write_bytes(begin + b"\0" * 100)
    without(module)
    with pytest.raises(DataError, match=rf"needs {module.replace('_', '-')} to be read: pip install 'kseq\[{extra}\]'"):
        read_file(tmp_path / file)


@pytest.mark.parametrize("module", ["xarray", "zarr"])
def test_folders(tmp_path, without, module):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr/.zgroup").write_text('{"zarr_format": 2}')
    without(module)
    with pytest.raises(DataError, match=rf"needs {module} to be read: pip install 'kseq\[zarr\]'"):
        read_file(tmp_path / "a.zarr")


def test_arrow(tmp_path, without):
    polars = pytest.importorskip("polars")
    FRAME.to_feather(tmp_path / "a.feather")
    frame = polars.from_pandas(FRAME)
    # pandas loads what it needs of Arrow for text of its own at the first call.
    from_frame(frame)
    without("pyarrow")
    with pytest.raises(DataError, match=r"needs pyarrow to be read: pip install 'kseq\[parquet\]'"):
        read_file(tmp_path / "a.feather")
    assert from_frame(frame).y[:3, 0].tolist() == [0, 1, 2]


def test_databases(tmp_path, without):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("create table t (a int)")
    connection.close()
    if "duckdb_engine" in sys.modules:
        without("duckdb_engine")
    without("sqlalchemy")
    with pytest.raises(DataError, match=r"needs sqlalchemy to be read: pip install 'kseq\[sql\]'"):
        read_sql(f"sqlite:///{tmp_path / 'a.db'}", "select * from t")


def test_drivers(tmp_path):
    with pytest.raises(DataError, match="needs a driver for oracle: install its driver for SQLAlchemy"):
        read_sql("oracle+oracledb://me:secret@host/db", "select 1 from dual")
