"""``kseq bench --data``: how fast windows come, in shuffled batches, against what users have otherwise.

Every contender delivers the same windows, in batches of one size, shuffled anew in each epoch, as arrays in C order.
That is checked first: the windows of one epoch, sorted, must be the same numbers. Where they are not, no ratio is
shown. Contenders take turns, round after round, and medians are compared. Memory is measured in a process of its own
for each contender, on more rows: by how much its peak lies above what data and imports take.

=============  ====================================================================================================
contender      what it does
=============  ====================================================================================================
kseq           :class:`kseq.Batches`
NumPy loop     slices window by window, ``np.stack``
NumPy views    ``sliding_window_view``, indexed by the batch, in C order
DataLoader     PyTorch's, over a data set that slices windows; where the backend is torch
Keras dataset  ``keras.utils.timeseries_dataset_from_array``; where TensorFlow is installed, of one series
=============  ====================================================================================================
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from kseq import backends, startup
from kseq.bench.timings import this_machine
from kseq.errors import BackendError
from kseq.preprocessing.windows import Windows, window_starts
from kseq.training.batches import Batches
from kseq.validation import require_choice, require_whole

#: Memory is measured on so many times the rows: of few, nothing shows beside what is imported.
LARGER = 20

#: And for so many seconds of an epoch at most.
PATIENCE = 10.0

#: Inputs and targets of a batch.
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class DataWorkload:
    """Windows to deliver: sizes alone, the data are random.

    Args:
        series: Number of series.
        rows: Number of rows of each.
        features: Columns.
        lookback: Rows that a model reads.
        horizon: Rows that it forecasts.
        batch: Windows in a batch.
    """

    series: int
    rows: int
    features: int
    lookback: int
    horizon: int
    batch: int

    def windows(self) -> Windows:
        """Make the data and lay the windows."""
        values = np.random.default_rng(0).random((self.series * self.rows, self.features), "float32")
        borders = range(0, len(values), self.rows)
        segments = tuple(
            window_starts(border, border + self.rows, self.lookback, self.horizon, border=border) for border in borders
        )
        targets = values if self.features == 1 else values[:, :1].copy()
        return Windows(values, targets, segments, self.lookback, self.horizon)


WORKLOADS = {
    "short": DataWorkload(1, 20_000, 1, 24, 1, 32),
    "long": DataWorkload(1, 50_000, 1, 336, 24, 64),
    "wide": DataWorkload(1, 50_000, 8, 96, 1, 64),
    "panel": DataWorkload(1000, 200, 1, 12, 1, 1024),
}


@dataclass
class DataMeasurement:
    """What one contender took for one workload.

    Args:
        workload: Its name.
        contender: ``"kseq"``, ``"NumPy loop"``...
        windows: Number of windows in an epoch.
        seconds: Seconds of each epoch that counts.
        megabytes: Peak memory of an epoch in megabytes, beside the data and all that is imported.
        equal: Whether it delivers the windows that kseq delivers.
    """

    workload: str
    contender: str
    windows: int
    seconds: list[float] = field(default_factory=list)
    megabytes: float = float("nan")
    equal: bool = True


@dataclass
class DataBench:
    """What a run measured.

    Args:
        measurements: One a workload and contender.
        machine: Hardware, versions, threads.
    """

    measurements: list[DataMeasurement]
    machine: dict[str, Any]

    @property
    def table(self) -> pd.DataFrame:
        """One line a workload and contender.

        ``ratio`` is the contender's median time over kseq's: above 1 kseq is faster. It is NaN where windows differ.
        """
        ours = {m.workload: float(np.median(m.seconds)) for m in self.measurements if m.contender == "kseq"}
        lines = []
        for m in self.measurements:
            median = float(np.median(m.seconds))
            lines.append(
                {
                    "workload": m.workload,
                    "contender": m.contender,
                    "windows_per_second": m.windows / median,
                    "lowest": m.windows / max(m.seconds),
                    "highest": m.windows / min(m.seconds),
                    "ratio": median / ours[m.workload] if m.equal else float("nan"),
                    "peak_mb": m.megabytes,
                }
            )
        return pd.DataFrame(lines)

    @property
    def record(self) -> dict[str, Any]:
        """Everything measured, as ``data.json`` holds it."""
        return {"machine": self.machine, "measurements": [asdict(m) for m in self.measurements]}


def run(
    workloads: Sequence[str] = tuple(WORKLOADS), rounds: int = 5, tell: Callable[[str], None] = lambda text: None
) -> DataBench:
    """Measure.

    Args:
        workloads: Names of :data:`WORKLOADS`.
        rounds: Epochs of each contender that count, all in turn.
        tell: Called with a line on what is measured next.

    Raises:
        ConfigError: An unknown workload, or a number below 1.
    """
    for name in workloads:
        require_choice("workload", name, WORKLOADS)
    require_whole("rounds", rounds)
    measurements: list[DataMeasurement] = []
    for name in workloads:
        tell(name)
        measurements += _measure(name, rounds)
    return DataBench(measurements, this_machine())


def _measure(name: str, rounds: int) -> list[DataMeasurement]:
    """All contenders on one workload, epoch by epoch in turn."""
    workload = WORKLOADS[name]
    windows = workload.windows()
    contenders = {contender: make(windows, workload) for contender, make in _contenders(workload).items()}
    expected = _sorted(contenders["kseq"]())
    entries = []
    for contender, epoch in contenders.items():
        found = _sorted(epoch())
        equal = found.shape == expected.shape and bool((found == expected).all())
        megabytes = _peak_in_a_process(workload, contender)
        entries.append(DataMeasurement(name, contender, len(windows), megabytes=megabytes, equal=equal))
    for _ in range(rounds):
        for entry in entries:
            started = time.perf_counter()
            for _ in contenders[entry.contender]():
                pass
            entry.seconds.append(time.perf_counter() - started)
    return entries


def _sorted(batches: Iterable[Pair]) -> np.ndarray:
    """The windows of an epoch in an order of their own, ``(windows, numbers)``."""
    rows = np.concatenate([np.concatenate([x.reshape(len(x), -1), y.reshape(len(y), -1)], 1) for x, y in batches])
    rows = np.ascontiguousarray(rows)
    order = np.argsort(rows.view(np.dtype((np.void, rows.strides[0]))).ravel())
    return rows[order]


def _contenders(workload: DataWorkload) -> dict[str, Callable[[Windows, DataWorkload], Callable[[], Iterator[Pair]]]]:
    """What can be measured here, by name: functions that make one that runs through an epoch."""
    found: dict[str, Callable[[Windows, DataWorkload], Callable[[], Iterator[Pair]]]] = {
        "kseq": _kseq, "NumPy loop": _numpy_loop, "NumPy views": _numpy_views,
    }  # fmt: skip
    if keras.config.backend() == "torch":
        found["DataLoader"] = _data_loader
    # Keras cuts windows out of one series, with one target row each.
    if "tensorflow" in backends.installed() and workload.series == workload.horizon == 1:
        found["Keras dataset"] = _keras_dataset
    return found


def _kseq(windows: Windows, workload: DataWorkload) -> Callable[[], Iterator[Pair]]:
    batches = Batches(windows, workload.batch, seed=0)

    def epoch() -> Iterator[Pair]:
        for number in range(len(batches)):
            yield batches[number]
        batches.on_epoch_end()

    return epoch


def _numpy_loop(windows: Windows, workload: DataWorkload) -> Callable[[], Iterator[Pair]]:
    x, y, starts = windows.inputs, windows.targets, windows.starts(np.arange(len(windows)))
    rng = np.random.default_rng(0)

    def epoch() -> Iterator[Pair]:
        order = rng.permutation(starts)
        for first in range(0, len(order), workload.batch):
            rows = order[first : first + workload.batch].tolist()
            yield (
                np.stack([x[row - workload.lookback : row] for row in rows]),
                np.stack([y[row : row + workload.horizon] for row in rows]),
            )

    return epoch


def _numpy_views(windows: Windows, workload: DataWorkload) -> Callable[[], Iterator[Pair]]:
    starts = windows.starts(np.arange(len(windows)))
    views = np.lib.stride_tricks.sliding_window_view
    x, y = views(windows.inputs, workload.lookback, axis=0), views(windows.targets, workload.horizon, axis=0)
    rng = np.random.default_rng(0)

    def epoch() -> Iterator[Pair]:
        order = rng.permutation(starts)
        for first in range(0, len(order), workload.batch):
            rows = order[first : first + workload.batch]
            yield (
                np.ascontiguousarray(x[rows - workload.lookback].swapaxes(1, 2)),
                np.ascontiguousarray(y[rows].swapaxes(1, 2)),
            )

    return epoch


def _data_loader(windows: Windows, workload: DataWorkload) -> Callable[[], Iterator[Pair]]:
    from kseq.kernels.torch_native import SlicedWindows

    starts = windows.starts(np.arange(len(windows)))
    sliced = SlicedWindows(windows.inputs, windows.targets, starts, workload.lookback, workload.horizon)
    loader = sliced.loader(workload.batch)

    def epoch() -> Iterator[Pair]:
        for x, y in loader:
            yield x.numpy(), y.numpy()

    return epoch


def _keras_dataset(windows: Windows, workload: DataWorkload) -> Callable[[], Iterator[Pair]]:
    dataset = keras.utils.timeseries_dataset_from_array(
        windows.inputs[:-1], windows.targets[workload.lookback :], workload.lookback, batch_size=workload.batch,
        shuffle=True,
    )  # fmt: skip

    def epoch() -> Iterator[Pair]:
        for x, y in dataset:
            yield x.numpy(), y.numpy()

    return epoch


def _peak_in_a_process(workload: DataWorkload, contender: str) -> float:
    """Megabytes that an epoch takes at its peak, in a process that does nothing else."""
    larger = replace(workload, rows=LARGER * workload.rows)
    command = startup.command(f"from kseq.bench.delivery import DataWorkload, child; child({larger!r}, {contender!r})")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    if done.returncode:
        raise BackendError(f"a process that measures memory failed (status {done.returncode}); its message is above.")
    return float(json.loads(done.stdout.splitlines()[-1]))


def child(workload: DataWorkload, contender: str) -> None:
    """Run through an epoch, or its first seconds; print the megabytes that are taken at most, as JSON."""
    windows = workload.windows()
    before = _forget_peak()
    started = time.perf_counter()
    for _ in _contenders(workload)[contender](windows, workload)():
        if time.perf_counter() - started > PATIENCE:
            break
    print(json.dumps((_peak() - before) / 1e6))


def _forget_peak() -> float:
    """Start the peak anew where the system can; return it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        # Without it, what the imports have taken hides as much of what an epoch takes.
        return _peak()
    return _peak()


def _peak() -> float:
    """The most memory that this process has taken, in bytes."""
    # Not there on Windows, where the rest of the module works.
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * float(line.split()[1])
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
