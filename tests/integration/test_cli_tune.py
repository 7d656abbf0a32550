import json

import pandas as pd
import pytest

from kseq.cli import main
from kseq.experiments import tune

pytestmark = pytest.mark.above_backends

QUICK = [
    "tune", "--trials", "2", "--trial-seeds", "1", "--units", "2,4", "--layers", "1", "--lookback", "3,6",
    "--learning-rate", "0.01", "--dropout", "0", "--weight-decay", "0,0.001",
    "--epochs", "2", "--seeds", "2", "--cells", "rnn,gru", "--baselines", "persistence",
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tune_writes_what_it_says(here, capsys):
    assert main([*QUICK, "--out", "run"]) == 0
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


def test_trials_that_are_done_stay_when_the_user_stops(here, capsys, monkeypatch):
    class Stopped(tune._Draws):
        def ask(self):
            if len(self.left) < len(self.space.grid):
                raise KeyboardInterrupt
            return super().ask()

    monkeypatch.setattr(tune, "_Draws", Stopped)
    assert main([*QUICK, "--out", "run"]) == 130
    assert sorted(path.name for path in (here / "run").iterdir()) == ["run.json", "tuning.csv"]
    assert "run has tuning.csv, run.json" in capsys.readouterr().err
    assert len(pd.read_csv(here / "run/tuning.csv")) == 1
    # That folder is kseq's: it can be tuned into again.
    assert main([*QUICK, "--out", "run"]) == 130


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--trials", "99"], "received --trials 99, expected at most 8"),
        (["--dropout", "high"], "received high, expected 0 or a number"),
        (["--units", "8,8"], "received --units (8, 8), expected each once"),
        (["--validation-share", "0"], "validation share of 0"),
        (["--transform", "none/"], "received transform ''"),
    ],
)
def test_wrong_input_is_told_in_one_line(here, capsys, typed, said):
    assert main([*QUICK, *typed, "--out", "run"]) == 2
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
