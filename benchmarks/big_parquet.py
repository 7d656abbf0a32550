"""Train a global model on a Parquet file that is long, and say how much memory each stage takes at its peak.

    python benchmarks/big_parquet.py --backend torch

writes a file of 1,000 series of 50,000 hours (50 million rows, made a series at a time), reads it, cuts it into
windows, trains a GRU for some hundred batches, forecasts the test part, and fits a baseline to each series. It ends
with status 1 if the process has taken more than ``--limit`` GB at any time. Peaks are those of resident memory, as
Linux counts it (VmHWM).
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from kseq import backends


def peak() -> float:
    """The most resident memory that this process has taken so far, in GB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1e9


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Print the seconds of a stage, and the peak of memory up to its end."""
    started = time.perf_counter()
    yield
    print(f"{name:<40} {time.perf_counter() - started:8.1f} s   peak {peak():.2f} GB", flush=True)


def write(path: Path, series: int, rows: int) -> None:
    """Write a long Parquet file: each series a random walk around a daily cycle."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    hours = np.datetime64("2015-01-01", "h") + np.arange(rows)
    cycle = np.sin(np.arange(rows) * np.pi / 12)
    kinds = [("unique_id", pa.int32()), ("ds", pa.timestamp("ms")), ("y", pa.float32())]
    with pq.ParquetWriter(path, pa.schema(kinds)) as writer:
        for number in range(series):
            rng = np.random.default_rng(number)
            y = 10 * cycle + rng.normal(size=rows).cumsum() * 0.1 + rng.normal(size=rows) + number
            columns = [np.full(rows, number, "int32"), hours.astype("datetime64[ms]"), y.astype("float32")]
            arrays = [pa.array(column, kind) for column, (_, kind) in zip(columns, kinds, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, names=[name for name, _ in kinds]))


def main() -> int:
    """Run all stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend")
    parser.add_argument("--series", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=50_000, help="of each series")
    parser.add_argument("--lookback", type=int, default=24)
    parser.add_argument("--steps", type=int, default=300, help="batches to train on")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--transform", default="none")
    parser.add_argument("--limit", type=float, default=4.0, help="GB")
    given = parser.parse_args()
    backends.choose(given.backend)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "long.parquet"
        write(path, given.series, given.rows)
        print(f"{given.series * given.rows:,} rows, {path.stat().st_size / 1e6:.0f} MB on disk, {given.backend or ''}")
        run(path, given)
    print(f"peak {peak():.2f} GB, limit {given.limit:g} GB")
    return int(peak() > given.limit)


def run(path: Path, given: argparse.Namespace) -> None:
    """Everything from the file to a forecast."""
    with stage("import"):
        import kseq
        from kseq.baselines import Skipped, baseline_row
        from kseq.comparison.backtest import cut_windows
        from kseq.layers.feeding import fed
        from kseq.training.callbacks import predict
        from kseq.training.fit import Training, compile_model
    with stage("read"):
        panel = kseq.read_panel(path)
    with stage(f"cut and scale, transform {given.transform}"):
        data = cut_windows(panel, kseq.Settings(lookback=given.lookback, transform=given.transform))
    print(f"{len(data.train):,} training windows, {len(data.test):,} test windows")
    with stage("build and shuffle"):
        model = kseq.build_gru(lookback=given.lookback, features=data.features, units=32, seed=0)
        compile_model(model, Training())
        source, _ = fed(kseq.Batches(data.train, given.batch_size, seed=0))
    with stage(f"train, {given.steps} batches"):
        history = model.fit(source, steps_per_epoch=given.steps, epochs=1, verbose=0, shuffle=False)
    print(f"loss {history.history['loss'][-1]:.4f}")
    with stage("forecast the test part"):
        forecasts = predict(model, data, data.test)
    print(f"mean absolute error {np.abs(forecasts[0] - data.test_y).mean():.4f}")
    with stage("baseline: climatology"):
        row = baseline_row("climatology", data)
    assert not isinstance(row, Skipped), row
    print(f"mean absolute error {np.abs(row.predictions[0] - data.test_y).mean():.4f}")


if __name__ == "__main__":
    sys.exit(main())
