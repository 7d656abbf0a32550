import dataclasses
import json
from pathlib import Path

import click
import numpy as np
import pytest

from kseq import ConfigError, Settings
from kseq.cli import COMMANDS, load, main
from kseq.kernels import BACKENDS

pytestmark = pytest.mark.above_backends


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """What a comparison is asked for, in place of the comparison."""
    seen = {}

    def instead(series, settings, progress=None, **others):
        seen.update(series=series, settings=settings)
        raise ConfigError("asked enough.")

    monkeypatch.setattr("kseq.experiments.compare.compare", instead)
    return seen


def compared(asked, *arguments):
    """The series and the settings that a command line asks for."""
    asked.clear()
    main(["compare", *arguments])
    return asked["series"].fingerprint, asked["settings"]


def write(text, path="kseq.toml"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("lookback = 24", "--lookback 24"),
        ("test-share = 0.3\nlearning_rate = 1e-2", "--test-share 0.3 --learning-rate 0.01"),
        ('cells = ["gru", "lstm"]', "--cells gru,lstm"),
        ('cells = "gru,lstm"', "--cells gru,lstm"),
        ("units = [8, 4]\ndropout = 0", "--units 8,4 --dropout 0"),
        ("units = 8\nlayers = 3", "--units 8 --layers 3"),
        ('units = "8"', "--units 8"),
        ("level = [50, 90.5]", "--level 50,90.5"),
        ('level = "none"', "--level none"),
        ("bidirectional = true\nno-past-target = false", "--bidirectional"),
        ('data = "co2"\nscaler = "minmax"', "--data co2 --scaler minmax"),
        ("seeds = 2\nfirst_seed = 3", "--seeds 2 --first-seed 3"),
        ('[compare]\nlookback = 24\n[bench]\nrounds = 2\n[data]\nformat = "json"', "--lookback 24"),
        ("lookback = 24\nbatch_size = 8\n[compare]\nlookback = 6\nbatch-size = 4", "--lookback 6 --batch-size 4"),
        ("", ""),
    ],
)
def test_a_file_means_what_is_typed(here, asked, text, typed):
    assert compared(asked, "--config", write(text)) == compared(asked, *typed.split())


def test_what_is_typed_beats_the_file(here, asked):
    write('lookback = 24\nhorizon = 3\ncells = ["gru"]\nbidirectional = true')
    _, settings = compared(asked, "--horizon", "2", "--config", "kseq.toml", "--cells", "lstm")
    expected = Settings(lookback=24, horizon=2, cells=("lstm",), bidirectional=True, training=settings.training)
    assert settings == expected


def test_a_file_may_hold_every_option_that_is_typed(here, capsys):
    for name in COMMANDS:
        options = [p for p in load(name).params if isinstance(p, click.Option)]
        assert ("config" in [p.name for p in options]) == (len(options) > 0), name
        for option in options:
            key = max(option.opts, key=len).removeprefix("--")
            if key == "config":
                continue
            # A table inside a table is a value of no option: the answer shows that the key is known.
            assert main([name, "--config", write(f"[{name}.{key}]\nx = 1")]) == 2
            assert f"kseq.toml, {key}: received {{'x': 1}}, expected" in capsys.readouterr().err


def test_paths_start_from_the_folder_of_the_file(here, asked, monkeypatch):
    rows = "".join(f"{2000 + i // 12}-{i % 12 + 1:02}-01,{np.sin(i):.4f}\n" for i in range(120))
    write("ds,y\n" + rows, "project/data/mine.csv")
    write('csv = "data/mine.csv"\nout = "runs/one"', "project/kseq.toml")
    by_file = compared(asked, "--config", "project/kseq.toml")
    assert not (here / "project/runs").exists()
    assert by_file == compared(asked, "--csv", "project/data/mine.csv")
    absolute = (here / "project/data/mine.csv").as_posix()
    assert by_file == compared(asked, "--config", write(f'csv = "{absolute}"', "other/kseq.toml"))


def test_a_whole_run_by_a_file(here, capsys):
    write(
        'cells = ["gru"]\nepochs = 1\nseeds = 1\nunits = 2\nbaselines = ["persistence"]\nout = "run"\nformat = "csv"\n'
        'transform = "none"\nno-refit-on-validation = true'
    )
    assert main(["compare", "--config", "kseq.toml"]) == 0
    assert capsys.readouterr().out == (here / "run/table.csv").read_text()
    settings = json.loads((here / "run/run.json").read_text())["settings"]
    assert (settings["cells"], settings["units"], settings["training"]["epochs"]) == (["gru"], 2, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lookbak = 3", "received lookbak in kseq.toml, expected options of kseq compare: did you mean lookback?"),
        ("colour = 3", "received colour in kseq.toml, expected options of kseq compare: `kseq compare --help` lists"),
        ("config = 'kseq.toml'", "received config in kseq.toml, expected options"),
        ("help = true", "received help in kseq.toml, expected options"),
        ("[train]\nlookback = 3", "received [train] in kseq.toml, expected a table of compare, "),
        ("batch_size = 3\nbatch-size = 4", "received batch-size twice in kseq.toml"),
        ("lookback = 2.5", "kseq.toml, lookback: received 2.5, expected a whole number from 1."),
        ("lookback = 0", "kseq.toml, lookback: received 0, expected a whole number from 1."),
        ("lookback = 'many'", "kseq.toml, lookback: received many, expected a whole number from 1."),
        ("lookback = true", "kseq.toml, lookback: received True, expected a text or a number."),
        ("lookback = [3]", "kseq.toml, lookback: received [3], expected a text or a number."),
        ("units = [3, 0]", "kseq.toml, units: received 0, expected a whole number from 1."),
        ("cells = ['rnn,lstm', 'gru']", "expected a text, a number or a list of them"),
        ("cells = ['gru', 'gru']", "kseq.toml, cells: received gru,gru, expected each once."),
        ("cells = [['gru']]", "kseq.toml, cells: received [['gru']], expected a text, a number or a list of them"),
        ("cells = [true]", "kseq.toml, cells: received True, expected"),
        ("cells = []", "kseq.toml, cells: received '', expected values with commas between them."),
        ("cells = ['elman']", "received cell 'elman', expected one of rnn, lstm, gru"),
        ("bidirectional = 1", "kseq.toml, bidirectional: received 1, expected true or false."),
        ("bidirectional = 'yes'", "kseq.toml, bidirectional: received 'yes', expected true or false."),
        ("dropout = 2", "kseq.toml, dropout: received 2, expected 0 or a number between 0 and 1 (2 % is 0.02)."),
        ("fill = 'zero'", "kseq.toml, fill: 'zero' is not one of 'linear', 'ffill'"),
        ("format = 'xml'", "kseq.toml, format: 'xml' is not one of"),
        ("time = 1979-05-27", "kseq.toml, time: received datetime.date(1979, 5, 27), expected a text"),
        ("csv = 'none.csv'", "received --csv none.csv, which does not exist"),
        ("out = ''", "kseq.toml, out: received '', expected the name of a folder"),
        ("lookback =", "received --config kseq.toml, which is not TOML (Invalid value (at end of document))"),
        ("lookback = 3\nlookback = 4", "which is not TOML (Cannot overwrite a value"),
        (b"unit = '\xff'", "received --config kseq.toml, which is not UTF-8 text; expected a TOML file."),
    ],
)
def test_a_bad_file_is_one_line_and_leaves_nothing(here, capsys, text, expected):
    Path("kseq.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["compare", "--config", "kseq.toml"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert [path.name for path in here.iterdir()] == ["kseq.toml"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("none.toml", "received --config none.toml, which does not exist; expected a TOML file."),
        (".", "received --config ., which cannot be read (Is a directory); expected a TOML file."),
        ("run.json", "lines such as units = 32; a run's record is repeated by `kseq reproduce`."),
    ],
)
def test_what_is_no_file_of_options(here, capsys, path, expected):
    (here / "run.json").write_text("{}")
    assert main(["compare", "--config", path]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe", b"\x00", b"a", b"[" * 5000, b"a=" + b"[" * 3000 + b"]" * 3000, b"lookback=" + b"9" * 5000,
        b"a" + b".a" * 5000 + b"=1", b"[compare]\n[compare]\n", b"[[compare]]\nunits=1", b"[compare.x]\ny=1",
        *(b"%s = %s" % (name, value)
          for name in (b"lookback", b"units", b"cells", b"csv", b"bidirectional", b"weight-decay", b"out")
          for value in (b"1979-05-27", b"1979-05-27T07:32:00Z", b"07:32:00", b"{a = 1}", b"[[]]", b"[{}]",
                        b"0x" + b"f" * 5000, b"[1979-05-27]", b'"\\u0000"')),
    ],
)  # fmt: skip
def test_odd_files_of_options_are_told_in_one_line(here, capsys, content):
    (here / "odd.toml").write_bytes(content)
    assert main(["compare", "--config", "odd.toml"]) == 2
    told = capsys.readouterr().err
    assert "odd.toml" in told or "expected" in told
    assert len(told.splitlines()) == 1
    assert [path.name for path in here.iterdir()] == ["odd.toml"]


def test_a_mark_of_the_encoding_is_no_option(here, capsys):
    (here / "kseq.toml").write_bytes(b"\xef\xbb\xbflookback = 0")
    assert main(["compare", "--config", "kseq.toml"]) == 2
    assert "kseq.toml, lookback: received 0, expected a whole number from 1." in capsys.readouterr().err


@pytest.mark.parametrize("blank", ["", " "])
def test_an_empty_name_is_no_folder(here, capsys, blank):
    assert main(["compare", "--out", blank]) == 2
    assert f"'--out': received {blank!r}, expected the name of a folder" in capsys.readouterr().err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("kseq comp", ["compare"]),
        ("kseq compare --look", ["--lookback"]),
        ("kseq compare --data ", ["nino12", "co2", "sunspots"]),
        ("kseq compare --backend ", list(BACKENDS)),
        ("kseq bench --backend t", [name for name in BACKENDS if name.startswith("t")]),
        ("kseq compare --device ", ["cpu", "gpu"]),
        ("kseq compare --cells ", ["rnn", "lstm", "gru"]),
        ("kseq compare --cells rnn,", ["rnn,lstm", "rnn,gru"]),
        ("kseq compare --cells lstm,g", ["lstm,gru"]),
        ("kseq compare --backend torch,", []),
        (
            "kseq compare --baselines seasonal-naive,clim",
            ["seasonal-naive,climatology", "seasonal-naive,climatology-ar"],
        ),
        ("kseq compare --fill l", ["linear"]),
    ],
)
def test_completion_in_the_shell(monkeypatch, capsys, words, expected):
    # What the function that `_KSEQ_COMPLETE=bash_source kseq` prints sets, after TAB behind these words.
    for name, value in {"_KSEQ_COMPLETE": "bash_complete", "COMP_WORDS": words,
                        "COMP_CWORD": str(len(words.split(" ")) - 1)}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="0"):
        main([])
    assert capsys.readouterr().out.split() == [f"plain,{value}" for value in expected]


def test_settings_are_compared_whole():
    # The tests above compare settings for equality: one that is left out of it would pass unseen.
    assert all(field.compare for field in dataclasses.fields(Settings))
