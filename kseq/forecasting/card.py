"""What a trained model is, besides its weights: scales, columns, half-widths of intervals, its last rows.

A :class:`ModelCard` turns rows of one or several series into what the network reads, and its outputs into forecasts. It
is plain data. Numbers of which there are as many as series or rows are kept as arrays, one after the other in one piece
of bytes, and JSON holds the rest and the shape of each: a file of ten thousand series is read as fast as one of three.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kseq._version import __version__
from kseq.data import Panel, frequency
from kseq.evaluation.intervals import too_few
from kseq.evaluation.quantiles import quantiles_at
from kseq.forecasting._card_parts import (
    ARRAYS,
    arrays_in,
    calendar_in,
    index_in,
    kinds_of,
    named_zone,
    names,
    require,
    require_going_on,
    scaler_in,
    static_in,
    transform_in,
    typed,
)
from kseq.preprocessing.autoregression import Autoregression
from kseq.preprocessing.columns import encoded
from kseq.preprocessing.scalers import Scaler
from kseq.preprocessing.steps import Anomaly, Trend
from kseq.preprocessing.time_features import cycles_in
from kseq.preprocessing.transforms import FittedTransform
from kseq.preprocessing.windows import panel_columns
from kseq.storage import plain

#: Goes up when an older kseq could not read a card. Format 1 was that of kseq 0.1.0, which had a form of its own for
#: models of one series, see :mod:`kseq.forecasting._format1`.
FORMAT = 2

#: Fields that are in JSON what they are here.
_PLAIN: dict[str, type] = {
    "name": str, "settings": dict, "seeds": list, "epochs": int, "refitted": bool, "rows": int, "first": str,
    "sha256": str, "freq": str, "step": str, "season": int, "reading": dict, "scores": dict, "backend": str,
    "versions": dict,
}  # fmt: skip

#: Fields of the context that are texts.
_TEXTS = ("name", "unit", "source")


@dataclass(frozen=True, eq=False)
class HalfWidths:
    """Half-widths of prediction intervals, for each level and step ahead.

    Args:
        levels: Percents of true values that the intervals are to cover.
        values: ``(levels, steps, targets)``, in the unit of each series, see :attr:`ModelCard.unit`; infinite where
            there were too few errors.
        errors: Number of errors that those of the first step are based on.
    """

    levels: tuple[float, ...]
    values: np.ndarray
    errors: int

    def reason(self, level: float) -> str | None:
        """Say why there is no interval of a level; None where there is one."""
        if not self.errors:
            return "the model was trained without a validation part, whose errors would bound it"
        if level not in self.levels:
            return "half-widths are kept of whole percents from 1 to 99, and of levels named when the model was fitted"
        return too_few(self.errors, level)

    def at(self, level: float, steps: int) -> np.ndarray:
        """Half-widths of one of the levels.

        Args:
            level: Percent.
            steps: Number of steps.

        Returns:
            ``(steps, targets)``, NaN where none is known.
        """
        known = self.values[self.levels.index(level), :steps]
        known = np.where(np.isfinite(known), known, np.nan)
        return np.pad(known, ((0, steps - len(known)), (0, 0)), constant_values=np.nan)


@dataclass(frozen=True, eq=False)
class ModelCard:
    """What a trained model is, besides its weights.

    Args:
        name: Name of the cell, by which its forecasts are called: ``"GRU"``.
        settings: The settings of :class:`kseq.Settings`, by name.
        seeds: Seeds of the networks whose forecasts are averaged.
        epochs: Number of epochs that it was trained.
        refitted: Whether it was trained again on all rows, once the validation part had told for how long.
        rows: Number of rows that it was trained on, of all series together.
        first: Date of the first of them, as text.
        sha256: Fingerprint of the data.
        freq: Frequency of the dates as pandas calls it; empty where they have none.
        step: The same in words.
        season: Steps in a season; 1 for none.
        reading: Options with which the file was read, by name.
        input_columns: Columns that the model reads.
        input_scaler: Scale of those that change with time, ``(series, columns)``.
        target_scaler: Scale of the targets, ``(series, targets)``.
        static_scaler: Scale of the static covariates, ``(columns,)``.
        transform: Transform of the targets, before the scale; its season knows the phases of the ``context``. None for
            none.
        half_widths: Half-widths of the intervals.
        scores: Errors on the validation part, before it was trained again, of the model and of baselines: mean absolute
            errors of one series, of several the mean over series of errors in units of what repeating the last season
            misses in the same series (MASE).
        backend: Backend that trained it.
        versions: Versions of the packages at that time.
        context: The last rows of each series that it was trained on, and what is known ahead.
        lengths: Number of rows of each of them in the training, ``(series,)``.
        unit: Unit in which errors of each series are counted, ``(series, targets)``; see
            :attr:`kseq.preprocessing.windows.WindowedPanel.unit`.
        moves: For a model of quantiles, how far the bounds of each level move outwards to cover enough, in the form of
            the half-widths; None for other models.
    """

    name: str
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    epochs: int
    refitted: bool
    rows: int
    first: str
    sha256: str
    freq: str
    step: str
    season: int
    reading: Mapping[str, Any]
    input_columns: tuple[str, ...]
    input_scaler: Scaler
    target_scaler: Scaler
    static_scaler: Scaler
    transform: FittedTransform | None
    half_widths: HalfWidths
    scores: Mapping[str, float]
    backend: str
    versions: Mapping[str, str]
    context: Panel
    lengths: np.ndarray
    unit: np.ndarray
    moves: HalfWidths | None = None

    def __repr__(self) -> str:
        series = f"{len(self.lengths):,} series, " if len(self.lengths) > 1 else ""
        reads = f"{self.lookback} rows of {len(self.input_columns)} columns to {self.settings['horizon']}"
        return f"ModelCard({self.name!r}, {series}{self.rows:,} rows learnt from; {reads})"

    @property
    def lookback(self) -> int:
        """Rows that the model reads."""
        return int(self.settings["lookback"])

    @property
    def horizon(self) -> int:
        """Rows that it forecasts at once."""
        return int(self.settings["horizon"])

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Quantiles that the network forecasts; empty where it forecasts values."""
        return quantiles_in(self.settings)

    @property
    def reach(self) -> int:
        """Rows before a forecast that it takes: those that the model reads, and what differences take besides."""
        return self.lookback + (self.transform.lost(self.lookback) if self.transform else 0)

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
    def trend(self) -> Trend | None:
        """The step of the transform that knows a line for each series; None where there is none."""
        steps = self.transform.steps if self.transform else ()
        return next((step for step in steps if isinstance(step, Trend)), None)

    @property
    def autoregression(self) -> Autoregression | None:
        """The autoregression of each series that windows are measured from; None where there is none."""
        reference = self.transform.reference if self.transform else None
        return reference if isinstance(reference, Autoregression) else None

    @property
    def cycles(self) -> tuple[str, ...]:
        """Cycles of the calendar that the model reads, see :mod:`kseq.preprocessing.time_features`."""
        return cycles_in(self.input_columns) if self.settings["calendar"] else ()

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers that JSON does not hold, by the names of :data:`ARRAYS`."""
        panel, anomaly, trend, index = self.context, self.anomaly, self.trend, self.context.index
        own = self.autoregression
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
            "ar_coefficients": none if own is None else own.coefficients, "ar_mean": none if own is None else own.mean,
        }  # fmt: skip
        return {name: np.ascontiguousarray(found[name], dtype=kind) for name, kind in ARRAYS.items()}

    def to_json(self) -> dict[str, Any]:
        """What of the card JSON can hold: the rest is :meth:`arrays`, of which it has the shapes."""
        panel, calendar, index = self.context, self.context.calendar, self.context.index
        transform = self.transform
        return plain({
            **_common_to_json(self),
            "input_columns": self.input_columns,
            "transform": None if transform is None else {
                "steps": [step.name for step in transform.steps], "changes": False, "season": transform.season,
                **({"reference": transform.reference.to_json()} if transform.reference else {}),
            },
            "panel": {
                **{name: getattr(panel, name) for name in _TEXTS},
                "ids": panel.ids.tolist(), "targets": panel.targets, "features": panel.features, "future": panel.future,
                "dates": {"time_zone": named_zone(index), "precision": index.unit, "name": index.name}
                if isinstance(index, pd.DatetimeIndex) else None,
                **({"steps": str(index.name)} if frequency.counts_steps(index) else {}),
                "calendar": {name: getattr(calendar, name) for name in ("words", "alias", "season")},
                "static": {
                    column: values.cat.categories.tolist() if isinstance(values.dtype, pd.CategoricalDtype) else None
                    for column, values in panel.static.items()
                },
            },
            "arrays": {name: array.shape for name, array in self.arrays().items()},
        })  # fmt: skip

    def require_whole(self) -> None:
        """Refuse a card whose parts do not belong together.

        Raises:
            ValueError, ArithmeticError, TypeError: They do not.
        """
        context, settings = self.context, self.settings
        require(self.unit.shape == (len(context.ids), len(context.targets)) and bool(np.isfinite(self.unit).all()))
        require(bool(self.cycles) == bool(settings["calendar"]))
        if self.moves is not None:
            require(bool(self.quantiles) and self.moves.levels == tuple(map(float, settings["levels"])))
        dates = [f"{cycle} ({side})" for cycle in self.cycles for side in ("sin", "cos")]
        expected = panel_columns(context, self.horizon, bool(settings["past_target"]), dates)
        require(self.input_columns == expected and min(self.lookback, self.horizon, self.season) > 0)
        longest = int(context.lengths.argmax())
        own = context.index[context.borders[longest] : context.ends[longest]]
        require(len(own) > 1 if context.has_dates else not self.freq)
        require_going_on(self.freq, own)

    @classmethod
    def from_json(cls, content: Mapping[str, Any], data: bytes) -> "ModelCard":
        """Make a card of JSON and of the bytes of its arrays.

        Args:
            content: JSON that fits :class:`kseq.storage.card_schemas.CardRecord`, so that its types are
                known; the rest is checked here.
            data: The arrays, one after the other.

        Raises:
            KeyError, TypeError, ValueError, KseqError: The content is no card.
        """
        arrays = arrays_in(content["arrays"], data, kinds_of(content))
        arrays["values"] = arrays["values"].astype("float64")
        panel, count = content["panel"], len(arrays["lengths"])
        targets, features, future = (names(panel[role]) for role in ("targets", "features", "future"))
        # Format 1 kept numbers as such.
        ids = pd.Index([str(id) for id in typed(panel["ids"], list)])
        borders, ends = arrays["borders"], arrays["ends"]
        require(borders.shape == (count + 1,) and ends.shape == (count,) and count > 0 and len(ids) == count)
        require(ids.is_unique and borders[0] == 0 and borders[-1] == len(arrays["values"]))
        require(bool((borders[:-1] < ends).all() and (ends <= borders[1:]).all()))
        require(arrays["values"].shape[1:] == (len(dict.fromkeys([*targets, *features, *future])),))
        static = static_in(panel["static"], arrays["static"], ids)
        context = Panel(
            ids=ids, borders=borders, index=index_in(panel, arrays), values=arrays["values"],
            targets=targets, features=features, future=future, static=static, ends=ends,
            calendar=calendar_in(panel["calendar"], arrays), fill="mask",
            **{name: typed(panel[name], str) for name in _TEXTS},
        )  # fmt: skip
        input_columns = names(content["input_columns"])
        card = cls(
            **common_from_json(content, len(targets)),
            input_columns=input_columns,
            input_scaler=scaler_in(arrays, "input", (count, len(input_columns) - len(encoded(static).columns))),
            target_scaler=scaler_in(arrays, "target", (count, len(targets))),
            static_scaler=Scaler(**vars(scaler_in(arrays, "static", (len(encoded(static).columns),)))),
            transform=transform_in(content["transform"], context, arrays),
            context=context,
            lengths=arrays["lengths"],
            unit=arrays["unit"],
        )
        card.require_whole()
        return card


def quantiles_in(settings: Mapping[str, Any]) -> tuple[float, ...]:
    """Quantiles that a network of a card's settings forecasts; empty where it forecasts values."""
    if settings.get("training", {}).get("loss") != "quantile":
        return ()
    return quantiles_at(settings.get("levels", ()))


def _common_to_json(card: ModelCard) -> dict[str, Any]:
    """The fields that JSON holds as they are, the half-widths, and how far quantiles move."""
    widths = {"half_widths": card.half_widths, **({} if card.moves is None else {"moves": card.moves})}
    return {
        "format": FORMAT,
        "kseq": __version__,
        **{name: getattr(card, name) for name in _PLAIN},
        **{name: {"levels": one.levels, "values": one.values, "errors": one.errors} for name, one in widths.items()},
    }


def common_from_json(content: Mapping[str, Any], targets: int) -> dict[str, Any]:
    """Fields of a card of so many targets, from what :func:`_common_to_json` has made of them.

    Raises:
        KeyError, TypeError, ValueError, KseqError: The content is none of a card.
    """
    return {
        **{name: typed(content[name], kind) for name, kind in _PLAIN.items() if name != "seeds"},
        "seeds": tuple(typed(seed, int) for seed in content["seeds"]),
        "half_widths": _half_widths(content["half_widths"], targets),
        "moves": _half_widths(content["moves"], targets) if "moves" in content else None,
    }


def _half_widths(content: Mapping[str, Any], targets: int) -> HalfWidths:
    levels = tuple(map(float, content["levels"]))
    # No half-width is infinite in JSON: it is null.
    known = np.array(content["values"], dtype="float64").reshape(len(levels), -1 if levels else 0, targets)
    return HalfWidths(levels, np.where(np.isnan(known), np.inf, known), typed(content["errors"], int))
