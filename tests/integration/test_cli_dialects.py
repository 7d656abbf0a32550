"""Commands on files as other programs write them: shown, compared on, piped in, named in TOML, and run again."""

import json
import os
import shlex

import numpy as np
import pandas as pd
import pytest

from kseq.cli import main

pytestmark = pytest.mark.above_backends

QUICK = ["compare", "--cells", "rnn", "--epochs", "1", "--seeds", "1", "--units", "2", "--baselines", "persistence",
         "--transform", "none", "--no-refit-on-validation"]  # fmt: skip
Y = np.round(1500 + 300 * np.sin(np.arange(96) / 12 * 2 * np.pi), 1)
MONTHS = pd.date_range("1961-01-01", periods=96, freq="MS")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a table of semicolons, decimal commas, two-digit years and a text for a missing value."""
    monkeypatch.chdir(tmp_path)
    cells = [f"{value}".replace(".", ",") for value in Y]
    cells[40] = "k.A."
    rows = "".join(f"{date:%d.%m.%y};{cell}\n" for date, cell in zip(MONTHS, cells, strict=True))
    (tmp_path / "umsatz.csv").write_bytes(("Monat;Umsätze\n" + rows).encode("cp1252"))
    return tmp_path


OPTIONS = ["--encoding", "cp1252", "--time", "Monat", "--missing", "k.A.", "--fill", "ffill"]
READ = "target Umsätze, dates Monat, monthly 1961-01-01 to 1968-12-01, 96 rows, 1 missing, 1 series"


def series_of(run):
    return json.loads((run / "run.json").read_text(encoding="utf-8"))["series"]


@pytest.mark.pictures
def test_data_shows_what_was_read_and_the_command_that_compares_on_it(here, capsys):
    assert main(["data", "umsatz.csv", *OPTIONS, "--out", "shown"]) == 0
    out = capsys.readouterr().out
    assert READ in out
    assert "season 12" in out
    assert (here / "shown/reading.png").read_bytes().startswith(b"\x89PNG")
    command = out.partition("to compare on it: kseq ")[2].splitlines()[0]
    arguments = shlex.split(command)
    assert arguments[:3] == ["compare", "--csv", "umsatz.csv"]
    assert main([*arguments, *QUICK[1:], "--out", "run"]) == 0
    assert series_of(here / "run")["rows"] == 96


def test_data_names_parquet_for_a_parquet_file(here, capsys):
    pd.DataFrame({"ds": MONTHS, "y": Y}).to_parquet("sold.parquet", index=False)
    assert main(["data", "sold.parquet", "--out", "shown", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["command"] == "kseq compare --parquet sold.parquet"


def test_a_run_on_such_a_file_says_what_was_read_and_is_repeated(here, capsys):
    assert main([*QUICK, "--csv", "umsatz.csv", *OPTIONS, "--out", "run"]) == 0
    assert READ in capsys.readouterr().err
    assert series_of(here / "run")["read"].startswith(READ)
    assert main(["reproduce", "run/run.json", "--quiet"]) == 0


def test_options_of_reading_in_toml(here):
    (here / "umsatz.toml").write_text(
        'csv = "umsatz.csv"\nencoding = "cp1252"\ntime = ["Monat"]\nmissing = ["k.A."]\nfill = "ffill"\nsep = ";"\n'
        'decimal = ","\ndate-format = "%d.%m.%y"\nsort = true\n',
        encoding="utf-8",
    )
    assert main([*QUICK, "--config", "umsatz.toml", "--out", "run"]) == 0
    assert main([*QUICK, "--csv", "umsatz.csv", *OPTIONS, "--out", "typed"]) == 0
    assert series_of(here / "run")["sha256"] == series_of(here / "typed")["sha256"]


@pytest.mark.skipif(os.name == "nt", reason="a pipe of POSIX systems")
def test_a_pipe_is_read_once_and_wholly(here, capsys):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write((here / "umsatz.csv").read_bytes())
    try:
        assert main(["data", f"/dev/fd/{reading}", *OPTIONS, "--out", "shown"]) == 0
    finally:
        os.close(reading)
    assert READ in capsys.readouterr().out
