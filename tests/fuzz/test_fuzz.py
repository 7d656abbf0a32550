"""Hostile options and files: every answer is a result or one line with status 2, and a refusal writes nothing.

CI takes the same few hundred inputs each time. For more, and others each time::

    KSEQ_FUZZ=3000 pytest tests/fuzz
"""

import contextlib
import io
import json
import os
import shutil
import signal
import sys
import unicodedata
import zipfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kseq.cli import load, main

# No line is run here alone, and coverage takes half as long again.
pytestmark = [pytest.mark.above_backends, pytest.mark.no_cover]

#: Inputs of all tests together, and a share for each.
INPUTS = int(os.environ.get("KSEQ_FUZZ", "0"))

#: Seconds after which a command counts as hanging; the first ones compile loops, which takes a slow machine long.
HANGS, COMPILES = 60, 600

#: As little training as there can be.
TINY = ["--epochs", "1", "--units", "1", "--lookback", "2", "--transform", "none", "--quiet"]
COMPARE = [*TINY, "--seeds", "1", "--cells", "rnn", "--baselines", "persistence"]
#: More rows than any file here has: a file is read to its end, and nothing is trained.
NO_TRAINING = ["--quiet", "--lookback", "100000"]

#: What is typed by mistake, by other programs, and by who means harm.
WHOLES = ["0", "1", "2", "3", "-1", "1.5", "1e3", "0x10", "1_0", " 7 ", "٣", "²", "NaN", "inf", str(10**30), "9" * 5000]
NUMBERS = ["0", "1", "0.5", "-0.5", "nan", "inf", "-inf", "1e308", "1e309", "1e-320", "1e-400", "0,5", "½",
           "0.9999999999999999", "1__0"]  # fmt: skip
TEXTS = ["", " ", "\0", "\x1b[2J", "\a\b\r", "\u202egnp.exe", "[red]x[/red]", "a\nb", "=1+1", "'", '"', ",", ",,",
         "a,a", "none", "auto", "y", "ds", "é", "\ud800", "\udcff", "%s%n", "{}", "--", "x" * 10_000]  # fmt: skip
PATHS = ["", ".", "/", "/dev/null", "/dev/zero", "/dev/stdin", "none", "none/none", "x" * 300, "x/" * 4000,
         "\0", "a\0b", "\x1b[31m", "\udcff", "~", "series.csv", "series.parquet", "model.keras", "run",
         "run/run.json"]  # fmt: skip

#: Options whose accepted values would take long, or which ask for another program.
SLOW = {"help", "config", "out", "baselines", "workloads", "rounds", "backend", "device", "strategy", "members"}


def fuzzed(share):
    """So many of the inputs: the same ones each time, or others where more are asked for."""
    some = max(1, round((INPUTS or 240) * share))
    return settings(
        max_examples=some, derandomize=not INPUTS, deadline=None, database=None, print_blob=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a series, a panel, a model and a run."""
    here = tmp_path_factory.mktemp("fuzz")
    before = Path.cwd()
    os.chdir(here)
    dates = pd.date_range("2001-01-01", periods=60, freq="MS")
    frame = pd.DataFrame({"ds": dates, "y": 10 + np.sin(np.arange(60)), "x": np.arange(60) % 7})
    frame.to_csv("series.csv", index=False)
    frame.to_parquet("series.parquet", index=False)
    pd.concat([frame.assign(unique_id=id) for id in ("a", "b")]).to_csv("panel.csv", index=False)
    assert call(["fit", "--csv", "series.csv", "--target", "y", *TINY, "--out", "model.keras"], COMPILES)[0] == 0
    assert call(["compare", "--csv", "series.csv", "--target", "y", *COMPARE, "--out", "run"], COMPILES)[0] == 0
    yield here
    os.chdir(before)


def call(arguments, limit=HANGS):
    """Status, standard output and standard error of a command."""

    def hangs(*_):
        raise TimeoutError(f"no answer after {limit} s")

    out, err = io.StringIO(), io.StringIO()
    old = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(arguments)
    except SystemExit as error:
        # --help and --version.
        status = error.code or 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    return status, out.getvalue(), err.getvalue()


def snapshot(here):
    return {str(path.relative_to(here)): path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}


def answered(arguments, here, finds=False):
    """Run a command and hold it to what is promised; ``finds`` where status 1 is an answer."""
    before = snapshot(here)
    status, out, err = call(arguments)
    told = f"{[argument[:60] for argument in arguments]}: status {status}, {err[:600]!r}"
    assert "a fault of kseq" not in err, told
    assert "Traceback" not in err, told
    assert status in ((0, 1, 2) if finds else (0, 2)), told
    obeyed = [c for c in out + err if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\u200c\u200d"]
    if status == 2:
        assert err.startswith("kseq: "), told
        assert err.count("\n") == 1, told
        assert len(err) < 2000, told
        assert not obeyed, told
        assert out == "", told
        assert snapshot(here) == before, told
    return status


def values_of(option):
    """Values for an option: hostile ones of its kind, and small ones that it takes."""
    if isinstance(option.type, click.Path):
        return st.sampled_from(PATHS)
    if isinstance(option.type, click.Choice):
        return st.sampled_from([*option.type.choices, *TEXTS])
    if option.type.name in ("number", "units"):
        return st.sampled_from([*WHOLES, *TEXTS])
    if option.type.name in ("float", "levels", "numbers"):
        return st.sampled_from([*NUMBERS, *WHOLES, *TEXTS])
    return st.sampled_from(TEXTS) | st.text(max_size=20)


@st.composite
def command_lines(draw):
    """A command with small settings, and up to three of its options with values of all kinds."""
    name = draw(
        st.sampled_from(["compare", "tune", "fit", "forecast", "evaluate", "audit", "reproduce", "data", "bench"])
    )
    options = [p for p in load(name).params if isinstance(p, click.Option) and p.name not in SLOW]
    typed = []
    for option in draw(st.lists(st.sampled_from(options), min_size=1, max_size=3, unique=True)):
        typed += [max(option.opts, key=len)] + ([] if option.is_flag else [draw(values_of(option))])
    base = {
        "compare": NO_TRAINING, "tune": ["--quiet", "--lookback", "100000", "--trials", "1", "--trial-seeds", "1"],
        "fit": NO_TRAINING, "audit": NO_TRAINING, "forecast": ["--model", "model.keras", "--quiet"],
        "evaluate": ["--model", "model.keras", "--data", "co2", "--quiet"], "reproduce": ["none"], "data": [],
        "bench": ["--workloads", "none", "--quiet"],
    }[name]  # fmt: skip
    file = [] if name not in ("compare", "fit", "audit", "tune") else draw(
        st.sampled_from([[], ["--csv", "series.csv", "--target", "y"], ["--csv", "panel.csv", "--target", "y"]])
    )  # fmt: skip
    # What is drawn comes last, and so counts; where it makes a series long enough, it is trained for an epoch.
    small = ["--epochs", "1", "--seeds", "1"] if name in ("compare", "fit", "audit", "tune") else []
    return [name, *small, *base, *file, *typed]


@fuzzed(0.35)
@given(arguments=command_lines())
def test_options(folder, arguments):
    assume("run" not in arguments[1:2])
    answered(arguments, folder, finds=arguments[0] in ("audit", "reproduce"))


@fuzzed(0.05)
@given(
    option=st.sampled_from([p for p in load("compare").params if isinstance(p, click.Option) and not p.is_flag]),
    data=st.data(),
)
def test_one_option_of_a_run(folder, option, data):
    """One hostile value beside settings that would train: no option is looked at after something was written."""
    assume(option.name not in SLOW)
    value = data.draw(values_of(option))
    arguments = ["compare", "--csv", "series.csv", "--target", "y", *COMPARE, "--out", "made"]
    status = answered([*arguments, max(option.opts, key=len), value], folder)
    assert (folder / "made").exists() == (status == 0)
    if status == 0:
        shutil.rmtree(folder / "made")


CELLS = ["", " ", "nan", "NaN", "inf", "-inf", "1e400", "1e-400", "-", "x", "=1+1", "\x1b[2J", "\u202e", "\0", '"',
         '""', "a\nb", "1,5", "٣", "9" * 400, "2001-13-01", "0001-01-01", "9999-12-31",
         "2001-01-01T00:00:00+99:00", "1e5", "True",
         "x" * 200_000]  # fmt: skip


@st.composite
def tables(draw):
    """A table as text: the good one, with some of its cells, lines and marks changed."""
    rows = [["ds", "y", "x"]] + [[f"{2001 + i // 12}-{i % 12 + 1:02}-01", f"{i % 7}.5", str(i % 5)] for i in range(40)]
    for _ in range(draw(st.integers(0, 4))):
        row = draw(st.integers(0, len(rows) - 1))
        column = draw(st.integers(0, 2))
        rows[row][column : column + 1] = [draw(st.sampled_from(CELLS) | st.text(max_size=5))]
    kind = draw(st.sampled_from(["", "", "drop", "twice", "more", "fewer", "shuffle", "none", "one"]))
    if kind == "drop":
        del rows[draw(st.integers(0, len(rows) - 1))]
    elif kind == "twice":
        rows.append(rows[-1])
    elif kind == "more":
        rows[draw(st.integers(0, len(rows) - 1))] += ["1"] * draw(st.integers(1, 300))
    elif kind == "fewer":
        rows[draw(st.integers(0, len(rows) - 1))] = []
    elif kind == "shuffle":
        rows[1:] = draw(st.permutations(rows[1:]))
    elif kind in ("none", "one"):
        rows = rows[: 1 + (kind == "one")]
    separator = draw(st.sampled_from([",", ",", ",", ";", "\t", "|", ", "]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n", ",\n"]))
    text = end.join(separator.join(row) for row in rows) + draw(st.sampled_from(["", end, "\x1a"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32"]))
    content = text.encode(encoding, "replace")
    damage = draw(st.sampled_from(["", "", "", "cut", "flip", "bytes"]))
    if damage == "cut":
        content = content[: draw(st.integers(0, len(content)))]
    elif damage == "flip" and content:
        place = draw(st.integers(0, len(content) - 1))
        content = content[:place] + bytes([content[place] ^ 1 << draw(st.integers(0, 7))]) + content[place + 1 :]
    elif damage == "bytes":
        content = draw(st.binary(max_size=200))
    return content


@fuzzed(0.15)
@given(
    content=tables(),
    options=st.sampled_from([
        [], ["--target", "y"], ["--target", "y", "--features", "x"], ["--target", "y", "--fill", "seasonal"],
        ["--target", "y", "--fill", "linear"], ["--target", "y", "--fill", "mask"], ["--target", "y", "--freq", "MS"],
        ["--target", "y", "--id", "x"], ["--target", "y", "--time", "ds"], ["--header", "3"], ["--future", "x"],
        ["--target", "y", "--static", "x"],
    ]),
    trained=st.integers(0, 9),
)  # fmt: skip
def test_csv(folder, content, options, trained):
    (folder / "fuzzed.csv").write_bytes(content)
    arguments = ["fit", "--csv", "fuzzed.csv", *options]
    if trained:
        answered([*arguments, *NO_TRAINING], folder)
    else:
        answered([*arguments, *TINY, "--out", "fuzzed.keras"], folder)


KEYS = [max(option.opts, key=len)[2:] for option in load("compare").params if option.name not in SLOW]

VALUES = st.one_of(
    st.booleans(), st.integers(-3, 3), st.sampled_from([10**30, -(10**30), 10**18]), st.floats(),
    st.sampled_from(TEXTS),
    st.lists(st.sampled_from(["gru", "y", "", "1"]), max_size=3), st.just({}), st.just([[]]),
)  # fmt: skip


def toml(value):
    """A value as TOML; text that TOML has no way to write stays as it is, and makes the file a bad one."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return "{}" if value == {} else str(value)


@fuzzed(0.15)
@given(
    entries=st.lists(
        st.tuples(st.sampled_from(KEYS), VALUES),
        max_size=3, unique_by=lambda entry: entry[0],
    ),
    table=st.sampled_from(["", "[compare]\n", "[fit]\n", "[[compare]]\n", "[none]\n", "["]),
)  # fmt: skip
def test_toml(folder, entries, table):
    text = table + "\n".join(f"{key} = {toml(value)}" for key, value in entries)
    (folder / "fuzzed.toml").write_text(text, encoding="utf-8", errors="surrogatepass")
    # What is typed comes before the file.
    answered(["compare", "--config", "fuzzed.toml", *NO_TRAINING, "--epochs", "1", "--seeds", "1"], folder)


def places(value, path=()):
    """The ways to all values of a record."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


@fuzzed(0.05)
@given(data=st.data())
def test_run_json(folder, data):
    record = json.loads((folder / "run/run.json").read_text())
    path = data.draw(st.sampled_from([place for place in places(record) if place]))
    holder = record
    for key in path[:-1]:
        holder = holder[key]
    change = data.draw(st.sampled_from([None, True, -1, 0, 1.5, 10**30, "", "x", "\x1b[2J", [], {}, [[]], "delete"]))
    if change == "delete" and isinstance(holder, dict):
        del holder[path[-1]]
    else:
        holder[path[-1]] = change
    (folder / "fuzzed.json").write_text(json.dumps(record))
    answered(["reproduce", "fuzzed.json", "--quiet"], folder, finds=True)


def damaged(content, data):
    """A file cut off, with bytes changed, or with something at its end."""
    kind = data.draw(st.sampled_from(["cut", "flip", "flip", "append", "zeros"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if kind == "cut":
        return content[:place]
    if kind == "append":
        return content + data.draw(st.binary(min_size=1, max_size=50))
    size = 1 if kind == "flip" else 64
    changed = bytes(byte ^ 0x55 for byte in content[place : place + size]) if kind == "flip" else bytes(size)
    return content[:place] + changed + content[place + size :]


@fuzzed(0.07)
@given(data=st.data())
def test_model_files(folder, data):
    whole = folder / "model.keras"
    if data.draw(st.booleans()):
        content = damaged(whole.read_bytes(), data)
    else:
        # Damage inside, where the archive's own checksums are right.
        buffer = io.BytesIO()
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(buffer, "w") as target:
            names = source.namelist()
            chosen = data.draw(st.sampled_from(names))
            for name in names:
                part = source.read(name)
                target.writestr(name, damaged(part, data) if name == chosen and part else part)
        content = buffer.getvalue()
    (folder / "fuzzed.keras").write_bytes(content)
    answered(["forecast", "--model", "fuzzed.keras", "--steps", "2", "--quiet"], folder)


@fuzzed(0.08)
@given(data=st.data())
def test_parquet(folder, data):
    (folder / "fuzzed.parquet").write_bytes(damaged((folder / "series.parquet").read_bytes(), data))
    answered(["fit", "--parquet", "fuzzed.parquet", "--target", "y", *NO_TRAINING], folder)


@pytest.mark.skipif(sys.platform == "win32", reason="these are files of POSIX systems")
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "pipe"])
@pytest.mark.parametrize("arguments", [["compare", "--csv"], ["compare", "--parquet"], ["compare", "--config"],
                                       ["forecast", "--model"], ["reproduce"]])  # fmt: skip
def test_devices_and_pipes(folder, arguments, path):
    if path == "pipe" and not (folder / "pipe").exists():
        os.mkfifo(folder / "pipe")
    assert answered([*arguments, path], folder) == 2
