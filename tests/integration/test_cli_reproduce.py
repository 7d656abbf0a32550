import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kseq import Settings, backends, compare, from_frame
from kseq.cli import main

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

BACKEND = os.environ["KERAS_BACKEND"]
QUICK = ["compare", "--epochs", "2", "--seeds", "2", "--units", "3", "--baselines", "persistence", "--cells", "gru",
         "--transform", "none"]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run on a user's file, most of it by a file of options."""
    here = tmp_path_factory.mktemp("made")
    rows = "".join(f"{2000 + i // 12},{i % 12 + 1},{20 + np.sin(i):.4f},{i % 5}\n" for i in range(120))
    (here / "project").mkdir()
    (here / "project/mine.csv").write_text("a remark\nyear,month,temp,wind\n" + rows)
    (here / "project/kseq.toml").write_text(
        'csv = "mine.csv"\nheader = 1\ntime = ["year", "month"]\ntarget = "temp"\nfeatures = ["wind"]\nunit = "K"\n'
        "lookback = 4\nhorizon = 2\ndropout = 0.2\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert main([*QUICK, "--config", "project/kseq.toml", "--out", "run"]) == 0
    return here


@pytest.fixture
def run(made, here):
    """The run, to be changed at will."""
    shutil.copytree(made, here, dirs_exist_ok=True)
    return here / "run"


def rewrite(run, change):
    """Change a run's record by hand."""
    record = json.loads((run / "run.json").read_text())
    change(record)
    (run / "run.json").write_text(json.dumps(record))


def test_a_run_made_again_is_the_same_bit_for_bit(run, capsys):
    assert main(["reproduce", "run/run.json", "--out", "again"]) == 0
    out = capsys.readouterr().out
    assert "Identical: all " in out
    assert "Not as in the run" not in out
    for row in ("Persistence", "GRU", "GRU x2 mean"):
        assert any(line.startswith(row) and line.split()[-2] == "all" for line in out.splitlines())
    again = run.parent / "again"
    assert {path.name for path in again.iterdir()} == {path.name for path in run.iterdir()} - {".jobs"}
    assert (again / "predictions.csv").read_bytes() == (run / "predictions.csv").read_bytes()


def test_a_built_in_series_and_nothing_written(here, capsys):
    assert main([*QUICK, "--data", "co2", "--transform", "auto", "--out", "run"]) == 0
    assert main(["reproduce", "run"]) == 0
    assert "Identical: all " in capsys.readouterr().out
    assert [path.name for path in here.iterdir()] == ["run"]


def test_a_figure_that_differs_is_told_with_status_1(run, capsys):
    def change(record):
        gru = next(model for model in record["models"] if model["name"] == "GRU")
        gru["mae"][1] += 0.125
        record["versions"]["keras"] = "2.0"

    rewrite(run, change)
    assert main(["reproduce", "run", "--quiet"]) == 1
    captured = capsys.readouterr()
    assert "1 of " in captured.out
    assert "figures differ, the most mae[1] of GRU: " in captured.out
    assert "  - keras 2.0 there, " in captured.out
    assert captured.err == ""


def test_backend_and_device_are_those_of_the_run_unless_named(run, monkeypatch):
    asked = []
    monkeypatch.setattr(backends, "choose", lambda *choice: asked.append(choice))
    monkeypatch.setattr("kseq.experiments.reproduce.Recorded.repeat", _stop)
    for named in ([], ["--backend", "torch"], ["--device", "cpu"]):
        assert main(["reproduce", "run", *named]) == 130
    rewrite(run, lambda record: record.update(backend="jax", device="NVIDIA H100"))
    assert main(["reproduce", "run"]) == 130
    assert asked == [(BACKEND, "cpu"), ("torch", "cpu"), (BACKEND, "cpu"), ("jax", "gpu")]


def _stop(*job):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["none"], "received none, where there is no none; expected the folder of a run, or its run.json."),
        (["project"], "received project, where there is no run.json"),
        (["project/mine.csv"], "received project/mine.csv, which is not JSON"),
        ([], "Missing argument 'RUN'"),
        (["run", "--backend", "theano"], "received backend 'theano'"),
        (["run", "--out", "run"], "received --out run, the folder of the run itself; expected another."),
        (["run", "--out", ""], "received '', expected the name of a folder"),
        (["run", "--file", "none.csv"], "run/run.json was made from none.csv, which does not exist here"),
        (["run", "--file", "project/kseq.toml"], "has rows of 2 fields under a header of 1 (header = 1)"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, capsys, arguments, expected):
    before = sorted(run.parent.rglob("*"))
    assert main(["reproduce", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert sorted(run.parent.rglob("*")) == before


def test_data_that_have_moved_or_changed(run, capsys):
    Path("project/mine.csv").rename("here.csv")
    assert main(["reproduce", "run"]) == 2
    assert "run.json was made from project/mine.csv, which does not exist here" in capsys.readouterr().err
    assert main(["reproduce", "run", "--file", "here.csv"]) == 0
    Path("here.csv").write_text(Path("here.csv").read_text().replace("2005,3,", "2005,3,1"))
    capsys.readouterr()
    assert main(["reproduce", "run", "--file", "here.csv"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("kseq: the data have changed since run/run.json was made: received 120 rows")
    assert captured.out == ""


def test_a_run_of_a_script(here, capsys):
    frame = pd.DataFrame({"y": np.sin(np.arange(60.0))})
    compare(from_frame(frame, name="waves"), Settings(cells=(), baselines=("persistence",))).write("run")
    assert main(["reproduce", "run"]) == 2
    assert "the series 'waves' (60 rows) was made by a script, and its data are not" in capsys.readouterr().err


def test_a_record_of_another_version(run, capsys):
    rewrite(run, lambda record: record["settings"].update(attention=True))
    assert main(["reproduce", "run"]) == 2
    captured = capsys.readouterr()
    assert "run/run.json was made by another version, kseq " in captured.err
    assert captured.err.count("\n") == 1
