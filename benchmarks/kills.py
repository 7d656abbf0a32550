"""Kill runs at random moments, start them again until they are done, and compare their forecasts bit for bit.

    python benchmarks/kills.py --kills 20 --out kills.json

Each run is a child of this process, which has loaded the framework already, and is ended by SIGKILL after a random time
that is up to what a run takes that nobody stops. Printed are kills, starts, trainings that were found kept, and whether
``predictions.csv`` is that of a run that was never stopped.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

QUICK = ["--epochs", "25", "--units", "4", "--seeds", "4", "--members", "1", "--horizon", "3", "--transform", "none",
         "--baselines", "persistence", "--quiet"]  # fmt: skip
RUNS = {
    "compare": ["compare", "--data", "nino12", *QUICK],
    "backtest": ["compare", "--data", "nino12", *QUICK, "--n-windows", "4", "--refit", "--seeds", "2"],
}


def started(arguments: list[str]) -> int:
    """Start a run in a child; returns its process number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setsid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    from kseq.cli import main

    os._exit(main(arguments))


def finished(child: int, seconds: float) -> bool:
    """Wait for a child; after some seconds it is killed. Returns whether it had ended by itself."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise SystemExit(f"a run ended with status {status}")
            return True
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def tortured(name: str, kills: int, seed: int) -> dict:
    """Kill a command so many times, over as many runs as it takes."""
    draw = random.Random(seed)
    place = Path(tempfile.mkdtemp(prefix="kseq-kills-"))
    finished(started([*RUNS[name], "--out", str(place / "first")]), 3600)
    # The first one loads fonts and compiles besides.
    begun = time.monotonic()
    finished(started([*RUNS[name], "--out", str(place / "whole")]), 3600)
    takes = time.monotonic() - begun
    expected = (place / "whole/predictions.csv").read_bytes()
    done = {"command": name, "seconds": round(takes, 2), "kills": 0, "starts": 0, "runs": 0, "equal": 0, "kept": []}
    while done["kills"] < kills:
        out = place / f"run{done['runs']}"
        killed = 0
        while True:
            done["starts"] += 1
            # A run that is killed again and again has everything kept: the others would fall upon its writing alone.
            left = done["kills"] < kills and killed < 2
            if finished(started([*RUNS[name], "--out", str(out)]), draw.uniform(0, takes) if left else 3600):
                break
            done["kills"] += 1
            killed += 1
            done["kept"].append(len(list(out.glob(".jobs/[0-9a-f][0-9a-f]/*.job"))))
        done["runs"] += 1
        done["equal"] += (out / "predictions.csv").read_bytes() == expected
    shutil.rmtree(place)
    return done


def main() -> None:
    """Kill each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", choices=RUNS, action="append")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import kseq

    # Children have what is loaded here.
    kseq.compare(
        "nino12", cells="rnn", seeds=1, epochs=1, units=2, horizon=2, transform="none", baselines="persistence"
    )
    results = [tortured(name, asked.kills, asked.seed) for name in asked.command or RUNS]
    text = json.dumps(results, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    if any(one["equal"] != one["runs"] for one in results):
        raise SystemExit("forecasts differ")


if __name__ == "__main__":
    main()
