"""From a DataFrame or a file to a panel: a Parquet file some hundred thousand rows at a time, a frame all at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kseq.errors import DataError
from kseq.data import files
from kseq.data.series import Series
from kseq.data.dates import read_dates
from kseq.data.missing import require_fill
from kseq.data._origin import remembered
from kseq.data.panel import Panel
from kseq.data.reading import read_csv, read_parquet
from kseq.data.columns import ID_NAME, Names, Roles
from kseq.data._rows import Rows

#: Fills that do not look ahead: of many series nobody can say which value a forecast could profit from.
CAUSAL_FILLS = ("ffill", "seasonal", "mask")


def read_file(
    path: str | Path, *, id: str | None = None, series: object = None, header: int = 0, **options: Any
) -> Series | Panel:
    """Read what a CSV or Parquet file holds: one series, or a panel of all where there are several.

    Args:
        path: the file.
        id: column that tells series apart; by default ``unique_id`` where there is one.
        series: the one to read of several; None for all.
        header: of a CSV file, number of the line that holds the column names.
        **options: as of :func:`kseq.read_csv`.

    Returns:
        A panel where the column of ids holds more than one; a series otherwise.

    Raises:
        DataError: as in :func:`kseq.read_csv` and :func:`read_panel`.
    """
    path = Path(path)
    if series is None and (id is not None or ID_NAME in files.columns_of(path, header)):
        panel = read_panel(path, id=id, header=header, **options)
        if len(panel.ids) > 1:
            return panel
    if files.is_parquet(path):
        return read_parquet(path, id=id, series=series, **options)
    return read_csv(path, id=id, series=series, header=header, **options)


@remembered
def read_panel(
    path: str | Path,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str | None = None,
    unit: str = "",
    *,
    header: int = 0,
    **options: Any,
) -> Panel:
    """Read many series from a CSV or Parquet file; Parquet needs pyarrow (``pip install 'kseq[parquet]'``).

    A long Parquet file is read in batches and may be larger than the memory.

    Args:
        path: the file.
        time: as in :func:`kseq.read_csv`.
        target: as in :func:`panel_from_frame`.
        features: past covariates.
        fill: as in :func:`panel_from_frame`.
        name: how to call the panel; by default the file's name.
        unit: unit of the targets.
        header: of a CSV file, number of the line that holds the column names.
        **options: ``id``, ``future``, ``static``, ``freq``, ``season`` and ``constant``, see :func:`panel_from_frame`.

    Returns:
        Panel: checked.

    Raises:
        DataError: the file or a column cannot be used; the message says what to do.

    Example:
        >>> panel = read_panel("shops.parquet", id="shop", target="sales")  # doctest: +SKIP
    """
    path = Path(path)
    name = name or path.stem
    if not files.is_parquet(path):
        return panel_from_frame(
            files.read_text(path, header), time, target, features, fill, name, unit, path.name, **options
        )
    require_fill(fill, CAUSAL_FILLS)
    table = files.ParquetTable(path)
    how = {key: options.pop(key) for key in ("freq", "season", "constant") if key in options}
    roles = _roles(table.columns, name, table.time(time), target, features, **options)
    if roles.id is None:
        frame = pd.concat(list(table.batches(roles.columns)), ignore_index=True)
        return panel_from_frame(
            frame, list(roles.time), list(roles.targets), features, fill, name, unit, path.name, **options, **how
        )
    rows = Rows(roles, len(table), name)
    for batch in table.batches(roles.columns):
        rows.add(batch)
    return rows.panel(fill, unit, path.name, **how)


def panel_from_frame(
    frame: pd.DataFrame,
    time: Names = None,
    target: Names = None,
    features: Sequence[str] = (),
    fill: str | None = None,
    name: str = "panel",
    unit: str = "",
    source: str = "",
    *,
    id: str | None = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    freq: str | None = None,
    season: int | None = None,
    constant: bool = False,
) -> Panel:
    """Make a panel of a DataFrame.

    Args:
        frame: long, with a column that tells series apart; or wide, without one: then each target column is a series,
            and all share the covariates. The rows of a series must be in order of time; series may be interleaved.
        time: as in :func:`kseq.read_csv`.
        target: columns to forecast. By default, of a long frame ``y`` or the only column of numbers that is no
            covariate; of a wide one all columns of numbers.
        features: past covariates.
        fill: None refuses missing values, ``"ffill"`` repeats the last value, ``"seasonal"`` takes the value one season
            earlier, ``"mask"`` leaves them and marks their rows. Series of a wide frame may begin late or end early.
        name: how to call the panel.
        unit: unit of the targets.
        source: where the values come from.
        id: column that tells series apart; by default ``unique_id`` where there is one.
        future: columns that are known ahead; rows at the end of a series that hold them and no target are steps to
            forecast.
        static: columns that hold one value a series.
        freq: frequency of the dates, as in :func:`kseq.from_frame`.
        season: steps in a season, for ``fill="seasonal"``.
        constant: whether a target may be constant in every series, as in rows that follow others; by default that is
            refused.

    Returns:
        Panel: checked; series sorted by id.

    Raises:
        DataError: a column cannot be used, a date is repeated or out of order, frequencies differ.

    Example:
        >>> frame = pd.DataFrame({"unique_id": list("aabb"), "y": [1.0, 2.0, 3.0, 5.0]})
        >>> panel = panel_from_frame(frame)
        >>> panel.ids.tolist(), panel.borders.tolist()
        (['a', 'b'], [0, 2, 4])
    """
    require_fill(fill, CAUSAL_FILLS)
    frame = files.with_plain_index(frame, id)
    roles = _roles(frame, name, time, target, features, id=id, future=future, static=static)
    if roles.id is None:
        frame, roles = _long(frame, roles, name)
    rows = Rows(roles, len(frame), name)
    rows.add(frame)
    return rows.panel(fill, unit, source, freq, season, constant)


def _roles(frame: pd.DataFrame, name: str, time: Names, target: Names, features: Sequence[str], **roles: Any) -> Roles:
    """Find the columns; of a frame without ids, every column of numbers is a target."""
    wide = roles.get("id") is None and ID_NAME not in frame.columns
    return Roles.find(frame, name, time=time, target=target, features=features, every_number=wide, **roles)


def _long(frame: pd.DataFrame, roles: Roles, name: str) -> tuple[pd.DataFrame, Roles]:
    """Put the series of a wide frame below one another, from their first value to their last."""
    if roles.time:
        frame = frame.set_axis(read_dates(frame, roles.time, name))
    shared = list(dict.fromkeys([*roles.features, *roles.future]))
    if roles.static or "y" in shared:
        reason = "static covariates" if roles.static else "a covariate of the name y"
        raise DataError(f"{name}: received a wide frame with {reason}, expected a long one, or another name.")
    parts = []
    for column in roles.targets:
        y = files.numbers(frame[column], name)
        known = np.flatnonzero(~np.isnan(y))
        if not len(known):
            raise DataError(
                f"{name}: column {column!r} holds no value, expected a series; leave it out of the targets."
            )
        # What is known ahead stands below the last target.
        rows = slice(known[0], len(frame) if roles.future else known[-1] + 1)
        parts.append(frame[shared].iloc[rows].assign(**{ID_NAME: column, "y": y[rows]}))
    return pd.concat(parts), Roles((), ID_NAME, ("y",), roles.features, roles.future, ())
