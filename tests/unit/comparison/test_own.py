"""Rows of a user's own: any Keras model, any regressor, in the comparison, in its record and from there again."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVR

import kseq
from kseq import ConfigError
from kseq.cli import main
from kseq.comparison.cell_jobs import facts_of
from kseq.experiments.reproduce import Recorded
from kseq.models.own import own_rows

QUICK = {
    "epochs": 2, "units": 3, "lookback": 4, "baselines": "persistence", "seeds": 2, "transform": "none",
    "batch_size": 64,
}  # fmt: skip


@keras.saving.register_keras_serializable("tests")
class Leaky(keras.layers.Layer):
    """``h' = (1 - a) h + a tanh(W x)``."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.state_size = self.output_size = units
        self.inner = keras.layers.Dense(units, "tanh")

    def build(self, shape):
        self.inner.build(shape)
        self.built = True

    def call(self, x, states, training=False):
        h = 0.5 * states[0] + 0.5 * self.inner(x)
        return h, [h]


def leaky(lookback, features, outputs, units=3):
    window = keras.Input((lookback, features))
    return keras.Model(window, keras.layers.Dense(outputs)(keras.layers.RNN(Leaky(units))(window)))


class Subclassed(keras.Model):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.cell = keras.layers.GRU(2)
        self.head = keras.layers.Dense(steps)

    def call(self, x):
        return keras.ops.expand_dims(self.head(self.cell(x)), -1)


def subclassed(horizon):
    return Subclassed(horizon)


def dropping(outputs):
    layers = [keras.layers.Flatten(), keras.layers.Dropout(0.5), keras.layers.Dense(outputs)]
    return keras.Sequential(layers)


def forest():
    return RandomForestRegressor(4)


@pytest.fixture
def series():
    rows = np.arange(120)
    y = np.sin(rows / 4) + np.random.default_rng(1).normal(0, 0.1, 120)
    return kseq.from_frame(pd.DataFrame({"y": y}), name="wave")


@pytest.fixture
def panel():
    y = np.random.default_rng(2).normal(0, 0.1, (80, 3)) + np.sin(np.arange(80) / 3)[:, None]
    return pd.DataFrame(y * [1, 10, 100], columns=list("abc"), index=pd.date_range("2001-01-01", periods=80))


@pytest.mark.parametrize("horizon", [pytest.param(1, marks=pytest.mark.above_backends), 3])
def test_any_network_is_a_row_with_seeds_letters_and_a_verdict(series, horizon):
    cells = {"Leaky": leaky, "gru": ..., "Mine": subclassed, "Drop": dropping}
    quick = {**QUICK, "no_refit_on_validation": True}
    made = kseq.compare(series, cells=cells, horizon=horizon, **quick)
    table = made.table.set_index("model")
    for name in ("Leaky", "GRU", "Mine", "Drop"):
        assert table.loc[name, "kind"] == "cell"
        assert table.loc[name, "seeds"] == 2
        assert table.loc[name, "mae_std"] > 0
        assert table.loc[name, "group"]
        assert table.loc[f"{name} x2 mean", "kind"] == "ensemble"
    assert any("Leaky" in sentence for sentence in made.verdict)
    rows = {row.name: row for row in made.rows}
    again = kseq.compare(series, cells={"Leaky": leaky, "Drop": dropping}, horizon=horizon, **quick)
    assert {"Leaky", "Drop"} < {row.name for row in again.rows} < set(rows)
    for row in again.rows:
        np.testing.assert_array_equal(row.predictions, rows[row.name].predictions)


def test_a_seed_is_a_seed_whatever_stands_before_it_and_leaves_no_trace(series):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    one = kseq.compare(series, cells={"Drop": dropping}, **{**QUICK, "seeds": (7,)})
    assert np.random.random() == expected  # noqa: NPY002
    both = kseq.compare(series, cells={"Drop": dropping}, **{**QUICK, "seeds": (3, 7)})
    np.testing.assert_array_equal(both.rows[1].predictions[1], one.rows[1].predictions[0])


@pytest.mark.above_backends
@pytest.mark.parametrize("options", [{}, {"horizon": 3}, {"n_windows": 2, "refit": True, "horizon": 2},
                                     {"validation_share": 0.0}, {"no_refit_on_validation": True}])  # fmt: skip
@pytest.mark.parametrize("several", [False, True])
def test_any_regressor_is_a_row(series, panel, options, several):
    rivals = {"Linear": LinearRegression(), "Forest": forest, "Vectors": SVR}
    made = kseq.compare(panel if several else series, cells=(), rivals=rivals, **{**QUICK, "patience": 0, **options})
    table = made.table.set_index("model")
    assert list(table.index) == ["Persistence", "Linear", "Forest", "Vectors"]
    assert (table["kind"][1:] == "model").all()
    assert table.loc["Forest", "seeds"] == 2
    assert table.loc["Linear", "seeds"] == 0
    # A wave is nearly a linear function of its past.
    assert table.loc["Linear", made.measure] < table.loc["Persistence", made.measure]


@pytest.mark.above_backends
def test_a_linear_regressor_gives_what_least_squares_gives(series):
    made = kseq.compare(series, cells=(), rivals={"Linear": LinearRegression()}, **QUICK)
    ours = kseq.compare(series, cells=(), baselines=("ar",), transform="none", lookback=4)
    np.testing.assert_allclose(made.rows[1].predictions, ours.rows[0].predictions, atol=0.02)


@pytest.mark.above_backends
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": {"x": 5}}, "received 5 for cell 'x', expected a function that returns a Keras model"),
        ({"cells": {"gru": leaky}}, "received a function for the cell 'gru', which kseq has"),
        ({"cells": {"x": lambda: 5}}, "cell 'x' returned type int, expected a keras.Model"),
        ({"cells": {"x": lambda nothing: 5}}, "cell 'x' takes nothing, which nobody knows here"),
        ({"cells": {"x": lambda: keras.Sequential([keras.layers.Dense(2)])}}, "forecasts have shape"),
        ({"cells": {"x": lambda: 1 / 0}}, "cell 'x' failed when it was called with nothing: ZeroDivisionError"),
        ({"cells": {"x": leaky}, "strategy": "seq2seq"}, "cells of your own"),
        ({"cells": (), "rivals": {"x": 5}}, "expected a regressor"),
        ({"cells": (), "rivals": {"x": lambda: 5}}, "rival 'x' is of type int"),
        ({"cells": (), "rivals": ("x",)}, "received rivals ('x',)"),
        ({"cell": "minGRU"}, "received cell 'minGRU', expected NAME=module:function"),
        ({"cell": "a=nothing_of_that_name:f"}, "cannot be imported: ModuleNotFoundError"),
        ({"cell": "a=math:nothing"}, "there is no nothing in math"),
        ({"cell": "a=math"}, "expected module:function"),
        ({"rival": "a=no_file.py:f"}, "received no_file.py, which is no file"),
        ({"cells": {"a": leaky}, "rivals": {"a": forest}}, "as a cell and as a rival"),
    ],
)  # fmt: skip
def test_what_makes_no_row_is_told(series, options, message):
    with pytest.raises(ConfigError) as error:
        kseq.compare(series, **{**QUICK, **options})
    assert message in str(error.value)


SOURCE = """
import pathlib

import keras
from sklearn.linear_model import Ridge

pathlib.Path("imported").write_text("x")

def build(outputs, units):
    return keras.Sequential([keras.layers.SimpleRNN(units), keras.layers.Dense(outputs)])

def ridge():
    return Ridge()
"""


@pytest.mark.above_backends
def test_a_run_is_made_again_with_its_functions_named_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_of_door.py").write_text(SOURCE)
    (tmp_path / "kseq.toml").write_text('cell = ["Mine=mine_of_door.py:build"]\ncells = "gru"\n')
    arguments = ["--epochs", "2", "--seeds", "2", "--units", "3", "--lookback", "4", "--baselines", "persistence"]
    arguments += ["--transform", "none", "--no-refit-on-validation", "--out", "run"]
    assert main(["compare", *arguments, "--config", "kseq.toml", "--rival", "Ridge=mine_of_door.py:ridge"]) == 0
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert [model["name"] for model in record["models"]][:4] == ["Persistence", "GRU", "Mine", "Ridge"]
    own = record["settings"]["own"]
    assert own["Mine"]["function"] == "mine_of_door:build"
    assert len(own["Mine"]["sha256"]) == 64
    (tmp_path / "imported").unlink()
    capsys.readouterr()
    assert main(["reproduce", "run"]) == 2
    assert "name it again with --cell Mine=mine_of_door:build" in capsys.readouterr().err
    assert not (tmp_path / "imported").exists()
    named = ["--cell", "Mine=mine_of_door.py:build", "--rival", "Ridge=mine_of_door.py:ridge"]
    assert main(["reproduce", "run", *named]) == 0
    assert "Identical: all " in capsys.readouterr().out
    (tmp_path / "mine_of_door.py").write_text(SOURCE + "\n# another line\n")
    assert main(["reproduce", "run", *named]) == 0
    assert "source of Mine" in capsys.readouterr().out
    assert main(["reproduce", "run", *named, "--cell", "Other=mine_of_door.py:build"]) == 2
    assert "has no such row of its own" in capsys.readouterr().err


@pytest.mark.above_backends
def test_a_run_of_a_script_is_made_again_from_python(series, tmp_path):
    frame = pd.DataFrame({"y": series.y[:, 0]})
    frame.to_csv(tmp_path / "wave.csv", index=False)
    cells, rivals = {"Leaky": leaky}, {"Linear": LinearRegression()}
    kseq.compare(tmp_path / "wave.csv", cells=cells, rivals=rivals, out=tmp_path / "run", **QUICK)
    recorded = Recorded.read(tmp_path / "run", cells=cells, rivals=rivals)
    again = recorded.repeat(recorded.series())
    was = {model["name"]: model["mae"] for model in recorded.record["models"]}
    for row in again.rows:
        np.testing.assert_array_equal(again.scores(row, "mae"), was[row.name])
    assert recorded.record["settings"]["own"]["Linear"]["about"] == "LinearRegression()"


def dense(outputs, lookback, units=3, num_layers=None, dropout=0.0):
    told.append((lookback, units, num_layers, dropout))
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(units), keras.layers.Dense(outputs)])


#: What the function above was called with.
told: list[tuple] = []


@pytest.mark.above_backends
def test_a_network_of_ones_own_has_settings_of_its_own(series):
    told.clear()
    own = {"units": 7, "lookback": 3, "dropout": 0.1, "num_layers": 2, "learning_rate": 0.5, "transform": "difference"}
    cells = {"gru": ..., "Mine": dense}
    made = kseq.compare(series, cells=cells, by_cell={"Mine": own}, **{**QUICK, "lookback": 6})
    assert set(told) == {(3, 7, 2, 0.1)}
    shown = made.table.set_index("model")
    for name, value in own.items():
        if name != "units":
            assert shown.loc["Mine", name] == value, name
    assert shown.loc["GRU", "lookback"] == 6
    slow = {"Mine": {**own, "learning_rate": 0.001}}
    other = kseq.compare(series, cells={"Mine": dense}, by_cell=slow, **{**QUICK, "lookback": 6})
    assert not np.array_equal(other.rows[1].predictions, made.rows[2].predictions)


@pytest.mark.above_backends
@pytest.mark.parametrize("options", [{}, {"no_refit_on_validation": True}, {"n_windows": 2, "refit": True}], ids=str)
def test_a_regressor_has_a_lookback_and_a_transform_of_its_own(series, options):
    """It forecasts as where all rows have them; the shared lookback says where windows stand."""
    shared = {**QUICK, "lookback": 6, **options}
    own = {"lookback": 2, "transform": "difference"}
    made = kseq.compare(series, cells=(), rivals={"Linear": LinearRegression()}, by_cell={"Linear": own}, **shared)
    line = made.table.set_index("model").loc["Linear"]
    assert (line["lookback"], line["transform"]) == (2, "difference")
    y = series.y[:, 0]
    changes = np.diff(y)
    (row,) = [row for row in made.rows if row.name == "Linear"]
    if not options:
        # Fitted on all rows before the test part whose windows the shared lookback lets stand.
        test = len(row.predictions[0])
        rows = np.array([changes[t - 3 : t - 1] for t in range(6, len(y))])
        fitted = LinearRegression().fit(rows[:-test], changes[5:-test])
        expected = y[-test - 1 : -1] + fitted.predict(rows[-test:])
        np.testing.assert_allclose(row.predictions[0, :, 0, 0], expected, rtol=1e-5)
    other = kseq.compare(series, cells=(), rivals={"Linear": LinearRegression()}, **shared)
    assert not np.allclose(row.predictions, other.rows[1].predictions)


@pytest.mark.above_backends
def test_a_regressor_has_nothing_else_of_its_own(series):
    with pytest.raises(ConfigError, match=r"received epochs for Linear alone.*lookback, transform"):
        kseq.compare(
            series, cells=(), rivals={"Linear": LinearRegression()}, by_cell={"Linear": {"epochs": 3}}, **QUICK
        )


@pytest.mark.above_backends
def test_a_run_with_such_rows_is_made_again(series, tmp_path):
    pd.DataFrame({"y": series.y[:, 0]}).to_csv(tmp_path / "wave.csv", index=False)
    cells, rivals = {"Leaky": leaky}, {"Linear": LinearRegression}
    own = {"Linear": {"lookback": 2}, "Leaky": {"units": 5}}
    kseq.compare(tmp_path / "wave.csv", cells=cells, rivals=rivals, by_cell=own, out=tmp_path / "run", **QUICK)
    recorded = Recorded.read(tmp_path / "run", cells=cells, rivals=rivals)
    assert recorded.record["settings"]["by_cell"] == own
    again = recorded.repeat(recorded.series())
    was = {model["name"]: model["mae"] for model in recorded.record["models"]}
    assert list(was)[:3] == ["Persistence", "Leaky", "Linear"]
    for row in again.rows:
        np.testing.assert_array_equal(again.scores(row, "mae"), was[row.name])


def test_kept_jobs_of_a_regressor_tell_its_own_settings(series):
    """A run that is started again takes finished rows of the same settings alone."""
    data = kseq.make_windows(series, lookback=4)
    rows = {"rivals": ("Linear",), "own": own_rows({"Linear": LinearRegression}, "rival"), "cells": (), "lookback": 4}
    found = [
        facts_of("Linear", "rival", "", data, kseq.Settings(**rows, by_cell=own), {})["settings"]
        for own in ({}, {"Linear": {"lookback": 2}}, {"Linear": {"transform": "difference"}})
    ]
    assert [one["lookback"] for one in found] == [4, 2, 4]
    assert found[2]["transform"] == "difference" != found[0]["transform"]
