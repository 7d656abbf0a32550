"""What a newcomer types first: values of other kinds, names that are not there, and imports in any order."""

import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import kseq
from kseq import ConfigError, DataError, layers
from kseq.training.budget import Training

pytestmark = pytest.mark.above_backends

#: A comparison that trains nothing.
QUICK = {"cells": (), "baselines": "persistence"}


@pytest.fixture
def frame():
    rows = np.arange(120)
    y = 10 + np.sin(rows / 3) + np.random.default_rng(5).normal(0, 0.1, 120)
    return pd.DataFrame({"ds": pd.date_range("2001-01-01", periods=120, freq="MS"), "y": y})


@pytest.fixture
def data(frame):
    return kseq.make_windows(frame, lookback=6)


#: Imports each public name and each module by itself, up to where Keras is asked for, and prints what that would run.
EACH_FIRST = """
import importlib, os, sys
sys.path[:] = {path!r}
import kseq

class Asked(BaseException):
    pass

class Keras:
    def find_spec(name, path=None, target=None):
        if name == "keras":
            raise Asked

sys.meta_path.insert(1, Keras)
for name in {names!r}:
    os.environ.pop("KERAS_BACKEND", None)
    for loaded in [one for one in sys.modules if one.startswith("kseq.")]:
        del sys.modules[loaded]
    vars(kseq).pop(name.partition(".")[0], None)
    try:
        getattr(kseq, name) if name in kseq.__all__ else importlib.import_module("kseq." + name)
    except Asked:
        print(name, os.environ.get("KERAS_BACKEND"))
"""


def test_whatever_is_imported_first_brings_an_installed_backend():
    folder = Path(kseq.__file__).parent
    # A module of each kind that imports Keras, as it is found when names are looked for by hand.
    modules = ["layers", "interop", "explanation.networks", "models.builders", "training.callbacks", "comparison.jobs"]
    names = ["explain", "fit", "build_gru", "Evaluation", "Forecaster", "compare", *modules]
    code = EACH_FIRST.format(path=[str(folder.parent), *sys.path], names=names)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    chosen = dict(line.split() for line in done.stdout.splitlines())
    assert {"explain", "build_gru", *modules} <= set(chosen)
    assert set(chosen.values()) == {next(iter(kseq.backends.installed()))}


def test_an_import_of_keras_by_others_is_left_alone():
    code = "import os, kseq, importlib.util; importlib.util.find_spec('keras'); print(os.environ.get('KERAS_BACKEND'))"
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "None"


def flags():
    """Every argument of a public function, class or method that is True or False."""
    found = {f"kseq.{name}": getattr(kseq, name) for name in kseq.__all__ if name != "__version__"}
    for kind in (kseq.Forecaster, kseq.Comparison):
        for name, method in vars(kind).items():
            # Those that refuse calls which do not fit; others are scikit-learn's.
            if inspect.isfunction(method) and hasattr(method, "__wrapped__"):
                found[f"{kind.__name__}.{name}"] = method
    found |= {f"Comparison.{name}": getattr(kseq.Comparison, name) for name in ("plot", "add_baselines", "scores")}
    for name, function in found.items():
        if inspect.isclass(function) and not hasattr(function.__init__, "__wrapped__"):
            continue
        if name in ("kseq.Forecaster", "Forecaster.__init__"):
            # It looks at its settings in ``fit``, by scikit-learn's conventions.
            continue
        for one in inspect.signature(function).parameters.values():
            if isinstance(one.default, bool) or str(one.annotation) in ("bool", "bool | None"):
                yield pytest.param(function, one.name, id=f"{name}({one.name}=)")


@pytest.mark.parametrize(("function", "name"), list(flags()))
@pytest.mark.parametrize("value", ["no", 2], ids=repr)
def test_a_flag_is_true_or_false(function, name, value):
    needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    with pytest.raises(ConfigError, match=f"received {name} .*, expected True or False"):
        function(*[None] * sum(one.kind is not one.VAR_KEYWORD for one in needed), **{name: value})


def test_a_forecaster_looks_at_its_flags_in_fit(frame):
    with pytest.raises(ConfigError, match="received bidirectional 'no', expected True or False"):
        kseq.Forecaster("gru", bidirectional="no", units=2, lookback=3, epochs=1).fit(frame)


def test_flags_of_numpy_and_of_none_are_taken(frame):
    assert kseq.make_windows(frame, calendar=np.bool_(True)).features > 1
    assert kseq.compare(frame, **QUICK, sort=np.bool_(True), refit=None).rows


@pytest.mark.parametrize("progress", [3, "x", True])
def test_a_function_that_cannot_be_called(frame, progress):
    for function in (kseq.compare, kseq.tune, kseq.audit, kseq.fit, kseq.explain):
        with pytest.raises(ConfigError, match=r"received progress .*, expected a function"):
            function(frame, progress=progress)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "clip_norm"])
@pytest.mark.parametrize("value", [1, np.float32(0.01), np.int64(2)], ids=repr)
def test_numbers_of_any_kind_are_floats_to_an_optimizer(name, value):
    assert type(getattr(Training(**{name: value}), name)) is float
    if name != "clip_norm":
        assert type(getattr(kseq.Space(**{name: (value,)}), name)[0]) is float


def test_a_learning_rate_of_one_and_of_numpy_trains(frame):
    for rate in (1, np.float32(0.01)):
        made = kseq.compare(
            frame, cells="gru", baselines=(), learning_rate=rate, epochs=1, seeds=1, units=2, lookback=3
        )
        assert [row.name for row in made.rows] == ["GRU"]


#: Values that a frame cannot be read with, by what is said of them.
READING = [
    ({"future": 3}, "received column '3', expected one of: ds, y"),
    ({"future": "foo"}, "received column 'foo', expected one of: ds, y"),
    ({"static": "foo"}, "received column 'foo', expected one of: ds, y"),
    ({"features": "foo"}, "received column 'foo', expected one of: ds, y"),
    ({"target": ["y", "y"]}, "received column 'y' twice"),
    ({"name": 3}, "received name 3, expected a text"),
    ({"fill": 0}, "received fill 0, expected linear, ffill"),
    ({"dayfirst": "yes"}, "received dayfirst 'yes', expected True or False"),
    ({"first_seed": -1}, "received first_seed -1"),
    ({"out": ""}, 'received "" for a file or a folder'),
]


@pytest.mark.parametrize(("options", "said"), READING, ids=[said for _, said in READING])
def test_a_way_of_reading_that_cannot_be(frame, options, said):
    with pytest.raises(kseq.KseqError) as error:
        kseq.compare(frame, **QUICK, **options)
    assert said in str(error.value)


def test_a_covariate_alone_needs_no_list(frame):
    frame = frame.assign(rain=np.arange(120.0))
    assert kseq.from_frame(frame, target="y", features="rain").features == ("rain",)
    assert kseq.panel_from_frame(frame, target="y", future="rain").future == ("rain",)


def test_an_index_of_ids_and_dates_needs_no_names(frame):
    long = pd.concat([frame.assign(unique_id=id) for id in "ab"]).set_index(["unique_id", "ds"])
    bare = long.rename_axis([None, None])
    assert list(kseq.make_windows(bare).series.ids) == ["a", "b"]
    truth = kseq.judge(bare.assign(mine=bare["y"] + 1.0), baselines=["mine"]).table
    pd.testing.assert_frame_equal(truth, kseq.judge(long.assign(mine=long["y"] + 1.0), baselines=["mine"]).table)


def test_what_is_no_date_and_no_real_number(frame):
    hours = pd.Series(frame["y"].to_numpy(), index=pd.to_timedelta(np.arange(120), unit="h"))
    with pytest.raises(DataError, match="received ds that does not read as dates"):
        kseq.judge(hours)
    with pytest.raises(DataError, match="received complex numbers"):
        kseq.make_windows(frame["y"].to_numpy() * 1j)


#: Names that people look for in an object, and what is there instead.
LOOKED_FOR = [
    ("comparison", "tabel", "did you mean .table?"), ("comparison", "summary", "did you mean .table?"),
    ("comparison", "winner", "did you mean .best?"), ("comparison", "to_csv", "did you mean .table.to_csv(path)"),
    ("comparison", "xyz", "Tables has no xyz"), ("data", "x_train", "did you mean .train.x?"),
    ("data", "y_test", "did you mean .test.y?"), ("data", "X_val", "did you mean .validation.x?"),
    ("data", "valid", "did you mean .validation?"), ("part", "X", "did you mean .x?"),
    ("part", "shape", "did you mean .x.shape?"), ("forecaster", "forecast", "did you mean .predict?"),
    ("forecaster", "evaluate", "did you mean .score?"), ("series", "freqq", "did you mean .freq?"),
    ("panel", "idss", "did you mean .ids?"),
]  # fmt: skip


@pytest.mark.parametrize(("which", "name", "said"), LOOKED_FOR, ids=[f"{one}.{name}" for one, name, _ in LOOKED_FOR])
def test_a_name_that_an_object_does_not_have(data, which, name, said):
    objects = {
        "comparison": kseq.Comparison(data), "data": data, "part": data.train, "forecaster": kseq.Forecaster(),
        "series": kseq.load_series("nino12"), "panel": data.series,
    }  # fmt: skip
    with pytest.raises(AttributeError) as error:
        getattr(objects[which], name)
    assert said.replace("Tables", type(objects[which]).__name__) in str(error.value)
    assert not hasattr(objects[which], f"_{name}_")
    pickle.loads(pickle.dumps(data.train))


def test_a_property_that_fails_tells_its_own_error(data):
    class Broken(kseq.Comparison):
        @property
        def verdict(self):
            return self.nothing_of_that_name

    with pytest.raises(AttributeError, match="Broken has no nothing_of_that_name"):
        Broken(data).verdict  # noqa: B018


def test_a_part_is_two_arrays_and_all_parts_are_none(data, tmp_path):
    x, y = data.train
    assert np.array_equal(x, data.train.x)
    assert np.array_equal(y, data.train.y)
    model = kseq.build_gru(6, features=data.features, units=2)
    model.compile("adam", "mse")
    for call, part in ((model.fit, "train"), (model.evaluate, "test"), (model.predict, "test")):
        with pytest.raises(ConfigError, match=rf"received all parts .* such as data\.{part}\."):
            call(data)
    with pytest.raises(ConfigError, match=r"such as data\.validation\."):
        model.fit(data.train, validation_data=data)
    comparison = kseq.Comparison(data)
    with pytest.raises(ConfigError, match="no rows yet"):
        comparison.write(tmp_path / "out")
    with pytest.raises(DataError, match="expected a path"):
        comparison.plot(3)
    with pytest.raises(DataError, match="expected a path"):
        kseq.Evaluation(comparison, folder=3)
    with pytest.raises(ConfigError, match="reads windows of 12 steps and 1 columns, expected 6 and 1: lookback=6"):
        kseq.predict(kseq.build_gru(12, units=2), data, data.test)
    with pytest.raises(ConfigError, match="received only 3, expected True or False for each of 1 series"):
        kseq.make_windows(data.series, only=3)


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU], ids=lambda kind: kind.__name__)
def test_a_layer_says_what_is_missing_and_what_was_meant(kind):
    name = f"kseq.layers.{kind.__name__}"
    for call, said in (
        (lambda: kind(), f"received no units, expected {name}(units=32, ...)."),
        (lambda: kind(hidden_size=3), f"received hidden_size, expected {name}(units=32, ...)."),
        (lambda: kind(4, dropuot=0.1), f"received dropuot, expected an argument of {name}: did you mean dropout?"),
    ):
        with pytest.raises(ConfigError) as error:
            call()
        assert str(error.value) == said
        # What Keras raises, too.
        assert isinstance(error.value, TypeError)
        assert isinstance(error.value, ValueError)
    with pytest.raises(ValueError, match="Unrecognized keyword"):
        kind(4, xyz=1)

    class Mine(kind):
        def __init__(self, **options):
            super().__init__(3, **options)

    assert Mine(return_sequences=1, name="a").units == 3
    assert next(iter(inspect.signature(kind).parameters)) == "units"
    assert kind.from_config(kind(4, dtype="float32", trainable=False).get_config()).units == 4


def test_what_keras_refuses_of_a_builder(frame):
    with pytest.raises(ConfigError, match="received activation=3, which Keras refuses: Could not interpret"):
        kseq.build_gru(activation=3)
    assert kseq.models.build_gru is kseq.build_gru
    with pytest.raises(AttributeError):
        kseq.models.nothing  # noqa: B018
    with pytest.raises(ConfigError, match=r"received to 'm.onnx', .*; out='m.onnx' names a file"):
        kseq.export("model.keras", "m.onnx")
    with pytest.raises(ConfigError, match="did you mean onnx"):
        kseq.export("model.keras", "onxn")
    assert isinstance(keras.Sequential([layers.GRU(2)]), keras.Model)


#: Words of other packages for options of a comparison, which had no near name.
ELSEWHERE = {
    "hidden_layer_sizes": "units", "max_encoder_length": "lookback", "forecast_length": "horizon", "out_len": "horizon",
    "initial_lr": "learning_rate", "train_ratio": "test_share", "n_batch": "batch_size", "stacked": "layers",
    "interval": "level", "ds_col": "time", "group_ids": "id", "diff": "transform", "wd": "weight_decay",
    "bidir": "bidirectional", "workers": "executor",
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_more_words_of_other_packages(frame, name):
    with pytest.raises(ConfigError, match=f"did you mean {ELSEWHERE[name]}"):
        kseq.compare(frame, **QUICK, **{name: 3})
