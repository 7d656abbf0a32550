"""A series: its values, its dates and what is known of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from kseq.data import frequency
from kseq.data._origin import Origin
from kseq.data.columns import require_columns
from kseq.data.dates import require_order
from kseq.data.frequency import Calendar
from kseq.errors import DataError
from kseq.naming import names_near

#: Rows that are read at once for the fingerprint.
_CHUNK = 2**16


@names_near({"df": ".frame", "values": ".y", "data": ".frame", "plot": ".frame.plot()", "dates": ".index"})
@dataclass(frozen=True)
class Series:
    """One series, checked.

    Args:
        name: How the series is called in tables and files (the ``unique_id``).
        frame: Numbers only, one row a time step, indexed by a ``DatetimeIndex`` or, where no dates are known, by the
            row's number.
        targets: The columns to forecast.
        features: Further columns that a model may read up to the origin of a forecast: past covariates.
        unit: Unit of the targets, as shown on axes ("°C"); empty where unknown.
        source: Where the values come from, and under which licence.
        future: Columns that are known ahead, for the steps to forecast too: future covariates.
        static: What does not change with time, one row; text as a category.
        ahead: Rows after the last one of ``frame`` for which the ``future`` columns are known, indexed as ``frame`` is.
        fill: How missing values were filled, one of :data:`kseq.data.FILLS`; ``"mask"`` leaves them as NaN.
        filled: Which values were filled, ``(time, columns)`` as ``frame`` has them; None for none.
        freq: The frequency that its user named, as pandas calls it; None to find it from the dates.
        notes: Sentences on what was found or done while reading: gaps, values filled.
        origin: The call that read it; None where a script made it.
        read: What was read, in a sentence: target, dates, frequency, rows, missing values, series; empty where a script
            made it.

    Raises:
        DataError: A column is missing, a value is not finite, dates are unsorted or repeated, a target is constant.
    """

    name: str
    frame: pd.DataFrame
    targets: tuple[str, ...]
    features: tuple[str, ...] = ()
    unit: str = ""
    source: str = ""
    future: tuple[str, ...] = ()
    static: pd.DataFrame = field(default_factory=pd.DataFrame)
    ahead: pd.DataFrame = field(default_factory=pd.DataFrame)
    fill: str | None = None
    filled: np.ndarray | None = None
    freq: str | None = None
    notes: tuple[str, ...] = ()
    origin: Origin | None = None
    read: str = ""

    def __post_init__(self) -> None:
        columns = list(dict.fromkeys([*self.targets, *self.features, *self.future]))
        require_columns(self.frame, columns, self.name)
        if not self.targets:
            raise DataError(f"{self.name}: received no target column, expected at least one; name it with target=.")
        if not len(self.frame):
            raise DataError(f"{self.name}: received no rows, expected one a time step.")
        object.__setattr__(self, "frame", self.frame[columns].astype("float64"))
        require_order(self.frame.index, self.name)
        _require_finite(self.frame, self.name, missing_allowed=self.fill == "mask")
        for column in self.targets:
            if self.frame[column].nunique() < 2:
                raise DataError(
                    f"{self.name}: target {column!r} is constant ({self.frame[column].iloc[0]:g} in all "
                    f"{len(self.frame)} rows), expected values that vary; choose another column."
                )

    def __repr__(self) -> str:
        columns = ", ".join(map(str, self.frame.columns))
        return f"Series({self.name!r}, {len(self):,} rows of {columns}; .frame is a DataFrame)"

    def __len__(self) -> int:
        return len(self.frame)

    def _repr_html_(self) -> str:
        """What it holds and its first and last rows, as a notebook shows them."""
        from kseq.data._display import as_html

        span = f"{self.index[0]} to {self.index[-1]}".replace(" 00:00:00", "")
        unit = f" ({self.unit})" if self.unit else ""
        made = f"{self.name}: target {', '.join(self.targets)}{unit}, {self.step}, {span}, {len(self):,} rows."
        return as_html(self.read or made, self.notes, self.frame)

    @property
    def index(self) -> pd.Index:
        """The dates, or row numbers where there are none."""
        return self.frame.index

    @property
    def has_dates(self) -> bool:
        """Whether the index holds dates."""
        return isinstance(self.index, pd.DatetimeIndex)

    @property
    def ids(self) -> pd.Index:
        """The one name, as a panel has many."""
        return pd.Index([self.name])

    @property
    def borders(self) -> np.ndarray:
        """First and last border of its rows, as a panel has one more than series."""
        return np.array([0, len(self)])

    @cached_property
    def y(self) -> np.ndarray:
        """Target values in their own unit, ``(time, targets)``, float64."""
        return self.values_of(self.targets)

    def values_of(self, columns: tuple[str, ...]) -> np.ndarray:
        """Values of columns in their own unit, ``(time, columns)``, float64."""
        return self.frame[list(columns)].to_numpy()

    @cached_property
    def calendar(self) -> Calendar:
        """Frequency and gaps of its dates."""
        return frequency.read(self.index, freq=self.freq)

    @property
    def step(self) -> str:
        """The time step in words: ``"monthly"``, ``"5 days (4 to 6)"``, ``"rows"`` without dates."""
        return self.calendar.words

    @property
    def gaps(self) -> np.ndarray:
        """Numbers of the rows before which dates are missing."""
        return self.calendar.gaps

    @cached_property
    def missing(self) -> np.ndarray:
        """Numbers of the rows with a missing value; empty unless ``fill`` is ``"mask"``."""
        return np.flatnonzero(self.frame.isna().any(axis=1))

    @cached_property
    def stretches(self) -> np.ndarray:
        """Runs of rows without gap or missing value, ``(stretches, 2)``: first row, and one after the last.

        A window that lies in one stretch reads values that follow one another.
        """
        return frequency.stretches(self.borders, self.borders[1:], self.calendar.breaks, self.missing)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over dates, column names and values: equal for equal data, on every machine."""
        return fingerprint_of(self.targets, self.features, self.future, self.frame, self.static, self.ahead)


def _texts(index: pd.Index) -> list[str]:
    """Dates as ``str`` writes them, but faster where they are of whole seconds and of no time zone."""
    if isinstance(index, pd.DatetimeIndex) and index.tz is None:
        seconds = index.to_numpy().astype("datetime64[s]")
        if (seconds == index.to_numpy()).all():
            return [text.replace("T", " ") for text in np.datetime_as_string(seconds).tolist()]
    return list(map(str, index))


def fingerprint_of(
    targets: Sequence[str],
    features: Sequence[str],
    future: Sequence[str],
    frame: pd.DataFrame,
    static: pd.DataFrame,
    ahead: pd.DataFrame,
) -> str:
    """SHA-256 over one series; its parts as :class:`Series` has them."""
    digest = hashlib.sha256()
    roles = (tuple(targets), tuple(features)) + ((tuple(future),) if future else ())
    digest.update(repr(roles).encode())
    # Dates as text: pandas keeps them in units that differ between its versions.
    for first in range(0, len(frame), _CHUNK):
        digest.update(b"\n" * (first > 0) + "\n".join(_texts(frame.index[first : first + _CHUNK])).encode())
    digest.update(np.ascontiguousarray(frame.to_numpy(), dtype="<f8").tobytes())
    if len(static.columns):
        digest.update(static.to_csv(index=False).encode())
    if len(ahead):
        digest.update(ahead.to_csv().encode())
    return digest.hexdigest()


def _require_finite(frame: pd.DataFrame, name: str, missing_allowed: bool) -> None:
    values = frame.to_numpy()
    for kind, bad in (("missing", np.isnan(values)), ("infinite", np.isinf(values))):
        if bad.any() and not (kind == "missing" and missing_allowed):
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise DataError(
                f"{name}: {int(bad.sum())} {kind} values (first in column {frame.columns[column]!r} at "
                f"{frame.index[row]}), expected finite numbers; mend the data or its reading."
            )
