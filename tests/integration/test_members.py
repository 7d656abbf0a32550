"""``--members``: the same comparison however many seeds train at once, and what its record says of it."""

import json

import pandas as pd
import pytest

from kseq.cli import main
from kseq.training import memory

pytestmark = pytest.mark.long

SEEDS = 3
COMPARE = [
    "compare", "--cells", "gru", "--units", "4", "--epochs", "3", "--patience", "1", "--batch-size", "0",
    "--seeds", str(SEEDS), "--baselines", "persistence", "--transform", "none",
    "--no-refit-on-validation",
]  # fmt: skip


@pytest.fixture
def compare(tmp_path, monkeypatch):
    """Run the command; give back its forecasts, its learning curves and the record of the cell."""
    monkeypatch.chdir(tmp_path)

    def run(name, *options):
        assert main([*COMPARE, "--out", name, *options]) == 0
        record = json.loads((tmp_path / name / "run.json").read_text())
        cell = next(model for model in record["models"] if model["kind"] == "cell")
        frames = [pd.read_csv(tmp_path / name / file) for file in ("predictions.csv", "history.csv")]
        return *frames, cell

    return run


# On every backend: tests/unit/training/test_memory.py.
@pytest.mark.above_backends
def test_blocks_give_the_comparison_of_all_at_once(compare, monkeypatch):
    forecasts, history, cell = compare("at-once")
    assert cell["members_at_once"] == SEEDS
    monkeypatch.setattr(memory.Cost, "training_bytes", lambda cost, batch: 10**6)
    monkeypatch.setattr(memory, "available", lambda: int(2.5e6 / memory.SHARE))
    for name, options in (("by-hand", ["--members", "2"]), ("by-memory", [])):
        parted_forecasts, parted_history, parted = compare(name, *options)
        assert parted["members_at_once"] == 2
        assert parted["seeds"] == cell["seeds"] == list(range(SEEDS))
        assert parted["epochs"] == cell["epochs"]
        pd.testing.assert_frame_equal(parted_forecasts, forecasts, rtol=1e-6)
        pd.testing.assert_frame_equal(parted_history, history, rtol=1e-5)


def test_more_members_than_seeds_are_all_seeds(compare):
    *_, cell = compare("run", "--members", "50")
    assert cell["members_at_once"] == SEEDS


def test_a_negative_number_of_members_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*COMPARE, "--members", "-1"]) == 2
    assert "--members" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
