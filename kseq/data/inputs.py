"""Whatever a user has in hand as a series or a panel: frames of several libraries, arrays, lists, names of files."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from kseq.data._options import DEFAULTS, FrameOptions, Names, require_fill, require_name, require_unit
from kseq.data._source import FILE_OPTIONS
from kseq.data.builtin import BUILT_INS, load_series
from kseq.data.columns import ID_NAME, TIME_NAMES, Roles, require_hashable
from kseq.data.formats.frames import as_pandas, is_frame
from kseq.data.panel import Panel
from kseq.data.readers import long_frame, panel_from_frame, read_file
from kseq.data.series import Series
from kseq.errors import DataError, joined
from kseq.naming import checked

P = ParamSpec("P")
Result = TypeVar("Result")

#: What is taken, for messages.
TAKEN = (
    "a DataFrame (columns ds and y, dates as its index, unique_id for several series, or a series a column), a pandas "
    "Series, an array or a list of numbers, the name of a file or of a built-in series, or a kseq.Series or kseq.Panel"
)

#: Options of reading a frame, with their types.
_READING: dict[str, Any] = {"time": Names, "target": Names, "features": Sequence[str], **FrameOptions.__annotations__}

_COMPLEX = "received complex numbers, expected real ones; give their .real or np.abs of them."


def reads(
    whose: str, instead: Mapping[str, str] | None = None, without: Sequence[str] = ()
) -> Callable[[Callable[P, Result]], Callable[P, Result]]:
    """Let a function that passes ``**reading`` on to :func:`series_of` show those options, and refuse other names.

    Args:
        whose: The function, as its user writes it.
        instead: As in :func:`kseq.naming.unknown`.
        without: Options of reading that the function's user gives elsewhere.
    """

    def decorate(function: Callable[P, Result]) -> Callable[P, Result]:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        taken = {*without, *(one.name for one in own)}
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS.get(name), annotation=kind)
            for name, kind in _READING.items() if name not in taken
        ]  # fmt: skip
        return checked(whose, instead, in_view=signature.replace(parameters=[*own, *more]))(function)

    return decorate


def series_of(given: Any, *, season: int | None = None, **reading: Any) -> Series | Panel:
    """Make a series, or a panel of several, of anything that holds one.

    Args:
        given: A kseq Series or Panel, which stays as it is; a DataFrame of pandas, Polars, Arrow or another library
            that gives a pandas one; a pandas Series; a dict of columns; an array or a list, ``(time,)`` or
            ``(time, series)``; a path of a file, or the name of a built-in series. A frame with several columns of
            numbers, of which none is called ``y`` and no target is named, holds a series a column.
        season: Steps in a season, for ``fill="seasonal"``.
        **reading: Options of :func:`kseq.from_frame`, of a file those of :func:`kseq.read_csv`.

    Raises:
        DataError: It holds no series, or one that cannot be used; the message says what to do.

    Example:
        >>> series_of([3.0, 5.0, 4.0]).y[:, 0].tolist()
        [3.0, 5.0, 4.0]
        >>> series_of({"ds": ["2020-01-01", "2020-02-01"], "y": [1.0, 2.0]}).step
        'monthly'
    """
    require_unit(reading.get("unit"))
    require_name(reading.get("name"))
    require_fill(reading.get("fill"))
    # What is empty or off says nothing; of dates the day may stand last.
    reading = {name: value for name, value in reading.items() if name == "dayfirst" or _says(value)}
    reading = {name: value for name, value in reading.items() if value is not None}
    if isinstance(given, Series | Panel):
        if reading:
            raise DataError(
                "received ", *joined(reading), f" with a {type(given).__name__}, which is read already; expected them "
                "with a DataFrame or a file.",
            )  # fmt: skip
        return given
    if isinstance(given, str | os.PathLike):
        return _of_name(given, season, reading)
    frame, name = frame_of(given)
    of_files = [name for name in FILE_OPTIONS if name in reading]
    if of_files:
        raise DataError(
            "received ", *joined(of_files), " with a frame, which is in columns already; expected them with a file."
        )
    if not len(frame):
        raise DataError(f"received type {type(given).__name__} without rows, expected one a time step.")
    series = reading.pop("series", None)
    id = reading.pop("id", None) or (ID_NAME if ID_NAME in (*frame.columns, *frame.index.names) else None)
    called = reading.pop("name", None)
    if id is not None:
        ids = frame.reset_index()[id] if id in frame.index.names else frame.get(id, pd.Series(dtype=object))
        require_hashable(ids, called or "frame")
        distinct = ids.unique()
        # One series alone is called by its id.
        name = str(distinct[0]) if len(distinct) == 1 else "frame" if series is None else str(series)
        return long_frame(frame, name=called or name, id=id, series=series, season=season, **reading)
    name = called or name
    if series is not None:
        reading["target"] = str(series)
    if _is_wide(frame, name, reading):
        return panel_from_frame(frame, name=called or "frame", season=season, **reading)
    return long_frame(frame, name=name, season=season, **reading)


def _says(value: Any) -> bool:
    """Whether an option of reading asks for anything."""
    return not isinstance(value, str | bool | int | tuple | list | None) or bool(value)


def _of_name(given: str | os.PathLike[str], season: int | None, reading: dict[str, Any]) -> Series | Panel:
    """A built-in series by its name, or a file by its path."""
    if isinstance(given, str) and given in BUILT_INS:
        if reading:
            raise DataError(
                "received ", *joined(reading), f" with the built-in series {given!r}, expected them with a file."
            )
        return load_series(given)
    if isinstance(given, str) and not Path(given).suffix and not os.path.exists(given):
        raise DataError(
            f"received {given!r}, which is no file here and no built-in series; expected one of {', '.join(BUILT_INS)}"
            ", a path, or a DataFrame."
        )
    return read_file(Path(given), season=season, **reading)


def _is_wide(frame: pd.DataFrame, name: str, reading: Mapping[str, Any]) -> bool:
    """Whether a frame without ids holds several series, one a column."""
    if reading.get("target") is not None or "y" in frame.columns:
        return False
    roles = {key: reading[key] for key in ("time", "features", "future", "static") if key in reading}
    return len(Roles.find(frame, name, every_number=True, **roles).targets) > 1


def frame_of(given: Any) -> tuple[pd.DataFrame, str]:
    """A pandas frame, whose columns are text, of what holds one; and the name of its series."""
    if isinstance(given, pd.Series):
        name = "y" if given.name is None else str(given.name)
        frame = given.rename(name).to_frame()
    else:
        frame, name = _pandas(given), "series"
    twice = frame.columns.astype(str).duplicated()
    if twice.any():
        raise DataError(f"received several columns {str(frame.columns[twice][0])!r}, expected names that differ.")
    frame = frame.set_axis(frame.columns.astype(str), axis=1)
    if len(frame.select_dtypes("complex").columns):
        raise DataError(_COMPLEX)
    return _with_dates(frame), name if name != "y" else "series"


def _with_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with what counts its rows among its columns, where its index holds that and is none of dates."""
    index = frame.index
    if index.nlevels == 2 and list(index.names) == [None, None]:
        return frame.rename_axis([ID_NAME, "ds"])
    if index.nlevels > 1 or isinstance(index, pd.DatetimeIndex | pd.PeriodIndex) or index.name == ID_NAME:
        return frame
    plain = pd.api.types.is_integer_dtype(index) and len(index) and (np.asarray(index) == np.arange(len(index))).all()
    if plain or any(str(column).lower() in TIME_NAMES for column in frame.columns):
        return frame.reset_index(drop=True)
    return frame.rename_axis("ds").reset_index()


def _pandas(given: Any) -> pd.DataFrame:
    """A pandas frame of another library's frame, of columns in a dict, of rows with names, or of numbers."""
    if is_frame(given):
        return as_pandas(given)
    if isinstance(given, Mapping):
        try:
            return pd.DataFrame(dict(given))
        except ValueError as error:
            raise DataError(
                f"received a dict of columns that make no frame ({error}), expected equal lengths."
            ) from error
    dicts = isinstance(given, Sequence) and len(given) and all(isinstance(row, Mapping) for row in given)
    if dicts or (isinstance(given, np.ndarray) and given.dtype.names):
        return pd.DataFrame(given)
    return _of_numbers(given)


def _of_numbers(given: Any) -> pd.DataFrame:
    """A frame of an array or a list: its rows are time steps, its columns series."""
    expected = f"received type {type(given).__name__}, expected {TAKEN}."
    if given is None or isinstance(given, bytes | set | int | float | complex) or callable(given):
        raise DataError(expected)
    if not isinstance(given, Sequence) and not hasattr(given, "__array__"):
        raise DataError(expected)
    # A tensor that is trained, or on a GPU, gives no array by itself.
    given = given.detach().cpu() if hasattr(given, "detach") else given
    try:
        values = np.asanyarray(given)
        if np.iscomplexobj(values):
            raise DataError(_COMPLEX)
        values = np.asarray(np.ma.filled(values.astype("float64"), np.nan))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"received type {type(given).__name__} of other things than numbers ({error}), expected {TAKEN}."
        ) from error
    if values.ndim not in (1, 2) or not values.size:
        raise DataError(
            f"received an array of shape {values.shape}, expected (time,), or (time, series) for several series."
        )
    if values.ndim == 1 or values.shape[1] == 1:
        return pd.DataFrame({"y": values.ravel()})
    return pd.DataFrame(values, columns=[f"series_{number}" for number in range(values.shape[1])])
