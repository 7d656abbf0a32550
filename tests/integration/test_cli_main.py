import errno
import os
import subprocess
import sys

import pytest

from kseq.cli import main


def failing(error):
    def fail(*arguments):
        raise error

    return fail


def test_a_fault_of_kseq_is_one_line_with_status_1(capsys, monkeypatch):
    monkeypatch.setattr("kseq.data.load_series", failing(ZeroDivisionError("division by zero")))
    assert main(["data"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "kseq: ZeroDivisionError: division by zero (a fault of kseq; --debug shows where).\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "error", "status"),
    [(["data"], ZeroDivisionError(), 1), (["compare", "--scaler", "robust"], None, 2)],
)
def test_debug_shows_where(capsys, monkeypatch, arguments, error, status):
    if error is not None:
        monkeypatch.setattr("kseq.data.load_series", failing(error))
    assert main(["--debug", *arguments]) == status
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert main(arguments) == status
    assert "Traceback" not in capsys.readouterr().err


def test_a_full_disk_is_no_fault_of_kseq(capsys, monkeypatch):
    monkeypatch.setattr("kseq.data.load_series", failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    assert main(["data"]) == 2
    assert capsys.readouterr().err == (
        "kseq: no space is left on the disk that is written to; make room and run it again.\n"
    )


def test_a_reader_that_has_gone_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "kseq.cli", "data"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""
