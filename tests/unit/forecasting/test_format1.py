"""Model files that kseq 0.1.0 has written forecast and score as they did."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from kseq.forecasting import model_file
from kseq.forecasting.forecast import forecast
from kseq.forecasting.score import evaluate

pytestmark = pytest.mark.above_backends

FOLDER = Path(__file__).parent / "format1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("format1", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same(found, expected):
    for name, values in expected.items():
        if isinstance(values, dict):
            same(found[name], values)
        elif name in ("unique_id", "ds"):
            assert found[name] == values
        else:
            np.testing.assert_allclose(found[name], values, rtol=2e-5, err_msg=name)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_of_format_1_forecasts_and_scores_as_before(make, name):
    kind, reading, _, steps = make.CASES[name]
    model = model_file.load(FOLDER / f"{name}.keras")
    same(make.results(model, name, kind, reading, steps, forecast, evaluate), EXPECTED[name])


@pytest.mark.parametrize("name", ["one_full", "many_full"])
def test_a_file_of_format_1_is_written_anew_with_the_same_forecasts(make, name, tmp_path):
    kind, reading, _, steps = make.CASES[name]
    path = model_file.save(model_file.load(FOLDER / f"{name}.keras"), tmp_path / "again.keras")
    same(make.results(model_file.load(path), name, kind, reading, steps, forecast, evaluate), EXPECTED[name])
