import numpy as np
import pytest

from kseq import Forecaster, Settings, build_gru
from kseq.cli import load
from kseq.cli.command import option_of
from kseq.errors import ConfigError, Parameter
from kseq.training.fit import Training
from kseq.validation import NUMBER, WHOLE, path_problem, require_levels, require_number, require_whole

pytestmark = pytest.mark.above_backends


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_have_both_bounds(name):
    least, most = WHOLE[name]
    for value in (least, most, np.int64(least)):
        assert require_whole(name, value) == value
    for value in (least - 1, most + 1, 10**30, 10**6000, -(10**6000), 1.0, True, None, "3", float("nan"), [3]):
        with pytest.raises(ConfigError, match=f"^received {name} ") as told:
            require_whole(name, value)
        assert len(str(told.value)) < 250


@pytest.mark.parametrize("name", NUMBER)
def test_numbers_have_both_bounds(name):
    span = NUMBER[name]
    for value in (span.least, span.most, *([0, 0.0] if span.zero else [])):
        assert require_number(name, value) == value
    for value in (
        span.least / 1e9,
        span.most * 10,
        -1,
        10**400,
        1e-320,
        *map(float, ("nan", "inf", "-inf")),
        True,
        "1",
    ):
        with pytest.raises(ConfigError, match=f"^received {name} "):
            require_number(name, value)


@pytest.mark.parametrize("levels", [(0,), (100,), (80, 80.0000001), (float("nan"),), "80", 80, ("80",), (True,)])
def test_levels(levels):
    with pytest.raises(ConfigError, match=r"^received levels .*percentages"):
        require_levels("levels", levels)


@pytest.mark.parametrize(
    "path", ["", " ", "a\0b", "x" * 300, "x/" * 4000, "folder/" + "é" * 200, "\ud800"], ids=lambda path: repr(path[:9])
)
def test_names_that_no_file_can_have(path):
    assert path_problem(path) is not None


@pytest.mark.parametrize(
    "call",
    [
        lambda value: Settings(lookback=value),
        lambda value: Settings(seeds=(0, value)),
        lambda value: Settings(units=value),
        lambda value: Settings(units=(8, value)),
        lambda value: Settings(num_layers=value),
        lambda value: Settings(season=value),
        lambda value: Settings(dropout=value),
        lambda value: Settings(levels=(value,)),
        lambda value: Settings(members=value),
        lambda value: Settings(n_windows=value),
        lambda value: Training(epochs=value),
        lambda value: Training(batch_size=value),
        lambda value: build_gru(units=value),
        lambda value: build_gru(horizon=value),
        lambda value: Forecaster(n_seeds=value)._fit(None),
        lambda value: Forecaster(seed=value)._fit(None),
    ],
)
@pytest.mark.parametrize("value", [10**30, 10**6000, -1, float("nan"), "many", 1e308], ids=range(6))
def test_every_door_of_python_has_them(call, value):
    with pytest.raises(ConfigError, match=r"^received ") as told:
        call(value)
    assert "--" not in str(told.value)


def test_messages_name_parameters_to_python_and_options_to_the_command_line():
    error = ConfigError(
        "lower ", Parameter("num_layers"), " or ", Parameter("batch_size"), ", not ", Parameter("h"), "."
    )
    assert str(error) == "lower num_layers or batch_size, not h."
    assert error.told(lambda name: option_of(load("compare"), name)) == "lower --layers or --batch-size, not h."
