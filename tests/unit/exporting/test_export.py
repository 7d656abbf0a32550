import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kseq
from kseq.cli import main
from kseq.exporting import _numpy
from kseq.exporting.export import Exported, export
from kseq.exporting.networks import Direction, Network
from kseq.exporting.recipe import Recipe
from kseq.forecasting import model_file
from kseq.forecasting.forecast import covariates_ahead, forecast

BACKEND = os.environ["KERAS_BACKEND"]
QUICK = {"max_steps": 2, "validation": 0.12, "units": 3, "lookback": 5, "horizon": 2, "transform": "none"}
ALONE = Path(__file__).with_name("run_alone.py")
#: The Python that runs what was exported: by default this one, in which imports of Keras are blocked.
PYTHON_ALONE = os.environ.get("PYTHON_ALONE", sys.executable)


def rows(ids=("a",), count=60):
    frames = []
    for number, id in enumerate(ids):
        random = np.random.default_rng(number)
        total = count + 6
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": id,
                    "ds": pd.date_range("2000-01-01", periods=total, freq="MS"),
                    "y": 100.0 * (number + 1) + random.normal(size=total).cumsum(),
                    "rain": random.normal(size=total),
                    "price": random.normal(size=total),
                }
            )
        )
    frame = pd.concat(frames)
    last = frame.groupby("unique_id").cumcount() >= count
    return frame[~last].reset_index(drop=True), frame[last].reset_index(drop=True)


def fitted(known, path, **options):
    model = kseq.fit(known, **QUICK | options)
    model_file.save(model, path)
    return model


#: Name of a model, whether of a panel, its options, and the steps that are asked for.
MODELS = {
    "rnn": (False, {"cell": "rnn", "units": (4, 3), "transform": "anomaly,difference"}, 2),
    "lstm": (False, {"cell": "lstm", "units": (4, 3), "bidirectional": True, "transform": "log,trend"}, 5),
    "gru": (False, {"cell": "gru", "seeds": 2, "transform": "ar,spread"}, 6),
    "rnn-panel": (True, {"cell": "rnn", "bidirectional": True, "transform": "anomaly,season"}, 5),
    "lstm-panel": (True, {"cell": "lstm", "features": ("rain",), "calendar": True}, 2),
    "gru-panel": (True, {"cell": "gru", "units": (4, 3), "bidirectional": True, "seeds": 2, "features": ("rain",),
                         "future": ("price",), "transform": "mean"}, 5),
    "gru-quantiles": (True, {"cell": "gru", "seeds": 2, "loss": "quantile", "levels": (80, 50),
                             "transform": "log,anomaly,change"}, 5),
}  # fmt: skip


@pytest.mark.above_backends
def test_onnx_runtime_without_keras_forecasts_what_kseq_forecasts(tmp_path):
    expected = {}
    for name, (several, options, steps) in MODELS.items():
        known, ahead = rows(ids="ab" if several else "a")
        columns = ["unique_id", "ds", "y", *options.get("features", ()), *options.get("future", ())]
        model = fitted(known[columns], tmp_path / f"{name}.keras", **options)
        known.to_csv(tmp_path / f"{name}.csv", index=False)
        ahead.to_csv(tmp_path / f"{name}-ahead.csv", index=False)
        made = export(tmp_path / f"{name}.keras", "onnx", steps=steps)
        assert made.path == tmp_path / f"{name}.onnx"
        assert made.checked is not None
        assert made.checked < 1e-5
        future = None
        if model.card.context.future or (steps > 2 and model.card.context.features):
            future = covariates_ahead(model.card, ahead, "ahead")
        expected[name] = forecast(model, steps, future=future)
    done = subprocess.run(
        [PYTHON_ALONE, str(ALONE), str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    found = json.loads(done.stdout)
    for name, made in expected.items():
        assert set(found[f"{name} refuses"]) >= {"past"}
        assert "Got invalid dimensions" in found[f"{name} refuses"]["past"]
        for number, id in enumerate(made.history.ids):
            own = found[f"{name}/{id}"]
            spread = made.history.y.std()
            np.testing.assert_allclose(own["forecast"], made.values[number], rtol=0, atol=1e-5 * spread)
            assert np.ptp(own["forecast"]) > 0
            np.testing.assert_allclose(own["lo_80"], made.intervals[80].lo[number], rtol=0, atol=1e-5 * spread)
            np.testing.assert_allclose(own["hi_80"], made.intervals[80].hi[number], rtol=0, atol=1e-5 * spread)


#: Models of every kind of covariate and transform, which nothing has to train here.
KEPT = Path(__file__).parents[1] / "forecasting" / "format1"

#: What a backend's framework writes.
OWN = {"torch": ("torch", ".pt2"), "tensorflow": ("savedmodel", "-savedmodel")}


@pytest.mark.skipif(BACKEND not in OWN, reason="has no format of its own")
@pytest.mark.parametrize("name", ["many_full", "one_hours", "one_rows"])
def test_a_framework_runs_its_own_format_without_kseq(name, tmp_path):
    to, suffix = OWN[BACKEND]
    made = export(KEPT / f"{name}.keras", to, tmp_path / f"here{suffix}", steps=4)
    # It is run as it is written, on an example that the JSON holds.
    assert made.checked is not None
    assert made.checked < 1e-5
    told = json.loads(made.description.read_text())
    example = {one["name"]: np.array(told["example"]["inputs"][one["name"]], one["dtype"]) for one in told["inputs"]}
    batch = {name: np.concatenate([value] * 3) for name, value in example.items()}
    run = loaded(to, made.path)
    for name, value in run(batch).items():
        expected = np.array(told["example"]["outputs"][name], "float64")
        np.testing.assert_allclose(value, np.repeat(expected, 3, axis=0), rtol=1e-5, atol=1e-5)
    # A window of another length is refused, not read in part: PyTorch raises an AssertionError, TensorFlow its own.
    for name, value in batch.items():
        for wrong in [value[:, 1:], np.concatenate([value, value], axis=1)] if value.ndim > 1 else []:
            with pytest.raises(Exception, match=r"Guard failed|is not compatible with expected shape"):
                run(batch | {name: wrong})


@pytest.mark.skipif(BACKEND not in OWN, reason="has no format of its own")
def test_a_framework_runs_a_model_of_quantiles(tmp_path):
    known, _ = rows("ab")
    options = {"loss": "quantile", "levels": (80, 50), "transform": "last,spread"}
    model = fitted(known[["unique_id", "ds", "y"]], tmp_path / "model.keras", **options)
    to, suffix = OWN[BACKEND]
    made = export(model, to, tmp_path / f"here{suffix}", steps=5)
    assert made.checked is not None
    assert made.checked < 1e-5
    told = json.loads(made.description.read_text())
    assert told["outputs"] == ["forecast", "lo_80", "hi_80", "lo_50", "hi_50"]


@pytest.mark.skipif(BACKEND not in OWN, reason="has no format of its own")
def test_a_framework_runs_stacks_that_read_in_both_directions(tmp_path):
    to, suffix = OWN[BACKEND]
    card = model_file.read_card(KEPT / "one_plain.keras")
    random = np.random.default_rng(0)

    def direction(cell, inputs, units):
        gates = {"rnn": 1, "lstm": 4, "gru": 3}[cell]
        shapes = (inputs, gates * units), (units, gates * units), (2,) * (cell == "gru") + (gates * units,)
        return Direction(*(random.normal(size=shape).astype("float32") for shape in shapes))

    networks = [
        Network(cell, ((direction(cell, 1, 4), direction(cell, 1, 4)), (direction(cell, 8, 3), direction(cell, 8, 3))),
                random.normal(size=(6, 1)).astype("float32"), random.normal(size=1).astype("float32"), skip)
        for cell, skip in (("rnn", None), ("lstm", random.normal(size=(4, 1, 1)).astype("float32")), ("gru", None))
    ]  # fmt: skip
    recipe = Recipe(card, 3, ())
    inputs = {"past": 10 + random.normal(size=(5, 4, 1))}
    path = tmp_path / f"here{suffix}"
    if to == "torch":
        from kseq.kernels import torch_export

        torch_export.save(path, recipe, networks, inputs, {})
    else:
        from kseq.kernels import tensorflow_export

        tensorflow_export.save(path, recipe, networks, inputs)
    expected = _numpy.run(recipe, networks, inputs)["forecast"]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(loaded(to, path)(inputs)["forecast"], expected, rtol=0, atol=1e-5)


def loaded(to, path):
    """What gives outputs by name for inputs by name, as the framework alone loads it."""
    if to == "torch":
        import torch

        program = torch.export.load(str(path)).module()
        return lambda inputs: {
            name: value.numpy() for name, value in program(*map(torch.from_numpy, inputs.values())).items()
        }
    import tensorflow as tf

    # The function lives as long as the model that was loaded.
    model = tf.saved_model.load(str(path))
    return lambda inputs: {
        name: value.numpy()
        for name, value in model.signatures["serving_default"](
            **{name: tf.constant(value) for name, value in inputs.items()}
        ).items()
    }


@pytest.mark.above_backends
def test_the_example_is_what_kseq_forecasts(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known, _ = rows()
    known[["ds", "y"]].to_csv("known.csv", index=False)
    assert main(["fit", "--csv", "known.csv", "--epochs", "1", "--units", "3", "--lookback", "5"]) == 0
    assert main(["export", "--model", "model.keras", "--steps", "3", "--level", "80"]) == 0
    printed = capsys.readouterr()
    assert "model.onnx; what it takes: model.onnx.json" in printed.out
    assert "Checked: its forecasts are" in printed.err
    told = json.loads(Path("model.onnx.json").read_text())
    assert told["outputs"] == ["forecast", "lo_80", "hi_80"]
    assert main(["forecast", "--model", "model.keras", "--steps", "3", "--level", "80"]) == 0
    frame = pd.read_csv(pd.io.common.StringIO(capsys.readouterr().out))
    for column, output in (("GRU", "forecast"), ("GRU-lo-80", "lo_80"), ("GRU-hi-80", "hi_80")):
        found = np.array(told["example"]["outputs"][output])[0, :, 0]
        np.testing.assert_allclose(found, frame[column], rtol=0, atol=1e-5 * known.y.std())


@pytest.mark.above_backends
def test_what_cannot_be_exported_is_refused_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    known, _ = rows()
    model = fitted(known[["ds", "y"]], tmp_path / "model.keras")
    (tmp_path / "mine.onnx").write_text("mine")
    for arguments, message in [
        ({"to": "tflite"}, "expected one of onnx, savedmodel, torch"),
        ({"out": tmp_path / "mine.onnx"}, "mine.onnx was not written by `kseq export`"),
        ({"out": tmp_path / "model.bin"}, "expected a name that ends in .onnx"),
        ({"steps": 0}, "received steps 0"),
        ({"level": [80.5]}, "received level 80.5"),
    ]:
        with pytest.raises(kseq.ConfigError, match=message):
            export(model, **arguments)
    monkeypatch.setattr("kseq.exporting.export.find_spec", lambda name: None)
    with pytest.raises(kseq.BackendError, match=r"tensorflow, and that is not installed; pip install 'kseq"):
        export(model, "savedmodel", tmp_path / "here")
    assert main(["export", "--model", str(tmp_path / "model.keras"), "--to", "torch"]) == 2
    assert "received --to torch, which is written by torch" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.onnx", "model.keras"]


@pytest.mark.above_backends
def test_an_earlier_export_is_replaced(tmp_path):
    known, _ = rows()
    model = fitted(known[["ds", "y"]], tmp_path / "model.keras")
    first = export(model, "onnx", tmp_path / "model.onnx")
    assert isinstance(first, Exported)
    size = first.path.stat().st_size
    second = export(tmp_path / "model.keras", "onnx", steps=6)
    assert second.path == first.path
    assert second.path.stat().st_size > size
    assert json.loads(second.description.read_text())["steps"] == 6


@pytest.mark.above_backends
@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="written by onnx")
def test_onnx_is_written_without_keras(tmp_path):
    known, _ = rows()
    fitted(known[["ds", "y"]], tmp_path / "model.keras")
    code = (
        "import sys; from kseq.exporting.export import export; export(sys.argv[1]);"
        "print(sorted({'keras', 'torch', 'tensorflow', 'jax', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.keras")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
