import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kseq import ConfigError, Settings, build_model, compare, load_series
from kseq.models.builders import CELLS
from kseq.models.parameter_counts import MATCHES, layer_widths, matched_units, parameter_count
from kseq.report.table import render

pytestmark = pytest.mark.above_backends

sizes = {
    "features": st.integers(1, 5),
    "horizon": st.integers(1, 4),
    "targets": st.integers(1, 3),
    "bidirectional": st.booleans(),
    "skip": st.sampled_from(["none", "linear"]),
}
models = st.fixed_dictionaries(
    sizes | {"units": st.one_of(st.integers(1, 6), st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple))}
)


@settings(max_examples=15, deadline=None)
@given(cell=st.sampled_from(list(CELLS)), model=models, layers=st.integers(1, 3))
def test_the_count_is_that_of_the_model(cell, model, layers):
    if isinstance(model["units"], int):
        model = model | {"num_layers": layers}
    assert parameter_count(cell, lookback=3, **model) == build_model(cell, lookback=3, **model).count_params()


def test_the_count_of_one_member():
    many = build_model("gru", lookback=3, features=2, units=4, members=3)
    assert many.count_params() == 3 * parameter_count("gru", features=2, units=4)


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(st.sampled_from(list(CELLS)), min_size=1, unique=True), model=models)
def test_no_other_number_of_units_comes_nearer(cells, model):
    units = model.pop("units")
    found = matched_units(cells, units, **model)
    largest = max(cells, key=lambda cell: parameter_count(cell, units=units, **model))
    budget = parameter_count(largest, units=units, **model)
    assert list(found) == cells
    assert found[largest] == units
    for cell in cells:
        missed = abs(parameter_count(cell, units=found[cell], **model) - budget)
        widest = max(layer_widths(units))
        for other in range(1, 6 * widest):
            scaled = other if isinstance(units, int) else tuple(max(1, int(u * other / widest + 0.5)) for u in units)
            assert missed <= abs(parameter_count(cell, units=scaled, **model) - budget)


def test_layers_keep_their_proportions():
    assert matched_units(["rnn", "lstm"], (64, 32)) == {"rnn": (128, 64), "lstm": (64, 32)}
    assert matched_units(["gru", "rnn"], 32, num_layers=2)["gru"] == 32


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"cell": "elman"}, "received cell 'elman', expected one of rnn, lstm, gru"),
        ({"units": 0}, "received units 0, expected a whole number from 1"),
        ({"units": (8, True)}, "received units True"),
        ({"units": (8, 8), "num_layers": 3}, r"received units \(8, 8\) for 3 layers"),
        ({"num_layers": 0}, "received num_layers 0"),
    ],
    ids=str,
)
def test_refusals(arguments, expected):
    with pytest.raises(ConfigError, match=expected):
        parameter_count(**({"cell": "lstm"} | arguments))


def test_settings():
    assert Settings().match == "units"
    for match in MATCHES:
        assert Settings(match=match, units=8).units_of("lstm", features=1, targets=1) == 8
    assert Settings(match="units", units=8).units_of("rnn", features=1, targets=1) == 8
    assert Settings(match="params", units=8).units_of("rnn", features=1, targets=1) == 17
    with pytest.raises(ConfigError, match="received match 'weights', expected one of units, params"):
        Settings(match="weights")
    for own in ({"units": 8}, {"num_layers": 2}):
        with pytest.raises(ConfigError, match=f"received {next(iter(own))} of gru and match 'params'"):
            Settings(match="params", by_cell={"gru": own})


def test_a_comparison_of_equal_weights(tmp_path):
    asked = {"seeds": (0,), "lookback": 3, "units": (8, 4), "baselines": (), "training": {"epochs": 1},
             "transform": "none", "refit_on_validation": False}  # fmt: skip
    comparison = compare(load_series("sunspots"), match="params", **asked)
    lines = comparison.table.set_index("model")
    assert lines["units"].to_dict() == {"SimpleRNN": "16,8", "LSTM": "8,4", "GRU": "9,5"}
    assert lines["parameters"].to_dict() == {"SimpleRNN": 500, "LSTM": 536, "GRU": 573}
    shown = render(comparison, "markdown")
    assert "| model | parameters | units | MAE" in shown
    assert "| SimpleRNN | 500 | 16,8 |" in shown
    comparison.write(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["settings"]["match"] == "params"
    assert [model["units"] for model in record["models"]] == [[16, 8], [8, 4], [9, 5]]

    equal = compare(load_series("sunspots"), cells=("rnn", "gru"), **asked)
    assert set(equal.table["units"]) == {"8,4"}
    assert "units" not in render(equal).splitlines()[0]
