"""``kseq explain`` from the command line."""

import json

import pandas as pd
import pytest

from kseq.cli import main

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

QUICK = ["--epochs", "2", "--seeds", "2", "--units", "4", "--no-problems", "--no-variants"]


@pytest.mark.pictures
def test_a_series_is_explained_and_everything_written(tmp_path, capsys):
    assert main(["explain", *QUICK, "--cells", "rnn,lstm,gru", "--out", str(tmp_path / "why")]) == 0
    printed = capsys.readouterr().out
    for text in (
        "lesson says",
        "holds here",
        "What was measured",
        "When to use each",
        "LSTM, step by step",
        "gradients.png",
    ):
        assert text in printed
    lesson = pd.read_csv(tmp_path / "why" / "lesson.csv")
    assert lesson["model"].value_counts().to_dict() == {"SimpleRNN": 5, "LSTM": 5, "GRU": 5}
    record = json.loads((tmp_path / "why" / "explanation.json").read_text())
    assert record["series"] == "nino12"
    assert record["transform"] == "none"
    assert "gates.csv" in record["files"]


def test_json_and_csv_alone_go_to_standard_output(tmp_path, capsys):
    arguments = ["explain", *QUICK, "--cells", "gru", "--transform", "anomaly", "--lookback", "6"]
    assert main([*arguments, "--format", "json", "--out", str(tmp_path / "a")]) == 0
    assert json.loads(capsys.readouterr().out)["transform"].startswith("anomaly")
    assert main([*arguments, "--format", "csv", "--out", str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out.startswith("property,model,lesson,measured,holds")


def test_a_model_of_fit_is_explained(tmp_path, capsys):
    model = tmp_path / "gru.keras"
    assert main(["fit", "--epochs", "1", "--units", "4", "--transform", "none", "--out", str(model)]) == 0
    assert main(["explain", "--model", str(model), "--out", str(tmp_path / "why")]) == 0
    printed = capsys.readouterr().out
    assert "GRU of gru.keras, 1 network" in printed
    assert not (tmp_path / "why" / "training.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--problems-only", "--no-problems"], "received --problems-only and --no-problems"),
        (["--problems-only", "--data", "co2"], "received --problems-only and --data"),
        (["--long", "--no-problems"], "received --long and --no-problems"),
        (["--model", "nowhere.keras", "--long"], "received --long and --model"),
        (["--cells", "none", "--no-problems"], "none"),
    ],
)
def test_options_that_contradict_one_another_are_refused(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
