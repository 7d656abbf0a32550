import json
import signal
import subprocess
import sys

import pandas as pd
import pytest

from kseq.cli import main
from kseq.experiments._study import Study

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

REFITTED = [
    "tune", "--trials", "2", "--trial-seeds", "1", "--units", "2,4", "--layers", "1", "--lookback", "3,6",
    "--learning-rate", "0.01", "--dropout", "0", "--weight-decay", "0,0.001",
    "--epochs", "2", "--seeds", "2", "--cells", "rnn,gru", "--baselines", "persistence", "--transform", "none",
]  # fmt: skip
QUICK = [*REFITTED, "--no-refit-on-validation"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tune_writes_what_it_says(here, capsys):
    assert main([*REFITTED, "--transform", "auto", "--out", "run"]) == 0
    printed = capsys.readouterr()
    assert "tuned with 2 trials for each cell" in " ".join(printed.out.split())
    assert "A new study" not in printed.err
    trials = pd.read_csv(here / "run/tuning.csv")
    assert trials["model"].tolist() == ["SimpleRNN"] * 2 + ["GRU"] * 2
    assert set(trials["lookback"]) <= {3, 6}
    record = json.loads((here / "run/run.json").read_text())
    best = trials[trials["chosen"]].set_index("model")
    assert record["settings"]["by_cell"]["gru"]["units"] == best["units"]["GRU"]
    assert record["settings"]["lookback"] == 6
    assert record["tuning"]["space"]["weight_decay"] == [0, 0.001]
    table = pd.read_csv(here / "run/table.csv").set_index("model")
    assert table.loc[["SimpleRNN", "GRU"], "trials"].tolist() == [2, 2]
    assert table.loc["GRU", "lookback"] == best["lookback"]["GRU"]
    # The comparison is repeated from its record, without the trials.
    assert main(["reproduce", "run"]) == 0


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*QUICK, "--out", str(folder)]) == 0
    return files(folder)


def files(folder):
    """What a tuning has written that must not depend on how often it was stopped; seconds are told apart."""
    trials = pd.read_csv(folder / "tuning.csv").drop(columns="seconds")
    return trials.to_csv(), (folder / "predictions.csv").read_bytes()


def stop_after(monkeypatch, trials):
    """Let a tuning be stopped by Ctrl-C once so many trials are done."""
    finish, done = Study.finish, []

    def stopping(self, draw, outcome):
        finish(self, draw, outcome)
        done.append(draw)
        if len(done) == trials:
            raise KeyboardInterrupt

    monkeypatch.setattr(Study, "finish", stopping)


def test_a_tuning_that_is_stopped_goes_on_with_the_same_bits(here, capsys, monkeypatch, uninterrupted):
    for kept, more in ((0, 1), (1, 2)):
        with monkeypatch.context() as patch:
            stop_after(patch, more)
            assert main([*QUICK, "--out", "run"]) == 130
        told = capsys.readouterr().err
        assert ("1 of 4 trials kept" in told) == bool(kept)
        assert "run has " in told
        record = json.loads((here / "run/run.json").read_text())
        assert (record["finished"], record["command"], record["trials"]) == (False, "tune", 4)
        assert main(["runs", "."]) == 0
        (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("run (trials)"))
        # This process, which is there, is that of the tuning.
        assert line.split()[2] == "running"
        # The table lacks the trial that ended last.
        assert f"{kept + more - 1} of 4" in line
    # The trial that ended last was kept, though it was not yet shown in the table.
    assert len(pd.read_csv(here / "run/tuning.csv")) == 2
    assert main([*QUICK, "--out", "run"]) == 0
    assert "3 of 4 trials kept" in capsys.readouterr().err
    assert files(here / "run") == uninterrupted
    # A finished one has them all, until it is told to forget them.
    assert main([*QUICK, "--out", "run"]) == 0
    assert "4 of 4 trials kept" in capsys.readouterr().err
    assert files(here / "run") == uninterrupted
    assert main([*QUICK, "--out", "run", "--fresh"]) == 0
    assert "kept" not in capsys.readouterr().err
    assert files(here / "run") == uninterrupted


def test_more_trials_are_added_and_others_are_not_mixed_in(here, capsys, uninterrupted):
    assert main([*QUICK, "--trials", "1", "--out", "run"]) == 0
    assert main([*QUICK, "--out", "run"]) == 0
    assert "2 of 4 trials kept" in capsys.readouterr().err
    assert files(here / "run") == uninterrupted
    # Other epochs are other trials; both are kept.
    assert main([*QUICK, "--epochs", "1", "--out", "run"]) == 0
    assert "kept" not in capsys.readouterr().err
    assert main([*QUICK, "--out", "run"]) == 0
    assert "4 of 4 trials kept" in capsys.readouterr().err


#: Kills itself when it has begun to write the line of a trial.
KILL = """
import os, signal, sys
from kseq.__main__ import main
from kseq.experiments._study import Journal

add, count = Journal.add, []

def killing(self, study, trial):
    count.append(trial)
    if len(count) == 2:
        with open(sys.argv[-1] + "/tuning.journal", "ab") as file:
            file.write(b'{"op_code": 4, "worker')
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, study, trial)

Journal.add = killing
sys.exit(main())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="of Unix")
def test_a_killed_process_loses_the_trial_that_was_running(here, capsys, uninterrupted):
    killed = subprocess.run([sys.executable, "-c", KILL, *QUICK, "--out", "run"], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert main([*QUICK, "--out", "run"]) == 0
    assert "1 of 4 trials kept" in capsys.readouterr().err
    assert files(here / "run") == uninterrupted


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--trials", "99"], "received --trials 99, expected at most 8"),
        (["--dropout", "high"], "received high, expected 0 or a number"),
        (["--trials-at-once", "0"], "received 0, expected a whole number from 1"),
        (["--pruner", "hyperband"], "'hyperband' is not one of 'none', 'median', 'halving'"),
        (["--units", "8,8"], "received --units (8, 8), expected each once"),
        (["--validation-share", "0"], "validation share of 0"),
        (["--transform", "none/"], "received transform ''"),
    ],
)
def test_wrong_input_is_told_in_one_line(here, capsys, typed, said):
    assert main([*REFITTED, *typed, "--out", "run"]) == 2
    assert said in capsys.readouterr().err
    assert not (here / "run").exists()


def test_tune_takes_the_options_of_compare(capsys):
    assert main(["tune", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--horizon" in shown
    assert "--n-windows" in shown
    assert "--match" not in shown
    assert shown.count("--units") == 1


def test_a_strategy_is_tuned_as_it_is_compared(here):
    typed = ["--cells", "rnn", "--strategy", "recursive", "--horizon", "3", "--seeds", "1", "--out", "run"]
    assert main([*QUICK, *typed]) == 0
    assert json.loads((here / "run/run.json").read_text())["settings"]["strategy"] == "recursive"
    assert pd.read_csv(here / "run/horizon.csv")["step"].max() == 3


def test_transforms_are_chosen_among_or_fixed(here, capsys):
    assert main([*QUICK, "--cells", "rnn", "--trials", "6", "--transform", "none/anomaly,change", "--out", "run"]) == 0
    assert "transform: each cell's own" in capsys.readouterr().out
    trials = pd.read_csv(here / "run/tuning.csv")
    assert set(trials["transform"]) == {"none", "anomaly,change"}
    record = json.loads((here / "run/run.json").read_text())
    assert record["settings"]["by_cell"]["rnn"]["transform"] == trials.set_index("chosen")["transform"][True]
    assert main([*QUICK, "--cells", "rnn", "--transform", "anomaly,change", "--out", "other"]) == 0
    assert "transform: anomaly" in capsys.readouterr().out
    assert "transform" not in pd.read_csv(here / "other/tuning.csv")
    record = json.loads((here / "other/run.json").read_text())
    assert record["settings"]["transform"] == "anomaly,change"


def test_a_model_that_is_saved_has_no_strategy(here, capsys):
    assert main(["fit", "--strategy", "recursive"]) == 2
    assert "No such option" in capsys.readouterr().err
