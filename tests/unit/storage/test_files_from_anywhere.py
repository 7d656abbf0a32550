"""Files that kseq reads back, changed in every place: each is refused in one line, or means what it meant.

``KSEQ_MUTATIONS=2000 pytest tests/unit/storage/test_files_from_anywhere.py`` tries more of each kind.
"""

import copy
import hashlib
import io
import json
import os
import random
import stat
import tracemalloc
import warnings
import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest

from kseq import KseqError, Settings, compare, from_frame, panel_from_frame, read_csv
from kseq.errors import ConfigError, DataError
from kseq.experiments.reproduce import Recorded
from kseq.forecasting import model_file
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import forecast
from kseq.forecasting.score import evaluate

pytestmark = [pytest.mark.above_backends, pytest.mark.long]

#: How many changes of each kind are tried.
MUTATIONS = int(os.environ.get("KSEQ_MUTATIONS", "30"))

#: Values of every type, of sizes that no file should have, and none at all.
REMOVED = object()
WRONG = [None, True, "text", "", -1, 0, 1.5, 10**30, 1e308, [], {}, [[]], [None], {"a": {"b": 1}}, REMOVED]

QUICK = {"units": 3, "lookback": 4, "refit": False, "training": {"epochs": 1}}


def monthly(rows=48, seed=0):
    y = 10 + np.random.default_rng(seed).normal(size=rows).cumsum()
    return pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=rows, freq="MS"), "y": y})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Models of one series and of many, by name: of one network, and of two deep ones."""
    folder = tmp_path_factory.mktemp("saved")
    panel = panel_from_frame(pd.concat([monthly(seed=n).assign(unique_id=f"s{n}") for n in range(2)]))
    deep = {"seeds": (0, 1), "num_layers": 2, "dropout": 0.1, "bidirectional": True, "horizon": 2, "cells": ("lstm",)}
    models = {
        "one": fit_model(from_frame(monthly()), transform="anomaly,trend", season=12, **QUICK),
        "deep": fit_model(from_frame(monthly()), transform="none", **deep, **QUICK),
        "many": fit_model(panel, cells=("rnn",), transform="anomaly,trend", season=12, **QUICK),
    }
    return {name: model_file.save(model, folder / f"{name}.keras") for name, model in models.items()}


@pytest.fixture(scope="module")
def expected(saved):
    return {name: forecast(model_file.load(path), 3).frame for name, path in saved.items()}


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, contents, **options):
    """Write members, with checksums that fit what they hold."""
    contents = dict(contents)
    try:
        card = json.loads(contents["kseq.json"])
        sums = {name: hashlib.sha256(contents[name]).hexdigest() for name in card["checksums"]}
        if sums != card["checksums"]:
            contents["kseq.json"] = json.dumps({**card, "checksums": sums}).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def paths(value, at=()):
    """Every place in JSON; of long lists the first and the last entry."""
    if at:
        yield at
    places = value if isinstance(value, dict) else sorted({0, len(value) - 1} & {*range(len(value))}) \
        if isinstance(value, list) else ()  # fmt: skip
    for key in places:
        yield from paths(value[key], (*at, key))


def changed(record, at, value):
    record = copy.deepcopy(record)
    place = record
    for key in at[:-1]:
        place = place[key]
    if value is REMOVED:
        del place[at[-1]]
    else:
        place[at[-1]] = value
    return record


def some(record, seed):
    """Changes of a record: all, or as many as are tried."""
    every = [(at, wrong) for at in paths(record) for wrong in WRONG]
    return random.Random(seed).sample(every, min(MUTATIONS, len(every)))


def in_one_line(error):
    assert str(error)
    assert "\n" not in str(error)


def means_the_same(path, frame):
    """Whether a file gives the forecasts that it gave; False where it is refused in one line."""
    try:
        made = forecast(model_file.load(path), 3).frame
    except KseqError as error:
        in_one_line(error)
        return False
    assert made.iloc[:, 2].to_numpy() == pytest.approx(frame.iloc[:, 2].to_numpy(), rel=1e-5)
    return True


@pytest.mark.parametrize("name", ["one", "deep", "many"])
def test_every_field_of_a_config(saved, expected, tmp_path, name):
    contents = members(saved[name])
    config = json.loads(contents["config.json"])
    same = 0
    for at, wrong in some(config, name):
        contents["config.json"] = json.dumps(changed(config, at, wrong)).encode()
        same += means_the_same(write(tmp_path / "model.keras", contents), expected[name])
    # Names and initializers do not matter.
    assert same < MUTATIONS


#: Numbers of a card, which other numbers may replace: nothing tells that they were others.
NUMBERS = {"center", "scale", "means", "start", "slope", "values", "levels", "phase", "settings", "season"}


@pytest.mark.parametrize("name", ["one", "deep", "many"])
def test_every_field_of_a_card(saved, expected, tmp_path, name):
    contents = members(saved[name])
    card = json.loads(contents["kseq.json"])
    for at, wrong in some(card, name):
        contents["kseq.json"] = json.dumps(changed(card, at, wrong)).encode()
        path = write(tmp_path / "model.keras", contents)
        if NUMBERS & set(at) and isinstance(wrong, int | float):
            try:
                assert np.isfinite(forecast(model_file.load(path), 3).frame.iloc[:, 2]).all()
            except KseqError as error:
                in_one_line(error)
            continue
        if at[0] in ("first", "freq", "season", "half_widths", "series", "panel", "transform"):
            # Other text may mean another date.
            try:
                forecast(model_file.load(path), 3)
            except KseqError as error:
                in_one_line(error)
            continue
        means_the_same(path, expected[name])


@pytest.mark.parametrize("member", ["model.weights.h5", "kseq.arrays", "config.json", "kseq.json", None])
def test_bytes(saved, tmp_path, member):
    chance = random.Random(member)
    whole, contents = saved["many"].read_bytes(), members(saved["many"])
    for _ in range(MUTATIONS):
        damaged = bytearray(whole if member is None else contents[member])
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if not chance.randrange(8):
            del damaged[chance.randrange(len(damaged)) :]
        path = tmp_path / "model.keras"
        if member is None:
            path.write_bytes(damaged)
        else:
            write(path, {**contents, member: bytes(damaged)})
        try:
            model_file.read_card(path)
        except DataError as error:
            in_one_line(error)


def weights_of(edit):
    """Weights as an edit of the open HDF5 file leaves them."""

    def change(contents):
        file = io.BytesIO(contents["model.weights.h5"])
        with h5py.File(file, "r+") as opened:
            edit(opened)
        return {**contents, "model.weights.h5": file.getvalue()}

    return change


KERNEL = "layers/gru/cell/vars/0"


def replaced(make):
    def edit(file):
        shape = file[KERNEL].shape
        del file[KERNEL]
        make(file, shape)

    return weights_of(edit)


def virtual(file, shape):
    layout = h5py.VirtualLayout(shape, "float32")
    layout[:] = h5py.VirtualSource("other.h5", "secret", shape)
    file.create_virtual_dataset(KERNEL, layout)


def looped(file):
    file["layers/gru/cell/vars/again"] = file["layers"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replaced(lambda file, shape: file.create_dataset(
            KERNEL, shape, "float32", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])), "kept in other files"),
        (replaced(virtual), "kept in other files"),
        (replaced(lambda file, shape: file.__setitem__(KERNEL, h5py.ExternalLink("other.h5", "/x"))), "is a link"),
        (replaced(lambda file, shape: file.__setitem__(KERNEL, h5py.SoftLink("/layers/dense/vars/0"))), "is a link"),
        (replaced(lambda file, shape: file.create_dataset(KERNEL, (10**10, 9), "float32", chunks=True)), "of shape"),
        (replaced(lambda file, shape: file.create_dataset(KERNEL, shape, "float64")), "is float64"),
        (replaced(lambda file, shape: file.create_dataset(KERNEL, shape, h5py.string_dtype())), "is object"),
        (replaced(lambda file, shape: file.create_dataset(KERNEL, shape, "float32", compression="gzip")), "is stored"),
        (replaced(lambda file, shape: file.create_dataset(KERNEL, shape, "float32", fillvalue=1.0)), "is stored"),
        (replaced(lambda file, shape: None), "there are 5 arrays, expected 6"),
        (replaced(lambda file, shape: file.create_group(KERNEL)), "there is a group"),
        (weights_of(lambda file: file.__setitem__("layers/gru/extra", np.zeros(2))), "expected none of that name"),
        (weights_of(looped), "there is a group"),
        (weights_of(lambda file: file.create_group("layers/odd\n\x1b[31mname")), "there is a group layers/odd .*name"),
        (weights_of(lambda file: file[KERNEL].__setitem__((0, 0), np.nan)), r"1 of the 9 weights .* are not finite"),
        (weights_of(lambda file: file[KERNEL].__setitem__((0, 0), np.inf)), r"1 of the 9 weights .* are not finite"),
        (lambda contents: {**contents, "model.weights.h5": contents["model.weights.h5"][:5000]}, "no HDF5, or damaged"),
        (lambda contents: {**contents, "model.weights.h5": b""}, r"holds 0 bytes, expected about"),
        (lambda contents: {**contents, "config.json": b"[" * 5000 + b"]" * 5000}, "nested"),
        (lambda contents: {**contents, "config.json": b'{"a":' * 800 + b"1" + b"}" * 800}, "nested"),
        (lambda contents: {**contents, "config.json": b"\xff"}, "config.json"),
        (lambda contents: {**contents, "kseq.json": b'{"a":' * 800 + b"1" + b"}" * 800}, "kseq.json: "),
        (lambda contents: {**contents, "kseq.json": b"[" * 5000}, "kseq.json: "),
        (lambda contents: {**contents, "kseq.json": b""}, "kseq.json: "),
        (lambda contents: {**contents, "../evil": b"x"}, "a path out of the archive"),
        (lambda contents: {**contents, "/etc/evil": b"x"}, "a path out of the archive"),
        (lambda contents: {**contents, "C:\\evil": b"x"}, "a path out of the archive"),
        (lambda contents: {**contents, **{str(number): b"" for number in range(40)}}, "more than 32 members"),
    ],
)  # fmt: skip
def test_what_a_hostile_file_may_hold(saved, tmp_path, change, reason):
    path = write(tmp_path / "model.keras", change(members(saved["one"])))
    with pytest.raises(DataError, match=reason) as told:
        model_file.load(path)
    in_one_line(told.value)


def test_links_encrypted_members_and_such_as_stand_twice(saved, tmp_path):
    path, contents = tmp_path / "model.keras", members(saved["one"])
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(write(path, contents), "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="is a link, a folder or a device"):
        model_file.read_card(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(write(path, contents), "a") as archive:
            archive.writestr("config.json", "{}")
    with pytest.raises(DataError, match=r"holds 'config\.json' twice"):
        model_file.read_card(path)
    whole = bytearray(write(path, contents).read_bytes())
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match="is encrypted"):
        model_file.read_card(path)


def sized(contents, units):
    """A file whose card and config speak of more units than it has weights."""
    card, config = json.loads(contents["kseq.json"]), json.loads(contents["config.json"])
    card["settings"]["units"] = units
    config["config"]["layers"][1]["config"]["units"] = units
    return {**contents, "kseq.json": json.dumps(card).encode(), "config.json": json.dumps(config).encode()}


def wide(contents):
    """A config that declares windows of many columns."""
    config = json.loads(contents["config.json"])
    config["config"]["layers"][0]["config"]["batch_shape"] = [None, 4, 60_000_000]
    return {**contents, "config.json": json.dumps(config).encode()}


BOMBS = {
    "zeros in the weights": lambda contents: {**contents, "model.weights.h5": bytes(2**27)},
    "zeros in the config": lambda contents: {**contents, "config.json": b"[" + b" " * 2**24},
    "spaces in the card": lambda contents: {**contents, "kseq.json": contents["kseq.json"] + b" " * 2**26},
    "many values in the card": lambda contents: {**contents, "kseq.json": b"[" + b"[]," * 2**21},
    "units": lambda contents: sized(contents, 10**6),
    "units beyond all": lambda contents: sized(contents, 2**40),
    "columns": wide,
}


@pytest.mark.parametrize("name", BOMBS)
def test_nothing_is_unpacked_or_built_that_is_too_large(saved, tmp_path, name):
    path = write(tmp_path / "model.keras", BOMBS[name](members(saved["one"])), compression=zipfile.ZIP_DEFLATED)
    model_file.read_card(saved["one"])
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as told:
            model_file.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
    in_one_line(told.value)


def odd_places(folder):
    """Names of what is no file."""
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    return [folder / "folder", folder / "pipe", folder / ("x" * 10_000), folder / "none", "/dev/null", "a\0b"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are those of POSIX")
def test_what_is_no_file(tmp_path):
    for place in odd_places(tmp_path):
        for read in (model_file.read_card, Recorded.read):
            with pytest.raises(KseqError) as told:
                read(place)
            in_one_line(told.value)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of baselines on a user's file."""
    folder = tmp_path_factory.mktemp("run")
    monthly(60).to_csv(folder / "mine.csv", index=False)
    comparison = compare(read_csv(folder / "mine.csv"), Settings(cells=(), baselines=("persistence",), lookback=4))
    comparison.write(folder)
    return folder / "run.json"


def test_every_field_of_a_record(run, tmp_path):
    record = json.loads(run.read_bytes())
    place = tmp_path / "run.json"
    for at, wrong in some(record, "run"):
        place.write_text(json.dumps(changed(record, at, wrong)))
        try:
            recorded = Recorded.read(place)
            recorded.settings  # noqa: B018
            recorded.repeat(recorded.series())
        except KseqError as error:
            in_one_line(error)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"NaN", b'{"kseq": NaN}', b"[" * 800, b'{"a":' * 800 + b"1" + b"}" * 800, b"1" * 10_000,
     b'{"kseq": 1e999}', b"[" + b"[]," * 2**20],
)  # fmt: skip
def test_what_is_no_record(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"run\.json") as told:
        Recorded.read(tmp_path)
    in_one_line(told.value)


def test_a_record_with_further_fields_is_read(run, tmp_path):
    record = json.loads(run.read_bytes())
    record["later"] = {"deep": [1, {"er": None}]}
    record["models"][0]["crps"] = [0.5]
    record["series"]["region"] = "north"
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert Recorded.read(tmp_path).settings.lookback == 4


def test_a_card_with_further_fields_is_read(saved, expected, tmp_path):
    for name in ("one", "many"):
        contents = members(saved[name])
        card = json.loads(contents["kseq.json"])
        card |= {"later": {"deep": [1, {"er": None}]}, "settings": {**card["settings"], "attention": True}}
        contents["kseq.json"] = json.dumps(card).encode()
        assert means_the_same(write(tmp_path / "model.keras", contents), expected[name])


@pytest.mark.parametrize("name", ["one", "many"])
def test_forecasts_that_are_not_finite_are_told(saved, name):
    model = model_file.load(saved[name])
    # Finite weights, whose products are not.
    model.network.set_weights([np.full_like(weight, -3e38) for weight in model.network.get_weights()])
    rows = model.card.context
    for call in (lambda: forecast(model, 2), lambda: evaluate(model, rows, all_rows=True)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            with pytest.raises(DataError, match="are not finite, expected numbers") as told:
                call()
        in_one_line(told.value)


def test_a_model_that_diverged_is_not_saved(saved, tmp_path):
    model = model_file.load(saved["one"])
    model.network.set_weights([np.full_like(weight, np.nan) for weight in model.network.get_weights()])
    with pytest.raises(ConfigError, match=r"the training of GRU diverged: .* nothing was written"):
        model_file.save(model, tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())
