import datetime
import errno
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

from kseq import ConfigError, DataError, Panel, from_frame
from kseq.forecasting import model_file
from kseq.forecasting.fit import fit_model
from kseq.forecasting.forecast import forecast

pytestmark = pytest.mark.long

QUICK = {"transform": "none", "units": 3, "lookback": 4, "training": {"epochs": 2}}


def monthly(rows=40, zone=None):
    y = 10 + np.random.default_rng(0).normal(size=rows).cumsum()
    return pd.DataFrame({"ds": pd.date_range("2000-01-01", periods=rows, freq="MS", tz=zone), "y": y})


@pytest.fixture(scope="module")
def model():
    return fit_model(from_frame(monthly(), name="plant", unit="°C"), seeds=(0, 1), refit=False, **QUICK)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return model_file.save(model, tmp_path_factory.mktemp("saved") / "model.keras")


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copy(saved, tmp_path / "copy.keras")


def rewrite(path, member, edit):
    """Change one member of a file, with a checksum that fits."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[member] = edit(contents[member])
    if member != model_file.MEMBER:
        card = json.loads(contents[model_file.MEMBER])
        card["checksums"][member] = model_file.hashlib.sha256(contents[member]).hexdigest()
        contents[model_file.MEMBER] = json.dumps(card).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def edited(change):
    """What a change of the member's JSON makes of it."""

    def edit(content):
        record = json.loads(content)
        change(record)
        return json.dumps(record).encode()

    return edit


def test_a_model_comes_back_as_it_was(model, saved):
    again = model_file.load(saved)
    assert again.card.to_json() == model.card.to_json()
    assert again.card.context.fingerprint == model.card.context.fingerprint
    assert again.card.last == pd.Timestamp("2003-04-01")
    assert again.card.sha256 == from_frame(monthly()).fingerprint
    for one, two in zip(model.network.get_weights(), again.network.get_weights(), strict=True):
        assert np.array_equal(one, two)
    # A framework may compile the two in other ways: the last bits differ.
    pd.testing.assert_frame_equal(forecast(again, 5).frame, forecast(model, 5).frame, rtol=1e-5)


@pytest.mark.above_backends
def test_the_card_says_what_was_trained(model):
    record = model.card.to_json()
    assert record["settings"]["lookback"] == 4
    assert record["seeds"] == [0, 1]
    assert record["versions"]["keras"] == keras.__version__
    assert record["backend"] == keras.config.backend()
    assert (record["rows"], record["first"], record["freq"]) == (40, "2000-01-01 00:00:00", "MS")
    assert record["input_columns"] == ["y"]
    assert model.card.arrays()["input_center"].tolist() == [[pytest.approx(monthly()["y"][:34].mean())]]
    assert record["arrays"]["values"] == [40, 1]
    # Of six validation errors 80 % is bounded, and 95 % is not.
    levels = record["half_widths"]["levels"]
    assert isinstance(record["half_widths"]["values"][levels.index(80.0)][0][0], float)
    assert record["half_widths"]["values"][levels.index(95.0)][0][0] is None


def reread(card):
    """A card as it comes back from its file."""
    data = b"".join(array.tobytes() for array in card.arrays().values())
    return model_file.ModelCard.from_json(json.loads(json.dumps(card.to_json())), data)


@pytest.mark.above_backends
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "UTC+02:00", None])
def test_time_zones(model, zone):
    context = Panel.of(from_frame(monthly(zone=zone)))
    card = reread(replace(model.card, context=context))
    assert card.context.index.equals(context.index)
    assert card.context.index.dtype == context.index.dtype
    assert card.last == context.index[-1]


@pytest.mark.above_backends
def test_rows_without_dates(model):
    context = Panel.of(from_frame(monthly()[["y"]][10:]))
    card = reread(replace(model.card, freq="", context=replace(context, index=context.index + 10)))
    assert card.context.index.tolist() == list(range(10, 40))


@pytest.mark.above_backends
def test_a_time_zone_without_a_name_is_told(model):
    zone = datetime.timezone(datetime.timedelta(hours=2), "here")
    context = Panel.of(from_frame(monthly(zone=zone)))
    with pytest.raises(DataError, match="which has no name to be kept by; bring them into a named one"):
        replace(model.card, context=context).to_json()


def test_covariates_of_every_kind(tmp_path):
    rows = monthly(43).assign(rain=np.arange(43.0), price=np.arange(43.0)[::-1], place="north", height=3.0)
    rows.loc[40:, ["y", "rain"]] = np.nan
    rows.loc[7, "y"] = np.nan
    series = from_frame(
        rows, target="y", features=["rain"], future=["price"], static=["place", "height"], fill="mask", freq="MS"
    )
    model = fit_model(series, refit=False, **QUICK)
    again = model_file.load(model_file.save(model, tmp_path / "model.keras"))
    assert again.card.to_json() == model.card.to_json()
    assert again.card.context.fingerprint == model.card.context.fingerprint
    assert again.card.input_columns == ("y", "rain", "price[t+1]", "height", "place=north")
    pd.testing.assert_frame_equal(forecast(again).frame, forecast(model).frame, rtol=1e-5)


@pytest.mark.above_backends
def test_keras_alone_loads_it(model, saved):
    window = np.random.default_rng(0).normal(size=(3, 4, 1)).astype("float32")
    code = (
        "import sys, json, keras; "
        f"model = keras.models.load_model({str(saved)!r}); "
        f"output = model.predict_on_batch(keras.ops.convert_to_tensor({window.tolist()})); "
        "print(json.dumps([output.tolist(), sorted({type(layer).__module__ for layer in model.layers}), "
        "'kseq' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    output, modules, kseq_there = json.loads(done.stdout.splitlines()[-1])
    assert not kseq_there
    assert all(module.startswith("keras.src.") for module in modules)
    assert np.array(output) == pytest.approx(model.network.predict_on_batch(window), rel=1e-5)


@pytest.mark.above_backends
def test_the_file_holds_no_code(saved):
    with zipfile.ZipFile(saved) as archive:
        assert sorted(archive.namelist()) == [
            "config.json", "kseq.arrays", "kseq.json", "metadata.json", "model.weights.h5"
        ]  # fmt: skip
        assert b"lambda" not in archive.read("config.json").lower()


def outcome(path):
    try:
        return model_file.load(path).card.name
    except DataError as error:
        return str(error)


@pytest.mark.above_backends
def test_a_damaged_file_is_told(copy):
    whole = copy.read_bytes()
    told = []
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        copy.write_bytes(changed)
        told.append(outcome(copy))
    # Nothing is read from some bytes: dates in the archive, Keras's metadata.
    assert told.count("GRU") < 10
    assert all(text == "GRU" or (str(copy) in text and "\n" not in text) for text in told)


@pytest.mark.above_backends
def test_a_file_that_is_cut_off_is_told(copy):
    whole = copy.read_bytes()
    for size in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        copy.write_bytes(whole[:size])
        with pytest.raises(DataError, match="is no model, or is cut off"):
            model_file.load(copy)


@pytest.mark.above_backends
def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"which does not exist; expected a \.keras file that `kseq fit` or"):
        model_file.read_card(tmp_path / "none.keras")
    with pytest.raises(DataError, match="cannot be read"):
        model_file.read_card(tmp_path)
    (tmp_path / "text.keras").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is no model"):
        model_file.read_card(tmp_path / "text.keras")
    network = keras.Sequential([keras.Input((4, 1)), keras.layers.LSTM(2)])
    network.save(tmp_path / "other.keras")
    with pytest.raises(DataError, match=r"was not written by kseq \(it has no kseq.json\)"):
        model_file.read_card(tmp_path / "other.keras")


def set_in(*path, value):
    def change(record):
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("input_columns"),
        set_in("input_columns", value=["x"]),
        set_in("arrays", "input_scale", value=[2, 1]),
        set_in("arrays", "values", value=[2**40, 2**40]),
        set_in("panel", "ids", value=["a", "a"]),
        set_in("panel", "dates", value=None),
        set_in("panel", "dates", "precision", value="hours"),
        set_in("panel", "targets", value=[]),
        set_in("settings", "lookback", value=-1),
        set_in("settings", "lookback", value="four"),
        set_in("epochs", value="many"),
        set_in("seeds", value=[True]),
        set_in("checksums", value={}),
        set_in("half_widths", "values", value=[[1.0]]),
    ],
)
def test_a_card_that_does_not_fit_is_told(copy, change):
    rewrite(copy, model_file.MEMBER, edited(change))
    with pytest.raises(DataError, match="is damaged"):
        model_file.read_card(copy)


@pytest.mark.above_backends
def test_a_card_of_another_format_is_told(copy):
    rewrite(copy, model_file.MEMBER, edited(set_in("format", value=99)))
    with pytest.raises(DataError, match="in format 99, expected 1 to 2; load it with that version"):
        model_file.read_card(copy)
    for content in (b"[]", b"{", b"\xff"):
        rewrite(copy, model_file.MEMBER, lambda _, content=content: content)
        with pytest.raises(DataError, match="is damaged"):
            model_file.read_card(copy)


@pytest.mark.above_backends
def test_weights_of_another_model_are_told(copy):
    with zipfile.ZipFile(copy) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["model.weights.h5"] = contents["model.weights.h5"][::-1]
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with pytest.raises(DataError, match=r"model.weights.h5 has been changed"):
        model_file.read_card(copy)


def layer_of(record):
    return record["config"]["layers"][1]["config"]["layers"][1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: layer_of(record).update(class_name="Lambda"), "keras.layers.Lambda is none of the layers"),
        (lambda record: layer_of(record).update(module="os", class_name="system"), "os.system is none of the layers"),
        (lambda record: layer_of(record).update(registered_name="my>GRU"), "keras.layers.GRU is none of the layers"),
        (lambda record: layer_of(record)["config"].update(activation={"class_name": "function", "config": "exec"}),
         "None.function is none of the layers"),
        (lambda record: layer_of(record)["config"].update(units=100_000), "units is 100000, expected 3"),
        (lambda record: record.update(compile_config={"optimizer": "adam"}), "the model is compiled"),
    ],
)  # fmt: skip
@pytest.mark.above_backends
def test_a_config_that_names_anything_else_is_not_loaded(copy, change, reason):
    rewrite(copy, model_file.CONFIG, edited(change))
    with pytest.raises(DataError, match=reason):
        model_file.load(copy)


@pytest.mark.above_backends
def test_a_network_of_other_sizes_is_told(copy):
    rewrite(copy, model_file.MEMBER, edited(set_in("settings", "lookback", value=5)))
    with pytest.raises(DataError, match=r"its network takes and gives .* expected \(\(None, 5, 1\), \(None, 1\)\)"):
        model_file.load(copy)


@pytest.mark.above_backends
def test_a_member_that_is_too_large_is_not_read(copy, monkeypatch):
    monkeypatch.setitem(model_file.LARGEST, model_file.MEMBER, 100)
    with pytest.raises(DataError, match=r"kseq.json holds .* bytes, at most 100 are read"):
        model_file.read_card(copy)


@pytest.mark.above_backends
def test_an_option_of_a_later_keras_is_told(copy):
    def newer(record):
        layer_of(record)["config"]["an_option_of_later"] = 1

    rewrite(copy, model_file.CONFIG, edited(newer))
    with pytest.raises(DataError, match="holds an_option_of_later, which this version of kseq does not know"):
        model_file.load(copy)


@pytest.mark.above_backends
def test_a_full_disk_leaves_the_file_that_was_there(model, copy, monkeypatch):
    before = copy.read_bytes()

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(ConfigError, match="no file can be written"):
        model_file.save(model, copy)
    assert copy.read_bytes() == before
    assert [path.name for path in copy.parent.iterdir()] == ["copy.keras"]


@pytest.mark.above_backends
def test_names_and_folders(model, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ConfigError, match=r"expected a name that ends in \.keras"):
        model_file.save(model, tmp_path / "model.h5")
    with pytest.raises(ConfigError, match="no file can be written") as caught:
        model_file.save(model, tmp_path / "none" / "model.keras")
    # A training is not lost to a name.
    assert model_file.load(caught.value.files[0]).card.name == model.card.name


@pytest.mark.above_backends
def test_a_file_that_kseq_did_not_write_is_not_replaced(model, tmp_path):
    (tmp_path / "model.keras").write_text("mine")
    with pytest.raises(ConfigError, match=r"model.keras was not written by kseq; expected a free name"):
        model_file.save(model, tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_text() == "mine"
