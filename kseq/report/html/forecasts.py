"""Forecasts of a run as charts: the series with all rows, errors by season, and agreement with the past."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kseq.errors import ConfigError
from kseq.report.html.charts import lines
from kseq.report.html.interactive import Interactive
from kseq.report.html.page import Chart

if TYPE_CHECKING:
    from kseq.comparison.tables import Tables

#: Points of a forecast that are drawn: the last ones.
LAST = 2_000
#: Series of several that are drawn.
DRAWN = 4
#: Lags of the picture of shifts.
SHIFTS = 6
_SEED = re.compile(r"^(?P<model>.*) \(seed -?\d+\)$")
_MEAN = re.compile(r"^(?P<model>.*) x\d+ mean$")
#: Columns of bounds: the row's name, the side and the level.
BOUND = re.compile(r"^(?P<model>.*)-(?P<side>lo|hi)-(?P<level>[\d.]+)$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Forecasts:
    """The forecasts of a run, a column a row: the mean over seeds where a cell has several.

    Args:
        frame: ``unique_id, ds, cutoff, y`` and a column a row.
        bands: Bounds by row and level.
        step: Step of each forecast after its cutoff, from 1.
    """

    def __init__(
        self, frame: pd.DataFrame, bands: dict[str, dict[float, tuple[np.ndarray, np.ndarray]]], step: np.ndarray
    ):
        self.frame, self.bands, self.step = frame, bands, step
        self.models = [name for name in frame if name not in ("unique_id", "ds", "cutoff", "y")]

    @classmethod
    def of(cls, predictions: pd.DataFrame | None) -> "Forecasts | None":
        """Take a run's forecasts apart; None where it kept none."""
        if predictions is None or not len(predictions):
            return None
        known = [name for name in ("unique_id", "ds", "cutoff") if name in predictions]
        parts: dict[str, list[str]] = {}
        bounds: dict[str, dict[float, dict[str, np.ndarray]]] = {}
        for name in predictions.columns.drop([*known, "y"]):
            bound, seed = BOUND.match(name), _SEED.match(name)
            if bound is not None:
                own = bounds.setdefault(bound["model"], {}).setdefault(float(bound["level"]), {})
                own[bound["side"]] = predictions[name].to_numpy(float)
            elif predictions[name].notna().any():
                parts.setdefault(seed["model"] if seed is not None else name, []).append(name)
        for name in list(parts):
            # The line of a cell is the mean over its seeds already.
            own_mean = _MEAN.match(name)
            if own_mean is not None and own_mean["model"] in parts:
                del parts[name]
                if name in bounds:
                    bounds[own_mean["model"]] = bounds.pop(name)
        means = {model: predictions[names].to_numpy(float).mean(axis=1) for model, names in parts.items()}
        frame = predictions[[*known, "y"]].assign(**means)
        frame["ds"] = dates_of(frame["ds"])
        bands = {
            model: {level: (own["lo"], own["hi"]) for level, own in levels.items() if len(own) == 2}
            for model, levels in bounds.items()
            if model in means
        }
        keys = [name for name in ("unique_id", "cutoff") if name in frame]
        step = frame.groupby(keys, sort=False).cumcount().to_numpy() + 1 if keys else np.ones(len(frame), int)
        return cls(frame, bands, step)

    @property
    def first(self) -> np.ndarray:
        """Whether each forecast is the first of its window."""
        return self.step == 1

    def charts(
        self,
        record: Mapping[str, Any],
        table: pd.DataFrame,
        by_series: pd.DataFrame | None,
        ids: Sequence[str] | None = None,
    ) -> list[Chart]:
        """Draw the series of some names; by default a few, from the best forecast to the worst."""
        on, wide = shown_at_first(record, table), self._with_bands(record, table)
        dated = pd.api.types.is_datetime64_any_dtype(self.frame["ds"])
        found = []
        for name in self._ids(table, by_series) if ids is None else ids:
            which = (self.frame["unique_id"] == name) & self.first if "unique_id" in self.frame else self.first
            rows = np.flatnonzero(which)[-LAST:]
            part = self.frame.iloc[rows]
            bands = {}
            if wide is not None:
                bands = {wide: [(lo[rows], hi[rows]) for lo, hi in self.bands[wide].values()]}
            steps = f", first of {self.step.max()} steps" if self.step.max() > 1 else ""
            found.append(
                lines(
                    f"{name}{steps}",
                    pd.Index(part["ds"]),
                    {model: part[model].to_numpy() for model in self.models},
                    "" if dated else "ds",
                    unit_of(record, str(name)),
                    on=on,
                    actual=part["y"].to_numpy(),
                    bands=bands,
                    note="Drag over a part, or press +, to zoom in; All shows everything again."
                    + (f" Shaded: intervals of {wide}." if wide is not None else ""),
                )
            )
        return found

    def _with_bands(self, record: Mapping[str, Any], table: pd.DataFrame) -> str | None:
        """The row whose intervals are drawn: the best cell that has them, or None."""
        cells = table[table["kind"] == "cell"].sort_values(measure_of(record, table)) if "kind" in table else table[:0]
        return next((model for model in cells["model"] if model in self.bands), None)

    def _ids(self, table: pd.DataFrame, by_series: pd.DataFrame | None) -> list[Any]:
        """Which series are drawn: one, or some from the one that the best row forecasts best to the worst."""
        if "unique_id" not in self.frame:
            return ["forecasts"]
        ids = list(dict.fromkeys(self.frame["unique_id"]))
        if by_series is None or len(ids) <= DRAWN:
            return ids[:DRAWN]
        best = table.sort_values("mase")["model"].iloc[0]
        own = by_series[by_series["model"] == best].sort_values("mase")["unique_id"]
        return [own.iloc[place] for place in np.unique(np.linspace(0, len(own) - 1, DRAWN).astype(int))]

    def by_season(self, record: Mapping[str, Any], on: list[str] | None) -> list[Chart]:
        """Draw the mean absolute error by month of the year or hour of the day, where dates tell it."""
        dates = self.frame["ds"]
        one = "unique_id" not in self.frame or len(self.frame["unique_id"].unique()) == 1
        if not one or not pd.api.types.is_datetime64_any_dtype(dates):
            return []
        errors = self.frame[self.models].sub(self.frame["y"], axis=0).abs()
        if len(dates.dt.hour.unique()) >= 12:
            part, what, names = dates.dt.hour, "hour of the day", None
        elif len(dates.dt.month.unique()) == 12 and len(dates.dt.year.unique()) > 1:
            part, what, names = dates.dt.month, "month of the year", _MONTHS
        else:
            return []
        means = errors.groupby(part.to_numpy()).mean()
        unit = record["series"].get("unit") or ""
        chart = lines(
            f"Mean absolute error by {what}", means.index.to_numpy(), {m: means[m].to_numpy() for m in self.models},
            what, f"MAE, {unit}" if unit else "MAE", on=on,
        )  # fmt: skip
        if names is not None:
            chart.figure.xaxis.ticker = list(range(1, 13))
            chart.figure.xaxis.major_label_overrides = dict(enumerate(names, 1))
        return [chart]

    def shifts(self, on: list[str] | None) -> list[Chart]:
        """Draw how well forecasts agree with the truth some steps earlier."""
        first = self.frame[self.first]
        if "unique_id" in first:
            first = first[first["unique_id"] == first["unique_id"].iloc[0]]
        if len(first) < 4 * SHIFTS:
            return []
        y = first["y"].to_numpy()
        curves = {}
        for model in self.models:
            forecast = first[model].to_numpy()
            with np.errstate(invalid="ignore", divide="ignore"):
                own = [np.corrcoef(forecast[lag:], y[: len(y) - lag])[0, 1] for lag in range(SHIFTS + 1)]
            if np.isfinite(own).all():
                curves[model] = np.array(own)
        if not curves:
            return []
        note = (
            "A forecast that only repeats the last value agrees best with the truth one step earlier: its line is "
            "highest at 1, as that of persistence is. So is that of the best forecast of a series in which nothing but "
            "the last value says what comes: the section Beware names rows that could do better."
        )
        return [
            lines("Correlation of forecasts with the truth so many steps earlier", np.arange(SHIFTS + 1), curves,
                  "steps earlier", "correlation", note=note, on=None if on is None else [*on, "Persistence"])
        ]  # fmt: skip


def interactive_of(comparison: "Tables", ids: Sequence[Any] | None = None) -> Interactive:
    """Make the charts of a comparison's forecasts for a notebook.

    Args:
        comparison: The result.
        ids: Names of the series to draw; None for a few, from the best forecast to the worst.

    Raises:
        ConfigError: A series is not among those that are forecast.
    """
    forecasts = Forecasts.of(comparison.predictions)
    assert forecasts is not None
    known = list(dict.fromkeys(forecasts.frame["unique_id"]))
    wrong = [one for one in ids or () if str(one) not in known]
    if wrong:
        raise ConfigError(f"received series {wrong[0]!r}, expected one of the {len(known)} that are forecast.")
    by_series = comparison.by_series if comparison.several else None
    charts = forecasts.charts(
        comparison.record, comparison.table, by_series, None if ids is None else list(map(str, ids))
    )
    return Interactive(f"{comparison.data.series.name}: forecasts of the test part", charts)


def measure_of(record: Mapping[str, Any], frame: pd.DataFrame) -> str:
    """The column by which rows are ranked, of those that a frame has."""
    measure = str(record.get("metric") or "mae")
    return measure if measure in frame else "mase" if "mase" in frame and "mae" not in frame else "mae"


def shown_at_first(record: Mapping[str, Any], table: pd.DataFrame) -> list[str] | None:
    """Names of the rows that charts show at first: cells and the best baseline; of no cells the four best rows."""
    cells = list(table["model"][table["kind"].isin(["cell", "model"])]) if "kind" in table else []
    best = record.get("best_baseline")
    if cells:
        return [*cells, *([best] if best is not None else [])]
    measure = measure_of(record, table)
    return list(table.sort_values(measure)["model"][:4]) if measure in table else None


def dates_of(values: pd.Series) -> pd.Series:
    """Dates where they are such, in UTC's clock; numbers stay."""
    if values.dtype == object or pd.api.types.is_string_dtype(values):
        aware = values.astype(str).str.contains(r"[+-]\d\d:\d\d$").any()
        try:
            # With a time of day and without one, side by side.
            return pd.to_datetime(values, utc=aware, format="ISO8601").dt.tz_localize(None)
        except (ValueError, TypeError):
            return pd.Series(np.arange(len(values)), index=values.index)
    return values


def unit_of(record: Mapping[str, Any], name: str = "") -> str:
    """The target with its unit, for an axis: of several that which a series is named after, or the first."""
    targets = record["series"]["targets"]
    unit = record["series"].get("unit") or ""
    target = next((one for one in targets if name.endswith(f"/{one}")), targets[0])
    return f"{target}, {unit}" if unit else str(target)
