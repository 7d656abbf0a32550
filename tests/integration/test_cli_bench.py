import errno
import json
import os

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from kseq.bench import measured, timings
from kseq.cli import main
from kseq.report import run_folder

# Contenders on every backend: tests/unit/bench/test_timings.py.
pytestmark = [pytest.mark.above_backends, pytest.mark.long]

BACKEND = os.environ["KERAS_BACKEND"]
QUICK = ["bench", "--workloads", "plain", "--rounds", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own, a workload that takes no time, and no measuring of the machine."""
    monkeypatch.chdir(tmp_path)
    workload = timings.Workload(windows=10, time=3, features=2, units=2, batch=4)
    for module in (timings, measured):
        monkeypatch.setattr(module, "WORKLOADS", {"plain": workload})
    monkeypatch.setattr(timings, "peak_flops", lambda: 1e9)
    return tmp_path


def untrained(monkeypatch, difference=0.0):
    """Measure nothing: stock Keras takes three seconds, kseq one."""

    def measure(name, cell, rounds, members, contenders):
        return [
            timings.Measurement(name, cell, "stock Keras", first=4.0, seconds=[3.0] * rounds),
            timings.Measurement(name, cell, "kseq", first=2.0, seconds=[1.0] * rounds, difference=difference),
        ]

    monkeypatch.setattr(timings, "_measure", measure)


@pytest.mark.pictures
def test_files_hold_what_is_printed(here, capsys):
    assert main([*QUICK, "--cells", "gru", "--members", "1,2", "--out", "deep/run"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "plain, GRU\n"
    assert f"{BACKEND} on " in captured.out.splitlines()[-1]
    folder = here / "deep/run"
    assert sorted(path.name for path in folder.iterdir()) == [
        "bench.csv", "bench.html", "bench.json", "bench.png",
    ]  # fmt: skip
    table = pd.read_csv(folder / "bench.csv")
    alone = ["stock Keras", *["native loop"] * (BACKEND == "torch"), *timings.USERS.values()]
    assert table["contender"].tolist() == [*alone, "kseq", *alone, "two processes", "kseq"]
    assert table["members"].tolist() == [1] * (len(alone) + 1) + [2] * (len(alone) + 2)
    for line in table.itertuples():
        shown = f"{line.ms:.2f}"
        assert any(line.contender in text and shown in text for text in captured.out.splitlines())
    record = json.loads((folder / "bench.json").read_text(), parse_constant=pytest.fail)
    assert record["machine"]["backend"] == BACKEND
    for timed, line in zip(record["measurements"], table.itertuples(), strict=True):
        assert (timed["contender"], timed["members"]) == (line.contender, line.members)
        assert 1e3 * np.median(timed["seconds"]) == pytest.approx(line.ms)
    # The processes count no first epoch, which JSON tells by null.
    assert next(m for m in record["measurements"] if m["contender"] == "two processes")["first"] is None
    height, width, _ = matplotlib.image.imread(folder / "bench.png").shape
    assert min(height, width) > 400


def test_contenders_are_chosen(here, capsys):
    assert main([*QUICK, "--cells", "rnn", "--contenders", "arrays,builder", "--out", "run"]) == 0
    assert pd.read_csv("run/bench.csv")["contender"].tolist() == ["builder", "plain arrays", "kseq"]
    capsys.readouterr()
    assert main([*QUICK, "--contenders", "magic"]) == 2
    assert "received contender 'magic', expected one of stock, native, " in capsys.readouterr().err
    assert main(["bench", "--data", "--contenders", "stock"]) == 2
    assert "received --contenders with --data" in capsys.readouterr().err


def test_a_ratio_is_printed_where_forecasts_are_equal(here, capsys, monkeypatch):
    untrained(monkeypatch)
    assert main(QUICK) == 0
    out = capsys.readouterr().out
    assert out.count("3.00x") == 3
    assert "not equal" not in out
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("difference", [1.0, float("nan")])
def test_no_speed_up_where_forecasts_differ(here, capsys, monkeypatch, difference):
    untrained(monkeypatch, difference)
    assert main([*QUICK, "--out", "run"]) == 0
    out = capsys.readouterr().out
    assert out.count("not equal") == 3
    assert "3.00x" not in out
    assert pd.read_csv(here / "run/bench.csv")["ratio"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--workloads", "tiny"], "received workload 'tiny', expected one of plain."),
        (["--workloads", "plain,plain"], "received plain,plain, expected each once"),
        (["--cells", "elman"], "received cell 'elman', expected one of rnn, lstm, gru."),
        (["--rounds", "0"], "'--rounds': received 0, expected a whole number from 1."),
        (["--members", "1,two"], "'--members': received two, expected a whole number from 1."),
        (["--members", "0"], "'--members': received 0, expected a whole number from 1."),
        (["--backend", "theano"], "received backend 'theano'"),
        (["--out", ""], "received '', expected the name of a folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(here, capsys, arguments, expected):
    assert main([*QUICK, "--out", "run", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert list(here.iterdir()) == []


def test_a_full_disk_leaves_nothing(here, capsys, monkeypatch):
    untrained(monkeypatch)

    def full(path, content):
        path.open("wb").close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.tempdir", str(here))
    monkeypatch.setattr(run_folder.Path, "write_bytes", full)
    assert main([*QUICK, "--out", "deep/run"]) == 2
    captured = capsys.readouterr()
    assert "files cannot be written (No space left on device)" in captured.err.splitlines()[-1]
    # What minutes have measured is shown all the same.
    assert "stock Keras" in captured.out
    assert list(here.iterdir()) == []


def test_ctrl_c_leaves_nothing(here, monkeypatch):
    def interrupt(*job):
        raise KeyboardInterrupt

    monkeypatch.setattr(timings, "_measure", interrupt)
    assert main([*QUICK, "--out", "deep/run"]) == 130
    assert list(here.iterdir()) == []
