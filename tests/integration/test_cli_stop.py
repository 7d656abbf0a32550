"""Signals and files of the user's, as the command meets them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from kseq import signals
from kseq.cli import main

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

QUICK = ["compare", "--epochs", "1", "--seeds", "1", "--units", "2", "--baselines", "persistence", "--cells", "gru",
         "--transform", "none", "--no-refit-on-validation"]  # fmt: skip
SIGNALS = [name for name in signals.NAMES if hasattr(signal, name)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dates = pd.date_range("2000-01-01", periods=120, freq="MS")
    pd.DataFrame({"ds": dates, "y": 20 + np.sin(np.arange(120))}).to_csv("series.csv", index=False)
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("command", ["compare", "tune"])
@pytest.mark.parametrize("out", [".", "../{here}", "link"])
def test_a_users_files_in_the_folder_stay(here, capsys, command, out):
    for name in ("horizon.csv", "history.csv", "tuning.csv"):
        (here / name).write_text("mine")
    (here / "link").symlink_to(".")
    before = contents(here)
    assert main([command, *QUICK[1:3], "--csv", "series.csv", "--out", out.format(here=here.name)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert contents(here) == before


def test_a_folder_with_other_files_is_used_without_touching_them(here, capsys):
    shutil.copy("series.csv", "data.csv")
    os.remove("series.csv")
    before = contents(here)
    for _ in range(2):
        assert main([*QUICK, "--csv", "data.csv", "--out", "."]) == 0
    assert contents(here)["data.csv"] == before["data.csv"]
    assert {"table.csv", "run.json", "comparison.png"} < {*contents(here)}
    assert [path.name for path in here.glob(".*")] == [".jobs"]


@pytest.mark.parametrize(
    "arguments",
    [["--csv", "run/table.csv"], ["--csv", "hard.csv"], ["--csv", "soft.csv"], ["--config", "hard.csv"]],
)
def test_an_output_that_is_an_input_is_refused_before_any_work(here, capsys, monkeypatch, arguments):
    def fail(*arguments, **options):
        pytest.fail("work has begun")

    (here / "run").mkdir()
    (here / "run/run.json").write_text('{"written_by": "kseq 0.2", "files": ["table.csv"]}')
    # As a file of options it is empty, and as data it has a row a month.
    text = "" if "--config" in arguments else (here / "series.csv").read_text()
    (here / "run/table.csv").write_text(text)
    os.link("run/table.csv", "hard.csv")
    os.symlink("run/table.csv", "soft.csv")
    monkeypatch.setattr("kseq.experiments.compare.compare", fail)
    before = contents(here / "run")
    assert main([*QUICK, *arguments, "--out", "run"]) == 2
    assert "which is read; expected another place to write." in capsys.readouterr().err
    assert contents(here / "run") == before


def test_a_model_is_not_written_over_what_is_no_model(here, capsys):
    (here / "model.keras").write_text("mine")
    assert main(["fit", "--csv", "series.csv", "--epochs", "1"]) == 2
    assert "model.keras was not written by kseq" in capsys.readouterr().err
    shutil.copy("series.csv", "data.keras")
    assert main(["fit", "--csv", "data.keras", "--epochs", "1", "--out", "data.keras"]) == 2
    assert "which is read" in capsys.readouterr().err
    assert (here / "model.keras").read_text() == "mine"
    assert contents(here)["data.keras"] == contents(here)["series.csv"]


def test_a_picture_that_cannot_be_drawn_is_one_line(here, capsys, monkeypatch):
    def fail(comparison):
        raise RuntimeError("no font")

    monkeypatch.setattr("kseq.report.plot.plot_history", fail)
    assert main([*QUICK, "--csv", "series.csv", "--out", "run"]) == 0
    captured = capsys.readouterr()
    expected = "kseq: history.png cannot be drawn (RuntimeError: no font); all other files are written.\n"
    assert captured.err.endswith(expected)
    assert "history.png" not in captured.out
    assert (here / "run/history.csv").exists()


def test_a_result_that_does_not_go_into_its_folder_is_shown_and_kept(here, capsys, monkeypatch):
    from kseq.report import run_folder

    frames = run_folder._frames

    def gone(comparison):
        shutil.rmtree(here / "run")
        return frames(comparison)

    monkeypatch.setattr(run_folder, "_frames", gone)
    assert main([*QUICK, "--csv", "series.csv", "--out", "run"]) == 2
    captured = capsys.readouterr()
    assert "GRU" in captured.out
    assert "run: files cannot be written (No such file or directory); the result is in run-rescued." in captured.err
    assert (here / "run-rescued/history.png").exists()


#: Sends a signal to itself at a place, by a function of kseq's that stands there.
SEND = """
import os, signal, sys
import {module}
from kseq.__main__ import main

def send(*arguments, **options):
    if {closed}:
        os.close(2)
    try:
        os.kill(os.getpid(), signal.{name})
    except BaseException:
        # What a module that is being imported may do.
        if {swallowed!r}:
            raise {swallowed}
        raise

{module}.{function} = send
sys.argv = ["kseq", *{arguments!r}]
sys.exit(main())
"""


def stopped(name, module, function, arguments, *, swallowed="", closed=False, **options):
    code = SEND.format(
        name=name, module=module, function=function, arguments=arguments, swallowed=swallowed, closed=closed
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100, **options
    )


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("swallowed", ["", "ImportError('numpy')"])
def test_signals_end_as_ctrl_c_does(here, name, swallowed):
    done = stopped(name, "kseq.data", "load_series", ["data"], swallowed=swallowed)
    assert done.returncode == 130
    by = "" if name == "SIGINT" else f" by {name}"
    assert done.stderr.strip() == f"kseq: stopped{by}; nothing was written."


def test_a_terminal_that_is_closed_is_no_fault(here):
    done = stopped("SIGHUP", "kseq.data", "load_series", ["data"], closed=True)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="of Unix")
def test_a_signal_that_is_ignored_stays_so(here):
    """As under nohup: the command, which finds no series, ends by itself."""
    done = stopped(
        "SIGHUP", "kseq.data", "load_series", ["data"],
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    assert done.returncode == 1
    assert "AttributeError" in done.stderr


def test_a_signal_while_the_command_line_is_imported_is_not_lost(here):
    code = (
        "import sys, os, signal\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['kseq', 'data']\n"
        "from kseq.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "kseq: stopped; nothing was written.\n")


def test_a_signal_that_gets_lost_ends_the_run_before_it_writes(here, capsys, monkeypatch):
    def lose(*arguments, **options):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("kseq.experiments.compare.compare", lose)
    assert main([*QUICK, "--csv", "series.csv", "--out", "deep/run"]) == 130
    assert "kseq: stopped by SIGTERM; nothing was written into deep/run." in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["series.csv"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
