"""Anyone's forecasts in one form: a long frame of ``unique_id, ds, cutoff, y`` and, by model, a column a seed.

Read are the frames of statsforecast, neuralforecast and utilsforecast (``unique_id, ds, [cutoff], [y], MODEL...``),
those of skforecast (dates as index, ``[level], fold, pred``), time series of darts and their quantiles
(``sales_q0.100``), and what pandas writes of them as CSV. Seeds are columns ``MODEL (seed 3)`` or a column ``seed``,
bounds columns ``MODEL-lo-95`` and ``MODEL-hi-95``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kseq.errors import DataError
from kseq.text import listed

IDS, DATES, TRUTH = (
    ("unique_id", "series_id", "item_id", "level", "id"),
    ("ds", "date", "datetime", "timestamp", "time", "index", "Unnamed: 0", ""),
    ("y", "actual", "y_true"),
)

_SEED = re.compile(r"(?P<model>.+) \(seed (?P<seed>\d+)\)")
#: Columns of quantiles, as darts names them: the series, ``_q`` and the share below.
_QUANTILE = re.compile(r"(?P<model>.+)_q(?P<share>0\.\d+)")
#: Numbers of rows, as pandas calls the column that it writes of them and the index that it puts back.
_NUMBERED = re.compile(r"Unnamed: \d+|index|level_\d+")
_BOUND = re.compile(r"(?P<model>.+)-(?P<side>lo|hi)-(?P<level>\d+(\.\d+)?)")


@dataclass
class Forecasts:
    """Forecasts of several models at the same points.

    Args:
        frame: ``unique_id, ds, cutoff, y`` and all columns that are named below; ``cutoff`` and ``y`` may be missing.
        seeds: Columns of each model by seed; -1 for a model without seeds.
        bounds: Columns of each model's intervals by level, lower and upper; of a seed by ``MODEL (seed 3)``.
        notes: Sentences on what was left out.
    """

    frame: pd.DataFrame
    seeds: dict[str, dict[int, str]]
    bounds: dict[str, dict[float, dict[str, str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_forecasts(given: Any) -> Forecasts:
    """Bring forecasts into one form.

    Args:
        given: A frame; a darts ``TimeSeries`` or a list of them; or ``{name: frame}``, one of each model.

    Raises:
        DataError: No dates or no column of forecasts, or a point stands twice.

    Example:
        >>> frame = pd.DataFrame({"unique_id": "a", "ds": [1, 2], "y": [1.0, 2.0], "Naive": [0.5, 1.0]})
        >>> read_forecasts(frame).seeds
        {'Naive': {-1: 'Naive'}}
    """
    if isinstance(given, Mapping):
        parts = [_named(_frame_of(value), str(name)) for name, value in given.items()]
        frame = parts[0]
        for part in parts[1:]:
            keys = [key for key in ("unique_id", "ds", "cutoff") if key in frame and key in part]
            frame = frame.merge(part.drop(columns="y", errors="ignore") if "y" in frame else part, on=keys, how="outer")
        return _sorted_out(frame)
    return _sorted_out(_plain(_frame_of(given)))


def _frame_of(given: Any) -> pd.DataFrame:
    """A frame of what other packages return."""
    if isinstance(given, pd.DataFrame):
        return given
    if isinstance(given, pd.Series):
        return given.to_frame(given.name or "forecast")
    if hasattr(given, "to_dataframe"):
        return given.to_dataframe()
    if isinstance(given, Sequence) and given and all(hasattr(one, "to_dataframe") for one in given):
        return pd.concat([one.to_dataframe().assign(fold=number) for number, one in enumerate(given)])
    raise DataError(f"received {type(given).__name__} for forecasts, expected a frame or {{name: forecasts}}.")


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame with columns ``unique_id`` and ``ds``, and ``cutoff`` where it or folds are known."""
    if "ds" not in frame and not isinstance(frame.index, pd.RangeIndex):
        levels = frame.index.nlevels
        unnamed = ["ds"] if levels == 1 else ["unique_id", "ds", "cutoff", *(f"level_{at}" for at in range(3, levels))]
        names = [name or other for name, other in zip(frame.index.names, unnamed, strict=False)]
        frame = frame.rename_axis(index=names).reset_index()
    elif "unique_id" in frame.index.names:
        frame = frame.reset_index()
    # A copy in one piece: files of many seeds have hundreds of columns, and pandas warns of those in as many pieces.
    frame = frame.reset_index(drop=True).copy()
    frame = frame.rename(columns={name: str(name) for name in frame.columns})
    found = {
        known: next((name for name in names if name in frame.columns), None)
        for known, names in (("unique_id", IDS), ("ds", DATES), ("y", TRUTH))
    }
    if found["ds"] is None:
        raise DataError(f"received columns {listed(list(frame.columns))}, expected one of dates, ds, among them.")
    frame = frame.rename(columns={name: known for known, name in found.items() if name is not None})
    frame = frame.assign(unique_id=frame["unique_id"].astype(str) if "unique_id" in frame else "series")
    for name in ("ds", "cutoff"):
        if name in frame and not pd.api.types.is_numeric_dtype(frame[name]):
            try:
                frame[name] = as_dates(frame[name])
            except (TypeError, ValueError) as error:
                raise DataError(f"received {name} that does not read as dates ({error}), expected dates.") from error
    return frame


def as_dates(values: pd.Series) -> pd.Series:
    """Dates of text, of periods or of dates; in UTC where a zone's clock was changed between them.

    Example:
        >>> as_dates(pd.Series(["2024-03-30 00:00:00+01:00", "2024-04-01 00:00:00+02:00"])).iloc[1]
        Timestamp('2024-03-31 22:00:00+0000', tz='UTC')
    """
    if hasattr(values.dtype, "freq"):
        return values.dt.to_timestamp()
    try:
        return pd.to_datetime(values)
    except ValueError as error:
        if "timezones" not in str(error):
            raise
        return pd.to_datetime(values, utc=True)


def _named(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A frame of one model whose only column of forecasts has the model's name."""
    frame = _plain(frame)
    own = [column for column in _models(frame) if not _BOUND.fullmatch(column)]
    return frame.rename(columns={own[0]: name}) if len(own) == 1 else frame


def _models(frame: pd.DataFrame) -> list[str]:
    """Columns that may be forecasts."""
    kept = ("unique_id", "ds", "cutoff", "y", "seed", "fold", "lower_bound", "upper_bound")
    numeric = frame.select_dtypes("number").columns
    return [name for name in frame.columns if name not in kept and name in numeric and not _NUMBERED.fullmatch(name)]


def _sorted_out(frame: pd.DataFrame) -> Forecasts:
    """Tell models, seeds and bounds apart."""
    notes = []
    if "seed" in frame:
        keys = [name for name in ("unique_id", "ds", "cutoff", "y", "fold") if name in frame]
        wide = frame.pivot_table(index=keys, columns="seed", values=_models(frame), dropna=False, observed=True)
        wide = wide.dropna(how="all")
        wide.columns = [_of_seed(str(name), int(seed)) for name, seed in wide.columns]
        frame = wide.reset_index()
    if "lower_bound" in frame:
        notes.append("Bounds without a level (lower_bound, upper_bound) are left out.")
    keys = [name for name in ("unique_id", "ds", "cutoff", "fold") if name in frame]
    twice = frame.duplicated(keys)
    if twice.any():
        first = frame[twice].iloc[0]
        raise DataError(
            f"received {int(twice.sum())} points twice (first: {first['unique_id']}, {first['ds']}), expected each "
            "once for each cutoff; bring a column cutoff."
        )
    seeds: dict[str, dict[int, str]] = {}
    bounds: dict[str, dict[float, dict[str, str]]] = {}
    frame = frame.rename(columns=_of_quantiles(_models(frame)))
    columns = _models(frame)
    for name in columns:
        if found := _BOUND.fullmatch(name):
            bounds.setdefault(found["model"], {}).setdefault(float(found["level"]), {})[found["side"]] = name
        elif found := _SEED.fullmatch(name):
            seeds.setdefault(found["model"], {})[int(found["seed"])] = name
        else:
            # Medians of quantile networks are their forecasts.
            model = name.removesuffix("-median") if name.removesuffix("-median") not in columns else name
            seeds.setdefault(model, {})[-1] = name
    if not seeds:
        raise DataError("received no column of forecasts, expected one of numbers a model.")
    bounds = {name: {level: pair for level, pair in levels.items() if len(pair) == 2}
              for name, levels in bounds.items() if name in _bounded(seeds)}  # fmt: skip
    return Forecasts(frame, seeds, bounds, notes)


def _bounded(seeds: Mapping[str, Mapping[int, str]]) -> set[str]:
    """What bounds are called after: models and their seeds."""
    return {f"{model} (seed {seed})" if seed >= 0 else model for model, own in seeds.items() for seed in own}


def _of_quantiles(columns: Sequence[str]) -> dict[str, str]:
    """New names for quantiles of darts: the median is its series' forecast, the others are bounds around it.

    Example:
        >>> _of_quantiles(["sst_q0.100", "sst_q0.500", "sst_q0.900"])
        {'sst_q0.100': 'sst-lo-80', 'sst_q0.500': 'sst', 'sst_q0.900': 'sst-hi-80'}
    """
    found = {name: _QUANTILE.fullmatch(name) for name in columns}
    shares = {(own["model"], float(own["share"])): name for name, own in found.items() if own}
    named = {}
    for (model, share), name in shares.items():
        if (model, 0.5) not in shares or (model in columns):
            continue
        level = f"{round(100 * abs(1 - 2 * share), 6):g}"
        named[name] = model if share == 0.5 else f"{model}-{'lo' if share < 0.5 else 'hi'}-{level}"
    return named


def _of_seed(name: str, seed: int) -> str:
    """What a column of a seed is called: the seed stands behind the model, before the side of a bound."""
    bound = _BOUND.fullmatch(name)
    if bound is None:
        return f"{name} (seed {seed})"
    return f"{bound['model']} (seed {seed})-{bound['side']}-{bound['level']}"


def shared_points(forecasts: Forecasts) -> Forecasts:
    """Keep the points whose truth is known and that all models forecast; say what that leaves out.

    A seed that forecasts less than the other seeds of its model has diverged, and is no reason to leave out a point. A
    model that forecasts fewer than half of the points is left out itself.
    """
    frame, notes, seeds = forecasts.frame, list(forecasts.notes), {}
    known = np.isfinite(frame["y"].to_numpy(float))
    if not known.all():
        notes.append(f"{(~known).sum()} of {len(frame)} points have no true value, and are left out.")
        frame = frame[known]
    if frame.empty:
        raise DataError("received no point with a true value, expected y in the forecasts or in the training file.")
    kept = np.ones(len(frame), bool)
    for model, columns in forecasts.seeds.items():
        there = np.isfinite(frame[list(columns.values())].to_numpy(float))
        some = there.any(axis=1)
        if some.mean() < 0.5:
            notes.append(f"{model} forecasts {some.sum()} of {len(frame)} points, and is left out.")
            continue
        seeds[model] = columns
        if not some.all():
            notes.append(f"{model} has no forecast for {(~some).sum()} of {len(frame)} points.")
        kept &= some
    if not seeds or not kept.any():
        raise DataError("received models that share no point, expected forecasts of the same points.")
    if not kept.all():
        notes.append(f"All rows are judged on the {kept.sum()} points that they share.")
    bounds = {name: levels for name, levels in forecasts.bounds.items() if name in _bounded(seeds)}
    return Forecasts(frame[kept], seeds, bounds, notes)
