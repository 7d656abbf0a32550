"""Kill runs at random moments of their training, start them again until they are done, compare bit for bit.

    python benchmarks/kills.py --kills 20 --out kills.json

Each run is a child of this process, which has loaded the framework already, and is ended by SIGKILL. A run that nobody
stops says first when its training begins and ends; moments are drawn from there, and one in ten from the whole run.
A run that goes on has less to train, so that a moment that comes after its end is no kill, and another run is begun.

Printed are kills, how many of them fell within a training, starts, trainings begun and needed, and whether
``predictions.csv``, and of a tuning all trials, are those of a run that was never stopped. A kill may cost the block of
seeds, or the trial, that was at work, and nothing else: ``begun`` is at most ``needed`` and one for each kill.
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
    "tune": ["tune", "--data", "nino12", "--trials", "6", "--trial-seeds", "2", "--units", "2,4,8", "--layers", "1",
             "--lookback", "6,12", "--dropout", "0", "--weight-decay", "0", "--pruner", "median", "--epochs", "25",
             "--seeds", "2", "--members", "1", "--transform", "none", "--baselines", "persistence", "--quiet"],
    "audit": ["audit", "--data", "nino12", "--epochs", "10", "--units", "4", "--seeds", "3", "--members", "1",
              "--transform", "none", "--baselines", "persistence", "--quiet"],
}  # fmt: skip

#: Files of a run that are compared.
FILES = ("predictions.csv", "tuning.csv", "audit.csv")


def started(arguments: list[str], events: Path) -> int:
    """Start a run in a child, which writes a line when a job begins and when it has ended; returns its process."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setsid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    from kseq.cli import live, main

    lines = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    class Listening(live.Progress):
        """Notes jobs."""

        def job_started(self, name):
            os.write(lines, f"begun\t{time.monotonic()}\t{name}\n".encode())
            super().job_started(name)

        def job_done(self, name, seconds, kept, error):
            if not kept:
                os.write(lines, f"done\t{time.monotonic()}\t{name}\n".encode())
            super().job_done(name, seconds, kept, error)

    from kseq.cli import audit, compare, tune

    for module in (audit, compare, tune):
        module.Progress = Listening
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


def read(events: Path) -> list[tuple[str, float, str]]:
    """Lines that a run has written."""
    lines = (line.split("\t", 2) for line in events.read_text().splitlines()) if events.exists() else ()
    return [(what, float(when), name) for what, when, name in lines]


def content(place: Path) -> dict[str, bytes]:
    """What is compared of a run; seconds of a tuning's trials are the machine's."""
    found = {name: (place / name).read_bytes() for name in FILES if (place / name).exists()}
    if "tuning.csv" in found:
        import pandas as pd

        found["tuning.csv"] = pd.read_csv(place / "tuning.csv").drop(columns="seconds").to_csv().encode()
    return found


def tortured(name: str, kills: int, seed: int) -> dict:
    """Kill a command so many times, over as many runs as it takes."""
    draw = random.Random(seed)
    place = Path(tempfile.mkdtemp(prefix="kseq-kills-"))

    def begin(out: str) -> tuple[int, Path]:
        events = place / f"{out}.events"
        return started([*RUNS[name], "--out", str(place / out)], events), events

    finished(begin("first")[0], 3600)
    # The first one loads fonts and compiles besides.
    begun = time.monotonic()
    child, events = begin("whole")
    finished(child, 3600)
    takes = time.monotonic() - begun
    at = [when - begun for _, when, _ in read(events)]
    needed = len([what for what, _, _ in read(events) if what == "begun"])
    expected = content(place / "whole")
    result = {
        "command": name, "seconds": round(takes, 2), "training": [round(min(at), 2), round(max(at), 2)], "kills": 0,
        "within_training": 0, "starts": 0, "runs": 0, "equal": 0, "begun": 0, "needed": 0,
    }  # fmt: skip
    while result["kills"] < kills:
        out, killed, before = f"run{result['runs']}", 0, 0
        while True:
            result["starts"] += 1
            # A run that is killed again and again has everything kept: the others would fall upon its writing alone.
            left = result["kills"] < kills and killed < 3
            # What is kept already is not trained again.
            from_, to = (
                (min(at), max(at) - before / needed * (max(at) - min(at))) if draw.random() < 0.9 else (0, takes)
            )
            child, events = begin(out)
            if finished(child, draw.uniform(from_, to) if left else 3600):
                break
            lines = read(events)
            doing = [what for what, _, _ in lines]
            result["kills"] += 1
            killed += 1
            result["within_training"] += bool(lines) and lines[-1][0] == "begun"
            before = doing.count("done")
        doing = [what for what, _, _ in read(events)]
        result["begun"] += doing.count("begun")
        result["needed"] += needed
        result["runs"] += 1
        result["equal"] += content(place / out) == expected
    shutil.rmtree(place)
    return result


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
    if any(one["begun"] > one["needed"] + one["within_training"] for one in results):
        raise SystemExit("a kill has cost more than what was at work")


if __name__ == "__main__":
    main()
