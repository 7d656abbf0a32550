import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from kseq import ConfigError, storage
from kseq.errors import OutputError
from kseq.storage import _disk

pytestmark = pytest.mark.above_backends

KIND = storage.Kind("run.json", ("a.csv", "b.csv", "c.csv", "run.json"))


def contents(word, *names):
    names = [*names, "run.json"]
    record = {"written_by": "kseq 9", "files": names, "word": word}
    return {name: word.encode() for name in names[:-1]} | {"run.json": json.dumps(record).encode()}


def write(path, word, *names, **options):
    with storage.folder(path, KIND, **options) as folder:
        folder.write(contents(word, *names))
    return folder


def state(path):
    """What a reader finds: each file's content, a record's word."""
    return {
        file.name: json.loads(file.read_text())["word"] if file.name == "run.json" else file.read_text()
        for file in path.iterdir()
    }


def hidden(path):
    return list(path.rglob(".*"))


@pytest.fixture
def own_temporary(tmp_path, monkeypatch):
    """A folder for temporary files that a test can look into."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def test_records_hold_what_json_can_hold():
    value = {"a": np.arange(3), "b": (np.float32(0.5), np.nan), "c": [{"d": np.bool_(True)}, -np.inf], "e": None}
    made = storage.plain(value)
    assert made == {"a": [0, 1, 2], "b": [0.5, None], "c": [{"d": True}, None], "e": None}
    assert json.loads(storage.to_json(value)) == made


def test_a_run_replaces_what_an_earlier_one_has_left(tmp_path):
    write(tmp_path / "deep/run", "old", "a.csv", "b.csv")
    folder = write(tmp_path / "deep/run", "new", "a.csv", "c.csv")
    assert state(tmp_path / "deep/run") == {"a.csv": "new", "c.csv": "new", "run.json": "new"}
    assert [path.name for path in folder.files] == ["a.csv", "c.csv", "run.json"]
    assert hidden(tmp_path) == []
    umask = os.umask(0)
    os.umask(umask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.files} == {0o666 & ~umask}


@pytest.mark.parametrize("name", ["a.csv", "c.csv", "run.json"])
def test_a_file_that_kseq_did_not_write_is_refused_before_any_work(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"holds {name}, which no record"), storage.folder(tmp_path, KIND):
        pytest.fail("work has begun")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


@pytest.mark.parametrize(
    "record",
    ['{"files": ["a.csv"]}', '{"written_by": "me", "files": ["a.csv"]}', '{"written_by": 3, "files": {"a.csv": 1}}',
     '["a.csv"]', "[" * 5000, '{"written_by": "kseq 9", "files": "a.csv"}'],
)  # fmt: skip
def test_a_record_of_another_program_lists_nothing_of_kseq(tmp_path, record):
    (tmp_path / "a.csv").write_text("mine")
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(ConfigError, match=r"holds a\.csv, run\.json, which no"), storage.folder(tmp_path, KIND):
        pytest.fail("work has begun")
    assert (tmp_path / "a.csv").read_text() == "mine"


def test_files_beside_the_results_are_not_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "sub").mkdir()
    write(tmp_path, "old", "a.csv", "b.csv")
    write(tmp_path, "new", "a.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "notes.txt", "run.json", "sub"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "a.csv").read_text() == "new"


def test_a_record_that_lists_a_users_file_does_not_make_it_kseqs(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"written_by": "kseq 9", "files": ["notes.txt", "../b.csv"]}))
    for path in (tmp_path / "notes.txt", tmp_path.parent / "b.csv"):
        path.write_text("mine")
    write(tmp_path, "new", "a.csv")
    assert (tmp_path / "notes.txt").read_text() == (tmp_path.parent / "b.csv").read_text() == "mine"


def test_a_name_that_is_taken_while_the_work_is_done_is_left_alone(tmp_path):
    with storage.folder(tmp_path / "run", KIND) as folder:
        (tmp_path / "run/a.csv").write_text("mine")
        problem = folder.write_or_rescue(contents("new", "a.csv"))
    assert isinstance(problem, OutputError)
    assert "another program has put a.csv there" in str(problem)
    assert (tmp_path / "run/a.csv").read_text() == "mine"
    assert state(tmp_path / "run-rescued") == {"a.csv": "new", "run.json": "new"}


@pytest.mark.parametrize("link", [os.link, os.symlink, shutil.copy])
def test_an_output_that_is_read_is_refused(tmp_path, link):
    write(tmp_path / "run", "old", "a.csv")
    link(tmp_path / "run/a.csv", tmp_path / "data.csv")
    if link is shutil.copy:
        write(tmp_path / "run", "new", "a.csv", inputs=[tmp_path / "data.csv"])
        return
    with (
        pytest.raises(ConfigError, match=r"run/a.csv would be written over .*data.csv, which is read"),
        storage.folder(tmp_path / "run", KIND, [tmp_path / "data.csv"]),
    ):
        pytest.fail("work has begun")
    assert state(tmp_path / "run") == {"a.csv": "old", "run.json": "old"}


def test_an_output_is_known_by_a_relative_path(tmp_path, monkeypatch):
    write(tmp_path / "run", "old", "a.csv")
    monkeypatch.chdir(tmp_path / "run")
    for path in (".", "../run", "../run/../run/."):
        with pytest.raises(ConfigError, match="which is read"), storage.folder(Path(path), KIND, [Path("a.csv")]):
            pytest.fail("work has begun")


def refused(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    path = {"root": Path("/"), "home": Path.home(), "long": tmp_path / ("x" * 10_000)}.get(name, tmp_path / name)
    with pytest.raises(ConfigError) as caught, storage.folder(path, KIND):
        pytest.fail("work has begun")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("file", "it is a file"), ("file/run", "Not a directory"), ("dangling", "a link to what does not exist"),
     ("root", "is the root folder"), ("home", "is your home folder"), ("long", "File name too long"),
     ("a\0b", "null")],
)  # fmt: skip
def test_what_can_be_no_folder_of_results_is_refused(tmp_path, monkeypatch, name, message):
    home = tmp_path / "my home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    before = {*tmp_path.iterdir()}
    assert message in refused(tmp_path, name)
    assert {*tmp_path.iterdir()} - before == {tmp_path / "file", tmp_path / "dangling"}


def test_a_link_to_a_folder_is_that_folder(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "run").symlink_to("scratch")
    for word in ("old", "new"):
        write(tmp_path / "run", word, "a.csv")
    assert (tmp_path / "run").is_symlink()
    assert state(tmp_path / "scratch") == {"a.csv": "new", "run.json": "new"}


def test_a_second_run_into_a_folder_is_refused_until_the_first_ends(tmp_path):
    with storage.folder(tmp_path / "run", KIND):
        for path in (tmp_path / "run", tmp_path / "run/../run"):
            with pytest.raises(ConfigError, match="is being written by another run"), storage.folder(path, KIND):
                pytest.fail("work has begun")
    write(tmp_path / "run", "new", "a.csv")


def test_the_lock_goes_with_the_folder_that_is_exchanged(tmp_path):
    write(tmp_path / "run", "old", "a.csv")
    with storage.folder(tmp_path / "run", KIND) as folder:
        folder.write(contents("new", "a.csv"))
        with pytest.raises(ConfigError, match="another run"), storage.folder(tmp_path / "run", KIND):
            pytest.fail("work has begun")
        folder.write(contents("newer", "b.csv"), keep=["a.csv"])
    assert state(tmp_path / "run") == {"a.csv": "new", "b.csv": "newer", "run.json": "newer"}


HOLD = """
import sys, time
from pathlib import Path
from kseq import storage
kind = storage.Kind("run.json", ("a.csv", "run.json"))
with storage.folder(Path(sys.argv[1]), kind):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_run_that_is_killed_locks_nobody_out(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    with holder, pytest.raises(ConfigError, match="is being written by another run"):
        assert holder.stdout.readline() == "locked\n"
        try:
            write(tmp_path / "run", "new", "a.csv")
        finally:
            holder.kill()
    write(tmp_path / "run", "new", "a.csv")
    assert state(tmp_path / "run") == {"a.csv": "new", "run.json": "new"}


def test_new_folders_get_a_number_where_the_name_is_taken(tmp_path):
    made = [write(tmp_path / "deep/run", str(n), "a.csv", new=True).path.name for n in range(3)]
    assert made == ["run", "run-2", "run-3"]
    assert [state(tmp_path / "deep" / name)["a.csv"] for name in made] == ["0", "1", "2"]


def test_work_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ZeroDivisionError), storage.folder(tmp_path / "a/b", KIND):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ZeroDivisionError), storage.folder(tmp_path / "new/run", KIND) as folder:
        (folder.path.parent / "other.txt").write_text("")
        raise ZeroDivisionError
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine.txt", "new", "other.txt"]


def full(*places):
    """What stands in for writing on disks that have no room under some folders."""
    write_bytes = Path.write_bytes

    def write(path, content):
        if any(path.is_relative_to(place) for place in places):
            write_bytes(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_bytes(path, content)

    return write


@pytest.mark.parametrize("inside", [True, False])
def test_a_result_goes_elsewhere_where_there_is_no_room(tmp_path, own_temporary, monkeypatch, inside):
    run = tmp_path / "disk/run"
    write(run, "old", "a.csv", "b.csv")
    if inside:
        (run / "notes.txt").write_text("old")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    with storage.folder(run, KIND) as folder:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full(tmp_path / "disk"))
            problem = folder.write_or_rescue(contents("new", "a.csv"))
        # What comes later, pictures, goes to where the tables are.
        folder.write(contents("newer", "c.csv"), keep=["a.csv"])
    place = own_temporary / "kseq-run-rescued"
    assert str(problem) == f"{run}: files cannot be written (No space left on device); the result is in {place}."
    assert {path.parent for path in problem.files} == {place}
    assert state(place) == {"a.csv": "new", "c.csv": "newer", "run.json": "newer"}
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_any_more(tmp_path, own_temporary, monkeypatch, number):
    run = tmp_path / "run"
    mkdir = storage.Disk.mkdir

    def fail(disk, path):
        if path.is_relative_to(run) or path.name.startswith(".run"):
            raise OSError(number, os.strerror(number))
        mkdir(disk, path)

    with storage.folder(run, KIND) as folder:
        monkeypatch.setattr(storage.Disk, "mkdir", fail)
        problem = folder.write_or_rescue(contents("new", "a.csv"))
    assert os.strerror(number) in str(problem)
    assert state(problem.files[0].parent) == {"a.csv": "new", "run.json": "new"}


def test_a_folder_that_is_removed_during_the_work(tmp_path):
    with storage.folder(tmp_path / "run", KIND) as folder:
        (tmp_path / "run").rmdir()
        problem = folder.write_or_rescue(contents("new", "a.csv"))
    assert f"the result is in {tmp_path / 'run-rescued'}." in str(problem)
    assert state(tmp_path / "run-rescued") == {"a.csv": "new", "run.json": "new"}


def test_no_room_anywhere_leaves_nothing(tmp_path, own_temporary, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", full(tmp_path))
    with (
        pytest.raises(OutputError, match=r"files cannot be written \(No space left on device\); expected a folder"),
        storage.folder(tmp_path / "a/run", KIND) as folder,
    ):
        folder.write_or_rescue(contents("new", "a.csv"))
    assert list(tmp_path.iterdir()) == [own_temporary]
    assert list(own_temporary.iterdir()) == []


def test_a_disk_without_room_is_told_before_any_work(tmp_path, monkeypatch):
    def none_left(**options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", none_left)
    with (
        pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\)"),
        storage.folder(tmp_path / "a", KIND),
    ):
        pytest.fail("work has begun")
    assert list(tmp_path.iterdir()) == []


#: Replaces a run in a child for each of its changes on the disk, and ends the child at that change, as SIGKILL does;
#: prints what a reader finds then, and after the next run.
KILLS = '''
import json, os, shutil, sys
from pathlib import Path
from kseq import storage
from kseq.storage import _disk

kind = storage.Kind("run.json", ("a.csv", "b.csv", "c.csv", "run.json"))
home, how = Path(sys.argv[1]), sys.argv[2]


class Killed(storage.Disk):
    """Ends the process at its n-th change, before it or in the middle of a file."""

    left = -1

    def sync(self, path):
        """A file of a process that is killed stays without it."""

    def __getattribute__(self, name):
        method = super().__getattribute__(name)
        if name in ("mkdir", "write", "copy", "rename", "exchange", "unlink", "rmdir"):
            def change(*arguments):
                if Killed.left == 0:
                    if name == "write":
                        arguments[0].write_bytes(arguments[1][: len(arguments[1]) // 2])
                    os._exit(9)
                Killed.left -= 1
                if name == "exchange" and how == "no exchange":
                    raise OSError(22, "not here")
                return method(*arguments)
            return change
        return method


_disk.disk = Killed()


def run(word, names, more=()):
    def contents(names, listed):
        record = {"written_by": "kseq 9", "files": [*listed, "run.json"], "word": word}
        return {name: word.encode() for name in names} | {"run.json": json.dumps(record).encode()}
    with storage.folder(home / "run", kind) as folder:
        folder.write(contents(names, names))
        if more:
            folder.write(contents(more, (*names, *more)), keep=names)


def state(settled=True):
    if settled:
        storage.settle(home / "run")
    return {
        path.name: json.loads(path.read_text())["word"] if path.name == "run.json" else path.read_text()
        for path in sorted((home / "run").iterdir())
        if settled or path.is_file()
    }


results, n = [], 0
while True:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    run("old", ["a.csv", "b.csv"])
    if how == "others":
        (home / "run/notes.txt").write_text("mine")
    child = os.fork()
    if child == 0:
        if how == "inside":
            os.chdir(home / "run")
        Killed.left = n
        run("new", ["a.csv"], ["c.csv"])
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    Killed.left = -1
    raw = state(settled=False)
    found = state()
    run("next", ["a.csv"])
    results.append({"status": status, "raw": raw, "found": found, "next": state(), "beside": os.listdir(home)})
    if status == 0:
        break
    n += 1
print(json.dumps(results))
'''


@pytest.mark.skipif(not hasattr(os, "fork"), reason="ends children of a fork")
@pytest.mark.parametrize("how", ["alone", "others", "inside", "no exchange"])
def test_a_kill_at_any_moment_leaves_the_old_run_or_the_new_one(tmp_path, how):
    mine = {"notes.txt": "mine"} if how == "others" else {}
    old = {"a.csv": "old", "b.csv": "old", "run.json": "old"} | mine
    tables = {"a.csv": "new", "run.json": "new"} | mine
    whole = {"a.csv": "new", "c.csv": "new", "run.json": "new"} | mine
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path / "home"), how], capture_output=True, text=True, check=True
    )
    results = json.loads(done.stdout)
    assert len(results) > 15
    assert [result["status"] for result in results] == [9] * (len(results) - 1) + [0]
    found = [result["found"] for result in results]
    for result in results:
        assert result["found"] in (old, tables, whole)
        if how == "alone":
            # The folder is exchanged as a whole: no reader needs to complete anything.
            assert result["raw"] == result["found"]
        assert result["next"] == {"a.csv": "next", "run.json": "next"} | mine
        assert result["beside"] == ["run"]
    # Once the new run counts, it stays.
    order = [(old, tables, whole).index(state) for state in found]
    assert order == sorted(order)
    assert {*order} == {0, 1, 2}


def test_what_a_killed_run_left_is_removed_and_nothing_like_it(tmp_path):
    left = tmp_path / ".other-kseq-0123456789abcdef"
    users = [tmp_path / ".run-config", tmp_path / ".run-kseq-notes", tmp_path / ".run-kseq-0123456789abcdeg"]
    for path in (left, *users):
        path.mkdir()
        (path / "a.csv").write_text("")
    write(tmp_path / "run", "new", "a.csv")
    assert not left.exists()
    assert all((path / "a.csv").exists() for path in users)


def test_a_users_file_in_what_a_killed_run_left_comes_back(tmp_path):
    write(tmp_path / "run", "old", "a.csv")
    left = tmp_path / ".run-kseq-0123456789abcdef"
    left.mkdir()
    for name in ("b.csv", "notes.txt"):
        (left / name).write_text("mine")
    write(tmp_path / "run", "new", "a.csv")
    assert not left.exists()
    assert (tmp_path / "run/notes.txt").read_text() == "mine"
    assert sorted(os.listdir(tmp_path / "run")) == ["a.csv", "notes.txt", "run.json"]


@pytest.mark.parametrize("others", [False, True])
def test_ctrl_c_while_files_are_written_leaves_one_run_and_says_which(tmp_path, monkeypatch, others):
    """At every change in turn: Ctrl-C is an exception, after which the rest of the program goes on."""
    for at in range(100):
        home = tmp_path / str(at)
        write(home / "run", "old", "a.csv", "b.csv")
        if others:
            (home / "run/notes.txt").write_text("mine")
        count = iter(range(100))

        class Interrupted(storage.Disk):
            def __getattribute__(self, name):
                if not name.startswith("_") and next(count) == at:  # noqa: B023
                    raise KeyboardInterrupt
                return super().__getattribute__(name)

        with monkeypatch.context() as patch:
            try:
                with storage.folder(home / "run", KIND) as folder:
                    patch.setattr(_disk, "disk", Interrupted())
                    folder.write(contents("new", "a.csv"))
            except KeyboardInterrupt as error:
                notes = error.__notes__
            else:
                break
        found = state(home / "run")
        found.pop("notes.txt", None)
        new = found == {"a.csv": "new", "run.json": "new"}
        assert new or found == {"a.csv": "old", "b.csv": "old", "run.json": "old"}
        said = "has a.csv, run.json" if new else "nothing was written into"
        assert said in notes[0], at
    assert at > 5


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), storage.replacing(path) as temporary:
        temporary.write_text("ne")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with storage.replacing(path) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    storage.write_bytes(path, b"newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_file_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    storage.write_bytes(tmp_path / "link.txt", b"new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_one_run_at_a_time_writes_a_file(tmp_path):
    path, allowed = tmp_path / "deep/model.keras", lambda path: None
    with storage.file(path, allowed):
        with pytest.raises(ConfigError, match="is being written by another run"), storage.file(path, allowed):
            pytest.fail("work has begun")
        # Others in the same folder are no matter of it.
        with storage.file(tmp_path / "deep/other.keras", allowed) as other:
            other.write_text("")
        (tmp_path / "deep/.model.keras-kseq-0123456789abcdef.keras").write_text("left by a kill")
    with storage.file(path, allowed):
        path.write_text("new")
    assert sorted(os.listdir(tmp_path / "deep")) == ["model.keras", "other.keras"]


def test_a_file_that_cannot_be_written_goes_elsewhere(tmp_path, own_temporary):
    def write(path):
        if not path.is_relative_to(own_temporary):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_text("new")

    with pytest.raises(OutputError, match="No space left on device") as caught:
        storage.write_file(tmp_path / "model.keras", write)
    (saved,) = caught.value.files
    assert saved.read_text() == "new"
    assert str(saved) in str(caught.value)
    assert list(tmp_path.iterdir()) == [own_temporary]
