"""Nothing that is not kseq's own comes to standard error: no log and no warning of a framework."""

import importlib.util
import subprocess
import sys

import pytest

FEW = "--epochs 1 --units 3 --seeds 1 --lookback 6 --transform none --baselines persistence"

#: What a comparison of eight trainings runs, and what is done with a saved model.
COMMANDS = [
    f"compare --cells rnn,lstm,gru {FEW} --out run",
    f"compare --cells gru,lstm --horizon 2 --strategy recursive {FEW} --n-windows 4 --refit --out folds",
    "fit --cell gru --epochs 1 --units 3 --lookback 6 --transform none --out m.keras",
    "forecast --model m.keras --steps 3",
    "evaluate --model m.keras --data nino12",
]


def run(typed, folder):
    """Run a command in a process of its own, and return what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "kseq", *typed.split()], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("standard_error")


@pytest.mark.parametrize("typed", COMMANDS, ids=lambda typed: typed.partition(" ")[0])
def test_a_quiet_command_writes_nothing(typed, folder):
    assert run(f"{typed} --quiet", folder) == ""


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_a_savedmodel_is_written_without_a_word_of_tensorflow(folder):
    assert run("export --model m.keras --to savedmodel --quiet", folder) == ""
