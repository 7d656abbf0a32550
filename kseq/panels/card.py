"""What a model of many series is, besides its weights: as :mod:`kseq.modelcard`, with a scale for each series.

Numbers of which there are as many as series or rows are kept as arrays, one after the other in one piece of bytes, and
JSON says of which shape each is. So a file of ten thousand series is read as fast as one of three.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from kseq.calendars import cycles_in
from kseq.inputs import encoded
from kseq.modelcard import Card, common_from_json, common_to_json, named_zone, names, require_going_on, typed
from kseq.panels.parts import PanelScaler
from kseq.data.slices import dates_of
from kseq.panels.transforms import FittedPanelTransform, PanelTrend
from kseq.panels.windows import panel_columns
from kseq.parts import Scaler
from kseq.seasons import Cycle
from kseq.data import Calendar, Panel
from kseq.storage import plain
from kseq.transforms import Anomaly, Difference, FittedTransform, Log, Step

#: Arrays of a card in the order in which they are kept, and their kinds of numbers.
ARRAYS = {
    "borders": "<i8", "ends": "<i8", "dates": "<i8", "which": "<i4", "values": "<f4", "gaps": "<i8", "sizes": "<i8",
    "lengths": "<i8", "unit": "<f8", "static": "<f8", "static_center": "<f8", "static_scale": "<f8",
    "input_center": "<f8", "input_scale": "<f8", "target_center": "<f8", "target_scale": "<f8", "phase": "<i4",
    "means": "<f8", "trend_start": "<f8", "trend_slope": "<f8",
}  # fmt: skip

#: Fields of the context that are texts.
_TEXTS = ("name", "unit", "source")


@dataclass(frozen=True, eq=False)
class PanelCard(Card):
    """What a model of a panel is, and what turns rows of its series into forecasts.

    Half-widths are in the unit of each series. Scores are errors in units of what repeating the last season
    misses in the same series, averaged over series (MASE).

    Args:
        context: the last rows of each series that it was trained on, and what is known ahead.
        lengths: rows of each of them, ``(series,)``.
        unit: in which errors of each series are counted, ``(series, targets)``; see
            :attr:`kseq.panels.windows.WindowedPanel.unit`.
        static_scaler: scale of static covariates.
    """

    input_scaler: PanelScaler
    target_scaler: PanelScaler
    context: Panel
    lengths: np.ndarray
    unit: np.ndarray
    static_scaler: Scaler

    @property
    def last(self) -> Any:
        """Date of the last row that it was trained on, or its number where there are no dates."""
        return self.context.index[self.context.ends - 1].max()

    @property
    def anomaly(self) -> Anomaly | None:
        """The step of the transform that knows a season; None where there is none."""
        steps = self.transform.steps if self.transform else ()
        return next((step for step in steps if isinstance(step, Anomaly)), None)

    @property
    def trend(self) -> PanelTrend | None:
        """The step of the transform that knows a line for each series; None where there is none."""
        steps = self.transform.steps if self.transform else ()
        return next((step for step in steps if isinstance(step, PanelTrend)), None)

    @property
    def cycles(self) -> tuple[str, ...]:
        """Cycles of the calendar that the model reads, see :mod:`kseq.calendars`."""
        return cycles_in(self.input_columns) if self.settings["calendar"] else ()

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers that JSON does not hold, by the names of :data:`ARRAYS`."""
        panel, anomaly, trend, index = self.context, self.anomaly, self.trend, self.context.index
        which, dates = pd.factorize(index.asi8 if isinstance(index, pd.DatetimeIndex) else index.to_numpy(), sort=True)
        static = [
            values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else values
            for _, values in panel.static.items()
        ]
        none = np.empty(0)
        found = {
            "borders": panel.borders, "ends": panel.ends, "dates": dates, "which": which, "values": panel.values,
            "gaps": panel.calendar.gaps, "sizes": panel.calendar.sizes, "lengths": self.lengths,
            "unit": self.unit,
            "static": np.column_stack(static) if static else np.empty((len(panel.ids), 0)),
            "static_center": self.static_scaler.center, "static_scale": self.static_scaler.scale,
            "input_center": self.input_scaler.center, "input_scale": self.input_scaler.scale,
            "target_center": self.target_scaler.center, "target_scale": self.target_scaler.scale,
            "phase": none if anomaly is None else anomaly.cycle.phase % anomaly.cycle.season,
            "means": none if anomaly is None else anomaly.means,
            "trend_start": none if trend is None else trend.start,
            "trend_slope": none if trend is None else trend.slope,
        }  # fmt: skip
        return {name: np.ascontiguousarray(found[name], dtype=kind) for name, kind in ARRAYS.items()}

    def to_json(self) -> dict[str, Any]:
        """What of the card JSON can hold: the rest is :meth:`arrays`, of which it has the shapes."""
        panel, calendar, index = self.context, self.context.calendar, self.context.index
        transform = self.transform
        return plain({
            **common_to_json(self),
            "input_columns": self.input_columns,
            "transform": None if transform is None else {
                "steps": [step.name for step in transform.steps], "changes": transform.changes,
                "season": 1 if self.anomaly is None else self.anomaly.cycle.season,
            },
            "panel": {
                **{name: getattr(panel, name) for name in _TEXTS},
                # Ids that are neither text nor numbers, such as dates, are kept as text.
                "ids": [id if isinstance(id, str | int | float) else str(id) for id in panel.ids.tolist()],
                "targets": panel.targets, "features": panel.features,
                "future": panel.future,
                "dates": {"time_zone": named_zone(index), "precision": index.unit, "name": index.name}
                if isinstance(index, pd.DatetimeIndex) else None,
                "calendar": {name: getattr(calendar, name) for name in ("words", "alias", "season")},
                "static": {
                    column: values.cat.categories.tolist() if isinstance(values.dtype, pd.CategoricalDtype) else None
                    for column, values in panel.static.items()
                },
            },
            "arrays": {name: array.shape for name, array in self.arrays().items()},
        })  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any], data: bytes) -> "PanelCard":
        """Make a card of JSON and of the bytes of its arrays.

        Raises:
            KeyError, TypeError, ValueError, KseqError: the content is no card.
        """
        arrays = _arrays(content["arrays"], data)
        panel, count = content["panel"], len(arrays["lengths"])
        targets, features, future = (names(panel[role]) for role in ("targets", "features", "future"))
        ids = pd.Index(typed(panel["ids"], list))
        borders, ends = arrays["borders"], arrays["ends"]
        _require(borders.shape == (count + 1,) and ends.shape == (count,) and count > 0 and len(ids) == count)
        _require(ids.is_unique and borders[0] == 0 and borders[-1] == len(arrays["values"]))
        _require(bool((borders[:-1] < ends).all() and (ends <= borders[1:]).all()))
        _require(arrays["values"].shape[1:] == (len(dict.fromkeys([*targets, *features, *future])),))
        static = _static(panel["static"], arrays["static"], ids)
        context = Panel(
            ids=ids, borders=borders, index=_index(panel["dates"], arrays), values=arrays["values"],
            targets=targets, features=features, future=future, static=static, ends=ends,
            calendar=_calendar(panel["calendar"], arrays), fill="mask",
            **{name: typed(panel[name], str) for name in _TEXTS},
        )  # fmt: skip
        input_columns = names(content["input_columns"])
        card = cls(
            **common_from_json(content, len(targets)),
            input_columns=input_columns,
            input_scaler=_scaler(arrays, "input", (count, len(input_columns) - len(encoded(static).columns))),
            target_scaler=_scaler(arrays, "target", (count, len(targets))),
            static_scaler=Scaler(**vars(_scaler(arrays, "static", (len(encoded(static).columns),)))),
            transform=_transform(content["transform"], context, arrays),
            context=context,
            lengths=arrays["lengths"],
            unit=arrays["unit"],
        )
        _require(card.unit.shape == (count, len(targets)) and bool(np.isfinite(card.unit).all()))
        settings = card.settings
        _require(bool(card.cycles) == bool(settings["calendar"]))
        dates = [f"{cycle} ({side})" for cycle in card.cycles for side in ("sin", "cos")]
        expected = panel_columns(context, card.horizon, bool(settings["past_target"]), dates)
        _require(input_columns == expected and min(card.lookback, card.horizon, card.season) > 0)
        longest = int((context.ends - context.borders[:-1]).argmax())
        own = context.index[context.borders[longest] : context.ends[longest]]
        _require(len(own) > 1 or not context.has_dates)
        require_going_on(card.freq, own)
        return card


def _arrays(shapes: Mapping[str, Any], data: bytes) -> dict[str, np.ndarray]:
    """Arrays out of one piece of bytes, which they fill."""
    arrays, first = {}, 0
    for name, kind in ARRAYS.items():
        shape = tuple(typed(length, int) for length in typed(shapes[name], list))
        _require(min(shape, default=0) >= 0)
        size = prod(shape)
        arrays[name] = np.frombuffer(data, kind, size, first).reshape(shape) if size else np.empty(shape, kind)
        first += size * np.dtype(kind).itemsize
    _require(first == len(data))
    return arrays


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("its parts do not belong together")


def _index(dates: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray]) -> pd.Index:
    which, values = arrays["which"], arrays["dates"]
    _require(which.shape == (len(arrays["values"]),) and bool(((which >= 0) & (which < len(values))).all()))
    if dates is None:
        return pd.Index(values[which])
    return dates_of(values[which], typed(dates["precision"], str), dates["time_zone"], dates["name"])


def _calendar(content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Calendar:
    gaps, rows = arrays["gaps"], len(arrays["values"])
    _require(gaps.shape == arrays["sizes"].shape and bool(((gaps > 0) & (gaps < rows)).all()))
    words, alias = (typed(content[name], str) for name in ("words", "alias"))
    return Calendar(words, alias, typed(content["season"], int), gaps, arrays["sizes"])


def _static(columns: Mapping[str, Any], values: np.ndarray, ids: pd.Index) -> pd.DataFrame:
    _require(values.shape == (len(ids), len(columns)))
    static = {}
    for (column, categories), numbers in zip(columns.items(), values.T, strict=True):
        if categories is None:
            static[column] = pd.Series(numbers, ids)
        else:
            codes = pd.Categorical.from_codes(numbers.astype(int), names(categories))
            static[column] = pd.Series(codes, ids)
    return pd.DataFrame(static, index=ids)


def _scaler(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> PanelScaler:
    center, scale = arrays[f"{name}_center"], arrays[f"{name}_scale"]
    _require(center.shape == scale.shape == shape and bool(np.isfinite(center).all() and np.isfinite(scale).all()))
    if not scale.all():
        raise ValueError("a scale is zero")
    return PanelScaler(center, scale)


def _transform(
    content: Mapping[str, Any] | None, context: Panel, arrays: Mapping[str, np.ndarray]
) -> FittedTransform | None:
    if content is None:
        return None
    steps: list[Step] = []
    for name in names(content["steps"]):
        if name == Anomaly.name:
            season, phase, means = typed(content["season"], int), arrays["phase"], arrays["means"]
            _require(season > 1 and phase.shape == (len(context),))
            _require(means.shape == (season * len(context.ids), len(context.targets)))
            _require(bool((phase >= 0).all() and (phase < season).all() and np.isfinite(means).all()))
            # In a panel phases count on from series to series.
            begin = season * np.repeat(np.arange(len(context.ids)), np.diff(context.borders))
            steps.append(Anomaly(Cycle(season, phase + begin), means))
        elif name == PanelTrend.name:
            start, slope = arrays["trend_start"], arrays["trend_slope"]
            _require(start.shape == slope.shape == (len(context.ids), len(context.targets)))
            _require(bool(np.isfinite(start).all() and np.isfinite(slope).all()))
            steps.append(PanelTrend(context.index, context.borders, start, slope))
        else:
            steps.append({Log.name: Log, Difference.name: Difference}[name]())
    return FittedPanelTransform(tuple(steps), typed(content["changes"], bool))
