"""A Dask cluster in which a worker is killed, another is slow and the scheduler is restarted: the same forecasts.

    python benchmarks/cluster.py

Three workers run in network namespaces of their own where ``ip netns`` is allowed, otherwise as plain processes. While
a backtest trains on them, one is killed, one is stopped for most of each second, and the scheduler is ended and
started again. Printed is whether forecasts are those of one process, bit for bit.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PORT = 18786
SETTINGS = {
    "cells": ("gru",), "epochs": 150, "units": 16, "seeds": 4, "members": 1, "horizon": 3, "transform": "none",
    "baselines": ("persistence",), "n_windows": 3, "refit": True, "refit_on_validation": False, "patience": 0,
}  # fmt: skip


def ran(*command: str) -> bool:
    """Run a command of the system; returns whether it went well."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Network:
    """A bridge with a namespace for each worker."""

    def __init__(self, workers: int):
        self.names: list[str] = []
        self.address = "127.0.0.1"
        if os.name != "posix" or os.geteuid() != 0 or not ran("ip", "link", "add", "kseq0", "type", "bridge"):
            return
        self.address = "10.97.0.1"
        made = ran("ip", "addr", "add", "10.97.0.1/24", "dev", "kseq0") and ran("ip", "link", "set", "kseq0", "up")
        for number in range(workers):
            name, inner = f"kseq-w{number}", f"kseqw{number}"
            made = made and ran("ip", "netns", "add", name)
            made = made and ran("ip", "link", "add", inner, "type", "veth", "peer", "name", "eth0", "netns", name)
            made = made and ran("ip", "link", "set", inner, "master", "kseq0", "up")
            made = made and ran("ip", "-n", name, "addr", "add", f"10.97.0.{number + 2}/24", "dev", "eth0")
            made = made and ran("ip", "-n", name, "link", "set", "eth0", "up") and ran(
                "ip", "-n", name, "link", "set", "lo", "up"
            )  # fmt: skip
            self.names.append(name)
        if not made:
            self.close()
            self.names, self.address = [], "127.0.0.1"

    def within(self, number: int) -> list[str]:
        """What a command of a worker begins with."""
        return ["ip", "netns", "exec", self.names[number]] if self.names else []

    def close(self) -> None:
        """Remove what was made."""
        for name in self.names:
            ran("ip", "netns", "del", name)
        ran("ip", "link", "del", "kseq0")


def begun(*command: str) -> subprocess.Popen:
    """Start a process in a group of its own."""
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ended(process: subprocess.Popen) -> None:
    """Kill a process and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def forecasts(executor: str | None) -> tuple[str, float]:
    """Digest of all forecasts, and seconds."""
    import kseq

    started = time.perf_counter()
    made = kseq.compare("nino12", executor=executor, **SETTINGS)
    digest = hashlib.sha256(b"".join(row.predictions.tobytes() for row in made.rows)).hexdigest()
    return digest, time.perf_counter() - started


def main() -> None:
    """Compare the forecasts of one process with those of a cluster in trouble."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    here, alone = forecasts(None)
    network = Network(3)
    schedule = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", network.address, "--port", str(PORT),
                "--no-dashboard"]  # fmt: skip
    scheduler = begun(*schedule)

    def worker(number: int) -> subprocess.Popen:
        return begun(
            *network.within(number), sys.executable, "-m", "distributed.cli.dask_worker",
            f"tcp://{network.address}:{PORT}", "--nthreads", "1", "--no-dashboard", "--death-timeout", "300",
        )  # fmt: skip

    workers = [worker(number) for number in range(3)]
    over, happened = threading.Event(), []  # type: ignore[var-annotated]

    def trouble() -> None:
        nonlocal scheduler
        over.wait(12)
        happened.append("killed" * (not over.is_set()))
        ended(workers[0])
        over.wait(4)
        happened.append("restarted" * (not over.is_set()))
        ended(scheduler)
        over.wait(2)
        scheduler = begun(*schedule)
        # Workers end with their scheduler, as under a job queue, which starts them again.
        for number in (1, 2):
            ended(workers[number])
            workers[number] = worker(number)

    def slow() -> None:
        while not over.wait(0.2):
            try:
                os.killpg(workers[1].pid, signal.SIGSTOP)
                over.wait(0.6)
                os.killpg(workers[1].pid, signal.SIGCONT)
            except ProcessLookupError:
                continue

    threads = [threading.Thread(target=work, daemon=True) for work in (trouble, slow)]
    try:
        for thread in threads:
            thread.start()
        there, seconds = forecasts(f"dask://{network.address}:{PORT}")
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for process in (*workers, scheduler):
            ended(process)
        network.close()
    found = {
        "namespaces": bool(network.names), "alone_s": round(alone, 1), "cluster_s": round(seconds, 1),
        "equal": here == there, "happened": happened,
    }  # fmt: skip
    print(json.dumps(found))
    if asked.out:
        asked.out.write_text(json.dumps(found) + "\n", encoding="utf-8")
    if here != there:
        raise SystemExit("forecasts differ")


if __name__ == "__main__":
    main()
