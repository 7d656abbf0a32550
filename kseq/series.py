"""A series: its values, its dates and what is known of them.

``load_series`` brings a built-in series, ``read_csv`` a user's file, ``from_frame`` a DataFrame. All three end in
:class:`Series`, which checks what it is given, so that everything after it can rely on sorted dates, finite numbers and
a target that varies.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from kseq.errors import DataError

FILLS = ("linear", "ffill")

#: Names under which a file's time column is found when the user names none.
TIME_NAMES = ("ds", "date", "time", "datetime", "timestamp")

#: Parts of a date that may stand in columns of their own, in the order in which they are shown to the user.
DATE_PARTS = ("year", "month", "day", "hour", "minute", "second")


@dataclass(frozen=True)
class Series:
    """One series, checked.

    Args:
        name: how the series is called in tables and files (the ``unique_id``).
        frame: numbers only, one row a time step, indexed by a ``DatetimeIndex`` or, where no dates are known, by the
            row's number.
        targets: the columns to forecast.
        features: further columns that a model may read.
        unit: of the targets, as shown on axes ("°C"); empty where unknown.
        source: where the values come from, and under which licence.

    Raises:
        DataError: a column is missing, a value is not finite, dates are unsorted or repeated, a target is constant.
    """

    name: str
    frame: pd.DataFrame
    targets: tuple[str, ...]
    features: tuple[str, ...] = ()
    unit: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        _require_columns(self.frame, [*self.targets, *self.features], self.name)
        if not self.targets:
            raise DataError(f"{self.name}: received no target column, expected at least one; name it with target=.")
        columns = list(dict.fromkeys([*self.targets, *self.features]))
        object.__setattr__(self, "frame", self.frame[columns].astype("float64"))
        _require_order(self.frame.index, self.name)
        _require_finite(self.frame, self.name)
        for column in self.targets:
            if self.frame[column].nunique() < 2:
                raise DataError(
                    f"{self.name}: target {column!r} is constant ({self.frame[column].iloc[0]:g} in all "
                    f"{len(self.frame)} rows), expected values that vary; choose another column."
                )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def index(self) -> pd.Index:
        """The dates, or row numbers where there are none."""
        return self.frame.index

    @property
    def has_dates(self) -> bool:
        """Whether the index holds dates."""
        return isinstance(self.index, pd.DatetimeIndex)

    @cached_property
    def y(self) -> np.ndarray:
        """Target values in their own unit, ``(time, targets)``, float64."""
        return self.frame[list(self.targets)].to_numpy()

    @cached_property
    def step(self) -> str:
        """The time step in words: ``"monthly"``, ``"5 days (4 to 6)"``, ``"rows"`` without dates."""
        if not self.has_dates:
            return "rows"
        return describe_step(self.index)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over dates, column names and values: equal for equal data, on every machine."""
        digest = hashlib.sha256()
        digest.update(repr((self.targets, self.features)).encode())
        # Dates as text: pandas keeps them in units that differ between its versions.
        digest.update("\n".join(map(str, self.index)).encode())
        digest.update(np.ascontiguousarray(self.frame.to_numpy(), dtype="<f8").tobytes())
        return digest.hexdigest()


def describe_step(index: pd.DatetimeIndex) -> str:
    """Say in a few words how far apart dates are, and whether evenly."""
    with warnings.catch_warnings():
        # pandas 3 warns that pandas 4 returns an offset here; both are read below.
        warnings.simplefilter("ignore")
        offset = pd.infer_freq(index) if len(index) > 2 else None
    if offset is not None:
        frequency = getattr(offset, "freqstr", offset)
        words = {"M": "monthly", "Q": "quarterly", "Y": "yearly", "A": "yearly", "W": "weekly", "D": "daily",
                 "B": "business days", "h": "hourly", "H": "hourly", "min": "minutely"}  # fmt: skip
        base = frequency.split("-")[0]
        return words.get(base, words.get(base.rstrip("SE"), frequency))
    days = np.diff(index.to_numpy()) / np.timedelta64(1, "D")
    low, middle, high = days.min(), np.median(days), days.max()
    return f"{middle:g} days ({low:g} to {high:g})"


# --------------------------------------------------------------------------------------------------------------------
# Built-in series: out of statsmodels, which is installed with kseq, so that no network is needed.


@dataclass(frozen=True)
class BuiltIn:
    """A series that needs no file: how to load it and what ``kseq data`` says of it."""

    load: Callable[[], pd.DataFrame]
    title: str
    target: str
    unit: str
    licence: str
    source: str


def _nino12() -> pd.DataFrame:
    from statsmodels.datasets import elnino

    wide = elnino.load_pandas().data.set_index("YEAR")
    dates = pd.date_range(f"{int(wide.index[0])}-01-01", periods=wide.size, freq="MS")
    return pd.DataFrame({"sst": wide.to_numpy().ravel()}, index=dates)


def _co2() -> pd.DataFrame:
    from statsmodels.datasets import co2

    # Weekly flasks with 59 weeks missing. Monthly means leave 5 empty months, which take the month before: a value of
    # the past, so that nothing after a cutoff can reach back over it.
    weekly = co2.load_pandas().data["co2"]
    return weekly.resample("MS").mean().ffill().to_frame("co2")


def _sunspots() -> pd.DataFrame:
    from statsmodels.datasets import sunspots

    data = sunspots.load_pandas().data
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


def load_series(name: str = "nino12") -> Series:
    """Load a built-in series by name, without network.

    Args:
        name: ``"nino12"`` (monthly sea-surface temperature 1950-2010, °C), ``"co2"`` (monthly, 1958-2001, ppm) or
            ``"sunspots"`` (yearly, 1700-2008).

    Returns:
        Series: one target, no further features.

    Raises:
        DataError: no built-in series has that name.

    Example:
        >>> series = load_series("nino12")
        >>> len(series), series.step, series.unit
        (732, 'monthly', '°C')
    """
    if name not in BUILT_INS:
        raise DataError(
            f"received series {name!r}, expected one of {', '.join(BUILT_INS)}; `kseq data` describes them, "
            "and a file of your own goes in with --csv."
        )
    built_in = BUILT_INS[name]
    return Series(
        name, built_in.load(), (built_in.target,), unit=built_in.unit, source=f"{built_in.source} ({built_in.licence})"
    )


# --------------------------------------------------------------------------------------------------------------------
# A user's own data.


def read_csv(
    path: str | Path,
    time: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    features: Sequence[str] = (),
    header: int = 0,
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
) -> Series:
    """Read a series from a CSV file.

    Args:
        path: the file.
        time: the column of dates, or several that make a date (``["year", "month", "day"]``). By default a column
            named ds, date, time, datetime or timestamp; without one, rows are taken as equally spaced.
        target: the column to forecast (or several). By default the only numeric column that is not time.
        features: further columns for the models to read; columns of ``time`` may be among them.
        header: number of the line, from 0, that holds the column names; lines above it are left out.
        fill: what to do with missing values: None refuses them, ``"linear"`` interpolates between neighbours (and so
            looks one value ahead), ``"ffill"`` repeats the last value.
        name: how to call the series; by default the file's name.
        unit: unit of the target, for axes; found in the column's name where it ends in a known one ("deg C").

    Returns:
        Series: checked, sorted dates, finite numbers.

    Raises:
        DataError: the file or a column cannot be used; the message says what to do.

    Example:
        >>> series = read_csv("sst.csv", time=["year", "month", "day"], target="sst")  # doctest: +SKIP
    """
    path = Path(path)
    frame = _read_text(path, header)
    return from_frame(frame, time, target, features, fill, name or path.stem, unit, source=path.name)


def from_frame(
    frame: pd.DataFrame,
    time: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str = "series",
    unit: str = "",
    source: str = "",
) -> Series:
    """Make a series of a DataFrame; arguments and errors as in :func:`read_csv`.

    A frame that is already indexed by dates needs no ``time``.
    """
    if fill is not None and fill not in FILLS:
        raise DataError(f"received fill {fill!r}, expected {' or '.join(FILLS)}.")
    time_columns = _time_columns(frame, time)
    _require_columns(frame, time_columns, name)
    if time_columns:
        index: pd.Index = _dates(frame, time_columns, name)
    elif isinstance(frame.index, pd.DatetimeIndex):
        index = frame.index
    else:
        index = pd.RangeIndex(len(frame))
    targets = _target_columns(frame, target, time_columns, name)
    features = list(features)
    columns = list(dict.fromkeys([*targets, *features]))
    _require_columns(frame, columns, name)
    numbers = pd.DataFrame({column: _numbers(frame[column], name) for column in columns})
    numbers.index = index
    numbers = _fill(numbers, fill, name)
    return Series(name, numbers, tuple(targets), tuple(features), unit or _unit_of(targets[0]), source)


def _read_text(path: Path, header: int) -> pd.DataFrame:
    """Read the file as a frame, or say why it is not a CSV file."""
    if not path.exists():
        raise DataError(f"received --csv {path}, which does not exist; expected a CSV file.")
    if path.is_dir():
        raise DataError(f"received --csv {path}, which is a folder; expected a CSV file.")
    try:
        with path.open("rb") as file:
            head = file.read(8192)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); expected a readable CSV file.") from error
    if not head.strip():
        raise DataError(f"{path} is empty; expected a header line and one row a time step.")
    if b"\0" in head:
        raise DataError(f"{path} is a binary file; expected text: a CSV file with a header line.")
    try:
        frame = pd.read_csv(path, header=header, skip_blank_lines=False, skipinitialspace=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(
            f"{path} has no table under line {header} ({reason}); expected the column names there: "
            "give the header's line number, from 0, with --header."
        ) from error
    frame.columns = [str(column).strip() for column in frame.columns]
    if all(_is_number(column) for column in frame.columns):
        raise DataError(
            f"{path} has numbers where its column names should be (line {header}: "
            f"{', '.join(frame.columns[:4])}); expected a header line: add one, or say where it is with --header."
        )
    if frame.empty:
        raise DataError(f"{path} has a header and no rows; expected one row a time step.")
    return frame


def _time_columns(frame: pd.DataFrame, time: str | Sequence[str] | None) -> list[str]:
    if time is not None:
        return [time] if isinstance(time, str) else list(time)
    return [column for column in frame.columns if str(column).lower() in TIME_NAMES][:1]


def _target_columns(
    frame: pd.DataFrame, target: str | Sequence[str] | None, time_columns: list[str], name: str
) -> list[str]:
    if target is not None:
        return [target] if isinstance(target, str) else list(target)
    rest = [c for c in frame.columns if c not in time_columns and c != "unique_id"]
    if "y" in rest:
        return ["y"]
    numeric = [c for c in rest if pd.api.types.is_numeric_dtype(frame[c])]
    if len(numeric) == 1:
        return numeric
    raise DataError(
        f"{name}: no target named and {len(numeric)} numeric columns to choose from; "
        f"name one with --target: {', '.join(map(str, numeric or rest)) or 'none found'}."
    )


def _require_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    for column in columns:
        if column not in frame.columns:
            have = ", ".join(map(str, frame.columns))
            raise DataError(f"{name}: received column {column!r}, expected one of: {have}.")


def _dates(frame: pd.DataFrame, columns: list[str], name: str) -> pd.DatetimeIndex:
    """Make dates of one column, or of several that hold parts of a date."""
    lower = [column.lower() for column in columns]
    try:
        if set(lower) <= set(DATE_PARTS):
            parts = {part: pd.to_numeric(frame[column]) for part, column in zip(lower, columns, strict=True)}
            if "year" not in parts:
                raise ValueError("no year among the columns")
            dates = pd.to_datetime(pd.DataFrame({"month": 1, "day": 1} | parts))
        else:
            text = frame[columns].astype(str).agg(" ".join, axis=1) if len(columns) > 1 else frame[columns[0]]
            if pd.api.types.is_numeric_dtype(text):
                raise ValueError(f"{columns[0]!r} holds numbers such as {text.iloc[0]}")
            dates = pd.to_datetime(text)
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"{name}: column {','.join(columns)} does not read as dates ({reason}); expected dates such as "
            "2001-02-03, or columns year,month,day."
        ) from error
    if dates.isna().any():
        row = int(np.flatnonzero(dates.isna())[0])
        raise DataError(f"{name}: no date in row {row} of column {','.join(columns)}; expected one in each row.")
    return pd.DatetimeIndex(dates, name="ds")


def _numbers(column: pd.Series, name: str) -> np.ndarray:
    """Return the column's values as floats; blanks become NaN, text is refused."""
    numbers = pd.to_numeric(column, errors="coerce")
    text = numbers.isna() & column.notna()
    if text.any():
        row = int(np.flatnonzero(text)[0])
        raise DataError(
            f"{name}: column {column.name!r} holds text ({str(column.iloc[row])!r} in row {row}, {int(text.sum())} in "
            "all); expected numbers: mend the file or choose another column."
        )
    return numbers.to_numpy(dtype="float64")


def _fill(frame: pd.DataFrame, fill: str | None, name: str) -> pd.DataFrame:
    missing = frame.isna()
    if not missing.to_numpy().any():
        return frame
    column = missing.columns[missing.any()][0]
    where = [str(frame.index[row]) for row in np.flatnonzero(missing[column])]
    if fill is None:
        shown = ", ".join(text.removesuffix(" 00:00:00") for text in where[:3])
        raise DataError(
            f"{name}: {len(where)} missing value{'s' * (len(where) > 1)} in column {column!r} (at {shown}"
            f"{', ...' * (len(where) > 3)}), expected none; give --fill linear or --fill ffill, or mend the file."
        )
    filled = frame.interpolate("linear", limit_area="inside") if fill == "linear" else frame
    # What linear cannot reach (the end) takes the last value; nothing stands before the start to fill it with.
    filled = filled.ffill()
    if filled.isna().to_numpy().any():
        raise DataError(
            f"{name}: column {column!r} starts with missing values, which --fill {fill} cannot fill; "
            "remove the first rows."
        )
    return filled


def _require_order(index: pd.Index, name: str) -> None:
    if index.has_duplicates:
        first = index[index.duplicated()][0]
        raise DataError(
            f"{name}: {int(index.duplicated().sum())} dates stand twice (first {first}), expected one row a date; "
            "remove or average the repeats."
        )
    if not index.is_monotonic_increasing:
        row = int(np.flatnonzero(index[1:] < index[:-1])[0]) + 1
        raise DataError(
            f"{name}: dates are not in order (row {row}, {index[row]}, is before {index[row - 1]}); "
            "sort the rows by date."
        )


def _require_finite(frame: pd.DataFrame, name: str) -> None:
    values = frame.to_numpy()
    for kind, bad in (("missing", np.isnan(values)), ("infinite", np.isinf(values))):
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise DataError(
                f"{name}: {int(bad.sum())} {kind} values (first in column {frame.columns[column]!r} at "
                f"{frame.index[row]}), expected finite numbers; mend the file or its reading."
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unit_of(column: str) -> str:
    """Read the unit off a column's name where it ends in one."""
    for ending, unit in (("deg C", "°C"), ("degC", "°C"), ("°C", "°C"), ("celsius", "°C"), ("kelvin", "K")):
        if column.lower().endswith(ending.lower()):
            return unit
    return ""
