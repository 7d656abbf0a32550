"""How long a run takes until its first training has ended and until all has, and its CPU time, of two trees in turn.

    KERAS_BACKEND=torch python benchmarks/startup.py --old ../kseq-before --pairs 10

Each run is a process of its own, ``kseq compare --epochs 1 --seeds 1`` into a new folder, with ``PYTHONPATH`` at one of
the trees; the first of each tree compiles what is kept on disk and is left out. Printed are medians, the quartiles, and
the median of new / old over pairs. The machine should do nothing else; CPU time bears some company.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

RUN = ["compare", "--data", "nino12", "--epochs", "1", "--seeds", "1"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=Path, required=True, help="folder of the tree that this one is set against")
    parser.add_argument("--pairs", type=int, default=10)
    options = parser.parse_args()
    trees = {"old": options.old.resolve(), "new": ROOT}
    seconds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in trees}
    for pair in range(options.pairs + 1):
        for name in sorted(trees, reverse=pair % 2 == 1):
            measured = run(trees[name])
            print(f"{name}:", *(f"{value:.2f} s" for value in measured), file=sys.stderr, flush=True)
            if pair:
                seconds[name].append(measured)
    for place, what in enumerate(("first training", "end", "CPU time")):
        old, new = ([pair[place] for pair in seconds[name]] for name in ("old", "new"))
        ratio = statistics.median(after / before for before, after in zip(old, new, strict=True))
        print(f"{what:<15} old {told(old)}   new {told(new)}   new / old {ratio:.2f}")


def run(tree: Path) -> tuple[float, float, float]:
    """Run once; returns seconds until the first training has ended and until the process has, and of CPU time."""
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "kseq", *RUN, "--out", f"{folder}/run"],
            env={**os.environ, "PYTHONPATH": str(tree)}, cwd=folder, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        lines = []
        first = None
        for line in process.stderr:
            lines.append(line)
            if first is None and "trainings done" in line:
                first = time.perf_counter() - started
        if process.wait() or first is None:
            sys.exit("".join(lines))
        end, after = time.perf_counter() - started, os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return first, end, used


def told(seconds: list[float]) -> str:
    """Median and quartiles in words."""
    low, middle, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
    return f"{middle:.2f} s ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
