"""A run that is killed goes on with the same command, and writes the same forecasts bit for bit."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kseq.cli import main

pytestmark = [
    pytest.mark.long,
    pytest.mark.above_backends,
    pytest.mark.skipif(sys.platform == "win32", reason="runs are killed by a signal"),
]

RUN = [
    "compare", "--cells", "rnn", "--epochs", "1", "--units", "3", "--seeds", "3", "--members", "1",
    "--horizon", "2", "--transform", "none", "--baselines", "persistence", "--n-windows", "2", "--refit",
]  # fmt: skip


def test_a_killed_backtest_goes_on_and_writes_the_same_forecasts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = subprocess.Popen([sys.executable, "-m", "kseq", *RUN, "--out", "run"], stderr=subprocess.DEVNULL)
    while run.poll() is None and len(list((tmp_path / "run").glob(".jobs/??/*.job"))) < 2:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (tmp_path / "run/run.json").exists()
    assert main(["runs", "run"]) == 0
    assert "stopped" in capsys.readouterr().out
    assert main([*RUN, "--out", "run"]) == 0
    told = capsys.readouterr().err
    assert "trainings kept" in told
    assert main([*RUN, "--out", "whole"]) == 0
    assert "kept" not in capsys.readouterr().err
    assert (tmp_path / "run/predictions.csv").read_bytes() == (tmp_path / "whole/predictions.csv").read_bytes()
    assert main(["runs", "."]) == 0
    listed = capsys.readouterr().out
    assert listed.count("finished") == 2
    assert "stopped" not in listed
    assert not [name for name in os.listdir("run") if name.startswith(".run")]
