import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kseq.cli import main

pytestmark = pytest.mark.above_backends

REFITTED = ["--epochs", "1", "--seeds", "2", "--units", "2", "--cells", "gru", "--baselines", "persistence",
            "--transform", "none"]  # fmt: skip
QUICK = [*REFITTED, "--no-refit-on-validation"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def series(name="y", scale=1.0, rows=60):
    quoted = name.replace('"', '""')
    lines = [f"{2001 + i // 12}-{i % 12 + 1:02}-01,{scale * (3 + np.sin(i)):.6e}" for i in range(rows)]
    Path("mine.csv").write_text(f'ds,"{quoted}"\n' + "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "option",
    ["--data", "--csv", "--parquet", "--target", "--time", "--id", "--series", "--freq", "--unit", "--transform",
     "--cells", "--start", "--backend", "--device", "--config", "--out", "--level", "--units", "--scaler", "--seeds"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_text_is_refused(here, capsys, option, value):
    assert main(["compare", option, value]) == 2
    captured = capsys.readouterr()
    assert option in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("command", "option"), [("forecast", "--model"), ("evaluate", "--data"), ("fit", "--cell")])
def test_an_empty_text_is_refused_by_every_command(here, capsys, command, option):
    assert main([command, option, ""]) == 2
    assert option in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ["sales\x1b[2J\x1b]0;x\x07", "sales\u202e", "[red]sales[/red]"])
def test_names_reach_a_terminal_written_out(here, capsys, name):
    series(name)
    assert main(["compare", "--csv", "mine.csv", *QUICK, "--out", "run"]) == 0
    captured = capsys.readouterr()
    assert main(["compare", "--csv", "mine.csv", "--target", name + "x"]) == 2
    printed = captured.out + captured.err + capsys.readouterr().err
    assert not set("\x1b\x07\u202e") & set(printed)
    if name.startswith("["):
        assert name in printed


@pytest.mark.parametrize(("scale", "expected"), [(1e-9, "e-1"), (1e150, "e+1")])
def test_values_of_any_size_can_be_read(here, capsys, scale, expected):
    series(scale=scale)
    assert main(["compare", "--csv", "mine.csv", *QUICK, "--out", "run"]) == 0
    printed = capsys.readouterr().out
    table = printed.partition("\n\n")[0].splitlines()[2:]
    assert all(expected in line for line in table)
    assert " 0.000 " not in printed
    assert max(map(len, printed.split())) < 110


def test_quiet_prints_the_result_alone_wherever_it_stands(here, capsys):
    for arguments in (["--quiet", "compare", *QUICK, "--out", "a"], ["compare", *QUICK, "--out", "b", "-q"]):
        assert main(arguments) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        assert "Verdict" in captured.out
        assert "run.json" not in captured.out


def test_a_line_a_finished_block_where_nobody_watches(here, capsys):
    assert main(["compare", *REFITTED, "--members", "1", "--out", "run"]) == 0
    lines = capsys.readouterr().err.splitlines()
    again = ", with the validation rows"
    assert [line.partition(":")[0] for line in lines] == [
        "GRU, seed 0", f"GRU, seed 0{again}", "GRU, seed 1", f"GRU, seed 1{again}",
    ]  # fmt: skip
    assert lines[0].endswith("1 of 4 trainings done")
    assert lines[3].endswith("4 of 4 trainings done")
    assert "1 epoch, " in lines[0]


def test_verbose_says_which_kernel_ran(here, capsys):
    assert main(["compare", *QUICK, "--out", "run", "--verbose"]) == 0
    assert "kernel " in capsys.readouterr().err
    assert main(["-v", "data", "-q"]) == 2
    assert "--quiet and --verbose" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["patience", "level"])
def test_what_a_validation_part_is_needed_for(here, capsys, name):
    assert main(["compare", *REFITTED, "--validation-share", "0", f"--{name}", "5"]) == 2
    assert f"received --{name} and --validation-share 0" in capsys.readouterr().err


def test_networks_that_fit_into_no_memory_are_refused(here, capsys):
    assert main(["compare", *QUICK, "--units", "65536", "--layers", "90", "--out", "run"]) == 2
    assert "GB of memory that are free; lower --units" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_exit_codes_stand_in_the_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        sys.exit(main(["--help"]))
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit codes: 0, done; 1, a check" in text
    assert "130, stopped by Ctrl-C" in text


def test_an_encoding_without_the_characters_costs_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "kseq", "data"], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
