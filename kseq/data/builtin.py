"""Built-in series: out of statsmodels, which is installed with kseq, so that no network is needed."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from kseq.data._origin import remembered
from kseq.data.series import Series
from kseq.errors import DataError, Parameter
from kseq.naming import checked


@dataclass(frozen=True)
class BuiltIn:
    """A series that needs no file: how to load it and what ``kseq data`` says of it."""

    load: Callable[[], pd.DataFrame]
    title: str
    target: str
    unit: str
    licence: str
    source: str


def _table(name: str) -> pd.DataFrame:
    """A table of statsmodels.datasets, read where it lies: statsmodels itself takes a second to import."""
    found = find_spec("statsmodels")
    assert found is not None
    assert found.origin is not None
    file = Path(found.origin).parent / "datasets" / name / f"{name}.csv"
    return pd.read_csv(file)


def _nino12() -> pd.DataFrame:
    wide = _table("elnino").astype(float).set_index("YEAR")
    dates = pd.date_range(f"{int(wide.index[0])}-01-01", periods=wide.size, freq="MS")
    return pd.DataFrame({"sst": wide.to_numpy().ravel()}, index=dates)


def _co2() -> pd.DataFrame:
    # Weekly flasks with 59 weeks missing. Monthly means leave 5 empty months, which take the month before: a value of
    # the past, so that nothing after a cutoff can reach back over it.
    table = _table("co2")
    weekly = table["co2"].set_axis(pd.date_range(str(table["date"][0]), periods=len(table), freq="W-SAT"))
    return weekly.resample("MS").mean().ffill().to_frame("co2")


def _sunspots() -> pd.DataFrame:
    data = _table("sunspots").astype(float)
    dates = pd.to_datetime({"year": data["YEAR"].astype(int), "month": 1, "day": 1})
    return pd.DataFrame({"sunspots": data["SUNACTIVITY"].to_numpy()}, index=pd.DatetimeIndex(dates))


BUILT_INS: dict[str, BuiltIn] = {
    "nino12": BuiltIn(
        _nino12, "Sea-surface temperature, Niño 1+2 region, monthly", "sst", "°C", "public domain",
        "NOAA National Weather Service, ERSST.V3B, through statsmodels.datasets.elnino",
    ),
    "co2": BuiltIn(
        _co2, "Atmospheric CO2 at Mauna Loa, monthly means", "co2", "ppm", "public domain",
        "Keeling and Whorf 2004, Scripps (CDIAC), through statsmodels.datasets.co2",
    ),
    "sunspots": BuiltIn(
        _sunspots, "Sunspot number, yearly means", "sunspots", "", "public domain",
        "NOAA National Geophysical Data Center, through statsmodels.datasets.sunspots",
    ),
}  # fmt: skip


@remembered
@checked("kseq.load_series")
def load_series(name: str = "nino12") -> Series:
    """Load a built-in series by name, without network.

    Args:
        name: ``"nino12"`` (monthly sea-surface temperature 1950-2010, °C), ``"co2"`` (monthly, 1958-2001, ppm) or
            ``"sunspots"`` (yearly, 1700-2008).

    Returns:
        Series: One target, no further features.

    Raises:
        DataError: No built-in series has that name.

    Example:
        >>> series = load_series("nino12")
        >>> len(series), series.step, series.unit
        (732, 'monthly', '°C')
    """
    if name not in BUILT_INS:
        raise DataError(
            f"received series {name!r}, expected one of {', '.join(BUILT_INS)}; `kseq data` describes them, "
            "and a file of your own goes in with ",
            Parameter("read_csv"),
            ".",
        )
    built_in = BUILT_INS[name]
    return Series(
        name, built_in.load(), (built_in.target,), unit=built_in.unit, source=f"{built_in.source} ({built_in.licence})"
    )
