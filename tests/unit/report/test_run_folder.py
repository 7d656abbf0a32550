import errno
import json
import os
import sys
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from kseq import Comparison, ConfigError, from_frame, make_windows, read_csv
from kseq.errors import OutputError
from kseq.forecasting.forecast import Forecast
from kseq.report import run_folder

pytestmark = [pytest.mark.above_backends, pytest.mark.pictures, pytest.mark.long]

WRITTEN = ["table.csv", "table.md", "horizon.csv", "predictions.csv", "comparison.png", "report.html", "run.json"]


def compared(series, **options):
    made = Comparison(make_windows(series, lookback=4, **options))
    made.add_baselines(["persistence"])
    return made


@pytest.fixture
def frame():
    return pd.DataFrame({"y": 20 + np.sin(np.arange(80))}, pd.date_range("2000-01-01", periods=80, freq="MS"))


@pytest.fixture
def comparison(frame):
    return compared(from_frame(frame), horizon=2)


@pytest.fixture
def quick(monkeypatch):
    """Pictures that take no time."""
    monkeypatch.setattr("kseq.report.plot.plot_predictions", lambda comparison: Figure(figsize=(1, 1)))


def record(folder):
    return json.loads((folder / "run.json").read_text())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def full(name):
    """What stands in for writing on a disk that has no room for files of a name; others are written."""
    write = Path.write_bytes

    def write_bytes(path, content):
        if name in path.name:
            write(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    return write_bytes


def test_folder_is_named_by_time_series_and_backend():
    assert run_folder.default_folder("co2", "jax", datetime(2026, 1, 31, 9, 30)) == Path(
        "kseq-runs/20260131-093000-co2-jax"
    )


def test_two_runs_in_the_same_second_get_two_folders(comparison, tmp_path):
    name = tmp_path / "kseq-runs/20260131-093000-co2-jax"
    with run_folder.folder(None, otherwise=name) as one, run_folder.folder(None, otherwise=name) as two:
        # A process that is killed at this moment leaves nothing.
        assert not list(tmp_path.iterdir())
        files = [*run_folder.write(comparison, one), *run_folder.write(comparison, two)]
    assert [folder.path.name for folder in (one, two)] == [name.name, f"{name.name}-2"]
    assert {path.parent.name for path in files} == {name.name, f"{name.name}-2"}
    assert names(one.path) == names(two.path) == sorted(WRITTEN)


def test_the_record_lists_the_files(comparison, tmp_path):
    written = comparison.write(tmp_path / "a/b")
    assert [path.name for path in written] == WRITTEN
    assert names(tmp_path / "a/b") == sorted(WRITTEN)
    assert record(tmp_path / "a/b")["files"] == WRITTEN
    assert record(tmp_path / "a/b")["written_by"].startswith("kseq ")


def test_a_run_replaces_what_an_earlier_one_has_left_and_nothing_else(comparison, frame, tmp_path):
    comparison.write(tmp_path)
    for name in ("notes.txt", "series.csv.bak"):
        (tmp_path / name).write_text("mine")
    compared(from_frame(frame)).write(tmp_path)
    assert names(tmp_path) == sorted({*WRITTEN, "notes.txt", "series.csv.bak"} - {"horizon.csv"})
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", [name for name in run_folder.FILES if name != "run.json"])
def test_a_users_file_is_never_overwritten_or_removed(comparison, quick, tmp_path, name):
    comparison.write(tmp_path)
    if name in WRITTEN:
        (tmp_path / "run.json").unlink()
    (tmp_path / name).write_text("mine")
    before = names(tmp_path)
    with pytest.raises(ConfigError, match=rf"holds .*{name}.*, which no record \(run.json\) there lists"):
        comparison.write(tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    assert names(tmp_path) == before


def test_a_file_that_the_series_was_read_from_is_not_written_over(frame, tmp_path):
    compared(from_frame(frame)).write(tmp_path / "run")
    # A user who forecasts what kseq has forecast: the file is kseq's, and read.
    frame.rename_axis("ds").reset_index().to_csv(tmp_path / "run/table.csv", index=False)
    again = compared(read_csv(tmp_path / "run/table.csv", time="ds", target="y"))
    with pytest.raises(ConfigError, match=r"table.csv would be written over .*table.csv, which is read"):
        again.write(tmp_path / "run")
    again.write(tmp_path / "other")


#: What a run of kseq 0.1.0 says in its record, as far as it tells which files it has written.
EARLIER = {"kseq": "0.1.0", "settings": {"horizon": 1}, "series": {"series": 1}, "folds": [], "tuning": None,
           "models": [{"name": "GRU", "kind": "cell"}]}  # fmt: skip


def test_a_run_of_an_earlier_version_is_replaced(comparison, quick, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(EARLIER))
    for name in ("table.csv", "history.csv", "history.png", "comparison.png"):
        (tmp_path / name).write_text("old")
    comparison.write(tmp_path)
    assert names(tmp_path) == sorted(WRITTEN)


@pytest.mark.parametrize("name", ["series.csv", "folds.csv", "horizon.csv", "tuning.csv"])
def test_a_users_file_in_a_run_of_an_earlier_version_is_not_its(comparison, tmp_path, name):
    (tmp_path / "run.json").write_text(json.dumps(EARLIER))
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"holds {name}, which"):
        comparison.write(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        pytest.param(part, value, marks=[] if (at + number) % 5 == 0 else pytest.mark.thorough)
        for at, part in enumerate(["settings", "series", "models", "folds", "tuning"])
        for number, value in enumerate([None, 3, "text", [1], {"horizon": "two"}])
    ],
)
def test_a_record_with_wrong_types_is_no_fault(comparison, quick, tmp_path, part, value):
    (tmp_path / "run.json").write_text(json.dumps(EARLIER | {part: value}))
    comparison.write(tmp_path)
    assert names(tmp_path) == sorted(WRITTEN)


@pytest.mark.parametrize("name", ["table.csv", "predictions.csv", "run.json"])
def test_a_disk_that_fills_up_leaves_the_old_run(comparison, quick, tmp_path, monkeypatch, name):
    comparison.write(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", full(name))
    with pytest.raises(OutputError, match=r"files cannot be written \(No space left on device\); expected a folder"):
        comparison.write(tmp_path / "run")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert names(tmp_path) == ["run"]


def test_a_result_is_written_elsewhere_before_it_is_lost(comparison, tmp_path):
    with pytest.raises(OutputError, match="the result is in") as caught, run_folder.folder(tmp_path / "run") as folder:
        os.rmdir(tmp_path / "run")
        run_folder.write(comparison, folder)
    assert [path.name for path in caught.value.files] == WRITTEN
    assert {path.parent for path in caught.value.files} == {tmp_path / "run-rescued"}
    assert names(tmp_path / "run-rescued") == sorted(WRITTEN)


def test_a_picture_that_cannot_be_drawn_costs_nothing(comparison, tmp_path, monkeypatch):
    def fail(comparison):
        # Whatever happens from here on, tables and record are on the disk.
        assert names(tmp_path / "run") == sorted({*WRITTEN} - {"comparison.png", "report.html"})
        raise ValueError("Failed to\nparse mathtext")

    monkeypatch.setattr("kseq.report.plot.plot_predictions", fail)
    with pytest.warns(UserWarning, match=r"comparison.png cannot be drawn \(ValueError: Failed to"):
        written = comparison.write(tmp_path / "run")
    assert [path.name for path in written] == [name for name in WRITTEN if name != "comparison.png"]
    assert record(tmp_path / "run")["files"] == [path.name for path in written]
    monkeypatch.undo()
    comparison.write(tmp_path / "run")
    assert names(tmp_path / "run") == sorted(WRITTEN)


def test_a_picture_that_cannot_be_written_costs_nothing(comparison, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", full(".png"))
    told = []
    with run_folder.folder(tmp_path / "run") as folder:
        run_folder.write(comparison, folder, told.append)
    assert told == ["comparison.png, report.html cannot be written (No space left on device); all other files are."]
    assert names(tmp_path / "run") == sorted({*WRITTEN} - {"comparison.png", "report.html"})
    assert "comparison.png" not in record(tmp_path / "run")["files"]


def test_ctrl_c_while_a_picture_is_drawn_leaves_the_tables(comparison, tmp_path, monkeypatch):
    def stop(comparison):
        raise KeyboardInterrupt

    monkeypatch.setattr("kseq.report.plot.plot_predictions", stop)
    with pytest.raises(KeyboardInterrupt) as caught:
        comparison.write(tmp_path / "run")
    assert "has table.csv, table.md, horizon.csv, predictions.csv, run.json" in caught.value.__notes__[0]
    assert names(tmp_path / "run") == sorted({*WRITTEN} - {"comparison.png", "report.html"})


def test_trials_stand_beside_an_earlier_run_until_the_new_one_is_whole(comparison, quick, tmp_path):
    trials = pd.DataFrame({"trial": [1]})
    for _ in range(2):
        with run_folder.folder(tmp_path / "run") as folder:
            assert run_folder.write_trials(trials, folder).name == "tuning.csv"
        assert names(tmp_path / "run") == ["run.json", "tuning.csv"]
    comparison.write(tmp_path / "run")
    models = record(tmp_path / "run")["models"]
    with run_folder.folder(tmp_path / "run") as folder:
        for _ in range(2):
            assert run_folder.write_trials(trials, folder).name == "tuning-unfinished.csv"
    assert names(tmp_path / "run") == sorted([*WRITTEN, "tuning-unfinished.csv"])
    assert record(tmp_path / "run")["models"] == models
    comparison.write(tmp_path / "run")
    assert names(tmp_path / "run") == sorted(WRITTEN)


def test_kinds_of_results_share_a_folder(comparison, quick, tmp_path, monkeypatch):
    def fails(*forecast):
        raise AttributeError("no history")

    monkeypatch.setattr("kseq.report.forecast.plot_forecast", fails)
    past = comparison.data.series
    made = Forecast("GRU", past.index[-1:] + pd.offsets.MonthBegin(), np.zeros((1, 1, 1)), {}, (), past)
    comparison.write(tmp_path / "run")
    for _ in range(2):
        told = []
        with run_folder.folder(tmp_path / "run", "forecast") as folder:
            made.write(folder, told.append)
        assert told[0].startswith("forecast.png cannot be drawn (AttributeError")
    comparison.write(tmp_path / "run")
    assert names(tmp_path / "run") == sorted([*WRITTEN, "forecast.csv", "forecast.html", "forecast.json"])


def test_a_small_disk_that_is_full(comparison, tmp_path, monkeypatch):
    """On a file system of its own, where root may make one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.system(f"mount -t tmpfs -o size=64k none '{disk}' 2>/dev/null"):
        pytest.skip("may not mount")
    try:
        (disk / "run").mkdir()
        with warnings.catch_warnings(), pytest.raises(OutputError, match="No space left on device") as caught:
            warnings.simplefilter("error")
            with run_folder.folder(disk / "run") as folder:
                (disk / "large").write_bytes(b"0" * 61_000)
                run_folder.write(comparison, folder)
        assert list((disk / "run").iterdir()) == []
        assert [path.name for path in caught.value.files] == WRITTEN
        assert all(path.stat().st_size and not path.is_relative_to(disk) for path in caught.value.files)
    finally:
        os.system(f"umount '{disk}'")
