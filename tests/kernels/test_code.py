"""Machine code on disk: kept where it can be, compiled again where a file or a folder is not as it should be."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import numba
import platformdirs
import pytest

from kseq.kernels._cpu import code, folders

pytestmark = pytest.mark.above_backends


def doubled(number):
    return 2 * number


def run():
    """Compile and call anew; return whether the code came from the disk."""
    loop = code.compiled(doubled)
    assert loop(4) == 8
    return bool(loop.stats.cache_hits)


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """The one file that holds the code of the loop."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert not run()
    assert run()
    (file,) = tmp_path.rglob("*.kseq-code")
    return file


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"another program's"])
def test_a_foreign_file_is_replaced(kept, content):
    whole = kept.read_bytes()
    kept.write_bytes(content)
    assert not run()
    assert kept.read_bytes()[:4] != content[:4]
    assert len(kept.read_bytes()) == pytest.approx(len(whole), rel=0.1)
    assert run()


@pytest.mark.parametrize("place", [0, 31, 32, 1000, -1])
def test_a_damaged_file_is_not_run(kept, place):
    raw = bytearray(kept.read_bytes())
    raw[place] ^= 1
    kept.write_bytes(raw)
    assert not run()


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_file_is_compiled_again(kept, share):
    raw = kept.read_bytes()
    kept.write_bytes(raw[: int(share * len(raw))])
    assert not run()
    assert run()


def test_a_folder_in_the_place_of_the_file(kept):
    kept.unlink()
    kept.mkdir()
    assert not run()
    assert not run()


def test_code_of_another_version_is_not_taken(kept, monkeypatch):
    monkeypatch.setattr(numba, "__version__", "0.1")
    assert not run()
    assert len(list(kept.parent.glob("*.kseq-code"))) == 2


def test_code_of_earlier_sources_is_removed(kept, monkeypatch):
    left = kept.with_name(f"{kept.name}.0123456789abcdef")
    left.touch()
    os.utime(left, (0, 0))
    monkeypatch.setattr(code, "SOURCES", "changed".ljust(64))
    assert not run()
    assert not kept.exists()
    assert not left.exists()


def test_a_full_disk_costs_no_run(monkeypatch, tmp_path):
    def full(self, content):
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", full)
    assert not run()
    assert not run()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_nowhere_to_write_is_said_once(monkeypatch, tmp_path, caplog):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(folders, "_PACKAGE", file)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(file / "cache"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(file))
    with caplog.at_level(logging.WARNING, "kseq"):
        assert not run()
        assert not run()
    assert [record.message for record in caplog.records if "NUMBA_CACHE_DIR" in record.message] == [
        "No folder for compiled loops is writable: each process compiles them anew, which takes seconds. "
        "Set NUMBA_CACHE_DIR to a writable folder."
    ]


def test_the_users_folder_where_the_package_is_read_only(monkeypatch, tmp_path):
    read_only = tmp_path / "package"
    read_only.touch()  # no folder can be made in it, whoever runs this
    monkeypatch.setattr(folders, "_PACKAGE", read_only)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "user"))
    found = folders.first_writable(folders.candidates())
    assert found is not None
    assert found.parent == tmp_path / "user"


def no_home(*_, **__):
    raise RuntimeError("could not determine the home directory")


@pytest.mark.parametrize("answer", [no_home, lambda *_, **__: "~/.cache/kseq"])
def test_no_home_is_no_folder_of_the_working_directory(monkeypatch, answer):
    monkeypatch.setattr(platformdirs, "user_cache_dir", answer)
    assert list(folders.candidates()) == [Path(code.__file__).parent / "__pycache__"]


def test_code_serves_the_next_process(tmp_path):
    # Not beside the package, where earlier processes have left code.
    script = (
        "import numpy as np; from kseq.kernels import Spec, cpu;"
        "from kseq.kernels._cpu import folders, simple_rnn as loop;"
        "spec = Spec('simple_rnn', recurrent_activation=None);"
        f"folders._PACKAGE = folders.Path({str(tmp_path / 'package')!r}); one = np.ones((1, 1, 1), 'float32');"
        "cpu.forward(spec, one, one[0], one[0], None, [one[0]]);"
        "print(sum(loop.forward.stats.cache_hits.values()))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = [
        subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [run.stdout.split() for run in done] == [["0"], ["1"]]
