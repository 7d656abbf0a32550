"""Nothing that is not kseq's own comes to standard error: no log and no warning of a framework."""

import importlib.util
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

FEW = "--epochs 1 --units 3 --seeds 1 --lookback 6 --transform none --no-refit-on-validation --baselines persistence"

#: What a comparison runs, and what is done with a model; a process each, for its start takes longer than a command.
COMMANDS = {
    "compare": [
        f"compare --cells rnn,lstm,gru {FEW} --out run",
        f"compare --cells gru --horizon 2 --strategy recursive {FEW} --n-windows 2 --refit",
    ],
    "fit, forecast, evaluate": [
        "fit --cell gru --epochs 1 --units 3 --lookback 6 --transform none --no-refit --out m.keras",
        "forecast --model m.keras --steps 3",
        "evaluate --model m.keras --data nino12",
    ],
}

#: Runs commands as `kseq` does, one after the other.
CODE = """
import sys
from kseq.__main__ import main

for typed in sys.argv[1:]:
    sys.argv = ["kseq", *typed.split()]
    status = main()
    if status:
        sys.exit(f"{typed}: status {status}")
"""


def run(commands, folder):
    """Run commands in a process of their own, and return what they wrote to standard error."""
    typed = [f"{command} --quiet" for command in commands]
    done = subprocess.run([sys.executable, "-c", CODE, *typed], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("standard_error")


@pytest.mark.parametrize("commands", COMMANDS.values(), ids=COMMANDS)
def test_a_quiet_command_writes_nothing(commands, folder):
    assert run(commands, folder) == ""


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_a_savedmodel_is_written_without_a_word_of_tensorflow(folder):
    assert run(["export --model m.keras --to savedmodel"], folder) == ""
