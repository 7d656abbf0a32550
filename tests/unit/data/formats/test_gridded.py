"""NetCDF and Zarr: a point or an area of a grid is a series, and nothing else of the file is loaded."""

import gzip
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from kseq import DataError
from kseq.data import read_file
from kseq.errors import ConfigError

xr = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")

pytestmark = pytest.mark.above_backends

MONTHS = pd.date_range("1990-01-01", periods=60, freq="MS")
LAT, LON = np.arange(-87.5, 90, 5), np.arange(2.5, 360, 5)


def grid(seed=0):
    values = np.random.default_rng(seed).normal(15, 4, (60, len(LAT), len(LON))).astype("float32")
    values[:, :4] = np.nan
    data = xr.Dataset({"sst": (("time", "lat", "lon"), values)}, {"time": MONTHS, "lat": LAT, "lon": LON})
    data["time_bnds"] = (("time", "nv"), np.zeros((60, 2)))
    data["time"].attrs["bounds"] = "time_bnds"
    data["time"].encoding["units"] = "days since 1900-01-01"
    return data


@pytest.fixture(scope="module", params=["netcdf4", "netcdf3", "zarr"])
def file(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid")
    path = folder / f"sst.{'zarr' if request.param == 'zarr' else 'nc'}"
    if request.param == "zarr":
        pytest.importorskip("zarr")
        grid().to_zarr(path, consolidated=False, zarr_format=2)
    else:
        grid().to_netcdf(path, engine="h5netcdf" if request.param == "netcdf4" else "scipy")
    return path


def test_the_nearest_point(file):
    series = read_file(file, select="lat=39,lon=3")
    nearest = grid()["sst"].sel(lat=39, lon=3, method="nearest").to_numpy().astype("float64")
    assert series.y[:, 0].tolist() == nearest.tolist()
    assert series.index.tolist() == MONTHS.tolist()
    assert series.targets == ("sst",)
    assert "the point lat 37.5, lon 2.5" in series.read


def test_names_and_longitudes_as_the_user_has_them(file):
    expected = grid()["sst"].sel(lat=-7.5, lon=352.5).to_numpy().tolist()
    for select in ("latitude=-7,longitude=-8", "lat=-7,lon=352", {"lat": -7, "lon": -8}):
        assert read_file(file, select=select).y[:, 0].tolist() == expected


def test_the_mean_over_an_area_weighs_cells_by_their_size(file):
    part = grid()["sst"].sel(lat=slice(-75, 12))
    part = part.where((part.lon >= 350) | (part.lon <= 20), drop=True)
    expected = part.astype("float64").weighted(np.cos(np.deg2rad(part.lat))).mean(["lat", "lon"]).to_numpy()
    series = read_file(file, select="lat=-75:12,lon=-10:20")
    np.testing.assert_allclose(series.y[:, 0], expected, rtol=1e-12)
    assert "the mean over lat -75 to 12 (17 of 36), lon -10 to 20 (6 of 72)" in series.read


def test_a_part_of_the_time(file):
    series = read_file(file, select="lat=39,lon=3,time=1991:1993-06")
    assert series.index[[0, -1]].tolist() == [pd.Timestamp("1991-01-01"), pd.Timestamp("1993-06-01")]


def test_what_is_left_to_choose_is_told(file):
    with pytest.raises(
        DataError, match=r"'sst' has lat \(36 from -87.5 to 87.5\), lon \(72 from 2.5 to 357.5\).*select"
    ):
        read_file(file)
    with pytest.raises(DataError, match=r"'sst' has lon \(72"):
        read_file(file, select="lat=39")
    with pytest.raises(DataError, match=r"received select lat=97, expected values of the grid, from -87.5 to 87.5"):
        read_file(file, select="lat=97,lon=3")
    with pytest.raises(DataError, match="received select station, expected dimensions"):
        read_file(file, select="station=3")
    for wrong in ("lat", "lat=,lon=3", "lat=1:2:x:4:5,lon=3", "lat=a,lon=3", "lat=1,lat=2", ""):
        with pytest.raises(ConfigError, match="received select"):
            read_file(file, select=wrong)


def test_a_point_on_land_names_one_at_sea(file):
    with pytest.raises(DataError, match=r"holds no value at the point lat -82.5, lon 2.5.*such as lat=-67.5,lon=2.5"):
        read_file(file, select="lat=-82.5,lon=2.5")


def test_one_point_of_a_large_grid_takes_little_memory(tmp_path):
    values = np.zeros((400, 4, 120, 120), dtype="float32")
    values[:] = (np.arange(400) % 9)[:, None, None, None]
    axes = {"time": pd.date_range("2001-01-01", periods=400), "depth": [0.0, 5, 10, 20]}
    axes |= {"lat": np.linspace(-60, 59, 120), "lon": np.linspace(0, 119, 120)}
    data = xr.Dataset({"thetao": (tuple(axes), values)}, axes)
    data.to_netcdf(
        tmp_path / "a.nc", engine="h5netcdf", encoding={"thetao": {"chunksizes": (50, 1, 30, 30), "zlib": True}}
    )
    tracemalloc.start()
    try:
        series = read_file(tmp_path / "a.nc", select="depth=9,lat=39,lon=3")
        mean = read_file(tmp_path / "a.nc", select="depth=0,lat=-60:60,lon=0:119")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert series.y[:9, 0].tolist() == list(range(9))
    assert mean.y[:9, 0] == pytest.approx(range(9))
    assert "depth 10" in series.read
    # A level of it is 23 MB, and all of it 92 MB.
    assert peak < 80e6


def test_curvilinear_grids(tmp_path):
    y, x = np.meshgrid(np.linspace(30, 50, 21), np.linspace(-20, 10, 31), indexing="ij")
    values = np.random.default_rng(0).normal(size=(60, 21, 31))
    data = xr.Dataset(
        {"tos": (("time", "j", "i"), values)},
        {"time": MONTHS, "nav_lat": (("j", "i"), y + x / 50), "nav_lon": (("j", "i"), x)},
    )
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    series = read_file(tmp_path / "a.nc", select="lat=39,lon=3")
    assert series.y[:, 0].tolist() == values[:, 9, 23].tolist()
    inside = (y + x / 50 >= 35) & (y + x / 50 <= 40) & (x >= -5) & (x <= 5)
    weights = np.where(inside, np.cos(np.deg2rad(y + x / 50)), 0)
    expected = (values * weights).sum((1, 2)) / weights.sum()
    np.testing.assert_allclose(read_file(tmp_path / "a.nc", select="lat=35:40,lon=-5:5").y[:, 0], expected)
    with pytest.raises(DataError, match="the nearest cell is"):
        read_file(tmp_path / "a.nc", select="lat=10,lon=3")
    with pytest.raises(ConfigError, match=r"expected lat=...,lon=... together"):
        read_file(tmp_path / "a.nc", select="lat=39")


def test_stations_are_series(tmp_path):
    values = np.random.default_rng(0).normal(size=(60, 3))
    data = xr.Dataset({"q": (("time", "station"), values)}, {"time": MONTHS, "station": ["001", "NA", "b"]})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    panel = read_file(tmp_path / "a.nc", id="station", target="q")
    assert sorted(panel.ids) == ["001", "NA", "b"]
    at = list(panel.ids).index("NA")
    assert panel.y[panel.borders[at] : panel.borders[at + 1], 0].tolist() == values[:, 1].tolist()
    assert read_file(tmp_path / "a.nc", select="station=b").y[:, 0].tolist() == values[:, 2].tolist()
    with pytest.raises(DataError, match="expected one of: 001, NA, b"):
        read_file(tmp_path / "a.nc", select="station=1")


@pytest.mark.parametrize(
    ("units", "calendar", "times", "expected"),
    [("months since 1960-01-01", "360_day", np.arange(60) + 0.5, "1960-01-16"),
     ("days since 1950-01-01", "standard", np.arange(60) * 1.0, "1950-01-01"),
     ("hours since 1900-01-01 00:00:0.0", "gregorian", np.arange(60) * 24, "1900-01-01"),
     ("days since 0001-01-01", "proleptic_gregorian", np.arange(60) + 730119.0, "2000-01-01"),
     ("days since 2001-01-01", "noleap", np.arange(60) + 300.0, "2001-10-28"),
     ("seconds since 1970-01-01", "standard", np.arange(60) * 3600.0, "1970-01-01")],
)  # fmt: skip
def test_dates_by_the_conventions(tmp_path, units, calendar, times, expected):
    if calendar == "noleap":
        pytest.importorskip("cftime")
    data = xr.Dataset({"t": ("time", np.arange(60.0) % 7)}, {"time": times})
    data["time"].attrs |= {"units": units, "calendar": calendar}
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    series = read_file(tmp_path / "a.nc")
    assert series.index[0].strftime("%Y-%m-%d") == expected
    assert series.y[:, 0].tolist() == (np.arange(60) % 7).tolist()


def test_packed_values_and_fill_values(tmp_path):
    values = np.arange(60.0) % 13
    values[20] = np.nan
    data = xr.Dataset({"t": ("time", values)}, {"time": MONTHS})
    encoding = {"t": {"dtype": "int16", "scale_factor": 0.5, "add_offset": 3.0, "_FillValue": -32768}}
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding)
    with pytest.raises(DataError, match="missing"):
        read_file(tmp_path / "a.nc")
    series = read_file(tmp_path / "a.nc", fill="ffill")
    assert series.y[:20, 0].tolist() == values[:20].tolist()


def test_several_variables(tmp_path):
    data = xr.Dataset({"u": ("time", np.arange(60.0) % 7), "v": ("time", np.arange(60.0) % 5)}, {"time": MONTHS})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="u, v"):
        read_file(tmp_path / "a.nc")
    series = read_file(tmp_path / "a.nc", target="v", features=["u"])
    assert series.targets == ("v",)
    assert series.features == ("u",)


def test_a_compressed_netcdf_and_damaged_ones(tmp_path):
    data = xr.Dataset({"u": ("time", np.arange(60.0) % 7)}, {"time": MONTHS})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    whole = (tmp_path / "a.nc").read_bytes()
    (tmp_path / "a.nc.gz").write_bytes(gzip.compress(whole))
    assert read_file(tmp_path / "a.nc.gz").y[:8, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read as NetCDF or Zarr"):
        read_file(tmp_path / "cut.nc")
    (tmp_path / "a.grib").write_bytes(b"GRIB" + b"\0" * 100)
    with pytest.raises(DataError, match=r"is GRIB; expected NetCDF: convert it, cdo -f nc copy a.grib"):
        read_file(tmp_path / "a.grib")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_file(tmp_path / "folder")
