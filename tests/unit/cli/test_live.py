"""The table on a terminal, and the lines elsewhere."""

import io

import click
import pytest
import rich.console

from kseq.cli.live import SHOWN, Progress
from kseq.training.progress import Block

pytestmark = pytest.mark.above_backends


def drawn(progress, width=100):
    """The table as text."""
    console = rich.console.Console(file=io.StringIO(), width=width)
    console.print(progress._drawn())
    return console.file.getvalue()


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda console: True))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def test_elsewhere_a_line_a_block(capsys):
    with Progress(4) as progress:
        progress("LSTM, seeds 0-1", 3, 9)
        progress.block_done(Block("LSTM, seeds 0-1", 2, (3, 9), 1.25))
        progress.block_done(Block("GRU, seeds 0-1", 2, (9, 9), 1.0, "native"))
    assert capsys.readouterr().err.splitlines() == [
        "LSTM, seeds 0-1: 3-9 epochs, 1.2 s; 2 of 4 trainings done",
        "GRU, seeds 0-1: 9 epochs, 1.0 s; 4 of 4 trainings done",
    ]


def test_jobs_on_workers_are_counted(capsys):
    with Progress() as progress:
        progress.workers("Dask at here:8786, dashboard http://here:8787/status")
        progress.jobs_planned(3, 30, 10)
        progress.job_done("RNN, seeds 0-9", 0.0, True, None)
        for name in ("LSTM, seeds 0-9", "GRU, seeds 0-9"):
            progress.job_started(name)
        assert "LSTM, seeds 0-9" in drawn(progress)
        assert "GRU, seeds 0-9" in drawn(progress)
        assert progress.summary() == "10 of 30 trainings done (10 kept), 2 running"
        progress.block_done(Block("GRU, seeds 0-9", 10, (7,) * 10, 2.0))
        progress.job_done("GRU, seeds 0-9", 2.0, False, None)
        assert progress.summary().startswith("20 of 30 trainings done (10 kept), 1 running, about 0:0")
        assert "http://here:8787/status" in drawn(progress, 200)
        progress.job_done("LSTM, seeds 0-9", 2.0, False, ValueError("no [red] numbers"))
        assert progress.summary() == "20 of 30 trainings done (10 kept), 1 failed, about 0:00 left"
    assert capsys.readouterr().err.splitlines() == [
        "jobs run on Dask at here:8786, dashboard http://here:8787/status",
        "10 of 30 trainings kept",
        "GRU, seeds 0-9: 7 epochs, 2.0 s; 20 of 30 trainings done",
        "LSTM, seeds 0-9 failed: ValueError: no [red] numbers",
    ]


def test_a_job_in_this_process_shows_its_epochs_in_its_place():
    with Progress(4) as progress:
        progress.jobs_planned(2, 4, 0)
        progress.job_started("GRU")
        assert "running" in drawn(progress)
        progress("GRU, seeds 0-1", 5, 9)
        assert "GRU, seeds 0-1" in drawn(progress)
        assert "epoch 5/9" in drawn(progress)
        progress.block_done(Block("GRU, seeds 0-1", 2, (9, 9), 1.0))
        progress.job_done("GRU", 1.0, False, None)
        assert progress.summary().startswith("2 of 4 trainings done, about")


def test_of_many_jobs_some_are_shown():
    with Progress() as progress:
        for number in range(SHOWN + 3):
            progress.job_started(f"[bold]job {number}")
        shown = drawn(progress)
        assert "[bold]job 0" in shown
        assert f"job {SHOWN}" not in shown
        assert "and 3 more" in shown


def test_time_left_is_that_of_what_is_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress(10)
    assert progress.seconds_left() is None
    progress.jobs_planned(10, 10, 4)
    progress.job_started("4")
    now[0] = 3600.0
    progress.block_done(Block("4", 1, (9,), 3600.0))
    progress.job_done("4", 3600.0, False, None)
    # What was kept took no time.
    assert progress.seconds_left() == 5 * 3600.0
    now[0] += 60.0
    assert progress.summary() == "5 of 10 trainings done (4 kept), about 4:59:00 left"


def test_on_a_terminal_the_table_goes_and_lines_stay_away(terminal, capsys):
    with Progress(2) as progress:
        progress("GRU\x1b[2J, seeds 0-1", 2, 2)
        progress.block_done(Block("GRU, seeds 0-1", 2, (2, 2), 1.0))
    shown = capsys.readouterr().err
    assert "epoch 2/2" in shown
    assert "2 of 2 trainings done" in shown
    assert "1.0 s" not in shown
    assert "\x1b[2J" not in shown


@pytest.mark.parametrize("where", ["terminal", "pipe"])
def test_quiet_is_quiet(where, request, capsys):
    if where == "terminal":
        request.getfixturevalue("terminal")
    with click.Context(click.Command("compare")) as context:
        context.meta["kseq.quiet"] = True
        with Progress(2) as progress:
            progress("GRU", 1, 2)
            progress.workers("2 processes")
            progress.jobs_planned(1, 2, 1)
            progress.job_started("GRU")
            progress.job_done("GRU", 1.0, False, ValueError("no"))
            progress.block_done(Block("GRU", 2, (2, 2), 1.0))
    assert capsys.readouterr().err == ""
