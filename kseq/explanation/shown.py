"""The test windows that an explanation looks at, and what is measured of one cell on them."""

from collections.abc import Callable, Sequence

import numpy as np

from kseq.comparison.scores import Scores
from kseq.explanation.equations import equations_of
from kseq.explanation.gates import gates_of
from kseq.explanation.gradients import integrated_gradients, loss_gradient, state_gradient
from kseq.explanation.memory import agreement, memory_used
from kseq.explanation.networks import Network
from kseq.explanation.result import CellExplanation, Speed, Subject
from kseq.kernels.reference import GATES
from kseq.preprocessing.windows import WindowedPanel
from kseq.settings import CELL_NAMES

#: Test windows that are looked at, at most, evenly spaced; of attributions fewer, they take a pass for each point.
WINDOWS, ATTRIBUTED = 256, 64

_STATES = {"rnn": ("h",), "lstm": ("h", "c"), "gru": ("h",)}
_KERNELS = {"rnn": "simple_rnn", "lstm": "lstm", "gru": "gru"}


class Shown:
    """The test windows that are looked at, and how forecasts of them are scored.

    Args:
        data: The windows.
        season: Steps in a season, by which errors of several series are scaled.
    """

    def __init__(self, data: WindowedPanel, season: int):
        self.data, self.season = data, season
        total = len(data.test)
        self.which = np.unique(np.linspace(0, total - 1, min(WINDOWS, total)).round().astype(int))
        self.scores = Scores(data, season).only(self.which)
        self.part = self.scores.data
        self.x, y = data.test.gather(self.which)
        self.y = y.reshape(len(y), -1)
        # A saved model keeps no training windows: what it is explained on stands for them.
        known = data.train if len(data.train) else data.test
        inputs = known.gather(np.unique(np.linspace(0, len(known) - 1, 512).astype(int)))[0]
        self.base = inputs.reshape(-1, inputs.shape[-1]).mean(axis=0).astype("float64")

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return len(self.which)

    def errors(self, scaled: np.ndarray) -> np.ndarray:
        """Score scaled forecasts ``(seed, windows, outputs)``; return an error a seed."""
        return self.scores.overall(self.part.to_units(scaled, self.part.test), self.scores.measure)

    def subject(self, target_loss: float, source: str) -> Subject:
        """Describe what was looked at."""
        data, rows = self.part, self.part.test.target_rows[:, 0]
        return Subject(
            data.series.name, data.series.step, data.lookback, self.windows, data.input_columns,
            data.series.index[rows], data.series.y[rows, 0], self.scores.measure, data.series.unit, target_loss, source,
            data.transform.label if data.transform else "none",
        )  # fmt: skip

    def explain(
        self,
        cell: str,
        seeds: Sequence[int],
        parameters: int,
        products: int,
        before: list[Network],
        after: list[Network],
        forecasts: Callable[[np.ndarray], np.ndarray],
        speed: Speed | None,
    ) -> CellExplanation:
        """Measure one cell."""
        x = self.x.astype("float64")
        few = x[np.unique(np.linspace(0, len(x) - 1, min(ATTRIBUTED, len(x))).astype(int))]
        attributed = np.stack([np.abs(integrated_gradients(net, few, self.base)).mean(axis=0)[::-1] for net in after])
        total = attributed.sum(axis=(1, 2), keepdims=True)
        attributed = np.divide(attributed, total, out=np.zeros_like(attributed), where=total > 0)
        one_way = not after[0].bidirectional
        return CellExplanation(
            cell,
            CELL_NAMES[cell],
            tuple(seeds),
            parameters,
            len(GATES[_KERNELS[cell]]),
            _STATES[cell],
            products,
            equations_of(cell, after[0]),
            (loss_gradient(before, x, self.y) if before else None, loss_gradient(after, x, self.y)),
            (state_gradient(before, x) if before else None, state_gradient(after, x)),
            memory_used(forecasts, after, x, self.errors, self.base, attributed),
            gates_of(after, x),
            agreement(after, x) if one_way else None,
            speed,
        )
