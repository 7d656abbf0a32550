"""From a DataFrame or a file to one series."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.errors import DataError, Parameter
from kseq.data import frequency, files, mixtures
from kseq.data.series import Series
from kseq.data.dates import placing, read_dates, require_order
from kseq.data.missing import fill_values, mask_note, require_fill, require_none_missing
from kseq.data._origin import remembered
from kseq.data.columns import Names, Roles, unit_of


@remembered
def read_csv(
    path: str | Path,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    header: int = 0,
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
    *,
    series: object = None,
    **options: Any,
) -> Series:
    """Read a series from a CSV file.

    Args:
        path: the file.
        time: the column of dates, or several that make a date (``["year", "month", "day"]``). By default a column
            named ds, date, time, datetime or timestamp; without one, rows are taken as equally spaced.
        target: the column to forecast (or several). By default ``y``, or the only column of numbers.
        features: further columns for the models to read; columns of ``time`` may be among them.
        header: number of the line, from 0, that holds the column names; lines above it are left out.
        fill: what to do with missing values. None refuses them; ``"ffill"`` repeats the last value, ``"seasonal"``
            takes the value one season earlier; ``"linear"`` interpolates between neighbours, and so looks ahead to the
            next value, which :meth:`Series.causal` takes back; ``"mask"`` leaves them and marks their rows.
        name: how to call the series; by default as ``series`` says, or the file's name.
        unit: unit of the target, for axes; found in the column's name where it ends in a known one ("deg C").
        series: of a file of many series, the one to read; see :func:`from_frame`.
        **options: ``id``, ``future``, ``static``, ``freq`` and ``season``, see :func:`from_frame`.

    Returns:
        Series: checked, sorted dates, finite numbers.

    Raises:
        DataError: the file or a column cannot be used; the message says what to do.

    Example:
        >>> series = read_csv("sst.csv", time=["year", "month", "day"], target="sst")  # doctest: +SKIP
    """
    path = Path(path)
    frame = files.read_text(path, header)
    name = name or _name(series, path.stem)
    return from_frame(frame, time, target, features, fill, name, unit, path.name, series=series, **options)


@remembered
def read_parquet(
    path: str | Path,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
    *,
    id: str | None = None,
    series: object = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    **options: Any,
) -> Series:
    """Read a series from a Parquet file; needs pyarrow (``pip install 'kseq[parquet]'``).

    The file is read in batches, of the columns that are named, and of the rows of one series: a file of many series may
    be larger than the memory.

    Args:
        path: the file.
        time: as in :func:`read_csv`; the index of a DataFrame that was written with it is found as well.
        target: as in :func:`read_csv`.
        features: as in :func:`read_csv`.
        fill: as in :func:`read_csv`.
        name: as in :func:`read_csv`.
        unit: as in :func:`read_csv`.
        id: as in :func:`from_frame`.
        series: as in :func:`from_frame`.
        future: as in :func:`from_frame`.
        static: as in :func:`from_frame`.
        **options: ``freq`` and ``season``, see :func:`from_frame`.

    Returns:
        Series: as of :func:`read_csv`.

    Raises:
        DataError: the file or a column cannot be used, or pyarrow is missing; the message says what to do.

    Example:
        >>> series = read_parquet("shops.parquet", id="shop", series="north", target="sales")  # doctest: +SKIP
    """
    path = Path(path)
    require_fill(fill)
    table = files.ParquetTable(path)
    covariates: dict[str, Any] = {"features": features, "future": future, "static": static}
    roles = Roles.find(table.columns, path.stem, time=table.time(time), id=id, target=target, **covariates)
    batches = [_rows_of(batch, roles.id, series) for batch in table.batches(roles.columns)]
    frame = pd.concat([batch for batch in batches if len(batch)] or batches[:1], ignore_index=True)
    if roles.id is not None and series is not None and not len(frame):
        ids = {id for batch in table.batches([roles.id]) for id in batch[roles.id].unique()}
        raise _unknown(series, roles.id, ids, path.stem)
    return from_frame(
        frame, list(roles.time), list(roles.targets), fill=fill, name=name or _name(series, path.stem), unit=unit,
        source=path.name, id=roles.id, series=series, **covariates, **options,
    )  # fmt: skip


def from_frame(
    frame: pd.DataFrame,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
    source: str = "",
    *,
    id: str | None = None,
    series: object = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    freq: str | None = None,
    season: int | None = None,
) -> Series:
    """Make a series of a DataFrame; errors as in :func:`read_csv`.

    Args:
        frame: wide, one column a target or covariate; or long, the rows of several series in one column. One that is
            already indexed by dates needs no ``time``.
        time: as in :func:`read_csv`.
        target: as in :func:`read_csv`.
        features: as in :func:`read_csv`.
        fill: as in :func:`read_csv`.
        name: as in :func:`read_csv`.
        unit: as in :func:`read_csv`.
        source: where the values come from.
        id: column that tells the series of a long frame apart; by default ``unique_id`` where there is one.
        series: which of them to take; may be left out where there is only one.
        future: columns that are known ahead. Rows at the end that hold them and no target are steps to forecast: they
            become :attr:`Series.ahead`.
        static: columns that hold the same value in all rows.
        freq: frequency of the dates ("MS", "D", "h", "B", "W-SUN"); refused where they do not fit. By default it is
            found, and a file that mixes several is refused.
        season: steps in a season, for ``fill="seasonal"``; by default that of the calendar.

    Example:
        >>> frame = pd.DataFrame({"unique_id": list("aabb"), "y": [1.0, 2.0, 3.0, 5.0]})
        >>> from_frame(frame, series="b").y[:, 0].tolist()
        [3.0, 5.0]
    """
    require_fill(fill)
    name = name or _name(series, "series")
    frame = files.with_plain_index(frame, id)
    roles = Roles.find(
        frame, name, time=time, id=id, target=target, features=features, future=future, static=static
    )  # fmt: skip
    frame = _one_series(frame, roles.id, series, name)
    if not len(frame):
        raise DataError(f"{name}: received no rows, expected one a time step.")
    index = _index(frame, roles.time, name)
    require_order(index, name)
    numbers = pd.DataFrame({column: files.numbers(frame[column], name) for column in roles.numbers})
    known = _known_rows(numbers, roles, name)
    place = placing(index)

    calendar = frequency.read(index, freq=freq)
    _mixtures.check(calendar, index, np.array([0, len(index)]), name, place, given=freq is not None)
    if (calendar.gaps >= known).any():
        raise DataError(
            f"{name}: dates are missing among the rows that are known ahead (before "
            f"{place(int(calendar.gaps[-1]))}), expected one for each step after {place(known - 1)}."
        )
    values = numbers.to_numpy()[:known].copy()
    missing = np.isnan(values)
    notes, filled = [calendar.gap_note(place), calendar.remark], None
    if fill is None:
        require_none_missing(missing, roles.numbers, name, place, "ffill, seasonal or linear")
    elif fill == "mask":
        notes.append(mask_note(np.flatnonzero(missing.any(axis=1)), place))
    elif missing.any():
        filled, borders = missing, np.array([0, known])
        notes.append(fill_values(values, missing, fill, roles.numbers, borders, calendar, name, place, season))
    return Series(
        name,
        pd.DataFrame(values, index[:known], roles.numbers),
        roles.targets,
        roles.features,
        unit or unit_of(str(roles.targets[0])),
        source,
        future=roles.future,
        static=_static(frame, roles.static, name),
        ahead=numbers[list(roles.future)].set_axis(index).iloc[known:],
        fill=fill,
        filled=filled,
        freq=freq,
        notes=tuple(note for note in notes if note),
    )


def _name(series: object, otherwise: str) -> str:
    return otherwise if series is None else str(series)


def _rows_of(frame: pd.DataFrame, id: str | None, series: object) -> pd.DataFrame:
    """Rows of one series; all of them where none is named."""
    if id is None or series is None:
        return frame
    return frame[frame[id].astype(str) == str(series)]


def _one_series(frame: pd.DataFrame, id: str | None, series: object, name: str) -> pd.DataFrame:
    """The rows of the series that is named, or of the only one."""
    if id is None:
        if series is not None:
            raise DataError(f"{name}: received series {str(series)!r} and no column that tells series apart; name it "
                            "with ", Parameter("id"), ".")  # fmt: skip
        return frame
    ids = frame[id].unique()
    if series is None and len(ids) > 1:
        raise DataError(
            f"{name}: column {id!r} holds {len(ids)} series ({_some(ids)}), expected one: choose it with ",
            Parameter("series"),
            ".",
        )
    rows = _rows_of(frame, id, series)
    if not len(rows) and len(frame):
        raise _unknown(series, id, ids, name)
    return rows


def _unknown(series: object, id: str, ids: Any, name: str) -> DataError:
    texts = sorted(map(str, ids))
    close = difflib.get_close_matches(str(series), texts, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return DataError(
        f"received series {str(series)!r}, expected one of the {len(texts)} in column {id!r}: {_some(texts)}{hint}"
    )


def _some(values: Any) -> str:
    return ", ".join(map(str, values[:3])) + ", ..." * (len(values) > 3)


def _index(frame: pd.DataFrame, time: Sequence[str], name: str) -> pd.Index:
    """The dates of a frame's rows, or their numbers where it has none."""
    if time:
        return read_dates(frame, time, name)
    if not isinstance(frame.index, pd.DatetimeIndex):
        return pd.RangeIndex(len(frame))
    if frame.index.hasnans:
        row = int(np.flatnonzero(frame.index.isna())[0])
        raise DataError(f"{name}: no date in row {row} of the index; expected one in each row.")
    return frame.index


def _known_rows(numbers: pd.DataFrame, roles: Roles, name: str) -> int:
    """Count the rows up to the last target; those after it hold nothing but what is known ahead."""
    if not roles.future:
        return len(numbers)
    past = numbers[list(dict.fromkeys([*roles.targets, *roles.features]))].notna().any(axis=1)
    known = _length(past)
    for column in roles.future:
        there = numbers[column].notna()
        if _length(there) < known:
            raise DataError(
                f"{name}: future covariate {column!r} ends {known - _length(there)} rows before the target does, "
                "expected a value in each row, and in one more for each step to forecast."
            )
        lacking = int((~there[known:]).sum())
        if lacking:
            raise DataError(
                f"{name}: future covariate {column!r} is missing in {lacking} of the {len(numbers) - known} rows after "
                "the last target, expected a value in each."
            )
    return known


def _length(there: pd.Series) -> int:
    """Rows up to the last one that is there."""
    rows = np.flatnonzero(there)
    return int(rows[-1]) + 1 if len(rows) else 0


def _static(frame: pd.DataFrame, columns: Sequence[str], name: str) -> pd.DataFrame:
    """One row with what all rows share; text as a category."""
    shared = {}
    for column in columns:
        values = frame[column].unique()
        if len(values) > 1 or pd.isna(values[0]):
            raise DataError(
                f"{name}: static covariate {column!r} holds {len(values)} values ({_some(values)}), expected the same "
                "in all rows."
            )
        kind = "float64" if pd.api.types.is_numeric_dtype(frame[column]) else "category"
        shared[column] = pd.Series(values[:1], [name]).astype(kind)
    return pd.DataFrame(shared, index=[name])
