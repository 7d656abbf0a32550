"""Layers of kseq as classes and in files: pickled, copied, saved and loaded beside Keras's layers and a user's."""

import copy
import functools
import inspect
import json
import multiprocessing
import pickle
import pydoc
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from kseq import build_model, layers
from kseq.layers import Ensemble, MemberLoss, sum_over_members

CELLS = ["SimpleRNN", "LSTM", "GRU"]
#: All of them, but one alone beside a backend that compiles each model for seconds.
SAVED_CELLS = ["LSTM", *(pytest.param(cell, marks=pytest.mark.above_backends) for cell in ("SimpleRNN", "GRU"))]
X = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")
PUBLIC = [getattr(layers, name) for name in layers.__all__]

# Keras warns of the older format whenever a model is saved in it, and of one that it loads without compiling it.
pytestmark = [pytest.mark.filterwarnings("ignore:.*HDF5:UserWarning"), pytest.mark.long]


def network(source, cell):
    """One layer by itself, one in a wrapper and one in a nested model, all from ``source``."""
    make = getattr(source, cell)
    inner = keras.Sequential([keras.Input((6, 6)), make(2)], name="inner")
    inputs = keras.Input((6, 2))
    x = make(4, return_sequences=True, name="plain")(inputs)
    x = keras.layers.Bidirectional(make(3, return_sequences=True), name="both")(x)
    return keras.Model(inputs, keras.layers.Dense(1)(inner(x)))


def kinds(model):
    """The classes of the recurrent layers of :func:`network`: plain, wrapped and nested."""
    return [
        type(model.get_layer("plain")),
        type(model.get_layer("both").forward_layer),
        type(model.get_layer("inner").layers[0]),
    ]


def forecasts(model):
    return model.predict_on_batch(X)


# Classes


@pytest.mark.above_backends
@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.__name__)
def test_what_is_public_is_found_under_its_own_name(public):
    assert pickle.loads(pickle.dumps(public)) is public
    assert copy.copy(public) is public
    assert copy.deepcopy(public) is public
    assert re.search(rf"^(class|def) {public.__name__}\b", inspect.getsource(public), re.MULTILINE)
    assert public.__name__ in pydoc.render_doc(public)
    assert inspect.getdoc(public)


@pytest.mark.above_backends
@pytest.mark.parametrize("cell", CELLS)
def test_arguments_are_keras_and_are_shown(cell):
    found = inspect.signature(getattr(layers, cell)).parameters
    expected = inspect.signature(getattr(keras.layers, cell)).parameters
    assert [(p.name, p.kind, p.default) for p in found.values()] == [
        (p.name, p.kind, p.default) for p in expected.values()
    ]
    assert all(p.annotation is not p.empty for p in found.values())
    described = inspect.getdoc(getattr(layers, cell))
    assert all(f"\n    {name}: " in described for name in found if name != "kwargs")


@pytest.mark.above_backends
def test_arguments_may_be_given_by_place():
    layer = layers.LSTM(5, "relu", "hard_sigmoid", False)
    assert (layer.units, layer.activation, layer.use_bias) == (5, keras.activations.relu, False)
    assert layer.recurrent_activation is keras.activations.hard_sigmoid


@pytest.mark.above_backends
def test_a_process_that_is_spawned_makes_a_layer():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(eval, ["__import__('kseq').layers.GRU.__qualname__"]) == "GRU"
        made = pool.apply(functools.partial(layers.LSTM, 5, "relu"))
    assert type(made) is layers.LSTM
    assert (made.units, made.activation) == (5, keras.activations.relu)


@pytest.mark.above_backends
def test_cloudpickle():
    cloudpickle = pytest.importorskip("cloudpickle")
    make = pickle.loads(cloudpickle.dumps(lambda: layers.GRU(3)))
    assert type(make()) is layers.GRU


# Layers and models, pickled and copied

COPIES = {"pickle": lambda thing: pickle.loads(pickle.dumps(thing)), "copy": copy.copy, "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("cell", CELLS)
def test_a_copied_layer_is_equal(cell, duplicate):
    layer = getattr(layers, cell)(4, return_sequences=True, seed=3, name="one")
    layer.build(X.shape)
    again = duplicate(layer)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert all((a == b).all() for a, b in zip(again.get_weights(), layer.get_weights(), strict=True))
    assert not duplicate(getattr(layers, cell)(4)).built


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copied_model_is_equal(duplicate):
    model = network(layers, "GRU")
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    again = duplicate(model)
    assert kinds(again) == [layers.GRU] * 3
    assert again.compiled
    np.testing.assert_array_equal(forecasts(again), forecasts(model))


@pytest.mark.above_backends
def test_a_copied_ensemble_is_equal():
    ensemble = Ensemble(layers.LSTM(4), members=2, seeds=[1, 2])
    ensemble.build((None, 2, 6, 2))
    for duplicate in COPIES.values():
        again = duplicate(ensemble)
        assert (type(again), again.seeds) == (Ensemble, [1, 2])
        assert all((a == b).all() for a, b in zip(again.get_weights(), ensemble.get_weights(), strict=True))


# Files


@pytest.fixture(params=["keras", "h5", "json"])
def save_and_load(request, tmp_path):
    """Save a model and load it again; ``options`` go to Keras's function."""

    def through(model, **options):
        if request.param == "json":
            again = keras.models.model_from_json(model.to_json(), **options)
            again.set_weights(model.get_weights())
            return again
        path = tmp_path / f"model.{request.param}"
        model.save(path)
        return keras.models.load_model(path, compile=False, **options)

    through.form = request.param
    return through


@pytest.mark.parametrize("cell", SAVED_CELLS)
def test_a_file_with_keras_layers_loads_as_keras(save_and_load, cell):
    model = network(keras.layers, cell)
    again = save_and_load(model)
    assert kinds(again) == [getattr(keras.layers, cell)] * 3
    np.testing.assert_array_equal(forecasts(again), forecasts(model))
    assert kinds(keras.models.clone_model(model)) == kinds(model)


@pytest.mark.parametrize("cell", SAVED_CELLS)
def test_a_file_with_layers_of_kseq_loads_as_kseq(save_and_load, cell):
    model = network(layers, cell)
    again = save_and_load(model)
    own = getattr(layers, cell)
    # The older format holds bare names of layers, except in wrappers.
    plain = getattr(keras.layers, cell) if save_and_load.form == "h5" else own
    assert kinds(again) == [plain, own, plain]
    np.testing.assert_allclose(forecasts(again), forecasts(model), atol=1e-6)
    assert kinds(keras.models.clone_model(model)) == kinds(model)


def test_without_kseq_every_file_loads_as_keras(tmp_path):
    model = network(layers, "LSTM")
    for form in ("keras", "h5"):
        model.save(tmp_path / f"model.{form}")
    code = f"""
import json, sys, keras
x = keras.ops.convert_to_tensor({X.tolist()})
for form in ("keras", "h5"):
    model = keras.models.load_model({str(tmp_path)!r} + "/model." + form, compile=False)
    plain, both, inner = model.get_layer("plain"), model.get_layer("both").forward_layer, model.get_layer("inner")
    assert {{type(plain), type(both), type(inner.layers[0])}} == {{keras.layers.LSTM}}
    print(json.dumps(model.predict_on_batch(x).tolist()))
assert "kseq" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines()[-2:]:
        np.testing.assert_allclose(json.loads(line), forecasts(model), atol=1e-6)


@pytest.mark.above_backends
@pytest.mark.parametrize("cell", CELLS)
def test_configs_without_a_module_mean_keras(cell):
    """Files of Keras 2 and hand-written configs name a class and nothing else."""
    config = {"class_name": cell, "config": {"name": "one", "units": 4}}
    layer = keras.layers.deserialize({"module": "keras.layers", **config})
    assert type(layer) is getattr(keras.layers, cell)
    inputs = {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, 6, 2]}}
    model = keras.Sequential.from_config({"name": "old", "layers": [inputs, config]})
    assert type(model.layers[0]) is getattr(keras.layers, cell)


@pytest.mark.above_backends
def test_files_of_the_first_version_load():
    """They name Keras's module, with the class as its registered name."""
    config = keras.saving.serialize_keras_object(layers.GRU(4))
    config |= {"module": "keras.layers", "registered_name": "GRU"}
    assert type(keras.saving.deserialize_keras_object(config)) is keras.layers.GRU


@pytest.mark.above_backends
def test_no_bare_name_is_registered():
    assert not {"SimpleRNN", "LSTM", "GRU", "Ensemble"} & set(keras.saving.get_custom_objects())


@pytest.mark.parametrize(
    ("one", "other"), [(layers, keras.layers), (keras.layers, layers)], ids=["to keras", "to kseq"]
)
def test_weights_of_one_load_into_the_other(one, other, tmp_path):
    source, target = network(one, "LSTM"), network(other, "LSTM")
    source.save_weights(tmp_path / "all.weights.h5")
    target.load_weights(tmp_path / "all.weights.h5")
    np.testing.assert_allclose(forecasts(target), forecasts(source), atol=1e-6)


# A user's classes


class Scaled(layers.LSTM):
    """A subclass that nobody has registered."""

    def __init__(self, units, scale=1.0, **options):
        super().__init__(units, options.pop("activation", "tanh"), **options)
        self.scale = scale

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return self.scale * super().call(sequences, initial_state, mask, training)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def user_class(base):
    """A class of the user's that has the name of Keras's."""
    return type("LSTM", (base,), {"__module__": "users_module"})


def test_a_subclass_computes_and_runs_a_kernel():
    layer = Scaled(4, 2.0)
    layer.build(X.shape)
    plain = layers.LSTM(4)
    plain.build(X.shape)
    plain.set_weights(layer.get_weights())
    found, expected = (keras.ops.convert_to_numpy(one(X)) for one in (layer, plain))
    np.testing.assert_allclose(found, 2 * expected, atol=1e-6)
    assert layer.kernel_used == plain.kernel_used


@pytest.mark.above_backends
@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copied_subclass_is_of_its_class(duplicate):
    layer = Scaled(4, 2.0)
    layer.build(X.shape)
    again = duplicate(layer)
    assert (type(again), again.scale) == (Scaled, 2.0)
    assert all((a == b).all() for a, b in zip(again.get_weights(), layer.get_weights(), strict=True))


@pytest.mark.above_backends
def test_a_subclass_is_saved_as_itself(save_and_load):
    model = keras.Sequential([keras.Input((6, 2)), Scaled(4, 2.0)])
    again = save_and_load(model, custom_objects={"Scaled": Scaled})
    assert type(again.layers[0]) is Scaled
    np.testing.assert_allclose(forecasts(again), forecasts(model), atol=1e-6)
    assert type(layers.accelerate(model).layers[0]) is Scaled
    assert type(layers.to_stock(model).layers[0]) is Scaled


@pytest.mark.above_backends
@pytest.mark.parametrize("base", [keras.layers.LSTM, layers.LSTM], ids=["of keras", "of kseq"])
def test_a_class_that_is_called_lstm_too_loads_beside_kseq(save_and_load, base):
    theirs = user_class(base)
    model = keras.Sequential([keras.Input((6, 2)), theirs(4), keras.layers.RepeatVector(2), layers.GRU(3)])
    again = save_and_load(model, custom_objects={"LSTM": theirs})
    assert type(again.layers[0]) is theirs
    with keras.saving.custom_object_scope({"LSTM": theirs}):
        assert type(save_and_load(model).layers[0]) is theirs
        # Converted models keep it, and what is Keras's or kseq's own does not become it.
        assert type(layers.accelerate(model).layers[0]) is theirs
        assert kinds(layers.accelerate(network(keras.layers, "LSTM"))) == [layers.LSTM] * 3
        assert kinds(layers.to_stock(network(layers, "LSTM"))) == [keras.layers.LSTM] * 3


class Wrapped(keras.layers.Bidirectional):
    """A wrapper that nobody has registered."""


@pytest.mark.above_backends
def test_layers_in_a_wrapper_of_the_users_are_converted():
    model = keras.Sequential([keras.Input((6, 2)), Wrapped(keras.layers.LSTM(3))])
    fast = layers.accelerate(model)
    assert (type(fast.layers[0]), type(fast.layers[0].forward_layer)) == (Wrapped, layers.LSTM)
    again = layers.to_stock(fast)
    assert (type(again.layers[0]), type(again.layers[0].forward_layer)) == (Wrapped, keras.layers.LSTM)
    np.testing.assert_allclose(forecasts(fast), forecasts(again), atol=1e-6)


# Models of members


def test_a_compiled_model_of_members_loads_compiled(tmp_path):
    model = build_model("gru", lookback=6, features=2, units=3, members=2)
    model.compile("adam", sum_over_members, metrics=[MemberLoss(2)])
    model.optimizer.build(model.trainable_variables)
    x, y = np.stack([X, X], axis=1), np.ones((3, 2, 1), "float32")
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    model.save(tmp_path / "members.keras")
    again = keras.models.load_model(tmp_path / "members.keras")
    found = again.evaluate(x, y, verbose=0, return_dict=True)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)
