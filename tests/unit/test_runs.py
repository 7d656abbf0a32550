import errno
import json
import os
import stat
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kseq import Comparison, ConfigError, from_frame, make_windows, runs


@pytest.fixture
def comparison():
    frame = pd.DataFrame({"y": 20 + np.sin(np.arange(80))}, pd.date_range("2000-01-01", periods=80, freq="MS"))
    made = Comparison(make_windows(from_frame(frame), lookback=4, horizon=2))
    made.add_baselines(["persistence"])
    return made


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
    assert runs.default_folder("co2", "jax", datetime(2026, 1, 31, 9, 30)) == Path("kseq-runs/20260131-093000-co2-jax")


def test_files_are_those_that_are_named(comparison, tmp_path):
    with runs.folder(tmp_path / "a/b") as folder:
        written = runs.write(comparison, folder)
    assert [path.name for path in written] == ["table.csv", "table.md", "horizon.csv", "predictions.csv",
                                               "comparison.png", "run.json"]  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    # Not for their owner alone, as temporary files are.
    umask = os.umask(0)
    os.umask(umask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o666 & ~umask}


def test_what_a_run_has_no_more_is_removed_and_the_rest_is_kept(comparison, tmp_path):
    for name in ("history.csv", "notes.txt", "table.csv"):
        (tmp_path / name).write_text("old")
    runs.write(comparison, tmp_path)
    assert not (tmp_path / "history.csv").exists()
    assert (tmp_path / "notes.txt").read_text() == "old"
    assert (tmp_path / "table.csv").read_text().startswith("model,")


@pytest.mark.parametrize("name", ["table.csv", "predictions.csv", "run.json", "comparison.png"])
def test_a_full_disk_leaves_what_was_there(comparison, tmp_path, monkeypatch, name):
    for file in runs.FILES:
        (tmp_path / file).write_text("old")
    monkeypatch.setattr(Path, "write_bytes", full(name))
    with pytest.raises(ConfigError, match=r"files cannot be written \(No space left on device\); expected a folder"):
        runs.write(comparison, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(runs.FILES, "old")


def test_a_full_disk_leaves_no_folder(comparison, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", full("run.json"))
    with pytest.raises(ConfigError, match="No space left on device"):
        comparison.write(tmp_path / "a/b")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_a_file_is_told_before_any_work(tmp_path, monkeypatch):
    def none_left(**options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(runs.tempfile, "NamedTemporaryFile", none_left)
    with (
        pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\)"),
        runs.folder(tmp_path / "a"),
    ):
        pytest.fail("work has begun")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_stays_when_work_fails(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ZeroDivisionError), runs.folder(tmp_path / "new/run") as folder:
        (folder.parent / "other.txt").write_text("")
        raise ZeroDivisionError
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine.txt", "new", "other.txt"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), runs.replacing(path) as temporary:
        temporary.write_text("ne")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with runs.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_records_hold_what_json_can_hold():
    value = {"a": np.arange(3), "b": (np.float32(0.5), np.nan), "c": [{"d": np.bool_(True)}, -np.inf], "e": None}
    made = runs.plain(value)
    assert made == {"a": [0, 1, 2], "b": [0.5, None], "c": [{"d": True}, None], "e": None}
    json.dumps(made, allow_nan=False)
