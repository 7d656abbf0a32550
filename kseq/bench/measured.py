"""The jobs of a bench, and the measurements of a run as a table and as a record."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kseq.models import CELL_NAMES


@dataclass(frozen=True)
class Workload:
    """A training job: sizes alone, the data are random.

    Args:
        windows: Number of windows in the training part.
        time: Steps in a window.
        features: Columns.
        units: Number of units of each layer.
        batch: Windows in a batch.
        num_layers: Recurrent layers.
        bidirectional: Whether layers read in both directions.
    """

    windows: int
    time: int
    features: int
    units: int
    batch: int
    num_layers: int = 1
    bidirectional: bool = False

    def operations(self, cell: str) -> float:
        """Floating-point operations of an epoch: products alone, forward and twice that backward."""
        gates, directions = {"rnn": 1, "lstm": 4, "gru": 3}[cell], 1 + self.bidirectional
        total, width = 0.0, self.features
        for _ in range(self.num_layers):
            total += directions * 2 * gates * self.units * (width + self.units)
            width = self.units * directions
        return 3 * total * self.windows * self.time


WORKLOADS = {
    "short": Workload(512, 24, 1, 32, 32),
    "daily": Workload(4096, 60, 1, 32, 64),
    "long": Workload(1024, 336, 4, 64, 64),
    "stacked": Workload(1024, 60, 1, 32, 64, num_layers=2),
    "bidirectional": Workload(1024, 60, 1, 32, 64, bidirectional=True),
    "wide": Workload(8192, 60, 8, 512, 128),
}
#: Jobs that a GPU is for; on a CPU an epoch of them takes minutes.
FOR_GPUS = ("wide",)

#: A speed-up is shown only where forecasts agree to this, relative to the largest one.
TOLERANCE = 1e-4


@dataclass
class Measurement:
    """Seconds an epoch and seed of one contender on one job.

    Args:
        workload: Name of the workload.
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        contender: ``"kseq"``, ``"stock Keras"``, ``"native loop"``, ``"Sequential"``...
        members: Number of seeds trained at once.
        first: Seconds of the first epoch.
        seconds: Seconds of each later epoch, per seed.
        kernel: Name of the kernel that ran.
        step: Training step that ran, in the words of :func:`kseq.layers.step_used`.
        difference: Difference of its forecasts from those of stock Keras, the yardstick, with the same weights;
            relative.
    """

    workload: str
    cell: str
    contender: str
    members: int = 1
    first: float = float("nan")
    seconds: list[float] = field(default_factory=list)
    kernel: str = ""
    step: str = ""
    difference: float = 0.0


@dataclass
class Bench:
    """What a run measured.

    Args:
        measurements: One a workload, cell and contender.
        peak: Floating-point operations a second of a large float32 matrix product here.
        machine: Hardware, versions, threads.
    """

    measurements: list[Measurement]
    peak: float
    machine: dict[str, Any]

    @property
    def table(self) -> pd.DataFrame:
        """One line a workload, cell, number of members and contender.

        ``ratio`` is the contender's median time over kseq's: above 1 kseq is faster. It is NaN while parity fails.
        ``to_builder`` is its median time over that of a builder's model, NaN where none was timed.
        ``share_of_peak`` counts matrix products alone against the measured peak.
        """
        ours = {(m.workload, m.cell, m.members): m for m in self.measurements if m.contender == "kseq"}
        builders = {
            (m.workload, m.cell): float(np.median(m.seconds)) for m in self.measurements if m.contender == "builder"
        }
        lines = []
        for m in self.measurements:
            median = float(np.median(m.seconds))
            own = ours.get((m.workload, m.cell, m.members))
            # A forecast that is not a number differs by NaN, which is within no tolerance.
            fair = own is not None and own.difference <= TOLERANCE and m.difference <= TOLERANCE
            lines.append(
                {
                    "workload": m.workload,
                    "cell": CELL_NAMES[m.cell],
                    "members": m.members,
                    "contender": m.contender,
                    "ms": 1e3 * median,
                    "ms_low": 1e3 * min(m.seconds),
                    "ms_high": 1e3 * max(m.seconds),
                    "first_s": m.first,
                    "ratio": median / float(np.median(own.seconds)) if fair and own is not None else float("nan"),
                    "to_builder": median / builders.get((m.workload, m.cell), float("nan")),
                    "share_of_peak": WORKLOADS[m.workload].operations(m.cell) / median / self.peak,
                    "difference": m.difference,
                    "kernel": m.kernel,
                    "step": m.step,
                }
            )
        return pd.DataFrame(lines)

    @property
    def record(self) -> dict[str, Any]:
        """Everything measured, as ``bench.json`` holds it."""
        return {
            "machine": self.machine,
            "peak_flops": self.peak,
            "measurements": [asdict(m) for m in self.measurements],
        }
