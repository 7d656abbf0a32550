"""What an exported model computes, from rows in the user's unit to forecasts in the user's unit.

It is written once, in terms of a few operators (:class:`kseq.exporting.operators.Ops`) that ONNX, TensorFlow and
PyTorch have, and follows :mod:`kseq.forecasting.forecast`: transform the targets, scale, take a reference off, run the
networks, undo all of it, and read the forecasts again for the steps beyond the horizon, as many times as that takes.
The number of steps is fixed at export. Values are float64 but inside the networks, as in kseq.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kseq.evaluation.quantiles import quantile_place
from kseq.exporting.operators import Ops
from kseq.forecasting.card import ModelCard
from kseq.preprocessing.autoregression import Autoregression
from kseq.preprocessing.columns import encoded, past_columns
from kseq.preprocessing.references import AS_THEY_ARE, LEAST_SPREAD
from kseq.preprocessing.steps import Anomaly, Difference, Log, Log1p, Trend


@dataclass(frozen=True)
class Input:
    """One input of an exported model.

    Args:
        name: Its name in the graph.
        dtype: ``"float64"`` or ``"int64"``.
        shape: Shape without the axis of the batch, whose size is free.
        columns: Names of its columns, where it has any.
        meaning: A sentence that says what its rows are.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    columns: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, eq=False)
class Recipe:
    """The computation of an exported model.

    Args:
        card: Card of the model.
        steps: Steps that are forecast, from 1.
        levels: Percents of the intervals that are given beside the forecasts; half-widths of each are known.
    """

    card: ModelCard
    steps: int
    levels: tuple[float, ...]

    @cached_property
    def calls(self) -> int:
        """How many times the networks are run, each time on the forecasts of the times before."""
        return -(-self.steps // self.card.horizon)

    @property
    def made(self) -> int:
        """Steps that the networks forecast in all, of which ``steps`` are given."""
        return self.calls * self.card.horizon

    @property
    def ahead(self) -> int:
        """Rows after the window that the networks read."""
        return self.made - self.card.horizon

    @cached_property
    def reads_targets(self) -> bool:
        """Whether the networks read the targets' past."""
        return bool(self.card.settings["past_target"])

    @cached_property
    def needs_targets(self) -> bool:
        """Whether the forecasts follow from the targets' past."""
        transform = self.card.transform
        steps = transform.steps if transform else ()
        measured = transform is not None and transform.reference is not None
        return self.reads_targets or measured or any(isinstance(step, Difference) for step in steps)

    @cached_property
    def several(self) -> bool:
        """Whether there is more than one series, each with its own scales."""
        return len(self.card.context.ids) > 1 or bool(len(self.card.context.static.columns))

    @cached_property
    def covariates(self) -> tuple[str, ...]:
        """Past covariates: what is read of the past beside the targets."""
        read = past_columns(self.card.context, self.reads_targets)
        return tuple(read[len(self.card.context.targets) * self.reads_targets :])

    @cached_property
    def static(self) -> np.ndarray:
        """Static covariates in scale, float32, ``(series, columns)``."""
        numbers = encoded(self.card.context.static).to_numpy(dtype="float64")
        return self.card.static_scaler.transform(numbers).astype("float32")

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """What the graph takes, in order."""
        card, context = self.card, self.card.context
        found: list[Input] = []
        targets = tuple(context.targets) if self.needs_targets else ()
        lookback, last = card.lookback, f"the last of which is step {self.made}"

        def add(name: str, shape: tuple[int, ...], meaning: str, columns: tuple[str, ...] = ()) -> None:
            kind = "int64" if name in ("phase", "series") else "float64"
            found.append(Input(name, kind, (*shape, len(columns)) if columns else shape, columns, meaning))

        if targets or self.covariates:
            add("past", (card.reach,), "The last rows before the first step to forecast.", targets + self.covariates)
        if self.covariates and self.ahead:
            add("ahead", (self.ahead,), "Past covariates at the first steps to forecast.", self.covariates)
        if context.future:
            add("future", (lookback + self.ahead,), f"Future covariates of rows, {last}.", tuple(context.future))
        if card.cycles:
            sides = tuple(f"{cycle} ({side})" for cycle in card.cycles for side in ("sin", "cos"))
            then = f", then of the first {self.ahead} steps to forecast" * (self.ahead > 0)
            add("calendar", (lookback + self.ahead,), f"The calendar of the last {lookback} rows{then}.", sides)
        rows = f"of the last {card.reach} rows and of the {self.made} steps after them."
        if card.anomaly is not None:
            add("phase", (card.reach + self.made,), f"Phase of the season {rows}")
        if card.trend is not None:
            add("time", (card.reach + self.made,), f"Time {rows}")
        if self.several:
            add("series", (), "Which series: its place in `series`, from 0.")
        return tuple(found)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the graph gives, each ``(batch, steps, targets)``."""
        return ("forecast", *(f"{side}_{level:g}" for level in self.levels for side in ("lo", "hi")))

    def __call__(self, ops: Ops, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Forecast.

        Args:
            ops: The runtime's operators.
            inputs: Tensors by name, see :attr:`inputs`.

        Returns:
            Tensors by the names of :attr:`outputs`.
        """
        levels, moves = self._levels(ops, inputs), self.card.moves
        every = self._roll_out(ops, inputs, levels[-1])
        every = [ops.rows(self._undo(ops, inputs, levels, made), 0, self.steps) for made in every]
        values = every[len(every) // 2]
        found = {"forecast": values}
        series = inputs.get("series")
        unit = ops.table(self.card.unit, series) if self.levels else None
        for level in self.levels:
            if moves is not None and level in moves.levels:
                place = quantile_place(level, moves.levels)
                move = ops.constant(moves.at(level, self.steps)[None]) * unit
                lo, hi = self._moved(ops, every[place], every[-1 - place], move)
            else:
                half = ops.constant(self.card.half_widths.at(level, self.steps)[None]) * unit
                lo, hi = values - half, values + half
            found |= {f"lo_{level:g}": lo, f"hi_{level:g}": hi}
        return found

    @staticmethod
    def _moved(ops: Ops, lo: Any, hi: Any, move: Any) -> tuple[Any, Any]:
        """Bounds moved outwards; inwards at most to their middle, see :func:`kseq.evaluation.intervals.moved`."""
        middle = (lo + hi) * ops.constant(np.full((1, 1, 1), 0.5))
        return (
            middle - ops.maximum(middle - lo + move, 0.0),
            middle + ops.maximum(hi - middle + move, 0.0),
        )

    def _levels(self, ops: Ops, inputs: Mapping[str, Any]) -> list[Any]:
        """The targets' past, and what each step of the transform makes of it; None where it is not needed."""
        transform, reach = self.card.transform, self.card.reach
        steps = transform.steps if transform else ()
        if not self.needs_targets:
            return [None] * (len(steps) + 1)
        y, rows = ops.columns(inputs["past"], 0, len(self.card.context.targets)), reach
        levels = [y]
        for step in steps:
            if isinstance(step, Log1p):
                y = ops.log(y + ops.constant(np.ones((1, 1, 1))))
            elif isinstance(step, Log):
                y = ops.log(y)
            elif isinstance(step, Difference):
                y = ops.rows(y, 1, rows) - ops.rows(y, 0, rows - 1)
                rows -= 1
            else:
                y = y - self._base(ops, inputs, step, reach - rows, reach)
            levels.append(y)
        return levels

    def _undo(self, ops: Ops, inputs: Mapping[str, Any], levels: Sequence[Any], y: Any) -> Any:
        """Forecasts in the targets' unit; ``levels`` as of :meth:`_levels`."""
        transform, reach = self.card.transform, self.card.reach
        steps, lost = transform.steps if transform else (), 0
        befores = []
        for step, before in zip(steps, levels, strict=False):
            befores.append((step, before, reach - lost))
            lost += step.lost
        for step, before, rows in reversed(befores):
            if isinstance(step, Log1p):
                y = ops.exp(y) - ops.constant(np.ones((1, 1, 1)))
            elif isinstance(step, Log):
                y = ops.exp(y)
            elif isinstance(step, Difference):
                y = ops.rows(before, rows - 1, rows) + ops.cumsum(y)
            else:
                y = y + self._base(ops, inputs, step, reach, reach + self.made)
        return y

    def _base(self, ops: Ops, inputs: Mapping[str, Any], step: Any, first: int, stop: int) -> Any:
        """What a step takes off rows, counted from the first of the window's; an anomaly's mean or a trend's line."""
        series = inputs.get("series")
        if isinstance(step, Anomaly):
            means = step.means.reshape(-1, step.cycle.season, step.means.shape[1])
            return ops.phases(means, series, ops.rows(inputs["phase"], first, stop))
        assert isinstance(step, Trend)
        time = ops.column(ops.rows(inputs["time"], first, stop))
        return ops.table(step.start, series) + time * ops.table(step.slope, series)

    def _roll_out(self, ops: Ops, inputs: Mapping[str, Any], known: Any) -> list[Any]:
        """What the networks forecast, without scale and reference; ``known`` is the last of :meth:`_levels`.

        Of a model of quantiles all of them in ascending order, the median being read again; otherwise one.
        """
        card, series, targets = self.card, inputs.get("series"), len(self.card.context.targets)
        reference = card.transform.reference if card.transform else None
        rows = card.reach - (sum(step.lost for step in card.transform.steps) if card.transform else 0)
        count = max(1, len(card.quantiles))
        past, made = known, [None] * count
        center, scale = (ops.table(of, series) for of in (card.target_scaler.center, card.target_scaler.scale))
        for call in range(self.calls):
            window, width = self._window(ops, inputs, past, rows, call)
            scaled = ops.blocks(ops.double(ops.network(window)), count, card.horizon * targets)
            if count > 1:
                scaled = ops.ascending(scaled, count)
            blocks = []
            for place in range(count):
                block = ops.blocks(ops.rows(scaled, place, place + 1), card.horizon, targets) * scale + center
                if reference is not None:
                    if width is not None:
                        block = block * width
                    block = self._put_back(ops, block, past, rows, series)
                blocks.append(block)
            made = [new if old is None else ops.join([old, new], 1) for old, new in zip(made, blocks, strict=True)]
            past = blocks[count // 2] if past is None else ops.join([past, blocks[count // 2]], 1)
            rows += card.horizon
        return made

    def _window(self, ops: Ops, inputs: Mapping[str, Any], past: Any, rows: int, call: int) -> tuple[Any, Any]:
        """The networks' window of a call, float32; and by what its targets were divided, float64, None for nothing."""
        card, lookback, series = self.card, self.card.lookback, inputs.get("series")
        reference = card.transform.reference if card.transform else None
        first, parts, width, at = call * card.horizon, [], None, 0

        def scaled(x: Any, columns: int) -> Any:
            center, scale = (of[:, at : at + columns] for of in (card.input_scaler.center, card.input_scaler.scale))
            return ops.single((x - ops.table(center, series)) / ops.table(scale, series))

        if self.reads_targets:
            count = len(card.context.targets)
            y = ops.rows(past, rows - lookback, rows)
            x = scaled(y, count)
            if reference is not None:
                x, width = self._refer(ops, x, y, ops.table(card.input_scaler.scale[:, :count], series))
            parts.append(x)
            at += count
        if self.covariates:
            count = len(self.covariates)
            begin = len(card.context.targets) * self.needs_targets
            x = ops.rows(ops.columns(inputs["past"], begin, begin + count), card.reach - lookback, card.reach)
            if self.ahead:
                x = ops.rows(ops.join([x, inputs["ahead"]], 1), first, first + lookback)
            parts.append(scaled(x, count))
            at += count
        for name, columns in (("future", card.context.future), ("calendar", card.cycles)):
            if columns:
                count = len(columns) * (1 + (name == "calendar"))
                parts.append(scaled(ops.rows(inputs[name], first, first + lookback), count))
                at += count
        if self.static.shape[1]:
            parts.append(ops.repeat(ops.table(self.static, series), lookback))
        return (parts[0] if len(parts) == 1 else ops.join(parts, 2)), width

    def _refer(self, ops: Ops, x: Any, y: Any, scale: Any) -> tuple[Any, Any]:
        """Take the reference off targets ``x``, in scale, which are ``y``, not in scale; see ``Windows.refer``."""
        assert self.card.transform is not None
        reference = self.card.transform.reference
        assert reference is not None

        def less(values: Any) -> Any:
            if reference.kind in AS_THEY_ARE:
                return values
            if reference.kind == "mean":
                return values - ops.mean(values)
            return values - ops.rows(values, self.card.lookback - 1, self.card.lookback)

        x = less(x)
        if not reference.spread:
            return x, None
        return x / self._width(ops, x), self._width(ops, less(y) / scale)

    @staticmethod
    def _width(ops: Ops, x: Any) -> Any:
        away = x - ops.mean(x)
        return ops.maximum(ops.sqrt(ops.mean(away * away)), LEAST_SPREAD)

    def _put_back(self, ops: Ops, block: Any, past: Any, rows: int, series: Any) -> Any:
        """Forecasts plus their reference, which the ``rows`` rows of ``past`` give."""
        assert self.card.transform is not None
        reference = self.card.transform.reference
        assert reference is not None
        if isinstance(reference, Autoregression):
            return self._autoregression(ops, reference, past, rows, series) + block
        last = ops.rows(past, rows - 1, rows)
        if reference.kind == "increments":
            return last + ops.cumsum(block)
        if reference.kind == "season":
            places = rows - reference.season + np.arange(self.card.horizon) % reference.season
            return ops.pick(past, places.tolist()) + block
        if reference.kind == "mean":
            last = ops.mean(ops.rows(past, rows - self.card.lookback, rows))
        return last + block

    def _autoregression(self, ops: Ops, known: Autoregression, past: Any, rows: int, series: Any) -> Any:
        """What the autoregression of each series forecasts; see :meth:`Autoregression.of_targets`."""
        order = known.order
        mean = ops.table(known.mean, series)
        # A sum over rows is their mean times their number.
        weights = [ops.table(order * known.coefficients[:, order - 1 - row], series) for row in range(order)]
        of_rows = ops.join(weights, 1)
        window = ops.rows(past, rows - order, rows) - mean
        for step in range(self.card.horizon):
            following = ops.mean(ops.rows(window, step, step + order) * of_rows)
            window = ops.join([window, following], 1)
        return ops.rows(window, order, order + self.card.horizon) + mean
