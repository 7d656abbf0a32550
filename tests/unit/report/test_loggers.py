"""What TensorBoard, MLflow and loggers of one's own get of a comparison, read back from what was written."""

import json
import struct
import sys

import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, compare, from_frame
from kseq.cli import main

pytestmark = pytest.mark.above_backends

QUICK = {
    "cells": ("rnn", "gru"), "seeds": (3, 5), "units": 2, "lookback": 4, "epochs": 2, "baselines": ("persistence",)
}  # fmt: skip


@pytest.fixture(scope="module")
def series():
    y = np.sin(np.arange(80) / 3) + np.random.default_rng(0).normal(size=80) / 10
    return from_frame(pd.DataFrame({"y": y}), target="y", name="waves")


def events(folder):
    """All scalars and texts of TensorBoard's event files, by folder, tag and step."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in folder.rglob("events.*"):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (size,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + size])
            at += 12 + size + 4
            for value in event.summary.value:
                text = b"".join(value.tensor.string_val).decode()
                key = (str(path.parent.relative_to(folder)), value.tag, event.step)
                found[key] = text or value.simple_value
    return found


class Own:
    """A logger of one's own."""

    def __init__(self):
        self.told = []

    def row(self, result):
        self.told.append(result.name)

    def end(self, comparison):
        self.told.append(None if comparison is None else len(comparison.table))


def test_tensorboard_has_curves_and_table(series, tmp_path):
    pytest.importorskip("tensorboardX")
    compared = compare(series, **QUICK, out=tmp_path / "runs" / "first", log="tensorboard")
    found = events(tmp_path / "runs" / "tensorboard" / "first")
    for line in compared.history.itertuples():
        for name in ("loss", "val_loss"):
            written = found[f"{line.model}/seed-{line.seed}", name, line.epoch]
            assert written == pytest.approx(getattr(line, name), rel=1e-6)
    table = compared.table.set_index("model")
    assert found["GRU", "table/mae", 0] == pytest.approx(table["mae"]["GRU"], rel=1e-6)
    assert found["Persistence", "table/rmse", 0] == pytest.approx(table["rmse"]["Persistence"], rel=1e-6)
    assert "| Persistence" in found["comparison", "table/text_summary", 0]
    assert '"seeds"' in found["comparison", "settings/text_summary", 0]
    # Another run of that name has a folder of its own.
    compare(series, **QUICK | {"cells": ()}, out=tmp_path / "runs" / "first", log="tensorboard")
    again = events(tmp_path / "runs" / "tensorboard" / "first-2")
    assert {model for model, _, _ in again} == {"Persistence", "comparison"}


def test_each_fold_has_its_curves(series, tmp_path):
    pytest.importorskip("tensorboardX")
    plan = QUICK | {"cells": "rnn", "n_windows": 2, "refit": True}
    compared = compare(series, **plan, out=tmp_path / "run", log="tensorboard")
    found = events(tmp_path / "tensorboard" / "run")
    for line in compared.history.itertuples():
        written = found[f"{line.model}/seed-{line.seed}-fold-{line.fold}", "loss", line.epoch]
        assert written == pytest.approx(line.loss, rel=1e-6)


def test_mlflow_has_curves_settings_and_table(series, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    compared = compare(series, **QUICK, out=tmp_path / "first", log=["mlflow"])
    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("kseq").experiment_id])
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params["seeds"] == "[3, 5]"
    table = compared.table.set_index("model")
    assert run.data.metrics["GRU/table/mae"] == table["mae"]["GRU"]
    for line in compared.history.itertuples():
        history = client.get_metric_history(run.info.run_id, f"{line.model}/seed-{line.seed}/val_loss")
        assert {metric.step: metric.value for metric in history}[line.epoch] == line.val_loss
    written = client.download_artifacts(run.info.run_id, "table.csv", str(tmp_path))
    with open(written, encoding="utf-8") as file:
        assert file.read() == (tmp_path / "first" / "table.csv").read_text()


def test_a_logger_of_ones_own_is_a_class_with_two_methods(series):
    one = Own()
    compared = compare(series, **QUICK, log=one)
    assert one.told == [*(row.name for row in compared.rows), len(compared.table)]


def test_a_run_that_fails_is_told(series, monkeypatch):
    one = Own()

    def fail(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kseq.comparison.jobs.fit", fail)
    with pytest.raises(KeyboardInterrupt):
        compare(series, **QUICK, log=[one])
    assert one.told == ["Persistence", None]


def test_a_logger_that_fails_costs_no_training(series):
    class Failing(Own):
        def row(self, result):
            raise OSError("the server is gone")

    failing, one = Failing(), Own()
    with pytest.warns(UserWarning, match="Failing takes no more: OSError: the server is gone"):
        compared = compare(series, **QUICK | {"cells": ()}, log=[failing, one])
    assert len(compared.table) == 1
    assert failing.told == []
    assert one.told == ["Persistence", 1]


@pytest.mark.parametrize(("log", "package"), [("tensorboard", "tensorboardX"), ("mlflow", "mlflow")])
def test_what_is_not_installed_is_told_before_any_training(series, tmp_path, capsys, monkeypatch, log, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"received log {log}, which needs \w+; run pip install 'kseq\[{log}\]'"):
        compare(series, **QUICK, log=log)
    assert main(["compare", "--log", log, "--epochs", "1"]) == 2
    assert f"received --log {log}, which needs" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("log", ["wandb", 3, [object()]])
def test_what_is_no_logger_is_refused(series, log):
    with pytest.raises(ConfigError, match="expected tensorboard or mlflow"):
        compare(series, **QUICK, log=log)


def test_the_command_writes_beside_its_folder(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    typed = ["--epochs", "1", "--seeds", "1", "--units", "2", "--cells", "rnn", "--baselines", "persistence"]
    assert main(["compare", *typed, "--out", "runs/a", "--log", "tensorboard"]) == 0
    found = events(tmp_path / "runs/tensorboard/a")
    assert ("SimpleRNN/seed-0", "val_loss", 1) in found
    assert json.loads((tmp_path / "runs/a/run.json").read_text())["files"]
